"""Existing TFRecords: what this package, old scripts and TensorFlow itself wrote is read; what is broken is told."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import datasets, jpeg
from hypothesis import HealthCheck, given, settings

from tfod_helpers import records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import tfrecord_files
from tfod_helpers.problems import DatasetError

JPEG = jpeg(40, 30)


def features(**changes: Any) -> dict[str, Any]:
    """What the old tutorials' script wrote of one photo of 40 x 30 with a dog and a cat."""
    values = {
        "image/height": [30],
        "image/width": [40],
        "image/filename": [b"a.jpg"],
        "image/source_id": [b"a.jpg"],
        "image/encoded": [JPEG],
        "image/format": [b"jpg"],
        "image/object/bbox/xmin": [0.25, 0.0],
        "image/object/bbox/xmax": [0.75, 0.5],
        "image/object/bbox/ymin": [0.5, 0.0],
        "image/object/bbox/ymax": [1.0, 1.0],
        "image/object/class/text": [b"dog", b"cat"],
        "image/object/class/label": [2, 1],
    }
    return values | {f"image/{key.replace('__', '/')}": value for key, value in changes.items()}


def example(values: dict[str, Any]) -> bytes:
    """A serialized tf.train.Example, made by TensorFlow."""
    import tensorflow as tf

    def feature(value: list[Any]) -> tf.train.Feature:
        if value and isinstance(value[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
        if value and isinstance(value[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=value))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))

    made = {key: feature(value) for key, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def write(path: Path, *images: dict[str, Any]) -> Path:
    """A record file written by TensorFlow's own writer."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for values in images:
            writer.write(example(values))
    return path


@pytest.mark.tensorflow
def test_old_records_are_read(tmp_path: Path) -> None:
    """Boxes are in pixels, classes numbered as in the records, photos in a folder beside."""
    dataset = tfrecord_files.read(write(tmp_path / "train.record", features()))
    (image,) = dataset
    assert image.boxes_xyxy.tolist() == [[10, 15, 30, 30], [0, 0, 20, 30]]
    assert image.labels.tolist() == [2, 1]
    assert dataset.label_map == LabelMap(["cat", "dog"])
    assert image.path == tmp_path / "train_photos" / "a.jpg"
    assert image.path.read_bytes() == JPEG
    assert image.split == "train"


@pytest.mark.tensorflow
def test_all_shards_of_a_set_are_read_and_sets_told_apart(tmp_path: Path) -> None:
    """Given one shard or the folder, the set's shards are read together; another set is another split."""
    for number in range(2):
        one = features(filename=[f"{number}.jpg".encode()])
        write(tmp_path / f"pet_train.record-0000{number}-of-00002", one)
    write(tmp_path / "pet_val.tfrecord", features(filename=[b"v.jpg"]))
    assert len(tfrecord_files.read(tmp_path / "pet_train.record-00000-of-00002")) == 2
    parts = tfrecord_files.read(tmp_path).splits()
    assert {name: [image.path.name for image in part] for name, part in parts.items()} == {
        "train": ["0.jpg", "1.jpg"],
        "val": ["v.jpg"],
    }


@pytest.mark.tensorflow
def test_ids_without_names_need_the_label_map(tmp_path: Path) -> None:
    """Where records hold ids alone, the label map names them by its own ids, even with gaps."""
    path = write(tmp_path / "x.record", features(object__class__text=[], object__class__label=[18, 3]))
    with pytest.raises(DatasetError, match="record 1, object 1: its class is 18, and no name is known for it"):
        tfrecord_files.read(path)
    (tmp_path / "map.pbtxt").write_text("item { id: 3 name: 'car' } item { id: 18 name: 'dog' }")
    dataset = tfrecord_files.read(path, label_map=tmp_path / "map.pbtxt")
    assert dataset.label_map == LabelMap(["car", "dog"])
    assert dataset[0].labels.tolist() == [2, 1]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"object__bbox__xmax": [30.0, 20.0]}, "is in pixels, not in fractions of the image"),
        ({"object__bbox__xmax": [0.75]}, "its lists have different lengths"),
        ({"object__bbox__xmax": [0.2, 0.5]}, "xmax 8 is not right of xmin 10"),
        ({"object__class__text": [b"", b"cat"], "object__class__label": []}, "a class name must be a text"),
        ({"width": [41]}, "the size 41 x 30 is not that of a.jpg, 40 x 30"),
        ({"encoded": [b"no image"]}, "x.record, record 1: not an image that can be read"),
        ({"encoded": []}, "x.record, record 1: the file is empty"),
    ],
)
def test_broken_records_are_told(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Each mistake is an error that names file and record; with skip, the rest is read."""
    path = write(tmp_path / "x.record", features(**changes), features(filename=[b"b.jpg"]))
    with pytest.raises(DatasetError) as error:
        tfrecord_files.read(path)
    assert told in str(error.value)
    assert "b.jpg" in {image.path.name for image in tfrecord_files.read(path, on_problem="skip")}


@pytest.mark.tensorflow
def test_names_never_lead_out_of_the_folder_and_never_collide(tmp_path: Path) -> None:
    """A photo's name is only its last part, and two photos of one name get two files."""
    names = [b"../../evil.jpg", b"C:\\x\\evil.jpg", b"", b"a/b/c.png"]
    path = write(tmp_path / "x.record", *(features(filename=[name], source_id=[b""]) for name in names))
    found = sorted(image.path.name for image in tfrecord_files.read(path))
    assert found == ["c.jpg", "evil-000001.jpg", "evil.jpg", "x_000002.jpg"]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["x.record", "x_photos"]


@pytest.mark.tensorflow
def test_the_model_gardens_own_writer_is_read(tmp_path: Path) -> None:
    """What create_coco_tf_record makes of a COCO file is read back: boxes, crowds and classes."""
    from official.vision.data import create_coco_tf_record, tfrecord_lib

    (tmp_path / "a.jpg").write_bytes(JPEG)
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    annotation = {"id": 7, "image_id": 1, "category_id": 3, "bbox": [4, 3, 20, 15], "area": 300, "iscrowd": 1}
    made, _ = create_coco_tf_record.create_tf_example(
        image, [str(tmp_path)], bbox_annotations=[annotation], id_to_name_map={3: "car"}
    )
    values = tfrecord_lib.tf.train.Example.FromString(made.SerializeToString())
    with tfrecord_lib.tf.io.TFRecordWriter(str(tmp_path / "x.tfrecord")) as writer:
        writer.write(values.SerializeToString())
    (read,) = tfrecord_files.read(tmp_path / "x.tfrecord")
    assert read.boxes_xyxy.tolist() == [pytest.approx([4, 3, 24, 18], abs=1e-4)]
    assert read.crowd.tolist() == [True]


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(datasets(crowds=True, difficult=True))
def test_round_trip_through_records(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> None:
    """What records.write wrote comes back, but for the last digit of the boxes and classes that nothing has."""
    folder = tmp_path_factory.mktemp("round")
    records.write(dataset, folder / "train")
    found = tfrecord_files.read(folder)
    names = {image.path.stem: image for image in found}
    for image in dataset:
        other = names[image.path.stem]
        assert np.allclose(other.boxes_xyxy, image.boxes_xyxy, atol=1e-4)
        assert [found.label_map.name(label) for label in other.labels.tolist()] == [
            dataset.label_map.name(label) for label in image.labels.tolist()
        ]
        assert other.crowd.tolist() == image.crowd.tolist()
        assert other.difficult.tolist() == image.difficult.tolist()


def test_compressed_and_damaged_files(tmp_path: Path) -> None:
    """A gzipped file is read; of one that is cut short, what is whole is, and the rest is told."""
    images = tuple(LabelledImage(Path(f"{n}.jpg"), 40, 30, [[1, 1, 9, 9]], [1], encoded=JPEG) for n in range(3))
    made = records.write(Dataset(images, LabelMap(["cat"])), tmp_path / "made" / "train")
    data = made.files[0].read_bytes()
    (tmp_path / "whole.tfrecord.gz").write_bytes(gzip.compress(data))
    assert len(tfrecord_files.read(tmp_path / "whole.tfrecord.gz")) == 3
    (tmp_path / "cut.tfrecord").write_bytes(data[: len(data) - 100])
    with pytest.raises(DatasetError, match=r"cut\.tfrecord: it cannot be read to its end"):
        tfrecord_files.read(tmp_path / "cut.tfrecord")
    assert len(tfrecord_files.read(tmp_path / "cut.tfrecord", on_problem="skip")) == 2


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A folder without records is not claimed, and one that holds other files is never written over."""
    (tmp_path / "a.txt").write_text("x")
    assert tfrecord_files.FORMAT.find(tmp_path) == []
    with pytest.raises(DatasetError, match="there are no TFRecord files"):
        tfrecord_files.read(tmp_path)
    (tmp_path / "x.record").write_bytes(b"")
    (tmp_path / "x_photos").mkdir()
    (tmp_path / "x_photos" / "mine.jpg").write_bytes(JPEG)
    with pytest.raises(FileExistsError, match="there are files here already"):
        tfrecord_files.read(tmp_path / "x.record")
