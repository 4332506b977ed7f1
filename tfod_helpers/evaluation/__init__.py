"""Detections + truth -> how good a detector is, counted as COCO counts, and how sure that number is.

The counting agrees with pycocotools', the reference that published numbers come from, in every number.
Nothing here needs TensorFlow.
"""

from tfod_helpers.evaluation.bootstrap import Interval
from tfod_helpers.evaluation.calibration import Calibration
from tfod_helpers.evaluation.coco_form import to_coco
from tfod_helpers.evaluation.confusion import MISSED, NOTHING_THERE
from tfod_helpers.evaluation.counting import Counts, count
from tfod_helpers.evaluation.flat import Found, Truth, flatten
from tfod_helpers.evaluation.label_errors import label_errors
from tfod_helpers.evaluation.matching import box_iou, match
from tfod_helpers.evaluation.mistakes import mistakes
from tfod_helpers.evaluation.result import Evaluation, Speed
from tfod_helpers.evaluation.scoring import AnyDetector, evaluate, score

__all__ = [
    "MISSED",
    "NOTHING_THERE",
    "AnyDetector",
    "Calibration",
    "Counts",
    "Evaluation",
    "Found",
    "Interval",
    "Speed",
    "Truth",
    "box_iou",
    "count",
    "evaluate",
    "flatten",
    "label_errors",
    "match",
    "mistakes",
    "score",
    "to_coco",
]
