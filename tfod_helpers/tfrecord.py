"""Labelled images -> TFRecord files, and back, without TensorFlow.

A TFRecord file is a row of frames (length, its checksum, data, its checksum), described in
https://www.tensorflow.org/tutorials/load_data/tfrecord. The data of each is here an ``Example``,
a protocol buffer described in tensorflow/core/example/example.proto and feature.proto::

    Example { Features features = 1 }
    Features { map<string, Feature> feature = 1 }
    Feature { BytesList bytes_list = 1 | FloatList float_list = 2 | Int64List int64_list = 3 }

Only what `write` writes can be read: lists of numbers are packed, and numbers are not negative.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import multiprocessing
import os
import shutil
import signal
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, Problem

# The values of each key: a list of bytes, a float array, or an array of integers from 0 on.
_Features = Mapping[str, list[bytes] | np.ndarray]

_Outcomes = list[bytes | Problem]  # for each image what stands for its record, or what is wrong with it
_EncodeBatch = Callable[[range], _Outcomes]

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_BYTES, _FLOATS, _INTS = 1, 2, 3
_BATCH = 64  # images that one worker takes at once, where there are many
_WORTH_FORKING = 200  # images; fewer are done before the processes have started
_HEAD = 12  # bytes: the length and its checksum


def write(dataset: Dataset, folder: Path, shards: int, workers: int) -> tuple[list[int], list[Problem], str]:
    """Write a dataset, in its order, into TFRecord files named 00000, 00001, ...; bad images are left out.

    Args:
        dataset: what to write.
        folder: where to; it must be empty.
        shards: the number of files.
        workers: how many photos are read at once.

    Returns:
        The number of boxes of each image written, what is wrong with the others, and 8 hex digits
        that stand for the contents.
    """
    box_counts: list[int] = []
    problems: list[Problem] = []
    contents = hashlib.blake2b(digest_size=4)
    size = max(1, min(_BATCH, len(dataset) // (4 * workers)))
    bounds = itertools.pairwise(len(dataset) * shard // shards for shard in range(shards + 1))
    batches = [[range(at, min(at + size, end)) for at in range(start, end, size)] for start, end in bounds]
    outcomes = _in_order(functools.partial(_write_batch, dataset, folder), [*itertools.chain(*batches)], workers)
    bar = tqdm(total=len(dataset), desc="Writing records", unit="image", delay=1)
    with contextlib.closing(outcomes), bar:
        for shard, of_shard in enumerate(batches):
            with (folder / f"{shard:05d}").open("wb") as file:
                for batch in of_shard:
                    for number, outcome in zip(batch, next(outcomes), strict=True):
                        if isinstance(outcome, Problem):
                            problems.append(outcome)
                        else:
                            contents.update(outcome)
                            box_counts.append(len(dataset[number].labels))
                    _move_onto(file, _batch_path(folder, batch))
                    bar.update(len(batch))
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the new name on empty blocks
    return box_counts, problems, contents.hexdigest()


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


# --- photos to records, several at a time -------------------------------------------------------
# Small photos cost more Python than decoding, so threads would wait for each other, and forked processes
# take half the time. But a fork can hang where TensorFlow has threads of its own, and on other systems
# than Linux a new process would run the user's script again: there threads do it. Either way a batch goes
# to a file of its own, which costs less than handing its records over and keeps memory flat.


def _in_order(encode: _EncodeBatch, batches: list[range], workers: int) -> Iterator[_Outcomes]:
    forkable = sys.platform == "linux" and "tensorflow" not in sys.modules
    if forkable and workers > 1 and len(batches) > 1 and batches[-1].stop >= _WORTH_FORKING:
        yield from _by_processes(encode, batches, workers)
    else:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(encode, batches)


def _by_processes(encode: _EncodeBatch, batches: list[range], workers: int) -> Iterator[_Outcomes]:
    # When this process is killed its ends of the pipes close, and that ends the others too; the
    # processes of a ProcessPoolExecutor would wait for ever.
    context = multiprocessing.get_context("fork")
    readers, processes = [], []
    try:
        for number in range(workers):
            reader, writer = context.Pipe(duplex=False)
            readers.append(reader)
            processes.append(
                context.Process(target=_send, args=(writer, encode, batches[number::workers]), daemon=True)
            )
            processes[-1].start()
            writer.close()
        for number in range(len(batches)):
            outcomes = readers[number % workers].recv()
            if isinstance(outcomes, OSError):
                raise outcomes
            yield outcomes
    except EOFError:
        raise RuntimeError("A process that reads photos was ended from outside. Try again with workers=1.") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _send(writer: Connection, encode: _EncodeBatch, batches: list[range]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the process that asked for the records
    for batch in batches:
        try:
            outcomes: _Outcomes | OSError = encode(batch)
        except OSError as error:
            outcomes = error
        try:
            writer.send(outcomes)
        except BrokenPipeError:  # nobody reads any more
            return


def _write_batch(dataset: Dataset, folder: Path, batch: range) -> _Outcomes:
    """Write records to the batch's own file; return for each its length and checksum, or what is wrong."""
    outcomes: _Outcomes = []
    with _batch_path(folder, batch).open("wb") as file:
        for number in batch:
            record = _encode(dataset[number], number, dataset.label_map)
            if isinstance(record, Problem):
                outcomes.append(record)
            else:
                file.write(record)
                outcomes.append(record[:8] + record[-4:])
    return outcomes


def _batch_path(folder: Path, batch: range) -> Path:
    return folder / f"from-{batch.start}"


def _move_onto(file: BinaryIO, path: Path) -> None:
    with path.open("rb") as batch:
        shutil.copyfileobj(batch, file, 1 << 20)
    path.unlink()


def _encode(image: LabelledImage, number: int, label_map: LabelMap) -> bytes | Problem:
    """Read a photo and prove it whole; return its record, or what is wrong with the photo or a box."""
    try:
        jpeg = _jpeg(image)
    except photos.PhotoError as error:
        return Problem(str(image.path), "", error.what, "", error.fix)
    except FileNotFoundError:
        return Problem(str(image.path), "", "there is no such file", "", "Check the path.")
    except OSError as error:
        return Problem(str(image.path), "", f"cannot be read ({error})", "", "Check the file and its permissions.")
    fractions_xyxy = image.boxes_xyxy / _frame(image.width, image.height)
    thin = (fractions_xyxy[:, 2:] <= fractions_xyxy[:, :2]).any(axis=1)
    if thin.any():
        what = "the box is thinner than a record can hold"
        return Problem(str(image.path), f"object {thin.argmax() + 1}", what, "", "Fix the box or delete the object.")
    return _framed(_features(image, fractions_xyxy, jpeg, number, label_map))


def _jpeg(image: LabelledImage) -> bytes:
    """Return a whole JPEG in the frame that the boxes are in."""
    data = image.path.read_bytes() if image.encoded is None else image.encoded
    info = photos.prove_whole(data)
    width, height = info.width, info.height
    if not info.plain_jpeg:
        rgb = photos.to_rgb(data, (image.width, image.height))
        height, width = rgb.shape[:2]
        data = photos.to_jpeg(rgb)
    if (width, height) != (image.width, image.height):
        raise photos.PhotoError(
            str(image.path),
            f"the annotation says {image.width} x {image.height}, the image is {width} x {height}",
            "Correct the size in the annotation, or bring the image that belongs to it.",
        )
    return data


# --- a labelled image as the values that Model Garden's TfExampleDecoder reads ------------------


def _features(
    image: LabelledImage, fractions_xyxy: np.ndarray, jpeg: bytes, number: int, label_map: LabelMap
) -> _Features:
    sides = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
    return {
        "image/encoded": [jpeg],
        "image/format": [b"jpeg"],
        "image/filename": [image.path.name.encode("utf-8", "surrogateescape")],
        "image/source_id": [str(number).encode()],  # Model Garden turns it into a number
        "image/width": np.array([image.width]),
        "image/height": np.array([image.height]),
        **{f"image/object/bbox/{corner}": column for corner, column in zip(_CORNERS, fractions_xyxy.T, strict=True)},
        "image/object/area": sides[:, 0] * sides[:, 1],
        "image/object/class/label": image.labels,
        "image/object/class/text": [label_map.name(label).encode() for label in image.labels.tolist()],
        "image/object/is_crowd": np.zeros_like(image.labels),
    }


def _image(features: _Features) -> LabelledImage:
    width, height = int(features["image/width"][0]), int(features["image/height"][0])
    fractions_xyxy = np.stack([features[f"image/object/bbox/{corner}"] for corner in _CORNERS], axis=-1)
    return LabelledImage(
        path=Path(features["image/filename"][0].decode("utf-8", "surrogateescape")),
        width=width,
        height=height,
        boxes_xyxy=fractions_xyxy * _frame(width, height),
        labels=features["image/object/class/label"],
        encoded=features["image/encoded"][0],
    )


def _frame(width: int, height: int) -> np.ndarray:
    return np.array([width, height, width, height], np.float32)


# --- bytes -----------------------------------------------------------------------------------


def _framed(features: _Features) -> bytes:
    example = _field(1, *(_field(1, _key(key), _feature(values)) for key, values in features.items()))
    length = struct.pack("<Q", len(example))
    return b"".join((length, _masked_crc(length), example, _masked_crc(example)))


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
