"""What the formats share that keep the annotations of all photos in one file: finding it and its photos.

Photos are looked for by the names in the file. Of several with one name, those in a folder for the file's split come
first, then those in the folder that is called like a folder of photos, then those that are nearest to the file.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tfod_helpers.annotations import split_role, split_word
from tfod_helpers.formats import folders
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.labelled_images import placed
from tfod_helpers.formats.raw import Part, RawImage, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder

ReadFile = Callable[[Path, PhotoFolder, Reading], Iterable[tuple[str, RawImage]]]
Told = TypeVar("Told")
_OfSplit = dict[str, list[RawImage]]
_IMAGE_FOLDERS = ("images", "image", "img", "imgs", "jpegimages", "photos", "data")
_LOOKED_AT = 20  # files of a folder, so that a folder of 10,000 files of another format costs nothing
_ANNOTATION_FOLDER = re.compile("annot|label|json|coco", re.IGNORECASE)


def one_file_format(
    title: str, ending: str, is_ours: Callable[[Path], bool], read_file: ReadFile, **written: Any
) -> Format:
    """Return a format; the arguments are those of `find` and `sources`, and of `Format` where it is written too."""
    found, read = functools.partial(find, ending, is_ours), functools.partial(sources, read_file)
    return Format(title=title, find=found, sources=read, **written)


# --- finding the files ------------------------------------------------------------------------------


def find(ending: str, is_ours: Callable[[Path], bool], listing: Listing) -> list[Part]:
    """Return the annotation files of a format in a folder and its subfolders, each with its photos.

    Where there are none, the folders are looked into that are called like a split or like annotations.

    Args:
        ending: of the annotation files, lower case, with the dot.
        is_ours: looks at the beginning of a file; raises nothing.
        listing: the data set's folders.
    """
    inside = listing.inside(listing.root)
    named = (place for place in inside if split_word(place.name) or _ANNOTATION_FOLDER.search(place.name))
    deeper = (child for place in named for child in listing.inside(place))
    for places in ([listing.root, *inside], deeper):
        paths = (place / name for place in places for name in listing.ending(place, ending)[:_LOOKED_AT])
        if files := list(filter(is_ours, paths)):
            return [_part(listing, file, alone=len(files) == 1) for file in files]
    return []


def _part(listing: Listing, file: Path, *, alone: bool) -> Part:
    split = folders.split_of(listing.root, file.parent) or folders.split_in_name(file.stem, alone=alone)
    return Part(_photos_near(listing, file, split), file, split, root=listing.root)


def _photos_near(listing: Listing, file: Path, split: str) -> Path:
    """Return the folder with the photos that annotations speak of, by the names of the folders.

    That is their own folder, else one that is called like their split, else ``images`` and the like beside them or in
    the root; where there are no photos in any of them, their own, so that the report is about that.
    """
    place, root = file.parent, listing.root
    if place in listing.photos:
        return place
    beside = [child for base in dict.fromkeys((place, root)) for child in listing.inside(base)]
    images = [child for name in _IMAGE_FOLDERS for child in beside if child.name.casefold() == name]
    of_split = [
        child
        for base in (place, *images, root)
        for child in (listing.inside(base) if split else ())
        if child not in (place, root) and split_word(child.name).casefold() == split.casefold()
    ]
    of_split.sort(key=lambda child: child.name not in file.stem)  # train2017, not train2014, for instances_train2017
    return next(filter(listing.has_photos, (*of_split, *images, place, root)), place)


# --- finding the photos -----------------------------------------------------------------------------


def sources(read_file: ReadFile, parts: Sequence[Part], reading: Reading) -> list[Source]:
    """Return the sources of several files.

    Args:
        read_file: yields a file's images, each with the split that the file itself puts it in.
        parts: where the files and photos are.
        reading: as `Format.sources` takes it.
    """
    found = []
    for part in parts:
        photos, (of_split, told) = with_photos(part, parts, functools.partial(_read, read_file, part, reading), _names)
        reading.problems += placed(told.problems, part.split)
        reading.classes = told.classes
        inside = () if part.split else folders.subfolders(photos.folder)
        for split, raws in of_split.items():
            # Two subsets may have photos of one name, each in the subset's own folder.
            place = photos.folder / split
            own = place in inside and Listing(place).photos
            found.append(Source(PhotoFolder(place, deep=True) if own else photos, raws, split=split))
    return found


def _read(read_file: ReadFile, part: Part, reading: Reading, photos: PhotoFolder) -> tuple[_OfSplit, Reading]:
    of_split, told = defaultdict[str, list[RawImage]](list), dataclasses.replace(reading, problems=[])
    for split, raw in read_file(part.annotations, photos, told):
        if part.only is None or folders.stem(re.split(r"[/\\]", raw.filename)[-1]) in part.only:
            of_split[part.split or split].append(raw)
    return of_split, told


def _names(read: tuple[_OfSplit, Reading]) -> Iterator[tuple[str, str]]:
    return ((raw.filename, raw.stem) for raws in read[0].values() for raw in raws if not raw.fault)


def with_photos(
    part: Part,
    parts: Sequence[Part],
    read: Callable[[PhotoFolder], Told],
    names: Callable[[Told], Iterable[tuple[str, str]]],
) -> tuple[PhotoFolder, Told]:
    """Return the photos of a file: those of the part's folder, or where some are missing there, of the whole data set.

    Args:
        part: the file.
        parts: all files. Where a file has photos in its own folder, those in the folders of others are not meant.
        read: reads it, given the photos.
        names: takes what ``read`` returned, and returns the photos' names, as `PhotoFolder.find` takes them.

    Returns:
        The photos, and what ``read`` returned.
    """
    photos, told, found = _tried(part, part.images, (), read, names)
    if part.root in (None, part.images) or all(found):
        return photos, told
    elsewhere = {other.images for other in parts if any(found) and other.images not in (part.images, part.root)}
    wide = _tried(part, part.root or part.images, elsewhere, read, names)
    if sum(map(bool, wide[2])) <= sum(map(bool, found)):
        return photos, told
    used = {os.path.dirname(name) for named in wide[2] for name in named}
    wide[0].names = [name for name in wide[0].names if os.path.dirname(name) in used]
    return wide[:2]


def _tried(
    part: Part,
    folder: Path,
    elsewhere: Collection[Path],
    read: Callable[[PhotoFolder], Told],
    names: Callable[[Told], Iterable[tuple[str, str]]],
) -> tuple[PhotoFolder, Told, list[list[str]]]:
    """Return the photos of a folder, without those elsewhere, what is read with them, and what of them is found."""
    role, role_of_folder = _role(part), functools.cache(functools.partial(_role_of, part, folder))
    photos = PhotoFolder(folder, deep=True, only=part.only, likely=functools.partial(likely, part, folder))
    photos.leave_out({name for name in photos.names if any((folder / name).is_relative_to(one) for one in elsewhere)})
    told = read(photos)
    found = [photos.find(*pair) for pair in names(told)]
    if role and role in {role_of_folder(os.path.dirname(name)) for named in found for name in named}:
        # The split has photos of its own, so one that is there for another split only is not meant, but lost here.
        photos.leave_out({name for name in photos.names if role_of_folder(os.path.dirname(name)) not in ("", role)})
        found = [photos.find(*pair) for pair in names(told)]
    return photos, told, found


def likely(part: Part, folder: Path, name: str) -> tuple[bool, bool, int]:
    """Return how likely one of several photos of one name is meant by a file, the higher the more.

    Args:
        part: the file.
        folder: where the photos are.
        name: of the photo in it.
    """
    role, path = _role(part), folder / name
    for_split = bool(role) and _role_of(part, folder, os.path.dirname(name)) == role
    near = len(Path(os.path.commonpath((path, part.annotations.parent))).parts)
    return for_split, path.is_relative_to(part.images), near


def _role(part: Part) -> str:
    split = part.split or folders.split_in_name(part.annotations.stem, alone=True)
    return "" if split_word(split).casefold() == "trainval" else split_role(split)


def _role_of(part: Part, folder: Path, inside: str) -> str:
    return split_role(folders.split_name(*(folder / inside).relative_to(part.root or folder).parts[::-1]))
