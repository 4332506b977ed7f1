"""A checkpoint of the TensorFlow Object Detection API (TF2) -> the tensors of a network of its SSDs.

The presets whose pyramid is ``ssd_fpn`` or ``ssd_maps`` build the networks of the API's SSDs part by part, so that
every tensor has its place. What the API does otherwise is made up for here, exactly:

* Its boxes are coded in tenths and fifths of an anchor (faster_rcnn_box_coder); the last kernel and bias of the box
  head are divided by these factors.
* Its FPNLite has one tower of convolutions for both heads; each of ours gets a copy.
* Its SSD without a pyramid reads what a block of the backbone expands its input to; ``ssd_maps`` gets a copy of that.
* Its batch norms may have another epsilon; gamma takes it.
* Its convolutions in the heads have no bias; ours is zero.

Keys were read in object_detection/{models,predictors,meta_architectures} and in checkpoints of the TF2 Detection Zoo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfod_helpers.network.weights import class_outputs, networks
from tfod_helpers.network.weights.api_tensors import MAPS, PYRAMID, Tensors
from tfod_helpers.network.weights.checkpoints import Values
from tfod_helpers.network.weights.networks import NORM

_BACKBONE = "_feature_extractor/classification_backbone/layer_with_weights-"
_COARSE = "_feature_extractor/_coarse_feature_layers"
_TOWERS, _NORMS = "_box_predictor/_head_scope_conv_layers", "_box_predictor/_base_tower_layers_for_heads"
_HEADS = "_box_predictor/_prediction_heads"
# Where the last convolutions are: one for all levels, one for each, and the list that it is in.
_BOXES = "_box_predictor/_box_prediction_head", f"{_HEADS}/box_encodings", "_box_encoder_layers"
_SCORES = f"{_HEADS}/class_predictions_with_background"
_CLASSES = _SCORES, _SCORES, "_class_predictor_layers"


Pair = tuple[Any, list[Any]]  # a convolution's kernel, and its batch norm's variables


@dataclass(frozen=True)
class Original:
    """What a checkpoint does not say of its network.

    Attributes:
        classes: its classes in the order of their ids, from 1; None for an id that no class has.
        box_scales: factors that its box coder multiplies ty, tx, th and tw by.
        epsilon: of its batch norms in the backbone, the pyramid and the heads.
    """

    classes: Sequence[str | None]
    box_scales: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    epsilon: tuple[float, float, float] = (1e-3, 1e-3, 1e-3)


def read(model: Any, prefix: str, original: Original, *, names: Sequence[str], known_as: Any = ()) -> Values:
    """Return the values of a checkpoint for a network's tensors.

    Args:
        model: a network that was built with an ``ssd_fpn`` pyramid, or with ``ssd_maps``.
        prefix: of the checkpoint: its path without ``.index``.
        original: what the checkpoint does not say.
        names: the network's classes. The outputs of those that the checkpoint knows too are taken; where it knows
            none of them, none are.
        known_as: pairs of a class of the network, and what the checkpoint calls it.

    Returns:
        Pairs of variable and array.

    Raises:
        ValueError: it is a checkpoint of another network, or not whole; the message says what can be done.
    """
    tensors = Tensors(prefix)
    decoder, head = model.decoder, model.head
    parts = _pyramid if any(layer.name.startswith("lateral_") for layer in decoder.layers) else _maps
    values = [*_backbone(model, tensors, original.epsilon[0]), *parts(decoder, tensors, original)]
    values += _heads(head, tensors, original)
    outputs = [(variable, tensors.take(key)) for variable, key in _last(head._classifier, _CLASSES, tensors)]
    anchors = outputs[-1][0].shape[0] // head.get_config()["num_classes"]
    _check_classes(len(outputs[-1][1]) / anchors - 1, original, prefix)
    places = class_outputs.places(names, original.classes, known_as)
    values += class_outputs.shared(head, outputs, places)
    tensors.check_all_read()
    _check(values, prefix)
    return values


def repeated(model: Any) -> list[tuple[Pair, Pair]]:
    """Return the convolutions of a decoder that its MobileNet has too, each with the one there.

    The last of all, which nothing reads in the backbone; and what a block expands its input to, which it shows to
    nobody: of those of this shape the last, since the others come before the features that are expanded.
    """
    layers = {layer.name: layer for layer in getattr(model.decoder, "layers", ())}
    found = {
        name: (layers[name].kernel, [getattr(layers[f"{name}_norm"], one) for one in NORM])
        for name in ("expansion", "expansion_4")
        if name in layers
    }
    pairs = _layers(model.backbone) if found else []
    twins = {"expansion": pairs[-1]} if found else {}
    if inner := found.get("expansion_4"):
        twins["expansion_4"] = [pair for pair in pairs if pair[0].shape == inner[0].shape][-1]
    return [(pair, twins[name]) for name, pair in found.items()]


# --- the parts ------------------------------------------------------------------------------------


def _backbone(model: Any, tensors: Tensors, epsilon: float) -> Iterator[tuple[Any, np.ndarray]]:
    numbers = tensors.numbers(_BACKBONE)
    norms = [n for n in numbers if f"{_BACKBONE}{n}/moving_mean" in tensors.keys]
    kernels = [n for n in numbers if n not in norms]
    pairs = _layers(model.backbone)
    if not len(norms) == len(kernels) == len(pairs):
        raise ValueError(
            f"The checkpoint's backbone has {len(kernels)} convolutions and {len(norms)} batch norms, this network's "
            f"{len(pairs)} of both: another backbone, or another depth. Give the checkpoint of this pipeline.config."
        )
    ours = model.backbone.get_config()["norm_epsilon"]
    keys = dict(zip((id(kernel) for kernel, _ in pairs), zip(kernels, norms, strict=True), strict=True))
    places = [(pair, keys[id(pair[0])]) for pair in pairs]
    for pair, twin in repeated(model):
        if twin[0] is pairs[-1][0]:
            places.pop()  # nothing reads it in the backbone, and it may be wider there
        places.append((pair, keys[id(twin[0])]))
    for (kernel, norm), (kernel_number, norm_number) in places:
        yield kernel, tensors.take(f"{_BACKBONE}{kernel_number}/{_kind(kernel)}")
        yield from _batch_norm(norm, f"{_BACKBONE}{norm_number}", tensors, epsilon, ours)


def _layers(backbone: Any) -> list[Pair]:
    """Return each convolution's kernel and its batch norm's variables, in the order that Keras gives the layers.

    Keras orders a ResNet's layers by their depth in the graph, in which a block's shortcut comes before its third
    convolution; in a MobileNet they follow one another.
    """
    norms: dict[str, list[Any]] = {name: [] for name in NORM}
    blocks = networks.resnet_blocks(backbone)
    if not blocks:
        kernels: list[Any] = []
        for variable in backbone.weights:
            norms.get(_kind(variable), kernels).append(variable)
        return list(zip(kernels, map(list, zip(*norms.values(), strict=True)), strict=True))
    layers = [networks.resnet_stem(backbone)]
    for block in blocks:
        layers += [(block._conv1, block._norm1), (block._conv2, block._norm2)]
        layers += [(block._shortcut, block._norm0)] if block._use_projection else []
        layers += [(block._conv3, block._norm3)]
    return [(conv.kernel, [getattr(norm, name) for name in NORM]) for conv, norm in layers]


def _pyramid(decoder: Any, tensors: Tensors, original: Original) -> Iterator[tuple[Any, np.ndarray]]:
    epsilon, ours = original.epsilon[1], decoder.norm_epsilon
    laterals = sorted(
        (layer for layer in decoder.layers if layer.name.startswith("lateral_")), key=lambda one: one.name
    )
    *finer, coarsest = laterals
    places = [(coarsest, f"{PYRAMID}/top_layers/0")]
    for layer, number in zip(reversed(finer), tensors.numbers(f"{PYRAMID}/residual_blocks/"), strict=True):
        places.append((layer, f"{PYRAMID}/residual_blocks/{number}/0"))
    top = int(coarsest.name.rpartition("_")[2])
    smooth = {int(layer.name.rpartition("_")[2]): layer for layer in decoder.layers if layer.name.startswith("smooth_")}
    down = [level for level in sorted(smooth, reverse=True) if level < top]
    beyond = [level for level in sorted(smooth) if level > top]
    for start, levels in ((f"{PYRAMID}/conv_layers", down), (_COARSE, beyond)):
        for number, level in enumerate(levels):
            conv, norm = _two(tensors, f"{start}/{number}/")
            places.append((smooth[level], conv))
            layer = decoder.get_layer(f"norm_{level}")
            yield from _batch_norm([getattr(layer, name) for name in NORM], norm, tensors, epsilon, ours)
    for layer, key in places:
        for name, variable in _leaves(layer):
            yield variable, tensors.take(f"{key}/{name}")


def _maps(decoder: Any, tensors: Tensors, original: Original) -> Iterator[tuple[Any, np.ndarray]]:
    # The API counts the two maps of the backbone as well, and in a list the activations: 1x1, norm, _, 3x3, norm, _.
    for number, level in list(enumerate(sorted(decoder.output, key=int)))[2:]:
        for name, place in ((f"narrow_{level}", 0), (f"map_{level}", 3)):
            start, norm = f"{MAPS}/convolutions/{number}/", decoder.get_layer(f"{name}_norm")
            yield decoder.get_layer(name).kernel, tensors.take(f"{start}{place}/kernel")
            variables = [getattr(norm, one) for one in NORM]
            yield from _batch_norm(variables, f"{start}{place + 1}", tensors, original.epsilon[1], norm.epsilon)


def _two(tensors: Tensors, start: str) -> tuple[str, str]:
    """Return the keys of a convolution and its batch norm; with explicit padding a layer without weights is first."""
    numbers = tensors.numbers(start)
    if len(numbers) != 2:
        raise ValueError(f"The checkpoint has {len(numbers)} layers under {start}, this network 2: another network.")
    return f"{start}{numbers[0]}", f"{start}{numbers[1]}"


def _heads(head: Any, tensors: Tensors, original: Original) -> Iterator[tuple[Any, np.ndarray]]:
    shared = any(key.startswith(f"{_TOWERS}/PredictionTower/") for key in tensors.keys)
    for convs, norms, kind, tower in (
        (head._cls_convs, head._cls_norms, "class_predictions_with_background", "ClassPredictionTower"),
        (head._box_convs, head._box_norms, "box_encodings", "BoxPredictionTower"),
    ):
        if not head.get_config()["num_convs"]:
            continue
        start = f"{_TOWERS}/{'PredictionTower' if shared else tower}/"
        # A list of convolution, batch norm and activation by turns, of which only convolutions have weights there.
        for conv, number in _paired(convs, tensors.numbers(start), start):
            for name, variable in _leaves(conv):
                if name != "bias":
                    yield variable, tensors.take(f"{start}{number}/{name}")
                else:
                    yield variable, np.zeros(variable.shape, np.float32)
        for level, of_level in enumerate(norms):
            start = f"{_NORMS}/{'box_encodings' if shared else kind}/{level}/"
            for norm, number in _paired(of_level, tensors.numbers(start), start):
                variables = [getattr(norm, name) for name in NORM]
                yield from _batch_norm(variables, f"{start}{number}", tensors, original.epsilon[2], norm.epsilon)
    for variable, key in _last(head._box_regressor, _BOXES, tensors):
        value = tensors.take(key)
        if "depthwise_kernel" not in variable.name:
            value = (value.reshape(*value.shape[:-1], -1, 4) / np.array(original.box_scales)).reshape(value.shape)
        yield variable, value


def _last(layers: Any, where: tuple[str, str, str], tensors: Tensors) -> Iterator[tuple[Any, str]]:
    """Yield the variables of the last convolutions, and the key of each."""
    shared, apart, kind = where
    starts = [(layers, f"{shared}/{kind}/")]
    if isinstance(layers, list):
        starts = [(layer, f"{apart}/{number}/{kind}/") for number, layer in enumerate(layers)]
    for layer, start in starts:
        number = max(tensors.numbers(start), default=0)  # the list may begin with a dropout
        yield from ((variable, f"{start}{number}/{name}") for name, variable in _leaves(layer))


def _paired(layers: Sequence[Any], numbers: list[int], start: str) -> Iterator[tuple[Any, int]]:
    if len(layers) != len(numbers):
        raise ValueError(
            f"The checkpoint has {len(numbers)} layers under {start}, this network {len(layers)}: "
            f"num_layers_before_predictor or the levels of the pyramid differ. Give the pipeline.config of this "
            f"checkpoint."
        )
    yield from zip(layers, numbers, strict=True)


def _batch_norm(
    variables: Sequence[Any], key: str, tensors: Tensors, epsilon: float, ours: float
) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield the values of a batch norm; its gamma makes up for another epsilon.

    Where the API's config asks for no scale or no centre, there is no gamma (1) or beta (0).
    """
    mean, variance = tensors.take(f"{key}/moving_mean"), tensors.take(f"{key}/moving_variance")
    gamma, beta = (
        tensors.take(f"{key}/{name}") if f"{key}/{name}" in tensors.keys else np.full_like(mean, if_none)
        for name, if_none in (("gamma", 1), ("beta", 0))
    )
    yield from zip(variables, (networks.gamma_for(gamma, variance, epsilon, ours), beta, mean, variance), strict=True)


def _leaves(layer: Any) -> list[tuple[str, Any]]:
    """Return a layer's variables by the names that the API's layers have for them."""
    return [(_kind(variable), variable) for variable in layer.weights]


def _kind(variable: Any) -> str:
    """Return a variable's own name, such as ``depthwise_kernel``."""
    return str(variable.name.rsplit("/", 1)[-1].split(":")[0])


def _check_classes(count: float, original: Original, prefix: str) -> None:
    if count != len(original.classes):
        raise ValueError(
            f"{prefix}: it tells {count:g} classes apart, and its pipeline.config says num_classes: "
            f"{len(original.classes)}, so it is another model's. Give the pipeline.config of this checkpoint."
        )


def _check(values: Values, prefix: str) -> None:
    for variable, value in values:
        if tuple(variable.shape) != value.shape:
            raise ValueError(
                f"{prefix}: {variable.name} has the shape {tuple(variable.shape)} in this network, {value.shape} in "
                f"the checkpoint, which was trained with another pipeline.config. Give that one."
            )
