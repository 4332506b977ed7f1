"""A run -> an ONNX file, for ONNX Runtime and what else reads ONNX, without TensorFlow.

The export folder holds ``model.onnx``, the label map and ``export.json``. The model computes what the SavedModel
computes, non-maximum suppression included. It takes ``images``: uint8, (n, side, side, 3), RGB, made as
`photos.letterbox` makes them, for any n, and returns

* ``boxes_xyxy``: float32, (n, m, 4), in pixels of that square,
* ``scores``: float32, (n, m), falling,
* ``classes``: int32, (n, m), label map ids from 1,
* ``count``: int32, (n,), how many of the m are detections.

It needs the extra ``onnx``: ``pip install 'tfod_helpers[onnx]'``.
"""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from official.vision.modeling.layers import detection_generator
from tqdm import tqdm

from tfod_helpers import training
from tfod_helpers.detector.runtimes import onnx as runtime
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.exporting.folder import whole_export
from tfod_helpers.files.run_folder import Checkpoint, Run, reading
from tfod_helpers.files.terminal import silent_log, silent_stderr
from tfod_helpers.network.model import detect_function

FORMAT = "onnx"
_LIBRARIES = ("tf2onnx", "onnx", "onnxruntime")
_INSTEAD = "Export it with exporting.saved_model."


def export(
    run: str | os.PathLike[str] | Run, folder: str | os.PathLike[str], *, checkpoint: Checkpoint = "best"
) -> Path:
    """Write a run's model as an ONNX file, whole or not at all, once ONNX Runtime has run it.

    A RetinaNet takes seconds; a Faster R-CNN takes minutes, since its graph is ten times as large.

    Args:
        run: the run folder.
        folder: the export folder to make, or to replace.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept; `runs.checkpoints` lists them.

    Returns:
        The export folder.

    Raises:
        ImportError: a library of the extra ``onnx`` is missing.
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step, or ONNX cannot hold this network, such as a Mask R-CNN.
        FileExistsError: the folder holds something other than an export.
    """
    _check_libraries()
    with tqdm(total=3, desc="loading the model", unit="step", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        with reading(run, checkpoint) as run, whole_export(folder, run, checkpoint, FORMAT) as part:
            model, config = training.load_model(run, checkpoint)
            if getattr(config.task.model, "include_mask", False):
                raise ValueError(f"{run}: tf2onnx converts a Mask R-CNN into a file that nothing can run. {_INSTEAD}")
            _next(bar, "converting")
            path = part / runtime.MODEL
            path.write_bytes(_convert(model, config, str(run)))
            _next(bar, "running it once")
            _try(path, config, str(run))
        _next(bar, "exported")
    return Path(folder)


def _check_libraries() -> None:
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{__name__} needs {', '.join(_LIBRARIES[:-1])} and {_LIBRARIES[-1]}, and there is no module "
                f"{error.name!r}. Install them: pip install 'tfod_helpers[onnx]'",
                name=error.name,
            ) from error


def _next(bar: Any, what: str) -> None:
    bar.update()
    bar.set_description(what)


def _convert(model: Any, config: ExperimentConfig, run: str) -> bytes:
    """Return a trained network, from pixels to detections, as the bytes of an ONNX file."""
    import onnx
    from tf2onnx import convert

    if config.task.is_rcnn:
        model.detection_generator = _BoxesOfNoClass(**model.detection_generator.get_config())
    side = config.task.model.input_size[0]
    detect = tf.function(
        # Made while it is traced, so that the anchors are constants of the graph; tf2onnx takes others for inputs.
        lambda images: detect_function(model, config)(images),
        input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8, name="images")],
        autograph=False,
    )
    with silent_stderr(), silent_log("tf2onnx", logging.CRITICAL + 1):
        made, _ = convert.from_function(detect, input_signature=detect.input_signature)
    unknown = {node.op_type for node in made.graph.node if not node.domain and not onnx.defs.has(node.op_type)}
    if unknown:
        raise ValueError(f"{run}: tf2onnx cannot convert {', '.join(sorted(unknown))} of this network. {_INSTEAD}")
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


class _BoxesOfNoClass(detection_generator.DetectionGenerator):
    """The Model Garden's detections of an R-CNN, out of an operator that tf2onnx can convert.

    An R-CNN has a box of its own for each class at each place. tf2onnx knows non-maximum suppression only with one box
    for all classes; so each becomes a place of its own, with a score of 0 for all classes but one.
    """

    def __call__(self, raw_boxes: tf.Tensor, raw_scores: tf.Tensor, *args: Any, **named: Any) -> Any:
        settings = self.get_config()
        every = detection_generator.DetectionGenerator(**settings | {"apply_nms": False})
        found = every(tf.cast(raw_boxes, tf.float32), tf.cast(raw_scores, tf.float32), *args, **named)
        scores = found["decoded_box_scores"]
        batch, classes = tf.shape(scores)[0], scores.shape[-1]
        boxes_yxyx, scores, labels, count = tf.image.combined_non_max_suppression(
            tf.reshape(found["decoded_boxes"], [batch, -1, 1, 4]),
            tf.reshape(scores[..., None] * tf.eye(classes), [batch, -1, classes]),
            max_output_size_per_class=settings["max_num_detections"],
            max_total_size=settings["max_num_detections"],
            iou_threshold=settings["nms_iou_threshold"],
            score_threshold=settings["pre_nms_score_threshold"],
            clip_boxes=False,
        )
        return {
            "num_detections": count,
            "detection_boxes": boxes_yxyx,
            "detection_classes": tf.cast(labels, tf.int32) + 1,
            "detection_scores": scores,
        }


def _try(path: Path, config: ExperimentConfig, run: str) -> None:
    """Run a file once on two photos, since ONNX Runtime finds some faults only then."""
    side = config.task.model.input_size[0]
    try:
        found = runtime.load_file(path)(np.zeros((2, side, side, 3), np.uint8))
    except Exception as error:  # ONNX Runtime has a class of its own for each kind of fault
        raise ValueError(f"{run}: ONNX Runtime cannot run what tf2onnx made of it ({error}). {_INSTEAD}") from error
    if not np.isfinite(found["boxes_xyxy"]).all() or not np.isfinite(found["scores"]).all():
        raise ValueError(f"{run}: what tf2onnx made of it gives numbers that are not finite. {_INSTEAD}")
