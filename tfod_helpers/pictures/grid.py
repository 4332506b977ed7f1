"""Photos in rows, each with a title above and named boxes on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.pictures.cards import FONT_SIZE, POINTS, fitted, grey_card, text_width, why_not, wrapped
from tfod_helpers.pictures.picture import INK, PHOTO_WIDTH, Picture, ink_on, readable, style

_T = TypeVar("_T")
_ASPECTS = (0.5, 2.2)  # a photo narrower or wider than this is shown inside a cell of this shape
_TALLEST = 5.0  # inches, so that a single photo still fits a screen
_GAP, _TITLE, _HEAD, _LEGEND, _CAPTION = 0.12, 0.22, 0.3, 0.24, 0.3  # inches
_SMALL = 8.0  # points, of the words under a photo
_PRINT_DPI = 200  # more pixels than print shows are not kept
_LONGEST_NAME = 32  # letters
_PAD = 2.0  # points between a name and the edge of its label


@dataclass(frozen=True)
class Mark:
    """One box to draw.

    Attributes:
        box_xyxy: ``[xmin, ymin, xmax, ymax]`` in pixels of the photo.
        text: what its label says.
        colour: of line and label.
        dashes: Matplotlib's name of the line style.
    """

    box_xyxy: Sequence[float]
    text: str
    colour: str
    dashes: str = "solid"


@dataclass(frozen=True)
class Panel:
    """One photo of the grid.

    Attributes:
        pixels: decodes it, uint8 of shape (h, w, 3), RGB; asked once, so that one photo is held at a time.
        size: ``(width, height)`` of the frame that the boxes are in.
        name: of the file, shown above it, shortened where room is short.
        note: follows the name, and is never shortened.
        marks: its boxes; the first have the first choice of room for their names.
        caption: stands below it, on at most two lines.
    """

    pixels: Callable[[], np.ndarray]
    size: tuple[int, int]
    name: str
    note: str
    marks: Sequence[Mark]
    caption: str = ""


def spread(items: Sequence[_T], count: int, seed: int | None = None) -> list[_T]:
    """Return ``count`` items in their order: evenly spaced, or drawn at random where there is a seed."""
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    count = min(count, len(items))
    if seed is None:
        return [items[int((place + 0.5) * len(items) / count)] for place in range(count)]
    return [items[index] for index in sorted(np.random.default_rng(seed).choice(len(items), count, replace=False))]


def draw_grid(
    panels: Sequence[Panel],
    columns: int,
    headline: str,
    *,
    pairs: bool = False,
    legend: Sequence[Mark] = (),
    hint: str = "",
) -> Picture:
    """Draw photos in rows of equal height.

    Args:
        panels: the photos.
        columns: photos, or pairs of photos, beside each other.
        headline: the line over all.
        pairs: panels 0 and 1 belong together, 2 and 3, and so on; the first one's title spans both.
        legend: marks whose text explains their line; the box is not used.
        hint: what else explains the grid, at the right of the legend.

    Raises:
        ValueError: ``columns`` is under 1.
    """
    if columns < 1:
        raise ValueError(f"columns must be 1 or more, got {columns}.")
    group = 2 if pairs else 1
    across = min(columns * group, len(panels))
    top = _HEAD + (_LEGEND if legend else 0)
    below = _CAPTION if any(panel.caption for panel in panels) else 0
    cells, bottom = _cells([panel.size[0] / panel.size[1] for panel in panels], across, group, top, below)
    with style():
        picture = Picture(PHOTO_WIDTH, bottom, photos=True)
        headline = fitted(picture, headline, PHOTO_WIDTH, FontProperties(size=12, weight="bold"))
        picture.suptitle(headline, x=0, y=1 - 0.02 / bottom, ha="left", va="top", size=12, weight="bold")
        if legend:
            _draw_legend(picture, legend, hint, 1 - (_HEAD - 0.04) / bottom)
        for panel, cell in zip(panels, cells, strict=True):
            _draw_panel(picture, panel, cell, cell[2] * group)
    return picture


def _cells(
    aspects: Sequence[float], across: int, group: int, top: float, below: float
) -> tuple[list[tuple[float, float, float, float]], float]:
    """Share the width of each row out by the photos' shapes.

    Returns:
        ``(left, top, width, height)`` in inches from the top left corner for each photo, and the total height.
    """
    shown = np.clip(aspects, *_ASPECTS)
    gaps = [_GAP / 3 if index % group != group - 1 else _GAP for index in range(across - 1)]
    cells = []
    for start in range(0, len(shown), across):
        row = shown[start : start + across]
        # A last row that is not full is as high as if its empty places held photos of average shape.
        total = row.sum() + (across - len(row)) * shown.mean()
        height = min((PHOTO_WIDTH - sum(gaps)) / total, _TALLEST)
        left = 0.0
        for aspect, gap in zip(row, [*gaps, 0], strict=False):
            cells.append((left, top + _TITLE, aspect * height, height))
            left += aspect * height + gap
        top += _TITLE + height + below + _GAP
    return cells, top


def _draw_panel(picture: Picture, panel: Panel, cell: tuple[float, float, float, float], room: float) -> None:
    """Draw one photo into ``cell``; its title is at most ``room`` inches wide."""
    left, top, width, height = cell
    scale = min(width / panel.size[0], height / panel.size[1])  # inches a pixel
    wide, high = panel.size[0] * scale, panel.size[1] * scale
    x, y = left + (width - wide) / 2, top + (height - high) / 2
    page_wide, page_high = picture.get_size_inches()
    axes = picture.add_axes((x / page_wide, 1 - (y + high) / page_high, wide / page_wide, high / page_high))
    axes.set_axis_off()
    extent = (0.0, float(panel.size[0]), float(panel.size[1]), 0.0)
    try:
        axes.imshow(thumbnail(panel.pixels(), wide, high), extent=extent, aspect="auto")
    except (OSError, photos.PhotoError) as error:
        grey_card(picture, axes, extent, why_not(error))
    axes.annotate(
        _title(picture, panel, room), (0, 1), ((left - x) * POINTS, (y - top) * POINTS + 3), "axes fraction",
        "offset points", annotation_clip=False,
    )  # fmt: skip
    caption = wrapped(picture, panel.caption, width, 2, FontProperties(size=_SMALL))
    picture.text(
        left / page_wide, 1 - (top + height + 0.03) / page_high, "\n".join(caption), va="top", size=_SMALL,
        linespacing=1.2,
    )  # fmt: skip
    for mark in sorted(panel.marks, key=lambda mark: -_area(mark)):  # small boxes stay on top of large ones
        draw_box(axes, mark, panel.size, scale)
    # Names may use the whole cell, or those on a narrow photo would have no room.
    room_xyxy = np.array((left - x, top - y, left + width - x, top + height - y)) / scale
    taken: list[Sequence[float]] = []
    for mark in panel.marks:
        draw_name(picture, axes, mark, room_xyxy, scale, taken)


def _title(picture: Picture, panel: Panel, room: float) -> str:
    if not (panel.name and panel.note):
        return fitted(picture, panel.name or panel.note, room)
    name = fitted(picture, panel.name, room - text_width(picture, f": {panel.note}"))
    return f"{name}: {panel.note}"


def thumbnail(pixels: np.ndarray, wide: float, high: float) -> np.ndarray:
    """Scale a photo down to the pixels that print shows of it on ``wide`` times ``high`` inches."""
    image = Image.fromarray(pixels)
    image.thumbnail((max(1, round(wide * _PRINT_DPI)), max(1, round(high * _PRINT_DPI))), reducing_gap=2)
    return np.asarray(image)


def _area(mark: Mark) -> float:
    xmin, ymin, xmax, ymax = mark.box_xyxy
    return (xmax - xmin) * (ymax - ymin)


def draw_box(axes: Axes, mark: Mark, size: tuple[int, int], scale: float) -> None:
    """Draw the line of a box, as far as it lies within a photo of ``size``, at ``scale`` inches a pixel."""
    xmin, ymin, xmax, ymax = np.clip(mark.box_xyxy, 0, [*size, *size]).tolist()
    shorter = min(xmax - xmin, ymax - ymin) * scale * POINTS
    line = float(np.clip(shorter / 12, 0.8, 2.0))
    place = ((xmin, ymin), xmax - xmin, ymax - ymin)
    edges = {"fill": False, "joinstyle": "miter", "clip_on": False}  # whole lines along the photo's edge too
    # The casing, dark around light colours and light around dark ones, parts the line from any photo.
    axes.add_patch(Rectangle(*place, ec=ink_on(mark.colour), lw=line + 1, alpha=0.8, **edges))
    axes.add_patch(Rectangle(*place, ec=mark.colour, lw=line, ls=mark.dashes, gid="box", **edges))


def draw_name(
    picture: Picture, axes: Axes, mark: Mark, room_xyxy: np.ndarray, scale: float, taken: list[Sequence[float]]
) -> None:
    """Draw the name of a box where it covers no other name, and note where that is in ``taken``."""
    inches = (room_xyxy[2] - room_xyxy[0]) * scale
    text = fitted(picture, readable(mark.text, _LONGEST_NAME), inches - 2 * _PAD / POINTS)
    wide = (text_width(picture, text) + 2 * _PAD / POINTS) / scale
    high = (FONT_SIZE * 1.2 + _PAD) / POINTS / scale
    place_xyxy = _place(mark.box_xyxy, (wide, high), room_xyxy, taken)
    if place_xyxy is None:  # two names on one spot say less than one
        return
    x, y = place_xyxy[:2]
    taken.append(place_xyxy)
    axes.add_patch(Rectangle((x, y), wide, high, fc=mark.colour, ec="none", zorder=3, clip_on=False, gid="name"))
    axes.text(
        x + wide / 2, y + high / 2, text, ha="center", va="center_baseline", color=ink_on(mark.colour),
        zorder=4,
    )  # fmt: skip


def _place(
    box_xyxy: Sequence[float], label: tuple[float, float], room_xyxy: Sequence[float], taken: Sequence[Sequence[float]]
) -> Sequence[float] | None:
    """Return the first place for a label of ``(width, height)`` at the box that is in the room and free."""
    xmin, ymin, xmax, ymax = map(float, box_xyxy)
    wide, high = label
    left, top, right, bottom = room_xyxy
    for y in (ymin - high, ymin, ymax - high, ymax):
        for x in (xmin, xmax - wide):
            x = max(min(x, right - wide), left)
            free = all(x >= t[2] or x + wide <= t[0] or y >= t[3] or y + high <= t[1] for t in taken)
            if free and y >= top and y + high <= bottom:
                return x, y, x + wide, y + high
    return None


def _draw_legend(picture: Picture, legend: Sequence[Mark], hint: str, y: float) -> None:
    lines = [
        Line2D(
            [], [], color=mark.colour, lw=2.5, ls=mark.dashes,
            path_effects=[withStroke(linewidth=3.5, foreground=ink_on(mark.colour))],
        )
        for mark in legend
    ]  # fmt: skip
    picture.legend(
        lines, [mark.text for mark in legend], ncols=len(lines), loc="upper left", bbox_to_anchor=(0, y),
        borderpad=0, borderaxespad=0, handlelength=3, columnspacing=1.5, labelcolor=INK,
    )  # fmt: skip
    picture.text(1, y, hint, ha="right", va="top")
