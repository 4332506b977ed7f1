"""A training's TensorBoard: scalars, and photos with true and predicted boxes, for training and validation."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
import tensorflow as tf
from PIL import Image, ImageDraw

from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.files.run_folder import Run, find_run, open_run
from tfod_helpers.photos import Square

TRAIN, VALIDATION = "train", "validation"
SHOWN = 6  # photos of each set
_TRUE, _PREDICTED = (40, 200, 80), (255, 140, 0)  # green and orange, as a colour-blind reader tells them apart too
_LEAST = 0.3  # confidence of a drawn detection


class Events:
    """Writes event files that TensorBoard reads."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open a folder, local or ``gs://``; one folder in it for each of training and validation."""
        base = os.fspath(folder).rstrip("/")
        self._writers = {name: tf.summary.create_file_writer(f"{base}/{name}") for name in (TRAIN, VALIDATION)}

    def scalars(self, row: Mapping[str, float]) -> None:
        """Write a row of the history; AP and AP50 are of the validation photos."""
        for name, value in row.items():
            if name != "step":
                with self._writers[VALIDATION if name in ("ap", "ap50") else TRAIN].as_default(step=int(row["step"])):
                    tf.summary.scalar(name, value)

    def images(self, which: str, step: int, dataset: Dataset, squares: Sequence[Square], found: Sequence[Any]) -> None:
        """Write photos with their true boxes (green) and the predicted ones (orange, with confidence).

        Args:
            which: ``train`` or ``validation``.
            step: the step.
            dataset: the photos' truth.
            squares: the photos, scaled.
            found: the detections, in pixels of the photos.
        """
        drawn = [
            draw(image, square, one, dataset.label_map.names)
            for image, square, one in zip(dataset, squares, found, strict=True)
        ]
        with self._writers[which].as_default(step=step):
            tf.summary.image("true (green) and predicted (orange)", np.stack(drawn), max_outputs=len(drawn))

    def flush(self) -> None:
        """Let TensorBoard see what was written."""
        for writer in self._writers.values():
            writer.flush()


def draw(image: LabelledImage, square: Square, found: sv.Detections, names: Sequence[str]) -> np.ndarray:
    """Return a scaled photo with its true and predicted boxes: uint8, (side, side, 3)."""
    picture = Image.fromarray(square.pixels)
    canvas = ImageDraw.Draw(picture)
    scale = np.tile(square.scale, 2)
    for box_xyxy, label in zip(image.boxes_xyxy, image.labels, strict=True):
        place = (box_xyxy * scale).tolist()
        canvas.rectangle(place, outline=_TRUE, width=2)
        canvas.text((place[0] + 3, place[3] - 13), names[label - 1], fill=_TRUE)
    sure = found[found.confidence >= _LEAST] if len(found) else found
    for number in range(len(sure)):
        place = (sure.xyxy[number] * scale).tolist()
        canvas.rectangle(place, outline=_PREDICTED, width=2)
        text = f"{names[sure.class_id[number] - 1]} {sure.confidence[number]:.2f}"
        canvas.text((place[0] + 3, place[1] + 1), text, fill=_PREDICTED)
    return np.asarray(picture)


def show_tensorboard(run: str | os.PathLike[str] | Run, *, height: int = 800) -> None:
    """Open TensorBoard on one run, or on a folder of runs, within the notebook.

    Args:
        run: a run folder, local, on Drive or ``gs://``, which is made where it is new: TensorBoard can open before the
            training starts. Or a folder that holds several runs.
        height: in pixels.
    """
    from tensorboard import notebook

    found, folder = find_run(run), str(run)
    if found.read_manifest() or not tf.io.gfile.isdir(folder):  # one run, whose events are written on this machine
        folder = str(open_run(found).folder)
    beside = Path(sys.executable).with_name("tensorboard")
    if beside.exists():  # an environment that is not active is not on the path
        os.environ.setdefault("TENSORBOARD_BINARY", str(beside))
    notebook.start(f'--logdir "{folder}" --reload_interval 15')
    notebook.display(height=height)
