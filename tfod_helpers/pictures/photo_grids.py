"""Photos with what was labelled, what was found, and both beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.pictures.grid import Mark, Panel, draw_grid, spread
from tfod_helpers.pictures.picture import BLUE, VERMILLION, YELLOW, Picture, colour_of, counted

if TYPE_CHECKING:
    from supervision import Detections

    Photo = str | os.PathLike[str] | Image.Image | np.ndarray | LabelledImage

MATCH_IOU = 0.5  # a detection counts as found from here on: the IoU of AP50
_FOUND, _MISSED, _EXTRA = (BLUE, "solid"), (VERMILLION, "dashed"), (YELLOW, "dashed")


def show_images(
    images: Dataset | Sequence[LabelledImage],
    *,
    label_map: LabelMap | None = None,
    count: int = 9,
    columns: int = 3,
    seed: int | None = None,
) -> Picture:
    """Show photos with their labelled boxes.

    Args:
        images: a dataset, or labelled images and the ``label_map`` that their labels point into.
        label_map: the classes; a dataset brings its own.
        count: photos to show at most, evenly spaced over ``images``.
        columns: photos beside each other.
        seed: draw the photos at random instead; the same seed draws the same ones.

    Raises:
        ValueError: no images, no label map, or a label that is not in it.
        TypeError: something that is no labelled image.
    """
    label_map = label_map or getattr(images, "label_map", None)
    _check_images(images, "show_images")
    if label_map is None:
        raise ValueError("show_images: a list of images brings no class names. Give label_map=LabelMap([...]) too.")
    chosen = spread(images, count, seed)
    panels = [
        Panel(image.pixels, (image.width, image.height), image.path.name, "", _truth_marks(image, label_map))
        for image in chosen
    ]
    boxes = counted(sum(len(image.labels) for image in images), "labelled box", "labelled boxes")
    return draw_grid(panels, columns, f"{_share(len(chosen), len(images))}, {boxes}: {label_map.describe()}")


def show_detections(
    images: Sequence[Photo] | Photo,
    detections: Sequence[Detections] | Detections,
    *,
    count: int = 12,
    columns: int = 3,
    threshold: float = 0.3,
) -> Picture:
    """Show photos with what a detector found in them.

    Args:
        images: one photo or several: paths, Pillow images, uint8 RGB arrays or labelled images.
        detections: what `Detector.detect` returned for them, one for each photo; ``xyxy`` in pixels.
        count: photos to show at most, evenly spaced over ``images``.
        columns: photos beside each other.
        threshold: detections of lower confidence are left out.

    Raises:
        ValueError: no photos, or not one set of detections for each.
        TypeError: something that is no photo or no detections.
    """
    if hasattr(detections, "xyxy"):
        images, detections = [images], [detections]
    _check_pairs(images, detections, "show_detections")
    chosen = spread(list(zip(images, detections, strict=True)), count)
    panels, found = [], 0
    for photo, raw in chosen:
        seen = _above(raw, threshold)
        found += len(seen)
        read, size, name = _source(photo)
        marks = [Mark(one.box_xyxy, one.text, colour_of(one.class_id)) for one in seen]
        panels.append(Panel(read, size, name, f"{len(seen)} found", marks))
    headline = f"{_share(len(chosen), len(images))}, {counted(found, 'detection')}, confidence {threshold:.2f} or more"
    return draw_grid(panels, columns, headline)


def show_predictions(
    dataset: Dataset,
    detections: Sequence[Detections],
    *,
    count: int = 6,
    columns: int = 2,
    threshold: float = 0.3,
    worst_first: bool = False,
) -> Picture:
    """Show the truth and the predictions beside each other, with what was missed and what is extra.

    A detection is right where its box overlaps a box of its class, that no surer detection took, with
    an IoU of 0.5 or more: the counting of AP50. A right box with a wrong class is therefore one
    missed and one extra.

    Args:
        dataset: labelled photos.
        detections: what a detector found, one for each photo; ``class_id`` as in the label map.
        count: pairs to show at most, evenly spaced over the dataset.
        columns: pairs beside each other.
        threshold: detections of lower confidence are left out.
        worst_first: show the photos with the most mistakes instead.

    Raises:
        ValueError: no photos, or not one set of detections for each.
        TypeError: ``dataset`` is no dataset, or something that is no detections.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"show_predictions: the truth must be a Dataset, got {type(dataset).__name__}.")
    _check_pairs(dataset, detections, "show_predictions")
    results = [_match(image, _above(raw, threshold)) for image, raw in zip(dataset, detections, strict=True)]
    order = range(len(dataset))
    if worst_first:
        order = sorted(order, key=lambda index: -results[index].mistakes)[:count]
    chosen = spread(order, count)
    panels = [panel for index in chosen for panel in _pair(dataset[index], results[index], dataset.label_map)]
    hits, truths, extra = (sum(part) for part in zip(*((r.hits, r.truths, r.extra) for r in results), strict=True))
    which = f"The {len(chosen)} worst" if worst_first else _share(len(chosen), len(dataset))
    headline = f"{_score(hits, truths, extra)} in {counted(len(dataset), 'photo')}. Here: {which}"
    legend = [
        Mark((), f"found (IoU {MATCH_IOU} or more)", *_FOUND),
        Mark((), "missed", *_MISSED),
        Mark((), f"extra (confidence {threshold:.2f} or more)", *_EXTRA),
    ]
    return draw_grid(panels, columns, headline, pairs=True, legend=legend)


@dataclass(frozen=True)
class _Seen:
    """One detection: its box in pixels, its class and what its label says."""

    box_xyxy: np.ndarray
    class_id: int
    text: str


@dataclass(frozen=True)
class _Match:
    """Which boxes of one photo were found, and which detections are right."""

    seen: Sequence[_Seen]
    found: np.ndarray  # bool, one a true box
    right: np.ndarray  # bool, one a detection

    @property
    def hits(self) -> int:
        return int(self.found.sum())

    @property
    def truths(self) -> int:
        return len(self.found)

    @property
    def extra(self) -> int:
        return int((~self.right).sum())

    @property
    def mistakes(self) -> int:
        return self.truths - self.hits + self.extra


def _above(detections: Detections, threshold: float) -> list[_Seen]:
    """Return the detections of enough confidence, the surest first."""
    boxes_xyxy = np.asarray(detections.xyxy, np.float32).reshape(-1, 4)
    count = len(boxes_xyxy)
    known = detections.confidence is not None
    confidence = np.asarray(detections.confidence) if known else np.ones(count)
    ids = np.ones(count, int) if detections.class_id is None else np.asarray(detections.class_id, int)
    names = detections.data.get("class_name", [f"class {id}" for id in ids])
    order = [index for index in np.argsort(-confidence, kind="stable") if confidence[index] >= threshold]
    return [
        _Seen(boxes_xyxy[i], int(ids[i]), f"{names[i]} {confidence[i]:.2f}" if known else str(names[i]))
        for i in order
    ]


def _match(image: LabelledImage, seen: Sequence[_Seen]) -> _Match:
    """Give each detection, the surest first, the free box of its class that it overlaps most."""
    found = np.zeros(len(image.labels), bool)
    right = np.zeros(len(seen), bool)
    for number, one in enumerate(seen):
        iou = np.where(found | (image.labels != one.class_id), 0, _iou(one.box_xyxy, image.boxes_xyxy))
        if len(iou) and iou.max() >= MATCH_IOU:
            found[iou.argmax()] = right[number] = True
    return _Match(seen, found, right)


def _iou(box_xyxy: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return the intersection over union of one box with each of ``boxes_xyxy``, shape (n,)."""
    sides = np.minimum(box_xyxy[2:], boxes_xyxy[:, 2:]) - np.maximum(box_xyxy[:2], boxes_xyxy[:, :2])
    inside = sides.clip(0).prod(1)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(1) + (box_xyxy[2:] - box_xyxy[:2]).prod()
    return inside / np.maximum(areas - inside, 1e-9)


def _pair(image: LabelledImage, match: _Match, label_map: LabelMap) -> tuple[Panel, Panel]:
    size = (image.width, image.height)
    pixels = image.pixels()
    truth = [
        Mark(box_xyxy, name if found else f"missed {name}", *(_FOUND if found else _MISSED))
        for box_xyxy, name, found in zip(image.boxes_xyxy, _names(image, label_map), match.found, strict=True)
    ]
    seen = [
        Mark(one.box_xyxy, one.text if right else f"extra {one.text}", *(_FOUND if right else _EXTRA))
        for one, right in zip(match.seen, match.right, strict=True)
    ]
    score = _score(match.hits, match.truths, match.extra)
    return Panel(lambda: pixels, size, image.path.name, score, truth), Panel(lambda: pixels, size, "", "", seen)


def _score(hits: int, truths: int, extra: int) -> str:
    return f"{hits:,} of {truths:,} found, {extra:,} extra" if truths else f"nothing there, {extra:,} extra"


def _truth_marks(image: LabelledImage, label_map: LabelMap) -> list[Mark]:
    names = _names(image, label_map)
    return [
        Mark(box_xyxy, name, colour_of(int(label)))
        for box_xyxy, name, label in zip(image.boxes_xyxy, names, image.labels, strict=True)
    ]


def _names(image: LabelledImage, label_map: LabelMap) -> list[str]:
    try:
        return [label_map.name(int(label)) for label in image.labels]
    except KeyError as error:
        raise ValueError(f"{image.path}: {error.args[0]}. Give the label map that the labels were made with.") from None


def _share(shown: int, total: int) -> str:
    return counted(total, "photo") if shown == total else f"{shown} of {counted(total, 'photo')}"


def _source(photo: Photo) -> tuple[Callable[[], np.ndarray], tuple[int, int], str]:
    """Return how to decode a photo, its ``(width, height)``, and the file's name or nothing."""
    if isinstance(photo, LabelledImage):
        return photo.pixels, (photo.width, photo.height), photo.path.name
    if isinstance(photo, str | os.PathLike):
        return partial(photos.to_rgb, photo), photos.read_info(photo).upright_size, Path(photo).name
    if not isinstance(photo, Image.Image | np.ndarray):
        raise TypeError(f"A photo must be a path, a Pillow image or an array, got {type(photo).__name__}.")
    pixels = photos.to_rgb(photo)
    return lambda: pixels, (pixels.shape[1], pixels.shape[0]), ""


def _check_images(images: Any, where: str) -> None:
    if isinstance(images, str | os.PathLike | LabelledImage) or not isinstance(images, Sequence):
        raise TypeError(f"{where}: images must be a Dataset or a list of LabelledImage, got {type(images).__name__}.")
    if not images:
        raise ValueError(f"{where}: there are no photos to show. Check what was read or split.")
    for number, image in enumerate(images):
        if not isinstance(image, LabelledImage):
            raise TypeError(f"{where}: image {number} must be a LabelledImage, got {type(image).__name__}.")


def _check_pairs(images: Any, detections: Any, where: str) -> None:
    if isinstance(images, str | os.PathLike):
        raise TypeError(f"{where}: one photo takes one Detections, got {type(detections).__name__}.")
    if len(images) == 0:
        raise ValueError(f"{where}: there are no photos to show, got an empty {type(images).__name__}.")
    if len(images) != len(detections):
        raise ValueError(
            f"{where}: each photo takes its own detections, got {counted(len(images), 'photo')} and "
            f"{len(detections)} detections. Pass both in the same order, one to one."
        )
    for number, one in enumerate(detections):
        if not all(hasattr(one, name) for name in ("xyxy", "confidence", "class_id", "data")):
            raise TypeError(f"{where}: detections {number} must be supervision.Detections, got {type(one).__name__}.")
