"""A dataset -> COCO JSON, a file a split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.formats.format import Splits

FILE_NAME = "_annotations.coco.json"  # as Roboflow calls it, which most programs take up


def write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    """Write a COCO file for each split, as `Format.write_annotations` does."""
    for split, images in splits.items():
        text = json.dumps(_to_coco(images, label_map), ensure_ascii=False, indent=1)
        (folder / split / FILE_NAME).write_text(text + "\n", encoding="utf-8", errors="surrogateescape")


def _to_coco(images: Sequence[LabelledImage], label_map: LabelMap) -> dict[str, Any]:
    annotations = [one for number, image in enumerate(images, start=1) for one in _annotations(image, number)]
    return {
        "info": {"description": "written by tfod_helpers"},
        "images": [
            {"id": number, "file_name": image.path.name, "width": image.width, "height": image.height}
            for number, image in enumerate(images, start=1)
        ],
        "annotations": [{"id": number} | one for number, one in enumerate(annotations, start=1)],
        "categories": [{"id": id, "name": name} for id, name in zip(label_map.ids, label_map, strict=True)],
    }


def _annotations(image: LabelledImage, image_id: int) -> Iterator[dict[str, Any]]:
    from pycocotools import mask as coder

    # In float64 the difference of two float32 is exact, so that adding it again gives the same float32.
    boxes_xyxy = image.boxes_xyxy.astype(np.float64)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    outlines: list[Any] = [[] for _ in boxes_xyxy]
    if image.masks:
        outlines = [{"size": [image.height, image.width], "counts": mask.decode()} for mask in image.masks]
        areas = np.array([coder.area(outline) for outline in outlines], float)
    areas = image.areas_or(areas)
    for number, (xmin, ymin, xmax, ymax) in enumerate(boxes_xyxy.tolist()):
        yield {
            "image_id": image_id,
            "category_id": int(image.labels[number]),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            "area": float(areas[number]),
            "iscrowd": int(image.crowd[number]),
            "segmentation": outlines[number],
        } | ({"difficult": 1} if image.difficult[number] else {})
