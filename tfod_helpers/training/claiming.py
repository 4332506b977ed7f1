"""A config -> its claim on a run folder: a run is trained on one set of records with one set of settings."""

from __future__ import annotations

import hashlib
import json
import platform
import uuid
from importlib import metadata
from typing import Any

import tensorflow as tf

from tfod_helpers import __version__, experiment, records
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files.run_folder import CARRIED, Run
from tfod_helpers.presets import keys
from tfod_helpers.records import Records


def claim(run: Run, config: ExperimentConfig) -> bool:
    """Make a new run folder this config's; return whether it already holds the finished training.

    A training that was begun can be resumed in batches of another size, since the chip that is there now may have room
    for another one. What follows the batch, learning rate and steps, may then differ too; anything else may not.

    Raises:
        ValueError: it holds a training of other data or settings; they are named.
    """
    data = {which: _describe(find_records(config, which)) for which in ("train", "validation")}
    if run.read_manifest().get("weights_source") == CARRIED:
        raise ValueError(
            f"{run}: this run was carried over from an old program, and stays as it is. Train on in another folder: "
            f"training.train(experiment.from_run({str(run)!r}, train=..., validation=...), 'runs/new')."
        )
    if tf.train.latest_checkpoint(run.checkpoints) is None:  # nothing is lost; a failed start may be corrected
        id = run.read_manifest().get("id") or uuid.uuid4().hex
        run.update_manifest(**facts(config), id=id, data=data, finished=False)
        experiment.label_map(config).write(run.label_map_path)
        experiment.save(config, run.config_path)  # last: where it is missing, the claim is not finished
        return False
    manifest = run.read_manifest()
    _refuse_other_data(run, manifest.get("data", {}), data)
    finished = bool(manifest.get("finished"))
    found = experiment.differences(experiment.load(run.config_path), config)
    other_batch = keys.BATCH_SIZE in found
    free = keys.free_on_resume(other_batch=other_batch, finished=finished)
    other = {name: pair for name, pair in found.items() if name not in free}
    if other:
        listed = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in list(other.items())[:10])
        raise ValueError(
            f"{run}: this run was made with other settings: {listed}. Choose another run folder for them, or "
            f"delete this one."
        )
    if other_batch:
        experiment.save(config, run.config_path)
    return finished


def facts(config: ExperimentConfig) -> dict[str, Any]:
    """Return what ``run.json`` says of a run's settings, and of what it was made with."""
    versions = {name: metadata.version(name) for name in ("tensorflow", "tf-models-official", "numpy")}
    return {
        "preset": config.task.preset,
        "classes": list(config.task.class_names),
        "changes": {name: list(pair) for name, pair in experiment.changes(config).items()},
        "versions": {"python": platform.python_version(), "tfod_helpers": __version__, **versions},
        "machines": [],
    }


def shared_facts(config: ExperimentConfig) -> dict[str, str]:
    """Return what has to be the same on all machines that train together.

    Raises:
        FileNotFoundError: there are no records.
        ValueError: they have other classes than the config.
    """
    settings = json.dumps(config.as_dict(), sort_keys=True, default=str)
    versions = {name: metadata.version(name) for name in ("tensorflow", "tf-models-official")}
    return {
        **versions,
        "tfod_helpers": __version__,
        "the settings": hashlib.sha256(settings.encode()).hexdigest()[:12],
        "the training records": find_records(config, "train").fingerprint,
        "the validation records": find_records(config, "validation").fingerprint,
    }


def find_records(config: ExperimentConfig, which: str) -> Records:
    """Return the records that a config names, where they are those that it was made for.

    Args:
        config: the settings.
        which: ``train`` or ``validation``.

    Raises:
        FileNotFoundError: there are none, or they were written anew.
        ValueError: they have other classes than the config.
    """
    pattern = getattr(config.task, f"{which}_data").input_path
    try:
        found = records.of_pattern(pattern)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There are no {'training' if which == 'train' else which} records: {error}") from None
    if found.label_map != experiment.label_map(config):
        raise ValueError(
            f"{pattern}: these records have the classes {found.label_map.describe()}, the config "
            f"{experiment.label_map(config).describe()}. Make the config again with experiment.make."
        )
    return found


def _describe(found: Records) -> dict[str, Any]:
    """Return what a run remembers of its records: enough to know them again wherever they lie."""
    return {"pattern": found.pattern, "images": found.count, "boxes": found.boxes, "fingerprint": found.fingerprint}


def _refuse_other_data(run: Run, before: dict[str, Any], now: dict[str, Any]) -> None:
    for which, facts in now.items():
        old = before.get(which, facts)
        if old["fingerprint"] != facts["fingerprint"]:
            counts = [f"{one['images']} images with {one['boxes']} boxes" for one in (old, facts)]
            raise ValueError(
                f"{run}: the {'training' if which == 'train' else which} photos or labels are not those that this run "
                f"began with: then {counts[0]} ({old['pattern']}), now {counts[1]} ({facts['pattern']}). Nothing was "
                f"trained. Choose another run folder for them; with weights={str(run)!r} it starts from the "
                f"weights of this one."
            )
