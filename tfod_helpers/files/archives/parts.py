"""One download in several archives, as Google Drive packs a large folder; and volumes of one, which are refused.

Drive's parts, ``photos-20261129T101010Z-001.zip`` and on, are whole zips, each with some of the files. Volumes, such as
``photos.zip.001`` or ``photos.z01`` with ``photos.zip``, are pieces of one archive.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tfod_helpers.files.archives.names import ArchiveError

_PART = re.compile(
    r"(?P<start>.+?(?P<stamp>-\d{8}T\d{6}Z(-\d+)?)?)-(?P<number>\d{3})( ?\(\d+\))?(?P<ending>\.zip|\.tgz|\.tar\.gz)",
    re.IGNORECASE,
)
_VOLUME = re.compile(
    r".+(\.(zip|7z|rar|tar|tgz|gz|bz2|xz)\.(\d{2,3}|part-?\w+|a[a-z])|\.[zr]\d\d|\.part\d+\.rar)", re.IGNORECASE
)
_UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".opdownload")  # of browsers
_END_OF_ZIP, _LONGEST_END = b"PK\x05\x06", 22 + (1 << 16)  # the last record of a zip, with its comment
_SHOWN = 5


def is_part(path: object) -> bool:
    """Whether a path may be a part of a download, by its name."""
    return _PART.fullmatch(os.path.basename(str(path))) is not None


def parts_of(path: Path) -> list[Path]:
    """Return the archives beside one that are the same download, in their order; itself alone where it is none.

    Raises:
        ArchiveError: a part is missing, as far as its number shows.
    """
    if not is_part(path) or not path.is_file():
        return [path]
    return [path.with_name(name) for name in parts_among(path.name, os.listdir(path.parent))]


def parts_among(name: str, names: Iterable[str]) -> list[str]:
    """Return the names of all parts of the download that one is of, as `parts_of` does."""
    own = _PART.fullmatch(name)
    if not own:
        return [name]
    found: dict[int, list[str]] = defaultdict(list)
    for other in filter(None, map(_PART.fullmatch, sorted(names))):
        if (other["start"], other["ending"]) == (own["start"], own["ending"]):
            found[int(other["number"])].append(other[0])
    if not own["stamp"] and 1 not in found:  # numbers that somebody gave to archives of their own
        return [name]
    if missing := sorted({*range(1, max(found, default=1) + 1)} - found.keys()):
        shown = ", ".join(f"{own['start']}-{number:03d}{own['ending']}" for number in missing[:_SHOWN])
        more = f", ... {len(missing)} in all" * (len(missing) > _SHOWN)
        what = f"this is one of the parts that a download was packed into, and others are missing: {shown}{more}"
        raise ArchiveError(name, what, "Download them again, into the same folder.")
    return [one for number in sorted(found) for one in found[number]]


def download_in(folder: Path) -> Path | None:
    """Return the first part of the download that a folder holds and nothing else; None where it holds other things.

    What was unpacked from it before does not count.

    Raises:
        ArchiveError: a part of it is missing.
    """
    if not os.access(folder, os.R_OK | os.X_OK):
        return None  # whoever reads it says so
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    packed = sorted(name for name in names if _PART.fullmatch(name))
    if not packed:
        return None
    parts = parts_of(folder / packed[0])
    left = {*names} - {part.name for part in parts} - {name_of(parts[0])}
    return parts[0] if len(parts) > 1 and not left else None


def name_of(path: Path) -> str:
    """Return what all parts of a download have in common in their names; for any other path, its own name."""
    return start_of(path.name) if len(parts_of(path)) > 1 else path.name


def start_of(name: str) -> str:
    """Return a part's name without its number and ending; any other name as it is."""
    match = _PART.fullmatch(name)
    return match["start"] if match else name


def is_volume(path: object) -> bool:
    """Whether a path ends as a volume of an archive, or as a download that was not finished."""
    name = str(path).lower()
    finished = next((name.removesuffix(ending) for ending in _UNFINISHED if name.endswith(ending)), "")
    return _VOLUME.fullmatch(name) is not None or re.search(r"\.(zip|tar|tgz|gz|7z|rar)$", finished) is not None


def refuse_volumes(path: Path) -> None:
    """Raise where a file is a piece of an archive only, by its name, by those beside it, or as a zip's end says.

    Raises:
        ArchiveError: it is.
    """
    if path.name.lower().endswith(_UNFINISHED):
        fix = "Wait for its end, or download it again."
        raise ArchiveError(str(path), "this is a download that was not finished", fix)
    beside = path.with_suffix(".z01").exists() or path.with_suffix(".Z01").exists()
    if is_volume(path) or (path.suffix.lower() == ".zip" and (beside or _is_last_volume(path))):
        what = "this is a volume of an archive that was split into several files"
        fix = "Put all of them into one folder, unpack the first with 7-Zip, and give the folder that it makes."
        raise ArchiveError(str(path), what, fix)


def _is_last_volume(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LONGEST_END))
        end = file.read()
    place = end.rfind(_END_OF_ZIP)
    number = end[place + 4 : place + 6]
    return place >= 0 and number not in (b"\0\0", b"\xff\xff", b"")
