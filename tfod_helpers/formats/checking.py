"""One raw image against its photo: its size with the photo's header, its classes and its boxes."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.annotations import BoxFault, LabelMap, box_fault, name_fault
from tfod_helpers.formats.raw import Coordinate, RawImage, RawObject, Reading, WayUp
from tfod_helpers.problems import Problem, did_you_mean

Box = tuple[float, float, float, float]
WITHOUT_OBJECTS = "image without objects"  # the kind of problem
COORDINATES = ("xmin", "ymin", "xmax", "ymax")
_FIX_BOX = "Fix the box or delete the object."
# Pixels: programs round, and write fractions with few digits; so little over the edge is no mistake of a person.
_ROUNDING = 0.5
_PIXEL = 1  # that a tool which resizes may round a side by, in the photo or in the annotation


class Checked(NamedTuple):
    """The objects of one image that are right; their classes have no ids yet.

    Attributes:
        size: ``(width, height)`` of the frame that the boxes are in.
        boxes_xyxy: ``[xmin, ymin, xmax, ymax]`` of each, in pixels.
        names: the class of each.
        crowd: whether each is a crowd.
        difficult: whether each is marked as hard to recognise.
        masks: COCO's compressed run-length encoding of each; None where none were wanted.
        areas: square pixels that each covers; NaN where the file does not say.
    """

    size: tuple[int, int]
    boxes_xyxy: list[Box]
    names: list[str]
    crowd: list[bool]
    difficult: list[bool]
    masks: list[bytes] | None
    areas: list[float]


def alike(one: Checked | None, other: Checked | None) -> bool:
    """Whether two say the same of an image, the objects in whatever order; or neither can be used."""
    if one is None or other is None:
        return one is other
    mine, theirs = (sorted(zip(*checked[1:5], checked.masks or checked.names, strict=True)) for checked in (one, other))
    return one.size == other.size and mine == theirs


class _Frame(NamedTuple):
    """The pixels that an annotation's boxes are in.

    Attributes:
        size: ``(width, height)``.
        turn: the EXIF orientation by which boxes have yet to be turned; 1 is none.
        slack: pixels over the edge that are rounding.
    """

    size: tuple[int, int]
    turn: int
    slack: float


def check(
    raw: RawImage, path: str, known: LabelMap | None, reading: Reading, problems: list[Problem]
) -> Checked | None:
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
    frame = _frame(raw, info, path, reading.way_up, problems)
    if frame is None:
        return None
    checked = Checked(frame.size, [], [], [], [], [] if reading.masks else None, [])
    for item in raw.objects:
        box_xyxy, faults = _check_object(item, frame, known)
        if box_xyxy and not faults:
            checked.boxes_xyxy.append(box_xyxy)
            checked.names.append(item.name)
            checked.crowd.append(item.crowd)
            checked.difficult.append(item.difficult)
            checked.areas.append(item.area)
            if checked.masks is not None:
                checked.masks.append(_mask(item.outline, box_xyxy, frame))
        for kind, what, fix in faults:
            place = f"{item.place} ({item.name!r})" if item.name else item.place
            problem = raw.problem(what, fix, kind=kind, photo=path)
            problem = dataclasses.replace(problem, object=place, label=item.name, size=frame.size, box_xyxy=box_xyxy)
            problems.append(dataclasses.replace(problem, crowd=item.crowd, difficult=item.difficult))
    if not raw.objects:
        what, fix = "it has no objects", f"{name} is kept as background."
        problems.append(raw.problem(what, fix, "note", kind=WITHOUT_OBJECTS, photo=path))
    return checked if checked.names or not raw.objects else None


def _mask(outline: Any, box_xyxy: Sequence[float], frame: _Frame) -> bytes:
    """Return an outline, or the box itself where there is none, as COCO's compressed run-length encoding."""
    from pycocotools import mask

    width, height = frame.size
    xmin, ymin, xmax, ymax = box_xyxy  # turned already, as no outline is
    turn = frame.turn if outline else 1
    encoded = encoded_outline(outline or [[xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]], frame.size)
    if turn != 1 or list(encoded["size"]) != [height, width]:
        pixels = np.zeros((height, width), np.uint8)
        inside = mask.decode(encoded)[:height, :width]
        pixels[: inside.shape[0], : inside.shape[1]] = inside
        if turn != 1:
            pixels = np.asarray(Image.fromarray(pixels).transpose(photos.UPRIGHT[turn]))
        encoded = mask.encode(np.asfortranarray(pixels))
    counts = encoded["counts"]
    return counts if isinstance(counts, bytes) else counts.encode()


def encoded_outline(outline: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Return an outline that can be used as pycocotools' run-length encoding, ``{"size": ..., "counts": ...}``.

    Args:
        outline: as `RawObject` has it.
        size: ``(width, height)`` of what polygons are in.
    """
    from pycocotools import mask

    made: dict[str, Any] = outline
    if isinstance(outline, list):
        made = mask.merge(mask.frPyObjects(outline, size[1], size[0]))
    elif isinstance(outline["counts"], list):
        made = mask.frPyObjects(outline, *outline["size"])
    return made


# --- the frame that the boxes are in --------------------------------------------------------------


def _frame(
    raw: RawImage, info: photos.PhotoInfo, path: str, way_up: WayUp | None, problems: list[Problem]
) -> _Frame | None:
    """Return the frame that the boxes are in, or None where the annotation contradicts the photo."""
    frames: dict[WayUp, tuple[int, int]] = {"as viewed": info.upright_size, "as stored": (info.width, info.height)}
    upright, name = info.upright_size, path.rpartition("/")[2]
    try:
        size = _whole(raw.size[0]), _whole(raw.size[1])
    except ValueError as error:
        fix = f"Write the size of {name}, {_by(upright)}."
        problems.append(raw.problem(f"the size {error}", fix, kind="size unreadable", photo=path))
        return None
    given, way_up = all(size), way_up or raw.way_up
    exact = [way for way, frame in frames.items() if frame == size or not given]
    fitting = exact or [way for way, frame in frames.items() if np.abs(np.subtract(frame, size)).max() <= _PIXEL]
    if not fitting:
        what = f"the size {_by(size)} is not that of {name}, {_by(upright)}"
        fix = "Put back the image that was labelled, or label this one again."
        if size == upright[::-1]:
            what, fix = f"{what}: width and height are swapped", "Swap them, and check the boxes."
        problems.append(raw.problem(what, fix, kind="size differs", photo=path))
        return None
    if not exact:
        what = f"the size {_by(size)} is a pixel off that of {name}, {_by(frames[fitting[0]])}"
        fix = "Taken as a rounding; what of its boxes lies over the edge by that pixel is cut off."
        problems.append(raw.problem(what, fix, "warning", kind="size off by a pixel", photo=path))
    if not given and raw.has_size:
        fix = f"Taken from {name}: {_by(upright)}."
        problems.append(raw.problem("it gives no size", fix, "note", kind="size not given", photo=path))
    if info.orientation != 1 and len(fitting) > 1 and not way_up:
        what = f"{name} is stored turned or mirrored (EXIF orientation {info.orientation})"
        fix = (
            "It cannot be known which way up it was labelled; taken as viewers show it. Look at its boxes: where they "
            "are wrong, read with way_up='as stored'."
        )
        problems.append(raw.problem(what, fix, "warning", kind="way up unknown", photo=path))
    way = way_up or (_way_of_boxes(raw, frames, path, problems) if fitting == ["as stored"] else fitting[0])
    # Of two frames of one size the stored one cannot be told from the upright one later, so its boxes are turned.
    turn = info.orientation if way == "as stored" and frames[way] == upright else 1
    return _Frame(frames[way], turn, _ROUNDING if exact else _PIXEL + _ROUNDING)


def _way_of_boxes(raw: RawImage, frames: dict[WayUp, tuple[int, int]], path: str, problems: list[Problem]) -> WayUp:
    """Return which way up boxes are that come with the stored size: some programs write it beside upright boxes."""
    name = path.rpartition("/")[2]
    fits = {way: all(_lies_in(item, frame) for item in raw.objects) for way, frame in frames.items()}
    way: WayUp = "as viewed" if fits["as viewed"] and not fits["as stored"] else "as stored"
    if way == "as viewed" or (not raw.size_tells and fits["as viewed"] and raw.objects):
        other = "as stored" if way == "as viewed" else "as viewed"
        what = f"it has the size in which {name} is stored, {_by(frames['as stored'])}, and viewers show it turned"
        why = "as its boxes lie in it only so" if way == "as viewed" else "as its size is"
        fix = f"Taken {way}, {why}. Look at its boxes: where they are wrong, read with way_up={other!r}."
        problems.append(raw.problem(what, fix, "warning", kind="way up unknown", photo=path))
    return way


def _lies_in(item: RawObject, frame: tuple[int, int]) -> bool:
    try:
        _, _, xmax, ymax = map(_number, item.coordinates)
    except (ValueError, TypeError, OverflowError):
        return True
    return item.in_fractions or (xmax <= frame[0] + _ROUNDING and ymax <= frame[1] + _ROUNDING)


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


def _check_object(item: RawObject, frame: _Frame, known: LabelMap | None) -> tuple[Box | None, list[BoxFault]]:
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
    width, height = frame.size
    if item.in_fractions:
        xmin, ymin, xmax, ymax = xmin * width, ymin * height, xmax * width, ymax * height
    sides = ((xmin, width), (ymin, height), (xmax, width), (ymax, height))
    xmin, ymin, xmax, ymax = array("f", [_onto(value, side, frame.slack) for value, side in sides])
    box_xyxy = xmin, ymin, xmax, ymax
    if fault := box_fault(box_xyxy, width, height):
        faults.append(fault)
    return _upright(box_xyxy, frame), faults


def _upright(box_xyxy: Box, frame: _Frame) -> Box:
    """Return a box of a stored picture in the upright one, which has the same size."""
    (xmin, ymin, xmax, ymax), (width, height) = box_xyxy, frame.size
    if frame.turn in (2, 3, 7, 8):
        xmin, xmax = width - xmax, width - xmin
    if frame.turn in (3, 4, 6, 7):
        ymin, ymax = height - ymax, height - ymin
    return (ymin, xmin, ymax, xmax) if frame.turn >= 5 else (xmin, ymin, xmax, ymax)


def _number(value: Coordinate) -> float:
    number = float(value)  # type: ignore[arg-type]  # None raises TypeError, which the caller names
    # float() reads 1_000 as Python code does, and True as 1
    if not math.isfinite(number) or isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError(value)
    return number


def _onto(value: float, side: int, slack: float) -> float:
    """Return the coordinate, put onto the edge where only rounding took it over."""
    if value < 0 and value >= -slack:
        return 0.0
    return float(side) if side < value <= side + slack else value


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
