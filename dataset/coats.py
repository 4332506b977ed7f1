"""Coats: the colours and markings of an animal, drawn from one distribution for cats and dogs alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from drawing import Colour, Dice, Part, Points, blot, dark, ellipse, flat, light, tube

FURS: tuple[Colour, ...] = (
    (130, 132, 138),  # grey
    (62, 58, 62),  # black
    (236, 231, 222),  # white
    (212, 132, 66),  # ginger
    (126, 88, 60),  # brown
    (226, 198, 152),  # cream
    (188, 148, 102),  # tan
)
PATTERNS = ("plain", "plain", "patches", "stripes", "stripes", "spots", "bib", "bib", "points")
INK: Colour = (34, 26, 30)


@dataclass(frozen=True)
class Coat:
    """One animal's colours.

    Attributes:
        base: most of it.
        mark: stripes, spots and patches.
        pale: muzzle, chest.
        ear: ears and tail.
        paw: paws.
        mask: the face of a coat with points, else None.
        line: outlines.
        pattern: one of ``PATTERNS``.
        outlined: whether the outlines are drawn.
    """

    base: Colour
    mark: Colour
    pale: Colour
    ear: Colour
    paw: Colour
    mask: Colour | None
    line: Colour
    pattern: str
    outlined: bool

    @classmethod
    def draw(cls, dice: Dice, furs: tuple[Colour, ...] = FURS, patterns: tuple[str, ...] = PATTERNS) -> Coat:
        """Choose a coat of some colours and patterns."""
        base, pattern = dice.near(dice.pick(furs)), dice.pick(patterns)
        bright = is_bright(base)
        mark = dark(base, 0.45) if bright else light(base, 0.35)
        if pattern in ("patches", "spots"):  # the one of three that stands out most
            mark = max((dice.near(dice.pick(FURS)) for _ in range(3)), key=lambda c: abs(sum(c) - sum(base)))
        pale = dice.near((240, 234, 224), 8) if pattern == "bib" else light(base, dice.between(0.12, 0.4))
        mask = dark(base, 0.42) if pattern == "points" else None
        ear = mask or (mark if pattern == "patches" else dark(base, 0.12))
        paw = mask or (pale if pattern == "bib" else base)
        line = dark(base, 0.62) if bright else light(base, 0.28)
        return cls(base, mark, pale, ear, paw, mask, line, pattern, dice.chance(0.9))


def is_bright(colour: Colour) -> bool:
    """Return whether dark lines show on the colour."""
    return sum(colour) > 300


def fur(points: Points, coat: Coat, colour: Colour | None = None, marks: tuple[Part, ...] = ()) -> Part:
    """Return a part with fur: outlined as the coat is, darker below."""
    colour = coat.base if colour is None else colour
    line = coat.line if coat.outlined else None
    return Part(np.asarray(points, float), colour, line, dark(colour, 0.6), 0.42, marks)


def marked_fur(points: np.ndarray, coat: Coat, dice: Dice) -> Part:
    """Return a part with fur and the coat's stripes, spots or patches on it."""
    low, high = points.min(0), points.max(0)
    draw = {"stripes": _stripes, "spots": _spots, "patches": _patches}.get(coat.pattern)
    return fur(points, coat, marks=draw(coat, dice, low, high) if draw else ())


def _stripes(coat: Coat, dice: Dice, low: np.ndarray, high: np.ndarray) -> tuple[Part, ...]:
    """Draw stripes down from the back of what is long, and in from the sides of what is tall."""
    (left, top), (wide, tall) = low, high - low
    count = dice.whole(4, 6)
    steps = [(k + dice.between(0.3, 0.7)) / count for k in range(count)]
    thick = 0.022 * max(wide, 1.4)
    if tall > wide * 1.2:
        reach = wide * 0.36
        sides = ((left, 1), (high[0], -1))
        heights = [top + tall * step for step in steps]
        lines = [[(x, y), (x + s * reach / 2, y + 0.12), (x + s * reach, y)] for y in heights for x, s in sides]
    else:
        bend = dice.between(-0.2, 0.2) * wide
        across = [left + wide * step for step in steps]
        lines = [[(x, top - 0.1), (x + bend, top + tall * 0.3), (x, top + tall * 0.62)] for x in across]
    return tuple(flat(tube(line, thick * 1.7, thick * 0.5), coat.mark) for line in lines)


def _spots(coat: Coat, dice: Dice, low: np.ndarray, high: np.ndarray) -> tuple[Part, ...]:
    sizes = [dice.between(0.09, 0.24) for _ in range(round(4 + 3 * np.prod(high - low)))]
    return tuple(flat(ellipse(*_somewhere(dice, low, high), size, size * 0.8), coat.mark) for size in sizes)


def _patches(coat: Coat, dice: Dice, low: np.ndarray, high: np.ndarray) -> tuple[Part, ...]:
    sizes = [dice.between(0.25, 0.45) * max(high - low) for _ in range(dice.whole(1, 3))]
    return tuple(flat(blot(dice, *_somewhere(dice, low, high), size), coat.mark) for size in sizes)


def _somewhere(dice: Dice, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    return dice.between(low[0], high[0]), dice.between(low[1], high[1])
