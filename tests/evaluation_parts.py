"""What the tests of the evaluation share: made-up data sets, detections and curves, and pycocotools' counts."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import supervision as sv
from numpy.typing import ArrayLike
from pycocotools import mask as coder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, masks

SIDE = 500


def detections(boxes_xyxy: ArrayLike, class_ids: ArrayLike, confidences: ArrayLike) -> sv.Detections:
    """Detections of one image."""
    if not len(boxes_xyxy):
        return sv.Detections.empty()
    return sv.Detections(
        xyxy=np.array(boxes_xyxy, np.float32),
        class_id=np.array(class_ids),
        confidence=np.array(confidences, np.float32),
    )


def one_image(boxes_xyxy: ArrayLike, labels: ArrayLike, number: int = 0, **more: Any) -> LabelledImage:
    """An image without a file."""
    return LabelledImage(Path(f"{number}.jpg"), SIDE, SIDE, np.array(boxes_xyxy, float).reshape(-1, 4), labels, **more)


def made_up(
    seed: int, images: int = 25, classes: int = 3, *, objects: float = 3, ghosts: int = 3, crowds: float = 0.0
) -> tuple[Dataset, list[sv.Detections]]:
    """Images, some empty, and detections: right, shifted, of a wrong class, of nothing, with equal confidences.

    The last class has no object; a tenth of the detections is of a class that its image lacks.
    """
    random = np.random.default_rng(seed)
    truth, found = [], []
    for number in range(images):
        count = int(random.poisson(objects)) if number else max(1, int(objects))
        boxes_xyxy = _boxes(random, count)
        labels = random.integers(1, max(classes, 2), count)
        of = np.repeat(np.arange(count), random.integers(0, 4, count))
        side = np.tile(boxes_xyxy[of, 2:] - boxes_xyxy[of, :2], 2)
        near_xyxy = boxes_xyxy[of] + random.normal(0, 0.1, side.shape) * side
        near_xyxy[:, 2:] = np.maximum(near_xyxy[:, 2:], near_xyxy[:, :2] + 1)
        wrong = random.uniform(size=len(of)) < 0.1
        names = np.where(wrong, random.integers(1, classes + 1, len(of)), labels[of])
        scores = np.round(np.concatenate([random.beta(4, 2, len(of)), random.beta(1, 3, ghosts)]), 2)
        truth.append(one_image(boxes_xyxy, labels, number, crowd=random.uniform(size=count) < crowds))
        found.append(
            detections(
                np.concatenate([near_xyxy, _boxes(random, ghosts)]),
                np.concatenate([names, random.integers(1, classes + 1, ghosts)]),
                scores,
            )
        )
    return Dataset(tuple(truth), LabelMap([f"class {n}" for n in range(1, classes + 1)])), found


def _boxes(random: np.random.Generator, count: int) -> np.ndarray:
    low = random.uniform(0, SIDE * 0.6, (count, 2))
    return np.concatenate([low, low + np.exp(random.uniform(np.log(8), np.log(SIDE * 0.4), (count, 2)))], axis=1)


def with_masks(dataset: Dataset, found: list[sv.Detections], seed: int) -> tuple[Dataset, list[sv.Detections]]:
    """The same with a mask for each box: an ellipse about as large, of a detection a bit another one."""
    random = np.random.default_rng(seed)
    images, seen = [], []
    for image, one in zip(dataset, found, strict=True):
        drawn = [_ellipse(random, box_xyxy, image) for box_xyxy in image.boxes_xyxy]
        images.append(replace(image, masks=tuple(map(masks.encode, drawn))))
        pixels = [_ellipse(random, box_xyxy, image) for box_xyxy in one.xyxy]
        mask = np.array(pixels, bool).reshape(-1, image.height, image.width)
        seen.append(replace(one, mask=mask))
    return replace(dataset, images=tuple(images)), seen


def _ellipse(random: np.random.Generator, box_xyxy: np.ndarray, image: LabelledImage) -> np.ndarray:
    (x0, y0, x1, y1), share = box_xyxy.tolist(), random.uniform(0.6, 1.2)
    x, y = (np.arange(side) + 0.5 for side in (image.width, image.height))
    away = (2 * (x - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((2 * (y - (y0 + y1) / 2) / (y1 - y0)) ** 2)[:, None]
    return away < share


def by_pycocotools(dataset: Dataset, found: list[sv.Detections], kind: str = "bbox") -> COCOeval:
    """COCO's counts, without this project's conversions; of masks where the kind is segm."""
    annotations, results = [], []
    for n, (image, seen) in enumerate(zip(dataset, found, strict=True)):
        for (x0, y0, x1, y1), label, crowd in zip(image.boxes_xyxy.tolist(), image.labels, image.crowd, strict=True):
            place = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": int(crowd)}
            annotations.append({"id": len(annotations) + 1, "image_id": n, "category_id": int(label), **place})
        mine = annotations[len(annotations) - len(image.labels) :]
        size = [image.height, image.width]
        for one, counts in zip(mine, image.masks or (), strict=bool(image.masks)):
            one["segmentation"] = {"size": size, "counts": counts}
            one["area"] = float(coder.area(one["segmentation"]))
        for one, area in zip(mine, [] if image.areas is None else image.areas.tolist(), strict=image.areas is not None):
            one["area"] = area
        for k, (x0, y0, x1, y1) in enumerate(seen.xyxy.tolist()):
            place = {"bbox": [x0, y0, x1 - x0, y1 - y0]}
            if kind == "segm":
                place = {"segmentation": coder.encode(np.asfortranarray(seen.mask[k], np.uint8))}
            one = {"image_id": n, "category_id": int(seen.class_id[k]), **place}
            results.append({**one, "score": float(seen.confidence[k])})
    truth = {
        "info": [],
        "images": [{"id": n, "width": image.width, "height": image.height} for n, image in enumerate(dataset)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(dataset.label_map, 1)],
        "annotations": annotations,
    }
    return run_pycocotools(truth, results, kind)


def run_pycocotools(truth: Path | dict[str, Any], results: str | list[dict[str, Any]], kind: str = "bbox") -> COCOeval:
    """COCO's own counting of boxes or masks, silent; truth and results are files, or what is in them."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(truth if isinstance(truth, Path) else None)
        if isinstance(truth, dict):
            coco.dataset = truth
            coco.createIndex()
        counted = COCOeval(coco, coco.loadRes(results), kind)
        counted.evaluate()
        counted.accumulate()
        counted.summarize()
    return counted


def curve(ap: list[float], width: float, images: tuple[int, ...] = (50, 100, 150, 200)) -> pd.DataFrame:
    """A learning curve whose intervals have this width."""
    table = pd.DataFrame({"images": images, "ap": ap, "ap50": np.minimum(np.array(ap) + 0.3, 1)})
    for name in ("ap", "ap50"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - width / 2, table[name] + width / 2
    return table
