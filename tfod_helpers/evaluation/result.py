"""What an evaluation found, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation.bootstrap import UNKNOWN, Interval, with_interval
from tfod_helpers.evaluation.confidence import Calibration, OperatingPoint
from tfod_helpers.evaluation.label_errors import label_errors
from tfod_helpers.evaluation.mistakes import mistakes

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Speed:
    """How fast a detector alone was; reading and decoding the photos is not in it.

    Attributes:
        ms: milliseconds an image, the median over batches.
        images_per_second: over all batches that were timed.
        images: how many images were timed.
        warm: the first batch, in which a model is made ready, is left out; False where there was no other.
    """

    ms: float
    images_per_second: float
    images: int
    warm: bool

    def __str__(self) -> str:
        first = "" if self.warm else ", its start included"
        return f"{self.ms:.1f} ms an image, {self.images_per_second:.1f} images a second{first}"


@dataclass(frozen=True, eq=False)
class Scores:
    """COCO's numbers, of boxes or of masks.

    Attributes:
        coco: COCO's twelve numbers by their names, in its order (AP, AP50, AP75, AP small, AP medium, AP large, AR 1,
            AR 10, AR 100, AR small, AR medium, AR large); NaN where the dataset has no object of that size.
        intervals: 95 % intervals of ap, ap50 and ap75, by name; empty where none were asked for.
        per_class: a row a class: ap, ap50, masks (how many there are to find), ap_low, ap_high, ap50_low, ap50_high
            (95 % intervals), ap_small, ap_medium, ap_large; NaN where the dataset has no such object.
        pr_curves: class -> (recall, precision), each float64 of shape (101,), at IoU 0.50.
    """

    coco: dict[str, float]
    intervals: dict[str, Interval]
    per_class: pd.DataFrame
    pr_curves: dict[str, Curve] = field(repr=False)

    def __str__(self) -> str:
        words = [f"{name} {self.with_interval(name.lower())}" for name in ("AP", "AP50", "AP75")]
        return ", ".join([words[0].replace("(", "(95 %: "), *words[1:]])

    @property
    def ap(self) -> float:
        """COCO AP, the mean over IoU 0.50 to 0.95 and over classes; 0 to 1."""
        return self.coco["AP"]

    @property
    def ap50(self) -> float:
        """COCO's AP at IoU 0.50, at 101 recall points."""
        return self.coco["AP50"]

    @property
    def ap75(self) -> float:
        """AP at IoU 0.75."""
        return self.coco["AP75"]

    def with_interval(self, name: str) -> str:
        """Return a score with its interval, such as ``0.55 (0.48 to 0.61)``.

        Args:
            name: ap, ap50 or ap75; of an `Evaluation` also f1.
        """
        return with_interval(getattr(self, name), *self.intervals.get(name, UNKNOWN))


@dataclass(frozen=True, eq=False)
class Evaluation(Scores):
    """How good a detector is on one dataset.

    Attributes:
        coco: COCO's twelve numbers by their names, in its order (AP, AP50, AP75, AP small, AP medium, AP large, AR 1,
            AR 10, AR 100, AR small, AR medium, AR large); NaN where the dataset has no object of that size.
        intervals: 95 % intervals of ap, ap50, ap75 and f1, by name; empty where none were asked for.
        per_class: a row a class: ap, ap50, boxes (how many there are to find), ap_low, ap_high, ap50_low, ap50_high
            (95 % intervals), ap_small, ap_medium, ap_large, and best_threshold, the confidence of the highest F1,
            with precision, recall and f1 there (IoU 0.50), and voc_ap50, Pascal VOC's AP; NaN where the dataset has no
            such object.
        pr_curves: class -> (recall, precision), each float64 of shape (101,), at IoU 0.50.
        f1_curves: class -> (confidence, F1 from it on), each float64 of shape (101,), at IoU 0.50.
        f1_curve: the same over all classes.
        confusion: rows are true classes, columns detected ones, at ``threshold`` and IoU 0.50; the last row is the
            background, the last column what was missed.
        best: the operating point of the highest F1 over all classes: threshold, precision, recall, f1.
        calibration: whether detections are right as often as their confidence says.
        speed: of the detector; None where only its detections were known.
        notes: what a reader should know before using the numbers, a sentence each.
        dataset: what was evaluated on.
        detections: of the detector, one for each image; masks are in ``data["rle"]``, as bytes of COCO's compressed
            run-length encoding.
        masks: COCO's mask AP (``segm``) and all that belongs to it: the overlap of masks counts in the place of that of
            boxes, and all else is counted alike; None where the dataset or the detector has no masks.
    """

    f1_curves: dict[str, Curve] = field(repr=False)
    f1_curve: Curve = field(repr=False)
    confusion: pd.DataFrame = field(repr=False)
    best: OperatingPoint
    calibration: Calibration
    speed: Speed | None
    notes: tuple[str, ...]
    dataset: Dataset = field(repr=False)
    detections: Sequence[sv.Detections] = field(repr=False)
    masks: Scores | None = None

    def __str__(self) -> str:
        boxes = int(self.per_class["boxes"].sum())
        images = f"{self.images:,} image{'s' * (self.images != 1)}"
        line = (
            f"{super().__str__()} on {images} with {boxes:,} object{'s' * (boxes != 1)}; "
            f"best F1 {self.with_interval('f1')} at confidence {self.threshold:.2f}"
        )
        voc = f"Pascal VOC's AP (every point, IoU 0.50): {self.voc_ap50:.2f}"
        of_masks = [] if self.masks is None else [f"Masks: {self.masks}"]
        return "\n".join([line, *of_masks, voc, *self.notes])

    @property
    def voc_ap50(self) -> float:
        """Pascal VOC's mean AP at IoU 0.50, at every recall, as its kit of 2010 and later counts it."""
        return float(np.nanmean(self.per_class["voc_ap50"]))

    @property
    def f1(self) -> float:
        """The highest F1 over all classes, at IoU 0.50."""
        return self.best.f1

    @property
    def threshold(self) -> float:
        """The confidence of the highest F1 over all classes."""
        return self.best.threshold

    @property
    def images(self) -> int:
        """How many images were evaluated on."""
        return len(self.dataset)

    def mistakes(self) -> pd.DataFrame:
        """Return every false positive and false negative at ``threshold``, as `evaluation.mistakes` does."""
        return mistakes(self.dataset, self.detections, self.threshold)

    def label_errors(self) -> pd.DataFrame:
        """Return every label, the most suspicious first, as `evaluation.label_errors` does."""
        return label_errors(self.dataset, self.detections)
