"""Machines of Ray's that are taken away, killed or frozen while they train: does it always finish, and what is lost?

    python benchmarks/machines_ray.py [--losses 20] [--machines 3] [--steps 2000] [--seed 0]

One training of drawn rectangles on Ray's processes. Again and again one of them, chosen at random, gets SIGTERM,
SIGKILL or SIGSTOP, in a random order, at a random moment at least one checkpoint after the last loss. What is lost are
the steps between the one that the progress bar showed last and the one that the next group resumes from: none may be
after SIGTERM, and no more than a checkpoint interval after the others. At its end the training's AP is compared with
that of an unbroken one of the same settings (``--no-unbroken`` leaves it out).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tfod_helpers import experiment, jobs, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.experiment import ExperimentConfig

SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP)
COLOURS = ((230, 40, 40), (40, 40, 230))
INTERVAL = 8  # steps from checkpoint to checkpoint


@dataclass
class Loss:
    """One machine that was lost: by which signal, at which step, and how it went on."""

    number: signal.Signals
    rank: str
    step: int
    resumed: int | None = None
    seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def lost(self) -> int | None:
        """The steps that have to be made again."""
        return None if self.resumed is None else max(0, self.step - self.resumed)


class Ears(io.TextIOBase):
    """What the training says, passed on; the step it is at, and where a new group began."""

    encoding = "utf-8"

    def __init__(self, stream: io.TextIOBase, losses: list[Loss]) -> None:
        self._stream, self._losses = stream, losses
        self.step, self.since = 0, 0
        self.moving = False

    def isatty(self) -> bool:
        """Let the bar move with each loop of steps."""
        return True

    def write(self, text: str) -> int:
        """Take a piece of what is said."""
        self._stream.write(text)
        self._stream.flush()
        begins = re.search(r"Resuming from step (\d+) of|Weights: ", text)  # of a run that nothing was saved in
        if begins and self._losses:
            last = self._losses[-1]
            last.resumed, last.seconds = int(begins[1] or 0), time.monotonic() - last.began
            self.step = self.since = last.resumed
        if found := re.search(r"(\d+)/\d+ \[", text):
            step = int(found[1])
            self.moving = step > self.since
            if self._losses and self._losses[-1].resumed is None:
                self._losses[-1].step = max(self._losses[-1].step, step)  # those that were left went on for a while
            self.step = step
        if "Starting again" in text:
            self.moving = False
        return len(text)


def draw(folder: Path, count: int, seed: int) -> Dataset:
    """Draw photos of a red or a blue rectangle."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    images = []
    for number in range(count):
        rgb = chance.integers(0, 60, (64, 64, 3), np.uint8)
        (x0, y0), (x1, y1) = chance.integers(2, 16, 2), chance.integers(44, 63, 2)
        rgb[y0:y1, x0:x1] = COLOURS[number % 2]
        Image.fromarray(rgb).save(folder / f"{number}.png")
        images.append(
            LabelledImage(folder / f"{number}.png", 64, 64, np.array([[x0, y0, x1, y1]]), np.array([1 + number % 2]))
        )
    return Dataset(tuple(images), LabelMap(["red", "blue"]))


def settings(folder: Path, machines: int, steps: int) -> ExperimentConfig:
    """Write records, and return the smallest config that learns from them."""
    for part, count, seed in (("train", 8 * machines, 0), ("validation", 12, 1)):
        records.write(draw(folder / part, count, seed), folder / "records" / part)
    train, validation = (records.verify(folder / "records" / part) for part in ("train", "validation"))
    config = experiment.make(
        "mobilenet_v2_192",
        train=train,
        validation=validation,
        image_size=64,
        batch_size=2 * machines,
        train_steps=steps,
        learning_rate=0.01,
        weights=None,
    )
    slim = {"head.num_convs": 1, "head.num_filters": 16, "decoder.fpn.num_filters": 16, "anchor.num_scales": 1}
    slim |= {"backbone.mobilenet.model_id": "MobileNetV1", "norm_activation.use_sync_bn": False}
    often = {f"trainer.{name}_interval": INTERVAL for name in ("validation", "checkpoint")} | {
        "trainer.steps_per_loop": INTERVAL // 2
    }
    return experiment.change(config, {f"task.model.{name}": value for name, value in slim.items()} | often)


def processes() -> list[psutil.Process]:
    """The processes of Ray's that train."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()) and process.status() != psutil.STATUS_STOPPED:
                found.append(process)
    return sorted(found, key=lambda process: process.pid)


def lose(ears: Ears, losses: list[Loss], order: list[signal.Signals], machines: int) -> None:
    """Take the machines away, one after the other, each from a group that has moved on."""
    for number in order:
        while not (ears.moving and ears.step >= ears.since + INTERVAL):
            time.sleep(0.02)
        time.sleep(random.uniform(0, 5))
        there = processes()
        one = random.randrange(len(there))
        ears.moving = False
        losses.append(Loss(number, f"{one + 1} of {machines}", ears.step))
        there[one].send_signal(number)
        while losses[-1].resumed is None:
            time.sleep(0.05)


@contextlib.contextmanager
def heard(ears: Ears) -> Iterator[None]:
    """Let the training speak into the ears."""
    with contextlib.redirect_stdout(ears), contextlib.redirect_stderr(ears):
        yield


def main() -> int:
    """Run the losses, and print what they cost; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=20)
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000, help="enough for all losses to happen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-unbroken", dest="unbroken", action="store_false")
    given = parser.parse_args()
    random.seed(given.seed)
    order = [SIGNALS[number % 3] for number in range(given.losses)]
    random.shuffle(order)
    with tempfile.TemporaryDirectory() as name:
        folder, losses = Path(name), list[Loss]()
        config = settings(folder, given.machines, given.steps)
        ears = Ears(sys.stderr, losses)
        threading.Thread(target=lose, args=(ears, losses, order, given.machines), daemon=True).start()
        began = time.monotonic()
        with heard(ears):
            history = jobs.ray(config, folder / "run", machines=given.machines, restarts=2 * given.losses)
        print(f"\n{history}\nin {time.monotonic() - began:.0f} s")
        interval = history.run.read_manifest()["best_intervals"]["ap"]
        for loss in losses:
            print(
                f"{loss.number.name:8} machine {loss.rank}, step {loss.step:4}: resumed from {loss.resumed} after",
                end="",
            )
            print(f" {loss.seconds:.0f} s, {loss.lost} steps lost")
        bad = [one for one in losses if one.lost is None or one.lost > (one.number != signal.SIGTERM) * INTERVAL]
        if given.unbroken:
            with heard(Ears(sys.stderr, [])):
                whole = jobs.ray(config, folder / "unbroken", machines=given.machines)
            low, high = whole.run.read_manifest()["best_intervals"]["ap"]
            print(f"AP {history.best['ap']:.3f} {interval}; unbroken {whole.best['ap']:.3f} [{low:.3f}, {high:.3f}]")
    print(f"{len(losses)} of {given.losses} losses happened, {len(bad)} of them cost more than they may.")
    return int(bool(bad) or len(losses) < given.losses)


if __name__ == "__main__":
    sys.exit(main())
