"""YOLO: the layouts of Ultralytics, Roboflow and darknet are read, a round trip changes nothing, mistakes are told."""

from __future__ import annotations

import dataclasses
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import broken_json
import pytest
import yaml
from drawn import assert_equal, datasets, jpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfod_helpers import formats
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import yolo
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError, OnProblem

Files = dict[str, str | bytes]
QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ROWS = "1 0.5 0.5 0.5 0.4\n0 0.25 0.5 0.5 1\n"  # in 40 x 30: a dog in the middle, a cat on the left half
BOXES = [[10, 9, 30, 21], [0, 0, 20, 30]]


def write(folder: Path, files: Files) -> Path:
    """Text files, and for names that end in .jpg or .png small photos of 40 x 30."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(jpeg(40, 30) if name.lower().endswith((".jpg", ".png")) else data)
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
    dataset = yolo.FORMAT.read_parts(yolo.FORMAT.find(Listing(write(tmp_path, files))))
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
    assert yolo.FORMAT.find(Listing(folder)) == []


@pytest.mark.parametrize(
    "text", ["a: &a [x]\nnames: *a\ntrain: .", "!!python/object/apply:os.system ['x']", "names: ["]
)
def test_a_bad_yaml_is_no_data_set(text: str, tmp_path: Path) -> None:
    """Aliases, Python objects and what is no YAML are not unfolded, run or stumbled over."""
    assert yolo.FORMAT.find(Listing(write(tmp_path, {"data.yaml": text}))) == []


@pytest.mark.parametrize("name", ["test", "classes", "train"])
def test_a_photo_may_be_called_like_a_list(name: str, tmp_path: Path) -> None:
    """The labels of test.jpg or classes.jpg are labels, and not a list of photos or the names of the classes."""
    files = {f"images/{name}.jpg": "", f"labels/{name}.txt": ROWS, "data.yaml": "names: [cat, dog]\ntrain: images"}
    (image,) = yolo.FORMAT.read_parts(yolo.FORMAT.find(Listing(write(tmp_path, files))))
    assert image.boxes_xyxy.tolist() == BOXES


# --- many small sets: what is read, and what is told -------------------------------------------------

CAT, DOG = "0 0.5 0.5 0.5 0.4\n", "1 0.5 0.5 0.5 0.4\n"
NAMES = "names: [cat, dog]\n"
BOTH = "train: images\nval: images\n"
TRAIN_VAL = "train: images/train\nval: images/val\n"


def pair(place: str, rows: str | bytes = CAT) -> Files:
    """A photo in images and its label file in labels, at one place in both."""
    return {f"images/{place}.jpg": "", f"labels/{place}.txt": rows}


def outcome(folder: Path, on_problem: OnProblem) -> tuple[dict[str, str], list[str]]:
    """Each photo with its split and classes, and the problems that are no notes; nothing where all is refused."""
    try:
        dataset = formats.read(folder, on_problem=on_problem)
    except DatasetError as error:
        return {}, [str(problem) for problem in error.problems]
    told = [str(problem) for problem in dataset.problems if problem.severity != "note"]
    assert all(image.boxes_xyxy.tolist() == [BOXES[0]] * len(image.labels) for image in dataset)
    classes = {image: " ".join(dataset.label_map.name(int(id)) for id in image.labels) for image in dataset}
    return {
        image.path.relative_to(folder).as_posix(): f"{image.split}: {classes[image]}".strip(": ") for image in dataset
    }, told


NFD, NFC = unicodedata.normalize("NFD", "é"), unicodedata.normalize("NFC", "é")
READ: dict[str, tuple[Files, dict[str, str], list[str]]] = {
    # names
    "each folder its list": (
        {"train/a.jpg": "", "train/a.txt": CAT, "train/classes.txt": "cat\ndog", "valid/a.jpg": "", "valid/a.txt": CAT,
         "valid/classes.txt": "dog\ncat"},
        {"train/a.jpg": "train: cat", "valid/a.jpg": "valid: dog"}, []),
    "two sets, one with a list": (
        {f"{name}/{file}": text for name in ("x", "y") for file, text in pair("a").items()}
        | {"x/data.yaml": BOTH + "names: [cat]", "y/classes.txt": "dog"},
        {"x/images/a.jpg": "cat", "y/images/a.jpg": "dog"}, []),
    "a file for each set": (
        {f"{name}/{file}": text for name in ("x", "y") for file, text in pair("a").items()}
        | {"x.yaml": "train: x/images\nval: x/images\nnames: [cat]", "y.yaml": "train: y\nval: y\nnames: [dog]"},
        {"x/images/a.jpg": "cat", "y/images/a.jpg": "dog"}, []),
    "a template with the same paths": (
        pair("train/a") | {"coco8.yaml": "path: coco8\ntrain: images/train\nnames: [person]",
                           "data.yaml": "train: images/train\ntest: images/test\n" + NAMES},
        {"images/train/a.jpg": "train: cat"},
        ["coco8.yaml gives the classes of the same photos other names", "data.yaml, test: 'images/test' is not there"]),
    "a template and a list": (
        pair("a") | {"coco.yaml": "train: images/train2017\nnames: [person]", "classes.txt": "cat"},
        {"images/a.jpg": "cat"}, []),
    "capitals of two sets": (
        {f"{name}/{file}": text for name in ("x", "y") for file, text in pair("a").items()}
        | {"x/classes.txt": "cat", "y/classes.txt": "Cat"},
        {"x/images/a.jpg": "cat", "y/images/a.jpg": "Cat"}, ["'cat' and 'Cat' are taken as 2 classes"]),
    "names with numbers": (pair("a", DOG) | {"classes.txt": "0 cat\n1 dog\n"}, {"images/a.jpg": "dog"}, []),
    "coins": (pair("a", DOG) | {"classes.txt": "1 euro\n2 euro\n"}, {"images/a.jpg": "2 euro"}, []),
    # data.yaml
    "names from 1": (pair("a", DOG) | {"data.yaml": BOTH + "names: {1: cat, 2: dog}"},
                     {"images/a.jpg": "cat"}, ["data.yaml: its names are numbered 1 to 2"]),
    "names with a gap": (pair("a", DOG.replace("1", "2", 1)) | {"data.yaml": BOTH + "names: {0: cat, 2: dog}"},
                         {"images/a.jpg": "dog"}, []),
    "yes and no": (pair("a") | pair("b", DOG) | {"data.yaml": BOTH + "names: [yes, no]"},
                   {"images/a.jpg": "yes", "images/b.jpg": "no"}, []),
    "null and 007": (pair("a") | pair("b", DOG) | {"data.yaml": BOTH + "names:\n  0: null\n  1: 007"},
                     {"images/a.jpg": "null", "images/b.jpg": "007"}, []),
    "& and *": (pair("a") | pair("b", DOG) | {"data.yaml": BOTH + "names: [salt & pepper, a*b]"},
                {"images/a.jpg": "salt & pepper", "images/b.jpg": "a*b"}, []),
    "as PyYAML writes a list twice": (
        pair("train/a") | {"data.yaml": "train: &id001\n- images/train\nval: *id001\n" + NAMES},
        {"images/train/a.jpg": "train: cat"}, []),
    "Windows-1252": (pair("a") | {"data.yaml": (BOTH + "names: [Käfer]").encode("cp1252")},
                     {"images/a.jpg": "Käfer"}, ["data.yaml: it is not UTF-8, and was read as Windows-1252: 'Käfer'"]),
    "UTF-16": (pair("a", CAT.encode("utf-16")) | pair("b", CAT.encode("utf-16-le"))
               | {"data.yaml": (BOTH + "names: [Käfer]").encode("utf-16")},
               {"images/a.jpg": "Käfer", "images/b.jpg": "Käfer"}, []),
    "tabs": (pair("a") | {"data.yaml": BOTH + "names:\n\t0:\tcat\n\t1: dog"}, {"images/a.jpg": "cat"}, []),
    "nc differs": (pair("a") | {"data.yaml": BOTH + "nc: 80\n" + NAMES}, {"images/a.jpg": "cat"}, ["nc is 80, and"]),
    "broken, and a list": (pair("a") | {"data.yaml": BOTH + "names: [cat", "classes.txt": "cat"},
                           {"images/a.jpg": "cat"}, ["data.yaml: it cannot be read as YAML (line 3"]),
    "a split that is not there": (
        pair("train/a") | pair("val/b") | {"data.yaml": "train: images/train\nval: images/valid_new\n" + NAMES},
        {"images/train/a.jpg": "train: cat"},
        ["data.yaml, val: 'images/valid_new' is not there", "1 photo, b.jpg, in images/val, left out"]),
    "nothing behind a key": (pair("train/a") | {"data.yaml": "train: images/train\nval: null\ntest:\n" + NAMES},
                             {"images/train/a.jpg": "train: cat"}, []),
    "a path through a folder called test": (
        pair("train/a") | {"data.yaml": "train: C:\\me\\test\\pets\\images\\train\n" + NAMES},
        {"images/train/a.jpg": "train: cat"}, []),
    "a list never takes another split's photo": (
        pair("train/a") | {"data.yaml": "train: images/train\nval: val.txt\n" + NAMES, "val.txt": "valid/images/a.jpg"},
        {"images/train/a.jpg": "train: cat"}, ["data.yaml, val: 'val.txt' is not there, or has no photos"]),
    "a list of names that data.yaml names": (
        pair("a") | {"data.yaml": BOTH + "names: cfg/my.txt", "cfg/my.txt": "cat"}, {"images/a.jpg": "cat"}, []),
    "one folder in both": (
        {"train/images/a.jpg": "", "train/labels/a.txt": CAT, "more/b.jpg": "", "more/b.txt": DOG,
         "data.yaml": "train: [train/images, more]\nval: train/images\n" + NAMES},
        {"more/b.jpg": "train: dog", "train/images/a.jpg": "train: cat"}, ["both in train and val: 1 photo, a.jpg"]),
    "an empty data.yaml": (pair("a") | {"data.yaml": "", "classes.txt": "cat"},
                           {"images/a.jpg": "cat"}, ["data.yaml: it is empty, too large, or no text"]),
    "labels without their photos": (
        pair("x/a") | {"labels/y/b.txt": CAT, "labels/y/c.txt": "", "classes.txt": "cat"},
        {"images/x/a.jpg": "cat"}, ["2 label files, such as b.txt, in labels/y, left out: no photo is called so"]),
    "val and valid": (
        {"images/val/a.jpg": "", "labels/valid/a.txt": CAT, "images/train/a.jpg": "", "labels/train/a.txt": DOG,
         "data.yaml": TRAIN_VAL + NAMES},
        {"images/train/a.jpg": "train: dog", "images/val/a.jpg": "val: cat"}, []),
    "never another split's folder": (
        pair("a") | {"data.yaml": "train: images\nval: valid/images\n" + NAMES},
        {"images/a.jpg": "train: cat"}, ["data.yaml, val: 'valid/images' is not there"]),
    "a folder that is not named": (
        pair("train/a") | pair("more/b") | {"data.yaml": "train: images/train\n" + NAMES},
        {"images/train/a.jpg": "train: cat"}, ["1 photo, b.jpg, in images/more, left out"]),
    "a split within another": (
        pair("a") | pair("val/b", DOG) | {"data.yaml": "train: images\nval: images/val\n" + NAMES},
        {"images/a.jpg": "train: cat", "images/val/b.jpg": "val: dog"}, []),
    "CVAT's subsets": (
        pair("night/a") | {"data.yaml": "path: .\nnight: night.txt\n" + NAMES, "night.txt": "data/images/night/a.jpg"},
        {"images/night/a.jpg": "night: cat"}, []),
    # lists
    "lists of names in two folders": (
        pair("x/1") | pair("y/1", DOG)
        | {"data.yaml": "train: train.txt\nval: val.txt\n" + NAMES, "train.txt": "C:\\me\\images\\x\\1.jpg",
           "val.txt": "./images/y/1.jpg"},
        {"images/x/1.jpg": "train: cat", "images/y/1.jpg": "val: dog"}, []),
    "lists that no file names": (
        pair("a") | pair("b", DOG) | pair("c")
        | {"train.txt": "a.jpg", "test.txt": "images/b.jpg", "obj.names": "cat\ndog"},
        {"images/a.jpg": "train: cat", "images/b.jpg": "test: dog"}, ["1 photo, c.jpg, in images, left out"]),
    "a list with a photo that is gone": (
        pair("a") | {"data.yaml": "train: train.txt\n" + NAMES, "train.txt": "images/a.jpg\nimages/x.jpg"},
        {"images/a.jpg": "train: cat"}, ["'train.txt' lists what is not there, or is there twice: 1 photo"]),
    "one list for both": (
        pair("a") | {"x.data": "train=t.txt\nvalid=t.txt\nnames=x.names", "x.names": "cat", "t.txt": "images/a.jpg"},
        {"images/a.jpg": "cat"}, ["train and valid are the same: 1 photo, a.jpg"]),
    # folders
    "subfolders": (
        pair("train/a") | pair("train/cam 1/a", DOG) | pair("val/x/y/b") | {"data.yaml": TRAIN_VAL + NAMES},
        {"images/train/a.jpg": "train: cat", "images/train/cam 1/a.jpg": "train: dog",
         "images/val/x/y/b.jpg": "val: cat"}, []),
    "subfolders too deep to be listed": (
        pair("train/a") | pair("train/1/2/3/4/5/6/a", DOG) | {"data.yaml": "train: images/train\n" + NAMES},
        {"images/train/a.jpg": "train: cat", "images/train/1/2/3/4/5/6/a.jpg": "train: dog"}, []),
    "subfolders without data.yaml": (pair("a") | pair("old/a", DOG) | {"classes.txt": "cat\ndog"},
                                     {"images/a.jpg": "cat", "images/old/a.jpg": "dog"}, []),
    "capitals": ({"Images/A/a.JPG": "", "Labels/a/A.TXT": CAT, "Classes.txt": "cat"}, {"Images/A/a.JPG": "cat"}, []),
    "data.yaml in other capitals": (
        {"Train/Images/a.jpg": "", "Train/Labels/a.txt": CAT, "data.yaml": "train: ../train/images\n" + NAMES},
        {"Train/Images/a.jpg": "Train: cat"}, []),
    "folders called otherwise": (
        {"train_images/a.jpg": "", "train_labels/a.txt": CAT, "val_images/a.jpg": "", "val_labels/a.txt": DOG,
         "labels.txt": "cat\ndog"},
        {"train_images/a.jpg": "train: cat", "val_images/a.jpg": "val: dog"}, []),
    "labels in a tree of their own": (
        {"train/a.jpg": "", "labels/train/a.txt": CAT, "val/a.jpg": "", "labels/val/a.txt": DOG, "x.names": "cat\ndog"},
        {"train/a.jpg": "train: cat", "val/a.jpg": "val: dog"}, []),
    "labels in folders of splits": (
        {"images/a.jpg": "", "images/b.jpg": "", "images/c.jpg": "", "labels/train/a.txt": CAT,
         "labels/val/b.txt": DOG, "x.names": "cat\ndog"},
        {"images/a.jpg": "train: cat", "images/b.jpg": "val: dog"}, ["1 photo, c.jpg, in images, left out"]),
    "labels in one folder": (
        {"images/train/a.jpg": "", "images/val/b.jpg": "", "labels/a.txt": CAT, "labels/b.txt": DOG,
         "x.names": "cat\ndog"},
        {"images/train/a.jpg": "train: cat", "images/val/b.jpg": "val: dog"}, []),
    "CVAT's YOLO 1.1": (
        {"obj_train_data/x/a.jpg": "", "obj_train_data/x/a.txt": DOG, "train.txt": "data/obj_train_data/x/a.jpg",
         "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/",
         "obj.names": "cat\ndog"},
        {"obj_train_data/x/a.jpg": "train: dog"}, []),
    "Label Studio, with the photos from before": (
        {"images/a.jpg": "", "labels/1a2b3c4d-a.txt": CAT, "classes.txt": "cat", "notes.json": '{"categories": []}'},
        {"images/a.jpg": "cat"}, []),
    # pairing
    "other capitals": ({"IMG_1.JPG": "", "img_1.txt": CAT, "classes.txt": "cat"}, {"IMG_1.JPG": "cat"}, []),
    "upper TXT": ({"a.jpg": "", "a.TXT": CAT, "classes.txt": "cat"}, {"a.jpg": "cat"}, []),
    "a.jpg.txt": ({"a.jpg": "", "a.jpg.txt": CAT, "classes.txt": "cat"}, {"a.jpg": "cat"}, []),
    "accents": ({f"{NFD}.jpg": "", f"{NFC}.txt": CAT, "classes.txt": "cat"}, {f"{NFD}.jpg": "cat"}, []),
    "background": (pair("a") | {"images/b.jpg": "", "classes.txt": "cat", "labels/README.txt": "Mine"},
                   {"images/a.jpg": "cat", "images/b.jpg": ""}, []),
    "first labels empty": (
        {f"{name}.jpg": "" for name in "abcdefg"} | {f"{name}.txt": "\n" * (name < "c") for name in "abcdef"}
        | {"g.txt": CAT, "obj.names": "cat"},
        dict.fromkeys([f"{name}.jpg" for name in "abcdef"], "") | {"g.jpg": "cat"}, []),
    "all labels of a folder gone": (
        pair("train/a") | {"images/val/b.jpg": "", "data.yaml": TRAIN_VAL + NAMES},
        {"images/train/a.jpg": "train: cat"}, ["no label file for 1 photo, b.jpg, nor for any other here: left out"]),
    # rows
    "commas": (
        pair("a", "0,0.5,0.5,0.5,0.4") | pair("b", "0, .5, .5, .5, .4\n") | pair("c", "0 0,5 0,5 0,5 0,4")
        | pair("d", "0;0,5;0,5;0,5;0,4") | {"classes.txt": "cat"},
        {f"images/{name}.jpg": "cat" for name in "abcd"}, []),
    "confidence and track": (
        pair("a", "0 .5 .5 .5 .4 .9\n") | pair("b", "0 .5 .5 .5 .4 .9 7\n0 .5 .5 .5 .4 .8 1") | {"x.names": "cat"},
        {"images/a.jpg": "cat", "images/b.jpg": "cat cat"}, []),
    "kpt_shape": (
        pair("a", f"0 .5 .5 .5 .4{' .3 .4' * 4}") | pair("b", "0 .5 .5 .5 .4")
        | {"data.yaml": BOTH + "kpt_shape: [4, 2]\n" + NAMES},
        {"images/a.jpg": "cat", "images/b.jpg": "cat"}, []),
    "key points with visibility": (pair("a", "0 .5 .5 .5 .4 .4 .4 2 .6 .6 1") | {"classes.txt": "cat"},
                                   {"images/a.jpg": "cat"}, []),
}  # fmt: skip


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
@pytest.mark.parametrize(("files", "images", "told"), READ.values(), ids=READ)
def test_small_sets_are_read(
    files: Files, images: dict[str, str], told: list[str], on_problem: str, tmp_path: Path
) -> None:
    """Each photo has its own labels, with the names of its own folder or data.yaml, and its split; the rest is told."""
    found, problems = outcome(write(tmp_path / "set", files), on_problem)
    assert found == images
    assert len(problems) == len(told)
    for problem in told:
        assert any(problem in one for one in problems)


TOLD: dict[str, tuple[Files, str, dict[str, str]]] = {
    "two lists for one folder": (pair("a") | {"data.yaml": BOTH + NAMES, "labels/classes.txt": "dog\ncat"},
                                 "class 0 is 'dog' here, and 'cat' in data.yaml", {}),
    "two files for one folder": (pair("a") | {"x.yaml": BOTH + NAMES, "y.yaml": BOTH + "names: [dog, cat]"},
                                 "y.yaml gives the classes of the same photos other names than x.yaml", {}),
    "one folder without names": (
        {f"{name}/{file}": text for name in ("x", "y") for file, text in pair("a").items()} | {"x/classes.txt": "cat"},
        "y/labels: no data.yaml or classes.txt names the classes here", {"x/images/a.jpg": "cat"}),
    "names from 1, and a class 0": (pair("a") | pair("b", DOG) | {"data.yaml": BOTH + "names: {1: cat, 2: dog}"},
                                    "numbered 1 to 2, and the labels have a class 0", {}),
    "a list from 1, and a class 0": (pair("a") | {"classes.txt": "1 cat\n2 dog"},
                                     "numbered 1 to 2, and the labels have a class 0", {}),
    "one folder in both, and another": (
        {"x/a.jpg": "", "x/a.txt": CAT, "y/b.jpg": "", "y/b.txt": CAT, "data.yaml": "train: [x, y]\nval: x\n" + NAMES},
        "both in train and val: 1 photo, a.jpg", {"y/b.jpg": "train: cat"}),
    "labels from 1": (pair("a", DOG) | pair("b", DOG.replace("1", "2", 1)) | {"data.yaml": BOTH + NAMES},
                      "numbered 0 to 1, and the labels' classes 1 to 2", {}),
    "a name that is an anchor": (pair("a") | {"data.yaml": BOTH + "names:\n- &b burger\n"},
                                 "data.yaml: line 4 has a value that begins with & or *", {"images/a.jpg": "0"}),
    "a name that is an alias": (pair("a") | {"data.yaml": BOTH + "names: [cat, *star]\n"},
                                "data.yaml: line 3 has a value that begins with & or *", {"images/a.jpg": "0"}),
    "a tab among spaces": (pair("a") | {"data.yaml": BOTH + "names:\n  0: cat\n\t1: dog\n"},
                           "data.yaml: it cannot be read as YAML (line 5: found char", {"images/a.jpg": "0"}),
    "names that are a text": (pair("a") | {"data.yaml": BOTH + "names: cat, dog\n"},
                              "data.yaml: its names are the text 'cat, dog', not a list", {"images/a.jpg": "0"}),
    "a number with two names": (pair("a") | {"data.yaml": BOTH + "names: {0: cat, 0: dog}\n"},
                                "data.yaml: line 3: class 0 has two names", {"images/a.jpg": "0"}),
    "kpt_shape that is none": (pair("a") | {"data.yaml": BOTH + "kpt_shape: 17\n" + NAMES},
                               "data.yaml: kpt_shape is not the number of key points and 2", {"images/a.jpg": "0"}),
    "one photo in two lists": (
        pair("a") | pair("b") | {"data.yaml": "train: t.txt\nval: v.txt\n" + NAMES, "v.txt": "images/b.jpg",
                                 "t.txt": "images/a.jpg\nimages/b.jpg"},
        "both in train and val: 1 photo, b.jpg", {"images/a.jpg": "train: cat"}),
    "jpg and png": (pair("a") | pair("b") | {"images/a.png": "", "classes.txt": "cat"},
                    "a.txt: it may describe 'a.jpg' or 'a.png'", {"images/b.jpg": "cat"}),
    "one label for two folders": (
        {"images/train/a.jpg": "", "images/val/a.jpg": "", "images/val/b.jpg": "", "labels/a.txt": CAT,
         "labels/b.txt": CAT, "classes.txt": "cat"},
        "it may describe train/a.jpg or val/a.jpg", {"images/val/b.jpg": "val: cat"}),
    "a.txt and a.TXT": (pair("a") | pair("b") | {"labels/a.TXT": DOG, "classes.txt": "cat\ndog"},
                        "a.jpg: 2 annotations describe this image: a.TXT; a.txt", {"images/b.jpg": "cat"}),
    "misspelled": (
        pair("a") | {"images/img_2.jpg": "", "labels/img2.txt": CAT, "images/c.jpg": "", "classes.txt": "cat"},
        "img2.txt: its image is missing", {"images/a.jpg": "cat"}),
    "labels in two places": (
        pair("a") | {"images/b.jpg": "", "images/b.txt": CAT, "images/c.jpg": "", "classes.txt": "cat"},
        "the labels of b.jpg may be", {"images/a.jpg": "cat", "images/c.jpg": ""}),
    "a label in another folder": (pair("a") | pair("c") | {"images/b.jpg": "", "labels/x/b.txt": CAT, "x.names": "cat"},
                                  "the labels of b.jpg may be", {"images/a.jpg": "cat", "images/c.jpg": "cat"}),
    "an angle": (pair("a", "0 .5 .5 .5 .4 .3\n") | pair("b", "0 .5 .5 .5 .4 -1.2\n") | pair("c") | {"x.names": "cat"},
                 "a.txt, line 1: the row 0 .5 .5 .5 .4 .3 has a sixth number that is no confidence",
                 {"images/c.jpg": "cat"}),
    "a track without confidence": (pair("a", "0 .5 .5 .5 .4 17\n") | pair("c") | {"x.names": "cat"},
                                   "has a sixth number that is no confidence", {"images/c.jpg": "cat"}),
    "a track or an outline": (pair("a", "0 .5 .5 .5 .4 .9 1\n") | pair("c") | {"x.names": "cat"},
                              "has seven numbers, which may be a box with a confidence and a track's number",
                              {"images/c.jpg": "cat"}),
    "key points or an outline": (pair("a", "0 .5 .5 .2 .2 .45 .45 .55 .55\n") | pair("c") | {"x.names": "cat"},
                                 "may be an outline, or a box with key points", {"images/c.jpg": "cat"}),
    "not as kpt_shape": (
        pair("a", "0 .5 .5 .5 .4 .4 .4\n" + CAT) | {"data.yaml": BOTH + "kpt_shape: [2, 2]\n" + NAMES},
        "a.txt, line 1 ('cat'): the row has 7 numbers, not 9, as kpt_shape has it", {"images/a.jpg": "cat"}),
}  # fmt: skip


@pytest.mark.parametrize(("files", "told", "left"), TOLD.values(), ids=TOLD)
def test_small_sets_that_are_not_clear(files: Files, told: str, left: dict[str, str], tmp_path: Path) -> None:
    """What may mean two things is an error that says where and what; with skip, only what is clear is read."""
    folder = write(tmp_path / "set", files)
    with pytest.raises(DatasetError) as error:
        formats.read(folder)
    assert told in str(error.value)
    assert len(str(error.value).splitlines()) == 2
    found, problems = outcome(folder, "skip")
    assert found == left
    assert any(told in problem for problem in problems)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("w02_labelimg_classes_differ", {"train/folder_a.jpg": "train: alfa", "valid/folder_b.jpg": "valid: gamma"}),
        ("w03_two_data_yaml", {"helmets/images/helmets.jpg": "helmet", "vests/images/vests.jpg": "vest"}),
        ("w05_yolo_pose_2d", {"images/train/a.jpg": "train: cat", "images/val/b.jpg": "val: cat"}),
        ("w28_names_from_1", {f"{split}/images/{name}.jpg": f"{split}: {'dog' if name == 'b' else 'cat'}"
                              for split, name in (("train", "a"), ("valid", "b"), ("test", "c"))}),
        ("f11_yolo_folder_not_named", {"train/images/a.jpg": "train: cat", "train/images/b.jpg": "train: cat"}),
    ],
)  # fmt: skip
def test_sets_that_people_reported(name: str, expected: dict[str, str], shared: Path) -> None:
    """Sets that were read wrong without a word are read right."""
    folder = shared / "data/reported" / name
    dataset = formats.read(folder)
    assert {
        image.path.relative_to(folder).as_posix(): f"{image.split}: {dataset.label_map.name(int(image.labels[0]))}"
        .strip(": ") for image in dataset
    } == expected  # fmt: skip


@pytest.mark.parametrize(
    "splits",
    ["Train Valid Test", "train2017 val2017", "trainval test", "backyard street", "train backyard",
     "val validation train", " train", " train val", "test", "train_a train_b", "fold1 fold2 fold3", "no yes"],
)  # fmt: skip
def test_any_division_is_written_and_read_back(splits: str, tmp_path: Path) -> None:
    """Splits of any names come back whole, images of none too; Ultralytics finds train and val in it."""
    names = splits.split(" ")
    images = [
        LabelledImage(Path(f"{number}.jpg"), 40, 30, [[1, 2, 30, 20]], [1], encoded=jpeg(40, 30), split=split)
        for number, split in enumerate([*names, *names])
    ]
    folder = yolo.write(Dataset(tuple(images), LabelMap(["cat", "dog"])), tmp_path / "out")
    found = formats.read(folder)
    assert {image.path.name: image.split for image in found} == {image.path.name: image.split for image in images}
    assert not any(problem.severity == "error" for problem in found.problems)
    data = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    for key in ("train", "val"):
        for place in [data[key]] if isinstance(data[key], str) else data[key]:
            assert any((folder / place).glob("*.jpg"))
    with pytest.raises(ValueError, match="which is a setting of"):
        yolo.write(
            Dataset(tuple(dataclasses.replace(one, split="names") for one in images), found.label_map), tmp_path / "x"
        )


def test_photos_without_any_label(tmp_path: Path) -> None:
    """Photos without a label file among them are no background; a data.yaml beside another format's is no YOLO."""
    write(tmp_path, {"images/a.jpg": "", "data.yaml": BOTH + NAMES})
    assert yolo.FORMAT.find(Listing(tmp_path)) == []
    with pytest.raises(DatasetError, match=r"there is no label file for 1 photo, a\.jpg, nor for any other here"):
        yolo.read(tmp_path)


def test_a_part_of_a_set_knows_its_data_yaml(tmp_path: Path) -> None:
    """The folder of one split, or of the photos alone, has the names and key points of the data.yaml above it."""
    files = {f"{split}/{file}": text for split in ("train", "valid") for file, text in pair("a", DOG).items()}
    write(tmp_path, files | {"data.yaml": "train: ../train/images\nval: ../valid/images\n" + NAMES})
    for folder in ("valid", "valid/images"):
        dataset = yolo.read(tmp_path / folder)
        assert [(image.split, dataset.counts()) for image in dataset] == [("valid", {"cat": 0, "dog": 1})]
    assert formats.read(tmp_path / "valid").problems == ()
    flat = {f"{split}/{file}": text for split in ("train", "test") for file, text in (("a.jpg", ""), ("a.txt", DOG))}
    write(tmp_path / "flat", flat | {"data.yaml": "train: train\nval: test\n" + NAMES, "train/b.jpg": ""})
    dataset = formats.read(tmp_path / "flat/train")
    assert [(image.path.name, image.split, len(image.labels)) for image in dataset] == [
        ("a.jpg", "train", 1), ("b.jpg", "train", 0)
    ]  # fmt: skip


@QUICK
@given(datasets(splits=("train", "val")))
def test_round_trip_with_splits_changes_nothing(dataset: Dataset) -> None:
    """Writing and reading gives the same images, boxes to the last bit, classes and splits."""
    with tempfile.TemporaryDirectory() as name:
        assert_equal(
            yolo.FORMAT.read_parts(yolo.FORMAT.find(Listing(yolo.write(dataset, Path(name) / "written")))), dataset
        )


@QUICK
@given(datasets())
def test_round_trip_changes_nothing(dataset: Dataset) -> None:
    """The same where the images belong to no splits."""
    with tempfile.TemporaryDirectory() as name:
        folder = yolo.write(dataset, Path(name) / "written")
        assert_equal(yolo.FORMAT.read_parts(yolo.FORMAT.find(Listing(folder))), dataset)
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
