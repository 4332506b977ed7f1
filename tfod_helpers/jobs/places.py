"""What is where the machines will look: the records, the run folder, and how far their buckets are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tfod_helpers import records
from tfod_helpers.annotations import LabelMap
from tfod_helpers.bucket import machine
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import CARRIED
from tfod_helpers.files.storage.client import client
from tfod_helpers.files.storage.refusals import explained
from tfod_helpers.jobs import settings as settings_of
from tfod_helpers.presets import keys
from tfod_helpers.problems import Problem

_SHOWN = 5  # settings that a message lists


def problems(settings: Mapping[str, Any], run: str, region: str, allow_far: bool) -> Iterator[Problem]:
    """Look at the records, the run folder and their buckets; yield what would end a training, or make it dear.

    Args:
        settings: of the config.
        run: the address of the run folder.
        region: of the machines.
        allow_far: whether a bucket that is far from them is only worth a warning.

    Raises:
        OSError: a bucket cannot be reached.
    """
    found = {}
    for which, pattern in settings_of.records_of(settings).items():
        try:
            found[which] = records.of_pattern(pattern)
        except (FileNotFoundError, ValueError) as error:
            yield Problem(where=f"the {which} records", what=str(error).rstrip("."), fix="The machines need them.")
    classes = LabelMap(keys.flatten(settings)[keys.CLASS_NAMES])
    for which, one in found.items():
        if one.label_map != classes:
            what = f"they have the classes {one.label_map.describe()}, and the config {classes.describe()}"
            yield Problem(where=f"the {which} records", what=what, fix="Make the config again with experiment.make.")
    prints = {which: one.fingerprint for which, one in found.items()}
    yield from _of_run(settings, run, prints)
    yield from _far(settings, run, region, allow_far)


def _of_run(settings: Mapping[str, Any], run: str, fingerprints: Mapping[str, str]) -> Iterator[Problem]:
    """Yield why a run folder cannot take this training: it is another one's, or finished."""
    there = read_json(storage.join(run, "run.json"))
    if not there:
        return
    other = "Choose another run folder for this one."
    if there.get("weights_source") == CARRIED:
        yield Problem(where=run, what="it holds a model of an old program, and stays as it is", fix=other)
        return
    if not there.get("step"):
        return  # nothing is lost: a failed start may be corrected
    for which, fingerprint in fingerprints.items():
        before = there.get("data", {}).get(which, {}).get("fingerprint", fingerprint)
        if before != fingerprint:
            what = f"its {which} photos or labels are not those of this config"
            yield Problem(where=run, what=what, fix=other)
    text = storage.read_bytes(storage.join(run, "config.yaml"))
    changed = settings_of.differences(yaml.safe_load(text), settings, bool(there.get("finished")))
    if changed:
        listed = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in list(changed.items())[:_SHOWN])
        yield Problem(where=run, what=f"this run was made with other settings: {listed}", fix=other)
    elif there.get("finished"):
        what = f"this training is finished, at step {there['step']}, and there is nothing to pay machines for"
        yield Problem(where=run, what=what, fix=f"Evaluate it: training.evaluate({run!r}).")


def _far(settings: Mapping[str, Any], run: str, region: str, allow_far: bool) -> Iterator[Problem]:
    """Yield which buckets are far from the machines; as a warning, whose place this account may not see."""
    from google.api_core import exceptions as api

    for name in sorted({storage.bucket_and_name(one)[0] for one in (run, *settings_of.records_of(settings).values())}):
        where = f"gs://{name}"
        with explained(where, "Nothing was sent"):
            try:
                bucket = client().get_bucket(name)
            except api.Forbidden:
                what = f"this account may not look where it is, so that it may be far from {region}"
                fix = f"Ask its owner: gcloud storage buckets describe {where} --format='value(location)'"
                yield Problem(where=where, what=what, fix=fix, severity="warning")
                continue
        location = bucket.location.lower()
        if machine.is_near(region, location, bucket.data_locations):
            continue
        what = f"it is in {location}, far from the machines in {region}: each reads its photos from there, slowly, and "
        what += "bytes that leave a region cost money"
        fix = f"Give region={location!r}" if "-" in location else f"Make a bucket in {region} (bucket.ensure)"
        fix += ", or allow_far=True."
        yield Problem(where=where, what=what, fix=fix, severity="warning" if allow_far else "error")


def read_json(path: str) -> dict[str, Any]:
    """Return what a JSON file in a bucket says; nothing where there is none.

    Raises:
        ValueError: it is not JSON.
        OSError: it cannot be read.
    """
    try:
        text = storage.read_bytes(path)
    except FileNotFoundError:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{path}: not valid JSON ({error}). Restore an older version, or take another folder."
        ) from None
