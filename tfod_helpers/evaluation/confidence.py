"""What a confidence is worth: F1 at each threshold, and whether detections are right as often as they say.

The reliability diagram and the expected calibration error are those of Guo and others (On Calibration of Modern
Neural Networks, 2017), for detections: right is what matches an object of its class at IoU 0.50.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfod_helpers.evaluation.counting import Ranked

if TYPE_CHECKING:
    import pandas as pd

_GRID = np.linspace(0, 1, 101)  # the confidences at which a curve is drawn
_UNKNOWN = 0.5  # the threshold where nothing is ever right, so that none is better than another
_BINS = 10
_LEAST = 0.1  # below this nobody looks, and a detector gives so many that they would outweigh all others
_NOTABLE = 0.05  # a difference that a person would notice
_FEW = 20  # detections, fewer show nothing


class OperatingPoint(NamedTuple):
    """What a detector reaches where detections from one confidence on count."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence against precision.

    Attributes:
        bins: a row for each tenth of confidence that has detections: confidence (their mean), precision (the
            share that is right), count.
        error: expected calibration error, the mean difference of the two over all detections; NaN without any.
        excess: mean confidence less the share that is right: above 0 the detector is over-confident.
        who: whose confidences they are, and ``what`` these are of, in words.
    """

    bins: pd.DataFrame = field(repr=False)
    error: float
    excess: float
    who: str = "detector"
    what: str = "detections"

    def __str__(self) -> str:
        counts = self.bins["count"].to_numpy()
        count = int(counts.sum())
        if count < _FEW:
            return f"Only {count} {self.what} with confidence {_LEAST} or more: too few to assess calibration."
        mean = float(self.bins["confidence"].to_numpy() @ counts) / count
        means = f"mean confidence is {mean:.0%}, and {mean - self.excess:.0%} of the {self.what} are right"
        chance = 2 * np.sqrt(0.25 / count)  # two standard errors of a share, at most
        if abs(self.excess) < max(_NOTABLE, chance):
            if self.error < max(2 * _NOTABLE, chance):
                return f"The confidences are well calibrated: {means}."
            return f"The confidences are calibrated on average only ({means}): see the chart before trusting one."
        if self.excess > 0:
            return f"The {self.who} is over-confident: {means}. Expect fewer right than a confidence says."
        return f"The {self.who} is under-confident: {means}. Expect more right than a confidence says."


def scores_and_hits(ranked: Ranked, class_id: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidences of the detections that count, and whether each is right at IoU 0.50.

    Args:
        ranked: the detections, matched.
        class_id: of one class; None of all.

    Returns:
        float64 and bool, shape (n,) each.
    """
    which = slice(None) if class_id is None else ranked.of_class(class_id)
    counts = ~ranked.ignored[0, which]
    return ranked.scores[which][counts], ranked.right[0, which][counts]


def best_point(scores: np.ndarray, right: np.ndarray, objects: int) -> OperatingPoint:
    """Return where F1 is highest; NaN where there is no object.

    Args:
        scores: confidences, shape (n,).
        right: whether each detection is right, shape (n,).
        objects: how many there are to find.
    """
    if not objects:
        return OperatingPoint(*[float("nan")] * 4)
    if not right.any():
        return OperatingPoint(_UNKNOWN, 0.0, 0.0, 0.0)
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(right[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + objects)
    f1[:-1][scores[:-1] == scores[1:]] = -1  # equal confidences are all in or all out
    best = int(f1.argmax())
    precision, recall = found[best] / (best + 1), found[best] / objects
    return OperatingPoint(float(scores[best]), float(precision), float(recall), float(f1[best]))


def f1_curve(scores: np.ndarray, right: np.ndarray, objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 101 confidences, and F1 from each of them on, NaN where there is no object: shape (101,) each.

    Args:
        scores: confidences, shape (n,).
        right: whether each detection is right, shape (n,).
        objects: how many there are to find.
    """
    if not objects:
        return _GRID, np.full(len(_GRID), np.nan)
    kept = len(scores) - np.searchsorted(np.sort(scores), _GRID, "left")
    hits = right.sum() - np.searchsorted(np.sort(scores[right]), _GRID, "left")
    return _GRID, 2 * hits / (kept + objects)


def calibrate(scores: np.ndarray, right: np.ndarray, who: str = "detector", what: str = "detections") -> Calibration:
    """Compare confidence with precision.

    Args:
        scores: confidences, shape (n,); those below 0.1 are left out.
        right: whether each detection is right, shape (n,).
        who: as in `Calibration`.
        what: as in `Calibration`.
    """
    import pandas as pd

    scores, right = scores[scores >= _LEAST], right[scores >= _LEAST]
    which = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(which, minlength=_BINS)
    used = counts > 0
    confidence = np.bincount(which, scores, _BINS)[used] / counts[used]
    precision = np.bincount(which, right, _BINS)[used] / counts[used]
    bins = pd.DataFrame({"confidence": confidence, "precision": precision, "count": counts[used]})
    if not len(scores):
        return Calibration(bins, float("nan"), float("nan"), who, what)
    error = float(np.abs(confidence - precision) @ counts[used]) / len(scores)
    return Calibration(bins, error, float(scores.mean() - right.mean()), who, what)


def wilson(share: Any, count: Any) -> tuple[Any, Any]:
    """Return the ends of a share's 95 % interval (Wilson, 1927), which is known also where the share is 0 or 1.

    Args:
        share: 0 to 1, a number or an array.
        count: of how many.
    """
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return middle - half, middle + half
