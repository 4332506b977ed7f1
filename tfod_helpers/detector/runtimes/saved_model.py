"""A SavedModel, run by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.detector.decoding import Outputs
from tfod_helpers.detector.facts import ExportFacts


def load(folder: Path, facts: ExportFacts) -> Callable[[np.ndarray], Outputs]:
    """Load the SavedModel of an export folder.

    Raises:
        ValueError: it is damaged.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
        call = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise ValueError(f"{folder}: the SavedModel in it cannot be loaded ({error}). Export the run again.") from error

    # The signature holds the model's variables weakly: the model is kept with the function, or they are collected.
    def run(letterboxed: np.ndarray, owner: Any = loaded) -> Outputs:
        return {name: value.numpy() for name, value in call(images=tf.constant(letterboxed)).items()}

    return run
