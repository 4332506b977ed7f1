"""LabelMe JSON: one file a photo, as wkentaro's LabelMe, AnyLabeling and X-AnyLabeling write it.

``{"shapes": [{"label", "points", "shape_type", "group_id"}], "imagePath", "imageData", "imageHeight",
"imageWidth"}``. https://github.com/wkentaro/labelme

An annotation belongs to the photo that its ``imagePath`` names, or to the one that has its own name; where both exist
and differ, that is an error. Where there is neither, the photo that may be inside (``imageData``) is taken out of it.
Of a polygon, a circle, a rotated rectangle and a mask the box around it is taken; polygons and masks of one label and
one ``group_id`` are one object in several pieces, as in LabelMe's own exports. A flag ``difficult`` of a shape, in
LabelMe's ``flags`` or in X-AnyLabeling's own place, makes its object a difficult one. Points and lines have no box: an
error. Without annotations, `read` takes the JSON files beside the photos; `formats.read` finds them in any folder. Its
option ``folder`` is where photos are put that are taken out; None takes ``<folder with the annotations>_photos``.
"""

from __future__ import annotations

import base64
import functools
import math
import os
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from tfod_helpers.files import storage
from tfod_helpers.formats import folders, parsing, shapes
from tfod_helpers.formats.format import Format, photos_taken_out
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_difficult
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import DatasetError

_ENDINGS = (".json",)
_OTHER_KEYS = {"version", "flags", "imagePath", "imageData", "imageHeight", "imageWidth"}
# How many points a shape has; None: before version 3.3 all shapes were polygons. X-AnyLabeling gives a rectangle's four
# corners, and calls it a rotation where it is turned.
_POINTS: dict[str | None, Sequence[int]] = {
    "rectangle": (2, 4),
    "mask": (2,),
    "circle": (2,),
    "rotation": (4,),
    **dict.fromkeys(("oriented_rectangle", "quadrilateral", "cuboid", "polygon", None), parsing.AT_LEAST_THREE),
}
_TURNED = ("rotation", "oriented_rectangle")  # their corners may lie outside though the object does not
_PIECES = ("polygon", "mask", None)  # shapes that may be one of several pieces of an object
_REDRAW = "Draw it again, or delete it."


def _sources(
    parts: Sequence[Part], reading: Reading, *, folder: str | os.PathLike[str] | None = None
) -> Iterator[Source]:
    for part in parts:
        names = folders.annotation_files(part, _ENDINGS)
        names = [name for name in names if part.only is None or folders.stem(name) in part.only]
        try:
            photos = PhotoFolder(part.images, deep=True, only=part.only)
        except DatasetError:
            photos = None
        title = f"{part.annotations.absolute().name}_photos"
        target = storage.join(folder, title) if folder else part.annotations.absolute().with_name(title)
        found = Reading(str(part.annotations))
        inside = dict.fromkeys(_take_out(_photos_inside(part, names, photos), target, found))
        if found.problems and not photos and not inside:
            raise DatasetError(found.problems, found.where)
        reading.problems += found.problems
        to_raw = functools.partial(_read_file, part.annotations)
        if photos or not inside:
            rest = [name for name in names if name not in inside]
            yield Source(photos or PhotoFolder(part.images), rest, to_raw, part.split)
        if inside:
            yield Source(PhotoFolder(storage.local_place(target)), list(inside), to_raw, part.split)


def _photos_inside(part: Part, names: Sequence[str], photos: PhotoFolder | None) -> Iterator[tuple[str, bytes]]:
    """Yield the annotations without a photo in the folder, each with the bytes of the one inside, if there is one."""
    for name in names:
        if photos and photos.find("", folders.stem(name)):
            continue
        try:
            data = parsing.parse_json(parsing.contents(part.annotations / name))
            encoded = parsing.text_at(data, "imageData").rpartition(",")[2]  # of a data:image/jpeg;base64, too
            photo = base64.b64decode(encoded)
        except (parsing.UnusableError, ValueError):
            continue
        if photo and not (photos and photos.find(parsing.text_at(data, "imagePath"), "")):
            yield name, photo


def _take_out(found: Iterator[tuple[str, bytes]], target: storage.AnyPath, reading: Reading) -> list[str]:
    """Write the photos to a folder, if there are any; return the annotations that they were in."""
    first = next(found, None)
    if first is None:
        return []
    with photos_taken_out(target, reading.problems) as save:
        inside = [name for name, photo in (first, *found) if save(name, "imageData", folders.stem(name), photo)]
    what = f"of {len(inside)} annotations the photo was missing and taken out of imageData, such as of {first[0]}"
    reading.add(str(target), what, "Nothing needs to be done.", "note", "photo taken out")
    return inside


def _is_ours(path: Path) -> bool:
    data = parsing.mapping(parsing.beginning_of_json(path))
    items = data.get("shapes")
    return isinstance(items, list) and len(parsing.dicts(items)) == len(items) and bool(_OTHER_KEYS & data.keys())


def _read_file(folder: Path, name: str) -> RawImage:
    """Return the annotation in a file; where it cannot be read, a raw image that has nothing but a fault."""
    stem = Path(name).stem
    try:
        data = parsing.mapping(parsing.parse_json(parsing.contents(folder / name)))
        if not isinstance(items := data.get("shapes"), list):
            raise parsing.UnusableError("it has no list of shapes", "Move it away: this is no LabelMe annotation.")
    except parsing.UnusableError as error:
        return RawImage(name, stem=stem, fault=error.args)
    size = data.get("imageWidth"), data.get("imageHeight")
    objects = list(_objects(items, (parsing.number(size[0]), parsing.number(size[1]))))
    return RawImage(name, "", parsing.text_at(data, "imagePath"), stem, size, objects)


def _objects(items: list[Any], size: shapes.Size) -> Iterator[RawObject]:
    """Yield each object: a shape, or all shapes of one label and group that are pieces of it."""
    pieces: dict[tuple[str, str], list[RawObject]] = defaultdict(list)
    for number, item in enumerate(items, start=1):
        piece = _object(f"shape {number}", item, size)
        group = "" if piece.fault or item.get("shape_type") not in _PIECES else parsing.text_at(item, "group_id")
        if group:
            pieces[piece.name, group].append(piece)
        else:
            yield piece
    for (name, _), same in pieces.items():
        corners = cast("list[shapes.Point]", [one.coordinates[at : at + 2] for one in same for at in (0, 2)])
        difficult = any(one.difficult for one in same)
        yield RawObject(" and ".join(one.place for one in same), name, shapes.around(corners), difficult=difficult)


def _object(place: str, item: Any, size: shapes.Size) -> RawObject:
    name, about = parsing.text_at(item, "label").strip(), parsing.mapping(item)
    difficult = is_difficult(about, about.get("flags"), about.get("attributes"))
    return RawObject.around(place, name, _REDRAW, _bounds, item, size, difficult=difficult)


def _bounds(item: Any, size: shapes.Size) -> shapes.Bounds:
    """Return the box around a shape, or raise ValueError with what is wrong with it."""
    if not isinstance(item, dict):
        raise ValueError(f"it is {reprlib.repr(item)}, not a shape with points")
    kind = item.get("shape_type")
    if not isinstance(kind, str | None) or kind not in _POINTS:
        raise ValueError(f"a shape of type {reprlib.repr(kind)} has no box")
    points = parsing.points(item.get("points"), kind or "polygon", _POINTS[kind])
    if kind == "circle":  # its centre, and a point of the rim
        (x, y), rim = points
        radius = math.dist((x, y), rim)
        return shapes.clipped(shapes.ellipse(x, y, radius, radius), size)
    if kind in _TURNED:
        return shapes.clipped(shapes.around(points), size)
    xmin, ymin, xmax, ymax = shapes.around(points)
    pixel = kind == "mask"  # its corners are its first and its last pixel
    return xmin, ymin, xmax + pixel, ymax + pixel


FORMAT = Format(
    title="LabelMe JSON",
    find=functools.partial(folders.find_parts, ".json", _is_ours, folders.parts_of),
    sources=_sources,
    beside=lambda folder: [Part(folder, folder)],
)
read = FORMAT.read
