"""The folder that labels are written to: a Pascal VOC XML and the photo side by side, and nothing overwritten unseen.

What has a file there is labelled; what a person has begun and not gone past yet lies in a hidden draft beside it.
``label_map.pbtxt`` keeps the classes and their order, so that a class added one day is there the next.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from tfod_helpers import formats
from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.files import workspace
from tfod_helpers.formats import checking, suggestions, voc
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.format import Splits, write_photo
from tfod_helpers.formats.raw import RawImage, Reading
from tfod_helpers.formats.voc import reading, writing
from tfod_helpers.labelling.editing.boxes import Box, Boxes, from_browser, with_boxes
from tfod_helpers.photos.folder import PhotoNames, files_with_ending, folded
from tfod_helpers.problems import DatasetError, FixableError, Problem, refused

LABEL_MAP = "label_map.pbtxt"


class ChangedError(FixableError):
    """A file is not what it was when it was read: somebody else wrote it meanwhile."""


class LabelFolder:
    """The labels of some photos, in one folder.

    Args:
        folder: of this machine; it need not exist.
        images: the photos, no two of one name in one split.

    Attributes:
        folder: the same.
        others: how many annotation files there are of other photos.

    Raises:
        DatasetError: what is there is not of these photos, of other tools, or cannot be read.
        ValueError: two photos would have one file.
    """

    def __init__(self, folder: Path, images: Sequence[LabelledImage]) -> None:
        self.folder = folder
        self._seen: dict[Path, bytes | None] = {}
        splits = voc.FORMAT.by_split(images)
        self._refuse_other_labels()
        self._refuse_labels_elsewhere(splits)
        self.others, problems = 0, []
        for split, of_split in splits.items():
            there = list(files_with_ending(folder / split)) if (folder / split).is_dir() else []
            self.others += sum(name.lower().endswith(".xml") for name in there)
            names = PhotoNames(image.path.name for image in of_split)
            by_stem = {folded(Path(name).stem): name for name in PhotoNames(there).names}
            for image in of_split:
                problems += self._contradictions(image, names, by_stem.get(folded(image.path.stem), ""))
        self.others -= sum(data is not None for data in self._seen.values())
        if problems:
            raise DatasetError(problems, str(folder))

    def _refuse_other_labels(self) -> None:
        place = self.folder.resolve()
        for around in (place, *place.parents[:2]):  # where readers of the labels would find it
            if (around / suggestions.FILE_NAME).exists():
                what = f"{suggestions.FILE_NAME} says that the labels here are a detector's, for a person to correct"
                fix = "Choose a folder elsewhere, and give the editor what formats.read makes of this one."
                raise refused(around, what, fix)
        name = formats.find_format(self.folder) if self.folder.is_dir() else None
        if name not in (None, "voc"):
            what = f"it holds annotations of another format, {formats.FORMATS[str(name)].title}"
            raise refused(self.folder, what, "Choose a new folder for the labels; read those with formats.read.")

    def _refuse_labels_elsewhere(self, splits: Splits) -> None:
        """Refuse a folder that keeps the annotations of these photos where the editor would not write them."""
        parts = voc.FORMAT.find(Listing(self.folder)) if self.folder.is_dir() else []
        places = {part.annotations for part in parts} - {self.folder / split for split in splits}
        stems = {image.path.stem for images in splits.values() for image in images}
        for place in sorted(places):
            if labelled := sorted(stems & {Path(name).stem for name in files_with_ending(place, (".xml",))}):
                what = f"{labelled[0]}.xml is here, and the editor would write another one into {self.folder}"
                fix = "Choose a new folder for the labels, and give the editor what formats.read makes of this one."
                raise refused(place, what, fix)

    def _contradictions(self, image: LabelledImage, names: PhotoNames, there: str) -> list[Problem]:
        """Return why the files of a photo's name are not of this photo; remember its annotation."""
        where, path = self._place(image), self.file(image)
        fix = "These look like labels of another data set: choose a new folder, or rename the photo."
        if there and there != image.path.name:
            what = f"{there} is there, and would share {path.name} with {image.path}"
            return [Problem(where=str(where), what=what, fix=fix, kind="another photo")]
        if there and not _same_size(image, where / there):
            what = f"it is another photo than {image.path}, of the same name"
            return [Problem(where=str(where / there), what=what, fix=fix, kind="another photo")]
        self._seen[path] = _bytes(path)
        if self._seen[path] is None:
            return []
        raw = reading.read_file(str(where), path.name)
        if not raw.fault and names.find(raw.filename, raw.stem) != [image.path.name]:
            what = f"it describes {raw.filename!r}, not {image.path.name}"
            return [Problem(where=str(path), what=what, fix=fix, kind="another photo")]
        return []

    def kept_classes(self) -> list[str]:
        """Return the classes of the label map that lies there, none where there is none."""
        path = self.folder / LABEL_MAP
        return list(LabelMap.read(path)) if path.exists() else []

    def object_names(self) -> list[str]:
        """Return the names of the objects in the files of these photos, sorted."""
        raws = [reading.read_file(str(path.parent), path.name) for path, data in self._seen.items() if data]
        return sorted({item.name for raw in raws for item in raw.objects})

    def add_classes(self, label_map: LabelMap) -> None:
        """Keep the classes; those that are there already keep their place, also where somebody else added some."""
        with workspace.alone(self.folder / LABEL_MAP):
            kept = self.kept_classes()
            every = LabelMap(dict.fromkeys([*kept, *label_map]))
            if list(every) != kept:
                every.write(self.folder / LABEL_MAP)

    # --- one photo --------------------------------------------------------------------------------

    def file(self, image: LabelledImage) -> Path:
        """Return the annotation file of a photo, which need not exist."""
        return self._place(image) / f"{image.path.stem}.xml"

    def _place(self, image: LabelledImage) -> Path:
        return self.folder / image.split

    def is_labelled(self, image: LabelledImage) -> bool:
        """Whether the photo had a file when it was last looked at."""
        return self._seen.get(self.file(image)) is not None

    def has_changed(self, image: LabelledImage) -> bool:
        """Whether the file is another one than when it was last looked at."""
        return _bytes(self.file(image)) != self._seen.get(self.file(image))

    def read(self, image: LabelledImage, label_map: LabelMap) -> LabelledImage | None:
        """Return the photo as its file labels it, in the file's frame; None where it has no file any more.

        Raises:
            DatasetError: the file cannot be used; with everything that is wrong with it.
        """
        path = self.file(image)
        data = _bytes(path)
        if data is None:
            self._seen[path] = None
            return None
        raw = reading.read_file(str(path.parent), path.name)
        found = _checked(raw, image, self._place(image), label_map)
        self._seen[path] = data
        return found

    def write(self, image: LabelledImage, given: Boxes, label_map: LabelMap, *, anyway: bool = False) -> None:
        """Write the photo, where it is not there yet, and then its annotation, whole.

        Args:
            image: the photo; its own boxes do not matter.
            given: the boxes to write.
            label_map: their classes.
            anyway: replace what somebody else wrote meanwhile.

        Raises:
            ChangedError: the file is not what it was when it was read; nothing was written.
            OSError: the disk is full, or the folder closed.
        """
        path, place = self.file(image), self._place(image)
        place.mkdir(parents=True, exist_ok=True)
        data = writing.to_xml(with_boxes(image, given), label_map, image.split or self.folder.name)
        with workspace.alone(path):
            if self.has_changed(image) and not anyway:
                raise ChangedError(
                    path.name,
                    "it was written by another tab or program since it was shown here",
                    "Take what is in the file, or replace it by what is on the screen.",
                )
            if not (place / image.path.name).exists():
                with workspace.whole_file(place / image.path.name) as part:
                    write_photo(image, part)
            with workspace.whole_file(path) as part:
                part.write_bytes(data)
        self._seen[path] = data
        self.add_classes(label_map)
        self.drop_draft(image)

    # --- what is not saved yet --------------------------------------------------------------------

    def _draft(self, image: LabelledImage) -> Path:
        return self._place(image) / f".{image.path.stem}.draft.json"

    def has_draft(self, image: LabelledImage) -> bool:
        """Whether a photo was begun and not gone past."""
        return self._draft(image).exists()

    def read_draft(self, image: LabelledImage, label_map: LabelMap) -> Boxes | None:
        """Return what was drawn and not saved, None where nothing was."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(self._draft(image).read_text(encoding="utf-8"))
            rows = [(*row[:4], label_map.id(row[4]), *row[5:]) for row in kept]
            return from_browser(rows, (image.width, image.height), len(label_map))
        return None

    def write_draft(self, image: LabelledImage, given: Boxes, label_map: LabelMap) -> None:
        """Keep what is on the screen, so that nothing is lost where the browser or Python ends now."""
        self._place(image).mkdir(parents=True, exist_ok=True)
        rows = [[*box[:4], label_map.name(box.label), *box[5:]] for box in given]
        with workspace.whole_file(self._draft(image)) as part:
            part.write_text(json.dumps(rows), encoding="utf-8")

    def drop_draft(self, image: LabelledImage) -> None:
        """Forget what was not saved."""
        self._draft(image).unlink(missing_ok=True)


def _checked(raw: RawImage, image: LabelledImage, place: Path, label_map: LabelMap) -> LabelledImage:
    path = place / image.path.name
    found: list[Problem] = []
    checked = None
    if raw.fault:
        found.append(raw.problem(*raw.fault, kind="annotation unreadable"))
    else:
        photo = path if path.exists() else image.path
        checked = checking.check(raw, str(photo), label_map, Reading(str(place), label_map), found)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors or checked is None:
        raise DatasetError(errors, str(place / raw.where))
    rows = zip(checked.boxes_xyxy, checked.names, checked.difficult, strict=True)
    given = tuple(Box(*box_xyxy, label_map.id(name), None, difficult) for box_xyxy, name, difficult in rows)
    return with_boxes(image, given, checked.size)


def _same_size(image: LabelledImage, path: Path) -> bool:
    size = len(image.encoded) if image.encoded is not None else image.path.stat().st_size
    return size == path.stat().st_size


def _bytes(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return path.read_bytes()
    return None
