"""Records -> every damage in them, found by reading all of them."""

from __future__ import annotations

import contextlib
import functools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.files import storage, workers
from tfod_helpers.problems import DatasetError, Problem
from tfod_helpers.records import index as indexes
from tfod_helpers.records import manifest as manifests
from tfod_helpers.records import place as places
from tfod_helpers.records.manifest import Records
from tfod_helpers.records.place import Place
from tfod_helpers.records.tfrecord import examples, frames, labelled


def verify(records: Records | str | os.PathLike[str]) -> Records:
    """Read all of some records, and prove that they are as they were written.

    The checksum of each record and each shard, the counts, the classes, each box and each image to its end.

    Args:
        records: what `write` or `open` returned, or the prefix.

    Returns:
        The records, as `open` gives them.

    Raises:
        DatasetError: something is damaged; every damaged record is listed with its file and number.
        FileNotFoundError: there are no records.
        ValueError: the manifest is damaged or not one of ours.
    """
    place = places.of_pattern(records.pattern) if isinstance(records, Records) else places.find(records)
    manifest = manifests.read_manifest(place)
    problems: list[Problem] = []
    counts: list[int] = []
    index = _index(place, manifest, problems)
    with tqdm(total=manifest["count"], desc="Verifying records", unit="image", delay=1) as bar:
        for number, (name, said) in enumerate(manifest["shards"].items()):
            of_shard = None if index is None else index[index["shard"] == number]
            path = place.path(name)
            try:
                with storage.local_copy(path) as local:
                    found = _check_shard(local, of_shard, said, manifest["classes"], counts, bar)
                    problems += [_problem(path, *fault) for fault in found]
            except FileNotFoundError:
                problems.append(_problem(path, "", "this shard is missing", "Write the records again."))
    found, said = (len(counts), sum(counts), max(counts, default=0)), _said(manifest)
    if found != said and not problems:
        what = f"(images, boxes, most boxes of an image) should be {said}, and are {found}"
        problems.append(_problem(place.manifest, "", what))
    if problems:
        raise DatasetError(problems, f"records {place.path(place.name)}")
    return manifests.open_place(place)


def _problem(path: str, object: str, what: str, fix: str = "Delete this file, and write the records again.") -> Problem:
    return Problem(where=path, object=object, what=what, fix=fix, kind="damaged record")


def _said(manifest: dict[str, Any]) -> tuple[int, int, int]:
    return manifest["count"], manifest["boxes"], manifest["max_boxes"]


def _index(place: Place, manifest: dict[str, Any], problems: list[Problem]) -> np.ndarray | None:
    """Return the index, or None where it cannot be trusted, and then say so."""
    path = place.path(manifest["index"])
    try:
        return manifests.read_index(place, manifest)
    except FileNotFoundError:
        problems.append(_problem(path, "", "this index is missing", "Write the records again."))
    except ValueError as error:
        problems.append(_problem(path, "", f"the index is damaged ({error})"))
    return None


def _check_shard(
    local: Path, index: np.ndarray | None, said: dict[str, Any], classes: list[str], counts: list[int], bar: tqdm
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a shard, and with which record; add the number of boxes of each good record."""
    size = local.stat().st_size
    if size != said["bytes"]:
        yield "", f"it has {size} bytes, and {said['bytes']} were written"
    if index is None:
        index = _scanned(local)
        if indexes.checksum(index) != said["checksum"]:
            yield "", "its records are not those that were written"
    elif indexes.checksum(index) != said["checksum"]:
        yield "", "the manifest and the index contradict each other about it"
    step = workers.batch_size(len(index), workers.count(None))
    batches = [range(start, min(start + step, len(index))) for start in range(0, len(index), step)]
    task = functools.partial(_check_batch, local, index, indexes.starts(index), classes)
    with contextlib.closing(workers.in_order(task, batches, small=True)) as outcomes:
        for batch, outcome in zip(batches, outcomes, strict=True):
            for number, result in zip(batch, outcome, strict=True):
                if isinstance(result, int):
                    counts.append(result)
                else:
                    yield f"record {number + 1}", result
            bar.update(len(batch))


def _check_batch(
    path: Path, index: np.ndarray, starts: np.ndarray, classes: list[str], batch: range
) -> list[int | str]:
    """Return for each record the number of its boxes, or what is wrong with it."""
    results: list[int | str] = []
    with path.open("rb") as file:
        for number in batch:
            file.seek(int(starts[number]))
            frame = file.read(int(index["length"][number]))
            try:
                results.append(_check_record(frame, int(index["crc"][number]), classes))
            except (ValueError, KeyError, IndexError, OSError) as error:
                results.append(f"damaged or cut off ({error})")
    return results


def _check_record(frame: bytes, crc: int, classes: list[str]) -> int:
    """Return the number of boxes; raise ValueError where a record is not what was written, or not fit for training."""
    data = frames.data_of(frame)
    if int.from_bytes(frame[-frames.TAIL :], "little") != crc:
        raise ValueError("it is not the record that was written")
    values = examples.parse(data)
    image = labelled.to_labelled_image(values)  # which checks every box
    texts = [classes[label - 1].encode() for label in image.labels.tolist()]
    if texts != values["image/object/class/text"]:
        raise ValueError("its classes are not those of the manifest")
    info = photos.prove_whole(image.encoded)
    if (info.width, info.height) != (image.width, image.height):
        raise ValueError(f"its image is {info.width} x {info.height}, and should be {image.width} x {image.height}")
    return len(texts)


def _scanned(path: Path) -> np.ndarray:
    """Return the rows of a shard whose index is lost, as far as its frames can be followed."""
    rows = []
    start, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while start < size:
            end = _frame_end(file, start, size) or size  # what cannot be followed is one damaged record
            file.seek(max(start, end - frames.TAIL))
            rows.append((0, end - start, int.from_bytes(file.read(frames.TAIL), "little"), 0, 0, b""))
            start = end
    return indexes.rows(rows)


def _frame_end(file: BinaryIO, start: int, size: int) -> int | None:
    """Return where the frame that begins at ``start`` ends, or None where that cannot be known."""
    file.seek(start)
    head = file.read(frames.HEAD)
    if len(head) < frames.HEAD or frames.masked_crc(head[:8]) != head[8:]:
        return None
    end = start + frames.HEAD + struct.unpack("<Q", head[:8])[0] + frames.TAIL
    return end if end <= size else None
