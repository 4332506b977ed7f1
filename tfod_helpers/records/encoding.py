"""A labelled image -> its record, the photo proven whole; or what is wrong with it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfod_helpers import photos
from tfod_helpers.annotations import LabelledImage, LabelMap, box_fault
from tfod_helpers.files import storage
from tfod_helpers.problems import Problem
from tfod_helpers.records.index import Index
from tfod_helpers.records.tfrecord import frames, labelled

_VERSION = 3  # of what a record holds: a higher one makes every record anew


@dataclass(frozen=True)
class Settings:
    """What a record depends on besides its image.

    Attributes:
        names: the name of each class in UTF-8, the first one for id 1.
        longest_side: pixels that the longer side of a photo may have; None leaves photos as large as they are.
    """

    names: tuple[bytes, ...]
    longest_side: int | None

    @classmethod
    def of(cls, label_map: LabelMap, longest_side: int | None) -> Settings:
        """Return the settings for a label map.

        Raises:
            ValueError: ``longest_side`` is below one.
        """
        if longest_side is not None and longest_side < 1:
            raise ValueError(f"longest_side must be 1 pixel or more, or None; got {longest_side}.")
        return cls(tuple(name.encode() for name in label_map), longest_side)


def source_ids(images: Iterable[LabelledImage]) -> list[int]:
    """Return a number for each image that none of the others has, and that stays when photos are added.

    It is made from the file's name, and from how many images before have the same. It is below 2 ** 53,
    so that it stays whole as an int64 (Model Garden's process_source_id) and as a float64 (pycocotools).
    """
    ids = []
    seen: Counter[str] = Counter()
    for image in images:
        text = f"{seen[image.path.name]}/{image.path.name}".encode("utf-8", "surrogateescape")
        ids.append(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 11)
        seen[image.path.name] += 1
    return ids


def encode(image: LabelledImage, source_id: int, settings: Settings, new: list[bytes]) -> tuple[bytes, Index] | Problem:
    """Return the record of an image in its frame and its index, or what is wrong with it.

    Args:
        image: the image.
        source_id: its number, which no other image of the records has.
        settings: what else the record depends on.
        new: gets what is seen of the photo, where that is new.
    """
    try:
        data, stamp = (image.encoded, _stamp(image)) if image.encoded is not None else photos.read(image.path)
        if not data.startswith(photos.JPEG_START):
            info = photos.read_info(data)  # it is decoded in full below
        elif image.encoded is not None:
            info = photos.look(data).info
        else:
            look, seen = photos.prove(image.path, data, stamp)
            info = look.info
            new.append(seen)
        jpeg, size = _jpeg(image, data, info, settings.longest_side)
    except photos.PhotoError as error:
        return _problem(image, error.what, error.fix)
    except FileNotFoundError:
        return _problem(image, "there is no such file", "Check the path.", "photo missing")
    except OSError as error:
        return _problem(image, f"cannot be read ({error})", "Check the file and its permissions.")
    # Boxes as they come back from a record, in fractions of float32.
    boxes_xyxy = labelled.as_pixels(labelled.as_fractions(image.boxes_xyxy, image.width, image.height), *size)
    if problem := _lost_box(image, boxes_xyxy, size):
        return problem
    try:
        scaled = image if size == (image.width, image.height) else _scaled(image, boxes_xyxy, size)
        frame = frames.frame(labelled.serialize(scaled, jpeg, source_id, settings.names))
    except ValueError as error:
        return _problem(image, f"a mask cannot be read ({error})", "Make the mask again.", "mask unreadable")
    return frame, Index.of_record(frame, scaled, len(data), fingerprint(image, source_id, settings, stamp))


def _jpeg(
    image: LabelledImage, data: bytes, info: photos.PhotoInfo, longest_side: int | None
) -> tuple[bytes, tuple[int, int]]:
    """Return a JPEG in the frame that the boxes are in, no larger than wanted, and its (width, height)."""
    size = full = image.width, image.height
    if longest_side is not None and longest_side < max(full):
        width, height = (max(1, round(side * longest_side / max(full))) for side in full)
        size = width, height
    as_it_is = info.plain_jpeg and size == full
    rgb = None if as_it_is else photos.to_rgb(data, full)
    found = (info.width, info.height) if rgb is None else (rgb.shape[1], rgb.shape[0])
    if found != full:
        raise photos.PhotoError(
            str(image.path),
            f"the annotation says {full[0]} x {full[1]}, the image is {found[0]} x {found[1]}",
            "Correct the size in the annotation, or bring the image that belongs to it.",
        )
    if rgb is None:
        return data, size
    return photos.to_jpeg(rgb if size == full else _resized(rgb, size)), size


def _resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    # Pillow's filters widen when shrinking, so no pixel is skipped.
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def _scaled(image: LabelledImage, boxes_xyxy: np.ndarray, size: tuple[int, int]) -> LabelledImage:
    full = image.width, image.height
    masks = image.masks and tuple(labelled.resize_mask(mask, full, size) for mask in image.masks)
    areas = None if image.areas is None else image.areas * (size[0] * size[1] / (full[0] * full[1]))
    return dataclasses.replace(image, width=size[0], height=size[1], boxes_xyxy=boxes_xyxy, masks=masks, areas=areas)


def _lost_box(image: LabelledImage, boxes_xyxy: np.ndarray, size: tuple[int, int]) -> Problem | None:
    """Return the problem of the first box that a record of this size cannot hold, or None."""
    for number, box_xyxy in enumerate(boxes_xyxy.tolist()):
        if box_fault(box_xyxy, *size):
            what = f"the box is thinner than a record of {size[0]} x {size[1]} pixels can hold"
            place, box_xyxy = f"object {number + 1}", tuple(image.boxes_xyxy[number].tolist())
            fix = "Fix the box or delete the object."
            return _problem(image, what, fix, "box too thin", object=place, box_xyxy=box_xyxy)
    return None


def _problem(image: LabelledImage, what: str, fix: str, kind: str = "photo unreadable", **of_object: Any) -> Problem:
    path, size = str(image.path), (image.width, image.height)
    return Problem(where=path, what=what, fix=fix, kind=kind, photo=path, size=size, **of_object)


# --- what a record is made from -------------------------------------------------------------------


def _stamp(image: LabelledImage) -> photos.Stamp:
    """Return the size of a photo, and a number that changes when it does."""
    if image.encoded is None:
        return storage.stamp(image.path)
    digest = hashlib.blake2b(image.encoded, digest_size=8).digest()
    return len(image.encoded), int.from_bytes(digest, "little") >> 1


def fingerprint(image: LabelledImage, source_id: int, settings: Settings, stamp: photos.Stamp | None = None) -> bytes:
    """Return 16 bytes that stand for all that a record is made from; empty where the photo cannot be looked at.

    Args:
        image: the image.
        source_id: its number.
        settings: what else the record depends on.
        stamp: what stands for the photo's bytes, which are not read here; None looks at the file.
    """
    try:
        stamp = stamp or _stamp(image)
    except OSError:
        return b""
    numbers = f"{_VERSION} {settings.longest_side} {stamp} {source_id} {image.width} {image.height}"
    names = [settings.names[label - 1] for label in image.labels.tolist()]
    arrays = [array.tobytes() for array in (image.boxes_xyxy, image.labels, image.crowd, image.difficult)]
    if image.areas is not None:  # where it is, the record is that of before areas were kept
        arrays.append(image.areas.tobytes())
    text = repr((numbers, image.path.name, names, image.masks, arrays))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
