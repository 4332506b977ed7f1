"""The table of the old Object Detection API scripts: one CSV file for all photos, one row a box.

Its columns are ``filename,width,height,class,xmin,ymin,xmax,ymax``. An image without objects, which
the old table had no place for, stands in one row whose class and coordinates are empty.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, coordinate_text
from tfod_helpers.files import storage, workspace
from tfod_helpers.formats import folders, one_file
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.raw import Part, RawImage, RawObject
from tfod_helpers.formats.written import by_split, new_folder, refuse_same_names, write_photo
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import DatasetError, OnProblem, Problem, settle_problems

TITLE = "TFOD CSV"
FILE_NAME = "_annotations.csv"  # as Roboflow calls it
COLUMNS = ("filename", "width", "height", "class", *COORDINATES)
_LONGEST_HEADER = 10_000  # letters


@dataclass(frozen=True)
class _Row:
    """One row: its number as a spreadsheet counts, its texts by column, and (what, fix) where it is broken."""

    number: int
    texts: dict[str, str]
    fault: tuple[str, str] | None


def find(folder: Path) -> list[Part]:
    """Return the tables in a folder or its subfolders, each with its photos and the split in its name.

    ``train_labels.csv`` may lie beside ``images/train`` or somewhere near; the names in the table decide.
    """
    parts = one_file.find(folder, ".csv", _is_ours)
    names = folders.listing(folder) if parts else {}
    return [_part(part, names) for part in parts]


def _part(part: Part, names: folders.Listing) -> Part:
    split = one_file.split_name(part.split, *re.split(r"[-_. ]", part.annotations.stem))
    try:
        rows = _read_rows(part.annotations)
    except DatasetError:  # reading it again will say why
        return Part(part.images, part.annotations, split)
    wanted = {folders.stem(re.split(r"[/\\]", row.texts["filename"].strip())[-1]) for row in rows}
    found = folders.photos_of(wanted, part.annotations.parent, names)
    return Part(Path(os.path.commonpath(found)), part.annotations, split)


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = [column.strip().strip('"') for column in file.readline(_LONGEST_HEADER).split(",")]
    except OSError:
        return False
    return set(COLUMNS) <= set(header)


@storage.buckets_too("images", "annotations")
def read(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None = None,
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read a folder of photos with one table of boxes.

    The columns may stand in any order and others beside them. A problem names the row as a
    spreadsheet counts it: the header is row 1.

    Args:
        images: the folder with the photos; subfolders are looked into.
        annotations: the CSV file; None takes the tables in the folder, or in its subfolders.
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
    parts = one_file.parts_of(images, annotations, find, TITLE)
    return read_parts(parts, label_map=label_map, on_problem=on_problem)


def read_parts(
    parts: Sequence[Part],
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read several tables as one dataset, each image with the name of its part in ``split``; otherwise as `read`."""
    settle_problems((), on_problem, "")  # refuses another word before anything is read
    found: list[Problem] = []
    sources = one_file.sources(parts, _read_table, found)
    where = ", ".join(str(part.annotations) for part in parts)
    return make_dataset(sources, label_map=label_map, on_problem=on_problem, where=where, found=found)


@storage.buckets_too(writes="path")
def write(dataset: Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the table alone, or a folder with the photos and the table, which `formats.read` gives back.

    Texts are written exactly as they are, so a class such as ``=cmd|x`` comes back unchanged, and a
    spreadsheet program would take it for a formula. What is written appears whole or not at all. The
    format has no place for crowds, masks and the order of the classes.

    Args:
        dataset: what to write; two images of one split may not have one name.
        path: a file ending in ``.csv``, to create or replace: the photos stay where they are, and splits are
            not told apart. Or a new or empty folder, in which splits get a folder each, as Roboflow has them.

    Raises:
        FileExistsError: the folder has files in it.
        FileNotFoundError: a photo is gone.
        ValueError: two images have one name.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".csv":
        refuse_same_names(dataset, by_stem=False)
        with workspace.whole_file(path) as part:
            _write_table(dataset.images, dataset.label_map, part)
        return path
    splits = by_split(dataset, by_stem=False)
    with new_folder(path) as part:
        for split, images in splits.items():
            (part / split).mkdir(exist_ok=True)
            for image in images:
                write_photo(image, part / split / image.path.name)
            _write_table(images, dataset.label_map, part / split / FILE_NAME)
    return path


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


def _existing_file(annotations: str | os.PathLike[str]) -> Path:
    path = Path(annotations).expanduser()
    if path.is_dir():
        tables = ", ".join(sorted(child.name for child in path.glob("*.csv"))) or "none"
        raise IsADirectoryError(f"{path}: this is a folder. Give one CSV file; those in it: {tables}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such table. Check the path.")
    return path


def _read_table(path: Path, photos: PhotoFolder, found: list[Problem]) -> Iterator[tuple[str, RawImage]]:
    rows: dict[str, list[_Row]] = defaultdict(list)
    for row in _read_rows(_existing_file(path)):
        rows[row.texts["filename"]].append(row)
    yield from (("", _raw_image(path.name, same)) for same in rows.values())


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
    except OSError as error:
        raise _no_table(
            path, f"it cannot be opened ({error.strerror})", "Check the file and its permissions."
        ) from error
    header = [column.strip() for column in header]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        fix = f"The first row must name {', '.join(COLUMNS)}, with commas between them."
        raise _no_table(path, f"columns are missing: {', '.join(missing)}; the first row is {header}", fix)
    if not any(rows):
        raise _no_table(path, "it has no rows below the first", "Add one row a box.")
    return [_row(number, header, cells) for number, cells in enumerate(rows, start=2) if cells]


def _no_table(path: Path, what: str, fix: str) -> DatasetError:
    return DatasetError([Problem(where=path.name, what=what, fix=fix)], str(path))


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
