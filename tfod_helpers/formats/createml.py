"""CreateML JSON: one list for all photos, as Apple's Create ML reads it and Roboflow and others write it.

``[{"image": "cat.jpg", "annotations": [{"label": "cat", "coordinates": {"x", "y", "width", "height"}}]}]``:
x and y are the centre of the box, and everything is in pixels. Older files have ``imagefilename`` and ``annotation``.
Without annotations, `read` takes the CreateML files in the folder with the photos, or in its subfolders.
https://developer.apple.com/documentation/createml/building-an-object-detector-data-source
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.formats import one_file, parsing
from tfod_helpers.formats.raw import RawImage, RawObject, Reading
from tfod_helpers.formats.shapes import Bounds
from tfod_helpers.photos.folder import PhotoFolder

_IMAGE, _ANNOTATIONS = ("image", "imagefilename"), ("annotations", "annotation")
_REDRAW = "Draw the box again, or delete the object."


def _is_ours(path: Path) -> bool:
    data = parsing.beginning_of_json(path)
    for entry in parsing.dicts(data):
        objects = _first(entry, _ANNOTATIONS)
        if not isinstance(_first(entry, _IMAGE), str) or not isinstance(objects, list):
            return False
        if objects:  # an image without objects does not show the format
            return isinstance(objects[0], dict) and "coordinates" in objects[0]
    return isinstance(data, list) and bool(data)


def _read_file(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    fix = "Give the CreateML file, or read this one as the format that it is."
    for number, entry in enumerate(parsing.load_json_list(path, "images, as CreateML files are", fix), start=1):
        yield "", _raw_image(path.name, f"image {number}", entry)


def _raw_image(where: str, place: str, entry: Any) -> RawImage:
    filename, objects = (_first(parsing.mapping(entry), keys) for keys in (_IMAGE, _ANNOTATIONS))
    if not isinstance(filename, str):
        fault = f'it does not say which image it is ("image"): {reprlib.repr(entry)}', "Add it, or delete the entry."
        return RawImage(where, place, fault=fault)
    if not isinstance(objects, list):
        fault = f'its "annotations" are {reprlib.repr(objects)}, not a list', "Write [] where it has no objects."
        return RawImage(where, place, filename, fault=fault)
    start = f"{place} ({filename}), object"
    raw = [_raw_object(f"{start} {number}", item) for number, item in enumerate(objects, start=1)]
    return RawImage(where, place, filename, objects=raw, has_size=False)


def _raw_object(place: str, item: Any) -> RawObject:
    return RawObject.around(place, parsing.text_at(item, "label").strip(), _REDRAW, _bounds, item)


def _bounds(item: Any) -> Bounds:
    sides = parsing.dict_at(item, "coordinates", "a label with coordinates")
    x, y, width, height = parsing.numbers_at(sides, "x", "y", "width", "height")
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _first(entry: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((entry[key] for key in keys if key in entry), None)


FORMAT = one_file.one_file_format("CreateML JSON", ".json", _is_ours, _read_file)
read = FORMAT.read
