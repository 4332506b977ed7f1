"""What annotation files say, and the photos they say it of -> a `Dataset` of checked labelled images.

Every format hands its files over as `RawImage` and `RawObject`, texts as they stand in the file.
Here each is paired with its photo, its size compared with the photo's header, its classes and
boxes checked. All that is wrong is collected first and settled once, at the end.
"""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfod_helpers import photos
from tfod_helpers.annotations import (
    Dataset,
    DatasetError,
    LabelledImage,
    LabelMap,
    OnProblem,
    Problem,
    box_fault,
    did_you_mean,
    name_fault,
    settle_problems,
)
from tfod_helpers.formats.photo_folder import PhotoFolder

COORDINATES = ("xmin", "ymin", "xmax", "ymax")
_FIX_BOX = "Fix the box or delete the object."


@dataclass(frozen=True)
class RawObject:
    """One object as its file describes it, unchecked.

    Attributes:
        place: which object it is, such as ``object 2`` or ``row 7``.
        name: the class.
        coordinates: the texts of xmin, ymin, xmax, ymax; None where one is not there.
        fault: ``(what, fix)`` where the object cannot be read at all.
    """

    place: str
    name: str
    coordinates: Sequence[str | None]
    fault: tuple[str, str] | None = None


@dataclass(frozen=True)
class RawImage:
    """One image as an annotation file describes it, unchecked.

    Attributes:
        where: the annotation file, relative to the folder that is read.
        place: where in that file, such as ``row 7``; empty for the whole file.
        filename: the image's file name as written there, perhaps with a path of another machine.
        stem: the annotation file's own name without ending; empty where it says nothing of the image.
        size: the texts of width and height; None or empty where they are not there.
        objects: its objects.
        fault: ``(what, fix)`` where the annotation cannot be used at all.
    """

    where: str
    place: str = ""
    filename: str = ""
    stem: str = ""
    size: tuple[str | None, str | None] = (None, None)
    objects: Sequence[RawObject] = ()
    fault: tuple[str, str] | None = None

    def problem(self, what: str, fix: str, severity: str = "error") -> Problem:
        """Return a problem with the whole of this annotation."""
        return Problem(self.where, self.place, what, "", fix, severity)  # type: ignore[arg-type]


def make_dataset(
    raws: Iterable[RawImage],
    folder: PhotoFolder,
    *,
    label_map: LabelMap | str | os.PathLike[str] | None,
    on_problem: OnProblem,
    where: str,
) -> Dataset:
    """Pair, check and number what the annotations say.

    Args:
        raws: what the annotation files say.
        folder: the photos.
        label_map: the classes, or the file they are in; None takes the sorted names of the boxes kept.
        on_problem: ``raise`` reports every error at once; ``skip`` leaves out only what is bad. An
            image none of whose objects can be used is left out whole, as it is no background.
        where: what is read, for the first line of a report.

    Raises:
        DatasetError: ``on_problem`` is ``raise`` and something is wrong, or no image is left.
    """
    known = label_map if label_map is None or isinstance(label_map, LabelMap) else LabelMap.read(label_map)
    problems: list[Problem] = []
    checked = [
        image
        for name, raw in _pair(raws, folder, problems)
        if (image := _check(raw, folder.folder / name, known, problems)) is not None
    ]
    problems.sort(key=lambda problem: problem.where)  # one file's problems side by side
    problems = list(settle_problems(problems, on_problem, where))
    if not checked:
        problems.append(Problem(where, "", "no labelled image is left", "", "Correct the problems above."))
        raise DatasetError(problems, where)
    if known is None:
        known = _found_classes({name for image in checked for name in image.names}, where, problems)
    images = tuple(image.numbered(known) for image in checked)
    return Dataset(images, known, tuple(problems))


# --- pairing ------------------------------------------------------------------------------------


def _pair(raws: Iterable[RawImage], folder: PhotoFolder, problems: list[Problem]) -> Iterator[tuple[str, RawImage]]:
    """Yield each photo that has exactly one annotation, with it, in the order of the photos' names."""
    claims: dict[str, list[RawImage]] = defaultdict(list)
    spoken_of: set[str] = set()
    for raw in raws:
        found = folder.find(raw.filename, raw.stem)
        spoken_of.update(found)
        if raw.fault:
            problems.append(raw.problem(*raw.fault))
        elif len(found) == 1:
            claims[found[0]].append(raw)
        else:
            problems.append(_unpaired(raw, found, folder.folder))
    for name in sorted({*folder.names, *claims}):
        claimants = claims.get(name, [])
        if len(claimants) == 1:
            yield name, claimants[0]
        elif claimants:
            problems.append(_twice(name, claimants))
        elif name not in spoken_of:
            fix = "Left out; label it, or give it an annotation without objects to keep it as background."
            problems.append(Problem(name, "", "no annotation describes this image", "", fix, "note"))


def _unpaired(raw: RawImage, found: Sequence[str], folder: Path) -> Problem:
    fix = "Correct its filename" + (", and give the annotation the image's own name." if raw.stem else ".")
    if found:
        choice = " or ".join(map(repr, found))
        return raw.problem(f"it may describe {choice}, its filename is {raw.filename!r}", fix)
    wanted = [f"{raw.filename!r} (its filename)"] if raw.filename else []
    wanted += [f"'{raw.stem}.jpg' (its own name)"] if raw.stem else []
    what = f"its image is missing, there is no {' and no '.join(wanted)} in {folder.name or folder}"
    return raw.problem(what, "Put the image back or delete the annotation.")


def _twice(name: str, claimants: Sequence[RawImage]) -> Problem:
    shown = [raw.where + (f", {raw.place} ({raw.filename!r})" if raw.place else "") for raw in claimants]
    what = f"{len(claimants)} annotations describe this image: {'; '.join(shown)}"
    return Problem(name, "", what, "", "Keep the right one and delete or correct the rest.")


# --- checking -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Checked:
    """A labelled image whose classes have no ids yet."""

    path: Path
    frame: tuple[int, int]
    boxes_xyxy: list[list[float]]
    names: list[str]

    def numbered(self, label_map: LabelMap) -> LabelledImage:
        return LabelledImage(self.path, *self.frame, self.boxes_xyxy, [label_map.id(name) for name in self.names])


def _check(raw: RawImage, path: Path, known: LabelMap | None, problems: list[Problem]) -> _Checked | None:
    """Return the image with the objects that are right, or None where none of it can be used."""
    try:
        info = photos.read_info(path)
    except photos.PhotoError as error:
        problems.append(Problem(path.name, "", error.what, "", error.fix))
        return None
    frame = _frame(raw, info, path.name, problems)
    if frame is None:
        return None
    boxes_xyxy, names = [], []
    for item in raw.objects:
        box_xyxy, faults = _check_object(item, frame, known)
        if faults:
            named = f"{item.place} ({item.name!r})" if item.name else item.place
            problems += [Problem(raw.where, named, what, "", fix) for what, fix in faults]
        else:
            boxes_xyxy.append(box_xyxy)
            names.append(item.name)
    if not raw.objects:
        problems.append(raw.problem("it has no objects", f"{path.name} is kept as background.", "note"))
    return _Checked(path, frame, boxes_xyxy, names) if names or not raw.objects else None


def _frame(raw: RawImage, info: photos.PhotoInfo, name: str, problems: list[Problem]) -> tuple[int, int] | None:
    """Return the (width, height) that the boxes are in, or None where the annotation contradicts the photo."""
    stored, upright = (info.width, info.height), info.upright_size
    try:
        size = _whole(raw.size[0]), _whole(raw.size[1])
    except ValueError as error:
        problems.append(raw.problem(f"the size {error}", f"Write the size of {name}, {_by(upright)}."))
        return None
    given = all(size)
    if not given:
        problems.append(raw.problem("it gives no size", f"Taken from {name}: {_by(upright)}.", "note"))
    elif size not in (stored, upright):
        problems.append(_wrong_size(raw, size, upright, name))
        return None
    if info.orientation != 1 and (stored == upright or not given):
        what = f"{name} is stored turned or mirrored (EXIF orientation {info.orientation})"
        fix = "It cannot be known which way up it was labelled; taken as viewers show it. Look at its boxes."
        problems.append(raw.problem(what, fix, "warning"))
    return stored if size == stored != upright else upright


def _wrong_size(raw: RawImage, size: tuple[int, int], upright: tuple[int, int], name: str) -> Problem:
    what = f"the size {_by(size)} is not that of {name}, {_by(upright)}"
    if size == upright[::-1]:
        return raw.problem(f"{what}: width and height are swapped", "Swap them, and check the boxes.")
    return raw.problem(what, "Put back the image that was labelled, or label this one again.")


def _check_object(
    item: RawObject, frame: tuple[int, int], known: LabelMap | None
) -> tuple[list[float], list[tuple[str, str]]]:
    """Return the box, and every (what, fix) that keeps the object from being used."""
    if item.fault:
        return [], [item.fault]
    faults = [fault] if (fault := _class_fault(item.name, known)) else []
    bad = [_coordinate_fault(*pair) for pair in zip(COORDINATES, item.coordinates, strict=True)]
    if any(bad):
        return [], faults + [fault for fault in bad if fault]
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf, which box_fault names
        box_xyxy = np.array(item.coordinates, np.float64).astype(np.float32).tolist()
    fault = box_fault(box_xyxy, *frame)
    return box_xyxy, faults + ([fault] if fault else [])


def _class_fault(name: str, known: LabelMap | None) -> tuple[str, str] | None:
    fault = name_fault(name)
    if fault or known is None or name in known:
        return fault
    near = did_you_mean(name, known).removeprefix(". ")
    fix = f"{near} Correct the name, or add it to the label map.".strip()
    return f"class {name!r} is not in the label map ({known.describe()})", fix


def _coordinate_fault(field: str, text: str | None) -> tuple[str, str] | None:
    if text is None:
        return f"{field} is missing", _FIX_BOX
    if re.fullmatch(r"\s*[+-]?\d+,\d+\s*", text):
        return f"{field} is {text!r}, with a decimal comma", f"Write {text.strip().replace(',', '.')}."
    try:
        if math.isfinite(float(text)) and "_" not in text:  # float() reads 1_000 as Python code does
            return None
    except ValueError:
        pass
    return f"{field} is {text!r}, not a number" if text.strip() else f"{field} is empty", _FIX_BOX


def _whole(text: str | None) -> int:
    """Return a width or height; 0 where there is none."""
    text = (text or "0").strip()
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer() or number < 0:
        raise ValueError(f"has {text!r}, not a whole number of pixels")
    return int(number)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _found_classes(names: set[str], where: str, problems: list[Problem]) -> LabelMap:
    """Return the label map of the names found; warn of those that differ in capitals only."""
    if not names:
        fix = "Label some objects, or give label_map."
        raise DatasetError([*problems, Problem(where, "", "no annotation has an object", "", fix)], where)
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        spellings[name.casefold()].append(name)
    for alike in spellings.values():
        if len(alike) > 1:
            what = f"{' and '.join(map(repr, alike))} are taken as {len(alike)} classes"
            problems.append(Problem(where, "", what, "", "If they are one, write it in one way.", "warning"))
    return LabelMap(sorted(names))
