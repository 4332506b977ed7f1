"""TFRecord files: a row of frames, each with its length, the length's checksum, data, and the data's checksum.

The format is described in https://www.tensorflow.org/tutorials/load_data/tfrecord. The checksum is
CRC32C, masked as in tensorflow/core/lib/hash/crc32c.h.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tfod_helpers.files import storage

HEAD, TAIL = 12, 4  # bytes of a frame before its data, and behind
_LONGEST = 1 << 31  # bytes; a protocol buffer cannot be longer
_GZIP = b"\x1f\x8b"


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
    number = 1
    with path.open("rb") as raw:
        try:
            file = _plain(raw)
            while (data := _next(file)) is not None:
                yield data
                number += 1
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedError(name or path, number, str(error)) from None


def is_records(path: Path) -> bool:
    """Whether a file begins as records do, or is empty or compressed, as some are."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    return not head or head.startswith(_GZIP) or (len(head) == HEAD and masked_crc(head[:8]) == head[8:])


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


def _next(file: BinaryIO | gzip.GzipFile) -> bytes | None:
    """Return the data of the next frame, or None at the end of the file."""
    head = file.read(HEAD)
    if not head:
        return None
    length = int.from_bytes(head[:8], "little")
    if len(head) < HEAD or masked_crc(head[:8]) != head[8:] or length > _LONGEST:
        raise ValueError("the checksum of its length does not match, or the file ends inside it")
    return data_of(head + file.read(length + TAIL))


def _plain(file: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """Return the file itself, or what it holds where it is compressed: the bytes decide, not the ending."""
    head = file.read(HEAD)
    file.seek(0)
    if len(head) == HEAD and masked_crc(head[:8]) == head[8:]:
        return file
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)
    if len(head) > 1 and head[0] & 15 == 8 and int.from_bytes(head[:2], "big") % 31 == 0:  # ZLIB, which few write
        inflater = zlib.decompressobj()
        data = inflater.decompress(file.read(), _LONGEST)
        if not inflater.eof:
            raise EOFError("the compressed file ends too early, or holds more than 2 GB")
        return io.BytesIO(data)
    return file
