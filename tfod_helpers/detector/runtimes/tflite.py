"""A LiteRT (TensorFlow Lite) file, run by ai-edge-litert; no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.detector import tflite_file
from tfod_helpers.detector.decoding import Outputs, decode
from tfod_helpers.detector.facts import ANCHORS, ExportFacts
from tfod_helpers.detector.tflite_file import MODEL


def load(folder: Path, facts: ExportFacts) -> Callable[[np.ndarray], Outputs]:
    """Load the ``model.tflite`` of an export folder; it runs one photo a call, on all cores of the process.

    Raises:
        ImportError: ai-edge-litert is not installed.
        ValueError: a file of it is damaged.
    """
    runner = tflite_file.runner(model_path=str(folder / MODEL))
    [(name, image)] = runner.get_input_details().items()
    details = runner.get_output_details()
    anchors_yxhw = None if facts.decoded else np.load(folder / ANCHORS, allow_pickle=False)

    def run(letterboxed: np.ndarray) -> Outputs:
        found = [runner(**{name: photo[None].astype(image["dtype"])}) for photo in letterboxed]
        outputs = {key: np.concatenate([_real(one[key], details[key]) for one in found]) for key in details}
        if anchors_yxhw is not None:
            return decode(outputs["boxes"], outputs["logits"], anchors_yxhw, facts.image_size, facts.nms)
        return {
            "boxes_xyxy": outputs["boxes"][..., [1, 0, 3, 2]] * facts.image_size,
            "scores": outputs["scores"],
            "classes": outputs["classes"].astype(int) + 1,
            "count": outputs["count"].astype(int),
        }

    return run


def _real(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return the numbers that an output's quantized values stand for."""
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values
