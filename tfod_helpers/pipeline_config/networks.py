"""The network of an old config -> the preset that comes nearest to it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from tfod_helpers.files.protobuf_text import Setting, TextFormatError
from tfod_helpers.pipeline_config.draft import CARRIED, REPLACED, Draft, Fate
from tfod_helpers.pipeline_config.values import SIDES, whole
from tfod_helpers.presets import PRESETS, keys
from tfod_helpers.problems import FixableError

_FAMILIES = ("ssd", "faster_rcnn", "center_net", "experimental_model")
_SMALL = ("mobilenet_v2_256", "mobilenet_v2_fpnlite_320")
_RESNETS = {"50": 50, "101": 101, "152": 152}
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
    """An old config whose network has no preset that stands for it; the message says what to use instead.

    Attributes:
        instead: the name of the preset to use instead.
    """

    instead: str = ""


@dataclass(frozen=True)
class Network:
    """The preset for one kind of network.

    Attributes:
        extractor: what its feature extractor is called, as a regular expression from the beginning.
        presets: the presets for it; of several the nearest in size is taken.
        why: what is said of it.
        outcome: ``carried over`` where the backbone is the same.
        model_id: the backbone's model_id, where it is not the preset's.
    """

    extractor: str
    presets: tuple[str, ...]
    why: str
    outcome: str = CARRIED
    model_id: str | int | None = None


def _own_pyramid(name: str) -> str:
    return f"{name} here too; the preset's pyramid and heads take the place of the old layers and boxes."


_V2_WHY = _own_pyramid("MobileNetV2")
_V1_WHY = "MobileNetV2 followed MobileNetV1: as fast at this size, and more accurate."
_NOT_HERE = "No preset has this backbone; MobileNetV2 is the nearest in size and speed."

SSD = (
    Network("(ssd_)?mobilenet_v1_fpn", ("mobilenet_v1_fpn_640",), "MobileNetV1 with a feature pyramid here too."),
    Network("(embedded_)?ssd_mobilenet_v1", _SMALL, _V1_WHY, REPLACED),
    Network("ssd_mobilenet_v2_fpn", _SMALL, "MobileNetV2 with a light feature pyramid here too."),
    Network("ssd_mobilenet_v2", _SMALL, _V2_WHY),
    Network("ssd_mobilenet_v3_large", ("mobilenet_v3_large_320",), _own_pyramid("MobileNetV3 Large")),
    Network(
        "ssd_mobilenet_v3",
        ("mobilenet_v3_large_320",),
        "No preset has MobileNetV3 Small; Large is slower and more accurate. For speed take mobilenet_v2_256.",
        REPLACED,
    ),
    *(
        Network(f"ssd_mobiledet_{chip.lower()}", ("mobiledet_cpu_320",), _own_pyramid(f"MobileDet {chip}"), model_id=id)
        for chip, id in {chip: f"MobileDet{chip}" for chip in ("CPU", "DSP", "EdgeTPU", "GPU")}.items()
    ),
    Network(
        "ssd_mobilenet_edgetpu|ssd_spaghettinet",
        ("mobilenet_multi_avg_256",),
        "No preset has this backbone; MobileNetMultiAVG was made for the same chips.",
        REPLACED,
    ),
    Network("ssd_inception|ssd_mobilenet", _SMALL, _NOT_HERE, REPLACED),
    *(
        Network(f"ssd_resnet{depth}", ("retinanet_resnet50_640",), f"A RetinaNet with ResNet-{depth} too.", model_id=id)
        for depth, id in _RESNETS.items()
    ),
)

# Without and with masks the backbones are the same.
RCNN = (
    *(
        Network(f"faster_rcnn_resnet{depth}", (), f"ResNet-{depth} here too, with a feature pyramid.", model_id=id)
        for depth, id in _RESNETS.items()
    ),
    Network("faster_rcnn_(inception_v2|mobilenet)", (), "ResNet-50 is the nearest in size.", REPLACED, 50),
    Network("faster_rcnn_", (), "ResNet-101 is the nearest in accuracy.", REPLACED, 101),
)

_BEST_ONE_STAGE = "it is the most accurate preset of one stage"
# What the feature extractor begins with -> the preset to use instead, and why.
OTHERS = {
    "ssd": {
        r"ssd_efficientnet-b0": ("spinenet_mobile_384", "it is the most accurate of the small presets"),
        r"ssd_efficientnet": ("retinanet_resnet50_640", _BEST_ONE_STAGE),
        r"": ("mobilenet_v2_fpnlite_320", "it is a good SSD to begin with"),
    },
    "faster_rcnn": {r"": (_RCNN, "it is the Faster R-CNN here")},
    "center_net": {
        r"mobilenet": ("mobilenet_v2_fpnlite_320", "it has the same backbone, and finds boxes"),
        r"": ("retinanet_resnet50_640", _BEST_ONE_STAGE),
    },
    "experimental_model": {r"": ("retinanet_resnet50_640", _BEST_ONE_STAGE)},
}


def choose(draft: Draft) -> tuple[str, Fate]:
    """Return the preset that comes nearest to an old config's network, and what it changes of the preset.

    Raises:
        NoCounterpartError: there is none; the message says which preset to use instead.
        TextFormatError: the config has no model, or one without a feature extractor or with an impossible size.
    """
    family = find_family(draft)
    extractor = draft.find(f"model.{family}.feature_extractor.type")
    if family not in ("ssd", "faster_rcnn"):
        raise _no_counterpart(family, extractor or draft.settings[0], draft)
    if extractor is None:
        raise TextFormatError(
            "",
            f"model.{family} has no feature_extractor.type, so its backbone is not known",
            "Add feature_extractor { type: '...' } from the config that this one was made of.",
        )
    name = str(extractor.value)
    network = next((one for one in (SSD if family == "ssd" else RCNN) if re.match(one.extractor, name)), None)
    if network is None:
        raise _no_counterpart(family, extractor, draft)
    wanted = _side(draft)
    names = network.presets or ((_MASK if has_masks(draft) else _RCNN),)
    preset = min(names, key=lambda one: abs(math.log(PRESETS[one].image_size / wanted)))
    sets = _fitted(draft, preset, network.model_id, wanted)
    shows = (keys.PRESET, f"task.model.backbone.{PRESETS[preset].backbone}.model_id")
    return preset, Fate(network.outcome, network.why, sets, shows, look=network.outcome == REPLACED)


def find_family(draft: Draft) -> str:
    """Return ``ssd``, ``faster_rcnn``, ``center_net`` or ``experimental_model``.

    Raises:
        TextFormatError: the config has no model of these.
    """
    found = {family: one for one in reversed(draft.settings) for family in _FAMILIES if _within(one, family)}
    if len(found) > 1:
        setting = next(iter(found.values()))
        raise setting.refused(f"there are several models in this file: {', '.join(found)}", "Keep one of them.")
    if found:
        return next(iter(found))
    tops = ", ".join(dict.fromkeys(one.plain_name.split(".")[0] for one in draft.settings[:200])) or "nothing"
    what = f"there is no model {{ ssd {{ ... }} }} or model {{ faster_rcnn {{ ... }} }} in it, only: {tops[:120]}"
    if tops == "item":
        raise TextFormatError("", what, "This is a label map. Give the pipeline.config that names it.")
    raise TextFormatError("", what, "Give the pipeline.config of an Object Detection API model.")


def _within(setting: Setting, family: str) -> bool:
    return f"{setting.plain_name}.".startswith(f"model.{family}.")


def has_masks(draft: Draft) -> bool:
    """Return whether the network finds masks too."""
    return draft.value("faster_rcnn.number_of_stages") == 3 or draft.value("predict_instance_masks") is True


def _no_counterpart(family: str, setting: Setting, draft: Draft) -> NoCounterpartError:
    name = str(setting.value) if setting.name.endswith(".type") else ""
    instead, why = next(found for start, found in OTHERS[family].items() if re.match(start, name))
    if any("deepmac" in one.name for one in draft.settings):
        instead, why = _MASK, "it finds masks too"
    if any("keypoint" in one.name for one in draft.settings if one.name.startswith("model.")):
        why += "; no preset finds key points"
    called = {"ssd": "SSD", "faster_rcnn": "Faster R-CNN", "center_net": "CenterNet"}.get(family, family)
    network = f"{called} with {name!r}" if name else called
    error = NoCounterpartError(
        f"{draft.where}, {setting.where}",
        f"{setting.name} = {setting.value!r}: no preset stands for {network}",
        f"Use experiment.make({instead!r}, ...) instead: {why}.",
    )
    error.instead = instead
    return error


def _side(draft: Draft) -> int:
    """Return the side of the letterboxed input in which a photo is as large as the old model saw it."""

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
    level = next((one for one in levels if side % 2**one == 0), 6)
    side = max(1, round(side / 2**level)) * 2**level
    sets: dict[str, Any] = {keys.IMAGE_SIZE: [side, side, 3], keys.MAX_LEVEL: level}
    backbone = f"task.model.backbone.{preset.backbone}"
    if model_id is not None:
        sets[f"{backbone}.model_id"] = model_id
    width = draft.find("feature_extractor.depth_multiplier")
    if width is not None and preset.model_id in _WIDTHS:
        value = width.value if isinstance(width.value, int | float) else 1.0
        sets[f"{backbone}.filter_size_scale"] = min(_WIDTHS[preset.model_id], key=lambda one: abs(one - value))
    return sets
