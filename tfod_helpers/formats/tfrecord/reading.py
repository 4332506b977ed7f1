"""TFRecords -> their photos as files, and what they say of each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import split_word
from tfod_helpers.files import storage
from tfod_helpers.formats import folders
from tfod_helpers.formats.format import photos_taken_out
from tfod_helpers.formats.labelled_images import known_classes
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, marked
from tfod_helpers.formats.tfrecord.classes import WRITE_AGAIN, Names, given_ids, ids_beside, joined, number_of
from tfod_helpers.formats.tfrecord.sets import RecordSet, checked, sets_in, sets_of
from tfod_helpers.photos.folder import PHOTO_ENDINGS, PhotoFolder, existing_folder
from tfod_helpers.problems import DatasetError, Problem, Severity, refused
from tfod_helpers.records import tfrecord

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_OF_ALL = ("records without boxes", "label map differs", "classes without names")  # kinds that leave nothing to read
_IN_PIXELS = 2.0  # a fraction of the image is never so high, a box over the edge included
_BOX = "image/object/bbox/"
_SHOWN = 8  # features or classes that a message names
# What other tasks' records have, and what such records are: the first that fits.
_OTHER_TASKS = (
    ("objects/", "records of TensorFlow Datasets", "Read them by their name: formats.tfds.read('voc', folder='voc')."),
    ("segmentation", "records for segmentation", "Choose records with boxes."),
    ("mask", "records for segmentation", "Choose records with boxes."),
    ("label", "records for classification", "Choose records with boxes."),
)


def find(root: Path) -> list[Part]:
    """Return the sets of records in a folder or in its splits, each with the split that a name says."""
    inside = [child for child in folders.subfolders(root) if split_word(child.name) and not _has_photos(child)]
    return _parts(root, [root, *inside])


def find_anywhere(root: Path) -> list[Part]:
    """Return the sets of records in any folder of a data set, for one in which nothing else was recognised."""
    return _parts(root, list(folders.listing(root)))


def _parts(root: Path, places: Sequence[Path]) -> list[Part]:
    try:
        sets = [one for place in places for one in sets_in(place)]
    except DatasetError:
        return []
    return [Part(root, one.first, folders.split_of(root, one.folder) or _split(one.name)) for one in sets]


def parts_of(path: Path) -> list[Part]:
    """Return the set that a file is of, whichever of its shards it is; none where its name is not that of records."""
    found = [one for one in sets_in(path.parent) if path.name in one.files]
    return [Part(path.parent, path, split_word(path.parent.name) or _split(one.name)) for one in found]


def _has_photos(folder: Path) -> bool:
    return bool(folders.names_in(folder, PHOTO_ENDINGS, most=1))


def beside(path: Path) -> list[Part]:
    """Return the sets of records at a path, a file or a folder."""
    if path.is_file():
        return parts_of(path) or [Part(path.parent, path, split_word(path.parent.name))]
    if found := find(existing_folder(path)):
        return found
    fix = "Check the path; files end in .tfrecord or .record, or in -00000-of-00010."
    raise refused(path, "there are no TFRecord files in this folder", fix)


def _split(set_name: str) -> str:
    """Return the split that a set's name ends with, begins with, or else has in it: ``pets_train_val``."""
    words = re.split(r"[-_. ]", set_name)
    ends = ["_".join(words[start:]) for start in range(len(words))]
    starts = ["_".join(words[:end]) for end in range(len(words), 0, -1)]
    return folders.split_name(*ends, *starts, *words)


def sources(
    parts: Sequence[Part], reading: Reading, *, folder: str | os.PathLike[str] | None = None
) -> Iterator[Source]:
    """Yield the photos of each set, as files, with what its records say of them, as `Format.sources` does."""
    given = None if reading.label_map is None else given_ids(reading.label_map)
    reading.label_map = known_classes(reading.label_map, [])
    declared: list[dict[int, str] | None] = []
    usable = checked(sets_of([part.annotations for part in parts]), reading.problems)
    times = Counter(one.name for one in usable if one)
    for part, one in zip(parts, usable, strict=True):
        if one is None:
            continue
        names = Names(given or ids_beside(one, part.images, reading.problems))
        own = f"{one.folder.name}_{one.name}" if times[one.name] > 1 else one.name
        target = storage.join(folder, own) if folder else one.folder / f"{one.name}_photos"
        raws = _take_out(one, target, names, reading.problems)
        if raws:
            declared.append(names.declared())
            yield Source(PhotoFolder(storage.local_place(target)), raws, split=part.split)
    reading.classes = joined(declared, f"{parts[0].images}", reading.problems)


# --- photos out of records ------------------------------------------------------------------------


def _take_out(one: RecordSet, target: storage.AnyPath, names: Names, problems: list[Problem]) -> list[RawImage]:
    """Write the photos of a set to a folder; return what its records say of them."""
    raws: list[RawImage] = []
    kinds = _Kinds(one)
    with photos_taken_out(target, problems) as save:
        for shard in one.files:
            examples = tqdm(_examples(one.folder / shard, problems), f"Reading {shard}", unit="image", delay=1)
            for number, values in enumerate(examples, start=1):
                kinds.count(shard, values)
                if _has_photo(values):
                    stem = _photo_stem(values) or f"{one.name}_{len(raws):06d}"
                    if name := save(shard, f"record {number}", stem, _only(values, "image/encoded", b"")):
                        raws.append(_raw_image(shard, f"record {number}", name, values, names))
    damaged = {problem.where for problem in problems if problem.kind == "record damaged"}
    found = [*kinds.problems(damaged), *names.problems(one.shown)]
    problems += found
    return [] if any(problem.kind in _OF_ALL for problem in found) else raws


class _Kinds:
    """What a set's records are, by their features: labelled photos, or something else."""

    def __init__(self, one: RecordSet) -> None:
        self._set = one
        self._counts = dict.fromkeys(one.files, 0)
        self._without_photo: Counter[tuple[str, ...]] = Counter()
        self._with_photo: dict[str, None] = {}  # the features of all that have one

    def count(self, shard: str, values: dict[str, Any]) -> None:
        self._counts[shard] += 1
        if _has_photo(values):
            self._with_photo |= dict.fromkeys(values)
        else:
            self._without_photo[tuple(sorted(values))] += 1

    def problems(self, damaged: Collection[str]) -> Iterator[Problem]:
        """Yield what is wrong with the whole set, but for the files that cannot be read to their end."""
        for features, count in self._without_photo.items():
            what = f"{count:,} of {sum(self._counts.values()):,} records have no photo in image/encoded"
            yield self._other(features, what, "record without photo")
        if self._with_photo and not any(key.startswith(_BOX) for key in self._with_photo):
            what = f"no record has boxes ({_BOX}xmin and so on)"
            yield self._other(tuple(sorted(self._with_photo)), what, "records without boxes")
        empty = [shard for shard, count in self._counts.items() if not count and shard not in damaged]
        if empty:
            severity: Severity = "warning" if any(self._counts.values()) else "error"
            what = f"{len(empty)} of its {len(self._counts)} files hold no records, such as {empty[0]}"
            fix = "Some programs leave shards empty; if this one was not meant to be, copy it again."
            yield Problem(where=self._set.shown, what=what, fix=fix, severity=severity, kind="shard empty")

    def _other(self, features: tuple[str, ...], what: str, problem_kind: str) -> Problem:
        """Return the problem of records that are no photos with boxes, and what they are by their features."""
        of_images = [feature for feature in features if not feature.startswith("image/object/")]
        fits = [(kind, fix) for word, kind, fix in _OTHER_TASKS if any(word in feature for feature in of_images)]
        kind, fix = next(iter(fits), ("", "Choose records with photos as image/encoded, and boxes."))
        if tfrecord.is_sequence(self._set.first):
            kind, fix = "tf.train.SequenceExample records, of videos", "Write a tf.train.Example for each image."
        shown = ", ".join(features[:_SHOWN]) + f", ... {len(features)} in all" * (len(features) > _SHOWN)
        what = f"{what}, but {shown or 'no features at all'}" + f": these are {kind}" * bool(kind)
        return Problem(where=self._set.shown, what=what, fix=fix, kind=problem_kind)


def _examples(path: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    try:
        yield from tfrecord.read_examples(path)
    except (ValueError, OSError) as error:
        why = f"record {error.number}: {error.why}" if isinstance(error, tfrecord.DamagedError) else str(error)
        what, fix = f"it cannot be read to its end ({why})", "Copy or write the file again."
        with path.open("rb") as file:
            start = file.read(100)
        if start.startswith(b"version https://git-lfs"):
            what, fix = "this is a pointer of Git LFS, not the file itself", "Fetch it with git lfs pull."
        elif start.lstrip().startswith(b"<"):
            what, fix = "this is a web page, not the file", "Download it again, from the file's own address."
        problems.append(Problem(where=path.name, what=what, fix=fix, kind="record damaged"))


def _has_photo(values: dict[str, Any]) -> bool:
    """Whether a record has the feature for the photo's bytes, be it empty."""
    return isinstance(_only(values, "image/encoded", b""), bytes) and "image/encoded" in values


def _photo_stem(values: dict[str, Any]) -> str:
    """Return the photo's own file name without ending, as any system can have it; empty where the record has none."""
    given = _only(values, "image/filename", b"") or _only(values, "image/source_id", b"")
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else ""
    last = re.split(r"[/\\]", text.strip())[-1]
    return re.sub(r"[\x00-\x1f<>:\"|?*]", "_", os.path.splitext(last)[0]).strip(" .")[:100]


def _only(values: dict[str, Any], key: str, otherwise: Any) -> Any:
    """Return the one value of a feature."""
    found = values.get(key, ())
    return found[0] if len(found) else otherwise


# --- what a record says of its photo --------------------------------------------------------------


def _raw_image(where: str, place: str, name: str, values: dict[str, Any], names: Names) -> RawImage:
    size = number_of(_only(values, "image/width", None)), number_of(_only(values, "image/height", None))
    corners = [values.get(f"image/object/bbox/{corner}", ()) for corner in _CORNERS]
    texts, labels = values.get("image/object/class/text", ()), values.get("image/object/class/label", ())
    count = len(corners[0])
    lengths = {len(column) for column in corners} | {len(column) for column in (texts, labels) if len(column)}
    if lengths != {count}:
        shown = ", ".join(f"{len(column)}" for column in (*corners, texts, labels))
        what = f"its lists have different lengths (xmin, ymin, xmax, ymax, text, label: {shown})"
        return RawImage(where, place, name, fault=(what, WRITE_AGAIN))
    crowd = marked(values, ("image/object/is_crowd", "image/object/group_of"), count)
    difficult = marked(values, ("image/object/difficult",), count)
    objects = []
    for number in range(count):
        class_name, fault = names.of(
            f"{place}, object {number + 1}", *(column[number] if len(column) else None for column in (texts, labels))
        )
        box = [float(column[number]) if _is_numbers(column) else None for column in corners]
        numbers = [abs(value) for value in box if value is not None]
        if not fault and len(numbers) == len(box) and max(numbers) > _IN_PIXELS:
            fault = f"the box {box} is in pixels, not in fractions of the image", WRITE_AGAIN
        marks = {"crowd": crowd[number], "difficult": difficult[number]}
        objects.append(RawObject(f"{place}, object {number + 1}", class_name, box, fault, True, **marks))
    return RawImage(where, place, name, size=size, objects=objects)


def _is_numbers(column: Any) -> bool:
    return isinstance(column, np.ndarray)
