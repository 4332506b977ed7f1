"""TFRecord files -> their examples or labelled images; and the bytes of one record, all without TensorFlow.

`frames` knows the file format, `examples` the protocol buffer in it as any program may have written
it, and `labelled` the features that Model Garden reads and `records.write` writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.records.tfrecord.examples import is_sequence, read_examples
from tfod_helpers.records.tfrecord.frames import DamagedError, is_records
from tfod_helpers.records.tfrecord.labelled import to_labelled_image

__all__ = ["DamagedError", "is_records", "is_sequence", "read", "read_examples"]


def read(path: str | os.PathLike[str]) -> Iterator[LabelledImage]:
    """Read a file that `records.write` wrote image by image, the JPEGs in ``encoded``.

    Args:
        path: the file, local or ``gs://``.

    Raises:
        ValueError: a record's checksum does not match, the file ends inside it, or it holds another
            program's features; the message names the file and the record.
        FileNotFoundError: there is no such file.
    """
    for number, values in enumerate(read_examples(path), start=1):
        try:
            yield to_labelled_image(values)
        except KeyError as error:
            why = f"it has no feature {error}, so records.write did not make it"
            raise DamagedError(path, number, why) from None
        except (ValueError, IndexError, OSError) as error:
            raise DamagedError(path, number, str(error)) from None
