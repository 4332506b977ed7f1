"""COCO JSON: what the real tools write is read, a round trip changes nothing, and whatever is broken is told."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import broken_json
import layouts
import numpy as np
import PIL.Image
import pytest
from drawn import assert_equal, datasets, jpeg
from hypothesis import HealthCheck, given, settings
from layouts import coco as coco_of
from layouts import photos

from tfod_helpers import evaluation, formats
from tfod_helpers.annotations import Dataset, LabelMap, masks
from tfod_helpers.formats import coco
from tfod_helpers.formats.coco.writing import FILE_NAME
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.raw import Part
from tfod_helpers.problems import DatasetError

QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def valid() -> dict[str, Any]:
    """Two images of 40 x 30, the first with two objects; category ids with a gap, as in the official files."""
    square = [[5, 5, 25, 5, 25, 20, 5, 20]]
    return {
        "info": {"year": 2017},
        "licenses": [],
        "images": [
            {"id": 9, "file_name": "a.jpg", "width": 40, "height": 30, "license": 3, "coco_url": "http://x/a.jpg"},
            {"id": 4, "file_name": "b.jpg", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 17, "image_id": 9, "category_id": 18, "bbox": [5, 5, 20, 15], "area": 300, "iscrowd": 0,
             "segmentation": square},
            {"id": 18, "image_id": 9, "category_id": 3, "bbox": [0.5, 2.25, 39.5, 27.75], "iscrowd": 1,
             "segmentation": {"size": [30, 40], "counts": [30, 600, 570]}},
        ],
        "categories": [
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {"id": 3, "name": "car", "supercategory": "vehicle"},
        ],
    }  # fmt: skip


def folder_of(folder: Path, data: Any, name: str = "labels.json", photos: str = ".") -> Path:
    """A folder with the two photos and a COCO file."""
    (folder / photos).mkdir(parents=True, exist_ok=True)
    for one in ("a.jpg", "b.jpg"):
        (folder / photos / one).write_bytes(jpeg(40, 30))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_boxes_classes_and_crowds(tmp_path: Path) -> None:
    """Classes are numbered in the order of their ids; boxes become corners; a crowd stays one; b.jpg is background."""
    dataset = coco.read(folder_of(tmp_path, valid()))
    assert dataset.label_map == LabelMap(["car", "dog"])
    first, second = dataset
    assert first.boxes_xyxy.tolist() == [[5, 5, 25, 20], [0.5, 2.25, 40, 30]]
    assert first.labels.tolist() == [2, 1]
    assert first.crowd.tolist() == [False, True]
    assert first.masks is None
    assert len(second.labels) == 0


def test_masks_are_pycocotools_own(tmp_path: Path) -> None:
    """Polygons and run lengths become the masks that pycocotools makes of them; a box stands in for none."""
    from pycocotools.coco import COCO

    data = valid()
    data["annotations"].append(data["annotations"][0] | {"id": 19, "segmentation": []})
    folder = folder_of(tmp_path, data)
    image = coco.read(folder, masks=True)[0]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(folder / "labels.json")
    assert image.masks is not None
    for mask, id in zip(image.masks, (17, 18), strict=False):
        assert (decoded(mask, 40, 30) == theirs.annToMask(theirs.anns[id])).all()
    assert decoded(image.masks[2], 40, 30)[5:20, 5:25].all()
    assert decoded(image.masks[2], 40, 30).sum() == 300


def decoded(mask: bytes, width: int, height: int) -> np.ndarray:
    """A mask's pixels."""
    from pycocotools import mask as api

    return api.decode({"size": [height, width], "counts": mask})


@pytest.mark.parametrize(
    ("name", "photos", "split"),
    [
        ("annotations/instances_train2017.json", "train2017", "train"),
        ("annotations/instances_val2017.json", "images/val2017", "val"),
        ("annotations/instances_default.json", "images", ""),  # CVAT
        ("result.json", "images", ""),  # Label Studio
        ("train/_annotations.coco.json", "train", "train"),  # Roboflow
        ("labels.json", ".", ""),
    ],
)
def test_layouts_are_found(name: str, photos: str, split: str, tmp_path: Path) -> None:
    """The files of each tool are found with their photos and the name of the split."""
    (part,) = coco.FORMAT.find(Listing(folder_of(tmp_path, valid(), name, photos)))
    assert (part.annotations, part.images, part.split) == (tmp_path / name, tmp_path / photos, split)
    assert [image.split for image in coco.FORMAT.read_parts([part])] == [split, split]


@pytest.mark.parametrize("data", [[], {}, {"shapes": []}, {"images": 3}, [{"image": "a.jpg", "annotations": []}], 7])
def test_other_json_is_not_claimed(data: Any, tmp_path: Path) -> None:
    """JSON that is no COCO file is left to the other formats."""
    assert coco.FORMAT.find(Listing(folder_of(tmp_path, data))) == []


def other_classes(text: str) -> str:
    """A file as it was, with the two classes exchanged."""
    data = json.loads(text)
    for annotation in data["annotations"]:
        annotation["category_id"] = 3 - annotation["category_id"]
    return json.dumps(data)


def lvis(text: str) -> str:
    """A file as LVIS 1 has it: addresses and no file names; and with ids below 0."""
    data = json.loads(text)
    for image in data["images"]:
        image |= {"coco_url": f"http://images.cocodataset.org/train2017/{image.pop('file_name')}", "id": -image["id"]}
    for annotation in data["annotations"]:
        annotation["image_id"] *= -1
    return json.dumps(data)


def without(text: str, *keys: str) -> str:
    """A file without some of its lists."""
    return json.dumps({key: value for key, value in json.loads(text).items() if key not in keys})


AB, BA = coco_of("ab"), other_classes(coco_of("ab"))
ARCHIVE = photos("train2017/", "abc") | photos("val2017/", "d") | {
    "annotations/instances_train2017.json": coco_of("abc"), "annotations/instances_val2017.json": coco_of("d")
}  # fmt: skip
TRAIN_VAL = {"train2017/a.jpg": "train", "train2017/b.jpg": "train", "train2017/c.jpg": "train", "val2017/d.jpg": "val"}
TOOLS: dict[str, tuple[dict[str, str | bytes], dict[str, str]]] = {
    "COCO 2017, all files": (
        ARCHIVE | photos("test2017/", "x") | {
            "annotations/captions_train2017.json": '{"images": [], "annotations": [{"image_id": 1, "caption": "a"}]}',
            "annotations/person_keypoints_val2017.json": other_classes(coco_of("d")),
            "annotations/image_info_test2017.json": without(coco_of("a"), "annotations", "categories"),
        },
        TRAIN_VAL,
    ),
    "MMDetection": (layouts.inside("coco", ARCHIVE), {f"coco/{name}": split for name, split in TRAIN_VAL.items()}),
    "Objects365": (
        photos("train/patch0/", "ab") | photos("val/patch9/", "cd")
        | {"annotations/zhiyuan_objv2_train.json": coco_of("ab", "images/v1/patch8/"),
           "annotations/zhiyuan_objv2_val.json": coco_of("cd", "images/v2/patch9/")},
        {"train/patch0/a.jpg": "train", "train/patch0/b.jpg": "train", "val/patch9/c.jpg": "val",
         "val/patch9/d.jpg": "val"},
    ),
    "LVIS": (
        photos("train2017/", "ab") | {"annotations/lvis_v1_train.json": lvis(AB)},
        {"train2017/a.jpg": "train", "train2017/b.jpg": "train"},
    ),
    "a part of COCO": (
        photos("train2017/", "ab") | {"custom_train.json": coco_of("a"), "custom_val.json": coco_of("b")},
        {"train2017/a.jpg": "train", "train2017/b.jpg": "val"},
    ),
    "CVAT, subsets": (
        photos("images/Train/", "a") | photos("images/Validation/", "b")
        | {"annotations/instances_Train.json": coco_of("a"), "annotations/instances_Validation.json": coco_of("b")},
        {"images/Train/a.jpg": "Train", "images/Validation/b.jpg": "Validation"},
    ),
    "Label Studio on Windows": (
        photos("images/", "ab") | {"result.json": coco_of("ab", "images\\")},
        {"images/a.jpg": "", "images/b.jpg": ""},
    ),
    "labelme2coco": (
        photos("JPEGImages/", "ab") | photos("Visualization/", "ab") | {"annotations.json": AB},
        {"JPEGImages/a.jpg": "", "JPEGImages/b.jpg": ""},
    ),
    "FiftyOne": (
        photos("train/data/", "a") | photos("val/data/", "b")
        | {"train/labels.json": coco_of("a"), "val/labels.json": coco_of("b")},
        {"train/data/a.jpg": "train", "val/data/b.jpg": "val"},
    ),
    "photos in subfolders, without their names": (
        photos("images/cam1/", "a") | photos("images/cam2/", "b") | {"labels.json": AB},
        {"images/cam1/a.jpg": "", "images/cam2/b.jpg": ""},
    ),
    "photos elsewhere than their like": (
        photos("images/", "a") | photos("more/", "b") | {"labels.json": AB}, {"images/a.jpg": "", "more/b.jpg": ""}
    ),
    "annotations in folders of splits": (
        photos("images/", "ab") | {"annotations/train/x.json": coco_of("a"), "annotations/val/x.json": coco_of("b")},
        {"images/a.jpg": "train", "images/b.jpg": "val"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "splits"), TOOLS.values(), ids=TOOLS)
def test_layouts_of_tools(files: dict[str, str | bytes], splits: dict[str, str], tmp_path: Path) -> None:
    """Photos are found by name wherever they lie, with the right split and boxes, and each is there once."""
    layouts.write(tmp_path, files)
    dataset = formats.read(tmp_path)
    assert {image.path.relative_to(tmp_path).as_posix(): image.split for image in dataset} == splits
    assert len(dataset) == len(splits)
    for image in dataset:
        name, *box_xyxy = layouts.BOXES[image.path.stem]
        assert image.boxes_xyxy.tolist() == [box_xyxy]
        assert dataset.label_map.name(int(image.labels[0])) == name


def test_files_of_another_task_are_left_out_aloud(tmp_path: Path) -> None:
    """Captions, key points and lists of unlabelled photos are named; alone, they are refused."""
    dataset = formats.read(layouts.write(tmp_path / "all", TOOLS["COCO 2017, all files"][0]), format="coco")
    left = {problem.where: problem.what for problem in dataset.problems if problem.kind == "file left out"}
    assert left == {
        "captions_train2017.json": "instances_train2017.json has the boxes of its photos",
        "person_keypoints_val2017.json": "instances_val2017.json has the boxes of its photos",
        "image_info_test2017.json": "it has no list of annotations",
    }
    captions = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "a"}]}
    alone = layouts.write(tmp_path / "alone", photos("", "a") | {"captions.json": json.dumps(captions)})
    with pytest.raises(DatasetError, match=r"captions\.json: its annotations have captions and no boxes\. Give the"):
        coco.read(alone, on_problem="skip")


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("f02_coco_annotations_folder", {"a": ["cat"], "b": ["cat"], "c": ["cat"]}),
        ("f02_coco_captions_beside", {"a": ["cat"], "b": ["cat"], "c": ["cat"]}),
        ("u_coco_ids", {"a": ["person"]}),
        ("w19_coco_official_keypoints", {f"00000{number}": ["car", "person"] for number in (1, 2, 3)}),
        ("w20_coco_all_train_val", {"a": ["person"], "b": ["car"]}),
        ("w20_coco_flat_keypoints", {"a": ["car"], "b": ["person"]}),
    ],
)
def test_what_people_reported(name: str, images: dict[str, list[str]], shared: Path) -> None:
    """Each photo of a reported data set is read once, with the classes of its objects."""
    dataset = formats.read(shared / "data/reported" / name)
    found = [(image.path.stem, [dataset.label_map.name(int(id)) for id in image.labels]) for image in dataset]
    assert sorted(found) == sorted(images.items())


@pytest.mark.parametrize(
    ("ids", "references"),
    [((1, 2), ("1", "2")), (("1", "2"), (1, 2)), ((1.0, 2.0), (1, "2")), (("0001", "0002"), (1, 2.0)),
     (("x1", " y2"), ("x1", "y2")), ((-1, -2), ("-1", -2.0)), ((10**30, 2), (str(10**30), "2.0"))],
)  # fmt: skip
def test_ids_in_any_spelling(ids: tuple[Any, Any], references: tuple[Any, Any], tmp_path: Path) -> None:
    """Numbers, numbers with a point and texts are one id; the classes keep the order of the numbers."""
    data = json.loads(AB)
    for key, name in (("images", "image_id"), ("categories", "category_id")):
        for entry, id in zip(data[key], ids, strict=True):
            entry["id"] = id
        for annotation in data["annotations"]:
            annotation[name] = references[annotation[name] - 1]
    dataset = coco.read(layouts.write(tmp_path, photos("", "ab") | {"labels.json": json.dumps(data)}))
    assert [dataset.label_map.name(int(image.labels[0])) for image in dataset] == ["cat", "dog"]


@pytest.mark.parametrize("bbox", [{}, {"bbox": None}, {"bbox": []}, {"bbox": [0, 0, 0, 0]}])
@pytest.mark.parametrize(
    "outline",
    [
        [[5, 5, 25, 5, 25, 20, 5, 20]],
        [5, 5, 25, 5, 25, 20, 5, 20],  # VIA
        [[5, 5, 9, 5, 9, 9], [20, 15, 25, 15, 25, 20]],
        {"size": [30, 40], "counts": [155] + [15, 15] * 19 + [15, 460]},
    ],
)
def test_box_around_an_outline(bbox: dict[str, Any], outline: Any, tmp_path: Path) -> None:
    """Where an object has an outline and no box, the box is the one around it."""
    data = valid()
    data["annotations"] = [{"id": 1, "image_id": 9, "category_id": 3, "segmentation": outline} | bbox]
    dataset = coco.read(folder_of(tmp_path, data), masks=True)
    assert dataset[0].boxes_xyxy.tolist() == [[5, 5, 25, 20]]
    data["annotations"][0]["segmentation"] = [[1, 2, 3]]
    with pytest.raises(DatasetError, match=r"it has no bbox, and its segmentation has \[1, 2, 3\], not three points"):
        coco.read(folder_of(tmp_path, data))


def test_roboflows_placeholder_is_no_class(tmp_path: Path) -> None:
    """The category with id 0 that Roboflow adds, and nothing uses, is left out with a word."""
    data = valid()
    data["categories"].append({"id": 0, "name": "animals", "supercategory": "none"})
    dataset = coco.read(folder_of(tmp_path, data))
    assert dataset.label_map == LabelMap(["car", "dog"])
    assert [str(one) for one in dataset.problems if "category" in one.object] == [
        "labels.json, category 0: it is never used ('animals'), and no class of its own. Left out."
    ]
    data["annotations"][0]["category_id"] = 0
    assert coco.read(folder_of(tmp_path, data)).label_map == LabelMap(["animals", "car", "dog"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bbox": [1, 2, 3]}, "annotation 17 ('dog'): bbox is [1, 2, 3], not [x, y, width, height]"),
        ({"bbox": [1, 2, None, 3]}, "annotation 17 ('dog'): bbox is [1, 2, None, 3], not [x, y, width, height]"),
        ({"bbox": [30, 2, 20, 9]}, "reaches over the edge of the 40 x 30 image"),
        ({"bbox": [3, 2, 0, 9]}, "xmax 3 is not right of xmin 3"),
        ({"category_id": 5}, "annotation 17: category_id 5 is no category of labels.json"),
        ({"image_id": 5}, "labels.json, annotation 17: image_id 5 is no image of labels.json"),
        ({"segmentation": [[1, 2, 3]]}, "segmentation has [1, 2, 3], not three points or more"),
        ({"segmentation": {"size": [30, 40], "counts": [7]}}, "covers 7 pixels, and the image has 40 x 30"),
        ({"segmentation": {"size": [3, 4], "counts": "abc"}}, "neither polygons nor a mask of 40 x 30"),
        ({"segmentation": {"size": [30, 40], "counts": "\u1234"}}, "has counts that cannot be read"),
    ],
)
def test_broken_annotations_are_told(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Each mistake is an error that names the annotation; with skip, all the rest is read."""
    data = valid()
    data["annotations"][0] |= change
    folder = folder_of(tmp_path, data)
    with pytest.raises(DatasetError) as error:
        coco.read(folder, masks=True)
    assert told in str(error.value)
    assert len(error.value.problems) - sum(one.severity != "error" for one in error.value.problems) == 1
    dataset = coco.read(folder, on_problem="skip", masks=True)
    assert dataset[0].labels.tolist() == [1]


def test_ids_that_are_given_twice_are_told(tmp_path: Path) -> None:
    """Two images or categories of one id are an error that names both."""
    data = valid()
    data["images"][1]["id"] = 9
    data["categories"][1]["id"] = 18
    with pytest.raises(DatasetError) as error:
        coco.read(folder_of(tmp_path, data))
    assert "image 9 ('b.jpg'): its id is that of 'a.jpg' too" in str(error.value)
    assert "category 18 ('car'): its id is that of 'dog' too" in str(error.value)


@QUICK
@given(broken_json.broken(valid()))
def test_whatever_is_broken_is_told(data: Any) -> None:
    """However the file is changed, reading ends in a dataset or in one report that names files."""
    with tempfile.TemporaryDirectory() as name:
        folder = folder_of(Path(name), data)
        coco.FORMAT.find(Listing(folder))
        names = {"labels.json", "a.jpg", "b.jpg"}
        broken_json.assert_told(
            lambda mode: coco.read(folder, folder / "labels.json", on_problem=mode, masks=True), names
        )


@QUICK
@given(datasets(splits=("train", "valid"), crowds=True, masks=True, difficult=True))
def test_round_trip_changes_nothing(dataset: Any) -> None:
    """Writing and reading gives the same images, boxes to the last bit, flags, masks and splits."""
    with tempfile.TemporaryDirectory() as name:
        folder = coco.write(dataset, Path(name) / "written")
        assert_equal(coco.FORMAT.read_parts(coco.FORMAT.find(Listing(folder)), masks=True), dataset)


def test_area_is_kept_where_it_says_something(tmp_path: Path) -> None:
    """An area above 0 is the object's, and written again; one of 0, none and a text leave it unknown."""
    data = valid()
    data["annotations"][1]["area"] = 0
    image, empty = coco.read(folder_of(tmp_path, data))
    assert (image.areas.tolist()[0], np.isnan(image.areas[1]), empty.areas) == (300, True, None)
    data["annotations"][0] |= {"area": 123.4375, "segmentation": []}
    data["annotations"][1]["area"] = 77
    dataset = coco.read(folder_of(tmp_path / "two", data))
    assert dataset[0].areas.tolist() == [123.4375, 77]
    written = json.loads((coco.write(dataset, tmp_path / "three") / "_annotations.coco.json").read_text())
    assert [one["area"] for one in written["annotations"]] == [123.4375, 77]
    for one in data["annotations"]:
        one["area"] = "large"
    assert coco.read(folder_of(tmp_path / "four", data))[0].areas is None


@QUICK
@given(datasets(crowds=True))
def test_pycocotools_reads_what_is_written(dataset: Any) -> None:
    """The real COCO class loads the file, and finds the same boxes, areas and crowds."""
    from pycocotools.coco import COCO

    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(coco.write(dataset, Path(name) / "written") / FILE_NAME)
        for number, image in enumerate(dataset, start=1):
            anns = theirs.loadAnns(theirs.getAnnIds(imgIds=[number]))
            corners = [[x, y, np.float32(x + w), np.float32(y + h)] for x, y, w, h in (ann["bbox"] for ann in anns)]
            assert corners == image.boxes_xyxy.tolist()
            assert [ann["iscrowd"] for ann in anns] == image.crowd.tolist()
            assert theirs.loadImgs(number)[0]["file_name"] == image.path.name


def test_results_are_scored_as_pycocotools_scores_them(tmp_path: Path) -> None:
    """A results file becomes detections by image, in the dataset's order, with the dataset's class ids."""
    folder = folder_of(tmp_path, valid())
    dataset = coco.read(folder)
    results = [
        {"image_id": 9, "category_id": 18, "bbox": [5, 5, 20, 15], "score": 0.9},
        {"image_id": 4, "category_id": 18, "bbox": [1, 1, 8, 8], "score": 0.2},
    ]
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = coco.read_results(tmp_path / "results.json", folder / "labels.json", dataset)
    assert found[0].xyxy.tolist() == [[5, 5, 25, 20]]
    assert (found[0].class_id.tolist(), found[0].confidence.tolist()) == ([2], [0.9])
    assert evaluation.score(dataset, found).ap == pytest.approx(1)
    bad = [*results, {"image_id": 5}, 7, results[0] | {"score": "high"}]
    (tmp_path / "results.json").write_text(json.dumps(bad))
    with pytest.raises(DatasetError, match="3 problems") as error:
        coco.read_results(tmp_path / "results.json", folder / "labels.json", dataset)
    assert "results.json, detection 5: score is 'high', not a number" in str(error.value)


@pytest.mark.parametrize("start", ["", "images/"])
def test_results_go_by_image_id(start: str, tmp_path: Path) -> None:
    """Of photos of one name in two folders each gets its own detections, in the whole dataset and in a part of it."""
    data = json.loads(AB)
    for image, folder in zip(data["images"], ("cam1", "cam2"), strict=True):
        image["file_name"] = f"{start}{folder}/1.jpg"
    files = {"cam1/1.jpg": layouts.JPEG, "cam2/1.jpg": layouts.JPEG, "labels.json": json.dumps(data)}
    dataset = coco.read(layouts.write(tmp_path, files), tmp_path / "labels.json")
    results = [{**one, "image_id": str(one["image_id"]), "score": 0.9} for one in data["annotations"]]
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = coco.read_results(tmp_path / "results.json", tmp_path / "labels.json", dataset)
    assert evaluation.score(dataset, found).ap == pytest.approx(1)
    part = Dataset(dataset.images[1:], dataset.label_map)
    (one,) = coco.read_results(tmp_path / "results.json", tmp_path / "labels.json", part)
    assert one.xyxy.tolist() == part[0].boxes_xyxy.tolist()


def test_results_of_unclear_images_are_told(tmp_path: Path) -> None:
    """A file name that two images of the dataset have, and annotations of another dataset, are no AP of 0."""
    detection = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 1}
    files = photos("cam1/", "a") | photos("cam2/", "a") | {
        "1.json": coco_of("a", "cam1/"), "2.json": coco_of("a", "cam2/"), "bare.json": coco_of("a"),
        "other.json": coco_of("b"), "results.json": json.dumps([detection]),
    }  # fmt: skip
    folder = layouts.write(tmp_path, files)
    dataset = coco.FORMAT.read_parts([Part(folder, folder / "1.json"), Part(folder, folder / "2.json")])
    assert len(dataset) == 2
    with pytest.raises(DatasetError, match=r"bare\.json, image 1: its file name 'a\.jpg' does not say which image"):
        coco.read_results(folder / "results.json", folder / "bare.json", dataset)
    with pytest.raises(DatasetError, match=r"none of the images of other\.json is in the dataset"):
        coco.read_results(folder / "results.json", folder / "other.json", dataset)


@pytest.mark.parametrize(
    ("bbox", "info", "way_up", "size", "told"),
    [
        (
            [10, 20, 30, 40],
            {},
            None,
            (100, 80),
            "Taken as stored, as its size is. Look at its boxes: where they are wrong,",
        ),
        ([10, 20, 30, 70], {}, None, (80, 100), "Taken as viewed, as its boxes lie in it only so."),
        ([10, 20, 80, 30], {}, None, (100, 80), ""),
        ([10, 20, 30, 40], {}, "as viewed", (80, 100), ""),
        ([10, 20, 30, 40], {"contributor": "Label Studio"}, None, (80, 100), ""),
    ],
)
def test_photos_of_phones(
    bbox: list[int], info: dict[str, str], way_up: Any, size: tuple[int, int], told: str, tmp_path: Path
) -> None:
    """The stored size beside upright boxes, as Label Studio writes it, is known by the boxes, or a warning."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (100, 80)).save(tmp_path / "p.jpg", exif=exif)
    images = [{"id": 0, "file_name": "p.jpg", "width": 100, "height": 80}]
    annotations = [{"id": 0, "image_id": 0, "category_id": 0, "bbox": bbox}]
    data = {"info": info, "images": images, "annotations": annotations, "categories": [{"id": 0, "name": "cat"}]}
    (tmp_path / "result.json").write_text(json.dumps(data))
    dataset = formats.read(tmp_path, way_up=way_up)
    assert (dataset[0].width, dataset[0].height) == size
    assert [problem.severity for problem in dataset.problems] == ["warning"] * bool(told)
    assert told in "".join(map(str, dataset.problems))


def test_run_lengths_are_read_as_pycocotools_does() -> None:
    """The lengths in a compressed mask are those of pycocotools; anything else is refused."""
    from pycocotools import mask

    pixels = np.random.default_rng(0).integers(0, 2, (37, 23), np.uint8)
    counts = mask.encode(np.asfortranarray(pixels))["counts"]
    lengths = masks.run_lengths(counts)
    rebuilt = np.repeat(np.arange(len(lengths)) % 2, lengths).reshape(23, 37).T
    assert (rebuilt == pixels).all()
    with pytest.raises(ValueError, match="cut off"):
        masks.run_lengths(b"P")


@pytest.mark.parametrize("image_id", [None, True, "", [1], 77])
def test_photo_that_may_have_lost_its_labels_is_no_background(image_id: Any, tmp_path: Path) -> None:
    """Where an annotation is of no image, an image without annotations is left out: they may be its own."""
    data = json.loads(layouts.coco("abc"))
    data["annotations"][0]["image_id"] = image_id
    folder = layouts.write(tmp_path, layouts.photos("", "abc") | {"x.json": json.dumps(data)})
    with pytest.raises(DatasetError, match=r"annotation 1: image_id .* is no image of x\.json"):
        coco.read(folder, folder / "x.json")
    found = coco.read(folder, folder / "x.json", on_problem="skip")
    assert [(image.path.name, len(image.labels)) for image in found] == [("b.jpg", 1), ("c.jpg", 1)]
