"""An old config -> the settings that make the very network it describes, or why there is none.

`reading` chooses the nearest preset and settings that train well; here nothing is nearest. What the file leaves out has
the defaults of the Object Detection API's protos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tfod_helpers.files.protobuf_text import Setting
from tfod_helpers.network.weights.object_detection_api import Original
from tfod_helpers.pipeline_config.draft import Draft
from tfod_helpers.pipeline_config.networks import OldConfigError
from tfod_helpers.presets import PRESETS, keys, resizing
from tfod_helpers.presets.models import SSD_FPN, SSD_MAPS

_EXTRACTOR, _HYPER = "model.ssd.feature_extractor", "conv_hyperparams"
_PREDICTOR = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
_ANCHORS = "model.ssd.anchor_generator.multiscale_anchor_generator"
_PLAIN_PREDICTOR = "model.ssd.box_predictor.convolutional_box_predictor"
_PLAIN_ANCHORS = "model.ssd.anchor_generator.ssd_anchor_generator"
_NMS = "model.ssd.post_processing.batch_non_max_suppression"
_ACTIVATIONS = {"RELU_6": "relu6", "RELU": "relu"}
_MIN_DEPTH = 16  # of the API's feature extractors
_ONLY = (
    "Only its weights cannot be carried over: train its preset on your photos with experiment.with_records, starting "
    "from 'coco' or 'imagenet'."
)

# What no network here has: part of a setting's name -> what it is, and the values that ask for nothing.
_Lacking = Mapping[str, tuple[str, tuple[Any, ...]]]
_LACKING: _Lacking = {
    "keep_aspect_ratio_resizer": (
        "photos keep their shape in it, and the network's input is of another one each time",
        (),
    ),
    "flexible_grid_anchor_generator": ("its anchors are listed one by one", ()),
    "graph_rewriter.quantization": ("it was trained with quantization in its graph", ()),
    "use_explicit_padding": ("its convolutions are padded by hand", (False,)),
    "weight_shared_convolutional_box_predictor.conv_hyperparams.sync_batch_norm": (
        "the API gives such heads no batch norm",
        (),
    ),
    "box_encodings_clip_range": ("its box codes are clipped", ()),
    "apply_batch_norm": ("its heads have no batch norm", (True,)),
    "convert_to_grayscale": ("it sees photos in grey", (False,)),
    "add_background_class": ("its classes have no background beside them", (True,)),
    "explicit_background_class": ("its labels have a background among them", (False,)),
    "logit_scale": ("its class outputs are scaled before the sigmoid", (1, 1.0)),
    "calibration_config": ("its scores are calibrated after the sigmoid", ()),
    "soft_nms_sigma": ("it lowers the scores of overlapping boxes (soft NMS)", (0, 0.0)),
    "use_class_agnostic_nms": ("it compares boxes of all classes with each other", (False,)),
    "share_box_across_classes": ("it has one box for all classes", (False,)),
    "normalize_coordinates": ("its anchors are in pixels", (True,)),
}
# What only those with a pyramid lack, or only those without.
_LACKING_OF: Mapping[str, _Lacking] = {
    SSD_FPN: {
        "ssd_anchor_generator": ("its anchors are those of an SSD without a pyramid", ()),
        "convolutional_box_predictor": ("its heads are those of an SSD without a pyramid", ()),
    },
    SSD_MAPS: {
        "multiscale_anchor_generator": ("its anchors are those of an SSD with a pyramid", ()),
        "weight_shared_convolutional_box_predictor": ("its heads are those of an SSD with a pyramid", ()),
        "num_layers_before_predictor": ("its heads have more than one convolution", (0,)),
        "use_depthwise": ("its convolutions behind the backbone are separable", (False,)),
        "num_layers": ("it has another number of feature maps", (6,)),
        "scales": ("the sizes of its anchors are listed one by one", ()),
        "reduce_boxes_in_lowest_layer": ("its first feature map has as many anchors as the others", (True,)),
        "interpolated_scale_aspect_ratio": ("its anchors between two sizes are not square, or left out", (1, 1.0)),
        "base_anchor_height": ("its anchors are of another shape than their aspect ratios say", (1, 1.0)),
        "base_anchor_width": ("its anchors are of another shape than their aspect ratios say", (1, 1.0)),
        "height_stride": ("the places of its anchors are listed one by one", ()),
        "height_offset": ("the places of its anchors are listed one by one", ()),
    },
}


def original(draft: Draft, preset: str, classes: list[str | None]) -> Original:
    """Return what the old program's checkpoint does not say of itself, where `check` let the config pass."""
    coder = "model.ssd.box_coder.faster_rcnn_box_coder"
    scales = [
        float(draft.value(f"{coder}.{name}_scale", default))
        for name, default in {"y": 10, "x": 10, "height": 5, "width": 5}.items()
    ]
    own = 1e-5 if PRESETS[preset].backbone == "resnet" else 1e-3  # of its backbones where the file does not override it
    behind, in_heads = (_epsilon(draft, where) for where in (_EXTRACTOR, _PREDICTOR))
    return Original(classes, tuple(scales), (behind if _overrides(draft) else own, behind, in_heads))


def settings(draft: Draft, preset: str) -> dict[str, Any]:
    """Return the settings, by their dotted names, with which the preset is the old network."""
    model = "task.model"
    width = float(draft.value(f"{_EXTRACTOR}.depth_multiplier", 1.0))
    side = int(draft.value("fixed_shape_resizer.height", 0))
    of_a_class, total, count = detections(draft)
    nms = f"{model}.detection_generator"
    found = {
        keys.IMAGE_SIZE: [side, side, 3],
        keys.RESIZE: resizing.STRETCH_BILINEAR,
        f"{model}.norm_activation.activation": _activation(draft, _EXTRACTOR),
        f"{nms}.nms_iou_threshold": float(draft.value(f"{_NMS}.iou_threshold", 0.6)),
        f"{nms}.pre_nms_score_threshold": float(draft.value(f"{_NMS}.score_threshold", 0.0)),
        f"{nms}.max_num_detections": min(of_a_class * count, total),
    }
    if PRESETS[preset].backbone == "mobilenet":
        found[f"{model}.backbone.mobilenet.filter_size_scale"] = _width(draft, preset)
    if PRESETS[preset].expansion:
        decoder = f"{model}.decoder.{PRESETS[preset].pyramid}"
        found[f"{decoder}.expansion"] = _divisible(PRESETS[preset].expansion * min(width, 1.0))
    return found | (_with_pyramid if PRESETS[preset].pyramid == SSD_FPN else _with_maps)(draft, preset, width)


def _with_pyramid(draft: Draft, preset: str, width: float) -> dict[str, Any]:
    lowest, highest, depth = _pyramid(draft, preset)
    model, separable = "task.model", draft.value(f"{_EXTRACTOR}.use_depthwise", False)
    return {
        f"{model}.min_level": lowest,
        keys.MAX_LEVEL: highest,
        keys.ANCHOR_SIZE: float(draft.value(f"{_ANCHORS}.anchor_scale", 4.0)),
        f"{model}.anchor.num_scales": int(draft.value(f"{_ANCHORS}.scales_per_octave", 2)),
        keys.ASPECT_RATIOS: _ratios(draft.value(f"{_ANCHORS}.aspect_ratios", (1.0, 2.0, 0.5))),
        f"{model}.decoder.ssd_fpn.num_filters": max(int(depth * width), _MIN_DEPTH),
        f"{model}.decoder.ssd_fpn.use_separable_conv": PRESETS[preset].backbone != "resnet" and separable,
        f"{model}.head.num_filters": int(draft.value(f"{_PREDICTOR}.depth", 0)),
        f"{model}.head.num_convs": int(draft.value(f"{_PREDICTOR}.num_layers_before_predictor", 0)),
        f"{model}.head.use_separable_conv": draft.value(f"{_PREDICTOR}.use_depthwise", False),
    }


def _with_maps(draft: Draft, preset: str, width: float) -> dict[str, Any]:
    return {
        keys.ANCHOR_SIZE: float(draft.value(f"{_PLAIN_ANCHORS}.min_scale", 0.2)),
        keys.LARGEST_ANCHOR: float(draft.value(f"{_PLAIN_ANCHORS}.max_scale", 0.95)),
        keys.ASPECT_RATIOS: _ratios(draft.value(f"{_PLAIN_ANCHORS}.aspect_ratios", ())),
        "task.model.decoder.ssd_maps.num_filters": int(PRESETS[preset].filters * width),
        "task.model.head.kernel_size": int(draft.value(f"{_PLAIN_PREDICTOR}.kernel_size", 1)),
    }


def _ratios(value: Any) -> list[float]:
    return [float(one) for one in (value if isinstance(value, tuple) else (value,))]


def detections(draft: Draft) -> tuple[int, int, int]:
    """Return how many detections a photo has at most, of one class and in all, and how many classes there are."""
    of_a_class, total = (
        int(draft.value(f"{_NMS}.max_{name}", 100)) for name in ("detections_per_class", "total_detections")
    )
    return of_a_class, total, int(draft.value("model.ssd.num_classes", 0))


def check(draft: Draft, preset: str) -> None:
    """Refuse a network that no preset builds, at the setting that makes it so.

    Raises:
        OldConfigError: the message says what it has that no preset has.
    """
    pyramid = PRESETS[preset].pyramid
    if pyramid not in _LACKING_OF:
        setting = draft.find("feature_extractor.type") or draft.settings[0]
        raise _refused(draft, setting, "no preset builds this network")
    for setting in draft.settings:
        for part, (what, harmless) in {**_LACKING, **_LACKING_OF[pyramid]}.items():
            if _names(setting, part) and setting.value not in harmless:
                raise _refused(draft, setting, what)
    for found, what in _differences(draft, preset):
        raise _refused(draft, found or draft.settings[0], what)


def _names(setting: Setting, part: str) -> bool:
    name = f".{setting.plain_name}."
    return f".{part}." in name and "train_config" not in name


def _differences(draft: Draft, preset: str) -> Iterator[tuple[Setting | None, str]]:
    height, width = draft.find("fixed_shape_resizer.height"), draft.find("fixed_shape_resizer.width")
    side = _number(height)
    if side != _number(width) or not side:
        yield height or width, "its input is not square"
    if side % PRESETS[preset].side_step:
        yield height, f"the side of its input is no multiple of {PRESETS[preset].side_step}"
    pad = draft.find(f"{_EXTRACTOR}.pad_to_multiple")
    if side % max(_number(pad), 1):
        yield pad, "its input is padded to a multiple"
    if PRESETS[preset].pyramid == SSD_FPN:
        yield from _other_pyramid(draft, preset)
    narrowest = {"MobileNetV1": 32, "MobileNetV2": 16}.get(PRESETS[preset].model_id)
    if narrowest and _divisible(narrowest * _width(draft, preset)) < draft.value(f"{_EXTRACTOR}.min_depth", _MIN_DEPTH):
        twice = "which the API's MobileNetV1 applies twice, " * (PRESETS[preset].model_id == "MobileNetV1")
        yield (
            draft.find(f"{_EXTRACTOR}.depth_multiplier"),
            f"its depth_multiplier, {twice}makes it so narrow that min_depth widens its first layers again",
        )
    converter = draft.find("model.ssd.post_processing.score_converter")
    if converter is None or converter.value != "SIGMOID":
        yield converter, "its scores are no sigmoids (score_converter)"
    if any(".box_coder." in one.name and ".faster_rcnn_box_coder" not in one.name for one in draft.settings):
        yield draft.find("model.ssd.box_coder"), "its boxes are coded otherwise than by faster_rcnn_box_coder"
    yield from _other_activations(draft, preset)


def _other_pyramid(draft: Draft, preset: str) -> Iterator[tuple[Setting | None, str]]:
    for name, default, level in zip(("min_level", "max_level"), (3, 7), _pyramid(draft, preset), strict=False):
        if (anchors := draft.value(f"{_ANCHORS}.{name}", default)) != level:
            yield draft.find(f"{_ANCHORS}.{name}"), f"its anchors have {name} {anchors}, its pyramid {level}"
    if PRESETS[preset].model_id == "MobileNetV1" and draft.value(f"{_EXTRACTOR}.use_depthwise", False):
        yield (
            draft.find(f"{_EXTRACTOR}.use_depthwise"),
            "its MobileNetV1 ends in narrower layers than the published one",
        )
    if draft.value(f"{_PREDICTOR}.kernel_size", 3) != 3:
        yield draft.find(f"{_PREDICTOR}.kernel_size"), "the convolutions of its heads are not 3 by 3"
    if draft.find(f"{_PREDICTOR}.depth") is None:
        yield None, "its heads are not weight_shared_convolutional_box_predictor with a depth"


def _pyramid(draft: Draft, preset: str) -> tuple[int, int, int]:
    """Return lowest and highest level, and channels; the API's ResNets pay no heed to what a config says of them."""
    if PRESETS[preset].backbone == "resnet":
        return 3, 7, 256
    names = {"min_level": 3, "max_level": 7, "additional_layer_depth": 256}
    lowest, highest, depth = (int(draft.value(f"{_EXTRACTOR}.fpn.{name}", default)) for name, default in names.items())
    return lowest, highest, depth


def _width(draft: Draft, preset: str) -> float:
    """Return the width of a MobileNet's backbone; the API's MobileNetV1 applies its multiplier twice."""
    multiplier = float(draft.value(f"{_EXTRACTOR}.depth_multiplier", 1.0))
    return multiplier**2 if PRESETS[preset].model_id == "MobileNetV1" else multiplier


def _number(setting: Setting | None) -> int:
    return setting.value if setting is not None and isinstance(setting.value, int) else 0


def _other_activations(draft: Draft, preset: str) -> Iterator[tuple[Setting | None, str]]:
    ours = heads = _activation(draft, _EXTRACTOR)
    if PRESETS[preset].pyramid == SSD_FPN:  # the heads of the others have none
        heads = _activation(draft, _PREDICTOR)
    setting = draft.find(f"{_EXTRACTOR}.{_HYPER}.activation")
    if ours != heads or ours not in _ACTIVATIONS.values():
        yield setting, f"its pyramid has {ours}, its heads {heads}; here both have the same of relu and relu6"
    backbone = {"resnet": "relu", "mobilenet": "relu6"}[PRESETS[preset].backbone]
    backbone = ours if _overrides(draft) else backbone
    if PRESETS[preset].backbone == "mobilenet" and backbone != "relu6":
        yield setting, "its MobileNet has another activation than relu6 (override_base_feature_extractor_hyperparams)"
    if PRESETS[preset].backbone == "resnet" and backbone != ours:
        yield setting, f"its ResNet has {backbone} and its pyramid {ours}; here both have the same"
    multiplier = draft.find(f"{_EXTRACTOR}.depth_multiplier")
    if PRESETS[preset].backbone == "resnet" and multiplier and multiplier.value != 1:
        yield multiplier, "its ResNet is narrower or wider than the published ones"


def _epsilon(draft: Draft, where: str) -> float:
    found = draft.value(
        f"{where}.{_HYPER}.batch_norm.epsilon", draft.value(f"{where}.{_HYPER}.sync_batch_norm.epsilon")
    )
    return 1e-3 if found is None else float(found)


def _activation(draft: Draft, where: str) -> str:
    value = str(draft.value(f"{where}.{_HYPER}.activation", "RELU"))
    return _ACTIVATIONS.get(value, value)


def _overrides(draft: Draft) -> bool:
    return bool(draft.value(f"{_EXTRACTOR}.override_base_feature_extractor_hyperparams", False))


def _refused(draft: Draft, setting: Setting, what: str) -> OldConfigError:
    return OldConfigError(f"{draft.where}, {setting.where}", f"{setting.name} = {setting.value!r}: {what}", _ONLY)


def _divisible(channels: float) -> int:
    """Return a number of channels as Keras' MobileNetV2 rounds it (_make_divisible)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 * (rounded < 0.9 * channels)
