"""A run that may be written to meanwhile -> one state of it, in a folder of its own.

Whoever writes a run, `Keeper` or a training, writes files before what names them, and deletes only what is no longer
named; ``run.json`` is last. So what was named before the files were listed is there, or has gone because there is a
newer state: then that one is looked at. Files that are here already and the same are not fetched again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import workspace
from tfod_helpers.files.run_folder.remote import OwnFolder, RemoteFolder, Version
from tfod_helpers.files.run_folder.run import Checkpoint, Run

EVALUATIONS = "evaluations/"
MANIFEST, _NEWEST = "run.json", "checkpoints/checkpoint"
SMALL = ("config.yaml", "history.csv", "label_map.pbtxt")  # beside the manifest, what every reader may look at
_NAMED = re.compile(r'^model_checkpoint_path: "(.*)"')  # as TensorFlow writes it first into that file
_LOOKS = 30  # at a run whose files go again and again, before a reader gives up


def bring(place: RemoteFolder, folder: Path, checkpoint: Checkpoint | None) -> None:
    """Let a folder hold what a reader needs of a run: its small files, and one of its models.

    Args:
        place: where the run is; nothing happens where there is none.
        folder: on the disk of this machine.
        checkpoint: which model; None for none. Where the run has none such, none is brought.

    Raises:
        ValueError: ``run.json`` is not JSON.
        OSError: the run could not be fetched, or changes faster than that.
    """
    for number in range(_LOOKS):
        text = place.read(MANIFEST)
        if text is None:
            return
        files, models = place.files(), [f"models/{one}" for one in _models(parsed(text, place.address))]
        names = [name for name in files if name in SMALL or name.startswith(EVALUATIONS)]
        whole = _get(place, folder, files, [*names, *(f"{model}.index" for model in models)], number)
        _write(folder / MANIFEST, text)
        if checkpoint is not None and (chosen := _found(Run(folder), checkpoint)):
            whole &= _get(place, folder, files, _shards(files, f"models/{chosen}"), number)
        if whole or place.read(MANIFEST) == text:  # what is missing was deleted by hand
            remove_all_but(folder, files)
            return
    raise _too_busy(place)


def bring_all(place: RemoteFolder, folder: Path) -> None:
    """Let a folder hold the whole run, in a state that can be gone on from.

    Raises:
        ValueError: ``run.json`` is not JSON.
        OSError: as `bring`.
    """
    for number in range(_LOOKS):
        # In this order: what they name is there when the files are listed.
        text, newest = place.read(MANIFEST) or b"{}", place.read(_NEWEST)
        files = place.files()
        _get(place, folder, files, [name for name in files if name not in (MANIFEST, _NEWEST)], number)
        _write(folder / MANIFEST, text)
        if newest is not None:
            _write(folder / _NEWEST, newest)
        named = [f"models/{one}" for one in _models(parsed(text, place.address))]
        named += [f"checkpoints/{one}" for one in _NAMED.findall((newest or b"").decode())]
        if all(_is_whole(folder, prefix) for prefix in named) or place.read(MANIFEST) == text:
            remove_all_but(folder, files)
            return
    raise _too_busy(place)


def parsed(text: bytes, address: str) -> dict[str, Any]:
    """Return what a ``run.json`` says.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{address}/{MANIFEST}: not valid JSON ({error}). Restore an older version of the file (Drive: 'Manage "
            f"versions'), or start a new run in another folder."
        ) from error


def remove_all_but(folder: Path, names: Iterable[str]) -> None:
    """Delete the visible files of a folder that are not among some."""
    here = OwnFolder(str(folder))
    for name in here.files().keys() - {MANIFEST, _NEWEST, *names}:
        here.delete(name)


def _get(place: RemoteFolder, folder: Path, files: Mapping[str, Version], names: Iterable[str], number: int) -> bool:
    """Copy files; return whether all were there."""
    names, whole = sorted(names), True
    sizes = {name: files[name].size for name in names if name in files}
    words = f"fetching {place.address}" + (", which is being written" if number else "")
    with tqdm(total=sum(sizes.values()), desc=words, unit="B", unit_scale=True, delay=1) as bar:
        for name in names:
            try:
                place.get(name, folder / name, files[name])
            except (KeyError, FileNotFoundError):
                whole = False
            bar.update(sizes.get(name, 0))
    return whole


def _models(manifest: Mapping[str, Any]) -> list[str]:
    return [str(one["checkpoint"]) for one in manifest.get("models", [])]


def _found(run: Run, checkpoint: Checkpoint) -> str:
    """Return the name of a model's files, empty where there is none such: who reads the run says so."""
    try:
        return str(run.find_model(checkpoint)["checkpoint"])
    except (FileNotFoundError, ValueError):
        return ""


def _shards(files: Iterable[str], prefix: str) -> list[str]:
    """Return the names of the files with a checkpoint's values: as many as their names say, listed or not."""
    listed = [name for name in files if name.startswith(f"{prefix}.data-")]
    count = int(listed[0].rpartition("-of-")[2]) if listed else 1
    return [f"{prefix}.data-{number:05d}-of-{count:05d}" for number in range(count)]


def _is_whole(folder: Path, prefix: str) -> bool:
    there = [path.relative_to(folder).as_posix() for path in (folder / prefix).parent.glob("*.data-*")]
    return all((folder / name).is_file() for name in [f"{prefix}.index", *_shards(there, prefix)])


def _write(path: Path, data: bytes) -> None:
    with workspace.whole_file(path) as part:
        part.write_bytes(data)


def _too_busy(place: RemoteFolder) -> OSError:
    return OSError(
        f"{place.address}: the run is written anew faster than it can be fetched: {_LOOKS} times a file of it was gone "
        f"before it was here. Try again when its training pauses or has ended."
    )
