"""One page of what is wrong: photos with the box concerned, and a few words under each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Ellipse, Rectangle

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset
from tfod_helpers.checks import Report
from tfod_helpers.pictures.cards import FONT_SIZE, GROUND, fitted, grey_card, line_height, why_not, wrapped
from tfod_helpers.pictures.grid import Mark, draw_box, draw_name, thumbnail
from tfod_helpers.pictures.picture import (
    BLUE,
    FAINT,
    ORANGE,
    PHOTO_WIDTH,
    VERMILLION,
    Picture,
    counted,
    ink_on,
    style,
)  # fmt: skip
from tfod_helpers.problems import Problem

_COLOURS = {"error": VERMILLION, "warning": ORANGE, "note": BLUE}  # in the order of their weight
_COLUMNS = 3
_GAP, _HEAD, _HIGH = 0.15, 0.32, 1.4  # inches; the last is the height of a photo
_SAID_LINES = 3
_SMALL = 8.0  # points, of the words under a photo
_BEYOND = 0.4  # of the photo's side: so much of a box is shown outside of the photo
_TINY, _RING = 0.05, 0.08  # of what is shown: a smaller box gets a ring of this radius, or nobody would see it
_ARROW = 0.12  # of what is shown


def show_problems(report: Report | Dataset | Sequence[Problem], count: int = 12) -> Picture:
    """Show the worst problems: each photo with the box concerned, and what is wrong in a few words.

    Errors come first, then warnings, then notes. Of each kind one is shown before any kind is shown
    twice; a number says how many there are of it. A box that reaches out of its photo is dashed out
    there; photos that are the same stand side by side; what cannot be shown is a grey card.

    Args:
        report: what `checks.check` returned; the problems of a dataset or a list of them do as well.
        count: problems to show at most.

    Raises:
        ValueError: ``count`` is below 1.
        TypeError: something that holds no problems.
    """
    problems = getattr(report, "problems", report)
    if isinstance(problems, str) or not isinstance(problems, Sequence):
        raise TypeError(f"show_problems takes the report of checks.check, got {type(report).__name__}.")
    for one in problems:
        if not isinstance(one, Problem):
            raise TypeError(f"show_problems takes a list of Problem, got a {type(one).__name__} in it.")
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    chosen = _worst(problems, count)
    alike = Counter((one.severity, one.kind) for one in problems)
    by_severity = Counter(one.severity for one in problems)
    said = ", ".join(counted(by_severity[one], one) for one in _COLOURS if by_severity[one])
    headline = said or "Nothing wrong was found"
    if len(chosen) < len(problems):
        headline += f"; here {len(chosen)} of them"
    return _draw(chosen, alike, headline)


def _worst(problems: Sequence[Problem], count: int) -> list[Problem]:
    """Return the problems to show, errors first: one of each kind, then a second of each, and so on."""
    kinds: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for one in problems:
        kinds[one.severity, one.kind].append(one)
    severities, turns = list(_COLOURS), []
    for same in kinds.values():
        # Those with a photo and a box have something to look at.
        same.sort(key=lambda one: (not one.photo, one.box_xyxy is None))
        turns += enumerate(same)
    # What has no photo is text, which the table says better: it comes last, but for errors.
    turns.sort(
        key=lambda turn: (
            turn[0],
            not turn[1].photo and turn[1].severity != "error",
            severities.index(turn[1].severity),
        )
    )
    order = {kind: number for number, kind in enumerate(kinds)}
    return sorted(
        (one for _, one in turns[:count]),
        key=lambda one: (severities.index(one.severity), not one.photo, order[one.severity, one.kind]),
    )


# --- drawing --------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where something lies on the page: inches from its left top corner."""

    left: float
    top: float
    wide: float
    high: float

    def axes(self, picture: Picture) -> Axes:
        """Return new axes there, without lines or ticks."""
        page_wide, page_high = picture.get_size_inches()
        shares = (self.left / page_wide, 1 - (self.top + self.high) / page_high)
        axes = picture.add_axes((*shares, self.wide / page_wide, self.high / page_high))
        axes.set_axis_off()
        return axes


def _draw(chosen: Sequence[Problem], alike: Counter[tuple[str, str]], headline: str) -> Picture:
    wide = (PHOTO_WIDTH - (_COLUMNS - 1) * _GAP) / _COLUMNS
    words = line_height(_SMALL) * (_SAID_LINES + 1) + 0.06
    row = line_height(FONT_SIZE) + 0.05 + _HIGH + words + _GAP
    height = _HEAD + row * -(-len(chosen) // _COLUMNS)
    seen: set[tuple[str, str]] = set()
    with style():
        picture = Picture(PHOTO_WIDTH, height, photos=True)
        headline = fitted(picture, headline, PHOTO_WIDTH, FontProperties(size=12, weight="bold"))
        picture.suptitle(headline, x=0, y=1 - 0.02 / height, ha="left", va="top", size=12, weight="bold")
        for number, problem in enumerate(chosen):
            left, top = number % _COLUMNS * (wide + _GAP), _HEAD + number // _COLUMNS * row
            kind = (problem.severity, problem.kind)
            _draw_cell(picture, problem, _Place(left, top, wide, row - _GAP), 0 if kind in seen else alike[kind])
            seen.add(kind)
    return picture


def _draw_cell(picture: Picture, problem: Problem, cell: _Place, alike: int) -> None:
    """Draw one problem: its kind above, its photos, and what is wrong below."""
    left, top, wide, _ = cell
    high = line_height(FONT_SIZE)
    _draw_kind(picture, problem, _Place(left, top, wide, high), alike)
    ground = _Place(left, top + high + 0.05, wide, _HIGH)
    picture.add_artist(_rectangle(picture, ground))
    if problem.other_photo:
        half = (wide - 0.04) / 2
        _draw_photo(picture, problem.photo, None, _Place(left, ground.top, half, _HIGH), problem)
        other = _Place(left + half + 0.04, ground.top, half, _HIGH)
        _draw_photo(picture, problem.other_photo, None, other, problem)
    else:
        _draw_photo(picture, problem.photo, problem.box_xyxy, ground, problem)
    _draw_words(picture, problem, _Place(left, ground.top + _HIGH + 0.04, wide, 0))


def _draw_kind(picture: Picture, problem: Problem, place: _Place, alike: int) -> None:
    axes = place.axes(picture)
    axes.set(xlim=(0, place.wide), ylim=(place.high, 0))
    colour, word = _COLOURS[problem.severity], problem.severity
    tag = 0.07 * len(word) + 0.1
    axes.add_patch(Rectangle((0, 0), tag, place.high, fc=colour, ec="none", gid=word))
    axes.text(tag / 2, place.high / 2, word, ha="center", va="center_baseline", color=ink_on(colour))
    times = f" ({alike:,})" if alike > 1 else ""
    font = FontProperties(size=FONT_SIZE, weight="bold")
    kind = fitted(picture, problem.kind, place.wide - tag - 0.06 - 0.08 * len(times), font) + times
    axes.text(tag + 0.06, place.high / 2, kind, va="center_baseline", weight="bold")


def _draw_words(picture: Picture, problem: Problem, place: _Place) -> None:
    where = f"{problem.where}, {problem.object}" if problem.object else problem.where
    font = FontProperties(size=_SMALL)
    said = wrapped(picture, problem.what, place.wide, _SAID_LINES, font)
    wide, high = picture.get_size_inches()
    for line, text in enumerate([fitted(picture, where, place.wide, font), *said]):
        y = 1 - (place.top + line * line_height(_SMALL)) / high
        picture.text(place.left / wide, y, text, size=_SMALL, va="top", color=FAINT if line == 0 else "black")


def _rectangle(picture: Picture, place: _Place) -> Rectangle:
    wide, high = picture.get_size_inches()
    corner = (place.left / wide, 1 - (place.top + place.high) / high)
    return Rectangle(corner, place.wide / wide, place.high / high, fc=GROUND, ec="none", zorder=-1)


def _draw_photo(
    picture: Picture, path: str, box_xyxy: Sequence[float] | None, place: _Place, problem: Problem
) -> None:  # fmt: skip
    """Draw a photo and one box of it, as large as ``place`` allows; a grey card where that cannot be."""
    try:
        if not path:
            raise FileNotFoundError
        pixels = photos.to_rgb(path, problem.size)
    except (OSError, photos.PhotoError) as error:
        reason = why_not(error) if path else _without_photo(problem)
        grey_card(picture, place.axes(picture), (0, 1, 1, 0), reason)
        return
    # A box is in the frame that the annotation gives; without one that is the photo's own.
    size = problem.size if box_xyxy is not None and problem.size else (pixels.shape[1], pixels.shape[0])
    box_xyxy = _drawable(box_xyxy)
    view_xyxy = _view(box_xyxy, size)
    sides = view_xyxy[2:] - view_xyxy[:2]
    scale = min(place.wide / sides[0], place.high / sides[1])
    wide, high = sides * scale
    shown = _Place(place.left + (place.wide - wide) / 2, place.top + (place.high - high) / 2, wide, high)
    axes = shown.axes(picture)
    axes.imshow(thumbnail(pixels, size[0] * scale, size[1] * scale), extent=(0, size[0], size[1], 0), aspect="auto")
    axes.set(xlim=view_xyxy[[0, 2]], ylim=view_xyxy[[3, 1]])
    if box_xyxy is None:
        return
    shown_xyxy = np.clip(box_xyxy, view_xyxy[[0, 1, 0, 1]], view_xyxy[[2, 3, 2, 3]])
    inside_xyxy = np.clip(box_xyxy, 0, [*size, *size])
    colour = _COLOURS[problem.severity]
    if (inside_xyxy != shown_xyxy).any():
        _draw_outside(axes, box_xyxy, shown_xyxy, colour, _ARROW * max(size))
    if (inside_xyxy[2:] > inside_xyxy[:2]).all():
        mark = Mark(inside_xyxy, problem.label, colour)
        draw_box(axes, mark, size, scale)
        if problem.label and not _is_tiny(box_xyxy, size):
            room = (np.array([place.wide, place.high]) / scale - sides) / 2  # the name may use the whole place
            draw_name(picture, axes, mark, view_xyxy + [*-room, *room], scale, [])
    if _is_tiny(box_xyxy, size):
        _draw_ring(axes, (shown_xyxy[:2] + shown_xyxy[2:]) / 2, _RING * max(size), colour)


def _without_photo(problem: Problem) -> str:
    name = Path(problem.where).name
    return f"{name}: no photo to show" if "." in name else "not about one photo"


def _drawable(box_xyxy: Sequence[float] | None) -> np.ndarray | None:
    """Return a box with its corners in order; None where it has a coordinate that cannot be drawn."""
    if box_xyxy is None or not np.isfinite(box_xyxy).all():
        return None
    xmin, ymin, xmax, ymax = map(float, box_xyxy)
    return np.array([min(xmin, xmax), min(ymin, ymax), max(xmin, xmax), max(ymin, ymax)])


def _is_tiny(box_xyxy: np.ndarray, size: tuple[int, int]) -> bool:
    return bool((box_xyxy[2:] - box_xyxy[:2]).max() < _TINY * max(size))


def _view(box_xyxy: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """Return what is shown: the photo, and of a box or a ring that reaches out of it what lies near."""
    whole = np.array([0, 0, *size], float)
    if box_xyxy is None:
        return whole
    beyond = _BEYOND * np.array([*size, *size])
    # So wide around the box that one that reaches out by little is seen to.
    around = (_RING + 0.01 if _is_tiny(box_xyxy, size) else 0.04) * max(size)
    low, high = box_xyxy[:2] - around, box_xyxy[2:] + around
    if not _is_tiny(box_xyxy, size):  # the line of a box along the photo's edge needs no more room
        low, high = np.where(box_xyxy[:2] < 0, low, 0), np.where(box_xyxy[2:] > size, high, size)
    return np.concatenate(
        [
            np.maximum(np.minimum(whole[:2], low), -beyond[:2]),
            np.minimum(np.maximum(whole[2:], high), whole[2:] + beyond[2:]),
        ]
    )


def _draw_outside(axes: Axes, box_xyxy: np.ndarray, shown_xyxy: np.ndarray, colour: str, arrow: float) -> None:
    """Dash what can be shown of a box that reaches out of its photo, with an arrow where it goes on."""
    dashes = {"fill": False, "ec": colour, "lw": 1.4, "ls": (0, (3, 2)), "clip_on": False}
    axes.add_patch(Rectangle(shown_xyxy[:2], *(shown_xyxy[2:] - shown_xyxy[:2]), gid="outside", **dashes))
    for side in np.flatnonzero(box_xyxy != shown_xyxy):
        tip = (shown_xyxy[:2] + shown_xyxy[2:]) / 2
        tip[side % 2] = shown_xyxy[side]
        tail = tip.copy()
        tail[side % 2] -= np.sign(box_xyxy[side] - shown_xyxy[side]) * arrow
        line = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", tip, tail, arrowprops=line, annotation_clip=False, gid="arrow")


def _draw_ring(axes: Axes, middle: np.ndarray, radius: float, colour: str) -> None:
    for line, ink in ((3.0, ink_on(colour)), (1.8, colour)):
        axes.add_patch(Ellipse(middle, 2 * radius, 2 * radius, fill=False, ec=ink, lw=line, clip_on=False, gid="ring"))
