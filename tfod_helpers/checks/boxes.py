"""The boxes of a dataset: those that are too small, too large, drawn twice, or that no anchor fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfod_helpers.annotations import LabelledImage, LabelMap, coordinate_text
from tfod_helpers.presets import Preset, anchors, resizing
from tfod_helpers.problems import Problem, Severity

_THIN = 2.0  # pixels: a side below is a slip of the mouse
_WHOLE = 0.98  # of both sides of the image
_SAME = 0.95  # overlap of two boxes that are meant for one object
_TILE = 256  # boxes that are compared with all others at once: thousands in an image need no gigabytes
_MANY = 100  # objects: what the Model Garden's models detect at most in an image


def all_boxes(images: Sequence[LabelledImage]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all boxes one below the other.

    Returns:
        Boxes, float32, shape (n, 4); the index of each one's image, shape (n,); its size, shape (n, 2).
    """
    counts = [len(image.labels) for image in images]
    owners = np.repeat(np.arange(len(images)), counts)
    sizes = np.array([(image.width, image.height) for image in images]).reshape(-1, 2)
    boxes_xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(image.boxes_xyxy for image in images)])
    return boxes_xyxy, owners, sizes[owners]


def check_boxes(images: Sequence[LabelledImage], label_map: LabelMap, preset: Preset) -> Iterator[Problem]:
    """Yield what is wrong with the boxes of the images."""
    boxes_xyxy, owners, sizes = all_boxes(images)
    numbers = np.arange(len(owners)) - np.searchsorted(owners, owners)  # of the object in its image
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    thin = sides.min(axis=1, initial=np.inf) < _THIN
    whole = (sides >= _WHOLE * sizes).all(axis=1)
    matched = anchors.matched(boxes_xyxy, sizes, preset)
    seen = sides * resizing.factors(sizes, preset.image_size, preset.resize)  # as the model sees them
    for at in np.flatnonzero(thin | whole | ~matched):
        image, number = images[owners[at]], int(numbers[at])
        width, height = map(coordinate_text, sides[at])
        if thin[at]:
            what, fix = f"the box is {width} x {height} pixels", "Draw it again, or delete the object."
            yield _box_problem(image, number, label_map, "box of a pixel or two", what, fix, "warning")
        elif whole[at]:
            what = f"the box is nearly the whole {image.width} x {image.height} image"
            fix = "Look whether the object fills the picture; a box drawn by default teaches nothing."
            yield _box_problem(image, number, label_map, "box of the whole image", what, fix, "note")
        else:
            width, height = (f"{side:.0f}" for side in seen[at])
            what = f"at {preset.image_size} pixels the box is {width} x {height}, and no anchor overlaps it by half"
            fix = "Choose a preset with a larger image_size for small objects, or cut the photos into pieces."
            if seen[at].max() > 4 * seen[at].min():
                fix = "So long and thin an object is rarely found; divide it into several, if that makes sense."
            yield _box_problem(image, number, label_map, "box that no anchor fits", what, fix, "warning")


def check_twice(images: Sequence[LabelledImage], label_map: LabelMap) -> Iterator[Problem]:
    """Yield objects that were drawn twice, and images with very many objects."""
    for image in images:
        if len(image.labels) > 1:
            yield from _twice(image, label_map)
        if len(image.labels) > _MANY:
            what = f"it has {len(image.labels)} objects, and a model detects at most {_MANY} in an image"
            fix = "Cut the photo into pieces, if all of them count."
            yield image_problem(image, "very many objects", what, fix, "note")


def _twice(image: LabelledImage, label_map: LabelMap) -> Iterator[Problem]:
    for one, other in same_boxes(image.boxes_xyxy, _SAME):
        first, second = (label_map.name(int(image.labels[number])) for number in (one, other))
        kind, what = "box drawn twice", f"it is drawn on object {one + 1} of the same class"
        fix = "Delete one of the two."
        if first != second:
            kind, what = "one object, two classes", f"it is drawn on object {one + 1}, which is a {first!r}"
            fix = "Decide which of the two it is, and delete the other."
        yield _box_problem(image, other, label_map, kind, what, fix, "warning")


def same_boxes(boxes_xyxy: np.ndarray, least: float) -> Iterator[tuple[int, int]]:
    """Yield pairs of indices, the lower first, of boxes whose intersection over union is so high."""
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    for start in range(0, len(boxes_xyxy), _TILE):
        some_xyxy = boxes_xyxy[start : start + _TILE, None]
        low = np.maximum(some_xyxy[..., :2], boxes_xyxy[:, :2])
        high = np.minimum(some_xyxy[..., 2:], boxes_xyxy[:, 2:])
        both = (high - low).clip(0).prod(axis=2)
        same = both >= least * (areas[start : start + _TILE, None] + areas - both)
        first, second = np.nonzero(np.triu(same, start + 1))
        yield from zip((first + start).tolist(), second.tolist(), strict=True)


def _box_problem(
    image: LabelledImage, number: int, label_map: LabelMap, kind: str, what: str, fix: str, severity: Severity
) -> Problem:
    name, box_xyxy = label_map.name(int(image.labels[number])), tuple(image.boxes_xyxy[number].tolist())
    place = f"object {number + 1} ({name!r})"
    return image_problem(image, kind, what, fix, severity, object=place, box_xyxy=box_xyxy, label=name)


def image_problem(
    image: LabelledImage, kind: str, what: str, fix: str, severity: Severity, **of_object: Any
) -> Problem:
    """Return a problem with an image, or one of its objects; ``where`` is its name, with its split before it."""
    where = f"{image.split}/{image.path.name}" if image.split else image.path.name
    photo, size = str(image.path), (image.width, image.height)
    return Problem(where=where, what=what, fix=fix, kind=kind, severity=severity, photo=photo, size=size, **of_object)
