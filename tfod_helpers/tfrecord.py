"""One labelled image <-> one record of a TFRecord file, without TensorFlow.

A TFRecord file is a row of frames (length, its checksum, data, its checksum), described in
https://www.tensorflow.org/tutorials/load_data/tfrecord. The data of each is here an ``Example``,
a protocol buffer described in tensorflow/core/example/example.proto and feature.proto::

    Example { Features features = 1 }
    Features { map<string, Feature> feature = 1 }
    Feature { BytesList bytes_list = 1 | FloatList float_list = 2 | Int64List int64_list = 3 }

Only what `encode` writes can be read: lists of numbers are packed, and numbers are not negative.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import google_crc32c
import numpy as np

from tfod_helpers.annotations import LabelledImage, LabelMap

# The values of each key: a list of bytes, a float array, or an array of integers from 0 on.
_Features = Mapping[str, list[bytes] | np.ndarray]

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_BYTES, _FLOATS, _INTS = 1, 2, 3
_HEAD = 12  # bytes: the length and its checksum


class ThinBoxError(ValueError):
    """A box whose sides fall together in a record.

    Attributes:
        object: its number among the boxes of the image, from 1.
    """

    def __init__(self, object: int) -> None:
        super().__init__(object)
        self.object = object


def encode(image: LabelledImage, jpeg: bytes, number: int, label_map: LabelMap) -> bytes:
    """Return one record, ready to be appended to a TFRecord file.

    Args:
        image: its boxes, labels and name.
        jpeg: its picture, in the frame that the boxes are in.
        number: told apart by it from the other images of the dataset.
        label_map: the classes.

    Raises:
        ThinBoxError: a box is too thin to have two sides once it is in fractions of the image.
    """
    entries = [_field(1, _key(key), _feature(v)) for key, v in _features(image, jpeg, number, label_map).items()]
    example = _field(1, *entries)
    length = struct.pack("<Q", len(example))
    return b"".join((length, _masked_crc(length), example, _masked_crc(example)))


def read(path: Path) -> Iterator[LabelledImage]:
    """Read a TFRecord file image by image, the JPEGs in ``encoded``.

    Raises:
        ValueError: a record's checksum does not match, or the file ends inside it.
    """
    with path.open("rb") as file:
        for number in itertools.count(1):
            head = file.read(_HEAD)
            if not head:
                return
            whole = len(head) == _HEAD and _masked_crc(head[:8]) == head[8:]
            body = file.read(struct.unpack("<Q", head[:8])[0] + 4) if whole else b""
            if not whole or _masked_crc(body[:-4]) != body[-4:]:
                raise ValueError(f"{path}, record {number}: damaged or cut off. Write the records again.")
            yield _image(_decode(body[:-4]))


# --- a labelled image as the values that Model Garden's TfExampleDecoder reads ------------------


def _features(image: LabelledImage, jpeg: bytes, number: int, label_map: LabelMap) -> _Features:
    fractions = image.boxes_xyxy / _frame(image.width, image.height)
    thin = (fractions[:, 2:] <= fractions[:, :2]).any(axis=1)
    if thin.any():
        raise ThinBoxError(int(thin.argmax()) + 1)
    sides = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
    return {
        "image/encoded": [jpeg],
        "image/format": [b"jpeg"],
        "image/filename": [image.path.name.encode("utf-8", "surrogateescape")],
        "image/source_id": [str(number).encode()],  # Model Garden turns it into a number
        "image/width": np.array([image.width]),
        "image/height": np.array([image.height]),
        **{f"image/object/bbox/{corner}": column for corner, column in zip(_CORNERS, fractions.T, strict=True)},
        "image/object/area": sides[:, 0] * sides[:, 1],
        "image/object/class/label": image.labels,
        "image/object/class/text": [label_map.name(label).encode() for label in image.labels.tolist()],
        "image/object/is_crowd": np.zeros_like(image.labels),
    }


def _image(features: _Features) -> LabelledImage:
    width, height = int(features["image/width"][0]), int(features["image/height"][0])
    fractions = np.stack([features[f"image/object/bbox/{corner}"] for corner in _CORNERS], axis=-1)
    return LabelledImage(
        path=Path(features["image/filename"][0].decode("utf-8", "surrogateescape")),
        width=width,
        height=height,
        boxes_xyxy=fractions * _frame(width, height),
        labels=features["image/object/class/label"],
        encoded=features["image/encoded"][0],
    )


def _frame(width: int, height: int) -> np.ndarray:
    return np.array([width, height, width, height], np.float32)


# --- bytes -----------------------------------------------------------------------------------


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@functools.cache
def _key(key: str) -> bytes:
    return _field(1, key.encode())


def _feature(values: list[bytes] | np.ndarray) -> bytes:
    if isinstance(values, list):
        return _field(2, _field(_BYTES, *[_field(1, value) for value in values]))
    if values.dtype.kind == "f":
        return _field(2, _field(_FLOATS, _field(1, values.astype("<f4").tobytes())))
    return _field(2, _field(_INTS, _field(1, *map(_varint, values.tolist()))))


def _field(number: int, *contents: bytes) -> bytes:
    size = sum(map(len, contents))
    return b"".join((bytes((number << 3 | 2,)), _varint(size), *contents))  # 2: a length and so many bytes


def _varint(value: int) -> bytes:
    if value <= 0x7F:
        return bytes((value,))
    return bytes((value & 0x7F | 0x80,)) + _varint(value >> 7)


def _decode(example: bytes) -> _Features:
    ((_, entries),) = _fields(example)
    features: dict[str, list[bytes] | np.ndarray] = {}
    for _, entry in _fields(entries):
        (_, key), (_, feature) = _fields(entry)
        ((kind, content),) = _fields(feature)
        values = [value for _, value in _fields(content)]
        if kind == _FLOATS:
            features[key.decode()] = np.frombuffer(values[0], "<f4")
        else:
            features[key.decode()] = values if kind == _BYTES else _read_varints(values[0])
    return features


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(message):
        tag, start = _read_varint(message, start)
        length, start = _read_varint(message, start)
        yield tag >> 3, message[start : start + length]
        start += length


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return the number that starts at ``start``, and where the next thing starts."""
    value = shift = 0
    while True:
        byte = data[start]
        value |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return value, start


def _read_varints(packed: bytes) -> np.ndarray:
    values, start = [], 0
    while start < len(packed):
        value, start = _read_varint(packed, start)
        values.append(value)
    return np.array(values, np.int64)
