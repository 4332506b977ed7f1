"""What becomes of a photo's values before a network sees them: (value - mean) / scale, for values from 0 to 255.

Whoever trained a backbone chose one of these, and its weights fit no other:

* ``imagenet``: the statistics of ImageNet's colours; the Model Garden's own, and torchvision's.
* ``symmetric``: from -1 to 1; Keras' MobileNets, and those of the Object Detection API.
* ``mean``: less the mean colour; Keras' ResNets, and those of the Object Detection API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tfod_helpers.experiment.config import TaskConfig


class Normalization(NamedTuple):
    """How values from 0 to 255 are normalized.

    Attributes:
        mean: float32, (3,), RGB, what is taken off.
        scale: float32, (3,), what the rest is divided by.
    """

    mean: np.ndarray
    scale: np.ndarray

    def apply(self, values: Any) -> Any:
        """Normalize an array or a tensor of values, shape (..., 3), RGB, float."""
        return (values - self.mean) / self.scale

    def undo(self, values: Any) -> Any:
        """Return what was normalized."""
        return values * self.scale + self.mean


def _of(mean: tuple[float, float, float], scale: tuple[float, float, float]) -> Normalization:
    return Normalization(np.array(mean, np.float32), np.array(scale, np.float32))


_IMAGENET = Normalization(
    np.array([0.485, 0.456, 0.406], np.float32) * 255, np.array([0.229, 0.224, 0.225], np.float32) * 255
)
NORMALIZATIONS = {
    "imagenet": _IMAGENET,
    "symmetric": _of((127.5,) * 3, (127.5,) * 3),
    "mean": _of((123.68, 116.779, 103.939), (1.0,) * 3),
}
MEAN_RGB = _IMAGENET.mean  # the colour of what lies beyond a photo, whatever the normalization


def of(task: TaskConfig) -> Normalization:
    """Return how a task's network wants its photos."""
    return NORMALIZATIONS[task.normalization]
