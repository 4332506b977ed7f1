"""Models, the settings that are known to train them, and their anchor boxes."""

from tfod_helpers.presets.augmentations import AUGMENTATIONS
from tfod_helpers.presets.models import PRESETS, Preset, find, presets, side_step

__all__ = ["AUGMENTATIONS", "PRESETS", "Preset", "find", "presets", "side_step"]
