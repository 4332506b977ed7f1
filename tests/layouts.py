"""One small data set in every layout that labelling tools and collections of data give it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from drawn import jpeg

WIDTH, HEIGHT = 40, 30
BOXES = {  # each photo's one object: class, xmin, ymin, xmax, ymax in pixels
    "a": ("cat", 10, 9, 30, 21),
    "b": ("dog", 4, 3, 20, 15),
    "c": ("cat", 20, 6, 36, 24),
    "d": ("dog", 8, 6, 16, 30),
}
CLASSES = ["cat", "dog"]
JPEG = jpeg(WIDTH, HEIGHT)


class Layout(NamedTuple):
    """A data set's files by their paths, its format, and the split of each photo."""

    format: str
    files: dict[str, str | bytes]
    splits: dict[str, str] = dict.fromkeys("abcd", "")


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def photos(folder: str, stems: Iterable[str] = "abcd") -> dict[str, str | bytes]:
    """The photos in a folder."""
    return {f"{folder}{stem}.jpg": JPEG for stem in stems}


def xml(stem: str) -> str:
    """An annotation as labelImg 1.8 writes it."""
    name, *box = BOXES[stem]
    corners = "".join(
        f"<{field}>{value}</{field}>" for field, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return (
        f"<annotation><folder>photos</folder><filename>{stem}.jpg</filename><path>C:\\photos\\{stem}.jpg</path>"
        f"<source><database>Unknown</database></source><size><width>40</width><height>30</height><depth>3</depth>"
        f"</size><segmented>0</segmented><object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox>{corners}</bndbox></object></annotation>"
    )


def xmls(folder: str, stems: Iterable[str] = "abcd") -> dict[str, str | bytes]:
    """The annotations in a folder."""
    return {f"{folder}{stem}.xml": xml(stem) for stem in stems}


def table(stems: Iterable[str]) -> str:
    """The table as the old tutorials' xml_to_csv.py and Roboflow write it."""
    rows = [f"{stem}.jpg,40,30,{','.join(map(str, BOXES[stem]))}\n" for stem in stems]
    return "filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(rows)


def coco(stems: Iterable[str], start: str = "") -> str:
    """A file as COCO and CVAT write it."""
    stems = list(stems)
    images = [{"id": i, "file_name": f"{start}{s}.jpg", "width": 40, "height": 30} for i, s in enumerate(stems, 1)]
    annotations = [
        {"id": number, "image_id": number, "category_id": 1 + CLASSES.index(name), "iscrowd": 0, "segmentation": []}
        | {"bbox": [xmin, ymin, xmax - xmin, ymax - ymin], "area": (xmax - xmin) * (ymax - ymin)}
        for number, (name, xmin, ymin, xmax, ymax) in enumerate((BOXES[stem] for stem in stems), start=1)
    ]
    categories = [{"id": id, "name": name, "supercategory": ""} for id, name in enumerate(CLASSES, start=1)]
    return json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": categories})


def rows(stem: str) -> str:
    """A label file as YOLO has it."""
    name, xmin, ymin, xmax, ymax = BOXES[stem]
    numbers = (xmin + xmax) / 80, (ymin + ymax) / 60, (xmax - xmin) / 40, (ymax - ymin) / 30
    return f"{CLASSES.index(name)} {' '.join(map(str, numbers))}\n"


def texts(folder: str, stems: Iterable[str] = "abcd") -> dict[str, str | bytes]:
    """The label files in a folder."""
    return {f"{folder}{stem}.txt": rows(stem) for stem in stems}


def cvat() -> str:
    """A file as CVAT 2 exports it ("CVAT for images 1.1")."""
    labels = "".join(f"<label><name>{name}</name><type>any</type><attributes/></label>" for name in CLASSES)
    images = "".join(
        f'<image id="{number}" name="{stem}.jpg" width="40" height="30"><box label="{name}" source="manual" '
        f'occluded="0" xtl="{x0}.00" ytl="{y0}.00" xbr="{x1}.00" ybr="{y1}.00" z_order="0"></box></image>'
        for number, (stem, (name, x0, y0, x1, y1)) in enumerate(BOXES.items())
    )
    meta = f"<meta><task><name>pets</name><subset>default</subset><labels>{labels}</labels></task></meta>"
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{meta}{images}</annotations>'


def labelme(stem: str, image_path: str = "{}.jpg") -> str:
    """A file as LabelMe 5.5 writes it."""
    name, xmin, ymin, xmax, ymax = BOXES[stem]
    shape = {"label": name, "points": [[xmin, ymin], [xmax, ymax]], "group_id": None, "shape_type": "rectangle"}
    data = {"version": "5.5.0", "flags": {}, "shapes": [shape | {"flags": {}}], "imagePath": image_path.format(stem)}
    return json.dumps(data | {"imageData": None, "imageHeight": 30, "imageWidth": 40})


def label_studio() -> str:
    """An export as Label Studio 1.13 writes it ("JSON")."""
    tasks = []
    for number, (stem, (name, xmin, ymin, xmax, ymax)) in enumerate(BOXES.items(), start=1):
        box = {"x": xmin / 0.4, "y": ymin / 0.3, "width": (xmax - xmin) / 0.4, "height": (ymax - ymin) / 0.3}
        result = {"original_width": 40, "original_height": 30, "image_rotation": 0, "type": "rectanglelabels"}
        result |= {"id": "x", "from_name": "label", "to_name": "image"}
        result |= {"value": box | {"rotation": 0, "rectanglelabels": [name]}}
        annotation = {"id": number, "result": [result], "was_cancelled": False}
        task = {"id": number, "annotations": [annotation], "file_upload": f"1a2b3c4d-{stem}.jpg", "drafts": []}
        tasks.append(task | {"predictions": [], "data": {"image": f"/data/upload/1/1a2b3c4d-{stem}.jpg"}})
    return json.dumps(tasks)


def via() -> dict[str, Any]:
    """The images of an export as VIA 2.0.12 writes it."""
    images = {}
    for stem, (name, xmin, ymin, xmax, ymax) in BOXES.items():
        shape = {"name": "rect", "x": xmin, "y": ymin, "width": xmax - xmin, "height": ymax - ymin}
        region = {"shape_attributes": shape, "region_attributes": {"animal": name}}
        images[f"{stem}.jpg9"] = {"filename": f"{stem}.jpg", "size": 9, "regions": [region], "file_attributes": {}}
    return images


def createml(stems: Iterable[str]) -> str:
    """A file as Roboflow exports it ("CreateML JSON")."""
    entries = []
    for stem in stems:
        name, xmin, ymin, xmax, ymax = BOXES[stem]
        centre = {"x": (xmin + xmax) / 2, "y": (ymin + ymax) / 2, "width": xmax - xmin, "height": ymax - ymin}
        entries.append({"image": f"{stem}.jpg", "annotations": [{"label": name, "coordinates": centre}]})
    return json.dumps(entries)


def each_split(content: Any, name: str = "{split}/{file}") -> dict[str, str | bytes]:
    """What ``content`` makes of the photos of each of Roboflow's three folders."""
    return {
        name.format(split=split, file=file): text
        for split, stems in ROBOFLOW.items()
        for file, text in content(stems).items()
    }


ROBOFLOW = {"train": "ab", "valid": "c", "test": "d"}
_THREE = {stem: split for split, stems in ROBOFLOW.items() for stem in stems}
_TWO = dict.fromkeys("abc", "train") | {"d": "test"}
_TRAIN_VAL = dict.fromkeys("abc", "train") | {"d": "val"}
_LISTS = {  # as in the VOCdevkit: lists of classes beside those of the splits
    "ImageSets/Main/train.txt": "a\nb\n",
    "ImageSets/Main/val.txt": "c\n",
    "ImageSets/Main/trainval.txt": "a\nb\nc\n",
    "ImageSets/Main/test.txt": "d\n",
    "ImageSets/Main/cat_train.txt": "a  1\nb -1\n",
    "ImageSets/Main/cat_val.txt": "c  1\n",
    "ImageSets/Main/dog_trainval.txt": "a -1\nb  1\nc  0\n",
    "ImageSets/Layout/train.txt": "a 1\n",
    "ImageSets/Segmentation/train.txt": "a\n",
}
_DEVKIT = {**photos("JPEGImages/"), **xmls("Annotations/"), **_LISTS}
_DEVKIT |= {f"Segmentation{kind}/{stem}.png": JPEG for kind in ("Class", "Object") for stem in "abcd"}
_DEVKIT_SPLITS = dict.fromkeys("ab", "train") | {"c": "val", "d": "test"}


def inside(folder: str, files: dict[str, str | bytes]) -> dict[str, str | bytes]:
    """The files, one folder deeper."""
    return {f"{folder}/{name}": content for name, content in files.items()}


VOC = {
    "labelImg, beside the photos": Layout("voc", photos("") | xmls("")),
    "labelImg, in another folder": Layout("voc", photos("my photos/") | xmls("my labels/")),
    "labelImg, in a folder within": Layout("voc", photos("") | xmls("xml/")),
    "folders called the other way round": Layout("voc", photos("labels/") | xmls("data/")),
    "Kaggle": Layout("voc", photos("images/") | xmls("annotations/")),
    "Kaggle, deeper": Layout("voc", photos("images/") | xmls("annotations/xmls/")),
    "old tutorials": Layout(
        "voc",
        photos("images/train/", "abc") | xmls("images/train/", "abc") | photos("images/test/", "d")
        | xmls("images/test/", "d") | {"data/label_map.pbtxt": "item { id: 1 name: 'cat' }", "README.md": "# Mine"},
        _TWO,
    ),
    "photos and XML in split folders": Layout(
        "voc",
        photos("images/train/", "abc") | xmls("annotations/train/", "abc") | photos("images/val/", "d")
        | xmls("annotations/val/", "d"),
        _TRAIN_VAL,
    ),
    "photos in split folders": Layout(
        "voc", photos("images/train/", "abc") | photos("images/val/", "d") | xmls("annotations/"), _TRAIN_VAL
    ),
    "XML in split folders": Layout(
        "voc", photos("images/") | xmls("annotations/train/", "abc") | xmls("annotations/val/", "d"), _TRAIN_VAL
    ),
    "split folders with two in each": Layout(
        "voc",
        each_split(lambda stems: photos("images/", stems) | xmls("labels/", stems)),
        _THREE,
    ),
    "Roboflow": Layout(
        "voc",
        each_split(lambda stems: photos("", stems) | xmls("", stems)) | {"README.roboflow.txt": "Roboflow export"},
        _THREE,
    ),
    "VOC2012": Layout("voc", inside("VOC2012", _DEVKIT), _DEVKIT_SPLITS),
    "VOCdevkit": Layout("voc", inside("VOCdevkit/VOC2007", _DEVKIT), _DEVKIT_SPLITS),
    "VOCdevkit in two folders of a zip": Layout("voc", inside("x/VOCdevkit/VOC2007", _DEVKIT), _DEVKIT_SPLITS),
    "VOCdevkit of two years": Layout(
        "voc",
        inside("VOC2007", photos("JPEGImages/", "ab") | xmls("Annotations/", "ab"))
        | inside("VOC2012", photos("JPEGImages/", "cd") | xmls("Annotations/", "cd")),
    ),
    "VOCdevkit with trainval only": Layout(
        "voc",
        photos("JPEGImages/") | xmls("Annotations/")
        | {"ImageSets/Main/trainval.txt": "a 1\nb -1\r\nc\n\n", "ImageSets/Main/test.txt": "d.jpg\n"},
        dict.fromkeys("abc", "trainval") | {"d": "test"},
    ),
    "CVAT": Layout(
        "voc",
        photos("JPEGImages/") | xmls("Annotations/")
        | {"ImageSets/Main/default.txt": "a\nb\nc\nd\n", "ImageSets/Action/default.txt": "",
           "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:1,1,1::\ndog:2,2,2::\n"},
    ),
    "CVAT with folders of photos": Layout(
        "voc",
        photos("JPEGImages/monday 1/", "ab") | xmls("Annotations/monday 1/", "ab") | photos("JPEGImages/tuesday/", "cd")
        | xmls("Annotations/tuesday/", "cd")
        | {"ImageSets/Main/train.txt": '"monday 1/a"\n"monday 1/b"\ntuesday/c\n',
           "ImageSets/Main/val.txt": "tuesday/d"},
        _TRAIN_VAL,
    ),
    "VoTT": Layout(
        "voc",
        photos("JPEGImages/") | xmls("Annotations/")
        | {"ImageSets/Main/cat_train.txt": "a.jpg 1\nb.jpg -1\n", "ImageSets/Main/cat_val.txt": "c.jpg 1\nd.jpg -1\n",
           "pascal_label_map.pbtxt": "item { id: 1 name: 'cat' }"},
    ),
}  # fmt: skip
TABLES = {
    "one table": Layout("tfod_csv", photos("") | {"labels.csv": table("abcd")}),
    "one table and a folder": Layout("tfod_csv", photos("my photos/") | {"labels.csv": table("abcd")}),
    "table in a folder": Layout("tfod_csv", photos("images/") | {"annotations/labels.csv": table("abcd")}),
    "old tutorials": Layout(
        "tfod_csv",
        photos("images/train/", "abc") | photos("images/test/", "d")
        | {"train_labels.csv": table("abc"), "test_labels.csv": table("d"), "object-detection.pbtxt": ""},
        _TWO,
    ),
    "old tutorials, tables in data": Layout(
        "tfod_csv",
        photos("images/train/", "abc") | photos("images/test/", "d")
        | {"data/train_labels.csv": table("abc"), "data/test_labels.csv": table("d")},
        _TWO,
    ),
    "old tutorials, tables in images": Layout(
        "tfod_csv",
        photos("images/train/", "abc") | photos("images/test/", "d")
        | {"images/train_labels.csv": table("abc"), "images/test_labels.csv": table("d")},
        _TWO,
    ),
    "two tables of one folder": Layout(
        "tfod_csv", photos("images/") | {"train.csv": table("abc"), "test.csv": table("d")}, _TWO
    ),
    "one table of two folders": Layout(
        "tfod_csv", photos("monday/", "ab") | photos("tuesday/", "cd") | {"labels.csv": table("abcd")}
    ),
    "Roboflow": Layout(
        "tfod_csv", each_split(lambda stems: photos("", stems) | {"_annotations.csv": table(stems)}), _THREE
    ),
}  # fmt: skip
OTHERS = {
    "COCO, beside": Layout("coco", photos("") | {"labels.json": coco("abcd")}),
    "COCO, CVAT": Layout("coco", photos("images/") | {"annotations/instances_default.json": coco("abcd")}),
    "COCO, official": Layout(
        "coco",
        photos("train2017/", "abc") | photos("val2017/", "d")
        | {"annotations/instances_train2017.json": coco("abc"), "annotations/instances_val2017.json": coco("d")},
        _TRAIN_VAL,
    ),
    "COCO, Roboflow": Layout(
        "coco", each_split(lambda stems: photos("", stems) | {"_annotations.coco.json": coco(stems)}), _THREE
    ),
    "YOLO, Ultralytics": Layout(
        "yolo",
        photos("images/train/", "abc") | texts("labels/train/", "abc") | photos("images/val/", "d")
        | texts("labels/val/", "d")
        | {"data.yaml": "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"},
        _TRAIN_VAL,
    ),
    "YOLO, Roboflow": Layout(
        "yolo",
        each_split(lambda stems: photos("images/", stems) | texts("labels/", stems))
        | {"data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [cat, dog]\n"},
        _THREE,
    ),
    "YOLO, darknet": Layout(
        "yolo",
        photos("obj_train_data/") | texts("obj_train_data/")
        | {"obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n", "obj.names": "cat\ndog\n",
           "train.txt": "".join(f"data/obj_train_data/{stem}.jpg\n" for stem in "abcd")},
        dict.fromkeys("abcd", "train"),
    ),
    "YOLO, labelImg": Layout("yolo", photos("") | texts("") | {"classes.txt": "cat\ndog\n"}),
    "CVAT XML": Layout("cvat", photos("images/") | {"annotations.xml": cvat()}),
    "LabelMe": Layout("labelme", photos("") | {f"{stem}.json": labelme(stem) for stem in "abcd"}),
    "LabelMe, in another folder": Layout(
        "labelme", photos("images/") | {f"labels/{stem}.json": labelme(stem, "../images/{}.jpg") for stem in "abcd"}
    ),
    "Label Studio": Layout("label_studio", photos("images/") | {"project-1-at-2024.json": label_studio()}),
    "VIA": Layout("via", photos("") | {"via_region_data.json": json.dumps(via())}),
    "VIA, project": Layout(
        "via",
        photos("")
        | {"via_project_1.json": json.dumps({"_via_settings": {}, "_via_img_metadata": via(), "_via_attributes": {}})},
    ),
    "CreateML": Layout("createml", photos("") | {"annotations.json": createml("abcd")}),
    "CreateML, Roboflow": Layout(
        "createml",
        each_split(lambda stems: photos("", stems) | {"_annotations.createml.json": createml(stems)}),
        _THREE,
    ),
}  # fmt: skip
LAYOUTS = {f"{layout.format}: {name}": layout for group in (VOC, TABLES, OTHERS) for name, layout in group.items()}
