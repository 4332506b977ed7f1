"""Devices: the best there is, or the one that is wanted, or a sentence about why not; and nothing hangs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tfod_helpers import installing

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parents[1]


@pytest.fixture(name="runtime")
def room(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which loads TensorFlow, on a machine without TPU and GPU, whatever this one has."""
    import tensorflow as tf

    from tfod_helpers import runtime
    from tfod_helpers.runtime import gpu, tpu

    for name in ("TF_CONFIG", "TPU_NAME", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    monkeypatch.setattr(installing, "tpu_devices", list)
    monkeypatch.setattr(tpu, "_strategies", {})
    monkeypatch.setattr(gpu, "_DEVICE_FILE", "/nowhere")
    monkeypatch.setattr(gpu, "_TOOL", "no-such-tool")
    return runtime


@pytest.fixture
def tpu(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module of TPUs, on a machine with the device file of one."""
    from tfod_helpers.runtime import tpu

    chip = tmp_path / "accel0"
    chip.touch()
    monkeypatch.setattr(installing, "tpu_devices", lambda: [str(chip)])
    return tpu


@pytest.fixture
def gpus(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs that TensorFlow lists, and that are not there."""
    import tensorflow as tf

    listed = [tf.config.PhysicalDevice(f"/physical_device:GPU:{number}", "GPU") for number in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: listed if kind == "GPU" else [])


def versions_are(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Let packages have other versions than are installed, or none; an underscore stands for a hyphen."""
    real, changed = metadata.version, {name.replace("_", "-"): version for name, version in versions.items()}

    def version(name: str) -> str:
        if name not in changed:
            return real(name)
        if changed[name] is None:
            raise metadata.PackageNotFoundError(name)
        return str(changed[name])

    monkeypatch.setattr(metadata, "version", version)


# --- what there is --------------------------------------------------------------------------------


def test_a_cpu_is_said_to_be_one(runtime: ModuleType) -> None:
    """With no TPU and no GPU the CPU is taken; one sentence says what is missing and which menu changes it."""
    connection = runtime.connect()
    assert (connection.kind, connection.devices, connection.precision) == ("CPU", 1, "float32")
    assert connection.strategy.num_replicas_in_sync == 1
    assert "no TPU and no GPU" in str(connection)
    assert "Change runtime type" in str(connection)
    assert "\n" not in str(connection)


@pytest.mark.parametrize(("kind", "menu"), [("TPU", "v5e-1 TPU"), ("GPU", "T4 GPU")])
def test_what_is_wanted_and_missing_is_an_error(runtime: ModuleType, kind: str, menu: str) -> None:
    """It says what was looked for, and the menu that has it; the CPU, which is there, is taken where it is wanted."""
    with pytest.raises(RuntimeError, match=rf"A {kind} is wanted, and there is no {kind}: no .*/dev/.*type > {menu}\."):
        runtime.connect(want=kind)
    assert runtime.connect(want="CPU").kind == "CPU"
    with pytest.raises(ValueError, match="want must be 'TPU', 'GPU', 'CPU' or None, got 'tpu'"):
        runtime.connect(want="tpu")


def test_a_cpu_that_cannot_compute_is_no_answer(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrices are really multiplied: one wrong number of the product is found."""
    import tensorflow as tf

    multiply = tf.linalg.matmul
    monkeypatch.setattr(tf.linalg, "matmul", lambda one, other: multiply(one, other) + tf.eye(128)[::-1])
    with pytest.raises(RuntimeError, match=r"128 of 16384 numbers of a product .* are wrong\)\. Restart"):
        runtime.connect()


# --- TPUs -----------------------------------------------------------------------------------------


def test_a_tpu_that_cannot_be_used_is_not_passed_over_in_silence(runtime: ModuleType, tpu: ModuleType) -> None:
    """With a chip and plain tensorflow the CPU is taken; TensorFlow's own reason and what to install are reported."""
    said = str(runtime.connect())
    assert said.startswith("CPU x 1")
    assert "a TPU is there but this TensorFlow cannot use it (" in said
    assert "run pip uninstall -y tensorflow && pip install --no-deps --force-reinstall tensorflow-tpu==2.20" in said
    assert ", then restart; no GPU" in said  # an "and" would read as a part of the command
    with pytest.raises(RuntimeError, match=r"A TPU is wanted, and a TPU is there but .* without TPUs"):
        runtime.connect(want="TPU")


def test_a_tpus_tensorflow_that_was_overwritten_is_reported(
    runtime: ModuleType, tpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both packages are installed, the plain one has replaced the files of the other."""
    versions_are(monkeypatch, tensorflow_tpu="2.20.0", libtpu="0.0.21")
    with pytest.raises(RuntimeError, match=r"plain tensorflow .* has overwritten tensorflow-tpu"):
        runtime.connect(want="TPU")


def test_a_libtpu_that_would_end_the_process_is_not_loaded(
    runtime: ModuleType, tpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer libtpu than the one that works is refused before the chip is touched; an older one is tried."""
    monkeypatch.setattr(tpu, "_start", lambda resolver, name: pytest.fail("it was loaded"))
    versions_are(monkeypatch, tensorflow_tpu="2.20.0", tensorflow=None, libtpu="0.0.51")
    with pytest.raises(RuntimeError, match=r"libtpu 0\.0\.51 is installed, .* run pip install libtpu==0\.0\.21"):
        runtime.connect(want="TPU")
    versions_are(monkeypatch, tensorflow_tpu="2.20.0", tensorflow=None, libtpu="0.0.17")
    with pytest.raises(pytest.fail.Exception, match="it was loaded"):
        runtime.connect(want="TPU")


def test_who_holds_the_tpu_is_reported(runtime: ModuleType, tpu: ModuleType, tmp_path: Path) -> None:
    """Another process that has the chip open is named with its number."""
    code = f"file = open({str(tmp_path / 'accel0')!r}); print(flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        with pytest.raises(RuntimeError, match=rf"process {holder.pid} holds it: end that session"):
            runtime.connect(want="TPU")
    finally:
        holder.communicate(b"\n")


def test_a_tpu_is_started_once_and_has_to_compute(
    runtime: ModuleType, tpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What started and computes elsewhere is no TPU; a second connection takes the first's strategy, as it is."""
    import tensorflow as tf

    starts: list[str] = []
    monkeypatch.setattr(tpu, "_start", lambda resolver, name: starts.append(name) or tf.distribute.get_strategy())
    assert re.search(r"a TPU is there but it cannot compute \(TensorFlow computed on .*CPU:0", str(runtime.connect()))
    monkeypatch.setattr(tpu, "fault_of", lambda strategy, kind: "")
    first, second = runtime.connect(), runtime.connect()
    assert starts == ["local"] * 2
    assert second.strategy is first.strategy
    assert (first.kind, first.devices) == ("TPU", 1)
    assert "the TPU of this machine, 1 chip." in str(first)


def test_a_tpu_that_never_starts_is_given_up(
    runtime: ModuleType, tpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time that a TPU takes, the error says so and what to do, instead of waiting for ever."""
    never = threading.Event()
    monkeypatch.setattr(tpu, "_start", lambda resolver, name: never.wait())
    monkeypatch.setattr(tpu, "_STARTS", 0.2)
    with pytest.raises(RuntimeError, match=r"'local' was found and did not start \(not within .*Restart the session"):
        runtime.connect()
    never.set()


def test_a_named_tpu_that_nobody_answers_for_is_an_error(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a TPU does not mean a CPU; the name in TPU_NAME is a wish, and the sentence says what became of it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"grpc://127.0.0.1:{free.getsockname()[1]}"  # bound and not listening: refused at once
        with pytest.raises(RuntimeError, match=r"cannot be reached \(nothing answers at 127\.0\.0\.1:\d+: .*leave"):
            runtime.connect(tpu=address)
        monkeypatch.setenv("TPU_NAME", address)
        connection = runtime.connect()
    assert connection.kind == "CPU"
    assert f"the TPU '{address}' cannot be reached" in str(connection)


def test_a_name_that_google_does_not_know_is_reported(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up where Google Cloud keeps them; on a machine that is not there, this fails in time."""
    monkeypatch.setenv("GCE_METADATA_HOST", "localhost:1")
    with pytest.raises(RuntimeError, match=r"The TPU 'my-tpu' cannot be reached \(.*check its name"):
        runtime.connect(tpu="my-tpu")


# --- GPUs -----------------------------------------------------------------------------------------


def test_gpus_that_cannot_compute_are_reported_and_the_next_taken(runtime: ModuleType, gpus: None) -> None:
    """TensorFlow lists two that it cannot compute on: the CPU is taken, and both are named with TensorFlow's reason."""
    said = str(runtime.connect())
    assert said.startswith("CPU x 1")
    assert "GPU:0 cannot compute (" in said
    assert "GPU:1 cannot compute (" in said
    assert "cpu" in runtime.connect().strategy.extended.worker_devices[0].lower()  # and not the broken one
    with pytest.raises(RuntimeError, match=r"A GPU is wanted, and GPU:0 cannot compute"):
        runtime.connect(want="GPU")


@pytest.mark.parametrize("broken", [None, "GPU:0"])
def test_the_gpus_that_compute_are_taken(
    runtime: ModuleType, gpus: None, broken: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two together where both compute; where one does not, the other alone, and the broken one is named."""
    import tensorflow as tf

    from tfod_helpers.runtime import computing, connecting

    def fault_of(strategy: tf.distribute.Strategy, kind: str) -> str:
        return "it is too hot" if strategy.extended.worker_devices[0].endswith(broken or "none") else ""

    monkeypatch.setattr(computing, "fault_of", fault_of)
    details = {"device_name": "Tesla T4", "compute_capability": (7, 5)}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: pytest.fail(f"both: {names}"))
    if broken is None:
        with pytest.raises(pytest.fail.Exception, match=r"both: \['/GPU:0', '/GPU:1'\]"):
            runtime.connect()
        return
    connection = runtime.connect()
    assert "gpu:1" in connection.strategy.extended.worker_devices[0].lower()
    assert str(connection).startswith("GPU x 1, computing in float16: Tesla T4; GPU:0 cannot compute (it is too hot)")
    assert connecting.best_precision(connection.strategy) == connection.precision


def test_a_gpu_without_its_libraries_is_reported(
    runtime: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Driver there, TensorFlow finds none: what to install; or what hides it, where somebody did."""
    from tfod_helpers.runtime import gpu

    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(gpu, "_DEVICE_FILE", str(tmp_path / "nvidia0"))
    with pytest.raises(RuntimeError, match=r"a GPU and its driver are there, but .*pip install 'tensorflow\[and-cuda"):
        runtime.connect(want="GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(RuntimeError, match=r"hidden by the environment variable CUDA_VISIBLE_DEVICES='-1': remove it"):
        runtime.connect(want="GPU")


# --- several machines -----------------------------------------------------------------------------


def config_of(ports: list[int], index: int = 0, **cluster: Any) -> str:
    """A TF_CONFIG of workers at ports of this machine."""
    workers = {"worker": [f"127.0.0.1:{port}" for port in ports]} | cluster
    return json.dumps({"cluster": workers, "task": {"type": "worker", "index": index}})


def free_ports(count: int) -> Iterator[int]:
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    for one in sockets:
        yield one.getsockname()[1]
        one.close()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("worker", r"says worker: this is not JSON \(Expecting value"),
        ("[]", "there is no 'cluster' that names the machines"),
        ('{"task": {"type": "worker", "index": 0}}', "there is no 'cluster'"),
        ('{"cluster": {"worker": ["a:1"]}}', "the task is number None of '', and the cluster has 1 of 'worker'"),
        (config_of([1, 2], 2), "number 2 of 'worker', and the cluster has 2 of 'worker', counted from 0"),
        (config_of([1, 2], -1), "the task is number -1"),
        (config_of([1], worker=["a:1", "b"]), r"'worker' should list addresses with a port, and is \['a:1', 'b'\]"),
        (config_of([1], worker="a:1"), "'worker' should list addresses with a port, and is 'a:1'"),
        (config_of([1], chief=["a:1", "b:1"]), "there are 2 of 'chief', and there can be one"),
        (config_of([1], ps=["a:1"]), "'ps' has no use here, all machines train alike"),
        (config_of([1], master=["a:1"]), "'master' has no use here"),
        ('{"cluster": {"evaluator": ["a:1"]}, "task": {"type": "evaluator"}}', "there is no machine that trains"),
    ],
)
def test_a_wrong_tf_config_is_quoted_beside_a_right_one(
    runtime: ModuleType, text: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what stands there, what is wrong with it, what it should look like, and how to do without."""
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=what) as caught:
        runtime.connect()
    assert 'It should look like {"cluster": {"worker": ["10.0.0.1:2222"' in str(caught.value)
    assert "del os.environ['TF_CONFIG']" in str(caught.value)


def test_a_port_in_use_is_reported_at_once(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else listens at this machine's port: TensorFlow would wait there until it is killed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("TF_CONFIG", config_of([port, 1]))
        with pytest.raises(RuntimeError, match=rf"the port {port}, which another program uses .*choose another"):
            runtime.connect()


def test_one_machine_alone_needs_no_others(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vertex AI sets TF_CONFIG for a single machine too: it takes its own runtime."""
    alone = {"cluster": {"chief": ["10.0.0.1:2222"]}, "task": {"type": "chief", "index": 0}, "environment": "cloud"}
    monkeypatch.setenv("TF_CONFIG", json.dumps(alone))
    assert runtime.connect().why.startswith(f"{os.cpu_count()} core")


def test_an_evaluator_is_none_of_the_machines_that_train(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside two machines it takes its own runtime, whether it is listed among them or not."""
    from tfod_helpers.runtime import cluster

    for listed in ({}, {"evaluator": ["127.0.0.1:3"]}):
        text = config_of([1, 2], 0, **listed).replace('"type": "worker"', '"type": "evaluator"')
        monkeypatch.setenv("TF_CONFIG", text)
        assert cluster.read() == cluster.Cluster(("127.0.0.1:1", "127.0.0.1:2"), -1, "evaluator")
        assert runtime.connect().devices == 1


def test_machines_that_do_not_come_are_named(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that there is, the error names who does not answer, and says what to do."""
    from tfod_helpers.runtime import cluster

    ports = list(free_ports(2))
    monkeypatch.setenv("TF_CONFIG", config_of(ports))
    monkeypatch.setattr(cluster, "_PATIENCE", 0.1)
    monkeypatch.setattr(cluster, "_join", lambda: time.sleep(5))
    with pytest.raises(ConnectionError, match=rf"nobody answers at 127\.0\.0\.1:{ports[1]}\. Start the same program"):
        runtime.connect()


def test_no_import_starts_tensorflow() -> None:
    """Machines are joined before TensorFlow starts, so no module of this package computes while it is imported."""
    code = """
import importlib, pkgutil, sys
import tfod_helpers
for found in pkgutil.walk_packages(tfod_helpers.__path__, "tfod_helpers."):
    if "beam" not in found.name and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
from tensorflow.python.eager import context
assert "tfod_helpers.network.inputs.canvas" in sys.modules
print(context.context()._context_handle, context.context()._initialized)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["None", "False"], done.stdout + done.stderr[-2000:]


def test_tensorflow_that_has_computed_cannot_join_others(
    runtime: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has to be the first thing that a session does; the error says so. A TPU is not what machines join by."""
    import tensorflow as tf

    assert tf.ones([]).numpy() == 1
    monkeypatch.setenv("TF_CONFIG", config_of(list(free_ports(2))))
    with pytest.raises(RuntimeError, match=r"Restart, and call runtime\.connect\(\) first"):
        runtime.connect()
    assert "Waiting for 127.0.0.1:" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match=r"A TPU is wanted, and this is one of 2 machines of TF_CONFIG"):
        runtime.connect(want="TPU")


def test_two_machines_find_each_other(tmp_path: Path) -> None:
    """Two processes with a TF_CONFIG each become one strategy with a replica in each; both have added up the ones."""
    code = "from tfod_helpers import training, experiment, runtime; print(runtime.connect())"  # after other modules
    ports = list(free_ports(2))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment | {"TF_CONFIG": config_of(ports, index)},
            stdout=subprocess.PIPE,
            stderr=(tmp_path / f"{index}.txt").open("w"),
            text=True,
        )
        for index in range(2)
    ]
    try:
        said = [process.communicate(timeout=200)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    for index, text in enumerate(said):
        assert f"CPU x 2, computing in float32: machine {index + 1} of 2 (worker), all of them connected" in text, (
            tmp_path / f"{index}.txt"
        ).read_text()[-2000:]


# --- versions -------------------------------------------------------------------------------------


def test_versions_that_cannot_work_are_refused(runtime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old or new numpy or Python is refused before any time is spent, numpy with the command that fixes it."""
    runtime.check_versions()
    versions_are(monkeypatch, numpy="2.4.0")
    with pytest.raises(RuntimeError, match=r"pip install 'numpy<2\.4'"):
        runtime.check_versions()
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(RuntimeError, match=r"Python 3\.11 or 3\.12 is needed"):
        runtime.connect()


def test_waiting_ends_and_hands_errors_on() -> None:
    """What comes in time is returned, what it raises is raised, and what does not come is a TimeoutError."""
    from tfod_helpers.runtime.computing import bounded

    assert bounded(lambda: 3, 5, "late") == 3
    with pytest.raises(KeyError, match="gone"):
        bounded(lambda: {}["gone"], 5, "late")
    never = threading.Event()
    with pytest.raises(TimeoutError, match="late"):
        bounded(never.wait, 0.1, "late")
    never.set()
