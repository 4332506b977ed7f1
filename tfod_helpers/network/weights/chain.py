"""The weights that a model starts from: what was asked for, else the next best, and the truth about it."""

from __future__ import annotations

import dataclasses
import os
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_helpers.files.terminal import shout
from tfod_helpers.network.normalization import NORMALIZATIONS, Normalization
from tfod_helpers.network.normalization import of as normalization_of
from tfod_helpers.network.weights import api_tensors, checkpoints, keras_hub_preset, sources
from tfod_helpers.network.weights.checkpoints import Values
from tfod_helpers.network.weights.published import Terms
from tfod_helpers.network.weights.sources import Source, Wanted
from tfod_helpers.presets.models import GARDEN

if TYPE_CHECKING:
    from tfod_helpers.experiment.config import TaskConfig

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
        terms: of published weights.
        norms_stay: whether its batch norms are to stay as they are, since it was trained without those of the heads.
    """

    source: str
    taken: int
    left: tuple[str, ...]
    sentence: str
    terms: Terms | None = None
    norms_stay: bool = False

    def __str__(self) -> str:
        return self.sentence


def load(
    model: Any,
    weights: str | os.PathLike[str] | None,
    *,
    classes: Sequence[str] | None = None,
    known_as: Mapping[str, str] | None = None,
    normalization: Normalization = NORMALIZATIONS["imagenet"],
    padding: str = "same",
    anchor_layout: str = GARDEN,
) -> Loaded:
    """Fill a freshly built Model Garden detector with pretrained weights, and print what was loaded.

    Args:
        model: what the task's ``build_model()`` returns.
        weights: one of

            - ``"coco"``: a detector that was trained on COCO: of the TF2 Detection Zoo, of KerasHub or of the Model
              Garden, the first of those published for this network that can be had. Where none can, a banner and a
              warning say so, and it is as if ``"imagenet"`` had been asked for.
            - ``"imagenet"``: weights of the backbone alone, from Keras Applications where it has the same network.
              Where they cannot be had, a banner and a warning say so, and the model stays random.
            - a run folder (its best model, else its newest checkpoint), also one in a bucket (``gs://``), a folder of
              checkpoints, one checkpoint, or a packed one (``.tar.gz``). Tensors are matched by place and shape.
            - the folder of KerasHub's retinanet_resnet50_fpn_coco, as kagglehub leaves it, or a file of such weights.
            - None: nothing is loaded.
        classes: the model's classes. A detector's class outputs are taken for those that it knows by the same name;
            where it knows none, or ``classes`` is None, it gives all but its class outputs.
        known_as: what a class of the model is called among those of the weights, where that is not its own name.
        normalization: how images are normalized for the model.
        padding: how its ResNet pads, by `network.padding`.
        anchor_layout: whose rule places its anchors, by `network.inputs.anchors`.

    Returns:
        What was really loaded. It goes into ``run.json``.

    Raises:
        FileNotFoundError: there is no checkpoint at the path; the message says what is there.
        ValueError: the weights of a path do not fit the model, or are damaged; or ``known_as`` names a class that is
            not there. The model is left as it was.
    """
    wanted = Wanted(model, tuple(classes or ()), dict(known_as or {}), normalization, padding, anchor_layout)
    if weights is None:
        loaded = _scratch(model, f"{_RANDOM}, as weights=None asks.")
    elif weights in _CHAIN:
        loaded = _go_down(wanted, str(weights))
    elif files := keras_hub_preset.find(weights):
        loaded = _filled(wanted, sources.keras_hub_values(files, wanted), str(weights), str(weights), norms_stay=True)
    else:
        prefix = checkpoints.find(weights)
        if api_tensors.is_original(prefix):
            raise ValueError(
                f"{prefix}: this is a checkpoint of the Object Detection API. Make a run of it first, by "
                f"pipeline_config.read('pipeline.config').carry({prefix!r}, 'runs/old'), and give weights='runs/old'."
            )
        theirs = None if classes is None else checkpoints.classes(prefix)
        values = checkpoints.read(model, prefix, wanted.classes, theirs, wanted.known_as)
        loaded = _filled(wanted, values, prefix, prefix, norms_stay=checkpoints.norms_stay(prefix))
    print(f"Weights: {loaded}")
    return loaded


def load_for(model: Any, task: TaskConfig) -> Loaded:
    """Fill a freshly built detector with the weights that its task asks for; see `load`."""
    return load(
        model,
        task.weights,
        classes=task.class_names,
        known_as={one.name: one.theirs for one in task.known_as},
        normalization=normalization_of(task),
        padding=task.padding,
        anchor_layout=task.anchor_layout,
    )


def _scratch(model: Any, sentence: str) -> Loaded:
    return Loaded("scratch", 0, tuple(variable.name for variable in model.weights), sentence)


def _filled(
    wanted: Wanted, values: Values, source: str, words: str, terms: Terms | None = None, norms_stay: bool = False
) -> Loaded:
    """Fill a model with the values found for it, and say what came of it."""
    for variable, value in values:
        variable.assign(value)
    taken, unread = {id(variable) for variable, _ in values}, sources.unread(wanted.model)
    left = [one for one in wanted.model.weights if id(one) not in taken | unread]
    share = f"{len(values)} of {len(values) + len(left)} tensors"
    names = tuple(variable.name for variable in left)
    if {id(variable) for variable in wanted.model.backbone.weights} >= taken and left:
        sentence = f"The backbone, {share}, starts from {words}; the rest starts from random values."
    else:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        why = f"; {len(names)} are of other classes, or differ in place or shape, and start from random values: {shown}"
        sentence = f"{share} start from {words}{why if names else ''}."
    if norms_stay:
        sentence += " Batch norms stay as they are, as in their own training."
    return Loaded(source, len(values), names, sentence, terms, norms_stay)


# --- the chain ------------------------------------------------------------------------------------


_CHAIN: dict[str, Callable[[Wanted], Sequence[Source]]] = {"coco": sources.coco, "imagenet": sources.imagenet}


def _go_down(wanted: Wanted, first: str) -> Loaded:
    """Load the first weights of the chain that can be had, from the wanted ones on."""
    failed: list[tuple[str, str]] = []
    missing: list[Source] = []
    loaded = None
    for name in list(_CHAIN)[list(_CHAIN).index(first) :]:
        try:
            for source in _CHAIN[name](wanted):
                try:
                    loaded = _filled(wanted, source.fetch(), name, source.words, source.terms, source.norms_stay)
                    break
                except (OSError, ValueError) as error:
                    failed.append((name, str(error)))
                    missing.append(source)
        except ValueError as error:
            failed.append((name, str(error)))
        if loaded:
            break
    loaded = loaded or _scratch(wanted.model, f"{_RANDOM}.")
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed)
        loaded = dataclasses.replace(loaded, sentence=f"{loaded.sentence} Wanted and not to be had: {reasons}")
        if loaded.source != first:
            _shout(failed, missing, loaded)
    return loaded


def _shout(failed: list[tuple[str, str]], missing_sources: list[Source], loaded: Loaded) -> None:
    """Say in a banner and a warning which weights are missing, what is used, and how to get them."""
    instead = _GOOD_ENOUGH[loaded.source]
    missing = "PRETRAINED" if loaded.source == "scratch" else "COCO"
    lines = [f"NO {missing} WEIGHTS: TRAINING STARTS FROM {instead.upper()}"]
    for name, reason in failed:
        lines += textwrap.wrap(f"Not {name}: {reason}", 88, break_on_hyphens=False, break_long_words=False)
    if loaded.source == "scratch":
        lines.append("The model will need far more steps and photos, and will be much less accurate.")
    else:
        lines.append("The backbone knows photos; the rest has to learn what a detector does, in half of its steps.")
    for source in missing_sources:
        lines += ["", f"To have {source.words}:", "connect this machine to the internet and run this again, or"]
        for file in source.files:
            lines += [f"fetch {file.url}", f"into  {file.path.parent}"]
    meant = "None" if loaded.source == "scratch" else f"{loaded.source!r}"
    lines += ["", f"If {instead} is what you want, say weights={meant}: steps and learning rate then suit it."]
    shout(lines)
    # The banner is for people; the warning is for programs, which can turn it into an error.
    message = (
        f"No {missing.lower()} weights, training starts from {instead}: {'; '.join(reason for _, reason in failed)}"
    )
    warnings.warn(message.replace("coco", "COCO", 1) if missing == "COCO" else message, UserWarning, stacklevel=4)
