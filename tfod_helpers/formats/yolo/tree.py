"""The folders of a YOLO data set: which photos and text files are in each, and where paths in them lead.

Paths come from somebody else's machine: whatever they name is looked for inside the folder, and never outside of it.
"""

from __future__ import annotations

import functools
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tfod_helpers.annotations import split_word
from tfod_helpers.formats import folders
from tfod_helpers.formats.yolo.by_name import PhotosByName, stems
from tfod_helpers.formats.yolo.description import beginning, decoded
from tfod_helpers.formats.yolo.rows import is_row
from tfod_helpers.photos.folder import PHOTO_ENDINGS, files_with_ending, folded
from tfod_helpers.problems import DatasetError

IN_TREE = ("images", "labels")
ABOVE = 3  # folders above the given one that may belong to the data set
_FIRST = 5  # label files that are opened to see what they are
_MOST_BLANK = 100
_BEGINNING = 4096  # bytes of each


class Tree:
    """The folders within one, each with its files, and those above it that belong to the same data set.

    Args:
        listing: the folder's.
        home: the folder above it that the data set begins in; None goes by the names of the folders above.

    Attributes:
        root: the folder.
        home: the folder above it that the data set begins in: ``pets`` for ``pets/images/train``.
        folders: the folders within, sorted.
        above: those above that belong to the data set.
    """

    def __init__(self, listing: folders.Listing, home: Path | None = None) -> None:
        self.root, self.home = listing.root, home or home_of(listing.root)
        self._listing = listing
        self._names: dict[Path, list[str]] = {}
        self.above = self.up(self.root)[1:]
        beside = [child for folder in self.above for child in folders.subfolders(folder)]
        self._spelled = {folded(str(folder)): folder for folder in beside}
        self._take_in([listing])
        self.files, self.photos = functools.cache(self._files), functools.cache(self._photos)
        self.texts, self.resolve = functools.cache(self._texts), functools.cache(self._resolve)
        self.by_name = functools.cache(self._by_name)

    def add(self, folder: Path) -> None:
        """Look into a folder within the root, and into those below it that lie too deep to be listed."""
        below = [one for one in self._listing if folder in (one, *one.parents)]
        places = [folder, *(child for one in below for child in self._listing.inside(one))]
        deep = [one for one in places if one not in self._names and self.root in one.parents]
        self._take_in(map(folders.Listing, deep))

    def _take_in(self, listings: Iterable[folders.Listing]) -> None:
        for listing in listings:
            self._names |= listing
        self.folders = sorted(self._names)
        self._spelled |= {folded(str(folder)): folder for folder in self.folders}

    def _files(self, folder: Path) -> list[str]:
        """Return the names of a folder's files, sorted; none where there is no such folder."""
        try:
            return self._names[folder] if folder in self._names else list(files_with_ending(folder))
        except DatasetError:
            return []

    def _photos(self, folder: Path) -> list[str]:
        """Return the names of a folder's photos."""
        return [name for name in self.files(folder) if os.path.splitext(name)[1].lower() in PHOTO_ENDINGS]

    def _texts(self, folder: Path) -> list[str]:
        """Return the names of a folder's text files."""
        return [name for name in self.files(folder) if name[-4:].lower() == ".txt"]

    def up(self, folder: Path) -> list[Path]:
        """Return a folder and those above it that belong to the data set."""
        return [folder, *folder.parents[: max(0, len(folder.parts) - len(self.home.parts))]]

    def within(self, folder: Path) -> list[Path]:
        """Return the folders with photos that are within a folder, itself included."""
        return [one for one in self.folders if (one == folder or folder in one.parents) and self.photos(one)]

    def _as_spelled(self, path: Path) -> Path:
        """Return a path as it is there, where only capitals differ."""
        return path if path.exists() else self._spelled.get(folded(str(path)), path)

    # --- labels ---------------------------------------------------------------------------------

    def labels_of(self, images: Path) -> list[Path]:
        """Return the folders where the labels of a folder of photos may be, the likeliest first.

        That is ``labels`` for ``images``, the same within it or flat; beside the photos; and ``labels`` below them.
        """
        found: list[Path] = []
        tops = [one for one in self.up(images) if one.name.lower() == "images" and one != self.home]
        for top in tops[:1]:
            labels, inside = self._as_spelled(top.parent / "labels"), images.relative_to(top).parts
            found = [labels.joinpath(*inside[:count]) for count in range(len(inside), -1, -1)]
        places = map(self._as_spelled, (*found, images, images / "labels"))
        return [folder for folder in places if folder.is_dir()]

    def _by_name(self, *folders: Path) -> PhotosByName[Path]:
        """Return the photos of folders, to be found by their names."""
        return PhotosByName((folder, name) for folder in folders for name in self.photos(folder))

    @functools.cached_property
    def _everywhere(self) -> PhotosByName[Path]:
        return self._by_name(*self.folders)

    def matching(self, images: Path, labels: Path) -> Iterator[str]:
        """Yield the text files of a folder that belong to photos of another one."""
        photos = self.by_name(images)
        return (name for name in self.texts(labels) if photos.of_label(name))

    def labelled(self, images: Path, labels: Path) -> frozenset[str]:
        """Return the names of the photos for which there is a text file in a folder."""
        photos = self.by_name(images)
        return frozenset(photo for name in self.texts(labels) for _, photo in photos.of_label(name))

    def has_rows(self, images: Path, labels: Sequence[Path]) -> bool | None:
        """Whether the first label files that are not empty have rows of YOLO; None where all are empty."""
        paths = [place / name for place in labels for name in islice(self.matching(images, place), _MOST_BLANK)]
        seen = list(islice((known for known in map(is_label, paths) if known is not None), _FIRST))
        return any(seen) if seen else None

    def texts_elsewhere(self, used: Collection[Path]) -> dict[str, Path]:
        """Return the text files in other folders, by the names without ending of the photos that they may belong to."""
        files = (folder / name for folder in self.folders if folder not in used for name in self.texts(folder))
        return {folded(stem): path for path in files for stem in stems(path.name)}

    def without_photo(self, folder: Path) -> list[str]:
        """Return the names of a folder's text files that belong to no photo."""
        return [name for name in self.texts(folder) if not self._everywhere.of_label(name)]

    # --- paths ----------------------------------------------------------------------------------

    def _resolve(self, bases: tuple[Path, ...], text: str, *, exact: bool = False) -> Path | None:
        """Return where a path leads inside of the data set: the longest end of it that is there.

        Args:
            bases: where it may start.
            text: the path, of any machine.
            exact: it has to be there as a whole.
        """
        text = re.sub(r"[/\\][^/\\]*\*.*$", "", text)  # images/train/*.jpg
        parts = [part for part in re.split(r"[/\\]", text) if part not in ("", ".", "..") and part[1:] != ":"]
        if exact and (not parts or text.startswith(("/", "\\", "..")) or "://" in text):
            return None
        for start in range(1 if exact else len(parts) or 1):
            for base in bases:
                # valid/images is not images, but C:/test/images/train may be images/train
                split = "" if base.name in parts[:start] else folders.split_name(*parts[:start])
                known = not split or folders.split_name(*parts[start:])
                if known and (path := self._walk(base, parts[start:])):
                    return path
        return None

    def _walk(self, path: Path, parts: Sequence[str]) -> Path | None:
        try:
            for part in parts:
                path = self._as_spelled(path / part)
                if not path.exists() or path.is_symlink():
                    return None
        except (OSError, ValueError):  # a name that is too long, or none
            return None
        return path

    def listed(self, path: Path, bases: tuple[Path, ...]) -> tuple[dict[Path, list[str]], list[str]]:
        """Return the photos that a list names, by their folders; and the lines that name none that is there."""
        found: dict[Path, list[str]] = defaultdict(list)
        missing = []
        for line in filter(str.strip, decoded(beginning(path))[0].splitlines()):
            *parts, name = re.split(r"[/\\]", line.strip())
            folder = self.resolve((path.parent, *bases), "/".join(parts)) if parts else path.parent
            photos = self.by_name(folder).of_line(name) if folder else []
            if not photos:  # a bare name, or a path of another machine; one of another split is another photo
                split = folders.split_name(*parts[::-1])
                photos = self._everywhere.of_line(name)
                photos = [one for one in photos if split in ("", folders.split_of(self.home, one[0]))]
            if len(photos) == 1:
                found[photos[0][0]].append(photos[0][1])
            else:
                missing.append(line.strip())
        return found, missing


def home_of(root: Path) -> Path:
    """Return the folder that a data set begins in, of which a folder called ``images`` or ``train`` is a part."""
    around = [root, *root.parents[:ABOVE]]
    return next((one for one in around if one.name.lower() not in IN_TREE and not split_word(one.name)), around[-1])


def is_label(path: Path) -> bool | None:
    """Whether a text file has rows of YOLO; None where it is empty."""
    text, _ = decoded(beginning(path, _BEGINNING))
    return any(map(is_row, text.splitlines())) if text.strip() else None


def counted(names: Iterable[object], what: str) -> str:
    """Return how many there are of something, with an example: ``3 photos, such as a.jpg``."""
    some = list(map(str, names))
    return f"{len(some)} {what}{'s' * (len(some) != 1)}{', such as' * (len(some) > 1) or ','} {some[0]}"


def like_it(what: str, count: int) -> str:
    """Return how many there are of what a message gives one example of; nothing where that is the only one."""
    return f"; {what} like it: {count}" if count > 1 else ""
