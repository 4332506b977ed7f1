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
from typing import TypeVar

from tfod_helpers.annotations import split_word
from tfod_helpers.formats import folders
from tfod_helpers.formats.yolo.description import decoded
from tfod_helpers.formats.yolo.rows import is_row
from tfod_helpers.photos.folder import PHOTO_ENDINGS, files_with_ending, folded
from tfod_helpers.problems import DatasetError

IN_TREE = ("images", "labels")
ABOVE = 3  # folders above the given one that may belong to the data set
_FIRST = 5  # label files that are opened to see what they are
_MOST_BLANK = 100
_BEGINNING = 4096  # bytes of each
Found = TypeVar("Found")
_TASK = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before a photo's name


class Tree:
    """The folders within one, each with its files, and those above it that belong to the same data set.

    Attributes:
        root: the folder.
        home: the folder above it that the data set begins in: ``pets`` for ``pets/images/train``.
        folders: the folders within, sorted.
    """

    def __init__(self, listing: folders.Listing) -> None:
        self.root = listing.root
        self.home = home(self.root)
        self._files: dict[Path, list[str]] = listing
        self._index_folders()
        self.photos, self.texts = functools.cache(self._photos), functools.cache(self._texts)
        self.resolve, self._by_name = functools.cache(self._resolve), functools.cache(self._by_name_in)

    def add(self, folder: Path) -> None:
        """Look into a folder within, as deeply as `folders.Listing` does."""
        if self.root in (folder, *folder.parents):
            self._files = folders.Listing(folder) | self._files
            self._index_folders()

    def _index_folders(self) -> None:
        self.folders = sorted(self._files)
        self._index = {folded(str(folder)): folder for folder in self.folders}

    def files(self, folder: Path) -> list[str]:
        """Return the names of a folder's files, sorted; none where there is no such folder."""
        if folder not in self._files:
            try:
                return list(files_with_ending(folder)) if folder.is_dir() else []
            except DatasetError:
                return []
        return self._files[folder]

    def _photos(self, folder: Path) -> list[str]:
        """Return the names of a folder's photos."""
        return [name for name in self.files(folder) if os.path.splitext(name)[1].lower() in PHOTO_ENDINGS]

    def _texts(self, folder: Path) -> list[str]:
        """Return the names of a folder's text files."""
        return [name for name in self.files(folder) if name[-4:].lower() == ".txt"]

    def up(self, folder: Path) -> Iterator[Path]:
        """Yield a folder and those above it that belong to the data set."""
        yield folder
        yield from folder.parents[: max(0, len(folder.parts) - len(self.home.parts))]

    def within(self, folder: Path) -> list[Path]:
        """Return the folders with photos that are within a folder, itself included."""
        return [one for one in self.folders if (one == folder or folder in one.parents) and self.photos(one)]

    # --- labels ---------------------------------------------------------------------------------

    def labels_of(self, images: Path) -> list[Path]:
        """Return the folders where the labels of a folder of photos may be, the likeliest first.

        That is ``labels`` for ``images``, the same within it or flat; beside the photos; and ``labels`` below them.
        """
        found: list[Path] = []
        for above in self.up(images):
            if above.name.lower() == "images" and above != self.home:
                labels = self._child(above.parent, "labels")
                inside = images.relative_to(above).parts
                steps = [labels.joinpath(*inside[:count]) for count in range(len(inside), -1, -1)] if labels else []
                found += [step if step.is_dir() else self._index.get(folded(str(step)), step) for step in steps]
                break
        below = self._child(images, "labels")
        return [folder for folder in [*found, images, *([below] if below else [])] if folder.is_dir()]

    def _child(self, folder: Path, name: str) -> Path | None:
        if (folder / name).is_dir():
            return folder / name
        if folder in self._files:
            return self._index.get(folded(str(folder / name)))
        return next((child for child in folders.subfolders(folder) if folded(child.name) == folded(name)), None)

    def matching(self, images: Path, labels: Path) -> Iterator[str]:
        """Yield the text files of a folder that are called as photos of another one."""
        return (name for name in self.texts(labels) if _of_label(self._by_name(images), name))

    def labelled(self, images: Path, labels: Path) -> frozenset[str]:
        """Return the names of the photos for which there is a text file in a folder."""
        return frozenset(photo for name in self.texts(labels) for photo in _of_label(self._by_name(images), name))

    def has_rows(self, images: Path, labels: Sequence[Path]) -> bool | None:
        """Whether the first label files that are not empty have rows of YOLO; None where all are empty."""
        seen = []
        for path in (place / name for place in labels for name in islice(self.matching(images, place), _MOST_BLANK)):
            if (known := is_label(path)) is not None:
                seen.append(known)
            if known or len(seen) == _FIRST:
                break
        return any(seen) if seen else None

    def texts_elsewhere(self, used: Collection[Path]) -> dict[str, Path]:
        """Return the text files in other folders, by the names without ending of the photos that they may belong to."""
        files = (folder / name for folder in self.folders if folder not in used for name in self.texts(folder))
        return {folded(stem): path for path in files for stem in stems(path.name)}

    def without_photo(self, folder: Path) -> list[str]:
        """Return the names of a folder's text files that no photo is called as."""
        return [name for name in self.texts(folder) if not _of_label(self._everywhere, name)]

    # --- paths ----------------------------------------------------------------------------------

    def _resolve(self, bases: tuple[Path, ...], text: str, *, exact: bool = False) -> Path | None:
        """Return what a path means inside of the data set: the longest end of it that is there.

        Args:
            bases: where it may start.
            text: the path, of any machine.
            exact: it has to be there as a whole.
        """
        for path in dict.fromkeys((text, re.sub(r"[/\\][^/\\]*\*.*$", "", text))):  # images/train/*.jpg
            if found := self._resolve_one(bases, path, exact):
                return found
        return None

    def _resolve_one(self, bases: tuple[Path, ...], text: str, exact: bool) -> Path | None:
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
        for part in parts:
            child: Path = path / part
            try:
                if not child.exists():
                    child = self._index.get(folded(str(child)), child)
                if not child.exists() or child.is_symlink():
                    return None
            except (OSError, ValueError):  # a name that is too long, or none
                return None
            path = child
        return path

    def listed(self, path: Path, bases: tuple[Path, ...]) -> tuple[dict[Path, list[str]], list[str]]:
        """Return the photos that a list names, by their folders; and the lines that name none that is there."""
        found: dict[Path, list[str]] = defaultdict(list)
        missing = []
        for line in filter(str.strip, beginning(path, None).splitlines()):
            *parts, name = re.split(r"[/\\]", line.strip())
            folder = self.resolve((path.parent, *bases), "/".join(parts)) if parts else path.parent
            places = [(folder, one) for one in _named(self._by_name(folder), name)] if folder else []
            if not places:  # a bare name, or a path of another machine; one of another split is another photo
                split = folders.split_name(*parts[::-1])
                places = _named(self._everywhere, name)
                places = [one for one in places if split in ("", folders.split_of(self.home, one[0]))]
            if len(places) == 1:
                found[places[0][0]].append(places[0][1])
            else:
                missing.append(line.strip())
        return found, missing

    def _by_name_in(self, folder: Path) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.photos(folder):
            whole, stem = _keys(name)
            found[whole].append(name)
            found[stem].append(name)
        return found

    @functools.cached_property
    def _everywhere(self) -> dict[str, list[tuple[Path, str]]]:
        found: dict[str, list[tuple[Path, str]]] = defaultdict(list)
        for folder in self.folders:
            for key, names in self._by_name(folder).items():
                found[key] += [(folder, name) for name in names]
        return found


def _keys(name: str) -> tuple[str, str]:
    """Return the keys under which a photo is found: its name, and its name without ending."""
    return f"{folded(name)}/", folded(folders.stem(name))


def _named(found: dict[str, list[Found]], name: str) -> list[Found]:
    """Return what a list may mean by a name: with this ending, with another one, or a name without any."""
    whole, stem = _keys(name)
    return found.get(whole) or found.get(stem) or found.get(folded(name)) or []


def _of_label(found: dict[str, list[Found]], name: str) -> list[Found]:
    """Return the photos that a label file may be called as."""
    keys = map(folded, stems(name))
    return [one for key in keys for some in (found.get(key), found.get(f"{key}/")) if some for one in some]


def home(root: Path) -> Path:
    """Return the folder that a data set begins in, of which a folder called ``images`` or ``train`` is a part."""
    for _ in range(ABOVE):
        if root.name.lower() not in IN_TREE and not split_word(root.name):
            break
        root = root.parent
    return root


def stems(name: str) -> list[str]:
    """Return the names without ending of the photo that a label file may belong to."""
    stem = folders.stem(name)
    return [stem, bare] if (bare := _TASK.sub("", stem, count=1)) != stem else [stem]


def is_label(path: Path) -> bool | None:
    """Whether a text file has rows of YOLO; None where it is empty."""
    text = beginning(path)
    return any(map(is_row, text.splitlines())) if text.strip() else None


def beginning(path: Path, most: int | None = _BEGINNING) -> str:
    """Return the beginning of a text file, or all of it; nothing where it cannot be read."""
    try:
        if not path.is_file() or not path.stat().st_size:  # a device never ends
            return ""
        with path.open("rb") as file:
            data = file.read(-1 if most is None else most)
        return decoded(data[: len(data) // 2 * 2] if len(data) == most else data)[0]
    except (OSError, UnicodeDecodeError):
        return ""


def counted(names: Iterable[object], what: str) -> str:
    """Return how many there are of something, with an example: ``3 photos, such as a.jpg``."""
    some = list(map(str, names))
    return f"{len(some)} {what}{'s' * (len(some) != 1)}{', such as' * (len(some) > 1) or ','} {some[0]}"
