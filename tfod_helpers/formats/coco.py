"""COCO JSON: one file with lists of images, annotations and categories, as COCO, Roboflow, CVAT and others write it.

A box is ``[x, y, width, height]`` in pixels. https://cocodataset.org/#format-data describes the format,
and https://cocodataset.org/#format-results the list of detections that `read_results` takes.

The classes keep the order of their ids and are numbered from 1. A category that is never used and that has the id 0, as
Roboflow writes it, or is called background, is no class. Without annotations, `read` takes all COCO files of the data
set, in the folder, in its ``annotations`` or in its split folders, and looks for the photos by their names. Of COCO's
own archive the files with captions, key points and the like are left out, with a note. Ids may be numbers or texts, and
an object without a box gets the one around its outline. With the option ``masks=True`` the outlines (polygons or
run-length encoding) are kept as masks; where an object has none, its box is its mask.

COCO itself knows no difficult objects. An annotation's ``difficult``, or CVAT's ``attributes.difficult``, is read as
such, and `write` adds ``"difficult": 1`` to them, which other programs pass over.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.formats import coco_results, one_file, parsing
from tfod_helpers.formats.coco_file import LISTS, CocoFile, corners, key_of, outline_fault, outline_of, shown_id
from tfod_helpers.formats.format import Format, Splits
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_difficult
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import Problem, refused

FILE_NAME = "_annotations.coco.json"  # as Roboflow calls it, which most programs take up
# Files of the COCO archives that say other things of the photos that instances_train2017.json is about.
_OTHER_TASK = re.compile(r"(captions|person_keypoints|panoptic|stuff|image_info|densepose)(_.*)?", re.IGNORECASE)


def _is_ours(path: Path) -> bool:
    data = parsing.beginning_of_json(path)
    if not isinstance(data, dict):
        return False
    entries: list[Any] = next((data[name] for name in LISTS if isinstance(data.get(name), list) and data[name]), [{}])
    known = {"file_name", "image_id", "supercategory"} & set(entries[0] if isinstance(entries[0], dict) else ())
    return bool(known) or sum(isinstance(data.get(name), list) for name in LISTS) >= 2


def _sources(parts: Sequence[Part], reading: Reading, *, masks: bool = False) -> Iterator[Source]:
    files = {part.annotations for part in parts}
    for part in parts:
        other = _OTHER_TASK.fullmatch(part.annotations.stem)
        main = part.annotations.with_name(f"instances{other[2] or ''}.json") if other else None
        problems: list[Problem] = []
        file = CocoFile(part.annotations, problems) if main not in files else None
        why = file.without_boxes if file else f"{main and main.name} has the boxes of its photos"
        if why and len(files) == 1:
            raise refused(part.annotations, why, "Give the file with the boxes.", where=part.annotations.name)
        if why or file is None:
            left, kind = "Left out.", "file left out"
            reading.problems.append(
                Problem(where=part.annotations.name, what=why, fix=left, severity="note", kind=kind)
            )
            continue
        reading.problems += problems
        reading.classes = [*dict.fromkeys((*reading.classes, *file.classes))]
        photos, _ = one_file.with_photos(part, parts, functools.partial(_names, file), iter)
        yield Source(photos, file.items, functools.partial(_raw_image, file, masks), part.split)


def _names(file: CocoFile, photos: PhotoFolder) -> list[tuple[str, str]]:
    return [(name, "") for name in file.filenames.values()]


def _raw_image(
    file: CocoFile, with_masks: bool, item: tuple[Any, dict[str, Any], Sequence[tuple[int, Any]]]
) -> RawImage:
    id, entry, annotations = item
    size = parsing.number(entry.get("width")), parsing.number(entry.get("height"))
    objects = [_raw_object(number, one, file, size, with_masks) for number, one in annotations]
    name, place = file.filenames[id], f"image {id}"
    return RawImage(file.name, place, name, size=size, objects=objects, size_tells=False, way_up=file.way_up)


def _raw_object(
    number: int, item: dict[str, Any], file: CocoFile, size: tuple[Any, Any], with_masks: bool
) -> RawObject:
    place, category = f"annotation {shown_id(item, number)}", item.get("category_id")
    if key_of(category) not in file.names:
        fix = "Correct it, or add the category."
        return RawObject(place, "", (), (f"category_id {reprlib.repr(category)} is no category of this file", fix))
    name = file.names[key_of(category)]
    found = RawObject.around(place, name, "Fix the box or delete the annotation.", corners, item, size)
    outline = outline_of(item) or None if with_masks and not found.fault else None
    if outline and (fault := outline_fault(outline, size)):
        return RawObject(place, name, (), (f"segmentation {fault}", "Fix it, or delete it: its box is taken then."))
    crowd, difficult = item.get("iscrowd") in (1, True), is_difficult(item, item.get("attributes"))
    return dataclasses.replace(found, crowd=crowd, difficult=difficult, outline=outline)


# --- writing --------------------------------------------------------------------------------------


def _write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
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
    boxes_xyxy = image.boxes_xyxy.astype(np.float64).tolist()
    for number, (xmin, ymin, xmax, ymax) in enumerate(boxes_xyxy):
        outline: Any = []
        area = (xmax - xmin) * (ymax - ymin)
        if image.masks:
            outline = {"size": [image.height, image.width], "counts": image.masks[number].decode()}
            area = float(coder.area(outline))
        yield {
            "image_id": image_id,
            "category_id": int(image.labels[number]),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            "area": area,
            "iscrowd": int(image.crowd[number]),
            "segmentation": outline,
        } | ({"difficult": 1} if image.difficult[number] else {})


_find = functools.partial(one_file.find, ".json", _is_ours)
FORMAT = Format(
    title="COCO JSON",
    find=_find,
    sources=_sources,
    write_annotations=_write,
    by_stem=False,
    marks=frozenset({"crowd", "difficult"}),
)
read, write = FORMAT.read, FORMAT.write
read_results = coco_results.read_results
