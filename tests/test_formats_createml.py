"""formats.createml: what Create ML, Roboflow and others write is read exactly, and what is broken is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import broken_json
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from tfod_helpers.annotations import LabelMap
from tfod_helpers.formats import createml
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.raw import Part
from tfod_helpers.problems import DatasetError

FUZZ = settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def photo(path: Path, width: int = 60, height: int = 40) -> Path:
    """Write a plain JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, "JPEG")
    return path


def entry(name: str = "a.jpg", *objects: tuple[str, float, float, float, float]) -> dict[str, Any]:
    """One image as Roboflow exports it (CreateML JSON, 2024); an object is (label, its centre, width, height)."""
    return {
        "image": name,
        "annotations": [
            {"label": label, "coordinates": {"x": x, "y": y, "width": width, "height": height}}
            for label, x, y, width, height in objects or [("cat", 20, 15, 10, 20)]
        ],
    }


def dataset_folder(folder: Path, entries: Any, *names: str) -> Path:
    """A folder with photos and a CreateML file."""
    for name in names or ("a.jpg",):
        photo(folder / name)
    broken_json.write(folder / "annotations.json", entries)
    return folder


def errors(caught: pytest.ExceptionInfo[DatasetError]) -> list[str]:
    """The errors for which a data set was refused."""
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


def test_roboflow_splits(tmp_path: Path) -> None:
    """Roboflow's folders train, valid and test are found, and each image knows its split."""
    for split, name in (("train", "a.jpg"), ("valid", "b.jpg"), ("test", "c.jpg")):
        photo(tmp_path / split / name)
        broken_json.write(tmp_path / split / "_annotations.createml.json", [entry(name)])
    parts = createml.FORMAT.find(Listing(tmp_path))
    assert [(part.split, part.images.name) for part in parts] == [
        ("test", "test"),
        ("train", "train"),
        ("valid", "valid"),
    ]
    dataset = createml.FORMAT.read_parts(parts)
    assert {image.path.name: image.split for image in dataset} == {"a.jpg": "train", "b.jpg": "valid", "c.jpg": "test"}
    assert [image.boxes_xyxy.tolist() for image in dataset] == [[[15, 5, 25, 25]]] * 3
    assert createml.read(tmp_path).splits().keys() == {"train", "valid", "test"}


def test_older_words(tmp_path: Path) -> None:
    """Apple's documentation of 2018 says imagefilename and annotation, and Turi Create adds a type."""
    old = [
        {
            "imagefilename": "cat and dog.png",
            "annotation": [
                {"label": "cat", "type": "rectangle", "coordinates": {"y": 2.0, "x": 3.9, "height": 4.0, "width": 2.0}},
                {"label": "dog", "coordinates": {"y": 20.0, "x": 38.5, "height": 10, "width": 7.0}},
            ],
        }
    ]
    dataset_folder(tmp_path, old, "cat and dog.png")
    assert len(createml.FORMAT.find(Listing(tmp_path))) == 1
    dataset = createml.read(tmp_path)
    assert dataset.label_map == LabelMap(["cat", "dog"])
    assert dataset[0].boxes_xyxy[1].tolist() == [35, 15, 42, 25]
    assert dataset[0].boxes_xyxy[0] == pytest.approx([2.9, 0, 4.9, 4.0])
    assert dataset.problems == ()  # the format has no size, so none is missed


def test_image_without_objects_is_background(tmp_path: Path) -> None:
    """An empty list of annotations is an image without objects, and an image that is not named is left out."""
    entries = [entry(), {"image": "b.jpg", "annotations": []}]
    dataset = createml.read(dataset_folder(tmp_path, entries, "a.jpg", "b.jpg", "c.jpg"))
    assert [len(image.labels) for image in dataset] == [1, 0]
    assert [problem.kind for problem in dataset.problems] == ["image without objects", "photo not annotated"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"coordinates": None},
            "annotations.json, image 1 (a.jpg), object 1 ('cat'): it is {'coordinates': None, 'label': 'cat'}, not a",
        ),
        ({"coordinates": {"x": 5, "y": 5, "width": "7", "height": 4}}, "object 1 ('cat'): width is '7', not a number."),
        ({"coordinates": {"x": 5, "y": 5, "width": 10**400, "height": 4}}, "object 1 ('cat'): width is 1000"),
        ({"coordinates": {"x": 5, "y": 5, "height": 4}}, "object 1 ('cat'): width is missing. Draw the box again"),
        ({"coordinates": {"x": 50, "y": 5, "width": 40, "height": 4}}, "reaches over the edge of the 60 x 40 image."),
        ({"coordinates": {"x": 0.4, "y": 0.5, "width": 0.3, "height": 0.4}}, "is in fractions of the image"),
        ({"label": ["cat"]}, "object 1: a class name must be a text that is not empty, got ''."),
    ],
)
def test_broken_object(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    """An error says which image, which object, what is wrong and what to do; the others are kept in skip mode."""
    bad = entry("a.jpg", ("cat", 20, 15, 10, 20), ("cat", 30, 15, 10, 20))
    bad["annotations"][0] |= change
    folder = dataset_folder(tmp_path, [bad])
    with pytest.raises(DatasetError) as caught:
        createml.read(folder)
    assert len(errors(caught)) == 1
    assert expected in errors(caught)[0]
    assert createml.read(folder, on_problem="skip")[0].boxes_xyxy.tolist() == [[25, 5, 35, 25]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "annotations.json: the file is empty."),
        (b'[{"image": ', "annotations.json: it cannot be read as JSON ("),
        (b"[" * 100_000, "annotations.json: it cannot be read as JSON (nested too deeply)"),
        (b'{"images": []}', "annotations.json: it is no list of images, as CreateML files are."),
        (b"[]", "no labelled image is left"),
        (b"[7]", 'annotations.json, image 1: it does not say which image it is ("image"): 7.'),
        (b'[{"image": "a.jpg", "annotations": 3}]', 'annotations.json, image 1: its "annotations" are 3, not a list.'),
        (b'[{"image": "../../a.png", "annotations": []}]', "its image is missing, there is no '../../a.png'"),
    ],
)
def test_broken_file(text: bytes, expected: str, tmp_path: Path) -> None:
    """A file that cannot be used, and an entry that means no photo, are told by name in both modes."""
    photo(tmp_path / "a.jpg")
    (tmp_path / "annotations.json").write_bytes(text)
    for on_problem in ("raise", "skip"):
        with pytest.raises(DatasetError) as caught:
            createml.read(tmp_path, tmp_path / "annotations.json", on_problem=on_problem)
        assert expected in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    """A byte order mark and other Unicode encodings are understood, by find too; names are of any script."""
    photo(tmp_path / "猫 ação.jpg")
    text = json.dumps([entry("猫 ação.jpg", ("gato 🐱", 20, 15, 10, 20))], ensure_ascii=False)
    (tmp_path / "x.json").write_bytes(text.encode(encoding))
    assert len(createml.FORMAT.find(Listing(tmp_path))) == 1
    assert list(createml.read(tmp_path).label_map) == ["gato 🐱"]


def test_two_annotations_of_one_photo(tmp_path: Path) -> None:
    """One photo in two files of a folder is an error that names both, and not two images."""
    dataset_folder(tmp_path, [entry(), entry("b.jpg")], "a.jpg", "b.jpg")
    broken_json.write(tmp_path / "more.json", [entry("A.JPG")])
    with pytest.raises(DatasetError) as caught:
        createml.read(tmp_path)
    assert errors(caught) == [
        "a.jpg: 2 annotations describe this image: annotations.json, image 1 ('a.jpg'); more.json, image 1 ('A.JPG'). "
        "Keep the right one and delete or correct the rest."
    ]


def test_lists_of_a_split_beside_one_folder_of_photos(tmp_path: Path) -> None:
    """train.json and val.json over one folder of photos are two splits; a photo of neither is told once."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(tmp_path / "images" / name)
    for split, name in (("train", "a.jpg"), ("val", "b.jpg")):
        (tmp_path / "annotations").mkdir(exist_ok=True)
        broken_json.write(tmp_path / "annotations" / f"{split}.json", [entry(name)])
    dataset = createml.read(tmp_path)
    assert {image.path.name: image.split for image in dataset} == {"a.jpg": "train", "b.jpg": "val"}
    assert [str(problem).split(".jpg: ")[0][-1] for problem in dataset.problems] == ["c"]


def test_photos_beside_the_file_go_first(tmp_path: Path) -> None:
    """Where photos lie beside the file, those in a folder called images are not what it is about."""
    folder = dataset_folder(tmp_path, [entry()])
    photo(folder / "images" / "b.jpg")
    assert [part.images for part in createml.FORMAT.find(Listing(folder))] == [folder]


def test_only_some(tmp_path: Path) -> None:
    """A part that names its photos leaves the other entries alone, broken or not."""
    folder = dataset_folder(tmp_path, [entry(), entry("sub\\b.jpg", ("", 1, 1, 0, 0))], "a.jpg", "b.jpg")
    (part,) = createml.FORMAT.find(Listing(folder))
    dataset = createml.FORMAT.read_parts([Part(part.images, part.annotations, "train", frozenset({"a"}))])
    assert [(image.path.name, image.split) for image in dataset] == [("a.jpg", "train")]
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "other",
    [
        {"images": [], "annotations": [], "categories": []},
        {"shapes": [], "imagePath": "a.jpg", "version": "5.4.1"},
        {"a.jpg7": {"filename": "a.jpg", "size": 7, "regions": []}},
        [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": []}]}],
        [{"image": "a.jpg", "label": [{"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["cat"]}]}],
        [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}],
        [{"image": "a.jpg", "annotations": [{"label": "cat", "bbox": [1, 2, 3, 4]}]}],
        [],
        {},
        7,
        None,
    ],
)
def test_find_leaves_other_formats_alone(other: Any, tmp_path: Path) -> None:
    """JSON of another format, or of none, is not claimed."""
    assert createml.FORMAT.find(Listing(dataset_folder(tmp_path, other))) == []


def test_find_reads_only_the_beginning(tmp_path: Path) -> None:
    """A large file is recognised by its first 64 KiB, though it is broken after them; a missing folder has nothing."""
    photo(tmp_path / "a.jpg")
    text = json.dumps([entry(f"{number}.jpg", ('c"]}{\\', 20, 15, 10, 20)) for number in range(3000)])
    (tmp_path / "big.json").write_text(text[:-40] + "]]}", encoding="utf-8")
    assert len(text) > 2 * 65_536
    assert [part.annotations.name for part in createml.FORMAT.find(Listing(tmp_path))] == ["big.json"]
    assert createml.FORMAT.find(Listing(tmp_path / "nowhere")) == []
    with pytest.raises(DatasetError, match="there is no CreateML JSON file in this folder"):
        createml.read(photo(tmp_path / "other" / "a.jpg").parent)


@settings(
    max_examples=120, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=broken_json.broken([entry(), entry("b.jpg", ("dog", 20, 15, 10, 20))]) | broken_json.ANYTHING)
def test_fuzz(data: Any, tmp_path: Path) -> None:
    """Whatever the JSON holds, reading ends in a dataset or in one report, and find raises nothing."""
    folder = dataset_folder(tmp_path, data, "a.jpg", "b.jpg")
    createml.FORMAT.find(Listing(folder))
    path, names = folder / "annotations.json", {"annotations.json", "a.jpg", "b.jpg", str(folder)}
    broken_json.assert_told(lambda on_problem: createml.read(folder, path, on_problem=on_problem), names)
