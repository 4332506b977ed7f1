"""Whatever is broken in a data set, or was put there to do harm, ends in a problem that names the file."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import layouts
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask

from tfod_helpers import formats, photos, records
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.formats import tfod_csv, voc
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError

FUZZ = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
CAT = ["cat"]
UNREADABLE, MISSING = "annotation unreadable", "photo missing"


class Expected(NamedTuple):
    """What an odd file ends in.

    Attributes:
        errors: the kinds of the errors of reading; none means that it is read.
        words: the kinds of the warnings and notes, which keep nothing from being read.
        writing: the kind of the error of writing records from it.
    """

    errors: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    writing: str = ""


READ = Expected()
TURNED = Expected(words=("way up unknown",))  # mirrored, or on its head: no size can tell
ANNOTATIONS = {
    "bndbox_missing.xml": Expected(("object unreadable",)),
    "bndbox_two.xml": Expected(("object unreadable",)),
    "bom.xml": READ,
    "bomb.xml": Expected((UNREADABLE,)),
    "box_1px.xml": READ,
    "box_norm.xml": Expected(("box in fractions",)),
    "box_outside.xml": Expected(("box outside",)),
    "box_over.xml": Expected(("box over the edge",)),
    "box_zero.xml": Expected(("box without area",)),
    "comma_decimal.xml": Expected(("box not a number",) * 4),
    "cut.xml": Expected((UNREADABLE,)),
    "empty_coord.xml": Expected(("box incomplete",)),
    "empty_file.xml": Expected((UNREADABLE,)),
    "filename_ci.xml": READ,
    "filename_traversal.xml": Expected((MISSING,)),
    "filename_win.xml": READ,
    "html_entity.xml": Expected((UNREADABLE,)),
    "inf.xml": Expected(("box not a number",)),
    "latin1.xml": READ,
    "latin1_undeclared.xml": Expected((UNREADABLE,)),
    "many.xml": READ,
    "name_background.xml": Expected(("class name",)),
    "name_case.xml": Expected(words=("class spelled differently",)),
    "name_csv.xml": READ,
    "name_emoji.xml": READ,
    "name_empty.xml": Expected(("class name",)),
    "name_formula.xml": READ,
    "name_missing.xml": Expected(("object unreadable",)),
    "name_unknown.xml": READ,  # no label map is given
    "name_ws.xml": READ,
    "namespace.xml": READ,
    "nan.xml": Expected(("box not a number",)),
    "no_objects.xml": Expected(words=("image without objects",)),
    "none.xml": Expected(("box not a number",)),
    "not_xml.xml": Expected((UNREADABLE,)),
    "ns_prefix.xml": READ,
    "part.xml": READ,
    "sci.xml": READ,
    "size_missing.xml": Expected(words=("size not given",)),
    "size_swapped.xml": Expected(("size differs",)),
    "size_zero.xml": Expected(words=("size not given",)),
    "swapped_x.xml": Expected(("box with swapped corners",)),
    "swapped_xy.xml": Expected(("box with swapped corners",)),
    "two_roots.xml": Expected((UNREADABLE,)),
    "utf16.xml": READ,
    "ws_file.xml": Expected((UNREADABLE,)),
    "xxe.xml": Expected((UNREADABLE,)),
}
IMAGES = {
    "ação cão (1).jpg": READ,
    "bmp_named.jpg": READ,
    "cmyk.jpg": READ,
    "empty.jpg": Expected(("photo unreadable",)),
    "exif2.jpg": TURNED,
    "exif3.jpg": TURNED,
    "exif4.jpg": TURNED,
    "exif5.jpg": READ,  # turned aside: the annotation's size says in which frame its boxes are
    "exif6.jpg": READ,
    "exif7.jpg": READ,
    "exif8.jpg": READ,
    "gif_named.jpg": READ,
    "gray.jpg": READ,
    "gray16.png": READ,
    "html.jpg": Expected(("photo unreadable",)),
    "junk_tail.jpg": READ,
    "la.png": READ,
    "lfs.jpg": Expected(("photo unreadable",)),
    "onebit.png": READ,
    "palette.png": READ,
    "png_named.jpg": READ,
    "prog_444.jpg": READ,
    "px1.png": READ,
    "rgba.png": READ,
    "tiff_named.jpg": READ,
    "trunc50.jpg": Expected(writing="photo unreadable"),  # its header is whole: all pixels are read when writing
    "trunc_tail.jpg": Expected(writing="photo unreadable"),
    "webp_named.jpg": READ,
    "wide.jpg": READ,
}
LABEL_MAPS: dict[str, list[str] | str] = {  # the names in it, or the start of what is wrong
    "angle.pbtxt": CAT,
    "bom.pbtxt": CAT,
    "colon.pbtxt": ["cat", "dog"],
    "comment.pbtxt": CAT,
    "concat.pbtxt": CAT,
    "crlf.pbtxt": CAT,
    "dup_id.pbtxt": "id 1 is given to both 'cat' and 'dog'. Number the items",
    "dup_name.pbtxt": "Class names must be distinct, got 'cat' more than once.",
    "empty.pbtxt": "there is no 'item { id: 1 name: '...' }' in it. Add one item a class.",
    "gap.pbtxt": ["cat", "dog"],
    "hexid.pbtxt": CAT,
    "id0.pbtxt": ["cat", "dog"],
    "kp.pbtxt": ["person"],
    "neg.pbtxt": "item 1 ('cat') needs a whole number from 1 as id, got -1. Write id: 1.",
    "no_id.pbtxt": "item 1 ('cat') needs a whole number from 1 as id, got none. Write id: 1.",
    "no_name.pbtxt": CAT,  # a display_name
    "octal.pbtxt": ["cão"],
    "unclosed.pbtxt": "line 1, column 6: the brace that opens here is never closed. Add a '}'.",
    "unquoted.pbtxt": CAT,
    "utf8.pbtxt": ["cão"],
}
RENUMBERED = ("gap.pbtxt", "id0.pbtxt")


def photo(path: Path, width: int = 60, height: int = 40) -> Path:
    """Write a plain JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, "JPEG")
    return path


def xml(filename: str, size: tuple[int, int] = (60, 40), box: tuple[int, int, int, int] = (1, 2, 30, 31)) -> str:
    """An annotation of one cat."""
    corners = "".join(f"<{field}>{value}</{field}>" for field, value in zip(COORDINATES, box, strict=True))
    return (
        f"<annotation><filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"<object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"
    )


def good(folder: Path) -> Path:
    """A folder with one photo and its annotation, in which nothing is wrong."""
    photo(folder / "good.jpg")
    (folder / "good.xml").write_text(xml("good.jpg"))
    return folder


def kinds(problems: tuple, *, errors: bool) -> tuple[str, ...]:
    """The kinds of the errors, or of what is no error."""
    return tuple(problem.kind for problem in problems if (problem.severity == "error") == errors)


def ends_in(read: Callable[[str], Dataset], expected: Expected, where: str) -> Dataset:
    """Read in both modes, assert what comes out, and return what is left of the data where bad things are left out.

    Args:
        read: takes what to do with problems.
        expected: what it must end in.
        where: the file that the problems are in.
    """
    if expected.errors:
        with pytest.raises(DatasetError) as caught:
            read("raise")
        assert kinds(caught.value.problems, errors=True) == expected.errors
        assert where in str(caught.value)
    else:
        read("raise")
    left = read("skip")
    assert kinds(left.problems, errors=True) == expected.errors
    assert set(expected.words) <= set(kinds(left.problems, errors=False))
    for problem in left.problems:
        assert problem.what
        assert problem.fix
        assert where in problem.where or problem.kind in ("photo not annotated", "class spelled differently")
    return left


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is in a folder, with its size and the time of its change."""
    stats = {path.relative_to(folder).as_posix(): path.lstat() for path in folder.rglob("*")}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


# --- the odd collection -------------------------------------------------------------------------


def test_every_odd_file_has_an_outcome(shared: Path) -> None:
    """No file of the collection is without an expectation, and no expectation without its file."""
    listed = [entry["file"] for entry in json.loads((shared / "data/odd/index.json").read_text("utf-8"))]
    assert sorted(listed) == sorted([*ANNOTATIONS, *IMAGES, *LABEL_MAPS])


@pytest.mark.parametrize(("name", "expected"), ANNOTATIONS.items(), ids=ANNOTATIONS)
def test_odd_annotation(name: str, expected: Expected, shared: Path, tmp_path: Path) -> None:
    """An odd annotation is read or told, in both modes, and the good one beside it stays whatever happens."""
    folder = good(tmp_path)
    for odd in (name, "cat.1.jpg"):
        shutil.copyfile(shared / "data/odd" / odd, folder / odd)
    before = tree(tmp_path)
    where = str(folder) if "class spelled differently" in expected.words else name
    left = ends_in(lambda on_problem: formats.read(folder, on_problem=on_problem), expected, where)
    assert "good.jpg" in {image.path.name for image in left}
    assert ("cat.1.jpg" in {image.path.name for image in left}) == (not expected.errors)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(("name", "expected"), IMAGES.items(), ids=IMAGES)
def test_odd_image(name: str, expected: Expected, shared: Path, tmp_path: Path) -> None:
    """An odd image is read to its pixels and written to records, or told at the one or at the other."""
    folder = good(tmp_path / "photos")
    shutil.copyfile(shared / "data/odd" / name, folder / name)
    size = (300, 280)
    with contextlib.suppress(photos.PhotoError):
        size = photos.read_info(folder / name).upright_size
    (folder / f"{Path(name).stem}.xml").write_text(xml(name, size, (0, 0, *size)), encoding="utf-8")
    left = ends_in(lambda on_problem: formats.read(folder, on_problem=on_problem), expected, Path(name).stem)
    assert [image.path.name for image in left] == sorted(["good.jpg", *([] if expected.errors else [name])])
    if expected.writing:
        with pytest.raises(DatasetError) as caught:
            records.write(left, tmp_path / "records/train")
        assert kinds(caught.value.problems, errors=True) == (expected.writing,)
        assert name in str(caught.value)
    written = records.write(left, tmp_path / "records/train", on_problem="skip")
    assert kinds(written.problems, errors=True) == ((expected.writing,) if expected.writing else ())
    names = {Path(image.path).stem for image in records.read(written)}
    assert names == {"good", *([] if expected.errors or expected.writing else [Path(name).stem])}


@pytest.mark.parametrize(("name", "expected"), LABEL_MAPS.items(), ids=LABEL_MAPS)
@pytest.mark.parametrize("on_problem", ["raise", "skip"])
def test_odd_label_map(name: str, expected: list[str] | str, on_problem: str, shared: Path, tmp_path: Path) -> None:
    """An odd label map is read with its names, or told; numbered anew only with a word."""
    path = shared / "data/odd" / name
    first = expected[0] if isinstance(expected, list) else "cat"
    good(tmp_path)
    (tmp_path / "good.xml").write_text(xml("good.jpg").replace("<name>cat", f"<name>{first}"), encoding="utf-8")
    if isinstance(expected, str):
        with pytest.raises(DatasetError) as caught:
            formats.read(tmp_path, label_map=path, on_problem=on_problem)  # type: ignore[arg-type]
        assert str(caught.value.problems[0]).startswith(f"{path}: {expected}")
        assert caught.value.problems[0].kind == "label map unreadable"
        return
    dataset = formats.read(tmp_path, label_map=path, on_problem=on_problem)  # type: ignore[arg-type]
    assert list(dataset.label_map) == expected
    renumbered = [problem.where for problem in dataset.problems if problem.kind == "label map renumbered"]
    assert renumbered == ([str(path)] if name in RENUMBERED else [])


# --- sizes that are nearly right, and photos that are stored turned -------------------------------


@pytest.mark.parametrize(
    ("stored", "orientation", "size", "becomes"),
    [
        ((300, 299), 1, (300, 300), (300, 299)),
        ((300, 300), 1, (301, 299), (300, 300)),
        ((299, 300), 1, (300, 299), (299, 300)),
        ((300, 200), 6, (201, 300), (200, 300)),  # a pixel off the upright size
        ((300, 200), 6, (299, 200), (300, 200)),  # and off the stored one
        ((300, 299), 1, (300, 302), None),
        ((300, 299), 1, (150, 150), None),
    ],
)
def test_size_that_is_a_pixel_off(
    stored: tuple[int, int], orientation: int, size: tuple[int, int], becomes: tuple[int, int] | None, tmp_path: Path
) -> None:
    """A resizing tool's rounding is a warning, the box is cut off at the photo's edge; more is an error."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", stored).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.xml").write_text(xml("a.jpg", size, (20, 30, *size)))
    if becomes is None:
        with pytest.raises(DatasetError, match=rf"the size {size[0]} x {size[1]} is not that of a\.jpg"):
            formats.read(tmp_path)
        return
    dataset = formats.read(tmp_path)
    assert (dataset[0].width, dataset[0].height) == becomes
    assert dataset[0].boxes_xyxy.tolist() == [[20, 30, min(becomes[0], size[0]), min(becomes[1], size[1])]]
    assert [(one.severity, one.kind) for one in dataset.problems] == [("warning", "size off by a pixel")]
    assert dataset[0].pixels().shape == (becomes[1], becomes[0], 3)


def test_real_size_that_is_a_pixel_off(shared: Path) -> None:
    """The photos stay, each with a warning, and their boxes are as they were drawn."""
    dataset = formats.read(shared / "data/reported/f06_size_one_pixel_off")
    assert [(image.width, image.height) for image in dataset] == [(300, 299)] * 2
    assert dataset[0].boxes_xyxy.tolist() == [[5, 5, 30, 30]]
    assert [one.severity for one in dataset.problems] == ["warning"] * 2


def test_mask_of_a_size_that_is_a_pixel_off(tmp_path: Path) -> None:
    """An outline that was encoded at the annotation's size becomes a mask at the photo's."""
    photo(tmp_path / "a.jpg", 60, 39)
    drawn = np.zeros((40, 60), np.uint8)
    drawn[10:40, 5:50] = 1
    outline = {"size": [40, 60], "counts": mask.encode(np.asfortranarray(drawn))["counts"].decode()}
    facts = {"image_id": 1, "category_id": 1, "bbox": [5, 10, 45, 30], "iscrowd": 0, "segmentation": outline}
    names = {"images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}]}
    names |= {"categories": [{"id": 1, "name": "cat"}], "annotations": [{"id": 1} | facts]}
    (tmp_path / "a.json").write_text(json.dumps(names))
    (image,) = formats.read(tmp_path, masks=True)
    assert image.boxes_xyxy.tolist() == [[5, 10, 50, 39]]
    np.testing.assert_array_equal(mask.decode({"size": [39, 60], "counts": image.masks[0]}), drawn[:39])


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("size", [(60, 40), (50, 50)])
@pytest.mark.parametrize("kind", ["voc", "yolo", "coco"])
def test_photos_that_were_labelled_as_stored(
    orientation: int, size: tuple[int, int], kind: str, tmp_path: Path
) -> None:
    """Where no size can tell, way_up says which picture was labelled: the box and the mask lie on the same thing."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[5:20, 10:40] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    if kind == "voc":
        (tmp_path / "a.xml").write_text(xml("a.png", size, (10, 5, 40, 20)))
    elif kind == "yolo":
        (tmp_path / "a.txt").write_text(f"0 {25 / width} {12.5 / height} {30 / width} {15 / height}\n")
        (tmp_path / "classes.txt").write_text("cat\n")
    else:
        polygon = [10, 5, 40, 5, 40, 20, 10, 20]
        facts = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 30, 15], "segmentation": [polygon]}
        names = {"images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}]}
        names |= {"categories": [{"id": 1, "name": "cat"}], "annotations": [facts]}
        (tmp_path / "a.json").write_text(json.dumps(names))
    options = {"masks": True} if kind == "coco" else {}
    dataset = formats.read(tmp_path, way_up="as stored", **options)
    assert "way up unknown" not in kinds(dataset.problems, errors=False)
    (image,) = dataset
    xmin, ymin, xmax, ymax = np.round(image.boxes_xyxy[0]).astype(int)
    bright = image.pixels()[..., 0] > 128
    assert bright.shape == (image.height, image.width)
    assert bright[ymin:ymax, xmin:xmax].all()
    assert bright.sum() == (xmax - xmin) * (ymax - ymin) == 450
    if image.masks:
        drawn = mask.decode({"size": [image.height, image.width], "counts": image.masks[0]})
        np.testing.assert_array_equal(drawn.astype(bool), bright)


def test_way_up_that_is_no_word_of_ours(tmp_path: Path) -> None:
    """Another word is refused with the two that there are; the warning of a photo that lies turned names them."""
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (60, 40)).save(good(tmp_path) / "good.jpg", exif=exif)
    with pytest.raises(ValueError, match="way_up must be 'as viewed', 'as stored' or None, got 'viewed'"):
        formats.read(tmp_path, way_up="viewed")  # type: ignore[arg-type]  # which is refused
    (problem,) = formats.read(tmp_path).problems
    assert problem.kind == "way up unknown"
    assert "read with way_up='as stored'" in problem.fix
    assert formats.read(tmp_path, way_up="as viewed").problems == ()


# --- files that want to do harm -----------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[tuple[int, Callable[[], bool]]]:
    """A port of this machine, and whether anybody has called there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def called() -> bool:
            try:
                server.accept()[0].close()
            except TimeoutError:
                return False
            return True

        yield server.getsockname()[1], called


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A file, and whether anybody has opened it, which only a pipe can tell."""
    path, opened, done = tmp_path / "pipe", threading.Event(), threading.Event()
    os.mkfifo(path)

    def wait() -> None:
        while not done.is_set():
            with path.open("wb"):  # until somebody reads
                if not done.is_set():
                    opened.set()

    thread = threading.Thread(target=wait)
    thread.start()
    yield path, opened
    done.set()
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    thread.join()
    os.close(reading)


DOCTYPES = [
    '<!DOCTYPE a [<!ENTITY x SYSTEM "{url}">]>',
    '<!DOCTYPE a [<!ENTITY % x SYSTEM "{url}"> %x;]>',
    '<!DOCTYPE a SYSTEM "{url}">',
    '<!DOCTYPE a PUBLIC "-//x//y" "{url}" [<!ENTITY x "y">]>',
    '<?xml-stylesheet href="{url}"?>',
    '<!DOCTYPE a [<!ENTITY x PUBLIC "-//x//y" "{url}">]>',
    '<!DOCTYPE a [<!NOTATION n SYSTEM "{url}"><!ENTITY x SYSTEM "{url}" NDATA n>]>',
]


@pytest.mark.parametrize("doctype", DOCTYPES)
@pytest.mark.parametrize("name", ["a.xml", "annotations.xml"])
def test_nothing_that_xml_names_is_opened(
    doctype: str,
    name: str,
    listener: tuple[int, Callable[[], bool]],
    pipe: tuple[Path, threading.Event],
    tmp_path: Path,
) -> None:
    """No address that an annotation names is called and no file opened, in finding out the format and in reading."""
    port, called = listener
    path, opened = pipe
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden words")
    folder = good(tmp_path / "photos")
    photo(folder / "a.jpg")
    body = xml("a.jpg").replace("<name>cat", "<name>&x;cat" if "ENTITY x" in doctype else "<name>cat")
    if name == "annotations.xml":
        body = f'<annotations><image id="0" name="a.jpg" width="60" height="40">{body}</image></annotations>'
    addresses = [
        f"http://127.0.0.1:{port}/x.dtd",
        f"ftp://127.0.0.1:{port}/x",
        secret.as_uri(),
        path.as_uri(),
        str(path),
    ]
    for url in addresses:
        (folder / name).write_text(doctype.format(url=url) + body)
        for on_problem in ("raise", "skip"):
            try:
                told = repr(formats.read(folder, on_problem=on_problem).problems)  # type: ignore[arg-type]
            except DatasetError as error:
                told = repr(error.problems)
            assert "hidden" not in told
            if "ENTITY" in doctype:
                assert name in told or "several formats" in told
    assert not opened.is_set()
    path.read_bytes()
    assert opened.wait(10)  # the pipe does tell
    assert not called()
    with socket.create_connection(("127.0.0.1", port)):
        assert called()  # the listener does hear


@pytest.mark.parametrize("depth", [5, 30])
def test_entities_that_unfold_without_end(depth: int, tmp_path: Path) -> None:
    """Ten entities of ten entities of ten are refused before they are unfolded, in texts and in attributes."""
    folder = good(tmp_path)
    photo(folder / "a.jpg")
    declared = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, depth))
    start = f'<!DOCTYPE a [<!ENTITY x0 "aaaaaaaaaa">{declared}]>'
    for body in (
        xml("a.jpg").replace("cat", f"&x{depth - 1};"),
        f'<annotation verified="&x{depth - 1};"></annotation>',
    ):
        (folder / "a.xml").write_text(start + body)
        read = ends_in(lambda mode: formats.read(folder, on_problem=mode), Expected((UNREADABLE,)), "a.xml")  # type: ignore[arg-type]
        assert len(read) == 1


OUTSIDE = [
    "../outside.jpg",
    "..\\outside.jpg",
    "{parent}/outside.jpg",
    "photos/../../outside.jpg",
    "file://{parent}/outside.jpg",
    "C:\\{parent}\\outside.jpg",
    "outside.jpg",
    "link/outside.jpg",
    "~/outside.jpg",
    "..",
    ".",
    "/",
    "good.jpg/../../outside.jpg",
]


@pytest.mark.parametrize("filename", OUTSIDE)
@pytest.mark.parametrize("kind", ["voc", "tfod_csv", "coco"])
def test_filename_that_climbs_out(filename: str, kind: str, tmp_path: Path) -> None:
    """A file name that leads out of the folder finds no photo there, whatever file it is in."""
    filename = filename.format(parent=tmp_path)
    photo(tmp_path / "outside.jpg")
    folder = tmp_path / "photos"
    photo(folder / "good.jpg")
    if kind == "voc":
        (folder / "good.xml").write_text(xml("good.jpg"))
        (folder / "z.xml").write_text(xml(filename))
    elif kind == "tfod_csv":
        rows = "".join(f'"{name}",60,40,cat,1,2,30,31\n' for name in ("good.jpg", filename))
        (folder / "labels.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n" + rows)
    else:
        images = [
            {"id": id, "file_name": name, "width": 60, "height": 40} for id, name in ((1, "good.jpg"), (2, filename))
        ]
        boxes = [{"id": id, "image_id": id, "category_id": 1, "bbox": [1, 2, 29, 29]} for id in (1, 2)]
        data = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
        (folder / "labels.json").write_text(json.dumps(data))
    before = tree(tmp_path)
    left = ends_in(lambda mode: formats.read(folder, on_problem=mode), Expected((MISSING,)), "")  # type: ignore[arg-type]
    assert [image.path for image in left] == [folder / "good.jpg"]
    assert filename in left.problems[0].what or repr(filename) in left.problems[0].what
    assert tree(tmp_path) == before


def test_many_objects_in_one_file(tmp_path: Path) -> None:
    """Of 600 objects in one file each bad one is told, by its number, and the good ones stay."""
    folder = good(tmp_path)
    photo(folder / "many.jpg")
    item = xml("").partition("<object>")[2].partition("</object>")[0]
    bad = item.replace("<xmax>30<", "<xmax>0<")
    objects = "".join(f"<object>{bad if number % 2 else item}</object>" for number in range(600))
    (folder / "many.xml").write_text(xml("many.jpg").partition("<object>")[0] + objects + "</annotation>")
    expected = Expected(("box with swapped corners",) * 300)
    left = ends_in(lambda mode: formats.read(folder, on_problem=mode), expected, "many.xml")  # type: ignore[arg-type]
    assert [len(image.labels) for image in left] == [1, 300]
    assert left.problems[0].object == "object 2 ('cat')"
    assert left.problems[-1].object == "object 600 ('cat')"


def test_photo_that_unfolds_to_gigabytes(tmp_path: Path) -> None:
    """A small PNG that would be gigabytes of pixels is refused by its header."""
    folder = good(tmp_path)
    Image.new("1", (30_000, 30_000)).save(folder / "bomb.png")
    assert (folder / "bomb.png").stat().st_size < 200_000
    (folder / "bomb.xml").write_text(xml("bomb.png", (30_000, 30_000)))
    expected = Expected(("photo unreadable",))
    left = ends_in(lambda mode: formats.read(folder, on_problem=mode), expected, "bomb.png")  # type: ignore[arg-type]
    assert [image.path.name for image in left] == ["good.jpg"]


# --- files that change, and folders that are closed ---------------------------------------------


@pytest.mark.parametrize("change", ["other size", "cut", "gone", "text", "folder", "closed"])
def test_photo_that_changes_after_it_was_read(change: str, tmp_path: Path) -> None:
    """What becomes of a photo between reading and writing is told by its name, and older records stay as they are."""
    folder = good(tmp_path / "photos")
    photo(folder / "a.jpg")
    (folder / "a.xml").write_text(xml("a.jpg"))
    dataset = formats.read(folder)
    whole = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").unlink()
    if change == "other size":
        photo(folder / "a.jpg", 50, 70)
    elif change == "cut":
        (folder / "a.jpg").write_bytes(whole[: len(whole) // 2])
    elif change == "text":
        (folder / "a.jpg").write_text("<html>")
    elif change == "folder":
        (folder / "a.jpg").mkdir()
    elif change == "closed":
        (folder / "a.jpg").symlink_to("a.jpg")  # a link to itself, which nobody can open
    with pytest.raises(DatasetError) as caught:
        records.write(dataset, tmp_path / "records/train")
    assert [Path(problem.photo or problem.where).name for problem in caught.value.problems] == ["a.jpg"]
    assert not list((tmp_path / "records").glob("*")) if (tmp_path / "records").exists() else True
    written = records.write(dataset, tmp_path / "records/train", on_problem="skip")
    assert [image.path.stem for image in records.read(written)] == ["good"]
    assert len(written.problems) == 1


@pytest.mark.parametrize("change", ["cut", "gone", "not xml"])
def test_annotation_that_changes_while_it_is_read(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An annotation that is taken away or overwritten after the folder was listed is told by its name."""
    folder = good(tmp_path)
    photo(folder / "a.jpg")
    (folder / "a.xml").write_text(xml("a.jpg"))

    def changed(*args: object, **options: object) -> object:
        if change == "gone":
            (folder / "a.xml").unlink(missing_ok=True)
        else:
            (folder / "a.xml").write_text("<annotation><object>" if change == "cut" else "not xml")
        return make_dataset(*args, **options)

    make_dataset = formats.format.make_dataset
    monkeypatch.setattr(formats.format, "make_dataset", changed)
    left = voc.read(folder, on_problem="skip")
    assert kinds(left.problems, errors=True) == (UNREADABLE,)
    assert left.problems[-1].where == "a.xml" or left.problems[0].where == "a.xml"
    assert [image.path.name for image in left] == ["good.jpg"]


def as_nobody(do: Callable[[], str]) -> str:
    """What a function returns, or the error it ends in, for a user who has no rights to anything."""
    if os.getuid():
        pytest.skip("needs to be root, to become somebody without rights")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # in another process, as no one gets back from nobody
        try:
            os.setgid(65534)
            os.setuid(65534)
            told = do()
        except BaseException:
            told = traceback.format_exc()
        os.write(writing, told.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


def told_by(path: Path, on_problem: str) -> str:
    """What reading a path ends in."""
    try:
        dataset = formats.read(path, on_problem=on_problem)  # type: ignore[arg-type]
    except DatasetError as error:
        return f"DatasetError {error}"
    return f"{len(dataset)} read; " + "; ".join(map(str, dataset.problems))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
@pytest.mark.parametrize(
    ("closed", "told"),
    [
        ("photos", "DatasetError {photos}: 1 problem"),
        ("photos/a.xml", "a.xml: it cannot be opened (Permission denied). Check the file and its permissions."),
        ("photos/a.jpg", "a.jpg: cannot be opened ("),
        ("photos/more", "{photos}/more: the folder cannot be looked into. Check its permissions."),
    ],
)
def test_without_permission(closed: str, told: str, on_problem: str, open_folder: Path) -> None:
    """A folder or file that may not be opened is named, and what else there is is read."""
    folder = good(open_folder / "photos")
    photo(folder / "a.jpg")
    (folder / "a.xml").write_text(xml("a.jpg"))
    good(folder / "more")
    formats.read(folder)  # whatever is imported late is imported now, while it can be
    (open_folder / closed).chmod(0)
    found = as_nobody(lambda: told_by(folder, on_problem))
    assert told.format(photos=folder) in found
    assert "Traceback" not in found
    assert found.startswith("DatasetError" if on_problem == "raise" or closed == "photos" else "2 read; ")


def test_table_without_permission(open_folder: Path) -> None:
    """A table that may not be opened is named."""
    photo(open_folder / "a.jpg")
    (open_folder / "labels.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,60,40,cat,1,2,3,4\n"
    )
    formats.read(open_folder)
    (open_folder / "labels.csv").chmod(0)

    def read() -> str:
        with pytest.raises(DatasetError) as caught:
            tfod_csv.read(open_folder, open_folder / "labels.csv")
        return str(caught.value)

    assert "labels.csv: it cannot be opened (Permission denied). Check the file and its permissions." in as_nobody(read)


@pytest.fixture
def alarm() -> Iterator[None]:
    """Ends a test that waits for ever."""

    def ring(*args: object) -> None:
        pytest.fail("waited for ever")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", ["pipe", "folder", "link to itself", "link to nothing", "device"])
@pytest.mark.parametrize("layout", ["voc: labelImg, beside the photos", "yolo: YOLO, labelImg", "tfod_csv: one table"])
@pytest.mark.usefixtures("alarm")
def test_what_has_a_name_and_is_no_file(what: str, layout: str, tmp_path: Path) -> None:
    """A pipe, a device, a folder or a broken link that is called as a file is passed over, and nothing waits for it."""
    layouts.write(tmp_path, layouts.LAYOUTS[layout].files)
    for ending in ("xml", "txt", "json", "csv", "yaml", "data", "jpg", "record"):
        path = tmp_path / f"0.{ending}"
        if what == "pipe":
            os.mkfifo(path)
        elif what == "folder":
            path.mkdir()
        else:
            path.symlink_to({"device": "/dev/zero", "link to itself": path.name}.get(what, "nowhere"))
    assert len(formats.read(tmp_path)) == 4


# --- names --------------------------------------------------------------------------------------

NAMES = [
    "猫.jpg", "кот (1).JPG", "قطة.jpg", "ação.jpg", "קוֹל.jpeg", "ไทย.png", "🐱.jpg", "a b  c.jpg", "%20.jpg", "a&b.jpg",
    "a'b.jpg", "-rf.jpg", "$(x).jpg", "a;b.jpg", "é.jpg", "a..jpg", "con.jpg", "x" * 200 + ".jpg", "a\u202eb.jpg",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["voc", "tfod_csv", "coco", "yolo"])
def test_names_in_any_script(name: str, kind: str, tmp_path: Path) -> None:
    """A photo of any name goes through every format and through records, and comes out with it."""
    photo(tmp_path / "photos" / name)
    (tmp_path / f"photos/{Path(name).stem}.xml").write_text(xml(name.replace("&", "&amp;")), encoding="utf-8")
    first = formats.read(tmp_path / "photos")
    again = formats.read(formats.write(first, tmp_path / "again", format=kind))
    assert [image.path.name for image in again] == [name]
    assert [image.boxes_xyxy.tolist() for image in again] == [[[1, 2, 30, 31]]]
    written = records.write(again, tmp_path / "records/train")
    assert [image.path.stem for image in records.read(written)] == [Path(name).stem]


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
def test_name_that_is_no_text(on_problem: str, tmp_path: Path) -> None:
    """Bytes that are no UTF-8, as old programs leave them in names, are read, or told, and are written to records."""
    folder = good(tmp_path)
    broken = os.fsdecode(b"ca\xe3o")
    photo(folder / f"{broken}.jpg")
    (folder / f"{broken}.xml").write_text(xml("cão.jpg"), encoding="utf-8")
    dataset = formats.read(folder, on_problem=on_problem)  # type: ignore[arg-type]
    assert len(dataset) == 2
    photo(folder / f"{broken}2.jpg")
    (folder / f"{broken}3.xml").write_text("<annotation>")
    try:
        told = str(formats.read(folder, on_problem=on_problem).problems)  # type: ignore[arg-type]
    except DatasetError as error:
        told = str(error)
    assert "2.jpg" in told or on_problem == "raise"
    assert "3.xml" in told
    written = records.write(dataset, tmp_path / "records/train")
    assert written.count == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_folder_name_that_the_console_cannot_show(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that says what was read keeps nothing from being read."""
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", console)
    assert len(formats.read(good(tmp_path / os.fsdecode("猫".encode() + b"\xe3")))) == 1
    console.flush()
    assert b": Pascal VOC XML: 1 image, 1 class\n" in console.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
@pytest.mark.parametrize(
    "filename", ["C:\\Users\\me\\photos\\a.jpg", "C:/Users/me/A.JPG", "\\\\server\\share\\a.jpg", ".\\a.jpg", "d:a.jpg"]
)
def test_windows_paths(filename: str, on_problem: str, tmp_path: Path) -> None:
    """A path of another machine finds the photo by its last part."""
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(xml(filename))
    dataset = formats.read(tmp_path, on_problem=on_problem)  # type: ignore[arg-type]
    assert [image.path for image in dataset] == [tmp_path / "a.jpg"]


# --- any bytes ----------------------------------------------------------------------------------

VALID_XML = ('<?xml version="1.0"?>\n' + xml("a.jpg")).encode()
VALID_CSV = (
    b"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,60,40,cat,1,2,30,31\na.jpg,60,40,dog,5,6,7,8\n"
    b'"b, c.jpg",60,40,"big, cat",1.5,2,3e1,31\n'
)
PIECES = [
    b"<", b">", b"&", b"&#0;", b"&#x110000;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x", b"\0", b"\xff",
    b"\xfe\xff", b"<object>", b"</object>", b"<bndbox/>", b"nan", b"-1", b"1e999", b"9" * 400, b"1_0", b"../",
    b"\r\n", b'"', b",", b"<!DOCTYPE a [<!ENTITY x 'y'>]>", b"&x;", b" ", b"\xe2\x80\xae", "١٢".encode(),
    b"<xmin>", b"0x1f", b"<a " * 300,
]  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with one to four changes: something put in, taken out, doubled or exchanged."""
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        how = draw(st.sampled_from(["put in", "take out", "double", "exchange"]))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=6))
        middle = {"put in": piece + data[start:end], "take out": b"", "double": data[start:end] * 2, "exchange": piece}
        data = data[:start] + middle[how] + data[end:]
    return data


def assert_told(folder: Path, read: Callable[[str], Dataset], name: str) -> None:
    """Reading ends in a dataset or in one report, in both modes; every problem names a file; nothing is written."""
    before = tree(folder)
    for on_problem in ("raise", "skip"):
        try:
            problems = read(on_problem).problems
            assert on_problem == "skip" or not kinds(problems, errors=True)
        except DatasetError as error:
            problems = error.problems
            assert kinds(problems, errors=True)
        for problem in problems:
            assert problem.where in (name, "a.jpg", "b, c.jpg", "good.xml", str(folder), str(folder / name)), problem
            assert problem.what, problem
            assert problem.fix, problem
    assert tree(folder) == before


@FUZZ
@given(data=changed(VALID_XML))
def test_fuzz_voc(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever an XML file has become, it is read or told."""
    folder = tmp_path_factory.getbasetemp() / "fuzz_voc"
    if not folder.exists():
        photo(good(folder) / "a.jpg")
    (folder / "a.xml").write_bytes(data)
    assert voc.FORMAT.find(Listing(folder))
    assert_told(folder, lambda mode: voc.read(folder, on_problem=mode), "a.xml")  # type: ignore[arg-type]


@FUZZ
@given(data=changed(VALID_CSV))
def test_fuzz_csv(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a table has become, it is read or told."""
    folder = tmp_path_factory.getbasetemp() / "fuzz_csv"
    if not folder.exists():
        for name in ("a.jpg", "b, c.jpg"):
            photo(folder / name)
    path = folder / "labels.csv"
    path.write_bytes(data)
    tfod_csv.FORMAT.find(Listing(folder))
    assert_told(folder, lambda mode: tfod_csv.read(folder, path, on_problem=mode), "labels.csv")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::tfod_helpers.annotations.label_map.RenumberedWarning")
@FUZZ
@given(data=changed(b"item {\n  id: 1\n  name: 'cat'\n}\nitem { id: 2, name: \"d\\303\\243\" }\n"))
def test_fuzz_label_map(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a label map has become, it is read or told with its path."""
    path = tmp_path_factory.getbasetemp() / "fuzz.pbtxt"
    path.write_bytes(data)
    told = f"{path}: "
    try:
        assert len(LabelMap.read(path)) > 0
    except ValueError as error:
        told = str(error)
    assert told.startswith(f"{path}: ")
