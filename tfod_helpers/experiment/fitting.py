"""The dataset's size and boxes -> the settings that suit them, each with its reason."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from tfod_helpers import records
from tfod_helpers.annotations import LabelMap
from tfod_helpers.experiment.config import Reason
from tfod_helpers.presets import Preset, anchors, keys, mirroring
from tfod_helpers.presets.models import PHOTOS
from tfod_helpers.records import Records

_GAIN = 0.05  # in the share of boxes that an anchor matches; for less, the preset's own settings stay
_LARGEST = 2.0  # times the preset's image size: twice the side is four times the time
_SCRATCH = 3.0  # times the preset's learning rate, which is for pretrained weights
_STEPS_RANGE = (0.5, 4.0)  # times the preset's
# Of the steps from ImageNet's backbone. benchmarks/starting.py with 200 photos of cats and dogs: AP .47 after 950 steps
# from that backbone, .49 after 475 and after 300 from a detector with other names for its classes. Other learning rates
# (0.3, 2 and 3 times) and other frozen strides (0, 16) brought nothing that lasted.
_WHOLE = 0.5


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


def choose(preset: Preset, train: Records, of: Boxes, weights: str | None, given: set[str]) -> list[Reason]:
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
        *_choose_schedule(preset, train, weights),
        *_choose_mirror(train.label_map),
    ]
    return list({one.setting: one for one in chosen if one.setting not in given}.values())


def _choose_shape(preset: Preset, of: Boxes, given: set[str]) -> Iterator[Reason]:
    """Choose anchors and image size so that anchors fit the boxes; the anchors first, since they cost nothing."""
    fit = anchors.share_matched(of.boxes_xyxy, of.sizes, preset)
    if given & {keys.IMAGE_SIZE, keys.ASPECT_RATIOS, keys.ANCHOR_SIZE}:
        return
    for name, value, change in anchors.finer(preset, _LARGEST):
        if fit >= anchors.GOOD_SHARE:
            return
        other = dataclasses.replace(preset, **change)
        better = anchors.share_matched(of.boxes_xyxy, of.sizes, other)
        if better >= fit + _GAIN:
            why = (
                f"without it {fit:.0%} of your boxes have an anchor that overlaps them by half, with it {better:.0%}; "
                "a box without one is rarely found"
            )
            yield Reason(setting=name, value=value, why=why)
            preset, fit = other, better


def _choose_schedule(preset: Preset, train: Records, weights: str | None) -> Iterator[Reason]:
    if train.count < preset.batch_size:
        yield Reason(setting=keys.BATCH_SIZE, value=train.count, why=f"there are only {train.count} training photos")
    # Twice the photos are not worth twice the steps: they share most of what there is to learn.
    factor = float(np.clip(math.sqrt(train.count / PHOTOS), *_STEPS_RANGE))
    reasons = []
    if not 0.9 < factor < 1.1:
        reasons.append(
            f"the preset's {preset.train_steps} are for about {PHOTOS} photos; with {train.count} they grow with the "
            f"square root of the number, between {_STEPS_RANGE[0]:g} and {_STEPS_RANGE[1]:g} times"
        )
    if weights not in (None, "imagenet"):
        factor *= _WHOLE
        reasons.append("half as many as from a backbone alone, since a whole detector has learnt most of it")
    if reasons:
        yield Reason(setting=keys.STEPS, value=round(preset.train_steps * factor / 50) * 50, why="; ".join(reasons))
    if weights is None:
        why = f"{_SCRATCH:g} times the preset's, since from random values there is nothing to lose by larger steps"
        yield Reason(setting=keys.LEARNING_RATE, value=_SCRATCH * preset.learning_rate, why=why)


def _choose_mirror(label_map: LabelMap) -> Iterator[Reason]:
    if opposites := mirroring.opposites(label_map.names):
        name, other = max(opposites.items(), key=lambda item: bool(item[1]))  # the first pair, if there is one
        turned = f"is {other!r}" if other else "would be called by the wrong name"
        yield Reason(setting=keys.FLIP, value=False, why=f"a mirrored {name!r} {turned}, so photos are not mirrored")
