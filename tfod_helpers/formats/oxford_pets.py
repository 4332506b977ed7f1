"""Oxford-IIIT Pets in its original layout: 37 breeds of cats and dogs, a box around each head, an outline of each body.

https://www.robots.ox.ac.uk/~vgg/data/pets/ : ``images/``, ``annotations/list.txt``, ``trainval.txt`` and
``test.txt`` with a photo a line, ``annotations/xmls/`` with head boxes as Pascal VOC has them, and
``annotations/trimaps/`` with a picture a photo of what is pet (1), background (2) and border (3).

Others have the same layout and classes of their own, so only photos called after the breeds, or numbered in
``list.txt``, are this data set. `read` takes the folder that these are in; the lists become the splits ``trainval``
and ``test``. Its options:

- ``classes``: ``breeds``, from the file names, in the order of the label map that the Object Detection API came with
  (capitals aside); or ``species``, cat and dog.
- ``around``: ``head``, which the photos of the test list do not have; or ``body``, around the outline, border included.
- ``masks``: keep the outline of the body, border included, as mask; of a head, what of it lies in the box.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfod_helpers.formats import parsing
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import Part, RawImage, RawObject, Reading, Source
from tfod_helpers.formats.voc.reading import note_without_annotation, read_file
from tfod_helpers.photos.folder import PhotoFolder, existing_folder
from tfod_helpers.problems import refused

_SPLITS = ("trainval", "test")
_BACKGROUND = 2
_SPECIES = ("cat", "dog")
_BREEDS = frozenset(
    re.findall(
        r"\w+",
        """Abyssinian Bengal Birman Bombay British_Shorthair Egyptian_Mau Maine_Coon Persian Ragdoll
        Russian_Blue Siamese Sphynx american_bulldog american_pit_bull_terrier basset_hound beagle boxer
        chihuahua english_cocker_spaniel english_setter german_shorthaired great_pyrenees havanese japanese_chin
        keeshond leonberger miniature_pinscher newfoundland pomeranian pug saint_bernard samoyed
        scottish_terrier shiba_inu staffordshire_bull_terrier wheaten_terrier yorkshire_terrier""",
    )
)
_LOOKED_AT = 3  # files


def _find(listing: Listing) -> list[Part]:
    """Return the parts that the data set's own lists name; none where it is another data set in the same layout."""
    images, annotations = listing.root / "images", listing.root / "annotations"
    if images not in listing or not {annotations / "xmls", annotations / "trimaps"} & listing.keys():
        return []
    lists = {split: [row[0] for row in _rows(annotations / f"{split}.txt")] for split in _SPLITS}
    parts = [Part(images, annotations, split, frozenset(names)) for split, names in lists.items() if names]
    first = listing.ending(annotations / "xmls", ".xml")[:_LOOKED_AT]
    return parts if _are_pets({name for names in lists.values() for name in names}, annotations, first) else []


def _are_pets(listed: Iterable[str], annotations: Path, first: Iterable[str]) -> bool:
    """Whether the photos' names have the breeds, or list.txt numbers them; and the first XML knows cats and dogs only.

    Others took the layout of this data set for their own, and their classes are in the XML.
    """
    raws = [read_file(str(annotations / "xmls"), name) for name in first]
    if any(item.name and item.name.casefold() not in _SPECIES for raw in raws for item in raw.objects):
        return False
    numbered = {(_breed(row[0]), row[1]) for row in _rows(annotations / "list.txt") if len(row) == 4}
    breeds, numbers = ({pair[place] for pair in numbered} for place in (0, 1))
    return all(_breed(name) in _BREEDS for name in listed) or 0 < len(breeds) == len(numbers) == len(numbered)


def _beside(folder: Path) -> list[Part]:
    if parts := _find(Listing(existing_folder(folder))):
        return parts
    what = "there are no images, annotations/trainval.txt and annotations/xmls of its breeds in this folder"
    raise refused(folder, what, "Check the path.")


def _sources(
    parts: Sequence[Part],
    reading: Reading,
    *,
    classes: Literal["breeds", "species"] = "breeds",
    around: Literal["head", "body"] = "head",
    masks: bool = False,
) -> Iterator[Source]:
    for option, allowed in ((classes, ("breeds", "species")), (around, ("head", "body"))):
        if option not in allowed:
            raise ValueError(f"{option!r} is not one of {' and '.join(map(repr, allowed))}.")
    known = {_breed(stem) for part in parts for stem in part.only or ()}
    reading.classes = sorted(known, key=str.casefold) if classes == "breeds" else list(_SPECIES)
    for part in parts:
        place, ending = ("xmls", ".xml") if around == "head" else ("trimaps", ".png")
        there = {path.stem for path in (part.annotations / place).glob(f"[!.]*{ending}")}
        stems = sorted((part.only or frozenset()) & there)
        fix = "They are left out." if around == "body" else "They are left out; around='body' has more of them."
        note_without_annotation(part, there, fix, reading)
        photos = PhotoFolder(part.images, only=frozenset(stems))
        to_raw = functools.partial(_raw_image, str(part.annotations), around, classes, masks)
        yield Source(photos, stems, to_raw, part.split)


def _breed(stem: str) -> str:
    """Return the breed in a photo's name: ``american_bulldog`` of ``american_bulldog_12``."""
    return stem.rpartition("_")[0]


def _rows(path: Path) -> list[list[str]]:
    """Return the words of each line of a list that is no comment; the first is a photo's name."""
    return [line.split() for line in parsing.lines(path) if not line.startswith("#")]


def _raw_image(annotations: str, around: str, classes: str, masks: bool, stem: str) -> RawImage:
    name = _breed(stem) if classes == "breeds" else _SPECIES[not stem[:1].isupper()]  # by its README, capitals are cats
    if around == "body":
        return _body(annotations, stem, name, masks)
    raw = read_file(f"{annotations}/xmls", f"{stem}.xml")
    objects = [replace(item, name=name) for item in raw.objects]
    if masks and (pet := _pet(f"{annotations}/trimaps/{stem}.png")) is not None:
        objects = [replace(item, outline=_within(pet, item.coordinates)) for item in objects]
    # Its XML names the photo rightly, but where it does not, its own name does.
    return replace(raw, filename="", objects=objects)


def _body(annotations: str, stem: str, name: str, masks: bool) -> RawImage:
    where = f"{stem}.png"
    pet = _pet(f"{annotations}/trimaps/{where}")
    if pet is None or not pet.any():
        fault = "its trimap cannot be read, or shows no pet", "Unpack the data set again, or delete the trimap."
        return RawImage(where, "", "", stem, fault=fault)
    rows, columns = (np.flatnonzero(pet.any(axis=axis)) for axis in (1, 0))
    corners = [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]
    outline = _encoded(pet) if masks else None
    height, width = pet.shape
    return RawImage(where, "", "", stem, (width, height), [RawObject("the pet", name, corners, outline=outline)])


def _pet(path: str) -> np.ndarray | None:
    """Return which pixels of a trimap are pet or border: bool, shape (height, width); None where it is no trimap."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L") if image.mode not in ("L", "P") else image) != _BACKGROUND
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _within(pet: np.ndarray, coordinates: Sequence[Any]) -> dict[str, Any] | None:
    try:
        xmin, ymin, xmax, ymax = (round(float(value)) for value in coordinates)
    except (TypeError, ValueError, OverflowError):
        return None
    inside = np.zeros_like(pet)
    inside[max(ymin, 0) : ymax, max(xmin, 0) : xmax] = pet[max(ymin, 0) : ymax, max(xmin, 0) : xmax]
    return _encoded(inside)


def _encoded(pixels: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask

    return mask.encode(np.asfortranarray(pixels.astype(np.uint8)))


FORMAT = Format(title="Oxford-IIIT Pets", find=_find, sources=_sources, beside=_beside)
read = FORMAT.read
