"""A dataset -> Pascal VOC XML, a file a photo."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from tfod_helpers.annotations import LabelledImage, LabelMap, coordinate_text
from tfod_helpers.formats.checking import COORDINATES
from tfod_helpers.formats.format import Splits


def write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    """Write an XML file for each photo, as `Format.write_annotations` does."""
    for split, images in splits.items():
        for image in images:
            xml = to_xml(image, label_map, split or name)
            (folder / split / f"{image.path.stem}.xml").write_bytes(xml)


def to_xml(image: LabelledImage, label_map: LabelMap, folder: str) -> bytes:
    """Return the annotation of one photo; ``folder`` is the name of the one that it lies in."""
    root = etree.Element("annotation")
    _add(root, {"folder": folder, "filename": image.path.name})
    _add(etree.SubElement(root, "size"), {"width": str(image.width), "height": str(image.height), "depth": "3"})
    _add(root, {"segmented": "0"})
    for label, box_xyxy, difficult in zip(image.labels.tolist(), image.boxes_xyxy, image.difficult, strict=True):
        item = etree.SubElement(root, "object")
        # Other programs stop where pose, truncated or difficult is not there.
        texts = {"name": label_map.name(label), "pose": "Unspecified", "truncated": "0"}
        _add(item, texts | {"difficult": str(int(difficult))})
        _add(
            etree.SubElement(item, "bndbox"),
            dict(zip(COORDINATES, map(coordinate_text, box_xyxy), strict=True)),
        )
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _add(parent: etree._Element, texts: dict[str, str]) -> None:
    for tag, text in texts.items():
        etree.SubElement(parent, tag).text = text
