"""Records + settings -> endless batches, and the very images in them as a Dataset to look at."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tfod_helpers import records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.network import normalization
from tfod_helpers.network.inputs import targets
from tfod_helpers.network.inputs.augment import Augmenter, Draws, Seen
from tfod_helpers.network.inputs.canvas import Canvas, read_canvas, side_of
from tfod_helpers.records.encoding import source_ids

if TYPE_CHECKING:
    from tfod_helpers.experiment.config import ExperimentConfig, TaskConfig

_CACHE_SHARE = 0.3  # of the free memory, at most, for decoded images
_GROUP = 4  # photos that a mosaic is put together from


def train_batches(
    task: TaskConfig, input_context: tf.distribute.InputContext | None = None, *, begun: int = 0
) -> tf.data.Dataset:
    """Return endless batches of training images and targets.

    The images of a batch, their order and how each is cropped and coloured follow from the seed, whatever the number of
    machines: of a batch, each machine makes its part alone. Only an R-CNN's choice of anchors and regions to learn from
    is random beyond that.

    Args:
        task: names the records, the batch size, the input size and the augmentation.
        input_context: which share of a batch this machine makes.
        begun: steps that were made before; what follows comes in another order than after any other number of them.

    Returns:
        Pairs of images (float32, shape (batch, height, width, 3), normalized) and the labels that
        `official.vision`'s losses take. Beside those lies ``seen``: boxes_yxyx (fractions of the image), labels
        (0 where there is none) and source, the image's number among the records (-1: four of them).

    Raises:
        FileNotFoundError: the records are not there, or were written anew.
    """
    data = task.train_data
    context = input_context or tf.distribute.InputContext()
    seed, machines = (data.seed or 0) + begun, context.num_input_pipelines
    fits = task.train_images * side_of(task.model.input_size[0]) ** 2 * 3 < _CACHE_SHARE * _free_memory()
    early = fits or machines == 1  # of several machines each decodes its share alone, where it cannot keep them all
    images = _records(task)
    if early:
        images = images.map(_canvas(task), tf.data.AUTOTUNE)
    if fits:
        images = images.cache()
    images = images.shuffle(min(task.train_images, data.shuffle_buffer_size), seed=seed).repeat().enumerate()
    share = data.global_batch_size // machines
    first = share * context.input_pipeline_id
    # The place of an image within this machine's share of a batch; from `share` on it is another machine's.
    place = lambda number: (number - first) % data.global_batch_size  # noqa: E731
    led = _GROUP - 1 if data.parser.aug_mosaic else 0  # images that stand behind one in its group
    if machines > 1:
        images = images.filter(lambda number, _: place(number) < share + led)
    if not early:
        canvas = _canvas(task)
        images = images.map(lambda number, record: (number, canvas(record)), tf.data.AUTOTUNE)
    images = _augmented(images, task, seed, lambda number: place(number) < share)
    batches = images.batch(context.get_per_replica_batch_size(data.global_batch_size), drop_remainder=True)
    # What is filtered has no known end, and TensorFlow would then ask all machines at each step whether theirs is over,
    # and forget the size of a batch, which an R-CNN has to know.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return batches.apply(endless).prefetch(tf.data.AUTOTUNE)


def examples(config: ExperimentConfig, count: int = 12) -> Dataset:
    """Return training images as the model sees them, cropped and coloured, with what is left of their boxes.

    Look at them with ``pictures.show_images``: what cannot be recognised there cannot be learned.

    Args:
        config: names the records and the augmentation.
        count: images.
    """
    task = config.task
    images = _records(task).take(max(count, _GROUP)).map(_canvas(task), tf.data.AUTOTUNE).cache().repeat().enumerate()
    seed = task.train_data.seed or 0
    pairs = [(image.numpy(), labels["seen"]) for image, labels in _augmented(images, task, seed).take(count)]
    return to_dataset(np.stack([image for image, _ in pairs]), [seen for _, seen in pairs], task)


def to_dataset(images: np.ndarray, seen: list[dict[str, tf.Tensor]], task: TaskConfig) -> Dataset:
    """Return images of a batch as a Dataset.

    Args:
        images: float32, (n, size, size, 3), normalized.
        seen: for each image what the batch's labels hold under that name.
        task: names the classes.
    """
    names = _names(task)
    pixels = np.clip(normalization.of(task).undo(images), 0, 255).round().astype(np.uint8)
    found = []
    for rgb, one in zip(pixels, seen, strict=True):
        there = one["labels"].numpy() > 0
        boxes_xyxy = one["boxes_yxyx"].numpy()[there][:, [1, 0, 3, 2]] * rgb.shape[0]
        source = int(one["source"].numpy())
        name = "four photos" if source < 0 else names.get(source, str(source))
        found.append(
            LabelledImage(
                Path(name), rgb.shape[1], rgb.shape[0], boxes_xyxy, one["labels"].numpy()[there], encoded=_png(rgb)
            )
        )
    return Dataset(tuple(found), LabelMap(task.class_names))


def _records(task: TaskConfig) -> tf.data.Dataset:
    files = [str(path) for path in records.of_pattern(task.train_data.input_path).files]
    return tf.data.TFRecordDataset(files, num_parallel_reads=min(len(files), 8))


def _canvas(task: TaskConfig) -> Callable[[tf.Tensor], Canvas]:
    """Return the function from a record to its canvas."""
    side, room = side_of(task.model.input_size[0]), task.train_data.parser.max_num_instances
    masks = bool(getattr(task.model, "include_mask", False))
    return lambda record: read_canvas(record, side, room, masks, task.resize)


def _augmented(
    images: tf.data.Dataset, task: TaskConfig, seed: int, leads: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> tf.data.Dataset:
    """Return single examples, endlessly: (image, labels).

    Args:
        images: their numbers, by which each varies at random in its own way, and their canvases.
        task: how they vary, and what is learned from them.
        seed: of what is random.
        leads: of a number, whether a group of four that it leads is wanted.
    """
    augmenter = Augmenter(task.train_data.parser, task.model.input_size[0])
    label, share = targets.for_task(task), task.train_data.parser.aug_mosaic
    normalize = normalization.of(task).apply
    room = task.train_data.parser.max_num_instances * (_GROUP if share else 1)

    def example(seen: Seen, source: tf.Tensor) -> tuple[tf.Tensor, dict[str, Any]]:
        shown = {
            "boxes_yxyx": targets.pad(seen.boxes_yxyx, room, 0.0),
            "labels": targets.pad(seen.labels, room, 0),
            "source": source,
        }
        return normalize(seen.image), label(seen, room) | {"seen": shown}

    def one(number: tf.Tensor, canvas: Canvas) -> tuple[tf.Tensor, dict[str, Any]]:
        return example(augmenter.single(canvas, Draws(seed, number)), canvas["source"])

    def one_or_four(numbers: tf.Tensor, group: Canvas) -> tuple[tf.Tensor, dict[str, Any]]:
        members = [{name: value[number] for name, value in group.items()} for number in range(_GROUP)]
        draws = Draws(seed, numbers[0])
        return tf.cond(
            draws.uniform() < share,
            lambda: example(augmenter.mosaic(members, draws), tf.constant(-1, tf.int64)),
            lambda: one(numbers[0], members[0]),
        )

    if not share:
        return images.map(one, tf.data.AUTOTUNE)
    # Each photo leads one group, and stands in three others, which the window of four slides over.
    groups = images.window(_GROUP, shift=1, drop_remainder=True).flat_map(_in_one)
    if leads:
        groups = groups.filter(lambda numbers, _: leads(numbers[0]))
    return groups.map(one_or_four, tf.data.AUTOTUNE)


def _in_one(numbers: tf.data.Dataset, window: dict[str, tf.data.Dataset]) -> tf.data.Dataset:
    four = lambda values: values.batch(_GROUP, drop_remainder=True)  # noqa: E731
    return tf.data.Dataset.zip((four(numbers), {name: four(values) for name, values in window.items()}))


def _names(task: TaskConfig) -> dict[int, str]:
    """Return the file name of each image by its number among the records."""
    images = list(records.read_labels(records.of_pattern(task.train_data.input_path)))
    return dict(zip(source_ids(images), (image.path.name for image in images), strict=True))


def _png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def _free_memory() -> float:
    """Bytes of memory that are free now; 4 GiB where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * 2**30
