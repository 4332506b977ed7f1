"""The network: what it finds is in the form promised, all that is trained learns, and it compiles as a TPU needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow
SIDE = 64


@pytest.fixture(scope="module")
def config(small) -> Any:  # type: ignore[no-untyped-def]
    """The small config with the presets' own backbone, MobileNetV2 of width 0.35."""
    from tfod_helpers import experiment

    return experiment.change(small.config, {"task.model.backbone.mobilenet.model_id": "MobileNetV2"})


@pytest.fixture(scope="module")
def built(config) -> Any:  # type: ignore[no-untyped-def]
    """The network with fresh weights; tests leave them as they are."""
    from tfod_helpers import model

    return model.build(config)


@pytest.fixture(scope="module")
def detect(built, config) -> Callable[[np.ndarray], dict[str, np.ndarray]]:  # type: ignore[no-untyped-def]
    """The function from squares to detections, traced once for batches of any size."""
    import tensorflow as tf

    from tfod_helpers import model

    traced = tf.function(
        model.detect_function(built, config), input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8)]
    )
    return lambda squares: {name: value.numpy() for name, value in traced(tf.constant(squares)).items()}


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """Five squares of noise."""
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


def test_detections_have_the_form_promised(detect, squares: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    """Boxes lie in the square with corners in order, scores fall and end in zeros, classes are ids from 1."""
    found = detect(squares)
    assert found.keys() == {"boxes_xyxy", "scores", "classes", "count"}
    most = found["scores"].shape[1]
    assert found["boxes_xyxy"].shape == (5, most, 4)
    assert found["classes"].shape == (5, most)
    assert [found[name].dtype for name in ("boxes_xyxy", "scores", "classes", "count")] == ["f4", "f4", "i4", "i4"]
    for boxes_xyxy, scores, classes, count in zip(
        *found.values() if False else (found[n] for n in ("boxes_xyxy", "scores", "classes", "count")), strict=True
    ):
        assert 0 < count <= most
        assert ((boxes_xyxy >= 0) & (boxes_xyxy <= SIDE)).all()
        assert (boxes_xyxy[:count, 2:] >= boxes_xyxy[:count, :2]).all()
        assert (np.diff(scores) <= 0).all()
        assert (scores[:count] > 0).all()
        assert (scores[count:] == 0).all()
        assert set(classes[:count]) <= {1, 2}


def test_a_photo_is_judged_alone(detect, squares: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    """The same square gives the same detections alone, in a batch, and beside other squares."""
    together = detect(squares)
    for number in (0, 4):
        alone = detect(squares[number : number + 1])
        assert alone["count"][0] == together["count"][number]
        top = slice(0, 20)  # further down scores are so close that their order may differ
        np.testing.assert_allclose(alone["scores"][0, top], together["scores"][number, top], atol=1e-5)
        np.testing.assert_allclose(alone["boxes_xyxy"][0, :1], together["boxes_xyxy"][number, :1], atol=0.05)


def test_the_order_of_coordinates_is_x_then_y(config, built, squares: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    """Boxes come as the anchors lie: with a box head that says nothing, one at the right edge is right, not below."""
    import tensorflow as tf

    from tfod_helpers import model

    class Stub:
        """Finds one box, given in the Model Garden's order."""

        def __call__(self, images: tf.Tensor, **_: Any) -> dict[str, tf.Tensor]:
            return {
                "detection_boxes": tf.constant([[[1.0, 40.0, 9.0, 60.0]]]),
                "detection_scores": tf.ones([1, 1]),
                "detection_classes": tf.ones([1, 1], tf.int32),
                "num_detections": tf.ones([1], tf.int32),
            }

    found = model.detect_function(Stub(), config)(squares[:1])
    assert found["boxes_xyxy"].numpy().tolist() == [[[40.0, 1.0, 60.0, 9.0]]]


def test_what_no_level_reads_is_not_trained(built, config) -> None:  # type: ignore[no-untyped-def]
    """MobileNetV2's last convolution, for classification alone, is not among the trained variables; the rest is."""
    untrained = {variable.name for variable in built.variables} - {
        variable.name for variable in built.trainable_variables
    }
    statistics = {name for name in untrained if "moving_" in name}
    last = [layer for layer in built.backbone.layers if layer.weights][-1]
    assert untrained - statistics == {variable.name for variable in last.weights if "moving_" not in variable.name}
    assert any("kernel" in name for name in untrained)


@pytest.fixture(scope="module")
def compiled_step(config, small) -> dict[str, Any]:  # type: ignore[no-untyped-def]
    """One training step of a network of its own, compiled by XLA: what it lost, and its variables before and after."""
    import tensorflow as tf

    from tfod_helpers import inputs, model

    task = model.DetectionTask(config.task)
    network = model.build(config)
    optimizer = task.create_optimizer(config.trainer.optimizer_config)
    optimizer.build(network.trainable_variables) if hasattr(optimizer, "build") else None
    batch = next(iter(inputs.train_batches(config.task)))
    before = {variable.name: variable.numpy() for variable in network.trainable_variables}
    logs = tf.function(lambda images: task.train_step(images, network, optimizer), jit_compile=True)(batch)
    after = {variable.name: variable.numpy() for variable in network.trainable_variables}
    return {"loss": float(logs["loss"]), "before": before, "after": after}


def test_the_train_step_compiles(compiled_step: dict[str, Any]) -> None:
    """XLA, which knows fixed shapes only, compiles the whole step, and its loss is a number."""
    assert 0 < compiled_step["loss"] < 20


def test_every_trained_variable_learns(compiled_step: dict[str, Any]) -> None:
    """After one step no trained variable is what it was: none is cut off from the loss."""
    before, after = compiled_step["before"], compiled_step["after"]
    assert len(before) > 150
    assert [name for name in before if np.array_equal(before[name], after[name])] == []


def test_freezing_keeps_early_layers(config) -> None:  # type: ignore[no-untyped-def]
    """Frozen up to stride 4, every backbone layer of stride 4 or less is out of training, and none behind it."""
    from tfod_helpers import model

    network = model.build(config)
    trained = {variable.name for variable in network.trainable_variables}
    model.freeze(network, 0)
    assert {variable.name for variable in network.trainable_variables} == trained
    model.freeze(network, 4)
    for layer in network.backbone.layers:
        if not layer.trainable_variables and not layer.non_trainable_variables:
            continue
        stride = SIDE // layer.output_shape[1] if not isinstance(layer.output_shape, list) else 0
        frozen = not layer.trainable
        last = layer is [one for one in network.backbone.layers if one.weights][-1]
        assert frozen == (stride <= 4 or last), layer.name


def test_evaluation_takes_no_batches(config) -> None:  # type: ignore[no-untyped-def]
    """Asked for evaluation batches, the task says what to call instead."""
    from tfod_helpers import model

    with pytest.raises(ValueError, match=r"Call training\.evaluate"):
        model.DetectionTask(config.task).build_inputs(config.task.validation_data)


def test_building_says_nothing(config, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A notebook that builds a network and traces it sees no warning and no note of any library."""
    from tfod_helpers import experiment

    path = experiment.save(config, tmp_path / "config.yaml")
    code = (
        "import sys; from tfod_helpers import experiment, model; config = experiment.load(sys.argv[1]); "
        "network = model.build(config); import tensorflow as tf; "
        "tf.function(model.detect_function(network, config))(tf.zeros([1, 64, 64, 3]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
