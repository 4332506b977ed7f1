"""What an archive holds: its files by their names, all of which would stay in the folder, links and bombs refused."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tfod_helpers.files.archives import names, parts
from tfod_helpers.files.archives.names import AGAIN, NO_TRUST, ArchiveError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_OTHERS = {b"Rar!": "RAR", b"7z\xbc\xaf": "7z", b"\x28\xb5\x2f\xfd": "Zstandard"}
_OTHER_ENDINGS = (".rar", ".7z", ".tar.zst")
_DECOMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_MOST_ENTRIES = 2_000_000
_MOST_TIMES = 200  # the archive's own size: photos shrink hardly at all, text and masks up to a hundredfold
_ALWAYS_ALLOWED = 100_000_000  # bytes: so little is never called a bomb
_LARGEST_HEADER = 1 << 24  # bytes: tar keeps long names in headers of any size, and reads each into memory
_BLOCK = 512  # bytes: a tar ends with two of zeros
_PIECE = 1 << 20
_UTF_8, _ENCRYPTED = 0x800, 0x1  # flags of a zip's entry
_TEXT_ENDINGS = (".xml", ".json", ".csv", ".txt")  # of annotations
_MOST_TEXTS, _MOST_TEXT = 100, 1 << 22  # how many of them are looked into for names, and how many bytes of all


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive.

    Attributes:
        name: its path, in whatever way the archive writes it.
        size: how many bytes the archive says that it has.
        open: gives its bytes; None where there are none.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: object) -> bool:
    """Whether a path ends as an archive, one that `unpack` knows or one of which it says that it does not."""
    return str(path).lower().endswith(ENDINGS + _OTHER_ENDINGS) or parts.is_volume(path)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive, whatever its name says that it is.

    Raises:
        ArchiveError: it is none, or one of a kind that is not known here.
    """
    parts.refuse_volumes(path)
    with path.open("rb") as file:
        start = file.read(_BLOCK)
    opener = next((one for magic, one in _DECOMPRESSED.items() if start.startswith(magic)), None)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        with zipfile.ZipFile(path) as archive:
            yield archive
    elif opener or start[257:262] == b"ustar" or tarfile.is_tarfile(path):
        with (opener or open)(path, "rb") as file:
            stream: Any = _Stream(file, path)
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                yield archive
    else:
        raise _no_archive(path, start)


def _no_archive(path: Path, start: bytes) -> ArchiveError:
    if start.lstrip()[:1] == b"<":
        fix = "Download it again, from the file's own address."
        return ArchiveError(str(path), "this is a web page, not an archive", fix)
    if kind := next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), None):
        fix = "Unpack it yourself and give the folder, or pack it as zip."
        return ArchiveError(str(path), f"this is a {kind} file", fix)
    what = f"this is no zip or tar file, it starts with {start[:16]!r}" if start else "the file is empty"
    return ArchiveError(str(path), what, AGAIN)


class _Stream:
    """The bytes of a tar; no header in it may take much memory, and all together not much time."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path, self._most = file, path, most_bytes(path)
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _LARGEST_HEADER or self._file.tell() > self._most:
            raise ArchiveError(str(self._path), "its headers would unfold to more than those of photos do", NO_TRUST)
        return self._file.read(size)


def most_bytes(path: Path) -> int:
    """Return to how many bytes an archive may unfold."""
    return max(_ALWAYS_ALLOWED, _MOST_TIMES * path.stat().st_size)


def checked(path: Path, archive: zipfile.ZipFile | tarfile.TarFile, most: int) -> dict[str, Entry]:
    """Return the files of an archive by their names, all of which would stay in the folder.

    Args:
        path: the archive.
        archive: the same, open.
        most: how many bytes it may unfold to.

    Raises:
        ArchiveError: something in it would not stay in the folder, or would fill the disk.
    """
    found: dict[str, Entry] = {}
    size = 0
    listed = _in_zip(path, archive) if isinstance(archive, zipfile.ZipFile) else _in_tar(path, archive)
    for number, entry in enumerate(listed, start=1):
        size += entry.size  # counted as they come, so that a tar is not unfolded to find out how large it is
        if size > most:
            what = f"its {path.stat().st_size / 1e6:,.1f} MB would unfold to {size / 1e6:,.0f} MB or more"
            raise ArchiveError(str(path), f"{what}, as no set of photos does", NO_TRUST)
        if number > _MOST_ENTRIES:
            raise ArchiveError(
                str(path), f"it holds more than {_MOST_ENTRIES:,} files, as no set of photos does", NO_TRUST
            )
        name = names.safe_name(path, entry.name)
        if name in found:
            raise ArchiveError(str(path), f"it holds {name!r} twice", "Pack it again.")
        if name:
            found[name] = entry
    folders = {name[:place] for name in found for place in [i for i, letter in enumerate(name) if letter == "/"]}
    for name in sorted(folders & found.keys()):
        raise ArchiveError(str(path), f"{name!r} in it is a file and a folder", "Pack it again.")
    return found


def _in_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[Entry]:
    def opener(info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
        return lambda: archive.open(info)

    files = []
    for info in archive.infolist():
        kind = info.external_attr >> 28  # of stat(2): 4 a folder, 8 a file; 0 from systems without it
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError(str(path), "it has a password", "Unpack it yourself, and give the folder.")
        if kind not in (0, 4, 8):
            raise ArchiveError(str(path), f"{info.filename!r} is a link or a device, not a file", NO_TRUST)
        if not info.is_dir():
            files.append(info)
    read_names = _names_in_zip(archive, files)
    for info in files:
        yield Entry(read_names.get(info.header_offset, info.orig_filename), info.file_size, opener(info))


def _names_in_zip(archive: zipfile.ZipFile, files: list[zipfile.ZipInfo]) -> dict[int, str]:
    """Return the names that are not what Python takes them for, by where their files are in the zip."""
    found: dict[int, str] = {}
    unsaid: dict[int, bytes] = {}
    for info in files:
        if not info.flag_bits & _UTF_8 and not info.orig_filename.isascii():
            raw = info.orig_filename.encode("cp437")
            name = names.unicode_path(info.extra, raw)
            if name is None:
                unsaid[info.header_offset] = raw
            else:
                found[info.header_offset] = name
    texts = [info for info in files if info.filename.lower().endswith(_TEXT_ENDINGS)][:_MOST_TEXTS]
    read = names.decoded(list(unsaid.values()), lambda: (_text(archive, info, len(texts)) for info in texts))
    return found | dict(zip(unsaid, read, strict=True))


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo, count: int) -> str:
    with archive.open(info) as file:
        return file.read(_MOST_TEXT // count).decode("utf-8", "replace")


def _in_tar(path: Path, archive: tarfile.TarFile) -> Iterator[Entry]:
    def opener(info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
        return lambda: archive.extractfile(info)

    for info in archive:
        if not (info.isreg() or info.isdir()):
            raise ArchiveError(str(path), f"{info.name!r} is a link or a device, not a file", NO_TRUST)
        if info.isreg():
            data = info.name.encode("utf-8", "surrogateescape")
            yield Entry(names.as_utf_8(data) or data.decode("latin-1"), info.size, opener(info))
    # tarfile takes a header that it cannot read for the end.
    stream: Any = archive.fileobj
    stream.seek(archive.offset)
    if stream.read(_BLOCK) != bytes(_BLOCK):
        raise ArchiveError(str(path), "it is cut short or damaged, its end is missing", AGAIN)
    while stream.read(_PIECE):  # to its end, where the sums stand that prove the whole of it
        pass
