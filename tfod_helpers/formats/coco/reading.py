"""COCO files -> the annotation of each photo."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.formats import one_file, parsing
from tfod_helpers.formats.coco.file import LISTS, CocoFile, corners, outline_fault, outline_of, shown_id
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_difficult
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import refused

# Files of the COCO archives with other annotations of the photos of instances_train2017.json.
_OTHER_TASK = re.compile(r"(captions|person_keypoints|panoptic|stuff|image_info|densepose)(_.*)?", re.IGNORECASE)


def is_ours(path: Path) -> bool:
    """Whether a file begins as COCO files do."""
    data = parsing.mapping(parsing.beginning_of_json(path))
    lists = [data[name] for name in LISTS if isinstance(data.get(name), list)]
    first = next((parsing.mapping(entries[0]) for entries in lists if entries), {})
    return len(lists) > 1 or not first.keys().isdisjoint(("file_name", "image_id", "supercategory"))


def sources(parts: Sequence[Part], reading: Reading, *, masks: bool = False) -> Iterator[Source]:
    """Yield the photos of each COCO file with their annotations, as `Format.sources` does."""
    files = {part.annotations for part in parts}
    for part in parts:
        other = _OTHER_TASK.fullmatch(part.annotations.stem)
        main = part.annotations.with_name(f"instances{other[2] or ''}.json") if other else None
        found = Reading(reading.where)
        file = CocoFile(part.annotations, found) if main not in files else None
        why = file.without_boxes if file else f"{main and main.name} has the boxes of its photos"
        if why and len(files) == 1:
            raise refused(part.annotations, why, "Give the file with the boxes.", where=part.annotations.name)
        if why or file is None:
            reading.add(part.annotations.name, why, "Left out.", "note", "file left out")
            continue
        reading.problems += found.problems
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
    place = f"annotation {shown_id(item, number)}"
    try:
        name = file.class_of(item)
    except ValueError as error:
        return RawObject(place, "", (), (str(error), "Correct it, or add the category."))
    crowd, difficult = item.get("iscrowd") in (1, True), is_difficult(item, item.get("attributes"))
    fix, area = "Fix the box or delete the annotation.", parsing.number(item.get("area"))
    area = area if area and area > 0 else math.nan  # 0 stands for an area that a program did not work out
    found = RawObject.around(place, name, fix, corners, item, size, crowd=crowd, difficult=difficult, area=area)
    outline = outline_of(item) if with_masks and not found.fault else None
    if outline and (fault := outline_fault(outline, size)):
        return RawObject(place, name, (), (f"segmentation {fault}", "Fix it, or delete it: its box is taken then."))
    return dataclasses.replace(found, outline=outline) if outline else found
