"""pictures of several trainings: the points in order, the best first, with intervals."""

from __future__ import annotations

import pandas as pd
import pytest
from evaluation_parts import curve
from picture_parts import words

from tfod_helpers import pictures

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


def test_two_points_are_no_curve() -> None:
    """With two numbers of photos nothing is forecast, and the points are drawn all the same."""
    picture = pictures.plot_learning_curve(curve([0.3, 0.4], 0.1, (50, 100)))
    assert picture.get_suptitle() == "AP by the number of photos"
    assert {"0.30", "0.40", "0.60", "0.70"} <= set(words(picture))


def test_learning_curve_shows_each_model_in_order() -> None:
    """Rows in any order are drawn by rising number of photos, with the expected point beyond the last."""
    table = curve([0.30, 0.40, 0.45, 0.50], 0.04).iloc[[2, 0, 3, 1]]
    (axes,) = pictures.plot_learning_curve(table, more=50).axes
    line = next(line for line in axes.lines if line.get_label() == "AP")
    assert line.get_xydata().tolist() == [[50, 0.30], [100, 0.40], [150, 0.45], [200, 0.50]]
    assert "AP to be expected with 50 more" in words(axes)
    assert axes.get_xlim()[1] > 250


def test_runs_stand_best_first_with_what_may_be_as_good() -> None:
    """The best AP is first, and the headline counts those whose interval reaches into the best one's."""
    table = pd.DataFrame({"ap": [0.30, 0.50, 0.45, 0.20]}, index=["slow", "batch 24", "batch 48", "batch 1"])
    table["ap50"] = table["ap"] + 0.2
    for name in ("ap", "ap50"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 0.05, table[name] + 0.05
    picture = pictures.plot_runs(table)
    (axes,) = picture.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["batch 24", "batch 48", "slow", "batch 1"]
    assert picture.get_suptitle() == "Best: batch 24, AP 0.50; 1 other may be as good"
    assert "0.50 / 0.70" in words(axes)
    named = pictures.plot_runs(table.assign(label=["a", "b", "c", "d"]).iloc[[0, 1]])
    assert named.get_suptitle() == "Best: b, AP 0.50; none of the others comes near"
    assert pictures.plot_runs(table.iloc[:1]).get_suptitle() == "Best: slow, AP 0.30"


def test_tables_that_cannot_be_drawn_are_named() -> None:
    """A missing column and a table without rows are refused with what is needed."""
    table = curve([0.3, 0.4, 0.5, 0.6], 0.1)
    with pytest.raises(ValueError, match=r"plot_learning_curve takes .* lacks images, ap_high"):
        pictures.plot_learning_curve(table.drop(columns=["images", "ap_high"]))
    with pytest.raises(ValueError, match="plot_runs: the table has no rows yet"):
        pictures.plot_runs(table[:0])
