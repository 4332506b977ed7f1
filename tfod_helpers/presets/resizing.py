"""How a photo of any shape becomes a model's square input: the ways, and by what factors each scales it."""

from __future__ import annotations

import numpy as np

from tfod_helpers.problems import did_you_mean

LETTERBOX = "letterbox"  # scaled to fit from the top left corner; the rest of the square gets the mean colour
STRETCH = "stretch"  # scaled to the whole square, each axis by its own factor, as MediaPipe Tasks does
# As `STRETCH`, but each pixel is interpolated between four of the photo, and what lies between is skipped: the Object
# Detection API's fixed_shape_resizer, for models that it trained.
STRETCH_BILINEAR = "stretch_bilinear"
RESIZES = (LETTERBOX, STRETCH, STRETCH_BILINEAR)


def check(resize: str) -> str:
    """Return the way a photo is resized, where it is one of `RESIZES`.

    Raises:
        ValueError: it is none of them; the message names the nearest.
    """
    if resize not in RESIZES:
        near = did_you_mean(resize, RESIZES) if isinstance(resize, str) else ""
        raise ValueError(f"resize must be one of {', '.join(map(repr, RESIZES))}, got {resize!r}{near}")
    return resize


def factors(sizes: np.ndarray, side: int, resize: str) -> np.ndarray:
    """Return by how much photos are scaled.

    Args:
        sizes: shape (n, 2), ``[width, height]`` of the photos, in pixels.
        side: of the square, in pixels.
        resize: one of `RESIZES`.

    Returns:
        float32, shape (n, 2), ``[x, y]``: a point of the photo times it is the point in the square, but for
        the rounding to whole pixels.
    """
    sizes = np.asarray(sizes, np.float32).reshape(-1, 2)
    if check(resize) == LETTERBOX:
        sizes = sizes.max(axis=1, keepdims=True, initial=1).repeat(2, axis=1)
    return side / np.maximum(sizes, 1)
