"""An archive, wherever it is -> a folder: made once, and again where the archive changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tfod_helpers.files import archives
from tfod_helpers.files.archives import marks
from tfod_helpers.files.downloads import parts
from tfod_helpers.sources.errors import SourceError

_LONGEST_NAME = 80  # letters, so that what is added to it still makes a file's name


class Place(Protocol):
    """Where an archive is.

    Attributes:
        key: the whole of its address, which may hold a secret.
        shown: the same for people to read, without it.
        name: what its folder is to be called.
    """

    key: str
    shown: str
    name: str

    def version(self) -> Any:
        """Return what changes when the archive does, or None where that cannot be known now."""

    def fetch(self, path: Path) -> Path:
        """Bring the archive here, going on where it was stopped; return where it is, ``path`` or its own place."""


def bring(place: Place, folder: Path) -> Path:
    """Return the folder of what an archive holds; one that is there and unchanged is kept.

    Args:
        place: where the archive is.
        folder: the folder that the new one is made in.

    Raises:
        SourceError: the archive cannot be had, or cannot be unpacked.
        FileExistsError: there are other files in the new folder, or they were changed.
        OSError: the disk is too small.
    """
    target = folder / plain_name(place.name)
    with alone(target):
        version = place.version()
        origin = {"from": digest(place.key), "shown": place.shown, "version": version}
        if is_there(target, origin):
            return target
        fetched = target.with_name(f".{target.name}.{digest(place.key, version)}.fetched")
        clear_leftovers(target, fetched)
        archive = place.fetch(fetched / (target.name + _ending(place.key)))
        try:
            archives.unpack(archive, target, origin=origin)
        except archives.ArchiveError as error:
            shutil.rmtree(fetched, ignore_errors=True)  # it is damaged, so it must not be gone on with
            raise SourceError(place.shown, error.what, error.fix) from None
        shutil.rmtree(fetched, ignore_errors=True)
    print_done(target, place.shown)
    return target


def is_there(target: Path, origin: dict[str, Any]) -> bool:
    """Return whether a folder was made from this source as it is now, and say so.

    Args:
        target: the folder.
        origin: what it would be made from: ``from``, ``shown``, and ``version``, None where that is not known.

    Raises:
        FileExistsError: it holds something else, which is not to be lost.
    """
    shown, known = origin["shown"], made_from(target, origin)
    if known is not None and origin["version"] in (None, known["version"]):
        asked = "it cannot be known whether that changed" if origin["version"] is None else "which did not change"
        print(f"{target}: there already, from {shown}, {asked}.")
        return True
    try:
        marks.refuse_others(target, shown)
    except FileExistsError as error:
        raise FileExistsError(f"{error} For instance: {_elsewhere(target)}") from None
    return False


def made_from(target: Path, origin: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a folder was made from, or None where it was not made here.

    Raises:
        FileExistsError: it was made from another source.
    """
    known = marks.read(target)
    if known is not None and known.get("from") != origin["from"]:
        was = known.get("shown") or known.get("name")
        what = f"{target}: this was made from {was}, and {origin['shown']} has the same name"
        raise FileExistsError(f"{what}. Choose another folder: {_elsewhere(target)}")
    return known


def _elsewhere(target: Path) -> str:
    return f"sources.local(..., '{target.parent}_2')"


def print_done(target: Path, shown: str) -> None:
    """Say in one line what was brought."""
    count = sum(len(names) for _, _, names in os.walk(target)) - 1  # without the mark
    print(f"{target}: {count:,} file{'s' * (count != 1)} from {shown}.")


@contextlib.contextmanager
def alone(target: Path) -> Iterator[None]:
    """Keep other processes from making the same folder at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with parts.alone(target.with_name(f".{target.name}.lock"), target.name):
        yield


def clear_leftovers(target: Path, kept: Path | None = None) -> None:
    """Delete what killed processes left of a folder; none that works on it now has any, see `alone`.

    Args:
        target: the folder.
        kept: what can be gone on with.
    """
    leftover = re.compile(re.escape(f".{target.name}.") + r"\w+\.(part|old|fetched)")
    for path in target.parent.iterdir():
        if leftover.fullmatch(path.name) and path != kept:
            shutil.rmtree(path, ignore_errors=True)


def plain_name(name: str) -> str:
    """Return a folder's name of letters, digits, dots and dashes."""
    return re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_NAME].strip("._-") or "data"


def without_ending(name: str) -> str:
    """Return an archive's name without its ending."""
    return name[: -len(ending)] if (ending := _ending(name)) else name


def digest(*parts_of_it: Any) -> str:
    """Return a short name for values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts_of_it).encode()).hexdigest()[:16]


def _ending(name: str) -> str:
    """Return the ending of an archive's name, as a file that is to be written may have it, or nothing."""
    return next((one for one in sorted(archives.ENDINGS, key=len, reverse=True) if name.lower().endswith(one)), "")
