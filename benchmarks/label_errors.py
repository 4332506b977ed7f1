"""Flipped labels, found again: the share of them that lies within the first tenth of a ranking.

    python benchmarks/label_errors.py [--seeds 3] [--flipped 0.05] [--steps 800] [--photos FOLDER]

Takes the drawn sample of cats and dogs, gives a share of all boxes the other class, and ranks every label in three
ways: by a classifier of the boxes (`classifier.wrong_classes`), by detectors from scratch, each on the half of the
photos that it was not trained on (`training.cross_validate`), and by both together. A ranking by chance would find a
tenth of the flips.

``--photos`` takes photos in JPEG and Pascal VOC XML instead, in ``train/`` and ``test/``, and the classifier alone: no
detector is trained. It needs ImageNet's weights, which come from Keras' cache or from ``../shared/weights``.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from asirra import PRESET, keras_home

from tfod_helpers import sources
from tfod_helpers.annotations import Dataset
from tfod_helpers.formats import voc

FIRST = 0.1  # share of the ranking that is looked at


def flip(dataset: Dataset, share: float, random: np.random.Generator) -> tuple[Dataset, set[tuple[str, int]]]:
    """Give a share of the boxes another class; return them as (path, number of the box) too."""
    where = [(n, k) for n, image in enumerate(dataset) for k in range(len(image.labels))]
    chosen = {where[i] for i in random.choice(len(where), max(1, round(share * len(where))), replace=False)}
    images, flipped = [], set()
    for n, image in enumerate(dataset):
        labels = image.labels.copy()
        for k in range(len(labels)):
            if (n, k) in chosen:
                labels[k] = 1 + (labels[k] + random.integers(len(dataset.label_map) - 1)) % len(dataset.label_map)
                flipped.add((str(image.path), k))
        images.append(dataclasses.replace(image, labels=labels))
    return Dataset(tuple(images), dataset.label_map), flipped


def found_share(table: pd.DataFrame, flipped: set[tuple[str, int]], count: int) -> float:
    """Return the share of the flips among the first rows of a ranking."""
    first = table.head(count)
    return len(set(zip(first["path"], first["object"] - 1, strict=True)) & flipped) / len(flipped)


def read(folder: Path) -> Dataset:
    """Return the photos of both parts of a folder."""
    train = voc.read(folder / "train")
    return Dataset((*train, *voc.read(folder / "test", label_map=train.label_map)), train.label_map)


def run(dataset: Dataset, seed: int, share: float, steps: int, work: Path) -> dict[str, float]:
    """Flip, rank; return the share of the flips that each ranking has found, and the classifier's time in seconds.

    Args:
        dataset: photos whose labels are right.
        seed: of the flips, the folds and the training.
        share: of the boxes that are flipped.
        steps: of each detector's training; with 0, none is trained.
        work: an empty folder.
    """
    from tfod_helpers import classifier, evaluation, training

    flipped, which = flip(dataset, share, np.random.default_rng(seed))
    count = round(FIRST * sum(len(image.labels) for image in dataset))
    started = time.perf_counter()
    by_classifier = classifier.wrong_classes(flipped, seed=seed)
    found = {"seconds": time.perf_counter() - started, "classifier": found_share(by_classifier, which, count)}
    if not steps:
        return found
    judged = training.cross_validate(PRESET, flipped, work, seed=seed, image_size=128, train_steps=steps, weights=None)
    by_detector = judged.label_errors()
    together = evaluation.combine_label_errors(by_detector, by_classifier)
    ap50 = evaluation.score(dataset, judged.detections, resamples=0).ap50
    tables = {"detector": by_detector, "together": together}
    return found | {name: found_share(table, which, count) for name, table in tables.items()} | {"ap50": ap50}


def main() -> None:
    """Run every seed, and print a row for each and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--flipped", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--photos", type=Path)
    options = parser.parse_args()
    dataset = read(options.photos or sources.local("sample"))
    rows = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["KERAS_HOME"] = str(keras_home(Path(home)))
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as work:
                steps = 0 if options.photos else options.steps
                rows.append(run(dataset, seed, options.flipped, steps, Path(work)))
            print(f"seed {seed}: {_said(rows[-1])}", flush=True)
    print(f"mean of {len(rows)}: {_said({name: statistics.mean(row[name] for row in rows) for name in rows[0]})}")


def _said(row: dict[str, float]) -> str:
    found = ", ".join(f"{name} {row[name]:.0%}" for name in ("classifier", "detector", "together") if name in row)
    ap50 = f"; the detectors' AP50 on the true labels {row['ap50']:.2f}" if "ap50" in row else ""
    return f"{found} of the flipped labels within the first tenth; the classifier took {row['seconds']:.0f} s{ap50}"


if __name__ == "__main__":
    main()
