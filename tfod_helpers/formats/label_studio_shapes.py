"""One result of a Label Studio annotation -> the box around it."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Iterator
from typing import Any

from tfod_helpers.formats import json_file, label_studio_brush, shapes
from tfod_helpers.formats.raw import RawObject

_LABELLED = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "labels")
_BARE = ("rectangle", "polygon", "ellipse", "brush", "keypoint")  # drawn, and labelled in another result or not at all
_REDRAW = "Draw it again in Label Studio, or delete it."


def is_shape(item: dict[str, Any]) -> bool:
    """Return whether an entry of JSON-MIN is a labelled shape."""
    return any(key in item for key in _LABELLED) and any(key in item for key in ("x", "points", "rle"))


def from_minimal(entry: dict[str, Any]) -> list[Any]:
    """Return the shapes of one entry of JSON-MIN as results of the full JSON."""
    results = []
    for value in entry.values():
        for item in filter(is_shape, json_file.dicts(value)):
            kind = next(key for key in _LABELLED if key in item)
            sizes = {key: item.get(key) for key in ("original_width", "original_height")}
            results.append({"type": kind, "value": item, **sizes})
    return results


def labelled(result: list[Any]) -> Iterator[Any]:
    """Yield the results that are shapes on the image, each once.

    A shape drawn with one tag and labelled with another comes as two results with one id; choices and
    texts that belong to a shape come with its id as well.
    """
    named = {json_file.text(item.get("id")) for item in json_file.dicts(result) if _kind(item) in _LABELLED} - {""}
    for item in result:
        kind = _kind(item)
        is_bare = kind in _BARE and json_file.text(item.get("id")) not in named
        if not isinstance(item, dict) or kind in _LABELLED or is_bare:
            yield item


def to_object(place: str, item: Any) -> RawObject:
    """Return what a result says, with the box around it."""
    value = item.get("value") if isinstance(item, dict) else None
    if not isinstance(value, dict):
        return RawObject(place, "", (), (f"it is {reprlib.repr(item)}, not a shape with a value", _REDRAW))
    labels = value.get(_kind(item), [])
    names = [json_file.text(label).strip() for label in labels] if isinstance(labels, list) else []
    name = names[0] if names else ""
    if len(names) > 1:
        return RawObject(place, name, (), (f"it has {len(names)} labels: {', '.join(names)}", "Give it one."))
    size = json_file.number(item.get("original_width")), json_file.number(item.get("original_height"))
    try:
        if turn := json_file.number(item.get("image_rotation")):
            raise ValueError(f"the image was turned by {turn:g} degrees in Label Studio when it was labelled")
        bounds = _bounds(value, size)
    except ValueError as error:
        return RawObject(place, name, (), (str(error), _REDRAW))
    return RawObject(place, name, bounds, in_fractions=not all(size))


def _kind(item: Any) -> str:
    kind = json_file.text(item.get("type")) if isinstance(item, dict) else ""
    return kind.lower()


def _bounds(value: dict[str, Any], size: tuple[float | None, float | None]) -> shapes.Bounds:
    """Return the box around a shape in pixels, or in fractions where the size is not known; ValueError: what is wrong.

    A rectangle is turned about its top left corner, an ellipse about its centre.
    """
    if "rle" in value:
        return label_studio_brush.bounds(value["rle"], size)
    if "points" in value:
        points = [_scaled(point, size) for point in json_file.points(value["points"])]
        if len(points) < 3:
            raise ValueError(f"a polygon cannot have {len(points)} point{'s' * (len(points) != 1)}")
        return shapes.around(points)
    number = functools.partial(json_file.number_at, value)
    turn = number("rotation") if value.get("rotation") else 0.0
    if turn and not all(size):
        raise ValueError("it is turned, and without original_width and original_height the box cannot be known")
    x, y = _scaled((number("x"), number("y")), size)
    if "radiusX" in value:
        radii = _scaled((number("radiusX"), number("radiusY")), size)
        return shapes.clipped(shapes.ellipse((x, y), radii, turn), size)
    if "height" not in value and "width" in value:
        raise ValueError("a key point has no box")
    width, height = _scaled((number("width"), number("height")), size)
    bounds = shapes.turned((x, y, x + width, y + height), turn, (x, y))
    return shapes.clipped(bounds, size) if turn else bounds


def _scaled(point: shapes.Point, size: tuple[float | None, float | None]) -> shapes.Point:
    """Return a point in percent as pixels, or as fractions where the size is not known."""
    width, height = (side or 1.0 for side in size) if all(size) else (1.0, 1.0)
    return point[0] / 100 * width, point[1] / 100 * height
