"""The settings of an experiment: the Model Garden's own, and a few more; filled from a preset, without any data."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from official.core import config_definitions
from official.core.config_definitions import ExperimentConfig
from official.modeling import hyperparams, optimization
from official.vision.configs import decoders, maskrcnn, retinanet

from tfod_helpers.presets import Preset, find, keys, resizing
from tfod_helpers.presets.models import FASTER_RCNN, FPN, GARDEN, IDENTITY, SSD_FPN, SSD_MAPS

OF_RUN = "as in the run that it goes on from"  # the reason of a setting that no data chose


@dataclasses.dataclass
class SsdFpn(hyperparams.Config):
    """The Object Detection API's feature pyramid; see `network.ssd_fpn`.

    Attributes:
        num_filters: channels of every level.
        use_separable_conv: whether its 3x3 convolutions are separable.
        expansion: channels that the backbone's coarsest level is expanded to before; 0 leaves it alone.
        use_keras_layer: whether levels are enlarged by resizing, which exports want and TPUs cannot train.
    """

    num_filters: int = 256
    use_separable_conv: bool = False
    expansion: int = 0
    use_keras_layer: bool = False


@dataclasses.dataclass
class SsdMaps(hyperparams.Config):
    """The feature maps of the Object Detection API's SSD without a pyramid; see `network.ssd_maps`.

    Attributes:
        num_filters: channels of the first map that is made of the backbone's.
        expansion: channels that the backbone's coarsest level is expanded to.
    """

    num_filters: int = 512
    expansion: int = 1280


@dataclasses.dataclass
class Decoder(decoders.Decoder):
    """The Model Garden's choice of decoders, `SsdFpn` and `SsdMaps`."""

    ssd_fpn: SsdFpn = dataclasses.field(default_factory=SsdFpn)
    ssd_maps: SsdMaps = dataclasses.field(default_factory=SsdMaps)


@dataclasses.dataclass
class Anchor(retinanet.Anchor):
    """The Model Garden's settings of anchors, and one of ``ssd_maps``; see `presets.Preset`."""

    largest_anchor: float = 0.95


@dataclasses.dataclass
class Head(retinanet.RetinaNetHead):
    """The Model Garden's settings of heads, and the side of the last convolutions of ``ssd_maps``."""

    kernel_size: int = 3


@dataclasses.dataclass
class RetinaNet(retinanet.RetinaNet):
    """The Model Garden's settings of a RetinaNet with our `Decoder`, `Anchor` and `Head`."""

    anchor: Anchor = dataclasses.field(default_factory=Anchor)
    head: Head = dataclasses.field(default_factory=Head)
    decoder: Decoder = dataclasses.field(default_factory=lambda: Decoder(type="fpn"))


@dataclasses.dataclass
class _Augmentation(hyperparams.Config):
    """What is added to the Model Garden's augmentation settings.

    Attributes:
        aug_aspect: the crop's width over height varies by up to this factor; 1 leaves it alone.
        aug_color: brightness, contrast and saturation vary by up to this share; 0 leaves them alone.
        aug_mosaic: share of the training images that are mosaics of four photos.
    """

    aug_aspect: float = 1.0
    aug_color: float = 0.0
    aug_mosaic: float = 0.0


@dataclasses.dataclass
class Parser(_Augmentation, retinanet.Parser):
    """A RetinaNet's augmentation and matching settings."""


@dataclasses.dataclass
class RCNNParser(_Augmentation, maskrcnn.Parser):
    """An R-CNN's augmentation and matching settings."""


@dataclasses.dataclass
class DataConfig(retinanet.DataConfig):
    """The Model Garden's input settings with our `Parser`."""

    parser: Parser = dataclasses.field(default_factory=Parser)


@dataclasses.dataclass
class RCNNDataConfig(maskrcnn.DataConfig):
    """The Model Garden's input settings with our `RCNNParser`."""

    parser: RCNNParser = dataclasses.field(default_factory=RCNNParser)


@dataclasses.dataclass
class Reason(hyperparams.Config):
    """Why a setting was chosen for the data.

    Attributes:
        setting: its dotted name.
        value: what it was set to.
        why: a sentence.
    """

    setting: str = ""
    value: Any = None
    why: str = ""


@dataclasses.dataclass
class KnownAs(hyperparams.Config):
    """What a class is called among the classes of the weights that a model starts from.

    Attributes:
        name: the class.
        theirs: its other name.
    """

    name: str = ""
    theirs: str = ""


@dataclasses.dataclass
class _Facts(hyperparams.Config):
    """What a run must know besides the Model Garden's settings.

    Attributes:
        preset: the preset that the config was made from.
        class_names: the classes in the label map's order; the model has one class more, background.
        train_images: number of training images.
        validation_images: number of validation images.
        resize: how a photo becomes the model's square input, in training and at prediction: ``letterbox``, scaled
            to fit, or ``stretch``, each axis by its own factor.
        weights: ``imagenet``, ``coco``, the path of an earlier run, or None to train from scratch.
        known_as: classes that the weights know by another name.
        frozen_stride: backbone layers up to this stride keep their pretrained weights; what they
            see, edges and colours, is the same in all photos, and most of the time of a step is
            saved with them. 0 trains all layers, as training from scratch always does.
        strides_first: a ResNet's blocks shrink the image in their first convolution; see `presets.Preset`.
        normalization: what becomes of a photo's values; see `network.normalization`.
        padding: how a ResNet pads where it shrinks the image; see `network.padding`.
        anchor_layout: whose rule places the anchors; see `network.inputs.anchors`.
        reasons: what `experiment.make` chose for this data, and why.
        is_rcnn: whether it is a Faster or Mask R-CNN, of two stages, and not a RetinaNet.
    """

    is_rcnn: ClassVar[bool] = False

    preset: str = ""
    class_names: list[str] = dataclasses.field(default_factory=list)
    train_images: int = 0
    validation_images: int = 0
    resize: str = resizing.LETTERBOX
    weights: str | None = None
    known_as: list[KnownAs] = dataclasses.field(default_factory=list)
    frozen_stride: int = 0
    strides_first: bool = False
    normalization: str = "imagenet"
    padding: str = "same"
    anchor_layout: str = GARDEN
    reasons: list[Reason] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class DetectionTaskConfig(_Facts, retinanet.RetinaNetTask):
    """The Model Garden's RetinaNet task, and what a run must know besides."""

    model: RetinaNet = dataclasses.field(default_factory=RetinaNet)
    train_data: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(is_training=True))
    validation_data: DataConfig = dataclasses.field(default_factory=DataConfig)


@dataclasses.dataclass
class RCNNTaskConfig(_Facts, maskrcnn.MaskRCNNTask):
    """The Model Garden's Faster and Mask R-CNN task, and what a run must know besides."""

    is_rcnn: ClassVar[bool] = True
    train_data: RCNNDataConfig = dataclasses.field(default_factory=lambda: RCNNDataConfig(is_training=True))
    validation_data: RCNNDataConfig = dataclasses.field(default_factory=RCNNDataConfig)


TaskConfig = DetectionTaskConfig | RCNNTaskConfig


@dataclasses.dataclass
class TrainerConfig(config_definitions.TrainerConfig):
    """The Model Garden's trainer settings, and a few more.

    Attributes:
        average_decay: how slowly the average of the weights follows them; the average is what is evaluated
            and kept, since it is better than the weights of any one step. 0 leaves it out.
        patience: evaluations in a row without a better AP after which training ends; 0 never ends it early.
        minutes: the time that training may take; after its first steps the number of steps is fitted
            to it. 0 sets no limit.
    """

    average_decay: float = 0.99
    patience: int = 0
    minutes: float = 0.0


def from_preset(name: str) -> ExperimentConfig:
    """Return a preset's config, without any data.

    Raises:
        ValueError: there is no such preset.
    """
    preset = find(name)
    kind = RCNNTaskConfig if preset.is_rcnn else DetectionTaskConfig
    config = ExperimentConfig(task=kind(), trainer=TrainerConfig())
    task = config.task
    task.preset, task.weights, task.frozen_stride = name, "imagenet", preset.frozen_stride
    task.strides_first, task.resize = preset.strides_first, preset.resize
    task.normalization, task.padding = preset.normalization, preset.padding
    task.anchor_layout = preset.anchor_layout
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
    assign(config, keys.following(preset.train_steps) | {keys.STEPS: preset.train_steps})
    return config


def without_facts(name: str) -> ExperimentConfig:
    """Return a preset's config in which our own settings of the task are at their defaults.

    For a file that says all that it knows: a setting that it lacks came later, and its default is what was before.

    Raises:
        ValueError: there is no such preset.
    """
    config = from_preset(name)
    for field in dataclasses.fields(_Facts):
        default = field.default_factory() if callable(field.default_factory) else field.default
        setattr(config.task, field.name, default)
    return config


def _describe_model(model: retinanet.RetinaNet | maskrcnn.MaskRCNN, preset: Preset) -> None:
    model.input_size = [preset.image_size, preset.image_size, 3]
    model.min_level, model.max_level = preset.levels
    _describe_backbone(model.backbone, preset)
    model.decoder.type = preset.pyramid
    pyramid = model.decoder.get()
    if preset.pyramid != IDENTITY:
        pyramid.num_filters = preset.filters
    if preset.pyramid in (FPN, SSD_FPN):
        pyramid.use_separable_conv = preset.separable
    if preset.pyramid in (SSD_FPN, SSD_MAPS):
        pyramid.expansion = preset.expansion
    model.anchor.num_scales, model.anchor.anchor_size = preset.anchor_scales, preset.anchor_size
    model.anchor.aspect_ratios = list(preset.aspect_ratios)
    model.norm_activation.activation = preset.activation
    # The default of 0.99 averages over hundreds of steps, too slow for runs of hundreds of steps.
    model.norm_activation.norm_momentum = 0.9
    model.detection_generator.nms_version = "batched"
    model.detection_generator.pre_nms_score_threshold = 0.01
    if preset.family == FASTER_RCNN:
        model.include_mask, model.mask_head, model.mask_sampler, model.mask_roi_aligner = False, None, None, None
    if not preset.is_rcnn:
        model.head.num_filters, model.head.num_convs = preset.filters, preset.head_convs
        model.head.use_separable_conv = preset.separable
    if preset.pyramid == SSD_MAPS:
        model.anchor.largest_anchor = preset.largest_anchor
        model.head.share_level_convs, model.head.kernel_size = False, 1


def _describe_backbone(backbone: Any, preset: Preset) -> None:
    backbone.type = preset.backbone
    chosen = backbone.get()
    chosen.model_id = int(preset.model_id) if preset.backbone == "resnet" else preset.model_id
    if hasattr(chosen, "filter_size_scale"):
        chosen.filter_size_scale = preset.width
    if preset.backbone == "spinenet_mobile":
        chosen.min_level, chosen.max_level = preset.levels


def flatten(config: ExperimentConfig) -> dict[str, Any]:
    """Return every setting under its dotted name."""
    return keys.flatten(config.as_dict())


def assign(config: ExperimentConfig, settings: Mapping[str, Any]) -> None:
    """Set settings by their dotted names."""
    for key, value in settings.items():
        *parents, leaf = key.split(".")
        setattr(functools.reduce(getattr, parents, config), leaf, value)
