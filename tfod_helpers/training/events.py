"""A training's TensorBoard: scalars, and photos with true and predicted boxes, for training and validation."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import supervision as sv
import tensorflow as tf
from PIL import Image, ImageDraw

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.detector import each
from tfod_helpers.files.run_folder import Run, find_run, open_run
from tfod_helpers.photos import Letterboxed
from tfod_helpers.training.detecting import PhotoSet
from tfod_helpers.training.history import PLANNED
from tfod_helpers.training.hooks import Hook, Row

SHOWN = 6  # photos of each set
_PHOTOS = "true (green) and predicted (orange)"  # what they are called
_TRUE, _PREDICTED = (40, 200, 80), (255, 140, 0)  # green and orange, as a colour-blind reader tells them apart too
_LEAST = 0.3  # confidence of a drawn detection


class Events(Hook):
    """Writes event files that TensorBoard reads: a folder each for training and validation."""

    def __init__(self, folder: Path, train: PhotoSet, validation: PhotoSet) -> None:
        """Open a folder.

        Args:
            folder: of the event files.
            train: a few training photos.
            validation: the validation photos, of which a few are shown.
        """
        self._writers = {name: tf.summary.create_file_writer(f"{folder}/{name}") for name in ("train", "validation")}
        self._train, self._validation = train, validation

    def on_evaluation(self, step: int, found: list[sv.Detections]) -> None:
        """Write photos with their true boxes (green) and the predicted ones (orange, with confidence)."""
        of_each = {"train": (self._train, self._train.detect()), "validation": (self._validation, found)}
        for which, (photos, detections) in of_each.items():
            with self._writers[which].as_default(step=step):
                write_photos(photos, detections)

    def on_steps(self, rows: Sequence[Row]) -> None:
        """Write the last row of the history; AP and AP50 are of the validation photos."""
        for name, value in rows[-1].items():
            if name not in ("step", PLANNED):
                which = "validation" if name in ("ap", "ap50") else "train"
                with self._writers[which].as_default(step=int(rows[-1]["step"])):
                    tf.summary.scalar(name, value)

    def on_save(self, rows: Sequence[Row]) -> None:
        """Let TensorBoard see what was written."""
        for writer in self._writers.values():
            writer.flush()


def which_are_shown(count: int) -> list[int]:
    """Return the numbers of the photos of a set that are shown, evenly spaced."""
    return np.linspace(0, count - 1, min(SHOWN, count)).astype(int).tolist()


def write_photos(photos: PhotoSet, found: Sequence[sv.Detections]) -> None:
    """Write those of a set's photos that are shown, with true and predicted boxes, to the event file that is open."""
    names = photos.dataset.label_map.names
    shown = which_are_shown(len(found))
    drawn = [_draw(photos.dataset[n], photos.letterboxed[n], found[n], names) for n in shown]
    tf.summary.image(_PHOTOS, np.stack(drawn), max_outputs=len(drawn))


def _draw(image: LabelledImage, photo: Letterboxed, found: sv.Detections, names: Sequence[str]) -> np.ndarray:
    """Return a photo as the model sees it with its true and predicted boxes: uint8, (side, side, 3)."""
    picture = Image.fromarray(photo.pixels)
    canvas = ImageDraw.Draw(picture)
    scale = np.tile(photo.scale, 2)
    for box_xyxy, label in zip(image.boxes_xyxy, image.labels, strict=True):
        place = (box_xyxy * scale).tolist()
        canvas.rectangle(place, outline=_TRUE, width=2)
        canvas.text((place[0] + 3, place[3] - 13), names[label - 1], fill=_TRUE)
    for box_xyxy, confidence, name in each(found):
        if confidence >= _LEAST:
            place = (box_xyxy * scale).tolist()
            canvas.rectangle(place, outline=_PREDICTED, width=2)
            canvas.text((place[0] + 3, place[1] + 1), f"{name} {confidence:.2f}", fill=_PREDICTED)
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
