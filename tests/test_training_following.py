"""training.follow: an evaluator beside a training judges each model once, whatever the training does meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
from multiprocessing.context import BaseContext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import supervision as sv
from evaluation_parts import made_up as made_up_photos
from evaluation_parts import with_masks
from small_training import Small, Trained

from tfod_helpers import evaluation, pictures, runs
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.files import run_folder, storage
from tfod_helpers.files.run_folder import Keeper, Run

pytestmark = pytest.mark.tensorflow


def follow_there(environment: dict[str, str], address: str, photos: Any) -> None:
    """What the other process does."""
    from tfod_helpers import training

    os.environ |= environment
    training.follow(address, photos, every=0.1, patience=2)


def test_an_evaluator_in_another_process_judges_what_is_kept_in_a_bucket(
    small: Small, interrupted: Path, trained: Trained, bucket: str, processes: BaseContext, tmp_path: Path
) -> None:
    """Begun before the run, it judges each model once, with the training's own AP to the last digit, and then ends."""
    environment = {"XDG_CACHE_HOME": str(tmp_path), "STORAGE_EMULATOR_HOST": os.environ["STORAGE_EMULATOR_HOST"]}
    address = f"{bucket}/runs/first"
    other = processes.Process(target=follow_there, args=(environment, address, small.validation))
    other.start()
    run = run_folder.open_run(address)
    models = []
    for one in (Run(interrupted), trained.run):  # earlier and later weights of one training
        shutil.copytree(one.folder, run.folder, dirs_exist_ok=True)
        models.append(one.find_model("last"))
    assert models[0]["step"] < models[1]["step"]
    keeper = Keeper(run)
    for number in (1, 2):  # as a training keeps them, one after the other
        run.update_manifest(models=models[:number], finished=False, saves=100 + number)
        keeper.keep()
        keeper.finish()
        wait_for(address, models[number - 1]["step"], other)
    run.update_manifest(finished=True, saves=200)
    keeper.keep()
    keeper.finish()
    other.join(60)
    assert other.exitcode == 0
    found = runs.evaluations(address)
    assert found["ap"].to_dict() == {one["step"]: one["ap"] for one in models}
    assert found["ap50"].to_dict() == {one["step"]: one["ap50"] for one in models}
    assert found["threshold"].to_dict() == {one["step"]: one["threshold"] for one in models}
    assert (found["ap_low"] <= found["ap"]).all()
    assert (found["ap"] <= found["ap_high"]).all()
    kept = storage.sizes(address, nested=True)
    assert sum(name.startswith("events/eval/events.out.tfevents") for name in kept) == 2
    assert json.loads(storage.read_bytes(f"{address}/run.json")) == run.read_manifest()  # which it never writes
    assert list(runs.checkpoints(address)["evaluator_ap"]) == [round(one["ap"], 3) for one in models]
    with_points = pictures.plot_history(trained.history, evaluations=found)
    assert with_points.to_bytes() != pictures.plot_history(trained.history).to_bytes()


def wait_for(address: str, step: int, process: Any) -> None:
    """Return when a model has been judged."""
    for _ in range(600):
        if step in runs.evaluations(address).index:
            return
        process.join(0.1)
        assert process.exitcode is None
    raise AssertionError(f"the model of step {step} was not judged within a minute")


def test_masks_are_judged_beside_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where photos and network have masks, mask AP is in what is written and in TensorBoard, and no mask in memory."""
    from tfod_helpers.training import following

    truth, found = with_masks(*made_up_photos(0, images=20), seed=1)
    for one in found:
        one.data["class_name"] = np.array([truth.label_map.names[id - 1] for id in one.class_id])
    expected = evaluation.score(truth, found)

    class Looking:
        label_map = truth.label_map
        asked = 0

        def letterbox(self, pixels: np.ndarray) -> SimpleNamespace:
            return SimpleNamespace(pixels=pixels, scale=np.ones(2))

        def detect_letterboxed(self, photos: list[Any]) -> list[sv.Detections]:
            self.asked += len(photos)
            return found[self.asked - len(photos) : self.asked]

    monkeypatch.setattr(LabelledImage, "pixels", lambda image: np.zeros((image.height, image.width, 3), np.uint8))
    monkeypatch.setattr(following.experiment, "load", lambda path: None)
    monkeypatch.setattr(following, "build_model", lambda config: None)
    monkeypatch.setattr(following.detecting, "of_model", lambda model, config, masks: Looking() if masks else None)
    monkeypatch.setattr(following.detecting, "fill", lambda model, prefix: None)
    judge = following._Judge(Run(tmp_path), truth)
    result = judge.evaluate(tmp_path)
    assert all(one.mask is None for one in result.detections)
    assert expected.masks
    model = {"step": 8, "ap": 0.5, "ap50": 0.5, "checkpoint": "ckpt-1"}
    facts = following._facts(Run(tmp_path), model, result, "")
    assert (facts["ap"], facts["masks"]["ap"]) == (expected.ap, expected.masks.ap)
    assert facts["masks"]["intervals"]["ap50"] == list(expected.masks.intervals["ap50"])
    json.dumps(facts, allow_nan=False)
    judge.write_events(str(tmp_path), 8, result)
    (path,) = tmp_path.glob("events.out.tfevents*.step-8")
    assert {b"mask ap50", b"ap_low", b"ap by class/class 1"} <= set(
        re.findall(rb"[a-z][a-z0-9 _/]+", path.read_bytes())
    )


# --- whatever the training does: with a judge that looks at no photo ------------------------------


class PerfectJudge:
    """Finds every object, in no time."""

    made: int = 0

    def __init__(self, run: Run, photos: Dataset) -> None:
        """Count how often one is made."""
        self.photos = photos
        PerfectJudge.made += 1

    def evaluate(self, prefix: Path) -> Evaluation:
        """Look whether the model is there, and score the truth."""
        import tensorflow as tf

        if prefix.with_suffix(".index").read_text() != "whole":
            raise tf.errors.DataLossError(None, None, "the file is damaged")
        found = [
            sv.Detections(one.boxes_xyxy, confidence=np.ones(len(one.labels)), class_id=one.labels)
            for one in self.photos
        ]
        return evaluation.score(self.photos, found)

    def write_events(self, folder: str, step: int, result: Evaluation) -> None:
        """Write something."""
        (Path(folder) / f"events-{step}").write_text(f"{result.ap}")


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with two models, and a judge that costs nothing."""
    from tfod_helpers.training import following

    monkeypatch.setattr(following, "_Judge", PerfectJudge)
    monkeypatch.setattr(PerfectJudge, "made", 0)
    run = run_folder.open_run(tmp_path / "run")
    add(run, 8, 16)
    return run


def add(run: Run, *steps: int, keep: int = 10, **facts: Any) -> None:
    """Let a training evaluate its model at some steps, and keep the newest."""
    run.models.mkdir(exist_ok=True)
    models = run.read_manifest().get("models", [])
    for step in steps:
        name = f"ckpt-{step}"
        (run.models / f"{name}.data-00000-of-00001").write_text("values")
        (run.models / f"{name}.index").write_text("whole")
        models.append({"step": step, "ap": 0.5, "ap50": 0.6, "threshold": 0.5, "checkpoint": name})
    rows = "".join(f"{one},0.5\n" for one in range(8, models[-1]["step"] + 1, 8))
    run.history_path.write_text("step,ap\n" + rows)
    facts = {"id": "a", "step": models[-1]["step"], "planned_steps": 80, "finished": False} | facts
    run.update_manifest(**facts, models=models[-keep:])
    for path in run.models.glob("ckpt-*"):
        if path.name.partition(".")[0] not in {one["checkpoint"] for one in models[-keep:]}:
            path.unlink()


def follow(run: Run, photos: Any, **waiting: float) -> Any:
    """Follow a run, without waiting for long."""
    from tfod_helpers import training

    return training.follow(run.folder, photos, **({"every": 0.0, "patience": 0.0} | waiting))


def test_what_is_judged_is_not_judged_again(made_up: Run, small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    """An evaluator that begins anew goes on where the one before ended; on other photos, or another run, all is new."""
    assert list(follow(made_up, small.dataset).index) == [8, 16]
    assert "nothing new for 0 minutes, at step 16 of 80" in capsys.readouterr().out
    before = (made_up.evaluations / "step-8.json").stat().st_mtime_ns
    add(made_up, 24, finished=True)
    assert list(follow(made_up, small.dataset).index) == [8, 16, 24]
    out = capsys.readouterr().out
    assert out.count("judged in") == 1
    assert "step 24: AP 1.00 (1.00 to 1.00)" in out
    assert "seems to have stopped" not in out
    assert (made_up.evaluations / "step-8.json").stat().st_mtime_ns == before
    follow(made_up, small.dataset)
    assert PerfectJudge.made == 2  # the third time there was nothing to do
    others = Dataset(small.dataset[:2], small.dataset.label_map)
    follow(made_up, others)
    assert capsys.readouterr().out.count("judged in") == 3
    assert json.loads((made_up.evaluations / "step-8.json").read_text())["photos"]["images"] == 2
    models = made_up.read_manifest()["models"]
    for path in made_up.models.glob("ckpt-24.*"):
        path.rename(path.with_name(path.name.replace("24", "25")))
    made_up.update_manifest(models=[*models[:2], models[2] | {"checkpoint": "ckpt-25"}])
    follow(made_up, others)  # the last one was trained once more, after its machine was lost
    assert capsys.readouterr().out.count("judged in") == 1
    made_up.update_manifest(id="b")
    assert runs.evaluations(made_up).empty
    follow(made_up, others)
    assert list(runs.evaluations(made_up).index) == [8, 16, 24]


def test_what_was_deleted_before_is_named(made_up: Run, small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    """Models that came and went unjudged are counted and named, with what keeps them; a damaged one stops nothing."""
    add(made_up, 24, 32, 40, keep=2, finished=True)
    (made_up.models / "ckpt-40.index").write_text("damaged")
    found = follow(made_up, small.dataset)
    assert list(found.index) == [32]
    out = capsys.readouterr().out
    assert "3 models were deleted before they could be judged, of steps 8, 16, 24." in out
    assert "keep='all'" in out
    assert "the model of step 40 cannot be read (the file is damaged)" in out
    assert "the best is of step 32, AP 1.000" in out


def test_a_training_that_does_not_begin_is_not_waited_for_for_ever(
    tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a run it says that it waits, and after its patience that none came."""
    with pytest.raises(TimeoutError, match=r"none: no training has begun here within 0\.0002 minutes.*patience="):
        follow(Run(tmp_path / "none"), small.dataset, every=0.001, patience=0.0002)
    assert capsys.readouterr().out.count("none: there is no training here yet; waiting for it.") == 1
    assert not (tmp_path / "none").exists()


def test_a_network_that_is_gone_for_a_while_is_waited_for(
    made_up: Run, small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What passes is told once and tried again; what does not, such as a missing right, ends it."""
    from tfod_helpers.training import following

    made_up.update_manifest(finished=True)
    errors: list[Exception] = [OSError("Google could not be reached."), OSError("Google could not be reached.")]
    reading = following.reading

    def failing(*given: Any) -> Any:
        if errors:
            raise errors.pop()
        return reading(*given)

    monkeypatch.setattr(following, "reading", failing)
    assert list(follow(made_up, small.dataset, patience=1.0).index) == [8, 16]
    assert capsys.readouterr().out.count("Google could not be reached. Looking again every 0 seconds.") == 1
    errors.append(PermissionError("you may not"))
    with pytest.raises(PermissionError, match="you may not"):
        follow(made_up, small.dataset)


def test_a_bucket_that_is_not_there_is_refused_at_once(bucket: str, small: Small) -> None:
    """A wrong address is not waited for."""
    from tfod_helpers import training

    with pytest.raises(FileNotFoundError, match=r"gs://photos-and-recrods/run: (there is no such bucket|not there)"):
        training.follow("gs://photos-and-recrods/run", small.dataset)
