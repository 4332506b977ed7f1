"""The text of a pipeline.config -> its settings, each with its place.

Protocol buffer text format, read as loosely as such files are written by hand: Google's own reader
needs the Object Detection API's message classes, and stops at the first field that it does not know.
"""

from __future__ import annotations

import re
import reprlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

_DEEPEST = 64  # messages within messages; real files have nine
_TOKEN = re.compile(
    r"""(?P<space>(?:[\s,;]|\#[^\n]*)+)      # separators, of which text format asks for none, and comments
      | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<number>[+-]?\s*(?:0x[0-9a-f]{1,16}|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?f?|inf(?:inity)?|nan)(?!\w))
      | (?P<word>[a-z_]\w*)
      | (?P<mark>[{}<>\[\]:./])""",
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_PLAIN_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_KEPT = (b'"', b"'", b"\\", b"?")  # what an escape may stand for besides
_CLOSING = {"{": "}", "<": ">"}


class OldConfigError(ValueError):
    """A pipeline.config that cannot be read or used; the message says where, what was found and what to do.

    Attributes:
        what: what is wrong, with what was found.
        fix: what to do.
        path: the file; empty where only its text is known.
        line: from 1; 0 where it is about the whole file.
        column: from 1; 0 where it is about the whole file.
    """

    def __init__(self, what: str, fix: str, line: int = 0, column: int = 0, path: str = "") -> None:
        self.what, self.fix, self.line, self.column, self.path = what, fix, line, column, path
        super().__init__(what, fix, line, column, path)

    def __str__(self) -> str:
        places = [self.path, f"line {self.line}, column {self.column}" if self.line else ""]
        place = ", ".join(part for part in places if part)
        return f"{place}: {self.what}. {self.fix}" if place else f"{self.what}. {self.fix}"


@dataclass(frozen=True)
class Setting:
    """One setting of the file.

    Attributes:
        name: its dotted name, such as ``train_config.batch_size``. A message that is there several times is
            numbered from 0: ``train_config.data_augmentation_options[1].random_crop_image``.
        value: a bool, int, float or str (also for an enum's name); a tuple where the file gives a list or the
            field more than once; ``{}`` for a message with nothing in it.
        line: where the setting's own name stands, from 1.
        column: from 1.
    """

    name: str
    value: Value
    line: int
    column: int

    @property
    def plain_name(self) -> str:
        """The name without the numbers of repeated messages."""
        return re.sub(r"\[\d+\]", "", self.name)

    def refused(self, what: str, fix: str) -> OldConfigError:
        """Return the error that names this setting, its value and its place."""
        return OldConfigError(f"{self.name} = {reprlib.repr(self.value)}: {what}", fix, self.line, self.column)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    def __str__(self) -> str:
        return reprlib.repr(self.text) if self.text else "the end of the file"


@dataclass(frozen=True)
class _Field:
    name: str
    value: Value | list[_Field]
    start: int


def read_settings(text: str) -> list[Setting]:
    """Return every setting of a config's text, in its order.

    Raises:
        OldConfigError: the text is not in text format; the message says in which line and column.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    try:
        fields = _Reader(text).read_message("", 0)
    except _UnreadableError as error:
        line = bisect_right(starts, error.start)
        raise OldConfigError(error.what, error.fix, line, error.start - starts[line - 1] + 1) from None
    return list(_flattened(fields, "", starts))


class _UnreadableError(Exception):
    def __init__(self, what: str, fix: str, start: int) -> None:
        super().__init__(what, fix, start)
        self.what, self.fix, self.start = what, fix, start


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.place = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.token
        self.place += token.kind != "end"
        return token

    def takes(self, *texts: str) -> str:
        """Take the next token if it is one of these marks, and return it; else return an empty string."""
        return self.take().text if self.token.kind == "mark" and self.token.text in texts else ""

    def read_message(self, closing: str, depth: int, opened: int = 0) -> list[_Field]:
        if depth > _DEEPEST:
            raise _UnreadableError(f"messages are nested more than {_DEEPEST} deep", "Check the braces.", opened)
        fields: list[_Field] = []
        while not (closing and self.takes(closing)):
            token = self.token
            if token.kind == "end" and not closing:
                break
            if token.kind == "end":
                raise _UnreadableError("the brace that opens here is never closed", f"Add a {closing!r}.", opened)
            if token.text in ("}", ">"):
                fix = f"Write {closing!r} here, or close what is within." if closing else "Remove it."
                raise _UnreadableError(f"{token.text!r} closes nothing that is open here", fix, token.start)
            fields += self.read_field(depth)
        return fields

    def read_field(self, depth: int) -> list[_Field]:
        name, start = self.read_name()
        colon = self.takes(":")
        if not colon and self.token.text not in ("{", "<", "["):
            fix = f"Write {name}: VALUE or {name} {{ ... }}."
            raise _UnreadableError(f"expected ':' or '{{' after {name!r}, got {self.token}", fix, self.token.start)
        if not self.takes("["):
            return [_Field(name, self.read_value(name, depth), start)]
        values = []
        while not self.takes("]"):
            if self.token.kind == "end":
                raise _UnreadableError(f"the list of {name!r} is never closed", "Add a ']'.", start)
            values.append(self.read_value(name, depth))
        scalars = tuple(value for value in values if not isinstance(value, list | tuple))
        messages = [_Field(name, value, start) for value in values if isinstance(value, list)]
        if scalars and messages:
            raise _UnreadableError(f"the list of {name!r} mixes values and messages", "Keep one kind.", start)
        return messages or [_Field(name, scalars, start)]

    def read_name(self) -> tuple[str, int]:
        first = self.take()
        if first.kind == "word":
            return first.text, first.start
        if first.text != "[":
            fix = "A setting is 'name: value' or 'name { ... }'; check for a missing name, quote or brace before it."
            raise _UnreadableError(f"expected the name of a setting, got {first}", fix, first.start)
        parts = []
        while not self.takes("]"):
            if self.token.text in ("{", "}", "<", ">") or self.token.kind in ("end", "text"):
                raise _UnreadableError("the name of an extension is never closed", "Add a ']'.", first.start)
            parts.append(self.take().text)
        return f"[{''.join(parts)}]", first.start

    def read_value(self, name: str, depth: int) -> Scalar | list[_Field]:
        token = self.take()
        if token.kind == "mark" and token.text in _CLOSING:
            return self.read_message(_CLOSING[token.text], depth + 1, token.start)
        if token.kind == "text":
            pieces = [token.text]
            while self.token.kind == "text":  # texts side by side are one text
                pieces.append(self.take().text)
            return "".join(_unquoted(piece, token.start) for piece in pieces)
        if token.kind == "number":
            return _number(token)
        if token.kind == "word" and not (self.token.kind == "mark" and self.token.text == ":"):
            return {"true": True, "True": True, "false": False, "False": False}.get(token.text, token.text)
        fix = f"Give {name!r} a number, true or false, a word, or a text in quotes."
        raise _UnreadableError(f"expected a value for {name!r}, got {token}", fix, token.start)


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise _unexpected(text, place)
        if match.lastgroup != "space":
            yield _Token(match.lastgroup or "", match.group(), place)
        place = match.end()
    yield _Token("end", "", max(0, len(text) - 1))


def _unexpected(text: str, place: int) -> _UnreadableError:
    rest = text[place:].split("\n")[0]
    if rest[0] in "'\"":
        fix = f"Close it with {rest[0]} (a backslash just before the quote hides it: write / in paths)."
        return _UnreadableError(f"the text {rest[:40]!r} has no closing quote in its line", fix, place)
    fix = "Write a comment with #, a text in quotes, a number or a name there."
    return _UnreadableError(f"cannot read {rest[:20]!r}", fix, place)


def _number(token: _Token) -> int | float:
    text = re.sub(r"\s", "", token.text).lower()
    if "0x" in text:
        return int(text, 16)
    if re.fullmatch(r"[+-]?\d+", text) and len(text) < 25:
        return int(text)
    return float(text.removesuffix("f") if not text.endswith("inf") else text)


def _unquoted(text: str, start: int) -> str:
    """Return a text without quotes and escapes.

    A path of Windows is seldom escaped as it should be: an escape that does not exist is two characters, and
    where the escapes would give control characters (``data\\train`` a tab), no escape was meant.
    """
    inner = text[1:-1]
    as_written = inner.replace("\\\\", "\\")
    if re.match(r"[A-Za-z]:\\(?!\\)", inner):
        return as_written
    try:
        plain = _ESCAPE.sub(_unescaped, inner.encode("utf-8", "surrogatepass")).decode("utf-8")
    except UnicodeDecodeError:
        return as_written
    return as_written if re.search(r"[\x00-\x1f]", plain) else plain


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code[:1] == b"x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    if code[:1].isdigit() and code[:1] < b"8":
        return bytes([int(code, 8) & 0xFF])
    return code if code in _KEPT else _PLAIN_ESCAPES.get(code, match.group())


def _flattened(fields: list[_Field], prefix: str, starts: list[int]) -> Iterator[Setting]:
    """Give the settings of a message; a value given several times is one setting, with all of them."""
    several = Counter(field.name for field in fields if isinstance(field.value, list))
    numbers: Counter[str] = Counter()
    values: dict[str, Value] = {}
    for field in fields:
        if not isinstance(field.value, list):
            before = values.get(field.name)
            values[field.name] = field.value if before is None else _together(before, field.value)
    for field in fields:
        name = f"{prefix}.{field.name}" if prefix else field.name
        if isinstance(field.value, list) and field.value:
            index = f"[{numbers[field.name]}]" if several[field.name] > 1 else ""
            numbers[field.name] += 1
            yield from _flattened(field.value, name + index, starts)
            continue
        line = bisect_right(starts, field.start)
        column = field.start - starts[line - 1] + 1
        if isinstance(field.value, list):
            index = f"[{numbers[field.name]}]" if several[field.name] > 1 else ""
            numbers[field.name] += 1
            yield Setting(name + index, "{}", line, column)
        elif field.name in values:
            yield Setting(name, values.pop(field.name), line, column)


def _together(first: Value, second: Value) -> Value:
    return tuple(part for value in (first, second) for part in (value if isinstance(value, tuple) else (value,)))
