"""One box that a person looks at, as Python keeps it and as the browser knows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfod_helpers.annotations import LabelledImage, box_fault


class Box(NamedTuple):
    """A box in true pixels of the photo, in the frame of its `LabelledImage`.

    Attributes:
        xmin: its left edge, and so the others.
        ymin: the upper one.
        xmax: the right one.
        ymax: the lower one.
        label: the class id, from 1.
        score: the detector's confidence, while no person has touched the box; else None.
        difficult: marked as hard to recognise.
    """

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    label: int
    score: float | None = None
    difficult: bool = False


Boxes = tuple[Box, ...]


def boxes_of(image: LabelledImage) -> Boxes:
    """Return the boxes of a labelled image, with the scores of those that a detector suggests."""
    shown = [None] * len(image.labels) if image.scores is None else [round(one, 4) for one in image.scores.tolist()]
    rows = zip(image.boxes_xyxy.tolist(), image.labels.tolist(), shown, image.difficult.tolist(), strict=True)
    return tuple(Box(a, b, c, d, label, score, difficult) for (a, b, c, d), label, score, difficult in rows)


def with_boxes(image: LabelledImage, given: Boxes, size: tuple[int, int] | None = None) -> LabelledImage:
    """Return the image with these boxes, and nothing else that was said of it, as what a person says.

    Args:
        image: the photo.
        given: its boxes.
        size: ``(width, height)`` of the frame that they are in, where it is not the image's.
    """
    width, height = size or (image.width, image.height)
    return LabelledImage(
        image.path,
        width,
        height,
        np.array([box[:4] for box in given], np.float32).reshape(-1, 4),
        np.array([box.label for box in given], np.int32),
        encoded=image.encoded,
        split=image.split,
        difficult=np.array([box.difficult for box in given], bool),
    )


def from_browser(rows: Iterable[Sequence[Any]], size: tuple[int, int], classes: int) -> Boxes:
    """Return the boxes that the browser sent, cut off at the photo's edges; what is no box is left out.

    Args:
        rows: ``[xmin, ymin, xmax, ymax, label, score, difficult]`` each.
        size: ``(width, height)`` of the photo's frame.
        classes: how many there are.
    """
    found = []
    for *corners, label, score, difficult in rows:
        a, b, c, d = np.clip(np.array(corners, np.float32), 0, [*size, *size]).tolist()
        if not box_fault((a, b, c, d), *size) and 1 <= int(label) <= classes:
            found.append(Box(a, b, c, d, int(label), None if score is None else float(score), bool(difficult)))
    return tuple(found)
