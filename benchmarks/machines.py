"""Several machines as processes of this one: the losses beside those of one process, and what a fault costs.

    python benchmarks/machines.py equal [--workers 2] [--steps 40] [--learning-rate 0.001]
    python benchmarks/machines.py faults [--workers 2] [--times 20] [--seed 0]

`equal` trains on the drawn sample from an earlier run's weights with one process and with a chief and workers, with the
same batches: how far the losses of each step are apart, the times, and how long a sum over all machines takes. The
rival is one process with each weight moved to the next float32: what rounding alone becomes. At a learning rate of
0.001 it stays within 1e-5 for 40 steps; at 0.003 it grows ten thousandfold, for the rival too. With SGD, since Adam's
first steps go by the sign of each gradient alone.

`faults` sends SIGTERM, SIGKILL or SIGSTOP to one of the machines at a random moment, until each has ended, and starts
all again, as an engine does: how long the others took to end, with which exit code and words, and how many seconds of
training were lost: those since the last save, where none came after the fault.
"""

from __future__ import annotations

import argparse
import json
import os
import random
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

INTERVAL = 20  # steps from checkpoint to checkpoint
TRAIN = """
import os, sys
import numpy as np
from tfod_helpers.training import __main__, loop
freeze = loop.freeze
def freeze_and_round(network, stride, *, norms=False):
    freeze(network, stride, norms=norms)
    for weight in network.trainable_weights if "ROUNDED" in os.environ else ():
        weight.assign(np.nextafter(weight.numpy(), np.float32(np.inf)))
loop.freeze = freeze_and_round
code = __main__.main(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
"""
SUMS = """
import time
from tfod_helpers import runtime
from tfod_helpers.training.machines import Machines
machines = Machines(runtime.connect().strategy)
machines.total([1, 2])
began = time.perf_counter()
for _ in range(100):
    machines.total([1, 2])
if machines.writes:
    print(f"a sum over all machines: {(time.perf_counter() - began) * 10:.1f} ms")
"""


def make_config(folder: Path, steps: int, *, weights: str | None = None, learning_rate: float = 0.003) -> Path:
    """Write the sample's records, and a config that trains on them; return the config's path."""
    from tfod_helpers import experiment

    sample = sources.local("sample")
    train = records.write(voc.read(sample / "train"), folder / "records" / "train")
    validation = records.write(voc.read(sample / "test", label_map=train.label_map), folder / "records" / "validation")
    config = experiment.make(
        "mobilenet_v2_192", train=train, validation=validation, image_size=64, batch_size=6, train_steps=steps,
        learning_rate=learning_rate, weights=weights,
    )  # fmt: skip
    quick = {"trainer.validation_interval": INTERVAL, "trainer.steps_per_loop": 1}
    quick["task.model.backbone.mobilenet.model_id"] = "MobileNetV1"  # half the layers to trace
    quick["trainer.optimizer_config.optimizer.type"] = "sgd"
    return experiment.save(experiment.change(config, quick), folder / "config.yaml")


def begin(
    workers: int, command: list[str], said: Path, settings: dict[str, str] | None = None
) -> list[subprocess.Popen[bytes]]:
    """Start a program on the machines, or alone without workers; what each prints is in a file."""
    places = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers + 1)]
    addresses = [f"127.0.0.1:{place.getsockname()[1]}" for place in places]
    for place in places:
        place.close()
    roles = {"chief": addresses[:1], "worker": addresses[1:]}
    tasks = [{"type": "chief", "index": 0}, *({"type": "worker", "index": one} for one in range(workers))]
    processes = []
    for number, task in enumerate(tasks):
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"} | (settings or {})
        if workers:
            environment["TF_CONFIG"] = json.dumps({"cluster": roles, "task": task})
        with (said / f"{number}.txt").open("a") as file:
            program = [sys.executable, *command]
            processes.append(subprocess.Popen(program, env=environment, stdout=file, stderr=file))
    return processes


def train(folder: Path, run: Path, workers: int) -> list[subprocess.Popen[bytes]]:
    """Start a training on the machines."""
    said = folder / f"{run.name}-said"
    said.mkdir(exist_ok=True)
    command = ["-m", "tfod_helpers.training", str(folder / "config.yaml"), str(run)]
    return begin(workers, command, said)


def equal(workers: int, steps: int, learning_rate: float) -> None:
    """Print how far the losses of several machines are from those of one process, and what rounding alone makes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_config(folder, 10 * steps, learning_rate=0.03)
        start = folder / "start"
        begin(0, ["-m", "tfod_helpers.training", str(folder / "config.yaml"), str(start)], folder)[0].wait()
        make_config(folder, steps, weights=str(start), learning_rate=learning_rate)
        alone, rounded, several = (losses_of(folder, *how) for how in ((0,), (0, "ROUNDED"), (workers,)))
        print(f"{len(alone)} losses, {alone.iloc[0]:.3f} to {alone.iloc[-1]:.3f}; apart from those of one process:")
        for what, losses in {"the same, rounded otherwise": rounded, f"{workers + 1} machines": several}.items():
            apart = (losses - alone).abs()
            print(f"{what}: at most {apart.max():.1e}, at first {apart.iloc[0]:.1e}", flush=True)
        for process in begin(workers, ["-c", SUMS], folder):
            process.wait()
        print((folder / "0.txt").read_text().strip().splitlines()[-1])


def losses_of(folder: Path, workers: int, *changes: str) -> pd.Series:
    """Train, with what `TRAIN` changes, and return the losses by their step."""
    run, start = folder / "-".join(["run", str(workers), *changes]), time.monotonic()
    command = ["-c", TRAIN, str(folder / "config.yaml"), str(run)]
    codes = [one.wait() for one in begin(workers, command, folder, dict.fromkeys(changes, "1"))]
    spent = run_folder.open_run(run).read_manifest()["seconds"]
    print(f"{workers + 1} machines: {time.monotonic() - start:.0f} s, exit codes {codes}, {spent}", flush=True)
    return pd.read_csv(run / "history.csv").set_index("step")["loss"]


def faults(workers: int, times: int, seed: int) -> None:
    """Print what each of some random faults costs."""
    choose = random.Random(seed)
    kinds = [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_config(folder, 100_000)
        run = run_folder.Run(folder / "run")
        for number in range(times):
            kind, which = kinds[number % len(kinds)], choose.randrange(workers + 1)
            machines = train(folder, run.folder, workers)
            before = step_of(run)
            while step_of(run) < before + INTERVAL and all(one.poll() is None for one in machines):
                time.sleep(0.2)
            time.sleep(choose.uniform(0, 10))
            saved, since, start = step_of(run), time.time() - run.manifest_path.stat().st_mtime, time.monotonic()
            machines[which].send_signal(kind)
            others = [one for one in machines if one is not machines[which] or kind != signal.SIGSTOP]
            codes = [one.wait() for one in others]
            seconds = time.monotonic() - start
            machines[which].kill()
            lost = since if step_of(run) == saved else 0.0
            print(
                f"{kind.name} to machine {which + 1}: the others ended after {seconds:.1f} s with {codes}, saved at "
                f"step {step_of(run)}, {lost:.0f} s of training lost\n  {last_words(folder, which == 0)}",
                flush=True,
            )


def step_of(run: run_folder.Run) -> int:
    """The step of a run's last checkpoint."""
    return int(run.read_manifest().get("step", 0))


def last_words(folder: Path, of_second: bool) -> str:
    """What a machine that was spared has said last, before its exit code."""
    said = (folder / "run-said" / f"{int(of_second)}.txt").read_text().strip().splitlines()
    return said[-2] if said[-1].startswith("Exit code") else said[-1]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["equal", "faults"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.what == "equal":
        equal(given.workers, given.steps, given.learning_rate)
    else:
        faults(given.workers, given.times, given.seed)


if __name__ == "__main__":
    main()
