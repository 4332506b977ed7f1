"""Resuming: in other batches, on another machine; never with other data."""

from __future__ import annotations

import os
import shutil
import signal
import time
from multiprocessing.context import BaseContext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_training import Small

from tfod_helpers import records
from tfod_helpers.files import run_folder

pytestmark = pytest.mark.tensorflow
STEPS, INTERRUPTED = 48, 20  # of the small training in conftest.py


@pytest.fixture
def copy(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted run, to resume."""
    return shutil.copytree(interrupted, tmp_path / "run")


def in_batches_of(config: Any, batch: int) -> Any:
    """The small config with another batch; learning rate and steps follow, the intervals stay small."""
    from tfod_helpers import experiment

    changed = experiment.change(config, {"task.train_data.global_batch_size": batch})
    return experiment.change(changed, {"trainer.validation_interval": 8, "trainer.steps_per_loop": 4})


@pytest.mark.parametrize(("batch", "step", "steps"), [(2, 40, 96), (8, 10, 24)])
def test_other_batches_resume_at_the_same_place(
    small: Small, copy: Path, capsys: pytest.CaptureFixture[str], batch: int, step: int, steps: int
) -> None:
    """A share of the schedule is that share in batches of any size; the rate follows, and the loss does not jump."""
    from tfod_helpers import training
    from tfod_helpers.training import schedule

    before = pd.read_csv(copy / "history.csv")
    config = in_batches_of(small.config, batch)
    history = training.train(config, copy)
    said = capsys.readouterr().out
    assert f"Resuming from step {step} of {steps}" in said
    assert f"Before on 1 x CPU, float32, in batches of 4; now on 1 x CPU, float32, in batches of {batch}." in said
    frame = history.frame
    assert frame["step"].iloc[-1] == steps
    assert frame["step"].is_monotonic_increasing
    kept = frame[frame["step"] <= step]
    np.testing.assert_allclose(kept["step"], before["step"] * batch_ratio(batch), atol=0.5)
    np.testing.assert_allclose(kept["loss"], before["loss"])
    rates = schedule.learning_rate(config)
    after = frame[frame["step"] > step]
    np.testing.assert_allclose(after["learning_rate"], [float(rates(one)) for one in after["step"]], rtol=1e-4)
    assert after["loss"].iloc[:3].mean() < 1.25 * before["loss"].iloc[-3:].mean()  # of 8 drawn photos, so it is noisy
    machines = run_folder.open_run(copy).read_manifest()["machines"]
    assert [(one["from_step"], one["batch_size"]) for one in machines] == [(0, 4), (step, batch)]


def batch_ratio(batch: int) -> float:
    """How many steps of the small training's batches one of these is worth."""
    return 4 / batch


def test_it_resumes_again_in_the_new_batches(
    small: Small, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped once more after the change, nothing is counted twice: the next start is at the same step."""
    from tfod_helpers import training
    from tfod_helpers.training.steps import Steps

    def stop(steps: Steps, count: int, limit: float) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Steps, "run", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training.train(in_batches_of(small.config, 8), copy)
        assert "Resuming from step 10 of 24" in capsys.readouterr().out
    assert pd.read_csv(copy / "history.csv")["step"].tolist() == [2, 4, 6, 8, 10]


def test_what_was_seen_is_not_seen_again(small: Small) -> None:
    """A run that is often cut off does not see its first photos again and again: the next come in another order."""
    import tf_keras

    from tfod_helpers.training.steps import Steps

    steps = Steps(small.config)

    def drawn(done: int) -> list[list[int]]:
        tf_keras.utils.set_random_seed(0)  # as each start does
        steps.optimizer.iterations.assign(done)
        batches = steps._next_batches()
        return [next(batches)[1]["seen"]["source"].numpy().tolist() for _ in range(4)]

    begun, first, later = drawn(0), drawn(20), drawn(24)
    assert begun != first != later != begun
    assert drawn(20) == first


def test_other_data_is_never_trained_over(small: Small, copy: Path, tmp_path: Path) -> None:
    """One photo less is noticed and named, with both counts; the same photos in another place are not."""
    from tfod_helpers import experiment, training
    from tfod_helpers.annotations import Dataset

    images = list(records.read(small.train))
    pattern = "task.train_data.input_path"
    fewer = records.write(Dataset(tuple(images[1:]), small.train.label_map), tmp_path / "fewer" / "train", shards=2)
    with pytest.raises(ValueError, match=r"training photos or labels .* then 8 images with 8 boxes .* now 7 images"):
        training.train(experiment.change(small.config, {pattern: fewer.pattern}), copy)
    shutil.copytree(Path(small.train.pattern).parent, tmp_path / "moved")
    moved = tmp_path / "moved" / Path(small.train.pattern).name
    assert not training.claiming.claim(
        run_folder.open_run(copy), experiment.change(small.config, {pattern: str(moved)})
    )


def test_a_broken_checkpoint_gives_way_to_the_one_before(
    small: Small, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the newest checkpoint is cut short, the one before is taken and that is said; with none, it is refused."""
    from tfod_helpers import training

    def start() -> Any:
        sets = training.running._validation_set(small.config), training.running._some_training_images(small.config)
        run = run_folder.open_run(copy)
        made = training.loop.Training(small.config, run, run_folder.Keeper(run), *sets)
        made.start(run.read_manifest()["machines"][0])
        return made.steps.done

    data = sorted(copy.glob("checkpoints/ckpt-*.data-*"))
    assert len(data) == 2
    data[-1].write_bytes(data[-1].read_bytes()[:1000])
    assert start() == 16
    assert "cannot be read" in "".join(capsys.readouterr())
    data[0].write_bytes(b"")
    with pytest.raises(ValueError, match="none of the checkpoints can be read"):
        start()


@pytest.mark.parametrize("often", [True, False])
def test_a_training_that_is_lost_between_two_evaluations_was_saved_there(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: bool
) -> None:
    """Ten minutes after a save comes the next; a lost device costs no more, and the error says what is saved."""
    import tensorflow as tf

    from tfod_helpers import experiment, training
    from tfod_helpers.training import loop, resuming
    from tfod_helpers.training.steps import Steps

    def run(steps: Steps, count: int, limit: float) -> dict[str, float]:
        if steps.done == 3:
            raise tf.errors.UnavailableError(None, None, "Socket closed")
        steps.optimizer.iterations.assign_add(count)
        return {"loss": 1.0}

    monkeypatch.setattr(Steps, "run", run)
    if often:
        monkeypatch.setattr(loop, "_AT_MOST", 0.0)
    config = experiment.change(small.config, {"trainer.steps_per_loop": 1})
    left = rf"step 3 is in {tmp_path}.* goes on from what is saved" if often else "Nothing .* yet, so it begins anew"
    with pytest.raises(ConnectionError, match=rf"The CPU was taken away \(Socket closed\)\. .*{left}"):
        training.train(config, tmp_path / "run")
    made = run_folder.open_run(tmp_path / "run")
    elsewhere: Any = SimpleNamespace(count=2, writes=False)
    kept = run_folder.Run(tmp_path, "gs://b/run"), run_folder.Keeper(run_folder.Run(tmp_path))
    words = "step 8 is in gs://b/run, or the save before, where the first machine was lost"
    assert words in resuming.what_is_left(8, *kept, elsewhere)
    assert made.read_manifest()["step"] == (3 if often else 0)
    assert list(pd.read_csv(made.history_path)["step"]) == [1, 2, 3] if often else not made.history_path.exists()


# --- another process ------------------------------------------------------------------------------


def train(config: Path, run: str, said: Path, environment: dict[str, str]) -> None:
    """Train as the environment says; what is printed goes into a file."""
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ |= environment
    from tfod_helpers import experiment, training

    training.train(experiment.load(config), run)


def test_a_machine_that_is_taken_away_saves_first(
    small: Small, processes: BaseContext, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At SIGTERM the run is saved and brought to its bucket; a machine that has never seen it resumes from there."""
    from tfod_helpers import experiment

    endless = experiment.change(small.config, {"trainer.train_steps": 4000, "trainer.steps_per_loop": 4})
    config = experiment.save(endless, tmp_path / "config.yaml")
    said = tmp_path / "said.txt"
    server = os.environ["STORAGE_EMULATOR_HOST"]
    environment = {"STORAGE_EMULATOR_HOST": server, "XDG_CACHE_HOME": str(tmp_path / "first")}
    process = processes.Process(target=train, args=(config, f"{bucket}/run", said, environment))
    process.start()
    try:
        while process.is_alive() and "loss " not in (said.read_text() if said.exists() else ""):  # it has made steps
            time.sleep(0.1)
        process.terminate()
        process.join(300)
    finally:
        process.kill()
    assert process.exitcode == 128 + signal.SIGTERM, said.read_text()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
    run = run_folder.open_run(f"{bucket}/run")
    step = run.read_manifest()["step"]
    assert step >= 4
    assert f"Stopped at step {step} of 4000, which is saved in {bucket}/run" in said.read_text()
    assert list(run.checkpoints.glob("ckpt-*.index"))
