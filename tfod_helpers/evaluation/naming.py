"""Detections -> the same with a dataset's class ids, by the names of their classes.

Two label maps may have the same classes in another order, or only some in common, so an id alone says nothing. A
`Detector` and supervision's readers name the class of each detection, in ``data["class_name"]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers.annotations import LabelMap

if TYPE_CHECKING:
    import supervision as sv

_NAMES = "class_name"  # supervision's key
_SHOWN = 10


def by_name(
    label_map: LabelMap, detections: Sequence[sv.Detections], known: LabelMap | None = None
) -> tuple[Sequence[sv.Detections], list[str]]:
    """Return the detections with the ids that their classes have in a dataset, and the classes that it lacks.

    Args:
        label_map: the dataset's. Detections of a class that it lacks are left out.
        detections: one for each image; returned themselves where their ids are the dataset's already.
        known: the detector's classes, which the ids are of where detections name none; None where these are the
            dataset's.

    Raises:
        ValueError: detector and dataset have no class in common, or an id is not in the detector's label map.
    """
    named = [_names(one, known) for one in detections]
    if len({names is None for one, names in zip(detections, named, strict=True) if len(one)}) > 1:
        raise ValueError("Some detections name their classes and others do not. Give class_name to all or to none.")
    found = dict.fromkeys(name for names in named for name in names or ())
    theirs = list(known or found)
    if theirs and not any(name in label_map for name in theirs):
        raise ValueError(
            f"The detector has the classes {listed(theirs)}, the dataset {listed(label_map)}: none in common, so "
            f"nothing can be counted. Write the names alike on both sides."
        )
    ids = {name: id for id, name in zip(label_map.ids, label_map, strict=True)}
    strange = [name for name in dict.fromkeys([*theirs, *found]) if name not in ids]
    labels = [None if names is None else np.array([ids.get(name, 0) for name in names]) for names in named]
    pairs = list(zip(detections, labels, strict=True))
    if all(mine is None or (mine.all() and mine.tolist() == _ids(one)) for one, mine in pairs):
        return detections, strange
    return [_with_ids(one, mine) for one, mine in pairs], strange


def _ids(one: sv.Detections) -> list[int] | None:
    return None if one.class_id is None else one.class_id.tolist()


def _names(one: sv.Detections, known: LabelMap | None) -> list[str] | None:
    """Return the class of each detection of an image; None where nothing says which."""
    if not len(one):
        return None
    if _NAMES in one.data:
        return list(map(str, one.data[_NAMES]))
    ids = _ids(one)
    if known is None or ids is None:
        return None
    try:
        return [known.name(id) for id in ids]
    except KeyError as error:
        raise ValueError(f"{error.args[0]} ({known.describe()}). Where the detector counts from 0, add 1.") from None


def _with_ids(one: sv.Detections, labels: np.ndarray | None) -> sv.Detections:
    """Return a copy with other class ids, without those of id 0."""
    if labels is None:
        return one
    kept: Any = one[labels > 0]  # supervision's type allows for a name in the brackets
    kept.class_id = labels[labels > 0]
    return kept


def listed(names: Iterable[str]) -> str:
    """Return names on one line, shortened where there are many."""
    every = list(names)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
