"""One result of a Label Studio annotation -> the box around it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tfod_helpers.formats import parsing, shapes
from tfod_helpers.formats.raw import RawObject

_LABELLED = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "labels")
_BARE = ("rectangle", "polygon", "ellipse", "brush", "keypoint")  # drawn, and labelled in another result or not at all
# Results about a shape that has its own result, or about the whole image.
_ABOUT = ("choices", "datetime", "number", "pairwise", "ranker", "rating", "relation", "taxonomy", "textarea")
_SIZE = ("original_width", "original_height")
_CHANNELS = 4  # of a brush stroke's pixel; the last one is alpha
_REDRAW = "Draw it again in Label Studio, or delete it."


def _is_shape(item: dict[str, Any]) -> bool:
    """Return whether an entry of JSON-MIN is a labelled shape."""
    return any(key in item for key in _LABELLED) and _has_place(item)


def tags_with_shapes(entries: Any) -> set[str]:
    """Return the tags under which entries of JSON-MIN have shapes."""
    return {
        tag
        for entry in parsing.dicts(entries)
        for tag, value in entry.items()
        if any(map(_is_shape, parsing.dicts(value)))
    }


def from_minimal(entry: dict[str, Any], tags: set[str]) -> dict[str, Any]:
    """Return an entry of JSON-MIN as a task of the full JSON; the tags have shapes in some entry."""
    drawn = [entry[tag] for tag in sorted(tags & entry.keys())]
    # It does not give the image that a shape is on; where only one tag draws, it is the project's image.
    target = {"to_name": "image"} if len(tags) == 1 else {}
    odd = [items for items in drawn if not isinstance(items, list)]
    results = odd[0] if odd else [_result(item) | target for items in drawn for item in items]
    return {"data": entry, "annotations": [{"result": results}]}


def _result(item: Any) -> dict[str, Any]:
    value = parsing.mapping(item)
    kind = next((key for key in _LABELLED if key in value), "")
    return {"type": kind, "value": item, **{key: value.get(key) for key in _SIZE}}


def labelled(result: list[Any]) -> Iterator[Any]:
    """Yield the results that are shapes on the image, each once.

    A shape drawn with one tag and labelled with another comes as two results with one id; choices and
    texts that belong to a shape come with its id as well, and with its place.
    """
    named = {parsing.text_at(item, "id") for item in result if _kind(item) in _LABELLED} - {""}
    for item in result:
        kind, value = _kind(item), parsing.mapping(parsing.mapping(item).get("value"))
        is_drawn = kind in _BARE or (kind not in _ABOUT and _has_place(value))
        if not kind or kind in _LABELLED or (is_drawn and parsing.text_at(item, "id") not in named):
            yield item


def _has_place(value: dict[str, Any]) -> bool:
    return any(key in value for key in ("x", "y", "points", "rle"))


def to_object(place: str, item: Any) -> RawObject:
    """Return the object of a result, with the box around it."""
    about, kind = parsing.mapping(item), _kind(item)
    labels = parsing.mapping(about.get("value")).get(kind) if kind in _LABELLED else None
    names = [parsing.text(label).strip() for label in labels] if isinstance(labels, list) else []
    name = names[0] if names else ""
    if len(names) > 1:
        return RawObject(place, name, (), (f"it has {len(names)} labels: {', '.join(names)}", "Give it one."))
    width, height = (parsing.number(about.get(key)) for key in _SIZE)
    in_fractions = not (width and height)
    return RawObject.around(place, name, _REDRAW, _bounds, item, (width, height), in_fractions=in_fractions)


def _kind(item: Any) -> str:
    return parsing.text_at(item, "type").lower()


def _bounds(item: Any, size: shapes.Size) -> shapes.Bounds:
    """Return the box around a shape in pixels, or in fractions where the size is not known; ValueError: what is wrong.

    A rectangle is rotated about its top left corner, an ellipse about its centre.
    """
    value = parsing.dict_at(item, "value", "a shape with a value")
    if _kind(item) not in (*_LABELLED, *_BARE):
        raise ValueError(f"its type is {reprlib.repr(item.get('type'))}, which is no shape that is known")
    if turn := parsing.number(item.get("image_rotation")):
        raise ValueError(f"the image was turned by {turn:g} degrees in Label Studio when it was labelled")
    if "rle" in value:
        return brush_bounds(value["rle"], size)
    if "points" in value:
        return shapes.around([_scaled(point, size) for point in parsing.points(value["points"])])
    turn = parsing.number_at(value, "rotation") if value.get("rotation") else 0.0
    if turn and not all(size):
        raise ValueError("it is turned, and without original_width and original_height the box cannot be known")
    x, y = _scaled(parsing.numbers_at(value, "x", "y"), size)
    if "radiusX" in value:
        radii = _scaled(parsing.numbers_at(value, "radiusX", "radiusY"), size)
        return shapes.clipped(shapes.ellipse(x, y, *radii, degrees=turn), size)
    if "height" not in value and "width" in value:
        raise ValueError("a key point has no box")
    sides = _scaled(parsing.numbers_at(value, "width", "height"), size)
    bounds = shapes.rotated(shapes.sized(x, y, *sides), turn, (x, y))
    return shapes.clipped(bounds, size) if turn else bounds


def _scaled(point: Sequence[float], size: shapes.Size) -> shapes.Point:
    """Return a point in percent as pixels, or as fractions where the size is not known."""
    width, height = (side or 1.0 for side in size) if all(size) else (1.0, 1.0)
    return point[0] / 100 * width, point[1] / 100 * height


# --- brush strokes ---------------------------------------------------------------------------------


def brush_bounds(rle: Any, size: shapes.Size) -> shapes.Bounds:
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
    end = 0
    for value, count in _runs(bytes(rle), width * height * _CHANNELS):
        first, end = end // _CHANNELS, end + count
        last = end // _CHANNELS - 1  # of the pixels whose alpha the run holds
        if value and first <= last:
            top, bottom = first // width, last // width
            # A run that goes on in the next row touches both sides.
            left, right = (first % width, last % width) if top == bottom else (0, width - 1)
            corners += [(left, top), (right + 1, bottom + 1)]
    if not corners:
        raise ValueError("nothing of the brush stroke is left")
    return shapes.around(corners)


def _runs(data: bytes, values: int) -> Iterator[tuple[int, int]]:
    """Yield each value with the number of times that it is repeated.

    The bits hold the number of values (32 bits), how many bits a value has less one (5), and four sizes of counts
    less one (4 each). Then come runs: a bit whether one value repeats, which of the four sizes its count has (2), the
    count less one, and the value, or that many values.
    """
    bits = iter("".join(f"{one:08b}" for one in data))

    def take(count: int) -> int:
        taken = "".join(islice(bits, count))
        if len(taken) < count:
            raise ValueError("the brush stroke is cut off")
        return int(taken, 2)

    there = take(32)
    if there != values:
        raise ValueError(f"the brush stroke has {there // _CHANNELS} pixels, and the image {values // _CHANNELS}")
    width = take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    while values:
        repeats, count = take(1), take(sizes[take(2)]) + 1
        values -= count
        if values < 0:
            raise ValueError("the brush stroke is longer than the image")
        if repeats:
            yield take(width), count
        else:
            yield from ((take(width), 1) for _ in range(count))
