"""A detection data set -> images with one box each: what a classifier looks at; and boxes as squares."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.classifier import features
from tfod_helpers.presets import resizing
from tfod_helpers.problems import refused

_AROUND = 0.1  # of a box's width and height: so much of the photo is seen on each side of it


def crops(dataset: Dataset) -> Dataset:
    """Return a data set of the boxes: an image for each, of the same photo. Crowds and difficult ones are left out.

    Args:
        dataset: photos with boxes.

    Raises:
        DatasetError: there is no box, or images hold a detector's suggestions that nobody has confirmed.
    """
    dataset.refuse_unconfirmed("dataset", "what a classifier learns from or is judged by")
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
        DatasetError: no photo has a box, or photos hold a detector's suggestions that nobody has confirmed.
    """
    dataset.refuse_unconfirmed("dataset", "what a classifier learns from or is judged by")
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


def squares(image: LabelledImage, side: int, which: np.ndarray | None = None) -> np.ndarray:
    """Return what is in boxes of a photo, and a little around it, each stretched to a square.

    Args:
        image: the photo and its boxes.
        side: of the squares, in pixels.
        which: bool, shape (n,): the boxes that are wanted; None takes all.

    Returns:
        uint8, shape (k, side, side, 3), RGB: of the k wanted boxes in their order.

    Raises:
        FileNotFoundError: the file is gone.
        photos.PhotoError: it is no image, or not a whole one.
    """
    boxes_xyxy = image.boxes_xyxy if which is None else image.boxes_xyxy[which]
    if not len(boxes_xyxy):
        return np.zeros((0, side, side, 3), np.uint8)
    photo = Image.fromarray(image.pixels())
    around = np.tile((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * _AROUND, 2) * (-1, -1, 1, 1)
    views_xyxy = (boxes_xyxy + around).clip(0, (*photo.size, *photo.size))
    return np.stack(
        [
            np.asarray(photo.resize((side, side), Image.Resampling.BILINEAR, tuple(view_xyxy), reducing_gap=2.0))
            for view_xyxy in views_xyxy.tolist()
        ]
    )


def square(image: LabelledImage, side: int) -> np.ndarray:
    """Return what a classifier sees of an image with one box: the whole photo, or what `squares` gives of the box.

    Args:
        image: with one box.
        side: of the square, in pixels.

    Returns:
        uint8, shape (1, side, side, 3), RGB.
    """
    if tuple(image.boxes_xyxy[0]) == (0, 0, image.width, image.height):
        return photos.letterbox(image.source, side, resize=resizing.STRETCH).pixels[None]
    return squares(image, side)


def square_batches(images: Sequence[LabelledImage], side: int, title: str = "") -> Iterator[tuple[np.ndarray, int]]:
    """Yield the `square` of each image in batches, as `features.batches` does."""
    return features.batches(images, functools.partial(square, side=side), side, title)


def all_squares(images: Sequence[LabelledImage], side: int, title: str = "") -> np.ndarray:
    """Return the `square` of each image: uint8, shape (n, side, side, 3), RGB."""
    return np.concatenate([batch[:count] for batch, count in square_batches(images, side, title)])


def _whole(image: LabelledImage, label: int) -> LabelledImage:
    box_xyxy = [[0, 0, image.width, image.height]]
    return LabelledImage(
        image.path, image.width, image.height, np.array(box_xyxy), np.array([label]), image.encoded, split=image.split
    )
