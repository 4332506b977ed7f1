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
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
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
PASSED_OVER = "__MACOSX"  # what macOS puts into zips
_NO_PHOTOS = re.compile("mask|segment|trimap", re.IGNORECASE)  # pictures that have a photo's name and are none
_LOOKED_AT = 20  # files of a folder, so that a folder of 10,000 files of another format costs nothing


def subfolders(folder: Path) -> list[Path]:
    """Return a folder's own subfolders, sorted; hidden ones and those that cannot be looked into are left out."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
            names = [one.name for one in shown if (os.path.isdir(one.path) if one.is_symlink() else one.is_dir())]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if os.access(folder / name, os.R_OK | os.X_OK)]


def split_name(*names: str) -> str:
    """Return the split that the first of the names is named for, as `split_word` says; empty where none is."""
    return next(filter(None, map(split_word, names)), "")


def names_in(folder: Path, endings: Collection[str], most: int = _LOOKED_AT) -> list[str]:
    """Return the names of a folder's files with these endings, the first few; none where it cannot be looked into."""
    try:
        return list(islice(files_with_ending(folder, endings), most))
    except DatasetError:
        return []


# --- all folders of a data set ---------------------------------------------------------------------


class Listing(dict[Path, list[str]]):
    """The folders of a data set, the root first, each with the names of its files."""

    @functools.cached_property
    def photos(self) -> dict[Path, dict[str, str]]:
        """The photos of each folder that has some, by their folded names without ending."""
        named = {
            folder: {folded(stem(name)): name for name in names if _is_photo(name)} for folder, names in self.items()
        }
        return {folder: photos for folder, photos in named.items() if photos}

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
        named = {folder: [name for name in names if name.lower().endswith(".txt")] for folder, names in self.items()}
        return {folder: texts for folder, texts in named.items() if texts}


def listing(root: Path) -> Listing:
    """Return the folders of a data set, the root first, each with the names of its files.

    Hidden ones are left out, and a folder that cannot be looked into has no files.
    """
    found = Listing()
    level = [root]
    for _ in range(_DEEPEST):
        inside: list[Path] = []
        for folder in level[: _MOST - len(found)]:
            files, folders = _entries(folder)
            found[folder] = files
            inside += [folder / name for name in folders]
        level = inside
    return found


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith((".", PASSED_OVER))]
    except OSError:
        return [], []
    files = {entry.name for entry in shown if is_file(entry)}
    rest = [entry for entry in shown if entry.name not in files]
    return sorted(files), sorted(entry.name for entry in rest if os.path.isdir(entry.path))


def closed(root: Path) -> list[Problem]:
    """Return a problem for each folder of a data set that cannot be looked into, as photos may be in it.

    Raises:
        DatasetError: it is the root itself.
    """
    places = [folder for folder in listing(root) if not os.access(folder, os.R_OK | os.X_OK)]
    what, fix = "the folder cannot be looked into", "Check its permissions."
    problems = [Problem(where=str(folder), what=what, fix=fix, kind="folder closed") for folder in places]
    if root in places:
        raise DatasetError(problems, str(root))
    return problems


def has_photos(root: Path) -> bool:
    """Whether there is a photo in any folder of a data set."""
    return any(_is_photo(name) for names in listing(root).values() for name in names)


def left_out(root: Path, read: Iterable[Path], problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield a warning for each folder with photos of which none was read or is spoken of, as one file was not known.

    Args:
        root: the data set; nothing is yielded where it is a file.
        read: the photos that were read.
        problems: what is said of others, and of folders.
    """
    told = "".join(f"{one.where}/\n{one.what}/\n" for one in problems)
    paths = [*map(str, read), *(one.photo for one in problems if one.photo)]
    known = {Path(place).absolute() for place in set(map(os.path.dirname, paths))}
    for folder, names in listing(root).items():
        photos = list(filter(_is_photo, names))
        is_told = folder.absolute() in known or f"{folder.relative_to(root).as_posix()}/" in told.replace(",", "/")
        # In the root itself there is often a picture that only shows what the data are.
        if folder != root and photos and not is_told and not _NO_PHOTOS.search(folder.name):
            what = f"no annotation was found for its {len(photos)} photos, such as {photos[0]}"
            fix = "They are left out. Look whether a file of annotations is missing, or cannot be recognised."
            yield Problem(where=str(folder), what=what, fix=fix, severity="warning", kind="photo left out")


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
        folders: what `listing` returned.
        split: which split they are for; empty where only a folder's name may say so.
    """
    root = next(iter(folders))
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


def shared(parts: Sequence[Part], names: Listing) -> list[Part]:
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


def _is_photo(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PHOTO_ENDINGS


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
