"""Wherever classified photos are -> a `Dataset` in which each image has one box: what the classifier looks at.

Of a whole photo the box is all of it. So whatever takes a `Dataset` takes these too: ``.split`` keeps near-duplicates
and all crops of one photo together, and `pictures.show_classes` shows each class.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tfod_helpers import formats, photos, sources
from tfod_helpers.annotations import Dataset, split_word
from tfod_helpers.classifier.looked_at import crops
from tfod_helpers.formats import tfds
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.raw import RawImage, RawObject, Reading, Source
from tfod_helpers.photos.folder import PHOTO_ENDINGS, PhotoFolder
from tfod_helpers.problems import DatasetError, Problem, refused

_NAME = re.compile(r"[A-Za-z0-9_]+(/[\w.-]+)?(:[\w.*]+)?")  # of a data set of TensorFlow Datasets
_DAMAGED = re.compile(r"\b(\d+) corrupt\w* images? that are dropped")  # in the words of such a data set
_DEEPEST = 3  # folders that hold nothing but one other folder, as zips unpack to
_UNEVEN = 5  # times as frequent as another class is worth a word
_SHOWN = 3


def read(
    source: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] = "data",
    label: str | None = None,
    split: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read photos by the class that they show, and say in a line how many there are of each.

    Photos that cannot be read are left out, counted, and listed in ``.problems``.

    Args:
        source: one of these:

            * a data set of TensorFlow Datasets by its name, such as ``cats_vs_dogs``, downloaded where it is not there;
            * a folder of folders, each called as the class of the photos in it, or such folders within ``train``,
              ``validation`` and ``test``; here or wherever `sources.local` finds it;
            * labelled photos in any format of `formats`, such as ``sample``: the crops of their boxes.

        folder: where photos are put that are not on this disk.
        label: which feature is the class, of a data set that has several: ``species`` of ``oxford_iiit_pet``.
        split: one split of a data set of that library, or a part of one: ``train[:20%]``.
        data_dir: where that library keeps its data sets; None takes its own place.

    Returns:
        All photos; ``.splits()`` and ``.train_and_validation()`` divide them.

    Raises:
        ValueError: there is neither such a data set nor such a folder; the message names the nearest.
        ConnectionError: it could not be downloaded.
        DatasetError: no photo is left, all show one class, or a part has a class that the training photos lack.
    """
    text = os.fspath(source)
    if _NAME.fullmatch(text) and not os.path.exists(text) and text not in sources.WORDS:
        place = Path(folder) / re.sub(r"\W", "_", text)
        dataset = tfds.read(
            text, folder=place, split=split, label=label, data_dir=data_dir, whole=True, on_problem="skip"
        )
        dataset = replace(dataset, problems=(*dataset.problems, *_dropped(text, data_dir)))
    else:
        place = sources.local(source, folder)
        dataset = _of_folder(place)
        text = place.name
    dataset = _readable(dataset, text)
    _check(dataset, text)
    print(summary(dataset, text))
    return dataset


def summary(dataset: Dataset, name: str = "dataset") -> str:
    """Say how many photos show each class, whether that is balanced, and what was left out.

    Args:
        dataset: photos, one box each.
        name: what to call it.
    """
    counts, total = dataset.counts(), max(len(dataset), 1)
    shares = (f"{one} {count:,} ({count / total:.0%})" for one, count in counts.items())
    splits = Counter(image.split for image in dataset if image.split)
    parts = f" ({', '.join(f'{one} {count:,}' for one, count in splits.items())})" if len(splits) > 1 else ""
    lines = [f"{name}: {len(dataset):,} photos{parts}: {', '.join(shares)}"]
    most, least = max(counts, key=lambda one: counts[one]), min(counts, key=lambda one: counts[one])
    if counts[most] > _UNEVEN * counts[least] > 0:
        lines.append(
            f"{most} is {counts[most] / counts[least]:.0f} times as frequent as {least}: go by F1 of each class."
        )
    lines += [
        f"{problem.what[0].upper()}{problem.what[1:]}." for problem in dataset.problems if problem.kind == "dropped"
    ]
    broken = [problem for problem in dataset.problems if problem.severity == "error"]
    if broken:
        lines.append(f"Left out: {len(broken)} that cannot be read, all in .problems, such as")
        lines += [f"  {problem}" for problem in broken[:_SHOWN]]
    return "\n".join(lines)


def _dropped(name: str, data_dir: str | os.PathLike[str] | None) -> Iterator[Problem]:
    """Yield what a data set of TensorFlow Datasets left out itself, by its own description."""
    if found := _DAMAGED.search(tfds.description(name, data_dir)):
        what = f"{int(found[1]):,} photos of {name} are damaged, and its own program leaves them out"
        yield Problem(where=name, what=what, fix="Nothing is to be done.", severity="note", kind="dropped")


def _of_folder(folder: Path) -> Dataset:
    if formats.find_format(folder):
        return crops(formats.read(folder))
    classes = _class_folders(folder)
    if not classes:
        fix = "Make a folder for each class, called as it, and put its photos there: cats/1.jpg, dogs/1.jpg."
        raise refused(folder, "there are no folders with photos in it, and no annotations", fix)
    made = []
    for place, split in classes:
        found = PhotoFolder(place, deep=True)
        raws = [
            RawImage(f"{place.name}/{name}", filename=name, objects=[_object(place.name)], has_size=False)
            for name in found.names
        ]
        made.append(Source(found, raws, split=split))
    return make_dataset(made, Reading(folder.name), "skip")


def _object(name: str) -> RawObject:
    return RawObject("", name, (0.0, 0.0, 1.0, 1.0), in_fractions=True)


def _class_folders(folder: Path, deep: int = 0) -> list[tuple[Path, str]]:
    """Return the folders that are called as classes, each with its split; none where there are none."""
    inside = [one for one in sorted(folder.iterdir()) if one.is_dir() and not one.name.startswith((".", "__"))]
    if len(inside) == 1 and deep < _DEEPEST and not _has_photos(inside[0]):
        return _class_folders(inside[0], deep + 1)
    splits = {one: split_word(one.name) for one in inside if split_word(one.name)}
    parts = {one: [below for below in sorted(one.iterdir()) if below.is_dir()] for one in splits}
    if any(parts.values()):
        return [(below, splits[one]) for one, some in parts.items() for below in some if _has_photos(below, deep=True)]
    return [(one, "") for one in inside if _has_photos(one, deep=True) and one not in splits]


def _has_photos(folder: Path, deep: bool = False) -> bool:
    files = folder.rglob("*") if deep else folder.iterdir()
    return any(one.suffix.lower() in PHOTO_ENDINGS for one in files)


def _readable(dataset: Dataset, name: str) -> Dataset:
    """Leave out the photos that are damaged or cut off; those that are none at all were left out before."""
    problems, kept = list(dataset.problems), []
    for image, seen in zip(dataset, photos.look_at([image.source for image in dataset]), strict=True):
        if isinstance(seen, photos.PhotoError):
            where = "/".join(image.path.parts[-2:])
            problems.append(Problem(where=where, what=seen.what, fix=seen.fix, kind="photo unreadable"))
        else:
            kept.append(image)
    if not kept:
        raise DatasetError(problems, name)
    return Dataset(tuple(kept), dataset.label_map, tuple(problems))


def _check(dataset: Dataset, name: str) -> None:
    """Refuse photos that no classifier can learn from."""
    there = [one for one, count in dataset.counts().items() if count]
    if len(there) < 2:
        fix = "A classifier tells classes apart: give photos of two or more, in a folder each."
        raise refused(name, f"all photos show one class, {there[0]}", fix, kind="one class")
    if not all(image.split for image in dataset):
        return
    parts = dataset.splits()
    train = next((part for split, part in parts.items() if split_word(split).casefold().startswith("train")), None)
    for split, part in parts.items():
        strange = [one for one, count in part.counts().items() if count and train and not train.counts()[one]]
        if strange:
            what = f"{split} has photos of {', '.join(strange)}, and the training photos have none"
            raise refused(name, what, "Give some to both, or write the names of the folders alike.", kind="classes")
