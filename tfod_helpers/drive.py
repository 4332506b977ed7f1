"""Google Drive -> a folder of this machine, and what its errors mean.

Colab shows Drive as a folder. It is a network in disguise: every file costs a question to Google, and the folder can
go away under a running program. So photos are copied to the local disk before they are trained on; see `sources`.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tfod_helpers.problems import FixableError

FOLDER = Path("/content/drive")  # where Colab's own button mounts it
_MOUNTS = Path("/proc/self/mounts")
_STALE = (errno.ENOTCONN, errno.EIO, errno.ESTALE)  # of a mount whose program has ended
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NETWORKS = ("nfs", "nfs4", "cifs", "smb3")
_LOCAL_FUSE = ("fuse.fuse-overlayfs",)  # the disk of some containers
_AGAIN = "Run the cell again"
_ELSEWHERE = "Upload the data instead: sources.local('upload')"
# What Colab's own module says (google/colab/drive.py and _message.py in github.com/googlecolab/colabtools), by a part
# of it; what happened, and what to do.
_REASONS = {
    "credential propagation": (
        "the permission was not given. The window was closed or refused, another account than the notebook's was "
        "chosen, or the browser blocked the window or its cookies",
        f"{_AGAIN}, choose the account that the notebook is open in, and allow all that it asks for. Allow pop-ups and "
        "third-party cookies for colab.research.google.com and accounts.google.com first, or use another browser",
    ),
    "timeout during initial read": (
        "Google took too long to list My Drive, which happens with thousands of files at its top",
        f"{_AGAIN}; where that does not help, move files from the top of My Drive into folders",
    ),
    "domain policy": (
        "the school or company of this account does not allow Drive in other programs",
        f"Use a private account, or ask its administrator. {_ELSEWHERE}",
    ),
    "unsupported in this environment": (
        "this kind of Colab has no Drive",
        "Use a bucket: sources.local('gs://bucket/photos.zip')",
    ),
    "TBE_": ("this runtime is not one of Google's own machines, so it has no Drive", _ELSEWHERE),
    "timed out": ("the browser did not answer", f"Leave the notebook's tab open, and {_AGAIN[0].lower()}{_AGAIN[1:]}"),
    "mount failed": (
        "Drive's own program stopped, as it does when the permission is missing or Google is busy",
        f"{_AGAIN}; where that does not help, choose Runtime > Disconnect and delete runtime, and start anew",
    ),
}


class DriveError(FixableError, OSError):
    """Google Drive that cannot be mounted, read or written; ``where`` is the path."""


def in_colab() -> bool:
    """Say whether this is a Google Colab runtime, without loading anything."""
    return importlib.util.find_spec("google") is not None and importlib.util.find_spec("google.colab") is not None


def mount(folder: str | os.PathLike[str] = FOLDER) -> Path:
    """Mount your Google Drive in Colab; one that is mounted already is taken as it is, without a question.

    Args:
        folder: where to, a folder that is new or empty.

    Returns:
        The folder ``My Drive``.

    Raises:
        DriveError: this is not Colab, the permission was not given, or Drive does not answer.
        FileExistsError: there are other files in the folder.
    """
    folder = Path(folder).expanduser()
    my_drive = folder / "MyDrive"
    stale = _is_stale(folder)
    if not stale and is_mounted(folder) and my_drive.is_dir():
        return my_drive
    if not in_colab():
        fix = "Give a folder or an archive of this machine: sources.local('path/to/photos.zip')"
        raise DriveError(str(folder), "this is not Colab, and only Colab can mount Google Drive", fix)
    if not stale:
        _refuse_files(folder)
    from google.colab import drive

    try:
        drive.mount(str(folder), force_remount=stale)
    except Exception as error:  # its errors are private, and differ from one of its versions to the next
        raise _failed(folder, error) from error
    if not my_drive.is_dir():
        raise DriveError(
            str(folder), "Drive is mounted, and My Drive is not in it", "Restart the runtime, and mount again"
        )
    return my_drive


def is_mounted(folder: str | os.PathLike[str] = FOLDER) -> bool:
    """Whether Drive, or another network's folder, is mounted at a folder, and answers."""
    return _is_network(_mounts().get(os.path.abspath(folder), "")) and not _is_stale(Path(folder))


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


def _is_stale(folder: Path) -> bool:
    try:
        os.listdir(folder)
    except OSError as error:
        return error.errno in _STALE
    return False


def _refuse_files(folder: Path) -> None:
    there = sorted(os.listdir(folder)) if folder.is_dir() else []
    if there:
        what = f"{folder}: Drive is not mounted, and there are files of this machine in its place, {there[0]!r} first"
        fix = f"Move them away and mount again: import shutil; shutil.move('{folder}', '{folder}_not_on_drive')"
        raise FileExistsError(f"{what}. {fix}")


def _failed(folder: Path, error: Exception) -> DriveError:
    said = f"{type(error).__name__}: {error}"
    for part, (what, fix) in _REASONS.items():
        if part.lower() in said.lower():
            return DriveError(str(folder), f"Drive could not be mounted: {what} ({said.rstrip('.')})", fix)
    return DriveError(str(folder), f"Drive could not be mounted ({said})", f"{_AGAIN}. {_ELSEWHERE}")


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
