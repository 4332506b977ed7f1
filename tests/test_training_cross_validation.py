"""Cross-validation: each photo is judged by the model that did not learn from it, and comes back in its place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import supervision as sv
from small_training import draw_rectangles

from tfod_helpers import records

pytestmark = pytest.mark.tensorflow


class Told:
    """A detector that finds something in the photos that it was not trained on, with its fold as the confidence."""

    def __init__(self, fold: int) -> None:
        self.fold = fold

    def detect(self, images: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
        """Return one detection for each image."""
        box_xyxy, confidence = np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([self.fold / 10])
        return [sv.Detections(box_xyxy, class_id=np.array([1]), confidence=confidence) for _ in images]


def test_no_photo_is_judged_by_what_learned_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fold's config trains on all other photos, its last model is taken, and the detections keep their order.

    Nothing is trained, which `small` and `trained` cannot share out: what each training would have had is looked at.
    """
    from tfod_helpers import training
    from tfod_helpers.training import detecting, running

    dataset = draw_rectangles(tmp_path / "photos", 12, seed=3)
    learned: dict[str, set[str]] = {}

    def train(config: Any, run: str, *, strategy: object) -> SimpleNamespace:
        made = records.of_pattern(config.task.train_data.input_path)
        learned[Path(run).name] = {image.path.name for image in records.read(made)}
        return SimpleNamespace(run=Path(run))

    def detector(run: Path, checkpoint: str) -> Told:
        assert checkpoint == "last", "the best model is chosen by the labels that are to be judged"
        return Told(int(run.name.removeprefix("fold-")))

    monkeypatch.setattr(running, "train", train)
    monkeypatch.setattr(detecting, "detector", detector)
    settings = {"image_size": 64, "batch_size": 2, "train_steps": 4, "weights": None}
    result = training.cross_validate("mobilenet_v2_192", dataset, tmp_path / "out", folds=3, **settings)
    assert list(learned) == ["fold-1", "fold-2", "fold-3"]
    for image, found in zip(dataset, result.detections, strict=True):
        assert image.path.name not in learned[f"fold-{round(found.confidence[0] * 10)}"]
    assert sum(map(len, learned.values())) == 2 * len(dataset)
    assert len(result.label_errors().query("object > 0")) == sum(len(image.labels) for image in dataset)
