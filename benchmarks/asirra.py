"""Real photos, from the folder to an evaluated export, through the public API alone.

    python benchmarks/asirra.py [--photos FOLDER] [--seeds 3]

``FOLDER`` holds ``train/`` and ``test/`` with JPEG and Pascal VOC XML side by side; by default it is
the Asirra set of cats and dogs (995 and 105 photos). Each seed runs in a process of its own, and its
time counts from the start of that process: imports, records, training with its evaluations, export,
loading the export again, and judging it on the test photos. The ImageNet weights come from Keras'
cache, and no download is timed.
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
PRESET = "mobilenet_v2_sample"


def run(photos: Path, work: Path, seed: int = 0, **settings: object) -> dict[str, float]:
    """Go the whole way once.

    Args:
        photos: holds ``train/`` and ``test/``.
        work: an empty folder for records, run and export.
        seed: of the training.
        settings: what `experiment.make` takes besides the records.

    Returns:
        ap and ap50 of the exported detector on the test photos, and the best ap of the training.
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
    return {"ap": result.ap, "ap50": result.ap50, "ap_in_training": history.best["ap"]}


def run_in_process(photos: Path, seed: int) -> dict[str, float]:
    """Go the whole way in a new process, and add its wall time in seconds."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, __file__, "--photos", str(photos), "--one", str(seed), "--work", work]
        started = time.perf_counter()
        subprocess.run(command, check=True, env=os.environ | {"KERAS_HOME": str(_keras_home(Path(work)))})
        seconds = time.perf_counter() - started
        return json.loads((Path(work) / "result.json").read_text()) | {"seconds": seconds}


def _keras_home(work: Path) -> Path:
    """Return a Keras folder that holds the ImageNet weights, so that none are downloaded."""
    from tfod_helpers import imagenet_file

    cached = imagenet_file.cache_path(0.35)
    source = cached if cached.is_file() else SHARED / "weights" / cached.name
    target = work / "keras" / "models" / cached.name
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)
    return work / "keras"


def main() -> None:
    """Run every seed, and print a row for each and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=SHARED / "data" / "asirra")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        (options.work / "result.json").write_text(json.dumps(run(options.photos, options.work, options.one)))
        return
    rows = []
    for seed in range(options.seeds):
        rows.append(run_in_process(options.photos, seed))
        print(
            f"seed {seed}: AP {rows[-1]['ap']:.3f}, AP50 {rows[-1]['ap50']:.3f}, {rows[-1]['seconds']:.0f} s",
            flush=True,
        )
    mean = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    print(f"mean of {len(rows)}: AP {mean['ap']:.3f}, AP50 {mean['ap50']:.3f}, {mean['seconds']:.0f} s")


if __name__ == "__main__":
    main()
