"""What every export folder holds besides the model: the label map, ``export.json`` and a model card."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfod_helpers import experiment
from tfod_helpers.detector import FACTS, LABEL_MAP, ExportFacts, Nms
from tfod_helpers.detector.facts import sha256
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.exporting import model_card, raspberry_pi
from tfod_helpers.exporting.model_card import gathering
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Checkpoint, Run


@contextlib.contextmanager
def whole_export(
    folder: str | os.PathLike[str],
    run: Run,
    checkpoint: Checkpoint,
    export_format: str,
    **facts: Any,
) -> Iterator[Path]:
    """Give a folder to write a model's files into; it becomes the export folder, whole or not at all.

    What is known at once is refused at once, so the work belongs into the block.

    Args:
        folder: the export folder to make, or to replace; local or ``gs://``.
        run: the run.
        checkpoint: which of its models this is.
        export_format: the format that ``export.json`` names.
        facts: what else `ExportFacts` takes.

    Yields:
        Where to write.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step.
        FileExistsError: the folder holds something other than an export.
    """
    scores = run.find_scores(checkpoint)
    if not storage.is_remote(folder):
        folder = Path(folder).expanduser()
        _refuse_others(folder)
    config = experiment.load(run.config_path)
    task = config.task
    facts |= scores | {"preset": task.preset, "resize": task.resize, "nms": nms_of(config)}
    made = ExportFacts(export_format, task.model.input_size[0], len(task.class_names), **facts)
    with storage.whole_folder(folder, replaces=True) as part:
        yield part
        label_map = experiment.label_map(config)
        label_map.write(part / LABEL_MAP)
        paths = sorted(path for path in part.rglob("*") if path.is_file())
        files = {path.relative_to(part).as_posix(): sha256(path) for path in paths}
        made = replace(made, files=files)
        made.write(part)
        # These are for people, who may change them: they have no checksum.
        model_card.write(part, made, label_map, gathering.of_run(run, config, checkpoint))
        if made.format == "tflite" and made.decoded:
            raspberry_pi.write(part, made, label_map)


def nms_of(config: ExperimentConfig) -> Nms:
    """Return a run's settings of non-maximum suppression."""
    settings = config.task.model.detection_generator
    return Nms(settings.nms_iou_threshold, settings.pre_nms_score_threshold, settings.max_num_detections)


def _refuse_others(folder: Path) -> None:
    if folder.exists() and not (folder / FACTS).exists() and (folder.is_file() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: there is something here that is no export. Choose an empty or a new folder.")
