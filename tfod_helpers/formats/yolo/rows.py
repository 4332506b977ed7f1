"""The rows of YOLO's label files -> boxes.

``class x y width height`` may be followed by a confidence, or by that and a track's number, or by key points; an
outline has points instead. What a number means is the same in all rows of a data set, so all of them are looked at
before one is read, and where they leave it open, none is.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tfod_helpers.formats.raw import RawObject
from tfod_helpers.formats.yolo.description import decoded

_FIX_ROW = "Fix the row or delete it."
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ROW = re.compile(rf"\s*\d+(?:\.0*)?(?:\s+{_NUMBER}){{4,}}\s*")
_COMMAS = re.compile(rf"\s*\d+(?:\s*[,;]\s*{_NUMBER}){{4,}}\s*[,;]?\s*")
_DECIMAL_COMMAS = re.compile(r"\s*\d+(?:(?:\s+|\s*;\s*)-?\d+(?:,\d+)?){4,}\s*")
_SLACK = 0.01  # of the image, that key points may lie beside their box


class LabelFile(NamedTuple):
    """The rows of a label file that are not blank.

    Attributes:
        rows: each with the number of its line, and what it says.
        fault: ``(what, fix)`` where the file cannot be read.
    """

    rows: Sequence[tuple[int, Sequence[str]]] = ()
    fault: tuple[str, str] | None = None

    @classmethod
    def of(cls, text: str, fault: tuple[str, str] | None) -> LabelFile:
        """Return the rows of a text."""
        lines = enumerate(text.splitlines(), start=1)
        return cls([(number, fields) for number, line in lines if (fields := _fields(line))], fault)


def read_text(path: str | Path) -> tuple[str, tuple[str, str] | None]:
    """Return the text of a label file, and ``(what, fix)`` where it cannot be read."""
    try:
        with open(path, "rb") as file:
            text, guess = decoded(file.read())
    except OSError as error:
        return "", (f"it cannot be read ({error.strerror})", "Check the file and its permissions.")
    except UnicodeDecodeError as error:
        return "", (f"it cannot be read ({error.reason})", "Save it as UTF-8.")
    if guess:
        return "", ("it cannot be read (neither UTF-8 nor UTF-16)", "Save it as UTF-8.")
    return text, None


def is_row(line: str) -> bool:
    """Whether a line is a row of YOLO: a class's number and at least four numbers more."""
    return _ROW.fullmatch(" ".join(_fields(line))) is not None


def _fields(line: str) -> list[str]:
    """Return what a row says, between commas or semicolons too; numbers may have a decimal comma where all have."""
    if "," in line or ";" in line:
        if "." in line and _COMMAS.fullmatch(line):
            return re.split(r"[\s,;]+", line.strip(" \t,;"))
        if "." not in line and _DECIMAL_COMMAS.fullmatch(line):
            return re.split(r"[\s;]+", line.strip().replace(",", "."))
    return line.split()


class Meaning(NamedTuple):
    """What is behind the box, in the rows of a data set without ``kpt_shape``; the reason where it is not clear.

    Attributes:
        fifth: of five numbers behind the class, the last: a confidence.
        six: of six numbers: the box, a confidence and a track's number, or an outline.
        more: of more numbers: an outline, or key points with their visibility behind the box.
    """

    fifth: Literal["confidence", "unclear"] = "confidence"
    six: Literal["track", "outline", "unclear"] = "outline"
    more: Literal["outline", "keypoints", "unclear"] = "outline"

    def unclear(self, count: int) -> bool:
        """Whether it is not clear what so many numbers behind a class mean."""
        return count >= 5 and {5: self.fifth, 6: self.six}.get(count, self.more) == "unclear"


def meaning_of(rows: Iterable[Sequence[str]]) -> Meaning:
    """Return what the numbers in the rows of a data set mean."""
    by_count: dict[int, list[list[float]]] = defaultdict(list)
    for fields in rows:
        if len(fields) > 5 and all(map(is_number, fields[1:])):
            by_count[len(fields) - 1].append([float(text) for text in fields[1:]])
    six: Literal["track", "outline", "unclear"] = "outline"
    if sixes := by_count.get(6):
        outline = all(values[5] <= 1 for values in sixes) and not _may_be_keypoints(by_count, 6)
        if all(map(_may_be_track, sixes)):
            six = "unclear" if outline else "track"
        elif not outline:
            six = "unclear"
    more: Literal["outline", "keypoints", "unclear"] = "outline"
    if len(counts := [count for count in by_count if count > 6]) == 1:
        count, flags = counts[0], {flag for values in by_count[counts[0]] for flag in values[6::3]}
        if count % 3 == 1 and flags <= {0, 1, 2}:
            more = "keypoints" if count % 2 or 2 in flags else "unclear"
        elif _may_be_keypoints(by_count, count):
            more = "unclear"
    fifth = all(0 <= values[4] <= 1 for values in by_count.get(5, ()))
    return Meaning("confidence" if fifth else "unclear", six, more)


def _may_be_track(values: Sequence[float]) -> bool:
    """Whether six numbers may be a box in the image, a confidence and a whole number."""
    x, y, width, height, confidence, number = values
    inside = all(side / 2 - _SLACK <= place <= 1 - side / 2 + _SLACK for place, side in ((x, width), (y, height)))
    return inside and 0 <= confidence <= 1 and number >= 0 and number.is_integer()


def _may_be_keypoints(by_count: Mapping[int, list[list[float]]], count: int) -> bool:
    """Whether each row may be a box with points in it, and at least one is hardly an outline.

    As an outline, a box would have the point (width, height), which is far from all others.
    """
    if count % 2:
        return False
    far = False
    for x, y, width, height, *rest in by_count[count]:
        points = [(px, py) for px, py in zip(rest[::2], rest[1::2], strict=True) if px or py]  # 0 0 is not labelled
        for place, side, axis in ((x, width, 0), (y, height, 1)):
            along = [place, *(point[axis] for point in points)]
            low, high = min(along), max(along)
            if max(high - place, place - low) > side / 2 + _SLACK:
                return False
            far |= not 2 * low - high - _SLACK <= side <= 2 * high - low + _SLACK
    return far


UNCLEAR = {  # by how many numbers there are behind the class
    5: (
        "a sixth number that is no confidence, which would be 0 to 1",
        "Delete the column if it numbers tracks. If it is an angle, export outlines: class x1 y1 x2 y2 x3 y3 x4 y4.",
    ),
    6: (
        "seven numbers, which may be a box with a confidence and a track's number, a key point, or an outline",
        "Delete the last two numbers, or say in data.yaml: kpt_shape: [1, 2].",
    ),
    7: (
        "numbers that may be an outline, or a box with key points",
        "If they are key points, say so in data.yaml, as in kpt_shape: [17, 3]; else delete those rows.",
    ),
}


def to_object(line: int, row: Sequence[str], names: Mapping[int, str], keypoints: int, meaning: Meaning) -> RawObject:
    """Return the object that a row describes.

    Args:
        line: the row's number.
        row: what it says.
        names: the classes' names by their numbers.
        keypoints: numbers that a row has behind the box, where ``data.yaml`` says so, or 0.
        meaning: what the numbers are, where it does not.
    """
    place = f"line {line}"
    number, dot, rest = row[0].partition(".")
    if not (number.isascii() and number.isdigit()) or (dot and rest.strip("0")):
        return RawObject(place, "", (), (f"the class is {row[0]!r}, not a whole number from 0", _FIX_ROW))
    if len(number) > 6 or int(number) not in names:
        fault = f"the class is {number}, and {_known(names)}", "Correct it, or add the name."
        return RawObject(place, "", (), fault)
    name, texts = names[int(number)], row[1:]
    if bad := [text for text in texts if not is_number(text)]:
        return RawObject(place, name, (), (f"{bad[0]!r} is not a number", _FIX_ROW))
    values = [float(text) for text in texts]
    count = len(values)
    if keypoints and count not in (4, 5, 4 + keypoints, 5 + keypoints):  # a confidence may be the last
        what = f"the row has {len(row)} numbers, not {5 + keypoints}, as kpt_shape has it"
        return RawObject(place, name, (), (what, _FIX_ROW))
    is_box = keypoints or (count == 6 and meaning.six == "track") or (count > 6 and meaning.more == "keypoints")
    if count in (4, 5) or is_box:
        x, y, width, height = values = values[:4]
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    elif count >= 6 and count % 2 == 0:
        corners = [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
    else:
        what = f"the row has {len(row)} numbers, not 5, nor an outline's"
        return RawObject(place, name, (), (what, _FIX_ROW))
    if all(map(math.isfinite, values)) and max(values) > 2:  # a little over 1 is a box over the edge
        what = f"the box {' '.join(texts[:8])}{' ...' * (count > 8)} is not in fractions of the image"
        fix = "Divide x and width by the image's width, y and height by its height."
        return RawObject(place, name, (), (what, fix))
    return RawObject(place, name, corners, in_fractions=True)


def _known(names: Mapping[int, str]) -> str:
    if list(names) == list(range(len(names))):
        return f"there are {len(names)} names, for 0 to {len(names) - 1}"
    return f"there are names for {', '.join(map(str, sorted(names)[:10]))}{', ...' * (len(names) > 10)}"


def is_number(text: str) -> bool:
    """Whether a text is a number; ``1_000`` is one in Python only."""
    try:
        return "_" not in text and float(text) is not None
    except ValueError:
        return False
