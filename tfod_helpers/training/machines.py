"""Several machines that train one model: the first keeps the run, the others a copy that they throw away."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tfod_helpers.files.run_folder import Run, find_run, open_run
from tfod_helpers.training.steps import Steps


@contextlib.contextmanager
def own_folder(run: str | os.PathLike[str] | Run, strategy: tf.distribute.Strategy, minutes: float) -> Iterator[Run]:
    """Give the run that this process writes to: the run itself, or a copy of it where another process writes to it.

    All processes do the same steps and evaluations, since what is kept on each device is read by all together.

    Args:
        run: the run.
        strategy: what it is trained with.
        minutes: the time that the training may take, or 0.

    Raises:
        ValueError: several machines were to fit their steps to the time, each by its own clock.
    """
    resolver = strategy.cluster_resolver if _is_several(strategy) else None
    if resolver is not None and minutes:
        raise ValueError("trainer.minutes is for one machine: several would plan different steps. Give train_steps.")
    if resolver is None or resolver.task_type == "chief" or _is_first(resolver):
        yield open_run(run)
        return
    with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
        there = find_run(run).folder
        if there.is_dir():
            shutil.copytree(there, folder, ignore=shutil.ignore_patterns(".*", "events"), dirs_exist_ok=True)
        yield Run(Path(folder))


def check_same_step(steps: Steps) -> None:
    """Refuse processes that begin at different steps, of which one did not find the run.

    Raises:
        RuntimeError: they do.
    """
    if _is_several(steps.strategy):
        own = float(steps.done)
        mean = float(steps.strategy.reduce("MEAN", steps.strategy.run(lambda: tf.constant(own)), axis=None))
        if mean != own:
            raise RuntimeError(
                f"This machine begins at step {own:.0f}, all of them at step {mean:.0f} on average. Give them the same "
                f"run folder, on a disk that they share or in a bucket (gs://)."
            )


def _is_several(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _is_first(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> bool:
    return "chief" not in resolver.cluster_spec().jobs and resolver.task_id == 0
