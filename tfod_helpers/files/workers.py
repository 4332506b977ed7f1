"""A function over many items, on several cores, with the results in order.

Small photos cost more Python than decoding, so threads would wait for each other, and forked processes
take half the time. But a fork can hang where TensorFlow has threads of its own, and on other systems
than Linux a new process would run the user's script again: there threads do it.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_BATCH = 64  # items that one worker takes at once, where there are many
WORTH_FORKING = 200  # items; fewer are done before the processes have started


def count(workers: int | None) -> int:
    """Return how many workers there are: those asked for, or one a core.

    Raises:
        ValueError: fewer than one.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}.")
    return workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


@contextlib.contextmanager
def no_garbage_search() -> Iterator[None]:
    """Leave Python's search for garbage out of a block that makes hundreds of thousands of objects that stay.

    The search looks through all of them again and again, which takes a third of the time of reading
    20,000 annotations. What is no longer referred to goes away all the same; only rings of objects wait.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def batch_size(items: int, workers: int) -> int:
    """Return how many items one worker takes at once, so that all have some to do to the end."""
    return max(1, min(_BATCH, items // (4 * workers)))


def in_order(
    task: Callable[[_Item], _Result], items: Sequence[_Item], *, workers: int | None = None, small: bool = False
) -> Generator[_Result, None, None]:
    """Yield ``task(item)`` for each item, in order; at most a few batches of results wait at a time.

    Args:
        task: what to do with one item. In a forked process it sees all that is in memory at the call;
            what it returns is pickled, what it raises is raised here.
        items: what to do it with.
        workers: how many at once; None takes one a core.
        small: the items are batches already, so each is handed over alone.

    Raises:
        ValueError: ``workers`` is below one.
        RuntimeError: a process was ended from outside.
    """
    workers = count(workers)
    size = 1 if small else batch_size(len(items), workers)
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    forkable = sys.platform == "linux" and "tensorflow" not in sys.modules
    if workers == 1 or len(batches) < 2:
        yield from map(task, items)
    elif forkable and (small or len(items) >= WORTH_FORKING):
        yield from _by_processes(task, batches, workers)
    else:
        yield from _by_threads(task, batches, workers)


def _by_threads(
    task: Callable[[_Item], _Result], batches: Sequence[Sequence[_Item]], workers: int
) -> Iterator[_Result]:
    def do(batch: Sequence[_Item]) -> list[_Result]:
        return [task(item) for item in batch]

    ahead = 2 * workers  # so that results are not made faster than they are taken
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(do, batch) for batch in batches[:ahead]]
        for number in range(len(batches)):
            results = waiting.pop(0).result()
            if number + ahead < len(batches):
                waiting.append(pool.submit(do, batches[number + ahead]))
            yield from results


def _by_processes(
    task: Callable[[_Item], _Result], batches: Sequence[Sequence[_Item]], workers: int
) -> Iterator[_Result]:
    # When this process is killed its ends of the pipes close, and that ends the others too; the
    # processes of a ProcessPoolExecutor would wait for ever.
    context = multiprocessing.get_context("fork")
    readers, processes = [], []
    try:
        for number in range(min(workers, len(batches))):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_send, args=(writer, task, batches[number::workers]), daemon=True)
            readers.append(reader)
            processes.append(process)
            with warnings.catch_warnings():
                # From Python 3.12 on a fork beside other threads warns; numpy's are made for it.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            writer.close()
        for number in range(len(batches)):
            results, error = readers[number % workers].recv()
            yield from results
            if error is not None:
                raise error
    except EOFError:
        raise RuntimeError("A process that reads photos was ended from outside. Try again with workers=1.") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _send(writer: Connection, task: Callable[[_Item], _Result], batches: Sequence[Sequence[_Item]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the process that asked
    gc.freeze()  # what was there before the fork is not searched for garbage, nor copied by being touched
    for batch in batches:
        results: list[_Result] = []
        error = None
        try:
            for item in batch:
                results.append(task(item))
        except Exception as raised:
            error = raised
        try:
            writer.send((results, error))
        except BrokenPipeError:  # nobody reads any more
            return
