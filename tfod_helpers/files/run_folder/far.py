"""A folder that is not this machine's: of Drive, of another mounted store, or of a bucket; a few acts on its files."""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from tfod_helpers import drive
from tfod_helpers.files import storage, workspace


class Far(ABC):
    """A folder elsewhere. Names are relative to it, with ``/``.

    Attributes:
        address: of the folder.
    """

    def __init__(self, address: str) -> None:
        """Speak to a folder, which need not exist yet."""
        self.address = address

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return the files in it, at any depth, with their sizes in bytes; none where there is no such folder."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return what a file holds, or None where it is not there."""

    @abstractmethod
    def get(self, name: str, path: Path) -> None:
        """Copy a file to this machine."""

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Copy a file of this machine there, whole or not at all."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is no error."""


class Mounted(Far):
    """A folder of a store that is mounted into this machine's file system, such as Drive."""

    def sizes(self) -> dict[str, int]:
        """See `Far`."""
        base = Path(self.address)
        with drive.told(base):
            found = [path for path in base.rglob("*") if path.is_file() and not path.name.endswith(".part")]
            return {path.relative_to(base).as_posix(): path.stat().st_size for path in found}

    def read(self, name: str) -> bytes | None:
        """See `Far`."""
        with contextlib.suppress(FileNotFoundError), drive.told(self.address):
            return (Path(self.address) / name).read_bytes()
        return None

    def get(self, name: str, path: Path) -> None:
        """See `Far`."""
        with drive.told(self.address):
            shutil.copyfile(Path(self.address) / name, path)

    def put(self, path: Path, name: str) -> None:
        """See `Far`."""
        with drive.told(self.address, writing=True), workspace.whole_file(Path(self.address) / name) as part:
            shutil.copyfile(path, part)

    def delete(self, name: str) -> None:
        """See `Far`."""
        with drive.told(self.address):
            (Path(self.address) / name).unlink(missing_ok=True)


class InBucket(Far):
    """A folder of a Cloud Storage bucket."""

    def sizes(self) -> dict[str, int]:
        """See `Far`."""
        return storage.sizes(self.address, nested=True)

    def read(self, name: str) -> bytes | None:
        """See `Far`."""
        with contextlib.suppress(FileNotFoundError):
            return storage.read_bytes(storage.join(self.address, name))
        return None

    def get(self, name: str, path: Path) -> None:
        """See `Far`."""
        storage.download(storage.join(self.address, name), path)

    def put(self, path: Path, name: str) -> None:
        """See `Far`."""
        storage.upload(path, storage.join(self.address, name))

    def delete(self, name: str) -> None:
        """See `Far`."""
        storage.delete(storage.join(self.address, name))


def of(path: storage.AnyPath) -> Far | None:
    """Return the folder at a path where it is far, and None where it is on a disk of this machine."""
    if storage.is_remote(path):
        return InBucket(storage.address(path).rstrip("/"))
    local = os.path.abspath(storage.address(path))
    return Mounted(local) if drive.far_kind(local).startswith("fuse") else None
