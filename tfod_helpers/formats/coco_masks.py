"""Outlines as COCO writes them: looked through before `pycocotools` sees them, which ends the process on bad ones.

A mask is run-length encoded down the columns: how many pixels are outside, then inside, then outside, ...
In the compressed form each length, from the third on less the one two before, is written in groups of 5 bits, as
``rleToString`` of pycocotools/common/maskApi.c does.
"""

from __future__ import annotations

import reprlib
from typing import Any

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
        lengths = counts if isinstance(counts, list) else lengths_of(counts)
    except (ValueError, TypeError, AttributeError):
        return f"has counts that cannot be read: {reprlib.repr(counts)}"
    if any(isinstance(length, bool) or not isinstance(length, int) or length < 0 for length in lengths):
        return f"has counts that are no lengths: {reprlib.repr(counts)}"
    if sum(lengths) != size[0] * size[1]:
        return f"covers {sum(lengths)} pixels, and the image has {shown}"
    return None


def lengths_of(text: str) -> list[int]:
    """Return the lengths in a compressed run-length encoding.

    Raises:
        ValueError: it is none.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text.encode("ascii"):
        bits = letter - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{chr(letter)!r} is no part of a run-length encoding")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("it is cut off")
    return lengths


def area(counts: bytes, width: int, height: int) -> float:
    """Return how many pixels a mask has, given as compressed run-length encoding."""
    from pycocotools import mask

    return float(mask.area({"size": [height, width], "counts": counts}))
