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
from tfod_helpers.evaluation import average_precision, bootstrap, masks
from tfod_helpers.evaluation.arrays import GroundTruth, Predictions, flatten
from tfod_helpers.evaluation.confidence import OperatingPoint, best_point, calibrate, f1_curve, scores_and_hits
from tfod_helpers.evaluation.counting import Ranked, count
from tfod_helpers.evaluation.mistakes import confusion_matrix
from tfod_helpers.evaluation.naming import by_name, listed
from tfod_helpers.evaluation.result import Evaluation, Scores, Speed
from tfod_helpers.evaluation.voc import voc_ap

if TYPE_CHECKING:
    import supervision as sv

_IOU_50 = average_precision.IOU_50
_NO_MASKS = (
    "The detector finds masks, and not all objects of the dataset have one, so boxes alone are scored. Read the "
    "dataset with masks=True, where its format has masks."
)


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
    """Run a detector over a dataset, time it, and score its detections; of one with masks, these too.

    Masks are kept as run-length encodings, so that those of many photos fit into memory.

    Args:
        detector: anything with ``detect``, such as a `Detector` of any export. Its classes are taken by name where
            it has a ``label_map`` or its detections name them; otherwise their ids must be the dataset's.
        dataset: the images and their ground truth.
        batch_size: images handed over at a time.
        resamples: as `score` takes it.
        seed: as `score` takes it.

    Raises:
        DatasetError, ValueError: as `score` raises.
    """
    names = getattr(detector, "label_map", None)
    label_map = None if names is None else LabelMap(names)
    by_name(dataset.label_map, (), label_map)  # no common class is refused before it takes time
    dataset.refuse_unconfirmed("ground truth", "what detections are judged by")
    detections: list[sv.Detections] = []
    took: list[tuple[int, float]] = []
    with tqdm(total=len(dataset), unit="image", desc="evaluating", delay=1) as bar, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), batch_size):
            images = dataset[start : start + batch_size]
            pixels = list(pool.map(LabelledImage.pixels, images))
            started = time.perf_counter()
            found = detector.detect(pixels, threshold=0.0)
            took.append((len(pixels), time.perf_counter() - started))
            detections += [masks.only_encoded(one, image) for one, image in zip(found, images, strict=True)]
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
    Where both have masks, these are scored beside the boxes: `Evaluation.masks`.

    Args:
        dataset: the images and their ground truth.
        detections: one for each image, in its order: ``xyxy`` in the image's pixels, ``confidence``, and ``class_id``
            from 1 or ``data["class_name"]``; masks as ``mask``, or encoded as `LabelledImage` has them, in
            ``data["rle"]``, an array of objects.
        label_map: the detector's classes, which ``class_id`` points into; left out, it points into the dataset's.
        resamples: how many times the images are sampled for the 95 % intervals; 0 for none.
        seed: of the samples; the same gives the same intervals.

    Raises:
        ValueError: the numbers of images and of detections differ, there is nothing to find, detector and dataset
            have no class in common, or a detection has no class, an id that the label map lacks, or a box or
            confidence that is no finite number, or masks are not of their images' sizes.
        DatasetError: images hold a detector's suggestions that nobody has confirmed.
    """
    weights = _weights(len(dataset), resamples, seed)
    detections, strange = by_name(dataset.label_map, detections, label_map)
    detections = masks.all_encoded(dataset, detections)
    truth, found = flatten(dataset, detections)
    counts = count(truth, found)
    names, objects = list(dataset.label_map), average_precision.objects(truth)
    of_boxes = average_precision.scores(names, truth, counts, weights, "boxes")
    of_class = [scores_and_hits(counts.ranked, k) for k in range(1, len(names) + 1)]
    points = [best_point(*mine, n) for mine, n in zip(of_class, objects, strict=True)]
    every = scores_and_hits(counts.ranked)
    best = best_point(*every, sum(objects))
    of_boxes.per_class[["best_threshold", "precision", "recall", "f1"]] = np.array(points)
    of_boxes.per_class["voc_ap50"] = voc_ap(truth, found)
    f1_interval = {} if weights is None else {"f1": _f1_interval(truth, counts.ranked, best, weights)}
    notes = [*_notes(dict(zip(names, objects, strict=True)), int(truth.difficult.sum()), strange, label_map)]
    return Evaluation(
        coco=of_boxes.coco,
        intervals=of_boxes.intervals | f1_interval,
        per_class=of_boxes.per_class,
        pr_curves=of_boxes.pr_curves,
        f1_curves={name: f1_curve(*mine, n) for name, mine, n in zip(names, of_class, objects, strict=True)},
        f1_curve=f1_curve(*every, sum(objects)),
        confusion=confusion_matrix(dataset.label_map, truth, found, counts.ranked, best.threshold),
        best=best,
        calibration=calibrate(*every),
        speed=None,
        masks=_masks(dataset, truth, found, weights, notes),
        notes=tuple(notes),
        dataset=dataset,
        detections=detections,
    )


def _weights(images: int, resamples: int, seed: int) -> np.ndarray | None:
    """Return how often each image counts in each resample, None where there is none."""
    if resamples < 0:
        raise ValueError(f"resamples must be 0 (no intervals) or more, got {resamples}.")
    return bootstrap.resample(images, resamples, seed) if resamples and images else None


def _masks(
    dataset: Dataset, truth: GroundTruth, found: Predictions, weights: np.ndarray | None, notes: list[str]
) -> Scores | None:
    """Return the scores of masks, where objects and detections have some; note why not, where only detections do."""
    if found.masks is None:
        return None
    if truth.masks is None:
        notes.append(_NO_MASKS)
        return None
    counts = count(truth, found, masks.measure(dataset, truth, found))
    return average_precision.scores(list(dataset.label_map), truth, counts, weights, "masks")


def _f1_interval(truth: GroundTruth, ranked: Ranked, best: OperatingPoint, weights: np.ndarray) -> bootstrap.Interval:
    if not average_precision.several_images(truth):
        return bootstrap.UNKNOWN
    return bootstrap.interval(_resampled_f1(truth, ranked, best, weights), best.f1)


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
