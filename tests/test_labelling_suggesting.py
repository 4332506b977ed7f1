"""Suggestions: marked as such wherever they go, never taken for truth until a person has confirmed them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from tfod_helpers import checks, evaluation, labelling, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.classifier import looked_at, wrong_classes
from tfod_helpers.detector import Detector
from tfod_helpers.evaluation import mistakes
from tfod_helpers.problems import DatasetError
from tfod_helpers.records import beam

LABELS = LabelMap(["cat", "dog"])


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    """Three photos: one that a person labelled, one with two suggested boxes, one in which nothing was found."""
    images = []
    for number, (boxes_xyxy, labels, scores) in enumerate(
        [([[5, 5, 50, 40]], [1], None), ([[1, 2, 30, 31], [40, 5, 80, 55]], [2, 1], [0.9, 0.25]), ([], [], [])]
    ):
        path = tmp_path / f"{number}.jpg"
        Image.new("RGB", (90, 60), (90, number, 50)).save(path)
        images.append(LabelledImage(path, 90, 60, boxes_xyxy, labels, scores=scores))
    return Dataset(tuple(images), LABELS)


def scores_of(dataset: Dataset) -> list[list[float] | None]:
    """The confidences of each image, to two digits."""
    return [None if image.scores is None else [round(score, 2) for score in image.scores.tolist()] for image in dataset]


# --- the mark ---------------------------------------------------------------------------------------


def test_a_photo_without_boxes_can_be_a_suggestion_too(mixed: Dataset) -> None:
    """What a detector found nothing in is a suggestion that nobody has confirmed, and both are counted and said."""
    assert (mixed.unconfirmed, mixed[1].scores.dtype, mixed[2].scores.shape) == (2, np.float32, (0,))
    assert "suggestions nobody has confirmed in 2" in repr(mixed)
    assert "suggestions" not in repr(mixed.only_confirmed())
    assert [image.path.name for image in mixed.only_confirmed()] == ["0.jpg"]


def test_confirmed_labels_are_a_persons(mixed: Dataset, tmp_path: Path) -> None:
    """What a person has confirmed is written like any other label, and nothing of it was changed."""
    confirmed = labelling.confirm(mixed)
    assert (confirmed.unconfirmed, mixed.unconfirmed) == (0, 2)
    assert confirmed[1].boxes_xyxy.tolist() == mixed[1].boxes_xyxy.tolist()
    assert len(list(records.read(records.write(confirmed, tmp_path / "records" / "train")))) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda dataset, folder: records.write(dataset, folder / "train"),
        lambda dataset, folder: beam.write(dataset, folder / "train"),
        lambda dataset, _: evaluation.evaluate(Detector(never, LABELS, 64, 0.5), dataset),
        lambda dataset, _: evaluation.score(dataset, [sv.Detections.empty()] * 3, resamples=0),
        lambda dataset, _: mistakes(dataset, [sv.Detections.empty()] * 3, 0.5),
        lambda dataset, _: evaluation.label_errors(dataset, [sv.Detections.empty()] * 3),
        lambda dataset, _: evaluation.score_classes(dataset, np.full((3, 2), 0.5)),
        lambda dataset, _: looked_at.crops(dataset),
        lambda dataset, _: looked_at.whole_photos(dataset),
        lambda dataset, _: wrong_classes(dataset),
    ],
    ids=["records", "beam", "evaluate", "score", "mistakes", "label_errors", "classes", "crops", "whole", "wrong"],
)
def test_suggestions_are_never_taken_for_truth(
    mixed: Dataset, tmp_path: Path, use: Callable[[Dataset, Path], Any]
) -> None:
    """Whatever trains or judges by labels refuses suggestions before any work, in words, and leaves nothing behind."""
    folder = tmp_path / "made"
    with pytest.raises(DatasetError, match=r"detector suggested for 2 of 3 photos, such as 1\.jpg.*labelling\.confirm"):
        use(mixed, folder)
    assert not folder.exists()


def never(_: np.ndarray) -> dict[str, np.ndarray]:
    """A model that is not to be run."""
    raise AssertionError("the detector has run")


def test_checks_tell_of_suggestions(mixed: Dataset) -> None:
    """What keeps a dataset from being written is in the report of the checks, once."""
    told = [one for one in checks.check(mixed).problems if one.kind == "suggestions not confirmed"]
    assert [(one.severity, one.where) for one in told] == [("error", "photos")]


def test_the_mark_stays_through_all_that_rebuilds_images(mixed: Dataset) -> None:
    """Another label map, splits, folds and mending keep each box's own confidence; a box drawn twice is mended."""
    twice = dataclasses.replace(
        mixed[1], boxes_xyxy=mixed[1].boxes_xyxy[[0, 0, 1]], labels=[2, 2, 1], crowd=None, difficult=None,
        scores=[0.9, 0.5, 0.25],
    )  # fmt: skip
    mended = checks.mend(dataclasses.replace(mixed, images=(mixed[0], twice, mixed[2]))).dataset
    assert scores_of(mended) == [None, [0.9, 0.25], []]
    turned = mixed.with_label_map(LabelMap(["dog", "cat"]))
    assert (scores_of(turned), turned[1].labels.tolist()) == (scores_of(mixed), [1, 2])
    parts = mixed.split({"one": 0.5, "other": 0.5})
    assert sum(part.unconfirmed for part in parts.values()) == 2
