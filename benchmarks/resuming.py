"""A training that is killed, or resumed elsewhere: what is lost, and whether the loss jumps.

    python benchmarks/resuming.py kills [--times 20] [--steps 1400] [--gs]
    python benchmarks/resuming.py moves [--steps 240]

`kills` trains the drawn sample in a process that is killed (SIGKILL) at random moments and started again until it is
done, and looks after each kill: every checkpoint and the manifest must be readable, and no more than one checkpoint
interval lost. Beside it an unbroken run of the same settings gives the AP to compare with. With ``--gs`` the run is
kept in a bucket of an emulator, and each start is on a machine that has never seen it.

`moves` stops a training half way and resumes it in batches of half and of double the size, on two devices and with two
processes, each from a copy of the same run: the mean loss of the steps before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from tfod_helpers import records, sources
from tfod_helpers.files import run_folder
from tfod_helpers.formats import voc

INTERVAL = 40  # steps from checkpoint to checkpoint
WINDOW = 4  # rows of the history, of 10 steps each, before and after the move
TRAIN = """
import os, sys
import tensorflow as tf
devices = int(sys.argv[3])
if devices > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
if "TF_CONFIG" in os.environ:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    names = [f"CPU:{number}" for number in range(devices)]
    strategy = tf.distribute.MirroredStrategy(names) if devices > 1 else tf.distribute.get_strategy()
from tfod_helpers import experiment, training
from tfod_helpers.training.steps import Steps
half = int(sys.argv[4])
run = Steps.run
def stopping(steps, count, limit):
    with open(sys.argv[5], "w") as file:
        file.write(str(steps.done))
    if half and steps.done >= half:
        raise KeyboardInterrupt
    return run(steps, count, limit)
Steps.run = stopping
try:
    training.train(experiment.load(sys.argv[1]), sys.argv[2], strategy=strategy)
except KeyboardInterrupt:
    pass
"""


def make_config(folder: Path, steps: int, batch: int | None = None) -> Path:
    """Write the sample's records, and a config that trains on them from scratch; return the config's path."""
    from tfod_helpers import experiment

    sample = sources.local("sample")
    train = records.write(voc.read(sample / "train"), folder / "records" / "train")
    validation = records.write(voc.read(sample / "test", label_map=train.label_map), folder / "records" / "validation")
    config = experiment.make(
        "mobilenet_v2_192", train=train, validation=validation, image_size=128, train_steps=steps, weights=None
    )
    if batch:
        config = experiment.change(config, {"task.train_data.global_batch_size": batch})
    quick = {"trainer.steps_per_loop": 10, "trainer.validation_interval": INTERVAL}
    quick["trainer.checkpoint_interval"] = INTERVAL
    return experiment.save(experiment.change(config, quick), folder / f"config-{batch}.yaml")


def start(config: Path, run: str, devices: int = 1, half: int = 0, **environment: str) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    command = [sys.executable, "-c", TRAIN, str(config), run, str(devices), str(half), str(config.with_name("at"))]
    kept = Path(tempfile.gettempdir()) / "resuming.log"
    with kept.open("ab") as log:
        return subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)


def check(run: run_folder.Run) -> int:
    """Read all that a run holds, as the next start would, and return the step of its newest checkpoint."""
    import tensorflow as tf

    manifest = run.read_manifest()
    newest = tf.train.latest_checkpoint(run.checkpoints)
    if newest is None:
        return 0
    for prefix in (newest, *(str(run.prefix_of(model)) for model in run.kept_models())):
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    assert run.kept_models() == manifest.get("models", []), "the manifest names a model that is not there"
    if run.history_path.exists():
        pd.read_csv(run.history_path)
    return int(tf.train.load_checkpoint(newest).get_tensor("optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE"))


def kill(times: int, steps: int, place: str | None, work: Path) -> None:
    """Kill and restart until it is done; print what was lost each time."""
    config = make_config(work, steps)
    unbroken, began = start(config, str(work / "unbroken")), time.monotonic()
    while not (work / "unbroken" / "history.csv").exists():
        time.sleep(0.1)
    longest = 1.5 * (time.monotonic() - began)  # until the first checkpoint, and a half more
    assert unbroken.wait() == 0
    home = f"{place}/killed" if place else str(work / "killed")
    draw, done, kills, lost, before = random.Random(0), False, 0, [], 0
    while not done:
        environment = {"XDG_CACHE_HOME": str(work / f"machine-{kills}")} if place else {}
        config.with_name("at").write_text("0")
        process = start(config, home, **environment)
        if kills < times:
            try:
                process.wait(draw.uniform(0.1, 1) * longest)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
        done = process.wait() == 0
        os.environ |= environment
        step = check(run_folder.find_run(home))
        assert step >= before, f"a checkpoint was lost: {step} after {before}"
        reached = max(before, int(config.with_name("at").read_text() or 0))
        lost.append(0 if done else reached - step)
        longest *= 0.8 if step - before > 2 * steps / times else 1.1 if step == before else 1
        before = step
        print(f"kill {kills}: at step {reached}, the newest checkpoint is of step {step}{', done' * done}", flush=True)
    print(f"{kills} kills, at most {max(lost)} steps lost; checkpoints are {INTERVAL} apart")
    for name, path in (("unbroken", str(work / "unbroken")), ("killed", home)):
        manifest = run_folder.find_run(path).read_manifest()
        low, high = manifest["best_intervals"]["ap"]
        print(f"{name}: AP {manifest['best']['ap']:.3f} ({low:.3f} to {high:.3f}), {manifest['step']} steps")


def move(steps: int, work: Path) -> None:
    """Stop half way, resume in several ways, and print how the loss went on."""
    configs = {batch: make_config(work, steps, batch) for batch in (16, 8, 32)}
    assert start(configs[16], str(work / "half"), half=steps // 2).wait() == 0
    before = pd.read_csv(work / "half" / "history.csv")
    ways = {"unchanged": (16, 1), "batch 8": (8, 1), "batch 32": (32, 1)}
    ways |= {"two devices": (16, 2), "two workers": (16, 1)}
    mean = before["loss"].tail(WINDOW).mean()
    print(f"the last {WINDOW} rows before: loss {mean:.4f}, step {before['step'].iloc[-1]}")
    for name, (batch, devices) in ways.items():
        run = work / name
        shutil.copytree(work / "half", run)
        processes = []
        for environment in tasks() if name == "two workers" else [{}]:
            until = round(0.85 * steps * 16 / batch)
            processes.append(start(configs[batch], str(run), devices, until, **environment))
        assert [process.wait() for process in processes] == [0] * len(processes), name
        frame = pd.read_csv(run / "history.csv")
        first = round(len(before[before["step"] <= steps // 2]))
        after = frame.iloc[first : first + WINDOW]
        at, planned = frame["step"].iloc[first - 1], frame["planned_steps"].iloc[-1]
        loss, rate = after["loss"].mean(), after["learning_rate"].iloc[0]
        text = f"loss {loss:.4f} ({loss / mean - 1:+.1%}), learning rate {rate:.2e}"
        print(f"{name:12} resumes at step {at:.0f} of {planned:.0f}: {text}", flush=True)


def tasks() -> list[dict[str, str]]:
    """Return TF_CONFIG for two processes on this machine."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(f"localhost:{free.getsockname()[1]}")
    spec = {"cluster": {"worker": ports}}
    return [{"TF_CONFIG": json.dumps(spec | {"task": {"type": "worker", "index": index}})} for index in range(2)]


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "moves"])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--gs", action="store_true")
    options = parser.parse_args()
    options.steps = options.steps or {"kills": 1400, "moves": 240}[options.what]
    with tempfile.TemporaryDirectory() as work:
        if options.what == "moves":
            move(options.steps, Path(work))
        elif options.gs:
            from gcp_storage_emulator.server import create_server

            server = create_server("localhost", 9024, in_memory=True, default_bucket="runs")
            server.start()
            os.environ["STORAGE_EMULATOR_HOST"] = "http://localhost:9024"
            kill(options.times, options.steps, "gs://runs", Path(work))
            server.stop()
        else:
            kill(options.times, options.steps, None, Path(work))


if __name__ == "__main__":
    main()
