"""The network: its detections are in the label map's terms, and only what has a part in them is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_training import SYNC, Small

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def network(small: Small) -> Any:
    """A fresh network of the small config."""
    from tfod_helpers.network.model import build_model

    return build_model(small.config)


def test_detections_are_in_the_squares_pixels_and_the_label_maps_ids(small: Small, network: Any) -> None:
    """Boxes lie in the square, classes are ids from 1, scores fall, and any number of images goes through one trace."""
    import tensorflow as tf

    from tfod_helpers.network.model import detect_function

    spec = tf.TensorSpec([None, 64, 64, 3], tf.uint8)
    detect = tf.function(detect_function(network, small.config), input_signature=[spec])
    for batch in (1, 3):
        found = detect(np.random.default_rng(0).integers(0, 256, (batch, 64, 64, 3), np.uint8))
        count = found["count"].numpy()
        assert count.min() > 0
        for number in range(batch):
            boxes_xyxy = found["boxes_xyxy"][number, : count[number]].numpy()
            scores = found["scores"][number, : count[number]].numpy()
            assert boxes_xyxy.min() >= 0
            assert boxes_xyxy.max() <= 64
            assert (boxes_xyxy[:, 2:] >= boxes_xyxy[:, :2]).all()
            assert set(found["classes"][number, : count[number]].numpy()) <= {1, 2}
            assert (np.diff(scores) <= 0).all()
    assert detect.experimental_get_tracing_count() == 1


def test_every_trained_variable_has_a_gradient(small: Small, network: Any) -> None:
    """Nothing is trained that the loss does not depend on, so no warning about it buries the progress bar."""
    import tensorflow as tf

    from tfod_helpers.network import inputs
    from tfod_helpers.network.model import DetectionTask

    task = DetectionTask(small.config.task)
    images, labels = next(iter(inputs.train_batches(small.config.task)))
    with tf.GradientTape() as tape:
        loss, *_ = task.build_losses(network(images, training=True), labels)
    gradients = tape.gradient(loss, network.trainable_variables)
    assert len(gradients) > 100
    assert not [v.name for v, g in zip(network.trainable_variables, gradients, strict=True) if g is None]


def test_freezing_keeps_the_layers_up_to_a_stride(small: Small) -> None:
    """A train step changes the layers beyond the stride only; frozen batch norms keep their statistics too."""
    import tf_keras

    from tfod_helpers.network import inputs
    from tfod_helpers.network.model import DetectionTask, build_model, freeze

    network = build_model(small.config)
    freeze(network, 4)
    frozen = [layer for layer in network.backbone.layers if not layer.trainable and layer.weights]
    strides = {64 // layer.output_shape[1] for layer in frozen[:-1] if not isinstance(layer.output_shape, list)}
    assert max(strides) == 4
    before = {v.ref(): v.numpy() for v in network.variables}
    kept = {v.ref() for layer in frozen for v in layer.weights}
    task = DetectionTask(small.config.task)
    task.train_step(next(iter(inputs.train_batches(small.config.task))), network, tf_keras.optimizers.legacy.SGD(0.1))
    changed = {v.ref() for v in network.variables if not np.array_equal(before[v.ref()], v.numpy())}
    assert not changed & kept
    assert len(changed) > 50


@pytest.mark.parametrize("shared", [False, True])
def test_frozen_batch_norms_keep_their_statistics(small: Small, shared: bool) -> None:
    """Frozen, all batch norms compute in training as they do in detecting, those that several devices share too."""
    from tfod_helpers import experiment
    from tfod_helpers.network.model import DetectionTask, freeze

    network = DetectionTask(experiment.change(small.config, {SYNC: shared}).task).build_model()
    freeze(network, 0, norms=True)
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    before = {weight.ref(): weight.numpy() for weight in network.weights if "moving_" in weight.name}
    network(images, training=True)
    assert len(before) > 70
    assert not [key.deref().name for key, values in before.items() if not np.array_equal(key.deref().numpy(), values)]
    assert not [weight.name for weight in network.trainable_weights if "norm" in weight.name]


def test_freezing_nothing_changes_nothing(small: Small) -> None:
    """A stride of 0 leaves every layer as it is."""
    from tfod_helpers.network.model import build_model, freeze

    network = build_model(small.config)
    before = len(network.trainable_variables)
    freeze(network, 0)
    assert len(network.trainable_variables) == before


def test_the_train_step_compiles_for_xla(small: Small) -> None:
    """The whole train step compiles with static shapes, which is what a TPU would ask of it, and its loss is finite."""
    import tensorflow as tf
    import tf_keras

    from tfod_helpers.network import inputs
    from tfod_helpers.network.model import DetectionTask, build_model

    task, network = DetectionTask(small.config.task), build_model(small.config)
    optimizer = tf_keras.optimizers.legacy.Adam(1e-3)
    batch = next(iter(inputs.train_batches(small.config.task)))
    step = tf.function(lambda batch: task.train_step(batch, network, optimizer)["loss"], jit_compile=True)
    assert np.isfinite(step(batch).numpy())
