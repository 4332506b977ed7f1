"""A detector on photos, one at a time -> its `Evaluation`, and how long a photo took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import supervision as sv
from tqdm import tqdm

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.photos import Letterboxed

WARM_UP = 3  # photos before the clock runs: the first prepares the model, the next ones the processor
_AT_ONCE = 16  # photos that are prepared before any of them is looked at; whole ones take memory
_MOST_KEPT = 1_000_000_000  # bytes of squares that are kept for the next detector


@dataclass(frozen=True)
class Judgement:
    """What a detector reached.

    Attributes:
        evaluation: its scores on the photos.
        ms: milliseconds a photo, the median; NaN where it was not timed.
        cores: how many cores of this machine were busy meanwhile, on average, for this process; NaN where it was not
            timed.
    """

    evaluation: Evaluation
    ms: float
    cores: float


class PhotoSet:
    """The photos of a dataset as detectors see them; those of the same input see the same squares, made once."""

    def __init__(self, dataset: Dataset) -> None:
        """Take a dataset; nothing is read yet."""
        self.dataset = dataset
        self._kept: dict[tuple[object, ...], list[Letterboxed]] = {}
        self._bytes = 0

    def judge(self, detector: Detector, bar: tqdm[Any], *, timed: bool, **score: int) -> Judgement:
        """Let a detector look at all photos, and score what it finds.

        What is timed is `Detector.detect_letterboxed` with one photo.

        Args:
            detector: the detector.
            bar: moved on by each photo.
            timed: look at one photo at a time, with a clock; otherwise at sixteen, as the training does.
            **score: further arguments of `evaluation.score`.

        Raises:
            FileNotFoundError: a photo is gone.
            photos.PhotoError: a photo cannot be read.
            ValueError: as `evaluation.score` raises.
        """
        evaluation.by_name(self.dataset.label_map, (), detector.label_map)  # no common class is said before the work
        look = detector.detect_letterboxed
        found: list[sv.Detections] = []
        clock = _Clock()
        for some in self._seen_by(detector):
            if timed and not found:
                for _ in range(WARM_UP):
                    look(some[:1], threshold=0.0)
            groups = [[one] for one in some] if timed else [some]
            for group in groups:
                with clock:
                    seen = look(group, threshold=0.0)
                for one in seen:  # boxes are scored; masks of each photo's size would fill the memory
                    one.mask = None
                found += seen
                bar.update(len(group))
        result = evaluation.score(self.dataset, found, label_map=detector.label_map, **score)
        return Judgement(result, *(clock.read() if timed else (np.nan, np.nan)))

    def _seen_by(self, detector: Detector) -> Iterator[list[Letterboxed]]:
        for start in range(0, len(self.dataset), _AT_ONCE):
            key = (type(detector).letterbox, detector.image_size, detector.resize, start)
            some = self._kept.get(key)
            if some is None:
                with ThreadPoolExecutor() as pool:
                    some = list(pool.map(detector.letterbox, self.dataset[start : start + _AT_ONCE]))
                size = sum(one.pixels.nbytes for one in some)
                if self._bytes + size <= _MOST_KEPT:
                    self._kept[key] = some
                    self._bytes += size
            yield some


class _Clock:
    """Counts the time of calls, each within a ``with``, and the processor's time of this process meanwhile."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._busy = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self._seconds.append(time.perf_counter() - self._started[0])
        self._busy += time.process_time() - self._started[1]

    def read(self) -> tuple[float, float]:
        """Return milliseconds a call, the median, and how many cores were busy."""
        return float(np.median(self._seconds)) * 1000, self._busy / max(sum(self._seconds), 1e-9)
