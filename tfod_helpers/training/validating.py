"""The validation of a model under training: its AP, the best weights so far, and whether there is patience left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import supervision as sv
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from tfod_helpers import evaluation
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.files.run_folder import Run
from tfod_helpers.training.detecting import PhotoSet
from tfod_helpers.training.hooks import Row


class Validation:
    """Evaluates a model on the validation photos, and keeps its weights where they are the best so far."""

    def __init__(self, model: tf_keras.Model, photos: PhotoSet, run: Run) -> None:
        """Prepare for a model.

        Args:
            model: the network that is evaluated and kept.
            photos: the validation photos, looked at by this model.
            run: the run whose ``best/`` and ``run.json`` are written.
        """
        self._checkpoint = tf.train.Checkpoint(model=model)
        self._photos, self._run = photos, run

    def evaluate(self, step: int) -> tuple[dict[str, float], list[sv.Detections]]:
        """Return AP and AP50 of the model as it is now, and what it found; keep it where it is the best so far."""
        found = self._photos.detect()
        result = evaluation.score(self._photos.dataset, found, resamples=0)
        best = self._run.read_manifest()["best"]
        if best is None or result.ap > best["ap"]:
            self._keep(step, result, found)
        return {"ap": result.ap, "ap50": result.ap50}, found

    def _keep(self, step: int, result: Evaluation, found: list[sv.Detections]) -> None:
        """Write the model beside the best so far; once ``run.json`` names it, the other one is deleted."""
        before = self._run.read_manifest()["best"]
        name = f"ckpt-{1 + (int(before['checkpoint'].rpartition('-')[2]) if before else 0)}"
        self._checkpoint.write(str(self._run.best / name))
        intervals = evaluation.score(self._photos.dataset, found).intervals
        scores = {"ap": result.ap, "ap50": result.ap50, "threshold": result.threshold}
        self._run.update_manifest(
            best={"step": step, **scores, "checkpoint": name},
            best_intervals={score: list(intervals[score]) for score in ("ap", "ap50")},
        )
        for path in self._run.best.iterdir():
            if path.is_file() and path.stem != name and path.name.partition(".")[0] != name:
                path.unlink()


def out_of_patience(rows: Sequence[Row], patience: int) -> bool:
    """Return, and say, whether so many evaluations in a row gave no better AP; a patience of 0 never ends."""
    scored = [row for row in rows if np.isfinite(row.get("ap", np.nan))]
    best = int(np.argmax([row["ap"] for row in scored])) if scored else 0
    since = len(scored) - 1 - best
    if not patience or since < patience:
        return False
    tqdm.write(f"No better AP in {since} evaluations since step {scored[best]['step']:.0f}: ending early.")
    return True
