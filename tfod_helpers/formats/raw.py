"""What annotation files hold, before anything of it is checked.

Every format returns its files as these; `labelled_images` pairs them with their photos and checks them, in the same
way for all.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from tfod_helpers.annotations import LabelMap
from tfod_helpers.formats.shapes import Bounds
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import Problem, Severity

Coordinate = str | float | None
WayUp = Literal["as viewed", "as stored"]  # of a photo that its EXIF entry turns: the picture that was labelled


def is_set(flag: Any) -> bool:
    """Return whether a flag such as ``difficult`` is set, as any tool writes it: 1, "1", true, "True", "yes"."""
    return str(flag).strip().lower() in ("1", "1.0", "true", "yes")


def marked(found: Mapping[str, Any], keys: Sequence[str], count: int) -> list[bool]:
    """Return which of some objects are marked with 1 in one of these columns; one of another length is ignored."""
    columns = [np.ravel(found[key]).tolist() for key in keys if key in found]
    return [any(column[number] == 1 for column in columns if len(column) == count) for number in range(count)]


def is_difficult(*dicts: Any) -> bool:
    """Return whether one of some dicts, as labelling tools keep flags in them, has ``difficult`` set."""
    return any(is_set(flags["difficult"]) for flags in dicts if isinstance(flags, dict) and "difficult" in flags)


@dataclass(frozen=True)
class RawObject:
    """One object as its file describes it, unchecked.

    Attributes:
        place: which object it is, such as ``object 2`` or ``row 7``.
        name: the class.
        coordinates: xmin, ymin, xmax, ymax as the file has them; None where one is not there.
        fault: ``(what, fix)`` where the object cannot be read at all.
        in_fractions: the coordinates are fractions of the image's width and height, not pixels.
        crowd: the box is around a crowd of its class.
        difficult: it is marked as hard to recognise.
        outline: the object's outline as COCO writes it: polygons ``[[x, y, x, y, ...], ...]`` in
            pixels, or run-length encoding ``{"size": [height, width], "counts": ...}``; None where there is none.
        area: square pixels that the object covers, as the file says; NaN where it does not say.
    """

    place: str
    name: str
    coordinates: Sequence[Coordinate]
    fault: tuple[str, str] | None = None
    in_fractions: bool = False
    crowd: bool = False
    outline: Any = None
    difficult: bool = False
    area: float = math.nan

    @classmethod
    def around(cls, place: str, name: str, fix: str, bounds: Callable[..., Bounds], *args: Any, **more: Any) -> Self:
        """Return an object with the box ``bounds(*args)``; a ValueError becomes its fault, with this fix."""
        try:
            return cls(place, name, bounds(*args), **more)
        except ValueError as error:
            return cls(place, name, (), (str(error), fix), **more)


@dataclass(frozen=True)
class RawImage:
    """One image as an annotation file describes it, unchecked.

    Attributes:
        where: the annotation file, relative to the folder that is read.
        place: where in that file, such as ``row 7``; empty for the whole file.
        filename: the image's file name as written there, perhaps with a path of another machine.
        stem: the annotation file's own name without ending; empty where it is not the image's.
        size: width and height as the file has them; None or empty where they are not there.
        objects: its objects.
        fault: ``(what, fix)`` where the annotation cannot be used at all.
        has_size: whether annotations of this format give a size, so that one without it is noted.
        size_tells: whether the size is that of the picture that was labelled, so that it tells which way up that was.
        way_up: which way up it was labelled, where the program is known to show photos so.
    """

    where: str
    place: str = ""
    filename: str = ""
    stem: str = ""
    size: tuple[Coordinate, Coordinate] = (None, None)
    objects: Sequence[RawObject] = ()
    fault: tuple[str, str] | None = None
    has_size: bool = True
    size_tells: bool = True
    way_up: WayUp | None = None

    def problem(self, what: str, fix: str, severity: Severity = "error", *, kind: str, photo: str = "") -> Problem:
        """Return a problem with the whole of this annotation."""
        return Problem(
            where=self.where, object=self.place, what=what, fix=fix, severity=severity, kind=kind, photo=photo
        )


Suggested = dict[str, list[tuple[RawImage, list[float]]]]  # by the photo's folded name: the boxes, and confidences


@dataclass(frozen=True)
class Part:
    """Where a part of a data set lies.

    Attributes:
        images: the folder with the photos.
        annotations: the file or folder with the annotations.
        split: the name that the data gives this part, such as ``train``; empty where it gives none.
        only: the photos that belong to it, as file names without ending; None takes all of the folder.
        deep: the photos may be in subfolders too, of a format that takes those of one folder else.
        root: the data set's folder, in which photos are looked for that are not in ``images``; None: nowhere else.
    """

    images: Path
    annotations: Path
    split: str = ""
    only: frozenset[str] | None = None
    deep: bool = False
    root: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files any of which may be given for it."""
        return (self.annotations,)


@dataclass(frozen=True)
class Source:
    """One part's photos, and the annotations of them.

    Attributes:
        photos: the folder with the photos.
        items: the annotations as the format finds them: names of files, entries of a table, ...
        to_raw: reads one of them; it may run in another process, and raises nothing. None: the items are read.
        split: as in `Part`.
    """

    photos: PhotoFolder
    items: Sequence[Any]
    to_raw: Callable[[Any], RawImage] | None = None
    split: str = ""

    @property
    def place(self) -> tuple[Path, str]:
        """The folder with the photos, and the split."""
        return self.photos.folder, self.split

    def path(self, name: str) -> str:
        """Return the path of one of its photos."""
        return f"{self.photos.folder}/{name}"


@dataclass
class Reading:
    """What is known while a data set is read; the format adds to it.

    Attributes:
        where: what is read, for the first line of a report.
        label_map: the classes or the file they are in, as the caller gave them; None takes ``classes``, or where there
            are none either, the sorted names of the objects.
        masks: whether the objects' outlines are kept as masks.
        way_up: which way up photos were labelled that their EXIF entry turns; None goes by the sizes.
        problems: what is wrong.
        classes: the classes that the data declare, in their order.
        suggested: what a detector suggested for photos, as `suggestions.find` returns it.
    """

    where: str
    label_map: LabelMap | str | os.PathLike[str] | None = None
    masks: bool = False
    way_up: WayUp | None = None
    problems: list[Problem] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    suggested: Suggested = field(default_factory=dict)

    def add(self, where: str, what: str, fix: str, severity: Severity, kind: str, place: str = "") -> None:
        """Add a problem of a file, or of a place in it."""
        problem = Problem(where=where, object=place, what=what, fix=fix, severity=severity, kind=kind)
        self.problems.append(problem)
