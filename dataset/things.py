"""Things that no label names: they stand behind, beside and in front of the animals.

Each is about 2 wide and stands on y = 0. Some have an animal's size and colours.
"""

from __future__ import annotations

import numpy as np
from coats import FURS, INK
from drawing import Colour, Dice, Part, Points, blot, bow, box, dark, ellipse, flat, light, smooth, trace, tube

WOODS: tuple[Colour, ...] = ((150, 108, 72), (186, 148, 106), (104, 76, 58), (198, 176, 150), (140, 132, 124))
GREENS: tuple[Colour, ...] = ((104, 146, 76), (84, 124, 70), (132, 160, 84), (70, 110, 84), (150, 154, 92))
BRIGHT: tuple[Colour, ...] = (
    *((196, 64, 60), (60, 108, 176), (226, 176, 64), (84, 150, 110)),
    *((150, 90, 156), (232, 136, 84), (240, 236, 228)),
)


def draw_thing(dice: Dice) -> list[Part]:
    """Draw something to stand behind or beside an animal."""
    draws = (_ball, _ball, _plant, _cushion, _crate, _lamp, _bird, _mouse, _beanbag, _bowl, _bush)
    return dice.pick(draws)(dice)


def draw_cover(dice: Dice) -> list[Part]:
    """Draw something to stand in front of an animal."""
    return dice.pick((_crate, _plant, _tuft, _tuft, _pickets, _cushion, _ball))(dice)


def lined(points: Points, colour: Colour, marks: list[Part] | None = None) -> Part:
    """Return a part with an outline, darker below."""
    return Part(np.asarray(points, float), colour, dark(colour, 0.5), dark(colour, 0.7), 0.4, tuple(marks or ()))


def _ball(dice: Dice) -> list[Part]:
    colour, other, style = dice.near(dice.pick(BRIGHT)), dice.pick(BRIGHT), dice.whole(0, 2)
    marks = []
    if style == 0:
        marks = [flat(tube(trace("-1,-0.6 0,-1.2 1,-0.8"), 0.2, 0.2), other)]
    elif style == 1:
        marks = [flat(ellipse(x, -1 + x * x / 3, 0.16, 1.1), other) for x in (-0.6, 0, 0.6)]
    shine = flat(ellipse(-0.35, -1.45, 0.22, 0.14, -30), light(colour, 0.6))
    return [lined(ellipse(0, -1, 1, 1), colour, marks), shine]


def _bowl(dice: Dice) -> list[Part]:
    colour = dice.near(dice.pick(BRIGHT))
    return [
        lined(trace("-1,-0.6 1,-0.6 0.75,0 -0.75,0"), colour),
        lined(ellipse(0, -0.6, 1, 0.18), dark(colour, 0.4)),
        flat(ellipse(0, -0.6, 0.8, 0.14), dice.pick(((130, 90, 60), (150, 190, 214)))),
    ]


def _plant(dice: Dice) -> list[Part]:
    pot, leaf = dice.near(dice.pick((*BRIGHT, (176, 96, 66)))), dice.near(dice.pick(GREENS))
    parts, root = [], np.array((0, -0.8))
    for k in range(dice.whole(6, 11)):
        tip = np.array((dice.between(-1.1, 1.1), -dice.between(1.5, 3.0)))
        side, middle = np.array((0.16, 0.06)) * dice.between(1, 2), tip * (0.9, 0.55) + (0, -0.3)
        blade = np.concatenate([bow(root, middle + side, tip), bow(tip, middle - side, root)])
        parts.append(lined(blade, dark(leaf, 0.04 * k)))
    return [*parts, lined(trace("-0.62,-0.95 0.62,-0.95 0.46,0 -0.46,0"), pot), lined(box(-0.7, -1.1, 0.7, -0.88), pot)]


def _tuft(dice: Dice) -> list[Part]:
    leaf, parts = dice.near(dice.pick(GREENS)), []
    for x in np.linspace(-0.9, 0.9, dice.whole(7, 13)):
        tip = (x + dice.between(-0.3, 0.3), -dice.between(0.6, 1.5))
        parts.append(lined([(x - 0.1, 0), tip, (x + 0.1, 0)], dice.near(leaf, 20)))
    return parts


def _bush(dice: Dice) -> list[Part]:
    leaf, heaps = dice.near(dice.pick(GREENS)), ((-0.5, 0.5), (0.5, 0.5), (0, 0.9))
    return [lined(blot(dice, x, -y, 0.62), dark(leaf, 0.3 - 0.2 * y)) for x, y in heaps]


def _cushion(dice: Dice) -> list[Part]:
    colour, marks = dice.near(dice.pick((*BRIGHT, *FURS))), []
    if dice.chance(0.5):
        lines = [tube([(x, -1.4), (x + 0.2, 0.1)], 0.07, 0.07) for x in np.arange(-0.9, 1, 0.4)]
        marks = [flat(line, light(colour, 0.4)) for line in lines]
    body = smooth(trace("-1,-1.3 0,-1.2 1,-1.3 0.92,-0.65 1,0 0,-0.06 -1,0 -0.92,-0.65"))
    return [lined(body, colour, marks)]


def _crate(dice: Dice) -> list[Part]:
    colour, tall = dice.near(dice.pick((*WOODS, (190, 150, 104)))), dice.between(0.9, 1.6)
    marks = [flat(box(-0.18, -tall, 0.18, 0), light(colour, 0.25))]
    if dice.chance(0.5):
        marks = [flat(box(-1, -tall * k, 1, -tall * k + 0.06), dark(colour, 0.35)) for k in (0.25, 0.5, 0.75)]
    lid = trace("-1,0 -0.75,-0.25 0.75,-0.25 1,0") - (0, tall)
    return [lined(lid, light(colour, 0.2)), lined(box(-1, -tall, 1, 0), colour, marks)]


def _lamp(dice: Dice) -> list[Part]:
    shade, iron, tall = dice.near(dice.pick((*FURS, *BRIGHT))), (80, 72, 70), dice.between(3, 5)
    return [
        lined(box(-0.07, -tall, 0.07, -0.1), iron),
        lined(ellipse(0, -0.1, 0.6, 0.14), iron),
        lined(trace("-0.55,-0.6 0.55,-0.6 1,0.5 -1,0.5") - (0, tall), shade),
    ]


def _bird(dice: Dice) -> list[Part]:
    colour, beak = dice.near(dice.pick((*BRIGHT, *FURS))), (232, 160, 60)
    return [
        lined(tube(trace("0.2,-0.5 0.2,0"), 0.04, 0.04), beak),
        lined(trace("0.6,-0.8 1.4,-1.1 1.3,-0.7"), dark(colour, 0.3)),
        lined(ellipse(0, -0.85, 0.85, 0.5, 15), colour),
        lined(ellipse(-0.7, -1.35, 0.38, 0.36), colour),
        lined(trace("-1.02,-1.42 -1.42,-1.26 -1.02,-1.2"), beak),
        flat(ellipse(-0.78, -1.42, 0.07, 0.07), INK),
        lined(ellipse(0.15, -0.85, 0.5, 0.28, 20), dark(colour, 0.25)),
    ]


def _mouse(dice: Dice) -> list[Part]:
    colour = dice.near(dice.pick((*FURS, *BRIGHT)))
    return [
        lined(tube(trace("0.9,-0.2 1.4,-0.1 1.9,-0.4"), 0.05, 0.03), (214, 150, 150)),
        lined(ellipse(0, -0.45, 1, 0.45, 4), colour),
        lined(ellipse(-0.55, -0.8, 0.24, 0.24), colour),
        flat(ellipse(-0.75, -0.5, 0.06, 0.06), INK),
        flat(ellipse(-1, -0.42, 0.09, 0.08), INK),
    ]


def _beanbag(dice: Dice) -> list[Part]:
    """A heap in a fur colour, striped or blotched: what a detector must not take for an animal."""
    colour = dice.near(dice.pick(FURS))
    other = dice.pick((dark(colour, 0.35), light(colour, 0.4), dice.near(dice.pick(FURS))))
    if dice.chance(0.5):
        lines = [tube([(x, -1.8), (x * 1.4, -0.9), (x * 1.2, 0)], 0.06, 0.06) for x in np.arange(-0.8, 1, 0.32)]
    else:
        lines = [blot(dice, dice.between(-0.9, 0.9), -dice.between(0.1, 1.4), 0.35) for _ in range(3)]
    heap = smooth(trace("-0.35,-1.5 0.35,-1.5 0.85,-0.8 1.05,-0.15 0,0.02 -1.05,-0.15 -0.85,-0.8"))
    return [lined(heap, colour, [flat(line, other) for line in lines])]


def _pickets(dice: Dice) -> list[Part]:
    colour, picket = (
        dice.near(dice.pick((*WOODS, (236, 234, 228)))),
        trace("-0.12,0 -0.12,-1.05 0,-1.25 0.12,-1.05 0.12,0"),
    )
    rails = [lined(box(-1.4, -k, 1.4, -k + 0.14), dark(colour, 0.15)) for k in (0.35, 0.85)]
    return rails + [lined(picket + (x, 0), colour) for x in np.arange(-1.2, 1.3, 0.48)]
