"""One shape element of CVAT's XML -> the box around it."""

from __future__ import annotations

from lxml import etree

from tfod_helpers.formats import shapes, xml_file
from tfod_helpers.formats.raw import RawObject

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_CUBOID = [f"{axis}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for axis in "xy"]
_REDRAW = "Correct it in CVAT and export again, or delete it."


def to_object(place: str, shape: etree._Element, label: str, size: tuple[str | None, str | None]) -> RawObject:
    """Return what a shape says, with the box around it.

    Args:
        place: where it is, for the report.
        shape: such as ``<box>`` or ``<polygon>``.
        label: its class.
        size: width and height of the image; turned and round shapes are clipped to it.
    """
    name, kind = label.strip(), xml_file.name(shape)
    if kind == "box" and "rotation" not in shape.attrib:
        return RawObject(place, name, [shape.get(side) for side in _CORNERS])
    if kind not in _BOUNDS:
        return RawObject(place, name, (), (f"<{kind}> has no box", "Draw a rectangle around the object, or delete it."))
    try:
        bounds = _BOUNDS[kind](shape)
    except ValueError as error:
        return RawObject(place, name, (), (str(error), _REDRAW))
    if kind in ("box", "ellipse", "cuboid"):
        bounds = shapes.clipped(bounds, (_float(size[0]), _float(size[1])))
    return RawObject(place, name, bounds)


def _box(shape: etree._Element) -> shapes.Bounds:
    """Return the box around a turned rectangle; CVAT gives the rectangle as it was before it was turned."""
    xtl, ytl, xbr, ybr = (_number(shape, side) for side in _CORNERS)
    return shapes.turned((xtl, ytl, xbr, ybr), _turn(shape))


def _ellipse(shape: etree._Element) -> shapes.Bounds:
    cx, cy, rx, ry = (_number(shape, key) for key in ("cx", "cy", "rx", "ry"))
    return shapes.ellipse((cx, cy), (rx, ry), _turn(shape))


def _polygon(shape: etree._Element) -> shapes.Bounds:
    text = shape.get("points", "")
    points = [tuple(map(_float, pair.split(","))) for pair in text.split(";")]
    if len(points) < 3 or any(len(point) != 2 or None in point for point in points):
        raise ValueError(f"its points are {text[:40]!r}, not three or more of x,y")
    return shapes.around(points)  # type: ignore[arg-type]  # none of them is None


def _mask(shape: etree._Element) -> shapes.Bounds:
    left, top, width, height = (_number(shape, key) for key in ("left", "top", "width", "height"))
    return left, top, left + width, top + height


def _cuboid(shape: etree._Element) -> shapes.Bounds:
    values = [_number(shape, key) for key in _CUBOID]
    return shapes.around(list(zip(values[::2], values[1::2], strict=True)))


_BOUNDS = {"box": _box, "ellipse": _ellipse, "polygon": _polygon, "mask": _mask, "cuboid": _cuboid}


def _turn(shape: etree._Element) -> float:
    return _number(shape, "rotation") if "rotation" in shape.attrib else 0.0


def _number(shape: etree._Element, key: str) -> float:
    value = _float(shape.get(key))
    if value is None:
        raise ValueError(f"{key} is {shape.get(key)!r}, not a number" if key in shape.attrib else f"{key} is missing")
    return value


def _float(text: str | None) -> float | None:
    """Return a finite number, None where the text is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") and "_" not in (text or "") else None
