"""A preset's anchor boxes, and how well they fit the boxes of a dataset.

A RetinaNet learns a box from the anchors that overlap it; one that no anchor overlaps by half is seen
by few of them or by none, and is rarely found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfod_helpers.presets.models import ASPECT_RATIOS, Preset


def shapes(preset: Preset, aspect_ratios: Sequence[float] = ASPECT_RATIOS) -> np.ndarray:
    """Return the anchors' widths and heights.

    As in ``official.vision.ops.anchor``: on level n, sides of ``anchor_size`` times the stride of 2 to
    the n pixels, in steps of an equal factor within the octave, each in every aspect ratio.

    Args:
        preset: the model.
        aspect_ratios: width / height of each; left out, those of every preset.

    Returns:
        float32, shape (levels, k, 2), ``[width, height]`` in pixels of the model's input.
    """
    strides = 2.0 ** np.arange(preset.levels[0], preset.levels[1] + 1)
    octave = 2.0 ** (np.arange(preset.anchor_scales) / preset.anchor_scales)
    roots = np.sqrt(np.array(aspect_ratios))  # an aspect ratio is width / height
    sides = preset.anchor_size * strides[:, None, None, None] * octave[:, None, None]
    shaped = sides * np.stack([roots, 1 / roots], axis=-1)
    return shaped.reshape(len(strides), -1, 2).astype(np.float32)


def best_overlap(
    boxes_xyxy: np.ndarray, sizes: np.ndarray, preset: Preset, aspect_ratios: Sequence[float] = ASPECT_RATIOS
) -> np.ndarray:
    """Return the highest intersection over union that any of the preset's anchors has with each box.

    Args:
        boxes_xyxy: float, shape (n, 4), ``[xmin, ymin, xmax, ymax]`` in pixels of the photo.
        sizes: shape (n, 2), ``[width, height]`` of the photo that each box is in; the photo is scaled to
            fit the model's square input, from the top left corner.
        preset: the model.
        aspect_ratios: of its anchors, width / height; left out, those of every preset.

    Returns:
        float32, shape (n,).
    """
    scale = preset.image_size / np.asarray(sizes, np.float32).max(axis=1, initial=1)
    boxes_xyxy = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4) * scale[:, None]
    centres, sides = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    best = np.zeros(len(boxes_xyxy), np.float32)
    for level, shaped in enumerate(shapes(preset, aspect_ratios), start=preset.levels[0]):
        stride = 2**level
        # Of anchors of one shape the one with the nearest centre overlaps most.
        cell = np.clip(np.floor(centres / stride), 0, -(-preset.image_size // stride) - 1)
        away = np.abs(centres - (cell + 0.5) * stride)[:, None]
        both = np.clip((sides[:, None] + shaped) / 2 - away, 0, np.minimum(sides[:, None], shaped)).prod(axis=2)
        union = sides.prod(axis=1)[:, None] + shaped.prod(axis=1) - both
        best = np.maximum(best, (both / union).max(axis=1))
    return best
