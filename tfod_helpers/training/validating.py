"""The validation of a model under training: its AP, the models that are kept, and whether there is patience left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
from tfod_helpers.training.machines import Machines

Keep = int | Literal["all"]  # how many of the newest evaluated models are kept beside the best


class Validation:
    """Evaluates a model on the validation photos, and keeps the best model and the newest."""

    def __init__(self, model: tf_keras.Model, photos: PhotoSet, run: Run, machines: Machines, keep: Keep = 1) -> None:
        """Prepare for a model.

        Args:
            model: the network that is evaluated and kept.
            photos: the validation photos, looked at by this model.
            run: the run whose ``models/`` and ``run.json`` are written.
            machines: those that look at the photos, of which the first writes.
            keep: how many of the newest models are kept.
        """
        self._checkpoint = tf.train.Checkpoint(model=model)
        self._photos, self._run, self._machines, self._most = photos, run, machines, keep

    def evaluate(self, step: int) -> tuple[dict[str, float], list[sv.Detections]]:
        """Return AP and AP50 of the model as it is now, and what it found; the model is kept."""
        found = self._photos.detect()
        return self._machines.from_first(lambda: self._score(step, found)), found

    def _score(self, step: int, found: list[sv.Detections]) -> dict[str, float]:
        result = evaluation.score(self._photos.dataset, found, resamples=0)
        self._keep(step, result, found)
        return {"ap": result.ap, "ap50": result.ap50}

    def _keep(self, step: int, result: Evaluation, found: list[sv.Detections]) -> None:
        """Write the model beside the others; once ``run.json`` names it, those that are not kept are deleted."""
        manifest = self._run.read_manifest()
        before, best, intervals = manifest.get("models", []), manifest["best"], manifest.get("best_intervals")
        number = 1 + max((int(one["checkpoint"].rpartition("-")[2]) for one in before), default=0)
        scores = {"ap": result.ap, "ap50": result.ap50, "threshold": result.threshold}
        model = {"step": step, **scores, "checkpoint": f"ckpt-{number}"}
        self._checkpoint.write(str(self._run.prefix_of(model)))
        if best is None or result.ap > best["ap"]:
            all_intervals = evaluation.score(self._photos.dataset, found).intervals
            best, intervals = model, {score: list(all_intervals[score]) for score in ("ap", "ap50")}
        others = [one for one in before if one["step"] != step]  # of this step is one that a stopped training made
        newest = others if self._most == "all" else others[max(0, len(others) + 1 - self._most) :]
        models = [one for one in before if one in newest or one == best] + [model]
        self._run.update_manifest(models=models, best=best, best_intervals=intervals)
        names = {one["checkpoint"] for one in models}
        for path in self._run.models.iterdir():
            if path.is_file() and path.name.partition(".")[0] not in names:
                path.unlink()


def out_of_patience(rows: Sequence[Row], patience: int, *, quiet: bool = False) -> bool:
    """Return, and say, whether so many evaluations in a row gave no better AP; a patience of 0 never ends."""
    scored = [row for row in rows if np.isfinite(row.get("ap", np.nan))]
    best = int(np.argmax([row["ap"] for row in scored])) if scored else 0
    since = len(scored) - 1 - best
    if not patience or since < patience:
        return False
    if not quiet:
        tqdm.write(f"No better AP in {since} evaluations since step {scored[best]['step']:.0f}: ending early.")
    return True
