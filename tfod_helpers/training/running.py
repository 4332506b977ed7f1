"""A config and a run folder -> a training, or the evaluation of what one left."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfod_helpers import evaluation, records, runtime
from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Checkpoint, Keeper, Run, open_run
from tfod_helpers.records import Records
from tfod_helpers.training import claiming, detecting, events, history, resuming
from tfod_helpers.training.history import History
from tfod_helpers.training.loop import Training
from tfod_helpers.training.machines import Machines
from tfod_helpers.training.steps import precision_of, scope
from tfod_helpers.training.validating import Keep


def train(
    config: ExperimentConfig,
    run: str | os.PathLike[str] | Run,
    *,
    keep: Keep = 1,
    strategy: tf.distribute.Strategy | None = None,
) -> History:
    """Train until the config's last step, its time or its patience is up, and keep the best model and the newest.

    Where the run folder holds an unfinished training of the same config, it resumes from there, also on another
    chip and in batches of another size; where it holds a finished one, its history comes back at once. Stopped by
    Ctrl-C, the stop button or a machine that is taken away, it saves first.

    Several machines (TF_CONFIG, see `runtime.connect`) each call this with the same config and run. The first of them
    alone reads and writes the run; each batch and the photos of an evaluation are shared out. Where one machine is
    taken away (SIGTERM), all save together and end by SystemExit; where one is lost, the others end by ConnectionError.
    Called again on all, it resumes. ``python -m tfod_helpers.training`` does this without a notebook.

    Args:
        config: from `experiment.make`.
        run: the run folder, made where it is new. One on Drive or in a bucket (``gs://``) is worked on in a folder of
            this machine and kept in step at every checkpoint, in the background. A checkpoint is saved at each
            evaluation, and ten minutes after the last one; of the latter Drive gets none.
        keep: how many of the newest evaluated models are kept beside the best, or ``"all"``. `runs.checkpoints` lists
            them with their AP, and each can be exported by its step.
        strategy: from `runtime.connect`; left out, the best device is taken.

    Raises:
        ValueError: the run folder holds a training of other data, classes or settings, or the records have other
            classes than the config; they are named. Or ``keep`` is below 1. Or the batch cannot be shared out to the
            devices, or several machines have other versions, settings or records.
        FloatingPointError: the loss is NaN or explodes; the last checkpoint is kept, and the images that did it are
            in ``failed/`` in the run folder.
        MemoryError: a batch does not fit into memory; the message says what to change.
        ConnectionError: the accelerator or another machine was taken away, or the bucket of the run or the records
            does not answer; the message says what is saved. It passes: started again, the training goes on.
        SystemExit: this machine is being taken away, or one that it trains with.
        OSError: the place of the run cannot be written to, which is tried before the first step; or the run is whole
            on this machine, and could not be brought to where it is kept.
    """
    if keep != "all" and keep < 1:
        raise ValueError(f"keep must be 1 or more, or 'all', got {keep!r}.")
    return _run(config, run, keep, strategy, lambda training, machine: training.go(machine))


def start(
    config: ExperimentConfig, run: str | os.PathLike[str] | Run, *, strategy: tf.distribute.Strategy | None = None
) -> History:
    """Make a run whose model has not been trained yet: its first weights are loaded, evaluated and kept, as step 0.

    What a detector finds in your photos before it has seen any of them: of COCO's weights the classes that COCO knows,
    of a run's those that it knows. `evaluate`, `detector` and the exports take the run as any other, and `train` with
    the same config goes on from it.

    Args:
        config: from `experiment.make` or `experiment.from_run`.
        run: the run folder, as `train` takes it.
        strategy: from `runtime.connect`; left out, the best device is taken.

    Raises:
        ValueError: as `train`.
        OSError: as `train`.
    """
    return _run(config, run, 1, strategy, lambda training, machine: training.begin(machine))


def _run(
    config: ExperimentConfig,
    run: str | os.PathLike[str] | Run,
    keep: Keep,
    strategy: tf.distribute.Strategy | None,
    act: Callable[[Training, dict[str, Any]], History],
) -> History:
    """Open a run folder, build what trains in it, and let it act; on several machines the first opens it alone."""
    strategy = strategy or runtime.connect().strategy
    group = Machines(strategy)
    group.check_batch(config)
    now = resuming.machine(strategy, precision_of(config, strategy), config.task.train_data.global_batch_size)
    left = [resuming.how_to_go_on(group.count)]  # what is said where a machine is lost
    with group.explained(now["kind"], left), contextlib.ExitStack() as stack:
        group.check_same(lambda: claiming.shared_facts(config))
        opened: list[tuple[Run, Keeper]] = []
        finished = group.from_first(lambda: _claim(run, config, opened, stack))
        run, keeper = opened[0] if opened else _named(run)
        if finished:
            return history.of(run, group.from_first(lambda: history.facts_of(run)))
        if group.count > 1 and not group.writes:
            print(f"This is {group}; {group.name(0)} keeps the run {run}, and says how far it is.", flush=True)
        sets = _validation_set(config), _some_training_images(config)
        training: Training | None = None
        try:
            with scope(config, strategy):
                training = Training(config, run, keeper, *sets, keep=keep)
                return act(training, now)
        except tf.errors.OpError:
            left += [resuming.what_is_left(training.saved, run, keeper, group)] if training else []
            raise
        finally:
            # Models are reference cycles, so only the garbage collector frees them, and it seldom runs that far: after
            # ten trainings in one notebook their graphs would fill the memory.
            training = None
            gc.collect()


def _claim(
    run: str | os.PathLike[str] | Run,
    config: ExperimentConfig,
    opened: list[tuple[Run, Keeper]],
    stack: contextlib.ExitStack,
) -> bool:
    """Open a run folder, put it into ``opened`` with what keeps it; return whether its training is finished."""
    mine = open_run(run)
    keeper = stack.enter_context(contextlib.closing(Keeper(mine)))
    opened.append((mine, keeper))
    if not claiming.claim(mine, config):
        keeper.begin()
        return False
    print(f"{mine}: this training is finished already; here is its history.")
    keeper.keep()
    keeper.finish()
    return True


def _named(run: str | os.PathLike[str] | Run) -> tuple[Run, Keeper]:
    """Return a run that another machine keeps: nothing of it is read, made or written here."""
    if not isinstance(run, Run):
        run = Run(Path(storage.address(run)).expanduser(), storage.address(run) if storage.is_remote(run) else "")
    return run, Keeper(Run(run.folder))


def evaluate(run: str | os.PathLike[str] | Run, data: Records | Dataset, checkpoint: Checkpoint = "best") -> Evaluation:
    """Score a run's model, with intervals; classes are compared by name, as `evaluation.evaluate` does.

    Args:
        run: the run folder.
        data: the records or the dataset to evaluate on.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step, the data and the run have no class in common, or the data no object.
    """
    model, config = detecting.load_model(run, checkpoint)
    dataset = data if isinstance(data, Dataset) else Dataset(tuple(records.read(data)), data.label_map)
    masks = any(image.masks is not None for image in dataset)
    return evaluation.evaluate(detecting.of_model(model, config, masks=masks), dataset)


def _validation_set(config: ExperimentConfig) -> Dataset:
    found = claiming.find_records(config, "validation")
    if not records.counted(found):
        raise ValueError(
            f"{found.pattern}: no object in these records counts in a score, as crowds and difficult ones do not, so "
            f"no model can be evaluated on them. Label some photos."
        )
    return Dataset(tuple(records.read(found)), found.label_map)


def _some_training_images(config: ExperimentConfig) -> Dataset:
    """Return a few of the training photos, to see what the model finds in them."""
    found = claiming.find_records(config, "train")
    every = max(1, found.count // events.SHOWN)
    last = every * (min(events.SHOWN, found.count) - 1) + 1
    return Dataset(tuple(itertools.islice(records.read(found), 0, last, every)), found.label_map)
