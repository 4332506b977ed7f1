"""Google Drive -> a folder of this machine.

Colab shows Drive as a folder. It is a network in disguise: every file costs a question to Google, and the folder can
go away under a running program. So photos are copied to the local disk before they are trained on; see `sources`.
"""

from __future__ import annotations

import errno
import importlib.util
import os
from pathlib import Path

from tfod_helpers.files import mounts
from tfod_helpers.files.mounts import DriveError

__all__ = ["FOLDER", "DriveError", "in_colab", "is_mounted", "mount"]

FOLDER = Path("/content/drive")  # where Colab's own button mounts it
_STALE = (errno.ENOTCONN, errno.EIO, errno.ESTALE)  # of a mount whose program has ended
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
    return mounts.is_mounted(folder) and not _is_stale(Path(folder))


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
    shown = f"{type(error).__name__}: {error}"
    for part, (what, fix) in _REASONS.items():
        if part.lower() in shown.lower():
            return DriveError(str(folder), f"Drive could not be mounted: {what} ({shown.rstrip('.')})", fix)
    return DriveError(str(folder), f"Drive could not be mounted ({shown})", f"{_AGAIN}. {_ELSEWHERE}")
