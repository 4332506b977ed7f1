"""A model's encoded boxes and logits -> its detections, in NumPy.

Models that detect by themselves, such as a SavedModel, need nothing of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfod_helpers.detector.facts import Nms

Outputs = Mapping[str, np.ndarray]
_LARGEST = math.log(1000 / 16)  # official.vision.ops.box_ops.BBOX_XFORM_CLIP: a box is at most 62 times its anchor
_BLOCK = 128  # boxes that are compared with each other at a time


def decode(encoded: np.ndarray, logits: np.ndarray, anchors_yxhw: np.ndarray, side: int, nms: Nms) -> Outputs:
    """Return the detections of a batch, as the Model Garden's `MultilevelDetectionGenerator` finds them, then clipped.

    Args:
        encoded: boxes encoded by the anchors, float, (n, anchors, 4), ``[dy, dx, dh, dw]``.
        logits: float, (n, anchors, classes), without background.
        anchors_yxhw: float, (anchors, 4), ``[ycenter, xcenter, height, width]`` in pixels of the input.
        side: of the input, in pixels; boxes are clipped to it.
        nms: how many of the boxes that overlap are kept.

    Returns:
        ``boxes_xyxy`` (n, m, 4), float32, in pixels of the input, ``scores`` (n, m), float32, falling, ``classes``
        (n, m), int, from 1, and ``count`` (n,); what is beyond the count is zero.
    """
    return batched([_decode_one(*one, anchors_yxhw, side, nms) for one in zip(encoded, logits, strict=True)])


def batched(found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Outputs:
    """Return the boxes_xyxy (m, 4), scores (m,) and classes (m,) of several photos as `decode` does."""
    most = max((len(scores) for _, scores, _ in found), default=0)
    outputs = {
        "boxes_xyxy": np.zeros((len(found), most, 4), np.float32),
        "scores": np.zeros((len(found), most), np.float32),
        "classes": np.zeros((len(found), most), int),
        "count": np.array([len(scores) for _, scores, _ in found], int),
    }
    for number, (boxes_xyxy, scores, classes) in enumerate(found):
        for name, values in (("boxes_xyxy", boxes_xyxy), ("scores", scores), ("classes", classes)):
            outputs[name][number, : len(values)] = values
    return outputs


def _decode_one(
    encoded: np.ndarray, logits: np.ndarray, anchors_yxhw: np.ndarray, side: int, nms: Nms
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Only a few anchors reach the least score: compare logits, and decode and compute the sigmoid of these alone.
    least = math.log(nms.least_score / (1 - nms.least_score)) if nms.least_score > 0 else -math.inf
    anchor, label = np.nonzero(logits >= least)
    scores = 1 / (1 + np.exp(-logits[anchor, label].astype(np.float32)))
    boxes_xyxy = _corners(encoded[anchor].astype(np.float32), anchors_yxhw[anchor])
    order = np.argsort(-scores, kind="stable")
    boxes_xyxy, scores, label = boxes_xyxy[order], scores[order], label[order]
    kept = np.sort(np.concatenate([_suppress(boxes_xyxy, of, nms) for of in _by_class(label)] or [order[:0]]))
    kept = kept[: nms.detections]
    return np.clip(boxes_xyxy[kept], 0, side), scores[kept], label[kept] + 1


def _by_class(label: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(label == one) for one in np.unique(label)]


def _corners(encoded: np.ndarray, anchors_yxhw: np.ndarray) -> np.ndarray:
    """Return encoded boxes as ``boxes_xyxy``, float32: the formula of box_ops.decode_boxes."""
    centres = encoded[:, :2] * anchors_yxhw[:, 2:] + anchors_yxhw[:, :2]
    half = np.exp(np.minimum(encoded[:, 2:], _LARGEST)) * anchors_yxhw[:, 2:] / 2
    boxes_yxyx = np.concatenate([centres - half, centres + half], axis=1)
    return boxes_yxyx[:, [1, 0, 3, 2]].astype(np.float32)


def _suppress(boxes_xyxy: np.ndarray, of: np.ndarray, nms: Nms) -> np.ndarray:
    """Return which boxes of a class are kept: greedily, the highest score first, those that overlap no kept one.

    Args:
        boxes_xyxy: all boxes, the highest score first.
        of: the indexes of the class's boxes, rising.
        nms: the settings.
    """
    kept = of[:0]
    for start in range(0, len(of), _BLOCK):
        block = of[start : start + _BLOCK]
        block = block[~_overlap(boxes_xyxy[block], boxes_xyxy[kept], nms.iou).any(axis=1)]
        over = _overlap(boxes_xyxy[block], boxes_xyxy[block], nms.iou)
        alive = np.ones(len(block), bool)
        for number in range(len(block)):
            if alive[number]:
                alive[number + 1 :] &= ~over[number, number + 1 :]
        kept = np.concatenate([kept, block[alive]])[: nms.detections]
        if len(kept) == nms.detections:
            break
    return kept


def _overlap(one_xyxy: np.ndarray, other_xyxy: np.ndarray, iou: float) -> np.ndarray:
    """Say of each pair of boxes whether they overlap by more than ``iou``: bool, (len(one), len(other))."""
    width, height = (  # an axis at a time: NumPy is slow over a last axis of two
        np.maximum(
            np.minimum(one_xyxy[:, high, None], other_xyxy[:, high])
            - np.maximum(one_xyxy[:, low, None], other_xyxy[:, low]),
            0,
        )
        for low, high in ((0, 2), (1, 3))
    )
    areas = [(some[:, 2] - some[:, 0]) * (some[:, 3] - some[:, 1]) for some in (one_xyxy, other_xyxy)]
    both = width * height
    return both > iou * (areas[0][:, None] + areas[1] - both)
