"""A config and a checkpoint of the Object Detection API -> a run of this package that detects the same."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfod_helpers import experiment
from tfod_helpers.annotations import LabelMap
from tfod_helpers.annotations.label_map import read_file_ids
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import CARRIED, Keeper, Run, open_run
from tfod_helpers.network.model import build_model
from tfod_helpers.network.weights import checkpoints, object_detection_api
from tfod_helpers.pipeline_config import exact
from tfod_helpers.pipeline_config.draft import Draft
from tfod_helpers.training import claiming

THRESHOLD = 0.5  # of the detector, where no photos have said which is best; what the API's own pictures show from
_NO_CHECKPOINT = (
    "Give what the old training left: one checkpoint (ckpt-N), the folder that holds it, or a .zip or .tar.gz of that."
)
_NO_LABEL_MAP = (
    "Give the label map that the model was trained with, carry(..., label_map='label_map.pbtxt'), or the names of its "
    "classes in the order of their ids."
)


def carry(
    draft: Draft,
    old: ExperimentConfig,
    checkpoint: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    label_map: str | os.PathLike[str] | Sequence[str] | None,
) -> Run:
    """Make the run; see `Carried.carry`.

    Args:
        draft: the old config's settings.
        old: the config that was made of them.
        checkpoint: of the old program.
        folder: the run folder to make.
        label_map: the model's classes.
    """
    preset = old.task.preset
    exact.check(draft, preset)
    of_a_class, total, count = exact.detections(draft)
    if of_a_class < total and count > 1:
        print(
            f"max_detections_per_class is {of_a_class}, and no detector here limits a class: a photo with more of one "
            f"class has up to {total} of it."
        )
    prefix = _find(checkpoint)
    by_id = _classes(draft, prefix, label_map, count)
    original = exact.original(draft, preset, [by_id.get(id) for id in range(1, count + 1)])
    names = [name for name in original.classes if name]
    config = experiment.change(old, exact.settings(draft, preset))
    config.task.class_names, config.task.model.num_classes = names, len(names) + 1
    config.task.weights, config.task.frozen_stride = None, 0
    model = build_model(config)
    values = object_detection_api.read(model, prefix, original, names=names)
    for variable, value in values:
        variable.assign(value)
    words = f"{len(values)} tensors were carried over from {Path(prefix).name}, of the Object Detection API."
    return _write(folder, config, model, _step(prefix), words)


def _find(checkpoint: str | os.PathLike[str]) -> str:
    """Return the prefix of a checkpoint on this machine."""
    path = storage.mirror(checkpoint, around=True) if storage.is_remote(checkpoint) else Path(checkpoint).expanduser()
    if path.suffix in (".pb", ".tflite", ".h5", ".onnx") or (path / "saved_model.pb").is_file():
        raise ValueError(
            f"{storage.address(checkpoint)}: a frozen graph or an exported model has no tensors by name. Give the "
            f"checkpoint that it was made of (ckpt-N.index and .data); an export of the TF2 Object Detection API has "
            f"it in its folder 'checkpoint'."
        )
    inside = path / "checkpoint"
    return checkpoints.find(inside if inside.is_dir() else path, _NO_CHECKPOINT)


def _classes(draft: Draft, prefix: str, given: Any, count: int) -> dict[int, str]:
    """Return the names of the classes by their ids."""
    if given is not None and not isinstance(given, str | os.PathLike):
        found, where = dict(enumerate(given, start=1)), "label_map"
    else:
        path = given if given is not None else _named_label_map(draft, prefix)
        found, where = read_file_ids(path), storage.address(path)
    LabelMap(found[id] for id in sorted(found))  # refuses names that no label map can have
    if found and (max(found) > count or min(found) < 1):
        raise ValueError(
            f"{where}: it has the ids {min(found)} to {max(found)}, the config's num_classes is {count}, so it is "
            f"another model's. {_NO_LABEL_MAP}"
        )
    if len(found) < count:
        missing = [id for id in range(1, count + 1) if id not in found]
        shown = ", ".join(map(str, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        print(f"{where}: no class has the ids {shown}; the outputs for them are left out, and what follows moves up.")
    return found


def _named_label_map(draft: Draft, prefix: str) -> Path:
    named = [str(one.value) for one in draft.settings if one.plain_name.endswith("label_map_path")]
    names = dict.fromkeys(text.replace("\\", "/").rsplit("/", 1)[-1] for text in named)
    places = [Path(text) for text in named]
    around = [Path(draft.where).parent, *Path(prefix).absolute().parents[:2]]
    places += [folder / name for folder in around for name in [*names, "label_map.pbtxt", "labelmap.pbtxt"]]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(dict.fromkeys(str(folder) for folder in around))
    raise FileNotFoundError(f"{', '.join(names) or 'A label map'}: not found in {looked}. {_NO_LABEL_MAP}")


def _step(prefix: str) -> int:
    """Return the step of a checkpoint, 0 where it does not say."""
    reader = tf.train.load_checkpoint(prefix)
    for name in ("step/.ATTRIBUTES/VARIABLE_VALUE", "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"):
        if reader.has_tensor(name):
            return int(reader.get_tensor(name))
    return 0


def _write(folder: str | os.PathLike[str], config: ExperimentConfig, model: Any, step: int, weights: str) -> Run:
    run = open_run(folder)
    if run.read_manifest():
        raise ValueError(f"{run}: there is a run in this folder already. Give a new folder.")
    kept = {"step": step, "ap": float("nan"), "ap50": float("nan"), "threshold": THRESHOLD, "checkpoint": "ckpt-1"}
    tf.train.Checkpoint(model=model).write(str(run.prefix_of(kept)))
    experiment.label_map(config).write(run.label_map_path)
    experiment.save(config, run.config_path)
    run.update_manifest(  # last: where it is missing, nothing was carried over
        **claiming.facts(config),
        id=uuid.uuid4().hex,
        data={},
        weights=weights,
        weights_source=CARRIED,
        frozen_stride=0,
        step=step,
        models=[kept],
        best=kept,
        seconds={},
        saves=1,
        finished=True,
    )
    with contextlib.closing(Keeper(run)) as keeper:
        keeper.keep()
        keeper.finish()
    return run
