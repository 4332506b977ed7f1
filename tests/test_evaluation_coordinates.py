"""evaluation, coordinates: files count as with pycocotools, though boxes are kept as float32 corners."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import one_image, run_pycocotools
from PIL import Image

from tfod_helpers import evaluation, formats
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.evaluation.coordinates import as_written, sides

SIDE = 640


def write_files(folder: Path, seed: int, digits: int) -> None:
    """A COCO file and its results, boxes with so many digits; many overlap by exactly 0.50, 0.55 and so on."""
    random = np.random.default_rng(seed)
    annotations, results = [], []
    for image_id in range(1, 16):
        for _ in range(random.integers(1, 6)):
            x, y = (round(float(n), digits) for n in random.uniform(0, SIDE / 2, 2))
            w, h = (round(20 * float(random.integers(1, 15)) * 10.0**-place, place) for place in (0, min(digits, 1)))
            one = {"image_id": image_id, "category_id": int(random.integers(1, 4)), "bbox": [x, y, w, h]}
            crowd = int(random.random() < 0.05)
            annotations.append(one | {"id": len(annotations) + 1, "area": w * h, "iscrowd": crowd})
            for part in random.choice(np.arange(0.45, 1.01, 0.05), random.integers(0, 4)):
                wide = random.random() < 0.5
                box = [x, y, round(w * float(part), 4), h] if wide else [x, y, w, round(h * float(part), 4)]
                results.append(one | {"bbox": box, "score": round(float(random.random()), 2)})
    images = [{"id": n, "file_name": f"{n}.png", "width": SIDE, "height": SIDE} for n in range(1, 16)]
    categories = [{"id": n, "name": f"class {n}"} for n in (1, 2, 3)]
    (folder / "data").mkdir()
    for image in images:
        Image.new("1", (SIDE, SIDE)).save(folder / "data" / image["file_name"])
    truth = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    (folder / "data/truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))


def by_pycocotools(folder: Path) -> np.ndarray:
    """The twelve numbers from the files alone."""
    return run_pycocotools(folder / "data/truth.json", str(folder / "results.json")).stats


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("digits", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_files_count_as_with_pycocotools(tmp_path: Path, seed: int, digits: int, kind: type) -> None:
    """All twelve numbers agree to 1e-9: boxes of up to four decimals, equal confidences, ids in another order."""
    write_files(tmp_path, seed, digits)
    dataset = formats.coco.read(tmp_path / "data")
    found = formats.coco.read_results(tmp_path / "results.json", tmp_path / "data/truth.json", dataset)
    for one in found:
        one.xyxy = one.xyxy.astype(kind)
    ours = np.array(list(evaluation.score(dataset, found, resamples=0).coco.values()))
    assert np.abs(np.where(np.isnan(ours), -1, ours) - by_pycocotools(tmp_path)).max() < 1e-9
    assert 0.1 < ours[0] < 0.9


def test_an_overlap_of_exactly_four_fifths_counts() -> None:
    """A box of 16.8 of 21 pixels overlaps by 0.8, also where both were kept as float32."""
    image = one_image([[10, 10, 31, 31]], [1])
    box_xyxy = np.array([[10, 10, 26.8, 31]], np.float32)
    found = sv.Detections(xyxy=box_xyxy, class_id=np.array([1]), confidence=np.array([0.9]))
    assert evaluation.score(Dataset((image,), LabelMap(["cat"])), [found], resamples=0).ap == pytest.approx(0.7)


def test_decimals_come_back_and_others_stay() -> None:
    """float32 gives the decimal that was written; what no short decimal gives, and float64, are left as they are."""
    written = np.array([0, 7, 52.3, 511.72, 638.999, 0.0625, 1023.5])
    assert as_written(written.astype(np.float32)).tolist() == written.tolist()
    odd = np.array([1 / 3, 100.123456789])
    assert as_written(odd.astype(np.float32)).tolist() == odd.astype(np.float32).tolist()
    assert as_written(odd).tolist() == odd.tolist()
    assert sides(np.array([[10.1, 0.1, 10.1 + 20.2, 0.1 + 1 / 3]]))[0].tolist() == [20.2]
