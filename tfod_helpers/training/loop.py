"""One training under way, from its first step, or from where it stopped, to its last."""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from tfod_helpers import pictures
from tfod_helpers.annotations import Dataset
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files.run_folder import Keeper, Run
from tfod_helpers.network import weights
from tfod_helpers.network.model import freeze
from tfod_helpers.presets import keys
from tfod_helpers.training import detecting, history, machines, resuming
from tfod_helpers.training.detecting import PhotoSet
from tfod_helpers.training.events import Events
from tfod_helpers.training.history import PLANNED, History
from tfod_helpers.training.hooks import Bar, Curves, Hook, Row
from tfod_helpers.training.schedule import WarmupCosine
from tfod_helpers.training.steps import BadLossError, Steps, smaller_batch
from tfod_helpers.training.validating import Keep, Validation, out_of_patience

_MEASURED = 100  # steps before the number of steps is fitted to the time there is
_SPARE = 0.95  # share of the time that is planned for; the rest is for what varies
_EXPLODED = 30.0  # times the median of the losses so far
_ABSURD = 1e6  # a detector begins below 100; whatever was before, from here on it learns nothing
_GONE = (
    "The {} was taken away ({}). What was saved at step {} is in {}. In Colab, choose Runtime > Reconnect, or another "
    "runtime type, and run the cells again: training resumes from there."
)


class Training:
    """One training under way: built in the strategy's scope, run once."""

    def __init__(
        self, config: ExperimentConfig, run: Run, keeper: Keeper, validation: Dataset, shown: Dataset, *, keep: Keep = 1
    ) -> None:
        """Build the model and all that it is evaluated with.

        Args:
            config: the settings.
            run: the run's folder.
            keeper: keeps it in step with Drive or a bucket.
            validation: the validation photos.
            shown: a few training photos, for TensorBoard.
            keep: how many of the newest evaluated models are kept.
        """
        self.config, self.run, self.keeper = config, run, keeper
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.total, self.every = config.trainer.train_steps, config.trainer.validation_interval
        self.rows: list[Row] = []
        self.saved = -1  # the step of the last checkpoint
        with self._timed("building"):
            tf_keras.utils.set_random_seed(config.task.train_data.seed or 0)
            self.steps = Steps(config)
            self.checkpoints = tf.train.CheckpointManager(self.steps.checkpoint, run.checkpoints, max_to_keep=2)
            detector = detecting.of_model(self.steps.eval_model, config)
            photos = PhotoSet(detector, validation)
            self.validation = Validation(self.steps.eval_model, photos, run, keep)
            self.hooks: list[Hook] = [Curves(), Events(run.events, PhotoSet(detector, shown), photos)]

    def begin(self, machine: dict[str, Any]) -> History:
        """Evaluate and save the model as it is before the first step; where steps were made, change nothing."""
        self.start(machine)
        if not self.steps.done and not self.rows:
            no_step = {"loss": math.nan, "learning_rate": 0.0, PLANNED: self.total, "steps_per_second": math.nan}
            self.rows = [{"step": 0, **no_step, **self._evaluate(0)}]
            self._save()
        for hook in self.hooks:
            hook.on_end()
        self.keeper.finish()
        return history.of(self.run)

    def go(self, machine: dict[str, Any]) -> History:
        """Train to the end, and return what happened; `machine` is what the run is to remember of this one."""
        self.start(machine)
        self.hooks.append(Bar(self.total, self.steps.done))
        try:
            with resuming.stoppable():
                while self.steps.done < self.total and not out_of_patience(self.rows, self.config.trainer.patience):
                    self._advance()
            self._save(finished=True)
        except (KeyboardInterrupt, SystemExit):
            self._stop()
            raise
        except tf.errors.ResourceExhaustedError as error:
            batch, side = self.config.task.train_data.global_batch_size, self.config.task.model.input_size[0]
            raise MemoryError(
                f"A batch of {batch} images of {side} pixels does not fit into the memory of this device. "
                f"{smaller_batch(self.config)}"
            ) from error
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise ConnectionError(_GONE.format(machine["kind"], str(error)[:200], self.saved, self.run)) from error
        finally:
            for hook in self.hooks:
                hook.on_end()
        self.keeper.finish()
        return history.of(self.run)

    def start(self, machine: dict[str, Any]) -> None:
        """Resume from the last checkpoint, or fill the model with its first weights."""
        if resuming.restore(self.steps, self.checkpoints):
            self._resume(machine)
        else:
            loaded = weights.load_for(self.steps.model, self.config.task)
            frozen = 0 if loaded.source == "scratch" else self.config.task.frozen_stride
            facts = {"weights": str(loaded), "weights_source": loaded.source, "frozen_stride": frozen}
            facts |= {"frozen_norms": loaded.norms_stay, "weights_terms": loaded.terms and loaded.terms._asdict()}
            self.run.update_manifest(**facts, step=0, best=None, models=[])
            resuming.add_machine(self.run, machine, 0)
            if self.config.trainer.minutes:
                print(f"After {_MEASURED} steps their number is fitted to {self.config.trainer.minutes:g} minutes.")
            if self.steps.average:
                self.steps.average.reset()
        machines.check_same_step(self.steps)
        manifest = self.run.read_manifest()
        freeze(self.steps.model, manifest["frozen_stride"], norms=manifest.get("frozen_norms", False))

    def _resume(self, machine: dict[str, Any]) -> None:
        fitted = bool(self.config.trainer.minutes) and self.steps.done >= _MEASURED
        self._plan(resuming.continue_schedule(self.steps, self.total, machine["batch_size"], fitted=fitted))
        self.rows = history.rescale(history.read_rows(self.run), self.total, self.steps.done)
        self.seconds |= self.run.read_manifest().get("seconds", {})
        change = resuming.add_machine(self.run, machine, self.steps.done)
        print(f"Resuming from step {self.steps.done} of {self.total} in {self.run}. {change}".rstrip())

    def _stop(self) -> None:
        """Save what there is, and say so."""
        self._save()
        tqdm.write(
            f"Stopped at step {self.steps.done} of {self.total}, which is saved in {self.run}. Run this again to "
            f"resume."
        )
        try:
            self.keeper.finish()
        except OSError as error:
            tqdm.write(str(error))

    def _advance(self) -> None:
        """Make the steps up to the next stop, and do there what is due."""
        step, fits = self.steps.done, bool(self.config.trainer.minutes)
        stops = [_next(step, self.config.trainer.steps_per_loop), _next(step, self.every), self.total]
        stop = min(*stops, _MEASURED) if fits and step < _MEASURED else min(stops)
        measured = fits and stop == _MEASURED
        row = self._train_to(stop)
        due = measured or stop % self.every == 0 or stop == self.total
        if due:
            row |= self._evaluate(stop)
        self.rows.append(row)
        for hook in self.hooks:
            hook.on_steps(self.rows)
        if measured:
            self._fit_to_time()
        if due:
            self._save()

    def _train_to(self, stop: int) -> Row:
        """Train up to a step, and return a row of the history."""
        step = self.steps.done
        first = not self.rows or step == 0
        with self._timed("building" if first else "steps") as watch:
            try:
                losses = self.steps.run(stop - step, self._limit(step))
            except BadLossError as bad:
                raise FloatingPointError(self._describe(bad)) from None
        return {
            "step": stop,
            "loss": losses.pop("loss"),
            "learning_rate": self._rate(stop),
            PLANNED: self.total,
            **losses,
            "steps_per_second": (stop - step) / watch[0],
        }

    def _rate(self, step: int) -> float:
        rate = self.steps.rate
        return float(rate(step) if callable(rate) else rate)

    def _limit(self, step: int) -> float:
        """Return the loss from which on training has exploded; while it warms up, no loss before is compared with."""
        warm = self.config.trainer.optimizer_config.warmup.linear.warmup_steps
        losses = [row["loss"] for row in self.rows if row["step"]]
        return min(_ABSURD, _EXPLODED * float(np.median(losses))) if losses and step >= warm else _ABSURD

    def _describe(self, bad: BadLossError) -> str:
        folder = self.run.folder / "failed"
        folder.mkdir(exist_ok=True)
        pictures.show_images(bad.images, count=len(bad.images)).save(folder / f"step-{bad.step}.png")
        loss = f"{bad.loss:.3g}" if math.isfinite(bad.loss) else str(bad.loss)
        return (
            f"The loss is {loss} after step {bad.step}, so training stopped. The images of that step, with their "
            f"boxes, are in {folder / f'step-{bad.step}.png'}: look for boxes that are wrong. What was saved before is "
            f"kept in {self.run.folder}. If they are right, train in another run folder with a learning rate below "
            f"{self._rate(bad.step):.2g}."
        )

    def _evaluate(self, step: int) -> dict[str, float]:
        """Evaluate the averaged model as it is now."""
        with self._timed("evaluating"):
            self.steps.fill_eval_model()
            scores, found = self.validation.evaluate(step)
            for hook in self.hooks:
                hook.on_evaluation(step, found)
        return scores

    def _fit_to_time(self) -> None:
        """Plan as many steps as the time allows, going by those that were made."""
        minutes, images = self.config.trainer.minutes, self.config.task.train_images
        one = 1 / self.rows[-1]["steps_per_second"]
        left = minutes * 60 * _SPARE - sum(self.seconds.values())
        left -= keys.EVALUATIONS * self.seconds["evaluating"]
        self._plan(self.steps.done + max(1, int(left / one)))
        epochs = self.total * self.config.task.train_data.global_batch_size / images
        tqdm.write(
            f"{1 / one:.1f} steps a second: {self.total} steps in {minutes:g} minutes, each of {images} photos seen "
            f"about {epochs:.0f} times."
        )

    def _plan(self, steps: int) -> None:
        """Let there be so many steps in all."""
        self.steps.planned.assign(steps)
        for row in self.rows:  # the same steps, of which there are more or fewer to come
            row[PLANNED] = steps
        if steps != self.total:
            self.total = steps
            self.every = keys.following(steps)[keys.VALIDATION_INTERVAL]
        if isinstance(self.steps.rate, WarmupCosine) and self.config.trainer.minutes:
            self.steps.rate.steps.assign(steps)

    def _save(self, *, finished: bool = False) -> None:
        with self._timed("saving"):
            # The history first: were it to lag behind the checkpoint, rows would be missing on resume.
            history.write_rows(self.run, self.rows)
            if self.saved != self.steps.done:
                self.checkpoints.save()
                self.saved = self.steps.done
        facts = {"step": self.steps.done, "planned_steps": self.total, "seconds": dict(self.seconds)}
        saves = self.run.read_manifest().get("saves", 0) + 1  # tells the newer of two copies
        self.run.update_manifest(**facts, finished=finished, saves=saves)
        for hook in self.hooks:
            hook.on_save(self.rows)
        self.keeper.keep()

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[list[float]]:
        began, watch = time.perf_counter(), [0.0]
        try:
            yield watch
        finally:
            watch[0] = time.perf_counter() - began
            self.seconds[what] += watch[0]


def _next(step: int, interval: int) -> int:
    """Return the next multiple of the interval after a step."""
    return (step // interval + 1) * interval
