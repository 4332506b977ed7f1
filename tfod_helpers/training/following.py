"""An evaluator beside a training, on any machine: each model that the training keeps is judged once, as it comes."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import supervision as sv
import tensorflow as tf

from tfod_helpers import evaluation, experiment, records, runs
from tfod_helpers.annotations import Dataset
from tfod_helpers.evaluation import Evaluation, Scores
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Run, add_file, reading
from tfod_helpers.network.model import build_model
from tfod_helpers.records import Records
from tfod_helpers.training import detecting, events, history

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 4  # models that are held while one of them is judged, the oldest first: it is the next to be deleted
_BATCH = 16  # photos whose masks are encoded at once
_SHOWN = ("ap", "ap50", "ap75", "f1")


def follow(
    run: str | os.PathLike[str] | Run, photos: Records | Dataset, *, every: float = 10.0, patience: float = 120.0
) -> pd.DataFrame:
    """Judge each model of a run as its training writes it, with intervals, until the training is finished.

    It runs in another process than the training, on the same machine or another one, and only reads what the training
    writes: the averaged weights that it keeps at each of its evaluations, which `runs.checkpoints` lists and which the
    exports take by their step. Of a remote run that model alone is fetched. What was judged on the same photos before,
    also by another evaluator, is not judged again. What is deleted before it could be judged is named in the end: let
    the training keep each model, ``training.train(..., keep="all")``.

    For each model, ``evaluations/step-N.json`` in the run folder has its scores, intervals and APs by class, and
    ``events/eval`` shows them in TensorBoard, with photos. `runs.checkpoints` and `runs.evaluations` list them.

    On the one GPU of a machine that trains there is no room for a second program: let this one see none, with
    ``CUDA_VISIBLE_DEVICES=-1`` in its environment.

    Args:
        run: the run folder, local, on Drive or ``gs://``; it need not be there yet.
        photos: the records or the dataset to judge on.
        every: seconds between two looks at the run.
        patience: minutes without anything new of the training, after which it is given up.

    Returns:
        What `runs.evaluations` lists.

    Raises:
        TimeoutError: the training has not begun within ``patience``.
        FileNotFoundError: there is no such bucket.
        PermissionError: the run may not be read or written.
        ValueError: photos and run have no class in common, the photos no object, or a file of the run is damaged.
    """
    address = (run.remote or run.folder) if isinstance(run, Run) else run
    if storage.is_remote(address):
        storage.sizes(address)  # there may be no run yet, but there must be the bucket
    follower = _Follower(address, photos)
    heard, seen, problem = time.monotonic(), "", ""
    while True:
        try:
            news, problem = follower.look(), ""
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:  # such as a network that is gone for a while
            if str(error) != problem:
                print(f"{error} Looking again every {every:g} seconds.", flush=True)
            news, problem = seen, str(error)
        if follower.is_done:
            break
        if news != seen:
            heard, seen = time.monotonic(), news
        elif time.monotonic() - heard >= 60 * patience:
            follower.give_up(f"{patience:g} minutes")
            break
        else:
            time.sleep(every)
    follower.report()
    return runs.evaluations(address)


class _Follower:
    """What is known of a run, and what judges its models.

    Attributes:
        is_done: whether the training is finished, and its last model judged.
    """

    def __init__(self, address: storage.AnyPath, photos: Records | Dataset) -> None:
        """Read the photos."""
        self._address, self._mark = address, _fingerprint(photos)
        self._photos = photos if isinstance(photos, Dataset) else Dataset(tuple(records.read(photos)), photos.label_map)
        self._judge: _Judge | None = None
        self._unreadable: set[int] = set()
        self._manifest: dict[str, Any] = {}
        self._kept: list[int] = []
        self._evaluated: list[int] = []
        self._judged: dict[int, dict[str, Any]] = {}
        self._waits = False
        self.is_done = False

    def look(self) -> str:
        """Judge what is new; return what tells this state of run and judgements from others, empty without a run."""
        with contextlib.ExitStack() as stack:
            state = stack.enter_context(reading(self._address))
            pending = self._read(state)
            if not self._manifest:
                self._say_that_it_waits(state)
                return ""
            held = []
            for model in pending[:_AT_ONCE]:
                one = stack.enter_context(reading(self._address, model["step"]))
                with contextlib.suppress(FileNotFoundError, ValueError):  # deleted meanwhile, which `report` says
                    held.append((one, one.find_model(model["step"])))
            for number, (one, model) in enumerate(held):
                self._judge_model(one, model, len(pending) - 1 - number)
            self.is_done = bool(self._manifest.get("finished")) and not pending
            facts = ("id", "saves", "step", "finished")
            return repr([*(self._manifest.get(name) for name in facts), self._kept, sorted(self._judged)])

    def give_up(self, waited: str) -> None:
        """Say that nothing came for long.

        Raises:
            TimeoutError: nothing ever did.
        """
        if not self._manifest:
            raise TimeoutError(
                f"{self._address}: no training has begun here within {waited}. Check that the training writes to this "
                f"folder, or wait longer: training.follow(..., patience=...), in minutes."
            )
        step, planned = self._manifest.get("step", 0), self._manifest.get("planned_steps", "?")
        print(
            f"{self._address}: nothing new for {waited}, at step {step} of {planned}, so the training seems to have "
            f"stopped. When it goes on, follow it again: what is judged stays.",
            flush=True,
        )

    def report(self) -> None:
        """Say which model is the best, and what could not be judged."""
        if missed := [step for step in self._evaluated if step not in self._judged and step not in self._kept]:
            print(
                f"{self._address}: {len(missed)} models were deleted before they could be judged, of steps "
                f"{', '.join(map(str, missed[:10]))}{', ...' if len(missed) > 10 else ''}. "
                f"training.train(..., keep='all') keeps each.",
                flush=True,
            )
        scores = {step: self._judged[step]["ap"] for step in self._kept if step in self._judged}
        if scores:
            best = max(scores, key=lambda step: scores[step])
            print(
                f"{self._address}: {len(self._judged)} models judged. Of those that are kept the best is of step "
                f"{best}, AP {scores[best]:.3f}; runs.checkpoints lists them, and checkpoint={best} exports it.",
                flush=True,
            )

    def _read(self, state: Run) -> list[dict[str, Any]]:
        """Take in what a state says; return the models that are to be judged, the oldest first."""
        before, self._manifest = self._manifest.get("id"), state.read_manifest() or self._manifest
        if before != self._manifest.get("id"):  # another training, in the same place
            self._judge, self._unreadable = None, set()
        models = state.kept_models()
        self._kept = [one["step"] for one in models]
        self._evaluated = [int(row["step"]) for row in history.read_rows(state) if math.isfinite(row.get("ap", np.nan))]
        found = state.read_evaluations()
        self._judged = {step: one for step, one in found.items() if one["photos"]["fingerprint"] == self._mark}
        return [one for one in models if one["step"] not in {*self._judged, *self._unreadable}]

    def _say_that_it_waits(self, state: Run) -> None:
        if not self._waits:
            self._waits = True
            print(f"{state}: there is no training here yet; waiting for it.", flush=True)

    def _judge_model(self, run: Run, model: dict[str, Any], left: int) -> None:
        step, began = model["step"], time.perf_counter()
        self._judge = self._judge or _Judge(run, self._photos)
        try:
            result = self._judge.evaluate(run.prefix_of(model))
        except (tf.errors.OpError, AssertionError) as error:
            self._unreadable.add(step)
            words = str(error).strip().splitlines()[0][:200]
            print(f"{run}: the model of step {step} cannot be read ({words}), and is passed over.", flush=True)
            return
        facts = _facts(run, model, result, self._mark) | {"seconds": round(time.perf_counter() - began, 1)}
        with tempfile.TemporaryDirectory(prefix="tfod_helpers-") as folder:
            self._judge.write_events(folder, step, result)
            for path in sorted(Path(folder).iterdir()):
                add_file(self._address, f"events/eval/{path.name}", path)
            written = Path(folder, "evaluation.json")
            written.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            add_file(self._address, f"evaluations/step-{step}.json", written)  # last: it says that all is there
        self._judged[step] = facts
        more = f" {left} more to judge." if left else ""
        scores = ", ".join(f"{name} {result.with_interval(name.lower())}" for name in ("AP", "AP50"))
        print(f"step {step}: {scores}; judged in {facts['seconds']:.1f} s.{more}", flush=True)


class _Judge:
    """A run's network, and the photos as it sees them."""

    def __init__(self, run: Run, photos: Dataset) -> None:
        """Build the network once, for all models of the run."""
        config = experiment.load(run.config_path)
        self._model = build_model(config)
        self._masks = any(image.masks is not None for image in photos)
        self._detector = detecting.of_model(self._model, config, masks=self._masks)
        self._photos = detecting.PhotoSet(self._detector, photos)

    def evaluate(self, prefix: Path) -> Evaluation:
        """Return how good the model of a checkpoint is, on all photos."""
        detecting.fill(self._model, prefix)
        found = self._detect_masks() if self._masks else self._photos.detect()
        return evaluation.score(self._photos.dataset, found, label_map=self._detector.label_map)

    def _detect_masks(self) -> list[sv.Detections]:
        """Return what is found, with masks encoded as they come: as they are, those of all photos fill the memory."""
        found: list[sv.Detections] = []
        for start in range(0, len(self._photos.letterboxed), _BATCH):
            images = self._photos.dataset[start : start + _BATCH]
            seen = [self._photos.letterboxed[start + number] for number in range(len(images))]
            batch = self._detector.detect_letterboxed(seen)
            found += [evaluation.only_encoded(one, image) for one, image in zip(batch, images, strict=True)]
        return found

    def write_events(self, folder: str, step: int, result: Evaluation) -> None:
        """Write what TensorBoard shows of a model into an event file of its own, under the training's own names."""
        writer = tf.summary.create_file_writer(folder, filename_suffix=f".step-{step}")
        with contextlib.closing(writer), writer.as_default(step=step):
            for name in _SHOWN:
                low, high = result.intervals.get(name, (math.nan, math.nan))
                for tag, value in ((name, getattr(result, name)), (f"{name}_low", low), (f"{name}_high", high)):
                    tf.summary.scalar(tag, value)
            if result.masks is not None:
                tf.summary.scalar("mask ap", result.masks.ap)
                tf.summary.scalar("mask ap50", result.masks.ap50)
            for label, ap in result.per_class["ap"].items():
                tf.summary.scalar(f"ap by class/{label}", ap)
            events.write_photos(self._photos, result.detections)


def _facts(run: Run, model: dict[str, Any], result: Evaluation, mark: str) -> dict[str, Any]:
    """Return what ``step-N.json`` says; what is not known is null."""
    objects = int(result.per_class["boxes"].sum())
    per_class = result.per_class.to_dict(orient="index")
    return {
        "run": run.read_manifest().get("id"),
        "step": model["step"],
        "model": model["checkpoint"],
        "photos": {"fingerprint": mark, "images": result.images, "objects": objects},
        "training": {name: _number(model[name]) for name in ("ap", "ap50")},
        **_scores(result),
        "f1": _number(result.f1),
        "threshold": _number(result.threshold),
        "masks": None if result.masks is None else _scores(result.masks),
        "per_class": {name: {key: _number(value) for key, value in row.items()} for name, row in per_class.items()},
        "judged": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _scores(scores: Scores) -> dict[str, Any]:
    known = {name: _number(getattr(scores, name)) for name in ("ap", "ap50", "ap75")}
    return known | {"intervals": {name: list(map(_number, ends)) for name, ends in scores.intervals.items()}}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _fingerprint(photos: Records | Dataset) -> str:
    """Return what stands for photos and their labels, so that other ones are judged on anew."""
    if isinstance(photos, Records):
        return photos.fingerprint
    found = hashlib.sha256(repr(list(photos.label_map)).encode())
    for image in photos:
        found.update(repr((image.path.name, image.width, image.height)).encode())
        for values in (image.boxes_xyxy, image.labels, image.crowd, image.difficult):
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:32]
