"""Images -> shards in a folder, by several processes at once; records that have not changed are taken over.

A batch of records goes to a file of its own, and the files of a shard are joined: that costs less than handing
records over between processes, and keeps memory flat.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tfod_helpers.records.tfrecord.examples import example_class

# TensorFlow's TFRecord tutorial advises 100 MB or more a shard: https://www.tensorflow.org/tutorials/load_data/tfrecord
_SHARD_BYTES = 100_000_000
_REMOTE_BYTES = 100_000  # that a photo in a bucket counts, since asking for the sizes of all would take hours
_PIECE = 1 << 20  # bytes copied at once
_BUFFER = 1 << 17  # bytes; many small photos then take half the time to write


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

    def fetch(self, folder: Path) -> Path:
        """Return the folder where the shards are; those in a bucket that are needed are copied to the one given."""
        if not self.place.remote:
            return Path(self.place.folder)
        for number in {int(self.index.rows["shard"][row]) for row in self.rows if row >= 0}:
            storage.download(self.place.path(self.names[number]), folder / self.names[number])
        return folder

    def record(self, row: int, folder: Path) -> tuple[bytes, Index]:
        """Return a record in its frame, read out of the folder where the shards are, and its index."""
        with (folder / self.names[self.index.rows["shard"][row]]).open("rb", buffering=0) as file:
            file.seek(int(self.index.starts[row]))
            return file.read(int(self.index.rows["length"][row])), self.index[row : row + 1]


@dataclass(frozen=True)
class Batch:
    """Some records in a file.

    Attributes:
        path: the file.
        index: what it holds.
        problems: what is wrong with the images left out.
        seen: what is new of what was seen of the photos, for `photos.remember`.
    """

    path: Path
    index: Index
    problems: list[Problem]
    seen: bytes


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


def write_shards(
    dataset: Dataset,
    ids: Sequence[int],
    bounds: Sequence[range],
    settings: Settings,
    folder: Path,
    *,
    workers: int,
    earlier: Earlier | None = None,
) -> tuple[list[Path], Index, list[Problem]]:
    """Write shards into an empty folder, in the dataset's order.

    Args:
        dataset: the images.
        ids: the source id of each.
        bounds: the images of each shard.
        settings: what else records depend on.
        folder: where to.
        workers: how many photos are read at once.
        earlier: the records that there are already.

    Returns:
        The shards, what they hold, and what is wrong with the images left out.

    Raises:
        OSError: a file cannot be written.
    """
    size = batch_size(len(dataset), workers)
    batches = [[range(start, min(start + size, images.stop)) for start in images[::size]] for images in bounds]
    there = earlier.fetch(folder) if earlier else None
    example_class()  # loaded before the processes are forked, which would each do it
    task = functools.partial(write_batch, dataset.images, ids, settings, folder, earlier=earlier, there=there)
    made = in_order(task, list(itertools.chain(*batches)), workers=workers, small=True)
    shards = [folder / f"{number:05d}" for number in range(len(bounds))]
    parts: list[Index] = []
    done: list[Batch] = []
    with contextlib.closing(made), tqdm(total=len(dataset), desc="Writing records", unit="image", delay=1) as bar:
        for number, path in enumerate(shards):
            joined = join(path, itertools.islice(made, len(batches[number])), bar)
            parts.append(Index.joined([batch.index for batch in joined], number))
            done += joined
    photos.remember(b"".join(batch.seen for batch in done))
    return shards, Index.joined(parts), [problem for batch in done for problem in batch.problems]


def write_batch(
    images: Sequence[LabelledImage],
    ids: Sequence[int],
    settings: Settings,
    folder: Path,
    batch: range,
    *,
    earlier: Earlier | None = None,
    there: Path | None = None,
) -> Batch:
    """Write the records of some images to a file of their own.

    Args:
        images: all images.
        ids: the source id of each.
        settings: what else records depend on.
        folder: where the file goes.
        batch: the numbers of the images.
        earlier: the records that there are already.
        there: the folder where the shards of these are.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / f"from-{batch.start}"
    parts: list[Index] = []
    problems: list[Problem] = []
    seen: list[bytes] = []
    with path.open("wb", buffering=_BUFFER) as file:
        for number in batch:
            if earlier and there and earlier.rows[number] >= 0:
                made: tuple[bytes, Index] | Problem = earlier.record(earlier.rows[number], there)
            else:
                made = encoding.encode(images[number], ids[number], settings, seen)
            if isinstance(made, Problem):
                problems.append(made)
            else:
                file.write(made[0])
                parts.append(made[1])
    return Batch(path, Index.joined(parts), problems, b"".join(seen))


def join(path: Path, batches: Iterable[Batch], bar: tqdm | None = None) -> list[Batch]:
    """Make a shard of the files of batches, as they come, and return these."""
    joined = []
    with path.open("wb") as file:
        for batch in batches:
            with batch.path.open("rb") as source:
                shutil.copyfileobj(source, file, _PIECE)
            batch.path.unlink()
            joined.append(batch)
            if bar is not None:
                bar.update(len(batch.index) + len(batch.problems))
        file.flush()
        os.fsync(file.fileno())  # or a power cut could leave the new name on empty blocks
    return joined
