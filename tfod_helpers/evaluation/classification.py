"""Probabilities + the classes that photos show -> how good a classifier is, and how certain each number is.

A classifier's photos are a `Dataset` in which each image has one box: what the classifier looks at, of a whole photo
all of it. Every interval is the bootstrap's of `bootstrap`, over photos: crops of one photo stand or fall together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.evaluation.bootstrap import Interval, interval, resample, with_interval
from tfod_helpers.evaluation.confidence import Calibration, best_point, calibrate, wilson
from tfod_helpers.evaluation.naming import listed

if TYPE_CHECKING:
    import pandas as pd

Curve = tuple[np.ndarray, np.ndarray]
_MEASURES = ("precision", "recall", "f1", "auc", "ap")
_MOST_CELLS = 4_000_000  # of photos times resamples held at a time: 16 MB in float32
_FEW = 30  # photos of a class: with fewer, a share is known to a fifth at best


@dataclass(frozen=True, eq=False)
class Classification:
    """How good a classifier is on one dataset.

    Attributes:
        accuracy: share of the photos whose most probable class is the right one.
        intervals: 95 % intervals, by name: accuracy, and macro_f1, the mean of the classes' F1.
        per_class: a row a class: photos (how many show it), precision, recall and f1 of the most probable class, auc
            (area under the ROC curve of this class against all others) and ap (average precision, the area under its
            precision-recall curve), each with the ends of its 95 % interval (``precision_low``, ``precision_high``,
            ...), and best_threshold, the probability of the highest F1 on these photos. NaN where no photo shows the
            class.
        roc_curves: class -> (false positive rate, true positive rate).
        pr_curves: class -> (recall, precision).
        confusion: rows are true classes, columns the most probable ones.
        calibration: whether the most probable class is right as often as its probability says.
        notes: what a reader should know before using the numbers, a sentence each.
        dataset: what was evaluated on.
        probabilities: float64, shape (n, classes), each row adds up to 1.
    """

    accuracy: float
    intervals: dict[str, Interval]
    per_class: pd.DataFrame
    roc_curves: dict[str, Curve] = field(repr=False)
    pr_curves: dict[str, Curve] = field(repr=False)
    confusion: pd.DataFrame = field(repr=False)
    calibration: Calibration = field(repr=False)
    notes: tuple[str, ...]
    dataset: Dataset = field(repr=False)
    probabilities: np.ndarray = field(repr=False)

    def __str__(self) -> str:
        photos = f"{self.images:,} photo{'s' * (self.images != 1)}"
        lines = [f"accuracy {self.with_interval('accuracy')} on {photos}, macro F1 {self.with_interval('macro_f1')}"]
        for name, row in self.per_class.iterrows():
            if row["photos"]:
                shown = (f"{m} {_text(row[m], row[f'{m}_low'], row[f'{m}_high'])}" for m in _MEASURES[:3])
                lines.append(f"{name}: {', '.join(shown)}")
        return "\n".join([*lines, *self.notes])

    @property
    def images(self) -> int:
        """How many photos were evaluated on."""
        return len(self.dataset)

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that the photos show."""
        return float(np.nanmean(self.per_class["f1"]))

    def with_interval(self, name: str) -> str:
        """Return a score with its interval, such as ``0.94 (0.89 to 0.98)``; ``name`` is accuracy or macro_f1."""
        return _text(getattr(self, name), *self.intervals[name])

    def mistakes(self) -> pd.DataFrame:
        """Return the photos that were classified wrongly, those with the highest confidence first.

        Returns:
            path, label (the true class), predicted, confidence (the probability of that), image (its number in the
            dataset), box_xyxy (what of the photo was looked at, pixels).
        """
        import pandas as pd

        names = list(self.dataset.label_map)
        truth, predicted = labels(self.dataset), self.probabilities.argmax(axis=1)
        rows = [
            (
                str(self.dataset[at].path),
                names[truth[at]],
                names[predicted[at]],
                float(self.probabilities[at].max()),
                int(at),
                tuple(self.dataset[at].boxes_xyxy[0].tolist()),
            )
            for at in np.flatnonzero(truth != predicted)
        ]
        table = pd.DataFrame(rows, columns=["path", "label", "predicted", "confidence", "image", "box_xyxy"])
        return table.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)


def labels(dataset: Dataset) -> np.ndarray:
    """Return what each photo of a classifier's dataset shows: int64, shape (n,), counted from 0.

    Raises:
        ValueError: an image has no box, or several: it is a detector's dataset.
        DatasetError: images hold a detector's suggestions that nobody has confirmed.
    """
    dataset.refuse_unconfirmed("photos", "what a classifier learns from or is judged by")
    for image in dataset:
        if len(image.labels) != 1:
            raise ValueError(
                f"{image.path}: {len(image.labels)} labelled boxes, and a classifier's photo shows one thing. Take the "
                f"boxes apart with classifier.crops(dataset), or the photos by what they show with "
                f"classifier.whole_photos(dataset)."
            )
    return np.array([image.labels[0] - 1 for image in dataset], np.int64)


def score_classes(
    dataset: Dataset,
    probabilities: np.ndarray,
    *,
    label_map: LabelMap | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Classification:
    """Score a classifier's probabilities.

    Args:
        dataset: the photos, one box each.
        probabilities: shape (n, classes), one row a photo, one column a class of ``label_map``.
        label_map: the classifier's classes; None where these are the dataset's.
        resamples: how many times the photos are sampled for the intervals.
        seed: of the samples.

    Raises:
        ValueError: no photo, another shape, probabilities that are none, or photos of a class that the classifier
            does not know.
    """
    dataset = with_classes(dataset, label_map or dataset.label_map)
    truth, classes = labels(dataset), len(dataset.label_map)
    probabilities = _checked(np.asarray(probabilities, float), len(truth), classes)
    predicted, of_photo = probabilities.argmax(axis=1), _photos(dataset)
    weights = resample(int(of_photo.max()) + 1, resamples, seed)
    once = np.ones((len(weights), 1), np.float32)
    found = _measure(truth, predicted, probabilities, of_photo, once)
    sampled = _measure(truth, predicted, probabilities, of_photo, weights)
    right = predicted == truth
    accuracy = float(right.mean())
    f1 = [_macro(found["f1"]), _macro(sampled["f1"])]
    return Classification(
        accuracy=accuracy,
        intervals={
            "accuracy": _of_share(sampled["accuracy"][0], accuracy, len(truth)),
            "macro_f1": interval(f1[1], float(f1[0][0])),
        },
        per_class=_table(dataset.label_map, truth, predicted, probabilities, found, sampled),
        **_curves(dataset.label_map, truth, probabilities),
        confusion=_confusion(dataset.label_map, truth, predicted),
        calibration=calibrate(probabilities.max(axis=1), right, who="classifier", what="answers"),
        notes=_notes(dataset, truth),
        dataset=dataset,
        probabilities=probabilities,
    )


def with_classes(dataset: Dataset, label_map: LabelMap) -> Dataset:
    """Return the photos with the class ids of a classifier, by the classes' names.

    Raises:
        ValueError: a photo shows a class that the classifier does not know.
    """
    if dataset.label_map == label_map:
        return dataset
    strange = [name for name, count in dataset.counts().items() if count and name not in label_map]
    if strange:
        raise ValueError(
            f"The classifier knows {listed(label_map)}, and some photos show {listed(strange)}. Give photos of its own "
            f"classes, or train it on all of these."
        )
    return dataset.with_label_map(label_map)


def _checked(probabilities: np.ndarray, photos: int, classes: int) -> np.ndarray:
    if not photos:
        raise ValueError("There is no photo to evaluate on.")
    if probabilities.shape != (photos, classes):
        raise ValueError(
            f"The probabilities must have shape ({photos}, {classes}), a row a photo and a column a class, got "
            f"{probabilities.shape}."
        )
    if not np.isfinite(probabilities).all() or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-2:
        raise ValueError(
            "The rows of the probabilities do not add up to 1. Give what the model's softmax returns, no logits."
        )
    return probabilities


def _photos(dataset: Dataset) -> np.ndarray:
    """Return the number of the file that each image is a part of, shape (n,)."""
    numbers: dict[object, int] = {}
    sources = (image.source for image in dataset)
    return np.array([numbers.setdefault(source, len(numbers)) for source in sources])


def _measure(
    truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, of_photo: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return accuracy, shape (1, resamples), and each measure of each class, shape (classes, resamples).

    Args:
        truth: the classes, from 0, shape (n,).
        predicted: the most probable ones.
        probabilities: shape (n, classes).
        of_photo: which photo each is a part of.
        weights: how often each photo counts, shape (photos, resamples).
    """
    classes, step = probabilities.shape[1], max(1, _MOST_CELLS // len(truth))
    parts = []
    for start in range(0, weights.shape[1], step):
        w = weights[of_photo, start : start + step].astype(float)
        part = {"accuracy": _share((truth == predicted) @ w, w.sum(axis=0))[None]}
        hits, shown, said = (
            np.stack([mask @ w for mask in masks])
            for masks in zip(
                *(((truth == k) & (predicted == k), truth == k, predicted == k) for k in range(classes)), strict=True
            )
        )
        # A class that is never predicted has no precision; that no photo shows, no recall and no F1.
        part |= {"precision": _share(hits, said), "recall": _share(hits, shown)}
        part["f1"] = np.where(shown > 0, _share(2 * hits, shown + said), np.nan)
        areas = [_areas(probabilities[:, k], truth == k, w) for k in range(classes)]
        part |= {name: np.stack([of_class[place] for of_class in areas]) for place, name in enumerate(("auc", "ap"))}
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


class _Running(NamedTuple):
    """Positives and others from each threshold on, the highest first: shape (thresholds, resamples)."""

    positive: np.ndarray
    other: np.ndarray


def _running(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> _Running:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # equal scores are in or out together
    w, positive = weights[order], positive[order, None]
    start = np.zeros((1, w.shape[1]))
    sums = (np.concatenate([start, np.cumsum(w * mask, axis=0)[ends]]) for mask in (positive, ~positive))
    return _Running(*sums)


def _areas(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area under the ROC curve and average precision, shape (resamples,) each; NaN without one of both."""
    found = _running(scores, positive, weights)
    gained = np.diff(found.positive, axis=0)
    middle = (found.positive[1:] + found.positive[:-1]) / 2
    total, others = found.positive[-1], found.other[-1]
    auc = _share((np.diff(found.other, axis=0) * middle).sum(axis=0), total * others)
    precision = np.nan_to_num(_share(found.positive[1:], found.positive[1:] + found.other[1:]))
    return auc, _share((gained * precision).sum(axis=0), total)


def _macro(f1: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that a resample has: shape (classes, resamples) to (resamples,)."""
    known = np.isfinite(f1)
    return _share(np.where(known, f1, 0).sum(axis=0), known.sum(axis=0))


def _of_share(values: np.ndarray, share: float, count: int) -> Interval:
    """Return the interval of a share; where it is 0 or 1 no resample differs, and Wilson's stands in."""
    return wilson(share, count) if share in (0.0, 1.0) else interval(values, share)


def _table(
    label_map: LabelMap,
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    found: Mapping[str, np.ndarray],
    sampled: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for k in range(len(label_map)):
        shown, said = int((truth == k).sum()), int((predicted == k).sum())
        row: dict[str, float] = {"photos": shown}
        for name in _MEASURES:
            value, values = float(found[name][k, 0]), sampled[name][k]
            of = {"precision": said, "recall": shown}.get(name)
            ends = interval(values, value) if of is None else _of_share(values, value, of)
            row[name] = value
            row[f"{name}_low"], row[f"{name}_high"] = (np.nan, np.nan) if np.isnan(value) else ends
        row["best_threshold"] = best_point(probabilities[:, k], truth == k, shown).threshold
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(label_map, name="class"))


def _curves(label_map: LabelMap, truth: np.ndarray, probabilities: np.ndarray) -> dict[str, dict[str, Curve]]:
    roc, pr = {}, {}
    for k, name in enumerate(label_map):
        positive = truth == k
        if not positive.any():
            continue
        found = _running(probabilities[:, k], positive, np.ones((len(truth), 1)))
        hits, others = found.positive[:, 0], found.other[:, 0]
        roc[name] = (others / max(others[-1], 1), hits / hits[-1])
        pr[name] = (hits[1:] / hits[-1], hits[1:] / (hits[1:] + others[1:]))
    return {"roc_curves": roc, "pr_curves": pr}


def _confusion(label_map: LabelMap, truth: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    counts = np.zeros((len(label_map), len(label_map)), int)
    np.add.at(counts, (truth, predicted), 1)
    return pd.DataFrame(counts, index=list(label_map), columns=list(label_map))


def _notes(dataset: Dataset, truth: np.ndarray) -> tuple[str, ...]:
    counts = dataset.counts()
    most = max(counts, key=lambda name: counts[name])
    notes = [f"Always saying {most} would be right for {counts[most] / len(truth):.0%} of these photos."]
    few = [f"{name} ({count})" for name, count in counts.items() if 0 < count < _FEW]
    none = [name for name, count in counts.items() if not count]
    if few:
        notes.append(f"Few photos to go by: {listed(few)}. Mind the intervals.")
    if none:
        notes.append(f"No photo shows {listed(none)}, so nothing is known of that.")
    return tuple(notes)


def _text(value: float, low: float = np.nan, high: float = np.nan) -> str:
    return "unknown" if np.isnan(value) else with_interval(value, low, high)
