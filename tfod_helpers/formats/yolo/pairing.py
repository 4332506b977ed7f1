"""The photos of a YOLO data set -> their label files; which photos may have lost theirs, and are no background."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tfod_helpers.files import workers
from tfod_helpers.formats import folders
from tfod_helpers.formats.labelled_images import placed
from tfod_helpers.formats.yolo.layout import YoloPart
from tfod_helpers.formats.yolo.rows import LabelFile, is_row, read_rows
from tfod_helpers.formats.yolo.tree import counted, is_label, stems
from tfod_helpers.photos.folder import PhotoFolder, files_with_ending, folded
from tfod_helpers.problems import Problem, Severity

_Index = dict[tuple[int, str], list[tuple["Shelf", str]]]


@dataclass(eq=False)
class Shelf:
    """One part's photos with their label files.

    Attributes:
        part: the part.
        photos: its photos; what cannot be used is taken out of their names.
        labels: the label files that may be each photo's, by the photo's name.
    """

    part: YoloPart
    photos: PhotoFolder
    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def take_out(self, names: Sequence[str]) -> None:
        """Leave photos out."""
        gone = set(names)
        self.photos.names = [name for name in self.photos.names if name not in gone]
        for name in gone & self.labels.keys():
            del self.labels[name]

    def path(self, label_file: str) -> str:
        """Return a label file's path."""
        return f"{self.part.annotations}/{label_file}"

    def problem(self, where: str, what: str, fix: str, *, kind: str, **more: object) -> Problem:
        """Return a problem in one of its files, with its place in the data set."""
        problem = Problem(where=f"{self.part.inside}{where}", what=what, fix=fix, kind=kind, **more)  # type: ignore[arg-type]
        return placed([problem], self.part.split)[0]


def shelves_of(parts: Sequence[YoloPart], problems: list[Problem]) -> tuple[list[Shelf], dict[str, LabelFile]]:
    """Return the photos of parts with their label files, and what these say, by their paths.

    A photo that may be another one's, or whose label file may be lost, is left out, and is a problem.
    """
    shelves = [Shelf(part, PhotoFolder(part.images)) for part in parts]
    by_place: dict[Path, list[Shelf]] = defaultdict(list)
    for shelf in shelves:
        by_place[shelf.part.annotations].append(shelf)
    lonely = {place: _pair(place, some, problems) for place, some in by_place.items()}
    paths = [shelf.path(file) for shelf in shelves for files in shelf.labels.values() for file in files]
    paths += [f"{place}/{name}" for place, names in lonely.items() for name in names]
    found = workers.in_order(read_rows, paths)
    files = dict(zip(paths, tqdm(found, "Reading labels", len(paths), unit="file", delay=1), strict=True))
    for place, names in lonely.items():
        lost = [name for name in names if any(map(is_row, map(" ".join, files[f"{place}/{name}"].fields())))]
        severity: Severity = "warning" if paths else "error"  # or nothing is left
        problems += _unlabelled(by_place[place], lost, severity)
    return shelves, files


def _pair(place: Path, shelves: Sequence[Shelf], problems: list[Problem]) -> list[str]:
    """Find the photo of each label file in a folder; return the files that no photo is called as."""
    index: _Index = defaultdict(list)
    for shelf in shelves:
        for name in shelf.photos.names:
            stem = folders.stem(name)
            for level, key in enumerate((stem, name, folded(stem), folded(name))):
                index[level, key].append((shelf, name))
    for shelf in shelves:
        if shelf.part.only is not None:
            shelf.photos.names = [name for name in shelf.photos.names if name in shelf.part.only]
    meant = {shelf: set(shelf.photos.names) for shelf in shelves}
    alone: list[str] = []
    unclear: dict[str, list[tuple[Shelf, str]]] = {}
    for file in files_with_ending(place, (".txt",)):
        named = _photos_of(file, index)
        found = [(shelf, name) for shelf, name in named if name in meant[shelf]]
        if len(found) == 1:
            found[0][0].labels[found[0][1]].append(file)
        elif found:
            unclear[file] = found
        elif not named:
            alone.append(file)
    if unclear:
        file, found = next(iter(unclear.items()))
        several = len({shelf for shelf, _ in found}) > 1
        shown = " or ".join(f"{shelf.photos.folder.name}/{name}" if several else repr(name) for shelf, name in found)
        more = f"; label files like it: {len(unclear)}" if len(unclear) > 1 else ""
        fix = "Give each photo a name and a label file of its own, and delete copies."
        problems.append(found[0][0].problem(file, f"it may describe {shown}{more}", fix, kind="photo unclear"))
    for found in unclear.values():
        for shelf, name in found:
            shelf.take_out([name])
    return alone


def _photos_of(file: str, index: _Index) -> list[tuple[Shelf, str]]:
    """Return the photos that a label file may be called as: ``a.txt`` for ``a.jpg``, ``A.JPG``, or ``a.jpg.txt``."""
    for stem in stems(file):
        for level in range(4):
            if found := index.get((level, stem if level < 2 else folded(stem))):
                return found
    return []


def _unlabelled(shelves: Sequence[Shelf], lost: Sequence[str], severity: Severity) -> Iterator[Problem]:
    """Leave out the photos without a label file where it may be lost, and tell of it."""
    labelled = {shelf.photos.folder for shelf in shelves if shelf.labels}
    left = 0
    for shelf in shelves:
        bare = [name for name in shelf.photos.names if name not in shelf.labels]
        if bare and shelf.photos.folder not in labelled:
            what = f"there is no label file for {counted(bare, 'photo')}, nor for any other here: left out"
            fix = "Put the labels beside; or give each photo an empty label file, if they are background."
            folder = str(shelf.photos.folder)
            yield Problem(where=folder, what=what, fix=fix, severity=severity, kind="photo not annotated")
        elif strays := _strays(shelf, bare):
            name, path = next(iter(strays.items()))
            what = f"the labels of {name} may be {path}, and those of others are in {shelf.part.annotations}"
            what += f"; photos like it: {len(strays)}" if len(strays) > 1 else ""
            fix = "Put all label files of the folder together. Till then they are left out."
            yield Problem(where=str(shelf.photos.folder), what=what, fix=fix, kind="photo unclear")
            shelf.take_out(list(strays))
        if lost or shelf.photos.folder not in labelled:
            left += len(bare)
            shelf.take_out(bare)
    if lost:
        folder = shelves[0].photos.folder.name
        what = f"its image is missing, there is no '{folders.stem(lost[0])}.jpg' in {folder}"
        what += f"; label files like it: {len(lost)}" if len(lost) > 1 else ""
        fix = "Put the image back, or give the label file its name, or delete it."
        if left:
            fix += f" Photos without a label file are left out till then ({left})."
        yield shelves[0].problem(lost[0], what, fix, kind="photo missing")


def _strays(shelf: Shelf, names: Sequence[str]) -> dict[str, Path]:
    """Return the label files that lie elsewhere, of photos without any."""
    keys = {name: {folded(folders.stem(name)), folded(name)} & shelf.part.strays.keys() for name in names}
    found = {name: shelf.part.strays[min(some)] for name, some in keys.items() if some}
    return {name: path for name, path in found.items() if is_label(path)}


def used_classes(shelves: Sequence[Shelf], files: Mapping[str, LabelFile]) -> set[int]:
    """Return the classes' numbers in the label files."""
    texts = {
        row[0].partition(".")[0]
        for shelf in shelves
        for some in shelf.labels.values()
        for file in some
        for row in files[shelf.path(file)].fields()
    }
    return {int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 7}
