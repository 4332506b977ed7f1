"""Where a Pascal VOC data set keeps its annotations, its photos and the lists of its splits.

LabelImg writes the XML files beside the photos or into one other folder, Roboflow beside them in ``train``,
``valid`` and ``test``; the VOCdevkit and CVAT ("PASCAL VOC 1.1") have ``Annotations``, ``JPEGImages``, and a list a
split in ``ImageSets/Main``. http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

from tfod_helpers.formats import folders, parsing
from tfod_helpers.formats.raw import Part
from tfod_helpers.photos.folder import PHOTO_ENDINGS

_LISTS = Path("ImageSets", "Main")
_LOOKED_AT = 3  # files of a folder
_FLAG = re.compile(r"\s+-?[01]$")  # of a list of one class: whether the photo shows it
_PER_CLASS = re.compile(r".+_(train|val|trainval|test)")  # cat_train.txt, a list of one class
_NO_SPLIT = "default"  # what CVAT calls the list where nobody chose a split


def find(root: Path) -> list[Part]:
    """Return where the Pascal VOC annotations under a folder are, each with its photos and its split."""
    names = folders.listing(root)
    parts: list[Part] = []
    for place in names:
        if _has_ours(place, names):
            parts += _parts(place, root, names)
    return _shared(parts, names)


def _has_ours(place: Path, names: folders.Listing) -> bool:
    """Whether one of the first XML files of a folder is a Pascal VOC annotation."""
    first = islice((name for name in names[place] if name.lower().endswith(".xml")), _LOOKED_AT)
    return any(_is_ours(parsing.beginning_of_xml(place / name)) for name in first)


def _is_ours(elements: Sequence[str]) -> bool:
    # The XML of LabelMe on the web has the same root, and polygons only.
    return elements[:1] == ["annotation"] and ("bndbox" in elements or "polygon" not in elements)


def _parts(place: Path, root: Path, names: folders.Listing) -> list[Part]:
    annotated = {folders.stem(name) for name in names[place] if name.lower().endswith(".xml")}
    lists = _lists(place, names, annotated)
    wanted = annotated.union(*lists.values())
    photos = folders.photos_of(wanted, place, names)
    if lists:
        return [
            Part(images, place, split, frozenset(here))
            for split, listed in lists.items()
            for images, stems in photos.items()
            if (here := listed & stems)
        ]
    if len(photos) == 1:
        return [Part(images, place, folders.split_of(root, place, images)) for images in photos]
    return [Part(images, place, folders.split_of(root, place, images), stems) for images, stems in photos.items()]


def _shared(parts: Sequence[Part], names: folders.Listing) -> list[Part]:
    """Return the parts so that of several with the same photos each accounts for its own, the first for the rest."""
    users = defaultdict(list)
    for part in parts:
        users[part.images].append(part)
    shared = []
    for part in parts:
        same = users[part.images]
        if part.only is None and len(same) > 1:
            own = {folders.stem(name) for name in names[part.annotations]}
            if part is same[0]:
                others = {folders.stem(name) for other in same[1:] for name in names[other.annotations]}
                own |= {folders.stem(name) for name in names[part.images]} - others
            part = Part(part.images, part.annotations, part.split, frozenset(own))
        shared.append(part)
    return shared


# --- lists ----------------------------------------------------------------------------------------


def list_of(part: Part) -> Path | None:
    """Return the list that names a part's photos; None where there is none."""
    for base in part.annotations.parents:
        path = base / _LISTS / f"{part.split or _NO_SPLIT}.txt"
        if path.is_file():
            return path
    return None


def _lists(place: Path, names: folders.Listing, annotated: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the photos of each split whose annotations are in ``place``, as the lists nearest to it name them."""
    base = next((base for base in place.parents if base / _LISTS in names), None)
    if base is None:
        return {}
    inside = place.relative_to(base).parts[1:]  # CVAT keeps the folders that the photos were in
    stems = [folders.stem(name) for name in names[base / _LISTS] if name.endswith(".txt")]
    stems = [stem for stem in stems if not _PER_CLASS.fullmatch(stem)]
    if {"train", "val"} & set(stems):
        stems = [stem for stem in stems if stem != "trainval"]
    found = {}
    for stem in sorted(stems, key=_order):
        lines = _lines(base / _LISTS / f"{stem}.txt", annotated)
        listed = frozenset(line[-1] for line in lines if tuple(line[:-1]) == inside)
        if listed:
            found["" if stem == _NO_SPLIT else stem] = listed
    return found


def _order(split: str) -> tuple[bool, bool, str]:
    return not split.startswith("train"), split.startswith("test"), split


def _lines(path: Path, annotated: Collection[str]) -> list[list[str]]:
    """Return the names in a list, each divided into folders and the name without ending.

    A line is ``name``, ``name 1`` or, as CVAT writes it, ``"name with spaces"``.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in filter(None, map(str.strip, lines)):
        name = line.split('"')[1] if line.count('"') > 1 else line if line in annotated else _FLAG.sub("", line)
        stem = folders.stem(name) if name.lower().endswith(tuple(PHOTO_ENDINGS)) else name
        found.append(re.split(r"[/\\]", stem))
    return found
