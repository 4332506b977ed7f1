"""COCO's counts -> AP and recall by name, for each class, and with intervals; the same for boxes and for masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.evaluation import bootstrap
from tfod_helpers.evaluation.arrays import GroundTruth
from tfod_helpers.evaluation.counting import LIMITS, RECALL_POINTS, SIZES, Counts, Ranked
from tfod_helpers.evaluation.result import Scores

if TYPE_CHECKING:
    import pandas as pd

IOU_50, _IOU_75 = 0, 5  # indexes of COCO's ten thresholds
_ALL_SIZES, _MOST_DETECTIONS = 0, -1  # indexes of COCO's size ranges and detection limits
_NAMED_SIZES = [(place, name) for place, name in enumerate(SIZES) if place != _ALL_SIZES]


def scores(names: list[str], truth: GroundTruth, counts: Counts, weights: np.ndarray | None, kind: str) -> Scores:
    """Return what was counted, by name.

    Args:
        names: of the classes.
        truth: the objects.
        counts: what was counted of the detections on them.
        weights: how often each image counts in each resample, shape (images, resamples); None for no intervals.
        kind: the column of the table that says how many objects a class has.
    """
    import pandas as pd

    # (IoU threshold, recall point, class, size, detection limit); -1 where there is no such object
    precision = np.where(counts.precision < 0, np.nan, counts.precision)[..., _MOST_DETECTIONS]
    each = range(len(names))
    table = {
        "ap": [_mean(precision[:, :, k, _ALL_SIZES]) for k in each],
        "ap50": [_mean(precision[IOU_50, :, k, _ALL_SIZES]) for k in each],
        kind: objects(truth),
        **{f"{column}_{end}": np.nan for column in ("ap", "ap50") for end in ("low", "high")},
        **{f"ap_{name}": [_mean(precision[:, :, k, size]) for k in each] for size, name in _NAMED_SIZES},
    }
    per_class = pd.DataFrame(table, index=pd.Index(names, name="class"))
    intervals = {} if weights is None else _intervals(truth, counts.ranked, weights, per_class)
    curves = {name: (RECALL_POINTS, precision[IOU_50, :, k, _ALL_SIZES]) for k, name in enumerate(names)}
    return Scores(_coco(counts, precision), intervals, per_class, curves)


def objects(truth: GroundTruth) -> list[int]:
    """Return how many objects each class has to find."""
    counts: list[int] = np.bincount(truth.labels[truth.counted], minlength=truth.classes + 1)[1:].tolist()
    return counts


def _coco(counts: Counts, precision: np.ndarray) -> dict[str, float]:
    """Return COCO's twelve numbers by name, in its order."""
    recall = np.where(counts.recall < 0, np.nan, counts.recall)
    return {
        "AP": _mean(precision[..., _ALL_SIZES]),
        "AP50": _mean(precision[IOU_50, ..., _ALL_SIZES]),
        "AP75": _mean(precision[_IOU_75, ..., _ALL_SIZES]),
        **{f"AP {name}": _mean(precision[..., size]) for size, name in _NAMED_SIZES},
        **{f"AR {limit}": _mean(recall[:, :, _ALL_SIZES, place]) for place, limit in enumerate(LIMITS)},
        **{f"AR {name}": _mean(recall[:, :, size, _MOST_DETECTIONS]) for size, name in _NAMED_SIZES},
    }


def _intervals(
    truth: GroundTruth, ranked: Ranked, weights: np.ndarray, per_class: pd.DataFrame
) -> dict[str, bootstrap.Interval]:
    """Return the intervals over all classes, and write those of each class into its row."""
    ap = bootstrap.resampled_ap(truth, ranked, weights)
    once = bootstrap.resampled_ap(truth, ranked, np.ones((truth.images, 1), np.float32))
    wholes = {"ap": (ap.mean(axis=0), once.mean(axis=0)), "ap50": (ap[IOU_50], once[IOU_50])}
    # A class of one image is in a resample or not, which says nothing about another image.
    many = [len(np.unique(truth.image[(truth.labels == k) & truth.counted])) > 1 for k in range(1, truth.classes + 1)]
    for column, (resampled, whole) in wholes.items():
        ends = [
            bootstrap.interval(values, float(one)) if enough else bootstrap.UNKNOWN
            for values, one, enough in zip(resampled, whole[:, 0], many, strict=True)
        ]
        per_class[[f"{column}_low", f"{column}_high"]] = np.array(ends)
    wholes["ap75"] = (ap[_IOU_75], once[_IOU_75])
    if not several_images(truth):
        return dict.fromkeys(wholes, bootstrap.UNKNOWN)
    return {
        name: bootstrap.interval(bootstrap.class_mean(resampled), float(bootstrap.class_mean(whole)[0]))
        for name, (resampled, whole) in wholes.items()
    }


def several_images(truth: GroundTruth) -> bool:
    """Return whether more than one image has objects to find; one says nothing of others."""
    return len(np.unique(truth.image[truth.counted])) > 1


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
