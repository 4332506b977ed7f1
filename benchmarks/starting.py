"""What a training starts from: random values, a backbone that knows photos, or a whole detector.

    python benchmarks/starting.py [--photos FOLDER] [--steps 300] [--parts 100 200 400]

``FOLDER`` holds ``train/`` and ``test/`` with JPEG and Pascal VOC XML side by side; by default it is the Asirra set of
cats and dogs. The whole detector is one that was trained on the drawn sample of the same classes, so it stands in for a
detector that was trained on COCO: its heads know what a cat and a dog are, from other pictures. Every training has the
same network, schedule, steps and test photos; only the number of photos and the start differ. AP is that of the best
evaluation, on the test photos. The ImageNet weights come from Keras' cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import asirra

PRESET, SIDE = "mobilenet_v2_192", 128


def main(photos: Path, steps: int, parts: list[int], work: Path) -> None:
    """Train from each start on each part, and print AP and AP50 as a table."""
    from tfod_helpers import experiment, formats, records, sources, training
    from tfod_helpers.formats import voc

    drawn = formats.read(sources.local("sample")).train_and_validation()
    settings = {"image_size": SIDE, "train_steps": steps}
    own, held = (records.write(one, work / f"drawn-{number}") for number, one in enumerate(drawn))
    before = training.train(experiment.make(PRESET, train=own, validation=held, **settings), work / "detector")
    print(f"the detector, on the drawn sample: {before}", flush=True)
    train = voc.read(photos / "train")
    test = records.write(voc.read(photos / "test", label_map=train.label_map), work / "test")
    print(f"{'photos':>6}  {'start':<9} {'AP before':>9} {'AP':>6} {'AP50':>6}")
    for count in parts:
        share = count / len(train)
        some = train.split({"train": share, "rest": 1 - share})["train"]
        part = records.write(some, work / f"train-{count}")
        for start, weights in (("scratch", None), ("imagenet", "imagenet"), ("detector", work / "detector")):
            config = experiment.make(PRESET, train=part, validation=test, weights=weights, **settings)
            run = work / f"{count}-{start}"
            first = training.start(config, run).best["ap"]
            best = training.train(config, run).best
            print(f"{count:>6}  {start:<9} {first:>9.3f} {best['ap']:>6.3f} {best['ap50']:>6.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=asirra.SHARED / "data" / "asirra")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--parts", type=int, nargs="+", default=[100, 200, 400])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["KERAS_HOME"] = str(asirra._keras_home(Path(name)))
        main(options.photos, options.steps, options.parts, Path(name))
