"""A labelled image <-> the ``tf.train.Example`` that Model Garden's ``TfExampleDecoder`` reads.

The bytes are put together here, since TensorFlow takes seconds to load, and its protocol buffers
five times as long for each image.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.records.tfrecord.examples import BYTES, FLOATS, INTS, Values

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def serialize(image: LabelledImage, jpeg: bytes, source_id: int, names: Sequence[bytes]) -> bytes:
    """Return a labelled image as an example.

    Args:
        image: the image, in the frame of the JPEG.
        jpeg: what goes in for its file.
        source_id: its number, which no other image of the records has.
        names: the name of each class in UTF-8, the first one for id 1.

    Raises:
        ValueError: a mask is not one of the image's size.
    """
    jpeg_head = b"\x0a" + _varint(len(jpeg))
    parts = [
        *(_start("image/encoded", BYTES, len(jpeg_head) + len(jpeg)), jpeg_head, jpeg, _FORMAT),
        *_texts("image/filename", [image.path.name.encode("utf-8", "surrogateescape")]),
        *_texts("image/source_id", [b"%d" % source_id]),  # Model Garden turns it into a number
        _size(image.width, image.height),
        *_boxes(image),
    ]
    labels = image.labels.tolist()
    parts += _whole_numbers("image/object/class/label", labels)
    parts += _texts("image/object/class/text", [names[label - 1] for label in labels])
    parts += _whole_numbers("image/object/is_crowd", image.crowd.tolist())
    if image.masks is not None:
        parts += _texts("image/object/mask", [_to_png(mask, image) for mask in image.masks])
    features = b"".join(parts)
    return b"".join((b"\x0a", _varint(len(features)), features))


def to_labelled_image(values: Values) -> LabelledImage:
    """Return the labelled image of an example that `serialize` made; its JPEG is in ``encoded``.

    Raises:
        KeyError: a feature is missing.
        ValueError: a value does not fit.
    """
    width, height = int(values["image/width"][0]), int(values["image/height"][0])
    fractions_xyxy = np.stack([values[f"image/object/bbox/{corner}"] for corner in _CORNERS], axis=-1)
    masks = values.get("image/object/mask")
    return LabelledImage(
        path=Path(values["image/filename"][0].decode("utf-8", "surrogateescape")),
        width=width,
        height=height,
        boxes_xyxy=as_pixels(fractions_xyxy, width, height),
        labels=values["image/object/class/label"],
        encoded=values["image/encoded"][0],
        crowd=values["image/object/is_crowd"],
        masks=None if masks is None else tuple(_from_png(png, width, height) for png in masks),
    )


def as_fractions(boxes_xyxy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return boxes in pixels as fractions of the image: float32, shape (n, 4), which is what records hold."""
    return boxes_xyxy / np.array([width, height, width, height], np.float32)


def as_pixels(fractions_xyxy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return boxes in fractions of the image as pixels: float32, shape (n, 4)."""
    return fractions_xyxy * np.array([width, height, width, height], np.float32)


# --- masks ----------------------------------------------------------------------------------------
# Records hold a mask as a PNG of zeros and ones: https://github.com/tensorflow/models/blob/master/official/
# vision/data/create_coco_tf_record.py writes them so, and TfExampleDecoder takes the pixels as they are.


def resize_mask(counts: bytes, size: tuple[int, int], new_size: tuple[int, int]) -> bytes:
    """Return a mask in COCO's run-length encoding for another ``(width, height)``.

    Raises:
        ValueError: it is not a mask of the size.
    """
    from PIL import Image

    pixels = _mask_pixels(counts, *size)
    return _mask_counts(np.asarray(Image.fromarray(pixels).resize(new_size, Image.Resampling.NEAREST)))


def _to_png(counts: bytes, image: LabelledImage) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(_mask_pixels(counts, image.width, image.height)).save(buffer, "PNG")
    return buffer.getvalue()


def _from_png(png: bytes, width: int, height: int) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        if image.size != (width, height):
            raise ValueError(f"a mask is {image.width} x {image.height}, and the image {width} x {height}")
        return _mask_counts(np.asarray(image) > 0)


def _mask_pixels(counts: bytes, width: int, height: int) -> np.ndarray:
    """Return a mask's pixels: uint8, shape (height, width), zeros and ones."""
    # pycocotools reads memory that is not its own where the runs are too short, so it is not asked.
    runs = _mask_runs(counts)
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"a mask has {sum(runs)} pixels in its runs, and the image {width * height}")
    ones = np.arange(len(runs)) % 2  # runs of zeros and of ones take turns, down the columns
    return np.ascontiguousarray(np.repeat(ones.astype(np.uint8), runs).reshape(width, height).T)


def _mask_runs(counts: bytes) -> list[int]:
    """Return the lengths of the runs, as rleFrString in pycocotools' common/maskApi.c reads them."""
    runs: list[int] = []
    value = shift = 0
    for letter in counts:
        bits = letter - 48
        if not 0 <= bits < 64:
            raise ValueError(f"a mask's counts have a byte {letter}")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (shift - 4)  # the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))  # from the fourth on, by how much it differs
            value = shift = 0
    return runs


def _mask_counts(pixels: np.ndarray) -> bytes:
    from pycocotools import mask

    return mask.encode(np.asfortranarray(pixels, np.uint8))["counts"]


# --- bytes ----------------------------------------------------------------------------------------
# Each feature is an entry of a map: its key, and a list of one of three kinds. Every level begins with the
# number of bytes that follow.


@functools.lru_cache(4096)
def _start(key: str, kind: int, size: int) -> bytes:
    """Return what stands before a list of so many bytes."""
    name = key.encode()
    feature = bytes((kind << 3 | 2,)) + _varint(size)
    value = b"\x12" + _varint(len(feature) + size) + feature
    entry = b"\x0a" + _varint(len(name)) + name + value
    return b"\x0a" + _varint(len(entry) + size) + entry


def _texts(key: str, texts: Sequence[bytes]) -> tuple[bytes, bytes]:
    content = b"".join(b"\x0a" + _varint(len(text)) + text for text in texts)
    return _start(key, BYTES, len(content)), content


def _boxes(image: LabelledImage) -> Iterator[bytes]:
    fractions_xyxy = as_fractions(image.boxes_xyxy, image.width, image.height)
    sides = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
    columns = np.concatenate((fractions_xyxy.T, sides[:, :1].T * sides[:, 1:].T)).astype("<f4", copy=False).tobytes()
    size = 4 * len(sides)
    for number, start in enumerate(_box_starts(size)):
        yield start
        yield columns[number * size : (number + 1) * size]


@functools.lru_cache(4096)
def _box_starts(size: int) -> list[bytes]:
    """Return what stands before each list of packed floats that says something of boxes."""
    inner = b"\x0a" + _varint(size)
    keys = [f"image/object/bbox/{corner}" for corner in _CORNERS] + ["image/object/area"]
    return [_start(key, FLOATS, len(inner) + size) + inner for key in keys]


@functools.lru_cache(4096)
def _size(width: int, height: int) -> bytes:
    return b"".join((*_whole_numbers("image/width", [width]), *_whole_numbers("image/height", [height])))


def _whole_numbers(key: str, numbers: Sequence[int]) -> tuple[bytes, bytes]:
    packed = b"".join(map(_varint, numbers))
    content = b"\x0a" + _varint(len(packed)) + packed
    return _start(key, INTS, len(content)), content


def _varint(value: int) -> bytes:
    return _SHORT[value] if value < 0x80 else bytes((value & 0x7F | 0x80,)) + _varint(value >> 7)


_SHORT = [bytes((value,)) for value in range(0x80)]
_FORMAT = b"".join(_texts("image/format", [b"jpeg"]))
