"""What is looked at, in batches, and what was found: in the pixels of the photo, one by one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import supervision as sv
from PIL import Image

from tfod_helpers.annotations import LabelledImage, masks
from tfod_helpers.detector.decoding import Outputs
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


def in_photo(outputs: Outputs, number: int, photo: Letterboxed, threshold: float, names: np.ndarray) -> sv.Detections:
    """Take one photo's detections out of a batch, back into the photo's pixels.

    Args:
        outputs: of a model, as `Detector` takes them.
        number: of the photo in the batch.
        photo: what the model saw.
        threshold: the least confidence.
        names: of the classes; ids begin at 1.
    """
    count = outputs["count"][number]
    scores = outputs["scores"][number, :count]
    whole_xyxy = outputs["boxes_xyxy"][number, :count] / np.tile(photo.scale, 2)
    boxes_xyxy = np.clip(whole_xyxy, 0, [photo.width, photo.height] * 2).astype(np.float32)
    # Of a box in the padding beside the photo nothing is left.
    keep = np.flatnonzero((scores >= threshold) & (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1))
    ids = outputs["classes"][number, keep].astype(int)
    return sv.Detections(
        xyxy=boxes_xyxy[keep],
        confidence=scores[keep],
        class_id=ids,
        data={"class_name": names[ids - 1]},
        mask=_paste(outputs["masks"][number, keep], whole_xyxy[keep], photo) if "masks" in outputs else None,
    )


def _paste(given: np.ndarray, boxes_xyxy: np.ndarray, photo: Letterboxed) -> sv.CompactMask:
    """Return masks that are given within their boxes, float (n, m, m), as pixels of the photo.

    Each is encoded as soon as it is made: a hundred of a large photo's size would take gigabytes. A box may reach over
    the photo's edge, into the padding of a letterboxed photo.
    """
    runs, shapes, corners = [], [], []
    for mask, (xmin, ymin, xmax, ymax) in zip(given, boxes_xyxy, strict=True):
        left, top = max(int(xmin), 0), max(int(ymin), 0)
        right, bottom = min(int(np.ceil(xmax)), photo.width), min(int(np.ceil(ymax)), photo.height)
        # The part of the mask that each pixel of the box lies in; the box's edges are not on whole pixels.
        part = np.array([left - xmin, top - ymin, right - xmin, bottom - ymin]) * mask.shape[0]
        part /= np.tile([xmax - xmin, ymax - ymin], 2)
        # Columns as rows: these are what is encoded, and a large mask takes long to be laid out anew.
        size, extent = (bottom - top, right - left), tuple(part[[1, 0, 3, 2]])
        sure = Image.fromarray(mask.T.astype(np.float32)).transform(
            size, Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR
        )
        runs.append(masks.runs((np.asarray(sure) >= 0.5).T).astype(np.int32))
        shapes.append((bottom - top, right - left))
        corners.append((left, top))
    sides, offsets = (np.array(one, np.int32).reshape(-1, 2) for one in (shapes, corners))
    return sv.CompactMask(runs, sides, offsets, (photo.height, photo.width))
