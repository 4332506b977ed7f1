"""CVAT's own XML, version 1.1, "for images" and "for video": one ``annotations.xml`` for all photos.

For images, ``<image name width height>`` holds the shapes drawn on it. For video, ``<track label>`` holds
one shape a frame, and frames have numbers only; exported with its images, frame 12 is ``frame_000012.PNG``.
https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/

Of a turned box, an ellipse, a polygon, a mask and a cuboid the box around it is taken. Points, polylines and skeletons
have no box, which is an error. Tags are passed over. The classes are those that the project declares, in its order, and
``split`` is the subset, where the project has several. Without annotations, `read` takes the CVAT files in the folder
with the photos, or in its subfolders.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lxml import etree

from tfod_helpers.annotations import name_fault
from tfod_helpers.formats import cvat_shapes, json_file, one_file, xml_file
from tfod_helpers.formats.format import Format
from tfod_helpers.formats.raw import RawImage, RawObject, Reading
from tfod_helpers.photos.folder import PhotoFolder

_WITHOUT_BOX = ("tag", "points", "polyline", "skeleton")  # types of labels
_DEFAULT_SUBSET = "default"  # what CVAT calls it where nobody chose one


def _is_ours(path: Path) -> bool:
    names = xml_file.beginning(path)
    return names[:1] == ["annotations"] and bool({"meta", "image", "track"} & set(names))


def _read_file(path: Path, photos: PhotoFolder, reading: Reading) -> Iterator[tuple[str, RawImage]]:
    root = _load(path)
    reading.classes = [*dict.fromkeys((*reading.classes, *_declared(root)))]
    images, tracks = xml_file.children(root, "image"), xml_file.children(root, "track")
    subsets = {item.get("subset", "") for item in (*images, *tracks)}
    named = len(subsets - {"", _DEFAULT_SUBSET}) > 0
    for number, image in enumerate(images, start=1):
        yield image.get("subset", "") if named else "", _raw_image(path.name, number, image)
    if tracks and not any("frame_" in name for name in photos.names):
        what = "it is an export for video, which numbers its frames, and no photo is called frame_000000 or alike"
        raise json_file.refused(path, what, "In CVAT, export the dataset as 'CVAT for images 1.1'.")
    for subset, raw in _frames(path.name, root, tracks):
        yield subset if named else "", raw


def _load(path: Path) -> etree._Element:
    if path.is_dir():
        files = ", ".join(sorted(child.name for child in path.glob("*.xml"))[:5]) or "none"
        raise IsADirectoryError(f"{path}: this is a folder. Give one XML file; those in it: {files}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such annotation file. Check the path.")
    try:
        root = xml_file.parse(path.read_bytes())
    except OSError as error:
        what, fix = f"it cannot be opened ({error.strerror})", "Check the file and its permissions."
        raise json_file.refused(path, what, fix) from error
    except xml_file.UnusableError as error:
        raise json_file.refused(path, *error.args) from None
    if (name := xml_file.name(root)) != "annotations":
        fix = "Give the annotations.xml of a CVAT export."
        raise json_file.refused(path, f"its root is <{name}>, not <annotations>", fix)
    return root


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
    for shape in image:
        if isinstance(shape.tag, str) and (kind := xml_file.name(shape)) != "tag":
            at = f"{place} ({filename}), {kind} {len(objects) + 1}"
            objects.append(cvat_shapes.to_object(at, shape, shape.get("label", ""), size))
    # In a project's export the photos of a subset are in a folder of that name.
    subset = image.get("subset")
    return RawImage(where, place, f"{subset}/{filename}" if subset else filename, size=size, objects=objects)


def _frames(where: str, root: etree._Element, tracks: Sequence[etree._Element]) -> Iterator[tuple[str, RawImage]]:
    """Yield each frame on which a track shows something, with its subset."""
    size_of = root.find(".//{*}original_size")
    size = (None, None) if size_of is None else (xml_file.text(size_of, "width"), xml_file.text(size_of, "height"))
    frames: dict[tuple[str, str, str], list[RawObject]] = defaultdict(list)
    for track in tracks:
        label, task, subset = (track.get(key, "") for key in ("label", "task_id", "subset"))
        for shape in track:
            if not isinstance(shape.tag, str) or shape.get("outside") == "1":
                continue
            frame = shape.get("frame", "")
            at = f"frame {frame}, {xml_file.name(shape)} of track {track.get('id', '')}"
            frames[task, subset, frame].append(cvat_shapes.to_object(at, shape, label, size))
    for (_, subset, frame), objects in frames.items():
        place = f"frame {frame}"
        if frame.isascii() and frame.isdecimal() and len(frame) < 10:
            name = f"frame_{int(frame):06d}"
            filename = f"{subset}/{name}.PNG" if subset else f"{name}.PNG"
            yield subset, RawImage(where, place, filename, name, size, objects)
        else:
            fault = f"{frame!r} is no number of a frame", "Export the annotations again from CVAT."
            yield subset, RawImage(where, place, fault=fault)


FORMAT = Format(
    title="CVAT XML",
    find=functools.partial(one_file.find, ".xml", _is_ours),
    sources=functools.partial(one_file.sources, _read_file),
)
read = FORMAT.read
