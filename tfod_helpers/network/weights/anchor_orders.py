"""The outputs of a RetinaNet for the Model Garden's anchors -> those for torchvision's, which say the same boxes.

At every place both have three sizes of three shapes; `network.inputs.anchors` says how they lie. The Model Garden's are
ordered by size, torchvision's by shape, from the widest on, and half a stride up and to the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfod_helpers.network.weights.checkpoints import Values

_SIZES, _ANCHOR_SIZE = 3, 4.0  # both programs'
_ASPECTS = (2.0, 1.0, 0.5)  # width / height, in torchvision's order; the Model Garden's is the other way around
_ORDER = [size * len(_ASPECTS) + 2 - shape for shape in range(len(_ASPECTS)) for size in range(_SIZES)]


def in_torchvisions(model: Any, values: Values) -> Values:
    """Return the values of a RetinaNet's tensors with its outputs in torchvision's order and from its places.

    The boxes are the same but for the sizes of the anchors, which torchvision cuts to whole pixels: up to 3 %, on the
    finest level.

    Args:
        model: the RetinaNet.
        values: from `checkpoints.read`, for the Model Garden's anchors.
    """
    last = (model.head._classifier, model.head._box_regressor)
    outputs = {id(variable) for layer in last for variable in layer.weights}
    made = []
    for variable, value in values:
        if id(variable) in outputs:
            parts = value.reshape(*value.shape[:-1], len(_ORDER), -1)[..., _ORDER, :]
            if variable is last[1].bias:
                parts = parts + np.pad(_half_strides(), ((0, 0), (0, 2)))
            value = parts.reshape(value.shape).astype(np.float32)
        made.append((variable, value))
    return made


def _half_strides() -> np.ndarray:
    """Return half a stride in heights and widths of each anchor, (anchors, 2), in torchvision's order."""
    sizes = _ANCHOR_SIZE * 2 ** (np.arange(_SIZES) / _SIZES)
    roots = np.sqrt(np.array(_ASPECTS))[:, None]
    return 0.5 / np.stack([sizes / roots, sizes * roots], axis=-1).reshape(-1, 2)
