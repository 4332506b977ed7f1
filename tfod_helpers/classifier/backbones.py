"""Networks of Keras Applications that take pixels as they are, and the truth about what they start from.

One more, ``small``, has four convolutions and starts from random values always: it learns drawings and other plain
pictures from some hundreds of them, in seconds, where the others would take thousands.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_helpers.files.terminal import shout
from tfod_helpers.network.weights import networks
from tfod_helpers.network.weights.published import Published
from tfod_helpers.problems import did_you_mean

if TYPE_CHECKING:
    import keras

SIDE = 224  # pixels: what ImageNet's weights were trained with, but for the larger EfficientNets
SMALL, _SMALL_SIDE, _SMALL_CHANNELS = "small", 64, (16, 32, 64, 128)
_LEAST_SIDE = 32  # what Keras takes
_NARROW, _WHOLE = 0.35, 1.0  # widths: the fastest network there is, and how the others are usual


@dataclass(frozen=True)
class Network:
    """A network of Keras Applications, or the small one.

    Attributes:
        builder: its function in `keras.applications`; empty for the small one.
        files: its ImageNet weights without top, by its width; the small one has none.
        side: of the square that it was trained with, in pixels.
        scales: whether it takes pixels from 0 to 255 itself, rather than from -1 to 1.
    """

    builder: str
    files: Mapping[float, Published]
    side: int = SIDE
    scales: bool = True


def _mobilenet_v3_small(width: float, md5: str) -> Published:
    where = f"tensorflow/keras-applications/mobilenet_v3/weights_mobilenet_v3_small_224_{width}_float_no_top_v2.h5"
    return Published(where, keras=True, md5=md5)


def _efficientnet(kind: str, md5: str) -> dict[float, Published]:
    where = f"tensorflow/keras-applications/efficientnet_v2/efficientnetv2-{kind}_notop.h5"
    return {_WHOLE: Published(where, keras=True, md5=md5)}


# What detectors share has its files in `networks`. Names and MD5s of the others, and all sides:
# keras/src/applications/{mobilenet_v3,efficientnet_v2}.py.
NETWORKS = {
    "mobilenet_v2": Network("MobileNetV2", networks.FILES["MobileNetV2"], scales=False),
    "mobilenet_v3_small": Network(
        "MobileNetV3Small",
        {
            1.0: _mobilenet_v3_small(1.0, "d3e8ec802a04aa4fc771ee12a9a9b836"),
            0.75: _mobilenet_v3_small(0.75, "ebdb5cc8e0b497cd13a7c275d475c819"),
        },
    ),
    "mobilenet_v3_large": Network("MobileNetV3Large", networks.FILES["MobileNetV3Large"]),
    "efficientnet_v2_b0": Network("EfficientNetV2B0", _efficientnet("b0", "893217f2bb855e2983157299931e43ff")),
    "efficientnet_v2_b1": Network("EfficientNetV2B1", _efficientnet("b1", "0e80663031ca32d657f9caa404b6ec37"), 240),
    "efficientnet_v2_b2": Network("EfficientNetV2B2", _efficientnet("b2", "1dfe2e7a5d45b6632553a8961ea609eb"), 260),
    "efficientnet_v2_b3": Network("EfficientNetV2B3", _efficientnet("b3", "f6abf7b5849ac99a89b50dd3fd532856"), 300),
    "efficientnet_v2_s": Network("EfficientNetV2S", _efficientnet("s", "af0682fb74e8c54910f2d4393339c070"), 384),
    SMALL: Network("", {}, _SMALL_SIDE, scales=False),
}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network without its classes.

    Attributes:
        name: one of `NETWORKS`.
        width: how wide it is, 1 being the usual.
        side: of the square pictures that it takes, in pixels.
        model: a Keras 3 model: pixels from 0 to 255, shape (n, side, side, 3), RGB -> a feature map, float32, shape
            (n, h, w, channels).
        weights: ``imagenet``, or ``scratch`` where it starts from random values.
        sentence: the same in words, and what was wanted and could not be had; also what ``str()`` gives.
    """

    name: str
    width: float
    side: int
    model: keras.Model = field(repr=False)
    weights: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def make(
    name: str = "mobilenet_v2",
    *,
    width: float | None = None,
    side: int | None = None,
    weights: str | None = "imagenet",
    or_random: bool = True,
) -> Backbone:
    """Build a network with ImageNet's weights; where these cannot be had, say so in a banner and a warning.

    Weights are fetched into Keras' own cache, or taken from there.

    Args:
        name: one of `NETWORKS`.
        width: how wide it is; None takes the narrowest MobileNetV2 (0.35), and others as they are usual (1).
        side: of the pictures that it takes, in pixels; None takes what it was trained with.
        weights: ``"imagenet"``, or None to start from random values.
        or_random: start from random values also where ImageNet's weights cannot be had.

    Raises:
        ValueError: there is no such network, width, side or weights; the message says which there are.
        OSError: ImageNet's weights cannot be had, and ``or_random`` is False; the message says how to get them.
    """
    network = _named(name)
    if width is None:
        width = _NARROW if name == "mobilenet_v2" else _WHOLE
    if network.files and width not in network.files:
        raise ValueError(f"There is no {name} of width {width:g}, only of {', '.join(map(str, network.files))}.")
    side = network.side if side is None else side
    if side < _LEAST_SIDE:
        raise ValueError(f"side must be {_LEAST_SIDE} pixels or more, got {side}.")
    if weights not in ("imagenet", None):
        raise ValueError(f"weights must be 'imagenet', or None for random values, got {weights!r}.")
    model, said = _built(network, width, side), f"{name} of width {width:g}"
    if not network.files:
        why = "It is meant for drawings and other plain pictures"
        return Backbone(name, width, side, model, "scratch", f"{name} starts from random values. {why}.")
    if weights is None:
        return Backbone(name, width, side, model, "scratch", f"{said} starts from random values, as weights=None asks.")
    fault = _fill(model, network.files[width])
    if not fault:
        return Backbone(name, width, side, model, "imagenet", f"{said} starts from ImageNet's weights.")
    if not or_random:
        raise OSError(f"ImageNet's weights cannot be had: {fault}")
    _say_missing(said, fault, network.files[width])
    sentence = f"{said} starts from random values. Wanted and not to be had: imagenet: {fault}"
    model = _built(network, width, side)  # anew, since a file that fits in part has filled that part
    return Backbone(name, width, side, model, "scratch", sentence)


def _named(name: str) -> Network:
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise ValueError(f"There is no backbone {name!r}, only {known}{did_you_mean(name, NETWORKS)}")
    return NETWORKS[name]


def _built(network: Network, width: float, side: int) -> keras.Model:
    import keras

    pixels = keras.Input((side, side, 3), name="pixels")
    scaled = pixels if network.scales else keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    if not network.builder:
        return keras.Model(pixels, _convolved(scaled))
    settings = {"alpha": width} if len(network.files) > 1 else {}
    build = getattr(keras.applications, network.builder)
    return build(input_tensor=scaled, include_top=False, weights=None, **settings)


def _convolved(made: keras.KerasTensor) -> keras.KerasTensor:
    from keras import layers

    for channels in _SMALL_CHANNELS:
        made = layers.Conv2D(channels, 3, padding="same", use_bias=False)(made)
        made = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(made)))
    return made


def _fill(model: keras.Model, file: Published) -> str:
    """Load published weights into a model; return why they cannot be had, or nothing."""

    def check(path: Path) -> None:
        networks.read(path, file.url)

    try:
        path = file.fetch(check)
        model.load_weights(path)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _say_missing(said: str, fault: str, file: Published) -> None:
    """Say in a banner and a warning that the weights are missing, and how to get them."""
    lines = ["NO PRETRAINED WEIGHTS: THE CLASSIFIER STARTS FROM SCRATCH"]
    lines += textwrap.wrap(f"Not imagenet: {fault}", 88, break_on_hyphens=False, break_long_words=False)
    lines += ["It knows nothing of photos yet, and will be much less accurate.", ""]
    lines += [f"To have ImageNet's {said}:", "connect this machine to the internet and run this again, or"]
    lines += [f"fetch {file.url}", f"into  {file.path.parent}"]
    shout([*lines, "", "If scratch is what you want, say weights=None."])
    # The banner is for people; the warning is for programs, which can turn it into an error.
    warnings.warn(f"No pretrained weights, the classifier starts from scratch: {fault}", UserWarning, stacklevel=3)
