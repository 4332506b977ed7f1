"""evaluation, two detectors compared: paired intervals of the difference, and detections matched with each other."""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import detections, made_up, one_image

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelMap

CAT_DOG = LabelMap(["cat", "dog"])


def nudged(found: list[sv.Detections], box: float, score: float, seed: int = 1) -> list[sv.Detections]:
    """The same detections, each corner moved by a share of the box's sides, each confidence by a little."""
    random = np.random.default_rng(seed)
    moved = []
    for one in found:
        if not len(one):
            moved.append(one)
            continue
        side = np.tile(one.xyxy[:, 2:] - one.xyxy[:, :2], 2)
        boxes_xyxy = one.xyxy + random.normal(0, box, side.shape) * side
        boxes_xyxy[:, 2:] = np.maximum(boxes_xyxy[:, 2:], boxes_xyxy[:, :2] + 1)
        confidence = np.clip(one.confidence + random.normal(0, score, len(one)), 0, 1)
        moved.append(detections(boxes_xyxy, one.class_id, confidence))
    return moved


def test_equal_detections_differ_by_nothing_at_all() -> None:
    """The same detections have a difference of exactly 0, and so have both ends of its interval."""
    dataset, found = made_up(2, images=40)
    one, other = (evaluation.score(dataset, found, resamples=0) for _ in range(2))
    result = evaluation.difference(one, other)
    assert (result.ap, result.ap_interval, result.ap50, result.ap50_interval) == (0, (0, 0), 0, (0, 0))
    assert str(result) == "AP +0.000 (95 %: +0.000 to +0.000), AP50 +0.000 (95 %: +0.000 to +0.000) on 40 images"


def test_paired_interval_is_a_fraction_of_the_unpaired() -> None:
    """Two detectors that find nearly the same are told apart by photos that leave the AP of each wide open."""
    dataset, found = made_up(4, images=60)
    one = evaluation.score(dataset, found)
    worse = evaluation.score(dataset, nudged(found, 0.03, 0.0))
    result = evaluation.difference(worse, one)
    assert result.ap == worse.ap - one.ap < 0
    low, high = result.ap_interval
    assert low <= result.ap <= high < 0
    own_low, own_high = one.intervals["ap"]
    assert high - low < 0.4 * (own_high - own_low)
    assert own_low < worse.ap  # by its own interval the worse one might as well be the better one
    back = evaluation.difference(one, worse)
    assert back.ap_interval == pytest.approx((-high, -low))


def test_interval_of_the_difference_holds_the_truth_as_often_as_it_says() -> None:
    """Of thirty samples of 40 images, 26 or more have the difference of the whole population in their interval."""
    dataset, found = made_up(11, images=800, objects=1.5, ghosts=1)
    other = nudged(found, 0.03, 0.03)
    whole = [evaluation.score(dataset, each, resamples=0) for each in (found, other)]
    random, hits = np.random.default_rng(0), 0
    for _ in range(30):
        which = random.choice(800, 40, replace=False)
        sample = Dataset(tuple(dataset[int(n)] for n in which), dataset.label_map)
        one, two = (evaluation.score(sample, [each[n] for n in which], resamples=0) for each in (found, other))
        low, high = evaluation.difference(two, one, resamples=100).ap_interval
        hits += low <= whole[1].ap - whole[0].ap <= high
        assert high - low < 0.08  # and not because it holds everything
    assert hits >= 26


def test_a_difference_needs_more_than_one_photo() -> None:
    """With all objects in one photo the difference stands without an interval, in words too."""
    box = [[10, 10, 100, 100]]
    dataset = Dataset((one_image(box, [1]), one_image([], [], 1)), CAT_DOG)
    one = evaluation.score(dataset, [detections(box, [1], [0.9]), detections([], [], [])], resamples=0)
    none = evaluation.score(dataset, [detections([], [], [])] * 2, resamples=0)
    result = evaluation.difference(none, one, resamples=20)
    assert (result.ap, result.ap50) == pytest.approx((-1, -1))
    assert np.isnan([*result.ap_interval, *result.ap50_interval]).all()
    assert str(result) == "AP -1.000, AP50 -1.000 on 2 images"


def test_what_does_not_compare_is_refused() -> None:
    """Other photos, other labels, other classes and no resamples are named."""
    dataset, found = made_up(2, images=20)
    one = evaluation.score(dataset, found, resamples=0)
    fewer = evaluation.score(Dataset(dataset[:10], dataset.label_map), found[:10], resamples=0)
    turned = evaluation.score(Dataset(dataset[::-1], dataset.label_map), found[::-1], resamples=0)
    renamed = evaluation.score(Dataset(dataset.images, LabelMap(["a", "b", "c"])), found, resamples=0)
    for other in (fewer, turned):
        with pytest.raises(ValueError, match=r"different photos \(20 and \d+, .*Evaluate both .* same dataset"):
            evaluation.difference(one, other)
    with pytest.raises(ValueError, match="different classes"):
        evaluation.agreement(one, renamed, 0.5)
    with pytest.raises(ValueError, match="resamples must be 1 or more, got 0"):
        evaluation.difference(one, one, resamples=0)
    copy = evaluation.score(Dataset(dataset.images, LabelMap(dataset.label_map)), found, resamples=0)
    assert evaluation.difference(one, copy, resamples=10).ap == 0  # read twice, they are the same photos


def test_detections_are_matched_by_overlap_within_their_class() -> None:
    """The pair of the largest overlap is matched first; other classes, photos and faint detections are no partners."""
    box = [10, 10, 110, 110]
    dataset = Dataset((one_image([box], [1]), one_image([box], [1], 1)), CAT_DOG)
    mine = [detections([box, [200, 200, 300, 300], box], [1, 1, 2], [0.9, 0.8, 0.2]), detections([box], [1], [0.6])]
    # The first of these has the higher confidence, the second lies nearer to the box.
    theirs = [
        detections([[30, 10, 130, 110], [10, 10, 107, 110], box], [1, 1, 2], [0.95, 0.7, 0.6]),
        detections([[12, 10, 110, 110], [200, 200, 300, 300]], [1, 1], [0.55, 0.9]),
    ]
    one, other = (evaluation.score(dataset, found, resamples=0) for found in (mine, theirs))
    result = evaluation.agreement(one, other, 0.5)
    assert (result.matched, result.alone) == (2, 4)
    assert result.pixels == pytest.approx(3)
    assert result.score == pytest.approx(0.2)
    assert evaluation.agreement(other, one, 0.5) == result
    assert evaluation.agreement(one, one, 0.0) == evaluation.Agreement(4, 0, 0, 0)
    # The least confident of a pair may have half of the threshold, so that none is lost by a confidence that rounds.
    assert evaluation.agreement(one, other, 0.6).matched == 2
    strict = evaluation.agreement(one, other, 0.85)
    assert (strict.matched, strict.alone) == (1, 2)
    nothing = evaluation.agreement(one, other, 0.99)
    assert (nothing.matched, nothing.alone) == (0, 0)
    assert np.isnan([nothing.pixels, nothing.score]).all()
