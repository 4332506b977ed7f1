"""evaluation, the matching: overlaps are right, and each object is matched once, by the highest confidence."""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv

from tfod_helpers import evaluation
from tfod_helpers.evaluation.matching import overlapping_pairs, rank_in_group

BOX = [[10, 10, 50, 50]]


def test_overlap_is_the_shared_part_of_both() -> None:
    """Equal boxes overlap wholly, halves by a third, neighbours, distant ones and points not at all."""
    boxes_xyxy = np.array([[0.0, 0, 10, 10], [20, 20, 30, 40], [5, 5, 5, 5]])
    others_xyxy = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [20, 20, 30, 30], [5, 5, 5, 5]])
    one_group = np.zeros(5, int)
    pairs = overlapping_pairs(boxes_xyxy, one_group[:3], others_xyxy, one_group, 1e-9)
    found = dict(zip(zip(pairs.detection.tolist(), pairs.object.tolist(), strict=True), pairs.iou, strict=True))
    assert found == pytest.approx({(0, 0): 1, (0, 1): 1 / 3, (1, 3): 0.5})


def test_overlaps_are_those_of_supervision() -> None:
    """For boxes of any size and place, every pair of one group has supervision's IoU, and no other pair is there."""
    random = np.random.default_rng(0)
    low = random.uniform(0, 300, (60, 2))
    boxes_xyxy = np.concatenate([low, low + random.uniform(5, 200, (60, 2))], axis=1)
    group = random.integers(0, 3, 60)
    pairs = overlapping_pairs(boxes_xyxy, group, boxes_xyxy, group, 0.2)
    expected = np.where(group[:, None] == group, sv.box_iou_batch(boxes_xyxy, boxes_xyxy), 0)
    found = np.zeros((60, 60))
    found[pairs.detection, pairs.object] = pairs.iou
    assert found == pytest.approx(np.where(expected >= 0.2, expected, 0), abs=1e-6)


def test_rank_is_the_place_by_confidence_in_the_group() -> None:
    """Each group counts from 0; of equal confidences the earlier one is first."""
    assert rank_in_group(np.array([1, 0, 1, 0, 1]), np.array([0.2, 0.5, 0.9, 0.5, 0.9])).tolist() == [2, 0, 0, 1, 1]


def test_each_object_is_matched_once_by_the_highest_confidence() -> None:
    """Of two detections on one object the one of higher confidence matches, the other does not."""
    boxes_xyxy = [*BOX, [10, 10, 48, 50]]
    matched = evaluation.match(boxes_xyxy, np.array([1, 1]), np.array([0.8, 0.9]), BOX, np.array([1]))
    assert matched.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("box_xyxy", "group", "iou", "expected"),
    [(BOX[0], 2, 0.5, -1), (BOX[0], 1, 0.5, 0), ([10, 10, 50, 34], 1, 0.5, 0), ([10, 10, 50, 34], 1, 0.7, -1)],
)
def test_group_and_overlap_are_asked_for(box_xyxy: list[int], group: int, iou: float, expected: int) -> None:
    """A detection of another group matches nothing, and an overlap below the one asked for is none."""
    found = evaluation.match([box_xyxy], np.array([group]), np.array([0.9]), BOX, np.array([1]), iou)
    assert found.tolist() == [expected]


def test_nothing_matches_nothing() -> None:
    """No detections, or no objects, make no pair."""
    none_xyxy, none = np.zeros((0, 4)), np.zeros(0, int)
    assert evaluation.match(BOX, np.array([1]), np.array([0.9]), none_xyxy, none).tolist() == [-1]
    assert evaluation.match(none_xyxy, none, none, BOX, np.array([1])).tolist() == []
