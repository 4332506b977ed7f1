"""Pictures -> what a backbone that stays as it is sees in them, each computed once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from tfod_helpers.classifier.backbones import Backbone
from tfod_helpers.files import workers as workers_

_Item = TypeVar("_Item")
_BATCH = 32  # pictures that the network takes at once


def extract(
    backbone: Backbone,
    items: Sequence[_Item],
    pictures: Callable[[_Item], np.ndarray],
    *,
    title: str = "Looking at photos",
    workers: int | None = None,
) -> np.ndarray:
    """Return the features of pictures: the backbone's feature map, averaged over its places.

    Photos are read on several cores while the network works on those before.

    Args:
        backbone: the network.
        items: what there are pictures of, such as paths or labelled images.
        pictures: the pictures of an item: uint8, shape (k, side, side, 3), RGB, with the backbone's side.
        title: of the progress bar, which appears after a second.
        workers: how many items are read at once; None takes one a core.

    Returns:
        float32, shape (n, channels): of all pictures of all items, in their order.

    Raises:
        ValueError: an item's pictures are of another shape or type.
    """
    found = [np.zeros((0, backbone.model.output_shape[-1]), np.float32)]
    for batch, count in batches(items, pictures, backbone.side, title, workers=workers):
        maps = backbone.model.predict_on_batch(batch)
        found.append(np.asarray(maps)[:count].mean(axis=(1, 2), dtype=np.float32))
    return np.concatenate(found)


def batches(
    items: Sequence[_Item],
    pictures: Callable[[_Item], np.ndarray],
    side: int,
    title: str = "",
    *,
    workers: int | None = None,
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the pictures of all items in batches of one size, so that a network is traced once, and how many count.

    Args:
        items: as for `extract`, as are the others.
        pictures: the pictures of an item.
        side: of the pictures.
        title: of the progress bar; without one there is none.
        workers: how many items are read at once; None takes one a core.

    Yields:
        uint8, shape (32, side, side, 3), the last of several filled up with zeros, one alone as small as it is; and
        how many of them are pictures.

    Raises:
        ValueError: an item's pictures are of another shape or type.
    """
    made = workers_.in_order(pictures, items, workers=workers)
    with contextlib.closing(made), tqdm(total=len(items), desc=title, unit="image", delay=1, disable=not title) as bar:
        several = False
        for batch in _batches(_checked(made, side, bar)):
            missing = _BATCH - len(batch) if several else 0
            several = True
            yield np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.uint8)]), len(batch)


def _checked(made: Iterator[np.ndarray], side: int, bar: tqdm) -> Iterator[np.ndarray]:
    """Yield the pictures of each item, and count the items."""
    for pictures in made:
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (side, side, 3):
            raise ValueError(
                f"Pictures must be uint8 of shape (k, {side}, {side}, 3), got {pictures.dtype} of {pictures.shape}."
            )
        yield pictures
        bar.update()


def _batches(parts: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield pictures in full batches, the last of which may be smaller."""
    waiting: list[np.ndarray] = []
    for part in parts:
        waiting.extend(part)
        while len(waiting) >= _BATCH:
            yield np.stack(waiting[:_BATCH])
            del waiting[:_BATCH]
    if waiting:
        yield np.stack(waiting)
