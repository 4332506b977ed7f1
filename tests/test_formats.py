"""formats: every layout of every format is recognised and read the same, and what is unclear is told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import layouts
import pytest
from drawn import assert_equal, datasets, jpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import BOXES, LAYOUTS, Layout

from tfod_helpers import formats, records, sources
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.formats import voc
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError, OnProblem

QUICK = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
WRITTEN = [name for name, one in formats.FORMATS.items() if one.write_annotations]
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def assert_read(dataset: Dataset, splits: dict[str, str]) -> None:
    """It is the small data set: each photo with its box, class and split, and nothing to complain of."""
    assert [str(problem) for problem in dataset.problems] == []
    assert dataset.label_map == LabelMap(["cat", "dog"])
    assert {image.path.stem: image.split for image in dataset} == splits
    assert len(dataset) == len(BOXES)
    for image in dataset:
        name, *box_xyxy = BOXES[image.path.stem]
        assert image.boxes_xyxy.tolist() == [pytest.approx(box_xyxy, abs=1e-4)]
        assert dataset.label_map.name(int(image.labels[0])) == name


def error(path: Path, **options: object) -> str:
    """The one problem that reading ends in."""
    with pytest.raises(DatasetError) as caught:
        formats.read(path, **options)  # type: ignore[arg-type]
    assert len(caught.value.problems) == 1
    return str(caught.value.problems[0])


def errors(path: Path) -> list[str]:
    """The errors that reading ends in."""
    with pytest.raises(DatasetError) as caught:
        formats.read(path)
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


@each_layout
def test_layout_is_recognised(layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every layout is known as what it is, its photos found, its splits told apart; and one line says so."""
    folder = layouts.write(tmp_path / "pets", layout.files)
    assert formats.find_format(folder) == layout.format
    assert_read(formats.read(folder), layout.splits)
    told = capsys.readouterr().out
    assert told.startswith(f"pets: {formats.FORMATS[layout.format].title}")
    counts = [
        f"{split} {list(layout.splits.values()).count(split)}".strip()
        for split in dict.fromkeys(layout.splits.values())
    ]
    assert told.endswith(f": {', '.join(counts)} images, 2 classes\n")


@each_layout
def test_format_that_is_chosen(layout: Layout, tmp_path: Path) -> None:
    """Told the format, it is found the same; told another one, that is an error and no wrong reading."""
    folder = layouts.write(tmp_path / "pets", layout.files)
    assert_read(formats.read(folder, format=layout.format), layout.splits)
    for other in formats.FORMATS.keys() - {layout.format}:
        assert not formats.FORMATS[other].find(Listing(folder)), other
        told = f"{folder}: no annotations were recognised ({formats.FORMATS[other].title}); it holds "
        assert error(folder, format=other).startswith(told)


@each_layout
def test_packed_in_a_zip(layout: Layout, tmp_path: Path) -> None:
    """A zip with one folder in it, as macOS makes them, is unpacked beside and read."""
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name, content in layout.files.items():
            archive.writestr(f"my pets/{name}", content)
            archive.writestr(str(Path("__MACOSX/my pets", name).with_name(f"._{Path(name).name}")), b"\0")
    assert_read(formats.read(tmp_path / "pets.zip"), layout.splits)
    assert_read(formats.read(tmp_path / "pets.zip"), layout.splits)
    assert (tmp_path / "pets").is_dir()


# --- files, archives, folders in folders --------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "file", "split"),
    [
        ("coco: COCO, beside", "labels.json", ""),
        ("coco: COCO, CVAT", "annotations/instances_default.json", ""),
        ("coco: COCO, official", "annotations/instances_val2017.json", "val"),
        ("coco: COCO, Roboflow", "test/_annotations.coco.json", ""),
        ("tfod_csv: old tutorials", "test_labels.csv", "test"),
        ("tfod_csv: old tutorials, tables in data", "data/test_labels.csv", "test"),
        ("cvat: CVAT XML", "annotations.xml", ""),
        ("label_studio: Label Studio", "project-1-at-2024.json", ""),
        ("via: VIA", "via_region_data.json", ""),
        ("createml: CreateML", "annotations.json", ""),
    ],
)
def test_one_file(layout: str, file: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given one annotation file, it alone is read, with the photos near it, wherever one stands."""
    folder = layouts.write(tmp_path / "pets", LAYOUTS[layout].files)
    monkeypatch.chdir((folder / file).parent)
    for path in (folder / file, Path(file).name):
        dataset = formats.read(path)
        assert {image.split for image in dataset} == {split}
        assert {image.path.stem for image in dataset} == ({"d"} if len(dataset) == 1 else set("abcd"))
        assert all(image.boxes_xyxy.tolist() == [pytest.approx(BOXES[image.path.stem][1:])] for image in dataset)


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("YOLO, Ultralytics", "data.yaml"),
        ("YOLO, Roboflow", "data.yaml"),
        ("YOLO, darknet", "obj.data"),
        ("YOLO, labelImg", "classes.txt"),
    ],
)
def test_the_file_that_describes_a_data_set(layout: str, file: str, tmp_path: Path) -> None:
    """Given YOLO's data.yaml, obj.data or list of names, what it describes is read, and nothing beside."""
    chosen = LAYOUTS[f"yolo: {layout}"]
    folder = layouts.write(tmp_path / "sets/pets", chosen.files)
    layouts.write(tmp_path / "sets/other", LAYOUTS["yolo: YOLO, labelImg"].files)
    (described,) = folder.rglob(file)
    assert_read(formats.read(described), chosen.splits)


@pytest.mark.parametrize("given", ["p-20261129T101010Z-001.zip", "p-20261129T101010Z-002.zip", ""])
def test_a_download_in_parts(given: str, tmp_path: Path) -> None:
    """Of a download that Google Drive split, any part or the folder gives the whole data set, again and again."""
    photo = jpeg(40, 30)
    xml = (
        "<annotation><filename>a.jpg</filename><size><width>40</width><height>30</height></size><object><name>cat</name>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    for number, (name, data) in enumerate([("set/a.jpg", photo), ("set/a.xml", xml.encode())], start=1):
        with zipfile.ZipFile(tmp_path / f"p-20261129T101010Z-00{number}.zip", "w") as archive:
            archive.writestr(name, data)
    for _ in range(2):
        assert [image.path.name for image in formats.read(tmp_path / given)] == ["a.jpg"]
    (tmp_path / "p-20261129T101010Z-001.zip").rename(tmp_path / "p-20261129T101010Z-003.zip")
    with pytest.raises(DatasetError, match=r"others are missing: p-20261129T101010Z-001\.zip"):
        formats.read(tmp_path)


def test_records(tmp_path: Path) -> None:
    """Records are recognised by their folder and by one file, and their splits by their names."""
    for split, layout in (("train", "voc: Kaggle"), ("test", "voc: Roboflow")):
        folder = layouts.write(tmp_path / split, LAYOUTS[layout].files)
        records.write(formats.read(folder), tmp_path / "records" / split, shards=1)
    dataset = formats.read(tmp_path / "records")
    assert {name: len(part) for name, part in dataset.splits().items()} == {"test": 4, "train": 4}
    one = next(
        path
        for path in (tmp_path / "records").iterdir()
        if path.name.startswith("test-") and path.suffix == ".tfrecord"
    )
    assert_read(formats.read(one), dict.fromkeys("abcd", "test"))


@pytest.mark.parametrize("beside", [{}, {"README.txt": "Mine", "__MACOSX/._x": "", ".git/config": ""}])
def test_folder_in_folders(beside: dict[str, str], tmp_path: Path) -> None:
    """Folders that hold nothing but one other folder are gone through, also with a word or hidden files beside."""
    for name in ("voc: Roboflow", "coco: COCO, official", "yolo: YOLO, Ultralytics"):
        folder = layouts.write(tmp_path / name[:4], layouts.inside("a/b", LAYOUTS[name].files) | beside)
        assert_read(formats.read(folder), LAYOUTS[name].splits)


def test_one_split_keeps_its_name(tmp_path: Path) -> None:
    """A folder with nothing but train in it is no wrapping: the images are of the split train."""
    folder = layouts.write(tmp_path, layouts.inside("train", LAYOUTS["voc: labelImg, beside the photos"].files))
    assert_read(formats.read(folder), dict.fromkeys("abcd", "train"))


def test_tar(tmp_path: Path) -> None:
    """A tar is unpacked too, once: labels that are corrected in the folder are read again."""
    folder = layouts.write(tmp_path / "pets", LAYOUTS["voc: Kaggle"].files)
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as archive:
        archive.add(folder, "pets")
    assert_read(formats.read(tmp_path / "photos.tar.gz"), dict.fromkeys("abcd", ""))
    xml = tmp_path / "photos/pets/annotations/a.xml"
    xml.write_text(xml.read_text().replace("<xmin>10<", "<xmin>12<"))
    assert formats.read(tmp_path / "photos.tar.gz")[0].boxes_xyxy.tolist() == [[12, 9, 30, 21]]


def test_archive_that_cannot_be_used(tmp_path: Path) -> None:
    """What is wrong with an archive is a problem like any other; a folder that is in the way is kept."""
    (tmp_path / "p.zip").write_bytes(b"<!DOCTYPE html>")
    (tmp_path / "p.rar").write_bytes(b"Rar!\x1a\x07\x01")
    assert error(tmp_path / "p.zip", on_problem="skip").startswith(
        "p.zip: this is a web page, not an archive. Download"
    )
    assert error(tmp_path / "p.rar") == (
        "p.rar: this is a RAR file. Unpack it yourself and give the folder, or pack it as zip."
    )
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("../../a.jpg", "x")
    assert "'../../a.jpg' would be written outside of the folder" in error(tmp_path / "p.zip")
    layouts.write(tmp_path / "p", {"mine.txt": "x"})
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.jpg", "x")
    with pytest.raises(FileExistsError, match=r"p: there are files here already\. Choose another folder for p\.zip"):
        formats.read(tmp_path / "p.zip")


# --- what is unclear ----------------------------------------------------------------------------


XML = layouts.photos("images/") | layouts.xmls("images/")
CONVERTED = {  # by format: the same again
    "tfod_csv": {"data/labels.csv": layouts.table("abcd")},
    "coco": {"annotations.json": layouts.coco("abcd")},
    "yolo": layouts.texts("labels/") | {"classes.txt": "cat\ndog\n"},
    "yolo without names": layouts.texts("labels/"),
    "createml": {"images/_annotations.createml.json": layouts.createml("abcd")},
}


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
@pytest.mark.parametrize("name", CONVERTED)
def test_several_formats_that_say_the_same(name: str, on_problem: OnProblem, tmp_path: Path) -> None:
    """Where the XML and what was made from it agree, the XML is read, and a note names the rest."""
    files, name, named = CONVERTED[name], name.partition(" ")[0], " " not in name
    folder = layouts.write(tmp_path / "pets", XML | files)
    assert formats.find_format(folder) == "voc"
    dataset = formats.read(folder, on_problem=on_problem)
    (note,) = dataset.problems
    assert (note.severity, note.fix) == ("note", f"format={name!r} reads it instead of the Pascal VOC XML.")
    assert f"the {formats.FORMATS[name].title} in " in note.what
    assert_read(Dataset(dataset.images, dataset.label_map), dict.fromkeys("abcd", ""))
    if named:
        assert_read(formats.read(folder, format=name), dict.fromkeys("abcd", ""))


def test_division_of_the_tables_is_kept(shared: Path, tmp_path: Path) -> None:
    """Old tutorials divide in the tables only: the XML is read with their division; records beside change nothing."""
    tables = {"data/train_labels.csv": layouts.table("abc"), "data/test_labels.csv": layouts.table("d")}
    folder = layouts.write(tmp_path / "pets", XML | tables | {"data/label_map.pbtxt": "item { id: 1 name: 'cat' }"})
    read = formats.read(folder)
    assert_read(Dataset(read.images, read.label_map), dict.fromkeys("abc", "train") | {"d": "test"})
    for split, part in read.splits().items():
        records.write(part, tmp_path / split, shards=1)
        (made,) = tmp_path.glob(f"{split}-*.tfrecord")
        made.rename(folder / f"{split}.record")
    there = sorted(folder.rglob("*"))
    read = formats.read(folder)
    assert_read(Dataset(read.images, read.label_map), dict.fromkeys("abc", "train") | {"d": "test"})
    assert [note.kind for note in read.problems] == ["several formats"] * 2
    assert sorted(folder.rglob("*")) == there
    assert len(formats.read(shared / "data/reported/f05_xml_and_its_csv")) == 2


@pytest.mark.parametrize(
    ("name", "files", "why"),
    [
        ("tfod_csv", {"labels.csv": layouts.table("abcd").replace("10,9", "13,9")},
         "a.jpg holds ['cat [10, 9, 30, 21]'] in voc, and ['cat [13, 9, 30, 21]'] in tfod_csv"),
        ("yolo", CONVERTED["yolo"] | {"classes.txt": "dog\ncat\n"}, "and ['dog [10, 9, 30, 21]'] in yolo"),
        ("yolo", layouts.texts("labels/") | {"labels/a.txt": layouts.rows("b")}, "a.jpg holds ['cat ["),
        ("coco", {"annotations.json": layouts.coco("abcd")} | {"images/c.xml": "<annotation/>"},
         "c.jpg holds [] in voc, and ['cat [20, 6, 36, 24]'] in coco"),
        ("tfod_csv", {"images/e.jpg": layouts.JPEG, "labels.csv": layouts.table("ab") + "e.jpg,40,30,cat,1,2,30,20\n"},
         "e.jpg has boxes in tfod_csv only"),
        ("tfod_csv", {"labels.csv": layouts.table("") + "gone.jpg,40,30,cat,1,2,30,20\n"},
         "tfod_csv cannot be compared: "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("on_problem", ["raise", "skip"])
def test_several_formats_that_contradict(
    name: str, files: dict[str, str | bytes], why: str, on_problem: OnProblem, tmp_path: Path
) -> None:
    """Where they say different things nothing is guessed: all are named, with the first contradiction."""
    folder = layouts.write(tmp_path / "pets", XML | files)
    told = error(folder, on_problem=on_problem)
    assert told.startswith(f"{folder}: its annotations are there in several formats: voc (Pascal VOC XML, in images")
    assert why in told
    assert told.endswith(f"Choose one: format='voc' or format={name!r}.")
    assert len(formats.read(folder, format="voc")) == 4


def test_contradicting_divisions(tmp_path: Path) -> None:
    """A photo that is for training by its folder and for the test by the table is a contradiction."""
    folder = layouts.write(tmp_path, LAYOUTS["voc: old tutorials"].files)
    assert_read(formats.read(folder), LAYOUTS["voc: old tutorials"].splits)
    layouts.write(
        folder, {"images/train_labels.csv": layouts.table("ab"), "images/test_labels.csv": layouts.table("d")}
    )
    assert len(formats.read(folder)) == 4
    layouts.write(folder, {"images/test_labels.csv": layouts.table("cd"), "images/test/c.jpg": layouts.JPEG})
    assert "c.jpg is in 'train' in voc, and in 'test' in tfod_csv" in error(folder)


def test_fault_in_one_of_several_formats(tmp_path: Path) -> None:
    """An annotation that cannot be read is told as such, and no contradiction."""
    folder = layouts.write(tmp_path, XML | CONVERTED["coco"] | {"images/a.xml": "<annotation>"})
    assert error(folder).startswith("a.xml: it cannot be read as XML")
    assert {image.path.stem for image in formats.read(folder, on_problem="skip")} == set("bcd")
    assert len(formats.read(folder, masks=True)) == 4  # which COCO alone can give


def other_dogs(text: str) -> str:
    """An annotation file with the classes exchanged."""
    return re.sub(r'(?<=[",])(cat|dog)(?=[",])', lambda name: "dog" if name[0] == "cat" else "cat", text)


ENDINGS = {
    "coco": (".json", layouts.coco),
    "tfod_csv": (".csv", layouts.table),
    "createml": (".json", layouts.createml),
}
each_table = pytest.mark.parametrize("name", ENDINGS)


@each_table
@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (("train_annotations/x", "val_annotations/x"), ("train_images", "val_images")),
        (("train", "val"), ("train", "val")),
        (("annotations/my_train", "annotations/my_val"), ("images/Train", "images/Val")),
        (("data/train", "data/val"), ("data/train_images", "data/val_images")),
        (("labels/train", "labels/val"), ("train2017", "val2017")),
        (("train", "val"), ("photos/all/train", "photos/all/val")),
    ],
)
def test_one_name_in_two_splits(name: str, files: tuple[str, str], folders: tuple[str, str], tmp_path: Path) -> None:
    """Of photos with one name the one in the folder for the file's split is meant; a photo that it lost is missing."""
    ending, write = ENDINGS[name]
    for folder, content, file in zip(folders, (write("ab"), other_dogs(write("ab"))), files, strict=True):
        layouts.write(tmp_path, layouts.photos(f"{folder}/", "ab") | {f"{file}{ending}": content})
    layouts.write(tmp_path, layouts.photos("photos/old/", "a"))
    dataset = formats.read(tmp_path)
    found = {
        image.path.relative_to(tmp_path).as_posix(): (image.split.lower(), dataset.label_map.name(int(image.labels[0])))
        for image in dataset
    }
    train, val = folders
    assert len(dataset) == 4
    assert found == {
        f"{train}/a.jpg": ("train", "cat"), f"{train}/b.jpg": ("train", "dog"),
        f"{val}/a.jpg": ("val", "dog"), f"{val}/b.jpg": ("val", "cat"),
    }  # fmt: skip
    (tmp_path / train / "b.jpg").unlink()
    (told,) = errors(tmp_path)
    assert "its image is missing, there is no 'b.jpg'" in told
    left = formats.read(tmp_path, on_problem="skip")
    assert sorted(image.path.relative_to(tmp_path).as_posix() for image in left) == sorted(
        found.keys() - {f"{train}/b.jpg"}
    )


@each_table
def test_photos_of_another_set_are_not_taken(name: str, tmp_path: Path) -> None:
    """Of two sets side by side with photos of one name each keeps its own, and the one that lost a photo says so."""
    ending, write = ENDINGS[name]
    for place, content in (("cats", write("ab")), ("dogs", other_dogs(write("bc")))):
        layouts.write(tmp_path, layouts.photos(f"{place}/images/", "abc") | {f"{place}/labels{ending}": content})
    dataset = formats.read(tmp_path)
    found = {
        image.path.relative_to(tmp_path).as_posix(): dataset.label_map.name(int(image.labels[0])) for image in dataset
    }
    assert found == {
        "cats/images/a.jpg": "cat", "cats/images/b.jpg": "dog", "dogs/images/b.jpg": "cat", "dogs/images/c.jpg": "dog"
    }  # fmt: skip
    (tmp_path / "cats/images/a.jpg").unlink()
    (told,) = errors(tmp_path)
    assert "its image is missing, there is no 'a.jpg'" in told


@each_table
def test_one_photo_in_two_files(name: str, tmp_path: Path) -> None:
    """A file of all photos beside those of its splits is read once where they agree; where not, nobody guesses."""
    ending, write = ENDINGS[name]
    files = {"train": write("ab"), "val": write("c"), "test": write("d")}
    folder = layouts.write(
        tmp_path, layouts.photos("images/") | {f"{key}{ending}": text for key, text in files.items()}
    )
    layouts.write(folder, {f"annotations{ending}": write("abcd")})
    dataset = formats.read(folder)
    assert {image.path.stem: image.split for image in dataset} == {"a": "train", "b": "train", "c": "val", "d": "test"}
    assert len(dataset) == 4
    assert {problem.severity for problem in dataset.problems} == {"note"}
    assert all(f"annotations{ending}" in problem.what for problem in dataset.problems)
    layouts.write(folder, {f"annotations{ending}": other_dogs(write("ab"))})
    told = errors(folder)
    assert len(told) == 2
    assert all(f"train{ending}" in one and f"annotations{ending}" in one for one in told)
    assert sorted(image.path.stem for image in formats.read(folder, on_problem="skip")) == ["c", "d"]


@each_table
def test_photo_of_two_splits(name: str, tmp_path: Path) -> None:
    """A photo that is in train and in val is only trained on, and a warning says so."""
    ending, write = ENDINGS[name]
    files = {f"train{ending}": write("abc"), f"val{ending}": write("cd")}
    dataset = formats.read(layouts.write(tmp_path, layouts.photos("images/") | files))
    assert {image.path.stem: image.split for image in dataset} == dict.fromkeys("abc", "train") | {"d": "val"}
    assert len(dataset) == 4
    (told,) = dataset.problems
    assert (told.severity, told.kind) == ("warning", "annotated twice")
    assert told.fix == "Taken once, into the split 'train'."


def test_many_problems_of_one_cause_are_one(tmp_path: Path) -> None:
    """Photos that are all missing, or all in two files, are one line with a count; a few are listed."""
    stems = [f"{number:02d}" for number in range(60)]
    table = "filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(
        f"{stem}.jpg,40,30,cat,1,1,9,9\n" for stem in stems
    )
    folder = layouts.write(tmp_path, layouts.photos("", "x") | {"labels.csv": table})
    missing = f"its image is missing, there is no '00.jpg' (its filename) in {tmp_path.name}; so it is with 59 more"
    assert errors(folder) == [
        f"labels.csv, row 2: {missing}, up to labels.csv, row 61. Put the image back or delete the annotation."
    ]
    layouts.write(folder, layouts.photos("", stems) | {"train_labels.csv": table.replace("cat", "dog")})
    (told,) = errors(folder)
    assert "; so it is with 59 more, up to train/59.jpg. Keep the right one" in told
    layouts.write(folder, {"train_labels.csv": table.replace("cat", "dog").split("03.jpg")[0]})
    assert len(errors(folder)) == 3


def test_nothing_that_is_known(tmp_path: Path) -> None:
    """Where nothing is recognised, what is there is counted, and the known formats are named."""
    layouts.write(tmp_path, layouts.photos("x/") | {"x/notes.md": "", "x/LICENSE": "", "x/y/a.xml": "<svg/>"})
    told = error(tmp_path)
    titles = ", ".join(module.title for module in formats.FORMATS.values())
    assert told.startswith(f"{tmp_path}: no annotations were recognised ({titles}); it holds 4 .jpg, ")
    assert all(part in told for part in ("1 .md", "1 no ending", "1 .xml", "Give the folder that the photos and"))
    (tmp_path / "empty").mkdir()
    assert "; it holds nothing. Give the folder" in error(tmp_path / "empty")
    assert error(tmp_path / "x/notes.md").startswith(f"{tmp_path}/x/notes.md: no annotations were recognised (")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x/a.xml", "<HRSC_Image/>", "a.xml is XML whose root is <HRSC_Image>. Give the folder"),
        ("x/a.xml", "a", "a.xml is no XML that can be read. Give the folder"),
        ("notes.json", '{"frames": 1, "labels": {"a": []}}', "notes.json is JSON with the keys ['frames', 'labels']. "),
        ("notes.json", '[{"frame": 1}, 2]', "notes.json is JSON with the keys ['frame']. "),
        ("notes.json", "[]", "notes.json is other JSON. "),
        ("wide.csv", ",".join(f"no. {number}" for number in range(300)), "wide.csv is a table with the columns ["),
    ],
)  # fmt: skip
def test_what_is_there_instead(name: str, content: str, told: str, tmp_path: Path) -> None:
    """The refusal says what the files are that may have been meant, in few words."""
    layouts.write(tmp_path, layouts.photos("images/") | {name: content})
    for path in (tmp_path, tmp_path / name):
        assert told in error(path)
        assert len(error(path)) < 1000


@pytest.mark.parametrize("labels", ["xml/", "my labels/", "annotations/xmls/"])
def test_annotations_beside_the_folder_of_photos(labels: str, tmp_path: Path) -> None:
    """Given the photos alone, the refusal says where their annotations are, and both ways that it names work."""
    folder = layouts.write(tmp_path / "pets", layouts.photos("my photos/") | layouts.xmls(labels))
    told = error(folder / "my photos")
    assert (
        f"its photos are in Pascal VOC XML in {folder}/{labels.rstrip('/')}. Give the folder that both are in" in told
    )
    assert_read(formats.read(folder), dict.fromkeys("abcd", ""))
    call = told.partition(" or formats.voc.read(")[2].rstrip(".)").replace("'", "").split(", ")
    assert_read(voc.read(*call), dict.fromkeys("abcd", ""))


def test_photos_without_annotations_have_no_format(tmp_path: Path) -> None:
    """Photos alone are in no format; a path that is not there is an error, and no folder without annotations."""
    (tmp_path / "a.jpg").write_bytes(layouts.JPEG)
    assert formats.find_format(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="Check the path"):
        formats.find_format(tmp_path / "typo")


def test_paths_and_words_that_are_wrong(tmp_path: Path) -> None:
    """A path that is not there, a format, an option and a word for problems that are not known, are refused first."""
    folder = layouts.write(tmp_path, LAYOUTS["voc: Kaggle"].files)
    with pytest.raises(FileNotFoundError, match=r"nowhere: there is no such folder or file\. Check the path"):
        formats.read(folder / "nowhere")
    with pytest.raises(ValueError, match=r"There is no format 'vox', only oxford_pets, voc.*Did you mean 'voc'\?"):
        formats.read(folder, format="vox")
    with pytest.raises(ValueError, match="Pascal VOC XML has no option 'masks', only label_map, on_problem"):
        formats.read(folder, masks=True)
    with pytest.raises(ValueError, match="on_problem must be 'raise' or 'skip', got 'ignore'"):
        formats.read(folder / "nowhere", on_problem="ignore")  # type: ignore[arg-type]


def test_options_of_a_format_are_handed_on(tmp_path: Path) -> None:
    """What only one format knows, such as COCO's outlines, can be asked for; and so can a label map and leniency."""
    files = LAYOUTS["coco: COCO, beside"].files
    broken = json.loads(files["labels.json"])
    broken["annotations"][0]["bbox"] = [1, 2, -3, 4]
    folder = layouts.write(tmp_path, files | {"labels.json": json.dumps(broken)})
    dataset = formats.read(folder, masks=True, on_problem="skip", label_map=LabelMap(["dog", "cat"]))
    assert all(image.masks for image in dataset)
    assert dataset.counts() == {"dog": 2, "cat": 1}
    assert [problem.severity for problem in dataset.problems] == ["error"]


def test_line_counts_in_good_english(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One is one, and what is in .problems is pointed to."""
    folder = layouts.write(tmp_path / "x", layouts.photos("", "ab") | layouts.xmls("", "a"))
    formats.read(folder)
    assert capsys.readouterr().out == "x: Pascal VOC XML: 1 image, 1 class, 1 problem or note in .problems\n"
    formats.read(layouts.write(tmp_path / "y", LAYOUTS["tfod_csv: old tutorials"].files))
    assert capsys.readouterr().out == (
        "y: TFOD CSV (test_labels.csv, train_labels.csv): train 3, test 1 images, 2 classes\n"
    )


# --- real data ----------------------------------------------------------------------------------


def test_drawn_sample() -> None:
    """The sample that comes with the package is recognised, folders of pictures and scripts beside it or not."""
    dataset = formats.read(sources.local("sample"))
    assert {name: len(part) for name, part in dataset.splits().items()} == {"test": 50, "train": 200}
    assert dataset.problems == ()


def test_real_data_sets(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cats and dogs are VOC in split folders; the Pets are themselves, and VOC where that is asked for."""
    assert len(formats.read(shared / "data/asirra")) == 1100
    assert len(formats.read(shared / "data/oxford_pets")) == 296
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "asirra: Pascal VOC XML: train 995, test 105 images, 2 classes"
    assert told[1].startswith("oxford_pets: Oxford-IIIT Pets: trainval 296 images, 3 classes, ")
    assert sorted(formats.read(shared / "data/oxford_pets", format="voc").label_map) == ["cat", "dog"]


# Where a tool writes that an object is difficult: what stands in the file without it, and with it.
DIFFICULT = [
    ("voc: Kaggle", "<difficult>0<", "<difficult>1<"),
    ("coco: COCO, beside", '"iscrowd": 0', '"iscrowd": 0, "difficult": 1'),
    ("coco: COCO, CVAT", '"iscrowd": 0', '"iscrowd": 0, "attributes": {"occluded": false, "difficult": true}'),
    ("cvat: CVAT XML", "></box>", '><attribute name="difficult">true</attribute></box>'),
    ("labelme: LabelMe", '"group_id": null', '"group_id": null, "difficult": true'),  # X-AnyLabeling
    ("labelme: LabelMe", '"rectangle", "flags": {}', '"rectangle", "flags": {"difficult": true}'),
    ("via: VIA", '"region_attributes": {', '"region_attributes": {"difficult": "1", '),
    ("via: VIA", '"region_attributes": {', '"region_attributes": {"difficult": {"yes": true}, '),
]


@pytest.mark.parametrize(("layout", "without", "given"), DIFFICULT)
@pytest.mark.parametrize("is_set", [True, False])
def test_difficult_objects_are_known(layout: str, without: str, given: str, is_set: bool, tmp_path: Path) -> None:
    """A mark of any tool that an object is difficult is read where it is set, and one note says how many there are."""
    given = given if is_set else re.sub("(difficult.*?)(1|true)", r"\g<1>0", given)
    files = {
        name: text if isinstance(text, bytes) else text.replace(without, given)
        for name, text in LAYOUTS[layout].files.items()
    }
    dataset = formats.read(layouts.write(tmp_path / "x", files))
    assert [image.difficult.tolist() for image in dataset] == [[is_set]] * 4
    assert [problem.what for problem in dataset.problems] == ["4 objects of 4 photos marked as difficult"] * is_set


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("a photo (1).jpg", "https://example.com/photos/a%20photo%20(1).jpg"),
        ("e.jpg", "https://example.com/photos/e.jpg?alt=media&token=b.jpg"),
        ("%61.jpg", "https://example.com/%61.jpg"),  # its name, and not a.jpg
        ("a?.jpg", "photos/a?.jpg"),
    ],
)
@pytest.mark.parametrize("layout", ["via: VIA", "createml: CreateML", "cvat: CVAT XML", "coco: COCO, beside"])
def test_photo_by_its_address(layout: str, name: str, address: str, tmp_path: Path) -> None:
    """A photo that was labelled at an address of the web is found by its name, with escaped letters or a query."""
    files = {
        path: text
        if isinstance(text, bytes)
        else text.replace("b.jpg", address.replace("&", "&amp;" * ("cvat" in layout) or "&"))
        for path, text in LAYOUTS[layout].files.items()
    }
    folder = layouts.write(tmp_path, {path.replace("b.jpg", name): content for path, content in files.items()})
    assert sorted(image.path.name for image in formats.read(folder)) == sorted(["a.jpg", "c.jpg", "d.jpg", name])


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITTEN)
@QUICK
@given(dataset=datasets(splits=("train", "valid", "test")))
def test_round_trip_with_splits(name: str, dataset: Dataset) -> None:
    """Whatever is written in any format, `read` recognises it and gives it back as it was, splits included."""
    with tempfile.TemporaryDirectory() as folder:
        path = formats.write(dataset, Path(folder, "out"), format=name)
        found = formats.read(path, label_map=dataset.label_map)
        images = sorted(found, key=lambda image: (image.split, str(image.path.name)))
    assert_equal(Dataset(tuple(images), found.label_map), dataset)


@pytest.mark.parametrize(
    ("name", "lost"),
    [("voc", ["crowds: 1 is"]), ("coco", []), ("yolo", ["crowds: 1 is", "difficult objects: 4 are"])]
    + [(name, ["crowds: 1 is", "difficult objects: 4 are"]) for name in ("tfod_csv", "label_studio")]
    + [("cvat", ["crowds: 1 is"])],
)
def test_marks_that_a_format_has_no_place_for(
    name: str, lost: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Crowds and difficult objects come back as such, or a line says that they are written like any other object."""
    dataset = formats.read(layouts.write(tmp_path / "in", LAYOUTS["voc: Kaggle"].files))
    images = [dataclasses.replace(image, difficult=[True]) for image in dataset]
    images[0] = dataclasses.replace(images[0], crowd=[True])
    title = formats.FORMATS[name].title
    for target in ["out"] + ["one.csv"] * (name == "tfod_csv"):
        capsys.readouterr()
        formats.write(Dataset(images, dataset.label_map), tmp_path / target, format=name)
        expected = [f"{title} has no place for {words} written like any other object." for words in lost]
        assert capsys.readouterr().out.splitlines() == expected
    found = formats.read(tmp_path / "out")
    assert [sum(getattr(image, mark).sum() for image in found) for mark in ("crowd", "difficult")] == [
        0 if any(mark in words for words in lost) else count for mark, count in (("crowd", 1), ("difficult", 4))
    ]


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("split", ["../out", "..", "a/b", "/out", "a\\b", "."])
def test_split_cannot_lead_out_of_the_folder(name: str, split: str, tmp_path: Path) -> None:
    """A split's name comes from an annotation file, perhaps of a stranger, and names one folder or none."""
    folder = layouts.write(tmp_path / "in", LAYOUTS["voc: Kaggle"].files)
    dataset = formats.read(folder)
    images = tuple(dataclasses.replace(image, split=split) for image in dataset)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"A split is called .*, which can be no folder's name. Rename it"):
        formats.write(Dataset(images, dataset.label_map), tmp_path / "new" / "er", format=name)
    assert sorted(tmp_path.rglob("*")) == before


def test_formats_that_are_only_read(tmp_path: Path) -> None:
    """A format that is not written says which are."""
    dataset = formats.read(layouts.write(tmp_path / "x", LAYOUTS["voc: Kaggle"].files))
    written = "voc, coco, yolo, tfod_csv, cvat, label_studio; records.write for more"
    with pytest.raises(ValueError, match=f"\\(VIA\\) is only read. Formats that are written: {written}"):
        formats.write(dataset, tmp_path / "y", format="via")
    with pytest.raises(ValueError, match=r"There is no format 'cocoa', only .* Did you mean 'coco'"):
        formats.write(dataset, tmp_path / "y", format="cocoa")
    assert_read(formats.read(formats.write(dataset, tmp_path / "y")), dict.fromkeys("abcd", ""))
    assert voc.FORMAT.find(Listing(tmp_path / "y"))


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
@pytest.mark.parametrize(
    ("layout", "broken", "old", "new", "left"),
    [
        ("tfod_csv: old tutorials", "train_labels.csv", "class", "klass", "images/train"),
        ("coco: COCO, Roboflow", "test/_annotations.coco.json", "", None, "test"),
        ("createml: CreateML, Roboflow", "train/_annotations.createml.json", "coordinates", "box", "train"),
        ("voc: split folders with two in each", "valid/labels/c.xml", "", None, "valid/images"),
    ],
)
def test_photos_without_annotations_beside_others_are_told(
    layout: str, broken: str, old: str, new: str | None, left: str, on_problem: Any, tmp_path: Path
) -> None:
    """Where a whole folder of photos is left out, as its annotations are missing or not known, a word says so."""
    files = {**LAYOUTS[layout].files, "preview.png": layouts.JPEG}
    content = files.pop(broken)
    files |= {broken: str(content).replace(old, new)} if new else {}
    folder = layouts.write(tmp_path / "x", files)
    try:
        told = formats.read(folder, on_problem=on_problem).problems
    except DatasetError as error:  # better still
        told = error.problems
    assert any(left in f"{one.where} {one.what}" and one.severity != "note" for one in told)
    assert not any("preview" in str(one) for one in told)


# --- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize("long", ["x" * 3000, "a, b, " * 500])
def test_no_line_is_longer_than_a_person_reads(long: str, tmp_path: Path) -> None:
    """A file may hold words and headers of any length; what is said of them is short, and has their two ends."""
    xml = layouts.xml("a").replace("<filename>a.jpg", f"<filename>{long}").replace("<xmin>10", f"<xmin>{long}")
    layouts.write(tmp_path, layouts.photos("", "a") | {"x.xml": xml, "a.xml": layouts.xml("a")})
    (tmp_path / "a.xml").write_text(layouts.xml("a").replace("<xmin>10", f"<xmin>{long}"))
    with pytest.raises(DatasetError) as caught:
        voc.read(tmp_path)
    told = [problem.what for problem in caught.value.problems]
    assert len(told) == 2
    assert max(map(len, str(caught.value).splitlines())) < 1000
    assert all(long[:10] in one and " ... " in one for one in told)


# --- how it is done -----------------------------------------------------------------------------


def test_finding_out_opens_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder with thousands of files, a few are opened to see what they are."""
    folder = layouts.write(tmp_path, layouts.photos("", map(str, range(300))))
    xml = layouts.xml("a")
    for ending, content in ((".xml", xml), (".txt", "notes"), (".json", "{}"), (".csv", "a,b"), (".png", "")):
        layouts.write(folder, {f"{number}{ending}": content for number in range(300)})
    opened = []
    open_path = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *args, **named: opened.append(path) or open_path(path, *args, **named)
    )
    listing = Listing(folder)
    found = {name: module.find(listing) for name, module in formats.FORMATS.items()}
    assert [name for name, parts in found.items() if parts] == ["voc"]
    assert len(opened) < 150


JUNK = st.sampled_from([b"", b"\xff\xfe", b"{", b"[[[", b"<annotation", b"\0\0", b"names: [a", b"filename,class\n"])


@QUICK
@given(files=st.dictionaries(
    st.sampled_from(["a.xml", "a.json", "a.csv", "a.txt", "data.yaml", "obj.data", "a.record", "labels/a.txt",
                     "annotations/a.json", "annotations/trainval.txt", "annotations/xmls/a.xml", "images/a.jpg",
                     "ImageSets/Main/train.txt", "Annotations/a.xml", "JPEGImages/a.jpg"]),
    st.one_of(JUNK, st.binary(max_size=40)),
))  # fmt: skip
def test_strange_content_raises_nothing(files: dict[str, bytes]) -> None:
    """Whatever files are called and hold, finding out what they are raises nothing, and reading tells."""
    with tempfile.TemporaryDirectory() as folder:
        layouts.write(Path(folder), files)
        for module in formats.FORMATS.values():
            module.find(Listing(Path(folder)))
        with contextlib.suppress(DatasetError):
            formats.read(folder, on_problem="skip")


def test_formats_load_nothing_heavy() -> None:
    """Finding out a format loads no pandas, no TensorFlow, no pycocotools and no YAML."""
    code = (
        "from tfod_helpers import formats; formats.FORMATS; import sys; print(*{n.split('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "lxml" in loaded
    assert not loaded & {"pandas", "tensorflow", "pycocotools", "yaml", "matplotlib", "supervision", "apache_beam"}
