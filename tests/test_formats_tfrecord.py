"""Existing TFRecords: what this package, old scripts and TensorFlow itself wrote is read; what is broken is told."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import datasets, jpeg
from hypothesis import HealthCheck, given, settings

from tfod_helpers import formats, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import tfrecord
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError, Problem
from tfod_helpers.records.tfrecord.examples import serialize
from tfod_helpers.records.tfrecord.frames import frame

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
    dataset = tfrecord.read(write(tmp_path / "train.record", features()))
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
    assert len(tfrecord.read(tmp_path / "pet_train.record-00000-of-00002")) == 2
    parts = tfrecord.read(tmp_path).splits()
    assert {name: [image.path.name for image in part] for name, part in parts.items()} == {
        "train": ["0.jpg", "1.jpg"],
        "val": ["v.jpg"],
    }


@pytest.mark.tensorflow
def test_ids_without_names_need_the_label_map(tmp_path: Path) -> None:
    """Where records hold ids alone, the label map names them by its own ids, even with gaps."""
    path = write(tmp_path / "x.record", features(object__class__text=[], object__class__label=[18, 3]))
    with pytest.raises(DatasetError, match="record 1, object 1: its class is 18, and no name is known for it"):
        tfrecord.read(path)
    (tmp_path / "map.pbtxt").write_text("item { id: 3 name: 'car' } item { id: 18 name: 'dog' }")
    dataset = tfrecord.read(path, label_map=tmp_path / "map.pbtxt")
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
        ({"width": [44]}, "the size 44 x 30 is not that of a.jpg, 40 x 30"),
        ({"encoded": [b"no image"]}, "x.record, record 1: not an image that can be read"),
        ({"encoded": []}, "x.record, record 1: the file is empty"),
    ],
)
def test_broken_records_are_told(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Each mistake is an error that names file and record; with skip, the rest is read."""
    path = write(tmp_path / "x.record", features(**changes), features(filename=[b"b.jpg"]))
    with pytest.raises(DatasetError) as error:
        tfrecord.read(path)
    assert told in str(error.value)
    assert "b.jpg" in {image.path.name for image in tfrecord.read(path, on_problem="skip")}


@pytest.mark.tensorflow
def test_names_never_lead_out_of_the_folder_and_never_collide(tmp_path: Path) -> None:
    """A photo's name is only its last part, and two photos of one name get two files."""
    names = [b"../../evil.jpg", b"C:\\x\\evil.jpg", b"", b"a/b/c.png"]
    path = write(tmp_path / "x.record", *(features(filename=[name], source_id=[b""]) for name in names))
    found = sorted(image.path.name for image in tfrecord.read(path))
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
    (read,) = tfrecord.read(tmp_path / "x.tfrecord")
    assert read.boxes_xyxy.tolist() == [pytest.approx([4, 3, 24, 18], abs=1e-4)]
    assert read.crowd.tolist() == [True]


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(datasets(crowds=True, difficult=True))
def test_round_trip_through_records(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> None:
    """What records.write wrote comes back, but for the last digit of the boxes and classes that nothing has."""
    folder = tmp_path_factory.mktemp("round")
    records.write(dataset, folder / "train")
    found = tfrecord.read(folder)
    names = {image.path.stem: image for image in found}
    for image in dataset:
        other = names[image.path.stem]
        assert np.allclose(other.boxes_xyxy, image.boxes_xyxy, atol=1e-4)
        assert [found.label_map.name(label) for label in other.labels.tolist()] == [
            dataset.label_map.name(label) for label in image.labels.tolist()
        ]
        assert other.crowd.tolist() == image.crowd.tolist()
        assert other.difficult.tolist() == image.difficult.tolist()


# --- sets of shards -------------------------------------------------------------------------------


def put(path: Path, *names: str, ids: dict[str, int] | None = None, texts: bool = True, **changes: Any) -> Path:
    """A record file without TensorFlow: for each name ``a.jpg:cat`` a photo with one box of that class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = []
    for name in names:
        file, _, label = name.partition(":")
        class_values = {"image/object/class/text": [label.encode()]} if texts else {}
        if ids:
            class_values["image/object/class/label"] = np.array([ids[label]])
        corners = zip(("xmin", "ymin", "xmax", "ymax"), (0.25, 0.5, 0.75, 1.0), strict=True)
        boxes = {f"image/object/bbox/{corner}": np.array([value], np.float32) for corner, value in corners}
        size = {"image/width": np.array([40]), "image/height": np.array([30])}
        values = {"image/encoded": [JPEG], "image/filename": [file.encode()]} | size | boxes | class_values | changes
        frames.append(frame(serialize({key: value for key, value in values.items() if value is not None})))
    path.write_bytes(b"".join(frames))
    return path


@pytest.mark.parametrize(
    ("key", "crowd", "difficult"),
    [("is_crowd", True, False), ("group_of", True, False), ("difficult", False, True), ("truncated", False, False)],
)
def test_marks_of_the_object_detection_api(key: str, crowd: bool, difficult: bool, tmp_path: Path) -> None:
    """A crowd, a group of Open Images and a difficult object are known as such; a column of another length is none."""
    one, all_of_it = {f"image/object/{key}": np.array([1])}, {f"image/object/{key}": np.array([1, 0])}
    (image,) = tfrecord.read(put(tmp_path / "a.tfrecord", "a.jpg:cat", **one))
    assert (image.crowd.tolist(), image.difficult.tolist()) == ([crowd], [difficult])
    (image,) = tfrecord.read(put(tmp_path / "b.tfrecord", "b.jpg:cat", **all_of_it))
    assert not (image.crowd | image.difficult).any()


def read_classes(dataset: Dataset) -> dict[str, str]:
    """The class of each photo's one box, by the photo's name."""
    return {image.path.name: dataset.label_map.name(int(image.labels[0])) for image in dataset}


def problems_of(path: Path) -> list[Problem]:
    """What is told of a folder under skip; with raise, its errors are raised."""
    found = formats.read(path, on_problem="skip").problems
    if any(problem.severity == "error" for problem in found):
        with pytest.raises(DatasetError) as caught:
            formats.read(path)
        assert {problem.what for problem in caught.value.problems} >= {
            problem.what for problem in found if problem.severity == "error"
        }
    return list(found)


@pytest.mark.parametrize(
    "name",
    ["train-{}-of-00003.tfrecord", "train.record-{}-of-00003", "Train-{}-of-00003", "x_train.tfrecord-{}-of-00003"],
)
def test_a_missing_shard_is_named(name: str, tmp_path: Path) -> None:
    """Shards that are not there are an error that names them; with skip, the others are read."""
    put(tmp_path / "data" / name.format("00000"), "a.jpg:cat")
    put(tmp_path / "data" / name.format("00002"), "c.jpg:cat")
    for path in (tmp_path / "data", tmp_path / "data" / name.format("00002")):
        (problem,) = problems_of(path)
        assert "1 of its 3 shards are missing: 00001-of-00003" in problem.what
        assert problem.kind == "shard missing"
    dataset = formats.read(tmp_path / "data", on_problem="skip")
    assert sorted(read_classes(dataset)) == ["a.jpg", "c.jpg"]
    assert {image.split.lower() for image in dataset} == {"train"}


def test_shards_counted_from_one_are_whole(tmp_path: Path) -> None:
    """Some programs count 1 of 2, 2 of 2; and checkpoints, which are sharded too, are no records."""
    put(tmp_path / "a-1-of-2.tfrecord", "a.jpg:cat")
    put(tmp_path / "a-2-of-2.tfrecord", "b.jpg:cat")
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes(100))
    assert len(formats.read(tmp_path)) == 2


def test_shards_of_two_writings_are_never_merged(tmp_path: Path) -> None:
    """Two counts of one name, or records of this package written twice, are refused with both; one file decides."""
    put(tmp_path / "data/train-00000-of-00001.tfrecord", "a.jpg:cat")
    for number in range(2):
        put(tmp_path / f"data/train-0000{number}-of-00002.tfrecord", f"{number}.jpg:dog")
    put(tmp_path / "data/val.tfrecord", "v.jpg:cat")
    (problem,) = problems_of(tmp_path / "data")
    assert "train-00000-of-00001.tfrecord and train-00000-of-00002.tfrecord" in problem.what
    assert list(read_classes(formats.read(tmp_path / "data", on_problem="skip"))) == ["v.jpg"]
    assert len(formats.read(tmp_path / "data/train-00001-of-00002.tfrecord")) == 2
    for mark in ("0a1b2c3d", "1a1b2c3d"):
        put(tmp_path / f"ours/train-{mark}-00000-of-00001.tfrecord", f"{mark}.jpg:cat")
    (tmp_path / "ours/train.json").write_text("{}")
    with pytest.raises(DatasetError, match="records of this name were written more than once"):
        formats.read(tmp_path / "ours")


@pytest.mark.parametrize("copy", ["a-00000-of-00001 (1).tfrecord", "a-00000-of-00001.tfrecord (1)", "b.tfrecord"])
def test_a_doubled_file_is_read_once(copy: str, tmp_path: Path) -> None:
    """A file that is there twice gives its photos once, with a word; a shard with two contents is an error."""
    first = put(tmp_path / "a-00000-of-00001.tfrecord", "a.jpg:cat")
    (tmp_path / copy).write_bytes(first.read_bytes())
    (problem,) = formats.read(tmp_path).problems
    assert problem.severity == "warning"
    assert "byte for byte" in problem.what
    assert len(formats.read(tmp_path)) == 1
    put(tmp_path / "a.record-00000-of-00001", "b.jpg:cat")
    with pytest.raises(DatasetError, match="shard 0 is there more than once, with other contents"):
        formats.read(tmp_path)


def test_empty_shards_are_told(tmp_path: Path) -> None:
    """Programs leave shards empty where there are few photos; a copy that failed looks the same, so it is told."""
    put(tmp_path / "a-00000-of-00002.tfrecord", "a.jpg:cat")
    put(tmp_path / "a-00001-of-00002.tfrecord")
    (problem,) = formats.read(tmp_path).problems
    assert (problem.severity, problem.kind) == ("warning", "shard empty")


def test_roboflows_folders(tmp_path: Path) -> None:
    """train, valid and test with a record file and a label map each are one data set, whatever its name has in it."""
    for split in ("train", "valid", "test"):
        put(tmp_path / f"x/{split}/Train-Signs.tfrecord", f"{split}.jpg:cat", ids={"cat": 1})
        text = (
            'item {\n    name: "cat",\n    id: 1,\n    display_name: "cat"\n}\nitem {\n    name: "dog",\n    id: 2\n}\n'
        )
        (tmp_path / f"x/{split}/Train-Signs_label_map.pbtxt").write_text(text)
    dataset = formats.read(tmp_path / "x")
    assert {image.split: image.path.name for image in dataset} == {n: f"{n}.jpg" for n in ("train", "valid", "test")}
    assert list(dataset.label_map) == ["cat", "dog"]
    assert dataset.problems == ()
    assert len(formats.read(tmp_path / "x", folder=tmp_path / "photos")) == 3
    assert len(formats.read(tmp_path / "x/valid/Train-Signs.tfrecord")) == 1


def test_records_in_any_folder(tmp_path: Path) -> None:
    """In a tutorial's workspace the records lie deep beside photos; they are found where nothing else is."""
    put(tmp_path / "w/annotations/train.record", "a.jpg:cat", ids={"cat": 1}, texts=False)
    put(tmp_path / "w/annotations/val/x.record", "b.jpg:cat", ids={"cat": 1})
    (tmp_path / "w/annotations/label_map.pbtxt").write_text("item { id: 1 name: 'cat' }")
    (tmp_path / "w/images").mkdir()
    (tmp_path / "w/images/a.jpg").write_bytes(JPEG)
    assert {image.split: image.path.name for image in formats.read(tmp_path / "w")} == {
        "train": "a.jpg",
        "val": "b.jpg",
    }


def test_folders_that_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a root with more folders than any data set has, those that are not listed are not looked into."""
    put(tmp_path / "train/x.record", "a.jpg:cat")
    assert len(tfrecord.FORMAT.find(Listing(tmp_path))) == 1
    monkeypatch.setattr("tfod_helpers.formats.folders._MOST", 1)
    assert tfrecord.FORMAT.find(Listing(tmp_path)) == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS, not the file itself"),
        (b"<!DOCTYPE html>", "this is a web page, not the file"),
        (b"", "1 of its 1 files hold no records"),
        (b"text", "it cannot be read to its end (record 1: the checksum of its length does not match"),
    ],
)
def test_what_is_no_record_file(data: bytes, told: str, tmp_path: Path) -> None:
    """What lies under a record file's name and is none is said once."""
    (tmp_path / "a.record").write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        formats.read(tmp_path)
    (problem,) = caught.value.problems
    assert told in problem.what


# --- names ----------------------------------------------------------------------------------------


def test_each_set_has_the_names_of_its_own_label_map(tmp_path: Path) -> None:
    """Two sets that number their classes differently are joined by the names, ids alone or with texts."""
    for texts in (True, False):
        for name, ids in (("a", {"cat": 1, "dog": 2}), ("b", {"dog": 1, "cat": 2, "cow": 3})):
            folder = tmp_path / f"{texts}"
            put(folder / f"{name}.tfrecord", *(f"{name}_{one}.jpg:{one}" for one in ids), ids=ids, texts=texts)
            items = "".join(f"item {{ id: {id} name: '{one}' }}" for one, id in ids.items())
            (folder / f"{name}_label_map.pbtxt").write_text(items)
        dataset = formats.read(folder)
        assert list(dataset.label_map) == ["cat", "cow", "dog"]
        assert all(name.startswith(("a_" + label, "b_" + label)) for name, label in read_classes(dataset).items())
        assert [problem.kind for problem in dataset.problems] == ["classes joined"]


def test_ids_that_nothing_names_are_told_once(tmp_path: Path) -> None:
    """Of sixty objects whose ids nothing names there is one line, and none of their photos becomes background."""
    put(tmp_path / "a.tfrecord", *(f"{n}.jpg:cat" for n in range(60)), ids={"cat": 1}, texts=False)
    put(tmp_path / "b.tfrecord", "b.jpg:cat", ids={"cat": 1})
    with pytest.raises(DatasetError) as caught:
        formats.read(tmp_path)
    (problem,) = caught.value.problems
    assert str(problem).startswith("a.tfrecord, record 1, object 1: its class is 1, and no name is known for it, nor")
    assert list(read_classes(formats.read(tmp_path, on_problem="skip"))) == ["b.jpg"]


@pytest.mark.parametrize("label", [np.nan, 0.5, np.inf])
def test_an_id_that_is_no_whole_number(label: float, tmp_path: Path) -> None:
    """The text is taken where the id is no number that counts; without a text it is an error of the object."""
    ids = {"image/object/class/label": np.array([label], np.float32)}
    put(tmp_path / "a.tfrecord", "a.jpg:cat", **ids)
    assert list(formats.read(tmp_path).label_map) == ["cat"]
    put(tmp_path / "a.tfrecord", "a.jpg:cat", texts=False, **ids)
    with pytest.raises(DatasetError, match="record 1, object 1: a class name must be a text"):
        formats.read(tmp_path)


def test_a_label_map_that_is_not_theirs(tmp_path: Path) -> None:
    """Where the records' names contradict the label map, one line says so; capitals are no contradiction."""
    put(tmp_path / "a.tfrecord", *(f"{n}.jpg:cat" for n in range(60)), ids={"cat": 1})
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: 'dog' } item { id: 2 name: 'cat' }")
    with pytest.raises(DatasetError) as caught:
        formats.read(tmp_path)
    (problem,) = caught.value.problems
    assert problem.what == "its records call class 1 'cat' (60 objects), and label_map.pbtxt 'dog'"
    (tmp_path / "label_map.pbtxt").write_text("item { id: 2 name: 'cat' }")
    with pytest.raises(DatasetError, match=r"call class 1 'cat' \(60 objects\), and label_map.pbtxt 'another class'"):
        formats.read(tmp_path)
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: 'Cat' }")
    assert list(formats.read(tmp_path).label_map) == ["Cat"]
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: 'cat' item { id: 2 } }")
    assert [(problem.severity, problem.kind) for problem in formats.read(tmp_path).problems] == [
        ("warning", "label map unreadable")
    ]
    with pytest.raises(DatasetError, match="'item' is opened within item 1"):
        formats.read(tmp_path, label_map=tmp_path / "label_map.pbtxt")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("pet_faces_train", "train"),
        ("pets_train_val", "trainval"),
        ("train_val_pets", "trainval"),
        ("pets_train_v2", "train"),
        ("Val2017-pets", "Val"),
        ("train_with_masks", "train"),
        ("TEST", "TEST"),
        ("pets", ""),
    ],
)
def test_a_sets_name_says_its_split(name: str, split: str, tmp_path: Path) -> None:
    """The split stands at the end of a set's name, at its start or in it, in any capitals."""
    (image,) = formats.read(put(tmp_path / f"{name}.record", "a.jpg:cat"))
    assert image.split == split


# --- records of other tasks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"image/encoded": None, "image": [JPEG], "objects/bbox": np.array([0.1, 0.1, 0.9, 0.9], np.float32)},
            "2 of 2 records have no photo in image/encoded, but image, image/filename",
        ),
        ({"image/class/label": np.array([1])}, "for classification"),
        ({"image/segmentation/class/encoded": [JPEG]}, "for segmentation"),
        ({"image/encoded": None, "image_raw": [JPEG]}, "image_raw"),
        ({"image/encoded": np.array([0.5], np.float32)}, "no photo in image/encoded"),
    ],
)
def test_records_of_other_tasks(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Records without photos or boxes are refused once, by the features that they have."""
    boxless = {f"image/object/bbox/{corner}": None for corner in ("xmin", "ymin", "xmax", "ymax")}
    boxless |= {"image/object/class/text": None}
    put(tmp_path / "x.tfrecord", "a.jpg:cat", "b.jpg:cat", **boxless, **changes)
    with pytest.raises(DatasetError) as caught:
        formats.read(tmp_path)
    (problem,) = caught.value.problems
    assert told in problem.what
    assert problem.kind in ("record without photo", "records without boxes")
    put(tmp_path / "y.tfrecord", "c.jpg:cat")
    assert list(read_classes(formats.read(tmp_path, on_problem="skip"))) == ["c.jpg"]


def test_sequence_examples_are_refused_by_name(tmp_path: Path) -> None:
    """A video's SequenceExample would read as an example with less in it."""
    context = serialize({"clip/path": [b"a.mp4"]})
    (tmp_path / "x.tfrecord").write_bytes(frame(context + b"\x12\x00"))
    with pytest.raises(DatasetError, match=r"clip/path: these are tf\.train\.SequenceExample records"):
        formats.read(tmp_path)


def test_tfds_records_say_what_they_are(shared: Path, tmp_path: Path) -> None:
    """A record of TensorFlow Datasets is not called an empty photo."""
    path = shutil.copytree(shared / "data/reported/w29_tfds_record", tmp_path / "x")
    with pytest.raises(DatasetError, match=r"records of TensorFlow Datasets\. Read them by their name"):
        formats.read(path)


def test_compressed_and_damaged_files(tmp_path: Path) -> None:
    """A gzipped file is read; of one that is cut short, what is whole is, and the rest is told."""
    images = tuple(LabelledImage(Path(f"{n}.jpg"), 40, 30, [[1, 1, 9, 9]], [1], encoded=JPEG) for n in range(3))
    made = records.write(Dataset(images, LabelMap(["cat"])), tmp_path / "made" / "train")
    data = made.files[0].read_bytes()
    (tmp_path / "whole.tfrecord.gz").write_bytes(gzip.compress(data))
    assert len(tfrecord.read(tmp_path / "whole.tfrecord.gz")) == 3
    (tmp_path / "cut.tfrecord").write_bytes(data[: len(data) - 100])
    with pytest.raises(DatasetError, match=r"cut\.tfrecord: it cannot be read to its end"):
        tfrecord.read(tmp_path / "cut.tfrecord")
    assert len(tfrecord.read(tmp_path / "cut.tfrecord", on_problem="skip")) == 2


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A folder without records is not claimed, and one that holds other files is never written over."""
    (tmp_path / "a.txt").write_text("x")
    assert tfrecord.FORMAT.find(Listing(tmp_path)) == []
    with pytest.raises(DatasetError, match="there are no TFRecord files"):
        tfrecord.read(tmp_path)
    (tmp_path / "x.record").write_bytes(b"")
    (tmp_path / "x_photos").mkdir()
    (tmp_path / "x_photos" / "mine.jpg").write_bytes(JPEG)
    with pytest.raises(FileExistsError, match="there are files here already"):
        tfrecord.read(tmp_path / "x.record")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("image/encoded", np.array([7.0], np.float32)),
        ("image/object/class/label", np.array([np.nan, 1.5], np.float32)),
        ("image/object/class/text", [b"caf\xe9", b"cat"]),
        ("image/object/class/text", np.array([1, 2], np.int64)),
        ("image/object/bbox/xmin", [b"0.25", b"0.0"]),
        ("image/object/bbox/ymax", np.array([np.nan, np.inf], np.float32)),
    ],
)
def test_feature_of_another_type_is_told(key: str, values: Any, tmp_path: Path) -> None:
    """A feature that holds another type than it should, or what is no number or text, ends in a problem."""
    data = {name: _array(value) for name, value in features(filename=[b"b.jpg"]).items()}
    changed = data | {"image/filename": [b"a.jpg"], key: values}
    if key.endswith("label"):
        changed["image/object/class/text"] = []
    written = b"".join(frame(serialize(one)) for one in (data, changed))
    (tmp_path / "x.record").write_bytes(written)
    with pytest.raises(DatasetError):
        tfrecord.read(tmp_path / "x.record")
    found = tfrecord.read(tmp_path / "x.record", on_problem="skip")
    assert {image.path.name: len(image.labels) for image in found}.items() <= {"b.jpg": 2, "a.jpg": 1}.items()


def _array(value: list[Any]) -> Any:
    if isinstance(value[0], bytes):
        return value
    return np.array(value, np.float32 if isinstance(value[0], float) else np.int64)
