"""VGG Image Annotator (VIA): one file for all photos, of version 2 (JSON, project or CSV) or 3 (project).

Each image has regions with a shape and with attributes that the user made up; one of them is the class.
https://www.robots.ox.ac.uk/~vgg/software/via/

Of a circle, an ellipse and a polygon the box around it is taken; points and lines have no box, which is an error.
Without annotations, `read` takes the VIA files in the folder with the photos, or in its subfolders. Its option
``attribute`` is the region attribute that is the class; None takes the only one that all regions have.
"""

from __future__ import annotations

import functools
import math
import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.formats import json_file, one_file, shapes, via_files
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import refused

_REDRAW = "Draw it again in VIA, or delete it."


def _find(folder: Path) -> list[Part]:
    """Return the VIA files of a folder, or of its subfolders, with their photos; JSON goes before CSV."""
    return one_file.find(".json", via_files.is_json, folder) or one_file.find(".csv", via_files.is_csv, folder)


def _sources(parts: Sequence[Part], reading: Reading, *, attribute: str | None = None) -> list[Source]:
    files = {part.annotations: via_files.read(part.annotations) for part in parts}
    attribute = _class_attribute([entry for entries in files.values() for entry in entries], attribute, reading.where)
    return one_file.sources(functools.partial(_read_file, files, attribute), parts, reading)


def _class_attribute(entries: Sequence[via_files.Entry], wanted: str | None, where: str) -> str:
    """Return the attribute that is the class: the one wanted, the only one, or the only one that all regions have."""
    regions = [region for entry in entries for region in entry.regions if isinstance(region, dict)]
    counts = Counter(
        name for region in regions for name, value in _attributes(region).items() if _values(value) and name.strip()
    )
    everywhere = [name for name, count in counts.items() if count == len(regions)]
    candidates = everywhere or list(counts)
    if wanted is not None:
        if counts and wanted not in counts:
            what = f"no region has the attribute {wanted!r}; there is {', '.join(map(repr, sorted(counts)))}"
            raise refused(where, what, "Say which one is the class, with attribute='...'.", kind="class unknown")
        return wanted
    if len(candidates) == 1 or not regions:
        return candidates[0] if candidates else ""
    if candidates:
        shown = ", ".join(f"{name!r} ({counts[name]} of {len(regions)} regions)" for name in sorted(candidates))
        what, fix = f"several attributes may be the class: {shown}", "Say which one, with attribute='...'."
    else:
        what, fix = "no region has an attribute, so none has a class", "Give the regions an attribute in VIA."
    raise refused(where, what, fix, kind="class unknown")


def _read_file(
    files: dict[Path, list[via_files.Entry]], attribute: str, path: Path, photos: PhotoFolder, reading: Reading
) -> Iterator[tuple[str, RawImage]]:
    for entry in files[path]:
        start = f"{entry.place} ({entry.filename}), region"
        objects = [_object(f"{start} {number}", one, attribute) for number, one in enumerate(entry.regions, start=1)]
        yield "", RawImage(path.name, entry.place, entry.filename, "", (None, None), objects, entry.fault, False)


def _object(place: str, region: Any, attribute: str) -> RawObject:
    if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
        return RawObject(place, "", (), (f"it is {reprlib.repr(region)}, not a region with a shape", _REDRAW))
    names = _values(_attributes(region).get(attribute))
    name = names[0] if names else ""
    if len(names) > 1:
        return RawObject(place, name, (), (f"{attribute!r} has {len(names)} values: {', '.join(names)}", "Choose one."))
    try:
        return RawObject(place, name, _bounds(region["shape_attributes"]))
    except ValueError as error:
        return RawObject(place, name, (), (str(error), _REDRAW))


def _attributes(region: dict[str, Any]) -> dict[str, Any]:
    attributes = region.get("region_attributes")
    return attributes if isinstance(attributes, dict) else {}


def _values(value: Any) -> list[str]:
    """Return what an attribute says: its text, or of a group of checkboxes those that are ticked."""
    if isinstance(value, dict):
        return [name.strip() for name, ticked in value.items() if ticked and name.strip()]
    text = json_file.text(value).strip()
    return [text] if text else []


def _bounds(shape: dict[str, Any]) -> shapes.Bounds:
    """Return the box around a shape, or raise ValueError with what is wrong with it."""
    kind, number = shape.get("name"), functools.partial(json_file.number_at, shape)
    if kind == "rect":
        x, y, width, height = map(number, ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    if kind == "circle":
        return shapes.ellipse((number("cx"), number("cy")), (number("r"), number("r")))
    if kind == "ellipse":
        turn = math.degrees(number("theta")) if "theta" in shape else 0.0
        return shapes.ellipse((number("cx"), number("cy")), (number("rx"), number("ry")), turn)
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or len(xs) < 3:
            raise ValueError("its all_points_x and all_points_y are no lists of three or more numbers")
        return shapes.around(json_file.points([list(pair) for pair in zip(xs, ys, strict=True)]))
    raise ValueError(f"a shape called {reprlib.repr(kind)} has no box")


FORMAT = Format(title="VGG Image Annotator (VIA)", find=_find, sources=_sources)
read = FORMAT.read
