"""A call that may never return -> its result, or an error in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def bounded(call: Callable[[], _Result], seconds: float, late: str) -> _Result:
    """Return what a call returns, or give up on it.

    A call into TensorFlow's C++ cannot be stopped, so one that is late stays behind in its thread, which ends with
    the process.

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
