"""What a run folder says of its training: its claim on the folder, its rows, its best model."""

from __future__ import annotations

import hashlib
import platform
import uuid
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pandas as pd
import tensorflow as tf
import tf_keras

from tfod_helpers import __version__, experiment, records
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files.run_folder import Run
from tfod_helpers.records import Records

PLANNED = "planned_steps"  # of a row: how many steps there were to be when it was written


@dataclass(frozen=True)
class History:
    """What happened in a training.

    Attributes:
        run: the run folder.
        frame: a row each time the loss was read: step, loss, learning_rate, steps_per_second, and,
            where the model was evaluated, ap and ap50.
        best: step, ap and ap50 of the model in ``best/``.
        weights: what the training started from, in words.
        seconds: what the time went into: building (network and first step), steps, evaluating, saving.
    """

    run: Run
    frame: pd.DataFrame
    best: dict[str, float]
    weights: str
    seconds: dict[str, float]

    def __str__(self) -> str:
        return (
            f"{int(self.frame['step'].max())} steps; best AP {self.best['ap']:.3f}, AP50 {self.best['ap50']:.3f} "
            f"at step {self.best['step']:.0f}. Started from: {self.weights}"
        )


def of(run: Run) -> History:
    """Return a run's history."""
    manifest, rows = run.read_manifest(), read_rows(run)
    best = {name: value for name, value in manifest["best"].items() if name != "checkpoint"}
    frame = pd.DataFrame(rows).drop(columns=PLANNED, errors="ignore")
    return History(run, frame, best, manifest["weights"], manifest.get("seconds", {}))


def read_rows(run: Run) -> list[dict[str, Any]]:
    """Return the rows of ``history.csv``, or none where training has not begun."""
    return pd.read_csv(run.history_path).to_dict("records") if run.history_path.exists() else []


def claim(run: Run, config: ExperimentConfig) -> bool:
    """Make a new run folder this config's; return whether it already holds the finished training.

    A training that was begun can be gone on with in batches of another size, since the chip that is there now may have
    room for another one. What follows the batch, learning rate and steps, may then differ too; anything else may not.

    Raises:
        ValueError: it holds a training of other data or settings; they are named.
    """
    data = {which: _describe(find_records(config, which)) for which in ("train", "validation")}
    if tf.train.latest_checkpoint(run.checkpoints) is None:  # nothing is lost; a failed start may be mended
        versions = {name: metadata.version(name) for name in ("tensorflow", "tf-models-official", "numpy")}
        run.update_manifest(
            id=run.read_manifest().get("id") or uuid.uuid4().hex,
            preset=config.task.preset,
            classes=list(config.task.class_names),
            data=data,
            changes={name: list(pair) for name, pair in experiment.changes(config).items()},
            versions={"python": platform.python_version(), "tfod_helpers": __version__, **versions},
            machines=[],
            finished=False,
        )
        experiment.label_map(config).write(run.label_map_path)
        experiment.save(config, run.config_path)  # last: where it is missing, the claim is not finished
        return False
    manifest = run.read_manifest()
    _refuse_other_data(run, manifest.get("data", {}), data)
    other = experiment.differences(experiment.load(run.config_path), config)
    other = {name: pair for name, pair in other.items() if not name.endswith(".input_path")}  # settled above
    if experiment.BATCH_SIZE in other and not manifest.get("finished"):
        other = {name: pair for name, pair in other.items() if name not in experiment.FOLLOWING_BATCH}
        if not other:
            experiment.save(config, run.config_path)
    if other:
        listed = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in list(other.items())[:10])
        raise ValueError(
            f"{run}: this run was made with other settings: {listed}. Choose another run folder for them, or "
            f"delete this one."
        )
    return bool(manifest.get("finished"))


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


def checksum(model: tf_keras.Model) -> str:
    """Return 32 hex digits that stand for a model's weights."""
    found = hashlib.blake2b(digest_size=16)
    for weight in model.weights:
        found.update(weight.numpy().tobytes())
    return found.hexdigest()


def _describe(found: Records) -> dict[str, Any]:
    """Return what a run remembers of its records: enough to know them again wherever they lie."""
    return {"pattern": found.pattern, "images": found.count, "boxes": found.boxes, "fingerprint": found.fingerprint}


def _refuse_other_data(run: Run, before: dict[str, Any], now: dict[str, Any]) -> None:
    for which, facts in now.items():
        old = before.get(which, facts)
        if old["fingerprint"] != facts["fingerprint"]:
            told = [f"{one['images']} images with {one['boxes']} boxes" for one in (old, facts)]
            raise ValueError(
                f"{run}: the {'training' if which == 'train' else which} photos or labels are not those that this run "
                f"began with: then {told[0]} ({old['pattern']}), now {told[1]} ({facts['pattern']}). Nothing was "
                f"trained. Choose another run folder for them; with weights={str(run)!r} it starts from what this one "
                f"learnt."
            )
