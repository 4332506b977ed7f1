"""The doctor's look at the machine: what is installed, what computes, and where files can be kept."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from pathlib import Path

from tfod_helpers import drive, installing, presets, runtime
from tfod_helpers.doctor.diagnosis import Case, FoundFault
from tfod_helpers.files import mounts, storage, workspace

_SHOWN = ("tensorflow", "tensorflow-tpu", "libtpu", "tf-models-official", "tf_keras", "numpy", "protobuf")
_INSTALL = "Run: from tfod_helpers import installing; installing.install('train')"
_PROBE_BYTES = 1_000_000
_SLACK_BYTES = 200_000_000  # for events, history and the export
# Weights, Adam's two averages and ours, in the two checkpoints that are kept and the one being written; the best
# weights likewise twice; four bytes each.
_BYTES_A_PARAMETER = 4 * (4 * 3 + 2)


# --- versions -------------------------------------------------------------------------------------


def look_at_versions(case: Case) -> str:
    """Compare what is installed with what this package needs, and with what this session has loaded."""
    if installing.on_tpu() and (plain := installing.installed("tensorflow")):
        raise FoundFault(f"This machine has a TPU, and tensorflow {plain} is installed, which cannot use it.", _INSTALL)
    if missing := installing.lacking("train"):
        found = (
            f"{installing.installed(name) or 'no'} {name} instead of {version}" for name, version in missing.items()
        )
        raise FoundFault(f"Installed: {', '.join(found)}.", _INSTALL)
    if replaced := installing.outdated("train"):
        found = (f"{name} {new} is installed and {old} loaded" for name, (old, new) in replaced.items())
        raise FoundFault(f"In this session {', '.join(found)}.", "Restart it.")
    runtime.check_versions()
    found = (f"{name} {version}" for name in _SHOWN if (version := installing.installed(name)))
    return f"Python {platform.python_version()}, {', '.join(found)}."


# --- the accelerator ------------------------------------------------------------------------------


def look_at_accelerator(case: Case) -> str:
    """Connect, which computes on each device."""
    case.connection = runtime.connect()
    if case.connection.faults:
        raise FoundFault(
            f"{case.connection.kind} x {case.connection.devices} is taken: {'; '.join(case.connection.faults)}.",
            "Restart the session, in Colab with Runtime > Disconnect and delete runtime, then ask again.",
        )
    return str(case.connection)


# --- storage --------------------------------------------------------------------------------------


def look_at_storage(case: Case) -> str:
    """Write, read back and delete a file in each place, and see whether there is room."""
    if not case.places:
        return "No run folder was named, so none was tried."
    needed = presets.find(case.config.task.preset).parameters * 1e6 * _BYTES_A_PARAMETER + _SLACK_BYTES
    places = [storage.address(place) for place in case.places]
    if any(storage.is_remote(place) or mounts.is_on_network(place) for place in places):
        places.append(str(workspace.cache_folder()))  # what is kept far away is worked on here
    found = [_try_place(place, needed) for place in places]
    return f"Written, read back and deleted: {', '.join(found)}. A run needs about {_size(needed)}."


def _try_place(place: str, needed: float) -> str:
    if not storage.is_remote(place) and Path(drive.FOLDER) in Path(place).parents and not drive.is_mounted():
        raise FoundFault(
            f"{place}: Drive is not mounted, so this would be on a disk that is deleted with the session.",
            "Run: from tfod_helpers import drive; drive.mount()",
        )
    name, data = f".tfod_helpers-probe-{os.getpid()}", os.urandom(_PROBE_BYTES)
    try:
        back = _round_trip_in_bucket(place, name, data) if storage.is_remote(place) else _round_trip(place, name, data)
    except OSError as error:
        fix = "" if storage.is_remote(place) else "Choose a folder that you may write to, on a disk with room."
        raise FoundFault(f"{place}: a file cannot be written there ({error}).", fix) from error
    if back != data:
        raise FoundFault(f"{place}: what was written there came back changed.", "Choose a folder on another disk.")
    if storage.is_remote(place):
        return place
    free = shutil.disk_usage(_existing(Path(place))).free
    if free < needed:
        raise FoundFault(
            f"{place}: {_size(free)} are free, and a run needs about {_size(needed)}.",
            "Delete something there, or choose a folder on another disk.",
        )
    return f"{place} ({_size(free)} free)"


def _round_trip_in_bucket(place: str, name: str, data: bytes) -> bytes:
    path = storage.join(place, name)
    storage.write_bytes(path, data)
    try:
        return storage.read_bytes(path)
    finally:
        storage.delete(path)


def _round_trip(place: str, name: str, data: bytes) -> bytes:
    folder = Path(place).absolute()
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # some disks say that they are full only here
        return (folder / name).read_bytes()
    finally:
        (folder / name).unlink(missing_ok=True)
        for one in new:  # it was only a try
            with contextlib.suppress(OSError):
                one.rmdir()


def _existing(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
