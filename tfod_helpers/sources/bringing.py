"""A data set, wherever it is -> a folder of this disk: made once, and again where the source changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tfod_helpers.files import archives, workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.problems import FixableError

Unpack = Callable[[Path, Path, dict[str, Any]], None]

_LONGEST_NAME = 80  # characters, so that what is added to it still makes a file's name


class SourceError(FixableError, OSError):
    """A data set that could not be brought to the local disk; ``where`` is without keys that a URL may hold."""


class Place(Protocol):
    """Where a data set is.

    Attributes:
        key: the whole of its path or URL, which may hold a secret.
        shown: the same for people to read, without it.
        name: what its folder is to be called.
    """

    key: str
    shown: str
    name: str

    def version(self) -> Any:
        """Return what changes when the data set does, or None where that cannot be known now."""

    def make(self, target: Path, origin: dict[str, Any]) -> None:
        """Make the folder, whole or not at all, and mark it with its origin; resume what was stopped."""


def _unpack(archive: Path, target: Path, origin: dict[str, Any]) -> None:
    archives.unpack(archive, target, origin=origin)


class Archive:
    """An archive or another file, which is brought here, and of which a folder is made.

    Attributes:
        key: as of `Place`, and so are ``shown`` and ``name``.
    """

    key: str
    shown: str
    name: str

    def version(self) -> Any:
        """Return what changes when the file does, as of `Place`."""
        raise NotImplementedError

    def fetch(self, path: Path) -> Path:
        """Bring the file here, resuming where that was stopped; return where it is, ``path`` or its own place."""
        raise NotImplementedError

    def make(self, target: Path, origin: dict[str, Any], unpack: Unpack = _unpack) -> None:
        """Fetch and unpack it.

        Args:
            target: the folder.
            origin: as of `Place`.
            unpack: takes the file here, the folder and its origin, and makes the folder, whole or not at all.

        Raises:
            SourceError: it cannot be had, or is damaged.
        """
        fetched = target.with_name(f".{target.name}.{digest(self.key, origin['version'])}.fetched")
        clear_leftovers(target, fetched)
        archive = self.fetch(fetched / (target.name + _ending(self.key)))
        try:
            unpack(archive, target, origin)
        except FixableError as error:
            shutil.rmtree(fetched, ignore_errors=True)  # it is damaged, so it must not be resumed
            raise SourceError(self.shown, error.what, error.fix) from None
        shutil.rmtree(fetched, ignore_errors=True)


def bring(place: Place, folder: Path, choices: dict[str, Any] | None = None) -> Path:
    """Return the folder of a data set; one that is there and unchanged is kept.

    Args:
        place: where the data set is.
        folder: the folder that the new one is made in.
        choices: what else decides what is in the new one; values that JSON can hold.

    Raises:
        SourceError: it cannot be had.
        FileExistsError: there are other files in the new folder, or they were changed.
        OSError: the disk is too small.
    """
    target = folder / re.sub(r"[^\w.-]+", "_", place.name)[:_LONGEST_NAME].strip("._-")
    if target == folder:
        target = folder / "data"
    with workspace.alone(target):
        origin = {"from": digest(place.key), "shown": place.shown, "version": place.version(), "choices": choices}
        if is_there(target, origin):
            return target
        place.make(target, origin)
    print_done(target, place.shown)
    return target


def is_there(target: Path, origin: dict[str, Any]) -> bool:
    """Return whether a folder was made from this source as it is now, and say so.

    Args:
        target: the folder.
        origin: what it would be made from: ``from``, ``shown``, ``version``, None where that is not known, and
            ``choices``, which may be left out.

    Raises:
        FileExistsError: it holds something else, which is not to be lost.
    """
    shown, known = origin["shown"], marks.read(target)
    elsewhere = f"folder='{target.parent}_2'"
    if known is not None and known.get("from") != origin["from"]:
        was = known.get("shown") or known.get("name")
        what = f"{target}: this was made from {was}, and {shown} has the same name"
        raise FileExistsError(f"{what}. Choose another folder: {elsewhere}")
    same = known is not None and known.get("choices") == origin.get("choices")
    if known is not None and same and origin["version"] in (None, known["version"]):
        asked = "it cannot be known whether that changed" if origin["version"] is None else "which did not change"
        print(f"{target}: there already, from {shown}, {asked}.")
        return True
    try:
        marks.refuse_others(target, shown)
    except FileExistsError as error:
        raise FileExistsError(f"{error} For instance: {elsewhere}") from None
    if known is not None and not same:
        print(f"{target}: it was made with other choices, so it is made anew.")
    return False


def print_done(target: Path, shown: str) -> None:
    """Say in one line what was brought."""
    count = sum(len(names) for _, _, names in os.walk(target)) - 1  # without the mark
    print(f"{target}: {count:,} file{'s' * (count != 1)} from {shown}.")


def clear_leftovers(target: Path, kept: Path | None = None) -> None:
    """Delete what killed processes left of a folder; none that works on it now has any, see `alone`.

    Args:
        target: the folder.
        kept: what can be resumed.
    """
    leftover = re.compile(re.escape(f".{target.name}.") + r"\w+\.(part|old|fetched)")
    for path in target.parent.iterdir():
        if leftover.fullmatch(path.name) and path != kept:
            shutil.rmtree(path, ignore_errors=True)


def without_ending(name: str) -> str:
    """Return an archive's name without its ending."""
    return name[: -len(ending)] if (ending := _ending(name)) else name


def digest(*parts_of_it: Any) -> str:
    """Return a short name for values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts_of_it).encode()).hexdigest()[:16]


def _ending(name: str) -> str:
    """Return the ending of an archive's name, as a file that is to be written may have it, or nothing."""
    return next((one for one in sorted(archives.ENDINGS, key=len, reverse=True) if name.lower().endswith(one)), "")
