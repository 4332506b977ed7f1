"""What the labels of a dataset look like: how many, how large, how crowded, what shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.ticker import PercentFormatter

from tfod_helpers.annotations import Dataset
from tfod_helpers.annotations.appearance import PALETTE, readable
from tfod_helpers.pictures.picture import Picture, chart, counted

_MOST_CLASSES, _MOST_BARS = 16, 36  # that stay readable; of more classes the most and least common are shown
_SPLIT_COLOURS = (PALETTE[1], PALETTE[0], *PALETTE[2:7])
_SIZE_EDGES = np.linspace(0, 1, 11)
_MOST_OBJECTS = 6  # photos with as many objects or more share a bar
# Width / height, in equal steps of a factor 1.41 around square; what lies beyond joins the last bars.
_SHAPE_EDGES = 2.0 ** np.arange(-2.75, 3, 0.5)


def plot_labels(datasets: Dataset | Mapping[str, Dataset]) -> Picture:
    """Draw the labels of a dataset, or of several splits in one colour each.

    Four charts: boxes of each class; box sizes, as the side of a square of the box's area against
    that of the photo's area; objects a photo; box shapes, as width / height.

    Args:
        datasets: one dataset, or several by name, such as ``{"train": ..., "validation": ...}``.

    Raises:
        ValueError: no photos, or splits whose label maps differ.
        TypeError: something that is no dataset.
    """
    splits = splits_of(datasets, "plot_labels")
    label_map = next(iter(splits.values())).label_map
    with chart(2.3 + 2.6 * _class_chart_share(len(label_map))) as picture:
        rows = picture.add_gridspec(2, 2, height_ratios=(_class_chart_share(len(label_map)), 1))
        _draw_classes(picture.add_subplot(rows[0, 0]), splits)
        _draw_sizes(picture.add_subplot(rows[0, 1]), splits)
        _draw_objects(picture.add_subplot(rows[1, 0]), splits)
        _draw_shapes(picture.add_subplot(rows[1, 1]), splits)
        boxes = sum(sum(dataset.counts().values()) for dataset in splits.values())
        photos = sum(len(dataset) for dataset in splits.values())
        picture.headline(
            f"{counted(photos, 'labelled photo')}, {counted(boxes, 'box', 'boxes')}, "
            f"{counted(len(label_map), 'class', 'classes')}"
        )
        handles, names = picture.axes[0].get_legend_handles_labels()
        if len(splits) > 1:
            picture.legend(handles, names, loc="outside upper right", ncols=len(names))
    return picture


def splits_of(datasets: Any, where: str) -> Mapping[str, Dataset]:
    """Return one dataset or several by name as several by name, checked; ``where`` names the caller.

    Raises:
        ValueError: no photos, or splits whose label maps differ.
        TypeError: something that is no dataset.
    """
    splits = {"all": datasets} if isinstance(datasets, Dataset) else datasets
    if not isinstance(splits, Mapping):
        raise TypeError(
            f"{where} takes a Dataset or a dict of them by name, got {type(splits).__name__}. "
            f'Write {{"train": train, "validation": validation}}.'
        )
    for name, dataset in splits.items():
        if not isinstance(dataset, Dataset):
            raise TypeError(f"{where}: {name!r} must be a Dataset, got {type(dataset).__name__}.")
        if not len(dataset):
            raise ValueError(f"{where}: {name!r} holds no photos. Check what was read or split.")
    if not splits:
        raise ValueError(f"{where}: there is no dataset to draw, got an empty dict.")
    if len({dataset.label_map for dataset in splits.values()}) > 1:
        maps = "; ".join(f"{name}: {dataset.label_map.describe()}" for name, dataset in splits.items())
        raise ValueError(f"{where}: the splits have different label maps ({maps}). Read them with one label map.")
    return splits


def _class_chart_share(classes: int) -> float:
    """Return how high the row with the class bars is, against the other row."""
    return float(np.clip(classes / 7, 1, 2))


def _draw_classes(axes: Axes, splits: Mapping[str, Dataset]) -> None:
    counts = {name: np.array(list(dataset.counts().values())) for name, dataset in splits.items()}
    total = np.sum(list(counts.values()), axis=0)
    names = next(iter(splits.values())).label_map.names
    order, which = _most_and_least(total, max(2, min(_MOST_CLASSES, _MOST_BARS // len(splits))))
    every_bars = _side_by_side(axes, {name: part[order] for name, part in counts.items()}, lying=True)
    labels = [readable(names[index], 20) for index in order]
    axes.set_yticks(range(len(order)), labels)
    axes.invert_yaxis()
    axes.tick_params("y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(right=max(part.max() for part in counts.values()) * 1.15 or 1)
    axes.set_xlabel("boxes")
    axes.set_title(f"Classes: {which or _imbalance(total)}")
    for bars in every_bars:
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, size=8.5 if len(order) * len(splits) <= 24 else 7)


def _most_and_least(total: np.ndarray, most: int) -> tuple[np.ndarray, str]:
    """Return which classes to draw, the most common first, and how to say that some are left out."""
    order = np.argsort(-total, kind="stable")
    if len(order) <= most:
        return order, ""
    half = most // 2
    return np.concatenate([order[:half], order[-half:]]), f"{half} most and {half} least common of {len(order)}"


def _imbalance(total: np.ndarray) -> str:
    if len(total) == 1:
        return "boxes of the one class"
    if total.min() == 0:
        empty = int((total == 0).sum())
        return f"{counted(empty, 'class', 'classes')} without any box"
    ratio = total.max() / total.min()
    return f"the largest has {ratio:.1f} times the smallest" if ratio >= 1.2 else "evenly shared"


def _draw_sizes(axes: Axes, splits: Mapping[str, Dataset]) -> None:
    shares = {}
    for name, dataset in splits.items():
        sizes = [
            np.sqrt((image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]).prod(1) / (image.width * image.height))
            for image in dataset
        ]
        shares[name] = np.histogram(np.concatenate(sizes).clip(0, 1), _SIZE_EDGES)[0]
    _draw_shares(axes, shares)
    axes.set_xticks(np.arange(-0.5, 10, 2), [f"{edge:.0%}" for edge in _SIZE_EDGES[::2]])
    axes.set_xlabel("side of the box, as a share of the photo's side")
    axes.set_ylabel("share of the boxes")
    axes.set_title("How large the objects are")


def _draw_objects(axes: Axes, splits: Mapping[str, Dataset]) -> None:
    shares = {
        name: np.bincount([min(len(image.labels), _MOST_OBJECTS) for image in dataset], minlength=_MOST_OBJECTS + 1)
        for name, dataset in splits.items()
    }
    _draw_shares(axes, shares)
    axes.set_xticks(range(_MOST_OBJECTS + 1), [*map(str, range(_MOST_OBJECTS)), f"{_MOST_OBJECTS}+"])
    axes.set_xlabel("objects in a photo")
    axes.set_ylabel("share of the photos")
    axes.set_title("How many objects a photo has")


def _draw_shapes(axes: Axes, splits: Mapping[str, Dataset]) -> None:
    shares = {}
    for name, dataset in splits.items():
        sides = np.concatenate([image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2] for image in dataset])
        ratios = (sides[:, 0] / sides[:, 1]).clip(_SHAPE_EDGES[0], _SHAPE_EDGES[-1] * 0.999)
        shares[name] = np.histogram(ratios, _SHAPE_EDGES)[0]
    _draw_shares(axes, shares)
    middle = (len(_SHAPE_EDGES) - 2) / 2
    ticks = {"1:4\ntall": -4, "1:2": -2, "1:1\nsquare": 0, "2:1": 2, "4:1\nwide": 4}
    axes.set_xticks([middle + step for step in ticks.values()], list(ticks))
    axes.set_xlabel("width : height of the box")
    axes.set_ylabel("share of the boxes")
    axes.set_title("What shape the boxes have")


def _draw_shares(axes: Axes, counts: Mapping[str, np.ndarray]) -> None:
    # Shares, because splits of 800 and 200 photos could not be compared by counts.
    _side_by_side(axes, {name: part / max(part.sum(), 1) for name, part in counts.items()}, lying=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)


def _side_by_side(axes: Axes, heights: Mapping[str, np.ndarray], *, lying: bool) -> list[BarContainer]:
    bars = []
    thick = 0.84 / len(heights)
    for number, (name, values) in enumerate(heights.items()):
        places = np.arange(len(values)) + (number - (len(heights) - 1) / 2) * thick
        colour = _SPLIT_COLOURS[number % len(_SPLIT_COLOURS)]
        draw = axes.barh if lying else axes.bar
        bars.append(draw(places, values, thick * 0.94, color=colour, label=readable(name, 20)))
    return bars
