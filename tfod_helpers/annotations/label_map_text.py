"""The text of a ``.pbtxt`` label map: the part of protocol buffer text format that label maps use.

Read here and not by the Object Detection API's own messages, which would need TensorFlow to be loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    r"""(?P<space>[\s,;]+|\#[^\n]*)      # separators and comments
      | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<open>:?\s*[{<]) | (?P<close>[}>]) | (?P<colon>:)
      | (?P<word>[^\s,;:{}<>"'\#]+)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_PLAIN_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


def read_ids(text: str) -> dict[int, str]:
    """Return the class names of ``item { id: 1 name: 'cat' }`` items by their ids, as the text gives them.

    Where the name is a machine's, such as ``/m/01yrx``, and a ``display_name`` is there, that is taken.

    Raises:
        ValueError: the text cannot be read, an item lacks its name or id, or an id is given twice or negative;
            the message says where.
    """
    names: dict[int, str] = {}
    for number, item in enumerate(_read_items(text), start=1):
        name = item.get("name") or item.get("display_name")
        if not name:
            raise ValueError(f"item {number} has no name. Add name: '...' to it.")
        if name.startswith("/m/"):
            name = item.get("display_name") or name
        if "id" not in item:
            raise ValueError(f"item {number} ({name!r}) has no id. Add id: {number} to it.")
        try:
            id = int(item["id"], 0)
        except ValueError:
            raise ValueError(f"item {number} ({name!r}): id must be a whole number, got {item['id']!r}.") from None
        if id < 0:
            raise ValueError(f"item {number} ({name!r}): id must not be negative, got {id}.")
        if id in names:
            raise ValueError(f"id {id} is given to both {names[id]!r} and {name!r}. Number the items 1, 2, 3, ...")
        names[id] = name
    return names


def to_text(names: Sequence[str]) -> str:
    """Return the label map text of the names, with ids from 1."""
    items = enumerate(names, start=1)
    return "".join(f"item {{\n  id: {id}\n  name: '{_escape(name)}'\n}}\n" for id, name in items)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ValueError(f"line {line}: cannot read {text[position : position + 20]!r}. Check the quotes there.")
        if match.lastgroup != "space":
            yield match.lastgroup or "", match.group(), line
        line += match.group().count("\n")
        position = match.end()


def _read_items(text: str) -> list[dict[str, str]]:
    """Return the fields of every ``item { ... }``; fields of nested messages (keypoints) are left out."""
    items: list[dict[str, str]] = []
    depth, key, last = 0, "", ""
    for kind, token, line in _tokens(text):
        if kind == "open":
            if depth == 0 and key != "item":
                raise ValueError(f"line {line}: expected 'item {{', got {key or token!r}.")
            if depth == 0:
                items.append({})
            depth, key, last = depth + 1, "", ""
        elif kind == "close":
            depth, key, last = depth - 1, "", ""
            if depth < 0:
                raise ValueError(f"line {line}: a closing brace too many. Remove it.")
        elif kind == "colon":
            last = ""
        elif kind == "text" and depth and (key or last):
            value = _unquote(token)
            if key:  # the first text after "name:"; further ones directly after it join it
                last, key = key, ""
                if depth == 1:
                    items[-1][last] = value
            elif depth == 1:
                items[-1][last] += value
        elif kind == "word" and key and depth:
            if depth == 1:
                items[-1][key] = token
            key, last = "", ""
        elif kind == "word":
            key, last = token, ""
        else:
            raise ValueError(f"line {line}: did not expect {token!r} here.")
    if depth:
        raise ValueError("an item is not closed. Add the missing closing brace.")
    if not items:
        raise ValueError("there is no 'item { id: 1 name: '...' }' in it. Add one item a class.")
    return items


def _unquote(token: str) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        if code[:1] == b"x" and len(code) > 1:
            return bytes([int(code[1:], 16)])
        if code[:1].isdigit() and code[:1] < b"8":
            return bytes([int(code, 8) & 0xFF])
        return _PLAIN_ESCAPES.get(code, code)

    # Escapes are bytes of UTF-8, as in 'c\303\243o', so they are resolved before decoding.
    try:
        return _ESCAPE.sub(plain, token[1:-1].encode()).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{token} holds escapes that are not UTF-8.") from None


def _escape(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'")  # a class name has no control characters
