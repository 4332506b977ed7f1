"""How long the detections on 5,000 images of 80 classes take to be counted, against pycocotools alone.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --images 500 --repeats 5

Ground truth and detections are random: about 7 objects of 80 classes an image, each matched by some
detections, and wrong ones up to 100. Both sides take turns in one process. Ours goes from the Dataset and its
list of supervision.Detections to COCO's arrays of precision and recall. pycocotools' goes from dicts that are ready
(the COCO object of the ground truth, and the list of results) through loadRes, evaluate and accumulate. Then: the
whole `evaluation.score`, without and with intervals. Fails where a number differs by more than 1e-6.
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
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

sys.path.insert(0, str(Path(__file__).parents[1]))
from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

SIDE, PER_IMAGE, MOST = 640, 7, 100
ALLOWED = 1e-6


def draw(images: int, classes: int, seed: int = 0) -> tuple[Dataset, list[sv.Detections]]:
    """Return images, and the detections of a fair detector: some right, shifted, of a wrong class, of nothing."""
    random = np.random.default_rng(seed)
    truth, detections = [], []
    for number in range(images):
        labels = random.integers(1, classes + 1, random.poisson(PER_IMAGE))
        boxes_xyxy = _boxes(random, len(labels))
        of = np.repeat(np.arange(len(labels)), random.integers(0, 5, len(labels)))[:MOST]
        side = np.tile(boxes_xyxy[of, 2:] - boxes_xyxy[of, :2], 2)
        near_xyxy = boxes_xyxy[of] + random.normal(0, 0.08, (len(of), 4)) * side
        near_xyxy[:, 2:] = np.maximum(near_xyxy[:, 2:], near_xyxy[:, :2] + 1)
        wrong = random.integers(0, MOST - len(of) + 1)
        swapped = random.uniform(size=len(of)) < 0.1
        found_labels = np.where(swapped, random.integers(1, classes + 1, len(of)), labels[of])
        truth.append(LabelledImage(Path(f"{number}.jpg"), SIDE, SIDE, boxes_xyxy, labels))
        detections.append(
            sv.Detections(
                xyxy=np.concatenate([near_xyxy, _boxes(random, wrong)]).astype(np.float32),
                confidence=np.concatenate([random.beta(5, 2, len(of)), random.beta(1, 4, wrong)]).astype(np.float32),
                class_id=np.concatenate([found_labels, random.integers(1, classes + 1, wrong)]),
            )
        )
    return Dataset(tuple(truth), LabelMap([f"class {n}" for n in range(1, classes + 1)])), detections


def _boxes(random: np.random.Generator, count: int) -> np.ndarray:
    low = random.uniform(0, SIDE * 0.9, (count, 2))
    side = np.exp(random.uniform(np.log(8), np.log(SIDE * 0.6), (count, 2)))  # as many small ones as large ones
    return np.concatenate([low, np.minimum(low + side, SIDE)], axis=1)


def as_coco(dataset: Dataset, detections: list[sv.Detections]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return ground truth and detections in COCO's form, boxes as ``[x, y, width, height]``."""
    truth, found = evaluation.flatten(dataset, detections)
    objects, results = (
        [
            {"image_id": int(image), "category_id": int(label), "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for image, label, (x0, y0, x1, y1) in zip(one.image, one.labels, one.boxes_xyxy.tolist(), strict=True)
        ]
        for one in (truth, found)
    )
    for number, annotation in enumerate(objects, start=1):
        wide, high = annotation["bbox"][2:]
        annotation |= {"id": number, "area": wide * high, "iscrowd": 0}
    for result, score in zip(results, found.scores.tolist(), strict=True):
        result["score"] = score
    ground_truth = {
        "info": [],
        "images": [{"id": n, "width": image.width, "height": image.height} for n, image in enumerate(dataset)],
        "categories": [{"id": id, "name": name} for id, name in enumerate(dataset.label_map, start=1)],
        "annotations": objects,
    }
    return ground_truth, results


def by_pycocotools(coco: COCO, results: list[dict[str, Any]]) -> COCOeval:
    """Count as published numbers are counted."""
    with contextlib.redirect_stdout(io.StringIO()):
        counted = COCOeval(coco, coco.loadRes(results), "bbox")
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
    chosen = parser.parse_args()
    dataset, detections = draw(chosen.images, chosen.classes)
    truth, results = as_coco(dataset, detections)
    coco = COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        coco.dataset = truth
        coco.createIndex()
    print(f"{len(dataset):,} images, {len(truth['annotations']):,} objects, {len(results):,} detections")

    times: dict[str, list[float]] = {"ours": [], "of that laying out": [], "pycocotools": []}
    for _ in range(chosen.repeats):
        laying_out, flat = timed(lambda: evaluation.flatten(dataset, detections))
        counting, counts = timed(lambda flat=flat: evaluation.count(*flat))
        copies = [dict(one) for one in results]  # loadRes writes into them
        reference, counted = timed(lambda copies=copies: by_pycocotools(coco, copies))
        for name, took in zip(times, (laying_out + counting, laying_out, reference), strict=True):
            times[name].append(took)
    for name, took in times.items():
        print(f"{name:20} median {statistics.median(took):8.3f} s  ({', '.join(f'{one:.3f}' for one in took)})")
    for resamples in (0, 1000):
        took, result = timed(lambda n=resamples: evaluation.score(dataset, detections, resamples=n))
        print(f"score, {resamples:4} resamples        {took:8.3f} s")
    print(str(result).splitlines()[0])

    ratio = statistics.median(times["pycocotools"]) / statistics.median(times["ours"])
    difference = max(
        float(np.abs(counted.eval[name] - getattr(counts, name)).max()) for name in ("precision", "recall")
    )
    print(f"{ratio:.1f} times as fast as pycocotools; greatest difference {difference:.2g}")
    if not difference <= ALLOWED:
        sys.exit(f"The counts differ by {difference}, more than {ALLOWED} allows.")


if __name__ == "__main__":
    main()
