"""One training under way, from its first step, or from where it stopped, to its last."""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from tfod_helpers import evaluation, experiment, pictures
from tfod_helpers.annotations import Dataset
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.experiment.config import following
from tfod_helpers.files import workspace
from tfod_helpers.files.run_folder import Keeper, Run
from tfod_helpers.network import weights
from tfod_helpers.network.model import freeze
from tfod_helpers.photos import Square
from tfod_helpers.training import detecting, events, history, live, machines, resuming
from tfod_helpers.training.history import PLANNED, History
from tfod_helpers.training.schedule import WarmupCosine
from tfod_helpers.training.steps import BadLossError, Steps

_MEASURED = 100  # steps before the number of steps is fitted to the time there is
_SPARE = 0.95  # share of the time that is planned for; the rest is for what varies
_EXPLODED = 30.0  # times the median of the losses so far
_GONE = (
    "The {} was taken away ({}). What was saved at step {} is in {}. In Colab, choose Runtime > Reconnect, or another "
    "runtime type, and run the cells again: training goes on from there."
)


class Training:
    """One training under way: built in the strategy's scope, run once."""

    def __init__(
        self, config: ExperimentConfig, run: Run, keeper: Keeper, validation: Dataset, seen: Dataset, folder: Any
    ) -> None:
        self.config, self.run, self.keeper, self.seconds = config, run, keeper, defaultdict(float)
        self.total, self.every = config.trainer.train_steps, config.trainer.validation_interval
        self.rows: list[dict[str, float]] = []
        self.saved = -1  # the step of the last checkpoint
        self.curves, self.events = live.Curves(), events.Events(folder)
        with self._timed("building"):
            tf_keras.utils.set_random_seed(config.task.train_data.seed or 0)
            self.steps = Steps(config)
            self.last = tf.train.CheckpointManager(self.steps.checkpoint, run.checkpoints, max_to_keep=2)
            self.best = tf.train.Checkpoint(model=self.steps.judged)
            self.detector = detecting.of_model(self.steps.judged, config)
            self.validation, self.squares = validation, self._scale(validation)
            self.seen, self.seen_squares = seen, self._scale(seen)

    def _scale(self, dataset: Dataset) -> list[Square]:
        return [self.detector.square(image.pixels()) for image in dataset]

    def go(self, machine: dict[str, Any]) -> History:
        """Train to the end, and return what happened; `machine` is what the run is to remember of this one."""
        self._start(machine)
        try:
            with (
                resuming.stoppable(),
                tqdm(total=self.total, initial=self.steps.done, unit="step", desc="training") as bar,
            ):
                while not self._finished():
                    self._go_on(bar)
        except (KeyboardInterrupt, SystemExit):
            self._stop()
            raise
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(_no_room(self.config)) from error
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise ConnectionError(_GONE.format(machine["kind"], str(error)[:200], self.saved, self.run)) from error
        finally:
            self.curves.clear()
        self._save(finished=True)
        self.keeper.finish()
        return history.of(self.run)

    def _start(self, machine: dict[str, Any]) -> None:
        """Go on from the last checkpoint, or fill the model with its first weights."""
        if resuming.restore(self.steps, self.last):
            manifest, batch = self.run.read_manifest(), machine["batch_size"]
            fitted = bool(self.config.trainer.minutes) and self.steps.done >= _MEASURED
            self._plan(resuming.continue_schedule(self.steps, self.total, batch, fitted=fitted))
            self.rows = resuming.rescale(history.read_rows(self.run), self.total, self.steps.done)
            self.seconds |= manifest.get("seconds", {})
            told = resuming.add_machine(self.run, machine, self.steps.done)
            print(f"Going on from step {self.steps.done} of {self.total} in {self.run}. {told}".rstrip())
        else:
            loaded = weights.load(self.steps.model, self.config.task.weights, classes=self.config.task.class_names)
            frozen = 0 if loaded.source == "scratch" else self.config.task.frozen_stride
            checksum = history.checksum(self.steps.model)
            facts = {"weights": str(loaded), "weights_checksum": checksum, "frozen_stride": frozen}
            self.run.update_manifest(**facts, step=0, best=None)
            resuming.add_machine(self.run, machine, 0)
            if self.config.trainer.minutes:
                print(f"After {_MEASURED} steps their number is fitted to {self.config.trainer.minutes:g} minutes.")
            if self.steps.average:
                self.steps.average.reset()
        machines.check_same_step(self.steps)
        freeze(self.steps.model, self.run.read_manifest()["frozen_stride"])

    def _stop(self) -> None:
        """Save what there is, and say so."""
        self._save()
        tqdm.write(
            f"Stopped at step {self.steps.done} of {self.total}, which is saved in {self.run}. Run this again to go on."
        )
        try:
            self.keeper.finish()
        except OSError as error:
            tqdm.write(str(error))

    def _finished(self) -> bool:
        patience = self.config.trainer.patience
        if self.steps.done >= self.total:
            return True
        scored = [row for row in self.rows if np.isfinite(row.get("ap", np.nan))]
        best = int(np.argmax([row["ap"] for row in scored])) if scored else 0
        since = len(scored) - 1 - best
        if patience and since >= patience:
            tqdm.write(f"No better AP in {since} evaluations since step {scored[best]['step']:.0f}: ending early.")
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
        if due or (fitting and stop == _MEASURED):
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
            PLANNED: self.total,
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
            found = self.detector.detect_squares(self.squares)
            result = evaluation.score(self.validation, found, resamples=0)
            shown = np.linspace(0, len(found) - 1, min(events.SHOWN, len(found))).astype(int)
            chosen = Dataset([self.validation[i] for i in shown], self.validation.label_map)
            squares = [self.squares[i] for i in shown]
            self.events.images(events.VALIDATION, step, chosen, squares, [found[i] for i in shown])
            seen = self.detector.detect_squares(self.seen_squares)
            self.events.images(events.TRAIN, step, self.seen, self.seen_squares, seen)
            scores = {"ap": result.ap, "ap50": result.ap50}
            best = self.run.read_manifest()["best"]
            if best is None or result.ap > best["ap"]:
                sure = evaluation.score(self.validation, found).intervals
                self._keep_best({"step": step, **scores, "threshold": result.threshold}, sure)
        return scores

    def _keep_best(self, facts: dict[str, float], intervals: Mapping[str, Any]) -> None:
        """Write the judged model beside the best so far; once ``run.json`` names it, the other one goes."""
        before = self.run.read_manifest()["best"]
        name = f"ckpt-{1 + (int(before['checkpoint'].rpartition('-')[2]) if before else 0)}"
        self.best.write(str(self.run.best / name))
        sure = {score: list(intervals[score]) for score in ("ap", "ap50")}
        self.run.update_manifest(best=facts | {"checkpoint": name}, best_intervals=sure)
        for path in self.run.best.iterdir():
            if path.is_file() and path.stem != name and path.name.partition(".")[0] != name:
                path.unlink()

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

    def _plan(self, steps: int) -> None:
        self.steps.planned.assign(steps)
        for row in self.rows:  # the same steps, of which there are more or fewer to come
            row[PLANNED] = steps
        if steps != self.total:
            self.total, self.every = steps, following(steps)["trainer.validation_interval"]
        if isinstance(self.steps.rate, WarmupCosine) and self.config.trainer.minutes:
            self.steps.rate.steps.assign(steps)

    def _report(self, row: dict[str, float], bar: tqdm) -> None:
        self.rows.append(row)
        self.events.scalars({name: value for name, value in row.items() if name != PLANNED})
        shown = {"loss": f"{row['loss']:.3f}", "learning rate": f"{row['learning_rate']:.1e}"}
        scored = [row["ap50"] for row in self.rows if np.isfinite(row.get("ap50", np.nan))]
        bar.set_postfix(shown | ({"AP50": f"{scored[-1]:.2f}"} if scored else {}))

    def _save(self, *, finished: bool = False) -> None:
        with self._timed("saving"):
            # The history first: were it to lag behind the checkpoint, rows would be missing after going on.
            with workspace.whole_file(self.run.history_path) as part:
                pd.DataFrame(self.rows).to_csv(part, index=False)
            if self.saved != self.steps.done:
                self.last.save()
                self.saved = self.steps.done
            self.events.flush()
        facts = {"step": self.steps.done, "planned_steps": self.total, "seconds": dict(self.seconds)}
        saves = self.run.read_manifest().get("saves", 0) + 1  # tells the newer of two copies
        self.run.update_manifest(**facts, finished=finished, saves=saves)
        self.keeper.keep()

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[list[float]]:
        began, watch = time.perf_counter(), [0.0]
        try:
            yield watch
        finally:
            watch[0] = time.perf_counter() - began
            self.seconds[what] += watch[0]


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
