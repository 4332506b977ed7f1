"""Suggestions + what a person made of them -> what was changed, and how much work that was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.evaluation.matching import overlapping_pairs
from tfod_helpers.labelling.effort import FITS
from tfod_helpers.photos.folder import folded

if TYPE_CHECKING:
    import pandas as pd

_SAME_PLACE = 0.5  # IoU, from which on a box is moved rather than deleted and drawn anew
_EXACT = 1 - 1e-6  # the highest IoU that is asked for: that of a box with itself is rounded
_COLUMNS = ("photo", "change", "label_before", "label_after", "iou", "box_before_xyxy", "box_after_xyxy")


@dataclass(frozen=True, repr=False)
class Correction:
    """What a person changed, and how many actions of the hand that took.

    An action is one drag (a box drawn, moved or resized) or one click or key (a box deleted, a class changed, a photo
    left for the next). From nothing there would be a drag for each box, and one action for each photo. To choose the
    class of a box that is drawn is not counted, which favours labelling from nothing.

    Attributes:
        photos: those that both have, and a person has confirmed.
        boxes: that these have in the end.
        suggested: boxes that they had before.
        kept: boxes that needed no hand: of the same class, and in their place as `compare` was told.
        moved: boxes that were moved or resized, whether or not their class was changed too.
        classes_changed: boxes that got another class, whether or not they were moved too.
        added: boxes that no suggestion stood for.
        deleted: suggestions that stand for no box.
        waiting: photos with suggestions that nobody has confirmed yet, or that are not in the later dataset.
        table: a row a box: photo, change (``kept``, ``moved``, ``class changed``, ``moved, class changed``, ``added``
            or ``deleted``), label_before, label_after (empty where there is no such box), iou (NaN there),
            box_before_xyxy and box_after_xyxy (pixels; None there).
    """

    photos: int
    boxes: int
    suggested: int
    kept: int
    moved: int
    classes_changed: int
    added: int
    deleted: int
    waiting: int
    table: pd.DataFrame = field(repr=False, compare=False)

    @property
    def share_kept(self) -> float:
        """The share of all boxes that needed no hand; NaN where there is no box."""
        return self.kept / self.boxes if self.boxes else float("nan")

    @property
    def actions(self) -> int:
        """Clicks, keys and drags that the corrections took."""
        return self.moved + self.added + self.deleted + self.classes_changed + self.photos

    @property
    def from_nothing(self) -> int:
        """Clicks, keys and drags without suggestions."""
        return self.boxes + self.photos

    def __repr__(self) -> str:
        photos, boxes = (f"{n:,} {word}{end * (n != 1)}" for n, word, end in _counted(self.photos, self.boxes))
        share = f"{self.share_kept:.0%} of them" if self.boxes else "none"
        lines = [
            f"{photos} with {boxes}: {share} needed no hand ({self.kept:,} of {self.suggested:,} suggested were kept).",
            f"{self.moved:,} moved, {self.classes_changed:,} with another class, {self.added:,} added, "
            f"{self.deleted:,} deleted.",
            f"{self.actions:,} clicks, keys and drags; from nothing {self.from_nothing:,}.",
        ]
        if self.waiting:
            lines.append(f"{self.waiting:,} photo{'s' * (self.waiting != 1)} not confirmed yet, and not counted.")
        return "\n".join(lines)


def _counted(photos: int, boxes: int) -> tuple[tuple[int, str, str], ...]:
    return (photos, "photo", "s"), (boxes, "box", "es")


def compare(before: Dataset, after: Dataset, *, iou: float = FITS) -> Correction:
    """Compare suggestions with what a person made of them; or with true labels, for what a person would have to do.

    Photos are known by their file names, and classes by their names. Boxes are matched one to one as `evaluation.match`
    does it, the most confident first: of the same class and in their place, then in their place, then of the same class
    and overlapping by IoU 0.50, then overlapping by that.

    Args:
        before: the suggestions.
        after: the labels. Photos of it that hold suggestions still, or that ``before`` lacks, are not counted.
        iou: the overlap from which on a box is in its place. At 0.70 the suggestion would do as a label; 1 says what
            was touched at all, and so counts what a person really did.

    Raises:
        ValueError: they have no photo in common that a person has confirmed, a photo has another size, two photos of
            one dataset have one name, or ``iou`` is not between 0.50 and 1.
    """
    import pandas as pd

    if not _SAME_PLACE <= iou <= 1:
        raise ValueError(f"iou must be between {_SAME_PLACE} and 1, got {iou}.")
    pairs = _pairs(before, after)
    names = LabelMap(dict.fromkeys((*before.label_map, *after.label_map)))
    first, last = (
        _Boxes(images, dataset.label_map, names)
        for images, dataset in zip(zip(*pairs, strict=True), (before, after), strict=True)
    )
    partner = _matched(first, last, min(iou, _EXACT))
    rows = [*_rows(pairs, first, last, partner, min(iou, _EXACT), names)]
    changes = Counter(change for _, change, *_ in rows)
    return Correction(
        photos=len(pairs),
        boxes=len(last.labels),
        suggested=len(first.labels),
        kept=changes["kept"],
        moved=changes["moved"] + changes["moved, class changed"],
        classes_changed=changes["class changed"] + changes["moved, class changed"],
        added=changes["added"],
        deleted=changes["deleted"],
        waiting=len(before) - len(pairs),
        table=pd.DataFrame(rows, columns=list(_COLUMNS)),
    )


def _pairs(before: Dataset, after: Dataset) -> list[tuple[LabelledImage, LabelledImage]]:
    """Return the photos that both have and a person has confirmed, as they were and as they are."""
    then, now = _by_name(before, "before"), _by_name(after.only_confirmed(), "after")
    pairs = [(image, now[name]) for name, image in then.items() if name in now]
    if not pairs:
        raise ValueError(
            f"The two datasets have no photo in common that a person has confirmed: {len(before)} photos before, such "
            f"as {_example(before)}, and {len(after)} after, such as {_example(after)}, of which {after.unconfirmed} "
            f"are suggestions still. Photos are known by their file names; labelling.confirm says that all were seen."
        )
    for one, other in pairs:
        if (one.width, one.height) != (other.width, other.height):
            raise ValueError(
                f"{one.path.name} has {one.width} x {one.height} pixels before and {other.width} x {other.height} "
                f"after, so its boxes cannot be compared. Read both with the same photos, and the same way_up."
            )
    return pairs


def _by_name(dataset: Dataset, which: str) -> dict[str, LabelledImage]:
    found: dict[str, LabelledImage] = {}
    for image in dataset:
        other = found.setdefault(folded(image.path.name), image)
        if other is not image:
            raise ValueError(
                f"{other.path} and {image.path} ({which}) have one name. Compare one split or folder alone."
            )
    return found


def _example(dataset: Dataset) -> str:
    return dataset[0].path.name if len(dataset) else "none"


class _Boxes:
    """All boxes of some images, in long arrays; class ids are those of a label map that has all classes."""

    def __init__(self, images: Sequence[LabelledImage], own: LabelMap, names: LabelMap) -> None:
        ids = np.array([0, *(names.id(name) for name in own)])
        self.image = np.repeat(np.arange(len(images)), [len(image.labels) for image in images])
        self.labels = ids[np.concatenate([image.labels for image in images])]
        self.boxes_xyxy = np.concatenate([image.boxes_xyxy for image in images])
        confidences = [np.ones(len(one.labels)) if one.scores is None else one.scores for one in images]
        self.scores = np.concatenate(confidences)


def _matched(first: _Boxes, last: _Boxes, iou: float) -> np.ndarray:
    """Return which later box each earlier one became, or -1: int64, shape (n,)."""
    partner = np.full(len(first.labels), -1)
    many = max(first.labels.max(initial=0), last.labels.max(initial=0)) + 1
    for least, by_class in ((iou, True), (iou, False), (_SAME_PLACE, True), (_SAME_PLACE, False)):
        mine, theirs = np.flatnonzero(partner < 0), np.setdiff1d(np.arange(len(last.labels)), partner)
        group, other = (one.image * many + one.labels * by_class for one in (first, last))
        found = evaluation.match(
            *(first.boxes_xyxy[mine], group[mine], first.scores[mine]),
            *(last.boxes_xyxy[theirs], other[theirs], least),
        )
        partner[mine[found >= 0]] = theirs[found[found >= 0]]
    return partner


def _rows(
    pairs: Sequence[tuple[LabelledImage, LabelledImage]],
    first: _Boxes,
    last: _Boxes,
    partner: np.ndarray,
    iou: float,
    names: LabelMap,
) -> list[tuple[str, str, str, str, float, tuple[float, ...] | None, tuple[float, ...] | None]]:
    """Return the rows of `Correction.table`, photo by photo."""
    both = np.flatnonzero(partner >= 0)
    overlap = np.full(len(partner), np.nan)
    each = np.arange(len(both))
    boxes_xyxy = first.boxes_xyxy[both].astype(float), last.boxes_xyxy[partner[both]].astype(float)
    found = overlapping_pairs(boxes_xyxy[0], each, boxes_xyxy[1], each, _SAME_PLACE / 2)
    overlap[both[found.detection]] = found.iou
    added = np.setdiff1d(np.arange(len(last.labels)), partner)
    links = [*zip(range(len(partner)), partner.tolist(), strict=True), *((-1, at) for at in added.tolist())]
    rows = []
    for mine, theirs in links:
        at = last.image[theirs] if mine < 0 else first.image[mine]
        was, now = (names.name(int(one.labels[n])) if n >= 0 else "" for one, n in ((first, mine), (last, theirs)))
        shown = (tuple(one.boxes_xyxy[n].tolist()) if n >= 0 else None for one, n in ((first, mine), (last, theirs)))
        share = float(overlap[mine]) if mine >= 0 else float("nan")
        rows.append((int(at), pairs[at][0].path.name, _change(was, now, share >= iou), was, now, share, *shown))
    return [row[1:] for row in sorted(rows, key=lambda row: row[0])]


def _change(was: str, now: str, in_place: bool) -> str:
    if not (was and now):
        return "deleted" if was else "added"
    changes = ["moved"] * (not in_place) + ["class changed"] * (was != now)
    return ", ".join(changes) or "kept"
