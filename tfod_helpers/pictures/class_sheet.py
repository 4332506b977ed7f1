"""A contact sheet: what was labelled as each class, cut out of the photos, so that a wrong label stands out."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.files import workers
from tfod_helpers.pictures.cards import GROUND, fitted, line_height, text_width
from tfod_helpers.pictures.grid import spread
from tfod_helpers.pictures.picture import FAINT, INK, PHOTO_WIDTH, Picture, colour_of, counted, ink_on, readable, style
from tfod_helpers.problems import did_you_mean

_MOST_CROPS = 144  # of a page; twelve beside each other are still recognized
_FEW_CROPS = 36  # that have room to be twice as large
_MOST_CLASSES = 48
_ROW_SHARES = (12, 6, 4, 3)  # crops a class of which whole classes fill a row of twelve
_AROUND = 0.15  # of the box's longer side, shown on each side of it
_LEAST_PIXELS = 32  # a crop shows this much of the photo, however small the box is
_PRINT_DPI = 200
_GAP, _HEAD, _CLASS_GAP = 0.05, 0.3, 0.1  # inches
_NAME_SIZE = 6.5  # points


class _Crop(NamedTuple):
    """One box to cut out: where it is, and what is written under it."""

    image: LabelledImage
    number: int
    name: str

    def view_xyxy(self) -> tuple[float, float, float, float]:
        """Return a square around the box, moved into the photo where it fits."""
        xmin, ymin, xmax, ymax = self.image.boxes_xyxy[self.number].tolist()
        side = max(max(xmax - xmin, ymax - ymin) * (1 + 2 * _AROUND), _LEAST_PIXELS)
        left, top = (
            min(max((low + high - side) / 2, 0), length - side) if side < length else (length - side) / 2
            for low, high, length in ((xmin, xmax, self.image.width), (ymin, ymax, self.image.height))
        )
        return left, top, left + side, top + side


def show_classes(
    dataset: Dataset, per_class: int = 12, *, classes: Sequence[str] | None = None, seed: int | None = None
) -> Picture:
    """Show what was labelled as each class, cut out of the photos with a little of what is around it.

    A page holds 144 cut-outs at most, so of many classes fewer of each are shown, and of more than 48
    the most and the least common ones; the headline says so, and ``classes`` shows more of a few.
    Under each stands the photo's name, and which box of it this is where there are several.

    Args:
        dataset: labelled photos.
        per_class: boxes to show of each class at most, evenly spaced over the dataset.
        classes: the classes to show, in this order; None shows all.
        seed: draw the boxes at random instead; the same seed draws the same ones.

    Raises:
        ValueError: no boxes, or a class that is not in the label map.
        TypeError: ``dataset`` is no dataset.
    """
    every = _crops_by_class(dataset, classes)
    there = {name: crops for name, crops in every.items() if crops}
    names = _most_and_least(there)
    most = _shown_of_each(len(names), per_class)
    shown = {name: spread(there[name], most, seed) for name in names}
    headline = _headline(there, shown, len(every) - len(there))
    return _draw(shown, {name: len(there[name]) for name in names}, dataset, headline)


def _headline(there: dict[str, list[_Crop]], shown: dict[str, list[_Crop]], empty: int) -> str:
    said = counted(len(there), "class", "classes")
    if len(shown) < len(there):
        said = f"{len(shown)} most and least common of {said}"
    most = max(map(len, shown.values()))
    if most < max(map(len, there.values())):
        said += f", {counted(most, 'box', 'boxes')} each"
    return said + (f"; {empty:,} {'has' if empty == 1 else 'have'} none" if empty else "")


def _crops_by_class(dataset: Dataset, classes: Sequence[str] | None) -> dict[str, list[_Crop]]:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"show_classes takes a Dataset, got {type(dataset).__name__}.")
    for name in classes or ():
        if name not in dataset.label_map:
            near = did_you_mean(name, dataset.label_map)
            raise ValueError(f"show_classes: there is no class {name!r} ({dataset.label_map.describe()}){near}")
    crops: dict[str, list[_Crop]] = {name: [] for name in classes or dataset.label_map}
    for image in dataset:
        for number, label in enumerate(image.labels.tolist()):
            name = dataset.label_map.name(label)
            if name in crops:
                told = f" #{number + 1}" if len(image.labels) > 1 else ""
                crops[name].append(_Crop(image, number, image.path.stem + told))
    if not any(crops.values()):
        raise ValueError("show_classes: no photo has a box of these classes. Check what was read or split.")
    return crops


def _most_and_least(crops: dict[str, list[_Crop]]) -> list[str]:
    """Return the classes that a page has room for, in their order."""
    ranked = sorted(crops, key=lambda name: -len(crops[name]))
    kept = {*ranked[: _MOST_CLASSES // 2], *ranked[-_MOST_CLASSES // 2 :]}
    return [name for name in crops if name in kept]


def _shown_of_each(classes: int, per_class: int) -> int:
    if per_class < 1:
        raise ValueError(f"per_class must be 1 or more, got {per_class}.")
    if classes * per_class <= _MOST_CROPS:
        return per_class
    room = _MOST_CROPS // classes
    return next((share for share in _ROW_SHARES if share <= room), 1) if room < _ROW_SHARES[0] else room


# --- drawing --------------------------------------------------------------------------------------


class _Page(NamedTuple):
    """How a sheet is laid out, in inches and in crops."""

    columns: int
    across: int  # crops of one class beside each other
    side: float
    title: float  # height of a class's title
    name: float  # height of the name under a crop


def _draw(shown: dict[str, list[_Crop]], counts: dict[str, int], dataset: Dataset, headline: str) -> Picture:
    page, places, height = _layout({name: len(crops) for name, crops in shown.items()})
    pixels = _cut_out([crop for crops in shown.values() for crop in crops], round(page.side * _PRINT_DPI))
    with style():
        picture = Picture(PHOTO_WIDTH, height, photos=True)
        headline = fitted(picture, headline, PHOTO_WIDTH, FontProperties(size=12, weight="bold"))
        picture.suptitle(headline, x=0, y=1 - 0.02 / height, ha="left", va="top", size=12, weight="bold")
        axes = picture.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        for name, crops in shown.items():
            left, top = places[name]
            colour = colour_of(dataset.label_map.id(name))
            _draw_title(picture, axes, page, (left, top), name, counts[name], colour)
            for number, crop in enumerate(crops):
                x = left + number % page.across * (page.side + _GAP)
                y = top + page.title + number // page.across * (page.side + page.name + _GAP)
                _draw_crop(picture, axes, page.side, (x, y), crop, pixels[id(crop)], colour)
        axes.set(xlim=(0, PHOTO_WIDTH), ylim=(height, 0))  # last, as imshow sets them anew
        axes.set_aspect("auto")
    return picture


def _layout(counts: dict[str, int]) -> tuple[_Page, dict[str, tuple[float, float]], float]:
    """Return the page, the left top corner of each class on it, and its height in inches."""
    columns = 6 if sum(counts.values()) <= _FEW_CROPS else 12
    across = min(max(counts.values()), columns)
    beside = columns // across  # classes
    side = (PHOTO_WIDTH - (columns - 1) * _GAP) / columns
    page = _Page(columns, across, side, line_height(9) + 0.04, line_height(_NAME_SIZE))
    places, top, names = {}, _HEAD, list(counts)
    for start in range(0, len(names), beside):
        row = names[start : start + beside]
        for number, name in enumerate(row):
            places[name] = number * across * (side + _GAP), top
        lines = max(-(-counts[name] // across) for name in row)
        top += page.title + lines * (side + page.name + _GAP) + _CLASS_GAP
    return page, places, top


def _draw_title(
    picture: Picture, axes: Axes, page: _Page, place: tuple[float, float], name: str, count: int, colour: str
) -> None:
    left, top = place
    room = page.across * (page.side + _GAP) - _GAP
    font = FontProperties(size=9, weight="bold")
    boxes = f" {counted(count, 'box', 'boxes')}" if room > 1.6 else f" {count:,}"
    high = page.title - 0.06
    axes.add_patch(Rectangle((left, top), 0.12, high, fc=colour, ec="none"))
    said = f"{fitted(picture, name, room - 0.2 - 0.075 * len(boxes), font)}:{boxes}"
    axes.text(left + 0.18, top + high / 2, said, va="center_baseline", size=9, weight="bold", color=INK)


def _draw_crop(
    picture: Picture, axes: Axes, side: float, place: tuple[float, float], crop: _Crop, pixels: np.ndarray | str,
    colour: str,
) -> None:  # fmt: skip
    x, y = place
    axes.add_patch(Rectangle((x, y), side, side, fc=GROUND, ec="none", zorder=-1))
    if isinstance(pixels, str):
        axes.text(x + side / 2, y + side / 2, pixels, ha="center", va="center", size=_NAME_SIZE, color=FAINT)
    else:
        axes.imshow(pixels, extent=(x, x + side, y + side, y), aspect="auto")
        view_xyxy, box_xyxy = np.array(crop.view_xyxy()), crop.image.boxes_xyxy[crop.number]
        scale = side / (view_xyxy[2] - view_xyxy[0])
        xmin, ymin, xmax, ymax = (box_xyxy - view_xyxy[[0, 1, 0, 1]]) * scale
        edges = {"fill": False, "joinstyle": "miter"}
        corner = (x + xmin, y + ymin)
        axes.add_patch(Rectangle(corner, xmax - xmin, ymax - ymin, ec=ink_on(colour), lw=1.6, alpha=0.6, **edges))
        axes.add_patch(Rectangle(corner, xmax - xmin, ymax - ymin, ec=colour, lw=0.9, gid="box", **edges))
    name = _end(picture, crop.name, side)
    axes.text(x, y + side + 0.01, name, va="top", size=_NAME_SIZE, color=FAINT)


def _end(picture: Picture, name: str, inches: float) -> str:
    """Shorten a name at its beginning, as its end is what tells the photos of a folder apart."""
    shown, font = readable(name), FontProperties(size=_NAME_SIZE)
    cut = 0
    while cut < len(shown) and text_width(picture, shown[cut:] if not cut else f"…{shown[cut:]}", font) > inches:
        cut += 1
    return f"…{shown[cut:]}" if cut else shown


def _cut_out(crops: Sequence[_Crop], side: int) -> dict[int, np.ndarray | str]:
    """Return the pixels of each crop by its `id`, or a word about why there are none; each photo is read once."""
    by_photo: dict[int, list[_Crop]] = defaultdict(list)
    for crop in crops:
        by_photo[id(crop.image)].append(crop)
    groups = list(by_photo.values())
    cut = workers.in_order(functools.partial(_cut, side), groups)
    return {
        id(crop): pixels for group, pieces in zip(groups, cut, strict=True)
        for crop, pixels in zip(group, pieces, strict=True)
    }  # fmt: skip


def _cut(side: int, crops: Sequence[_Crop]) -> list[np.ndarray | str]:
    try:
        photo = Image.fromarray(crops[0].image.pixels())
    except (OSError, photos.PhotoError):
        return ["cannot be read"] * len(crops)
    return [_square(photo, crop.view_xyxy(), side) for crop in crops]


def _square(photo: Image.Image, view_xyxy: tuple[float, float, float, float], side: int) -> np.ndarray:
    """Cut a square out; what of it lies outside of the photo gets the ground's colour."""
    left, top, right, bottom = view_xyxy
    size = min(side, max(1, round(right - left)))
    scale = size / (right - left)
    inside = (max(left, 0), max(top, 0), min(right, photo.width), min(bottom, photo.height))
    piece = photo.resize(
        (max(1, round((inside[2] - inside[0]) * scale)), max(1, round((inside[3] - inside[1]) * scale))),
        Image.Resampling.BILINEAR, box=inside, reducing_gap=2.0,
    )  # fmt: skip
    square = Image.new("RGB", (size, size), GROUND)
    square.paste(piece, (round((inside[0] - left) * scale), round((inside[1] - top) * scale)))
    return np.asarray(square)
