"""Whatever happens to the structure of annotations, a reader says it, and no box is another one than it was.

One part of a valid data set is changed in a way that nothing else could be meant by (mutations.py), in every format.
Reading it may find fewer photos or objects, and says so, in lines that a person reads; it may not find others, nor turn
a photo whose labels it lost into background, nor raise anything but a DatasetError. ``TFOD_FUZZ=100000`` changes that
many times instead of a few.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import layouts
import mutations
import numpy as np
import pytest

from tfod_helpers import formats
from tfod_helpers.annotations import Dataset
from tfod_helpers.problems import DatasetError, Problem
from tfod_helpers.records.tfrecord import examples, frames

CHANGES = int(os.environ.get("TFOD_FUZZ", "400"))  # of all formats together
PETS = {"Abyssinian_1": "a", "boxer_2": "b", "Abyssinian_3": "c", "boxer_4": "d"}
NEVER, REMOVED = "(?!)", "^(drop|empty) .* "
Files = dict[str, str | bytes]
Meaning = dict[str, set[tuple[str, tuple[float, ...]]]]


class Case(NamedTuple):
    """A valid data set.

    Attributes:
        format: its name.
        files: by their paths.
        background: the changes without which a photo has no objects, as a pattern: what is done, to which file, where.
        classes: those after which a class is called otherwise.
        lists: those after which other photos are meant.
    """

    format: str
    files: Files
    background: str
    classes: str = NEVER
    lists: str = NEVER


def pets() -> Files:
    """Oxford-IIIT Pets in its own layout."""
    files: Files = {
        "annotations/trainval.txt": "",
        "annotations/test.txt": "boxer_4 2 2 1\n",
        "annotations/list.txt": "",
    }
    for stem, drawn in PETS.items():
        files[f"images/{stem}.jpg"] = layouts.JPEG
        files[f"annotations/xmls/{stem}.xml"] = layouts.xml(drawn).replace(f"{drawn}.jpg", f"{stem}.jpg")
        files["annotations/trainval.txt"] = f"{files['annotations/trainval.txt']}{stem} 1 1 1\n" * (drawn != "d")
    files["annotations/trainval.txt"] = "".join(f"{stem} 1 1 1\n" for stem in list(PETS)[:3])
    files["annotations/list.txt"] = "#Image CLASS-ID SPECIES BREED ID\n" + "".join(f"{stem} 1 1 1\n" for stem in PETS)
    return files


def record() -> bytes:
    """A record file as the old tutorials' script writes it."""
    data = b""
    for stem, (name, *box) in layouts.BOXES.items():
        sides = {"xmin": box[0] / 40, "ymin": box[1] / 30, "xmax": box[2] / 40, "ymax": box[3] / 30}
        values = {f"image/object/bbox/{key}": np.array([value], np.float32) for key, value in sides.items()}
        values |= {"image/height": np.array([30]), "image/width": np.array([40]), "image/encoded": [layouts.JPEG]}
        values |= {f"image/{key}": [f"{stem}.jpg".encode()] for key in ("filename", "source_id")}
        values["image/object/class/text"] = [name.encode()]
        values["image/object/class/label"] = np.array([1 + layouts.CLASSES.index(name)])
        data += frames.frame(examples.serialize(values))
    return data


def via_csv() -> str:
    """A table as VIA 2 writes it."""
    rows = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"]
    for entry in layouts.via().values():
        (region,) = entry["regions"]
        cells = [json.dumps(region[key]).replace('"', '""') for key in ("shape_attributes", "region_attributes")]
        rows.append(f'{entry["filename"]},9,"{{}}",1,0,"{cells[0]}","{cells[1]}"')
    return "\n".join(rows) + "\n"


def via_3() -> str:
    """A project of VIA 3."""
    views, files, metadata = dict[str, Any](), dict[str, Any](), dict[str, Any]()
    for number, (stem, (name, x0, y0, x1, y1)) in enumerate(layouts.BOXES.items(), start=1):
        views[str(number)] = {"fid_list": [str(number)]}
        files[str(number)] = {"fid": str(number), "fname": f"{stem}.jpg", "type": 2, "loc": 1, "src": ""}
        box = [2, x0, y0, x1 - x0, y1 - y0]
        metadata[f"{number}_x"] = {"vid": str(number), "flg": 0, "z": [], "xy": box, "av": {"1": name}}
    data = {"project": {"vid_list": list(views)}, "attribute": {"1": {"aname": "animal", "options": {}}}}
    return json.dumps(data | {"file": files, "metadata": metadata, "view": views})


def subsets() -> str:
    """A project of CVAT with two subsets."""
    text = layouts.cvat()
    for stem, split in zip("abcd", ("Train", "Train", "Test", "Test"), strict=True):
        text = text.replace(f'name="{stem}.jpg"', f'name="{stem}.jpg" subset="{split}" task_id="1"')
    return text.replace("<task>", "<project>").replace("</task>", "</project>")


def video() -> str:
    """A file as CVAT exports a video ("CVAT for video 1.1")."""
    sides = ("xtl", "ytl", "xbr", "ybr")
    tracks = ""
    for number, (name, *box) in enumerate(layouts.BOXES.values()):
        corners = " ".join(f'{side}="{value}.00"' for side, value in zip(sides, box, strict=True))
        shape = f'<box frame="{number}" keyframe="1" outside="0" occluded="0" {corners} z_order="0"></box>'
        tracks += f'<track id="{number}" label="{name}" source="manual">{shape}</track>'
    size = "<original_size><width>40</width><height>30</height></original_size>"
    start = layouts.cvat().partition("<image")[0].replace("</task>", f"{size}</task>")
    return f"{start}{tracks}</annotations>"


def minimal() -> str:
    """An export as Label Studio writes it ("JSON-MIN")."""
    entries = []
    for number, task in enumerate(json.loads(layouts.label_studio())):
        (result,) = task["annotations"][0]["result"]
        box = result["value"] | {key: result[key] for key in ("original_width", "original_height")}
        entries.append({"id": number, "image": task["data"]["image"], "label": [box], "annotator": 1})
    return json.dumps(entries)


PHOTOS = layouts.photos("")
XML_OBJECT, YOLO_ROW = (
    REMOVED + "/annotation/object$",
    REMOVED + r"line|\.(txt|jpg|bak) file",
)  # YOLO needs no label file
OTHERS = layouts.OTHERS
CASES = {
    "oxford_pets": Case("oxford_pets", pets(), XML_OBJECT, "/list.txt|test.txt|trainval.txt", "(trainval|test).txt"),
    "voc": Case("voc", layouts.VOC["labelImg, beside the photos"].files, XML_OBJECT),
    "voc, lists": Case("voc", layouts.VOC["VOC2012"].files, XML_OBJECT, lists="ImageSets"),
    "coco": Case("coco", OTHERS["COCO, beside"].files, REMOVED + r"/annotations(/\d)?$", "/categories"),
    "coco, splits": Case("coco", OTHERS["COCO, Roboflow"].files, REMOVED + r"/annotations(/\d)?$", "/categories"),
    "yolo": Case("yolo", OTHERS["YOLO, Ultralytics"].files, YOLO_ROW, "data.yaml (/names|file)|txt line"),
    "yolo, darknet": Case("yolo", OTHERS["YOLO, darknet"].files, YOLO_ROW, "txt line|names (line|file)|classes.txt"),
    "yolo, labelImg": Case("yolo", OTHERS["YOLO, labelImg"].files, YOLO_ROW, "txt line|names (line|file)|classes.txt"),
    "tfod_csv": Case("tfod_csv", layouts.TABLES["one table"].files, NEVER),
    "tfod_csv, splits": Case("tfod_csv", layouts.TABLES["old tutorials"].files, NEVER),
    "cvat": Case("cvat", OTHERS["CVAT XML"].files, REMOVED + r"\S*/image(\[\d\])?(/box)?$"),
    "cvat, video": Case(
        "cvat", {f"frame_00000{number}.png": layouts.JPEG for number in range(4)} | {"x.xml": video()}, NEVER
    ),
    "cvat, subsets": Case(
        "cvat",
        layouts.photos("images/Train/", "ab") | layouts.photos("images/Test/", "cd") | {"annotations.xml": subsets()},
        REMOVED + r"\S*/image(\[\d\])?(/box)?$",
    ),
    "labelme, splits": Case(
        "labelme",
        layouts.photos("images/train/", "abc")
        | layouts.photos("images/val/", "d")
        | {f"labels/{'val' if stem == 'd' else 'train'}/{stem}.json": layouts.labelme(stem) for stem in "abcd"},
        REMOVED + "/shapes(/0)?$",
    ),
    "labelme": Case("labelme", OTHERS["LabelMe"].files, REMOVED + "/shapes(/0)?$"),
    "label_studio": Case("label_studio", OTHERS["Label Studio"].files, REMOVED + r"\S*/annotations/0/result(/\d)?$"),
    "label_studio, minimal": Case("label_studio", PHOTOS | {"x.json": minimal()}, REMOVED + r"\S*/label(/\d)?$"),
    "via": Case("via", OTHERS["VIA"].files, REMOVED + r"\S*/regions(/\d)?$"),
    "via, csv": Case("via", PHOTOS | {"x.csv": via_csv()}, NEVER),
    "via, 3": Case("via", PHOTOS | {"x.json": via_3()}, REMOVED + r"\S*/(metadata|xy)(/\w+|)$|/view/"),
    "createml": Case("createml", OTHERS["CreateML"].files, REMOVED + r"\S*/annotations(/\d)?$"),
    "tfrecord": Case("tfrecord", {"x.record": record()}, NEVER),
}


def meaning(dataset: Dataset) -> Meaning:
    """The objects of each photo, which is known by its name without ending.

    A record that is there twice makes a second photo, whose name ends in a number.
    """
    names = list(dataset.label_map)
    return {
        re.sub(r"-\d{6}$", "", image.path.stem): {
            (names[label - 1], tuple(box)) for label, box in zip(image.labels, image.boxes_xyxy.tolist(), strict=True)
        }
        for image in dataset
    }


def wordless(problems: Sequence[Problem]) -> str:
    """Which of the problems says nothing, or more than a person reads."""
    bad = [one for one in problems if not (one.what and one.fix and one.where) or len(str(one)) > 1200]
    return f"a problem without words, or with too many: {str(bad[0])[:200]}" if bad else ""


def read(folder: Path, format: str | None, on_problem: Any) -> Dataset | str:
    """The data set; empty where it was refused in words, and else what is wrong with the refusal."""
    try:
        return formats.read(folder, format=format, on_problem=on_problem)
    except DatasetError as error:
        return wordless(error.problems)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def fault(case: Case, dataset: Dataset | str, change: mutations.Change, whole: Meaning, on_problem: str) -> str:
    """What is wrong with what was read of a changed data set; empty where nothing is."""
    if isinstance(dataset, str):
        return dataset
    if told := wordless(dataset.problems):
        return told
    worth_a_word = [one for one in dataset.problems if one.severity != "note"]
    if on_problem == "raise" and any(one.severity == "error" for one in worth_a_word):
        return "an error was not raised"
    found, place = meaning(dataset), f"{change.kind} {next(iter(change.files))} {change.where}"
    anywhere = set[tuple[str, tuple[float, ...]]]().union(*whole.values())
    for stem, objects in found.items():
        if not objects and not re.search(case.background, place):
            return f"{stem} became background"
        known = whole.get(stem, anywhere)  # a photo may be called otherwise now
        if change.kind == "long":  # and perhaps a class is
            objects, known = ({("", box) for _, box in some} for some in (objects, known))
        if objects - known and not re.search(case.classes, place):
            return f"{stem} has {objects}"
    told = " ".join(f"{one} {one.photo}" for one in dataset.problems)
    for stem in {name.rpartition("/")[2].removesuffix(".jpg") for name in case.files if name.endswith(".jpg")}:
        if stem not in found and stem not in told and not worth_a_word and not re.search(case.lists, place):
            return f"{stem} is lost without a word"
    return ""


def run(case: Case, folder: Path, count: int, seed: int) -> list[str]:
    """Change a data set that often, and return what went wrong, each with its change."""
    layouts.write(folder, case.files)
    whole = meaning(formats.read(folder, format=case.format))
    assert all(whole.values())
    faults = []
    for number in range(count):
        change = mutations.change(case.files, Random(f"{seed}/{number}"))
        put(folder, change.files)
        for on_problem in ("raise", "skip"):
            dataset = read(folder, case.format if number % 4 else None, on_problem)
            if told := fault(case, dataset, change, whole, on_problem):
                at = f"{seed}/{number} {next(iter(change.files))} {change.kind} {change.where}"
                faults.append(f"{at}, {on_problem}: {told}")
        put(folder, {name: case.files.get(name) for name in change.files})
    return faults


def put(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write files, or take them away."""
    layouts.write(folder, {name: content for name, content in files.items() if content is not None})
    for name in (name for name, content in files.items() if content is None):
        (folder / name).unlink()


@pytest.mark.parametrize("name", CASES)
def test_nothing_else_is_read(name: str, tmp_path: Path) -> None:
    """A changed data set is read as what it was, or as less, or is refused; and what is missing is said."""
    assert run(CASES[name], tmp_path, CHANGES // len(CASES), 0) == []
