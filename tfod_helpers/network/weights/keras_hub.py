"""KerasHub's RetinaNet with a ResNet -> the tensors of the Model Garden's RetinaNet, which is the same network.

A preset of KerasHub is a folder with ``model.weights.h5``, backbone and pyramid, and ``task.weights.h5``, the heads.
Where both programs differ, it is made up for exactly:

* KerasHub's pyramid and heads have no batch norms; ours do nothing. Those of its backbone have another epsilon, which
  gamma takes.
* Its boxes are coded dx, dy, dw, dh, ours dy, dx, dh, dw.
* It pads a ResNet as torchvision does, whose weights these are, and places its anchors so: settings of the network,
  ``task.padding`` and ``task.anchor_layout``, which the preset retinanet_resnet50_640 has.

Layers and their names were read in keras_hub/src/models/{resnet,retinanet}, and files that it writes were looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.network.weights import class_outputs, networks
from tfod_helpers.network.weights.checkpoints import Values
from tfod_helpers.network.weights.networks import NORM
from tfod_helpers.network.weights.published import PLAIN_RESNET, describe
from tfod_helpers.presets.models import TORCHVISION

BACKBONE, HEADS = "model.weights.h5", "task.weights.h5"  # the names that KerasHub gives the files of a preset
_PADDING = "symmetric"
_HEAD = {
    "min_level": 3,
    "max_level": 7,
    "num_convs": 4,
    "num_filters": 256,
    "num_anchors_per_location": 9,
    "use_separable_conv": False,
    "share_level_convs": True,
}
_EPSILON = 1e-5  # of its batch norms
_FITTING = "retinanet_resnet50_fpn_coco"

Layers = dict[str, list[Any]]  # name -> its datasets, in Keras' order


def read(
    model: Any,
    files: Sequence[Path],
    *,
    names: Sequence[str],
    theirs: Sequence[str | None],
    known_as: Mapping[str, str] | None = None,
) -> Values:
    """Return the values of KerasHub's weights for a network's tensors.

    Args:
        model: a RetinaNet with a ResNet-50 and the Model Garden's pyramid; padding and anchors are the caller's care.
        files: of a preset, or one that ``save_weights`` wrote.
        names: the network's classes. The outputs of those that the weights know too are taken; where they know none
            of them, none are.
        theirs: the classes of the weights, background left out; None for an output that no class has. Where the
            weights have another number of outputs, their classes are not known, and none are taken.
        known_as: what some classes of the network are called in the weights.

    Returns:
        Pairs of variable and array.

    Raises:
        ValueError: they are damaged, or another network's; the message says what can be done.
    """
    import h5py

    origin = " and ".join(map(str, files))
    layers: Layers = {}
    with ExitStack() as stack:
        try:
            for path in files:
                _add(layers, stack.enter_context(h5py.File(path)))
            _check_kind(layers, origin)
            return _values(model, layers, origin, (names, theirs, known_as))
        except OSError as error:
            raise ValueError(
                f"{origin}: not Keras' weights (HDF5), or damaged or cut off ({error}). Fetch them again."
            ) from error


def misfit(model: Any, padding: str, anchor_layout: str) -> str:
    """Return why a network cannot have KerasHub's weights, and what to do; empty where it can.

    Args:
        model: a Model Garden detector.
        padding: how its ResNet pads; see `network.padding`.
        anchor_layout: whose rule places its anchors; see `network.inputs.anchors`.
    """
    if not hasattr(getattr(model, "head", None), "_box_regressor"):
        return _only("this network is no RetinaNet")
    backbone = {**PLAIN_RESNET, "model_id": 50, "activation": "relu"}
    if not backbone.items() <= describe(model.backbone).items() or networks.strides_come_first(model.backbone):
        return _only("this network's backbone is another one")
    if type(model.decoder).__name__ != "FPN" or not _HEAD.items() <= model.head.get_config().items():
        return _only("this network's pyramid or its heads are others")
    if (padding, anchor_layout) != (_PADDING, TORCHVISION):
        return _only(f"this network has task.padding={padding!r} and task.anchor_layout={anchor_layout!r}")
    return ""


def _only(what: str) -> str:
    return (
        f"{what}. KerasHub's weights are for a RetinaNet with a ResNet-50, task.padding={_PADDING!r} and "
        f"task.anchor_layout={TORCHVISION!r}, as the preset retinanet_resnet50_640 has it."
    )


def check(path: Path) -> None:
    """Raise ValueError where a file is not whole, or holds none of KerasHub's layers."""
    import h5py

    layers: Layers = {}
    try:
        with h5py.File(path) as file:
            _add(layers, file)
    except OSError as error:
        raise ValueError(f"{path.name}: not Keras' weights (HDF5), or damaged or cut off ({error})") from error
    _check_kind(layers, path.name)


# --- the files ------------------------------------------------------------------------------------


def _add(layers: Layers, file: Any) -> None:
    """Add a file's datasets under the names of their layers."""
    import h5py

    found: dict[str, dict[int, Any]] = {}

    def visit(place: str, item: Any) -> None:
        path, _, number = place.rpartition("/")
        if isinstance(item, h5py.Dataset) and path.endswith("/vars") and not path.startswith("optimizer/"):
            found.setdefault(_name(file, path.removesuffix("/vars").split("/")), {})[int(number)] = item

    file.visititems(visit)
    for name, datasets in found.items():  # what is in the backbone's file counts, as in KerasHub
        layers.setdefault(name, [datasets[number] for number in sorted(datasets)])


def _name(file: Any, path: list[str]) -> str:
    """Return the name of a layer, of one in a head with the head's name before it; Keras writes names since 3.8."""
    in_head = [depth for depth, part in enumerate(path, start=1) if part.startswith("prediction_head")]
    own, *above = [file["/".join(path[:depth])].get("vars") for depth in (len(path), *in_head)]
    return "/".join(str(group.attrs.get("name", path[-1])) for group in [*above, own] if group)


def _check_kind(layers: Layers, origin: str) -> None:
    """Raise ValueError where the layers are those of another network, with its name where that is known."""
    if any("group_norm" in name for name in layers):
        what = "the second version of KerasHub's RetinaNet, whose heads have group norms, which the Model Garden's lack"
    elif not layers.keys() & {"lateral_conv_P3", "classification_head/logits_layer"}:
        shown = ", ".join(list(layers)[:4]) or "none at all"
        what = f"no RetinaNet of KerasHub's: its layers are {shown}"
    else:
        return
    raise ValueError(f"{origin}: this is {what}. Use KerasHub's {_FITTING}.")


# --- what goes where ------------------------------------------------------------------------------


def _values(model: Any, layers: Layers, origin: str, classes: tuple[Any, ...]) -> Values:
    values: Values = []
    for name, layer in _pairs(model):
        variables = [getattr(layer, kind) for kind in (NORM if hasattr(layer, "gamma") else ("kernel", "bias"))]
        variables = [variable for variable in variables if variable is not None]
        if name is None:
            values += zip(variables, _identity(layer), strict=True)
            continue
        is_class = name == "classification_head/logits_layer"
        arrays = _arrays(layers, name, [None if is_class else tuple(one.shape) for one in variables], origin)
        if hasattr(layer, "gamma"):
            arrays[0] = networks.gamma_for(arrays[0], arrays[3], _EPSILON, layer.epsilon)
        elif name == "box_head/logits_layer":
            arrays = [
                array.reshape(*array.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(array.shape) for array in arrays
            ]
        elif is_class:
            values += _class_values(model, variables, arrays, *classes)
            continue
        values += zip(variables, arrays, strict=True)
    if layers:
        raise ValueError(f"{origin}: this network has no place for {', '.join(list(layers)[:4])}. {_other()}")
    return values


def _pairs(model: Any) -> Iterator[tuple[str | None, Any]]:
    """Yield each layer of a network with its name in KerasHub; None for a batch norm that is to do nothing."""
    yield from zip(("conv1_conv", "conv1_bn"), networks.resnet_stem(model.backbone), strict=True)
    stage = block_number = -1
    for block in networks.resnet_blocks(model.backbone):
        stage, block_number = (stage + 1, 0) if block._use_projection else (stage, block_number + 1)
        start = f"stack{stage}_block{block_number}"
        if block._use_projection:
            yield from ((f"{start}_0_conv", block._shortcut), (f"{start}_0_bn", block._norm0))
        for number in (1, 2, 3):
            yield f"{start}_{number}_conv", getattr(block, f"_conv{number}")
            yield f"{start}_{number}_bn", getattr(block, f"_norm{number}")
    named = {"lateral": "lateral_conv_P", "post_hoc": "output_conv_P", "coarser": "coarser_P", "norm": None}
    for layer in model.decoder.layers:
        kind, _, level = layer.name.rpartition("_")
        if layer.weights:
            theirs = named[kind]
            yield theirs and f"{theirs}{level}", layer
    head = model.head
    for name, convolutions, norms, last in (
        ("classification_head", head._cls_convs, head._cls_norms, head._classifier),
        ("box_head", head._box_convs, head._box_norms, head._box_regressor),
    ):
        yield from ((f"{name}/conv2d_{number}", layer) for number, layer in enumerate(convolutions))
        yield from ((None, norm) for of_level in norms for norm in of_level)
        yield f"{name}/logits_layer", last


def _identity(norm: Any) -> list[np.ndarray]:
    """Return gamma, beta, mean and variance of a batch norm that changes nothing."""
    one = np.ones(norm.gamma.shape)
    return [one * np.sqrt(1 + norm.epsilon), 0 * one, 0 * one, one]


def _arrays(layers: Layers, name: str, shapes: Sequence[tuple[int, ...] | None], origin: str) -> list[np.ndarray]:
    """Take a layer's arrays out, and check that they are those that are wanted; None stands for any shape."""
    if name not in layers:
        raise ValueError(f"{origin}: {name} is missing. {_other()}")
    datasets = layers.pop(name)
    found = [dataset.shape for dataset in datasets]
    if len(found) != len(shapes) or any(want not in (None, shape) for want, shape in zip(shapes, found, strict=True)):
        raise ValueError(
            f"{origin}: {name} has tensors of the shapes {found}, this network's {list(shapes)}. {_other()}"
        )
    arrays = [dataset[()] for dataset in datasets]
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays):
        raise ValueError(f"{origin}: {name} holds NaN, infinite values, or no floating-point numbers. Fetch it again.")
    return arrays


def _class_values(
    model: Any,
    variables: Sequence[Any],
    arrays: Sequence[np.ndarray],
    names: Sequence[str],
    theirs: Sequence[str | None],
    known_as: Mapping[str, str] | None,
) -> Values:
    anchors = model.head.get_config()["num_anchors_per_location"]
    known = theirs if arrays[-1].shape == (anchors * (len(theirs) + 1),) else ()
    places = class_outputs.places(names, known, known_as)
    return class_outputs.shared(model.head, zip(variables, arrays, strict=True), places)


def _other() -> str:
    return f"These are another network's weights, or not all of them. Give the folder of KerasHub's {_FITTING}."
