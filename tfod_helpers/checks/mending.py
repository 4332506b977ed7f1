"""What is wrong with a dataset and can be fixed without asking, fixed."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers import photos
from tfod_helpers.annotations import (
    BOX_OVER_EDGE,
    BOX_SWAPPED,
    Dataset,
    LabelledImage,
    LabelMap,
    box_fault,
    coordinate_text,
    split_role,
)
from tfod_helpers.checks.checking import checked_parts, photo_fault
from tfod_helpers.checks.classes import SPELLED_DIFFERENTLY, alike
from tfod_helpers.problems import Problem

_LEAST_LEFT = 0.5  # of a box that reaches over the edge: what is left of less may be another thing


@dataclass(frozen=True)
class Change:
    """One thing that was fixed.

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
        parts: the fixed splits by name; a single dataset stands under an empty name.
        changes: what was done.
    """

    parts: dict[str, Dataset]
    changes: tuple[Change, ...]

    @property
    def dataset(self) -> Dataset:
        """The fixed dataset, where one was given.

        Raises:
            ValueError: several splits were given; they are in ``parts``.
        """
        if len(self.parts) > 1:
            raise ValueError(f"Several splits were given: {', '.join(self.parts)}. Take them from .parts.")
        return next(iter(self.parts.values()))

    def __repr__(self) -> str:
        if not self.changes:
            return "There was nothing to fix."
        count = len(self.changes)
        return "\n".join([f"{count} change{'s' * (count != 1)}:", *(f"  {change}" for change in self.changes)])


def mend(dataset: Dataset | Mapping[str, Dataset]) -> Mended:
    """Fix what is safe to fix, and list it; the rest stays as it was, and stays in ``.problems``.

    - A box over the edge is clipped, where at least half of it stays; swapped corners are put in order.
      Such objects were left out when the dataset was read with ``on_problem="skip"``; they come back, behind
      the others of their image, and with them a class that had no other box: it gets its place among sorted names,
      else the last one.
    - An object that was labelled twice with the very same box and class is kept once.
    - An image whose photo cannot be read, or has another size than its labels are for, is left out.
    - A photo that is there twice, byte for byte, with the same labels is kept once; of two splits the one for
      training gives it up, else the first.
    - Classes whose names differ only in capitals, accents' encoding, or spaces, hyphens and underscores between
      letters become the one with the most boxes, also where a label map was given that has both; not where that may
      be meant, as with K and k or A and A-. The ids of the classes behind it move up, so train again.

    Args:
        dataset: one, or the splits by name.

    Raises:
        ValueError: there is no dataset, or the splits have different label maps.
    """
    changes: list[Change] = []
    parts = checked_parts(dataset)
    fixed = {name: _fixed_boxes(part) for name, part in parts.items()}
    parts = _with_lost_classes(parts, [better.label for one in fixed.values() for better in one.values()], changes)
    parts = {name: _with_boxes(part, fixed[name], changes) for name, part in parts.items()}
    parts = _with_classes_merged(parts, changes)  # before what it makes the same is looked for
    parts = {name: _without_doubled_boxes(part, changes) for name, part in parts.items()}
    return Mended(_with_each_photo_once(parts, changes), tuple(changes))


# --- boxes that reading refused -------------------------------------------------------------------


def _fixed_boxes(dataset: Dataset) -> dict[int, Problem]:
    """Return the problems that are surely meant otherwise, with their boxes as they are meant, by their places."""
    faults = Counter((problem.where, problem.object, problem.photo) for problem in dataset.problems)
    paths = Counter(image.path for image in dataset)
    if any(image.masks is not None for image in dataset):  # the outline of what was left out is lost
        return {}
    fixed = {}
    for number, problem in enumerate(dataset.problems):
        alone = faults[problem.where, problem.object, problem.photo] == 1  # another fault stays, so the object is bad
        if alone and paths[Path(problem.photo)] < 2 and problem.label and (better := _fixed(problem)):
            fixed[number] = better
    return fixed


def _with_boxes(dataset: Dataset, fixed: Mapping[int, Problem], changes: list[Change]) -> Dataset:
    if not fixed:
        return dataset
    of_photo: dict[Path, list[Problem]] = defaultdict(list)
    for number, better in fixed.items():
        of_photo[Path(better.photo)].append(better)
        boxes_xyxy = dataset.problems[number].box_xyxy, better.box_xyxy
        was, now = (f"[{', '.join(map(coordinate_text, box_xyxy or ()))}]" for box_xyxy in boxes_xyxy)
        changes.append(Change(better.where, better.object, better.kind, f"the box {was} became {now}"))
    images = [_with_objects(image, of_photo.pop(image.path, ()), dataset.label_map) for image in dataset]
    images += (_left_out(path, some, dataset) for path, some in of_photo.items())
    order = {split: place for place, split in enumerate(dict.fromkeys(image.split for image in images))}
    images.sort(key=lambda image: (order[image.split], str(image.path)))
    rest = (problem for number, problem in enumerate(dataset.problems) if number not in fixed)
    return Dataset(tuple(images), dataset.label_map, tuple(rest))


def _fixed(problem: Problem) -> Problem | None:
    """Return the problem with the box as it must have been meant, or None where that is not sure."""
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
    return None if box_fault(box_xyxy, width, height) else dataclasses.replace(problem, box_xyxy=box_xyxy)


def _left_out(path: Path, some: Sequence[Problem], dataset: Dataset) -> LabelledImage:
    """Return an image that was left out as a whole, with its objects fixed."""
    where = some[0].where  # where the data has splits, every place begins with one
    known = [image.split for image in dataset]
    split = next((split for split in known if where.startswith(f"{split}/")), where.partition("/")[0])
    empty = LabelledImage(path, *(some[0].size or (0, 0)), np.zeros((0, 4)), np.zeros(0), split=split * all(known))
    return _with_objects(empty, some, dataset.label_map)


def _with_objects(image: LabelledImage, some: Sequence[Problem], label_map: LabelMap) -> LabelledImage:
    if not some:
        return image
    new: dict[str, list[Any]] = {"boxes_xyxy": [problem.box_xyxy for problem in some]}
    new |= {"labels": [label_map.id(problem.label) for problem in some]}
    new |= {name: [getattr(problem, name) for problem in some] for name in ("crowd", "difficult")}
    arrays: dict[str, Any] = {name: np.concatenate([getattr(image, name), values]) for name, values in new.items()}
    if image.areas is not None:
        arrays["areas"] = np.concatenate([image.areas, [np.nan] * len(some)])
    if image.scores is not None:
        arrays["scores"] = np.concatenate([image.scores, [1.0] * len(some)])  # of a file, and no detector doubts it
    return dataclasses.replace(image, **arrays)


# --- what is there twice --------------------------------------------------------------------------


def _without_doubled_boxes(dataset: Dataset, changes: list[Change]) -> Dataset:
    images = []
    for image in dataset:
        objects = np.column_stack([image.boxes_xyxy, image.labels, image.crowd, image.difficult])
        keep = np.sort(np.unique(objects, axis=0, return_index=True)[1])
        if len(keep) < len(objects):
            place, what = f"{len(keep)} of {len(objects)} objects kept", "the same box was there more than once"
            changes.append(Change(_place(image, image.split), place, "box drawn twice", what))
            masks = image.masks and tuple(image.masks[number] for number in keep)
            names = ("boxes_xyxy", "labels", "crowd", "difficult", "areas", "scores")
            there = {name: array for name in names if (array := getattr(image, name)) is not None}
            image = dataclasses.replace(image, masks=masks, **{name: array[keep] for name, array in there.items()})
        images.append(image)
    return dataclasses.replace(dataset, images=tuple(images))


# --- photos ---------------------------------------------------------------------------------------


def _with_each_photo_once(parts: dict[str, Dataset], changes: list[Change]) -> dict[str, Dataset]:
    everything = [
        (name or image.split, name, number, image) for name, part in parts.items() for number, image in enumerate(part)
    ]
    splits = [*dict.fromkeys(split for split, *_ in everything)]
    # Training splits lose it first, since it would leak into the evaluation; then the first split.
    first_kept = sorted(splits, key=lambda split: (split_role(split) == "train", -splits.index(split)))
    everything.sort(key=lambda one: first_kept.index(one[0]))
    looks = photos.look_at([image.source for *_, image in everything], title="Checking photos")
    kept: dict[tuple[bytes, str], tuple[str, LabelledImage]] = {}
    left_out: set[tuple[str, int]] = set()
    for (split, name, number, image), look in zip(everything, looks, strict=True):
        if fault := photo_fault(image, look):
            kind, what, _ = fault
        else:
            assert isinstance(look, photos.Look)
            key = look.digest, repr((image.labels.tolist(), image.boxes_xyxy.tolist()))
            if key not in kept:
                kept[key] = split, image
                continue
            other_split, other = kept[key]
            kind = "same photo twice" if other_split == split else "same photo in two splits"
            what = f"it is the same file as {other.path.name}" + f" in {other_split!r}" * (other_split != split)
        left_out.add((name, number))
        changes.append(Change(_place(image, split), "", kind, f"left out, {what}"))
    return {
        name: dataclasses.replace(
            part, images=tuple(image for number, image in enumerate(part) if (name, number) not in left_out)
        )
        for name, part in parts.items()
    }


# --- classes --------------------------------------------------------------------------------------


def _with_lost_classes(parts: dict[str, Dataset], labels: Sequence[str], changes: list[Change]) -> dict[str, Dataset]:
    """Give the label map the classes that were left out with their last box; where one is given they are faults."""
    label_map = next(iter(parts.values())).label_map
    lost = [name for name in dict.fromkeys(labels) if name not in label_map]
    if not lost:
        return parts
    changes += (Change("classes", "", "class without boxes", f"{name!r} came back") for name in lost)
    names = [*label_map, *lost]
    found = [*label_map] == sorted(label_map)  # or else the data or a person gave them their order
    return _renumbered(parts, LabelMap(sorted(names) if found else names), {})


def _with_classes_merged(parts: dict[str, Dataset], changes: list[Change]) -> dict[str, Dataset]:
    label_map = next(iter(parts.values())).label_map
    total = Counter[str]()
    for part in parts.values():
        total.update(part.counts())
    becomes = {}
    for group in alike(label_map.names):
        best = max(group, key=lambda name: total[name])
        for name in group:
            if name != best:
                becomes[name] = best
                what = f"{total[name]} box{'es' * (total[name] != 1)} of {name!r} became {best!r}"
                changes.append(Change("classes", "", SPELLED_DIFFERENTLY, what))
    if not becomes:
        return parts
    parts = _renumbered(parts, LabelMap([name for name in label_map if name not in becomes]), becomes)
    return {
        name: dataclasses.replace(
            part, problems=tuple(problem for problem in part.problems if problem.kind != SPELLED_DIFFERENTLY)
        )
        for name, part in parts.items()
    }


def _renumbered(parts: dict[str, Dataset], label_map: LabelMap, becomes: Mapping[str, str]) -> dict[str, Dataset]:
    """Return the parts with another label map; some classes of the old one become others of the new one."""
    old = next(iter(parts.values())).label_map
    new_ids = np.array([0, *(label_map.id(becomes.get(name, name)) for name in old)])
    return {
        name: Dataset(
            tuple(dataclasses.replace(image, labels=new_ids[image.labels]) for image in part), label_map, part.problems
        )
        for name, part in parts.items()
    }


def _place(image: LabelledImage, split: str) -> str:
    return f"{split}/{image.path.name}" if split else image.path.name
