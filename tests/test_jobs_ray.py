"""Trainings in Ray's hands: a machine that is lost, what a new group would not mend, and clusters that do not fit."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from small_training import Small, Trained

from tfod_helpers import jobs
from tfod_helpers.files.run_folder import Run
from tfod_helpers.jobs import ray_cluster, ray_train, ray_workers

SET = ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness", "TF_CONFIG", "TF_USE_LEGACY_KERAS")
NODES = [{"NodeID": name, "NodeManagerAddress": name} for name in ("10.0.0.1", "10.0.0.2")]


@pytest.fixture(scope="module")
def started() -> Iterator[ray_cluster.Share]:
    """A Ray of this process's own with room for three machines, which trainings here join."""
    with ray_cluster.joined("local", 3, 1, None) as share:
        yield share


def workers() -> list[psutil.Process]:
    """Ray's processes of this process's own that train."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def settings_of_ray() -> dict[str, str]:
    """What this process's environment tells Ray, and where Python looks."""
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_TRAIN_") or name in SET}


def kill_one(run: Run, after: int, number: int) -> None:
    """Kill one of the machines once the run has saved a step."""
    while not run.manifest_path.exists() or run.read_manifest().get("step", 0) < after:
        time.sleep(0.05)
    time.sleep(random.random())
    random.choice(workers()).send_signal(number)


# --- a machine that is lost -----------------------------------------------------------------------


@pytest.mark.tensorflow
def test_a_training_outlives_a_machine_that_is_killed(
    small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three processes of Ray's train; one is killed at random, three new ones go on, and nothing of Ray's stays.

    No other test starts these processes, so it takes as long as they take to begin, twice.
    """
    import ray

    from tfod_helpers import experiment

    config = experiment.change(small.config, {"task.train_data.global_batch_size": 6})
    run = Run(tmp_path / "run")
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), settings_of_ray()
    threading.Thread(target=kill_one, args=(run, 8, signal.SIGKILL), daemon=True).start()
    history = jobs.ray(config, run.folder, machines=3, restarts=1)
    assert history.frame["step"].iloc[-1] == config.trainer.train_steps
    manifest = run.read_manifest()
    assert [one["devices"] for one in manifest["machines"]] == [3, 3]
    assert manifest["machines"][1]["from_step"] >= 8  # a checkpoint each 8 steps, of which one was there
    # Four photos do not tell one AP from another, so the loss says that it learned: of an unbroken run it halves too.
    assert history.frame["loss"].iloc[-1] < 0.75 * history.frame["loss"].iloc[0]
    assert history.best["ap50"] > 0
    said = capsys.readouterr().out
    assert re.search(r"Machine [123] of 3 was lost \(its process ended\)\. Starting again \(1 of 1 times\)\.", said)
    assert f"Resuming from step {manifest['machines'][1]['from_step']} of" in said
    assert not ray.is_initialized()
    assert not workers()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), settings_of_ray()) == before


@pytest.mark.tensorflow
def test_what_the_user_has_to_mend_comes_out_as_it_is(
    small: Small, trained: Trained, started: ray_cluster.Share, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run folder of another training is refused in training's words, at once: nothing is started again."""
    from tfod_helpers import experiment

    other = experiment.change(small.config, {"trainer.optimizer_config.warmup.linear.warmup_steps": 7})
    before = trained.run.manifest_path.read_bytes()
    with pytest.raises(ValueError, match="warmup_steps"):
        jobs.ray(other, trained.run, machines=2, restarts=5)
    assert trained.run.manifest_path.read_bytes() == before
    assert "Starting again" not in capsys.readouterr().out


@pytest.mark.tensorflow
def test_a_finished_training_comes_back_and_its_evaluator_has_judged_it(
    small: Small, trained: Trained, started: ray_cluster.Share, tmp_path: Path
) -> None:
    """Nothing is trained again, and the call ends once the machine beside has judged the last model.

    Those are processes of their own, as with every training in Ray's hands.
    """
    run = Run(shutil.copytree(trained.run.folder, tmp_path / "run"))
    history = jobs.ray(small.config, run, machines=2, evaluator=small.validation)
    assert history.best == trained.history.best
    assert len(history.frame) == len(trained.history.frame)
    judged = {path.stem for path in run.folder.glob("evaluations/*.json")}
    assert f"step-{small.config.trainer.train_steps}" in judged


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError("machine 2 is gone"), ray_workers.LostError),
        (SystemExit(143), ray_workers.LostError),
        (KeyboardInterrupt(), ray_workers.FaultError),
        (ValueError("no such class"), ray_workers.FaultError),
        (FloatingPointError("the loss is NaN"), ray_workers.FaultError),
        (RuntimeError("numpy 2.4 breaks it"), ray_workers.FaultError),
    ],
)
@pytest.mark.tensorflow
def test_only_what_a_new_group_mends_starts_one(
    error: BaseException, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is gone is a loss; whatever training.train raises besides is kept, and final."""
    monkeypatch.setattr(ray_workers, "_SETTLE", 0.0)
    with pytest.raises(kind) as caught, ray_workers._told():
        raise error
    assert kind is ray_workers.LostError or caught.value.error is error


def test_a_loss_is_said_in_a_sentence() -> None:
    """The machine that died is named, before those that only noticed; a full memory is told from a kill."""
    killed = RuntimeError("Worker exit type: SYSTEM_ERROR")
    noticed = ray_workers.LostError(
        "Machine 2 of 3 (10.0.0.2:80) is gone (Graph execution error (1)). What is saved. Go on."
    )
    assert ray_train.reason({0: noticed, 1: killed}, 3) == "Machine 2 of 3 was lost (its process ended)."
    full = RuntimeError("Task was killed due to the node running low on memory: OutOfMemoryError")
    assert ray_train.reason({2: full}, 3) == "Machine 3 of 3 was lost (its memory was full)."
    assert ray_train.reason({0: noticed, 2: noticed}, 3) == "Machine 2 of 3 (10.0.0.2:80) is gone."


# --- what the machines say and hear ---------------------------------------------------------------


class Actor:
    """Words in this process, called as Ray's actors are."""

    def __init__(self) -> None:
        self.words = ray_workers.Words()

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self.words, name))


def test_what_a_machine_says_is_heard_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints and the progress bar arrive as they were written; somebody looks where somebody does."""
    # The place asks Ray in a thread whether to stop, and the real one would start a Ray for that. Left behind, it ends
    # this process a minute after its own were ended.
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    actor = Actor()
    for looked_at in (True, False):
        place = ray_workers.Place("", actor, looked_at)
        with place.heard():
            print("Waiting.", flush=True)
            print("\r 50 %", end="", file=sys.stderr)
            assert sys.stderr.isatty() is looked_at
        said = actor.words.take()
        assert "".join(text for stream, text in said if stream == "stdout") == "Waiting.\n"
        assert [text for stream, text in said if stream == "stderr" and text] == ["\r 50 %"]
        assert actor.words.take() == []


def test_a_machine_that_is_taken_away_tells_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM is the training's where one is under way, and else what it was before; TensorFlow does not swallow it."""
    told: list[int] = []
    before: list[int] = []
    under_way = [True, False]
    training = SimpleNamespace(take_away=lambda number: told.append(number) or under_way[len(told) - 1])
    monkeypatch.setitem(sys.modules, "tfod_helpers.training.resuming", training)
    own = signal.signal(signal.SIGTERM, lambda number, frame: before.append(number))
    try:
        ray_workers.heed_sigterm()
        system = ctypes.CDLL(None)
        system.signal.argtypes, system.signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
        system.signal(signal.SIGTERM, int(signal.SIG_IGN))  # as TensorFlow's C++ takes it, behind Python's back
        os.kill(os.getpid(), signal.SIGTERM)
        assert told == []
        thread = threading.Thread(target=ray_workers._take_sigterm_back)
        thread.start()
        thread.join()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (told, before) == ([signal.SIGTERM], [])
        os.kill(os.getpid(), signal.SIGTERM)
        assert (len(told), before) == (2, [signal.SIGTERM])
    finally:
        signal.signal(signal.SIGTERM, own)


def test_the_notebook_can_stop_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that begins after the wish to stop hears of it, as of an interrupt; one that has ended does not."""
    told: list[int] = []
    training = SimpleNamespace(take_away=lambda number: told.append(number) or len(told) == 3)
    monkeypatch.setitem(sys.modules, "tfod_helpers.training.resuming", training)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda value: value))
    monkeypatch.setattr(ray_workers, "_LISTEN", 0.0)
    actor = Actor()
    actor.words.stop()
    ray_workers.Place("", actor, False)._listen()
    assert told == [signal.SIGINT] * 3  # until there was a training that took it


# --- clusters that do not fit ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"machines": 0}, "machines must be 1 or more, got 0"),
        ({"restarts": -1}, "restarts must be 0 or more, got -1"),
        ({"cpus": 0}, "cpus must be more than 0, got 0"),
        ({"gpus": -1}, "gpus must be 0 or more, or None, got -1"),
    ],
)
def test_arguments_are_checked_first(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    """An argument that cannot be is refused before Ray is started, or a folder made."""
    config: Any = None  # which nobody looks at
    with pytest.raises(ValueError, match=re.escape(said)):
        jobs.ray(config, tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the extra is missing, the error names it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    config: Any = None
    with pytest.raises(ImportError, match=r"pip install 'tfod_helpers\[ray\]'"):
        jobs.ray(config, tmp_path / "run")


def test_a_share_that_the_cluster_lacks_is_said(started: ray_cluster.Share) -> None:
    """More than there is is waited for as long as was said, and the error holds what is asked and what there is."""
    started.wait(30)  # what it was started for, it has
    with pytest.raises(TimeoutError) as caught:
        dataclasses.replace(started, machines=99, gpus=1).wait(0.1)
    assert "99 machines are asked for, each with 1 CPU and 1 GPU, and the cluster has" in str(caught.value)
    assert "and no GPU on 1 node" in str(caught.value)


def test_a_wish_for_gpus_on_a_machine_without_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray of its own will never have more GPUs than the machine, so nobody waits for them; it is ended."""
    import ray

    asked: dict[str, Any] = {}
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda address, **settings: asked.update(settings, address=address))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True}])
    monkeypatch.setattr(ray, "shutdown", lambda: asked.update(ended=True))
    with (
        pytest.raises(
            ValueError, match="3 machines are asked for, each with 1 CPU and 1 GPU, and the cluster has 2 CPU"
        ),
        ray_cluster.joined(None, 3, 1, 1),
    ):
        pass
    assert asked["ended"]
    assert (asked["address"], asked["include_dashboard"], asked["_node_ip_address"]) == ("local", False, "127.0.0.1")


def test_an_address_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong address is said within seconds, with what to do; nothing is started instead."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    said = r"There is no Ray cluster at '127\.0\.0\.1:1' .*refused.*leave the address out"
    with pytest.raises(ConnectionError, match=said), ray_cluster.joined("127.0.0.1:1", 1, 1, None):
        pass


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> ray_cluster.Share:
    """A cluster of two nodes, whose answers the tests choose by replacing `_ask`."""
    monkeypatch.setattr(ray_cluster, "_nodes", lambda: NODES)
    return ray_cluster.Share(2, 1, 0)


def test_nodes_that_do_not_share_the_run_folder_are_named(
    two_nodes: ray_cluster.Share, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run folder on this machine's own disk is refused where there are several; on a shared one it is taken."""
    look = ray_cluster._look(str(tmp_path / "nothing"))
    asked: list[Any] = []

    def ask(nodes: list[dict[str, Any]], seen: Any) -> list[Any]:
        asked.append(seen())
        return [("10.0.0.1", *seen()), ("10.0.0.2", *blind())]

    blind = look
    monkeypatch.setattr(ray_cluster, "_ask", ask)
    with pytest.raises(ValueError, match=r"the node 10\.0\.0\.2 does not have this folder, and all 2 nodes"):
        two_nodes.check_nodes(str(tmp_path / "run"))
    assert asked[0][1], "the node that has the folder did not see the file in it"
    assert list((tmp_path / "run").iterdir()) == []  # the file is gone again
    blind = ray_cluster._look("")
    two_nodes.check_nodes(str(tmp_path / "run"))
    two_nodes.check_nodes("gs://bucket/run")


def test_nodes_of_other_versions_are_named(
    two_nodes: ray_cluster.Share, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A node with another TensorFlow, or without this package, is refused before it trains."""
    versions, _ = ray_cluster._look("")()
    assert versions["tfod_helpers"]
    for package, found in (("tensorflow", "2.19.0"), ("tfod_helpers", None)):
        other = versions | {package: found}
        monkeypatch.setattr(ray_cluster, "_ask", lambda nodes, look, other=other: [("10.0.0.2", other, True)])
        said = f"The node 10.0.0.2 has {package} {found or 'missing'} (here {versions[package]})"
        with pytest.raises(ValueError, match=re.escape(said)):
            two_nodes.check_nodes(str(tmp_path / "run"))
