"""The mistakes of a detector, one by one, the worst first, each with the sort of mistake that it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation.assigning import Pairs, overlapping
from tfod_helpers.evaluation.counting import count
from tfod_helpers.evaluation.flat import Found, Truth, flatten

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

# The kinds, and the IoU that parts them, are those of TIDE (Bolya and others, 2020), without its "both".
BACKGROUND, WRONG_CLASS, BADLY_PLACED, DUPLICATE, MISSED_OBJECT = KINDS = (
    "background",
    "wrong class",
    "badly placed",
    "duplicate",
    "missed",
)
_HIT, _TOUCH = 0.5, 0.1


def mistakes(dataset: Dataset, detections: Sequence[sv.Detections], threshold: float) -> pd.DataFrame:
    """Return every false positive and every miss.

    A wrong detection is a *duplicate* (of an object that a surer one found), of the *wrong class* (on an
    object of another), *badly placed* (IoU 0.10 to 0.50 with an object of its class) or on the *background*.
    An object that nothing found, also no such wrong detection, is *missed*.

    Args:
        dataset: the images and the truth.
        detections: one for each image, in its order.
        threshold: the least confidence of a detection that counts.

    Returns:
        A row a mistake: kind, path, class, confidence (NaN where missed), box_xyxy, truth (the class of the
        object concerned, or empty), truth_box_xyxy (or None), iou, image (its number). Of each kind the surest
        detections and the largest objects first; the kinds take turns.

    Raises:
        ValueError: as `score` raises.
    """
    truth, found = flatten(dataset, detections)
    found = found[found.scores >= threshold]
    ranked = count(truth, found).ranked
    wrong = found[ranked.index[ranked.partner[0] < 0]]
    real = np.flatnonzero(~truth.crowd)
    pairs = overlapping(wrong.boxes_xyxy, wrong.image, truth.boxes_xyxy[real], truth.image[real], _TOUCH)
    pairs = Pairs(pairs.found, real[pairs.truth], pairs.iou)
    kinds, partner, iou = _kinds(truth, wrong, pairs)
    taken = np.isin(kinds, (WRONG_CLASS, BADLY_PLACED))
    missed = np.setdiff1d(real, [*ranked.partner[0][ranked.right[0]], *partner[taken]])
    return _table(dataset, truth, wrong, kinds, partner, iou, missed)


def _kinds(truth: Truth, wrong: Found, pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each wrong detection's kind, the object concerned or -1, and their overlap."""
    n = len(wrong.labels)
    kinds, partner, iou = np.full(n, BACKGROUND, object), np.full(n, -1), np.zeros(n)
    same = wrong.labels[pairs.found] == truth.labels[pairs.truth]
    hit = pairs.iou >= _HIT
    # The later a rule stands, the more it says.
    for kind, which in ((BADLY_PLACED, same & ~hit), (WRONG_CLASS, ~same & hit), (DUPLICATE, same & hit)):
        some = pairs[which]
        some = some[np.argsort(some.iou, kind="stable")]  # where indexes repeat the last, the largest, stays
        kinds[some.found], partner[some.found], iou[some.found] = kind, some.truth, some.iou
    return kinds, partner, iou


def _table(
    dataset: Dataset,
    truth: Truth,
    wrong: Found,
    kinds: np.ndarray,
    partner: np.ndarray,
    iou: np.ndarray,
    missed: np.ndarray,
) -> pd.DataFrame:
    import pandas as pd

    names = np.array(["", *dataset.label_map], object)
    side = truth.boxes_xyxy[missed, 2:] - truth.boxes_xyxy[missed, :2]
    size = np.array([dataset[int(n)].width * dataset[int(n)].height for n in truth.image[missed]])
    about = np.concatenate([partner, missed])
    image = np.concatenate([wrong.image, truth.image[missed]])
    table = pd.DataFrame(
        {
            "kind": [*kinds, *[MISSED_OBJECT] * len(missed)],
            "path": [str(dataset[int(n)].path) for n in image],
            "class": names[np.concatenate([wrong.labels, truth.labels[missed]])],
            "confidence": [*wrong.scores, *[np.nan] * len(missed)],
            "box_xyxy": list(map(tuple, [*wrong.boxes_xyxy.tolist(), *truth.boxes_xyxy[missed].tolist()])),
            "truth": names[np.where(about >= 0, truth.labels[about], 0)],
            "truth_box_xyxy": [tuple(truth.boxes_xyxy[n].tolist()) if n >= 0 else None for n in about],
            "iou": [*iou, *[0.0] * len(missed)],
            "image": image,
        }
    )
    worth = np.concatenate([wrong.scores, np.prod(side, axis=1) / np.maximum(size, 1)])
    table = table.iloc[np.argsort(-worth, kind="stable")]
    turn = table.groupby("kind").cumcount()
    order = np.lexsort((table["kind"].map(KINDS.index).to_numpy(int), turn.to_numpy()))
    return table.iloc[order].reset_index(drop=True)
