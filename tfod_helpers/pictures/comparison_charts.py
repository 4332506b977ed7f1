"""Several trainings beside each other: with more and more photos, and with other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tfod_helpers.evaluation import forecast
from tfod_helpers.pictures.picture import (
    BLUE,
    CHART_WIDTH,
    FAINT,
    INK,
    ORANGE,
    Picture,
    counted,
    readable,
    style,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | Mapping[str, Sequence[float]]

_SCORES = (("ap", "AP", BLUE, "o"), ("ap50", "AP50", ORANGE, "s"))
_COLUMNS = tuple(f"{name}{end}" for name, *_ in _SCORES for end in ("", "_low", "_high"))


def plot_learning_curve(table: Table, *, more: int = 100) -> Picture:
    """Draw what models reached that were trained on more and more photos, and answer whether more would help.

    Args:
        table: a row a model: images (that it was trained on), ap, ap_low, ap_high, ap50, ap50_low, ap50_high, the
            ends of 95 % intervals.
        more: photos that could be labelled besides.

    Raises:
        ValueError: a column is missing, or there is no row.
    """
    rows = _checked(table, ("images", *_COLUMNS), "plot_learning_curve")
    expected = forecast(rows, more=more)
    with style():
        picture = Picture(CHART_WIDTH, 4.2, layout="constrained")
        axes = picture.subplots()
        for name, words, colour, mark in _SCORES:
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
        headline = expected.answer if expected else "AP by the number of photos"
        picture.suptitle(headline, x=0.01, ha="left", size=12, weight="bold")
    return picture


def plot_runs(table: Table) -> Picture:
    """Draw what came out of several trainings, the best first, with intervals.

    Args:
        table: a row a training: label (what differed in its settings; else the index is taken), ap, ap_low, ap_high,
            ap50, ap50_low, ap50_high, the ends of 95 % intervals.

    Raises:
        ValueError: a column is missing, or there is no row.
    """
    rows = _checked(table, _COLUMNS, "plot_runs")
    labels = [
        str(one) for one in (table["label"] if "label" in table else getattr(table, "index", range(len(rows["ap"]))))
    ]
    order = np.argsort(-np.nan_to_num(rows["ap"], nan=-1), kind="stable")
    rows = {name: values[order] for name, values in rows.items()}
    labels = [labels[number] for number in order]
    with style():
        picture = Picture(CHART_WIDTH, 1.3 + 0.42 * max(len(labels), 2), layout="constrained")
        axes = picture.subplots()
        axes.axvspan(rows["ap_low"][0], rows["ap_high"][0], color=BLUE, alpha=0.12, lw=0)
        _draw_runs(axes, rows, labels)
        alike = int((rows["ap_high"][1:] >= rows["ap_low"][0]).sum())
        words = f"Best: {readable(labels[0], 34)}, AP {rows['ap'][0]:.2f}"
        if len(labels) > 1:
            also = counted(alike, "other") if alike else "none of the others"
            words += f"; {also} may be as good" if alike else f"; {also} comes near"
        picture.suptitle(words, x=0.01, ha="left", size=12, weight="bold")
    return picture


def _draw_runs(axes: Axes, rows: dict[str, np.ndarray], labels: Sequence[str]) -> None:
    places = np.arange(len(labels))
    for (name, words, colour, mark), shift in zip(_SCORES, (-0.13, 0.13), strict=True):
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


def _checked(table: Table, columns: Sequence[str], where: str) -> dict[str, np.ndarray]:
    """Return the columns as arrays, by rising number of photos where they have one."""
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(
            f"{where} takes a table with the columns {', '.join(columns)}, and this one lacks {', '.join(lacking)}."
        )
    rows = {name: np.asarray(table[name], float) for name in columns}
    if not len(rows[columns[0]]):
        raise ValueError(f"{where}: the table has no row. Train and evaluate first.")
    order = np.argsort(rows["images"], kind="stable") if "images" in rows else np.arange(len(rows["ap"]))
    return {name: values[order] for name, values in rows.items()}
