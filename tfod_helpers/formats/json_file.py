"""A JSON annotation file -> what it holds, or one problem that a person can act on."""

from __future__ import annotations

import json
import math
import re
import reprlib
from pathlib import Path
from typing import Any

from tfod_helpers import problems
from tfod_helpers.problems import DatasetError

_SAVE_AGAIN = "Export the annotations again from the labelling tool."
_BEGINNING = 65_536  # bytes
_DEEPEST = 100  # no tool nests deeper; kept low so that looking at a file costs little
_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\],]', re.DOTALL)


def load(path: Path) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        DatasetError: it cannot be read as JSON.
    """
    if path.is_dir():
        files = ", ".join(sorted(child.name for child in path.glob("*.json"))[:5]) or "none"
        raise IsADirectoryError(f"{path}: this is a folder. Give one JSON file; those in it: {files}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such annotation file. Check the path.")
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise refused(path, f"it cannot be opened ({error.strerror})", "Check the file and its permissions.") from error
    except ValueError as error:
        raise refused(path, str(error), _SAVE_AGAIN) from error


def parse(data: bytes) -> Any:
    """Return what the bytes of a JSON file hold.

    Raises:
        ValueError: they are no JSON; the message says why.
    """
    if not data.strip():
        raise ValueError("the file is empty")
    try:
        # utf-8-sig where json's own guess would stumble over the byte order mark
        return json.loads(data.decode("utf-8-sig") if data.startswith(b"\xef\xbb\xbf") else data)
    except RecursionError:
        raise ValueError("it cannot be read as JSON (nested too deeply)") from None
    except ValueError as error:  # also UnicodeDecodeError, and a number of thousands of digits
        raise ValueError(f"it cannot be read as JSON ({error})") from None


def refused(path: Path, what: str, fix: str) -> DatasetError:
    """Return the error for an annotation file that cannot be used at all."""
    return problems.refused(path, what, fix, where=path.name, kind="annotation unreadable")


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the dicts of a list; an empty list where it is none. What is no dict is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a text as it is, and a whole number as text; anything else is empty."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """Return a number; None where it is a text, true or false, not finite, or larger than a float can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
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


def points(value: Any) -> list[tuple[float, float]]:
    """Return the points of ``[[x, y], [x, y], ...]``.

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
    return found


def beginning(path: Path) -> Any:
    """Return what the first 64 KiB of a JSON file hold, to see which format it is without reading all of it.

    Returns:
        The file's list or dict without what came too late; None where it is no JSON or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_BEGINNING)
        text = data.decode(json.detect_encoding(data), "ignore")
        return json.loads(text if len(data) < _BEGINNING else _closed(text))
    except (OSError, ValueError, RecursionError):
        return None


def _closed(text: str) -> str:
    """Return the beginning of a JSON text up to its last complete item, with its brackets closed."""
    closing: list[str] = []
    whole = ""
    for mark in _MARKS.finditer(text):
        if (sign := mark.group()) in ("{", "["):
            closing.append("}" if sign == "{" else "]")
        elif sign in ("}", "]") and closing:
            closing.pop()
        if sign == '"' or len(closing) > _DEEPEST:  # a text that goes on behind the end
            break
        if len(sign) == 1:
            end = mark.start() if sign == "," else mark.end()
            whole = text[:end] + "".join(reversed(closing))
    return whole
