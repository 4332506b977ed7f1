"""Where the boxes of a dataset lie in its photos, and how they fit the model that is to find them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from tfod_helpers import presets
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.annotations.appearance import BLUE, VERMILLION, readable
from tfod_helpers.pictures.dataset_charts import splits_of
from tfod_helpers.pictures.picture import CHART_WIDTH, FAINT, INK, Picture, chart, counted, style
from tfod_helpers.presets import anchors, resizing

_CELLS = 40  # of the heat map, in each direction
_SHADES = 12  # so few that a notebook stays small, and that a shade is found on the scale
_MOST_MAPS = 6  # that fit on a page: all boxes, and the five most common classes
_ASPECTS = (0.75, 1.5)  # a map is no narrower and no wider, whatever the photos are
_MOST_POINTS = 4000  # dots of which a chart shows the density; of more an even selection is drawn
_GREY_DOTS = "#9A9A9A"


def plot_places(datasets: Dataset | Mapping[str, Dataset]) -> Picture:
    """Draw where in the photos the boxes lie: a heat map of all, and of each class where there are few.

    A colour says what share of the boxes cover that place. All photos are stretched to one frame. Of
    many classes the five most common are drawn.

    Args:
        datasets: one dataset, or several by name, which are drawn as one.

    Raises:
        ValueError: no photos, or splits whose label maps differ.
        TypeError: something that is no dataset.
    """
    images, label_map = _all_images(datasets, "plot_places")
    shares_xyxy, labels = _shares_xyxy(images), np.concatenate([image.labels for image in images])
    counts = np.bincount(labels, minlength=len(label_map) + 1)[1:]
    ids = [int(index) + 1 for index in np.argsort(-counts, kind="stable")[: _MOST_MAPS - 1] if counts[index]]
    maps = {"all classes": shares_xyxy}
    if np.count_nonzero(counts) > 1:
        maps |= {readable(label_map.name(id), 16): shares_xyxy[labels == id] for id in ids}
    aspect = float(np.clip(np.median([image.width / image.height for image in images]), *_ASPECTS))
    more = np.count_nonzero(counts) - len(ids)
    with style():
        picture = _draw_maps(maps, aspect)
        picture.headline(_middle(shares_xyxy))
        if more:
            picture.supxlabel(f"and {more:,} classes with fewer boxes", x=0.99, ha="right", size=9)
    return picture


def plot_sizes(
    datasets: Dataset | Mapping[str, Dataset], preset: str = "mobilenet_v2_192", *, resize: str = resizing.LETTERBOX
) -> Picture:
    """Draw the sizes of the photos, and the boxes as the model sees them against its anchors.

    A model learns a box from the anchors that overlap it by half or more. The second chart is in the
    pixels of the model's input, to which every photo is scaled, so that it shows what is too small, too
    narrow or too wide for the preset.

    Args:
        datasets: one dataset, or several by name, which are drawn as one.
        preset: the name of the preset whose input size and anchors are compared.
        resize: how a photo becomes the model's input, as for `experiment.make`.

    Raises:
        ValueError: no photos, splits whose label maps differ, no such preset, or no such way to resize.
        TypeError: something that is no dataset.
    """
    chosen = dataclasses.replace(presets.find(preset), resize=resizing.check(resize))
    images, _ = _all_images(datasets, "plot_sizes")
    with chart(4.4) as picture:
        photos, boxes = picture.subplots(1, 2)
        _draw_photo_sizes(photos, images, chosen.image_size)
        found = _draw_anchors(boxes, images, chosen)
        picture.headline(f"{found} of {preset}")
    return picture


def _all_images(datasets: Dataset | Mapping[str, Dataset], where: str) -> tuple[list[LabelledImage], LabelMap]:
    splits = splits_of(datasets, where)
    label_map = next(iter(splits.values())).label_map
    return [image for dataset in splits.values() for image in dataset], label_map


# --- places ---------------------------------------------------------------------------------------


def _shares_xyxy(images: list[LabelledImage]) -> np.ndarray:
    """Return all boxes as shares of their photo's width and height: shape (n, 4)."""
    return np.concatenate(
        [image.boxes_xyxy / np.array([image.width, image.height] * 2, np.float32) for image in images]
    )


def _middle(shares_xyxy: np.ndarray) -> str:
    if not len(shares_xyxy):
        return "There are no boxes"
    centres = (shares_xyxy[:, :2] + shares_xyxy[:, 2:]) / 2
    share = (np.abs(centres - 0.5) < 1 / 6).all(axis=1).mean()
    return f"{share:.0%} of the boxes are centred in the middle ninth of the photo"


def _cover(shares_xyxy: np.ndarray) -> np.ndarray:
    """Return which share of the boxes covers each cell of a grid: float, shape (_CELLS, _CELLS)."""
    # Each box is noted at its four corners; summing up along both axes fills it.
    edges = np.zeros((_CELLS + 1, _CELLS + 1))
    low = np.floor(shares_xyxy[:, :2] * _CELLS).astype(int).clip(0, _CELLS)
    high = np.ceil(shares_xyxy[:, 2:] * _CELLS).astype(int).clip(0, _CELLS)
    for (x, y), sign in (((low[:, 0], low[:, 1]), 1), ((high[:, 0], high[:, 1]), 1),
                         ((low[:, 0], high[:, 1]), -1), ((high[:, 0], low[:, 1]), -1)):  # fmt: skip
        np.add.at(edges, (y, x), sign)
    return edges.cumsum(0).cumsum(1)[:-1, :-1] / max(len(shares_xyxy), 1)


def _draw_maps(maps: Mapping[str, np.ndarray], aspect: float) -> Picture:
    columns = min(len(maps), 3)
    rows = -(-len(maps) // columns)
    covers = {name: _cover(boxes_xyxy) for name, boxes_xyxy in maps.items()}
    top = max(cover.max() for cover in covers.values()) or 1
    wide = (CHART_WIDTH - 1) / 3  # of one map, so that one alone is no larger
    picture = Picture(max(wide * columns + 1, 6.4), 0.6 + rows * (wide / aspect + 0.35), layout="compressed")
    every = picture.subplots(rows, columns, squeeze=False).ravel()
    for axes in every[len(maps) :]:
        axes.set_axis_off()
    for axes, (name, cover) in zip(every, covers.items(), strict=False):
        shown = axes.imshow(
            cover, cmap=matplotlib.colormaps["YlGnBu"].resampled(_SHADES), vmin=0, vmax=top, extent=(0, 1, 1, 0),
            aspect=1 / aspect, interpolation="bilinear", interpolation_stage="data",
        )  # fmt: skip
        axes.set_title(f"{name}: {counted(len(maps[name]), 'box', 'boxes')}")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        for third in (1 / 3, 2 / 3):
            axes.axvline(third, color="white", lw=0.8, ls=":")
            axes.axhline(third, color="white", lw=0.8, ls=":")
    bar = picture.colorbar(shown, ax=list(every), shrink=0.8, format=PercentFormatter(1, decimals=0))
    bar.set_label("share of the boxes that cover the place")
    bar.outline.set_visible(False)
    return picture


# --- sizes ----------------------------------------------------------------------------------------


def _draw_photo_sizes(axes: Axes, images: list[LabelledImage], side: int) -> None:
    sizes, counts = np.unique([(image.width, image.height) for image in images], axis=0, return_counts=True)
    areas = 14 + 500 * counts / counts.sum()
    axes.scatter(sizes[:, 0], sizes[:, 1], s=areas, color=BLUE, alpha=0.45, edgecolors="white", linewidths=0.5)
    high = max(sizes.max(), side) * 1.1
    axes.plot([0, side, side], [side, side, 0], color=INK, lw=1.2, ls="--")
    axes.annotate(f"the model sees {side} x {side}", (0, side), (4, 4), textcoords="offset points")
    axes.plot([0, high], [0, high], color=FAINT, lw=0.7, ls=":", zorder=0)
    axes.set(xlim=(0, high), ylim=(0, high), aspect="equal")
    axes.locator_params(nbins=6)
    axes.grid()
    axes.set(xlabel="width of the photo, in pixels", ylabel="height of the photo, in pixels")
    most = sizes[counts.argmax()]
    common = f", most often {most[0]:,} x {most[1]:,}" if len(counts) > 1 and counts.max() > 1 else ""
    axes.set_title(f"Photos: {sizes.min():,} to {sizes.max():,} pixels a side{common}")


def _draw_anchors(axes: Axes, images: list[LabelledImage], preset: presets.Preset) -> str:
    """Draw each box and each anchor by width and height; return what the headline says of them."""
    boxes_xyxy = np.concatenate([image.boxes_xyxy for image in images])
    sizes = np.concatenate([np.full((len(image.labels), 2), (image.width, image.height)) for image in images])
    fits = anchors.matched(boxes_xyxy, sizes, preset)
    sides = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * resizing.factors(sizes, preset.image_size, preset.resize)
    shapes = np.concatenate(anchors.shapes(preset))
    some = np.linspace(0, len(sides) - 1, min(len(sides), _MOST_POINTS)).astype(int)
    for which, colour, zorder in ((fits, BLUE, 2), (~fits, VERMILLION, 3)):
        dots = sides[some][which[some]]
        axes.scatter(dots[:, 0], dots[:, 1], s=9, color=colour, alpha=0.5, linewidths=0, zorder=zorder)
    axes.scatter(shapes[:, 0], shapes[:, 1], s=26, color=INK, marker="+", linewidths=1, zorder=4)
    low = min(sides.min(initial=8), shapes.min()) / 1.3
    high = max(preset.image_size, shapes.max()) * 1.15
    axes.plot([low, high], [low, high], color=FAINT, lw=0.7, ls=":", zorder=1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    steps = 2.0 ** np.arange(np.ceil(np.log2(low)), np.floor(np.log2(high)) + 1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(steps)
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.grid()
    axes.set(xlabel="width of the box, as the model sees it", ylabel="height of the box, as the model sees it")
    missed = int((~fits).sum())
    axes.set_title(f"Boxes against the {len(shapes)} shapes of anchors")
    marks = [
        Line2D([], [], color=INK, marker="+", ls="", label="an anchor"),
        Line2D([], [], color=BLUE, marker="o", ms=4, ls="", label="box that an anchor fits"),
        Line2D([], [], color=VERMILLION, marker="o", ms=4, ls="", label=f"box that none fits: {missed:,}"),
    ]
    axes.legend(handles=marks, loc="upper left", borderaxespad=0.2, handletextpad=0.2)
    if not len(fits):
        return "No boxes to compare with the anchors"
    return f"{fits.mean():.{0 if missed == 0 or fits.mean() < 0.99 else 1}%} of the boxes fit an anchor"
