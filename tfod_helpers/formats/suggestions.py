"""``suggestions.json``: what a detector suggested for the photos of a written folder, beside the files of any format.

No format of labelling tools says which labels a person has seen. So `formats.write` writes beside them, for each photo
that holds suggestions::

    {"photos": [{"photo": "train/cat.jpg", "size": [640, 480], "classes": ["cat"],
                 "boxes_xyxy": [[12.5, 30.1, 200.2, 310.0]], "scores": [0.87]}]}

and reading a folder with that file makes the labels of a photo suggestions again, as long as they are what was
suggested, to a fiftieth of a pixel. What a person has changed is the person's. The file may also be copied into the
folder that a tool exported: photos are known by their names.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, coordinate_text
from tfod_helpers.formats import parsing
from tfod_helpers.formats.checking import WITHOUT_OBJECTS
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Suggested
from tfod_helpers.photos.folder import folded

FILE_NAME = "suggestions.json"
_ABOVE = 2  # folders above photos and annotations: YOLO's are in labels/train
_ROUNDING = 0.02  # pixels: CVAT writes two digits after the point
_FIX = "Bring back the file that was written; or delete it, if a person has looked at every photo."


def write(splits: Mapping[str, Sequence[LabelledImage]], label_map: LabelMap, folder: Path) -> int:
    """Write the file for those of a folder's photos that hold suggestions, if any, and return how many these are."""
    photos = [
        {
            "photo": f"{split}/{image.path.name}".removeprefix("/"),
            "size": [image.width, image.height],
            "classes": [label_map.name(label) for label in image.labels.tolist()],
            "boxes_xyxy": [[float(coordinate_text(side)) for side in box_xyxy] for box_xyxy in image.boxes_xyxy],
            "scores": [float(coordinate_text(score)) for score in image.scores],
        }
        for split, images in splits.items()
        for image in images
        if image.scores is not None
    ]
    if photos:
        text = json.dumps({"photos": photos}, ensure_ascii=False, indent=1)
        (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8", errors="surrogateescape")
    return len(photos)


def find(parts: Sequence[Part]) -> Suggested:
    """Return what the files beside, or above, the parts of a data set say, by the photos' folded names.

    Raises:
        DatasetError: one of the files holds something else.
    """
    bases = [base.absolute() for part in parts for base in (part.annotations, part.images)]
    places = [place for base in bases for place in (base, *base.parents[:_ABOVE])]
    found: Suggested = {}
    for path in (place / FILE_NAME for place in dict.fromkeys(places)):
        if path.is_file():
            for raw, scores in _read(path):
                found.setdefault(folded(raw.filename), []).append((raw, scores))
    return found


def marked(dataset: Dataset, suggested: Suggested) -> Dataset:
    """Return a dataset in which the photos whose labels are what was suggested have their scores again."""
    images = []
    for image in dataset:
        for raw, scores in suggested.get(folded(image.path.name), ()):
            order = _order(image, dataset.label_map, raw)
            if order is not None:
                image = dataclasses.replace(image, scores=np.array(scores, np.float32)[order])
                break
        images.append(image)
    waiting = {str(image.path) for image in images if image.scores is not None}
    # One without a box is not background yet.
    problems = (one for one in dataset.problems if one.kind != WITHOUT_OBJECTS or one.photo not in waiting)
    return Dataset(tuple(images), dataset.label_map, tuple(problems))


def _order(image: LabelledImage, label_map: LabelMap, raw: RawImage) -> list[int] | None:
    """Return which suggestion each label is; None where they are not the same."""
    if len(image.labels) != len(raw.objects) or not image.counted.all():
        return None
    left = list(range(len(raw.objects)))
    order = []
    for label, box_xyxy in zip(image.labels.tolist(), image.boxes_xyxy.astype(float), strict=True):
        name = label_map.name(label)
        same = (at for at in left if raw.objects[at].name == name and _are_near(raw.objects[at], box_xyxy))
        if (at := next(same, None)) is None:
            return None
        left.remove(at)
        order.append(at)
    return order


def _are_near(item: RawObject, box_xyxy: np.ndarray) -> bool:
    return bool(np.abs(np.array(item.coordinates, float) - box_xyxy).max() <= _ROUNDING)


def _read(path: Path) -> list[tuple[RawImage, list[float]]]:
    data = parsing.load(path, ".json", parsing.parse_json)
    photos = parsing.mapping(data).get("photos")
    found = [*map(_entry, photos)] if isinstance(photos, list) else [None]
    if None in found:
        raise parsing.refused(path, "it does not hold suggestions as formats.write writes them", _FIX)
    return [one for one in found if one is not None]


def _entry(item: Any) -> tuple[RawImage, list[float]] | None:
    """Return what was suggested for a photo, and the confidences; None where it cannot be used."""
    try:
        names, boxes_xyxy, scores = (item[key] for key in ("classes", "boxes_xyxy", "scores"))
        numbers = np.array(boxes_xyxy, float).reshape(len(names), 4)
        width, height = map(int, item["size"])
        confidences = np.array(scores, float).reshape(len(names))
        objects = [
            RawObject(f"box {number}", str(name), box_xyxy)
            for number, (name, box_xyxy) in enumerate(zip(names, numbers.tolist(), strict=True), start=1)
        ]
        right = np.isfinite(numbers).all() and ((confidences >= 0) & (confidences <= 1)).all()
        name = str(item["photo"]).rpartition("/")[2]
        raw = RawImage(FILE_NAME, filename=name, size=(width, height), objects=objects)
    except (KeyError, TypeError, ValueError):
        return None
    return (raw, confidences.tolist()) if right else None
