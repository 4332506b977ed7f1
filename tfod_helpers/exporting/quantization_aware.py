"""A network for exporting -> the same network, trained for a while with its numbers rounded as int8 rounds them.

Calibration measures which values occur in a trained network and rounds to 8 bits; mostly that costs next to nothing.
Where it costs more, training goes on for some steps with fake quantization (Jacob et al. 2018), by
tensorflow-model-optimization and the Model Garden's `official.projects.qat`, and the weights learn to live with the
rounding. `improve` does that, compares both files on the validation photos and keeps the better one.

The Model Garden's own way, `official.projects.qat.vision.modeling.factory`, starts from a pyramid of random weights
and from ranges of -6 to 6. Here

* a separable convolution of the pyramid becomes a depthwise and a 1x1 convolution before it is wrapped: wrapped whole,
  it is replaced by two that do not get its weights;
* a batch norm of the pyramid that cannot be folded into a convolution, as others read that too, becomes a 1x1 depthwise
  convolution of its scale and shift, and so does the normalization of the photo: TensorFlow Lite has these in int8;
* ranges are measured before the first step, and the statistics of batch norms stay as they are.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from official.projects.qat.vision.modeling.heads.dense_prediction_heads import RetinaNetHeadQuantized
from official.projects.qat.vision.quantization import configs, helper, schemes
from official.vision.modeling.retinanet_model import RetinaNetModel
from tensorflow_model_optimization.python.core.quantization.keras import quant_ops
from tqdm import tqdm

from tfod_helpers import evaluation, experiment, records
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import ANCHORS, Detector, ExportFacts
from tfod_helpers.detector.loading import load_model
from tfod_helpers.detector.tflite_file import MODEL
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.exporting.network import ExportNetwork
from tfod_helpers.network import normalization
from tfod_helpers.network.model import Task, task_of
from tfod_helpers.training import schedule
from tfod_helpers.training.claiming import find_records

STEPS = 150
_NORMALIZATION = "normalization"  # the layer's name
_RATE = 0.03  # of the run's highest learning rate: the network is trained already
_SAME = 0.01  # of the span of a network's results
_BATCHES = 8  # that the ranges are measured with
_INSTEAD = (
    "Export it with quantize='calibrated', which takes any network, or train a preset such as 'mobilenet_v2_256'."
)
_REFUSED = (ValueError, RuntimeError, NotImplementedError, TypeError, AttributeError, KeyError)  # by tfmot


class AwareNetwork(ExportNetwork):
    """A network for exporting that rounds its numbers as int8 does; its backbone takes values from 0 to 255."""

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return encoded boxes and logits, as `ExportNetwork` does."""
        return self.joined(self.model.backbone(images, training=False))


def wrap(made: ExportNetwork) -> AwareNetwork:
    """Return a copy of a network with fake quantization, of the same weights; its ranges are to be measured yet.

    Raises:
        ValueError: tensorflow-model-optimization does not know the network's layers.
    """
    model = made.model
    if not model.decoder:
        raise ValueError(
            f"{made.config.task.preset}: a SpineNet is backbone and pyramid in one, which cannot be trained with fake "
            f"quantization. {_INSTEAD}"
        )
    try:
        backbone = _quantized(model.backbone)
        decoder = _quantized(_split(model.decoder))
        head = RetinaNetHeadQuantized.from_config(model.head.get_config())
        normalized = _with_normalization(backbone, made.side, normalization.of(made.config.task))
        whole = RetinaNetModel(normalized, decoder, head, model.detection_generator)
        # It makes the head's variables; in training, it would move the statistics of batch norms.
        head(decoder(whole.backbone(tf.zeros([1, made.side, made.side, 3]), training=False), training=False))
        helper.copy_original_weights(model.head, head)
    except _REFUSED as error:
        raise ValueError(
            f"{made.config.task.preset}: training with fake quantization does not know this network "
            f"({_first_line(error)}). {_INSTEAD}"
        ) from error
    for layer in whole.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.trainable = False
    aware = AwareNetwork(whole, made.config, made.anchors_yxhw)
    if _differs(aware, made):  # of a MobileNetV3, for one
        raise ValueError(f"{made.config.task.preset}: wrapped, this network computes something else. {_INSTEAD}")
    return aware


def _differs(aware: AwareNetwork, made: ExportNetwork) -> bool:
    """Return whether a wrapped network computes something else than the trained one, rounding left aside."""
    images = np.random.default_rng(0).integers(0, 256, (1, made.side, made.side, 3)).astype(np.float32)
    with mock.patch.object(quant_ops, "_FakeQuantWithMinMaxVars", lambda values, *_, **__: values):
        exact = aware(images)
    return any(np.abs(exact[name] - values).max() > _SAME * np.ptp(values) for name, values in made(images).items())


def train(made: ExportNetwork, *, steps: int = STEPS) -> AwareNetwork:
    """Train a network for a while with fake quantization, on the run's training records, with a progress bar.

    Args:
        made: the trained network, which stays as it is.
        steps: how many; the learning rate falls from a small part of the run's to zero.

    Raises:
        FileNotFoundError: the training records are not there any more.
        ValueError: the network cannot be wrapped.
    """
    find_records(made.config, "train")
    config = copy.deepcopy(made.config)
    config.task.model.num_classes = made.classes
    task = task_of(config)
    pixels = normalization.of(config.task).undo
    batches = task.build_inputs(config.task.train_data).map(
        lambda images, labels: (pixels(images), _without_background(labels)), tf.data.AUTOTUNE
    )
    aware = wrap(made)
    measure(aware, batches)
    highest = made.config.trainer.optimizer_config.learning_rate.get().initial_learning_rate
    rate = schedule.WarmupCosine(highest * _RATE, max(1, steps // 10), steps)
    optimizer = schedule.optimizer(config, rate, "float32")
    step = tf.function(lambda images, labels: _step(task, aware.model, optimizer, images, labels), autograph=False)
    with tqdm(total=steps, unit="step", desc="quantization-aware training") as bar:
        for batch in batches.take(steps):
            bar.set_postfix(loss=f"{float(step(*batch)):.3f}", refresh=False)
            bar.update()
    return aware


def _step(task: Task, model: tf_keras.Model, optimizer: Any, images: tf.Tensor, labels: dict[str, Any]) -> tf.Tensor:
    """Change a model's weights a little, but for the normalization of photos, and return the loss."""
    with tf.GradientTape() as tape:
        loss, *_ = task.build_losses(model(images, training=True), labels, aux_losses=model.losses)
    # A wrapped layer's weights count as trainable whatever the layer says.
    weights = [weight for weight in model.trainable_variables if f"quant_{_NORMALIZATION}/" not in weight.name]
    pairs = zip(tape.gradient(loss, weights), weights, strict=True)
    optimizer.apply_gradients([(gradient, weight) for gradient, weight in pairs if gradient is not None])
    return loss


def measure(aware: AwareNetwork, batches: tf.data.Dataset) -> None:
    """Set every range of a network to the least and the greatest value that occur in a few batches."""
    for variable in aware.model.variables:
        if variable.name.partition(":")[0].endswith(("_min", "_max")):
            variable.assign(tf.zeros_like(variable))
    with _all_values():
        for images, _ in batches.take(_BATCHES):
            aware.model(images, training=True)


def improve(
    made: ExportNetwork,
    calibrated: bytes,
    convert: Callable[[ExportNetwork], bytes],
    *,
    decoded: bool,
    steps: int = STEPS,
) -> bytes:
    """Train a network with fake quantization, and return the better of two files: its own, or the one of calibration.

    Args:
        made: the trained network.
        calibrated: the .tflite file that calibration made of it.
        convert: makes such a file of a network.
        decoded: whether the files hold the post-processing of detections.
        steps: of the training.

    Raises:
        FileNotFoundError: the run's records are not there any more.
        ValueError: the network cannot be wrapped.
    """
    found = find_records(made.config, "validation")
    photos = Dataset(tuple(records.read(found)), found.label_map)
    aware = convert(train(made, steps=steps))
    before, after = (_evaluated(content, made, photos, decoded) for content in (calibrated, aware))
    kept = "aware" if after.ap > before.ap else "calibrated"
    print(
        f"calibration alone: AP {before.ap:.3f}; aware: {after.ap:.3f}; the {kept} one is kept. The aware one's "
        f"difference: {evaluation.difference(after, before)}."
    )
    return aware if kept == "aware" else calibrated


def _evaluated(content: bytes, made: ExportNetwork, photos: Dataset, decoded: bool) -> Evaluation:
    """Evaluate a .tflite file, run as it will be run."""
    label_map = experiment.label_map(made.config)
    facts = ExportFacts("tflite", made.side, made.classes, 0.0, made.config.task.preset, 0, 0.0, 0.0)
    facts = replace(facts, decoded=decoded, nms=made.nms)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / MODEL).write_bytes(content)
        np.save(folder / ANCHORS, made.anchors_yxhw, allow_pickle=False)
        detector = Detector(load_model(folder, facts), label_map, made.side, 0.0, resize=made.config.task.resize)
        return evaluation.evaluate(detector, photos, resamples=0)


def _quantized(part: tf_keras.Model) -> tf_keras.Model:
    """Return a functional model with fake quantization of what it takes and of all layers."""
    with tfmot.quantization.keras.quantize_scope({"L2": tf_keras.regularizers.l2}):
        annotated = tfmot.quantization.keras.quantize_annotate_model(part)
        return tfmot.quantization.keras.quantize_apply(annotated, scheme=schemes.Default8BitQuantizeScheme())


def _with_normalization(backbone: tf_keras.Model, side: int, of: normalization.Normalization) -> tf_keras.Model:
    """Return a backbone that takes values from 0 to 255."""
    images = tf_keras.Input([side, side, 3])
    pixels = tf.quantization.fake_quant_with_min_max_args(images, 0.0, 255.0)
    layer = tfmot.quantization.keras.QuantizeWrapperV2(
        tf_keras.layers.DepthwiseConv2D(
            1,
            depthwise_initializer=tf.constant_initializer(1 / of.scale),
            bias_initializer=tf.constant_initializer(-of.mean / of.scale),
            name=_NORMALIZATION,
        ),
        configs.Default8BitConvQuantizeConfig(["depthwise_kernel"], [], False),
    )
    return tf_keras.Model(images, backbone(layer(pixels)))


def _split(decoder: tf_keras.Model) -> tf_keras.Model:
    """Return a pyramid of the same weights without separable convolutions, and without batch norms that stay alone."""
    layers = [layer for layer in decoder.layers if not isinstance(layer, tf_keras.layers.InputLayer)]
    readers = Counter(id(tensor) for layer in layers for tensor in tf.nest.flatten(layer.input))
    new = {id(tensor): tf_keras.Input(tensor.shape[1:], name=f"level_{key}") for key, tensor in decoder.input.items()}
    for layer in layers:
        taken = tf.nest.map_structure(lambda tensor: new[id(tensor)], layer.input)
        if isinstance(layer, tf_keras.layers.SeparableConv2D):
            new[id(layer.output)] = _as_two(layer, taken)
        elif isinstance(layer, tf_keras.layers.BatchNormalization) and readers[id(layer.input)] > 1:
            new[id(layer.output)] = _as_convolution(layer, taken)
        else:
            other = type(layer).from_config(layer.get_config())
            new[id(layer.output)] = other(taken)
            other.set_weights(layer.get_weights())
    ends = ({key: new[id(tensor)] for key, tensor in end.items()} for end in (decoder.input, decoder.output))
    return tf_keras.Model(*ends)


def _as_two(layer: tf_keras.layers.SeparableConv2D, taken: tf.Tensor) -> tf.Tensor:
    depthwise = tf_keras.layers.DepthwiseConv2D(
        layer.kernel_size, layer.strides, layer.padding, use_bias=False, name=f"{layer.name}_depthwise"
    )
    pointwise = tf_keras.layers.Conv2D(layer.filters, 1, use_bias=layer.use_bias, name=f"{layer.name}_pointwise")
    made = pointwise(depthwise(taken))
    depthwise_kernel, *others = layer.get_weights()
    depthwise.set_weights([depthwise_kernel])
    pointwise.set_weights(others)
    return made


def _as_convolution(layer: tf_keras.layers.BatchNormalization, taken: tf.Tensor) -> tf.Tensor:
    convolution = tf_keras.layers.DepthwiseConv2D(1, name=f"{layer.name}_depthwise")
    made = convolution(taken)
    gamma, beta, mean, variance = layer.get_weights()
    scale = gamma / np.sqrt(variance + layer.epsilon)
    convolution.set_weights([scale.reshape(1, 1, -1, 1), beta - mean * scale])
    return made


def _without_background(labels: dict[str, Any]) -> dict[str, Any]:
    """Return a training batch's labels for a network without a background class.

    Classes count from 0 then, and the background, -1, is none of them: its one-hot vector is all zeros.
    """
    classes = tf.nest.map_structure(lambda level: level - 1, labels["cls_targets"])
    return labels | {"cls_targets": classes}


@contextlib.contextmanager
def _all_values() -> Iterator[None]:
    """Let ranges widen to whatever occurs: tfmot follows it with a decay of .999, from -6 and 6."""

    def widen(*args: Any, ema_decay: float, per_channel: bool, **named: Any) -> tf.Tensor:
        return quant_ops.AllValuesQuantize(*args, **named)

    with mock.patch.object(quant_ops, "MovingAvgQuantize", widen):
        yield


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
