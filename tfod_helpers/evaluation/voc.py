"""Pascal VOC's average precision, as its development kit of 2010 and later counts it (``VOCevaldet.m``, ``VOCap.m``).

It is the area under the interpolated precision-recall curve, at every recall that is reached and not at 101 points as
COCO's, at IoU 0.50 alone. A detection belongs to the object that it overlaps most, and no other: where a surer one has
taken it, the detection is wrong, while COCO looks for another object. All detections count, not 100 an image. A
difficult object, and a crowd, is neither found nor missed. Boxes are measured as COCO measures them, without the pixel
that the kit adds to each side.
"""

from __future__ import annotations

import numpy as np

from tfod_helpers.evaluation.arrays import GroundTruth, Predictions
from tfod_helpers.evaluation.matching import overlapping_pairs

_IOU = 0.5


def voc_ap(truth: GroundTruth, found: Predictions) -> np.ndarray:
    """Return the AP of each class.

    Args:
        truth: the objects.
        found: the detections on the same images.

    Returns:
        float64, shape (classes,); NaN where a class has no object.
    """
    found = found[np.lexsort((found.turn, -found.scores, found.labels))]
    own = _most_overlapped(truth, found)
    counts = truth.counted[own] | (own < 0)
    first = np.zeros(len(own), bool)
    first[np.unique(own, return_index=True)[1]] = True  # the surest of each object stands before the others
    right = first & counts & (own >= 0)
    objects = np.bincount(truth.labels[truth.counted], minlength=truth.classes + 1)
    return np.array([_area(right[(found.labels == k) & counts], objects[k]) for k in range(1, truth.classes + 1)])


def _most_overlapped(truth: GroundTruth, found: Predictions) -> np.ndarray:
    """Return the object of its class that each detection overlaps most, or -1; a crowd only where there is no other."""
    pairs = overlapping_pairs(
        found.boxes_xyxy,
        found.labels * truth.images + found.image,
        truth.boxes_xyxy,
        truth.labels * truth.images + truth.image,
        _IOU,
        truth.crowd,
    )
    own = np.full(len(found.labels), -1)
    # Of indexes that repeat the last stays: the largest overlap, and of equal ones the first object.
    order = np.lexsort((-pairs.object, pairs.iou, ~truth.crowd[pairs.object]))
    own[pairs.detection[order]] = pairs.object[order]
    return own


def _area(right: np.ndarray, objects: int) -> float:
    """Return the area under the curve of detections in falling order of confidence."""
    if not objects:
        return float("nan")
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or a higher one
    return float(highest[right].sum() / objects)
