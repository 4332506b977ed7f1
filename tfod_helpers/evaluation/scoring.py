"""A detector on a dataset -> its `Evaluation`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.evaluation import bootstrap
from tfod_helpers.evaluation.arrays import GroundTruth, flatten
from tfod_helpers.evaluation.confidence import OperatingPoint, best_point, calibrate, f1_curve, scores_and_hits
from tfod_helpers.evaluation.counting import LIMITS, RECALL_POINTS, SIZES, Counts, Ranked, count
from tfod_helpers.evaluation.mistakes import confusion_matrix
from tfod_helpers.evaluation.naming import by_name, listed
from tfod_helpers.evaluation.result import Evaluation, Speed
from tfod_helpers.evaluation.voc import voc_ap

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

_IOU_50, _IOU_75 = 0, 5  # indexes of COCO's ten thresholds
_ALL_SIZES, _MOST_DETECTIONS = 0, -1  # indexes of COCO's size ranges and detection limits
_NAMED_SIZES = [(place, name) for place, name in enumerate(SIZES) if place != _ALL_SIZES]


class AnyDetector(Protocol):
    """What `evaluate` needs of a detector; `tfod_helpers.detector.Detector` is one."""

    def detect(self, images: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
        """Return the detections of each image from a confidence on, in its pixels.

        Args:
            images: uint8 RGB arrays of shape (h, w, 3).
            threshold: the least confidence.
        """


def evaluate(
    detector: AnyDetector, dataset: Dataset, *, batch_size: int = 16, resamples: int = 1000, seed: int = 0
) -> Evaluation:
    """Run a detector over a dataset, time it, and score its detections.

    Args:
        detector: anything with ``detect``, such as a `Detector` of any export. Its classes are taken by name where
            it has a ``label_map`` or its detections name them; otherwise their ids must be the dataset's.
        dataset: the images and their ground truth.
        batch_size: images handed over at a time.
        resamples: as `score` takes it.
        seed: as `score` takes it.

    Raises:
        ValueError: as `score` raises.
    """
    names = getattr(detector, "label_map", None)
    label_map = None if names is None else LabelMap(names)
    by_name(dataset.label_map, (), label_map)  # no common class is refused before it takes time
    detections: list[sv.Detections] = []
    took: list[tuple[int, float]] = []
    with tqdm(total=len(dataset), unit="image", desc="evaluating", delay=1) as bar, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), batch_size):
            pixels = list(pool.map(LabelledImage.pixels, dataset[start : start + batch_size]))
            started = time.perf_counter()
            found = detector.detect(pixels, threshold=0.0)
            took.append((len(pixels), time.perf_counter() - started))
            for one in found:  # boxes are scored; a hundred masks of each photo's size would fill the memory
                one.mask = None
            detections += found
            bar.update(len(pixels))
    result = score(dataset, detections, label_map=label_map, resamples=resamples, seed=seed)
    return replace(result, speed=_speed(took))


def _speed(took: Sequence[tuple[int, float]]) -> Speed:
    warm = len(took) > 1
    images, seconds = np.array(took[1:] if warm else took).T
    seconds = np.maximum(seconds, 1e-9)  # a clock may stand still over a detector that does nothing
    return Speed(
        float(np.median(seconds / images)) * 1000, float(images.sum() / seconds.sum()), int(images.sum()), warm
    )


def score(
    dataset: Dataset,
    detections: Sequence[sv.Detections],
    *,
    label_map: LabelMap | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Compare detections with the ground truth.

    Classes are compared by name, where ``data["class_name"]`` or ``label_map`` says the detections'. Detections of a
    class that the dataset lacks are left out, objects of one that the detector lacks are missed, and notes say so.

    Args:
        dataset: the images and their ground truth.
        detections: one for each image, in its order: ``xyxy`` in the image's pixels, ``confidence``, and ``class_id``
            from 1 or ``data["class_name"]``.
        label_map: the detector's classes, which ``class_id`` points into; left out, it points into the dataset's.
        resamples: how many times the images are sampled for the 95 % intervals; 0 for none.
        seed: of the samples; the same gives the same intervals.

    Raises:
        ValueError: the numbers of images and of detections differ, there is nothing to find, detector and dataset
            have no class in common, or a detection has no class, an id that the label map lacks, or a box or
            confidence that is no finite number.
    """
    detections, strange = by_name(dataset.label_map, detections, label_map)
    truth, found = flatten(dataset, detections)
    counts = count(truth, found)
    # (IoU threshold, recall point, class, size, detection limit); -1 where there is no such object
    precision = np.where(counts.precision < 0, np.nan, counts.precision)[..., _MOST_DETECTIONS]
    names = list(dataset.label_map)
    objects = _objects(truth).tolist()
    of_class = [scores_and_hits(counts.ranked, k) for k in range(1, len(names) + 1)]
    points = [best_point(*mine, n) for mine, n in zip(of_class, objects, strict=True)]
    every = scores_and_hits(counts.ranked)
    best = best_point(*every, sum(objects))
    per_class = _per_class(names, objects, points, precision)
    per_class["voc_ap50"] = voc_ap(truth, found)
    return Evaluation(
        coco=_coco(counts, precision),
        intervals=_intervals(truth, counts.ranked, best, resamples, seed, per_class),
        per_class=per_class,
        pr_curves={name: (RECALL_POINTS, precision[_IOU_50, :, k, _ALL_SIZES]) for k, name in enumerate(names)},
        f1_curves={name: f1_curve(*mine, n) for name, mine, n in zip(names, of_class, objects, strict=True)},
        f1_curve=f1_curve(*every, sum(objects)),
        confusion=confusion_matrix(dataset.label_map, truth, found, counts.ranked, best.threshold),
        best=best,
        calibration=calibrate(*every),
        speed=None,
        notes=tuple(_notes(dict(zip(names, objects, strict=True)), int(truth.difficult.sum()), strange, label_map)),
        dataset=dataset,
        detections=detections,
    )


def _objects(truth: GroundTruth) -> np.ndarray:
    """Return how many objects each class has: int, shape (classes,)."""
    return np.bincount(truth.labels[truth.counted], minlength=truth.classes + 1)[1:]


def _coco(counts: Counts, precision: np.ndarray) -> dict[str, float]:
    """Return COCO's twelve numbers by name, in its order."""
    recall = np.where(counts.recall < 0, np.nan, counts.recall)
    return {
        "AP": _mean(precision[..., _ALL_SIZES]),
        "AP50": _mean(precision[_IOU_50, ..., _ALL_SIZES]),
        "AP75": _mean(precision[_IOU_75, ..., _ALL_SIZES]),
        **{f"AP {name}": _mean(precision[..., size]) for size, name in _NAMED_SIZES},
        **{f"AR {limit}": _mean(recall[:, :, _ALL_SIZES, place]) for place, limit in enumerate(LIMITS)},
        **{f"AR {name}": _mean(recall[:, :, size, _MOST_DETECTIONS]) for size, name in _NAMED_SIZES},
    }


def _per_class(
    names: list[str], objects: list[int], points: list[OperatingPoint], precision: np.ndarray
) -> pd.DataFrame:
    """Return the table of the classes, the intervals still unknown."""
    import pandas as pd

    each = range(len(names))
    table = {
        "ap": [_mean(precision[:, :, k, _ALL_SIZES]) for k in each],
        "ap50": [_mean(precision[_IOU_50, :, k, _ALL_SIZES]) for k in each],
        "boxes": objects,
        **{f"{column}_{end}": np.nan for column in ("ap", "ap50") for end in ("low", "high")},
        **{f"ap_{name}": [_mean(precision[:, :, k, size]) for k in each] for size, name in _NAMED_SIZES},
        "best_threshold": [point.threshold for point in points],
        "precision": [point.precision for point in points],
        "recall": [point.recall for point in points],
        "f1": [point.f1 for point in points],
    }
    return pd.DataFrame(table, index=pd.Index(names, name="class"))


def _intervals(
    truth: GroundTruth, ranked: Ranked, best: OperatingPoint, resamples: int, seed: int, per_class: pd.DataFrame
) -> dict[str, bootstrap.Interval]:
    """Return the intervals over all classes, and write those of each class into its row."""
    if resamples < 0:
        raise ValueError(f"resamples must be 0 (no intervals) or more, got {resamples}.")
    if not resamples:
        return {}
    weights = bootstrap.resample(truth.images, resamples, seed)
    ap = bootstrap.resampled_ap(truth, ranked, weights)
    once = bootstrap.resampled_ap(truth, ranked, np.ones((truth.images, 1), np.float32))
    wholes = {"ap": (ap.mean(axis=0), once.mean(axis=0)), "ap50": (ap[_IOU_50], once[_IOU_50])}
    # A class of one image is in a resample or not, which says nothing about another image.
    many = [len(np.unique(truth.image[(truth.labels == k) & truth.counted])) > 1 for k in range(1, truth.classes + 1)]
    for column, (resampled, whole) in wholes.items():
        ends = [
            bootstrap.interval(values, float(one)) if enough else (np.nan, np.nan)
            for values, one, enough in zip(resampled, whole[:, 0], many, strict=True)
        ]
        per_class[[f"{column}_low", f"{column}_high"]] = np.array(ends)
    if len(np.unique(truth.image[truth.counted])) < 2:
        return dict.fromkeys(("ap", "ap50", "ap75", "f1"), (np.nan, np.nan))
    wholes["ap75"] = (ap[_IOU_75], once[_IOU_75])
    over_classes = {
        name: bootstrap.interval(bootstrap.class_mean(resampled), float(bootstrap.class_mean(whole)[0]))
        for name, (resampled, whole) in wholes.items()
    }
    return {**over_classes, "f1": bootstrap.interval(_resampled_f1(truth, ranked, best, weights), best.f1)}


def _resampled_f1(truth: GroundTruth, ranked: Ranked, best: OperatingPoint, weights: np.ndarray) -> np.ndarray:
    kept = (ranked.scores >= best.threshold) & ~ranked.ignored[_IOU_50]
    right, found, objects = (
        np.bincount(images, minlength=truth.images)
        for images in (ranked.image[kept & ranked.right[_IOU_50]], ranked.image[kept], truth.image[truth.counted])
    )
    return bootstrap.resampled_f1(right, found, objects, weights)


def _notes(objects: dict[str, int], difficult: int, strange: list[str], known: LabelMap | None) -> Iterator[str]:
    """Yield what a reader should know; ``objects`` says how many each class of the dataset has."""
    if difficult:
        left_out = f"{difficult:,} difficult object{'s are' if difficult > 1 else ' is'} left out"
        yield f"{left_out}, neither found nor missed, as Pascal VOC does it."
    if absent := [name for name, n in objects.items() if not n]:
        yield (
            f"Classes without a single example here: {listed(absent)}. They have no AP, and the means are over the "
            f"other classes. Label some in the photos to evaluate on."
        )
    if strange:
        yield f"Left out: detections of classes that the dataset does not have, {listed(strange)}."
    if known is not None and (lacking := [name for name, n in objects.items() if n and name not in known]):
        yield (
            f"The detector does not know {listed(lacking)}: every such object counts as missed, with AP 0. Leave these "
            f"classes out of the dataset's label map, or train a detector for them."
        )


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
