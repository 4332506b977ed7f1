"""The photos of a YOLO data set -> their label files; which photos may have lost theirs, and are no background."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tfod_helpers.files import workers
from tfod_helpers.formats import folders
from tfod_helpers.formats.labelled_images import placed
from tfod_helpers.formats.yolo.layout import YoloPart
from tfod_helpers.formats.yolo.rows import LabelFile, is_row, read_text
from tfod_helpers.formats.yolo.tree import counted, is_label, stems
from tfod_helpers.photos.folder import PhotoFolder, files_with_ending, folded
from tfod_helpers.problems import Problem, Severity

_Photo = tuple["LabelledPhotos", str]  # its name
_SPELLINGS: tuple[Callable[[str], str], ...] = (str, folded)


@dataclass(eq=False)
class LabelledPhotos:
    """One part's photos with their label files.

    Attributes:
        part: the part.
        photos: its photos; what cannot be used is taken out of their names.
        labels: the label files that may be each photo's, by the photo's name.
    """

    part: YoloPart
    photos: PhotoFolder
    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def path(self, label_file: str) -> str:
        """Return a label file's path."""
        return f"{self.part.annotations}/{label_file}"

    def problem(self, where: str, what: str, fix: str, *, kind: str, object: str = "") -> Problem:
        """Return a problem in one of its files, with its place in the data set."""
        where = f"{self.part.inside}{where}"
        return placed([Problem(where=where, what=what, fix=fix, kind=kind, object=object)], self.part.split)[0]


def labelled_photos(
    parts: Sequence[YoloPart], problems: list[Problem]
) -> tuple[list[LabelledPhotos], dict[str, LabelFile]]:
    """Return the photos of parts with their label files, and what these say, by their paths.

    A photo that may be another one's, or whose label file may be lost, is left out, and is a problem.
    """
    groups = [LabelledPhotos(part, PhotoFolder(part.images)) for part in parts]
    by_place: dict[Path, list[LabelledPhotos]] = defaultdict(list)
    for group in groups:
        by_place[group.part.annotations].append(group)
    without_photo = {place: _pair(place, some, problems) for place, some in by_place.items()}
    paths = [group.path(file) for group in groups for files in group.labels.values() for file in files]
    paths += [f"{place}/{name}" for place, names in without_photo.items() for name in names]
    texts = tqdm(workers.in_order(read_text, paths), "Reading labels", len(paths), unit="file", delay=1)
    files = {path: LabelFile.of(*found) for path, found in zip(paths, texts, strict=True)}
    for place, names in without_photo.items():
        lost = [name for name in names if any(is_row(" ".join(row)) for _, row in files[f"{place}/{name}"].rows)]
        severity: Severity = "warning" if paths else "error"  # or nothing is left
        problems += _unlabelled(by_place[place], lost, severity)
    return groups, files


def _pair(place: Path, groups: Sequence[LabelledPhotos], problems: list[Problem]) -> list[str]:
    """Find the photo of each label file in a folder; return the files that no photo is called as."""
    find = _finder([(group, name) for group in groups for name in group.photos.names])
    for group in groups:
        if group.part.only is not None:
            group.photos.names = [name for name in group.photos.names if name in group.part.only]
    without_photo: list[str] = []
    unclear: dict[str, list[_Photo]] = {}
    for file in files_with_ending(place, (".txt",)):
        named = find(file)
        found = [(group, name) for group, name in named if group.part.only is None or name in group.part.only]
        if len(found) == 1:
            found[0][0].labels[found[0][1]].append(file)
        elif found:
            unclear[file] = found
        elif not named:
            without_photo.append(file)
    if unclear:
        file, found = next(iter(unclear.items()))
        several = len({group for group, _ in found}) > 1
        shown = " or ".join(f"{group.photos.folder.name}/{name}" if several else repr(name) for group, name in found)
        more = f"; label files like it: {len(unclear)}" if len(unclear) > 1 else ""
        fix = "Give each photo a name and a label file of its own, and delete copies."
        problems.append(found[0][0].problem(file, f"it may describe {shown}{more}", fix, kind="photo unclear"))
        leave_out(photo for found in unclear.values() for photo in found)
    return without_photo


def _finder(photos: Sequence[_Photo]) -> Callable[[str], list[_Photo]]:
    """Return what finds the photos that a label file may be called as: ``a.txt`` for ``a.jpg``, or ``a.jpg.txt``.

    Spelled alike comes first; then capitals and the two ways to spell an accent are no difference.
    """

    @functools.cache  # most label files are spelled as their photos, and need one of the four
    def index(spelling: Callable[[str], str], with_ending: bool) -> dict[str, list[_Photo]]:
        found = defaultdict(list)
        for photo in photos:
            found[spelling(photo[1] if with_ending else folders.stem(photo[1]))].append(photo)
        return found

    def find(file: str) -> list[_Photo]:
        for stem, spelling, with_ending in itertools.product(stems(file), _SPELLINGS, (False, True)):
            if found := index(spelling, with_ending).get(spelling(stem)):
                return found
        return []

    return find


def leave_out(photos: Iterable[_Photo]) -> None:
    """Leave photos out of their groups."""
    names: dict[LabelledPhotos, set[str]] = defaultdict(set)
    for group, name in photos:
        names[group].add(name)
    for group, gone in names.items():
        group.photos.names = [name for name in group.photos.names if name not in gone]
        for name in gone & group.labels.keys():
            del group.labels[name]


def _unlabelled(groups: Sequence[LabelledPhotos], lost: Sequence[str], severity: Severity) -> Iterator[Problem]:
    """Leave out the photos without a label file where it may be lost, and report it."""
    labelled = {group.photos.folder for group in groups if group.labels}
    left = 0
    for group in groups:
        bare = [name for name in group.photos.names if name not in group.labels]
        if bare and group.photos.folder not in labelled:
            what = f"there is no label file for {counted(bare, 'photo')}, nor for any other here: left out"
            fix = "Put the labels beside; or give each photo an empty label file, if they are background."
            folder = str(group.photos.folder)
            yield Problem(where=folder, what=what, fix=fix, severity=severity, kind="photo not annotated")
        elif elsewhere := _elsewhere(group, bare):
            name, path = next(iter(elsewhere.items()))
            what = f"the labels of {name} may be {path}, and those of others are in {group.part.annotations}"
            what += f"; photos like it: {len(elsewhere)}" if len(elsewhere) > 1 else ""
            fix = "Put all label files of the folder together. Till then they are left out."
            yield Problem(where=str(group.photos.folder), what=what, fix=fix, kind="photo unclear")
            leave_out((group, name) for name in elsewhere)
        if lost or group.photos.folder not in labelled:
            left += len(bare)
            leave_out((group, name) for name in bare)
    if lost:
        folder = groups[0].photos.folder.name
        what = f"its image is missing, there is no '{folders.stem(lost[0])}.jpg' in {folder}"
        what += f"; label files like it: {len(lost)}" if len(lost) > 1 else ""
        fix = "Put the image back, or give the label file its name, or delete it."
        if left:
            fix += f" Photos without a label file are left out till then ({left})."
        yield groups[0].problem(lost[0], what, fix, kind="photo missing")


def _elsewhere(group: LabelledPhotos, names: Sequence[str]) -> dict[str, Path]:
    """Return the label files that lie elsewhere, of photos without any."""
    keys = {name: {folded(folders.stem(name)), folded(name)} & group.part.elsewhere.keys() for name in names}
    found = {name: group.part.elsewhere[min(some)] for name, some in keys.items() if some}
    return {name: path for name, path in found.items() if is_label(path)}


def used_classes(groups: Sequence[LabelledPhotos], files: Mapping[str, LabelFile]) -> set[int]:
    """Return the classes' numbers in the label files."""
    texts = {
        row[0].partition(".")[0]
        for group in groups
        for some in group.labels.values()
        for file in some
        for _, row in files[group.path(file)].rows
    }
    return {int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 7}
