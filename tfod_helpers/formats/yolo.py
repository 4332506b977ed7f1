"""YOLO: a text file a photo, one row a box: ``class x y width height``.

The class is a number from 0, x and y are the centre of the box, and everything is in fractions of the
image. https://docs.ultralytics.com/datasets/detect/ describes it. Rows with more numbers are outlines, and
the box around them is taken.

A photo without a label file, or with an empty one, is background: so has YOLO itself. The names of the classes are
taken from ``data.yaml``, ``classes.txt`` or ``obj.names``, there or in a folder above. Without annotations, `read`
takes ``labels`` where the photos are in ``images``, and else looks beside the photos. `write` makes ``images``,
``labels`` and ``data.yaml``, as Ultralytics trains from; the format has no place for crowds and difficult
objects.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import LabelledImage, LabelMap, split_role
from tfod_helpers.formats import yolo_layout
from tfod_helpers.formats.format import Format, Splits
from tfod_helpers.formats.labelled_images import known_classes
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder, existing_folder, files_with_ending
from tfod_helpers.problems import Problem

_ENDINGS = (".txt",)
_FIX_ROW = "Fix the row or delete it."
_KEY_OF = {"validation": "val", "test": "test"}  # by a split's role; all else is train


def _beside(images: Path) -> list[Part]:
    folder = existing_folder(images)
    return [Part(folder, yolo_layout.labels_of(folder))]


def _sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    reading.label_map = known_classes(reading.label_map, reading.problems)
    names = yolo_layout.names_of(parts) or list(reading.label_map or ())
    if not names:
        names = _numbers(parts)
        what = "no data.yaml or classes.txt names the classes"
        fix = "They are called by their numbers. Add one, or give label_map."
        problem = Problem(where=reading.where, what=what, fix=fix, severity="warning", kind="class name")
        reading.problems.append(problem)
    reading.classes = names
    for part in parts:
        photos = PhotoFolder(part.images, only=part.only)
        stems = {os.path.splitext(name)[0] for name in photos.names}
        labels = list(files_with_ending(part.annotations, _ENDINGS))
        lonely = [name for name in labels if os.path.splitext(name)[0] not in stems and _is_label_file(name)]
        lonely = lonely if part.only is None else []
        items = [(name, f"{os.path.splitext(name)[0]}.txt") for name in photos.names] + [("", name) for name in lonely]
        to_raw = functools.partial(_raw_image, str(part.annotations), frozenset(labels), tuple(names))
        yield Source(photos, items, to_raw, part.split)


def _is_label_file(name: str) -> bool:
    return name not in ("classes.txt", "obj.names", "names.txt", "train.txt", "val.txt", "test.txt", "README.txt")


def _numbers(parts: Sequence[Part]) -> list[str]:
    """Return names for classes that have none: their numbers, up to the highest there is."""
    highest = 0
    for path in (part.annotations / name for part in parts for name in files_with_ending(part.annotations, _ENDINGS)):
        with contextlib.suppress(OSError, UnicodeDecodeError):  # a problem when its photo is read
            first = [row[0] for row in _rows(path) if row and _is_label_file(path.name)]
            known = [int(text) for text in first if text.isascii() and text.isdigit() and len(text) < 4]
            highest = max([highest, *known])
    return [str(number) for number in range(highest + 1)]


def _rows(path: str | Path) -> list[list[str]]:
    with open(path, "rb") as file:
        return [line.split() for line in file.read().decode("utf-8-sig").splitlines()]


def _raw_image(folder: str, labels: frozenset[str], names: Sequence[str], item: tuple[str, str]) -> RawImage:
    photo, label_file = item
    stem = "" if photo else os.path.splitext(label_file)[0]
    if label_file not in labels:
        return RawImage(photo, "", photo, has_size=False)  # background
    try:
        rows = _rows(f"{folder}/{label_file}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.reason
        fault = f"it cannot be read ({reason})", "Save it as UTF-8."
        return RawImage(label_file, "", photo, stem, fault=fault)
    objects = [_raw_object(number, row, names) for number, row in enumerate(rows, start=1) if row]
    return RawImage(label_file, "", photo, stem, objects=objects, has_size=False)


def _raw_object(line: int, row: Sequence[str], names: Sequence[str]) -> RawObject:
    place = f"line {line}"
    number, dot, rest = row[0].partition(".")
    if not (number.isascii() and number.isdigit()) or (dot and rest.strip("0")):
        return RawObject(place, "", (), (f"the class is {row[0]!r}, not a whole number from 0", _FIX_ROW))
    if len(number) > 6 or int(number) >= len(names):
        known = f"there are {len(names)} names, for 0 to {len(names) - 1}"
        return RawObject(place, "", (), (f"the class is {number}, and {known}", "Correct it, or add the name."))
    name, texts = names[int(number)], row[1:]
    try:
        values = [float(text) for text in texts]
    except ValueError:
        bad = next(text for text in texts if not _is_number(text))
        return RawObject(place, name, (), (f"{bad!r} is not a number", _FIX_ROW))
    if len(values) in (4, 5):  # a fifth is the confidence of a detection
        x, y, width, height = values[:4]
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    elif len(values) >= 6 and len(values) % 2 == 0:
        corners = [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
    else:
        return RawObject(place, name, (), (f"the row has {len(row)} numbers, not 5, nor an outline's", _FIX_ROW))
    if all(map(math.isfinite, values)) and max(values[:4]) > 2:  # a little over 1 is a box over the edge
        what = f"the box {' '.join(texts)} is not in fractions of the image"
        return RawObject(
            place, name, (), (what, "Divide x and width by the image's width, y and height by its height.")
        )
    return RawObject(place, name, corners, in_fractions=True)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- writing --------------------------------------------------------------------------------------


def _write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    for split, images in splits.items():
        labels = folder / "labels" / split
        labels.mkdir(parents=True, exist_ok=True)
        for image in images:
            (labels / f"{image.path.stem}.txt").write_text(_to_rows(image), encoding="utf-8")
    (folder / "data.yaml").write_text(_to_yaml(splits, label_map), encoding="utf-8")


def _to_rows(image: LabelledImage) -> str:
    # In float64 with all its digits, so that reading gives the same float32 back.
    boxes_xyxy = image.boxes_xyxy.astype(np.float64) / [image.width, image.height, image.width, image.height]
    rows = []
    for label, (xmin, ymin, xmax, ymax) in zip(image.labels.tolist(), boxes_xyxy.tolist(), strict=True):
        numbers = (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin
        rows.append(f"{label - 1} {' '.join(map(repr, numbers))}\n")
    return "".join(rows)


def _to_yaml(splits: Splits, label_map: LabelMap) -> str:
    import yaml

    data: dict[str, object] = {"path": "."}
    places: dict[str, list[str]] = defaultdict(list)
    for split in splits:
        places[_KEY_OF.get(split_role(split), "train")].append(f"images/{split}".rstrip("/"))
    data |= {key: some if len(some) > 1 else some[0] for key, some in places.items()}
    # Ultralytics asks for both; without splits, both are all images.
    data |= {key: next(iter(data[one] for one in data if one != "path")) for key in ("train", "val") if key not in data}
    data["names"] = dict(enumerate(label_map))
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)


FORMAT = Format(
    title="YOLO",
    find=yolo_layout.find,
    sources=_sources,
    beside=_beside,
    fetch=yolo_layout.mirrored,
    write_annotations=_write,
    photos_in="images",
)
read, write = FORMAT.read, FORMAT.write
