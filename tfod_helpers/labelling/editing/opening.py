"""Photos of any kind, with boxes or without -> the editor for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.files import storage
from tfod_helpers.formats import voc
from tfod_helpers.labelling.editing.label_folder import LabelFolder
from tfod_helpers.labelling.editing.session import Session
from tfod_helpers.labelling.given import AnyPhotos, photo_paths
from tfod_helpers.problems import DatasetError, Problem, refused

_SHOWN = 3  # photos that cannot be read which are named one by one


class Editor:
    """A box editor, shown where a notebook's cell ends in it; `editor` makes it.

    Attributes:
        folder: where the labels are written; `formats.read` takes it as it is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._front: Any = None
        self.folder = session.folder.folder

    @property
    def label_map(self) -> LabelMap:
        """The classes in their order, with those that were added in the editor."""
        return self._session.label_map

    @property
    def to_do(self) -> tuple[Path, ...]:
        """The photos that are not labelled yet."""
        return tuple(self._session.images[at].path for at in self._session.to_do())

    def fill_in(self, labelled: Dataset) -> None:
        """Save the labels of a dataset for the photos that are to do and that it has, as if a person had drawn them.

        For what was labelled elsewhere, and to try out without a person what comes after the editor. Photos are known
        by their file names; those that are labelled here already stay as they are.

        Raises:
            DatasetError: a detector suggested these labels, and nobody has confirmed them.
            ValueError: a photo of the same name has another size.
        """
        with self._session.alone:
            self._session.fill_in(labelled)

    def __repr__(self) -> str:
        count = len(self._session.images)
        return f"Editor({count - len(self.to_do)} of {count} photos labelled in {self.folder})"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._front is None:
            from tfod_helpers.labelling.editing.front import Front

            self._front = Front(self._session)
        data, metadata = self._front._repr_mimebundle_()
        return data | {"text/plain": f"{self!r}. Open this notebook in Jupyter, VS Code or Colab to draw."}, metadata


def editor(
    given: AnyPhotos | Dataset,
    folder: storage.AnyPath,
    classes: Iterable[str] = (),
) -> Editor:
    """Open a box editor in the notebook: let the cell end in what this returns.

    A photo is shown scaled and saved in its true pixels, upright, as Pascal VOC XML beside a copy of the photo, when
    the person goes on to the next one; what was drawn before that is kept in a hidden draft. Photos that have a file
    are labelled, the others are to do. Called again, also on another day, it goes on where it was left.

    Args:
        given: what to label: a `Dataset` with suggestions, with labels to correct or with none; a folder of photos; or
            paths of photos. A dataset's photo is shown in the frame that its boxes are in.
        folder: where the labels go, on this machine or a mounted Drive. Labels of these photos that are there already
            are shown and kept; other files stay as they are. It may be the photos' own folder.
        classes: their names; not needed where a dataset has a label map or the folder has one from earlier. New ones
            are added to those that are there.

    Raises:
        ImportError: the extra ``label`` is not installed.
        ValueError: there are no classes, two photos have one name, or the folder is in a bucket.
        FileNotFoundError: there is no such photo or folder.
        DatasetError: no photo can be read, or the folder holds labels that do not fit: of other photos, of other
            classes, of another format, or damaged. Nothing was changed.
    """
    if find_spec("anywidget") is None:
        raise ImportError("The editor needs anywidget. Install it: pip install 'tfod_helpers[label]'")
    if storage.is_remote(folder):
        raise ValueError(f"{storage.address(folder)} is in a bucket. Give a folder of this machine or of a Drive.")
    images = given.images if isinstance(given, Dataset) else _opened(photo_paths(given, deep=False))
    first = list(given.label_map) if isinstance(given, Dataset) else []
    place = Path(folder).expanduser()
    found = LabelFolder(place, images)
    label_map = _classes([*first, *_names(classes)], found)
    if isinstance(given, Dataset):
        voc.FORMAT.say_what_is_lost(given)
    made = Editor(Session(Dataset(tuple(images), label_map), found))
    others = f" {found.others} files of other photos there stay as they are." if found.others else ""
    print(f"{len(images)} photos, {len(made.to_do)} to do; labels go to {place}.{others}")
    return made


def _names(classes: Iterable[str]) -> list[str]:
    if isinstance(classes, str):
        raise ValueError(f"classes is a list of names, got the single text {classes!r}. Write [{classes!r}].")
    return list(classes)


def _classes(wanted: list[str], found: LabelFolder) -> LabelMap:
    """Return the classes that were given, then those that the folder has besides."""
    kept = found.kept_classes()
    if wanted and kept and not set(wanted) & set(kept):
        what = f"its classes are {', '.join(kept)}, and none of them is among {', '.join(wanted)}"
        raise refused(found.folder, what, "Choose a new folder, or add the classes there to yours.")
    every = list(dict.fromkeys([*wanted, *(kept or ([] if wanted else found.object_names()))]))
    if not every:
        raise ValueError("There are no classes yet. Give their names: editor(photos, folder, ['cat', 'dog']).")
    return LabelMap(every)


def _opened(given: Sequence[Path]) -> list[LabelledImage]:
    """Return photos without labels, upright; one that cannot be read is left out, and named.

    Raises:
        DatasetError: there is none, or none that can be read.
    """
    images, problems = [], []
    for path in tqdm(given, "Opening photos", unit="photo", delay=1):
        try:
            width, height = photos.read_info(path).upright_size
            images.append(LabelledImage(path, width, height, np.zeros((0, 4)), np.zeros(0)))
        except photos.PhotoError as error:
            problems.append(Problem(where=error.where, what=error.what, fix=error.fix, kind="photo unreadable"))
    if not images:
        raise DatasetError(problems, "photos") if problems else refused("photos", "there are none", "Give some.")
    for problem in problems[:_SHOWN]:
        print(f"Left out: {problem}")
    if len(problems) > _SHOWN:
        print(f"Left out: {len(problems) - _SHOWN} more that cannot be read.")
    return images
