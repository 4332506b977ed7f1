"""Labelled images that share a label map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from tfod_helpers.annotations.label_map import LabelMap
from tfod_helpers.annotations.labelled_image import LabelledImage
from tfod_helpers.annotations.split_names import split_role
from tfod_helpers.annotations.splitting import share_out
from tfod_helpers.problems import Problem, refused

_UNCONFIRMED = "suggestions not confirmed"  # the kind of problem
_CONFIRM = (
    "Look at them and correct them, in labelling.editor or in your own tool. Where that is done for all: "
    "labelling.confirm(dataset); to go on with those that are done: dataset.only_confirmed()."
)


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[LabelledImage]):
    """Labelled images that share a label map.

    Attributes:
        images: the images.
        label_map: the classes that ``labels`` point into.
        problems: what was found while reading and is not in ``images``.
    """

    images: tuple[LabelledImage, ...]
    label_map: LabelMap
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "problems", tuple(self.problems))
        top = max((int(image.labels.max()) for image in self.images if len(image.labels)), default=0)
        if top > len(self.label_map):
            raise ValueError(
                f"A label has class id {top}, and the label map has {len(self.label_map)} classes "
                f"({self.label_map.describe()}). Give the label map that the labels were made with."
            )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> LabelledImage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LabelledImage, ...]: ...
    def __getitem__(self, index: int | slice) -> LabelledImage | tuple[LabelledImage, ...]:
        """Return one image, or those of a slice."""
        return self.images[index]

    def __repr__(self) -> str:
        boxes = sum(len(image.labels) for image in self.images)
        counts = ", ".join(f"{name} {n}" for name, n in self.counts().items())
        count = len(self.problems)
        found = f", {count} problem{'s' * (count != 1)} listed in .problems" if count else ""
        if self.unconfirmed:
            found = f", suggestions nobody has confirmed in {self.unconfirmed}{found}"
        return f"Dataset({len(self)} images, {boxes} boxes: {counts}{found})"

    def counts(self) -> dict[str, int]:
        """Return the number of boxes of each class, in the label map's order."""
        ids = np.concatenate([image.labels for image in self.images] or [np.zeros(0, np.int32)])
        return {name: int((ids == id).sum()) for id, name in zip(self.label_map.ids, self.label_map, strict=True)}

    @property
    def unconfirmed(self) -> int:
        """How many images hold a detector's suggestions that no person has confirmed."""
        return sum(image.scores is not None for image in self.images)

    def only_confirmed(self) -> Dataset:
        """Return the images whose labels are a person's, without those that hold suggestions only."""
        return replace(self, images=tuple(image for image in self.images if image.scores is None))

    def refuse_unconfirmed(self, where: str, use: str) -> None:
        """Refuse to take a detector's suggestions for what a person says.

        Args:
            where: what they would be used for, such as ``records runs/train``.
            use: what they cannot be, such as ``trained on``.

        Raises:
            DatasetError: an image holds suggestions that nobody has confirmed.
        """
        waiting = [image.path.name for image in self.images if image.scores is not None]
        if waiting:
            of = f"{len(waiting)} of {len(self)} photos, such as {waiting[0]}"
            what = f"nobody has confirmed yet what a detector suggested for {of}, so it cannot be {use}"
            raise refused(where, what, _CONFIRM, kind=_UNCONFIRMED)

    def with_label_map(self, label_map: LabelMap) -> Dataset:
        """Return the same images with the class ids of another label map, by the names of the classes.

        Raises:
            KeyError: a box has a class that the label map lacks.
        """
        used = {label for image in self.images for label in image.labels.tolist()}
        ids = {label: label_map.id(self.label_map.name(label)) for label in used}
        images = (replace(image, labels=np.array([ids[label] for label in image.labels.tolist()])) for image in self)
        return Dataset(tuple(images), label_map, self.problems)

    def split(self, fractions: Mapping[str, float], seed: int = 0) -> dict[str, Dataset]:
        """Divide the images at random, stratified by class.

        Near-duplicates stay together, for which each photo is decoded, once. Where so many photos look alike that no
        part could have its share, as of one scene under a fixed camera, these are shared out one by one, and a line
        says so; equal files stay together always. So do the frames of one video, which are known by the names that
        `sources.frames` gave them, and by nothing else: frames that have other names, and differ, may land in any
        part. Where no part could have its share with a whole video, halves of it stay together, or halves of these,
        and a line says so: then the first frames of one stretch resemble the last ones of another. The same seed and
        file names always give the same parts, whatever the order and the folder; when photos are added, nearly all
        others stay where they were.

        Args:
            fractions: the share of each part, such as ``{"train": 0.8, "validation": 0.2}``.
            seed: another number gives another split.

        Raises:
            ValueError: the shares do not add up to 1, or a part would stay empty: too few images or files.
        """
        parts = share_out(self.images, fractions, seed)
        return {name: Dataset(tuple(images), self.label_map) for name, images in parts.items()}

    def folds(self, count: int, seed: int = 0) -> np.ndarray:
        """Share the images out for cross-validation: what is learned from all folds but one is judged by that one.

        Args:
            count: how many folds there are, about equally large; near-duplicates and the frames of a video stay
                together as in `split`.
            seed: another number gives other folds.

        Returns:
            The fold of each image, from 0: int, shape (n,).

        Raises:
            ValueError: fewer than two folds, or one would stay empty: too few images or files.
        """
        if count < 2:
            raise ValueError(f"There must be 2 folds or more, got {count}.")
        if len(self) < count:
            raise ValueError(f"{len(self)} images are too few for {count} folds. Take fewer folds, or add photos.")
        parts = share_out(self.images, {f"fold {number + 1}": 1 / count for number in range(count)}, seed)
        fold_of = {id(image): number for number, part in enumerate(parts.values()) for image in part}
        return np.array([fold_of[id(image)] for image in self.images])

    def splits(self) -> dict[str, Dataset]:
        """Return the splits that the data came with, by name.

        Raises:
            ValueError: some images belong to none.
        """
        names = dict.fromkeys(image.split for image in self.images)
        if not all(names):
            left = sum(not image.split for image in self.images)
            raise ValueError(f"{left} of {len(self)} images belong to no ready split. Use .split to share them out.")
        return {
            name: Dataset(tuple(image for image in self.images if image.split == name), self.label_map)
            for name in names
        }

    def train_and_validation(self, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Return the training and the validation images: splits that the data came with are kept, else made.

        Splits are known by their names in any capitals and with a year (``Train``, ``trainval``, ``val2017``). Where
        the data came with a validation and a test split, the validation split is taken, and the test split stays for
        the final evaluation; without a validation split, the test split is taken. Where one has to be made, no image
        of a test split gets into it. A line is printed for the images that are in neither.

        Args:
            share: of the validation images, where the data came without splits.
            seed: see `split`.

        Raises:
            ValueError: no image would be left for training, or for validation.
        """
        of_role: dict[str, list[LabelledImage]] = {"train": [], "validation": [], "test": [], "": []}
        for image in self.images:
            of_role[split_role(image.split)].append(image)
        train, validation = of_role["train"], of_role["validation"] or of_role["test"]
        if train and validation:
            chosen = Dataset(tuple(train), self.label_map), Dataset(tuple(validation), self.label_map)
        else:
            test = of_role["test"] if len(of_role["test"]) < len(self) else []
            rest = [image for image in self.images if split_role(image.split) != "test" or not test]
            parts = Dataset(tuple(rest), self.label_map).split({"train": 1 - share, "validation": share}, seed)
            chosen = parts["train"], parts["validation"]
        taken = {id(image) for part in chosen for image in part}
        left = Counter(image.split or "no split" for image in self.images if id(image) not in taken)
        if left:
            shown = ", ".join(f"{split} ({count} image{'s' * (count > 1)})" for split, count in left.items())
            print(f"Not used for training or validation: {shown}.")
        return chosen
