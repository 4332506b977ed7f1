"""A path that is local or in a Cloud Storage bucket (``gs://``), and the few things that records do with one.

`pathlib.Path` makes ``gs:/`` of ``gs://``; both are taken for the same address here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud import storage

AnyPath = str | os.PathLike[str]


def is_remote(path: AnyPath) -> bool:
    """Return whether a path is in a bucket."""
    return os.fspath(path).startswith("gs:/")


def address(path: AnyPath) -> str:
    """Return a path as text: ``gs://bucket/name`` in a bucket, with ``~`` resolved on this machine."""
    text = os.fspath(path)
    if is_remote(text):
        return "gs://" + text.removeprefix("gs:").lstrip("/")
    return os.path.expanduser(text)


def join(folder: AnyPath, name: str) -> str:
    """Return the path of a file in a folder."""
    return f"{address(folder).rstrip('/')}/{name}" if is_remote(folder) else os.path.join(address(folder), name)


def split(path: AnyPath) -> tuple[str, str]:
    """Return the folder of a path, and its last name; the folder of ``gs://bucket/name`` is ``gs://bucket``."""
    if is_remote(path):
        folder, _, name = address(path).removeprefix("gs://").rpartition("/")
        return f"gs://{folder}", name
    folder, name = os.path.split(address(path))
    return folder or ".", name


def read_bytes(path: AnyPath) -> bytes:
    """Return what a file holds.

    Raises:
        FileNotFoundError: there is no such file, or no such bucket.
        OSError: it cannot be read.
    """
    if not is_remote(path):
        with open(address(path), "rb", buffering=0) as file:
            return file.read()
    with _told(path):
        return _blob(path).download_as_bytes(checksum="crc32c")


def read_stamped(path: AnyPath) -> tuple[bytes, tuple[int, int]] | None:
    """Return what a file holds and its `stamp`, or None where it changed while it was read.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    if is_remote(path):
        before, data, after = stamp(path), read_bytes(path), stamp(path)
    else:
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
    with _told(path):
        _blob(path).upload_from_string(data, content_type="application/octet-stream", checksum="crc32c")


def stamp(path: AnyPath) -> tuple[int, int]:
    """Return the size of a file in bytes, and a number that changes when the file does.

    It is the time of the last change in nanoseconds; in a bucket, the object's generation.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be looked at.
    """
    if not is_remote(path):
        return _stamp(os.stat(address(path)))
    with _told(path):
        blob = _blob(path)
        blob.reload()
        return int(blob.size), int(blob.generation)


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
    bucket, _, within = address(folder).removeprefix("gs://").partition("/")
    prefix = f"{within.rstrip('/')}/" if within.strip("/") else ""
    with _told(folder):
        blobs = _client().list_blobs(bucket, prefix=prefix + start, delimiter=None if nested else "/")
        return {blob.name.removeprefix(prefix): int(blob.size) for blob in blobs}


def upload(local: Path, path: AnyPath) -> None:
    """Copy a local file into a bucket; its checksum is compared there.

    Raises:
        OSError: it cannot be written.
    """
    with _told(path):
        _blob(path).upload_from_filename(str(local), content_type="application/octet-stream", checksum="crc32c")


def download(path: AnyPath, local: Path) -> None:
    """Copy a file from a bucket to this machine, and compare its checksum.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    with _told(path):
        _blob(path).download_to_filename(str(local), checksum="crc32c")


def copy(path: AnyPath, other: AnyPath) -> None:
    """Copy a file of a bucket to another name, without its bytes passing through this machine.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be copied.
    """
    with _told(path):
        target, source = _blob(other), _blob(path)
        token, _, _ = target.rewrite(source)
        while token is not None:  # a large file is copied in several calls
            token, _, _ = target.rewrite(source, token=token)


def delete(path: AnyPath) -> None:
    """Delete a file of a bucket; one that is gone already is no error.

    Raises:
        OSError: it cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError), _told(path):
        _blob(path).delete()


@contextlib.contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """Give a local path to read a file from: its own, or that of a copy that is removed afterwards.

    Raises:
        FileNotFoundError: it is in a bucket, and not there.
        OSError: it cannot be read.
    """
    if not is_remote(path):
        yield Path(address(path))
        return
    with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
        local = Path(folder) / split(path)[1]
        download(path, local)
        yield local


# --- Google's client ------------------------------------------------------------------------------


@functools.cache
def _connected(process: int, emulator: str) -> storage.Client:
    """Return a client; each process needs its own, since connections cannot be shared by a fork."""
    from google.auth import credentials
    from google.cloud import storage

    if emulator:  # the client then sends everything there, and must not look for a Google account
        return storage.Client(project=None, credentials=credentials.AnonymousCredentials())
    return storage.Client(project=None)  # files have no need of a project


def _client() -> storage.Client:
    return _connected(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST", ""))


def _blob(path: AnyPath) -> storage.Blob:
    bucket, _, name = address(path).removeprefix("gs://").partition("/")
    if not bucket or not name:
        raise ValueError(f"{address(path)}: a file in a bucket is gs://bucket/name. Give both.")
    return _client().bucket(bucket).blob(name)


@contextlib.contextmanager
def _told(path: AnyPath) -> Iterator[None]:
    """Turn what Google's client raises into an error that says where, what, and what to do."""
    where = address(path)
    try:
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth
        from google.cloud.storage import exceptions as transfer
    except ImportError:
        how = "Install it: pip install 'tfod_helpers[cloud]'"
        raise ModuleNotFoundError(f"{where}: google-cloud-storage is not installed. {how}.") from None
    try:
        yield
    except (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized) as error:
        how = "In Colab run google.colab.auth.authenticate_user(), elsewhere 'gcloud auth application-default login'"
        raise PermissionError(f"{where}: nobody is signed in to Google Cloud ({error}). {how}.") from error
    except api.Forbidden as error:
        how = "Ask its owner for the role 'Storage Object User' on the bucket, or sign in with another account"
        raise PermissionError(f"{where}: this account may not do that ({error.message}). {how}.") from error
    except api.NotFound as error:
        raise FileNotFoundError(f"{where}: not there ({error.message}). Check the bucket and the name.") from error
    except (api.GoogleAPIError, auth.GoogleAuthError, transfer.DataCorruption, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # this machine's own, such as a full disk
            raise
        how = "Check the network and try again"
        raise OSError(f"{where}: Cloud Storage did not do it ({error}). {how}.") from error
