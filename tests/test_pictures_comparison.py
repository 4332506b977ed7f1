"""pictures of several trainings: the answer is no surer than the numbers, and the best comes first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from picture_parts import words

from tfod_helpers import pictures

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


def curve(ap: list[float], width: float, images: tuple[int, ...] = (50, 100, 150, 200)) -> pd.DataFrame:
    """A learning curve whose intervals have this width."""
    table = pd.DataFrame({"images": images, "ap": ap, "ap50": np.minimum(np.array(ap) + 0.3, 1)})
    for name in ("ap", "ap50"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - width / 2, table[name] + width / 2
    return table


def test_more_photos_help_where_the_curve_rises_beyond_doubt() -> None:
    """A steep curve with narrow intervals says that more helps, by as much as the curve goes on to rise."""
    images = np.array([50, 100, 200, 400])
    table = curve((1 - 3 * images**-0.3).tolist(), 0.02, tuple(images))
    answer = pictures.would_more_help(table)
    assert answer.startswith("100 more labelled photos would help: with 500 photos about AP 0.54")
    expected = 3 * (400**-0.3 - 500**-0.3)
    assert f"{expected:+.2f} (95 %: +" in answer
    assert "with 800 photos" in pictures.would_more_help(table, more=400)


def test_more_photos_hardly_help_where_the_curve_is_flat() -> None:
    """A flat curve with narrow intervals says so."""
    assert "would hardly help" in pictures.would_more_help(curve([0.50, 0.51, 0.51, 0.51], 0.005))


def test_wide_intervals_leave_the_answer_open() -> None:
    """Where the intervals overlap by much, no answer is claimed, and the gain's interval reaches below 0."""
    answer = pictures.would_more_help(curve([0.42, 0.40, 0.47, 0.45], 0.25))
    assert answer.startswith("The intervals overlap too much to tell whether 100 more photos would help")
    assert "(95 %: -" in answer


def test_interval_of_the_gain_holds_the_truth() -> None:
    """Of curves that are measured with noise, about 95 in 100 intervals of the gain hold the true gain."""
    images, deviation = np.array([50, 100, 200, 400]), 0.03
    true = 3 * (400**-0.3 - 500**-0.3)
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        ap = 1 - 3 * images**-0.3 + random.normal(0, deviation, 4)
        answer = pictures.would_more_help(curve(ap.tolist(), 2 * 1.96 * deviation, tuple(images)))
        low, high = answer.split("(95 %: ")[1].split(")")[0].split(" to ")
        hits += float(low) - 0.005 <= true <= float(high) + 0.005
    assert 88 <= hits <= 100


def test_two_points_are_no_curve() -> None:
    """With two numbers of photos nothing is foretold, and the points are drawn all the same."""
    table = curve([0.3, 0.4], 0.1, (50, 100))
    assert "takes models of 3 numbers of photos or more" in pictures.would_more_help(table)
    picture = pictures.plot_learning_curve(table)
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
    with pytest.raises(ValueError, match="plot_runs: the table has no row"):
        pictures.plot_runs(table[:0])
