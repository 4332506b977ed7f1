"""Which detection found which object, for all images and classes, sizes and IoU thresholds at once.

The rule is COCO's (`COCOeval.evaluateImg` of pycocotools): within an image and class the surest
detection chooses first, and takes the object that it overlaps most of those that are left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pairs:
    """Detections and objects of the same group that overlap, in the order of the detections.

    Attributes:
        found: int64, shape (p,): index of the detection.
        truth: int64, shape (p,): index of the object.
        iou: float64, shape (p,): their overlap.
    """

    found: np.ndarray
    truth: np.ndarray
    iou: np.ndarray

    def __getitem__(self, which: np.ndarray) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.found[which], self.truth[which], self.iou[which])


def overlapping(
    found_xyxy: np.ndarray,
    found_group: np.ndarray,
    truth_xyxy: np.ndarray,
    truth_group: np.ndarray,
    least: float,
    crowd: np.ndarray | None = None,
) -> Pairs:
    """Return the pairs of one group that overlap by ``least`` or more.

    Args:
        found_xyxy: the detections' boxes, float64, shape (n, 4).
        found_group: int, shape (n,): only those of one group, such as an image, are compared.
        truth_xyxy: the objects' boxes, float64, shape (m, 4).
        truth_group: int, shape (m,).
        least: the least IoU of a pair, above 0.
        crowd: bool, shape (m,): with a crowd the overlap is the share of the detection's area inside of it.
    """
    order = np.argsort(truth_group, kind="stable")
    first = np.searchsorted(truth_group[order], found_group, "left")
    count = np.searchsorted(truth_group[order], found_group, "right") - first
    found = np.repeat(np.arange(len(found_group)), count)
    # The k-th pair of a detection is with the k-th object of its group.
    k = np.arange(len(found)) - np.repeat(np.cumsum(count) - count, count)
    truth = order[first[found] + k]
    iou = _iou(found_xyxy, truth_xyxy, found, truth, crowd)
    kept = iou >= least
    return Pairs(found[kept], truth[kept], iou[kept])


def _iou(
    found_xyxy: np.ndarray, truth_xyxy: np.ndarray, found: np.ndarray, truth: np.ndarray, crowd: np.ndarray | None
) -> np.ndarray:
    (x0, y0, wide, high, area), other = _sides(found_xyxy), _sides(truth_xyxy)
    low = np.maximum(x0[found], other[0][truth])
    across = np.minimum((x0 + wide)[found], (other[0] + other[2])[truth]) - low
    low = np.maximum(y0[found], other[1][truth])
    down = np.minimum((y0 + high)[found], (other[1] + other[3])[truth]) - low
    both = np.where((across > 0) & (down > 0), across * down, 0.0)
    union = area[found] + other[4][truth] - both
    if crowd is not None:
        union = np.where(crowd[truth], area[found], union)
    # Where nothing is shared the union may be 0, or below it for a box inside out.
    return np.divide(both, union, out=np.zeros_like(both), where=both > 0)


def _sides(boxes_xyxy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return left, top, width, height and area; COCO adds the width to the left again, and so do we."""
    x0, y0, x1, y1 = boxes_xyxy.T
    return x0, y0, x1 - x0, y1 - y0, (x1 - x0) * (y1 - y0)


def assign(
    pairs: Pairs, rank: np.ndarray, thresholds: np.ndarray, ignored: np.ndarray, crowd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Let each detection choose an object, the surest of its group first.

    Args:
        pairs: what overlaps, by the least threshold or more.
        rank: int, shape (n detections,): the place of each in its group by confidence, from 0.
        thresholds: float64, shape (t,): the least IoU of a find.
        ignored: bool, shape (a, m objects): objects that do not count, for ``a`` ways of counting.
        crowd: bool, shape (m objects,): may be found any number of times.

    Returns:
        int64, shape (c,): the detections that stand in a pair, ascending; and
        int32, shape (a, t, c): the object that each of them found, or -1.
    """
    # Of what is left the last in this order is the best: the largest overlap, and of equal ones the later object.
    pairs = pairs[np.lexsort((pairs.truth, pairs.iou, pairs.found))]
    candidates, column = np.unique(pairs.found, return_inverse=True)
    chosen = np.full((len(ignored), len(thresholds), len(candidates)), -1, np.int32)
    taken = np.zeros((len(ignored), len(thresholds), len(crowd)), bool)
    by_turn = np.argsort(rank[pairs.found], kind="stable")
    turns = rank[pairs.found][by_turn]
    for turn in np.split(by_turn, np.flatnonzero(np.diff(turns)) + 1) if len(by_turn) else []:
        truth, place = pairs.truth[turn], np.arange(1, len(turn) + 1)
        free = (pairs.iou[turn] >= thresholds[:, None]) & (~taken[:, :, truth] | crowd[truth])
        # An object that counts is chosen before any that is ignored.
        worth = np.where(free, place + len(turn) * ~ignored[:, None, truth], 0)
        starts = np.flatnonzero(np.diff(column[turn], prepend=-1))
        best = np.maximum.reduceat(worth, starts, axis=2)
        one = truth[(best - 1) % len(turn)]
        chosen[:, :, column[turn][starts]] = np.where(best > 0, one, -1)
        way, threshold, which = np.nonzero(best)
        taken[way, threshold, one[way, threshold, which]] = True
    return candidates, chosen


def places(group: np.ndarray) -> np.ndarray:
    """Return the place of each item in its group, from 0, where items of a group stand beside each other."""
    new = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(new, np.diff(new, append=len(group)))
