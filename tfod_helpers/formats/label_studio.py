"""Label Studio JSON: one list of tasks, as its exports "JSON" and "JSON-MIN" write it.

A task names its image in ``data`` and has ``annotations`` with a ``result``: shapes in percent of the image's
width and height. JSON-MIN has the image and the shapes side by side. Predictions are passed over.

A photo is found by the name that Label Studio gave it when it was uploaded (``1a2b3c4d-cat.jpg``) and by its own
(``cat.jpg``). Of a rotated rectangle, an ellipse, a polygon and a brush stroke the box around it is taken; key points
have no box, which is an error. Of several annotations of one image the first that was not cancelled is taken; where
they differ, that is a warning. Images that were skipped, or not labelled yet, are left out. Without annotations,
`read` takes the Label Studio files in the folder with the photos, or in its subfolders.
https://labelstud.io/guide/task_format and https://labelstud.io/guide/export
"""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tfod_helpers.formats import label_studio_shapes, one_file, parsing
from tfod_helpers.formats.raw import RawImage, RawObject, Reading
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import Problem

_ANNOTATIONS = ("annotations", "completions")  # completions: before version 1.0
_CANCELLED = ("was_cancelled", "skipped")
_UPLOAD = re.compile(r"[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file
_LOCAL_FILES = "/data/local-files/"
_EXPORT_AGAIN = "Export the project again from Label Studio, as JSON."


def _is_ours(path: Path) -> bool:
    data = parsing.beginning_of_json(path)
    first = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict):
        return False
    if isinstance(first.get("data"), dict):
        return any(isinstance(first.get(key), list) for key in (*_ANNOTATIONS, "predictions"))
    if any("result" in one for key in _ANNOTATIONS for one in parsing.dicts(first.get(key))):
        return True  # the data comes after the annotations, perhaps too late to be seen
    return any(
        label_studio_shapes.is_shape(item)
        for entry in parsing.dicts(data)
        for value in entry.values()
        for item in parsing.dicts(value)
    )


def _read_file(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    tasks = parsing.load_json(path)
    if not isinstance(tasks, list):
        raise parsing.refused(path, "it is no list of tasks, as Label Studio's exports are", _EXPORT_AGAIN)
    name_of = _NameFinder(photos)
    for number, task in enumerate(tasks, start=1):
        raw = _raw_image(path.name, number, task, name_of, reading.problems)
        if raw is not None:
            yield "", raw


def _raw_image(where: str, number: int, task: Any, name_of: _NameFinder, found: list[Problem]) -> RawImage | None:
    """Return what one task says of its image; None where nobody labelled it."""
    number_of = parsing.text(task.get("id")) if isinstance(task, dict) else ""
    place = f"task {number}" + (f" (id {number_of})" if number_of else "")
    if not isinstance(task, dict):
        return RawImage(where, place, fault=(f"it is {reprlib.repr(task)}, not a task", _EXPORT_AGAIN))
    data = task.get("data")
    filename = name_of(data if isinstance(data, dict) else task, parsing.text(task.get("file_upload")))
    if not filename:
        return RawImage(where, place, fault=("it names no image", _EXPORT_AGAIN))
    if not isinstance(data, dict):
        return _to_image(where, place, filename, label_studio_shapes.from_minimal(task))
    annotations: Any = next((task[key] for key in _ANNOTATIONS if key in task), [])
    if not isinstance(annotations, list) or len(parsing.dicts(annotations)) != len(annotations):
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
        fix = "The first is taken. Look at them."
        found.append(Problem(where=where, object=place, what=what, fix=fix, severity="warning", kind="labels differ"))
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


# --- the photo that a task means ------------------------------------------------------------------


class _NameFinder:
    """Finds the photo that a task means.

    Args:
        photos: the photos that there are.
    """

    def __init__(self, photos: PhotoFolder) -> None:
        self._photos = photos
        self._cleaned: dict[str, list[str]] = defaultdict(list)
        for name in photos.names:
            last = name.rpartition("/")[2]
            self._cleaned[_clean(last)].append(last)

    def __call__(self, data: dict[str, Any], uploaded: str) -> str:
        """Return the name of a photo that there is, else the name that the task gives, or nothing.

        Args:
            data: the task's ``data``; for JSON-MIN the whole entry.
            uploaded: the task's ``file_upload``.
        """
        names = _names(_url(data) or uploaded)
        for name in names:
            if known := self._photos.find(name, ""):
                return known[0] if len(known) == 1 else name
        for name in names:
            known = self._cleaned.get(name.rpartition("/")[2], [])
            if len(known) == 1:
                return known[0]
        return names[-1] if names else ""


def _url(data: dict[str, Any]) -> str:
    """Return where the image is: ``image``, as most projects call it, or the one text that looks like a file."""
    if isinstance(image := data.get("image"), str):
        return image
    texts = [value for value in data.values() if isinstance(value, str)]
    files = [text for text in texts if re.search(r"\.\w{3,5}($|\?)", text)]
    return files[0] if len(files) == 1 else parsing.text(data.get("img") or data.get("url"))


def _names(url: str) -> list[str]:
    """Return the names that the photo may have, the nearest first: as it is, decoded, without what was put before."""
    path = url.strip()
    if "://" in path or path.startswith("/data/"):
        try:
            parts = urlsplit(path)
        except ValueError:  # such as a broken host name
            return [path]
        local = parse_qs(parts.query).get("d") if _LOCAL_FILES in parts.path else None
        path = local[0] if local else parts.path
    names = []
    for name in dict.fromkeys((path, unquote(path))):
        before, slash, last = name.rpartition("/")
        names += [name] + [before + slash + last[9:]] * bool(_UPLOAD.match(last) and last[9:])
    return names if path else []


def _clean(name: str) -> str:
    """Return a file name as Django, which Label Studio stores uploads with, cleans it."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


FORMAT = one_file.one_file_format("Label Studio JSON", ".json", _is_ours, _read_file)
read = FORMAT.read
