"""evaluation, one by one: each mistake is of its kind, and labels that were made wrong are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_parts import detections, made_up, one_image

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

CAT_DOG = LabelMap(["cat", "dog"])
LEFT, MIDDLE, RIGHT = [0, 0, 100, 100], [150, 0, 250, 100], [300, 0, 400, 100]
BELOW = [0, 300, 150, 480]


def dataset_of(*images: LabelledImage) -> Dataset:
    """Images of cats and dogs."""
    return Dataset(images, CAT_DOG)


def test_each_mistake_is_of_its_kind() -> None:
    """Background, wrong class, badly placed, duplicate and missed are told apart."""
    image = one_image([LEFT, MIDDLE, RIGHT, BELOW], [1, 2, 1, 2])
    part = [300, 0, 400, 30]
    seen = detections([LEFT, LEFT, MIDDLE, part, [400, 300, 480, 400]], [1, 1, 1, 1, 2], [0.9, 0.8, 0.7, 0.6, 0.5])
    table = evaluation.mistakes(dataset_of(image), [seen], 0.3).set_index("kind")
    assert sorted(table.index) == ["background", "badly placed", "duplicate", "missed", "wrong class"]
    assert table["class"].to_dict() == {
        "background": "dog", "badly placed": "cat", "duplicate": "cat", "missed": "dog", "wrong class": "cat"
    }  # fmt: skip
    assert table.loc["wrong class", ["truth", "truth_box_xyxy", "path"]].tolist() == ["dog", tuple(MIDDLE), "0.jpg"]
    assert table.loc["badly placed", "iou"] == pytest.approx(0.3)
    assert table.loc["missed", "box_xyxy"] == tuple(BELOW)
    assert np.isnan(table.loc["missed", "confidence"])
    assert table.loc["background", "truth_box_xyxy"] is None


def test_what_is_right_unsure_or_in_a_crowd_is_no_mistake() -> None:
    """True positives, detections below the threshold and in a crowd are left out; one below it leaves a miss."""
    image = one_image([LEFT, RIGHT, BELOW], [1, 1, 2], crowd=[False, False, True])
    seen = detections([LEFT, RIGHT, [10, 320, 60, 400]], [1, 1, 2], [0.9, 0.2, 0.9])
    table = evaluation.mistakes(dataset_of(image), [seen], 0.5)
    assert table[["kind", "box_xyxy"]].to_numpy().tolist() == [["missed", tuple(RIGHT)]]


def test_worst_mistakes_come_first_and_kinds_take_turns() -> None:
    """Of each kind the highest confidences and largest objects come first; the kinds take turns."""
    dataset, found = made_up(7, images=60)
    table = evaluation.mistakes(dataset, found, 0.3)
    kinds = list(dict.fromkeys(table["kind"]))
    assert len(kinds) == 5
    assert table["kind"].head(5).tolist() == kinds
    for _, some in table[table["kind"] != "missed"].groupby("kind"):
        assert (np.diff(some["confidence"]) <= 0).all()
    sides = np.array(table[table["kind"] == "missed"]["box_xyxy"].tolist())
    assert (np.diff(np.prod(sides[:, 2:] - sides[:, :2], axis=1)) <= 1e-3).all()


def test_mistakes_and_confusion_tell_the_same() -> None:
    """At the best threshold every wrong find and every object that is not found is in the table."""
    dataset, found = made_up(8, images=40)
    result = evaluation.score(dataset, found, resamples=0)
    table = result.mistakes()
    wrong = (table["kind"] != "missed").sum()
    sure = sum(int((one.confidence >= result.threshold).sum()) for one in found if len(one))
    assert sure - wrong == round(result.best.recall * int(result.per_class["boxes"].sum()))


def test_likely_label_errors_have_their_reason() -> None:
    """A label of another class, an object without a label and a label of nothing are named; a right one is last."""
    right = [one_image([LEFT, RIGHT], [1, 2], n) for n in range(6)]
    seen = [detections([LEFT, RIGHT], [1, 2], [0.9, 0.8]) for _ in right]
    wrong = one_image([LEFT, BELOW], [2, 1], 6)
    seen.append(detections([LEFT, LEFT, MIDDLE], [1, 2, 2], [0.95, 0.02, 0.9]))
    table = evaluation.label_errors(dataset_of(*right, wrong), seen)
    assert len(table) == 14 + 1
    reasons = [
        "labelled dog, looks like cat 0.95",
        "no label, looks like dog 0.90",
        "labelled cat, nothing is found there",
    ]
    assert table["reason"].head(3).tolist() == reasons
    assert table["object"].head(3).tolist() == [1, 0, 2]
    assert table["path"].head(3).tolist() == ["6.jpg"] * 3
    assert table["box_xyxy"].head(3).tolist() == [tuple(LEFT), tuple(MIDDLE), tuple(BELOW)]
    assert (table["score"].iloc[:3] > 0).all()
    assert (table["score"].iloc[3:] < 0).all()


def test_neighbours_and_parts_are_no_label_errors() -> None:
    """A dog beside a cat accuses no cat, a part of an object lacks no label, nor does anything in a crowd."""
    beside = [20, 0, 120, 100]  # overlaps the left box by IoU 0.67
    image = one_image([LEFT, beside, BELOW], [1, 2, 2], crowd=[False, False, True])
    seen = detections([LEFT, beside, [10, 10, 60, 50], [20, 320, 90, 400]], [1, 2, 1, 2], [0.5, 0.95, 0.95, 0.95])
    table = evaluation.label_errors(dataset_of(image), [seen])
    assert table["reason"].tolist() == ["labelled cat, found as cat 0.50", "labelled dog, found as dog 0.95"]
    assert (table["score"] < 0).all()


def test_an_object_found_twice_lacks_one_label() -> None:
    """Two detections on one unlabelled object are one missing label, that of higher confidence."""
    images = [one_image([LEFT], [1], n) for n in range(8)]
    seen = [detections([LEFT], [1], [0.7]) for _ in images]
    seen[0] = detections([LEFT, RIGHT, np.add(RIGHT, 5)], [1, 2, 1], [0.7, 0.8, 0.75])
    table = evaluation.label_errors(dataset_of(*images), seen)
    assert table[table["object"] == 0][["detected", "confidence"]].to_numpy().tolist() == [["dog", pytest.approx(0.8)]]


def test_a_label_twice_on_one_object() -> None:
    """Where one object has two labels, the class that the detector does not see is the suspicious one."""
    images = [one_image([LEFT], [n % 2 + 1], n) for n in range(8)]
    seen = [detections([LEFT], [n % 2 + 1], [0.8]) for n in range(8)]
    images[0] = one_image([LEFT, np.add(LEFT, [1, 1, 1, 1])], [1, 2], 0)
    first = evaluation.label_errors(dataset_of(*images), seen).iloc[0]
    assert (first["path"], first["label"], first["detected"]) == ("0.jpg", "dog", "cat")


def flipped(seed: int, images: int = 150, classes: int = 5) -> tuple[Dataset, list, set[tuple[int, int]], int]:
    """Labels of which 5 % are of another class, a detector that overlooks and confuses some, and which were flipped."""
    random = np.random.default_rng(seed)
    truth, found, flips, labels = [], [], set(), 0
    for number in range(images):
        count = int(random.poisson(2))
        low = random.uniform(0, 250, (count, 2))
        boxes_xyxy = np.concatenate([low, low + random.uniform(30, 230, (count, 2))], axis=1)
        real = random.integers(1, classes + 1, count)
        given, seen = real.copy(), []
        for place, (box_xyxy, label) in enumerate(zip(boxes_xyxy, real, strict=True)):
            if random.uniform() < 0.05:
                given[place] = (label - 1 + random.integers(1, classes)) % classes + 1
                flips.add((number, place + 1))
            if random.uniform() < 0.05:
                continue  # overlooked
            odds = random.normal(-4, 1.2, classes)
            odds[label - 1] = random.normal(1.2, 1.3)
            if random.uniform() < 0.1:  # confused
                odds[random.integers(classes)] = random.normal(0.7, 1.3)
            near_xyxy = box_xyxy + random.normal(0, 0.06, 4) * np.tile(box_xyxy[2:] - box_xyxy[:2], 2)
            seen += [(near_xyxy, k + 1, 1 / (1 + np.exp(-odds[k]))) for k in range(classes) if odds[k] > -4.6]
        for _ in range(random.poisson(6)):  # ghosts, a few of them sure
            corner = random.uniform(0, 300, 2)
            ghost_xyxy = np.concatenate([corner, corner + random.uniform(20, 200, 2)])
            sure = random.beta(1, 8) if random.uniform() < 0.95 else random.beta(2, 3)
            seen.append((ghost_xyxy, int(random.integers(1, classes + 1)), sure))
        truth.append(one_image(boxes_xyxy, given, number))
        found.append(detections(*map(list, zip(*seen, strict=True))) if seen else detections([], [], []))
        labels += count
    return Dataset(tuple(truth), LabelMap([f"class {n}" for n in range(classes)])), found, flips, labels


def test_flipped_labels_stand_at_the_top_of_the_ranking() -> None:
    """Of labels that were given another class, 80 % are within the first tenth, counted against the labels."""
    caught = flips = 0
    for seed in range(4):
        dataset, found, which, labels = flipped(seed)
        top = evaluation.label_errors(dataset, found).head(labels // 10)
        caught += len(which & set(zip(top["image"], top["object"], strict=True)))
        flips += len(which)
    assert flips > 40
    assert caught / flips >= 0.8


def test_ranking_has_every_label_once() -> None:
    """Each label that is no crowd has one row, and rows fall from suspicious to confirmed."""
    dataset, found = made_up(9, images=40, crowds=0.1)
    table = evaluation.label_errors(dataset, found)
    labelled = table[table["object"] > 0]
    expected = {(n, k + 1) for n, image in enumerate(dataset) for k in np.flatnonzero(~image.crowd)}
    assert sorted(zip(labelled["image"], labelled["object"], strict=True)) == sorted(expected)
    assert (np.diff(table["score"]) <= 0).all()
    assert table["score"].between(-1, 1).all()
    for row in labelled.itertuples():
        image = dataset[row.image]
        assert np.array_equal(np.float32(row.box_xyxy), image.boxes_xyxy[row.object - 1])
        assert row.label == dataset.label_map.name(int(image.labels[row.object - 1]))
        assert Path(row.path) == image.path


def test_nothing_found_accuses_no_class_of_another() -> None:
    """A detector that finds nothing contradicts no label."""
    dataset, found = made_up(9)
    table = evaluation.label_errors(dataset, [one[:0] for one in found])
    assert set(table["detected"]) == {""}
    assert table["score"].max() <= 0.05


def ranking(rows: list[tuple[float, int, int, str]]) -> pd.DataFrame:
    """A ranking with the columns of label_errors, of rows with score, image, object and what is seen."""
    columns = ["score", "reason", "path", "object", "label", "detected", "confidence", "box_xyxy", "image"]
    every = [
        (
            score,
            f"looks like {seen}",
            f"{image}.jpg",
            number,
            "cat" if number else "",
            seen,
            0.5,
            (0.0, 0.0, 9.0, 9.0),
            image,
        )
        for score, image, number, seen in rows
    ]
    return pd.DataFrame(every, columns=columns)


def test_two_rankings_together_have_each_label_once() -> None:
    """A label has the mean of its scores and the words of the one that is surer; what one table lacks stays."""
    detector = ranking([(0.8, 0, 0, "dog"), (0.6, 0, 1, "dog"), (-0.2, 1, 1, "cat"), (-0.9, 2, 1, "cat")])
    boxes = ranking([(0.9, 1, 1, "fox"), (0.2, 0, 1, "fox"), (-0.4, 3, 1, "cat")])
    table = evaluation.combine_label_errors(detector, boxes)
    found = list(zip(table["score"].round(2), table["image"], table["object"], table["detected"], strict=True))
    assert found == [
        (0.8, 0, 0, "dog"),
        (0.4, 0, 1, "dog"),
        (0.35, 1, 1, "fox"),
        (-0.4, 3, 1, "cat"),
        (-0.9, 2, 1, "cat"),
    ]
    assert list(table.columns) == list(detector.columns)
    assert table.equals(evaluation.combine_label_errors(boxes, detector))
    assert evaluation.combine_label_errors(detector).equals(detector)


def test_rankings_of_other_labels_are_refused() -> None:
    """Tables that were made from different datasets cannot be joined; the message names the first difference."""
    one = ranking([(0.8, 0, 1, "dog")])
    with pytest.raises(ValueError, match=r"different labels: object 1 of image 0 has the label cat and dog"):
        evaluation.combine_label_errors(one, one.assign(label="dog"))
    with pytest.raises(ValueError, match=r"object 1 of image 0 has the path 0\.jpg and 1\.jpg"):
        evaluation.combine_label_errors(one, one.assign(path="1.jpg"))
    with pytest.raises(ValueError, match="no table to combine"):
        evaluation.combine_label_errors()


def test_two_noisy_rankings_together_find_more_than_either() -> None:
    """Of flipped labels, two rankings whose errors are independent find more together than the better one alone."""
    caught = np.zeros(3)
    for seed in range(6):
        dataset, found, which, labels = flipped(seed)
        detector = evaluation.label_errors(dataset, found)
        random = np.random.default_rng(seed)
        noise = random.normal(0, 0.35, len(detector))
        wrong = [key in which for key in zip(detector["image"], detector["object"], strict=True)]
        other = detector.assign(score=np.clip(np.where(wrong, 0.35, -0.35) + noise, -1, 1))
        other = other[other["object"] > 0].sort_values("score", ascending=False)
        tables = detector, other, evaluation.combine_label_errors(detector, other)
        for place, table in enumerate(tables):
            top = table.head(labels // 10)
            caught[place] += len(which & set(zip(top["image"], top["object"], strict=True)))
    assert caught[2] > caught[:2].max()
