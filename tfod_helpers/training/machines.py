"""Several machines that train one model: the first keeps the run, and all do the same at the same step."""

from __future__ import annotations

import builtins
import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.presets import batches, keys

TAKEN_AWAY = 134  # the exit code from which engines start again: Vertex AI takes 134 for a fault that passes

# What TensorFlow raises where a device or another machine does not answer any more.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
# What TensorFlow raises where it cannot read the records in a bucket, which it does by itself, with ten tries: no host,
# an answer of 5xx to the end.
_OF_BUCKETS: tuple[tuple[Any, type[OSError], str], ...] = (
    (tf.errors.PermissionDeniedError, PermissionError, "The records may not be read any more"),
    (tf.errors.NotFoundError, FileNotFoundError, "The records are gone"),
    ((*LOST, tf.errors.FailedPreconditionError), ConnectionError, "Cloud Storage does not answer"),
)
_CHUNK = 2**23  # numbers that are told to the others at once


class Machines:
    """The machines that train together; most often one alone.

    Whatever is a method here is called by all of them, in the same order: each waits for the others.

    Attributes:
        strategy: what they train with.
        count: how many there are.
        number: which of them this is, from 0.
        addresses: of each, ``host:port``; empty of one alone.
        writes: whether this is the one that keeps the run, the first.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        """Look at a strategy."""
        self.strategy = strategy
        self.addresses: list[str] = []
        self.number = 0
        self._sums: dict[str, Any] = {}
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            roles = resolver.cluster_spec().as_dict()
            self.addresses = [*roles.get("chief", []), *roles.get("worker", [])]
            if resolver.task_type == "worker":
                self.number = resolver.task_id + len(roles.get("chief", []))
        self.count = max(1, len(self.addresses))
        self.writes = self.number == 0

    def __str__(self) -> str:
        return self.name(self.number)

    def name(self, number: int) -> str:
        """Return one of the machines in words."""
        return f"machine {number + 1} of {self.count} ({self.addresses[number]})"

    def check_batch(self, config: ExperimentConfig) -> None:
        """Refuse a batch that cannot be shared out, before anything is built.

        Raises:
            ValueError: the message names sizes that fit, and how they are set.
        """
        batch, parts = config.task.train_data.global_batch_size, self.strategy.num_replicas_in_sync
        if batch % parts == 0:
            return
        fits = batches.fitting(batch, parts)
        on = f"{self.count} machines with " if self.count > 1 else ""
        each = parts // self.count
        raise ValueError(
            f"A batch of {batch} images cannot be shared out to {on}{each} device{'s' * (each > 1)}"
            f"{' each' * (self.count > 1)}: each takes the same number of images, at least one. A batch of "
            f"{' or '.join(map(str, fits))} fits: batch_size={fits[-1]} in experiment.make, or "
            f"experiment.change(config, {{{keys.BATCH_SIZE!r}: {fits[-1]}}}); learning rate and steps follow."
        )

    def total(self, numbers: Sequence[int]) -> list[int]:
        """Return the sums of some whole numbers over all machines; it takes milliseconds."""
        return self._sum(np.array(numbers, np.int64)).tolist()

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all machines, float32 of shape (n, k), one machine's after the other's."""
        if self.count == 1:
            return rows
        counts = self.total([len(rows) if number == self.number else 0 for number in range(self.count)])
        everybody = np.zeros((sum(counts), rows.shape[1]), np.float32)
        start = sum(counts[: self.number])
        everybody[start : start + len(rows)] = rows
        return self._sum(everybody.reshape(-1)).reshape(everybody.shape)

    def together(self, call: Callable[[], Any]) -> list[Any]:
        """Call a function on each machine, and return what it returned on each, of what JSON knows.

        Raises:
            Exception: it raised one on some machine; all raise it, and name that machine.
        """
        if self.count == 1:
            return [call()]
        error: Exception | None = None
        try:
            message = {"value": call()}
        except Exception as problem:  # told to the others first, which would wait for this machine
            error, message = problem, {"error": type(problem).__name__, "says": str(problem)}
        line = json.dumps(message).encode() + b"\n"
        # As float32, since it is what every device can send; whole numbers up to 255 stay what they are.
        sent = self.gather(np.frombuffer(line, np.uint8).astype(np.float32)[:, None])
        said = [json.loads(line) for line in sent.astype(np.uint8).tobytes().splitlines()]
        if error:
            raise error
        for number, other in enumerate(said):
            if "error" in other:
                kind: Any = getattr(builtins, other["error"], RuntimeError)
                raise kind(f"{self.name(number)}: {other['says']}")
        return [one["value"] for one in said]

    def from_first(self, call: Callable[[], Any]) -> Any:
        """Call a function on the machine that keeps the run, and return on each what it returned, of what JSON knows.

        Raises:
            Exception: it raised one; all raise it.
        """
        return self.together(call if self.writes else lambda: None)[0]

    def check_same(self, facts: Callable[[], dict[str, str]]) -> None:
        """Refuse machines of which one differs from the first in something that has to be the same.

        Args:
            facts: returns it, each by its name.

        Raises:
            ValueError: the message names both machines and what differs.
            Exception: the facts cannot be had on one of them.
        """
        if self.count == 1:
            return
        said = self.together(facts)
        for number, other in enumerate(said):
            for name, value in other.items():
                if value != said[0][name]:
                    raise ValueError(
                        f"{self.name(0)} and {self.name(number)} differ in {name}: {said[0][name]} and {value}. Start "
                        f"the same program with the same config on all machines, each with the same versions."
                    )

    def copy(self, variables: Sequence[tf.Variable]) -> None:
        """Give variables the values that they have on the first machine."""
        if self.count == 1:
            return
        for group in _groups(variables):
            self._copy(group)

    def average(self, variables: Sequence[tf.Variable]) -> None:
        """Give variables that differ from device to device their mean, such as statistics that each keeps by itself."""
        if self.count == 1 or not variables:
            return
        flat = self.strategy.run(tf.function(lambda: tf.concat([tf.reshape(one, [-1]) for one in variables], 0)))
        _fill(variables, self.strategy.reduce(tf.distribute.ReduceOp.MEAN, flat, axis=None).numpy())

    def _copy(self, variables: Sequence[tf.Variable]) -> None:
        values = np.concatenate([variable.numpy().reshape(-1) for variable in variables])
        _fill(variables, self._sum(values if self.writes else np.zeros_like(values)))

    def _sum(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sums of numbers, shape (n,), over all machines."""
        if self.count == 1:
            return numbers
        kind = numbers.dtype.name
        if kind not in self._sums:  # compiled, since it takes twenty times as long otherwise
            any_length = tf.TensorSpec([None], numbers.dtype)
            self._sums[kind] = tf.function(self._add_up, input_signature=[any_length], autograph=False)
        return self._sums[kind](numbers).numpy()

    def _add_up(self, numbers: tf.Tensor) -> tf.Tensor:
        devices = self.strategy.num_replicas_in_sync // self.count

        def said() -> tf.Tensor:
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            first = tf.equal(place % devices, 0)  # of a machine's devices one says it
            return tf.where(first, numbers, tf.zeros_like(numbers))

        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(said), axis=None)

    @contextlib.contextmanager
    def explained(self, kind: str, left: list[str]) -> Iterator[None]:
        """Let the loss of a device, of another machine or of the records be an error that says what is left.

        Args:
            kind: of the devices, such as ``TPU``.
            left: the last of it is a sentence about what is saved.

        Raises:
            ConnectionError: a device, a machine or the bucket does not answer any more, which passes.
            PermissionError: the records may not be read any more.
            FileNotFoundError: they are gone.
        """
        try:
            yield
        except tf.errors.OpError as error:
            words = " ".join(str(error).split())
            for one, meaning, what in _OF_BUCKETS if "gs://" in words else ():
                if isinstance(error, one):
                    said = words[max(0, words.find("Error executing")) :][:200]
                    raise meaning(f"{what} ({said}). {left[-1]}") from error
            if not isinstance(error, LOST):
                raise
            reason = words.rpartition("aborted by: ")[2] or words  # before it stands where it was noticed
            reason = reason.partition(" Additional GRPC")[0][:200]
            raise ConnectionError(f"{self._who(str(error), kind)} ({reason}). {left[-1]}") from error

    def _who(self, reason: str, kind: str) -> str:
        if self.count == 1:
            return f"The {kind} was taken away"
        roles = self.strategy.cluster_resolver.cluster_spec().as_dict()
        chiefs = len(roles.get("chief", []))
        for role, index in re.findall(r"/job:(chief|worker)/(?:replica:\d+/)?task:(\d+)", reason):
            number = int(index) + chiefs * (role == "worker")
            if number != self.number and number < self.count:
                return f"{self.name(number).capitalize()} was taken away, or is not heard any more"
        return "Another machine was taken away, or is not heard any more"


def _groups(variables: Sequence[tf.Variable]) -> Iterator[list[tf.Variable]]:
    """Yield the variables in groups of one type and of no more numbers than are sent at once."""
    group: list[tf.Variable] = []
    numbers = 0
    for variable in sorted(variables, key=lambda one: one.dtype.name):
        size = variable.shape.num_elements()
        if group and (variable.dtype != group[0].dtype or numbers + size > _CHUNK):
            yield group
            group, numbers = [], 0
        group.append(variable)
        numbers += size
    if group:
        yield group


def _fill(variables: Sequence[tf.Variable], flat: np.ndarray) -> None:
    start = 0
    for variable in variables:
        size = variable.shape.num_elements()
        variable.assign(flat[start : start + size].reshape(variable.shape))
        start += size
