"""The GPUs of this machine -> a strategy over those that compute, or why there is none."""

from __future__ import annotations

import contextlib
import os
import shutil

import tensorflow as tf

from tfod_helpers.runtime import computing

_DEVICE_FILE, _TOOL = "/dev/nvidia0", "nvidia-smi"  # either shows that there is a GPU with its driver


def connect() -> tuple[tf.distribute.Strategy | None, str]:
    """Return a strategy over the GPUs and what they are, or None and why there is none."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None, _why_none()
    for gpu in gpus:  # take memory as it is needed, so that a second notebook still finds some
        with contextlib.suppress(RuntimeError, ValueError):  # it is in use already, and stays as it was set up
            tf.config.experimental.set_memory_growth(gpu, True)
    names = [f"/GPU:{number}" for number in range(len(gpus))]
    faults = {name: computing.fault_of(tf.distribute.OneDeviceStrategy(name), "GPU") for name in names}
    good = [name for name in names if not faults[name]]
    broken = [f"{name.strip('/')} cannot compute ({fault})" for name, fault in faults.items() if fault]
    if not good:
        return None, "; ".join(broken)
    details = tf.config.experimental.get_device_details(gpus[names.index(good[0])])
    what = "; ".join([details.get("device_name", "a GPU"), *broken])
    if len(good) > 1:
        return tf.distribute.MirroredStrategy(good), what
    return tf.distribute.OneDeviceStrategy(good[0].lower()), what


def _why_none() -> str:
    if not os.path.exists(_DEVICE_FILE) and not shutil.which(_TOOL):
        return "no GPU"
    if (hidden := os.environ.get("CUDA_VISIBLE_DEVICES")) in ("", "-1"):
        return f"a GPU is there, hidden by the environment variable CUDA_VISIBLE_DEVICES={hidden!r}: remove it"
    built = tf.sysconfig.get_build_info().get("is_cuda_build")
    lack = "finds no CUDA libraries" if built else "is built without CUDA"
    return (
        f"a GPU and its driver are there, but this TensorFlow {lack}: run pip install "
        f"'tensorflow[and-cuda]=={tf.__version__}', then restart"
    )
