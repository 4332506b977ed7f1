"""A preset's anchor boxes, and how well they fit the boxes of a dataset.

A RetinaNet learns a box from the anchors that overlap it; one that no anchor overlaps by half is seen
by few of them or by none, and is rarely found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tfod_helpers.presets import keys, resizing
from tfod_helpers.presets.models import SSD, SSD_MAPS, TORCHVISION, Preset

MATCHED = 0.5  # from this overlap on a RetinaNet takes an anchor for a box's
GOOD_SHARE = 0.9  # of the boxes of a dataset that some anchor should match


def shapes(preset: Preset) -> list[np.ndarray]:
    """Return the anchors' widths and heights.

    On level n, sides of ``anchor_size`` times the stride of 2 to the n pixels, in steps of an equal factor within the
    octave, each in every aspect ratio; cut and rounded to pixels where they are torchvision's, see
    `network.inputs.anchors`; of ``ssd_maps``, as `of_maps` says.

    Returns:
        Of each level float32, shape (k, 2), ``[width, height]`` in pixels of the model's input.
    """
    if preset.anchor_layout == SSD_MAPS:
        count = preset.levels[1] - preset.levels[0] + 1
        found = of_maps(count, preset.anchor_size, preset.largest_anchor, preset.aspect_ratios)
        return [shares * np.float32(preset.image_size) for shares in found]
    strides = 2.0 ** np.arange(preset.levels[0], preset.levels[1] + 1)
    octave = 2.0 ** (np.arange(preset.anchor_scales) / preset.anchor_scales)
    roots = np.sqrt(np.array(preset.aspect_ratios))  # an aspect ratio is width / height
    sides = preset.anchor_size * strides[:, None, None, None] * octave[:, None, None]
    factors = np.stack([roots, 1 / roots], axis=-1)
    shaped = np.round(np.floor(sides) * factors / 2) * 2 if preset.anchor_layout == TORCHVISION else sides * factors
    return list(shaped.reshape(len(strides), -1, 2).astype(np.float32))


def of_maps(count: int, smallest: float, largest: float, aspect_ratios: Sequence[float]) -> list[np.ndarray]:
    """Return the widths and heights of the anchors of an SSD without a pyramid.

    Sides grow in equal steps from map to map, each in every aspect ratio, with a square between it and the next; the
    first map has three alone, a small square and two flat ones (Liu et al. 2016, SSD: Single Shot MultiBox Detector,
    section 2.2; ssd_anchor_generator of the Object Detection API).

    Args:
        count: of the maps.
        smallest: side of the squares on the first map, as a share of the image's.
        largest: the same on the last map.
        aspect_ratios: width / height.

    Returns:
        Of each map float32, shape (k, 2), ``[width, height]`` as shares of the image's side.
    """
    made: list[np.ndarray] = []
    for side, following in pairwise([*np.linspace(smallest, largest, count).tolist(), 1.0]):
        pairs = [*((side, ratio) for ratio in aspect_ratios), (math.sqrt(side * following), 1.0)]
        sides, ratios = np.array(pairs if made else [(0.1, 1.0), (side, 2.0), (side, 0.5)]).T
        made.append(np.stack([sides * np.sqrt(ratios), sides / np.sqrt(ratios)], axis=1).astype(np.float32))
    return made


def best_overlap(boxes_xyxy: np.ndarray, sizes: np.ndarray, preset: Preset) -> np.ndarray:
    """Return the highest intersection over union that any of the preset's anchors has with each box.

    Args:
        boxes_xyxy: float, shape (n, 4), ``[xmin, ymin, xmax, ymax]`` in pixels of the photo.
        sizes: shape (n, 2), ``[width, height]`` of the photo that each box is in; the photo is scaled to
            the model's square input as the preset says: to fit, from the top left corner, or to all of it.
        preset: the model.

    Returns:
        float32, shape (n,).
    """
    scale = resizing.factors(sizes, preset.image_size, preset.resize)
    boxes_xyxy = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4) * np.tile(scale, 2)
    centres, sides = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    best = np.zeros(len(boxes_xyxy), np.float32)
    for level, shaped in enumerate(shapes(preset), start=preset.levels[0]):
        # Of anchors of one shape the one with the nearest centre overlaps most.
        cells, offset = -(-preset.image_size // 2**level), _offset(preset, 2**level)
        stride = preset.image_size / cells if preset.anchor_layout == SSD_MAPS else 2**level
        cell = np.clip(np.round(centres / stride - offset), 0, cells - 1)
        away = np.abs(centres - (cell + offset) * stride)[:, None]
        both = np.clip((sides[:, None] + shaped) / 2 - away, 0, np.minimum(sides[:, None], shaped)).prod(axis=2)
        union = sides.prod(axis=1)[:, None] + shaped.prod(axis=1) - both
        best = np.maximum(best, (both / union).max(axis=1))
    return best


def _offset(preset: Preset, stride: int) -> float:
    """Return how far from a cell's corner its anchors are, in strides."""
    at_corner = preset.anchor_layout == TORCHVISION or (preset.anchor_layout == SSD and preset.image_size % stride)
    return 0.0 if at_corner else 0.5


def matched(boxes_xyxy: np.ndarray, sizes: np.ndarray, preset: Preset) -> np.ndarray:
    """Say of each box whether an anchor overlaps it by half; takes what `best_overlap` does. bool, shape (n,)."""
    return best_overlap(boxes_xyxy, sizes, preset) >= MATCHED


def share_matched(boxes_xyxy: np.ndarray, sizes: np.ndarray, preset: Preset) -> float:
    """Return the share of the boxes that an anchor overlaps by half, 1 where there is no box."""
    return float(matched(boxes_xyxy, sizes, preset).mean()) if len(sizes) else 1.0


def finer(preset: Preset, largest: float) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield changes after which anchors fit smaller boxes, the cheapest first.

    Args:
        preset: the model.
        largest: up to how many times the preset's image size to go.

    Yields:
        The setting's name, its new value, and the same change as fields of a `Preset`.
    """
    smaller = preset.anchor_size / 2
    yield keys.ANCHOR_SIZE, smaller, {"anchor_size": smaller}
    size, stride = preset.image_size, preset.side_step
    while (size := size + stride * max(1, round(size / 4 / stride))) <= largest * preset.image_size:
        yield keys.IMAGE_SIZE, [size, size, 3], {"image_size": size}
