"""How long the checks take on a folder of photos, against only decoding the same photos.

    python benchmarks/checks.py                       # the Asirra train photos, 995
    python benchmarks/checks.py --images 20000        # as many, by copying those under new names
    python benchmarks/checks.py --folder my/photos    # other photos, with Pascal VOC XML beside them

Both are processes of their own that take turns; what is compared is the time within them, without the
start of Python, and for the checks without reading the XML. Decoding is what proves a photo whole: at an eighth
of its size, which still reads all of its coded data, by as many processes as there are cores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from records import FOLDER, multiplied, run

CHECK = """
import sys, time
from tfod_helpers import checks
from tfod_helpers.formats import voc
started = time.perf_counter()
dataset = voc.read(sys.argv[1], on_problem="skip")
read = time.perf_counter()
report = checks.check(dataset)
print(read - started, time.perf_counter() - read, len(report.problems))
"""
# Pillow decodes with libjpeg-turbo.
DECODE = """
import multiprocessing, pathlib, sys, time
from PIL import Image

def decode(path):
    with Image.open(path) as image:
        image.draft("L", (image.width // 8, image.height // 8))
        image.load()

paths = sorted(pathlib.Path(sys.argv[1]).glob("*.jpg"))
started = time.perf_counter()
with multiprocessing.get_context("fork").Pool() as pool:
    for _ in pool.imap_unordered(decode, paths, 64):
        pass
print(time.perf_counter() - started, len(paths))
"""


def report(results: list[dict[str, float]]) -> str:
    """Return the table: medians over the runs, and the ratio."""
    at = {key: statistics.median(result[key] for result in results) for key in results[0]}
    return "\n".join(
        [
            f"{at['images']:.0f} images, {len(results)} runs, medians",
            f"reading the XML                {at['read']:8.2f} s",
            f"checks, decoding included      {at['check']:8.2f} s  {at['problems']:.0f} problems found",
            f"only decoding, all cores       {at['decode']:8.2f} s",
            f"checks / only decoding         {at['check'] / at['decode']:8.2f}",
        ]
    )


def measure(folder: Path) -> dict[str, float]:
    """Run both once; return the seconds of each."""
    _, (read, check, problems) = run("-c", CHECK, str(folder))
    _, (decode, images) = run("-c", DECODE, str(folder))
    return {
        "images": int(images),
        "read": float(read),
        "check": float(check),
        "problems": int(problems),
        "decode": float(decode),
    }


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
        folder = arguments.folder
        if arguments.images:
            folder = multiplied(folder, arguments.images, Path(name) / "photos")
        measure(folder)  # unmeasured: fills the disk's cache
        print(report([measure(folder) for _ in range(arguments.runs)]))


if __name__ == "__main__":
    main()
