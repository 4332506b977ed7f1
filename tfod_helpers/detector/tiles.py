"""A large photo, looked at in tiles -> detections of small objects too.

A photo is scaled to the model's input, so that in one of 4000 pixels an object of 40 becomes one of 6 where that has
640. Tiles of 640 pixels show it as it is. The photo as a whole is looked at too, for what is larger than a tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol, overload

import numpy as np
import supervision as sv
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.detector.detections import Photo

_ENDS = "ends"  # a detection's data: which sides of its box are at the edges of its tile
_NEAR = 2.0  # pixels of the model's input, within which a box ends at a tile's edge
_SAME = 0.5  # IoU, from which on two boxes are one object
_ON, _HALVES = 0.5, 0.3  # shares of the smaller box that two have in common, from which on they are one object
_SURE = 0.5  # of a part's confidence: a box that is less sure does not take its place
_MOST = 5000  # detections in all tiles, the most confident; comparing each with each takes memory


class Untiled(Protocol):
    """What is to look at the tiles, such as a `Detector`."""

    label_map: LabelMap
    image_size: int
    threshold: float

    def detect(self, images: list[np.ndarray], *, threshold: float | None = None) -> list[sv.Detections]:
        """Return the detections of each image from a confidence on, in its pixels.

        Args:
            images: uint8 RGB arrays of shape (h, w, 3).
            threshold: the least confidence.
        """


class TiledDetector:
    """A detector that looks at photos in tiles; ``detector.tiled(tile=640)`` makes it.

    It stands in for the detector: ``detect`` takes and returns the same, and `evaluation.evaluate` takes it, which
    says whether tiles find more in your photos.

    Attributes:
        label_map: as of the detector.
        image_size: as of the detector.
        threshold: as of the detector.
        tile: side of a tile, in pixels of the photo.
        overlap: of two tiles beside each other, in pixels.
    """

    def __init__(self, detector: Untiled, tile: int, overlap: float) -> None:
        """Wrap a detector.

        Args:
            detector: looks at the tiles.
            tile: side of a tile, in pixels of the photo.
            overlap: of two tiles beside each other, as a share of their side.

        Raises:
            ValueError: there is no such tile.
        """
        if tile < 1:
            raise ValueError(f"tile must be at least 1 pixel, got {tile}.")
        if not 0 <= overlap <= 0.9:
            raise ValueError(f"overlap is a share of the tile, from 0 to 0.9; got {overlap}.")
        self._detector, self.tile, self.overlap = detector, tile, int(overlap * tile)
        self.label_map, self.image_size, self.threshold = detector.label_map, detector.image_size, detector.threshold

    def __repr__(self) -> str:
        return f"TiledDetector({self._detector!r}; tiles of {self.tile} px that overlap by {self.overlap})"

    @overload
    def detect(  # type: ignore[overload-overlap]
        self, images: Photo, *, threshold: float | None = None, batch_size: int = 16
    ) -> sv.Detections: ...

    @overload
    def detect(
        self, images: Iterable[Photo], *, threshold: float | None = None, batch_size: int = 16
    ) -> list[sv.Detections]: ...

    def detect(
        self, images: Photo | Iterable[Photo], *, threshold: float | None = None, batch_size: int = 16
    ) -> sv.Detections | list[sv.Detections]:
        """Find objects in one photo or in several, as `Detector.detect` does.

        For one photo a bar shows the progress, where it takes longer than a second.

        Args:
            images: as `Detector.detect` takes them.
            threshold: as for `Detector.detect`.
            batch_size: tiles that are handed over at a time.

        Raises:
            FileNotFoundError: as `Detector.detect` raises.
            photos.PhotoError: as `Detector.detect` raises.
            TypeError: as `Detector.detect` raises.
            ValueError: as `Detector.detect` raises.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        several = None if isinstance(images, LabelledImage) else photos.several(images)
        if several is None:
            return self._look(images, threshold, batch_size, alone=True)
        found: list[sv.Detections] = []
        for number, photo in enumerate(several, 1):
            try:
                found.append(self._look(photo, threshold, batch_size, alone=False))
            except TypeError as error:
                raise TypeError(f"photo {number}: {error}") from error
        return found

    def _look(self, photo: Any, threshold: float | None, batch_size: int, *, alone: bool) -> sv.Detections:
        rgb = photo.pixels() if isinstance(photo, LabelledImage) else photos.to_rgb(photo)
        height, width = rgb.shape[:2]
        as_whole = self._detector.detect([rgb], threshold=threshold)[0]
        if max(width, height) <= self.tile:
            return as_whole
        count = self._count(width) * self._count(height)
        with tqdm(total=count, unit="tile", desc="detecting", delay=1, disable=not alone) as bar:

            def look(tiles: list[np.ndarray]) -> list[sv.Detections]:
                found = self._detector.detect(tiles, threshold=threshold)
                for one, tile in zip(found, tiles, strict=True):
                    one.data[_ENDS] = self._ends(one.xyxy, (tile.shape[1], tile.shape[0]))
                bar.update(len(tiles))
                return found

            # With a batch size of 1 a tile would be handed over alone, not in a list.
            slicer = sv.InferenceSlicer(
                look, self.tile, self.overlap, sv.OverlapFilter.NONE, compact_masks=True, batch_size=max(batch_size, 2)
            )
            in_tiles = slicer(rgb)
        return self._merge(as_whole, _best(in_tiles, _MOST), (width, height)) if len(in_tiles) else as_whole

    def _count(self, side: int) -> int:
        """Return how many tiles lie along a side of a photo."""
        return math.ceil(max(side - self.tile, 0) / (self.tile - self.overlap)) + 1

    def _ends(self, boxes_xyxy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return which sides of boxes are at the edges of what was looked at: bool, (n, 4)."""
        near = _NEAR * self.tile / self.image_size
        return np.abs(boxes_xyxy - [0, 0, *size]) <= near

    def _merge(self, as_whole: sv.Detections, in_tiles: sv.Detections, size: tuple[int, int]) -> sv.Detections:
        """Return each object once, the most confident first.

        Of boxes that end within their tile, those that overlap a more confident one are suppressed, as in the model
        itself. A box that ends where its tile ends is probably a part of an object. It is left out where a box that is
        not cut holds most of it; what is left is joined to the part in the next tile.
        """
        cut = np.any(in_tiles.data.pop(_ENDS) & ~self._ends(in_tiles.xyxy, size), axis=1)
        if isinstance(as_whole.mask, np.ndarray):  # of another detector than this package's
            as_whole.mask = sv.CompactMask.from_dense(as_whole.mask, as_whole.xyxy, size[::-1])
        entire = sv.Detections.merge([as_whole, _chosen(in_tiles, ~cut)]).with_nms(_SAME)
        parts = _chosen(in_tiles, cut)
        parts = _chosen(parts, ~_are_parts(parts, entire)).with_nmm(_HALVES, overlap_metric=sv.OverlapMetric.IOS)
        return _best(sv.Detections.merge([entire, parts]))


def _are_parts(parts: sv.Detections, entire: sv.Detections) -> np.ndarray:
    """Return which boxes lie mostly within one of their class that is at least half as sure: bool, (n,)."""
    if not len(parts) or not len(entire):
        return np.zeros(len(parts), bool)
    inside = sv.box_iou_batch(parts.xyxy, entire.xyxy, sv.OverlapMetric.IOS) >= _ON
    sure = np.asarray(entire.confidence) >= _SURE * np.asarray(parts.confidence)[:, None]
    return np.any(inside & sure & (np.asarray(parts.class_id)[:, None] == entire.class_id), axis=1)


def _best(found: sv.Detections, most: int | None = None) -> sv.Detections:
    """Return the detections sorted by confidence, at most so many."""
    return _chosen(found, np.argsort(-np.asarray(found.confidence), kind="stable")[:most])


def _chosen(found: sv.Detections, index: np.ndarray) -> sv.Detections:
    chosen = found[index]
    assert isinstance(chosen, sv.Detections)
    return chosen
