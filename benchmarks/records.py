"""How long a folder of photos with Pascal VOC XML takes to become records, against what people use today.

    python benchmarks/records.py                       # the Asirra train photos, 995
    python benchmarks/records.py --images 20000        # as many, by copying those under new names
    python benchmarks/records.py --folder my/photos    # other photos; the classes must be cat and dog

The rivals are the two scripts of the old tutorials (XML to CSV, CSV to one TFRecord) and the Model
Garden's ``create_coco_tf_record`` with two processes, which is given the boxes as COCO JSON, made before.
Neither decodes a photo; ours decodes every one to prove it whole. Each measure is a process of its own,
from its start to its end, and the sides take turns. Two limits show how much is left to win: copying the
photos' bytes into one file, and only decoding them on all cores.
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
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT.parent / "shared" / "data" / "asirra" / "train"
OLD = str(ROOT / "benchmarks" / "old_scripts.py")
OURS = """
import sys
from tfod_helpers import records
from tfod_helpers.formats import voc
print(records.write(voc.read(sys.argv[1]), sys.argv[2]).count)
"""
COPY = """
import pathlib, shutil, sys
with open(sys.argv[2], "wb") as target:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")):
        with path.open("rb") as photo:
            shutil.copyfileobj(photo, target)
"""
# Pillow decodes with libjpeg-turbo; at an eighth of the size all of the coded data is still read.
DECODE = """
import multiprocessing, pathlib, sys
from PIL import Image

def decode(path):
    with Image.open(path) as image:
        image.draft("L", (image.width // 8, image.height // 8))
        image.load()

with multiprocessing.get_context("fork").Pool() as pool:
    for _ in pool.imap_unordered(decode, sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")), 64):
        pass
"""


def run(*arguments: str, watch: list[int] | None = None) -> tuple[float, list[str]]:
    """Run Python and return the seconds it took and the words it printed.

    Args:
        *arguments: of Python's command line.
        watch: gets the bytes of memory of the process and those that it started, sampled as it runs.
    """
    with tempfile.TemporaryDirectory() as cache:  # nothing is known from the run before
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "XDG_CACHE_HOME": cache}
        environment["PYTHONDONTWRITEBYTECODE"] = ""  # this package is compiled once, as pip compiles the others
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if watch is not None:
            threading.Thread(target=_sample, args=(process, watch), daemon=True).start()
        output, errors = process.communicate()
        took = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{errors}")
    return took, output.split()


def _sample(process: subprocess.Popen[str], watch: list[int]) -> None:
    while process.poll() is None:
        watch.append(sum(map(_memory, _tree(process.pid))))
        time.sleep(0.05)


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return []
    return [pid, *(one for child in children for one in _tree(int(child)))]


def _memory(pid: int) -> int:
    """Return a process's share of memory in bytes; what processes share is divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def multiplied(folder: Path, count: int, target: Path) -> Path:
    """Fill a folder with ``count`` photos and annotations, the same ones again and again under new names."""
    target.mkdir()
    annotations = sorted(folder.glob("*.xml"))
    for number in range(count):
        annotation = annotations[number % len(annotations)]
        text = annotation.read_text(encoding="utf-8")
        photo = text.split("<filename>")[1].split("</filename>")[0]
        name = f"{number:06d}-{photo}"
        shutil.copyfile(folder / photo, target / name)
        (target / name).with_suffix(".xml").write_text(text.replace(f">{photo}<", f">{name}<"), encoding="utf-8")
    return target


def coco_json(folder: Path, path: Path) -> Path:
    """Write what the Model Garden's script takes, of photos whose XML is sound."""
    sys.path.insert(0, str(ROOT))
    from tfod_helpers.formats import voc

    images, annotations = [], []
    for number, image in enumerate(dataset := voc.read(folder), start=1):
        images.append({"id": number, "file_name": image.path.name, "width": image.width, "height": image.height})
        for label, (xmin, ymin, xmax, ymax) in zip(image.labels.tolist(), image.boxes_xyxy.tolist(), strict=True):
            bbox = [xmin, ymin, xmax - xmin, ymax - ymin]
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": label, "iscrowd": 0}
            annotations.append(one | {"bbox": bbox, "area": bbox[2] * bbox[3]})
    categories = [{"id": id, "name": name} for id, name in enumerate(dataset.label_map, start=1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def measure(folder: Path, coco: Path, work: Path) -> dict[str, float]:
    """Run every side once; return the seconds of each, and the most memory of ours in bytes."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    memory: list[int] = []
    ours, (*_, count) = run("-c", OURS, str(folder), str(work / "ours" / "train"))
    again, _ = run("-c", OURS, str(folder), str(work / "ours" / "train"))
    run("-c", OURS, str(folder), str(work / "watched" / "train"), watch=memory)  # watching costs time
    table, record = str(work / "labels.csv"), str(work / "train.record")
    to_csv, _ = run(OLD, "xml_to_csv", str(folder), table)
    to_record, (old_count, loop) = run(OLD, "generate_tfrecord", table, str(folder), record)
    if int(count) != int(old_count):
        sys.exit(f"ours wrote {count} photos, the old scripts {old_count}: not the same work")
    garden, _ = run(
        *("-m", "official.vision.data.create_coco_tf_record", f"--image_dir={folder}"),
        *(f"--object_annotations_file={coco}", f"--output_file_prefix={work}/garden"),
        *("--num_shards=4", "--num_processes=2"),
    )
    return {
        "images": int(count),
        "ours": ours,
        "again": again,
        "old": to_csv + to_record,
        "loop": float(loop),
        "garden": garden,
        "copy": run("-c", COPY, str(folder), str(work / "copy"))[0],
        "decode": run("-c", DECODE, str(folder))[0],
        "memory": max(memory, default=0),
    }


def report(results: list[dict[str, float]]) -> str:
    """Return the table: medians over the runs, and how they compare with ours."""
    at = {key: statistics.median(result[key] for result in results) for key in results[0]}
    rows = [
        ("ours: XML read, photos decoded, shards", at["ours"], ""),
        ("ours again, nothing changed", at["again"], f"{at['ours'] / at['again']:.1f} x faster than the first time"),
        ("old scripts: xml_to_csv, generate_tfrecord", at["old"], f"{at['old'] / at['ours']:.1f} x ours"),
        ("  the second one's loop, without imports", at["loop"], f"{at['loop'] / at['ours']:.1f} x ours"),
        ("Model Garden: create_coco_tf_record", at["garden"], f"{at['garden'] / at['ours']:.1f} x ours"),
        ("limit: copying the photos' bytes", at["copy"], f"ours is {at['ours'] / at['copy']:.1f} x this"),
        ("limit: only decoding, all cores", at["decode"], f"ours is {at['ours'] / at['decode']:.1f} x this"),
    ]
    lines = [f"{at['images']:.0f} images, {len(results)} runs, medians of whole processes"]
    lines += (f"{what:44}{took:8.2f} s  {ratio}" for what, took, ratio in rows)
    lines.append(f"{'ours, most memory of all processes':44}{at['memory'] / 1e6:8.0f} MB")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="photos with their XML beside them")
    parser.add_argument("--images", type=int, help="how many photos to make of those in the folder")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder}: there is no such folder. Name one with --folder.")
    with tempfile.TemporaryDirectory() as name:
        folder, work = arguments.folder, Path(name) / "work"
        if arguments.images:
            folder = multiplied(folder, arguments.images, Path(name) / "photos")
        coco = coco_json(folder, Path(name) / "coco.json")
        measure(folder, coco, work)  # unmeasured: fills the disk's cache
        print(report([measure(folder, coco, work) for _ in range(arguments.runs)]))


if __name__ == "__main__":
    main()
