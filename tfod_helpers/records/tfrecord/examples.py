"""``tf.train.Example``, the protocol buffer that TFRecord files hold -> its values, whoever wrote it.

It is described in tensorflow/core/example/example.proto and feature.proto::

    Example { Features features = 1 }
    Features { map<string, Feature> feature = 1 }
    Feature { BytesList bytes_list = 1 | FloatList float_list = 2 | Int64List int64_list = 3 }

and its encoding in https://protobuf.dev/programming-guides/encoding: lists of numbers may be packed
or not, a negative integer has ten bytes, and a field that is not known is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from tfod_helpers.files import storage
from tfod_helpers.records.tfrecord.frames import DamagedError, read_frames

Values = dict[str, list[bytes] | np.ndarray]

BYTES, FLOATS, INTS = 1, 2, 3  # the fields of a Feature
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # https://protobuf.dev/programming-guides/encoding/#structure
_FIXED_SIZES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}


def read_examples(path: str | os.PathLike[str]) -> Iterator[Values]:
    """Read each example of a TFRecord file, plain or compressed, that any program wrote.

    Args:
        path: the file, local or ``gs://``.

    Yields:
        The values of each key: a list of bytes, a float32 array or an int64 array, of shape (n,). A
        feature without values is an empty list or array; one without even a kind is an empty list.

    Raises:
        ValueError: a record is damaged, or holds no example; the message names the file and the record.
        FileNotFoundError: there is no such file.
    """
    with storage.local_copy(path) as local:
        for number, data in enumerate(read_frames(local, path), start=1):
            try:
                yield parse(data)
            except ValueError as error:
                raise DamagedError(path, number, f"it is no tf.train.Example: {error}") from None


def parse(example: bytes) -> Values:
    """Return the values of each key of one serialized example, as `read_examples` does.

    Raises:
        ValueError: the bytes are no example.
    """
    values: Values = {}
    for _, features in _messages(memoryview(example), (1,)):
        for _, entry in _messages(features, (1,)):
            key, feature = "", memoryview(b"")
            for number, content in _messages(entry, (1, 2)):
                if number == 1:
                    key = str(content, "utf-8")
                else:
                    feature = content
            values[key] = _values(feature)
    return values


def _values(feature: memoryview) -> list[bytes] | np.ndarray:
    kind, lists = BYTES, []
    for number, content in _messages(feature, (BYTES, FLOATS, INTS)):
        if number != kind:  # of several kinds the last one counts; lists of one kind are joined
            kind, lists = number, []
        lists.append(content)
    if kind == BYTES:
        return [bytes(value) for content in lists for _, value in _messages(content, (1,))]
    if kind == FLOATS:
        return np.frombuffer(b"".join(map(_packed_floats, lists)), "<f4").astype(np.float32, copy=False)
    arrays = [_integers(content) for content in lists]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _packed_floats(content: memoryview) -> bytes:
    wires = (_LENGTH, _FOUR_BYTES)
    floats = b"".join(bytes(value) for number, wire, value in _fields(content) if number == 1 and wire in wires)
    if len(floats) % 4:
        raise ValueError("a list of floats ends inside a number")
    return floats


def _integers(content: memoryview) -> np.ndarray:
    parts = []
    for number, wire, value in _fields(content):
        if number == 1 and wire == _LENGTH:
            parts.append(_packed_integers(value))
        elif number == 1 and wire == _VARINT:
            parts.append(np.array([value], np.uint64))
    joined = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.uint64), *parts])
    return joined.view(np.int64)  # negative numbers come as their two's complement


def _packed_integers(packed: memoryview) -> np.ndarray:
    small = np.frombuffer(packed, np.uint8)
    if not (small & 0x80).any():  # each is below 128, and a byte of its own
        return small.astype(np.uint64)
    numbers, at = [], 0
    while at < len(packed):
        number, at = _read_varint(packed, at)
        numbers.append(number)
    return np.array(numbers, np.uint64)


def _messages(message: memoryview, wanted: tuple[int, ...]) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and content of each field that is wanted and holds a length and so many bytes."""
    for number, wire, value in _fields(message):
        if number in wanted and wire == _LENGTH:
            yield number, value


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yield each field's number, wire type and value: an integer, or the bytes."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _read_varint(message, at)
            yield number, wire, value
            continue
        if wire == _LENGTH:
            size, at = _read_varint(message, at)
        elif wire in _FIXED_SIZES:
            size = _FIXED_SIZES[wire]
        else:  # groups, which no version of Example had, and what protocol buffers do not know
            raise ValueError(f"byte {at} begins a field of wire type {wire}")
        if at + size > len(message):
            raise ValueError(f"a field says {size} bytes, and {len(message) - at} are left")
        yield number, wire, message[at : at + size]
        at += size


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that starts at ``at``, and where the next thing starts."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number has more than ten bytes")
