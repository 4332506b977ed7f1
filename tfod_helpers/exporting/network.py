"""A run's model -> the network that other programs run: a photo to encoded boxes and logits.

It computes what the trained network computes, in a form that converters and accelerators take:

* Boxes stay encoded and scores stay logits, as two outputs. A quantized tensor has one scale: boxes in pixels leave
  scores no precision, and decoding within the quantized part rounds again at every step.
* The background channel of the logits, which nothing reads, is dropped out of the weights.
* The pyramid is upsampled by resizing. The Model Garden tiles by reshaping to six dimensions, which GPUs, the Edge TPU
  and browsers do not take; and resizing without half-pixel centres, which gives the same pixels at whole factors, is
  the version of the operator that all of them know.
* Normalization is part of it: it takes RGB values from 0 to 255.
"""

from __future__ import annotations

import copy
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfod_helpers import training
from tfod_helpers.detector import Nms
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.exporting.folder import nms_of
from tfod_helpers.files.run_folder import Checkpoint, Run
from tfod_helpers.files.terminal import silent_stderr
from tfod_helpers.network import inputs, normalization
from tfod_helpers.network.model import build_model

BOXES, LOGITS = "boxes", "logits"


@dataclass(frozen=True, eq=False)
class ExportNetwork:
    """A one-stage detector, ready to be converted.

    Attributes:
        model: the network, without a background class.
        config: the run's settings.
        anchors_yxhw: float32, (anchors, 4), ``[ycenter, xcenter, height, width]`` in pixels of the input.
    """

    model: tf_keras.Model
    config: ExperimentConfig
    anchors_yxhw: np.ndarray

    @property
    def side(self) -> int:
        """Of the input, in pixels."""
        return int(self.config.task.model.input_size[0])

    @property
    def classes(self) -> int:
        """How many classes it tells apart, without background."""
        return len(self.config.task.class_names)

    @property
    def nms(self) -> Nms:
        """The run's settings of non-maximum suppression."""
        return nms_of(self.config)

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return encoded boxes and logits.

        Args:
            images: (n, side, side, 3), RGB, values 0 to 255, as `photos.letterbox` makes them.

        Returns:
            ``boxes``: float32, (n, anchors, 4), ``[dy, dx, dh, dw]``; ``logits``: float32, (n, anchors, classes).
        """
        normalized = normalization.of(self.config.task).apply(tf.cast(images, tf.float32))
        return self.joined(self.model.backbone(normalized, training=False))

    def joined(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return what the network makes of its backbone's features, as a call does."""
        if self.model.decoder:  # a SpineNet is backbone and pyramid in one
            features = self.model.decoder(features, training=False)
        logits, encoded, _ = self.model.head(features)
        return {BOXES: _joined(encoded, 4), LOGITS: _joined(logits, self.classes)}

    def frozen(self, batch: int | None = 1) -> Any:
        """Return the network as a TensorFlow function whose weights are constants.

        Args:
            batch: photos a call; None leaves it open.

        Returns:
            A concrete function from ``images``, float32, (batch, side, side, 3), to what a call returns.
        """
        images = tf.TensorSpec([batch, self.side, self.side, 3], tf.float32, name="images")
        traced = tf.function(self.__call__, input_signature=[images], autograph=False).get_concrete_function()
        return _without_half_pixels(freeze(traced), traced)


def of_run(run: Run, checkpoint: Checkpoint, target: str) -> ExportNetwork:
    """Return a run's network for exporting.

    Args:
        run: the run.
        checkpoint: which of its models.
        target: what it is exported to, for messages.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step, or it is an R-CNN, which has a second stage.
    """
    trained, config = training.load_model(run, checkpoint)
    if config.task.is_rcnn:
        kind = "Mask R-CNN" if config.task.model.include_mask else "Faster R-CNN"
        raise ValueError(
            f"{run}: {config.task.preset} is a {kind}, whose second stage crops a changing number of regions, and "
            f"{target} holds no such network. Export it by exporting.saved_model for a server, or train a RetinaNet "
            f"preset such as 'mobilenet_v2_256' for phones, browsers and the edge."
        )
    return of_model(trained, config)


def of_model(trained: tf_keras.Model, config: ExperimentConfig) -> ExportNetwork:
    """Return a trained RetinaNet's network for exporting; it has weights of its own."""
    changed = copy.deepcopy(config)
    model = changed.task.model
    model.num_classes = len(config.task.class_names)
    for part, name in ((model.decoder.get(), "use_keras_layer"), (model.backbone.get(), "use_keras_upsampling_2d")):
        if hasattr(part, name):
            setattr(part, name, True)
    network = build_model(changed)
    for weight, values in zip(_as_made(network), _as_made(trained), strict=True):
        weight.assign(_without_background(values.numpy(), weight.shape))
    return ExportNetwork(network, config, _anchors(config))


def freeze(concrete: Any) -> Any:
    """Return a concrete function with its variables as constants, and let nothing reach the terminal meanwhile."""
    with silent_stderr():
        return convert_variables_to_constants_v2(concrete)


def save(call: tf.types.experimental.PolymorphicFunction, folder: str | os.PathLike[str]) -> None:
    """Write a function that holds no variables as a SavedModel with one signature, ``serving_default``."""
    module = tf.Module()
    module.call = call
    # Nothing is trained from here, and the gradient that swish brings along cannot be written.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, os.fspath(folder), signatures=module.call, options=options)


def _joined(levels: dict[str, tf.Tensor], values: int) -> tf.Tensor:
    """Return what the levels say of each anchor, the finest level first: (n, anchors, values)."""
    flat = []
    for key in sorted(levels, key=int):
        batch, *place = levels[key].shape
        flat.append(tf.reshape(levels[key], [batch or -1, math.prod(place) // values, values]))
    return tf.concat(flat, axis=1)


def _as_made(model: tf_keras.Model) -> list[tf.Variable]:
    """Return a model's weights in the order in which they were made.

    Keras lists them by the depth of their layers, and a SpineNet that is upsampled by fewer layers has others there.
    """
    return sorted(model.weights, key=lambda weight: int(weight._unique_id.rpartition("_")[2]))


def _without_background(values: np.ndarray, shape: tf.TensorShape) -> np.ndarray:
    """Return weights without the first of the classes that each anchor has, where the network has no such channel."""
    if values.shape == tuple(shape):
        return values
    anchors = values.shape[-1] - shape[-1]  # which have a channel less each
    kept = values.reshape(*values.shape[:-1], anchors, -1)[..., 1:]
    return kept.reshape(*values.shape[:-1], -1)


def _anchors(config: ExperimentConfig) -> np.ndarray:
    levels = inputs.anchor_boxes(config.task)
    boxes_yxyx = np.concatenate([levels[key].numpy().reshape(-1, 4) for key in sorted(levels, key=int)])
    low, high = boxes_yxyx[:, :2], boxes_yxyx[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)


def _without_half_pixels(frozen: Any, traced: Any) -> Any:
    """Return a frozen function whose nearest-neighbour resizing has no half-pixel centres."""
    graph = frozen.graph.as_graph_def()
    for node in graph.node:
        if node.op == "ResizeNearestNeighbor":
            node.attr["half_pixel_centers"].b = False
    [image] = [tensor for tensor in frozen.inputs if tensor.dtype != tf.resource]
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    names = sorted(traced.structured_outputs)  # as TensorFlow flattens a dict
    outputs = {
        name: wrapped.graph.get_tensor_by_name(out.name) for name, out in zip(names, frozen.outputs, strict=True)
    }
    return wrapped.prune(wrapped.graph.get_tensor_by_name(image.name), outputs)
