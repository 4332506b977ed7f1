"""What the formats share that keep the annotations of all photos in one file: finding it, and reading several."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tfod_helpers.formats.labelled_images import placed
from tfod_helpers.formats.raw import Part, RawImage, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder, files_with_ending
from tfod_helpers.problems import DatasetError

# How people and tools call the parts that a data set is divided into.
SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing"))
_IMAGE_FOLDERS = ("images", "img", "imgs", "data")
_LOOKED_AT = 20  # files of a folder, so that a folder of 10,000 files of another format costs nothing

ReadFile = Callable[[Path, PhotoFolder, Reading], Iterable[tuple[str, RawImage]]]


def find(ending: str, is_ours: Callable[[Path], bool], folder: Path) -> list[Part]:
    """Return the annotation files of a format in a folder, else in its subfolders, each with its photos.

    Args:
        ending: of the annotation files, lower case, with the dot.
        is_ours: looks at the beginning of a file; raises nothing.
        folder: the data set's root.
    """
    for places in ([folder], subfolders(folder)):
        parts = [
            Part(photos_of(folder, place, split), place / name, split)
            for place in places
            for name in islice(_names(place, ending), _LOOKED_AT)
            if is_ours(place / name)
            for split in [split_name(place.name if place != folder else "", Path(name).stem)]
        ]
        if parts:
            return parts
    return []


def sources(read_file: ReadFile, parts: Sequence[Part], reading: Reading) -> list[Source]:
    """Return the sources of several files; files that speak of the same photos become one.

    Args:
        read_file: yields a file's images, each with the split that the file itself puts it in.
        parts: where the files and photos are.
        reading: as `Format.sources` takes it.
    """
    groups: dict[tuple[Path, str], list[RawImage]] = defaultdict(list)
    for part in parts:
        photos = PhotoFolder(part.images, deep=True)
        inside = {child.name: child for child in subfolders(part.images)}
        before = len(reading.problems)
        for split, raw in read_file(part.annotations, photos, reading):
            if part.only is None or _stem(raw) in part.only:
                # Two subsets may have photos of one name, each in the subset's own folder.
                folder = part.images if part.split else inside.get(split, part.images)
                groups[folder, part.split or split].append(raw)
        reading.problems[before:] = placed(reading.problems[before:], part.split)
    only = {part.images: part.only for part in parts}
    return [
        Source(PhotoFolder(images, deep=True, only=_meant(groups, images, split, only.get(images))), raws, split=split)
        for (images, split), raws in groups.items()
    ]


def _meant(
    groups: dict[tuple[Path, str], list[RawImage]], images: Path, split: str, only: frozenset[str] | None
) -> frozenset[str] | None:
    """Return the photos that a group has to account for: those that no other group of the same folder speaks of."""
    others = [raws for key, raws in groups.items() if key[0] == images and key[1] != split]
    if not others:
        return only
    if next(key for key in groups if key[0] == images) != (images, split):
        return frozenset(map(_stem, groups[images, split]))
    elsewhere = {_stem(raw) for raws in others for raw in raws}
    names = {_last(name) for name in PhotoFolder(images, deep=True).names}
    return frozenset(stem for stem in names - elsewhere if only is None or stem in only)


def _stem(raw: RawImage) -> str:
    return _last(raw.filename.replace("\\", "/")) or raw.stem


def _last(name: str) -> str:
    return os.path.splitext(name.rpartition("/")[2])[0]


# --- folders --------------------------------------------------------------------------------------


def subfolders(folder: Path) -> list[Path]:
    """Return a folder's own subfolders, sorted; hidden ones and those that cannot be looked into are left out."""
    try:
        return sorted(
            child
            for child in folder.iterdir()
            if child.is_dir() and not child.name.startswith(".") and os.access(child, os.R_OK | os.X_OK)
        )
    except OSError:
        return []


def split_name(*names: str) -> str:
    """Return the first of the names that is the name of a split, as it is written; empty where none is."""
    return next((name for name in names if name.casefold() in SPLITS), "")


def photos_of(root: Path, place: Path, split: str = "") -> Path:
    """Return the folder with the photos that annotations in ``place`` speak of.

    That is the same folder, else ``images`` and the like beside them or in the root; where there are
    no photos in any of them, ``place``, so that the report is about that.
    """
    if _has_photos(place, deep=False):
        return place
    named = [base / name for base in dict.fromkeys((place, root)) for name in _IMAGE_FOLDERS]
    named = [folder / split for folder in named if split] + [root / split] * bool(split) + named
    return next((folder for folder in (*named, place, root) if _has_photos(folder, deep=True)), place)


def _names(folder: Path, ending: str) -> Iterator[str]:
    try:
        yield from files_with_ending(folder, (ending,))
    except DatasetError:
        return


def _has_photos(folder: Path, *, deep: bool) -> bool:
    try:
        return folder.is_dir() and bool(PhotoFolder(folder, deep=deep).names)
    except (DatasetError, OSError):
        return False
