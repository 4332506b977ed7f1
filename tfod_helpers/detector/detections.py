"""What is looked at, in batches; what was found, one by one; and masks in the pixels of the photo."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import supervision as sv
from PIL import Image

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.photos import Letterboxed

Photo = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | LabelledImage
_Item = TypeVar("_Item")


def each(found: sv.Detections) -> Iterator[tuple[np.ndarray, float, str]]:
    """Yield box_xyxy (pixels of the photo), confidence and class name of each detection that a `Detector` found."""
    assert found.confidence is not None
    for box_xyxy, confidence, name in zip(found.xyxy, found.confidence, found.data["class_name"], strict=True):
        yield box_xyxy, float(confidence), str(name)


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield the items in lists of ``size``, the last of which may be shorter.

    Raises:
        ValueError: the size is below 1.
    """
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}.")
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def paste(masks: np.ndarray, boxes_xyxy: np.ndarray, photo: Letterboxed) -> np.ndarray:
    """Return masks that are given within their boxes, float (n, m, m), as pixels of the photo: bool, (n, h, w).

    A box may reach over the photo's edge, into the padding of a letterboxed photo.
    """
    pasted = np.zeros((len(masks), photo.height, photo.width), bool)
    for whole, mask, (xmin, ymin, xmax, ymax) in zip(pasted, masks, boxes_xyxy, strict=True):
        left, top = max(int(xmin), 0), max(int(ymin), 0)
        right, bottom = min(int(np.ceil(xmax)), photo.width), min(int(np.ceil(ymax)), photo.height)
        # The part of the mask that each pixel of the box lies in; the box's edges are not on whole pixels.
        part = np.array([left - xmin, top - ymin, right - xmin, bottom - ymin]) * mask.shape[0]
        part /= np.tile([xmax - xmin, ymax - ymin], 2)
        size = (right - left, bottom - top)
        sure = Image.fromarray(mask.astype(np.float32)).transform(
            size, Image.Transform.EXTENT, tuple(part), Image.Resampling.BILINEAR
        )
        whole[top:bottom, left:right] = np.asarray(sure) >= 0.5
    return pasted
