"""A dataset -> Label Studio's tasks, to be imported there, and the labeling interface that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from lxml import etree

from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.formats.format import Splits

FILE_NAME, INTERFACE = "tasks.json", "labeling_interface.xml"
_IMAGE, _LABELS = "image", "label"  # the tags of the interface, and the image's key in a task
_MODEL = "tfod_helpers"


def write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    """Write the tasks of each split and the interface, as `Format.write_annotations` does."""
    for split, images in splits.items():
        place = quote(f"{name}/{split}".rstrip("/"))
        tasks = [_to_task(image, label_map, f"/data/local-files/?d={place}") for image in images]
        text = json.dumps(tasks, ensure_ascii=False, indent=1)
        (folder / split / FILE_NAME).write_text(text + "\n", encoding="utf-8", errors="surrogateescape")
    (folder / INTERFACE).write_bytes(_to_interface(label_map))


def _to_task(image: LabelledImage, label_map: LabelMap, place: str) -> dict[str, Any]:
    """Return a photo's task: a person's labels as an annotation, a detector's as a prediction."""
    task: dict[str, Any] = {"data": {_IMAGE: f"{place}/{quote(image.path.name, errors='surrogateescape')}"}}
    result = list(_regions(image, label_map))
    if image.scores is None:
        return task | {"annotations": [{"result": result}]}
    # Label Studio sorts by it, so that the photos with the least sure boxes can be looked at first.
    score = float(image.scores.min(initial=1.0))
    return task | {"predictions": [{"model_version": _MODEL, "score": score, "result": result}]}


def _regions(image: LabelledImage, label_map: LabelMap) -> Iterator[dict[str, Any]]:
    # In float64 with all its digits, so that reading gives the same float32 back.
    percent_xyxy = image.boxes_xyxy.astype(np.float64) / np.tile([image.width, image.height], 2) * 100
    for number, (xmin, ymin, xmax, ymax) in enumerate(percent_xyxy.tolist()):
        value = {"x": xmin, "y": ymin, "width": xmax - xmin, "height": ymax - ymin, "rotation": 0}
        region = {
            "id": f"{number + 1}",
            "type": "rectanglelabels",
            "from_name": _LABELS,
            "to_name": _IMAGE,
            "original_width": image.width,
            "original_height": image.height,
            "image_rotation": 0,
            "value": value | {"rectanglelabels": [label_map.name(int(image.labels[number]))]},
        }
        yield region if image.scores is None else region | {"score": float(image.scores[number])}


def _to_interface(label_map: LabelMap) -> bytes:
    view = etree.Element("View")
    etree.SubElement(view, "Image", name=_IMAGE, value=f"${_IMAGE}")
    labels = etree.SubElement(view, "RectangleLabels", name=_LABELS, toName=_IMAGE)
    for name in label_map:
        etree.SubElement(labels, "Label", value=name)
    return etree.tostring(view, encoding="utf-8", pretty_print=True)
