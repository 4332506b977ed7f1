"""Boxes beside boxes: how far they overlap, and which detection found which object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import LabelledImage

if TYPE_CHECKING:
    import supervision as sv


def box_iou(boxes_xyxy: np.ndarray, others_xyxy: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each box, shape (n, 4), with each other, shape (m, 4): (n, m)."""
    low = np.maximum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    high = np.minimum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=-1)
    area = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=-1)
    other_area = np.prod(others_xyxy[:, 2:] - others_xyxy[:, :2], axis=-1)
    return both / np.maximum(area[:, None] + other_area[None] - both, 1e-9)


def match(image: LabelledImage, found: sv.Detections, *, same_class: bool = True, iou: float = 0.5) -> np.ndarray:
    """Pair detections with true objects, the most confident first, each object once.

    Args:
        image: the true objects.
        found: the detections of that image, with ``class_id`` and ``confidence``.
        same_class: a detection pairs with objects of its class alone.
        iou: the least overlap of a pair.

    Returns:
        int64, shape (n detections,): the index of the object that a detection found, or -1.
    """
    pairs = np.full(len(found), -1)
    if not len(found) or not len(image.labels):
        return pairs
    overlap = box_iou(found.xyxy.astype(float), image.boxes_xyxy.astype(float))
    if same_class:
        overlap[np.asarray(found.class_id)[:, None] != image.labels[None]] = 0
    for number in np.argsort(-np.asarray(found.confidence, float), kind="stable"):
        best = int(overlap[number].argmax())
        if overlap[number, best] >= iou:
            pairs[number] = best
            overlap[:, best] = 0
    return pairs
