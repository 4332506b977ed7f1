"""How long a zip of photos with their XML takes to become a folder, against the ``unzip`` program.

    python benchmarks/archives.py                      # the 1,100 Asirra photos, train and test
    python benchmarks/archives.py --folder my/photos   # other files
    python benchmarks/archives.py --runs 15

Both take turns, each into a folder that is not there, of the same zip, which the disk's cache holds. Ours is called in
this process, as a notebook calls it; ``unzip -q`` is a process of its own, from its start to its end. Where there is no
``unzip``, the rival is Python's ``zipfile.extractall``, which the table says. Ours counts every byte, refuses what
would leave the folder, and says in the folder what it was made from; the rivals do less. ``TMPDIR=/dev/shm`` leaves the
disk out, whose speed is the same for all.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT.parent / "shared" / "data" / "asirra"
sys.path.insert(0, str(ROOT))

from tfod_helpers import sources  # noqa: E402 - from this checkout, wherever it is run
from tfod_helpers.files import archives  # noqa: E402 - from this checkout, wherever it is run


def packed(folder: Path, path: Path) -> int:
    """Pack a folder as other programs do, compressed, and return how many files it has."""
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in files:
            archive.write(one, one.relative_to(folder.parent).as_posix())
    return len(files)


def by_unzip(path: Path, folder: Path) -> None:
    """Unpack with the program."""
    subprocess.run(["unzip", "-q", str(path), "-d", str(folder)], check=True)


def by_zipfile(path: Path, folder: Path) -> None:
    """Unpack with Python's own."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)


def by_local(path: Path, folder: Path) -> None:
    """Unpack as a notebook does, with the lock and the line that it prints."""
    sources.local(path, folder)


def timed(unpack: Callable[[Path, Path], object], path: Path, folder: Path) -> float:
    """Return the seconds that it takes to unpack into a folder that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    unpack(path, folder)
    return time.perf_counter() - started


def measure(path: Path, work: Path, runs: int) -> dict[str, list[float]]:
    """Return the seconds of each side, run by run."""
    sides: dict[str, Callable[[Path, Path], object]] = {"archives.unpack": archives.unpack, "sources.local": by_local}
    if shutil.which("unzip"):
        sides["unzip -q"] = by_unzip
    sides["zipfile.extractall"] = by_zipfile
    took: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(runs + 1):  # the first fills the disk's cache
        for name, unpack in sides.items():
            seconds = timed(unpack, path, work / "out")
            if run:
                took[name].append(seconds)
    by_local(path, work / "kept")
    started = time.perf_counter()
    by_local(path, work / "kept")
    took["sources.local again, nothing changed"] = [time.perf_counter() - started]
    return took


def report(took: dict[str, list[float]], count: int, size: int) -> str:
    """Return the table: medians, and how ours compares with the rival in the same run."""
    rival = "unzip -q" if "unzip -q" in took else "zipfile.extractall"
    lines = [
        f"{count:,} files, {size / 1e6:.1f} MB, {len(took[rival])} runs, medians; ratios are medians of each run's"
    ]
    for name, seconds in took.items():
        ratio = ""
        if len(seconds) == len(took[rival]):
            median = statistics.median(mine / other for mine, other in zip(seconds, took[rival], strict=True))
            ratio = "the rival" if name == rival else f"{median:.2f} x {rival}"
        lines.append(f"{name:38}{statistics.median(seconds):8.3f} s  {ratio}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what is packed")
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder}: there is no such folder. Name one with --folder.")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "photos.zip"
        count = packed(arguments.folder, path)
        with contextlib.redirect_stdout(io.StringIO()):  # what `sources.local` says each time
            took = measure(path, Path(name), arguments.runs)
        print(report(took, count, path.stat().st_size))


if __name__ == "__main__":
    main()
