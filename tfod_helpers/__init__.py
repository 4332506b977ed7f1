"""Photos with boxes in, a detector that you can trust, see and ship.

A module is named for what comes out of it. You call, in the order of the trip::

    sources          wherever the data set is -> a folder on the local disk; a video -> its frames as photos
    formats          annotation files of any tool -> Dataset, and back
    checks           Dataset -> what is wrong with it, and what can be fixed
    annotations      LabelMap, LabelledImage, Dataset
    records          Dataset -> TFRecord shards, and back
    pictures         photos, boxes, problems and results -> figures
    experiment       records + a preset -> ExperimentConfig; strict changes; what differs
    pipeline_config  a pipeline.config of the Object Detection API -> ExperimentConfig
    runtime          what this machine is (TPU, GPU, CPU) -> a tf.distribute strategy
    doctor           a config and a run folder -> whether a long training would go well
    training         ExperimentConfig -> a run: checkpoints, best model, history
    jobs             a config and a run folder -> a training on machines that others keep
    learning_curve   a training set in parts -> how AP grows with the photos
    runs             a folder of runs -> a table of what differed and what came out
    evaluation       detections + ground truth -> Evaluation
    report           Evaluation -> an HTML page
    exporting        a run -> exports for servers, phones, browsers and the edge; how good each is
    detector         an export -> Detector -> supervision.Detections
    labelling        photos without labels -> which to label next; suggested boxes; a box editor; what a person changed
    classifier       photos or crops -> a classifier; labels that are probably wrong
    places           where results are kept: here, on Drive, in a bucket
    drive            Google Drive -> a folder of this machine
    bucket           a Cloud Storage bucket: made, granted narrowly, audited

Machinery, which these are made of::

    files            whole files, mounted folders, workers, storage, archives, downloads, run folders: bytes
    photos           an image file or a video -> upright RGB pixels; a folder of photos; near-duplicates
    presets          models, settings that are known to train them, and their anchors
    network          ExperimentConfig -> the network, its input pipeline and its weights
    problems         Problem and DatasetError: what is wrong, where, and how to fix it
    installing       what this package needs and this machine lacks -> installed

Importing the package loads none of them.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# TensorFlow reads this once, when it is loaded. Its start-up messages would bury what a notebook cell
# says; real errors come as exceptions all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_OF_TRAIN = ("tensorflow", "official", "tf_keras", "keras", "orbit")  # what the extra `train` brings

if not TYPE_CHECKING:  # to a type checker a misspelt module is to stay one that is not there

    def __getattr__(name: str) -> ModuleType:
        """Import a module of this package when it is first asked for; say which extra is missing where that fails."""
        full = f"{__name__}.{name}"
        try:
            return importlib.import_module(full)
        except ModuleNotFoundError as error:
            if error.name == full:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
            if str(error.name).partition(".")[0] not in _OF_TRAIN:
                raise
            what = f"{full} needs TensorFlow and the Model Garden, and there is no module {error.name!r}"
            raise ImportError(f"{what}. Install them: pip install 'tfod_helpers[train]'", name=error.name) from error
