"""A zip or tar file -> a folder, safely: nothing leaves the folder, nothing runs, nothing fills the disk.

A file that somebody sends you may hold paths such as ``../../.bashrc``, links that lead elsewhere, or a few
bytes that unfold to terabytes. All of that is refused before anything is written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from tfod_helpers import workspace

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MARK = ".unpacked.json"  # says what a folder was made from
_MOST_ENTRIES = 2_000_000
_MOST_TIMES = 200  # the archive's own size: photos shrink hardly at all, text and masks up to a hundredfold
_ALWAYS_ALLOWED = 100_000_000  # bytes: so little is never called a bomb
_PIECE = 1 << 20
_PASSED_OVER = ("__MACOSX", ".DS_Store")  # what macOS adds


@dataclass(frozen=True)
class _Entry:
    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as an archive that can be unpacked."""
    return str(path).lower().endswith(ENDINGS)


def unpack(path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None) -> Path:
    """Unpack a zip or tar file into a folder, whole or not at all.

    A folder that was made from the same, unchanged file is kept as it is.

    Args:
        path: the archive.
        folder: where to; None takes the archive's name without its ending. An older folder that was unpacked
            from another file is replaced; any other folder with files in it is refused.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: there is no such archive.
        FileExistsError: there are other files in the folder.
        ValueError: it is no archive, is cut short, has a password, or holds what would not stay in the folder.
        OSError: the disk is too small.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such archive. Check the path.")
    folder = _beside(path) if folder is None else Path(folder).expanduser()
    stat = path.stat()
    mark = {"name": path.name, "bytes": stat.st_size, "changed": stat.st_mtime_ns}
    if folder.exists() and (known := _read_mark(folder)) is not None:
        if known == mark:
            return folder
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: there are files here already. Choose another folder for {path.name}.")
    try:
        with _opened(path) as archive:
            _write_all(path, list(_entries(path, archive)), folder, mark)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path}: it cannot be unpacked ({error}). Copy or download it again.") from error
    except RuntimeError as error:  # how zipfile asks for a password
        raise ValueError(f"{path}: it has a password. Unpack it yourself, and give the folder.") from error
    return folder


def _beside(path: Path) -> Path:
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(one)), "")
    return path.with_name(path.name[: -len(ending)] if ending else f"{path.name}.unpacked")


def _opened(path: Path) -> zipfile.ZipFile | tarfile.TarFile:
    if zipfile.is_zipfile(path):
        return zipfile.ZipFile(path)
    if tarfile.is_tarfile(path):
        return tarfile.open(path)
    with path.open("rb") as file:
        start = file.read(64)
    if start[:4] == b"PK\x03\x04":
        raise ValueError(f"{path}: the zip file is cut short. Copy or download it again.")
    if start.lstrip()[:1] == b"<":
        raise ValueError(f"{path}: this is a web page, not an archive. Download it again, from the file's own address.")
    raise ValueError(f"{path}: this is no zip or tar file, its first bytes are {start[:8]!r}. Give one of {ENDINGS}.")


def _entries(path: Path, archive: Any) -> Iterator[_Entry]:
    """Yield the files of an archive.

    Raises:
        ValueError: one of them would not stay in the folder.
    """
    for info in archive.infolist() if isinstance(archive, zipfile.ZipFile) else archive:
        if isinstance(info, zipfile.ZipInfo):
            name, size, kind = info.filename, info.file_size, info.external_attr >> 28
            is_folder, is_file = info.is_dir(), kind in (0, 8)  # 8: a regular file, as stat(2) has it
            opened = _zip_opener(archive, info)
        else:
            name, size, is_folder, is_file = info.name, info.size, info.isdir(), info.isreg()
            opened = _tar_opener(archive, info)
        parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
        if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in parts or any("\0" in part for part in parts):
            raise ValueError(f"{path}: {name!r} would be written outside of the folder. Do not use this archive.")
        if not (is_file or is_folder):
            raise ValueError(f"{path}: {name!r} is a link or a device, not a file. Do not use this archive.")
        hidden = any(part in _PASSED_OVER or part.startswith("._") for part in parts)
        if not is_folder and not hidden and parts != [_MARK]:
            yield _Entry("/".join(parts), size, opened)


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _tar_opener(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: archive.extractfile(info)


def _write_all(path: Path, entries: list[_Entry], folder: Path, mark: dict[str, Any]) -> None:
    size = sum(entry.size for entry in entries)
    _refuse_bomb(path, len(entries), size)
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if size > free:
        told = f"{path}: it unfolds to {size / 1e6:,.0f} MB, and {folder.parent} has {free / 1e6:,.0f} MB free"
        raise OSError(f"{told}. Free some space or choose another folder.")
    with workspace.whole_folder(folder) as part:
        for entry in tqdm(entries, f"Unpacking {path.name}", unit="file", delay=1):
            target = part / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise ValueError(f"{path}: it holds {entry.name!r} twice. Pack it again.")
            _write(path, entry, target)
        (part / _MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")


def _refuse_bomb(path: Path, count: int, size: int) -> None:
    if count > _MOST_ENTRIES:
        raise ValueError(f"{path}: it holds {count:,} files, which no set of photos does. Do not use this archive.")
    packed = path.stat().st_size
    if size > _ALWAYS_ALLOWED and size > _MOST_TIMES * packed:
        told = f"{path}: its {packed / 1e6:,.1f} MB would unfold to {size / 1e6:,.0f} MB, as no set of photos does"
        raise ValueError(f"{told}. Do not use this archive.")


def _write(path: Path, entry: _Entry, target: Path) -> None:
    """Write one file; an archive may lie about its sizes, so the bytes are counted."""
    left = entry.size
    source = entry.open()
    if source is None:
        raise ValueError(f"{path}: {entry.name!r} cannot be read. Copy or download it again.")
    try:
        with source, target.open("wb") as file:
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    told = f"{path}: {entry.name!r} is larger than the archive says"
                    raise ValueError(f"{told}. Do not use this archive.")
                file.write(piece)
    except OSError as error:
        if error.errno is not None:  # the disk's; what has no number is a damaged stream
            raise
        raise ValueError(f"{path}: {entry.name!r} is damaged ({error}). Copy or download it again.") from error
    if left:
        raise ValueError(f"{path}: {entry.name!r} is cut short. Copy or download it again.")


def _read_mark(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
