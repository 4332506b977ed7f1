"""What was taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import LabelMap
from tfod_helpers.evaluation.assigning import assign, overlapping, places
from tfod_helpers.evaluation.counting import Ranked
from tfod_helpers.evaluation.flat import Found, Truth

if TYPE_CHECKING:
    import pandas as pd

NOTHING_THERE, MISSED = "(nothing there)", "(missed)"
_IOU = 0.5


def confusion(label_map: LabelMap, truth: Truth, found: Found, ranked: Ranked, threshold: float) -> pd.DataFrame:
    """Count every object and every sure detection once, by what it is and what it was taken for.

    Detections and objects are paired whatever their classes, the most confident first, at IoU 0.50. What
    falls into a crowd of its class is left out.

    Args:
        label_map: names the rows and columns.
        truth: the objects.
        found: the detections.
        ranked: the same, as they were counted.
        threshold: the least confidence.
    """
    import pandas as pd

    sure = found[np.sort(ranked.index[~ranked.ignored[0] & (ranked.scores >= threshold)])]
    by_score = np.argsort(-sure.scores, kind="stable")
    sure = sure[by_score[np.argsort(sure.image[by_score], kind="stable")]]
    real = np.flatnonzero(~truth.crowd)
    pairs = overlapping(sure.boxes_xyxy, sure.image, truth.boxes_xyxy[real], truth.image[real], _IOU)
    none = np.zeros((1, len(real)), bool)
    candidates, chosen = assign(pairs, places(sure.image), np.array([_IOU]), none, none[0])
    partner = np.full(len(sure.labels), -1)
    partner[candidates] = chosen[0, 0]

    names, n = list(label_map), len(label_map)
    labels = truth.labels[real]
    there = np.where(partner >= 0, labels[partner] - 1, n)
    unfound = np.setdiff1d(np.arange(len(real)), partner)
    counts = np.zeros((n + 1, n + 1), int)
    np.add.at(counts, (there, sure.labels - 1), 1)
    np.add.at(counts, (labels[unfound] - 1, n), 1)
    return pd.DataFrame(counts, index=[*names, NOTHING_THERE], columns=[*names, MISSED])
