"""What training offers besides its steps: averages, time budgets, patience, searches, precision, pictures of events."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import Small, Trained

pytestmark = pytest.mark.tensorflow
RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"


@pytest.fixture
def change() -> Callable[..., Any]:
    """experiment.change."""
    from tfod_helpers import experiment

    return experiment.change


# --- the average of the weights -------------------------------------------------------------------


def test_the_average_follows_the_weights(small: Small, change: Callable[..., Any], eagerly: None) -> None:
    """After steps it lies between where the weights began and where they are, and the model to be evaluated has it."""
    from tfod_helpers.training.steps import Steps

    made = Steps(change(small.config, {"trainer.average_decay": 0.9}))
    weight, copy = made.model.trainable_variables[0], made.eval_model.trainable_variables[0]
    began = weight.numpy()
    made.run(4)
    made.fill_eval_model()
    now, average = weight.numpy(), copy.numpy()
    low, high = np.minimum(began, now) - 1e-3, np.maximum(began, now) + 1e-3
    assert ((average >= low) & (average <= high)).mean() > 0.8
    assert np.abs(average - now).max() > 1e-4


def test_without_an_average_the_last_weights_are_evaluated(
    small: Small, change: Callable[..., Any], eagerly: None
) -> None:
    """With a decay of 0 the model to be evaluated has the weights as they are, frozen ones among them."""
    from tfod_helpers.network import model
    from tfod_helpers.training.steps import Steps

    made = Steps(change(small.config, {"trainer.average_decay": 0.0}))
    pairs = list(zip(made.model.weights, made.eval_model.weights, strict=True))
    model.freeze(made.model, 8)
    assert [id(weight) for weight in made.model.weights] != [id(weight) for weight, _ in pairs]  # another order
    made.run(2)
    made.fill_eval_model()
    for weight, copy in pairs:
        np.testing.assert_array_equal(copy.numpy(), weight.numpy())


def test_the_average_survives_a_checkpoint(small: Small, eagerly: None, tmp_path: Path) -> None:
    """Restored, weights, average and step are what they were."""
    import tensorflow as tf

    from tfod_helpers.training.steps import Steps

    first, second = Steps(small.config), Steps(small.config)
    first.run(3)
    path = first.checkpoint.save(str(tmp_path / "ckpt"))
    second.checkpoint.read(path)
    assert second.done == 3
    for one, other in zip(first.average.values, second.average.values, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert tf.train.latest_checkpoint(tmp_path) == path


# --- time and patience ----------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let steps take a hundredth of a second of a made-up clock, and none of the real one; gives their counts."""
    from tfod_helpers.training import loop
    from tfod_helpers.training.steps import Steps

    clock, counts = itertools.count(), []
    now = [0.0]

    def run(steps: Steps, count: int, limit: float) -> dict[str, float]:
        steps.optimizer.iterations.assign_add(count)
        counts.append(count)
        now[0] += 0.01 * count
        return {"loss": 1.0}

    monkeypatch.setattr(Steps, "run", run)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0] + next(clock) * 1e-9)
    return counts


def test_steps_are_fitted_to_the_time_there_is(
    small: Small, change: Callable[..., Any], counted: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a minute at a hundred steps a second gives about 2,850 steps, said up front; the rate falls over those."""
    from tfod_helpers import training
    from tfod_helpers.training import schedule

    settings = {"trainer.minutes": 0.5, "trainer.train_steps": 500, "trainer.steps_per_loop": 50}
    settings |= {f"trainer.{name}_interval": 1000 for name in ("validation", "checkpoint")}
    config = change(small.config, settings)
    history = training.train(config, tmp_path / "run")
    last = history.frame["step"].max()
    assert last == pytest.approx(0.5 * 60 * 0.95 / 0.01, rel=0.01)
    said = capsys.readouterr().out
    assert "After 100 steps their number is fitted to 0.5 minutes" in said
    assert f"{last} steps in 0.5 minutes" in said
    assert history.frame["learning_rate"].iloc[-1] == pytest.approx(0, abs=1e-6)
    highest = history.frame.loc[history.frame["learning_rate"].idxmax(), "step"]
    assert highest <= 200  # falls from then on, over all the steps
    assert schedule.WarmupCosine(1.0, 10, 100)(55).numpy() == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.55)))


def test_a_time_budget_needs_a_schedule_that_can_be_moved(
    small: Small, change: Callable[..., Any], tmp_path: Path
) -> None:
    """With a stepwise learning rate the number of steps cannot be fitted, and that is said before any step."""
    from tfod_helpers import training

    config = change(small.config, {"trainer.minutes": 1.0})
    config.trainer.optimizer_config.learning_rate = {
        "type": "stepwise", "stepwise": {"boundaries": [10], "values": [0.01, 0.001]},
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"trainer\.minutes needs .* 'cosine'.* got 'stepwise'"):
        training.train(config, tmp_path / "run")


def test_training_ends_early_when_ap_no_longer_rises(
    small: Small,
    change: Callable[..., Any],
    counted: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a patience of 2, two evaluations below the best end it, and the run counts as finished."""
    from tfod_helpers import evaluation, training

    scores = iter([0.2, 0.5, 0.4, 0.3, 0.9, 0.9])
    real = evaluation.score

    def score(dataset: Any, found: Any, *, resamples: int = 1000) -> evaluation.Evaluation:
        result = real(dataset, found, resamples=resamples)
        return result if resamples else dataclasses.replace(result, coco=result.coco | {"AP": next(scores)})

    monkeypatch.setattr(evaluation, "score", score)
    history = training.train(change(small.config, {"trainer.patience": 2}), tmp_path / "run")
    assert (history.best["step"], history.best["ap"]) == (16, 0.5)
    assert history.frame["step"].max() == 32
    assert "No better AP in 2 evaluations since step 16" in capsys.readouterr().out
    assert history.run.read_manifest()["finished"]


# --- searches -------------------------------------------------------------------------------------


def test_the_learning_rate_is_where_the_loss_falls(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies between rates that teach nothing and rates that break; a loss that falls nowhere is told."""
    from tfod_helpers import pictures, training
    from tfod_helpers.training import search

    trial = training.find_learning_rate(small.config, steps=40)
    assert 1e-3 < trial.best < 0.1
    frame = trial.frame
    assert frame["learning_rate"].is_monotonic_increasing
    tiny = frame.loc[frame["learning_rate"] < 1e-5, "smoothed"].mean()
    assert frame["smoothed"].min() < 0.95 * tiny
    assert pictures.plot_learning_rates(trial).axes
    with pytest.raises(ValueError, match="at least 20 steps"):
        training.find_learning_rate(small.config, steps=5)
    monkeypatch.setattr(search, "_rise", lambda *_: iter(()))  # as where the first loss is NaN
    with pytest.raises(ValueError, match="fell at no learning rate"):
        training.find_learning_rate(small.config)


def test_batch_sizes_are_tried(small: Small) -> None:
    """Four images are trained in another process and timed; no more were asked for. Notebook 03 tries several sizes."""
    from tfod_helpers import training

    trial = training.find_batch_size(small.config, largest=4, steps=2)
    assert trial.frame["batch_size"].tolist() == [4]
    assert (trial.frame["images_per_second"] > 0).all()
    assert trial.best == 4
    assert "larger ones were not tried" in str(trial)


def test_a_batch_that_does_not_fit_is_no_answer(small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the process dies of memory at 8, 4 is the answer; where it dies at once, the error says what to change."""
    from tfod_helpers import training
    from tfod_helpers.training import search

    def program(fits: int) -> str:
        path = tmp_path / f"fits{fits}.sh"
        path.write_text(
            '#!/bin/sh\nshift 4\nfor size in "$@"; do\n'
            f"[ \"$size\" -gt {fits} ] && kill -9 $$\necho '{{\"images_per_second\": '$size'}}'\ndone\n"
        )
        path.chmod(0o755)
        return str(path)

    monkeypatch.setattr(search.sys, "executable", program(4))
    trial = training.find_batch_size(small.config)
    assert trial.best == 4
    assert trial.frame["problem"].tolist() == ["", "the system stopped it for want of memory"]
    assert "8 does not fit" in str(trial)
    monkeypatch.setattr(search.sys, "executable", program(0))
    with pytest.raises(MemoryError, match=r"Not even one image of 64 pixels fits.*want of memory"):
        training.find_batch_size(small.config)


def test_out_of_memory_says_what_to_do(small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A device that has no room for the batch ends in advice with the next smaller batch."""
    import tensorflow as tf

    from tfod_helpers import training
    from tfod_helpers.training.steps import Steps

    def run(steps: Steps, count: int, limit: float) -> dict[str, float]:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(Steps, "run", run)
    with pytest.raises(MemoryError, match=r"A batch of 4 images of 64 pixels.*batch_size=2.*find_batch_size"):
        training.train(small.config, tmp_path / "run")


# --- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_half_precision_trains_and_ships_whole_weights(
    small: Small, change: Callable[..., Any], kind: str, tmp_path: Path
) -> None:
    """The loss falls, weights stay float32, models built afterwards are float32 again, and the best one loads."""
    import tensorflow as tf
    import tf_keras

    from tfod_helpers import training

    config = change(
        small.config,
        {"runtime.mixed_precision_dtype": kind, "trainer.train_steps": 16, "trainer.validation_interval": 16},
    )
    history = training.train(config, tmp_path / "run")
    assert history.frame["loss"].iloc[-1] < history.frame["loss"].iloc[0]
    assert tf_keras.mixed_precision.global_policy().name == "float32"
    model, _ = training.load_model(tmp_path / "run")
    assert {weight.dtype for weight in model.trainable_weights} == {tf.float32}


def test_a_cpu_keeps_whole_precision() -> None:
    """best_precision of a strategy without an accelerator is float32."""
    import tensorflow as tf

    from tfod_helpers import runtime

    assert runtime.best_precision(tf.distribute.get_strategy()) == "float32"


# --- TensorBoard ----------------------------------------------------------------------------------


def test_tensorboard_shows_photos_with_both_kinds_of_boxes(trained: Trained) -> None:
    """At every evaluation, training and validation photos are there; the true boxes are drawn in green on them."""
    import tensorflow as tf
    from tensorflow.python.summary.summary_iterator import summary_iterator

    for which in ("train", "validation"):
        found = {}
        for path in sorted((trained.run.events / which).glob("events.out.tfevents.*")):
            for event in summary_iterator(str(path)):
                for value in event.summary.value:
                    if value.metadata.plugin_data.plugin_name == "images":
                        found[event.step] = value.tensor.string_val
        assert sorted(found) == list(range(8, 49, 8))
        width, height, *pngs = found[48]
        assert (int(width), int(height), len(pngs)) == (64, 64, 6 if which == "train" else 4)
        pixels = tf.io.decode_png(pngs[0]).numpy().astype(int)
        assert ((np.abs(pixels - [40, 200, 80]) < 10).all(axis=-1)).sum() > 60


def test_tensorboard_opens_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook shows it before it trains, on the folder of a new run, which it makes; or on a folder of runs."""
    from tfod_helpers import training

    notebook = importlib.import_module("tensorboard.notebook")  # the package itself gives a lazy stand-in
    monkeypatch.delenv("TENSORBOARD_BINARY", raising=False)
    told: list[str] = []
    monkeypatch.setattr(notebook, "start", told.append)
    monkeypatch.setattr(notebook, "display", lambda height: None)
    training.show_tensorboard(tmp_path / "new run")
    assert told == [f'--logdir "{tmp_path / "new run"}" --reload_interval 15']
    assert os.access(os.environ["TENSORBOARD_BINARY"], os.X_OK)  # it is not on the path where no environment is active
    training.show_tensorboard(tmp_path)
    assert told[1:] == [f'--logdir "{tmp_path}" --reload_interval 15']


# --- where the time goes --------------------------------------------------------------------------


def test_a_run_says_where_its_time_went(trained: Trained) -> None:
    """run.json has the seconds of building, steps, evaluating and saving, of both sessions together."""
    seconds = trained.run.read_manifest()["seconds"]
    assert seconds.keys() == {"building", "steps", "evaluating", "saving"}
    assert min(seconds.values()) > 0
    assert trained.history.seconds == seconds


# --- in a notebook --------------------------------------------------------------------------------


def test_curves_are_redrawn_in_place_and_leave_nothing_behind(tmp_path: Path) -> None:
    """In a notebook there is one picture however often it is drawn, and none when the training is over."""
    import nbformat
    from nbclient import NotebookClient

    rows = "[{'step': n, 'loss': 1 / n, 'ap': n / 10, 'ap50': n / 9, 'learning_rate': 0.1} for n in range(1, last)]"
    begin = "from tfod_helpers.training.hooks import Curves\ncurves = Curves()\n"
    draw = f"{begin}for last in (3, 5, 7):\n    curves.on_save({rows})"
    cells = [nbformat.v4.new_code_cell(one) for one in (draw, f"{draw}\ncurves.on_end()")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for output in notebook.cells[0].outputs if output.output_type == "display_data"]
    assert len(shown) == 1
    assert "image/png" in shown[0].data
    left = [output.data for output in notebook.cells[1].outputs if output.output_type == "display_data"]
    assert not any(kind.startswith("image/") for data in left for kind in data)
