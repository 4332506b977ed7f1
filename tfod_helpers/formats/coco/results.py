"""A COCO results file, the list of detections that other programs write -> `supervision.Detections` by image."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.annotations.masks import RLE
from tfod_helpers.files import storage
from tfod_helpers.formats import one_file, parsing
from tfod_helpers.formats.checking import encoded_outline
from tfod_helpers.formats.coco.file import CocoFile, Id, corners, outline_fault, outline_of
from tfod_helpers.formats.raw import Part, Reading
from tfod_helpers.formats.shapes import Bounds
from tfod_helpers.photos.folder import PhotoNames, shared_folders
from tfod_helpers.problems import settle_problems

if TYPE_CHECKING:
    import supervision as sv


def read_results(
    results: str | os.PathLike[str], annotations: str | os.PathLike[str], dataset: Dataset
) -> list[sv.Detections]:
    """Read a file of detections, so that ``evaluation.score(dataset, ...)`` can count them.

    Where the dataset has masks, and each detection a ``segmentation``, these are read as masks. One without ``bbox``
    has the box around it.

    Args:
        results: a JSON list of ``{"image_id", "category_id", "bbox", "score"}``, or with ``segmentation``.
        annotations: the COCO file that the ids belong to.
        dataset: the images that were read with it; their detections are returned in its order. A class that it lacks
            has the id 0; `evaluation.score` leaves it out, with a note.

    Raises:
        FileNotFoundError: a file is not there.
        DatasetError: an entry is broken, or is about an image or a class that there is not; all are listed.
    """
    path, place = (storage.mirror(one).expanduser() for one in (results, annotations))
    found = Reading(str(path))
    file = CocoFile(place, found)
    of_id = _images(file, place.absolute(), dataset)
    unclear: dict[Id, None] = {}
    rows: dict[int, list[_Row]] = defaultdict(list)
    entries = parsing.load_json_list(path, "detections", "Give a COCO results file.")
    if entries and file.items and not any(of_id.values()):
        what = f"none of the images of {file.name} is in the dataset"
        raise parsing.refused(path, what, "Give the annotations that the dataset was read with.")
    masked = any(image.masks is not None for image in dataset) and all(
        isinstance(item, dict) and outline_of(item) for item in entries
    )
    for number, item in enumerate(entries, start=1):
        try:
            id, name = file.image_of(item), file.class_of(item)
            detection = _row(item, name, file.size_of(id), [dataset[at] for at in of_id[id]], masked=masked)
        except ValueError as error:
            fix, kind = "Correct it, or delete the detection.", "entry unreadable"
            found.add(path.name, str(error), fix, "error", kind, f"detection {number}")
            continue
        if len(of_id[id]) == 1:
            rows[of_id[id][0]].append(detection)
        elif len(of_id[id]) > 1:
            unclear[id] = None
    for id in unclear:
        shown = ", ".join(dict.fromkeys(str(dataset[number].path) for number in of_id[id]))
        what = f"its file name {file.filenames[id]!r} does not say which image of the dataset it is: {shown}"
        fix = "Give each image a file name of its own, with its folder."
        found.add(file.name, what, fix, "error", "photo unclear", f"image {id}")
    settle_problems(found.problems, "raise", found.where)
    # Of equal confidences the one in the image of the lower id counts first, as with pycocotools.
    image_ids = {numbers[0]: id for id, numbers in of_id.items() if len(numbers) == 1 and isinstance(id, int)}
    made = [_detections(rows[number], dataset.label_map, image_ids.get(number)) for number in range(len(dataset))]
    for number, one in enumerate(made if masked else ()):
        one.data[RLE] = np.array([row.code for row in rows[number]], object)
    return made


class _Row(NamedTuple):
    """A detection: its class's name, and its mask, encoded, where masks are read."""

    box_xyxy: Bounds
    name: str
    score: float
    code: bytes


def _row(
    item: dict[str, Any], name: str, size: tuple[Any, Any], images: Sequence[LabelledImage], *, masked: bool
) -> _Row:
    """Return what an entry says; ``images`` are those of the dataset that it may be about."""
    score, code = parsing.number_at(item, "score"), b""
    if masked and images:
        size, outline = (images[0].width, images[0].height), outline_of(item)
        if fault := outline_fault(outline, size):
            raise ValueError(f"segmentation {fault}")
        counts = encoded_outline(outline, size)["counts"]
        code = counts if isinstance(counts, bytes) else counts.encode()
    return _Row(corners(item, size), name, score, code)


def _detections(rows: list[_Row], label_map: LabelMap, image_id: int | None) -> sv.Detections:
    import supervision as sv

    return sv.Detections(
        xyxy=np.array([row.box_xyxy for row in rows]).reshape(-1, 4),
        class_id=np.array([label_map.id(row.name) if row.name in label_map else 0 for row in rows], int),
        confidence=np.array([row.score for row in rows], float),
        data={"class_name": np.array([row.name for row in rows], object)},
        metadata={"image_id": image_id},
    )


def _images(file: CocoFile, path: Path, dataset: Dataset) -> dict[Id, list[int]]:
    """Return which of the dataset's images each id may be: one where it is clear, none where it is not among them."""
    paths = [image.path.absolute() for image in dataset]
    root = Path(os.path.commonpath([one.parent for one in paths])) if paths else path.parent
    numbers = {one.as_posix(): number for number, one in enumerate(paths)}
    photos = PhotoNames(numbers, functools.partial(one_file.likely, Part(root, path, root=root), root))
    found = {id: photos.find(name, "") for id, name in file.filenames.items()}
    of_name: dict[str, list[tuple[int, Id]]] = defaultdict(list)
    for id, named in found.items():
        for name in named[:1]:
            of_name[name].append((shared_folders(file.filenames[id], name), id))
    of_id: dict[Id, list[int]] = {id: [] for id in found}
    # A dataset may be a part of what the file describes: of two ids for one image the one whose path agrees is meant.
    for ids in of_name.values():
        most = max(agree for agree, _ in ids)
        best = [id for agree, id in ids if agree == most]
        for id in best:
            of_id[id] = [numbers[name] for name in found[id]] * len(best)
    return of_id
