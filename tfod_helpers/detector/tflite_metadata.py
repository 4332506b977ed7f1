"""What a ``.tflite`` file says about itself: its classes, its confidence threshold, and what its input takes.

MediaPipe Tasks, which runs such files on phones and in browsers, takes from there all that it has to know;
`exporting.tflite_metadata` writes it. The model is a flatbuffer, and the metadata another one in a buffer of it. The
files that the metadata names, such as the list of the classes, follow the model as a zip archive.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from dataclasses import dataclass
from typing import Any

from tfod_helpers.detector import tflite_file
from tfod_helpers.files.flatbuffer import Schema

IDENTIFIER, BUFFER = b"M001", "TFLITE_METADATA"

# As far as object detectors need it: github.com/google-ai-edge/mediapipe, mediapipe/tasks/metadata/metadata_schema.fbs,
# version 1.5.0. Fields keep the places that they have there; those behind the last one needed are left out.
SCHEMA = Schema(
    tables={
        "ModelMetadata": "name:string description:string version:string subgraph_metadata:[SubGraphMetadata] "
        "author:string license:string associated_files:[AssociatedFile] min_parser_version:string",
        "SubGraphMetadata": "name:string description:string input_tensor_metadata:[TensorMetadata] "
        "output_tensor_metadata:[TensorMetadata] associated_files:[AssociatedFile] input_process_units:[ProcessUnit] "
        "output_process_units:[ProcessUnit] input_tensor_groups:[TensorGroup] output_tensor_groups:[TensorGroup] "
        "custom_metadata:[CustomMetadata]",
        "TensorMetadata": "name:string description:string dimension_names:[string] content:Content "
        "process_units:[ProcessUnit] stats:Stats associated_files:[AssociatedFile]",
        "Content": "content_properties:ContentProperties range:ValueRange",
        "FeatureProperties": "",
        "ImageProperties": "color_space:byte",
        "BoundingBoxProperties": "index:[uint] type:byte coordinate_type:byte",
        "ValueRange": "min:int max:int",
        "ProcessUnit": "options:ProcessUnitOptions",
        "NormalizationOptions": "mean:[float] std:[float]",
        "ScoreCalibrationOptions": "score_transformation:byte default_score:float",
        "ScoreThresholdingOptions": "global_score_threshold:float",
        "Stats": "max:[float] min:[float]",
        "AssociatedFile": "name:string description:string type:byte",
        "TensorGroup": "name:string tensor_names:[string]",
        "CustomMetadata": "name:string data:[ubyte]",
    },
    unions={
        "ContentProperties": "FeatureProperties ImageProperties BoundingBoxProperties",
        "ProcessUnitOptions": "NormalizationOptions ScoreCalibrationOptions ScoreThresholdingOptions",
    },
)
RGB, BOUNDARIES, AXIS_LABELS, VALUE_LABELS = 1, 1, 2, 3  # of ColorSpaceType, BoundingBoxType, AssociatedFileType


@dataclass(frozen=True)
class TfliteMetadata:
    """What a ``.tflite`` file says about itself; what it leaves out is empty.

    Attributes:
        name: of the model.
        description: of the model.
        version: of the model.
        author: of the model.
        license: of the model.
        labels: the classes, in the order of the model's outputs.
        threshold: the confidence below which detections are left out; None where it says none.
        mean: what is subtracted from the input's values, 0 to 255, before the model; one number, or one a channel.
        std: what they are divided by then.
        outputs: the names of the outputs, in the file's order.
    """

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    license: str = ""
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    outputs: tuple[str, ...] = ()


def read(tflite: bytes | str | os.PathLike[str]) -> TfliteMetadata | None:
    """Read the metadata of a ``.tflite`` file, whoever wrote it.

    Args:
        tflite: the file's path, local or ``gs://``, or its bytes.

    Returns:
        The metadata, or None where the file has none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ``.tflite`` file, or a damaged one.
        ImportError: ai-edge-litert is not installed.
    """
    where, data = tflite_file.content(tflite)
    schema = tflite_file.schema()
    try:
        model = schema.Model.GetRootAs(data)
        entries = (model.Metadata(number) for number in range(model.MetadataLength()))
        buffers = [entry.Buffer() for entry in entries if entry.Name() == BUFFER.encode()]
        if not buffers:
            return None
        metadata = model.Buffers(buffers[0]).DataAsNumpy().tobytes()
        if metadata[4:8] != IDENTIFIER:
            raise ValueError(f"its metadata is of the kind {metadata[4:8]!r}, not {IDENTIFIER!r}")
        return _of(SCHEMA.unpack("ModelMetadata", metadata), data)
    except (struct.error, ValueError, IndexError, TypeError, AttributeError) as error:
        raise tflite_file.damaged(where, error) from error


def _of(values: dict[str, Any], data: bytes) -> TfliteMetadata:
    graph = values.get("subgraph_metadata", [{}])[0]
    inputs, outputs = graph.get("input_tensor_metadata", []), graph.get("output_tensor_metadata", [])
    normalization = _process_units(inputs[:1], "NormalizationOptions")
    thresholds = _process_units(outputs, "ScoreThresholdingOptions")
    files = [file for output in outputs for file in output.get("associated_files", [])]
    lists = [file["name"] for file in files if file.get("type") in (AXIS_LABELS, VALUE_LABELS)]
    return TfliteMetadata(
        **{name: values.get(name, "") for name in ("name", "description", "version", "author", "license")},
        labels=_lines(data, lists[0]) if lists else (),
        threshold=thresholds[0].get("global_score_threshold", 0.0) if thresholds else None,
        mean=tuple(float(value) for options in normalization for value in options.get("mean", ())),
        std=tuple(float(value) for options in normalization for value in options.get("std", ())),
        outputs=tuple(output.get("name", "") for output in outputs),
    )


def _process_units(tensors: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    units = (unit.get("options", {}) for tensor in tensors for unit in tensor.get("process_units", []))
    return [options[kind] for options in units if kind in options]


def _lines(data: bytes, name: str) -> tuple[str, ...]:
    """Return the lines of a file in the zip archive behind the model."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return tuple(archive.read(name).decode("utf-8").removesuffix("\n").split("\n"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{name}, which its metadata names, is not behind the model: {error}") from error
