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

from tfod_helpers import evaluation, photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.pictures.grid import Mark, Panel, draw_grid, spread
from tfod_helpers.pictures.picture import BLUE, VERMILLION, YELLOW, Picture, colour_of, counted

if TYPE_CHECKING:
    from supervision import Detections

    Photo = str | os.PathLike[str] | Image.Image | np.ndarray | LabelledImage

_MATCH_IOU = 0.5  # from here on a box counts as found: the IoU of AP50
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
        seen = _sure(raw, threshold)
        found += len(seen)
        read, size, name = _source(photo)
        panels.append(Panel(read, size, name, f"{len(seen)} found", _class_marks(seen)))
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
        ValueError: no photos, not one set of detections for each, or detections without class or confidence.
        TypeError: ``dataset`` is no dataset, or something that is no detections.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"show_predictions: the truth must be a Dataset, got {type(dataset).__name__}.")
    _check_pairs(dataset, detections, "show_predictions")
    if any(len(one) and (one.class_id is None or one.confidence is None) for one in detections):
        raise ValueError("show_predictions: detections need class_id and confidence to be compared with the truth.")
    results = [_match(image, _sure(raw, threshold)) for image, raw in zip(dataset, detections, strict=True)]
    order = range(len(dataset))
    if worst_first:
        order = sorted(order, key=lambda index: -results[index].mistakes)[:count]
    chosen = spread(order, count)
    panels = [panel for index in chosen for panel in _pair(dataset[index], results[index], dataset.label_map)]
    hits, truths, extra = (sum(part) for part in zip(*((r.hits, r.truths, r.extra) for r in results), strict=True))
    headline = f"{_score(hits, truths, extra)} in {counted(len(dataset), 'photo')}"
    if len(chosen) < len(dataset):
        headline += f". Here: {'the ' * worst_first}{len(chosen)}{' worst' if worst_first else ' of them'}"
    legend = [
        Mark((), f"found (IoU {_MATCH_IOU} up)", *_FOUND),
        Mark((), "missed", *_MISSED),
        Mark((), f"extra (confidence {threshold:.2f} up)", *_EXTRA),
    ]
    return draw_grid(panels, columns, headline, pairs=True, legend=legend, hint="left: truth, right: detector")


@dataclass(frozen=True)
class _Match:
    """Detections of one photo and, as `evaluation.match` gives it, the true box that each found, or -1."""

    seen: Detections
    pairs: np.ndarray
    truths: int

    @property
    def hits(self) -> int:
        return int((self.pairs >= 0).sum())

    @property
    def extra(self) -> int:
        return len(self.pairs) - self.hits

    @property
    def mistakes(self) -> int:
        return self.truths - self.hits + self.extra


def _match(image: LabelledImage, seen: Detections) -> _Match:
    pairs = np.zeros(0, int)
    if seen.class_id is not None and seen.confidence is not None:
        pairs = evaluation.match(seen.xyxy, seen.class_id, seen.confidence, image.boxes_xyxy, image.labels, _MATCH_IOU)
    return _Match(seen, pairs, len(image.labels))


def _sure(detections: Detections, threshold: float) -> Detections:
    """Return the detections of enough confidence, the surest first."""
    if detections.confidence is None:
        return detections
    order = np.argsort(-detections.confidence, kind="stable")
    return detections[order[detections.confidence[order] >= threshold]]


def _texts(seen: Detections) -> list[str]:
    """Return what the labels of detections say: class and confidence, as far as they are known."""
    ids = np.zeros(len(seen), int) if seen.class_id is None else seen.class_id
    names = seen.data.get("class_name", [f"class {id}" if id else "object" for id in ids])
    if seen.confidence is None:
        return list(map(str, names))
    return [f"{name} {confidence:.2f}" for name, confidence in zip(names, seen.confidence, strict=True)]


def _class_marks(seen: Detections) -> list[Mark]:
    ids = np.ones(len(seen), int) if seen.class_id is None else seen.class_id
    return [Mark(box, text, colour_of(int(id))) for box, text, id in zip(seen.xyxy, _texts(seen), ids, strict=True)]


def _pair(image: LabelledImage, match: _Match, label_map: LabelMap) -> tuple[Panel, Panel]:
    size = (image.width, image.height)
    pixels = image.pixels()
    truth = [
        Mark(box_xyxy, name, *_FOUND) if index in match.pairs else Mark(box_xyxy, f"missed {name}", *_MISSED)
        for index, (box_xyxy, name) in enumerate(zip(image.boxes_xyxy, _names(image, label_map), strict=True))
    ]
    seen = [
        Mark(box_xyxy, text, *_FOUND) if pair >= 0 else Mark(box_xyxy, f"extra {text}", *_EXTRA)
        for box_xyxy, text, pair in zip(match.seen.xyxy, _texts(match.seen), match.pairs, strict=True)
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
