"""Strict changes to a config, what differs from its preset, and the file that keeps it."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfod_helpers import presets
from tfod_helpers.annotations import LabelMap
from tfod_helpers.experiment.config import ExperimentConfig, assign, flatten, from_preset, without_facts
from tfod_helpers.files import storage
from tfod_helpers.presets import keys, resizing
from tfod_helpers.presets.models import DETAILS, SSD_MAPS
from tfod_helpers.problems import did_you_mean


def augment(config: ExperimentConfig, strength: str) -> ExperimentConfig:
    """Return a copy of a config with another augmentation: ``light``, ``standard`` or ``strong``."""
    return change(config, augmentation(strength))


def augmentation(strength: str) -> dict[str, Any]:
    """Return the settings of an augmentation by its name.

    Raises:
        ValueError: there is none of this name; the message names the nearest.
    """
    if strength not in presets.AUGMENTATIONS:
        known = ", ".join(presets.AUGMENTATIONS)
        near = did_you_mean(strength, presets.AUGMENTATIONS)
        raise ValueError(f"There is no augmentation {strength!r}, only {known}{near}")
    return presets.AUGMENTATIONS[strength]


def change(config: ExperimentConfig, settings: Mapping[str, Any]) -> ExperimentConfig:
    """Return a copy of a config with some settings changed.

    A new batch size brings along the learning rate (times the square root of the ratio, the rule for
    Adam of Malladi et al. 2022, https://arxiv.org/abs/2205.10287) and the number of steps (the same
    number of images is seen); a new number of steps brings along warm-up, decay and the intervals.
    What ``settings`` names is taken as it is.

    Args:
        config: the config to start from; it stays as it is.
        settings: dotted names and their new values, such as ``{"task.train_data.parser.aug_color": 0.2}``.

    Raises:
        TypeError: a value is not of the setting's type.
        ValueError: there is no such setting (the message names the nearest), or the settings do not fit each other.
    """
    old = flatten(config)
    for key, value in settings.items():
        if key not in old:
            raise ValueError(f"There is no setting {key!r}{did_you_mean(key, old)}")
        _check_type(key, old[key], value)
    wanted = dict(settings)
    if keys.BATCH_SIZE in settings and settings[keys.BATCH_SIZE] > 0:
        ratio = settings[keys.BATCH_SIZE] / old[keys.BATCH_SIZE]
        wanted.setdefault(keys.LEARNING_RATE, old[keys.LEARNING_RATE] * math.sqrt(ratio))
        wanted.setdefault(keys.STEPS, max(1, round(old[keys.STEPS] / ratio)))
    if keys.STEPS in wanted:
        wanted = keys.following(wanted[keys.STEPS]) | wanted
    changed = copy.deepcopy(config)
    assign(changed, wanted)
    if {keys.TRAIN_RECORDS, keys.VALIDATION_RECORDS} & set(wanted):
        _refuse_same_records(flatten(changed))
    check(changed)
    return changed


def changes(config: ExperimentConfig) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the preset: name -> (the preset's value, this config's)."""
    found = differences(from_preset(config.task.preset), config)
    return {name: pair for name, pair in found.items() if name not in keys.DATA}


def differences(config: ExperimentConfig, other: ExperimentConfig) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two configs differ: name -> (the first's value, the second's).

    Of a path only the last part counts, so that a moved folder makes no difference.
    """
    old, new = flatten(config), flatten(other)
    names = [name for name in new if name in old]
    for name in (keys.TRAIN_RECORDS, keys.VALIDATION_RECORDS):
        if os.path.basename(old[name]) == os.path.basename(new[name]):
            names.remove(name)
    return {name: (old[name], new[name]) for name in names if old[name] != new[name]}


def label_map(config: ExperimentConfig) -> LabelMap:
    """Return the classes that the config's model tells apart."""
    return LabelMap(config.task.class_names)


def save(config: ExperimentConfig, path: str | os.PathLike[str]) -> Path:
    """Write every setting as YAML, whole or not at all."""
    with storage.whole_file(path) as part:
        part.write_text(yaml.safe_dump(config.as_dict(), sort_keys=False), encoding="utf-8")
    return Path(path)


def load(path: str | os.PathLike[str]) -> ExperimentConfig:
    """Read a config that `save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not such a config; the message says where.
    """
    where = storage.address(path)
    try:
        settings = yaml.safe_load(storage.read_bytes(path).decode())
        config = without_facts(settings["task"]["preset"])
        config.override(settings)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"{where}: there is no experiment config here. Check the path.") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: not an experiment config that this version wrote ({error}).") from error
    return config


def check(config: ExperimentConfig) -> None:
    """Refuse settings that do not fit each other or the data.

    Raises:
        ValueError: the message says which, and what to use.
    """
    model = config.task.model
    stride = presets.side_step(model.decoder.type, model.max_level)
    height, width = model.input_size[:2]
    if height != width or height < stride or height % stride:
        near = max(stride, round(height / stride) * stride)
        raise ValueError(
            f"image_size {height} does not fit pyramid levels {model.min_level} to {model.max_level}: it must be "
            f"square and a multiple of {stride}. Use {near}."
        )
    resizing.check(config.task.resize)
    flat, photos = flatten(config), config.task.train_images
    for key, known in DETAILS.items():
        if flat[key] not in known:
            near = did_you_mean(flat[key], known)
            raise ValueError(f"{key} must be one of {', '.join(map(repr, known))}, got {flat[key]!r}{near}")
    if (model.decoder.type == SSD_MAPS) != (config.task.anchor_layout == SSD_MAPS):
        raise ValueError(
            f"task.anchor_layout is {config.task.anchor_layout!r} and task.model.decoder.type {model.decoder.type!r}: "
            f"{SSD_MAPS!r} goes with nothing but itself. Leave both as the preset has them."
        )
    batch, steps, warmup = flat[keys.BATCH_SIZE], flat[keys.STEPS], flat[keys.WARMUP_STEPS]
    for key in (keys.BATCH_SIZE, keys.STEPS, keys.LEARNING_RATE):
        if not flat[key] > 0:  # also refuses NaN
            raise ValueError(f"{key} must be above 0, got {flat[key]}.")
    if 1 < steps <= warmup:
        raise ValueError(
            f"{keys.STEPS} is {steps}, not more than the {warmup} steps of warm-up, so the full learning rate would "
            f"never be reached. Train for more steps, or lower {keys.WARMUP_STEPS}."
        )
    if photos and batch > photos:
        raise ValueError(
            f"{keys.BATCH_SIZE} is {batch}, and there are only {photos} training photos. Use at most {photos}."
        )
    if config.trainer.minutes < 0 or config.trainer.patience < 0:
        raise ValueError(f"{keys.MINUTES} and {keys.PATIENCE} must not be below 0; 0 turns them off.")


def _refuse_same_records(flat: Mapping[str, Any]) -> None:
    if flat[keys.TRAIN_RECORDS] == flat[keys.VALIDATION_RECORDS]:
        raise ValueError(
            f"{keys.TRAIN_RECORDS} and {keys.VALIDATION_RECORDS} are the same, {flat[keys.TRAIN_RECORDS]!r}: a score "
            f"on what was trained on says nothing. Give records of other photos to evaluate on."
        )


def _check_type(key: str, old: Any, new: Any) -> None:
    number = isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool)
    if old is not None and new is not None and not number and type(old) is not type(new):
        raise TypeError(f"{key} must be {type(old).__name__}, got {new!r}.")
