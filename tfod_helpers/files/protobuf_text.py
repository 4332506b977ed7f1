"""Protocol buffer text -> its settings, each with its place: label maps and old pipeline configs are written so.

Read as loosely as such files are written by hand. Google's own reader needs the message classes of the Object Detection
API, and stops at the first field that these do not have.
"""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tfod_helpers.problems import FixableError

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
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_ESCAPES |= {sign: sign for sign in (b'"', b"'", b"\\", b"?")}
_CLOSING = {"{": "}", "<": ">"}
_FLAGS = {"true": True, "True": True, "false": False, "False": False}


class TextFormatError(FixableError, ValueError):
    """A text that cannot be read; ``where`` is its line and column, or empty where it is about the whole text."""


@dataclass(frozen=True)
class _Placed:
    """What stands at a place of a text.

    Attributes:
        line: from 1.
        column: from 1.
    """

    line: int
    column: int

    @property
    def where(self) -> str:
        """Its line and column, as errors name them."""
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True)
class Setting(_Placed):
    """One setting of a text, at the place of its own name.

    Attributes:
        name: its dotted name, such as ``train_config.batch_size``. A message that is there several times is
            numbered from 0: ``train_config.data_augmentation_options[1].random_crop_image``.
        value: a bool, int, float or str (also for an enum's name); a tuple where the text gives a list or the
            field more than once; ``{}`` for a message with nothing in it.
    """

    name: str
    value: Value

    @property
    def plain_name(self) -> str:
        """The name without the numbers of repeated messages."""
        return re.sub(r"\[\d+\]", "", self.name)

    def refused(self, what: str, fix: str) -> TextFormatError:
        """Return the error that names this setting, its value and its place."""
        return TextFormatError(self.where, f"{self.name} = {reprlib.repr(self.value)}: {what}", fix)


def read_settings(text: str, *, windows_paths: bool = False) -> list[Setting]:
    r"""Return every setting of a text, in its order.

    Args:
        text: in text format.
        windows_paths: texts may be paths of Windows, which are seldom escaped as they should be: an escape that does
            not exist is two characters, and where the escapes would give control characters (``data\\train`` a
            tab), no escape was meant.

    Raises:
        TextFormatError: the text is not in text format; the message says in which line and column.
    """
    return list(_flattened(read_fields(text, windows_paths=windows_paths), ""))


def read_fields(text: str, *, windows_paths: bool = False) -> list[Field]:
    """Return the fields of a text in its order, those of messages within them; else as `read_settings`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _Reader(text, windows_paths).read_message(None, 0)


@dataclass(frozen=True)
class Field(_Placed):
    """One field as the text has it, at the place of its name: that name alone, its value or the fields of a message."""

    name: str
    value: Value | list[Field]


@dataclass(frozen=True)
class _Token(_Placed):
    kind: str
    text: str

    def __str__(self) -> str:
        return reprlib.repr(self.text) if self.text else "the end of the file"

    def error(self, what: str, fix: str) -> TextFormatError:
        return TextFormatError(self.where, what, fix)


class _Reader:
    def __init__(self, text: str, windows_paths: bool) -> None:
        self.tokens = list(_tokens(text))
        self.place = 0
        self.windows_paths = windows_paths

    @property
    def token(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.token
        self.place += token.kind != "end"
        return token

    def takes(self, mark: str) -> bool:
        """Take the next token if it is this mark."""
        return self.token.text == mark and bool(self.take().text)

    def read_message(self, opened: _Token | None, depth: int) -> list[Field]:
        closing = _CLOSING[opened.text] if opened else ""
        if opened and depth > _DEEPEST:
            raise opened.error(f"messages are nested more than {_DEEPEST} deep", "Check the braces.")
        fields: list[Field] = []
        while not self.takes(closing):
            token = self.token
            if token.kind == "end":
                if not opened:
                    break
                raise opened.error("the brace that opens here is never closed", f"Add a {closing!r}.")
            if token.text in ("}", ">"):
                fix = f"Write {closing!r} here, or close what is within." if closing else "Remove it."
                raise token.error(f"{token.text!r} closes nothing that is open here", fix)
            fields += self.read_field(depth)
        return fields

    def read_field(self, depth: int) -> list[Field]:
        start = self.take()
        if start.kind != "word":
            fix = "A setting is 'name: value' or 'name { ... }'; check for a missing name, quote or brace before it."
            raise start.error(f"expected the name of a setting, got {start}", fix)
        name, place = start.text, (start.line, start.column)
        if not self.takes(":") and self.token.text not in ("{", "<", "["):
            fix = f"Write {name}: VALUE or {name} {{ ... }}."
            raise self.token.error(f"expected ':' or '{{' after {name!r}, got {self.token}", fix)
        if not self.takes("["):
            return [Field(*place, name, self.read_value(name, depth))]
        values = []
        while not self.takes("]"):
            if self.token.kind == "end":
                raise start.error(f"the list of {name!r} is never closed", "Add a ']'.")
            values.append(self.read_value(name, depth))
        messages = [Field(*place, name, value) for value in values if isinstance(value, list)]
        scalars = tuple(value for value in values if not isinstance(value, list))
        if scalars and messages:
            raise start.error(f"the list of {name!r} mixes values and messages", "Keep one kind.")
        return messages or [Field(*place, name, scalars)]

    def read_value(self, name: str, depth: int) -> Scalar | list[Field]:
        token = self.take()
        if token.text in _CLOSING:
            return self.read_message(token, depth + 1)
        if token.kind == "text":
            pieces = [token]
            while self.token.kind == "text":  # texts side by side are one text
                pieces.append(self.take())
            return "".join(_unquoted(piece, self.windows_paths) for piece in pieces)
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "word" and self.token.text != ":":
            return _FLAGS.get(token.text, token.text)
        fix = f"Give {name!r} a number, true or false, a word, or a text in quotes."
        raise token.error(f"expected a value for {name!r}, got {token}", fix)


def _tokens(text: str) -> Iterator[_Token]:
    place, line, line_start = 0, 1, 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        column = place - line_start + 1
        if not match:
            raise _unexpected(_Token(line, column, "", text[place:].split("\n")[0]))
        if match.lastgroup != "space":
            yield _Token(line, column, match.lastgroup or "", match.group())
        elif newlines := match.group().count("\n"):
            line, line_start = line + newlines, text.rindex("\n", place, match.end()) + 1
        place = match.end()
    yield _Token(line, max(1, place - line_start), "end", "")


def _unexpected(rest: _Token) -> TextFormatError:
    quote = rest.text[0]
    if quote in "'\"":
        fix = f"Close it with {quote} (a backslash just before the quote hides it: write / in paths)."
        return rest.error(f"the text {rest.text[:40]!r} has no closing quote in its line", fix)
    fix = "Write a comment with #, a text in quotes, a number or a name there."
    return rest.error(f"cannot read {rest.text[:20]!r}", fix)


def _number(text: str) -> int | float:
    text = re.sub(r"\s", "", text).lower()
    try:
        return int(text, 16 if "0x" in text else 10)
    except ValueError:  # no whole number, or one of thousands of digits
        return float(text if text.endswith("inf") else text.removesuffix("f"))


def _unquoted(token: _Token, windows_paths: bool) -> str:
    inner = token.text[1:-1]
    as_written = inner.replace("\\\\", "\\")
    if windows_paths and re.match(r"[A-Za-z]:\\(?!\\)", inner):
        return as_written
    try:  # escapes are bytes of UTF-8, as in 'c\303\243o', so they are resolved before decoding
        plain = _ESCAPE.sub(_unescaped, inner.encode("utf-8", "surrogatepass")).decode("utf-8")
    except UnicodeDecodeError:
        if windows_paths:
            return as_written
        raise token.error(f"{token} holds escapes that are not UTF-8", "Write the letters themselves.") from None
    return as_written if windows_paths and re.search(r"[\x00-\x1f]", plain) else plain


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code[:1] == b"x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    if code[:1].isdigit() and code[:1] < b"8":
        return bytes([int(code, 8) & 0xFF])
    return _ESCAPES.get(code, match.group())


def _flattened(fields: list[Field], prefix: str) -> Iterator[Setting]:
    """Give the settings of a message; a value given several times is one setting, with all of them."""
    several = Counter(field.name for field in fields if isinstance(field.value, list))
    numbers: Counter[str] = Counter()
    values: dict[str, Value] = {}
    for field in fields:
        if not isinstance(field.value, list):
            before = values.get(field.name)
            values[field.name] = field.value if before is None else _together(before, field.value)
    for field in fields:
        name = f"{prefix}{field.name}"
        if isinstance(field.value, list):
            name += f"[{numbers[field.name]}]" if several[field.name] > 1 else ""
            numbers[field.name] += 1
            yield from _flattened(field.value, f"{name}.")
            if not field.value:
                yield Setting(field.line, field.column, name, "{}")
        elif field.name in values:
            yield Setting(field.line, field.column, name, values.pop(field.name))


def _together(first: Value, second: Value) -> Value:
    return tuple(part for value in (first, second) for part in (value if isinstance(value, tuple) else (value,)))
