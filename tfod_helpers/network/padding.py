"""How a ResNet pads where it shrinks the image, which weights that others trained depend on.

Where the stride is 2, TensorFlow's ``same`` pads an even side by one more at its end than at its beginning; other
programs pad both alike. The numbers of a network differ by it everywhere, since all is moved by half a stride.

* ``same``: the Model Garden's way.
* ``stem``: the first convolution pads 3 on each side; as in the Object Detection API.
* ``symmetric``: the first pooling and the 3x3 convolutions pad 1 on each side besides; as in torchvision and KerasHub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
import tf_keras


def pad(backbone: tf_keras.Model, padding: str) -> None:
    """Let a ResNet of the Model Garden pad in another way than ``same``.

    Args:
        backbone: the ResNet, changed in place.
        padding: one of those above.
    """
    if padding == "same":
        return
    stem = next(layer for layer in backbone.layers if isinstance(layer, tf_keras.layers.Conv2D))
    stem.convolution_op = _convolution(stem)
    if padding == "symmetric":
        pool = next(layer for layer in backbone.layers if isinstance(layer, tf_keras.layers.MaxPool2D))
        pool.pool_function = _pool
        for convolution in _shrinking(backbone):
            convolution.convolution_op = _convolution(convolution)


def _shrinking(backbone: tf_keras.Model) -> Iterator[Any]:
    """Yield the blocks' 3x3 convolutions that have a stride of 2."""
    for block in backbone.layers:
        convolution = getattr(block, "_conv2", None)
        if convolution is not None and convolution.strides == (2, 2):
            yield convolution


def _convolution(layer: Any) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a convolution with stride that pads by half its kernel on each side."""
    (stride, _), (side, _) = layer.strides, layer.kernel_size

    def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(_padded(images, side // 2), kernel, stride, "VALID")

    return convolve


def _pool(images: tf.Tensor, **_: Any) -> tf.Tensor:
    # Zeros are never the highest of values that an activation has left at 0 or above.
    return tf.nn.max_pool2d(_padded(images, 1), 3, 2, "VALID")


def _padded(images: tf.Tensor, by: int) -> tf.Tensor:
    return tf.pad(images, [[0, 0], [by, by], [by, by], [0, 0]])
