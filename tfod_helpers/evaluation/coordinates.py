"""Boxes as their file said them: float32 corners -> the decimal numbers that became these, and the sides between.

A detection may overlap an object by exactly 0.8 in a file of numbers such as 52.3. In float32 that is 52.299999, which
moves the overlap below 0.8, and the score away from what pycocotools counts from the same file.
"""

from __future__ import annotations

import numpy as np

_MOST_DIGITS = 4  # after the point; float32 holds no more of a coordinate of some hundred pixels
_FINEST = 1e6  # a side is rounded to this part of a pixel where it is that nearly anyway
_NEARLY = 1e-10


def as_written(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return float32 numbers as the shortest decimals that give them, in float64; others as they are.

    Args:
        boxes_xyxy: float, of any shape.
    """
    exact = boxes_xyxy.astype(np.float64)
    if boxes_xyxy.dtype != np.float32:
        return exact
    flat, rest = exact.ravel(), np.arange(exact.size)
    for power in 10.0 ** np.arange(_MOST_DIGITS + 1):
        short = np.rint(flat[rest] * power) / power
        fits = short.astype(np.float32) == flat[rest]
        flat[rest[fits]] = short[fits]
        rest = rest[~fits]
    return exact


def sides(boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return width, height and area of boxes as COCO counts them, whose files hold widths and heights.

    Args:
        boxes_xyxy: float64, shape (n, 4).
    """
    length = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    short = np.rint(length * _FINEST) / _FINEST
    wide, high = np.where(np.abs(short - length) < _NEARLY, short, length).T  # 30.3 - 10.1 is 20.200000000000003
    return wide, high, wide * high
