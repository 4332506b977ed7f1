"""A training on machines that Ray keeps: a laptop's processes, a cluster's nodes, KubeRay's pods.

Ray Train starts `training.train` on each of them, with TF_CONFIG, and a new group when one of them is lost; that group
resumes from the last checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import open_run
from tfod_helpers.jobs import ray_cluster, ray_workers
from tfod_helpers.jobs.ray_cluster import Share
from tfod_helpers.jobs.ray_workers import Place

if TYPE_CHECKING:
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.experiment import ExperimentConfig
    from tfod_helpers.files.run_folder import Run
    from tfod_helpers.records import Records
    from tfod_helpers.training import History
    from tfod_helpers.training.validating import Keep

_RESUME = "What was saved is in {}. Run this again to resume from there, with more restarts where machines come and go."
_LISTEN = 0.5  # seconds between two looks at what the machines say


def ray(
    config: ExperimentConfig,
    run: str | os.PathLike[str] | Run,
    *,
    machines: int = 3,
    keep: Keep = 1,
    restarts: int = 10,
    evaluator: Records | Dataset | None = None,
    cpus: float = 1,
    gpus: int | None = None,
    address: str | None = None,
    patience: float = 600.0,
) -> History:
    """Train on several of Ray's machines as if they were one, and start again when one of them is lost.

    Each step's batch is shared out among the machines. Where the process of one gets SIGTERM, as when a spot machine is
    shut down, nothing is lost, since all save first; one that dies, freezes or is ended by Ray costs what was done
    since the last checkpoint. What the first machine says, its progress bar included, appears here. Ctrl-C and the stop
    button let all save and end.

    Without an address, and outside of a Ray job, this starts a Ray of its own on this machine alone, with a process for
    each "machine", and ends it afterwards. On a cluster, call this from a Ray job (``ray job submit``) or give its
    address; each node needs this package with the extra ``ray``, in the same versions.

    Args:
        config: from `experiment.make`, with a batch that divides by the replicas of all machines together.
        run: the run folder, as `training.train` takes it. On a cluster, one that all nodes share: ``gs://``, or a
            folder of a shared disk at the same path on each.
        machines: how many train.
        keep: how many of the newest evaluated models are kept beside the best, or ``"all"``.
        restarts: how many times a group that lost a machine is replaced by a new one, which resumes.
        evaluator: photos on which one more machine judges each model that is kept, with `training.follow`, beside the
            training; with ``keep="all"`` it misses none.
        cpus: of each machine, that Ray sets aside.
        gpus: of each machine; left out, one where the cluster has one for each, else none.
        address: of a Ray cluster, ``auto`` for the one that this machine is part of, or ``local`` for a Ray of its own.
        patience: seconds to wait until the cluster has all that is asked for, which one that grows may take.

    Returns:
        What happened, as `training.train` returns it.

    Raises:
        ImportError: Ray is not installed.
        ValueError: an argument does not fit, this machine alone has not the GPUs that are asked for, or a cluster's
            nodes do not share the run folder or differ in versions; or as `training.train`, whose errors come as they
            are, and for which nothing is started again.
        ConnectionError: there is no cluster at the address, or machines were lost more often than ``restarts``; what
            was saved is in the run folder.
        RuntimeError: Ray does not start on this machine, or failed itself.
        TimeoutError: the cluster did not have what is asked for within ``patience``.
    """
    _check(machines, restarts, cpus, gpus)
    place = str(run) if not isinstance(run, os.PathLike) else os.fspath(run)
    place = storage.address(place) if storage.is_remote(place) else os.path.abspath(storage.address(place))
    with ray_cluster.joined(address, machines + (evaluator is not None), cpus, gpus) as share:
        share.check_nodes(place)
        share.wait(patience)
        looked_at = sys.stderr.isatty() or "ipykernel" in sys.modules
        here = Place(os.getcwd(), ray_cluster.actor(ray_workers.Words), looked_at)
        beside = share.start(ray_workers.follow, restarts, place, evaluator, here) if evaluator is not None else None
        try:
            group = _Group(functools.partial(ray_workers.train, config, place, keep, here), machines, restarts, share)
            _fit(group, here.words, place, patience)
            if beside is not None:
                print("The training is finished. Waiting for its evaluator to judge the last model.", flush=True)
                ray_cluster.finish(beside)
        finally:
            if beside is not None:
                ray_cluster.cancel(beside)
    from tfod_helpers.training import history

    return history.of(open_run(place))


def _check(machines: int, restarts: int, cpus: float, gpus: int | None) -> None:
    wrong = {
        "machines": (machines, machines >= 1, "1 or more"),
        "restarts": (restarts, restarts >= 0, "0 or more"),
        "cpus": (cpus, cpus > 0, "more than 0"),
        "gpus": (gpus, gpus is None or gpus >= 0, "0 or more, or None"),
    }
    for name, (value, fits, should) in wrong.items():
        if not fits:
            raise ValueError(f"{name} must be {should}, got {value!r}.")


@dataclass(frozen=True)
class _Group:
    """What Ray Train is to start: ``work`` on each machine, and a new group where one was lost."""

    work: Callable[[], None]
    machines: int
    restarts: int
    share: Share

    def trainer(self, words: Any, folder: str) -> Any:
        """Return Ray's own trainer, with a folder for its notes; what is trained is in the run."""
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer
        from ray.train.v2.api.config import LoggingConfig

        return TensorflowTrainer(
            self.work,
            tensorflow_config=_backend(),
            scaling_config=ScalingConfig(
                num_workers=self.machines,
                use_gpu=bool(self.share.gpus),
                resources_per_worker=self.share.one,
                placement_strategy="SPREAD",  # over nodes, as far as there are
            ),
            run_config=RunConfig(
                storage_path=folder,
                failure_config=FailureConfig(max_failures=self.restarts, controller_failure_limit=self.restarts),
                callbacks=[_callback(words, self.machines, self.restarts)],
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )


def _fit(group: _Group, words: Any, run: str, patience: float) -> None:
    """Let Ray Train run a group to its end, and show what it says meanwhile."""
    with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder, _settings(patience):
        ended: Future[None] = Future()

        def fit() -> None:
            try:
                group.trainer(words, folder).fit()
                ended.set_result(None)
            except BaseException as error:  # raised below, in the thread that asked
                ended.set_exception(error)

        # In a thread of its own it leaves this process's signals alone.
        threading.Thread(target=fit, daemon=True).start()
        try:
            _listen(words, ended)
        except KeyboardInterrupt:
            print("\nThe machines save and stop, as soon as they can. Interrupt again not to wait.", flush=True)
            words.stop.remote()
            _listen(words, ended)
        if (error := ended.exception()) is not None:
            raise _in_words(error, group, run) from None


def _listen(words: Any, ended: Future[None]) -> None:
    """Show what the machines say until the end has come."""
    import ray as engine

    over = False
    while not over:
        over = bool(wait([ended], _LISTEN).done)
        for stream, text in engine.get(words.take.remote()):
            print(text, end="", file=getattr(sys, stream), flush=True)


@contextlib.contextmanager
def _settings(patience: float) -> Iterator[None]:
    """Set what Ray Train reads from the environment, and hands on to its machines."""
    # Print as it is: Ray's own would log it too.
    wanted = {"RAY_TRAIN_ENABLE_PRINT_PATCH": "0", "RAY_TRAIN_METRICS_ENABLED": "0"}
    with ray_cluster.environment(wanted | {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(max(60.0, patience))}):
        yield


def _backend() -> Any:
    """Return Ray's TensorFlow, whose machines also heed that they are taken away."""
    from ray.train.tensorflow import TensorflowConfig

    theirs: Any = TensorflowConfig().backend_cls

    class Backend(theirs):
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            super().on_start(worker_group, backend_config)
            worker_group.execute(ray_workers.heed_sigterm)

    class Config(TensorflowConfig):
        @property
        def backend_cls(self) -> Any:
            return Backend

    return Config()


def _callback(words: Any, machines: int, restarts: int) -> Any:
    """Return what Ray Train calls when machines failed: it says so, and ends what a new group would not mend."""
    import ray as engine
    from ray.train import UserCallback

    class Restarting(UserCallback):
        def __init__(self) -> None:
            self._losses = 0

        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
            for error in worker_exceptions.values():
                if isinstance(error, ray_workers.FaultError):
                    raise error  # for Ray, what is raised here is final
            if engine.get(words.is_stopped.remote()):
                raise ray_workers.FaultError(KeyboardInterrupt())
            self._losses += 1
            if self._losses <= restarts:
                text = f"\n{reason(worker_exceptions, machines)} Starting again ({self._losses} of {restarts} times).\n"
                words.say.remote("stdout", text)

    return Restarting()


def reason(failures: dict[int, Exception], machines: int) -> str:
    """Return in a sentence which machines failed and why; one that died says more than those that missed it.

    Args:
        failures: the number of a machine, from 0 -> its error.
        machines: how many there are.
    """
    died = {rank: error for rank, error in failures.items() if not isinstance(error, ray_workers.LostError)}
    if not died:
        # Without what TensorFlow said, in parentheses; an address in them stays.
        said = re.sub(r" \((?!\S+:\d+\)).*", "", str(next(iter(failures.values()))), flags=re.DOTALL)
        return f"{said[:1].upper()}{said[1:].rstrip('.')}."
    which = ", ".join(str(rank + 1) for rank in sorted(died))
    text = str(next(iter(died.values())))
    why = "its memory was full" if "OutOfMemory" in text or "memory monitor" in text else "its process ended"
    return f"Machine {which} of {machines} was lost ({why})."


def _in_words(error: BaseException, group: _Group, run: str) -> BaseException:
    """Return what to raise for what Ray Train raised."""
    from ray.train import ControllerError, WorkerGroupError

    if isinstance(error, ControllerError):
        cause = error.controller_failure
        if isinstance(cause, ray_workers.FaultError):
            return cause.error
        if "timed out" in str(cause):
            return TimeoutError(f"{group.share.lacking()} What was saved is in {run}.")
        return RuntimeError(f"Ray Train failed ({str(cause).strip().splitlines()[0][:300]}). {_RESUME.format(run)}")
    if isinstance(error, WorkerGroupError):
        failures = {rank: one for rank, one in error.worker_failures.items() if one is not None}
        return ConnectionError(f"{reason(failures, group.machines)} {_RESUME.format(run)}")
    return error
