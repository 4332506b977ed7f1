"""The page of every gallery: photos in rows as wide as it, under a headline and a legend."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from tfod_helpers.annotations.appearance import ink_on
from tfod_helpers.pictures.lettering import LINE, POINTS, fitted
from tfod_helpers.pictures.panels import Mark, Panel, Place, draw_panel, read_all
from tfod_helpers.pictures.picture import INK, PHOTO_WIDTH, Picture, style

_T = TypeVar("_T")
_TALLEST = 5.0  # inches, so that a single photo still fits a screen
GAP, _INNER_GAP, _TITLE, _HEAD, _LEGEND = 0.12, 0.04, 0.22, 0.3, 0.24  # inches


def spread(items: Sequence[_T], count: int, seed: int | None = None) -> list[_T]:
    """Return ``count`` items in their order: evenly spaced, or sampled where there is a seed."""
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    count = min(count, len(items))
    if seed is None:
        return [items[int((place + 0.5) * len(items) / count)] for place in range(count)]
    return [items[index] for index in sorted(np.random.default_rng(seed).choice(len(items), count, replace=False))]


def in_rows(groups: Sequence[Sequence[_T]], columns: int) -> list[list[_T]]:
    """Return the panels of ``columns`` groups to a row."""
    if columns < 1:
        raise ValueError(f"columns must be 1 or more, got {columns}.")
    return [list(itertools.chain(*groups[start : start + columns])) for start in range(0, len(groups), columns)]


def view_around(
    boxes_xyxy: np.ndarray, size: tuple[int, int], *, aspect: float, around: float, least: float
) -> np.ndarray:
    """Return the crop of a photo that shows some boxes.

    It reaches over the photo's edge only where the photo is too narrow or too low for its shape.

    Args:
        boxes_xyxy: shape (n, 4), pixels; they may reach over the photo's edge.
        size: ``(width, height)`` of the photo.
        aspect: width by height of the crop.
        around: what to show on each side of the boxes, as a share of their longer side.
        least: pixels that the crop is high, at least.

    Returns:
        ``[xmin, ymin, xmax, ymax]``, float64.
    """
    boxes_xyxy = np.clip(boxes_xyxy, 0, [*size, *size])
    low, high = boxes_xyxy[:, :2].min(axis=0), boxes_xyxy[:, 2:].max(axis=0)
    wide, tall = np.minimum((high - low) + 2 * around * (high - low).max(), size)
    tall = max(tall, wide / aspect, least)
    sides = np.array([tall * aspect, tall])
    beyond = np.array(size) - sides  # below 0 where the photo is smaller, which then lies in the middle
    start = np.where(beyond < 0, beyond / 2, np.clip((low + high - sides) / 2, 0, np.maximum(beyond, 0)))
    return np.concatenate([start, start + sides])


def draw_gallery(
    rows: Sequence[Sequence[Panel | None]],
    headline: str,
    *,
    gap: float = GAP,
    tallest: float = _TALLEST,
    lines: int = 0,
    font_size: float = 8.0,
    legend: Sequence[Mark] = (),
    hint: str = "",
) -> Picture:
    """Draw photos in rows as wide as the page.

    Args:
        rows: the panels; None leaves a place empty.
        headline: the line over all.
        gap: inches between panels.
        tallest: inches that a panel is high at most.
        lines: of text below each panel.
        font_size: points, of that text.
        legend: marks whose text explains their line; the box is not used.
        hint: what else explains the gallery, at the right of the legend.
    """
    below = 0.03 + lines * font_size * LINE / POINTS if lines else 0.0
    places, height = _layout(rows, _HEAD + (_LEGEND if legend else 0), below, gap, tallest)
    with style():
        picture = Picture(PHOTO_WIDTH, height, photos=True)
        headline = fitted(picture, headline, PHOTO_WIDTH, FontProperties(size=12, weight="bold"))
        picture.suptitle(headline, x=0, y=1 - 0.02 / height, ha="left", va="top", size=12, weight="bold")
        if legend:
            _draw_legend(picture, legend, hint, 1 - (_HEAD - 0.04) / height)
        filled = [[panel for panel in row if panel] for row in rows]
        pixels = iter(read_all(list(itertools.chain(*filled)), list(itertools.chain(*places))))
        for panels, row in zip(filled, places, strict=True):
            title_rooms = _rooms(row, [bool(panel.title) for panel in panels])
            text_rooms = _rooms(row, [bool(panel.faint or panel.caption) for panel in panels])
            for panel, place, rooms in zip(panels, row, zip(title_rooms, text_rooms, strict=True), strict=True):
                draw_panel(picture, panel, place, next(pixels), rooms=rooms, lines=lines, font_size=font_size)
    return picture


def _layout(
    rows: Sequence[Sequence[Panel | None]], top: float, below: float, gap: float, tallest: float
) -> tuple[list[list[Place]], float]:
    """Share the width of each row out by the panels' shapes; return where each panel lies, and the page's height."""
    places: list[list[Place]] = []
    height = tallest
    for number, row in enumerate(rows):
        first = next(panel for panel in row if panel)
        aspects = [panel.place_aspect if panel else first.place_aspect for panel in row]
        gaps = [gap if panel is None or panel.title else _INNER_GAP for panel in row[1:]]
        # A last row that is not full is no higher than the one above.
        highest = height if number and len(row) < len(rows[0]) else tallest
        height = min((PHOTO_WIDTH - sum(gaps)) / sum(aspects), highest)
        top += (GAP if first.title else gap) * (number > 0) + _TITLE * bool(first.title)
        left = 0.0
        places.append([])
        for panel, aspect, space in zip(row, aspects, [*gaps, 0.0], strict=True):
            if panel:
                places[-1].append(Place(left, top, aspect * height, height))
            left += aspect * height + space
        top += height + below
    return places, top + GAP


def _rooms(places: Sequence[Place], own: Sequence[bool]) -> list[float]:
    """Return how wide the words of each place may be: as far as the next place that has words of its own."""
    rooms: list[float] = []
    end = places[-1].left + places[-1].wide
    for place, has in zip(reversed(places), reversed(own), strict=True):
        rooms.append(end - place.left)
        if has:
            end = place.left - _INNER_GAP
    return rooms[::-1]


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
