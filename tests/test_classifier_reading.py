"""classifier, reading: photos by class from folders, labelled boxes and whole photos; what is left out is counted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import jpeg

from tfod_helpers import classifier, formats
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.problems import DatasetError


def fill(folder: Path, **counts: int) -> Path:
    """A folder with so many different photos, in folders that the names say (``__`` for a deeper one)."""
    for name, count in counts.items():
        place = folder / name.replace("__", "/")
        place.mkdir(parents=True)
        for number in range(count):
            (place / f"{number}.jpg").write_bytes(jpeg(40 + number, 30 + len(name)))
    return folder


def test_folders_are_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each photo has the name of its folder, and one box, all of it; a line says how many there are of each."""
    dataset = classifier.read(fill(tmp_path / "pets", cats=3, dogs=2))
    assert dataset.label_map == LabelMap(["cats", "dogs"])
    assert dataset.counts() == {"cats": 3, "dogs": 2}
    assert all(image.boxes_xyxy.tolist() == [[0, 0, image.width, image.height]] for image in dataset)
    assert "pets: 5 photos: cats 3 (60%), dogs 2 (40%)" in capsys.readouterr().out


def test_parts_are_kept(tmp_path: Path) -> None:
    """Folders called as splits hold the classes, below folders that a zip brought along; photos may lie deeper."""
    folder = fill(tmp_path, set__train__cat=3, set__train__dog__more=3, set__test__cat=1, set__test__dog=2)
    parts = classifier.read(folder).splits()
    assert {name: part.counts() for name, part in parts.items()} == {
        "test": {"cat": 1, "dog": 2},
        "train": {"cat": 3, "dog": 3},
    }


def test_broken_photos_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file, one that is no image and one that is cut off, as cats_vs_dogs has them: each is named."""
    folder = fill(tmp_path, Cat=3, Dog=3)
    (folder / "Cat" / "666.jpg").touch()
    (folder / "Dog" / "11702.jpg").write_bytes(b"no image at all")
    (folder / "Dog" / "cut.jpg").write_bytes(jpeg(200, 200)[:-300])
    dataset = classifier.read(folder)
    assert dataset.counts() == {"Cat": 3, "Dog": 3}
    assert sorted(problem.where.rpartition("/")[2] for problem in dataset.problems) == [
        "11702.jpg",
        "666.jpg",
        "cut.jpg",
    ]
    said = capsys.readouterr().out
    assert "Left out: 3 that cannot be read" in said
    assert re.search("666.jpg.*the file is empty", said)


def test_boxes_become_crops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labelled boxes are an image each, of the same photo and split; all of a photo stay in one part."""
    dataset = classifier.read("sample", folder=tmp_path)
    boxes = formats.read(Path(__file__).parents[1] / "dataset")
    assert len(dataset) == sum(len(image.labels) for image in boxes) == 500
    assert dataset.counts() == boxes.counts()
    parts = dataset.splits()["train"].split({"train": 0.7, "validation": 0.3})
    train, validation = ({image.path for image in part} for part in parts.values())
    assert not train & validation
    assert "500 photos (test 100, train 400): cat 250 (50%), dog 250 (50%)" in capsys.readouterr().out


def test_whole_photos_show_what_most_boxes_have(capsys: pytest.CaptureFixture[str]) -> None:
    """Two small dogs beat one large cat, of one each the larger counts, and a photo without boxes shows nothing."""
    boxes_xyxy = [[0, 0, 50, 40], [50, 0, 60, 10], [60, 0, 70, 10]]
    image = LabelledImage(Path("a.jpg"), 80, 40, boxes_xyxy, [1, 2, 2], split="train")
    two = LabelledImage(Path("b.jpg"), 80, 40, boxes_xyxy[:2], [1, 2])
    none = LabelledImage(Path("c.jpg"), 80, 40, np.zeros((0, 4)), [])
    dataset = classifier.whole_photos(Dataset((image, two, none), LabelMap(["cat", "dog"])))
    assert [one.labels.tolist() for one in dataset] == [[2], [1]]
    assert [one.split for one in dataset] == ["train", ""]
    assert dataset[0].boxes_xyxy.tolist() == [[0, 0, 80, 40]]
    assert "2 of 2 photos show several classes" in capsys.readouterr().out


def test_what_is_seen_of_a_box_is_in_it(tmp_path: Path) -> None:
    """A red box on a blue photo is a red square but for a tenth around it; a whole photo is seen to its edges."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[..., 2] = 255
    pixels[20:80, 40:160] = (255, 0, 0)
    (tmp_path / "a.png").write_bytes(jpeg_of(pixels))
    image = LabelledImage(tmp_path / "a.png", 200, 100, [[40, 20, 160, 80]], [1])
    square = classifier.looked_at.square(image, 48)
    assert square.shape == (1, 48, 48, 3)
    assert square[0, 24, 24].tolist() == pytest.approx([255, 0, 0], abs=4)
    assert square[0, 1, 24].tolist() == pytest.approx([0, 0, 255], abs=4)
    whole = classifier.looked_at.square(replace(image, boxes_xyxy=np.array([[0, 0, 200, 100]])), 48)
    assert whole[0, 8, 24].tolist() == pytest.approx([0, 0, 255], abs=4)


def jpeg_of(pixels: np.ndarray) -> bytes:
    """Pixels as a file."""
    from tfod_helpers import photos

    return photos.to_jpeg(pixels)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"cat": 3}, "all photos show one class, cat. A classifier tells classes apart"),
        (
            {"train__cat": 2, "train__dog": 2, "test__horse": 2},
            "test has photos of horse, and the training photos have",
        ),
        ({"train": 2, "test": 2}, "there are no folders with photos in it, and no annotations. Make a folder for each"),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path: Path, counts: dict[str, int], says: str) -> None:
    """One class alone, a class that the training photos lack, and photos that no folder names."""
    with pytest.raises(DatasetError, match=says):
        classifier.read(fill(tmp_path, **counts))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A path is no data set's name."""
    with pytest.raises(FileNotFoundError, match="nothing"):
        classifier.read(tmp_path / "nothing")
