"""The files that VIA writes -> one entry an image, in the words of version 2."""

from __future__ import annotations

import csv
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_helpers.formats import json_file

_COLUMNS = ("filename", "region_count", "region_shape_attributes", "region_attributes")
_EXPORT_AGAIN = "Export the annotations again from VIA."
# Shapes of version 3 by their number (_via_metadata.js); an extreme rectangle is four points of the object's edge.
_RECTANGLE, _CIRCLE, _ELLIPSE = 2, 3, 4
_OUTLINES = (7, 8)  # polygon, extreme rectangle
_OTHERS = {1: "point", 5: "line", 6: "polyline", 9: "extreme circle"}
_VERSION_3 = ("attribute", "file", "metadata", "view")


@dataclass(frozen=True)
class Entry:
    """What a file says of one image.

    Attributes:
        place: where in the file.
        filename: the photo's name.
        regions: dicts with ``shape_attributes`` and ``region_attributes``, unchecked.
        fault: ``(what, fix)`` where the entry cannot be used.
    """

    place: str
    filename: str
    regions: Sequence[Any]
    fault: tuple[str, str] | None = None


def is_json(path: Path) -> bool:
    """Return whether a JSON file begins as one of VIA does."""
    data = json_file.beginning(path)
    if not isinstance(data, dict):
        return False
    if "_via_img_metadata" in data or "_via_settings" in data:
        return True
    if isinstance(project := data.get("project"), dict) and "vid_list" in project:
        return True
    first = next(iter(data.values()), None)
    return isinstance(first, dict) and isinstance(first.get("filename"), str) and "regions" in first


def is_csv(path: Path) -> bool:
    """Return whether a CSV file begins as one of VIA does."""
    try:
        with path.open("rb") as file:
            header = file.readline(1000).decode("utf-8", "ignore")
    except OSError:
        return False
    return all(column in header for column in _COLUMNS)


def read(path: Path) -> list[Entry]:
    """Return the entries of a file.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        DatasetError: it is none that VIA writes.
    """
    if path.suffix.lower() == ".csv":
        return list(_from_csv(path))
    data = json_file.load(path)
    if isinstance(data, dict) and all(isinstance(data.get(key), dict) for key in _VERSION_3):
        return list(_from_version_3(data))
    images = data.get("_via_img_metadata", data) if isinstance(data, dict) else None
    if not isinstance(images, dict):
        raise json_file.refused(path, "it is no file that VIA writes", _EXPORT_AGAIN)
    return [_entry(number, image) for number, image in enumerate(images.values(), start=1)]


def _entry(number: int, image: Any) -> Entry:
    place = f"image {number}"
    if not isinstance(image, dict) or not isinstance(image.get("filename"), str):
        return Entry(place, "", (), (f"it has no filename: {reprlib.repr(image)}", _EXPORT_AGAIN))
    regions = image.get("regions")
    if isinstance(regions, dict):  # version 1 numbers them: {"0": {...}, "1": {...}}
        regions = list(regions.values())
    if not isinstance(regions, list):
        return Entry(place, image["filename"], (), (f"its regions are {reprlib.repr(regions)}", _EXPORT_AGAIN))
    return Entry(place, image["filename"], regions)


# --- CSV --------------------------------------------------------------------------------------------


def _from_csv(path: Path) -> Iterator[Entry]:
    """Yield the entries of a table with one row a region; an image without regions has one row too."""
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder. Give the VIA file.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such annotation file. Check the path.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except OSError as error:
        what, fix = f"it cannot be opened ({error.strerror})", "Check the file and its permissions."
        raise json_file.refused(path, what, fix) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise json_file.refused(path, f"it cannot be read ({error})", _EXPORT_AGAIN) from error
    header = [column.strip().lstrip("#") for column in rows[0]] if rows else []
    if missing := [column for column in _COLUMNS if column not in header]:
        raise json_file.refused(path, f"columns are missing: {', '.join(missing)}", _EXPORT_AGAIN)
    images: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        texts = dict.fromkeys(_COLUMNS, "") | dict(zip(header, row, strict=False)) | {"row": str(number)}
        images.setdefault(texts["filename"], []).append(texts)
    for filename, of_image in images.items():
        place = f"row {of_image[0]['row']}"
        fault = None if filename.strip() else ("the filename is empty", _EXPORT_AGAIN)
        regions = [_csv_region(texts) for texts in of_image if not _is_bare(texts)]
        yield Entry(place, filename, regions, fault)


def _is_bare(texts: dict[str, str]) -> bool:
    return texts["region_count"].strip() == "0" and texts["region_shape_attributes"].strip() in ("", "{}")


def _csv_region(texts: dict[str, str]) -> Any:
    """Return a row as a region; what cannot be read stays text, and is refused with the region."""
    region: dict[str, Any] = {}
    for key, column in (("shape_attributes", _COLUMNS[2]), ("region_attributes", _COLUMNS[3])):
        try:
            region[key] = json_file.parse(texts[column].encode("utf-8", "replace"))
        except ValueError:
            region[key] = texts[column]
    return region


# --- version 3 --------------------------------------------------------------------------------------


def _from_version_3(data: dict[str, Any]) -> Iterator[Entry]:
    """Yield the images of a project of VIA 3, whose regions name a view, and views name a file."""
    options = {key: _options(attribute) for key, attribute in data["attribute"].items()}
    regions: dict[str, list[Any]] = {}
    for item in data["metadata"].values():
        region = _region_of_version_3(item, options)
        if region is not None:
            regions.setdefault(json_file.text(item.get("vid")), []).append(region)
    for number, (view, about) in enumerate(data["view"].items(), start=1):
        files = about.get("fid_list") if isinstance(about, dict) else None
        file = data["file"].get(json_file.text(files[0])) if isinstance(files, list) and len(files) == 1 else None
        name = json_file.text(file.get("fname")) if isinstance(file, dict) else ""
        fault = None if name else (f"view {view!r} does not name one file", _EXPORT_AGAIN)
        yield Entry(f"image {number}", name, regions.get(view, ()), fault)


def _options(attribute: Any) -> tuple[str, dict[str, Any]]:
    """Return an attribute's name, and the texts of its choices by their numbers."""
    if not isinstance(attribute, dict):
        return "", {}
    options = attribute.get("options")
    return json_file.text(attribute.get("aname")), options if isinstance(options, dict) else {}


def _region_of_version_3(item: Any, options: dict[str, tuple[str, dict[str, Any]]]) -> Any:
    """Return a region in the words of version 2; None where it is about the whole image."""
    xy, values = (item.get("xy"), item.get("av")) if isinstance(item, dict) else ([], {})
    if xy == []:
        return None
    attributes = {}
    for key, value in values.items() if isinstance(values, dict) else ():
        name, choices = options.get(key, ("", {}))
        chosen = json_file.text(value).split(",") if choices else [json_file.text(value)]  # checkboxes: 0,2
        attributes[name or key] = {json_file.text(choices.get(one, one)): True for one in chosen}
    return {"shape_attributes": _shape_of_version_3(xy), "region_attributes": attributes}


def _shape_of_version_3(xy: Any) -> dict[str, Any]:
    kind, *numbers = xy if isinstance(xy, list) and xy and isinstance(xy[0], int) else [None]
    if kind == _RECTANGLE:
        return {"name": "rect", **dict(zip(("x", "y", "width", "height"), numbers, strict=False))}
    if kind == _CIRCLE:
        return {"name": "circle", **dict(zip(("cx", "cy", "r"), numbers, strict=False))}
    if kind == _ELLIPSE:
        return {"name": "ellipse", **dict(zip(("cx", "cy", "rx", "ry"), numbers, strict=False))}
    if kind in _OUTLINES:
        return {"name": "polygon", "all_points_x": numbers[::2], "all_points_y": numbers[1::2]}
    return {"name": _OTHERS.get(kind, reprlib.repr(xy))}
