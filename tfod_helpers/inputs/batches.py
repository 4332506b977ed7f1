"""Records + ExperimentConfig -> the batches that a model trains on.

Each image is decoded once, scaled to fit a square canvas a little larger than the model's input, and
kept in memory where the whole set fits. Every epoch then cuts another window out of the canvas, so
that scale, place, aspect, mirror and colours vary at the cost of one resize of a small image.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from official.vision.ops import anchor

if TYPE_CHECKING:
    from tfod_helpers.experiment import DetectionTaskConfig

# What official.vision feeds its models: (x / 255 - mean) / std, the ImageNet statistics.
MEAN_RGB = tf.constant([0.485, 0.456, 0.406]) * 255
STDDEV_RGB = tf.constant([0.229, 0.224, 0.225]) * 255
_CANVAS_SCALE = 1.25  # canvas side over input side: room for zooming in without blur
_CACHE_SHARE = 0.3  # of the free memory, at most, for decoded images
_LEAST_VISIBLE = 0.3  # of a box's area; a smaller rest after a cut is no longer worth learning


def normalize(image: tf.Tensor) -> tf.Tensor:
    """Scale RGB values of 0..255, shape (..., 3), to what the backbones expect."""
    return (tf.cast(image, tf.float32) - MEAN_RGB) / STDDEV_RGB


def anchor_boxes(task: DetectionTaskConfig) -> dict[str, tf.Tensor]:
    """Return the anchors of every level.

    Returns:
        level -> float32, shape (height, width, 4 * anchors per place), ``[ymin, xmin, ymax, xmax]``
        in pixels of the model's input.
    """
    model = task.model
    generate = anchor.build_anchor_generator(
        min_level=model.min_level,
        max_level=model.max_level,
        num_scales=model.anchor.num_scales,
        aspect_ratios=model.anchor.aspect_ratios,
        anchor_size=model.anchor.anchor_size,
    )
    return generate(image_size=tuple(model.input_size[:2]))


def train_batches(
    task: DetectionTaskConfig, input_context: tf.distribute.InputContext | None = None
) -> tf.data.Dataset:
    """Return endless batches of training images and targets.

    Args:
        task: names the records, the batch size, the input size and the augmentation.
        input_context: which share of the records and of the batch this host reads.

    Returns:
        Pairs of images (float32, shape (batch, height, width, 3), normalized) and the labels that
        `official.vision`'s RetinaNet losses take.

    Raises:
        FileNotFoundError: no file matches the records' pattern.
    """
    data = task.train_data
    files = sorted(glob.glob(data.input_path)) if "://" not in data.input_path else tf.io.gfile.glob(data.input_path)
    if not files:
        raise FileNotFoundError(f"{data.input_path}: no records here. Write them with records.write.")
    records = tf.data.TFRecordDataset(files, num_parallel_reads=min(len(files), 8))
    batch_size, share = data.global_batch_size, 1
    if input_context is not None:
        batch_size, share = input_context.get_per_replica_batch_size(batch_size), input_context.num_input_pipelines
        records = records.shard(share, input_context.input_pipeline_id)
    canvas = round(task.model.input_size[0] * _CANVAS_SCALE)
    images = records.map(lambda record: _read_canvas(record, canvas, data.parser.max_num_instances), tf.data.AUTOTUNE)
    if task.train_images * canvas * canvas * 3 / share < _CACHE_SHARE * _free_memory():
        images = images.cache()
    images = images.shuffle(min(task.train_images, data.shuffle_buffer_size), seed=data.seed).repeat()
    images = images.map(_Augmenter(task), tf.data.AUTOTUNE)
    return images.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _read_canvas(record: tf.Tensor, side: int, max_boxes: int) -> dict[str, tf.Tensor]:
    """Decode one record onto a square canvas; boxes in fractions of the canvas, padded with zeros."""
    floats, ints = tf.io.VarLenFeature(tf.float32), tf.io.VarLenFeature(tf.int64)
    example = tf.io.parse_single_example(
        record,
        {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/object/class/label": ints,
            "image/object/is_crowd": ints,
            **{f"image/object/bbox/{edge}": floats for edge in ("ymin", "xmin", "ymax", "xmax")},
        },
    )
    # The accurate one gives Pillow's pixels, which prediction sees; the default is darker by a level in red and blue.
    image = tf.io.decode_jpeg(example["image/encoded"], channels=3, dct_method="INTEGER_ACCURATE")
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    longest = tf.maximum(height, width)
    content = tf.maximum(tf.round(tf.stack([height, width]) * side / longest), 1.0)
    # antialias: without it, shrinking a 500-pixel photo to 192 drops two pixels of three.
    image = tf.image.resize(image, tf.cast(content, tf.int32), antialias=True)
    image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), tf.uint8)
    image = tf.image.pad_to_bounding_box(image, 0, 0, side, side)
    edges = [tf.sparse.to_dense(example[f"image/object/bbox/{edge}"]) for edge in ("ymin", "xmin", "ymax", "xmax")]
    boxes_yxyx = tf.stack(edges, axis=-1) * tf.tile(content, [2]) / side
    # Class 0 is left out in training: a box around a crowd is no example of one object.
    labels = tf.sparse.to_dense(example["image/object/class/label"])
    labels *= 1 - tf.sparse.to_dense(example["image/object/is_crowd"])
    room = [[0, max_boxes - tf.shape(labels)[0]]]
    return {
        "image": tf.ensure_shape(image, [side, side, 3]),
        "content": content / side,
        "boxes_yxyx": tf.ensure_shape(tf.pad(boxes_yxyx, [*room, [0, 0]]), [max_boxes, 4]),
        "labels": tf.ensure_shape(tf.pad(labels, room), [max_boxes]),
    }


class _Augmenter:
    """One canvas -> one training example, cut, mirrored and coloured at random."""

    def __init__(self, task: DetectionTaskConfig) -> None:
        self.parser = task.train_data.parser
        self.size = task.model.input_size[0]
        self.anchors = anchor_boxes(task)
        self.labeler = anchor.AnchorLabeler(
            match_threshold=self.parser.match_threshold,
            unmatched_threshold=self.parser.unmatched_threshold,
            box_coder_weights=task.model.detection_generator.box_coder_weights,
        )

    def __call__(self, canvas: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, Any]]:
        start, window = self._choose_window(canvas["content"])
        mirrored = tf.random.uniform([]) < (0.5 if self.parser.aug_rand_hflip else 0.0)
        image = self._cut(canvas, start, window, mirrored)
        image = normalize(image)
        boxes_yxyx, labels = self._move_boxes(canvas, start, window, mirrored)
        cls_targets, box_targets, _, cls_weights, box_weights = self.labeler.label_anchors(
            self.anchors, boxes_yxyx * self.size, tf.cast(labels, tf.int32)[:, None]
        )
        return image, {
            "cls_targets": cls_targets,
            "box_targets": box_targets,
            "cls_weights": cls_weights,
            "box_weights": box_weights,
        }

    def _choose_window(self, content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return where the window starts and how large it is, (y, x), in fractions of the canvas."""
        low, high = self.parser.aug_scale_min, self.parser.aug_scale_max
        scale = tf.exp(tf.random.uniform([], tf.math.log(low), tf.math.log(high)))
        stretch = tf.math.log(self.parser.aug_aspect)
        aspect = tf.exp(tf.random.uniform([], -stretch, stretch) / 2) if self.parser.aug_aspect > 1 else 1.0
        window = tf.stack([aspect, 1 / aspect]) / scale
        # Where the window is smaller than the photo it stays inside it, else the photo stays inside the window.
        slack = content - window
        return tf.random.uniform([2]) * slack, window

    def _cut(self, canvas: dict[str, tf.Tensor], start: tf.Tensor, window: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
        side = tf.cast(tf.shape(canvas["image"])[0], tf.float32)
        # crop_and_resize samples from its first corner to its last, both included, so the corners
        # given are the centres of the first and the last output pixel.
        first = ((start + window * 0.5 / self.size) * side - 0.5) / (side - 1)
        last = ((start + window * (1 - 0.5 / self.size)) * side - 0.5) / (side - 1)
        left, right = tf.where(mirrored, last[1], first[1]), tf.where(mirrored, first[1], last[1])
        corners = tf.stack([first[0], left, last[0], right])
        image = tf.image.crop_and_resize(canvas["image"][None], corners[None], [0], [self.size, self.size])[0]
        image = self._recolor(image)
        # Beyond the photo lies the mean colour, whatever the photo's own, as beyond it at prediction.
        places = start[:, None] + window[:, None] * (tf.range(self.size, dtype=tf.float32)[None] + 0.5) / self.size
        inside = (places >= 0) & (places <= canvas["content"][:, None])
        columns = tf.where(mirrored, inside[1, ::-1], inside[1])
        image = tf.where((inside[0][:, None] & columns[None])[..., None], image, MEAN_RGB)
        return tf.ensure_shape(image, [self.size, self.size, 3])

    def _recolor(self, image: tf.Tensor) -> tf.Tensor:
        strength = self.parser.aug_color
        if not strength:
            return image
        brightness, contrast, saturation = tf.unstack(1 + tf.random.uniform([3], -strength, strength))
        grey = tf.reduce_mean(image, axis=-1, keepdims=True)
        image = grey + (image - grey) * saturation
        image = MEAN_RGB + (image - MEAN_RGB) * contrast
        return tf.clip_by_value(image * brightness, 0.0, 255.0)

    def _move_boxes(
        self, canvas: dict[str, tf.Tensor], start: tf.Tensor, window: tf.Tensor, mirrored: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        boxes_yxyx = (canvas["boxes_yxyx"] - tf.tile(start, [2])) / tf.tile(window, [2])
        ymin, xmin, ymax, xmax = tf.unstack(boxes_yxyx, axis=-1)
        xmin, xmax = tf.where(mirrored, 1 - xmax, xmin), tf.where(mirrored, 1 - xmin, xmax)
        whole = tf.stack([ymin, xmin, ymax, xmax], axis=-1)
        seen = tf.clip_by_value(whole, 0.0, 1.0)
        keep = (canvas["labels"] > 0) & (_area(seen) > _LEAST_VISIBLE * _area(whole))
        return tf.boolean_mask(seen, keep), tf.boolean_mask(canvas["labels"], keep)


def _area(boxes_yxyx: tf.Tensor) -> tf.Tensor:
    return (boxes_yxyx[:, 2] - boxes_yxyx[:, 0]) * (boxes_yxyx[:, 3] - boxes_yxyx[:, 1])


def _free_memory() -> float:
    """Bytes of memory that are free now; 4 GiB where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * 2**30
