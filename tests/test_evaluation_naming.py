"""evaluation, the classes: detections and labels are compared by name, whatever the order of the label maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import detections, made_up, one_image

from tfod_helpers import evaluation, formats
from tfod_helpers.annotations import Dataset, LabelMap

CAT_DOG = LabelMap(["cat", "dog"])
CAT, DOG = [10, 10, 60, 60], [100, 100, 200, 180]
PHOTOS = Dataset(tuple(one_image([CAT, DOG], [1, 2], number) for number in range(4)), CAT_DOG)


class Perfect:
    """A detector that finds every object, and knows the classes in an order of its own."""

    def __init__(self, dataset: Dataset, names: list[str], *, says: bool = True) -> None:
        self.label_map, self._says = LabelMap(names), says
        self._images = iter(dataset)
        self._known = dataset.label_map

    def detect(self, pixels: list[np.ndarray], *, threshold: float) -> list[sv.Detections]:
        """Return the objects of the next images, of the classes that it knows."""
        assert threshold == 0
        return [self._one(next(self._images)) for _ in pixels]

    def _one(self, image: object) -> sv.Detections:
        named = [(box, self._known.name(label)) for box, label in zip(image.boxes_xyxy, image.labels, strict=True)]
        named = [(box, name) for box, name in named if name in self.label_map]
        ids = [self.label_map.id(name) for _, name in named]
        found = detections([box for box, _ in named], ids, [0.9] * len(ids))
        if self._says and ids:
            found.data["class_name"] = np.array([name for _, name in named])
        return found


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos that no file is needed for."""
    monkeypatch.setattr("tfod_helpers.annotations.LabelledImage.pixels", lambda _: np.zeros((4, 4, 3), np.uint8))


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize("says", [True, False])
def test_a_perfect_detector_is_perfect_in_any_order(says: bool) -> None:
    """The same classes in another order score AP 1, by the detections' names or by the detector's label map."""
    result = evaluation.evaluate(Perfect(PHOTOS, ["dog", "cat"], says=says), PHOTOS, resamples=0)
    assert (result.ap, result.f1, result.notes) == (pytest.approx(1), pytest.approx(1), ())
    assert result.confusion.loc["cat", "cat"] == result.confusion.loc["dog", "dog"] == 4
    assert not len(result.mistakes())
    assert (result.label_errors()["score"] < 0).all()


def test_a_folder_of_photos_read_in_another_order(shared: Path) -> None:
    """A detector trained on cat, dog scores AP 1 on photos that were read as dog, cat, for each of the readers."""
    folder = shared / "data/reported/w14_evaluate_other_label_order"
    trained, other = formats.read(folder), formats.read(folder, label_map=LabelMap(["dog", "cat"]))
    assert trained.label_map != other.label_map
    assert evaluation.evaluate(Perfect(trained, list(trained.label_map)), other, resamples=0).ap == pytest.approx(1)


@pytest.mark.usefixtures("blank")
def test_more_and_fewer_classes_are_said() -> None:
    """What the dataset lacks is left out by name; what the detector lacks is missed, by name."""
    seen = replace(PHOTOS, label_map=LabelMap(["cat", "bird"]))  # the boxes of dogs are called birds
    result = evaluation.evaluate(Perfect(seen, ["bird", "cat"]), PHOTOS, resamples=0)
    assert result.per_class["ap"].tolist() == pytest.approx([1, 0])
    left_out, missed = result.notes
    assert left_out.startswith("Left out: detections of classes that the dataset does not have, bird.")
    assert missed.startswith("The detector does not know dog: every such object counts as missed")
    assert set(result.mistakes()["kind"]) == {"missed"}
    assert left_out in str(result)


@pytest.mark.usefixtures("blank")
def test_classes_that_nothing_shows_are_said_too() -> None:
    """A detector of more classes than the dataset has says so, also where it finds none of them."""
    result = evaluation.evaluate(Perfect(PHOTOS, ["bird", "cat", "fish", "dog"]), PHOTOS, resamples=0)
    assert result.ap == pytest.approx(1)
    assert result.notes == ("Left out: detections of classes that the dataset does not have, bird, fish.",)


@pytest.mark.usefixtures("blank")
def test_no_class_in_common_is_refused_before_a_photo_is_read() -> None:
    """Both lists stand in the error, and the detector is not run."""
    detector = Perfect(Dataset((), CAT_DOG), ["Cat", "Dog"])
    with pytest.raises(ValueError, match=r"has the classes Cat, Dog, the dataset cat, dog: none in common"):
        evaluation.evaluate(detector, PHOTOS)


def named(names: list[str], ids: list[int]) -> sv.Detections:
    """The two boxes of a photo, found with these names and ids."""
    found = detections([CAT, DOG], ids, [0.9, 0.8])
    found.data["class_name"] = names  # a list, as some tools give it
    return found


@pytest.mark.parametrize("ids", [[1, 2], [0, 1], [7, 0], [2, 1]])
def test_names_go_before_numbers(ids: list[int]) -> None:
    """Detections of any tool count by their names in score, mistakes and label errors, whatever their ids are."""
    found = [named(["cat", "dog"], ids)] * 4
    result = evaluation.score(PHOTOS, found, resamples=0)
    assert result.ap == pytest.approx(1)
    assert not len(evaluation.mistakes(PHOTOS, found, 0.5))
    assert (evaluation.label_errors(PHOTOS, found)["score"] < 0).all()
    assert found[0].class_id.tolist() == ids  # what was given stays as it was


def test_numbers_follow_the_label_map_that_is_given() -> None:
    """Detections without names count by a detector's label map; an id that it lacks is refused."""
    found = [detections([CAT, DOG], [2, 1], [0.9, 0.8])] * 4
    assert evaluation.score(PHOTOS, found, label_map=LabelMap(["dog", "cat"]), resamples=0).ap == pytest.approx(1)
    with pytest.raises(ValueError, match=r"class id 2 is not in the label map.*counts from 0, add 1"):
        evaluation.score(PHOTOS, found, label_map=LabelMap(["dog"]))


def test_strange_names_alone_are_refused_and_mixed_ones_too() -> None:
    """Detections of no class of the dataset, and those that name their classes only here and there, are refused."""
    with pytest.raises(ValueError, match="bird, fish, the dataset cat, dog: none in common"):
        evaluation.score(PHOTOS, [named(["bird", "fish"], [1, 2])] * 4)
    with pytest.raises(ValueError, match="Some detections name their classes"):
        evaluation.score(PHOTOS, [named(["cat", "dog"], [1, 2])] * 3 + [detections([CAT], [1], [0.9])])


def test_results_of_classes_that_the_dataset_lacks_are_said(tmp_path: Path) -> None:
    """COCO results of classes that a dataset was read without are left out by name; with none in common, refused."""
    image = {"id": 7, "file_name": "a.png", "width": 500, "height": 500}
    one = {"image_id": 7, "category_id": 1, "bbox": [10, 10, 50, 50]}
    categories = [{"id": id, "name": name} for id, name in enumerate(["dog", "cat", "bird"])]
    truth = {"images": [image], "annotations": [one | {"id": 1, "iscrowd": 0, "area": 2500}], "categories": categories}
    results = [one | {"category_id": id, "score": 0.9 - id / 10} for id in (0, 1, 2)]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    photo = [replace(one_image([CAT], [1]), path=tmp_path / "a.png")]
    found = formats.coco.read_results(tmp_path / "results.json", tmp_path / "truth.json", Dataset(photo, CAT_DOG))
    assert found[0].class_id.tolist() == [2, 1, 0]
    seen = evaluation.score(Dataset(photo, CAT_DOG), found, resamples=0)
    assert seen.ap == pytest.approx(1)
    assert "Left out: detections of classes that the dataset does not have, bird." in seen.notes
    with pytest.raises(ValueError, match="none in common"):
        evaluation.score(Dataset(photo, LabelMap(["fish", "frog"])), found)


def test_what_agrees_is_not_copied() -> None:
    """Detections whose ids are the dataset's already come back themselves."""
    dataset, found = made_up(0)
    assert evaluation.by_name(dataset.label_map, found) == (found, [])
    same = [named(["cat", "dog"], [1, 2])] * 4
    assert evaluation.by_name(CAT_DOG, same)[0] is same
