"""Several trainings beside each other: with more and more photos, and with other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tfod_helpers.annotations.appearance import BLUE, readable
from tfod_helpers.evaluation import forecast
from tfod_helpers.pictures.picture import FAINT, INK, SCORES, Picture, chart, check_columns, counted

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | Mapping[str, Sequence[float]]

_COLUMNS = tuple(f"{name}{end}" for name, *_ in SCORES for end in ("", "_low", "_high"))


def plot_learning_curve(table: Table, *, more: int = 100) -> Picture:
    """Draw what models reached that were trained on more and more photos, and answer whether more would help.

    Args:
        table: a row a model: images (that it was trained on), ap, ap_low, ap_high, ap50, ap50_low, ap50_high, the
            ends of 95 % intervals.
        more: photos that could be labelled besides.

    Raises:
        ValueError: a column is missing, or there is no row.
    """
    columns = ("images", *_COLUMNS)
    check_columns(table, columns, "plot_learning_curve")
    order = np.argsort(np.asarray(table["images"]), kind="stable")
    rows = {name: np.asarray(table[name], float)[order] for name in columns}
    expected = forecast(rows, more=more)
    with chart(4.2) as picture:
        axes = picture.subplots()
        for name, words, colour, mark in SCORES:
            axes.fill_between(rows["images"], rows[f"{name}_low"], rows[f"{name}_high"], color=colour, alpha=0.18, lw=0)
            axes.plot(rows["images"], rows[name], f"{mark}-", color=colour, lw=2, ms=6, label=words)
            for x, y in zip(rows["images"], rows[name], strict=True):
                axes.annotate(f"{y:.2f}", (x, y), (0, 7), textcoords="offset points", ha="center", size=8.5)
        if expected:
            ends = [[expected.ap - expected.ap_low], [expected.ap_high - expected.ap]]
            axes.plot([rows["images"][-1], expected.images], [rows["ap"][-1], expected.ap], color=BLUE, lw=1.2, ls=":")
            axes.errorbar(
                expected.images, expected.ap, ends, color=BLUE, marker="o", mfc="white", ms=6, capsize=4, lw=1.4,
                label=f"AP to be expected with {more:,} more",
            )  # fmt: skip
        axes.set(xlabel="photos trained on", ylim=(0, 1.03), xlim=(0, None))
        axes.grid()
        axes.legend(loc="upper left", ncols=3)
        axes.set_title("bands: 95 % intervals")
        picture.headline(expected.answer if expected else "AP by the number of photos")
    return picture


def plot_runs(table: Table) -> Picture:
    """Draw what came out of several trainings, the best first, with intervals.

    Args:
        table: a row a training: label (what differed in its settings; else the index is taken), ap, ap_low, ap_high,
            ap50, ap50_low, ap50_high, the ends of 95 % intervals.

    Raises:
        ValueError: a column is missing, or there is no row.
    """
    check_columns(table, _COLUMNS, "plot_runs")
    order = np.argsort(-np.nan_to_num(np.asarray(table["ap"], float), nan=-1), kind="stable")
    rows = {name: np.asarray(table[name], float)[order] for name in _COLUMNS}
    every = table["label"] if "label" in table else getattr(table, "index", range(len(order)))
    labels = np.array([str(one) for one in every], object)[order].tolist()
    with chart(1.3 + 0.42 * max(len(labels), 2)) as picture:
        axes = picture.subplots()
        axes.axvspan(rows["ap_low"][0], rows["ap_high"][0], color=BLUE, alpha=0.12, lw=0)
        _draw_runs(axes, rows, labels)
        words = f"Best: {readable(labels[0], 42)}, AP {rows['ap'][0]:.2f}"
        alike = int((rows["ap_high"][1:] >= rows["ap_low"][0]).sum())
        if alike:
            words += f"; {counted(alike, 'other')} may be as good"
        elif len(labels) > 1:
            words += "; none of the others comes near"
        picture.headline(words)
    return picture


def _draw_runs(axes: Axes, rows: dict[str, np.ndarray], labels: Sequence[str]) -> None:
    places = np.arange(len(labels))
    for (name, words, colour, mark), shift in zip(SCORES, (-0.13, 0.13), strict=True):
        ends = np.abs(np.array([rows[name] - rows[f"{name}_low"], rows[f"{name}_high"] - rows[name]]))
        axes.errorbar(
            rows[name], places + shift, xerr=ends, fmt=mark, color=colour, ms=6, capsize=3, lw=1.4, label=words
        )
    for place, (ap, ap50) in enumerate(zip(rows["ap"], rows["ap50"], strict=True)):
        axes.text(1.03, place, f"{ap:.2f} / {ap50:.2f}", va="center")
    axes.set_yticks(places, [readable(label, 56) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set(xlim=(0, 1.18), xticks=np.linspace(0, 1, 6))
    axes.tick_params("y", length=0)
    axes.grid(axis="x")
    axes.set_title("AP and AP50 with 95 % intervals; shaded: the interval of the best", color=FAINT, size=9)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.4 / (1 + len(labels))), ncols=2, labelcolor=INK)
