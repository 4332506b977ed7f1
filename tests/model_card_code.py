"""Running what a model card says, for the tests of it and of the formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfod_helpers.detector import Detector, ExportFacts
from tfod_helpers.exporting.model_card.usage import usage


def blocks(markdown: str) -> list[str]:
    """The Python code of a card."""
    return re.findall(r"```python\n(.*?)```", markdown, re.DOTALL)


def run_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the card's lines that need nothing of ours in an export's folder, on its photo.jpg; return its variables."""
    monkeypatch.chdir(folder)
    _, *lines = blocks(usage(ExportFacts.read(folder)))
    assert len(lines) == 2
    found: dict[str, Any] = {}
    exec("".join(lines), found)
    assert not any("tfod_helpers" in line for line in lines)
    return found


def assert_same(boxes_xyxy: np.ndarray, scores: np.ndarray, size: tuple[int, int], folder: Path) -> None:
    """Compare boxes in pixels of photo.jpg, which has this size, and their scores with what `Detector` finds in it."""
    expected = Detector.load(folder).detect(folder / "photo.jpg", threshold=0)
    inside = np.clip(boxes_xyxy, 0, np.tile(size, 2))
    kept = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    assert len(expected) == kept.sum() > 0
    np.testing.assert_allclose(scores[kept], expected.confidence, atol=1e-5)
    np.testing.assert_allclose(inside[kept], expected.xyxy, atol=1e-3)
