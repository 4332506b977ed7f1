"""The classes of a dataset: spelled in several ways, rare, missing from a split, or shared out unevenly."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from tfod_helpers.annotations import Dataset
from tfod_helpers.checks.boxes import all_boxes
from tfod_helpers.presets import mirroring
from tfod_helpers.problems import Problem, Severity

SPELLED_DIFFERENTLY = "class spelled differently"  # the kind of problem; formats report it too
_LETTER, _WORD = r"[^\W\d_]", 3  # letters: with fewer a name is a symbol
_RARE = 10  # boxes: with fewer a class is learned by luck
_SHARE_FACTOR = 1.5  # a smaller difference of a class's share between splits does no harm
_SIZE_DIFFERENCE = 0.15  # so much of the boxes' sizes may lie elsewhere
# Of 1000 data sets that were split at random one would be called uneven.
_CHI_SQUARE, _KOLMOGOROV = 10.83, 1.95


def alike(names: Sequence[str]) -> list[list[str]]:
    """Return the names that are surely one, in groups of two or more.

    They differ only in capitals, in how accents are encoded, or in spaces, hyphens and underscores between letters.
    Short names are symbols (K and k, Na and NA, AB and A-B); where capitals tell single letters apart, as in an
    alphabet, they do so in longer names too (Delta and delta); and what stands at an end or beside a number has a
    meaning (A-, -1).
    """
    single = [name for name in names if len(name) == 1]
    capitals_count = len({name.casefold() for name in single}) < len(single)

    def spelling(name: str) -> str:
        text = re.sub(rf"(?<={_LETTER})[\s_-]+(?={_LETTER})", "", unicodedata.normalize("NFC", name))
        text = re.sub(r"(?<=\w)[\s_](?=\w)", " ", text)
        if sum(map(str.isalpha, text)) < _WORD:
            return name
        return text if capitals_count else text.casefold()

    return _grouped(names, spelling)


def _grouped(names: Sequence[str], spelling: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[spelling(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _loosely(name: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFC", name)).casefold() or name


def check_classes(dataset: Dataset) -> Iterator[Problem]:
    """Yield what is wrong with the classes, and how the splits differ, where every image has one."""
    if not len(dataset):
        return
    names, total = dataset.label_map.names, dataset.counts()
    surely = alike(names)
    for group in _grouped(names, _loosely):
        shown = " and ".join(f"{name!r} ({_boxes(total[name])})" for name in group)
        severity: Severity = "note"
        fix = "That may be meant; if they are one, write it in one way."
        if any(len(set(group) & set(one)) > 1 for one in surely):
            severity, fix = "warning", "Write it in one way; checks.mend takes the most frequent one."
        yield _problem(f"{shown} are taken as {len(group)} classes", fix, severity, SPELLED_DIFFERENTLY)
    yield from _mirror_images(names)
    for name in names:
        if (plural := f"{name}s") in names:
            what = f"{name!r} ({_boxes(total[name])}) and {plural!r} ({_boxes(total[plural])}) are taken as 2 classes"
            fix = "If they are one, write it in one way."
            yield _problem(what, fix, "note", "class in singular and plural")
        if total[name] == 0:
            fix = "Label some, or leave the class out of the label map."
            yield _problem(f"class {name!r} has no box", fix, "warning", "class without boxes")
        elif total[name] < _RARE:
            fix = f"Label more, {_RARE} at the very least; below 50 expect it to be missed often."
            yield _problem(f"class {name!r} has {_boxes(total[name])}", fix, "warning", "rare class")
    parts = dataset.splits() if all(image.split for image in dataset) else {}
    counts = {part: images.counts() for part, images in parts.items()}
    if len(parts) > 1:
        yield from _missing(counts, total)
        for one, other in pairwise(parts):
            yield from _shift(one, counts[one], other, counts[other])
            yield from _size_shift(one, parts[one], other, parts[other])


def _mirror_images(names: Sequence[str]) -> Iterator[Problem]:
    if pairs := mirroring.pairs(names):
        shown = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:3]) + ", ..." * (len(pairs) > 3)
        what = f"in a mirrored photo these classes change places: {shown}"
        fix = "experiment.make trains on them without mirroring; in another program turn horizontal flips off."
        yield _problem(what, fix, "warning", "classes that are mirror images")


def _missing(counts: Mapping[str, Mapping[str, int]], total: Mapping[str, int]) -> Iterator[Problem]:
    for part, count in counts.items():
        for name in count:
            if total[name] and not count[name]:
                fix = "Split again with Dataset.split, which shares out every class, or label more."
                what = f"class {name!r} has {_boxes(total[name])}, and none in {part!r}"
                yield _problem(what, fix, "warning", "class missing from a split")


def _shift(one: str, first: Mapping[str, int], other: str, second: Mapping[str, int]) -> Iterator[Problem]:
    boxes = sum(first.values()), sum(second.values())
    if not all(boxes):
        return
    for name in first:
        shares = first[name] / boxes[0], second[name] / boxes[1]
        if not min(shares) or max(shares) < _SHARE_FACTOR * min(shares):
            continue
        # Pearson's chi-square of the table (this class, the others) x (one split, the other), 1 degree of freedom
        expected = (first[name] + second[name]) / sum(boxes)
        spread = expected * (1 - expected) * (1 / boxes[0] + 1 / boxes[1])
        if spread and (shares[0] - shares[1]) ** 2 / spread > _CHI_SQUARE:
            what = f"class {name!r} is {shares[0]:.0%} of the boxes in {one!r}, and {shares[1]:.0%} in {other!r}"
            fix = "Split again with Dataset.split, or expect the evaluation to differ from the training."
            yield _problem(what, fix, "warning", "splits with different classes")


def _size_shift(one: str, first: Dataset, other: str, second: Dataset) -> Iterator[Problem]:
    """Compare the boxes' sizes by the largest distance of their distributions (Kolmogorov and Smirnov)."""
    sizes = [np.sort(_relative_sizes(dataset)) for dataset in (first, second)]
    if not all(len(size) for size in sizes):
        return
    every = np.concatenate(sizes)
    below = [np.searchsorted(size, every, side="right") / len(size) for size in sizes]
    distance = float(np.abs(below[0] - below[1]).max())
    if distance > max(_SIZE_DIFFERENCE, _KOLMOGOROV * np.sqrt(1 / len(sizes[0]) + 1 / len(sizes[1]))):
        medians = [f"{np.median(size):.0%}" for size in sizes]
        what = (
            f"half of the boxes are larger than {medians[0]} of the image's side in {one!r}, {medians[1]} in {other!r}"
        )
        fix = "Split again with Dataset.split, or expect the evaluation to differ from the training."
        yield _problem(what, fix, "warning", "splits with different sizes")


def _relative_sizes(dataset: Dataset) -> np.ndarray:
    """Return the side of a square of each box's area against one of its image's area."""
    boxes_xyxy, _, sizes = all_boxes(dataset.images)
    return np.sqrt((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1) / sizes.prod(axis=1))


def _boxes(count: int) -> str:
    return f"{count} box{'es' * (count != 1)}"


def _problem(what: str, fix: str, severity: Severity, kind: str) -> Problem:
    return Problem(where="classes", what=what, fix=fix, severity=severity, kind=kind)
