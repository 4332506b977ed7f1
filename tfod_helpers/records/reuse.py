"""Records that are there already -> which of them can be taken over as they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.files import storage
from tfod_helpers.records import index as indexes
from tfod_helpers.records import manifest as manifests
from tfod_helpers.records.place import Place


@dataclass(frozen=True)
class Earlier:
    """The records that an earlier write left.

    Attributes:
        place: where they are.
        manifest: what it says.
        names: its shards.
        index: one row a record; those of a shard that is not as it was written have no fingerprint.
        starts: where each record begins in its shard.
    """

    place: Place
    manifest: dict[str, Any]
    names: list[str]
    index: np.ndarray
    starts: np.ndarray

    def matches(self, fingerprints: Sequence[bytes]) -> list[int]:
        """Return for each fingerprint the row of the record that has it, or -1."""
        marks = self.index["fingerprint"].tolist()
        known = {mark: number for number, mark in enumerate(marks) if any(mark)}
        return [known.get(fingerprint, -1) for fingerprint in fingerprints]

    def holds(self, matches: Sequence[int], bounds: Sequence[range], classes: Sequence[str]) -> bool:
        """Return whether these are exactly the records that would be written."""
        shards = np.repeat(np.arange(len(bounds)), [len(images) for images in bounds])
        return (
            self.manifest["classes"] == list(classes)
            and not self.manifest["problems"]
            and list(matches) == list(range(len(self.index)))
            and np.array_equal(shards, self.index["shard"])
        )

    def whole_shard(self, runs: Sequence[range]) -> str | None:
        """Return the name of the shard that holds just these rows, one run after another, or None."""
        if not runs:
            return None
        number = int(self.index["shard"][runs[0].start])
        joined = np.concatenate([np.arange(run.start, run.stop) for run in runs])
        return self.names[number] if np.array_equal(np.flatnonzero(self.index["shard"] == number), joined) else None

    def find(self, run: range, folder: Path) -> tuple[Path, int, int]:
        """Return where the records of some rows that follow each other are: a file, and the first byte and the size.

        Args:
            run: the rows, all of one shard.
            folder: where a shard that is in a bucket is copied to, once.
        """
        name = self.names[self.index["shard"][run.start]]
        path = Path(self.place.path(name))
        if self.place.remote:
            path = folder / name
            if not path.exists():
                storage.download(self.place.path(name), path)
        return path, int(self.starts[run.start]), int(self.index["length"][run.start : run.stop].sum())


def find(place: Place) -> Earlier | None:
    """Return the records of a place, or None where there are none that can be trusted.

    A shard is trusted that has the size which the manifest says, and was not touched since the index
    was written, which happened after. One in a bucket cannot be changed, only replaced.
    """
    try:
        manifest = manifests.read_manifest(place)
        index = manifests.read_index(place, manifest)
    except (FileNotFoundError, ValueError):
        return None
    names = list(manifest["shards"])
    there = place.sizes(place.name)
    written = None if place.remote else os.stat(place.path(manifest["index"])).st_mtime_ns
    for number, name in enumerate(names):
        whole = there.get(name) == manifest["shards"][name]["bytes"]
        if not whole or (written is not None and os.stat(place.path(name)).st_mtime_ns > written):
            index["fingerprint"][index["shard"] == number] = bytes(16)
    return Earlier(place, manifest, names, index, indexes.starts(index))
