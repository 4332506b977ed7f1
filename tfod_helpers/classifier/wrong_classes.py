"""A detection data set -> its boxes whose class looks wrong, before any detector is trained.

A classifier looks at what is in each box. It is trained in folds: what it says of a box it learned from other photos,
and near-duplicates of the photo are not among them.

Measured: of 5 % of the boxes, given the other class, the share within the first tenth of the ranking (a ranking by
chance finds a tenth of them), mean of three seeds.

=================================  =========================  =============
what is known before               1,100 photos, cats, dogs   drawn animals
=================================  =========================  =============
ImageNet (MobileNetV2, 0.35)       .98                        1.00
nothing: outlines alone            .48                        .99
a network with random values       .10                        .07
=================================  =========================  =============
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset
from tfod_helpers.classifier import backbones, features, looked_at, out_of_fold, outlines
from tfod_helpers.files import workers as workers_

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

_FEWEST = 5  # boxes of a class that can be judged
_FAINT = 0.01  # a class less probable is not worth a row


def wrong_classes(
    dataset: Dataset,
    *,
    backbone: str | None = "mobilenet_v2",
    folds: int = 5,
    seed: int = 0,
    workers: int | None = None,
) -> pd.DataFrame:
    """Rank every box by how probably its class is wrong, from what is in it: no detector is needed.

    Where the network cannot be had, since TensorFlow or ImageNet's weights are missing, a line says so, and boxes are
    judged by their outlines alone. That finds what differs in shape, and much less in real photos. Where there is
    nothing to compare, with one class alone or with few photos, no box is judged, and a line says why.

    Args:
        dataset: the photos and their boxes. Boxes of a crowd, difficult ones, and those of a class with fewer than five
            are left out; a line says of which classes.
        backbone: one of `backbones.NETWORKS`, with ImageNet's weights; None judges by outlines, without TensorFlow.
        folds: what is said of a box is learned from all folds of the photos but its own.
        seed: of the folds.
        workers: how many photos are read at once; None takes one a core.

    Returns:
        The columns of `evaluation.label_errors`, the most suspicious first; ``confidence`` is the probability of the
        class ``detected``. `pictures.show_label_errors` shows them, and `evaluation.combine_label_errors`
        adds what a detector says. It has no rows where no box is judged.

    Raises:
        ValueError: fewer than two folds, or no such backbone.
        photos.PhotoError: a photo cannot be read. `checks.check` finds all of these.
        DatasetError: images hold a detector's suggestions that nobody has confirmed.
    """
    import supervision as sv

    dataset.refuse_unconfirmed("dataset", "what a class is judged by")
    try:
        fold_of = dataset.folds(folds, seed)
        judged, names = _judged(dataset, fold_of)
    except ValueError as reason:
        if folds < 2:
            raise
        print(f"No box is judged. {reason}")
        return evaluation.label_errors(dataset, [sv.Detections.empty()] * len(dataset)).head(0)
    views = _views(dataset, judged, backbone, workers)
    of_image = np.repeat(np.arange(len(dataset)), [int(which.sum()) for which in judged])
    ids = np.concatenate([image.labels[which] for image, which in zip(dataset, judged, strict=True)])
    classes, labels = np.unique(ids, return_inverse=True)
    found = out_of_fold.probabilities(views, labels, fold_of[of_image])
    table = evaluation.label_errors(dataset, _as_detections(dataset, judged, classes, found))
    return table[table["label"].isin(names)].reset_index(drop=True)


def _judged(dataset: Dataset, fold_of: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    """Return which boxes of each image are judged, bool of shape (n,) each, and the classes that these have."""
    kept: list[int] = []
    rare: list[str] = []
    for id, name in zip(dataset.label_map.ids, dataset.label_map, strict=True):
        boxes = [int((image.labels[image.counted] == id).sum()) for image in dataset]
        if sum(boxes) >= _FEWEST and len(set(fold_of[np.flatnonzero(boxes)])) > 1:
            kept.append(id)
        elif sum(boxes):
            rare.append(f"{name} ({sum(boxes)})")
    if len(kept) < 2:
        known = ", ".join(f"{name} {count}" for name, count in dataset.counts().items()) or "none"
        raise ValueError(
            f"A wrong class is told from another one, so two classes need {_FEWEST} boxes each, in photos that do not "
            f"look the same. The boxes here: {known}. Label more."
        )
    if rare:
        print(f"Too few boxes to be judged, in photos that do not look the same: {', '.join(rare)}.")
    judged = [image.counted & np.isin(image.labels, kept) for image in dataset]
    return judged, [dataset.label_map.name(id) for id in kept]


def _views(dataset: Dataset, judged: list[np.ndarray], backbone: str | None, workers: int | None) -> list[np.ndarray]:
    """Return the features of all judged boxes, shape (n, m), in one or more views."""

    def pictures(number: int, side: int) -> np.ndarray:
        return looked_at.squares(dataset[number], side, judged[number])

    if backbone is not None:
        network = _network(backbone)
        if isinstance(network, backbones.Backbone):
            read = functools.partial(pictures, side=network.side)
            return [features.extract(network, range(len(dataset)), read, title="Looking at boxes", workers=workers)]
        print(f"Boxes are judged by their outlines alone, which finds much less in real photos. {network}")

    def described(number: int) -> tuple[np.ndarray, np.ndarray]:
        squares = pictures(number, outlines.SIDE)
        return outlines.describe(squares), outlines.describe(squares[:, :, ::-1])

    both = list(workers_.in_order(described, range(len(dataset)), workers=workers))
    return [np.concatenate(view) for view in zip(*both, strict=True)]


def _network(name: str) -> backbones.Backbone | str:
    """Return a network that knows ImageNet, or why there is none."""
    try:
        return backbones.make(name, or_random=False)
    except ImportError as error:
        return f"There is no TensorFlow here ({error}): pip install 'tfod_helpers[train]' brings it."
    except OSError as error:
        return str(error)


def _as_detections(
    dataset: Dataset, judged: list[np.ndarray], classes: np.ndarray, found: np.ndarray
) -> list[sv.Detections]:
    """Return probabilities in the form of detections: on each box one of every class that is not improbable."""
    import supervision as sv

    detections: list[sv.Detections] = []
    start = 0
    for image, which in zip(dataset, judged, strict=True):
        boxes_xyxy = image.boxes_xyxy[which]
        mine = found[start : start + len(boxes_xyxy)]
        start += len(boxes_xyxy)
        box, place = np.nonzero(mine >= _FAINT)
        detections.append(
            sv.Detections(xyxy=boxes_xyxy[box], confidence=mine[box, place], class_id=classes[place].astype(int))
        )
    return detections
