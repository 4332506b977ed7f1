"""Flipped labels, found again: the share of them that lies within the first tenth of the ranking.

    python benchmarks/label_errors.py [--seeds 2] [--flipped 0.05] [--steps 1200]

Takes the drawn sample of cats and dogs, gives a share of all boxes the other class, in training and validation alike,
trains on what that leaves from scratch as notebook 01 does, and ranks every label of both sets by how much the
detections contradict it. A ranking by chance would find a tenth of the flips.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

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


def run(seed: int, share: float, steps: int, work: Path) -> dict[str, float]:
    """Flip, train, rank; return the shares found in training and validation labels together and apart, and AP50."""
    from tfod_helpers import evaluation, experiment, records, training
    from tfod_helpers.detector import Detector
    from tfod_helpers.exporting import saved_model

    random = np.random.default_rng(seed)
    folder = sources.local("sample")
    train = voc.read(folder / "train")
    parts = {"train": train, "test": voc.read(folder / "test", label_map=train.label_map)}
    flipped = {name: flip(dataset, share, random) for name, dataset in parts.items()}
    written = {name: records.write(dataset, work / "records" / name) for name, (dataset, _) in flipped.items()}
    config = experiment.make(
        "mobilenet_v2_192",
        train=written["train"],
        validation=written["test"],
        image_size=128,
        train_steps=steps,
        weights=None,
    )
    config = experiment.change(config, {"task.train_data.seed": seed})
    training.train(config, work / "run")
    detector = Detector.load(saved_model.export(work / "run", work / "export"))
    both = Dataset((*flipped["train"][0], *flipped["test"][0]), train.label_map)
    marked = flipped["train"][1] | flipped["test"][1]
    result = evaluation.evaluate(detector, both)
    labels = sum(len(image.labels) for image in both)
    ap50 = evaluation.evaluate(detector, parts["test"], resamples=0).ap50
    return {"found": found_share(result.label_errors(), marked, round(FIRST * labels)), "ap50": ap50}


def main() -> None:
    """Run every seed, and print a row for each and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--flipped", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=1200)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as work:
            rows.append(run(seed, options.flipped, options.steps, Path(work)))
        print(
            f"seed {seed}: {rows[-1]['found']:.0%} of the flipped labels within the first tenth; AP50 on the true "
            f"labels of the test photos {rows[-1]['ap50']:.2f}",
            flush=True,
        )
    print(f"mean of {len(rows)}: {statistics.mean(row['found'] for row in rows):.0%}")


if __name__ == "__main__":
    main()
