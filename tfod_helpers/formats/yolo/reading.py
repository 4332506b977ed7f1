"""The parts of a YOLO data set -> the raw images of their photos, and the names of their classes."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tfod_helpers.annotations import LabelMap
from tfod_helpers.formats.labelled_images import known_classes
from tfod_helpers.formats.raw import Part, RawImage, Reading, Source
from tfod_helpers.formats.yolo import layout
from tfod_helpers.formats.yolo.description import Description
from tfod_helpers.formats.yolo.layout import YoloPart
from tfod_helpers.formats.yolo.pairing import LabelledPhotos, labelled_photos, leave_out, used_classes
from tfod_helpers.formats.yolo.rows import BOXES, UNCLEAR, LabelFile, Meaning, meaning_of, to_object
from tfod_helpers.formats.yolo.tree import like_it
from tfod_helpers.problems import DatasetError, Problem, refused

Names = Mapping[int, str]
_BACKGROUND = LabelFile("")


def sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    """Yield the photos of each part with their label files.

    Raises:
        DatasetError: it is not clear which number is which class.
    """
    reading.label_map = known_classes(reading.label_map, reading.problems)
    known = [one for part in parts for one in ([part] if isinstance(part, YoloPart) else layout.given(part))]
    reading.problems += dict.fromkeys(problem for part in known for problem in part.problems)
    if any(one.kind == "class name" and one.severity == "error" for one in reading.problems):
        raise DatasetError(reading.problems, reading.where)  # two files name the classes differently
    groups = labelled_photos(known, reading.problems)
    meaning = _meaning(groups, reading.problems)
    names = _names(groups, reading)
    for group in groups:
        keypoints = group.part.description.keypoints
        of_photo = [(photo, group.labels.get(photo, [_BACKGROUND])) for photo in group.photos.names]
        items = [(photo, file) for photo, files in of_photo for file in files]
        how = names[group], keypoints, BOXES if keypoints else meaning
        yield Source(group.photos, items, functools.partial(_raw_image, group.part.inside, how), group.part.split)


def _meaning(groups: Sequence[LabelledPhotos], problems: list[Problem]) -> Meaning:
    """Return what the numbers in the rows are; the photos of rows where that is not clear are left out."""
    plain = [group for group in groups if not group.part.description.keypoints]
    rows = [(group, *one) for group in plain for one in group.rows() if len(one[-1]) > 5]
    meaning = meaning_of(row for *_, row in rows)
    unclear = defaultdict(list)
    for one in rows:
        if meaning[count := min(len(one[-1]) - 1, 7)] == "unclear":
            unclear[count].append(one)
    for count, some in unclear.items():
        group, _, file, line, row = some[0]
        numbers, fix = UNCLEAR[count]
        what = f"the row {' '.join(row[:8])}{' ...' * (len(row) > 8)} has {numbers}{like_it('rows', len(some))}"
        problems.append(group.problem(file, what, fix, kind="object unreadable", object=f"line {line}"))
        leave_out((group, photo) for group, photo, *_ in some)
    return meaning


def _names(groups: Sequence[LabelledPhotos], reading: Reading) -> dict[LabelledPhotos, Names]:
    """Return the names by which each part knows its classes, and give `reading` all of them.

    Raises:
        DatasetError: it is not clear which number is which class.
    """
    given = dict(enumerate(reading.label_map if isinstance(reading.label_map, LabelMap) else ()))
    named = dict.fromkeys(group.part.description for group in groups if group.part.description.names)
    nameless = [group for group in groups if group.part.description not in named]
    for description in named:
        used = used_classes([group for group in groups if group.part.description is description])
        _check_numbers(description, used, reading.problems)
    what, fix = "no data.yaml or classes.txt names the classes", "Add one, or give label_map."
    if nameless and not given and named:
        leave_out((group, name) for group in nameless for name in group.photos.names)
        where = str(nameless[0].part.annotations)
        reading.problems.append(Problem(where=where, what=f"{what} here", fix=fix, kind="class name"))
    elif nameless and not given:
        given = {number: str(number) for number in range(max(used_classes(nameless), default=0) + 1)}
        fix, where = f"They are called by their numbers. {fix}", reading.where
        reading.problems.append(Problem(where=where, what=what, fix=fix, severity="warning", kind="class name"))
    reading.classes = _joined([description.names for description in named] or [given], reading)
    return {group: group.part.description.names or given for group in groups}


def _check_numbers(description: Description, used: set[int], problems: list[Problem]) -> None:
    ids = sorted(description.names)
    count = f"its names are numbered {ids[0]} to {ids[-1]}"
    if ids[0] > 0 and 0 in used:
        fix = "Number the names from 0, as YOLO does, or correct the labels."
        raise refused(description.path, f"{count}, and the labels have a class 0", fix, kind="class name")
    if used and min(used) > 0 and max(used) == len(ids) and ids == list(range(len(ids))):
        what = f"{count}, and the labels' classes {min(used)} to {max(used)}"
        fix = "YOLO counts from 0, and the labels seem to count from 1. Correct the labels, or add the name."
        raise refused(description.path, what, fix, kind="class name")
    if ids[0] > 0:
        fix = "The labels were read by these numbers. YOLO itself counts from 0: number them so, in the labels too."
        where = description.path.name
        problems.append(Problem(where=where, what=count, fix=fix, severity="warning", kind="class name"))


def _joined(lists: Sequence[Names], reading: Reading) -> list[str]:
    """Return the classes of all lists, joined by their names, in the order in which they first come."""
    ordered = [[names[number] for number in sorted(names)] for names in lists]
    for own in ordered:
        if len(set(own)) < len(own):
            return own  # a repeated name, which is refused
    classes = list(dict.fromkeys(name for own in ordered for name in own))
    counts = Counter(name.casefold() for name in classes)
    alike = [name for name in classes if counts[name.casefold()] > 1]
    if alike and len(lists) > 1:
        what, fix = f"{' and '.join(map(repr, alike))} are taken as {len(alike)} classes", "Write each in one way."
        kind = "class spelled differently"
        reading.problems.append(Problem(where=reading.where, what=what, fix=fix, severity="warning", kind=kind))
    return classes


def _raw_image(inside: str, how: tuple[Names, int, Meaning], item: tuple[str, LabelFile]) -> RawImage:
    photo, file = item
    if not file.name:
        return RawImage(photo, "", photo, has_size=False)
    objects = [to_object(line, row, *how) for line, row in file.rows]
    return RawImage(f"{inside}{file.name}", "", photo, objects=objects, fault=file.fault, has_size=False)
