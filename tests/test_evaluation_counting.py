"""evaluation, the counting: every number is pycocotools' number, whatever the ground truth and the detections."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import by_pycocotools, detections, made_up, one_image
from hypothesis import given, settings
from hypothesis import strategies as st

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap


def assert_as_pycocotools(dataset: Dataset, found: list) -> None:
    """Precision, recall and the twelve numbers are pycocotools' to 1e-6."""
    expected = by_pycocotools(dataset, found)
    counts = evaluation.count(*evaluation.flatten(dataset, found))
    assert counts.precision.shape == expected.eval["precision"].shape
    assert np.abs(counts.precision - expected.eval["precision"]).max() < 1e-6
    assert np.abs(counts.recall - expected.eval["recall"]).max() < 1e-6
    ours = np.array(list(evaluation.score(dataset, found, resamples=0).coco.values()))
    assert np.abs(np.where(np.isnan(ours), -1, ours) - expected.stats).max() < 1e-6


@pytest.mark.parametrize("crowds", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_all_numbers_are_those_of_pycocotools(seed: int, crowds: float) -> None:
    """With empty images, equal scores, a class without objects, detections of absent classes, and crowds."""
    dataset, found = made_up(seed, crowds=crowds)
    assert 0.1 < evaluation.score(dataset, found, resamples=0).ap50 < 0.95  # neither trivially right nor wrong
    assert_as_pycocotools(dataset, found)


@pytest.mark.parametrize("classes", [1, 2])
def test_the_limits_of_detections_count(classes: int) -> None:
    """Of a class in an image the 100, 10 or 1 detections of highest confidence count."""
    dataset, found = made_up(5, images=4, classes=classes, objects=60, ghosts=150, crowds=0.1)
    assert max(len(one) for one in found) > 200
    assert_as_pycocotools(dataset, found)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.5]))
def test_any_small_set_counts_as_with_pycocotools(seed: int, crowds: float) -> None:
    """A few crowded images, where detections and objects overlap by many, count the same."""
    random = np.random.default_rng(seed)
    images, found = [], []
    for number in range(3):
        sides = [np.sort(random.integers(0, 8, (2, random.integers(1, 6), 2)) * 20, axis=2) for _ in range(2)]
        truth_xyxy, seen_xyxy = (np.stack([x[:, 0], y[:, 0], x[:, 1] + 20, y[:, 1] + 20], 1) for x, y in sides)
        labels = random.integers(1, 3, len(truth_xyxy))
        # The first object is real, or there might be nothing to find.
        crowd = (random.uniform(size=len(labels)) < crowds) & (np.arange(len(labels)) > 0)
        images.append(one_image(truth_xyxy, labels, number, crowd=crowd))
        scores = random.integers(1, 5, len(seen_xyxy)) / 5
        found.append(detections(seen_xyxy, random.integers(1, 3, len(seen_xyxy)), scores))
    assert_as_pycocotools(Dataset(tuple(images), LabelMap(["cat", "dog"])), found)


def marks_by_voc(image: LabelledImage, seen: sv.Detections, label: int) -> list[str]:
    """What Pascal VOC's VOCevaldet.m says of the detections of a class, the highest confidence first."""
    taken, marks = set(), []
    mine = np.flatnonzero(seen.class_id == label) if len(seen) else []
    truth = np.flatnonzero(image.labels == label)
    for at in sorted(mine, key=lambda at: -seen.confidence[at]):
        ious = sv.box_iou_batch(image.boxes_xyxy[truth], seen.xyxy[[at]])[:, 0] if len(truth) else np.zeros(1)
        best = int(ious.argmax())
        if ious[best] >= 0.5 and image.difficult[truth[best]]:
            marks.append("left out")
        else:
            marks.append("right" if ious[best] >= 0.5 and best not in taken else "wrong")
            taken |= {best} if ious[best] >= 0.5 else set()
    return marks


@pytest.mark.parametrize("seed", range(3))
def test_difficult_objects_count_as_with_pascal_voc(seed: int) -> None:
    """At IoU 0.5 the same detections are right, wrong or left out, and the same objects have to be found."""
    random = np.random.default_rng(seed)
    dataset, found = made_up(seed, objects=1.5)
    images = [replace(image, difficult=random.random(len(image.labels)) < 0.4) for image in dataset]
    truth, seen = evaluation.flatten(Dataset(images, dataset.label_map), found)
    ranked = evaluation.count(truth, seen).ranked
    ours = np.where(ranked.ignored[0], "left out", np.where(ranked.right[0], "right", "wrong"))
    marks = Counter[str]()
    for label, (number, image) in itertools.product((1, 2, 3), enumerate(images)):
        expected = marks_by_voc(image, found[number], label)
        assert ours[(ranked.image == number) & (ranked.labels == label)].tolist() == expected
        marks.update(expected)
    assert min(marks["right"], marks["wrong"], marks["left out"]) > 5
    assert truth.counted.sum() == sum((~image.difficult).sum() for image in images)


def test_of_two_objects_that_fit_as_well_the_later_is_found() -> None:
    """A detection between two objects takes the later one, as with pycocotools, and leaves the other to the next."""
    image = one_image([[0, 0, 100, 100], [20, 0, 120, 100]], [1, 1])
    between, first = [10, 0, 110, 100], [0, 0, 100, 100]
    seen = detections([between, first], [1, 1], [0.9, 0.8])
    assert_as_pycocotools(Dataset((image,), LabelMap(["cat"])), [seen])


@pytest.mark.parametrize("what", [[], ["--masks"]])
def test_benchmark_runs_and_finds_no_difference(what: list[str]) -> None:
    """The comparison with pycocotools, on a few images, prints the ratio and a difference of nothing."""
    benchmark = Path(__file__).parents[1] / "benchmarks" / "evaluation.py"
    command = [sys.executable, str(benchmark), "--images", "30", "--classes", "7", "--repeats", "1", *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"times as fast as pycocotools; greatest difference (0|\d(\.\d+)?e-\d+)$", done.stdout.strip())


def test_no_detection_at_all() -> None:
    """Without any detection precision and recall are 0, and -1 where there is no object, as COCO has them."""
    dataset, found = made_up(1)
    counts = evaluation.count(*evaluation.flatten(dataset, [one[:0] for one in found]))
    assert counts.precision[:, :, 0, 0].max() == counts.recall[:, 0, 0].max() == 0
    assert (counts.precision[:, :, -1] == -1).all()  # the class that the truth lacks
    assert len(counts.ranked.index) == 0
