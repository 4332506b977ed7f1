"""An ExperimentConfig -> a run: checkpoints, the best model, a history.

The train step, the losses and the optimizer are the Model Garden's; this module drives them, shows
how far they are, judges the model on the validation records as it goes, and keeps what is worth
keeping. A run that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import glob
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
import tf_keras
from official.core import base_trainer
from tqdm import tqdm

from tfod_helpers import (
    __version__,
    evaluation,
    experiment,
    records,
    runtime,  # before TensorFlow, whose start-up messages it quiets
    tfrecord,
    weights,
    workspace,
)
from tfod_helpers import model as models
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.records import Records

_BATCH = 16  # images a forward pass when evaluating


@dataclass(frozen=True)
class History:
    """What happened in a training.

    Attributes:
        run: the run folder.
        frame: a row each time the loss was read: step, loss, learning_rate, steps_per_second, and,
            where the model was evaluated, ap and ap50.
        best: step, ap and ap50 of the model in ``best/``.
        weights: what the training started from, in words.
    """

    run: workspace.Run
    frame: pd.DataFrame
    best: dict[str, float]
    weights: str

    def __str__(self) -> str:
        return (
            f"{int(self.frame['step'].max())} steps; best AP {self.best['ap']:.3f}, AP50 {self.best['ap50']:.3f} "
            f"at step {self.best['step']:.0f}. Started from: {self.weights}"
        )


def train(
    config: ExperimentConfig,
    run: str | os.PathLike[str] | workspace.Run,
    *,
    strategy: tf.distribute.Strategy | None = None,
) -> History:
    """Train until the config's last step, and keep the best model apart from the last.

    Where the run folder holds an unfinished training of the same config, it goes on from there;
    where it holds a finished one, its history comes back at once.

    Args:
        config: from `experiment.make`.
        run: the run folder, made where it is new.
        strategy: from `runtime.connect`; left out, the best device is taken.

    Raises:
        ValueError: the run folder holds a training of other classes or settings; they are named.
        FloatingPointError: the loss is no longer a number; the last checkpoint is kept.
    """
    run = workspace.open_run(run)
    if _claim(run, config):
        print(f"{run.folder}: this training is finished already; here is its history.")
        return _history(run)
    with (strategy or runtime.connect().strategy).scope():
        return _Training(config, run).go()


def evaluate(run: str | os.PathLike[str] | workspace.Run, data: Records | Dataset) -> Evaluation:
    """Score a run's best model.

    Args:
        run: the run folder.
        data: the records or the dataset to judge on.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: the data has other classes than the run.
    """
    model, config = load_best(run)
    dataset = data if isinstance(data, Dataset) else Dataset(tuple(records.read(data)), data.label_map)
    if dataset.label_map != experiment.label_map(config):
        raise ValueError(
            f"The data has the classes {dataset.label_map.describe()}, the run "
            f"{experiment.label_map(config).describe()}. Read the data with the run's label map."
        )
    return _Judge(model, config, dataset).judge()


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


class _Training:
    """One training under way: built in the strategy's scope, run once."""

    def __init__(self, config: ExperimentConfig, run: workspace.Run) -> None:
        self.config, self.run = config, run
        tf_keras.utils.set_random_seed(config.task.train_data.seed or 0)
        task = models.DetectionTask(config.task)
        model = models.build(config)
        optimizer = task.create_optimizer(config.trainer.optimizer_config)
        self.trainer = base_trainer.Trainer(config, task, model, optimizer, train=True, evaluate=False)
        self.last = tf.train.CheckpointManager(self.trainer.checkpoint, run.checkpoints, max_to_keep=2)
        self.best = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), run.best, max_to_keep=1)
        self.judge = _Judge(model, config, _validation_set(config))
        self.writers = {name: tf.summary.create_file_writer(str(run.events / name)) for name in ("train", "validation")}
        self.rows: list[dict[str, float]] = []

    def go(self) -> History:
        self._start()
        trainer = self.config.trainer
        total, step = trainer.train_steps, int(self.trainer.global_step.numpy())
        with tqdm(total=total, initial=step, unit="step", desc="training") as bar:
            while step < total:
                intervals = (trainer.steps_per_loop, trainer.validation_interval, trainer.checkpoint_interval)
                stop = min(total, *(_next(step, interval) for interval in intervals))
                row = self._advance(step, stop)
                bar.update(stop - step)
                step = stop
                if step % trainer.validation_interval == 0 or step == total:
                    row |= self._evaluate(step)
                self._report(row, bar)
                if step % trainer.checkpoint_interval == 0 or step == total:
                    self._save(step)
        return _history(self.run)

    def _start(self) -> None:
        """Go on from the last checkpoint, or fill the model with its first weights."""
        if self.last.latest_checkpoint:
            self.last.restore_or_initialize()
            step = int(self.trainer.global_step.numpy())
            self.rows = [row for row in _read_rows(self.run) if row["step"] <= step]
            print(f"Going on from step {step} of {self.config.trainer.train_steps} in {self.run.folder}.")
        else:
            loaded = weights.load(self.trainer.model, self.config.task.weights)
            frozen = 0 if loaded.source == "scratch" else self.config.task.frozen_stride
            self.run.update_manifest(weights=str(loaded), frozen_stride=frozen, step=0, best=None)
        models.freeze(self.trainer.model, self.run.read_manifest()["frozen_stride"])

    def _advance(self, step: int, stop: int) -> dict[str, float]:
        """Train from one step to another, and return a row of the history."""
        began = time.perf_counter()
        logs = self.trainer.train(tf.constant(stop - step))
        row = {"step": stop, "loss": float(logs["total_loss"]), "learning_rate": float(logs["learning_rate"])}
        row |= {"cls_loss": float(logs["cls_loss"]), "box_loss": float(logs["box_loss"])}
        if not np.isfinite(row["loss"]):
            raise FloatingPointError(
                f"The loss is {row['loss']} after step {stop}, so training stopped. What was saved before is kept in "
                f"{self.run.folder}. Train in another run folder with a learning rate below {row['learning_rate']:.2g}."
            )
        return row | {"steps_per_second": (stop - step) / (time.perf_counter() - began)}

    def _evaluate(self, step: int) -> dict[str, float]:
        """Judge the model as it is now, and keep it where it is the best so far."""
        result = self.judge.judge()
        scores = {"ap": result.ap, "ap50": result.ap50}
        best = self.run.read_manifest()["best"]
        if best is None or result.ap > best["ap"]:
            self.best.save(checkpoint_number=step)
            self.run.update_manifest(best={"step": step, **scores, "threshold": result.threshold})
        return scores

    def _report(self, row: dict[str, float], bar: tqdm) -> None:
        self.rows.append(row)
        for name, value in row.items():
            if name != "step":
                with self.writers["validation" if name in ("ap", "ap50") else "train"].as_default(step=row["step"]):
                    tf.summary.scalar(name, value)
        shown = {"loss": f"{row['loss']:.3f}", "learning rate": f"{row['learning_rate']:.1e}"}
        scored = [row["ap50"] for row in self.rows if np.isfinite(row.get("ap50", np.nan))]
        bar.set_postfix(shown | ({"AP50": f"{scored[-1]:.2f}"} if scored else {}))

    def _save(self, step: int) -> None:
        # The history first: were it to lag behind the checkpoint, rows would be missing after going on.
        with workspace.whole_file(self.run.history_path) as part:
            pd.DataFrame(self.rows).to_csv(part, index=False)
        self.last.save(checkpoint_number=step)
        self.run.update_manifest(step=step)
        for writer in self.writers.values():
            writer.flush()


class _Judge:
    """A model and the images that it is judged on, scaled to its input once and kept."""

    def __init__(self, model: tf_keras.Model, config: ExperimentConfig, dataset: Dataset) -> None:
        self.dataset = dataset
        self.detector = Detector(
            _eager(model, config), experiment.label_map(config), config.task.model.input_size[0], 0.0
        )
        self.squares = [self.detector.square(image.pixels()) for image in dataset]

    def judge(self) -> Evaluation:
        return evaluation.score(self.dataset, self.detector.detect_squares(self.squares, batch_size=_BATCH))


def _eager(model: tf_keras.Model, config: ExperimentConfig) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return the model as the function from squares to detections that a `Detector` runs."""
    side = config.task.model.input_size[0]
    # One batch shape: the last, smaller batch would be traced anew, which takes longer than all others.
    spec = tf.TensorSpec([_BATCH, side, side, 3], tf.uint8)
    detect = tf.function(models.detect_function(model, config), input_signature=[spec])

    def run(squares: np.ndarray) -> dict[str, np.ndarray]:
        full = np.concatenate([squares, np.zeros((_BATCH - len(squares), *squares.shape[1:]), np.uint8)])
        return {name: value.numpy()[: len(squares)] for name, value in detect(full).items()}

    return run


def _claim(run: workspace.Run, config: ExperimentConfig) -> bool:
    """Make a new run folder this config's; return whether it already holds the finished training."""
    if tf.train.latest_checkpoint(run.checkpoints) is None:  # nothing is lost; a failed start may be mended
        versions = {name: metadata.version(name) for name in ("tensorflow", "tf-models-official", "numpy")}
        run.update_manifest(
            preset=config.task.preset,
            classes=list(config.task.class_names),
            records={"train": config.task.train_data.input_path, "validation": config.task.validation_data.input_path},
            changes={name: list(pair) for name, pair in experiment.changes(config).items()},
            versions={"python": platform.python_version(), "tfod_helpers": __version__, **versions},
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
    return run.read_manifest().get("step") == config.trainer.train_steps


def _history(run: workspace.Run) -> History:
    manifest = run.read_manifest()
    return History(run, pd.DataFrame(_read_rows(run)), manifest["best"], manifest["weights"])


def _read_rows(run: workspace.Run) -> list[dict[str, float]]:
    return pd.read_csv(run.history_path).to_dict("records") if run.history_path.exists() else []


def _validation_set(config: ExperimentConfig) -> Dataset:
    pattern = config.task.validation_data.input_path
    images = tuple(image for path in sorted(glob.glob(pattern)) for image in tfrecord.read(Path(path)))
    if not images:
        raise FileNotFoundError(f"{pattern}: no validation records here. Write them with records.write.")
    if not any(len(image.labels) for image in images):
        raise ValueError(f"{pattern}: no object in these records, so no model can be judged on them. Label some.")
    return Dataset(images, experiment.label_map(config))


def _next(step: int, interval: int) -> int:
    """Return the next multiple of the interval after a step."""
    return (step // interval + 1) * interval
