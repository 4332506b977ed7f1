"""A run -> a file for the Edge TPU's compiler, and a report of what the chip would compute of it.

The Edge TPU (Coral) computes in int8 alone. `export` writes such a file, with uint8 photos in, constant shapes, and
what the chip does not compute at the end: the post-processing of the detections. Google's edgetpu_compiler makes of it
what the chip runs; where that is installed it is run too. `report` says of any .tflite file what Coral documents.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_helpers.detector.tflite_file import MODEL
from tfod_helpers.exporting.edge_tpu.compiling import compile_there
from tfod_helpers.exporting.edge_tpu.operators import parse, read
from tfod_helpers.exporting.edge_tpu.ordering import put_last
from tfod_helpers.exporting.edge_tpu.report import ON_CPU, Report, judge

if TYPE_CHECKING:
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.exporting.tflite import Quantize
    from tfod_helpers.files.run_folder import Checkpoint, Run
    from tfod_helpers.records import Records

__all__ = ["Report", "export", "report"]


def export(
    run: str | os.PathLike[str] | Run,
    folder: str | os.PathLike[str],
    *,
    calibrate: Records | Dataset | None = None,
    quantize: Quantize = "calibrated",
    checkpoint: Checkpoint = "best",
) -> Path:
    """Write a run's model for the Edge TPU's compiler, and print the `report` of it.

    The export folder holds ``model.tflite``, which a `Detector` runs on any CPU, with ``edge_tpu.md`` and
    ``edge_tpu.json``, the report. Where edgetpu_compiler is installed, what it makes is there too:
    ``model_edgetpu.tflite`` and its log.

    Args:
        run: the run folder.
        folder: the export folder to make, or to replace.
        calibrate: the photos that show which values occur; left out, the run's training photos.
        quantize: how int8 comes about, as `exporting.tflite.export` takes it.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept; `runs.checkpoints` lists them.

    Returns:
        The export folder.

    Raises:
        FileNotFoundError: the run holds no model yet, or the photos to calibrate with are not there.
        ValueError: it holds none of that step, or it is an R-CNN.
        FileExistsError: the folder holds something other than an export.
    """
    # These load TensorFlow, which a report does not need.
    from tfod_helpers.exporting import calibration, network, tflite
    from tfod_helpers.exporting.folder import whole_export
    from tfod_helpers.files.run_folder import reading

    with (
        reading(run, checkpoint) as run,
        whole_export(folder, run, checkpoint, tflite.FORMAT, precision="int8_full") as part,
    ):
        made = network.of_run(run, checkpoint, "the Edge TPU")
        photos = calibration.photos(made.config, calibrate)
        content = tflite.quantized(made, "int8_full", nms=True, photos=photos, quantize=quantize)
        path = part / MODEL
        path.write_bytes(for_compiler(content))
        compilation = compile_there(path)
        found = replace(report(path), compilation=compilation)
        found.write(part)
    print(found)
    return Path(folder)


def report(path: str | os.PathLike[str]) -> Report:
    """Hold a .tflite file against what Coral documents of the Edge TPU; no TensorFlow is needed.

    Args:
        path: of the file; its weights should be int8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no .tflite file, or a damaged one.
    """
    model = read(path)
    return Report(Path(path).name, model, judge(model))


def for_compiler(content: bytes) -> bytes:
    """Return a .tflite file's content with what the CPU computes behind all that the Edge TPU may."""
    return put_last(content, [one.operator.number for one in judge(parse(content)) if one.status in ON_CPU])
