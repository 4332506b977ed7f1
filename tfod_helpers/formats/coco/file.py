"""One COCO file, put in order: ids in one spelling, boxes of its own or around outlines."""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import masks
from tfod_helpers.formats import parsing, shapes
from tfod_helpers.formats.raw import Reading, WayUp
from tfod_helpers.problems import Severity

Id = int | str
LISTS = ("images", "annotations", "categories")
_EXPORT_AGAIN = "Export the annotations again from the labelling tool."
_OWN_ID = "Give each one an id of its own."
_HAS_BOX = {"bbox", "segmentation"}
_INSTEAD = {"caption": "captions", "segments_info": "panoptic segments", "question": "questions"}
_WHOLE = re.compile(r"([+-]?[0-9]{1,40})(?:\.0*)?")


class CocoFile:
    """What one COCO file holds.

    1, 1.0, "1" and "0001" are one id, as programs that convert files write it in any of these ways.

    Attributes:
        name: of the file.
        items: each image's id and entry, with the number in the list and the entry of each of its annotations.
        filenames: of the images by their ids.
        names: the name of each category id.
        classes: the names of those that are classes, in the order of their ids.
        way_up: as `RawImage` takes it.
        without_boxes: what it has instead of boxes, where it has none at all; else empty.
    """

    def __init__(self, path: Path, found: Reading) -> None:
        data = parsing.load_json(path)
        if not isinstance(data, dict) or not all(isinstance(data.get(name, []), list) for name in LISTS):
            raise parsing.refused(path, "it is no COCO file with lists of images and annotations", _EXPORT_AGAIN)
        self.name, self._found = path.name, found
        self.without_boxes = _without_boxes(data)
        # Its size may be the stored one, but its boxes were drawn in a browser, which shows photos upright.
        label_studio = parsing.text_at(data.get("info"), "contributor") == "Label Studio"
        self.way_up: WayUp | None = "as viewed" if label_studio else None
        images = self._by_id("image", data.get("images", []), "file_name", "coco_url")  # LVIS has addresses only
        categories = self._by_id("category", data.get("categories", []), "name")
        self._images = images
        self.filenames = {id: name for id, (name, _) in images.items()}
        self.names = {id: name.strip() for id, (name, _) in categories.items()}
        of_image: dict[Id, list[Any]] = defaultdict(list)
        of_none = False
        for number, item in enumerate(data.get("annotations", []), start=1):
            try:
                of_image[self.image_of(item)].append((number, item))
            except ValueError as error:
                of_none, place = True, f"annotation {shown_id(item, number)}"
                self._problem(place, str(error), "Correct it, or delete the annotation.")
        # Where annotations are of no image, one without any has perhaps lost its own, and is no background.
        kept = of_image if of_none else images
        self.items = [(id, images[id][1], of_image.get(id, ())) for id in images if id in kept]
        ids = sorted(self.names, key=lambda id: (isinstance(id, str), id))
        self.classes = [self.names[id] for id in ids if not self._is_no_class(id)]

    def image_of(self, item: Any) -> Id:
        """Return the id of the image that an entry belongs to; ValueError where there is no such image."""
        return self._referred(item, "image", self.filenames)

    def size_of(self, id: Id) -> tuple[Any, Any]:
        """Return width and height of an image as its entry has them; None where it does not."""
        entry = self._images[id][1]
        return parsing.number(entry.get("width")), parsing.number(entry.get("height"))

    def class_of(self, item: Any) -> str:
        """Return the name of the category that an entry has; ValueError where there is no such category."""
        return self.names[self._referred(item, "category", self.names)]

    def _referred(self, item: Any, what: str, known: dict[Id, str]) -> Id:
        value = parsing.mapping(item).get(f"{what}_id")
        if (id := _key_of(value)) not in known:
            raise ValueError(f"{what}_id {reprlib.repr(value)} is no {what} of {self.name}")
        return id

    def _by_id(self, what: str, entries: list[Any], *keys: str) -> dict[Id, tuple[str, dict[str, Any]]]:
        """Return the name and the entry of each id; the name is what the entry has under the first of the keys."""
        found: dict[Id, tuple[str, dict[str, Any]]] = {}
        for number, item in enumerate(entries, start=1):
            place, about = f"{what} {shown_id(item, number)}", parsing.mapping(item)
            id, name = _key_of(about.get("id")), next(filter(None, map(about.get, keys)), None)
            if id == "":
                self._problem(place, f"it has no id: {reprlib.repr(item)}", _OWN_ID)
            elif not isinstance(name, str) or not name.strip():
                self._problem(place, f"{keys[0]} is {reprlib.repr(about.get(keys[0]))}, not a text", _EXPORT_AGAIN)
            elif id in found:
                self._problem(f"{place} ({name!r})", f"its id is that of {found[id][0]!r} too", _OWN_ID)
            else:
                found[id] = name, about
        return found

    def _is_no_class(self, id: Id) -> bool:
        if id != 0 and self.names[id].casefold() != "background":
            return False
        if any(_key_of(one.get("category_id")) == id for _, _, annotations in self.items for _, one in annotations):
            return False
        what, fix = f"it is never used ({self.names[id]!r}), and no class of its own", "Left out."
        self._problem(f"category {id}", what, fix, "note")
        return True

    def _problem(self, place: str, what: str, fix: str, severity: Severity = "error") -> None:
        self._found.add(self.name, what, fix, severity, "entry unreadable", place)


def _key_of(id: Any) -> Id:
    """Return an id as the number that it is in any way to write it, else as its text; empty where it is none."""
    if type(id) is int:
        return id
    if isinstance(id, float) and id.is_integer():
        return int(id)
    text = id.strip() if isinstance(id, str) else ""
    whole = _WHOLE.fullmatch(text)
    return int(whole[1]) if whole else text


def shown_id(item: Any, number: int) -> str:
    """Return how to find an entry: by its id, or where it has none, by its number in the list."""
    return parsing.text_at(item, "id") or f"{number} of the list"


def _without_boxes(data: dict[str, Any]) -> str:
    annotations = parsing.dicts(data.get("annotations"))
    if "annotations" not in data and data.get("images"):
        return "it has no list of annotations"
    if any(_HAS_BOX & one.keys() for one in annotations):
        return ""
    other = next((key for key in _INSTEAD if any(key in one for one in annotations)), "")
    return f"its annotations have {_INSTEAD[other]} and no boxes" if other else ""


# --- boxes and outlines -----------------------------------------------------------------------------


def corners(item: dict[str, Any], size: tuple[Any, Any] = (None, None)) -> shapes.Bounds:
    """Return xmin, ymin, xmax and ymax of an entry's ``bbox``, or where it has none, around its ``segmentation``.

    Args:
        item: the entry.
        size: ``(width, height)`` of the image, as its entry has it.

    Raises:
        ValueError: it has neither; the message says what is wrong.
    """
    bbox = item.get("bbox")
    if (not bbox or bbox == [0, 0, 0, 0]) and (outline := outline_of(item)):
        return _around(outline, size)
    values = map(parsing.number, bbox) if isinstance(bbox, list) and len(bbox) == 4 else ()
    numbers = [value for value in values if value is not None]
    if len(numbers) != 4:
        raise ValueError(f"bbox is {reprlib.repr(bbox)}, not [x, y, width, height]")
    return shapes.sized(*numbers)


def outline_of(item: dict[str, Any]) -> Any:
    """Return an entry's ``segmentation``; VIA writes its one polygon without the list around it."""
    outline = item.get("segmentation")
    return [outline] if isinstance(outline, list) and outline and parsing.number(outline[0]) is not None else outline


def _around(outline: Any, size: tuple[Any, Any]) -> shapes.Bounds:
    from pycocotools import mask

    if fault := outline_fault(outline, size):
        raise ValueError(f"it has no bbox, and its segmentation {fault}")
    if isinstance(outline, list):
        return shapes.around([pair for polygon in outline for pair in zip(polygon[::2], polygon[1::2], strict=True)])
    if isinstance(outline["counts"], list):
        outline = mask.frPyObjects(outline, *outline["size"])
    return shapes.sized(*mask.toBbox(outline).tolist())


def outline_fault(outline: Any, size: tuple[Any, Any]) -> str | None:
    """Say what is wrong with an outline, or None where it can be used: bad ones end the process of pycocotools.

    Args:
        outline: polygons ``[[x, y, x, y, x, y, ...], ...]``, or ``{"size": [height, width], "counts": ...}``.
        size: ``(width, height)`` of the image, as its entry has it.
    """
    if isinstance(outline, list):
        for polygon in outline:
            numbers = list(map(parsing.number, polygon)) if isinstance(polygon, list) else []
            if len(numbers) < 6 or len(numbers) % 2 or any(one is None or abs(one) > 1e6 for one in numbers):
                return f"has {reprlib.repr(polygon)}, not three points or more, x and y by turns, in pixels"
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
