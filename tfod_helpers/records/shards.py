"""Images -> shards in a folder: new records by several processes at once, unchanged ones taken over.

A batch of new records goes to a file of its own, and the files of a shard are joined: that costs less than handing
records over between processes, and keeps memory flat.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.files import storage
from tfod_helpers.files.workers import batch_size, in_order
from tfod_helpers.problems import Problem
from tfod_helpers.records import encoding
from tfod_helpers.records.encoding import Settings
from tfod_helpers.records.index import Index
from tfod_helpers.records.manifest import read_index, read_manifest
from tfod_helpers.records.place import Place

# TensorFlow's TFRecord tutorial advises 100 MB or more a shard: https://www.tensorflow.org/tutorials/load_data/tfrecord
_SHARD_BYTES = 100_000_000
_REMOTE_BYTES = 100_000  # that a photo in a bucket counts, since asking for the sizes of all would take hours
_PIECE = 1 << 20  # bytes copied at once


@dataclass(frozen=True)
class Earlier:
    """The records that an earlier write left, and which images' records they still are.

    Attributes:
        place: where they are.
        manifest: what it says.
        index: what they hold.
        rows: for each image of the new dataset the number of its record, -1 where there is none that is the same.
    """

    place: Place
    manifest: dict[str, Any]
    index: Index
    rows: list[int]

    @classmethod
    def find(
        cls, place: Place, images: Sequence[LabelledImage], ids: Sequence[int], settings: Settings
    ) -> Earlier | None:
        """Return the records of a place, or None where there are none that can be trusted.

        A shard is trusted that has the size which the manifest says, and was not touched since the index
        was written, which happened after. One in a bucket cannot be changed, only replaced.
        """
        try:
            manifest = read_manifest(place)
            index = read_index(place, manifest)
        except (FileNotFoundError, ValueError):
            return None
        sizes = place.sizes(place.name)
        written = None if place.remote else os.stat(place.path(manifest["index"])).st_mtime_ns
        trusted = [
            sizes.get(name) == shard["bytes"] and (written is None or os.stat(place.path(name)).st_mtime_ns <= written)
            for name, shard in manifest["shards"].items()
        ]
        marks = zip(index.rows["fingerprint"].tolist(), index.rows["shard"].tolist(), strict=True)
        known = {mark: number for number, (mark, shard) in enumerate(marks) if trusted[shard]}
        new = (encoding.fingerprint(image, id, settings) for image, id in zip(images, ids, strict=True))
        return cls(place, manifest, index, [known.get(mark, -1) for mark in new])

    @property
    def names(self) -> list[str]:
        """The shards."""
        return list(self.manifest["shards"])

    def holds(self, dataset: Dataset, bounds: Sequence[range]) -> bool:
        """Return whether these are exactly the records that would be written."""
        shards = np.repeat(np.arange(len(bounds)), [len(images) for images in bounds])
        return (
            self.manifest["classes"] == list(dataset.label_map)
            and not self.manifest["problems"]
            and self.rows == list(range(len(self.index)))
            and np.array_equal(shards, self.index.rows["shard"])
        )

    def same_shard(self, images: range) -> int | None:
        """Return the number of the shard that holds just these images, or None."""
        rows = self.rows[images.start : images.stop]
        if not rows or rows[0] < 0:
            return None
        number = int(self.index.rows["shard"][rows[0]])
        return number if rows == np.flatnonzero(self.index.rows["shard"] == number).tolist() else None

    def locate(self, run: range, folder: Path) -> tuple[Path, int, int]:
        """Return where some records that follow each other are: a file, the first byte and the size.

        Args:
            run: their numbers, all of one shard.
            folder: where a shard that is in a bucket is copied to, once.
        """
        name = self.names[self.index.rows["shard"][run.start]]
        path = Path(self.place.path(name))
        if self.place.remote:
            path = folder / name
            if not path.exists():
                storage.download(self.place.path(name), path)
        return path, int(self.index.starts[run.start]), int(self.index.rows["length"][run.start : run.stop].sum())


class _Run(NamedTuple):
    """Images that follow each other: to be encoded together, or with records that follow each other.

    Attributes:
        images: their numbers.
        row: of the first one's earlier record; -1 where they are to be encoded.
    """

    images: range
    row: int


@dataclass(frozen=True)
class Written:
    """The shards of a dataset, before they have their names.

    Attributes:
        shards: each one's file, or the name of an earlier shard that holds the same.
        index: what they hold.
        problems: what is wrong with the images left out.
        reused: how many records were taken over.
    """

    shards: list[Path | str]
    index: Index
    problems: list[Problem]
    reused: int


def tag(index: Index, shards: int) -> str:
    """Return 8 hex digits that stand for the contents of so many shards."""
    digests = "".join(index.of_shard(number).checksum() for number in range(shards))
    return hashlib.blake2b(digests.encode(), digest_size=4).hexdigest()


def bounds(dataset: Dataset, shards: int | None) -> list[range]:
    """Return the numbers of the images of each shard.

    Args:
        dataset: what is to be written.
        shards: how many; None makes one for each 100 MB of photos.

    Raises:
        ValueError: more shards than images, or fewer than one.
    """
    if shards is None:
        shards = min(-(-sum(map(_source_bytes, dataset)) // _SHARD_BYTES), len(dataset)) or 1
    if not 1 <= shards <= max(len(dataset), 1):
        raise ValueError(f"shards must be from 1 to the number of images, {len(dataset)}; got {shards}.")
    ends = [len(dataset) * number // shards for number in range(shards + 1)]
    return [range(start, end) for start, end in itertools.pairwise(ends)]


def _source_bytes(image: LabelledImage) -> int:
    if image.encoded is None and storage.is_remote(image.path):
        return _REMOTE_BYTES
    try:
        return len(image.encoded) if image.encoded is not None else storage.stamp(image.path)[0]
    except OSError:  # reported when it is read
        return 0


def write(
    dataset: Dataset,
    ids: Sequence[int],
    bounds: Sequence[range],
    settings: Settings,
    folder: Path,
    *,
    workers: int,
    earlier: Earlier | None = None,
) -> Written:
    """Write shards into an empty folder, in the dataset's order.

    Args:
        dataset: the images.
        ids: the source id of each.
        bounds: the images of each shard.
        settings: what else records depend on.
        folder: where to.
        workers: how many photos are read at once.
        earlier: the records that there are already.

    Raises:
        OSError: a file cannot be written.
    """
    rows = earlier.rows if earlier else [-1] * len(dataset)
    size = batch_size(rows.count(-1), workers)
    runs = [list(_runs(images, rows, earlier, size)) for images in bounds]
    batches = [run.images for run in itertools.chain(*runs) if run.row < 0]
    task = functools.partial(_encode, dataset.images, ids, settings, folder)
    shards: list[Path | str] = []
    parts: list[Index] = []
    problems: list[Problem] = []
    new: dict[bytes, photos.Look] = {}
    outcomes = in_order(task, batches, workers=workers, small=True)
    bar = tqdm(total=len(dataset), desc="Writing records", unit="image", delay=1)
    with contextlib.closing(outcomes), bar:
        encoded = _collect(outcomes, problems, new)
        for number, (images, of_shard) in enumerate(zip(bounds, runs, strict=True)):
            same = earlier.same_shard(images) if earlier else None
            if earlier and same is not None:
                shards.append(earlier.names[same])
                of_runs = [earlier.index.of_shard(same)]
            else:
                shards.append(folder / f"{number:05d}")
                of_runs = _join(folder / f"{number:05d}", of_shard, earlier, encoded)
            index = Index.joined(of_runs)
            index.rows["shard"] = number
            parts.append(index)
            bar.update(len(images))
    photos.remember(new)
    return Written(shards, Index.joined(parts), problems, len(rows) - rows.count(-1))


def _runs(images: range, rows: Sequence[int], earlier: Earlier | None, size: int) -> Iterator[_Run]:
    """Divide the images of a shard into batches to encode and runs of records that follow each other already."""
    start = images.start
    while start < images.stop:
        row, end = rows[start], start + 1
        if earlier is None or row < 0:
            while end < min(images.stop, start + size) and rows[end] < 0:
                end += 1
        else:
            shards = earlier.index.rows["shard"]
            while end < images.stop and rows[end] == row + end - start and shards[rows[end]] == shards[row]:
                end += 1
        yield _Run(range(start, end), row)
        start = end


_Outcome = tuple[Index, list[Problem], dict[bytes, photos.Look]]


def _encode(
    images: Sequence[LabelledImage], ids: Sequence[int], settings: Settings, folder: Path, batch: range
) -> _Outcome:
    part = slice(batch.start, batch.stop)
    return encoding.encode_batch(images[part], ids[part], settings, _batch_path(folder, batch))


def _batch_path(folder: Path, batch: range) -> Path:
    return folder / f"from-{batch.start}"


def _collect(outcomes: Iterator[_Outcome], problems: list[Problem], new: dict[bytes, photos.Look]) -> Iterator[Index]:
    """Yield what each batch holds; what is wrong with its images, and what was seen of them, is added up."""
    for index, found, seen in outcomes:
        problems += found
        new |= seen
        yield index


def _join(path: Path, runs: Sequence[_Run], earlier: Earlier | None, encoded: Iterator[Index]) -> list[Index]:
    """Make a shard of batches, as they come, and earlier records; return what each holds."""
    parts = []
    with path.open("wb") as file:
        for run in runs:
            if earlier and run.row >= 0:
                records = range(run.row, run.row + len(run.images))
                index = earlier.index[records.start : records.stop]
                _append(file, *earlier.locate(records, path.parent))
            else:
                index = next(encoded)
                batch = _batch_path(path.parent, run.images)
                _append(file, batch, 0, int(index.rows["length"].sum()))
                batch.unlink()
            parts.append(index)
        file.flush()
        os.fsync(file.fileno())  # or a power cut could leave the new name on empty blocks
    return parts


def _append(file: BinaryIO, path: Path, start: int, size: int) -> None:
    """Copy a part of a file to the end of another."""
    with path.open("rb") as source:
        source.seek(start)
        while size:
            piece = source.read(min(size, _PIECE))
            if not piece:
                raise OSError(f"{path}: it ended while it was copied")
            file.write(piece)
            size -= len(piece)
