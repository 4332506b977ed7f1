"""Suggestions on disk: in any format they are suggestions again when they are read, until a person has changed them."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from drawn import assert_equal, datasets
from hypothesis import HealthCheck, given, settings
from lxml import etree
from PIL import Image

from tfod_helpers import formats
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import suggestions, tfod_csv, voc
from tfod_helpers.problems import DatasetError

WRITTEN = [name for name, one in formats.FORMATS.items() if one.write_annotations]
LABELS = LabelMap(["cat", "dog"])
QUICK = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
each_format = pytest.mark.parametrize("name", WRITTEN)


def suggested(folder: Path, splits: tuple[str, ...] = ("",)) -> Dataset:
    """Four photos: two with suggestions, one in which nothing was found, one that a person labelled."""
    folder.mkdir()
    images = []
    for number, (boxes_xyxy, labels, scores) in enumerate(
        [
            ([[1.5, 2.3, 30.1, 31], [40, 5, 80.7, 55]], [2, 1], [0.9, 0.25]),
            ([[10, 10, 50, 50.4]], [1], [0.62]),
            ([], [], []),
            ([[5, 5, 50, 40]], [2], None),
        ]
    ):
        path = folder / f"photo {number}.jpg"
        Image.new("RGB", (90, 60), (90, number, 50)).save(path)
        split = splits[number % len(splits)]
        images.append(LabelledImage(path, 90, 60, boxes_xyxy, labels, scores=scores, split=split))
    return Dataset(tuple(images), LABELS)


def scores(dataset: Dataset) -> dict[str, list[float] | None]:
    """The confidences of each photo, to two digits."""
    return {
        image.path.name: None if image.scores is None else [round(one, 2) for one in image.scores.tolist()]
        for image in dataset
    }


@each_format
@pytest.mark.parametrize("splits", [("",), ("train", "valid")])
def test_suggestions_come_back_as_such(
    name: str, splits: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the format, each photo has its confidences again, a photo without boxes too; both times it is said."""
    dataset = suggested(tmp_path / "in", splits)
    folder = formats.write(dataset, tmp_path / "out", name)
    assert "3 photos hold suggestions that nobody has confirmed: suggestions.json says which" in capsys.readouterr().out
    found = formats.read(folder, label_map=LABELS)
    assert "3 of the images with suggestions that nobody has confirmed" in capsys.readouterr().out
    assert scores(found) == scores(dataset)
    assert not [one for one in found.problems if one.kind == "image without objects"], "it is not background yet"
    for image in found:
        (same,) = (one for one in dataset if one.path.name == image.path.name)
        np.testing.assert_allclose(image.boxes_xyxy, same.boxes_xyxy, atol=1e-4)
        assert (image.labels.tolist(), image.split) == (same.labels.tolist(), same.split)


@each_format
@QUICK
@given(dataset=datasets(splits=("train", "valid")))
def test_any_suggestion_comes_back(name: str, dataset: Dataset) -> None:
    """Whatever the names, boxes and sizes, all that is written as a suggestion is read as one, in its order."""
    images = [dataclasses.replace(one, scores=np.linspace(0, 1, len(one.labels))) for one in dataset]
    with tempfile.TemporaryDirectory() as folder:
        path = formats.write(Dataset(tuple(images), dataset.label_map), Path(folder, "out"), name)
        found = formats.read(path, label_map=dataset.label_map)
    kept = sorted(found, key=lambda image: (image.split, str(image.path.name)))
    assert_equal(Dataset(tuple(kept), found.label_map), dataset)
    assert [one.scores.tolist() for one in kept] == [one.scores.tolist() for one in images]


CHANGES = {  # the file with the first photo's boxes, what it says, and what a person makes of that
    "voc": ("photo 0.xml", "<xmin>40<", "<xmin>42<"),
    "coco": ("_annotations.coco.json", '"image_id": 1,\n   "category_id": 2', '"image_id": 1,\n   "category_id": 1'),
    "yolo": ("labels/photo 0.txt", "1 0.17", "1 0.18"),
    "tfod_csv": ("_annotations.csv", "photo 0.jpg,90,60,cat,40,5,80.7,55\n", ""),
    "cvat": ("annotations.xml", 'xtl="40"', 'xtl="40.3"'),
}


def change(folder: Path, name: str) -> None:
    """Do what a person does in a tool to the first photo."""
    if name == "label_studio":  # which keeps the prediction, and adds an annotation once the person submits it
        path = folder / "tasks.json"
        tasks = json.loads(path.read_text())
        tasks[0]["annotations"] = [{"result": tasks[0]["predictions"][0]["result"]}]
        path.write_text(json.dumps(tasks))
        return
    file, old, new = CHANGES[name]
    text = (folder / file).read_text()
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new))


@each_format
def test_what_a_person_changed_is_the_persons(name: str, tmp_path: Path) -> None:
    """Of a photo that was changed nothing is a suggestion any longer; of Label Studio's, of one that was submitted."""
    dataset = suggested(tmp_path / "in")
    folder = formats.write(dataset, tmp_path / "out", name)
    change(folder, name)
    found = formats.read(folder, label_map=LABELS)
    assert scores(found) == scores(dataset) | {"photo 0.jpg": None}
    assert scores(formats.FORMATS[name].read(folder, label_map=LABELS)) == scores(found), "also by the format itself"


def test_no_file_where_nothing_is_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person's labels are written as before, without any word or file of suggestions."""
    dataset = suggested(tmp_path / "in").only_confirmed()
    formats.write(dataset, tmp_path / "out")
    assert (capsys.readouterr().out, (tmp_path / "out" / suggestions.FILE_NAME).exists()) == ("", False)


def test_file_beside_what_a_tool_exported(tmp_path: Path) -> None:
    """Copied into a tool's export, where boxes were rounded and their order is another one, the file still tells."""
    dataset = suggested(tmp_path / "in")
    text = (formats.write(dataset, tmp_path / "out") / suggestions.FILE_NAME).read_text()
    rounded = [
        dataclasses.replace(one, boxes_xyxy=one.boxes_xyxy[::-1] + np.float32(0.004), labels=one.labels[::-1])
        for one in labelled(dataset)
    ]
    voc.write(Dataset(tuple(rounded), LABELS), tmp_path / "export")
    assert voc.read(tmp_path / "export").unconfirmed == 0
    (tmp_path / "export" / suggestions.FILE_NAME).write_text(text)
    assert scores(voc.read(tmp_path / "export")) == {
        "photo 0.jpg": [0.25, 0.9], "photo 1.jpg": [0.62], "photo 2.jpg": [], "photo 3.jpg": None
    }  # fmt: skip


def labelled(dataset: Dataset) -> list[LabelledImage]:
    """The images as if a person had made them."""
    return [dataclasses.replace(one, scores=None) for one in dataset]


@pytest.mark.parametrize(
    "text",
    [
        '{"images": []}',
        '{"photos": [{"photo": "a.jpg"}]}',
        '{"photos": [{"photo": "a.jpg", "size": [9, 9], "classes": ["cat"], "boxes_xyxy": [], "scores": []}]}',
        '{"photos": [{"photo": "a.jpg", "size": [9], "classes": [], "boxes_xyxy": [], "scores": []}]}',
        '{"photos": [{"photo": "a", "size": [9, 9], "classes": ["a"], "boxes_xyxy": [[1, 2, 3, 4]], "scores": [7]}]}',
    ],
)  # fmt: skip
def test_a_file_that_was_spoilt_is_an_error(text: str, tmp_path: Path) -> None:
    """Where the file cannot be read, nothing is taken for a person's labels; the error says what to do."""
    folder = formats.write(suggested(tmp_path / "in"), tmp_path / "out")
    (folder / suggestions.FILE_NAME).write_text(text)
    expected = "suggestions.json: it does not hold suggestions as formats.write writes them. Bring back the file"
    with pytest.raises(DatasetError, match=re.escape(expected)):
        formats.read(folder)


def test_a_table_alone_has_no_place_for_suggestions(tmp_path: Path) -> None:
    """Without a folder of its own the mark would be lost, so that is refused, and nothing is written."""
    with pytest.raises(ValueError, match="a table alone cannot say which boxes are suggestions"):
        tfod_csv.write(suggested(tmp_path / "in"), tmp_path / "one.csv")
    assert not (tmp_path / "one.csv").exists()


# --- what the tools are given -----------------------------------------------------------------------


def test_label_studio_shows_suggestions_as_predictions(tmp_path: Path) -> None:
    """A suggestion is a prediction in percent with its confidence, a person's label an annotation; nothing is both."""
    folder = formats.write(suggested(tmp_path / "in"), tmp_path / "my photos", "label_studio")
    tasks = json.loads((folder / "tasks.json").read_text())
    assert [sorted(task) for task in tasks] == [["data", "predictions"]] * 3 + [["annotations", "data"]]
    assert tasks[0]["data"] == {"image": "/data/local-files/?d=my%20photos/photo%200.jpg"}
    (prediction,) = tasks[1]["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("tfod_helpers", pytest.approx(0.62))
    (region,) = prediction["result"]
    assert region["value"].pop("rectanglelabels") == ["cat"]
    assert region["value"] == pytest.approx(
        {"x": 10 / 90 * 100, "y": 10 / 60 * 100, "width": 40 / 90 * 100, "height": 40.4 / 60 * 100, "rotation": 0}
    )
    assert (region["original_width"], region["original_height"], region["type"]) == (90, 60, "rectanglelabels")
    interface = etree.fromstring((folder / "labeling_interface.xml").read_bytes())
    assert interface.find("Image").attrib == {"name": region["to_name"], "value": "$image"}
    assert interface.find("RectangleLabels").attrib == {"name": region["from_name"], "toName": region["to_name"]}
    assert [one.get("value") for one in interface.iter("Label")] == ["cat", "dog"]


def test_predictions_of_others_are_no_truth(tmp_path: Path) -> None:
    """Without the file that says what they are, predictions are passed over, as before."""
    folder = formats.write(suggested(tmp_path / "in"), tmp_path / "out", "label_studio")
    (folder / suggestions.FILE_NAME).unlink()
    found = formats.read(folder)
    assert scores(found) == {"photo 3.jpg": None}


def test_cvat_says_what_is_suggested(tmp_path: Path) -> None:
    """The XML is CVAT's for images: labels in their order, a size for each image, boxes by their corners."""
    folder = formats.write(suggested(tmp_path / "in"), tmp_path / "out", "cvat")
    root = etree.fromstring((folder / "annotations.xml").read_bytes())
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    assert [one.text for one in root.iterfind("meta/task/labels/label/name")] == ["cat", "dog"]
    first, *_, last = root.iterfind("image")
    assert first.attrib == {"id": "0", "name": "photo 0.jpg", "width": "90", "height": "60"}
    assert dict(first.find("box").attrib) == {
        "label": "dog", "source": "auto", "occluded": "0", "z_order": "0",
        "xtl": "1.5", "ytl": "2.3", "xbr": "30.1", "ybr": "31",
    }  # fmt: skip
    assert last.find("box").get("source") == "manual"
