"""A JSON annotation file -> what it holds, or one problem that a person can act on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import DatasetError, Problem

_SAVE_AGAIN = "Export the annotations again from the labelling tool."


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
    """Return the error for a file that cannot be used at all."""
    return DatasetError([Problem(path.name, "", what, "", fix, kind="annotation unreadable")], str(path))


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the dicts of a list; an empty list where it is none. What is no dict is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a text as it is, and a whole number as text; anything else is empty."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
