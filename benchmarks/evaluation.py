"""How long the detections on 5,000 images of 80 classes take to be counted, against pycocotools alone.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --images 500 --repeats 5
    python benchmarks/evaluation.py --masks --images 500

Ground truth and detections are random: about 7 objects of 80 classes an image, each matched by some
detections, and wrong ones up to 100. Both sides take turns in one process. Ours goes from the Dataset and its
list of supervision.Detections to COCO's arrays of precision and recall. pycocotools' goes from dicts that are ready
(the COCO object of the ground truth, and the list of results) through loadRes, evaluate and accumulate. With --masks
the photos are of 640 x 480 pixels, each box has a mask, run-length encoded on both sides, and the overlap of masks is
counted (segm). Then: the whole `evaluation.score`, without and with intervals. Fails where a number differs by more
than 1e-6.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from pycocotools import mask as coder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

sys.path.insert(0, str(Path(__file__).parents[1]))
from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.evaluation import masks as of_masks

SIDE, PER_IMAGE, MOST = 640, 7.3, 100
MASK_SIZE, POINTS = (480, SIDE), 32  # height and width of photos with masks; corners of an outline
ALLOWED = 1e-6


def draw(images: int, classes: int, seed: int = 0, *, masks: bool = False) -> tuple[Dataset, list[sv.Detections]]:
    """Return images, and the detections of a fair detector: some right, shifted, of a wrong class, of nothing."""
    random = np.random.default_rng(seed)
    height, width = MASK_SIZE if masks else (SIDE, SIDE)
    truth, detections = [], []
    for number in range(images):
        labels = random.integers(1, classes + 1, random.poisson(PER_IMAGE))
        boxes_xyxy = _boxes(random, len(labels), (width, height))
        of = np.repeat(np.arange(len(labels)), random.integers(0, 5, len(labels)))[:MOST]
        side = np.tile(boxes_xyxy[of, 2:] - boxes_xyxy[of, :2], 2)
        near_xyxy = boxes_xyxy[of] + random.normal(0, 0.08, (len(of), 4)) * side
        near_xyxy[:, 2:] = np.maximum(near_xyxy[:, 2:], near_xyxy[:, :2] + 1)
        wrong = random.integers(0, MOST - len(of) + 1)
        swapped = random.uniform(size=len(of)) < 0.1
        found_labels = np.where(swapped, random.integers(1, classes + 1, len(of)), labels[of])
        found_xyxy = np.concatenate([near_xyxy, _boxes(random, wrong, (width, height))]).astype(np.float32)
        outlines = random.uniform(0.5, 1, (len(labels), POINTS))
        found_outlines = np.concatenate([outlines[of], random.uniform(0.5, 1, (wrong, POINTS))])
        found_outlines *= random.normal(1, 0.03, found_outlines.shape)
        codes = _encoded(boxes_xyxy, outlines).tolist() if masks else None
        truth.append(LabelledImage(Path(f"{number}.jpg"), width, height, boxes_xyxy, labels, masks=codes))
        detections.append(
            sv.Detections(
                xyxy=found_xyxy,
                data={"rle": _encoded(found_xyxy, found_outlines)} if masks else {},
                confidence=np.concatenate([random.beta(5, 2, len(of)), random.beta(1, 4, wrong)]).astype(np.float32),
                class_id=np.concatenate([found_labels, random.integers(1, classes + 1, wrong)]),
            )
        )
    return Dataset(tuple(truth), LabelMap([f"class {n}" for n in range(1, classes + 1)])), detections


def _boxes(random: np.random.Generator, count: int, size: tuple[int, int]) -> np.ndarray:
    low = random.uniform(0, np.multiply(size, 0.9), (count, 2))
    side = np.exp(random.uniform(np.log(8), np.log(np.multiply(size, 0.6)), (count, 2)))  # as many small ones as large
    return np.concatenate([low, np.minimum(low + side, size)], axis=1)


def _encoded(boxes_xyxy: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """Return masks within boxes, their corners at these shares of the way from the middle to the edge."""
    around = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    middle, half = (boxes_xyxy[:, 2:] + boxes_xyxy[:, :2]) / 2, (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2
    ways = np.stack([np.cos(around), np.sin(around)], axis=1)
    points = middle[:, None] + half[:, None] * outlines[..., None] * ways
    coded = [coder.merge(coder.frPyObjects([one.ravel().tolist()], *MASK_SIZE))["counts"] for one in points]
    return np.array(coded, object)


def as_coco(dataset: Dataset, detections: list[sv.Detections]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return ground truth and detections in COCO's form, boxes as ``[x, y, width, height]``."""
    truth, found = evaluation.flatten(dataset, detections)
    objects, results = (
        [
            {"image_id": int(image), "category_id": int(label)}
            | ({"bbox": [x0, y0, x1 - x0, y1 - y0]} if code is None else {"segmentation": _with_size(code)})
            for image, label, (x0, y0, x1, y1), code in zip(
                one.image,
                one.labels,
                one.boxes_xyxy.tolist(),
                [None] * len(one.labels) if one.masks is None else one.masks,
                strict=True,
            )
        ]
        for one in (truth, found)
    )
    for number, (annotation, area) in enumerate(zip(objects, truth.area.tolist(), strict=True), start=1):
        annotation |= {"id": number, "area": area, "iscrowd": 0}
    for result, score in zip(results, found.scores.tolist(), strict=True):
        result["score"] = score
    ground_truth = {
        "info": [],
        "images": [{"id": n, "width": image.width, "height": image.height} for n, image in enumerate(dataset)],
        "categories": [{"id": id, "name": name} for id, name in enumerate(dataset.label_map, start=1)],
        "annotations": objects,
    }
    return ground_truth, results


def _with_size(code: bytes) -> dict[str, Any]:
    return {"size": list(MASK_SIZE), "counts": code}


def by_us(dataset: Dataset, truth: Any, found: Any) -> Any:
    """Count with this package."""
    areas = None if found.masks is None else of_masks.measure(dataset, truth, found)
    return evaluation.count(truth, found, areas)


def by_pycocotools(coco: COCO, results: list[dict[str, Any]], kind: str) -> COCOeval:
    """Count as published numbers are counted."""
    with contextlib.redirect_stdout(io.StringIO()):
        counted = COCOeval(coco, coco.loadRes(results), kind)
        counted.evaluate()
        counted.accumulate()
    return counted


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, and what it returns."""
    started = time.perf_counter()
    made = function()
    return time.perf_counter() - started, made


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--masks", action="store_true", help="count masks instead of boxes")
    chosen = parser.parse_args()
    dataset, detections = draw(chosen.images, chosen.classes, masks=chosen.masks)
    truth, results = as_coco(dataset, detections)
    coco = COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        coco.dataset = truth
        coco.createIndex()
    print(f"{len(dataset):,} images, {len(truth['annotations']):,} objects, {len(results):,} detections")

    times: dict[str, list[float]] = {"ours": [], "of that laying out": [], "pycocotools": []}
    for _ in range(chosen.repeats):
        laying_out, flat = timed(lambda: evaluation.flatten(dataset, detections))
        counting, counts = timed(lambda flat=flat: by_us(dataset, *flat))
        copies = [dict(one) for one in results]  # loadRes writes into them
        kind = "segm" if chosen.masks else "bbox"
        reference, counted = timed(lambda copies=copies, kind=kind: by_pycocotools(coco, copies, kind))
        for name, took in zip(times, (laying_out + counting, laying_out, reference), strict=True):
            times[name].append(took)
    for name, took in times.items():
        print(f"{name:20} median {statistics.median(took):8.3f} s  ({', '.join(f'{one:.3f}' for one in took)})")
    for resamples in (0, 1000):
        took, result = timed(lambda n=resamples: evaluation.score(dataset, detections, resamples=n))
        print(f"score, {resamples:4} resamples        {took:8.3f} s")
    print(*str(result).splitlines()[: 2 if chosen.masks else 1], sep="\n")

    ratio = statistics.median(times["pycocotools"]) / statistics.median(times["ours"])
    difference = max(
        float(np.abs(counted.eval[name] - getattr(counts, name)).max()) for name in ("precision", "recall")
    )
    print(f"{ratio:.1f} times as fast as pycocotools; greatest difference {difference:.2g}")
    if not difference <= ALLOWED:
        sys.exit(f"The counts differ by {difference}, more than {ALLOWED} allows.")


if __name__ == "__main__":
    main()
