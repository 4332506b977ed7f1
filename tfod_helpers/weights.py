"""Pretrained weights -> a model: ImageNet's for a MobileNetV2 backbone, an earlier run's for a whole detector.

Keras Applications and the Model Garden build the same MobileNetV2 out of differently named layers, and feed it
differently normalised images. `copy_mobilenet_v2` carries the tensors over as they are; `fold_normalization` then
makes up for the other normalization. TensorFlow is loaded only by the functions that need it.
"""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers import imagenet_file, workspace
from tfod_helpers.imagenet_file import Tensors

_KERAS_EPSILON = 1e-3  # of the batch norms in keras/src/applications/mobilenet_v2.py
_KINDS = ("kernel", "gamma", "beta", "moving_mean", "moving_variance")
_RANDOM = "Everything starts from random values"

Kinds = dict[str, list[tuple[str, Any]]]  # kind of leaf -> (name, array or variable), in creation order


@dataclass(frozen=True)
class Loaded:
    """What a model really started from.

    Attributes:
        source: ``imagenet``, ``scratch``, or the path of the file that was read.
        taken: how many of the model's tensors were filled from the source.
        left: the names of the tensors that keep their random values.
        sentence: the same in words; also what ``str()`` gives.
    """

    source: str
    taken: int
    left: tuple[str, ...]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def load(model: Any, weights: str | os.PathLike[str] | None) -> Loaded:
    """Fill a freshly built Model Garden detector with pretrained weights, and print what was loaded.

    Args:
        model: what ``RetinaNetTask.build_model()`` returns.
        weights: one of

            - ``"imagenet"``: Keras Applications' MobileNetV2 into the backbone. The file comes from Keras' cache, or
              is downloaded into it. Where neither works, a banner and a warning say so and the model stays random.
            - a run folder (its best model, else its newest checkpoint), a folder of checkpoints, or one checkpoint.
              Tensors are matched by place and shape, so that a run with other classes gives all but its class output.
            - a Keras Applications ``.h5`` file of MobileNetV2 without top, treated as ``"imagenet"`` is.
            - None: nothing is loaded.

    Returns:
        What was really loaded. It goes into ``run.json``.

    Raises:
        FileNotFoundError: there is no checkpoint at the path; the message says what is there.
        ValueError: the weights do not fit the backbone. The model is left as it was.
    """
    if weights is None:
        loaded = _scratch(model, f"{_RANDOM}, as weights=None asks.")
    elif weights == "imagenet":
        loaded = _load_imagenet(model)
    elif Path(weights).suffix == ".h5":
        tensors = imagenet_file.read(Path(weights).expanduser(), str(weights))
        loaded = _fill_backbone(model, tensors, str(weights), str(weights))
    else:
        loaded = _load_checkpoint(model, _find_checkpoint(Path(weights).expanduser()))
    print(f"Weights: {loaded}")
    return loaded


def copy_mobilenet_v2(source: Any, backbone: Any) -> int:
    """Copy a Keras Applications MobileNetV2 into a Model Garden MobileNetV2 backbone of the same width.

    Afterwards both give equal features for equal input tensors. The backbone then expects Keras' input,
    ``x / 127.5 - 1``: see `fold_normalization`.

    Args:
        source: ``MobileNetV2(include_top=False, alpha=width)`` of ``keras`` or ``tf_keras``.
        backbone: ``model.backbone`` of a Model Garden detector.

    Returns:
        How many tensors were copied: all that the backbone has.

    Raises:
        ValueError: the number of tensors or a shape differs. The backbone is left as it was.
    """
    # Keras 3 calls every leaf `name` and keeps the whole name in `path`; Keras 2 keeps the whole name in `name`.
    tensors = [(getattr(variable, "path", variable.name), variable.numpy()) for variable in source.weights]
    return _copy(tensors, backbone, f"the source model {source.name!r}")


def fold_normalization(backbone: Any) -> None:
    """Make a backbone that was trained on Keras' input take the Model Garden's.

    For a pixel x, Keras feeds ``k = x / 127.5 - 1`` and official.vision feeds ``o = (x / 255 - mean) / std``, hence
    ``k = 2 std o + (2 mean - 1)`` in each colour. The first convolution is linear and has no bias: its kernel takes
    the factor, and the moving mean of the batch norm behind it takes the constant. The features stay the same, except
    where padding reaches: padded zeros mean grey to Keras and ImageNet's mean colour to the Model Garden.

    Args:
        backbone: a Model Garden MobileNetV2, changed in place.
    """
    from official.vision.ops import preprocess_ops

    mean, std = (np.asarray(c, np.float64) for c in (preprocess_ops.MEAN_NORM, preprocess_ops.STDDEV_NORM))
    variables = _by_kind((variable.name, variable) for variable in backbone.weights)
    kernel, moving_mean = variables["kernel"][0][1], variables["moving_mean"][0][1]
    keras_kernel = kernel.numpy().astype(np.float64)  # (3, 3, 3 colours, filters)
    constant = np.einsum("hwcf,c->f", keras_kernel, 2 * mean - 1)
    kernel.assign((keras_kernel * (2 * std)[:, None]).astype(np.float32))
    moving_mean.assign((moving_mean.numpy() - constant).astype(np.float32))


def _scratch(model: Any, sentence: str) -> Loaded:
    return Loaded("scratch", 0, tuple(variable.name for variable in model.weights), sentence)


def _load_imagenet(model: Any) -> Loaded:
    width = _config_of(model.backbone)["filter_size_scale"]
    if width not in imagenet_file.PUBLISHED_WIDTHS:
        raise ValueError(
            f"There are no ImageNet weights for a MobileNetV2 of width {width}, only for "
            f"{', '.join(map(str, imagenet_file.PUBLISHED_WIDTHS))}. Set "
            f"task.model.backbone.mobilenet.filter_size_scale to one of them, or train from scratch with weights=None."
        )
    try:
        tensors = imagenet_file.fetch(width, _fits(model.backbone, width))
    except OSError as error:
        _shout(width, str(error))
        return _scratch(model, f"{_RANDOM}: ImageNet weights were wanted and could not be had ({error}).")
    origin = f"Keras Applications' MobileNetV2 of width {width}, trained on ImageNet"
    return _fill_backbone(model, tensors, origin, "imagenet")


def _fits(backbone: Any, width: float) -> Callable[[Tensors, str], None]:
    """Return the check that a file's tensors are those of this backbone."""
    wanted = _by_kind((variable.name, variable) for variable in backbone.weights)
    return lambda tensors, origin: _check_fit(_by_kind(tensors), wanted, origin, width)


def _fill_backbone(model: Any, tensors: Tensors, origin: str, source: str) -> Loaded:
    taken = _copy(tensors, model.backbone, origin)
    fold_normalization(model.backbone)
    filled = {id(variable) for variable in model.backbone.weights}
    left = tuple(variable.name for variable in model.weights if id(variable) not in filled)
    return Loaded(source, taken, left, f"The backbone starts from {origin}; the rest starts from random values.")


def _config_of(backbone: Any) -> dict[str, Any]:
    """Return the settings of a MobileNetV2 backbone, and raise ValueError for any other."""
    from official.vision.modeling.backbones import mobilenet

    config = backbone.get_config()
    if not isinstance(backbone, mobilenet.MobileNet) or config["model_id"] != "MobileNetV2":
        raise ValueError(
            f"Keras Applications' weights are for a MobileNetV2 backbone, got {type(backbone).__name__} "
            f"({config.get('model_id')}). Use another preset, weights=None, or the path of an earlier run."
        )
    return config


def _copy(tensors: Tensors, backbone: Any, origin: str) -> int:
    """Copy named arrays into the backbone, each kind of leaf in creation order, or raise before touching anything."""
    config = _config_of(backbone)
    found = _by_kind(tensors)
    wanted = _by_kind((variable.name, variable) for variable in backbone.weights)
    _check_fit(found, wanted, origin, config["filter_size_scale"])
    arrays = {kind: [array for _, array in found[kind]] for kind in _KINDS}
    # A batch norm divides by sqrt(variance + epsilon): where the epsilons differ, gamma makes up for it.
    epsilon = config["norm_epsilon"]
    arrays["gamma"] = [
        gamma * np.sqrt((variance + epsilon) / (variance + _KERAS_EPSILON), dtype=np.float32)
        for gamma, variance in zip(arrays["gamma"], arrays["moving_variance"], strict=True)
    ]
    for kind in _KINDS:
        for (_, variable), array in zip(wanted[kind], arrays[kind], strict=True):
            variable.assign(array)
    return len(backbone.weights)


def _by_kind(named: Iterable[tuple[str, Any]]) -> Kinds:
    """Sort ``block/conv/depthwise_kernel:0`` and the like by the kind of leaf, keeping the order within each kind."""
    kinds: Kinds = {kind: [] for kind in _KINDS}
    for name, value in named:
        # Keras 2 says depthwise_kernel where Keras 3 says kernel.
        kind = name.rsplit("/", 1)[-1].split(":")[0].removeprefix("depthwise_")
        kinds.setdefault(kind, []).append((name, value))
    return kinds


def _check_fit(found: Kinds, wanted: Kinds, origin: str, width: float) -> None:
    advice = f"Use a MobileNetV2 without top (include_top=False), alpha={width}."
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
            raise ValueError(f"{origin} does not fit the backbone of width {width}: {misfits[0]}. {advice}")


def _shout(width: float, reason: str) -> None:
    path = imagenet_file.cache_path(width)
    lines = [
        "NO PRETRAINED WEIGHTS: TRAINING STARTS FROM SCRATCH",
        f"Wanted:  Keras Applications' MobileNetV2 of width {width}, trained on ImageNet.",
        *textwrap.wrap(f"Why not: {reason}", 88, break_on_hyphens=False, break_long_words=False),
        "The model will need far more steps and photos, and will be much less accurate.",
        "",
        "To have them: stop, connect this machine to the internet and run this again.",
        f"Or fetch {imagenet_file.ADDRESS}{path.name}",
        f"into     {path.parent}",
        "If scratch is what you want, say weights=None.",
    ]
    # Open on the right: the address and the path are longer than a notebook is wide, and have to be copied whole.
    rule = "#" * 96
    print("\n".join([rule, *(f"##  {line}" for line in lines), rule]), flush=True)
    # The banner is for people; the warning is for programs, which can turn it into an error.
    warnings.warn(f"No pretrained weights, training starts from scratch: {reason}", UserWarning, stacklevel=4)


def _find_checkpoint(path: Path) -> str:
    """Return the prefix of the checkpoint that a run folder, a folder of checkpoints or a file name means."""
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    if prefix.with_name(f"{prefix.name}.index").is_file():
        return str(prefix)
    advice = "Give 'imagenet', None, or the path of a run folder, a folder of checkpoints or one checkpoint."
    if not path.is_dir():
        what = "this file is no checkpoint" if path.exists() else "there is nothing here"
        raise FileNotFoundError(f"weights {str(path)!r}: {what}. {advice}")
    run = workspace.Run(path)
    for folder in (run.best, run.checkpoints, path):
        if newest := _newest_checkpoint(folder):
            return newest
    entries = ", ".join(sorted(entry.name for entry in path.iterdir())[:10]) or "nothing"
    raise FileNotFoundError(f"weights {str(path)!r}: no checkpoint in this folder, which holds {entries}. {advice}")


def _newest_checkpoint(folder: Path) -> str | None:
    import tensorflow as tf

    # The state file names the newest; where it is missing, or names a place that was moved, the files' times tell.
    if newest := tf.train.latest_checkpoint(str(folder)):
        return newest
    indexes = sorted(folder.glob("*.index"), key=lambda index: index.stat().st_mtime)
    return str(indexes[-1].with_suffix("")) if indexes else None


def _load_checkpoint(model: Any, prefix: str) -> Loaded:
    values = _matching_values(model, prefix)
    left = [variable for variable in model.weights if id(variable) not in values]
    backbone = {id(variable) for variable in model.backbone.weights}
    misfits = [variable.name for variable in left if id(variable) in backbone]
    if misfits:
        raise ValueError(
            f"{prefix}: its backbone is not this model's: {len(misfits)} of {len(backbone)} tensors differ in place or "
            f"shape, the first is {misfits[0]}. Use the backbone settings in that run's config.yaml, or other weights."
        )
    for variable in model.weights:
        if id(variable) in values:
            variable.assign(values[id(variable)])
    names = tuple(variable.name for variable in left)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    rest = f"; {len(names)} differ in place or shape and start from random values: {shown}" if names else ""
    return Loaded(
        prefix, len(values), names, f"{len(values)} of {len(model.weights)} tensors start from {prefix}{rest}."
    )


def _matching_values(model: Any, prefix: str) -> dict[int, np.ndarray]:
    """Return the checkpoint's arrays for the model's variables, by ``id(variable)``: the same place, the same shape.

    ``Checkpoint.read`` refuses a checkpoint in which one shape differs, so the object graph that every checkpoint
    carries is walked here beside the model's own.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    try:
        reader = tf.train.load_checkpoint(prefix)
        view = tf.train.CheckpointView(prefix)
        graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
            reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
        )
        # Trainers write the model whole, under 'model'; the Model Garden's backbone checkpoints write its parts.
        whole = "model" in view.children(0)
        root = tf.train.Checkpoint(**({"model": model} if whole else model.checkpoint_items))
        shapes = reader.get_variable_to_shape_map()
        variables = {id(variable): variable for variable in model.weights}
        values = {}
        for node, trackable in view.match(root).items():
            key = next((attribute.checkpoint_key for attribute in graph.nodes[node].attributes), None)
            variable = variables.get(id(trackable))
            if variable is not None and key in shapes and tuple(shapes[key]) == tuple(variable.shape):
                values[id(variable)] = reader.get_tensor(key)
        return values
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ValueError(f"{prefix}: cannot be read as a checkpoint ({error}). Choose another one.") from error
