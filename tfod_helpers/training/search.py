"""The batch size and the learning rate that suit a model and a machine, found by trying."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from tfod_helpers import experiment, runtime
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.network import weights
from tfod_helpers.network.model import freeze
from tfod_helpers.presets import keys
from tfod_helpers.training.steps import BadLossError, Steps, scope

_WORTH = 1.05  # times as fast: for less a larger batch is not worth its memory
_RATES = (1e-6, 1.0)
_DIVERGED = 3.0  # times the lowest loss so far


@dataclass(frozen=True)
class BatchTrial:
    """What `find_batch_size` found.

    Attributes:
        best: the batch size to use.
        frame: a row each size that was tried: batch_size, images_per_second, and what went wrong, if anything.
    """

    best: int
    frame: pd.DataFrame

    def __str__(self) -> str:
        largest = self.frame.loc[self.frame["problem"] == "", "batch_size"].max()
        failed = self.frame.loc[self.frame["problem"] != "", "batch_size"]
        limit = f"; {failed.iloc[0]} does not fit" if len(failed) else "; larger ones were not tried"
        return f"Batch size {self.best} is the best of those that fit, up to {largest}{limit}."


@dataclass(frozen=True)
class RateTrial:
    """What `find_learning_rate` found.

    Attributes:
        best: the highest learning rate to train with.
        frame: a row a step: learning_rate, loss, and smoothed, the loss without its jitter.
    """

    best: float
    frame: pd.DataFrame

    def __str__(self) -> str:
        worst = self.frame["learning_rate"].max()
        return f"Learning rate {self.best:.1e}: there the loss fell fastest; tried up to {worst:.1e}."


def find_batch_size(config: ExperimentConfig, *, largest: int | None = None, steps: int = 5) -> BatchTrial:
    """Train a few steps with ever larger batches until one does not fit into memory, or none is faster.

    They are trained in another process, so that one that is killed for its memory takes nothing along. On a TPU,
    which only one process can use, run this before anything else.

    Args:
        config: the settings; its batch size does not matter.
        largest: the largest to try; left out, the number of training photos.
        steps: of each size, after a first one that is not timed.

    Raises:
        ValueError: ``largest`` is below 1.
        MemoryError: not even a batch of one fits.
        RuntimeError: trying failed, and not for want of memory.
    """
    largest = min(largest or config.task.train_images, config.task.train_images)
    if largest < 1:
        raise ValueError(f"largest must be at least 1, got {largest}.")
    sizes = [size for size in (2**n for n in range(2, 20)) if size <= largest]
    rows = list(tqdm(try_sizes(config, sizes, steps), total=len(sizes), unit="size", desc="trying batch sizes"))
    if not any(problem == "" for *_, problem in rows):  # not even four fit
        rows += try_sizes(config, [size for size in (1, 2) if size <= largest], steps)
    frame = pd.DataFrame(rows, columns=["batch_size", "images_per_second", "problem"])
    fits = frame[frame["problem"] == ""]
    if fits.empty:
        raise MemoryError(
            f"Not even one image of {config.task.model.input_size[0]} pixels fits into memory ({rows[0][2]}). Use a "
            f"smaller image_size or a smaller preset."
        )
    fastest = fits["images_per_second"].max()
    best = int(fits.loc[fits["images_per_second"] * _WORTH >= fastest, "batch_size"].iloc[0])
    return BatchTrial(best, frame)


def try_sizes(config: ExperimentConfig, sizes: list[int], steps: int) -> Iterator[tuple[int, float, str]]:
    """Train in another process, and yield a row each batch size until one fails or two in a row are no faster.

    Yields:
        The size, images a second, and what went wrong, if anything.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = experiment.save(config, Path(folder) / "config.yaml")
        command = [sys.executable, "-m", "tfod_helpers.training.search", str(path), str(steps), *map(str, sizes)]
        with (
            (Path(folder) / "errors").open("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            rates: list[float] = []
            try:
                for line, size in zip(process.stdout or [], sizes, strict=False):
                    rates.append(json.loads(line)["images_per_second"])
                    yield size, rates[-1], ""
                    if len(rates) > 2 and max(rates[-2:]) < max(rates[:-2]) * _WORTH:
                        return
                if process.wait() and len(rates) < len(sizes):
                    yield sizes[len(rates)], 0.0, _why(process.returncode, errors)
            finally:
                process.kill()


def _why(code: int, errors: Any) -> str:
    errors.seek(0)
    lines = [line for line in errors.read().splitlines() if line.strip()]
    if code == -9:
        return "the system stopped it for want of memory"
    full = [line for line in lines if "ResourceExhausted" in line or "OOM" in line or "MemoryError" in line]
    if not full:
        raise RuntimeError("Trying batch sizes failed, and not for want of memory:\n" + "\n".join(lines[-15:]))
    return full[-1][:200]


def _trial(path: str, steps: int, sizes: list[int]) -> None:
    """Train a few steps of each size, and print a line of JSON each; runs in a process of its own."""
    if (score := Path("/proc/self/oom_score_adj")).exists():
        score.write_text("1000")  # of all processes this is the one to stop when memory ends
    strategy = runtime.connect().strategy
    for size in sizes:
        config = experiment.change(experiment.load(path), {keys.BATCH_SIZE: size})
        print(json.dumps({"images_per_second": images_per_second(config, strategy, steps)}), flush=True)


def images_per_second(config: ExperimentConfig, strategy: tf.distribute.Strategy, steps: int) -> float:
    """Return how fast a config trains, by the time of some steps after a first one that builds the graph.

    Raises:
        tf.errors.ResourceExhaustedError: the batch does not fit into memory.
    """
    with scope(config, strategy):
        made = Steps(config)
        freeze(made.model, config.task.frozen_stride if config.task.weights else 0)
        made.run(1)
        began = time.perf_counter()
        made.run(steps)
        seconds = time.perf_counter() - began
    return config.task.train_data.global_batch_size * steps / seconds


def find_learning_rate(
    config: ExperimentConfig, *, steps: int = 100, strategy: tf.distribute.Strategy | None = None
) -> RateTrial:
    """Train with an ever higher learning rate, and find where the loss falls fastest (Smith 2017, section 3.3).

    The model is thrown away afterwards.

    Args:
        config: the settings; its learning rate does not matter.
        steps: in which the rate rises from 1e-6 to 1.
        strategy: from `runtime.connect`; left out, the best device is taken.

    Raises:
        ValueError: fewer than 20 steps, or the loss fell nowhere.
    """
    if steps < 20:
        raise ValueError(f"find_learning_rate needs at least 20 steps to see where the loss falls, got {steps}.")
    strategy = strategy or runtime.connect().strategy
    with scope(config, strategy):
        tf_keras.utils.set_random_seed(config.task.train_data.seed or 0)
        rate = tf.Variable(_RATES[0], trainable=False, dtype=tf.float32)
        made = Steps(config, rate=rate)
        loaded = weights.load_for(made.model, config.task)
        frozen = 0 if loaded.source == "scratch" else config.task.frozen_stride
        freeze(made.model, frozen, norms=loaded.norms_stay)
        rows = list(_rise(made, rate, steps))
    frame = pd.DataFrame(rows, columns=["learning_rate", "loss"], dtype=float)
    tenth = steps // 10
    frame["smoothed"] = frame["loss"].ewm(span=max(5, tenth)).mean()
    settled = frame.iloc[tenth:]  # the first losses are those of a model that knows nothing yet
    slopes = _slopes(np.log10(settled["learning_rate"].to_numpy()), settled["loss"].to_numpy(), tenth)
    if not (slopes < 0).any():
        raise ValueError("The loss fell at no learning rate. Check the labels with checks.check, then the records.")
    return RateTrial(float(settled["learning_rate"].iloc[int(np.argmin(slopes)) + tenth]), frame)


def _slopes(x: np.ndarray, y: np.ndarray, half: int) -> np.ndarray:
    """Return the slope of the line through each point and those around it, ``half`` of them to each side.

    One batch's loss differs from the next one's by more than a step teaches: the slope between neighbours says little.
    """
    windows = np.lib.stride_tricks.sliding_window_view
    size = 2 * half + 1
    if len(x) < size:
        return np.empty(0)
    centred = windows(x, size) - windows(x, size).mean(axis=1, keepdims=True)
    return (centred * windows(y, size)).sum(axis=1) / (centred**2).sum(axis=1)


def _rise(made: Steps, rate: tf.Variable, steps: int) -> Iterator[dict[str, float]]:
    lowest = math.inf
    for value in tqdm(np.geomspace(*_RATES, steps), unit="step", desc="trying learning rates"):
        rate.assign(value)
        try:
            loss = made.run(1, limit=_DIVERGED * lowest)["loss"]
        except BadLossError:
            return
        lowest = min(lowest, loss)
        yield {"learning_rate": float(value), "loss": loss}


if __name__ == "__main__":
    _trial(sys.argv[1], int(sys.argv[2]), [int(size) for size in sys.argv[3:]])
