"""formats.voc: every odd annotation has its outcome, and what is written is read back exactly."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
from PIL import Image

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import voc
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError

CAT = [52.0, 31.0, 299.0, 278.0]
CATS_AND_DOGS = LabelMap(["cat", "dog"])

# What each odd file holds (classes, boxes), with "cat.1.jpg" of 300 x 280 pixels beside it.
READABLE = {
    "bom.xml": (["cat"], [CAT]),
    "box_1px.xml": (["cat"], [[52, 31, 53, 32]]),
    "filename_ci.xml": (["cat"], [CAT]),
    "filename_win.xml": (["cat"], [CAT]),
    "latin1.xml": (["cão"], [CAT]),
    "many.xml": (["cat"], [CAT, *([float(x % 250), 5.0, float(x % 250 + 20), 50.0] for x in range(500))]),
    "name_case.xml": (["Cat"], [CAT]),
    "name_csv.xml": (['cat, "big"'], [CAT]),
    "name_emoji.xml": (["🐱"], [CAT]),
    "name_formula.xml": (["=cmd|x"], [CAT]),
    "name_unknown.xml": (["cavalo"], [CAT]),
    "name_ws.xml": (["cat"], [CAT]),
    "namespace.xml": (["cat"], [CAT]),
    "ns_prefix.xml": (["cat"], [CAT]),
    "part.xml": (["cat"], [CAT]),
    "sci.xml": (["cat"], [CAT]),
    "size_missing.xml": (["cat"], [CAT]),
    "size_zero.xml": (["cat"], [CAT]),
    "utf16.xml": (["gato"], [CAT]),
}
_FIX_BOX = "Fix the box or delete the object."
_ENTITIES = "it declares entities, which no labelling tool does and an attack would."
# The errors of each other odd file, after its name.
BROKEN = {
    "bndbox_missing.xml": [", object 1 ('cat'): it has no <bndbox>. Add it, or delete the object."],
    "bndbox_two.xml": [", object 1 ('cat'): it has 2 <bndbox>. Keep one, or delete the object."],
    "bomb.xml": [f": {_ENTITIES}"],
    "box_norm.xml": [", object 1 ('cat'): the box [0.17, 0.11, 0.99, 0.99] is in fractions of the image, not in"],
    "box_outside.xml": [", object 1 ('cat'): the box [400, 400, 500, 500] lies outside the 300 x 280 image. "],
    "box_over.xml": [", object 1 ('cat'): the box [-5, -5, 305, 285] reaches over the edge of the 300 x 280 image."],
    "box_zero.xml": [f", object 1 ('cat'): xmax 52 is not right of xmin 52. {_FIX_BOX}"],
    "comma_decimal.xml": [
        ", object 1 ('cat'): xmin is '52,5', with a decimal comma. Write 52.5.",
        ", object 1 ('cat'): ymin is '31,2', with a decimal comma. Write 31.2.",
        ", object 1 ('cat'): xmax is '299,0', with a decimal comma. Write 299.0.",
        ", object 1 ('cat'): ymax is '278,9', with a decimal comma. Write 278.9.",
    ],
    "cut.xml": [": it cannot be read as XML (Premature end of data"],
    "empty_coord.xml": [f", object 1 ('cat'): xmin is empty. {_FIX_BOX}"],
    "empty_file.xml": [": the file is empty. Save the annotation again from the labelling tool, or delete it."],
    "filename_traversal.xml": [": its image is missing, there is no '../../../etc/passwd' (its filename) and no "],
    "html_entity.xml": [": it cannot be read as XML (Entity 'nbsp' not defined"],
    "inf.xml": [f", object 1 ('cat'): xmax is 'inf', not a number. {_FIX_BOX}"],
    "latin1_undeclared.xml": [": it cannot be read as XML ("],
    "name_background.xml": [", object 1 ('background'): a class may not be called 'background', id 0 is"],
    "name_empty.xml": [", object 1: a class name must be a text that is not empty, got ''. Name the class."],
    "name_missing.xml": [", object 1: it has no <name>. Add it, or delete the object."],
    "nan.xml": [f", object 1 ('cat'): xmin is 'nan', not a number. {_FIX_BOX}"],
    "no_objects.xml": [": no annotation has an object. Label some objects, or give label_map."],
    "none.xml": [f", object 1 ('cat'): xmin is 'None', not a number. {_FIX_BOX}"],
    "not_xml.xml": [": its root is <html>, not <annotation>."],
    "size_swapped.xml": [": the size 280 x 300 is not that of cat.1.jpg, 300 x 280: width and height are swapped. "],
    "swapped_x.xml": [f", object 1 ('cat'): xmax 52 is not right of xmin 299. {_FIX_BOX}"],
    "swapped_xy.xml": [f", object 1 ('cat'): xmax 52 is not right of xmin 299. {_FIX_BOX}"],
    "two_roots.xml": [": it cannot be read as XML (Extra content at the end of the document"],
    "ws_file.xml": [": the file is empty. "],
    "xxe.xml": [f": {_ENTITIES}"],
}


def photo(path: Path, width: int = 60, height: int = 40, orientation: int = 1) -> Path:
    """Write a plain JPEG."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, "JPEG", exif=exif)
    return path


def annotation(
    path: Path, filename: str | None = None, size: tuple[object, object] | None = (60, 40), objects: tuple = ()
) -> Path:
    """Write an annotation; an object is (name, xmin, ymin, xmax, ymax)."""
    parts = [] if filename is None else [f"<filename>{filename}</filename>"]
    parts += [] if size is None else [f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"]
    for name, *box in objects or [("cat", 1, 2, 30, 31)]:
        corners = "".join(f"<{field}>{value}</{field}>" for field, value in zip(COORDINATES, box, strict=True))
        parts.append(f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>")
    path.write_text(f"<annotation>{''.join(parts)}</annotation>", encoding="utf-8")
    return path


def errors(caught: pytest.ExceptionInfo[DatasetError]) -> list[str]:
    """The errors for which a data set was refused."""
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


def said(dataset: Dataset) -> list[tuple[str, str]]:
    """The problems that a data set carries: how severe, and what."""
    return [(problem.severity, str(problem)) for problem in dataset.problems]


def same(one: Dataset, other: Dataset) -> bool:
    """Whether two datasets have equal images, box by box and bit by bit."""
    facts = [
        [
            (i.path.name, i.width, i.height, i.boxes_xyxy.tobytes(), i.labels.tobytes(), i.difficult.tobytes())
            for i in dataset
        ]
        for dataset in (one, other)
    ]
    return facts[0] == facts[1] and one.label_map == other.label_map


def odd_folder(shared: Path, folder: Path, *names: str) -> Path:
    """A folder with some of the odd files."""
    for name in names:
        shutil.copyfile(shared / "data/odd" / name, folder / name)
    return folder


@pytest.mark.parametrize("name", READABLE)
def test_odd_but_readable(name: str, shared: Path, tmp_path: Path) -> None:
    """An unusual annotation that says what it means is read, class and box exactly."""
    dataset = voc.read(odd_folder(shared, tmp_path, "cat.1.jpg", name))
    names, boxes_xyxy = READABLE[name]
    assert list(dataset.label_map) == names
    assert len(dataset) == 1
    assert (dataset[0].path, dataset[0].width, dataset[0].height) == (tmp_path / "cat.1.jpg", 300, 280)
    assert dataset[0].boxes_xyxy.tolist() == boxes_xyxy
    no_size = [("note", f"{name}: it gives no size. Taken from cat.1.jpg: 300 x 280.")]
    assert said(dataset) == (no_size if name in ("size_missing.xml", "size_zero.xml") else [])


@pytest.mark.parametrize("name", BROKEN)
def test_odd_and_broken(name: str, shared: Path, tmp_path: Path) -> None:
    """A broken annotation is refused with the file, the object, what was found and what to do."""
    folder = odd_folder(shared, tmp_path, "cat.1.jpg", name)
    with pytest.raises(DatasetError) as caught:
        voc.read(folder)
    found = errors(caught)
    assert len(found) == len(BROKEN[name])
    where = str(folder) if name == "no_objects.xml" else name
    for text, start in zip(found, BROKEN[name], strict=True):
        assert text.startswith(where + start)
    assert all(text in str(caught.value) for text in found)


def test_every_odd_annotation_has_an_outcome(shared: Path) -> None:
    """No XML of the odd collection is left untried."""
    listed = {entry["file"] for entry in json.loads((shared / "data/odd/index.json").read_text("utf-8"))}
    assert {name for name in listed if name.endswith(".xml")} == {*READABLE, *BROKEN}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("name_case.xml", "class 'Cat' is not in the label map (cat, dog). Did you mean 'cat'? Correct the name, or"),
        ("name_unknown.xml", "class 'cavalo' is not in the label map (cat, dog). Correct the name, or add it"),
    ],
)
def test_class_not_in_label_map(name: str, text: str, shared: Path, tmp_path: Path) -> None:
    """With a label map given, a class outside it is an error that names the nearest."""
    with pytest.raises(DatasetError) as caught:
        voc.read(odd_folder(shared, tmp_path, "cat.1.jpg", name), label_map=CATS_AND_DOGS)
    assert text in errors(caught)[0]


def test_no_objects_is_background(shared: Path, tmp_path: Path) -> None:
    """An annotation without objects is a note, and its image stays as background."""
    dataset = voc.read(odd_folder(shared, tmp_path, "cat.1.jpg", "no_objects.xml"), label_map=CATS_AND_DOGS)
    assert dataset[0].boxes_xyxy.shape == (0, 4)
    assert said(dataset) == [("note", "no_objects.xml: it has no objects. cat.1.jpg is kept as background.")]


def test_external_entity_is_never_opened(tmp_path: Path) -> None:
    """Nothing that an annotation names is read, and nothing in it is expanded."""
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden words")
    photo(tmp_path / "a.jpg")
    for doctype in (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>',
        f'<!DOCTYPE a [<!ENTITY % x SYSTEM "{secret.as_uri()}"> %x;]>',
        '<!DOCTYPE a [<!ENTITY x "aaaa">]>',
    ):
        (tmp_path / "a.xml").write_text(f"{doctype}<annotation><filename>a.jpg</filename></annotation>")
        with pytest.raises(DatasetError, match="it declares entities") as caught:
            voc.read(tmp_path, label_map=CATS_AND_DOGS)
        assert "hidden" not in str(caught.value)


def test_doctype_without_entities_is_read(tmp_path: Path) -> None:
    """A DOCTYPE alone does no harm, and the file it names is not asked for."""
    photo(tmp_path / "a.jpg")
    text = annotation(tmp_path / "a.xml", "a.jpg").read_text()
    (tmp_path / "a.xml").write_text(f'<!DOCTYPE annotation SYSTEM "http://voc.invalid/voc.dtd">{text}')
    assert len(voc.read(tmp_path)) == 1


def test_bomb_in_an_attribute_is_refused(tmp_path: Path) -> None:
    """Entities that grow a thousand million times are refused before they do."""
    photo(tmp_path / "a.jpg")
    letters = "abcdefghij"
    declared = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in itertools.pairwise(letters))
    (tmp_path / "a.xml").write_text(
        f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{declared}]><annotation verified="&j;"></annotation>'
    )
    with pytest.raises(DatasetError, match=r"a\.xml: it (declares entities|cannot be read as XML)"):
        voc.read(tmp_path)


# --- pairing ------------------------------------------------------------------------------------


def test_traversal_falls_back_to_the_own_name(shared: Path, tmp_path: Path) -> None:
    """A filename that leads out of the folder is looked for inside it only."""
    inside = tmp_path / "photos"
    inside.mkdir()
    photo(tmp_path / "outside.jpg")
    photo(inside / "a.jpg")
    annotation(inside / "a.xml", "../outside.jpg")
    assert [image.path for image in voc.read(inside)] == [inside / "a.jpg"]


def test_annotations_in_another_folder(tmp_path: Path) -> None:
    """The XML files may lie in a folder of their own, and be paired by their own name alone."""
    for name in ("photos", "labels"):
        (tmp_path / name).mkdir()
    photo(tmp_path / "photos/b.jpg")
    photo(tmp_path / "photos/a.JPG")
    annotation(tmp_path / "labels/a.xml")
    annotation(tmp_path / "labels/b.XML")
    dataset = voc.read(tmp_path / "photos", tmp_path / "labels")
    assert [image.path.name for image in dataset] == ["a.JPG", "b.jpg"]


def test_letters_of_two_characters_match(tmp_path: Path) -> None:
    """An accent that macOS stores apart from its letter still finds the photo."""
    photo(tmp_path / "ac\u0327a\u0303o.jpg")
    annotation(tmp_path / "1.xml", "AÇÃO.jpg")
    assert len(voc.read(tmp_path)) == 1


@pytest.mark.parametrize(
    ("photos", "filename", "text"),
    [
        (["a.jpg", "b.jpg"], "b.jpg", "a.xml: it may describe 'a.jpg' or 'b.jpg', its filename is 'b.jpg'. Correct"),
        (["a.jpg", "a.png"], "old.jpg", "a.xml: it may describe 'a.jpg' or 'a.png', its filename is 'old.jpg'."),
        (["C.jpg", "c.jpg"], "c.JPG", "a.xml: it may describe 'C.jpg' or 'c.jpg', its filename is 'c.JPG'."),
        (["c.jpg"], "x.jpg", "a.xml: its image is missing, there is no 'x.jpg' (its filename) and no 'a.jpg' (its own"),
    ],
)
def test_unclear_which_image(photos: list[str], filename: str, text: str, tmp_path: Path) -> None:
    """Where the filename and the own name do not lead to one image, nothing is guessed."""
    for name in photos:
        photo(tmp_path / name)
    annotation(tmp_path / "a.xml", filename)
    with pytest.raises(DatasetError) as caught:
        voc.read(tmp_path)
    assert len(errors(caught)) == 1
    assert errors(caught)[0].startswith(text)


def test_filename_decides_between_equal_stems(tmp_path: Path) -> None:
    """Of a.jpg and a.png, the one that the filename names is taken, and the other is noted."""
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "a.png")
    annotation(tmp_path / "a.xml", "a.png")
    dataset = voc.read(tmp_path)
    assert [image.path.name for image in dataset] == ["a.png"]
    assert said(dataset)[0][1].startswith("a.jpg: no annotation describes this image.")


def test_two_annotations_for_one_image(tmp_path: Path) -> None:
    """Two annotations of one image are named both, and neither is taken."""
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "b.jpg")
    annotation(tmp_path / "a.xml", "a.jpg")
    annotation(tmp_path / "again.xml", "a.jpg")
    annotation(tmp_path / "b.xml", "b.jpg")
    text = "a.jpg: 2 annotations describe this image: a.xml; again.xml. Keep the right one and delete or correct the"
    with pytest.raises(DatasetError, match=text):
        voc.read(tmp_path)
    assert [image.path.name for image in voc.read(tmp_path, on_problem="skip")] == ["b.jpg"]


def test_hidden_files_are_not_photos(tmp_path: Path) -> None:
    """The ._ files that macOS leaves on memory cards are passed over."""
    photo(tmp_path / "a.jpg")
    annotation(tmp_path / "a.xml")
    (tmp_path / "._a.jpg").write_bytes(b"\0")
    (tmp_path / "._a.xml").write_bytes(b"\0")
    assert voc.read(tmp_path).problems == ()


# --- the photo's size ---------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "frame"), [((60, 40), (60, 40)), ((40, 60), (40, 60))])
def test_size_names_the_frame(size: tuple[int, int], frame: tuple[int, int], tmp_path: Path) -> None:
    """Of a photo stored aside, boxes are in the frame whose size the annotation gives."""
    photo(tmp_path / "a.jpg", 60, 40, orientation=6)
    annotation(tmp_path / "a.xml", size=size)
    dataset = voc.read(tmp_path)
    assert (dataset[0].width, dataset[0].height) == frame
    assert dataset[0].pixels().shape == (frame[1], frame[0], 3)
    assert dataset.problems == ()


@pytest.mark.parametrize(
    ("photo_size", "orientation", "size"), [((60, 40), 3, (60, 40)), ((50, 50), 6, (50, 50)), ((60, 40), 6, None)]
)
def test_unknowable_frame_is_a_warning(
    photo_size: tuple[int, int], orientation: int, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    """A turned photo whose frames cannot be told apart is kept as viewers show it, with a warning."""
    photo(tmp_path / "a.jpg", *photo_size, orientation=orientation)
    annotation(tmp_path / "a.xml", size=size)
    dataset = voc.read(tmp_path)
    warnings = [text for severity, text in said(dataset) if severity == "warning"]
    assert len(warnings) == 1
    assert f"a.jpg is stored turned or mirrored (EXIF orientation {orientation}). It cannot be known" in warnings[0]
    upright = photo_size[::-1] if orientation == 6 else photo_size
    assert (dataset[0].width, dataset[0].height) == upright


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((640, 480), "a.xml: the size 640 x 480 is not that of a.jpg, 60 x 40. Put back the image that was labelled"),
        (("sixty", 40), "a.xml: the size has 'sixty', not a whole number of pixels. Write the size of a.jpg, 60 x 40."),
        ((-60, 40), "a.xml: the size has '-60', not a whole number of pixels."),
        ((60.5, 40), "a.xml: the size has '60.5', not a whole number of pixels."),
    ],
)
def test_wrong_size(size: tuple[object, object], text: str, tmp_path: Path) -> None:
    """A size that disagrees with the pixels is an error."""
    photo(tmp_path / "a.jpg")
    annotation(tmp_path / "a.xml", size=size)
    with pytest.raises(DatasetError) as caught:
        voc.read(tmp_path)
    assert errors(caught)[0].startswith(text)


@pytest.mark.parametrize(
    ("name", "text"), [("empty.jpg", "the file is empty"), ("html.jpg", "a web page"), ("lfs.jpg", "a Git LFS pointer")]
)
def test_unreadable_image(name: str, text: str, shared: Path, tmp_path: Path) -> None:
    """A file that is no image is named, with what it is instead."""
    odd_folder(shared, tmp_path, name)
    annotation(tmp_path / "1.xml", name, size=None)
    with pytest.raises(DatasetError) as caught:
        voc.read(tmp_path)
    assert errors(caught)[0].startswith(f"{name}: {text}")


# --- whole folders ------------------------------------------------------------------------------


def bad_folder(folder: Path) -> Path:
    """Four photos: one right, one with a bad object among two, one with nothing but, one without XML."""
    for name in "abcd":
        photo(folder / f"{name}.jpg")
    annotation(folder / "a.xml")
    annotation(folder / "b.xml", objects=[("cat", 1, 2, 30, 31), ("dog", 5, 5, 5, 9)])
    annotation(folder / "c.xml", objects=[("cat", 1, "2,5", 30, 31), ("", 30, 2, 1, 31)])
    (folder / "e.xml").write_text("<annotation>")
    return folder


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Every error of the folder is in one report, in the order of the files."""
    with pytest.raises(DatasetError) as caught:
        voc.read(bad_folder(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}: 5 problems:\n")
    assert [text.split(": ")[0] for text in errors(caught)] == [
        "b.xml, object 2 ('dog')",
        "c.xml, object 1 ('cat')",
        "c.xml, object 2",
        "c.xml, object 2",
        "e.xml",
    ]


def test_skip_leaves_out_only_what_is_bad(tmp_path: Path) -> None:
    """The good object of a half-bad image stays; an image whose objects are all bad is not background."""
    dataset = voc.read(bad_folder(tmp_path), on_problem="skip")
    assert [(image.path.name, len(image.labels)) for image in dataset] == [("a.jpg", 1), ("b.jpg", 1)]
    assert list(dataset.label_map) == ["cat"]
    assert [severity for severity, _ in said(dataset)].count("error") == 5
    assert any(text.startswith("d.jpg: no annotation") for severity, text in said(dataset) if severity == "note")


def test_skip_that_leaves_nothing_is_an_error(tmp_path: Path) -> None:
    """Where nothing can be used, skip says so instead of handing back an empty dataset."""
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text("<annotation>")
    with pytest.raises(DatasetError, match="no labelled image is left") as caught:
        voc.read(tmp_path, on_problem="skip")
    assert any(text.startswith("a.xml: it cannot be read") for text in errors(caught))


def test_folders_with_nothing_to_read(tmp_path: Path) -> None:
    """An empty folder, photos without annotations, and files one level down each say what to do."""
    with pytest.raises(DatasetError, match=r"there are no photos in this folder\. Check the path, or put files ending"):
        voc.read(tmp_path)
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        photo(tmp_path / name / "a.jpg")
    with pytest.raises(DatasetError, match=r"Its subfolders have some: 'test' \(1\), 'train' \(1\)\. Give the path"):
        voc.read(tmp_path)
    with pytest.raises(DatasetError, match=r"there are no annotations \(\.xml files\) in this folder"):
        voc.read(tmp_path / "train")
    (tmp_path / "train/xmls").mkdir()
    annotation(tmp_path / "train/xmls/a.xml")
    with pytest.raises(DatasetError, match=r"Its subfolders have some: 'xmls' \(1\)"):
        voc.read(tmp_path / "train")
    assert len(voc.read(tmp_path / "train", tmp_path / "train/xmls")) == 1


def test_paths_that_are_no_folder(tmp_path: Path) -> None:
    """A missing path and a file are told apart."""
    with pytest.raises(FileNotFoundError, match=r"nowhere: there is no such folder\. Check the path"):
        voc.read(tmp_path / "nowhere")
    path = photo(tmp_path / "a.jpg")
    with pytest.raises(NotADirectoryError, match=r"a\.jpg: this is a file. Give the folder that it is in"):
        voc.read(path)
    with pytest.raises(NotADirectoryError, match="this is a file"):
        voc.read(tmp_path, annotation(tmp_path / "a.xml"))


def test_unknown_on_problem(tmp_path: Path) -> None:
    """A misspelt on_problem is refused before anything is read."""
    with pytest.raises(ValueError, match="on_problem must be 'raise' or 'skip', got 'ignore'"):
        voc.read(tmp_path / "nowhere", on_problem="ignore")  # type: ignore[arg-type]


def test_label_map_from_a_file(tmp_path: Path) -> None:
    """The label map may be given as its file, and its order is kept."""
    photo(tmp_path / "a.jpg")
    annotation(tmp_path / "a.xml")
    path = LabelMap(["dog", "cat"]).write(tmp_path / "label_map.pbtxt")
    dataset = voc.read(tmp_path, label_map=path)
    assert dataset.label_map.names == ("dog", "cat")
    assert dataset[0].labels.tolist() == [2]


def test_classes_that_differ_in_capitals_are_warned_of(tmp_path: Path) -> None:
    """Two spellings of one name become two classes, but not without a word."""
    photo(tmp_path / "a.jpg")
    annotation(tmp_path / "a.xml", objects=[("cat", 1, 2, 30, 31), ("Cat", 1, 2, 30, 31)])
    dataset = voc.read(tmp_path)
    assert list(dataset.label_map) == ["Cat", "cat"]
    assert said(dataset) == [
        ("warning", f"{tmp_path}: 'Cat' and 'cat' are taken as 2 classes. If they are one, write it in one way.")
    ]


def test_too_large_and_tiny_numbers(tmp_path: Path) -> None:
    """A number beyond float32, or a box that float32 closes, is an error and not a crash."""
    photo(tmp_path / "a.jpg")
    annotation(tmp_path / "a.xml", objects=[("cat", 1, 2, "1e39", 31), ("cat", 30, 2, "30.0000001", 31)])
    with pytest.raises(DatasetError) as caught:
        voc.read(tmp_path)
    assert "a coordinate that is not a finite number" in errors(caught)[0]
    assert "xmax 30 is not right of xmin 30" in errors(caught)[1]


# --- lists of splits ----------------------------------------------------------------------------


def devkit(folder: Path, photos: Sequence[str], annotated: Sequence[str], **lists: str) -> Path:
    """A VOCdevkit with these photos, annotations and lists."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for stem in photos:
        photo(folder / f"JPEGImages/{stem}.jpg")
    for stem in annotated:
        annotation(folder / f"Annotations/{stem}.xml", f"{stem}.jpg")
    for name, text in lists.items():
        (folder / f"ImageSets/Main/{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_lists_and_what_they_leave_out(tmp_path: Path) -> None:
    """Listed names without annotation are one warning, annotations in no list one note, whatever photos there are."""
    folder = devkit(tmp_path, "abcdef", "abcef", train="a\nb\nd\nghost\n", val="c\n")
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(folder)))
    assert {image.path.stem: image.split for image in dataset} == {"a": "train", "b": "train", "c": "val"}
    fix = "Take them out of the list, or label the photos."
    assert said(dataset) == [
        (
            "note",
            f"{folder}/Annotations: 2 annotations are in none of the lists train.txt, val.txt, such as e.xml. "
            "They are left out; add them to a list to have them.",
        ),
        ("warning", f"train.txt: 2 of the 4 photos listed have no annotation, such as 'd'. {fix}"),
        (
            "note",
            "train/d.jpg: no annotation describes this image. "
            "Left out; label it, or give it an annotation without objects to keep it as background.",
        ),
    ]


def test_listed_annotation_without_photo(tmp_path: Path) -> None:
    """A listed name whose photo is gone is an error of its annotation, with the split in its place."""
    folder = devkit(tmp_path, "ac", "abc", train="a\nb\n", val="c\n")
    with pytest.raises(DatasetError) as caught:
        voc.FORMAT.read_parts(voc.FORMAT.find(Listing(folder)))
    assert len(errors(caught)) == 1
    assert errors(caught)[0].startswith("train/b.xml: its image is missing, there is no 'b.jpg' (its filename) in ")


@pytest.mark.parametrize(
    ("lines", "stems"),
    [
        ("a\n\n  b  \n", "ab"),
        ("\ufeffa\r\nb\r\n", "ab"),
        ("a 1\nb -1\nc  0\n", "abc"),
        ("a.jpg 1\nb.JPG\n", "ab"),
        ('"my cat"\na', ["my cat", "a"]),
        ("my cat\nmy cat 1\nIMG 1\n", ["my cat", "IMG 1"]),
        ('"', ['"']),
        ("../../a\n/etc/passwd\nb\n", "b"),
    ],
)
def test_lines_of_lists(lines: str, stems: Sequence[str], tmp_path: Path) -> None:
    """A line is a name, with or without an ending, a flag, quotes; what leads elsewhere is passed over."""
    folder = devkit(
        tmp_path, ["a", "b", "c", "my cat", "IMG 1", '"'], ["a", "b", "c", "my cat", "IMG 1", '"'], train=lines
    )
    (part,) = voc.FORMAT.find(Listing(folder))
    assert (part.split, part.only) == ("train", frozenset(stems))


@pytest.mark.parametrize("place", ["ImageSets/Main", "imagesets/main", "ImageSets", "IMAGESETS"])
@pytest.mark.parametrize(
    ("lists", "splits"),
    [
        ({"Train": "A\nb\n", "VAL": "c", "Test": "D.JPG"}, {"a": "Train", "b": "Train", "c": "VAL", "d": "Test"}),
        ({"TrainVal": "a\nb\nc", "test": "d", "all": "a\nb\nc\nd"}, {**dict.fromkeys("abc", "TrainVal"), "d": "test"}),
        ({"train": "a", "valid": "b", "trainval": "a\nb", "testing": "JPEGImages/c\nJPEGImages/d"},
         {"a": "train", "b": "valid", "c": "testing", "d": "testing"}),
        ({"training2012": "a\nb", "validation2012": "c\nd", "Cat_Train": "a 1\nb -1"},
         {"a": "training2012", "b": "training2012", "c": "validation2012", "d": "validation2012"}),
    ],
)  # fmt: skip
def test_lists_of_any_name(place: str, lists: dict[str, str], splits: dict[str, str], tmp_path: Path) -> None:
    """The lists of a devkit are known in any capitals, and so are the photos that they name."""
    folder = devkit(tmp_path, "abcd", "abcd")
    shutil.rmtree(folder / "ImageSets")
    (folder / place).mkdir(parents=True)
    for name, text in lists.items():
        (folder / place / f"{name}.txt").write_text(text)
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(folder)))
    assert {image.path.stem: image.split for image in dataset} == splits
    assert dataset.problems == ()


@pytest.mark.parametrize("place", ["", "Annotations", "splits"])
def test_lists_that_lie_about(place: str, tmp_path: Path) -> None:
    """train.txt and the like beside the annotations or around them divide them; what they leave out is of no split."""
    folder = devkit(tmp_path, "abcd", "abcd")
    (folder / place).mkdir(exist_ok=True)
    (folder / place / "train.txt").write_text("data/JPEGImages/a.jpg\n/home/me/b.xml\n")
    (folder / place / "val.txt").write_text("c 1\n")
    (folder / place / "notes.txt").write_text("d\n")
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(folder)))
    assert {image.path.stem: image.split for image in dataset} == {"a": "train", "b": "train", "c": "val", "d": ""}


def test_lists_that_are_empty_are_passed_over(tmp_path: Path) -> None:
    """Where no list names a photo, all annotations are read."""
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(devkit(tmp_path, "ab", "ab", train="", val="\n"))))
    assert [image.split for image in dataset] == ["", ""]


def test_photos_are_found_by_their_names(tmp_path: Path) -> None:
    """Of two folders with photos of the same names, the annotations' own neighbour is meant; masks never are."""
    for base in ("one", "two"):
        devkit(tmp_path / base, "ab", "ab")
        (tmp_path / base / "SegmentationClass").mkdir()
        photo(tmp_path / base / "SegmentationClass/a.jpg")
    photo(tmp_path / "two/SegmentationClass/c.jpg")
    annotation(tmp_path / "two/Annotations/c.xml", "c.jpg")
    assert [(part.images.relative_to(tmp_path), part.only) for part in voc.FORMAT.find(Listing(tmp_path))] == [
        (Path("one/JPEGImages"), None),
        (Path("two/JPEGImages"), None),
    ]


def test_photos_of_one_name_in_folders_of_other_names(tmp_path: Path) -> None:
    """Of photos of one name in several folders, the annotations mean those in the folder that is called as theirs."""
    for number, name in enumerate(("monday", "tuesday"), start=1):
        for folder in ("photos", "labels"):
            (tmp_path / folder / name).mkdir(parents=True)
        photo(tmp_path / "photos" / name / "a.jpg", 60 + number)
        annotation(tmp_path / "labels" / name / "a.xml", "a.jpg", (60 + number, 40))
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)))
    assert [image.path.parent.name for image in dataset] == ["monday", "tuesday"]
    assert [image.width for image in dataset] == [61, 62]


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ("{}_annotations", "{}_images"),
        ("Annotations/{}", "images/{}"),
        ("{}/xml", "{}/photos"),
        ("labels/{}2017/cam1", "{}/cam1"),
        ("labels/{}", "{}"),
        ("{}_xml", "data/photos_{}"),
    ],
)
def test_photos_of_one_name_in_two_splits(labels: str, images: str, tmp_path: Path) -> None:
    """Annotations for a split speak of the photos for that split, and never of another's."""
    for number, name in enumerate(("train", "Val"), start=1):
        for folder in (labels.format(name), images.format(name)):
            (tmp_path / folder).mkdir(parents=True)
        photo(tmp_path / images.format(name) / "a.jpg", 60 + number)
        annotation(tmp_path / labels.format(name) / "a.xml", "a.jpg", (60 + number, 40))
    photo(tmp_path / images.format("Val") / "b.jpg")
    annotation(tmp_path / labels.format("train") / "b.xml", "b.jpg")
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)), on_problem="skip")
    assert {image.split: image.width for image in dataset} == {"train": 61, "Val": 62}
    assert sorted(one.kind for one in dataset.problems) == ["photo missing", "photo not annotated"]


def test_photo_in_two_folders(tmp_path: Path) -> None:
    """Of two different photos of one name that may be meant alike, none is guessed; copies of one file are one."""
    for name in ("cam1", "cam2", "xml"):
        (tmp_path / name).mkdir()
    photo(tmp_path / "cam1/a.jpg")
    photo(tmp_path / "cam2/a.jpg").write_bytes((tmp_path / "cam1/a.jpg").read_bytes())
    photo(tmp_path / "cam2/b.jpg")
    for stem in "ab":
        annotation(tmp_path / f"xml/{stem}.xml", f"{stem}.jpg")
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)))
    assert [image.path.relative_to(tmp_path).as_posix() for image in dataset] == ["cam2/a.jpg", "cam2/b.jpg"]
    photo(tmp_path / "cam1/a.jpg", 80)
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)), on_problem="skip")
    assert [image.path.name for image in dataset] == ["b.jpg"]
    assert said(dataset)[0][1].startswith("a.xml: it may describe 'cam1/a.jpg' or 'cam2/a.jpg', its filename is 'a.jpg")


def test_photos_of_people_with_masks(tmp_path: Path) -> None:
    """Folders called with_mask and without_mask hold photos where no other folder does."""
    for name, stem in (("with_mask", "a"), ("without_mask", "b")):
        (tmp_path / name).mkdir()
        photo(tmp_path / name / f"{stem}.jpg")
    (tmp_path / "annotations").mkdir()
    for stem in "ab":
        annotation(tmp_path / f"annotations/{stem}.xml", f"{stem}.jpg")
    assert len(voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)))) == 2


def test_annotations_in_two_folders(tmp_path: Path) -> None:
    """Copies of the same XML in two folders are read once, with a note; files that differ are named with the folder."""
    for name in ("images", "annotations"):
        (tmp_path / name).mkdir()
        for stem in "ab":
            annotation(tmp_path / name / f"{stem}.xml", f"{stem}.jpg")
    for stem in "ab":
        photo(tmp_path / f"images/{stem}.jpg")
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)))
    assert [len(image.labels) for image in dataset] == [1, 1]
    (note,) = said(dataset)
    assert note == (
        "note",
        f"{tmp_path}/images: 2 annotations are copies of those in {tmp_path}/annotations. Read once.",
    )
    annotation(tmp_path / "annotations/a.xml", "a.jpg", objects=[("dog", 1, 2, 30, 31)])
    with pytest.raises(DatasetError) as caught:
        voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)))
    assert errors(caught)[0].startswith("a.jpg: 2 annotations describe this image: annotations/a.xml; images/a.xml.")


def test_annotation_without_photo_is_read_with_the_rest(tmp_path: Path) -> None:
    """Of annotations whose photos are in two folders, one without a photo is told, and only once."""
    for folder, stem in (("images/train", "a"), ("images/val", "b")):
        (tmp_path / folder).mkdir(parents=True)
        photo(tmp_path / folder / f"{stem}.jpg")
    (tmp_path / "annotations").mkdir()
    for stem in "abc":
        annotation(tmp_path / f"annotations/{stem}.xml", f"{stem}.jpg")
    dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)), on_problem="skip")
    assert {image.path.stem: image.split for image in dataset} == {"a": "train", "b": "val"}
    assert [text[:27] for _, text in said(dataset)] == ["train/c.xml: its image is m"]


def test_xml_of_others_is_not_claimed(tmp_path: Path) -> None:
    """XML that is no Pascal VOC is left to others."""
    photo(tmp_path / "a.jpg")
    for text in ("<svg/>", "<annotations><image/></annotations>"):
        (tmp_path / "a.xml").write_text(text)
        assert voc.FORMAT.find(Listing(tmp_path)) == []
    (tmp_path / "a.xml").write_text("<annotation><source/><size/></annotation>")  # background
    assert len(voc.FORMAT.find(Listing(tmp_path))) == 1


WEB = "<polygon><username>x</username>{}</polygon>".format(
    "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((5, 9), (30, 4), (12, 20)))
)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (WEB, [5, 4, 30, 20]),
        ("<polygon><x1>5.5</x1><y1>9</y1><x2>30</x2><y2>4</y2></polygon>", [5.5, 4, 30, 9]),
        (WEB + "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>", [1, 2, 3, 4]),
        ("<polygon><pt><x>5</x></pt></polygon>", "its polygon has 1 x and 0 y. Draw it again"),
        ("<polygon><pt><x>5</x><y/></pt></polygon>", "its polygon has <y> None, not a number. Draw it again"),
        ("<robndbox><cx>1</cx></robndbox>", "it has no <bndbox>, but <robndbox>. Add it"),
    ],
)
def test_objects_without_a_box(shape: str, expected: list[float] | str, tmp_path: Path) -> None:
    """A polygon has the box around it, and of what cannot be read it is said what is there; the deleted are gone."""
    photo(tmp_path / "a.jpg")
    gone = f"<object><name>gone</name><deleted>1</deleted>{WEB}</object>"
    (tmp_path / "a.xml").write_text(f"<annotation>{gone}<object><name>cat</name>{shape}</object></annotation>")
    if isinstance(expected, str):
        with pytest.raises(DatasetError) as caught:
            voc.read(tmp_path)
        assert errors(caught)[0].startswith(f"a.xml, object 2 ('cat'): {expected}")
    else:
        dataset = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)))
        assert [image.boxes_xyxy.tolist() for image in dataset] == [[expected]]
        assert list(dataset.label_map) == ["cat"]


BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>31</ymax></bndbox>"
CAT_OBJECT = f"<object><name>cat</name>{BOX}</object>"


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (f"<objects>{CAT_OBJECT}</objects>", "it has a <bndbox> in <object> in <objects> in <annotation>, where no"),
        (f"{CAT_OBJECT}<Object><name>cat</name>{BOX}</Object>", "it has a <bndbox> in <Object> in <annotation>, where"),
        (f"<object><name>cat</name>{BOX}{CAT_OBJECT}</object>", "it has a <bndbox> in <object> in <object> in <annot"),
        (f"{CAT_OBJECT}{BOX}", "it has a <bndbox> in <annotation>, where no object is looked for. Put each into an"),
        (f"<filename>a.jpg</filename><filename>b.jpg</filename>{CAT_OBJECT}", "it has several <filename> that differ"),
        (f"<size><width>60</width><width>6</width></size>{CAT_OBJECT}", "it has several <width> that differ. Keep one"),
        (
            CAT_OBJECT.replace("<xmin>", "<xmin>3</xmin><xmin>"),
            "it has several <xmin> that differ. Keep one, or delete",
        ),
        (f"<object><part><name>head</name>{BOX}</part><name>cat</name>{BOX}</object>", ""),
        (f"<filename>a.jpg</filename><filename>a.jpg</filename>{CAT_OBJECT}", ""),
    ],
)
@pytest.mark.parametrize("namespace", ["", ' xmlns="http://x"'])
def test_structure_that_no_tool_writes(inside: str, expected: str, namespace: str, tmp_path: Path) -> None:
    """What stands twice and differs, or where no object is looked for, is an error: no box gets lost without a word."""
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(f"<annotation{namespace}>{inside}</annotation>")
    if expected:
        with pytest.raises(DatasetError) as caught:
            voc.read(tmp_path)
        (told,) = errors(caught)
        assert expected in told
    else:
        assert [image.boxes_xyxy.tolist() for image in voc.read(tmp_path)] == [[[1, 2, 30, 31]]]


# --- writing ------------------------------------------------------------------------------------


def made_up(folder: Path) -> Dataset:
    """Photos with fractional boxes, odd names and one background, as no real set has them together."""
    random = np.random.default_rng(3)
    names = ["a.jpg", "comma, 'quote\".jpg", "ação cão (1).jpg", "=1+1.jpg", "two words.JPG"]
    label_map = LabelMap(["=cmd|x", 'cat, "big"', "🐱", "<cão> & co"])
    images = []
    for number, name in enumerate(names):
        photo(folder / name)
        corners = np.sort(random.uniform(0, 1, (number, 2, 2)), axis=1).astype(np.float32) * np.float32([60, 40])
        boxes_xyxy, labels = corners.reshape(-1, 4), random.integers(1, 5, number)
        images.append(LabelledImage(folder / name, 60, 40, boxes_xyxy, labels, difficult=random.random(number) < 0.4))
    return Dataset(tuple(sorted(images, key=lambda image: image.path.name)), label_map)


def test_round_trip_of_made_up_boxes(tmp_path: Path) -> None:
    """Fractional coordinates, odd names, difficult objects and background images come back bit by bit."""
    (tmp_path / "photos").mkdir()
    dataset = made_up(tmp_path / "photos")
    folder = voc.write(dataset, tmp_path / "written")
    again = voc.read(folder, label_map=dataset.label_map)
    assert sum(len(image.labels) for image in again) == 10
    assert 0 < sum(image.difficult.sum() for image in again) < 10
    assert same(dataset, again)
    for image in dataset:
        assert (folder / image.path.name).read_bytes() == image.path.read_bytes()


def test_round_trip_of_real_photos(shared: Path, tmp_path: Path) -> None:
    """Real photos, their boxes and classes come back exactly."""
    dataset = voc.read(shared / "data/asirra/test")
    assert (len(dataset), dataset.counts()) == (105, {"cat": 56, "dog": 55})
    assert same(dataset, voc.read(voc.write(dataset, tmp_path / "copy")))


def test_write_images_from_bytes(tmp_path: Path) -> None:
    """An image that came from records has no file, and its bytes are written."""
    data = photo(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").unlink()
    image = LabelledImage("a.jpg", 60, 40, [[1, 2, 3, 4]], [1], encoded=data)
    folder = voc.write(Dataset((image,), CATS_AND_DOGS), tmp_path / "new")
    assert (folder / "a.jpg").read_bytes() == data
    assert same(Dataset((image,), CATS_AND_DOGS), voc.read(folder, label_map=CATS_AND_DOGS))


def test_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A photo that is gone leaves no folder behind, not even a hidden one."""
    (tmp_path / "photos").mkdir()
    dataset = made_up(tmp_path / "photos")
    dataset[3].path.unlink()
    with pytest.raises(FileNotFoundError, match=r"the image is gone\. Put it back, or read the dataset again"):
        voc.write(dataset, tmp_path / "written")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_write_never_replaces_a_folder_with_files(tmp_path: Path) -> None:
    """A folder that has files in it, such as the photos' own, is left alone."""
    dataset = made_up(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(FileExistsError, match=r"there are files here already\. Choose a new folder"):
        voc.write(dataset, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    (tmp_path / "empty").mkdir()
    assert len(voc.read(voc.write(dataset, tmp_path / "empty"), label_map=dataset.label_map)) == 5


def test_write_refuses_two_images_of_one_name(tmp_path: Path) -> None:
    """Two images whose annotations would be one file are refused before anything is written."""
    image = LabelledImage(photo(tmp_path / "a.jpg"), 60, 40, [[1, 2, 3, 4]], [1])
    with pytest.raises(ValueError, match=r"a\.jpg and .*A\.png would be written under one name. Rename one"):
        voc.write(Dataset((image, replace(image, path=Path("A.png"))), CATS_AND_DOGS), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_write_gives_splits_a_folder_each(tmp_path: Path) -> None:
    """Two images of one name may be in two splits, and come back so."""
    data = photo(tmp_path / "a.jpg").read_bytes()
    images = tuple(
        LabelledImage("a.jpg", 60, 40, [[1, 2, 3, 4]], [1], encoded=data, split=split)
        for split in ("test", "train", "")
    )
    folder = voc.write(Dataset(images, CATS_AND_DOGS), tmp_path / "new")
    assert (folder / "train/a.xml").is_file()
    again = voc.FORMAT.read_parts(voc.FORMAT.find(Listing(folder)), label_map=CATS_AND_DOGS)
    assert {image.split for image in again} == {"test", "train", ""}
    assert again.problems == ()


@pytest.mark.parametrize(("old", "new"), [("object>", "Object>"), ("<object>", "<objects><object>")])
def test_boxes_of_no_object_are_no_background(old: str, new: str, tmp_path: Path) -> None:
    """Boxes that are not in an <object> of the annotation are told, and the photo does not become background."""
    for stem in "ab":
        Image.new("RGB", (40, 30)).save(tmp_path / f"{stem}.jpg")
        (tmp_path / f"{stem}.xml").write_text(layouts.xml(stem))
    text = layouts.xml("a").replace(old, new)
    (tmp_path / "a.xml").write_text(text.replace("</object>", "</object></objects>") if "objects" in new else text)
    with pytest.raises(DatasetError, match=r"a\.xml: it has a <bndbox> in .*, where no object is looked for"):
        voc.read(tmp_path)
    assert [image.path.name for image in voc.read(tmp_path, on_problem="skip")] == ["b.jpg"]


def test_photos_of_another_split_alone(tmp_path: Path) -> None:
    """Where only another split has photos of the names, they are missing, and no photo gets another split's boxes."""
    for name in ("train_xml", "val_xml", "val_images"):
        (tmp_path / name).mkdir()
    photo(tmp_path / "val_images/a.jpg")
    for name in ("train_xml", "val_xml"):
        annotation(tmp_path / name / "a.xml", "a.jpg", objects=[(name, 1, 2, 30, 31)])
    for on_problem in ("raise", "skip"):
        with pytest.raises(DatasetError, match=r"train_xml: there are no photos in this folder, only 1 \.xml"):
            voc.FORMAT.read_parts(voc.FORMAT.find(Listing(tmp_path)), on_problem=on_problem)
