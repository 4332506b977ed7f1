"""A model and the images that it is judged on, scaled to its input once and kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import supervision as sv
import tensorflow as tf
import tf_keras

from tfod_helpers import evaluation, experiment
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.experiment import ExperimentConfig, RCNNTaskConfig
from tfod_helpers.network.model import detect_function
from tfod_helpers.photos import Square

RESAMPLES = 1000  # for the intervals
_BATCH, _RCNN_BATCH = 16, 4  # images a forward pass; a second stage looks at a thousand regions of each


class Judge:
    """Judges a model on a dataset, as often as is wanted."""

    def __init__(self, model: tf_keras.Model, config: ExperimentConfig, dataset: Dataset) -> None:
        """Scale the dataset's photos, and keep them.

        Args:
            model: the network; it may go on being trained.
            config: its settings.
            dataset: what it is judged on.
        """
        self.dataset, self.config = dataset, config
        self.detector = Detector(
            _eager(model, config), experiment.label_map(config), config.task.model.input_size[0], 0.0
        )
        self.squares = [self.detector.square(image.pixels()) for image in dataset]

    def detect(self, squares: list[Square] | None = None) -> list[sv.Detections]:
        """Return what the model finds now in its photos, or in others that `Detector.square` scaled."""
        squares = self.squares if squares is None else squares
        return self.detector.detect_squares(squares, batch_size=_batch(self.config), masks=False)

    def score(self, detections: list[sv.Detections], *, resamples: int = 0) -> Evaluation:
        """Compare detections of the dataset's photos with the truth; without intervals unless told otherwise."""
        return evaluation.score(self.dataset, detections, resamples=resamples)


def _eager(model: tf_keras.Model, config: ExperimentConfig) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return the model as the function from squares to detections that a `Detector` runs."""
    side, batch = config.task.model.input_size[0], _batch(config)
    detect = detect_function(model, config)

    # One batch shape: the last, smaller batch would be traced anew, which takes longer than all others.
    @tf.function(input_signature=[tf.TensorSpec([batch, side, side, 3], tf.uint8)], autograph=False)
    def found(images: tf.Tensor) -> dict[str, tf.Tensor]:
        # Masks are not judged, and what is not returned is not computed: they would take most of the memory.
        return {name: value for name, value in detect(images).items() if name != "masks"}

    def run(squares: np.ndarray) -> dict[str, np.ndarray]:
        full = np.concatenate([squares, np.zeros((batch - len(squares), *squares.shape[1:]), np.uint8)])
        return {name: value.numpy()[: len(squares)] for name, value in found(full).items()}

    return run


def _batch(config: ExperimentConfig) -> int:
    return _RCNN_BATCH if isinstance(config.task, RCNNTaskConfig) else _BATCH
