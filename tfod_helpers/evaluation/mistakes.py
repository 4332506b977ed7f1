"""The mistakes of a detector: counted as a confusion matrix, and one by one, the worst first, each with its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.evaluation.arrays import GroundTruth, Predictions, flatten
from tfod_helpers.evaluation.counting import Ranked, count
from tfod_helpers.evaluation.matching import Pairs, match, overlapping_pairs

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

# The kinds, and the IoU that parts them, are those of TIDE (Bolya and others, 2020), without its "both".
_BACKGROUND, _WRONG_CLASS, _BADLY_PLACED, _DUPLICATE, _MISSED = KINDS = (
    "background",
    "wrong class",
    "badly placed",
    "duplicate",
    "missed",
)
BACKGROUND, MISSED = "(background)", "(missed)"  # the last row and column of a confusion matrix
_HIT, _TOUCH = 0.5, 0.1


def confusion_matrix(
    label_map: LabelMap, truth: GroundTruth, found: Predictions, ranked: Ranked, threshold: float
) -> pd.DataFrame:
    """Count every object and every detection above a threshold once, by its class and its detected class.

    Detections and objects are matched whatever their classes, at IoU 0.50. Detections in a crowd of their class, or
    on a difficult object of it, are left out.

    Args:
        label_map: names the rows and columns.
        truth: the objects.
        found: the detections.
        ranked: the same, as they were counted.
        threshold: the least confidence.
    """
    import pandas as pd

    kept = found[np.sort(ranked.index[~ranked.ignored[0] & (ranked.scores >= threshold)])]
    real = np.flatnonzero(truth.counted)
    partner = match(kept.boxes_xyxy, kept.image, kept.scores, truth.boxes_xyxy[real], truth.image[real], _HIT)
    names, n = list(label_map), len(label_map)
    labels = truth.labels[real]
    rows = np.where(partner >= 0, labels[partner] - 1, n)
    missed = np.setdiff1d(np.arange(len(real)), partner)
    counts = np.zeros((n + 1, n + 1), int)
    np.add.at(counts, (rows, kept.labels - 1), 1)
    np.add.at(counts, (labels[missed] - 1, n), 1)
    return pd.DataFrame(counts, index=[*names, BACKGROUND], columns=[*names, MISSED])


def mistakes(dataset: Dataset, detections: Sequence[sv.Detections], threshold: float) -> pd.DataFrame:
    """Return every false positive and every false negative.

    A false positive is a *duplicate* (of an object that one of higher confidence matches), of the *wrong class* (on
    an object of another), *badly placed* (IoU 0.10 to 0.50 with an object of its class) or on the *background*. An
    object that nothing matches, not even such a detection, is *missed*.

    Args:
        dataset: the images and their ground truth.
        detections: one for each image, in its order.
        threshold: the least confidence of a detection that counts.

    Returns:
        A row a mistake: kind, path, class, confidence (NaN where missed), box_xyxy, truth (the class of the
        object concerned, or empty), truth_box_xyxy (or None), iou, image (its number), and mask and truth_mask, bytes
        as in `LabelledImage`, None where there is none. Of each kind the detections of highest confidence and the
        largest objects first; the kinds take turns.

    Raises:
        ValueError: as `score` raises.
    """
    truth, found = flatten(dataset, detections)
    found = found[found.scores >= threshold]
    ranked = count(truth, found).ranked
    wrong = found[ranked.index[ranked.partner[0] < 0]]
    real = np.flatnonzero(truth.counted)
    pairs = overlapping_pairs(wrong.boxes_xyxy, wrong.image, truth.boxes_xyxy[real], truth.image[real], _TOUCH)
    pairs = Pairs(pairs.detection, real[pairs.object], pairs.iou)
    kinds, partner, iou = _kinds(truth, wrong, pairs)
    taken = np.isin(kinds, (_WRONG_CLASS, _BADLY_PLACED))
    missed = np.setdiff1d(real, [*ranked.partner[0][ranked.right[0]], *partner[taken]])
    return _table(dataset, truth, wrong, kinds, partner, iou, missed)


def _kinds(truth: GroundTruth, wrong: Predictions, pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each false positive's kind, the object concerned or -1, and their overlap."""
    n = len(wrong.labels)
    kinds, partner, iou = np.full(n, _BACKGROUND, object), np.full(n, -1), np.zeros(n)
    same = wrong.labels[pairs.detection] == truth.labels[pairs.object]
    hit = pairs.iou >= _HIT
    # The later a rule stands, the more it says.
    for kind, which in ((_BADLY_PLACED, same & ~hit), (_WRONG_CLASS, ~same & hit), (_DUPLICATE, same & hit)):
        some = pairs[which]
        some = some[np.argsort(some.iou, kind="stable")]  # where indexes repeat the last, the largest, stays
        kinds[some.detection], partner[some.detection], iou[some.detection] = kind, some.object, some.iou
    return kinds, partner, iou


def _masks(codes: np.ndarray | None, which: np.ndarray) -> list[bytes | None]:
    return [None if codes is None or number < 0 else codes[number] for number in which.tolist()]


def _table(
    dataset: Dataset,
    truth: GroundTruth,
    wrong: Predictions,
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
            "kind": [*kinds, *[_MISSED] * len(missed)],
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
    table["mask"] = [*_masks(wrong.masks, np.arange(len(wrong.labels))), *_masks(truth.masks, missed)]
    table["truth_mask"] = _masks(truth.masks, about)
    worth = np.concatenate([wrong.scores, np.prod(side, axis=1) / np.maximum(size, 1)])
    table = table.iloc[np.argsort(-worth, kind="stable")]
    turn = table.groupby("kind").cumcount()
    order = np.lexsort((table["kind"].map(KINDS.index).to_numpy(int), turn.to_numpy()))
    return table.iloc[order].reset_index(drop=True)
