"""Outlines as COCO writes them: looked through before `pycocotools` sees them, which ends the process on bad ones."""

from __future__ import annotations

import reprlib
from typing import Any

from tfod_helpers.annotations import masks
from tfod_helpers.formats import json_file


def outline_fault(outline: Any, size: tuple[Any, Any]) -> str | None:
    """Say what is wrong with an outline, or None where it can be used.

    Args:
        outline: polygons ``[[x, y, x, y, x, y, ...], ...]``, or ``{"size": [height, width], "counts": ...}``.
        size: ``(width, height)`` of the image, as its entry says it.
    """
    if isinstance(outline, list):
        for polygon in outline:
            if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
                return f"has {reprlib.repr(polygon)}, not three points or more, x and y by turns"
            if any(json_file.number(value) is None or abs(value) > 1e6 for value in polygon):
                return f"has {reprlib.repr(polygon)}, not all of them numbers of pixels"
        return None
    if None in size:
        return "is a mask, and the image's entry gives no width and height"
    shown = f"{size[0]:g} x {size[1]:g}"
    if not isinstance(outline, dict) or outline.get("size") != [size[1], size[0]]:
        return f"is {reprlib.repr(outline)}, neither polygons nor a mask of {shown}"
    counts = outline.get("counts")
    try:
        lengths = counts if isinstance(counts, list) else masks.run_lengths(counts.encode("ascii"))
    except (ValueError, TypeError, AttributeError):
        return f"has counts that cannot be read: {reprlib.repr(counts)}"
    if any(isinstance(length, bool) or not isinstance(length, int) or length < 0 for length in lengths):
        return f"has counts that are no lengths: {reprlib.repr(counts)}"
    if sum(lengths) != size[0] * size[1]:
        return f"covers {sum(lengths)} pixels, and the image has {shown}"
    return None


def area(counts: bytes, width: int, height: int) -> float:
    """Return how many pixels a mask has, given as compressed run-length encoding."""
    from pycocotools import mask

    return float(mask.area({"size": [height, width], "counts": counts}))
