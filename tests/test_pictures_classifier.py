"""pictures of classifiers: how a training went, how good it is, what it got wrong and where it looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from picture_parts import few_photos, words

from tfod_helpers import classifier, evaluation, pictures, report
from tfod_helpers.evaluation import Classification

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def found(tmp_path: Path) -> Classification:
    """A classifier's answers to the boxes of twelve photos: three are wrong, the first of them most confidently."""
    dataset = classifier.crops(few_photos(tmp_path))
    truth = evaluation.labels(dataset)
    probabilities = np.where(np.eye(2)[truth] > 0, 0.8, 0.2)
    probabilities[:3] = probabilities[:3, ::-1]
    probabilities[0] = np.where(np.eye(2)[truth[0]] > 0, 0.05, 0.95)
    return evaluation.score_classes(dataset, probabilities, resamples=50)


def history(part: str, losses: list[float]) -> pd.DataFrame:
    """A part of a training."""
    epochs = range(len(losses))
    return pd.DataFrame(
        {"part": part, "epoch": epochs, "validation_loss": losses, "validation_accuracy": 1 - np.array(losses) / 2}
    )


def test_epochs_of_the_parts_follow_each_other() -> None:
    """The upper layers begin where the head ended; the best accuracy stands over it."""
    picture = pictures.plot_epochs(pd.concat([history("head", [1, 0.5, 0.3]), history("upper layers", [0.3, 0.2])]))
    assert "3 epochs: validation accuracy 0.90 at best" in words(picture)
    assert [line.get_xdata().tolist() for line in picture.axes[0].lines] == [[0, 1, 2], [2, 3]]
    with pytest.raises(ValueError, match="lacks validation_accuracy"):
        pictures.plot_epochs(history("head", [1]).drop(columns="validation_accuracy"))


def test_several_trainings_begin_at_the_same_epoch() -> None:
    """Two curves beside each other, named; a loss that is off the chart does not flatten the rest."""
    named = {"with": history("whole", [1.0, 0.5]), "without": history("whole", [900.0, 0.7])}
    picture = pictures.plot_epochs(named)
    assert "Validation accuracy, at best: with 0.75; without 0.65" in words(picture)
    assert picture.axes[0].get_ylim()[1] < 10


def test_a_loss_that_is_nan_is_said() -> None:
    """A training whose loss became NaN or infinite has no curve there, and its name says why."""
    nan = history("whole", [np.inf, 0.7, np.nan]).assign(validation_accuracy=0.5)
    for named in (
        {"with": history("whole", [1.0, 0.5]), "without": nan},
        {"without": nan.assign(validation_loss=np.nan)},
    ):
        assert "without, loss NaN" in words(pictures.plot_epochs(named))


def test_classification_is_drawn_as_it_was_counted(found: Classification) -> None:
    """Accuracy with its interval, the confusion's counts, and each class's numbers."""
    picture = pictures.plot_classification(found)
    said = words(picture)
    low, high = found.intervals["accuracy"]
    headline = f"Accuracy {found.accuracy:.2f} (95 %: {low:.2f} to {high:.2f}) on {found.images} photos"
    assert headline in said
    counts = picture.axes[3]
    assert [text.get_text() for text in counts.texts] == [str(n) for n in found.confusion.to_numpy().ravel()]
    assert picture.to_bytes()
    assert pictures.plot_calibration(found).to_bytes()


def test_mistakes_are_shown_the_most_confident_first(found: Classification) -> None:
    """Three mistakes with what was said and what is labelled, and heat of each photo; else photos of all kinds."""
    heat = np.random.default_rng(0).uniform(size=(found.images, 7, 7))
    picture = pictures.show_classified(found, heat=heat)
    said = words(picture)
    assert "3 mistakes on 16 photos; light: what spoke for the answer" in said
    assert said.count("wrong") == 3
    captions = [text for text in said if ", labelled" in text]
    assert captions[0].split()[1] == "0.95,"
    assert words(pictures.show_classified(found, 4, wrong=False)).count("right") >= 1
    with pytest.raises(ValueError, match="heat is of 2 photos, and the evaluation of 16"):
        pictures.show_classified(found, heat=heat[:2])


def test_report_of_a_classifier(found: Classification, tmp_path: Path) -> None:
    """The page, all numbers as JSON, and the mistakes as a table; a second report takes its place."""
    for _ in range(2):
        page = report.write(found, tmp_path / "report")
    assert sorted(path.name for path in page.parent.iterdir()) == ["evaluation.json", "mistakes.csv", "report.html"]
    text = page.read_text(encoding="utf-8")
    assert "How good is this classifier?" in text
    assert f"it takes {round(100 * found.accuracy)} for what they show" in text
    table = pd.read_csv(page.parent / "mistakes.csv")
    assert len(table) == 3
    assert {"predicted", "xmin"} <= set(table.columns)
    assert '"macro_f1"' in (page.parent / "evaluation.json").read_text()
