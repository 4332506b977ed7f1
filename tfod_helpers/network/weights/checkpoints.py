"""An earlier run, or a checkpoint of the Model Garden -> a model's tensors, by place and shape."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.files import archives, storage, workspace
from tfod_helpers.files.run_folder import Run, find_run
from tfod_helpers.network.weights import class_outputs

_ADVICE = "Give 'coco', 'imagenet', None, or a run folder, a folder of checkpoints, one checkpoint or a .tar.gz of one."
# official/vision/modeling/heads: what has a channel for each class, in RetinaNet, Faster R-CNN and Mask R-CNN.
_CLASS_OUTPUT = re.compile(r"(^|/)(scores(-\d+)?|detection-scores|detection-boxes|mask-logits)/")

Values = list[tuple[Any, np.ndarray]]


def find(weights: str | os.PathLike[str], advice: str = _ADVICE) -> str:
    """Return the prefix of the checkpoint that a path means.

    Args:
        weights: a run folder (its best model, else its newest checkpoint), also ``gs://``; a folder of checkpoints, one
            checkpoint, or a packed one.
        advice: the sentence that says what can be given.

    Raises:
        FileNotFoundError: there is none; the message says what is there.
        ValueError: the archive cannot be unpacked.
    """
    path = find_run(weights).folder if storage.is_remote(weights) else Path(weights).expanduser()
    if path.is_file() and archives.is_archive(path):
        return _find_packed(path, advice)
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    if prefix.with_name(f"{prefix.name}.index").is_file():
        return str(prefix)
    if not path.is_dir():
        what = "this file is no checkpoint" if path.exists() else "there is nothing here"
        raise FileNotFoundError(f"weights {str(path)!r}: {what}. {advice}")
    run = Run(path)
    if run.kept_models():
        return str(run.prefix_of(run.find_model("best")))
    for folder in (run.models, run.checkpoints, path):
        if newest := _newest(folder):
            return newest
    entries = ", ".join(sorted(entry.name for entry in path.iterdir())[:10]) or "nothing"
    raise FileNotFoundError(f"weights {str(path)!r}: no checkpoint in this folder, which holds {entries}. {advice}")


def unpacked(path: Path) -> Path:
    """Return the folder of this machine's cache that an archive is unpacked into, once."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    return archives.unpack(path, workspace.cache_folder() / "unpacked" / digest)


def _find_packed(path: Path, advice: str) -> str:
    folder = unpacked(path)
    # Beside a checkpoint of the Object Detection API lies a SavedModel, whose variables have no names that tell.
    folders = sorted({index.parent for index in folder.rglob("*.index") if index.stem != "variables"})
    if not folders:
        names = ", ".join(sorted(entry.name for entry in folder.rglob("*") if entry.is_file())[:10])
        raise FileNotFoundError(f"weights {str(path)!r}: no checkpoint in this archive, which holds {names}. {advice}")
    return str(_newest(folders[0]))


def _newest(folder: Path) -> str | None:
    import tensorflow as tf

    # The state file names the newest; where it is missing, or names a place that was moved, the highest step is it.
    newest = tf.train.latest_checkpoint(str(folder))
    if newest and Path(newest).parent == folder:
        return newest
    indexes = sorted(folder.glob("*.index"), key=lambda index: (len(index.stem), index.stem))
    return str(indexes[-1].with_suffix("")) if indexes else None


def classes(prefix: str) -> list[str] | None:
    """Return the classes of the run that a checkpoint belongs to; None where it belongs to none."""
    return _manifest(prefix).get("classes")


def norms_stay(prefix: str) -> bool:
    """Return whether batch norms stayed as they were in the run that a checkpoint belongs to."""
    return bool(_manifest(prefix).get("frozen_norms"))


def _manifest(prefix: str) -> dict[str, Any]:
    run = Run(Path(prefix).absolute().parent.parent)
    try:
        return run.read_manifest()
    except (ValueError, OSError):
        return {}


def is_class_output(variable: Any) -> bool:
    """Return whether a tensor has a channel for each class, so that it means nothing to other classes."""
    return bool(_CLASS_OUTPUT.search(variable.name))


def read(
    model: Any,
    prefix: str,
    names: Sequence[str],
    theirs: Sequence[str | None] | None,
    known_as: Mapping[str, str] | None = None,
) -> Values:
    """Return the values of a checkpoint for a model's tensors: the same place, the same shape.

    Args:
        model: a Model Garden detector.
        prefix: from `find`.
        names: the model's classes; empty where its class outputs are to stay as they are.
        theirs: the checkpoint's classes; None where they are not known, and taken for the model's own then.
        known_as: what some classes of the model are called in the checkpoint.

    Raises:
        ValueError: it cannot be read, is of another architecture, or holds NaN or infinite values.
    """
    values = _matching(model, prefix)
    if theirs is not None and list(theirs) != list(names):
        others = [(variable, value) for variable, value in values if is_class_output(variable)]
        values = [(variable, value) for variable, value in values if not is_class_output(variable)]
        head = getattr(model, "head", None)
        if hasattr(head, "_classifier"):  # an R-CNN's are of two stages, and boxes have classes too
            values += class_outputs.shared(head, others, class_outputs.places(names, theirs, known_as))
    values = [(variable, value) for variable, value in values if value.shape == tuple(variable.shape)]
    taken = {id(variable) for variable, _ in values}
    misfits = [variable.name for variable in model.backbone.weights if id(variable) not in taken]
    if misfits:
        raise ValueError(
            f"{prefix}: its backbone is not this model's: {len(misfits)} of {len(model.backbone.weights)} tensors "
            f"differ in place or shape, the first is {misfits[0]}. Use the backbone settings in that run's "
            f"config.yaml, or other weights."
        )
    for variable, value in values:
        if not np.isfinite(value).all():
            raise ValueError(f"{prefix}: {variable.name} holds NaN or infinite values. Choose another checkpoint.")
    return values


def _matching(model: Any, prefix: str) -> Values:
    """Return what a checkpoint holds for a model; of class outputs also those of another number of classes.

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
            if variable is None or key not in shapes:
                continue
            if is_class_output(variable) or tuple(shapes[key]) == tuple(variable.shape):
                values[id(variable)] = variable, reader.get_tensor(key)
        return list(values.values())
    except (tf.errors.OpError, ValueError, RuntimeError, LookupError) as error:
        raise ValueError(
            f"{prefix}: cannot be read as a checkpoint, it is damaged or not whole ({error}). "
            f"Fetch it again, or choose another one."
        ) from error
