"""LabelMe JSON: one file a photo, as wkentaro's LabelMe writes it.

``{"shapes": [{"label", "points", "shape_type", "group_id"}], "imagePath", "imageData", "imageHeight",
"imageWidth"}``. The photo that may be inside (``imageData``) is not looked at; it has to lie in the folder.
https://github.com/wkentaro/labelme

An annotation belongs to the photo that its ``imagePath`` names, or to the one that has its own name; where both exist
and differ, that is an error. Of a polygon, a circle, a rotated rectangle and a mask the box around it is taken;
polygons and masks of one label and one ``group_id`` are one object in several pieces, as in LabelMe's own exports. A
flag ``difficult`` of a shape, in LabelMe's ``flags`` or in X-AnyLabeling's own place, makes its object a difficult one.
Points and lines have no box: an error. Without annotations, `read` takes the JSON files beside the photos.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from tfod_helpers.formats import folders, parsing, shapes
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_difficult
from tfod_helpers.photos.folder import PhotoFolder

_ENDINGS = (".json",)
_LOOKED_AT = 3  # files of a folder
_OTHER_KEYS = {"version", "flags", "imagePath", "imageData", "imageHeight", "imageWidth"}
_CORNERS = ("rectangle", "mask")  # shapes of two points
_OUTLINES = ("polygon", "oriented_rectangle", None)  # None: before version 3.3 all shapes were polygons
_PIECES = ("polygon", "mask", None)  # shapes that may be one of several pieces of an object
_REDRAW = "Draw it again, or delete it."


def _find(folder: Path) -> list[Part]:
    """Return the folders with LabelMe files, the folder itself or its subfolders, with their photos."""
    if _is_ours(folder):
        return [Part(folders.photos_near(folder, folder), folder)]
    places = [place for place in folders.subfolders(folder) if _is_ours(place)]
    splits = [folders.split_name(place.name) for place in places]
    return [
        Part(folders.photos_near(folder, place, split), place, split)
        for place, split in zip(places, splits, strict=True)
    ]


def _sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    for part in parts:
        photos = PhotoFolder(part.images, deep=True, only=part.only)
        names = folders.annotation_files(part, _ENDINGS)
        names = [name for name in names if part.only is None or Path(name).stem in part.only]
        yield Source(photos, names, functools.partial(_read_file, part.annotations), part.split)


def _is_ours(folder: Path) -> bool:
    names = folders.names_in(folder, _ENDINGS, most=3)
    return any(_is_annotation(parsing.beginning_of_json(folder / name)) for name in names)


def _is_annotation(data: Any) -> bool:
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list) or not _OTHER_KEYS & set(data):
        return False
    return all(isinstance(shape, dict) for shape in data["shapes"])


def _read_file(folder: Path, name: str) -> RawImage:
    """Return what one file says; where it cannot be read, a raw image that has nothing but a fault."""
    stem = Path(name).stem
    try:
        data = parsing.parse_json(parsing.contents(folder / name))
    except parsing.UnusableError as error:
        return RawImage(name, stem=stem, fault=error.args)
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        fix = "Move it away: this is no LabelMe annotation."
        return RawImage(name, stem=stem, fault=("it has no list of shapes", fix))
    size = data.get("imageWidth"), data.get("imageHeight")
    objects = list(_objects(data["shapes"], (parsing.number(size[0]), parsing.number(size[1]))))
    return RawImage(name, "", parsing.text(data.get("imagePath")), stem, size, objects)


def _objects(items: list[Any], size: tuple[float | None, float | None]) -> Iterator[RawObject]:
    """Yield each object: a shape, or all shapes of one label and group that are pieces of it."""
    pieces: dict[tuple[str, str], RawObject] = {}
    for number, item in enumerate(items, start=1):
        piece = _object(f"shape {number}", item, size)
        group = "" if piece.fault or item.get("shape_type") not in _PIECES else parsing.text(item.get("group_id"))
        if not group:
            yield piece
            continue
        key = piece.name, group
        if key in pieces:
            known = pieces[key]
            corners = cast("list[float]", [*known.coordinates, *piece.coordinates])
            bounds = shapes.around(list(zip(corners[::2], corners[1::2], strict=True)))
            difficult = known.difficult or piece.difficult
            piece = RawObject(f"{known.place} and {number}", piece.name, bounds, difficult=difficult)
        pieces[key] = piece
    yield from pieces.values()


def _object(place: str, item: Any, size: tuple[float | None, float | None]) -> RawObject:
    if not isinstance(item, dict):
        return RawObject(place, "", (), (f"it is {reprlib.repr(item)}, not a shape with points", _REDRAW))
    name, kind = parsing.text(item.get("label")).strip(), item.get("shape_type")
    found = RawObject.around(place, name, _REDRAW, _bounds, kind, item.get("points"), size)
    return dataclasses.replace(found, difficult=is_difficult(item, item.get("flags"), item.get("attributes")))


def _bounds(kind: Any, pairs: Any, size: tuple[float | None, float | None]) -> shapes.Bounds:
    """Return the box around a shape, or raise ValueError with what is wrong with it."""
    if not isinstance(kind, str | None) or kind not in (*_CORNERS, *_OUTLINES, "circle"):
        raise ValueError(f"a shape of type {reprlib.repr(kind)} has no box")
    points = parsing.points(pairs)
    if len(points) < 3 if kind in _OUTLINES else len(points) != 2:
        raise ValueError(f"a {kind or 'polygon'} cannot have {len(points)} point{'s' * (len(points) != 1)}")
    if kind == "circle":  # its centre, and a point of the rim
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        return shapes.clipped(shapes.ellipse((x, y), (radius, radius)), size)
    if kind == "oriented_rectangle":
        return shapes.clipped(shapes.around(points), size)
    xmin, ymin, xmax, ymax = shapes.around(points)
    pixel = kind == "mask"  # its corners are its first and its last pixel
    return xmin, ymin, xmax + pixel, ymax + pixel


FORMAT = Format(title="LabelMe JSON", find=_find, sources=_sources, beside=lambda folder: [Part(folder, folder)])
read = FORMAT.read
