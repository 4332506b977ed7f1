"""Records + a preset -> an ExperimentConfig that fits the data."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from tfod_helpers import presets
from tfod_helpers.experiment import fitting, settings
from tfod_helpers.experiment.config import OF_RUN, ExperimentConfig, KnownAs, Reason, flatten, from_preset
from tfod_helpers.experiment.settings import change, check
from tfod_helpers.files.run_folder import Run, reading
from tfod_helpers.presets import keys, resizing
from tfod_helpers.records import Records, counted, in_both


def make(
    preset: str,
    *,
    train: Records,
    validation: Records,
    image_size: int | None = None,
    resize: str = resizing.LETTERBOX,
    batch_size: int | None = None,
    train_steps: int | None = None,
    learning_rate: float | None = None,
    augmentation: str | None = None,
    minutes: float | None = None,
    weights: str | os.PathLike[str] | None = "imagenet",
    known_as: Mapping[str, str] | None = None,
) -> ExperimentConfig:
    """Return the settings of one experiment: the preset's, fitted to the data. `explain` says what was chosen and why.

    Args:
        preset: a name from `presets()`.
        train: the records to train on; their boxes are read.
        validation: the records to evaluate on, never trained on.
        image_size: side of the model's square input in pixels, a multiple of the coarsest stride; left out, the
            preset's, or larger where the objects are too small for it.
        resize: how a photo becomes that square: ``letterbox`` scales it to fit and pads the rest; ``stretch`` scales
            it to the whole square, each axis by its own factor, as phone apps with MediaPipe Tasks do;
            ``stretch_bilinear`` as the Object Detection API did. An export remembers it.
        batch_size: images a step, over all devices together.
        train_steps: steps in all; left out, they follow the number of photos, and are half as many from a whole
            detector, COCO's or a run's.
        learning_rate: the highest one; left out, the preset's, scaled to the batch size.
        augmentation: how strongly training images vary: ``light``, ``standard`` or ``strong``; left out, the preset's.
        minutes: the time that training may take; the number of steps is then fitted to it.
        weights: ``imagenet``, ``coco``, the folder of an earlier run, or None to train from scratch. Of COCO's weights
            and a run's the class outputs are taken too, for classes that they know by the same name.
        known_as: what some of your classes are called there, such as ``{"kitty": "cat"}``.

    Raises:
        ValueError: there is no such preset or no such way to resize, the records share a photo, have different label
            maps or a class without an example, or a number cannot be used.
    """
    config = from_preset(preset)
    given = {
        keys.IMAGE_SIZE: [image_size, image_size, 3] if image_size else None,
        keys.RESIZE: resizing.check(resize),
        keys.WEIGHTS: None if weights is None else os.fspath(weights),
    }
    choices = _choices(batch_size, train_steps, learning_rate, augmentation, minutes)
    return _fitted(config, train, validation, given | choices, known_as)


def from_run(
    run: str | os.PathLike[str] | Run,
    *,
    train: Records,
    validation: Records,
    batch_size: int | None = None,
    train_steps: int | None = None,
    learning_rate: float | None = None,
    augmentation: str | None = None,
    minutes: float | None = None,
    known_as: Mapping[str, str] | None = None,
) -> ExperimentConfig:
    """Return the settings that train a run's model on, for other photos, also of other classes.

    The network is the run's own, and its best model gives the first weights: all of them for the same classes, else
    those of the classes that it knows by the same name. The schedule is the preset's, fitted to the new photos.

    Args:
        run: the run folder, local, on Drive or ``gs://``; one of `training.train`, or carried over from an old program.
        train: the records to train on; their boxes are read.
        validation: the records to evaluate on, never trained on.
        batch_size: images a step, over all devices together.
        train_steps: steps in all; left out, they follow the number of photos, half as many as from a backbone alone.
        learning_rate: the highest one; left out, the preset's, scaled to the batch size.
        augmentation: ``light``, ``standard`` or ``strong``; left out, the preset's.
        minutes: the time that training may take; the number of steps is then fitted to it.
        known_as: what some of your classes are called in the run.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: as `make`.
    """
    with reading(run) as found:
        old = settings.load(found.config_path)
    config = from_preset(old.task.preset)
    for name in ("model", "resize", "normalization", "padding", "strides_first", "anchor_layout"):
        setattr(config.task, name, copy.deepcopy(getattr(old.task, name)))
    own = [Reason(setting=name, value=value, why=OF_RUN) for name, (_, value) in settings.changes(config).items()]
    given = {keys.IMAGE_SIZE: list(old.task.model.input_size), keys.WEIGHTS: str(found)}
    choices = _choices(batch_size, train_steps, learning_rate, augmentation, minutes)
    fitted = _fitted(config, train, validation, given | choices, known_as)
    fitted.task.reasons = [*fitted.task.reasons, *own]
    return fitted


def _choices(
    batch_size: int | None,
    train_steps: int | None,
    learning_rate: float | None,
    augmentation: str | None,
    minutes: float | None,
) -> dict[str, Any]:
    """Return what a person chose of a training, None where they did not, by the names of the settings."""
    choices = {
        keys.BATCH_SIZE: batch_size,
        keys.STEPS: train_steps,
        keys.LEARNING_RATE: learning_rate,
        keys.MINUTES: None if minutes is None else float(minutes),
    }
    return choices | (settings.augmentation(augmentation) if augmentation is not None else {})


def _fitted(
    config: ExperimentConfig,
    train: Records,
    validation: Records,
    choices: Mapping[str, Any],
    known_as: Mapping[str, str] | None,
) -> ExperimentConfig:
    """Return a preset's config fitted to the data, and to what a person chose: what is None they did not."""
    config.task.weights = choices[keys.WEIGHTS]
    config.task.known_as = [KnownAs(name=name, theirs=theirs) for name, theirs in (known_as or {}).items()]
    given = {key: value for key, value in choices.items() if value is not None}
    boxes = _check_records(train, validation)
    model = dataclasses.replace(presets.find(config.task.preset), resize=given.get(keys.RESIZE, config.task.resize))
    reasons = fitting.choose(model, train, boxes, config.task.weights, set(given))
    fitted = {one.setting: one.value for one in reasons}
    # Steps and rate are chosen for the preset's batch, and follow another one like the preset's own.
    config = change(config, {key: fitted.pop(key) for key in (keys.STEPS, keys.LEARNING_RATE) if key in fitted})
    config = change(_with_data(config, train, validation), fitted | given)
    flat = flatten(config)
    config.task.reasons = [one.replace(value=flat[one.setting]) for one in reasons]
    return config


def with_records(config: ExperimentConfig, *, train: Records, validation: Records | None) -> ExperimentConfig:
    """Return a copy of a config that trains on other records, all other settings as they were.

    For a config without data, such as one that was read from an older program's file.

    Args:
        config: the settings; they stay as they are.
        train: the records to train on.
        validation: the records to evaluate on. None evaluates on the training photos themselves, which says whether
            the model can learn them at all, and nothing about other photos.

    Raises:
        ValueError: the records share a photo, have different label maps, a class without an example, or do not fit
            the settings.
    """
    _check_records(train, validation)
    changed = _with_data(copy.deepcopy(config), train, validation or train)
    check(changed)
    return changed


def _check_records(train: Records, validation: Records | None) -> fitting.Boxes:
    if validation is not None:
        _check_validation(train, validation)
    boxes = fitting.read_boxes(train)
    missing = [name for name, count in boxes.counts.items() if not count]
    if missing:
        raise ValueError(
            f"{train.pattern}: no example of {', '.join(map(repr, missing[:10]))} in the training records, so it "
            f"cannot be trained. Label some, or read the annotations with a label map without it."
        )
    return boxes


def _check_validation(train: Records, validation: Records) -> None:
    if train.label_map != validation.label_map:
        raise ValueError(
            f"The records have different classes: training {train.label_map.describe()}; validation "
            f"{validation.label_map.describe()}. Read both with the same label_map and write them again."
        )
    if not counted(validation):
        raise ValueError(
            f"{validation.pattern}: no object in these records counts in a score, as crowds and difficult ones do not, "
            f"so no model can be evaluated. Label some photos."
        )
    if shared := in_both(train, validation):
        raise ValueError(
            f"{validation.pattern}: {len(shared)} of the {validation.count} validation photos are training photos too, "
            f"such as {shared[0]!r}, so a score would say how well they are remembered, not how well others are "
            f"detected. Divide the photos with train_and_validation() of their dataset and write both records again; "
            f"checks.mend takes photos that are in both out of the training set."
        )


def _with_data(config: ExperimentConfig, train: Records, validation: Records) -> ExperimentConfig:
    task = config.task
    task.class_names = list(train.label_map)
    task.model.num_classes = len(train.label_map) + 1  # and the background
    task.train_images, task.validation_images = train.count, validation.count
    task.train_data.input_path, task.validation_data.input_path = train.pattern, validation.pattern
    task.train_data.parser.max_num_instances = max(train.max_boxes, 1)
    return config
