"""A path -> the run there; one on Drive or in a bucket is fetched, where it is newer than what is here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import storage, workspace
from tfod_helpers.files.run_folder import remote
from tfod_helpers.files.run_folder.remote import RemoteFolder
from tfod_helpers.files.run_folder.run import Run

_GLANCED = ("run.json", "config.yaml", "history.csv", "label_map.pbtxt")


def open_run(folder: storage.AnyPath | Run) -> Run:
    """Return the run kept in ``folder``, making the folder where it is new.

    Args:
        folder: a local path, a folder of Drive, or ``gs://``; a `Run` comes back as it is. A remote run is worked
            on in a folder of this machine, ``tfod_helpers/runs`` in the user's cache.

    Raises:
        NotADirectoryError: the path is a file.
        OSError: it is remote and could not be fetched.
    """
    run = find_run(folder)
    if run.folder.exists() and not run.folder.is_dir():
        raise NotADirectoryError(f"{run.folder}: a run needs a folder, and this is a file. Choose another path.")
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


def find_run(folder: storage.AnyPath | Run) -> Run:
    """Return the run kept in ``folder`` as `open_run` does, and make nothing where there is none.

    Raises:
        OSError: it is remote and could not be fetched.
    """
    if isinstance(folder, Run):
        return folder
    place = remote.of(folder)
    if place is None:
        return Run(Path(folder).expanduser())
    run = Run(_own_folder("runs", place.address), place.address)
    _fetch_newer(run, place)
    return run


def runs_in(folder: storage.AnyPath) -> dict[str, Run]:
    """Return the runs in a folder by their folders' names; of remote ones, their manifest, settings and history alone.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: it cannot be read.
    """
    place = remote.of(folder)
    if place is None:
        local = Path(folder).expanduser()
        if not local.is_dir():
            raise FileNotFoundError(f"{local}: there is no such folder. Give the folder that your run folders are in.")
        return {path.name: Run(path) for path in sorted(local.iterdir()) if path.is_dir()}
    found: dict[str, Run] = {}
    for name in sorted(place.sizes()):
        run, _, file = name.partition("/")
        if file in _GLANCED:
            found.setdefault(run, Run(_own_folder("glances", place.address) / run, storage.join(place.address, run)))
            with workspace.whole_file(found[run].folder / file) as part:
                place.get(name, part)
    if not found:
        raise FileNotFoundError(f"{place.address}: there are no runs. Give the folder that your run folders are in.")
    return found


def _own_folder(kind: str, address: str) -> Path:
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    return workspace.cache_folder() / kind / f"{address.rstrip('/').rsplit('/', 1)[-1]}-{digest}"


def _fetch_newer(run: Run, place: RemoteFolder) -> None:
    """Let the folder here hold the newer of the two states; what is set aside is never deleted."""
    text = place.read("run.json")
    here = run.read_manifest()
    if text is None:
        if run.kept_path.exists():  # it was there once, so somebody deleted it, to begin anew
            aside = _set_aside(run.folder)
            print(f"{run.remote}: the run is gone from there, so a new one begins. What was here is in {aside}.")
        return
    there = _read(text, place)
    if here and here.get("id") == there.get("id") and _age(here) >= _age(there):
        return
    if here and here.get("id") != there.get("id"):
        print(
            f"{run.remote}: another run than the one that was trained here, which is now in {_set_aside(run.folder)}."
        )
    _fetch(run, place)
    print(f"{run.remote}: fetched, at step {there.get('step', 0)}.")


def _age(manifest: dict[str, Any]) -> int:
    return int(manifest.get("saves", 0))


def _read(text: bytes, place: RemoteFolder) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{place.address}/run.json: not valid JSON ({error}). Restore an older version of the file (Drive: 'Manage "
            f"versions'), or start a new run in another folder."
        ) from error


def _fetch(run: Run, place: RemoteFolder) -> None:
    sizes = {name: size for name, size in place.sizes().items() if not Path(name).name.startswith(".")}
    with (
        workspace.whole_folder(run.folder) as part,
        tqdm(total=sum(sizes.values()), desc=f"fetching {run.remote}", unit="B", unit_scale=True, delay=1) as bar,
    ):
        for name, size in sizes.items():
            if ".." in Path(name).parts or os.path.isabs(name):
                raise ValueError(f"{run.remote}: it holds a file {name!r}, which is none of a run. Delete it.")
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            place.get(name, part / name)
            bar.update(size)
        (part / run.kept_path.name).touch()


def _set_aside(folder: Path) -> Path:
    aside = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    folder.replace(aside)
    return aside
