"""Which published weights there are for a network, in the order of what they bring, and how each gets into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_helpers.network.normalization import Normalization
from tfod_helpers.network.weights import (
    anchor_orders,
    checkpoints,
    keras_hub,
    keras_hub_preset,
    networks,
    object_detection_api,
    published,
    zoo,
)
from tfod_helpers.network.weights.checkpoints import Values
from tfod_helpers.network.weights.coco_classes import COCO_CLASSES
from tfod_helpers.network.weights.published import Published, Terms
from tfod_helpers.presets.models import GARDEN, TORCHVISION


@dataclass(frozen=True)
class Wanted:
    """What is to be filled.

    Attributes:
        model: a freshly built detector.
        classes: its classes; empty where its class outputs are to stay as they are.
        known_as: what some of them are called among those of the weights.
        normalization: how images are normalized for it.
        padding: how it pads, if it is a ResNet; see `network.padding`.
        anchor_layout: whose rule places its anchors; see `network.inputs.anchors`.
    """

    model: Any
    classes: tuple[str, ...]
    known_as: Mapping[str, str]
    normalization: Normalization
    padding: str = "same"
    anchor_layout: str = GARDEN


@dataclass(frozen=True)
class Source:
    """Published weights for one network.

    Attributes:
        words: what they are.
        files: what is fetched for them, the first of which leads to the others.
        terms: under which they may be used, and whom to cite.
        values: what of the files goes where; raises ValueError where it does not fit.
        check: raises ValueError where a file is none of these weights; it is not kept then.
        norms_stay: whether batch norms are to stay as they are in training, since some do nothing.
    """

    words: str
    files: tuple[Published, ...]
    terms: Terms
    values: Callable[..., Values]
    check: Callable[[Path], None] | None = None
    norms_stay: bool = False

    def fetch(self) -> Values:
        """Return what goes where, out of the cache or downloaded.

        Raises:
            OSError: it could not be had.
            ValueError: it is damaged, or does not fit.
        """
        return self.values(*[file.fetch(self.check) for file in self.files])


def coco(wanted: Wanted) -> list[Source]:
    """Return the detectors that were trained on COCO and fit a model, the best first.

    Raises:
        ValueError: there is none; the message says for which networks there are some.
    """
    found = [*_zoo(wanted), *_keras_hub(wanted), *_garden(wanted)]
    if not found:
        known = ", ".join(
            [*(one.words for one in zoo.DETECTORS), keras_hub_preset.WORDS, *(one.words for one in published.COCO)]
        )
        raise ValueError(f"no COCO checkpoint is published for this network, only for {known}")
    return found


def imagenet(wanted: Wanted) -> list[Source]:
    """Return the classifiers whose backbone a model has.

    Raises:
        ValueError: there is none; the message says what differs.
    """
    backbone = wanted.model.backbone
    if published.is_plain_resnet_50(backbone) and not networks.strides_come_first(backbone):
        words = "the Model Garden's ResNet-50, trained on ImageNet"
        if wanted.padding != "same":
            words += f", with {wanted.padding} padding in place of its own, which training has to adapt to"
        files = published.RESNET_50_IMAGENET
        return [Source(words, files, published.GARDEN_TERMS, lambda path, *_: _garden_values(path, wanted))]
    network = networks.of(backbone)

    def values(path: Path) -> Values:
        tensors = networks.read(path, str(path))
        return _expanded(wanted.model, networks.values(tensors, backbone, network, str(path), wanted.normalization))

    def check(path: Path) -> None:
        name = network.file.name
        try:
            networks.check(networks.read(path, name), backbone, network, name)
        except ValueError as error:
            raise ValueError(str(error).removesuffix(" Fetch it again.")) from error

    words = f"{network}, trained on ImageNet{networks.difference(backbone, network)}"
    return [Source(words, (network.file,), networks.terms(network), values, check)]


def unread(model: Any) -> set[int]:
    """Return the variables of a freshly built model that have no part in its detections, by their `id`."""
    return {id(variable) for layer in model.backbone.layers if not layer.trainable for variable in layer.weights}


def _zoo(wanted: Wanted) -> Iterator[Source]:
    detector = zoo.find(wanted.model)
    if detector is None:
        return

    def values(path: Path) -> Values:
        original = object_detection_api.Original(COCO_CLASSES)
        prefix = checkpoints.find(path)
        return object_detection_api.read(wanted.model, prefix, original, names=wanted.classes, known_as=wanted.known_as)

    yield Source(f"the {detector.words}, trained on COCO", (detector.file,), zoo.TERMS, values, detector.check)


def _keras_hub(wanted: Wanted) -> Iterator[Source]:
    if keras_hub.misfit(wanted.model, wanted.padding, wanted.anchor_layout):
        return

    def values(*files: Path) -> Values:
        return keras_hub_values(files, wanted)

    preset = keras_hub_preset
    yield Source(preset.WORDS, preset.FILES, preset.TERMS, values, keras_hub.check, norms_stay=True)


def keras_hub_values(files: Sequence[Path], wanted: Wanted) -> Values:
    """Return what of KerasHub's weights, trained on COCO's classes, goes where.

    Raises:
        ValueError: they are damaged, another network's, or for other settings of the network.
    """
    if misfit := keras_hub.misfit(wanted.model, wanted.padding, wanted.anchor_layout):
        raise ValueError(f"{files[0]}: {misfit}")
    return keras_hub.read(wanted.model, files, names=wanted.classes, theirs=COCO_CLASSES, known_as=wanted.known_as)


def _garden(wanted: Wanted) -> Iterator[Source]:
    one = published.coco_checkpoint(wanted.model)
    if one is not None:
        words = f"the Model Garden's {one.words}, trained on COCO"
        if wanted.anchor_layout != GARDEN:
            words += ", whose padding is another and whose anchors are up to 3 % larger: training has to adapt to it"
        yield Source(words, (one.file,), published.GARDEN_TERMS, lambda path: _garden_values(path, wanted))


def _garden_values(path: Path, wanted: Wanted) -> Values:
    prefix = checkpoints.find(path)
    values = checkpoints.read(wanted.model, prefix, wanted.classes, COCO_CLASSES, wanted.known_as)
    return anchor_orders.in_torchvisions(wanted.model, values) if wanted.anchor_layout == TORCHVISION else values


def _expanded(model: Any, values: Values) -> Values:
    """Return a backbone's values, and those of its convolutions for the decoder that has the same ones."""
    found, made = {id(variable): value for variable, value in values}, list(values)
    for (kernel, norm), (twin, its_norm) in object_detection_api.repeated(model):
        if kernel.shape == twin.shape and id(twin) in found:
            made += [(ours, found[id(theirs)]) for ours, theirs in zip((kernel, *norm), (twin, *its_norm), strict=True)]
    return made
