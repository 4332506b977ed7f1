"""Label maps, labelled images, and datasets.

A box here is ``boxes_xyxy``: ``[xmin, ymin, xmax, ymax]`` in pixels of the image, float32, 0-based,
as the annotation file says it. Nothing in this room needs TensorFlow.
"""

from tfod_helpers.annotations.dataset import Dataset
from tfod_helpers.annotations.label_map import LabelMap, RenumberedWarning, read_numbered
from tfod_helpers.annotations.label_map_text import name_fault
from tfod_helpers.annotations.labelled_image import (
    BOX_OVER_EDGE,
    BOX_SWAPPED,
    BoxFault,
    LabelledImage,
    box_fault,
    coordinate_text,
)
from tfod_helpers.annotations.split_names import split_role, split_word

__all__ = [
    "BOX_OVER_EDGE",
    "BOX_SWAPPED",
    "BoxFault",
    "Dataset",
    "LabelMap",
    "LabelledImage",
    "RenumberedWarning",
    "box_fault",
    "coordinate_text",
    "name_fault",
    "read_numbered",
    "split_role",
    "split_word",
]
