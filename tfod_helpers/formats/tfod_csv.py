"""The table of the old Object Detection API scripts: one CSV file for all photos, one row a box.

Its columns are ``filename,width,height,class,xmin,ymin,xmax,ymax``, in any order and with others beside them. An
image without objects, which the old table had no place for, stands in one row whose class and coordinates are empty.
A problem names the row as a spreadsheet counts it: the header is row 1. `tables` describes what divides the table and
how it is encoded. A photo's name may be written with a path, and in several ways. Without annotations, `read` takes the
tables in the folder with the photos and below it; one for a split, such as ``train_labels.csv``, describes the photos
in that split's folder.

`write` takes a folder, or a file ending in ``.csv`` to create or replace: then the photos stay where they are, and
splits are not distinguished. Texts are written exactly as they are, so a class such as ``=cmd|x`` comes back unchanged,
and a spreadsheet program would take it for a formula. The format has no place for crowds, difficult objects, masks and
the order of the classes.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, coordinate_text
from tfod_helpers.files import storage
from tfod_helpers.formats import folders, one_file, parsing, tables
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.format import Format, Splits
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading
from tfod_helpers.formats.tables import Row
from tfod_helpers.photos.folder import PhotoFolder, folded
from tfod_helpers.problems import DatasetError

FILE_NAME = "_annotations.csv"  # as Roboflow calls it
_LOOKED_AT = 20  # tables of a folder
COLUMNS = ("filename", "width", "height", "class", *COORDINATES)


def _find(names: folders.Listing) -> list[Part]:
    """Return the tables in a folder and those below it, each with its photos and the split in its name.

    ``train_labels.csv`` may lie beside ``images/train`` or somewhere near; the names in the table decide.
    """
    paths = [place / name for place in names for name in names.ending(place, ".csv", ".tsv")[:_LOOKED_AT]]
    found = [path for path in paths if set(COLUMNS) <= set(tables.header(path, COLUMNS))]
    return [_part(path, names, alone=len(found) == 1) for path in found]


def _part(path: Path, names: folders.Listing, *, alone: bool) -> Part:
    split = folders.split_in_name(path.stem, alone=alone) or folders.split_of(names.root, path.parent)
    try:
        rows = tables.read(path, COLUMNS, [])
    except (DatasetError, OSError):  # reading it again will give the reason
        rows = []
    wanted = {folders.stem(re.split(r"[/\\]", row.texts["filename"].strip())[-1]) for row in rows}
    found = folders.photos_of(wanted, path.parent, names, split if rows else "")
    images = Path(os.path.commonpath([one.folder for one in found]))
    return Part(images, path, split or folders.split_of(names.root, images))


def _write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    for split, images in splits.items():
        _write_table(images, label_map, folder / split / FILE_NAME)


def _write_table(images: Sequence[LabelledImage], label_map: LabelMap, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for image in images:
            start = (image.path.name, image.width, image.height)
            for label, box_xyxy in zip(image.labels.tolist(), image.boxes_xyxy, strict=True):
                table.writerow((*start, label_map.name(label), *map(coordinate_text, box_xyxy)))
            if not len(image.labels):
                table.writerow((*start, "", "", "", "", ""))


def _read_table(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in tables.read(path, COLUMNS, reading.problems, numbers=("width", "height", *COORDINATES)):
        rows[row.texts["filename"]].append(row)
    if not rows:
        raise parsing.refused(path, "it has no rows below the first", "Add one row a box.")
    for photo, names in _of_one_photo(rows, photos):
        split = folders.split_name(*photo.split("/")[-2::-1])
        yield split, _raw_image(path.name, sorted(row for name in names for row in rows[name]))


def _of_one_photo(names: Iterable[str], photos: PhotoFolder) -> Iterator[tuple[str, list[str]]]:
    """Yield each photo, empty where it is unclear, and its names together: ``a.jpg``, ``A.JPG`` and ``images/a.jpg``.

    ``x/a.jpg`` and ``y/a.jpg`` may have been two photos once, even if only one is there now.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        found = photos.find(name, "")
        groups[(found[0], "") if len(found) == 1 else ("", name)].append(name)
    for (photo, _), same in groups.items():
        paths = [_path(name) for name in same]
        one = all(max(paths, key=len).endswith(path) for path in paths)
        yield from [(photo, same)] if one else ((photo, [name]) for name in same)


def _path(name: str) -> str:
    """Return a file name as a path without ending that can be compared: ``/images/a``."""
    parts = [folded(part) for part in re.split(r"[/\\]", name.strip()) if part not in ("", ".")]
    return "/" + folders.stem("/".join(parts))


def _raw_image(where: str, rows: list[Row]) -> RawImage:
    """Return the annotations in the rows of one file name."""
    filename = rows[0].texts["filename"]
    sizes = {(row.texts["width"], row.texts["height"]): row.number for row in rows if not row.fault}
    fault = None
    if not filename.strip():
        fault = "the filename is empty", "Write the photo's file name, or delete the row."
    elif len(sizes) > 1:
        shown = "; ".join(f"{width} x {height} in row {number}" for (width, height), number in sizes.items())
        fault = f"{filename!r} has several sizes: {shown}", "Give all rows of one photo its size."
    bare = len(rows) == 1 and not rows[0].fault and not any(rows[0].texts[name].strip() for name in COLUMNS[3:])
    objects = [] if bare else [_raw_object(row) for row in rows]
    size = next(iter(sizes), (None, None))
    return RawImage(where, f"row {rows[0].number}", filename, "", size, objects, fault)


def _raw_object(row: Row) -> RawObject:
    coordinates = [row.texts[field] for field in COORDINATES]
    return RawObject(f"row {row.number}", row.texts["class"].strip(), coordinates, row.fault)


class _Table(Format):
    """The format, and the table alone, without the photos."""

    def write(self, dataset: Dataset, folder: str | os.PathLike[str]) -> Path:
        """Write a folder as `Format.write` does, or a table where ``folder`` ends in ``.csv``."""
        if Path(folder).suffix.lower() != ".csv":
            return super().write(dataset, folder)
        if dataset.unconfirmed:
            raise ValueError(f"{folder}: a table alone cannot say which boxes are suggestions. Give a folder to write.")
        images = tuple(dataclasses.replace(image, split="") for image in dataset)
        self.by_split(Dataset(images, dataset.label_map))  # refuses two photos of one name
        with storage.whole_file(folder) as part:
            _write_table(images, dataset.label_map, part)
        self.say_what_is_lost(dataset)
        return Path(storage.address(folder))


FORMAT = _Table(
    title="TFOD CSV",
    find=_find,
    sources=functools.partial(one_file.sources, _read_table),
    write_annotations=_write,
    by_stem=False,
)
read, write = FORMAT.read, FORMAT.write
