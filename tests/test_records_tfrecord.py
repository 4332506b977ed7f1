"""TFRecord files: what any program wrote is read, what is damaged is named, and what we write comes back."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.records import tfrecord
from tfod_helpers.records.tfrecord import examples, frames, labelled

NAMES = [b"cat", "maçã".encode()]


# --- a second, slow and plain writer of protocol buffers, as https://protobuf.dev describes them ---------------


def varint(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    number &= 2**64 - 1
    groups = [number >> shift & 127 for shift in range(0, 70, 7)]
    while len(groups) > 1 and not groups[-1]:
        groups.pop()
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


def field(number: int, content: bytes) -> bytes:
    """A field that holds so many bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(key: str, feature: bytes) -> bytes:
    """One entry of the features' map."""
    return field(1, field(1, key.encode()) + field(2, feature))


def ints(*numbers: int, packed: bool = True) -> bytes:
    """A feature of integers."""
    loose = b"".join(varint(1 << 3) + varint(number) for number in numbers)
    return field(3, field(1, b"".join(map(varint, numbers))) if packed else loose)


def floats(*numbers: float, packed: bool = True) -> bytes:
    """A feature of floats."""
    each = [struct.pack("<f", number) for number in numbers]
    return field(2, field(1, b"".join(each)) if packed else b"".join(varint(1 << 3 | 5) + one for one in each))


def texts(*values: bytes) -> bytes:
    """A feature of bytes."""
    return field(1, b"".join(field(1, value) for value in values))


def as_example(*entries: bytes) -> bytes:
    """An example of these entries."""
    return field(1, b"".join(entries))


def written(path: Path, *data: bytes) -> Path:
    """A TFRecord file of these records."""
    path.write_bytes(b"".join(map(frames.frame, data)))
    return path


def labelled_image(masks: bool = False) -> LabelledImage:
    """An image of 7 x 5 pixels with a difficult cat and a crowd of apples, and a mask of each where wanted."""
    from pycocotools import mask

    pixels = np.zeros((5, 7, 2), np.uint8, "F")
    pixels[1:4, 2:6, 0] = pixels[4, :, 1] = 1
    counts = tuple(rle["counts"] for rle in mask.encode(pixels))
    boxes_xyxy = np.array([(2, 1, 6, 4), (0, 4, 7, 5)], np.float32)
    facts = {"encoded": b"a JPEG", "crowd": [False, True], "difficult": [True, False]}
    facts["masks"] = counts if masks else None
    return LabelledImage(Path("maçã.jpg"), 7, 5, boxes_xyxy, np.array([1, 2]), **facts)


# --- any program's examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "loose"])
def test_lists_are_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    """Integers, negative and of 64 bits, and floats are the same, one by one or packed into one field."""
    numbers = [0, 1, 127, 128, 300, 2**63 - 1, -1, -(2**63)]
    data = as_example(entry("i", ints(*numbers, packed=packed)), entry("f", floats(0.5, -1, 3e38, packed=packed)))
    (found,) = tfrecord.read_examples(written(tmp_path / "a", data))
    assert found["i"].tolist() == numbers
    assert found["i"].dtype == np.int64
    assert found["f"].tolist() == pytest.approx([0.5, -1, 3e38])
    assert found["f"].dtype == np.float32


def test_what_is_empty_or_missing_is_read(tmp_path: Path) -> None:
    """An empty list keeps its kind; a feature without a kind, an entry without a value or key, no features at all."""
    data = as_example(
        *(entry("i", ints()), entry("f", floats()), entry("b", texts()), entry("none", b"")),
        *(entry("loose", field(3, b"")), field(1, field(1, b"no value")), field(1, field(2, ints(5)))),
        entry("blank", texts(b"", b"x")),
    )
    found, *others = tfrecord.read_examples(written(tmp_path / "a", data, b"", field(1, b"")))
    assert others == [{}, {}]
    assert {key: value for key, value in found.items() if isinstance(value, list)} == {
        **{"b": [], "none": [], "no value": []},
        "blank": [b"", b"x"],
    }
    kinds = {key: (value.dtype.kind, value.tolist()) for key, value in found.items() if not isinstance(value, list)}
    assert kinds == {"i": ("i", []), "f": ("f", []), "loose": ("i", []), "": ("i", [5])}


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    """Fields that no version knows, of every wire type, are passed over at each level; of a repeated key the last."""
    unknown = varint(9 << 3) + varint(2**63) + varint(10 << 3 | 1) + bytes(8) + varint(11 << 3 | 5) + bytes(4)
    unknown += field(12, b"anything")
    feature = field(2, unknown + field(1, bytes(4))) + unknown + field(1, unknown + field(1, b"new"))
    within = field(1, unknown + field(1, b"key") + field(2, ints(1))) + unknown + entry("key", feature)
    (found,) = tfrecord.read_examples(written(tmp_path / "a", unknown + field(1, within) + unknown))
    assert found == {"key": [b"new"]}


def test_split_lists_are_joined(tmp_path: Path) -> None:
    """A list in several pieces, packed and not, is one list in their order, as protocol buffers merge them."""
    pieces = ints(1, 200) + ints(3, packed=False) + ints() + ints(-4)
    (found,) = tfrecord.read_examples(written(tmp_path / "a", as_example(entry("i", pieces))))
    assert found["i"].tolist() == [1, 200, 3, -4]


GZIP_TWICE = "gzip, in two pieces"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib, fast": lambda data: zlib.compress(data, 1),
    GZIP_TWICE: lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]) + bytes(7),
}


@pytest.mark.parametrize("how", PACK)
def test_compressed_files_are_read(tmp_path: Path, how: str) -> None:
    """GZIP and ZLIB files are known by their bytes, and one that is cut off or damaged is named."""
    noise = np.random.default_rng(0).bytes(300_000)
    data = [as_example(entry("b", texts(noise))), as_example(entry("b", texts(b"two")))]
    path = written(tmp_path / "a.tfrecord", *data)
    packed = PACK[how](path.read_bytes())
    path.write_bytes(packed)
    assert [found["b"] for found in tfrecord.read_examples(path)] == [[noise], [b"two"]]
    for bad in (packed[: len(packed) // 2], packed[:1000] + b"\x55" * 9 + packed[1009:]):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"a\.tfrecord, record 1: damaged or cut off"):
            list(tfrecord.read_examples(path))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    """A file of no bytes holds no records, as TensorFlow says too; one that is not there is not found."""
    assert list(tfrecord.read_examples(written(tmp_path / "a"))) == []
    with pytest.raises(FileNotFoundError):
        list(tfrecord.read_examples(tmp_path / "b"))


def test_damage_is_named_with_file_and_record(tmp_path: Path) -> None:
    """Each single changed byte and each cut is found, told with the file's name and the record's number."""
    path = written(tmp_path / "old.record", *(as_example(entry("i", ints(number))) for number in range(3)))
    whole = path.read_bytes()
    size = len(whole) // 3
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=rf"old\.record, record {place // size + 1}: damaged or cut off"):
            list(tfrecord.read_examples(path))
        if place % size:
            path.write_bytes(whole[:place])
            with pytest.raises(ValueError, match=rf"old\.record, record {place // size + 1}: damaged or cut off"):
                list(tfrecord.read_examples(path))


def test_the_error_comes_back_from_another_process() -> None:
    """An error about a record says the same after pickling, which is how it leaves a forked process."""
    error = tfrecord.DamagedError("a.record", 3, "cut")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).startswith("a.record, record 3: damaged")


def test_a_length_that_lies_takes_no_memory(tmp_path: Path) -> None:
    """A frame that says it has 2 GB, with a checksum that agrees, is cut off where the file ends, quickly."""
    for length in (2**31 - 1, 2**63):
        head = struct.pack("<Q", length)
        (tmp_path / "a").write_bytes(head + frames.masked_crc(head) + b"and no more")
        with pytest.raises(ValueError, match="a, record 1: damaged or cut off"):
            list(tfrecord.read_examples(tmp_path / "a"))


@given(st.binary(max_size=60))
@example(varint(1 << 3 | 2) + varint(2**62))
@example(b"\xff" * 11)
@example(field(1, varint(7 << 3 | 3)))
@example(as_example(entry("f", field(2, field(1, b"123")))))
@example(as_example(field(1, field(1, b"\xff"))))
@settings(deadline=None, max_examples=500)
def test_bytes_that_are_no_example_raise_valueerror_only(data: bytes) -> None:
    """Any bytes at all, and an example with any bytes put into it, are read or refused with a ValueError."""
    good = as_example(entry("image/width", ints(7)), entry("f", floats(1.5)), entry("b", texts(b"x")))
    for one in (data, good[: len(data)] + data + good[len(data) :], as_example(entry("k", data))):
        try:
            found = examples.parse(one)
        except ValueError:
            continue
        assert all(isinstance(key, str) for key in found)


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    """Records that hold no example, or one of another program, are told with file and number, not half read."""
    path = written(tmp_path / "text.record", b"just text")
    with pytest.raises(ValueError, match=r"text\.record, record 1: .*no tf\.train\.Example"):
        list(tfrecord.read_examples(path))
    path = written(tmp_path / "other.record", as_example(entry("image/width", ints(7))))
    with pytest.raises(ValueError, match=r"other\.record, record 1: .*no feature 'image/height'"):
        list(tfrecord.read(path))
    path = written(tmp_path / "odd.record", as_example(entry("image/width", ints()), entry("image/height", ints(7))))
    with pytest.raises(ValueError, match=r"odd\.record, record 1: damaged"):
        list(tfrecord.read(path))


def test_a_file_in_a_bucket_is_read(bucket: str, tmp_path: Path) -> None:
    """A gs:// file is read, and an error calls it by its address."""
    from tfod_helpers.files import storage

    path = written(tmp_path / "a", as_example(entry("i", ints(5))))
    storage.upload(path, f"{bucket}/a")
    assert [found["i"].tolist() for found in tfrecord.read_examples(f"{bucket}/a")] == [[5]]
    storage.write_bytes(f"{bucket}/a", path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{bucket}/a, record 1: damaged"):
        list(tfrecord.read_examples(f"{bucket}/a"))


# --- what we write ------------------------------------------------------------------------------------------------


def same(one: LabelledImage, other: LabelledImage) -> bool:
    """Whether two labelled images say the same; boxes within float32's last digit."""
    facts = [(image.path.name, image.width, image.height, image.encoded, image.masks) for image in (one, other)]
    return (
        facts[0] == facts[1]
        and np.allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=2e-7)
        and one.labels.tolist() == other.labels.tolist()
        and one.crowd.tolist() == other.crowd.tolist()
        and one.difficult.tolist() == other.difficult.tolist()
    )


@pytest.mark.parametrize("masks", [False, True])
def test_a_labelled_image_comes_back(tmp_path: Path, masks: bool) -> None:
    """Names in any script, boxes, labels, crowds, difficult ones and masks are read back as they were written."""
    image = labelled_image(masks)
    bare = LabelledImage(
        Path("b.jpg"), 300, 5, np.zeros((0, 4)), [], encoded=b"\0" * 70_000, masks=() if masks else None
    )
    path = written(tmp_path / "a", *(labelled.serialize(one, one.encoded, 12, NAMES) for one in (image, bare)))
    back = list(tfrecord.read(path))
    assert len(back) == 2
    assert same(back[0], image)
    assert same(back[1], bare)


@given(st.lists(st.tuples(*[st.integers(0, 4000)] * 4), max_size=200), st.integers(0, 2**53), st.integers(0, 20_000))
@settings(deadline=None, max_examples=50)
def test_what_we_write_is_what_protocol_buffers_say(
    corners: Sequence[tuple[int, int, int, int]], source_id: int, size: int
) -> None:
    """The bytes are those of a plain writer, always in the same order, whatever the lengths."""
    boxes_xyxy = [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 2) for a, b, c, d in corners]
    labels = [1 + number % 2 for number in range(len(boxes_xyxy))]
    image = LabelledImage(Path("a.jpg"), 4001, 4002, np.array(boxes_xyxy), labels)
    fractions = labelled.as_fractions(image.boxes_xyxy, 4001, 4002)
    sides = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
    # Sorted by key; a list without values has its kind and nothing else.
    features = {
        "image/encoded": texts(b"j" * size),
        "image/filename": texts(b"a.jpg"),
        "image/format": texts(b"jpeg"),
        "image/height": ints(4002),
        "image/object/area": floats(*sides.prod(axis=1)) if labels else field(2, b""),
        **{
            f"image/object/bbox/{corner}": floats(*fractions[:, at]) if labels else field(2, b"")
            for corner, at in (("xmax", 2), ("xmin", 0), ("ymax", 3), ("ymin", 1))
        },
        "image/object/class/label": ints(*labels) if labels else field(3, b""),
        "image/object/class/text": texts(*(NAMES[label - 1] for label in labels)),
        "image/object/difficult": ints(*([0] * len(labels))) if labels else field(3, b""),
        "image/object/is_crowd": ints(*([0] * len(labels))) if labels else field(3, b""),
        "image/source_id": texts(str(source_id).encode()),
        "image/width": ints(4001),
    }
    plain = as_example(*(entry(key, feature) for key, feature in features.items()))
    assert labelled.serialize(image, b"j" * size, source_id, NAMES) == plain


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    """A mask that is not of the image's size is told, when it is written and when it is read."""
    image = labelled_image(masks=True)
    data = labelled.serialize(image, b"", 1, NAMES)
    narrow = data.replace(entry("image/width", ints(7)), entry("image/width", ints(8)))
    assert narrow != data
    with pytest.raises(ValueError, match=r"record 1: .*a mask is 7 x 5, and the image 8 x 5"):
        list(tfrecord.read(written(tmp_path / "a", narrow)))
    for broken in (b"", b"0" * 9, b"zzz", b"PPPP100", b"\xff\xfe", image.masks[0][:-1]):
        faulty = LabelledImage(image.path, 7, 5, image.boxes_xyxy, image.labels, masks=(image.masks[0], broken))
        with pytest.raises(ValueError, match=r"a mask|run-length|cut off"):
            labelled.serialize(faulty, b"", 1, NAMES)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(deadline=None, max_examples=100)
def test_masks_are_what_pycocotools_says(width: int, height: int, seed: int, share: float) -> None:
    """A mask of any size and any pixels becomes the pixels that pycocotools encoded."""
    from pycocotools import mask

    pixels = np.asfortranarray(np.random.default_rng(seed).random((height, width)) < share, np.uint8)
    counts = mask.encode(pixels)["counts"]
    boxes_xyxy = np.array([(0, 0, width, height)], np.float32)
    image = LabelledImage(Path("a.jpg"), width, height, boxes_xyxy, [1], masks=(counts,))
    values = examples.parse(labelled.serialize(image, b"", 1, NAMES))
    with Image.open(io.BytesIO(values["image/object/mask"][0])) as png:
        np.testing.assert_array_equal(np.asarray(png), pixels)
    assert labelled.to_labelled_image(values).masks == (counts,)


def test_a_mask_is_scaled_with_its_image() -> None:
    """A mask scaled to a smaller image covers the same part of it."""
    from pycocotools import mask

    pixels = np.zeros((40, 60), np.uint8, "F")
    pixels[10:30, 15:45] = 1
    counts = labelled.resize_mask(mask.encode(pixels)["counts"], (60, 40), (30, 20))
    small = mask.decode({"size": [20, 30], "counts": counts})
    assert small[5:15, 7:22].sum() >= 0.9 * small.sum() > 0.9 * 0.9 * 150


@pytest.mark.tensorflow
@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_tensorflow_wrote_it(tmp_path: Path, compression: str) -> None:
    """What TensorFlow's own writer and protocol buffers make is read value by value."""
    import tensorflow as tf

    rng = random.Random(0)
    values = [[rng.randrange(-(2**63), 2**63) for _ in range(count)] for count in (0, 1, 5, 300)]
    with tf.io.TFRecordWriter(str(tmp_path / "a"), compression) as writer:
        for numbers in values:
            features = {
                "i": tf.train.Feature(int64_list=tf.train.Int64List(value=numbers)),
                "f": tf.train.Feature(float_list=tf.train.FloatList(value=[number / 3 for number in numbers])),
                "b": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"%d" % number for number in numbers])),
                "none": tf.train.Feature(),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    found = list(tfrecord.read_examples(tmp_path / "a"))
    assert len(found) == len(values)
    for one, numbers in zip(found, values, strict=True):
        assert one["i"].tolist() == numbers
        np.testing.assert_array_equal(one["f"], np.array([number / 3 for number in numbers], np.float32))
        assert one["b"] == [b"%d" % number for number in numbers]
        assert one["none"] == []


@pytest.mark.tensorflow
def test_model_garden_reads_crowds_and_masks() -> None:
    """Model Garden's own decoder finds the crowd flags, and masks of zeros and ones with the right pixels."""
    from official.vision.dataloaders.tf_example_decoder import TfExampleDecoder
    from pycocotools import mask

    image = labelled_image(masks=True)
    buffer = np.zeros((5, 7, 3), np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(buffer).save(jpeg, "JPEG")
    data = labelled.serialize(image, jpeg.getvalue(), 12, NAMES)
    found = TfExampleDecoder(include_mask=True).decode(data)
    assert found["groundtruth_is_crowd"].numpy().tolist() == [False, True]
    expected = [mask.decode({"size": [5, 7], "counts": counts}) for counts in image.masks]
    np.testing.assert_array_equal(found["groundtruth_instance_masks"].numpy(), expected)
