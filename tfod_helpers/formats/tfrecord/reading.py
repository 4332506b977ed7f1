"""TFRecords -> their photos as files, and the annotations of each."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.annotations import split_word
from tfod_helpers.files import storage
from tfod_helpers.formats import folders
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.format import photos_taken_out
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, marked
from tfod_helpers.formats.tfrecord.classes import WRITE_AGAIN, Names, given_ids, joined, names_beside, number_of
from tfod_helpers.formats.tfrecord.sets import RecordSet, checked, sets_in, sets_of
from tfod_helpers.photos.folder import PhotoFolder, existing_folder, files_with_ending
from tfod_helpers.problems import Problem, Severity, refused
from tfod_helpers.records import tfrecord

_OF_ALL = ("records without boxes", "label map differs", "classes without names")  # kinds that leave nothing to read
_IN_PIXELS = 2.0  # a fraction of the image is never so high, a box over the edge included
_BOX = "image/object/bbox/"
_COLUMNS = (*(_BOX + corner for corner in COORDINATES), "image/object/class/text", "image/object/class/label")
_SHOWN = 8  # features or classes that a message names
# What other tasks' records have, and what such records are: the first that fits.
_OTHER_TASKS = (
    ("objects/", "records of TensorFlow Datasets", "Read them by their name: formats.tfds.read('voc', folder='voc')."),
    ("segmentation|mask", "records for segmentation", "Choose records with boxes."),
    ("label", "records for classification", "Choose records with boxes."),
)
_Values = dict[str, list[Any]]
_Seen = Counter[tuple[bool, tuple[str, ...]]]  # records by whether they have a photo, and by their features


def find(listing: folders.Listing) -> list[Part]:
    """Return the sets of records in a folder or in its splits, each with the split in a name."""
    root = listing.root
    inside = [one for one in listing.inside(root) if split_word(one.name) and one not in listing.photos]
    return _parts(listing, [root, *inside])


def find_anywhere(listing: folders.Listing) -> list[Part]:
    """Return the sets of records in any folder of a data set, for one in which nothing else was recognised."""
    return _parts(listing, listing)


def _parts(listing: folders.Listing, places: Iterable[Path]) -> list[Part]:
    root, sets = listing.root, [one for place in places for one in sets_in(place, listing.get(place, ()))]
    return [Part(root, one.first, folders.split_of(root, one.folder) or _split(one.name)) for one in sets]


def parts_of(path: Path) -> list[Part]:
    """Return the set that a file is of, whichever of its shards it is; none where its name is not that of records."""
    found = [one for one in sets_in(path.parent, files_with_ending(path.parent)) if path.name in one.numbers]
    return [Part(path.parent, path, split_word(path.parent.name) or _split(one.name)) for one in found]


def beside(path: Path) -> list[Part]:
    """Return the sets of records at a path, a file or a folder."""
    if path.is_file():
        return parts_of(path) or [Part(path.parent, path, split_word(path.parent.name))]
    if found := find(folders.Listing(existing_folder(path))):
        return found
    fix = "Check the path; files end in .tfrecord or .record, or in -00000-of-00010."
    raise refused(path, "there are no TFRecord files in this folder", fix)


def _split(set_name: str) -> str:
    """Return the split at an end of a set's name, or else within it: ``pets_train_v2``."""
    return folders.split_in_name(set_name, alone=False) or folders.split_name(*re.split("[-_. ]", set_name))


def sources(
    parts: Sequence[Part], reading: Reading, *, folder: str | os.PathLike[str] | None = None
) -> Iterator[Source]:
    """Yield the photos of each set, as files, with their annotations, as `Format.sources` does."""
    given = given_ids(reading)
    declared: list[dict[int, str] | None] = []
    sets = checked(sets_of([part.annotations for part in parts]), reading.problems)
    usable = [(part, one) for part, one in zip(parts, sets, strict=True) if one]
    times = Counter(one.name for _, one in usable)
    for part, one in usable:
        names = Names(given) if given else names_beside(one, part.images, reading.problems)
        own = f"{one.folder.name}_{one.name}" if times[one.name] > 1 else one.name
        target = storage.join(folder, own) if folder else one.folder / f"{one.name}_photos"
        if raws := _take_out(one, target, names, reading.problems):
            declared.append(names.declared())
            yield Source(PhotoFolder(storage.local_place(target)), raws, split=part.split)
    reading.classes = joined(declared, f"{parts[0].images}", reading.problems)


# --- photos out of records ------------------------------------------------------------------------


def _take_out(one: RecordSet, target: storage.AnyPath, names: Names, problems: list[Problem]) -> list[RawImage]:
    """Write the photos of a set to a folder; return the annotations of each."""
    raws: list[RawImage] = []
    seen: _Seen = Counter()
    filled: set[str] = set()
    with photos_taken_out(target, problems) as save:
        for shard in one.numbers:
            examples = tqdm(_examples(one.folder / shard, problems), f"Reading {shard}", unit="image", delay=1)
            for number, values in enumerate(examples, start=1):
                photo, place = _only(values, "image/encoded", b""), f"record {number}"
                has_photo = "image/encoded" in values and isinstance(photo, bytes)
                seen[has_photo, tuple(sorted(values))] += 1
                filled.add(shard)
                stem = _photo_stem(values) or f"{one.name}_{len(raws):06d}"
                if has_photo and (name := save(shard, place, stem, photo)):
                    raws.append(_raw_image(shard, place, name, values, names))
    filled.update(problem.where for problem in problems if problem.kind == "record damaged")
    found = [*_whole_set(one, seen, filled), *names.problems(one.shown)]
    problems += found
    return [] if any(problem.kind in _OF_ALL for problem in found) else raws


def _whole_set(one: RecordSet, seen: _Seen, filled: Collection[str]) -> Iterator[Problem]:
    """Yield what is wrong with a whole set; ``filled`` are the files that hold records, be they damaged."""
    for (has_photo, features), count in seen.items():
        if not has_photo:
            what = f"{count:,} of {seen.total():,} records have no photo in image/encoded"
            yield _other_task(one, features, what, "record without photo")
    of_photos = sorted({feature for has_photo, features in seen if has_photo for feature in features})
    if of_photos and not any(feature.startswith(_BOX) for feature in of_photos):
        what = f"no record has boxes ({_BOX}xmin and so on)"
        yield _other_task(one, of_photos, what, "records without boxes")
    if empty := [file for file in one.numbers if file not in filled]:
        what = f"{len(empty)} of its {len(one.numbers)} files hold no records, such as {empty[0]}"
        fix = "Some programs leave shards empty; if this one was not meant to be, copy it again."
        severity: Severity = "warning" if seen else "error"
        yield Problem(where=one.shown, what=what, fix=fix, severity=severity, kind="shard empty")


def _other_task(one: RecordSet, features: Sequence[str], what: str, problem_kind: str) -> Problem:
    """Return the problem of records that are no photos with boxes, and what they are by their features."""
    of_images = [feature for feature in features if not feature.startswith("image/object/")]
    fits = [(kind, fix) for word, kind, fix in _OTHER_TASKS if re.search(word, " ".join(of_images))]
    kind, fix = next(iter(fits), ("", "Choose records with photos as image/encoded, and boxes."))
    if tfrecord.is_sequence(one.first):
        kind, fix = "tf.train.SequenceExample records, of videos", "Write a tf.train.Example for each image."
    shown = ", ".join(features[:_SHOWN]) + f", ... {len(features)} in all" * (len(features) > _SHOWN)
    what = f"{what}, but {shown or 'no features at all'}" + f": these are {kind}" * bool(kind)
    return Problem(where=one.shown, what=what, fix=fix, kind=problem_kind)


def _examples(path: Path, problems: list[Problem]) -> Iterator[_Values]:
    """Yield the records of a file; add why where it cannot be read to its end."""
    try:
        for values in tfrecord.read_examples(path):
            yield {key: value if isinstance(value, list) else value.tolist() for key, value in values.items()}
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


def _photo_stem(values: _Values) -> str:
    """Return the photo's own file name without ending, as any system can have it; empty where the record has none."""
    given = _only(values, "image/filename") or _only(values, "image/source_id")
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else ""
    last = re.split(r"[/\\]", text.strip())[-1]
    return re.sub(r"[\x00-\x1f<>:\"|?*]", "_", folders.stem(last)).strip(" .")[:100]


def _only(values: _Values, key: str, otherwise: Any = None) -> Any:
    """Return the one value of a feature."""
    return next(iter(values.get(key, ())), otherwise)


# --- the annotations of a photo --------------------------------------------------------------------


def _raw_image(where: str, place: str, name: str, values: _Values, names: Names) -> RawImage:
    size = number_of(_only(values, "image/width")), number_of(_only(values, "image/height"))
    columns = [values.get(key, []) for key in _COLUMNS]
    *lengths, texts, labels = map(len, columns)
    if {*lengths, texts or lengths[0], labels or lengths[0]} != {lengths[0]}:
        shown = ", ".join(f"{len(column)}" for column in columns)
        what = f"its lists have different lengths (xmin, ymin, xmax, ymax, text, label: {shown})"
        return RawImage(where, place, name, fault=(what, WRITE_AGAIN))
    crowd = marked(values, ("image/object/is_crowd", "image/object/group_of"), lengths[0])
    difficult = marked(values, ("image/object/difficult",), lengths[0])
    objects = []
    rows = itertools.zip_longest(*columns, crowd, difficult)
    for number, (*box, text, label, is_crowd, is_difficult) in enumerate(rows, start=1):
        object_place = f"{place}, object {number}"
        class_name, fault = names.of(object_place, text, label)
        box = [number_of(value) for value in box]
        if not fault and None not in box and max(map(abs, box)) > _IN_PIXELS:
            fault = f"the box {box} is in pixels, not in fractions of the image", WRITE_AGAIN
        objects.append(RawObject(object_place, class_name, box, fault, True, is_crowd, difficult=is_difficult))
    return RawImage(where, place, name, size=size, objects=objects)
