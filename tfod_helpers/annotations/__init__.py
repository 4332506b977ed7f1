"""Label maps, labelled images, datasets, and the problems found in them.

A box here is ``boxes_xyxy``: ``[xmin, ymin, xmax, ymax]`` in pixels of the image, float32, 0-based,
as the annotation file says it. Nothing in this room needs TensorFlow.
"""

from tfod_helpers.annotations.dataset import (
    BOX_OVER_EDGE,
    BOX_SWAPPED,
    BoxFault,
    Dataset,
    LabelledImage,
    box_fault,
    coordinate_text,
)
from tfod_helpers.annotations.label_map import LabelMap, RenumberedWarning, did_you_mean, name_fault, read_numbered
from tfod_helpers.annotations.problem import DatasetError, OnProblem, Problem, Severity, settle_problems

__all__ = [
    "BOX_OVER_EDGE",
    "BOX_SWAPPED",
    "BoxFault",
    "Dataset",
    "DatasetError",
    "LabelMap",
    "LabelledImage",
    "OnProblem",
    "Problem",
    "RenumberedWarning",
    "Severity",
    "box_fault",
    "coordinate_text",
    "did_you_mean",
    "name_fault",
    "read_numbered",
    "settle_problems",
]
