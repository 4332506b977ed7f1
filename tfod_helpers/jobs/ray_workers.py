"""What Ray runs: `training.train` on each machine, what it says brought to the notebook, and how Ray reads its end.

This module is imported on machines that Ray chooses, so it takes no library of Ray's until it is called.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.experiment import ExperimentConfig
    from tfod_helpers.records import Records
    from tfod_helpers.training.validating import Keep

_RESUMING = "tfod_helpers.training.resuming"
# Python's own: what the operating system calls at a signal, read and set from any thread.
_GET, _SET = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
_GET.restype, _GET.argtypes = ctypes.c_void_p, [ctypes.c_int]
_SET.restype, _SET.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
_python: list[int] = []  # what it calls for a signal that Python handles

_LISTEN = 1.0  # seconds between two looks at whether to stop
_SETTLE = 5.0  # seconds in which Ray has seen that another machine died, which then is why this one failed


class FaultError(Exception):
    """What starting again does not mend.

    Attributes:
        error: what `training.train` raised, as it is.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class LostError(Exception):
    """A machine was lost, this one or another; what was saved is in the run, and a new group resumes from there."""


class Words:
    """What the machines say, until the notebook that began the training takes it; and its word that they should stop.

    One of these lives in an actor of Ray's.
    """

    def __init__(self) -> None:
        self._said: list[tuple[str, str]] = []
        self._stopped = False

    def say(self, stream: str, text: str) -> None:
        """Keep a text that a machine wrote to ``stdout`` or ``stderr``."""
        self._said.append((stream, text))

    def take(self) -> list[tuple[str, str]]:
        """Return what was said since the last time."""
        said, self._said = self._said, []
        return said

    def stop(self) -> None:
        """Ask the machines to save and end."""
        self._stopped = True

    def is_stopped(self) -> bool:
        """Return whether they are asked to."""
        return self._stopped


class _Mouth(io.TextIOBase):
    """A stream whose text is said elsewhere; a machine that nobody hears goes on."""

    encoding = "utf-8"  # so that the progress bar draws blocks

    def __init__(self, words: Any, stream: str, looked_at: bool) -> None:
        self._words, self._stream, self._looked_at = words, stream, looked_at

    def isatty(self) -> bool:
        return self._looked_at

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with contextlib.suppress(Exception):  # of Ray's, where the notebook's machine is gone
            self._words.say.remote(self._stream, text)
        return len(text)


@dataclass(frozen=True)
class Place:
    """Where the notebook is that began the training.

    Attributes:
        folder: what relative paths are meant from.
        words: the actor that holds `Words`.
        looked_at: whether somebody looks at what is said, so that a progress bar may move.
    """

    folder: str
    words: Any
    looked_at: bool

    def enter(self) -> None:
        """Go to its folder, where this machine has it; Ray has moved to one of its own."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Let it hear what this machine says in the block, and let this machine hear that it should stop."""
        logging.getLogger().setLevel(logging.WARNING)  # Python's own level; Ray has set INFO
        out, err = (_Mouth(self.words, stream, self.looked_at) for stream in ("stdout", "stderr"))
        threading.Thread(target=self._listen, daemon=True).start()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield

    def _listen(self) -> None:
        import ray

        with contextlib.suppress(Exception):  # of Ray's, where the notebook's machine is gone
            while not ray.get(self.words.is_stopped.remote()) or not _take_away(signal.SIGINT):
                time.sleep(_LISTEN)


def train(config: ExperimentConfig, run: str, keep: Keep, place: Place) -> None:
    """Train as one of the machines of a group; the first of them is heard.

    Args:
        config: the settings.
        run: the run folder, the same on all machines.
        keep: how many of the newest evaluated models are kept.
        place: where the notebook is.

    Raises:
        FaultError: what `training.train` raised that is the user's to mend.
        LostError: a machine was lost or taken away.
    """
    import ray.train

    place.enter()
    first = ray.train.get_context().get_world_rank() == 0
    with place.heard() if first else contextlib.nullcontext(), _told():
        from tfod_helpers import runtime, training

        strategy = runtime.connect().strategy
        _take_sigterm_back()
        training.train(config, run, keep=keep, strategy=strategy)


def follow(run: str, photos: Records | Dataset, place: Place) -> None:
    """Judge each model of a run, beside its training, until that is finished."""
    place.enter()
    from tfod_helpers import training

    training.follow(run, photos)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say of an error whether starting again helps; neither kind needs TensorFlow to be read."""
    try:
        yield
    except ConnectionError as lost:
        raise LostError(str(lost)) from lost
    except SystemExit as gone:
        raise LostError("A machine is taken away, and all have saved") from gone
    except KeyboardInterrupt as stopped:
        raise FaultError(stopped) from stopped
    except Exception as error:
        if _is_of_machines(error):
            raise LostError(f"{type(error).__name__}: {str(error)[:300]}") from error
        if isinstance(error, RuntimeError):
            time.sleep(_SETTLE)  # the machines around it may have fallen, which Ray is about to see
        raise FaultError(_carried(error)) from error


def _is_of_machines(error: Exception) -> bool:
    """Return whether an error of TensorFlow is about the other machines, and not about what it was given to compute."""
    import tensorflow as tf

    kinds = ("Unavailable", "Aborted", "Cancelled", "DeadlineExceeded", "Internal", "Unknown", "FailedPrecondition")
    return isinstance(error, tuple(getattr(tf.errors, f"{kind}Error", tf.errors.UnavailableError) for kind in kinds))


def _carried(error: Exception) -> Exception:
    """Return an error that can travel: itself, or its words where it holds what cannot."""
    try:
        pickle.dumps(error)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def heed_sigterm() -> None:
    """Let a machine that is taken away (SIGTERM) save with the others; Ray itself would end it at once.

    Called in the process's main thread, where signals arrive; the training is in another.
    """
    before = signal.getsignal(signal.SIGTERM)

    def heed(number: int, frame: Any) -> None:
        if not _take_away(number) and callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, heed)
    _python.append(_GET(signal.SIGTERM))


def _take_sigterm_back() -> None:
    """Let SIGTERM reach Python again: TensorFlow has taken it when the machines joined, and keeps it to itself.

    `signal.signal` does that in the main thread alone, which is Ray's.
    """
    if _python:
        _SET(signal.SIGTERM, _python[-1])


def _take_away(number: int) -> bool:
    """Tell the training in this process, and return whether there is one; it saves with the others, and ends."""
    module = sys.modules.get(_RESUMING)  # where it is not loaded, no training is under way
    return module is not None and module.take_away(number)
