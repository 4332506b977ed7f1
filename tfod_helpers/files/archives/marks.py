"""What a folder was made from, and whether its files are still those that were put there.

A hidden file in the folder says so. A folder whose files were changed since is never replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MARK = ".unpacked.json"


def read(folder: Path) -> dict[str, Any] | None:
    """Return what a folder was made from, or None where it was not made here."""
    try:
        known = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return {key: value for key, value in known.items() if key != "made"} if known["made"] else None
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None


def write(folder: Path, origin: Mapping[str, Any]) -> None:
    """Say what a folder was made from, once all of its files are there.

    Args:
        folder: the folder.
        origin: what JSON can hold; a change in it means that the folder has to be made again.
    """
    text = json.dumps({**origin, "made": fingerprint(folder)})
    (folder / MARK).write_text(text + "\n", encoding="utf-8")


def refuse_others(folder: Path, name: str) -> None:
    """Raise where a folder holds what cannot be replaced without a loss.

    Args:
        folder: a folder that is new, empty, or was made from something else than is wanted now.
        name: what is wanted now.

    Raises:
        FileExistsError: it has files that were not put there by this package, or were changed since.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if read(folder) is None:
        raise FileExistsError(f"{folder}: there are files here already. Choose another folder for {name}.")
    if is_changed(folder):
        what = f"{folder}: its files were changed since they were put there, and it would be made anew from {name}"
        raise FileExistsError(f"{what}. Choose another folder, or delete this one.")


def is_changed(folder: Path) -> bool:
    """Return whether files were added, taken away or written to since a folder was made here."""
    return json.loads((folder / MARK).read_text(encoding="utf-8"))["made"] != fingerprint(folder)


def fingerprint(folder: Path) -> str:
    """Return what changes when a file is added, taken away or written to."""
    found = hashlib.sha256()
    for name, stat in _files(str(folder), ""):
        found.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="replace"))
    return found.hexdigest()


def _files(folder: str, within: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{within}{entry.name}/")
        elif entry.name != MARK:
            yield within + entry.name, entry.stat(follow_symlinks=False)
