"""A model's encoded boxes and logits -> its detections, in NumPy.

Models that detect by themselves, such as a SavedModel, need nothing of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfod_helpers.detector.facts import Nms

Outputs = Mapping[str, np.ndarray]
_LARGEST = math.log(1000 / 16)  # official.vision.ops.box_ops.BBOX_XFORM_CLIP: a box is at most 62 times its anchor


def decode(encoded: np.ndarray, logits: np.ndarray, anchors_yxhw: np.ndarray, side: int, nms: Nms) -> Outputs:
    """Return the detections of a batch, as the Model Garden's `MultilevelDetectionGenerator` finds them.

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
    found = [_decode_one(*one, anchors_yxhw, side, nms) for one in zip(encoded, logits, strict=True)]
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
    least = math.log(nms.least_score / (1 - nms.least_score))
    anchor, label = np.nonzero(logits >= least)
    scores = 1 / (1 + np.exp(-logits[anchor, label].astype(np.float32)))
    boxes_xyxy = _corners(encoded[anchor].astype(np.float32), anchors_yxhw[anchor], side)
    order = np.argsort(-scores, kind="stable")
    boxes_xyxy, scores, label = boxes_xyxy[order], scores[order], label[order]
    kept = np.sort(np.concatenate([_suppress(boxes_xyxy, of, nms) for of in _by_class(label)] or [order[:0]]))
    kept = kept[: nms.detections]
    return boxes_xyxy[kept], scores[kept], label[kept] + 1


def _by_class(label: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(label == one) for one in np.unique(label)]


def _corners(encoded: np.ndarray, anchors_yxhw: np.ndarray, side: int) -> np.ndarray:
    """Return encoded boxes as ``boxes_xyxy``, float32, clipped to the input: the formula of box_ops.decode_boxes."""
    centres = encoded[:, :2] * anchors_yxhw[:, 2:] + anchors_yxhw[:, :2]
    half = np.exp(np.minimum(encoded[:, 2:], _LARGEST)) * anchors_yxhw[:, 2:] / 2
    boxes_yxyx = np.concatenate([centres - half, centres + half], axis=1)
    return np.clip(boxes_yxyx, 0, side)[:, [1, 0, 3, 2]].astype(np.float32)


def _suppress(boxes_xyxy: np.ndarray, of: np.ndarray, nms: Nms) -> np.ndarray:
    """Return which boxes of a class are kept: greedily, the highest score first, those that overlap no kept one.

    Args:
        boxes_xyxy: all boxes, the highest score first.
        of: the indexes of the class's boxes, rising.
        nms: the settings.
    """
    kept: list[int] = []
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    while len(of) and len(kept) < nms.detections:
        first, of = of[0], of[1:]
        kept.append(first)
        sides = np.minimum(boxes_xyxy[first, 2:], boxes_xyxy[of, 2:]) - np.maximum(
            boxes_xyxy[first, :2], boxes_xyxy[of, :2]
        )
        both = np.prod(np.maximum(sides, 0), axis=1)
        of = of[both <= nms.iou * (areas[first] + areas[of] - both)]
    return np.array(kept, int)
