"""Which detection matches which object, for all images, classes, sizes and IoU thresholds at once.

The rule is COCO's (`COCOeval.evaluateImg` of pycocotools): within an image and class the detection of highest
confidence chooses first, and takes the object that it overlaps most of those that are left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfod_helpers.evaluation.coordinates import as_written, sides


@dataclass(frozen=True, eq=False)
class Pairs:
    """Detections and objects of the same group that overlap, in the order of the detections.

    Attributes:
        detection: int64, shape (p,): index of the detection.
        object: int64, shape (p,): index of the object.
        iou: float64, shape (p,): their overlap.
    """

    detection: np.ndarray
    object: np.ndarray
    iou: np.ndarray

    def __getitem__(self, which: np.ndarray) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.detection[which], self.object[which], self.iou[which])


def overlapping_pairs(
    detections_xyxy: np.ndarray,
    detection_group: np.ndarray,
    objects_xyxy: np.ndarray,
    object_group: np.ndarray,
    least: float,
    crowd: np.ndarray | None = None,
) -> Pairs:
    """Return the pairs of one group that overlap by ``least`` or more.

    Args:
        detections_xyxy: the detections' boxes, float64, shape (n, 4).
        detection_group: int, shape (n,): only those of one group, such as an image, are compared.
        objects_xyxy: the objects' boxes, float64, shape (m, 4).
        object_group: int, shape (m,).
        least: the least IoU of a pair, above 0.
        crowd: bool, shape (m,): with a crowd the overlap is the share of the detection's area inside of it.
    """
    order = np.argsort(object_group, kind="stable")
    first = np.searchsorted(object_group[order], detection_group, "left")
    count = np.searchsorted(object_group[order], detection_group, "right") - first
    detection = np.repeat(np.arange(len(detection_group)), count)
    # The k-th pair of a detection is with the k-th object of its group.
    k = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count)
    objects = order[first[detection] + k]
    iou = _iou(detections_xyxy, objects_xyxy, detection, objects, crowd)
    kept = iou >= least
    return Pairs(detection[kept], objects[kept], iou[kept])


def _iou(
    detections_xyxy: np.ndarray,
    objects_xyxy: np.ndarray,
    detection: np.ndarray,
    objects: np.ndarray,
    crowd: np.ndarray | None,
) -> np.ndarray:
    (x0, y0, wide, high, area), other = _sides(detections_xyxy), _sides(objects_xyxy)
    low = np.maximum(x0[detection], other[0][objects])
    across = np.minimum((x0 + wide)[detection], (other[0] + other[2])[objects]) - low
    low = np.maximum(y0[detection], other[1][objects])
    down = np.minimum((y0 + high)[detection], (other[1] + other[3])[objects]) - low
    both = np.where((across > 0) & (down > 0), across * down, 0.0)
    union = area[detection] + other[4][objects] - both
    if crowd is not None:
        union = np.where(crowd[objects], area[detection], union)
    # Where nothing is shared the union may be 0, or below it for a box inside out.
    return np.divide(both, union, out=np.zeros_like(both), where=both > 0)


def _sides(boxes_xyxy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return left, top, width, height and area; COCO adds the width to the left again, and so do we."""
    return *boxes_xyxy[:, :2].T, *sides(boxes_xyxy)


def rank_in_group(group: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the rank of each detection in its group by confidence, from 0; of equal ones the earlier is first.

    Args:
        group: int, shape (n,), 0 or more.
        scores: confidences, shape (n,).
    """
    order = np.lexsort((-scores, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))
    return rank


def match_pairs(
    pairs: Pairs, rank: np.ndarray, thresholds: np.ndarray, ignored: np.ndarray, often: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Let each detection choose an object, the one of highest confidence in its group first.

    Args:
        pairs: what overlaps, by the least threshold or more.
        rank: int, shape (n detections,), as `rank_in_group` returns it.
        thresholds: float64, shape (t,): the least IoU of a match.
        ignored: bool, shape (a, m objects): objects that do not count, for ``a`` ways of counting.
        often: bool, shape (m objects,): may be matched any number of times.

    Returns:
        int64, shape (c,): the detections that stand in a pair, ascending; and
        int32, shape (a, t, c): the object that each of them matches, or -1.
    """
    # Of what is left the last in this order is the best: the largest overlap, and of equal ones the later object.
    pairs = pairs[np.lexsort((pairs.object, pairs.iou, pairs.detection))]
    candidates, column = np.unique(pairs.detection, return_inverse=True)
    chosen = np.full((len(ignored), len(thresholds), len(candidates)), -1, np.int32)
    taken = np.zeros((len(ignored), len(thresholds), len(often)), bool)
    by_turn = np.argsort(rank[pairs.detection], kind="stable")
    turns = rank[pairs.detection][by_turn]
    for turn in np.split(by_turn, np.flatnonzero(np.diff(turns)) + 1) if len(by_turn) else []:
        objects, place = pairs.object[turn], np.arange(1, len(turn) + 1)
        free = (pairs.iou[turn] >= thresholds[:, None]) & (~taken[:, :, objects] | often[objects])
        # An object that counts is chosen before any that is ignored.
        worth = np.where(free, place + len(turn) * ~ignored[:, None, objects], 0)
        starts = np.flatnonzero(np.diff(column[turn], prepend=-1))
        best = np.maximum.reduceat(worth, starts, axis=2)
        one = objects[(best - 1) % len(turn)]
        chosen[:, :, column[turn][starts]] = np.where(best > 0, one, -1)
        way, threshold, which = np.nonzero(best)
        taken[way, threshold, one[way, threshold, which]] = True
    return candidates, chosen


def match(
    detections_xyxy: np.ndarray,
    detection_group: np.ndarray,
    scores: np.ndarray,
    objects_xyxy: np.ndarray,
    object_group: np.ndarray,
    iou: float = 0.5,
) -> np.ndarray:
    """Match detections with objects of their group at one IoU, each object once.

    Args:
        detections_xyxy: the detections' boxes, shape (n, 4).
        detection_group: int, shape (n,): only those of one group match, such as a class within one image.
        scores: confidences, shape (n,).
        objects_xyxy: the objects' boxes, shape (m, 4).
        object_group: int, shape (m,).
        iou: the least overlap.

    Returns:
        int64, shape (n,): the index of the object that a detection matches, or -1.
    """
    matched = np.full(len(scores), -1)
    nothing = np.zeros(len(object_group), bool)
    boxes_xyxy, objects_xyxy = as_written(np.asarray(detections_xyxy)), as_written(np.asarray(objects_xyxy))
    pairs = overlapping_pairs(boxes_xyxy, detection_group, objects_xyxy, object_group, iou)
    rank = rank_in_group(detection_group, scores)
    candidates, chosen = match_pairs(pairs, rank, np.array([iou]), nothing[None], nothing)
    matched[candidates] = chosen[0, 0]
    return matched
