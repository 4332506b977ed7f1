"""How a classifier's training went, and how good the classifier is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfod_helpers.annotations.appearance import BLUE, ORANGE, SKY, VERMILLION, colour_of, readable
from tfod_helpers.pictures.picture import FAINT, INK, Picture, chart, check_columns, counted

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Classification

_HIGH = 4  # times the median loss
_MOST_CURVES = 7  # the colours that a reader keeps apart
_MOST_CLASSES = 16  # rows of bars, and of a confusion matrix
_BARS = (("precision", BLUE), ("recall", SKY), ("f1", ORANGE))
_COLUMNS = ("epoch", "validation_loss", "validation_accuracy")


def plot_epochs(histories: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Picture:
    """Draw loss and accuracy on the validation photos by epoch, of one training of a classifier or of several.

    Args:
        histories: as `classifier.train` returns it, or several by name. Of one, its parts follow each other.

    Raises:
        ValueError: a column is missing, or there is no row.
    """
    several = isinstance(histories, Mapping)
    named: dict[str, pd.DataFrame] = dict(histories) if several else _parts(histories)  # type: ignore[arg-type]
    for table in named.values():
        check_columns(table, _COLUMNS, "plot_epochs")
    with chart(3.4) as picture:
        panels = picture.subplots(1, 2)
        words = (("validation_loss", "Loss: lower is better"), ("validation_accuracy", "Accuracy: higher is better"))
        for axes, (column, title) in zip(panels, words, strict=True):
            start = 0
            for (name, table), colour in zip(named.items(), (BLUE, VERMILLION, ORANGE, SKY), strict=False):
                at = table["epoch"] + start
                lost = "" if np.isfinite(table["validation_loss"]).all() else ", loss NaN"
                axes.plot(at, table[column], "o-", color=colour, lw=1.8, ms=4, label=readable(name, 40) + lost)
                start += 0 if several else int(table["epoch"].max())
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y")
        losses = np.concatenate([table["validation_loss"] for table in named.values()])
        losses = losses[np.isfinite(losses)] if np.isfinite(losses).any() else np.ones(1)
        # Of several trainings one may begin far off the chart.
        panels[0].set_ylim(0, min(1.05 * losses.max(), _HIGH * np.median(losses) if several else np.inf))
        panels[1].set_ylim(0, 1.04)
        panels[1].legend(loc="lower right")
        picture.headline(_of_epochs(named, several))
    return picture


def _parts(history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    check_columns(history, ("part", *_COLUMNS), "plot_epochs")
    return {str(name): table for name, table in history.groupby("part", sort=False)}


def _of_epochs(named: Mapping[str, pd.DataFrame], several: bool) -> str:
    best = {name: float(table["validation_accuracy"].max()) for name, table in named.items()}
    if several:
        return "Validation accuracy, at best: " + "; ".join(f"{name} {value:.2f}" for name, value in best.items())
    epochs = sum(int(table["epoch"].max()) for table in named.values())
    return f"{counted(epochs, 'epoch')}: validation accuracy {max(best.values()):.2f} at best"


def plot_classification(evaluation: Classification) -> Picture:
    """Draw how good a classifier is: ROC and precision-recall curves, each class's numbers, the confusion matrix.

    Of many classes the worst are drawn, and the titles say so.

    Args:
        evaluation: as `classifier.evaluate` returns it.
    """
    table = evaluation.per_class[evaluation.per_class["photos"] > 0]
    rows = table.sort_values("f1")[: min(len(table), _MOST_CLASSES)].index
    with chart(6.2 + 0.16 * max(0, len(rows) - 6)) as picture:
        axes = picture.subplot_mosaic("RP;BC", height_ratios=(1.1, 1))
        _draw_curves(axes["R"], axes["P"], evaluation, table)
        _draw_bars(axes["B"], table.loc[[name for name in table.index if name in rows]], len(table))
        _draw_confusion(axes["C"], evaluation, [name for name in table.index if name in rows])
        low, high = evaluation.intervals["accuracy"]
        words = f"Accuracy {evaluation.accuracy:.2f} (95 %: {low:.2f} to {high:.2f}) on"
        picture.headline(f"{words} {counted(evaluation.images, 'photo')}")
    return picture


def _draw_curves(roc: Axes, pr: Axes, evaluation: Classification, table: pd.DataFrame) -> None:
    worst = table.sort_values("auc")[:_MOST_CURVES].index
    which = f": the {len(worst)} worst of {len(table)} classes" if len(worst) < len(table) else ""
    roc.plot([0, 1], [0, 1], color=FAINT, lw=1, ls="--")
    for number, name in enumerate(evaluation.per_class.index, 1):
        if name in worst:
            colour, style = colour_of(number), "-" if number % 2 else "--"
            row, shown = table.loc[name], readable(name, 16)
            roc.plot(*evaluation.roc_curves[name], style, color=colour, lw=2, label=f"{shown} {row['auc']:.3f}")
            pr.plot(*evaluation.pr_curves[name], style, color=colour, lw=2, label=f"{shown} {row['ap']:.3f}")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title=f"ROC{which}")
    pr.set(xlabel="recall", ylabel="precision", title=f"Precision and recall{which}")
    for axes in (roc, pr):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.03))
        axes.grid()
    roc.legend(loc="lower right", title="area", alignment="left")
    pr.legend(loc="lower left", title="average precision", alignment="left")


def _draw_bars(axes: Axes, table: pd.DataFrame, classes: int) -> None:
    places = np.arange(len(table))
    for (name, colour), shift in zip(_BARS, (-0.26, 0, 0.26), strict=True):
        values = table[name].fillna(0)
        ends = np.nan_to_num([values - table[f"{name}_low"], table[f"{name}_high"] - values]).clip(0)
        axes.barh(places + shift, values, 0.24, color=colour, label=name.replace("f1", "F1"))
        axes.errorbar(values, places + shift, xerr=ends, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
        for place, value, high in zip(places, values, ends[1], strict=True):
            axes.text(value + high + 0.02, place + shift, f"{value:.2f}", va="center", size=8)
    labels = [f"{readable(str(name), 16)} ({int(photos):,})" for name, photos in table["photos"].items()]
    axes.set_yticks(places, labels)
    axes.set(xlim=(0, 1.22), ylim=(len(table) - 0.4, -0.6), xticks=np.linspace(0, 1, 5))
    axes.tick_params("y", length=0)
    which = f", {len(table)} worst of {classes}" if len(table) < classes else ""
    axes.set_title(f"Each class{which}; lines: 95 % intervals")
    axes.legend(loc="upper center", bbox_to_anchor=(0.42, -0.12), ncols=3)


def _draw_confusion(axes: Axes, evaluation: Classification, names: list[str]) -> None:
    counts = evaluation.confusion.loc[names, names].to_numpy(float)
    totals = evaluation.confusion.loc[names].to_numpy(float).sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if shares[row, column] > 0.55 else INK if count else "#B0B0B0"
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=ink, size=9)
    shown = [readable(name, 14) for name in names]
    few = len(names) <= 4
    axes.set_yticks(range(len(names)), shown)
    axes.set_xticks(range(len(names)), shown, rotation=0 if few else 45, ha="center" if few else "right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(ylabel="labelled", xlabel="classified as", title="Confusion matrix")
