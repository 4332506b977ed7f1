"""Models, the settings that are known to train them, and their anchor boxes."""

from tfod_helpers.presets.models import (
    ASPECT_RATIOS,
    AUGMENTATIONS,
    FASTER_RCNN,
    MASK_RCNN,
    PHOTOS,
    PRESETS,
    RETINANET,
    Preset,
    find,
    presets,
)

__all__ = [
    "ASPECT_RATIOS",
    "AUGMENTATIONS",
    "FASTER_RCNN",
    "MASK_RCNN",
    "PHOTOS",
    "PRESETS",
    "RETINANET",
    "Preset",
    "find",
    "presets",
]
