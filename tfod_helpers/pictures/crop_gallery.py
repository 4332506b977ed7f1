"""Cut-outs of photos, the worst first: a detector's mistakes, and labels that are probably wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.pictures.grid import Mark, Panel, draw_grid
from tfod_helpers.pictures.picture import BLUE, VERMILLION, YELLOW, Picture, counted

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation

_TRUTH, _FOUND, _MISSED = (BLUE, "solid"), (YELLOW, "dashed"), (VERMILLION, "dashed")
_COLUMNS = 4
_ASPECT = 4 / 3  # of a cut-out
_AROUND = 0.3  # of the boxes' longer side: so much of the photo is shown on each side of them
_GROUND = 238  # grey beside a photo that is narrower than its cut-out
_LEAST = 0.2  # of the photo's shorter side: a smaller cut-out says nothing of where it is


def show_mistakes(evaluation: Evaluation, count: int = 12, *, kind: str | None = None) -> Picture:
    """Show the worst mistakes of a detector, cut out of their photos, with what is there and what was found.

    Args:
        evaluation: as `evaluation.evaluate` returns it.
        count: mistakes to show at most; the kinds take turns.
        kind: show this kind alone: ``background``, ``wrong class``, ``badly placed``, ``duplicate`` or ``missed``.

    Raises:
        ValueError: ``count`` is below 1, or no such kind of mistake was made.
    """
    _check_count(count)
    table = evaluation.mistakes()
    kinds = table["kind"].value_counts()
    said = ", ".join(f"{number:,} {name}" for name, number in kinds.items())
    if kind is not None:
        if kind not in kinds:
            raise ValueError(f"There is no mistake of the kind {kind!r}. The kinds here: {said or 'none at all'}.")
        table = table[table["kind"] == kind]
    shown = table.head(count)
    panels = [_mistake(evaluation.dataset[row.image], row) for row in shown.itertuples()]
    if not panels:
        return _nothing(f"No mistake at confidence {evaluation.threshold:.2f}")
    headline = f"{counted(len(table), 'mistake')} at confidence {evaluation.threshold:.2f}{_share(shown, table)}"
    legend = [Mark((), "labelled", *_TRUTH), Mark((), "found", *_FOUND), Mark((), "missed", *_MISSED)]
    return draw_grid(panels, _COLUMNS, headline, legend=legend, hint=said if kind is None else "")


def show_label_errors(evaluation: Evaluation, count: int = 12) -> Picture:
    """Show the labels that are probably wrong, cut out of their photos, the most suspicious first.

    Args:
        evaluation: as `evaluation.evaluate` returns it, of the dataset whose labels are to be judged.
        count: labels to show at most.

    Raises:
        ValueError: ``count`` is below 1.
    """
    _check_count(count)
    table = evaluation.label_errors()
    table = table[table["score"] > 0]
    shown = table.head(count)
    panels = [_label_error(evaluation.dataset[row.image], row) for row in shown.itertuples()]
    if not panels:
        return _nothing("No label is contradicted by the detector")
    legend = [Mark((), "labelled", *_TRUTH), Mark((), "no label, found", *_FOUND)]
    headline = f"{counted(len(table), 'label')} to look at again{_share(shown, table)}"
    return draw_grid(panels, _COLUMNS, headline, legend=legend)


def _check_count(count: int) -> None:
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")


def _share(shown: pd.DataFrame, table: pd.DataFrame) -> str:
    return f". Here: the {len(shown)} worst" if len(shown) < len(table) else ""


def _nothing(headline: str) -> Picture:
    picture = Picture(4, 0.4)
    picture.suptitle(headline, x=0, y=0.95, ha="left", va="top", size=12, weight="bold")
    return picture


def _mistake(image: LabelledImage, row) -> Panel:  # type: ignore[no-untyped-def]  # a row of a table
    name = row[3]  # itertuples calls the column "class" by its number, as the word is Python's
    if row.kind == "missed":
        marks = [Mark(row.box_xyxy, name, *_MISSED)]
        return _cut_out(image, marks, f"missed: {name} not found")
    said = f"{name} {row.confidence:.2f}"
    marks = [Mark(row.box_xyxy, said, *_FOUND)]
    if row.truth_box_xyxy is None:
        return _cut_out(image, marks, f"background: says {said}, nothing is labelled there")
    marks.append(Mark(row.truth_box_xyxy, row.truth, *_TRUTH))
    words = {
        "wrong class": f"says {said}, is labelled {row.truth}",
        "badly placed": f"says {said}, overlaps the {row.truth} by {row.iou:.2f} only",
        "duplicate": f"says {said}, a surer one found it",
    }
    return _cut_out(image, marks, f"{row.kind}: {words[row.kind]}")


def _label_error(image: LabelledImage, row) -> Panel:  # type: ignore[no-untyped-def]  # a row of a table
    mark = Mark(row.box_xyxy, row.label, *_TRUTH) if row.label else Mark(row.box_xyxy, row.detected, *_FOUND)
    return _cut_out(image, [mark], row.reason)


def _cut_out(image: LabelledImage, marks: Sequence[Mark], caption: str) -> Panel:
    x0, y0, x1, y1 = view_xyxy(np.array([mark.box_xyxy for mark in marks]), (image.width, image.height))
    moved = [Mark(np.subtract(mark.box_xyxy, [x0, y0, x0, y0]), mark.text, mark.colour, mark.dashes) for mark in marks]
    read = partial(_pixels, image, (x0, y0, x1, y1))
    return Panel(read, (x1 - x0, y1 - y0), image.path.name, "", moved, caption)


def _pixels(image: LabelledImage, cut_xyxy: tuple[int, int, int, int]) -> np.ndarray:
    x0, y0, x1, y1 = cut_xyxy
    cut = np.full((y1 - y0, x1 - x0, 3), _GROUND, np.uint8)
    left, top = max(-x0, 0), max(-y0, 0)
    inside = image.pixels()[max(y0, 0) : y1, max(x0, 0) : x1]
    cut[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return cut


def view_xyxy(boxes_xyxy: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return what to cut out of a photo to see some boxes: whole pixels, 4 to 3.

    It reaches over the photo's edge only where the photo is too narrow or too low for that shape.

    Args:
        boxes_xyxy: shape (n, 4), pixels; they may reach over the photo's edge.
        size: ``(width, height)`` of the photo.
    """
    boxes_xyxy = np.clip(boxes_xyxy, 0, [*size, *size])
    low, high = boxes_xyxy[:, :2].min(axis=0), boxes_xyxy[:, 2:].max(axis=0)
    wide, tall = np.minimum((high - low) + 2 * _AROUND * (high - low).max(), size)
    tall = max(tall, wide / _ASPECT, _LEAST * min(size), 8)
    sides = np.ceil([tall * _ASPECT, tall]).astype(int)
    beyond = np.array(size) - sides  # below 0 where the photo is smaller, which then lies in the middle
    start = np.where(beyond < 0, beyond // 2, np.clip((low + high - sides) // 2, 0, np.maximum(beyond, 0)))
    x0, y0, x1, y1 = np.concatenate([start, start + sides]).astype(int).tolist()
    return x0, y0, x1, y1
