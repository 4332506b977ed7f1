"""The table of the old Object Detection API scripts: one CSV file for all photos, one row a box.

Its columns are ``filename,width,height,class,xmin,ymin,xmax,ymax``. An image without objects, which
the old table had no place for, stands in one row whose class and coordinates are empty.
"""

from __future__ import annotations

import csv
import functools
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers import workspace
from tfod_helpers.annotations import (
    Dataset,
    DatasetError,
    LabelMap,
    OnProblem,
    Problem,
    coordinate_text,
    settle_problems,
)
from tfod_helpers.formats import one_file
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.photo_folder import PhotoFolder
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Source
from tfod_helpers.formats.written import refuse_same_names

TITLE = "TFOD CSV"
COLUMNS = ("filename", "width", "height", "class", *COORDINATES)


@dataclass(frozen=True)
class _Row:
    """One row: its number as a spreadsheet counts, its texts by column, and (what, fix) where it is broken."""

    number: int
    texts: dict[str, str]
    fault: tuple[str, str] | None


def find(folder: Path) -> list[Part]:
    """Return the tables in a folder or its subfolders, each with its photos, as in ``images/train``."""
    parts = one_file.find(folder, ".csv", _is_ours)
    named = [one_file.split_name(part.split, *re.split(r"[-_ ]", part.annotations.stem)) for part in parts]
    return [
        Part(one_file.photos_of(folder, part.annotations.parent, split), part.annotations, split)
        for part, split in zip(parts, named, strict=True)
    ]


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = [column.strip().strip('"') for column in file.readline(10_000).split(",")]
    except OSError:
        return False
    return set(COLUMNS) <= set(header)


def read(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read a folder of photos with one table of boxes.

    The columns may stand in any order and others beside them. A problem names the row as a
    spreadsheet counts it: the header is row 1.

    Args:
        images: the folder with the photos.
        annotations: the CSV file.
        label_map: the classes in their order, or a label map file; None takes the sorted names found.
        on_problem: ``raise`` reports all errors of the table at once; ``skip`` leaves out only what
            is bad, a row or an image, and lists it in ``.problems``.

    Returns:
        The labelled images in the order of their file names. ``.problems`` also holds what is worth
        knowing: photos that are not in the table, images without objects, sizes that were not given.

    Raises:
        FileNotFoundError: the folder or the table is not there.
        NotADirectoryError: the folder is a file.
        IsADirectoryError: the table is a folder.
        DatasetError: there is nothing to read, or ``raise`` and something is wrong.
    """
    return read_parts([Part(Path(images), Path(annotations))], label_map=label_map, on_problem=on_problem)


def read_parts(
    parts: Sequence[Part],
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read several tables as one dataset, each image with the name of its part in ``split``; otherwise as `read`."""
    settle_problems((), on_problem, "")  # refuses another word before anything is read
    sources = []
    for part in parts:
        photos, path = PhotoFolder(part.images), _existing_file(part.annotations)
        rows: dict[str, list[_Row]] = defaultdict(list)
        for row in _read_rows(path):
            rows[row.texts["filename"]].append(row)
        sources.append(Source(photos, list(rows.values()), functools.partial(_raw_image, path.name), part.split))
    where = ", ".join(str(part.annotations) for part in parts)
    return make_dataset(sources, label_map=label_map, on_problem=on_problem, where=where)


def write(dataset: Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the table; the photos stay where they are.

    Texts are written exactly as they are, so a class such as ``=cmd|x`` comes back unchanged, and a
    spreadsheet program would take it for a formula. The file appears whole or not at all.

    Args:
        dataset: what to write; two images may not have one name.
        path: the CSV file to create or replace.

    Raises:
        ValueError: two images have one name.
    """
    path = Path(path).expanduser()
    refuse_same_names(dataset, by_stem=False)
    with workspace.whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for image in dataset.images:
            start = (image.path.name, image.width, image.height)
            for label, box_xyxy in zip(image.labels.tolist(), image.boxes_xyxy, strict=True):
                table.writerow((*start, dataset.label_map.name(label), *map(coordinate_text, box_xyxy)))
            if not len(image.labels):
                table.writerow((*start, "", "", "", "", ""))
    return path


def _existing_file(annotations: str | os.PathLike[str]) -> Path:
    path = Path(annotations).expanduser()
    if path.is_dir():
        tables = ", ".join(sorted(child.name for child in path.glob("*.csv"))) or "none"
        raise IsADirectoryError(f"{path}: this is a folder. Give one CSV file; those in it: {tables}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such table. Check the path.")
    return path


def _read_rows(path: Path) -> list[_Row]:
    """Return each row that is not blank.

    Raises:
        DatasetError: the file is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _no_table(path, f"it cannot be read ({error})", "Save the table as CSV, in UTF-8.") from error
    header = [column.strip() for column in header]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        fix = f"The first row must name {', '.join(COLUMNS)}, with commas between them."
        raise _no_table(path, f"columns are missing: {', '.join(missing)}; the first row is {header}", fix)
    if not any(rows):
        raise _no_table(path, "it has no rows below the first", "Add one row a box.")
    return [_row(number, header, cells) for number, cells in enumerate(rows, start=2) if cells]


def _no_table(path: Path, what: str, fix: str) -> DatasetError:
    return DatasetError([Problem(path.name, "", what, "", fix)], str(path))


def _row(number: int, header: list[str], cells: list[str]) -> _Row:
    fault = None
    if len(cells) != len(header):
        what = f"the row has {len(cells)} fields, and the first row {len(header)}"
        fault = what, "Put a text that holds a comma between double quotes."
    return _Row(number, dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False)), fault)


def _raw_image(where: str, rows: list[_Row]) -> RawImage:
    """Return what the rows of one file name say."""
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


def _raw_object(row: _Row) -> RawObject:
    coordinates = [row.texts[field] for field in COORDINATES]
    return RawObject(f"row {row.number}", row.texts["class"].strip(), coordinates, row.fault)
