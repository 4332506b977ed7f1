"""evaluation, of classifiers: every number against scikit-learn's definition, counted in another way, and intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

CLASSES = LabelMap(["cat", "dog", "fox"])


def shown(labels: list[int] | np.ndarray, label_map: LabelMap = CLASSES) -> Dataset:
    """Photos without files that show one thing each."""
    images = (
        LabelledImage(Path(f"{number}.jpg"), 20, 10, [[0, 0, 20, 10]], [label]) for number, label in enumerate(labels)
    )
    return Dataset(tuple(images), label_map)


def made_up(seed: int, photos: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Labels from 1, and probabilities that are right in most photos, many of them equal."""
    random = np.random.default_rng(seed)
    labels = random.integers(1, classes + 1, photos)
    logits = random.normal(0, 1, (photos, classes)) + 1.5 * np.eye(classes)[labels - 1]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = np.round(probabilities, 1) + 1e-6  # equal ones too
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_numbers_are_what_their_definitions_say() -> None:
    """Accuracy, precision, recall, F1, the confusion, and both areas by comparing all pairs and all thresholds."""
    labels, probabilities = made_up(0, 120)
    result = evaluation.score_classes(shown(labels), probabilities, resamples=50)
    predicted = probabilities.argmax(axis=1) + 1
    assert result.accuracy == pytest.approx((predicted == labels).mean())
    for number, name in enumerate(CLASSES, 1):
        row, hits = result.per_class.loc[name], ((predicted == number) & (labels == number)).sum()
        assert row["photos"] == (labels == number).sum() == result.confusion.loc[name].sum()
        assert row["precision"] == pytest.approx(hits / (predicted == number).sum())
        assert row["recall"] == pytest.approx(hits / (labels == number).sum())
        assert row["f1"] == pytest.approx(2 / (1 / row["precision"] + 1 / row["recall"]))
        assert result.confusion.loc[name, name] == hits
        scores = probabilities[:, number - 1]
        mine, others = scores[labels == number][:, None], scores[labels != number][None]
        assert row["auc"] == pytest.approx(((mine > others) + (mine == others) / 2).mean())
        reached, area = 0.0, 0.0
        for threshold in sorted({*scores}, reverse=True):
            kept = scores >= threshold
            recall = (kept & (labels == number)).sum() / (labels == number).sum()
            area += (recall - reached) * (labels[kept] == number).mean()
            reached = recall
        assert row["ap"] == pytest.approx(area)
        assert np.trapezoid(*result.roc_curves[name][::-1]) == pytest.approx(row["auc"])
    assert result.macro_f1 == pytest.approx(result.per_class["f1"].mean())


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 150 samples of 60 photos, 85 to 99 % have the accuracy, F1 and AUC of the whole population within theirs."""
    labels, probabilities = made_up(1, 3000)
    true = evaluation.score_classes(shown(labels), probabilities, resamples=1)
    random, hits = np.random.default_rng(0), np.zeros(3)
    for _ in range(150):
        some = random.choice(len(labels), 60, replace=False)
        found = evaluation.score_classes(shown(labels[some]), probabilities[some], resamples=200)
        cat = found.per_class.loc["cat"]
        ends = [found.intervals["accuracy"], (cat["f1_low"], cat["f1_high"]), (cat["auc_low"], cat["auc_high"])]
        wanted = [true.accuracy, true.per_class.loc["cat", "f1"], true.per_class.loc["cat", "auc"]]
        hits += [low <= value <= high for (low, high), value in zip(ends, wanted, strict=True)]
    assert (hits / 150 >= 0.85).all()
    assert (hits / 150 <= 0.99).all()


def test_all_right_is_not_called_certain() -> None:
    """Of 20 photos that are all right, the interval reaches down as far as Wilson's, and not to 1 alone."""
    result = evaluation.score_classes(shown([1, 2] * 10), np.eye(3)[[0, 1] * 10])
    assert result.accuracy == 1
    assert result.intervals["accuracy"] == (pytest.approx(0.839, abs=0.002), pytest.approx(1))
    assert "No photo shows fox" in str(result)
    assert np.isnan(result.per_class.loc["fox", "recall"])


def test_crops_of_one_photo_stand_or_fall_together() -> None:
    """Ten crops of each photo tell hardly more than the photo: the interval is as wide as that of the photos."""
    random = np.random.default_rng(0)
    right = np.repeat(random.uniform(size=30) < 0.7, 10)
    probabilities = np.where(right[:, None], [0.9, 0.1, 0], [0.1, 0.9, 0])
    apart = shown([1] * 300)
    together = Dataset(
        tuple(replace(image, path=Path(f"{number // 10}.jpg")) for number, image in enumerate(apart)), CLASSES
    )
    wide, narrow = (
        np.ptp(evaluation.score_classes(dataset, probabilities).intervals["accuracy"]) for dataset in (together, apart)
    )
    assert wide > 2.5 * narrow


def test_mistakes_begin_with_the_most_confident() -> None:
    """Each wrong photo once, with its label, what was said instead, and how confidently."""
    probabilities = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.8, 0.2, 0], [0.1, 0.9, 0]])
    table = evaluation.score_classes(shown([1, 2, 2, 2]), probabilities).mistakes()
    assert table[["image", "label", "predicted"]].to_numpy().tolist() == [[2, "dog", "cat"], [1, "dog", "cat"]]
    assert table["confidence"].tolist() == [0.8, 0.6]


def test_classes_are_compared_by_name() -> None:
    """A classifier with its classes in another order is scored the same; one that lacks a class is refused."""
    labels, probabilities = made_up(2, 40)
    expected = evaluation.score_classes(shown(labels), probabilities, resamples=10)
    other = LabelMap(["fox", "cat", "dog"])
    result = evaluation.score_classes(shown(labels), probabilities[:, [2, 0, 1]], label_map=other, resamples=10)
    assert result.per_class["auc"].to_dict() == pytest.approx(expected.per_class["auc"].to_dict())
    with pytest.raises(ValueError, match=r"The classifier knows cat, dog, and some photos show fox\. Give"):
        evaluation.score_classes(shown(labels), probabilities[:, :2], label_map=LabelMap(["cat", "dog"]))


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        (np.zeros((2, 2)), r"must have shape \(2, 3\), a row a photo and a column a class, got \(2, 2\)"),
        (np.array([[3.0, 1, -2], [0, 1, 0]]), "do not add up to 1. Give what the model's softmax returns, no logits"),
    ],
)
def test_probabilities_that_are_none_are_refused(probabilities: np.ndarray, says: str) -> None:
    """A wrong shape, and logits."""
    with pytest.raises(ValueError, match=says):
        evaluation.score_classes(shown([1, 2]), probabilities)


def test_a_detectors_dataset_is_refused() -> None:
    """Two boxes in one photo are not one thing to tell: the message says how to take them apart."""
    two = LabelledImage(Path("a.jpg"), 20, 10, [[0, 0, 5, 5], [5, 5, 9, 9]], [1, 2])
    with pytest.raises(ValueError, match=r"a.jpg: 2 labelled boxes.*classifier.crops\(dataset\)"):
        evaluation.score_classes(Dataset((two,), CLASSES), np.eye(3)[:1])
