"""Boxes of a wrong class stand at the top, found by what is in them, from other photos alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import classifier, evaluation, pictures, sources
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.classifier import backbones
from tfod_helpers.formats import voc

Striped = Callable[..., Dataset]


@pytest.fixture
def striped(tmp_path: Path) -> Striped:
    """What draws photos of two things each, one with upright stripes, one with lying ones, labelled so."""

    def draw(count: int = 20, seed: int = 0) -> Dataset:
        random = np.random.default_rng(seed)
        images = []
        for number in range(count):
            pixels = random.integers(0, 90, (60, 120, 3)).astype(np.uint8)
            labels = random.permutation([1, 2])
            boxes_xyxy = [[5, 5, 55, 55], [65, 5, 115, 55]]
            for (left, top, right, bottom), label in zip(boxes_xyxy, labels, strict=True):
                wave = np.sin(np.arange(50) / random.uniform(1.2, 2.5) + random.uniform(0, 6)) * 60 + 150
                stripes = np.tile(wave, (50, 1)) if label == 1 else np.tile(wave, (50, 1)).T
                pixels[top:bottom, left:right] = (stripes + random.normal(0, 8, (50, 50)))[..., None]
            path = tmp_path / f"{seed}-{number}.png"
            Image.fromarray(pixels).save(path)
            images.append(LabelledImage(path, 120, 60, boxes_xyxy, labels))
        return Dataset(tuple(images), LabelMap(["upright", "lying", "spotted", "none"]))

    return draw


def relabelled(dataset: Dataset, changes: dict[tuple[int, int], int], **flags: list[bool]) -> Dataset:
    """Give some boxes, by image and place, another class; flags are those of every image."""
    images = []
    for number, image in enumerate(dataset):
        labels = [changes.get((number, place), label) for place, label in enumerate(image.labels.tolist())]
        images.append(dataclasses.replace(image, labels=np.array(labels), **flags))
    return Dataset(tuple(images), dataset.label_map)


def test_flipped_boxes_come_first(striped: Striped) -> None:
    """Three boxes of the other class lead the ranking, with their reason; no other one is accused."""
    dataset = striped()
    flips = {(place, k): int(3 - dataset[place].labels[k]) for place, k in ((2, 0), (9, 1), (16, 0))}
    table = classifier.wrong_classes(relabelled(dataset, flips), backbone=None)
    assert set(zip(table["image"][:3], table["object"][:3] - 1, strict=True)) == set(flips)
    assert (table["score"][:3] > 0).all()
    assert (table["score"][3:] < 0.1).all()
    first = table.iloc[0]
    assert first["reason"] == f"labelled {first['label']}, looks like {first['detected']} {first['confidence']:.2f}"
    assert {first["label"], first["detected"]} == {"upright", "lying"}
    assert first["path"] == str(dataset[int(first["image"])].path)
    assert sorted(zip(table["image"], table["object"], strict=True)) == [(n, k) for n in range(20) for k in (1, 2)]
    by_detector = evaluation.label_errors(dataset, [all_found(image) for image in dataset])
    assert list(table.columns) == list(by_detector.columns)


def all_found(image: LabelledImage) -> object:
    """A detector that finds every box of an image."""
    import supervision as sv

    return sv.Detections(image.boxes_xyxy, class_id=image.labels.astype(int), confidence=np.full(2, 0.9))


def test_copies_of_a_photo_do_not_confirm_each_other(striped: Striped) -> None:
    """A wrong label that stands in each of three copies of a photo is found in all of them."""
    dataset = striped(24)
    wrong = dataclasses.replace(dataset[3], labels=dataset[3].labels[::-1])
    copies = [dataclasses.replace(wrong, path=wrong.path.with_name(f"copy-{number}.png")) for number in range(2)]
    for copy in copies:
        Image.open(wrong.path).save(copy.path, compress_level=1)
    whole = Dataset((*dataset[:3], wrong, *dataset[4:], *copies), dataset.label_map)
    table = classifier.wrong_classes(whole, backbone=None)
    assert set(table["image"][:6]) == {3, 24, 25}
    assert (table["score"][:6] > 0).all()
    folds = whole.folds(5)
    assert folds[3] == folds[24] == folds[25]


def test_what_cannot_be_judged_is_left_out_and_said(striped: Striped, capsys: pytest.CaptureFixture[str]) -> None:
    """Difficult boxes have no row, nor those of a class with three, which is named."""
    dataset = relabelled(striped(), {(4, 0): 3, (7, 1): 3, (11, 0): 3}, difficult=[False, True])
    table = classifier.wrong_classes(dataset, backbone=None)
    assert set(table["object"]) == {1}
    assert set(table["label"]) == {"upright", "lying"}
    assert len(table) == 18
    assert "Too few boxes to be judged, in photos that do not look the same: spotted (2)." in capsys.readouterr().out


def test_where_nothing_can_be_compared_no_box_is_judged(striped: Striped, capsys: pytest.CaptureFixture[str]) -> None:
    """One class alone, or fewer photos than folds: a line says what is there, the table is empty, so is its picture."""
    dataset = striped(6)
    one = relabelled(dataset, {(n, k): 1 for n in range(6) for k in range(2)})
    table = classifier.wrong_classes(one, backbone=None)
    said = capsys.readouterr().out
    assert said.startswith("No box is judged. ")
    assert "two classes need 5 boxes each" in said
    assert "boxes here: upright 12, lying 0" in said
    assert len(table) == 0
    assert len(classifier.wrong_classes(dataset, backbone=None, folds=7)) == 0
    assert "6 images are too few for 7 folds. Take fewer folds, or add photos" in capsys.readouterr().out
    assert pictures.show_label_errors(one, table=table).texts[0].get_text() == "No label was judged"


def test_an_argument_that_cannot_be_is_refused(striped: Striped) -> None:
    """Fewer than two folds, and a backbone that there is not."""
    dataset = striped(6)
    with pytest.raises(ValueError, match="2 folds or more, got 1"):
        classifier.wrong_classes(dataset, backbone=None, folds=1)
    with pytest.raises(ValueError, match="no backbone 'resnet', only mobilenet_v2"):
        classifier.wrong_classes(dataset, backbone="resnet")


@pytest.mark.parametrize("error", [OSError("ImageNet's weights cannot be had: no network."), ImportError("no keras")])
def test_without_network_the_outlines_judge_and_it_is_said(
    error: Exception, striped: Striped, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where TensorFlow or the weights are missing, a line says so and why, and the ranking is that of outlines."""

    def make(*_: object, **__: object) -> None:
        raise error

    dataset = striped()
    expected = classifier.wrong_classes(dataset, backbone=None)
    assert "outlines" not in capsys.readouterr().out, "what was asked for is no news"
    monkeypatch.setattr(backbones, "make", make)
    assert classifier.wrong_classes(dataset).equals(expected)
    said = capsys.readouterr().out
    assert "Boxes are judged by their outlines alone, which finds much less in real photos." in said
    assert str(error) in said


def test_the_cat_that_is_labelled_as_a_dog_is_found(tmp_path: Path) -> None:
    """Of the broken sample's mistakes, the one that no rule can know is among the first of the ranking."""
    folder = sources.local("broken_sample", tmp_path)
    dataset = voc.read(folder / "train", on_problem="skip")
    (mistake,) = [one for one in sources.mistakes(folder) if "a cat is called a dog" in str(one)]
    readable = [image for image in dataset if image.path.name not in ("train_074.jpg", "train_078.jpg")]
    table = classifier.wrong_classes(Dataset(tuple(readable), dataset.label_map), backbone=None)
    assert Path(mistake.file).stem in [Path(path).stem for path in table["path"][:8]]


@pytest.mark.tensorflow
def test_flips_among_real_photos_come_first(shared: Path, keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ImageNet's weights, four flipped boxes of 105 photos of cats and dogs are within the first tenth."""
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    dataset = voc.read(shared / "data" / "asirra" / "test")
    flips = {(place, 0): int(3 - dataset[place].labels[0]) for place in (5, 30, 60, 90)}
    table = classifier.wrong_classes(relabelled(dataset, flips))
    first = table.head(len(table) // 10)
    assert set(flips) <= set(zip(first["image"], first["object"] - 1, strict=True))
