"""CreateML JSON: one list for all photos, as Apple's Create ML reads it and Roboflow and others write it.

``[{"image": "cat.jpg", "annotations": [{"label": "cat", "coordinates": {"x", "y", "width", "height"}}]}]``:
x and y are the centre of the box, and everything is in pixels. Older files say ``imagefilename`` and ``annotation``.
https://developer.apple.com/documentation/createml/building-an-object-detector-data-source
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.files import storage
from tfod_helpers.formats import json_file, one_file
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.raw import Part, RawImage, RawObject
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import OnProblem, Problem, settle_problems

TITLE = "CreateML JSON"
_IMAGE, _ANNOTATIONS = ("image", "imagefilename"), ("annotations", "annotation")
_SIDES = ("x", "y", "width", "height")
_REDRAW = "Draw the box again, or delete the object."


def find(folder: Path) -> list[Part]:
    """Return the CreateML files of a folder, or of its subfolders, with their photos; none where there are none."""
    return one_file.find(folder, ".json", _is_ours)


@storage.buckets_too("images", "annotations")
def read(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None = None,
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read a folder of photos with a CreateML file.

    Args:
        images: the folder with the photos; subfolders are looked into.
        annotations: the JSON file; None takes the CreateML files in the folder, or in its subfolders.
        label_map: the classes in their order, or a label map file; None takes the sorted names found.
        on_problem: ``raise`` reports all errors of the file at once; ``skip`` leaves out only what is
            bad, an object or an image, and lists it in ``.problems``.

    Returns:
        The labelled images in the order of their file names.

    Raises:
        FileNotFoundError: the folder or the file is not there.
        NotADirectoryError: the folder is a file.
        IsADirectoryError: the file is a folder.
        DatasetError: there is nothing to read, or ``raise`` and something is wrong.
    """
    parts = one_file.parts_of(images, annotations, find, TITLE)
    return read_parts(parts, label_map=label_map, on_problem=on_problem)


def read_parts(
    parts: Sequence[Part],
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read several files as one dataset, each image with the name of its part in ``split``; otherwise as `read`."""
    settle_problems((), on_problem, "")  # refuses another word before anything is read
    found: list[Problem] = []
    sources = one_file.sources(parts, _read_file, found)
    where = ", ".join(str(part.annotations) for part in parts)
    return make_dataset(sources, label_map=label_map, on_problem=on_problem, where=where, found=found)


def _is_ours(path: Path) -> bool:
    data = json_file.beginning(path)
    for entry in json_file.dicts(data):
        objects = _first(entry, _ANNOTATIONS)
        if not isinstance(_first(entry, _IMAGE), str) or not isinstance(objects, list):
            return False
        if objects:  # the entries of an image without objects say nothing more
            return isinstance(objects[0], dict) and "coordinates" in objects[0]
    return isinstance(data, list) and bool(data)


def _read_file(path: Path, photos: PhotoFolder, found: list[Problem]) -> Iterator[tuple[str, RawImage]]:
    entries = json_file.load(path)
    if not isinstance(entries, list):
        fix = "Give the CreateML file, or read this one as the format that it is."
        raise json_file.refused(path, "it is no list of images, as CreateML files are", fix)
    for number, entry in enumerate(entries, start=1):
        yield "", _raw_image(path.name, f"image {number}", entry)


def _raw_image(where: str, place: str, entry: Any) -> RawImage:
    if not isinstance(entry, dict) or not isinstance(_first(entry, _IMAGE), str):
        fault = f'it does not say which image it is ("image"): {reprlib.repr(entry)}', "Add it, or delete the entry."
        return RawImage(where, place, fault=fault)
    filename, objects = str(_first(entry, _IMAGE)), _first(entry, _ANNOTATIONS)
    if not isinstance(objects, list):
        fault = f'its "annotations" are {reprlib.repr(objects)}, not a list', "Write [] where it has no objects."
        return RawImage(where, place, filename, fault=fault)
    start = f"{place} ({filename}), object"
    raw = [_raw_object(f"{start} {number}", item) for number, item in enumerate(objects, start=1)]
    return RawImage(where, place, filename, objects=raw, has_size=False)


def _raw_object(place: str, item: Any) -> RawObject:
    if not isinstance(item, dict):
        return RawObject(place, "", (), (f"it is {reprlib.repr(item)}, not a label with coordinates", _REDRAW))
    name, sides = json_file.text(item.get("label")).strip(), item.get("coordinates")
    if not isinstance(sides, dict):
        return RawObject(place, name, (), (f"its coordinates are {reprlib.repr(sides)}", _REDRAW))
    x, y, width, height = (json_file.number(sides.get(side)) for side in _SIDES)
    if x is None or y is None or width is None or height is None:
        bad = next(side for side in _SIDES if json_file.number(sides.get(side)) is None)
        what = f"{bad} is {reprlib.repr(sides[bad])}, not a number" if bad in sides else f"{bad} is missing"
        return RawObject(place, name, (), (what, _REDRAW))
    return RawObject(place, name, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def _first(entry: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((entry[key] for key in keys if key in entry), None)
