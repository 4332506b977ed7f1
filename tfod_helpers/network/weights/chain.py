"""The weights that a model starts from: what was asked for, else the next best, and the truth about it."""

from __future__ import annotations

import dataclasses
import os
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_helpers.network.weights import checkpoints, networks, published
from tfod_helpers.network.weights.networks import Network
from tfod_helpers.network.weights.published import Published

_RANDOM = "Everything starts from random values"
_GOOD_ENOUGH = {"imagenet": "ImageNet's", "scratch": "scratch"}


@dataclass(frozen=True)
class Loaded:
    """What a model really started from.

    Attributes:
        source: ``coco``, ``imagenet``, ``scratch``, or the path of the file that was read.
        taken: how many of the model's tensors were filled from the source.
        left: the names of the tensors that keep their random values.
        sentence: the same in words; also what ``str()`` gives.
        tried: what was wanted before and could not be had, each with the reason.
    """

    source: str
    taken: int
    left: tuple[str, ...]
    sentence: str
    tried: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class _Link:
    """One kind of weights for one model: what they are, their files, and how they get into it."""

    words: str
    files: tuple[Published, ...]
    fill: Callable[[], Loaded]


def load(model: Any, weights: str | os.PathLike[str] | None, *, classes: Sequence[str] | None = None) -> Loaded:
    """Fill a freshly built Model Garden detector with pretrained weights, and print what was loaded.

    Args:
        model: what the task's ``build_model()`` returns.
        weights: one of

            - ``"coco"``: a detector that the Model Garden trained on COCO, all but its class outputs. Where it cannot
              be had, a banner and a warning say so, and it is as if ``"imagenet"`` had been asked for.
            - ``"imagenet"``: weights of the backbone alone, from Keras Applications where it has the same network.
              Where they cannot be had, a banner and a warning say so, and the model stays random.
            - a run folder (its best model, else its newest checkpoint), also one in a bucket (``gs://``), a folder of
              checkpoints, one checkpoint, or a packed one (``.tar.gz``), by its path or its address (``https://``,
              ``gs://``). Tensors are matched by place and shape, so that a run with other classes gives all but its
              class outputs.
            - a ``.h5`` file of Keras Applications without top, by its path or its address.
            - None: nothing is loaded.
        classes: the model's classes. A run with as many other ones then gives no class outputs either.

    Returns:
        What was really loaded. It goes into ``run.json``.

    Raises:
        FileNotFoundError: there is no checkpoint at the path; the message says what is there.
        OSError: an address gives no file.
        ValueError: the weights of a path do not fit the model, or are damaged. The model is left as it was.
    """
    if weights is None:
        loaded = _scratch(model, f"{_RANDOM}, as weights=None asks.")
    elif weights in _CHAIN:
        loaded = _go_down(model, str(weights))
    else:
        loaded = _load_path(model, os.fspath(weights), classes)
    print(f"Weights: {loaded}")
    return loaded


def _scratch(model: Any, sentence: str) -> Loaded:
    return Loaded("scratch", 0, tuple(variable.name for variable in model.weights), sentence)


def _load_path(model: Any, weights: str, classes: Sequence[str] | None) -> Loaded:
    path = checkpoints.local(weights)
    if path.suffix == ".h5":
        try:
            network = networks.of(model.backbone)
        except ValueError as error:
            raise ValueError(
                f"{weights}: not for this backbone: {error}. Use another preset or other weights."
            ) from error
        return _fill_backbone(model, network, path, weights, weights)
    prefix = checkpoints.find(path)
    theirs = checkpoints.classes(prefix)
    other = bool(theirs and classes) and list(theirs or ()) != list(classes or ())
    return _fill(model, prefix, prefix, prefix, other_classes=other)


def _fill_backbone(model: Any, network: Network, path: Path, source: str, words: str) -> Loaded:
    taken = networks.copy(networks.read(path, str(path)), model.backbone, network, str(path))
    inside = {id(variable) for variable in model.backbone.weights}
    rest = [variable for variable in model.weights if id(variable) not in inside]
    left = networks.unread(model.backbone, network) + rest
    share = f"{taken} of {len(model.weights)} tensors"
    sentence = f"The backbone, {share}, starts from {words}; the rest starts from random values."
    return Loaded(source, taken, tuple(variable.name for variable in left), sentence)


def _fill(model: Any, prefix: str, source: str, words: str, *, other_classes: bool) -> Loaded:
    values = checkpoints.read(model, prefix, other_classes=other_classes)
    taken = {id(variable) for variable, _ in values}
    for variable, value in values:
        variable.assign(value)
    names = tuple(variable.name for variable in model.weights if id(variable) not in taken)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    why = "are of other classes, or differ in place or shape," if other_classes else "differ in place or shape"
    rest = f"; {len(names)} {why} and start from random values: {shown}" if names else ""
    return Loaded(
        source, len(values), names, f"{len(values)} of {len(model.weights)} tensors start from {words}{rest}."
    )


# --- the chain ------------------------------------------------------------------------------------


def _coco(model: Any) -> _Link:
    one = published.coco_checkpoint(model)
    words = f"the Model Garden's {one.words}, trained on COCO" + (f" (AP {one.ap})" if one.ap else "")

    def fill() -> Loaded:
        return _fill(model, checkpoints.find(one.file.fetch()), "coco", words, other_classes=True)

    return _Link(words, (one.file,), fill)


def _imagenet(model: Any) -> _Link:
    backbone = model.backbone
    if published.is_plain_resnet_50(backbone) and not networks.strides_come_first(backbone):
        words, files = "the Model Garden's ResNet-50, trained on ImageNet", published.RESNET_50_IMAGENET

        def fill_garden() -> Loaded:
            for file in files:
                file.fetch()
            return _fill(model, str(files[0].path.with_suffix("")), "imagenet", words, other_classes=True)

        return _Link(words, files, fill_garden)
    network = networks.of(backbone)
    words, file = f"{network}, trained on ImageNet", network.file

    def check(path: Path) -> None:
        try:
            networks.check(networks.read(path, file.name), backbone, network, file.name)
        except ValueError as error:
            raise ValueError(str(error).removesuffix(" Fetch it again.")) from error

    def fill() -> Loaded:
        return _fill_backbone(model, network, file.fetch(check), "imagenet", words)

    return _Link(words, (file,), fill)


_CHAIN: dict[str, Callable[[Any], _Link]] = {"coco": _coco, "imagenet": _imagenet}


def _go_down(model: Any, wanted: str) -> Loaded:
    """Load the first weights of the chain that can be had, from the wanted ones on."""
    names = list(_CHAIN)
    tried: dict[str, str] = {}
    links: list[_Link] = []
    loaded = None
    for name in names[names.index(wanted) :]:
        try:
            link = _CHAIN[name](model)
            links.append(link)
            loaded = link.fill()
            break
        except (OSError, ValueError) as error:
            tried[name] = str(error)
    if not tried:
        return loaded
    reasons = tuple(f"{name}: {reason}" for name, reason in tried.items())
    loaded = loaded or _scratch(model, f"{_RANDOM}.")
    sentence = f"{loaded.sentence} Wanted and not to be had: {'; '.join(reasons)}"
    _shout(tried, links if loaded.source == "scratch" else links[:-1], loaded)
    return dataclasses.replace(loaded, sentence=sentence, tried=reasons)


def _shout(tried: dict[str, str], links: list[_Link], loaded: Loaded) -> None:
    """Say in a banner and a warning which weights are missing, what is used, and how to get them."""
    instead = _GOOD_ENOUGH[loaded.source]
    missing = "PRETRAINED" if loaded.source == "scratch" else "COCO"
    lines = [f"NO {missing} WEIGHTS: TRAINING STARTS FROM {instead.upper()}"]
    for name, reason in tried.items():
        lines += textwrap.wrap(f"Not {name}: {reason}", 88, break_on_hyphens=False, break_long_words=False)
    if loaded.source == "scratch":
        lines.append("The model will need far more steps and photos, and will be much less accurate.")
    else:
        lines.append("The backbone knows photos, the rest of the model has to learn what a detector does.")
    for link in links:
        lines += ["", f"To have {link.words}:", "connect this machine to the internet and run this again, or"]
        for file in link.files:
            lines += [f"fetch {file.address}", f"into  {file.path.parent}"]
    meant = "None" if loaded.source == "scratch" else f"{loaded.source!r}"
    lines += ["", f"If {instead} is what you want, say weights={meant}."]
    # Open on the right: the address and the path are longer than a notebook is wide, and have to be copied whole.
    rule = "#" * 96
    print("\n".join([rule, *(f"##  {line}" for line in lines), rule]), flush=True)
    # The banner is for people; the warning is for programs, which can turn it into an error.
    message = f"No {missing.lower()} weights, training starts from {instead}: {'; '.join(tried.values())}"
    warnings.warn(message.replace("coco", "COCO", 1) if missing == "COCO" else message, UserWarning, stacklevel=4)
