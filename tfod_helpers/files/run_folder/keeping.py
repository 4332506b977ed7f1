"""A run's folder here -> the same folder on Drive or in a bucket, in the background.

Training can resume from what is there at every moment: files that nothing names yet are sent first, then those that
name them, ``run.json`` last; what is no longer named is deleted after that. A machine that dies in between leaves the
state of before, or the one of now.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from pathlib import Path

from tqdm import tqdm

from tfod_helpers.files.run_folder import remote
from tfod_helpers.files.run_folder.run import Run

_SNAPSHOT = ".kept-"
_OURS = ("checkpoints/", "models/")  # in these, what is gone here is deleted there
_THEIRS = ("evaluations/", "events/eval/")  # an evaluator writes these where the run is kept
_TRIES = 3  # of the last copy, which nothing follows


class Keeper:
    """Keeps a run in step with the place that it is kept in; where there is none, does nothing.

    A copy that fails does not stop the training: it is reported once, and the next one tries again.
    """

    def __init__(self, run: Run) -> None:
        """Begin to keep a run.

        Args:
            run: the run; what it was fetched with is known to be there already.
        """
        self._run = run
        self._remote = remote.of(run.remote) if run.remote else None
        self._sent: dict[str, tuple[int, int]] = {}
        self._manifest = self._remote.read("run.json") if self._remote else None
        self._waiting: Path | None = None
        self._wake = threading.Condition()
        self._busy, self._closed, self._reported = False, False, ""
        self._error: Exception | None = None
        if self._remote:
            for left in run.folder.glob(f"{_SNAPSHOT}*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            threading.Thread(target=self._work, name="run keeper", daemon=True).start()

    def begin(self) -> None:
        """Bring a new run there before its first step: a place that cannot be written to is told now, not at the end.

        Raises:
            OSError: it cannot be brought there.
        """
        if not self._remote or self._run.kept_path.exists():
            return
        snapshot = _link_all(self._run.folder)
        try:
            self._send(snapshot)
        finally:
            shutil.rmtree(snapshot, ignore_errors=True)

    def keep(self) -> None:
        """Copy the run as it is now, in the background; of several states that wait, the newest is enough."""
        if not self._remote:
            return
        snapshot = _link_all(self._run.folder)
        with self._wake:
            stale, self._waiting = self._waiting, snapshot
            self._wake.notify_all()
        if stale:
            shutil.rmtree(stale, ignore_errors=True)

    def finish(self) -> None:
        """Wait until the last state is there.

        Raises:
            OSError: it could not be brought there; it is whole on this machine. Where the reason passes, such as a
                network that is gone for a while, it is a ConnectionError.
        """
        for _ in range(_TRIES):
            with self._wake:
                self._wake.wait_for(lambda: not self._busy and self._waiting is None)
                error, self._error = self._error, None
            if error is None:
                return
            if isinstance(error, OtherMachineError):
                break
            self.keep()
        kind = ConnectionError if isinstance(error, ConnectionError) else OSError
        raise kind(
            f"{self._run.remote}: the run could not be kept there ({error}). It is whole in {self._run.folder}: "
            f"nothing is lost while this machine lives. Fix that, then run this again: only the copy is made."
        ) from error

    def close(self) -> None:
        """Let the thread end, after the copy that it is at."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting is not None or self._closed)
                if self._waiting is None:
                    return
                snapshot, self._waiting, self._busy = self._waiting, None, True
            try:
                self._send(snapshot)
                error = None
            except Exception as problem:  # whatever it is, the training goes on
                error = problem
                self._report(problem)
            finally:
                shutil.rmtree(snapshot, ignore_errors=True)
            with self._wake:
                self._busy, self._error = False, error
                self._wake.notify_all()

    def _report(self, error: Exception) -> None:
        if str(error) != self._reported:
            self._reported = str(error)
            tqdm.write(
                f"The run could not be copied to {self._run.remote} ({error}). Training goes on, with everything in "
                f"{self._run.folder}; the next checkpoint tries again."
            )

    def _send(self, snapshot: Path) -> None:
        assert self._remote is not None
        if self._remote.read("run.json") != self._manifest:
            raise OtherMachineError(
                f"another machine has trained this run meanwhile, and its {self._run.remote}/run.json is not touched"
            )
        files = {path.relative_to(snapshot).as_posix(): path for path in snapshot.rglob("*") if path.is_file()}
        files = {name: path for name, path in files.items() if not name.startswith(_THEIRS)}
        for name in sorted(files, key=lambda name: (_rank(name), name)):
            stamp = _stamp(files[name])
            if self._sent.get(name) != stamp:
                self._remote.put(files[name], name)
                self._sent[name] = stamp
                if name == "run.json":
                    self._manifest = files[name].read_bytes()
        for name in self._remote.files():
            if name.startswith(_OURS) and name not in files:
                self._remote.delete(name)
                self._sent.pop(name, None)
        self._run.kept_path.touch()


class OtherMachineError(RuntimeError):
    """The run was resumed elsewhere."""


def _rank(name: str) -> int:
    """Return when a file is sent: what is named before what names it."""
    if name == "run.json":
        return 3
    if name == "checkpoints/checkpoint":
        return 2
    # The history goes before the checkpoint: were it to lag behind, rows would be missing on resume.
    return 1 if name == "history.csv" else 0


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _link_all(folder: Path) -> Path:
    """Return a hidden folder with links to a folder's files: files that are replaced meanwhile stay as they were."""
    snapshot = Path(tempfile.mkdtemp(prefix=_SNAPSHOT, dir=folder))
    here = remote.OwnFolder(str(folder))
    for name in here.files():
        if not any(part.endswith("_temp") for part in name.split("/")):  # where TensorFlow writes first
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                here.get(name, snapshot / name)
    return snapshot
