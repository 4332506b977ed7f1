"""Experiment configs: strict, linked settings follow each other, and a config survives its file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tfod_helpers.annotations import LabelMap
from tfod_helpers.records import Records

pytestmark = pytest.mark.tensorflow
experiment = pytest.importorskip("tfod_helpers.experiment")

LABEL_MAP = LabelMap(["cat", "dog", "owl"])
BATCH = "task.train_data.global_batch_size"
RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
DECAY = "trainer.optimizer_config.learning_rate.cosine.decay_steps"


def records(count: int, label_map: LabelMap = LABEL_MAP) -> Records:
    """Records that need not exist: a config only names them."""
    return Records(f"somewhere/{count}-*.tfrecord", count, label_map, boxes=2 * count, max_boxes=7)


def make(preset: str = "mobilenet_v2_sample", **settings):  # type: ignore[no-untyped-def]
    """A config for 200 and 50 images of three classes."""
    return experiment.make(preset, train=records(200), validation=records(50), **settings)


def test_records_fill_the_config() -> None:
    """Classes, counts and patterns come from the records; the model has one class more, the background."""
    task = make().task
    assert (task.class_names, task.model.num_classes) == (["cat", "dog", "owl"], 4)
    assert (task.train_images, task.validation_images) == (200, 50)
    assert task.train_data.input_path == "somewhere/200-*.tfrecord"
    assert task.train_data.parser.max_num_instances == 7
    assert experiment.label_map(make()) == LABEL_MAP


def test_presets_say_what_they_are_for() -> None:
    """The table has a row a preset with its purpose and the source of its settings."""
    table = experiment.presets()
    assert list(table.index) == ["mobilenet_v2_sample", "mobilenet_v2_256", "mobilenet_v2_fpnlite_320"]
    assert table["purpose"].str.len().min() > 20
    assert table["source"].str.len().min() > 20


@pytest.mark.parametrize("preset", ["mobilenet_v2_sample", "mobilenet_v2_256", "mobilenet_v2_fpnlite_320"])
def test_an_unchanged_preset_differs_in_nothing(preset: str) -> None:
    """A fresh config lists no changes."""
    assert experiment.changes(make(preset)) == {}


def test_changes_name_what_differs_and_from_what() -> None:
    """What was changed is listed with the preset's value first."""
    changed = experiment.change(make(), {"task.train_data.parser.aug_color": 0.5})
    assert list(experiment.changes(changed)) == ["task.train_data.parser.aug_color"]
    assert experiment.changes(changed)["task.train_data.parser.aug_color"][1] == 0.5


def test_change_leaves_the_original_alone() -> None:
    """A changed config is a copy, also deep within."""
    config = make()
    experiment.change(config, {"task.model.input_size": [256, 256, 3]})
    assert experiment.changes(config) == {}


def test_learning_rate_and_steps_follow_the_batch_size() -> None:
    """Four times the batch: twice the rate, a quarter of the steps, and decay over those."""
    small, large = make(), make(batch_size=make().task.train_data.global_batch_size * 4)
    old, new = (config.trainer.optimizer_config.learning_rate.cosine for config in (small, large))
    assert new.initial_learning_rate == pytest.approx(2 * old.initial_learning_rate)
    assert large.trainer.train_steps == small.trainer.train_steps // 4 == new.decay_steps
    assert large.trainer.validation_interval <= large.trainer.train_steps


def test_what_is_named_is_taken_as_it_is() -> None:
    """A learning rate and steps that are given are not scaled with the batch size."""
    config = make(batch_size=64, learning_rate=1e-3, train_steps=77)
    assert config.trainer.optimizer_config.learning_rate.cosine.initial_learning_rate == 1e-3
    assert (config.trainer.train_steps, config.trainer.optimizer_config.learning_rate.cosine.decay_steps) == (77, 77)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"task.model.num_clases": 4}, ValueError, "'task.model.num_classes'"),
        ({"task.train_data.batch_size": 4}, ValueError, "global_batch_size"),
        ({BATCH: "16"}, TypeError, "must be int"),
        ({BATCH: 0}, ValueError, "at least 1"),
        ({"trainer.train_steps": 0}, ValueError, "at least 1"),
        ({RATE: 0.0}, ValueError, "above 0"),
        ({RATE: math.nan}, ValueError, "above 0"),
        ({"task.model.input_size": [200, 200, 3]}, ValueError, r"multiple of 64. Use 192"),
        ({"task.model.input_size": [256, 192, 3]}, ValueError, "square"),
    ],
)
def test_wrong_changes_are_refused_with_the_fix(settings: dict, error: type[Exception], message: str) -> None:
    """An unknown name, a wrong type and an impossible value each say what to write instead."""
    with pytest.raises(error, match=message):
        experiment.change(make(), settings)


def test_unknown_preset_names_the_nearest() -> None:
    """A misspelt preset is answered with the one that was meant."""
    with pytest.raises(ValueError, match=r"Did you mean 'mobilenet_v2_256'"):
        make("mobilenetv2_256")


def test_records_of_different_classes_do_not_go_together() -> None:
    """Training and validation records must have the same classes in the same order."""
    other = records(50, LabelMap(["dog", "cat", "owl"]))
    with pytest.raises(ValueError, match="different classes"):
        experiment.make("mobilenet_v2_sample", train=records(200), validation=other)


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    """What is loaded is what was saved, setting by setting, and is a config that can be changed on."""
    config = make("mobilenet_v2_256", batch_size=8, weights=None)
    loaded = experiment.load(experiment.save(config, tmp_path / "config.yaml"))
    assert loaded.as_dict() == config.as_dict()
    assert experiment.change(loaded, {"trainer.train_steps": 5}).trainer.train_steps == 5


@pytest.mark.parametrize("text", ["", "[1, 2", "task: {preset: nothing}", "task: {preset: mobilenet_v2_256, x: 1}"])
def test_a_file_that_is_no_config_is_refused(text: str, tmp_path: Path) -> None:
    """An empty, broken or foreign file is named, not half taken."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml: not an experiment config"):
        experiment.load(path)
    with pytest.raises(FileNotFoundError, match="no experiment config"):
        experiment.load(tmp_path / "other.yaml")


def test_a_moved_folder_is_no_difference() -> None:
    """Two configs that read the same records from different folders do not differ; other records do."""
    here, there, other = make(), make(), make()
    there.task.train_data.input_path = "elsewhere/200-*.tfrecord"
    other.task.train_data.input_path = "somewhere/300-*.tfrecord"
    assert experiment.differences(here, there) == {}
    assert list(experiment.differences(here, other)) == ["task.train_data.input_path"]
