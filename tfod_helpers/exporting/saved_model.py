"""A run -> a TensorFlow SavedModel that needs nothing else: weights, label map and settings inside.

The export folder holds::

    saved_model.pb, variables/   the graph, its weights frozen into it
    label_map.pbtxt              the classes
    export.json                  input size, confidence threshold, and where the model comes from

Its one signature, ``serving_default``, takes ``images``: uint8, shape (n, side, side, 3), RGB, made as
`photos.letterbox` makes them with the ``resize`` of ``export.json``, and returns ``boxes_xyxy`` (pixels of that
square), ``scores``, ``classes`` (label map ids from 1) and ``count``. `tfod_helpers.detector.Detector` does the rest.
"""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf

from tfod_helpers import training
from tfod_helpers.exporting.folder import whole_export
from tfod_helpers.exporting.network import freeze, save
from tfod_helpers.files.run_folder import Checkpoint, Run, reading
from tfod_helpers.network.model import detect_function

FORMAT = "saved_model"


def export(
    run: str | os.PathLike[str] | Run, folder: str | os.PathLike[str], *, checkpoint: Checkpoint = "best"
) -> Path:
    """Write a run's model as a SavedModel, whole or not at all.

    Args:
        run: the run folder.
        folder: the export folder to make, or to replace.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept; `runs.checkpoints` lists them.

    Returns:
        The export folder.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step.
        FileExistsError: the folder holds something other than an export.
    """
    with reading(run, checkpoint) as run, whole_export(folder, run, checkpoint, FORMAT) as part:
        model, config = training.load_model(run, checkpoint)
        side = config.task.model.input_size[0]
        detect = tf.function(
            detect_function(model, config),
            input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8, name="images")],
            autograph=False,
        )
        # With weights as constants TensorFlow folds the batch norms into the convolutions, and without Keras'
        # layers the folder is written in seconds and loads in half a second.
        concrete = detect.get_concrete_function()
        frozen = freeze(concrete)
        call = tf.function(
            lambda images: tf.nest.pack_sequence_as(concrete.structured_outputs, frozen(images)),
            input_signature=detect.input_signature,
        )
        save(call, part)
    return Path(folder)
