"""Detections + ground truth -> how good a detector is, counted as COCO counts, and how certain that number is.

The counting agrees with pycocotools', the reference that published numbers come from, in every number, of boxes and of
masks. Pascal VOC's AP, which older tutorials quote, stands beside as ``voc_ap50``.
Nothing here needs TensorFlow or Matplotlib.
"""

from tfod_helpers.annotations.masks import RLE
from tfod_helpers.evaluation.arrays import flatten
from tfod_helpers.evaluation.classification import Classification, labels, score_classes, with_classes
from tfod_helpers.evaluation.comparing import Agreement, Difference, agreement, difference
from tfod_helpers.evaluation.confidence import Calibration
from tfod_helpers.evaluation.counting import count
from tfod_helpers.evaluation.forecast import forecast, would_more_help
from tfod_helpers.evaluation.label_errors import combine_label_errors, label_errors
from tfod_helpers.evaluation.masks import only_encoded
from tfod_helpers.evaluation.matching import match
from tfod_helpers.evaluation.mistakes import BACKGROUND, MISSED, mistakes
from tfod_helpers.evaluation.naming import by_name
from tfod_helpers.evaluation.result import Evaluation, Scores, Speed
from tfod_helpers.evaluation.scoring import evaluate, score

__all__ = [
    "BACKGROUND",
    "MISSED",
    "RLE",
    "Agreement",
    "Calibration",
    "Classification",
    "Difference",
    "Evaluation",
    "Scores",
    "Speed",
    "agreement",
    "by_name",
    "combine_label_errors",
    "count",
    "difference",
    "evaluate",
    "flatten",
    "forecast",
    "label_errors",
    "labels",
    "match",
    "mistakes",
    "only_encoded",
    "score",
    "score_classes",
    "with_classes",
    "would_more_help",
]
