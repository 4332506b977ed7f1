"""One raw image against its photo: its size with the photo's header, its classes and its boxes."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfod_helpers import photos
from tfod_helpers.annotations import BoxFault, LabelMap, box_fault, name_fault
from tfod_helpers.formats.raw import Coordinate, RawImage, RawObject
from tfod_helpers.problems import Problem, did_you_mean

COORDINATES = ("xmin", "ymin", "xmax", "ymax")
_FIX_BOX = "Fix the box or delete the object."
# Pixels: programs round, and write fractions with few digits; so little over the edge is no mistake of a person.
_ROUNDING = 0.5


class Checked(NamedTuple):
    """The objects of one image that are right; their classes have no ids yet.

    Attributes:
        size: ``(width, height)`` of the frame that the boxes are in.
        boxes_xyxy: ``[xmin, ymin, xmax, ymax]`` of each, in pixels.
        names: the class of each.
        crowd: whether each is a crowd.
        difficult: whether each is marked as hard to recognise.
        masks: COCO's compressed run-length encoding of each; None where none were wanted.
    """

    size: tuple[int, int]
    boxes_xyxy: list[tuple[float, float, float, float]]
    names: list[str]
    crowd: list[bool]
    difficult: list[bool]
    masks: list[bytes] | None


def check(raw: RawImage, path: str, known: LabelMap | None, masks: bool, problems: list[Problem]) -> Checked | None:
    """Return the objects that are right, or None where none of the image can be used; add what is wrong."""
    name = path.rpartition("/")[2]
    try:
        info = photos.read_info(path)
    except (photos.PhotoError, OSError) as error:
        what, fix = f"cannot be opened ({getattr(error, 'strerror', '')})", "Check the file and its permissions."
        if isinstance(error, photos.PhotoError):
            what, fix = error.what, error.fix
        problems.append(Problem(where=name, what=what, fix=fix, kind="photo unreadable", photo=path))
        return None
    size = _frame(raw, info, path, problems)
    if size is None:
        return None
    checked = Checked(size, [], [], [], [], [] if masks else None)
    for item in raw.objects:
        box_xyxy, faults = _check_object(item, size, known)
        if box_xyxy and not faults:
            checked.boxes_xyxy.append(box_xyxy)
            checked.names.append(item.name)
            checked.crowd.append(item.crowd)
            checked.difficult.append(item.difficult)
            if checked.masks is not None:
                checked.masks.append(_mask(item.outline, box_xyxy, size))
        for kind, what, fix in faults:
            place = f"{item.place} ({item.name!r})" if item.name else item.place
            problem = raw.problem(what, fix, kind=kind, photo=path)
            problem = dataclasses.replace(problem, object=place, size=size, box_xyxy=box_xyxy, label=item.name)
            problems.append(problem)
    if not raw.objects:
        what, fix = "it has no objects", f"{name} is kept as background."
        problems.append(raw.problem(what, fix, "note", kind="image without objects", photo=path))
    return checked if checked.names or not raw.objects else None


def _mask(outline: Any, box_xyxy: Sequence[float], size: tuple[int, int]) -> bytes:
    """Return an outline, or the box itself where there is none, as COCO's compressed run-length encoding."""
    from pycocotools import mask

    width, height = size
    if isinstance(outline, dict) and isinstance(outline["counts"], bytes | str):
        counts = outline["counts"]
        return counts if isinstance(counts, bytes) else counts.encode()
    if isinstance(outline, dict):
        return mask.frPyObjects(outline, height, width)["counts"]
    xmin, ymin, xmax, ymax = box_xyxy
    polygons = outline or [[xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]]
    return mask.merge(mask.frPyObjects(polygons, height, width))["counts"]


# --- the frame that the boxes are in --------------------------------------------------------------


def _frame(raw: RawImage, info: photos.PhotoInfo, path: str, problems: list[Problem]) -> tuple[int, int] | None:
    """Return the (width, height) that the boxes are in, or None where the annotation contradicts the photo."""
    stored, upright = (info.width, info.height), info.upright_size
    name = path.rpartition("/")[2]
    try:
        size = _whole(raw.size[0]), _whole(raw.size[1])
    except ValueError as error:
        fix = f"Write the size of {name}, {_by(upright)}."
        problems.append(raw.problem(f"the size {error}", fix, kind="size unreadable", photo=path))
        return None
    given = all(size)
    if given and size not in (stored, upright):
        what = f"the size {_by(size)} is not that of {name}, {_by(upright)}"
        fix = "Put back the image that was labelled, or label this one again."
        if size == upright[::-1]:
            what, fix = f"{what}: width and height are swapped", "Swap them, and check the boxes."
        problems.append(raw.problem(what, fix, kind="size differs", photo=path))
        return None
    if not given and raw.has_size:
        fix = f"Taken from {name}: {_by(upright)}."
        problems.append(raw.problem("it gives no size", fix, "note", kind="size not given", photo=path))
    if info.orientation != 1 and (stored == upright or not given):
        what = f"{name} is stored turned or mirrored (EXIF orientation {info.orientation})"
        fix = "It cannot be known which way up it was labelled; taken as viewers show it. Look at its boxes."
        problems.append(raw.problem(what, fix, "warning", kind="way up unknown", photo=path))
    return stored if size == stored != upright else upright


def _whole(value: Coordinate) -> int:
    """Return a width or height; 0 where there is none."""
    text = str(value or "0").strip()
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer() or number < 0:
        raise ValueError(f"has {text!r}, not a whole number of pixels")
    return int(number)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


# --- one object -----------------------------------------------------------------------------------


def _check_object(
    item: RawObject, size: tuple[int, int], known: LabelMap | None
) -> tuple[tuple[float, float, float, float] | None, list[BoxFault]]:
    """Return the box, as float32 holds it, where it has one, and everything that keeps the object from being used."""
    if item.fault:
        return None, [BoxFault("object unreadable", *item.fault)]
    faults = [fault] if (fault := _class_fault(item.name, known)) else []
    try:
        xmin, ymin, xmax, ymax = map(_number, item.coordinates)
    except (ValueError, TypeError, OverflowError):
        texts = [*item.coordinates, None, None, None, None]
        bad = [_coordinate_fault(*pair) for pair in zip(COORDINATES, texts, strict=False)]
        return None, faults + [fault for fault in bad if fault]
    width, height = size
    if item.in_fractions:
        xmin, ymin, xmax, ymax = xmin * width, ymin * height, xmax * width, ymax * height
    corners = _onto(xmin, width), _onto(ymin, height), _onto(xmax, width), _onto(ymax, height)
    xmin, ymin, xmax, ymax = array("f", corners)
    box_xyxy = xmin, ymin, xmax, ymax
    if fault := box_fault(box_xyxy, width, height):
        faults.append(fault)
    return box_xyxy, faults


def _number(value: Coordinate) -> float:
    number = float(value)  # type: ignore[arg-type]  # None raises TypeError, which the caller names
    # float() reads 1_000 as Python code does, and True as 1
    if not math.isfinite(number) or isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError(value)
    return number


def _onto(value: float, side: int) -> float:
    """Return the coordinate, put onto the edge where only rounding took it over."""
    if value < 0 and value >= -_ROUNDING:
        return 0.0
    return float(side) if side < value <= side + _ROUNDING else value


def _class_fault(name: str, known: LabelMap | None) -> BoxFault | None:
    if fault := _name_fault(name):
        return BoxFault("class name", *fault)
    if known is None or name in known:
        return None
    near = did_you_mean(name, known).removeprefix(". ")
    fix = f"{near} Correct the name, or add it to the label map.".strip()
    return BoxFault("class unknown", f"class {name!r} is not in the label map ({known.describe()})", fix)


_name_fault = functools.lru_cache(1000)(name_fault)  # a data set has few names and many objects


def _coordinate_fault(field: str, value: Coordinate) -> BoxFault | None:
    if value is None or not str(value).strip():
        return BoxFault("box incomplete", f"{field} is {'missing' if value is None else 'empty'}", _FIX_BOX)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+,\d+\s*", value):
        fix = f"Write {value.strip().replace(',', '.')}."
        return BoxFault("box not a number", f"{field} is {value!r}, with a decimal comma", fix)
    try:
        _number(value)
    except (ValueError, OverflowError):
        return BoxFault("box not a number", f"{field} is {value!r}, not a number", _FIX_BOX)
    return None
