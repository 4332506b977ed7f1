"""Cats or dogs on real photos: from the folder to an evaluated, saved and certified classifier, the whole process.

    python benchmarks/classifier.py                           # ../shared/data/asirra, ImageNet's weights from ../shared
    python benchmarks/classifier.py --seeds 0 1 2 --side 288

A photo counts as the class that most of its boxes have. The training photos alone decide: a part of them, split off by
the seed, says which epoch was the best. The test photos are looked at once, at the end. Each seed is a process of its
own, timed from its start, so that importing TensorFlow counts too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

SHARED = Path(__file__).parents[1].parent / "shared"


def run(
    photos: Path, folder: Path, *, seed: int = 0, side: int | None = None, fine_tuning: int = 6
) -> dict[str, float]:
    """Go all the way once; return accuracy with its interval, and how the saved forms agree.

    Args:
        photos: a folder with ``train/`` and ``test/``, photos and boxes.
        folder: for the training and what is saved.
        seed: of the split into training and validation photos, and of the training.
        side: of the squares that the network looks at, in pixels; None takes what it was trained with.
        fine_tuning: epochs of the upper layers, at most.
    """
    from tfod_helpers import classifier, formats

    every, test = (classifier.whole_photos(formats.read(photos / part)) for part in ("train", "test"))
    parts = every.split({"train": 0.85, "validation": 0.15}, seed=seed)
    made = classifier.make(every, "mobilenet_v2", side=side, seed=seed)
    history = classifier.train(
        made, parts["train"], parts["validation"], folder / "training", fine_tuning=fine_tuning, seed=seed
    )
    classifier.save(made, folder / "saved")
    table = classifier.certify(folder / "saved", test)
    keras = table.loc["keras"]
    return {
        "accuracy": float(keras["accuracy"]),
        "low": float(keras["accuracy_low"]),
        "high": float(keras["accuracy_high"]),
        "photos": len(test),
        "validation_accuracy": float(history.loc[history["validation_loss"].idxmin(), "validation_accuracy"]),
        "other_decisions": int(table["other_decisions"].sum()),
        "difference": float(table["difference"].max()),
    }


def timed(*arguments: str) -> dict[str, float]:
    """Run this program for one seed in a process of its own; return what it found, with its seconds."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        # A Keras folder of its own: weights in its cache, as after a download; nothing remembered of the photos.
        home = Path(folder) / "keras"
        if (SHARED / "weights").is_dir():
            shutil.copytree(SHARED / "weights", home / "models")
        environment = os.environ | {"KERAS_HOME": str(home), "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        done = subprocess.run([*command, "--folder", folder], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"seconds": time.perf_counter() - began, "cpu_seconds": cpu}


def report(found: dict[int, dict[str, float]]) -> str:
    """Return a line a seed, and their mean."""
    lines = [
        f"seed {seed}: accuracy {one['accuracy']:.3f} (95 %: {one['low']:.3f} to {one['high']:.3f}; "
        f"{round((1 - one['accuracy']) * one['photos'])} of {one['photos']} wrong), validation "
        f"{one['validation_accuracy']:.3f}, {one['seconds']:.0f} s, {one['cpu_seconds']:.0f} s of processors; saved "
        f"forms: {one['other_decisions']} other decisions, probabilities within {one['difference']:.1e}"
        for seed, one in found.items()
    ]
    mean = sum(one["accuracy"] for one in found.values()) / len(found)
    return "\n".join([*lines, f"mean accuracy of {len(found)} seeds {mean:.3f}"])


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "data" / "asirra")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--side", type=int)
    parser.add_argument("--fine-tuning", type=int, default=6)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of one seed, in its own process
    given = parser.parse_args()
    if given.folder:
        options = {"seed": given.seeds[0], "side": given.side, "fine_tuning": given.fine_tuning}
        print(json.dumps(run(given.photos, given.folder, **options)))
        return 0
    found = {}
    for seed in given.seeds:
        arguments = ["--photos", given.photos, "--seeds", seed, "--fine-tuning", given.fine_tuning]
        arguments += ["--side", given.side] if given.side else []
        found[seed] = timed(*map(str, arguments))
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
