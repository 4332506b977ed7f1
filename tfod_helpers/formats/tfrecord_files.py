"""TFRecords of the Object Detection API, of the Model Garden and of this package, so that old records go on living.

Their photos are taken out once, into a folder, so that 20,000 of them need not be kept in memory. The features
are those of ``create_pet_tf_record.py``, ``generate_tfrecord.py`` and the Model Garden's ``tfrecord_lib.py``.

`read` takes one file or shard, whose other shards are read too, or a folder with several sets. Where the records hold
class ids and no names it needs the ``label_map`` that they were written with: the ids in that file are the records'
ids, gaps and all. Its option ``folder`` is where the photos are put, a folder for each set; None takes
``<set>_photos`` beside the records. One that has other files in it is a FileExistsError.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import LabelMap
from tfod_helpers.annotations.label_map import read_ids, read_numbered
from tfod_helpers.files import storage
from tfod_helpers.formats.folders import split_name
from tfod_helpers.formats.format import Format, photos_taken_out
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder, existing_folder, files_with_ending
from tfod_helpers.problems import DatasetError, Problem, refused
from tfod_helpers.records import tfrecord

_FILE = re.compile(
    r"(?P<set>.+?)(?:\.(?:tfrecords?|records?))?(?:-\d{5}-of-\d{5})(?:\.(?:tfrecords?|records?))?(?:\.gz)?"
    r"|(?P<alone>.+?)\.(?:tfrecords?|records?)(?:\.gz)?"
)
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_WRITE_AGAIN = "Write the records again, or leave this one out with on_problem='skip'."
_IN_PIXELS = 2.0  # a fraction of the image is never so high, a box over the edge included


def _find(folder: Path) -> list[Part]:
    """Return the sets of records in a folder, each with the split that its name says."""
    try:
        names = list(files_with_ending(folder))
    except DatasetError:
        return []
    sets: dict[str, str] = {}
    for name in names:
        if known := _set_of(name):
            sets.setdefault(known, name)
    return [Part(folder, folder / first, _split(known)) for known, first in sets.items()]


def _beside(path: Path) -> list[Part]:
    if path.is_file():
        return [Part(path.parent, path, _split(_set_of(path.name)))]
    if found := _find(existing_folder(path)):
        return found
    fix = "Check the path; files end in .tfrecord or .record, or in -00000-of-00010."
    raise refused(path, "there are no TFRecord files in this folder", fix)


def _sources(
    parts: Sequence[Part], reading: Reading, *, folder: str | os.PathLike[str] | None = None
) -> Iterator[Source]:
    names = _Names(reading.label_map)
    reading.label_map = names.label_map
    for part in parts:
        set_name = _set_of(part.annotations.name) or part.annotations.name
        target = storage.join(folder, set_name) if folder else part.annotations.with_name(f"{set_name}_photos")
        raws = _take_out(part.annotations, set_name, target, names, reading.problems)
        if raws:
            yield Source(PhotoFolder(storage.local_place(target)), raws, split=part.split)
    reading.classes = names.in_order()


def _set_of(name: str) -> str:
    """Return what the shards of one set have in common in their names; empty for other files."""
    match = _FILE.fullmatch(name)
    return (match["set"] or match["alone"]) if match else ""


def _split(set_name: str) -> str:
    return split_name(*re.split(r"[-_.]", set_name))


# --- photos out of records ------------------------------------------------------------------------


def _take_out(
    first: Path, set_name: str, target: storage.AnyPath, names: _Names, problems: list[Problem]
) -> list[RawImage]:
    """Write the photos of a set to a folder; return what its records say of them."""
    raws: list[RawImage] = []
    with photos_taken_out(target, problems) as save:
        for shard in [name for name in files_with_ending(first.parent) if _set_of(name) == set_name]:
            examples = tqdm(_examples(first.with_name(shard), problems), f"Reading {shard}", unit="image", delay=1)
            for number, values in enumerate(examples, start=1):
                stem = _photo_stem(values) or f"{set_name}_{len(raws):06d}"
                if name := save(shard, f"record {number}", stem, _only(values, "image/encoded", b"")):
                    raws.append(_raw_image(shard, f"record {number}", name, values, names))
    return raws


def _examples(path: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    try:
        yield from tfrecord.read_examples(path)
    except (ValueError, OSError) as error:
        what, fix = f"it cannot be read to its end ({error})", "Copy or write the file again."
        problems.append(Problem(where=path.name, what=what, fix=fix, kind="record damaged"))


def _photo_stem(values: dict[str, Any]) -> str:
    """Return the photo's own file name without ending, as any system can have it; empty where the record has none."""
    given = _only(values, "image/filename", b"") or _only(values, "image/source_id", b"")
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else ""
    last = re.split(r"[/\\]", text.strip())[-1]
    return re.sub(r"[\x00-\x1f<>:\"|?*]", "_", os.path.splitext(last)[0]).strip(" .")[:100]


def _only(values: dict[str, Any], key: str, otherwise: Any) -> Any:
    """Return the one value of a feature."""
    found = values.get(key, ())
    return found[0] if len(found) else otherwise


# --- what a record says of its photo --------------------------------------------------------------


def _raw_image(where: str, place: str, name: str, values: dict[str, Any], names: _Names) -> RawImage:
    size = tuple(_number(_only(values, f"image/{side}", None)) for side in ("width", "height"))
    corners = [values.get(f"image/object/bbox/{corner}", ()) for corner in _CORNERS]
    texts, labels = values.get("image/object/class/text", ()), values.get("image/object/class/label", ())
    count = len(corners[0])
    lengths = {len(column) for column in corners} | {len(column) for column in (texts, labels) if len(column)}
    if lengths != {count}:
        shown = ", ".join(f"{len(column)}" for column in (*corners, texts, labels))
        what = f"its lists have different lengths (xmin, ymin, xmax, ymax, text, label: {shown})"
        return RawImage(where, place, name, fault=(what, _WRITE_AGAIN))
    crowd, difficult = (
        flags.astype(bool).tolist() if len(flags) == count and _is_numbers(flags) else [False] * count
        for flags in (values.get(f"image/object/{key}", ()) for key in ("is_crowd", "difficult"))
    )
    objects = []
    for number in range(count):
        class_name, fault = names.of(*(column[number] if len(column) else None for column in (texts, labels)))
        box = [float(column[number]) if _is_numbers(column) else None for column in corners]
        numbers = [abs(value) for value in box if value is not None]
        if not fault and len(numbers) == len(box) and max(numbers) > _IN_PIXELS:
            fault = f"the box {box} is in pixels, not in fractions of the image", _WRITE_AGAIN
        marks = {"crowd": crowd[number], "difficult": difficult[number]}
        objects.append(RawObject(f"{place}, object {number + 1}", class_name, box, fault, True, **marks))
    return RawImage(where, place, name, size=size, objects=objects)  # type: ignore[arg-type]


class _Names:
    """The classes' names by the ids that the records know them by.

    Attributes:
        label_map: the label map that was given, or None.
    """

    def __init__(self, label_map: LabelMap | str | os.PathLike[str] | None) -> None:
        self.label_map: LabelMap | None
        self._found: dict[int, str] = {}
        if isinstance(label_map, str | os.PathLike):
            self.label_map, self._ids = _with_ids(storage.mirror(label_map))
        else:
            self.label_map, self._ids = label_map, dict(enumerate(label_map or (), start=1))

    def of(self, text: Any, label: Any) -> tuple[str, tuple[str, str] | None]:
        """Return the class of an object by what its record says, and what is wrong with it."""
        name = text.decode("utf-8", "replace").strip() if isinstance(text, bytes) else ""
        id = int(label) if isinstance(label, np.integer | np.floating) else None
        fix = "Give the label map that the records were written with."
        if id is None:
            return name, None
        if name and self._ids.get(id, name) != name:
            return name, (f"the record calls class {id} {name!r}, and the label map {self._ids[id]!r}", fix)
        name = name or self._ids.get(id, "")
        if not name:
            fix = "Correct the label map." if self._ids else fix
            return "", (f"its class is {id}, and no name is known for it", fix)
        self._found.setdefault(id, name)
        return name, None

    def in_order(self) -> list[str]:
        """Return the names that objects had, by their ids; none where two ids have one name."""
        names = [self._found[id] for id in sorted(self._found)]
        return names if len(set(names)) == len(names) else []


def _with_ids(path: Path) -> tuple[LabelMap, dict[int, str]]:
    known, word = read_numbered(path)
    return known, read_ids(path.read_text(encoding="utf-8-sig")) if word else dict(enumerate(known, start=1))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | np.integer | np.floating) else None


def _is_numbers(column: Any) -> bool:
    return isinstance(column, np.ndarray)


FORMAT = Format(
    title="TFRecord",
    find=_find,
    sources=_sources,
    beside=_beside,
    fetch=functools.partial(storage.mirror, around=True),
)
read = FORMAT.read
