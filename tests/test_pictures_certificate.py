"""pictures of exports: what each cost in AP, with intervals, how large it is and how fast."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from picture_parts import words

from tfod_helpers import pictures
from tfod_helpers.annotations.appearance import BLUE, ORANGE, VERMILLION

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn
NAN = float("nan")


def table(**rows: list) -> pd.DataFrame:
    """A row an export: fit, AP, its change with its interval, bytes, milliseconds."""
    columns = ["fit", "ap", "ap_change", "ap_change_low", "ap_change_high", "bytes", "ms"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


EVERY = table(
    run=[None, 0.512, 0, 0, 0, NAN, NAN],
    half=[True, 0.511, -0.001, -0.003, 0.002, 776_000, 1.4],
    small=[None, 0.505, -0.007, -0.03, 0.01, 605_000, 1.2],
    bad=[False, 0.11, -0.402, -0.45, -0.35, 622_000, 12.3],
    torn=[None, NAN, NAN, NAN, NAN, NAN, NAN],
)


def test_every_verdict_has_its_colour_and_its_numbers() -> None:
    """Each row has its change of AP, its size and its time; what is far off is marked at the edge."""
    picture = pictures.plot_certificate(EVERY)
    changes, sizes, times = picture.axes
    assert [label.get_text() for label in changes.get_yticklabels()] == list(EVERY.index)
    assert {"AP 0.512", "-0.001", "-0.007", "-0.402", "could not be judged"} <= set(words(changes))
    assert {" 0.78 MB", " 0.6 MB", " 0.62 MB", " not known"} <= set(words(sizes))
    assert {" 1.4 ms", " 1.2 ms", " 12 ms"} <= set(words(times))
    assert picture.get_suptitle() == "1 of 4 exports as good as run, 1 unfit; the smallest good one: half, 0.78 MB"
    spans = {line.get_color(): list(line.get_xdata()) for line in changes.lines if len(line.get_xdata()) == 2}
    assert spans[BLUE] == [-0.003, 0.002]
    assert spans[ORANGE] == [-0.03, 0.01]
    (edge,) = [line for line in changes.lines if line.get_marker() == "<"]
    assert edge.get_color() == VERMILLION
    left = changes.get_xlim()[0]
    assert left == pytest.approx(-0.1)  # and not -0.45, where nobody could tell the others apart
    assert left < edge.get_xdata()[0] < -0.09
    assert {"as good", "unfit", "cannot be told with so few photos", "what they are compared with"} <= set(
        words(picture)
    )


def test_the_unfit_region_begins_at_the_tolerance() -> None:
    """The shaded part ends at what may be lost, and there is some of it to see where nothing is lost."""
    for tolerance in (0.02, 0.05):
        changes = pictures.plot_certificate(EVERY.iloc[:2], tolerance=tolerance).axes[0]
        (region,) = changes.patches
        assert region.get_x() + region.get_width() == pytest.approx(-tolerance)
        assert region.get_x() == changes.get_xlim()[0] == pytest.approx(-1.6 * tolerance)
        assert f"shaded: lost more than {tolerance:g} AP" in words(changes)


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    """Neither -0.000 nor +0.000 stands in it, and one row alone is drawn too."""
    same = table(run=[None, 0.5, 0, 0, 0, 1e6, 2.0], copy=[True, 0.5, -1e-5, -1e-5, 0, 1e6, 2.0])
    shown = words(pictures.plot_certificate(same, tolerance=0))
    assert "0.000" in shown
    assert not {"-0.000", "+0.000"} & set(shown)
    assert pictures.plot_certificate(same[:1]).get_suptitle() == "run: AP 0.500, and nothing to compare it with"


def test_a_table_that_was_stored_is_drawn_alike() -> None:
    """Without None, as a CSV or a column of numbers has it, the verdicts are the same."""
    stored = EVERY.assign(fit=np.array([NAN, 1.0, NAN, 0.0, NAN]))
    assert pictures.plot_certificate(stored).get_suptitle() == pictures.plot_certificate(EVERY).get_suptitle()


def test_tables_that_cannot_be_drawn_are_named() -> None:
    """A missing column and a table without rows are refused with what is needed."""
    with pytest.raises(ValueError, match=r"plot_certificate takes .* lacks fit, ms"):
        pictures.plot_certificate(EVERY.drop(columns=["fit", "ms"]))
    with pytest.raises(ValueError, match="plot_certificate: the table has no rows yet"):
        pictures.plot_certificate(EVERY[:0])
