"""Pascal VOC: one XML file a photo, as labelImg and most other labelling tools write it.

``<annotation>`` holds ``<filename>``, ``<size>`` and one ``<object>`` a box with ``<name>`` and
``<bndbox>``. Coordinates are taken as the file says them: no one is subtracted.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lxml import etree

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, coordinate_text
from tfod_helpers.files import storage
from tfod_helpers.formats import voc_layout, xml_file
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Source
from tfod_helpers.formats.voc_layout import find
from tfod_helpers.formats.written import by_split, new_folder, write_photo
from tfod_helpers.photos.folder import PhotoFolder, existing_folder, files_with_ending, nothing_there
from tfod_helpers.problems import OnProblem, Problem, settle_problems

__all__ = ["TITLE", "find", "read", "read_file", "read_parts", "write"]

TITLE = "Pascal VOC XML"
_ENDINGS = (".xml",)


@storage.buckets_too("images", "annotations")
def read(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None = None,
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read a folder of photos with Pascal VOC annotations.

    An annotation belongs to the photo that its ``<filename>`` names, or to the one that has its own
    name; where both exist and differ, that is an error. ``<part>`` and XML namespaces are ignored.

    Args:
        images: the folder with the photos.
        annotations: the folder with the XML files; None where they lie beside the photos.
        label_map: the classes in their order, or a label map file; None takes the sorted names found.
        on_problem: ``raise`` reports all errors of the folder at once; ``skip`` leaves out only what
            is bad, an object or an image, and lists it in ``.problems``.

    Returns:
        The labelled images in the order of their file names. ``.problems`` also holds what is worth
        knowing: photos without annotation, annotations without objects, sizes that were not given.

    Raises:
        FileNotFoundError: a folder is not there.
        NotADirectoryError: a folder is a file.
        DatasetError: there is nothing to read, or ``raise`` and something is wrong.
    """
    folder = images if annotations is None else annotations
    return read_parts([Part(Path(images), Path(folder))], label_map=label_map, on_problem=on_problem)


def read_parts(
    parts: Sequence[Part],
    *,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read several folders as one dataset, each image with the name of its part in ``split``; otherwise as `read`."""
    settle_problems((), on_problem, "")  # refuses another word before the folder is read
    sources, found = [], list[Problem]()
    for part in parts:
        photos = PhotoFolder(part.images, only=part.only)
        folder = existing_folder(part.annotations)
        names = list(files_with_ending(folder, _ENDINGS))
        if not names:
            raise nothing_there(folder, "annotations (.xml files)", _ENDINGS)
        if part.only is not None:
            found += _without_annotation(part, {name[:-4] for name in names})
            names = [name for name in names if name[:-4] in part.only]
        sources.append(Source(photos, names, functools.partial(read_file, str(folder)), part.split))
    found += _in_no_list(parts)
    where = ", ".join(str(part.annotations) for part in parts)
    return make_dataset(sources, label_map=label_map, on_problem=on_problem, where=where, found=found)


def _without_annotation(part: Part, there: set[str]) -> Iterator[Problem]:
    path = voc_layout.list_of(part)
    for stem in sorted((part.only or frozenset()) - there) if path else ():
        what, fix = f"it names {stem!r}, which has no annotation", "Take the name out of the list, or label the photo."
        yield Problem(where=path.name, what=what, fix=fix, severity="warning", kind="listed and not annotated")


def _in_no_list(parts: Sequence[Part]) -> Iterator[Problem]:
    """Yield a note on each folder with annotations that the lists of its splits leave out."""
    for folder in dict.fromkeys(part.annotations for part in parts):
        lists = [part for part in parts if part.annotations == folder]
        names = {path.name: None for part in lists if part.only is not None and (path := voc_layout.list_of(part))}
        listed = frozenset[str]().union(*(part.only or () for part in lists))
        left = [name for name in files_with_ending(folder, _ENDINGS) if name[:-4] not in listed] if names else []
        if left:
            what = f"{len(left)} annotations are in none of the lists {', '.join(names)}, such as {left[0]}"
            fix = "They are left out; add them to a list to have them."
            yield Problem(where=str(folder), what=what, fix=fix, severity="note", kind="in no list")


@storage.buckets_too(writes="folder")
def write(dataset: Dataset, folder: str | os.PathLike[str]) -> Path:
    """Write photos and annotations side by side, a folder that `read` gives back as it was.

    Images that belong to splits go to a folder each, as Roboflow has them. The photos are copied byte for
    byte; the folder appears whole or not at all. The format has no place for crowds, masks and the order of
    the classes.

    Args:
        dataset: what to write; two images of one split may not have one name, endings aside.
        folder: a new or empty folder. One with files in it is never replaced.

    Raises:
        FileExistsError: the folder has files in it, or is a file.
        FileNotFoundError: a photo is gone.
        ValueError: two images have one name.
    """
    folder = Path(folder).expanduser()
    splits = by_split(dataset, by_stem=True)
    with new_folder(folder) as part:
        for split, images in splits.items():
            (part / split).mkdir(exist_ok=True)
            for image in images:
                write_photo(image, part / split / image.path.name)
                xml = _to_xml(image, dataset.label_map, split or folder.name)
                (part / split / f"{image.path.stem}.xml").write_bytes(xml)
    return folder


# --- reading ------------------------------------------------------------------------------------


def read_file(folder: str, name: str) -> RawImage:
    """Return what one file says; where it cannot be read, a raw image that has nothing but a fault."""
    stem = name[: -len(_ENDINGS[0])]
    try:
        with open(f"{folder}/{name}", "rb") as file:
            root = _parse(file.read())
    except OSError as error:
        fault = f"it cannot be opened ({error.strerror})", "Check the file and its permissions."
        return RawImage(name, stem=stem, fault=fault)
    except xml_file.UnusableError as error:
        return RawImage(name, stem=stem, fault=error.args)
    found = _children(root)
    size = _children(found["size"][0]) if "size" in found else {}
    objects = [_read_object(number, item) for number, item in enumerate(found.get("object", ()), start=1)]
    return RawImage(
        name, "", _text(found, "filename") or "", stem, (_text(size, "width"), _text(size, "height")), objects
    )


def _parse(data: bytes) -> etree._Element:
    """Return the root of an annotation, or raise `xml_file.UnusableError`."""
    root = xml_file.parse(data)
    if (name := xml_file.name(root)) != "annotation":
        fix = "Move it away: this is no Pascal VOC annotation."
        raise xml_file.UnusableError(f"its root is <{name}>, not <annotation>", fix)
    return root


def _read_object(number: int, element: etree._Element) -> RawObject:
    found, fault = _children(element), None
    for tag in ("name", "bndbox"):
        count = len(found.get(tag, ()))
        if count > 1:
            fault = f"it has {count} <{tag}>", "Keep one, or delete the object."
        elif count == 0:
            fault = f"it has no <{tag}>", "Add it, or delete the object."
    box = _children(found["bndbox"][0]) if "bndbox" in found else {}
    coordinates = [_text(box, field) for field in COORDINATES]
    return RawObject(f"object {number}", _text(found, "name") or "", coordinates, fault)


def _children(element: etree._Element) -> dict[str, list[etree._Element]]:
    """Return the children by name, without namespaces, which say nothing that matters here."""
    found: dict[str, list[etree._Element]] = {}
    for child in element:
        tag = child.tag
        if isinstance(tag, str):  # entities that were left alone have none
            found.setdefault(tag.rpartition("}")[2], []).append(child)
    return found


def _text(found: dict[str, list[etree._Element]], name: str) -> str | None:
    """Return the text of the first child of that name, None where there is none."""
    return (found[name][0].text or "").strip() if name in found else None


# --- writing ------------------------------------------------------------------------------------


def _to_xml(image: LabelledImage, label_map: LabelMap, folder: str) -> bytes:
    root = etree.Element("annotation")
    _add(root, {"folder": folder, "filename": image.path.name})
    _add(etree.SubElement(root, "size"), {"width": str(image.width), "height": str(image.height), "depth": "3"})
    _add(root, {"segmented": "0"})
    for label, box_xyxy in zip(image.labels.tolist(), image.boxes_xyxy, strict=True):
        item = etree.SubElement(root, "object")
        # Other programs stop where pose, truncated or difficult is not there.
        _add(item, {"name": label_map.name(label), "pose": "Unspecified", "truncated": "0", "difficult": "0"})
        _add(
            etree.SubElement(item, "bndbox"),
            dict(zip(COORDINATES, map(coordinate_text, box_xyxy), strict=True)),
        )
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _add(parent: etree._Element, texts: dict[str, str]) -> None:
    for tag, text in texts.items():
        etree.SubElement(parent, tag).text = text
