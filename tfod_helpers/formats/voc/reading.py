"""Pascal VOC XML files -> the annotation of each photo."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lxml import etree

from tfod_helpers.formats import folders, parsing, shapes
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source, is_set
from tfod_helpers.formats.voc.lists import NO_SPLIT
from tfod_helpers.photos.folder import PhotoFolder

_ENDINGS = (".xml",)
_USUAL = ("name", "bndbox", "pose", "truncated", "difficult", "occluded")  # in an object
Children = dict[str, list[etree._Element]]


def is_ours(path: Path) -> bool:
    """Whether a file begins as a Pascal VOC annotation does."""
    return parsing.beginning_of_xml(path)[:1] == ["annotation"]


def sources(parts: Sequence[Part], reading: Reading) -> Iterator[Source]:
    """Yield the photos of each part with its XML files, as `Format.sources` does."""
    files: dict[Path, list[str]] = {}
    places = defaultdict(list)  # of the annotations of one part's photos: some have them twice
    for part in parts:
        places[part.images, part.split].append(part.annotations)
    for part in parts:
        photos = PhotoFolder(part.images, deep=part.deep, only=part.only)
        names = files[part.annotations] = files.get(part.annotations) or folders.annotation_files(part, _ENDINGS)
        if part.only is not None:
            fix = "Take them out of the list, or label the photos."
            note_without_annotation(part, {name[:-4] for name in names}, fix, reading)
            names = [name for name in names if name[:-4] in part.only]
        folder, inside, earlier = part.annotations, "", places[part.images, part.split]
        if len(earlier) > 1:
            folder, inside = folder.parent, f"{folder.name}/"  # so that a problem shows which of the two
            names = _new(part, names, earlier[: earlier.index(part.annotations)], reading)
        read = functools.partial(read_file, str(folder))
        yield Source(photos, [inside + name for name in names], read, part.split)
    _note_in_no_list(parts, files, reading)


def _new(part: Part, names: list[str], earlier: Sequence[Path], reading: Reading) -> list[str]:
    """Return the annotation files that are not copies of those in the earlier folders; copies are noted."""
    own = part.annotations
    copies = {name for name in names if any(folders.same_file([folder / name, own / name]) for folder in earlier)}
    if copies:
        what = f"{len(copies)} annotations are copies of those in {', '.join(map(str, earlier))}"
        reading.add(str(own), what, "Read once.", "note", "annotated twice")
    return [name for name in names if name not in copies]


def note_without_annotation(part: Part, annotated: set[str], fix: str, reading: Reading) -> None:
    """Add a warning where photos of a part's list have no annotation; all are given by their names without ending."""
    listed = part.only or frozenset()
    if without := sorted(listed - annotated):
        what = f"{len(without)} of the {len(listed)} photos listed have no annotation, such as {without[0]!r}"
        reading.add(_list_of(part), what, fix, "warning", "listed and not annotated")


def _note_in_no_list(parts: Sequence[Part], files: dict[Path, list[str]], reading: Reading) -> None:
    """Add a note on each folder with annotations that the lists of its splits leave out."""
    for folder, names in files.items():
        lists = [part for part in parts if part.annotations == folder and part.only is not None]
        listed = frozenset[str]().union(*(part.only or () for part in lists))
        left = [name for name in names if name[:-4] not in listed]
        if lists and left:
            shown = ", ".join(dict.fromkeys(map(_list_of, lists)))
            what = f"{len(left)} annotations are in none of the lists {shown}, such as {left[0]}"
            fix = "They are left out; add them to a list to have them."
            reading.add(str(folder), what, fix, "note", "in no list")


def _list_of(part: Part) -> str:
    return f"{part.split or NO_SPLIT}.txt"


# --- reading ------------------------------------------------------------------------------------


def read_file(folder: str, name: str) -> RawImage:
    """Return the annotation in a file; where it cannot be read, a raw image that has nothing but a fault."""
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
        for number, item in enumerate(map(_children, found.get("object", ())), start=1)
        if not is_set(_text(item, "deleted"))  # LabelMe on the web keeps them
    ]
    sides = _text(size, "width"), _text(size, "height")
    return RawImage(name, "", _text(found, "filename") or "", stem, sides, objects, _fault(root, found, size))


def _fault(root: etree._Element, found: Children, size: Children) -> tuple[str, str] | None:
    """Return why a file as a whole cannot be trusted: it has a value twice, or boxes where no reader looks for them."""
    for children, tags in ((found, ("filename", "size")), (size, ("width", "height"))):
        if double := _contradicting(children, tags):
            return f"it has several <{double}> that differ", "Keep one."
    for box in root.iter("{*}bndbox"):
        above = [parsing.tag(element) for element in box.iterancestors()]
        if above not in (["object", "annotation"], ["part", "object", "annotation"]):
            what = f"it has a <bndbox> in <{'> in <'.join(above)}>, where no object is looked for"
            return what, "Put each into an <object> of its own right below <annotation>."
    return None


def _read_object(number: int, found: Children) -> RawObject:
    place, name, flag = f"object {number}", _text(found, "name") or "", is_set(_text(found, "difficult"))
    if "bndbox" not in found and len(found.get("polygon", ())) == 1:
        fix = "Draw it again, or delete the object."
        return RawObject.around(place, name, fix, _around, found["polygon"][0], difficult=flag)
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
    named = [(parsing.tag(element), element.text) for element in polygon.iterdescendants("{*}*")]
    xs, ys = ([_float(*one) for one in named if re.fullmatch(rf"{axis}\d*", one[0])] for axis in "xy")
    if not xs or len(xs) != len(ys):
        raise ValueError(f"its polygon has {len(xs)} x and {len(ys)} y")
    return shapes.around(list(zip(xs, ys, strict=True)))


def _float(tag: str, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ValueError(f"its polygon has <{tag}> {text!r}, not a number") from None


def _children(element: etree._Element) -> Children:
    """Return the children by name, without namespaces, which do not matter here."""
    found: Children = {}
    for child in element:
        tag = child.tag
        if isinstance(tag, str):  # entities that were left alone have none
            found.setdefault(tag.rpartition("}")[2], []).append(child)
    return found


def _contradicting(found: Children, tags: Sequence[str]) -> str:
    """Return the first of the tags that is there several times with different texts; empty where none is."""
    several = (tag for tag in tags if len(found.get(tag, ())) > 1)
    return next((tag for tag in several if len({"".join(one.itertext()).strip() for one in found[tag]}) > 1), "")


def _text(found: Children, name: str) -> str | None:
    """Return the text of the first child of that name, None where there is none."""
    return (found[name][0].text or "").strip() if name in found else None
