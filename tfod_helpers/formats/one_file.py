"""What the formats share that keep the annotations of all photos in one file: finding it, and reading several."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tfod_helpers.formats import folders
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.labelled_images import placed
from tfod_helpers.formats.raw import Part, RawImage, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder

ReadFile = Callable[[Path, PhotoFolder, Reading], Iterable[tuple[str, RawImage]]]


def one_file_format(title: str, ending: str, is_ours: Callable[[Path], bool], read_file: ReadFile) -> Format:
    """Return a format that is only read; the arguments are those of `find` and `sources`."""
    return Format(
        title=title, find=functools.partial(find, ending, is_ours), sources=functools.partial(sources, read_file)
    )


def find(ending: str, is_ours: Callable[[Path], bool], folder: Path) -> list[Part]:
    """Return the annotation files of a format in a folder, else in its subfolders, each with its photos.

    Args:
        ending: of the annotation files, lower case, with the dot.
        is_ours: looks at the beginning of a file; raises nothing.
        folder: the data set's root.
    """
    for places in ([folder], folders.subfolders(folder)):
        parts = [
            Part(folders.photos_near(folder, place, split), place / name, split)
            for place in places
            for name in folders.names_in(place, (ending,))
            if is_ours(place / name)
            for split in [folders.split_name(place.name if place != folder else "", Path(name).stem)]
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
        inside = {child.name: child for child in folders.subfolders(part.images)}
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
    names = {folders.stem(name.rpartition("/")[2]) for name in PhotoFolder(images, deep=True).names}
    return frozenset(stem for stem in names - elsewhere if only is None or stem in only)


def _stem(raw: RawImage) -> str:
    return folders.stem(raw.filename.replace("\\", "/").rpartition("/")[2]) or raw.stem
