"""Records -> every damage in them, found by reading all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import storage
from tfod_helpers.problems import DatasetError, Problem
from tfod_helpers.records.index import Index
from tfod_helpers.records.manifest import Records, damage, open_place, read_index, read_manifest
from tfod_helpers.records.place import Place
from tfod_helpers.records.tfrecord import frames


def verify(records: Records | str | os.PathLike[str]) -> Records:
    """Read all of some records, and prove that they are, byte for byte, what `write` made of photos that it proved.

    Compared are the checksums of the manifest, the index, each shard and each record; no photo is decoded again.

    Args:
        records: what `write` or `open` returned, or the prefix.

    Returns:
        The records, as `open` gives them.

    Raises:
        DatasetError: something is damaged; every damaged record is listed with its file and number, unless the index
            is lost, without which all of them have to be written again.
        FileNotFoundError: there are no records.
        ValueError: the manifest is damaged or not one of ours.
    """
    place = Place.of_pattern(records.pattern) if isinstance(records, Records) else Place.of_prefix(records)
    manifest = read_manifest(place)
    index = read_index(place, manifest)
    problems: list[Problem] = []
    with tqdm(total=manifest["count"], desc="Verifying records", unit="image", delay=1) as bar:
        for number, (name, expected) in enumerate(manifest["shards"].items()):
            path = place.path(name)
            try:
                with storage.local_copy(path) as local:
                    found = _check_shard(local, index.of_shard(number), expected)
                    problems += [damage(path, *fault) for fault in found]
            except FileNotFoundError:
                problems.append(damage(path, "", "this shard is missing", "Write the records again."))
            bar.update(expected["images"])
    if problems:
        raise DatasetError(problems, f"records {place.path(place.name)}")
    return open_place(place)


def _check_shard(local: Path, index: Index, expected: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a shard, and with which record of it."""
    size = local.stat().st_size
    if size != expected["bytes"]:
        yield "", f"it has {size} bytes, and {expected['bytes']} were written"
    with local.open("rb") as file:
        for number, row in enumerate(index.rows, start=1):
            frame = file.read(row["length"])
            try:
                frames.data_of(frame)
            except ValueError as error:
                yield f"record {number}", f"damaged or cut off ({error})"
                continue
            if int.from_bytes(frame[-frames.TAIL :], "little") != row["crc"]:
                yield f"record {number}", "it is not the record that was written"
