"""A folder, an archive or a file -> which format its annotations are in, and the dataset."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import Dataset, LabelMap, split_role
from tfod_helpers.files import archives, storage
from tfod_helpers.formats import (
    coco,
    createml,
    cvat,
    label_studio,
    labelme,
    others,
    oxford_pets,
    several,
    tfod_csv,
    tfrecord,
    via,
    voc,
    yolo,
)
from tfod_helpers.formats.folders import Listing, split_name, subfolders
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import Part, WayUp
from tfod_helpers.problems import DatasetError, OnProblem, Problem, did_you_mean, refused, settle_problems

# By the name that `read` and `write` know each by. The Pets come first: their XML is Pascal VOC too.
FORMATS: dict[str, Format] = {
    "oxford_pets": oxford_pets.FORMAT,
    "voc": voc.FORMAT,
    "coco": coco.FORMAT,
    "yolo": yolo.FORMAT,
    "tfod_csv": tfod_csv.FORMAT,
    "cvat": cvat.FORMAT,
    "labelme": labelme.FORMAT,
    "label_studio": label_studio.FORMAT,
    "via": via.FORMAT,
    "createml": createml.FORMAT,
    "tfrecord": tfrecord.FORMAT,
}
_MADE = ("coco", "yolo", "createml", "tfod_csv", "tfrecord")  # formats that others are converted to, the last last
_FEW = 12  # folders beside each other in a data set
_DEEPEST = 3  # folders that hold nothing but one other folder, as zips unpack to


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
    way_up: WayUp | None = None,
    **options: Any,
) -> Dataset:
    """Read a data set, whatever format it is in, and say in one line which it was.

    Args:
        path: its folder; or a zip or tar, which is unpacked beside, with the other parts where it is one of a download
            that Google Drive split; or its one annotation file, near its photos; or its ``data.yaml``. What is in a
            bucket comes to this machine first.
        format: its name in ``FORMATS``, where several would fit; None finds it out.
        label_map: the classes in their order, or a label map file; None takes what the data says.
        on_problem: ``raise`` reports all errors at once; ``skip`` leaves out only what is bad, and lists it.
        way_up: ``"as viewed"`` or ``"as stored"``, where photos are stored turned (EXIF) and no size tells which of
            the two was labelled; None takes them as viewed, and warns.
        **options: the format's own, such as ``masks=True``; its module describes them.

    Returns:
        All splits together; ``.splits()`` divides them as the data does.

    Raises:
        FileNotFoundError: there is nothing there.
        FileExistsError: the archive would be unpacked into a folder that has other files in it.
        ValueError: there is no such format, or it has no such option.
        DatasetError: no format fits, or several do that contradict each other; or something is wrong with the data.
    """
    settle_problems((), on_problem, "")
    with storage.reading(path, around=not archives.is_archive(path) or archives.is_part(path)) as local:
        path = local.expanduser()
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such folder or file. Check the path.")
        place = _unpacked(path)
        listing = Listing(place)  # of a file, it is empty
        closed = listing.closed()
        settle_problems(closed, on_problem, str(place))
        found = _recognised(listing, format, options)
        dataset = _read(place, found, label_map=label_map, on_problem=on_problem, way_up=way_up, **options)
        left = listing.left_out([image.path for image in dataset], dataset.problems)
        dataset = Dataset(dataset.images, dataset.label_map, (*closed, *dataset.problems, *left))
    name, parts = next(iter(found.items()))
    _say(f"{path.name}: {_summary(dataset, FORMATS[name].title, parts)}")
    return dataset


def find_format(path: str | os.PathLike[str]) -> str | None:
    """Return the name of the format that `read` would take, the first where several fit; None without annotations.

    Args:
        path: a folder, or one annotation file.

    Raises:
        FileNotFoundError: there is no such folder or file.
        DatasetError: a folder cannot be looked into.
    """
    with storage.reading(path) as local:
        if not local.expanduser().exists():
            raise FileNotFoundError(f"{local}: there is no such folder or file. Check the path.")
        listing = Listing(local.expanduser())
        listing.closed()
        return next(iter(_candidates(listing, FORMATS)), None)


def _say(text: str) -> None:
    # A folder may have a name that not every console can show, and the data are read all the same.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _summary(dataset: Dataset, title: str, parts: Sequence[Part]) -> str:
    """Return what was read, in one line: the format, the images of each split, the classes."""
    sizes = Counter(image.split for image in dataset)
    ordered = sorted(sizes, key=lambda split: (split_role(split) != "train", split_role(split) == "test"))
    shown = ", ".join(f"{split or 'no split' * (len(sizes) > 1)} {sizes[split]}".strip() for split in ordered)
    files = dict.fromkeys(part.annotations.name for part in parts if part.annotations.is_file())
    where = f" ({', '.join(list(files)[:3])}{', ...' * (len(files) > 3)})" if files else ""
    classes = f"{len(dataset.label_map)} class{'es' * (len(dataset.label_map) != 1)}"
    text = f"{title}{where}: {shown} image{'s' * (len(dataset) != 1)}, {classes}"
    if dataset.unconfirmed:
        text += f", {dataset.unconfirmed} of the images with suggestions that nobody has confirmed"
    if dataset.problems:
        more = "s" * (len(dataset.problems) != 1)
        text += f", {len(dataset.problems)} problem{more} or note{more} in .problems"
    return text


def write(dataset: Dataset, folder: str | os.PathLike[str], format: str = "voc") -> Path:
    """Write a dataset in one of the formats that are written: voc, coco, yolo, tfod_csv, cvat or label_studio.

    Args:
        dataset: what to write.
        folder: where to, as the format's own ``write`` takes it.
        format: its name in ``FORMATS``.

    Raises:
        ValueError: there is no such format, or it is only read.
    """
    chosen = _format(format)
    if chosen.write_annotations is None:
        writable = ", ".join(name for name, one in FORMATS.items() if one.write_annotations)
        raise ValueError(f"{chosen.title} is only read. Formats that are written: {writable}; records.write for more.")
    return chosen.write(dataset, folder)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ValueError(f"There is no format {name!r}, only {', '.join(FORMATS)}{did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def _recognised(listing: Listing, format: str | None, options: Collection[str]) -> dict[str, list[Part]]:
    """Return the parts by format: first the one to read, which has the options if any has, then those made from it."""
    chosen = {format: _format(format)} if format else FORMATS
    found = _candidates(listing, chosen)
    if not found:
        raise _none(listing, chosen)
    return dict(sorted(found.items(), key=lambda item: not set(FORMATS[item[0]].options) >= set(options)))


def _candidates(listing: Listing, chosen: dict[str, Format]) -> dict[str, list[Part]]:
    found = _of_folder(listing, chosen) if listing else _of_file(listing.root, chosen)
    if "oxford_pets" in found:
        found.pop("voc", None)
    if not found and "tfrecord" in chosen and listing and (parts := tfrecord.find_anywhere(listing)):
        found = {"tfrecord": parts}
    return dict(sorted(found.items(), key=lambda item: item[0] in _MADE and 1 + _MADE.index(item[0])))


def _unpacked(path: Path) -> Path:
    """Return the folder of what is packed in a file, or in the parts of a download that a folder holds."""
    try:
        packed = archives.download_in(path) if path.is_dir() else path if archives.is_archive(path) else None
        return archives.unpack(packed) if packed else path
    except archives.ArchiveError as error:
        raise refused(path, error.what, error.fix, where=path.name, kind="archive unreadable") from error


def _of_folder(listing: Listing, chosen: dict[str, Format]) -> dict[str, list[Part]]:
    """Return the parts by format; of a folder with nothing but another one in it, as zips unpack to, the other's."""
    for _ in range(_DEEPEST):
        inside = listing.inside(listing.root)
        alone = len(inside) == 1 and not split_name(inside[0].name) and not listing[listing.root]
        found = {} if alone else _found(listing, chosen)
        if found or len(inside) != 1:
            return found
        listing = Listing(inside[0])
    return _found(listing, chosen)


def _of_file(path: Path, chosen: dict[str, Format]) -> dict[str, list[Part]]:
    """Return the parts by format that a file is, or describes; their photos are near it, or near its folder."""
    path = path.absolute()
    if "tfrecord" in chosen and (parts := tfrecord.parts_of(path)):  # its photos are in it, not near
        return {"tfrecord": parts}
    around = map(Listing, path.parents[:3])
    listing = next((one for one in around if one.photos), None) or Listing(path.parent.parent)
    every = _found(listing, chosen)
    found = {name: [part for part in parts if path in part.files] for name, parts in every.items()}
    return {name: parts for name, parts in found.items() if parts}


def _found(listing: Listing, chosen: dict[str, Format]) -> dict[str, list[Part]]:
    return {name: parts for name, one in chosen.items() if (parts := one.find(listing))}


# --- several formats in one folder ------------------------------------------------------------------


def _read(path: Path, found: dict[str, list[Part]], **how: Any) -> Dataset:
    """Read the first of the formats, with a note for each other one, which has to say the same."""
    first, *others = found
    try:
        dataset, error = FORMATS[first].read_parts(found[first], **how), None
    except DatasetError as caught:
        if not others:
            raise
        # Which of them is meant comes before what is wrong in one.
        dataset, error = _in_part(path, found, first), caught
    notes = []
    for name in others:
        other = _in_part(path, found, name)
        if contradiction := several.difference(dataset, other, (first, name)):
            raise _several(path, found, f"They contradict each other: {contradiction}")
        files = ", ".join(list(dict.fromkeys(part.annotations.name for part in found[name]))[:3])
        what = f"the {FORMATS[name].title} in {files} says the same, and is left out"
        if any(image.split for image in other) and not any(image.split for image in dataset):
            dataset = several.divided_as(dataset, other)
            what += "; its division is taken"
        fix = f"format={name!r} reads it instead of the {FORMATS[first].title}."
        notes.append(Problem(where=str(path), what=what, fix=fix, severity="note", kind="several formats"))
    if error:
        raise error
    return Dataset(dataset.images, dataset.label_map, (*dataset.problems, *notes))


def _in_part(path: Path, found: dict[str, list[Part]], name: str) -> Dataset:
    """Return what can be read in one of several formats; its photos, where it brings its own, are thrown away again."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"folder": folder} if name == "tfrecord" else {}
        try:
            return FORMATS[name].read_parts(found[name], on_problem="skip", **options)
        except (DatasetError, OSError, ValueError) as error:
            why = " ".join(str(error).replace(f"{path}{os.sep}", "").split())[:300].rstrip(".")
            raise _several(path, found, f"{name} cannot be compared: {why}") from error


def _several(path: Path, found: dict[str, list[Part]], why: str) -> DatasetError:
    places = {
        name: os.path.relpath(parts[0].annotations, path if path.is_dir() else path.parent)
        for name, parts in found.items()
    }
    shown = "; ".join(f"{name} ({FORMATS[name].title}, in {place})" for name, place in places.items())
    what = f"its annotations are there in several formats: {shown}. {why}"
    fix = f"Choose one: {' or '.join(f'format={name!r}' for name in found)}."
    return refused(path, what, fix, kind="format unclear")


def _none(listing: Listing, chosen: dict[str, Format]) -> DatasetError:
    """Return the error that says what is there instead of annotations."""
    path = listing.root
    files = [folder / name for folder, names in listing.items() for name in names] if listing else [path]
    titles = ", ".join(one.title for one in chosen.values())
    what = f"no annotations were recognised ({titles})"
    if listing:
        endings = Counter(file.suffix.lower() or "no ending" for file in files)
        what += f"; it holds {', '.join(f'{count} {ending}' for ending, count in endings.most_common(6)) or 'nothing'}"
    fix = "Give the folder that the photos and annotations are in, or both: formats.voc.read(images, annotations)."
    if known := others.what_it_is(listing) or _beside(listing, chosen):
        what, fix = f"{what}. {known[0]}", known[1]
    return refused(path, what + others.beginnings(files) * (not known), fix, kind="format unclear")


def _beside(listing: Listing, chosen: dict[str, Format]) -> tuple[str, str] | None:
    """Return where the annotations of a folder of photos are, if they are beside it, and what to do."""
    path = listing.root
    if not (listing.photos and len(subfolders(path.parent)) <= _FEW):
        return None
    for name, parts in _found(Listing(path.absolute().parent), chosen).items():
        for part in parts:
            if path.absolute() in (part.images, *part.images.parents):
                both = f"formats.{name}.read({str(part.images)!r}, {str(part.annotations)!r})"
                what = f"its photos are in {FORMATS[name].title} in {part.annotations}"
                return what, f"Give the folder that both are in, {path.absolute().parent}, or {both}."
    return None
