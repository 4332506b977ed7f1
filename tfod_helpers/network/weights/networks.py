"""Which networks of Keras Applications are the Model Garden's too, and how their tensors are carried over.

Both build the same networks out of differently named layers, and feed them differently normalised images. `copy` puts
each tensor in its place and makes up for all that differs, so that the features are the same. Where that cannot be,
`of` says why. What was read in both sources:

* **MobileNetV1, V2, V3** are the same. Keras pads by hand where the stride is 2, as ``same`` pads at every size. V3's
  gates are ``relu6(x + 3) * 0.16667`` here and ``/ 6`` there; the kernel behind makes up for it. Its last convolution
  is part of Keras' top, which its file does not have; no detector reads it.
* **EfficientNet** is the same where it is built with ``activation="swish"``, ``se_ratio=0.25`` and
  ``se_inner_activation="swish"``. A detector's config cannot set the last: it gives ``relu``.
* **ResNet**: Keras has a block's stride in its first 1x1 convolution, the Model Garden in its 3x3. All shapes agree and
  the features do not. A backbone whose strides were moved is the same, for an image that is shifted by 3 pixels: its
  stem pads 2 pixels above and to the left where Keras pads 3, and its pooling 0 where Keras pads 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.network.weights.published import Published, keras_file

Tensors = list[tuple[str, np.ndarray]]
Kinds = dict[str, list[tuple[str, Any]]]  # kind of leaf -> (name, array or variable), in creation order

_KINDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
_NORMALIZATION = ("mean", "variance", "count")  # of the layer at the bottom of an EfficientNet
_GATE = (1 / 6) / 0.16667  # Keras' hard sigmoid over official/modeling/activations/sigmoid.py's
_CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB, keras/src/applications/imagenet_utils.py
_MEAN, _STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))  # official/vision/ops/preprocess_ops.py


@dataclass(frozen=True)
class Network:
    """A network that Keras Applications and the Model Garden share.

    Attributes:
        kind: ``MobileNetV2`` and the like, as in `published.keras_files`.
        size: its width, letter or depth.
        epsilon: of Keras' batch norms.
        scale: what Keras multiplies a pixel from 0 to 1 with, in each colour.
        offset: what it then adds.
    """

    kind: str
    size: Any
    epsilon: float = 1e-3
    scale: np.ndarray = field(default_factory=lambda: np.full(3, 2.0))
    offset: np.ndarray = field(default_factory=lambda: np.full(3, -1.0))

    @property
    def file(self) -> Published:
        """Its published weights.

        Raises:
            ValueError: there are none of this size.
        """
        return keras_file(self.kind, self.size)

    def __str__(self) -> str:
        return f"Keras Applications' {self.kind} of {'width ' * self.kind.startswith('MobileNet')}{self.size}"


def of(backbone: Any) -> Network:
    """Return the network of Keras Applications that a backbone is.

    Args:
        backbone: ``model.backbone`` of a Model Garden detector.

    Raises:
        ValueError: there is no such network; the message says what differs.
    """
    settings, kind = backbone.get_config(), type(backbone).__name__
    name = str(settings.get("model_id", ""))
    if kind == "MobileNet" and name in ("MobileNetV1", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"):
        if settings["output_stride"]:
            raise ValueError(f"this {name} is dilated (output_stride={settings['output_stride']}), Keras' is not")
        return Network(name, settings["filter_size_scale"])
    if kind == "EfficientNet":
        wanted = {"activation": "swish", "se_inner_activation": "swish", "se_ratio": 0.25}
        found = {"se_inner_activation": backbone._se_inner_activation, **settings}
        for setting, value in wanted.items():
            if found[setting] != value:
                raise ValueError(f"this EfficientNet has {setting}={found[setting]!r}, Keras' {value!r}")
        return Network(kind, name)
    if kind == "ResNet":
        return _resnet(backbone, settings)
    raise ValueError(f"Keras Applications has no {name or kind}")


def _resnet(backbone: Any, settings: dict[str, Any]) -> Network:
    plain = {"stem_type": "v0", "depth_multiplier": 1.0, "resnetd_shortcut": False, "replace_stem_max_pool": False}
    for setting, value in (plain | {"activation": "relu"}).items():
        if settings[setting] != value:
            raise ValueError(f"this ResNet has {setting}={settings[setting]!r}, Keras' has {value!r}")
    if settings["se_ratio"]:
        raise ValueError("this ResNet has squeeze-and-excitation, Keras' has none")
    if not strides_come_first(backbone):
        raise ValueError(
            f"the Model Garden's ResNet-{settings['model_id']} has its strides in the 3x3 convolutions, Keras' in the "
            f"1x1 convolutions before them: all tensors would fit, and the features would be others"
        )
    return Network("ResNet", settings["model_id"], 1.001e-5, np.full(3, 255.0), -np.array(_CAFFE_MEAN))


def strides_come_first(backbone: Any) -> bool:
    """Return whether a ResNet has its strides where Keras has them, in the first convolution of a block."""
    blocks = [layer for layer in backbone.layers if getattr(layer, "_strides", 1) == 2 and hasattr(layer, "_conv3")]
    return bool(blocks) and all((*block._conv1.strides, *block._conv2.strides) == (2, 2, 1, 1) for block in blocks)


def read(path: Path, origin: str) -> Tensors:
    """Return every tensor of a Keras ``.h5`` weights file in layer order, with its name.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no such file, or not a whole one; the message calls it ``origin``.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            layers = [file[_text(name)] for name in file.attrs["layer_names"]]
            return [(_text(name), layer[name][()]) for layer in layers for name in layer.attrs["weight_names"]]
    except FileNotFoundError:
        raise FileNotFoundError(f"{origin}: there is no weights file here. Check the path.") from None
    except (OSError, KeyError, TypeError) as error:
        with path.open("rb") as file:
            page = file.read(64).lstrip()[:1] == b"<"
        what = "a web page" if page else f"damaged, cut off or of another kind ({error})"
        raise ValueError(f"{origin}: not a Keras weights file (HDF5) but {what}. Fetch it again.") from error


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def copy(tensors: Tensors, backbone: Any, network: Network, origin: str) -> int:
    """Fill a backbone with the tensors of the same network of Keras Applications.

    Afterwards it gives Keras' features for images that are normalised as the Model Garden does it, but for what the
    padding adds: zeros are grey to Keras' MobileNets, nearly ImageNet's mean colour to its ResNets, and exactly that
    colour here.

    Args:
        tensors: all tensors with their names, in Keras' order.
        backbone: of a Model Garden detector.
        network: what `of` says that it is.
        origin: what to call the tensors in messages.

    Returns:
        How many of the backbone's tensors were filled.

    Raises:
        ValueError: a tensor does not fit. The backbone is left as it was.
    """
    found, wanted, arrays = _fitted(tensors, backbone, network, origin)
    scale, offset = network.scale, network.offset
    if network.kind == "EfficientNet":
        # Keras' model divides by another root of the deviation, because it keeps deviations as variances.
        mean, variance = (np.ravel(found[kind][0][1]).astype(np.float64) for kind in ("mean", "variance"))
        scale = 1 / np.sqrt(variance * _STD)
        offset = -mean * scale
    if network.kind == "ResNet":
        arrays["kernel"][0] = arrays["kernel"][0][:, :, ::-1]  # Keras' takes blue first
        arrays["moving_mean"] = [m - found["bias"][i][1] for i, m in enumerate(arrays["moving_mean"])]
    if network.kind.startswith("MobileNetV3"):
        _scale_gates(arrays["kernel"], [name for name, _ in wanted["kernel"]])
    _match_epsilon(arrays, network.epsilon, backbone.get_config()["norm_epsilon"])
    _fold_normalization(arrays, scale, offset)
    for kind in _KINDS:
        for (_, variable), array in zip(wanted[kind], arrays[kind], strict=True):
            variable.assign(array.astype(np.float32))
    return sum(map(len, wanted.values()))


def unread(backbone: Any, network: Network) -> list[Any]:
    """Return the backbone's tensors that are part of Keras' top, so that its file without top has none for them."""
    if not network.kind.startswith("MobileNetV3"):
        return []
    return [layer for layer in backbone.layers if layer.weights][-1].weights


def check(tensors: Tensors, backbone: Any, network: Network, origin: str) -> None:
    """Raise ValueError where tensors do not fit a backbone, with the first misfit."""
    _fitted(tensors, backbone, network, origin)


def _fitted(
    tensors: Tensors, backbone: Any, network: Network, origin: str
) -> tuple[Kinds, Kinds, dict[str, list[np.ndarray]]]:
    apart = {id(variable) for variable in unread(backbone, network)}
    variables = [variable for variable in backbone.weights if id(variable) not in apart]
    found = _by_kind(_resnet_order(tensors, origin) if network.kind == "ResNet" else tensors)
    wanted = _by_kind((variable.name, variable) for variable in variables)
    set_aside = ("bias",) if network.kind == "ResNet" else _NORMALIZATION if network.kind == "EfficientNet" else ()
    _check_fit({kind: of_kind for kind, of_kind in found.items() if kind not in set_aside}, wanted, origin, network)
    arrays = {kind: [np.asarray(array, np.float64) for _, array in found[kind]] for kind in _KINDS}
    for name, array in tensors:
        if not np.isfinite(array).all():
            raise ValueError(f"{origin}: {name} holds values that are no numbers. Fetch it again.")
    if "bias" in set_aside:
        arrays["bias"] = []
    return found, wanted, arrays


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


def _match_epsilon(arrays: dict[str, list[np.ndarray]], theirs: float, ours: float) -> None:
    """Let each gamma make up for another epsilon: a batch norm divides by ``sqrt(variance + epsilon)``."""
    if ours != theirs:
        arrays["gamma"] = [
            gamma * np.sqrt((variance + ours) / (variance + theirs))
            for gamma, variance in zip(arrays["gamma"], arrays["moving_variance"], strict=True)
        ]


def _fold_normalization(arrays: dict[str, list[np.ndarray]], scale: np.ndarray, offset: np.ndarray) -> None:
    """Let the first convolution and its batch norm make up for another normalization.

    For a pixel p from 0 to 1, Keras feeds ``k = scale p + offset`` and the Model Garden ``o = (p - mean) / std``, hence
    ``k = scale std o + (scale mean + offset)``. The convolution is linear: its kernel takes the factor, and the moving
    mean of the batch norm behind it takes the constant.
    """
    kernel = arrays["kernel"][0]  # (height, width, 3 colours, filters)
    constant = np.einsum("hwcf,c->f", kernel, scale * _MEAN + offset)
    arrays["kernel"][0] = kernel * (scale * _STD)[:, None]
    arrays["moving_mean"][0] = arrays["moving_mean"][0] - constant
