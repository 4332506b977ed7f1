"""The feature maps of the Object Detection API's SSD without a pyramid, and its heads (Liu et al. 2016).

Two maps are a MobileNetV2's: what the first block of stride 32 expands its input to, and the last convolution. Each of
the others is made of the one before, and half as large. Every map has anchors of its own and a convolution for them.

It is chosen by ``task.model.decoder.type = "ssd_maps"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.vision.modeling.heads.dense_prediction_heads import RetinaNetHead

from tfod_helpers.network.ssd_fpn import SsdDecoder

_EXPANSION = 6  # of a MobileNetV2's blocks
_NARROWER = {6: 1, 7: 2, 8: 2, 9: 4}  # level -> what part of the first made map's channels it has


class SsdMaps(SsdDecoder):
    """The feature maps.

    Layers are called ``expansion_4`` and ``expansion``, ``narrow_6``, ``map_6`` and so on, batch norms the same with
    ``_norm`` behind. The backbone has the first two as well. Of the first the block in it makes its own features, which
    it shows to nobody; both start from the same weights.
    """

    def _levels(self, inputs: Mapping[str, tf.Tensor], lowest: int, highest: int) -> dict[str, tf.Tensor]:
        block, last = inputs["4"], inputs["5"]
        levels = {
            "4": self._convolved(block, "expansion_4", _EXPANSION * block.shape[-1]),
            "5": self._convolved(last, "expansion", self._settings.expansion),
        }
        for level in range(6, highest + 1):
            filters = self._settings.num_filters // _NARROWER[level]
            narrow = self._convolved(levels[str(level - 1)], f"narrow_{level}", filters // 2)
            levels[str(level)] = self._convolved(narrow, f"map_{level}", filters, side=3, strides=2)
        return levels


class SsdHead(RetinaNetHead):
    """The Model Garden's head with last convolutions of another side."""

    def __init__(self, kernel_size: int, **settings: Any) -> None:
        """Make it.

        Args:
            kernel_size: side of the last convolutions, in cells.
            settings: what the Model Garden's head takes.
        """
        super().__init__(**settings)
        self._config_dict["kernel_size"] = kernel_size
        for arguments in (self._classifier_kwargs, self._box_regressor_kwargs):
            arguments["kernel_size"] = kernel_size


def with_heads(model: tf_keras.Model, kernel_size: int, anchors: Mapping[str, int]) -> tf_keras.Model:
    """Return a RetinaNet with fresh heads for as many anchors as each of its levels has.

    Args:
        model: a RetinaNet whose heads share nothing among levels.
        kernel_size: side of their last convolutions, in cells.
        anchors: level -> how many there are at each place.
    """
    head = SsdHead(kernel_size, **{**model.head.get_config(), "num_anchors_per_location": dict(anchors)})
    head(model.decoder.output)  # makes its variables
    return type(model)(**{**model.get_config(), "head": head})
