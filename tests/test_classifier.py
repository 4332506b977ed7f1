"""classifier: made, trained, stopped, gone on with, judged and saved, on the drawn sample's crops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from tfod_helpers import classifier
from tfod_helpers.annotations import Dataset, LabelMap

pytestmark = pytest.mark.tensorflow


class Trained(NamedTuple):
    """A classifier after a few epochs, its history, its folder, and the photos."""

    made: classifier.Classifier
    history: pd.DataFrame
    folder: Path
    train: Dataset
    validation: Dataset


def some(dataset: Dataset, count: int) -> Dataset:
    """The first photos of each class."""
    chosen = [[image for image in dataset if image.labels[0] == number][:count] for number in dataset.label_map.ids]
    return Dataset(tuple(image for of_class in chosen for image in of_class), dataset.label_map)


@pytest.fixture(scope="module")
def parts() -> dict[str, Dataset]:
    """The sample's crops: 120 to train on, 60 to validate on."""
    every = classifier.read("sample").splits()
    return {"train": some(every["train"], 60), "validation": some(every["test"], 30)}


@pytest.fixture(scope="module")
def trained(parts: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A small one, shared by the tests, since making its graph takes most of the time."""
    folder = tmp_path_factory.mktemp("classifier") / "training"
    made = classifier.make(parts["train"], "small", side=32)
    history = classifier.train(made, parts["train"], parts["validation"], folder, epochs=8)
    return Trained(made, history, folder, parts["train"], parts["validation"])


def test_it_learns_and_ends_with_its_best_epoch(trained: Trained) -> None:
    """The loss falls, and the classifier that is left has the validation accuracy of the epoch of the lowest loss."""
    history = trained.history
    assert list(history["epoch"]) == list(range(len(history)))
    best = history.loc[history["validation_loss"].idxmin()]
    assert best["validation_loss"] < 0.8 * history["validation_loss"][0]
    found = classifier.evaluate(trained.made, trained.validation, resamples=20)
    assert found.accuracy == pytest.approx(best["validation_accuracy"], abs=1e-6)
    assert found.accuracy > 0.6


def test_one_photo_or_several_of_any_size(trained: Trained) -> None:
    """A path, an array, a list and a batch are answered alike; numbers that were scaled before are refused."""
    image = trained.validation[0]
    pixels = image.pixels()
    one = trained.made.probabilities(pixels)
    assert one.shape == (2,)
    assert one.sum() == pytest.approx(1, abs=1e-5)
    for given in ([pixels], pixels[None], [image.path]):
        assert trained.made.probabilities(given) == pytest.approx(one[None], abs=1e-3)
    # The model itself resizes too, nearly as Pillow does it, and a plain call trains nothing.
    for _ in range(2):
        assert np.asarray(trained.made.model(pixels[None])) == pytest.approx(one[None], abs=0.05)
    with pytest.raises(TypeError, match=r"Scale to 0..255"):
        trained.made.probabilities(pixels / 255)
    table = trained.made.classify([image.path, image.path])
    assert table.columns.tolist() == ["class", "confidence", "cat", "dog"]
    assert table["class"].tolist() == [trained.made.label_map.name(int(one.argmax()) + 1)] * 2


def test_a_training_that_ended_is_not_repeated(trained: Trained) -> None:
    """The same call gives a new classifier the weights of the one that was trained, and adds no epoch."""
    again = classifier.make(trained.train, "small", side=32, seed=3)
    history = classifier.train(again, trained.train, trained.validation, trained.folder, epochs=8)
    assert history.equals(trained.history)
    pixels = trained.validation[0].pixels()
    assert again.probabilities(pixels) == pytest.approx(trained.made.probabilities(pixels))
    other = some(trained.train, 20)
    with pytest.raises(ValueError, match="this folder holds a training of other photos, labels or another network"):
        classifier.train(again, other, trained.validation, trained.folder)


def test_what_is_stopped_goes_on(parts: dict[str, Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the time is over the best so far is taken; the next calls go on with the epoch after, to the last one."""
    train, validation = some(parts["train"], 10), some(parts["validation"], 5)

    def go_on(minutes: float) -> list[int]:
        made = classifier.make(train, "small", side=32)
        history = classifier.train(made, train, validation, tmp_path, epochs=3, patience=9, minutes=minutes)
        return history["epoch"].tolist()

    assert go_on(1e-9) == []
    assert "1e-09 minutes are over (whole): the best so far is taken" in capsys.readouterr().out
    assert go_on(0.01)[:2] == [0, 1]
    assert go_on(5) == [0, 1, 2, 3]


def test_saved_forms_decide_alike(trained: Trained, tmp_path: Path) -> None:
    """Loaded again, all three have the Keras model's probabilities; the certificate says so, with accuracies."""
    folder = classifier.save(trained.made, tmp_path / "saved")
    table = classifier.certify(folder, some(trained.validation, 10))
    assert table.index.tolist() == ["keras", "saved_model", "tflite"]
    assert (table["other_decisions"] == table["undecided"]).all()
    assert (table["difference"] < 1e-4).all()
    assert table["accuracy"].nunique() == 1
    with pytest.raises(FileNotFoundError, match=r"classifier.json: not there, so .* holds no saved classifier"):
        classifier.load(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(FileExistsError, match="something here that is no classifier"):
        classifier.save(trained.made, tmp_path / "mine")
    other = shutil.copytree(folder, tmp_path / "other")
    LabelMap(["cat", "dog", "fox"]).write(other / "label_map.pbtxt")
    with pytest.raises(ValueError, match=r"the model tells 2 classes apart, and label_map.pbtxt beside it has 3"):
        classifier.load(other, "tflite")
    facts = json.loads((folder / "classifier.json").read_text())
    assert facts["side"] == 32
    assert facts["weights"] == "scratch"


def test_where_it_looked_is_where_the_animal_is_not_everywhere(trained: Trained) -> None:
    """Each photo has a map from 0 to 1 in which not all places are alike."""
    maps = classifier.heat(trained.made, some(trained.validation, 3))
    assert maps.shape == (6, 2, 2)
    assert maps.min() >= 0
    assert maps.max() == pytest.approx(1)
    assert np.ptp(maps, axis=(1, 2)).max() > 0.1


def test_an_imagenet_backbone_is_tuned(
    keras_home: Path, parts: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head first, then the upper layers, whose weights change while the lower layers and batch norms do not."""
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    train, validation = some(parts["train"], 12), some(parts["validation"], 6)
    made = classifier.make(train, side=32)
    assert made.backbone.weights == "imagenet"
    before = {variable.path: variable.numpy() for variable in made.backbone.model.variables}
    history = classifier.train(made, train, validation, tmp_path, epochs=2, fine_tuning=2, patience=9)
    assert history["part"].unique().tolist() == ["head", "upper layers"]
    best = history[history["part"] == "upper layers"]["validation_loss"].argmin()
    changed = {path for path, values in before.items() if not np.array_equal(values, _now(made, path))}
    assert bool(changed) == (best > 0)
    assert not [path for path in changed if "moving" in path or "block_3_" in path]
    assert not (tmp_path / "seen").exists()


def _now(made: classifier.Classifier, path: str) -> np.ndarray:
    return next(one.numpy() for one in made.backbone.model.variables if one.path == path)


def test_what_cannot_be_trained_is_said_first(trained: Trained, tmp_path: Path) -> None:
    """A class of three photos, no validation photo, photos of a strange class, one class alone, and a wrong number."""
    few = Dataset(some(trained.train, 20).images[:23], trained.train.label_map)
    with pytest.raises(ValueError, match=r"Too few training photos of dog \(3\): 5 of each class"):
        classifier.train(trained.made, few, trained.validation, tmp_path)
    with pytest.raises(ValueError, match="There are no validation photos"):
        classifier.train(trained.made, trained.train, Dataset((), trained.train.label_map), tmp_path)
    with pytest.raises(ValueError, match="minutes must be above 0, got 0"):
        classifier.train(trained.made, trained.train, trained.validation, tmp_path, minutes=0)
    strange = Dataset(trained.train.images, LabelMap(["horse", "dog"]))
    with pytest.raises(ValueError, match="The classifier knows cat, dog, and some photos show horse"):
        classifier.evaluate(trained.made, strange)
    with pytest.raises(ValueError, match="two classes or more apart, got only"):
        classifier.make(["cat"])


def test_without_normalization_nothing_is_learned(parts: dict[str, Dataset]) -> None:
    """Of two trainings that differ in the scale of the pixels alone, one learns and the other guesses."""
    found = classifier.without_normalization(parts["train"], parts["validation"], side=32, epochs=8)
    normalized, not_so = (table["validation_accuracy"].max() for table in found.values())
    assert normalized > 0.62
    assert not_so < 0.62
