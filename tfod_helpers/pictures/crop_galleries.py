"""Crops of photos: what was labelled as each class, a detector's mistakes, and labels that are probably wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.annotations.appearance import BLUE, VERMILLION, YELLOW, colour_of
from tfod_helpers.pictures.gallery import draw_gallery, in_rows, spread, view_around
from tfod_helpers.pictures.panels import Mark, Panel
from tfod_helpers.pictures.picture import PHOTO_WIDTH, Picture, counted
from tfod_helpers.problems import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation

_MOST_CROPS = 144  # of a page; twelve beside each other are still recognized
_FEW_CROPS = 36  # that have room to be twice as large
_MOST_CLASSES = 48
_ROW_SHARES = (12, 6, 4, 3)  # crops a class of which whole classes fill a row of twelve
_CLASS_AROUND, _AROUND = 0.15, 0.3  # of the box's longer side: so much of the photo is shown on each side of it
_CLASS_LEAST = 32  # a crop shows this many pixels of the photo, however small the box is
_LEAST = 0.2  # of the photo's shorter side: a smaller crop says nothing of where it is
_CLASS_GAP = 0.05  # inches
_COLUMNS, _ASPECT = 4, 4 / 3
_LABELLED, _DETECTED, _MISSED = (BLUE, "solid"), (YELLOW, "dashed"), (VERMILLION, "dashed")

_Label = tuple[LabelledImage, int]  # an image, and which of its boxes


def show_classes(
    dataset: Dataset, per_class: int = 12, *, classes: Sequence[str] | None = None, seed: int | None = None
) -> Picture:
    """Show crops of what was labelled as each class, so that a wrong label stands out.

    A page holds 144 crops at most, so of many classes fewer of each are shown, and of more than 48 the most and the
    least common ones; the headline says so, and ``classes`` shows more of a few. Under each stands the photo's name,
    and which box of it this is where there are several.

    Args:
        dataset: labelled photos.
        per_class: boxes to show of each class at most, evenly spaced over the dataset.
        classes: the classes to show, in this order; None shows all.
        seed: sample the boxes instead; the same seed shows the same ones.

    Raises:
        ValueError: no boxes, or a class that is not in the label map.
        TypeError: ``dataset`` is no dataset.
    """
    every = _labels_by_class(dataset, classes)
    there = {name: labels for name, labels in every.items() if labels}
    names = _most_and_least(there)
    most = _shown_of_each(len(names), per_class)
    shown = {name: spread(there[name], most, seed) for name in names}
    across = 6 if sum(map(len, shown.values())) <= _FEW_CROPS else 12
    beside = min(max(map(len, shown.values())), across)  # of one class
    blocks: list[list[Panel | None]] = []
    for name, labels in shown.items():
        colour = colour_of(dataset.label_map.id(name))
        first, *others = [_class_crop(label, colour) for label in labels]
        first = replace(first, title=name, note=counted(len(there[name]), "box", "boxes"), tag=("  ", colour))
        panels = [first, *others, *[None] * (-len(labels) % beside)]
        blocks += [panels[start : start + beside] for start in range(0, len(panels), beside)]
    side = (PHOTO_WIDTH - (across - 1) * _CLASS_GAP) / across
    headline = _headline(there, shown, len(every) - len(there))
    rows = in_rows(blocks, across // beside)
    return draw_gallery(rows, headline, gap=_CLASS_GAP, tallest=side, lines=1, font_size=6.5)


def _labels_by_class(dataset: Dataset, classes: Sequence[str] | None) -> dict[str, list[_Label]]:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"show_classes takes a Dataset, got {type(dataset).__name__}.")
    for name in classes or ():
        if name not in dataset.label_map:
            near = did_you_mean(name, dataset.label_map)
            raise ValueError(f"show_classes: there is no class {name!r} ({dataset.label_map.describe()}){near}")
    labels: dict[str, list[_Label]] = {name: [] for name in classes or dataset.label_map}
    for image in dataset:
        for number, label in enumerate(image.labels.tolist()):
            name = dataset.label_map.name(label)
            if name in labels:
                labels[name].append((image, number))
    if not any(labels.values()):
        raise ValueError("show_classes: no photo has a box of these classes. Check what was read or split.")
    return labels


def _most_and_least(labels: Mapping[str, Sequence[_Label]]) -> list[str]:
    """Return the classes that a page has room for, in their order."""
    ranked = sorted(labels, key=lambda name: -len(labels[name]))
    kept = {*ranked[: _MOST_CLASSES // 2], *ranked[-_MOST_CLASSES // 2 :]}
    return [name for name in labels if name in kept]


def _shown_of_each(classes: int, per_class: int) -> int:
    if per_class < 1:
        raise ValueError(f"per_class must be 1 or more, got {per_class}.")
    if classes * per_class <= _MOST_CROPS:
        return per_class
    room = _MOST_CROPS // classes
    return next((share for share in _ROW_SHARES if share <= room), 1) if room < _ROW_SHARES[0] else room


def _headline(there: Mapping[str, Sequence[_Label]], shown: Mapping[str, Sequence[_Label]], empty: int) -> str:
    headline = counted(len(there), "class", "classes")
    if len(shown) < len(there):
        headline = f"{len(shown)} most and least common of {headline}"
    most = max(map(len, shown.values()))
    if most < max(map(len, there.values())):
        headline += f", {counted(most, 'box', 'boxes')} each"
    return headline + (f"; {empty:,} {'has' if empty == 1 else 'have'} none" if empty else "")


def _class_crop(label: _Label, colour: str) -> Panel:
    """Return a square around a box."""
    image, number = label
    box_xyxy, size = image.boxes_xyxy[number], (image.width, image.height)
    view_xyxy = view_around(box_xyxy[None], size, aspect=1.0, around=_CLASS_AROUND, least=_CLASS_LEAST)
    file = f"{image.path.stem} #{number + 1}" if len(image.labels) > 1 else image.path.stem
    return Panel(image.pixels, size, [Mark(box_xyxy, "", colour)], faint=file, view_xyxy=view_xyxy)


# --- mistakes and label errors --------------------------------------------------------------------


def show_mistakes(evaluation: Evaluation, count: int = 12, *, kind: str | None = None) -> Picture:
    """Show crops of a detector's worst mistakes, with what is labelled and what was detected, masks too.

    Args:
        evaluation: as `evaluation.evaluate` returns it.
        count: mistakes to show at most; the kinds take turns.
        kind: show this kind alone: ``background``, ``wrong class``, ``badly placed``, ``duplicate`` or ``missed``.

    Raises:
        ValueError: ``count`` is below 1, or no such kind of mistake was made.
    """
    table = evaluation.mistakes()
    kinds = table["kind"].value_counts()
    listed = ", ".join(f"{number:,} {name}" for name, number in kinds.items())
    if kind is not None:
        if kind not in kinds:
            raise ValueError(f"There is no mistake of the kind {kind!r}. The kinds here: {listed or 'none at all'}.")
        table = table[table["kind"] == kind]
    at = f"at confidence ≥ {evaluation.threshold:.2f}"
    legend = [Mark((), "labelled", *_LABELLED), Mark((), "detected", *_DETECTED), Mark((), "missed", *_MISSED)]
    panels = [_mistake(evaluation.dataset[row["image"]], row) for row in _worst(table, count)]
    if not panels:
        return draw_gallery([], f"No mistake {at}")
    headline = f"{counted(len(table), 'mistake')} {at}{_share(panels, table)}"
    return draw_gallery(in_rows(panels, _COLUMNS), headline, lines=2, legend=legend, hint="" if kind else listed)


def show_label_errors(checked: Evaluation | Dataset, count: int = 12, *, table: pd.DataFrame | None = None) -> Picture:
    """Show crops of the labels that are probably wrong, the most suspicious first.

    Args:
        checked: the dataset whose labels are to be checked, or an evaluation on it, as `evaluation.evaluate` returns.
        count: labels to show at most.
        table: their ranking, as `classifier.wrong_classes` and `evaluation.combine_label_errors` return it; of an
            evaluation it may be left out.

    Raises:
        ValueError: ``count`` is below 1, or a dataset comes without a table.
    """
    dataset = checked if isinstance(checked, Dataset) else checked.dataset
    if table is None:
        if isinstance(checked, Dataset):
            raise ValueError("Of a dataset, the ranking has to be given: table=classifier.wrong_classes(dataset).")
        table = checked.label_errors()
    none = "No label is contradicted" if len(table) else "No label was judged"
    table = table[table["score"] > 0]
    panels = []
    for row in _worst(table, count):
        mark = (row["label"], *_LABELLED) if row["label"] else (row["detected"], *_DETECTED)
        panels.append(_crop(dataset[row["image"]], [Mark(row["box_xyxy"], *mark)], row["reason"]))
    if not panels:
        return draw_gallery([], none)
    legend = [Mark((), "labelled", *_LABELLED)]
    if not table["label"].all():
        legend.append(Mark((), "detected, no label", *_DETECTED))
    headline = f"{counted(len(table), 'label')} to look at again{_share(panels, table)}"
    return draw_gallery(in_rows(panels, _COLUMNS), headline, lines=2, legend=legend)


def _worst(table: pd.DataFrame, count: int) -> list[dict[Any, Any]]:
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    return table.head(count).to_dict("records")


def _share(panels: Sequence[list[Panel]], table: pd.DataFrame) -> str:
    return f"; the {len(panels)} worst" if len(panels) < len(table) else ""


def _mistake(image: LabelledImage, row: dict[Any, Any]) -> list[Panel]:
    name, truth = row["class"], row["truth"]
    if row["kind"] == "missed":
        return _crop(image, [Mark(row["box_xyxy"], name, *_MISSED, row["mask"])], f"missed: {name} not detected")
    detected = f"{name} {row['confidence']:.2f}"
    marks = [Mark(row["box_xyxy"], detected, *_DETECTED, row["mask"])]
    if row["truth_box_xyxy"] is not None:
        marks.append(Mark(row["truth_box_xyxy"], truth, *_LABELLED, row["truth_mask"]))
    words = {
        "background": f"{detected}, nothing is labelled there",
        "wrong class": f"{detected}, labelled {truth}",
        "badly placed": f"{detected}, IoU with the {truth} {row['iou']:.2f}",
        "duplicate": f"{detected}, another of higher confidence matches",
    }
    return _crop(image, marks, f"{row['kind']}: {words[row['kind']]}")


def _crop(image: LabelledImage, marks: Sequence[Mark], caption: str) -> list[Panel]:
    size = (image.width, image.height)
    boxes_xyxy = np.array([mark.box_xyxy for mark in marks])
    least = max(_LEAST * min(size), 8)
    view_xyxy = view_around(boxes_xyxy, size, aspect=_ASPECT, around=_AROUND, least=least)
    return [Panel(image.pixels, size, marks, image.path.name, caption=caption, view_xyxy=view_xyxy)]
