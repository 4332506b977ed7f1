"""A zip or tar file -> a folder, whole or not at all."""

from __future__ import annotations

import errno
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import workspace
from tfod_helpers.files.archives import entries, marks
from tfod_helpers.files.archives.entries import ENDINGS, Entry
from tfod_helpers.files.archives.names import AGAIN, NO_TRUST, ArchiveError
from tfod_helpers.files.archives.parts import is_part, name_of, parts_of

_PIECE = 1 << 20
_PHOTOS_AND_RECORDS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".tfrecord", ".record")
# What the libraries raise for damaged data.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
)


def unpack(path: Path, folder: Path | None = None, *, origin: Mapping[str, Any] | None = None) -> Path:
    """Unpack a zip or tar file into a folder, whole or not at all.

    A folder that was made from the same, unchanged file is kept as it is, with all that was changed in it. Where an
    archive holds no photo and no record but other archives, such as ``train.zip`` and ``test.zip``, these are unpacked
    in their places. Where it is a part of a download that Google Drive packed into several, all parts beside it are
    unpacked into one folder.

    Args:
        path: the archive, or one of its parts.
        folder: where to; None takes the archive's name without its ending, on this machine. A folder that was
            unpacked from an older file and not changed since is replaced; any other with files in it is refused.
        origin: what the folder is said to be made from, where the archive is but a copy; None takes its name, its size
            and the time of its last change.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: there is no such archive.
        FileExistsError: there are other files in the folder.
        ArchiveError: it is no archive, is cut short, has a password, or holds what would not stay in the folder; a part
            is missing, or two parts contradict each other.
        OSError: the disk is too small.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such archive. Check the path.")
    parts = parts_of(path)
    folder = folder or _beside(path)
    origin = origin or _origin(parts)
    if marks.read(folder) == origin:
        return folder
    marks.refuse_others(folder, path.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with workspace.whole_folder(folder) as part:
        most = sum(map(entries.most_bytes, parts))
        sizes: dict[str, int] = {}
        for one in parts:
            sizes |= _unpack_into(one, part, folder, most - sum(sizes.values()))
        _unpack_inner(path, part, folder, sizes, most - sum(sizes.values()))
        marks.write(part, origin)
    if len(parts) > 1:
        print(f"{folder}: taken together from the {len(parts)} parts of a download, {parts[0].name} and on.")
    return folder


def _origin(parts: Sequence[Path]) -> dict[str, Any]:
    stats = [path.stat() for path in parts]
    size, changed = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
    return {"name": parts[0].name, "bytes": size, "changed": changed}


def _beside(path: Path) -> Path:
    name = name_of(path)
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(one)), "")
    if name != path.name:
        return path.with_name(name)
    return path.with_name(name[: -len(ending)] if ending else f"{name}.unpacked")


def _unpack_into(path: Path, part: Path, folder: Path, most: int) -> dict[str, int]:
    """Unpack one archive, and return its files with their sizes.

    Args:
        path: the archive.
        part: where to.
        folder: what an error calls that.
        most: how many bytes it may unfold to.
    """
    try:
        with entries.opened(path) as archive:
            found = entries.checked(path, archive, most)
            if not found:
                raise ArchiveError(
                    str(path), "there are no files in it", "Pack the folder of your photos and annotations."
                )
            _write_all(path, found, part, folder)
            return {name: entry.size for name, entry in found.items()}
    except ArchiveError:
        raise
    except NotImplementedError as error:  # such as Deflate64, of Windows' own zips above 2 GB
        fix = "Unpack it yourself, and give the folder."
        raise ArchiveError(str(path), f"it is packed in a way that cannot be unpacked here ({error})", fix) from error
    except _DAMAGED as error:
        raise ArchiveError(str(path), f"it is damaged or cut short ({error})", AGAIN) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # the disk's; what damaged data leads to has no other number
            raise
        raise ArchiveError(str(path), f"it is damaged or cut short ({error})", AGAIN) from error


def _unpack_inner(path: Path, part: Path, folder: Path, names: Collection[str], most: int) -> None:
    """Unpack the archives in an archive that holds no photo, each in its place; all share the size that is allowed."""
    if any(name.lower().endswith(_PHOTOS_AND_RECORDS) for name in names):
        return
    inside = [name for name in names if name.lower().endswith(ENDINGS)]
    made: set[Path] = set()
    for name in inside:
        inner = part / name
        try:
            target = _beside(inner)  # one for all parts of a download
            if target.exists() and not (target in made and is_part(inner)):
                raise ArchiveError(str(inner), f"beside it is {target.name!r} already", "Pack it again.")
            target.mkdir(exist_ok=True)
            made.add(target)
            most -= sum(_unpack_into(inner, target, folder, most).values())
        except ArchiveError as error:
            raise ArchiveError(str(path), f"{name!r} in it is an archive too: {error.what}", error.fix) from error
    for name in inside:
        (part / name).unlink()


def _write_all(path: Path, found: dict[str, Entry], part: Path, folder: Path) -> None:
    size = sum(entry.size for entry in found.values())
    root = str(part)
    made = {""}  # thousands of files share a few folders
    with (
        workspace.room_for(path, folder.parent, size),
        tqdm(total=size, desc=f"Unpacking {path.name}", unit="B", unit_scale=True, delay=1) as bar,
    ):
        for name, entry in found.items():
            within, target = name.rpartition("/")[0], os.path.join(root, name)
            try:
                if within not in made:
                    os.makedirs(os.path.join(root, within), exist_ok=True)
                    made.add(within)
                _write(path, name, entry, target)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):  # of another part
                if not os.path.isfile(target) or not _is_same(entry, target):
                    what, fix = f"{name!r} in it is another one than in the part before", "Download the folder again."
                    raise ArchiveError(str(path), what, fix) from None
            bar.update(entry.size)


def _is_same(entry: Entry, target: str) -> bool:
    source = entry.open()
    if source is None or os.path.getsize(target) != entry.size:
        return False
    with source, open(target, "rb") as file:
        return all(piece == source.read(_PIECE) for piece in iter(lambda: file.read(_PIECE), b""))


def _write(path: Path, name: str, entry: Entry, target: str) -> None:
    """Write one file; an archive may lie about its sizes, so the bytes are counted."""
    left = entry.size
    source = entry.open()
    if source is None:
        raise ArchiveError(str(path), f"{name!r} in it cannot be read", AGAIN)
    with source, open(target, "xb") as file:
        while piece := source.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise ArchiveError(str(path), f"{name!r} in it is larger than it says", NO_TRUST)
            file.write(piece)
    if left:
        raise ArchiveError(str(path), f"{name!r} in it is cut short", AGAIN)
