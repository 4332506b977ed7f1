"""COCO JSON: what the real tools write is read, a round trip changes nothing, and whatever is broken is told."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import broken_json
import numpy as np
import pytest
from drawn import assert_equal, datasets, jpeg
from hypothesis import HealthCheck, given, settings

from tfod_helpers import evaluation
from tfod_helpers.annotations import LabelMap, masks
from tfod_helpers.formats import coco
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
    (part,) = coco.FORMAT.find(folder_of(tmp_path, valid(), name, photos))
    assert (part.annotations, part.images, part.split) == (tmp_path / name, tmp_path / photos, split)
    assert [image.split for image in coco.FORMAT.read_parts([part])] == [split, split]


@pytest.mark.parametrize("data", [[], {}, {"shapes": []}, {"images": 3}, [{"image": "a.jpg", "annotations": []}], 7])
def test_other_json_is_not_claimed(data: Any, tmp_path: Path) -> None:
    """JSON that is no COCO file is left to the other formats."""
    assert coco.FORMAT.find(folder_of(tmp_path, data)) == []


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
        ({"category_id": 5}, "annotation 17: category_id 5 is no category of this file"),
        ({"image_id": 5}, "labels.json, annotation 17: image_id 5 is no image of this file"),
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
        coco.FORMAT.find(folder)
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
        assert_equal(coco.FORMAT.read_parts(coco.FORMAT.find(folder), masks=True), dataset)


@QUICK
@given(datasets(crowds=True))
def test_pycocotools_reads_what_is_written(dataset: Any) -> None:
    """The real COCO class loads the file, and finds the same boxes, areas and crowds."""
    from pycocotools.coco import COCO

    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO(coco.write(dataset, Path(name) / "written") / coco.FILE_NAME)
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
