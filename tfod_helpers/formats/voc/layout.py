"""Where a data set keeps its Pascal VOC annotations, photos and lists."""

from __future__ import annotations

from pathlib import Path

from tfod_helpers.formats import folders, parsing
from tfod_helpers.formats.raw import Part
from tfod_helpers.formats.voc import lists

_LOOKED_AT = 3  # files of a folder


def find(names: folders.Listing) -> list[Part]:
    """Return where the Pascal VOC annotations under a folder are, each with its photos and its split."""
    parts: list[Part] = []
    for place in names:
        first = names.ending(place, ".xml")[:_LOOKED_AT]
        if any(parsing.beginning_of_xml(place / name)[:1] == ["annotation"] for name in first):
            parts += _parts(place, names)
    return folders.shared(parts, names)


def _parts(place: Path, names: folders.Listing) -> list[Part]:
    annotated = set(map(folders.stem, names.ending(place, ".xml")))
    listed_in = lists.find(place, names, annotated)
    if not listed_in:
        return folders.parts_of(annotated, place, names)
    photos = folders.photos_of(annotated.union(*listed_in.values()), place, names)
    return [
        Part(found.folder, place, split, here, found.deep)
        for split, listed in listed_in.items()
        for found in photos
        if (here := listed & found.stems)
    ]
