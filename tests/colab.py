"""A ``google.colab`` as small as the tests need it, which fails with the real one's errors.

The real one (github.com/googlecolab/colabtools) runs on Colab's machines only: its Drive is a program of theirs.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tfod_helpers import drive
from tfod_helpers.files import mounts

_FILES = {
    "errors": "class Error(Exception):\n    pass\n",
    "_message": "from google.colab import errors\n\nclass MessageError(errors.Error):\n    pass\n",
    "drive": """
import os
from google.colab import _message
mounts, questions, remounts, fails = None, 0, 0, None

def mount(mountpoint, force_remount=False, timeout_ms=120000):
    global questions, remounts
    questions += 1  # the permission is asked for before anything else
    if fails is not None:
        raise fails
    if not force_remount and os.path.isdir(mountpoint) and os.listdir(mountpoint):
        raise ValueError("Mountpoint must not already contain files")
    remounts += force_remount
    os.makedirs(os.path.join(mountpoint, "MyDrive"), exist_ok=True)
    with open(mounts, "a") as file:
        file.write(f"drive {mountpoint} fuse.drive rw,nosuid 0 0\\n")
""",
    "files": """
from google.colab import _message
chosen, fails, asked = {}, None, 0

def upload():
    global asked
    asked += 1
    if fails is not None:
        raise fails
    for name, data in chosen.items():
        with open(name, "ab") as file:
            file.write(data)
    return dict(chosen)
""",
    "userdata": """
from google.colab import errors
secrets, closed = {}, set()

class NotebookAccessError(Exception):
    pass

class SecretNotFoundError(errors.Error):
    pass

def get(key):
    if key in closed:
        raise NotebookAccessError(f"Notebook does not have access to secret {key}")
    if key not in secrets:
        raise SecretNotFoundError(f"Secret {key} does not exist.")
    return secrets[key]
""",
}


class Colab:
    """The modules of the small ``google.colab``, and where it mounts.

    Attributes:
        folder: where Drive is mounted, when it is.
        drive: with ``fails``, ``questions`` and ``remounts``.
        files: with ``chosen``, ``fails`` and ``asked``.
        userdata: with ``secrets`` and ``closed``.
        message_error: what it raises where the browser says no.
    """

    drive: ModuleType
    files: ModuleType
    userdata: ModuleType

    def __init__(self, folder: Path) -> None:
        from google.colab import _message, files, userdata
        from google.colab import drive as colab_drive

        self.folder, self.drive, self.files, self.userdata = folder, colab_drive, files, userdata
        self.message_error = _message.MessageError


def install(place: Path, patch: pytest.MonkeyPatch) -> Colab:
    """Make this machine look like Colab, with nothing mounted at ``place / "drive"``."""
    package = place / "modules" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, code in _FILES.items():
        (package / f"{name}.py").write_text(code)
    ours = ("google.colab", *(f"google.colab.{name}" for name in _FILES))
    if importlib.util.find_spec("google") is None:
        ours = ("google", *ours)
    patch.syspath_prepend(str(place / "modules"))
    for name in ours:
        patch.setitem(sys.modules, name, None)  # what the next line takes away comes back as it was, which is not there
        del sys.modules[name]
    import google

    patch.setattr(google, "colab", None, raising=False)
    del google.colab
    mounts_nothing(place, patch)
    patch.setattr(drive, "FOLDER", place / "drive")
    colab = Colab(place / "drive")
    colab.drive.mounts = str(place / "mounts")
    return colab


def mounts_nothing(place: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this machine have a list of mounts that a test writes."""
    (place / "mounts").write_text("/dev/sda1 / ext4 rw 0 0\n")
    patch.setattr(mounts, "_MOUNTS", place / "mounts")


def mount(place: Path, folder: Path) -> None:
    """Let a folder look like one of Drive."""
    with (place / "mounts").open("a") as file:
        file.write(f"drive {str(folder).replace(' ', chr(92) + '040')} fuse.drive rw 0 0\n")
