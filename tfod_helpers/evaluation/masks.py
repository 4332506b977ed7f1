"""Masks of detections and of objects: encoded as they are found, measured, and how much they overlap.

A mask of a photo of 640 x 480 pixels takes 300 kB, and some hundred bytes in COCO's run-length encoding. So detections
keep it as that, in ``data["rle"]``: bytes as `annotations.LabelledImage` has them, of a mask of the photo's size.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage, masks
from tfod_helpers.annotations.masks import RLE
from tfod_helpers.evaluation.arrays import GroundTruth, Predictions
from tfod_helpers.evaluation.matching import Pairs

if TYPE_CHECKING:
    import supervision as sv


def encode_masks(found: sv.Detections, image: LabelledImage) -> sv.Detections:
    """Return the detections of an image with their masks encoded too; themselves where they are, or have no masks.

    Args:
        found: with masks as bool, (n, h, w), or as `supervision.CompactMask`.
        image: the image.

    Raises:
        ValueError: the masks are not of the image's size.
    """
    if found.mask is None or RLE in found.data:
        return found
    size = image.height, image.width
    if tuple(found.mask.shape[1:]) != size:
        shown = " x ".join(map(str, found.mask.shape[:0:-1]))
        raise ValueError(
            f"{image.path}: its detections have masks of {shown} pixels, and it has {image.width} x {image.height}. "
            f"Give masks in the pixels of the photo."
        )
    made = copy.copy(found)
    made.data = {**found.data, RLE: np.array([*_codes(found.mask, size)], object)}
    return made


def only_encoded(found: sv.Detections, image: LabelledImage) -> sv.Detections:
    """Return the detections of an image as `encode_masks` does, without the masks themselves, which fill the memory.

    Args:
        found: with masks as `encode_masks` takes them, or without.
        image: the image.

    Raises:
        ValueError: the masks are not of the image's size.
    """
    if found.mask is None:
        return found
    made = copy.copy(encode_masks(found, image))
    made.mask = None
    return made


def all_encoded(dataset: Dataset, detections: Sequence[sv.Detections]) -> Sequence[sv.Detections]:
    """Return the detections of all images as `encode_masks` does; themselves where none has a mask that is not encoded.

    Args:
        dataset: the images.
        detections: one for each image, in its order.

    Raises:
        ValueError: the masks are not of their image's size.
    """
    if all(one.mask is None or RLE in one.data for one in detections):
        return detections
    return [encode_masks(one, image) for one, image in zip(detections, dataset, strict=True)]


def _codes(found: Any, size: tuple[int, int]) -> Iterator[bytes]:
    """Yield each mask's encoding; one column after the other is what it goes by, so a photo is laid out so once."""
    canvas = np.zeros(size, np.uint8, order="F")
    for number in range(len(found)):
        if isinstance(found, np.ndarray):
            inside = np.flatnonzero(found[number].any(axis=1)), np.flatnonzero(found[number].any(axis=0))
            down, across = (slice(one[0], one[-1] + 1) if len(one) else slice(0) for one in inside)
            crop = found[number][down, across]
        else:
            left, top = found.offsets[number].tolist()
            crop = found.crop(number)
            down, across = slice(top, top + crop.shape[0]), slice(left, left + crop.shape[1])
        canvas[down, across] = crop
        yield masks.encode(canvas)
        canvas[down, across] = 0


def measure(dataset: Dataset, truth: GroundTruth, found: Predictions) -> np.ndarray:
    """Return the area of each detection's mask, int64, in pixels; every mask is proven to be one of its image's size.

    Args:
        dataset: the images.
        truth: its objects.
        found: the detections on them.

    Raises:
        ValueError: one is not; pycocotools would end the process.
    """
    areas = np.zeros(0, np.int64)
    for what, one in (("object", truth), ("detection", found)):
        assert one.masks is not None
        areas = masks.areas(one.masks.tolist(), truth.sizes[one.image].prod(axis=1))
        if (areas < 0).any():
            at = int((areas < 0).argmax())
            image = dataset[int(one.image[at])]
            place = at - int(np.searchsorted(one.image, one.image[at])) + 1
            raise ValueError(
                f"{image.path}, {what} {place}: its mask is no run-length encoding of {image.width} x {image.height} "
                f"pixels. Make it with pycocotools.mask.encode, from a mask of the photo's size."
            )
    return areas


def overlapping_masks(truth: GroundTruth, found: Predictions, least: float) -> Pairs:
    """Return the detections and objects of the same image and class whose masks overlap by ``least`` or more.

    With a crowd the overlap is the share of the detection's area inside of it.

    Args:
        truth: the objects, with masks that `measure` has proven.
        found: the detections, likewise.
        least: the least IoU of a pair, above 0.
    """
    from pycocotools import mask as coder

    assert found.masks is not None
    assert truth.masks is not None
    sides = truth.sizes.tolist()
    groups = [one.labels * truth.images + one.image for one in (found, truth)]
    orders = [np.argsort(group, kind="stable") for group in groups]
    common = np.intersect1d(*groups)
    bounds = [
        [np.searchsorted(group[order], common, side) for side in ("left", "right")]
        for group, order in zip(groups, orders, strict=True)
    ]
    parts = []
    for group, start, end, first, last in zip(common.tolist(), *bounds[0], *bounds[1], strict=True):
        seen, real = orders[0][start:end], orders[1][first:last]
        size = sides[group % truth.images]
        coded = [[{"size": size, "counts": one} for one in masks] for masks in (found.masks[seen], truth.masks[real])]
        iou = coder.iou(*coded, truth.crowd[real].tolist())
        at, of = np.nonzero(iou >= least)
        parts.append((seen[at], real[of], iou[at, of]))
    detection, object, iou = (np.concatenate(some) for some in zip(_NOTHING, *parts, strict=True))
    order = np.argsort(detection, kind="stable")
    return Pairs(detection[order], object[order], iou[order])


_NOTHING = (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
