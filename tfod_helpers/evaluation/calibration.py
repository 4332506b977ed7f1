"""Whether a confidence is what it says: of detections with confidence 0.80, are 80 % right?

Reliability diagram and expected calibration error as Guo and others have them (On Calibration of Modern
Neural Networks, 2017), for detections: right is what found an object of its class at IoU 0.50.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BINS = 10
LEAST = 0.1  # below this nobody looks, and a detector gives so many that they would outweigh all others
_NOTABLE = 0.05  # a difference that a person would notice
_FEW = 20  # detections, from which on something can be said


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence against precision.

    Attributes:
        bins: a row for each tenth of confidence that has detections: confidence (their mean), precision (the
            share that is right), count.
        error: expected calibration error, the mean difference of the two over all detections; NaN without any.
        excess: mean confidence less the share that is right: above 0 the scores promise too much.
    """

    bins: pd.DataFrame = field(repr=False)
    error: float
    excess: float

    def __str__(self) -> str:
        count = int(self.bins["count"].sum())
        if count < _FEW:
            return f"Only {count} detections with confidence {LEAST} or more: too few to say what a score is worth."
        said = float(self.bins["confidence"] @ self.bins["count"]) / count
        means = f"on average the scores say {said:.0%}, and {said - self.excess:.0%} of the detections are right"
        chance = 2 * np.sqrt(0.25 / count)  # two standard errors of a share, at most
        if abs(self.excess) < max(_NOTABLE, chance):
            if self.error < max(2 * _NOTABLE, chance):
                return f"The scores can be taken at their word: {means}."
            return f"The scores are right on average only ({means}): look at the chart before trusting one."
        if self.excess > 0:
            return f"The scores are over-confident: {means}. Read a score as less than it says."
        return f"The scores are under-confident: {means}. Read a score as more than it says."


def calibrate(scores: np.ndarray, right: np.ndarray) -> Calibration:
    """Compare confidence with precision.

    Args:
        scores: confidences, shape (n,); those below `LEAST` are left out.
        right: whether each detection is right, shape (n,).
    """
    import pandas as pd

    scores, right = scores[scores >= LEAST], right[scores >= LEAST]
    which = np.minimum((scores * BINS).astype(int), BINS - 1)
    counts = np.bincount(which, minlength=BINS)
    used = counts > 0
    confidence = np.bincount(which, scores, BINS)[used] / counts[used]
    precision = np.bincount(which, right, BINS)[used] / counts[used]
    bins = pd.DataFrame({"confidence": confidence, "precision": precision, "count": counts[used]})
    if not len(scores):
        return Calibration(bins, float("nan"), float("nan"))
    error = float(np.abs(confidence - precision) @ counts[used]) / len(scores)
    return Calibration(bins, error, float(scores.mean() - right.mean()))
