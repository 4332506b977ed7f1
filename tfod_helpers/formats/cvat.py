"""CVAT's own XML, version 1.1, "for images" and "for video": one ``annotations.xml`` for all photos.

For images, ``<image name width height>`` holds the shapes drawn on it. For video, ``<track label>`` holds
one shape a frame, and frames have numbers only; exported with its images, frame 12 is ``frame_000012.PNG``. Of a task
of images these numbers do not give the images' names, and its export for video is refused.
https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/

Of a rotated box, an ellipse, a polygon, a mask and a cuboid the box around it is taken. Points, polylines and skeletons
have no box, which is an error. Tags are passed over. An attribute ``difficult`` makes an object a difficult one. The
classes are those that the project declares, in its order, and ``split`` is the subset, where the project has several.
Without annotations, `read` takes the CVAT files in the folder with the photos, or in its subfolders.

`write` makes an ``annotations.xml`` for each split. To correct it in CVAT, make a task of the photos with these labels,
and choose "Upload annotations", "CVAT 1.1". The format has no place for crowds and masks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lxml import etree

from tfod_helpers.annotations import LabelledImage, LabelMap, coordinate_text, name_fault
from tfod_helpers.formats import one_file, parsing, shapes
from tfod_helpers.formats.format import Splits
from tfod_helpers.formats.raw import RawImage, RawObject, Reading, is_difficult, is_set
from tfod_helpers.photos.folder import PhotoFolder

_WITHOUT_BOX = ("tag", "points", "polyline", "skeleton")  # types of labels
_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_NUMBERS = {
    "box": _CORNERS,
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
    "cuboid": [f"{axis}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for axis in "xy"],
}
_REDRAW = "Correct it in CVAT and export again, or delete it."
_Size = tuple[str | None, str | None]
_FILE_NAME = "annotations.xml"
_DEFAULT_SUBSET = "default"  # what CVAT calls it where nobody chose one


def _is_ours(path: Path) -> bool:
    names = parsing.beginning_of_xml(path)
    return names[:1] == ["annotations"] and bool({"meta", "image", "track"} & set(names))


def _read_file(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    fix = "Give the annotations.xml of a CVAT export."
    root = parsing.load(path, ".xml", lambda data: parsing.parse_xml(data, "annotations", fix))
    reading.classes = [*dict.fromkeys((*reading.classes, *_declared(root)))]
    images, tracks = parsing.children(root, "image"), parsing.children(root, "track")
    subsets = {item.get("subset", "") for item in (*images, *tracks)}
    named = len(subsets - {"", _DEFAULT_SUBSET}) > 0
    for number, image in enumerate(images, start=1):
        yield image.get("subset", "") if named else "", _raw_image(path.name, number, image)
    if tracks and (_is_of_images(root) or not any("frame_" in name for name in photos.names)):
        what = "it is an export for video, which numbers its frames, and no photo is called frame_000000 or alike"
        if _is_of_images(root):
            what = "it is an export for video of a task of images, which numbers the images and does not name them"
        raise parsing.refused(path, what, "In CVAT, export the dataset as 'CVAT for images 1.1'.")
    for subset, raw in _frames(path.name, tracks, _sizes(root)):
        yield subset if named else "", raw


def _declared(root: etree._Element) -> list[str]:
    """Return the labels that the task, or what was exported, declares, but for those that can have no box.

    A name that no class may have, such as the background, matters only where an object has it.
    """
    found = []
    for label in root.iterfind(".//{*}meta//{*}labels/{*}label"):
        name, kind = (label.findtext("{*}" + tag, "").strip() for tag in ("name", "type"))
        if kind not in _WITHOUT_BOX and not name_fault(name):
            found.append(name)
    return found


def _raw_image(where: str, number: int, image: etree._Element) -> RawImage:
    place, filename = f"image {number}", image.get("name", "")
    size = image.get("width"), image.get("height")
    if not filename.strip():
        return RawImage(where, place, fault=("it has no name", "Export the annotations again from CVAT."))
    objects: list[RawObject] = []
    for shape in image.iterchildren("{*}*"):
        if (kind := parsing.tag(shape)) != "tag":
            at = f"{place} ({filename}), {kind} {len(objects) + 1}"
            objects.append(_to_object(at, shape, shape.get("label", ""), size))
    # In a project's export the photos of a subset are in a folder of that name.
    subset = image.get("subset")
    return RawImage(where, place, f"{subset}/{filename}" if subset else filename, size=size, objects=objects)


def _is_of_images(root: etree._Element) -> bool:
    """Whether a task of a file is one of images: only a video has a size of its own, and its frames have no names."""
    tasks = [task for task in root.iterfind(".//{*}meta//{*}mode/..") if task.find("{*}original_size") is None]
    return any(task.findtext("{*}mode", "").strip() == "annotation" for task in tasks)


def _sizes(root: etree._Element) -> dict[str, _Size]:
    """Return the size of each video by the id of its task, which is empty where there is one task only."""
    sizes = {
        task.findtext("{*}id", "").strip(): (size.findtext("{*}width"), size.findtext("{*}height"))
        for task in root.iterfind(".//{*}meta//{*}original_size/..")
        for size in task.iterfind("{*}original_size")
    }
    return sizes | ({"": next(iter(sizes.values()))} if len(sizes) == 1 else {})


def _frames(where: str, tracks: Sequence[etree._Element], sizes: dict[str, _Size]) -> Iterator[tuple[str, RawImage]]:
    """Yield each frame on which a track shows something, with its subset."""
    frames: dict[tuple[str, str, str], list[RawObject]] = defaultdict(list)
    for track in tracks:
        label, task, subset = (track.get(key, "") for key in ("label", "task_id", "subset"))
        size = sizes.get(task, (None, None))
        for shape in track.iterchildren("{*}*"):
            if not is_set(shape.get("outside")):
                frame = shape.get("frame", "")
                at = f"frame {frame}, {parsing.tag(shape)} of track {track.get('id', '')}"
                frames[task, subset, frame].append(_to_object(at, shape, label, size))
    for (task, subset, frame), objects in frames.items():
        place, size = f"frame {frame}", sizes.get(task, (None, None))
        if frame.isascii() and frame.isdecimal() and len(frame) < 10:
            name = f"frame_{int(frame):06d}"
            filename = f"{subset}/{name}.PNG" if subset else f"{name}.PNG"
            yield subset, RawImage(where, place, filename, name, size, objects)
        else:
            fault = f"{frame!r} is no number of a frame", "Export the annotations again from CVAT."
            yield subset, RawImage(where, place, fault=fault)


# --- one shape -> the box around it ---------------------------------------------------------------


def _to_object(place: str, shape: etree._Element, label: str, size: _Size) -> RawObject:
    """Return the object of a shape, with the box around it.

    Args:
        place: where it is, for the report.
        shape: such as ``<box>`` or ``<polygon>``.
        label: its class.
        size: width and height of the image; rotated and round shapes are clipped to it.
    """
    name, kind = label.strip(), parsing.tag(shape)
    difficult = is_difficult({one.get("name"): one.text for one in shape.iterfind("{*}attribute")})
    if kind == "box" and "rotation" not in shape.attrib:
        return RawObject(place, name, [shape.get(side) for side in _CORNERS], difficult=difficult)
    if kind not in (*_NUMBERS, "polygon"):
        fault = f"<{kind}> has no box", "Draw a rectangle around the object, or delete it."
        return RawObject(place, name, (), fault, difficult=difficult)
    return RawObject.around(place, name, _REDRAW, _bounds, kind, shape, size, difficult=difficult)


def _bounds(kind: str, shape: etree._Element, size: _Size) -> shapes.Bounds:
    """Return the box around a shape, or raise ValueError with what is wrong with it."""
    found = {"rotation": 0.0} | {key: _number_or_text(text) for key, text in shape.attrib.items()}
    numbers = parsing.numbers_at(found, *_NUMBERS.get(kind, ()))
    if kind == "mask":
        return shapes.sized(*numbers)
    if kind == "polygon":
        pairs = [[*map(_number_or_text, pair.split(","))] for pair in shape.get("points", "").split(";")]
        return shapes.around(parsing.points(pairs))
    turn = parsing.number_at(found, "rotation")
    if kind == "ellipse":
        bounds = shapes.ellipse(*numbers, degrees=turn)
    else:  # CVAT gives a rectangle as it was before its rotation
        bounds = shapes.rotated(shapes.around(list(zip(numbers[::2], numbers[1::2], strict=True))), turn)
    width, height = (parsing.number(_number_or_text(side)) for side in size)
    return shapes.clipped(bounds, (width, height))


def _number_or_text(text: str | None) -> float | str | None:
    """Return the number that a text is, else the text."""
    try:
        number = float(text or "")
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in (text or "") else text


# --- writing ----------------------------------------------------------------------------------------


def _write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    for split, images in splits.items():
        (folder / split / _FILE_NAME).write_bytes(_to_xml(images, label_map, f"{name} {split}".strip()))


def _to_xml(images: Sequence[LabelledImage], label_map: LabelMap, name: str) -> bytes:
    root = etree.Element("annotations")
    etree.SubElement(root, "version").text = "1.1"
    task = etree.SubElement(etree.SubElement(root, "meta"), "task")
    for tag, text in {"name": name, "size": str(len(images)), "mode": "annotation"}.items():
        etree.SubElement(task, tag).text = text
    labels = etree.SubElement(task, "labels")
    for class_name in label_map:
        etree.SubElement(etree.SubElement(labels, "label"), "name").text = class_name
    for number, image in enumerate(images):
        size = {"width": str(image.width), "height": str(image.height)}
        place = etree.SubElement(root, "image", {"id": str(number), "name": image.path.name} | size)
        source = "manual" if image.scores is None else "auto"
        for label, box_xyxy, difficult in zip(image.labels.tolist(), image.boxes_xyxy, image.difficult, strict=True):
            about = {"label": label_map.name(label), "source": source, "occluded": "0", "z_order": "0"}
            box = etree.SubElement(
                place, "box", about | dict(zip(_CORNERS, map(coordinate_text, box_xyxy), strict=True))
            )
            if difficult:
                etree.SubElement(box, "attribute", name="difficult").text = "true"
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


FORMAT = one_file.one_file_format(
    *("CVAT XML", ".xml", _is_ours, _read_file),
    write_annotations=_write,
    by_stem=False,
    marks=frozenset({"difficult"}),
)
read, write = FORMAT.read, FORMAT.write
