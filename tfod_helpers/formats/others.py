"""Annotations that are not read here -> what they are, so that a refusal can name them and say what to do."""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tfod_helpers.formats import parsing, tables
from tfod_helpers.formats.folders import Listing
from tfod_helpers.photos.folder import PHOTO_ENDINGS

_CONVERT = "Convert it to COCO or Pascal VOC first, for instance with FiftyOne, Datumaro or Roboflow."
_TABLE = "Write a table with the columns filename, width, height, class, xmin, ymin, xmax, ymax."
_NO_TEXT = "Save it as COCO or Pascal VOC with the program that it is from."
_MOST_FILES, _OF_A_FOLDER, _BEGINNING = 100, 3, 4000  # files that are looked into, and bytes of each


class _Other(NamedTuple):
    """What is known of annotations by their names and how they begin, and what to do with them."""

    title: str
    name: str
    beginning: str = ""
    fix: str = _CONVERT


_NUMBER = r"-?\d+(?:\.\d*)?"
# The most certain first; a beginning is matched from the first letter on.
_OTHERS = (
    _Other("Pascal VOC XML without an ending", r"/[^./]+$", r"\s*(?:<\?xml[^>]*>)?\s*<annotation>", "Call them .xml."),
    _Other("WIDER FACE's list", r"bbx_gt\.txt$"),
    _Other("CUB-200's list of boxes", r"/bounding_boxes\.txt$"),
    _Other("Penn-Fudan's text", r"\.txt$", "# Compatible with PASCAL Annotation"),
    _Other("a label of KITTI", r"\.txt$", rf"[A-Za-z_-]+(?: {_NUMBER}){{14,15}}\s"),
    _Other("a label of VisDrone", r"\.txt$", r"\d+(?:,-?\d+){7},?\s"),
    _Other("a label of DOTA", r"\.txt$", rf"(?:\w+:.*\n){{0,2}}(?:{_NUMBER} ){{8}}\S+ \d"),
    _Other("a label of the OIDv4 toolkit", r"\.txt$", rf"[A-Za-z][\w -]*(?: {_NUMBER}){{4}}\s"),
    _Other("Cityscapes' polygons", r"_gt(?:fine|coarse)_polygons\.json$"),
    _Other("Supervisely's", r"\.json$", r"(?s).*\"(?:classTitle|projectType)\""),
    _Other("BDD100K's or Scalabel's", r"\.json$", r"(?s).*\"box2d\""),
    _Other(
        "a list of detections, not of annotations", r"\.json$", r"(?s)\s*\[\s*\{[^}]*\"score\"", "Give the annotations."
    ),
    _Other("Labelbox's or another program's JSON lines", r"\.(?:nd)?jsonl?$|\.manifest$", r"\s*\{.*\}\s*\n\s*\{"),
    _Other("Open Images' table", r"\.csv$", "ImageID,.*XMin"),
    _Other("GTSRB's table", r"\.csv$", r".*Roi\.X1", _TABLE),
    _Other("LISA's table", r"\.csv$", "Filename;Annotation tag", _TABLE),
    _Other("a table with its boxes in one column", r"\.csv$", r".*\bbbox\b", _TABLE),
    _Other("a table with other columns", r"\.csv$", r".*[Xx]", _TABLE),
    _Other("a table without its first row of names", r"\.csv$", rf"[^\n]*[,; ]{_NUMBER}[,; ]{_NUMBER}[,; ]", _TABLE),
    _Other("a MATLAB file", r"\.mat$", fix=_NO_TEXT),
    _Other("a Parquet or Arrow file", r"\.(?:parquet|arrow)$", fix=_NO_TEXT),
    _Other("a pickle, which could run code", r"\.(?:pkl|pickle)$", fix=_NO_TEXT),
    _Other("an archive", r"\.(?:zip|tar|tgz|tar\.\w+|rar|7z)(?:\.\d+)?$", fix="Give the archive itself."),
)


def what_it_is(listing: Listing) -> tuple[str, str] | None:
    """Return what a file, or one of a data set, is that no format reads, and what to do; None: unknown."""
    file = listing.root
    beginnings = list(_beginnings(listing)) if listing else [(f"/{file.name}", _beginning(file))]
    for other in _OTHERS:
        for name, text in beginnings:
            if re.search(other.name, name.lower()) and re.match(other.beginning, text):
                shown = f", which begins with {text.splitlines()[0][:60]!r}" if other.fix == _TABLE else ""
                return f"{name.lstrip('/')} looks like {other.title}{shown}, which is not read here", other.fix
    return None


def _beginnings(listing: Listing) -> Iterator[tuple[str, str]]:
    """Yield the path below the root of a few files of each folder, with how they begin."""
    looked_at = 0
    for folder, names in listing.items():
        of_ending: Counter[str] = Counter()
        for path in (folder / name for name in names):
            of_ending[path.suffix] += 1
            if path.suffix.lower() in PHOTO_ENDINGS or of_ending[path.suffix] > _OF_A_FOLDER:
                continue
            looked_at += 1
            if looked_at <= _MOST_FILES:
                yield f"/{path.relative_to(listing.root).as_posix()}", _beginning(path)


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_BEGINNING).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def beginnings(files: Iterable[Path]) -> str:
    """Return how the first files begin that may hold annotations, one of each kind, as words to go on with."""
    first: dict[str, Path] = {}
    for file in files:
        first.setdefault(file.suffix.lower(), file)
    said = {file.name: _described(file, ending) for ending, file in first.items()}
    return "".join(f"; {name} is {words}" for name, words in said.items() if words)


def _described(path: Path, ending: str) -> str:
    if ending == ".xml":
        elements = parsing.beginning_of_xml(path)
        return f"XML whose root is <{elements[0]}>" if elements else "no XML that can be read"
    if ending == ".json":
        data = parsing.beginning_of_json(path)
        item = data[0] if isinstance(data, list) and data else data
        return f"JSON with the keys {reprlib.repr(list(item))}" if isinstance(item, dict) and item else "other JSON"
    return f"a table with the columns {reprlib.repr(tables.header(path))}" if ending == ".csv" else ""
