"""Models, the settings that are known to train them, and their anchor boxes."""

from tfod_helpers.presets.models import (
    AUGMENTATIONS,
    FASTER_RCNN,
    PHOTOS,
    PRESETS,
    Preset,
    find,
    presets,
)

__all__ = [
    "AUGMENTATIONS",
    "FASTER_RCNN",
    "PHOTOS",
    "PRESETS",
    "Preset",
    "find",
    "presets",
]
