"""A folder of this machine <-> a folder in a bucket: many files at once, each whole and proved by its checksum.

What is there already and equal, by size and CRC32C, is passed over, so that a copy that was broken off is finished by
the same call. What else is in the target stays as it is: nothing is deleted.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tqdm import tqdm
from tqdm.utils import CallbackIOWrapper

from tfod_helpers.files import workspace
from tfod_helpers.files.storage import files
from tfod_helpers.files.storage.files import Stored
from tfod_helpers.files.storage.paths import AnyPath, address, is_remote, join
from tfod_helpers.files.storage.refusals import explained

_THREADS = 8  # as many as Google's client has connections for without opening new ones (10)
_MOST_FAILURES = 10  # files; the reason is then one that all share, such as a right that is missing
_SHOWN = 5  # failures that an error lists before it counts the rest
_LARGE = 8 << 20  # bytes: of a larger file, what came is kept for the next call
_LONGEST_NAME = 1024  # bytes, as Cloud Storage allows


@dataclass(frozen=True)
class Transferred:
    """What a copy of a folder did.

    Attributes:
        copied: how many files.
        bytes: of the files that were copied.
        present: how many files were there already, and equal.
    """

    copied: int
    bytes: int
    present: int

    def __str__(self) -> str:
        return f"{self.copied:,} files copied ({self.bytes / 1e6:,.1f} MB), {self.present:,} were there already"


class TransferError(OSError):
    """A copy of a folder of which files are missing; those that are there are whole.

    Attributes:
        failures: the address of each file that could not be copied, and why.
        present: how many files are there.
        total: how many there should be.
    """

    def __init__(self, folder: str, failures: Mapping[str, Exception], present: int, total: int) -> None:
        self.failures, self.present, self.total = dict(failures), present, total
        lines = [f"{folder}: {len(failures)} file{'s' * (len(failures) != 1)} could not be copied:"]
        lines += [f"  {error}" for error in list(failures.values())[:_SHOWN]]
        if len(failures) > _SHOWN:
            lines.append(f"  ... and {len(failures) - _SHOWN} more, all in this error's .failures")
        lines.append(f"{present:,} of {total:,} files are there; run it again and only the rest is copied.")
        super().__init__("\n".join(lines))


def upload_folder(local: AnyPath, folder: AnyPath, *, threads: int = _THREADS) -> Transferred:
    """Copy a folder of this machine into a bucket, with all folders in it.

    Links are followed. What a write of this package left that was broken off (``.name.part``) stays here.

    Args:
        local: the folder of this machine.
        folder: ``gs://bucket/folder``; other files in it stay.
        threads: how many files are on their way at once.

    Raises:
        FileNotFoundError: there is no such folder, or no such bucket.
        ValueError: there are no files, or one whose name cannot be one in a bucket.
        TransferError: some files could not be sent; it names them and says what to do.
        OSError: the bucket cannot be reached.
    """
    root = _checked_sides(local, folder)
    sizes = dict(_local_files(root))
    if not sizes:
        raise ValueError(f"{root}: there are no files in this folder to copy. Check the path.")
    with explained(folder):
        there = files.listed(folder)

    def send(name: str, bar: tqdm) -> bool:
        if name in there and files.is_equal(root / name, there[name]):
            bar.update(sizes[name])
            return False
        with explained(join(folder, name)), (root / name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            files.send(join(folder, name), CallbackIOWrapper(bar.update, file, "read"), size)
            return True

    return _move_all(address(folder), "Uploading", sizes, send, threads)


def download_folder(folder: AnyPath, local: AnyPath, *, threads: int = _THREADS) -> Transferred:
    """Copy a folder of a bucket to this machine, with all folders in it; each file appears whole or not at all.

    Args:
        folder: ``gs://bucket/folder``.
        local: the folder of this machine, made where it is missing; other files in it stay.
        threads: how many files are on their way at once.

    Raises:
        FileNotFoundError: there are no files in the folder, or there is no such bucket.
        ValueError: a file's name would lead out of the local folder, or cannot be one here.
        TransferError: some files could not be fetched; it names them and says what to do.
        OSError: the bucket cannot be reached, or the disk is too small.
    """
    root = _checked_sides(local, folder)
    with explained(folder):
        there = files.listed(folder)
    if not there:
        look = f"gcloud storage ls {address(folder)}"
        raise FileNotFoundError(f"{address(folder)}: there are no files in this folder of the bucket. Check it: {look}")
    _refuse_unsafe(folder, there)
    root.mkdir(parents=True, exist_ok=True)
    missing = [one.size for name, one in there.items() if not _is_as_large(root / name, one)]

    def fetch(name: str, bar: tqdm) -> bool:
        return fetch_file(join(folder, name), there[name], root / name, bar)

    sizes = {name: one.size for name, one in there.items()}
    with workspace.room_for(address(folder), root, sum(missing)):
        return _move_all(address(folder), "Downloading", sizes, fetch, threads)


# --- all files ------------------------------------------------------------------------------------


def _move_all(
    folder: str, doing: str, sizes: Mapping[str, int], move: Callable[[str, tqdm], bool], threads: int
) -> Transferred:
    """Move every file in threads; what fails is raised in the end, when the others are done.

    Args:
        folder: the address of the folder in the bucket.
        doing: what the progress bar calls it.
        sizes: the files by name, with their sizes in bytes.
        move: moves one file, and adds its bytes to the bar; returns whether it was not there already.
        threads: how many files are moved at once.
    """
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}.")
    results: dict[str, bool] = {}
    failures: dict[str, Exception] = {}
    pool = ThreadPoolExecutor(threads)
    with tqdm(total=sum(sizes.values()), desc=f"{doing} {folder}", unit="B", unit_scale=True, delay=1) as bar:
        waiting = {pool.submit(move, name, bar): name for name in sizes}
        try:
            for done in (done for done in as_completed(waiting) if not done.cancelled()):
                try:
                    results[waiting[done]] = done.result()
                except (OSError, ValueError) as error:
                    failures[join(folder, waiting[done])] = error
                    if len(failures) == _MOST_FAILURES:
                        for other in waiting:
                            other.cancel()
        finally:  # after Ctrl+C too: nothing new is begun, and what is on its way is finished
            pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        raise TransferError(folder, failures, len(results), len(sizes))
    copied = [name for name, was_copied in results.items() if was_copied]
    return Transferred(len(copied), sum(sizes[name] for name in copied), len(results) - len(copied))


def _checked_sides(local: AnyPath, folder: AnyPath) -> Path:
    if is_remote(local) or not is_remote(folder):
        sides = f"got {address(local)} for the one and {address(folder)} for the other"
        raise ValueError(f"One folder is on this machine and the other in a bucket (gs://bucket/folder), {sides}.")
    return Path(local).expanduser()


# --- the files of this machine --------------------------------------------------------------------


def _local_files(root: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the size in bytes of each whole file of a folder, those behind links too."""
    if not root.is_dir():
        what = "this is a file" if root.exists() else "there is no such folder"
        raise FileNotFoundError(f"{root}: {what}. Give a folder that is there.")

    def stop(error: OSError) -> None:
        raise error

    for at, folders, names in os.walk(root, onerror=stop, followlinks=True):
        above = [root / part for part in Path(at).relative_to(root).parents]
        if os.path.islink(at) and any(os.path.samefile(at, other) for other in above):  # it leads back
            folders.clear()
            continue
        folders[:] = sorted(folder for folder in folders if not workspace.is_unfinished(folder))
        for path in (Path(at, name) for name in sorted(names) if not workspace.is_unfinished(name)):
            name = path.relative_to(root).as_posix()
            if not _can_be_named(name):
                raise ValueError(f"{path!r}: a bucket can have no file of this name. Rename it.")
            if not path.is_file():
                raise ValueError(f"{path}: this is no file, or a link to nothing. Take it out of the folder.")
            yield name, path.stat().st_size


def _can_be_named(name: str) -> bool:
    try:
        return len(name.encode()) <= _LONGEST_NAME and not re.search(r"[\r\n]", name)
    except UnicodeEncodeError:
        return False


def _is_as_large(path: Path, stored: Stored) -> bool:
    return path.exists() and path.stat().st_size == stored.size


def _refuse_unsafe(folder: AnyPath, names: Mapping[str, Stored]) -> None:
    """Raise where a name of the bucket would be written outside of the local folder, or cannot be written."""
    for name in names:
        parts = name.split("/")
        if {"", ".", ".."} & set(parts) or re.search(r"[\\\0]", name) or re.match(r"[A-Za-z]:", name):
            what = f"{address(folder)}: {name!r} in it would be written outside of the local folder"
            raise ValueError(f"{what}, or cannot be written. Rename it in the bucket: gcloud storage mv.")
        for place in range(1, len(parts)):
            if "/".join(parts[:place]) in names:
                what = f"{address(folder)}: {'/'.join(parts[:place])!r} in it is a file and a folder"
                raise ValueError(f"{what}. Rename one of them in the bucket: gcloud storage mv.")


# --- one file of a bucket -------------------------------------------------------------------------


def refresh(path: AnyPath, local: Path, stored: Stored | None = None) -> None:
    """Fetch a file that may be replaced meanwhile, whole, unless what is here is equal to it.

    Args:
        path: its address.
        local: the file to make, or to replace where it is another.
        stored: the version that was seen there, where one was; where it is gone, a newer one is taken.

    Raises:
        FileNotFoundError: it was deleted meanwhile.
        OSError: it cannot be fetched, or does not fit the disk.
    """
    files.of_one_version(path, lambda version: fetch_file(path, version, local), stored)


def fetch_file(path: AnyPath, stored: Stored, target: Path, bar: tqdm | None = None) -> bool:
    """Fetch a file, whole or not at all, unless it is here and equal; return whether it was fetched.

    Args:
        path: its address.
        stored: which version.
        target: the file to make.
        bar: shows the bytes as they come.

    Raises:
        OSError: it cannot be fetched, or does not fit the disk.
    """
    count: Callable[[int], object] = bar.update if bar is not None else lambda size: None
    if files.is_equal(target, stored):
        count(stored.size)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with workspace.room_for(address(path), target.parent), explained(path), _part(target, stored) as file:
        count(file.seek(0, os.SEEK_END))
        files.fetch(path, stored, CallbackIOWrapper(count, file, "write"))
    return True


@contextlib.contextmanager
def _part(target: Path, stored: Stored) -> Iterator[IO[bytes]]:
    """Give a file to write to, which gets the name of the target in the end; of a large one, what came is kept."""
    if stored.size < _LARGE or not workspace.CAN_LOCK:
        with workspace.whole_file(target) as path, path.open("r+b") as file:
            yield file
        return
    part = target.with_name(f".{target.name}.{stored.generation}.part")
    with workspace.alone(target):
        with part.open("a+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        for other in target.parent.glob(f".{glob.escape(target.name)}.*[0-9].part"):
            other.unlink(missing_ok=True)  # of a version that is no longer there
