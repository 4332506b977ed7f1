"""What a box costs a person, and from which confidence on showing suggestions saves work.

==========================  =====  =========================================================================
to draw a box               7.0 s  measured: four clicks at an object's outermost points (Papadopoulos and others,
                                   Extreme clicking for efficient object annotation, ICCV 2017)
to say whether one fits     1.6 s  measured: a box is shown, and a person says yes or no (Papadopoulos and others, We
                                   don't need no bounding-boxes, CVPR 2016)
to delete one, or to give   1.6 s  assumed: a click or a key, as for that answer
it another class
==========================  =====  =========================================================================

Every suggestion is looked at. One that overlaps an object by IoU 0.70 spares drawing that, and gets another class where
its own is wrong. Any other is deleted, also one that lies worse: moving its edges takes about as long as drawing it.
Boxes drawn by their corners, and checked by others, took 25.5 s in the median (Su and others, Crowdsourcing annotations
for visual object detection, 2012); that would ask for more suggestions yet.
"""

from __future__ import annotations

import numpy as np
import supervision as sv

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset

DRAWN, LOOKED_AT, CORRECTED = 7.0, 1.6, 1.6  # seconds
FITS = 0.7  # IoU, from which on a box needs no correction, and two boxes are of one object
# A box that is right with probability p saves p * DRAWN, and costs LOOKED_AT + (1 - p) * CORRECTED.
WORTH_SHOWING = (LOOKED_AT + CORRECTED) / (DRAWN + CORRECTED)  # 0.37


def distinct(found: sv.Detections) -> sv.Detections:
    """Return boxes without near-duplicates: of those that overlap by IoU 0.70, of any class, the most confident.

    A detector suppresses its own duplicates class by class, so that a dog may be a cat too; a person would delete one.

    Args:
        found: the detections of a photo, with ``confidence`` and ``class_id``. Masks and other data are left out.
    """
    bare = sv.Detections(xyxy=found.xyxy, confidence=found.confidence, class_id=found.class_id)
    return bare.with_nms(FITS, class_agnostic=True)


def least_work(dataset: Dataset, detections: list[sv.Detections]) -> float:
    """Return the confidence from which on suggestions would have cost least on labelled photos; 1 where none paid.

    Args:
        dataset: the photos and a person's labels.
        detections: one for each photo, in its order, with the dataset's class ids.
    """
    truth, found = evaluation.flatten(dataset, list(map(distinct, detections)))
    where = truth.boxes_xyxy, truth.image, FITS
    partner = evaluation.match(found.boxes_xyxy, found.image, found.scores, *where)
    in_place = partner >= 0
    named = in_place & (np.append(truth.labels, 0)[partner] == found.labels)
    counts = ~in_place | np.append(truth.counted, True)[partner]
    order = np.flatnonzero(counts)[np.argsort(-found.scores[counts], kind="stable")]
    scores = found.scores[order]
    saved = np.cumsum(DRAWN * in_place[order] - CORRECTED * ~named[order] - LOOKED_AT)
    saved[:-1][scores[:-1] == scores[1:]] = -np.inf  # equal confidences are all in or all out
    best = int(saved.argmax()) if len(saved) else 0
    return float(scores[best]) if len(saved) and saved[best] > 0 else 1.0
