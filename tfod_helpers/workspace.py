"""Where files live: files that appear whole or not at all, and the folder of one training run.

A run folder holds everything that one training makes::

    run.json          what this run is: classes, preset, dataset, versions, progress, best score
    config.yaml       every setting of the experiment
    label_map.pbtxt   the classes, in the order the model knows them
    checkpoints/      the newest state, to go on from
    best/             the state with the highest validation AP
    events/           TensorBoard event files
    history.csv       one row per logged interval
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well.

    A crash, a full disk or an exception leaves the old file as it was and no half-written one
    under its name.

    Args:
        path: the file to create or replace. Missing parent folders are made.

    Yields:
        The temporary path to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        _flush_to_disk(part)
        part.chmod(0o666 & ~_umask())  # mkstemp makes 0600, which other programs could not read
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; put it in the place of ``path`` when the block ends well.

    Args:
        path: the folder to create or replace.

    Yields:
        The temporary folder to fill.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".old"))
            path.replace(old / path.name)
            try:
                part.replace(path)
            except OSError:
                (old / path.name).replace(path)
                raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        else:
            part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@dataclass(frozen=True)
class Run:
    """One training run's folder; every path in it is spelled here and nowhere else."""

    folder: Path

    @property
    def manifest_path(self) -> Path:
        """``run.json``: what this run is."""
        return self.folder / "run.json"

    @property
    def config_path(self) -> Path:
        """``config.yaml``: every setting of the experiment."""
        return self.folder / "config.yaml"

    @property
    def label_map_path(self) -> Path:
        """``label_map.pbtxt``: the classes."""
        return self.folder / "label_map.pbtxt"

    @property
    def checkpoints(self) -> Path:
        """The newest states, to go on from."""
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        """The state with the highest validation AP."""
        return self.folder / "best"

    @property
    def events(self) -> Path:
        """TensorBoard event files."""
        return self.folder / "events"

    @property
    def history_path(self) -> Path:
        """``history.csv``: a row each time the loss was read."""
        return self.folder / "history.csv"

    def read_manifest(self) -> dict[str, Any]:
        """Return what ``run.json`` says, or an empty dict where the run has not started.

        Raises:
            ValueError: the file is there and is not JSON.
        """
        if not self.manifest_path.exists():
            return {}
        try:
            return json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self.manifest_path}: not valid JSON ({error}). Restore the file from a copy, "
                f"or start a new run in another folder."
            ) from error

    def update_manifest(self, **facts: Any) -> dict[str, Any]:
        """Merge ``facts`` into ``run.json`` and return the whole of it."""
        manifest = self.read_manifest() | facts
        with whole_file(self.manifest_path) as part:
            part.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return manifest


def open_run(folder: str | os.PathLike[str] | Run) -> Run:
    """Return the run kept in ``folder``, making the folder where it is new.

    Args:
        folder: a local path; a `Run` comes back as it is.

    Raises:
        NotADirectoryError: the path is a file.
    """
    if isinstance(folder, Run):
        return folder
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: a run needs a folder, and this is a file. Choose another path.")
    folder.mkdir(parents=True, exist_ok=True)
    return Run(folder)


def sample_folder() -> Path:
    """Return the folder of the drawn sample: ``train/`` and ``test/`` with photos and XML, ``data/``.

    It stands in the checkout, and lies within an installed package.

    Raises:
        FileNotFoundError: the package was installed without it.
    """
    package = Path(__file__).parent
    for folder in (package.parent / "dataset", package / "sample"):
        if (folder / "train").is_dir():
            return folder
    raise FileNotFoundError(f"{package / 'sample'}: the drawn sample is missing. Install the package again.")


def cache_folder() -> Path:
    """Return the folder for what can be fetched again: ``tfod_helpers`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``.

    It need not be there yet.
    """
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path(tempfile.gettempdir())
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache").expanduser() / "tfod_helpers"


def _flush_to_disk(path: Path) -> None:
    # Without this a power cut after the rename can leave the new name on empty blocks.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
