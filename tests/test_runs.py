"""Runs compared: the table names what differed and what came out, and refuses what does not compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tfod_helpers import pictures, presets, runs
from tfod_helpers.presets import keys

SETTINGS: dict[str, Any] = {
    "task": {
        "preset": "mobilenet_v2_192",
        "weights": None,
        "reasons": ["a: b"],
        "train_images": 200,
        "validation_images": 50,
        "model": {"input_size": [128, 128, 3]},
        "train_data": {"global_batch_size": 8, "input_path": "a", "parser": {"aug_color": 0.2, "aug_mosaic": 0.0}},
    },
    "trainer": {
        "train_steps": 160,
        "validation_interval": 27,
        "optimizer_config": {"learning_rate": {"cosine": {"initial_learning_rate": 0.003}}},
    },
}


def write(folder: Path, name: str, ap: float, changed: dict[str, Any], **manifest: Any) -> None:
    """A run as training leaves it: its settings and its best score."""
    settings = json.loads(json.dumps(SETTINGS))
    for key, value in changed.items():
        *parents, leaf = key.split(".")
        place = settings
        for parent in parents:
            place = place[parent]
        place[leaf] = value
    run = folder / name
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    best = {"step": 100, "ap": ap, "ap50": ap + 0.2, "threshold": 0.4}
    intervals = {"ap": [ap - 0.05, ap + 0.05], "ap50": [ap + 0.1, ap + 0.3]}
    facts = {"best": best, "best_intervals": intervals, "finished": True, "seconds": {"steps": 90.0, "saving": 30.0}}
    (run / "run.json").write_text(json.dumps(facts | manifest))


def test_the_table_has_what_differed_and_what_came_out(tmp_path: Path) -> None:
    """The best first; a column for each setting that differs and none for what follows from it or is the same."""
    batch = "task.train_data.global_batch_size"
    write(tmp_path, "small", 0.3, {})
    write(tmp_path, "large", 0.4, {batch: 32, "trainer.train_steps": 40, "trainer.validation_interval": 7})
    write(tmp_path, "coloured", 0.35, {"task.train_data.parser.aug_color": 0.5, "task.train_data.input_path": "b"})
    (tmp_path / "records").mkdir()
    table = runs.table(tmp_path)
    assert list(table.index) == ["large", "coloured", "small"]
    assert list(table.columns[:3]) == ["batch size", "steps", "coloured"]
    assert not {"input size", "preset", "trainer validation_interval"} & set(table.columns)
    assert table.loc["large", ["ap", "ap_low", "ap_high"]].tolist() == pytest.approx([0.4, 0.35, 0.45])
    assert table.loc["small", "minutes"] == 2
    assert table.loc["large", "label"] == "batch size 32, coloured 0.2"


def test_other_presets_differ_in_what_people_chose(tmp_path: Path) -> None:
    """Of two presets only the well-known settings are listed, not the hundred that follow from the preset."""
    write(tmp_path, "one", 0.3, {})
    other = {"task.preset": "mobilenet_v2_256", "task.model.input_size": [256, 256, 3], "task.model.min_level": 3}
    write(tmp_path, "two", 0.4, {**other, "task.train_data.parser.aug_mosaic": 0.5})
    table = runs.table(tmp_path)
    assert list(table.columns[:3]) == ["preset", "image size", "mosaic"]
    assert table.loc["two", "label"] == "preset mobilenet_v2_256, image size 256, mosaic 0.5"


def test_a_run_under_way_is_listed_and_one_without_a_model_is_not(tmp_path: Path) -> None:
    """A run under way that has a model says that it is not finished; one before its first evaluation is left out."""
    write(tmp_path, "done", 0.3, {})
    write(tmp_path, "going", 0.2, {}, finished=False)
    write(tmp_path, "begun", 0.1, {}, best=None)
    table = runs.table(tmp_path)
    assert table["finished"].to_dict() == {"done": True, "going": False}
    assert table["label"].tolist() == ["done", "going"]  # nothing differs, so the folders' names tell them apart


def test_runs_of_before_have_no_intervals(tmp_path: Path) -> None:
    """A run without intervals has NaN there, not a number that nobody measured."""
    write(tmp_path, "old", 0.3, {}, best_intervals={})
    assert np.isnan(runs.table(tmp_path).loc["old", ["ap_low", "ap50_high"]].astype(float)).all()


def test_what_does_not_compare_is_refused(tmp_path: Path) -> None:
    """Runs evaluated on different photos, a damaged file, no run and no folder each say what to do."""
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        runs.table(tmp_path / "typo")
    with pytest.raises(FileNotFoundError, match=r"no run with a model in it; it holds no folder"):
        runs.table(tmp_path)
    write(tmp_path, "one", 0.3, {})
    write(tmp_path, "two", 0.3, {"task.validation_images": 40})
    with pytest.raises(ValueError, match=r"different numbers of photos \(one: 50, two: 40\)"):
        runs.table(tmp_path)
    (tmp_path / "two" / "config.yaml").write_text("nothing")
    with pytest.raises(ValueError, match=r"two/config\.yaml: not the settings of a run"):
        runs.table(tmp_path)


def test_the_models_of_a_run(tmp_path: Path) -> None:
    """Each model that is kept has a row by its step, with its scores and what else it may be called."""
    kept = [(8, 0.21, "ckpt-1"), (16, 0.41234, "ckpt-2"), (24, 0.3, "ckpt-3")]
    models = [{"step": step, "ap": ap, "ap50": 0.5, "threshold": 0.25, "checkpoint": name} for step, ap, name in kept]
    write(tmp_path, "run", 0.41234, {}, models=models)
    (tmp_path / "run" / "models").mkdir()
    for *_, name in kept:
        (tmp_path / "run" / "models" / f"{name}.index").touch()
    table = runs.checkpoints(tmp_path / "run")
    assert table["ap"].to_dict() == {8: 0.21, 16: 0.412, 24: 0.3}
    assert table["name"].tolist() == ["", "best", "last"]
    assert list(table.columns) == ["ap", "ap50", "threshold", "name"]
    with pytest.raises(FileNotFoundError, match="there is no trained model here"):
        runs.checkpoints(tmp_path / "typo")


def test_what_an_evaluator_found_stands_beside_the_training_s_own_scores(tmp_path: Path) -> None:
    """The evaluator's AP has its interval; what it has not judged has none, and another run's is not taken."""
    models = [{"step": step, "ap": 0.4, "ap50": 0.5, "threshold": 0.2, "checkpoint": "ckpt-1"} for step in (8, 16)]
    write(tmp_path, "run", 0.4, {}, models=models, id="this", finished=False)
    for folder in ("models", "evaluations"):
        (tmp_path / "run" / folder).mkdir()
    (tmp_path / "run" / "models" / "ckpt-1.index").touch()
    (tmp_path / "run" / "models" / "ckpt-1.data-00000-of-00001").touch()
    for step, id in ((8, "this"), (16, "other")):
        intervals = {"ap": [0.35, 0.49], "ap50": [0.5, None]}
        one = {
            "run": id,
            "step": step,
            "model": "ckpt-1",
            "ap": 0.41234,
            "ap50": 0.6,
            "threshold": 0.3,
            "intervals": intervals,
        }
        (tmp_path / "run" / "evaluations" / f"step-{step}.json").write_text(json.dumps(one))
    table = runs.checkpoints(tmp_path / "run")
    assert table.loc[8, ["ap", "evaluator_ap", "evaluator_low", "evaluator_high"]].tolist() == [0.4, 0.412, 0.35, 0.49]
    assert np.isnan(table.loc[16, "evaluator_ap"])
    found = runs.evaluations(tmp_path / "run")
    assert found.loc[8, ["ap", "ap_low", "ap50", "threshold"]].tolist() == [0.41234, 0.35, 0.6, 0.3]
    assert list(found.index) == [8]
    assert np.isnan(found.loc[8, "ap50_high"])
    assert runs.evaluations(tmp_path / "typo").empty
    (tmp_path / "run" / "evaluations" / "step-8.json").write_text("{")
    with pytest.raises(ValueError, match=r"step-8\.json: not valid JSON .* Delete it: the model is judged again"):
        runs.checkpoints(tmp_path / "run")


def test_the_table_can_be_drawn(tmp_path: Path) -> None:
    """plot_runs takes it as it is."""
    write(tmp_path, "small", 0.3, {})
    write(tmp_path, "large", 0.4, {"task.train_data.global_batch_size": 32})
    assert pictures.plot_runs(runs.table(tmp_path)).axes


def test_an_augmentation_goes_by_its_name(tmp_path: Path) -> None:
    """Runs with light and strong augmentation differ in one column that says so, not in six numbers."""
    for name in ("light", "strong"):
        write(tmp_path, name, 0.3, presets.AUGMENTATIONS[name])
    table = runs.table(tmp_path)
    assert table["augmentation"].to_dict() == {"light": "light", "strong": "strong"}
    assert table["label"].tolist() == ["augmentation light", "augmentation strong"]
    write(tmp_path, "own", 0.3, {**presets.AUGMENTATIONS["light"], "task.train_data.parser.aug_color": 0.77})
    assert "augmentation" not in runs.table(tmp_path)
    assert runs.table(tmp_path).loc["own", "coloured"] == 0.77


def test_what_follows_the_batch_is_said_once(tmp_path: Path) -> None:
    """Steps and rate that only follow the batch stay out of the label; a rate of its own is there."""
    batch, steps, rate = keys.BATCH_SIZE, keys.STEPS, keys.LEARNING_RATE
    write(tmp_path, "small", 0.3, {batch: 8, steps: 160, rate: 0.002})
    write(tmp_path, "large", 0.2, {batch: 32, steps: 40, rate: 0.004})
    table = runs.table(tmp_path)
    assert table["label"].tolist() == ["batch size 8", "batch size 32"]
    assert {"steps", "learning rate"} <= set(table.columns)
    write(tmp_path, "own", 0.1, {batch: 32, steps: 40, rate: 0.001})
    assert runs.table(tmp_path)["label"].tolist()[2] == "batch size 32, learning rate 0.001"


def test_the_table_is_ready_to_be_shown(tmp_path: Path) -> None:
    """Every number has the digits that tell, a small learning rate too, and no cell needs more room than there is."""
    for name, rate in (("fast", 0.0092345), ("slow", 0.0000923456)):
        write(tmp_path, name, 0.123456, {keys.LEARNING_RATE: rate, keys.IMAGE_SIZE: [int(rate * 1e6)] * 2 + [3]})
    table = runs.table(tmp_path)
    assert table["learning rate"].tolist() == [0.00923, 9.23e-05]
    assert table["image size"].tolist() == [9234, 92]
    assert table["ap"].tolist() == [0.123, 0.123]
    assert table["label"].tolist() == [
        "image size 9234, learning rate 0.00923",
        "image size 92, learning rate 9.23e-05",
    ]
    shown = table.drop(columns="label").to_html()
    assert "..." not in shown
    assert "0.009230" in shown
    assert "0.000092" in shown
