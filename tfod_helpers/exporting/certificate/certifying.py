"""Exports are judged on the same photos by the same counting as the run that they were made from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from tfod_helpers import evaluation, photos
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector, ExportFacts
from tfod_helpers.detector.facts import VERSION
from tfod_helpers.evaluation import Difference
from tfod_helpers.exporting import model_card
from tfod_helpers.exporting.certificate import circumstances
from tfod_helpers.exporting.certificate.contenders import Contender, find_exports, find_reference
from tfod_helpers.exporting.certificate.judging import Judgement, PhotoSet
from tfod_helpers.exporting.certificate.result import Certificate
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Checkpoint, Run
from tfod_helpers.report.writing import plain

_MOST_LETTERS = 500  # of a reason: TensorFlow's can fill pages
_UNKNOWN = float("nan")
_IN_BROWSERS = ("tfjs", "web_page")  # formats whose processor's time is another program's
_ENDS = ("", "_low", "_high")
_SCORES = tuple(f"{name}{end}" for name in ("ap", "ap50", "ap_change", "ap50_change") for end in _ENDS)
_NUMBERS = (*_SCORES, "bytes", "ms", "cores", "box_pixels", "score", "matched", "alone")


@dataclass(frozen=True, eq=False)
class _Judged:
    name: str
    facts: ExportFacts
    detector: Detector
    judgement: Judgement


def certify(
    exports: storage.AnyPath | Iterable[storage.AnyPath],
    dataset: Dataset,
    *,
    reference: storage.AnyPath | Run | None = None,
    checkpoint: Checkpoint = "best",
    tolerance: float = 0.02,
    resamples: int = 1000,
    seed: int = 0,
) -> Certificate:
    """Judge exports on the same photos by the same counting as the run that they were made from.

    An export whose AP is lower by more than ``tolerance`` is unfit. The verdict is written into the ``export.json`` of
    each, in the place of an earlier one, and `Detector.load` says so of an unfit one.

    Args:
        exports: export folders of any format, local or ``gs://``; one alone, too. One that cannot be loaded or run
            has the reason in its row, and its ``export.json`` stays as it is.
        dataset: labelled photos that the run was not trained on, such as the validation photos.
        reference: what the exports are compared with: a run folder, or an export folder, which need not be among
            ``exports``. Left out, the first SavedModel among them, which computes what the run does.
        checkpoint: which of the run's models, where the reference is a run: ``"best"``, ``"last"`` or a step.
        tolerance: AP that an export may lose.
        resamples: how many times the photos are sampled for the 95 % intervals.
        seed: of the samples.

    Returns:
        The certificate: print it, or let a notebook show it; ``.write(folder)`` makes a page of it.

    Raises:
        FileNotFoundError: the reference is neither a run nor an export, or a run without a model; or a photo is gone.
        ValueError: there is no export, no photo, no object or no reference, a folder is given twice, the reference
            cannot be run or has no class in common with the dataset, or a number is out of range.
        photos.PhotoError: a photo cannot be read.
    """
    _check(dataset, tolerance, resamples)
    contenders = find_exports(exports)
    first = find_reference(contenders, reference, checkpoint)
    every = [first, *(one for one in contenders if one is not first)]
    facts = circumstances.describe(dataset)
    facts |= {"reference": first.name, "tolerance": tolerance, "resamples": resamples}
    photo_set = PhotoSet(dataset)
    judged: dict[str, _Judged | str] = {}
    with tqdm(total=len(every) * len(dataset), unit="photo") as bar:
        for one in every:
            bar.set_description(f"certifying {one.name}")
            judged[one.name] = outcome = _judge(one, photo_set, bar, resamples=resamples, seed=seed)
            if one is first and isinstance(outcome, str):
                raise ValueError(f"{one.where}: nothing can be compared with it, since it cannot be judged ({outcome})")
            bar.update(len(judged) * len(dataset) - bar.n)  # the rest, of one that gave up
    best = judged[first.name]
    assert isinstance(best, _Judged)
    facts |= {"threshold": best.detector.threshold, "versions": circumstances.versions()}
    rows = {one.name: _row(one, judged[one.name], best, facts, seed) for one in every}
    for one in contenders:
        if not isinstance(judged[one.name], str):
            _keep(one, rows[one.name], facts)
    return Certificate(pd.DataFrame.from_dict(rows, orient="index").rename_axis("export"), facts)


def _check(dataset: Dataset, tolerance: float, resamples: int) -> None:
    if not len(dataset):
        raise ValueError("The dataset has no photos, so nothing can be judged. Give labelled ones, such as validation.")
    if not any(image.counted.any() for image in dataset):
        raise ValueError("There is no object in the dataset that counts, so nothing can be judged. Label some.")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is AP that an export may lose, from 0 to below 1, got {tolerance}.")
    if resamples < 1:
        raise ValueError(f"resamples must be 1 or more, got {resamples}.")


def _judge(one: Contender, photo_set: PhotoSet, bar: tqdm[Any], **score: int) -> _Judged | str:
    """Load and judge one; return why that failed, where it did: a missing runtime may not end what others have."""
    try:
        detector = one.load()
        assert one.facts is not None
        facts = one.facts
        if one.run is not None:
            facts = replace(facts, image_size=detector.image_size, resize=detector.resize or facts.resize)
        return _Judged(one.name, facts, detector, photo_set.judge(detector, bar, timed=one.run is None, **score))
    except photos.PhotoError:  # which is no export's fault
        raise
    except Exception as error:  # whatever a runtime raises
        words = " ".join(str(error).split()) or type(error).__name__
        return words.removesuffix(".") if len(words) <= _MOST_LETTERS else f"{words[:_MOST_LETTERS]}…"


# --- a row ----------------------------------------------------------------------------------------


def _row(one: Contender, found: _Judged | str, best: _Judged, facts: Mapping[str, Any], seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(one.facts, name, "") for name in ("format", "precision")}
    if isinstance(found, str):
        return row | dict.fromkeys(_NUMBERS, _UNKNOWN) | {"fit": None, "verdict": "not judged", "notes": found}
    result, expected = found.judgement.evaluation, best.judgement.evaluation
    change = evaluation.difference(result, expected, resamples=facts["resamples"], seed=seed)
    near = evaluation.agreement(result, expected, best.detector.threshold)
    fit, words = verdict(change, facts["tolerance"], facts["reference"])
    if found is best:
        fit, words = None, "the reference"
    numbers = [result.ap, *result.intervals["ap"], result.ap50, *result.intervals["ap50"]]
    numbers += [change.ap, *change.ap_interval, change.ap50, *change.ap50_interval]
    numbers += [circumstances.size(one.where, found.facts) if one.run is None else _UNKNOWN]
    cores = _UNKNOWN if found.facts.format in _IN_BROWSERS else found.judgement.cores
    numbers += [found.judgement.ms, cores, near.pixels, near.score, near.matched, near.alone]
    row |= dict(zip(_NUMBERS, numbers, strict=True))
    return row | {"fit": fit, "verdict": words, "notes": "; ".join(_notes(found, best))}


def verdict(change: Difference, tolerance: float, reference: str) -> tuple[bool | None, str]:
    """Return whether an export is fit, None where the photos cannot tell, and the same in words.

    Args:
        change: how much higher its AP is than the reference's.
        tolerance: AP that it may lose.
        reference: the reference's name.
    """
    low, high = change.ap_interval
    if change.ap < -tolerance:
        return False, f"unfit: AP fell by {-change.ap:.3f} ({tolerance:g} at most)"
    if low >= -tolerance:
        return True, f"as good as {reference}"
    these = f"{'this' if change.images == 1 else 'these'} {change.images:,} photo{'s' * (change.images != 1)}"
    if np.isnan(low):
        return None, f"cannot be told apart from {reference} with {these}"
    if high >= 0:
        return None, f"cannot be told apart from {reference} with {these}: AP may have fallen by up to {-low:.3f}"
    return None, f"AP fell by {-change.ap:.3f}, and with {these} cannot be told from {-low:.3f} ({tolerance:g} at most)"


def _notes(found: _Judged, best: _Judged) -> Iterator[str]:
    """Yield in what an export differs from the reference that is no matter of its format."""
    mine, theirs, name = found.facts, best.facts, best.name
    if any(getattr(mine, key) != getattr(theirs, key) for key in ("preset", "step", "ap")):
        yield f"made from another model: {_origin(mine)}, and {name}: {_origin(theirs)}"
    classes, expected = list(found.detector.label_map), list(best.detector.label_map)
    if lacking := [one for one in expected if one not in classes]:
        yield f"does not know {', '.join(lacking)}, which {name} does"
    if more := [one for one in classes if one not in expected]:
        yield f"knows {', '.join(more)}, which {name} does not"
    for key, words in (("resize", "photos are resized by {}"), ("image_size", "the input has {} pixels a side")):
        if (a := getattr(mine, key)) != (b := getattr(theirs, key)):
            yield f"{words.format(a)}, and {name}: {b}"


def _origin(facts: ExportFacts) -> str:
    known = "AP not measured before" if math.isnan(facts.ap) else f"AP {facts.ap:.3f} in training"
    return f"{facts.preset}, step {facts.step:,}, {known}"


def _keep(one: Contender, row: dict[str, Any], facts: Mapping[str, Any]) -> None:
    """Write what was found into the export itself; where that cannot be, say so in its row."""
    assert one.facts
    try:
        replace(one.facts, certificate=plain({**facts, **row}), version=VERSION).write(one.where)
        model_card.update(one.where)
    except OSError as error:
        row["notes"] = "; ".join(filter(None, [row["notes"], f"the verdict could not be written beside it ({error})"]))
