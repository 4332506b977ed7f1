"""What records hold, without the photos: one row a record, its file's name and its objects.

It is kept beside the manifest as NumPy arrays, and is read without pickle. It answers where a record is, whether it
would be made again just as it is, and what is labelled in it.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.records.tfrecord import frames

# shard: the number of the file; length: bytes of the record with its frame; crc: the masked checksum of its data;
# source_bytes: of the photo's file; fingerprint: of all that the record was made from.
_ROW = np.dtype(
    [
        ("shard", "<u4"),
        ("length", "<u8"),
        ("crc", "<u4"),
        ("source_bytes", "<u8"),
        ("fingerprint", "V16"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("boxes", "<u4"),
    ]
)
_OBJECT = np.dtype([("xyxy", "<f4", 4), ("label", "<i4"), ("crowd", "?"), ("difficult", "?")])
_CHECKED = np.dtype([("length", "<u8"), ("crc", "<u4")])


@dataclass(frozen=True, eq=False)
class Index:
    """What some records hold, without the photos.

    Attributes:
        rows: one a record, shape (n,).
        names: of the photos' files, in UTF-8.
        objects: one a box, in the order of the records, in pixels of the image in the record, shape (m,).
    """

    rows: np.ndarray
    names: tuple[bytes, ...]
    objects: np.ndarray

    @classmethod
    def of_record(cls, frame: bytes, image: LabelledImage, source_bytes: int, fingerprint: bytes) -> Index:
        """Return the index of one record; its shard is filled in later."""
        crc = int.from_bytes(frame[-frames.TAIL :], "little")
        row = (0, len(frame), crc, source_bytes, fingerprint, image.width, image.height, len(image.labels))
        objects = np.zeros(len(image.labels), _OBJECT)
        objects["xyxy"], objects["label"] = image.boxes_xyxy, image.labels
        objects["crowd"], objects["difficult"] = image.crowd, image.difficult
        return cls(np.array([row], _ROW), (image.path.name.encode("utf-8", "surrogateescape"),), objects)

    @classmethod
    def joined(cls, parts: Sequence[Index], shard: int | None = None) -> Index:
        """Return the index of records that come one behind the other; of one shard, if its number is given."""
        rows = np.concatenate([np.zeros(0, _ROW), *(part.rows for part in parts)])
        rows["shard"] = rows["shard"] if shard is None else shard
        objects = np.concatenate([np.zeros(0, _OBJECT), *(part.objects for part in parts)])
        return cls(rows, tuple(name for part in parts for name in part.names), objects)

    @classmethod
    def from_bytes(cls, data: bytes) -> Index:
        """Read what `to_bytes` made."""
        file = io.BytesIO(data)
        rows, names, objects = (np.load(file, allow_pickle=False) for _ in range(3))
        return cls(rows, tuple(names.tobytes().split(b"\0"))[: len(rows)], objects)

    def to_bytes(self) -> bytes:
        """Return the bytes of a file that holds the index."""
        file = io.BytesIO()
        for array in (self.rows, np.frombuffer(b"\0".join(self.names), np.uint8), self.objects):
            np.save(file, array, allow_pickle=False)
        return file.getvalue()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Index:
        start, stop, _ = part.indices(len(self))
        objects = self.objects[self._ends[start] : self._ends[stop]]
        return Index(self.rows[start:stop], self.names[start:stop], objects)

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.rows["boxes"], dtype=np.int64)])

    def of_shard(self, number: int) -> Index:
        """Return the part of one shard."""
        start, stop = np.searchsorted(self.rows["shard"], [number, number + 1])
        return self[start:stop]

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """Where each record begins in its shard, in bytes: uint64, shape (n,)."""
        before = np.cumsum(self.rows["length"]) - self.rows["length"]
        first = np.searchsorted(self.rows["shard"], self.rows["shard"])  # the first row of each one's shard
        return before - before[first] if len(self) else before

    def checksum(self) -> str:
        """Return 32 hex digits that stand for the records: for their lengths, and the checksum that each carries."""
        return hashlib.blake2b(self.rows[["length", "crc"]].astype(_CHECKED).tobytes(), digest_size=16).hexdigest()

    def marks(self) -> set[tuple[bytes, int, int]]:
        """Return what each record is known by, wherever it lies: the photo's name, the data's length and checksum."""
        return set(zip(self.names, self.rows["length"].tolist(), self.rows["crc"].tolist(), strict=True))

    def images(self) -> Iterator[LabelledImage]:
        """Yield what is labelled in each record, without the photo, masks and areas."""
        for number, (row, name) in enumerate(zip(self.rows, self.names, strict=True)):
            objects = self.objects[self._ends[number] : self._ends[number + 1]]
            path = Path(name.decode("utf-8", "surrogateescape"))
            size = int(row["width"]), int(row["height"])
            crowd, difficult = objects["crowd"], objects["difficult"]
            yield LabelledImage(path, *size, objects["xyxy"], objects["label"], crowd=crowd, difficult=difficult)


def tag(data: bytes) -> str:
    """Return 8 hex digits that stand for some bytes."""
    return hashlib.blake2b(data, digest_size=4).hexdigest()
