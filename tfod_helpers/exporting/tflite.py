"""A run -> a LiteRT (TensorFlow Lite) file for phones, the Raspberry Pi and microcomputers.

The export folder holds ``model.tflite``, the label map and ``export.json``. The model takes ``images``: (1, side,
side, 3), RGB, values 0 to 255, made as `photos.letterbox` makes them; float32, or uint8 where all of it is quantized.
With ``nms`` LiteRT's operator for detection post-processing is its end, and it returns, as apps expect,

* ``boxes``: float32, (1, 100, 4), ``[ymin, xmin, ymax, xmax]`` in fractions of the input,
* ``classes``: float32, (1, 100), from 0: the label map's id less one,
* ``scores``: float32, (1, 100), falling,
* ``count``: float32, (1,), how many of them are detections.

Without, it returns ``boxes``, (1, anchors, 4), encoded by the anchors in ``anchors.npy``, and ``logits``, (1, anchors,
classes): what GPU delegates and browsers take whole. `detector.decoding` has the formula.

The names of the classes, the threshold and what MediaPipe Tasks needs besides are in the file too, as its metadata.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from tfod_helpers import experiment
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import ANCHORS
from tfod_helpers.detector.tflite_file import MODEL
from tfod_helpers.exporting import bias_correction, calibration, network, tflite_metadata
from tfod_helpers.exporting.folder import whole_export
from tfod_helpers.exporting.network import BOXES, LOGITS, ExportNetwork
from tfod_helpers.files.run_folder import Checkpoint, Run, reading
from tfod_helpers.files.terminal import silent_stderr
from tfod_helpers.presets import resizing
from tfod_helpers.records import Records

FORMAT = "tflite"
Precision = Literal["float32", "float16", "dynamic", "int8", "int8_full"]
INT8: tuple[Precision, ...] = ("int8", "int8_full")
Quantize = Literal["calibrated", "aware"]


def export(
    run: str | os.PathLike[str] | Run,
    folder: str | os.PathLike[str],
    *,
    precision: Precision = "float32",
    nms: bool = True,
    calibrate: Records | Dataset | None = None,
    quantize: Quantize = "calibrated",
    checkpoint: Checkpoint = "best",
) -> Path:
    """Write a run's model as a LiteRT file, whole or not at all.

    Args:
        run: the run folder.
        folder: the export folder to make, or to replace.
        precision: of the numbers in it. ``float32``: as trained. ``float16``: weights of half the size. ``dynamic``:
            weights of 8 bits, computing in float32. ``int8``: weights and computing of 8 bits, floats in and out.
            ``int8_full``: the same with uint8 in, for accelerators that know no floats.
        nms: with the post-processing operator inside, as apps expect it; without, for our own decoding, GPUs and
            browsers.
        calibrate: the photos that show ``int8`` which values occur; left out, the run's training photos. Of them 32
            are taken, without augmentation.
        quantize: how ``int8`` comes about. ``calibrated``: by these photos, in seconds. ``aware``: the network is also
            trained for some minutes with its numbers rounded, on the run's training records, and the file that is
            better on the validation records is kept. It pays where calibration loses AP.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept; `runs.checkpoints` lists them.

    Returns:
        The export folder.

    Raises:
        FileNotFoundError: the run holds no model yet, or the photos to calibrate with are not there.
        ValueError: an unknown precision, no model of that step, or a network that LiteRT cannot hold.
        FileExistsError: the folder holds something other than an export.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}.")
    if quantize not in get_args(Quantize) or (quantize == "aware" and precision not in INT8):
        raise ValueError(
            f"quantize is one of {', '.join(get_args(Quantize))}, and 'aware' is for {' and '.join(INT8)}, got "
            f"{quantize!r} with {precision}."
        )
    with (
        reading(run, checkpoint) as run,
        whole_export(folder, run, checkpoint, FORMAT, precision=precision, decoded=nms) as part,
    ):
        made = network.of_run(run, checkpoint, "LiteRT")
        photos = calibration.photos(made.config, calibrate) if precision in INT8 else None
        content = quantized(made, precision, nms=nms, photos=photos, quantize=quantize)
        (part / MODEL).write_bytes(_described(content, made, run.find_scores(checkpoint)))
        if not nms:
            np.save(part / ANCHORS, made.anchors_yxhw, allow_pickle=False)
    return Path(folder)


def _described(tflite: bytes, made: ExportNetwork, model: dict[str, Any]) -> bytes:
    """Return a file with metadata: what it finds, where it comes from, and how sure it has to be."""
    task = made.config.task
    label_map = experiment.label_map(made.config)
    resized = "letterboxed: scaled to fit, at the top left" if task.resize == resizing.LETTERBOX else "stretched"
    return tflite_metadata.add(
        tflite,
        name=f"Detector: {label_map.describe()}",
        description=(
            f"{task.preset}, trained for {model['step']} steps: AP {model['ap']:.3f}, AP50 {model['ap50']:.3f} on its "
            f"validation photos. Photos are {resized}."
        ),
        labels=label_map,
        threshold=model["threshold"],
        anchors_yxhw=made.anchors_yxhw,
        version=str(model["step"]),
    )


def quantized(
    made: ExportNetwork, precision: Precision, *, nms: bool, photos: np.ndarray | None, quantize: Quantize
) -> bytes:
    """Return a network as the bytes of a LiteRT file, trained with rounded numbers before, where that is asked."""

    def converted(network: ExportNetwork) -> bytes:
        return convert(network, precision, nms=nms, photos=photos)

    if photos is None:
        return converted(made)
    with bias_correction.corrected(made, convert(made, "int8", nms=False, photos=photos), photos):
        content = converted(made)
    if quantize == "calibrated":
        return content
    from tfod_helpers.exporting import quantization_aware  # the Model Garden's part of it takes seconds to import

    return quantization_aware.improve(made, content, converted, decoded=nms)


def convert(made: ExportNetwork, precision: Precision, *, nms: bool, photos: np.ndarray | None = None) -> bytes:
    """Return a network as the bytes of a LiteRT file.

    Args:
        made: the network.
        precision: as `export` takes it.
        nms: as `export` takes it.
        photos: uint8, (n, side, side, 3), to calibrate ``int8`` and ``int8_full`` with.
    """
    frozen = made.frozen()
    images = tf.TensorSpec([1, made.side, made.side, 3], tf.float32, name="images")
    call = tf.function(
        lambda images: _post_processed(made, frozen(images)) if nms else frozen(images),
        input_signature=[images],
        autograph=False,
    )
    with tempfile.TemporaryDirectory() as folder, silent_stderr(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*tf.lite.Interpreter is deprecated")  # calibration's own use
        # From a SavedModel: converted from the function itself, the file has no signature, and no post-processing.
        network.save(call, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.allow_custom_ops = nms
        _set_precision(converter, precision, photos, nms)
        return bytes(converter.convert())


def _set_precision(converter: Any, precision: Precision, photos: np.ndarray | None, nms: bool) -> None:
    if precision == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in INT8:
        assert photos is not None
        converter.representative_dataset = lambda: _fed(photos)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if precision == "int8_full":
        converter.inference_input_type = tf.uint8
        # The post-processing operator computes in floats.
        converter.inference_output_type = tf.float32 if nms else tf.uint8


def _fed(photos: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for photo in photos:
        yield {"images": photo[None].astype(np.float32)}


def _post_processed(made: ExportNetwork, found: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return detections by the operator that the converter puts in the place of a function of this signature.

    Its own defaults, the fast NMS over all classes together with a least score of 0.1, cost AP.
    """
    nms = made.nms
    values = [
        ("max_detections", f"i: {nms.detections}"),
        ("max_classes_per_detection", "i: 1"),
        ("detections_per_class", f"i: {nms.detections}"),
        ("use_regular_nms", "b: true"),
        ("nms_score_threshold", f"f: {nms.least_score}"),
        ("nms_iou_threshold", f"f: {nms.iou}"),
        *((f"{axis}_scale", "f: 1.0") for axis in "yxhw"),
        ("num_classes", f"i: {made.classes}"),
    ]
    attributes = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in values)

    @tf.function(experimental_implements=f'name: "TFLite_Detection_PostProcess" {attributes}', autograph=False)
    def post_process(encoded: tf.Tensor, scores: tf.Tensor, anchors_yxhw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        shapes = [(1, nms.detections, 4), (1, nms.detections), (1, nms.detections), (1,)]
        return tuple(tf.zeros(shape) for shape in shapes)

    anchors_yxhw = tf.constant(made.anchors_yxhw / made.side)
    outputs = post_process(found[BOXES], tf.sigmoid(found[LOGITS]), anchors_yxhw)
    return dict(zip(("boxes", "classes", "scores", "count"), outputs, strict=True))
