"""One row a record: where it is, what it was made from. With it an unchanged record need not be made again.

It is kept beside the manifest as a NumPy file, and is read without pickle.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable

import numpy as np

from tfod_helpers.records.tfrecord import frames

# shard: the number of the file; length: bytes of the record with its frame; crc: the masked checksum of its data;
# boxes: their number; source_bytes: of the photo's file; fingerprint: of all that the record was made from.
ROW = np.dtype(
    [
        ("shard", "<u4"),
        ("length", "<u8"),
        ("crc", "<u4"),
        ("boxes", "<u4"),
        ("source_bytes", "<u8"),
        ("fingerprint", "V16"),
    ]
)
_CHECKED = np.dtype([("length", "<u8"), ("crc", "<u4")])


def row(frame: bytes, boxes: int, source_bytes: int, fingerprint: bytes) -> tuple[int, int, int, int, int, bytes]:
    """Return the row of a record, but for its shard."""
    return 0, len(frame), int.from_bytes(frame[-frames.TAIL :], "little"), boxes, source_bytes, fingerprint


def rows(made: Iterable[tuple[int, int, int, int, int, bytes]] = ()) -> np.ndarray:
    """Return rows as an array of `ROW`."""
    return np.array(list(made), ROW)


def starts(index: np.ndarray) -> np.ndarray:
    """Return where each record begins in its shard, in bytes: uint64, shape (n,)."""
    ends = np.cumsum(index["length"])
    before = ends - index["length"]
    first = np.searchsorted(index["shard"], index["shard"])  # the first row of each one's shard
    return before - before[first] if len(index) else before


def checksum(index: np.ndarray) -> str:
    """Return 32 hex digits that stand for records: for their lengths, and the checksum that each carries."""
    checked = np.empty(len(index), _CHECKED)
    checked["length"], checked["crc"] = index["length"], index["crc"]
    return hashlib.blake2b(checked.tobytes(), digest_size=16).hexdigest()


def to_bytes(index: np.ndarray) -> tuple[bytes, str]:
    """Return an index as the bytes of a file, and 8 hex digits that stand for them."""
    buffer = io.BytesIO()
    np.save(buffer, index, allow_pickle=False)
    return buffer.getvalue(), tag(buffer.getvalue())


def from_bytes(data: bytes) -> np.ndarray:
    """Read what `to_bytes` made.

    Raises:
        ValueError: it is damaged.
    """
    index = np.load(io.BytesIO(data), allow_pickle=False)
    if index.dtype != ROW or index.ndim != 1:
        raise ValueError("it is no index of records")
    return index


def tag(data: bytes) -> str:
    """Return 8 hex digits that stand for some bytes."""
    return hashlib.blake2b(data, digest_size=4).hexdigest()
