"""What annotation files say, and the photos they say it of -> a `Dataset` of checked labelled images.

Each raw image is paired with its photo and checked against it, several at a time. All that is wrong
is collected first and settled once, at the end.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, read_numbered
from tfod_helpers.files import storage, workers
from tfod_helpers.formats.checking import Checked, check
from tfod_helpers.formats.raw import RawImage, Reading, Source
from tfod_helpers.problems import DatasetError, OnProblem, Problem, refused, settle_problems


@workers.no_garbage_search()
def make_dataset(sources: Sequence[Source], reading: Reading, on_problem: OnProblem) -> Dataset:
    """Pair, check and number what the annotations say.

    Args:
        sources: the photos, and the annotations that speak of them.
        reading: what is read, and what the format has found out.
        on_problem: ``raise`` reports every error at once; ``skip`` leaves out only what is bad. An
            image none of whose objects can be used is left out whole, as it is no background.

    Raises:
        DatasetError: ``on_problem`` is ``raise`` and something is wrong, or no image is left.
    """
    where, problems = reading.where, reading.problems
    known = known_classes(reading.label_map, problems)
    if known is None and reading.classes:
        try:
            known = LabelMap(reading.classes)
        except ValueError as error:
            what = f"its classes cannot be used: {error}"
            problem = Problem(where=where, what=what, fix="Correct them.", kind="class name")
            raise DatasetError([*problems, problem], where) from None
    read = [*_read_all(sources, known, reading)]
    problems.sort(key=lambda problem: problem.where)  # one file's problems side by side
    problems = list(settle_problems(problems, on_problem, where))
    if not read:
        problems.append(Problem(where=where, what="no labelled image is left", fix="Correct the problems above."))
        raise DatasetError(problems, where)
    if known is None:
        known = _found_classes({name for _, checked, _ in read for name in checked.names}, where, problems)
    problems += _marked_difficult([checked for _, checked, _ in read], where)
    ids = {name: known.id(name) for name in known}
    images = tuple(
        LabelledImage(
            path,
            *checked.size,
            np.array(checked.boxes_xyxy, np.float32),
            np.array([ids[name] for name in checked.names], np.int32),
            crowd=np.array(checked.crowd, bool),
            masks=None if checked.masks is None else tuple(checked.masks),
            split=split,
            difficult=np.array(checked.difficult, bool),
        )
        for path, checked, split in read
    )
    return Dataset(images, known, tuple(problems))


def _read_all(
    sources: Sequence[Source], known: LabelMap | None, reading: Reading
) -> Iterator[tuple[Path, Checked, str]]:
    """Yield each photo that can be used, with what is right of its annotation, and its split."""
    for source in sources:
        of_source: list[Problem] = []
        for name, checked in _checked(source, known, reading, of_source):
            yield source.photos.folder / name, checked, source.split
        reading.problems += placed(of_source, source.split)


def known_classes(label_map: LabelMap | str | os.PathLike[str] | None, problems: list[Problem]) -> LabelMap | None:
    """Return the label map that a reader was given, read where it is a file; a renumbered one is a problem.

    Raises:
        DatasetError: it is a file that holds no usable label map.
        FileNotFoundError: there is no such file.
    """
    if label_map is None or isinstance(label_map, LabelMap):
        return label_map
    where = storage.address(label_map)
    try:
        known, word = read_numbered(label_map)
    except ValueError as error:
        what, _, fix = str(error).removeprefix(f"{where}: ").partition(". ")
        raise refused(where, what.rstrip("."), fix or "Correct the file.", kind="label map unreadable") from error
    if word:
        what, fix = word[0].rstrip("."), word[1]
        problems.append(Problem(where=where, what=what, fix=fix, severity="warning", kind="label map renumbered"))
    return known


def placed(problems: Sequence[Problem], split: str) -> list[Problem]:
    """Return problems with the split in their place, as two splits often have files of one name."""
    return [dataclasses.replace(one, where=f"{split}/{one.where}") if split else one for one in problems]


# --- reading, in several processes ----------------------------------------------------------------


class _Paired(NamedTuple):
    """One raw image with its photo.

    Attributes:
        photos: the names of the photos that it may mean.
        shown: what distinguishes it from others that mean the same photo.
        checked: what of it can be used; None where nothing can, or where it means no photo or several.
        problems: what is wrong with it.
        faulty: it cannot be read itself, so it lays no claim to a photo.
    """

    photos: list[str]
    shown: str
    checked: Checked | None
    problems: list[Problem]
    faulty: bool


def _checked(
    source: Source, known: LabelMap | None, reading: Reading, problems: list[Problem]
) -> Iterator[tuple[str, Checked]]:
    """Yield each photo that has exactly one annotation, with it, in the order of the photos' names."""
    claims: dict[str, list[_Paired]] = defaultdict(list)
    mentioned: set[str] = set()
    found = workers.in_order(functools.partial(_pair, source, known, reading), source.items)
    for paired in tqdm(found, "Reading annotations", len(source.items), unit="file", delay=1):
        mentioned.update(paired.photos)
        if len(paired.photos) == 1 and not paired.faulty:
            claims[paired.photos[0]].append(paired)
        else:
            problems += paired.problems
    for name in sorted({*source.photos.names, *claims}):
        claimants = claims.get(name, ())
        photo = str(source.photos.folder / name)
        if len(claimants) == 1:
            problems += claimants[0].problems
            if claimants[0].checked is not None:
                yield name, claimants[0].checked
        elif claimants:
            what = f"{len(claimants)} annotations describe this image: {'; '.join(one.shown for one in claimants)}"
            fix = "Keep the right one and delete or correct the rest."
            problems.append(Problem(where=name, what=what, fix=fix, kind="annotated twice", photo=photo))
        elif name not in mentioned:
            what, kind = "no annotation describes this image", "photo not annotated"
            fix = "Left out; label it, or give it an annotation without objects to keep it as background."
            problems.append(Problem(where=name, what=what, fix=fix, severity="note", kind=kind, photo=photo))


def _pair(source: Source, known: LabelMap | None, reading: Reading, item: Any) -> _Paired:
    raw = source.to_raw(item) if source.to_raw else item
    named = source.photos.find(raw.filename, raw.stem)
    shown = f"{raw.where}, {raw.place} ({raw.filename!r})" if raw.place else raw.where
    problems: list[Problem] = []
    checked = None
    if raw.fault:
        problems.append(raw.problem(*raw.fault, kind="annotation unreadable"))
    elif len(named) == 1:
        checked = check(raw, f"{source.photos.folder}/{named[0]}", known, reading, problems)
    else:
        problems.append(_unpaired(raw, named, source.photos.folder))
    return _Paired(named, shown, checked, problems, bool(raw.fault))


def _unpaired(raw: RawImage, named: Sequence[str], folder: Path) -> Problem:
    fix = "Correct its filename" + (", and give the annotation the image's own name." if raw.stem else ".")
    if named:
        choice = " or ".join(map(repr, named))
        what = f"it may describe {choice}, its filename is {raw.filename!r}"
        return raw.problem(what, fix, kind="photo unclear")
    wanted = [f"{raw.filename!r} (its filename)"] if raw.filename else []
    if raw.stem and os.path.splitext(re.split(r"[/\\]", raw.filename)[-1])[0] != raw.stem:
        wanted.append(f"'{raw.stem}.jpg' (its own name)")
    what = f"its image is missing, there is no {' and no '.join(wanted)} in {folder.name or folder}"
    return raw.problem(what, "Put the image back or delete the annotation.", kind="photo missing")


def _marked_difficult(read: Sequence[Checked], where: str) -> Iterator[Problem]:
    counts = [sum(checked.difficult) for checked in read]
    if any(counts):
        objects, photos = sum(counts), sum(map(bool, counts))
        what = f"{objects} object{'s' * (objects != 1)} of {photos} photo{'s' * (photos != 1)} marked as difficult"
        fix = "They train like any other and are left out of scores, as Pascal VOC does it."
        yield Problem(where=where, what=what, fix=fix, severity="note", kind="marked difficult")


def _found_classes(names: set[str], where: str, problems: list[Problem]) -> LabelMap:
    """Return the label map of the names found; warn of those that differ in capitals only."""
    if not names:
        fix = "Label some objects, or give label_map."
        raise DatasetError([*problems, Problem(where=where, what="no annotation has an object", fix=fix)], where)
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        spellings[name.casefold()].append(name)
    for alike in spellings.values():
        if len(alike) > 1:
            what = f"{' and '.join(map(repr, alike))} are taken as {len(alike)} classes"
            fix, kind = "If they are one, write it in one way.", "class spelled differently"
            problems.append(Problem(where=where, what=what, fix=fix, severity="warning", kind=kind))
    return LabelMap(sorted(names))
