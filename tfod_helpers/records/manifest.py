"""The manifest beside the shards <-> Records, found and read back."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.files import storage
from tfod_helpers.problems import DatasetError, Problem
from tfod_helpers.records import tfrecord
from tfod_helpers.records.index import Index, tag
from tfod_helpers.records.place import Place

_VERSION = 3  # of manifest and index: others are not read, and are replaced by the next write
_KIND = "tfod_helpers records"  # marks our manifests, so that no other .json is ever overwritten


@dataclass(frozen=True)
class Records:
    """TFRecord shards that belong together.

    Attributes:
        pattern: matches the shards and nothing else; what ``tf.data`` takes.
        count: images.
        label_map: the classes.
        boxes: boxes in all images together.
        max_boxes: boxes of the image that has the most.
        problems: what was left out while writing.
        stored_bytes: of the shards.
        source_bytes: of the photos that they were made from.
        fingerprint: 32 hex digits that stand for photos, boxes and classes in their order, wherever the shards lie.
        reused: images whose records `write` took over from the ones before.
    """

    pattern: str
    count: int
    label_map: LabelMap
    boxes: int
    max_boxes: int
    problems: tuple[Problem, ...] = ()
    stored_bytes: int = 0
    source_bytes: int = 0
    fingerprint: str = ""
    reused: int = field(default=0, compare=False)

    @property
    def files(self) -> tuple[Path | str, ...]:
        """The shards, in order: paths, or URLs where they are in a bucket."""
        place = Place.of_pattern(self.pattern)
        names = sorted(fnmatch.filter(place.sizes(place.name), storage.split(self.pattern)[1]))
        return tuple(place.path(name) if place.remote else Path(place.folder, name) for name in names)

    def __str__(self) -> str:
        count = len(self.problems)
        left_out = f"; {count} problem{'s' * (count != 1)} in .problems" if count else ""
        files = len(self.files)
        text = f"{self.count} images with {self.boxes} boxes in {files} shard{'s' * (files != 1)}: {self.pattern}"
        if self.stored_bytes < self.source_bytes:
            text += f"; {self.stored_bytes / 1e6:.1f} MB instead of {self.source_bytes / 1e6:.1f} MB"
        if self.reused:
            text += f"; {'all' if self.reused == self.count else self.reused} images unchanged"
        return text + left_out


def open(prefix: str | os.PathLike[str]) -> Records:
    """Find the records that `write` made.

    Args:
        prefix: what was given to `write`, local or ``gs://``.

    Raises:
        FileNotFoundError: there are none, or a shard is missing.
        ValueError: the manifest is damaged or not one of ours, or a shard has another size than it says.
    """
    return open_place(Place.of_prefix(prefix))


def of_pattern(pattern: str) -> Records:
    """Find the records whose shards a pattern matches, such as the one that an experiment config names.

    Raises:
        FileNotFoundError: there are none, a shard is missing, or they were written anew since with other contents.
        ValueError: the manifest is damaged or not one of ours, or a shard has another size than it says.
    """
    found = open_place(Place.of_pattern(pattern))
    if os.path.basename(found.pattern) != os.path.basename(pattern):
        raise FileNotFoundError(
            f"{pattern}: these records were written anew, with other contents. Make the experiment config again from "
            f"the new ones: {found.pattern}"
        )
    return found


def open_place(place: Place) -> Records:
    """Find the records of a place, as `open` does."""
    manifest = read_manifest(place)
    there = place.sizes(place.name)
    for name, shard in manifest["shards"].items():
        path, size, found = place.path(name), shard["bytes"], there.get(name)
        if found is None:
            raise FileNotFoundError(f"{path}: this shard is missing. Copy it here, or write the records again.")
        if found != size:
            what = f"{found} bytes, and {size} were written"
            raise ValueError(f"{path}: {what}. Copy the shard or write the records again.")
    return to_records(place, manifest)


def read(records: Records) -> Iterator[LabelledImage]:
    """Read every image back, in the order written, its bytes in ``encoded``.

    Records hold boxes as fractions of the image, so a coordinate can come back changed in its last
    float32 digit.

    Raises:
        ValueError: a record is damaged (the message says which), or images are missing.
    """
    found = 0
    for path in records.files:
        for image in tfrecord.read(path):
            found += 1
            yield image
    if found != records.count:
        there = {int(os.path.basename(path).rpartition("-of-")[0][-5:]) for path in records.files}
        of = int(records.pattern.rpartition("-of-")[2].removesuffix(".tfrecord"))
        missing = ", ".join(f"{number:05d}-of-{of:05d}" for number in sorted({*range(of)} - there))
        what = f"{found} images, and {records.count} were written" + f"; missing is {missing}" * bool(missing)
        raise ValueError(f"{records.pattern}: {what}. Write them again.")


def read_labels(records: Records) -> Iterator[LabelledImage]:
    """Read what is labelled in every image, in the order written, without reading the photos.

    Yields:
        Images as `read` gives them, but without ``encoded``, ``masks`` and ``areas``.

    Raises:
        FileNotFoundError: the records are gone, or were written anew since with other contents.
        ValueError: their manifest or index is missing or damaged.
    """
    yield from _index_of(records).images()


def in_both(one: Records, other: Records) -> list[str]:
    """Return the names of the photos that two sets of records share, label for label; only their indexes are read.

    Raises:
        FileNotFoundError: records are gone, or were written anew since with other contents.
        ValueError: a manifest or index is missing or damaged.
    """
    shared = _index_of(one).marks() & _index_of(other).marks()
    return sorted(name.decode("utf-8", "replace") for name, *_ in shared)


def counted(records: Records) -> int:
    """Return how many objects a score would be made of: all but crowds and difficult ones; only the index is read.

    Raises:
        FileNotFoundError: the records are gone, or were written anew since with other contents.
        ValueError: their manifest or index is missing or damaged.
    """
    objects = _index_of(records).objects
    return int((~(objects["crowd"] | objects["difficult"])).sum())


def _index_of(records: Records) -> Index:
    place = Place.of_pattern(of_pattern(records.pattern).pattern)
    return read_index(place, read_manifest(place))


def find_manifest(place: Place) -> dict[str, Any] | None:
    """Return the manifest of a place, not proven whole, or None where there is none.

    Raises:
        ValueError: there is a file that is not ours in its place, such as COCO's annotations.
    """
    try:
        manifest = json.loads(storage.read_bytes(place.manifest))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != _KIND:
        what = "this is not a manifest of records"
        raise ValueError(f"{place.manifest}: {what}. Choose another prefix, or move the file away.")
    return manifest


def read_manifest(place: Place) -> dict[str, Any]:
    """Return the manifest of a place.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, not one of ours, or of an older version.
    """
    manifest = find_manifest(place)
    if manifest is None:
        raise FileNotFoundError(f"{place.manifest}: there are no records here. Make them with records.write.")
    if manifest.get("version") != _VERSION or manifest.get("checksum") != _checksum(manifest):
        raise ValueError(f"{place.manifest}: damaged, or of an older version. Write the records again.")
    return manifest


def write_manifest(
    place: Place, index: Index, shards: list[str], label_map: LabelMap, problems: Sequence[Problem]
) -> list[str]:
    """Write index and manifest of shards that are in their place; return the names of all that belongs to them."""
    data = index.to_bytes()
    index_name = place.index_name(tag(data))
    of_shards = {name: index.of_shard(number) for number, name in enumerate(shards)}
    manifest = {
        "kind": _KIND,
        "version": _VERSION,
        "count": len(index),
        "boxes": len(index.objects),
        "max_boxes": int(index.rows["boxes"].max()),
        "source_bytes": int(index.rows["source_bytes"].sum()),
        "classes": list(label_map),
        "index": index_name,
        "shards": {
            name: {"bytes": int(part.rows["length"].sum()), "images": len(part), "checksum": part.checksum()}
            for name, part in of_shards.items()
        },
        "problems": [asdict(problem) for problem in problems],
    }
    text = json.dumps(manifest | {"checksum": _checksum(manifest)}, indent=2) + "\n"
    place.put_bytes(data, index_name)
    place.put_bytes(text.encode(), f"{place.name}.json")  # from here on the new records are the ones that count
    return [index_name, *shards]


def to_records(place: Place, manifest: dict[str, Any]) -> Records:
    """Return the records that a manifest describes."""
    first, of = next(iter(manifest["shards"])).rsplit("-00000-of-", 1)
    folder = place.folder if place.remote else Path(place.folder).as_posix()
    return Records(
        pattern=f"{glob.escape(storage.join(folder, first))}-*-of-{of}",
        count=manifest["count"],
        label_map=LabelMap(manifest["classes"]),
        boxes=manifest["boxes"],
        max_boxes=manifest["max_boxes"],
        problems=tuple(Problem(**problem) for problem in manifest["problems"]),
        stored_bytes=sum(shard["bytes"] for shard in manifest["shards"].values()),
        source_bytes=manifest["source_bytes"],
        fingerprint=_digest([manifest["classes"], [shard["checksum"] for shard in manifest["shards"].values()]]),
    )


def read_index(place: Place, manifest: dict[str, Any]) -> Index:
    """Return the index that belongs to a manifest.

    Raises:
        DatasetError: it is missing or damaged.
    """
    path = place.path(manifest["index"])
    what, fix = "this index is missing", "Write the records again."
    with contextlib.suppress(FileNotFoundError):
        data = storage.read_bytes(path)
        if place.index_name(tag(data)) == manifest["index"]:
            return Index.from_bytes(data)
        what, fix = "the index is damaged", "Delete this file, and write the records again."
    raise DatasetError([damage(path, "", what, fix)], f"records {place.path(place.name)}")


def damage(path: str, object: str, what: str, fix: str = "Delete this file, and write the records again.") -> Problem:
    """Return the problem of records that are not as they were written."""
    return Problem(where=path, object=object, what=what, fix=fix, kind="damaged record")


def _checksum(manifest: dict[str, Any]) -> str:
    return _digest({key: value for key, value in manifest.items() if key != "checksum"})


def _digest(facts: Any) -> str:
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()
