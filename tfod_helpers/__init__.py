"""Photos with boxes in, a detector that you can trust, see and ship out.

A room is named for what comes out of it; what a room makes, the rooms below it take::

    runtime          what this machine is (TPU, GPU, CPU) -> a tf.distribute strategy
    workspace        files that appear whole or not at all; the folder of one run; the drawn sample
    photos           an image file -> upright RGB pixels, and the square that a model sees
    annotations      LabelMap, LabelledImage, Dataset, Problem
    formats.*        annotation files (voc, tfod_csv) -> Dataset, and back
    tfrecord         labelled images -> TFRecord files, and back
    records          Dataset -> TFRecord shards, and back
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
