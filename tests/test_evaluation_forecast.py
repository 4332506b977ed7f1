"""evaluation, the forecast: the answer to "would more photos help?" is no more certain than the numbers."""

from __future__ import annotations

import numpy as np
from evaluation_parts import curve

from tfod_helpers import evaluation


def test_more_photos_help_where_the_curve_rises_beyond_doubt() -> None:
    """A steep curve with narrow intervals says that more helps, by as much as the curve goes on to rise."""
    images = np.array([50, 100, 200, 400])
    table = curve((1 - 3 * images**-0.3).tolist(), 0.02, tuple(images))
    answer = evaluation.would_more_help(table)
    assert answer.startswith("100 more labelled photos would help: with 500 photos about AP 0.54")
    expected = 3 * (400**-0.3 - 500**-0.3)
    assert f"{expected:+.2f} (95 %: +" in answer
    assert "with 800 photos" in evaluation.would_more_help(table, more=400)


def test_more_photos_hardly_help_where_the_curve_is_flat() -> None:
    """A flat curve with narrow intervals says so."""
    assert "would hardly help" in evaluation.would_more_help(curve([0.50, 0.51, 0.51, 0.51], 0.005))


def test_wide_intervals_leave_the_answer_open() -> None:
    """Where the intervals overlap by much, no answer is claimed, and the gain's interval reaches below 0."""
    answer = evaluation.would_more_help(curve([0.42, 0.40, 0.47, 0.45], 0.25))
    assert answer.startswith("The intervals overlap too much to tell whether 100 more labelled photos would help")
    assert "(95 %: -" in answer


def test_interval_of_the_gain_holds_the_truth() -> None:
    """Of curves that are measured with noise, about 95 in 100 intervals of the gain hold the true gain."""
    images, deviation = np.array([50, 100, 200, 400]), 0.03
    true = 3 * (400**-0.3 - 500**-0.3)
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        ap = 1 - 3 * images**-0.3 + random.normal(0, deviation, 4)
        answer = evaluation.would_more_help(curve(ap.tolist(), 2 * 1.96 * deviation, tuple(images)))
        low, high = answer.split("(95 %: ")[1].split(")")[0].split(" to ")
        hits += float(low) - 0.005 <= true <= float(high) + 0.005
    assert 88 <= hits <= 100


def test_two_points_are_no_curve() -> None:
    """With two numbers of photos nothing is forecast."""
    table = curve([0.3, 0.4], 0.1, (50, 100))
    assert evaluation.forecast(table) is None
    assert "takes models of 3 numbers of photos or more" in evaluation.would_more_help(table)
