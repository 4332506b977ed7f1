"""How strongly training images vary."""

from __future__ import annotations

from typing import Any

from tfod_helpers.presets import keys

# `standard` leaves the preset's own scale; the others replace it.
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "light": {
        keys.SCALE_MIN: 0.8,
        keys.SCALE_MAX: 1.25,
        keys.ASPECT: 1.1,
        keys.COLOR: 0.1,
        keys.MOSAIC: 0.0,
    },
    "standard": {keys.ASPECT: 1.3, keys.COLOR: 0.2, keys.MOSAIC: 0.0},
    "strong": {
        keys.SCALE_MIN: 0.5,
        keys.SCALE_MAX: 1.6,
        keys.ASPECT: 1.5,
        keys.COLOR: 0.4,
        keys.MOSAIC: 0.3,
    },
}
