"""Which networks of Keras Applications are the Model Garden's too, their files, and how their tensors are carried over.

Both build the same networks out of differently named layers, and feed them differently normalised images. `values` puts
each tensor in its place and makes up for all that differs, so that the features are the same. Where that cannot be,
`of` says why. What was read in both sources:

* **MobileNetV1, V2, V3** are the same. Keras pads by hand where the stride is 2, as ``same`` pads at every size. V3's
  gates are ``relu6(x + 3) * 0.16667`` here and ``/ 6`` there; the kernel behind makes up for it. Its last convolution
  is part of Keras' top, which its file does not have; no detector reads it.
* **ResNet**: Keras has a block's stride in its first 1x1 convolution, the Model Garden in its 3x3. All shapes agree and
  the features do not. A backbone whose strides were moved is the same, for an image that is shifted by 3 pixels: its
  stem pads 2 pixels above and to the left where Keras pads 3, and its pooling 0 where Keras pads 1.
* **EfficientNet** is the same only with swish in its gates, and a detector's config gives relu.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.network.normalization import NORMALIZATIONS, Normalization
from tfod_helpers.network.weights.published import PLAIN_RESNET, Published, Terms, describe

Tensors = list[tuple[str, np.ndarray]]
Kinds = dict[str, list[tuple[str, Any]]]  # kind of leaf -> (name, array or variable), in creation order

NORM = ("gamma", "beta", "moving_mean", "moving_variance")  # the variables of a batch norm, in Keras' order
_KINDS = ("kernel", "bias", *NORM)
_EPSILON, _RESNET_EPSILON = 1e-3, 1.001e-5  # of Keras' batch norms
_GATE = (1 / 6) / 0.16667  # Keras' hard sigmoid over official/modeling/activations/sigmoid.py's


_TERMS = {
    "MobileNet": ("Apache License", "Howard et al. 2017, MobileNets; Sandler et al. 2018, MobileNetV2"),
    "ResNet": (
        "MIT License, as Kaiming He released them",
        "He et al. 2016, Deep Residual Learning for Image Recognition",
    ),
}


def _file(where: str, sha256: str | None = None, md5: str | None = None) -> Published:
    return Published(f"tensorflow/keras-applications/{where}", keras=True, sha256=sha256, md5=md5)


_V2 = "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
# Keras' ImageNet weights without top, by kind of network and by its width or depth. Names, URLs and MD5s:
# keras/src/applications/{mobilenet,mobilenet_v2,mobilenet_v3,resnet}.py.
FILES: dict[str, dict[Any, Published]] = {
    "MobileNetV1": {
        width: _file(f"mobilenet/mobilenet_{text}_224_tf_no_top.h5")
        for width, text in ((0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5"), (1.0, "1_0"))
    },
    "MobileNetV2": {
        width: _file(f"{_V2}_{width}_224_no_top.h5", sha256=sha256)
        for width, sha256 in {
            0.35: "3843eff250b023fe4fe4dcd7b0c43146335374da75e17c3b4b3c4344ede214f1",
            **dict.fromkeys((0.5, 0.75, 1.0, 1.3, 1.4)),
        }.items()
    },
    "MobileNetV3Large": {
        width: _file(f"mobilenet_v3/weights_mobilenet_v3_large_224_{width}_float_no_top_v2.h5", md5=md5)
        for width, md5 in ((0.75, "40af19a13ebea4e2ee0c676887f69a2e"), (1.0, "07fb09a5933dd0c8eaafa16978110389"))
    },
    "ResNet": {
        depth: _file(f"resnet/resnet{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5", md5=md5)
        for depth, md5 in (
            (50, "4d473c1dd8becc155b73f8504c6f6626"),
            (101, "88cf7a10940856eca736dc7b7e228a21"),
            (152, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
        )
    },
}


@dataclass(frozen=True)
class Network:
    """A network that Keras Applications and the Model Garden share.

    Attributes:
        kind: ``MobileNetV2`` and the like, as in `FILES`.
        size: its width or depth.
    """

    kind: str
    size: Any

    @property
    def file(self) -> Published:
        """Its published weights.

        Raises:
            ValueError: there are none of this size; the message says of which there are.
        """
        files = FILES[self.kind]
        if self.size not in files:
            sizes = ", ".join(map(str, files))
            raise ValueError(f"Keras Applications has no weights for a {self.kind} of {self.size}, only {sizes}")
        return files[self.size]

    def __str__(self) -> str:
        return f"Keras Applications' {self.kind} of {'width ' * self.kind.startswith('MobileNet')}{self.size}"


def of(backbone: Any) -> Network:
    """Return the network of Keras Applications that a backbone is.

    Args:
        backbone: ``model.backbone`` of a Model Garden detector.

    Raises:
        ValueError: there is no such network; the message says what differs.
    """
    settings = describe(backbone)
    name = str(settings.get("model_id", ""))
    if settings["class"] == "MobileNet" and name in FILES:
        if settings["output_stride"]:
            raise ValueError(f"this {name} is dilated (output_stride={settings['output_stride']}), Keras' is not")
        return Network(name, settings["filter_size_scale"])
    if settings["class"] == "ResNet":
        return _resnet(backbone, settings)
    kind = f"{settings['class']} {name}".rstrip()
    raise ValueError(f"no network of Keras Applications is the Model Garden's {kind}")


def _resnet(backbone: Any, settings: dict[str, Any]) -> Network:
    activation = (
        settings["activation"] if settings["activation"] == "relu6" else "relu"
    )  # relu6 is told by `difference`
    for setting, value in {**PLAIN_RESNET, "activation": activation, "se_ratio": None}.items():
        if settings[setting] != value:
            raise ValueError(f"this ResNet has {setting}={settings[setting]!r}, Keras' has {value!r}")
    if not strides_come_first(backbone):
        raise ValueError(
            f"the Model Garden's ResNet-{settings['model_id']} has its strides in the 3x3 convolutions, Keras' in the "
            f"1x1 convolutions before them: all tensors would fit, and the features would be others"
        )
    return Network("ResNet", settings["model_id"])


def resnet_blocks(backbone: Any) -> list[Any]:
    """Return the bottleneck blocks of a ResNet, the first one first; none of another backbone."""
    return [layer for layer in backbone.layers if hasattr(layer, "_conv3")]


def resnet_stem(backbone: Any) -> tuple[Any, Any]:
    """Return the convolution and the batch norm that a ResNet begins with."""
    blocks = resnet_blocks(backbone)
    convolution, norm = (layer for layer in backbone.layers if layer.weights and layer not in blocks)
    return convolution, norm


def gamma_for(gamma: np.ndarray, variance: np.ndarray, theirs: float, ours: float) -> np.ndarray:
    """Let a batch norm's gamma make up for another epsilon: it divides by ``sqrt(variance + epsilon)``."""
    variance = variance.astype(np.float64)
    return gamma if ours == theirs else gamma * np.sqrt((variance + ours) / (variance + theirs))


def strides_come_first(backbone: Any) -> bool:
    """Return whether a ResNet has its strides where Keras has them, in the first convolution of a block."""
    blocks = [block for block in resnet_blocks(backbone) if block._strides == 2]
    return bool(blocks) and all((*block._conv1.strides, *block._conv2.strides) == (2, 2, 1, 1) for block in blocks)


def read(path: Path, origin: str) -> Tensors:
    """Return every tensor of a Keras ``.h5`` weights file in layer order, with its name.

    Raises:
        ValueError: it is no such file, or not a whole one; the message calls it ``origin``.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            layers = [file[_text(name)] for name in file.attrs["layer_names"]]
            return [(_text(name), layer[name][()]) for layer in layers for name in layer.attrs["weight_names"]]
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(
            f"{origin}: not a Keras weights file (HDF5), or damaged or cut off ({error}). Fetch it again."
        ) from error


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def values(
    tensors: Tensors, backbone: Any, network: Network, origin: str, ours: Normalization
) -> list[tuple[Any, np.ndarray]]:
    """Return what the tensors of a network of Keras Applications give the same backbone of the Model Garden.

    With these values it gives Keras' features for images that are normalized in our way, but for what the padding adds:
    zeros are another colour where another normalization is folded into the first convolution.

    Args:
        tensors: all tensors with their names, in Keras' order.
        backbone: of a Model Garden detector.
        network: what `of` says that it is.
        origin: what to call the tensors in messages.
        ours: how images are normalized for the backbone.

    Returns:
        Pairs of variable and array.

    Raises:
        ValueError: a tensor does not fit.
    """
    wanted, arrays = _fitted(tensors, backbone, network, origin)
    resnet = network.kind == "ResNet"
    if resnet:
        arrays["kernel"][0] = arrays["kernel"][0][:, :, ::-1]  # Keras' takes blue first
        # The Model Garden's convolutions have no biases; the batch norms behind them take those of Keras'.
        pairs = zip(arrays["moving_mean"], arrays["bias"], strict=True)
        arrays |= {"moving_mean": [mean - bias for mean, bias in pairs], "bias": []}
    if network.kind == "MobileNetV3Large":
        _scale_gates(arrays["kernel"], [name for name, _ in wanted["kernel"]])
    theirs, epsilon = (_RESNET_EPSILON if resnet else _EPSILON), backbone.get_config()["norm_epsilon"]
    pairs = zip(arrays["gamma"], arrays["moving_variance"], strict=True)
    arrays["gamma"] = [gamma_for(gamma, variance, theirs, epsilon) for gamma, variance in pairs]
    # keras/src/applications/imagenet_utils.py
    _fold_normalization(arrays, NORMALIZATIONS["mean" if resnet else "symmetric"], ours)
    return [
        (variable, array.astype(np.float32))
        for kind in _KINDS
        for (_, variable), array in zip(wanted[kind], arrays[kind], strict=True)
    ]


def terms(network: Network) -> Terms:
    """Return the terms of a network's published weights, as the documentation of Keras Applications gives them."""
    licence, citation = _TERMS["MobileNet" if network.kind.startswith("MobileNet") else network.kind]
    return Terms(f"Keras' documentation gives these weights under the {licence}.", citation)


def difference(backbone: Any, network: Network) -> str:
    """Return what the same weights do otherwise in a backbone, as the end of a sentence; empty where nothing."""
    if network.kind == "ResNet" and backbone.get_config()["activation"] != "relu":
        return f", with {backbone.get_config()['activation']} in place of its relu, which training has to adapt to"
    return ""


def unread(backbone: Any, network: Network) -> list[Any]:
    """Return the backbone's tensors that are part of Keras' top, so that its file without top has none for them."""
    if network.kind != "MobileNetV3Large":
        return []
    return [layer for layer in backbone.layers if layer.weights][-1].weights


def check(tensors: Tensors, backbone: Any, network: Network, origin: str) -> None:
    """Raise ValueError where tensors do not fit a backbone, with the first misfit."""
    _fitted(tensors, backbone, network, origin)


def _fitted(
    tensors: Tensors, backbone: Any, network: Network, origin: str
) -> tuple[Kinds, dict[str, list[np.ndarray]]]:
    """Return the backbone's variables and the arrays for them, by kind, in the same order."""
    apart = {id(variable) for variable in unread(backbone, network)}
    wanted = _by_kind((variable.name, variable) for variable in backbone.weights if id(variable) not in apart)
    resnet = network.kind == "ResNet"
    found = _by_kind(_resnet_order(tensors, origin) if resnet else tensors)
    _check_fit(found | ({"bias": []} if resnet else {}), wanted, origin, network)
    for name, array in tensors:
        if not np.isfinite(array).all():
            raise ValueError(f"{origin}: {name} holds NaN or infinite values. Fetch it again.")
    return wanted, {kind: [np.asarray(array, np.float64) for _, array in found[kind]] for kind in _KINDS}


def _by_kind(named: Iterable[tuple[str, Any]]) -> Kinds:
    """Sort ``block/conv/depthwise_kernel:0`` and the like by the kind of leaf, keeping the order within each kind."""
    kinds: Kinds = {kind: [] for kind in _KINDS}
    for name, value in named:
        # Keras 2 says depthwise_kernel where Keras 3 says kernel.
        kind = name.rsplit("/", 1)[-1].split(":")[0].removeprefix("depthwise_")
        kinds.setdefault(kind, []).append((name, value))
    return kinds


def _resnet_order(tensors: Tensors, origin: str) -> Tensors:
    """Order a ResNet's tensors as the Model Garden makes them: a block's shortcut, 0, before its convolutions 1 to 3.

    Keras' own order follows the depth in the graph, in which the shortcut comes after the second convolution.
    """

    def place(tensor: tuple[str, np.ndarray]) -> tuple[int, ...]:
        found = re.search(r"(?:^|/)conv(\d)_(?:block(\d+)_(\d)_)?(?:conv|bn)/", tensor[0])
        if not found:
            raise ValueError(f"{origin}: {tensor[0]} is no tensor of a ResNet without top (include_top=False)")
        return tuple(int(part or 0) for part in found.groups())

    return sorted(tensors, key=place)


def _check_fit(found: Kinds, wanted: Kinds, origin: str, network: Network) -> None:
    for kind in dict.fromkeys([*wanted, *found]):
        theirs, ours = found.get(kind, []), wanted.get(kind, [])
        misfits = [
            f"{name} has shape {array.shape}, {our_name} has {tuple(variable.shape)}"
            for (name, array), (our_name, variable) in zip(theirs, ours, strict=False)
            if array.shape != tuple(variable.shape)
        ]
        if len(theirs) != len(ours):
            misfits = [f"it has {len(theirs)} tensors called {kind}, the backbone has {len(ours)}"]
        if misfits:
            raise ValueError(
                f"{origin} does not fit the backbone: {misfits[0]}. Use {network} without top (include_top=False)."
            )


def _scale_gates(kernels: list[np.ndarray], names: list[str]) -> None:
    """Let each kernel behind a gate make up for the Model Garden's rounded sixth."""
    for place, (name, following) in enumerate(itertools.pairwise(names)):
        if "squeeze_excitation" in name and "squeeze_excitation" not in following:
            kernels[place + 1] = kernels[place + 1] * _GATE


def _fold_normalization(arrays: dict[str, list[np.ndarray]], theirs: Normalization, ours: Normalization) -> None:
    """Let the first convolution and its batch norm make up for another normalization.

    Of the same pixel Keras sees ``k`` and this network ``o``, and ``k = o our_scale / their_scale + (our_mean -
    their_mean) / their_scale``. The convolution is linear: its kernel takes the factor, and the moving mean of the
    batch norm behind it takes the constant.
    """
    kernel = arrays["kernel"][0]  # (height, width, 3 colours, filters)
    constant = np.einsum("hwcf,c->f", kernel, (ours.mean - theirs.mean) / theirs.scale.astype(np.float64))
    arrays["kernel"][0] = kernel * (ours.scale / theirs.scale.astype(np.float64))[:, None]
    arrays["moving_mean"][0] = arrays["moving_mean"][0] - constant
