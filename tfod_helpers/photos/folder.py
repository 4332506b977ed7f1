"""A folder of photos, and the names by which annotations find them."""

from __future__ import annotations

import functools
import itertools
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tfod_helpers.problems import DatasetError, refused

# What counts as a photo where no annotation speaks of it. HEIC is here although it cannot be read, so
# that a phone's photos are named in the report and not "missing".
PHOTO_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".heif")
)


# What annotation files end in: such a file is never the photo that is meant.
_ANNOTATION_ENDINGS = frozenset((".xml", ".txt", ".json", ".csv"))
_LOOKED_AT = 100_000  # files, where there is nothing to read


class PhotoNames:
    """The names of photos, found by any way to write them.

    Args:
        names: paths with ``/``; of files of any kind.
        likely: ranks photos of one name, the highest first; one alone at the top is meant. None knows nothing.

    Attributes:
        names: the photos that are meant, of those that `find` finds.
    """

    def __init__(self, names: Iterable[str], likely: Callable[[str], Any] | None = None) -> None:
        self.names: list[str] = []
        self._likely = likely
        self._files: dict[str, list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        for name in names:
            last = name.rpartition("/")[2]
            stem, ending = os.path.splitext(last)
            if ending.lower() not in _ANNOTATION_ENDINGS:
                self._files[folded(last)].append(name)
            if ending.lower() in PHOTO_ENDINGS:
                self._stems[folded(stem)].append(name)
                self.names.append(name)

    def find(self, filename: str, stem: str) -> list[str]:
        """Return the photos that an annotation may mean: one where it is clear, none where it is missing.

        Only names are compared, so a path in ``filename`` can never lead out of the folder. Capitals, and the
        two ways to write an accented letter, count only where two files differ in nothing else.

        Args:
            filename: as the annotation says it, with the photo's ending, without any, or with that of an annotation
                file; of a path, Windows or not, or an address, the last part is taken, and the parts before it choose
                between photos of one name in several folders.
            stem: the annotation file's own name without ending, or empty.
        """
        named = self._named(filename.strip()) or self._named(unquote(filename.strip().partition("?")[0]))
        stemmed = self._of_stem(stem)
        if len(named) == 1 and (not stemmed or named[0] in stemmed):
            return named
        return sorted({*named, *stemmed})

    def _named(self, filename: str) -> list[str]:
        last = re.split(r"[/\\]", filename)[-1]
        bare, ending = os.path.splitext(last)
        named = self._files.get(folded(filename)) or self._files.get(folded(last)) or self._of_stem(last)
        if not named and ending.lower() in _ANNOTATION_ENDINGS:
            named = self._files.get(folded(bare)) or self._of_stem(bare)
        for rank in (functools.partial(shared_folders, filename), self._likely):
            if rank and len(named) > 1:
                ranks = {name: rank(name) for name in named}
                named = [name for name in named if ranks[name] == max(ranks.values())]
        if len(named) != 1:
            named = [name for name in (filename, last) if name in named][:1] or list(named)
        return named

    def leave_out(self, names: Collection[str]) -> None:
        """Let some of the photos be neither meant nor found."""
        for index in (self._files, self._stems) if names else ():
            for key, of_key in index.items():
                index[key] = [name for name in of_key if name not in names]
        self.names = [name for name in self.names if name not in names]

    def _of_stem(self, stem: str) -> list[str]:
        """Return the photos of a name without ending; of several, those that are written in the same way."""
        found = self._stems.get(folded(stem), []) if stem else []
        return [name for name in found if os.path.splitext(name.rpartition("/")[2])[0] == stem] or found


class PhotoFolder(PhotoNames):
    """The photos of one folder, found by name without touching the disk again.

    Args:
        folder: where the photos are.
        deep: whether its subfolders are looked into; the names are then paths such as ``train/IMG_1.jpg``.
        only: the photos that are meant, by name without ending, compared as `find` does; None means all of them.
        likely: as `PhotoNames` takes it.

    Attributes:
        folder: the folder.
        names: the photos that are meant, sorted.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        DatasetError: there is no photo in it, or it cannot be looked into.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        deep: bool = False,
        only: Collection[str] | None = None,
        likely: Callable[[str], Any] | None = None,
    ) -> None:
        self.folder = existing_folder(folder)
        super().__init__(_deep_files(self.folder) if deep else files_with_ending(self.folder), likely)
        if not self._stems:
            raise nothing_there(self.folder, "photos", PHOTO_ENDINGS)
        if only is not None:
            self.names = sorted({name for stem in only for name in self._of_stem(stem)})


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

    Raises:
        DatasetError: the folder cannot be looked into.
    """
    wanted = tuple(endings) or ""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
            names = [entry.name for entry in shown if entry.name.lower().endswith(wanted) and is_file(entry)]
    except OSError as error:
        raise _closed(folder, error) from error
    yield from sorted(names)


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link to one, that can be opened without waiting for ever."""
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _deep_files(folder: Path) -> Iterator[str]:
    def stop(error: OSError) -> None:
        raise _closed(Path(error.filename), error) from error

    for at, folders, files in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(at).relative_to(folder).as_posix()
        for name in sorted(files):
            if not name.startswith("."):
                yield name if inside == "." else f"{inside}/{name}"


def _closed(folder: Path, error: OSError) -> DatasetError:
    what = f"the folder cannot be looked into ({error.strerror})"
    return refused(folder, what, "Check its permissions.")


def nothing_there(folder: Path, what: str, endings: Collection[str]) -> DatasetError:
    """Return the error for a folder without the files wanted; it names the folders in it that have some."""
    found = [os.path.split(name) for name in itertools.islice(_deep_files(folder), _LOOKED_AT)]
    others = Counter(os.path.splitext(name)[1].lower() or "without ending" for inside, name in found if not inside)
    counts = Counter(inside for inside, name in found if os.path.splitext(name)[1].lower() in endings)
    elsewhere = ", ".join(f"{inside!r} ({count})" for inside, count in list(counts.items())[:5])
    if elsewhere:
        fix = f"Its subfolders have some: {elsewhere}. Give the path of one of them, and where the photos and the "
        fix += "annotations lie apart, both: formats.voc.read(images, annotations)."
    else:
        fix = f"Check the path, or put files ending in {', '.join(sorted(endings))} there."
    only = ", ".join(f"{count} {ending}" for ending, count in others.most_common(3))
    return refused(folder, f"there are no {what} in this folder{', only ' * bool(only)}{only}", fix)


def folded(name: str) -> str:
    """Return a file name as file systems that know no capitals compare it."""
    # macOS spells an accented letter as two characters, others as one.
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def shared_folders(path: str, name: str) -> int:
    """Return how many of the last folders of two paths to a photo agree, its own name apart."""
    pairs = zip(re.split(r"[/\\]", folded(path))[-2::-1], folded(name).split("/")[-2::-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
