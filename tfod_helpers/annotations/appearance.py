"""How a class looks in every picture and video: its colour, the ink on it, and letters that a font has for its name."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np

BLUE, ORANGE, SKY, VERMILLION, YELLOW = "#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#F0E442"
# Okabe and Ito's colour-blind-safe set (jfly.uni-koeln.de/color) without black, so ordered that the first
# two differ in brightness as well; then Matplotlib's tab20, where only the names still tell classes apart.
PALETTE = (
    *(ORANGE, BLUE, "#009E73", "#CC79A7", SKY, VERMILLION, YELLOW),
    *("#1f77b4", "#aec7e8", "#ff7f0e", "#ffbb78", "#2ca02c", "#98df8a", "#d62728", "#ff9896", "#9467bd", "#c5b0d5"),
    *("#8c564b", "#c49c94", "#e377c2", "#f7b6d2", "#7f7f7f", "#c7c7c7", "#bcbd22", "#dbdb8d", "#17becf", "#9edae5"),
)
# Fonts for the scripts that DejaVu Sans has no letters for, on Linux, macOS and Windows; used where installed.
_FONTS = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Emoji", "Arial Unicode MS"),
    *("Hiragino Sans", "PingFang SC", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Segoe UI Emoji"),
)


def colour_of(class_id: int) -> str:
    """Return the colour of a class, such as ``#E69F00``: the same id has it in every picture."""
    return PALETTE[(class_id - 1) % len(PALETTE)]


def ink_on(colour: str) -> str:
    """Return black or white, whichever reads better on ``colour``, ``#rrggbb`` (WCAG 2.2 relative luminance)."""
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def readable(text: object, most: int = 60) -> str:
    """Return ``text`` on one line, at most ``most`` letters, all of which some installed font can draw.

    The middle is what is left out, as the ends tell files and classes apart.
    """
    line = " ".join(unicodedata.normalize("NFC", str(text)).split())
    drawn = "".join(map(_drawable, line))
    if len(drawn) <= most:
        return drawn
    tail = (most - 1) // 2
    return f"{drawn[: most - 1 - tail]}…{drawn[len(drawn) - tail :]}"


@functools.cache
def families() -> tuple[str, ...]:
    """Return the names of the installed fonts that text is drawn with; the first has Latin, Greek and Cyrillic."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _FONTS if name in installed)


def font_for(text: str) -> str:
    """Return the file of the font that has the most letters of a text, for programs that draw with one font alone."""
    wanted = set(map(ord, text))
    return max(map(_font_file, families()), key=lambda path: len(wanted & _letters_of(path)))


def _drawable(letter: str) -> str:
    """Return a letter as some font can draw it: itself, nothing for a lone joiner or accent, else a box."""
    if any(ord(letter) in _letters_of(path) for path in map(_font_file, families())):
        return letter
    return "" if unicodedata.category(letter) in ("Cc", "Cf", "Mn") else "\N{WHITE SQUARE}"


@functools.cache
def _font_file(family: str) -> str:
    from matplotlib import font_manager

    return font_manager.findfont(font_manager.FontProperties(family=[family]))


@functools.cache
def _letters_of(path: str) -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(path).get_charmap())
