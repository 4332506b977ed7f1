"""``tf.train.Example``, the message that TFRecord files hold: its bytes -> its values, and back, without TensorFlow.

The messages are those of tensorflow/core/example/example.proto and feature.proto. They are registered in a pool of
their own, so that TensorFlow can register the same names in the same process.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.files import storage
from tfod_helpers.records.tfrecord.frames import DamagedError, read_frames

_FEATURE_LISTS = 2  # the field that only a SequenceExample has
Values = dict[str, list[bytes] | np.ndarray]

_PROTO = """
name: "example.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 oneof_index: 0 type: TYPE_MESSAGE type_name: "BytesList" }
  field { name: "float_list" number: 2 oneof_index: 0 type: TYPE_MESSAGE type_name: "FloatList" }
  field { name: "int64_list" number: 3 oneof_index: 0 type: TYPE_MESSAGE type_name: "Int64List" }
}
message_type {
  name: "Features"
  nested_type {
    name: "FeatureEntry"
    options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: "Feature" }
  }
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: "FeatureEntry" }
}
message_type { name: "Example" field { name: "features" number: 1 type: TYPE_MESSAGE type_name: "Features" } }
"""


@functools.cache
def example_class() -> Any:
    """Return the class of the message; protocol buffers are loaded here, not before they are needed."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


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
                raise DamagedError(path, number, str(error)) from None


def is_sequence(path: Path) -> bool:
    """Whether a file's first record is a ``tf.train.SequenceExample``, which reads as an example with less in it."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    first = next(read_frames(path), b"")
    unknown: Any = UnknownFieldSet(example_class().FromString(first))
    return any(field.field_number == _FEATURE_LISTS for field in unknown)


def parse(example: bytes) -> Values:
    """Return the values of each key of one serialized example, as `read_examples` does.

    Raises:
        ValueError: the bytes are no example.
    """
    from google.protobuf.message import DecodeError

    try:
        features = example_class().FromString(example).features.feature
    except DecodeError as error:
        raise ValueError(f"it is no tf.train.Example: {error}") from None
    return {key: _values(feature) for key, feature in features.items()}


def _values(feature: Any) -> list[bytes] | np.ndarray:
    kind = feature.WhichOneof("kind")
    if kind == "float_list":
        return np.array(list(feature.float_list.value), np.float32)
    if kind == "int64_list":
        return np.array(list(feature.int64_list.value), np.int64)
    return list(feature.bytes_list.value)


def serialize(values: Values) -> bytes:
    """Return an example with these values: bytes, float32 or whole numbers; the same bytes for the same values."""
    example = example_class()()
    features = example.features.feature
    for key, value in values.items():
        if isinstance(value, list):
            kind, several = features[key].bytes_list, value
        elif value.dtype == np.float32:
            kind, several = features[key].float_list, value.tolist()
        else:
            kind, several = features[key].int64_list, value.tolist()
        kind.SetInParent()  # an empty list has a kind too
        kind.value.extend(several)
    return example.SerializeToString(deterministic=True)  # sorted by key
