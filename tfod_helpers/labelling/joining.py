"""What was labelled before and what was labelled now -> one dataset to train on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tfod_helpers import photos
from tfod_helpers.annotations import Dataset, LabelMap, split_role
from tfod_helpers.photos import near_duplicates


def join(labelled: Dataset, more: Dataset) -> Dataset:
    """Add newly labelled photos to those that were labelled before.

    The photos of validation and test stay the same, so that the next detector can be compared with the last one: where
    the old photos have splits, the new ones are for training. Only one that is nearly the same as an old photo goes
    where that is, or what is validated with would be trained on. A photo that both hold, the same file, is there once,
    with its new labels, and in its old split; a line says how many.

    Args:
        labelled: the old photos. Their classes keep their ids.
        more: the new ones, whose classes are known by their names; those that are new come last.

    Raises:
        DatasetError: one of them holds a detector's suggestions that nobody has confirmed.
    """
    for dataset in (labelled, more):
        dataset.refuse_unconfirmed("dataset", "trained on")
    names = (*labelled.label_map, *(name for name in more.label_map if name not in labelled.label_map))
    old, new = (dataset.with_label_map(LabelMap(names)) for dataset in (labelled, more))
    looks = photos.look_at([image.source for image in (*old, *new)], title="Comparing photos")
    same = near_duplicates.equal_files(looks)
    again = {number for members in same if members[-1] >= len(old) for number in members if number < len(old)}
    if again:
        print(f"Labelled before: {len(again)} of the new photos. Their new labels are taken.")
    like = {number: other for number, other, _ in reversed(near_duplicates.pairs(looks)) if other < len(old)}
    like |= {number: like.get(members[0], members[0]) for members in same for number in members}
    train = _training_split(old)
    kept = [image for number, image in enumerate(old) if number not in again]
    added = [
        replace(image, split=old[like[number]].split if like.get(number, number) < len(old) else train)
        for number, image in enumerate(new, start=len(old))
    ]
    return Dataset((*kept, *added), old.label_map, (*old.problems, *new.problems))


def _training_split(dataset: Dataset) -> str:
    """Return what the split for training is called; empty where there is none."""
    names = Counter(image.split for image in dataset if split_role(image.split) == "train")
    return names.most_common(1)[0][0] if names else ""
