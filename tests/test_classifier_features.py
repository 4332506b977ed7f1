"""Features of pictures: each picture once, in order, however many an item has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfod_helpers.classifier import backbones, features
from tfod_helpers.classifier.backbones import Backbone

SIDE = 4


class Means:
    """A model that gives each half of a picture, top and bottom, its mean colour and the value at its left edge."""

    output_shape = (None, 2, 1, 4)

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.sizes: set[int] = set()

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map, shape (n, 2, 1, 4)."""
        self.sizes.add(len(pixels))
        halves = pixels.reshape(len(pixels), 2, -1, SIDE, 3).astype(np.float32)
        edge = halves[:, :, :, 0].mean(axis=(2, 3))[..., None]
        return np.concatenate([halves.mean(axis=(2, 3)), edge], axis=-1)[:, :, None]


def means() -> Backbone:
    """A backbone of means."""
    return Backbone("means", 1.0, SIDE, Means(), "scratch", "")


@pytest.mark.parametrize("counts", [[], [0], [1] * 5, [0, 40, 0, 1, 31, 70, 0]])
def test_every_picture_is_seen_once_in_order(counts: list[int]) -> None:
    """Items with none, one or a hundred pictures: one row a picture, as computed from it alone."""
    random = np.random.default_rng(0)
    every = [random.integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8) for count in counts]
    whole = np.concatenate([np.zeros((0, SIDE, SIDE, 3), np.uint8), *every])
    backbone = means()
    found = features.extract(backbone, range(len(every)), every.__getitem__)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :3], whole.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[:, 3], whole[:, :, 0].mean(axis=(1, 2)), rtol=1e-5)
    assert len(backbone.model.sizes) <= 1, "a batch of another size would be traced again"


def test_pictures_of_another_size_are_refused() -> None:
    """What the network would misread, fractions or another size, is an error that says what was found."""
    with pytest.raises(ValueError, match=r"uint8 of shape \(k, 4, 4, 3\), got uint8 of \(1, 5, 4, 3\)"):
        features.extract(means(), [0], lambda _: np.zeros((1, 5, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"got float32 of \(1, 4, 4, 3\)"):
        features.extract(means(), [0], lambda _: np.zeros((1, 4, 4, 3), np.float32))


@pytest.mark.tensorflow
def test_features_are_those_of_the_network(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is extracted in batches is the network's feature map, averaged over its places."""
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    backbone = backbones.make(side=96)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)
    expected = backbone.model.predict(pixels.astype(np.float32), verbose=0).mean(axis=(1, 2))
    np.testing.assert_allclose(features.extract(backbone, [0], lambda _: pixels), expected, atol=1e-5)
