"""Training with fake quantization: all weights are there, ranges are measured, and the better of two files is kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest
import supervision as sv
from small_training import Small

if TYPE_CHECKING:
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.evaluation import Evaluation
    from tfod_helpers.exporting.network import ExportNetwork
    from tfod_helpers.exporting.quantization_aware import AwareNetwork

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def made(small: Small) -> ExportNetwork:
    """A MobileNetV2 of four blocks with random weights, which is wrapped in a quarter of the time."""
    from official.vision.modeling.backbones import mobilenet

    from tfod_helpers import experiment
    from tfod_helpers.exporting import network
    from tfod_helpers.network.model import build_model

    blocks = [("invertedbottleneck", 3, 2, filters, 6.0, True) for filters in (24, 32, 96, 320)]
    alone, last = ("convbn", 3, 2, 32, None, False), ("convbn", 1, 1, 1280, None, False)
    short = mobilenet.MNV2_BLOCK_SPECS | {"block_specs": [alone, *blocks, last]}
    config = experiment.change(small.config, {"task.model.backbone.mobilenet.model_id": "MobileNetV2"})
    with mock.patch.dict(mobilenet.SUPPORTED_SPECS_MAP, {"MobileNetV2": short}):
        made = network.of_model(build_model(config), config)
    random = np.random.default_rng(0)
    for weight in made.model.weights:  # fresh ones are zero or one where it would not show that they are missing
        changed = weight.numpy() + random.normal(0.0, 0.1, weight.shape)
        weight.assign(0.1 * np.abs(changed) if "variance" in weight.name else changed)
    return made


@pytest.fixture(scope="module")
def aware(made: ExportNetwork) -> AwareNetwork:
    """The same network with fake quantization, which the tests share, as it takes seconds to make."""
    from tfod_helpers.exporting import quantization_aware

    return quantization_aware.wrap(made)


def test_the_wrapped_network_computes_what_the_trained_one_does(made: ExportNetwork, aware: AwareNetwork) -> None:
    """Without rounding, boxes and logits are equal, so no weight is lost; with measured ranges they are close."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

    from tfod_helpers.exporting import quantization_aware

    images = np.stack([np.full((64, 64, 3), 40), np.random.default_rng(0).integers(0, 256, (64, 64, 3))]).astype(
        np.float32
    )
    expected = made(images)
    with mock.patch.object(quant_ops, "_FakeQuantWithMinMaxVars", lambda values, *_, **__: values):
        exact = aware(images)
    quantization_aware.measure(aware, tf.data.Dataset.from_tensors((images, 0)))
    rounded = aware(images)
    for name, values in expected.items():
        span = np.ptp(values)
        assert np.abs(values[0] - values[1]).max() > 0.05 * span  # not saturated: what the photo shows matters
        np.testing.assert_allclose(exact[name], values, atol=1e-4 * span)
        assert 0 < np.abs(rounded[name] - values).max() < 0.2 * span


def test_the_file_holds_the_ranges_of_the_network(aware: AwareNetwork) -> None:
    """Conversion takes the range that training left, and measures no other; all of it is int8 but the ends."""
    from ai_edge_litert.interpreter import Interpreter

    from tfod_helpers.exporting import tflite

    [low, high] = [one for one in aware.model.head.variables if "boxes/quant_pw/output_m" in one.name]
    low.assign(-3.0)
    high.assign(9.75)
    photos = np.zeros((1, 64, 64, 3), np.uint8)
    interpreter = Interpreter(model_content=tflite.convert(aware, "int8_full", nms=False, photos=photos))
    boxes = interpreter.get_signature_runner().get_output_details()["boxes"]
    assert boxes["quantization"][0] == pytest.approx(12.75 / 255)
    assert boxes["dtype"] is np.uint8
    types = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert np.float32 not in types


def test_training_changes_weights_and_leaves_the_statistics_of_batch_norms(
    made: ExportNetwork, aware: AwareNetwork, eagerly: None
) -> None:
    """The run's records and losses are trained on; the trained network itself stays as it is."""
    from tfod_helpers.exporting import quantization_aware

    before, original = ([weight.numpy() for weight in network.model.weights] for network in (aware, made))
    with (
        mock.patch.object(quantization_aware, "wrap", return_value=aware),
        mock.patch.object(quantization_aware, "_BATCHES", 1),
    ):
        assert quantization_aware.train(made, steps=2) is aware
    pairs = zip(aware.model.weights, before, strict=True)
    changed = [weight.name.partition(":")[0] for weight, old in pairs if not np.array_equal(weight.numpy(), old)]
    assert {"kernel", "depthwise_kernel", "bias"} <= {name.rpartition("/")[2] for name in changed}
    assert not [name for name in changed if "moving_" in name]
    normalization = [name for name in changed if name.startswith("quant_normalization/")]
    assert normalization == [name for name in normalization if "kernel_m" in name]  # the range of its weights
    for weight, old in zip(made.model.weights, original, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


@pytest.mark.parametrize(("shifted", "kept"), [(0, b"aware"), (2, b"calibrated"), (8, b"calibrated")])
def test_the_better_file_is_kept_and_both_scores_are_said(
    made: ExportNetwork, small: Small, capsys: pytest.CaptureFixture[str], shifted: int, kept: bytes
) -> None:
    """Boxes are off by 2 pixels, and by more, fewer or as many: the file with the higher AP comes back."""
    from tfod_helpers import evaluation
    from tfod_helpers.exporting import quantization_aware

    scores = {b"calibrated": moved(small.dataset, 2), b"aware": moved(small.dataset, shifted)}
    with (
        mock.patch.object(quantization_aware, "train", lambda network, steps: network),
        mock.patch.object(quantization_aware, "_evaluated", lambda content, *_: scores[content]),
    ):
        assert quantization_aware.improve(made, b"calibrated", lambda _: b"aware", decoded=False) == kept
    before, after = scores[b"calibrated"], scores[b"aware"]
    said = capsys.readouterr().out
    assert f"calibration alone: AP {before.ap:.3f}; aware: {after.ap:.3f}; the {kept.decode()} one is kept." in said
    assert str(evaluation.difference(after, before)) in said


def moved(dataset: Dataset, pixels: int) -> Evaluation:
    """The evaluation of detections that lie so many pixels beside the objects."""
    from tfod_helpers import evaluation

    found = [
        sv.Detections(xyxy=image.boxes_xyxy + pixels, confidence=np.ones(len(image.labels)), class_id=image.labels)
        for image in dataset
    ]
    return evaluation.score(dataset, found, resamples=0)


def test_a_network_that_cannot_be_wrapped_is_refused_in_words(made: ExportNetwork) -> None:
    """A SpineNet, and whatever tensorflow-model-optimization does not know: why, and what to do."""
    from tfod_helpers.exporting import quantization_aware

    with pytest.raises(ValueError, match=r"a SpineNet is backbone and pyramid in one.*quantize='calibrated'"):
        quantization_aware.wrap(replace(made, model=SimpleNamespace(decoder=None)))
    odd = SimpleNamespace(decoder=made.model.decoder, backbone="no model")
    with pytest.raises(ValueError, match=r"mobilenet_v2_192: .* does not know this network \(.*quantize='calibrated'"):
        quantization_aware.wrap(replace(made, model=odd))


def test_a_network_that_lost_something_is_refused(made: ExportNetwork, aware: AwareNetwork) -> None:
    """What computes something else with fake quantization left aside is told from what computes the same."""
    from tfod_helpers.exporting import quantization_aware

    other = replace(aware, model=SimpleNamespace(backbone=lambda images, training: aware.model.backbone(images + 20)))
    other.model.decoder, other.model.head = aware.model.decoder, aware.model.head
    assert quantization_aware._differs(other, made)
