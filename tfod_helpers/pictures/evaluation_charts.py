"""How good a detector is: precision and recall, AP of each class, the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tfod_helpers.annotations.appearance import BLUE, ORANGE, SKY, VERMILLION, colour_of, readable
from tfod_helpers.pictures.picture import INK, Picture, chart, counted

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation, Scores

_FEW = 3  # classes whose three charts fit beside each other
_MOST_CURVES = 7  # the colours that a reader keeps apart
_MOST_BARS = 16
_MOST_CONFUSED = 10
_LIGHT_BLUE = "#A6CEE9"
_LINE = 0.25  # inches of another line over all


def plot_evaluation(evaluation: Evaluation) -> Picture:
    """Draw how good a detector is: precision-recall curves, AP of each class, the confusion matrix.

    Of many classes the best and the worst are drawn, and the titles say so.

    Args:
        evaluation: ``ap``, ``ap50`` and ``ap75``, and where known their 95 % ``intervals``, by name;
            ``per_class``, a table by class name with ``ap``, ``ap50`` and ``boxes``, and where known the
            intervals' ends, ``ap_low``, ``ap_high``, ``ap50_low`` and ``ap50_high``; ``pr_curves``, class
            name to ``(recall, precision)`` at IoU 0.50;
            ``confusion``, counts with true classes down, the last row for the background, and
            detected classes across, the last column for missed; ``threshold``, the least confidence
            that the confusion counts; where masks were scored, ``masks`` with ``ap``, ``ap50``, ``ap75``,
            ``intervals`` and ``per_class`` of these.

    Raises:
        ValueError: it holds no class.
    """
    classes = len(evaluation.per_class)
    if not classes:
        raise ValueError("plot_evaluation: the evaluation holds no class. Evaluate a dataset that has labels.")
    layout, height, widths = _layout(classes)
    masks = getattr(evaluation, "masks", None)
    with chart(height + (0 if masks is None else _LINE)) as picture:
        axes = picture.subplot_mosaic(layout, width_ratios=widths)
        _draw_curves(axes["P"], evaluation)
        _draw_bars(axes["A"], evaluation, masks)
        _draw_confusion(axes["C"], evaluation)
        boxes = int(np.nansum(evaluation.per_class["boxes"]))
        headline = f"{_scores(evaluation)} on {counted(boxes, 'box', 'boxes')}"
        if masks is not None:
            headline += f"\nmasks: {_scores(masks)}"
        picture.headline(headline)
    return picture


def _layout(classes: int) -> tuple[str, float, tuple[float, ...]]:
    """Return a mosaic, its height in inches and the widths of its columns."""
    if classes <= _FEW:
        return "PAC", 3.7, (1, 0.9, 1)
    if classes <= _MOST_CURVES:
        return "PA;CC", 6.6, (1.2, 1)
    return "PA;CA", 7.4, (1.3, 1)


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
    axes.set(xlim=(0, 1.02), ylim=(0, 1.04), xlabel="recall: share of the objects detected")
    axes.set_ylabel("precision: share of the detections right")
    axes.grid()
    axes.legend(loc="lower left", title="AP50", alignment="left", frameon=True, framealpha=0.85, edgecolor="none")


def _draw_bars(axes: Axes, evaluation: Evaluation, masks: Scores | None) -> None:
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
    for place, (name, row) in enumerate(table.iterrows()):
        text = "no boxes" if np.isnan(row["ap"]) else f"{row['ap']:.2f} / {row['ap50']:.2f}"
        end = np.nan_to_num(
            max(row["ap50"], _draw_interval(axes, row, "ap50", place), _draw_interval(axes, row, "ap", place))
        )
        if masks is not None and not np.isnan(row["ap"]):
            of_masks = masks.per_class["ap"][str(name)]
            axes.plot(of_masks, place, "D", color=ORANGE, mec="white", mew=0.8, ms=6, gid="masks")
            text, end = f"{text}\nmasks {of_masks:.2f}", max(end, of_masks)
        axes.text(end + 0.02, place, text, va="center", size=8.5)
    labels = [f"{readable(name, 16)} ({int(row['boxes']):,})" for name, row in table.iterrows()]
    axes.set_yticks(places, labels)
    axes.set_ylim(max(len(table), 2) - 0.4, -0.6)
    axes.set(xlim=(0, 1.5), xticks=np.linspace(0, 1, 5))  # the numbers stand to the right of 1
    marks = {"interval": "lines: 95 % intervals", "masks": "diamonds: AP of masks"}
    axes.set_xlabel("; ".join(words for gid, words in marks.items() if any(one.get_gid() == gid for one in axes.lines)))
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
    shares[-1] = counts[-1] / max(counts.sum(1).max(), 1)  # the background: against the largest class
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        corner = row == column == len(counts) - 1  # background as background: not countable
        ink = "white" if shares[row, column] > 0.55 else INK if count else "#B0B0B0"
        axes.text(column, row, "" if corner else _short(count), ha="center", va="center", color=ink, size=8.5)
    few = len(names) <= _FEW
    axes.set_yticks(range(len(names) + 1), [*names, str(evaluation.confusion.index[-1])])
    labels = [*names, str(evaluation.confusion.columns[-1])]
    axes.set_xticks(range(len(names) + 1), labels, rotation=0 if few else 45, ha="center" if few else "right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("labelled")
    axes.set_xlabel("detected")
    axes.set_title(f"Confusion matrix{which}\n(confidence ≥ {evaluation.threshold:.2f})")


def _scores(found: Scores) -> str:
    return f"AP {_score(found, 'ap', '95 %: ')}, AP50 {_score(found, 'ap50')}, AP75 {_score(found, 'ap75', None)}"


def _score(evaluation: Scores, name: str, first: str | None = "") -> str:
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
    groups: list[list[int]] = [*([index] for index in kept.tolist()), rest.tolist(), [len(names)]]
    summed = np.array([[counts[np.ix_(down, across)].sum() for across in groups] for down in groups])
    return summed, [*(names[index] for index in kept), "(the rest)"], f": {len(kept)} most confused of {len(names)}"
