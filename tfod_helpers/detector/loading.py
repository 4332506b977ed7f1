"""An export folder and what it says about itself -> the function that runs its model."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfod_helpers.detector.decoding import Outputs
from tfod_helpers.detector.facts import FACTS, ExportFacts

RUNTIMES = ("saved_model", "tflite", "onnx", "tfjs", "web_page")  # formats, each a module of `runtimes`
RESIZING = ("web_page",)  # those that take whole photos of any size


def load_model(folder: Path, facts: ExportFacts) -> Callable[[Any], Outputs]:
    """Load an export's model into the runtime of its format, which is imported only now.

    Returns:
        What `Detector` takes: uint8 photos as `photos.letterbox` makes them, (n, side, side, 3), to boxes, scores,
        classes and count; of the formats in `RESIZING` a list of whole photos, to boxes in their pixels.

    Raises:
        ImportError: the runtime is not installed.
        FileNotFoundError: the model's file is missing.
        ValueError: no runtime knows the format, or the file is damaged.
    """
    if facts.format not in RUNTIMES:
        raise ValueError(
            f"{folder / FACTS}: the format {facts.format!r} is none of {', '.join(RUNTIMES)}. Was it written by a "
            f"newer tfod_helpers? Update this one, or export the run again."
        )
    return importlib.import_module(f"tfod_helpers.detector.runtimes.{facts.format}").load(folder, facts)
