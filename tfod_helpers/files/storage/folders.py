"""A folder of this machine <-> a folder in a bucket: many files at once, each whole and proved by its checksum.

What is there already and equal, by size and CRC32C, is passed over, so that a copy that was broken off is finished by
the same call. What else is in the target stays as it is: nothing is deleted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tqdm import tqdm
from tqdm.utils import CallbackIOWrapper

from tfod_helpers.files import workspace
from tfod_helpers.files.storage import client, files
from tfod_helpers.files.storage.files import Stored
from tfod_helpers.files.storage.paths import AnyPath, address, is_remote, join
from tfod_helpers.files.storage.refusals import explained

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_THREADS = 8  # as many as Google's client has connections for without opening new ones (10)
_MOST_FAILURES = 10  # files; the reason is then one that all share, such as a right that is missing
_SHOWN = 5  # failures that an error lists before it counts the rest
_LARGE = 8 << 20  # bytes: of a larger file, what came is kept for the next call
_LONGEST_NAME = 1024  # bytes, as Cloud Storage allows
_LEFT_BEHIND = re.compile(r"\..+\.part(\.json|\.lock)?|\..+\.[a-z0-9_]{8}\.old")  # by a write that was broken off

Move = Callable[[str, Callable[[int], None]], bool]


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

    def send(name: str, count: Callable[[int], None]) -> bool:
        if name in there and files.is_equal(root / name, there[name]):
            return False
        with explained(join(folder, name)), (root / name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            files.send(join(folder, name), CallbackIOWrapper(count, file, "read"), size)
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
    missing = sum(one.size for name, one in there.items() if _size(root / name) != one.size)
    if missing > shutil.disk_usage(root).free:
        raise _full(address(folder), root, f"{missing / 1e6:,.0f} MB are to come, and ")

    def fetch(name: str, count: Callable[[int], None]) -> bool:
        return fetch_file(join(folder, name), there[name], root / name, count)

    return _move_all(address(folder), "Downloading", {name: one.size for name, one in there.items()}, fetch, threads)


# --- all files ------------------------------------------------------------------------------------


def _move_all(folder: str, doing: str, sizes: Mapping[str, int], move: Move, threads: int) -> Transferred:
    """Move every file in threads; what fails is told in the end, when the others are done."""
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}.")
    results: dict[str, bool] = {}
    failures: dict[str, Exception] = {}
    with (
        tqdm(total=sum(sizes.values()), desc=f"{doing} {folder}", unit="B", unit_scale=True, delay=1) as bar,
        _stopped_at_once(ThreadPoolExecutor(threads)) as pool,
    ):
        one = _counted(move, sizes, bar)
        waiting = {pool.submit(one, name): name for name in sizes}
        for done in as_completed(waiting):
            name = waiting[done]
            if done.cancelled():
                continue
            if not (error := done.exception()):
                results[name] = done.result()
            elif isinstance(error, OSError | ValueError):
                failures[join(folder, name)] = error
                if len(failures) == _MOST_FAILURES:
                    _cancel(waiting)
            else:
                raise error
    if failures:
        raise TransferError(folder, failures, len(results), len(sizes))
    copied = [name for name, was_copied in results.items() if was_copied]
    return Transferred(len(copied), sum(sizes[name] for name in copied), len(results) - len(copied))


def _counted(move: Move, sizes: Mapping[str, int], bar: tqdm) -> Callable[[str], bool]:
    """Return what moves one file and tells the bar of its bytes, once each, however often they are tried."""
    lock = threading.Lock()

    def one(name: str) -> bool:
        seen = 0

        def count(size: int) -> None:
            nonlocal seen
            with lock:
                bar.update(step := min(size, sizes[name] - seen))
            seen += step

        moved = move(name, count)
        count(sizes[name] - seen)
        return moved

    return one


@contextlib.contextmanager
def _stopped_at_once(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """Give a pool that begins nothing new after Ctrl+C or an error; what is on its way is finished."""
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cancel(waiting: Mapping[Future[bool], str]) -> None:
    for other in waiting:
        other.cancel()


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
        folders[:] = sorted(folder for folder in folders if not is_left_behind(folder))
        for path in (Path(at, name) for name in sorted(names) if not is_left_behind(name)):
            name = path.relative_to(root).as_posix()
            if not _can_be_named(name):
                raise ValueError(f"{path!r}: a bucket can have no file of this name. Rename it.")
            if not path.is_file():
                raise ValueError(f"{path}: this is no file, or a link to nothing. Take it out of the folder.")
            yield name, path.stat().st_size


def is_left_behind(name: str) -> bool:
    """Whether a file's name is one that a write gives to what is not whole yet."""
    return bool(_LEFT_BEHIND.fullmatch(name))


def _can_be_named(name: str) -> bool:
    try:
        return len(name.encode()) <= _LONGEST_NAME and not re.search(r"[\r\n]", name)
    except UnicodeEncodeError:
        return False


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


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


def fetch_file(path: AnyPath, stored: Stored, target: Path, count: Callable[[int], None] = lambda size: None) -> bool:
    """Fetch a file, whole or not at all, unless it is here and equal; return whether it was fetched.

    Args:
        path: its address.
        stored: which version.
        target: the file to make.
        count: is told of the bytes as they come.

    Raises:
        OSError: it cannot be fetched, or does not fit the disk.
    """
    if files.is_equal(target, stored):
        return False
    try:
        with explained(path), _part(target, stored) as file:
            count(file.seek(0, os.SEEK_END))
            files.fetch(path, stored, CallbackIOWrapper(count, file, "write"))
    except OSError as error:
        if error.errno in client.FULL:
            raise _full(address(path), target.parent) from error
        raise
    return True


@contextlib.contextmanager
def _part(target: Path, stored: Stored) -> Iterator[IO[bytes]]:
    """Give a file to write to, which gets the name of the target in the end; of a large one, what came is kept."""
    part = target.with_name(f".{target.name}.{stored.generation}.part")
    if stored.size >= _LARGE and (file := _alone(part)):
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
        older = re.compile(rf"\.{re.escape(target.name)}\.\d+\.part")
        for other in [other for other in target.parent.iterdir() if older.fullmatch(other.name)]:
            other.unlink(missing_ok=True)  # of a version that is no longer there
    else:
        with workspace.whole_file(target) as path, path.open("r+b") as file:
            yield file


def _alone(part: Path) -> IO[bytes] | None:
    """Open a file to add to it, or return None where another process has it open, or the disk knows no locks."""
    if fcntl is None:
        return None
    part.parent.mkdir(parents=True, exist_ok=True)
    file = part.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _full(path: str, folder: Path, needed: str = "") -> OSError:
    free = shutil.disk_usage(folder).free
    told = f"{path}: the disk is full: {needed}{folder} has {free / 1e6:,.0f} MB free"
    return OSError(errno.ENOSPC, f"{told}. Free some space or choose another folder, and run it again.")
