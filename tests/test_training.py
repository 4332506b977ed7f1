"""Training: a run that learns, says what it did, resumes where it stopped, keeps its best model and refuses misuse."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_training import SYNC, Small, Trained

from tfod_helpers import records
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.files import run_folder

pytestmark = pytest.mark.tensorflow
STEPS, INTERRUPTED, INTERVAL = 48, 20, 8  # of the small training in conftest.py
STEP_TAGS = {"loss", "cls_loss", "box_loss", "learning_rate", "steps_per_second"}
STEP_NOW: Any = 0  # of the training under way, for a test that lets one step fail


@pytest.fixture
def training() -> ModuleType:
    """The module, which loads TensorFlow."""
    from tfod_helpers import training

    return training


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let steps be counted and not trained, for what happens around them; gives the `Steps` that were made."""
    from tfod_helpers.training.steps import Steps

    made = []

    def run(steps: Steps, count: int, limit: float) -> dict[str, float]:
        made.append(steps)
        steps.optimizer.iterations.assign_add(count)
        return {"loss": 1.0, "cls_loss": 0.5, "box_loss": 0.01}

    monkeypatch.setattr(Steps, "run", run)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The scalars of a folder of event files: tag -> step -> value."""
    import tensorflow as tf
    from tensorflow.python.summary.summary_iterator import summary_iterator

    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in summary_iterator(str(path)):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name != "scalars":
                    continue
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_a_run_says_what_it_is(trained: Trained, small: Small) -> None:
    """run.json names preset, classes, records, versions, weights, last step and best score; config and labels too."""
    from tfod_helpers import experiment

    manifest = trained.run.read_manifest()
    assert (manifest["preset"], manifest["classes"], manifest["step"]) == (
        "mobilenet_v2_192",
        ["red", "blue"],
        STEPS,
    )
    assert manifest["data"]["train"] == {
        "pattern": small.train.pattern,
        "images": 8,
        "boxes": 8,
        "fingerprint": small.train.fingerprint,
    }
    assert manifest["data"]["validation"]["images"] == 4
    machine = {"kind": "CPU", "devices": 1, "precision": "float32", "batch_size": 4}
    assert manifest["machines"] == [{"from_step": 0, **machine}, {"from_step": INTERRUPTED, **machine}]
    assert {"python", "tfod_helpers", "tensorflow", "tf-models-official", "numpy"} == set(manifest["versions"])
    assert "weights=None" in manifest["weights"]
    assert manifest["best"].keys() == {"step", "ap", "ap50", "threshold", "checkpoint"}
    assert manifest["best"] in manifest["models"]
    assert manifest["changes"]["task.model.input_size"] == [[192, 192, 3], [64, 64, 3]]
    assert experiment.differences(experiment.load(trained.run.config_path), small.config) == {}
    assert LabelMap.read(trained.run.label_map_path) == LabelMap(["red", "blue"])


def test_the_loss_falls_and_the_model_learns(trained: Trained) -> None:
    """After some steps the loss is clearly lower, and AP50 is above zero."""
    losses = trained.history.frame["loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]
    assert trained.history.best["ap50"] > 0.2
    assert f"AP50 {trained.history.best['ap50']:.3f}" in str(trained.history)


def test_the_history_has_a_row_each_time_the_loss_was_read(trained: Trained) -> None:
    """history.csv has every fourth step once, with AP at every eighth, and is what train returns."""
    frame = trained.history.frame
    assert frame["step"].tolist() == list(range(4, STEPS + 1, 4))
    assert frame.loc[frame["ap"].notna(), "step"].tolist() == list(range(INTERVAL, STEPS + 1, INTERVAL))
    kept = pd.read_csv(trained.run.history_path)
    assert (kept.pop("planned_steps") == STEPS).all()
    pd.testing.assert_frame_equal(kept, frame)
    best = frame.loc[frame["ap"].idxmax()]
    assert (best["step"], best["ap"], best["ap50"]) == tuple(
        trained.history.best[key] for key in ("step", "ap", "ap50")
    )


def test_tensorboard_reads_the_same_scalars(trained: Trained) -> None:
    """events/ holds loss, learning rate and the APs of every row, as the history has them."""
    train, validation = scalars(trained.run.events / "train"), scalars(trained.run.events / "validation")
    assert train.keys() == STEP_TAGS
    assert validation.keys() == {"ap", "ap50"}
    frame = trained.history.frame.set_index("step")
    for tag, values in (train | validation).items():
        expected = frame[tag].dropna()
        assert list(expected.index) == sorted(values)
        np.testing.assert_allclose([values[step] for step in expected.index], expected, rtol=1e-5)


def test_ctrl_c_loses_nothing(trained: Trained) -> None:
    """Interrupted at step 20, between two checkpoints, the run holds step 20; the rows of before stay."""
    assert trained.manifest["step"] == INTERRUPTED == 20
    before = trained.rows.splitlines()
    assert [line.split(",")[0] for line in before] == ["step", "4", "8", "12", "16", "20"]
    kept = trained.history.frame[trained.history.frame["step"] <= INTERRUPTED]
    np.testing.assert_allclose(kept["loss"], [float(line.split(",")[1]) for line in before[1:]])


def test_learning_rate_follows_the_schedule_across_the_interruption(trained: Trained, small: Small) -> None:
    """Every row's learning rate is the Model Garden's at its step, so that nothing warmed up a second time."""
    from tfod_helpers.network import model

    trainer = small.config.trainer
    schedule = model.task_of(small.config).create_optimizer(trainer.optimizer_config).learning_rate
    frame = trained.history.frame
    np.testing.assert_allclose(frame["learning_rate"], [float(schedule(step)) for step in frame["step"]], atol=1e-7)


def test_a_finished_run_is_not_trained_again(
    trained: Trained, small: Small, training: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started again when finished, the run gives its history back and builds no model."""
    monkeypatch.setattr(training.running, "Training", None)
    before = contents(trained.run.folder)
    again = training.train(small.config, trained.run.folder)
    pd.testing.assert_frame_equal(again.frame, trained.history.frame)
    assert (again.best, again.weights) == (trained.history.best, trained.history.weights)
    assert contents(trained.run.folder) == before


@pytest.mark.parametrize(
    ("setting", "old", "new"),
    [
        ("trainer.train_steps", STEPS, 40),
        ("task.train_data.parser.aug_color", 0.0, 0.25),
        ("task.validation_images", 4, 5),
        ("task.weights", None, "runs/earlier"),
        ("task.resize", "letterbox", "stretch"),
    ],
)
def test_other_settings_need_another_run(
    trained: Trained, small: Small, training: ModuleType, setting: str, old: Any, new: Any
) -> None:
    """Other settings in a run's folder are refused with both values, and no file is touched."""
    from tfod_helpers import experiment

    before = contents(trained.run.folder)
    config = experiment.change(small.config, {setting: new})
    with pytest.raises(ValueError, match="other settings") as caught:
        training.train(config, trained.run.folder)
    assert f"{setting} was {old!r}, now {new!r}" in str(caught.value)
    assert "Choose another run folder" in str(caught.value)
    assert contents(trained.run.folder) == before


def test_evaluation_of_records_and_of_photos_agree_with_the_run(
    trained: Trained, small: Small, training: ModuleType
) -> None:
    """The best model scores on the validation records what run.json says, and the same on the photos they came from."""
    best = trained.run.read_manifest()["best"]
    from_records = training.evaluate(trained.run, small.validation)
    from_photos = training.evaluate(str(trained.run.folder), small.dataset)
    assert from_records.images == len(small.dataset) == 4
    for key in ("ap", "ap50", "threshold"):
        assert getattr(from_records, key) == pytest.approx(best[key], abs=1e-6)
        assert getattr(from_photos, key) == pytest.approx(best[key], abs=1e-6)
    assert best["ap"] > 0
    pd.testing.assert_frame_equal(from_records.per_class, from_photos.per_class)


def test_evaluation_is_by_the_names_of_the_classes(trained: Trained, small: Small, training: ModuleType) -> None:
    """The same classes in another order score the same; other classes are refused with both lists."""
    turned = [dataclasses.replace(image, labels=3 - image.labels) for image in small.dataset]
    result = training.evaluate(trained.run, Dataset(tuple(turned), LabelMap(["blue", "red"])))
    assert result.ap == pytest.approx(trained.run.read_manifest()["best"]["ap"], abs=1e-6)
    with pytest.raises(ValueError, match=r"has the classes red, blue, the dataset cat, dog: none in common"):
        training.evaluate(trained.run, Dataset(small.dataset.images, LabelMap(["cat", "dog"])))


def test_how_many_models_are_kept_is_checked_first(small: Small, training: ModuleType, tmp_path: Path) -> None:
    """Keeping none is refused before a folder is made."""
    with pytest.raises(ValueError, match="keep must be 1 or more, or 'all', got 0"):
        training.train(small.config, tmp_path / "run", keep=0)
    assert not (tmp_path / "run").exists()


def test_there_must_be_a_model_to_evaluate(small: Small, training: ModuleType, tmp_path: Path) -> None:
    """A folder without a model is refused, and a mistyped one is not made."""
    with pytest.raises(FileNotFoundError, match=r"typo.models: there is no trained model here.*training\.train"):
        training.evaluate(tmp_path / "typo", small.dataset)
    assert not (tmp_path / "typo").exists()


def test_best_is_the_highest_and_not_the_last(
    small: Small, training: ModuleType, no_steps: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of models scored 0.2, 0.6, 0.5, 0.6, 0.1 and 0.3 the first of the highest is kept, and the newest two."""
    from tfod_helpers import evaluation

    real = evaluation.score(small.dataset, [as_detections(image) for image in small.dataset])
    scores = iter([0.2, 0.6, 0.5, 0.6, 0.1, 0.3])
    seen = []

    def score(dataset: Dataset, detections: Any, *, resamples: int = 1000) -> evaluation.Evaluation:
        if resamples:
            return real
        variable = no_steps[-1].eval_model.trainable_variables[0]
        variable.assign(np.full(variable.shape, len(seen), np.float32))
        seen.append(next(scores))
        return dataclasses.replace(real, coco=real.coco | {"AP": seen[-1], "AP50": seen[-1] / 2})

    monkeypatch.setattr(evaluation, "score", score)
    history = training.train(small.config, tmp_path / "run", keep=2)
    assert len(seen) == 6
    assert (history.best["step"], history.best["ap"], history.best["ap50"]) == (16, 0.6, 0.3)
    run = run_folder.open_run(tmp_path / "run")
    assert [(model["step"], model["ap"]) for model in run.kept_models()] == [(16, 0.6), (40, 0.1), (48, 0.3)]
    for checkpoint, made in (("best", 1), (40, 4), ("last", 5)):
        assert (training.load_model(run, checkpoint)[0].trainable_variables[0].numpy() == made).all()
    assert len(list(run.models.glob("*.index"))) == 3


def as_detections(image: Any) -> Any:
    """A labelled image's truth as detections, for a perfect score."""
    import supervision as sv

    ones = np.ones(len(image.labels), np.float32)
    return sv.Detections(xyxy=image.boxes_xyxy, class_id=image.labels.astype(int), confidence=ones)


def test_a_nan_loss_stops_the_training(
    small: Small, training: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NaN at step 11 ends in an error with that step and the picture of its batch; what was saved at step 8 is kept."""
    import tensorflow as tf
    from PIL import Image

    from tfod_helpers.network import model

    real = model.DetectionTask.build_losses

    def build_losses(task: Any, **given: Any) -> Any:
        total, *parts = real(task, **given)
        return total * tf.where(STEP_NOW < 10, 1.0, math.nan), *parts

    real_step = model.DetectionTask.train_step

    def train_step(task: Any, images: Any, network: Any, optimizer: Any, metrics: Any) -> Any:
        global STEP_NOW
        STEP_NOW = optimizer.iterations
        return real_step(task, images, network, optimizer, metrics)

    monkeypatch.setattr(model.DetectionTask, "build_losses", build_losses)
    monkeypatch.setattr(model.DetectionTask, "train_step", train_step)
    with pytest.raises(FloatingPointError, match=r"The loss is nan after step 11,.*step-11\.png.*learning rate below"):
        training.train(small.config, tmp_path / "run")
    run = run_folder.open_run(tmp_path / "run")
    assert run.read_manifest()["step"] == 8
    assert len(list(run.checkpoints.glob("ckpt-*.index"))) == 1
    assert training.load_model(run)[0] is not None
    with Image.open(run.folder / "failed" / "step-11.png") as picture:
        assert min(picture.size) > 200


def test_a_loss_that_explodes_stops_the_training(
    small: Small, training: ModuleType, eagerly: None, tmp_path: Path
) -> None:
    """With a learning rate of a million the loss jumps far above the ones before, and training says so and stops."""
    from tfod_helpers import experiment

    rate = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
    config = experiment.change(small.config, {rate: 1e6})
    with pytest.raises(FloatingPointError, match=r"The loss is .* after step \d+, so training stopped.*failed"):
        training.train(config, tmp_path / "run")


def test_training_starts_from_an_earlier_run(
    trained: Trained, small: Small, training: ModuleType, no_steps: list[Any], tmp_path: Path
) -> None:
    """With weights=<run> every tensor is that run's best before the first step, and run.json says so."""
    from tfod_helpers import experiment

    config = experiment.change(small.config, {"task.weights": str(trained.run.folder), "task.frozen_stride": 0})
    training.train(config, tmp_path / "run")
    ours, theirs = no_steps[-1].model.weights, training.load_model(trained.run)[0].weights
    assert len(ours) == len(theirs) > 150
    for one, other in zip(ours, theirs, strict=True):  # nothing is frozen, so both are in the order of building
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert str(trained.run.models) in run_folder.open_run(tmp_path / "run").read_manifest()["weights"]


def test_there_must_be_something_to_be_evaluated_on(small: Small, training: ModuleType, tmp_path: Path) -> None:
    """Validation records without an object, or none at all, are refused before a step; the folder stays free."""
    from tfod_helpers import experiment

    nothing = {"boxes_xyxy": np.zeros((0, 4)), "labels": [], "crowd": None, "difficult": None}
    bare = [dataclasses.replace(image, **nothing) for image in small.dataset]
    empty = records.write(Dataset(bare, small.dataset.label_map), tmp_path / "empty")
    path = "task.validation_data.input_path"
    with pytest.raises(ValueError, match=r"empty-.*no object in these records"):
        training.train(experiment.change(small.config, {path: empty.pattern}), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"no validation records: .*gone"):
        training.train(experiment.change(small.config, {path: str(tmp_path / "gone")}), tmp_path / "run")


def test_records_of_other_classes_are_refused(small: Small, training: ModuleType, tmp_path: Path) -> None:
    """Records whose label map is not the config's are refused before a step, with both lists."""
    from tfod_helpers import experiment

    config = experiment.change(small.config, {"task.class_names": ["red", "green"]})
    with pytest.raises(ValueError, match=r"these records have the classes red, blue, the config red, green"):
        training.train(config, tmp_path / "run")


# --- another process: two devices, and a kill ----------------------------------------------------


def train_on_two_devices(config: Path, folder: Path, said: Path) -> None:
    """Train on two devices of this CPU; what is printed goes into a file."""
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from tfod_helpers import experiment, training

    training.train(experiment.load(config), folder, strategy=tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))


@dataclasses.dataclass(frozen=True)
class Killed:
    """A training on two devices that was killed.

    Attributes:
        run: its folder.
        config: its config, of far more steps than it got to.
        said: all that it printed.
    """

    run: run_folder.Run
    config: Any
    said: str


@pytest.fixture(scope="module")
def killed(small: Small, processes: BaseContext, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """A training of 4000 steps on two devices, killed after its second checkpoint."""
    from tfod_helpers import experiment

    folder = tmp_path_factory.mktemp("killed")
    intervals = {f"trainer.{name}_interval": INTERVAL for name in ("validation", "checkpoint")}
    settings = {"trainer.train_steps": 4000, "trainer.steps_per_loop": 4, SYNC: True, **intervals}
    config = experiment.change(small.config, settings)
    experiment.save(config, folder / "config.yaml")
    run = run_folder.open_run(folder / "run")
    process = processes.Process(
        target=train_on_two_devices, args=(folder / "config.yaml", run.folder, folder / "said.txt")
    )
    process.start()
    try:
        wait_for(lambda: run.read_manifest().get("step", 0) >= 2 * INTERVAL or not process.is_alive(), 300)
    finally:
        process.kill()
        process.join()
    text = (folder / "said.txt").read_text()
    assert process.exitcode == -signal.SIGKILL, text
    return Killed(run, config, text)


def wait_for(happened: Callable[[], bool], seconds: float) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"nothing happened in {seconds} s"
        time.sleep(0.02)


def test_two_devices_train_together(killed: Killed) -> None:
    """A MirroredStrategy over two devices trains, evaluates and saves; its loss falls, with no warning on the way."""
    frame = pd.read_csv(killed.run.history_path)
    assert frame["step"].diff().dropna().eq(4).all()
    assert np.isfinite(frame["loss"]).all()
    assert frame["loss"].iloc[-1] < frame["loss"].iloc[0]
    assert killed.run.read_manifest()["best"] is not None
    assert "Warning" not in killed.said
    assert "training:" in killed.said


def test_a_killed_training_goes_on(killed: Killed, training: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """After a SIGKILL the next start takes up the last whole checkpoint, its step, schedule and weights."""
    import tensorflow as tf

    saved = tf.train.load_checkpoint(tf.train.latest_checkpoint(killed.run.checkpoints))
    step = int(saved.get_tensor("optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"))
    assert step >= 2 * INTERVAL
    sets = training.running._validation_set(killed.config), training.running._some_training_images(killed.config)
    keeper = run_folder.Keeper(killed.run)
    stopped = training.loop.Training(killed.config, killed.run, keeper, *sets)
    stopped.start(killed.run.read_manifest()["machines"][0])
    assert f"Resuming from step {step} of 4000" in capsys.readouterr().out
    assert stopped.steps.done == step
    assert stopped.rows[-1]["step"] == step
    kernel = stopped.steps.model.trainable_variables[0]
    shapes = saved.get_variable_to_shape_map()
    arrays = [saved.get_tensor(name) for name, shape in shapes.items() if shape == list(kernel.shape)]
    assert any(np.array_equal(kernel.numpy(), array) for array in arrays)


def test_run_folder_is_whole_after_a_kill(killed: Killed) -> None:
    """Whatever the moment, run.json, config and history can be read, and no half file is left under their names."""
    manifest = json.loads(killed.run.manifest_path.read_text())
    assert manifest["step"] >= 2 * INTERVAL
    assert len(pd.read_csv(killed.run.history_path)) >= manifest["step"] // 8
    assert LabelMap.read(killed.run.label_map_path) == LabelMap(["red", "blue"])


def test_a_run_is_begun_without_a_step_and_trained_on(trained: Trained, small: Small, tmp_path: Path) -> None:
    """From another run, step 0 detects what that run does, and training goes on from there."""
    from tfod_helpers import experiment, training

    config = experiment.from_run(trained.run, train=small.train, validation=small.validation, train_steps=2)
    assert config.task.model.as_dict() == small.config.task.model.as_dict()
    assert config.task.weights == str(trained.run)
    told, yours = experiment.explain(config).split("Changed by you:")
    assert "goes on from:\n- task.model." in told
    assert "task.model." not in yours
    begun = training.start(config, tmp_path / "run")
    assert (begun.best["step"], begun.frame["step"].tolist()) == (0, [0])
    assert begun.best["ap"] == pytest.approx(trained.history.best["ap"], abs=1e-6)
    found = training.evaluate(tmp_path / "run", small.dataset, checkpoint=0)
    assert found.ap == pytest.approx(begun.best["ap"], abs=1e-6)
    assert training.start(config, tmp_path / "run").frame["step"].tolist() == [0], "nothing is done twice"
    ended = training.train(config, tmp_path / "run", keep="all")
    assert ended.frame["step"].tolist() == [0, 1, 2]
    assert [one["step"] for one in ended.run.kept_models()] == [0, 1, 2]
