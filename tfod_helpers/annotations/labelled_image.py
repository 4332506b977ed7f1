"""One labelled image, and what makes a box one that can be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfod_helpers import photos


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image and its boxes.

    Attributes:
        path: the image file; for an image read from records, the name it had.
        width: pixels, in the frame that the boxes are in.
        height: pixels, in the frame that the boxes are in.
        boxes_xyxy: float32, shape (n, 4), ``[xmin, ymin, xmax, ymax]`` in pixels, inside the image.
        labels: int32, shape (n,), class ids from 1.
        encoded: the bytes of the image file where there is no file (read from records).
        crowd: bool, shape (n,): whether a box is around a crowd of its class, which neither trains nor counts.
        difficult: bool, shape (n,): whether an object is marked as hard to recognise, as Pascal VOC does it. It trains
            like any other, and is left out of scores: neither found nor missed.
        masks: one a box, or None where there are none: the bytes of COCO's compressed run-length encoding
            (``counts``) of a mask of this height and width, as `pycocotools.mask` reads and writes it.
        areas: float64, shape (n,): square pixels that each object covers, as its file says (COCO's ``area``), NaN where
            it does not say; None where it says none. Scores tell small, medium and large objects apart by it.
        split: the part of the data that its makers put the image into, such as ``train``; empty where they did not.
        scores: None where a person says what is in the image. Else all its boxes are a detector's suggestions, also
            where there are none, and nobody has confirmed them: float32, shape (n,), the confidence in each, 0 to 1.
            `labelling.suggest` makes them. They are never records, and never what a detector is judged by, until a
            person has confirmed them (`labelling.confirm`).

    Raises:
        ValueError: a shape, a value or a box does not fit the above.
    """

    path: Path
    width: int
    height: int
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    encoded: bytes | None = field(default=None, repr=False)
    crowd: np.ndarray = None  # type: ignore[assignment]  # none are crowds; __post_init__ makes the array
    masks: tuple[bytes, ...] | None = field(default=None, repr=False)
    split: str = ""
    difficult: np.ndarray = None  # type: ignore[assignment]  # as with crowd
    areas: np.ndarray | None = None
    scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        boxes_xyxy = np.array(self.boxes_xyxy, np.float32)
        if boxes_xyxy.size and boxes_xyxy.shape[1:] != (4,):
            raise ValueError(f"{self.path}: boxes must have shape (n, 4), got {boxes_xyxy.shape}.")
        boxes_xyxy = boxes_xyxy.reshape(-1, 4)
        labels = np.array(self.labels, np.int32).reshape(-1)
        crowd, difficult = (
            np.zeros(len(labels), bool) if flags is None else np.array(flags, bool).reshape(-1)
            for flags in (self.crowd, self.difficult)
        )
        object.__setattr__(self, "path", Path(self.path))
        arrays = {"boxes_xyxy": boxes_xyxy, "labels": labels, "crowd": crowd, "difficult": difficult}
        if self.areas is not None:
            arrays["areas"] = np.array(self.areas, float).reshape(-1)
        if self.scores is not None:
            arrays["scores"] = np.array(self.scores, np.float32).reshape(-1)
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.width < 1 or self.height < 1:
            raise ValueError(f"{self.path}: an image needs a width and height, got {self.width} x {self.height}.")
        counts = {"labels": len(labels), "crowd flags": len(crowd), "difficult flags": len(difficult)}
        counts |= {name: len(arrays[name]) for name in ("areas", "scores") if name in arrays}
        counts |= {} if self.masks is None else {"masks": len(self.masks)}
        for name, count in counts.items():
            if count != len(boxes_xyxy):
                raise ValueError(f"{self.path}: {len(boxes_xyxy)} boxes and {count} {name}. Give one to each box.")
        if (labels < 1).any():
            raise ValueError(f"{self.path}: class ids start at 1 (0 is the background), got {labels.min()}.")
        for score in arrays["scores"].tolist() if "scores" in arrays else ():
            if not 0 <= score <= 1:
                raise ValueError(f"{self.path}: a confidence must be between 0 and 1, got {score}.")
        for number, box_xyxy in enumerate(boxes_xyxy.tolist(), start=1):
            fault = box_fault(box_xyxy, self.width, self.height)
            if fault:
                raise ValueError(f"{self.path}, object {number}: {fault.what}. {fault.fix}")

    @property
    def counted(self) -> np.ndarray:
        """Whether a box is one that a detector has to find, neither a crowd nor difficult: bool, shape (n,)."""
        return ~(self.crowd | self.difficult)

    def areas_or(self, otherwise: np.ndarray) -> np.ndarray:
        """Return the areas, where they are known, else others: shape (n,).

        Args:
            otherwise: square pixels, shape (n,).
        """
        return otherwise if self.areas is None else np.where(np.isnan(self.areas), otherwise, self.areas)

    @property
    def source(self) -> Path | bytes:
        """What the image is read from: its file, or the bytes that came without one."""
        return self.path if self.encoded is None else self.encoded

    def pixels(self) -> np.ndarray:
        """Decode the image in the frame that the boxes are in: uint8, shape (height, width, 3), RGB.

        Raises:
            FileNotFoundError: the file is gone.
            photos.PhotoError: it is no image, or not a whole one.
        """
        return photos.to_rgb(self.source, (self.width, self.height))


class BoxFault(NamedTuple):
    """What is wrong with a box: the `Problem`'s ``kind``, ``what`` and ``fix``."""

    kind: str
    what: str
    fix: str


BOX_OVER_EDGE, BOX_SWAPPED = "box over the edge", "box with swapped corners"  # the kinds that checks.mend can fix


def box_fault(box_xyxy: Sequence[float], width: int, height: int) -> BoxFault | None:
    """Say what is wrong with one box, or None where it is a box inside the image.

    Args:
        box_xyxy: ``[xmin, ymin, xmax, ymax]`` in pixels.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """
    xmin, ymin, xmax, ymax = box_xyxy
    if 0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height and (xmax > 1 or ymax > 1 or min(width, height) <= 2):
        return None
    fix = "Fix the box or delete the object."
    shown = f"[{', '.join(map(coordinate_text, box_xyxy))}]"
    if not all(map(math.isfinite, box_xyxy)):
        return BoxFault("box not finite", f"the box {shown} has a coordinate that is not a finite number", fix)
    for low, high, axis, side in ((xmin, xmax, "x", "right of"), (ymin, ymax, "y", "below")):
        if high <= low:
            kind = BOX_SWAPPED if high < low else "box without area"
            return BoxFault(
                kind, f"{axis}max {coordinate_text(high)} is not {side} {axis}min {coordinate_text(low)}", fix
            )
    if xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
        return BoxFault("box outside", f"the box {shown} lies outside the {width} x {height} image", fix)
    if xmin < 0 or ymin < 0 or xmax > width or ymax > height:
        what = f"the box {shown} reaches over the edge of the {width} x {height} image"
        return BoxFault(BOX_OVER_EDGE, what, "Clip the box to the image.")
    return BoxFault(
        "box in fractions",
        f"the box {shown} is in fractions of the image, not in pixels",
        "Multiply x by the width and y by the height.",
    )


def coordinate_text(value: float) -> str:
    """Return a coordinate as the shortest text that gives the same float32 back: ``52``, ``52.3``."""
    return np.format_float_positional(np.float32(value), trim="-")
