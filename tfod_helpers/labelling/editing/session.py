"""What a person does in the editor -> boxes, undone and redone, and saved; no browser is needed for any of it.

The browser sends one message a deed and gets the whole state of the photo on the screen back. A photo is saved when the
person goes on to the next one, or says that there is nothing on it; going back or skipping confirms nothing, so that
no suggestion becomes a label by being paged past. What is drawn meanwhile lies in a draft.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.annotations.appearance import colour_of, ink_on
from tfod_helpers.labelling.editing.boxes import Boxes, boxes_of, from_browser
from tfod_helpers.labelling.editing.label_folder import ChangedError, LabelFolder
from tfod_helpers.problems import DatasetError, Problem

SIDE = 1600  # pixels of the longer side of what the browser gets: more than a notebook is wide, and a few 100 kB
_QUALITY = 85
_UNDO = 200  # steps back that are kept of each photo


class Session:
    """The photos on a person's desk, one of which is on the screen.

    Args:
        dataset: the photos, with the boxes that a person starts from.
        folder: where they are saved; what is there already is read.

    Attributes:
        images: the photos, each in the frame of its boxes.
        label_map: the classes; it only grows.
        at: which photo is on the screen, from 0.
        alone: to be held by who changes something, as kernels may answer the browser while a cell runs.

    Raises:
        DatasetError: a file in the folder cannot be used, or has a class that is not known.
    """

    def __init__(self, dataset: Dataset, folder: LabelFolder) -> None:
        self.images = list(dataset)
        self.label_map = dataset.label_map
        self.folder = folder
        self.message, self.conflict = "", False
        self._boxes: dict[int, Boxes] = {}
        self._start: dict[int, Boxes] = {}  # as it came, or as its file has it
        self._undo: dict[int, list[Boxes]] = {}
        self._redo: dict[int, list[Boxes]] = {}
        self.alone = threading.RLock()
        self._read_all()
        self._jpeg = functools.lru_cache(4)(self._encoded)
        drafts = [at for at, image in enumerate(self.images) if folder.has_draft(image)]
        self.at = next(iter([*drafts, *self.to_do()]), 0)
        self._arrive(self.at)
        self._deeds: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "boxes": lambda message: self._change(message),
            "undo": lambda message: self._step(self._undo, self._redo),
            "redo": lambda message: self._step(self._redo, self._undo),
            "next": lambda message: self._next(),
            "none": lambda message: self._nothing_here(),
            "back": lambda message: self._go(self.at - 1),
            "skip": lambda message: self._go(self.at + 1),
            "to do": lambda message: self._go(next(iter(self.to_do()), self.at)),
            "class": lambda message: self._add_class(str(message.get("name", ""))),
            "theirs": lambda message: self._take_file(),
            "mine": lambda message: self._save(anyway=True),
        }

    def _read_all(self) -> None:
        problems: list[Problem] = []
        for at, image in enumerate(self.images):
            if self.folder.is_labelled(image):
                try:
                    self._read(at)
                except DatasetError as error:
                    problems += error.problems
        if problems:
            raise DatasetError(problems, str(self.folder.folder))

    # --- what the browser hears -------------------------------------------------------------------

    def handle(self, message: Mapping[str, Any]) -> tuple[dict[str, Any], bytes | None]:
        """Do what a message says, and return the state to show, with the photo where the browser has another one.

        Args:
            message: ``do``, which is ``show`` or a deed, and what that needs; ``at``, the photo that it is about;
                ``have``, the one whose pixels are there; ``view`` and ``n``, which come back.
        """
        do = self._deeds.get(str(message.get("do")))
        if do:
            self.message, self.conflict = "", False
        if do and message.get("at", self.at) == self.at:  # else it was meant for a photo that is gone from the screen
            try:
                do(message)
            except ChangedError as error:
                self.message, self.conflict = str(error), True
            except (DatasetError, OSError, ValueError) as error:
                self.message = str(error)
        jpeg, broken = self._shown() if message.get("have") != self.at else (None, "")
        state = self._state() | {"view": message.get("view"), "n": message.get("n"), "broken": broken}
        return state, jpeg

    def to_do(self) -> list[int]:
        """Return the photos that have no file yet, from 0."""
        return [at for at, image in enumerate(self.images) if not self.folder.is_labelled(image)]

    def _state(self) -> dict[str, Any]:
        image, given = self.images[self.at], self._boxes[self.at]
        colours = [colour_of(label) for label in self.label_map.ids]
        return {
            "at": self.at,
            "count": len(self.images),
            "done": len(self.images) - len(self.to_do()),
            "name": image.path.name,
            "size": [image.width, image.height],
            "boxes": given,
            "classes": [[name, colour, ink_on(colour)] for name, colour in zip(self.label_map, colours, strict=True)],
            "labelled": self.folder.is_labelled(image),
            "changed": given != self._start[self.at],
            "undo": bool(self._undo.get(self.at)),
            "redo": bool(self._redo.get(self.at)),
            "message": self.message,
            "conflict": self.conflict,
        }

    def _shown(self) -> tuple[bytes | None, str]:
        try:
            jpeg = self._jpeg(self.at)
        except (photos.PhotoError, OSError) as error:
            return None, str(error)
        if self.at + 1 < len(self.images):  # so that the next one is there when the person is
            threading.Thread(target=self._prepare, args=(self.at + 1,), daemon=True).start()
        return jpeg, ""

    def _prepare(self, at: int) -> None:
        with contextlib.suppress(photos.PhotoError, OSError):  # it is said when the photo is reached
            self._jpeg(at)

    def _encoded(self, at: int) -> bytes:
        image = self.images[at]
        return photos.to_jpeg(photos.scaled(image.source, SIDE, (image.width, image.height)), _QUALITY)

    # --- one photo --------------------------------------------------------------------------------

    def _change(self, message: Mapping[str, Any]) -> None:
        image = self.images[self.at]
        new = from_browser(message.get("boxes", ()), (image.width, image.height), len(self.label_map))
        if new != self._boxes[self.at]:
            self._undo.setdefault(self.at, []).append(self._boxes[self.at])
            del self._undo[self.at][:-_UNDO]
            self._redo[self.at] = []
            self._put(new)

    def _step(self, source: dict[int, list[Boxes]], target: dict[int, list[Boxes]]) -> None:
        if source.get(self.at):
            target.setdefault(self.at, []).append(self._boxes[self.at])
            self._put(source[self.at].pop())

    def _put(self, new: Boxes) -> None:
        """Show other boxes, and keep them in a draft while they are not saved."""
        self._boxes[self.at] = new
        image = self.images[self.at]
        if new == self._start[self.at]:
            self.folder.drop_draft(image)
        else:
            self.folder.write_draft(image, new, self.label_map)

    def _next(self) -> None:
        image = self.images[self.at]
        _, broken = self._shown()
        changed = self._boxes[self.at] != self._start[self.at]
        if broken or not (self._boxes[self.at] or changed or self.folder.is_labelled(image)):
            why = broken or f"{image.path.name} has no boxes and stays to do; press N where there is nothing to label."
            self._go(self.at + 1)
            self.message = f"{why} {self.message}".strip()
            return
        if changed or not self.folder.is_labelled(image):
            self._save()
        self._go(self.at + 1)

    def _nothing_here(self) -> None:
        if self._boxes[self.at]:
            self._change({"boxes": []})
        self._save()
        self._go(self.at + 1)

    def _save(self, *, anyway: bool = False) -> None:
        image = self.images[self.at]
        _, broken = self._shown()
        if broken:
            raise ValueError(broken)
        self.folder.write(image, self._boxes[self.at], self.label_map, anyway=anyway)
        self._boxes[self.at] = self._start[self.at] = tuple(box._replace(score=None) for box in self._boxes[self.at])

    def fill_in(self, labelled: Dataset) -> None:
        """Save the labels of a dataset for those photos to do that it has, by their file names.

        Raises:
            DatasetError: nobody has confirmed them yet.
            ValueError: a photo of the same name has another size; the photos before it are saved.
        """
        labelled.refuse_unconfirmed("labels", "saved as what a person says")
        self.label_map = LabelMap(dict.fromkeys([*self.label_map, *labelled.label_map]))
        there = {image.path.name: image for image in labelled.with_label_map(self.label_map)}
        for at in self.to_do():
            image, given = self.images[at], there.get(self.images[at].path.name)
            if given is None:
                continue
            if (given.width, given.height) != (image.width, image.height):
                sizes = f"{given.width} x {given.height} pixels among the labels, {image.width} x {image.height} here"
                raise ValueError(f"{image.path.name}: {sizes}, so it is another photo. Rename one of them.")
            self.folder.write(image, boxes_of(given), self.label_map)
            self._read(at)
            self._boxes.pop(at, None)  # what was shown of it
        self._go(next(iter(self.to_do()), self.at))

    def _take_file(self) -> None:
        self.folder.drop_draft(self.images[self.at])
        self._undo[self.at], self._redo[self.at] = [], []
        self._read(self.at)
        self._boxes[self.at] = self._start[self.at]

    # --- from photo to photo ----------------------------------------------------------------------

    def _go(self, at: int) -> None:
        left = self.to_do()
        if at >= len(self.images):
            at = left[0] if left else len(self.images) - 1
            count = f"{len(left)} of {len(self.images)} photos are" if len(left) != 1 else "1 photo is"
            done = f"All {len(self.images)} photos are labelled; the files are in {self.folder.folder}."
            self.message = f"That was the last photo; {count} still to do." if left else done
        self.at = max(at, 0)
        self._arrive(self.at)

    def _arrive(self, at: int) -> None:
        """Show a photo as it is now: from its draft, its file, which may be new, or as it came."""
        if self.folder.has_changed(self.images[at]):
            if at in self._boxes and self._boxes[at] != self._start[at]:
                return  # both were changed: it is said when this one is to be saved
            try:
                self._read(at)
                name = self.images[at].path.name
                self.message = f"{name} was labelled in another tab or program meanwhile; this is what it says."
            except DatasetError as error:  # the file stays as it is until the person says otherwise
                self.message = str(error)
        elif at in self._boxes:
            return
        image = self.images[at]
        self._boxes[at] = self._start.setdefault(at, boxes_of(image))
        draft = self.folder.read_draft(image, self.label_map)
        if draft is not None and draft != self._start[at]:
            self._boxes[at], self._undo[at] = draft, [self._start[at]]
            self.message = f"{image.path.name} was begun earlier and is not saved yet; this is how it was left."

    def _read(self, at: int) -> None:
        """Learn what the photo's file says; where it is gone, the photo is to do, from what was known of it."""
        self.label_map = LabelMap(dict.fromkeys([*self.label_map, *self.folder.kept_classes()]))
        found = self.folder.read(self.images[at], self.label_map)
        if found is not None:
            self.images[at] = found
        self._start[at] = boxes_of(self.images[at])

    # --- classes ----------------------------------------------------------------------------------

    def _add_class(self, name: str) -> None:
        name = " ".join(name.split())
        if name in self.label_map:
            raise ValueError(f"There is a class {name!r} already.")
        label_map = LabelMap([*self.label_map, name])  # refuses a name that cannot be one
        self.folder.add_classes(label_map)
        self.label_map = label_map
