"""matching: overlaps are right, and each object is found once."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_parts import detections, one_image

from tfod_helpers import evaluation
from tfod_helpers.evaluation import matching


def test_overlap_is_the_shared_part_of_both() -> None:
    """Equal boxes overlap wholly, halves by a third, neighbours and distant ones not at all."""
    boxes_xyxy = np.array([[0.0, 0, 10, 10], [20, 20, 30, 40]])
    others_xyxy = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [20, 20, 30, 30]])
    expected = [[1, 1 / 3, 0, 0], [0, 0, 0, 0.5]]
    assert matching.box_iou(boxes_xyxy, others_xyxy) == pytest.approx(np.array(expected))


def test_overlap_of_boxes_without_area_is_none() -> None:
    """A box without area overlaps nothing, and no division by zero is heard of."""
    point_xyxy = np.array([[5.0, 5, 5, 5]])
    assert matching.box_iou(point_xyxy, point_xyxy).tolist() == [[0]]
    assert matching.box_iou(np.zeros((0, 4)), point_xyxy).shape == (0, 1)


def test_each_object_is_found_once_by_the_most_confident() -> None:
    """Of two detections on one object the surer one finds it, the other is an extra."""
    image = one_image([[10, 10, 50, 50]], [1])
    found = detections([[10, 10, 50, 50], [10, 10, 48, 50]], [1, 1], [0.8, 0.9])
    assert matching.match(image, found).tolist() == [-1, 0]


def test_class_and_overlap_are_asked_for() -> None:
    """Another class finds nothing unless it may, and an overlap below the one asked for is none."""
    image = one_image([[10, 10, 50, 50]], [1])
    assert matching.match(image, detections([[10, 10, 50, 50]], [2], [0.9])).tolist() == [-1]
    assert matching.match(image, detections([[10, 10, 50, 50]], [2], [0.9]), same_class=False).tolist() == [0]
    half = detections([[10, 10, 50, 34]], [1], [0.9])
    assert matching.match(image, half).tolist() == [0]
    assert matching.match(image, half, iou=0.7).tolist() == [-1]


def test_nothing_finds_nothing() -> None:
    """No detections, or no objects, make no pair."""
    assert matching.match(one_image([], []), detections([[0, 0, 9, 9]], [1], [0.9])).tolist() == [-1]
    assert matching.match(one_image([[0, 0, 9, 9]], [1]), detections([], [], [])).tolist() == []


def test_evaluation_offers_the_same() -> None:
    """Both functions are still where they were."""
    assert evaluation.match is matching.match
    assert evaluation.box_iou is matching.box_iou
