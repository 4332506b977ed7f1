"""COCO JSON: one file with lists of images, annotations and categories, as COCO, Roboflow, CVAT and others write it.

A box is ``[x, y, width, height]`` in pixels. https://cocodataset.org/#format-data describes the format,
and https://cocodataset.org/#format-results the list of detections that `read_results` takes.

The classes keep the order of their ids and are numbered from 1. A category that is never used and that has the id 0, as
Roboflow writes it, or is called background, is no class. Without annotations, `read` takes the COCO files in the
folder, in its ``annotations`` or in its split folders. With its option ``masks=True`` the outlines (polygons or
run-length encoding) are kept as masks; where an object has none, its box is its mask.

COCO itself knows no difficult objects. An annotation's ``difficult``, or CVAT's ``attributes.difficult``, is read as
such, and `write` adds ``"difficult": 1`` to them, which other programs pass over.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import reprlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, masks
from tfod_helpers.files import storage
from tfod_helpers.formats import folders, one_file, parsing
from tfod_helpers.formats.format import Format, Splits
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_difficult
from tfod_helpers.formats.shapes import Bounds
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import Problem, Severity, settle_problems

if TYPE_CHECKING:
    import supervision as sv

FILE_NAME = "_annotations.coco.json"  # as Roboflow calls it, which most programs take up
_LISTS = ("images", "annotations", "categories")
_EXPORT_AGAIN = "Export the annotations again from the labelling tool."


def _find(folder: Path) -> list[Part]:
    """Return the COCO files of a folder, of its ``annotations`` or of its split folders, with their photos."""
    official = folder / "annotations"
    parts = one_file.find(".json", _is_ours, official) if official.is_dir() else []
    if not parts:
        return one_file.find(".json", _is_ours, folder)
    return [_official(folder, part.annotations) for part in parts]


def _official(root: Path, annotations: Path) -> Part:
    """Return the part of ``instances_train2017.json``, whose photos are in ``train2017``."""
    name = annotations.stem.removeprefix("instances_")
    split = folders.split_name(name)
    for folder in (root / name, root / "images" / name):
        if folder.is_dir():
            return Part(folder, annotations, split)
    return Part(folders.photos_near(root, annotations.parent, split), annotations, split)


def _is_ours(path: Path) -> bool:
    data = parsing.beginning_of_json(path)
    if not isinstance(data, dict):
        return False
    entries: list[Any] = next((data[name] for name in _LISTS if isinstance(data.get(name), list) and data[name]), [{}])
    known = {"file_name", "image_id", "supercategory"} & set(entries[0] if isinstance(entries[0], dict) else ())
    return bool(known) or sum(isinstance(data.get(name), list) for name in _LISTS) >= 2


def _sources(parts: Sequence[Part], reading: Reading, *, masks: bool = False) -> Iterator[Source]:
    for part in parts:
        file = _File(part.annotations, reading.problems)
        reading.classes = [*dict.fromkeys((*reading.classes, *file.classes))]
        deep = any("/" in name or "\\" in name for name in file.filenames)
        photos = PhotoFolder(part.images, deep=deep, only=part.only)
        yield Source(photos, file.items, functools.partial(_raw_image, file, masks), part.split)


class _File:
    """What one COCO file holds, put in order.

    Attributes:
        name: of the file.
        items: each image's entry, with the entries of its annotations.
        names: the name of each category id.
        classes: the names of those that are classes, in the order of their ids.
        filenames: of the images, as they are written.
    """

    def __init__(self, path: Path, found: list[Problem]) -> None:
        data = parsing.load_json(path)
        if not isinstance(data, dict) or not all(isinstance(data.get(name, []), list) for name in _LISTS):
            raise parsing.refused(path, "it is no COCO file with lists of images and annotations", _EXPORT_AGAIN)
        self.name, self._found = path.name, found
        images = self._by_id(data, "images", "file_name", "image")
        self.names = {
            id: item["name"].strip() for id, item in self._by_id(data, "categories", "name", "category").items()
        }
        of_image: dict[Any, list[Any]] = defaultdict(list)
        used = set()
        for number, item in enumerate(data.get("annotations", []), start=1):
            image_id = item.get("image_id") if isinstance(item, dict) else None
            if _is_known(image_id, images):
                of_image[image_id].append((number, item))
                used.add(parsing.text(item.get("category_id")))
            else:
                what = f"image_id {reprlib.repr(image_id)} is no image of this file"
                self._problem(f"annotation {_id(item, number)}", what, "Correct it, or delete the annotation.")
        self.items = [(id, item, of_image.get(id, ())) for id, item in images.items()]
        self.filenames = [item["file_name"] for item in images.values()]
        self.classes = [name for id, name in sorted(self.names.items(), key=_order) if not self._is_no_class(id, used)]

    def _by_id(self, data: dict[str, Any], key: str, needed: str, what: str) -> dict[Any, dict[str, Any]]:
        entries: dict[Any, dict[str, Any]] = {}
        for number, item in enumerate(data.get(key, []), start=1):
            place = f"{what} {_id(item, number)}"
            id = item.get("id") if isinstance(item, dict) else None
            if isinstance(id, bool) or not isinstance(id, int | str):
                self._problem(place, f"it has no id: {reprlib.repr(item)}", f"Number the {key}.")
            elif not isinstance(item.get(needed), str) or not item[needed].strip():
                self._problem(place, f"{needed} is {reprlib.repr(item.get(needed))}, not a text", _EXPORT_AGAIN)
            elif id in entries:
                what_else = f"its id is that of {entries[id][needed]!r} too"
                self._problem(f"{place} ({item[needed]!r})", what_else, "Give each one an id of its own.")
            else:
                entries[id] = item
        return entries

    def _is_no_class(self, id: Any, used: set[str]) -> bool:
        if parsing.text(id) in used or not (id == 0 or self.names[id].casefold() == "background"):
            return False
        what, fix = f"it is never used ({self.names[id]!r}), and no class of its own", "Left out."
        self._problem(f"category {id}", what, fix, "note")
        return True

    def _problem(self, place: str, what: str, fix: str, severity: Severity = "error") -> None:
        self._found.append(
            Problem(where=self.name, object=place, what=what, fix=fix, severity=severity, kind="entry unreadable")
        )


def _is_known(id: Any, known: Collection[Any]) -> bool:
    return isinstance(id, int | str) and id in known


def _order(pair: tuple[Any, str]) -> tuple[bool, Any]:
    return isinstance(pair[0], str), pair[0]


def _id(item: Any, number: int) -> str:
    """Return how to find an entry: by its id, or where it has none, by its number in the list."""
    id = parsing.text(item.get("id")) if isinstance(item, dict) else ""
    return id or f"{number} of the list"


def _raw_image(file: _File, with_masks: bool, item: tuple[Any, dict[str, Any], Sequence[tuple[int, Any]]]) -> RawImage:
    id, entry, annotations = item
    size = parsing.number(entry.get("width")), parsing.number(entry.get("height"))
    objects = [_raw_object(number, one, file, size, with_masks) for number, one in annotations]
    return RawImage(file.name, f"image {id}", entry["file_name"], size=size, objects=objects)


def _raw_object(number: int, item: dict[str, Any], file: _File, size: tuple[Any, Any], with_masks: bool) -> RawObject:
    place, category = f"annotation {_id(item, number)}", item.get("category_id")
    if not _is_known(category, file.names):
        fix = "Correct it, or add the category."
        return RawObject(place, "", (), (f"category_id {reprlib.repr(category)} is no category of this file", fix))
    name = file.names[category]
    found = RawObject.around(place, name, "Fix the box or delete the annotation.", _corners, item)
    outline = item.get("segmentation") or None if with_masks and not found.fault else None
    if outline and (fault := _outline_fault(outline, size)):
        return RawObject(place, name, (), (f"segmentation {fault}", "Fix it, or delete it: its box is taken then."))
    crowd, difficult = item.get("iscrowd") in (1, True), is_difficult(item, item.get("attributes"))
    return dataclasses.replace(found, crowd=crowd, difficult=difficult, outline=outline)


def _corners(item: dict[str, Any]) -> Bounds:
    """Return xmin, ymin, xmax and ymax of an entry's ``bbox``, or raise ValueError with what is wrong with it."""
    bbox = item.get("bbox")
    values = map(parsing.number, bbox) if isinstance(bbox, list) and len(bbox) == 4 else ()
    numbers = [value for value in values if value is not None]
    if len(numbers) != 4:
        raise ValueError(f"bbox is {reprlib.repr(bbox)}, not [x, y, width, height]")
    x, y, width, height = numbers
    return x, y, x + width, y + height


def _outline_fault(outline: Any, size: tuple[Any, Any]) -> str | None:
    """Say what is wrong with an outline, or None where it can be used: bad ones end the process of pycocotools.

    Args:
        outline: polygons ``[[x, y, x, y, x, y, ...], ...]``, or ``{"size": [height, width], "counts": ...}``.
        size: ``(width, height)`` of the image, as its entry says it.
    """
    if isinstance(outline, list):
        for polygon in outline:
            if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
                return f"has {reprlib.repr(polygon)}, not three points or more, x and y by turns"
            if any(parsing.number(value) is None or abs(value) > 1e6 for value in polygon):
                return f"has {reprlib.repr(polygon)}, not all of them numbers of pixels"
        return None
    if None in size:
        return "is a mask, and the image's entry gives no width and height"
    shown = f"{size[0]:g} x {size[1]:g}"
    if not isinstance(outline, dict) or outline.get("size") != [size[1], size[0]]:
        return f"is {reprlib.repr(outline)}, neither polygons nor a mask of {shown}"
    counts: Any = outline.get("counts")
    try:
        lengths = counts if isinstance(counts, list) else masks.run_lengths(counts.encode("ascii"))
    except (ValueError, TypeError, AttributeError):
        return f"has counts that cannot be read: {reprlib.repr(counts)}"
    if any(isinstance(length, bool) or not isinstance(length, int) or length < 0 for length in lengths):
        return f"has counts that are no lengths: {reprlib.repr(counts)}"
    if sum(lengths) != size[0] * size[1]:
        return f"covers {sum(lengths)} pixels, and the image has {shown}"
    return None


# --- detections -----------------------------------------------------------------------------------


def read_results(
    results: str | os.PathLike[str], annotations: str | os.PathLike[str], dataset: Dataset
) -> list[sv.Detections]:
    """Read a file of detections, so that ``evaluation.score(dataset, ...)`` can count them.

    Args:
        results: a JSON list of ``{"image_id", "category_id", "bbox", "score"}``.
        annotations: the COCO file that the ids belong to.
        dataset: the images that were read with it; their detections are returned in its order.

    Raises:
        FileNotFoundError: a file is not there.
        DatasetError: an entry is broken, or is about an image or a class that there is not; all are listed.
    """
    import supervision as sv

    path, found = storage.mirror(results).expanduser(), list[Problem]()
    file = _File(storage.mirror(annotations).expanduser(), found)
    numbers = {image.path.name: number for number, image in enumerate(dataset)}
    of_id = {id: numbers.get(entry["file_name"].replace("\\", "/").rpartition("/")[2]) for id, entry, _ in file.items}
    rows: dict[int, list[tuple[Bounds, int, float]]] = defaultdict(list)
    entries = parsing.load_json(path)
    if not isinstance(entries, list):
        raise parsing.refused(path, "it is no list of detections", "Give a COCO results file.")
    for place, item in enumerate(entries, start=1):
        try:
            image, box_xyxy, name, score = _result(item, file, of_id)
        except ValueError as error:
            fix = "Correct it, or delete the detection."
            found.append(Problem(where=path.name, object=f"detection {place}", what=str(error), fix=fix))
            continue
        if image is not None and name in dataset.label_map:
            rows[image].append((box_xyxy, dataset.label_map.id(name), score))
    settle_problems(found, "raise", str(path))
    return [
        sv.Detections(
            xyxy=np.array([box_xyxy for box_xyxy, _, _ in rows[number]]).reshape(-1, 4),
            class_id=np.array([label for _, label, _ in rows[number]], int),
            confidence=np.array([score for _, _, score in rows[number]], float),
        )
        for number in range(len(dataset))
    ]


def _result(item: Any, file: _File, of_id: dict[Any, int | None]) -> tuple[int | None, Bounds, str, float]:
    if not isinstance(item, dict):
        raise ValueError(f"it is {reprlib.repr(item)}, not a detection")
    image_id, category = item.get("image_id"), item.get("category_id")
    if not _is_known(image_id, of_id):
        raise ValueError(f"image_id {reprlib.repr(image_id)} is no image of {file.name}")
    if not _is_known(category, file.names):
        raise ValueError(f"category_id {reprlib.repr(category)} is no category of {file.name}")
    return of_id[image_id], _corners(item), file.names[category], parsing.number_at(item, "score")


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


FORMAT = Format(title="COCO JSON", find=_find, sources=_sources, write_annotations=_write, by_stem=False)
read, write = FORMAT.read, FORMAT.write
