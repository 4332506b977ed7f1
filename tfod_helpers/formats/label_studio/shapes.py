"""One result of a Label Studio annotation -> the box around it."""

from __future__ import annotations

import dataclasses
import functools
import reprlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tfod_helpers.formats import parsing, shapes
from tfod_helpers.formats.raw import RawObject

_LABELLED = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "labels")
_BARE = ("rectangle", "polygon", "ellipse", "brush", "keypoint")  # drawn, and labelled in another result or not at all
# What is said of a shape that has its own result, or of the whole image.
_ABOUT = ("choices", "datetime", "number", "pairwise", "ranker", "rating", "relation", "taxonomy", "textarea")
_ALPHA, _CHANNELS = 3, 4
_REDRAW = "Draw it again in Label Studio, or delete it."


def is_shape(item: dict[str, Any]) -> bool:
    """Return whether an entry of JSON-MIN is a labelled shape."""
    return any(key in item for key in _LABELLED) and _has_place(item)


def tags_with_shapes(entries: Any) -> set[str]:
    """Return the tags under which entries of JSON-MIN have shapes."""
    return {
        tag
        for entry in parsing.dicts(entries)
        for tag, value in entry.items()
        if any(map(is_shape, parsing.dicts(value)))
    }


def from_minimal(entry: dict[str, Any], tags: set[str]) -> list[Any]:
    """Return the shapes of one entry of JSON-MIN as results of the full JSON; the tags have shapes in some entry.

    Raises:
        UnusableError: what such a tag has is no list.
    """
    results: list[Any] = []
    for tag in sorted(tags & entry.keys()):
        if not isinstance(entry[tag], list):
            what = f"what {tag!r} says is {reprlib.repr(entry[tag])}, not a list of shapes"
            raise parsing.UnusableError(what, "Export the project again from Label Studio, as JSON.")
        for item in entry[tag]:
            value = parsing.mapping(item)
            kind = next((key for key in _LABELLED if key in value), "")
            sizes = {key: value.get(key) for key in ("original_width", "original_height")}
            # It does not say on which image; where only one tag draws, it is the project's image.
            target = {"to_name": "image"} if len(tags) == 1 else {}
            results.append({"type": kind, "value": item, **sizes, **target})
    return results


def labelled(result: list[Any]) -> Iterator[Any]:
    """Yield the results that are shapes on the image, each once.

    A shape drawn with one tag and labelled with another comes as two results with one id; choices and
    texts that belong to a shape come with its id as well, and with its place.
    """
    named = {parsing.text(item.get("id")) for item in parsing.dicts(result) if _kind(item) in _LABELLED} - {""}
    for item in result:
        kind, about = _kind(item), parsing.mapping(item)
        is_drawn = kind in _BARE or (kind not in _ABOUT and _has_place(parsing.mapping(about.get("value"))))
        if not kind or kind in _LABELLED or (is_drawn and parsing.text(about.get("id")) not in named):
            yield item


def _has_place(value: dict[str, Any]) -> bool:
    return any(key in value for key in ("x", "y", "points", "rle"))


def to_object(place: str, item: Any) -> RawObject:
    """Return what a result says, with the box around it."""
    value = item.get("value") if isinstance(item, dict) else None
    if not isinstance(value, dict):
        return RawObject(place, "", (), (f"it is {reprlib.repr(item)}, not a shape with a value", _REDRAW))
    if (kind := _kind(item)) not in (*_LABELLED, *_BARE):
        what = f"its type is {reprlib.repr(item.get('type'))}, which is no shape that is known"
        return RawObject(place, "", (), (what, _REDRAW))
    labels = value.get(kind, [])
    names = [parsing.text(label).strip() for label in labels] if isinstance(labels, list) else []
    name = names[0] if names else ""
    if len(names) > 1:
        return RawObject(place, name, (), (f"it has {len(names)} labels: {', '.join(names)}", "Give it one."))
    size = parsing.number(item.get("original_width")), parsing.number(item.get("original_height"))
    if turn := parsing.number(item.get("image_rotation")):
        what = f"the image was turned by {turn:g} degrees in Label Studio when it was labelled"
        return RawObject(place, name, (), (what, _REDRAW))
    found = RawObject.around(place, name, _REDRAW, _bounds, value, size)
    return dataclasses.replace(found, in_fractions=not all(size))


def _kind(item: Any) -> str:
    kind = parsing.text(item.get("type")) if isinstance(item, dict) else ""
    return kind.lower()


def _bounds(value: dict[str, Any], size: tuple[float | None, float | None]) -> shapes.Bounds:
    """Return the box around a shape in pixels, or in fractions where the size is not known; ValueError: what is wrong.

    A rectangle is rotated about its top left corner, an ellipse about its centre.
    """
    if "rle" in value:
        return brush_bounds(value["rle"], size)
    if "points" in value:
        points = [_scaled(point, size) for point in parsing.points(value["points"])]
        if len(points) < 3:
            raise ValueError(f"a polygon cannot have {len(points)} point{'s' * (len(points) != 1)}")
        return shapes.around(points)
    number = functools.partial(parsing.number_at, value)
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
    bounds = shapes.rotated((x, y, x + width, y + height), turn, (x, y))
    return shapes.clipped(bounds, size) if turn else bounds


def _scaled(point: shapes.Point, size: tuple[float | None, float | None]) -> shapes.Point:
    """Return a point in percent as pixels, or as fractions where the size is not known."""
    width, height = (side or 1.0 for side in size) if all(size) else (1.0, 1.0)
    return point[0] / 100 * width, point[1] / 100 * height


# --- brush strokes ---------------------------------------------------------------------------------


def brush_bounds(rle: Any, size: tuple[float | None, float | None]) -> shapes.Bounds:
    """Return the box around the painted pixels, without unpacking them; ValueError where there are none.

    Args:
        rle: a list of whole numbers from 0 to 255, as @thi.ng/rle-pack encodes the red, green, blue and alpha of each
            pixel, row by row. A pixel is painted where its alpha is not 0.
        size: width and height of the image in pixels.
    """
    width, height = (int(side) if side and side >= 1 else 0 for side in size)
    if not isinstance(rle, list) or any(type(one) is not int or not 0 <= one <= 255 for one in rle):
        raise ValueError("its rle is no list of bytes")
    if not width or not height:
        raise ValueError("the brush stroke comes without original_width and original_height")
    corners: list[shapes.Point] = []
    for first, last in _painted(bytes(rle), width * height):
        top, bottom = first // width, last // width
        # A run that goes on in the next row touches both sides.
        left, right = (first % width, last % width) if top == bottom else (0, width - 1)
        corners += [(left, top), (right + 1, bottom + 1)]
    if not corners:
        raise ValueError("nothing of the brush stroke is left")
    return shapes.around(corners)


def _painted(data: bytes, pixels: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last pixel of each run that has alpha.

    The bits say how many values there are (32 bits), how many bits a value has less one (5), and four sizes of counts
    less one (4 each). Then come runs: a bit whether one value repeats, which of the four sizes its count has (2), the
    count less one, and the value, or that many values.
    """
    bits = iter("".join(f"{one:08b}" for one in data))

    def take(count: int) -> int:
        taken = "".join(islice(bits, count))
        if len(taken) < count:
            raise ValueError("the brush stroke is cut off")
        return int(taken, 2)

    values = take(32)
    if values != pixels * _CHANNELS:
        raise ValueError(f"the brush stroke has {values // _CHANNELS} pixels, and the image {pixels}")
    width = take(5) + 1
    counts = [take(4) + 1 for _ in range(4)]
    at = 0
    while at < values:
        repeats, start = take(1), at
        at += take(counts[take(2)]) + 1
        if at > values:
            raise ValueError("the brush stroke is longer than the image")
        if repeats:
            first, last = (start - _ALPHA - 1) // _CHANNELS + 1, (at - 1 - _ALPHA) // _CHANNELS
            if take(width) and first <= last:
                yield first, last
        else:
            for place in range(start, at):
                if take(width) and place % _CHANNELS == _ALPHA:
                    yield place // _CHANNELS, place // _CHANNELS
