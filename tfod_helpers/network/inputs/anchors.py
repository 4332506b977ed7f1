"""The anchor boxes that a network's boxes are encoded by, placed by the rule of whoever trained its weights.

* ``garden``: the Model Garden's. On every level in the middle of its cells, which share the image evenly.
* ``ssd``: the Object Detection API's (multiscale_grid_anchor_generator). In strides of 2 to the level, half a stride
  from the edge where the stride divides the image, else from the edge itself; aspect ratio by aspect ratio.
* ``ssd_maps``: those of its SSD without a pyramid (ssd_anchor_generator). Placed as the Model Garden's; their sides are
  shares of the image's, see `presets.anchors.of_maps`.
* ``torchvision``: torchvision's and KerasHub's (torchvision/models/detection/anchor_utils.py). In the upper left corner
  of its cells, sizes cut to whole pixels and half sides rounded to them; aspect ratio by aspect ratio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from official.vision.ops import anchor

from tfod_helpers.presets.anchors import of_maps
from tfod_helpers.presets.models import SSD, SSD_MAPS, TORCHVISION

if TYPE_CHECKING:
    from tfod_helpers.experiment.config import TaskConfig


def anchor_boxes(task: TaskConfig) -> dict[str, tf.Tensor]:
    """Return the anchors of every level.

    Returns:
        level -> float32, shape (height, width, 4 * anchors per place), ``[ymin, xmin, ymax, xmax]``
        in pixels of the model's input.
    """
    model = task.model
    if own := {SSD: _ssd, SSD_MAPS: _ssd_maps, TORCHVISION: _torchvision}.get(task.anchor_layout):
        levels = range(model.min_level, model.max_level + 1)
        return {str(level): tf.constant(own(task, level)) for level in levels}
    generate = anchor.build_anchor_generator(
        min_level=model.min_level,
        max_level=model.max_level,
        num_scales=model.anchor.num_scales,
        aspect_ratios=model.anchor.aspect_ratios,
        anchor_size=model.anchor.anchor_size,
    )
    return generate(image_size=tuple(model.input_size[:2]))


def _ssd(task: TaskConfig, level: int) -> np.ndarray:
    settings, side, stride = task.model.anchor, task.model.input_size[0], 2**level
    sizes = settings.anchor_size * stride * 2.0 ** (np.arange(settings.num_scales) / settings.num_scales)
    roots = np.sqrt(np.array(settings.aspect_ratios))[:, None]
    half_yx = np.stack([sizes / roots, sizes * roots], axis=-1).reshape(-1, 2) / 2
    places = np.arange(-(-side // stride)) * stride + (0 if side % stride else stride / 2)
    return _grid(places, half_yx)


def _ssd_maps(task: TaskConfig, level: int) -> np.ndarray:
    model, settings, side = task.model, task.model.anchor, task.model.input_size[0]
    count, cells = model.max_level - model.min_level + 1, -(-side // 2**level)
    shapes = of_maps(count, settings.anchor_size, settings.largest_anchor, settings.aspect_ratios)
    return _grid((np.arange(cells) + 0.5) * (side / cells), shapes[level - model.min_level][:, ::-1] * (side / 2))


def _torchvision(task: TaskConfig, level: int) -> np.ndarray:
    settings, side = task.model.anchor, task.model.input_size[0]
    cells = -(-side // 2**level)
    scales = (2 ** (number / settings.num_scales) for number in range(settings.num_scales))
    sizes = np.array([int(2**level * settings.anchor_size * scale) for scale in scales], np.float32)
    heights = np.sqrt(1 / np.array(settings.aspect_ratios, np.float32))[:, None]  # float32, as what is rounded there
    half_yx = np.round(np.stack([sizes * heights, sizes * (1 / heights)], axis=-1).reshape(-1, 2) / 2)
    return _grid(np.arange(cells) * (side // cells), half_yx)


def _grid(places: np.ndarray, half_yx: np.ndarray) -> np.ndarray:
    """Return boxes of some half sizes around every pair of places, (places, places, 4 * boxes)."""
    centres = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1)[:, :, None]
    boxes_yxyx = np.concatenate([centres - half_yx, centres + half_yx], axis=-1)
    return boxes_yxyx.reshape(len(places), len(places), -1).astype(np.float32)
