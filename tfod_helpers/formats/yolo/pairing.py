"""The photos of a YOLO data set -> their label files; which photos may have lost theirs, and are no background."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tfod_helpers.files import workers
from tfod_helpers.formats import folders
from tfod_helpers.formats.labelled_images import placed
from tfod_helpers.formats.yolo.by_name import PhotosByName
from tfod_helpers.formats.yolo.layout import YoloPart
from tfod_helpers.formats.yolo.rows import LabelFile, class_number, is_row, read_text
from tfod_helpers.formats.yolo.tree import counted, is_label, like_it
from tfod_helpers.photos.folder import PhotoFolder, files_with_ending, folded
from tfod_helpers.problems import Problem, Severity

_MOST = 1_000_000  # classes; more is a mistake
_Photo = tuple["LabelledPhotos", str]  # its name


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
    labels: dict[str, list[LabelFile]] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, str, int, Sequence[str]]]:
        """Yield each row: its photo, its label file, the number of its line, and the texts in it."""
        for photo, files in self.labels.items():
            for file in files:
                for line, row in file.rows:
                    yield photo, file.name, line, row

    def problem(self, where: str, what: str, fix: str, *, kind: str, object: str = "") -> Problem:
        """Return a problem in one of its files, with its place in the data set."""
        where = f"{self.part.inside}{where}"
        return placed([Problem(where=where, what=what, fix=fix, kind=kind, object=object)], self.part.split)[0]


def labelled_photos(parts: Sequence[YoloPart], problems: list[Problem]) -> list[LabelledPhotos]:
    """Return the photos of parts with their label files.

    A photo that may be another one's, or whose label file may be lost, is left out, and is a problem.
    """
    listed = functools.cache(PhotoFolder)
    groups = [LabelledPhotos(part, copy.copy(listed(part.images))) for part in parts]
    by_place: dict[Path, list[LabelledPhotos]] = defaultdict(list)
    for group in groups:
        by_place[group.part.annotations].append(group)
    pairs = {place: _pairs(place, some, problems) for place, some in by_place.items()}
    paired = [(place, file, photo) for place, of_file in pairs.items() for file, photo in of_file.items()]
    paths = [f"{place}/{file}" for place, file, _ in paired]
    texts = tqdm(workers.in_order(read_text, paths), "Reading labels", len(paths), unit="file", delay=1)
    lost: dict[Path, list[str]] = defaultdict(list)
    for (place, file, photo), found in zip(paired, texts, strict=True):
        label = LabelFile(file, *found)
        if photo:
            photo[0].labels.setdefault(photo[1], []).append(label)
        elif any(is_row(" ".join(row)) for _, row in label.rows):
            lost[place].append(file)
    severity: Severity = "warning" if paths else "error"  # or nothing is left
    for place, some in by_place.items():
        problems += _unlabelled(some, lost[place], severity)
    return groups


def _pairs(place: Path, groups: Sequence[LabelledPhotos], problems: list[Problem]) -> dict[str, _Photo | None]:
    """Return the photo of each label file in a folder, None where there is none; without unclear ones."""
    photos = PhotosByName((group, name) for group in groups for name in group.photos.names)
    for group in groups:
        if group.part.only is not None:
            group.photos.names = [name for name in group.photos.names if name in group.part.only]
    paired: dict[str, _Photo | None] = {}
    unclear: dict[str, list[_Photo]] = {}
    for file in files_with_ending(place, (".txt",)):
        named = photos.of_label(file)
        found = [(group, name) for group, name in named if group.part.only is None or name in group.part.only]
        if len(found) == 1 or not named:
            paired[file] = found[0] if found else None
        elif found:
            unclear[file] = found
    if not unclear:
        return paired
    file, found = next(iter(unclear.items()))
    several = len({group for group, _ in found}) > 1
    shown = " or ".join(f"{group.photos.folder.name}/{name}" if several else repr(name) for group, name in found)
    what = f"it may describe {shown}{like_it('label files', len(unclear))}"
    fix = "Give each photo a name and a label file of its own, and delete copies."
    problems.append(found[0][0].problem(file, what, fix, kind="photo unclear"))
    gone = {photo for found in unclear.values() for photo in found}
    leave_out(gone)
    return {file: photo for file, photo in paired.items() if photo not in gone}


def leave_out(photos: Iterable[_Photo]) -> None:
    """Leave photos out of their groups."""
    gone = set(photos)
    for group in {group for group, _ in gone}:
        group.photos.names = [name for name in group.photos.names if (group, name) not in gone]
        group.labels = {name: files for name, files in group.labels.items() if (group, name) not in gone}


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
            what += like_it("photos", len(elsewhere))
            fix = "Put all label files of the folder together. Till then they are left out."
            yield Problem(where=str(group.photos.folder), what=what, fix=fix, kind="photo unclear")
            leave_out((group, name) for name in elsewhere)
        if lost or group.photos.folder not in labelled:
            left += len(bare)
            leave_out((group, name) for name in bare)
    if lost:
        folder = groups[0].photos.folder.name
        what = f"its image is missing, there is no '{folders.stem(lost[0])}.jpg' in {folder}"
        what += like_it("label files", len(lost))
        fix = "Put the image back, or give the label file its name, or delete it."
        if left:
            fix += f" Photos without a label file are left out till then ({left})."
        yield groups[0].problem(lost[0], what, fix, kind="photo missing")


def _elsewhere(group: LabelledPhotos, names: Sequence[str]) -> dict[str, Path]:
    """Return the label files that lie elsewhere, of photos without any."""
    keys = {name: {folded(folders.stem(name)), folded(name)} & group.part.elsewhere.keys() for name in names}
    found = {name: group.part.elsewhere[min(some)] for name, some in keys.items() if some}
    return {name: path for name, path in found.items() if is_label(path)}


def used_classes(groups: Sequence[LabelledPhotos]) -> set[int]:
    """Return the classes' numbers in the label files."""
    texts = {row[0].partition(".")[0] for group in groups for *_, row in group.rows()}
    return {number for number in map(class_number, texts) if number is not None and number < _MOST}
