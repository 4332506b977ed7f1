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
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Keeper, Run
from tfod_helpers.network import weights
from tfod_helpers.network.model import freeze
from tfod_helpers.presets import keys
from tfod_helpers.training import detecting, history, resuming
from tfod_helpers.training.detecting import PhotoSet
from tfod_helpers.training.events import Events, which_are_shown
from tfod_helpers.training.history import PLANNED, History
from tfod_helpers.training.hooks import Curves, Hook, Row, progress
from tfod_helpers.training.machines import Machines
from tfod_helpers.training.resuming import Stop
from tfod_helpers.training.schedule import WarmupCosine
from tfod_helpers.training.steps import BadLossError, Steps, smaller_batch
from tfod_helpers.training.validating import Keep, Validation, out_of_patience

_MEASURED = 100  # steps before the number of steps is fitted to the time there is
_SPARE = 0.95  # share of the time that is planned for; the rest is for what varies
_EXPLODED = 30.0  # times the median of the losses so far
_ABSURD = 1e6  # a detector begins below 100; whatever was before, from here on it learns nothing
_NOTICE = 10.0  # seconds of steps until a machine looks whether it is taken away; Google Cloud gives 30 of notice
_AT_MOST = 600.0  # seconds from one save to the next: what a machine that is lost without notice can cost


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
        self.loop = config.trainer.steps_per_loop
        self._slow, self._warm = 0.0, False  # seconds a step, once the first ones have built the graph
        self._save_by, self._late = time.monotonic() + _AT_MOST, False
        self.rows: list[Row] = []
        self.saved: int | None = None  # the step of the last checkpoint
        with self._timed("building"):
            tf_keras.utils.set_random_seed(config.task.train_data.seed or 0)
            self.steps = Steps(config)
            self.machines = Machines(self.steps.strategy)
            detector = detecting.of_model(self.steps.eval_model, config)
            photos = PhotoSet(detector, validation, self.machines, shown=which_are_shown(len(validation)))
            self.validation = Validation(self.steps.eval_model, photos, run, self.machines, keep)
            self.hooks: list[Hook] = []
            if self.machines.writes:
                self.checkpoints = tf.train.CheckpointManager(self.steps.checkpoint, run.checkpoints, max_to_keep=2)
                self.hooks = [Curves(), Events(run.events, PhotoSet(detector, shown), photos)]

    def begin(self, machine: dict[str, Any]) -> History:
        """Evaluate and save the model as it is before the first step; where steps were made, change nothing."""
        with self._under_way(machine):
            if not self.steps.done and not self.rows:
                no_step = {"loss": math.nan, "learning_rate": 0.0, PLANNED: self.total, "steps_per_second": math.nan}
                self.rows = [{"step": 0, **no_step, **self._evaluate(0)}]
                self._save()
        return self._end()

    def go(self, machine: dict[str, Any]) -> History:
        """Train to the end, and return what happened; `machine` is what the run is to remember of this one."""
        try:
            with self._under_way(machine), resuming.stoppable(together=self.machines.count > 1) as stop:
                if self.machines.writes:
                    self.hooks.append(progress(self.total, self.steps.done))
                try:
                    while not self._is_over():
                        self._advance(stop)
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
        return self._end()

    @contextlib.contextmanager
    def _under_way(self, machine: dict[str, Any]) -> Iterator[None]:
        """Start, and end the hooks whatever happens."""
        self.start(machine)
        try:
            yield
        finally:
            for hook in self.hooks:
                hook.on_end()

    def start(self, machine: dict[str, Any]) -> None:
        """Resume from the last checkpoint, or fill the model with its first weights."""
        if self.machines.from_first(lambda: bool(self.checkpoints.checkpoints)):
            self._freeze()
            self.steps.prepare(self.machines)
            self.machines.from_first(lambda: resuming.restore(self.steps, self.checkpoints))
            self._resume(machine)
        else:
            loaded = weights.load_for(self.steps.model, self.config.task)
            self.machines.from_first(lambda: self._write_first(machine, loaded))
            if self.steps.average:
                self.steps.average.reset()
            self._freeze()
        self.steps.share(self.machines)

    def _freeze(self) -> None:
        """Freeze what run.json says, as the first machine reads it."""
        names = ("frozen_stride", "frozen_norms")
        manifest = self.machines.from_first(lambda: {name: self.run.read_manifest().get(name) for name in names})
        freeze(self.steps.model, manifest["frozen_stride"], norms=manifest["frozen_norms"] or False)

    def _write_first(self, machine: dict[str, Any], loaded: weights.Loaded) -> None:
        """Write down what the training begins with."""
        frozen = 0 if loaded.source == "scratch" else self.config.task.frozen_stride
        facts = {"weights": str(loaded), "weights_source": loaded.source, "frozen_stride": frozen}
        facts |= {"frozen_norms": loaded.norms_stay, "weights_terms": loaded.terms and loaded.terms._asdict()}
        self.run.update_manifest(**facts, step=0, best=None, models=[])
        resuming.add_machine(self.run, machine, 0)
        if self.config.trainer.minutes:
            print(f"After {_MEASURED} steps their number is fitted to {self.config.trainer.minutes:g} minutes.")

    def _resume(self, machine: dict[str, Any]) -> None:
        """Go on at the same place of the schedule; the first machine knows which, and tells the others."""

        def move() -> tuple[int, list[Row], int]:
            fitted = bool(self.config.trainer.minutes) and self.steps.done >= _MEASURED
            self.saved = self.steps.done
            total = resuming.continue_schedule(self.steps, self.total, machine["batch_size"], fitted=fitted)
            self.seconds |= self.run.read_manifest().get("seconds", {})
            change = resuming.add_machine(self.run, machine, self.steps.done)
            print(f"Resuming from step {self.steps.done} of {total} in {self.run}. {change}".rstrip())
            return total, history.rescale(history.read_rows(self.run), total, self.steps.done), self.saved

        total, self.rows, self.saved = self.machines.from_first(move)
        self._plan(total)

    def _stop(self) -> None:
        """Save what there is, and say so."""
        self._save()
        if not self.machines.writes:
            return
        tqdm.write(
            f"Stopped at step {self.steps.done} of {self.total}, which is saved in {self.run}. Run this again to "
            f"resume."
        )
        try:
            self.keeper.finish()
        except OSError as error:
            tqdm.write(str(error))

    def _end(self) -> History:
        """Bring the run to where it is kept, and return what happened; the machines end when all have come to this."""

        def finish() -> dict[str, Any]:
            self.keeper.finish()
            return history.facts_of(self.run)

        return history.of(self.run, self.machines.from_first(finish))

    def _is_over(self) -> bool:
        quiet = not self.machines.writes
        return self.steps.done >= self.total or out_of_patience(self.rows, self.config.trainer.patience, quiet=quiet)

    def _advance(self, asked: Stop) -> None:
        """Make the steps up to the next stop, and do there what is due; where a machine is taken away, end there."""
        step, fits = self.steps.done, bool(self.config.trainer.minutes)
        stops = [_next(step, self.loop), _next(step, self.every), self.total]
        stop = min(*stops, _MEASURED) if fits and step < _MEASURED else min(stops)
        measured = fits and stop == _MEASURED
        row = self._train_to(stop)
        due = measured or stop % self.every == 0 or stop == self.total
        ends = self._is_asked(asked) and stop < self.total  # an evaluation may take longer than there is notice
        if due and not ends:
            row |= self._evaluate(stop)
        self.rows.append(row)
        for hook in self.hooks:
            hook.on_steps(self.rows)
        if ends:
            asked.end()
        if measured:
            self._fit_to_time()
        if due or self._late:
            self._save(between=not due)
            if self._is_asked(asked):
                asked.end()

    def _is_asked(self, asked: Stop) -> bool:
        """Return, on all machines alike, whether one is taken away; the first says how long a loop is, when to save."""
        first = [self._longest(), int(time.monotonic() > self._save_by)] if self.machines.writes else [0, 0]
        signals, self.loop, late = self.machines.total([int(asked.signal > 0), *first])
        self._late = late > 0
        return signals > 0

    def _longest(self) -> int:
        """Return after how many steps at most it is looked whether a machine is taken away, where they are slow."""
        loop = self.config.trainer.steps_per_loop
        while loop > 1 and loop * self._slow > _NOTICE:
            loop //= 2
        return loop

    def _train_to(self, stop: int) -> Row:
        """Train up to a step, and return a row of the history."""
        step = self.steps.done
        first = not self.rows or step == 0
        with self._timed("building" if first else "steps") as watch:
            try:
                losses = self.steps.run(stop - step, self._limit(step))
            except BadLossError as bad:
                raise FloatingPointError(self._describe(bad)) from None
        self._slow, self._warm = watch[0] / (stop - step) if self._warm else 0.0, True
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
        if not self.machines.writes:
            return (
                f"The loss is {bad.loss:.3g} after step {bad.step}, so training stopped; the first machine says more."
            )
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
            self.steps.settle(self.machines)
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
        fits = lambda: self.steps.done + max(1, int(left / one))  # noqa: E731
        self._plan(self.machines.from_first(fits))  # by one machine's clock
        epochs = self.total * self.config.task.train_data.global_batch_size / images
        if self.machines.writes:
            tqdm.write(
                f"{1 / one:.1f} steps a second: {self.total} steps in {minutes:g} minutes, each of {images} photos "
                f"seen about {epochs:.0f} times."
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

    def _save(self, *, finished: bool = False, between: bool = False) -> None:
        """Save the training as it is; ``between`` two evaluations."""
        with self._timed("saving"):
            self.steps.settle(self.machines)
            self.saved = self.machines.from_first(lambda: self._write(finished))
        for hook in self.hooks:
            hook.on_save(self.rows)
        self._save_by, self._late = time.monotonic() + _AT_MOST, False
        if not between or storage.is_remote(self.run.remote):  # Drive's trash keeps, and counts, what is replaced there
            self.keeper.keep()

    def _write(self, finished: bool) -> int:
        """Write the run as it is now, and return the step."""
        step = self.steps.done
        # The history first: were it to lag behind the checkpoint, rows would be missing on resume.
        history.write_rows(self.run, self.rows)
        if self.saved != step:
            self.checkpoints.save()
        facts = {"step": step, "planned_steps": self.total, "seconds": dict(self.seconds)}
        saves = self.run.read_manifest().get("saves", 0) + 1  # tells the newer of two copies
        self.run.update_manifest(**facts, finished=finished, saves=saves)
        return step

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
