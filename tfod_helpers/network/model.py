"""An ExperimentConfig -> the network, and the graph from pixels to detections."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import task_factory
from official.vision.modeling import factory
from official.vision.modeling.decoders import factory as decoders
from official.vision.modeling.layers import detection_generator
from official.vision.tasks import maskrcnn, retinanet

from tfod_helpers.experiment.config import DetectionTaskConfig, ExperimentConfig, RCNNTaskConfig, TaskConfig
from tfod_helpers.network import inputs, normalization, padding, ssd_fpn, ssd_maps
from tfod_helpers.presets.models import SSD_FPN, SSD_MAPS

# What several devices share is a class beside the plain one, not below it.
_NORMS = (tf_keras.layers.BatchNormalization, tf_keras.layers.experimental.SyncBatchNormalization)
# Keras says so of each backbone level that the pyramid does not read; that is by design.
warnings.filterwarnings("ignore", message="Input dict contained keys")
decoders.register_decoder_builder(SSD_FPN)(ssd_fpn.SsdFpn)
decoders.register_decoder_builder(SSD_MAPS)(ssd_maps.SsdMaps)


@task_factory.register_task_cls(DetectionTaskConfig)
class DetectionTask(retinanet.RetinaNetTask):
    """The Model Garden's RetinaNet task, fed by `inputs.train_batches`."""

    def build_model(self) -> tf_keras.Model:
        """Return the network, every variable made."""
        model, task = super().build_model(), self.task_config
        if not model.decoder:  # the Model Garden makes the variables of the head along with the decoder's
            model(tf_keras.Input(task.model.input_size), training=True)
        if task.model.decoder.type == SSD_MAPS:
            anchors = {level: boxes.shape[-1] // 4 for level, boxes in inputs.anchor_boxes(task).items()}
            model = ssd_maps.with_heads(model, task.model.head.kernel_size, anchors)
        return _adapt(model, task)

    def build_inputs(self, params: Any, input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        """Return training batches."""
        return inputs.train_batches(self.task_config, input_context)

    def build_losses(self, outputs: Any, labels: Any, aux_losses: Any = None) -> tuple[tf.Tensor, ...]:
        """Return total, class, box and model loss, as one device would of the whole batch.

        The Model Garden divides by the anchors on objects in a replica's part of the batch, so that an object in a part
        with few of them would count more; its own R-CNN losses divide by those of the whole batch, as it is done here.
        """
        losses = super().build_losses(outputs, labels, aux_losses)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return losses
        part = tf.reduce_sum(labels["box_weights"])
        whole = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, part)
        total, *others = losses
        *others, model_loss = (loss * (part + 1) * replicas / (whole + 1) for loss in others)
        weight = self.task_config.losses.loss_weight
        return (total + weight * (model_loss - losses[-1]), *others, model_loss)


@task_factory.register_task_cls(RCNNTaskConfig)
class RCNNTask(maskrcnn.MaskRCNNTask):
    """The Model Garden's Faster and Mask R-CNN task, fed by `inputs.train_batches`; also for bfloat16 and float16."""

    def build_model(self) -> tf_keras.Model:
        """Return the network, every variable made."""
        task = self.task_config
        decay = task.losses.l2_weight_decay / 2  # as tf.nn.l2_loss counts it
        model = factory.build_maskrcnn(
            tf_keras.layers.InputSpec(shape=[None, *task.model.input_size]),
            task.model,
            l2_regularizer=tf_keras.regularizers.l2(decay) if decay else None,
        )
        if task.freeze_backbone:
            model.backbone.trainable = False
        model.detection_generator = _WholeDetections(**model.detection_generator.get_config())
        model(tf_keras.Input(task.model.input_size), image_shape=tf_keras.layers.Input([2]), training=False)
        return _adapt(model, task)

    def build_inputs(self, params: Any, input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        """Return training batches."""
        return inputs.train_batches(self.task_config, input_context)


class _WholeDetections(detection_generator.DetectionGenerator):
    """The Model Garden's detections, computed in float32: the fast NMS knows no other numbers."""

    def __call__(self, raw_boxes: tf.Tensor, raw_scores: tf.Tensor, *args: Any, **named: Any) -> Any:
        return super().__call__(tf.cast(raw_boxes, tf.float32), tf.cast(raw_scores, tf.float32), *args, **named)


def _adapt(model: tf_keras.Model, task: TaskConfig) -> tf_keras.Model:
    """Take what has no part in the network out of what is trained; give a ResNet its strides and its padding."""
    if task.model.backbone.type == "mobilenet":
        # The last convolution of most is for classification; no pyramid level reads it, so it has no gradient.
        levels = [model.backbone.output[level] for level in model.backbone.output_specs]
        read = {id(layer) for layer in tf_keras.Model(model.backbone.input, levels).layers}
        for layer in model.backbone.layers:
            layer.trainable = id(layer) in read
    if task.strides_first:
        for block in model.backbone.layers:
            if getattr(block, "_strides", 1) == 2 and hasattr(block, "_conv3"):
                block._conv1.strides, block._conv2.strides = (2, 2), (1, 1)
    padding.pad(model.backbone, task.padding)
    return model


Task = DetectionTask | RCNNTask


def task_of(config: ExperimentConfig) -> Task:
    """Return the Model Garden's task of a config: its network, its losses and its inputs.

    Made outside of a strategy of several replicas, its batch norms have nothing to synchronize; the plain ones have the
    same variables, and their train step is traced in a third of the time.
    """
    task = config.task
    if task.model.norm_activation.use_sync_bn and tf.distribute.get_strategy().num_replicas_in_sync == 1:
        task = copy.deepcopy(task)
        task.model.norm_activation.use_sync_bn = False
    return (RCNNTask if task.is_rcnn else DetectionTask)(task)


def build_model(config: ExperimentConfig) -> tf_keras.Model:
    """Return the config's network with fresh weights, every variable made."""
    return task_of(config).build_model()


def freeze(model: tf_keras.Model, stride: int, *, norms: bool = False) -> None:
    """Keep the backbone's layers up to a stride as they are; their batch norms keep their statistics too.

    Args:
        model: the network, changed in place.
        stride: in pixels, such as 4; 0 freezes nothing.
        norms: whether all batch norms stay as they are, as weights want it that were trained without them.
    """
    for layer in model.submodules if norms else ():
        if isinstance(layer, _NORMS):
            layer.trainable = False  # in training too it works with the statistics that it has
    side = model.backbone.input_shape[1]
    for layer in model.backbone.layers:
        shape = layer.output_shape[0] if isinstance(layer.output_shape, list) else layer.output_shape
        if side / shape[1] > stride:
            break
        layer.trainable = False


def detect_function(model: tf_keras.Model, config: ExperimentConfig) -> Callable[[tf.Tensor], Mapping[str, tf.Tensor]]:
    """Return the function from the input's pixels to detections, to be traced or exported.

    The function takes uint8 or float32 images of shape (batch, side, side, 3), RGB, values 0 to 255,
    as `photos.letterbox` makes them, and returns

    * ``boxes_xyxy``: float32, (batch, n, 4), in pixels of the input,
    * ``scores``: float32, (batch, n), falling, 0 where there is no detection,
    * ``classes``: int32, (batch, n), label map ids from 1,
    * ``count``: int32, (batch,), how many of the n are detections,
    * of a Mask R-CNN ``masks``: float32, (batch, n, m, m), how sure each pixel within the box is, 0 to 1.
    """
    anchors, normalize = inputs.anchor_boxes(config.task), normalization.of(config.task).apply
    size = tf.constant([config.task.model.input_size[:2]], tf.float32)

    def detect(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        batch = tf.shape(images)[0]
        found = model(
            normalize(tf.cast(images, tf.float32)),
            anchor_boxes={level: tf.tile(boxes[None], [batch, 1, 1, 1]) for level, boxes in anchors.items()},
            # A RetinaNet's boxes are compared with each other whole, as LiteRT's operator and the Object Detection API
            # do it, and clipped to the input then; an R-CNN crops what is within them, so they are clipped before.
            image_shape=tf.tile(size, [batch, 1]) if config.task.is_rcnn else None,
            training=False,
        )
        boxes_yxyx = tf.clip_by_value(found["detection_boxes"], 0.0, tf.tile(size, [1, 2]))
        masks = {"masks": tf.cast(found["detection_masks"], tf.float32)} if "detection_masks" in found else {}
        return masks | {
            "boxes_xyxy": tf.gather(boxes_yxyx, [1, 0, 3, 2], axis=-1),
            "scores": found["detection_scores"],
            "classes": found["detection_classes"],
            "count": found["num_detections"],
        }

    return detect
