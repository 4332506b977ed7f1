"""An annotation file in JSON or XML -> what it holds, or one problem that a person can act on.

A file may come from anywhere: nothing that it names is opened, and nothing in it is expanded.
"""

from __future__ import annotations

import functools
import json
import math
import re
import reprlib
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, TypeVar

from lxml import etree

from tfod_helpers import problems
from tfod_helpers.problems import DatasetError

_EXPORT_AGAIN = "Export the annotations again from the labelling tool."
_SAVE_AGAIN = "Save the annotation again from the labelling tool, or delete it."
OLD_WINDOWS = "cp1252"
BEGINNING = 65_536  # bytes that are looked at
AT_LEAST_THREE = range(3, 1_000_000)
_DEEPEST = 100  # no tool nests deeper; kept low so that looking at a file costs little
_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\],]', re.DOTALL)
_SAFE: dict[str, Any] = dict.fromkeys(("resolve_entities", "load_dtd", "dtd_validation", "huge_tree"), False)
_SAFE |= dict.fromkeys(("no_network", "remove_comments", "remove_pis"), True)
Parsed = TypeVar("Parsed")
_PARSER = etree.XMLParser(**_SAFE)


class UnusableError(Exception):
    """An annotation file that cannot be used at all; its args are (what, fix)."""


def refused(path: Path, what: str, fix: str) -> DatasetError:
    """Return the error for an annotation file that cannot be used at all."""
    return problems.refused(path, what, fix, where=path.name, kind="annotation unreadable")


def load(path: Path, ending: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Return what an annotation file holds that somebody named.

    Args:
        path: the file.
        ending: of such files; where it is a folder, those in it are named.
        parse: takes the bytes; raises UnusableError.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        DatasetError: it cannot be read.
    """
    if path.is_dir():
        files = ", ".join(sorted(child.name for child in path.glob(f"*{ending}"))[:5]) or "none"
        kind = ending.removeprefix(".").upper()
        raise IsADirectoryError(f"{path}: this is a folder. Give one {kind} file; those in it: {files}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such annotation file. Check the path.")
    try:
        return parse(contents(path))
    except UnusableError as error:
        raise refused(path, *error.args) from error


def contents(path: Path) -> bytes:
    """Return the bytes of a file, or raise UnusableError."""
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"it cannot be opened ({error.strerror})"
        raise UnusableError(what, "Check the file and its permissions.") from error


def encoding_of(data: bytes, *, cut: bool = False) -> str:
    """Return the encoding of a text that begins with a letter or a number: UTF-8, UTF-16, or else Windows-1252.

    Args:
        data: the text, or its beginning.
        cut: it is only the beginning, and may end within a letter.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in data[:2]:  # UTF-16 without a mark: one byte of each letter is zero
        return "utf-16-le" if data[:1] != b"\0" else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8" if cut and error.end == len(data) else OLD_WINDOWS
    return "utf-8"


def lines(path: Path) -> list[str]:
    """Return the lines of a list in UTF-8 that are not blank, stripped; none where it cannot be opened."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return []
    return list(filter(None, map(str.strip, text.splitlines())))


# --- JSON -----------------------------------------------------------------------------------------


def load_json(path: Path) -> Any:
    """Read a JSON file as `load` does."""
    return load(path, ".json", parse_json)


def load_json_list(path: Path, of: str, fix: str) -> list[Any]:
    """Read a JSON file that must hold a list of something, as `load` does."""
    found = load_json(path)
    if not isinstance(found, list):
        raise refused(path, f"it is no list of {of}", fix)
    return found


def parse_json(data: bytes) -> Any:
    """Return what a JSON file holds: UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Raises:
        UnusableError: it is no JSON.
    """
    if not data.strip():
        raise UnusableError("the file is empty", _EXPORT_AGAIN)
    try:
        # utf-8-sig where json's own guess would stumble over the byte order mark
        return json.loads(data.decode("utf-8-sig") if data.startswith(b"\xef\xbb\xbf") else data)
    except RecursionError:
        raise UnusableError("it cannot be read as JSON (nested too deeply)", _EXPORT_AGAIN) from None
    except ValueError as error:  # also UnicodeDecodeError, and a number of thousands of digits
        raise UnusableError(f"it cannot be read as JSON ({error})", _EXPORT_AGAIN) from None


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the dicts of a list; an empty list where it is none. What is no dict is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """Return a dict as it is; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """Return a text as it is, and a whole number as text; anything else is empty."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def text_at(item: Any, key: str) -> str:
    """Return the `text` that a dict has under a key; empty where it has none, or is no dict."""
    return text(item.get(key)) if isinstance(item, dict) else ""


def dict_at(item: Any, key: str, what: str) -> dict[str, Any]:
    """Return the dict that a dict has under a key.

    Raises:
        ValueError: it has none, or is no dict; the message has ``what`` it should be.
    """
    found = mapping(item).get(key)
    if not isinstance(found, dict):
        raise ValueError(f"it is {reprlib.repr(item)}, not {what}")
    return found


def number(value: Any) -> float | None:
    """Return a number; None where it is a text, true or false, not finite, or larger than a float can be."""
    if type(value) not in (int, float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def number_at(item: dict[str, Any], key: str) -> float:
    """Return the number that a dict has under a key.

    Raises:
        ValueError: it has none; the message says what it has.
    """
    value = number(item.get(key))
    if value is None:
        raise ValueError(f"{key} is {reprlib.repr(item[key])}, not a number" if key in item else f"{key} is missing")
    return value


def numbers_at(item: dict[str, Any], *keys: str) -> list[float]:
    """Return the numbers that a dict has under some keys, as `number_at` does."""
    return [number_at(item, key) for key in keys]


def points(value: Any, kind: str = "polygon", counts: Container[int] = AT_LEAST_THREE) -> list[tuple[float, float]]:
    """Return the points of ``[[x, y], [x, y], ...]``.

    Args:
        value: what should be such a list.
        kind: the shape, for the message.
        counts: how many points it may have.

    Raises:
        ValueError: it is something else; the message says what.
    """
    if not isinstance(value, list):
        raise ValueError(f"its points are {reprlib.repr(value)}, not a list of [x, y]")
    found = []
    for place, pair in enumerate(value, start=1):
        x, y = map(number, pair) if isinstance(pair, list) and len(pair) == 2 else (None, None)
        if x is None or y is None:
            raise ValueError(f"point {place} is {reprlib.repr(pair)}, not [x, y]")
        found.append((x, y))
    if len(found) not in counts:
        raise ValueError(f"a {kind} cannot have {len(found)} point{'s' * (len(found) != 1)}")
    return found


def beginning_of_json(path: Path) -> Any:
    """Return what the first 64 KiB of a JSON file hold, to see which format it is without reading all of it.

    Returns:
        The file's list or dict without what came too late; None where it is no JSON or cannot be read.
    """
    try:
        status = path.stat()
        return _beginning(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, RecursionError):
        return None


@functools.lru_cache(32)  # each format of JSON files looks at the same ones
def _beginning(path: Path, mtime_ns: int, size: int) -> Any:
    with path.open("rb") as file:
        data = file.read(BEGINNING)
    text = data.decode(json.detect_encoding(data), "ignore")
    return json.loads(text if len(data) < BEGINNING else _closed(text))


def _closed(text: str) -> str:
    """Return the beginning of a JSON text up to its last complete item, with its brackets closed."""
    closing: list[str] = []
    end, closed = 0, closing
    for mark in _MARKS.finditer(text):
        if (sign := mark.group()) in ("{", "["):
            closing.append("}" if sign == "{" else "]")
        elif sign in ("}", "]") and closing:
            closing.pop()
        if sign == '"' or len(closing) > _DEEPEST:  # a text that goes on behind the end
            break
        if len(sign) == 1:
            end, closed = mark.start() if sign == "," else mark.end(), closing[::-1]
    return text[:end] + "".join(closed)


# --- XML ------------------------------------------------------------------------------------------


def parse_xml(data: bytes, name: str, fix: str) -> etree._Element:
    """Return the root of an annotation.

    Args:
        data: the file.
        name: what the root must be called.
        fix: what to do where it is not.

    Raises:
        UnusableError: it is empty, no XML, declares entities, or is something else.
    """
    if not data.strip():
        raise UnusableError("the file is empty", _SAVE_AGAIN)
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        reason = error.msg or "it is cut off"
        encoding = "encoding" in reason or "UTF-8" in reason
        save = "Save the file as UTF-8, or name its encoding in the first line." if encoding else _SAVE_AGAIN
        raise UnusableError(f"it cannot be read as XML ({reason})", save) from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        what = "it declares entities, which no labelling tool does and an attack would"
        raise UnusableError(what, "Delete its <!DOCTYPE ...> if you trust where the file is from.")
    if tag(root) != name:
        raise UnusableError(f"its root is <{tag(root)}>, not <{name}>", fix)
    return root


def tag(element: etree._Element) -> str:
    """Return an element's name without its namespace, which does not matter here."""
    return etree.QName(element).localname


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Return the children of that name, in whatever namespace."""
    return list(element.iterchildren("{*}" + name))


def beginning_of_xml(path: Path) -> list[str]:
    """Return the names of the elements that begin in the first 64 KiB of a file; none where it is no XML."""
    parser = etree.XMLPullParser(events=("start",), **_SAFE)
    try:
        with path.open("rb") as file:
            parser.feed(file.read(BEGINNING))
        return [tag(element) for _, element in parser.read_events()]
    except (OSError, etree.XMLSyntaxError):
        return []
