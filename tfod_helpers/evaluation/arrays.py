"""All objects and all detections of a dataset, each as a few long arrays, so that nothing is counted image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers.annotations import Dataset, masks
from tfod_helpers.annotations.masks import RLE
from tfod_helpers.evaluation.coordinates import as_written, sides
from tfod_helpers.evaluation.naming import by_name

if TYPE_CHECKING:
    import supervision as sv


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Every object of a dataset, image by image.

    Attributes:
        image: int64, shape (n,): which image of the dataset it is in.
        labels: int64, shape (n,): class ids from 1.
        boxes_xyxy: float64, shape (n, 4), pixels.
        crowd: bool, shape (n,): a box around a crowd.
        difficult: bool, shape (n,): an object marked as hard to recognise.
        area: float64, shape (n,), square pixels: as the annotation gives it, else the mask's, else the box's.
        sizes: int64, shape (images, 2): height and width of each image.
        classes: number of classes.
        masks: object, shape (n,): bytes as in `LabelledImage`; None where not all objects have one.
    """

    image: np.ndarray
    labels: np.ndarray
    boxes_xyxy: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    area: np.ndarray
    sizes: np.ndarray
    classes: int
    masks: np.ndarray | None = None

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.sizes)

    @property
    def counted(self) -> np.ndarray:
        """Whether an object is one that has to be found: bool, shape (n,)."""
        return ~(self.crowd | self.difficult)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Every detection on a dataset, image by image.

    Attributes:
        image: int64, shape (n,): which image of the dataset it is in.
        labels: int64, shape (n,): class ids from 1.
        boxes_xyxy: float64, shape (n, 4), pixels.
        scores: float64, shape (n,): confidences.
        turn: int64, shape (n,): of detections with equal confidences the one of the lower turn counts first.
        masks: object, shape (n,): bytes as in `LabelledImage`; None where the detections have none.
    """

    image: np.ndarray
    labels: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    turn: np.ndarray
    masks: np.ndarray | None = None

    def __getitem__(self, which: np.ndarray) -> Predictions:
        """Return some of the detections."""
        return Predictions(
            self.image[which],
            self.labels[which],
            self.boxes_xyxy[which],
            self.scores[which],
            self.turn[which],
            None if self.masks is None else self.masks[which],
        )


def flatten(dataset: Dataset, detections: Sequence[sv.Detections]) -> tuple[GroundTruth, Predictions]:
    """Return the ground truth and the detections of all images as long arrays.

    Args:
        dataset: the images and their ground truth.
        detections: one for each image, in its order; those that name their classes are taken by name.

    Raises:
        ValueError: the numbers of images and detections differ, there is no object to find, no class in common, or
            detections without class or confidence, with an id that the label map lacks, or with a number that is not
            finite, or some with masks and others without.
    """
    if len(dataset) != len(detections):
        raise ValueError(f"{len(dataset)} images and detections for {len(detections)}. Give one for each image.")
    dataset.refuse_unconfirmed("ground truth", "what detections are judged by")
    truth = _ground_truth(dataset)
    if not truth.counted.any():
        others = ", only crowds and difficult ones, which do not count" if len(truth.labels) else ""
        raise ValueError(
            f"There is no object in the dataset{others}, so nothing can be scored. Label some, or evaluate on "
            f"labelled images."
        )
    detections, _ = by_name(dataset.label_map, detections)
    for image, one in zip(dataset, detections, strict=True):
        if len(one.xyxy) and (one.class_id is None or one.confidence is None):
            raise ValueError(
                f"{image.path}: its detections have no {'class_id' if one.class_id is None else 'confidence'}. "
                f"Give detections with xyxy, class_id and confidence."
            )
    some = [one for one in detections if len(one.xyxy)]
    found = Predictions(
        np.repeat(np.arange(len(dataset)), [len(one.xyxy) for one in detections]),
        _joined([one.class_id for one in some], np.int64),
        _joined_boxes([one.xyxy for one in some]),
        _joined([one.confidence for one in some], float),
        np.repeat(_turns(some), [len(one.xyxy) for one in some]),
        _joined([one.data[RLE] for one in some], object) if _are_masked(dataset, detections) else None,
    )
    _check(dataset, found)
    return truth, found


def _ground_truth(dataset: Dataset) -> GroundTruth:
    image = np.repeat(np.arange(len(dataset)), [len(image.labels) for image in dataset])
    boxes_xyxy = _joined_boxes([image.boxes_xyxy for image in dataset])
    sizes = np.array([(image.height, image.width) for image in dataset], np.int64).reshape(-1, 2)
    codes = _joined([np.array(image.masks, object) for image in dataset if image.masks], object)
    drawn = len(codes) == len(image)
    area = _joined([one.areas_or(np.full(len(one.labels), np.nan)) for one in dataset], float)
    if drawn and (rest := np.flatnonzero(np.isnan(area))).size:
        inside = masks.areas(codes[rest].tolist(), sizes[image[rest]].prod(axis=1))
        area[rest] = np.where(inside < 0, np.nan, inside)
    return GroundTruth(
        image,
        _joined([one.labels for one in dataset], np.int64),
        boxes_xyxy,
        _joined([one.crowd for one in dataset], bool),
        _joined([one.difficult for one in dataset], bool),
        np.where(np.isnan(area), sides(boxes_xyxy)[2], area),
        sizes,
        len(dataset.label_map),
        codes if drawn and len(codes) else None,
    )


def _are_masked(dataset: Dataset, detections: Sequence[sv.Detections]) -> bool:
    """Return whether the detections have encoded masks; some with and some without are refused."""
    if not any(RLE in one.data for one in detections):
        return False
    for image, one in zip(dataset, detections, strict=True):
        if len(one.xyxy) and RLE not in one.data:
            raise ValueError(f"{image.path}: its detections have no masks, and others do. Give all masks, or none.")
    return True


def _joined(parts: Sequence[Any], kind: Any) -> np.ndarray:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind, copy=False)


def _joined_boxes(parts: Sequence[np.ndarray]) -> np.ndarray:
    return as_written(np.concatenate(parts)) if parts else np.zeros((0, 4))


def _turns(detections: Sequence[sv.Detections]) -> np.ndarray:
    """Return the turn of each image: by its COCO id, as pycocotools has it, where all are known, else as they come."""
    ids = [id for one in detections if isinstance(id := one.metadata.get("image_id"), int)]
    return np.unique(ids, return_inverse=True)[1] if ids and len(ids) == len(detections) else np.arange(len(detections))


def _check(dataset: Dataset, found: Predictions) -> None:
    """Refuse the first detection that cannot be counted, by its image and its number in it."""
    classes = len(dataset.label_map)
    numbers = np.column_stack([found.boxes_xyxy, found.scores])
    faults = (
        (
            ~np.isfinite(numbers).all(axis=1),
            lambda at: f"box {numbers[at, :4].tolist()} with confidence {numbers[at, 4]:g} is not of finite numbers",
            "The model is broken (its training may have diverged); use an earlier checkpoint.",
        ),
        (
            (found.labels < 1) | (found.labels > classes),
            lambda at: (
                f"class id {found.labels[at]} is not in the label map, which has 1 to {classes} "
                f"({dataset.label_map.describe()})"
            ),
            "Use the label map that the detector was trained with; where its classes count from 0, add 1.",
        ),
    )
    for wrong, what, fix in faults:
        if wrong.any():
            at = int(wrong.argmax())
            place = at - int(np.searchsorted(found.image, found.image[at])) + 1
            more = f" ({int(wrong.sum()):,} such detections)" if wrong.sum() > 1 else ""
            raise ValueError(f"{dataset[int(found.image[at])].path}, detection {place}: {what(at)}{more}. {fix}")
