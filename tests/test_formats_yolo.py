"""YOLO: the layouts of Ultralytics, Roboflow and darknet are read, a round trip changes nothing, mistakes are told."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import broken_json
import pytest
import yaml
from drawn import assert_equal, datasets, jpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.formats import yolo
from tfod_helpers.problems import DatasetError

QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ROWS = "1 0.5 0.5 0.5 0.4\n0 0.25 0.5 0.5 1\n"  # in 40 x 30: a dog in the middle, a cat on the left half
BOXES = [[10, 9, 30, 21], [0, 0, 20, 30]]


def write(folder: Path, files: dict[str, str]) -> Path:
    """Text files, and for names that end in .jpg small photos of 40 x 30."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(40, 30)) if name.endswith(".jpg") else path.write_text(text, encoding="utf-8")
    return folder


YAML = "path: ../datasets/pets\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"
ULTRALYTICS = {
    "data.yaml": YAML,
    **{f"images/{split}/{name}.jpg": "" for split, name in (("train", "a"), ("val", "b"))},
    **{f"labels/{split}/{name}.txt": ROWS for split, name in (("train", "a"), ("val", "b"))},
}
ROBOFLOW = {
    "data.yaml": "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n",
    **{f"{split}/images/{name}.jpg": "" for split, name in (("train", "a"), ("valid", "b"))},
    **{f"{split}/labels/{name}.txt": ROWS for split, name in (("train", "a"), ("valid", "b"))},
}
LISTS = {
    "data.yaml": "train: train.txt\nval: ./val.txt\nnames: [cat, dog]\n",
    "train.txt": "./images/a.jpg\n",
    "val.txt": "/home/somebody/pets/images/b.jpg\n",
    **{f"images/{name}.jpg": "" for name in "ab"},
    **{f"labels/{name}.txt": ROWS for name in "ab"},
}
DARKNET = {
    "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n",
    "obj.names": "cat\ndog\n",
    "train.txt": "data/obj_train_data/a.jpg\n",
    "valid.txt": "data/obj_train_data/b.jpg\n",
    **{f"obj_train_data/{name}.jpg": "" for name in "ab"},
    **{f"obj_train_data/{name}.txt": ROWS for name in "ab"},
}
LABELIMG = {"classes.txt": "cat\ndog\n", "a.jpg": "", "a.txt": ROWS, "b.jpg": "", "b.txt": ROWS}
FOLDERS = {f"{kind}": ROWS for kind in ("labels/a.txt", "labels/b.txt", "images/a.jpg", "images/b.jpg")}


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (ULTRALYTICS, ["train", "val"]),
        (ROBOFLOW, ["train", "valid"]),
        (LISTS, ["train", "val"]),
        (DARKNET, ["train", "valid"]),
        (LABELIMG, ["", ""]),
        (FOLDERS | {"classes.txt": "cat\ndog\n"}, ["", ""]),
        ({name: text for name, text in ROBOFLOW.items() if name != "data.yaml"} | {"classes.txt": "cat\ndog"},
         ["train", "valid"]),
    ],
    ids=["ultralytics", "roboflow", "lists", "darknet", "labelimg", "folders", "split folders"],
)  # fmt: skip
def test_layouts_are_found(files: dict[str, str], splits: list[str], tmp_path: Path) -> None:
    """Each tool's folders are found, with names and splits, wherever the paths in them point to."""
    dataset = yolo.FORMAT.read_parts(yolo.FORMAT.find(write(tmp_path, files)))
    assert dataset.label_map == LabelMap(["cat", "dog"])
    assert [(image.path.name, image.split) for image in dataset] == list(zip(["a.jpg", "b.jpg"], splits, strict=True))
    for image in dataset:
        assert image.boxes_xyxy.tolist() == BOXES
        assert image.labels.tolist() == [2, 1]


def test_read_finds_labels_and_names_itself(tmp_path: Path) -> None:
    """Given a folder of photos, labels are looked for in the folder beside, and names above."""
    folder = write(tmp_path, FOLDERS | {"data.yaml": "names: [cat, dog]"})
    assert len(yolo.read(folder / "images")) == 2
    assert yolo.read(folder / "images", folder / "labels").counts() == {"cat": 2, "dog": 2}


def test_photos_without_rows_are_background(tmp_path: Path) -> None:
    """A photo with an empty label file, or none, is an image without objects, as YOLO has it."""
    dataset = yolo.read(write(tmp_path, LABELIMG | {"b.txt": "\n", "c.jpg": ""}))
    assert [len(image.labels) for image in dataset] == [2, 0, 0]


def test_outlines_confidences_and_whole_floats(tmp_path: Path) -> None:
    """Of an outline, turned box or not, the box around it is taken; a confidence is passed over; 1.0 is class 1."""
    rows = "0 0.25 0.5 0.75 0.5 0.5 1\n1 0.1 0.2 0.3 0.2 0.3 0.8 0.1 0.8\n1.0 0.5 0.5 0.5 0.4 0.93\n"
    image = yolo.read(write(tmp_path, LABELIMG | {"a.txt": rows}))[0]
    assert image.boxes_xyxy.tolist() == [[10, 15, 30, 30], [4, 6, 12, 24], [10, 9, 30, 21]]
    assert image.labels.tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2 0.5 0.5 0.5 0.4", "a.txt, line 2: the class is 2, and there are 2 names, for 0 to 1"),
        ("cat 0.5 0.5 0.5 0.4", "a.txt, line 2: the class is 'cat', not a whole number from 0"),
        ("-1 0.5 0.5 0.5 0.4", "a.txt, line 2: the class is '-1', not a whole number from 0"),
        ("1 0.5 0.5 0.5", "a.txt, line 2 ('dog'): the row has 4 numbers, not 5"),
        ("1 0,5 0.5 0.5 0.4", "a.txt, line 2 ('dog'): '0,5' is not a number"),
        ("1 20 15 10 8", "a.txt, line 2 ('dog'): the box 20 15 10 8 is not in fractions of the image"),
        ("1 0.9 0.5 0.5 0.4", "a.txt, line 2 ('dog'): the box [26, 9, 46, 21] reaches over the edge of the 40 x 30"),
        ("1 0.5 0.5 0 0.4", "a.txt, line 2 ('dog'): xmax 20 is not right of xmin 20"),
        ("1 nan 0.5 0.5 0.4", "a.txt, line 2 ('dog'): xmin is nan, not a number"),
    ],
)
def test_broken_rows_are_told(row: str, told: str, tmp_path: Path) -> None:
    """Each mistake is an error that names file and line; with skip, the other rows are read."""
    folder = write(tmp_path, LABELIMG | {"a.txt": f"0 0.25 0.5 0.5 1\n{row}\n"})
    with pytest.raises(DatasetError) as error:
        yolo.read(folder)
    assert told in str(error.value)
    assert yolo.read(folder, on_problem="skip")[0].boxes_xyxy.tolist() == [[0, 0, 20, 30]]


def test_rounded_fractions_stay_inside(tmp_path: Path) -> None:
    """Boxes that reach over the edge only because their fractions were rounded are put onto it."""
    image = yolo.read(write(tmp_path, LABELIMG | {"a.txt": "0 0.5001 0.4999 1.0 1.0\n"}))[0]
    assert image.boxes_xyxy.tolist() == [pytest.approx([0.004, 0, 40, 29.997], abs=1e-4)]


def test_without_names_classes_are_numbers(tmp_path: Path) -> None:
    """Where nothing names the classes, they are called by their numbers, and that is said."""
    dataset = yolo.read(write(tmp_path, FOLDERS) / "images")
    assert dataset.label_map == LabelMap(["0", "1"])
    assert "no data.yaml or classes.txt names the classes" in str(dataset.problems[0])
    assert yolo.read(tmp_path / "images", label_map=LabelMap(["cat", "dog"])).counts() == {"cat": 2, "dog": 2}


def test_a_label_file_without_its_photo_is_told(tmp_path: Path) -> None:
    """A text file whose photo is missing is an error."""
    with pytest.raises(DatasetError, match=r"lost\.txt: its image is missing"):
        yolo.read(write(tmp_path, LABELIMG | {"lost.txt": ROWS}))


@pytest.mark.parametrize("text", ["../../../secret", "/etc", "C:\\Users\\x\\secret", "images/../../secret"])
def test_paths_never_lead_out_of_the_folder(text: str, tmp_path: Path) -> None:
    """Whatever data.yaml points at outside of the folder is not opened."""
    write(tmp_path / "secret", {"a.jpg": "", "a.txt": ROWS})
    data = yaml.safe_dump({"train": text, "val": text, "names": ["cat", "dog"]})
    folder = write(tmp_path / "set", {"data.yaml": data})
    assert yolo.FORMAT.find(folder) == []


@pytest.mark.parametrize(
    "text", ["a: &a [x]\nnames: *a\ntrain: .", "!!python/object/apply:os.system ['x']", "names: ["]
)
def test_a_bad_yaml_is_no_data_set(text: str, tmp_path: Path) -> None:
    """Aliases, Python objects and what is no YAML are not unfolded, run or stumbled over."""
    assert yolo.FORMAT.find(write(tmp_path, {"data.yaml": text})) == []


@pytest.mark.parametrize("name", ["test", "classes", "train"])
def test_a_photo_may_be_called_like_a_list(name: str, tmp_path: Path) -> None:
    """The labels of test.jpg or classes.jpg are labels, and not a list of photos or the names of the classes."""
    files = {f"images/{name}.jpg": "", f"labels/{name}.txt": ROWS, "data.yaml": "names: [cat, dog]\ntrain: images"}
    (image,) = yolo.FORMAT.read_parts(yolo.FORMAT.find(write(tmp_path, files)))
    assert image.boxes_xyxy.tolist() == BOXES


@QUICK
@given(datasets(splits=("train", "val")))
def test_round_trip_with_splits_changes_nothing(dataset: Dataset) -> None:
    """Writing and reading gives the same images, boxes to the last bit, classes and splits."""
    with tempfile.TemporaryDirectory() as name:
        assert_equal(yolo.FORMAT.read_parts(yolo.FORMAT.find(yolo.write(dataset, Path(name) / "written"))), dataset)


@QUICK
@given(datasets())
def test_round_trip_changes_nothing(dataset: Dataset) -> None:
    """The same where the images belong to no splits."""
    with tempfile.TemporaryDirectory() as name:
        folder = yolo.write(dataset, Path(name) / "written")
        assert_equal(yolo.FORMAT.read_parts(yolo.FORMAT.find(folder)), dataset)
        data = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
        assert data["train"] == data["val"] == "images"


@QUICK
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.from_regex(r"([0-9a-z .,\-]{1,30}\n){1,3}"), st.text())
def test_whatever_is_in_a_label_file_is_told(rows: str, names: Any) -> None:
    """However broken the rows or the names are, reading ends in a dataset or in one report that names files."""
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), LABELIMG | {"a.txt": rows, "classes.txt": f"cat\ndog\n{names}"})
        broken_json.assert_told(
            lambda mode: yolo.read(folder, on_problem=mode), {"a.txt", "b.txt", "a.jpg", "b.jpg", name}
        )
