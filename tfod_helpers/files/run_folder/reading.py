"""A run that is read while a training beside it may go on -> one state of it, in files that nobody touches."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tfod_helpers.files import storage, workspace
from tfod_helpers.files.run_folder import bringing, opening, remote
from tfod_helpers.files.run_folder.remote import OwnFolder, RemoteFolder
from tfod_helpers.files.run_folder.run import Checkpoint, Run

_STATE = ".read-"
_LEFT_SECONDS = 24 * 3600.0  # after which a state that lies there is of a process that was killed


@contextlib.contextmanager
def reading(folder: storage.AnyPath | Run, checkpoint: Checkpoint | None = None) -> Iterator[Run]:
    """Give a run as it is now, for as long as the block takes: a training may replace and delete its files meanwhile.

    Of a remote run only what is asked for is fetched, and only where it is not here already.

    Args:
        folder: a local path, a folder of Drive, or ``gs://``; a `Run` that was given here comes back as it is.
        checkpoint: the model that is read; None where none is, only what ``run.json`` says of them.

    Raises:
        ValueError: ``run.json`` is not JSON.
        OSError: the run could not be fetched.
    """
    if isinstance(folder, Run):
        if folder.steady:
            yield folder
            return
        folder = folder.remote or folder.folder
    place = remote.of(folder)
    run = opening.place_of(folder)
    if place is None and (not run.read_manifest() or run.read_manifest().get("finished")):
        yield run  # nobody writes to it
        return
    # A remote run's folder here is replaced as a whole where a newer state is fetched, so states of it lie elsewhere.
    with _state(opening.own_folder("reads", place.address) if place else run.folder) as state:
        if place is None:
            bringing.bring(OwnFolder(str(run.folder)), state, checkpoint)
        elif opening.is_newer_here(run, place.read(bringing.MANIFEST)):
            bringing.bring(OwnFolder(str(run.folder)), state, checkpoint)
            _bring_evaluations(place, state)
        else:
            _bring_cached(place, state, checkpoint)
        yield Run(state, str(run), steady=True)


def add_file(folder: storage.AnyPath | Run, name: str, path: Path) -> None:
    """Put a file into a run's folder, where the run is kept, whole or not at all.

    Args:
        folder: as `reading` takes it.
        name: of the file, within the folder; none that the training writes.
        path: the file to copy.

    Raises:
        OSError: it cannot be written.
    """
    place = folder.remote or folder.folder if isinstance(folder, Run) else folder
    (remote.of(place) or OwnFolder(str(Path(place).expanduser()))).put(path, name)


def _bring_cached(place: RemoteFolder, state: Path, checkpoint: Checkpoint | None) -> None:
    """Bring a state of a remote run; what of it was fetched before is in the cache."""
    cache = opening.own_folder("reads", place.address)
    with workspace.alone(cache):
        bringing.bring(place, cache, checkpoint)
        bringing.bring(OwnFolder(str(cache)), state, checkpoint)


def _bring_evaluations(place: RemoteFolder, state: Path) -> None:
    """Fetch what an evaluator has written where a run is kept: it is not sent to the machine that trains."""
    for name, version in place.files().items():
        if name.startswith(bringing.EVALUATIONS):
            place.get(name, state / name, version)


@contextlib.contextmanager
def _state(folder: Path) -> Iterator[Path]:
    """Give an empty folder within another, on whose disk files are linked; elsewhere where that may not be written."""
    for left in folder.glob(f"{_STATE}*"):
        if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix=_STATE, dir=folder)
    except OSError:
        made = tempfile.mkdtemp(prefix="tfod_helpers-")
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)
