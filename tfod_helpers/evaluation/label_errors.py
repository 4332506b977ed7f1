"""Labels that are probably wrong, ranked: what a detector sees against what a person wrote.

The idea is that of Confident Learning (Northcutt, Jiang and Chuang, 2021) and of its form for boxes, ObjectLab
(Tkachenko, Thyagarajan and Mueller, 2023): a label is suspicious by how little the detector supports it and how
much it supports another, each seen against what the class usually gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation.arrays import GroundTruth, Predictions, flatten
from tfod_helpers.evaluation.matching import Pairs, overlapping_pairs

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

_LOOSE, _TIGHT = 0.3, 0.7  # IoU: a detection says nothing about a label below the one, all from the other on
_NEARLY = 0.1  # of IoU: a detection counts for the label that it fits best, and for any that it fits as well
_LEAST_USUAL = 0.1  # support that a class usually gets, at least, so that a class never detected contradicts no label
_NOTHING = 0.3  # weight of a label that nothing supports: detectors overlook more than people invent
_FAINT = 0.1  # support below this is none, in words
_ALIKE = 51  # detections with the nearest confidences, that say how often one is right
_INSIDE = 0.5  # share of a detection inside of a label of its class: a part of that object, not another one


def label_errors(dataset: Dataset, detections: Sequence[sv.Detections]) -> pd.DataFrame:
    """Rank every label, and every object that seems to lack one, by how probably it is an error.

    For each label the support of its class is weighed against that of the best other class, from all detections
    there, of any confidence. A detection without a label counts as a missing label where its confidence is above
    the usual one of its class; the more, the more often a detection of that confidence has a label.

    Args:
        dataset: the images with the labels to check. A detector repeats wrong labels that it learned from, so take
            images that it was not trained on, or the detections of `training.cross_validate`, which has none that was.
        detections: one for each image, in its order, of any confidence.

    Returns:
        The most suspicious first: score (above 0 a likely error, up to 1; a confirmed label is below 0), reason,
        path, object (its number in the image, from 1; 0 for a missing label), label (empty for a missing one),
        detected (the class that the detector sees, or empty), confidence (its support, 0 to 1), box_xyxy, image.

    Raises:
        ValueError: as `score` raises.
    """
    truth, found = flatten(dataset, detections)
    pairs = _speaking(overlapping_pairs(found.boxes_xyxy, found.image, truth.boxes_xyxy, truth.image, _LOOSE))
    support = found.scores[pairs.detection] * np.clip((pairs.iou - _LOOSE) / (_TIGHT - _LOOSE), 0, 1)
    same = found.labels[pairs.detection] == truth.labels[pairs.object]
    own, _ = _most(pairs.object[same], support[same], len(truth.labels))
    usual = _usual(truth, own)
    # Which other class is detected most is seen against what that class usually gets.
    relative = np.minimum(support / usual[found.labels[pairs.detection]], 1)
    which = np.flatnonzero(~same)
    _, best = _most(pairs.object[which], relative[which] + support[which], len(truth.labels))
    against = best >= 0
    at = which[best[against]]
    other, other_relative, other_label = np.zeros(len(own)), np.zeros(len(own)), np.zeros(len(own), int)
    other[against], other_relative[against] = support[at], relative[at]
    other_label[against] = found.labels[pairs.detection[at]]
    own_relative = np.minimum(own / usual[truth.labels], 1)
    score = (other_relative - own_relative + other - own) / 2
    score += _NOTHING * usual[truth.labels] * np.maximum(1 - own_relative - other_relative, 0)
    missing, worth = _missing(truth, found, usual)
    return _table(dataset, truth, (score, own, other, other_label), found[missing], worth)


def combine_label_errors(*tables: pd.DataFrame) -> pd.DataFrame:
    """Join rankings of the same labels by models that err in other ways: a detector's and a classifier's of the boxes.

    A label's score is the mean of those that it has. What else stands in its row is from the table with the strongest
    score on the same side of 0. Rows of one table alone, such as missing labels, stay as they are.

    Args:
        tables: of one dataset, as `label_errors` and `classifier.wrong_classes` return them.

    Returns:
        The same columns, the most suspicious first.

    Raises:
        ValueError: no table, or the tables are of different labels.
    """
    import pandas as pd

    if not tables:
        raise ValueError("There is no table to combine. Give what label_errors and classifier.wrong_classes return.")
    rows = pd.concat(tables, ignore_index=True)
    labels = rows[rows["object"] > 0]
    by_label = labels.groupby(["image", "object"])
    for column in ("path", "label", "box_xyxy"):
        different = labels[by_label[column].transform("nunique") > 1]
        if len(different):
            image, number = different[["image", "object"]].iloc[0].tolist()
            values = by_label.get_group((image, number))[column].unique()
            raise ValueError(
                f"The tables are of different labels: object {number} of image {image} has the {column} "
                f"{' and '.join(map(str, values))}. Make all of them from the same dataset."
            )
    mean = by_label["score"].transform("mean")
    strength = labels["score"] * np.where(mean > 0, 1, -1)
    strongest = strength.groupby([labels["image"], labels["object"]]).idxmax()
    joined = labels.assign(score=mean).loc[strongest.sort_values()]
    joined = pd.concat([joined, rows[rows["object"] == 0]])
    return joined.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _speaking(pairs: Pairs) -> Pairs:
    """Return the pairs in which a detection overlaps no other label by more."""
    fits = np.zeros(int(pairs.detection.max(initial=-1)) + 1)
    np.maximum.at(fits, pairs.detection, pairs.iou)
    return pairs[pairs.iou >= fits[pairs.detection] - _NEARLY]


def _most(group: np.ndarray, values: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each group's largest value, 0 without one, and the index of it, -1 without one."""
    order = np.argsort(values, kind="stable")
    most, index = np.zeros(groups), np.full(groups, -1)
    most[group[order]], index[group[order]] = values[order], order  # of repeated indexes the last stays
    return most, index


def _usual(truth: GroundTruth, own: np.ndarray) -> np.ndarray:
    """Return the mean support that labels of each class get, by class id: Confident Learning's threshold."""
    real = truth.counted
    objects = np.bincount(truth.labels[real], minlength=truth.classes + 1)
    return np.maximum(
        np.bincount(truth.labels[real], own[real], truth.classes + 1) / np.maximum(objects, 1), _LEAST_USUAL
    )


def _missing(truth: GroundTruth, found: Predictions, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the detections that seem to be objects without a label, and how probably each is one."""
    near = overlapping_pairs(found.boxes_xyxy, found.image, truth.boxes_xyxy, truth.image, _LOOSE).detection
    supported = np.isin(np.arange(len(found.scores)), near)
    classes = truth.classes + 1
    group, truth_group = found.image * classes + found.labels, truth.image * classes + truth.labels
    everywhere = np.ones(len(truth.labels), bool)
    part = overlapping_pairs(found.boxes_xyxy, group, truth.boxes_xyxy, truth_group, _INSIDE, everywhere).detection
    sure = np.flatnonzero(found.scores >= usual[found.labels])
    order = sure[np.argsort(-found.scores[sure], kind="stable")]
    share = np.zeros(len(found.scores))  # of about as sure detections that have a label, one more of each assumed
    if len(order):
        window = np.ones(min(_ALIKE, len(order)))
        alike = np.convolve(np.ones(len(order)), window, "same")
        share[order] = (np.convolve(supported[order], window, "same") + 1) / (alike + 2)
    alone = ~supported
    alone[part] = False
    suspects = order[alone[order]]
    suspects = suspects[np.argsort(found.image[suspects], kind="stable")]
    missing = suspects[_without_duplicates(found[suspects])]
    return missing, found.scores[missing] * np.maximum(2 * share[missing] - 1, 0)


def _without_duplicates(found: Predictions) -> np.ndarray:
    """Return which detections are kept after NMS over all classes: bool, shape (n,); each image's best come first."""
    pairs = overlapping_pairs(found.boxes_xyxy, found.image, found.boxes_xyxy, found.image, _LOOSE)
    kept = np.ones(len(found.scores), bool)
    for one, other in zip(pairs.detection.tolist(), pairs.object.tolist(), strict=True):
        if one < other and kept[one]:
            kept[other] = False
    return kept


def _table(
    dataset: Dataset,
    truth: GroundTruth,
    measures: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    missing: Predictions,
    worth: np.ndarray,
) -> pd.DataFrame:
    import pandas as pd

    names, paths = ["", *dataset.label_map], [str(image.path) for image in dataset]
    number = np.arange(len(truth.image)) - np.searchsorted(truth.image, truth.image) + 1
    rows = []
    for at in np.flatnonzero(truth.counted):
        score, own, other, other_label = (float(part[at]) for part in measures)
        label, seen = names[truth.labels[at]], names[int(other_label)]
        if max(own, other) < _FAINT:
            reason, seen, support = f"labelled {label}, nothing is found there", "", max(own, other)
        elif other > own:
            reason, support = f"labelled {label}, looks like {seen} {other:.2f}", other
        else:
            reason, seen, support = f"labelled {label}, found as {label} {own:.2f}", label, own
        box_xyxy, image = tuple(truth.boxes_xyxy[at].tolist()), truth.image[at]
        rows.append((score, reason, paths[image], number[at], label, seen, support, box_xyxy, image))
    for at, score in enumerate(worth):
        seen, support = names[missing.labels[at]], missing.scores[at]
        reason = f"no label, looks like {seen} {support:.2f}"
        box_xyxy, image = tuple(missing.boxes_xyxy[at].tolist()), missing.image[at]
        rows.append((score, reason, paths[image], 0, "", seen, support, box_xyxy, image))
    columns = ["score", "reason", "path", "object", "label", "detected", "confidence", "box_xyxy", "image"]
    return pd.DataFrame(rows, columns=columns).sort_values("score", ascending=False, kind="stable", ignore_index=True)
