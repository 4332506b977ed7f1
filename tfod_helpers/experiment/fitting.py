"""The dataset's size and boxes -> the settings that suit them, each with its reason."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfod_helpers import records
from tfod_helpers.annotations import LabelMap
from tfod_helpers.experiment.config import BATCH_SIZE, LEARNING_RATE, SIZE, STEPS
from tfod_helpers.presets import PHOTOS, Preset, anchors
from tfod_helpers.records import Records

ASPECTS, ANCHOR_SIZE = "task.model.anchor.aspect_ratios", "task.model.anchor.anchor_size"
MIRROR = "task.train_data.parser.aug_rand_hflip"

_FITS = 0.9  # share of the boxes that some anchor must overlap by half
_GAIN = 0.05  # of that share; for less, the preset's own settings stay
_LARGEST = 2.0  # times the preset's image size: twice the side is four times the time
_SCRATCH = 3.0  # times the preset's learning rate, which is for pretrained weights
_STEPS_RANGE = (0.5, 4.0)  # times the preset's
_SIDED = re.compile(r"(^|[^a-z])(left|right)([^a-z]|$)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """One setting that follows the data.

    Attributes:
        setting: its dotted name.
        value: what it is set to.
        why: a sentence.
    """

    setting: str
    value: Any
    why: str


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The boxes of a training set.

    Attributes:
        boxes_xyxy: float32, (n, 4), in pixels of their photos.
        sizes: (n, 2), width and height of the photo that each is in.
        counts: how many each class has.
    """

    boxes_xyxy: np.ndarray
    sizes: np.ndarray
    counts: dict[str, int]


def read_boxes(train: Records) -> Boxes:
    """Read the boxes of all records out of their index; the photos are not read."""
    names = list(train.label_map)
    boxes, sizes, labels = [np.zeros((0, 4), np.float32)], [np.zeros((0, 2))], [np.zeros(0, int)]
    for image in records.read_labels(train):
        boxes.append(image.boxes_xyxy)
        sizes.append(np.tile([image.width, image.height], (len(image.labels), 1)))
        labels.append(image.labels)
    counts = np.bincount(np.concatenate(labels), minlength=len(names) + 1)[1:]
    return Boxes(np.concatenate(boxes), np.concatenate(sizes), dict(zip(names, counts.tolist(), strict=True)))


def choose(preset: Preset, train: Records, of: Boxes, weights: str | None, given: set[str]) -> list[Chosen]:
    """Return the settings in which this data needs something other than the preset.

    Args:
        preset: the preset.
        train: the training records.
        of: their boxes.
        weights: what the model starts from; None for random values.
        given: settings that the user names; nothing is chosen for them.
    """
    chosen = [
        *_choose_shape(preset, of, given),
        *_choose_batch(preset, train),
        *_choose_steps(preset, train),
        *_choose_rate(preset, weights),
        *_choose_mirror(train.label_map),
    ]
    return [one for one in chosen if one.setting not in given]


def _choose_shape(preset: Preset, of: Boxes, given: set[str]) -> Iterator[Chosen]:
    """Choose anchors and image size so that anchors fit the boxes; the anchors first, since they cost nothing."""
    fit = _fit(preset, of)
    if not len(of.sizes) or fit >= _FITS or given & {SIZE, ASPECTS, ANCHOR_SIZE}:
        return
    for name, value, other in _variants(preset):
        better = _fit(other, of)
        if better >= fit + _GAIN:
            yield Chosen(
                name,
                value,
                f"with the preset's {fit:.0%} of your boxes have an anchor that overlaps them by half, so with "
                f"{better:.0%}; a box without one is rarely found",
            )
            preset, fit = other, better
        if fit >= _FITS:
            return


def _variants(preset: Preset) -> Iterator[tuple[str, Any, Preset]]:
    smaller = preset.anchor_size / 2
    yield ANCHOR_SIZE, smaller, dataclasses.replace(preset, anchor_size=smaller)
    stride = 2 ** preset.levels[1]
    size = preset.image_size
    while (size := size + stride * max(1, round(size / 4 / stride))) <= _LARGEST * preset.image_size:
        yield SIZE, [size, size, 3], dataclasses.replace(preset, image_size=size)


def _fit(preset: Preset, of: Boxes) -> float:
    if not len(of.sizes):
        return 1.0
    return float((anchors.best_overlap(of.boxes_xyxy, of.sizes, preset) >= 0.5).mean())


def _choose_batch(preset: Preset, train: Records) -> Iterator[Chosen]:
    if train.count < preset.batch_size:
        yield Chosen(BATCH_SIZE, train.count, f"there are only {train.count} training photos")


def _choose_steps(preset: Preset, train: Records) -> Iterator[Chosen]:
    # Twice the photos are not worth twice the steps: they share most of what there is to learn.
    factor = float(np.clip(math.sqrt(train.count / PHOTOS), *_STEPS_RANGE))
    steps = round(preset.train_steps * factor / 50) * 50
    if not 0.9 < factor < 1.1:
        yield Chosen(
            STEPS,
            steps,
            f"the preset's {preset.train_steps} are for about {PHOTOS} photos; with {train.count} they grow with the "
            f"square root of the number, between {_STEPS_RANGE[0]:g} and {_STEPS_RANGE[1]:g} times",
        )


def _choose_rate(preset: Preset, weights: str | None) -> Iterator[Chosen]:
    if weights is None:
        yield Chosen(
            LEARNING_RATE,
            _SCRATCH * preset.learning_rate,
            f"{_SCRATCH:g} times the preset's, since from random values there is nothing to lose by larger steps",
        )


def _choose_mirror(label_map: LabelMap) -> Iterator[Chosen]:
    sided = [name for name in label_map if _SIDED.search(name)]
    if sided:
        yield Chosen(
            MIRROR, False, f"a mirrored {sided[0]!r} would be called by the wrong name, so photos are not mirrored"
        )
