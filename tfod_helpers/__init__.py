"""Photos with boxes in, a detector that you can trust, see and ship out.

A room is named for what comes out of it; what a room makes, the rooms below it take::

    installing       what this package needs and this machine lacks -> installed
    devices          what this machine is (TPU, GPU, CPU) -> a tf.distribute strategy
    workspace        files that appear whole or not at all; the cache; the drawn sample
    workers          a function over many items, on all cores
    storage          files and folders in a Cloud Storage bucket
    bucket           a Cloud Storage bucket: made, granted narrowly, audited
    drive            Google Drive -> a folder of this machine
    run_folder       the folder of one training, also on Drive or in a bucket
    archives         a zip or tar -> a folder, safely
    photos           an image file -> upright RGB pixels, and the square that a model sees
    likeness         photos -> which of them are the same, exactly or nearly
    annotations      LabelMap, LabelledImage, Dataset, Problem
    tfrecord         labelled images -> TFRecord files, and back
    formats.*        annotation files (voc, coco, yolo, tfod_csv, ...) -> Dataset, and back
    broken_sample    the drawn sample with the mistakes that people make
    presets          models and settings that are known to train them
    anchors          a preset -> its anchor boxes, and how well they fit boxes
    checks           Dataset -> what is wrong with it, and what can be mended
    matching         boxes -> how far they overlap, which detection found which object
    pictures         photos, boxes, problems and results -> figures
    records          Dataset -> TFRecord shards, and back
    beam_records     the same on many machines, with Apache Beam
    experiment       Records + a preset -> ExperimentConfig; strict changes; what differs
    pipeline_config  a pipeline.config of the Object Detection API -> ExperimentConfig
    inputs           Records + ExperimentConfig -> training batches
    model            ExperimentConfig -> the network, and the graph from pixels to detections
    downloads        an address -> a file, whole or not at all
    sources          wherever the data set is -> a folder on the local disk
    weights          pretrained weights -> a model, and what was really loaded
    evaluation       detections + truth -> Evaluation, and a report of it
    detector         an export -> Detector -> supervision.Detections
    training         ExperimentConfig -> a run: checkpoints, best model, history
    runs             a folder of runs -> a table of what differed and what came out
    learning_curve   a training set in parts -> how AP grows with the photos
    exporting.*      a run -> an export folder (saved_model)
    runtime          what to train on, and whether a long training would go well (doctor)

Importing the package loads none of them.
"""

import os

__version__ = "0.1.0"

# TensorFlow reads this once, when it is loaded. Its start-up messages would bury what a notebook cell
# says; real errors come as exceptions all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
