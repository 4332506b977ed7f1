"""pictures of single mistakes and suspicious labels, and of what a confidence is worth."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from evaluation_parts import made_up, with_masks
from picture_parts import CAT_DOG, all_found, detections, drawn, few_photos, photo, words
from PIL import Image

from tfod_helpers import evaluation, pictures
from tfod_helpers.annotations import Dataset, masks
from tfod_helpers.annotations.appearance import VERMILLION
from tfod_helpers.pictures.gallery import view_around

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def result(tmp_path: Path) -> evaluation.Evaluation:
    """Twelve photos; a cat is taken for a dog, a dog is missed, and a cat is seen where nothing is."""
    few = few_photos(tmp_path)
    found = [all_found(image) for image in few]
    found[1] = detections(([20, 30, 120, 200], 0.9, 2))
    found[3] = found[3][:1]
    found[4] = detections(([20, 30, 120, 200], 0.9, 1), ([200, 10, 310, 60], 0.95, 1))
    return evaluation.score(few, found)


def test_each_mistake_is_shown_with_what_is_there_and_what_was_found(result: evaluation.Evaluation) -> None:
    """A crop of each mistake has its boxes and says in words what is wrong; the headline counts them."""
    picture = pictures.show_mistakes(result)
    said = words(picture)
    assert f"3 mistakes at confidence ≥ {result.threshold:.2f}" in said
    assert {"01.png", "03.png", "04.png"} <= set(said)
    captions = " ".join(said).replace("\n", " ")
    assert "wrong class: dog 0.90, labelled cat" in captions
    assert "missed: dog not detected" in captions
    assert "background: cat 0.95, nothing is labelled there" in captions
    assert [len(drawn(axes, "box")) for axes in picture.axes] == [1, 2, 1]


def test_one_kind_of_mistake_alone(result: evaluation.Evaluation) -> None:
    """A kind can be asked for, and one that is not there is refused with those that are."""
    assert len(pictures.show_mistakes(result, kind="missed").axes) == 1
    assert "3 mistakes at confidence ≥ 0.90; the 1 worst" in words(pictures.show_mistakes(result, 1))
    with pytest.raises(ValueError, match=r"no mistake of the kind 'duplicate'. The kinds here: 1 background, 1"):
        pictures.show_mistakes(result, kind="duplicate")
    for show in (pictures.show_mistakes, pictures.show_label_errors):
        with pytest.raises(ValueError, match="count must be 1 or more, got 0"):
            show(result, 0)


def test_suspicious_labels_are_shown_worst_first(result: evaluation.Evaluation) -> None:
    """Each suspicious label is cropped with the reason below it; the confirmed ones are not shown."""
    picture = pictures.show_label_errors(result)
    table = result.label_errors()
    assert len(picture.axes) == (table["score"] > 0).sum() == 3
    assert "3 labels to look at again" in words(picture)
    captions = [" ".join(text.split()) for text in words(picture) if "look" in text or "nothing" in text]
    assert "labelled cat, looks like dog 0.90" in captions
    assert "no label, looks like cat 0.95" in captions
    assert "labelled dog, nothing is found there" in captions


def test_a_ranking_from_elsewhere_is_shown_of_its_dataset(result: evaluation.Evaluation) -> None:
    """A dataset with a ranking gives the picture that an evaluation with the same one gives; without, it is refused."""
    table = result.label_errors().query("object > 0")
    picture = pictures.show_label_errors(result.dataset, table=table)
    assert "2 labels to look at again" in words(picture)
    assert words(picture) == words(pictures.show_label_errors(result, table=table))
    assert "detected, no label" not in " ".join(words(picture)), "no label is missing here"
    with pytest.raises(ValueError, match=r"the ranking has to be given: table=classifier\.wrong_classes"):
        pictures.show_label_errors(result.dataset)


def test_nothing_wrong_is_said(tmp_path: Path) -> None:
    """A perfect detector has no mistake to show, and contradicts no label."""
    few = few_photos(tmp_path)
    result = evaluation.score(few, [all_found(image) for image in few])
    assert words(pictures.show_mistakes(result)) == ["No mistake at confidence ≥ 0.90"]
    assert words(pictures.show_label_errors(result)) == ["No label is contradicted"]


def test_crop_shows_the_pixels_of_its_box(tmp_path: Path) -> None:
    """The crop around a box is that part of the photo, in the photo's proportions."""
    image = photo(tmp_path, "a.png", (400, 300), [[300, 200, 340, 230]], [1])
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[200:230, 300:340] = (250, 0, 0)
    Image.fromarray(pixels).save(image.path)
    picture = pictures.show_mistakes(evaluation.score(Dataset((image,), CAT_DOG), [detections()]))
    (axes,) = picture.axes
    shown = axes.images[0].get_array()
    assert shown.shape[1] / shown.shape[0] == pytest.approx(4 / 3, rel=0.05)
    (box,) = drawn(axes, "box")
    red = (np.asarray(shown)[..., 0] > 125).mean()
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert red == pytest.approx(box.get_width() * box.get_height() / ((right - left) * (bottom - top)), rel=0.1)
    assert 0.05 < red < 0.7


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (90, 900), (2000, 60), (16, 12)])
@pytest.mark.parametrize("place", [(0, 0, 0.1, 0.1), (0.9, 0.9, 1, 1), (0.4, 0.4, 0.5, 0.5), (0, 0, 1, 1)])
def test_crop_holds_the_box_and_is_of_one_shape(size: tuple[int, int], place: tuple) -> None:
    """Wherever the box lies and whatever the photo's shape, it is inside of a crop of 4 to 3."""
    box_xyxy = np.array(place) * [*size, *size]
    x0, y0, x1, y1 = view_around(box_xyxy[None], size, aspect=4 / 3, around=0.3, least=8)
    assert (np.array([x0, y0]) <= box_xyxy[:2] + 1e-6).all()
    assert (np.array([x1, y1]) >= box_xyxy[2:] - 1e-6).all()
    assert (x1 - x0) / (y1 - y0) == pytest.approx(4 / 3)
    if size[0] >= x1 - x0:  # it reaches over an edge only where the photo is too small
        assert x0 >= -1e-6
        assert x1 <= size[0] + 1e-6


def test_a_photo_that_is_gone_is_a_card(result: evaluation.Evaluation) -> None:
    """Where a photo can no longer be opened a grey card says so, and the others are shown."""
    result.dataset[1].path.unlink()
    picture = pictures.show_mistakes(result)
    assert [len(drawn(axes, "card")) for axes in picture.axes].count(1) == 1
    assert any("the photo is not there" in " ".join(text.split()) for text in words(picture))


def test_calibration_is_drawn_as_it_was_counted() -> None:
    """Each bin is a point at its confidence and precision, with how many detections it has."""
    result = evaluation.score(*made_up(0, images=60), resamples=0)
    picture = pictures.plot_calibration(result)
    chart, counts = picture.axes
    bins = result.calibration.bins
    line = next(line for line in chart.lines if line.get_marker() == "o")
    assert np.allclose(line.get_xydata(), bins[["confidence", "precision"]])
    assert [text.get_text() for text in counts.texts] == [f"{count:,}" for count in bins["count"]]
    assert str(result.calibration).split(":")[0] in picture.get_suptitle()
    assert f"error {result.calibration.error:.2f}" in picture.get_suptitle()


def test_calibration_without_detections_is_drawn() -> None:
    """Where nothing was found the picture says that there is too little to see."""
    dataset, found = made_up(0)
    result = evaluation.score(dataset, [one[:0] for one in found], resamples=0)
    picture = pictures.plot_calibration(result)
    assert "Only 0 detections" in picture.get_suptitle()
    assert picture.to_bytes()


def test_thresholds_mark_the_best_of_each_class() -> None:
    """Each class with examples has its curve, its best point on it, and what it reaches there in words."""
    result = evaluation.score(*made_up(0, images=60), resamples=0)
    curves, points = pictures.plot_thresholds(result).axes
    marked = {tuple(line.get_xydata()[0]) for line in curves.lines if line.get_marker() == "o"}
    table = result.per_class.iloc[:2]
    assert {tuple(row) for row in table[["best_threshold", "f1"]].to_numpy()} <= marked
    assert (result.threshold, result.f1) in marked
    assert [label.get_text() for label in points.get_yticklabels()] == ["class 1", "class 2"]
    best = table.iloc[0]
    expected = f"{best['best_threshold']:.2f}:  precision {best['precision']:.2f}, recall {best['recall']:.2f}"
    assert expected in words(points)


def test_thresholds_of_many_classes_say_what_is_left_out() -> None:
    """Of forty classes the most frequent are listed, and all curves are grey but the one over all."""
    result = evaluation.score(*made_up(0, images=60, classes=41), resamples=0)
    curves, points = pictures.plot_thresholds(result).axes
    assert "40 classes in grey" in curves.get_title(loc="left")
    assert "16 most frequent of 40" in points.get_title(loc="left")
    assert len(points.get_yticklabels()) == 16


def test_intervals_are_drawn_on_the_bars() -> None:
    """Each class's AP and AP50 have their interval as a line, and the headline has it in words."""
    result = evaluation.score(*made_up(0, images=60), resamples=100)
    picture = pictures.plot_evaluation(result)
    bars = picture.axes[1]
    drawn_ends = {tuple(line.get_xdata()) for line in bars.lines if line.get_gid() == "interval"}
    expected = [row[ends] for _, row in result.per_class.iloc[:2].iterrows()
                for ends in (["ap_low", "ap_high"], ["ap50_low", "ap50_high"])]  # fmt: skip
    assert drawn_ends == {tuple(ends) for ends in expected}
    low, high = result.intervals["ap"]
    assert f"AP {result.ap:.2f} (95 %: {low:.2f} to {high:.2f})" in picture.get_suptitle()
    assert "lines: 95 % intervals" in words(bars)
    plain = pictures.plot_evaluation(evaluation.score(*made_up(0, images=60), resamples=0))
    assert not [line for line in plain.axes[1].lines if line.get_gid() == "interval"]


def test_picture_in_more_dots_is_larger_and_comes_back(result: evaluation.Evaluation) -> None:
    """A page asks for more dots per inch than a notebook; afterwards the picture is as it was."""
    picture = pictures.plot_thresholds(result)
    before = picture.to_bytes()
    with Image.open(io.BytesIO(picture.to_bytes(dpi=192))) as large, Image.open(io.BytesIO(before)) as usual:
        assert large.width == pytest.approx(2 * usual.width, abs=2)
    with Image.open(io.BytesIO(picture.to_bytes())) as again, Image.open(io.BytesIO(before)) as usual:
        assert again.size == usual.size


def test_masks_of_mistakes_are_tinted(result: evaluation.Evaluation) -> None:
    """A crop has the masks of its mark in the mark's colour, over the object alone; a set without masks has none."""
    assert not [image for axes in pictures.show_mistakes(result).axes for image in axes.images[1:]]
    whole = [image.boxes_xyxy.round().astype(int) for image in result.dataset]
    drawn_masks = [np.zeros((len(boxes), 240, 320), bool) for boxes in whole]
    for pixels, boxes in zip(drawn_masks, whole, strict=True):
        for one, (x0, y0, x1, y1) in zip(pixels, boxes, strict=True):
            one[y0 : (y0 + y1) // 2, x0:x1] = True  # the upper half of each box
    dataset = replace(
        result.dataset,
        images=tuple(
            replace(image, masks=tuple(map(masks.encode, pixels)))
            for image, pixels in zip(result.dataset, drawn_masks, strict=True)
        ),
    )
    found = [replace(one, mask=np.ones((len(one), 240, 320), bool)) for one in result.detections]
    picture = pictures.show_mistakes(evaluation.score(dataset, found), kind="missed")
    (axes,) = picture.axes
    _, tint = axes.images
    assert tint.get_gid() == "mask"
    shown = tint.get_array()
    assert np.allclose(shown[0, 0, :3], matplotlib.colors.to_rgb(VERMILLION))
    x0, x1, y1, y0 = tint.get_extent()
    dog = ((np.array([150, 60, 300, 140]) - [x0, y0, x0, y0]) / (x1 - x0) * shown.shape[1]).astype(int)
    inside = shown[dog[1] + 2 : dog[3] - 2, dog[0] + 2 : dog[2] - 2, 3]
    assert inside.min() == pytest.approx(0.45, abs=0.01)
    assert shown[..., 3].sum() == pytest.approx(0.45 * (dog[2] - dog[0]) * (dog[3] - dog[1]), rel=0.05)


def test_ap_of_masks_is_drawn_beside_that_of_boxes() -> None:
    """Where masks were scored, the headline says their AP with its interval, and each class has a diamond there."""
    dataset, found = with_masks(*made_up(2, images=10), 2)
    result = evaluation.score(dataset, found, resamples=50)
    picture = pictures.plot_evaluation(result)
    low, high = result.masks.intervals["ap"]
    assert f"\nmasks: AP {result.masks.ap:.2f} (95 %: {low:.2f} to {high:.2f}), AP50" in picture.get_suptitle()
    bars = picture.axes[1]
    diamonds = [float(line.get_xdata()[0]) for line in bars.lines if line.get_gid() == "masks"]
    assert sorted(diamonds) == sorted(result.masks.per_class["ap"].dropna())
    assert "masks" not in pictures.plot_evaluation(replace(result, masks=None)).get_suptitle()
