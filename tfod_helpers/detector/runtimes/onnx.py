"""An ONNX file, run by ONNX Runtime on the CPU; no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfod_helpers.detector.decoding import Outputs
from tfod_helpers.detector.facts import ExportFacts

MODEL = "model.onnx"
_ERRORS = 3  # ONNX Runtime's level that keeps notes and warnings to itself


def load(folder: Path, facts: ExportFacts) -> Callable[[np.ndarray], Outputs]:
    """Load the ``model.onnx`` of an export folder; it runs with as many threads as ONNX Runtime chooses.

    Raises:
        ImportError: ONNX Runtime is not installed.
        FileNotFoundError: the file is missing.
        ValueError: it is damaged.
    """
    path = folder / MODEL
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the model's file is missing. Copy the whole export folder.")
    try:
        return load_file(path)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{path} is run by ONNX Runtime, which is not installed. Install it: pip install onnxruntime",
            name=error.name,
        ) from error
    except Exception as error:  # ONNX Runtime has a class of its own for each kind of fault
        raise ValueError(f"{path}: the model in it cannot be loaded ({error}). Export the run again.") from error


def load_file(path: Path) -> Callable[[np.ndarray], Outputs]:
    """Load an ONNX file; what goes wrong comes as ONNX Runtime says it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(letterboxed: np.ndarray) -> Outputs:
        return dict(zip(names, session.run(names, {"images": letterboxed}), strict=True))

    return run
