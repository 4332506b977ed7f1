"""What is not read is called by its name, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import jpeg

from tfod_helpers import formats
from tfod_helpers.formats import others
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError

KITTI = "Car 0.00 0 -1.57 10.00 20.00 50.00 60.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"
DOTA = "imagesource:GoogleEarth\ngsd:0.146\n10.0 20.0 50.0 20.0 50.0 60.0 10.0 60.0 small-vehicle 0\n"
OPEN_IMAGES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n0a,xclick,/m/01yrx,1,0.1,0.5,0.2,0.7\n"
SUPERVISELY = '{"size": {"height": 80, "width": 100}, "objects": [{"classTitle": "cat"}]}'


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("Annotation/n02085620-Chihuahua/n02085620_7", "<annotation><folder>x</folder>", "XML without an ending"),
        ("wider_face_split/wider_face_val_bbx_gt.txt", "0--Parade/a.jpg\n1\n10 20 40 40 0 0 0 0 0 0\n", "WIDER FACE"),
        ("CUB_200_2011/bounding_boxes.txt", "1 10.0 20.0 40.0 40.0\n", "CUB-200"),
        ("Annotation/a.txt", "# Compatible with PASCAL Annotation Version 1.00\n", "Penn-Fudan"),
        ("training/label_2/000000.txt", KITTI, "a label of KITTI"),
        ("annotations/a.txt", "10,20,40,40,1,4,0,0\n", "a label of VisDrone"),
        ("labelTxt/P0001.txt", DOTA, "a label of DOTA"),
        ("train/Apple/Label/a.txt", "Apple 10.0 20.0 50.0 60.0\n", "the OIDv4 toolkit"),
        ("gtFine/train/aachen/a_gtFine_polygons.json", '{"imgHeight": 80, "objects": []}', "Cityscapes' polygons"),
        ("ds0/ann/a.jpg.json", SUPERVISELY, "Supervisely's"),
        ("labels/bdd.json", '[{"name": "a.jpg", "labels": [{"category": "car", "box2d": {}}]}]', "BDD100K"),
        ("results.json", '[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9}]', "a list of detections"),
        ("export.ndjson", '{"data_row": {"id": 1}}\n{"data_row": {"id": 2}}\n', "JSON lines"),
        ("train-annotations-bbox.csv", OPEN_IMAGES, "Open Images' table"),
        ("Images/00000/GT-00000.csv", "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n", "GTSRB's table"),
        ("allAnnotations.csv", "Filename;Annotation tag;Upper left corner X\n", "LISA's table"),
        ("train.csv", 'image_id,width,height,bbox,source\na,1,1,"[1, 2, 3, 4]",x\n', "its boxes in one column"),
        (
            "labels.csv",
            "xmin,xmax,ymin,ymax,Frame,Label\n1,2,3,4,a.jpg,Car\n",
            "begins with 'xmin,xmax,ymin,ymax",
        ),
        ("labels.csv", 'a.jpg 10 20 50 60 0 "car"\n', "a table without its first row of names"),
        ("annotations_train.csv", "a.jpg,10,20,50,60,object,100,80\n", "a table without its first row of names"),
        ("digitStruct.mat", "MATLAB 7.3", "a MATLAB file"),
        ("train.parquet", "PAR1", "a Parquet or Arrow file"),
        ("annotations.pkl", "x", "a pickle, which could run code"),
        ("photos.zip", "PK", "an archive, which is not read here. Give the archive itself"),
    ],
)
def test_what_is_not_read_is_named(name: str, text: str, told: str, tmp_path: Path) -> None:
    """Known data sets and tables of other columns are refused by their name, as a folder and as a file."""
    path = tmp_path / "set" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (tmp_path / "set" / "a.jpg").write_bytes(jpeg(40, 30))
    with pytest.raises(DatasetError) as caught:
        formats.read(tmp_path / "set")
    (problem,) = caught.value.problems
    assert f"{name} looks like " in problem.what
    assert told in str(problem)
    assert others.what_it_is(Listing(path))


def test_what_nobody_knows_is_not_named(tmp_path: Path) -> None:
    """A file of no known kind gets no name, and one that cannot be opened is no error here."""
    (tmp_path / "notes.md").write_text("photos of cats")
    (tmp_path / "a.txt").write_bytes(b"")
    assert others.what_it_is(Listing(tmp_path)) is None
    assert others.what_it_is(Listing(tmp_path / "gone")) is None
