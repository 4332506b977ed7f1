"""Cats and dogs, whole: a coat, a pose, and a head on it.

The unit is half the width of a head, whose middle is at (0, 0). Animals that are seen from the side
look to the left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from coats import FURS, PATTERNS, Coat, fur, marked_fur
from drawing import Colour, Dice, Part, both_sides, dark, ellipse, flat, place, smooth, trace, tube
from heads import draw_head

CAT_TAILS = ("0,0 0.9,0.1 1.3,-0.7 1.05,-1.5 1.5,-2.1", "0,0 1,-0.2 1.1,-1.3 1.6,-1.9 1.9,-1.4")
CAT_TAIL_LYING = "0,0 0.7,0.32 1.4,0.1 1.7,-0.6 1.4,-1.1"
DOG_TAILS = ("0,0 0.5,-0.3 0.75,-0.95", "0,0 0.55,-0.5 0.45,-1 0.1,-0.9", "0,0 0.6,-0.1 1.1,-0.5")
COLLARS: tuple[Colour, ...] = ((190, 50, 54), (50, 96, 170), (60, 140, 96), (222, 170, 50), (140, 70, 150))


@dataclass(frozen=True)
class Breed:
    """A breed that has a coat of its own.

    Attributes:
        kind: ``cat`` or ``dog``.
        fur: its colour.
        pattern: of `coats.PATTERNS`.
    """

    kind: str
    fur: Colour
    pattern: str


GREY, BLACK, WHITE, GINGER = FURS[:4]
BREEDS = {  # whose coats these drawings come near
    "Bombay": Breed("cat", BLACK, "plain"),
    "Egyptian_Mau": Breed("cat", GREY, "spots"),
    "samoyed": Breed("dog", WHITE, "plain"),
    "shiba_inu": Breed("dog", GINGER, "bib"),
}


@dataclass(frozen=True)
class Animal:
    """A drawn animal.

    Attributes:
        parts: its drawing.
        pose: where it looks, in Pascal VOC's words: ``Frontal`` or ``Left``.
        bust: head and shoulders alone, so that the frame must cut it off below.
    """

    parts: list[Part]
    pose: str
    bust: bool


def draw_animal(kind: str, dice: Dice) -> Animal:
    """Draw a ``cat``, a ``dog`` or one of `BREEDS` in a pose and build, and a coat, of the dice's choosing."""
    breed = BREEDS.get(kind)
    coat = Coat.draw(dice, (breed.fur,), (breed.pattern,)) if breed else Coat.draw(dice, FURS, PATTERNS)
    kind = breed.kind if breed else kind
    draw = dice.pick((_sitting, _sitting, _walking, _lying, _bust))
    pose = "Left" if draw in (_walking, _lying) else "Frontal"
    return Animal(draw(kind, dice, coat), pose, draw is _bust)


def _sitting(kind: str, dice: Dice, coat: Coat) -> list[Part]:
    wide, tall = dice.between(0.85, 1.15) * (0.95 if kind == "cat" else 1.05), dice.between(0.9, 1.12)
    size = np.array((wide, tall))
    body = smooth(both_sides(trace("0.5,0.3 0.68,1 0.92,1.9 1.18,2.6 0.95,3.1"))) * size
    parts = [_tail(kind, dice, coat, (0.9 * wide, 2.85 * tall)), marked_fur(body, coat, dice)]
    for s in (-1, 1):
        parts.append(fur(ellipse(s * 0.88 * wide, 2.52 * tall, 0.42, 0.62, -s * 14), coat))
        parts.append(fur(ellipse(s * 0.98 * wide, 3.06 * tall, 0.42, 0.2), coat, coat.paw))
    if coat.pattern in ("bib", "points") or dice.chance(0.4):
        chest = smooth(trace("-0.4,0.6 0.4,0.6 0.44,1.3 0,2 -0.44,1.3")) * size
        parts.append(flat(chest, coat.pale))
    thick = 0.23 if kind == "cat" else 0.28
    for s in (-1, 1):
        leg = trace("0.36,1.5 0.38,2.3 0.36,2.98") * (s * wide, tall)
        parts.append(fur(tube(leg, thick, thick * 0.9), coat))
        parts += _paw(s * 0.37 * wide, 3.06 * tall, 0.33, coat)
    return [*parts, *_collar(dice, 0.62, 0.86), *place(draw_head(kind, dice, coat), dice.between(1.2, 1.42))]


def _lying(kind: str, dice: Dice, coat: Coat) -> list[Part]:
    long, deep = dice.between(0.8, 1.1), dice.between(0.9, 1.1)
    back = trace("-0.5,0.5 0.5,0 1.6,-0.12 2.7,0.1 3.4,0.7 3.45,1.4 2.8,1.72 0.6,1.74 -0.6,1.6 -0.8,1.1")
    parts = [
        _tail(kind, dice, coat, (3.25 * long, 1.3 * deep), lying=True),
        marked_fur(smooth(back) * (long, deep), coat, dice),
        fur(ellipse(2.62 * long, 1.12 * deep, 0.72, 0.62), coat),
        fur(ellipse(2.2 * long, 1.66 * deep, 0.5, 0.19), coat, coat.paw),
    ]
    for x in (0.5, -0.15):
        leg = trace("0.2,1.3 -0.4,1.6 -1,1.66") * (1, deep) + (x, 0)
        parts += [fur(tube(leg, 0.26, 0.2), coat), *_paw(x - 1.05, 1.68 * deep, 0.28, coat)]
    head = draw_head(kind, dice, coat, profile=dice.chance(0.15))
    head = place(head, dice.between(1.15, 1.38), shift=(0, dice.between(-0.3, 0.1)))
    return [*parts, *_collar(dice, 0.62, 0.84), *head]


def _walking(kind: str, dice: Dice, coat: Coat) -> list[Part]:
    foot = dice.between(2.5, 2.9) if kind == "cat" else dice.between(2.7, 3.3)
    long = dice.between(0.85, 1.1) * (1.0 if kind == "cat" else 0.92)
    back = trace("-0.1,0.4 0.5,0.3 1.3,0.42 2.5,0.36 3.6,0.42 4,0.9 3.8,1.6 3,1.66 1.9,1.74 0.8,1.84 0.1,1.3")
    thick, step = 0.24 if kind == "cat" else 0.28, dice.between(0.1, 0.55)
    far, near = [_tail(kind, dice, coat, (3.85 * long, 0.75))], []
    for hip, sign, bend in ((0.75, 1, -0.04), (3.55, -1, 0.14)):
        for legs, reach, colour in ((far, step, dark(coat.base, 0.22)), (near, -step, coat.base)):
            x, end = hip * long, hip * long + reach * sign
            line = [(x, 1.1), (x + reach * 0.4 * sign + bend, foot * 0.7), (end, foot - 0.08)]
            legs += [fur(tube(line, thick * 1.5, thick * 0.75), coat, colour), *_paw(end - 0.1, foot, thick, coat)]
    head = draw_head(kind, dice, coat, profile=dice.chance(0.25))
    head = place(head, dice.between(1.2, 1.42), shift=(-0.1, -0.25))
    return [*far, marked_fur(smooth(back) * (long, 1), coat, dice), *near, *_collar(dice, 0.6, 0.6), *head]


def _bust(kind: str, dice: Dice, coat: Coat) -> list[Part]:
    shoulders = smooth(both_sides(trace("0.55,0.4 0.85,0.9 1.3,1.5 1.55,2.3 1.6,3")))
    chest = smooth(trace("-0.5,0.7 0.5,0.7 0.6,1.6 0,2.6 -0.6,1.6"))
    head = place(draw_head(kind, dice, coat), dice.between(1.15, 1.32))
    return [marked_fur(shoulders, coat, dice), flat(chest, coat.pale), *_collar(dice, 0.72, 0.92), *head]


def _paw(x: float, y: float, size: float, coat: Coat) -> list[Part]:
    toe = np.array([(0, -0.02), (0, size * 0.42)])
    toes = [flat(tube(toe + (x + k * size * 0.35, y), 0.02, 0.02), coat.line) for k in (-1, 1)]
    return [fur(ellipse(x, y, size, size * 0.62), coat, coat.paw), *toes]


def _tail(kind: str, dice: Dice, coat: Coat, root: tuple[float, float], lying: bool = False) -> Part:
    """Draw a cat's tail long and thin, a dog's short."""
    if kind == "cat":
        path, start, end = CAT_TAIL_LYING if lying else dice.pick(CAT_TAILS), 0.17, 0.13
    else:
        path, start, end = dice.pick(DOG_TAILS), 0.26, dice.between(0.08, 0.26)
    line = trace(path) * dice.between(0.65, 0.95) + root
    tail = fur(tube(line, start, end), coat, coat.ear)
    if coat.pattern != "stripes":
        return tail
    rings = tuple(flat(ellipse(*point, 0.08, 0.32), coat.mark) for point in smooth(line, closed=False)[6::7])
    return replace(tail, marks=rings)


def _collar(dice: Dice, wide: float, y: float) -> list[Part]:
    if not dice.chance(0.35):
        return []
    colour = dice.pick(COLLARS)
    band = tube([(-wide, y - 0.1), (0, y + 0.14), (wide, y - 0.1)], 0.1, 0.1)
    tag = ellipse(0, y + 0.34, 0.13, 0.13)
    return [Part(band, colour, dark(colour, 0.5)), Part(tag, (232, 196, 84), (120, 92, 30))]
