"""Records + a preset -> an ExperimentConfig; strict changes to it; what differs from the preset.

The config is the Model Garden's own `ExperimentConfig` of a RetinaNet, with a few more settings that
its input and its weights need. Learning rate, warm-up and schedule follow the batch size and the
number of steps, so that a change of one does not silently spoil the others.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from official.core import config_definitions, exp_factory
from official.modeling import optimization
from official.vision.configs import retinanet

from tfod_helpers import workspace
from tfod_helpers.annotations import LabelMap, did_you_mean
from tfod_helpers.records import Records

if TYPE_CHECKING:
    import pandas as pd

ExperimentConfig = config_definitions.ExperimentConfig
_NAME = "tfod_detection"


@dataclasses.dataclass
class Parser(retinanet.Parser):
    """The Model Garden's augmentation settings, and two more.

    Attributes:
        aug_aspect: the cut's width over height varies by up to this factor; 1 leaves it alone.
        aug_color: brightness, contrast and saturation vary by up to this share; 0 leaves them alone.
    """

    aug_aspect: float = 1.0
    aug_color: float = 0.0


@dataclasses.dataclass
class DataConfig(retinanet.DataConfig):
    """The Model Garden's input settings with our `Parser`."""

    parser: Parser = dataclasses.field(default_factory=Parser)


@dataclasses.dataclass
class DetectionTaskConfig(retinanet.RetinaNetTask):
    """The Model Garden's RetinaNet task, and what a run must know besides.

    Attributes:
        preset: the preset that the config was made from.
        class_names: the classes in the label map's order; the model has one class more, background.
        train_images: number of training images.
        validation_images: number of validation images.
        weights: ``imagenet``, the path of an earlier run, or None to train from scratch.
    """

    preset: str = ""
    class_names: list[str] = dataclasses.field(default_factory=list)
    train_images: int = 0
    validation_images: int = 0
    weights: str | None = None
    train_data: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(is_training=True))
    validation_data: DataConfig = dataclasses.field(default_factory=DataConfig)


@exp_factory.register_config_factory(_NAME)
def _empty_config() -> ExperimentConfig:
    return ExperimentConfig(task=DetectionTaskConfig())


@dataclasses.dataclass(frozen=True)
class Preset:
    """One row of `presets()`: a model, and settings that are known to train it.

    Attributes:
        purpose: when to choose it.
        source: where the settings come from.
        image_size: the model's square input, in pixels.
        width: MobileNetV2's width multiplier.
        filters: channels of the feature pyramid and of the heads.
        head_convs: convolutions in each head.
        levels: lowest and highest pyramid level; level n has a stride of 2 to the n pixels.
        anchor_scales: anchor sizes per octave.
        batch_size: images a step.
        train_steps: steps in all.
        learning_rate: highest learning rate (Adam) at ``batch_size``.
        scale: how far training images shrink and grow.
        coco_ap: published COCO AP of this architecture, where there is one.
    """

    purpose: str
    source: str
    image_size: int
    width: float
    filters: int
    head_convs: int
    levels: tuple[int, int]
    anchor_scales: int
    batch_size: int
    train_steps: int
    learning_rate: float
    scale: tuple[float, float]
    coco_ap: float | None = None


_PRESETS = {
    "mobilenet_v2_sample": Preset(
        purpose="a first detector in minutes, on a CPU too",
        source="measured on two cores with the project's benchmarks",
        image_size=192,
        width=0.35,
        filters=64,
        head_convs=2,
        levels=(3, 6),
        anchor_scales=3,
        batch_size=16,
        train_steps=900,
        learning_rate=2e-3,
        scale=(0.6, 1.4),
    ),
    "mobilenet_v2_256": Preset(
        purpose="phones and browsers: small and fast; a GPU or TPU to train",
        source="architecture of the Model Garden's RetinaNet MobileNetV2 256; schedule for fine-tuning on hundreds of photos",
        image_size=256,
        width=1.0,
        filters=128,
        head_convs=4,
        levels=(3, 7),
        anchor_scales=3,
        batch_size=32,
        train_steps=3000,
        learning_rate=2e-3,
        scale=(0.5, 2.0),
        coco_ap=23.5,
    ),
    "mobilenet_v2_fpnlite_320": Preset(
        purpose="smaller objects than 256 finds; a GPU or TPU to train",
        source="architecture of the TF2 zoo's SSD MobileNetV2 FPNLite 320, on levels 3 to 6 because 320 is not a multiple of 128",
        image_size=320,
        width=1.0,
        filters=128,
        head_convs=4,
        levels=(3, 6),
        anchor_scales=2,
        batch_size=32,
        train_steps=3000,
        learning_rate=2e-3,
        scale=(0.5, 2.0),
        coco_ap=22.2,
    ),
}


def presets() -> pd.DataFrame:
    """Return the presets, one a row: when to choose it, its size and settings, and their source."""
    import pandas as pd

    return pd.DataFrame({name: dataclasses.asdict(preset) for name, preset in _PRESETS.items()}).T.rename_axis("preset")


def make(
    preset: str,
    *,
    train: Records,
    validation: Records,
    image_size: int | None = None,
    batch_size: int | None = None,
    train_steps: int | None = None,
    learning_rate: float | None = None,
    weights: str | os.PathLike[str] | None = "imagenet",
) -> ExperimentConfig:
    """Return the settings of one experiment.

    Args:
        preset: a name from `presets()`.
        train: the records to learn from.
        validation: the records to be judged on, never learnt from.
        image_size: side of the model's square input in pixels, a multiple of the coarsest stride.
        batch_size: images a step, over all devices together.
        train_steps: steps in all; left out, the preset's number of images is seen.
        learning_rate: the highest one; left out, the preset's, scaled to the batch size.
        weights: ``imagenet``, the folder of an earlier run, or None to train from scratch.

    Raises:
        KeyError: there is no such preset.
        ValueError: the records have different label maps, or a number cannot be used.
    """
    if preset not in _PRESETS:
        raise KeyError(f"there is no preset {preset!r}, only {', '.join(_PRESETS)}{did_you_mean(preset, _PRESETS)}")
    if train.label_map != validation.label_map:
        raise ValueError(
            f"The records have different classes: training {train.label_map.describe()}; validation "
            f"{validation.label_map.describe()}. Read both with the same label_map and write them again."
        )
    config = _preset_config(preset)
    task = config.task
    task.class_names = list(train.label_map)
    task.model.num_classes = len(train.label_map) + 1  # and the background
    task.train_images, task.validation_images = train.count, validation.count
    task.train_data.input_path, task.validation_data.input_path = train.pattern, validation.pattern
    task.train_data.parser.max_num_instances = max(train.max_boxes, 1)
    task.weights = None if weights is None else os.fspath(weights)
    settings = {
        "task.model.input_size": [image_size, image_size, 3] if image_size else None,
        "task.train_data.global_batch_size": batch_size,
        "trainer.train_steps": train_steps,
        _LEARNING_RATE: learning_rate,
    }
    return change(config, {key: value for key, value in settings.items() if value is not None})


_LEARNING_RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
_DECAY_STEPS = "trainer.optimizer_config.learning_rate.cosine.decay_steps"
_WARMUP_STEPS = "trainer.optimizer_config.warmup.linear.warmup_steps"
_BATCH_SIZE = "task.train_data.global_batch_size"
_STEPS = "trainer.train_steps"
_DATA = ("task.class_names", "task.train_images", "task.validation_images", "task.model.num_classes")
_DATA += ("task.train_data.input_path", "task.validation_data.input_path", "task.train_data.parser.max_num_instances")


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
        KeyError: there is no such setting; the message names the nearest.
        TypeError: a value is not of the setting's type.
        ValueError: the settings do not fit each other.
    """
    old = _flatten(config)
    for key, value in settings.items():
        if key not in old:
            raise KeyError(f"there is no setting {key!r}{did_you_mean(key, old)}")
        _check_type(key, old[key], value)
    wanted = dict(settings)
    if _BATCH_SIZE in settings and settings[_BATCH_SIZE] > 0:
        ratio = settings[_BATCH_SIZE] / old[_BATCH_SIZE]
        wanted.setdefault(_LEARNING_RATE, old[_LEARNING_RATE] * math.sqrt(ratio))
        wanted.setdefault(_STEPS, max(1, round(old[_STEPS] / ratio)))
    if _STEPS in wanted:
        wanted = _following(wanted[_STEPS]) | wanted
    changed = copy.deepcopy(config)
    changed.override(_nest(wanted))
    _check(changed)
    return changed


def changes(config: ExperimentConfig) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the preset: name -> (the preset's value, this config's)."""
    preset, now = _flatten(_preset_config(config.task.preset)), _flatten(config)
    return {key: (preset[key], now[key]) for key in now if key not in _DATA and preset[key] != now[key]}


def label_map(config: ExperimentConfig) -> LabelMap:
    """Return the classes that the config's model tells apart."""
    return LabelMap(config.task.class_names)


def save(config: ExperimentConfig, path: str | os.PathLike[str]) -> Path:
    """Write every setting as YAML, whole or not at all."""
    path = Path(path)
    with workspace.whole_file(path) as part:
        part.write_text(yaml.safe_dump(config.as_dict(), sort_keys=False), encoding="utf-8")
    return path


def load(path: str | os.PathLike[str]) -> ExperimentConfig:
    """Read a config that `save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not such a config; the message says where.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no experiment config here. Check the path.")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = _preset_config(settings["task"]["preset"])
        config.override(settings)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not an experiment config that this version wrote ({error}).") from error
    return config


def _preset_config(name: str) -> ExperimentConfig:
    """Build a preset's config, without any data."""
    if name not in _PRESETS:
        raise KeyError(f"there is no preset {name!r}, only {', '.join(_PRESETS)}{did_you_mean(name, _PRESETS)}")
    preset = _PRESETS[name]
    config = exp_factory.get_exp_config(_NAME)
    task = config.task
    task.preset, task.weights = name, "imagenet"
    _describe_model(task.model, preset)
    task.train_data.global_batch_size = preset.batch_size
    task.train_data.dtype = task.validation_data.dtype = "float32"
    task.train_data.parser.aug_rand_hflip = True
    task.train_data.parser.aug_scale_min, task.train_data.parser.aug_scale_max = preset.scale
    task.train_data.parser.aug_aspect, task.train_data.parser.aug_color = 1.3, 0.2
    config.trainer.optimizer_config = optimization.OptimizationConfig(
        {
            "optimizer": {"type": "adam", "adam": {}},
            "learning_rate": {"type": "cosine", "cosine": {"initial_learning_rate": preset.learning_rate}},
            "warmup": {"type": "linear", "linear": {"warmup_learning_rate": 0.0}},
        }
    )
    config.override(_nest(_following(preset.train_steps) | {_STEPS: preset.train_steps}))
    return config


def _describe_model(model: retinanet.RetinaNet, preset: Preset) -> None:
    model.input_size = [preset.image_size, preset.image_size, 3]
    model.min_level, model.max_level = preset.levels
    model.backbone.type = "mobilenet"
    model.backbone.mobilenet.model_id = "MobileNetV2"
    model.backbone.mobilenet.filter_size_scale = preset.width
    model.decoder.type = "fpn"
    model.decoder.fpn.num_filters = model.head.num_filters = preset.filters
    model.decoder.fpn.use_separable_conv = model.head.use_separable_conv = True
    model.head.num_convs = preset.head_convs
    model.anchor.num_scales, model.anchor.anchor_size = preset.anchor_scales, 3.0
    model.norm_activation.activation = "relu6"
    # The default of 0.99 averages over hundreds of steps, too slow for runs of hundreds of steps.
    model.norm_activation.norm_momentum = 0.9
    model.detection_generator.nms_version = "batched"
    model.detection_generator.pre_nms_score_threshold = 0.01


def _following(train_steps: int) -> dict[str, int]:
    """Return the settings that follow the number of steps."""
    interval = max(1, math.ceil(train_steps / 10))
    return {
        _DECAY_STEPS: train_steps,
        _WARMUP_STEPS: max(1, min(100, train_steps // 20)),
        "trainer.validation_interval": interval,
        "trainer.checkpoint_interval": interval,
        "trainer.steps_per_loop": min(10, interval),
        "trainer.summary_interval": min(10, interval),
    }


def _check(config: ExperimentConfig) -> None:
    model, stride = config.task.model, 2**config.task.model.max_level
    height, width = model.input_size[:2]
    if height != width or height < stride or height % stride:
        near = max(stride, round(height / stride) * stride)
        raise ValueError(
            f"image_size {height} does not fit pyramid levels {model.min_level} to {model.max_level}: it must be "
            f"square and a multiple of {stride}. Use {near}."
        )
    for key, value in {_BATCH_SIZE: config.task.train_data.global_batch_size, _STEPS: config.trainer.train_steps}.items():
        if value < 1:
            raise ValueError(f"{key} must be at least 1, got {value}.")
    if _flatten(config)[_LEARNING_RATE] <= 0:
        raise ValueError(f"The learning rate must be above 0, got {_flatten(config)[_LEARNING_RATE]}.")


def _check_type(key: str, old: Any, new: Any) -> None:
    number = isinstance(old, float) and isinstance(new, int) and not isinstance(new, bool)
    if old is not None and new is not None and not number and type(old) is not type(new):
        raise TypeError(f"{key} must be {type(old).__name__}, got {new!r}.")


def _flatten(config: ExperimentConfig) -> dict[str, Any]:
    """Return every setting under its dotted name."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", config.as_dict())
    return flat


def _nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        *parents, leaf = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return nested
