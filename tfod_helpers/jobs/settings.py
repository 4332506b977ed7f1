"""A config as machines elsewhere read it: a file of settings, its paths all in buckets; no TensorFlow.

A config object comes from `experiment`, which loads TensorFlow; its file is plain YAML, and so are the checks of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from tfod_helpers import presets
from tfod_helpers.files import storage
from tfod_helpers.presets import batches, keys
from tfod_helpers.problems import Problem

if TYPE_CHECKING:
    from tfod_helpers.experiment import ExperimentConfig

_WHERE = "config"
_PUBLISHED = ("imagenet", "coco")


def read(config: ExperimentConfig | storage.AnyPath) -> dict[str, Any]:
    """Return the settings of a config, or of the file that `experiment.save` made of one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file.
    """
    if not isinstance(config, str) and hasattr(config, "as_dict"):
        return yaml.safe_load(yaml.safe_dump(config.as_dict(), sort_keys=False))
    where = storage.address(config)
    try:
        found = yaml.safe_load(storage.read_bytes(where).decode())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{where}: not an experiment config ({error}). Give one that experiment.save wrote.") from None
    flat = keys.flatten(found) if isinstance(found, dict) else {}
    if keys.BATCH_SIZE not in flat or flat.get(keys.PRESET) not in presets.PRESETS:
        raise ValueError(f"{where}: not an experiment config that this version wrote. Write it with experiment.save.")
    return found


def write(settings: Mapping[str, Any]) -> bytes:
    """Return the file of a config, as `experiment.save` writes it."""
    return yaml.safe_dump(dict(settings), sort_keys=False).encode()


def records_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the patterns of the records: ``train`` and ``validation``."""
    flat = keys.flatten(settings)
    return {"train": flat[keys.TRAIN_RECORDS], "validation": flat[keys.VALIDATION_RECORDS]}


def problems(settings: Mapping[str, Any], run: str, replicas: int) -> Iterator[Problem]:
    """Yield why machines elsewhere could not train with a config, as far as it can be known without asking anybody.

    Args:
        settings: of the config.
        run: the address of the run folder.
        replicas: chips that take a part of each step, over all machines.
    """
    bucket = "gs://BUCKET/..."
    if not storage.is_remote(run) or not storage.bucket_and_name(run)[1]:
        what = f"{run!r} is no folder in a bucket, and the machines have to keep the run where all of them reach it"
        yield Problem(where="run", what=what, fix=f"Give one such as {bucket}; bucket.ensure makes a bucket.")
    flat = keys.flatten(settings)
    for which, pattern in records_of(settings).items():
        if not storage.is_remote(pattern):
            key = keys.TRAIN_RECORDS if which == "train" else keys.VALIDATION_RECORDS
            fix = f"Write them there, with records.write(..., '{bucket}'), or storage.upload_folder, and make the "
            fix += "config of those: experiment.with_records."
            yield Problem(where=_WHERE, object=key, what=f"{pattern!r} is not in a bucket", fix=fix)
    weights = flat.get(keys.WEIGHTS)
    if weights and weights not in _PUBLISHED and not storage.is_remote(weights):
        what = f"{weights!r} is on this machine, and others cannot read it"
        fix = f"Copy it into the bucket (gcloud storage cp --recursive {weights} {bucket}) and give that address."
        yield Problem(where=_WHERE, object=keys.WEIGHTS, what=what, fix=fix)
    if words := batches.uneven(flat[keys.BATCH_SIZE], replicas):
        fix = "Change it with experiment.change, which takes learning rate and steps along, or take other machines."
        yield Problem(where=_WHERE, object=keys.BATCH_SIZE, what=words, fix=fix)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], finished: bool) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which a run's config and another one differ so that the run cannot go on."""
    old, new = keys.flatten(before), keys.flatten(now)
    other_batch = old.get(keys.BATCH_SIZE) != new.get(keys.BATCH_SIZE)
    free = keys.free_on_resume(other_batch=other_batch, finished=finished)
    names = [name for name in new if name in old and name not in free]
    return {name: (old[name], new[name]) for name in names if old[name] != new[name]}
