"""A ``.tflite`` file -> the same model with metadata, which MediaPipe Tasks needs to load it.

MediaPipe's `ObjectDetector` takes from the metadata what the input is normalized by, which output is which, and the
names of the classes, on Android, iOS, the web and in Python alike. MediaPipe's own writer cannot be installed beside
TensorFlow, and its wheel for Python lacks a part of it.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert.schema_py_generated import BufferT, MetadataT, ModelT
from flatbuffers import flexbuffers

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import tflite_file
from tfod_helpers.detector import tflite_metadata as reading
from tfod_helpers.files.flatbuffer import Builder, Schema

LABELS = "labels.txt"
_POST_PROCESS = b"TFLite_Detection_PostProcess"
# mediapipe/tasks/metadata/object_detector_metadata_schema.fbs, version 1.0.0
_OPTIONS = Schema(
    tables={
        "ObjectDetectorOptions": "min_parser_version:string ssd_anchors_options:SsdAnchorsOptions "
        "tensors_decoding_options:TensorsDecodingOptions",
        "SsdAnchorsOptions": "fixed_anchors_schema:FixedAnchorsSchema",
        "FixedAnchorsSchema": "anchors:[FixedAnchor]",
        "FixedAnchor": "x_center:float y_center:float width:float height:float",
        "TensorsDecodingOptions": "num_classes:int num_boxes:int num_coords:int keypoint_coord_offset:int "
        "num_keypoints:int num_values_per_keypoint:int x_scale:float y_scale:float w_scale:float h_scale:float "
        "apply_exponential_on_box_size:bool sigmoid_score:bool",
    },
    unions={},
)
# The names that MediaPipe looks for, of the outputs of the post-processing operator, in its order.
_DECODED = {
    "location": "The boxes' edges as parts of the image: top, left, bottom, right.",
    "category": "The classes' places in the list of labels, from 0.",
    "score": "The confidences, 0 to 1.",
    "number of detections": "How many detections there are.",
}
# The same for the outputs of a model without it, by their names in the file.
_ENCODED = {
    "boxes": ("location", "The boxes, encoded by the anchors: centre (y, x) and size (height, width)."),
    "logits": ("score", "The logit of each class."),
}


def add(
    tflite: bytes | str | os.PathLike[str],
    *,
    name: str,
    description: str,
    labels: Iterable[str],
    threshold: float,
    anchors_yxhw: np.ndarray | None = None,
    version: str = "",
    author: str = "",
    license: str = "",
) -> bytes:
    """Return a ``.tflite`` file with metadata; what it had is replaced.

    Args:
        tflite: the file or its bytes. It takes RGB values from 0 to 255, and ends in the operator
            ``TFLite_Detection_PostProcess`` or in the outputs ``boxes`` and ``logits`` (see `exporting.network`).
        name: of the model.
        description: of the model.
        labels: the names of the classes, in the order of the model's.
        threshold: the confidence below which detections should be left out. MediaPipe 1.2 passes over it, so its
            options have to say it again (``score_threshold``).
        anchors_yxhw: of a model without the operator; float, (anchors, 4), ``[ycenter, xcenter, height, width]`` in
            pixels of the input. MediaPipe decodes the boxes, and its suppression looks over the classes' edges.
        version: of the model.
        author: of the model.
        license: of the model.

    Returns:
        The file: the model with its metadata, and behind it, as a zip archive, the labels.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ``.tflite`` file, damaged, or no detector; or the labels or anchors do not fit it.
    """
    where, data = tflite_file.content(tflite)
    names = LabelMap(labels).names
    try:
        model = ModelT.InitFromPackedBuf(data)
        detector = _Detector(model)
    except (struct.error, IndexError, TypeError, AttributeError) as error:
        raise tflite_file.damaged(where, error) from error
    if fault := detector.fault(names, anchors_yxhw):
        raise ValueError(f"{where}: {fault}")
    metadata = {
        "name": name,
        "description": description,
        "version": version or None,
        "author": author or None,
        "license": license or None,
        "subgraph_metadata": [detector.describe(threshold, anchors_yxhw)],
        "min_parser_version": "1.0.0" if detector.decoded else "1.5.0",  # which added custom_metadata
    }
    _put(model, reading.SCHEMA.pack("ModelMetadata", metadata, reading.IDENTIFIER))
    builder = Builder(len(data))
    builder.Finish(model.Pack(builder), tflite_file.IDENTIFIER)
    return _followed_by(bytes(builder.Output()), LABELS, "".join(f"{label}\n" for label in names))


class _Detector:
    """What the metadata has to say about a model's input and outputs, and where they are."""

    def __init__(self, model: Any) -> None:
        graph = model.subgraphs[0]
        codes = [code.customCode for code in model.operatorCodes]
        operators = [operator for operator in graph.operators if codes[operator.opcodeIndex] == _POST_PROCESS]
        self.decoded = bool(operators)
        signature = [output for one in model.signatureDefs or () for output in one.outputs]
        named = {output.tensorIndex: output.name.decode() for output in signature}
        self.names = [named.get(index, graph.tensors[index].name.decode()) for index in graph.outputs]
        shapes = dict(zip(self.names, (graph.tensors[index].shape for index in graph.outputs), strict=True))
        self.roles: list[tuple[str, str] | None]
        if self.decoded:
            roles = dict(zip(operators[0].outputs, _DECODED.items(), strict=False))
            self.roles = [roles.get(index) for index in graph.outputs]
            self.classes = flexbuffers.Loads(bytes(operators[0].customOptions))["num_classes"]
        else:
            self.roles = [_ENCODED.get(name) for name in self.names]
            self.classes = int(shapes["logits"][-1]) if "logits" in shapes else 0
            self.anchors = int(shapes["logits"][-2]) if "logits" in shapes else 0
        self.size = graph.tensors[graph.inputs[0]].shape[1:3]  # height, width

    def fault(self, labels: tuple[str, ...], anchors_yxhw: np.ndarray | None) -> str:
        """Return what does not fit, or nothing."""
        if set(self.roles) != set(_DECODED.items() if self.decoded else _ENCODED.values()):
            return (
                f"its outputs are {', '.join(self.names)}, and MediaPipe takes those of {_POST_PROCESS.decode()} or "
                f"{' and '.join(_ENCODED)}. Export the run again."
            )
        if self.classes != len(labels):
            return (
                f"it tells {self.classes} classes apart, and the labels are {len(labels)}: {', '.join(labels)}. Give "
                f"those of the run that it comes from."
            )
        if not self.decoded and (anchors_yxhw is None or anchors_yxhw.shape != (self.anchors, 4)):
            found = "none" if anchors_yxhw is None else f"an array of shape {anchors_yxhw.shape}"
            return (
                f"its boxes are encoded by {self.anchors} anchors, and anchors_yxhw must hold them, shape "
                f"({self.anchors}, 4), got {found}. Give those of the same export."
            )
        return ""

    def describe(self, threshold: float, anchors_yxhw: np.ndarray | None) -> dict[str, Any]:
        """Return the fields of SubGraphMetadata."""
        normalization = {"mean": [0.0], "std": [1.0]}  # the model itself normalizes
        image = {
            "name": "image",
            "description": f"A photo of {self.size[1]} x {self.size[0]} pixels, RGB, values 0 to 255.",
            "content": {"content_properties": {"ImageProperties": {"color_space": reading.RGB}}},
            "process_units": [{"options": {"NormalizationOptions": normalization}}],
            "stats": {"max": [255.0], "min": [0.0]},
        }
        outputs = [self._output(role, threshold) for role in self.roles if role]
        values: dict[str, Any] = {"input_tensor_metadata": [image], "output_tensor_metadata": outputs}
        if not self.decoded and anchors_yxhw is not None:
            options = self._options(anchors_yxhw / np.tile(self.size, 2))
            data = _OPTIONS.pack("ObjectDetectorOptions", options, b"V001")
            values["custom_metadata"] = [{"name": "DETECTOR_METADATA", "data": data}]
        return values

    def _output(self, role: tuple[str, str], threshold: float) -> dict[str, Any]:
        name, description = role
        edges = {"index": [1, 0, 3, 2], "type": reading.BOUNDARIES}  # left is the second value, top the first
        properties = {"BoundingBoxProperties": edges} if name == "location" else {"FeatureProperties": {}}
        values: dict[str, Any] = {
            "name": name,
            "description": description,
            "content": {"content_properties": properties},
        }
        if name == "score":
            values["process_units"] = [{"options": {"ScoreThresholdingOptions": {"global_score_threshold": threshold}}}]
        if name == ("category" if self.decoded else "score"):
            kind = reading.VALUE_LABELS if self.decoded else reading.AXIS_LABELS
            values["associated_files"] = [{"name": LABELS, "description": "The names of the classes.", "type": kind}]
        return values

    def _options(self, anchors_yxhw: np.ndarray) -> dict[str, Any]:
        """Return how MediaPipe decodes boxes: by anchors in parts of the image, no factors, sizes as logarithms."""
        names = ("y_center", "x_center", "height", "width")
        anchors = [dict(zip(names, anchor, strict=True)) for anchor in anchors_yxhw.tolist()]
        decoding = {f"{name}_scale": 1.0 for name in "xywh"} | {
            "num_classes": self.classes,
            "num_boxes": self.anchors,
            "num_coords": 4,
            "num_values_per_keypoint": 2,  # MediaPipe aborts otherwise, though there are no keypoints
            "apply_exponential_on_box_size": True,
            "sigmoid_score": True,
        }
        return {
            "min_parser_version": "1.0.0",
            "ssd_anchors_options": {"fixed_anchors_schema": {"anchors": anchors}},
            "tensors_decoding_options": decoding,
        }


def _put(model: Any, metadata: bytes) -> None:
    """Put metadata into a buffer of the model, in the place of what it had."""
    buffer = BufferT(np.frombuffer(metadata, np.uint8))
    model.metadata = model.metadata or []
    for entry in model.metadata:
        if entry.name == reading.BUFFER.encode():
            model.buffers[entry.buffer] = buffer
            return
    model.metadata.append(MetadataT(reading.BUFFER, len(model.buffers)))
    model.buffers.append(buffer)


def _followed_by(model: bytes, name: str, text: str) -> bytes:
    """Return a model with a file behind it, in a zip archive; MediaPipe reads it where it lies, uncompressed."""
    file = io.BytesIO()
    file.write(model)
    entry = zipfile.ZipInfo(name)  # without the time, so that the same model gives the same bytes
    entry.external_attr = 0o644 << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry, text.encode("utf-8"))
    return file.getvalue()
