"""How a training went, and how good the detector is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfod_helpers.pictures.picture import (
    BLUE,
    CHART_WIDTH,
    FAINT,
    INK,
    ORANGE,
    SKY,
    VERMILLION,
    Picture,
    colour_of,
    counted,
    readable,
    style,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation

_FEW = 3  # classes whose three charts fit beside each other
_MOST_CURVES = 7  # the colours that a reader keeps apart
_MOST_BARS = 16
_MOST_CONFUSED = 10
_LIGHT_BLUE = "#A6CEE9"


class HasFrame(Protocol):
    """What `training.train` returns, as far as it is drawn: a table in ``.frame``."""

    @property
    def frame(self) -> pd.DataFrame:
        """A row each time the loss was read."""


def plot_history(history: HasFrame | pd.DataFrame) -> Picture:
    """Draw how a training went: losses, AP and AP50 with the best point marked, learning rate, speed.

    Args:
        history: a table, or what has one in ``.frame``, with the columns ``step`` and ``loss``, and
            where known ``validation_loss``, ``ap``, ``ap50``, ``learning_rate`` and
            ``steps_per_second``; NaN where a step was not evaluated.

    Raises:
        ValueError: no rows, or no such columns.
    """
    frame = getattr(history, "frame", history)
    _check_history(frame)
    with style():
        picture = Picture(CHART_WIDTH, 4.6, layout="constrained")
        rows = picture.add_gridspec(2, 2, height_ratios=(3.2, 1))
        loss, ap = picture.add_subplot(rows[0, 0]), picture.add_subplot(rows[0, 1])
        rate, speed = picture.add_subplot(rows[1, 0], sharex=loss), picture.add_subplot(rows[1, 1], sharex=loss)
        ap.sharex(loss)
        _draw_loss(loss, frame)
        headline = _draw_ap(ap, frame)
        _draw_small(rate, frame, "learning_rate", "Learning rate")
        _draw_small(speed, frame, "steps_per_second", "Steps a second")
        loss.set_xlim(0, max(float(frame["step"].max()), 1) * 1.02)
        for axes in (loss, ap):
            axes.tick_params(labelbottom=False)
        picture.suptitle(
            f"{counted(int(frame['step'].max()), 'training step')}: {headline}",
            x=0.01, ha="left", size=12, weight="bold",
        )  # fmt: skip
    return picture


def plot_evaluation(evaluation: Evaluation) -> Picture:
    """Draw how good a detector is: precision-recall curves, AP of each class, the confusion matrix.

    Of many classes the best and the worst are drawn, and the titles say so.

    Args:
        evaluation: ``ap``, ``ap50`` and ``ap75``, and where known their 95 % ``intervals``, by name;
            ``per_class``, a table by class name with ``ap``, ``ap50`` and ``boxes``, and where known the
            intervals' ends, ``ap_low``, ``ap_high``, ``ap50_low`` and ``ap50_high``; ``pr_curves``, class
            name to ``(recall, precision)`` at IoU 0.50;
            ``confusion``, counts with true classes down, the last row for nothing there, and
            predicted classes across, the last column for missed; ``threshold``, the least confidence
            that the confusion counts.

    Raises:
        ValueError: it holds no class.
    """
    classes = len(evaluation.per_class)
    if not classes:
        raise ValueError("plot_evaluation: the evaluation holds no class. Evaluate a dataset that has labels.")
    layout, height, widths = _layout(classes)
    with style():
        picture = Picture(CHART_WIDTH, height, layout="constrained")
        axes = picture.subplot_mosaic(layout, width_ratios=widths)
        _draw_curves(axes["pr"], evaluation)
        _draw_bars(axes["ap"], evaluation)
        _draw_confusion(axes["confusion"], evaluation)
        boxes = int(np.nansum(evaluation.per_class["boxes"]))
        picture.suptitle(
            f"AP {_score(evaluation, 'ap', '95 %: ')}, AP50 {_score(evaluation, 'ap50')}, "
            f"AP75 {_score(evaluation, 'ap75', None)} on {counted(boxes, 'box', 'boxes')}",
            x=0.01, ha="left", size=12, weight="bold",
        )  # fmt: skip
    return picture


def _layout(classes: int) -> tuple[list[list[str]], float, tuple[float, ...]]:
    """Return a mosaic, its height in inches and the widths of its columns."""
    if classes <= _FEW:
        return [["pr", "ap", "confusion"]], 3.7, (1, 0.9, 1)
    if classes <= _MOST_CURVES:
        return [["pr", "ap"], ["confusion", "confusion"]], 6.6, (1.2, 1)
    return [["pr", "ap"], ["confusion", "ap"]], 7.4, (1.3, 1)


def _check_history(frame: Any) -> None:
    columns = list(getattr(frame, "columns", []))
    lacking = [name for name in ("step", "loss") if name not in columns]
    if lacking:
        raise ValueError(
            f"plot_history takes a table with the columns step and loss, got {type(frame).__name__} with "
            f"{', '.join(map(str, columns)) or 'no columns'}. Give the History that training.train returned."
        )
    if not len(frame):
        raise ValueError("plot_history: there are no rows yet. Train for some steps first.")


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
    best = seen.loc[seen["ap"].idxmax()]
    axes.axvline(best["step"], color=INK, lw=0.8, ls=":", zorder=0)
    words = []
    for column, name, colour, mark in (("ap", "AP", BLUE, "o"), ("ap50", "AP50", ORANGE, "s")):
        if column in seen and seen[column].notna().any():
            words.append(f"{name} {best[column]:.2f}")
            axes.plot(seen["step"], seen[column], f"{mark}-", color=colour, lw=1.8, ms=5)
            axes.plot(best["step"], best[column], mark, ms=11, mfc="none", mec=INK, mew=1.5)
            # AP50 is never under AP: above the one and below the other no line runs through the text.
            low = best["ap"] < 0.12
            rise = (9 if low else -9) if column == "ap" else (22 if low else 9)
            _label_point(axes, best["step"], best[column], words[-1], frame["step"].max(), rise)
    return f"best {', '.join(words)} at step {int(best['step']):,}"


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


def _draw_curves(axes: Axes, evaluation: Evaluation) -> None:
    ap50 = evaluation.per_class["ap50"]
    curves = [(number, name) for number, name in enumerate(ap50.index, 1) if not np.isnan(ap50[name])]
    if len(curves) <= _MOST_CURVES:
        shown = {name: (colour_of(number), "-") for number, name in curves}
        axes.set_title("Precision and recall\nat IoU 0.50")
    else:
        for _, name in curves:
            axes.plot(*evaluation.pr_curves[name], color="#C4C4C4", lw=0.6)
        ranked = ap50.dropna().sort_values(ascending=False).index
        lines = ((BLUE, "-"), (SKY, "-"), (ORANGE, "--"), (VERMILLION, "--"))
        shown = dict(zip([*ranked[:2], *ranked[-2:]], lines, strict=False))
        axes.set_title(f"Precision and recall at IoU 0.50:\n2 best and 2 worst of {len(curves)} classes, the rest grey")
    for name, (colour, line) in shown.items():
        recall, precision = evaluation.pr_curves[name]
        axes.plot(recall, precision, line, color=colour, lw=2, label=f"{readable(name, 16)} {ap50[name]:.2f}")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.04), xlabel="recall: share of the boxes found")
    axes.set_ylabel("precision: share of the finds right")
    axes.grid()
    axes.legend(loc="lower left", title="AP50", alignment="left", frameon=True, framealpha=0.85, edgecolor="none")


def _draw_bars(axes: Axes, evaluation: Evaluation) -> None:
    table = evaluation.per_class.sort_values("ap", ascending=False, na_position="last")
    title = "AP (dark) / AP50 (light)\nof each class (boxes)"
    if len(table) > _MOST_BARS:
        half = _MOST_BARS // 2
        title = f"AP (dark) / AP50 (light) of the {half} best\nand {half} worst of {len(table)} classes (boxes)"
        known = table[table["ap"].notna()]
        table = known.iloc[[*range(min(half, len(known))), *range(max(half, len(known) - half), len(known))]]
    places = np.arange(len(table))
    axes.barh(places, table["ap50"].fillna(0), 0.72, color=_LIGHT_BLUE)
    axes.barh(places, table["ap"].fillna(0), 0.4, color=BLUE)
    for place, (_, row) in zip(places, table.iterrows(), strict=True):
        text = "no boxes" if np.isnan(row["ap"]) else f"{row['ap']:.2f} / {row['ap50']:.2f}"
        end = np.nan_to_num(
            max(row["ap50"], _draw_interval(axes, row, "ap50", place), _draw_interval(axes, row, "ap", place))
        )
        axes.text(end + 0.02, place, text, va="center", size=8.5)
    labels = [f"{readable(name, 16)} ({int(row['boxes']):,})" for name, row in table.iterrows()]
    axes.set_yticks(places, labels)
    axes.set_ylim(max(len(table), 2) - 0.4, -0.6)
    axes.set(xlim=(0, 1.5), xticks=np.linspace(0, 1, 5))  # the numbers stand to the right of 1
    if any(line.get_gid() == "interval" for line in axes.lines):
        axes.set_xlabel("lines: 95 % intervals")
    axes.tick_params("y", length=0)
    axes.set_title(title)


def _draw_interval(axes: Axes, row: pd.Series, name: str, place: int) -> float:
    """Draw the 95 % interval of a class's score where it is known; return its upper end, or 0."""
    low, high = row.get(f"{name}_low", np.nan), row.get(f"{name}_high", np.nan)
    if np.isnan(low):
        return 0.0
    shift = -0.1 if name == "ap" else 0.27  # beside each other, where both cross the bar
    axes.plot([low, high], [place + shift] * 2, color=INK, lw=1.1, marker="|", ms=5, gid="interval")
    return float(high)


def _draw_confusion(axes: Axes, evaluation: Evaluation) -> None:
    counts, names, which = _most_confused(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shares[-1] = counts[-1] / max(counts.sum(1).max(), 1)  # nothing there: against the largest class
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        corner = row == column == len(counts) - 1  # nothing there and nothing said: not countable
        ink = "white" if shares[row, column] > 0.55 else INK if count else "#B0B0B0"
        axes.text(column, row, "" if corner else _short(count), ha="center", va="center", color=ink, size=8.5)
    few = len(names) <= _FEW
    axes.set_yticks(range(len(names) + 1), [*names, str(evaluation.confusion.index[-1])])
    turn = {"rotation": 0, "ha": "center"} if few else {"rotation": 45, "ha": "right"}
    axes.set_xticks(range(len(names) + 1), [*names, str(evaluation.confusion.columns[-1])], **turn)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("truth")
    axes.set_xlabel("detector says")
    axes.set_title(f"What was taken for what{which}\n(confidence {evaluation.threshold:.2f} or more)")


def _score(evaluation: Evaluation, name: str, first: str | None = "") -> str:
    """Return a score in words, with its interval where that is known and ``first`` says how to begin it."""
    value = getattr(evaluation, name)
    low, high = getattr(evaluation, "intervals", {}).get(name, (np.nan, np.nan))
    interval = "" if first is None or np.isnan(low) else f" ({first}{low:.2f} to {high:.2f})"
    return "unknown" if np.isnan(value) else f"{value:.2f}{interval}"


def _short(count: float) -> str:
    return f"{count:.0f}" if count < 1000 else f"{count / 1000:.1f}k" if count < 10_000 else f"{count / 1000:.0f}k"


def _most_confused(confusion: pd.DataFrame) -> tuple[np.ndarray, list[str], str]:
    """Return the counts, class names and a title: all classes, or those with the most mistakes and one for the rest."""
    counts = confusion.to_numpy(float)
    names = [readable(name, 14) for name in confusion.index[:-1]]
    if len(names) <= _MOST_CONFUSED + 1:
        return counts, names, ""
    mistakes = counts.sum(0) + counts.sum(1) - 2 * np.diag(counts)
    kept = np.sort(np.argsort(-mistakes[:-1], kind="stable")[:_MOST_CONFUSED])
    rest = np.setdiff1d(np.arange(len(names)), kept)
    groups = [*([index] for index in kept), rest, [len(names)]]
    summed = np.array([[counts[np.ix_(down, across)].sum() for across in groups] for down in groups])
    return summed, [*(names[index] for index in kept), "(the rest)"], f": {len(kept)} most confused of {len(names)}"
