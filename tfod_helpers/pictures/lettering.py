"""Text on a page: how wide it is, shortened to fit, and broken into lines."""

from __future__ import annotations

from matplotlib.font_manager import FontProperties

from tfod_helpers.annotations.appearance import readable
from tfod_helpers.pictures.picture import Picture

POINTS = 72  # points an inch
LINE = 1.25  # height of a line of text, as a share of the font's size
FONT = FontProperties(size=9)  # of titles, and of names on photos


def text_width(picture: Picture, text: str, font: FontProperties = FONT) -> float:
    """Return the width of a text in inches."""
    return picture.agg.get_renderer().get_text_width_height_descent(text, font, False)[0] / picture.dpi


def fitted(picture: Picture, text: str, wide: float, font: FontProperties = FONT) -> str:
    """Shorten a text in the middle until it is no wider than ``wide`` inches."""
    shown = readable(text, 100)
    while len(shown) > 3 and text_width(picture, shown, font) > wide:
        shown = readable(text, len(shown) - 1)
    return shown


def wrapped(picture: Picture, text: str, wide: float, lines: int, font: FontProperties) -> list[str]:
    """Break a text into at most ``lines`` lines, no wider than ``wide`` inches; an ellipsis says that more is left."""
    words = readable(text, 400).split()
    made: list[str] = []
    while words and len(made) < lines:
        line = words.pop(0)
        while words and text_width(picture, f"{line} {words[0]}", font) <= wide:
            line = f"{line} {words.pop(0)}"
        made.append(fitted(picture, line, wide, font))  # a word may be wider than the line
    if words and made:
        last = made[-1]
        while last and text_width(picture, f"{last}…", font) > wide:
            last = last[:-1]
        made[-1] = f"{last}…"
    return made
