"""One training from its first step, or from where it stopped, to its last."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from tfod_helpers import devices as runtime
from tfod_helpers import (
    experiment,
    pictures,
    records,
    weights,
    workspace,
)
from tfod_helpers import model as models
from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.experiment.config import following
from tfod_helpers.records import Records
from tfod_helpers.training import events, history, live
from tfod_helpers.training.history import History
from tfod_helpers.training.judge import Judge
from tfod_helpers.training.schedule import WarmupCosine
from tfod_helpers.training.steps import BadLossError, Steps, precision

_MEASURED = 100  # steps before the number of steps is fitted to the time there is
_SPARE = 0.95  # share of the time that is planned for; the rest is for what varies
_RESAMPLES = 1000  # for the intervals
_EXPLODED = 30.0  # times the median of the losses so far


def train(
    config: ExperimentConfig,
    run: str | os.PathLike[str] | workspace.Run,
    *,
    strategy: tf.distribute.Strategy | None = None,
    tensorboard: str | os.PathLike[str] | None = None,
) -> History:
    """Train until the config's last step, its time or its patience is up, and keep the best model apart from the last.

    Where the run folder holds an unfinished training of the same config, it goes on from there;
    where it holds a finished one, its history comes back at once.

    Args:
        config: from `experiment.make`.
        run: the run folder, made where it is new.
        strategy: from `runtime.connect`; left out, the best device is taken.
        tensorboard: a folder for the event files, also ``gs://``; left out, ``events/`` in the run folder.

    Raises:
        ValueError: the run folder holds a training of other classes or settings, or the records have other classes
            than the config; they are named.
        FloatingPointError: the loss is no longer a number, or explodes; the last checkpoint is kept, and the images
            that did it are in ``failed/`` in the run folder.
        MemoryError: a batch does not fit into memory; the message says what to change.
    """
    run = workspace.open_run(run)
    if history.claim(run, config):
        print(f"{run.folder}: this training is finished already; here is its history.")
        return history.of(run)
    validation, training_images = _validation_set(config), _some_training_images(config)
    strategy = strategy or runtime.connect().strategy
    try:
        with strategy.scope(), precision(config.runtime.mixed_precision_dtype or runtime.best_precision(strategy)):
            return _Training(config, run, validation, training_images, tensorboard or run.events).go()
    finally:
        # Models refer to themselves, so only Python's garbage search frees them, and it seldom looks so far: after
        # ten trainings in one notebook their graphs would fill the memory.
        gc.collect()


def evaluate(run: str | os.PathLike[str] | workspace.Run, data: Records | Dataset) -> Evaluation:
    """Score a run's best model, with intervals.

    Args:
        run: the run folder.
        data: the records or the dataset to judge on.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: the data has other classes than the run.
    """
    model, config = history.load_best(run)
    dataset = data if isinstance(data, Dataset) else Dataset(tuple(records.read(data)), data.label_map)
    if dataset.label_map != experiment.label_map(config):
        raise ValueError(
            f"The data has the classes {dataset.label_map.describe()}, the run "
            f"{experiment.label_map(config).describe()}. Read the data with the run's label map."
        )
    judge = Judge(model, config, dataset)
    return judge.score(judge.detect(), resamples=_RESAMPLES)


class _Training:
    """One training under way: built in the strategy's scope, run once."""

    def __init__(
        self, config: ExperimentConfig, run: workspace.Run, validation: Dataset, seen: Dataset, folder: Any
    ) -> None:
        self.config, self.run, self.seconds = config, run, defaultdict(float)
        self.total, self.every = config.trainer.train_steps, config.trainer.validation_interval
        self.rows: list[dict[str, float]] = []
        self.curves, self.events = live.Curves(), events.Events(folder)
        with self._timed("building"):
            tf_keras.utils.set_random_seed(config.task.train_data.seed or 0)
            self.steps = Steps(config)
            self.last = tf.train.CheckpointManager(self.steps.checkpoint, run.checkpoints, max_to_keep=2)
            whole = tf.train.Checkpoint(model=self.steps.judged)
            self.best = tf.train.CheckpointManager(whole, run.best, max_to_keep=1)
            self.judge = Judge(self.steps.judged, config, validation)
            self.seen, self.seen_squares = seen, [self.judge.detector.square(image.pixels()) for image in seen]

    def go(self) -> History:
        self._start()
        try:
            with tqdm(total=self.total, initial=self.steps.done, unit="step", desc="training") as bar:
                while not self._finished():
                    self._go_on(bar)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(_no_room(self.config)) from error
        finally:
            self.curves.clear()
        self._save(finished=True)
        return history.of(self.run)

    def _start(self) -> None:
        """Go on from the last checkpoint, or fill the model with its first weights."""
        if self.last.latest_checkpoint:
            self.last.restore_or_initialize()
            manifest = self.run.read_manifest()
            self.rows = [row for row in history.read_rows(self.run) if row["step"] <= self.steps.done]
            self.seconds |= manifest.get("seconds", {})
            self._plan(manifest.get("planned_steps", self.total))
            print(f"Going on from step {self.steps.done} of {self.total} in {self.run.folder}.")
        else:
            loaded = weights.load(self.steps.model, self.config.task.weights, classes=self.config.task.class_names)
            frozen = 0 if loaded.source == "scratch" else self.config.task.frozen_stride
            self.run.update_manifest(weights=str(loaded), frozen_stride=frozen, step=0, best=None)
            if self.config.trainer.minutes:
                print(f"After {_MEASURED} steps their number is fitted to {self.config.trainer.minutes:g} minutes.")
            if self.steps.average:
                self.steps.average.reset()
        models.freeze(self.steps.model, self.run.read_manifest()["frozen_stride"])

    def _finished(self) -> bool:
        trainer, best = self.config.trainer, self.run.read_manifest()["best"]
        if self.steps.done >= self.total:
            return True
        since = [
            row for row in self.rows if "ap" in row and np.isfinite(row["ap"]) and best and row["step"] > best["step"]
        ]
        if trainer.patience and len(since) >= trainer.patience:
            tqdm.write(f"No better AP in {len(since)} evaluations since step {best['step']}: ending early.")
            return True
        return False

    def _go_on(self, bar: tqdm) -> None:
        """Make the steps up to the next stop, and do there what is due."""
        trainer, step = self.config.trainer, self.steps.done
        stops = [_next(step, interval) for interval in (trainer.steps_per_loop, self.every)]
        fitting = bool(trainer.minutes) and step < _MEASURED
        stop = min(self.total, *stops, *([_MEASURED] if fitting else []))
        row = self._advance(step, stop)
        bar.update(stop - step)
        due = stop % self.every == 0 or stop == self.total
        if due or (fitting and stop == _MEASURED):
            row |= self._evaluate(stop)
        self._report(row, bar)
        if fitting and stop == _MEASURED:
            self._fit_to_time(bar)
        if due:
            self._save()
            self.curves.show(self.rows)

    def _advance(self, step: int, stop: int) -> dict[str, float]:
        """Train from one step to another, and return a row of the history."""
        first = not self.rows or step == 0
        with self._timed("building" if first and "building" in self.seconds else "steps") as watch:
            try:
                losses = self.steps.run(stop - step, self._limit(step))
            except BadLossError as bad:
                raise FloatingPointError(self._tell_of(bad)) from None
        rate = self.steps.rate
        return {
            "step": stop,
            "loss": losses.pop("loss"),
            "learning_rate": float(rate(stop) if callable(rate) else rate),
            **losses,
            "steps_per_second": (stop - step) / watch[0],
        }

    def _limit(self, step: int) -> float:
        """Return the loss from which on training has exploded; while it warms up, there is none."""
        warm = self.config.trainer.optimizer_config.warmup.linear.warmup_steps
        losses = [row["loss"] for row in self.rows]
        return _EXPLODED * float(np.median(losses)) if losses and step >= warm else math.inf

    def _tell_of(self, bad: BadLossError) -> str:
        folder = self.run.folder / "failed"
        folder.mkdir(exist_ok=True)
        pictures.show_images(bad.images, count=len(bad.images)).save(folder / f"step-{bad.step}.png")
        rate = self.rows[-1]["learning_rate"] if self.rows else self._highest_rate()
        what = f"The loss is {bad.loss:.3g}" if math.isfinite(bad.loss) else f"The loss is {bad.loss}"
        return (
            f"{what} after step {bad.step}, so training stopped. The images of that step, with their boxes, are in "
            f"{folder / f'step-{bad.step}.png'}: look for boxes that are wrong. What was saved before is kept in "
            f"{self.run.folder}. If they are right, train in another run folder with a learning rate below {rate:.2g}."
        )

    def _highest_rate(self) -> float:
        return experiment.config.flatten(self.config)[experiment.config.LEARNING_RATE]

    def _evaluate(self, step: int) -> dict[str, float]:
        """Judge the averaged model as it is now, and keep it where it is the best so far."""
        with self._timed("evaluating"):
            self.steps.copy_average()
            found = self.judge.detect()
            result = self.judge.score(found)
            shown = np.linspace(0, len(found) - 1, min(events.SHOWN, len(found))).astype(int)
            chosen = Dataset([self.judge.dataset[i] for i in shown], self.judge.dataset.label_map)
            squares = [self.judge.squares[i] for i in shown]
            self.events.images(events.VALIDATION, step, chosen, squares, [found[i] for i in shown])
            self.events.images(events.TRAIN, step, self.seen, self.seen_squares, self.judge.detect(self.seen_squares))
            scores = {"ap": result.ap, "ap50": result.ap50}
            best = self.run.read_manifest()["best"]
            if best is None or result.ap > best["ap"]:
                self.best.save(checkpoint_number=step)
                sure = self.judge.score(found, resamples=_RESAMPLES).intervals
                self.run.update_manifest(
                    best={"step": step, **scores, "threshold": result.threshold},
                    best_intervals={name: list(sure[name]) for name in scores},
                )
        return scores

    def _fit_to_time(self, bar: tqdm) -> None:
        """Plan as many steps as the time allows, going by those that were made."""
        budget = self.config.trainer.minutes * 60 * _SPARE - sum(self.seconds.values())
        one = 1 / self.rows[-1]["steps_per_second"]
        evaluations = experiment.config.EVALUATIONS * self.seconds["evaluating"]
        steps = self.steps.done + max(0, int((budget - evaluations) / one))
        self._plan(max(steps, self.steps.done + 1))
        bar.total = self.total
        bar.refresh()
        tqdm.write(
            f"{1 / one:.1f} steps a second: {self.total} steps in {self.config.trainer.minutes:g} minutes, "
            f"each of {self.config.task.train_images} photos seen about "
            f"{self.total * self.config.task.train_data.global_batch_size / self.config.task.train_images:.0f} times."
        )
        self.run.update_manifest(planned_steps=self.total)

    def _plan(self, steps: int) -> None:
        if steps != self.total:
            self.total, self.every = steps, following(steps)["trainer.validation_interval"]
        if isinstance(self.steps.rate, WarmupCosine) and self.config.trainer.minutes:
            self.steps.rate.steps.assign(steps)

    def _report(self, row: dict[str, float], bar: tqdm) -> None:
        self.rows.append(row)
        self.events.scalars(row)
        shown = {"loss": f"{row['loss']:.3f}", "learning rate": f"{row['learning_rate']:.1e}"}
        scored = [row["ap50"] for row in self.rows if np.isfinite(row.get("ap50", np.nan))]
        bar.set_postfix(shown | ({"AP50": f"{scored[-1]:.2f}"} if scored else {}))

    def _save(self, *, finished: bool = False) -> None:
        with self._timed("saving"):
            # The history first: were it to lag behind the checkpoint, rows would be missing after going on.
            with workspace.whole_file(self.run.history_path) as part:
                pd.DataFrame(self.rows).to_csv(part, index=False)
            if not finished or not str(self.last.latest_checkpoint).endswith(f"-{self.steps.done}"):
                self.last.save(checkpoint_number=self.steps.done)
            self.events.flush()
        self.run.update_manifest(step=self.steps.done, seconds=dict(self.seconds), finished=finished)

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[list[float]]:
        began, watch = time.perf_counter(), [0.0]
        try:
            yield watch
        finally:
            watch[0] = time.perf_counter() - began
            self.seconds[what] += watch[0]


def _records(config: ExperimentConfig, which: str) -> Records:
    """Return the records that a config names, where they are those that it was made for."""
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


def _validation_set(config: ExperimentConfig) -> Dataset:
    found = _records(config, "validation")
    if not found.boxes:
        raise ValueError(
            f"{found.pattern}: no object in these records, so no model can be judged on them. Label some photos."
        )
    return Dataset(tuple(records.read(found)), found.label_map)


def _some_training_images(config: ExperimentConfig) -> Dataset:
    """Return a few of the photos that are learnt from, to see what the model makes of them."""
    found = _records(config, "train")
    every = max(1, found.count // events.SHOWN)
    last = every * (min(events.SHOWN, found.count) - 1) + 1
    return Dataset(tuple(itertools.islice(records.read(found), 0, last, every)), found.label_map)


def _no_room(config: ExperimentConfig) -> str:
    batch, size = config.task.train_data.global_batch_size, config.task.model.input_size[0]
    half = max(1, batch // 2)
    return (
        f"A batch of {batch} images of {size} pixels does not fit into the memory of this device. Use "
        f"batch_size={half}; learning rate and steps follow by themselves. Or let training.find_batch_size(config) try "
        f"which one fits, use a smaller image_size, or a smaller preset."
    )


def _next(step: int, interval: int) -> int:
    """Return the next multiple of the interval after a step."""
    return (step // interval + 1) * interval
