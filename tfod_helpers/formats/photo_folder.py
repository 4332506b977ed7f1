"""A folder of photos, and the names by which annotations find them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfod_helpers.annotations import Dataset, DatasetError, Problem

# What counts as a photo where no annotation speaks of it. HEIC is here although it cannot be read, so
# that a phone's photos are named in the report and not "missing".
_PHOTO_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".heif")
)


class PhotoFolder:
    """The photos of one folder, found by name without touching the disk again.

    Args:
        folder: where the photos are; its subfolders are not looked into.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        DatasetError: there is no photo in it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = existing_folder(folder)
        self._files: dict[str, list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        self.names = list(files_with_ending(self.folder, _PHOTO_ENDINGS))
        if not self.names:
            raise nothing_there(self.folder, "photos", _PHOTO_ENDINGS)
        for name in files_with_ending(self.folder):
            self._files[_folded(name)].append(name)
        for name in self.names:
            self._stems[_folded(name.rpartition(".")[0])].append(name)

    def find(self, filename: str, stem: str) -> list[str]:
        """Return the photos that an annotation may mean: one where it is clear, none where it is missing.

        Only names are compared, so a path in ``filename`` can never lead out of the folder. Capitals
        count only where two files differ in nothing else.

        Args:
            filename: as the annotation says it; of a path, Windows or not, the last part is taken.
            stem: the annotation file's own name without ending, or empty.
        """
        last = re.split(r"[/\\]", filename.strip())[-1]
        named = _alike(self._files, filename) or _alike(self._files, last)
        stemmed = [name for name in self._stems.get(_folded(stem), ()) if name.rpartition(".")[0] == stem]
        stemmed = stemmed or self._stems.get(_folded(stem), [])
        if len(named) == 1 and named[0] in stemmed:
            return named
        return sorted({*named, *stemmed})


def existing_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder.

    Raises:
        FileNotFoundError: there is nothing.
        NotADirectoryError: it is a file.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise NotADirectoryError(f"{folder}: this is a file. Give the folder that it is in.")
    raise FileNotFoundError(f"{folder}: there is no such folder. Check the path.")


def files_with_ending(folder: Path, endings: Iterable[str] = ()) -> Iterator[str]:
    """Yield the names of a folder's own files, sorted; hidden ones (``._IMG_1.jpg``) are left out.

    Args:
        folder: not looked into any deeper.
        endings: lower case, with the dot; none means every file.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    for name in sorted(names):
        if not endings or os.path.splitext(name)[1].lower() in endings:
            yield name


def nothing_there(folder: Path, what: str, endings: Iterable[str]) -> DatasetError:
    """Return the error for a folder without the files wanted; it names the subfolders that have some."""
    counts = {
        child.name: sum(1 for _ in files_with_ending(child, endings))
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
    elsewhere = ", ".join(f"{name!r} ({count})" for name, count in counts.items() if count)
    if elsewhere:
        fix = f"Its subfolders have some: {elsewhere}. Give the path of one of them."
    else:
        fix = f"Check the path, or put files ending in {', '.join(sorted(endings))} there."
    return DatasetError([Problem(str(folder), "", f"there are no {what} in this folder", "", fix)], str(folder))


def refuse_same_names(dataset: Dataset, *, by_stem: bool) -> None:
    """Raise where two images would be written under one name.

    Args:
        dataset: what is to be written.
        by_stem: whether ``a.jpg`` and ``a.png`` are one name too.

    Raises:
        ValueError: with both paths.
    """
    seen: dict[str, Path] = {}
    for image in dataset.images:
        other = seen.setdefault(_folded(image.path.stem if by_stem else image.path.name), image.path)
        if other is not image.path:
            raise ValueError(f"{other} and {image.path} would be written under one name. Rename one of them.")


def _folded(name: str) -> str:
    # macOS spells an accented letter as two characters, others as one.
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _alike(files: dict[str, list[str]], name: str) -> list[str]:
    found = files.get(_folded(name), [])
    return [name] if name in found else found
