"""The shapes that people draw -> the box around them.

Points are ``(x, y)`` with y downwards, and angles are clockwise as one sees them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
Bounds = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax
Size = tuple[float | None, float | None]  # width and height of an image, as far as they are known


def around(points: Sequence[Point]) -> Bounds:
    """Return the box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def sized(x: float, y: float, width: float, height: float) -> Bounds:
    """Return the box of that size whose top left corner is there."""
    return x, y, x + width, y + height


def rotated(bounds: Bounds, degrees: float, centre: Point | None = None) -> Bounds:
    """Return the box around a rectangle that was rotated about a point, its own centre where none is given."""
    if not degrees:
        return bounds
    xmin, ymin, xmax, ymax = bounds
    x0, y0 = centre or ((xmin + xmax) / 2, (ymin + ymax) / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(x - x0, y - y0) for x in (xmin, xmax) for y in (ymin, ymax)]
    return around([(x0 + x * cos - y * sin, y0 + x * sin + y * cos) for x, y in corners])


def ellipse(x: float, y: float, rx: float, ry: float, *, degrees: float = 0.0) -> Bounds:
    """Return the box around an ellipse that was rotated about its centre.

    Its extreme points lie ``sqrt((rx cos)^2 + (ry sin)^2)`` to the sides, and likewise up and down.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    dx, dy = (math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)) if degrees else (rx, ry)
    return x - dx, y - dy, x + dx, y + dy


def clipped(bounds: Bounds, size: Size) -> Bounds:
    """Return the part of a box that is inside an image of that size, or all of it where none is or no size is known.

    Of a round or rotated shape the corners of the box around it may lie outside though nobody drew there.
    """
    xmin, ymin, xmax, ymax = bounds
    width, height = size
    if not width or not height or xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
        return bounds
    return max(xmin, 0.0), max(ymin, 0.0), min(xmax, width), min(ymax, height)
