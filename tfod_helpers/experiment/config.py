"""The settings of an experiment: the Model Garden's own, and a few more; filled from a preset."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from official.core import config_definitions, exp_factory
from official.modeling import optimization
from official.vision.configs import retinanet

from tfod_helpers import presets

ExperimentConfig = config_definitions.ExperimentConfig
_NAME = "tfod_detection"

LEARNING_RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
DECAY_STEPS = "trainer.optimizer_config.learning_rate.cosine.decay_steps"
WARMUP_STEPS = "trainer.optimizer_config.warmup.linear.warmup_steps"
BATCH_SIZE = "task.train_data.global_batch_size"
STEPS = "trainer.train_steps"


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
        frozen_stride: backbone layers up to this stride keep their pretrained weights; what they
            see, edges and colours, is the same in all photos, and most of the time of a step is
            saved with them. 0 trains all layers, as training from scratch always does.
    """

    preset: str = ""
    class_names: list[str] = dataclasses.field(default_factory=list)
    train_images: int = 0
    validation_images: int = 0
    weights: str | None = None
    frozen_stride: int = 0
    train_data: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(is_training=True))
    validation_data: DataConfig = dataclasses.field(default_factory=DataConfig)


@exp_factory.register_config_factory(_NAME)
def _empty_config() -> ExperimentConfig:
    return ExperimentConfig(task=DetectionTaskConfig())


def from_preset(name: str) -> ExperimentConfig:
    """Return a preset's config, without any data.

    Raises:
        ValueError: there is no such preset.
    """
    preset = presets.find(name)
    config = exp_factory.get_exp_config(_NAME)
    task = config.task
    task.preset, task.weights, task.frozen_stride = name, "imagenet", preset.frozen_stride
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
    config.override(nest(following(preset.train_steps) | {STEPS: preset.train_steps}))
    return config


def _describe_model(model: retinanet.RetinaNet, preset: presets.Preset) -> None:
    model.input_size = [preset.image_size, preset.image_size, 3]
    model.min_level, model.max_level = preset.levels
    model.backbone.type = "mobilenet"
    model.backbone.mobilenet.model_id = "MobileNetV2"
    model.backbone.mobilenet.filter_size_scale = preset.width
    model.decoder.type = "fpn"
    model.decoder.fpn.num_filters = model.head.num_filters = preset.filters
    model.decoder.fpn.use_separable_conv = model.head.use_separable_conv = True
    model.head.num_convs = preset.head_convs
    model.anchor.num_scales, model.anchor.anchor_size = preset.anchor_scales, presets.ANCHOR_SIZE
    model.anchor.aspect_ratios = list(presets.ASPECT_RATIOS)
    model.norm_activation.activation = "relu6"
    # The default of 0.99 averages over hundreds of steps, too slow for runs of hundreds of steps.
    model.norm_activation.norm_momentum = 0.9
    model.detection_generator.nms_version = "batched"
    model.detection_generator.pre_nms_score_threshold = 0.01


def following(train_steps: int) -> dict[str, int]:
    """Return the settings that follow the number of steps."""
    interval = max(1, math.ceil(train_steps / 10))
    return {
        DECAY_STEPS: train_steps,
        WARMUP_STEPS: max(1, min(100, train_steps // 20)),
        "trainer.validation_interval": interval,
        "trainer.checkpoint_interval": interval,
        "trainer.steps_per_loop": min(10, interval),
        "trainer.summary_interval": min(10, interval),
    }


def flatten(config: ExperimentConfig) -> dict[str, Any]:
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


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names back into the nested form that configs take."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        *parents, leaf = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return nested
