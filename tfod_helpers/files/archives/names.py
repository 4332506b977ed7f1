"""The names of files in an archive: decoded from the encoding that they were written in, and safe for a folder.

A zip says of a name that it is UTF-8, or says nothing. Then it should be in the encoding of the first PCs (cp437), and
is in that of whatever machine made it. Which one cannot be seen in the name. But the annotations in the same archive
name the photos too, in an encoding that is known, so the encoding in which both agree is right.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tfod_helpers.problems import FixableError

NO_TRUST = "Do not use this archive."
AGAIN = "Copy or download it again."

_LONGEST_NAME, _LONGEST_PATH = 255, 1000  # bytes, as most file systems allow; characters
_SHORT = _LONGEST_NAME // 4  # characters: in UTF-8 none has more than four bytes
_PASSED_OVER = frozenset(("__MACOSX", ".DS_Store", "Icon\r", "Thumbs.db", "desktop.ini"))  # of macOS and Windows
# Of Western, Central European, Cyrillic, Greek, Turkish, Japanese, Chinese and Korean machines, DOS before Windows.
_ENCODINGS = (
    "cp437",
    "cp850",
    "cp852",
    "cp866",
    "cp932",
    "gb18030",
    "big5",
    "cp949",
    "cp737",
    "cp857",
    "cp1252",
    "cp1251",
)
_OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:")
_MOST_ASKED = 30  # names that are looked for in the annotations
_UNICODE_PATH = 0x7075  # an extra field of a zip (APPNOTE.TXT, 4.6.9)


class ArchiveError(FixableError, ValueError):
    """An archive that cannot be unpacked, or should not be; ``where`` is its path."""


def safe_name(path: Path, name: str) -> str:
    """Return a name with plain separators; empty where it is one that an operating system adds.

    Args:
        path: the archive.
        name: a path in it.

    Raises:
        ArchiveError: the name leads out of the folder, or is too long.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in name or _OUTSIDE.match(name):
        raise ArchiveError(str(path), f"{name!r} would be written outside of the folder", NO_TRUST)
    if len(name) > _LONGEST_PATH or (
        len(name) > _SHORT and any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts)
    ):
        what = f"it holds a name of {len(name)} characters, {name[:40]!r}..."
        raise ArchiveError(str(path), what, "Pack it with shorter names.")
    passed_over = any(part in _PASSED_OVER or part.startswith("._") for part in parts)
    return "" if passed_over else "/".join(parts)


def unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name in UTF-8 that a zip's entry may have beside its old one, where it belongs to that one.

    Args:
        extra: the entry's extra fields.
        raw: the old name.
    """
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5 and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(raw):
            return as_utf_8(field[5:])
    return None


def as_utf_8(data: bytes) -> str | None:
    """Return the text that bytes are in UTF-8, or None."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def decoded(raw: Sequence[bytes], texts: Callable[[], Iterable[str]]) -> list[str]:
    """Return names as text whose encoding is not known.

    Args:
        raw: the names, all of one archive.
        texts: what its annotations say; asked for only where there is a name.

    Returns:
        The names in the encoding in which the annotations name most of them too. Where they name none, in UTF-8, which
        macOS writes and does not say, where all of them are; else in cp437, as the format says.
    """
    if not raw:
        return []
    # Few Chinese names are UTF-8 by chance, and then it is for the annotations to say that they are Chinese.
    possible = ("utf-8", *_ENCODINGS) if all(as_utf_8(name) for name in raw) else _ENCODINGS
    text = "\n".join(texts())
    best = max(possible, key=lambda encoding: _agreed(raw[:_MOST_ASKED], encoding, text))  # of equals, the first
    return [_decoded(name, best) or name.decode("cp437") for name in raw]


def _decoded(name: bytes, encoding: str) -> str | None:
    try:
        return name.decode(encoding)
    except UnicodeDecodeError:
        return None


def _agreed(raw: Sequence[bytes], encoding: str, text: str) -> int:
    """Count the names that a text holds too, where they are in this encoding."""
    known = [name for name in (_decoded(one, encoding) for one in raw) if name]
    parts = {os.path.splitext(part)[0] for name in known for part in re.split(r"[/\\]", name) if not part.isascii()}
    # JSON may write characters as their numbers.
    return sum(part in text or json.dumps(part)[1:-1] in text for part in parts)
