"""How a training went, and how the loss answered to ever higher learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfod_helpers.annotations.appearance import BLUE, ORANGE, VERMILLION
from tfod_helpers.pictures.picture import FAINT, INK, SCORES, Picture, chart, check_columns, counted

if TYPE_CHECKING:
    import pandas as pd


class HasFrame(Protocol):
    """What `training.train` returns, as far as it is drawn: a table in ``.frame``."""

    @property
    def frame(self) -> pd.DataFrame:
        """A row each time the loss was read."""


def plot_history(history: HasFrame | pd.DataFrame, evaluations: pd.DataFrame | None = None) -> Picture:
    """Draw how a training went: losses, AP and AP50 with the best point marked, learning rate, speed.

    Args:
        history: a table, or what has one in ``.frame``, with the columns ``step`` and ``loss``, and
            where known ``validation_loss``, ``ap``, ``ap50``, ``learning_rate`` and
            ``steps_per_second``; NaN where a step was not evaluated.
        evaluations: from `runs.evaluations`: what an evaluator beside the training found, drawn with 95 % intervals.

    Raises:
        ValueError: no rows, or no such columns.
    """
    frame: Any = getattr(history, "frame", history)
    check_columns(frame, ("step", "loss"), "plot_history")
    last = int(frame["step"].max())
    with chart(4.6) as picture:
        panels = picture.subplot_mosaic([["loss", "ap"], ["rate", "speed"]], height_ratios=(3.2, 1), sharex=True)
        _draw_loss(panels["loss"], frame)
        headline = _draw_ap(panels["ap"], frame)
        if evaluations is not None and not evaluations.empty:
            _draw_evaluations(panels["ap"], evaluations)
        _draw_small(panels["rate"], frame, "learning_rate", "Learning rate")
        _draw_small(panels["speed"], frame, "steps_per_second", "Steps a second")
        panels["loss"].set_xlim(0, max(last, 1) * 1.02)
        picture.headline(f"{counted(last, 'training step')}: {headline}")
    return picture


def _draw_loss(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_title("Loss: lower is better")
    axes.grid(axis="y")
    known = frame[frame["loss"].notna()]
    if known.empty:
        return _say(axes, "no loss yet")
    smooth = known["loss"].rolling(1 + len(known) // 12, center=True, min_periods=1).mean()
    axes.plot(known["step"], known["loss"], color=BLUE, alpha=0.3, lw=1)
    dots = "." if len(known) < 3 else ""  # a line of one point shows nothing
    axes.plot(known["step"], smooth, marker=dots, color=BLUE, lw=2, label="training (smoothed)")
    if "validation_loss" in frame and frame["validation_loss"].notna().any():
        seen = frame[frame["validation_loss"].notna()]
        axes.plot(seen["step"], seen["validation_loss"], "o--", color=VERMILLION, lw=1.5, ms=5, label="validation")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _draw_ap(axes: Axes, frame: pd.DataFrame) -> str:
    """Draw AP and AP50; return what the headline says of them."""
    axes.set_title("AP on the validation photos: higher is better")
    axes.set(ylim=(0, 1.14), yticks=np.linspace(0, 1, 6))
    axes.grid(axis="y")
    if "ap" not in frame or not frame["ap"].notna().any():
        _say(axes, "not evaluated yet")
        return "not evaluated yet"
    seen = frame[frame["ap"].notna()]
    best = seen.iloc[int(seen["ap"].argmax())]
    axes.axvline(best["step"], color=INK, lw=0.8, ls=":", zorder=0)
    words = []
    for column, name, colour, mark in SCORES:
        if column in seen and seen[column].notna().any():
            words.append(f"{name} {best[column]:.2f}")
            axes.plot(seen["step"], seen[column], f"{mark}-", color=colour, lw=1.8, ms=5)
            axes.plot(best["step"], best[column], mark, ms=11, mfc="none", mec=INK, mew=1.5)
            # AP50 is never under AP: above the one and below the other no line runs through the text.
            low = best["ap"] < 0.12
            rise = (9 if low else -9) if column == "ap" else (22 if low else 9)
            _label_point(axes, best["step"], best[column], words[-1], frame["step"].max(), rise)
    return f"best {', '.join(words)} at step {int(best['step']):,}"


def _draw_evaluations(axes: Axes, found: pd.DataFrame) -> None:
    words = "hollow: the evaluator's, with 95 % intervals"
    axes.text(0.02, 0.98, words, transform=axes.transAxes, ha="left", va="top", color=FAINT, size=8)
    for column, _, colour, mark in SCORES:
        low, high = (found[column] - found[f"{column}_low"]), (found[f"{column}_high"] - found[column])
        bars = np.nan_to_num(np.clip([low, high], 0, None))
        axes.errorbar(found.index, found[column], bars, fmt=mark, color=colour, mfc="white", ms=5, lw=1, capsize=3)


def _label_point(axes: Axes, x: float, y: float, text: str, last: float, rise: float) -> None:
    axes.annotate(
        text, (x, y), (0, rise), textcoords="offset points", weight="bold",
        ha="right" if x > 0.85 * last else "center", va="bottom" if rise > 0 else "top",
        bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 1},
    )  # fmt: skip


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT)


def _draw_small(axes: Axes, frame: pd.DataFrame, column: str, title: str) -> None:
    axes.set_title(title, size=9)
    axes.set_xlabel("step")
    axes.grid(axis="y")
    if column not in frame or not frame[column].notna().any():
        axes.set_yticks([])
        return _say(axes, "not recorded")
    known = frame[frame[column].notna()]
    axes.plot(known["step"], known[column], color=FAINT, lw=1.5, marker="." if len(known) < 3 else "")
    axes.set_ylim(0, known[column].max() * 1.25 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


class RateTrial(Protocol):
    """What `training.find_learning_rate` returns, as far as it is drawn."""

    frame: pd.DataFrame
    best: float


def plot_learning_rates(trial: RateTrial) -> Picture:
    """Draw the loss over the learning rate, and where it fell fastest.

    Args:
        trial: from `training.find_learning_rate`: ``frame`` with learning_rate, loss and smoothed, and ``best``.

    Raises:
        ValueError: it holds no steps, or lacks a column.
    """
    frame = trial.frame
    check_columns(frame, ("learning_rate", "loss", "smoothed"), "plot_learning_rates")
    with chart(3.2) as picture:
        axes = picture.add_subplot()
        axes.plot(frame["learning_rate"], frame["loss"], color=FAINT, lw=1, alpha=0.6, label="each step")
        axes.plot(frame["learning_rate"], frame["smoothed"], color=BLUE, lw=2, label="smoothed")
        axes.axvline(trial.best, color=ORANGE, lw=2)
        axes.annotate(
            f"falls fastest at {trial.best:.1e}", (trial.best, 1), (-6, -6), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right", va="top", color=ORANGE, weight="bold",
        )  # fmt: skip
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.set_ylim(0, 1.15 * float(frame["smoothed"].max()))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.grid(axis="y")
        axes.legend(loc="lower left")
        picture.headline("The loss while the learning rate rises")
    return picture
