"""formats.via: what the VGG Image Annotator writes, of each version and kind, is read exactly or told."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import broken_json
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers.formats import via
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError

FUZZ = settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RECT = {"name": "rect", "x": 5, "y": 6, "width": 25, "height": 14}


def photo(path: Path, width: int = 60, height: int = 40) -> Path:
    """Write a plain JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 60)).save(path, "JPEG")
    return path


def region(shape: Any = None, **attributes: Any) -> dict[str, Any]:
    """One region as VIA 2.0.12 writes it; without attributes a cat."""
    return {"shape_attributes": shape or RECT, "region_attributes": attributes or {"animal": "cat"}}


def images(*regions: Any, **more: list[Any]) -> dict[str, Any]:
    """The images of an export as VIA 2.0.12 writes it (via_region_data.json); ``more`` are images by their stems."""
    named = {"a.jpg": list(regions or [region()]), **{f"{stem}.jpg": value for stem, value in more.items()}}
    return {
        f"{name}{len(name)}": {"filename": name, "size": len(name), "regions": value, "file_attributes": {}}
        for name, value in named.items()
    }


def project(data: dict[str, Any]) -> dict[str, Any]:
    """A project as VIA 2.0.12 saves it (via_project_*.json)."""
    settings = {"ui": {"image": {"region_label": "__via_region_id__"}}, "core": {}, "project": {"name": "x"}}
    attributes = {"region": {"animal": {"type": "dropdown", "options": {"cat": "", "dog": ""}}}, "file": {}}
    lists = {"_via_data_format_version": "2.0.10", "_via_image_id_list": list(data)}
    return {"_via_settings": settings, "_via_img_metadata": data, "_via_attributes": attributes, **lists}


def dataset_folder(folder: Path, data: Any, *names: str) -> Path:
    """A folder with photos and a VIA file."""
    for name in names or ("a.jpg",):
        photo(folder / name)
    broken_json.write(folder / "via_region_data.json", data)
    return folder


def errors(caught: pytest.ExceptionInfo[DatasetError]) -> list[str]:
    """The errors for which a data set was refused."""
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


@pytest.mark.parametrize("make", [lambda data: data, project], ids=["export", "project"])
def test_version_2(make: Any, tmp_path: Path) -> None:
    """An export and a project of version 2 are found and read; no regions mean background, no size is missed."""
    folder = dataset_folder(tmp_path, make(images(region(), region(animal="dog"), b=[])), "a.jpg", "b.jpg")
    assert [(part.images, part.split) for part in via.FORMAT.find(Listing(folder))] == [(folder, "")]
    dataset = via.read(folder)
    assert list(dataset.label_map) == ["cat", "dog"]
    assert [image.boxes_xyxy.tolist() for image in dataset] == [[[5, 6, 30, 20], [5, 6, 30, 20]], []]
    assert [str(problem) for problem in dataset.problems] == [
        "via_region_data.json, image 2: it has no objects. b.jpg is kept as background."
    ]


def test_version_1_numbers_its_regions(tmp_path: Path) -> None:
    """Version 1 has a dict of regions, by number as text."""
    data = images()
    data["a.jpg5"]["regions"] = {"0": region(), "1": region(animal="dog")}
    folder = dataset_folder(tmp_path, data)
    assert len(via.FORMAT.find(Listing(folder))) == 1
    assert via.read(folder)[0].labels.tolist() == [1, 2]


def test_csv(tmp_path: Path) -> None:
    """A table as VIA 2.0.12 exports it is found and read; an image without regions has one row of empty braces."""
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    rows = [
        ["a.jpg", 631, "{}", 2, 0, json.dumps(RECT), json.dumps({"animal": "cat"})],
        ["a.jpg", 631, "{}", 2, 1, json.dumps(RECT), json.dumps({"animal": 'dog, "big"'})],
        ["b.jpg", 631, "{}", 0, 0, "{}", "{}"],
    ]
    path = tmp_path / "via_region_data.csv"
    for start in ("", "#"):
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(start + header + "\n")
            csv.writer(file, lineterminator="\n").writerows(rows)
        photo(tmp_path / "a.jpg")
        photo(tmp_path / "b.jpg")
        assert [part.annotations for part in via.FORMAT.find(Listing(tmp_path))] == [path]
        dataset = via.read(tmp_path)
        assert list(dataset.label_map) == ["cat", 'dog, "big"']
        assert [image.boxes_xyxy.tolist() for image in dataset] == [[[5, 6, 30, 20], [5, 6, 30, 20]], []]
    path.write_text(f'{header}\na.jpg,1,"{{}}",1,0,"{{""name"": ","{{}}"\n')
    with pytest.raises(DatasetError, match=r"row 2 \(a\.jpg\), region 1: it is \{.*not a region with a shape"):
        via.read(tmp_path, path, attribute="animal")
    for text, expected in (
        (b"", "columns are missing: filename, region_count"),
        (b"filename\n", "columns are missing: region_count"),
        (header.encode() + b'\na.jpg,"', "it cannot be read (unexpected end of data)"),
        (header.encode() + b"\n\x81", "it cannot be read ("),
        (header.encode() + b"\n,1,{},0,0,{},{}", "row 2: it has no filename: {'filename': ''"),
    ):
        path.write_bytes(text)
        with pytest.raises(DatasetError) as caught:
            via.read(tmp_path, path)
        assert expected in str(caught.value)


VERSION_3 = {
    "project": {"pid": "__VIA_PROJECT_ID__", "pname": "x", "data_format_version": "3.1.1", "vid_list": ["1", "2"]},
    "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
    "attribute": {
        "1": {"aname": "animal", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "cat", "1": "dog"}},
        "2": {"aname": "mood", "anchor_id": "FILE1_Z0_XY1", "type": 2, "options": {"0": "calm", "1": "wild"}},
    },
    "file": {
        "1": {"fid": "1", "fname": "a.jpg", "type": 2, "loc": 1, "src": ""},
        "2": {"fid": "2", "fname": "b.jpg", "type": 2, "loc": 1, "src": ""},
    },
    "metadata": {
        "1_yL69hM3y": {"vid": "1", "flg": 0, "z": [], "xy": [2, 5, 6, 25, 14], "av": {"1": "1", "2": "0,1"}},
        "1_iIESeUQH": {"vid": "1", "flg": 0, "z": [], "xy": [3, 30, 20, 10], "av": {"1": "0", "2": "0"}},
        "1_qLcXrEX8": {"vid": "1", "flg": 0, "z": [], "xy": [4, 30, 20, 10, 5], "av": {"1": "0"}},
        "1_aaaaaaaa": {"vid": "1", "flg": 0, "z": [], "xy": [7, 1, 2, 9, 2, 5, 8], "av": {"1": "0"}},
        "1_bbbbbbbb": {"vid": "1", "flg": 0, "z": [], "xy": [8, 1, 5, 9, 6, 4, 2, 5, 9], "av": {"1": "0"}},
        "1_cccccccc": {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"3": "a caption of the whole image"}},
    },
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
}


def test_version_3(tmp_path: Path) -> None:
    """A project of version 3 (3.1.1) is found and read: shapes by their number, choices by name."""
    folder = dataset_folder(tmp_path, VERSION_3, "a.jpg", "b.jpg")
    assert len(via.FORMAT.find(Listing(folder))) == 1
    dataset = via.read(folder)
    assert [dataset.label_map.name(label) for label in dataset[0].labels] == ["dog", "cat", "cat", "cat", "cat"]
    expected = [[5, 6, 30, 20], [20, 10, 40, 30], [20, 15, 40, 25], [1, 2, 9, 8], [1, 2, 9, 9]]
    assert dataset[0].boxes_xyxy.tolist() == expected
    assert len(dataset[1].labels) == 0
    with pytest.raises(DatasetError, match=r"region 1 \('calm'\): 'mood' has 2 values: calm, wild\. Choose one\."):
        via.read(folder, attribute="mood")
    dataset_folder(tmp_path, {**VERSION_3, "metadata": VERSION_3["metadata"] | {"x": 7}})
    assert list(via.read(folder, on_problem="skip").label_map) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"name": "circle", "cx": 30, "cy": 20, "r": 10.5}, [19.5, 9.5, 40.5, 30.5]),
        ({"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5}, [20, 15, 40, 25]),
        ({"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5, "theta": 1.5707963}, [25, 10, 35, 30]),
        ({"name": "polygon", "all_points_x": [10, 40, 20], "all_points_y": [5, 8, 30]}, [10, 5, 40, 30]),
    ],
)
def test_shapes(shape: dict[str, Any], expected: list[float], tmp_path: Path) -> None:
    """Of every shape with an area the box around it is taken."""
    assert via.read(dataset_folder(tmp_path, images(region(shape))))[0].boxes_xyxy[0] == pytest.approx(expected)


# --- which attribute is the class --------------------------------------------------------------------


def test_class_is_what_all_regions_have(tmp_path: Path) -> None:
    """Of several attributes the only one that all regions have is the class; empty values do not count."""
    regions = [region(animal="cat", note="shy"), region(animal="dog", note="")]
    assert list(via.read(dataset_folder(tmp_path, images(*regions))).label_map) == ["cat", "dog"]


def test_class_of_checkboxes(tmp_path: Path) -> None:
    """Of a group of checkboxes the ticked one is the class, and two are told."""
    folder = dataset_folder(tmp_path, images(region(kind={"cat": True, "dog": False}), region(kind={"dog": True})))
    assert list(via.read(folder).label_map) == ["cat", "dog"]
    dataset_folder(tmp_path, images(region(kind={"cat": True, "dog": True})))
    with pytest.raises(DatasetError, match=r"region 1 \('cat'\): 'kind' has 2 values: cat, dog\. Choose one\."):
        via.read(folder)


def test_several_candidates(tmp_path: Path) -> None:
    """Where several attributes may be the class, both are named, and the caller can say which."""
    regions = [region(animal="cat", colour="red"), region(animal="dog", colour="blue")]
    folder = dataset_folder(tmp_path, images(*regions))
    with pytest.raises(DatasetError) as caught:
        via.read(folder)
    assert errors(caught) == [
        f"{folder / 'via_region_data.json'}: several attributes may be the class: 'animal' (2 of 2 regions), "
        "'colour' (2 of 2 regions). Say which one, with attribute='...'."
    ]
    assert list(via.read(folder, attribute="colour").label_map) == ["blue", "red"]
    with pytest.raises(DatasetError, match="no region has the attribute 'color'; there is 'animal', 'colour'"):
        via.read(folder, attribute="color")


def test_region_without_the_class(tmp_path: Path) -> None:
    """A region without the attribute has no class, which is told; without any attribute there is none at all."""
    bare = {"shape_attributes": RECT, "region_attributes": {}}
    folder = dataset_folder(tmp_path, images(region(), bare))
    with pytest.raises(DatasetError) as caught:
        via.read(folder)
    assert errors(caught) == [
        "via_region_data.json, image 1 (a.jpg), region 2: a class name must be a text that is not empty, got ''. "
        "Name the class."
    ]
    assert len(via.read(folder, on_problem="skip")[0].labels) == 1
    with pytest.raises(DatasetError, match="no region has an attribute, so none has a class"):
        via.read(dataset_folder(tmp_path, images(bare)))


# --- what is broken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"name": "point", "cx": 30, "cy": 20}, "region 2 ('cat'): a shape called 'point' has no box. Draw it again"),
        ({"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "a shape called 'polyline' has no box."),
        ({"name": "rect", "x": 5, "y": 6, "width": "7", "height": 4}, "width is '7', not a number."),
        ({"name": "rect", "x": 5, "y": 6, "height": 4}, "width is missing."),
        ({"name": "rect", "x": 5, "y": 6, "width": 0, "height": 4}, "xmax 5 is not right of xmin 5."),
        ({"name": "circle", "cx": 55, "cy": 20, "r": 10}, "reaches over the edge of the 60 x 40 image."),
        (
            {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]},
            "are no lists of the same length",
        ),
        (
            {"name": "polygon", "all_points_x": [1, 2, "3"], "all_points_y": [1, 2, 3]},
            "point 3 is ['3', 3], not [x, y].",
        ),
        ({"name": "ellipse", "cx": 1, "cy": 1, "rx": 1, "ry": 1, "theta": 1e400}, "theta is inf, not a number."),
        ({"name": ["rect"]}, "a shape called ['rect'] has no box."),
    ],
)
def test_broken_region(shape: dict[str, Any], expected: str, tmp_path: Path) -> None:
    """An error says which image, which region, what is wrong and what to do; the others are kept in skip mode."""
    folder = dataset_folder(tmp_path, images(region(), region(shape)))
    with pytest.raises(DatasetError) as caught:
        via.read(folder)
    assert len(errors(caught)) == 1
    assert errors(caught)[0].startswith("via_region_data.json, image 1 (a.jpg), region 2 ('cat'): ")
    assert expected in errors(caught)[0]
    assert via.read(folder, on_problem="skip")[0].boxes_xyxy.tolist() == [[5, 6, 30, 20]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], "via_region_data.json: it is no file that VIA writes."),
        ({"_via_img_metadata": []}, "via_region_data.json: it is no file that VIA writes."),
        ({"x": 3}, "via_region_data.json, image 1: it has no filename: 3."),
        ({"x": {"filename": "a.jpg", "regions": 3}}, "via_region_data.json, image 1: its regions are 3."),
        (images() | {"x": images()["a.jpg5"]}, "a.jpg: 2 annotations describe this image"),
        ({"x": {"filename": "../../etc/passwd", "regions": []}}, "there is no '../../etc/passwd' (its filename)"),
        (
            {**VERSION_3, "view": {"1": {"fid_list": ["1", "2"]}}},
            "image 1: it has no filename: {'fid_list': ['1', '2']",
        ),
        ({**VERSION_3, "file": {"1": {"fname": 3.5}}}, "image 1: it has no filename: {'fid_list': ['1']"),
        (
            {**VERSION_3, "metadata": {"1": {"vid": "7", "xy": [2, 5, 6, 25, 14], "av": {"1": "1"}}}},
            "1 regions of view '7', which is not there: it has no filename",
        ),
        (
            {**VERSION_3, "metadata": {"1": {"vid": "1", "xy": [2, 5, 6, 25, 14, 9], "av": {"1": "1"}}}},
            "rect of 5 numbers",
        ),
        ({}, "no labelled image is left"),
    ],
)
def test_broken_file(data: Any, expected: str, tmp_path: Path) -> None:
    """A file or an image that cannot be used is told by name."""
    folder = dataset_folder(tmp_path, data)
    with pytest.raises(DatasetError) as caught:
        via.read(folder, folder / "via_region_data.json", attribute="animal")
    assert expected in str(caught.value)


def test_project_and_export_of_it(tmp_path: Path) -> None:
    """Where a project lies beside its export, each photo is annotated twice, which is told and not read twice."""
    folder = dataset_folder(tmp_path, images())
    broken_json.write(folder / "via_project.json", project(images()))
    with pytest.raises(DatasetError) as caught:
        via.read(folder)
    assert "a.jpg: 2 annotations describe this image: via_project.json, image 1" in errors(caught)[0]


@pytest.mark.parametrize(
    "other",
    [
        {"images": [], "annotations": [], "categories": []},
        {"info": {"description": "x"}, "images": [], "annotations": []},
        {"shapes": [], "imagePath": "a.jpg", "version": "5.4.1"},
        [{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1, "y": 1}}]}],
        [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": []}]}],
        {"project": {"name": "x"}, "files": []},
        {"a": {"filename": "a.jpg", "boxes": []}},
        {},
        7,
    ],
)
def test_find_leaves_other_formats_alone(other: Any, tmp_path: Path) -> None:
    """JSON and tables of another format, or of none, are not claimed."""
    folder = dataset_folder(tmp_path, other)
    (folder / "table.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n")
    assert via.FORMAT.find(Listing(folder)) == []


@FUZZ
@given(
    data=broken_json.broken(images(region(), b=[region(RECT, animal={"dog": True})]))
    | broken_json.broken(VERSION_3)
    | broken_json.ANYTHING
)
def test_fuzz(data: Any, tmp_path: Path) -> None:
    """Whatever the JSON holds, reading ends in a dataset or in one report, and find raises nothing."""
    folder = dataset_folder(tmp_path, data, "a.jpg", "b.jpg")
    via.FORMAT.find(Listing(folder))
    path = folder / "via_region_data.json"
    names = {path.name, "a.jpg", "b.jpg", str(folder)}
    broken_json.assert_told(lambda on_problem: via.read(folder, path, on_problem=on_problem), names)
    broken_json.assert_told(lambda on_problem: via.read(folder, path, on_problem=on_problem, attribute="animal"), names)


@FUZZ
@given(data=st.binary(max_size=80))
@example(data=b"\xa0")
def test_fuzz_csv(data: bytes, tmp_path: Path) -> None:
    """No bytes in a table make find raise, and reading them ends in one report."""
    photo(tmp_path / "a.jpg")
    path = tmp_path / "x.csv"
    path.write_bytes(b"filename,region_count,region_shape_attributes,region_attributes\n" + data)
    via.FORMAT.find(Listing(tmp_path))
    with pytest.raises(DatasetError):
        via.read(tmp_path, path, attribute="animal")
