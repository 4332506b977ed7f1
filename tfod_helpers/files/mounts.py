"""Folders of other machines that are mounted here, as Drive is in Colab: which ones, and what their errors mean."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tfod_helpers.problems import FixableError

_MOUNTS = Path("/proc/self/mounts")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NETWORKS = ("nfs", "nfs4", "cifs", "smb3")
_LOCAL_FUSE = ("fuse.fuse-overlayfs",)  # the disk of some containers


class DriveError(FixableError, OSError):
    """Google Drive that cannot be mounted, read or written; ``where`` is the path."""


def is_mounted(folder: str | os.PathLike[str]) -> bool:
    """Whether Drive, or another network's folder, is mounted at a folder."""
    return _is_network(_mounts().get(os.path.abspath(folder), ""))


def is_on_network(path: str | os.PathLike[str]) -> bool:
    """Whether a path lies on Drive or another network, where every file takes long to open."""
    return bool(network_kind(path))


def network_kind(path: str | os.PathLike[str]) -> str:
    """Return the kind of the file system of a path on Drive or another network; empty where it is on a disk here.

    Those that begin with ``fuse`` are Drive, buckets and the like, where a file cannot be replaced in one act.
    """
    path = Path(os.path.realpath(Path(path).expanduser()))  # a link of this machine may lead there
    mounts = _mounts()
    kind = next((mounts[str(folder)] for folder in (path, *path.parents) if str(folder) in mounts), "")
    return kind if _is_network(kind) else ""


@contextlib.contextmanager
def explained(path: str | os.PathLike[str], *, writing: bool = False) -> Iterator[None]:
    """Turn what the system says of a file on Drive into an error that says what happened, and what to do.

    Args:
        path: what is read or written in the block.
        writing: it is written, so that it is Drive where a full disk is one.
    """
    try:
        yield
    except DriveError:
        raise
    except OSError as error:
        where = error.filename or path
        if isinstance(error, FileNotFoundError):
            raise missing(where) from error
        if writing and error.errno in _FULL:
            what = "your Google Drive is full"
            fix = "Delete files at https://drive.google.com/drive/quota, also from its bin, and run the cell again"
        elif error.errno in (errno.ENOTCONN, errno.ESTALE):
            what = f"Drive was mounted and does not answer any more ({error.strerror})"
            fix = "Mount it again, which resumes where it stopped: drive.mount()"
        elif error.errno == errno.EIO:
            what = f"Drive did not give the file ({error.strerror}), as after many readings of it in one day"
            fix = "Wait some minutes and run the cell again, or make a copy of the file in Drive and read that"
        else:
            raise
        raise DriveError(str(where), what, fix) from error


def missing(path: str | os.PathLike[str]) -> FileNotFoundError:
    """Return the error for a file that is not there, with what is there instead."""
    path = Path(os.path.abspath(path))
    folder = next((one for one in path.parents if one.is_dir()), path.parent)
    name = path.relative_to(folder).parts[0]
    try:
        there = sorted(one for one in os.listdir(folder) if not one.startswith("."))
    except OSError:
        there = []
    folded = {one.casefold(): one for one in there}
    near = [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
    shown = ", ".join(repr(one) for one in near or there[:5]) + (", ..." if not near and len(there) > 5 else "")
    what = f"{path}: it is not there. " + (f"In {folder} there is {shown}." if there else f"{folder} is empty.")
    if is_on_network(folder):
        what += " What somebody shared with you shows here only by a shortcut: in Drive, right-click it, Organise,"
        what += " Add shortcut, My Drive."
    return FileNotFoundError(what)


def _is_network(kind: str) -> bool:
    return kind in _NETWORKS or (kind.startswith("fuse") and kind != "fuseblk" and kind not in _LOCAL_FUSE)


def _mounts() -> dict[str, str]:
    """Return what is mounted on this machine: the folder -> the kind of its file system."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # other systems than Linux
        return {}
    fields = [line.split(" ") for line in lines]
    return {_unescaped(field[1]): field[2] for field in fields if len(field) > 2}


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
