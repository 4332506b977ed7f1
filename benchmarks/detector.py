"""What a Detector adds to the bare model, and how fast photos are evaluated.

    python benchmarks/detector.py [EXPORT] [--photos FOLDER]

``EXPORT`` is an export folder; left out, one is made from an untrained model of the sample preset at
192 pixels, which runs as fast as a trained one. ``FOLDER`` holds photos with Pascal VOC XML, by
default the 105 test photos of the Asirra set. Printed are medians:

* the bare SavedModel call on a tensor that is ready, against `Detector.detect` on the same photos as
  arrays, as files, and as one list of files;
* `evaluation.evaluate` over all photos, from files to AP, with the model loaded.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tfod_helpers import evaluation, experiment, records
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector
from tfod_helpers.exporting import saved_model
from tfod_helpers.files import run_folder
from tfod_helpers.formats import voc
from tfod_helpers.network.model import build_model

PHOTOS = Path(__file__).parents[1].parent / "shared" / "data" / "asirra" / "test"
THRESHOLD = 0.3


def untrained_export(dataset: Dataset, work: Path) -> Path:
    """Export a model of the sample preset with random weights."""
    import tensorflow as tf

    written = records.write(dataset, work / "records" / "photos")
    bare = experiment.change(experiment.from_preset("mobilenet_v2_192"), {"task.weights": None})
    config = experiment.with_records(bare, train=written, validation=None)
    run = run_folder.open_run(work / "run")
    experiment.save(config, run.config_path)
    model = {"step": 0, "ap": 0.0, "ap50": 0.0, "threshold": THRESHOLD, "checkpoint": "ckpt-1"}
    run.update_manifest(models=[model])
    tf.train.Checkpoint(model=build_model(config)).write(str(run.prefix_of(model)))
    return saved_model.export(run, work / "export")


def median_ms(call: Callable[[int], object], count: int) -> float:
    """Return the median time of ``call(0), ..., call(count - 1)`` in milliseconds, after three to warm up."""
    for number in range(min(3, count)):
        call(number)
    times = []
    for number in range(count):
        started = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def measure(export: Path, dataset: Dataset) -> None:
    """Print the medians."""
    import tensorflow as tf

    detector = Detector.load(export)
    loaded = tf.saved_model.load(str(export))
    model = loaded.signatures["serving_default"]
    paths = [image.path for image in dataset]
    arrays = [image.pixels() for image in dataset]
    tensors = [tf.constant(detector.letterbox(array).pixels[None]) for array in arrays]
    bare = median_ms(lambda n: model(images=tensors[n]), len(paths))
    print(f"{'bare model':>24}: {bare:6.2f} ms a photo")
    for name, call in (
        ("detect(array)", lambda n: detector.detect(arrays[n])),
        ("detect(path)", lambda n: detector.detect(paths[n])),
    ):
        took = median_ms(call, len(paths))
        print(f"{name:>24}: {took:6.2f} ms a photo, {took / bare:.2f} x the bare model")
    took = median_ms(lambda n: detector.detect(paths), 3) / len(paths)
    print(f"{'detect(list of paths)':>24}: {took:6.2f} ms a photo, {took / bare:.2f} x the bare model")
    took = median_ms(lambda n: evaluation.evaluate(detector, dataset), 5) / 1000
    print(f"{'evaluate':>24}: {took:6.2f} s for {len(paths)} photos")


def main() -> None:
    """Load or make an export, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, nargs="?")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    options = parser.parse_args()
    dataset = voc.read(options.photos)
    with tempfile.TemporaryDirectory() as work:
        measure(options.export or untrained_export(dataset, Path(work)), dataset)


if __name__ == "__main__":
    main()
