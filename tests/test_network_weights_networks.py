"""Keras Applications' networks in the Model Garden: equal features where the networks are the same, else a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfod_helpers.network.normalization import NORMALIZATIONS
from tfod_helpers.network.weights import networks, published
from tfod_helpers.network.weights.networks import Network, Tensors

pytestmark = pytest.mark.tensorflow
SIZE = 64
ROUNDING = 3e-5  # of float32, through dozens of layers of random weights; as a share of the largest feature
MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))  # the Model Garden's normalization
CAFFE_MEAN = np.array((103.939, 116.779, 123.68))  # blue first, as Keras' ResNets take it
# The layers of Keras whose output is the Model Garden's endpoint at strides 4, 8, 16 and 32.
ENDPOINTS = {
    "MobileNetV1": ("conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"),
    "MobileNetV2": ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN"),
    "MobileNetV3Large": ("expanded_conv_2/Add", "expanded_conv_5/Add", "expanded_conv_11/Add", "expanded_conv_14/Add"),
    "ResNet": ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
}
STEMS = {"MobileNetV1": "conv1", "MobileNetV2": "Conv1", "MobileNetV3Large": "Conv"}


def make_backbone(kind: str, size: Any, image_size: int = SIZE, **settings: Any) -> Any:
    """Return a Model Garden backbone; a ResNet with its strides where Keras has them."""
    import tf_keras
    from official.vision.modeling import backbones

    specs = tf_keras.layers.InputSpec(shape=[None, image_size, image_size, 3])
    if kind == "EfficientNet":
        return backbones.EfficientNet(model_id=size, input_specs=specs, **settings)
    if kind == "ResNet":
        return move_strides(backbones.ResNet(model_id=size, input_specs=specs, **settings))
    return backbones.MobileNet(model_id=kind, filter_size_scale=size, input_specs=specs, **settings)


def move_strides(resnet: Any) -> Any:
    """Move the strides of a ResNet from the 3x3 convolutions of its blocks to the 1x1 before them."""
    for block in resnet.layers:
        if getattr(block, "_strides", 1) == 2 and hasattr(block, "_conv3"):
            block._conv1.strides, block._conv2.strides = (2, 2), (1, 1)
    return resnet


def make_keras_model(kind: str, size: Any) -> Any:
    """Return a random network of Keras Applications without top, for images of any size."""
    from tf_keras import applications

    if kind == "ResNet":
        model = getattr(applications, f"ResNet{size}")(include_top=False, weights=None)
    else:
        name = "MobileNet" if kind == "MobileNetV1" else kind
        model = getattr(applications, name)(include_top=False, weights=None, alpha=size, input_shape=(None, None, 3))
    randomise(model.weights)
    return model


def randomise(variables: list[Any], seed: int = 0) -> None:
    """Give every tensor random values with which a photo's differences reach the last layer.

    Keras' own start would not do: its depthwise kernels are so small that the features behind a few of them are the
    same for every photo, and its batch norms are all alike, so that two could be exchanged unseen.
    """
    rng = np.random.default_rng(seed)
    ranges = {
        "gamma": (0.5, 1.5),
        "beta": (-0.5, 0.5),
        "bias": (-0.5, 0.5),
        "moving_mean": (-0.5, 0.5),
        "moving_variance": (0.5, 1.5),
    }
    for variable in variables:
        shape = tuple(variable.shape)
        kind = variable.name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ranges:
            variable.assign(rng.uniform(*ranges[kind], shape).astype(np.float32))
        elif len(shape) == 4:
            fan_in = shape[0] * shape[1] * (1 if shape[3] == 1 else shape[2])
            variable.assign(rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32))


def keras_features(kind: str, model: Any, pixels: np.ndarray) -> list[np.ndarray]:
    """Return Keras' features of uint8 images at strides 4 to 32, padded with ImageNet's mean colour.

    The Model Garden's padding means that colour. Keras' own is taken off, and the images are padded before: that is all
    in which the two may differ.
    """
    import tf_keras

    before, after = (2, 3) if kind == "ResNet" else (0, 1)
    shares = np.pad(pixels / 255 - MEAN, [(0, 0), (before, after), (before, after), (0, 0)]) + MEAN
    if kind == "ResNet":
        model.get_layer("conv1_pad").padding = ((0, 0), (0, 0))
        model.get_layer("pool1_pad").padding = ((0, 1), (0, 1))  # Keras pads both sides, and is a pixel off
        images = shares[..., ::-1] * 255 - CAFFE_MEAN
    else:
        model.get_layer(STEMS[kind]).padding = "valid"
        images = shares * 255 if kind.startswith("MobileNetV3") else shares * 2 - 1
    outputs = [model.get_layer(name).output for name in ENDPOINTS[kind]]
    return [feature.numpy() for feature in tf_keras.Model(model.input, outputs)(images.astype(np.float32))]


def official_features(backbone: Any, pixels: np.ndarray) -> list[np.ndarray]:
    """Return a backbone's features of uint8 images, at strides 4 to 32, fed as the Model Garden does it."""
    images = ((pixels / 255 - MEAN) / STD).astype(np.float32)
    features = backbone(images, training=False)
    return [features[level].numpy() for level in "2345"]


def save(model: Any, path: Path) -> Path:
    """Save a network as Keras Applications publishes it."""
    model.save_weights(path)
    return path


def fill(tensors: Tensors, backbone: Any, network: Network) -> int:
    """Fill a backbone that takes images as the Model Garden normalizes them; return how many tensors were taken."""
    values = networks.values(tensors, backbone, network, "a", NORMALIZATIONS["imagenet"])
    for variable, value in values:
        variable.assign(value)
    return len(values)


def far(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference of two feature maps, as a share of the second's largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Two random photos, uint8, shape (2, SIZE, SIZE, 3)."""
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize(
    ("kind", "size", "settings"),
    [
        ("MobileNetV1", 0.25, {}),
        ("MobileNetV1", 1.0, {}),
        ("MobileNetV2", 0.35, {}),
        ("MobileNetV2", 1.4, {}),
        ("MobileNetV2", 0.5, {"norm_epsilon": 0.1}),
        ("MobileNetV3Large", 0.75, {}),
        ("ResNet", 50, {}),
    ],
)
def test_features_are_equal(kind: str, size: Any, settings: dict, pixels: np.ndarray, tmp_path: Path) -> None:
    """A backbone filled from a file as it is published gives Keras' features, at every stride that a pyramid reads."""
    source, backbone = make_keras_model(kind, size), make_backbone(kind, size, **settings)
    network = networks.of(backbone)
    assert (network.kind, network.size) == (kind, size)
    tensors = networks.read(save(source, tmp_path / "random.h5"), "random")
    taken = fill(tensors, backbone, network)
    assert taken == len(backbone.weights) - len(networks.unread(backbone, network))
    for stride, ours, theirs in zip(
        (4, 8, 16, 32), official_features(backbone, pixels), keras_features(kind, source, pixels), strict=True
    ):
        assert ours.shape == theirs.shape
        assert theirs.std(axis=(1, 2)).mean() > 0.1 * np.abs(theirs).mean(), "equal features would prove nothing"
        assert far(ours, theirs) < ROUNDING, stride


def test_keras_own_padding_makes_a_small_difference(tmp_path: Path) -> None:
    """With Keras' padding, features differ where it reaches, at the edges below and on the right, and only there."""
    import tf_keras

    size = 192
    photos = np.random.default_rng(1).integers(0, 256, (1, size, size, 3), np.uint8)
    source, backbone = make_keras_model("MobileNetV2", 0.35), make_backbone("MobileNetV2", 0.35, size)
    network = networks.of(backbone)
    fill(networks.read(save(source, tmp_path / "a.h5"), "a"), backbone, network)
    outputs = [source.get_layer(name).output for name in ENDPOINTS["MobileNetV2"]]
    theirs = [f.numpy() for f in tf_keras.Model(source.input, outputs)(photos / np.float32(127.5) - 1)]
    ours = official_features(backbone, photos)
    for level, inside in ((0, 40), (1, 16), (2, 3)):
        interior = np.s_[:, :inside, :inside]
        assert far(ours[level][interior], theirs[level][interior]) < ROUNDING
        assert far(ours[level], theirs[level]) > 100 * ROUNDING
    assert np.abs(ours[0] - theirs[0]).mean() < 0.01 * np.abs(theirs[0]).mean()


def test_resnet_as_the_model_garden_builds_it_is_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    """Every tensor of Keras' ResNet-50 would fit the Model Garden's, and the features would be others: a refusal."""
    backbone = make_backbone("ResNet", 50)
    network = networks.of(backbone)
    source = make_keras_model("ResNet", 50)
    fill(networks.read(save(source, tmp_path / "a.h5"), "a"), backbone, network)
    for block in backbone.layers:
        if hasattr(block, "_conv3") and block._strides == 2:
            block._conv1.strides, block._conv2.strides = (1, 1), (2, 2)
    with pytest.raises(ValueError, match=r"ResNet-50 has its strides in the 3x3 .* the features would be others"):
        networks.of(backbone)
    ours, theirs = official_features(backbone, pixels), keras_features("ResNet", source, pixels)
    assert far(ours[0], theirs[0]) < ROUNDING, "before the first stride they are the same"
    assert far(ours[1], theirs[1]) > 0.1


@pytest.mark.parametrize(
    ("kind", "size", "settings", "words"),
    [
        ("EfficientNet", "b0", {}, "the Model Garden's EfficientNet b0"),
        ("MobileNetV3Small", 1.0, {}, "the Model Garden's MobileNet MobileNetV3Small"),
        ("MobileNetV2", 0.35, {"output_stride": 16}, "is dilated (output_stride=16)"),
        ("MobileNetMultiAVG", 1.0, {}, "the Model Garden's MobileNet MobileNetMultiAVG"),
        ("ResNet", 50, {"activation": "swish"}, "this ResNet has activation='swish'"),
        ("ResNet", 50, {"se_ratio": 0.25}, "this ResNet has se_ratio=0.25"),
        ("ResNet", 50, {"stem_type": "v1"}, "this ResNet has stem_type='v1'"),
    ],
)
def test_other_networks_are_refused(kind: str, size: Any, settings: dict, words: str) -> None:
    """A backbone that differs in what no tensor shows is not taken for Keras' network."""
    with pytest.raises(ValueError, match=r"EfficientNet|MobileNet|ResNet") as raised:
        networks.of(make_backbone(kind, size, **settings))
    assert words in str(raised.value)


@pytest.fixture(scope="module")
def v2() -> tuple[Any, Network, Tensors]:
    """A MobileNetV2 of width 0.35, the network that it is, and random tensors for it."""
    backbone, source = make_backbone("MobileNetV2", 0.35), make_keras_model("MobileNetV2", 0.35)
    return backbone, networks.of(backbone), [(variable.name, variable.numpy()) for variable in source.weights]


@pytest.mark.parametrize("damage", ["width", "missing", "top", "no number"])
def test_misfitting_tensors_are_refused_whole(damage: str, v2: tuple[Any, Network, Tensors]) -> None:
    """Tensors of another width, too few, too many, or with NaN are an error that says what; nothing changes."""
    backbone, network, tensors = v2
    before = [variable.numpy() for variable in backbone.weights]
    name, last = tensors[-5]
    wrong, words = {
        "width": (
            [*tensors[:-5], (name, last[..., :-1]), *tensors[-4:]],
            "Conv_1/kernel:0 has shape (1, 1, 112, 1279), ",
        ),
        "missing": (tensors[:-1], "it has 51 tensors called moving_variance, the backbone has 52"),
        "top": ([*tensors, ("predictions/kernel:0", last)], "it has 53 tensors called kernel, the backbone has 52"),
        "no number": (
            [*tensors[:-5], (name, last * np.nan), *tensors[-4:]],
            "Conv_1/kernel:0 holds NaN or infinite",
        ),
    }[damage]
    with pytest.raises(ValueError, match="the file") as raised:
        networks.check(wrong, backbone, network, "the file")
    assert words in str(raised.value)
    with pytest.raises(ValueError, match="the file") as raised:
        networks.values(wrong, backbone, network, "the file", NORMALIZATIONS["imagenet"])
    assert words in str(raised.value)
    assert all(np.array_equal(old, variable.numpy()) for old, variable in zip(before, backbone.weights, strict=True))


def test_resnet_tensors_of_unknown_names_are_refused(v2: tuple[Any, Network, Tensors]) -> None:
    """A shortcut and a last convolution have equal shapes: a ResNet's tensors are told apart by name or not at all."""
    with pytest.raises(ValueError, match="is no tensor of a ResNet without top"):
        networks._resnet_order(v2[2], "the file")


def test_names_addresses_and_hashes_are_those_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras would download for its networks is what is published for ours."""
    import tf_keras
    from tf_keras.src.applications import mobilenet_v3, resnet
    from tf_keras.src.utils import data_utils

    class Asked(Exception):  # noqa: N818
        """Keras has said what it wants."""

    def get_file(name: str, address: str, file_hash: str | None = None, **_: Any) -> None:
        raise Asked(name, address, file_hash)

    monkeypatch.setattr(data_utils, "get_file", get_file)
    settings = {"include_top": False, "weights": "imagenet"}
    applications = tf_keras.applications
    for kind, size, build in (
        *(("MobileNetV1", w, lambda w=w: applications.MobileNet(alpha=w, **settings)) for w in (0.25, 0.5, 0.75, 1.0)),
        *(("MobileNetV2", w, lambda w=w: applications.MobileNetV2(alpha=w, **settings)) for w in (0.35, 1.0)),
        ("MobileNetV3Large", 1.0, lambda: applications.MobileNetV3Large(alpha=1.0, **settings)),
        ("ResNet", 50, lambda: applications.ResNet50(**settings)),
    ):
        file = networks.FILES[kind][size]
        with pytest.raises(Asked) as asked:
            build()
        assert asked.value.args == (file.name, file.url, file.md5)
        assert file.path == published.keras_folder() / file.name
    for width, file in networks.FILES["MobileNetV3Large"].items():
        assert file.md5 == mobilenet_v3.WEIGHTS_HASHES[f"large_224_{width}_float"][1]
    for depth, file in networks.FILES["ResNet"].items():
        assert file.md5 == resnet.WEIGHTS_HASHES[f"resnet{depth}"][1]
    with pytest.raises(ValueError, match=r"no weights for a MobileNetV2 of 0\.25, only 0\.35, 0\.5, 0\.75, 1\.0"):
        _ = Network("MobileNetV2", 0.25).file
