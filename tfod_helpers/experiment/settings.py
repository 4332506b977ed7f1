"""Records + a preset -> an ExperimentConfig; strict changes to it; what differs from the preset."""

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
from tfod_helpers.experiment import fitting
from tfod_helpers.experiment.config import (
    BATCH_SIZE,
    LEARNING_RATE,
    SIZE,
    STEPS,
    WARMUP_STEPS,
    ExperimentConfig,
    flatten,
    following,
    from_preset,
    nest,
)
from tfod_helpers.files import storage
from tfod_helpers.problems import did_you_mean
from tfod_helpers.records import Records

_DATA = ("task.class_names", "task.train_images", "task.validation_images", "task.model.num_classes", "task.reasons")
_PATHS = ("task.train_data.input_path", "task.validation_data.input_path")
_DATA += (*_PATHS, "task.train_data.parser.max_num_instances")


def make(
    preset: str,
    *,
    train: Records,
    validation: Records,
    image_size: int | None = None,
    batch_size: int | None = None,
    train_steps: int | None = None,
    learning_rate: float | None = None,
    augmentation: str | None = None,
    minutes: float | None = None,
    weights: str | os.PathLike[str] | None = "imagenet",
) -> ExperimentConfig:
    """Return the settings of one experiment: the preset's, fitted to the data. `explain` says what was chosen and why.

    Args:
        preset: a name from `presets()`.
        train: the records to learn from; their boxes are read.
        validation: the records to be judged on, never learnt from.
        image_size: side of the model's square input in pixels, a multiple of the coarsest stride; left out, the
            preset's, or larger where the objects are too small for it.
        batch_size: images a step, over all devices together.
        train_steps: steps in all; left out, they follow the number of photos.
        learning_rate: the highest one; left out, the preset's, scaled to the batch size.
        augmentation: how strongly training images vary: ``light``, ``standard`` or ``strong``; left out, the preset's.
        minutes: the time that training may take; the number of steps is then fitted to it.
        weights: ``imagenet``, ``coco``, the folder of an earlier run, or None to train from scratch.

    Raises:
        ValueError: there is no such preset, the records have different label maps or a class without an example, or
            a number cannot be used.
    """
    config = from_preset(preset)
    config.task.weights = None if weights is None else os.fspath(weights)
    wanted = {
        SIZE: [image_size, image_size, 3] if image_size else None,
        BATCH_SIZE: batch_size,
        STEPS: train_steps,
        LEARNING_RATE: learning_rate,
        "trainer.minutes": None if minutes is None else float(minutes),
    }
    settings = {key: value for key, value in wanted.items() if value is not None}
    if augmentation is not None:
        settings |= _augmentation(augmentation)
    boxes = _check_records(train, validation)
    chosen = fitting.choose(presets.find(preset), train, boxes, config.task.weights, set(settings))
    fitted = {one.setting: one.value for one in chosen}
    # Steps and rate are chosen for the preset's batch, and follow another one like the preset's own.
    config = change(config, {key: fitted.pop(key) for key in (STEPS, LEARNING_RATE) if key in fitted})
    config = change(_with_data(config, train, validation), fitted | settings)
    config.task.reasons = [f"{one.setting} = {flatten(config)[one.setting]}: {one.why}" for one in chosen]
    return config


def with_records(config: ExperimentConfig, *, train: Records, validation: Records) -> ExperimentConfig:
    """Return a copy of a config that trains on other records, all other settings as they were.

    For a config without data, such as one that was read from an older program's file.

    Raises:
        ValueError: the records have different label maps, a class without an example, or do not fit the settings.
    """
    _check_records(train, validation)
    before = config.task.model.num_classes - 1
    if before > 0 and before != len(train.label_map):
        print(f"The config was for {before} classes; the records have {len(train.label_map)}, and they are taken.")
    changed = _with_data(copy.deepcopy(config), train, validation)
    _check(changed)
    return changed


def augment(config: ExperimentConfig, strength: str) -> ExperimentConfig:
    """Return a copy of a config with another augmentation: ``light``, ``standard`` or ``strong``."""
    return change(config, _augmentation(strength))


def _augmentation(strength: str) -> dict[str, Any]:
    if strength not in presets.AUGMENTATIONS:
        known = ", ".join(presets.AUGMENTATIONS)
        near = did_you_mean(strength, presets.AUGMENTATIONS)
        raise ValueError(f"There is no augmentation {strength!r}, only {known}{near}")
    return presets.AUGMENTATIONS[strength]


def _check_records(train: Records, validation: Records) -> fitting.Boxes:
    if train.label_map != validation.label_map:
        raise ValueError(
            f"The records have different classes: training {train.label_map.describe()}; validation "
            f"{validation.label_map.describe()}. Read both with the same label_map and write them again."
        )
    if not validation.boxes:
        raise ValueError(
            f"{validation.pattern}: no object in these records, so no model can be judged on them. Label some photos."
        )
    boxes = fitting.read_boxes(train)
    missing = [name for name, count in boxes.counts.items() if not count]
    if missing:
        raise ValueError(
            f"{train.pattern}: no example of {', '.join(map(repr, missing[:10]))} in the training records, so it "
            f"cannot be learnt. Label some, or read the annotations with a label map without it."
        )
    return boxes


def _with_data(config: ExperimentConfig, train: Records, validation: Records) -> ExperimentConfig:
    task = config.task
    task.class_names = list(train.label_map)
    task.model.num_classes = len(train.label_map) + 1  # and the background
    task.train_images, task.validation_images = train.count, validation.count
    task.train_data.input_path, task.validation_data.input_path = train.pattern, validation.pattern
    task.train_data.parser.max_num_instances = max(train.max_boxes, 1)
    return config


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
    if BATCH_SIZE in settings and settings[BATCH_SIZE] > 0:
        ratio = settings[BATCH_SIZE] / old[BATCH_SIZE]
        wanted.setdefault(LEARNING_RATE, old[LEARNING_RATE] * math.sqrt(ratio))
        wanted.setdefault(STEPS, max(1, round(old[STEPS] / ratio)))
    if STEPS in wanted:
        wanted = following(wanted[STEPS]) | wanted
    changed = copy.deepcopy(config)
    changed.override(nest(wanted))
    _check(changed)
    return changed


def changes(config: ExperimentConfig) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the preset: name -> (the preset's value, this config's)."""
    found = differences(from_preset(config.task.preset), config)
    return {name: pair for name, pair in found.items() if name not in _DATA}


def differences(config: ExperimentConfig, other: ExperimentConfig) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two configs differ: name -> (the first's value, the second's).

    Of a path only the last part counts, so that a moved folder makes no difference.
    """
    old, new = flatten(config), flatten(other)
    names = [name for name in new if name in old]
    for name in _PATHS:
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
        config = from_preset(settings["task"]["preset"])
        config.override(settings)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"{where}: there is no experiment config here. Check the path.") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: not an experiment config that this version wrote ({error}).") from error
    return config


def _check(config: ExperimentConfig) -> None:
    model, stride = config.task.model, 2**config.task.model.max_level
    height, width = model.input_size[:2]
    if height != width or height < stride or height % stride:
        near = max(stride, round(height / stride) * stride)
        raise ValueError(
            f"image_size {height} does not fit pyramid levels {model.min_level} to {model.max_level}: it must be "
            f"square and a multiple of {stride}. Use {near}."
        )
    flat = flatten(config)
    for key in (BATCH_SIZE, STEPS):
        if flat[key] < 1:
            raise ValueError(f"{key} must be at least 1, got {flat[key]}.")
    if not flat[LEARNING_RATE] > 0:  # also refuses NaN
        raise ValueError(f"The learning rate must be above 0, got {flat[LEARNING_RATE]}.")
    if flat[STEPS] <= flat[WARMUP_STEPS] and flat[STEPS] > 1:
        raise ValueError(
            f"{STEPS} is {flat[STEPS]}, not more than the {flat[WARMUP_STEPS]} steps of warm-up, so the full learning "
            f"rate would never be reached. Train for more steps, or lower {WARMUP_STEPS}."
        )
    if config.task.train_images and flat[BATCH_SIZE] > config.task.train_images:
        raise ValueError(
            f"{BATCH_SIZE} is {flat[BATCH_SIZE]}, and there are only {config.task.train_images} training photos. "
            f"Use at most {config.task.train_images}."
        )
    if flat["trainer.minutes"] < 0 or flat["trainer.patience"] < 0:
        raise ValueError("trainer.minutes and trainer.patience must not be below 0; 0 turns them off.")


def _check_type(key: str, old: Any, new: Any) -> None:
    number = isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool)
    if old is not None and new is not None and not number and type(old) is not type(new):
        raise TypeError(f"{key} must be {type(old).__name__}, got {new!r}.")
