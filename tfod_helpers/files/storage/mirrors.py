"""What is in a bucket, as files of this machine, for code that reads and writes paths.

What is read comes from a mirror: a folder in ``~/.cache/tfod_helpers/buckets`` that is made equal to what is in the
bucket whenever it is asked for, by fetching what changed and removing what is gone. What is written is written on this
machine first, and sent when it is whole. The cache may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfod_helpers.files import workspace
from tfod_helpers.files.storage import files, folders
from tfod_helpers.files.storage.files import Stored
from tfod_helpers.files.storage.paths import AnyPath, address, bucket_and_name, is_remote, split
from tfod_helpers.files.storage.refusals import explained


def local_place(path: AnyPath) -> Path:
    """Return where the mirror of an address is, whether it has been fetched or not; a local path is its own.

    It ends in the bucket and the name, so that an error about a file in it says which one is meant.
    """
    if not is_remote(path):
        return Path(address(path))
    bucket, name = bucket_and_name(path)
    # Each address has a place of its own, so that what is made beside a mirror is in no other mirror.
    own = hashlib.sha256(name.encode()).hexdigest()[:16]
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return workspace.cache_folder().joinpath("buckets", own, bucket, *parts)


def mirror(path: AnyPath, *, around: bool = False) -> Path:
    """Fetch a file or a folder of a bucket, as far as it changed, and return where it is on this machine.

    Args:
        path: ``gs://bucket/name``; a local path comes back as it is.
        around: with a file, fetch the whole folder that it is in, for a reader that looks beside it.

    Raises:
        FileNotFoundError: there is nothing at this address.
        ValueError: a file of the folder has a name that would lead out of it.
        OSError: it cannot be fetched.
    """
    if not is_remote(path):
        return Path(path)
    stored = None
    if bucket_and_name(path)[1]:
        with contextlib.suppress(FileNotFoundError), explained(path):
            stored = files.look(path)
    if stored and around:
        folder, name = split(path)
        return mirror(folder) / name
    place = local_place(path)
    if stored:
        folders.fetch_file(path, stored, place)
        return place
    with explained(path):
        there = files.listed(path)
    if not there:
        look = f"gcloud storage ls gs://{bucket_and_name(path)[0]}"
        raise FileNotFoundError(f"{address(path)}: there is no such file or folder. Check the address: {look}")
    _remove_all_but(place, there)
    folders.download_folder(path, place)
    return place


def _remove_all_but(place: Path, names: Mapping[str, Stored]) -> None:
    for at, inside, here in os.walk(place, topdown=False):
        for path in (Path(at, name) for name in here):
            if path.relative_to(place).as_posix() not in names and not workspace.is_unfinished(path.name):
                path.unlink(missing_ok=True)
        for path in (Path(at, name) for name in inside):
            with contextlib.suppress(OSError):  # it has files in it
                path.rmdir()


@contextlib.contextmanager
def reading(path: AnyPath, *, around: bool = False) -> Iterator[Path]:
    """Give a file or a folder as `mirror` returns it; an error of the block gets a note with the address.

    For readers whose messages name files within the folder. What names nothing else takes `mirror`, and says the path
    that it was given.
    """
    local = mirror(path, around=around)
    try:
        yield local
    except Exception as error:
        if is_remote(path):
            error.add_note(f"{local} is this machine's copy of {address(path)}.")
        raise


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
        files.download(path, local)
        yield local


@contextlib.contextmanager
def whole_file(path: AnyPath) -> Iterator[Path]:
    """Give a temporary path; what was written to it becomes the file at ``path`` when the block ends well.

    Args:
        path: the file to create or replace, here (missing folders are made) or in a bucket.

    Raises:
        OSError: it cannot be written there.
    """
    if not is_remote(path):
        with workspace.whole_file(address(path)) as part:
            yield part
        return
    with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
        part = Path(folder) / split(path)[1]
        yield part
        files.upload(part, path)


@contextlib.contextmanager
def whole_folder(path: AnyPath, *, replaces: bool = False) -> Iterator[Path]:
    """Give a temporary folder to fill, which takes the place of ``path`` when the block ends well.

    The files of a folder appear in a bucket one by one, each whole. Other files of the same folder are not touched:
    where there are some, nothing is sent. So a call that was broken off can be made again.

    Args:
        path: the folder to create or replace, here or in a bucket.
        replaces: files that have other contents in the bucket are replaced; else they count as others.

    Raises:
        FileExistsError: the folder of the bucket has other files.
        OSError: it cannot be written there.
    """
    if not is_remote(path):
        with workspace.whole_folder(address(path)) as part:
            yield part
        return
    with explained(path):
        there = files.listed(path)  # a bucket that cannot be reached stops before the work, not after
    with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
        part = Path(folder)
        yield part
        for name, stored in there.items():
            if not (part / name).is_file() or not (replaces or files.is_equal(part / name, stored)):
                what = f"{address(path)}: there are files here already, such as {name}"
                raise FileExistsError(f"{what}. Choose a new folder.")
        folders.upload_folder(part, path)
