"""A folder that is not on a disk of this machine: of Drive, of another mounted store, or of a bucket."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from tfod_helpers.files import mounts, storage, workspace


class MountedFolder:
    """A folder of a store that is mounted into this machine's file system, such as Drive; it need not exist yet.

    Attributes:
        address: of the folder. Names are relative to it, with ``/``.
    """

    def __init__(self, address: str) -> None:
        """Take the address of a folder."""
        self.address = address

    def sizes(self) -> dict[str, int]:
        """Return the files in it, at any depth, with their sizes in bytes; none where there is no such folder."""
        base = Path(self.address)
        with mounts.explained(base):
            found = [path for path in base.rglob("*") if path.is_file() and not path.name.endswith(".part")]
            return {path.relative_to(base).as_posix(): path.stat().st_size for path in found}

    def read(self, name: str) -> bytes | None:
        """Return what a file holds, or None where it is not there."""
        with contextlib.suppress(FileNotFoundError), mounts.explained(self.address):
            return (Path(self.address) / name).read_bytes()
        return None

    def get(self, name: str, path: Path) -> None:
        """Copy a file to this machine."""
        with mounts.explained(self.address):
            shutil.copyfile(Path(self.address) / name, path)

    def put(self, path: Path, name: str) -> None:
        """Copy a file of this machine there, whole or not at all."""
        with mounts.explained(self.address, writing=True), workspace.whole_file(Path(self.address) / name) as part:
            shutil.copyfile(path, part)

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is no error."""
        with mounts.explained(self.address):
            (Path(self.address) / name).unlink(missing_ok=True)


class BucketFolder:
    """A folder of a Cloud Storage bucket, with the methods of `MountedFolder`.

    Attributes:
        address: of the folder.
    """

    def __init__(self, address: str) -> None:
        """Take the address of a folder."""
        self.address = address

    def sizes(self) -> dict[str, int]:
        """See `MountedFolder`."""
        return storage.sizes(self.address, nested=True)

    def read(self, name: str) -> bytes | None:
        """See `MountedFolder`."""
        with contextlib.suppress(FileNotFoundError):
            return storage.read_bytes(storage.join(self.address, name))
        return None

    def get(self, name: str, path: Path) -> None:
        """See `MountedFolder`."""
        storage.download(storage.join(self.address, name), path)

    def put(self, path: Path, name: str) -> None:
        """See `MountedFolder`."""
        storage.upload(path, storage.join(self.address, name))

    def delete(self, name: str) -> None:
        """See `MountedFolder`."""
        storage.delete(storage.join(self.address, name))


RemoteFolder = MountedFolder | BucketFolder


def of(path: storage.AnyPath) -> RemoteFolder | None:
    """Return the folder at a path where it is remote, and None where it is on a disk of this machine."""
    if storage.is_remote(path):
        return BucketFolder(storage.address(path).rstrip("/"))
    local = os.path.abspath(storage.address(path))
    return MountedFolder(local) if mounts.network_kind(local).startswith("fuse") else None
