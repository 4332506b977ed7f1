"""The names of the settings of an experiment config: the dotted ones, and those that more than one module uses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PRESET = "task.preset"
CLASS_NAMES = "task.class_names"
TRAIN_IMAGES, VALIDATION_IMAGES = "task.train_images", "task.validation_images"
WEIGHTS, FROZEN_STRIDE = "task.weights", "task.frozen_stride"
REASONS = "task.reasons"

RESIZE = "task.resize"
IMAGE_SIZE, NUM_CLASSES, MAX_LEVEL = "task.model.input_size", "task.model.num_classes", "task.model.max_level"
ANCHOR_SIZE, ASPECT_RATIOS = "task.model.anchor.anchor_size", "task.model.anchor.aspect_ratios"
LARGEST_ANCHOR = "task.model.anchor.largest_anchor"

TRAIN_RECORDS, VALIDATION_RECORDS = "task.train_data.input_path", "task.validation_data.input_path"
BATCH_SIZE, SEED = "task.train_data.global_batch_size", "task.train_data.seed"
MAX_BOXES = "task.train_data.parser.max_num_instances"
FLIP = "task.train_data.parser.aug_rand_hflip"
SCALE_MIN, SCALE_MAX = "task.train_data.parser.aug_scale_min", "task.train_data.parser.aug_scale_max"
ASPECT, COLOR = "task.train_data.parser.aug_aspect", "task.train_data.parser.aug_color"
MOSAIC = "task.train_data.parser.aug_mosaic"

STEPS, MINUTES, PATIENCE = "trainer.train_steps", "trainer.minutes", "trainer.patience"
LEARNING_RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
DECAY_STEPS = "trainer.optimizer_config.learning_rate.cosine.decay_steps"
WARMUP_STEPS = "trainer.optimizer_config.warmup.linear.warmup_steps"
AVERAGE_DECAY = "trainer.average_decay"
VALIDATION_INTERVAL, CHECKPOINT_INTERVAL = "trainer.validation_interval", "trainer.checkpoint_interval"
SUMMARY_INTERVAL, STEPS_PER_LOOP = "trainer.summary_interval", "trainer.steps_per_loop"

EVALUATIONS = 6  # of a training, evenly spaced; each costs about as much as fifty steps


def following(train_steps: int) -> dict[str, float]:
    """Return the settings that follow the number of steps."""
    interval = max(1, math.ceil(train_steps / EVALUATIONS))
    return {
        DECAY_STEPS: train_steps,
        WARMUP_STEPS: max(1, min(100, train_steps // 20)),
        # Over about the last tenth of the steps.
        AVERAGE_DECAY: min(0.999, max(0.0, 1 - 10 / max(train_steps, 1))),
        VALIDATION_INTERVAL: interval,
        CHECKPOINT_INTERVAL: interval,
        STEPS_PER_LOOP: min(20, interval),
        SUMMARY_INTERVAL: min(20, interval),
    }


FOLLOWING_STEPS = tuple(following(1))
# A batch of another size brings these along.
FOLLOWING_BATCH = (BATCH_SIZE, LEARNING_RATE, STEPS, REASONS, *FOLLOWING_STEPS)


def free_on_resume(*, other_batch: bool, finished: bool) -> set[str]:
    """Return the settings in which a config may differ from that of the run that goes on with it.

    Records are told apart by what is in them, and not by where they lie.

    Args:
        other_batch: whether the batch is of another size now.
        finished: whether the training is; one that is not may go on in batches of another size.
    """
    free = {TRAIN_RECORDS, VALIDATION_RECORDS}
    return free | set(FOLLOWING_BATCH) if other_batch and not finished else free


# They follow the data, and are no choice.
DATA = (
    CLASS_NAMES,
    NUM_CLASSES,
    TRAIN_IMAGES,
    VALIDATION_IMAGES,
    TRAIN_RECORDS,
    VALIDATION_RECORDS,
    MAX_BOXES,
    REASONS,
)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names.

    Args:
        settings: name -> value, or a dictionary of more of them; an empty one counts as a value.
        prefix: what each name begins with.
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        nested = isinstance(value, dict) and value
        flat |= flatten(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat
