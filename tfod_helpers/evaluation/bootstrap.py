"""How far a score could be off by chance: 95 % intervals, by the bootstrap over images.

The bias-corrected percentile bootstrap of Efron and Tibshirani (An Introduction to the Bootstrap, 1993, chapters
13 and 14): sample as many images as there are, with replacement, score those, and do so a thousand times; the middle
95 % of the scores, moved against their bias, is the interval. Images are sampled, not boxes, since the boxes of an
image stand or fall together. Nothing is matched again: an image that is in a sample twice counts its detections and
objects twice.
"""

from __future__ import annotations

import itertools
from statistics import NormalDist

import numpy as np

from tfod_helpers.evaluation.arrays import GroundTruth
from tfod_helpers.evaluation.counting import IOU_THRESHOLDS, Ranked

Interval = tuple[float, float]
UNKNOWN: Interval = (float("nan"), float("nan"))
LEVEL = 0.95
_MOST_CELLS = 4_000_000  # of detections times resamples held at a time: 16 MB in float32
_MOST_BIAS = (0.07, 0.93)  # share of resamples below the score; beyond, the interval might leave the score out
_POINTS = 100  # COCO's 101 recall points are 0, 1/100, ..., 100/100


def with_interval(value: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """Return a score with the ends of its interval, such as ``0.55 (0.48 to 0.61)``; alone where these are NaN."""
    return f"{value:.2f}" + ("" if np.isnan(low) else f" ({low:.2f} to {high:.2f})")


def resample(images: int, resamples: int, seed: int = 0) -> np.ndarray:
    """Sample as many images as there are, with replacement, ``resamples`` times.

    Args:
        images: how many there are.
        resamples: how many samples.
        seed: of the random numbers.

    Returns:
        How often each image is in each sample: float32, shape (images, resamples).
    """
    chosen = np.random.default_rng(seed).integers(0, images, (images, resamples))
    # float32 holds whole numbers to 16 million exactly, and halves the memory to go through.
    flat = np.bincount((chosen * resamples + np.arange(resamples)).ravel(), minlength=images * resamples)
    return flat.reshape(images, resamples).astype(np.float32)


def resampled_ap(truth: GroundTruth, ranked: Ranked, weights: np.ndarray) -> np.ndarray:
    """Return each resample's AP.

    Args:
        truth: the objects.
        ranked: the detections, matched.
        weights: how often each image counts, shape (images, resamples).

    Returns:
        float64, shape (10 thresholds, classes, resamples); NaN where a sample has no object of the class.
    """
    ap = np.full((len(IOU_THRESHOLDS), truth.classes, weights.shape[1]), np.nan)
    for k in range(truth.classes):
        mine = truth.image[(truth.labels == k + 1) & truth.counted]
        if not len(mine):
            continue
        per_image = np.bincount(mine, minlength=truth.images).astype(np.float32)
        found = ranked.of_class(k + 1)
        images, right, ignored = ranked.image[found], ranked.right[:, found], ranked.ignored[:, found]
        step = max(1, _MOST_CELLS // max(len(images), 1))
        for start in range(0, weights.shape[1], step):
            some = slice(start, start + step)
            ap[:, k, some] = _class_ap(weights[:, some], images, right, ignored, per_image @ weights[:, some])
    return ap


def _class_ap(
    weights: np.ndarray, images: np.ndarray, right: np.ndarray, ignored: np.ndarray, objects: np.ndarray
) -> np.ndarray:
    """Return the AP of one class: shape (10, resamples)."""
    ap = np.where(objects > 0, np.zeros((len(right), 1)), np.nan)
    some = np.flatnonzero(right.any(axis=0))
    if not len(some):
        return ap
    # Detections up to each true positive, itself included, at whatever threshold it is one.
    before = _running(np.add, np.add.reduceat(weights[images[: some[-1] + 1]], np.append(0, some[:-1] + 1), axis=0))
    for threshold, hit in enumerate(right):
        hits = np.flatnonzero(hit)
        if not len(hits):
            continue
        counted = before[np.searchsorted(some, hits)]
        if ignored[threshold].any():
            left_out = np.flatnonzero(ignored[threshold])
            passed = _running(np.add, weights[images[left_out]])
            counted -= np.concatenate([np.zeros_like(passed[:1]), passed])[np.searchsorted(left_out, hits)]
        found = _running(np.add, weights[images[hits]])
        precision = found / np.maximum(counted, 1)
        _running(np.maximum, precision[::-1])
        # Each true positive is worth its precision times the recall points that it reaches first.
        reached = np.floor(found * (_POINTS / np.maximum(objects, 1)) + 1e-4)
        reached = np.diff(reached, axis=0, prepend=np.full((1, len(objects)), -1, np.float32))
        ap[threshold] += (precision * reached).sum(axis=0) / (_POINTS + 1)
    return ap


def _running(function: np.ufunc, rows: np.ndarray) -> np.ndarray:
    """Return ``function.accumulate(rows)`` in place of ``rows``; over long rows a loop is four times as fast."""
    for above, row in itertools.pairwise(rows):
        function(above, row, out=row)
    return rows


def resampled_f1(right: np.ndarray, found: np.ndarray, objects: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return each resample's F1 at one confidence.

    Args:
        right: right detections of each image, shape (images,).
        found: all that count of each image, shape (images,).
        objects: what there is to find in each image, shape (images,).
        weights: how often each image counts, shape (images, resamples).
    """
    both = (found + objects).astype(float) @ weights
    return np.divide(2 * right.astype(float) @ weights, both, out=np.full(len(both), np.nan), where=both > 0)


def class_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that a resample has: shape (classes, resamples) to (resamples,)."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=0)
    return np.divide(sums, known.sum(axis=0), out=np.full(len(sums), np.nan), where=known.any(axis=0))


def interval(values: np.ndarray, score: float) -> Interval:
    """Return the middle 95 % of the scores of the resamples, moved against their bias.

    A resample, which has fewer different images, scores higher than its images do, just as those score higher than
    all photos there are; left alone, intervals of AP on 40 images would hold the true AP in 70 of 100 cases only.

    Args:
        values: shape (resamples,); those that are NaN, which had nothing to find, are left out.
        score: of the images themselves.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return UNKNOWN
    normal = NormalDist()
    below = (np.mean(known < score) + np.mean(known <= score)) / 2
    bias = normal.inv_cdf(float(np.clip(below, *_MOST_BIAS)))
    reach = normal.inv_cdf((1 + LEVEL) / 2)
    low, high = np.quantile(known, [normal.cdf(2 * bias - reach), normal.cdf(2 * bias + reach)])
    return float(low), float(high)
