"""A dataset -> records in their place, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.files import workspace
from tfod_helpers.files.workers import count
from tfod_helpers.problems import DatasetError, OnProblem, Problem, settle_problems
from tfod_helpers.records import encoding
from tfod_helpers.records.index import Index, tag
from tfod_helpers.records.manifest import Records, find_manifest, open_place, to_records, write_manifest
from tfod_helpers.records.place import Place
from tfod_helpers.records.shards import Earlier, bounds, write_shards


def write(
    dataset: Dataset,
    prefix: str | os.PathLike[str],
    *,
    shards: int | None = None,
    workers: int | None = None,
    longest_side: int | None = None,
    on_problem: OnProblem = "raise",
) -> Records:
    """Write a dataset as TFRecord shards, whole or not at all; older ones of the same prefix are replaced.

    Every image is decoded to prove it whole. Where the prefix has records already, those of images
    that have not changed are taken over: nothing is written where nothing has changed.

    Args:
        dataset: what to write; its order is kept.
        prefix: a folder and the start of the names, such as ``runs/records/train`` or ``gs://bucket/train``.
        shards: the number of files; None makes one for each 100 MB.
        workers: how many photos are read at once; None takes one a core.
        longest_side: pixels; a photo with a longer one is scaled down to it, once and here, and its
            boxes with it. What that saves is in the text of the result. None keeps all pixels.
        on_problem: ``raise`` reports every bad image at once and writes nothing; ``skip`` leaves
            bad images out and lists them in ``Records.problems``.

    Raises:
        DatasetError: an image is missing, damaged, changed while it was read, or of another size than
            its annotation says; or no image is left to write; or images hold a detector's suggestions that
            nobody has confirmed.
        ValueError: an argument does not fit.
        OSError: the disk is full or cannot be written to, or the bucket cannot be reached.
    """
    settle_problems((), on_problem, "")  # a wrong on_problem is refused before the work, not after
    place = claimed(prefix)
    dataset.refuse_unconfirmed(f"records {place.path(place.name)}", "trained on")
    workers = count(workers)
    parts = bounds(dataset, shards)
    settings = encoding.Settings.of(dataset.label_map, longest_side)
    ids = encoding.source_ids(dataset)
    earlier = Earlier.find(place, dataset, ids, settings)
    if earlier and earlier.holds(dataset, parts):
        place.remove_all_but([earlier.manifest["index"], *earlier.names])
        return replace(to_records(place, earlier.manifest), reused=len(dataset))
    with _staging(place) as folder, workspace.room_for(place.path(place.name), folder):
        made = write_shards(dataset, ids, parts, settings, folder, workers=workers, earlier=earlier)
        found = publish(place, *made, dataset.label_map, on_problem)
    return replace(found, reused=sum(row >= 0 for row in earlier.rows) if earlier else 0)


def claimed(prefix: str | os.PathLike[str]) -> Place:
    """Return the place for records of a prefix, where nothing of another program is in the way.

    Raises:
        ValueError: the prefix cannot be one, or has another program's file for a manifest.
    """
    place = Place.of_prefix(prefix)
    find_manifest(place)
    return place


def publish(
    place: Place,
    shards: Sequence[Path | str],
    index: Index,
    problems: Sequence[Problem],
    label_map: LabelMap,
    on_problem: OnProblem,
) -> Records:
    """Give complete shards their names, then name them in the manifest, then remove the old ones.

    Args:
        place: where they belong.
        shards: the file of each, on this machine or in a bucket.
        index: what they hold.
        problems: what is wrong with the images left out.
        label_map: the classes.
        on_problem: as in `write`.

    Raises:
        DatasetError: an image is left out and ``on_problem`` is ``raise``, or there is no image.
    """
    title = f"records {place.path(place.name)}"
    settled = settle_problems(problems, on_problem, title)
    if not len(index):
        raise DatasetError(settled, f"{title}: there is no image to write")
    digests = "".join(index.of_shard(number).checksum() for number in range(len(shards)))
    names = place.shard_names(tag(digests.encode()), len(shards))
    for shard, name in zip(shards, names, strict=True):
        place.put(shard, name)
    place.remove_all_but(write_manifest(place, index, names, label_map, settled))
    return open_place(place)


@contextlib.contextmanager
def _staging(place: Place) -> Iterator[Path]:
    """Give a folder that is removed in the end; on the disk where the records will be, if that is on this machine."""
    if place.remote:
        with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
            yield Path(folder)
    else:
        with place.staging() as staging:
            yield Path(staging.folder)
