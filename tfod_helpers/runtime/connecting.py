"""The best device that there is, or the one that is wanted, and a sentence about why."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib import metadata

import tensorflow as tf

from tfod_helpers import installing
from tfod_helpers.runtime import cluster, computing, gpu, tpu

# Deprecations of the libraries below are not the reader's to fix.
tf.get_logger().setLevel("ERROR")

_MENU = "Runtime > Change runtime type"
_KINDS = {"TPU": f"{_MENU} > v5e-1 TPU", "GPU": f"{_MENU} > T4 GPU", "CPU": f"{_MENU} > CPU"}
_NOWHERE = {"TPU": "no device file /dev/accel* or /dev/vfio/*", "GPU": "no /dev/nvidia0 and no nvidia-smi"}
_TPU_NAME = "TPU_NAME"  # the environment variable in which Google Cloud's own guides keep a TPU's name


@dataclass(frozen=True)
class Connection:
    """The devices that a training will use.

    Attributes:
        strategy: what `training.train` takes.
        kind: ``TPU``, ``GPU`` or ``CPU``.
        devices: how many of them, over all machines.
        precision: in what they compute fastest without harm, see `best_precision`.
        why: what was found and what was not.
        faults: what is there and cannot be used, each with the reason.
    """

    strategy: tf.distribute.Strategy
    kind: str
    devices: int
    precision: str
    why: str
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} x {self.devices}, computing in {self.precision}: {self.why}"


def connect(tpu: str = "local", want: str | None = None) -> Connection:
    """Take the TPU where there is one, else the GPUs, else the CPU, and say why.

    Each device has multiplied two matrices before it is reported; one that cannot is named, and the next one taken.
    Where the environment variable TF_CONFIG names several machines, they train together.

    Args:
        tpu: ``local`` for the TPU in this machine, or the name or ``grpc://`` address of a Cloud TPU; where this
            machine has none, ``local`` also takes the one that the environment variable TPU_NAME names.
        want: ``TPU``, ``GPU`` or ``CPU``, where nothing else will do.

    Raises:
        RuntimeError: what is wanted is not there, with the reason; Python or numpy is of a version that does not
            work, see `check_versions`; a TPU does not answer in time.
        ConnectionError: the other machines do not answer in time.
        ValueError: ``want`` is none of these, or TF_CONFIG is not as it should be.
    """
    check_versions()
    if want not in (None, *_KINDS):
        raise ValueError(f"want must be {', '.join(map(repr, _KINDS))} or None, got {want!r}.")
    machines = cluster.read()
    if machines and len(machines.addresses) > 1 and machines.role != cluster.EVALUATOR:
        return _several(machines, want)
    looks = {"TPU": lambda: _look_for_tpu(tpu), "GPU": gpu.connect, "CPU": _take_cpu}
    reasons: list[str] = []
    for kind in [want] if want else looks:
        strategy, what = looks[kind]()
        if strategy is not None:
            found = _connection(strategy, kind, "; ".join([what, _joined(reasons)] if reasons else [what]))
            return replace(found, faults=tuple(reason for reason in reasons if not reason.startswith("no ")))
        reasons.append(what)
    missing = f"there is {reasons[0]}: {_NOWHERE[kind]}" if reasons[0] == f"no {kind}" else reasons[0]
    raise RuntimeError(f"A {kind} is wanted, and {missing}. In Colab choose {_KINDS[kind]}.")


def check_versions() -> None:
    """Refuse versions that are known not to work together, before any time is spent.

    Raises:
        RuntimeError: the message holds the command that fixes it.
    """
    installing.check_python()
    numpy = metadata.version("numpy")
    if tuple(map(int, numpy.split(".")[:2])) >= (2, 4):
        raise RuntimeError(
            f"numpy {numpy} breaks the Model Garden's evaluation. Run: pip install 'numpy<2.4', then restart."
        )


def best_precision(strategy: tf.distribute.Strategy) -> str:
    """Return in what a strategy's devices compute fastest without harm: ``bfloat16``, ``float16`` or ``float32``.

    TPUs and GPUs from compute capability 8 on have units for bfloat16, those from 7 on for float16
    (https://www.tensorflow.org/guide/mixed_precision); a CPU only loses by either.
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus or not any("GPU" in device for device in strategy.extended.worker_devices):
        return "float32"
    capability = min(tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus)
    return "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"


def _look_for_tpu(name: str) -> tuple[tf.distribute.Strategy | None, str]:
    named = name != "local"
    if not named and not installing.tpu_devices():
        name = os.environ.get(_TPU_NAME) or name
    strategy, why = tpu.connect(name)
    if strategy is None and named:  # whoever names a TPU does not mean a CPU
        raise RuntimeError(f"{why[0].upper()}{why[1:]}. Without one, leave tpu={name!r} out.")
    where = "of this machine" if name == "local" else repr(name)
    count = strategy.num_replicas_in_sync if strategy else 0
    return strategy, why or f"the TPU {where}, {count} chip{'s' * (count > 1)}"


def _take_cpu() -> tuple[tf.distribute.Strategy, str]:
    cores = os.cpu_count() or 1
    if tf.config.list_physical_devices("GPU"):  # left to itself, TensorFlow would take one of these
        strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    else:
        strategy = tf.distribute.get_strategy()
    if fault := computing.fault_of(strategy, "CPU"):  # after a TPU broke off, for example
        raise RuntimeError(f"TensorFlow cannot compute on this machine's CPU any more ({fault}). Restart the session.")
    return strategy, f"{cores} core{'s' * (cores > 1)}"


def _several(machines: cluster.Cluster, want: str | None) -> Connection:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if want not in (None, kind):
        raise RuntimeError(
            f"A {want} is wanted, and this is one of {len(machines.addresses)} machines of {cluster.VARIABLE} that "
            f"train together on their {kind}s. Remove {cluster.VARIABLE}, or leave want={want!r} out."
        )
    place = f"machine {machines.number + 1} of {len(machines.addresses)} ({machines.role})"
    strategy = cluster.connect(machines)
    devices = strategy.num_replicas_in_sync
    return Connection(strategy, kind, devices, best_precision(strategy), f"{place}, all of them connected.")


def _connection(strategy: tf.distribute.Strategy, kind: str, why: str) -> Connection:
    hint = f"; in Colab {_MENU} has faster ones" if kind == "CPU" else ""
    return Connection(strategy, kind, strategy.num_replicas_in_sync, best_precision(strategy), f"{why}{hint}.")


def _joined(reasons: list[str]) -> str:
    return " and ".join(reasons) if all(reason.startswith("no ") for reason in reasons) else "; ".join(reasons)
