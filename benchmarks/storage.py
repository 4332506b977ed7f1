"""How long a folder of photos takes into a bucket, against Google's client asked for one file after another.

    python benchmarks/storage.py                  # 1,100 files of 25 kB
    python benchmarks/storage.py --runs 5

The bucket is the emulator of the tests, in a process of its own, which does one thing at a time and keeps nothing on
a disk. Before it stands a server that lets each answer take as long as over a network; with no such latency all that
is measured is how long the emulator takes, which cannot be divided among threads. Rivals are the loop that Google's
documentation shows (``Blob.upload_from_filename``), and Google's own ``transfer_manager`` with as many threads as ours.
Neither compares what is there already, nor names what failed. Sides take turns; the medians are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUCKET = "photos"
LATENCIES = (0.0, 0.02, 0.05)  # seconds: the emulator alone, a bucket of the same region, one farther away
EMULATOR = f"""
import sys
from gcp_storage_emulator.server import create_server
create_server("localhost", int(sys.argv[1]), in_memory=True, default_bucket="{BUCKET}").run()
"""
FRONT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from faults import Faults, standing_before
with standing_before(sys.argv[2], Faults(latency=float(sys.argv[3]))) as url:
    print(url, flush=True)
    time.sleep(3600)
"""
START = """
import sys, time
from pathlib import Path
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google
from tfod_helpers.files import storage
folder, name = Path(sys.argv[1]), sys.argv[2]
client = google.Client(project=None, credentials=AnonymousCredentials())
bucket = client.bucket("photos")
list(client.list_blobs(bucket, prefix="none"))
storage.sizes("gs://photos/none")
started = time.perf_counter()
"""
SIDES = {
    "ours": 'storage.upload_folder(folder, f"gs://photos/{name}")',
    "again": 'storage.upload_folder(folder, f"gs://photos/{name}")',
    "one by one": "for p in sorted(folder.iterdir()): bucket.blob(f'{name}/{p.name}').upload_from_filename(str(p))",
    "transfer_manager": (
        "from google.cloud.storage import transfer_manager\n"
        "transfer_manager.upload_many_from_filenames(bucket, sorted(p.name for p in folder.iterdir()), "
        "source_directory=str(folder), blob_name_prefix=f'{name}/', raise_exception=True, worker_type='thread', "
        "max_workers=8)"
    ),
    "ours, back": 'storage.download_folder("gs://photos/down", Path(sys.argv[3]) / name)',
    "one by one, back": (
        "(Path(sys.argv[3]) / name).mkdir()\n"
        "for blob in client.list_blobs(bucket, prefix='down/'): "
        "blob.download_to_filename(str(Path(sys.argv[3]) / name / blob.name.split('/')[1]))"
    ),
}
END = "\nprint(time.perf_counter() - started)"


@contextlib.contextmanager
def serving(latency: float) -> Iterator[str]:
    """Start an emulator, and the server before it; give that one's URL."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    quiet = {"stderr": subprocess.DEVNULL, "text": True}
    emulator = subprocess.Popen([sys.executable, "-c", EMULATOR, str(port)], **quiet)
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 0.1):
            break
        time.sleep(0.05)
    command = [sys.executable, "-c", FRONT, str(ROOT / "tests"), f"localhost:{port}", str(latency)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    front = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, **quiet)
    try:
        yield front.stdout.readline().strip()
    finally:
        for process in (front, emulator):
            process.kill()
            process.wait()


def timed(side: str, url: str, *arguments: str) -> float:
    """Run one side in a process of its own; return the seconds it took, without its start."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STORAGE_EMULATOR_HOST": url}
    command = [sys.executable, "-c", START + SIDES[side] + END, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr}")
    return float(done.stdout)


def measure(folder: Path, latency: float, runs: int, work: Path) -> dict[str, float]:
    """Run every side so many times, in turns; return the median of the seconds of each."""
    took: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(runs):
        for side in SIDES:
            # Each has an emulator of its own: it gets slower with every file that it holds.
            with serving(latency) as url:
                name = f"{side} {number}"
                if side == "again":
                    timed("ours", url, str(folder), name)
                if side.endswith(", back"):
                    timed("ours", url, str(folder), "down")
                took[side].append(timed(side, url, str(folder), name, str(work / f"{latency}")))
    return {side: statistics.median(seconds) for side, seconds in took.items()}


def main() -> None:
    """Measure with each latency and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1100)
    parser.add_argument("--bytes", type=int, default=25_000, help="of each file")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "photos"
        folder.mkdir()
        for number in range(chosen.files):
            (folder / f"{number:05d}.jpg").write_bytes(draw.randbytes(chosen.bytes))
        for latency in LATENCIES:
            (Path(work) / f"{latency}").mkdir()
            took = measure(folder, latency, chosen.runs, Path(work))
            print(f"\n{chosen.files} files of {chosen.bytes / 1e3:.0f} kB, each answer after {latency * 1e3:.0f} ms")
            for side, seconds in took.items():
                down = side.endswith(", back")
                ratio = took["one by one, back" if down else "one by one"] / seconds
                print(f"  {side:18}{seconds:8.2f} s   {ratio:5.1f} times as fast as one by one", flush=True)


if __name__ == "__main__":
    main()
