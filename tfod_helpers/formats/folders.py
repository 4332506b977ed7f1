"""The folders under a data set's root by the names of their files, and which have the photos that annotations mean.

People and tools call their folders what they like, so the names of the files decide: the photos of ``a.xml`` are
where there is an ``a.jpg``.
"""

from __future__ import annotations

import filecmp
import functools
import itertools
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfod_helpers.annotations import split_role, split_word
from tfod_helpers.formats.raw import Part
from tfod_helpers.photos.folder import (
    PHOTO_ENDINGS,
    existing_folder,
    files_with_ending,
    folded,
    is_file,
    nothing_there,
)
from tfod_helpers.problems import DatasetError, Problem

_DEEPEST = 5  # VOCdevkit/VOC2012/Annotations within two folders that a zip brought along
_MOST = 2000  # folders; a root with more of them is no data set
_PASSED_OVER = "__MACOSX"  # what macOS puts into zips
_LOOKED_AT = 3  # files of a folder
_NO_PHOTOS = re.compile("mask|segment|trimap", re.IGNORECASE)  # pictures that have a photo's name and are none


def subfolders(folder: Path) -> list[Path]:
    """Return a folder's own subfolders, sorted; none where it cannot be looked into, and no hidden ones."""
    return [folder / name for name in _entries(folder)[1]]


def split_name(*names: str) -> str:
    """Return the split that the first of the names is named for, as `split_word` says; empty where none is."""
    return next(filter(None, map(split_word, names)), "")


def split_in_name(name: str, *, alone: bool) -> str:
    """Return the split that a file's name ends with, or else, if it is not ``alone``, that it starts with.

    ``raccoon_train_labels`` is ``train``, and beside other files ``test_raccoon`` is ``test``. As many words count as
    name a split together: ``train_val_raccoon`` holds training and validation photos, and is ``trainval``.
    """
    words = re.split(r"[-_. ]+", name)
    ends = ["_".join(words[start:]) for start in range(len(words))]
    starts = ["_".join(words[:end]) for end in range(len(words), 0, -1)]
    return split_name(*ends, *([] if alone else starts))


# --- all folders of a data set ---------------------------------------------------------------------


class Listing(dict[Path, list[str]]):
    """The folders of a data set, the root first, each with the sorted names of its files.

    Hidden ones are left out, and a folder that cannot be looked into has no files.

    Args:
        root: the data set's folder; of a file, the listing is empty.

    Attributes:
        root: the same.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self._inside: dict[Path, list[Path]] = {}
        level = [root] if root.is_dir() else []
        for _ in range(_DEEPEST):
            for folder in level[: _MOST - len(self)]:
                self[folder], inside = _entries(folder)
                self._inside[folder] = [folder / name for name in inside]
            level = [child for folder in level for child in self._inside.get(folder, ())]

    @functools.cached_property
    def _by_ending(self) -> dict[Path, dict[str, list[str]]]:
        found: dict[Path, dict[str, list[str]]] = {folder: defaultdict(list) for folder in self}
        for folder, names in self.items():
            for name in names:
                found[folder][os.path.splitext(name)[1].lower()].append(name)
        return found

    def ending(self, folder: Path, *endings: str) -> list[str]:
        """Return the names of a folder's files with these endings, in lower case; none where it is not in the list."""
        of_folder = self._by_ending.get(folder, {})
        return [name for ending in endings for name in of_folder.get(ending, ())]

    def inside(self, folder: Path) -> list[Path]:
        """Return a folder's own subfolders, sorted."""
        return self._inside.get(folder, [])

    def has_photos(self, folder: Path) -> bool:
        """Whether there is a photo in a folder or below it."""
        return folder in self.photos or any(map(self.has_photos, self.inside(folder)))

    @functools.cached_property
    def photos(self) -> dict[Path, dict[str, str]]:
        """The photos of each folder that has some, by their folded names without ending."""
        named = {folder: sorted(self.ending(folder, *PHOTO_ENDINGS)) for folder in self}
        return {folder: {folded(stem(name)): name for name in photos} for folder, photos in named.items() if photos}

    @functools.cached_property
    def having(self) -> dict[str, list[Path]]:
        """The folders that have a photo of each folded name without ending."""
        found = defaultdict(list)
        for folder, photos in self.photos.items():
            for key in photos:
                found[key].append(folder)
        return found

    @functools.cached_property
    def texts(self) -> dict[Path, list[str]]:
        """The ``.txt`` files of each folder that has some."""
        return {folder: texts for folder in self if (texts := self.ending(folder, ".txt"))}

    def closed(self) -> list[Problem]:
        """Return a problem for each folder that cannot be looked into, as photos may be in it.

        Raises:
            DatasetError: it is the root itself.
        """
        places = [folder for folder in self if not os.access(folder, os.R_OK | os.X_OK)]
        what, fix = "the folder cannot be looked into", "Check its permissions."
        problems = [Problem(where=str(folder), what=what, fix=fix, kind="folder closed") for folder in places]
        if self.root in places:
            raise DatasetError(problems, str(self.root))
        return problems

    def left_out(self, read: Iterable[Path], problems: Sequence[Problem]) -> Iterator[Problem]:
        """Yield a warning for each folder with photos of which none was read or reported, as one file was not known.

        Args:
            read: the photos that were read.
            problems: what is reported of others, and of folders.
        """
        reported = "".join(f"{one.where}/\n{one.what}/\n" for one in problems).replace(",", "/")
        paths = [*map(str, read), *(one.photo for one in problems if one.photo)]
        known = {Path(place).absolute() for place in set(map(os.path.dirname, paths))}
        for folder in self.photos:
            known_here = folder.absolute() in known or f"{folder.relative_to(self.root).as_posix()}/" in reported
            # In the root itself there is often a picture that only shows what the data are.
            if folder != self.root and not known_here and not _NO_PHOTOS.search(folder.name):
                names = self.ending(folder, *PHOTO_ENDINGS)
                what = f"no annotation was found for its {len(names)} photos, such as {min(names)}"
                fix = "They are left out. Look whether a file of annotations is missing, or cannot be recognised."
                yield Problem(where=str(folder), what=what, fix=fix, severity="warning", kind="photo left out")


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of a folder's own files and folders, each sorted."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith((".", _PASSED_OVER))]
    except OSError:
        return [], []
    files = {entry.name for entry in shown if is_file(entry)}
    rest = [entry for entry in shown if entry.name not in files]
    return sorted(files), sorted(entry.name for entry in rest if os.path.isdir(entry.path))


def stem(name: str) -> str:
    """Return a file name without its ending."""
    return os.path.splitext(name)[0]


def split_of(root: Path, *places: Path) -> str:
    """Return the split that a folder on the way to one of the places is named for; empty where none is."""
    return next((split for place in places if (split := split_name(*place.relative_to(root).parts[::-1]))), "")


class Found(NamedTuple):
    """A folder with photos that annotations mean.

    Attributes:
        folder: it; where a photo is unclear, the folder around all those that have one of its name.
        stems: the photos' names without ending, as the annotations have them.
        deep: they are unclear, and in its subfolders.
    """

    folder: Path
    stems: frozenset[str]
    deep: bool = False


def photos_of(wanted: Collection[str], place: Path, folders: Listing, split: str = "") -> list[Found]:
    """Return the folders with the photos that annotations mean, that with the most of them first.

    Of the folders that have such photos, those nearest to the annotations count, and of these the ones for the same
    split, then the annotations' own folder, then the ones that are called alike (``images/cam 1`` for
    ``labels/cam 1``). One for another split never counts. A name that is found nowhere is counted to the first folder.

    Args:
        wanted: the photos' names without ending.
        place: the folder with the annotations.
        folders: all of the data set.
        split: which split they are for; empty where only a folder's name may say so.
    """
    root = folders.root
    split = split or split_of(root, place)
    keys = {name: folded(name) for name in wanted}
    counts = Counter(folder for key in keys.values() for folder in folders.having.get(key, ()))
    having = [folder for folder in counts if not _differ(split, split_of(root, folder))]
    # Masks have the photos' names; but photos may be in with_mask and without_mask.
    likely = [folder for folder in having if folder == place or not _NO_PHOTOS.search(folder.name)]
    near = sorted(_nearest(likely or having, place, root, split), key=lambda folder: (-counts[folder], folder))
    elsewhere = () if near else [one for one in folders.photos if not _differ(split, split_of(root, one))]
    first = (*near, *_nearest(elsewhere, place, root, split), place)[0]
    found: dict[tuple[Path, bool], set[str]] = {(folder, False): set() for folder in near or [first]}
    for name, key in keys.items():
        places = [folder for folder in near if key in folders.photos[folder]] or [first]
        unclear = len(places) > 1 and not same_file([folder / folders.photos[folder][key] for folder in places])
        where = Path(os.path.commonpath(places)) if unclear else places[0]
        found.setdefault((where, unclear), set()).add(name)
    return [Found(where, frozenset(stems), deep) for (where, deep), stems in found.items() if stems or where == first]


def find_parts(
    ending: str, is_ours: Callable[[Path], bool], parts: Callable[[set[str], Path, Listing], list[Part]], names: Listing
) -> list[Part]:
    """Return the parts of a format with an annotation file a photo, each with its photos and its split.

    Args:
        ending: of the annotation files, lower case, with the dot.
        is_ours: looks at the beginning of a file; raises nothing.
        parts: takes the annotations' names without ending, their folder and all folders, as `parts_of`.
        names: the data set's folders.
    """
    found: list[Part] = []
    for place in names:
        files = names.ending(place, ending)
        if any(is_ours(place / name) for name in files[:_LOOKED_AT]):
            found += parts(set(map(stem, files)), place, names)
    return _shared(found, names)


def parts_of(stems: Collection[str], place: Path, folders: Listing) -> list[Part]:
    """Return the parts with the photos that the annotations in a folder mean, each with its split, as `photos_of`."""
    found = photos_of(stems, place, folders)
    return [
        Part(images, place, split_of(folders.root, place, images), own if len(found) > 1 else None, deep)
        for images, own, deep in found
    ]


def _shared(parts: Sequence[Part], names: Listing) -> list[Part]:
    """Return the parts so that of several with the same photos each accounts for its own, the first for the rest."""
    users = defaultdict(list)
    for part in parts:
        users[part.images].append(part)
    found = []
    for part in parts:
        same = users[part.images]
        if part.only is None and len(same) > 1:
            own = {stem(name) for name in names[part.annotations]}
            if part is same[0]:
                others = {stem(name) for other in same[1:] for name in names[other.annotations]}
                own |= {stem(name) for name in names[part.images]} - others
            part = Part(part.images, part.annotations, part.split, frozenset(own))
        found.append(part)
    return found


def _differ(one: str, other: str) -> bool:
    """Whether photos of one split cannot be those of the other."""
    roles = {split_role(one), split_role(other)}
    both = "trainval" in (one.casefold(), other.casefold()) and "test" not in roles
    return len(roles) == 2 and "" not in roles and not both


def same_file(paths: Sequence[Path]) -> bool:
    """Whether several files hold the same bytes; not where one is not there."""
    try:
        return all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:])
    except OSError:
        return False


def _nearest(candidates: Iterable[Path], place: Path, root: Path, split: str) -> list[Path]:
    """Return those of the folders that are nearest to a place, by what `photos_of` says."""

    def rank(folder: Path) -> tuple[int, bool, bool, int]:
        shared = len(Path(os.path.commonpath((folder, place))).parts)
        pairs = zip(folder.parts[:shared:-1], place.parts[:shared:-1], strict=False)
        alike = sum(1 for _ in itertools.takewhile(lambda pair: _alike(*pair), pairs))
        return shared, bool(split) and split_role(split_of(root, folder)) == split_role(split), folder == place, alike

    ranks = {folder: rank(folder) for folder in candidates}
    best = max(ranks.values(), default=None)
    return [folder for folder, own in ranks.items() if own == best]


def _alike(one: str, other: str) -> bool:
    return folded(one) == folded(other) or split_role(one) == split_role(other) != ""


def annotation_files(part: Part, endings: Collection[str]) -> list[str]:
    """Return the names of the annotation files in a part's folder.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        DatasetError: there are none.
    """
    names = list(files_with_ending(existing_folder(part.annotations), endings))
    if not names:
        raise nothing_there(part.annotations, f"annotations ({', '.join(endings)} files)", endings)
    return names
