"""A folder that others may write to meanwhile: of this machine, of Drive or another mounted store, of a bucket."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tfod_helpers.files import mounts, storage, workspace

_REPLACED = 5  # times that a file may be replaced while it is copied


class Version(Protocol):
    """What tells one version of a file from another."""

    @property
    def size(self) -> int:
        """In bytes."""


class _Stat(NamedTuple):
    """A version of a file of a mounted store."""

    size: int
    changed: int


class _ReplacedError(Exception):
    """A file was replaced while it was copied."""


class MountedFolder:
    """A folder of a store that is mounted into this machine's file system, such as Drive; it need not exist yet.

    Attributes:
        address: of the folder. Names are relative to it, with ``/``.
    """

    def __init__(self, address: str) -> None:
        """Take the address of a folder."""
        self.address = address

    def files(self) -> Mapping[str, Version]:
        """Return the files in it, at any depth, without hidden and unfinished ones; none where there is no folder."""

        def stop(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):  # it may be gone meanwhile
                raise error

        found = {}
        with mounts.explained(self.address):
            for at, folders, names in os.walk(self.address, onerror=stop):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for path in (Path(at, name) for name in names if not name.startswith(".")):
                    with contextlib.suppress(FileNotFoundError):
                        found[path.relative_to(self.address).as_posix()] = _stat(path)
        return found

    def read(self, name: str) -> bytes | None:
        """Return what a file holds, or None where it is not there."""
        with contextlib.suppress(FileNotFoundError), mounts.explained(self.address):
            return (Path(self.address) / name).read_bytes()
        return None

    def get(self, name: str, path: Path, version: Any = None) -> None:
        """Copy a file to this machine, whole, unless the same one is there.

        Args:
            name: of the file.
            path: of the copy.
            version: that `files` has shown, where it did. Where the file was replaced since, the newer one is taken.

        Raises:
            FileNotFoundError: it is not there, or not any more.
            OSError: it cannot be read.
        """
        source = Path(self.address) / name
        with mounts.explained(self.address):
            for _ in range(_REPLACED):
                before = _stat(source)
                if path.is_file() and _stat(path) == before:
                    return
                with contextlib.suppress(_ReplacedError), workspace.whole_file(path) as part:
                    shutil.copyfile(source, part)
                    if _stat(source) != before or part.stat().st_size != before.size:
                        raise _ReplacedError
                    os.utime(part, ns=(before.changed, before.changed))  # by which it is known again
                    return
        raise OSError(f"{source}: it changes again and again while it is read. Try again when nothing writes it.")

    def put(self, path: Path, name: str) -> None:
        """Copy a file of this machine there, whole or not at all."""
        with mounts.explained(self.address, writing=True), workspace.whole_file(Path(self.address) / name) as part:
            shutil.copyfile(path, part)

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is no error."""
        with mounts.explained(self.address):
            (Path(self.address) / name).unlink(missing_ok=True)


class OwnFolder(MountedFolder):
    """A folder of this machine's disk, whose files are copied by a link: nothing but their deletion is waited for."""

    def get(self, name: str, path: Path, version: Any = None) -> None:
        """See `MountedFolder`."""
        source = Path(self.address) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(source, path)
        except FileNotFoundError:
            raise
        except OSError:  # no links on this file system, or from there to here
            super().get(name, path, version)


class BucketFolder:
    """A folder of a Cloud Storage bucket, with the methods of `MountedFolder`.

    Attributes:
        address: of the folder.
    """

    def __init__(self, address: str) -> None:
        """Take the address of a folder."""
        self.address = address

    def files(self) -> Mapping[str, Version]:
        """See `MountedFolder`."""
        there = storage.versions(self.address)
        return {name: one for name, one in there.items() if not any(part[:1] == "." for part in name.split("/"))}

    def read(self, name: str) -> bytes | None:
        """See `MountedFolder`."""
        with contextlib.suppress(FileNotFoundError):
            return storage.read_bytes(storage.join(self.address, name))
        return None

    def get(self, name: str, path: Path, version: Any = None) -> None:
        """See `MountedFolder`."""
        storage.refresh(storage.join(self.address, name), path, version)

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


def _stat(path: Path) -> _Stat:
    stat = path.stat()
    return _Stat(stat.st_size, stat.st_mtime_ns)
