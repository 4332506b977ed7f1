"""A detection data set -> images with one box each: what a classifier looks at; and that as a square."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.presets import resizing
from tfod_helpers.problems import refused

_AROUND = 0.1  # of a box's width and height: so much of the photo is seen on each side of it


def crops(dataset: Dataset) -> Dataset:
    """Return a data set of the boxes: an image for each, of the same photo. Crowds and difficult ones are left out.

    Args:
        dataset: photos with boxes.

    Raises:
        DatasetError: there is no box.
    """
    every = []
    for image in dataset:
        for at in np.flatnonzero(image.counted):
            parts: dict[str, Any] = {
                name: None if getattr(image, name) is None else getattr(image, name)[at : at + 1]
                for name in ("boxes_xyxy", "labels", "crowd", "difficult", "masks", "areas")
            }
            every.append(replace(image, **parts))
    if not every:
        raise refused("dataset", "no photo has a box to crop", "Give labelled photos.")
    return Dataset(tuple(every), dataset.label_map, dataset.problems)


def whole_photos(dataset: Dataset) -> Dataset:
    """Return the photos of a detection data set by what they show: the class of most boxes, of equally many the larger.

    Photos without boxes are left out. A line is printed where photos show several classes.

    Args:
        dataset: photos with boxes.

    Raises:
        DatasetError: no photo has a box.
    """
    chosen, mixed = [], 0
    for image in dataset:
        if not len(image.labels):
            continue
        sides = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
        counts, areas = np.bincount(image.labels), np.bincount(image.labels, sides.prod(axis=1))
        mixed += int((counts > 0).sum() > 1)
        chosen.append(_whole(image, int(np.lexsort((areas, counts))[-1])))
    if not chosen:
        raise refused("dataset", "no photo has a box, so nothing says what they show", "Give labelled photos.")
    if mixed:
        print(f"{mixed} of {len(chosen)} photos show several classes: each counts as the one with the most boxes.")
    return Dataset(tuple(chosen), dataset.label_map)


def square(image: LabelledImage, side: int) -> np.ndarray:
    """Return what a classifier sees of an image with one box, and a little around it, stretched to a square.

    Args:
        image: with one box.
        side: of the square, in pixels.

    Returns:
        uint8, shape (1, side, side, 3), RGB.
    """
    box_xyxy = image.boxes_xyxy[0]
    if tuple(box_xyxy) == (0, 0, image.width, image.height):
        return photos.letterbox(image.source, side, resize=resizing.STRETCH).pixels[None]
    photo = Image.fromarray(image.pixels())
    around = np.tile((box_xyxy[2:] - box_xyxy[:2]) * _AROUND, 2) * (-1, -1, 1, 1)
    view_xyxy = (box_xyxy + around).clip(0, (*photo.size, *photo.size))
    resized = photo.resize((side, side), Image.Resampling.BILINEAR, tuple(view_xyxy.tolist()), reducing_gap=2.0)
    return np.asarray(resized)[None]


def _whole(image: LabelledImage, label: int) -> LabelledImage:
    box_xyxy = [[0, 0, image.width, image.height]]
    return LabelledImage(
        image.path, image.width, image.height, np.array(box_xyxy), np.array([label]), image.encoded, split=image.split
    )
