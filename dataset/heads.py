"""Heads of cats and dogs, from the front and from the left, the middle at (0, 0), about 2 wide.

What tells them apart is all here: a cat's ears stand, its pupils are slits, it has whiskers and a
small muzzle; a dog's ears hang, its eyes are round and its muzzle is long, with a large nose.
"""

from __future__ import annotations

import numpy as np
from coats import INK, Coat, fur, is_bright, marked_fur
from drawing import (
    Colour,
    Dice,
    Part,
    Point,
    both_sides,
    bow,
    dark,
    ellipse,
    flat,
    light,
    mix,
    place,
    smooth,
    trace,
    tube,
)

PINK: Colour = (226, 138, 142)
NOSE: Colour = (196, 110, 110)
WHITE: Colour = (255, 255, 255)
CAT_EYES: tuple[Colour, ...] = ((168, 190, 74), (216, 170, 56), (122, 176, 196), (196, 128, 58), (112, 168, 112))


def draw_head(kind: str, dice: Dice, coat: Coat, profile: bool = False) -> list[Part]:
    """Draw the head of a ``cat`` or a ``dog``, a little tilted.

    Args:
        kind: ``cat`` or ``dog``.
        dice: chooses the build.
        coat: the colours.
        profile: look to the left rather than at us.
    """
    faces = {"cat": (_cat_face, _cat_profile), "dog": (_dog_face, _dog_profile)}
    parts = faces[kind][profile](dice, coat)
    return place(parts, degrees=dice.between(-12, 12), head=True)


# --- cats --------------------------------------------------------------------------------------


def _cat_face(dice: Dice, coat: Coat) -> list[Part]:
    x, wide, tall = dice.between(-0.22, 0.22), dice.between(1.0, 1.14), dice.between(1.3, 1.6)
    spread, cheek = dice.between(0.72, 0.92), dice.between(0.0, 0.16)
    parts = []
    for s in (-1, 1):
        edge = [(s * 0.95, -0.1), (s * 1.08, -0.8), (s * spread, -tall), (s * 0.5, -1.1), (s * 0.16, -0.7)]
        parts += _cat_ear(edge, (s * (spread + 0.5) / 2, -0.72), coat, coat.ear, dice.between(0.1, 0.6))
    half = trace("0,-0.8 0.55,-0.72 0.9,-0.34 1.02,0.12 0.98,0.36 0.68,0.62 0.3,0.8 0,0.83")
    half[4, 0] += cheek
    skull = smooth(both_sides(half)[:-1]) * (wide, 1)
    parts.append(fur(skull, coat) if coat.pattern == "stripes" else marked_fur(skull, coat, dice))
    if coat.pattern == "stripes":  # a tabby's forehead and cheeks
        parts += [flat(tube([(k * 0.8, -0.78), (k, -0.38)], 0.07, 0.03), coat.mark) for k in (-0.3, 0, 0.3)]
        cheeks = [(s, y) for s in (-1, 1) for y in (0.1, 0.32)]
        parts += [flat(tube([(s, y), (s * 0.72, y + 0.06)], 0.05, 0.02), coat.mark) for s, y in cheeks]
    if coat.mask:
        parts.append(flat(ellipse(x, 0.25, 0.62, 0.5), coat.mask))
    parts += [flat(ellipse(x + s * 0.2, 0.43, 0.28, 0.22), coat.pale) for s in (-1, 1)]
    return [*parts, flat(ellipse(x, 0.62, 0.17, 0.13), coat.pale), *_cat_features(dice, coat, x)]


def _cat_ear(edge: list[Point], middle: Point, coat: Coat, colour: Colour, shade: float) -> list[Part]:
    """Return an upright ear: ``edge`` is its foot, a bend, its tip, a bend and its other foot."""
    outer = np.concatenate([bow(*edge[:3]), bow(*edge[2:])])
    inner = (outer - middle) * 0.62 + middle
    return [fur(outer, coat, colour), flat(inner, mix(PINK, dark(coat.base, 0.3), shade))]


def _cat_features(dice: Dice, coat: Coat, x: float) -> list[Part]:
    colour, slit, asleep = dice.near(dice.pick(CAT_EYES)), dice.between(0.05, 0.09), dice.chance(0.06)
    parts = [part for s in (-1, 1) for part in _cat_eye(x * 0.8 + s * 0.44, -0.08, s, colour, slit, asleep)]
    nose = smooth(trace("-0.15,0.24 0.15,0.24 0.04,0.39 -0.04,0.39")) + (x, 0)
    parts.append(flat(nose, dice.pick((PINK, NOSE, (70, 52, 56)))))
    for s in (-1, 1):
        parts.append(flat(tube([(x, 0.38), (x + s * 0.05, 0.52), (x + s * 0.25, 0.54)], 0.03, 0.025), INK))
        parts += _whiskers(x + s * 0.34, 0.44, s, coat)
    return parts


def _cat_eye(x: float, y: float, side: int, colour: Colour, slit: float, asleep: bool = False) -> list[Part]:
    if asleep:
        return [flat(tube([(x - 0.24, y), (x, y + 0.12), (x + 0.24, y)], 0.045, 0.045), INK)]
    inner, outer = (x - side * 0.27, y + 0.08), (x + side * 0.29, y - 0.1)
    upper, lower = (x - side * 0.02, y - 0.38), (x + side * 0.1, y + 0.38)
    almond = np.concatenate([bow(inner, upper, outer), bow(outer, lower, inner)])
    rim = (almond - (x, y)) * 1.18 + (x, y)
    pupil = x + side * 0.02
    return [
        flat(rim, INK),
        flat(almond, colour, light(colour, 0.5), 0.6),
        flat(ellipse(pupil, y, slit, 0.21), (16, 14, 18)),
        flat(ellipse(pupil - 0.07, y - 0.09, 0.055, 0.055), WHITE),
    ]


def _whiskers(x: float, y: float, side: int, coat: Coat) -> list[Part]:
    colour = (250, 248, 244) if sum(coat.base) < 560 else (92, 84, 84)
    parts = []
    for k in (-1, 0, 1):
        start, end = np.array((x, y + k * 0.07)), np.array((x + side * 1.12, y + k * 0.28))
        line = tube([start, (start + end) / 2 - (0, 0.06), end], 0.024, 0.01)
        parts.append(Part(line, colour, solid=False))
    return parts


def _cat_profile(dice: Dice, coat: Coat) -> list[Part]:
    tall, parts = dice.between(1.3, 1.55), []
    for x, colour in ((-0.2, dark(coat.ear, 0.2)), (0.3, coat.ear)):
        edge = [(x + 0.5, -0.4), (x + 0.5, -0.9), (x + 0.2, -tall), (x - 0.14, -1.0), (x - 0.34, -0.55)]
        parts += _cat_ear(edge, (x, -0.72), coat, colour, 0.35)
    skull = trace("0,-0.8 -0.55,-0.66 -0.78,-0.2 -1.02,0.16 -1,0.42 -0.72,0.62 0,0.8 0.7,0.62 0.95,0.05 0.65,-0.6")
    return [
        *parts,
        marked_fur(smooth(skull), coat, dice),
        flat(ellipse(-0.72, 0.4, 0.28, 0.2), coat.pale),
        *_cat_eye(-0.42, -0.12, -1, dice.near(dice.pick(CAT_EYES)), 0.06),
        flat(smooth(trace("-1.06,0.12 -0.9,0.1 -0.94,0.26 -1.05,0.26")), NOSE),
        flat(tube(trace("-0.98,0.28 -0.86,0.46 -0.6,0.46"), 0.03, 0.025), INK),
        *_whiskers(-0.66, 0.4, -1, coat),
        *_whiskers(-0.6, 0.44, 1, coat),
    ]


# --- dogs --------------------------------------------------------------------------------------


def _dog_face(dice: Dice, coat: Coat) -> list[Part]:
    x = dice.between(-0.2, 0.2)
    ears = _dog_ears(dice, coat)
    skull = smooth(both_sides(trace("0,-0.88 0.5,-0.8 0.8,-0.4 0.8,0.05 0.66,0.5 0.4,0.92 0,1.05"))[:-1])
    parts = [marked_fur(skull, coat, dice)]
    if dice.chance(0.35):
        blaze = smooth(trace("-0.1,-0.8 0.1,-0.8 0.2,0.2 -0.2,0.2"))
        parts.append(flat(blaze + (x * 0.6, 0), coat.pale))
    parts += [part for s in (-1, 1) for part in _dog_eye(x * 0.7 + s * 0.4, -0.2, coat)]
    if dice.chance(0.6):
        parts += _tongue(x, 1.0, dice.between(0.28, 0.5))
    muzzle = coat.mask or coat.pale
    jaw = smooth(trace("-0.26,0.02 0.26,0.02 0.56,0.5 0.5,0.92 0,1.08 -0.5,0.92 -0.56,0.5"))
    nose = smooth(trace("-0.27,0.16 0,0.1 0.27,0.16 0.22,0.36 0,0.48 -0.22,0.36"))
    parts += [fur(jaw + (x, 0), coat, muzzle), flat(nose + (x, 0), INK)]
    parts.append(flat(ellipse(x - 0.08, 0.2, 0.09, 0.04), (120, 116, 122)))
    lip = trace("0,0.45 0,0.68 0.2,0.82 0.42,0.74")
    parts += [flat(tube(lip * (s, 1) + (x, 0), 0.03, 0.03), dark(muzzle, 0.75)) for s in (-1, 1)]
    return parts + ears


def _dog_ears(dice: Dice, coat: Coat) -> list[Part]:
    long, out = dice.between(0.35, 1.0), dice.between(1.15, 1.4)
    front = [(0.42, -0.84), (0.78, -0.82), (out, -0.3), (out + 0.06, long * 0.6)]
    back = [(out - 0.2, long + 0.12), (0.86, long * 0.75), (0.76, 0.0), (0.66, -0.4)]
    return [fur(smooth(front + back) * (s, 1), coat, coat.ear) for s in (-1, 1)]


def _dog_eye(x: float, y: float, coat: Coat) -> list[Part]:
    return [
        flat(ellipse(x, y, 0.21, 0.22), dark(coat.base, 0.55) if is_bright(coat.base) else light(coat.base, 0.3)),
        flat(ellipse(x, y, 0.17, 0.18), (64, 40, 28)),
        flat(ellipse(x, y, 0.11, 0.12), (18, 14, 16)),
        flat(ellipse(x - 0.06, y - 0.07, 0.055, 0.055), WHITE),
    ]


def _tongue(x: float, y: float, long: float) -> list[Part]:
    shape = trace("-0.2,-0.2 0.2,-0.2 0.22,0 0,0 -0.22,0") + (x, y)
    shape[2:, 1] += long * np.array((0.6, 1, 0.6))
    fold = tube([(x, y), (x, y + long * 0.6)], 0.02, 0.02)
    return [Part(smooth(shape), (226, 106, 118), (150, 60, 70), (180, 70, 84), 0.5), flat(fold, (180, 72, 86))]


def _dog_profile(dice: Dice, coat: Coat) -> list[Part]:
    tip, drop = -dice.between(1.45, 1.85), dice.between(0.5, 0.95)
    parts = _tongue(tip + 0.5, 0.62, dice.between(0.3, 0.5)) if dice.chance(0.5) else []
    snout = [(tip + 0.2, -0.08), (tip, 0.14), (tip + 0.1, 0.44)]
    skull = trace("-0.8,0.6 -0.3,0.74 0.5,0.7 0.85,0.1 0.65,-0.6 0.1,-0.82 -0.5,-0.66 -0.78,-0.24")
    pale = [(-0.9, 0), (tip + 0.24, 0), (tip + 0.06, 0.2), (tip + 0.2, 0.4), (-0.8, 0.5)]
    ear = [(0, -0.66), (0.45, -0.72), (0.82, -0.1), (0.78, drop), (0.4, drop + 0.12), (0.12, drop * 0.5)]
    return [
        *parts,
        marked_fur(smooth(np.concatenate([snout, skull])), coat, dice),
        flat(smooth(pale), coat.mask or coat.pale),
        *_dog_eye(-0.45, -0.22, coat),
        flat(ellipse(tip + 0.06, 0.02, 0.21, 0.18), INK),
        flat(tube([(tip + 0.1, 0.34), (-1.0, 0.4), (-0.62, 0.3)], 0.03, 0.03), dark(coat.pale, 0.75)),
        fur(smooth(ear), coat, coat.ear),
    ]
