"""What all annotation formats have in common: being found, read and written."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.files import storage, workers, workspace
from tfod_helpers.formats import suggestions
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.raw import Part, Reading, Source, WayUp
from tfod_helpers.photos.folder import existing_folder, folded
from tfod_helpers.problems import OnProblem, Problem, did_you_mean, refused, settle_problems

_FROM_RECORDS = ".from_records"
_ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}
SavePhoto = Callable[[str, str, str, bytes], str]
Splits = dict[str, list[LabelledImage]]


@dataclass(frozen=True, kw_only=True)
class Format:
    """An annotation format.

    Attributes:
        title: its name in messages.
        find: the parts of a data set of this format, given its folders; none where it is of another format.
        sources: takes the parts and a `Reading`, and returns a `Source` for each. Its keyword arguments are the
            format's own options.
        beside: the parts that a folder means which is given without annotations; None takes ``find``.
        fetch: brings a folder of a bucket to this machine, with what the format needs of it.
        write_annotations: takes the images of each split, the label map, the folder where the photos are already, and
            that folder's name; None where the format is only read.
        photos_in: where below a written folder the photos are.
        by_stem: two photos whose names differ in their endings only cannot be written.
        marks: what is written of ``crowd`` and ``difficult``.
    """

    title: str
    find: Callable[[Listing], list[Part]]
    sources: Callable[..., Iterable[Source]]
    beside: Callable[[Path], list[Part]] | None = None
    fetch: Callable[[storage.AnyPath], Path] = storage.mirror
    write_annotations: Callable[[Splits, LabelMap, Path, str], None] | None = None
    photos_in: str = ""
    by_stem: bool = True
    marks: frozenset[str] = frozenset()

    @property
    def options(self) -> list[str]:
        """The format's own options for reading."""
        parameters = inspect.signature(self.sources).parameters.values()
        return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]

    def read(
        self,
        images: str | os.PathLike[str],
        annotations: str | os.PathLike[str] | None = None,
        *,
        label_map: LabelMap | str | os.PathLike[str] | None = None,
        on_problem: OnProblem = "raise",
        way_up: WayUp | None = None,
        **options: Any,
    ) -> Dataset:
        """Read photos and their annotations, here or in a bucket.

        Args:
            images: the folder with the photos.
            annotations: the annotation file, or the folder with the annotation files. None looks in the folder with
                the photos; the format's module says where else.
            label_map: the classes in their order, or a label map file. None takes the classes that the annotations
                declare, in their order, or else the sorted names of the objects.
            on_problem: ``raise`` reports all errors at once; ``skip`` leaves out only what is bad, an object or an
                image, and lists it in ``.problems``.
            way_up: which way up photos were labelled that are stored turned (EXIF): ``"as viewed"``, as most programs
                show them, or ``"as stored"``. None goes by the sizes that the annotations give, and warns where these
                do not tell.
            **options: the format's own, which its module describes.

        Returns:
            The labelled images in the order of their file names. ``.problems`` also holds what is worth knowing:
            photos without annotation, annotations without objects, sizes that were not given.

        Raises:
            FileNotFoundError: the folder or the file is not there.
            NotADirectoryError: a folder is a file.
            IsADirectoryError: the annotation file is a folder.
            ValueError: the format has no such option, or ``way_up`` is neither.
            DatasetError: there is nothing to read, or ``raise`` and something is wrong.
        """
        folder = self.fetch(images).expanduser()
        if annotations is not None:
            parts = [Part(folder, self.fetch(annotations).expanduser())]
        elif self.beside:
            parts = self.beside(folder)
        elif not (parts := self.find(Listing(existing_folder(folder)))):
            fix = "Check the path, or give the annotations' own."
            raise refused(folder, f"there is no {self.title} file in this folder", fix)
        return self.read_parts(parts, label_map=label_map, on_problem=on_problem, way_up=way_up, **options)

    @workers.no_garbage_search()
    def read_parts(
        self,
        parts: Sequence[Part],
        *,
        label_map: LabelMap | str | os.PathLike[str] | None = None,
        on_problem: OnProblem = "raise",
        way_up: WayUp | None = None,
        **options: Any,
    ) -> Dataset:
        """Read what ``find`` found as one dataset, each image with its part's name in ``split``; else as `read`."""
        settle_problems((), on_problem, "")  # refuses another word before anything is read
        if way_up not in (None, *get_args(WayUp)):
            raise ValueError(f"way_up must be 'as viewed', 'as stored' or None, got {way_up!r}.")
        known = [*self.options, "label_map", "on_problem", "way_up"]
        for option in options.keys() - set(known):
            takes = f"{', '.join(sorted(known))}{did_you_mean(option, known)}"
            raise ValueError(f"{self.title} has no option {option!r}, only {takes}")
        places = list(dict.fromkeys(str(part.annotations) for part in parts))
        where = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
        known_by_name = suggestions.find(parts)
        reading = Reading(where, label_map, options.get("masks", False), way_up, suggested=known_by_name)
        dataset = make_dataset(list(self.sources(parts, reading, **options)), reading, on_problem)
        return suggestions.marked(dataset, known_by_name)

    def write(self, dataset: Dataset, folder: str | os.PathLike[str]) -> Path:
        """Write photos and annotations, here or in a bucket, into a folder that `formats.read` gives back as it was.

        Images that belong to splits go to a folder each. The photos are copied byte for byte; the folder appears
        whole or not at all. What the format has no place for, its module says; of crowds and difficult objects, which
        would count like others when they are read again, a line is printed. Suggestions are written like labels, and
        ``suggestions.json`` beside says which photos hold some, so that they are suggestions again when they are read.

        Args:
            dataset: what to write; two images of one split may not have one name.
            folder: a new or empty folder. One with files in it is never replaced.

        Raises:
            FileExistsError: the folder has files in it, or is a file.
            FileNotFoundError: a photo is gone.
            ValueError: two images have one name, or the format is only read.
        """
        if self.write_annotations is None:
            raise ValueError(f"{self.title} is only read.")
        splits = self.by_split(dataset)
        folder = Path(storage.address(folder))
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise FileExistsError(f"{folder}: there are files here already. Choose a new folder, or empty this one.")
        with storage.whole_folder(folder) as part:
            for split, images in splits.items():
                place = part / self.photos_in / split
                place.mkdir(parents=True, exist_ok=True)
                for image in images:
                    write_photo(image, place / image.path.name)
            self.write_annotations(splits, dataset.label_map, part, folder.name)
            waiting = suggestions.write(splits, dataset.label_map, part)
        if waiting:
            print(
                f"{waiting} photo{'s' * (waiting != 1)} hold{'s' * (waiting == 1)} suggestions that nobody has "
                f"confirmed: {suggestions.FILE_NAME} says which, so leave it beside the photos."
            )
        self.say_what_is_lost(dataset)
        return folder

    def say_what_is_lost(self, dataset: Dataset) -> None:
        """Print how many crowds and difficult objects the format has no place for."""
        for mark, words in (("crowd", "crowds"), ("difficult", "difficult objects")):
            count = sum(int(getattr(image, mark).sum()) for image in dataset)
            if count and mark not in self.marks:
                others = f"{count} {'are' if count > 1 else 'is'} written like any other object"
                print(f"{self.title} has no place for {words}: {others}.")

    def by_split(self, dataset: Iterable[LabelledImage]) -> Splits:
        """Return the images of each split, which go to a folder each; ValueError where they cannot."""
        splits: Splits = defaultdict(list)
        names: dict[tuple[str, str], Path] = {}
        for image in dataset:
            # The name may come from an annotation file, and must not lead out of the folder.
            if image.split in (".", "..") or re.search(r"[/\\\0]", image.split):
                raise ValueError(f"A split is called {image.split!r}, which can be no folder's name. Rename it.")
            name = folded(image.path.stem if self.by_stem else image.path.name)
            other = names.setdefault((image.split, name), image.path)
            if other is not image.path:
                raise ValueError(f"{other} and {image.path} would be written under one name. Rename one of them.")
            splits[image.split].append(image)
        return splits


def write_photo(image: LabelledImage, path: Path) -> None:
    """Write a photo byte for byte; raises FileNotFoundError where it is gone."""
    try:
        path.write_bytes(storage.read_bytes(image.path) if image.encoded is None else image.encoded)
    except FileNotFoundError:
        text = f"{image.path}: the image is gone. Put it back, or read the dataset again."
        raise FileNotFoundError(text) from None


@contextlib.contextmanager
def photos_taken_out(folder: storage.AnyPath, problems: list[Problem]) -> Iterator[SavePhoto]:
    """Give a function that writes the photos of records into a folder, which appears whole or not at all.

    It takes where a photo is (file and place in it), its name without ending and its bytes, and returns the file's
    name; empty where it is no photo, which is a problem. Of a folder in a bucket there is a copy on this machine.

    Raises:
        FileExistsError: the folder has files that did not come from records.
    """
    local, taken = storage.local_place(folder), set[str]()
    there = storage.sizes(folder) if storage.is_remote(folder) else os.listdir(local) if local.exists() else ()
    if there and _FROM_RECORDS not in there:
        raise FileExistsError(f"{folder}: there are files here already. Choose another folder for the photos.")
    with workspace.whole_folder(local) as part:
        (part / _FROM_RECORDS).touch()

        def save(where: str, place: str, stem: str, data: bytes) -> str:
            try:
                ending = _ENDINGS.get(photos.read_info(data).format, ".img")
            except photos.PhotoError as error:
                kind = "photo unreadable"
                problems.append(Problem(where=where, object=place, what=error.what, fix=error.fix, kind=kind))
                return ""
            name, number = f"{stem}{ending}", len(taken)
            while name.casefold() in taken:
                name, number = f"{stem}-{number:06d}{ending}", number + 1
            taken.add(name.casefold())
            (part / name).write_bytes(data)
            return name

        yield save
    if storage.is_remote(folder):
        storage.upload_folder(local, folder)
