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
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tfod_helpers import runtime  # before TensorFlow, whose start-up messages it quiets

import numpy as np
import pandas as pd
import supervision as sv
import tensorflow as tf
import tf_keras
from official.core import base_trainer
from tqdm.auto import tqdm

from tfod_helpers import evaluation, experiment, photos, records, tfrecord, weights, workspace
from tfod_helpers import model as models
from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.records import Records

_BATCH = 16  # images a forward pass when evaluating
_EMA = "EMA"
_SAME = ("task.model", "task.class_names", "task.train_data", "task.losses", "trainer.optimizer_config")


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
    config: ExperimentConfig, run: str | os.PathLike[str] | workspace.Run, *, strategy: tf.distribute.Strategy | None = None
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
    _claim(run, config)
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
    run = workspace.open_run(run)
    newest = tf.train.latest_checkpoint(run.best)
    if newest is None:
        raise FileNotFoundError(f"{run.best}: there is no trained model here. Train this run first, with training.train.")
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
        checkpoint = self.trainer.checkpoint
        self.last = tf.train.CheckpointManager(checkpoint, run.checkpoints, max_to_keep=2)
        self.best = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model), run.best, max_to_keep=1, step_counter=self.trainer.global_step
        )
        dataset = Dataset(tuple(_read_pattern(config.task.validation_data.input_path)), experiment.label_map(config))
        self.judge = _Judge(model, config, dataset)
        self.rows: list[dict[str, float]] = []

    def go(self) -> History:
        manifest = self._start()
        config, total = self.config.trainer, self.config.trainer.train_steps
        step = int(self.trainer.global_step)
        writer = tf.summary.create_file_writer(str(self.run.events))
        with writer.as_default(), tqdm(total=total, initial=step, unit="step", desc="training") as bar:
            while step < total:
                stop = min(_next(step, config.steps_per_loop), _next(step, config.validation_interval), total)
                row = self._advance(step, stop)
                bar.update(stop - step)
                step = stop
                if step % config.validation_interval == 0 or step == total:
                    row |= self._evaluate(step)
                self._report(row, bar)
                if step % config.checkpoint_interval == 0 or step == total:
                    self._save(step)
        manifest = self.run.read_manifest()
        return History(self.run, pd.DataFrame(self.rows), manifest["best"], manifest["weights"])

    def _start(self) -> dict[str, Any]:
        """Go on from the last checkpoint, or fill the model with its first weights."""
        if self.last.latest_checkpoint:
            self.last.restore_or_initialize()
            step = int(self.trainer.global_step)
            frame = pd.read_csv(self.run.history_path) if self.run.history_path.exists() else pd.DataFrame()
            self.rows = frame[frame["step"] <= step].to_dict("records") if len(frame) else []
            print(f"Going on from step {step} of {self.config.trainer.train_steps} in {self.run.folder}.")
            return self.run.read_manifest()
        loaded = weights.load(self.trainer.model, self.config.task.weights)
        return self.run.update_manifest(weights=str(loaded), step=0, best=None)

    def _advance(self, step: int, stop: int) -> dict[str, float]:
        """Train from one step to another, and return a row of the history."""
        began = time.perf_counter()
        logs = self.trainer.train(tf.constant(stop - step))
        loss = float(logs["total_loss"])
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} after step {stop}, so training stopped; the checkpoint before it is kept in "
                f"{self.run.checkpoints}. Lower the learning rate (now {float(logs['learning_rate']):.2g})."
            )
        return {
            "step": stop,
            "loss": loss,
            "cls_loss": float(logs["cls_loss"]),
            "box_loss": float(logs["box_loss"]),
            "learning_rate": float(logs["learning_rate"]),
            "steps_per_second": (stop - step) / (time.perf_counter() - began),
        }

    def _evaluate(self, step: int) -> dict[str, float]:
        result = self.judge.judge()
        scores = {"ap": result.ap, "ap50": result.ap50}
        best = self.run.read_manifest().get("best")
        if best is None or result.ap > best["ap"]:
            self.best.save(checkpoint_number=step)
            self.run.update_manifest(best={"step": step, **scores})
        return scores

    def _report(self, row: dict[str, float], bar: tqdm) -> None:
        self.rows.append(row)
        for name, value in row.items():
            if name != "step":
                tf.summary.scalar(name, value, step=row["step"])
        shown = {"loss": f"{row['loss']:.3f}", "lr": f"{row['learning_rate']:.1e}"}
        scored = [row for row in self.rows if "ap50" in row and np.isfinite(row["ap50"])]
        if scored:
            shown["AP50"] = f"{scored[-1]['ap50']:.2f}"
        bar.set_postfix(shown)

    def _save(self, step: int) -> None:
        with workspace.whole_file(self.run.history_path) as part:
            pd.DataFrame(self.rows).to_csv(part, index=False)
        self.last.save(checkpoint_number=step)
        self.run.update_manifest(step=step, updated=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


class _Judge:
    """A model and the photos that it is judged on, letterboxed once and kept."""

    def __init__(self, model: tf_keras.Model, config: ExperimentConfig, dataset: Dataset) -> None:
        self.dataset, self.names = dataset, np.array(config.task.class_names)
        side = config.task.model.input_size[0]
        squares = [photos.letterbox(image.pixels(), side) for image in dataset]
        self.images = np.stack([square for square, _ in squares])
        self.scales = [scale for _, scale in squares]
        self.detect = tf.function(models.detect_function(model, config), input_signature=[
            tf.TensorSpec([_BATCH, side, side, 3], tf.uint8)
        ])

    def judge(self) -> Evaluation:
        found: list[sv.Detections] = []
        for start in range(0, len(self.images), _BATCH):
            batch = self.images[start : start + _BATCH]
            # One batch shape, or the graph would be traced again for the last few images.
            padded = np.concatenate([batch, np.zeros((_BATCH - len(batch), *batch.shape[1:]), np.uint8)])
            out = {name: value.numpy() for name, value in self.detect(padded).items()}
            found += [
                to_detections(out, number, scale, self.dataset[start + number], self.names)
                for number, scale in enumerate(self.scales[start : start + len(batch)])
            ]
        return evaluation.score(self.dataset, found)


def to_detections(out, number, scale, image, names):
    count = int(out["count"][number])
    boxes = out["boxes_xyxy"][number, :count] / np.tile(scale, 2)
    boxes = np.clip(boxes, 0, [image.width, image.height] * 2)
    ids = out["classes"][number, :count]
    return sv.Detections(xyxy=boxes.astype(np.float32), confidence=out["scores"][number, :count], class_id=ids, data={"class_name": names[ids - 1]})


def _read_pattern(pattern: str):
    for path in sorted(glob.glob(pattern)):
        yield from tfrecord.read(Path(path))


def _next(step: int, interval: int) -> int:
    return (step // interval + 1) * interval


def _claim(run, config):
    run.update_manifest(classes=list(config.task.class_names), preset=config.task.preset)
    experiment.save(config, run.config_path)
    experiment.label_map(config).write(run.label_map_path)
