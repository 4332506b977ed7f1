"""Pictures -> histograms of their oriented gradients, which tell shapes apart with no network that was trained before.

The form is that of Dalal and Triggs (2005), in fewer cells and normalized over the whole picture.
"""

from __future__ import annotations

import numpy as np

SIDE = 96  # pixels of the pictures
_CELL = 12  # pixels a side
_ORIENTATIONS = 8  # of half a turn: from dark to bright is as from bright to dark


def describe(pictures: np.ndarray) -> np.ndarray:
    """Return how strong the edges of each orientation are in each of 8 x 8 cells.

    Args:
        pictures: uint8, shape (n, 96, 96, 3).

    Returns:
        float32, shape (n, 512): the square roots of shares, which sum to 1 over a picture that is not plain.
    """
    grey = pictures.mean(axis=-1, dtype=np.float32)
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(right, down)
    place = np.arctan2(down, right) % np.pi / np.pi * _ORIENTATIONS
    lower = np.floor(place)
    upper_share = place - lower
    cells = SIDE // _CELL
    found = np.zeros((len(pictures), cells, cells, _ORIENTATIONS), np.float32)
    for orientation in range(_ORIENTATIONS):  # an edge between two orientations counts for both, in shares
        share = np.where(lower % _ORIENTATIONS == orientation, 1 - upper_share, 0)
        share += np.where((lower + 1) % _ORIENTATIONS == orientation, upper_share, 0)
        parts = (share * strength).reshape(len(pictures), cells, _CELL, cells, _CELL)
        found[..., orientation] = parts.sum(axis=(2, 4))
    rows = found.reshape(len(pictures), cells * cells * _ORIENTATIONS)
    return np.sqrt(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-6))
