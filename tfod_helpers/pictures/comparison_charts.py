"""Several trainings beside each other: with more and more photos, and with other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.axes import Axes

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
_LEAST_POINTS = 3  # a line through two says nothing of how well it fits
_DRAWS = 2000
_WORTH = 0.01  # AP: less is not worth labelling for


class _Gain(NamedTuple):
    """What more photos would probably bring: AP with them, and how much more that is, with 95 % intervals."""

    images: int
    ap: float
    ap_low: float
    ap_high: float
    gain: float
    low: float
    high: float


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
    gain = _gain(rows, more)
    with style():
        picture = Picture(CHART_WIDTH, 4.2, layout="constrained")
        axes = picture.subplots()
        for name, words, colour, mark in _SCORES:
            axes.fill_between(rows["images"], rows[f"{name}_low"], rows[f"{name}_high"], color=colour, alpha=0.18, lw=0)
            axes.plot(rows["images"], rows[name], f"{mark}-", color=colour, lw=2, ms=6, label=words)
            for x, y in zip(rows["images"], rows[name], strict=True):
                axes.annotate(f"{y:.2f}", (x, y), (0, 7), textcoords="offset points", ha="center", size=8.5)
        if gain:
            ends = [[gain.ap - gain.ap_low], [gain.ap_high - gain.ap]]
            axes.plot([rows["images"][-1], gain.images], [rows["ap"][-1], gain.ap], color=BLUE, lw=1.2, ls=":")
            axes.errorbar(
                gain.images, gain.ap, ends, color=BLUE, marker="o", mfc="white", ms=6, capsize=4, lw=1.4,
                label=f"AP to be expected with {more:,} more",
            )  # fmt: skip
        axes.set(xlabel="photos trained on", ylim=(0, 1.03), xlim=(0, None))
        axes.grid()
        axes.legend(loc="upper left", ncols=3)
        axes.set_title("bands: 95 % intervals")
        picture.suptitle(_short_answer(gain, more), x=0.01, ha="left", size=12, weight="bold")
    return picture


def would_more_help(table: Table, *, more: int = 100) -> str:
    """Answer in words whether more labelled photos would help.

    The missing AP, ``1 - AP``, is taken to fall with a power of the number of photos, as learning curves
    do (Hestness and others, 2017). The interval comes from drawing each point anew within its own.

    Args:
        table: as `plot_learning_curve` takes it.
        more: photos that could be labelled besides.

    Raises:
        ValueError: as `plot_learning_curve` raises.
    """
    gain = _gain(_checked(table, ("images", *_COLUMNS), "would_more_help"), more)
    if gain is None:
        return f"Whether {more:,} more photos would help takes models of {_LEAST_POINTS} numbers of photos or more."
    expected = (
        f"with {gain.images:,} photos about AP {gain.ap:.2f} is to be expected, {gain.gain:+.2f} "
        f"(95 %: {gain.low:+.2f} to {gain.high:+.2f})"
    )
    return f"{_short_answer(gain, more)}: {expected}."


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


def _gain(rows: dict[str, np.ndarray], more: int) -> _Gain | None:
    """Return what ``more`` photos would bring; None where the points are too few to say."""
    known = np.isfinite(rows["ap"]) & (rows["images"] > 0)
    images, ap = rows["images"][known], rows["ap"][known]
    if len(np.unique(images)) < _LEAST_POINTS:
        return None
    deviation = np.nan_to_num((rows["ap_high"] - rows["ap_low"])[known] / (2 * 1.96), nan=0.05)
    deviation = np.maximum(deviation, 1e-3)
    drawn = ap + deviation * np.random.default_rng(0).standard_normal((_DRAWS, len(ap)))
    drawn = np.vstack([ap, drawn]).clip(0.001, 0.999)
    # A straight line through the logarithms; the error of log(1 - AP) is that of AP over 1 - AP.
    weight = ((1 - ap.clip(0.001, 0.999)) / deviation) ** 2
    x = np.log(images) - np.average(np.log(images), weights=weight)
    y = np.log(1 - drawn)
    slope = (y * x * weight).sum(axis=1) / (x * x * weight).sum()
    steps = np.log(np.array([images[-1], images[-1] + more])) - np.log(images) @ weight / weight.sum()
    now, then = (1 - np.exp((y * weight).sum(axis=1) / weight.sum() + slope * step) for step in steps)
    low, high = np.quantile((then - now)[1:], [0.025, 0.975])
    ap_low, ap_high = np.quantile(then[1:], [0.025, 0.975])
    ends = (min(ap_low, then[0]), max(ap_high, then[0]))
    return _Gain(int(images[-1] + more), then[0], *ends, (then - now)[0], low, high)


def _short_answer(gain: _Gain | None, more: int) -> str:
    if gain is None:
        return "AP by the number of photos"
    if gain.low > _WORTH:
        return f"{more:,} more labelled photos would help"
    if gain.high < _WORTH:
        return f"{more:,} more labelled photos would hardly help"
    if gain.low > 0:
        return f"{more:,} more labelled photos would help a little"
    return f"The intervals overlap too much to tell whether {more:,} more photos would help"
