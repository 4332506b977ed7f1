"""The lists that divide a Pascal VOC data set: one file a split with a photo a line.

The VOCdevkit keeps them in ``ImageSets/Main``, beside lists of single classes; others call the folder otherwise or let
``train.txt`` lie beside the annotations.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from tfod_helpers.annotations import split_role
from tfod_helpers.formats import folders, parsing
from tfod_helpers.formats.raw import Part
from tfod_helpers.photos.folder import PHOTO_ENDINGS, folded

_SETS = ("imagesets", "imagesets/main")  # in any capitals
_FLAGS = re.compile(r"(\s+-?\d+)+$")  # of a list of one class: whether the photo shows it; of the Pets: its class
_PER_CLASS = re.compile(r".+_(train|val|trainval|test)", re.IGNORECASE)  # cat_train.txt, a list of one class
NO_SPLIT = "default"  # what CVAT calls the list where nobody chose a split


def parts_of(annotated: Collection[str], place: Path, names: folders.Listing) -> list[Part]:
    """Return the parts with the annotations in a folder, by the lists where there are some, as `folders.parts_of`."""
    listed_in = _find(place, names, annotated)
    if not listed_in:
        return folders.parts_of(annotated, place, names)
    photos = folders.photos_of(set(annotated).union(*listed_in.values()), place, names)
    return [
        Part(found.folder, place, split, here, found.deep)
        for split, listed in listed_in.items()
        for found in photos
        if (here := listed & found.stems)
    ]


def _find(place: Path, names: folders.Listing, annotated: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the photos of each split whose annotations are in ``place``, as the lists nearest to it name them.

    What is in none of the devkit's ImageSets is no part of the data set; what is in no list that lies about is of no
    split.
    """
    bases = [base for base in (place, *place.parents) if base in names]
    for base in bases:
        inside = {folder.relative_to(base).as_posix(): folder for folder in names.texts if folder.is_relative_to(base)}
        for name in sorted((name for name in inside if name.casefold() in _SETS), reverse=True):
            if found := _splits(inside[name], names, base, place, annotated):
                return found
    near = [base for base in bases if base in names.texts]
    near += [folder for base in bases for folder in names.texts if folder.parent == base]
    for folder in near if not folders.split_of(names.root, place) else ():
        found = _splits(folder, names, None, place, annotated)
        if found := {split: listed for split, listed in found.items() if listed & set(annotated)}:
            left = frozenset(annotated).difference(*found.values())
            return found | ({"": left} if left else {})
    return {}


def _splits(
    folder: Path, names: folders.Listing, base: Path | None, place: Path, annotated: Collection[str]
) -> dict[str, frozenset[str]]:
    """Return the photos in each list of a folder; with a ``base``, only those whose annotations lie in ``place``."""
    files = {folders.stem(name): folder / name for name in names.texts[folder]}
    stems = [stem for stem in files if not _PER_CLASS.fullmatch(stem)]
    if not base or any(map(split_role, stems)):
        stems = list(filter(split_role, stems))  # and not all.txt, or one of a single class
    inside = place.relative_to(base).parts[1:] if base else ()  # CVAT keeps the folders that the photos were in
    spelled = {folded(stem): stem for stem in annotated}
    found: dict[str, frozenset[str]] = {}
    for stem in sorted(stems, key=_order):
        lines = _lines(files[stem], spelled)
        here = [line for line in lines if not base or line[:-1] == [*inside] or base.joinpath(*line[:-1]) in names]
        listed = frozenset(spelled.get(folded(line[-1]), line[-1]) for line in here)
        if folders.split_name(stem).casefold() == "trainval":  # train and validation photos together
            listed = listed.difference(*(other for split, other in found.items() if split_role(split) != "test"))
        if listed:
            found["" if stem == NO_SPLIT else stem] = listed
    return found


def _order(split: str) -> tuple[bool, bool, bool, str]:
    together = folders.split_name(split).casefold() == "trainval"
    return together, split_role(split) != "train", split_role(split) == "test", split


def _lines(path: Path, annotated: Collection[str]) -> list[list[str]]:
    """Return the names in a list, each divided into folders and the name without ending.

    A line is ``name``, ``name 1`` or, as CVAT writes it, ``"name with spaces"``.
    """
    found = []
    for line in parsing.lines(path):
        bare = line if folded(line) in annotated else _FLAGS.sub("", line)
        name = line.split('"')[1] if line.count('"') > 1 else bare
        stem = folders.stem(name) if name.lower().endswith((*PHOTO_ENDINGS, ".xml")) else name
        found.append(re.split(r"[/\\]", stem))
    return found
