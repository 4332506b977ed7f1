"""Photos without labels -> which of them to label next, and why.

The photos come first of which the detector is least sure, and in which it finds classes with few labels; of photos in
which it finds nothing, those that look least like what is labelled.

How unsure: of each detection the margin between its class and the next best one there (1-vs-2), summed over the photo,
which did best of the sums, means and maxima that Brust, Käding and Denzler compared (Active Learning for Deep Object
Detection, 2019). As there, classes with few labels count for more. An export tells only the best class of a box, so the
next best one is that of a detection in the same place, and a detection counts by its confidence too, since most faint
ones are of nothing at all.

Measured (``benchmarks/labelling.py``): 100 more photos beside 100 that are labelled, of about 600 of cats and dogs,
most of one animal, as many of both; AP on 298 others, mean of three seeds, and its difference (95 %). Farthest is the
greedy choice of Sener and Savarese (Core-Set Approach, 2018), by thumbnails; drawn is the stochastic one of Kirsch,
Farquhar and others (Stochastic Batch Acquisition, 2023).

================================================  =====  ===========================
at random                                         .489
the most unsure (this)                            .487   -.002 (-.016 to +.012)
the same with detections from .02 on, not .05     .473   -.016 (-.059 to +.026)
these times how far from those before             .479   -.010 (-.058 to +.038)
drawn by how unsure                               .483   -.006 (-.026 to +.014)
drawn by how unsure and how unlike                .469   -.021 (-.061 to +.020)
================================================  =====  ===========================

So nothing here beats chance where classes are even and each photo shows one animal; three seeds tell none of these
apart, and the simplest was kept. Where dogs were rare, 11 of 108 labelled boxes, it found 26 of them in its 100 photos
and chance 15: AP .456 against .434, +.021 (-.019 to +.061). That depends on the detector: three earlier ones brought 7,
8 and 22 photos of dogs, and chance 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from tfod_helpers import evaluation
from tfod_helpers import photos as photos_
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.detector import Detector, TiledDetector
from tfod_helpers.detector.detections import batches, each
from tfod_helpers.evaluation.matching import overlapping_pairs
from tfod_helpers.labelling.given import AnyPhotos, photo_paths
from tfod_helpers.photos import Look, near_duplicates
from tfod_helpers.problems import DatasetError, Problem

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv


_LEAST = 0.05  # confidence: what is less sure is mostly of nothing
_SAME_PLACE = 0.5  # IoU, from which on boxes of two classes are of one object
_MUCH = 0.75  # of all photos have less of what is called much
_LITTLE = 1e-3  # of unsureness: looks decide only where nothing is found
_NAMED = 2  # detections that a reason names


class _Seen(NamedTuple):
    """What was detected in one photo: how unsure, how rare and by which class most, and in words."""

    unsure: float
    rare: float
    rarest: str
    detected: str


def rank(
    detector: Detector | TiledDetector,
    photos: AnyPhotos | Dataset,
    labelled: Dataset,
    count: int,
    *,
    batch_size: int = 16,
) -> pd.DataFrame:
    """Choose photos to label next, the first one first, and say why: unsure, of a rare class, unlike what is labelled.

    Where a class is rare, mostly more of it is chosen than at random. Where classes are even and photos show one
    object, do not expect a better detector than from photos at random: there no gain was measured (`ranking` has the
    figures). What it surely spares you is to label the same thing twice.

    Photos that are labelled already may be among them: these are left out, as are near-duplicates of what is labelled
    or chosen, and photos that cannot be read; a line says how many. The same photos give the same table, in whatever
    order they come.

    Args:
        detector: one that was trained on what is labelled.
        photos: a folder, with its subfolders; or the photos' paths; or a dataset, whose labels are ignored.
        labelled: what has been labelled so far; suggestions that nobody has confirmed are not.
        count: how many photos to choose.
        batch_size: photos a call of the model.

    Returns:
        One row a photo, the one to label first at the top: path; reason, in words; unsure, 0 or more; unlike, how
        little it looks like what is labelled: 0 for a copy, about 1 for anything else; rare, 0 where
        what is detected is of classes with as many labels as others, the more the fewer; detected, the surest ones.
        ``.attrs["problems"]`` says which photos cannot be read, ``.attrs["near_duplicates"]`` which are left out as
        such.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        DatasetError: there is no photo, or none that can be read.
        TypeError: ``photos`` is none of these.
        ValueError: ``count`` is below 1, or detector and labelled photos have no class in common.
    """
    import pandas as pd

    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    labelled = labelled.only_confirmed()
    _compare_classes(detector.label_map, labelled.label_map)
    given = [image.path for image in photos] if isinstance(photos, Dataset) else photo_paths(photos)
    looks, problems = _readable(sorted(set(given)))  # in one order, whatever it was
    known = [look for look in photos_.look_at([image.source for image in labelled]) if isinstance(look, Look)]
    seen = _detect(detector, list(looks), labelled, batch_size)
    worth = np.array([one.unsure + one.rare for one in seen])
    chosen, unlike, left_out = _choose(worth, list(looks.values()), known, count)
    names = [str(path) for path in looks]
    reasons = _reasons(seen, unlike, labelled)
    rows = [(names[at], reasons[at], seen[at].unsure, unlike[at], seen[at].rare, seen[at].detected) for at in chosen]
    table = pd.DataFrame(rows, columns=["path", "reason", "unsure", "unlike", "rare", "detected"])
    table.attrs |= {"problems": list(map(str, problems)), "near_duplicates": [names[at] for at in left_out]}
    _say(problems, len(left_out), len(chosen), count)
    return table


def _compare_classes(known: LabelMap, wanted: LabelMap) -> None:
    """Refuse a detector without a class in common, before it takes time; say which classes only one side has."""
    _, strange = evaluation.by_name(wanted, (), known)
    unknown = [name for name in wanted if name not in known]
    if strange:
        print(f"The labelled photos lack {', '.join(strange)}, so detections of that are left out.")
    if unknown:
        print(f"The detector does not know {', '.join(unknown)}: such photos are only chosen by their looks.")


def _readable(paths: Sequence[Path]) -> tuple[dict[Path, Look], list[Problem]]:
    """Return what is seen of each photo that is whole, and what is wrong with the others."""
    looks: dict[Path, Look] = {}
    problems: list[Problem] = []
    for path, look in zip(paths, photos_.look_at(paths), strict=True):
        if isinstance(look, Look):
            looks[path] = look
        else:
            problems.append(Problem(where=str(path), what=look.what, fix=look.fix, photo=str(path)))
    if problems and not looks:
        raise DatasetError(problems, "no photo can be read")
    if not looks:
        raise ValueError("There is no photo to choose from, got an empty list. Give a folder or the paths of photos.")
    return looks, problems


def _detect(
    detector: Detector | TiledDetector, paths: Sequence[Path], labelled: Dataset, batch_size: int
) -> list[_Seen]:
    names, rarity = list(labelled.label_map), _rarity(labelled)
    seen: list[_Seen] = []
    with tqdm(total=len(paths), unit="photo", desc="detecting") as bar:
        for batch in batches(paths, batch_size):
            found = detector.detect(batch, threshold=_LEAST, batch_size=batch_size)
            named, _ = evaluation.by_name(labelled.label_map, found, detector.label_map)
            seen += [_sum_up(one, names, rarity) for one in named]
            bar.update(len(batch))
    return seen


def _rarity(labelled: Dataset) -> np.ndarray:
    """Return how much more a box of each class counts, shape (classes,): 0 where as many are labelled as on average."""
    boxes = np.array(list(labelled.counts().values()))
    return ((boxes.sum() + len(boxes)) / (boxes + 1) / len(boxes) - 1).clip(0)


def _sum_up(found: sv.Detections, names: Sequence[str], rarity: np.ndarray) -> _Seen:
    """Say how unsure the detections of one photo are, and how rare.

    Unsure is the sum of ``p (1 - (p - q))^2``: p is the confidence of a detection, q that of the surest one of another
    class in the same place, or 0. Rare is the sum of ``p r``, where r is the rarity of the class: also a sure detection
    of a class with few labels is worth a label.
    """
    assert found.confidence is not None
    assert found.class_id is not None
    sure, boxes_xyxy, kinds = found.confidence.astype(float), found.xyxy.astype(float), found.class_id - 1
    one_photo = np.zeros(len(sure), int)
    pairs = overlapping_pairs(boxes_xyxy, one_photo, boxes_xyxy, one_photo, _SAME_PLACE)
    pairs = pairs[kinds[pairs.detection] != kinds[pairs.object]]
    second = np.zeros(len(sure))
    np.maximum.at(second, pairs.detection, sure[pairs.object])
    unsure = float((sure * (1 - (sure - second)) ** 2).sum())
    of_class = np.bincount(kinds, sure * rarity[kinds], len(names))
    return _Seen(unsure, float(of_class.sum()), names[int(of_class.argmax())], _in_words(found))


def _in_words(found: sv.Detections) -> str:
    """Return the surest detections, such as ``dog 0.41, cat 0.38``."""
    sure = sorted(((confidence, name) for _, confidence, name in each(found)), key=lambda one: (-one[0], one[1]))
    return ", ".join(f"{name} {confidence:.2f}" for confidence, name in sure[:_NAMED]) or "nothing"


def _choose(
    worth: np.ndarray, looks: Sequence[Look], known: Sequence[Look], count: int
) -> tuple[list[int], np.ndarray, list[int]]:
    """Choose the photos that are worth most; of those in which nothing is found, those unlike what is labelled.

    Args:
        worth: how unsure and how rare what is detected is, shape (n,).
        looks: of the photos to choose from, n of them.
        known: of those that are labelled.
        count: how many to choose.

    Returns:
        The numbers of the chosen; how little each photo looks like what is labelled, shape (n,); and the numbers of
        near-duplicates of what is labelled or chosen.
    """
    thumbnails = np.stack([look.thumbnail for look in looks])
    vectors = near_duplicates.frequencies(thumbnails)
    digests = np.array([look.digest for look in looks], object)
    unlike, again = np.ones(len(looks)), np.zeros(len(looks), bool)

    def look_away(look: Look, vector: np.ndarray) -> np.ndarray:
        likeness = vectors @ vector
        again[(digests == look.digest) | near_duplicates.same(thumbnails, look.thumbnail, likeness)] = True
        return 1 - likeness

    for look in known:
        vector = near_duplicates.frequencies(look.thumbnail[None])[0]
        np.minimum(unlike, look_away(look, vector).clip(0), out=unlike)
    chosen: list[int] = []
    for at in np.argsort(-(worth + _LITTLE * unlike), kind="stable").tolist():
        if len(chosen) == count:
            break
        if not again[at]:
            chosen.append(at)
            look_away(looks[at], vectors[at])
    return chosen, unlike, [int(at) for at in np.flatnonzero(again) if at not in set(chosen)]


def _reasons(seen: Sequence[_Seen], unlike: np.ndarray, labelled: Dataset) -> list[str]:
    """Say in words what each photo has more of than most others."""
    counts = labelled.counts()
    unsure = np.array([one.unsure for one in seen])
    shares = [np.searchsorted(np.sort(figure), figure) / len(figure) for figure in (unsure, unlike)]
    reasons = []
    for one, is_unsure, is_unlike in zip(seen, *shares, strict=True):
        words = []
        if one.rare > one.unsure:
            words.append(f"rare class: {one.rarest}, {counts[one.rarest]} labelled")
        if is_unsure >= _MUCH or (is_unsure >= is_unlike and is_unlike < _MUCH and not words):
            words.append(f"unsure: {one.detected}")
        if is_unlike >= _MUCH or not words:
            words.append("unlike what is labelled")
        reasons.append("; ".join(words))
    return reasons


def _say(problems: Sequence[Problem], left_out: int, chosen: int, count: int) -> None:
    """Print what a person has to know besides the table."""
    if problems:
        print(f"Left out, since they cannot be read, {_photos(len(problems))}:", *problems, sep="\n  ")
    if left_out:
        print(f"Left out as nearly the same as one that is labelled or chosen: {_photos(left_out)}.")
    if chosen < count:
        print(f"{count} were asked for, and there are {chosen} to choose from: all of them are in the table.")


def _photos(count: int) -> str:
    return f"{count} photo{'s' * (count != 1)}"
