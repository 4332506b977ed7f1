"""Functions that take a path take an address in a bucket too, at one line each.

What is read comes from a mirror: a folder in ``~/.cache/tfod_helpers/buckets`` that is made equal to what is in the
bucket whenever it is asked for, by fetching what changed and removing what is gone. What is written is written on this
machine first, and sent when it is whole. The cache may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from tfod_helpers.files import workspace
from tfod_helpers.files.storage import files, folders
from tfod_helpers.files.storage.mirrors import _remove_all_but, local_place, mirror
from tfod_helpers.files.storage.paths import AnyPath, address, is_remote, join
from tfod_helpers.files.storage.refusals import explained

_places: dict[str, str] = {}  # of mirrors and of what is being written -> their addresses
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@contextlib.contextmanager
def writing(path: AnyPath, *, replaces: bool = False, keeps: bool = False) -> Iterator[Path]:
    """Give a local path to write a file or a folder to, which goes to its address when the block ends well.

    The files of a folder appear in a bucket one by one, each whole. Other files of the same folder are not touched:
    where there are some, nothing is sent.

    Args:
        path: where to; a local path is given as it is.
        replaces: files of the folder that have other contents now are replaced.
        keeps: what was written stays on this machine too, in the mirror.

    Raises:
        FileExistsError: the folder has other files.
        OSError: it cannot be sent.
    """
    if not is_remote(path):
        yield Path(path)
        return
    with explained(path):
        there = files.listed(path)  # a bucket that cannot be reached is told before the work, not after
    with contextlib.ExitStack() as stack:
        if keeps:
            local = local_place(path)
            _remove_all_but(local, there)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tfod_helpers-"))
            local = Path(folder) / local_place(path).name
        _places[str(local)] = address(path).rstrip("/")
        yield local
        if local.is_dir():
            _refuse_others(path, local, replaces)
            folders.upload_folder(local, path)
        elif not _is_there(path, local):
            files.upload(local, path)


def _is_there(path: AnyPath, local: Path) -> bool:
    """Return whether a file of a bucket is equal to a local one."""
    with contextlib.suppress(FileNotFoundError), explained(path):
        stored = files.look(path)
        if stored.size == local.stat().st_size:
            with local.open("rb") as file:
                return files.crc32c(file) == stored.crc32c
    return False


def _refuse_others(path: AnyPath, local: Path, replaces: bool) -> None:
    """Raise where a folder of a bucket has files that are none of these."""
    with explained(path):
        there = files.listed(path)
    for name, stored in there.items():
        here = local / name
        if here.is_file() and not replaces:
            with here.open("rb") as file:
                if files.crc32c(file) == stored.crc32c:
                    continue
        elif here.is_file():
            continue
        raise FileExistsError(f"{address(path)}: there are files here already, such as {name}. Choose a new folder.")


def buckets_too(
    *reads: str, writes: str = "", replaces: bool = False, keeps: bool = False
) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """Let a function of local paths take ``gs://`` addresses; its errors name these.

    Args:
        *reads: the arguments that it reads a file or a folder from, which is mirrored.
        writes: the argument that it writes a file or a folder to, as `writing` does.
        replaces: as for `writing`.
        keeps: as for `writing`.
    """

    def decorate(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def door(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            if not any(map(_is_address, (*args, *kwargs.values()))):
                return function(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            given = {name: value for name, value in bound.arguments.items() if _is_address(value)}
            bound.arguments |= {name: mirror(given[name]) for name in reads if name in given}
            with contextlib.ExitStack() as stack:
                if writes in given:
                    local = stack.enter_context(writing(given[writes], replaces=replaces, keeps=keeps))
                    bound.arguments[writes] = local
                try:
                    result = function(*bound.args, **bound.kwargs)
                except Exception as error:
                    _name_by_address(error)
                    raise
            if writes in given and isinstance(result, Path) and result.is_relative_to(local):
                inside = result.relative_to(local).as_posix()
                return type(result)(given[writes] if inside == "." else join(given[writes], inside))
            return result

        return door

    return decorate


def _is_address(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str) and is_remote(value)


def _name_by_address(error: Exception) -> None:
    """Write addresses for the places of their mirrors in what an error says."""

    def named(value: object) -> object:
        text = str(value) if isinstance(value, str | Path) else ""
        for place in sorted(_places, key=len, reverse=True):
            text = text.replace(place, _places[place])
        text = re.sub(re.escape(str(workspace.cache_folder() / "buckets")) + "/[0-9a-f]{16}/", "gs://", text)
        return type(value)(text) if text else value

    error.args = tuple(map(named, error.args))
    for name, value in vars(error).items():
        if isinstance(value, str | Path):
            setattr(error, name, named(value))
