"""A labelled image <-> the ``tf.train.Example`` that Model Garden's ``TfExampleDecoder`` reads."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import LabelledImage, masks
from tfod_helpers.records.tfrecord import examples
from tfod_helpers.records.tfrecord.examples import Values

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SAME_AREA = 1e-4  # boxes come back from records changed in their last digits, and so do their areas


def serialize(image: LabelledImage, jpeg: bytes, source_id: int, names: Sequence[bytes]) -> bytes:
    """Return a labelled image as an example.

    Args:
        image: the image, in the frame of the JPEG.
        jpeg: what goes in for its file.
        source_id: its number, which no other image of the records has.
        names: the name of each class in UTF-8, the first one for id 1.

    Raises:
        ValueError: a mask is not one of the image's size.
    """
    fractions_xyxy = as_fractions(image.boxes_xyxy, image.width, image.height)
    values: Values = {
        "image/encoded": [jpeg],
        "image/format": [b"jpeg"],
        "image/filename": [image.path.name.encode("utf-8", "surrogateescape")],
        "image/source_id": [b"%d" % source_id],  # Model Garden turns it into a number
        "image/width": np.array([image.width]),
        "image/height": np.array([image.height]),
        "image/object/area": image.areas_or(_of_boxes(image.boxes_xyxy)).astype(np.float32),
        "image/object/class/label": image.labels,
        "image/object/class/text": [names[label - 1] for label in image.labels.tolist()],
        "image/object/is_crowd": image.crowd.astype(np.int64),
        "image/object/difficult": image.difficult.astype(np.int64),  # as the Object Detection API has it
    }
    for corner, column in zip(_CORNERS, fractions_xyxy.T, strict=True):
        values[f"image/object/bbox/{corner}"] = column
    if image.masks is not None:
        values["image/object/mask"] = [_to_png(mask, image) for mask in image.masks]
    return examples.serialize(values)


def to_labelled_image(values: Values) -> LabelledImage:
    """Return the labelled image of an example that `serialize` made; its JPEG is in ``encoded``.

    Raises:
        KeyError: a feature is missing.
        ValueError: a value does not fit.
    """
    width, height = int(values["image/width"][0]), int(values["image/height"][0])
    fractions_xyxy = np.stack([values[f"image/object/bbox/{corner}"] for corner in _CORNERS], axis=-1)
    boxes_xyxy = as_pixels(fractions_xyxy, width, height)
    of_boxes = _of_boxes(boxes_xyxy)
    areas = np.asarray(values.get("image/object/area", of_boxes), float)
    areas[np.isclose(areas, of_boxes, rtol=_SAME_AREA)] = np.nan
    pngs = values.get("image/object/mask")
    return LabelledImage(
        path=Path(values["image/filename"][0].decode("utf-8", "surrogateescape")),
        width=width,
        height=height,
        boxes_xyxy=boxes_xyxy,
        labels=np.asarray(values["image/object/class/label"]),
        encoded=values["image/encoded"][0],
        crowd=np.asarray(values["image/object/is_crowd"]),
        difficult=np.asarray(values["image/object/difficult"]),
        masks=None if pngs is None else tuple(_from_png(png, width, height) for png in pngs),
        areas=None if np.isnan(areas).all() else areas,
    )


def _of_boxes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return the area of boxes, which records hold where nothing says that of the object."""
    return np.asarray((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1))


def as_fractions(boxes_xyxy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return boxes in pixels as fractions of the image: float32, shape (n, 4), which is what records hold."""
    return boxes_xyxy / np.array([width, height, width, height], np.float32)


def as_pixels(fractions_xyxy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return boxes in fractions of the image as pixels: float32, shape (n, 4)."""
    return fractions_xyxy * np.array([width, height, width, height], np.float32)


# --- masks ----------------------------------------------------------------------------------------
# Records hold a mask as a PNG of zeros and ones: https://github.com/tensorflow/models/blob/master/official/
# vision/data/create_coco_tf_record.py writes them so, and TfExampleDecoder takes the pixels as they are.


def resize_mask(counts: bytes, size: tuple[int, int], new_size: tuple[int, int]) -> bytes:
    """Return a mask in COCO's run-length encoding for another ``(width, height)``.

    Raises:
        ValueError: it is not a mask of the size.
    """
    from PIL import Image

    pixels = masks.decode(counts, *size)
    return masks.encode(np.asarray(Image.fromarray(pixels).resize(new_size, Image.Resampling.NEAREST)))


def _to_png(counts: bytes, image: LabelledImage) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(masks.decode(counts, image.width, image.height)).save(buffer, "PNG")
    return buffer.getvalue()


def _from_png(png: bytes, width: int, height: int) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        if image.size != (width, height):
            raise ValueError(f"a mask is {image.width} x {image.height}, and the image {width} x {height}")
        return masks.encode(np.asarray(image))
