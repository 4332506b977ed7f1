"""Labelled images, alone and as a dataset, and what makes a box one that can be used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfod_helpers import photos
from tfod_helpers.annotations.label_map import LabelMap
from tfod_helpers.annotations.problem import Problem
from tfod_helpers.annotations.splitting import share_out

if TYPE_CHECKING:
    import pandas as pd


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
        masks: one a box, or None where there are none: the bytes of COCO's compressed run-length encoding
            (``counts``) of a mask of this height and width, as `pycocotools.mask` reads and writes it.
        split: the part of the data that its makers put the image into, such as ``train``; empty where they did not.

    Raises:
        ValueError: a shape, a value or a box does not fit the above.
    """

    path: Path
    width: int
    height: int
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    encoded: bytes | None = field(default=None, repr=False)
    crowd: np.ndarray | None = None
    masks: tuple[bytes, ...] | None = field(default=None, repr=False)
    split: str = ""

    def __post_init__(self) -> None:
        boxes_xyxy = np.array(self.boxes_xyxy, np.float32)
        if boxes_xyxy.size and boxes_xyxy.shape[1:] != (4,):
            raise ValueError(f"{self.path}: boxes must have shape (n, 4), got {boxes_xyxy.shape}.")
        boxes_xyxy = boxes_xyxy.reshape(-1, 4)
        labels = np.array(self.labels, np.int32).reshape(-1)
        crowd = np.zeros(len(labels), bool) if self.crowd is None else np.array(self.crowd, bool).reshape(-1)
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "boxes_xyxy", boxes_xyxy)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "crowd", crowd)
        if self.width < 1 or self.height < 1:
            raise ValueError(f"{self.path}: an image needs a width and height, got {self.width} x {self.height}.")
        if len(boxes_xyxy) != len(labels):
            raise ValueError(f"{self.path}: {len(boxes_xyxy)} boxes and {len(labels)} labels. Give one label a box.")
        for name, values in (("crowd flags", crowd), ("masks", labels if self.masks is None else self.masks)):
            if len(values) != len(labels):
                raise ValueError(f"{self.path}: {len(labels)} boxes and {len(values)} {name}. Give one to each box.")
        if (labels < 1).any():
            raise ValueError(f"{self.path}: class ids start at 1 (0 is the background), got {labels.min()}.")
        for number, box_xyxy in enumerate(boxes_xyxy.tolist(), start=1):
            fault = box_fault(box_xyxy, self.width, self.height)
            if fault:
                raise ValueError(f"{self.path}, object {number}: {fault.what}. {fault.fix}")
        boxes_xyxy.flags.writeable = labels.flags.writeable = crowd.flags.writeable = False

    def pixels(self) -> np.ndarray:
        """Decode the image in the frame that the boxes are in: uint8, shape (height, width, 3), RGB.

        Raises:
            FileNotFoundError: the file is gone.
            photos.PhotoError: it is no image, or not a whole one.
        """
        return photos.to_rgb(self.path if self.encoded is None else self.encoded, (self.width, self.height))


class BoxFault(NamedTuple):
    """What is wrong with a box: the `Problem`'s ``kind``, ``what`` and ``fix``."""

    kind: str
    what: str
    fix: str


BOX_OVER_EDGE, BOX_SWAPPED = "box over the edge", "box with swapped corners"  # the kinds that can be mended


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


# What the makers of data sets call their splits.
_TRAIN = ("train", "training")
_JUDGED = ("validation", "val", "valid", "dev", "test", "testing")


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[LabelledImage]):
    """Labelled images that share a label map.

    Attributes:
        images: the images.
        label_map: the classes that ``labels`` point into.
        problems: what was found while reading and is not in ``images``.
    """

    images: tuple[LabelledImage, ...]
    label_map: LabelMap
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "problems", tuple(self.problems))
        top = max((int(image.labels.max()) for image in self.images if len(image.labels)), default=0)
        if top > len(self.label_map):
            raise ValueError(
                f"A label has class id {top}, and the label map has {len(self.label_map)} classes "
                f"({self.label_map.describe()}). Give the label map that the labels were made with."
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # Sequence's own overloads
        return self.images[index]

    def __repr__(self) -> str:
        boxes = sum(len(image.labels) for image in self.images)
        counts = ", ".join(f"{name} {n}" for name, n in self.counts().items())
        count = len(self.problems)
        found = f", {count} problem{'s' * (count != 1)} listed in .problems" if count else ""
        return f"Dataset({len(self)} images, {boxes} boxes: {counts}{found})"

    def counts(self) -> dict[str, int]:
        """Return the number of boxes of each class, in the label map's order."""
        ids = np.concatenate([image.labels for image in self.images] or [np.zeros(0, np.int32)])
        return {name: int((ids == id).sum()) for id, name in zip(self.label_map.ids, self.label_map, strict=True)}

    def split(self, fractions: Mapping[str, float], seed: int = 0) -> dict[str, Dataset]:
        """Share the images out so that each part holds its share of every class, and no photo is in two parts.

        Photos that are the same picture, exactly or nearly, stay together, for which each one is decoded.
        The same seed and file names always give the same parts, whatever the order and the folder; when
        photos are added, nearly all others stay where they were.

        Args:
            fractions: the share of each part, such as ``{"train": 0.8, "validation": 0.2}``.
            seed: another number gives another split.

        Raises:
            ValueError: the shares do not add up to 1, or a part would stay empty.
        """
        parts = share_out(self.images, fractions, seed)
        return {name: Dataset(tuple(images), self.label_map) for name, images in parts.items()}

    def splits(self) -> dict[str, Dataset]:
        """Return the parts that the data's makers divided it into, by name.

        Raises:
            ValueError: they did not, or left some images out.
        """
        names = dict.fromkeys(image.split for image in self.images)
        if not all(names):
            left = sum(not image.split for image in self.images)
            raise ValueError(f"{left} of {len(self)} images belong to no ready split. Use .split to share them out.")
        return {
            name: Dataset(tuple(image for image in self.images if image.split == name), self.label_map)
            for name in names
        }

    def train_and_validation(self, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Return the images to learn from and those to be judged on: a ready division is kept, else one is made.

        Of a ready one that has a validation and a test split the validation split is taken, so that the test split
        can be kept for a last look.

        Args:
            share: the part to be judged on, where there is no ready division.
            seed: see `split`.

        Raises:
            ValueError: no image would be left to learn from, or to be judged on.
        """
        ready = self.splits() if all(image.split for image in self.images) else {}
        train = next((ready[name] for name in _TRAIN if name in ready), None)
        judged = next((ready[name] for name in _JUDGED if name in ready), None)
        if train and judged:
            return train, judged
        parts = self.split({"train": 1 - share, "validation": share}, seed)
        return parts["train"], parts["validation"]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a box: filename, width, height, class, xmin, ymin, xmax, ymax."""
        import pandas as pd

        rows = [
            (image.path.name, image.width, image.height, self.label_map.name(int(label)), *map(float, box_xyxy))
            for image in self.images
            for box_xyxy, label in zip(image.boxes_xyxy, image.labels, strict=True)
        ]
        return pd.DataFrame(rows, columns=["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
