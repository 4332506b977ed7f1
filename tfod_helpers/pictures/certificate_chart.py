"""Exports beside the model that they were made from: what each cost in AP, how large it is, how fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tfod_helpers.annotations.appearance import BLUE, ORANGE, VERMILLION, readable
from tfod_helpers.pictures.picture import FAINT, INK, Picture, chart, check_columns, counted

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | Mapping[str, Sequence[object]]

_COLUMNS = ("fit", "ap", "ap_change", "ap_change_low", "ap_change_high", "bytes", "ms")
# What a verdict is called, and its colour and marker, which tell them apart where colours do not.
_LOOKS = {
    "reference": ("what they are compared with", INK, "D"),
    "fit": ("as good", BLUE, "o"),
    "open": ("cannot be told with so few photos", ORANGE, "s"),
    "unfit": ("unfit", VERMILLION, "X"),
    "failed": ("", FAINT, ""),
}
_LEAST_REACH = 1.6  # of the axis to the left, in tolerances: what is unfit is seen as a region
_MOST_REACH = 5.0


def plot_certificate(table: Table, *, tolerance: float = 0.02) -> Picture:
    """Draw what a model's exports cost in AP, with 95 % intervals, how large they are and how fast.

    Args:
        table: a row an export, the first of them the one that the others are compared with, as
            `exporting.Certificate.table` has them: fit, ap, ap_change, ap_change_low, ap_change_high, bytes, ms;
            by its index, names. What could not be judged has no ap.
        tolerance: AP that an export may lose.

    Raises:
        ValueError: a column is missing, or there is no row.
    """
    check_columns(table, _COLUMNS, "plot_certificate")
    names = [readable(one, 34) for one in getattr(table, "index", range(len(table["ap"])))]
    numbers = {name: np.asarray(table[name], float) for name in _COLUMNS if name != "fit"}
    kinds = [_kind(place, *one) for place, one in enumerate(zip(table["fit"], numbers["ap"], strict=True))]
    with chart(1.7 + 0.5 * max(len(names), 2)) as picture:
        changes, sizes, times = picture.subplots(1, 3, sharey=True, width_ratios=(2.4, 1, 1))
        _draw_changes(changes, numbers, kinds, tolerance)
        _draw_bars(sizes, numbers["bytes"] / 1e6, kinds, "MB", "size")
        _draw_bars(times, numbers["ms"], kinds, "ms", "time for a photo, here")
        changes.set_yticks(range(len(names)), names)
        changes.set_ylim(len(names) - 0.45, -0.55)
        marks = [
            Line2D([], [], color=colour, marker=mark, label=words)
            for kind, (words, colour, mark) in _LOOKS.items()
            if kind in kinds and mark
        ]
        picture.legend(handles=marks, loc="outside lower left", ncols=len(_LOOKS), labelcolor=INK)
        picture.headline(_headline(names, kinds, numbers))
    return picture


def _kind(place: int, fit: object, ap: float) -> str:
    if np.isnan(ap):
        return "failed"
    if not place:
        return "reference"
    return "open" if fit is None or fit != fit else "fit" if fit else "unfit"  # NaN stands for None in some tables


def _draw_changes(axes: Axes, numbers: dict[str, np.ndarray], kinds: Sequence[str], tolerance: float) -> None:
    change, low, high = (numbers[f"ap_change{end}"] for end in ("", "_low", "_high"))
    ends = np.concatenate([change, low, high, [0.0]])
    left = -min(max(-np.nanmin(ends) * 1.08, _LEAST_REACH * tolerance), _MOST_REACH * tolerance) or -0.1
    right = max(np.nanmax(ends), 0.2 * -left) + 0.25 * -left  # room for the numbers
    axes.axvspan(left, -tolerance, color=VERMILLION, alpha=0.1, lw=0)
    axes.axvline(0, color=INK, lw=1)
    for place, kind in enumerate(kinds):
        _, colour, mark = _LOOKS[kind]
        if kind == "failed":
            axes.text(right, place, "could not be judged", color=colour, ha="right", va="center", style="italic")
            continue
        axes.plot([low[place], high[place]], [place, place], color=colour, lw=2, solid_capstyle="butt")
        beyond = change[place] < left  # what is so far off would leave no room for what the others differ in
        where, mark = (left - 0.03 * left, "<") if beyond else (change[place], mark)
        axes.plot(where, place, mark, color=colour, ms=8, mec="white", mew=0.8)
        words = f"AP {numbers['ap'][place]:.3f}" if kind == "reference" else signed(change[place])
        axes.text(right, place, words, ha="right", va="center", bbox={"fc": "white", "lw": 0, "pad": 1.5})
    axes.set(xlim=(left, right), xlabel="change of AP, and 95 % interval")
    axes.set_title(f"shaded: lost more than {tolerance:g} AP", color=FAINT, size=9)
    axes.tick_params("y", length=0)
    axes.grid(axis="x")


def _draw_bars(axes: Axes, values: np.ndarray, kinds: Sequence[str], unit: str, title: str) -> None:
    for place, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        if np.isnan(value):
            axes.text(0, place, " not known", color=FAINT, va="center", style="italic", size=8.5)
            continue
        axes.barh(place, value, 0.42, color=_LOOKS[kind][1], alpha=0.75)
        axes.text(value, place, f" {_short(value)} {unit}", va="center", size=8.5)
    top = np.nanmax(values) if np.isfinite(values).any() else 1
    axes.set(xlim=(0, 1.75 * top), xticks=[])
    axes.set_title(title, size=9)
    axes.spines.bottom.set_visible(False)
    axes.tick_params("y", length=0)


def signed(change: float) -> str:
    """Return a change of AP with its sign, to three digits; what rounds to none has no sign."""
    return f"{change:+.3f}" if abs(change) >= 0.0005 else "0.000"


def _short(value: float) -> str:
    """Return two digits of a small number, and all before the point of a large one."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2g}"


def _headline(names: Sequence[str], kinds: Sequence[str], numbers: dict[str, np.ndarray]) -> str:
    if len(names) == 1:
        return f"{names[0]}: AP {numbers['ap'][0]:.3f}, and nothing to compare it with"
    words = f"{kinds.count('fit')} of {counted(len(names) - 1, 'export')} as good as {names[0]}"
    if unfit := kinds.count("unfit"):
        words += f", {unfit} unfit"
    good = [place for place, kind in enumerate(kinds) if kind == "fit"]
    if good:
        smallest = min(good, key=lambda place: numbers["bytes"][place])
        words += f"; the smallest good one: {names[smallest]}, {_short(numbers['bytes'][smallest] / 1e6)} MB"
    return words
