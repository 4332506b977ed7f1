"""Several machines that train one model, as processes on 127.0.0.1, and the command that each of them runs."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from faults import Faults, be_patient, faults  # noqa: F401 - a fixture
from small_training import Small

from tfod_helpers.files import run_folder

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parents[1]
_READING = "Error executing an HTTP request: libcurl code 6 when reading gs://b/train-0"
_LOST_ONE = "/job:worker/replica:0/task:1: Connection reset"


class Cluster:
    """A chief and workers that run the command; what each says is in a file.

    Attributes:
        processes: of the machines, the chief first.
        addresses: theirs.
    """

    def __init__(self, config: Path, run: str, folder: Path, workers: int) -> None:
        """Start the machines."""
        places = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers + 1)]
        self.addresses = addresses = [f"127.0.0.1:{place.getsockname()[1]}" for place in places]
        for place in places:
            place.close()
        roles = {"chief": addresses[:1], "worker": addresses[1:]}
        tasks = [{"type": "chief", "index": 0}, *({"type": "worker", "index": one} for one in range(workers))]
        self._files = [folder / f"{number}.txt" for number in range(len(tasks))]
        self.processes = []
        for task, file in zip(tasks, self._files, strict=True):
            environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
            environment |= {"TF_CONFIG": json.dumps({"cluster": roles, "task": task})}
            command = [sys.executable, "-m", "tfod_helpers.training", str(config), run]
            with file.open("w") as said:
                self.processes.append(subprocess.Popen(command, env=environment, stdout=said, stderr=said))

    def wait(self, seconds: float = 500.0) -> list[int]:
        """Wait for the ends of all, and return their exit codes."""
        end = time.monotonic() + seconds
        return [process.wait(max(0.1, end - time.monotonic())) for process in self.processes]

    def said(self) -> list[str]:
        """What each machine has printed."""
        return [file.read_text() for file in self._files]

    def close(self) -> None:
        """End what is left."""
        for process in self.processes:
            process.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """What starts a cluster; its machines end with the test."""
    started: list[Cluster] = []

    def start(config: Path, run: str, workers: int) -> Cluster:
        folder = tmp_path / f"said-{len(started)}"
        folder.mkdir()
        started.append(Cluster(config, run, folder, workers))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_two_machines_resume_lose_one_and_finish(small: Small, interrupted: Path, cluster: Any, tmp_path: Path) -> None:
    """A run of one machine goes on with two; at SIGTERM to one both save the same step, and end to be started again.

    Started again they finish it, and only the first writes. It cannot share a training: it is about processes.
    """
    from tfod_helpers import experiment

    run = shutil.copytree(interrupted, tmp_path / "run")
    config = experiment.save(small.config, tmp_path / "config.yaml")
    first = cluster(config, str(run), 1)
    wait_for(lambda: "training: step" in first.said()[0] or any(one.poll() for one in first.processes), 400)
    first.processes[1].send_signal(signal.SIGTERM)
    codes = first.wait()
    manifest = run_folder.open_run(run).read_manifest()
    if codes != [0, 0]:  # it was not over already
        assert codes == [134, 134], "\n".join(first.said())
        assert f"Stopped at step {manifest['step']} of 48" in first.said()[0]
        second = cluster(config, str(run), 1)
        assert second.wait() == [0, 0], "\n".join(second.said())
        assert f"Resuming from step {manifest['step']} of 48" in second.said()[0]
        manifest = run_folder.open_run(run).read_manifest()
    assert "Resuming from step 20 of 48" in first.said()[0]
    assert f"; machine 1 of 2 ({first.addresses[0]}) keeps the run {run}" in first.said()[1]
    assert (manifest["step"], manifest["finished"]) == (48, True)
    assert [one["devices"] for one in manifest["machines"]][:2] == [1, 2]
    steps = pd.read_csv(run / "history.csv")["step"].tolist()
    assert steps == sorted(set(steps))
    assert steps[-1] == 48


def wait_for(happened: Any, seconds: float) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"nothing happened in {seconds} s"
        time.sleep(0.05)


# --- one process: what several decide ---------------------------------------------------------------------------------


class Talk:
    """Machines of this process that exchange what they say without TensorFlow: each in turn, to the end of a round."""

    def __init__(self, count: int, number: int, others: list[Any]) -> None:
        """Machine ``number`` of ``count``; ``others`` is what the others say, in order."""
        from tfod_helpers.training.machines import Machines

        strategy = SimpleNamespace(num_replicas_in_sync=count)
        self.machines: Any = Machines(strategy)  # type: ignore[arg-type]
        self.machines.count, self.machines.number, self.machines.writes = count, number, number == 0
        self.machines.addresses = [f"10.0.0.{one}:2222" for one in range(1, count + 1)]

        def gather(rows: np.ndarray) -> np.ndarray:
            lines = [json.dumps(one).encode() + b"\n" for one in others]
            parts = [np.frombuffer(line, np.uint8).astype(np.float32)[:, None] for line in lines]
            return np.concatenate([*parts[:number], rows, *parts[number:]])

        self.machines.gather = gather


def test_what_fails_on_one_machine_fails_on_all() -> None:
    """The machine that fails raises its own error, the others the same kind with its name, and none waits for it."""
    well, ill = (
        Talk(2, 0, [{"error": "FileNotFoundError", "says": "x: no records"}]).machines,
        Talk(2, 1, [{"value": 1}]),
    )
    with pytest.raises(FileNotFoundError, match=r"machine 2 of 2 \(10\.0\.0\.2:2222\): x: no records"):
        well.together(lambda: 1)

    def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ill.machines.together(fail)
    assert Talk(3, 1, [{"value": {"a": 1}}, {"value": None}]).machines.from_first(fail) == {"a": 1}
    odd = Talk(2, 0, [{"error": "NoSuchError", "says": "what"}]).machines
    with pytest.raises(RuntimeError, match="what"):
        odd.together(lambda: 1)


def test_machines_of_other_versions_or_settings_are_refused() -> None:
    """Both machines, what differs, and both values are named."""
    facts = {"tensorflow": "2.20.0", "the settings": "a"}
    other = Talk(2, 0, [{"value": facts | {"tensorflow": "2.19.1"}}]).machines
    with pytest.raises(
        ValueError, match=r"machine 1 of 2 .* machine 2 of 2 .* differ in tensorflow: 2\.20\.0 and 2\.19\.1"
    ):
        other.check_same(lambda: facts)
    Talk(2, 0, [{"value": facts}]).machines.check_same(lambda: facts)


@pytest.mark.parametrize(("batch", "fits"), [(8, "6 or 9"), (2, "3"), (4, "3 or 6")])
def test_a_batch_that_does_not_divide_is_refused_with_sizes_that_fit(small: Small, batch: int, fits: str) -> None:
    """The nearest sizes, smaller and larger, and how they are set; one that divides is taken."""
    from tfod_helpers import experiment

    machines = Talk(3, 0, []).machines
    config = experiment.change(small.config, {"task.train_data.global_batch_size": batch})
    with pytest.raises(ValueError, match=rf"A batch of {batch} .* 3 machines .* A batch of {fits} fits: batch_size="):
        machines.check_batch(config)
    machines.check_batch(experiment.change(small.config, {"task.train_data.global_batch_size": 6}))


@pytest.mark.parametrize(
    ("count", "kind", "reason", "who"),
    [
        (1, "Unavailable", "Socket closed", "The GPU was taken away"),
        (1, "Aborted", f"All 10 retry attempts failed. {_READING}", r"Cloud Storage does not answer \(Error executing"),
        (3, "FailedPrecondition", _READING, r"Cloud Storage does not answer \(Error executing"),
        (3, "PermissionDenied", _READING, r"The records may not be read any more \(Error executing"),
        (1, "NotFound", _READING, r"The records are gone \(Error executing"),
        (3, "Unavailable", _LOST_ONE, r"Machine 3 of 3 \(10\.0\.0\.3:2222\) was taken away, or is not heard any more"),
    ],
)
def test_a_loss_says_who_and_what_is_left(
    count: int, kind: str, reason: str, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost device, machine or bucket is a ConnectionError with its name and what is saved, and nothing of Colab.

    Records that are gone or closed do not pass.
    """
    import tensorflow as tf

    from tfod_helpers.training import resuming

    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    machines = Talk(count, 0, []).machines
    roles = {"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.2:2222", "10.0.0.3:2222"]}
    machines.strategy.cluster_resolver = SimpleNamespace(cluster_spec=lambda: SimpleNamespace(as_dict=lambda: roles))
    left = ["What was saved at step 8 is in runs/a. " + resuming.how_to_go_on(count)]
    error = getattr(tf.errors, f"{kind}Error")(None, None, reason)
    raised = {"PermissionDenied": PermissionError, "NotFound": FileNotFoundError}.get(kind, ConnectionError)
    with (
        pytest.raises(raised, match=who + r".*What was saved at step 8 is in runs/a\. Start the same") as one,
        machines.explained("GPU", left),
    ):
        raise error
    assert "Colab" not in str(one.value)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert "In Colab, choose Runtime > Reconnect" in resuming.how_to_go_on(1)


def test_photos_are_shared_out_and_put_together_in_order(small: Small) -> None:
    """Three machines look at all photos once, in one's batches; put together it is what one finds, bit by bit."""
    import supervision as sv

    from tfod_helpers.training import detecting

    random = np.random.default_rng(0)

    class Detector:
        def letterbox(self, pixels: np.ndarray) -> np.ndarray:
            return pixels

        def detect_letterboxed(self, photos: list[np.ndarray]) -> list[sv.Detections]:
            return [all_found[int(photo[0, 0, 0])] for photo in photos]

    count = 40
    images = [SimpleNamespace(pixels=lambda n=n: np.full((2, 2, 3), n, np.uint8)) for n in range(count)]
    dataset: Any = SimpleNamespace(label_map=small.dataset.label_map)
    names = np.array(small.dataset.label_map.names)
    all_found = []
    for n in range(count):
        ids = random.integers(1, 3, n % 4)
        boxes = random.uniform(0, 500, (n % 4, 4)).astype(np.float32)
        scores = random.uniform(0, 1, n % 4).astype(np.float32)
        all_found.append(sv.Detections(boxes, confidence=scores, class_id=ids, data={"class_name": names[ids - 1]}))

    class Set(list):  # type: ignore[type-arg]
        label_map = dataset.label_map

    said: dict[int, np.ndarray] = {}
    sets = []
    for number in range(3):
        machines: Any = SimpleNamespace(count=3, number=number)
        machines.gather = lambda rows, number=number: said.setdefault(number, rows)
        sets.append((detecting.PhotoSet(Detector(), Set(images), machines), machines))  # type: ignore[arg-type]
        sets[-1][0].detect()
    assert sorted(photo for one, _ in sets for photo in one.letterboxed) == list(range(count))
    assert sorted(sets[0][0].letterboxed) == list(range(16)), "whole batches"
    sets[0][1].gather = lambda rows: np.concatenate([said[number] for number in (2, 0, 1)])
    for one, other in zip(sets[0][0].detect(), all_found, strict=True):
        assert one == other


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The command, in this process."""
    module = importlib.import_module("tfod_helpers.training.__main__")
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    yield module
    signal.signal(signal.SIGTERM, before)


def test_the_command_says_how_it_ended(
    door: Any, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 where all is done, 134 where a machine is gone, 2 in a paragraph for the user's fault, 1 for a defect."""
    from tfod_helpers import experiment, training

    config, run = str(experiment.save(small.config, tmp_path / "config.yaml")), str(tmp_path / "run")
    assert door.main([str(tmp_path / "none.yaml"), run]) == 2
    assert capsys.readouterr().err == (
        f"\n{tmp_path}/none.yaml: there is no experiment config here. Check the path.\n"
        f"Exit code 2. Started again as it is, it would end the same way: mend this first.\n"
    )
    for wrong in (["--keep", "0"], ["--keep", "some"], ["--evaluator-waits", "-1"], ["--evaluator-waits", "nan"]):
        with pytest.raises(SystemExit) as caught:
            door.main([config, run, *wrong])
        assert caught.value.code == 2

    def ending(error: BaseException) -> int:
        def train(*args: Any, **named: Any) -> None:
            raise error

        monkeypatch.setattr(training, "train", train)
        return door.main([config, run])

    assert ending(ConnectionError("Machine 2 of 3 is gone")) == training.TAKEN_AWAY == 134
    assert "Machine 2 of 3 is gone\nExit code 134. This passes: start the same" in capsys.readouterr().err
    assert ending(SystemExit(128 + signal.SIGTERM)) == 134
    assert ending(FloatingPointError("The loss is nan")) == 2
    assert ending(PermissionError("no")) == 2
    capsys.readouterr()
    assert ending(KeyError("a defect")) == 1
    assert "Traceback" in capsys.readouterr().err
    assert ending(ValueError("from elsewhere")) == 1, "of this test's own lines, not of the package"


@pytest.mark.parametrize(
    ("always", "code", "says"),
    [
        ({"run.json": "503"}, 134, r"/a/run\.json: Cloud Storage did not do it \(Backend error\)"),
        ({"run.json": "cut"}, 134, r"/a/run\.json: Google could not be reached"),
        ({"config.yaml": "slow"}, 134, r"config\.yaml: Google could not be reached \(.*timed out"),
        ({"records": "429"}, 134, r"records.*too many requests"),
        ({"run.json": "403"}, 2, r"/a/run\.json: me@example\.com may not .*add-iam-policy-binding"),
        ({"label_map": "404"}, 2, r"there is no such bucket"),  # what is written first: it was not there to be read
    ],
)
def test_a_bucket_that_does_not_answer_passes_and_one_that_is_closed_does_not(
    door: Any,
    small: Small,
    faults: Faults,  # noqa: F811
    bucket: str,
    always: dict[str, str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With Google's client: what the network does is 134, what the user has to mend is 2, and nothing is trained."""
    from tfod_helpers import experiment
    from tfod_helpers.files import storage

    be_patient(monkeypatch, 0.2)
    folders = {Path(getattr(small, part).pattern).parent for part in ("train", "validation")}
    for folder in folders:
        storage.upload_folder(folder, f"{bucket}/records")
    places = {
        f"task.{part}_data.input_path": f"{bucket}/records/{Path(getattr(small, part).pattern).name}"
        for part in ("train", "validation")
    }
    config = experiment.save(experiment.change(small.config, places), f"{bucket}/config.yaml")
    faults.always = always
    assert door.main([str(config), f"{bucket}/runs/a"]) == code
    said = capsys.readouterr().err
    assert re.search(says, said), said
    assert f"Exit code {code}. " in said


def test_the_first_machine_waits_for_the_evaluator(
    door: Any, trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waits for the evaluation of the last model, no longer than is said, and says what came of it."""
    run = run_folder.open_run(shutil.copytree(trained.run.folder, tmp_path / "run"))
    door._wait(run, 0.001)
    assert "did not come within 0.001 minutes" in capsys.readouterr().out
    place = run.folder / "evaluations" / f"step-{run.find_model('last')['step']}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text("{}")
    door._wait(run, 1)
    assert f"{place} is there." in capsys.readouterr().out


def test_lines_are_shown_where_nobody_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log has whole lines, one at the start and the end, at each evaluation and every half minute: no bar."""
    from tfod_helpers.training import hooks

    lines: Any = hooks.progress(100, 0)
    assert isinstance(lines, hooks.Lines)
    row = {"loss": 0.5, "learning_rate": 0.01, "planned_steps": 100, "steps_per_second": 2.0}
    times = iter([0.0, 10.0, 20.0, 31.0, 32.0])
    monkeypatch.setattr(hooks.time, "monotonic", lambda: next(times))
    for more in ({"step": 10}, {"step": 20}, {"step": 40, "ap": 0.25, "ap50": 0.5}, {"step": 60}, {"step": 100}):
        lines.on_steps([row | more])
    assert capsys.readouterr().out.splitlines() == [
        "training: step 10 of 100, loss 0.5000, learning rate 1.0e-02, 2 steps a second, about 00:45 left",
        "training: step 40 of 100, loss 0.5000, learning rate 1.0e-02, 2 steps a second, about 00:30 left, AP 0.250, "
        "AP50 0.500",
        "training: step 100 of 100, loss 0.5000, learning rate 1.0e-02, 2 steps a second, about 00:00 left",
    ]


def test_a_program_that_trains_in_a_thread_says_that_it_is_taken_away() -> None:
    """Where signals do not arrive, the training is told; where none is under way, that is said."""
    from tfod_helpers.training import resuming

    assert not resuming.take_away()
    with resuming.stoppable(together=True) as stop:
        assert resuming.take_away()
        os.kill(os.getpid(), signal.SIGTERM)  # and a second one ends nothing half way
        with pytest.raises(SystemExit) as caught:
            stop.end()
        assert caught.value.code == 143
    with resuming.stoppable(together=True) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.end()
    with pytest.raises(SystemExit), resuming.stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
