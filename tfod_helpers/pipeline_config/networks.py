"""The network of an old config -> the preset that comes nearest to it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tfod_helpers.files.protobuf_text import Setting, TextFormatError
from tfod_helpers.pipeline_config.draft import CARRIED, REPLACED, Draft, Fate
from tfod_helpers.pipeline_config.values import SIDES, whole
from tfod_helpers.presets import PRESETS, keys, resizing, side_step
from tfod_helpers.problems import FixableError

# Widths that Keras Applications has ImageNet weights for.
_WIDTHS = {
    "MobileNetV1": (0.25, 0.5, 0.75, 1.0),
    "MobileNetV2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    "MobileNetV3Large": (0.75, 1.0),
}
_RCNN, _MASK = "faster_rcnn_resnet101_640", "mask_rcnn_resnet50_640"


class OldConfigError(FixableError, ValueError):
    """A pipeline.config that cannot be read or used; ``where`` is the file, the line and the column."""


class NoCounterpartError(OldConfigError):
    """An old config whose network has no preset that stands for it; the message says what to use instead."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """What stands for one kind of network: a row of ``networks.yaml``, which explains its columns."""

    extractor: str
    why: str
    presets: Sequence[str] = ()
    instead: str = ""
    replaced: bool = False
    model_id: str | int | None = None


@functools.cache
def networks() -> dict[str, tuple[Network, ...]]:
    """Read the table: family -> its rows, of which the first that fits decides."""
    table = yaml.safe_load(Path(__file__).with_name("networks.yaml").read_text(encoding="utf-8"))
    return {family: tuple(Network(**row) for row in rows) for family, rows in table.items()}


def choose(draft: Draft) -> tuple[str, Fate]:
    """Return the preset that comes nearest to an old config's network, and what it changes of the preset.

    Raises:
        NoCounterpartError: there is none; the message says which preset to use instead.
        TextFormatError: the config has no model, or one without a feature extractor or with an impossible size.
    """
    family = find_family(draft)
    extractor = draft.find(f"model.{family}.feature_extractor.type")
    name = str(extractor.value) if extractor else ""
    network = next(one for one in networks()[family] if re.match(one.extractor, name))
    if extractor is None and family in ("ssd", "faster_rcnn"):
        raise TextFormatError(
            "",
            f"model.{family} has no feature_extractor.type, so its backbone is not known",
            "Add feature_extractor { type: '...' } from the config that this one was made of.",
        )
    if network.instead:
        raise _no_counterpart(network, extractor or draft.settings[0], draft)
    wanted = _side(draft)
    masks = draft.value("faster_rcnn.number_of_stages") == 3 or draft.value("predict_instance_masks") is True
    names = network.presets or ((_MASK if masks else _RCNN),)
    preset = min(names, key=lambda one: abs(math.log(PRESETS[one].image_size / wanted)))
    sets = _fitted(draft, preset, network.model_id, wanted)
    shows = (keys.PRESET, f"task.model.backbone.{PRESETS[preset].backbone}.model_id")
    outcome = REPLACED if network.replaced else CARRIED
    return preset, Fate(outcome, network.why, sets, shows, look=network.replaced)


def find_family(draft: Draft) -> str:
    """Return ``ssd``, ``faster_rcnn``, ``center_net`` or ``experimental_model``.

    Raises:
        TextFormatError: the config has no model of these.
    """
    names = {f"{one.plain_name}." for one in draft.settings}
    found = [family for family in networks() if any(name.startswith(f"model.{family}.") for name in names)]
    if len(found) > 1:
        raise TextFormatError("", f"there are several models in this file: {', '.join(found)}", "Keep one of them.")
    if found:
        return found[0]
    tops = ", ".join(dict.fromkeys(one.plain_name.split(".")[0] for one in draft.settings[:200])) or "nothing"
    what = f"there is no model {{ ssd {{ ... }} }} or model {{ faster_rcnn {{ ... }} }} in it, only: {tops[:120]}"
    label_map = "This is a label map. " if tops == "item" else ""
    raise TextFormatError("", what, f"{label_map}Give the pipeline.config of an Object Detection API model.")


def _no_counterpart(network: Network, setting: Setting, draft: Draft) -> NoCounterpartError:
    instead, why = network.instead, network.why
    if any("deepmac" in one.name for one in draft.settings):
        instead, why = _MASK, "it finds masks too"
    if any("keypoint" in one.name for one in draft.settings if one.name.startswith("model.")):
        why += "; no preset finds key points"
    return NoCounterpartError(
        f"{draft.where}, {setting.where}",
        f"{setting.name} = {setting.value!r}: no preset stands for this network",
        f"Use experiment.make({instead!r}, ...) instead: {why}.",
    )


def _side(draft: Draft) -> int:
    """Return the side of the square input in which a photo is as large as the old model saw it."""

    def pixels(name: str, default: int) -> int:
        setting = draft.find(f"image_resizer.{name}")
        return default if setting is None else whole(setting, draft, *SIDES)

    if draft.find("keep_aspect_ratio_resizer.min_dimension") or draft.find("keep_aspect_ratio_resizer.max_dimension"):
        shorter = pixels("keep_aspect_ratio_resizer.min_dimension", 600)  # the API's defaults
        longer = pixels("keep_aspect_ratio_resizer.max_dimension", 1024)
        return min(longer, round(shorter * 4 / 3))  # most cameras' photos are 4 by 3
    height, width = pixels("fixed_shape_resizer.height", 0), pixels("fixed_shape_resizer.width", 0)
    return max(height, width) or 640


def _fitted(draft: Draft, name: str, model_id: str | int | None, side: int) -> dict[str, Any]:
    """Return what changes in a preset: size, levels, and which backbone of its type and how wide."""
    preset = PRESETS[name]
    top = draft.value("anchor_generator.multiscale_anchor_generator.max_level", preset.levels[1])
    levels = (top, 6) if not preset.is_rcnn and top in (6, 7) else (preset.levels[1], 6)
    level = next((one for one in levels if side % side_step(preset.pyramid, one) == 0), 6)
    step = side_step(preset.pyramid, level)
    side = max(1, round(side / step)) * step
    sets: dict[str, Any] = {keys.IMAGE_SIZE: [side, side, 3], keys.MAX_LEVEL: level}
    if any(".fixed_shape_resizer." in one.plain_name for one in draft.settings):
        sets[keys.RESIZE] = resizing.STRETCH
    backbone = f"task.model.backbone.{preset.backbone}"
    if model_id is not None:
        sets[f"{backbone}.model_id"] = model_id
    width = draft.find("feature_extractor.depth_multiplier")
    if width is not None and preset.model_id in _WIDTHS:
        value = width.value if isinstance(width.value, int | float) else 1.0
        sets[f"{backbone}.filter_size_scale"] = min(_WIDTHS[preset.model_id], key=lambda one: abs(one - value))
    return sets
