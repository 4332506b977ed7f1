"""Photos with their ground truth, with detections, and with both beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers import evaluation, photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, masks
from tfod_helpers.annotations.appearance import BLUE, VERMILLION, YELLOW, colour_of
from tfod_helpers.evaluation.matching import overlapping_pairs
from tfod_helpers.pictures.gallery import draw_gallery, in_rows, spread
from tfod_helpers.pictures.panels import Mark, Panel
from tfod_helpers.pictures.picture import FAINT, Picture, counted

if TYPE_CHECKING:
    import pandas as pd
    from supervision import Detections

    from tfod_helpers.detector import Photo

_MATCH_IOU = 0.5  # from here on an object counts as detected: the IoU of AP50
_FOUND, _MISSED, _EXTRA = (BLUE, "solid"), (VERMILLION, "dashed"), (YELLOW, "dashed")
_UNCOUNTED = (FAINT, "dotted")
_LEGEND = [
    Mark((), f"true positive (IoU ≥ {_MATCH_IOU})", *_FOUND),
    Mark((), "false negative", *_MISSED),
    Mark((), "false positive", *_EXTRA),
    Mark((), "not counted", *_UNCOUNTED),
]


def show_images(
    images: Dataset | Sequence[LabelledImage],
    *,
    label_map: LabelMap | None = None,
    count: int = 9,
    columns: int = 3,
    seed: int | None = None,
) -> Picture:
    """Show photos with their labelled boxes, and masks where they have some.

    What a detector suggests and nobody has confirmed is dashed, with its confidence, and is not counted as labelled.

    Args:
        images: a dataset, or labelled images and the ``label_map`` that their labels point into.
        label_map: the classes; a dataset brings its own.
        count: photos to show at most, evenly spaced over ``images``.
        columns: photos beside each other.
        seed: sample the photos instead; the same seed shows the same ones.

    Raises:
        ValueError: no images, no label map, or a label that is not in it.
        TypeError: something that is no labelled image.
    """
    label_map = label_map or getattr(images, "label_map", None)
    _check_images(images)
    if label_map is None:
        raise ValueError("show_images: a list of images brings no class names. Give label_map=LabelMap([...]) too.")
    chosen = spread(images, count, seed)
    panels = [
        Panel(image.pixels, (image.width, image.height), _labelled(image, label_map), image.path.name)
        for image in chosen
    ]
    suggested = sum(len(image.labels) for image in images if image.scores is not None)
    boxes = sum(len(image.labels) for image in images) - suggested
    words = [counted(boxes, "labelled box", "labelled boxes")] if boxes or not suggested else []
    words += [counted(suggested, "suggested box", "suggested boxes")] if suggested else []
    headline = f"{_share(len(chosen), len(images))}, {', '.join(words)}: {label_map.describe()}"
    return draw_gallery(in_rows([[panel] for panel in panels], columns), headline)


def show_detections(
    images: Iterable[Photo] | Photo,
    detections: Sequence[Detections] | Detections,
    *,
    count: int = 12,
    columns: int = 3,
    threshold: float = 0.3,
) -> Picture:
    """Show photos with what a detector found in them, masks too where it finds some.

    Args:
        images: one photo or several, as `Detector.detect` takes them; of a generator nothing is left after that, so
            make a list of it first.
        detections: what `Detector.detect` returned for them, one for each photo; ``xyxy`` in pixels.
        count: photos to show at most, evenly spaced over ``images``.
        columns: photos beside each other.
        threshold: detections of lower confidence are left out.

    Raises:
        ValueError: no photos, or not one set of detections for each.
        TypeError: something that is no photo or no detections.
    """
    several, each = _as_lists(images, detections)
    _check_pairs(several, each, "show_detections")
    chosen = spread(list(zip(several, each, strict=True)), count)
    groups, found = [], 0
    for photo, raw in chosen:
        kept = _above(raw, threshold)
        found += len(kept)
        read, size, name = _source(photo)
        ids = [1] * len(kept) if kept.class_id is None else kept.class_id.tolist()
        marks = [
            Mark(box, text, colour_of(id), mask=mask)
            for box, text, id, mask in zip(kept.xyxy, _texts(kept), ids, _masks(kept), strict=True)
        ]
        groups.append([Panel(read, size, marks, name, counted(len(kept), "detection"))])
    headline = f"{_share(len(chosen), len(several))}, {counted(found, 'detection')} at confidence ≥ {threshold:.2f}"
    return draw_gallery(in_rows(groups, columns), headline)


def show_predictions(
    dataset: Dataset,
    detections: Sequence[Detections],
    *,
    count: int = 6,
    columns: int = 2,
    threshold: float = 0.3,
    worst_first: bool = False,
) -> Picture:
    """Show ground truth and detections beside each other: true positives, false negatives and false positives.

    A detection is a true positive where it overlaps an object of its class, that none of higher confidence matches,
    with an IoU of 0.5 or more: the counting of AP50. A right box with a wrong class is therefore both a false
    negative and a false positive. Crowds, difficult objects and detections of their class on them do not count.

    Args:
        dataset: labelled photos.
        detections: of a detector, one for each photo; ``class_id`` as in the label map, or ``data["class_name"]``,
            which goes first. Those of classes that the dataset lacks are left out.
        count: pairs to show at most, evenly spaced over the dataset.
        columns: pairs beside each other.
        threshold: detections of lower confidence are left out.
        worst_first: show the photos with the most mistakes instead.

    Raises:
        ValueError: no photos, not one set of detections for each, detections without class or confidence, or no class
            in common.
        TypeError: ``dataset`` is no dataset, or something that is no detections.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"show_predictions: the ground truth must be a Dataset, got {type(dataset).__name__}.")
    _check_pairs(dataset, detections, "show_predictions")
    everything = sum(len(_above(raw, threshold)) for raw in detections)
    detections, _ = evaluation.by_name(dataset.label_map, detections)
    if any(len(one) and (one.class_id is None or one.confidence is None) for one in detections):
        raise ValueError("show_predictions: detections need class_id and confidence to be matched with the labels.")
    found = [_above(raw, threshold) for raw in detections]
    objects = [_matched(image, one) for image, one in zip(dataset, found, strict=True)]
    hits = np.array([(one >= 0).sum() for one in objects])
    missed = np.array([image.counted.sum() for image in dataset]) - hits
    extra = np.array([(one == -1).sum() for one in objects])
    order = list(range(len(dataset)))
    if worst_first:
        order = np.argsort(-(missed + extra), kind="stable")[:count].tolist()
    chosen = spread(order, count)
    headline = f"{hits.sum()} of {counted((hits + missed).sum(), 'object')} detected"
    headline += f", {counted(extra.sum(), 'false positive')}"
    if strange := everything - sum(map(len, found)):
        headline += f", {strange} of other classes"
    if uncounted := sum(len(image.labels) for image in dataset) - (hits + missed).sum():
        headline += f", {uncounted} not counted"
    if len(chosen) < len(dataset):
        shown = f"the {len(chosen)} worst" if worst_first else f"{len(chosen)}"
        headline += f"; {shown} of {counted(len(dataset), 'photo')}"
    hint = f"right: ≥ {threshold:.2f}" if uncounted else f"left: labels, right: detections ≥ {threshold:.2f}"
    pairs = [_pair(dataset[index], dataset.label_map, found[index], objects[index]) for index in chosen]
    return draw_gallery(in_rows(pairs, columns), headline, legend=_LEGEND[: None if uncounted else -1], hint=hint)


def _matched(image: LabelledImage, found: Detections) -> np.ndarray:
    """Return the object that each detection matches, -1, or -2 where it is on one that does not count: shape (n,)."""
    if found.class_id is None or found.confidence is None:
        return np.zeros(0, int)
    real, rest = np.flatnonzero(image.counted), np.flatnonzero(~image.counted)
    seen, truth_xyxy, labels = (found.xyxy, found.class_id), image.boxes_xyxy.astype(float), image.labels
    objects = evaluation.match(*seen, found.confidence, truth_xyxy[real], labels[real], _MATCH_IOU)
    objects = np.append(real, -1)[objects]
    on_rest = overlapping_pairs(*seen, truth_xyxy[rest], labels[rest], _MATCH_IOU, image.crowd[rest]).detection
    objects[on_rest] = np.where(objects[on_rest] < 0, -2, objects[on_rest])
    return objects


def show_ranking(ranking: pd.DataFrame, count: int = 8, *, columns: int = 4) -> Picture:
    """Show the photos that `labelling.rank` chose, the one to label first at the top left, each with the reason.

    Args:
        ranking: what that returned.
        count: photos to show at most, from the top.
        columns: photos beside each other.

    Raises:
        ValueError: ``count`` or ``columns`` is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    panels = []
    for number, row in enumerate(ranking.head(count).to_dict("records"), start=1):
        read, size, name = _source(row["path"])
        panels.append([Panel(read, size, title=f"{number}. {name}", caption=row["reason"])])
    shown = f"; the first {len(panels)}" if len(panels) < len(ranking) else ""
    return draw_gallery(in_rows(panels, columns), f"{counted(len(ranking), 'photo')} to label next{shown}", lines=3)


def _pair(image: LabelledImage, label_map: LabelMap, found: Detections, objects: np.ndarray) -> tuple[Panel, Panel]:
    size = (image.width, image.height)
    labelled = [
        Mark(
            mark.box_xyxy,
            mark.text,
            *((_FOUND if number in objects else _MISSED) if counts else _UNCOUNTED),
            mark.mask,
        )
        for number, (mark, counts) in enumerate(zip(_labelled(image, label_map), image.counted, strict=True))
    ]
    detected = [
        Mark(box_xyxy, text, *(_FOUND if number >= 0 else (_EXTRA, _UNCOUNTED)[-number - 1]), mask)
        for box_xyxy, text, number, mask in zip(found.xyxy, _texts(found), objects, _masks(found), strict=True)
    ]
    hits = int((objects >= 0).sum())
    note = f"{hits} of {image.counted.sum()} detected, {(objects == -1).sum()} false"
    return Panel(image.pixels, size, labelled, image.path.name, note), Panel(image.pixels, size, detected)


def _above(detections: Detections, threshold: float) -> Detections:
    """Return the detections of enough confidence, the highest first."""
    if detections.confidence is None:
        return detections
    order = np.argsort(-detections.confidence, kind="stable")
    kept: Any = detections[order[detections.confidence[order] >= threshold]]
    return kept


def _texts(found: Detections) -> list[str]:
    """Return what the labels of detections say: class and confidence, as far as they are known."""
    ids = [0] * len(found) if found.class_id is None else found.class_id.tolist()
    names = found.data.get("class_name", [f"class {id}" if id else "object" for id in ids])
    if found.confidence is None:
        return list(map(str, names))
    return [f"{name} {confidence:.2f}" for name, confidence in zip(names, found.confidence, strict=True)]


def _masks(found: Detections) -> Sequence[bytes | None]:
    """Return the mask of each detection, encoded; None where they have none."""
    if evaluation.RLE in found.data:
        return list(found.data[evaluation.RLE])
    if found.mask is None:
        return [None] * len(found)
    return [masks.encode(np.asarray(found.mask[number])) for number in range(len(found))]


def _labelled(image: LabelledImage, label_map: LabelMap) -> list[Mark]:
    masks = image.masks or [None] * len(image.labels)
    if image.scores is None:
        words, dashes = [""] * len(masks), "solid"
    else:
        words, dashes = [f" {score:.2f}" for score in image.scores], "dashed"
    try:
        return [
            Mark(box_xyxy, f"{label_map.name(label)}{word}", colour_of(label), dashes, mask)
            for box_xyxy, label, word, mask in zip(image.boxes_xyxy, image.labels.tolist(), words, masks, strict=True)
        ]
    except KeyError as error:
        raise ValueError(f"{image.path}: {error.args[0]}. Give the label map that the labels were made with.") from None


def _share(shown: int, total: int) -> str:
    return counted(total, "photo") if shown == total else f"{shown} of {counted(total, 'photo')}"


def _as_lists(images: Any, detections: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return photos and their detections as two lists, where one of each was given too."""
    if hasattr(detections, "xyxy"):
        return [images], [detections]
    some = None if isinstance(images, LabelledImage) else photos.several(images)
    if some is None:
        raise TypeError(f"show_detections: one photo takes one Detections, got {type(detections).__name__}.")
    return list(some), list(detections)


def _source(photo: Photo) -> tuple[Callable[[], np.ndarray], tuple[int, int], str]:
    """Return how to decode a photo, its ``(width, height)``, and the file's name or nothing."""
    if isinstance(photo, LabelledImage):
        return photo.pixels, (photo.width, photo.height), photo.path.name
    if isinstance(photo, str | os.PathLike):
        return partial(photos.to_rgb, photo), photos.read_info(photo).upright_size, Path(photo).name
    pixels = photos.to_rgb(photo)
    return lambda: pixels, (pixels.shape[1], pixels.shape[0]), ""


def _check_images(images: Any) -> None:
    if isinstance(images, str | os.PathLike | LabelledImage) or not isinstance(images, Sequence):
        raise TypeError(f"show_images takes a Dataset or a list of LabelledImage, got {type(images).__name__}.")
    if not images:
        raise ValueError("show_images: there are no photos to show. Check what was read or split.")
    for number, image in enumerate(images):
        if not isinstance(image, LabelledImage):
            raise TypeError(f"show_images: image {number} must be a LabelledImage, got {type(image).__name__}.")


def _check_pairs(images: Any, detections: Any, where: str) -> None:
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
