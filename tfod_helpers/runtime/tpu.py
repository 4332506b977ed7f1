"""A TPU, in this machine or by its name -> a strategy over its chips, or why it cannot be used."""

from __future__ import annotations

import glob
import itertools
import os
import socket
from pathlib import Path

import tensorflow as tf
from packaging.version import Version

from tfod_helpers import installing
from tfod_helpers.runtime.computing import bounded, fault_of, first_line

_STARTS, _ANSWERS = 180.0, 10.0  # seconds: until a TPU is ready; until an address answers
_OPEN_FILES = "/proc/[0-9]*/fd/*"

_strategies: dict[str, tf.distribute.Strategy] = {}  # a TPU that is started again forgets all that is on it


def connect(name: str) -> tuple[tf.distribute.Strategy | None, str]:
    """Return the strategy of a TPU, or None and why it cannot be used.

    Args:
        name: ``local`` for the one in this machine, or the name or ``grpc://`` address of a Cloud TPU.

    Raises:
        RuntimeError: it did not start in time, or broke off while it did, after which TensorFlow is of no more use.
    """
    if name in _strategies:
        return _strategies[name], ""
    try:
        resolver = bounded(lambda: _local() if name == "local" else _named(name), _ANSWERS, "nothing answers")
    except (ValueError, RuntimeError, ImportError, OSError, tf.errors.OpError) as error:
        return None, _refused(name, first_line(error))
    if resolver is None:
        return None, "no TPU"
    try:
        strategy = bounded(lambda: _start(resolver, name), _STARTS, f"not within {_STARTS:.0f} seconds")
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = first_line(error)
        if name == "local" and not isinstance(error, TimeoutError):
            return None, _unusable(reason)
        raise RuntimeError(
            f"The TPU {name!r} was found and did not start ({reason}). Restart the session, in Colab with Runtime > "
            f"Disconnect and delete runtime, and end what else may use it."
        ) from error
    if fault := fault_of(strategy, "TPU"):
        return None, f"a TPU is there but it cannot compute ({fault})"
    _strategies[name] = strategy
    return strategy, ""


def _local() -> tf.distribute.cluster_resolver.TPUClusterResolver | None:
    """Return the TPU in this machine, or None; raise RuntimeError where it is not to be touched."""
    if not installing.tpu_devices():
        return None
    libtpu, pinned = installing.installed("libtpu"), installing.pins()["libtpu"]
    if installing.installed("tensorflow-tpu") and libtpu and Version(libtpu) > Version(pinned):
        fix = f"run pip install libtpu=={pinned}, then restart"
        raise RuntimeError(f"libtpu {libtpu} is installed, which would end this process: {fix}")
    if holder := _holder():
        raise RuntimeError(f"process {holder} holds it: end that session or notebook first, or kill {holder}")
    return tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")


def _named(name: str) -> tf.distribute.cluster_resolver.TPUClusterResolver:
    """Find a Cloud TPU, and raise OSError where nothing answers there: TensorFlow would wait for it for ever."""
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
    for address in itertools.chain(*resolver.cluster_spec().as_dict().values()):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _ANSWERS / 2).close()
        except OSError as error:
            raise OSError(f"nothing answers at {address}: {error}") from None
    return resolver


def _start(resolver: tf.distribute.cluster_resolver.TPUClusterResolver, name: str) -> tf.distribute.Strategy:
    if name != "local":
        tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def _holder() -> int | None:
    """Return another process that has a chip open; one chip serves one process."""
    wanted = set(map(os.path.realpath, installing.tpu_devices()))
    for link in glob.iglob(_OPEN_FILES):
        process = int(Path(link).parts[2])
        try:
            if process != os.getpid() and os.path.realpath(link) in wanted:
                return process
        except OSError:  # it has ended, or belongs to somebody else
            continue
    return None


def _refused(name: str, reason: str) -> str:
    if name == "local":
        return f"a TPU is there but {reason}"
    return f"the TPU {name!r} cannot be reached ({reason}): check its name, and that it is READY and in this zone"


def _unusable(reason: str) -> str:
    """Say why the TPU in this machine does not start, by what is installed."""
    plain, special = installing.installed("tensorflow"), installing.installed("tensorflow-tpu")
    what = "in Colab choose Runtime > Disconnect and delete runtime, then connect again"
    if plain:
        lies = f"plain tensorflow {plain} has overwritten tensorflow-tpu" if special else f"it is tensorflow {plain}"
        wanted = f"tensorflow-tpu=={special or tf.__version__} libtpu=={installing.pins()['libtpu']}"
        fix = f"pip uninstall -y tensorflow && pip install --no-deps --force-reinstall {wanted}"
        what = f"{lies}, without TPUs: run {fix}, then restart"
    return f"a TPU is there but this TensorFlow cannot use it ({reason}): {what}"
