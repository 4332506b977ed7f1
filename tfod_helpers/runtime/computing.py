"""A device that was found -> whether it really computes; a call that may never return -> an error in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

import tensorflow as tf

_Result = TypeVar("_Result")
_SIDE = 128  # of the matrices: every entry of the product is this number, whatever the device rounds to


def fault_of(strategy: tf.distribute.Strategy, kind: str) -> str:
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
            if wrong := int((product.numpy() != _SIDE).sum()):
                return f"{wrong} of {_SIDE * _SIDE} numbers of a product of two matrices are wrong"
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        return first_line(error)
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


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
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # raised below, in the thread that asked
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # the executors of concurrent.futures would wait for it at exit
    if not wait([future], seconds).done:
        raise TimeoutError(late)
    return future.result()
