"""What a run folder says of its training: its claim on the folder, its rows, its best model."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf
import tf_keras

from tfod_helpers import __version__, experiment, workspace
from tfod_helpers import model as models
from tfod_helpers.experiment import ExperimentConfig


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

    run: workspace.Run
    frame: pd.DataFrame
    best: dict[str, float]
    weights: str
    seconds: dict[str, float]

    def __str__(self) -> str:
        return (
            f"{int(self.frame['step'].max())} steps; best AP {self.best['ap']:.3f}, AP50 {self.best['ap50']:.3f} "
            f"at step {self.best['step']:.0f}. Started from: {self.weights}"
        )


def of(run: workspace.Run) -> History:
    """Return a run's history."""
    manifest = run.read_manifest()
    return History(
        run, pd.DataFrame(read_rows(run)), manifest["best"], manifest["weights"], manifest.get("seconds", {})
    )


def read_rows(run: workspace.Run) -> list[dict[str, Any]]:
    """Return the rows of ``history.csv``, or none where training has not begun."""
    return pd.read_csv(run.history_path).to_dict("records") if run.history_path.exists() else []


def claim(run: workspace.Run, config: ExperimentConfig) -> bool:
    """Make a new run folder this config's; return whether it already holds the finished training.

    Raises:
        ValueError: it holds a training of other settings; they are named.
    """
    if tf.train.latest_checkpoint(run.checkpoints) is None:  # nothing is lost; a failed start may be mended
        versions = {name: metadata.version(name) for name in ("tensorflow", "tf-models-official", "numpy")}
        run.update_manifest(
            preset=config.task.preset,
            classes=list(config.task.class_names),
            records={"train": config.task.train_data.input_path, "validation": config.task.validation_data.input_path},
            changes={name: list(pair) for name, pair in experiment.changes(config).items()},
            versions={"python": platform.python_version(), "tfod_helpers": __version__, **versions},
            finished=False,
        )
        experiment.label_map(config).write(run.label_map_path)
        experiment.save(config, run.config_path)  # last: where it is missing, the claim is not finished
        return False
    other = experiment.differences(experiment.load(run.config_path), config)
    if other:
        listed = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in list(other.items())[:10])
        raise ValueError(
            f"{run.folder}: this run was made with other settings: {listed}. Choose another run folder for them, or "
            f"delete this one."
        )
    return bool(run.read_manifest().get("finished"))


def load_best(run: str | os.PathLike[str] | workspace.Run) -> tuple[tf_keras.Model, ExperimentConfig]:
    """Build a run's model and fill it with its best weights.

    Raises:
        FileNotFoundError: the run holds no model yet.
    """
    run = run if isinstance(run, workspace.Run) else workspace.Run(Path(run).expanduser())  # made by `train` alone
    newest = tf.train.latest_checkpoint(run.best)
    if newest is None or not run.read_manifest().get("best"):
        raise FileNotFoundError(
            f"{run.best}: there is no trained model here. Train this run first, with training.train."
        )
    config = experiment.load(run.config_path)
    model = models.build(config)
    tf.train.Checkpoint(model=model).read(newest).assert_existing_objects_matched().expect_partial()
    return model, config
