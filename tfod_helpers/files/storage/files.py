"""One file in a bucket: read, written, looked at, copied and deleted, with its checksum compared on the way."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from tfod_helpers.files import workspace
from tfod_helpers.files.storage import client
from tfod_helpers.files.storage.client import blob, patience
from tfod_helpers.files.storage.paths import AnyPath, address, bucket_and_name, is_remote, split
from tfod_helpers.files.storage.refusals import explained

if TYPE_CHECKING:
    from google.cloud import storage
    from tqdm.utils import CallbackIOWrapper

_PIECE = 1 << 20
_UPLOAD_PIECE = 16 << 20  # bytes of a large file that are in memory at once; a broken connection costs so many
_REPLACED = 5  # times that a file may be replaced while it is fetched

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Stored:
    """What a bucket knows of a file.

    Attributes:
        size: in bytes, as stored.
        crc32c: its checksum, in base64 as Google writes it.
        generation: which version of the file it is.
        packed: whether it is stored with gzip (``Content-Encoding``) and to be read unpacked.
    """

    size: int
    crc32c: str
    generation: int
    packed: bool

    @classmethod
    def of(cls, found: storage.Blob) -> Stored:
        """Return what a listing or a look at a file found."""
        return cls(int(found.size), found.crc32c or "", int(found.generation), found.content_encoding == "gzip")


def crc32c(file: IO[bytes] | CallbackIOWrapper) -> str:
    """Return the checksum of a file from its beginning, in base64 as Google writes it."""
    import google_crc32c

    found = google_crc32c.Checksum()
    file.seek(0)
    while piece := file.read(_PIECE):
        found.update(piece)
    return base64.b64encode(found.digest()).decode()


def is_equal(path: Path, stored: Stored) -> bool:
    """Return whether a file of this machine holds what one in a bucket does."""
    if not path.is_file() or path.stat().st_size != stored.size:
        return False
    with path.open("rb") as file:
        return crc32c(file) == stored.crc32c


def look(path: AnyPath) -> Stored:
    """Return what the bucket knows of a file; call it within `refusals.explained`."""
    found = blob(path)
    found.reload(**patience())
    return Stored.of(found)


def of_one_version(path: AnyPath, make: Callable[[Stored], _Made], stored: Stored | None = None) -> _Made:
    """Return what is made of one version of a file; of a newer one where somebody replaced it meanwhile.

    Args:
        path: its address.
        make: fetches a version, and fails where it is there no more.
        stored: the version to begin with; left out, the newest.

    Raises:
        FileNotFoundError: there is no such file, or it was deleted meanwhile.
        OSError: it cannot be read, or is replaced again and again.
    """
    for number in range(1, _REPLACED + 1):
        with explained(path):
            stored = stored or look(path)
        try:
            with explained(path):
                return make(stored)
        except Exception:
            with explained(path):
                newer = look(path)
            if newer == stored or number == _REPLACED:
                raise
            stored = newer
    raise AssertionError


def fetch(path: AnyPath, stored: Stored, file: IO[bytes] | CallbackIOWrapper) -> None:
    """Fetch one version of a file and prove it; call it within `refusals.explained`.

    Google's client compares no checksum where it went on after a broken connection, so it is done here, over the
    whole file.

    Args:
        path: its address.
        stored: which version.
        file: open to read and write; it is empty, or holds the beginning of these bytes.
    """
    from google.cloud.storage.exceptions import DataCorruption

    bucket, name = bucket_and_name(path)
    version = client.client().bucket(bucket).blob(name, generation=stored.generation)
    for _ in range(client.TRIES):
        if (start := file.seek(0, os.SEEK_END)) < stored.size:
            version.download_to_file(file, start=start or None, raw_download=True, checksum=None, **patience())
        if file.seek(0, os.SEEK_END) == stored.size and crc32c(file) == stored.crc32c:
            if stored.packed:
                _unpack(file)
            return
        file.seek(0)
        file.truncate()
    raise DataCorruption(None, "crc32c")


def _unpack(file: IO[bytes] | CallbackIOWrapper) -> None:
    file.seek(0)
    data = gzip.decompress(file.read())
    file.seek(0)
    file.truncate()
    file.write(data)


def send(path: AnyPath, file: IO[bytes] | CallbackIOWrapper, size: int, content_type: str | None = None) -> None:
    """Write a file, whole or not at all; the server compares the checksum. Call it within `refusals.explained`.

    Args:
        path: its address.
        file: its bytes, from the beginning.
        size: how many.
        content_type: such as ``image/jpeg``; None takes what the name's ending says.
    """
    import mimetypes

    target = blob(path)
    target.chunk_size = _UPLOAD_PIECE
    kind = content_type or mimetypes.guess_type(split(path)[1])[0] or "application/octet-stream"
    for number in range(1, client.TRIES + 1):
        file.seek(0)
        try:
            target.upload_from_file(file, size=size, content_type=kind, checksum="crc32c", **patience())
            return
        except Exception as error:
            if number == client.TRIES or not client.is_wrong_checksum(error):
                raise


def read_bytes(path: AnyPath) -> bytes:
    """Return what a file holds.

    Raises:
        FileNotFoundError: there is no such file, or no such bucket.
        OSError: it cannot be read.
    """
    if not is_remote(path):
        with open(address(path), "rb", buffering=0) as file:
            return file.read()
    return _read(path)[0]


def _read(path: AnyPath) -> tuple[bytes, Stored]:
    def one(stored: Stored) -> tuple[bytes, Stored]:
        file = io.BytesIO()
        fetch(path, stored, file)
        return file.getvalue(), stored

    return of_one_version(path, one)


def read_stamped(path: AnyPath) -> tuple[bytes, tuple[int, int]] | None:
    """Return what a file holds and its `stamp`, or None where it changed while it was read.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    if is_remote(path):
        data, stored = _read(path)  # of one version, whatever comes after it
        return data, (stored.size, stored.generation)
    with open(address(path), "rb", buffering=0) as file:
        before = _stamp(os.fstat(file.fileno()))
        data = file.read()
        after = _stamp(os.fstat(file.fileno()))
    return (data, before) if before == after and before[0] == len(data) else None


def write_bytes(path: AnyPath, data: bytes) -> None:
    """Write a file in a bucket, whole or not at all; on this machine `workspace.whole_file` does it.

    Raises:
        OSError: it cannot be written.
    """
    with explained(path):
        send(path, io.BytesIO(data), len(data))


def stamp(path: AnyPath) -> tuple[int, int]:
    """Return the size of a file in bytes, and a number that changes when the file does.

    It is the time of the last change in nanoseconds; in a bucket, the object's generation.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be looked at.
    """
    if not is_remote(path):
        return _stamp(os.stat(address(path)))
    with explained(path):
        stored = look(path)
        return stored.size, stored.generation


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def sizes(folder: AnyPath, start: str = "", nested: bool = False) -> dict[str, int]:
    """Return the files of a folder of a bucket, with their sizes in bytes.

    Args:
        folder: ``gs://bucket/folder``.
        start: what their names begin with.
        nested: also those of the folders in it, such as ``folder/name``.

    Raises:
        FileNotFoundError: there is no such bucket.
        OSError: it cannot be listed.
    """
    with explained(folder):
        return {name: found.size for name, found in listed(folder, start, nested).items()}


def stamps(folder: AnyPath) -> dict[str, tuple[int, int]]:
    """Return the files of a folder of a bucket and of those in it, each with its `stamp`.

    Raises:
        FileNotFoundError: there is no such bucket.
        OSError: it cannot be listed.
    """
    with explained(folder):
        return {name: (found.size, found.generation) for name, found in listed(folder).items()}


def versions(folder: AnyPath) -> dict[str, Stored]:
    """Return what the bucket knows of the files of a folder and of those in it.

    Raises:
        FileNotFoundError: there is no such bucket.
        OSError: it cannot be listed.
    """
    with explained(folder):
        return listed(folder)


def listed(folder: AnyPath, start: str = "", nested: bool = True) -> dict[str, Stored]:
    """Return what the bucket knows of the files of a folder, by name; call it within `refusals.explained`.

    Args:
        folder: ``gs://bucket/folder``.
        start: what their names begin with.
        nested: also those of the folders in it.
    """
    bucket, within = bucket_and_name(folder)
    prefix = f"{within}/" if within else ""
    found = client.client().list_blobs(
        bucket,
        prefix=prefix + start,
        delimiter=None if nested else "/",
        fields="items(name,size,crc32c,generation,contentEncoding),nextPageToken",
        **patience(),
    )
    # A name that ends in a slash is no file: web pages make one to show an empty folder.
    return {one.name.removeprefix(prefix): Stored.of(one) for one in found if not one.name.endswith("/")}


def upload(local: Path, path: AnyPath) -> None:
    """Copy a local file into a bucket; its checksum is compared there.

    Raises:
        OSError: it cannot be written.
    """
    with explained(path), open(local, "rb") as file:
        send(path, file, os.fstat(file.fileno()).st_size)


def download(path: AnyPath, local: Path) -> None:
    """Copy a file from a bucket to this machine, whole or not at all, and compare its checksum.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """

    def one(stored: Stored) -> None:
        with workspace.whole_file(local) as part, part.open("r+b") as file:
            fetch(path, stored, file)

    of_one_version(path, one)


def copy(path: AnyPath, other: AnyPath) -> None:
    """Copy a file of a bucket to another name, without its bytes passing through this machine.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be copied.
    """
    with explained(path):
        target, source = blob(other), blob(path)
        token, _, _ = target.rewrite(source, **patience())
        while token is not None:  # a large file is copied in several calls
            token, _, _ = target.rewrite(source, token=token, **patience())


def delete(path: AnyPath) -> None:
    """Delete a file of a bucket; one that is gone already is no error.

    Raises:
        OSError: it cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError), explained(path):
        blob(path).delete(**patience())
