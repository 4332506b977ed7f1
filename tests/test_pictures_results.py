"""pictures of results: how a training went, and how good the detector is, drawn as it was counted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from picture_parts import CAT_DOG, detections, few_photos, history, many_classes, words

from tfod_helpers import evaluation, pictures
from tfod_helpers.annotations import Dataset

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def few(tmp_path: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    return few_photos(tmp_path)


def test_history_marks_the_best_step() -> None:
    """The best AP is marked and named, with the AP50 of the same step, which need not be the best AP50."""
    picture = pictures.plot_history(SimpleNamespace(frame=history()))
    assert "400 training steps: best AP 0.61, AP50 0.88 at step 300" in words(picture)
    ap = picture.axes[1]
    assert {"AP 0.61", "AP50 0.88"} <= set(words(ap))
    assert [line.get_xdata()[0] for line in ap.lines if line.get_linestyle() == ":"] == [300]


def test_history_of_a_training_that_has_just_begun() -> None:
    """One row, no evaluation, no rate: drawn all the same, saying what is not there yet."""
    picture = pictures.plot_history(pd.DataFrame({"step": [10], "loss": [2.5], "ap": [np.nan]}))
    assert words(picture).count("not recorded") == 2
    assert "10 training steps: not evaluated yet" in words(picture)
    assert picture.to_bytes()


def test_evaluation_is_drawn_as_it_was_counted(few: Dataset) -> None:
    """Curves, bars and the confusion matrix show the numbers of a real evaluation."""
    found = [detections((image.boxes_xyxy[0].tolist(), 0.9, 1 + n % 2)) for n, image in enumerate(few)]
    result = evaluation.score(few, found)
    curves, bars, confusion = pictures.plot_evaluation(result).axes
    for line, name in zip(curves.lines, CAT_DOG, strict=True):
        assert np.array_equal(line.get_ydata(), result.pr_curves[name][1])
    best = result.per_class.iloc[0]
    assert f"{best['ap']:.2f} / {best['ap50']:.2f}" in words(bars)
    cells = [text.get_text() for text in confusion.texts]
    assert cells == [*(str(n) for n in result.confusion.to_numpy().ravel()[:-1]), ""]


def test_evaluation_of_many_classes_says_what_is_left_out() -> None:
    """Of eighty classes the best and worst are drawn, no count is lost, and a class without boxes is no curve."""
    result = many_classes(80)
    picture = pictures.plot_evaluation(result)
    curves, bars, confusion = picture.axes
    assert "2 best and 2 worst of 79 classes" in curves.get_title(loc="left")
    assert [text.get_text() for text in bars.get_yticklabels()][::15] == ["class 00 (80)", "class 78 (2)"]
    assert "10 most confused of 80" in confusion.get_title(loc="left")
    assert sum(int(text.get_text() or 0) for text in confusion.texts) == result.confusion.to_numpy().sum()
    assert "AP75 unknown" in picture.get_suptitle()


def test_errors_say_what_to_do() -> None:
    """A history without rows or columns is refused with what was found."""
    with pytest.raises(ValueError, match="columns step, loss, and this one lacks loss"):
        pictures.plot_history(pd.DataFrame({"step": [1]}))
    with pytest.raises(ValueError, match="no rows yet"):
        pictures.plot_history(history()[:0])
