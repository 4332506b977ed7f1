"""Truth and detections in the form that pycocotools and other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation.flat import flatten

if TYPE_CHECKING:
    import supervision as sv


def to_coco(dataset: Dataset, detections: Sequence[sv.Detections]) -> tuple[dict, list[dict]]:
    """Return truth and detections as COCO's ground truth and results, boxes as ``[x, y, width, height]``.

    Image ids are 1, 2, 3, ... in the dataset's order, category ids the label map's.

    Args:
        dataset: the images and the truth.
        detections: one for each image, in its order.

    Raises:
        ValueError: as `score` raises.
    """
    truth, found = flatten(dataset, detections)
    objects = [
        {"image_id": image + 1, "category_id": label, **_placed(box_xyxy), "iscrowd": int(crowd)}
        for image, label, box_xyxy, crowd in zip(
            truth.image.tolist(), truth.labels.tolist(), truth.boxes_xyxy.tolist(), truth.crowd, strict=True
        )
    ]
    results = [
        {"image_id": image + 1, "category_id": label, "bbox": _placed(box_xyxy)["bbox"], "score": score}
        for image, label, box_xyxy, score in zip(
            found.image.tolist(), found.labels.tolist(), found.boxes_xyxy.tolist(), found.scores.tolist(), strict=True
        )
    ]
    ground_truth = {
        "info": [],
        "images": [{"id": n, "width": i.width, "height": i.height} for n, i in enumerate(dataset, start=1)],
        "categories": [{"id": dataset.label_map.id(name), "name": name} for name in dataset.label_map],
        "annotations": [{"id": n, **one} for n, one in enumerate(objects, start=1)],
    }
    return ground_truth, results


def _placed(box_xyxy: list[float]) -> dict[str, object]:
    xmin, ymin, xmax, ymax = box_xyxy
    return {"bbox": [xmin, ymin, xmax - xmin, ymax - ymin], "area": (xmax - xmin) * (ymax - ymin)}
