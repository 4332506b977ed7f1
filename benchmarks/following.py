"""Readers of a run that is being written, and an evaluator beside a training, over a bucket's emulator.

    python benchmarks/following.py readers [--reads 250] [--readers 2] [--every 0.25]
    python benchmarks/following.py evaluator [--steps 300]

`readers` keeps a drawn run in the bucket in a process that saves every quarter of a second: each time a new model and
a new checkpoint, of which the ones before are deleted. Beside it, processes read what `training.evaluate` and the
exports read (a model), what `runs.table` and `runs.checkpoints` read, and the whole run as a training that resumes
elsewhere does, by turns. Each read must give a model whose files are whole and are those that ``run.json`` names. The
same is done with a folder of this disk. Nothing here loads TensorFlow.

`evaluator` trains the drawn sample into the bucket and lets `training.follow` look on in another process, each with a
cache of its own: every model must be judged, with the training's own AP in every digit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from resuming import make_config
from storage import serving

ROOT = Path(__file__).parents[1]
SIZE = 200_000  # bytes of a model and of a checkpoint
KEEP = """
import sys, time
from pathlib import Path
from tfod_helpers.files import run_folder, workspace
run = run_folder.open_run(sys.argv[1])
keeper, every, size = run_folder.Keeper(run), float(sys.argv[2]), int(sys.argv[3])
for folder in (run.checkpoints, run.models):
    folder.mkdir(exist_ok=True)
run.config_path.write_text("task: {preset: drawn, validation_images: 1}\\ntrainer: {train_steps: 1}\\n")
for number in range(1, 1_000_000):
    for folder in (run.checkpoints, run.models):
        (folder / f"ckpt-{number}.data-00000-of-00001").write_text(f"{number} " * (size // len(f"{number} ")))
        (folder / f"ckpt-{number}.index").write_text(f"{number}")
    with workspace.whole_file(run.history_path) as part:
        part.write_text(f"step\\n{number}\\n")
    with workspace.whole_file(run.checkpoints / "checkpoint") as part:
        part.write_text(f'model_checkpoint_path: "ckpt-{number}"\\n')
    model = {"step": number, "ap": 0.5, "ap50": 0.5, "threshold": 0.5, "checkpoint": f"ckpt-{number}"}
    run.update_manifest(id="a", step=number, saves=number, models=[model], best=model, finished=False)
    for folder in (run.checkpoints, run.models):
        for path in folder.glob("ckpt-*"):
            if path.name.partition(".")[0] != f"ckpt-{number}":
                path.unlink()
    keeper.keep()
    if number == 1:
        keeper.finish()
        print("there", flush=True)
    time.sleep(every)
"""
READ = """
import json, os, sys, tempfile, time
from tfod_helpers import runs
from tfod_helpers.files import run_folder
address, reads = sys.argv[1], int(sys.argv[2])
def check(run):
    found = run.find_model("last")
    number = found["checkpoint"].removeprefix("ckpt-")
    prefix = run.prefix_of(found)
    assert prefix.with_suffix(".index").read_text() == number, "another index"
    assert set(prefix.with_suffix(".data-00000-of-00001").read_text().split()) == {number}, "other values"
    assert run.read_manifest()["step"] == int(number), "another state"
    return int(number)
def model():
    with run_folder.reading(address, "last") as run:
        return check(run)
def table():
    return int(runs.table(address.rpartition("/")[0])["step"].iloc[0])
def checkpoints():
    return int(runs.checkpoints(address).index[-1])
def whole():
    before = os.environ["XDG_CACHE_HOME"]
    with tempfile.TemporaryDirectory() as os.environ["XDG_CACHE_HOME"]:
        seen = check(run_folder.open_run(address))
    os.environ["XDG_CACHE_HOME"] = before
    return seen
acts = [model, table, checkpoints] + ([whole] if address.startswith("gs://") else [])
for number in range(reads):
    act = acts[number % len(acts)]
    began = time.perf_counter()
    try:
        seen, error = act(), ""
    except Exception as problem:
        seen, error = -1, f"{type(problem).__name__}: {problem}"
    print(json.dumps([act.__name__, seen, error, time.perf_counter() - began]), file=sys.__stderr__, flush=True)
"""
TRAIN = """
import sys
from tfod_helpers import experiment, training
training.train(experiment.load(sys.argv[1]), sys.argv[2], keep="all")
"""
FOLLOW = """
import sys
from tfod_helpers import experiment, records, training
config = experiment.load(sys.argv[1])
training.follow(sys.argv[2], records.of_pattern(config.task.validation_data.input_path), every=1)
"""


def start(code: str, folder: Path, url: str, *arguments: object, **pipes: int) -> subprocess.Popen[str]:
    """Start a program of this benchmark on a machine of its own: with a cache that nothing else has."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment |= {"STORAGE_EMULATOR_HOST": url} if url else {}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def read(address: str, url: str, work: Path, reads: int, readers: int, every: float) -> int:
    """Read a run beside a process that writes it, print what came of it, and return how many reads failed."""
    quiet = {"stdout": subprocess.PIPE}
    writer = start(KEEP, work / "writer", url, address, every, SIZE, **quiet)
    try:
        assert writer.stdout.readline().strip() == "there"
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        share = -(-reads // readers)
        # The last two have one cache, as two programs of one machine do.
        caches = [work / f"reader {min(number, readers - 2)}" for number in range(readers)]
        running = [start(READ, cache, url, address, share, **pipes) for cache in caches]
        lines = [line for one in running for line in one.communicate()[1].splitlines()]
        assert writer.poll() is None, "the writer ended"
    finally:
        writer.kill()
        writer.wait()
    rows = [json.loads(line) for line in lines if line.startswith("[")]
    failed = [row for row in rows if row[2]]
    for name in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == name]
        took = sorted(row[3] for row in mine)
        times = f"median {took[len(took) // 2]:.2f} s, slowest {took[-1]:.2f} s"
        counts = f"{sum(bool(row[2]) for row in mine)} failed, {len({row[1] for row in mine})} states seen"
        print(f"  {name:12}{len(mine):5} reads, {counts}, {times}")
    for text, count in Counter(row[2][:300] for row in failed).most_common(5):
        print(f"  {count} x {text}")
    return len(failed) + readers * share - len(rows)


def measure_readers(reads: int, readers: int, every: float) -> int:
    """Read a run in a bucket, and one on this disk; return how many reads failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as work, serving(0.0) as url:
        for where, address, server in (
            ("a bucket", "gs://photos/runs/one", url),
            ("this disk", f"{work}/runs/one", ""),
        ):
            print(f"{reads} reads by {readers} processes of a run in {where}, saved every {every} s:", flush=True)
            failed += read(address, server, Path(work), reads, readers, every)
    print(f"{failed} of {2 * reads} reads failed")
    return failed


def measure_evaluator(steps: int) -> int:
    """Follow a training in a bucket; return how many of its models were not judged, or otherwise than by it."""
    with tempfile.TemporaryDirectory() as folder, serving(0.0) as url:
        work, address = Path(folder), "gs://photos/runs/one"
        config = make_config(work, steps)
        began = time.perf_counter()
        follower = start(FOLLOW, work / "follower", url, config, address)
        trainer = start(TRAIN, work / "trainer", url, config, address)
        try:
            trained, trained_after = trainer.wait(), time.perf_counter() - began
            followed, followed_after = follower.wait(), time.perf_counter() - began
        finally:
            for process in (trainer, follower):
                process.kill()
        os.environ |= {"STORAGE_EMULATOR_HOST": url, "XDG_CACHE_HOME": str(work / "looking")}
        from tfod_helpers.files import run_folder

        with run_folder.reading(address) as run:
            own = {one["step"]: one["ap"] for one in run.read_manifest()["models"]}
            judged = {step: one["ap"] for step, one in run.read_evaluations().items()}
    equal = [step for step, ap in own.items() if judged.get(step) == ap]
    print(
        f"exit codes {trained} and {followed}; {len(own)} models kept, {len(judged)} judged, {len(equal)} with equal AP"
    )
    print(f"training {trained_after:.0f} s, and the evaluator was done {followed_after - trained_after:.0f} s later")
    return len(own) - len(equal) + trained + followed


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("readers", "evaluator"))
    parser.add_argument("--reads", type=int, default=250, help="of a run in each place")
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--every", type=float, default=0.25, help="seconds between two saves")
    parser.add_argument("--steps", type=int, default=300)
    chosen = parser.parse_args()
    if chosen.what == "readers":
        sys.exit(measure_readers(chosen.reads, chosen.readers, chosen.every) > 0)
    sys.exit(measure_evaluator(chosen.steps) > 0)


if __name__ == "__main__":
    main()
