"""A path -> the run there; one on Drive or in a bucket is fetched, where it is newer than what is here.

`find_run` and `open_run` are for who goes on with a run, or keeps it; who reads one takes `reading.reading`.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from tfod_helpers.files import storage, workspace
from tfod_helpers.files.run_folder import bringing, remote
from tfod_helpers.files.run_folder.remote import OwnFolder, RemoteFolder
from tfod_helpers.files.run_folder.run import Run


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
    run, place = place_of(folder), remote.of(folder)
    if place is not None:
        _fetch_newer(run, place)
    return run


def place_of(folder: storage.AnyPath) -> Run:
    """Return a run by its place, whether there is one or not; of a remote one, nothing is fetched."""
    place = remote.of(folder)
    if place is None:
        return Run(Path(folder).expanduser())
    return Run(own_folder("runs", place.address), place.address)


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
    for name, version in sorted(place.files().items()):
        run, _, file = name.partition("/")
        if file in (bringing.MANIFEST, *bringing.SMALL):
            found.setdefault(run, Run(own_folder("glances", place.address) / run, storage.join(place.address, run)))
            place.get(name, found[run].folder / file, version)
    if not found:
        raise FileNotFoundError(f"{place.address}: there are no runs. Give the folder that your run folders are in.")
    return found


def own_folder(kind: str, address: str) -> Path:
    """Return the folder of this machine's cache for what is at an address."""
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    return workspace.cache_folder() / kind / f"{address.rstrip('/').rsplit('/', 1)[-1]}-{digest}"


def is_newer_here(run: Run, text: bytes | None) -> bool:
    """Return whether what this machine holds of a remote run is that run, and no older than what is there.

    Args:
        run: as `find_run` returns it.
        text: the ``run.json`` there, None where there is none.

    Raises:
        ValueError: one of them is not JSON.
    """
    here = run.read_manifest()
    if text is None:
        return bool(here) and not run.kept_path.exists()  # it has never got there
    there = bringing.parsed(text, run.remote)
    return bool(here) and here.get("id") == there.get("id") and _age(here) >= _age(there)


def _fetch_newer(run: Run, place: RemoteFolder) -> None:
    """Let the folder here hold the newer of the two states; what is set aside is never deleted."""
    text = place.read(bringing.MANIFEST)
    if is_newer_here(run, text):
        return
    if text is None:
        if run.kept_path.exists():  # it was there once, so somebody deleted it, to begin anew
            aside = _set_aside(run.folder)
            print(f"{run.remote}: the run is gone from there, so a new one begins. What was here is in {aside}.")
        return
    here, there = run.read_manifest(), bringing.parsed(text, run.remote)
    if here and here.get("id") != there.get("id"):
        print(
            f"{run.remote}: another run than the one that was trained here, which is now in {_set_aside(run.folder)}."
        )
    with workspace.whole_folder(run.folder) as part:
        if run.folder.is_dir():  # what is the same there need not be fetched again
            here_now = OwnFolder(str(run.folder))
            for name in here_now.files():
                here_now.get(name, part / name)
        bringing.bring_all(place, part)
        (part / run.kept_path.name).touch()
    print(f"{run.remote}: fetched, at step {run.read_manifest().get('step', 0)}.")


def _age(manifest: dict[str, Any]) -> int:
    return int(manifest.get("saves", 0))


def _set_aside(folder: Path) -> Path:
    aside = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    folder.replace(aside)
    return aside
