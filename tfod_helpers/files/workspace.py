"""Where files live: files and folders that appear whole or not at all, and the cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


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


def _flush_to_disk(path: Path) -> None:
    # Without this a power cut after the rename can leave the new name on empty blocks.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
