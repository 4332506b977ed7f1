"""evaluation, masks: every number of mask AP is pycocotools', and masks take as much memory as their outlines need."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import by_pycocotools, detections, made_up, one_image, run_pycocotools, with_masks
from hypothesis import given, settings
from hypothesis import strategies as st

from tfod_helpers import evaluation, formats
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, masks
from tfod_helpers.problems import DatasetError


def assert_as_pycocotools(dataset: Dataset, found: list[sv.Detections]) -> evaluation.Scores:
    """Precision, recall and the twelve numbers of masks, and of boxes by the same areas, are pycocotools' to 1e-9."""
    result = evaluation.score(dataset, found, resamples=0)
    for scores, kind in ((result, "bbox"), (result.masks, "segm")):
        expected = by_pycocotools(dataset, found, kind)
        ours = np.array(list(scores.coco.values()))
        np.testing.assert_allclose(np.where(np.isnan(ours), -1, ours), expected.stats, rtol=0, atol=1e-9)
        for number, name in enumerate(dataset.label_map):
            curve = expected.eval["precision"][0, :, number, 0, -1]
            np.testing.assert_allclose(scores.pr_curves[name][1], np.where(curve < 0, np.nan, curve), atol=1e-9)
    return result.masks


@pytest.mark.parametrize("crowds", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(2))
def test_all_numbers_are_those_of_pycocotools(seed: int, crowds: float) -> None:
    """With empty images, crowds, equal confidences, absent classes, and areas that a file gives or does not give."""
    dataset, found = with_masks(*made_up(seed, images=10, crowds=crowds), seed)
    found[3] = sv.Detections.empty()
    scores = assert_as_pycocotools(dataset, found)
    assert 0.1 < scores.ap < scores.ap50 < 0.95  # neither trivially right nor wrong
    random = np.random.default_rng(seed)
    given = [replace(one, areas=random.choice([9.0, 1024, 5000, 9216, 20000], len(one.labels))) for one in dataset]
    assert assert_as_pycocotools(replace(dataset, images=tuple(given)), found).coco != scores.coco


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.5]))
def test_any_small_masks_count_as_with_pycocotools(seed: int, crowds: float) -> None:
    """Masks of a few pixels, empty ones too, of which many overlap by the same share, count the same."""
    random = np.random.default_rng(seed)
    images, found = [], []
    for number in range(3):
        counts = random.integers(0 if number else 1, 6, 2)
        drawn, seen = (random.random((count, 1, 4, 5)) < random.random((count, 1, 1, 1)) for count in counts)
        labels, ids = (random.integers(1, 3, count) for count in counts)
        codes = tuple(masks.encode(one[0]) for one in drawn)
        crowd = random.random(counts[0]) < crowds
        crowd[:1] = crowd[:1] & (number > 0)
        boxes_xyxy = [[0, 0, 5, 4]] * counts[0]
        images.append(LabelledImage(Path(f"{number}.jpg"), 5, 4, boxes_xyxy, labels, crowd=crowd, masks=codes))
        one = detections([[0, 0, 5, 4]] * counts[1], ids, random.integers(1, 4, counts[1]) / 4)
        found.append(replace(one, mask=seen[:, 0]) if counts[1] else one)
    assert_as_pycocotools(Dataset(tuple(images), LabelMap(["cat", "dog"])), found)


def test_real_masks_in_coco_files(shared: Path, tmp_path: Path) -> None:
    """The outlines of real pets, and results, in COCO's files, count as pycocotools counts these files themselves."""
    pets = formats.oxford_pets.read(shared / "data/oxford_pets", around="body", masks=True, on_problem="skip")
    some = Dataset(tuple(replace(image, split="") for image in pets[:24]), pets.label_map)
    folder = formats.coco.write(some, tmp_path / "coco")
    dataset = formats.coco.read(folder, masks=True)
    assert all(image.areas is not None for image in dataset)
    random, found = np.random.default_rng(0), []
    for image in dataset:
        drawn = np.array([masks.decode(one, image.width, image.height) for one in image.masks], bool)
        down, across = random.integers(-9, 10, 2) * random.integers(0, 2, 2)
        one = detections(image.boxes_xyxy, image.labels, random.random(len(image.labels)))
        found.append(replace(one, mask=np.roll(drawn, (down, across), (1, 2))))
    scores = assert_as_pycocotools(dataset, found)
    assert 0.5 < scores.ap < 0.99
    truth, place = folder / "_annotations.coco.json", tmp_path / "results.json"
    ids = {one["file_name"]: one["id"] for one in json.loads(truth.read_text())["images"]}
    results = [
        {
            "image_id": ids[image.path.name],
            "category_id": int(label),
            "segmentation": {"size": [image.height, image.width], "counts": masks.encode(mask).decode()},
            "score": float(score),
        }
        for image, one in zip(dataset, found, strict=True)
        for mask, label, score in zip(one.mask, one.class_id, one.confidence, strict=True)
    ]
    place.write_text(json.dumps(results))
    read = formats.coco.read_results(place, truth, dataset)
    assert evaluation.score(dataset, read, resamples=0).masks.coco == pytest.approx(scores.coco, abs=0, nan_ok=True)
    assert run_pycocotools(truth, str(place), "segm").stats[0] == pytest.approx(scores.ap, abs=1e-9)
    place.write_text(json.dumps([results[0] | {"segmentation": {"size": [3, 2], "counts": "06"}}]))
    with pytest.raises(DatasetError, match=r"detection 1: segmentation is .*, neither polygons nor a mask of"):
        formats.coco.read_results(place, truth, dataset)
    bare = replace(dataset, images=tuple(replace(image, masks=None) for image in dataset))
    place.write_text(json.dumps(results))
    assert evaluation.score(bare, formats.coco.read_results(place, truth, bare), resamples=0).masks is None


def test_intervals_of_masks_are_those_of_their_ap() -> None:
    """Each score of masks has an interval about it, of all and of each class, from the samples that boxes have."""
    dataset, found = with_masks(*made_up(1, images=12), 1)
    result = evaluation.score(dataset, found, resamples=300)
    assert set(result.masks.intervals) == {"ap", "ap50", "ap75"}
    for name, (low, high) in result.masks.intervals.items():
        assert 0 < low < getattr(result.masks, name) < high < 1
    row = result.masks.per_class.loc["class 1"]
    assert row["ap_low"] < row["ap"] < row["ap_high"]
    assert row["masks"] == result.per_class.loc["class 1", "boxes"] > 3
    assert f"\nMasks: AP {result.masks.ap:.2f} (95 %: " in str(result)


def test_filled_boxes_score_as_boxes() -> None:
    """Masks that fill boxes of whole pixels have the AP of these, and its intervals to the last digit."""
    dataset, found = made_up(1, images=12)
    images, seen = [], []
    for image, one in zip(dataset, found, strict=True):
        (truth_xyxy, drawn), (found_xyxy, mask) = _filled(image.boxes_xyxy), _filled(one.xyxy)
        images.append(replace(image, boxes_xyxy=truth_xyxy, masks=tuple(map(masks.encode, drawn))))
        seen.append(replace(one, xyxy=found_xyxy, mask=mask))
    result = evaluation.score(replace(dataset, images=tuple(images)), seen, resamples=300)
    np.testing.assert_array_equal([*result.masks.coco.values()], [*result.coco.values()])
    assert result.masks.intervals == {name: result.intervals[name] for name in ("ap", "ap50", "ap75")}


def _filled(boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    whole_xyxy = np.clip(boxes_xyxy.round(), 0, 500)
    pixels = np.zeros((len(whole_xyxy), 500, 500), bool)
    for one, (x0, y0, x1, y1) in zip(pixels, whole_xyxy.astype(int), strict=True):
        one[y0:y1, x0:x1] = True
    return whole_xyxy, pixels


def test_without_masks_on_both_sides_boxes_are_scored() -> None:
    """A detector's or a dataset's masks alone give none; where the detector has some, a note says how to score them."""
    dataset, found = with_masks(*made_up(2, images=5), 2)
    bare = [replace(one, mask=None) for one in found]
    assert evaluation.score(dataset, bare, resamples=0).masks is None
    half = replace(
        dataset, images=tuple(replace(one, masks=None if one is dataset[0] else one.masks) for one in dataset)
    )
    result = evaluation.score(half, found, resamples=0)
    assert result.masks is None
    assert any("masks=True" in note for note in result.notes)
    assert not any("masks=True" in note for note in evaluation.score(half, bare, resamples=0).notes)
    nothing = [replace(one[:0], mask=np.zeros((0, 500, 500), bool)) for one in found]
    assert evaluation.score(dataset, nothing, resamples=0).masks.ap == 0


def test_encoded_masks_count_as_their_pixels() -> None:
    """Pixels, supervision's compact masks and encoded ones score alike, and what the caller gave stays as it was."""
    dataset, found = with_masks(*made_up(3, images=5), 3)
    expected = evaluation.score(dataset, found, resamples=0)
    assert all("rle" not in one.data for one in found)
    compact = []
    for one in found:
        around = np.array([[0, 0, 499, 499]] * len(one)).reshape(-1, 4)
        compact.append(replace(one, mask=sv.CompactMask.from_dense(one.mask, around, (500, 500))))
    encoded = [evaluation.only_encoded(one, image) for one, image in zip(found, dataset, strict=True)]
    assert all(one.mask is None for one in encoded)
    assert all(one.mask is not None for one in found)
    for same in (compact, encoded):
        assert evaluation.score(dataset, same, resamples=0).masks.coco == expected.masks.coco


def test_masks_that_do_not_fit_are_refused() -> None:
    """Masks of another size, no masks at all and a missing one are told with photo and object, before pycocotools."""
    dataset, found = with_masks(*made_up(4, images=4), 4)
    small = [replace(found[0], mask=found[0].mask[:, :90, :80]), *found[1:]]
    with pytest.raises(ValueError, match=r"0.jpg: its detections have masks of 80 x 90 pixels, and it has 500 x 500"):
        evaluation.score(dataset, small)
    with pytest.raises(ValueError, match=r"2.jpg: its detections have no masks, and others do"):
        evaluation.score(dataset, [*found[:2], replace(found[2], mask=None), found[3]])
    codes = [evaluation.only_encoded(one, image) for one, image in zip(found, dataset, strict=True)]
    codes[1].data["rle"][1] = b"PPPP100"
    with pytest.raises(ValueError, match=r"1.jpg, detection 2: its mask is no run-length encoding of 500 x 500 pixels"):
        evaluation.score(dataset, codes)
    broken = replace(dataset[0], masks=(*dataset[0].masks[:-1], b"oo"))
    with pytest.raises(ValueError, match=rf"0.jpg, object {len(broken.labels)}: its mask is no run-length encoding"):
        evaluation.score(replace(dataset, images=(broken, *dataset[1:])), found)


def test_evaluating_keeps_masks_as_outlines() -> None:
    """Over many photos the memory stays that of a few: a detector's masks are encoded before the next photos."""
    side, photos = 1000, 12
    drawn = np.zeros((20, side, side), bool)
    drawn[:, 100:300, 200:500] = True
    images = [
        LabelledImage(Path("a.jpg"), side, side, [[200, 100, 500, 300]], [1], masks=(masks.encode(drawn[0]),))
        for _ in range(photos)
    ]

    class Finds:
        def detect(self, pixels: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
            box_xyxy = np.array([[200, 100, 500, 300]] * 20, np.float32)
            scores, ids = np.linspace(0.9, 0.1, 20), np.ones(20, int)
            return [sv.Detections(box_xyxy, drawn.copy(), scores, ids) for _ in pixels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LabelledImage, "pixels", lambda self: np.zeros((side, side, 3), np.uint8))
        tracemalloc.start()
        result = evaluation.evaluate(Finds(), Dataset(tuple(images), LabelMap(["cat"])), batch_size=1, resamples=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert result.masks.ap == pytest.approx(1)
    assert all(one.mask is None for one in result.detections)
    assert peak < 3 * drawn.nbytes  # of twelve photos that would be twelve times as much


def test_difference_of_masks_is_paired_too() -> None:
    """Two detectors' masks are compared on the same samples; with none on one side boxes alone are."""
    dataset, found = with_masks(*made_up(5, images=15), 5)
    one = evaluation.score(dataset, found, resamples=0)
    other = evaluation.score(dataset, with_masks(dataset, found, 6)[1], resamples=0)
    change = evaluation.difference(one, other, resamples=200)
    assert change.ap == change.ap50 == 0  # of the same boxes
    assert change.masks.ap == one.masks.ap - other.masks.ap != 0
    assert change.masks.ap_interval[0] < change.masks.ap < change.masks.ap_interval[1]
    assert f"; masks: AP {change.masks.ap:+.3f} (95 %: " in str(change)
    bare = evaluation.score(dataset, [replace(each, mask=None) for each in found], resamples=0)
    assert evaluation.difference(one, bare, resamples=10).masks is None


def test_mistakes_bring_their_masks() -> None:
    """Each mistake has the mask of the detection or of the missed object, and that of the object concerned."""
    image = one_image([[10, 10, 50, 50], [100, 100, 200, 200]], [1, 1])
    dataset, found = with_masks(Dataset((image,), LabelMap(["cat"])), [detections([[12, 12, 70, 90]], [1], [0.9])], 0)
    result = evaluation.score(dataset, found, resamples=0)
    table = evaluation.mistakes(dataset, result.detections, 0.5).set_index("kind")
    assert table.loc["badly placed", "mask"] == result.detections[0].data["rle"][0]
    assert table.loc["badly placed", "truth_mask"] == dataset[0].masks[0]
    assert table.loc["missed", "mask"] == table.loc["missed", "truth_mask"] == dataset[0].masks[1]
    bare = evaluation.mistakes(Dataset((image,), dataset.label_map), [replace(found[0], mask=None)], 0.5)
    assert bare["mask"].tolist() == bare["truth_mask"].tolist() == [None, None]
