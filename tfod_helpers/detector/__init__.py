"""An export -> a Detector: photos in, `supervision.Detections` out.

* `facts` is ``export.json``, which every export folder holds beside ``label_map.pbtxt`` and the model's own files.
* `detector` brings photos into the form that the model takes, and its boxes back into the photo's pixels.
* `loading` takes the runtime that the export's format names, one module each in `runtimes`.
* `tiles` has it look at large photos tile by tile, and `video` at a video frame by frame.
* `decoding` turns a model's encoded boxes and logits into detections, where the model does not do that itself.

Nothing here loads TensorFlow but the runtime of a SavedModel.
"""

from tfod_helpers.detector.decoding import Outputs
from tfod_helpers.detector.detections import Photo, each
from tfod_helpers.detector.detector import Detector
from tfod_helpers.detector.facts import ANCHORS, FACTS, LABEL_MAP, ExportFacts, Nms, UnfitExportWarning
from tfod_helpers.detector.tiles import TiledDetector
from tfod_helpers.detector.video import VideoError

__all__ = [
    "ANCHORS",
    "FACTS",
    "LABEL_MAP",
    "Detector",
    "ExportFacts",
    "Nms",
    "Outputs",
    "Photo",
    "TiledDetector",
    "UnfitExportWarning",
    "VideoError",
    "each",
]
