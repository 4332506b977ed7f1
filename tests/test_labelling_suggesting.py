"""Suggestions: marked as such wherever they go, never taken for truth until a person has confirmed them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from tfod_helpers import checks, evaluation, labelling, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.classifier import looked_at, wrong_classes
from tfod_helpers.detector import Detector
from tfod_helpers.evaluation import mistakes
from tfod_helpers.labelling import effort
from tfod_helpers.problems import DatasetError
from tfod_helpers.records import beam

LABELS = LabelMap(["cat", "dog"])


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    """Three photos: one that a person labelled, one with two suggested boxes, one in which nothing was found."""
    images = []
    for number, (boxes_xyxy, labels, scores) in enumerate(
        [([[5, 5, 50, 40]], [1], None), ([[1, 2, 30, 31], [40, 5, 80, 55]], [2, 1], [0.9, 0.25]), ([], [], [])]
    ):
        path = tmp_path / f"{number}.jpg"
        Image.new("RGB", (90, 60), (90, number, 50)).save(path)
        images.append(LabelledImage(path, 90, 60, boxes_xyxy, labels, scores=scores))
    return Dataset(tuple(images), LABELS)


def scores_of(dataset: Dataset) -> list[list[float] | None]:
    """The confidences of each image, to two digits."""
    return [None if image.scores is None else [round(score, 2) for score in image.scores.tolist()] for image in dataset]


# --- the mark ---------------------------------------------------------------------------------------


def test_a_photo_without_boxes_can_be_a_suggestion_too(mixed: Dataset) -> None:
    """What a detector found nothing in is a suggestion that nobody has confirmed, and both are counted and said."""
    assert (mixed.unconfirmed, mixed[1].scores.dtype, mixed[2].scores.shape) == (2, np.float32, (0,))
    assert "suggestions nobody has confirmed in 2" in repr(mixed)
    assert "suggestions" not in repr(mixed.only_confirmed())
    assert [image.path.name for image in mixed.only_confirmed()] == ["0.jpg"]


def test_confirmed_labels_are_a_persons(mixed: Dataset, tmp_path: Path) -> None:
    """What a person has confirmed is written like any other label, and nothing of it was changed."""
    confirmed = labelling.confirm(mixed)
    assert (confirmed.unconfirmed, mixed.unconfirmed) == (0, 2)
    assert confirmed[1].boxes_xyxy.tolist() == mixed[1].boxes_xyxy.tolist()
    assert len(list(records.read(records.write(confirmed, tmp_path / "records" / "train")))) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda dataset, folder: records.write(dataset, folder / "train"),
        lambda dataset, folder: beam.write(dataset, folder / "train"),
        lambda dataset, _: evaluation.evaluate(Detector(never, LABELS, 64, 0.5), dataset),
        lambda dataset, _: evaluation.score(dataset, [sv.Detections.empty()] * 3, resamples=0),
        lambda dataset, _: mistakes(dataset, [sv.Detections.empty()] * 3, 0.5),
        lambda dataset, _: evaluation.label_errors(dataset, [sv.Detections.empty()] * 3),
        lambda dataset, _: evaluation.score_classes(dataset, np.full((3, 2), 0.5)),
        lambda dataset, _: looked_at.crops(dataset),
        lambda dataset, _: looked_at.whole_photos(dataset),
        lambda dataset, _: wrong_classes(dataset),
    ],
    ids=["records", "beam", "evaluate", "score", "mistakes", "label_errors", "classes", "crops", "whole", "wrong"],
)
def test_suggestions_are_never_taken_for_truth(
    mixed: Dataset, tmp_path: Path, use: Callable[[Dataset, Path], Any]
) -> None:
    """Whatever trains or judges by labels refuses suggestions before any work, in words, and leaves nothing behind."""
    folder = tmp_path / "made"
    with pytest.raises(DatasetError, match=r"detector suggested for 2 of 3 photos, such as 1\.jpg.*labelling\.confirm"):
        use(mixed, folder)
    assert not folder.exists()


def never(_: np.ndarray) -> dict[str, np.ndarray]:
    """A model that is not to be run."""
    raise AssertionError("the detector has run")


def test_checks_tell_of_suggestions(mixed: Dataset) -> None:
    """What keeps a dataset from being written is in the report of the checks, once."""
    problems = checks.check(mixed).problems
    told = [one for one in problems if one.kind == "suggestions not confirmed"]
    assert [(one.severity, one.where) for one in told] == [("error", "photos")]
    assert "image without objects" not in {one.kind for one in problems}, "nobody has said yet that it is background"


def test_the_mark_stays_through_all_that_rebuilds_images(mixed: Dataset) -> None:
    """Another label map, splits, folds and mending keep each box's own confidence; a box drawn twice is mended."""
    twice = dataclasses.replace(
        mixed[1], boxes_xyxy=mixed[1].boxes_xyxy[[0, 0, 1]], labels=[2, 2, 1], crowd=None, difficult=None,
        scores=[0.9, 0.5, 0.25],
    )  # fmt: skip
    mended = checks.mend(dataclasses.replace(mixed, images=(mixed[0], twice, mixed[2]))).dataset
    assert scores_of(mended) == [None, [0.9, 0.25], []]
    turned = mixed.with_label_map(LabelMap(["dog", "cat"]))
    assert (scores_of(turned), turned[1].labels.tolist()) == (scores_of(mixed), [1, 2])
    parts = mixed.split({"one": 0.5, "other": 0.5})
    assert sum(part.unconfirmed for part in parts.values()) == 2


# --- suggesting -------------------------------------------------------------------------------------

SIDE = 64


def bright_spot(squares: np.ndarray) -> dict[str, np.ndarray]:
    """A stand-in for a model: what is bright is a dog, perhaps a cat a little wider, and faintly a cat over all."""
    boxes_xyxy = np.zeros((len(squares), 3, 4), np.float32)
    for number, square in enumerate(squares):
        ys, xs = np.nonzero(square.min(axis=-1) > 200)
        if len(ys):
            boxes_xyxy[number, :2] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
            boxes_xyxy[number, 1, 2] += 2
        boxes_xyxy[number, 2] = -5, -5, SIDE + 5, SIDE + 5
    scores = np.tile(np.array([0.9, 0.6, 0.2], np.float32), (len(squares), 1))
    classes = np.tile(np.array([2, 1, 1], np.int32), (len(squares), 1))
    return {"boxes_xyxy": boxes_xyxy, "scores": scores, "classes": classes, "count": np.full(len(squares), 3)}


@pytest.fixture
def detector() -> Detector:
    """A detector of bright spots."""
    return Detector(bright_spot, LABELS, SIDE, 0.5)


def photo(path: Path, *, spot: bool = True, orientation: int = 1) -> Path:
    """A large black photo with a white rectangle from (400, 100) to (1000, 500), perhaps stored turned."""
    rgb = np.zeros((800, 1600, 3), np.uint8)
    rgb[100:500, 400:1000] = 255 * spot
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(rgb)
    if orientation == 6:  # a viewer turns it by 90 degrees to the right
        image = image.transpose(Image.Transpose.ROTATE_90)
    path.parent.mkdir(exist_ok=True, parents=True)
    image.save(path, exif=exif, quality=95)
    return path


def test_boxes_are_suggested_in_the_pixels_of_the_upright_photo(detector: Detector, tmp_path: Path) -> None:
    """A large photo and one that is stored turned have their box where a viewer sees the object; nothing is confirmed.

    Of the two boxes on one object, of two classes, the more confident stays; what is faint is not suggested.
    """
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "below" / "b.jpg", orientation=6)
    photo(tmp_path / "c.jpg", spot=False)
    found = labelling.suggest(detector, tmp_path)
    assert [image.path.relative_to(tmp_path).as_posix() for image in found] == ["a.jpg", "c.jpg", "below/b.jpg"]
    assert [(image.width, image.height) for image in found] == [(1600, 800)] * 3
    for image in (found[0], found[2]):
        np.testing.assert_allclose(image.boxes_xyxy, [[400, 100, 1000, 500]], atol=1600 / SIDE)
        assert image.labels.tolist() == [2]
    assert (scores_of(found), found.unconfirmed) == ([[0.9], [], [0.9]], 3)


def test_photos_that_cannot_be_read_are_left_out_and_said(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cut off, one that is none and one that is gone do not stop the others, whichever batch they are in."""
    paths = [photo(tmp_path / f"{number}.jpg") for number in range(5)]
    paths[1].write_bytes(paths[1].read_bytes()[:2000])
    paths[2].write_bytes(b"<html>")
    paths[3].unlink()
    found = labelling.suggest(detector, paths, batch_size=2)
    assert [image.path.name for image in found] == ["0.jpg", "4.jpg"]
    assert [(one.kind, Path(one.photo).name) for one in found.problems] == [
        ("photo unreadable", "1.jpg"), ("photo unreadable", "2.jpg"), ("photo unreadable", "3.jpg")
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert "Suggested 2 boxes in 2 photos, from confidence 0.37 on." in out
    assert "3 photos left out, all in .problems, such as\n" in out
    assert "there is no such file. Check the path." in out
    with pytest.raises(DatasetError, match="there is none that can be read"):
        labelling.suggest(detector, paths[1:3])


def test_labels_of_a_dataset_are_ignored(detector: Detector, mixed: Dataset) -> None:
    """Of a dataset only the photos count, with their split and bytes; what a person labelled is not in the result."""
    data = photo(mixed[0].path.parent / "d" / "d.jpg").read_bytes()
    image = LabelledImage("d.jpg", 1600, 800, [[1, 2, 30, 31]], [1], encoded=data, split="train")
    (found,) = labelling.suggest(detector, Dataset((image,), LabelMap(["owl"])))
    assert (found.encoded, found.split, found.labels.tolist()) == (data, "train", [2])


def test_classes_are_those_of_the_labelled_set(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes are taken by name; one that the detector does not know yet is said; one too many is refused in words."""
    photo(tmp_path / "a.jpg")
    found = labelling.suggest(detector, tmp_path, labelled=LabelMap(["dog", "owl", "cat"]))
    assert (found.label_map.names, found[0].labels.tolist()) == (("dog", "owl", "cat"), [1])
    assert "The detector does not know owl: nothing is suggested for it." in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"suggests 'dog', and the labelled set has no such class: .*mean 'Dogs'\?"):
        labelling.suggest(detector, tmp_path, labelled=LabelMap(["cat", "Dogs"]))


def test_threshold_of_the_least_work_counts_what_each_box_costs(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A threshold goes as low as the right boxes saved more than the wrong ones cost: 7.0 - 1.6 to 1.6 + 1.6 seconds.

    In place means IoU 0.70: one at 0.6 has to be drawn again. One of another class only has its class changed.
    """
    truth = Dataset(tuple(LabelledImage(f"{n}.jpg", 200, 200, [[0, 0, 100, 100]], [1]) for n in range(3)), LABELS)

    def found(*boxes: tuple[float, float]) -> sv.Detections:
        """Boxes of the class, of these widths and confidences; a negative width lies elsewhere."""
        boxes_xyxy = [[150, 150 - width, 190, 190] if width < 0 else [0, 0, width, 100] for width, _ in boxes]
        scores = np.array([score for _, score in boxes], np.float32)
        return sv.Detections(np.array(boxes_xyxy, np.float32), confidence=scores, class_id=np.ones(len(boxes), int))

    right, low, ghost = (100, 0.9), (80, 0.3), (-10, 0.4)
    assert effort.least_work(truth, [found(right), found(low), found(ghost)]) == pytest.approx(0.3)
    badly_placed = (60, 0.3)
    assert effort.least_work(truth, [found(right), found(badly_placed), found(ghost)]) == pytest.approx(0.9)
    other = found(right, (80, 0.3))
    other.class_id = np.array([2, 2])
    assert effort.least_work(truth, [other, found(ghost), found((-10, 0.35))]) == pytest.approx(0.9)
    two = [found(right), found(ghost, low), found((-20, 0.35))]
    assert effort.least_work(truth, two) == pytest.approx(0.9), "5.4 s saved, 6.4 s lost"
    assert effort.least_work(truth, [found(ghost)] * 3) == 1.0, "nothing pays"
    assert effort.least_work(truth, [sv.Detections.empty()] * 3) == 1.0
    judged = evaluation.score(truth, [found(right), found(low), found(ghost)], resamples=0)
    photo(tmp_path / "a.jpg")
    assert scores_of(labelling.suggest(detector, tmp_path, evaluation=judged)) == [[0.9]]
    useless = evaluation.score(truth, [found(ghost)] * 3, resamples=0)
    assert scores_of(labelling.suggest(detector, tmp_path, evaluation=useless)) == [[]]
    assert "suggestions would have cost more time than they saved" in capsys.readouterr().out
    assert scores_of(labelling.suggest(detector, tmp_path, threshold=0.1)) == [[0.9, 0.2]]
    with pytest.raises(ValueError, match="between 0 and 1"):
        labelling.suggest(detector, tmp_path, threshold=50)
