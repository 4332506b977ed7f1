"""Training with fake quantization: all weights are there, ranges are measured, and the better of two files is kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from small_training import Trained

if TYPE_CHECKING:
    from tfod_helpers.exporting.network import ExportNetwork

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def made(trained: Trained) -> ExportNetwork:
    """The small training's network for exporting."""
    from tfod_helpers.exporting import network

    return network.of_run(trained.run, "best", "a test")


def test_the_wrapped_network_computes_what_the_trained_one_does(made: ExportNetwork) -> None:
    """Without rounding, boxes and logits are equal, so no weight is lost; with measured ranges they are close."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

    from tfod_helpers.exporting import quantization_aware

    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    expected, aware = made(images), quantization_aware.wrap(made)
    with mock.patch.object(quant_ops, "_FakeQuantWithMinMaxVars", lambda values, *_, **__: values):
        exact = aware(images)
    quantization_aware.measure(aware, tf.data.Dataset.from_tensors((images, 0)))
    rounded = aware(images)
    for name, values in expected.items():
        np.testing.assert_allclose(exact[name], values, atol=1e-4)
        error, span = np.abs(rounded[name] - values), np.ptp(values)
        assert 0 < error.max() < 0.2 * span


def test_a_step_changes_weights_and_leaves_the_statistics_of_batch_norms(made: ExportNetwork, eagerly: None) -> None:
    """The run's records and losses are trained on; the trained network itself stays as it is."""
    from tfod_helpers.exporting import quantization_aware

    before = [weight.numpy() for weight in made.model.weights]
    wrapped: list[Any] = []
    wrap = quantization_aware.wrap

    def keep(network: ExportNetwork) -> Any:
        aware = wrap(network)
        wrapped.extend(weight.numpy() for weight in aware.model.weights)
        return aware

    with mock.patch.object(quantization_aware, "wrap", keep):
        aware = quantization_aware.train(made, steps=1)
    changed = {
        weight.name.rpartition("/")[2].partition(":")[0]
        for weight, old in zip(aware.model.weights, wrapped, strict=True)
        if not np.array_equal(weight.numpy(), old)
    }
    assert {"kernel", "depthwise_kernel", "bias", "post_activation_max"} <= changed
    assert not changed & {"moving_mean", "moving_variance", "gamma", "beta"}
    for weight, old in zip(made.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


@pytest.mark.parametrize(("ap", "kept"), [(0.54, b"aware"), (0.53, b"calibrated"), (0.5, b"calibrated")])
def test_the_better_file_is_kept_and_both_scores_are_said(
    made: ExportNetwork, capsys: pytest.CaptureFixture[str], ap: float, kept: bytes
) -> None:
    """Where the training did not help, the file of calibration alone comes back."""
    from tfod_helpers.exporting import quantization_aware

    scores = {b"calibrated": 0.53, b"aware": ap}
    with (
        mock.patch.object(quantization_aware, "train", lambda network, steps: network),
        mock.patch.object(quantization_aware, "_ap", lambda content, *_: scores[content]),
    ):
        assert quantization_aware.improve(made, b"calibrated", lambda _: b"aware", decoded=False) == kept
    assert f"calibration alone: AP 0.530; aware: {ap:.3f}; the {kept.decode()} one is kept." in capsys.readouterr().out


def test_a_network_that_cannot_be_wrapped_is_refused_in_words(made: ExportNetwork) -> None:
    """A SpineNet, and whatever tensorflow-model-optimization does not know: why, and what to do."""
    from tfod_helpers.exporting import quantization_aware

    with pytest.raises(ValueError, match=r"a SpineNet is backbone and pyramid in one.*quantize='calibrated'"):
        quantization_aware.wrap(replace(made, model=SimpleNamespace(decoder=None)))
    odd = SimpleNamespace(decoder=made.model.decoder, backbone="no model")
    with pytest.raises(ValueError, match=r"mobilenet_v2_192: .* does not know this network \(.*quantize='calibrated'"):
        quantization_aware.wrap(replace(made, model=odd))
