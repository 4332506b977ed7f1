"""Pascal VOC: one XML file a photo, as labelImg and most other labelling tools write it.

``<annotation>`` holds ``<filename>``, ``<size>`` and one ``<object>`` a box with ``<name>`` and
``<bndbox>``. Coordinates are taken as the file says them: no one is subtracted.

An annotation belongs to the photo that its ``<filename>`` names, or to the one that has its own name; where both exist
and differ, that is an error. ``<part>`` and XML namespaces are ignored. Without annotations, `read` takes the XML files
beside the photos. The format has no place for crowds, masks and the order of the classes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from lxml import etree

from tfod_helpers.annotations import LabelledImage, LabelMap, coordinate_text
from tfod_helpers.formats import parsing, voc_layout
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.format import Format, Splits
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source
from tfod_helpers.photos.folder import PhotoFolder, existing_folder, files_with_ending, nothing_there
from tfod_helpers.problems import Problem

_ENDINGS = (".xml",)


def _sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    for part in parts:
        photos = PhotoFolder(part.images, only=part.only)
        folder = existing_folder(part.annotations)
        names = list(files_with_ending(folder, _ENDINGS))
        if not names:
            raise nothing_there(folder, "annotations (.xml files)", _ENDINGS)
        if part.only is not None:
            reading.problems += _without_annotation(part, {name[:-4] for name in names})
            names = [name for name in names if name[:-4] in part.only]
        yield Source(photos, names, functools.partial(read_file, str(folder)), part.split)
    reading.problems += _in_no_list(parts)


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
    except parsing.UnusableError as error:
        return RawImage(name, stem=stem, fault=error.args)
    found = _children(root)
    size = _children(found["size"][0]) if "size" in found else {}
    objects = [_read_object(number, item) for number, item in enumerate(found.get("object", ()), start=1)]
    return RawImage(
        name, "", _text(found, "filename") or "", stem, (_text(size, "width"), _text(size, "height")), objects
    )


def _parse(data: bytes) -> etree._Element:
    """Return the root of an annotation, or raise `parsing.UnusableError`."""
    root = parsing.parse_xml(data)
    if (name := parsing.tag(root)) != "annotation":
        fix = "Move it away: this is no Pascal VOC annotation."
        raise parsing.UnusableError(f"its root is <{name}>, not <annotation>", fix)
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


def _write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    for split, images in splits.items():
        for image in images:
            xml = _to_xml(image, label_map, split or name)
            (folder / split / f"{image.path.stem}.xml").write_bytes(xml)


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


FORMAT = Format(
    title="Pascal VOC XML",
    find=voc_layout.find,
    sources=_sources,
    beside=lambda folder: [Part(folder, folder)],
    write_annotations=_write,
)
read, write = FORMAT.read, FORMAT.write
