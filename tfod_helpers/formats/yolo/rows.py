"""The rows of YOLO's label files -> boxes.

``class x y width height`` may be followed by a confidence, or by that and a track's number, or by key points; an
outline has points instead. Which of them it is goes by all rows of a data set; where these leave it open, none is read.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tfod_helpers.formats.parsing import UnusableError
from tfod_helpers.formats.raw import RawObject
from tfod_helpers.formats.yolo.description import decoded

_FIX_ROW = "Fix the row or delete it."
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ROW = re.compile(rf"\s*\d+(?:\.0*)?(?:\s+{_NUMBER}){{4,}}\s*")
_COMMAS = re.compile(rf"\s*\d+(?:\s*[,;]\s*{_NUMBER}){{4,}}\s*[,;]?\s*")
_DECIMAL_COMMAS = re.compile(r"\s*\d+(?:(?:\s+|\s*;\s*)-?\d+(?:,\d+)?){4,}\s*")
_LONGEST = 4000  # digits that Python makes a number of
_SLACK = 0.01  # of the image, that key points may lie beside their box


@dataclass(frozen=True)
class LabelFile:
    """A label file: its name and its text, or ``(what, fix)`` where it cannot be read."""

    name: str
    text: str = ""
    fault: tuple[str, str] | None = None

    @functools.cached_property
    def rows(self) -> list[tuple[int, list[str]]]:
        """The rows that are not blank, each with the number of its line, and the texts in it."""
        lines = enumerate(self.text.splitlines(), start=1)
        return [(number, fields) for number, line in lines if (fields := _fields(line))]


def read_text(path: str) -> tuple[str, tuple[str, str] | None]:
    """Return the text of a label file, and ``(what, fix)`` where it cannot be read."""
    try:
        with open(path, "rb") as file:
            text, is_guess = decoded(file.read())
    except OSError as error:
        return "", (f"it cannot be read ({error.strerror})", "Check the file and its permissions.")
    if is_guess:
        return "", ("it cannot be read (neither UTF-8 nor UTF-16)", "Save it as UTF-8.")
    return text, None


def is_row(line: str) -> bool:
    """Whether a line is a row of YOLO: a class's number and at least four numbers more."""
    return _ROW.fullmatch(" ".join(_fields(line))) is not None


def _fields(line: str) -> list[str]:
    """Return the texts of a row, between commas or semicolons too; numbers may have a decimal comma where all have."""
    if "," in line or ";" in line:
        if "." in line and _COMMAS.fullmatch(line):
            return re.split(r"[\s,;]+", line.strip(" \t,;"))
        if "." not in line and _DECIMAL_COMMAS.fullmatch(line):
            return re.split(r"[\s;]+", line.strip().replace(",", "."))
    return line.split()


# --- what the numbers are ---------------------------------------------------------------------------

How = Literal["box", "outline", "unclear"]
Meaning = Mapping[int, How]  # by how many numbers there are behind the class; 7 stands for more too
BOXES: Meaning = {5: "box", 6: "box", 7: "box"}
UNCLEAR = {
    5: (
        "a sixth number that is no confidence, which would be 0 to 1",
        "Delete the column if it numbers tracks. If it is an angle, export outlines: class x1 y1 x2 y2 x3 y3 x4 y4.",
    ),
    6: (
        "seven numbers, which may be a box with a confidence and a track's number, a key point, or an outline",
        "Delete the last two numbers, or write kpt_shape: [1, 2] into data.yaml.",
    ),
    7: (
        "numbers that may be an outline, or a box with key points",
        "If they are key points, write kpt_shape into data.yaml, as in kpt_shape: [17, 3]; else delete those rows.",
    ),
}


def meaning_of(rows: Iterable[Sequence[str]]) -> Meaning:
    """Return what the numbers are, in the rows of a data set that have more than a box."""
    by_count: dict[int, list[list[float]]] = defaultdict(list)
    for fields in rows:
        with contextlib.suppress(UnusableError):  # is reported when the row is read
            values = [_number(text) for text in fields[1:]]
            by_count[len(values)].append(values)
    has_confidence = all(0 <= values[4] <= 1 for values in by_count.get(5, ()))
    found: dict[int, How] = {5: "box" if has_confidence else "unclear", 6: "outline", 7: "outline"}
    if sixes := by_count.get(6):
        may_be_track = all(map(_may_be_track, sixes))
        may_be_outline = all(values[5] <= 1 for values in sixes) and not _may_be_keypoints(sixes)
        found[6] = "unclear" if may_be_track == may_be_outline else "box" if may_be_track else "outline"
    if len(counts := [count for count in by_count if count > 6]) == 1:
        count, same = counts[0], by_count[counts[0]]
        flags = {flag for values in same for flag in values[6::3]}
        if count % 3 == 1 and flags <= {0, 1, 2}:
            found[7] = "box" if count % 2 or 2 in flags else "unclear"
        elif _may_be_keypoints(same):
            found[7] = "unclear"
    return found


def _may_be_track(values: Sequence[float]) -> bool:
    """Whether six numbers may be a box in the image, a confidence and a whole number."""
    x, y, width, height, confidence, number = values
    inside = all(side / 2 - _SLACK <= place <= 1 - side / 2 + _SLACK for place, side in ((x, width), (y, height)))
    return inside and 0 <= confidence <= 1 and number >= 0 and number.is_integer()


def _may_be_keypoints(rows: Iterable[Sequence[float]]) -> bool:
    """Whether each row may be a box with points in it, and at least one is hardly an outline.

    As an outline, a box would have the point (width, height), which is far from all others.
    """
    far = False
    for x, y, width, height, *rest in rows:
        if len(rest) % 2:
            return False
        points = [(px, py) for px, py in zip(rest[::2], rest[1::2], strict=True) if px or py]  # 0 0 is not labelled
        for place, side, axis in ((x, width, 0), (y, height, 1)):
            along = [place, *(point[axis] for point in points)]
            low, high = min(along), max(along)
            if max(high - place, place - low) > side / 2 + _SLACK:
                return False
            far |= not 2 * low - high - _SLACK <= side <= 2 * high - low + _SLACK
    return far


# --- objects ----------------------------------------------------------------------------------------


def to_object(line: int, row: Sequence[str], names: Mapping[int, str], keypoints: int, meaning: Meaning) -> RawObject:
    """Return the object that a row describes.

    Args:
        line: the row's number.
        row: the texts in it.
        names: the classes' names by their numbers.
        keypoints: numbers that a row has behind the box, by ``kpt_shape``, or 0.
        meaning: what the numbers are.
    """
    name = ""
    try:
        name = _class_name(row[0], names)
        return RawObject(f"line {line}", name, _corners(row, keypoints, meaning), in_fractions=True)
    except UnusableError as error:
        return RawObject(f"line {line}", name, (), error.args)


def class_number(text: str) -> int | None:
    """Return a class's number, a whole one from 0, as some write it ``1.0``; None where it is none."""
    number, _, rest = text.partition(".")
    is_whole = number.isascii() and number.isdigit() and not rest.strip("0")
    return int(number[:_LONGEST]) if is_whole else None


def _class_name(text: str, names: Mapping[int, str]) -> str:
    number = class_number(text)
    if number is None:
        raise UnusableError(f"the class is {text!r}, not a whole number from 0", _FIX_ROW)
    if number not in names:
        raise UnusableError(f"the class is {number}, and {_known(names)}", "Correct it, or add the name.")
    return names[number]


def _corners(row: Sequence[str], keypoints: int, meaning: Meaning) -> list[float]:
    values = [_number(text) for text in row[1:]]
    count = len(values)
    if keypoints and count not in (4, 5, 4 + keypoints, 5 + keypoints):  # a confidence may be the last
        raise UnusableError(f"the row has {len(row)} numbers, not {5 + keypoints}, as kpt_shape has it", _FIX_ROW)
    if count == 4 or (count > 4 and meaning[min(count, 7)] == "box"):
        x, y, width, height = values = values[:4]
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    elif count > 5 and count % 2 == 0:
        corners = [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
    else:
        raise UnusableError(f"the row has {len(row)} numbers, not 5, nor an outline's", _FIX_ROW)
    if all(map(math.isfinite, values)) and max(values) > 2:  # a little over 1 is a box over the edge
        what = f"the box {' '.join(row[1:9])}{' ...' * (count > 8)} is not in fractions of the image"
        raise UnusableError(what, "Divide x and width by the image's width, y and height by its height.")
    return corners


def _known(names: Mapping[int, str]) -> str:
    if list(names) == list(range(len(names))):
        return f"there are {len(names)} names, for 0 to {len(names) - 1}"
    return f"there are names for {', '.join(map(str, sorted(names)[:10]))}{', ...' * (len(names) > 10)}"


def _number(text: str) -> float:
    try:
        if "_" not in text:  # 1_000 is a number in Python only
            return float(text)
    except ValueError:
        pass
    raise UnusableError(f"{text!r} is not a number", _FIX_ROW)
