"""The presets: models, and settings that are known to train them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tfod_helpers.presets import resizing
from tfod_helpers.problems import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

RETINANET, FASTER_RCNN, MASK_RCNN = "retinanet", "faster_rcnn", "mask_rcnn"
# The Model Garden's pyramid, the Object Detection API's, its feature maps of an SSD without a pyramid, and none, as a
# SpineNet is backbone and pyramid in one.
FPN, SSD_FPN, SSD_MAPS, IDENTITY = "fpn", "ssd_fpn", "ssd_maps", "identity"
GARDEN, SSD, TORCHVISION = "garden", "ssd", "torchvision"  # whose rule places the anchors
# Details in which others' networks differ from the Model Garden's, and what each can be.
DETAILS = {
    "task.normalization": ("imagenet", "symmetric", "mean"),
    "task.padding": ("same", "stem", "symmetric"),
    "task.anchor_layout": (GARDEN, SSD, SSD_MAPS, TORCHVISION),
}
PHOTOS = 1000  # the schedules are for about this many training photos; `experiment.make` fits them to others

_GARDEN = "official/vision/MODEL_GARDEN.md"
_ZOO = "TF2 Detection Model Zoo"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """One row of `presets()`: a model, and settings that are known to train it.

    Attributes:
        purpose: when to choose it.
        parameters: trainable parameters in millions, for COCO's 90 classes; fewer classes need fewer.
        image_size: the model's square input, in pixels.
        resize: how a photo becomes that square: ``letterbox``, as in every preset, or ``stretch``.
        coco_ap: published COCO AP (val2017) of this architecture, or of the one it stands for.
        coco_source: where that number is published, and what differs.
        source: where the settings come from.
        family: ``retinanet``, ``faster_rcnn`` or ``mask_rcnn``.
        backbone: the Model Garden's type of backbone, such as ``mobilenet``.
        model_id: which one of that type, such as ``MobileNetV2``, or a ResNet's depth.
        width: multiplier of the backbone's channels.
        pyramid: ``fpn``, the Model Garden's, ``ssd_fpn``, the Object Detection API's, which the TF2 Detection Zoo's
            weights fit, ``ssd_maps``, the feature maps of its SSD without a pyramid, or ``identity``, none.
        expansion: channels that the API expands the coarsest level of the backbone to; 0 leaves it alone.
        normalization: what a backbone expects of pixels; see `network.normalization`.
        padding: how a ResNet pads where it shrinks the image; see `network.padding`.
        anchor_layout: whose rule places the anchors; see `network.inputs.anchors`.
        filters: channels of the feature pyramid and of the heads; of ``ssd_maps``, of the first map after the backbone.
        head_convs: convolutions in each head.
        separable: pyramid and heads use separable convolutions, which are small and fast on phones.
        activation: of pyramid and heads, and of a ResNet.
        strides_first: a ResNet's blocks shrink the image in their first convolution, as in He et al. 2016 and Keras,
            whose weights then fit, and not in the 3x3 one, as the Model Garden's.
        levels: lowest and highest pyramid level; level n has a stride of 2 to the n pixels.
        anchor_size: smallest side of an anchor on a level, in strides; of ``ssd_maps``, side of the square anchors on
            the first level, as a share of the image's.
        largest_anchor: of ``ssd_maps``, the same on the last level.
        anchor_scales: anchor sizes per octave.
        aspect_ratios: of the anchors, width / height; the Model Garden's three, of ``ssd_maps`` two more.
        batch_size: images a step.
        train_steps: steps in all.
        learning_rate: highest learning rate (Adam) at ``batch_size``, from pretrained weights.
        frozen_stride: with pretrained weights, backbone layers up to this stride stay as they are.
        scale: how far training images shrink and grow.
        first_weights: the best that are published for this very network, at an address that answers: ``coco``, a whole
            detector, or ``imagenet``, its backbone.
    """

    purpose: str
    parameters: float
    image_size: int
    coco_ap: float | None
    coco_source: str
    source: str
    family: str = RETINANET
    resize: str = resizing.LETTERBOX
    backbone: str = "mobilenet"
    model_id: str = "MobileNetV2"
    width: float = 1.0
    pyramid: str = FPN
    expansion: int = 0
    normalization: str = "imagenet"
    padding: str = "same"
    anchor_layout: str = GARDEN
    filters: int = 128
    head_convs: int = 4
    separable: bool = True
    activation: str = "relu6"
    strides_first: bool = False
    levels: tuple[int, int] = (3, 7)
    anchor_size: float = 3.0
    largest_anchor: float = 0.95
    anchor_scales: int = 3
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    batch_size: int = 32
    train_steps: int = 3000
    learning_rate: float = 1e-3
    frozen_stride: int = 4
    scale: tuple[float, float] = (0.5, 2.0)
    first_weights: str = "imagenet"

    @property
    def is_rcnn(self) -> bool:
        """Whether it is a Faster or Mask R-CNN, of two stages, and not a RetinaNet."""
        return self.family != RETINANET

    @property
    def side_step(self) -> int:
        """What the side of the input must be a multiple of, in pixels."""
        return side_step(self.pyramid, self.levels[1])


def side_step(pyramid: str, coarsest: int) -> int:
    """Return what the side of a model's input must be a multiple of, in pixels.

    The Model Garden's pyramid and its anchors want every level to have whole strides; an ``ssd_fpn`` only those that
    the backbone has, up to level 5; ``ssd_maps``, which enlarge nothing, take any side.

    Args:
        pyramid: of a `Preset`.
        coarsest: its highest level.
    """
    if pyramid == SSD_MAPS:
        return 1
    return int(2 ** (min(coarsest, 5) if pyramid == SSD_FPN else coarsest))


_SMALL_SCHEDULE = "schedule: the sample's, longer"
_LARGE_SCHEDULE = "schedule: Adam at a tenth of the small models' learning rate, not measured on photos by us"

# What the TF2 zoo's SSDs with a feature pyramid have in common.
_SSD: dict[str, Any] = {
    "pyramid": SSD_FPN,
    "anchor_layout": SSD,
    "anchor_size": 4.0,
    "anchor_scales": 2,
    "aspect_ratios": (1.0, 2.0, 0.5),
    "first_weights": "coco",
}
_RESNET: dict[str, Any] = {"backbone": "resnet", "filters": 256, "separable": False, "activation": "relu"}
_RCNN = _RESNET | {
    "levels": (2, 6),
    "anchor_size": 8.0,
    "anchor_scales": 1,
    "batch_size": 4,
    "learning_rate": 1e-4,
}

PRESETS = {
    "mobilenet_v2_192": Preset(
        purpose="a first detector in minutes, on a CPU too",
        parameters=0.50,
        image_size=192,
        coco_ap=None,
        coco_source="not published: made for small sets of photos",
        source="tuned with benchmarks/asirra.py on two cores: 1000 photos of cats and dogs, four minutes",
        width=0.35,
        filters=64,
        head_convs=2,
        levels=(3, 6),
        batch_size=16,
        train_steps=1900,
        frozen_stride=8,
        scale=(0.6, 1.4),
    ),
    "mobilenet_v2_256": Preset(
        purpose="phones and browsers: small and fast; a GPU or TPU to train",
        parameters=2.64,
        image_size=256,
        coco_ap=23.5,
        coco_source=_GARDEN,
        source=f"architecture: the Model Garden's RetinaNet MobileNetV2 256; {_SMALL_SCHEDULE}",
    ),
    "mobilenet_v2_fpnlite_320": Preset(
        purpose="what older tutorials call SSD MobileNetV2 FPNLite 320: smaller objects than 256 finds",
        parameters=2.70,
        image_size=320,
        coco_ap=22.2,
        coco_source=_ZOO,
        source=f"architecture: the TF2 zoo's; {_SMALL_SCHEDULE}",
        **_SSD,
        expansion=1280,
        normalization="symmetric",
    ),
    "ssd_mobilenet_v2_300": Preset(
        purpose="what older tutorials call SSD MobileNetV2 320, though it sees 300 pixels: fast, for large objects",
        parameters=6.12,
        image_size=300,
        coco_ap=20.2,
        coco_source=_ZOO,
        source=f"architecture: the TF2 zoo's; {_SMALL_SCHEDULE}",
        pyramid=SSD_MAPS,
        expansion=1280,
        normalization="symmetric",
        anchor_layout=SSD_MAPS,
        filters=512,
        head_convs=0,
        separable=False,
        levels=(4, 9),
        anchor_size=0.2,
        anchor_scales=1,
        aspect_ratios=(1.0, 2.0, 0.5, 3.0, 0.3333),
        first_weights="coco",
    ),
    "mobilenet_v1_fpn_640": Preset(
        purpose="what older tutorials call SSD MobileNetV1 FPN 640: small objects in large photos, on a GPU or TPU",
        parameters=12.08,
        image_size=640,
        coco_ap=29.1,
        coco_source=_ZOO,
        source=f"architecture: the TF2 zoo's; {_SMALL_SCHEDULE}",
        model_id="MobileNetV1",
        **_SSD,
        normalization="symmetric",
        filters=256,
        separable=False,
        batch_size=16,
        learning_rate=7e-4,
    ),
    "mobilenet_v3_large_320": Preset(
        purpose="phones, a little more accurate than MobileNetV2 of the same size",
        parameters=4.58,
        image_size=320,
        coco_ap=22.6,
        coco_source="TF1 Detection Model Zoo, whose SSD has lighter heads",
        source=f"backbone: Howard et al. 2019, pyramid and heads as MobileNetV2's; {_SMALL_SCHEDULE}",
        model_id="MobileNetV3Large",
        levels=(3, 6),
    ),
    "mobilenet_multi_avg_256": Preset(
        purpose="chips that run plain convolutions best, such as the Edge TPU and phone accelerators",
        parameters=4.08,
        image_size=256,
        coco_ap=24.9,
        coco_source="the Model Garden's quantization tables",
        source=f"architecture: the Model Garden's RetinaNet MobileNetMultiAVG 256; {_SMALL_SCHEDULE}",
        model_id="MobileNetMultiAVG",
    ),
    "mobiledet_cpu_320": Preset(
        purpose="phones without an accelerator: searched for speed on their CPUs",
        parameters=3.37,
        image_size=320,
        coco_ap=27.0,
        coco_source="the Model Garden's mobile recipes",
        source=f"architecture: Xiong et al. 2020; {_SMALL_SCHEDULE}",
        backbone="mobiledet",
        model_id="MobileDetCPU",
        levels=(3, 6),
    ),
    "spinenet_mobile_384": Preset(
        purpose="the most accurate small model; slower than MobileNets of its size",
        parameters=2.34,
        image_size=384,
        coco_ap=28.1,
        coco_source=_GARDEN,
        source=f"architecture: the Model Garden's retinanet_mobile_coco; {_SMALL_SCHEDULE}",
        backbone="spinenet_mobile",
        model_id="49",
        pyramid=IDENTITY,
        filters=48,
        activation="swish",
        frozen_stride=0,
        batch_size=16,
    ),
    "resnet50_fpn_640": Preset(
        purpose="what older tutorials call SSD ResNet50 FPN 640 or RetinaNet50; on a GPU or TPU server",
        parameters=32.84,
        image_size=640,
        coco_ap=34.3,
        coco_source=_ZOO,
        source=f"architecture: the TF2 zoo's; {_LARGE_SCHEDULE}",
        model_id="50",
        **_RESNET | {"activation": "relu6"},
        **_SSD,
        normalization="mean",
        padding="stem",
        strides_first=True,
        batch_size=8,
        learning_rate=2e-4,
    ),
    "retinanet_resnet50_640": Preset(
        purpose="accuracy from a GPU or TPU server; one network, no second stage",
        parameters=34.09,
        image_size=640,
        coco_ap=36.4,
        coco_source="torchvision's RetinaNet_ResNet50_FPN, at 800 pixels",
        source=f"architecture: the Model Garden's retinanet_resnetfpn_coco, torchvision's padding and anchors, so that "
        f"KerasHub's weights fit; {_LARGE_SCHEDULE}",
        model_id="50",
        **_RESNET,
        padding="symmetric",
        anchor_layout=TORCHVISION,
        anchor_size=4.0,
        aspect_ratios=(2.0, 1.0, 0.5),
        first_weights="coco",
        batch_size=8,
        learning_rate=2e-4,
    ),
    "faster_rcnn_resnet101_640": Preset(
        purpose="the Pets tutorial's model: accuracy above speed, on a GPU or TPU server",
        parameters=62.71,
        image_size=640,
        coco_ap=31.8,
        coco_source=f"{_ZOO}, whose Faster R-CNN ResNet-101 640 has no pyramid",
        source=f"architecture: the Model Garden's fasterrcnn_resnetfpn_coco with ResNet-101; {_LARGE_SCHEDULE}",
        family=FASTER_RCNN,
        model_id="101",
        **_RCNN,
        strides_first=True,
    ),
    "mask_rcnn_resnet50_640": Preset(
        purpose="boxes and masks, where the photos have masks; on a GPU or TPU server",
        parameters=46.37,
        image_size=640,
        coco_ap=42.3,
        coco_source=f"{_GARDEN}; its masks reach 37.6",
        source=f"architecture: the Model Garden's maskrcnn_resnetfpn_coco; {_LARGE_SCHEDULE}",
        family=MASK_RCNN,
        model_id="50",
        **_RCNN,
    ),
}


def presets() -> pd.DataFrame:
    """Return the presets, one a row: when to choose it, its size, what it reached on COCO, its settings and sources."""
    import pandas as pd

    return pd.DataFrame([dataclasses.asdict(preset) for preset in PRESETS.values()], index=list(PRESETS)).rename_axis(
        "preset"
    )


def find(name: str) -> Preset:
    """Return a preset by its name.

    Raises:
        ValueError: there is no such preset; the message names the nearest.
    """
    if name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}, only {', '.join(PRESETS)}{did_you_mean(name, PRESETS)}")
    return PRESETS[name]
