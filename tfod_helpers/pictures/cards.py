"""Text that fits its place, and the grey card that stands for a photo which cannot be shown."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from tfod_helpers import photos
from tfod_helpers.pictures.picture import FAINT, Picture, readable

POINTS = 72  # points an inch
FONT_SIZE = 9.0  # points, of names and titles on photos
GROUND = "#EEEEEE"  # of a grey card, and around a photo that does not fill its place
_LINE = 1.25  # height of a line of text, as a share of the font's size


def text_width(picture: Picture, text: str, font: FontProperties | None = None) -> float:
    """Return the width of a text in inches, in the font of names and titles unless told otherwise."""
    font = font or FontProperties(size=FONT_SIZE)
    return picture.canvas.get_renderer().get_text_width_height_descent(text, font, False)[0] / picture.dpi


def line_height(size: float) -> float:
    """Return the height of a line of text in inches, for a font size in points."""
    return size * _LINE / POINTS


def fitted(picture: Picture, text: str, inches: float, font: FontProperties | None = None) -> str:
    """Shorten a text in the middle until it is no wider than ``inches``."""
    shown = readable(text, 100)
    while len(shown) > 3 and text_width(picture, shown, font) > inches:
        shown = readable(text, len(shown) - 1)
    return shown


def wrapped(picture: Picture, text: str, inches: float, lines: int, font: FontProperties | None = None) -> list[str]:
    """Break a text into at most ``lines`` lines, no wider than ``inches``; an ellipsis says that more is left."""
    words = readable(text, 400).split()
    made: list[str] = []
    while words and len(made) < lines:
        line = words.pop(0)
        while words and text_width(picture, f"{line} {words[0]}", font) <= inches:
            line = f"{line} {words.pop(0)}"
        made.append(fitted(picture, line, inches, font))  # a word may be wider than the line
    if words:
        last = made[-1]
        while last and text_width(picture, f"{last}…", font) > inches:
            last = last[:-1]
        made[-1] = f"{last}…"
    return made


def why_not(error: Exception) -> str:
    """Say in a few words why a photo cannot be shown."""
    if isinstance(error, FileNotFoundError):
        return "the photo is not there"
    return error.what if isinstance(error, photos.PhotoError) else getattr(error, "strerror", None) or str(error)


def grey_card(picture: Picture, axes: Axes, extent: tuple[float, float, float, float], reason: str) -> None:
    """Draw what stands in the place of a photo: a grey ground with the reason in its middle.

    Args:
        picture: the figure of the axes.
        axes: where to draw.
        extent: ``(left, right, bottom, top)`` of the card in the data's coordinates, as `Axes.imshow` takes it.
        reason: why there is no photo.
    """
    left, right, bottom, top = extent
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fc=GROUND, ec="none", gid="card"))
    wide, high = axes.get_position().size * picture.get_size_inches()
    font = FontProperties(size=FONT_SIZE)
    lines = wrapped(picture, reason, wide * 0.9, max(1, int(high / line_height(FONT_SIZE)) - 1), font)
    axes.text(
        0.5, 0.5, "\n".join(lines), transform=axes.transAxes, ha="center", va="center", size=FONT_SIZE, color=FAINT,
        linespacing=_LINE,
    )  # fmt: skip
