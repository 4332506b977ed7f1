"""Backgrounds, in the frame's pixels: rooms, gardens, streets, nights, beaches and plain cloths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from coats import FURS
from drawing import Colour, Dice, Part, blot, box, dark, ellipse, flat, light, mix, smooth
from things import BRIGHT, GREENS, WOODS, lined

WALLS: tuple[Colour, ...] = (
    *((214, 204, 186), (178, 196, 200), (196, 176, 166), (168, 186, 160), (224, 214, 222)),
    *((120, 136, 150), (150, 110, 96), (232, 222, 196), (92, 104, 112)),
)
DAYS: tuple[Colour, ...] = ((150, 196, 232), (196, 216, 228), (244, 206, 164), (206, 206, 206))
NIGHTS: tuple[Colour, ...] = ((28, 34, 66), (40, 30, 62), (20, 40, 60))
PANES: tuple[Colour, ...] = ((244, 220, 150), (120, 146, 170), (60, 70, 88))


@dataclass(frozen=True)
class Scene:
    """A background: its parts, and the highest y at which something can stand."""

    parts: list[Part]
    ground: float


def draw_scene(dice: Dice, width: int, height: int) -> Scene:
    """Draw one of the backgrounds, in the frame's pixels."""
    return dice.pick((_room, _room, _room, _garden, _garden, _street, _night, _beach, _cloth))(dice, width, height)


# --- indoors -----------------------------------------------------------------------------------


def _room(dice: Dice, w: int, h: int) -> Scene:
    wall, wood, y = dice.near(dice.pick(WALLS)), dice.near(dice.pick(WOODS)), h * dice.between(0.5, 0.72)
    parts = [flat(box(0, 0, w, h), wall, dark(wall, 0.5), dice.between(0, 0.5)), *_wallpaper(dice, w, y, wall)]
    if dice.chance(0.55):
        parts += _window(dice, dice.between(0.02, 0.6) * w, 0.07 * h, dice.between(0.25, 0.4) * w, y * 0.66)
    for _ in range(dice.whole(0, 2)):
        parts += _painting(dice, dice.between(0, 0.9) * w, y * 0.16, dice.between(0.1, 0.2) * min(w, h))
    parts += [flat(box(0, y, w, h), wood, dark(wood, 0.5), 0.5), *_boards(dice, w, h, y, wood)]
    parts.append(flat(box(0, y - h * 0.03, w, y), light(wall, 0.6)))
    if dice.chance(0.5):
        parts += _sofa(dice, w, h, y)
    if dice.chance(0.5):
        parts += _rug(dice, dice.between(0.25, 0.75) * w, (y + h) / 2, 0.4 * w, (h - y) * 0.36)
    return Scene(parts, y + 0.04 * h)


def _wallpaper(dice: Dice, w: int, y: float, wall: Colour) -> list[Part]:
    style, step = dice.whole(0, 3), w / dice.whole(7, 14)
    if style == 0:
        return [flat(box(x, 0, x + step * 0.45, y), light(wall, 0.25)) for x in np.arange(0, w, step)]
    if style == 1:
        dots = [((k % 2) * step / 2 + x, k * step) for k in range(int(y / step) + 1) for x in np.arange(0, w, step)]
        return [flat(ellipse(*dot, step * 0.14, step * 0.14), dark(wall, 0.16)) for dot in dots]
    return []


def _window(dice: Dice, x: float, top: float, wide: float, bottom: float) -> list[Part]:
    sky, frame = dice.pick((*DAYS, (54, 66, 104))), dice.pick(((240, 238, 230), (120, 88, 64)))
    across, down = x + wide / 2, (top + bottom) / 2
    parts = [
        lined(box(x, top, x + wide, bottom), frame),
        flat(box(x + 4, top + 4, x + wide - 4, bottom - 4), sky, light(sky, 0.7), 0.8),
        flat(box(across - 1.5, top, across + 1.5, bottom), frame),
        flat(box(x, down - 1.5, x + wide, down + 1.5), frame),
    ]
    if dice.chance(0.5):
        cloth, low = dice.near(dice.pick(BRIGHT)), bottom + 8
        for s, edge in ((1, x - wide * 0.16), (-1, x + wide * 1.16)):
            inner = edge + s * wide * 0.3
            drape = [(edge, top - 5), (inner + s * wide * 0.08, top - 5), (inner - s * 4, low), (edge, low)]
            parts.append(lined(drape, cloth))
    return parts


def _painting(dice: Dice, x: float, y: float, size: float) -> list[Part]:
    inside = flat(box(x + 4, y + 4, x + size - 4, y + size * 1.2 - 4), dice.near(dice.pick(BRIGHT)), (84, 124, 70), 0.9)
    return [lined(box(x, y, x + size, y + size * 1.2), dice.pick(WOODS)), inside]


def _boards(dice: Dice, w: int, h: int, y: float, wood: Colour) -> list[Part]:
    middle, feet = w * dice.between(0.3, 0.7), np.linspace(-1.2 * w, 2.2 * w, dice.whole(14, 24))
    if dice.chance(0.35):
        return []
    tops = middle + (feet - middle) * 0.5
    lines = [[(a, y), (a + 1, y), (b + 1.5, h), (b, h)] for a, b in zip(tops, feet, strict=True)]
    return [flat(line, dark(wood, 0.25)) for line in lines]


def _sofa(dice: Dice, w: int, h: int, y: float) -> list[Part]:
    colour = dice.near(dice.pick((*WALLS, *BRIGHT, *FURS)), 10)
    x, wide, tall = dice.between(-0.2, 0.35) * w, dice.between(0.65, 0.9) * w, dice.between(0.24, 0.34) * h
    low, arm, seat = y + h * 0.05, wide * 0.12, wide * 0.38
    parts = [lined(box(x + arm / 2, low - tall, x + wide - arm / 2, low - tall * 0.1), colour)]
    for left in (x + arm, x + arm + seat):
        cushion = smooth(box(left, low - tall * 0.55, left + seat, low - tall * 0.12))
        parts.append(lined(cushion, light(colour, 0.12)))
    for left in (x, x + wide - arm):
        parts.append(lined(smooth(box(left, low - tall * 0.72, left + arm, low)), dark(colour, 0.1)))
    return parts


def _rug(dice: Dice, x: float, y: float, rx: float, ry: float) -> list[Part]:
    colour, other = dice.near(dice.pick(BRIGHT)), dice.near(dice.pick(WALLS))
    rings = ((1, dark(colour, 0.2)), (0.85, other), (0.68, colour))
    return [flat(ellipse(x, y, rx * share, ry * share), ring) for share, ring in rings]


def _cloth(dice: Dice, w: int, h: int) -> Scene:
    """A plain backdrop: a gradient with discs, squares or blots on it, or with nothing."""
    colour, other = dice.near(dice.pick((*WALLS, *BRIGHT, *GREENS, *FURS))), dice.near(dice.pick((*WALLS, *BRIGHT)))
    parts = [flat(box(0, 0, w, h), colour, other, dice.between(0.2, 1))]
    style, side = dice.whole(0, 3), w / dice.whole(5, 10)
    if style == 0:
        sizes = [dice.between(0.03, 0.13) * w for _ in range(18)]
        spots = [ellipse(dice.between(0, w), dice.between(0, h), size, size) for size in sizes]
        parts += [flat(spot, mix(colour, dice.pick(BRIGHT), 0.35)) for spot in spots]
    elif style == 1:
        rows = range(int(h / side) + 1)
        corners = [(x, k * side) for k in rows for x in np.arange((k % 2) * side, w, 2 * side)]
        parts += [flat(box(x, y, x + side, y + side), light(colour, 0.2)) for x, y in corners]
    elif style == 2:
        sizes = [dice.between(0.1, 0.25) * w for _ in range(12)]
        spots = [blot(dice, dice.between(0, w), dice.between(0, h), size) for size in sizes]
        parts += [flat(spot, dice.near(colour, 30)) for spot in spots]
    return Scene(parts, h * dice.between(0.4, 0.6))


# --- outdoors ----------------------------------------------------------------------------------


def _garden(dice: Dice, w: int, h: int) -> Scene:
    y, sky, grass = h * dice.between(0.38, 0.6), dice.near(dice.pick(DAYS)), dice.near(dice.pick(GREENS))
    parts = [flat(box(0, 0, w, y + 5), sky, light(sky, 0.6), 0.9)]
    for _ in range(dice.whole(0, 3)):
        x, top, size = dice.between(0, w), dice.between(0.05, 0.25) * h, dice.between(0.04, 0.08) * w
        puffs = [ellipse(x + k * size, top, size * (1.2 - abs(k) * 0.3), size * 0.6) for k in (-1, 0, 1)]
        parts += [flat(puff, light(sky, 0.75)) for puff in puffs]
    for k in range(dice.whole(1, 2)):
        ridge = [(x, y - h * dice.between(0.02, 0.16)) for x in np.linspace(0, w, 5)]
        parts.append(flat(smooth([(-10, y + 4), *ridge, (w + 10, y + 4)]), mix(grass, sky, 0.55 - 0.2 * k)))
    for _ in range(dice.whole(0, 4)):
        parts += _tree(dice, dice.between(0, w), y + dice.between(0, 0.06) * h, dice.between(0.2, 0.42) * h)
    parts.append(flat(box(0, y, w, h), grass, dark(grass, 0.5), dice.between(0.2, 0.7)))
    if dice.chance(0.35):
        parts += _fence(dice, w, y, h * dice.between(0.16, 0.26))
    if dice.chance(0.3):
        path = [(w * 0.45, y), (w * 0.52, y), (w * dice.between(0.6, 1), h), (w * dice.between(0, 0.4), h)]
        parts.append(flat(path, dice.near(dice.pick(WOODS))))
    for _ in range(dice.whole(30, 90)):
        size = 3 + 7 * (depth := dice.between(0, 1))
        x, base, lean = dice.between(0, w), y + depth * (h - y), dice.between(-0.4, 0.4) * size
        parts.append(flat([(x - 1, base), (x + lean, base - size), (x + 1, base)], dice.near(dark(grass, 0.15), 22)))
    for _ in range(dice.whole(0, 14)):
        size = 1.2 + 2.2 * (depth := dice.between(0.05, 1))
        parts.append(flat(ellipse(dice.between(0, w), y + depth * (h - y), size, size * 0.8), dice.pick(BRIGHT)))
    return Scene(parts, y + 0.1 * h)


def _tree(dice: Dice, x: float, y: float, tall: float) -> list[Part]:
    leaf = dice.near(dice.pick(GREENS))
    parts = [flat(box(x - tall * 0.05, y - tall * 0.5, x + tall * 0.05, y), dice.near((96, 74, 58)))]
    if dice.chance(0.3):
        for k in range(3):
            wide, foot = tall * (0.36 - k * 0.08), y - tall * (0.2 + 0.24 * k)
            parts.append(flat([(x - wide, foot), (x, foot - tall * 0.42), (x + wide, foot)], dark(leaf, 0.3 - 0.1 * k)))
        return parts
    for dx, dy, shade in ((-0.12, 0.6, 0.25), (0.14, 0.62, 0.15), (0, 0.78, 0.0)):
        parts.append(flat(blot(dice, x + dx * tall, y - dy * tall, tall * 0.32), dark(leaf, shade)))
    return parts


def _fence(dice: Dice, w: int, y: float, tall: float) -> list[Part]:
    colour, wide = dice.near(dice.pick((*WOODS, (236, 234, 228)))), tall * 0.27
    parts = [flat(box(0, y - tall * k, w, y - tall * (k - 0.1)), dark(colour, 0.2)) for k in (0.35, 0.75)]
    low, top = y + 3, y - tall * 0.9
    for x in np.arange(-wide, w, wide * 1.55):
        picket = [(x, low), (x, top), (x + wide / 2, y - tall), (x + wide, top), (x + wide, low)]
        parts.append(flat(picket, colour, dark(colour, 0.5)))
    return parts


def _street(dice: Dice, w: int, h: int) -> Scene:
    y, sky = h * dice.between(0.5, 0.66), dice.near(dice.pick((*DAYS, (120, 130, 150))))
    parts, x = [flat(box(0, 0, w, h), sky, light(sky, 0.5), 0.7)], -0.1 * w
    while x < w:
        wide = dice.between(0.18, 0.36) * w
        parts += _house(dice, x, y * dice.between(0.02, 0.55), x + wide, y)
        x += wide
    stone = dice.near(dice.pick(((150, 148, 146), (120, 118, 120), (176, 168, 156))))
    parts += [flat(box(0, y, w, h), stone, dark(stone, 0.4), 0.5), flat(box(0, y, w, y + 4), light(stone, 0.3))]
    if dice.chance(0.4):
        lines = np.linspace(y, h, 7)
        return Scene(parts + [flat(box(0, line, w, line + 1), dark(stone, 0.2)) for line in lines], y + 0.06 * h)
    edge, dash = h * dice.between(0.8, 0.92), w / 5
    parts += [flat(box(0, edge, w, h), dark(stone, 0.5)), flat(box(0, edge - 4, w, edge), light(stone, 0.4))]
    top, low = edge + (h - edge) * 0.5, edge + (h - edge) * 0.62
    parts += [flat(box(k * dash, top, k * dash + dash / 2, low), (226, 222, 206)) for k in range(5)]
    return Scene(parts, y + 0.06 * h)


def _house(dice: Dice, left: float, top: float, right: float, y: float) -> list[Part]:
    wall, lit, pane = dice.near(dice.pick(WALLS)), dice.pick(PANES), (right - left) / 7
    parts = [flat(box(left, top, right, y), dark(wall, 0.15), dark(wall, 0.5), 0.5)]
    for py in np.arange(top + pane, y - pane * 2, pane * 2.2):
        for px in np.arange(left + pane, right - pane * 1.5, pane * 2):
            colour = lit if dice.chance(0.7) else dark(lit, 0.4)
            parts.append(flat(box(px, py, px + pane, py + pane * 1.3), colour))
    return parts


def _night(dice: Dice, w: int, h: int) -> Scene:
    y, sky = h * dice.between(0.45, 0.65), dice.near(dice.pick(NIGHTS), 8)
    ground = dice.near(dice.pick(((52, 66, 58), (62, 58, 74), (58, 54, 56))), 8)
    parts = [flat(box(0, 0, w, h), sky, light(sky, 0.35), 0.8)]
    for _ in range(30):
        size = dice.between(0.4, 1.1)
        parts.append(flat(ellipse(dice.between(0, w), dice.between(0, y), size, size), (240, 238, 214)))
    x, top, size = dice.between(0.1, 0.9) * w, dice.between(0.08, 0.2) * h, dice.between(0.04, 0.08) * h
    glow = flat(ellipse(x, top, size * 1.5, size * 1.5), light(sky, 0.18))
    parts += [glow, flat(ellipse(x, top, size, size), (244, 238, 206))]
    for left in np.arange(-0.1 * w, w, dice.between(0.2, 0.3) * w):
        wide, roof = dice.between(0.14, 0.24) * w, y - dice.between(0.08, 0.28) * h
        right, ridge = left + wide, (left + wide / 2, roof - 0.08 * h)
        parts.append(flat([(left, y), (left, roof), ridge, (right, roof), (right, y)], dark(sky, 0.5)))
        if dice.chance(0.6):
            parts.append(flat(box(left + wide * 0.3, roof + 8, left + wide * 0.3 + 9, roof + 20), (236, 196, 104)))
    parts.append(flat(box(0, y, w, h), ground, dark(ground, 0.5), 0.6))
    if dice.chance(0.5):  # a lamp's light
        pool = ellipse(dice.between(0.2, 0.8) * w, (y + h) / 2, 0.45 * w, (h - y) * 0.4)
        parts.append(flat(pool, light(ground, 0.2)))
    return Scene(parts, y + 0.08 * h)


def _beach(dice: Dice, w: int, h: int) -> Scene:
    horizon, y = h * dice.between(0.25, 0.4), h * dice.between(0.5, 0.6)
    sky, sand = dice.near(dice.pick(DAYS)), dice.near((222, 198, 152))
    sea = dice.near(dice.pick(((70, 142, 170), (60, 110, 150), (110, 160, 160))))
    edge = [(x, y + dice.between(-0.02, 0.03) * h) for x in np.linspace(0, w, 7)]
    shore = smooth([(-10, y), *edge, (w + 10, y), (w + 10, h + 40), (-10, h + 40)])
    parts = [flat(box(0, 0, w, h), sky, light(sky, 0.6), 0.9), flat(box(0, horizon, w, h), sea, light(sea, 0.4), 0.6)]
    for _ in range(dice.whole(0, 2)):
        x, size = dice.between(0.05, 0.95) * w, dice.between(0.05, 0.1) * w
        sail = [(x, horizon - size * 1.4), (x + size * 0.7, horizon - size * 0.2), (x, horizon - size * 0.2)]
        hull = [(-0.5, -0.1), (0.8, -0.1), (0.5, 0.12), (-0.3, 0.12)]
        parts.append(flat(sail, dice.pick(BRIGHT)))
        parts.append(flat(np.array(hull) * size + (x, horizon), (110, 80, 60)))
    parts += [flat(shore - (0, 4), (246, 246, 240)), flat(shore, sand, dark(sand, 0.3), 0.5)]
    for _ in range(dice.whole(4, 24)):
        size = dice.between(0.8, 3)
        pebble = ellipse(dice.between(0, w), dice.between(y + 12, h), size * 1.6, size)
        parts.append(flat(pebble, dice.near(dark(sand, 0.2))))
    return Scene(parts, y + 0.08 * h)
