"""One data set in several formats -> whether they say the same, so that one of them can be read.

An old tutorial's folder holds the XML, the tables made from it and the records made from those; others were converted
to COCO or YOLO once, and the files lie side by side.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, split_role
from tfod_helpers.photos.folder import folded
from tfod_helpers.problems import Problem

_ROUNDING = 1.01  # pixels: some converters count from 0 and others from 1


def difference(one: Dataset, other: Dataset, names: tuple[str, str]) -> str:
    """Return the first thing in which two datasets, called by these names, contradict; empty where there is none.

    What only ``one`` has is no contradiction: the other may have been made from a part of it, or without what is
    difficult. Nor is what errors have kept out of ``one``.
    """
    first, second = names
    if all(name.isdigit() for name in other.label_map):
        other = _named_as(one, other)
    faulty = {Path(path).stem for problem in one.problems if problem.severity == "error" for path in _places(problem)}
    for image, same in _pairs(one, other):
        name = image.path.name
        if image.path.stem in faulty:
            continue
        if not same and len(image.labels):
            return f"{name} has boxes in {second} only"
        agreeing = [mine for mine in same if _agree(one, mine, other, image)]
        if same and not agreeing:
            return f"{name} holds {_shown(one, same[0])} in {first}, and {_shown(other, image)} in {second}"
        splits = [mine.split for mine in agreeing]
        if splits and image.split and all(split and split_role(split) != split_role(image.split) for split in splits):
            return f"{name} is in {splits[0]!r} in {first}, and in {image.split!r} in {second}"
    return ""


def _places(problem: Problem) -> tuple[str, str]:
    return problem.where, problem.photo


def divided_as(one: Dataset, other: Dataset) -> Dataset:
    """Return a dataset without splits with those of another that says the same."""
    splits = {mine.path: image.split for image, same in _pairs(one, other) for mine in same}
    images = [dataclasses.replace(image, split=splits.get(image.path, "")) for image in one]
    return Dataset(tuple(images), one.label_map, one.problems)


def _named_as(one: Dataset, other: Dataset) -> Dataset:
    """Return a dataset whose classes have numbers for names, as YOLO without a list of them, with those of the first.

    A class is called as most of the boxes are in the first that lie where its own do.
    """
    names: dict[int, Counter[str]] = defaultdict(Counter)
    for image, same in _pairs(one, other):
        for label, box_xyxy in zip(image.labels.tolist(), image.boxes_xyxy, strict=True):
            mine = same[0] if same else image
            near = np.flatnonzero(np.abs(mine.boxes_xyxy - box_xyxy).max(axis=1, initial=0) <= _ROUNDING)
            names[label].update(one.label_map.name(int(mine.labels[place])) for place in near if same)
    found = [names[label].most_common(1) for label in range(1, len(other.label_map) + 1)]
    called = [counted[0][0] if counted else "" for counted in found]
    return Dataset(other.images, LabelMap(called)) if all(called) and len({*called}) == len(called) else other


def _pairs(one: Dataset, other: Dataset) -> Iterator[tuple[LabelledImage, list[LabelledImage]]]:
    """Yield each image of ``other`` with those that it may be of ``one``: records know a photo's name only."""
    paths: dict[Path, LabelledImage] = {image.path: image for image in one}
    stems = defaultdict(list)
    for image in one:
        stems[folded(image.path.stem)].append(image)
    for image in other:
        yield image, [paths[image.path]] if image.path in paths else stems[folded(image.path.stem)]


def _agree(one: Dataset, mine: LabelledImage, other: Dataset, theirs: LabelledImage) -> bool:
    left = [
        (one.label_map.name(label), box_xyxy, difficult)
        for label, box_xyxy, difficult in zip(mine.labels.tolist(), mine.boxes_xyxy, mine.difficult, strict=True)
    ]
    for label, box_xyxy in zip(theirs.labels.tolist(), theirs.boxes_xyxy, strict=True):
        name = other.label_map.name(label)
        apart = [np.abs(own_xyxy - box_xyxy).max() if own == name else np.inf for own, own_xyxy, _ in left]
        if min(apart, default=np.inf) > _ROUNDING:
            return False
        del left[int(np.argmin(apart))]
    return all(difficult for _, _, difficult in left)


def _shown(dataset: Dataset, image: LabelledImage) -> str:
    boxes = zip(image.labels.tolist(), image.boxes_xyxy.round().astype(int).tolist(), strict=True)
    return reprlib.repr([f"{dataset.label_map.name(label)} {box_xyxy}" for label, box_xyxy in boxes])
