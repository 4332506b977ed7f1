"""Shapes, and how they become pixels: a list of parts in, an anti-aliased picture with its mask out.

A drawing is a list of `Part`, painted in order. Points are float arrays of shape (n, 2), x to the
right and y down, in whatever unit the caller likes; `render` scales them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image, ImageChops, ImageDraw

SUPERSAMPLING = 4
Choice = TypeVar("Choice")
Colour = tuple[int, int, int]
Ink = int | tuple[int, ...]  # of a mask, or of a picture with or without opacity
Point = Sequence[float] | np.ndarray
Points = Sequence[Point] | np.ndarray


class Dice:
    """Random choices built on uniform numbers alone, which NumPy keeps the same from version to version."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(list(seed)))

    def between(self, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``."""
        return low + (high - low) * float(self.rng.random())

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """Return True in ``share`` of all throws."""
        return bool(self.rng.random() < share)

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Return one of the choices."""
        return choices[int(self.rng.random() * len(choices))]

    def shuffled(self, values: Sequence[Choice]) -> list[Choice]:
        """Return the values in a random order."""
        return [values[k] for k in np.argsort(self.rng.random(len(values)))]

    def near(self, colour: Colour, spread: float = 14) -> Colour:
        """Return a colour like the given one: each channel moved, and all of them together."""
        together = self.between(-spread, spread)
        return tuple(int(np.clip(c + together + self.between(-spread, spread) / 2, 0, 255)) for c in colour)

    def noise(self, width: int, height: int, grain: float) -> np.ndarray:
        """Return smooth noise in -1..1, float32, shape (height, width), with blobs about ``grain`` pixels wide."""
        small = self.rng.random((max(2, round(height / grain)), max(2, round(width / grain))), np.float32)
        return np.asarray(Image.fromarray(small * 2 - 1).resize((width, height), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Part:
    """One filled shape.

    Attributes:
        points: its corners, shape (n, 2).
        colour: its fill.
        outline: the colour of the line around it, or None.
        fade: the colour that the fill turns to towards the bottom, or None.
        fade_strength: how much of it, 0 to 1.
        marks: shapes on top that stay inside this one, such as stripes.
        alpha: how opaque, 0 to 255; marks only.
        solid: False for what is too thin to belong to the object's extent, such as whiskers.
        head: whether it belongs to the head.
    """

    points: np.ndarray
    colour: Colour
    outline: Colour | None = None
    fade: Colour | None = None
    fade_strength: float = 0.0
    marks: tuple[Part, ...] = ()
    alpha: int = 255
    solid: bool = True
    head: bool = False


@dataclass(frozen=True)
class Sprite:
    """A rendered drawing, all of one size: the picture, what it covers, its extent, and its head's extent."""

    rgb: Image.Image
    alpha: Image.Image
    solid: Image.Image
    head: Image.Image


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """Return a colour with ``share`` of another in it."""
    return tuple(round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))


def dark(colour: Colour, share: float = 0.4) -> Colour:
    """Return a darker colour."""
    return mix(colour, (18, 14, 20), share)


def light(colour: Colour, share: float = 0.4) -> Colour:
    """Return a lighter colour."""
    return mix(colour, (255, 252, 244), share)


def flat(points: Points, colour: Colour, fade: Colour | None = None, strength: float = 0.4) -> Part:
    """Return a part without an outline."""
    return Part(np.asarray(points, float), colour, None, fade, strength)


def trace(text: str) -> np.ndarray:
    """Return the points of a text such as ``"0,-0.8 0.5,-0.7"``, SVG's notation."""
    return np.array([point.split(",") for point in text.split()], float)


def both_sides(half: np.ndarray) -> np.ndarray:
    """Return an outline's right half, given from the top down, with its mirror image on the left."""
    return np.concatenate([half, half[::-1] * (-1, 1)])


def blot(dice: Dice, x: float, y: float, size: float) -> np.ndarray:
    """Return the outline of an uneven round blot."""
    angles = np.linspace(0, 2 * np.pi, 7, endpoint=False).tolist()
    reach = np.array([(size * dice.between(0.6, 1.1), size * dice.between(0.5, 0.9)) for _ in angles])
    return smooth(np.stack([np.cos(angles), np.sin(angles)], 1) * reach + (x, y))


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return a rectangle's corners."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0) -> np.ndarray:
    """Return the outline of an ellipse around (x, y), turned clockwise."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return turn(np.stack([np.cos(angle) * rx, np.sin(angle) * ry], 1), degrees) + (x, y)


def turn(points: np.ndarray, degrees: float) -> np.ndarray:
    """Return the points turned clockwise around (0, 0)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[c, s], [-s, c]])


def smooth(points: Points, closed: bool = True, steps: int = 10) -> np.ndarray:
    """Return a Catmull-Rom curve through the points."""
    p = np.asarray(points, float)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curves = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate(curves if closed else [*curves, p[-1:]])


def bow(start: Point, middle: Point, end: Point, steps: int = 10) -> np.ndarray:
    """Return a quadratic Bezier curve."""
    t = np.linspace(0, 1, steps)[:, None]
    return (1 - t) ** 2 * np.asarray(start) + 2 * t * (1 - t) * np.asarray(middle) + t**2 * np.asarray(end)


def tube(points: Points, start: float, end: float) -> np.ndarray:
    """Return the outline of a round-ended tube along a smooth curve, with a radius from ``start`` to ``end``."""
    line = smooth(points, closed=False)
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side = np.stack([-along[:, 1], along[:, 0]], 1) * np.linspace(start, end, len(line))[:, None]
    half = np.linspace(0, np.pi, 9)[1:-1, None]
    cap_end = line[-1] + np.cos(half) * side[-1] + np.sin(half) * along[-1] * end
    cap_start = line[0] - np.cos(half) * side[0] - np.sin(half) * along[0] * start
    return np.concatenate([line + side, cap_end, (line - side)[::-1], cap_start])


def place(
    parts: Sequence[Part],
    scale: float = 1,
    degrees: float = 0,
    mirror: bool = False,
    shift: tuple[float, float] = (0, 0),
    head: bool | None = None,
) -> list[Part]:
    """Return the parts scaled, turned, mirrored and moved, in this order."""
    factors = np.array([-scale if mirror else scale, scale])
    placed = []
    for part in parts:
        marks = tuple(place(part.marks, scale, degrees, mirror, shift))
        points = turn(part.points * factors, degrees) + shift
        is_head = part.head if head is None else head
        placed.append(
            Part(
                points, part.colour, part.outline, part.fade, part.fade_strength, marks, part.alpha, part.solid, is_head
            )
        )
    return placed


def bounds(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Return the top left and the bottom right corner of the parts, whiskers left out."""
    points = np.concatenate([part.points for part in parts if part.solid])
    return points.min(0), points.max(0)


def render(parts: Sequence[Part], width: int, height: int, line: float = 1.0) -> Sprite:
    """Paint parts whose unit is a pixel.

    Args:
        parts: painted in order.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        line: the width of outlines, in pixels.
    """
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    rgb = Image.new("RGB", size, next((p.outline for p in parts if p.outline), parts[0].colour))
    alpha, solid, head = (Image.new("L", size) for _ in range(3))
    stroke = round(line * SUPERSAMPLING)
    for part in parts:
        _paint(rgb, part, stroke)
        for layer, wanted in ((alpha, True), (solid, part.solid), (head, part.solid and part.head)):
            if wanted:
                _fill(ImageDraw.Draw(layer), part.points, 255, 255 if part.outline else None, stroke)
    return Sprite(*(layer.reduce(SUPERSAMPLING) for layer in (rgb, alpha, solid, head)))


def _paint(rgb: Image.Image, part: Part, stroke: int) -> None:
    _fill(ImageDraw.Draw(rgb), part.points, part.colour, part.outline, stroke)
    if not part.marks and part.fade is None:
        return
    corner = np.maximum(np.floor(part.points.min(0) * SUPERSAMPLING), 0).astype(int)
    end = np.minimum(np.ceil(part.points.max(0) * SUPERSAMPLING), rgb.size).astype(int)
    if (end - corner < 1).any():
        return
    frame = (*corner.tolist(), *end.tolist())
    origin = corner / SUPERSAMPLING
    inside = Image.new("L", tuple((end - corner).tolist()))
    _fill(ImageDraw.Draw(inside), part.points - origin, 255, None, 0)
    marked = rgb.crop(frame)
    pen = ImageDraw.Draw(marked, "RGBA")
    for mark in part.marks:
        _fill(pen, mark.points - origin, (*mark.colour, mark.alpha), None, 0)
    rgb.paste(marked, frame[:2], inside)
    if part.fade is not None:
        ramp = Image.linear_gradient("L").resize(inside.size)
        strength = ramp.point([round(value * part.fade_strength) for value in range(256)])
        rgb.paste(part.fade, frame, ImageChops.multiply(inside, strength))
    if part.outline:  # again, since the marks ran over its inner half
        corners = [tuple(point) for point in (part.points * SUPERSAMPLING).tolist()]
        ImageDraw.Draw(rgb).line([*corners, *corners[:2]], part.outline, stroke, joint="curve")


def _fill(pen: ImageDraw.ImageDraw, points: np.ndarray, fill: Ink, outline: Ink | None, stroke: int) -> None:
    corners = [tuple(point) for point in (points * SUPERSAMPLING).tolist()]
    pen.polygon(corners, fill)
    if outline is not None and stroke:
        pen.line([*corners, *corners[:2]], outline, stroke, joint="curve")
