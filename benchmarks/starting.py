"""What a training starts from: random values, a backbone that knows photos, or a whole detector.

    python benchmarks/starting.py [--photos FOLDER] [--parts 100 200 400] [--steps 150] [--rate 1]

``FOLDER`` holds ``train/`` and ``test/`` with JPEG and Pascal VOC XML side by side; by default it is the Asirra set of
cats and dogs. Three whole detectors stand in for one that was trained on COCO:

* ``drawn``: trained on the drawn sample of the same classes, so that its heads know them from other pictures;
* ``others``: trained on 400 other photos of the set; its class outputs are left out, as if it knew other classes;
* ``same``: the same one with its class outputs.

Every training has the same network, schedule and test photos; the number of photos, the steps and the start differ. AP
is that of the best evaluation, on the test photos. The ImageNet weights come from Keras' cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import asirra

PRESET, SIDE = "mobilenet_v2_192", 128
BEFORE = 400  # photos that only the stand-in sees
RENAMED = {"cat": "kitty", "dog": "doggy"}


def main(photos: Path, parts: list[int], all_steps: list[int], rates: list[float], work: Path) -> None:
    """Train from each start on each part, and print AP and AP50 as a table."""
    from tfod_helpers import experiment, formats, records, sources, training
    from tfod_helpers.annotations import Dataset, LabelMap
    from tfod_helpers.formats import voc
    from tfod_helpers.presets import keys

    def write(dataset: Dataset, name: str) -> tuple[Any, Any]:
        """Write the records twice, the second time with other names for the classes."""
        others = LabelMap([RENAMED[one] for one in dataset.label_map])
        renamed = records.write(Dataset(dataset.images, others), work / f"{name}-renamed")
        return records.write(dataset, work / name), renamed

    def begin(name: str, train: Any, validation: Any, steps: int) -> Path:
        config = experiment.make(PRESET, train=train, validation=validation, image_size=SIDE, train_steps=steps)
        print(f"{name}: {training.train(config, work / name)}", flush=True)
        return work / name

    sample = formats.read(sources.local("sample")).train_and_validation()
    drawn = [records.write(one, work / f"sample-{number}") for number, one in enumerate(sample)]
    train = voc.read(photos / "train")
    halves = train.split({"before": BEFORE / len(train), "rest": 1 - BEFORE / len(train)})
    test, test_renamed = write(voc.read(photos / "test", label_map=train.label_map), "test")
    on_drawn = begin("drawn", *drawn, 150)
    on_photos = begin("photos", write(halves["before"], "before")[0], test, 600)
    print(f"{'photos':>6} {'steps':>5} {'rate':>5}  {'start':<9} {'AP before':>9} {'AP':>6} {'AP50':>6}")
    for count in parts:
        share = count / len(halves["rest"])
        some = halves["rest"].split({"train": share, "rest": 1 - share})["train"]
        part, part_renamed = write(some, f"train-{count}")
        starts: dict[str, tuple[Any, Any, Any]] = {
            "scratch": (None, part, test),
            "imagenet": ("imagenet", part, test),
            "drawn": (on_drawn, part, test),
            "others": (on_photos, part_renamed, test_renamed),
            "same": (on_photos, part, test),
        }
        for steps, rate in ((steps, rate) for steps in all_steps for rate in rates):
            for start, (weights, own, held) in starts.items():
                config = experiment.make(
                    PRESET, train=own, validation=held, weights=weights, image_size=SIDE, train_steps=steps
                )
                usual = config.trainer.optimizer_config.learning_rate.cosine.initial_learning_rate
                config = experiment.change(config, {keys.LEARNING_RATE: rate * usual})
                run = work / f"{count}-{start}-{steps}-{rate:g}"
                first = training.start(config, run).best["ap"]
                best = training.train(config, run).best
                row = f"{count:>6} {steps:>5} {rate:>5g}  {start:<9} {first:>9.3f}"
                print(f"{row} {best['ap']:>6.3f} {best['ap50']:>6.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=asirra.SHARED / "data" / "asirra")
    parser.add_argument("--parts", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--steps", type=int, nargs="+", default=[150], help="in all; several are tried one by one")
    parser.add_argument("--rate", type=float, nargs="+", default=[1.0], help="times the preset's learning rate")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["KERAS_HOME"] = str(asirra.keras_home(Path(name)))
        main(options.photos, options.parts, options.steps, options.rate, Path(name))
