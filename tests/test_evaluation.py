"""Evaluation: the numbers are COCO's, the matching is right, and what cannot be scored is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import run_pycocotools

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.evaluation.confidence import calibrate

LABEL_MAP = LabelMap(["cat", "dog", "owl"])


def found(boxes_xyxy: list, class_ids: list[int], confidences: list[float]) -> sv.Detections:
    """Detections of one image."""
    if not boxes_xyxy:
        return sv.Detections.empty()
    return sv.Detections(
        xyxy=np.array(boxes_xyxy, np.float32), class_id=np.array(class_ids), confidence=np.array(confidences)
    )


def made_up(seed: int, images: int = 25) -> tuple[Dataset, list[sv.Detections]]:
    """Images of two classes of three, and detections of which some are right, some shifted, some of no object."""
    random = np.random.default_rng(seed)
    truth, detections = [], []
    for number in range(images):
        n = int(random.integers(0, 5))
        low = random.uniform(0, 300, (n, 2))
        boxes = np.concatenate([low, low + random.uniform(5, 180, (n, 2))], axis=1)
        boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, 500)
        boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, 480)
        labels = random.integers(1, 3, n)
        truth.append(LabelledImage(Path(f"{number}.jpg"), 500, 480, boxes, labels))
        shifted = boxes + random.normal(0, 8, boxes.shape)
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 1)
        ghosts = np.tile([10.0, 10.0, 90.0, 70.0], (2, 1)) + random.uniform(0, 100, (2, 1))
        swapped = np.where(random.uniform(size=n) < 0.2, 3 - labels, labels)
        detections.append(
            found(
                [*shifted, *ghosts],
                [*swapped, 1, 2],
                [*random.uniform(0.3, 1, n), *random.uniform(0, 0.5, 2)],
            )
        )
    return Dataset(truth, LABEL_MAP), detections


def with_crowds(dataset: Dataset, seed: int) -> Dataset:
    """The same images, each with a box around a crowd of class 1 at its bottom right."""
    random = np.random.default_rng(seed)
    images = []
    for image in dataset:
        crowd_xyxy = [*random.uniform(200, 300, 2), 500, 480]
        images.append(
            LabelledImage(
                image.path, 500, 480, [*image.boxes_xyxy.tolist(), crowd_xyxy], [*image.labels, 1],
                crowd=[False] * len(image.labels) + [True],
            )
        )  # fmt: skip
    return Dataset(tuple(images), dataset.label_map)


def by_hand(dataset: Dataset, detections: list[sv.Detections], folder: Path) -> np.ndarray:
    """COCO's twelve numbers by way of files, without this project's conversions."""
    annotations, results = [], []
    for n, (image, seen) in enumerate(zip(dataset, detections, strict=True)):
        objects = zip(image.boxes_xyxy.tolist(), image.labels.tolist(), image.crowd.tolist(), strict=True)
        for (x0, y0, x1, y1), label, crowd in objects:
            box = [x0, y0, x1 - x0, y1 - y0]
            one = dict(id=len(annotations) + 1, image_id=n, category_id=label, iscrowd=int(crowd))
            annotations.append(one | dict(bbox=box, area=box[2] * box[3]))
        for k in range(len(seen)):
            x0, y0, x1, y1 = seen.xyxy[k].tolist()
            results.append(
                dict(
                    image_id=n,
                    category_id=int(seen.class_id[k]),
                    bbox=[x0, y0, x1 - x0, y1 - y0],
                    score=float(seen.confidence[k]),
                )
            )
    categories = [dict(id=1, name="cat"), dict(id=2, name="dog"), dict(id=3, name="owl")]
    images = [dict(id=n, width=i.width, height=i.height) for n, i in enumerate(dataset)]
    (folder / "truth.json").write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories, info=[]))
    )
    (folder / "results.json").write_text(json.dumps(results))
    return run_pycocotools(folder / "truth.json", str(folder / "results.json")).stats


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pycocotools(seed: int, crowds: bool, tmp_path: Path) -> None:
    """AP, AP50, AP75, AP by size and recall are pycocotools' to 1e-6 on the same detections and truth."""
    dataset, detections = made_up(seed)
    dataset = with_crowds(dataset, seed) if crowds else dataset
    result = evaluation.score(dataset, detections)
    ours = list(result.coco.values())
    assert np.array(ours) == pytest.approx(by_hand(dataset, detections, tmp_path), abs=1e-6)
    assert 0.05 < result.ap < 0.95  # neither trivially right nor trivially wrong


def test_perfect_detections_score_one_and_none_score_zero() -> None:
    """The ground truth itself scores AP 1 and F1 1; no detection at all scores 0 without failing."""
    dataset, _ = made_up(1)
    perfect = [found(i.boxes_xyxy.tolist(), i.labels.tolist(), [0.9] * len(i.labels)) for i in dataset]
    result = evaluation.score(dataset, perfect)
    assert (result.ap, result.ap50, result.f1) == pytest.approx((1, 1, 1))
    nothing = evaluation.score(dataset, [sv.Detections.empty() for _ in dataset])
    assert (nothing.ap, nothing.ap50, nothing.f1) == (0, 0, 0)


def test_a_class_or_size_without_objects_is_not_a_zero() -> None:
    """A class that the ground truth lacks has AP NaN and does not lower the mean."""
    dataset, _ = made_up(2)
    perfect = [found(i.boxes_xyxy.tolist(), i.labels.tolist(), [0.9] * len(i.labels)) for i in dataset]
    result = evaluation.score(dataset, perfect)
    assert np.isnan(result.per_class.loc["owl", "ap"])
    assert result.per_class["boxes"].to_dict() == dataset.counts()
    assert result.ap == pytest.approx(1)


def test_confusion_counts_every_object_and_detection_once() -> None:
    """Right, mistaken, missed and invented objects each stand in their own cell at the best threshold."""
    image = LabelledImage(Path("a.jpg"), 200, 100, [[0, 0, 40, 40], [50, 0, 90, 40], [100, 0, 140, 40]], [1, 2, 1])
    seen = found([[0, 0, 40, 40], [50, 0, 90, 40], [150, 50, 190, 90]], [1, 1, 2], [0.9, 0.9, 0.9])
    result = evaluation.score(Dataset([image], LABEL_MAP), [seen])
    assert result.confusion.loc["cat", "cat"] == 1
    assert result.confusion.loc["dog", "cat"] == 1
    assert result.confusion.loc["cat", evaluation.MISSED] == 1
    assert result.confusion.loc[evaluation.BACKGROUND, "dog"] == 1
    assert result.confusion.to_numpy().sum() == 4


def test_a_crowd_neither_helps_nor_hurts() -> None:
    """Detections inside a crowd of their class, however many, are no mistakes; those of another class are."""
    boxes_xyxy = [[10, 10, 60, 60], [200, 200, 400, 400]]
    image = LabelledImage(Path("1.jpg"), 500, 480, boxes_xyxy, [1, 1], crowd=[False, True])
    inside = [[210, 210, 250, 250], [300, 300, 340, 380], [390, 300, 408, 380]]  # the last one half outside
    right = found([boxes_xyxy[0], *inside], [1, 1, 1, 1], [0.9, 0.95, 0.8, 0.8])
    result = evaluation.score(Dataset((image,), LABEL_MAP), [right])
    assert (result.ap, result.f1) == pytest.approx((1, 1))
    assert result.per_class["boxes"].tolist() == [1, 0, 0]
    assert result.confusion.to_numpy().sum() == 1
    wrong = found([boxes_xyxy[0], *inside], [1, 2, 2, 2], [0.9, 0.95, 0.8, 0.8])
    assert evaluation.score(Dataset((image,), LABEL_MAP), [wrong]).f1 < 1


def test_a_difficult_object_neither_helps_nor_hurts() -> None:
    """Missed or found, however often, it does not count, and a note says so; a detection beside it is a mistake."""
    boxes_xyxy, again = [[10, 10, 60, 60], [200, 200, 400, 400]], [210, 210, 400, 400]
    image = LabelledImage(Path("1.jpg"), 500, 480, boxes_xyxy, [1, 1], difficult=[False, True])
    dataset = Dataset((image,), LABEL_MAP)
    for seen in (found(boxes_xyxy[:1], [1], [0.9]), found([*boxes_xyxy, again], [1, 1, 1], [0.9, 0.95, 0.8])):
        result = evaluation.score(dataset, [seen])
        assert (result.ap50, result.f1, result.coco["AR 100"]) == pytest.approx((1, 1, 1))
        assert result.per_class["boxes"].tolist() == [1, 0, 0]
        assert result.confusion.to_numpy().sum() == 1
        assert not len(result.mistakes())
        assert "1 difficult object is left out, neither found nor missed, as Pascal VOC does it." in str(result)
    beside = found([boxes_xyxy[0], [200, 200, 400, 260]], [1, 1], [0.9, 0.95])  # of a crowd it would be a part
    assert evaluation.score(dataset, [beside]).f1 < 1


def test_threshold_is_where_f1_is_highest() -> None:
    """The threshold keeps the right detections and drops the wrong ones where confidence tells them apart."""
    images = [LabelledImage(Path(f"{n}.jpg"), 100, 100, [[10, 10, 50, 50]], [1]) for n in range(4)]
    seen = [found([[10, 10, 50, 50], [60, 60, 90, 90]], [1, 1], [0.6 + n / 10, 0.3]) for n in range(4)]
    result = evaluation.score(Dataset(images, LABEL_MAP), seen)
    assert result.threshold == pytest.approx(0.6)
    assert result.f1 == pytest.approx(1)


def test_evaluate_hands_every_image_to_the_detector() -> None:
    """The detector sees each image's pixels in order and in batches, and every image is scored."""
    images = [LabelledImage(Path(f"{n}.png"), 8, 6, [[1, 1, 5, 5]], [1], encoded=_png(n)) for n in range(5)]
    seen: list[int] = []

    class Watcher:
        def detect(self, pixels: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
            assert threshold == 0
            seen.extend(int(p[0, 0, 0]) for p in pixels)
            return [found([[1, 1, 5, 5]], [1], [0.5]) for _ in pixels]

    result = evaluation.evaluate(Watcher(), Dataset(images, LABEL_MAP), batch_size=2)
    assert seen == [0, 1, 2, 3, 4]
    assert (result.ap, result.images) == (pytest.approx(1), 5)


def test_speed_is_the_detectors_alone() -> None:
    """The time of the detector is measured without its first batch and without reading; score() knows none."""
    images = [LabelledImage(Path(f"{n}.png"), 8, 6, [[1, 1, 5, 5]], [1], encoded=_png(n)) for n in range(7)]

    class Slow:
        calls = 0

        def detect(self, pixels: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
            self.calls += 1
            time.sleep(0.3 if self.calls == 1 else 0.02)
            return [found([[1, 1, 5, 5]], [1], [0.5]) for _ in pixels]

    dataset = Dataset(images, LABEL_MAP)
    speed = evaluation.evaluate(Slow(), dataset, batch_size=2).speed
    assert speed.images == 5
    assert speed.warm
    assert 10 <= speed.ms < 100  # 20 ms for two images, and for the last one alone; never the 300 of the first
    assert speed.images_per_second == pytest.approx(5 / 0.06, rel=0.7)
    once = evaluation.evaluate(Slow(), dataset, batch_size=16, resamples=0).speed
    assert (once.images, once.warm) == (7, False)
    assert "its start included" in str(once)
    assert evaluation.score(dataset, [found([], [], [])] * 7).speed is None


def test_each_class_has_its_own_best_threshold() -> None:
    """A class's threshold, precision, recall and F1 are those of its own detections, apart from other classes."""
    images, seen = [], []
    for n in range(4):
        images.append(LabelledImage(Path(f"{n}.jpg"), 300, 100, [[0, 0, 50, 50], [100, 0, 150, 50]], [1, 2]))
        wrong = [[200, 0, 250, 50]] * 2
        seen.append(found([*images[n].boxes_xyxy, *wrong], [1, 2, 1, 2], [0.3, 0.9, 0.2, 0.8 if n else 0.95]))
    table = evaluation.score(Dataset(images, LABEL_MAP), seen).per_class
    assert table.loc["cat", ["best_threshold", "precision", "recall", "f1"]].tolist() == pytest.approx([0.3, 1, 1, 1])
    assert table.loc["dog", ["best_threshold", "precision", "recall"]].tolist() == pytest.approx([0.9, 0.8, 1])
    assert table.loc["dog", "f1"] == pytest.approx(2 * 4 / (5 + 4))
    assert table.loc["owl", ["best_threshold", "precision", "recall", "f1"]].isna().all()


def test_equal_confidences_are_all_in_or_all_out() -> None:
    """A right and a wrong detection of one confidence cannot be told apart by a threshold, so F1 counts both."""
    image = LabelledImage(Path("a.jpg"), 300, 100, [[0, 0, 50, 50]], [1])
    seen = found([[0, 0, 50, 50], [200, 0, 250, 50]], [1, 1], [0.5, 0.5])
    result = evaluation.score(Dataset([image], LABEL_MAP), [seen])
    assert result.best == pytest.approx((0.5, 0.5, 1, 2 / 3))


def test_f1_curves_go_through_the_best_points() -> None:
    """F1 from each confidence on is counted anew by hand, and no point of a curve is above the best."""
    dataset, detections = made_up(3)
    result = evaluation.score(dataset, detections)
    confidence, f1 = result.f1_curve
    for place in (0, 30, 60):
        hits = kept = 0
        for image, seen in zip(dataset, detections, strict=True):
            sure = seen[seen.confidence >= confidence[place]] if len(seen) else seen
            seen_by_class = sure.xyxy, sure.class_id, sure.confidence
            matched = evaluation.match(*seen_by_class, image.boxes_xyxy, image.labels)
            hits, kept = hits + int((matched >= 0).sum()), kept + len(sure)
        assert f1[place] == pytest.approx(2 * hits / (kept + result.per_class["boxes"].sum()), abs=0.02)
    assert np.nanmax(f1) <= result.f1 + 1e-9
    for name, row in result.per_class.iloc[:2].iterrows():
        assert np.nanmax(result.f1_curves[name][1]) <= row["f1"] + 1e-9
    assert np.isnan(result.f1_curves["owl"][1]).all()
    assert result.best[::3] == (result.threshold, result.f1)


def test_sizes_and_recalls_of_coco_are_there() -> None:
    """Each class has AP by size, and the twelve numbers of COCO stand under their names in its order."""
    small, large = [0, 0, 20, 20], [100, 100, 400, 400]
    images = [LabelledImage(Path(f"{n}.jpg"), 500, 500, [small, large], [1, 1]) for n in range(3)]
    result = evaluation.score(Dataset(images, LABEL_MAP), [found([large], [1], [0.9])] * 3)
    row = result.per_class.loc["cat"]
    assert row[["ap_small", "ap_large"]].tolist() == pytest.approx([0, 1])
    assert np.isnan(row["ap_medium"])
    names = "AP, AP50, AP75, AP small, AP medium, AP large, AR 1, AR 10, AR 100, AR small, AR medium, AR large"
    assert ", ".join(result.coco) == names
    assert [result.coco["AR 1"], result.coco["AR small"], result.coco["AR large"]] == pytest.approx([0.5, 0, 1])


def drawn_scores(bias: float, count: int = 4000) -> evaluation.Calibration:
    """The calibration of detections that are right as often as their confidence less ``bias`` says."""
    random = np.random.default_rng(0)
    scores = random.uniform(0, 1, count)
    return calibrate(scores, random.uniform(0, 1, count) < scores - bias)


def test_calibration_says_what_a_score_is_worth() -> None:
    """Calibrated, over-confident and under-confident detectors are told apart, in numbers and in words."""
    honest = drawn_scores(0)
    assert honest.error < 0.05
    assert "well calibrated" in str(honest)
    assert honest.bins["confidence"].is_monotonic_increasing
    assert (honest.bins["confidence"] - honest.bins["precision"]).abs().max() < 0.1
    over, under = drawn_scores(0.2), drawn_scores(-0.2)
    assert over.error == pytest.approx(0.2, abs=0.03)
    assert over.excess == pytest.approx(0.2, abs=0.03)
    assert "over-confident" in str(over)
    assert under.excess < -0.1
    assert "under-confident" in str(under)
    crossed = calibrate(np.repeat([0.2, 0.8], 500), np.repeat([True, False], 500))
    assert abs(crossed.excess) < 0.05
    assert crossed.error > 0.7
    assert "on average only" in str(crossed)


def test_calibration_of_few_detections_claims_nothing() -> None:
    """A handful of detections, or none, is said to be too few."""
    assert "too few" in str(drawn_scores(0, 10))
    none = calibrate(np.zeros(0), np.zeros(0, bool))
    assert np.isnan(none.error)
    assert "Only 0 detections" in str(none)


def test_a_class_without_an_example_is_named() -> None:
    """What could not be evaluated stands in the notes and in the words, by name; where all could, there is no note."""
    dataset, detections = made_up(0)
    result = evaluation.score(dataset, detections)
    assert "without a single example here: owl." in result.notes[0]
    assert result.notes[0] in str(result)
    image = LabelledImage(Path("a.jpg"), 500, 480, [[0, 0, 50, 50], [60, 0, 99, 50], [100, 0, 150, 50]], [1, 2, 3])
    assert evaluation.score(Dataset([image], LABEL_MAP), [found([], [], [])]).notes == ()


def test_refuses_what_cannot_be_scored() -> None:
    """Detections for another number of images, or truth without objects that count, are named."""
    dataset, detections = made_up(0)
    with pytest.raises(ValueError, match=r"25 images and detections for 24"):
        evaluation.score(dataset, detections[1:])
    empty = Dataset([LabelledImage(Path("a.jpg"), 10, 10, np.zeros((0, 4)), [])], LABEL_MAP)
    with pytest.raises(ValueError, match="no object"):
        evaluation.score(empty, [sv.Detections.empty()])
    for mark in ("crowd", "difficult"):
        image = LabelledImage(Path("a.jpg"), 10, 10, [[0, 0, 5, 5]], [1], **{mark: [True]})
        with pytest.raises(ValueError, match="no object in the dataset, only crowds and difficult ones"):
            evaluation.score(Dataset([image], LABEL_MAP), [sv.Detections.empty()])
    with pytest.raises(ValueError, match="no object"):
        evaluation.score(Dataset((), LABEL_MAP), [])


@pytest.mark.parametrize(
    ("box_xyxy", "class_id", "confidence", "says"),
    [
        ([0, 0, 9, 9], 0, 0.5, r"class id 0 is not in the label map, which has 1 to 3 .*count from 0, add 1"),
        ([0, 0, 9, 9], 4, 0.5, r"class id 4 is not in the label map"),
        ([0, 0, np.nan, 9], 1, 0.5, r"box \[0.0, 0.0, nan, 9.0\] with confidence 0.5 is not of finite numbers"),
        ([0, 0, 9, np.inf], 1, 0.5, r"is not of finite numbers"),
        ([0, 0, 9, 9], 1, np.nan, r"confidence nan is not of finite numbers. The model is broken"),
    ],
)
def test_detections_that_cannot_be_counted_are_refused(
    box_xyxy: list, class_id: int, confidence: float, says: str
) -> None:
    """A class that is not in the label map and a number that is none are named with image and detection."""
    dataset, detections = made_up(0)
    detections[7] = found([[0, 0, 9, 9]] * 2, [1, class_id], [0.5, confidence])
    detections[7].xyxy[1] = box_xyxy  # which supervision itself checks at the door only
    with pytest.raises(ValueError, match=rf"^7\.jpg, detection 2: .*{says}"):
        evaluation.score(dataset, detections)


def test_detections_without_class_or_confidence_are_refused() -> None:
    """Detections of a tool that gives no class or no confidence are named with what is missing."""
    dataset, detections = made_up(0)
    for name in ("class_id", "confidence"):
        kept = {"class_id": np.array([1]), "confidence": np.array([0.5])} | {name: None}
        broken = sv.Detections(xyxy=np.array([[0, 0, 9, 9]], np.float32), **kept)
        with pytest.raises(ValueError, match=rf"3\.jpg: its detections have no {name}"):
            evaluation.score(dataset, [*detections[:3], broken, *detections[4:]])


def test_needs_no_tensorflow() -> None:
    """Importing the room loads no TensorFlow."""
    code = "import sys, tfod_helpers.evaluation; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _png(grey: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (grey, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()
