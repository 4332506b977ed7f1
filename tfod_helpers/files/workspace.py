"""Where files live: files and folders that appear whole or not at all, made by one process at a time; the cache."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CAN_LOCK = fcntl is not None
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LOCKS = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)  # of file systems that know none
_UNFINISHED = re.compile(r"\..+\.part(\.json|\.lock)?|\..+\.[a-z0-9_]{8}\.old")


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well.

    A crash, a full disk or an exception leaves the old file as it was and no half-written one
    under its name.

    Args:
        path: the file to create or replace. Missing parent folders are made.

    Yields:
        The temporary path to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        _flush_to_disk(part)
        part.chmod(0o666 & ~_umask())  # mkstemp makes 0600, which other programs could not read
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; put it in the place of ``path`` when the block ends well.

    Args:
        path: the folder to create or replace.

    Yields:
        The temporary folder to fill.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".old"))
            path.replace(old / path.name)
            try:
                part.replace(path)
            except OSError:
                (old / path.name).replace(path)
                raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        else:
            part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def cache_folder() -> Path:
    """Return this package's cache: ``tfod_helpers`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``; it need not exist."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path(tempfile.gettempdir())
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache").expanduser() / "tfod_helpers"


def is_unfinished(name: str) -> bool:
    """Whether a file's or folder's name is one that is given here to what is not whole yet."""
    return bool(_UNFINISHED.fullmatch(name))


@contextlib.contextmanager
def room_for(where: object, folder: Path, needed: int = 0) -> Iterator[None]:
    """Refuse a disk that is too small, before the block or when it becomes full in it.

    Args:
        where: what is to be written.
        folder: a folder on the disk.
        needed: bytes that are to come, where that is known.

    Raises:
        OSError: ``ENOSPC``, with what is needed and what is free.
    """
    if needed > shutil.disk_usage(folder).free:
        raise _full(where, folder, f"{needed / 1e6:,.1f} MB are to come, and ")
    try:
        yield
    except OSError as error:  # others may fill the disk meanwhile
        if error.errno not in _FULL:
            raise
        raise _full(where, folder) from error


def _full(where: object, folder: Path, needed: str = "") -> OSError:
    what = f"{where}: the disk is full: {needed}{folder} has {shutil.disk_usage(folder).free / 1e6:,.1f} MB free"
    return OSError(errno.ENOSPC, f"{what}. Free some space or choose another folder, and run it again.")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from making the same file or folder at the same time; one that is killed lets go of it.

    It takes a file beside it, ``.name.part.lock``, which is there for as long as it is held: HDF5 locks what it reads,
    and would take the file itself for one in use.

    Args:
        path: what is to be made.
    """
    lock = path.with_name(f".{path.name}.part.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("ab") as file:
            _lock(file, path.name)
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
            print(f"{name}: another process is making it; waiting.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _flush_to_disk(path: Path) -> None:
    # Without this a power cut after the rename can leave the new name on empty blocks.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
