"""What each export of a run is worth: its AP beside the run's own, its size, and its time on one core.

    python benchmarks/exports.py [--photos FOLDER] [--work FOLDER] [--browser]
    python benchmarks/exports.py --presets [NAME ...]

``FOLDER`` of ``--photos`` holds ``train/`` and ``test/`` with photos and Pascal VOC XML beside; left out, it is the
drawn sample. A run in the work folder is taken as it is; where there is none, one is trained, with the settings of the
first notebook for the sample, and as ``benchmarks/asirra.py`` does otherwise. Then every kind of export is made of it
and certified on the test photos. Times of one photo are taken in a process that has one core, the exports in turns, so
that what else the machine does falls on all of them; the SavedModel, called as bare as its signature, is the rival.

``--browser`` adds the web page and the TensorFlow.js model, run by a headless Chromium.

``--presets`` takes every preset with fresh weights to float32 and to int8, and says for each which operators the files
hold, how large they are, how far the outputs of int8 lie from those of float32, and how long one photo takes. Weights
that learned nothing have no AP, so the distance is relative: the root of the mean squared difference, over the standard
deviation of the float32 output. For it the batch norms take the statistics of some photos, and the last layers, which
begin near zero, are sampled anew: otherwise every output would be the same.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = Path(__file__).parents[1] / "dataset"
OF_SAMPLE = {"image_size": 128, "train_steps": 1200, "weights": None}
PRECISIONS = ("float32", "float16", "dynamic", "int8", "int8_full")


def trained(photos: Path, work: Path) -> Path:
    """Return the run in the work folder, trained where it is not there yet."""
    from tfod_helpers import experiment, formats, records, training

    run = work / "run"
    if not (run / "models").exists():
        train, test = formats.read(photos).train_and_validation()
        parts = {"train": records.write(train, work / "train"), "validation": records.write(test, work / "test")}
        settings: dict[str, Any] = OF_SAMPLE if photos == SAMPLE else {}
        training.train(experiment.make("mobilenet_v2_192", **parts, **settings), run)
    return run


def export_all(run: Path, work: Path, browser: bool) -> list[Path]:
    """Make every kind of export, the SavedModel first."""
    from tfod_helpers.exporting import onnx, saved_model, tflite

    folders = [saved_model.export(run, work / "saved_model")]
    for precision in PRECISIONS:
        began = time.perf_counter()
        folders.append(tflite.export(run, work / precision, precision=precision))
        print(f"{precision}: {time.perf_counter() - began:.1f} s to export")
    folders += [
        tflite.export(run, work / f"{precision}_raw", precision=precision, nms=False) for precision in PRECISIONS
    ]
    folders.append(onnx.export(run, work / "onnx"))
    if browser:
        from tfod_helpers.exporting import tfjs, web_page

        folders += [tfjs.export(run, work / f"tfjs_{one}", precision=one) for one in ("float32", "float16", "uint8")]
        folders.append(web_page.export(run, work / "page"))
    return folders


def on_one_core(folders: list[Path], rounds: int = 60) -> dict[str, float]:
    """Return the milliseconds that one photo takes in a process of one core: model, decoding and NMS."""
    command = [sys.executable, __file__, "--time", str(rounds), *map(str, folders)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def time_in_turns(folders: list[Path], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each export, each called once a round."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from tfod_helpers import photos
    from tfod_helpers.detector import ExportFacts
    from tfod_helpers.detector.loading import load_model

    facts = ExportFacts.read(folders[0])
    # A real photo: noise gives so many boxes that their suppression takes most of the time.
    path = sorted((SAMPLE / "test").glob("*.jpg"))[0]
    photo = photos.letterbox(path, facts.image_size, resize=facts.resize).pixels[None]
    models = {folder.name: load_model(folder, ExportFacts.read(folder)) for folder in folders}
    took: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 10):
        for name, model in models.items():
            began = time.perf_counter()
            model(photo)
            if number >= 10:  # warm
                took[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) * 1000 for name, seconds in took.items()}


def of_run(photos: Path, work: Path, browser: bool) -> None:
    """Print the certificate of every export, and the ratios to the SavedModel."""
    from tfod_helpers import exporting, formats

    run = trained(photos, work)
    folders = export_all(run, work / "exports", browser)
    _, test = formats.read(photos).train_and_validation()
    began = time.perf_counter()
    certificate = exporting.certify(folders, test)
    seconds = time.perf_counter() - began
    print(certificate, f"{len(folders)} exports on {len(test)} photos certified in {seconds:.0f} s", sep="\n")
    # ONNX Runtime's threads spin between its calls, and would slow the others.
    no_browser = [folder for folder in folders if not folder.name.startswith(("tfjs", "page", "onnx"))]
    times = on_one_core(no_browser)
    base = certificate.table["ap"].iloc[0]
    for folder, (name, row) in zip(folders, certificate.table.iterrows(), strict=True):
        speed = f"{times['saved_model'] / times[folder.name]:.2f}" if folder.name in times else ""
        print(f"{name}: AP {row['ap']:.4f} ({row['ap'] - base:+.4f}), {row['bytes']:,} bytes, speed {speed}")
    certificate.write(work / "certificate")


def of_preset(name: str) -> None:
    """Print what becomes of a preset's network with fresh weights."""
    from tfod_helpers import experiment, records
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.exporting import calibration, network, tflite
    from tfod_helpers.exporting.edge_tpu.operators import parse
    from tfod_helpers.formats import voc
    from tfod_helpers.network.model import build_model

    photos = voc.read(SAMPLE / "test")
    some, others = (Dataset(tuple(photos)[part], photos.label_map) for part in (slice(20), slice(20, 40)))
    with tempfile.TemporaryDirectory() as folder:
        splits = {"train": some, "validation": others}
        parts = {part: records.write(split, Path(folder) / part) for part, split in splits.items()}
        config = experiment.make(name, **parts, weights=None)
    if config.task.is_rcnn:
        print(f"{name}: an R-CNN; LiteRT holds no such network, and exporting it says so")
        return
    model, squares = build_model(config), calibration.photos(config, some)
    _wake(model, squares[:8])
    made = network.of_model(model, config)
    outputs, sizes, times = {}, {}, {}
    for precision in ("float32", "int8"):
        content = tflite.convert(made, precision, nms=False, photos=squares if precision == "int8" else None)
        operators = Counter(operator.name for operator in parse(content).operators)
        sizes[precision] = len(content)
        outputs[precision], times[precision] = _outputs(content, squares[:8])
        print(f"{name} {precision}: " + ", ".join(f"{count} {kind}" for kind, count in operators.most_common()))
    lost = {
        key: float(np.sqrt(np.mean((outputs["int8"][key] - value) ** 2)) / value.std())
        for key, value in outputs["float32"].items()
    }
    print(
        f"{name}: {sizes['float32']:,} -> {sizes['int8']:,} bytes ({sizes['int8'] / sizes['float32']:.2f}), int8 is "
        f"{times['float32'] / times['int8']:.2f} x as fast, relative distance of boxes {lost['boxes']:.3f}, "
        f"of logits {lost['logits']:.3f}",
        flush=True,
    )


def _wake(model: Any, squares: np.ndarray) -> None:
    """Let a fresh network's outputs depend on the photo."""
    from tfod_helpers.network import inputs

    random = np.random.default_rng(0)
    for weight in model.head.trainable_weights:
        if len(weight.shape) == 4 and np.std(weight.numpy()) < 0.02:
            weight.assign(random.normal(0, np.prod(weight.shape[:-1]) ** -0.5, weight.shape))
    for layer in model.submodules:
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.0  # the moving statistics become those of this batch
    model(inputs.normalize(squares), training=True)


def _outputs(content: bytes, squares: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """Return what a file says of photos, and the median seconds a photo on one core."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    found, seconds = [], []
    for square in squares.astype(np.float32):
        began = time.perf_counter()
        found.append(copy.deepcopy(runner(images=square[None])))
        seconds.append(time.perf_counter() - began)
    return {key: np.concatenate([one[key] for one in found]) for key in found[0]}, statistics.median(seconds)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLE)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--presets", nargs="*")
    parser.add_argument("--time", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.time:
        rounds, *folders = given.time
        print(json.dumps(time_in_turns([Path(folder) for folder in folders], int(rounds))))
        return
    from tfod_helpers.presets.models import PRESETS

    if given.presets is not None:
        for name in given.presets or PRESETS:
            of_preset(name)
        return
    with tempfile.TemporaryDirectory() as temporary:
        of_run(given.photos, given.work or Path(temporary), given.browser)


if __name__ == "__main__":
    main()
