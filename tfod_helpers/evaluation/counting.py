"""COCO's counting, as pycocotools does it, in a few passes over long arrays.

What `COCOeval` does for each image, class, size and limit by turns is done here for all images of all
classes at once. The results are its arrays ``eval["precision"]`` and ``eval["recall"]``, number for number.

Small, medium and large go by the area that a COCO file gives of an object, also where boxes are counted, as with
pycocotools; else by its mask's, else by its box's. Those of detections go by what is counted, boxes or masks.

COCO has no difficult objects. They are left out as Pascal VOC's ``VOCevaldet.m`` does it: one is no miss where nothing
finds it, and detections that match it, by IoU and however many, are neither right nor wrong.
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/index.html#devkit
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfod_helpers.evaluation.arrays import GroundTruth, Predictions
from tfod_helpers.evaluation.coordinates import sides
from tfod_helpers.evaluation.masks import overlapping_masks
from tfod_helpers.evaluation.matching import match_pairs, overlapping_pairs, rank_in_group

# pycocotools' Params, written as there, since a threshold that differs in its last bit counts differently.
IOU_THRESHOLDS = np.linspace(0.5, 0.95, round((0.95 - 0.5) / 0.05) + 1)
RECALL_POINTS = np.linspace(0.0, 1.00, round((1.00 - 0.0) / 0.01) + 1)
SIZES = {"all": (0, 1e5**2), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e5**2)}  # area, pixels
LIMITS = (1, 10, 100)  # detections of a class in an image that count at most
_TINY = np.spacing(1)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The detections that count, class by class, the highest confidence of each class first; at any object size.

    Attributes:
        index: int64, shape (d,): index into the `Predictions` that were counted.
        image: int64, shape (d,).
        labels: int64, shape (d,): class ids from 1, ascending.
        scores: float64, shape (d,).
        partner: int32, shape (t, d): index of the object matched at each IoU threshold, or -1.
        ignored: bool, shape (t, d): matched with a crowd or a difficult object, so neither right nor wrong.
    """

    index: np.ndarray
    image: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    partner: np.ndarray
    ignored: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether a detection matches an object of its class: bool, shape (t, d)."""
        return (self.partner >= 0) & ~self.ignored

    def of_class(self, class_id: int) -> slice:
        """Return where the detections of a class stand."""
        return slice(*np.searchsorted(self.labels, [class_id, class_id + 1]).tolist())


@dataclass(frozen=True, eq=False)
class Counts:
    """What was counted; k classes, sizes and limits in the order of `SIZES` and `LIMITS`.

    Attributes:
        precision: float64, shape (10 thresholds, 101 recall points, k, 4 sizes, 3 limits); -1 where a class has
            no object of the size.
        recall: float64, shape (10, k, 4, 3), likewise.
        ranked: the detections, as they were counted at any size.
    """

    precision: np.ndarray
    recall: np.ndarray
    ranked: Ranked


def count(truth: GroundTruth, found: Predictions, mask_areas: np.ndarray | None = None) -> Counts:
    """Count as COCO does.

    Args:
        truth: the objects.
        found: the detections on the same images.
        mask_areas: of the detections, as `masks.measure` returns them: masks are counted (``segm``). None: boxes.
    """
    order, rank = _ranked(found, truth.images)
    found = found[order]
    ignored = _outside(truth.area) | ~truth.counted
    if mask_areas is None:
        inside = ~_outside(sides(found.boxes_xyxy)[2])
        pairs = overlapping_pairs(
            found.boxes_xyxy,
            found.labels * truth.images + found.image,
            truth.boxes_xyxy,
            truth.labels * truth.images + truth.image,
            IOU_THRESHOLDS[0],
            truth.crowd,
        )
    else:
        inside = ~_outside(mask_areas[order])
        pairs = overlapping_masks(truth, found, IOU_THRESHOLDS[0])
    candidates, chosen = match_pairs(pairs, rank, IOU_THRESHOLDS, ignored, ~truth.counted)
    precision, recall = _Curves(truth, found, rank, ignored, inside, candidates, chosen).draw()
    partner = np.full((len(IOU_THRESHOLDS), len(order)), -1, np.int32)
    partner[:, candidates] = chosen[0]
    in_crowd = np.zeros(partner.shape, bool)
    in_crowd[:, candidates] = (chosen[0] >= 0) & _of(ignored[:1], chosen[:1])[0]
    return Counts(precision, recall, Ranked(order, found.image, found.labels, found.scores, partner, in_crowd))


def _ranked(found: Predictions, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which detections count, class by class and by falling confidence, and the rank of each in its image."""
    rank = rank_in_group(found.labels * images + found.image, found.scores)
    kept = np.flatnonzero(rank < LIMITS[-1])
    order = kept[np.lexsort((found.turn[kept], -found.scores[kept], found.labels[kept]))]
    return order, rank[order]


def _outside(area: np.ndarray) -> np.ndarray:
    """Return which areas, shape (n,), lie outside of each size: bool, shape (4, n)."""
    return np.array([(area < low) | (area > high) for low, high in SIZES.values()])


def _of(ignored: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return whether each chosen object, shape (a, t, c), is one that does not count; anything where none was."""
    return np.array([way[one] for way, one in zip(ignored, chosen, strict=True)])


class _Curves:
    """Precision and recall from the matches.

    Only detections that overlap an object (the candidates) can differ between thresholds; all others are
    wrong at each of them, and enter as a number of wrong detections before a candidate.
    """

    def __init__(
        self,
        truth: GroundTruth,
        found: Predictions,
        rank: np.ndarray,
        ignored: np.ndarray,
        inside: np.ndarray,
        candidates: np.ndarray,
        chosen: np.ndarray,
    ) -> None:
        found_one = chosen >= 0
        self.right = found_one & ~_of(ignored, chosen)
        self.wrong = ~found_one & inside[:, None, candidates]
        self.rank, self.candidates = rank, candidates
        self.never = inside
        self.never[:, candidates] = False
        bounds = np.arange(1, truth.classes + 2)
        self.bounds = np.searchsorted(found.labels[candidates], bounds)
        self.starts = np.searchsorted(found.labels, bounds)
        self.objects = np.array([np.bincount(truth.labels[~out], minlength=truth.classes + 1)[1:] for out in ignored])

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Return precision and recall as `Counts` has them."""
        classes = self.objects.shape[1]
        precision = np.full((len(IOU_THRESHOLDS), len(RECALL_POINTS), classes, len(SIZES), len(LIMITS)), -1.0)
        recall = np.full((len(IOU_THRESHOLDS), classes, len(SIZES), len(LIMITS)), -1.0)
        for m, limit in reversed(list(enumerate(LIMITS))):
            counts = self.rank < limit
            before = np.cumsum(self.never & counts, axis=1)
            for k in range(classes):
                there = self.objects[:, k] > 0
                inside = slice(self.starts[k], self.starts[k + 1])
                if m + 1 < len(LIMITS) and counts[inside].all():  # the limit cuts nothing off
                    precision[:, :, k, :, m], recall[:, k, :, m] = precision[:, :, k, :, -1], recall[:, k, :, -1]
                elif there.any():
                    points, last = self._class_curve(k, counts, before)
                    precision[:, :, k, there, m] = points[there].transpose(1, 2, 0)
                    recall[:, k, there, m] = last[there].T
        return precision, recall

    def _class_curve(self, k: int, counts: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return precision at each recall point, shape (4, t, 101), and the last recall, shape (4, t)."""
        mine = np.arange(self.bounds[k], self.bounds[k + 1])
        mine = mine[counts[self.candidates[mine]]]
        right, at = self.right[:, :, mine], self.candidates[mine]
        start = before[:, self.starts[k] - 1] if self.starts[k] else np.zeros(len(before), int)
        hits = np.cumsum(right, axis=2, dtype=np.int32)
        misses = np.cumsum(self.wrong[:, :, mine], axis=2, dtype=np.int32) + (before[:, at] - start[:, None])[:, None]
        # A curve can peak only at a true positive, so precision is kept at the n-th of them, not at each detection.
        way, threshold, which = np.nonzero(right)
        hit = hits[way, threshold, which]
        curve = np.zeros((*right.shape[:2], int(self.objects[:, k].max()) + 1))
        curve[way, threshold, hit - 1] = hit / (misses[way, threshold, which] + hit + _TINY)
        curve = np.maximum.accumulate(curve[:, :, ::-1], axis=2)[:, :, ::-1]
        points = np.zeros((*right.shape[:2], len(RECALL_POINTS)))
        for size, objects in enumerate(self.objects[:, k]):
            if objects:
                # So many true positives reach a recall; a recall of 0 is reached by the first as well.
                needed = np.searchsorted(np.arange(objects + 1) / objects, RECALL_POINTS, "left")
                points[size] = curve[size][:, np.maximum(needed, 1) - 1]
        return points, right.sum(axis=2) / np.maximum(self.objects[:, k, None], 1)
