"""One small training that many tests look at: what it learns from, and what it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tfod_helpers import records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

if TYPE_CHECKING:
    from tfod_helpers.experiment import ExperimentConfig
    from tfod_helpers.files.run_folder import Run
    from tfod_helpers.training import History

SYNC = "task.model.norm_activation.use_sync_bn"  # the setting that lets replicas share batch norms
COLOURS = {"red": (230, 40, 40), "blue": (40, 40, 230)}


@dataclass(frozen=True)
class Small:
    """The small training's input.

    Attributes:
        train: eight photos of a red or a blue rectangle.
        validation: four more.
        dataset: the validation photos as they were drawn.
        config: a MobileNetV1, which has half the layers to trace, for 64 pixels; 48 steps, no augmentation.
    """

    train: records.Records
    validation: records.Records
    dataset: Dataset
    config: ExperimentConfig


@dataclass(frozen=True)
class Trained:
    """The small training, interrupted once and then finished.

    Attributes:
        run: its folder.
        history: what `training.train` returned in the end.
        manifest: ``run.json`` as it was after the interruption.
        rows: ``history.csv`` as it was after the interruption.
    """

    run: Run
    history: History
    manifest: dict[str, Any]
    rows: str


def draw_rectangles(folder: Path, count: int, seed: int) -> Dataset:
    """Draw dark photos, each with a red or a blue rectangle of about half its area, by turns; those there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    images = []
    for number in range(count):
        width, height = (96, 64) if number % 4 == 3 else (64, 64)
        rgb = random.integers(0, 60, (height, width, 3), np.uint8)
        (x0, y0), (x1, y1) = random.integers(2, 16, 2), random.integers(44, 63, 2)
        rgb[y0:y1, x0:x1] = COLOURS[list(COLOURS)[number % 2]]
        path = folder / f"{number}.jpg"
        if not path.exists():
            Image.fromarray(rgb).save(path, quality=95)
        images.append(LabelledImage(path, width, height, np.array([[x0, y0, x1, y1]]), np.array([1 + number % 2])))
    return Dataset(tuple(images), LabelMap(list(COLOURS)))
