"""Detections + truth -> how good a detector is, counted as COCO counts.

The counting is pycocotools', the reference that published numbers come from; this module brings
detections and truth into its form and its results into words. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

NOTHING_THERE, MISSED = "(nothing there)", "(missed)"
_IOU_50 = 0  # index of IoU 0.50 among COCO's ten thresholds
_ALL_SIZES, _MOST_DETECTIONS = 0, -1  # indexes of COCO's size ranges and detection limits


class AnyDetector(Protocol):
    """What `evaluate` needs of a detector; `tfod_helpers.detector.Detector` is one."""

    def detect(self, images: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
        """Return the detections of each image from a confidence on, in its pixels."""


@dataclass(frozen=True)
class Evaluation:
    """How good a detector is on one dataset.

    Attributes:
        ap: COCO AP, the mean over IoU 0.50 to 0.95 and over classes; 0 to 1.
        ap50: AP at IoU 0.50, the Pascal VOC measure.
        ap75: AP at IoU 0.75.
        ap_by_size: AP of objects under 32 x 32 pixels, up to 96 x 96, and above; NaN where the
            dataset has none of that size.
        recall: mean recall over IoU 0.50 to 0.95 with at most 100 detections an image (COCO's AR).
        per_class: a row a class: ap, ap50, boxes (how many there are to find).
        pr_curves: class -> (recall, precision), each float64 of shape (101,), at IoU 0.50.
        confusion: rows are what was there, columns what was detected, at ``threshold`` and IoU 0.50.
        threshold: the confidence that gives the highest F1 over all classes.
        f1: that F1.
        images: number of images.
    """

    ap: float
    ap50: float
    ap75: float
    ap_by_size: dict[str, float]
    recall: float
    per_class: pd.DataFrame
    pr_curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(repr=False)
    confusion: pd.DataFrame = field(repr=False)
    threshold: float
    f1: float
    images: int

    def __str__(self) -> str:
        boxes = int(self.per_class["boxes"].sum())
        return (
            f"AP {self.ap:.3f}, AP50 {self.ap50:.3f}, AP75 {self.ap75:.3f} on {self.images} images with {boxes} "
            f"objects; best F1 {self.f1:.2f} at confidence {self.threshold:.2f}"
        )


def evaluate(detector: AnyDetector, dataset: Dataset, *, batch_size: int = 16) -> Evaluation:
    """Run a detector over a dataset and score what it finds.

    Args:
        detector: anything with ``detect``, such as a `Detector` of any export.
        dataset: the images and the truth.
        batch_size: images handed over at a time.
    """
    detections: list[sv.Detections] = []
    with tqdm(total=len(dataset), unit="image", desc="evaluating") as bar, ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), batch_size):
            pixels = list(pool.map(LabelledImage.pixels, dataset[start : start + batch_size]))
            detections += detector.detect(pixels, threshold=0.0)
            bar.update(len(pixels))
    return score(dataset, detections)


def score(dataset: Dataset, detections: Sequence[sv.Detections]) -> Evaluation:
    """Compare detections with the truth.

    Args:
        dataset: the images and the truth.
        detections: one for each image, in its order: ``xyxy`` in the image's pixels, ``confidence``,
            and ``class_id`` as in the dataset's label map, from 1.

    Raises:
        ValueError: the numbers of images and of detections differ, or there is nothing to find.
    """
    if len(dataset) != len(detections):
        raise ValueError(f"{len(dataset)} images and detections for {len(detections)}. Give one for each image.")
    if all(image.crowd.all() for image in dataset):
        raise ValueError("There is no object in the dataset, so nothing can be scored. Evaluate on labelled images.")
    import pandas as pd

    counted = _count(dataset, detections)
    # (IoU threshold, recall point, class, size, detection limit); -1 where there is no such object
    precision = np.where(counted.eval["precision"] < 0, np.nan, counted.eval["precision"])
    precision = precision[:, :, :, :, _MOST_DETECTIONS]
    names = list(dataset.label_map)
    counting = [_counting(image, found) for image, found in zip(dataset, detections, strict=True)]
    boxes = Dataset(tuple(image for image, _ in counting), dataset.label_map).counts()
    per_class = pd.DataFrame(
        {
            "ap": [_mean(precision[:, :, number, _ALL_SIZES]) for number in range(len(names))],
            "ap50": [_mean(precision[_IOU_50, :, number, _ALL_SIZES]) for number in range(len(names))],
            "boxes": [boxes[name] for name in names],
        },
        index=pd.Index(names, name="class"),
    )
    matched = _match_all(counting)
    threshold, f1 = _best_threshold(matched, sum(boxes.values()))
    recall_points = np.asarray(counted.params.recThrs)
    return Evaluation(
        ap=_mean(precision[:, :, :, _ALL_SIZES]),
        ap50=_mean(precision[_IOU_50, :, :, _ALL_SIZES]),
        ap75=_mean(precision[5, :, :, _ALL_SIZES]),
        ap_by_size={size: _mean(precision[:, :, :, 1 + i]) for i, size in enumerate(("small", "medium", "large"))},
        recall=_mean(np.where(counted.eval["recall"] < 0, np.nan, counted.eval["recall"])[:, :, _ALL_SIZES, -1]),
        per_class=per_class,
        pr_curves={name: (recall_points, precision[_IOU_50, :, i, _ALL_SIZES]) for i, name in enumerate(names)},
        confusion=_confusion(dataset.label_map, counting, threshold),
        threshold=threshold,
        f1=f1,
        images=len(dataset),
    )


def to_coco(dataset: Dataset, detections: Sequence[sv.Detections]) -> tuple[dict, list[dict]]:
    """Return truth and detections as COCO's ground truth and results, boxes as ``[x, y, width, height]``.

    Image ids are 1, 2, 3, ... in the dataset's order, category ids the label map's.
    """
    truth: dict[str, list] = {
        "info": [],
        "images": [{"id": n, "width": i.width, "height": i.height} for n, i in enumerate(dataset, start=1)],
        "categories": [{"id": dataset.label_map.id(name), "name": name} for name in dataset.label_map],
        "annotations": [],
    }
    results = []
    for number, (image, found) in enumerate(zip(dataset, detections, strict=True), start=1):
        for box_xyxy, label, crowd in zip(image.boxes_xyxy.astype(float), image.labels, image.crowd, strict=True):
            box_xywh = _xyxy_to_xywh(box_xyxy)
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": box_xywh,
                    "area": box_xywh[2] * box_xywh[3],
                    "iscrowd": int(crowd),
                }
            )
        for box_xyxy, label, confidence in zip(found.xyxy.astype(float), *_labels_and_scores(found), strict=True):
            results.append(
                {
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": _xyxy_to_xywh(box_xyxy),
                    "score": float(confidence),
                }
            )
    return truth, results


def box_iou(boxes_xyxy: np.ndarray, others_xyxy: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each box, shape (n, 4), with each other, shape (m, 4): (n, m)."""
    low = np.maximum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    high = np.minimum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=-1)
    area = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=-1)
    other_area = np.prod(others_xyxy[:, 2:] - others_xyxy[:, :2], axis=-1)
    return both / np.maximum(area[:, None] + other_area[None] - both, 1e-9)


def match(image: LabelledImage, found: sv.Detections, *, same_class: bool = True, iou: float = 0.5) -> np.ndarray:
    """Pair detections with true objects, the most confident first, each object once.

    Returns:
        int64, shape (n detections,): the index of the object that a detection found, or -1.
    """
    pairs = np.full(len(found), -1)
    if not len(found) or not len(image.labels):
        return pairs
    labels, confidences = _labels_and_scores(found)
    overlap = box_iou(found.xyxy.astype(float), image.boxes_xyxy.astype(float))
    if same_class:
        overlap[labels[:, None] != image.labels[None]] = 0
    for number in np.argsort(-confidences, kind="stable"):
        best = int(overlap[number].argmax())
        if overlap[number, best] >= iou:
            pairs[number] = best
            overlap[:, best] = 0
    return pairs


def _count(dataset: Dataset, detections: Sequence[sv.Detections]):  # type: ignore[no-untyped-def]  # a COCOeval
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = to_coco(dataset, detections)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        # loadRes refuses an empty list, which is what an untrained model gives.
        found = coco.loadRes(results) if results else COCO()
        if not results:
            found.dataset = {**truth, "annotations": []}
            found.createIndex()
        counted = COCOeval(coco, found, "bbox")
        counted.evaluate()
        counted.accumulate()
    return counted


def _counting(image: LabelledImage, found: sv.Detections) -> tuple[LabelledImage, sv.Detections]:
    """Return the objects and the detections that count: what falls into a crowd of its class neither helps nor hurts.

    As COCO has it, a detection falls into a crowd when at least half of its area does.
    """
    crowd = image.crowd
    if not crowd.any():
        return image, found
    real = LabelledImage(image.path, image.width, image.height, image.boxes_xyxy[~crowd], image.labels[~crowd])
    boxes_xyxy, labels = found.xyxy.astype(float), _labels_and_scores(found)[0]
    low = np.maximum(boxes_xyxy[:, None, :2], image.boxes_xyxy[None, crowd, :2])
    high = np.minimum(boxes_xyxy[:, None, 2:], image.boxes_xyxy[None, crowd, 2:])
    shares = np.prod(np.clip(high - low, 0, None), -1) / np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], -1)[:, None]
    inside = ((shares >= 0.5) & (labels[:, None] == image.labels[None, crowd])).any(axis=1)
    return real, found[~inside | (match(real, found) >= 0)]


def _match_all(counting: Sequence[tuple[LabelledImage, sv.Detections]]) -> tuple[np.ndarray, np.ndarray]:
    """Return every detection's confidence and whether it found an object of its class."""
    confidences = [_labels_and_scores(found)[1] for _, found in counting]
    right = [match(image, found) >= 0 for image, found in counting]
    return np.concatenate(confidences), np.concatenate(right)


def _best_threshold(matched: tuple[np.ndarray, np.ndarray], boxes: int) -> tuple[float, float]:
    confidences, right = matched
    if not right.any():
        return 0.5, 0.0
    order = np.argsort(-confidences, kind="stable")
    found = np.cumsum(right[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + boxes)
    best = int(f1.argmax())
    return float(confidences[order[best]]), float(f1[best])


def _confusion(
    label_map: LabelMap, counting: Sequence[tuple[LabelledImage, sv.Detections]], threshold: float
) -> pd.DataFrame:
    import pandas as pd

    n = len(label_map)
    counts = np.zeros((n + 1, n + 1), int)
    for image, found in counting:
        sure = found[_labels_and_scores(found)[1] >= threshold]
        pairs = match(image, sure, same_class=False)
        labels = _labels_and_scores(sure)[0]
        for label, pair in zip(labels, pairs, strict=True):
            counts[image.labels[pair] - 1 if pair >= 0 else n, label - 1] += 1
        for unfound in set(range(len(image.labels))) - set(pairs.tolist()):
            counts[image.labels[unfound] - 1, n] += 1
    names = list(label_map)
    return pd.DataFrame(counts, index=[*names, NOTHING_THERE], columns=[*names, MISSED])


def _labels_and_scores(found: sv.Detections) -> tuple[np.ndarray, np.ndarray]:
    if not len(found):
        return np.zeros(0, int), np.zeros(0)
    return np.asarray(found.class_id), np.asarray(found.confidence, float)


def _xyxy_to_xywh(box_xyxy: np.ndarray) -> list[float]:
    xmin, ymin, xmax, ymax = box_xyxy.tolist()
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
