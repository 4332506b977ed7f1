"""Pascal VOC: one XML file a photo, as labelImg and most other labelling tools write it.

``<annotation>`` holds ``<filename>``, ``<size>`` and one ``<object>`` a box with ``<name>`` and
``<bndbox>``. Coordinates are taken as the file says them: no one is subtracted.

An annotation belongs to the photo that its ``<filename>`` names, or to the one that has its own name; where both exist
and differ, that is an error. ``<part>`` and XML namespaces are ignored; a polygon alone has the box around it. Without
annotations, `read` takes the XML files beside the photos; `formats.read` also finds what LabelImg writes into one other
folder, Roboflow into ``train``, ``valid`` and ``test``, and the VOCdevkit and CVAT ("PASCAL VOC 1.1") into
``Annotations`` and ``JPEGImages``, with a list a split in ``ImageSets/Main``; ``train.txt`` and the like may also lie
elsewhere. http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
``<difficult>1</difficult>`` is read and written. The format has no place for crowds, masks and the order of
the classes.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from lxml import etree

from tfod_helpers.annotations import LabelledImage, LabelMap, coordinate_text
from tfod_helpers.formats import folders, parsing, shapes, voc_lists
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.format import Format, Splits
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_set
from tfod_helpers.photos.folder import PhotoFolder, files_with_ending
from tfod_helpers.problems import Problem

_ENDINGS = (".xml",)
_LOOKED_AT = 3  # files of a folder
_USUAL = ("name", "bndbox", "pose", "truncated", "difficult", "occluded")  # in an object
Children = dict[str, list[etree._Element]]


def _sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    places = defaultdict(list)  # of the annotations of one part's photos: some have them twice
    for part in parts:
        places[part.images, part.split].append(part.annotations)
    for part in parts:
        photos = PhotoFolder(part.images, deep=part.deep, only=part.only)
        names = folders.annotation_files(part, _ENDINGS)
        if part.only is not None:
            reading.problems += _without_annotation(part, {name[:-4] for name in names})
            names = [name for name in names if name[:-4] in part.only]
        folder, inside, earlier = part.annotations, "", places[part.images, part.split]
        if len(earlier) > 1:
            folder, inside = folder.parent, f"{folder.name}/"  # so that a problem says which of the two
            names = _new(part, names, earlier[: earlier.index(part.annotations)], reading.problems)
        read = functools.partial(read_file, str(folder))
        yield Source(photos, [inside + name for name in names], read, part.split)
    reading.problems += _in_no_list(parts)


def _new(part: Part, names: list[str], earlier: Sequence[Path], problems: list[Problem]) -> list[str]:
    """Return the annotation files that are not copies of those in the earlier folders; a note tells of copies."""
    own = part.annotations
    copies = {name for name in names if any(folders.same_file([folder / name, own / name]) for folder in earlier)}
    if copies:
        what = f"{len(copies)} annotations are copies of those in {', '.join(map(str, earlier))}"
        note = Problem(where=str(own), what=what, fix="Read once.", severity="note", kind="annotated twice")
        problems.append(note)
    return [name for name in names if name not in copies]


def _without_annotation(part: Part, there: set[str]) -> Iterator[Problem]:
    if without := sorted((part.only or frozenset()) - there):
        count = f"{len(without)} photos, such as " if len(without) > 1 else ""
        what = f"it names {count}{without[0]!r}, which ha{'ve' if count else 's'} no annotation"
        fix = "Take them out of the list, or label the photos."
        yield Problem(where=_list_of(part), what=what, fix=fix, severity="warning", kind="listed and not annotated")


def _in_no_list(parts: Sequence[Part]) -> Iterator[Problem]:
    """Yield a note on each folder with annotations that the lists of its splits leave out."""
    for folder in dict.fromkeys(part.annotations for part in parts):
        lists = [part for part in parts if part.annotations == folder and part.only is not None]
        listed = frozenset[str]().union(*(part.only or () for part in lists))
        left = [name for name in files_with_ending(folder, _ENDINGS) if name[:-4] not in listed] if lists else []
        if left:
            names = ", ".join(dict.fromkeys(map(_list_of, lists)))
            what = f"{len(left)} annotations are in none of the lists {names}, such as {left[0]}"
            fix = "They are left out; add them to a list to have them."
            yield Problem(where=str(folder), what=what, fix=fix, severity="note", kind="in no list")


def _list_of(part: Part) -> str:
    return f"{part.split or voc_lists.NO_SPLIT}.txt"


# --- reading ------------------------------------------------------------------------------------


def read_file(folder: str, name: str) -> RawImage:
    """Return what one file says; where it cannot be read, a raw image that has nothing but a fault."""
    stem = name[: -len(_ENDINGS[0])].rpartition("/")[2]
    try:
        data = parsing.contents(Path(folder, name))
        root = parsing.parse_xml(data, "annotation", "Move it away: this is no Pascal VOC annotation.")
    except parsing.UnusableError as error:
        return RawImage(name, stem=stem, fault=error.args)
    found = _children(root)
    size = _children(found["size"][0]) if "size" in found else {}
    objects = [
        _read_object(number, item)
        for number, item in enumerate(found.get("object", ()), start=1)
        if not is_set(_text(_children(item), "deleted"))  # LabelMe on the web keeps them
    ]
    sides = _text(size, "width"), _text(size, "height")
    return RawImage(name, "", _text(found, "filename") or "", stem, sides, objects, _fault(root, found, size))


def _fault(root: etree._Element, found: Children, size: Children) -> tuple[str, str] | None:
    """Return why a file as a whole cannot be trusted: what it says twice, or boxes where no reader looks for them."""
    for children, tags in ((found, ("filename", "size")), (size, ("width", "height"))):
        if double := _contradicting(children, tags):
            return f"it has several <{double}> that differ", "Keep one."
    for box in root.iterfind(".//{*}bndbox"):
        above = [parsing.tag(element) for element in box.iterancestors()]
        if above not in (["object", "annotation"], ["part", "object", "annotation"]):
            what = f"it has a <bndbox> in <{'> in <'.join(above)}>, where no object is looked for"
            return what, "Put each into an <object> of its own right below <annotation>."
    return None


def _read_object(number: int, element: etree._Element) -> RawObject:
    found, place = _children(element), f"object {number}"
    name, flag = _text(found, "name") or "", is_set(_text(found, "difficult"))
    if "bndbox" not in found and len(found.get("polygon", ())) == 1:
        item = RawObject.around(place, name, "Draw it again, or delete the object.", _around, found["polygon"][0])
        return replace(item, difficult=flag)
    fault = None
    for tag in ("name", "bndbox"):
        count = len(found.get(tag, ()))
        if count > 1:
            fault = f"it has {count} <{tag}>", "Keep one, or delete the object."
        elif count == 0:
            others = [f"<{other}>" for other in found if other not in _USUAL]
            there = f", but {', '.join(others)}" if others else ""
            fault = f"it has no <{tag}>{there}", "Add it, or delete the object."
    box = _children(found["bndbox"][0]) if "bndbox" in found else {}
    if double := _contradicting(box, COORDINATES):
        fault = f"it has several <{double}> that differ", "Keep one, or delete the object."
    coordinates = [_text(box, field) for field in COORDINATES]
    return RawObject(place, name, coordinates, fault, difficult=flag)


def _around(polygon: etree._Element) -> shapes.Bounds:
    """Return the box around a polygon of LabelMe on the web (``<pt><x>``, ``<y>``), or of others (``<x1>``)."""
    points: dict[str, list[float]] = {"x": [], "y": []}
    for element in polygon.iterdescendants("{*}*"):
        tag = parsing.tag(element)
        if re.fullmatch(r"[xy]\d*", tag):
            try:
                points[tag[0]].append(float(element.text or ""))
            except ValueError:
                raise ValueError(f"its polygon has <{tag}> {element.text!r}, not a number") from None
    if not points["x"] or len(points["x"]) != len(points["y"]):
        raise ValueError(f"its polygon has {len(points['x'])} x and {len(points['y'])} y")
    return shapes.around(list(zip(points["x"], points["y"], strict=True)))


def _children(element: etree._Element) -> Children:
    """Return the children by name, without namespaces, which say nothing that matters here."""
    found: Children = {}
    for child in element:
        tag = child.tag
        if isinstance(tag, str):  # entities that were left alone have none
            found.setdefault(tag.rpartition("}")[2], []).append(child)
    return found


def _contradicting(found: Children, tags: Sequence[str]) -> str:
    """Return the first of the tags that is there several times with different texts; empty where none is."""
    texts = {tag: {"".join(element.itertext()).strip() for element in found.get(tag, ())} for tag in tags}
    return next((tag for tag, said in texts.items() if len(said) > 1), "")


def _text(found: Children, name: str) -> str | None:
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
    for label, box_xyxy, difficult in zip(image.labels.tolist(), image.boxes_xyxy, image.difficult, strict=True):
        item = etree.SubElement(root, "object")
        # Other programs stop where pose, truncated or difficult is not there.
        texts = {"name": label_map.name(label), "pose": "Unspecified", "truncated": "0"}
        _add(item, texts | {"difficult": str(int(difficult))})
        _add(
            etree.SubElement(item, "bndbox"),
            dict(zip(COORDINATES, map(coordinate_text, box_xyxy), strict=True)),
        )
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _add(parent: etree._Element, texts: dict[str, str]) -> None:
    for tag, text in texts.items():
        etree.SubElement(parent, tag).text = text


# --- where a data set keeps its annotations, photos and lists -------------------------------------


def _find(root: Path) -> list[Part]:
    """Return where the Pascal VOC annotations under a folder are, each with its photos and its split."""
    names = folders.listing(root)
    parts: list[Part] = []
    for place in names:
        if _has_ours(place, names):
            parts += _parts(place, root, names)
    return folders.shared(parts, names)


def _has_ours(place: Path, names: folders.Listing) -> bool:
    """Whether one of the first XML files of a folder is a Pascal VOC annotation."""
    first = islice((name for name in names[place] if name.lower().endswith(".xml")), _LOOKED_AT)
    return any(parsing.beginning_of_xml(place / name)[:1] == ["annotation"] for name in first)


def _parts(place: Path, root: Path, names: folders.Listing) -> list[Part]:
    annotated = {folders.stem(name) for name in names[place] if name.lower().endswith(".xml")}
    lists = voc_lists.find(place, root, names, annotated)
    wanted = annotated.union(*lists.values())
    photos = folders.photos_of(wanted, place, names)
    if lists:
        return [
            Part(found.folder, place, split, here, found.deep)
            for split, listed in lists.items()
            for found in photos
            if (here := listed & found.stems)
        ]
    only = len(photos) > 1
    return [
        Part(images, place, folders.split_of(root, place, images), stems if only else None, deep)
        for images, stems, deep in photos
    ]


FORMAT = Format(
    title="Pascal VOC XML",
    find=_find,
    sources=_sources,
    beside=lambda folder: [Part(folder, folder)],
    write_annotations=_write,
    marks=frozenset({"difficult"}),
)
read, write = FORMAT.read, FORMAT.write
