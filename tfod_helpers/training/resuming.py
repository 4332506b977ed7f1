"""The last checkpoint -> a training that resumes at the same place of its schedule, on whatever chip there is now."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import tensorflow as tf
from tqdm import tqdm

from tfod_helpers.files.run_folder import Keeper, Run
from tfod_helpers.training.machines import Machines
from tfod_helpers.training.steps import Steps


def restore(steps: Steps, manager: tf.train.CheckpointManager) -> None:
    """Fill model, optimizer and average from the newest checkpoint that can be read; there is at least one.

    Raises:
        ValueError: none of them can be read.
    """
    reason = ""
    for prefix in reversed(manager.checkpoints):
        try:
            steps.checkpoint.restore(prefix).assert_existing_objects_matched()
            return
        except (tf.errors.OpError, LookupError, AssertionError, ValueError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            tqdm.write(f"{prefix}: this checkpoint cannot be read ({reason}), so the one before it is taken.")
    raise ValueError(
        f"{manager.directory}: none of the checkpoints can be read ({reason}). Copy the folder from where it is "
        f"whole, or delete it to train from the start."
    )


def continue_schedule(steps: Steps, total: int, batch: int, *, fitted: bool) -> int:
    """Move a restored training to the same place of a schedule that may have another number of steps.

    Learning rate and warm-up depend on the share of the steps that were made. In batches of another size, that share
    is what stays.

    Args:
        steps: restored; its step is moved.
        total: the config's steps.
        batch: images a step, now.
        fitted: whether the steps were fitted to the time there is, so that the config's say nothing.

    Returns:
        The steps that there are in all now.
    """
    before, batch_before = int(steps.planned.numpy()), int(steps.batch.numpy())
    if fitted:
        total = max(1, round(before * batch_before / batch))
    if total != before:
        steps.optimizer.iterations.assign(min(total, round(steps.done * total / before)))
    steps.planned.assign(total)
    steps.batch.assign(batch)
    return total


def machine(strategy: tf.distribute.Strategy, precision: str, batch: int) -> dict[str, Any]:
    """Return what a run remembers of a machine that it was trained on."""
    # TensorFlow's default strategy, which is a CPU's, does not name its devices.
    gpus = tf.config.list_physical_devices("GPU")
    on_gpu = bool(gpus) and any("GPU" in device for device in strategy.extended.worker_devices)
    kind = "TPU" if isinstance(strategy, tf.distribute.TPUStrategy) else "GPU" if on_gpu else "CPU"
    return {"kind": kind, "devices": strategy.num_replicas_in_sync, "precision": precision, "batch_size": batch}


def add_machine(run: Run, now: dict[str, Any], step: int) -> str:
    """Write down on which machine a run is resumed, and return a sentence about it where it was another before."""
    machines = run.read_manifest().get("machines", [])
    run.update_manifest(machines=[*machines, {"from_step": step, **now}])
    if not machines or all(machines[-1].get(name) == value for name, value in now.items()):
        return ""
    return f"Before on {_say(machines[-1])}; now on {_say(now)}."


def _say(one: dict[str, Any]) -> str:
    return f"{one['devices']} x {one['kind']}, {one['precision']}, in batches of {one['batch_size']}"


def how_to_go_on(machines: int) -> str:
    """Return what to do where a device or a machine is gone: so many train together."""
    if machines > 1:
        return "Start the same program again on all machines: training goes on from what is saved."
    if "COLAB_RELEASE_TAG" in os.environ:
        return (
            "In Colab, choose Runtime > Reconnect, or another runtime type, and run the cells again: training goes on "
            "from what is saved."
        )
    return "Start the same training again, here or on another machine: it goes on from what is saved."


def what_is_left(saved: int | None, run: Run, keeper: Keeper, machines: Machines) -> str:
    """Bring the last save to where a run is kept; return what a training that ends now leaves, and what to do.

    Args:
        saved: the step of the last save; None where there is none.
        run: the run.
        keeper: keeps it, on the machine that writes.
        machines: those that train.
    """
    again = how_to_go_on(machines.count)
    if saved is None:
        return f"Nothing was saved yet, so it begins anew. {again.partition(':')[0]}."
    keeper.keep()
    try:
        keeper.finish()
    except OSError as error:
        return f"Step {saved} was saved, but {error}"
    sure = machines.writes or not run.remote
    also = "" if sure else ", or the save before, where the first machine was lost while it brought it there"
    return f"What was saved at step {saved} is in {run}{also}. {again}"


class Stop:
    """Whether this machine is being taken away (SIGTERM) or stopped (Ctrl-C), so that there is time to save.

    Attributes:
        signal: which signal came, or 0.
    """

    def __init__(self, *, together: bool) -> None:
        """Begin without a signal.

        Args:
            together: several machines save at the same step, so the one that gets a signal goes on until all know.
        """
        self.signal, self._together = 0, together

    def ask(self, number: int, frame: Any) -> None:
        """Take a signal as Python hands it on; one machine that trains alone ends its work at once."""
        again, self.signal = self.signal, number
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not again and not self._together:
            raise SystemExit(128 + number)

    def end(self) -> NoReturn:
        """End the work of this machine: by KeyboardInterrupt where it was Ctrl-C here, else by SystemExit."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)


_under_way: list[Stop] = []


@contextlib.contextmanager
def stoppable(*, together: bool = False) -> Iterator[Stop]:
    """Let a machine that is being taken away have time to save; see `Stop` and `take_away`."""
    stop = Stop(together=together)
    caught = [signal.SIGTERM, signal.SIGINT] if together else [signal.SIGTERM]
    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        caught = []
    before = {number: signal.signal(number, stop.ask) for number in caught}
    _under_way.append(stop)
    try:
        yield stop
    finally:
        _under_way.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)


def take_away(number: int = signal.SIGTERM) -> bool:
    """Tell a training in another thread that the machine is being taken away; return whether there is such a training.

    For programs that run the training in a thread, where signals do not arrive. It saves after the steps that it is at,
    and ends by SystemExit.
    """
    for stop in _under_way:
        stop.signal = number
    return bool(_under_way)
