"""evaluation, Pascal VOC's AP: what its development kit would count, at every recall and by its rule of matching."""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import detections, made_up, one_image

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelMap

CAT = LabelMap(["cat"])
# The example of Padilla and others (A Comparative Analysis of Object Detection Metrics, 2021): boxes as x, y, width,
# height, of cats and of what was found, with the confidence. Published: 89.58 % at every point.
PUBLISHED = [
    ([[1, 49, 340, 450]], [[12, 44, 332, 437, 0.94]]),
    ([], [[220, 344, 180, 87, 0.85]]),
    ([[160, 1, 288, 374]], [[166, 0, 311, 365, 0.95]]),
    ([[28, 1, 307, 495]], [[49, 7, 269, 493, 0.92]]),
    ([[40, 4, 444, 366]], [[6, 55, 489, 347, 0.95]]),
    ([[170, 44, 289, 207], [72, 123, 315, 211]], [[65, 74, 305, 257, 0.81]]),
    ([[60, 123, 160, 182], [243, 105, 194, 212]], [[67, 117, 162, 187, 0.86], [281, 109, 163, 211, 0.76]]),
    ([[1, 16, 351, 256], [130, 139, 370, 227]], [[7, 9, 342, 256, 0.89], [151, 123, 352, 252, 0.82]]),
    ([[34, 1, 247, 282]], [[29, 0, 239, 287, 0.99]]),
    ([[1, 39, 247, 261]], [[47, 43, 179, 255, 0.98]]),
]


def by_the_kit(dataset: Dataset, found: list[sv.Detections], class_id: int) -> float:
    """AP of a class, step by step as VOCevaldet.m and VOCap.m describe it, and by nothing of this project."""
    boxes = {n: image.boxes_xyxy[image.labels == class_id].tolist() for n, image in enumerate(dataset)}
    difficult = {n: image.difficult[image.labels == class_id].tolist() for n, image in enumerate(dataset)}
    taken = {n: [False] * len(one) for n, one in boxes.items()}
    everything = [
        (float(score), n, box)
        for n, one in enumerate(found)
        for score, label, box in zip(one.confidence, one.class_id, one.xyxy.tolist(), strict=True)
        if label == class_id
    ]
    right, wrong = [], []
    for _, n, box in sorted(everything, key=lambda one: -one[0]):
        overlaps = [overlap(box, other) for other in boxes[n]]
        most = max(overlaps, default=0)
        at = overlaps.index(most) if most >= 0.5 else None
        left_out = at is not None and difficult[n][at]
        hit = at is not None and not left_out and not taken[n][at]
        right.append(hit)
        wrong.append(not hit and not left_out)
        if hit:
            taken[n][at] = True
    objects = sum(not one for several in difficult.values() for one in several)
    recall = np.concatenate([[0], np.cumsum(right) / objects, [1]])
    precision = np.concatenate([[0], np.cumsum(right) / np.maximum(np.cumsum(right) + np.cumsum(wrong), 1e-9), [0]])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    (steps,) = np.nonzero(recall[1:] != recall[:-1])
    return float(((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum())


def overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(high, 0)
    return both / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)) - both)


@pytest.mark.parametrize("difficult", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_is_what_the_kit_counts(seed: int, difficult: float) -> None:
    """Each class and the mean are those of an independent count, with difficult objects and without."""
    dataset, found = made_up(seed, images=40, classes=4, objects=5)
    random = np.random.default_rng(seed)
    images = [one_image(i.boxes_xyxy, i.labels, difficult=random.random(len(i.labels)) < difficult) for i in dataset]
    dataset = Dataset(tuple(images), dataset.label_map)
    result = evaluation.score(dataset, found, resamples=0)
    expected = [by_the_kit(dataset, found, class_id) for class_id in (1, 2, 3)]
    assert result.per_class["voc_ap50"].tolist()[:3] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(result.per_class["voc_ap50"].iloc[3])  # the class without an object
    assert result.voc_ap50 == pytest.approx(np.mean(expected), abs=1e-9)
    assert 0.2 < result.voc_ap50 < 0.9
    assert result.voc_ap50 == pytest.approx(result.ap50, abs=0.02)
    assert result.voc_ap50 != result.ap50


def test_is_what_was_published_of_an_example() -> None:
    """Twelve cats and twelve detections give 0.8958 by every point, and COCO's AP50 another number."""
    truth, found = [], []
    for cats, seen in PUBLISHED:
        cats, seen = np.reshape(cats, (-1, 4)), np.array(seen)
        truth.append(one_image(np.hstack([cats[:, :2], cats[:, :2] + cats[:, 2:]]), [1] * len(cats)))
        boxes_xyxy = np.hstack([seen[:, :2], seen[:, :2] + seen[:, 2:4]])
        found.append(detections(boxes_xyxy, [1] * len(seen), seen[:, 4]))
    result = evaluation.score(Dataset(tuple(truth), CAT), found, resamples=0)
    assert result.voc_ap50 == pytest.approx(0.8958, abs=5e-5)
    assert result.ap50 == pytest.approx(0.8903, abs=5e-5)


def test_a_detection_has_its_own_object_and_no_other() -> None:
    """The second detection of an object is wrong, also where it overlaps another one by half, which COCO gives it."""
    image = one_image([[0, 0, 100, 100], [30, 0, 130, 100]], [1, 1])
    both = detections([[0, 0, 100, 100], [10, 0, 110, 100]], [1, 1], [0.9, 0.8])
    result = evaluation.score(Dataset((image,), CAT), [both], resamples=0)
    assert result.ap50 == pytest.approx(1)
    assert result.voc_ap50 == pytest.approx(0.5)


def test_every_recall_counts_and_not_a_hundred() -> None:
    """One of three objects found, and nothing else: a third, where COCO's 101 points say 34 of 101."""
    image = one_image([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [1, 1, 1])
    result = evaluation.score(Dataset((image,), CAT), [detections([[0, 0, 10, 10]], [1], [0.9])], resamples=0)
    assert result.voc_ap50 == pytest.approx(1 / 3)
    assert result.ap50 == pytest.approx(34 / 101)
    assert "\nPascal VOC's AP (every point, IoU 0.50): 0.33" in str(result)


def test_more_than_a_hundred_detections_and_crowds() -> None:
    """Detections beyond COCO's hundred count; in a crowd they are neither right nor wrong."""
    box_xyxy = [0, 0, 100, 100]
    image = one_image([[300, 300, 400, 400], box_xyxy], [1, 1], crowd=[False, True])
    found = detections(
        [*[[200, 0, 210, 10]] * 110, [300, 300, 400, 400], *[[10, 10, 50, 50]] * 9], [1] * 120, [0.9] * 120
    )
    result = evaluation.score(Dataset((image,), CAT), [found], resamples=0)
    assert result.ap50 == 0
    assert result.voc_ap50 == pytest.approx(1 / 111)
