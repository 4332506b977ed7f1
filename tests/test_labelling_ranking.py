"""Which photos to label next: the unsure, the unlike and those of rare classes, and never two that are nearly one."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import labelling
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.detector import Detector
from tfod_helpers.problems import DatasetError

SIDE, MARK = 64, 8
CLASSES = LabelMap(["cat", "dog", "bird"])


def by_mark(squares: np.ndarray) -> dict[str, np.ndarray]:
    """A stand-in for a model: one box, whose confidence as each of three classes the colour of a corner says."""
    sure = squares[:, 2 : MARK - 2, 2 : MARK - 2].mean(axis=(1, 2)).astype(np.float32) / 255
    order = np.argsort(-sure, axis=1, kind="stable")
    boxes_xyxy = np.tile(np.array([10, 10, 50, 50], np.float32), (len(squares), 3, 1))
    scores = np.take_along_axis(sure, order, axis=1)
    return {"boxes_xyxy": boxes_xyxy, "scores": scores, "classes": order + 1, "count": np.full(len(squares), 3)}


@pytest.fixture
def detector() -> Detector:
    """A detector that is as sure as the photo's mark says."""
    return Detector(by_mark, CLASSES, SIDE, 0.5)


def draw(path: Path, seed: int, cat: float = 0, dog: float = 0, bird: float = 0, brighter: int = 0) -> Path:
    """Write a photo that looks like no other of another seed, with the mark of what is to be detected in it."""
    coarse = np.random.default_rng(seed).integers(40, 200, (6, 6, 3), np.uint8)
    rgb = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) + np.uint8(brighter)
    rgb[:MARK, :MARK] = np.round(np.array([cat, dog, bird]) * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def labels_of(paths: list[Path], labels: list[list[int]] | None = None) -> Dataset:
    """Labelled photos with the boxes of these classes; one cat each where nothing is said."""
    images = [
        LabelledImage(path, SIDE, SIDE, [[10, 10, 50, 50]] * len(ids), ids)
        for path, ids in zip(paths, labels or [[1]] * len(paths), strict=True)
    ]
    return Dataset(tuple(images), CLASSES)


@pytest.fixture
def labelled(tmp_path: Path) -> Dataset:
    """Three labelled photos, one of each class."""
    return labels_of([draw(tmp_path / "labelled" / f"{n}.bmp", 100 + n) for n in range(3)], [[1], [2], [3]])


def names(table: object) -> list[str]:
    """The file names in a table's order."""
    return [Path(path).name for path in table["path"]]


# --- what is chosen ---------------------------------------------------------------------------------


def test_the_unsure_come_first_and_the_sure_last(detector: Detector, labelled: Dataset, tmp_path: Path) -> None:
    """A box that may be a cat or a dog teaches more than a sure one, and the reason names both."""
    draw(tmp_path / "new" / "sure.bmp", 1, cat=0.98)
    draw(tmp_path / "new" / "torn.bmp", 2, cat=0.52, dog=0.48)
    table = labelling.rank(detector, tmp_path / "new", labelled, 2)
    assert names(table) == ["torn.bmp", "sure.bmp"]
    assert table["unsure"][0] == pytest.approx(0.52 * 0.96**2 + 0.48 * 1.04**2, abs=0.02)  # 1-vs-2, not 1-vs-nothing
    assert table["unsure"][1] == pytest.approx(0.98 * 0.02**2, abs=0.001)
    assert table["reason"][0].startswith("unsure: cat 0.52, dog 0.48")
    assert table["detected"][1] == "cat 0.98"
    assert (table["rare"] == 0).all()


def test_of_photos_in_which_nothing_is_found_unlike_ones_come_first(
    detector: Detector, labelled: Dataset, tmp_path: Path
) -> None:
    """Where the detector is blind, looks decide: what is near to a labelled photo, though no copy, comes last."""
    near = np.asarray(Image.open(labelled[0].path)).astype(int)
    for number in range(20):
        path = draw(tmp_path / "new" / f"far {number}.bmp", number)
        half = (near + np.asarray(Image.open(path)).astype(int)) // 2
        Image.fromarray(half.astype(np.uint8)).save(tmp_path / "new" / f"near {number}.bmp")
    table = labelling.rank(detector, tmp_path / "new", labelled, 12)
    far = table["path"].str.contains("far")
    assert far.all()
    assert list(table["unlike"]) == sorted(table["unlike"], reverse=True)
    assert table["reason"][far].str.startswith("unlike what is labelled").any()
    assert (table["detected"] == "nothing").all()


def test_a_rare_class_gets_its_share(detector: Detector, tmp_path: Path) -> None:
    """With 30 cats and 3 birds labelled, most of the first are of maybe a bird, though few photos are, and say so."""
    paths = [draw(tmp_path / "labelled" / f"{n}.bmp", 100 + n) for n in range(3)]
    labelled = labels_of(paths, [[1] * 30, [2] * 30, [3] * 3])
    for number in range(40):
        kind = "bird" if number % 4 == 0 else "cat"
        draw(tmp_path / "new" / f"{kind} {number}.bmp", number, **{kind: 0.5})
    table = labelling.rank(detector, tmp_path / "new", labelled, 12)
    birds = table["path"].str.contains("bird")
    assert birds.sum() >= 8  # by chance there would be three
    assert table["reason"][birds].str.startswith("rare class: bird, 3 labelled").all()
    assert (table["rare"][birds] > table["unsure"][birds]).all()
    assert (table["rare"][~birds] == 0).all()


def test_a_sure_detection_of_a_rare_class_is_worth_a_label_too(detector: Detector, tmp_path: Path) -> None:
    """Of a class with two labels also photos in which it is clearly found come before ones of maybe a cat."""
    labelled = labels_of([draw(tmp_path / "labelled.bmp", 100)], [[1] * 30 + [2] * 30 + [3] * 2])
    for number in range(40):
        draw(tmp_path / "new" / f"{number:02}.bmp", number, **({"cat": 0.5} if number % 4 else {"bird": 0.95}))
    table = labelling.rank(detector, tmp_path / "new", labelled, 12)
    assert sum(int(name[:2]) % 4 == 0 for name in names(table)) >= 8


def test_the_order_of_the_paths_and_their_form_change_nothing(
    detector: Detector, labelled: Dataset, tmp_path: Path
) -> None:
    """A folder, its paths, these the other way round and twice, and a dataset give the same table, again and again."""
    random = np.random.default_rng(0)
    paths = [draw(tmp_path / "new" / f"{n}.bmp", n, *random.random(3) / 2) for n in range(20)]
    expected = labelling.rank(detector, tmp_path / "new", labelled, 8)
    for given in (paths, paths[::-1] + paths[:5], map(str, paths), labels_of(paths)):
        assert labelling.rank(detector, given, labelled, 8).equals(expected)
    assert labelling.rank(detector, paths, labelled, 20, batch_size=3).head(8).equals(expected)


# --- what is left out -------------------------------------------------------------------------------


def test_near_duplicates_are_never_both_chosen(
    detector: Detector, labelled: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a photo, its copies and what is brighter only one is chosen; of what is labelled already none is."""
    for number in range(3):
        draw(tmp_path / "new" / f"{number}.bmp", number, cat=0.5)
        draw(tmp_path / "new" / f"{number} brighter.bmp", number, cat=0.5, brighter=12)
        shutil.copy(tmp_path / "new" / f"{number}.bmp", tmp_path / "new" / f"{number} copy.bmp")
    shutil.copy(labelled[0].path, tmp_path / "new" / "labelled.bmp")
    draw(tmp_path / "new" / "labelled brighter.bmp", 101, cat=0.5, brighter=12)
    table = labelling.rank(detector, tmp_path / "new", labelled, 11)
    assert sorted(name[0] for name in names(table)) == ["0", "1", "2"]
    assert len(table.attrs["near_duplicates"]) == 8
    said = capsys.readouterr().out
    assert "Left out as nearly the same as one that is labelled or chosen: 8 photos." in said
    assert "11 were asked for, and there are 3 to choose from" in said


def test_of_a_film_whose_frames_look_alike_one_is_chosen(detector: Detector, labelled: Dataset, tmp_path: Path) -> None:
    """Also of more near-duplicates than one photo is compared with in the checks only one is ever chosen."""
    for number in range(40):
        draw(tmp_path / "new" / f"{number:02}.bmp", 1, cat=0.5, dog=number / 100, brighter=number % 9)
    assert len(labelling.rank(detector, tmp_path / "new", labelled, 5)) == 1


def test_plain_photos_are_no_near_duplicates_unless_their_files_are_equal(
    detector: Detector, labelled: Dataset, tmp_path: Path
) -> None:
    """A grey wall says nothing of what it is a photo of, but the very same file is one photo."""
    (tmp_path / "new").mkdir()
    for grey in (90, 91):
        Image.new("RGB", (SIDE, SIDE), (grey,) * 3).save(tmp_path / "new" / f"{grey}.bmp")
    shutil.copy(tmp_path / "new" / "90.bmp", tmp_path / "new" / "again.bmp")
    assert len(labelling.rank(detector, tmp_path / "new", labelled, 3)) == 2


def test_photos_that_cannot_be_read_are_said_and_left_out(
    detector: Detector, labelled: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text with a photo's ending and a missing photo are named with what to do; the others are ranked."""
    paths = [draw(tmp_path / "new" / f"{n}.bmp", n, cat=0.5) for n in range(2)]
    (tmp_path / "new" / "text.jpg").write_text("no photo")
    table = labelling.rank(detector, [*paths, tmp_path / "new" / "text.jpg", tmp_path / "gone.jpg"], labelled, 2)
    assert len(table) == 2
    assert len(table.attrs["problems"]) == 2
    said = capsys.readouterr().out
    assert "Left out, since they cannot be read, 2 photos:" in said
    assert "text.jpg: " in said
    assert "gone.jpg: " in said


def test_without_any_photo_there_is_an_error_in_words(detector: Detector, labelled: Dataset, tmp_path: Path) -> None:
    """An empty list, an empty folder, a missing one and one of broken photos are each told apart."""
    with pytest.raises(ValueError, match="There is no photo to choose from"):
        labelling.rank(detector, [], labelled, 1)
    (tmp_path / "new").mkdir()
    with pytest.raises(DatasetError, match="there are no photos in this folder"):
        labelling.rank(detector, tmp_path / "new", labelled, 1)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        labelling.rank(detector, tmp_path / "none", labelled, 1)
    (tmp_path / "new" / "text.jpg").write_text("no photo")
    with pytest.raises(DatasetError, match=r"no photo can be read: 1 problem:\n  .*text\.jpg: "):
        labelling.rank(detector, tmp_path / "new", labelled, 1)


# --- what does not fit ------------------------------------------------------------------------------


def test_a_detector_of_other_classes_is_refused_before_it_looks(
    labelled: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no class is in common the error names both sides; where some are, a line says which others are not."""
    draw(tmp_path / "new" / "a.bmp", 1, cat=0.5)
    draw(tmp_path / "new" / "b.bmp", 2, bird=0.3, dog=0.2)
    strange = Detector(by_mark, LabelMap(["car", "bus", "van"]), SIDE, 0.5)
    with pytest.raises(ValueError, match=r"The detector has the classes .*car.*, the dataset .*cat.*none in common"):
        labelling.rank(strange, tmp_path / "new", labelled, 1)
    partly = Detector(by_mark, LabelMap(["car", "bus", "bird"]), SIDE, 0.5)
    assert list(labelling.rank(partly, tmp_path / "new", labelled, 2)["detected"]) == ["bird 0.30", "nothing"]
    said = capsys.readouterr().out
    assert "The labelled photos lack car, bus, so detections of that are left out." in said
    assert "The detector does not know cat, dog: such photos are only chosen by their looks." in said


def test_a_class_without_a_label_yet_counts_most(detector: Detector, tmp_path: Path) -> None:
    """Of a class that was added half way there is no label: what may be one comes first."""
    labelled = labels_of([draw(tmp_path / "labelled.bmp", 100)], [[1] * 9 + [2] * 9])
    draw(tmp_path / "new" / "a.bmp", 1, cat=0.5)
    draw(tmp_path / "new" / "b.bmp", 2, bird=0.3)
    table = labelling.rank(detector, tmp_path / "new", labelled, 2)
    assert names(table) == ["b.bmp", "a.bmp"]
    assert "rare class: bird, 0 labelled" in table["reason"][0]


def test_nothing_labelled_yet_is_no_error(detector: Detector, tmp_path: Path) -> None:
    """A detector of somebody else's photos ranks a folder of which nothing is labelled."""
    draw(tmp_path / "new" / "a.bmp", 1, cat=0.95)
    draw(tmp_path / "new" / "b.bmp", 2, cat=0.5)
    table = labelling.rank(detector, tmp_path / "new", Dataset((), CLASSES), 2)
    assert names(table) == ["b.bmp", "a.bmp"]
    assert list(table["unlike"]) == [1, 1]


def test_a_suggestion_is_not_labelled_yet(detector: Detector, labelled: Dataset) -> None:
    """What holds a detector's suggestions only can still be chosen, and its boxes make no class less rare."""
    suggested = dataclasses.replace(labelled[0], scores=[0.4])
    waiting = dataclasses.replace(labelled, images=(suggested, *labelled[1:]))
    table = labelling.rank(detector, [image.path for image in labelled], waiting, 3)
    assert list(table["path"]) == [str(suggested.path)]


def test_wrong_arguments_are_refused_in_words(detector: Detector, labelled: Dataset, tmp_path: Path) -> None:
    """No photo to choose and something that is no path are slips of the pen."""
    with pytest.raises(ValueError, match="count must be 1 or more, got 0"):
        labelling.rank(detector, tmp_path, labelled, 0)
    with pytest.raises(TypeError, match="a list of paths, got ndarray among them"):
        labelling.rank(detector, [np.zeros((4, 4, 3))], labelled, 1)
