"""How long a folder of photos with Pascal VOC XML takes to become records, against the old tutorials' two scripts.

    python benchmarks/records.py                       # the Asirra train photos, 995
    python benchmarks/records.py --images 20000        # as many, by copying those under new names
    python benchmarks/records.py --folder my/photos    # other photos; the classes must be cat and dog

Each measure is a process of its own, from its start to its end, and the sides take turns. The old
scripts check nothing; ours decodes every photo to prove it whole.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
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


def run(*arguments: str) -> tuple[float, list[str]]:
    """Run Python with these arguments; return the seconds it took and the words it printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return took, done.stdout.split()


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


def measure(folder: Path, work: Path) -> dict[str, float]:
    """Run both sides once; return the seconds of each part."""
    ours, (count,) = run("-c", OURS, str(folder), str(work / "ours" / "train"))
    table, record = str(work / "labels.csv"), str(work / "train.record")
    to_csv, _ = run(OLD, "xml_to_csv", str(folder), table)
    to_record, (old_count, loop) = run(OLD, "generate_tfrecord", table, str(folder), record)
    if int(count) != int(old_count):
        sys.exit(f"ours wrote {count} photos, the old scripts {old_count}: not the same work")
    return {
        "images": int(count),
        "ours": ours,
        "xml_to_csv": to_csv,
        "generate_tfrecord": to_record,
        "loop": float(loop),
    }


def report(results: list[dict[str, float]]) -> str:
    """Return the table: medians over the runs, and how many times as long the old scripts take."""
    images, ours, to_csv, to_record, loop = (statistics.median(r[key] for r in results) for key in results[0])
    both = [r["xml_to_csv"] + r["generate_tfrecord"] for r in results]
    rows = [
        ("ours, whole process", ours, ""),
        ("old xml_to_csv, whole process", to_csv, ""),
        ("old generate_tfrecord, whole process", to_record, ""),
        ("old scripts together", statistics.median(both), f"{statistics.median(both) / ours:.1f} x ours"),
        ("old generate_tfrecord, its loop alone", loop, f"{loop / ours:.1f} x ours"),
    ]
    lines = [f"{images:.0f} images, {len(results)} runs, medians"]
    return "\n".join([*lines, *(f"{what:40}{took:8.2f} s {ratio}" for what, took, ratio in rows)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="photos with their XML beside them")
    parser.add_argument("--images", type=int, help="how many photos to make of those in the folder")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder}: there is no such folder. Name one with --folder.")
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder
        if arguments.images:
            folder = multiplied(folder, arguments.images, Path(name) / "photos")
        else:
            measure(folder, Path(name))  # unmeasured: fills the disk's cache, as making the copies does
        print(report([measure(folder, Path(name)) for _ in range(arguments.runs)]))


if __name__ == "__main__":
    main()
