"""formats.labelme: what LabelMe writes is read exactly, every shape, and what is broken is told."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import broken_json
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers import formats
from tfod_helpers.formats import labelme
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.raw import Part
from tfod_helpers.problems import DatasetError

FUZZ = settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SHAPE = [[5.25, 6.5], [30.0, 20.0]]


def photo(path: Path, width: int = 60, height: int = 40) -> Path:
    """Write a plain JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, "JPEG")
    return path


def shape(points: Any = SHAPE, kind: Any = "rectangle", label: Any = "cat", group: Any = None) -> dict[str, Any]:
    """One shape as LabelMe 5.5 writes it."""
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }


def annotation(*shapes: Any, **changes: Any) -> dict[str, Any]:
    """One file as LabelMe 5.5 writes it, with the photo inside or not."""
    data = {"version": "5.5.0", "flags": {}, "shapes": list(shapes or [shape()]), "imagePath": "a.jpg"}
    return data | {"imageData": None, "imageHeight": 40, "imageWidth": 60} | changes


def dataset_folder(folder: Path, data: Any) -> Path:
    """A folder with one photo and its annotation."""
    photo(folder / "a.jpg")
    broken_json.write(folder / "a.json", data)
    return folder


def errors(caught: pytest.ExceptionInfo[DatasetError]) -> list[str]:
    """The errors for which a data set was refused."""
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


def test_primitives(tmp_path: Path) -> None:
    """The shapes of LabelMe's own example of all primitives (examples/primitives, version 4.0.0) have their boxes."""
    shapes = [
        shape([[32.0, 35.0], [132.0, 135.0]], label="rectangle"),
        shape([[195.0, 84.0], [225.0, 124.0]], "circle", "circle"),
        shape([[542.0, 33.0], [391.0, 135.0]], label="rectangle"),  # drawn from right to left
        shape([[69.0, 318.0], [45.0, 403.0], [173.0, 406.0], [198.0, 321.0]], "polygon", "polygon"),
        shape([[30.0, 440.0], [50.0, 449.0]], "circle", "circle"),  # reaches over the lower edge, and is clipped
        shape([[10.0, 10.0], [19.0, 29.0]], "mask", "mask"),
        shape([[20.0, 10.0], [30.0, 20.0], [20.0, 30.0], [10.0, 20.0]], "oriented_rectangle", "turned"),
    ]
    photo(tmp_path / "primitives.jpg", 560, 450)
    data = annotation(*shapes, version="4.0.0", imagePath="primitives.jpg", imageHeight=450, imageWidth=560)
    broken_json.write(tmp_path / "primitives.json", data | {"lineColor": [0, 255, 0, 128]})
    (image,) = dataset = labelme.read(tmp_path)
    names = [dataset.label_map.name(label) for label in image.labels]
    assert names == ["rectangle", "circle", "rectangle", "polygon", "circle", "mask", "turned"]
    assert image.boxes_xyxy.tolist() == [
        [32, 35, 132, 135],
        [145, 34, 245, 134],
        [391, 33, 542, 135],
        [45, 318, 198, 406],
        [pytest.approx(30 - 481**0.5, abs=1e-4), pytest.approx(440 - 481**0.5, abs=1e-4), pytest.approx(51.9317), 450],
        [10, 10, 20, 30],
        [10, 10, 30, 30],
    ]


@pytest.mark.parametrize(
    ("kind", "points", "expected"),
    [
        ("rectangle", [[10, 10], [30, 10], [30, 35], [10, 35]], [10, 10, 30, 35]),
        ("rectangle", [[30, 35], [10, 35], [10, 10], [30, 10]], [10, 10, 30, 35]),
        ("rotation", [[50, 20], [60, 30], [50, 40], [40, 30]], [40, 20, 60, 40]),
        ("rotation", [[50, -5], [65, 10], [50, 25], [35, 10]], [35, 0, 60, 25]),  # a corner that is no object
        ("quadrilateral", [[10, 10], [30, 12], [28, 35], [11, 33]], [10, 10, 30, 35]),
    ],
)
def test_four_corners(kind: str, points: list[list[float]], expected: list[float], tmp_path: Path) -> None:
    """A rectangle that X-AnyLabeling wrote has four corners, and is a rotation where it is turned."""
    one = shape(points, kind) | {"direction": 0.78, "difficult": True, "score": None, "attributes": {}}
    (image,) = labelme.read(dataset_folder(tmp_path, annotation(one, version="2.3.6")))
    assert (image.boxes_xyxy.tolist(), image.difficult.tolist()) == ([expected], [True])


def test_reported(shared: Path) -> None:
    """What a user of X-AnyLabeling reported is read."""
    (image,) = labelme.read(shared / "data/reported/w23_labelme_four_points")
    assert image.boxes_xyxy.tolist() == [[10, 10, 30, 40], [40, 20, 60, 40]]


def test_pieces_of_one_object(tmp_path: Path) -> None:
    """Polygons and masks of one label and one group are one object, as in LabelMe's COCO export; rectangles are not."""
    pieces = [
        shape([[1, 2], [9, 2], [5, 8]], "polygon", "cat", 0),
        shape([[20, 12], [29, 18]], "mask", "cat", 0),
        shape([[30, 12], [39, 12], [35, 18]], "polygon", "dog", 0),
        shape([[30, 22], [39, 22], [35, 28]], "polygon", "cat", 1),
        shape([[1, 2], [9, 9]], "rectangle", "cat", 1),
        shape([[11, 2], [19, 9]], "rectangle", "cat", 1),
    ]
    (image,) = labelme.read(dataset_folder(tmp_path, annotation(*pieces)))
    assert sorted(zip(image.labels.tolist(), image.boxes_xyxy.tolist(), strict=True)) == [
        (1, [1, 2, 9, 9]),
        (1, [1, 2, 30, 19]),
        (1, [11, 2, 19, 9]),
        (1, [30, 22, 39, 28]),
        (2, [30, 12, 39, 18]),
    ]


@pytest.mark.parametrize("path", ["a.jpg", "..\\photos\\a.jpg", "/home/me/a.jpg", "", None, "A.JPG"])
def test_image_path(path: str | None, tmp_path: Path) -> None:
    """The photo is found by its name whatever folder it was in, and by the annotation's own name."""
    assert len(labelme.read(dataset_folder(tmp_path, annotation(imagePath=path)))) == 1


def test_layouts(tmp_path: Path) -> None:
    """Annotations beside the photos, in a folder of their own, and in split folders are found with their photos."""
    beside = dataset_folder(tmp_path / "beside", annotation())
    assert [(part.images, part.annotations, part.split) for part in labelme.FORMAT.find(Listing(beside))] == [
        (beside, beside, "")
    ]
    apart = tmp_path / "apart"
    photo(apart / "images" / "a.jpg")
    (apart / "annotations").mkdir()
    broken_json.write(apart / "annotations" / "a.json", annotation(imagePath="..\\images\\a.jpg"))
    (part,) = labelme.FORMAT.find(Listing(apart))
    assert (part.images, part.annotations) == (apart / "images", apart / "annotations")
    assert len(labelme.FORMAT.read_parts([part])) == 1
    for split in ("train", "val"):
        dataset_folder(tmp_path / "splits" / split, annotation())
    dataset = labelme.FORMAT.read_parts(labelme.FORMAT.find(Listing(tmp_path / "splits")))
    assert [image.split for image in dataset] == ["train", "val"]


def test_folders_of_splits_beside_those_of_photos(tmp_path: Path) -> None:
    """labels/train belongs to images/train, though images/val has photos of the same names."""
    for number, split in enumerate(("train", "val"), start=1):
        photo(tmp_path / "images" / split / "a.jpg")
        (tmp_path / "labels" / split).mkdir(parents=True)
        path = f"..\\..\\images\\{split}\\a.jpg"
        one = annotation(shape([[number, 2], [9, 9]]), imagePath=path)
        broken_json.write(tmp_path / "labels" / split / "a.json", one)
    dataset = formats.read(tmp_path)
    found = [(image.path.parent.name, image.split, image.boxes_xyxy[0, 0]) for image in dataset]
    assert found == [("train", "train", 1), ("val", "val", 2)]
    assert dataset.problems == ()


@pytest.mark.parametrize("folder", [None, "elsewhere"])
def test_photo_inside_is_taken_out(folder: str | None, tmp_path: Path) -> None:
    """A photo that is only inside its annotation is written to a folder of its own, once and again; others stay."""
    data = dataset_folder(tmp_path / "data", annotation())
    text = base64.b64encode(photo(tmp_path / "b.jpg").read_bytes()).decode()
    broken_json.write(data / "b.json", annotation(imagePath="..\\b.jpg", imageData=text))
    broken_json.write(data / "c.json", annotation(imagePath="a.jpg", imageData="no photo"))
    target = tmp_path / (folder or "") / "data_photos"
    options = {"folder": tmp_path / folder} if folder else {}
    for _ in range(2):
        with pytest.raises(DatasetError, match=r"a\.jpg: 2 annotations describe this image: a\.json; c\.json"):
            labelme.read(data, **options)
    (data / "c.json").unlink()
    (data / "a.json").unlink()
    (data / "a.jpg").unlink()
    dataset = labelme.read(data, **options)
    assert [image.path for image in dataset] == [target / "b.jpg"]
    told = "of 1 annotations the photo was missing and taken out of imageData, such as of b.json."
    assert [str(one).split(": ", 1)[1].startswith(told) for one in dataset.problems] == [True]


def test_only_photos_inside(tmp_path: Path) -> None:
    """Annotations without any photo beside them are read with those inside; one that is no photo is named."""
    text = base64.b64encode(photo(tmp_path / "x.jpg").read_bytes()).decode()
    (tmp_path / "data").mkdir()
    broken_json.write(tmp_path / "data" / "a.json", annotation(imageData=f"data:image/jpeg;base64,{text}"))
    assert [image.path.name for image in formats.read(tmp_path / "data")] == ["a.jpg"]
    broken_json.write(tmp_path / "data" / "a.json", annotation(imageData="/9j/4AAQ"))
    with pytest.raises(DatasetError, match=r"a\.json, imageData: damaged"):
        formats.read(tmp_path / "data")


def test_photo_inside_that_is_there_too_is_not_looked_at(tmp_path: Path) -> None:
    """A file with the whole photo inside is recognised by its beginning, also where imageData is no photo at all."""
    text = json.dumps(annotation(imageData="/9j/4AAQ" * 40_000), indent=2)
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text(text)
    assert len(text) > 4 * 65_536
    assert len(labelme.FORMAT.find(Listing(tmp_path))) == 1
    assert len(labelme.read(tmp_path)) == 1


def test_old_files(tmp_path: Path) -> None:
    """Before version 3.3 every shape was a polygon and none had a type, and sizes were not written."""
    old = {"label": "cat", "line_color": None, "fill_color": None, "points": [[1, 2], [9, 2], [5, 8]]}
    dataset = labelme.read(dataset_folder(tmp_path, annotation(old, imageHeight=None, imageWidth=None)))
    assert dataset[0].boxes_xyxy.tolist() == [[1, 2, 9, 8]]
    assert [str(problem) for problem in dataset.problems] == ["a.json: it gives no size. Taken from a.jpg: 60 x 40."]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (shape([[1, 2]], "point"), "shape 2 ('cat'): a shape of type 'point' has no box. Draw it again"),
        (shape([[1, 2], [3, 4]], "line"), "a shape of type 'line' has no box."),
        (shape(kind=["rectangle"]), "a shape of type ['rectangle'] has no box."),
        (shape([[1, 2]]), "a rectangle cannot have 1 point."),
        (shape([[1, 2], [3, 4], [5, 6]], "circle"), "a circle cannot have 3 points."),
        (shape([[1, 2], [3, 4]], "polygon"), "a polygon cannot have 2 points."),
        (shape([[1, 2], [3, "4"]]), "point 2 is [3, '4'], not [x, y]."),
        (shape([[1, 2], [3, True]]), "point 2 is [3, True], not [x, y]."),
        (shape([[1, 2], [3, 10**400]]), "point 2 is [3, 1000"),
        (shape([[1, 2], [3, float("nan")]]), "point 2 is [3, nan], not [x, y]."),
        (shape({"x": 1}), "its points are {'x': 1}, not a list of [x, y]."),
        (shape([[5, 5], [5, 9]]), "xmax 5 is not right of xmin 5."),
        (shape([[50, 5], [65, 9]]), "reaches over the edge of the 60 x 40 image."),
        (shape(label=None), "shape 2: a class name must be a text that is not empty, got ''."),
        ("cat", "shape 2: it is 'cat', not a shape with points."),
    ],
)
def test_broken_shape(bad: Any, expected: str, tmp_path: Path) -> None:
    """An error says which file, which shape, what is wrong and what to do; the others are kept in skip mode."""
    folder = dataset_folder(tmp_path, annotation(shape(), bad))
    with pytest.raises(DatasetError) as caught:
        labelme.read(folder)
    assert len(errors(caught)) == 1
    assert errors(caught)[0].startswith("a.json, shape 2")
    assert expected in errors(caught)[0]
    assert labelme.read(folder, on_problem="skip")[0].boxes_xyxy.tolist() == [[5.25, 6.5, 30, 20]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "b.json: the file is empty."),
        (b'{"shapes": [', "b.json: it cannot be read as JSON ("),
        (b"[" * 100_000, "b.json: it cannot be read as JSON (nested too deeply)"),
        (b"\xff\xfe\x00", "b.json: it cannot be read as JSON ("),
        (b'{"images": [], "annotations": []}', "b.json: it has no list of shapes. Move it away"),
        (b'{"shapes": {}}', "b.json: it has no list of shapes."),
        (
            b'{"shapes": [], "imagePath": "../c.jpg"}',
            "b.json: its image is missing, there is no '../c.jpg' (its filename)",
        ),
        (b'{"shapes": [], "imagePath": "a.jpg"}', "a.jpg: 2 annotations describe this image: a.json; b.json."),
    ],
)
def test_broken_file(text: bytes, expected: str, tmp_path: Path) -> None:
    """One file that cannot be used is told by name, and does not keep the others from being read."""
    folder = dataset_folder(tmp_path, annotation())
    (folder / "b.json").write_bytes(text)
    with pytest.raises(DatasetError) as caught:
        labelme.read(folder)
    assert len(errors(caught)) == 1
    assert expected in errors(caught)[0]
    if "2 annotations" not in expected:
        assert len(labelme.read(folder, on_problem="skip")) == 1


def test_only_some(tmp_path: Path) -> None:
    """A part that names its photos leaves the other files alone."""
    folder = dataset_folder(tmp_path, annotation())
    photo(folder / "b.jpg")
    (folder / "b.json").write_text("broken")
    (part,) = labelme.FORMAT.find(Listing(folder))
    chosen = Part(part.images, part.annotations, "train", frozenset({"a"}))
    assert [image.split for image in labelme.FORMAT.read_parts([chosen])] == ["train"]


@pytest.mark.parametrize(
    "other",
    [
        {"images": [], "annotations": [], "categories": []},
        [{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {}}]}],
        {"a.jpg7": {"filename": "a.jpg", "size": 7, "regions": []}},
        {"_via_img_metadata": {}},
        {"shapes": 3, "version": "1"},
        {"shapes": [1], "version": "1"},
        {"shapes": []},
        [],
        "shapes",
    ],
)
def test_find_leaves_other_formats_alone(other: Any, tmp_path: Path) -> None:
    """JSON of another format, or of none, is not claimed; nor is a folder that is not there."""
    assert labelme.FORMAT.find(Listing(dataset_folder(tmp_path, other))) == []
    assert labelme.FORMAT.find(Listing(tmp_path / "nowhere")) == []


def test_nothing_there(tmp_path: Path) -> None:
    """A folder without JSON files says where there are some."""
    photo(tmp_path / "a.jpg")
    dataset_folder(tmp_path / "inside", annotation())
    with pytest.raises(DatasetError, match=r"there are no annotations \(\.json files\).*'inside' \(1\)"):
        labelme.read(tmp_path)


VALID = annotation(shape(), shape([[1, 2], [9, 2], [5, 8]], "polygon", "dog", 3), shape([[9, 9], [12, 12]], "circle"))


@FUZZ
@given(data=broken_json.broken(VALID) | broken_json.ANYTHING)
def test_fuzz(data: Any, tmp_path: Path) -> None:
    """Whatever the JSON holds, reading ends in a dataset or in one report, and find raises nothing."""
    folder = dataset_folder(tmp_path, data)
    labelme.FORMAT.find(Listing(folder))
    names = {"a.json", "a.jpg", str(folder)}
    broken_json.assert_told(lambda on_problem: labelme.read(folder, on_problem=on_problem), names)


@FUZZ
@given(data=st.binary(max_size=60))
def test_fuzz_bytes(data: bytes, tmp_path: Path) -> None:
    """No bytes make find raise, and reading them ends in one report."""
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_bytes(data)
    assert labelme.FORMAT.find(Listing(tmp_path)) == []
    with pytest.raises(DatasetError):
        labelme.read(tmp_path)
