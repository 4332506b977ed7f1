"""Photos with boxes in, a detector that you can trust, see and ship out.

A room is named for what comes out of it; what a room makes, the rooms below it take::

    runtime          what this machine is (TPU, GPU, CPU) -> a tf.distribute strategy
    workspace        files that appear whole or not at all; the folder of one run; the drawn sample
    workers          a function over many items, on all cores
    archives         a zip or tar -> a folder, safely
    storage          files in a Cloud Storage bucket
    photos           an image file -> upright RGB pixels, and the square that a model sees
    likeness         photos -> which of them are the same, exactly or nearly
    annotations      LabelMap, LabelledImage, Dataset, Problem
    tfrecord         labelled images -> TFRecord files, and back
    formats.*        annotation files (voc, coco, yolo, tfod_csv, ...) -> Dataset, and back
    broken_sample    the drawn sample with the mistakes that people make
    presets          models and settings that are known to train them
    anchors          a preset -> its anchor boxes, and how well they fit boxes
    checks           Dataset -> what is wrong with it, and what can be mended
    records          Dataset -> TFRecord shards, and back
    beam_records     the same on many machines, with Apache Beam
    experiment       Records + a preset -> ExperimentConfig; strict changes; what differs
    inputs           Records + ExperimentConfig -> training batches
    model            ExperimentConfig -> the network, and the graph from pixels to detections
    imagenet_file    a width -> Keras Applications' weights, cached or downloaded
    weights          pretrained weights -> a model
    evaluation       detections + truth -> Evaluation
    detector         an export -> Detector -> supervision.Detections
    training         ExperimentConfig -> a run: checkpoints, best model, history
    exporting.*      a run -> an export folder (saved_model)
    pictures         any of the above -> figures

Importing the package loads none of them.
"""

import os

__version__ = "0.1.0"

# TensorFlow reads this once, when it is loaded. Its start-up messages would bury what a notebook cell
# says; real errors come as exceptions all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
