"""What is wrong with a dataset and can be put right without asking, put right."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import (
    BOX_OVER_EDGE,
    BOX_SWAPPED,
    Dataset,
    LabelledImage,
    LabelMap,
    Problem,
    box_fault,
    coordinate_text,
)
from tfod_helpers.checks.classes import SPELLED_DIFFERENTLY, alike
from tfod_helpers.checks.looking import checked_parts

_LEAST_LEFT = 0.5  # of a box that reaches over the edge: what is left of less may be another thing


@dataclass(frozen=True)
class Change:
    """One thing that was mended.

    Attributes:
        where: the file or photo.
        object: which object; empty for the whole file.
        kind: the sort of problem that it was, as in `Problem`.
        what: what was done.
    """

    where: str
    object: str
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}{', ' if self.object else ''}{self.object}: {self.what}"


@dataclass(frozen=True)
class Mended:
    """What `mend` returns.

    Attributes:
        parts: the mended splits by name; a single dataset stands under an empty name.
        changes: what was done.
    """

    parts: dict[str, Dataset]
    changes: tuple[Change, ...]

    @property
    def dataset(self) -> Dataset:
        """The mended dataset, where one was given.

        Raises:
            ValueError: several splits were given; they are in ``parts``.
        """
        if len(self.parts) > 1:
            raise ValueError(f"Several splits were mended: {', '.join(self.parts)}. Take them from .parts.")
        return next(iter(self.parts.values()))

    def __str__(self) -> str:
        if not self.changes:
            return "There was nothing to mend."
        return "\n".join([f"{len(self.changes)} changes:", *(f"  {change}" for change in self.changes)])


def mend(dataset: Dataset | Mapping[str, Dataset]) -> Mended:
    """Put right what is safe to put right, and list it; the rest stays as it was, and stays in ``.problems``.

    - A box over the edge is clipped, where at least half of it stays; swapped corners are put in order.
      Such objects were left out when the dataset was read with ``on_problem="skip"``; they come back, behind
      the others of their image.
    - An object that was labelled twice with the very same box and class is kept once.
    - A photo that is there twice, byte for byte, with the same labels is kept once; of two splits the first
      one, such as ``train``, gives it up.
    - Classes whose names differ only in capitals, spaces, hyphens or underscores become the one with the most
      boxes. The ids of the classes behind it move up, so train anew.

    Args:
        dataset: one, or the splits by name, the one for training first.

    Raises:
        ValueError: there is no dataset, or the splits have different label maps.
    """
    changes: list[Change] = []
    parts = checked_parts(dataset)
    for name, part in parts.items():
        parts[name] = _without_doubled_boxes(_with_boxes_put_right(part, changes), changes)
    parts = _without_doubled_photos(parts, changes)
    return Mended(_with_classes_merged(parts, changes), tuple(changes))


# --- boxes that reading refused -------------------------------------------------------------------


def _with_boxes_put_right(dataset: Dataset, changes: list[Change]) -> Dataset:
    faults = Counter((problem.where, problem.object, problem.photo) for problem in dataset.problems)
    mended: dict[str, list[tuple[Problem, tuple[float, ...]]]] = defaultdict(list)
    by_path = {str(image.path): image for image in dataset}
    rest = []
    for problem in dataset.problems:
        image = by_path.get(problem.photo)
        alone = faults[problem.where, problem.object, problem.photo] == 1  # another fault stays, so the object is bad
        box_xyxy = _put_right(problem) if alone and problem.label in dataset.label_map else None
        if box_xyxy is None or (image is not None and image.masks is not None):
            rest.append(problem)
        else:
            mended[problem.photo].append((problem, box_xyxy))
            was, now = (f"[{', '.join(map(coordinate_text, box))}]" for box in (problem.box_xyxy or (), box_xyxy))
            changes.append(Change(problem.where, problem.object, problem.kind, f"the box {was} became {now}"))
    if not mended:
        return dataset
    added = {photo: _with_objects(by_path.get(photo), some, dataset.label_map) for photo, some in mended.items()}
    order = {split: place for place, split in enumerate(dict.fromkeys(image.split for image in dataset))}
    images = (by_path | added).values()
    images = sorted(images, key=lambda image: (order.get(image.split, len(order)), str(image.path)))
    return Dataset(tuple(images), dataset.label_map, tuple(rest))


def _put_right(problem: Problem) -> tuple[float, ...] | None:
    """Return the box as it must have been meant, or None where that is not sure."""
    if problem.box_xyxy is None or problem.size is None:
        return None
    xmin, ymin, xmax, ymax = problem.box_xyxy
    width, height = problem.size
    if problem.kind == BOX_SWAPPED:
        box_xyxy = min(xmin, xmax), min(ymin, ymax), max(xmin, xmax), max(ymin, ymax)
    elif problem.kind == BOX_OVER_EDGE:
        box_xyxy = max(xmin, 0.0), max(ymin, 0.0), min(xmax, float(width)), min(ymax, float(height))
        left = (box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1])
        if left < _LEAST_LEFT * (xmax - xmin) * (ymax - ymin):
            return None
    else:
        return None
    return None if box_fault(box_xyxy, width, height) else box_xyxy


def _with_objects(
    image: LabelledImage | None, some: Sequence[tuple[Problem, tuple[float, ...]]], label_map: LabelMap
) -> LabelledImage:
    """Return an image with more objects; where it was left out whole, with these alone."""
    labels = [label_map.id(problem.label) for problem, _ in some]
    boxes_xyxy = [box_xyxy for _, box_xyxy in some]
    if image is None:
        problem = some[0][0]
        width, height = problem.size or (0, 0)
        split = problem.where.rpartition("/")[0]
        return LabelledImage(Path(problem.photo), width, height, boxes_xyxy, labels, split=split)
    return dataclasses.replace(
        image,
        boxes_xyxy=np.concatenate([image.boxes_xyxy, np.array(boxes_xyxy, np.float32)]),
        labels=np.concatenate([image.labels, labels]),
        crowd=np.concatenate([image.crowd, np.zeros(len(labels), bool)]),
    )


# --- what is there twice --------------------------------------------------------------------------


def _without_doubled_boxes(dataset: Dataset, changes: list[Change]) -> Dataset:
    images = []
    for image in dataset:
        objects = list(zip(image.boxes_xyxy.tolist(), image.labels.tolist(), image.crowd.tolist(), strict=True))
        first = [objects.index(one) == number for number, one in enumerate(objects)] if len(objects) > 1 else [True]
        if not all(first):
            place = f"{sum(map(bool, first))} of {len(objects)} objects kept"
            changes.append(Change(_where(image), place, "box drawn twice", "the same box was there more than once"))
            image = _chosen(image, np.array(first))
        images.append(image)
    return dataclasses.replace(dataset, images=tuple(images))


def _chosen(image: LabelledImage, keep: np.ndarray) -> LabelledImage:
    masks = image.masks and tuple(mask for mask, kept in zip(image.masks, keep, strict=True) if kept)
    arrays = {name: getattr(image, name)[keep] for name in ("boxes_xyxy", "labels", "crowd")}
    return dataclasses.replace(image, masks=masks, **arrays)


def _without_doubled_photos(parts: dict[str, Dataset], changes: list[Change]) -> dict[str, Dataset]:
    everything = [(name, image) for name in reversed(parts) for image in parts[name]]  # the first part gives up
    sizes = Counter(_bytes(image) for _, image in everything)
    kept: dict[tuple[bytes, str], tuple[str, LabelledImage]] = {}
    images: dict[str, list[LabelledImage]] = {name: [] for name in parts}
    for name, image in everything:
        size = _bytes(image)
        if size and sizes[size] > 1:
            key = _digest(image), repr((image.labels.tolist(), image.boxes_xyxy.tolist()))
            other = kept.setdefault(key, (name, image))
            if other[1] is not image:
                where = other[1].path.name + (f" in {other[0]!r}" if other[0] != name else "")
                kind = "same photo twice" if other[0] == name else "same photo in two splits"
                where_it_was = f"{name}/{image.path.name}" if name and not image.split else _where(image)
                changes.append(Change(where_it_was, "", kind, f"left out, it is the same file as {where}"))
                continue
        images[name].append(image)
    return {name: dataclasses.replace(part, images=tuple(images[name])) for name, part in parts.items()}


def _bytes(image: LabelledImage) -> int:
    try:
        return len(image.encoded) if image.encoded is not None else image.path.stat().st_size
    except OSError:  # the checks tell of it
        return 0


def _digest(image: LabelledImage) -> bytes:
    return hashlib.sha256(image.encoded if image.encoded is not None else image.path.read_bytes()).digest()


# --- classes --------------------------------------------------------------------------------------


def _with_classes_merged(parts: dict[str, Dataset], changes: list[Change]) -> dict[str, Dataset]:
    label_map = next(iter(parts.values())).label_map
    total = Counter[str]()
    for part in parts.values():
        total.update(part.counts())
    becomes = dict(_merges(label_map, total, changes))
    if not becomes:
        return parts
    merged = LabelMap([name for name in label_map if name not in becomes])
    new_ids = np.array([0, *(merged.id(becomes.get(name, name)) for name in label_map)])
    return {
        name: dataclasses.replace(
            part,
            images=tuple(dataclasses.replace(image, labels=new_ids[image.labels]) for image in part),
            label_map=merged,
        )
        for name, part in parts.items()
    }


def _merges(label_map: LabelMap, total: Mapping[str, int], changes: list[Change]) -> Iterator[tuple[str, str]]:
    for group in alike(label_map.names):
        best = max(group, key=lambda name: total[name])
        for name in group:
            if name != best:
                what = f"{total[name]} box{'es' * (total[name] != 1)} of {name!r} became {best!r}"
                changes.append(Change("classes", "", SPELLED_DIFFERENTLY, what))
                yield name, best


def _where(image: LabelledImage) -> str:
    return f"{image.split}/{image.path.name}" if image.split else image.path.name
