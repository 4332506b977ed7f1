"""formats.tfod_csv: the table is read by its rules, and comes back exactly."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import formats
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import tfod_csv, voc
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the photos a.jpg and b.jpg, 60 x 40 pixels."""
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (60, 40)).save(tmp_path / name)
    return tmp_path


def table(folder: Path, rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    """A table of boxes, written to a file."""
    path = folder / "labels.csv"
    path.write_text(header + rows, encoding=encoding)
    return path


def facts(dataset: Dataset) -> list[tuple]:
    """All that a reader finds out about each photo."""
    return [
        (image.path.name, image.width, image.height, image.boxes_xyxy.tobytes(), image.labels.tobytes())
        for image in dataset
    ]


def errors(folder: Path, path: Path, **options: object) -> list[str]:
    """The errors for which a data set was refused."""
    with pytest.raises(DatasetError) as caught:
        tfod_csv.read(folder, path, **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


def test_rows_become_labelled_images(folder: Path) -> None:
    """Rows of one file are one image, in any column order, with blank rows and columns to spare."""
    path = table(
        folder,
        "0,cat,b.jpg,60,40,1,2,30,31\n\n1,dog,a.jpg,60,40,0,0,60,40\n2,cat,b.jpg,60,40,1.5,2,3,4\n",
        header="number,class, filename,width,height,xmin,ymin,xmax,ymax\n",
        encoding="utf-8-sig",
    )
    dataset = tfod_csv.read(folder, path)
    assert [image.path for image in dataset] == [folder / "a.jpg", folder / "b.jpg"]
    assert dataset[1].boxes_xyxy.tolist() == [[1, 2, 30, 31], [1.5, 2, 3, 4]]
    assert [image.labels.tolist() for image in dataset] == [[2], [1, 1]]
    assert dataset.label_map.names == ("cat", "dog")
    assert dataset.problems == ()


def test_all_problems_at_once(folder: Path) -> None:
    """Each bad row is named as a spreadsheet counts it, all of them in one report."""
    path = table(
        folder,
        "a.jpg,60,40,cat,30,2,1,31\n"
        "a.jpg,60,40,cat,1,2,3\n"
        "a.jpg,60,40,big, brown dog,1,2,3,4\n"
        "a.jpg,60,40,,1,2,3,4\n"
        "a.jpg,60,40,cat,1,nan,3,4\n"
        "\n"
        "gone.jpg,60,40,cat,1,2,3,4\n"
        ",60,40,cat,1,2,3,4\n",
    )
    assert errors(folder, path) == [
        "labels.csv, row 8: its image is missing, there is no 'gone.jpg' (its filename) in "
        f"{folder.name}. Put the image back or delete the annotation.",
        "labels.csv, row 9: the filename is empty. Write the photo's file name, or delete the row.",
        "labels.csv, row 2 ('cat'): xmax 1 is not right of xmin 30. Fix the box or delete the object.",
        "labels.csv, row 3 ('cat'): the row has 7 fields, and the first row 8. "
        "Put a text that holds a comma between double quotes.",
        "labels.csv, row 4 ('big'): the row has 9 fields, and the first row 8. "
        "Put a text that holds a comma between double quotes.",
        "labels.csv, row 5: a class name must be a text that is not empty, got ''. Name the class.",
        "labels.csv, row 6 ('cat'): ymin is 'nan', not a number. Fix the box or delete the object.",
    ]


def test_skip_leaves_out_only_the_bad_row(folder: Path) -> None:
    """A bad row is listed, and the other rows of its image stay."""
    path = table(folder, "a.jpg,60,40,cat,1,2,3,4\na.jpg,60,40,cat,3,2,1,4\nb.jpg,40,60,cat,1,2,3,4\n")
    dataset = tfod_csv.read(folder, path, on_problem="skip")
    assert [(image.path.name, image.boxes_xyxy.tolist()) for image in dataset] == [("a.jpg", [[1, 2, 3, 4]])]
    assert [(problem.severity, problem.object) for problem in dataset.problems] == [
        ("error", "row 3 ('cat')"),
        ("error", "row 4"),
    ]
    assert "width and height are swapped" in dataset.problems[1].what


def test_rows_that_disagree_on_the_size(folder: Path) -> None:
    """Two sizes of one photo are an error that names a row for each."""
    path = table(folder, "a.jpg,60,40,cat,1,2,3,4\na.jpg,40,60,cat,1,2,3,4\n")
    assert errors(folder, path) == [
        "labels.csv, row 2: 'a.jpg' has several sizes: 60 x 40 in row 2; 40 x 60 in row 3. "
        "Give all rows of one photo its size."
    ]


def test_one_photo_spelled_in_several_ways(folder: Path) -> None:
    """Rows that write one photo's name with a path, in other capitals or with backslashes are one image together."""
    names = ["a.jpg", "A.JPG", "images/a.jpg", ".\\images\\a.jpg", "C:\\images\\a.jpg", "a"]
    path = table(folder, "".join(f"{name},60,40,cat,{number},2,30,31\n" for number, name in enumerate(names)))
    (image,) = [image for image in tfod_csv.read(folder, path, on_problem="skip")]
    assert [box[0] for box in image.boxes_xyxy.tolist()] == [0, 1, 2, 3, 4, 5]


def test_two_spellings_of_one_photo(folder: Path) -> None:
    """Paths that lead to the same photo are named both: they may have been two photos once."""
    path = table(folder, "x/a.jpg,60,40,cat,1,2,3,4\ny\\a.jpg,60,40,cat,1,2,3,4\n")
    assert errors(folder, path)[0].startswith(
        "a.jpg: 2 annotations describe this image: labels.csv, row 2 ('x/a.jpg'); labels.csv, row 3 ('y\\\\a.jpg')."
    )


def test_class_not_in_label_map(folder: Path) -> None:
    """With a label map given, a class outside it is an error that names the nearest."""
    path = table(folder, "a.jpg,60,40,caat,1,2,3,4\n")
    text = "class 'caat' is not in the label map (dog, cat). Did you mean 'cat'? Correct the name"
    assert text in errors(folder, path, label_map=LabelMap(["dog", "cat"]))[0]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "labels.csv: columns are missing: filename, width, height, class, xmin, ymin, xmax, ymax; the first"),
        (
            b"filename;width\na.jpg;60\n",
            "the first row is ['filename', 'width']. The first row must name",
        ),
        (HEADER.encode(), "labels.csv: it has no rows below the first. Add one row a box."),
        (HEADER.encode() + b"a.jpg,60,40,\x81,1,2,3,4\n", "labels.csv: it cannot be read ('charmap' codec can't"),
        (HEADER.replace("width", "xmin").encode() + b"a.jpg,1,2,c,1,2,3,4\n", "columns are missing: width; the first"),
        (HEADER.replace("\n", ",xmin\n").encode(), "labels.csv: columns are there twice: xmin. Keep one of each."),
        (HEADER.encode() + b'a.jpg,60,40,"cat,1,2,3,4\n', "labels.csv: it cannot be read (unexpected end of data)"),
    ],
)
def test_no_such_table(content: bytes, text: str, folder: Path) -> None:
    """A file that is not this table says what is missing."""
    (folder / "labels.csv").write_bytes(content)
    found = errors(folder, folder / "labels.csv")
    assert len(found) == 1
    assert text in found[0]


SEMICOLONS = HEADER.replace(",", ";") + "a.jpg;60;40;cão, big;1,5;2,25;30;31,125\n"


@pytest.mark.parametrize(
    "content",
    [
        SEMICOLONS.encode(),
        SEMICOLONS.encode("utf-8-sig"),
        SEMICOLONS.encode("utf-16"),
        SEMICOLONS.encode("utf-16-le"),
        SEMICOLONS.encode("utf-16-be"),
        SEMICOLONS.replace("\n", "\r\n").encode(),
        SEMICOLONS.replace("\n", "\r").encode(),
        SEMICOLONS.replace("\n", ";;\n").encode() + b";;;;;;;;;\n",
        SEMICOLONS.upper().replace("A.JPG", "a.jpg").replace("CÃO, BIG", "cão, big").encode(),
        b"sep=;\r\n" + SEMICOLONS.encode(),
        SEMICOLONS.replace(";", "\t").encode("utf-16"),
        SEMICOLONS.replace(";", "|").encode(),
        b'"' + HEADER.strip().replace(",", '", "').encode() + b'"\n'
        b'a.jpg,60, 40, "c\xc3\xa3o, big", 1.5,  2.25, "30",31.125\n',
        (SEMICOLONS.replace(",", ".").replace(";", ",").replace("cão.", '"cão,').replace("big", 'big"')).encode(),
        "sep=,\n".encode("utf-16") + SEMICOLONS.replace(",", ".").replace(";", ",").replace("cão. big", '"cão, big"')
        .encode("utf-16-le"),
        '"' + SEMICOLONS.replace(";", '";"').replace("\n", '"\n"').removesuffix('"').encode().decode(),
    ],
)  # fmt: skip
def test_tables_as_spreadsheets_write_them(content: bytes | str, folder: Path) -> None:
    """Semicolons with decimal commas, tabs, UTF-16, sep=, quotes and blank columns are read as the table they are."""
    (folder / "labels.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    dataset = tfod_csv.read(folder)
    assert [image.boxes_xyxy.tolist() for image in dataset] == [[[1.5, 2.25, 30, 31.125]]]
    assert list(dataset.label_map) == ["cão, big"]


def test_encoding_that_is_a_guess_is_told(folder: Path) -> None:
    """A table in neither UTF-8 nor UTF-16 is read as old Windows programs wrote it, with a warning that shows how."""
    dataset = tfod_csv.read(folder, table(folder, "a.jpg,60,40,cão,1,2,3,4\n", encoding="cp1252"))
    assert list(dataset.label_map) == ["cão"]
    assert [str(problem) for problem in dataset.problems if problem.severity == "warning"] == [
        "labels.csv: it is not in UTF-8, and is read as Windows-1252, with words such as 'cão'. "
        "If that is not how it is written, save it as UTF-8."
    ]


@pytest.mark.parametrize(
    ("row", "sign"), [('a.jpg,60,40,cat,1,2,"30,5",4\n', ","), ("a.jpg\t60\t40\tcat\t1\t2\t1,024\t1,040\n", "\t")]
)
def test_comma_that_may_mean_thousands(row: str, sign: str, folder: Path) -> None:
    """A comma within a number that may as well group digits is an error, and no guess."""
    assert "with a decimal comma" in errors(folder, table(folder, row, HEADER.replace(",", sign)))[0]


def test_long_header_is_shortened(folder: Path) -> None:
    """A first row of thousands of letters is shown by its beginning."""
    path = table(folder, "", header=",".join(f"column_{number}" for number in range(300)) + "\n")
    assert len(errors(folder, path)[0]) < 400


def test_paths_that_are_no_table(folder: Path) -> None:
    """A missing table and a folder are told apart, and the folder's tables are named."""
    with pytest.raises(FileNotFoundError, match=r"labels\.csv: there is no such annotation file. Check the path"):
        tfod_csv.read(folder, folder / "labels.csv")
    table(folder, "a.jpg,60,40,cat,1,2,3,4\n")
    with pytest.raises(IsADirectoryError, match=r"Give one CSV file; those in it: labels\.csv"):
        tfod_csv.read(folder, folder)


def test_background_stands_in_one_empty_row(folder: Path) -> None:
    """An image without objects survives the table; an empty row beside others is an error."""
    background = LabelledImage(folder / "a.jpg", 60, 40, [], [])
    cat = LabelledImage(folder / "b.jpg", 60, 40, [[1, 2, 3, 4]], [1])
    dataset = Dataset((background, cat), LabelMap(["cat"]))
    path = tfod_csv.write(dataset, folder / "labels.csv")
    assert path.read_text() == f"{HEADER}a.jpg,60,40,,,,,\nb.jpg,60,40,cat,1,2,3,4\n"
    again = tfod_csv.read(folder, path)
    assert facts(again) == facts(dataset)
    assert [str(problem) for problem in again.problems] == [
        "labels.csv, row 2: it has no objects. a.jpg is kept as background."
    ]
    path = table(folder, "a.jpg,60,40,cat,1,2,3,4\na.jpg,60,40,,,,,\n")
    assert errors(folder, path)[1] == "labels.csv, row 3: xmin is empty. Fix the box or delete the object."


def test_voc_csv_voc_of_real_photos(shared: Path, tmp_path: Path) -> None:
    """Real annotations go from XML to the table and back to XML without a change."""
    photos = shared / "data/asirra/test"
    first = voc.read(photos)
    second = tfod_csv.read(photos, tfod_csv.write(first, tmp_path / "labels.csv"))
    third = voc.read(voc.write(second, tmp_path / "copy"))
    assert len(first) == 105
    assert facts(first) == facts(second) == facts(third)
    assert first.label_map == second.label_map == third.label_map


def test_voc_csv_voc_of_made_up_boxes(tmp_path: Path) -> None:
    """Fractional coordinates and names with commas, quotes and formulas come back bit by bit."""
    random = np.random.default_rng(5)
    label_map = LabelMap(["=cmd|x", 'cat, "big"', "🐱", "cão"])
    images = []
    for name in ("=1+1.jpg", "ação (1).jpg", 'one, "two".jpg'):
        Image.new("RGB", (60, 40)).save(tmp_path / name)
        corners = np.sort(random.uniform(0, 1, (20, 2, 2)), axis=1).astype(np.float32) * np.float32([60, 40])
        labels = random.integers(1, 5, 20)
        images.append(LabelledImage(tmp_path / name, 60, 40, corners.reshape(-1, 4), labels))
    first = Dataset(tuple(sorted(images, key=lambda image: image.path.name)), label_map)
    path = tfod_csv.write(first, tmp_path / "labels.csv")
    second = tfod_csv.read(tmp_path, path, label_map=label_map)
    third = voc.read(voc.write(second, tmp_path / "copy"), label_map=label_map)
    assert facts(first) == facts(second) == facts(third)


def test_table_is_what_the_old_scripts_made(shared: Path, tmp_path: Path) -> None:
    """Whole-number coordinates stand as the old converter wrote them, fractions as float32 holds them."""
    path = tfod_csv.write(voc.read(shared / "data/asirra/test"), tmp_path / "labels.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER.strip()
    assert len(lines) == 1 + 111
    assert "cat.11.jpg,431,410,cat,141.6888,14.719695,361.63242,385.09158" in lines
    path = tfod_csv.write(voc.read(shared / "data/asirra/train"), tmp_path / "labels.csv")
    assert path.read_text(encoding="utf-8").splitlines()[1] == "cat.0.jpg,500,374,cat,126,83,354,243"


def test_two_images_of_one_name_are_refused(folder: Path) -> None:
    """Images of two folders with one name would be one image in the table."""
    images = [LabelledImage(folder / name / "a.jpg", 60, 40, [[1, 2, 3, 4]], [1]) for name in ("x", "y")]
    with pytest.raises(ValueError, match=r"would be written under one name\. Rename one of them"):
        tfod_csv.write(Dataset(tuple(images), LabelMap(["cat"])), folder / "labels.csv")


_WRITE_ON_A_FULL_DISK = """
import resource, sys
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import tfod_csv, voc

images = tuple(LabelledImage(f"{n}.jpg", 60, 40, [[1, 2, 3, 4]], [1], encoded=b"x" * 3000) for n in range(200))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # as a full disk: the write that passes it fails
for write, name in ((tfod_csv.write, "labels.csv"), (voc.write, "new")):
    try:
        write(Dataset(images, LabelMap(["cat"])), sys.argv[1] + "/" + name)
    except OSError as error:
        print(type(error).__name__)
"""


def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A disk that fills up while writing leaves the old table, and nothing half written."""
    (tmp_path / "labels.csv").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", _WRITE_ON_A_FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["OSError", "OSError"], done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]
    assert (tmp_path / "labels.csv").read_text() == "old"


def test_table_is_found_in_the_folder(folder: Path) -> None:
    """Without a table, the one in the folder is taken; where there is none, that is told."""
    with pytest.raises(DatasetError, match=r"there is no TFOD CSV file in this folder\. Check the path, or give the"):
        tfod_csv.read(folder)
    table(folder, "a.jpg,60,40,cat,1,2,3,4\n")
    assert len(tfod_csv.read(folder)) == 1


def test_tables_of_other_columns_are_not_claimed(folder: Path) -> None:
    """A table that somebody keeps beside the photos is left alone, whatever it holds."""
    for data in (b"", b"filename,label\na.jpg,cat\n", b"\xff\xfe\0", HEADER.replace(",", " ").encode()):
        (folder / "labels.csv").write_bytes(data)
        assert tfod_csv.FORMAT.find(Listing(folder)) == []


def test_broken_table_is_claimed_and_told(folder: Path) -> None:
    """A table with the right header is found however it goes on, and reading it says what is wrong."""
    for rows, text in (
        (b"", "it has no rows below the first"),
        (b'"', "it cannot be read"),
        (b"\x81", "it cannot be read"),
    ):
        (folder / "labels.csv").write_bytes(HEADER.encode() + rows)
        (part,) = tfod_csv.FORMAT.find(Listing(folder))
        with pytest.raises(DatasetError, match=text):
            tfod_csv.FORMAT.read_parts([part], on_problem="skip")


def test_photos_in_subfolders_of_the_named_one(folder: Path) -> None:
    """Paths in the table choose between photos of one name."""
    for name in ("x", "y"):
        (folder / name).mkdir()
        Image.new("RGB", (60, 40)).save(folder / name / "c.jpg")
    path = table(folder, "x/c.jpg,60,40,cat,1,2,3,4\ny/c.jpg,60,40,dog,1,2,3,4\na.jpg,60,40,cat,1,2,3,4\n")
    dataset = tfod_csv.read(folder, path)
    assert [image.path.relative_to(folder).as_posix() for image in dataset] == ["a.jpg", "x/c.jpg", "y/c.jpg"]
    assert [image.labels.tolist() for image in dataset] == [[1], [1], [2]]


def test_a_path_to_a_folder_of_another_split(folder: Path) -> None:
    """A row that names a photo in the test photos' folder means that one, though the table is called like another."""
    photos(folder, "test/c.jpg", "valid/c.jpg", "valid/d.jpg")
    rows = "test/c.jpg,60,40,cat,1,2,3,4\nd.jpg,60,40,cat,1,2,3,4\n"
    path = table(folder, rows).rename(folder / "val.csv")
    dataset = tfod_csv.read(folder, path)
    assert [image.path.relative_to(folder).as_posix() for image in dataset] == ["test/c.jpg", "valid/d.jpg"]


def photos(folder: Path, *names: str) -> Path:
    """Photos of 60 x 40 pixels, no two of them the same file."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (number * 60, 0, 0)).save(folder / name)
    return folder


def found(folder: Path, **options: Any) -> dict[str, tuple[str, list[str]]]:
    """The split and the classes of each photo."""
    dataset = formats.read(folder, **options)
    return {
        image.path.relative_to(folder).as_posix(): (image.split, [dataset.label_map.name(int(i)) for i in image.labels])
        for image in dataset
    }


@pytest.mark.parametrize("train", ["images/train", "Train", "train_images", "data/train2017/photos"])
@pytest.mark.parametrize("tables", ["", "data/", "images/"])
def test_one_name_in_two_splits(train: str, tables: str, tmp_path: Path) -> None:
    """A table for a split speaks of the photos in the folder for that split, whatever else has photos of the name."""
    test = train.replace("train", "test").replace("Train", "Test")
    photos(tmp_path, f"{train}/a.jpg", f"{test}/a.jpg", f"{train}/b.jpg", "more/a.jpg")
    for name, rows in (
        ("train", "a.jpg,60,40,cat,1,2,3,4\nb.jpg,60,40,fox,1,2,3,4\n"),
        ("test", "a.jpg,60,40,dog,1,2,3,4\n"),
    ):
        (tmp_path / tables).mkdir(exist_ok=True)
        (tmp_path / tables / f"{name}_labels.csv").write_text(HEADER + rows)
    assert found(tmp_path) == {
        f"{train}/a.jpg": ("train", ["cat"]),
        f"{train}/b.jpg": ("train", ["fox"]),
        f"{test}/a.jpg": ("test", ["dog"]),
    }


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("raccoon_train_labels", "raccoon_test_labels"), ("train", "test")),
        (("Train-Raccoon", "Test-Raccoon"), ("Train", "Test")),
        (("train_val_raccoon", "test_raccoon_v2"), ("trainval", "test")),
        (("cam_train_v2", "cam_test_v2"), ("", "")),
        (("crash_test_dummies",), ("",)),
        (("raccoon_val",), ("val",)),
        (("data/csv/train", "data/csv/holdout"), ("train", "holdout")),
        (("train/meta/boxes", "valid/meta/boxes"), ("train", "valid")),
    ],
)
def test_splits_in_the_names_of_tables(names: Sequence[str], splits: Sequence[str], tmp_path: Path) -> None:
    """A table lies at any depth, and is for the split that its name or its folder says."""
    for number, name in enumerate(names):
        photos(tmp_path, f"photos/{number}.jpg")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.csv").write_text(f"{HEADER}{number}.jpg,60,40,cat,1,2,3,4\n")
    assert found(tmp_path) == {f"photos/{number}.jpg": (split, ["cat"]) for number, split in enumerate(splits)}


@pytest.mark.parametrize("order", [1, -1])
def test_whole_table_beside_its_parts(order: int, tmp_path: Path) -> None:
    """labels.csv beside the tables that divide it says nothing new: each photo is there once, in its split."""
    rows = [f"{name}.jpg,60,40,{kind},1,2,30,31\n" for name, kind in ("aa", "ab", "bc")]
    photos(tmp_path, "images/a.jpg", "images/b.jpg")
    for name, some in (("labels", rows[::order]), ("data/train_labels", rows[:2]), ("data/test_labels", rows[2:])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.csv").write_text(HEADER + "".join(some))
    for on_problem in ("raise", "skip"):
        read = found(tmp_path, on_problem=on_problem)
        assert {name: split for name, (split, _) in read.items()} == {"images/a.jpg": "train", "images/b.jpg": "test"}
        assert [sorted(kinds) for _, kinds in read.values()] == [["c"], ["a", "b"]]
    (tmp_path / "labels.csv").write_text(HEADER + "".join(rows).replace("b.jpg,60,40,c", "b.jpg,60,40,d"))
    with pytest.raises(DatasetError, match="2 annotations describe this image"):
        formats.read(tmp_path)
    assert list(found(tmp_path, on_problem="skip")) == ["images/a.jpg"]


def test_photo_of_another_split_is_never_taken(tmp_path: Path) -> None:
    """A row of the training table whose photo is there for the test only is an error; so is a photo that is unclear."""
    photos(tmp_path, "images/train/b.jpg", "images/test/a.jpg")
    rows = HEADER + "a.jpg,60,40,cat,1,2,3,4\nb.jpg,60,40,cat,1,2,3,4\n"
    (tmp_path / "train_labels.csv").write_text(rows)
    with pytest.raises(DatasetError, match=r"row 2: its image is missing, there is no 'a\.jpg' .*in train"):
        formats.read(tmp_path)
    assert found(tmp_path, on_problem="skip") == {"images/train/b.jpg": ("train", ["cat"])}
    (tmp_path / "train_labels.csv").rename(tmp_path / "labels.csv")
    assert found(tmp_path) == {"images/test/a.jpg": ("test", ["cat"]), "images/train/b.jpg": ("train", ["cat"])}
    photos(tmp_path, "images/train/a.jpg", "images/test/a.jpg")
    with pytest.raises(DatasetError, match=r"row 2: it may describe 'test/a\.jpg' or 'train/a\.jpg'"):
        formats.read(tmp_path)
    assert found(tmp_path, on_problem="skip") == {"images/train/b.jpg": ("train", ["cat"])}


def test_write_a_folder(folder: Path) -> None:
    """Given a folder, photos and table are written, a folder a split; one with files in it is left alone."""
    cat = LabelledImage(folder / "a.jpg", 60, 40, [[1, 2, 3, 4]], [1], split="train")
    dataset = Dataset((cat, dataclasses.replace(cat, split="test")), LabelMap(["cat"]))
    out = tfod_csv.write(dataset, folder / "out")
    assert (out / "train/a.jpg").read_bytes() == (folder / "a.jpg").read_bytes()
    assert (out / "test/_annotations.csv").read_text() == f"{HEADER}a.jpg,60,40,cat,1,2,3,4\n"
    with pytest.raises(FileExistsError, match="there are files here already"):
        tfod_csv.write(dataset, folder / "out")
