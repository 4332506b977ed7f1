"""A training set, in parts -> how AP grows with the number of photos: would more labels help?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers import experiment, records, training
from tfod_helpers.annotations import Dataset
from tfod_helpers.files import storage
from tfod_helpers.records import Records

if TYPE_CHECKING:
    import pandas as pd
    import tensorflow as tf

FRACTIONS = (0.25, 0.5, 0.75, 1.0)


def measure(
    preset: str,
    train: Dataset,
    validation: Records,
    folder: storage.AnyPath,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Train on growing parts of a training set, and evaluate each model on the same photos.

    Each part holds the smaller ones, and of each class about its share. Called again, it resumes where it stopped.

    Args:
        preset: as for `experiment.make`.
        train: the whole training set.
        validation: the records to evaluate on.
        folder: for the parts' records and runs; also one of Drive or ``gs://``.
        fractions: sizes of the parts, as shares of the training set.
        seed: of the random parts.
        strategy: as for `training.train`.
        settings: what else `experiment.make` takes.

    Returns:
        A row a part: images, ap, ap_low, ap_high, ap50, ap50_low, ap50_high (95 % intervals over the validation
        photos). `pictures.plot_learning_curve` draws it, and `evaluation.would_more_help` says whether more
        labels would help.

    Raises:
        ValueError: a fraction is not above 0 and at most 1, or a part lacks a class.
    """
    import pandas as pd

    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise ValueError(f"fractions must be above 0 and at most 1, got {list(fractions)}.")
    rows = []
    for fraction in sorted(fractions):
        part = part_of(train, fraction, seed)
        print(f"{len(part)} of {len(train)} training photos:")
        made = records.write(part, storage.join(folder, f"records/train-{len(part)}"))
        config = experiment.make(preset, train=made, validation=validation, **settings)
        run = training.train(config, storage.join(folder, f"photos-{len(part)}"), strategy=strategy).run
        rows.append({"images": len(part)} | _scores(run.read_manifest()))
    return pd.DataFrame(rows)


def part_of(dataset: Dataset, fraction: float, seed: int = 0) -> Dataset:
    """Return a share of a dataset's images, the same whenever asked; a larger share holds every smaller one.

    Args:
        dataset: the whole.
        fraction: above 0 and at most 1.
        seed: of the random images.
    """
    random = np.random.default_rng(seed)
    groups: dict[int, list[int]] = {}
    for number, image in enumerate(dataset):  # by the rarest class that each shows
        counts = [(np.count_nonzero(image.labels == label), label) for label in set(image.labels.tolist())]
        groups.setdefault(min(counts, default=(0, 0))[1], []).append(number)
    chosen: list[int] = []
    for label in sorted(groups):
        order = random.permutation(groups[label])
        chosen += order[: max(1, round(len(order) * fraction))].tolist()
    return Dataset(tuple(dataset[number] for number in sorted(chosen)), dataset.label_map)


def _scores(manifest: dict[str, Any]) -> dict[str, float]:
    row: dict[str, float] = {}
    for name in ("ap", "ap50"):
        low, high = manifest["best_intervals"][name]
        row |= {name: manifest["best"][name], f"{name}_low": low, f"{name}_high": high}
    return row
