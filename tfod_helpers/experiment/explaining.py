"""An experiment config in plain words: what was chosen, and why."""

from __future__ import annotations

import os
from typing import Any

from tfod_helpers import presets
from tfod_helpers.experiment.config import OF_RUN, ExperimentConfig, flatten
from tfod_helpers.experiment.settings import changes
from tfod_helpers.presets import keys, mirroring, resizing
from tfod_helpers.presets.models import FPN, GARDEN, SSD_FPN, SSD_MAPS

_STRETCHED = {
    resizing.STRETCH: " Each photo is stretched to the whole square.",
    resizing.STRETCH_BILINEAR: " Each photo is stretched to the whole square, as the Object Detection API did it, "
    "without averaging.",
}


def explain(config: ExperimentConfig) -> str:
    """Return in plain words what a config will do, what was chosen for the data and why, and what you changed.

    Args:
        config: from `make` or `change`.
    """
    flat = flatten(config)
    chosen = {one.setting: one for one in config.task.reasons if flat[one.setting] == one.value}
    settled = {*chosen, *keys.FOLLOWING_STEPS}
    yours = {name: pair for name, pair in changes(config).items() if name not in settled}
    parts = [*_model(config), *_training(config, flat), *_augmentation(config)]
    lists = {
        "Chosen for your data:": [f"{n} = {one.value}: {one.why}." for n, one in chosen.items() if one.why != OF_RUN],
        f"Otherwise than in the preset, {OF_RUN}:": [f"{n} = {o.value}" for n, o in chosen.items() if o.why == OF_RUN],
        "Changed by you:": [f"{name}: {old!r} -> {new!r}" for name, (old, new) in yours.items()],
    }
    for heading, lines in lists.items():
        if lines:
            parts += ["", heading, *(f"- {line}" for line in lines)]
    return "\n".join(parts)


def _model(config: ExperimentConfig) -> list[str]:
    task, preset = config.task, presets.find(config.task.preset)
    names = task.class_names
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    stretched = _STRETCHED.get(task.resize, "")
    lines = [
        f"{task.preset}: {preset.purpose}.",
        f"The model sees squares of {task.model.input_size[0]} pixels and tells {len(names)} "
        f"class{'es' * (len(names) != 1)} apart: {shown}.{stretched}",
    ]
    match task.weights:
        case None:
            start = "It starts from random values, so it needs many steps and photos."
        case "imagenet" | "coco":
            known = "a million photos (ImageNet)" if task.weights == "imagenet" else "the photos of COCO"
            frozen = f"; what they see first, up to stride {task.frozen_stride}, stays" if task.frozen_stride else ""
            start = f"It starts from weights that have seen {known}{frozen}."
        case path:
            start = f"It starts from the weights in {os.path.basename(path) or path}."
    return [*lines, *_origin(config), start]


def _origin(config: ExperimentConfig) -> list[str]:
    """Return whose network it is in its details, where it is not the Model Garden's, so that others' weights fit it."""
    task, pyramid = config.task, config.task.model.decoder.type
    details = {
        "values are normalized": (task.normalization, "imagenet"),
        "a ResNet's strided convolutions pad": (task.padding, "same"),
        "anchors are placed": (task.anchor_layout, GARDEN),
        "the pyramid is built": (pyramid if pyramid in (SSD_FPN, SSD_MAPS) else FPN, FPN),
    }
    told = [f"{words} as {value!r} says" for words, (value, usual) in details.items() if value != usual]
    return [f"Its network is another program's, so that weights trained there fit it: {', '.join(told)}."] * bool(told)


def _training(config: ExperimentConfig, flat: dict[str, Any]) -> list[str]:
    task, steps, batch, rate = config.task, flat[keys.STEPS], flat[keys.BATCH_SIZE], flat[keys.LEARNING_RATE]
    seen = steps * batch / max(task.train_images, 1)
    lines = [
        f"It trains on {task.train_images} photos, {batch} a step, for {steps} steps: each is seen {seen:.0f} times.",
        f"The learning rate rises to {rate:.2g} in {flat[keys.WARMUP_STEPS]} steps and then falls to 0.",
    ]
    if config.trainer.minutes:
        lines.append(f"After its first steps their number is fitted to {config.trainer.minutes:g} minutes.")
    times = -(-steps // config.trainer.validation_interval)
    lines.append(
        f"It is evaluated {times} times on {task.validation_images} photos that it never trains on; the best is kept."
    )
    if config.trainer.patience:
        lines.append(f"It ends early after {config.trainer.patience} of them without a better AP.")
    return lines


def _augmentation(config: ExperimentConfig) -> list[str]:
    parser = config.task.train_data.parser
    parts = [f"shown {parser.aug_scale_min:g} to {parser.aug_scale_max:g} times as large"]
    if parser.aug_rand_hflip:
        swapped = mirroring.opposites(config.task.class_names)
        though = f", which makes {', '.join(map(repr, list(swapped)[:4]))} wrong" if swapped else ""
        parts.append(f"mirrored half of the time{though}")
    if parser.aug_aspect > 1:
        parts.append(f"stretched by up to {parser.aug_aspect - 1:.0%}")
    if parser.aug_color:
        parts.append(f"coloured by up to {parser.aug_color:.0%}")
    if parser.aug_mosaic:
        parts.append(f"put together four at a time in {parser.aug_mosaic:.0%} of the images")
    return [f"Each time, photos vary: {', '.join(parts)}."]
