"""The bytes of a download that came so far, kept for this process and for the next.

They gather beside the target in a hidden file, ``.name.part``; another, ``.name.part.json``, says which version of
which file they belong to.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any

from tfod_helpers.files import workspace

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)  # of file systems that know none


@dataclass(frozen=True)
class Part:
    """What is there of one file.

    Attributes:
        path: where its bytes are.
        address: where they come from.
    """

    path: Path
    address: str

    @property
    def note(self) -> Path:
        """The file that says which version the bytes belong to."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size

    def known(self) -> dict[str, Any]:
        """Return ``version``, ``total`` bytes and ``md5`` of the file, as far as the server told them.

        Without a version it cannot be said that the next bytes belong to those that are there.
        """
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self.note.read_text(encoding="utf-8"))
            if known["address"] == self.address:
                return known
        return {"version": None, "total": None, "md5": None}

    def describe(self, headers: HTTPMessage, total: int | None) -> None:
        """Keep what a server tells of a file whose bytes are about to come."""
        tag = headers.get("ETag", "")
        # A weak tag (RFC 9110, 8.8.1) promises an equal meaning, not equal bytes.
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        told = re.search(r"md5=([\w+/=]+)", ", ".join(headers.get_all("x-goog-hash") or []))
        md5 = base64.b64decode(told[1]).hex() if told else None
        with workspace.whole_file(self.note) as note:
            facts = {"address": self.address, "version": version, "total": total, "md5": md5}
            note.write_text(json.dumps(facts) + "\n", encoding="utf-8")

    def discard(self) -> None:
        """Forget what came so far."""
        # First the bytes: a kill in between must not leave bytes of one version with the note of another.
        os.truncate(self.path, 0)
        self.note.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the file its name."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self.note.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: Path, address: str) -> Iterator[Part]:
    """Give the part of a file, kept from other processes; one that is killed lets go of it.

    Args:
        path: the file that is to be made.
        address: where from.
    """
    # Where processes cannot be kept from each other, each has a part of its own.
    own = "" if fcntl else f".{os.getpid()}"
    part = Part(path.with_name(f".{path.name}{own}.part"), address)
    with alone(part.path.with_name(f"{part.path.name}.lock"), path.name):
        part.path.touch()
        try:
            yield part
        finally:
            if part.path.exists() and not part.size:
                part.note.unlink(missing_ok=True)
                part.path.unlink()


@contextlib.contextmanager
def alone(lock: Path, name: str) -> Iterator[None]:
    """Hold a file that one process at a time can hold.

    It is a file apart, because HDF5 locks what it reads, and would take the part for a file in use.

    Args:
        lock: the file, which is there for as long as it is held.
        name: what another process, which has to wait, calls the thing that is made meanwhile.
    """
    while True:
        with lock.open("ab") as file:
            _lock(file, name)
            # The one who held it took it away in the end; who waited for that one has to ask for the next.
            if not lock.exists() or not os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                continue
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # Windows keeps what is open
                    lock.unlink()
            return


def _lock(file: IO[bytes], name: str) -> None:
    if fcntl is None:
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: another process is downloading it; waiting.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
