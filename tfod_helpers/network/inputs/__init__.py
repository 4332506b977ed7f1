"""Records + ExperimentConfig -> the batches that a model trains on.

Each image is decoded once, scaled onto a canvas a little larger than the model's input, and kept in memory where
the whole set fits. Every epoch then crops another window out of the canvas, so that scale, place, aspect, mirror and
colours vary at the cost of one resize of a small image.
"""

from tfod_helpers.network.inputs.anchors import anchor_boxes
from tfod_helpers.network.inputs.batches import examples, to_dataset, train_batches

__all__ = ["anchor_boxes", "examples", "to_dataset", "train_batches"]
