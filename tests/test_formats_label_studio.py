"""formats.label_studio: what Label Studio exports is read exactly, whatever it calls the photo, or told."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import broken_json
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers.formats import label_studio
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.label_studio import shapes
from tfod_helpers.formats.raw import Part
from tfod_helpers.problems import DatasetError

FUZZ = settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def photo(path: Path, width: int = 200, height: int = 100) -> Path:
    """Write a plain JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, "JPEG")
    return path


def region(kind: str = "rectanglelabels", label: str = "cat", id: str = "C7oHaRDVVC", **value: Any) -> dict[str, Any]:
    """One result as Label Studio 1.13 exports it; without a value the box [20, 10, 60, 40] of 200 x 100 pixels."""
    value = value or {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0, "rotation": 0}
    return {
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "value": {**value, kind: [label]},
        "id": id,
        "from_name": "label",
        "to_name": "image",
        "type": kind,
        "origin": "manual",
    }


def annotation(*regions: Any, **changes: Any) -> dict[str, Any]:
    """One person's annotation of a task."""
    data = {"id": 1, "completed_by": 2, "result": list(regions or [region()]), "was_cancelled": False}
    return data | {"ground_truth": False, "created_at": "2024-05-01T13:36:25.747398Z", "lead_time": 3.5} | changes


def task(*annotations: Any, image: Any = "/data/upload/1/1a2b3c4d-a.jpg", **changes: Any) -> dict[str, Any]:
    """One task of an export as JSON."""
    data = {"id": 7, "annotations": list(annotations or [annotation()]), "file_upload": "1a2b3c4d-a.jpg", "drafts": []}
    return data | {"predictions": [], "data": {"image": image}, "meta": {}, "inner_id": 1, "project": 1} | changes


def dataset_folder(folder: Path, tasks: Any, *names: str) -> Path:
    """A folder with photos and an export."""
    for name in names or ("a.jpg",):
        photo(folder / name)
    broken_json.write(folder / "project-1-at-2024-05-01-13-36-1a2b3c4d.json", tasks)
    return folder


def errors(caught: pytest.ExceptionInfo[DatasetError]) -> list[str]:
    """The errors for which a data set was refused."""
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


def test_export(tmp_path: Path) -> None:
    """An export as JSON is found and read; predictions and choices say nothing, no regions mean background."""
    choice = region("choices", "blurred")
    second = task(annotation(result=[]), image="/data/upload/1/1a2b3c4d-b.jpg")
    first = task(annotation(region(), choice), predictions=[{"result": [region(label="dog")]}])
    folder = dataset_folder(tmp_path, [first, second], "a.jpg", "b.jpg")
    assert [part.images for part in label_studio.FORMAT.find(Listing(folder))] == [folder]
    dataset = label_studio.read(folder)
    assert list(dataset.label_map) == ["cat"]
    assert [(image.path.name, image.boxes_xyxy.tolist()) for image in dataset] == [
        ("a.jpg", [[20, 10, 60, 40]]),
        ("b.jpg", []),
    ]
    assert [str(problem).split("json, ")[1] for problem in dataset.problems] == [
        "task 2 (id 7): it has no objects. b.jpg is kept as background."
    ]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/1/1a2b3c4d-a.jpg", "a.jpg"),
        ("/data/upload/1/1a2b3c4d-a.jpg", "1a2b3c4d-a.jpg"),
        ("/data/upload/1/1a2b3c4d-my_photo_1.jpg", "my photo (1).jpg"),
        ("/data/local-files/?d=photos/day%201/a.jpg", "a.jpg"),
        ("/data/local-files/?d=photos%5Ca.jpg", "a.jpg"),
        ("/data/local-files/?d=a.jpg", "a.jpg"),
        ("/data/upload/1/1a2b3c4d-%E7%8C%AB.jpg", "猫.jpg"),
        ("s3://bucket/photos/a%20b.jpg", "a%20b.jpg"),
        ("gs://bucket/photos/a.jpg", "a.jpg"),
        ("https://example.com/photos/a.jpg?X-Amz-Date=1&d=b.jpg", "a.jpg"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("a#1?.jpg", "a#1?.jpg"),
        ("100%.jpg", "100%.jpg"),
    ],
)
def test_names(address: str, name: str, tmp_path: Path) -> None:
    """The photo is found by the name that Label Studio made of it and by its own, wherever it was stored."""
    folder = dataset_folder(tmp_path, [task(image=address)], name, "other.jpg")
    assert [image.path.name for image in label_studio.read(folder)] == [name]


def test_name_under_another_word(tmp_path: Path) -> None:
    """A project may call the image anything; the one text that looks like a file is it, else the upload's name."""
    for data in ({"photo": "/data/upload/1/1a2b3c4d-a.jpg", "note": "very nice"}, {"ref": 7}):
        folder = dataset_folder(tmp_path, [task(data=data)])
        assert len(label_studio.read(folder)) == 1


def test_only_predictions(tmp_path: Path) -> None:
    """An export in which nothing is labelled says so, whatever a model predicted."""
    tasks = [task(image="a.jpg", annotations=[], predictions=[{"result": [region()]}])]
    for on_problem in ("raise", "skip"):
        with pytest.raises(
            DatasetError, match=r"no labelled image is left\. .*none of its 1 tasks is labelled\. Label"
        ):
            label_studio.read(dataset_folder(tmp_path, tasks), on_problem=on_problem)


TWO = {"image": "/data/upload/1/1a2b3c4d-a.jpg", "image2": "/data/upload/1/1a2b3c4d-b.jpg"}
RIGHT = {"x": 50.0, "y": 10.0, "width": 20.0, "height": 30.0}  # [100, 10, 140, 40]


@pytest.mark.parametrize(
    ("data", "first", "second"),
    [
        (TWO, {"to_name": "image"}, {"to_name": "image2"}),
        (TWO, {"to_name": "img"}, {"to_name": "img2"}),
        ({"left": TWO["image"], "right": TWO["image2"]}, {"to_name": "left"}, {"to_name": "right"}),
        ({"pages": list(TWO.values())}, {"to_name": "page"}, {"to_name": "page", "item_index": 1}),
    ],
)
def test_each_image_of_a_task_has_its_own_regions(
    data: dict[str, Any], first: dict[str, Any], second: dict[str, Any], tmp_path: Path
) -> None:
    """A region is on the image that its to_name and item_index say, whichever is drawn first; else it is left out."""
    regions = [region(**RIGHT) | second, region() | first]
    dataset = label_studio.read(dataset_folder(tmp_path, [task(annotation(*regions), data=data)], "a.jpg", "b.jpg"))
    assert [(image.path.name, image.boxes_xyxy.tolist()) for image in dataset] == [
        ("a.jpg", [[20, 10, 60, 40]]),
        ("b.jpg", [[100, 10, 140, 40]]),
    ]
    dataset_folder(tmp_path, [task(annotation(regions[0]), data=data)])
    dataset = label_studio.read(tmp_path)
    assert [(image.path.name, image.boxes_xyxy.tolist()) for image in dataset] == [("b.jpg", [[100, 10, 140, 40]])]
    (tmp_path / "b.jpg").unlink()
    with pytest.raises(DatasetError, match=r"there is no '/data/upload/1/b\.jpg' \(its filename\)"):
        label_studio.read(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        task(annotation(region() | {"to_name": "left"}, region(**RIGHT) | {"to_name": "right"}), data=TWO),
        task(annotation(region() | {"to_name": None}), data=TWO),
        task(annotation(region() | {"item_index": {"": 1}}), data={"image": list(TWO.values())}),
        {**TWO, "label": [{**RIGHT, "rectanglelabels": ["cat"]}], "other": [{**RIGHT, "rectanglelabels": ["cat"]}]},
    ],
)
def test_region_on_either_of_two_images(entry: dict[str, Any], tmp_path: Path) -> None:
    """Where it cannot be known which of a task's images a region is on, the task is refused for both photos."""
    folder = dataset_folder(tmp_path, [entry, task(image="c.jpg")], "a.jpg", "b.jpg", "c.jpg")
    with pytest.raises(DatasetError) as caught:
        label_studio.read(folder)
    assert len(errors(caught)) == 2
    assert all("may be on any of them. Export it as JSON, with each <Image> tag" in one for one in errors(caught))
    assert [image.path.name for image in label_studio.read(folder, on_problem="skip")] == ["c.jpg"]


def test_two_images_of_one_name(tmp_path: Path) -> None:
    """Of two cameras' images of one name, of which one is there, the regions of both are not taken for one photo's."""
    regions = [region() | {"to_name": "left"}, region(**RIGHT) | {"to_name": "right"}]
    data = {"left": "/data/local-files/?d=cam1/a.jpg", "right": "/data/local-files/?d=cam2/a.jpg"}
    folder = dataset_folder(tmp_path, [task(annotation(*regions), data=data)])
    with pytest.raises(DatasetError, match=r"a\.jpg: 2 annotations describe this image"):
        label_studio.read(folder)
    for name in ("cam1/a.jpg", "cam2/a.jpg"):
        photo(folder / name)
    (folder / "a.jpg").unlink()
    found = {image.path.parent.name: image.boxes_xyxy.tolist() for image in label_studio.read(folder)}
    assert found == {"cam1": [[20, 10, 60, 40]], "cam2": [[100, 10, 140, 40]]}


def test_another_address_of_the_photo_is_no_second_image(tmp_path: Path) -> None:
    """Where the photo came from, or a thumbnail of it, beside the image does not keep its regions from being read."""
    data = {"image": TWO["image"], "source_url": "https://example.com/1.jpg", "original": "https://example.com/a.jpg"}
    data["site"] = "https://example.com"
    dataset = label_studio.read(
        dataset_folder(tmp_path, [task(annotation(region() | {"to_name": "img-1"}), data=data)])
    )
    assert [image.path.name for image in dataset] == ["a.jpg"]


def test_minimal_export(tmp_path: Path) -> None:
    """An export as JSON-MIN is found and read, with the image's size (1.13) and without (the documentation's)."""
    size = {"original_width": 200, "original_height": 100}
    box = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0, "rotation": 0, "rectanglelabels": ["cat"]}
    outline = {"points": [[50, 50], [75, 50], [60, 100]], "closed": True, "polygonlabels": ["dog"]}
    end = {"id": 1, "annotator": 1, "annotation_id": 1, "created_at": "2024-05-01T13:36:25.747398Z", "lead_time": 3.5}
    entries = [
        {"image": "/data/upload/1/1a2b3c4d-a.jpg", "label": [box | size], "polygon": [outline | size], **end},
        {"image": "/data/upload/1/1a2b3c4d-b.jpg", "label": [box], "polygon": [outline], **end},
        {"image": "/data/upload/1/1a2b3c4d-c.jpg", **end},
    ]
    folder = dataset_folder(tmp_path, entries, "a.jpg", "b.jpg", "c.jpg")
    assert len(label_studio.FORMAT.find(Listing(folder))) == 1
    dataset = label_studio.read(folder)
    boxes_xyxy = [[20, 10, 60, 40], [100, 50, 150, 100]]
    assert [image.boxes_xyxy.tolist() for image in dataset] == [boxes_xyxy, boxes_xyxy, []]
    assert [problem.kind for problem in dataset.problems] == ["size not given", "image without objects"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        # Turned about its top left corner (60, 20), clockwise: to the right becomes down, down becomes to the left.
        (region(x=30.0, y=20.0, width=20.0, height=30.0, rotation=90), [30, 20, 60, 60]),
        (region(x=30.0, y=20.0, width=20.0, height=30.0, rotation=-90), [60, 0, 90, 20]),
        (region("polygonlabels", points=[[10, 20], [30, 25], [20, 60]], closed=True), [20, 20, 60, 60]),
        # The centre is (x, y), which Label Studio's documentation calls the top left corner.
        (region("ellipselabels", x=50, y=50, radiusX=10, radiusY=10, rotation=0), [80, 40, 120, 60]),
        (region("ellipselabels", x=50, y=50, radiusX=10, radiusY=10, rotation=90), [90, 30, 110, 70]),
        (region("ellipselabels", x=0, y=50, radiusX=10, radiusY=10, rotation=0), [0, 40, 20, 60]),
        (region("labels", x=10.0, y=10.0, width=20.0, height=30.0), [20, 10, 60, 40]),
    ],
)
def test_shapes(shape: dict[str, Any], expected: list[float], tmp_path: Path) -> None:
    """Of every shape with an area the box around it is taken; a turned or round one stays inside the image."""
    folder = dataset_folder(tmp_path, [task(annotation(region(), shape))])
    assert label_studio.read(folder)[0].boxes_xyxy[1] == pytest.approx(expected, abs=1e-4)


def test_drawn_and_labelled_apart(tmp_path: Path) -> None:
    """A shape drawn with <Rectangle> and labelled with <Labels> comes as two results of one id, and is one object."""
    value = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0, "rotation": 0}
    bare = {**region(), "type": "rectangle", "value": value}
    folder = dataset_folder(tmp_path, [task(annotation(bare, region("labels", **value)))])
    assert label_studio.read(folder)[0].boxes_xyxy.tolist() == [[20, 10, 60, 40]]
    dataset_folder(tmp_path, [task(annotation(region(), bare | {"id": "other"}))])
    with pytest.raises(DatasetError, match=r"region 2: a class name must be a text"):
        label_studio.read(folder)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (region() | {"type": None}, "region 1: its type is None, which is no shape that is known."),
        (region() | {"type": "hexagonlabels"}, "region 1: its type is 'hexagonlabels', which is no shape"),
        ({"x": region()}, "region 1: it is {'x': {"),
        ([region()], "region 1: it is [{"),
    ],
)
def test_region_of_no_known_type(broken: Any, told: str, tmp_path: Path) -> None:
    """A region that does not say what it is is told, and its photo never becomes background."""
    folder = dataset_folder(tmp_path, [task(annotation(broken)), task(image="b.jpg")], "a.jpg", "b.jpg")
    with pytest.raises(DatasetError) as caught:
        label_studio.read(folder)
    assert [told in error for error in errors(caught)] == [True]
    assert [image.path.name for image in label_studio.read(folder, on_problem="skip")] == ["b.jpg"]


@pytest.mark.parametrize("broken", ["x", {}, True, [None], [[]], [{"rectanglelabels": ["cat"]}]])
def test_broken_shapes_of_a_minimal_export(broken: Any, tmp_path: Path) -> None:
    """What stands where other entries have their shapes is told where it is none, and is no background."""
    box = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0, "rectanglelabels": ["cat"]}
    entries = [{"image": "a.jpg", "label": broken}, {"image": "b.jpg", "label": [box]}]
    folder = dataset_folder(tmp_path, entries, "a.jpg", "b.jpg")
    with pytest.raises(DatasetError) as caught:
        label_studio.read(folder)
    assert len(errors(caught)) == 1
    assert [image.path.name for image in label_studio.read(folder, on_problem="skip")] == ["b.jpg"]


# --- brush ----------------------------------------------------------------------------------------


def packed(values: list[int], runs: list[tuple[bool, int]]) -> list[int]:
    """Pack values as @thi.ng/rle-pack does, in the runs that are given: (whether one value repeats, how many)."""
    sizes = [3, 4, 8, 16]
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    at = 0
    for repeats, count in runs:
        which = next(number for number, size in enumerate(sizes) if count <= 2**size)
        bits += f"{int(repeats)}{which:02b}{count - 1:0{sizes[which]}b}"
        bits += "".join(f"{value:08b}" for value in values[at : at + (1 if repeats else count)])
        at += count
    assert at == len(values)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


@FUZZ
@given(data=st.data())
def test_brush_box_is_that_of_the_unpacked_pixels(data: Any) -> None:
    """However the painted pixels are packed, the box is that of the pixels whose alpha is not 0."""
    width, height = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 7))
    count = 4 * width * height
    values = data.draw(st.lists(st.sampled_from([0, 0, 0, 255]), min_size=count, max_size=count))
    runs, at = [], 0
    while at < len(values):
        same = next((n for n in range(1, len(values) - at) if values[at + n] != values[at]), len(values) - at)
        repeats = data.draw(st.booleans())
        count = data.draw(st.integers(1, same if repeats else min(len(values) - at, 70)))
        runs.append((repeats, count))
        at += count
    painted = [(place % width, place // width) for place in range(width * height) if values[4 * place + 3]]
    if painted:
        xs, ys = zip(*painted, strict=True)
        expected = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
        assert shapes.brush_bounds(packed(values, runs), (width, height)) == expected
    else:
        with pytest.raises(ValueError, match="nothing of the brush stroke is left"):
            shapes.brush_bounds(packed(values, runs), (width, height))


def test_brush(tmp_path: Path) -> None:
    """A brush stroke is read as an object; one that is cut off, or of another image's size, is told."""
    values = [0] * (200 * 100 * 4)
    for x, y in [(20, 10), (21, 10), (59, 39)]:
        values[4 * (200 * y + x) : 4 * (200 * y + x) + 4] = [255] * 4
    runs = [(True, 4 * (200 * 10 + 20)), (True, 8), (True, 4 * (200 * 29 + 37)), (False, 4)]
    rle = packed(values, [*runs, (True, len(values) - sum(count for _, count in runs))])
    stroke = region("brushlabels", format="rle", rle=rle)
    folder = dataset_folder(tmp_path, [task(annotation(stroke))])
    assert label_studio.read(folder)[0].boxes_xyxy.tolist() == [[20, 10, 60, 40]]
    for broken, expected in (
        (rle[:9], "the brush stroke is cut off"),
        (rle[:3] + [1] + rle[4:], "the brush stroke has"),
        ([300], "its rle is no list of bytes"),
        ("AAAA", "its rle is no list of bytes"),
    ):
        stroke["value"]["rle"] = broken
        with pytest.raises(DatasetError, match=expected):
            label_studio.read(dataset_folder(tmp_path, [task(annotation(stroke))]))


# --- several annotations, and none -----------------------------------------------------------------


def test_several_annotations(tmp_path: Path) -> None:
    """The first annotation that was not cancelled is taken; where the others differ, that is a warning."""
    cancelled = annotation(region(label="dog"), was_cancelled=True)
    again = copy.deepcopy(annotation(region(id="another"), id=2))
    folder = dataset_folder(tmp_path, [task(cancelled, annotation(), again)])
    dataset = label_studio.read(folder)
    assert list(dataset.label_map) == ["cat"]
    assert dataset.problems == ()
    dataset_folder(tmp_path, [task(annotation(), annotation(region(label="dog")))])
    dataset = label_studio.read(folder)
    assert [(problem.severity, problem.what) for problem in dataset.problems] == [
        ("warning", "2 annotations of 'a.jpg' differ")
    ]
    assert list(dataset.label_map) == ["cat"]
    (part,) = label_studio.FORMAT.find(Listing(folder))
    dataset = label_studio.FORMAT.read_parts([Part(part.images, part.annotations, "train")])
    assert dataset.problems[0].where.startswith("train/project-1")


def test_skipped_and_unlabelled(tmp_path: Path) -> None:
    """A task that was skipped, and one that nobody labelled, are left out and no background."""
    tasks = [
        task(),
        task(annotation(was_cancelled=True), image="/data/upload/1/1a2b3c4d-b.jpg"),
        task(image="/data/upload/1/1a2b3c4d-c.jpg") | {"annotations": []},
    ]
    dataset = label_studio.read(dataset_folder(tmp_path, tasks, "a.jpg", "b.jpg", "c.jpg"))
    assert [image.path.name for image in dataset] == ["a.jpg"]
    assert sorted((problem.severity, problem.kind) for problem in dataset.problems) == [
        ("note", "photo not annotated"),
        ("note", "photo not annotated"),
        ("note", "photo skipped"),
    ]


# --- what is broken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (region("keypointlabels", x=10, y=10, width=0.5), "region 2 ('cat'): a key point has no box. Draw it again"),
        (region(x=10, y=10, width="7", height=4), "width is '7', not a number."),
        (region(x=10, y=10, height=4, rotation=0), "width is missing."),
        (region(x=10, y=10, width=4, height=4, rotation="x"), "rotation is 'x', not a number."),
        (region(x=90, y=10, width=20, height=4), "reaches over the edge of the 200 x 100 image."),
        (region("polygonlabels", points=[[1, 2], [3, 4]]), "a polygon cannot have 2 points."),
        (region("polygonlabels", points=[[1, 2], [3, 4], [5]]), "point 3 is [5], not [x, y]."),
        (region("polygonlabels", points=None, closed=True), "its points are None, not a list of [x, y]."),
        (region() | {"image_rotation": 90}, "the image was turned by 90 degrees in Label Studio when it was labelled."),
        (region() | {"value": 3}, "region 2: it is {"),
        (region(kind="rectanglelabels", label=["x"]), "region 2: a class name must be a text"),  # type: ignore[arg-type]
        ("x", "region 2: it is 'x', not a shape with a value."),
    ],
)
def test_broken_region(bad: Any, expected: str, tmp_path: Path) -> None:
    """An error says which task, which region, what is wrong and what to do; the others are kept in skip mode."""
    folder = dataset_folder(tmp_path, [task(annotation(region(), bad))])
    with pytest.raises(DatasetError) as caught:
        label_studio.read(folder)
    assert len(errors(caught)) == 1
    assert ".json, task 1 (id 7) (a.jpg), region 2" in errors(caught)[0]
    assert expected in errors(caught)[0]
    assert label_studio.read(folder, on_problem="skip")[0].boxes_xyxy.tolist() == [[20, 10, 60, 40]]


def test_two_labels(tmp_path: Path) -> None:
    """A region with two labels belongs to no one class, and is told with both."""
    two = region()
    two["value"]["rectanglelabels"] = ["cat", "dog"]
    with pytest.raises(DatasetError, match=r"region 1 \('cat'\): it has 2 labels: cat, dog\. Give it one\."):
        label_studio.read(dataset_folder(tmp_path, [task(annotation(two))]))


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ({"tasks": []}, "it is no list of tasks, as Label Studio's exports are."),
        ([3], "task 1: it is 3, not a task."),
        ([task(image=None, file_upload=None)], "task 1 (id 7): it names no image."),
        ([task(annotations=3)], "task 1 (id 7): its annotations are 3."),
        ([task(annotations=[3])], "task 1 (id 7): its annotations are [3]."),
        ([task(annotation(result=None))], "task 1 (id 7): an annotation has None, not a list of results."),
        ([task(image="/data/upload/1/1a2b3c4d-b.jpg")], "its image is missing, there is no '/data/upload/1/b.jpg'"),
        ([task(image="http://[broken/b.jpg")], "its image is missing, there is no 'http://[broken/b.jpg'"),
        ([task(), task(id=8)], "a.jpg: 2 annotations describe this image: "),
        ([task(annotation(region() | {"original_width": 203}))], "the size 203 x 100 is not that of a.jpg, 200 x 100."),
    ],
)
def test_broken_task(tasks: Any, expected: str, tmp_path: Path) -> None:
    """A task that cannot be used is told by its number and id."""
    folder = dataset_folder(tmp_path, tasks)
    with pytest.raises(DatasetError) as caught:
        label_studio.read(folder, next(folder.glob("*.json")))
    assert len(errors(caught)) == 1
    assert expected in errors(caught)[0]


def test_turned_without_a_size(tmp_path: Path) -> None:
    """A turned rectangle of a JSON-MIN without sizes cannot be known: percent of width and height are not alike."""
    box = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0, "rotation": 10, "rectanglelabels": ["cat"]}
    folder = dataset_folder(tmp_path, [{"image": "a.jpg", "label": [box]}])
    with pytest.raises(DatasetError, match="it is turned, and without original_width and original_height the box"):
        label_studio.read(folder)


@pytest.mark.parametrize(
    "other",
    [
        {"images": [], "annotations": [], "categories": []},
        {"shapes": [], "imagePath": "a.jpg", "version": "5.4.1"},
        {"a.jpg7": {"filename": "a.jpg", "size": 7, "regions": []}},
        [{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1, "y": 1}}]}],
        [{"image": "a.jpg", "annotations": []}],
        [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}],
        [{"data": "x", "annotations": []}],
        [],
        7,
    ],
)
def test_find_leaves_other_formats_alone(other: Any, tmp_path: Path) -> None:
    """JSON of another format, or of none, is not claimed."""
    assert label_studio.FORMAT.find(Listing(dataset_folder(tmp_path, other))) == []


def test_find_reads_only_the_beginning(tmp_path: Path) -> None:
    """A large export is recognised by its first 64 KiB, though its first task is larger."""
    photo(tmp_path / "a.jpg")
    text = json.dumps([task(annotation(*[region(label=f'\\"[{number}')] * 900)) for number in range(2)])
    (tmp_path / "big.json").write_text(text[:-1], encoding="utf-8")
    assert text.index('"data"') > 2 * 65_536
    assert len(label_studio.FORMAT.find(Listing(tmp_path))) == 1


FULL = [
    task(annotation(region(), region("polygonlabels", points=[[10, 20], [30, 25], [20, 60]]))),
    task(
        annotation(region("ellipselabels", x=50, y=50, radiusX=10, radiusY=10, rotation=9)),
        annotation(region("brushlabels", rle=[0, 1, 56, 128, 57, 37, 119], format="rle")),
        image="b.jpg",
    ),
]
BOX = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 30.0, "rotation": 0, "rectanglelabels": ["cat"]}
MINIMAL = [{"image": "a.jpg", "label": [BOX | {"original_width": 200, "original_height": 100}], "id": 1}]


@FUZZ
@given(data=broken_json.broken(FULL) | broken_json.broken(MINIMAL) | broken_json.ANYTHING)
def test_fuzz(data: Any, tmp_path: Path) -> None:
    """Whatever the JSON holds, reading ends in a dataset or in one report, and find raises nothing."""
    folder = dataset_folder(tmp_path, data, "a.jpg", "b.jpg")
    label_studio.FORMAT.find(Listing(folder))
    (path,) = folder.glob("*.json")
    names = {path.name, "a.jpg", "b.jpg", str(folder)}
    broken_json.assert_told(lambda on_problem: label_studio.read(folder, path, on_problem=on_problem), names)
