"""How the loss answered to ever higher learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from matplotlib.ticker import FuncFormatter

from tfod_helpers.pictures.picture import BLUE, CHART_WIDTH, FAINT, ORANGE, Picture, style

if TYPE_CHECKING:
    import pandas as pd


class RateTrial(Protocol):
    """What `training.find_learning_rate` returns, as far as it is drawn."""

    frame: pd.DataFrame
    best: float


def plot_learning_rates(trial: RateTrial) -> Picture:
    """Draw the loss over the learning rate, and where it fell fastest.

    Args:
        trial: from `training.find_learning_rate`: ``frame`` with learning_rate, loss and smoothed, and ``best``.

    Raises:
        ValueError: it holds no steps.
    """
    frame = trial.frame
    if not len(frame):
        raise ValueError("plot_learning_rates: there are no steps. Run training.find_learning_rate again.")
    with style():
        picture = Picture(CHART_WIDTH, 3.2, layout="constrained")
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
        picture.suptitle("The loss while the learning rate rises", x=0.01, ha="left", size=12, weight="bold")
    return picture
