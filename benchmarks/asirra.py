"""Real photos, from the folder to an evaluated export, through the public API alone.

    python benchmarks/asirra.py [--photos FOLDER] [--seeds 3] [--curve]

``FOLDER`` holds ``train/`` and ``test/`` with JPEG and Pascal VOC XML side by side; by default it is
the Asirra set of cats and dogs (995 and 105 photos). Each seed runs in a process of its own, and its
time counts from the start of that process: imports, records, training with its evaluations, export,
loading the export again, and judging it on the test photos. The ImageNet weights come from Keras'
cache, and no download is timed.

The share that is not train steps is all of that time but the train steps as they take with a batch that
is ready: so imports, tracing, evaluations, saving, export, and what steps are slowed down by the input.

``--curve`` trains on 100, 200 and 400 of the photos instead, and writes the report with the curve.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARED = Path(__file__).parents[1].parent / "shared"
PRESET = "mobilenet_v2_192"
PARTS = (100, 200, 400)


def run(photos: Path, work: Path, seed: int = 0, **settings: object) -> dict[str, float]:
    """Go the whole way once.

    Args:
        photos: holds ``train/`` and ``test/``.
        work: an empty folder for records, run and export.
        seed: of the training.
        settings: what `experiment.make` takes besides the records.

    Returns:
        ap and ap50 of the exported detector on the test photos, the best ap of the training, and step_seconds, the
        time of all train steps if their batches had been ready.
    """
    from tfod_helpers import evaluation, experiment, records, training
    from tfod_helpers.detector import Detector
    from tfod_helpers.exporting import saved_model
    from tfod_helpers.formats import voc

    train = voc.read(photos / "train")
    test = voc.read(photos / "test", label_map=train.label_map)
    config = experiment.make(
        PRESET,
        train=records.write(train, work / "records" / "train"),
        validation=records.write(test, work / "records" / "test"),
        **settings,
    )
    config = experiment.change(config, {"task.train_data.seed": seed})
    history = training.train(config, work / "run")
    detector = Detector.load(saved_model.export(work / "run", work / "export"))
    result = evaluation.evaluate(detector, test)
    print(result)
    return {
        "ap": result.ap,
        "ap50": result.ap50,
        "ap_in_training": history.best["ap"],
        "steps": config.trainer.train_steps,
    }


def seconds_a_step(work: Path, count: int = 100) -> float:
    """Return how long a train step of a run's config takes with a batch that is ready, in seconds."""
    import tensorflow as tf

    from tfod_helpers import experiment
    from tfod_helpers.files import run_folder
    from tfod_helpers.network import model
    from tfod_helpers.training.steps import Steps

    config = experiment.load(run_folder.Run(work / "run").config_path)
    made = Steps(config)
    model.freeze(made.model, config.task.frozen_stride)
    batches = made.task.build_inputs(config.task.train_data)
    made._batches = iter(batches.take(1).cache().repeat().prefetch(tf.data.AUTOTUNE))
    made.run(10)
    began = time.perf_counter()
    made.run(count)
    return (time.perf_counter() - began) / count


def curve(photos: Path, work: Path) -> Path:
    """Train on parts of the photos, print the scores, and return the report that holds them."""
    from tfod_helpers import evaluation, learning_curve, records, report, training
    from tfod_helpers.files import run_folder
    from tfod_helpers.formats import voc

    train = voc.read(photos / "train")
    test = records.write(voc.read(photos / "test", label_map=train.label_map), work / "test")
    table = learning_curve.measure(PRESET, train, test, work, fractions=[part / len(train) for part in PARTS])
    print(table.round(3).to_string(), evaluation.would_more_help(table), sep="\n")
    largest = run_folder.Run(work / f"photos-{int(table['images'].max())}")
    return report.write(training.evaluate(largest, test), work / "report", table)


def run_in_process(photos: Path, seed: int) -> dict[str, float]:
    """Go the whole way in a new process, and add its wall time in seconds and the share that was not train steps."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, __file__, "--photos", str(photos), "--one", str(seed), "--work", work]
        started = time.perf_counter()
        subprocess.run(command, check=True, env=os.environ | {"KERAS_HOME": str(keras_home(Path(work)))})
        seconds = time.perf_counter() - started
        result = json.loads((Path(work) / "result.json").read_text())
        return result | {"seconds": seconds, "other": 1 - result["steps"] * seconds_a_step(Path(work)) / seconds}


def keras_home(work: Path) -> Path:
    """Return a Keras folder that holds the ImageNet weights, so that none are downloaded."""
    from tfod_helpers.network.weights import networks

    cached = networks.FILES["MobileNetV2"][0.35].path
    source = cached if cached.is_file() else SHARED / "weights" / cached.name
    target = work / "keras" / "models" / cached.name
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)
    return work / "keras"


def main() -> None:
    """Run every seed, and print a row for each and their mean; or the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=SHARED / "data" / "asirra")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--curve", action="store_true", help="train on 100, 200 and 400 of the photos")
    parser.add_argument("--work", type=Path, help="keep what is made in this folder")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        (options.work / "result.json").write_text(json.dumps(run(options.photos, options.work, options.one)))
        return
    if options.curve:
        work = options.work or Path(tempfile.mkdtemp())
        os.environ["KERAS_HOME"] = str(keras_home(work))
        print(curve(options.photos, work))
        return
    rows = []
    for seed in range(options.seeds):
        rows.append(run_in_process(options.photos, seed))
        print(f"seed {seed}: {_said(rows[-1])}", flush=True)
    print(f"mean of {len(rows)}: {_said({name: statistics.mean(row[name] for row in rows) for name in rows[0]})}")


def _said(row: dict[str, float]) -> str:
    scores = f"AP {row['ap']:.3f}, AP50 {row['ap50']:.3f}"
    return f"{scores}, {row['seconds']:.0f} s, of them {row['other']:.0%} not train steps"


if __name__ == "__main__":
    main()
