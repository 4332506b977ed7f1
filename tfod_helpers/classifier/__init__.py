"""Photos, or the crops of a detection data set -> a classifier on Keras 3, and what it says of labels.

* `read` takes photos by the class that they show; `crops` and `whole_photos` make such of a detection data set.
* `make`, `train`, `evaluate`: a `Classifier`, better and better, and how good it is.
* `save` writes it as a Keras model, a SavedModel and a LiteRT file; `load` takes any of them; `certify` compares them.
* `heat` says where it looked; `without_normalization` what happens to those who forget it.
* `backbones` makes networks of Keras Applications that know ImageNet, and says what they really started from.
* `features` computes what such a network sees in pictures, each once; `outlines` what there is without a network.
* `wrong_classes` ranks the boxes of a detection data set by how probably their class is wrong.

Importing this loads no TensorFlow; making a network does.
"""

from tfod_helpers.classifier.classifier import Classifier, evaluate, make
from tfod_helpers.classifier.heat import heat
from tfod_helpers.classifier.looked_at import crops, whole_photos
from tfod_helpers.classifier.old_mistakes import without_normalization
from tfod_helpers.classifier.reading import read, summary
from tfod_helpers.classifier.saving import certify, load, save
from tfod_helpers.classifier.training import train
from tfod_helpers.classifier.wrong_classes import wrong_classes

__all__ = [
    "Classifier",
    "certify",
    "crops",
    "evaluate",
    "heat",
    "load",
    "make",
    "read",
    "save",
    "summary",
    "train",
    "whole_photos",
    "without_normalization",
    "wrong_classes",
]
