"""A zip or tar file -> a folder, safely: nothing leaves the folder, nothing runs, nothing fills the disk.

A file that somebody sends you may hold paths such as ``../../.bashrc``, links that lead elsewhere, or a few
bytes that unfold to terabytes. All of that is refused before anything is written.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from tfod_helpers import storage, workspace

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_OTHERS = {b"Rar!": "RAR", b"7z\xbc\xaf": "7z", b"\x28\xb5\x2f\xfd": "Zstandard"}
_OTHER_ENDINGS = (".rar", ".7z", ".tar.zst")
_DECOMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_MARK = ".unpacked.json"  # says what a folder was made from
_MOST_ENTRIES = 2_000_000
_MOST_TIMES = 200  # the archive's own size: photos shrink hardly at all, text and masks up to a hundredfold
_ALWAYS_ALLOWED = 100_000_000  # bytes: so little is never called a bomb
_LARGEST_HEADER = 1 << 24  # bytes: tar keeps long names in headers of any size, and reads each into memory
_LONGEST_NAME, _LONGEST_PATH = 255, 1000  # bytes, as most file systems allow; letters
_BLOCK = 512  # bytes: a tar ends with two of zeros
_PIECE = 1 << 20
_PASSED_OVER = ("__MACOSX", ".DS_Store", "Icon\r", "Thumbs.db", "desktop.ini")  # what macOS and Windows add
_UTF_8, _ENCRYPTED = 0x800, 0x1  # flags of a zip's entry
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
_NO_TRUST = "Do not use this archive."
_AGAIN = "Copy or download it again."


class ArchiveError(ValueError):
    """An archive that cannot be unpacked, or should not be.

    Attributes:
        path: the archive.
        what: what was found.
        fix: what to do.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, fix: str) -> None:
        super().__init__(path, what, fix)  # all three, so that the error can be pickled
        self.path, self.what, self.fix = Path(path), what, fix

    def __str__(self) -> str:
        return f"{storage.address(self.path)}: {self.what}. {self.fix}"


@dataclass(frozen=True)
class _Entry:
    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as an archive, one that `unpack` knows or one of which it says that it does not."""
    return str(path).lower().endswith(ENDINGS + _OTHER_ENDINGS)


@storage.buckets_too("path", writes="folder", replaces=True)
def unpack(path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None) -> Path:
    """Unpack a zip or tar file into a folder, whole or not at all.

    A folder that was made from the same, unchanged file is kept as it is, with all that was changed in it.

    Args:
        path: the archive.
        folder: where to; None takes the archive's name without its ending, on this machine. A folder that was
            unpacked from an older file and not changed since is replaced; any other with files in it is refused.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: there is no such archive.
        FileExistsError: there are other files in the folder.
        ArchiveError: it is no archive, is cut short, has a password, or holds what would not stay in the folder.
        OSError: the disk is too small.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such archive. Check the path.")
    folder = _beside(path) if folder is None else Path(folder).expanduser()
    stat = path.stat()
    mark = {"name": path.name, "bytes": stat.st_size, "changed": stat.st_mtime_ns}
    if _is_made_from(mark, folder, path.name):
        return folder
    try:
        with _opened(path) as archive:
            _write_all(path, _checked(path, archive), folder, mark)
    except ArchiveError:
        raise
    except NotImplementedError as error:  # such as Deflate64, of Windows' own zips above 2 GB
        fix = "Unpack it yourself, and give the folder."
        raise ArchiveError(path, f"it is packed in a way that cannot be unpacked here ({error})", fix) from error
    except _DAMAGED as error:
        raise ArchiveError(path, f"it is damaged or cut short ({error})", _AGAIN) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # the disk's; what damaged data leads to has no other number
            raise
        raise ArchiveError(path, f"it is damaged or cut short ({error})", _AGAIN) from error
    return folder


def _beside(path: Path) -> Path:
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(one)), "")
    return path.with_name(path.name[: -len(ending)] if ending else f"{path.name}.unpacked")


# --- what an archive holds ------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    with path.open("rb") as file:
        start = file.read(_BLOCK)
    opener = next((one for magic, one in _DECOMPRESSED.items() if start.startswith(magic)), None)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        with zipfile.ZipFile(path) as archive:
            yield archive
    elif opener or start[257:262] == b"ustar" or tarfile.is_tarfile(path):
        with (opener or open)(path, "rb") as file, tarfile.open(fileobj=_Stream(file, path), mode="r:") as archive:
            yield archive
    else:
        raise _no_archive(path, start)


def _no_archive(path: Path, start: bytes) -> ArchiveError:
    if start.lstrip()[:1] == b"<":
        fix = "Download it again, from the file's own address."
        return ArchiveError(path, "this is a web page, not an archive", fix)
    if kind := next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), None):
        fix = "Unpack it yourself and give the folder, or pack it as zip."
        return ArchiveError(path, f"this is a {kind} file", fix)
    what = f"this is no zip or tar file, it starts with {start[:16]!r}" if start else "the file is empty"
    return ArchiveError(path, what, _AGAIN)


class _Stream:
    """The bytes of a tar; no header in it may take much memory, and all together not much time."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path, self._most = file, path, _most_bytes(path)
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _LARGEST_HEADER or self._file.tell() > self._most:
            raise ArchiveError(self._path, "its headers would unfold to more than those of photos do", _NO_TRUST)
        return self._file.read(size)


def _checked(path: Path, archive: zipfile.ZipFile | tarfile.TarFile) -> dict[str, _Entry]:
    """Return the files of an archive by their names, all of which would stay in the folder."""
    found: dict[str, _Entry] = {}
    size, most = 0, _most_bytes(path)
    listed = _in_zip(path, archive) if isinstance(archive, zipfile.ZipFile) else _in_tar(path, archive)
    for number, entry in enumerate(listed, start=1):
        size += entry.size  # counted as they come, so that a tar is not unfolded to find out how large it is
        if size > most:
            told = f"its {path.stat().st_size / 1e6:,.1f} MB would unfold to {size / 1e6:,.0f} MB or more"
            raise ArchiveError(path, f"{told}, as no set of photos does", _NO_TRUST)
        if number > _MOST_ENTRIES:
            raise ArchiveError(path, f"it holds more than {_MOST_ENTRIES:,} files, as no set of photos does", _NO_TRUST)
        name = _safe_name(path, entry.name)
        if name in found:
            raise ArchiveError(path, f"it holds {name!r} twice", "Pack it again.")
        if name:
            found[name] = entry
    folders = {name[:place] for name in found for place in [i for i, letter in enumerate(name) if letter == "/"]}
    for name in sorted(folders & found.keys()):
        raise ArchiveError(path, f"{name!r} in it is a file and a folder", "Pack it again.")
    return found


def _most_bytes(path: Path) -> int:
    return max(_ALWAYS_ALLOWED, _MOST_TIMES * path.stat().st_size)


def _safe_name(path: Path, name: str) -> str:
    """Return a name with plain separators; empty where it is one that an operating system adds."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in parts or "\0" in name or not parts:
        raise ArchiveError(path, f"{name!r} would be written outside of the folder", _NO_TRUST)
    if len(name) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts):
        what = f"it holds a name of {len(name)} letters, {name[:40]!r}..."
        raise ArchiveError(path, what, "Pack it with shorter names.")
    passed_over = any(part in _PASSED_OVER or part.startswith("._") for part in parts)
    return "" if passed_over else "/".join(parts)


def _in_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[_Entry]:
    def opener(info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
        return lambda: archive.open(info)

    for info in archive.infolist():
        kind = info.external_attr >> 28  # of stat(2): 4 a folder, 8 a file; 0 from systems without it
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError(path, "it has a password", "Unpack it yourself, and give the folder.")
        if kind not in (0, 4, 8):
            raise ArchiveError(path, f"{info.filename!r} is a link or a device, not a file", _NO_TRUST)
        name = info.filename
        if not info.flag_bits & _UTF_8:
            name = _as_utf_8(name.encode("cp437", "replace"), name)  # macOS writes UTF-8 and does not say so
        if not info.is_dir():
            yield _Entry(name, info.file_size, opener(info))


def _in_tar(path: Path, archive: tarfile.TarFile) -> Iterator[_Entry]:
    def opener(info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
        return lambda: archive.extractfile(info)

    for info in archive:
        if not (info.isreg() or info.isdir()):
            raise ArchiveError(path, f"{info.name!r} is a link or a device, not a file", _NO_TRUST)
        if info.isreg():
            data = info.name.encode("utf-8", "surrogateescape")
            yield _Entry(_as_utf_8(data, data.decode("latin-1")), info.size, opener(info))
    # tarfile takes a header that it cannot read for the end.
    stream: Any = archive.fileobj
    stream.seek(archive.offset)
    if stream.read(_BLOCK) != bytes(_BLOCK):
        raise ArchiveError(path, "it is cut short or damaged, its end is missing", _AGAIN)
    while stream.read(_PIECE):  # to its end, where the sums stand that prove the whole of it
        pass


def _as_utf_8(data: bytes, otherwise: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return otherwise


# --- writing --------------------------------------------------------------------------------------


def _write_all(path: Path, entries: dict[str, _Entry], folder: Path, mark: dict[str, Any]) -> None:
    if not entries:
        raise ArchiveError(path, "there are no files in it", "Pack the folder of your photos and annotations.")
    size = sum(entry.size for entry in entries.values())
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if size > free:
        told = f"{path}: it unfolds to {size / 1e6:,.0f} MB, and {folder.parent} has {free / 1e6:,.0f} MB free"
        raise OSError(errno.ENOSPC, f"{told}. Free some space or choose another folder.")
    with (
        workspace.whole_folder(folder) as part,
        tqdm(total=size, desc=f"Unpacking {path.name}", unit="B", unit_scale=True, delay=1) as bar,
    ):
        for name, entry in entries.items():
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(path, name, entry, target)
            bar.update(entry.size)
        text = json.dumps(mark | {"made": _fingerprint(part)})
        (part / _MARK).write_text(text + "\n", encoding="utf-8")


def _write(path: Path, name: str, entry: _Entry, target: Path) -> None:
    """Write one file; an archive may lie about its sizes, so the bytes are counted."""
    left = entry.size
    source = entry.open()
    if source is None:
        raise ArchiveError(path, f"{name!r} in it cannot be read", _AGAIN)
    with source, target.open("xb") as file:
        while piece := source.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise ArchiveError(path, f"{name!r} in it is larger than it says", _NO_TRUST)
            file.write(piece)
    if left:
        raise ArchiveError(path, f"{name!r} in it is cut short", _AGAIN)


# --- a folder that was unpacked before ------------------------------------------------------------


def _is_made_from(mark: dict[str, Any], folder: Path, name: str) -> bool:
    """Whether a folder was made from this archive; where not, whether it may be replaced is settled."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        known = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        made = known.pop("made")
    except (OSError, ValueError, AttributeError, KeyError):
        raise FileExistsError(f"{folder}: there are files here already. Choose another folder for {name}.") from None
    if known == mark:
        return True
    if made != _fingerprint(folder):
        what = f"{folder}: its files were changed since they were unpacked, and {name} is another archive now"
        raise FileExistsError(f"{what}. Choose another folder, or delete this one.")
    return False


def _fingerprint(folder: Path) -> str:
    """Return what changes when a file is added, taken away or written to."""
    found = hashlib.sha256()
    for at, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(at, name) for name in sorted(names) if name != _MARK):
            stat = path.stat()
            found.update(f"{path.relative_to(folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="replace"))
    return found.hexdigest()
