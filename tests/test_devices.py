"""The runtime: the best device there is, and a sentence about why; versions that cannot work are refused."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def runtime():  # type: ignore[no-untyped-def]
    """The module, which loads TensorFlow."""
    from tfod_helpers import runtime

    return runtime


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, whatever this one has."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])


def test_a_cpu_is_said_to_be_one(runtime, no_gpu, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """With no TPU and no GPU the CPU is taken; the sentence says what is missing and which menu changes it."""
    monkeypatch.setattr(runtime.glob, "glob", lambda pattern: [])
    connection = runtime.connect()
    assert (connection.kind, connection.devices) == ("CPU", 1)
    assert connection.strategy.num_replicas_in_sync == 1
    assert "no TPU and no GPU" in str(connection)
    assert "Change runtime type" in str(connection)


def test_a_tpu_that_cannot_be_used_is_not_passed_over_in_silence(
    runtime, no_gpu, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    """Where a TPU's device file is there and TensorFlow cannot use it, the CPU is taken and the reason told."""
    monkeypatch.setattr(runtime.glob, "glob", lambda pattern: ["/dev/accel0"] if "accel" in pattern else [])
    connection = runtime.connect()
    assert connection.kind == "CPU"
    assert "a TPU is there but this TensorFlow cannot use it (" in str(connection)


def test_versions_that_cannot_work_are_refused(runtime, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """numpy 2.4 and Python 3.13 are told before any time is spent, numpy with the command that mends it."""
    runtime.check_versions()
    version = metadata.version
    monkeypatch.setattr(runtime.metadata, "version", lambda name: "2.4.0" if name == "numpy" else version(name))
    with pytest.raises(RuntimeError, match=r"pip install 'numpy<2\.4'"):
        runtime.check_versions()
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(RuntimeError, match=r"Python 3\.11 or 3\.12 is needed"):
        runtime.connect()
