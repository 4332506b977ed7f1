"""The network of an SSD without a pyramid, whose levels have heads and numbers of anchors of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.test_network_weights_networks import make_keras_model, randomise

pytestmark = pytest.mark.tensorflow
SIDE, WIDTH = 75, 0.35


@pytest.fixture(scope="module")
def config() -> Any:
    """A narrow one of two classes, whose side no stride divides."""
    from tfod_helpers import experiment

    made = experiment.from_preset("ssd_mobilenet_v2_300")
    model = made.task.model
    made.task.class_names, model.num_classes, model.input_size = ["cat", "dog"], 3, [SIDE, SIDE, 3]
    model.backbone.mobilenet.filter_size_scale, model.decoder.ssd_maps.num_filters = WIDTH, 32
    return made


@pytest.fixture(scope="module")
def model(config: Any) -> Any:
    """Its network."""
    from tfod_helpers.network.model import build_model

    return build_model(config)


def test_exports_compute_the_same_without_the_background(config: Any, model: Any) -> None:
    """Each level has its own anchors, three on the first, and an export drops the background of each of them."""
    from tfod_helpers.exporting import network
    from tfod_helpers.network import inputs

    anchors = {level: boxes.shape[-1] // 4 for level, boxes in inputs.anchor_boxes(config.task).items()}
    assert anchors == {"4": 3, "5": 6, "6": 6, "7": 6, "8": 6, "9": 6}
    randomise(model.weights)
    images = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    found = network.of_model(model, config)(images)
    logits, codes, _ = model.head(model.decoder(model.backbone(images / 127.5 - 1)))
    whole = np.concatenate([logits[level].numpy().reshape(1, -1, 3) for level in anchors], axis=1)
    boxes = np.concatenate([codes[level].numpy().reshape(1, -1, 4) for level in anchors], axis=1)
    assert boxes.shape[1] == 5 * 5 * 3 + (3 * 3 + 2 * 2 + 3) * 6
    np.testing.assert_allclose(found["logits"], whole[..., 1:], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["boxes"], boxes, rtol=1e-4, atol=1e-3)


def test_imagenet_gives_the_maps_what_the_backbone_has(model: Any, tmp_path: Any, monkeypatch: Any) -> None:
    """The first map starts as the expansion within the block of stride 32, the second as the last convolution."""
    from tfod_helpers.network import weights
    from tfod_helpers.network.normalization import NORMALIZATIONS
    from tfod_helpers.network.weights import networks

    theirs, file = make_keras_model("MobileNetV2", WIDTH), tmp_path / "keras.h5"
    theirs.save_weights(file)
    monkeypatch.setitem(networks.FILES["MobileNetV2"], WIDTH, SimpleNamespace(name=file.name, fetch=lambda *_: file))
    loaded = weights.load(model, "imagenet", normalization=NORMALIZATIONS["symmetric"])
    assert not [name for name in loaded.left if "expansion" in name]
    for ours, layer, norm in (("expansion_4", "block_13_expand", "_BN"), ("expansion", "Conv_1", "_bn")):
        found = [*model.decoder.get_layer(ours).weights, *model.decoder.get_layer(f"{ours}_norm").weights]
        expected = [*theirs.get_layer(layer).weights, *theirs.get_layer(layer + norm).weights]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_classes_are_taken_for_the_anchors_of_each_level(model: Any) -> None:
    """The outputs of a class that another model knows as well stand where they belong, whatever number of anchors."""
    from tfod_helpers.network.weights import class_outputs

    biases = [layer.bias for layer in model.head._classifier[:2]]
    theirs = [np.arange(count * 4.0).reshape(-1) for count in (3, 6)]
    taken = class_outputs.shared(model.head, zip(biases, theirs, strict=True), {1: 2})
    for (bias, value), other in zip(taken, theirs, strict=True):
        value, other = value.reshape(-1, 3), other.reshape(-1, 4)
        np.testing.assert_array_equal(value[:, [0, 2]], other[:, [0, 3]])
        np.testing.assert_array_equal(value[:, 1], bias.numpy().reshape(-1, 3)[:, 1])


def test_box_biases_of_all_levels_are_corrected(model: Any, monkeypatch: Any) -> None:
    """What rounding moves is taken back on every level, and afterwards all are as before."""
    from tfod_helpers.exporting import bias_correction

    shift = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    monkeypatch.setattr(bias_correction, "_shift", lambda *_: shift)
    before = [layer.bias.numpy() for layer in model.head._box_regressor]
    with bias_correction.corrected(SimpleNamespace(model=model), b"", np.zeros(0)):
        for layer, bias in zip(model.head._box_regressor, before, strict=True):
            moved = (bias - layer.bias.numpy()).reshape(-1, 4)
            np.testing.assert_allclose(moved, np.broadcast_to(shift, moved.shape), atol=1e-6)
    for layer, bias in zip(model.head._box_regressor, before, strict=True):
        np.testing.assert_array_equal(layer.bias.numpy(), bias)
