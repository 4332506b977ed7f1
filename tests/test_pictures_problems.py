"""pictures of problems: which are shown, the box concerned, and what cannot be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from picture_parts import drawn, few_photos, words

from tfod_helpers import checks, pictures, sources
from tfod_helpers.annotations import Dataset
from tfod_helpers.formats import voc
from tfod_helpers.problems import Problem

SIZE = (320, 240)  # of the few photos
pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def few(tmp_path: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    return few_photos(tmp_path)


def problem(
    photo: Path | str, box_xyxy: Any = None, kind: str = "odd", severity: str = "error", **more: str
) -> Problem:
    """A problem with a photo, or with a box of it."""
    return Problem(
        where="a.xml", object="object 1", what="it is odd", fix="Fix it.", severity=severity, kind=kind,
        photo=str(photo), size=SIZE, box_xyxy=box_xyxy, label="cat" if box_xyxy else "", **more,
    )  # fmt: skip


def only_photo(shown: Problem) -> Axes:
    """The axes of the photo, in a gallery of one problem."""
    axes = [axes for axes in pictures.show_problems([shown]).axes if axes.images]
    assert len(axes) == 1
    return axes[0]


def kinds(problems: Any, **options: int) -> list[str]:
    """The severity and kind over each photo of a gallery, in order."""
    picture = pictures.show_problems(problems, **options)
    return [" ".join(words(axes)[:2]) for axes in picture.axes if words(axes)]


def test_one_kind_does_not_fill_the_page(few: Dataset) -> None:
    """Of each kind one is shown before any twice, errors first; how many there are of it stands beside it."""
    many = [problem(image.path, kind="many", severity="warning") for image in few]
    rare = [problem(few[n].path, kind="rare", severity=severity) for n, severity in enumerate(("note", "error"))]
    assert kinds(many + rare, count=4) == ["error rare", "warning many (12)", "warning many", "note rare"]
    assert kinds(many + rare, count=2) == ["error rare", "warning many (12)"]
    assert "1 error, 12 warnings, 1 note; here 4 of them" in words(pictures.show_problems(many + rare, count=4))
    assert len(kinds(many + rare)) == 12


def test_problems_without_a_photo_come_last_but_for_errors(few: Dataset) -> None:
    """A warning about all photos gives way to those with something to look at; an error never does."""
    about_all = Problem(
        where="classes", what="class 'x' has 3 boxes", fix="Label more.", severity="warning", kind="rare class"
    )
    cut = Problem(where="b.xml", what="it cannot be read", fix="Save it again.", kind="annotation unreadable")
    note = problem(few[0].path, kind="empty", severity="note")
    assert kinds([about_all, cut, note], count=2) == ["error annotation unreadable", "note empty"]
    said = words(pictures.show_problems([about_all, cut, note]))
    assert {"not about one photo", "b.xml: no photo to show", "class 'x' has 3 boxes"} <= set(said)


def test_box_lies_on_the_pixels_it_names(few: Dataset) -> None:
    """The box of a problem is drawn in the photo's pixels, in the colour of its severity, with its class."""
    axes = only_photo(problem(few[0].path, (20.0, 30.0, 120.0, 200.0)))
    assert {box.get_bbox().extents.tolist().__repr__() for box in drawn(axes, "box")} == {"[20.0, 30.0, 120.0, 200.0]"}
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 320), (240, 0))
    assert axes.images[0].get_extent() == [0, 320, 240, 0]
    assert "cat" in words(axes)
    assert not drawn(axes, "outside") + drawn(axes, "ring")


def test_swapped_corners_are_drawn_as_the_box_that_was_meant(few: Dataset) -> None:
    """A box with swapped corners is seen where it was meant to be."""
    axes = only_photo(problem(few[0].path, (120.0, 200.0, 20.0, 30.0)))
    assert drawn(axes, "box")[0].get_bbox().extents.tolist() == [20, 30, 120, 200]


@pytest.mark.parametrize(
    ("box_xyxy", "arrows"),
    [((250, 30, 340, 200), 0), ((-20, -9, 100, 100), 0), ((-5000, 30, 120, 200), 1), ((900, 900, 990, 990), 4)],
)
def test_box_outside_the_photo_is_seen(few: Dataset, box_xyxy: tuple[float, ...], arrows: int) -> None:
    """What lies outside is dashed on grey, within the page, and an arrow points to the rest of the box."""
    axes = only_photo(problem(few[0].path, tuple(map(float, box_xyxy))))
    (outside,) = drawn(axes, "outside")
    left, top, right, bottom = outside.get_bbox().extents
    (view_left, view_right), (view_bottom, view_top) = axes.get_xlim(), axes.get_ylim()
    assert view_left <= left <= right <= view_right
    assert view_top <= top <= bottom <= view_bottom
    assert view_right - view_left <= 320 * 1.8
    assert (right - left) * (bottom - top) > 0 or arrows
    assert len([text for text in axes.texts if text.get_gid() == "arrow"]) == arrows
    inside = np.clip(box_xyxy, 0, [*SIZE, *SIZE]).tolist()
    visible = inside[2] > inside[0] and inside[3] > inside[1]
    assert [box.get_bbox().extents.tolist() for box in drawn(axes, "box")] == [inside] * visible


def test_tiny_box_is_ringed(few: Dataset) -> None:
    """Around a box of a pixel stands a ring, all of it in what is shown, also in the corner of the photo."""
    for box_xyxy in ((100.0, 100.0, 101.0, 101.0), (0.1, 0.2, 0.5, 0.6), (319.0, 239.0, 320.0, 240.0)):
        axes = only_photo(problem(few[0].path, box_xyxy))
        ring = drawn(axes, "ring")[0]
        assert ring.center == pytest.approx(((box_xyxy[0] + box_xyxy[2]) / 2, (box_xyxy[1] + box_xyxy[3]) / 2))
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left <= ring.center[0] - ring.width / 2 < ring.center[0] + ring.width / 2 <= right
        assert top <= ring.center[1] - ring.height / 2 < ring.center[1] + ring.height / 2 <= bottom


def test_same_photos_stand_side_by_side(few: Dataset) -> None:
    """Two photos that are the same are both shown, in one row, neither over the other."""
    picture = pictures.show_problems([problem(few[0].path, kind="same photo twice", other_photo=str(few[5].path))])
    one, other = (axes.get_position() for axes in picture.axes if axes.images)
    assert one.x1 < other.x0
    assert (one.y0, one.y1) == (other.y0, other.y1)


def test_what_cannot_be_shown_is_a_grey_card(few: Dataset) -> None:
    """A photo that is gone or damaged is a card with the reason; a box that is no number leaves the photo alone."""
    few[1].path.write_bytes(b"<html>")
    said = words(pictures.show_problems([problem("gone.jpg", kind="a"), problem(few[1].path, kind="b")]))
    assert {"the photo is not there", "a web page, not an image"} <= set(said)
    axes = only_photo(problem(few[0].path, (float("nan"), 0.0, 1.0, float("inf"))))
    assert not drawn(axes, "box") + drawn(axes, "outside") + drawn(axes, "ring")


def test_nothing_wrong_is_said() -> None:
    """Where there are no problems the picture says so."""
    picture = pictures.show_problems([])
    assert picture.get_suptitle() == "Nothing wrong was found"
    assert picture.to_bytes()


def test_report_of_the_broken_sample(tmp_path: Path) -> None:
    """The report of real files is one page of twelve, with a card for each photo that cannot be opened."""
    report = checks.check(voc.read(sources.local("broken_sample", tmp_path) / "train", on_problem="skip"))
    picture = pictures.show_problems(report)
    shown = kinds(report)
    assert len(shown) == min(12, len(report.problems))
    assert {"error box over the edge", "error photo unreadable", "warning nearly the same photo"} <= set(shown)
    assert any("damaged or cut off" in text for text in words(picture))
    assert picture.get_size_inches()[1] < 11


def test_errors_say_what_to_do() -> None:
    """What holds no problems is refused with what was found."""
    for call, kind, message in [
        (lambda: pictures.show_problems("report.json"), TypeError, "takes the report of checks.check, got str"),
        (lambda: pictures.show_problems(7), TypeError, "got int"),
        (lambda: pictures.show_problems(["x"]), TypeError, "got a str in it"),
        (lambda: pictures.show_problems([], count=0), ValueError, "count must be 1 or more, got 0"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message):
            call()
