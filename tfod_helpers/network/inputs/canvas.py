"""One record -> a canvas: the photo, decoded and scaled once, with its boxes, classes and masks."""

from __future__ import annotations

import tensorflow as tf

from tfod_helpers.presets import resizing

SCALE = 1.25  # canvas side over input side: room for zooming in without blur
MASK_SIDE = 56  # pixels of a mask, which is kept as what lies within its box; twice what the mask head learns

Canvas = dict[str, tf.Tensor]


def side_of(image_size: int) -> int:
    """Return the side of the canvas, in pixels, for a model's input of ``image_size``."""
    return round(image_size * SCALE)


def read_canvas(record: tf.Tensor, side: int, max_boxes: int, with_masks: bool, resize: str) -> Canvas:
    """Decode one record onto a square canvas.

    Args:
        record: a serialized example, as `records.write` makes them.
        side: of the canvas, in pixels.
        max_boxes: to which boxes, classes and masks are padded with zeros.
        with_masks: read the masks too.
        resize: one of `presets.resizing.RESIZES`: whether the photo keeps its shape or fills the canvas.

    Returns:
        ``image`` (uint8, (side, side, 3)); ``content``, the photo's (height, width) in fractions of the canvas;
        ``boxes_yxyx`` in such fractions, ``labels`` (0 for padding and crowds); ``source``, the image's number among
        the records; with masks ``masks``, uint8 of 0 and 255, (max_boxes, MASK_SIDE, MASK_SIDE), each within its box.
    """
    example = _parse(record, with_masks)
    # The accurate one gives Pillow's pixels, which prediction sees; the default is darker by a level in red and blue.
    image = tf.io.decode_jpeg(example["image/encoded"], channels=3, dct_method="INTEGER_ACCURATE")
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    stretched = resizing.check(resize) != resizing.LETTERBOX
    content = tf.maximum(tf.round(size * side / (size if stretched else tf.reduce_max(size))), 1.0)
    # antialias: without it, shrinking a 500-pixel photo to 192 drops two pixels of three; one way to resize wants that.
    image = tf.image.resize(image, tf.cast(content, tf.int32), antialias=resize != resizing.STRETCH_BILINEAR)
    image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), tf.uint8)
    image = tf.image.pad_to_bounding_box(image, 0, 0, side, side)
    edges = [tf.sparse.to_dense(example[f"image/object/bbox/{edge}"]) for edge in ("ymin", "xmin", "ymax", "xmax")]
    photo_yxyx = tf.stack(edges, axis=-1)
    # Class 0 is left out in training: a box around a crowd is no example of one object.
    labels = tf.sparse.to_dense(example["image/object/class/label"])
    labels *= 1 - tf.sparse.to_dense(example["image/object/is_crowd"])
    room = [[0, max_boxes - tf.shape(labels)[0]]]
    canvas = {
        "image": tf.ensure_shape(image, [side, side, 3]),
        "content": content / side,
        "boxes_yxyx": tf.ensure_shape(
            tf.pad(photo_yxyx * tf.tile(content, [2]) / side, [*room, [0, 0]]), [max_boxes, 4]
        ),
        "labels": tf.ensure_shape(tf.pad(labels, room), [max_boxes]),
        "source": tf.strings.to_number(example["image/source_id"], tf.int64),
    }
    if with_masks:
        masks = _masks(tf.sparse.to_dense(example["image/object/mask"]), photo_yxyx)
        canvas["masks"] = tf.ensure_shape(tf.pad(masks, [*room, [0, 0], [0, 0]]), [max_boxes, MASK_SIDE, MASK_SIDE])
    return canvas


def _parse(record: tf.Tensor, with_masks: bool) -> dict[str, tf.Tensor | tf.SparseTensor]:
    floats, ints = tf.io.VarLenFeature(tf.float32), tf.io.VarLenFeature(tf.int64)
    wanted = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/source_id": tf.io.FixedLenFeature([], tf.string),
        "image/object/class/label": ints,
        "image/object/is_crowd": ints,
        **{f"image/object/bbox/{edge}": floats for edge in ("ymin", "xmin", "ymax", "xmax")},
    }
    if with_masks:
        wanted["image/object/mask"] = tf.io.VarLenFeature(tf.string)
    return tf.io.parse_single_example(record, wanted)


def _masks(pngs: tf.Tensor, photo_yxyx: tf.Tensor) -> tf.Tensor:
    """Return each mask within its box; an object without one counts as filling its box."""
    if_none = tf.fill([tf.shape(photo_yxyx)[0], MASK_SIDE, MASK_SIDE], tf.constant(255, tf.uint8))

    def within(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        png, box_yxyx = pair
        mask = tf.io.decode_png(png, channels=1)
        size = [MASK_SIDE, MASK_SIDE]
        cropped = tf.image.crop_and_resize(tf.cast(mask, tf.float32)[None], box_yxyx[None], [0], size)[0, :, :, 0]
        return tf.cast(cropped >= 0.5, tf.uint8) * 255

    return tf.cond(
        tf.size(pngs) > 0,
        lambda: tf.map_fn(within, (pngs, photo_yxyx), fn_output_signature=tf.TensorSpec([MASK_SIDE] * 2, tf.uint8)),
        lambda: if_none,
    )
