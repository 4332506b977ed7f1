"""An old setting -> the value that ours gets: what ``take`` names in ``rules.yaml``.

Each function here takes the setting, the draft and what the table gives it; it raises `NotAlikeError` where our own
value stays, for the reason that the table has as ``why_not``, and TextFormatError where no training could have the old
one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfod_helpers.files.protobuf_text import Setting
from tfod_helpers.pipeline_config.draft import CARRIED, REPLACED, Draft, Fate, NotAlikeError
from tfod_helpers.presets import keys
from tfod_helpers.presets.models import SSD_MAPS

HIGHEST_ADAM_RATE = 0.01  # above it Adam's steps are as large as the weights themselves
SIDES = (32, 4096)  # pixels; beyond them a number is a slip of the pen
_MOST_STEPS = 100_000_000
_IMPOSSIBLE = "no training can have this value"
_SSD_RATIOS = {1.0, 2.0, 0.5, 3.0, 0.3333}  # as every SSD config of the API has them
_CODED_BOX_WEIGHT = 50  # what task.losses.box_loss_weight is where localization_weight is 1
_MANUAL_RATE = "adam_optimizer.learning_rate.manual_step_learning_rate.schedule.learning_rate"


# --- any value ------------------------------------------------------------------------------------


def whole(setting: Setting, draft: Draft, lowest: int, highest: int) -> int:
    """Take a whole number between two."""
    value = setting.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise setting.refused(_IMPOSSIBLE, f"Give one whole number from {lowest} to {highest}.")
    return value


def number(setting: Setting, draft: Draft, lowest: float, highest: float) -> float:
    """Take a number between two."""
    value = setting.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise setting.refused(_IMPOSSIBLE, f"Give one number from {lowest:g} to {highest:g}.")
    return _tidy(value)


def numbers(setting: Setting, draft: Draft, lowest: float, highest: float) -> list[float]:
    """Take a list of numbers between two; one alone is a list of one."""
    values = setting.value if isinstance(setting.value, tuple) and setting.value else (setting.value,)
    return [number(replace(setting, value=value), draft, lowest, highest) for value in values]


def useful(setting: Setting, draft: Draft, lowest: float, highest: float) -> float:
    """Take a number from 0 on; below the lowest that is of use ours stays."""
    value = number(setting, draft, 0, highest)
    if value < lowest:
        raise NotAlikeError
    return value


def power(setting: Setting, draft: Draft, lowest: float, highest: float, exponent: float) -> float:
    """Take a power of a number between two: by how much a crop of this side (-1) or area (-0.5) is enlarged."""
    return _tidy(number(setting, draft, lowest, highest) ** exponent)


def flag(setting: Setting, draft: Draft) -> bool:
    """Take true or false."""
    if not isinstance(setting.value, bool) and setting.value not in (0, 1):
        raise setting.refused(_IMPOSSIBLE, "Give true or false.")
    return bool(setting.value)


def given(setting: Setting, draft: Draft, value: Any) -> Any:
    """Take a fixed value, because the setting is there at all."""
    return value


def _tidy(value: float) -> float:
    """Return a number without the digits that a float32 adds: 0.6 of 0.600000023842."""
    return float(f"{value:.6g}")


# --- the model ------------------------------------------------------------------------------------


def network(setting: Setting, draft: Draft) -> Fate:
    """Tell what happens to the network, which was decided before everything else."""
    return draft.network


def width(setting: Setting, draft: Draft) -> Fate:
    """Compare the backbone's width with the one that was chosen."""
    value = number(setting, draft, 0.01, 10)
    target = f"task.model.backbone.{draft.ours['task.model.backbone.type']}.filter_size_scale"
    shows = (target,) if target in draft.ours else ()
    if draft.ours.get(target, 1.0) == value:  # a backbone without such a setting has its full width
        return Fate(CARRIED, "The same width of the backbone.", shows=shows)
    return Fate(REPLACED, "ImageNet weights exist for some widths only; this is the nearest.", shows=shows, look=True)


def classes(setting: Setting, draft: Draft) -> int:
    """Add the background to the number of classes."""
    return whole(setting, draft, 1, 100_000) + 1


def square(setting: Setting, draft: Draft) -> list[int]:
    """Take one side of the input for both."""
    side = whole(setting, draft, *SIDES)
    return [side, side, 3]


def share(setting: Setting, draft: Draft) -> float:
    """Take the side of an anchor as a share of the image's, where the preset has such anchors."""
    if draft.ours["task.anchor_layout"] != SSD_MAPS:
        raise NotAlikeError
    return _tidy(number(setting, draft, 0.001, 1))


def edited_ratios(setting: Setting, draft: Draft) -> list[float]:
    """Take aspect ratios that somebody chose, or that are the preset's too."""
    ratios = numbers(setting, draft, 0.01, 100)
    if {round(ratio, 4) for ratio in ratios} == _SSD_RATIOS != set(draft.ours[keys.ASPECT_RATIOS]):
        raise NotAlikeError
    return ratios


def delta(setting: Setting, draft: Draft) -> float:
    """Take the Huber loss's delta; the API multiplies centre differences by 10 before it, the Model Garden does not."""
    if draft.value("faster_rcnn_box_coder.x_scale", 10.0) != 10.0:
        raise NotAlikeError
    return _tidy(number(setting, draft, 0.001, 1000) / 10)


def box_weight(setting: Setting, draft: Draft) -> int:
    """Take the weight of the box loss beside that of the classification loss."""
    weight = number(setting, draft, 0, 1000)
    focal = any("weighted_sigmoid_focal" in one.name for one in draft.settings)
    if not focal or draft.value("ssd.normalize_loc_loss_by_codesize") is not True:
        raise NotAlikeError
    other = draft.find("loss.classification_weight")
    return round(_CODED_BOX_WEIGHT * weight / (number(other, draft, 1e-3, 1000) if other else 1.0))


def activation(setting: Setting, draft: Draft) -> str:
    """Take an activation by the Model Garden's name: RELU_6 is relu6."""
    return str(setting.value).lower().replace("_", "")


def crop(setting: Setting, draft: Draft) -> int:
    """Take the side of a proposal's features, after crop and pooling."""
    sizes = [draft.value(f"faster_rcnn.{name}", 1) for name in ("initial_crop_size", "maxpool_stride")]
    whole(setting, draft, 1, 1000)
    return sizes[0] // sizes[1] if all(isinstance(size, int) and size > 0 for size in sizes) else 0


# --- training -------------------------------------------------------------------------------------


def steps(setting: Setting, draft: Draft) -> int:
    """Take the number of steps."""
    count = whole(setting, draft, 0, _MOST_STEPS)
    if not count:
        raise NotAlikeError
    return count


def warmup(setting: Setting, draft: Draft) -> int:
    """Take the steps of warm-up where they fit into all."""
    count = whole(setting, draft, 0, _MOST_STEPS)
    total = draft.value("train_config.num_steps", 0)
    if not count or not isinstance(total, int) or count * 2 > total:
        raise NotAlikeError
    return count


def total_steps(setting: Setting, draft: Draft) -> Any:
    """Take the last step of the decay, which is the last of all here."""
    return draft.ours[keys.DECAY_STEPS] if setting.value == draft.value("train_config.num_steps") else None


def adam_rate(setting: Setting, draft: Draft) -> float:
    """Take the highest rate of the schedule."""
    rates = [number(setting, draft, 0, 1000)]
    rates += [number(one, draft, 0, 1000) for one in draft.settings if one.plain_name.endswith(_MANUAL_RATE)]
    if not 0 < max(rates) <= HIGHEST_ADAM_RATE:
        raise NotAlikeError
    return max(rates)


def metrics(setting: Setting, draft: Draft) -> None:
    """Accept COCO's metrics."""
    names = setting.value if isinstance(setting.value, tuple) else (setting.value,)
    if not all(str(name).startswith("coco") for name in names):
        raise NotAlikeError


# --- augmentation ---------------------------------------------------------------------------------


def stretch(setting: Setting, draft: Draft) -> float:
    """Take the factor by which a crop is stretched at most."""
    ratio = number(setting, draft, 0.01, 100)
    area = draft.value("random_crop_image.min_area", 0.1)
    # No crop of a square photo with this area can be longer: its longer side would be more than 1.
    longest = 1 / area if isinstance(area, int | float) and 0 < area <= 1 else 10.0
    return _tidy(min(max(ratio, 1 / ratio), longest, 2.0))


def less_than_one(setting: Setting, draft: Draft) -> float:
    """Take by how much a factor differs from 1."""
    return _tidy(abs(1 - number(setting, draft, 0, 10)))
