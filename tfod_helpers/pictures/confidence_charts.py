"""What a confidence is worth: whether detections are as often right as it says, and which threshold to choose."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tfod_helpers.annotations.appearance import BLUE, VERMILLION, colour_of, readable
from tfod_helpers.evaluation.confidence import wilson
from tfod_helpers.pictures.picture import FAINT, INK, Picture, chart

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Classification, Evaluation

_MOST_CURVES = 7  # the colours that a reader keeps apart
_MOST_ROWS = 16


def plot_calibration(evaluation: Evaluation | Classification) -> Picture:
    """Draw a reliability diagram: the share of detections, or of a classifier's answers, that are right, by confidence.

    Args:
        evaluation: as `evaluation.evaluate` or `classifier.evaluate` returns it.
    """
    calibration = evaluation.calibration
    bins = calibration.bins
    with chart(4.2) as picture:
        axes, counts = picture.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--", label="perfectly calibrated")
        axes.errorbar(
            bins["confidence"], bins["precision"], _spread(bins), color=BLUE, lw=2, marker="o", ms=6, elinewidth=1.2,
            capsize=3, label=f"this {calibration.who}, with 95 % intervals",
        )  # fmt: skip
        axes.fill_between(bins["confidence"], bins["precision"], bins["confidence"], color=VERMILLION, alpha=0.12, lw=0)
        axes.set(xlim=(0, 1), ylim=(0, 1.03), ylabel="precision")
        axes.text(0.97, 0.06, "over-confident", ha="right", color=FAINT)
        axes.text(0.03, 0.6, "under-confident", color=FAINT)
        axes.grid()
        axes.legend(loc="upper left")
        counts.bar(bins["confidence"], bins["count"], 0.06, color=BLUE, alpha=0.5)
        for confidence, count in zip(bins["confidence"], bins["count"], strict=True):
            counts.text(confidence, count, f"{count:,}", ha="center", va="bottom", size=8)
        counts.set(xlabel="confidence", ylabel=calibration.what, yticks=[])
        counts.set_ylim(0, max(bins["count"].max() if len(bins) else 1, 1) * 1.35)
        picture.headline(_calibration_words(evaluation))
    return picture


def _spread(bins: pd.DataFrame) -> np.ndarray:
    """Return how far the 95 % interval of each share reaches down and up: shape (2, n)."""
    share = bins["precision"].to_numpy()
    low, high = wilson(share, bins["count"].to_numpy())
    return np.maximum([share - low, high - share], 0)


def _calibration_words(evaluation: Evaluation | Classification) -> str:
    words, _, reason = str(evaluation.calibration).partition(":")
    error = evaluation.calibration.error
    mean = "" if np.isnan(error) else f" (expected calibration error {error:.2f})"
    return f"{words}{mean}" if reason else words.removesuffix(".")


def plot_thresholds(evaluation: Evaluation) -> Picture:
    """Draw F1 by the confidence threshold, and each class's best threshold with what it reaches there.

    Of many classes the frequent ones are drawn, and the titles say so.

    Args:
        evaluation: as `evaluation.evaluate` returns it.
    """
    table = evaluation.per_class[evaluation.per_class["boxes"] > 0]
    frequent = table["boxes"].sort_values(ascending=False, kind="stable").index[:_MOST_ROWS]
    colours = {name: colour_of(number) for number, name in enumerate(evaluation.per_class.index, 1)}
    with chart(max(3.7, 1.4 + 0.22 * min(len(table), _MOST_ROWS))) as picture:
        curves, points = picture.subplots(1, 2, width_ratios=(1.35, 1))
        few = len(table) <= _MOST_CURVES
        for name, row in table.iterrows():
            if few:
                curves.plot(*evaluation.f1_curves[str(name)], color=colours[name], lw=1.8, label=readable(name, 16))
                curves.plot(row["best_threshold"], row["f1"], "o", color=colours[name], mec=INK, ms=6)
            else:
                curves.plot(*evaluation.f1_curves[str(name)], color="#C4C4C4", lw=0.6)
        curves.plot(*evaluation.f1_curve, color=INK, lw=2.2, ls="--" if few else "-", label="all classes")
        curves.plot(evaluation.threshold, evaluation.f1, "o", color="white", mec=INK, mew=1.5, ms=7)
        curves.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="confidence threshold", ylabel="F1")
        curves.grid()
        curves.set_title("F1 by threshold, the best marked" + ("" if few else f"; {len(table)} classes in grey"))
        curves.legend(loc="lower left", frameon=True, framealpha=0.85, edgecolor="none")
        _draw_points(points, evaluation, table[table.index.isin(frequent)], colours)
        kept = "" if len(frequent) == len(table) else f"\n({len(frequent)} most frequent of {len(table)} classes)"
        points.set_title(f"Best threshold of each class{kept}")
        picture.headline(f"Best F1 {evaluation.f1:.2f} over all classes, at confidence {evaluation.threshold:.2f}")
    return picture


def _draw_points(axes: Axes, evaluation: Evaluation, table: pd.DataFrame, colours: dict[Hashable, str]) -> None:
    """Draw the best threshold of each class, with precision and recall there."""
    axes.axvline(evaluation.threshold, color=INK, lw=1, ls="--")
    for place, (name, row) in enumerate(table.iterrows()):
        axes.plot([0, row["best_threshold"]], [place, place], color="#D8D8D8", lw=1)
        axes.plot(row["best_threshold"], place, "o", color=colours[name], mec=INK, ms=7)
        words = f"{row['best_threshold']:.2f}:  precision {row['precision']:.2f}, recall {row['recall']:.2f}"
        axes.text(1.05, place, words, va="center", size=8.5)
    axes.set_yticks(range(len(table)), [readable(name, 16) for name in table.index])
    axes.set_ylim(max(len(table), 3) - 0.4, -0.6)
    axes.set(xlim=(0, 2.6), xticks=np.linspace(0, 1, 3), xlabel="confidence")
    axes.xaxis.set_label_coords(0.19, -0.12)
    axes.spines["bottom"].set_bounds(0, 1)
    axes.tick_params("y", length=0)
