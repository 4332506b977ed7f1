"""One page of what is wrong: photos with the box concerned, and a few words under each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Rectangle

from tfod_helpers import photos
from tfod_helpers.annotations.appearance import BLUE, ORANGE, VERMILLION, ink_on
from tfod_helpers.pictures.gallery import draw_gallery, in_rows
from tfod_helpers.pictures.panels import Mark, Panel
from tfod_helpers.pictures.picture import PHOTO_WIDTH, Picture, counted
from tfod_helpers.problems import Problem

_COLOURS = {"error": VERMILLION, "warning": ORANGE, "note": BLUE}  # in the order of their weight
_COLUMNS, _GAP, _HIGH = 3, 0.15, 1.4  # the last two are inches; the last is the height of a photo
_ASPECT = (PHOTO_WIDTH - (_COLUMNS - 1) * _GAP) / _COLUMNS / _HIGH
_LINES = 4  # of text under a photo
_BEYOND = 0.4  # of the photo's side: so much of a box is shown outside of the photo
_TINY, _RING = 0.05, 0.08  # of the photo's side: a smaller box gets a ring of this radius, or nobody would see it
_ARROW = 0.12  # of the photo's side


class HasProblems(Protocol):
    """A report of `checks.check`, or a dataset, as far as it is shown."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong."""


def show_problems(report: HasProblems | Sequence[Problem], count: int = 12) -> Picture:
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
    by_severity = Counter(one.severity for one in problems)
    headline = ", ".join(counted(by_severity[one], one) for one in _COLOURS if by_severity[one])
    if len(chosen) < len(problems):
        headline += f"; here {len(chosen)} of them"
    alike = Counter((one.severity, one.kind) for one in problems)
    groups = [_panels(one, alike.pop((one.severity, one.kind), 0)) for one in chosen]
    picture = draw_gallery(
        in_rows(groups, _COLUMNS), headline or "Nothing wrong was found", gap=_GAP, tallest=_HIGH, lines=_LINES
    )
    axes = iter(picture.axes)
    for panels in groups:
        for panel in panels:
            _draw_beyond(next(axes), panel)
    return picture


def _worst(problems: Sequence[Problem], count: int) -> list[Problem]:
    """Return the problems to show, errors first: one of each kind, then a second of each, and so on."""
    kinds: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for one in problems:
        kinds[one.severity, one.kind].append(one)
    severities = list(_COLOURS)
    turns: list[tuple[int, Problem]] = []
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


def _panels(problem: Problem, alike: int) -> list[Panel]:
    """Return the panel of a problem, or two where it is about two photos."""
    colour, box_xyxy = _COLOURS[problem.severity], _drawable(problem.box_xyxy)
    # A box is in the frame that the annotation gives; without one that is the photo's own.
    frame = problem.size if box_xyxy is not None else None
    size = frame or _photo_size(problem.photo)
    marks = []
    if box_xyxy is not None:
        marks = [Mark(box_xyxy, "" if _is_tiny(box_xyxy, size) else problem.label, colour)]
    first = Panel(
        partial(photos.to_rgb, problem.photo, frame) if problem.photo else _without_photo(problem),
        size,
        marks,
        title=f"{problem.kind} ({alike:,})" if alike > 1 else problem.kind,
        tag=(problem.severity, colour),
        faint=f"{problem.where}, {problem.object}" if problem.object else problem.where,
        caption=problem.what,
        view_xyxy=_view(box_xyxy, size),
        aspect=_ASPECT,
    )
    if not problem.other_photo:
        return [first]
    size = _photo_size(problem.other_photo)
    read = partial(photos.to_rgb, problem.other_photo)
    other = Panel(read, size, view_xyxy=_view(None, size), aspect=_ASPECT / 2)
    return [replace(first, aspect=_ASPECT / 2), other]


def _photo_size(path: str) -> tuple[int, int]:
    try:
        return photos.read_info(path).upright_size
    except (OSError, photos.PhotoError):
        return 1, 1  # of a card, which says why there is no photo


def _without_photo(problem: Problem) -> str:
    name = Path(problem.where).name
    return f"{name}: no photo to show" if "." in name else "not about one photo"


def _drawable(box_xyxy: Sequence[float] | None) -> np.ndarray | None:
    """Return a box with its corners in order; None where it has a coordinate that cannot be drawn."""
    if box_xyxy is None or not np.isfinite(box_xyxy).all():
        return None
    corners = np.array(box_xyxy, float).reshape(2, 2)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


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
    least = np.maximum(np.minimum(whole[:2], low), -beyond[:2])
    return np.concatenate([least, np.minimum(np.maximum(whole[2:], high), whole[2:] + beyond[2:])])


def _draw_beyond(axes: Axes, panel: Panel) -> None:
    """Dash what can be shown of a box outside of its photo, with an arrow towards the rest; ring a tiny box."""
    if not panel.marks or not axes.images:
        return
    mark, view_xyxy = panel.marks[0], panel.shown_xyxy
    box_xyxy = np.asarray(mark.box_xyxy)
    shown_xyxy = np.clip(box_xyxy, view_xyxy[[0, 1, 0, 1]], view_xyxy[[2, 3, 2, 3]])
    middle = (shown_xyxy[:2] + shown_xyxy[2:]) / 2
    if (np.clip(box_xyxy, 0, [*panel.size, *panel.size]) != shown_xyxy).any():
        left, top, right, bottom = shown_xyxy.tolist()
        line = {"edgecolor": mark.colour, "linewidth": 1.4, "linestyle": (0, (3, 2))}
        outside = Rectangle((left, top), right - left, bottom - top, fill=False, gid="outside")
        axes.add_patch(outside).set(**line, clip_on=False)
        for side in np.flatnonzero(box_xyxy != shown_xyxy):
            tip = middle.copy()
            tip[side % 2] = shown_xyxy[side]
            tail = tip.copy()
            tail[side % 2] -= np.sign(box_xyxy[side] - shown_xyxy[side]) * _ARROW * max(panel.size)
            arrow = {"arrowstyle": "-|>", "color": mark.colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", tip, tail, arrowprops=arrow, annotation_clip=False, gid="arrow")
    if _is_tiny(box_xyxy, panel.size):
        x, y = middle.tolist()
        across = 2 * _RING * max(panel.size)
        for width, ink in ((3.0, ink_on(mark.colour)), (1.8, mark.colour)):
            ring = Ellipse((x, y), across, across, fill=False, ec=ink, lw=width, gid="ring")
            axes.add_patch(ring).set_clip_on(False)
