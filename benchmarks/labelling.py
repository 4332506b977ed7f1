"""What labelling with a detector's help brings, on real photos whose labels are hidden until they are asked for.

    python benchmarks/labelling.py [--photos FOLDER] [--seeds 3] [--parts gain rare boxes time] [--work FOLDER]

``FOLDER`` holds ``train/`` and ``test/`` with JPEG and Pascal VOC XML side by side; by default it is the Asirra set of
cats and dogs. Of ``train/`` 300 photos are held out, the same ones for every seed: nothing is chosen by them, and every
score is counted on them. The seed chooses 100 of the others as labelled; the rest is the pool. The photos of ``test/``
say which checkpoint is the best. Every training starts from ImageNet's backbone, which comes from Keras' cache.

* ``gain``: AP with 100 labelled photos, and with 100 more of the pool, chosen at random or by
  `labelling.rank`.
* ``rare``: the same where dogs are rare: of the photos with a dog only each ninth is there, but for those held out.
* ``boxes``: what is suggested for the photos that are held out, with 200 labelled as `labelling.rank` chose them: how
  many of all boxes need no hand, and how many clicks and drags are left, as `labelling.compare` counts them.
* ``time``: how long it takes to rank 2,000 photos, against only detecting in them.

What is finished stays in ``--work``, and is not done again.

Found, with three seeds on two cores: AP .434 before, .489 with 100 more at random and .487 as `labelling.rank` chose,
which is -.002 (95 %: -.016 to +.012): no gain. Where dogs were rare, AP .377 before, .434 at random and .456 by
`labelling.rank`, +.021 (95 %: -.019 to +.061), with 26 dogs among the 100 photos and not 15. Of 320 boxes in 298 photos
66 % (63 to 69 %) needed no hand; .70 x (.66 to .74) the clicks and drags were left, .42 x (.35 to .49) without the
click that leads to the next photo. Ranking took 1.28 x the time of detecting at 128 pixels, 3.2 s, and 1.16 x when done
again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import asirra
import numpy as np
from PIL import Image
from scipy import stats

if TYPE_CHECKING:
    from tfod_helpers.annotations import Dataset, LabelledImage
    from tfod_helpers.detector import Detector

SIDE = 128  # pixels, of the network's input
LABELLED, MORE, HELD_OUT, RANKED = 100, 100, 300, 2000  # photos
RARE, ONE_OF = 2, 9  # the id of the class that is made rare, and of how many photos with it one stays
BEFORE, METHODS = "before", ("random", "rank")
PARTS = ("gain", "rare", "boxes", "time")


def share_out(photos: Path, seed: int, rare: bool = False) -> dict[str, Dataset]:
    """Return the parts: labelled, pool, held_out and validation; in the first two a class is rare, where that is asked.

    Args:
        photos: as in `main`.
        seed: of what is labelled.
        rare: whether to leave out most photos of one class.
    """
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.formats import voc

    train = voc.read(photos / "train")
    share = min(0.3, HELD_OUT / len(train))
    halves = train.split({"held_out": share, "rest": 1 - share})
    rest = halves["rest"]
    if rare:
        of_class = sorted((image for image in rest if RARE in image.labels), key=lambda image: image.path)
        left_out = set(of_class) - set(of_class[::ONE_OF])
        rest = Dataset(tuple(image for image in rest if image not in left_out), rest.label_map)
    labelled = min(0.5, LABELLED / len(rest))
    parts = rest.split({"labelled": labelled, "pool": 1 - labelled}, seed)
    return parts | {"held_out": halves["held_out"], "validation": voc.read(photos / "test", label_map=train.label_map)}


def choose(method: str, detector: Detector, parts: dict[str, Dataset], count: int, seed: int) -> list[LabelledImage]:
    """Return the photos of the pool that are to be labelled next."""
    from tfod_helpers import labelling

    pool = {str(image.path): image for image in parts["pool"]}
    if method == "random":
        return [parts["pool"][int(at)] for at in np.random.default_rng(seed).permutation(len(pool))[:count]]
    return [pool[path] for path in labelling.rank(detector, list(pool), parts["labelled"], count)["path"]]


def learn(
    photos: Path, folder: Path, method: str, seed: int, steps: int | None = None, rare: bool = False
) -> dict[str, float]:
    """Train on what is labelled, with what a method chooses besides; return AP and AP50 on the held out photos.

    Args:
        photos: as in `main`.
        folder: of the seed; ``folder / method`` gets records, run and export.
        method: one of `METHODS`, or `BEFORE`, with nothing besides.
        seed: of the parts and of the training.
        steps: of the training; None takes the preset's.
        rare: as `share_out` takes it.
    """
    from tfod_helpers import evaluation, experiment, records, training
    from tfod_helpers.annotations import Dataset
    from tfod_helpers.detector import Detector
    from tfod_helpers.exporting import saved_model

    parts, work = share_out(photos, seed, rare), folder / method
    images = list(parts["labelled"])
    if method != BEFORE:
        chosen = choose(method, Detector.load(folder / BEFORE / "export"), parts, MORE, seed)
        images += [image for image in parts["pool"] if image in chosen]
    train = Dataset(tuple(images), parts["labelled"].label_map)
    config = experiment.make(
        asirra.PRESET,
        train=records.write(train, work / "records" / "train"),
        validation=records.write(parts["validation"], work / "records" / "validation"),
        image_size=SIDE,
        train_steps=steps,
    )
    training.train(experiment.change(config, {"task.train_data.seed": seed}), work / "run")
    result = evaluation.evaluate(Detector.load(saved_model.export(work / "run", work / "export")), parts["held_out"])
    counts = list(train.counts().values())
    return {
        "photos": len(train),
        "boxes": sum(counts),
        "of_rare": counts[RARE - 1],
        "ap": result.ap,
        "ap50": result.ap50,
    }


def correct(photos: Path, folder: Path, seed: int) -> dict[str, float]:
    """Suggest boxes for the photos that are held out; return what a person would have to change in them.

    Args:
        photos: as in `main`.
        folder: of the seed, in which `learn` has trained with what `labelling.rank` chose.
        seed: of the parts.
    """
    from tfod_helpers import evaluation, labelling
    from tfod_helpers.detector import Detector

    parts, detector = share_out(photos, seed), Detector.load(folder / "rank" / "export")
    judged = evaluation.evaluate(detector, parts["validation"], resamples=0)
    change = labelling.compare(labelling.suggest(detector, parts["held_out"], evaluation=judged), parts["held_out"])
    print(change)
    found = {
        name: getattr(change, name) for name in ("photos", "boxes", "suggested", "kept", "actions", "from_nothing")
    }
    return found | {"share_kept": change.share_kept}


def many_photos(photos: Path, folder: Path, count: int) -> list[Path]:
    """Write up to twice as many photos as the set has, no two nearly the same: its own, and these mirrored."""
    sources = sorted(photos.glob("*/*.jpg"))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if path.is_file():
            continue
        with Image.open(sources[number % len(sources)]) as image:
            rgb = image.convert("RGB")
        if number >= len(sources):
            rgb = rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        rgb.save(path, quality=90)
    return sorted(folder.glob("*.jpg"))[:count]


def measure_time(photos: Path, folder: Path, count: int, repeats: int = 4) -> dict[str, float]:
    """Detect in photos and rank them, in turn; return the seconds of the fastest of each, since others use the machine.

    Photos are ranked twice: as new ones, which are looked at for near-duplicates, and again, when that is remembered.
    """
    from tfod_helpers import labelling
    from tfod_helpers.detector import Detector

    labelled = share_out(photos, 0)["labelled"]
    detector, paths = Detector.load(folder / "seed-0" / BEFORE / "export"), many_photos(photos, folder / "many", count)
    detector.detect(paths)  # what is done once: the model is made ready, and the files come from the disk
    seconds: dict[str, list[float]] = {"detecting": [], "new": [], "again": []}
    for _ in range(repeats):
        for path in paths:
            path.touch()  # a photo that has changed is looked at again
        for name, times in seconds.items():
            began = time.perf_counter()
            if name == "detecting":
                detector.detect(paths)
            else:
                labelling.rank(detector, paths, labelled, min(MORE, count))
            times.append(time.perf_counter() - began)
    return {"photos": count} | {name: min(times) for name, times in seconds.items()}


def with_interval(values: list[float]) -> str:
    """Return the mean and its 95 % interval, by Student's t distribution, since the seeds are few."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3f} (95 %: {mean - half:.3f} to {mean + half:.3f})"


def report_gain(found: dict[str, list[dict[str, float]]]) -> str:
    """Return a line a method: its AP of each seed, their mean, and what it has more than photos at random."""
    lines = []
    for method, rows in found.items():
        scores = [row["ap"] for row in rows]
        line = f"{method:8} AP {statistics.mean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})"
        line += f", AP50 {statistics.mean(row['ap50'] for row in rows):.3f}"
        line += f", {statistics.mean(row['boxes'] for row in rows):.0f} boxes, of them dogs "
        line += f"{statistics.mean(row['of_rare'] for row in rows):.0f}"
        if method not in (BEFORE, "random"):
            more = [score - row["ap"] for score, row in zip(scores, found["random"], strict=True)]
            line += f"; against random {with_interval(more)}"
        lines.append(line)
    return "\n".join(lines)


def report_boxes(rows: list[dict[str, float]]) -> str:
    """Return what is left to do with suggestions, of each seed and as a mean."""
    share, actions = (
        [row[name] / row[of] for row in rows] for name, of in (("kept", "boxes"), ("actions", "from_nothing"))
    )
    # To go on to the next photo takes a click, with suggestions and without; of the rest they can save all.
    boxes = [(row["actions"] - row["photos"]) / row["boxes"] for row in rows]
    return (
        f"{rows[0]['photos']:.0f} photos with {rows[0]['boxes']:.0f} boxes: {with_interval(share)} need no hand; "
        f"clicks and drags against from nothing {with_interval(actions)}, without those from photo to photo "
        f"{with_interval(boxes)}"
    )


def once(path: Path, options: argparse.Namespace, *arguments: str) -> dict[str, float]:
    """Return what a process of its own found and wrote, of this time or of an earlier one.

    Args:
        path: of the JSON file, ``WHAT.json`` in the folder of what is done.
        options: of this program.
        arguments: to it.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            __file__,
            "--photos",
            options.photos,
            "--work",
            options.work,
            "--one",
            path,
            *arguments,
        ]
        command += ["--steps", options.steps] if options.steps else []
        home = {"KERAS_HOME": str(options.work / "keras"), "XDG_CACHE_HOME": str(options.work / "cache")}
        subprocess.run(list(map(str, command)), check=True, env=os.environ | home)
    return json.loads(path.read_text())


def one(options: argparse.Namespace) -> None:
    """Do one thing, and write what was found."""
    path, seed = Path(options.one[0]), int(options.one[1])
    if path.stem == "time":
        found = measure_time(options.photos, options.work, options.ranked)
    elif path.stem == "boxes":
        found = correct(options.photos, path.parent, seed)
    else:
        rare = path.parent.name.startswith("rare")
        found = learn(options.photos, path.parent, path.stem, seed, options.steps, rare)
    path.write_text(json.dumps(found))


def main() -> None:
    """Measure each part, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=asirra.SHARED / "data" / "asirra")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--steps", type=int, help="of each training; left out, the preset's")
    parser.add_argument("--ranked", type=int, default=RANKED, help="photos whose ranking is timed")
    parser.add_argument("--work", type=Path, help="keep what is made in this folder, and go on there")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(options)
    options.work = options.work or Path(tempfile.mkdtemp())
    if not (options.work / "keras").is_dir():
        asirra.keras_home(options.work)

    def of_seeds(folder: str, what: str) -> list[dict[str, float]]:
        return [once(options.work / f"{folder}-{n}" / f"{what}.json", options, str(n)) for n in range(options.seeds)]

    for part, folder in (("gain", "seed"), ("rare", "rare")):
        if part in options.parts:
            print(f"{part}:\n{report_gain({what: of_seeds(folder, what) for what in (BEFORE, *METHODS)})}")
    if "boxes" in options.parts:
        of_seeds("seed", BEFORE), of_seeds("seed", "rank")
        print(f"boxes: {report_boxes(of_seeds('seed', 'boxes'))}")
    if "time" in options.parts:
        once(options.work / "seed-0" / f"{BEFORE}.json", options, "0")
        found = once(options.work / "time.json", options, "0")
        print(
            f"{found['photos']:.0f} photos: {found['detecting']:.1f} s to detect in; ranking takes "
            f"{found['new'] / found['detecting']:.2f} x that, again {found['again'] / found['detecting']:.2f} x"
        )


if __name__ == "__main__":
    main()
