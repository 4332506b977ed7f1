"""Which confidence to ask for: precision, recall and F1 from each confidence on, at IoU 0.50."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfod_helpers.evaluation.counting import Ranked

GRID = np.linspace(0, 1, 101)  # the confidences at which a curve is drawn
_UNKNOWN = 0.5  # the threshold where nothing is ever right, so that none is better than another


class OperatingPoint(NamedTuple):
    """What a detector reaches where detections from one confidence on count."""

    threshold: float
    precision: float
    recall: float
    f1: float


def counting(ranked: Ranked, class_id: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence and rightness of the detections that count, of one class or all: float64 and bool, (n,)."""
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
    """Return the confidences of `GRID` and F1 from each of them on, NaN where there is no object: shape (101,) each."""
    if not objects:
        return GRID, np.full(len(GRID), np.nan)
    kept = len(scores) - np.searchsorted(np.sort(scores), GRID, "left")
    hits = right.sum() - np.searchsorted(np.sort(scores[right]), GRID, "left")
    return GRID, 2 * hits / (kept + objects)
