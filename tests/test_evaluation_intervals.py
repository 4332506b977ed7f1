"""evaluation, the intervals: the bootstrap scores each sample, an interval holds the true score as often as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_parts import detections, made_up, one_image

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.evaluation import bootstrap

POPULATION, SAMPLE, SAMPLES, RESAMPLES = 3000, 40, 120, 200


def test_every_image_once_scores_as_counted() -> None:
    """The resample that has each image once has the AP of the evaluation itself, of each class and threshold."""
    dataset, found = made_up(0, images=60, crowds=0.1)
    truth, flat = evaluation.flatten(dataset, found)
    counts = evaluation.count(truth, flat)
    ap = bootstrap.resampled_ap(truth, counts.ranked, np.ones((60, 1), np.float32))[:, :, 0]
    expected = counts.precision[:, :, :, 0, -1].mean(axis=1)
    assert np.isnan(ap[:, -1]).all()  # the class without objects
    # The recall points are decimal fractions, of which pycocotools' comparison may miss the last bit of one.
    assert ap[:, :-1] == pytest.approx(expected[:, :-1], abs=1 / 101)
    assert np.abs(ap[:, :-1] - expected[:, :-1]).mean() < 1e-3


def test_resample_scores_as_if_its_images_were_a_dataset() -> None:
    """A resample has the score of a dataset that holds each image as often as it was sampled, and of no other."""
    dataset, found = made_up(3, images=30)
    truth, flat = evaluation.flatten(dataset, found)
    weights = bootstrap.resample(30, 4)
    assert weights.sum(axis=0).tolist() == [30] * 4
    ap = bootstrap.resampled_ap(truth, evaluation.count(truth, flat).ranked, weights)
    for number, times in enumerate(weights.T.astype(int)):
        which = np.repeat(np.arange(30), times)
        copies = Dataset(tuple(dataset[int(n)] for n in which), dataset.label_map)
        expected = evaluation.score(copies, [found[n] for n in which], resamples=0)
        # Copies of equal confidence stand in another order, which moves a precision here and there.
        assert ap[:, :-1, number].mean(axis=0) == pytest.approx(expected.per_class["ap"].iloc[:-1], abs=0.01)
    assert np.ptp(ap[0, 0]) > 0.02  # the resamples differ


@pytest.mark.parametrize("classes", [2, 4])
def test_interval_holds_the_truth_about_as_often_as_it_says(classes: int) -> None:
    """Of many samples of 40 images, 85 to 99 % have the AP, AP50 and F1 of the whole population in their interval."""
    dataset, found = made_up(11, images=POPULATION, classes=classes, objects=1.5, ghosts=1)
    true = evaluation.score(dataset, found, resamples=0)
    random = np.random.default_rng(0)
    hits = {"ap": 0, "ap50": 0, "f1": 0}
    for _ in range(SAMPLES):
        which = random.choice(POPULATION, SAMPLE, replace=False)
        sample = Dataset(tuple(dataset[int(n)] for n in which), dataset.label_map)
        result = evaluation.score(sample, [found[n] for n in which], resamples=RESAMPLES)
        for name in hits:
            low, high = result.intervals[name]
            hits[name] += low <= getattr(true, name) <= high
    assert all(0.85 <= hit / SAMPLES <= 0.99 for hit in hits.values()), hits


def test_intervals_are_of_each_score_and_class() -> None:
    """Every score lies within its interval, so does each class's, and the same seed gives the same."""
    dataset, found = made_up(2, images=40)
    result = evaluation.score(dataset, found, resamples=300)
    assert set(result.intervals) == {"ap", "ap50", "ap75", "f1"}
    for name, (low, high) in result.intervals.items():
        assert low < getattr(result, name) < high
    table = result.per_class.iloc[:-1]
    for name in ("ap", "ap50"):
        assert (table[f"{name}_low"] < table[name]).all()
        assert (table[name] < table[f"{name}_high"]).all()
    assert result.per_class.iloc[-1][["ap_low", "ap50_high"]].isna().all()
    assert evaluation.score(dataset, found, resamples=300).intervals == result.intervals
    assert evaluation.score(dataset, found, resamples=300, seed=1).intervals != result.intervals


def test_more_images_narrow_the_interval() -> None:
    """Four times as many images halve the interval, nearly."""
    widths = []
    for images in (50, 200, 800):
        low, high = evaluation.score(*made_up(4, images=images), resamples=200).intervals["ap50"]
        widths.append(high - low)
    assert 1.4 < widths[0] / widths[1] < 2.9
    assert 1.4 < widths[1] / widths[2] < 2.9


def test_intervals_stand_with_every_score_in_words() -> None:
    """str() has the interval of AP, AP50, AP75 and F1; without resamples there is none."""
    dataset, found = made_up(2, images=40)
    result = evaluation.score(dataset, found, resamples=100)
    words = str(result)
    for name in ("ap", "ap50", "ap75", "f1"):
        low, high = result.intervals[name]
        assert f"{low:.2f} to {high:.2f})" in words
    assert words.startswith(f"AP {result.ap:.2f} (95 %: {result.intervals['ap'][0]:.2f} to ")
    assert "on 40 images with" in words


def test_no_resamples_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With resamples=0, as when a training evaluates often, nothing is sampled and no interval is claimed."""

    def refuse(*_: object) -> None:
        raise AssertionError("sampled")

    monkeypatch.setattr(bootstrap, "resample", refuse)
    dataset, found = made_up(2)
    result = evaluation.score(dataset, found, resamples=0)
    assert result.intervals == {}
    assert " to " not in str(result).splitlines()[0]
    assert result.per_class["ap_low"].isna().all()
    with pytest.raises(AssertionError, match="sampled"):
        evaluation.score(dataset, found, resamples=1)


def test_one_image_tells_nothing_of_others() -> None:
    """Where all objects, or all of a class, are in one image, no interval pretends to know how others would do."""
    one = [[10, 10, 100, 100]]
    images = (one_image(one, [1], 0), one_image(one, [1], 1), one_image(one * 2, [1, 2], 2))
    found = [detections(one, [1], [0.9]), detections(one, [2], [0.9]), detections(one * 2, [1, 2], [0.9, 0.8])]
    names = LabelMap(["cat", "dog"])
    result = evaluation.score(Dataset(images, names), found)
    assert result.per_class["ap_low"].isna().tolist() == [False, True]
    alone = evaluation.score(Dataset(images[:1], names), found[:1])
    assert np.isnan(alone.intervals["ap"]).all()
    assert str(alone).startswith("AP 1.00, AP50 1.00")


def test_resamples_below_zero_are_refused() -> None:
    """A negative number of resamples is named."""
    with pytest.raises(ValueError, match=r"resamples must be 0 .* or more, got -1"):
        evaluation.score(*made_up(0), resamples=-1)


def test_paths_play_no_part() -> None:
    """Two images of the same name are two images."""
    dataset, found = made_up(6, images=20)
    renamed = [one_image(image.boxes_xyxy, image.labels) for image in dataset]
    assert {image.path for image in renamed} == {Path("0.jpg")}
    again = evaluation.score(Dataset(tuple(renamed), dataset.label_map), found)
    assert again.intervals == evaluation.score(dataset, found).intervals
