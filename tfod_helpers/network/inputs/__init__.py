"""Records + ExperimentConfig -> the batches that a model trains on.

Each image is decoded once, scaled onto a canvas a little larger than the model's input, and kept in memory where
the whole set fits. Every epoch then crops another window out of the canvas, so that scale, place, aspect, mirror and
colours vary at the cost of one resize of a small image.
"""

from tfod_helpers.network.inputs.batches import examples, to_dataset, train_batches
from tfod_helpers.network.inputs.canvas import normalize
from tfod_helpers.network.inputs.targets import anchor_boxes

__all__ = ["anchor_boxes", "examples", "normalize", "to_dataset", "train_batches"]
