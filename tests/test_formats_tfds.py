"""TensorFlow Datasets: boxes are found by the features' types, in a data set made here and in the real builders."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import jpeg

from tfod_helpers.annotations import LabelMap
from tfod_helpers.files import storage
from tfod_helpers.formats import tfds

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with boxes, and one without, made by the library's own machinery."""
    import tensorflow_datasets as library

    def make(name: str, features: dict[str, Any], example: dict[str, Any]) -> type:
        def info(self: Any) -> Any:
            return library.core.DatasetInfo(builder=self, features=library.features.FeaturesDict(features))

        def generate(self: Any, count: int) -> Any:
            for number in range(count):
                yield number, {"image": np.full((30, 40, 3), number, np.uint8)} | example

        members = {
            "VERSION": library.core.Version("1.0.0"),
            "_info": info,
            "_split_generators": lambda self, _: {
                "train": self._generate_examples(3),
                "test": self._generate_examples(2),
            },
            "_generate_examples": generate,
            "__module__": __name__,
        }
        return type(name, (library.core.GeneratorBasedBuilder,), members)

    boxes = library.features.BBoxFeature()
    classes = library.features.ClassLabel(names=["cat", "dog"])
    folder = tmp_path_factory.mktemp("tfds")
    image = library.features.Image(encoding_format="jpeg")
    objects = library.features.Sequence(
        {"bbox": boxes, "is_crowd": np.bool_, "is_difficult": np.bool_, "label": classes}
    )
    box = library.features.BBox(ymin=0.2, xmin=0.25, ymax=1.0, xmax=0.75)
    some = {"objects": [{"bbox": box, "label": "dog", "is_crowd": True, "is_difficult": True}]}
    make("PetsWithBoxes", {"image": image, "objects": objects}, some)(data_dir=folder).download_and_prepare()
    make("PetsWithout", {"image": image, "label": classes}, {"label": 1})(data_dir=folder).download_and_prepare()
    return folder


def test_a_real_data_set_is_read(prepared: Path, tmp_path: Path) -> None:
    """Boxes in pixels, classes in the data set's order, crowds, difficult ones, splits, and photos in a folder."""
    dataset = tfds.read("pets_with_boxes", data_dir=prepared, folder=tmp_path / "photos")
    assert dataset.label_map == LabelMap(["cat", "dog"])
    assert {name: len(part) for name, part in dataset.splits().items()} == {"train": 3, "test": 2}
    for image in dataset:
        assert image.boxes_xyxy.tolist() == [pytest.approx([10, 6, 30, 30])]
        assert image.labels.tolist() == [2]
        assert image.crowd.tolist() == image.difficult.tolist() == [True]
        assert image.path.is_relative_to(tmp_path / "photos" / image.split)
    assert len(tfds.read("pets_with_boxes", data_dir=prepared, folder=tmp_path / "some", split="train[:2]")) == 2


def test_what_cannot_be_read_says_why(prepared: Path, tmp_path: Path) -> None:
    """A data set without boxes, one that there is not, and a split that there is not are refused with a word."""
    with pytest.raises(ValueError, match=r"it has no photos with boxes, but image \(Image\), label \(ClassLabel\)"):
        tfds.read("pets_without", data_dir=prepared, folder=tmp_path)
    with pytest.raises(ValueError, match="'no_such_pets' is not a data set"):
        tfds.read("no_such_pets", data_dir=prepared, folder=tmp_path)
    with pytest.raises(ValueError, match=r"not a data set of TensorFlow Datasets \(.*\). Did you mean 'cats_vs_dogs'"):
        tfds.read("cats_vs_dog", data_dir=prepared, folder=tmp_path)
    with pytest.raises(ValueError, match="there is no split 'tran', only"):
        tfds.read("pets_with_boxes", data_dir=prepared, folder=tmp_path, split="tran")
    with pytest.raises(ValueError, match="There is no class feature 'breed', only label"):
        tfds.read("pets_with_boxes", data_dir=prepared, folder=tmp_path, label="breed")


def test_whole_photos_are_read_by_their_class(prepared: Path, tmp_path: Path) -> None:
    """For a classifier each photo has one box, all of it, and the class of the photo, boxes or not."""
    dataset = tfds.read("pets_without", data_dir=prepared, folder=tmp_path, whole=True)
    assert [image.labels.tolist() for image in dataset] == [[2]] * 5
    assert {tuple(image.boxes_xyxy.ravel().tolist()) for image in dataset} == {(0, 0, 40, 30)}
    with pytest.raises(ValueError, match=r"it has no photos with a class, but image \(Image\), objects"):
        tfds.read("pets_with_boxes", data_dir=prepared, folder=tmp_path, whole=True)


def test_without_a_network_it_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real data set that is not there: where its server is not found, in a second and not after nine tries."""

    def offline(*_: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(ConnectionError, match=r"cats_vs_dogs: it could not be downloaded .* give the data_dir"):
        tfds.read("cats_vs_dogs", data_dir=tmp_path / "none", folder=tmp_path, whole=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("voc/2007", ("image", "objects", "bbox", "label", 20)),
        ("coco/2017", ("image", "objects", "bbox", "label", 80)),
        ("oxford_iiit_pet", ("image", None, "head_bbox", "label", 37)),
        ("wider_face", ("image", "faces", "bbox", None, 1)),
    ],
)
def test_the_real_builders_boxes_are_found(name: str, expected: tuple[Any, ...], tmp_path: Path) -> None:
    """In the features that the library itself declares, without any download."""
    import tensorflow_datasets as library

    found = tfds.find_features(library.builder(name, data_dir=tmp_path).info.features)
    assert (*found[:4], len(found.names)) == expected


def test_a_photo_is_kept_as_it_is_stored(prepared: Path, tmp_path: Path) -> None:
    """No photo is decoded and encoded again."""
    image = tfds.read("pets_with_boxes", data_dir=prepared, folder=tmp_path, split="test")[0]
    assert image.path.suffix == ".jpg"
    assert image.path.read_bytes()[:2] == jpeg(1, 1)[:2]


def test_photos_are_put_into_a_bucket(prepared: Path, bucket: str) -> None:
    """A folder of a bucket gets the photos, and the dataset has copies of them on this machine; again and again."""
    for split in (None, "test"):
        dataset = tfds.read("pets_with_boxes", data_dir=prepared, folder=f"{bucket}/photos", split=split)
        there = {
            name: storage.read_bytes(f"{bucket}/photos/{name}")
            for name in storage.sizes(f"{bucket}/photos", nested=True)
        }
        here = {f"{image.split}/{image.path.name}": image.path.read_bytes() for image in dataset}
        assert here.items() <= there.items()
