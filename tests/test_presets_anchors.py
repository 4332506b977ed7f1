"""Anchors: they are the network's, and the best overlap is what comparing with every one of them gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import supervision as sv

from tfod_helpers import presets
from tfod_helpers.presets import anchors


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", presets.PRESETS)
def test_best_overlap_is_that_with_the_networks_anchors(name: str) -> None:
    """For boxes of any size and place, the overlap is the highest among all anchors that training uses."""
    from tfod_helpers import experiment
    from tfod_helpers.experiment import config
    from tfod_helpers.network import inputs

    preset = presets.find(name)
    levels = inputs.anchor_boxes(config.from_preset(name).task).values()
    every_yxyx = np.concatenate([np.asarray(level).reshape(-1, 4) for level in levels])
    every_xyxy = every_yxyx[:, [1, 0, 3, 2]]
    random = np.random.default_rng(0)
    low = random.uniform(0, 0.9, (60, 2))
    high = low + (1 - low) * random.uniform(0.02, 1, (60, 2))
    boxes_xyxy = np.concatenate([low, high], axis=1) * [500, 300, 500, 300]
    scaled_xyxy = boxes_xyxy * preset.image_size / 500
    stretched_xyxy = scaled_xyxy * [1, 5 / 3, 1, 5 / 3]
    sizes = np.tile([500, 300], (60, 1))
    for resize, seen_xyxy in (("letterbox", scaled_xyxy), ("stretch", stretched_xyxy)):
        expected = sv.box_iou_batch(seen_xyxy, every_xyxy).max(axis=1)
        found = anchors.best_overlap(boxes_xyxy, sizes, dataclasses.replace(preset, resize=resize))
        assert found == pytest.approx(expected, abs=1e-4)
    assert experiment.presets().index.tolist() == list(presets.PRESETS)


def test_a_box_like_an_anchor_is_overlapped_wholly_and_a_thin_one_hardly() -> None:
    """A box with an anchor's place and shape has overlap 1; one of a hundredth of its height, next to none."""
    preset = presets.find("mobilenet_v2_192")
    width, height = anchors.shapes(preset)[1][0]
    centre = 4.5 * 16
    box_xyxy = [centre - width / 2, centre - height / 2, centre + width / 2, centre + height / 2]
    thin_xyxy = [0, centre, 192, centre + 1]
    sizes = np.array([[192, 192], [192, 192]])
    assert anchors.best_overlap(np.array([box_xyxy, thin_xyxy]), sizes, preset) == pytest.approx([1, 0.03], abs=0.03)


def test_a_stretched_photo_gives_boxes_another_shape() -> None:
    """A box four times as wide as high, in a photo as wide, fits a square anchor where the photo is stretched."""
    letterboxed = presets.find("mobilenet_v2_192")
    stretched = dataclasses.replace(letterboxed, resize="stretch")
    boxes_xyxy, sizes = np.array([[100, 40, 300, 90]]), np.array([[400, 100]])
    assert anchors.matched(boxes_xyxy, sizes, stretched).tolist() == [True]
    assert anchors.matched(boxes_xyxy, sizes, letterboxed).tolist() == [False]
    square = np.array([[300, 300]])
    same = [anchors.best_overlap(boxes_xyxy, square, preset) for preset in (letterboxed, stretched)]
    np.testing.assert_array_equal(*same)


def test_no_boxes_have_no_overlaps() -> None:
    """A dataset without boxes is no error."""
    empty = anchors.best_overlap(np.zeros((0, 4)), np.zeros((0, 2)), presets.find("mobilenet_v2_256"))
    assert empty.shape == (0,)
