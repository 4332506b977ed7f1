"""The presets: models, and settings that are known to train them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tfod_helpers.annotations import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


# Of every preset's anchors: the smallest side on a level, in strides, and width / height. The Model Garden's
# ratios, and its size of 4 made smaller, since the photos are small.
ANCHOR_SIZE = 3.0
ASPECT_RATIOS = (0.5, 1.0, 2.0)


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
        frozen_stride: with pretrained weights, backbone layers up to this stride stay as they are.
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
    frozen_stride: int
    scale: tuple[float, float]
    coco_ap: float | None = None


PRESETS = {
    "mobilenet_v2_sample": Preset(
        purpose="a first detector in minutes, on a CPU too",
        source="tuned with benchmarks/asirra.py on two cores: 1000 photos of cats and dogs, four minutes",
        image_size=192,
        width=0.35,
        filters=64,
        head_convs=2,
        levels=(3, 6),
        anchor_scales=3,
        batch_size=16,
        train_steps=1400,
        learning_rate=3e-3,
        frozen_stride=8,
        scale=(0.6, 1.4),
    ),
    "mobilenet_v2_256": Preset(
        purpose="phones and browsers: small and fast; a GPU or TPU to train",
        source="architecture: the Model Garden's RetinaNet MobileNetV2 256; schedule: the sample's, for more photos",
        image_size=256,
        width=1.0,
        filters=128,
        head_convs=4,
        levels=(3, 7),
        anchor_scales=3,
        batch_size=32,
        train_steps=3000,
        learning_rate=2e-3,
        frozen_stride=4,
        scale=(0.5, 2.0),
        coco_ap=23.5,
    ),
    "mobilenet_v2_fpnlite_320": Preset(
        purpose="smaller objects than 256 finds; a GPU or TPU to train",
        source="architecture: the TF2 zoo's SSD MobileNetV2 FPNLite 320, less level 7, as 320 is no multiple of 128",
        image_size=320,
        width=1.0,
        filters=128,
        head_convs=4,
        levels=(3, 6),
        anchor_scales=2,
        batch_size=32,
        train_steps=3000,
        learning_rate=2e-3,
        frozen_stride=4,
        scale=(0.5, 2.0),
        coco_ap=22.2,
    ),
}


def presets() -> pd.DataFrame:
    """Return the presets, one a row: when to choose it, its size and settings, and their source."""
    import pandas as pd

    return pd.DataFrame({name: dataclasses.asdict(preset) for name, preset in PRESETS.items()}).T.rename_axis("preset")


def find(name: str) -> Preset:
    """Return a preset by its name.

    Raises:
        ValueError: there is no such preset; the message names the nearest.
    """
    if name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}, only {', '.join(PRESETS)}{did_you_mean(name, PRESETS)}")
    return PRESETS[name]
