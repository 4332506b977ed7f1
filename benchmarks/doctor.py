"""How long the doctor takes, line by line, beside the training that it is asked about.

    python benchmarks/doctor.py                  # the drawn sample, as notebook 01 trains it: 128 pixels, 1200 steps
    python benchmarks/doctor.py --train-steps 300

The rival is finding out by training: both are given the same config, in the same process, one after the other. What
the doctor costs is a share of the training that it may save.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def measure(folder: Path, train_steps: int, image_size: int = 128) -> dict[str, float]:
    """Ask the doctor, then train, on the sample; return the seconds of each line and of the training.

    Args:
        folder: for records and run.
        train_steps: of the training.
        image_size: in pixels.
    """
    from tfod_helpers import doctor, experiment, records, sources, training
    from tfod_helpers.formats import voc

    sample = sources.local("sample")
    train = voc.read(sample / "train")
    validation = voc.read(sample / "test", label_map=train.label_map)
    config = experiment.make(
        "mobilenet_v2_192",
        train=records.write(train, folder / "records" / "train"),
        validation=records.write(validation, folder / "records" / "validation"),
        image_size=image_size,
        train_steps=train_steps,
        weights=None,
    )
    found = doctor.examine(config, folder / "run", dataset={"train": train, "validation": validation})
    if not found.ok:
        sys.exit(str(found))
    began = time.perf_counter()
    training.train(config, folder / "run")
    return {check.name: check.seconds for check in found.checks} | {"training": time.perf_counter() - began}


def report(seconds: dict[str, float]) -> str:
    """Return a line each, and what the doctor costs against the training."""
    training = seconds["training"]
    lines = {name: took for name, took in seconds.items() if name != "training"}
    whole = sum(lines.values())
    shown = [f"{name:20}{took:8.1f} s" for name, took in lines.items()]
    return "\n".join(
        [*shown, f"{'the doctor':20}{whole:8.1f} s  {whole / training:.2f} x the training's {training:.0f} s"]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-steps", type=int, default=1200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(report(measure(Path(folder), arguments.train_steps)))


if __name__ == "__main__":
    main()
