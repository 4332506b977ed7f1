"""Encoded boxes and logits become the detections that the Model Garden finds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfod_helpers.detector import Nms
from tfod_helpers.detector.decoding import decode

SIDE = 100


def logit(score: float) -> float:
    """What the network says for a score."""
    return math.log(score / (1 - score))


def encode(boxes_xyxy: list[list[float]], anchors_yxhw: np.ndarray) -> np.ndarray:
    """Encode a box by each anchor: the inverse of the decoding, from its definition."""
    encoded = []
    for (x0, y0, x1, y1), (ay, ax, ah, aw) in zip(boxes_xyxy, anchors_yxhw, strict=True):
        centre = [((y0 + y1) / 2 - ay) / ah, ((x0 + x1) / 2 - ax) / aw]
        encoded.append([*centre, math.log((y1 - y0) / ah), math.log((x1 - x0) / aw)])
    return np.array([encoded], np.float32)


def test_boxes_come_back_from_their_anchors_the_highest_score_first() -> None:
    """Each box is where it was encoded, clipped to the input, with its class from 1 and its score."""
    anchors_yxhw = np.array([[50, 50, 20, 20], [20, 30, 10, 40], [90, 90, 30, 30]], np.float32)
    boxes = [[35, 45, 55, 65], [10, 10, 60, 30], [80, 80, 120, 110]]
    logits = np.array([[[logit(0.3), -9], [-9, logit(0.8)], [logit(0.6), -9]]], np.float32)
    found = decode(encode(boxes, anchors_yxhw), logits, anchors_yxhw, SIDE, Nms())
    np.testing.assert_allclose(found["boxes_xyxy"][0], [boxes[1], [80, 80, 100, 100], boxes[0]], atol=1e-4)
    np.testing.assert_allclose(found["scores"][0], [0.8, 0.6, 0.3], atol=1e-6)
    assert found["classes"][0].tolist() == [2, 1, 1]
    assert found["count"].tolist() == [3]


def test_a_box_has_at_most_62_times_its_anchors_size() -> None:
    """A network that says an absurd size gives no infinite box and no warning."""
    anchors_yxhw = np.array([[50, 50, 1, 1]], np.float32)
    encoded = np.array([[[0, 0, 900, 900]]], np.float32)
    found = decode(encoded, np.full((1, 1, 1), 3, np.float32), anchors_yxhw, SIDE, Nms())
    side = 1000 / 16
    np.testing.assert_allclose(found["boxes_xyxy"][0, 0], [50 - side / 2] * 2 + [50 + side / 2] * 2, rtol=1e-5)


def test_photos_of_a_batch_have_their_own_counts() -> None:
    """Where one photo has no detection and another two, what is beyond a count is zero; none at all is no error."""
    anchors_yxhw = np.array([[20, 20, 10, 10], [70, 70, 10, 10]], np.float32)
    logits = np.full((3, 2, 1), -9, np.float32)
    logits[1], logits[2, 0] = 2, 1
    found = decode(np.zeros((3, 2, 4), np.float32), logits, anchors_yxhw, SIDE, Nms())
    assert found["count"].tolist() == [0, 2, 1]
    assert (found["scores"] > 0).sum(axis=1).tolist() == [0, 2, 1]
    assert decode(np.zeros((1, 2, 4)), logits[:1], anchors_yxhw, SIDE, Nms())["count"].tolist() == [0]


def slow_nms(boxes_xyxy: np.ndarray, scores: np.ndarray, nms: Nms) -> list[int]:
    """The definition: from the highest score down, a box is kept where it overlaps no kept one by more."""
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable"):
        box = boxes_xyxy[number]
        for other in boxes_xyxy[kept]:
            width = min(box[2], other[2]) - max(box[0], other[0])
            height = min(box[3], other[3]) - max(box[1], other[1])
            both = max(width, 0) * max(height, 0)
            if both > nms.iou * (np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - both):
                break
        else:
            kept.append(int(number))
    return kept[: nms.detections]


@pytest.mark.parametrize("nms", [Nms(), Nms(iou=0.3, detections=20), Nms(detections=500)])
def test_overlapping_boxes_of_a_class_are_suppressed_as_by_definition(nms: Nms) -> None:
    """Hundreds of crowded boxes, more than are compared at once: what is kept is what the slow definition keeps."""
    random = np.random.default_rng(0)
    count, classes = 700, 2
    anchors_yxhw = np.concatenate([random.uniform(20, 80, (count, 2)), random.uniform(8, 30, (count, 2))], axis=1)
    scores = random.uniform(0.02, 0.9, (count, classes))
    scores[random.random((count, classes)) < 0.5] = 0.001
    logits = np.log(scores / (1 - scores)).astype(np.float32)
    found = decode(np.zeros((1, count, 4)), logits[None], anchors_yxhw, SIDE, nms)
    half = anchors_yxhw[:, 2:] / 2
    boxes_xyxy = np.concatenate([anchors_yxhw[:, :2] - half, anchors_yxhw[:, :2] + half], axis=1)
    boxes_xyxy = boxes_xyxy[:, [1, 0, 3, 2]].astype(np.float32)
    expected = []
    for label in range(classes):
        some = np.flatnonzero(scores[:, label] >= nms.least_score)
        expected += [
            (scores[some[n], label], label + 1, *boxes_xyxy[some[n]].clip(0, SIDE))
            for n in slow_nms(boxes_xyxy[some], scores[some, label], nms)
        ]
    expected = sorted(expected, reverse=True)[: nms.detections]
    assert found["count"][0] == len(expected) > 15
    together = np.column_stack([found["scores"][0], found["classes"][0], found["boxes_xyxy"][0]])
    np.testing.assert_allclose(together, expected, rtol=1e-4)


def test_a_least_score_of_zero_keeps_every_box() -> None:
    """No logarithm of zero: what the network is sure is nothing counts too."""
    anchors_yxhw = np.array([[20, 20, 10, 10], [70, 70, 10, 10]], np.float32)
    logits = np.full((1, 2, 1), -50, np.float32)
    assert decode(np.zeros((1, 2, 4), np.float32), logits, anchors_yxhw, SIDE, Nms(least_score=0))["count"] == [2]
