"""An ExperimentConfig -> the network, and the graph from pixels to detections."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import tensorflow as tf
import tf_keras
from official.core import task_factory
from official.vision.tasks import retinanet

from tfod_helpers import inputs
from tfod_helpers.experiment import DataConfig, DetectionTaskConfig, ExperimentConfig

# Keras says so of each backbone level that the pyramid does not read; that is by design.
warnings.filterwarnings("ignore", message="Input dict contained keys")


@task_factory.register_task_cls(DetectionTaskConfig)
class DetectionTask(retinanet.RetinaNetTask):
    """The Model Garden's RetinaNet task, fed by `inputs.train_batches`."""

    def build_model(self) -> tf_keras.Model:
        """Return the network, without what has no part in it among what is trained."""
        model = super().build_model()
        if self.task_config.model.backbone.type == "mobilenet":
            # Its last convolution is for classification; no pyramid level reads it, so it has no gradient.
            [layer for layer in model.backbone.layers if layer.weights][-1].trainable = False
        return model

    def build_inputs(
        self, params: DataConfig, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Return training batches; evaluation reads its images itself."""
        if not params.is_training:
            raise ValueError("Evaluation takes whole photos, not batches. Call training.evaluate.")
        return inputs.train_batches(self.task_config, input_context)


def build(config: ExperimentConfig) -> tf_keras.Model:
    """Return the config's network with fresh weights, every variable made."""
    model = DetectionTask(config.task).build_model()
    model(tf.zeros([1, *config.task.model.input_size]), training=False)
    return model


def freeze(model: tf_keras.Model, stride: int) -> None:
    """Keep the backbone's layers up to a stride as they are; their batch norms keep their statistics too.

    Args:
        model: the network, changed in place.
        stride: in pixels, such as 4; 0 freezes nothing.
    """
    side = model.backbone.input_shape[1]
    for layer in model.backbone.layers:
        shape = layer.output_shape[0] if isinstance(layer.output_shape, list) else layer.output_shape
        if side / shape[1] > stride:
            break
        layer.trainable = False


def detect_function(model: tf_keras.Model, config: ExperimentConfig) -> Callable[[tf.Tensor], Mapping[str, tf.Tensor]]:
    """Return the function from letterboxed pixels to detections, to be traced or exported.

    The function takes uint8 or float32 images of shape (batch, side, side, 3), RGB, values 0 to 255,
    as `photos.letterbox` makes them, and returns

    * ``boxes_xyxy``: float32, (batch, n, 4), in pixels of the letterboxed image,
    * ``scores``: float32, (batch, n), falling, 0 where there is no detection,
    * ``classes``: int32, (batch, n), label map ids from 1,
    * ``count``: int32, (batch,), how many of the n are detections.
    """
    anchors = inputs.anchor_boxes(config.task)
    height, width = config.task.model.input_size[:2]

    def detect(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        batch = tf.shape(images)[0]
        found = model(
            inputs.normalize(images),
            anchor_boxes={level: tf.tile(boxes[None], [batch, 1, 1, 1]) for level, boxes in anchors.items()},
            image_shape=tf.tile(tf.constant([[height, width]], tf.float32), [batch, 1]),
            training=False,
        )
        return {
            "boxes_xyxy": tf.gather(found["detection_boxes"], [1, 0, 3, 2], axis=-1),
            "scores": found["detection_scores"],
            "classes": found["detection_classes"],
            "count": found["num_detections"],
        }

    return detect
