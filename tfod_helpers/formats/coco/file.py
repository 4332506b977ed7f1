"""One COCO file, put in order: ids as whoever wrote it meant them, boxes of its own or around outlines."""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import masks
from tfod_helpers.formats import parsing
from tfod_helpers.formats.raw import WayUp
from tfod_helpers.formats.shapes import Bounds
from tfod_helpers.problems import Problem, Severity

LISTS = ("images", "annotations", "categories")
_EXPORT_AGAIN = "Export the annotations again from the labelling tool."
_WHOLE = re.compile(r"([+-]?[0-9]{1,40})(?:\.0*)?")


class CocoFile:
    """What one COCO file holds.

    Ids are texts: 1, 1.0, "1" and "0001" are one id, as programs that convert files write it in any of these ways.

    Attributes:
        name: of the file.
        items: each image's id and entry, with the number in the list and the entry of each of its annotations.
        filenames: of the images by their ids.
        names: the name of each category id.
        classes: the names of those that are classes, in the order of their ids.
        way_up: as `RawImage` takes it.
        without_boxes: what it has instead of boxes, where it has none at all; else empty.
    """

    def __init__(self, path: Path, found: list[Problem]) -> None:
        data = parsing.load_json(path)
        if not isinstance(data, dict) or not all(isinstance(data.get(name, []), list) for name in LISTS):
            raise parsing.refused(path, "it is no COCO file with lists of images and annotations", _EXPORT_AGAIN)
        self.name, self._found = path.name, found
        self.without_boxes = _without_boxes(data)
        # Its size may be the stored one, but its boxes were drawn in a browser, which shows photos upright.
        label_studio = parsing.mapping(data.get("info")).get("contributor") == "Label Studio"
        self.way_up: WayUp | None = "as viewed" if label_studio else None
        images = self._by_id(data, "images", "file_name", filename)
        categories = self._by_id(data, "categories", "name", lambda item: item.get("name"))
        self.names = {id: item["name"].strip() for id, item in categories.items()}
        self.filenames = {id: filename(item) for id, item in images.items()}
        of_image: dict[str, list[Any]] = defaultdict(list)
        used, of_none = set(), 0
        for number, item in enumerate(data.get("annotations", []), start=1):
            image_id = item.get("image_id") if isinstance(item, dict) else None
            if key_of(image_id) in images:
                of_image[key_of(image_id)].append((number, item))
                used.add(key_of(item.get("category_id")))
            else:
                of_none += 1
                what = f"image_id {reprlib.repr(image_id)} is no image of this file"
                self._problem(f"annotation {shown_id(item, number)}", what, "Correct it, or delete the annotation.")
        # Where annotations are of no image, one without any has perhaps lost its own, and is no background.
        self.items = [(id, item, of_image.get(id, ())) for id, item in images.items() if id in of_image or not of_none]
        self.classes = [name for id, name in sorted(self.names.items(), key=_order) if not self._is_no_class(id, used)]

    def _by_id(
        self, data: dict[str, Any], key: str, needed: str, name_of: Callable[[dict[str, Any]], Any]
    ) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        what = {"images": "image", "categories": "category"}[key]
        for number, item in enumerate(data.get(key, []), start=1):
            place = f"{what} {shown_id(item, number)}"
            id = key_of(item.get("id")) if isinstance(item, dict) else ""
            name = name_of(item) if id else None
            if not id:
                self._problem(place, f"it has no id: {reprlib.repr(item)}", f"Number the {key}.")
            elif not isinstance(name, str) or not name.strip():
                self._problem(place, f"{needed} is {reprlib.repr(item.get(needed))}, not a text", _EXPORT_AGAIN)
            elif id in entries:
                what_else = f"its id is that of {name_of(entries[id])!r} too"
                self._problem(f"{place} ({name!r})", what_else, "Give each one an id of its own.")
            else:
                entries[id] = item
        return entries

    def _is_no_class(self, id: str, used: set[str]) -> bool:
        if id in used or not (id == "0" or self.names[id].casefold() == "background"):
            return False
        what, fix = f"it is never used ({self.names[id]!r}), and no class of its own", "Left out."
        self._problem(f"category {id}", what, fix, "note")
        return True

    def _problem(self, place: str, what: str, fix: str, severity: Severity = "error") -> None:
        self._found.append(
            Problem(where=self.name, object=place, what=what, fix=fix, severity=severity, kind="entry unreadable")
        )


def key_of(id: Any) -> str:
    """Return an id as the text that all ways to write it have in common; empty where it is none."""
    if isinstance(id, float) and id.is_integer():
        id = int(id)
    if type(id) is int:
        return str(id) if abs(id) < 10**40 else ""
    text = id.strip() if isinstance(id, str) else ""
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def shown_id(item: Any, number: int) -> str:
    """Return how to find an entry: by its id, or where it has none, by its number in the list."""
    id = parsing.text(item.get("id")) if isinstance(item, dict) else ""
    return id or f"{number} of the list"


def filename(image: dict[str, Any]) -> Any:
    """Return an image's file name, or the address that LVIS has instead."""
    return image.get("file_name") or image.get("coco_url")


def _without_boxes(data: dict[str, Any]) -> str:
    annotations = parsing.dicts(data.get("annotations"))
    if data.get("annotations") is None and data.get("images"):
        return "it has no list of annotations"
    if not annotations or any(_HAS_BOX & one.keys() for one in annotations):
        return ""
    other = next((key for key in _INSTEAD if any(key in one for one in annotations)), "")
    return f"its annotations have {_INSTEAD[other]} and no boxes" if other else ""


_HAS_BOX = {"bbox", "segmentation"}
_INSTEAD = {"caption": "captions", "segments_info": "panoptic segments", "question": "questions"}


def _order(pair: tuple[str, str]) -> tuple[bool, int, str]:
    number = _WHOLE.fullmatch(pair[0])
    return not number, int(number[1]) if number else 0, pair[0]


# --- boxes and outlines -----------------------------------------------------------------------------


def corners(item: dict[str, Any], size: tuple[Any, Any] = (None, None)) -> Bounds:
    """Return xmin, ymin, xmax and ymax of an entry's ``bbox``, or where it has none, around its ``segmentation``.

    Args:
        item: the entry.
        size: ``(width, height)`` of the image, as its entry says it.

    Raises:
        ValueError: it has neither; the message says what is wrong.
    """
    bbox, outline = item.get("bbox"), outline_of(item)
    if outline and (not bbox or bbox == [0, 0, 0, 0]):
        return _around(outline, size)
    values = map(parsing.number, bbox) if isinstance(bbox, list) and len(bbox) == 4 else ()
    numbers = [value for value in values if value is not None]
    if len(numbers) != 4:
        raise ValueError(f"bbox is {reprlib.repr(bbox)}, not [x, y, width, height]")
    x, y, width, height = numbers
    return x, y, x + width, y + height


def outline_of(item: dict[str, Any]) -> Any:
    """Return an entry's ``segmentation``; VIA writes its one polygon without the list around it."""
    outline = item.get("segmentation")
    return [outline] if isinstance(outline, list) and outline and parsing.number(outline[0]) is not None else outline


def _around(outline: Any, size: tuple[Any, Any]) -> Bounds:
    from pycocotools import mask

    if fault := outline_fault(outline, size):
        raise ValueError(f"it has no bbox, and its segmentation {fault}")
    if isinstance(outline, list):
        xs, ys = ([value for polygon in outline for value in polygon[start::2]] for start in (0, 1))
        return min(xs), min(ys), max(xs), max(ys)
    counts = outline["counts"]
    x, y, width, height = mask.toBbox(
        mask.frPyObjects(outline, *outline["size"]) if isinstance(counts, list) else outline
    )
    return float(x), float(y), float(x + width), float(y + height)


def outline_fault(outline: Any, size: tuple[Any, Any]) -> str | None:
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
