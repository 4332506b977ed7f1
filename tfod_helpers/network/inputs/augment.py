"""Canvases -> what a model sees of them: cropped, flipped and coloured at random, one photo or four together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfod_helpers.network.inputs.canvas import Canvas
from tfod_helpers.network.normalization import MEAN_RGB

_LEAST_VISIBLE = 0.3  # of a box's area; a box of which less is left by a crop is no longer worth learning
_MOSAIC_SCALE = 0.6  # photos of a mosaic are shown this much smaller, so that more of each is seen
_DRAWS = 27  # random numbers of an image: whether it is a mosaic, its centre, five of each of four crops, its colours
_MOSAIC_CENTRE = (0.35, 0.65)  # where the four photos meet, in fractions of the image


class Seen(NamedTuple):
    """What a model sees of one or of four photos.

    Attributes:
        image: float32, (size, size, 3), RGB, 0 to 255.
        boxes_yxyx: float32, (n, 4), in fractions of the image.
        labels: int64, (n,), label map ids.
        masks: float32, (n, side, side), each within its box, 0 to 1; or None.
    """

    image: tf.Tensor
    boxes_yxyx: tf.Tensor
    labels: tf.Tensor
    masks: tf.Tensor | None


class Draws:
    """The random numbers of one image, which are the same on whatever machine it is made."""

    def __init__(self, seed: int, number: tf.Tensor) -> None:
        """Take the seed and the image's number, int64."""
        pair = tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
        self._left = tf.unstack(tf.random.stateless_uniform([_DRAWS], pair))

    def uniform(self, low: Any = 0.0, high: Any = 1.0) -> tf.Tensor:
        """Return a number from ``low`` to below ``high`` that was not drawn before: float32, ()."""
        return low + (high - low) * self._left.pop()


class Augmenter:
    """Crops, flips and colours canvases at random, as a parser's ``aug_`` settings say."""

    def __init__(self, parser: Any, size: int) -> None:
        """Make an augmenter.

        Args:
            parser: `experiment.config.Parser` or `RCNNParser`.
            size: side of the image that the model sees, in pixels.
        """
        self.parser, self.size = parser, size

    def single(self, canvas: Canvas, draws: Draws) -> Seen:
        """Return one photo as the model sees it."""
        seen = self._crop(canvas, tf.constant([0.0, 0.0, 1.0, 1.0]), 1.0, draws)
        return seen._replace(image=self._recolor(seen.image, draws))

    def mosaic(self, canvases: Sequence[Canvas], draws: Draws) -> Seen:
        """Return four photos side by side as one image, as Bochkovskiy et al. 2020 (YOLOv4) train."""
        y, x = draws.uniform(*_MOSAIC_CENTRE), draws.uniform(*_MOSAIC_CENTRE)
        # On whole pixels, so that every pixel belongs to one photo.
        y, x = tf.round(y * self.size) / self.size, tf.round(x * self.size) / self.size
        corners = [(0.0, 0.0, y, x), (0.0, x, y, 1.0), (y, 0.0, 1.0, x), (y, x, 1.0, 1.0)]
        parts = [
            self._crop(canvas, tf.stack(corner), _MOSAIC_SCALE, draws)
            for canvas, corner in zip(canvases, corners, strict=True)
        ]
        rows = (tf.range(self.size, dtype=tf.float32) + 0.5)[:, None, None] / self.size < y
        columns = (tf.range(self.size, dtype=tf.float32) + 0.5)[None, :, None] / self.size < x
        upper, lower = (tf.where(columns, left.image, right.image) for left, right in (parts[:2], parts[2:]))
        masks = None if parts[0].masks is None else tf.concat([part.masks for part in parts], 0)
        return Seen(
            self._recolor(tf.where(rows, upper, lower), draws),
            tf.concat([part.boxes_yxyx for part in parts], 0),
            tf.concat([part.labels for part in parts], 0),
            masks,
        )

    def _crop(self, canvas: Canvas, part_yxyx: tf.Tensor, shrink: float, draws: Draws) -> Seen:
        """Show a photo in a part of the image, (ymin, xmin, ymax, xmax) in fractions of it."""
        flipped = draws.uniform() < (0.5 if self.parser.aug_rand_hflip else 0.0)
        # The whole image is flipped at the end, so what shall lie left is cropped on the right.
        swapped = tf.gather(part_yxyx, [0, 3, 2, 1]) * [1, -1, 1, -1] + [0, 1, 0, 1]
        part_yxyx = tf.where(flipped, swapped, part_yxyx)
        start, window = self._choose_window(canvas["content"], part_yxyx, shrink, draws)
        image = self._sample(canvas, start, window, flipped)
        return Seen(image, *self._move_boxes(canvas, start, window, flipped, part_yxyx))

    def _choose_window(
        self, content: tf.Tensor, part_yxyx: tf.Tensor, shrink: float, draws: Draws
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return where the image's window starts and how large it is, (y, x), in fractions of the canvas."""
        low, high = self.parser.aug_scale_min * shrink, self.parser.aug_scale_max * shrink
        scale = tf.exp(draws.uniform(tf.math.log(low), tf.math.log(high)))
        stretch = tf.math.log(self.parser.aug_aspect)
        aspect = tf.exp(draws.uniform(-stretch, stretch) / 2) if self.parser.aug_aspect > 1 else 1.0
        window = tf.stack([aspect, 1 / aspect]) / scale
        # Where the part shows less than the photo it stays inside it, else the photo stays inside the part.
        slack = content - window * (part_yxyx[2:] - part_yxyx[:2])
        return tf.stack([draws.uniform(), draws.uniform()]) * slack - window * part_yxyx[:2], window

    def _sample(self, canvas: Canvas, start: tf.Tensor, window: tf.Tensor, flipped: tf.Tensor) -> tf.Tensor:
        side = tf.cast(tf.shape(canvas["image"])[0], tf.float32)
        # crop_and_resize samples from its first corner to its last, both included, so the corners
        # given are the centres of the first and the last output pixel.
        first = ((start + window * 0.5 / self.size) * side - 0.5) / (side - 1)
        last = ((start + window * (1 - 0.5 / self.size)) * side - 0.5) / (side - 1)
        left, right = tf.where(flipped, last[1], first[1]), tf.where(flipped, first[1], last[1])
        corners = tf.stack([first[0], left, last[0], right])
        image = tf.image.crop_and_resize(canvas["image"][None], corners[None], [0], [self.size, self.size])[0]
        # Beyond the photo lies the mean colour, whatever the photo's own, as beyond it at prediction.
        places = start[:, None] + window[:, None] * (tf.range(self.size, dtype=tf.float32)[None] + 0.5) / self.size
        inside = (places >= 0) & (places <= canvas["content"][:, None])
        columns = tf.where(flipped, inside[1, ::-1], inside[1])
        image = tf.where((inside[0][:, None] & columns[None])[..., None], image, -1.0)
        return tf.ensure_shape(image, [self.size, self.size, 3])

    def _recolor(self, image: tf.Tensor, draws: Draws) -> tf.Tensor:
        """Vary the colours of what is photo; what is not, below 0, becomes the mean colour."""
        outside = image < 0
        if strength := self.parser.aug_color:
            brightness, contrast, saturation = (1 + draws.uniform(-strength, strength) for _ in range(3))
            grey = tf.reduce_mean(image, axis=-1, keepdims=True)
            image = grey + (image - grey) * saturation
            image = MEAN_RGB + (image - MEAN_RGB) * contrast
            image = tf.clip_by_value(image * brightness, 0.0, 255.0)
        return tf.where(outside, MEAN_RGB, image)

    def _move_boxes(
        self,
        canvas: Canvas,
        start: tf.Tensor,
        window: tf.Tensor,
        flipped: tf.Tensor,
        part_yxyx: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        boxes_yxyx = (canvas["boxes_yxyx"] - tf.tile(start, [2])) / tf.tile(window, [2])
        low, high = tf.tile(part_yxyx[:2], [2]), tf.tile(part_yxyx[2:], [2])
        seen = tf.clip_by_value(boxes_yxyx, low, high)
        keep = (canvas["labels"] > 0) & (_area(seen) > _LEAST_VISIBLE * _area(boxes_yxyx))
        masks = _crop_masks(canvas, boxes_yxyx, seen, flipped) if "masks" in canvas else None
        ymin, xmin, ymax, xmax = tf.unstack(seen, axis=-1)
        xmin, xmax = tf.where(flipped, 1 - xmax, xmin), tf.where(flipped, 1 - xmin, xmax)
        return (
            tf.boolean_mask(tf.stack([ymin, xmin, ymax, xmax], axis=-1), keep),
            tf.boolean_mask(canvas["labels"], keep),
            None if masks is None else tf.boolean_mask(masks, keep),
        )


def _crop_masks(canvas: Canvas, whole_yxyx: tf.Tensor, seen_yxyx: tf.Tensor, flipped: tf.Tensor) -> tf.Tensor:
    """Return what of each mask lies within the visible part of its box, flipped as the image is."""
    masks = tf.cast(canvas["masks"], tf.float32)[..., None] / 255
    size = tf.maximum(whole_yxyx[:, 2:] - whole_yxyx[:, :2], 1e-6)
    part_yxyx = (seen_yxyx - tf.tile(whole_yxyx[:, :2], [1, 2])) / tf.tile(size, [1, 2])
    side = masks.shape[1]
    cropped = tf.image.crop_and_resize(masks, part_yxyx, tf.range(tf.shape(masks)[0]), [side, side])[..., 0]
    return tf.where(flipped, cropped[:, :, ::-1], cropped)


def _area(boxes_yxyx: tf.Tensor) -> tf.Tensor:
    return (boxes_yxyx[:, 2] - boxes_yxyx[:, 0]) * (boxes_yxyx[:, 3] - boxes_yxyx[:, 1])
