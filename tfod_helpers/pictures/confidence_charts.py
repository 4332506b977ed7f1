"""What a confidence is worth: whether it is what it says, and which one to ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tfod_helpers.pictures.picture import BLUE, CHART_WIDTH, FAINT, INK, VERMILLION, Picture, colour_of, readable, style

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation

_MOST_CURVES = 7  # the colours that a reader keeps apart
_MOST_ROWS = 16


def plot_calibration(evaluation: Evaluation) -> Picture:
    """Draw whether confidences are what they say: the share of right detections against their confidence.

    Args:
        evaluation: as `evaluation.evaluate` returns it.
    """
    calibration = evaluation.calibration
    bins = calibration.bins
    with style():
        picture = Picture(CHART_WIDTH, 4.2, layout="constrained")
        axes, counts = picture.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", label="a score that can be taken at its word")
        axes.errorbar(
            bins["confidence"], bins["precision"], _spread(bins), color=BLUE, lw=2, marker="o", ms=6, elinewidth=1.2,
            capsize=3, label="this detector, with 95 % intervals",
        )  # fmt: skip
        axes.fill_between(bins["confidence"], bins["precision"], bins["confidence"], color=VERMILLION, alpha=0.12, lw=0)
        axes.set(xlim=(0, 1), ylim=(0, 1.03), ylabel="share of the detections right")
        axes.text(0.97, 0.06, "scores too high", ha="right", color=FAINT)
        axes.text(0.03, 0.6, "scores too low", color=FAINT)
        axes.grid()
        axes.legend(loc="upper left")
        counts.bar(bins["confidence"], bins["count"], 0.06, color=BLUE, alpha=0.5)
        for confidence, count in zip(bins["confidence"], bins["count"], strict=True):
            counts.text(confidence, count, f"{count:,}", ha="center", va="bottom", size=8)
        counts.set(xlabel="confidence", ylabel="detections", yticks=[])
        counts.set_ylim(0, max(bins["count"].max() if len(bins) else 1, 1) * 1.35)
        picture.suptitle(_calibration_words(evaluation), x=0.01, ha="left", size=12, weight="bold")
    return picture


def _spread(bins: pd.DataFrame) -> np.ndarray:
    """Return how far the 95 % interval of each share reaches down and up: shape (2, n). (Wilson, 1927.)"""
    share, count, z = bins["precision"].to_numpy(), bins["count"].to_numpy(), 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.maximum([share - (middle - half), middle + half - share], 0)


def _calibration_words(evaluation: Evaluation) -> str:
    words, _, reason = str(evaluation.calibration).partition(":")
    error = evaluation.calibration.error
    mean = "" if np.isnan(error) else f" (expected calibration error {error:.2f})"
    return f"{words}{mean}" if reason else words.removesuffix(".")


def plot_thresholds(evaluation: Evaluation) -> Picture:
    """Draw F1 by the confidence asked for, and each class's best confidence with what it reaches there.

    Of many classes the frequent ones are drawn, and the titles say so.

    Args:
        evaluation: as `evaluation.evaluate` returns it.
    """
    table = evaluation.per_class[evaluation.per_class["boxes"] > 0]
    order = table["boxes"].sort_values(ascending=False, kind="stable").index
    ids = {name: number for number, name in enumerate(evaluation.per_class.index, 1)}
    with style():
        picture = Picture(CHART_WIDTH, max(3.7, 1.4 + 0.22 * min(len(table), _MOST_ROWS)), layout="constrained")
        curves, points = picture.subplots(1, 2, width_ratios=(1.35, 1))
        for name in order if len(order) > _MOST_CURVES else []:
            curves.plot(*evaluation.f1_curves[name], color="#C4C4C4", lw=0.6)
        shown = (
            [name for name in table.index if name in set(order[:_MOST_CURVES])] if len(order) <= _MOST_CURVES else []
        )
        for name in shown:
            curves.plot(*evaluation.f1_curves[name], color=colour_of(ids[name]), lw=1.8, label=readable(name, 16))
            curves.plot(*table.loc[name, ["best_threshold", "f1"]], "o", color=colour_of(ids[name]), mec=INK, ms=6)
        curves.plot(*evaluation.f1_curve, color=INK, lw=2.2, ls="--" if shown else "-", label="all classes")
        curves.plot(evaluation.threshold, evaluation.f1, "o", color="white", mec=INK, mew=1.5, ms=7)
        curves.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="least confidence asked for", ylabel="F1")
        curves.grid()
        grey = f"; {len(order)} classes in grey" if not shown else ""
        curves.set_title(f"F1 by confidence, the best marked{grey}")
        curves.legend(loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
        _draw_points(points, evaluation, [name for name in table.index if name in set(order[:_MOST_ROWS])], ids)
        picture.suptitle(
            f"Ask for confidence {evaluation.threshold:.2f}: the best F1 over all classes, {evaluation.f1:.2f}",
            x=0.01, ha="left", size=12, weight="bold",
        )  # fmt: skip
    return picture


def _draw_points(axes: Axes, evaluation: Evaluation, names: list[str], ids: dict[str, int]) -> None:
    """Draw each class's best threshold, with precision and recall there."""
    table = evaluation.per_class.loc[names]
    total = int((evaluation.per_class["boxes"] > 0).sum())
    axes.axvline(evaluation.threshold, color=INK, lw=1, ls="--")
    for place, (name, row) in enumerate(table.iterrows()):
        axes.plot([0, row["best_threshold"]], [place, place], color="#D8D8D8", lw=1)
        axes.plot(row["best_threshold"], place, "o", color=colour_of(ids[name]), mec=INK, ms=7)
        axes.text(
            1.05, place, f"{row['best_threshold']:.2f}:  {row['precision']:.0%} right, {row['recall']:.0%} found",
            va="center", size=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [readable(name, 16) for name in names])
    axes.set_ylim(max(len(names), 3) - 0.4, -0.6)
    axes.set(xlim=(0, 2.25), xticks=np.linspace(0, 1, 3), xlabel="confidence")
    axes.xaxis.set_label_coords(0.22, -0.12)
    axes.spines["bottom"].set_bounds(0, 1)
    axes.tick_params("y", length=0)
    kept = "" if len(names) == total else f" ({len(names)} most frequent of {total})"
    axes.set_title(f"Each class's best confidence{kept}")
