"""A labelled image -> its record, the photo proven whole; or what is wrong with it."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers import photos
from tfod_helpers.annotations import LabelledImage, LabelMap, box_fault
from tfod_helpers.files import storage
from tfod_helpers.problems import Problem
from tfod_helpers.records import index
from tfod_helpers.records.tfrecord import frames, labelled

_VERSION = 1  # of what a record holds: a higher one makes every record anew
_BUFFER = 1 << 17  # bytes; many small photos then take half the time to write
_JPEG_START = b"\xff\xd8"  # Recommendation ITU-T T.81, table B.1


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
    ids: dict[int, None] = {}
    seen: Counter[str] = Counter()
    for image in images:
        name = image.path.name
        while True:
            text = f"{seen[name]}/{name}".encode("utf-8", "surrogateescape")
            id = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 11
            seen[name] += 1
            if id not in ids:
                break
        ids[id] = None
    return list(ids)


def fingerprint(image: LabelledImage, source_id: int, settings: Settings) -> bytes:
    """Return 16 bytes that stand for all that a record is made from; empty where the photo cannot be looked at.

    The photo counts with its name, its size and the time of its last change, and is not read.
    """
    try:
        return _fingerprint(image, source_id, settings, _stamp(image))
    except OSError:
        return b""


def encode_batch(
    images: Sequence[LabelledImage], ids: Sequence[int], settings: Settings, path: Path
) -> tuple[np.ndarray, list[Problem]]:
    """Write the records of some images to a file.

    Returns:
        The rows of the index for those that are in the file, and what is wrong with the others.

    Raises:
        OSError: the file cannot be written.
    """
    rows, problems = [], []
    with path.open("wb", buffering=_BUFFER) as file:
        for image, source_id in zip(images, ids, strict=True):
            made = encode(image, source_id, settings)
            if isinstance(made, Problem):
                problems.append(made)
            else:
                frame, row = made
                file.write(frame)
                rows.append(row)
    return index.rows(rows), problems


def encode(image: LabelledImage, source_id: int, settings: Settings) -> tuple[bytes, Any] | Problem:
    """Return the record of an image in its frame and its row of the index, or what is wrong with it."""
    try:
        data, stamp = _read(image)
        jpeg, size = _jpeg(image, data, settings.longest_side)
    except photos.PhotoError as error:
        return _problem(image, error.what, error.fix)
    except FileNotFoundError:
        return _problem(image, "there is no such file", "Check the path.", "photo missing")
    except OSError as error:
        return _problem(image, f"cannot be read ({error})", "Check the file and its permissions.")
    if problem := _lost_box(image, size):
        return problem
    try:
        scaled = image if size == (image.width, image.height) else _scaled(image, size)
        example = labelled.serialize(scaled, jpeg, source_id, settings.names)
    except ValueError as error:
        return _problem(image, f"a mask cannot be read ({error})", "Make the mask again.", "mask unreadable")
    frame = frames.frame(example)
    mark = _fingerprint(image, source_id, settings, stamp)
    return frame, index.row(frame, len(image.labels), len(data), mark)


def _read(image: LabelledImage) -> tuple[bytes, tuple[int, int]]:
    """Return the bytes of a photo, and its stamp."""
    if image.encoded is not None:
        return image.encoded, _stamp(image)
    read = storage.read_stamped(image.path)
    if read is None:
        fix = "Wait until it is complete, and write the records again."
        raise photos.PhotoError(str(image.path), "it changed while it was read", fix)
    return read


def _jpeg(image: LabelledImage, data: bytes, longest_side: int | None) -> tuple[bytes, tuple[int, int]]:
    """Return a whole JPEG in the frame that the boxes are in, no larger than wanted, and its (width, height)."""
    # What is no JPEG is decoded in full below, and need not be decoded twice.
    info = photos.prove_whole(data) if data.startswith(_JPEG_START) else photos.read_info(data)
    size = wanted = image.width, image.height
    longest = max(size)
    if longest_side is not None and longest > longest_side:
        size = tuple(max(1, round(side * longest_side / longest)) for side in wanted)
    if info.plain_jpeg and size == wanted:
        found = info.width, info.height
    else:
        rgb = photos.to_rgb(data, wanted)
        found = rgb.shape[1], rgb.shape[0]
    if found != wanted:
        raise photos.PhotoError(
            str(image.path),
            f"the annotation says {wanted[0]} x {wanted[1]}, the image is {found[0]} x {found[1]}",
            "Correct the size in the annotation, or bring the image that belongs to it.",
        )
    if info.plain_jpeg and size == wanted:
        return data, size
    return photos.to_jpeg(rgb if size == wanted else _resized(rgb, size)), size


def _resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    # Pillow's filters widen when shrinking, so no pixel is skipped.
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def _scaled(image: LabelledImage, size: tuple[int, int]) -> LabelledImage:
    old_size = image.width, image.height
    fractions_xyxy = labelled.as_fractions(image.boxes_xyxy, *old_size)
    masks = image.masks and tuple(labelled.resize_mask(mask, old_size, size) for mask in image.masks)
    boxes_xyxy = labelled.as_pixels(fractions_xyxy, *size)
    return replace(image, width=size[0], height=size[1], boxes_xyxy=boxes_xyxy, masks=masks)


def _lost_box(image: LabelledImage, size: tuple[int, int]) -> Problem | None:
    """Say which box a record cannot hold, as fractions of float32 of an image of this size."""
    if not len(image.labels):
        return None
    fractions_xyxy = labelled.as_fractions(image.boxes_xyxy, image.width, image.height)
    for number, box_xyxy in enumerate(labelled.as_pixels(fractions_xyxy, *size).tolist()):
        if box_fault(box_xyxy, *size):
            return Problem(
                where=str(image.path),
                object=f"object {number + 1}",
                what=f"the box is thinner than a record of {size[0]} x {size[1]} pixels can hold",
                fix="Fix the box or delete the object.",
                kind="box too thin",
                photo=str(image.path),
                size=(image.width, image.height),
                box_xyxy=tuple(image.boxes_xyxy[number].tolist()),
            )
    return None


def _problem(image: LabelledImage, what: str, fix: str, kind: str = "photo unreadable") -> Problem:
    path = str(image.path)
    return Problem(where=path, what=what, fix=fix, kind=kind, photo=path, size=(image.width, image.height))


# --- what a record is made from -------------------------------------------------------------------


def _stamp(image: LabelledImage) -> tuple[int, int]:
    """Return the size of a photo, and a number that changes when it does."""
    if image.encoded is None:
        return storage.stamp(image.path)
    digest = hashlib.blake2b(image.encoded, digest_size=8).digest()
    return len(image.encoded), int.from_bytes(digest, "little") >> 1


def _fingerprint(image: LabelledImage, source_id: int, settings: Settings, stamp: tuple[int, int]) -> bytes:
    # The number of boxes tells how many bytes each array has, and each text stands behind its length.
    count, masks = len(image.labels), image.masks
    numbers = (_VERSION, settings.longest_side or 0, *stamp, source_id, image.width, image.height, count)
    texts = [image.path.name.encode("utf-8", "surrogateescape")]
    texts += [settings.names[label - 1] for label in image.labels.tolist()]
    texts += masks or ()
    lengths = [len(text) for text in texts]
    parts = [struct.pack(f"<8q?{len(texts)}I", *numbers, masks is not None, *lengths), *texts]
    arrays = image.boxes_xyxy.tobytes(), image.labels.tobytes(), image.crowd.tobytes()
    return hashlib.blake2b(b"".join((*parts, *arrays)), digest_size=16).digest()
