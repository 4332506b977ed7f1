"""TFRecord files: a row of frames, each with its length, the length's checksum, data, and the data's checksum.

The format is described in https://www.tensorflow.org/tutorials/load_data/tfrecord. The checksum is
CRC32C, masked as in tensorflow/core/lib/hash/crc32c.h.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tfod_helpers.files import storage

HEAD, TAIL = 12, 4  # bytes of a frame before its data, and behind
_LONGEST = 1 << 31  # bytes; a protocol buffer cannot be longer
_PIECE = 1 << 24  # bytes read at once, so that a length that lies takes no memory
_GZIP = b"\x1f\x8b"
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32  # zlib finds out itself which of the two it is


class DamagedError(ValueError):
    """A record is not whole, not as it was written, or not what it should hold."""

    def __init__(self, path: storage.AnyPath, number: int, why: str) -> None:
        super().__init__(path, number, why)  # all three, so that the error can be pickled
        self.path, self.number, self.why = path, number, why

    def __str__(self) -> str:
        where = f"{storage.address(self.path)}, record {self.number}"
        return f"{where}: damaged or cut off ({self.why}). Copy the file again, or write the records again."


def frame(data: bytes) -> bytes:
    """Return data as a frame."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, masked_crc(length), data, masked_crc(data)))


def masked_crc(data: bytes) -> bytes:
    """Return the checksum that stands behind data: 4 bytes."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def read_frames(path: Path, name: storage.AnyPath | None = None) -> Iterator[bytes]:
    """Read the data of each frame of a file, which may be compressed with GZIP or ZLIB as TensorFlow does it.

    Args:
        path: the file.
        name: what to call it in an error, where it is a copy of another one.

    Raises:
        DamagedError: a frame's checksum does not match, or the file ends inside it.
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as raw:
        file = _plain(raw)
        for number in itertools.count(1):
            try:
                data = _next(file)
            except (ValueError, EOFError, zlib.error) as error:
                raise DamagedError(name or path, number, str(error)) from None
            if data is None:
                return
            yield data


def data_of(frame: bytes) -> bytes:
    """Return the data of one frame.

    Raises:
        ValueError: a checksum does not match, or it is not one whole frame.
    """
    if len(frame) < HEAD or masked_crc(frame[:8]) != frame[8:HEAD]:
        raise ValueError("the checksum of its length does not match")
    if int.from_bytes(frame[:8], "little") != len(frame) - HEAD - TAIL:
        raise ValueError("the file ends inside it")
    data = frame[HEAD:-TAIL]
    if masked_crc(data) != frame[-TAIL:]:
        raise ValueError("the checksum of its data does not match")
    return data


def lengths(path: Path) -> list[int]:
    """Return the bytes of each frame of a file, as far as they can be followed; the rest counts as one frame."""
    found, start, size = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            head = file.read(HEAD)
            length = HEAD + int.from_bytes(head[:8], "little") + TAIL
            if masked_crc(head[:8]) != head[8:] or start + length > size:
                length = size - start
            found.append(length)
            start += length
    return found


def _next(file: BinaryIO) -> bytes | None:
    """Return the data of the next frame, or None at the end of the file."""
    head = file.read(HEAD)
    if not head:
        return None
    length = int.from_bytes(head[:8], "little")
    if len(head) < HEAD or masked_crc(head[:8]) != head[8:] or length > _LONGEST:
        raise ValueError("the checksum of its length does not match, or the file ends inside it")
    return data_of(head + _exactly(file, length + TAIL))


def _exactly(file: BinaryIO, count: int) -> bytes:
    """Read so many bytes, or fewer where the file ends."""
    if count <= _PIECE:
        return file.read(count)
    pieces = []
    while count and (piece := file.read(min(count, _PIECE))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _plain(file: BinaryIO) -> BinaryIO:
    """Return the file itself, or what it holds where it is compressed: the bytes decide, not the ending."""
    head = file.read(HEAD)
    file.seek(0)
    zlib_head = len(head) > 1 and head[0] & 15 == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    framed = len(head) == HEAD and masked_crc(head[:8]) == head[8:]
    if framed or not (head.startswith(_GZIP) or zlib_head):
        return file
    return io.BufferedReader(_Inflated(file), 1 << 20)


class _Inflated(io.RawIOBase):
    """What a GZIP or ZLIB file holds; several such streams behind each other count as one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._left = b""  # read, and not inflated yet

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._inflater.eof:
                self._left = self._inflater.unused_data or self._file.read(1 << 16)
                self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
                if not self._left.strip(b"\0"):  # gzip allows zeros at the end
                    return 0
            compressed = self._left or self._file.read(1 << 16)
            data = self._inflater.decompress(compressed, len(buffer))
            self._left = self._inflater.unconsumed_tail
            if data:
                buffer[: len(data)] = data
                return len(data)
            if not compressed and not self._inflater.eof:
                raise EOFError("the compressed file ends too early")
