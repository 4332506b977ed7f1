"""Networks of Keras Applications: their pixels, their weights, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfod_helpers.classifier import backbones
from tfod_helpers.files.downloads import SECOND_PLACE, fetching
from tfod_helpers.network.weights import published


@pytest.mark.tensorflow
def test_imagenet_weights_see_pixels_as_they_are(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features of pixels from 0 to 255 are those that Keras' own network gives them once they are scaled."""
    import keras

    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    backbone = backbones.make("mobilenet_v2", side=96)
    assert (backbone.weights, str(backbone)) == (
        "imagenet",
        "mobilenet_v2 of width 0.35 starts from ImageNet's weights.",
    )
    path = next((keras_home / "models").glob("*.h5"))
    plain = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=path)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    expected = plain.predict(keras.applications.mobilenet_v2.preprocess_input(pixels.copy()), verbose=0)
    np.testing.assert_allclose(backbone.model.predict(pixels, verbose=0), expected, atol=1e-4)


@pytest.mark.tensorflow
def test_weights_that_cannot_be_had_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where ImageNet's weights are out of reach, a banner and a warning say so, and where the file belongs."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv(SECOND_PLACE, raising=False)
    monkeypatch.setattr(fetching, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(published, "GOOGLE", "http://127.0.0.1:9")  # where nobody listens
    with pytest.warns(UserWarning, match="No pretrained weights, the classifier starts from scratch: http://127"):
        backbone = backbones.make(side=32)
    assert backbone.weights == "scratch"
    assert "starts from random values. Wanted and not to be had: imagenet: http://127.0.0.1:9/" in backbone.sentence
    banner = capsys.readouterr().out
    assert "NO PRETRAINED WEIGHTS: THE CLASSIFIER STARTS FROM SCRATCH" in banner
    assert f"into  {tmp_path / 'models'}\n" in banner


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_v2_b0"])
def test_every_network_scales_pixels_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind of network takes pixels from 0 to 255 and has one layer that scales them: its own, or ours."""
    backbone = backbones.make(name, side=32, weights=None)
    layers = [type(layer).__name__ for layer in backbone.model.layers]
    assert layers.count("Rescaling") == 1
    assert backbone.sentence == f"{name} of width {backbone.width:g} starts from random values, as weights=None asks."
    assert not capsys.readouterr().out, "what was asked for is no news"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"name": "mobilenet_v9"}, "no backbone 'mobilenet_v9', only mobilenet_v2, .*. Did you mean 'mobilenet_v2'"),
        ({"width": 0.4}, "no mobilenet_v2 of width 0.4, only of 0.35, 0.5, 0.75, 1.0, 1.3, 1.4"),
        ({"width": 0}, "no mobilenet_v2 of width 0, only of"),
        ({"side": 16}, "side must be 32 pixels or more, got 16"),
        ({"weights": "coco"}, "weights must be 'imagenet', or None for random values, got 'coco'"),
    ],
)
def test_what_there_is_not_is_refused_in_words(wanted: dict, message: str) -> None:
    """A network, width, side or weights that there are not: the message says which there are."""
    with pytest.raises(ValueError, match=message):
        backbones.make(**wanted)


def test_classifier_needs_no_tensorflow_to_be_imported() -> None:
    """A notebook without TensorFlow can import the room, and ask for it later."""
    code = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; from tfod_helpers import classifier"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
