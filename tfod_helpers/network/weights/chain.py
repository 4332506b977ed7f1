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
        source: ``coco``, ``imagenet``, ``scratch``, or the path of the checkpoint that was read.
        taken: how many of the model's tensors were filled from the source.
        left: the names of the tensors that keep their random values.
        sentence: the same in words, and what was wanted before and could not be had; also what ``str()`` gives.
    """

    source: str
    taken: int
    left: tuple[str, ...]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class _Source:
    """Published weights for one model: what they are, their files, and how they get into it.

    Attributes:
        name: ``coco`` or ``imagenet``.
        words: what they are.
        files: a packed checkpoint, the files of one, or one of Keras Applications.
        network: the network of Keras Applications whose file it is; None for a checkpoint.
    """

    name: str
    words: str
    files: tuple[Published, ...]
    network: Network | None = None


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
              checkpoints, one checkpoint, or a packed one (``.tar.gz``). Tensors are matched by place and shape, so
              that a run with other classes gives all but its class outputs.
            - None: nothing is loaded.
        classes: the model's classes. A run with as many other ones then gives no class outputs either.

    Returns:
        What was really loaded. It goes into ``run.json``.

    Raises:
        FileNotFoundError: there is no checkpoint at the path; the message says what is there.
        ValueError: the weights of a path do not fit the model, or are damaged. The model is left as it was.
    """
    if weights is None:
        loaded = _scratch(model, f"{_RANDOM}, as weights=None asks.")
    elif weights in _CHAIN:
        loaded = _go_down(model, str(weights))
    else:
        prefix = checkpoints.find(weights)
        theirs = checkpoints.classes(prefix)
        other = bool(theirs and classes) and list(theirs or ()) != list(classes or ())
        loaded = _fill(model, prefix, prefix, prefix, other_classes=other)
    print(f"Weights: {loaded}")
    return loaded


def _scratch(model: Any, sentence: str) -> Loaded:
    return Loaded("scratch", 0, tuple(variable.name for variable in model.weights), sentence)


def _fill_backbone(model: Any, network: Network, path: Path, source: _Source) -> Loaded:
    taken = networks.copy(networks.read(path, str(path)), model.backbone, network, str(path))
    inside = {id(variable) for variable in model.backbone.weights}
    rest = [variable for variable in model.weights if id(variable) not in inside]
    left = networks.unread(model.backbone, network) + rest
    share = f"{taken} of {len(model.weights)} tensors"
    sentence = f"The backbone, {share}, starts from {source.words}; the rest starts from random values."
    return Loaded(source.name, taken, tuple(variable.name for variable in left), sentence)


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


def _coco(model: Any) -> _Source:
    one = published.coco_checkpoint(model)
    return _Source("coco", f"the Model Garden's {one.words}, trained on COCO", (one.file,))


def _imagenet(model: Any) -> _Source:
    if published.is_plain_resnet_50(model.backbone) and not networks.strides_come_first(model.backbone):
        words = "the Model Garden's ResNet-50, trained on ImageNet"
        return _Source("imagenet", words, published.RESNET_50_IMAGENET)
    network = networks.of(model.backbone)
    return _Source("imagenet", f"{network}, trained on ImageNet", (network.file,), network)


_CHAIN: dict[str, Callable[[Any], _Source]] = {"coco": _coco, "imagenet": _imagenet}


def _fill_from(source: _Source, model: Any) -> Loaded:
    """Fetch published weights, and fill a model with them."""
    if source.network is None:
        path, *_ = [file.fetch() for file in source.files]
        return _fill(model, checkpoints.find(path), source.name, source.words, other_classes=True)
    network, (file,) = source.network, source.files

    def check(path: Path) -> None:
        try:
            networks.check(networks.read(path, file.name), model.backbone, network, file.name)
        except ValueError as error:
            raise ValueError(str(error).removesuffix(" Fetch it again.")) from error

    return _fill_backbone(model, network, file.fetch(check), source)


def _go_down(model: Any, wanted: str) -> Loaded:
    """Load the first weights of the chain that can be had, from the wanted ones on."""
    failed: dict[str, str] = {}
    missing: list[_Source] = []
    for name in list(_CHAIN)[list(_CHAIN).index(wanted) :]:
        try:
            source = _CHAIN[name](model)
            missing.append(source)
            loaded = _fill_from(source, model)
            missing.remove(source)
            break
        except (OSError, ValueError) as error:
            failed[name] = str(error)
    else:
        loaded = _scratch(model, f"{_RANDOM}.")
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        loaded = dataclasses.replace(loaded, sentence=f"{loaded.sentence} Wanted and not to be had: {reasons}")
        _shout(failed, missing, loaded)
    return loaded


def _shout(failed: dict[str, str], sources: list[_Source], loaded: Loaded) -> None:
    """Say in a banner and a warning which weights are missing, what is used, and how to get them."""
    instead = _GOOD_ENOUGH[loaded.source]
    missing = "PRETRAINED" if loaded.source == "scratch" else "COCO"
    lines = [f"NO {missing} WEIGHTS: TRAINING STARTS FROM {instead.upper()}"]
    for name, reason in failed.items():
        lines += textwrap.wrap(f"Not {name}: {reason}", 88, break_on_hyphens=False, break_long_words=False)
    if loaded.source == "scratch":
        lines.append("The model will need far more steps and photos, and will be much less accurate.")
    else:
        lines.append("The backbone knows photos, the rest of the model has to learn what a detector does.")
    for source in sources:
        lines += ["", f"To have {source.words}:", "connect this machine to the internet and run this again, or"]
        for file in source.files:
            lines += [f"fetch {file.url}", f"into  {file.path.parent}"]
    meant = "None" if loaded.source == "scratch" else f"{loaded.source!r}"
    lines += ["", f"If {instead} is what you want, say weights={meant}."]
    # Open on the right: the URL and the path are longer than a notebook is wide, and have to be copied whole.
    rule = "#" * 96
    print("\n".join([rule, *(f"##  {line}" for line in lines), rule]), flush=True)
    # The banner is for people; the warning is for programs, which can turn it into an error.
    message = f"No {missing.lower()} weights, training starts from {instead}: {'; '.join(failed.values())}"
    warnings.warn(message.replace("coco", "COCO", 1) if missing == "COCO" else message, UserWarning, stacklevel=4)
