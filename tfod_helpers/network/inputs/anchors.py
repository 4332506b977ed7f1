"""The anchor boxes that a network's boxes are encoded by, placed by the rule of whoever trained its weights.

* ``garden``: the Model Garden's. On every level in the middle of its cells, which share the image evenly.
* ``ssd``: the Object Detection API's (multiscale_grid_anchor_generator). In strides of 2 to the level, half a stride
  from the edge where the stride divides the image, else from the edge itself; aspect ratio by aspect ratio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from official.vision.ops import anchor

if TYPE_CHECKING:
    from tfod_helpers.experiment.config import TaskConfig

LAYOUTS = ("garden", "ssd")


def anchor_boxes(task: TaskConfig) -> dict[str, tf.Tensor]:
    """Return the anchors of every level.

    Returns:
        level -> float32, shape (height, width, 4 * anchors per place), ``[ymin, xmin, ymax, xmax]``
        in pixels of the model's input.
    """
    model = task.model
    if task.anchor_layout == "ssd":
        levels = range(model.min_level, model.max_level + 1)
        return {str(level): tf.constant(_ssd(task, level)) for level in levels}
    generate = anchor.build_anchor_generator(
        min_level=model.min_level,
        max_level=model.max_level,
        num_scales=model.anchor.num_scales,
        aspect_ratios=model.anchor.aspect_ratios,
        anchor_size=model.anchor.anchor_size,
    )
    return generate(image_size=tuple(model.input_size[:2]))


def _ssd(task: TaskConfig, level: int) -> np.ndarray:
    anchor_settings, (side, *_) = task.model.anchor, task.model.input_size
    stride = 2**level
    sizes = (
        anchor_settings.anchor_size
        * stride
        * 2.0 ** (np.arange(anchor_settings.num_scales) / anchor_settings.num_scales)
    )
    roots = np.sqrt(np.array(anchor_settings.aspect_ratios))[:, None]
    half_yx = np.stack([sizes / roots, sizes * roots], axis=-1).reshape(-1, 2) / 2
    places = np.arange(-(-side // stride)) * stride + (0 if side % stride else stride / 2)
    centres = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1)[:, :, None]
    boxes_yxyx = np.concatenate([centres - half_yx, centres + half_yx], axis=-1)
    return boxes_yxyx.reshape(len(places), len(places), -1).astype(np.float32)
