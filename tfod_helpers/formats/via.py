"""VGG Image Annotator (VIA): one file for all photos, of version 2 (JSON, project or CSV) or 3 (project).

Each image has regions with a shape and with attributes that the user made up; one of them is the class.
https://www.robots.ox.ac.uk/~vgg/software/via/

Of a circle, an ellipse and a polygon the box around it is taken; points and lines have no box, which is an error.
Without annotations, `read` takes the VIA files in the folder with the photos, or in its subfolders. Its option
``attribute`` is the region attribute that is the class; None takes the only one that all regions have. An attribute
``difficult`` (a text such as 1 or yes, or a ticked box) makes an object a difficult one.
"""

from __future__ import annotations

import functools
import math
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.formats import folders, one_file, parsing, shapes, tables
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_set
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import Problem, refused

_REDRAW = "Draw it again in VIA, or delete it."
_COLUMNS = ("filename", "region_count", "region_shape_attributes", "region_attributes")
_EXPORT_AGAIN = "Export the annotations again from VIA."
# The shapes of version 3 (_via_metadata.js); number 8 is four points of the object's edge.
_SHAPE_NAMES = ("point", "rect", "circle", "ellipse", "line", "polyline", "polygon", "polygon", "extreme circle")
_SHAPES = dict(enumerate(_SHAPE_NAMES, start=1))
_NUMBERS = {"rect": ("x", "y", "width", "height"), "circle": ("cx", "cy", "r"), "ellipse": ("cx", "cy", "rx", "ry")}
_VERSION_3 = ("attribute", "file", "metadata", "view")


def _find(listing: folders.Listing) -> list[Part]:
    """Return the VIA files of a folder, or of its subfolders, with their photos; JSON goes before CSV."""
    return one_file.find(".json", _is_json, listing) or one_file.find(".csv", _is_csv, listing)


def _sources(parts: Sequence[Part], reading: Reading, *, attribute: str | None = None) -> list[Source]:
    files = {part.annotations: _images(part.annotations, reading.problems) for part in parts}
    attribute = _class_attribute([image for images in files.values() for image in images.values()], attribute, reading)
    return one_file.sources(functools.partial(_read_file, files, attribute), parts, reading)


def _class_attribute(images: Sequence[Any], wanted: str | None, reading: Reading) -> str:
    """Return the attribute that is the class: the one wanted, the only one, or the only one that all regions have."""
    named = [image for image in images if parsing.text_at(image, "filename")]  # the others are refused
    regions = [region for image in named for region in parsing.dicts(_regions(image))]
    counts = Counter(
        name
        for region in regions
        for name, value in parsing.mapping(region.get("region_attributes")).items()
        if _values(value) and name.strip() and name.casefold() != "difficult"  # never the class
    )
    candidates = [name for name, count in counts.items() if count == len(regions)] or list(counts)
    if wanted is not None and (wanted in counts or not counts):
        return wanted
    if wanted is None and len(candidates) == 1:
        return candidates[0]
    if not regions:
        return ""
    shown = ", ".join(f"{name!r} ({counts[name]} of {len(regions)} regions)" for name in sorted(candidates))
    what, fix = f"several attributes may be the class: {shown}", "Say which one, with attribute='...'."
    if wanted is not None:
        what = f"no region has the attribute {wanted!r}; there is {', '.join(map(repr, sorted(counts)))}"
    elif not counts:
        what, fix = "no region has an attribute, so none has a class", "Give the regions an attribute in VIA."
    raise refused(reading.where, what, fix, kind="class unknown")


def _read_file(
    files: dict[Path, dict[str, Any]], attribute: str, path: Path, photos: PhotoFolder, reading: Reading
) -> Iterator[tuple[str, RawImage]]:
    for place, image in files[path].items():
        yield "", _raw_image(path.name, place, image, attribute)


def _raw_image(where: str, place: str, image: Any, attribute: str) -> RawImage:
    filename, regions = parsing.text_at(image, "filename"), _regions(image)
    if not filename.strip():
        return RawImage(where, place, fault=(f"it has no filename: {reprlib.repr(image)}", _EXPORT_AGAIN))
    if not isinstance(regions, list):
        return RawImage(where, place, filename, fault=(f"its regions are {reprlib.repr(regions)}", _EXPORT_AGAIN))
    start = f"{place} ({filename}), region"
    objects = [_object(f"{start} {number}", region, attribute) for number, region in enumerate(regions, start=1)]
    return RawImage(where, place, filename, objects=objects, has_size=False)


def _regions(image: Any) -> Any:
    regions = parsing.mapping(image).get("regions")
    return list(regions.values()) if isinstance(regions, dict) else regions  # version 1 numbers them


def _object(place: str, region: Any, attribute: str) -> RawObject:
    attributes = parsing.mapping(parsing.mapping(region).get("region_attributes"))
    names = _values(attributes.get(attribute))
    name = names[0] if names else ""
    if len(names) > 1:
        return RawObject(place, name, (), (f"{attribute!r} has {len(names)} values: {', '.join(names)}", "Choose one."))
    difficult = any(map(is_set, _values(attributes.get("difficult"))))
    return RawObject.around(place, name, _REDRAW, _bounds, region, difficult=difficult)


def _values(value: Any) -> list[str]:
    """Return the values of an attribute: its text, or of a group of checkboxes those that are ticked."""
    if isinstance(value, dict):
        return [name.strip() for name, ticked in value.items() if is_set(ticked) and name.strip()]
    text = parsing.text(value).strip()
    return [text] if text else []


def _bounds(region: Any) -> shapes.Bounds:
    """Return the box around the shape of a region, or raise ValueError with what is wrong with it."""
    shape = parsing.dict_at(region, "shape_attributes", "a region with a shape")
    kind = parsing.text_at(shape, "name")
    numbers = parsing.numbers_at(shape, *_NUMBERS.get(kind, ()))
    if kind == "rect":
        return shapes.sized(*numbers)
    if kind == "circle":
        x, y, radius = numbers
        return shapes.ellipse(x, y, radius, radius)
    if kind == "ellipse":
        turn = parsing.number_at({"theta": 0.0} | shape, "theta")
        return shapes.ellipse(*numbers, degrees=math.degrees(turn))
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise ValueError("its all_points_x and all_points_y are no lists of the same length")
        return shapes.around(parsing.points([list(pair) for pair in zip(xs, ys, strict=True)]))
    raise ValueError(f"a shape called {reprlib.repr(shape.get('name'))} has no box")


# --- the files that VIA writes -------------------------------------------------------------------


def _is_json(path: Path) -> bool:
    data = parsing.mapping(parsing.beginning_of_json(path))
    if {"_via_img_metadata", "_via_settings"} & data.keys() or "vid_list" in parsing.mapping(data.get("project")):
        return True
    first = parsing.mapping(next(iter(data.values()), None))
    return isinstance(first.get("filename"), str) and "regions" in first


def _is_csv(path: Path) -> bool:
    return set(_COLUMNS) <= set(tables.header(path, _COLUMNS))


def _images(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """Return the images of a file as version 2 has them, unchecked, by their places in the file.

    Each should be a dict with a ``filename`` and ``regions``, a list of dicts with ``shape_attributes`` and
    ``region_attributes``.
    """
    if path.suffix.lower() == ".csv":
        return _from_csv(path, problems)
    data = parsing.load_json(path)
    if all(isinstance(parsing.mapping(data).get(key), dict) for key in _VERSION_3):
        return dict(_from_version_3(data))
    images = data.get("_via_img_metadata", data) if isinstance(data, dict) else None
    if not isinstance(images, dict):
        raise parsing.refused(path, "it is no file that VIA writes", _EXPORT_AGAIN)
    return {f"image {number}": image for number, image in enumerate(images.values(), start=1)}


# --- CSV --------------------------------------------------------------------------------------------


def _from_csv(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """Return the images of a table with one row a region; an image without regions has one row too."""
    images: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in tables.read(path, _COLUMNS, problems):
        filename, count, shape, attributes = (row.texts[column] for column in _COLUMNS)
        _, image = images.setdefault(filename, (f"row {row.number}", {"filename": filename, "regions": []}))
        if count.strip() != "0" or shape.strip() not in ("", "{}"):
            image["regions"].append({"shape_attributes": _parsed(shape), "region_attributes": _parsed(attributes)})
    return dict(images.values())


def _parsed(cell: str) -> Any:
    """Return the JSON in a cell; what cannot be read stays text, and is refused with the region."""
    try:
        return parsing.parse_json(cell.encode("utf-8", "replace"))
    except parsing.UnusableError:
        return cell


# --- version 3 --------------------------------------------------------------------------------------


def _from_version_3(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the images of a project of VIA 3, whose regions name a view, and views name a file."""
    regions: dict[str, list[Any]] = defaultdict(list)
    for item in data["metadata"].values():
        if parsing.mapping(item).get("xy") != []:  # else it is about the whole image
            regions[parsing.text_at(item, "vid")].append(_region_of_version_3(item, data["attribute"]))
    of_none = regions.keys() - data["view"].keys()
    for view in sorted(of_none):
        yield f"{len(regions[view])} regions of view {view!r}, which is not there", {"regions": regions[view]}
    for number, (view, about) in enumerate(data["view"].items(), start=1):
        if of_none and view not in regions:
            continue  # it has perhaps lost its own, and is no background
        files = parsing.mapping(about).get("fid_list")
        file = data["file"].get(parsing.text(files[0])) if isinstance(files, list) and len(files) == 1 else None
        image = {"view": view, "fid_list": files, "filename": parsing.text_at(file, "fname")}
        yield f"image {number}", image | {"regions": regions.get(view, [])}


def _region_of_version_3(item: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return a region as version 2 has it.

    The options are the attributes by their numbers: a name, and perhaps the texts of choices by theirs.
    """
    attributes = {}
    for key, value in parsing.mapping(parsing.mapping(item).get("av")).items():
        option = parsing.mapping(options.get(key))
        name, choices = parsing.text_at(option, "aname"), parsing.mapping(option.get("options"))
        chosen = parsing.text(value).split(",") if choices else [parsing.text(value)]  # checkboxes: 0,2
        attributes[name or key] = {parsing.text(choices.get(one, one)): True for one in chosen}
    xy = parsing.mapping(item).get("xy")
    return {"shape_attributes": _shape_of_version_3(xy), "region_attributes": attributes}


def _shape_of_version_3(xy: Any) -> dict[str, Any]:
    kind, *numbers = xy if isinstance(xy, list) and xy and isinstance(xy[0], int) else [None]
    name = _SHAPES.get(kind or 0, reprlib.repr(xy))
    keys = _NUMBERS.get(name, ())
    if keys and len(numbers) > len(keys):
        return {"name": f"{name} of {len(numbers)} numbers"}
    outline = {"all_points_x": numbers[::2], "all_points_y": numbers[1::2]} if name == "polygon" else {}
    return {"name": name, **dict(zip(keys, numbers, strict=False)), **outline}


FORMAT = Format(title="VGG Image Annotator (VIA)", find=_find, sources=_sources)
read = FORMAT.read
