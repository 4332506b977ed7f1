"""The feature pyramid of the Object Detection API's SSDs, which the weights of the TF2 Detection Zoo fit.

Its parts are those of the Model Garden's, in another order: a level is smoothed, normalized and activated before it
goes down to the next finer one; the coarsest of the backbone is only projected, and the levels beyond are made of it.

It is chosen by ``task.model.decoder.type = "ssd_fpn"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import tf_utils
from official.vision.ops.spatial_transform_ops import nearest_upsampling

from tfod_helpers.experiment.config import RetinaNet

_TOP = 5  # the coarsest level of a backbone


class SsdDecoder(tf_keras.Model):
    """A backbone's features -> those that the heads look at; what the Object Detection API's SSDs have in common."""

    def __init__(
        self,
        input_specs: Mapping[str, tf.TensorShape],
        model_config: RetinaNet,
        l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
    ) -> None:
        """Build it, as the Model Garden's factory of decoders asks for it.

        Args:
            input_specs: the shapes of the backbone's levels.
            model_config: the network's settings.
            l2_regularizer: of kernels.
        """
        self._settings, self._norm = model_config.decoder.get(), model_config.norm_activation
        self._regularizer = l2_regularizer
        self.num_filters, self.norm_epsilon = self._settings.num_filters, self._norm.norm_epsilon
        inputs = {level: tf_keras.Input(spec[1:]) for level, spec in input_specs.items()}
        levels = self._levels(inputs, model_config.min_level, model_config.max_level)
        super().__init__(inputs, {level: levels[level] for level in sorted(levels)})

    @property
    def output_specs(self) -> dict[str, tf.TensorShape]:
        """The shapes of the levels."""
        return {level: tensor.shape for level, tensor in self.output.items()}

    def _levels(self, inputs: Mapping[str, tf.Tensor], lowest: int, highest: int) -> dict[str, tf.Tensor]:
        raise NotImplementedError

    def _kernel(self, *names: str) -> dict[str, Any]:
        """Return the arguments of a convolution's kernels, all of them made and regularized alike."""
        kinds = names or ("kernel",)
        made = {f"{kind}_initializer": tf_keras.initializers.VarianceScaling() for kind in kinds}
        return made | {f"{kind}_regularizer": self._regularizer for kind in kinds}

    def _convolved(self, features: tf.Tensor, name: str, filters: int, side: int = 1, strides: int = 1) -> tf.Tensor:
        conv = tf_keras.layers.Conv2D(
            filters, side, strides, padding="same", use_bias=False, name=name, **self._kernel()
        )
        return self._normalized(conv(features), f"{name}_norm")

    def _normalized(self, features: tf.Tensor, name: str) -> tf.Tensor:
        norm = tf_keras.layers.BatchNormalization(
            momentum=self._norm.norm_momentum,
            epsilon=self._norm.norm_epsilon,
            synchronized=self._norm.use_sync_bn,
            name=name,
        )
        return tf_utils.get_activation(self._norm.activation, use_keras_layer=True)(norm(features))


class SsdFpn(SsdDecoder):
    """The feature pyramid, every level with the same number of channels.

    Layers are called ``expansion`` and ``expansion_norm``, ``lateral_3`` to ``lateral_5``, and ``smooth_3``,
    ``norm_3`` and so on for every level but 5, which only a lateral makes.
    """

    def _levels(self, inputs: Mapping[str, tf.Tensor], lowest: int, highest: int) -> dict[str, tf.Tensor]:
        top = min(highest, _TOP)
        coarsest = inputs[str(top)]
        if self._settings.expansion:
            coarsest = self._convolved(coarsest, "expansion", self._settings.expansion)
        down = self._lateral(coarsest, top)
        levels = {str(top): down}
        for level in range(top - 1, lowest - 1, -1):
            larger = nearest_upsampling(down, 2, use_keras_layer=self._settings.use_keras_layer)
            down = tf_keras.layers.Add(name=f"sum_{level}")([larger, self._lateral(inputs[str(level)], level)])
            down = levels[str(level)] = self._smooth(down, level)
        for level in range(top + 1, highest + 1):
            levels[str(level)] = self._smooth(levels[str(level - 1)], level, strides=2)
        return levels

    def _lateral(self, features: tf.Tensor, level: int) -> tf.Tensor:
        return tf_keras.layers.Conv2D(self._settings.num_filters, 1, name=f"lateral_{level}", **self._kernel())(
            features
        )

    def _smooth(self, features: tf.Tensor, level: int, strides: int = 1) -> tf.Tensor:
        separable = self._settings.use_separable_conv
        layer = tf_keras.layers.SeparableConv2D if separable else tf_keras.layers.Conv2D
        kernels = self._kernel("depthwise", "pointwise") if separable else self._kernel()
        conv = layer(
            self._settings.num_filters, 3, strides, padding="same", use_bias=False, name=f"smooth_{level}", **kernels
        )
        return self._normalized(conv(features), f"norm_{level}")
