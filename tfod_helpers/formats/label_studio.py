"""Label Studio JSON: one list of tasks, as its exports "JSON" and "JSON-MIN" write it.

A task names its image in ``data`` and has ``annotations`` with a ``result``: shapes in percent of the image's
width and height. JSON-MIN has the image and the shapes side by side. Predictions are passed over.

A photo is found by the name that Label Studio gave it when it was uploaded (``1a2b3c4d-cat.jpg``) and by its own
(``cat.jpg``). Of a turned rectangle, an ellipse, a polygon and a brush stroke the box around it is taken; key points
have no box, which is an error. Of several annotations of one image the first that was not cancelled is taken; where
they differ, that is a warning. Images that were skipped, or not labelled yet, are left out. Without annotations,
`read` takes the Label Studio files in the folder with the photos, or in its subfolders.
https://labelstud.io/guide/task_format and https://labelstud.io/guide/export
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_helpers.formats import json_file, label_studio_names, label_studio_shapes, one_file
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import RawImage, RawObject, Reading
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import Problem

_ANNOTATIONS = ("annotations", "completions")  # completions: before version 1.0
_CANCELLED = ("was_cancelled", "skipped")
_EXPORT_AGAIN = "Export the project again from Label Studio, as JSON."


def _is_ours(path: Path) -> bool:
    data = json_file.beginning(path)
    first = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict):
        return False
    if isinstance(first.get("data"), dict):
        return any(isinstance(first.get(key), list) for key in (*_ANNOTATIONS, "predictions"))
    if any("result" in one for key in _ANNOTATIONS for one in json_file.dicts(first.get(key))):
        return True  # the data comes after the annotations, perhaps too late to be seen
    return any(
        label_studio_shapes.is_shape(item)
        for entry in json_file.dicts(data)
        for value in entry.values()
        for item in json_file.dicts(value)
    )


def _read_file(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    tasks = json_file.load(path)
    if not isinstance(tasks, list):
        raise json_file.refused(path, "it is no list of tasks, as Label Studio's exports are", _EXPORT_AGAIN)
    name_of = label_studio_names.NameFinder(photos)
    for number, task in enumerate(tasks, start=1):
        raw = _raw_image(path.name, number, task, name_of, reading.problems)
        if raw is not None:
            yield "", raw


def _raw_image(
    where: str, number: int, task: Any, name_of: label_studio_names.NameFinder, found: list[Problem]
) -> RawImage | None:
    """Return what one task says of its image; None where nobody labelled it."""
    number_of = json_file.text(task.get("id")) if isinstance(task, dict) else ""
    place = f"task {number}" + (f" (id {number_of})" if number_of else "")
    if not isinstance(task, dict):
        return RawImage(where, place, fault=(f"it is {reprlib.repr(task)}, not a task", _EXPORT_AGAIN))
    data = task.get("data")
    filename = name_of(data if isinstance(data, dict) else task, json_file.text(task.get("file_upload")))
    if not filename:
        return RawImage(where, place, fault=("it names no image", _EXPORT_AGAIN))
    if not isinstance(data, dict):
        return _to_image(where, place, filename, label_studio_shapes.from_minimal(task))
    annotations = next((task[key] for key in _ANNOTATIONS if key in task), [])
    if not isinstance(annotations, list) or len(json_file.dicts(annotations)) != len(annotations):
        fault = f"its annotations are {reprlib.repr(annotations)}", _EXPORT_AGAIN
        return RawImage(where, place, filename, fault=fault)
    done = [one for one in annotations if not any(one.get(key) for key in _CANCELLED)]
    if not done:
        if annotations:
            what, fix = f"{filename!r} was skipped in Label Studio", "Left out; label it there to use it."
            found.append(Problem(where=where, object=place, what=what, fix=fix, severity="note", kind="photo skipped"))
        return None
    results = [one.get("result") for one in done]
    if any(not isinstance(result, list) for result in results):
        return RawImage(where, place, filename, fault=("an annotation of it has no list of results", _EXPORT_AGAIN))
    images = [_to_image(where, place, filename, result) for result in results]
    if any(_facts(image) != _facts(images[0]) for image in images[1:]):
        what = f"{len(images)} annotations of {filename!r} differ"
        found.append(
            Problem(
                where=where,
                object=place,
                what=what,
                fix="The first is taken. Look at them.",
                severity="warning",
                kind="labels differ",
            )
        )
    return images[0]


def _facts(image: RawImage) -> list[str]:
    """Return what an annotation says of its objects, in a form that can be compared."""
    return sorted(repr((item.name, tuple(item.coordinates), item.fault)) for item in image.objects)


def _to_image(where: str, place: str, filename: str, result: list[Any]) -> RawImage:
    objects: list[RawObject] = []
    size: tuple[Any, Any] = (None, None)
    for item in label_studio_shapes.labelled(result):
        at = f"{place} ({filename}), region {len(objects) + 1}"
        objects.append(label_studio_shapes.to_object(at, item))
        if size == (None, None) and isinstance(item, dict):
            size = item.get("original_width"), item.get("original_height")
    # Without a region there is no size either, and the image is background.
    return RawImage(where, place, filename, size=size, objects=objects, has_size=bool(objects))


FORMAT = Format(
    title="Label Studio JSON",
    find=functools.partial(one_file.find, ".json", _is_ours),
    sources=functools.partial(one_file.sources, _read_file),
)
read = FORMAT.read
