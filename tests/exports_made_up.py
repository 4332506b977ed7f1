"""What tests of exports share that need no model: export folders whose runtime finds drawn rectangles."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import COLOURS

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import ExportFacts, loading

CLASSES = LabelMap(list(COLOURS))
MODEL = "model.json"
FORMATS = ("saved_model", "tflite", "tfjs")
FACTS: dict[str, Any] = {
    **{"format": "saved_model", "image_size": 64, "classes": 2, "threshold": 0.5},
    **{"preset": "made_up", "step": 100, "ap": 0.75, "ap50": 0.9},
}


def make_export(folder: Path, *, model: dict[str, Any] | None = None, names: LabelMap = CLASSES, **facts: Any) -> Path:
    """Write an export folder; ``model`` has what `find_rectangles` takes, ``facts`` what is other than in `FACTS`."""
    folder.mkdir(parents=True)
    (folder / MODEL).write_text(json.dumps(model or {}))
    names.write(folder / "label_map.pbtxt")
    ExportFacts(**FACTS | {"classes": len(names)} | facts).write(folder)
    return folder


def find_rectangles(
    squares: np.ndarray, *, shift: float = 0.0, noise: float = 2.0, own: float = 0.0, score: float = 0.9
) -> dict[str, np.ndarray]:
    """Find the red or blue rectangle of each square.

    Args:
        squares: uint8, (n, side, side, 3).
        shift: pixels that every box is off to the right.
        noise: of the corners, pixels; it follows from the photo, so that every such model has the same.
        own: noise that no other model has.
        score: the confidence of each detection.
    """
    boxes_xyxy = np.zeros((len(squares), 1, 4), np.float32)
    classes = np.ones((len(squares), 1), int)
    for number, square in enumerate(squares.astype(int)):
        lead = square[..., 0] - square[..., 2]
        classes[number] = 1 if lead.max() > -lead.min() else 2
        ys, xs = np.nonzero(np.abs(lead) > 90)
        seed = int(square.sum())
        boxes_xyxy[number] = [xs.min() + shift, ys.min(), xs.max() + 1 + shift, ys.max() + 1]
        boxes_xyxy[number] += np.random.default_rng(seed).normal(0, noise, 4)
        boxes_xyxy[number] += np.random.default_rng(seed + 1).normal(0, own, 4) if own else 0
    scores = np.full((len(squares), 1), score, np.float32)
    return {"boxes_xyxy": boxes_xyxy, "scores": scores, "classes": classes, "count": np.ones(len(squares), int)}


def load(folder: Path, facts: ExportFacts) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Load what `make_export` wrote, as a runtime does."""
    settings = json.loads((folder / MODEL).read_text())
    if "missing" in settings:
        raise ImportError(f"{settings['missing']} is not installed")
    return lambda squares: find_rectangles(squares, **settings)


def patch_runtimes(patch: pytest.MonkeyPatch) -> None:
    """Let `find_rectangles` be the runtime of SavedModels, of LiteRT files and of TensorFlow.js models."""
    patch.setattr(loading, "RUNTIMES", FORMATS)
    for name in FORMATS:
        runtime = types.ModuleType(name)
        runtime.load = load  # type: ignore[attr-defined]
        patch.setitem(sys.modules, f"tfod_helpers.detector.runtimes.{name}", runtime)
