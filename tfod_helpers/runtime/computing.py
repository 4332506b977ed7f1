"""A device that was found -> whether it really computes; a call that may never return -> an error in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

_Result = TypeVar("_Result")
_SIDE = 128  # of the matrices: every entry of the product is this number, whatever the device rounds to


def fault_of(device: str) -> str:
    """Multiply two matrices on a device, and return what went wrong, or nothing.

    Args:
        device: such as ``/GPU:0``.
    """
    try:
        with tf.device(device):
            ones = tf.ones([_SIDE, _SIDE])
            product = tf.linalg.matmul(ones, ones)
        if not product.device.endswith(device.strip("/")):
            return f"TensorFlow computed on {product.device} instead"
        return _fault_of_product(product)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        return first_line(error)


def fault_of_strategy(strategy: tf.distribute.Strategy, kind: str) -> str:
    """Multiply two matrices on every device of a strategy, and return what went wrong, or nothing.

    Args:
        strategy: the devices.
        kind: what they should be, such as ``TPU``.
    """
    multiply = tf.function(lambda ones: tf.linalg.matmul(ones, ones))
    try:
        products = strategy.run(multiply, args=(tf.ones([_SIDE, _SIDE]),))
        for product in strategy.experimental_local_results(products):
            if f"{kind}:" not in product.device:
                return f"TensorFlow computed on {product.device} instead"
            if fault := _fault_of_product(product):
                return fault
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        return first_line(error)
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def _fault_of_product(product: tf.Tensor) -> str:
    wrong = int((product.numpy() != _SIDE).sum())
    return f"{wrong} of {_SIDE * _SIDE} numbers of a product of two matrices are wrong" if wrong else ""


def bounded(call: Callable[[], _Result], seconds: float, late: str) -> _Result:
    """Return what a call returns, or give up on it.

    A call into TensorFlow's C++ cannot be stopped, so one that is late goes on in its thread, which ends with the
    process.

    Args:
        call: what to do.
        seconds: how long to wait.
        late: the error's message.

    Raises:
        TimeoutError: it took longer.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised below, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(late)
    if errors:
        raise errors[0]
    return results[0]
