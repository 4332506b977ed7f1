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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, read_numbered, split_role, split_word
from tfod_helpers.files import storage, workers
from tfod_helpers.formats.checking import Checked, alike, check
from tfod_helpers.formats.raw import RawImage, Reading, Source
from tfod_helpers.problems import DatasetError, OnProblem, Problem, Severity, refused, settle_problems

_MANY = 10  # problems of one cause that are listed one by one
_ONE_CAUSE = frozenset(
    ("photo missing", "photo unclear", "annotated twice", "way up unknown", "size differs", "size off by a pixel")
)


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
    problems = list(settle_problems(list(_together(problems)), on_problem, where))
    if not read:
        is_told = not problems or any(one.severity == "error" for one in problems)
        fix = "Correct the problems above." if is_told else str(problems[0])
        problems.append(Problem(where=where, what="no labelled image is left", fix=fix))
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
            areas=None if np.isnan(checked.areas).all() else np.array(checked.areas),
        )
        for path, checked, split in read
    )
    return Dataset(images, known, tuple(problems))


def _read_all(
    sources: Sequence[Source], known: LabelMap | None, reading: Reading
) -> Iterator[tuple[Path, Checked, str]]:
    """Yield each photo that can be used, with what is right of its annotation, and its split.

    Several sources may speak of one photo; it is known by its path.
    """
    claims: dict[str, list[_Claim]] = defaultdict(list)
    mentioned: set[str] = set()
    for source in sources:
        for paired in _pairs(source, known, reading):
            paths = [source.path(name) for name in paired.photos]
            mentioned.update(paths)
            if len(paths) == 1 and not paired.faulty:
                claims[paths[0]].append(_Claim(source, paired))
            else:
                reading.problems += placed(paired.problems, source.split)
    photos: dict[tuple[Path, str], dict[str, _Paired | None]] = {one.place: {} for one in sources}
    for claim in _settled(claims, reading.problems):
        photos[claim.source.place][claim.paired.photos[0]] = claim.paired
    for source in sources:
        for name in source.photos.names:
            if source.path(name) not in mentioned:
                mentioned.add(source.path(name))
                photos[source.place][name] = None
    for (folder, split), of_place in photos.items():
        found: list[Problem] = []
        for name, of_photo in sorted(of_place.items(), key=lambda item: item[0]):
            found += of_photo.problems if of_photo else [_not_annotated(name, folder)]
            if of_photo and of_photo.checked:
                yield folder / name, of_photo.checked, split
        reading.problems += placed(found, split)


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
        where: the file it is in.
    """

    photos: list[str]
    shown: str
    checked: Checked | None
    problems: list[Problem]
    faulty: bool
    where: str


class _Claim(NamedTuple):
    source: Source
    paired: _Paired


def _pairs(source: Source, known: LabelMap | None, reading: Reading) -> Iterator[_Paired]:
    found = workers.in_order(functools.partial(_pair, source, known, reading), source.items)
    return iter(tqdm(found, "Reading annotations", len(source.items), unit="file", delay=1))


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
    return _Paired(named, shown, checked, problems, bool(raw.fault), raw.where)


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


def _together(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the problems; of many with photos that have one cause, and one way to mend it, the first with a count."""
    groups: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.kind, problem.severity].append(problem)
    for problem in problems:
        same = groups[problem.kind, problem.severity]
        if problem.kind not in _ONE_CAUSE or len(same) <= _MANY:
            yield problem
        elif problem is same[0]:
            last = ", ".join(filter(None, (same[-1].where, same[-1].object)))
            what = f"{problem.what}; so it is with {len(same) - 1:,} more, up to {last}"
            yield dataclasses.replace(problem, what=what)


def _not_annotated(name: str, folder: Path) -> Problem:
    what, kind = "no annotation describes this image", "photo not annotated"
    fix = "Left out; label it, or give it an annotation without objects to keep it as background."
    return Problem(where=name, what=what, fix=fix, severity="note", kind=kind, photo=f"{folder}/{name}")


# --- one photo, several annotations -----------------------------------------------------------------


def _settled(claims: Mapping[str, list[_Claim]], problems: list[Problem]) -> Iterator[_Claim]:
    """Yield the annotation of each photo. What several splits say alike is taken once; else none of it is taken."""
    doubled: dict[tuple[str, ...], list[list[_Claim]]] = defaultdict(list)
    for of_one in claims.values():
        if len(of_one) == 1:
            yield of_one[0]
            continue
        first, *others = of_one = sorted(of_one, key=lambda claim: _preference(claim.source.split))
        splits = tuple(claim.source.split for claim in of_one)
        if len({*splits}) == len(splits) and all(alike(one.paired.checked, first.paired.checked) for one in others):
            yield first
            doubled[splits].append(of_one)
            continue
        what = f"{len(of_one)} annotations describe this image: {_listed(of_one)}"
        fix = "Keep the right one and delete or correct the rest."
        name, photo = first.paired.photos[0], first.source.path(first.paired.photos[0])
        problem = Problem(where=name, what=what, fix=fix, kind="annotated twice", photo=photo)
        problems += placed([problem], first.source.split)
    for splits, photos in doubled.items():
        severity: Severity = "warning" if len({*filter(None, splits)}) > 1 else "note"
        count = f"{len(photos):,} photos are" if len(photos) > 1 else "a photo is"
        what = f"{count} described more than once, and alike: {_listed(photos[0])}"
        fix = "Taken once" + (f", into the split {splits[0]!r}." if any(splits) else ".")
        where, kind = photos[0][0].paired.where, "annotated twice"
        problems += placed([Problem(where=where, what=what, fix=fix, severity=severity, kind=kind)], splits[0])


def _listed(claims: Sequence[_Claim]) -> str:
    return "; ".join(f"{one.source.split}/{one.paired.shown}".removeprefix("/") for one in claims)


def _preference(split: str) -> int:
    """Return which split gets a photo that several have, the smallest: one that divides the others goes before it."""
    if split_word(split).casefold() == "trainval":
        return 4
    return ("train", "validation", "test", "").index(split_role(split)) if split else 5


def _found_classes(names: set[str], where: str, problems: list[Problem]) -> LabelMap:
    """Return the label map of the names found; warn of those that differ in capitals only."""
    if not names:
        fix = "Label some objects, or give label_map."
        raise DatasetError([*problems, Problem(where=where, what="no annotation has an object", fix=fix)], where)
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        spellings[name.casefold()].append(name)
    for same in spellings.values():
        if len(same) > 1:
            what = f"{' and '.join(map(repr, same))} are taken as {len(same)} classes"
            fix, kind = "If they are one, write it in one way.", "class spelled differently"
            problems.append(Problem(where=where, what=what, fix=fix, severity="warning", kind=kind))
    return LabelMap(sorted(names))
