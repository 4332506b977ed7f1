"""A run's model, or one under training -> a `Detector`, without an export."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
import tensorflow as tf
import tf_keras

from tfod_helpers import experiment
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.files.run_folder import Checkpoint, Run, reading
from tfod_helpers.network.model import build_model, detect_function
from tfod_helpers.training.machines import Machines

_BATCH, _RCNN_BATCH = 16, 4  # images a forward pass; a second stage looks at a thousand regions of each


def detector(run: str | os.PathLike[str] | Run, checkpoint: Checkpoint = "best") -> Detector:
    """Return a run's model as a detector, to look at photos with it before it is exported.

    Args:
        run: the run folder, local, on Drive or ``gs://``.
        checkpoint: ``"best"``, ``"last"``, or the step of a model that is kept.

    Returns:
        A detector whose threshold is the one that gave the best F1 on the validation photos.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step.
    """
    with reading(run, checkpoint) as run:
        model, config = load_model(run, checkpoint)
        return of_model(model, config, threshold=run.find_model(checkpoint)["threshold"], masks=True)


def load_model(
    run: str | os.PathLike[str] | Run, checkpoint: Checkpoint = "best"
) -> tuple[tf_keras.Model, ExperimentConfig]:
    """Build a run's network and fill it with the weights of its best model, its last one, or that of a step.

    Raises:
        FileNotFoundError: the run holds no model yet.
        ValueError: it holds none of that step.
    """
    with reading(run, checkpoint) as run:
        prefix = run.prefix_of(run.find_model(checkpoint))
        config = experiment.load(run.config_path)
        model = build_model(config)
        fill(model, prefix)
    return model, config


def fill(model: tf_keras.Model, prefix: Path) -> None:
    """Give a network the weights of one of a run's models, by the path of its checkpoint."""
    tf.train.Checkpoint(model=model).read(str(prefix)).assert_existing_objects_matched().expect_partial()


def of_model(
    model: tf_keras.Model, config: ExperimentConfig, *, threshold: float = 0.0, masks: bool = False
) -> Detector:
    """Return a network as a detector; it may still be trained.

    Args:
        model: the network.
        config: its settings.
        threshold: the detector's least confidence.
        masks: let a Mask R-CNN return masks; otherwise they are not computed, and they take most of the memory.
    """
    side = config.task.model.input_size[0]
    batch = _RCNN_BATCH if config.task.is_rcnn else _BATCH
    detect = detect_function(model, config)

    # One batch shape: the last, smaller batch would be traced anew, which takes longer than all others.
    @tf.function(input_signature=[tf.TensorSpec([batch, side, side, 3], tf.uint8)], autograph=False)
    def outputs(images: tf.Tensor) -> dict[str, Any]:
        return {name: value for name, value in detect(images).items() if masks or name != "masks"}

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        parts = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            full = np.concatenate([part, np.zeros((batch - len(part), side, side, 3), np.uint8)])
            parts.append({name: value.numpy()[: len(part)] for name, value in outputs(full).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return Detector(run, experiment.label_map(config), side, threshold, resize=config.task.resize)


class PhotoSet:
    """Photos with their ground truth, scaled once for a detector that looks at them again and again.

    Several machines share them out: each looks at every so many batches of them, the same batches as one alone.

    Attributes:
        dataset: the photos and the ground truth.
        letterboxed: of some photos by their number, what the detector sees: those that are its own, or shown.
    """

    def __init__(
        self, detector: Detector, dataset: Dataset, machines: Machines | None = None, *, shown: Iterable[int] = ()
    ) -> None:
        """Scale the photos.

        Args:
            detector: what looks at them.
            dataset: the photos.
            machines: those that share them out; left out, this one looks at all.
            shown: numbers of photos to be scaled wherever they are looked at.
        """
        self._detector, self.dataset, self._machines = detector, dataset, machines
        count, number = (machines.count, machines.number) if machines else (1, 0)
        self._own = [photo for photo in range(len(dataset)) if photo // _BATCH % count == number]
        scaled = sorted({*self._own, *shown})
        self.letterboxed = {photo: detector.letterbox(dataset[photo].pixels()) for photo in scaled}

    def detect(self) -> list[sv.Detections]:
        """Return what the detector finds now, boxes in pixels of the photos; on each machine that of all of them."""
        own = self._detector.detect_letterboxed([self.letterboxed[photo] for photo in self._own])
        if self._machines is None or self._machines.count == 1:
            return own
        rows = [_rows(photo, found) for photo, found in zip(self._own, own, strict=True)]
        everybody = self._machines.gather(np.concatenate([np.empty((0, 7), np.float32), *rows]))
        names = np.array(self.dataset.label_map.names)
        return [_detections(everybody[everybody[:, 0] == photo], names) for photo in range(len(self.dataset))]


def _rows(photo: int, found: sv.Detections) -> np.ndarray:
    """Return detections as numbers that float32 holds exactly: photo, box_xyxy, confidence, class."""
    assert found.confidence is not None
    assert found.class_id is not None
    columns = np.full(len(found), photo), *found.xyxy.T, found.confidence, found.class_id
    return np.stack(columns, axis=-1).astype(np.float32)


def _detections(rows: np.ndarray, names: np.ndarray) -> sv.Detections:
    """Return what `_rows` made numbers of."""
    ids = rows[:, 6].astype(int)
    boxes_xyxy, data = rows[:, 1:5].copy(), {"class_name": names[ids - 1]}
    return sv.Detections(xyxy=boxes_xyxy, confidence=rows[:, 5].copy(), class_id=ids, data=data)
