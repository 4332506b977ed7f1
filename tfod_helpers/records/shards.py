"""Images -> shards in a folder: new records by several processes at once, earlier ones taken over.

A batch of new records goes to a file of its own, and the files of a shard are joined by the kernel:
that costs less than handing records over between processes, and keeps memory flat.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.files import storage
from tfod_helpers.files import workers as room_of_workers
from tfod_helpers.problems import Problem
from tfod_helpers.records import encoding
from tfod_helpers.records import index as indexes
from tfod_helpers.records.reuse import Earlier

# TensorFlow's TFRecord tutorial advises 100 MB or more a shard: https://www.tensorflow.org/tutorials/load_data/tfrecord
_SHARD_BYTES = 100_000_000
_REMOTE_BYTES = 100_000  # that a photo in a bucket counts, since asking for the sizes of all would take hours
_PIECE = 1 << 20  # bytes copied at once where the kernel does not do it


class _Run(NamedTuple):
    """Images that follow each other: to be encoded together, or with records that follow each other.

    Attributes:
        images: their numbers.
        row: of the first one's earlier record; -1 where they are to be encoded.
    """

    images: range
    row: int

    @property
    def rows(self) -> range:
        """The rows of the earlier records."""
        return range(self.row, self.row + len(self.images))


@dataclass(frozen=True)
class Written:
    """The shards of a dataset, before they have their names.

    Attributes:
        shards: each one's file, or the name of an earlier shard that holds the same.
        index: one row a record.
        problems: what is wrong with the images left out.
        reused: how many records were taken over.
    """

    shards: list[Path | str]
    index: np.ndarray
    problems: list[Problem]
    reused: int

    @property
    def tag(self) -> str:
        """8 hex digits that stand for the contents of all shards."""
        return tag(self.index, len(self.shards))


def tag(index: np.ndarray, shards: int) -> str:
    """Return 8 hex digits that stand for the contents of the shards that an index tells of."""
    digests = "".join(indexes.checksum(index[index["shard"] == number]) for number in range(shards))
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


def write(
    dataset: Dataset,
    ids: Sequence[int],
    bounds: Sequence[range],
    settings: encoding.Settings,
    folder: Path,
    *,
    workers: int,
    earlier: Earlier | None = None,
    rows: Sequence[int] | None = None,
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
        rows: for each image the row of the earlier record that it has, or -1; None where none has one.

    Raises:
        OSError: a file cannot be written.
    """
    rows = [-1] * len(dataset) if rows is None else rows
    size = room_of_workers.batch_size(rows.count(-1), workers)
    runs = [list(_runs(images, rows, earlier, size)) for images in bounds]
    batches = [run.images for run in itertools.chain(*runs) if run.row < 0]
    task = functools.partial(_encode, dataset.images, ids, settings, folder)
    outcomes = room_of_workers.in_order(task, batches, workers=workers, small=True)
    shards: list[Path | str] = []
    of_shards: list[np.ndarray] = []
    problems: list[Problem] = []
    bar = tqdm(total=len(dataset), desc="Writing records", unit="image", delay=1)
    with contextlib.closing(outcomes), bar:
        for number, of_shard in enumerate(runs):
            shard, index = _make(folder / f"{number:05d}", of_shard, earlier, outcomes, problems, bar)
            index["shard"] = number
            shards.append(shard)
            of_shards.append(index)
    return Written(shards, np.concatenate(of_shards), problems, len(rows) - rows.count(-1))


def _runs(images: range, rows: Sequence[int], earlier: Earlier | None, size: int) -> Iterator[_Run]:
    """Divide the images of a shard into batches to encode and runs of records that follow each other already."""
    start = images.start
    while start < images.stop:
        row, end = rows[start], start + 1
        if row < 0:
            while end < min(images.stop, start + size) and rows[end] < 0:
                end += 1
        else:
            shards = earlier.index["shard"]
            while end < images.stop and rows[end] == row + end - start and shards[rows[end]] == shards[row]:
                end += 1
        yield _Run(range(start, end), row)
        start = end


def _encode(
    images: Sequence[LabelledImage],
    ids: Sequence[int],
    settings: encoding.Settings,
    folder: Path,
    batch: range,
) -> tuple[np.ndarray, list[Problem]]:
    part = slice(batch.start, batch.stop)
    return encoding.encode_batch(images[part], ids[part], settings, _batch_path(folder, batch))


def _batch_path(folder: Path, batch: range) -> Path:
    return folder / f"from-{batch.start}"


def _make(
    path: Path,
    runs: Sequence[_Run],
    earlier: Earlier | None,
    outcomes: Iterator[tuple[np.ndarray, list[Problem]]],
    problems: list[Problem],
    bar: tqdm,
) -> tuple[Path | str, np.ndarray]:
    """Make a shard of batches, as they come, and earlier records.

    Returns:
        Its file, or the name of an earlier shard that is the same; and its rows of the index.
    """
    if earlier and all(run.row >= 0 for run in runs) and (name := earlier.whole_shard([run.rows for run in runs])):
        bar.update(sum(len(run.images) for run in runs))
        return name, earlier.index[earlier.index["shard"] == earlier.names.index(name)]
    indexes_of_runs = [indexes.rows()]
    with path.open("wb", buffering=0) as file:
        for run in runs:
            if run.row >= 0:
                index = earlier.index[run.rows.start : run.rows.stop]
                _append(file, *earlier.find(run.rows, path.parent))
            else:
                index, found = next(outcomes)
                batch = _batch_path(path.parent, run.images)
                _append(file, batch, 0, int(index["length"].sum()))
                batch.unlink()
                problems += found
            indexes_of_runs.append(index)
            bar.update(len(run.images))
        os.fsync(file.fileno())  # or a power cut could leave the new name on empty blocks
    return path, np.concatenate(indexes_of_runs)


def _append(file: BinaryIO, path: Path, start: int, size: int) -> None:
    """Copy a part of a file to the end of another."""
    with path.open("rb", buffering=0) as source:
        source.seek(start)
        while size:
            if sys.platform == "linux":  # elsewhere it writes to sockets only
                copied = os.sendfile(file.fileno(), source.fileno(), None, size)
            else:
                copied = file.write(source.read(min(size, _PIECE)))
            if not copied:
                raise OSError(f"{path}: it ended while it was copied")
            size -= copied


def _source_bytes(image: LabelledImage) -> int:
    if image.encoded is None and storage.is_remote(image.path):
        return _REMOTE_BYTES
    try:
        return len(image.encoded) if image.encoded is not None else storage.stamp(image.path)[0]
    except OSError:  # reported when it is read
        return 0
