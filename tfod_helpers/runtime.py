"""What this machine is -> a `tf.distribute` strategy, and a sentence about why."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata

import tensorflow as tf

# Deprecations of the libraries below are not the reader's to mend.
tf.get_logger().setLevel("ERROR")

_MENU = "In Colab choose Runtime > Change runtime type"


@dataclass(frozen=True)
class Connection:
    """The devices that a training will use.

    Attributes:
        strategy: what `training.train` takes.
        kind: ``TPU``, ``GPU`` or ``CPU``.
        devices: how many of them.
        why: what was found and what was not.
    """

    strategy: tf.distribute.Strategy
    kind: str
    devices: int
    why: str

    def __str__(self) -> str:
        return f"{self.kind} x {self.devices}: {self.why}"


def connect() -> Connection:
    """Take the TPU where there is one, else the GPUs, else the CPU, and say why.

    Raises:
        RuntimeError: Python or numpy is of a version that does not work; see `check_versions`.
    """
    check_versions()
    tpu, no_tpu = _connect_tpu()
    if tpu is not None:
        replicas = tpu.num_replicas_in_sync
        return Connection(tpu, "TPU", replicas, f"the TPU of this machine, {replicas} chip{'s' * (replicas > 1)}.")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        with contextlib.suppress(RuntimeError):  # the GPU is in use already, and stays as it was set up
            for gpu in gpus:  # take memory as it is needed, so that a second notebook still finds some
                tf.config.experimental.set_memory_growth(gpu, True)
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        strategy = tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.OneDeviceStrategy("/gpu:0")
        return Connection(strategy, "GPU", len(gpus), f"{name}; {no_tpu}.")
    cores = os.cpu_count() or 1
    why = f"{cores} core{'s' * (cores > 1)}; {no_tpu} and no GPU. {_MENU} for a faster one."
    return Connection(tf.distribute.get_strategy(), "CPU", 1, why)


def check_versions() -> None:
    """Refuse versions that are known not to work together, before any time is spent.

    Raises:
        RuntimeError: the message holds the command that mends it.
    """
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        raise RuntimeError(
            f"Python 3.11 or 3.12 is needed, this is {platform.python_version()}. Make an environment with one of "
            f"them: python3.12 -m venv .venv"
        )
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


def in_colab() -> bool:
    """Say whether this is a Google Colab runtime."""
    return importlib.util.find_spec("google") is not None and importlib.util.find_spec("google.colab") is not None


def _connect_tpu() -> tuple[tf.distribute.Strategy | None, str]:
    """Return the TPU's strategy, or None and why there is none."""
    chips = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/[0-9]*")
    if not chips:
        return None, "no TPU"
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver), ""
    except (ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0][:200]
        return None, f"a TPU is there but this TensorFlow cannot use it ({reason})"
