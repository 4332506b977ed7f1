"""Pascal VOC XML files -> what they say of each photo."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lxml import etree

from tfod_helpers.formats import folders, parsing, shapes
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_set
from tfod_helpers.formats.voc.lists import NO_SPLIT
from tfod_helpers.photos.folder import PhotoFolder, files_with_ending
from tfod_helpers.problems import Problem

_ENDINGS = (".xml",)
_USUAL = ("name", "bndbox", "pose", "truncated", "difficult", "occluded")  # in an object
Children = dict[str, list[etree._Element]]


def sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    """Yield the photos of each part with its XML files, as `Format.sources` does."""
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
    return f"{part.split or NO_SPLIT}.txt"


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
