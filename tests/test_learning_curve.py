"""The learning curve: parts that hold each other, one training each, scores with intervals."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from small_training import Small

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def dataset() -> Dataset:
    """Forty images: mostly cats, a few dogs, some with both, some with nothing."""
    labels = [[1], [1], [1, 2], [1], [2], [], [1], [1, 1]] * 5
    images = [
        LabelledImage(Path(f"{n}.jpg"), 100, 100, np.tile([1, 1, 50, 50], (len(one), 1)), np.array(one, int))
        for n, one in enumerate(labels)
    ]
    return Dataset(images, LabelMap(["cat", "dog"]))


def test_a_larger_part_holds_every_smaller_one(dataset: Dataset) -> None:
    """Half holds the quarter, the whole is the dataset, and each class is in the smallest part."""
    from tfod_helpers import learning_curve

    parts = [learning_curve.part_of(dataset, fraction) for fraction in (0.1, 0.25, 0.5, 1.0)]
    names = [{image.path for image in part} for part in parts]
    assert all(small < large for small, large in itertools.pairwise(names))
    assert names[-1] == {image.path for image in dataset}
    assert [len(part) for part in parts] == pytest.approx([4, 10, 20, 40], abs=2)
    assert all(min(part.counts().values()) > 0 for part in parts)
    again = learning_curve.part_of(dataset, 0.25)
    assert [image.path for image in again] == [image.path for image in parts[1]]
    assert {image.path for image in learning_curve.part_of(dataset, 0.25, seed=1)} != names[1]


def test_each_part_is_trained_and_evaluated_once(
    small: Small, eagerly: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row a part with its score and interval, and a second call trains nothing."""
    from small_training import draw_rectangles

    from tfod_helpers import evaluation, learning_curve
    from tfod_helpers.training import running

    train = draw_rectangles(tmp_path / "photos", 8, seed=3)
    settings = {"fractions": (0.5, 1.0), "image_size": 64, "batch_size": 2, "train_steps": 4, "weights": None}
    made = learning_curve.measure("mobilenet_v2_192", train, small.validation, tmp_path / "curve", **settings)
    assert made["images"].tolist() == [4, 8]
    assert made[["ap", "ap50"]].notna().all().all()
    assert (made["ap50_low"] <= made["ap50"]).all()
    assert (made["ap50"] <= made["ap50_high"]).all()
    monkeypatch.setattr(running, "Training", None)
    again = learning_curve.measure("mobilenet_v2_192", train, small.validation, tmp_path / "curve", **settings)
    assert again.equals(made)
    assert "more" in evaluation.would_more_help(made)


def test_wrong_fractions_are_refused(small: Small, dataset: Dataset, tmp_path: Path) -> None:
    """A fraction of 0 or above 1 is refused before anything is written."""
    from tfod_helpers import learning_curve

    for fractions in ((0.5, 1.5), (0.0, 1.0), ()):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            learning_curve.measure(
                "mobilenet_v2_192", dataset, small.validation, tmp_path / "curve", fractions=fractions
            )
    assert not (tmp_path / "curve").exists()
