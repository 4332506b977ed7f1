"""A data set, in folds -> detections by models that did not learn from the labels that they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers import evaluation, experiment, records
from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.files import storage
from tfod_helpers.training import detecting, running

if TYPE_CHECKING:
    import supervision as sv
    import tensorflow as tf


def cross_validate(
    preset: str,
    dataset: Dataset,
    folder: storage.AnyPath,
    *,
    folds: int = 2,
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
    **settings: Any,
) -> Evaluation:
    """Train one detector a fold on the photos outside of it, and evaluate what each finds in those of its own fold.

    No model has learned from the labels that it is compared with, so `Evaluation.label_errors` is honest for every
    label; a detector that was trained on a wrong label repeats it. Of each training the last model is taken: the best
    one is chosen by the labels that are to be judged. Called again, it resumes where it stopped.

    Args:
        preset: as for `experiment.make`.
        dataset: all photos whose labels are to be judged.
        folder: for the folds' records and runs; also one of Drive or ``gs://``.
        folds: how many detectors are trained; each learns from all other folds.
        seed: of the folds; see `Dataset.folds`.
        strategy: as for `training.train`.
        settings: what else `experiment.make` takes.

    Returns:
        The detections of all photos against their labels.

    Raises:
        ValueError: too few photos for the folds, or for a class to be in each; or as `experiment.make` raises.
    """
    fold_of = dataset.folds(folds, seed)
    found: dict[int, sv.Detections] = {}
    for fold in range(folds):
        inside = np.flatnonzero(fold_of == fold)
        print(f"Fold {fold + 1} of {folds}: {len(dataset) - len(inside)} photos train, {len(inside)} are judged.")
        parts = {
            name: Dataset(tuple(dataset[number] for number in numbers), dataset.label_map)
            for name, numbers in (("train", np.flatnonzero(fold_of != fold)), ("validation", inside))
        }
        made = {
            name: records.write(part, storage.join(folder, f"records/fold-{fold + 1}-{name}"))
            for name, part in parts.items()
        }
        config = experiment.make(preset, train=made["train"], validation=made["validation"], **settings)
        run = running.train(config, storage.join(folder, f"fold-{fold + 1}"), strategy=strategy).run
        judged = evaluation.evaluate(detecting.detector(run, "last"), parts["validation"], resamples=0)
        found |= zip(inside.tolist(), judged.detections, strict=True)
    return evaluation.score(dataset, [found[number] for number in range(len(dataset))])
