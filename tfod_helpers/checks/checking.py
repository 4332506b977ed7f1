"""Every photo and every label of a dataset -> what is wrong with them."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfod_helpers import photos, presets
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.checks.boxes import check_boxes, check_twice, image_problem
from tfod_helpers.checks.classes import SPELLED_DIFFERENTLY, check_classes
from tfod_helpers.checks.report import Report
from tfod_helpers.photos import Look, PhotoError, near_duplicates
from tfod_helpers.presets import Preset, resizing
from tfod_helpers.problems import DatasetError, Problem, Severity

_DARK = 32  # of 255, in the brightest of 16 x 16 parts of a photo
_LARGER = 2.5  # times what the model sees: from there on, scaling down saves most of the bytes
UNREADABLE = "photo unreadable"  # the kind of problem
_EMPTY = "image without objects"  # the kind of problem; formats report it too
_ROOM = 2  # times what the model sees: what augmentation by zooming in can still use


def check(
    dataset: Dataset | Mapping[str, Dataset],
    *,
    preset: str = "mobilenet_v2_192",
    resize: str = resizing.LETTERBOX,
    workers: int | None = None,
) -> Report:
    """Check every photo and every label, and report what is wrong.

    Errors keep something from being used, or leak training photos into the evaluation; warnings are probably
    mistakes; notes are facts worth knowing.

    Args:
        dataset: one, or the splits by name, such as ``{"train": ..., "validation": ...}``; splits, also
            those that one dataset came with, are compared with each other too.
        preset: the model that is to be trained; boxes and photos are checked at its input size.
        resize: how its photos are to be resized, as for `experiment.make`.
        workers: how many photos are read at once; None takes one a core.

    Raises:
        ValueError: there is no such preset, no such way to resize, no dataset, or splits whose label maps differ.
    """
    chosen = dataclasses.replace(presets.find(preset), resize=resizing.check(resize))
    parts = checked_parts(dataset)
    reported = list(dict.fromkeys(problem for part in parts.values() for problem in part.problems))
    images = [
        dataclasses.replace(image, split=name) if name else image for name, part in parts.items() for image in part
    ]
    label_map = next(iter(parts.values())).label_map
    looks = photos.look_at([image.source for image in images], workers=workers, title="Checking photos")
    problems = [
        *(problem for problem in reported if problem.kind != SPELLED_DIFFERENTLY),  # found again below, with numbers
        *_unusable(images, looks),
        *_unconfirmed(Dataset(tuple(images), label_map)),
        *_same_photos(images, looks),
        *_dark(images, looks),
        *_too_large(images, looks, chosen),
        *_empty(images, {Path(problem.photo) for problem in reported if problem.kind == _EMPTY}),
        *check_boxes(images, label_map, chosen),
        *check_twice(images, label_map),
        *check_classes(Dataset(tuple(images), label_map)),
    ]
    return Report(tuple(problems), len(images), sum(len(image.labels) for image in images))


def checked_parts(dataset: Dataset | Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Return the splits by name; a single dataset is one without a name.

    Raises:
        ValueError: there is none, or their label maps differ.
    """
    parts = {"": dataset} if isinstance(dataset, Dataset) else dict(dataset)
    if not parts:
        raise ValueError("There is no dataset to check, got an empty mapping.")
    if len({part.label_map for part in parts.values()}) > 1:
        maps = "; ".join(f"{name}: {part.label_map.describe()}" for name, part in parts.items())
        raise ValueError(f"The splits have different label maps ({maps}). Read them with one label map.")
    return parts


# --- photos ---------------------------------------------------------------------------------------


def photo_fault(image: LabelledImage, look: Look | PhotoError) -> tuple[str, str, str] | None:
    """Return the kind of what keeps an image's photo from being written into records, what it is, and the fix."""
    if isinstance(look, PhotoError):
        return UNREADABLE, look.what, look.fix
    info, size = look.info, (image.width, image.height)
    if size in (info.upright_size, (info.width, info.height)):
        return None
    what = f"its labels are for {size[0]} x {size[1]} pixels, and the photo has {info.width} x {info.height}"
    return "size differs", what, "Bring back the photo that was labelled, or read the dataset again."


def _unusable(images: Sequence[LabelledImage], looks: Sequence[Look | PhotoError]) -> Iterator[Problem]:
    for image, look in zip(images, looks, strict=True):
        if fault := photo_fault(image, look):
            yield image_problem(image, *fault, "error")


def _unconfirmed(dataset: Dataset) -> Iterator[Problem]:
    try:
        dataset.refuse_unconfirmed("photos", "trained on or judged by")
    except DatasetError as error:
        yield from error.problems


def _same_photos(images: Sequence[LabelledImage], looks: Sequence[Look | PhotoError]) -> Iterator[Problem]:
    """Yield each photo that is the same as an earlier one, or nearly; of several the one in another split is named."""
    for members in near_duplicates.equal_files(looks):
        for place, number in enumerate(members[1:], start=1):
            image, earlier = images[number], [images[other] for other in members[:place]]
            yield _same_file(image, next((other for other in earlier if _crosses(image, other)), earlier[0]))
    near: dict[int, list[near_duplicates.Alike]] = defaultdict(list)
    for pair in near_duplicates.pairs(looks):
        near[pair.photo].append(pair)
    for number, pairs in near.items():
        image = images[number]
        pair = next((pair for pair in pairs if _crosses(image, images[pair.other])), pairs[0])
        other = images[pair.other]
        what = f"it is nearly the same picture as {other.path.name} (likeness {pair.likeness:.2f})"
        fix = "Look at both: keep them if they are two pictures; if one is a copy, delete it."
        if _crosses(image, other):
            what += f" in {other.split!r}"
            fix = (
                "Look at both: if one is a copy, the evaluation sees what was trained on; Dataset.split keeps copies "
                "together."
            )
        yield image_problem(image, "nearly the same photo", what, fix, "warning", other_photo=str(other.path))


def _crosses(image: LabelledImage, other: LabelledImage) -> bool:
    return bool(image.split and other.split and image.split != other.split)


def _same_file(image: LabelledImage, other: LabelledImage) -> Problem:
    severity: Severity = "warning"
    kind = "same photo twice"
    what, fix = f"it is the same file as {other.path.name}", "Delete one of the two."
    if _crosses(image, other):
        kind, severity = "same photo in two splits", "error"
        what += f" in {other.split!r}, so the evaluation sees what was trained on"
        fix = "Keep it in one split only: Dataset.split keeps such photos together."
    elif not _same_labels(other, image):
        what, fix = f"{what}, and its labels differ", "Keep the one whose labels are right."
    return image_problem(image, kind, what, fix, severity, other_photo=str(other.path))


def _same_labels(one: LabelledImage, other: LabelledImage) -> bool:
    return (one.labels.tolist(), one.boxes_xyxy.tolist()) == (other.labels.tolist(), other.boxes_xyxy.tolist())


def _dark(images: Sequence[LabelledImage], looks: Sequence[Look | PhotoError]) -> Iterator[Problem]:
    brightest = [int(look.thumbnail.max()) if isinstance(look, Look) else 255 for look in looks]
    dark = [number for number, level in enumerate(brightest) if level < _DARK]
    if dark:
        what = (
            f"{len(dark)} of {len(images)} photos are nearly black, such as {images[dark[0]].path.name}: nothing in it "
            f"is brighter than {brightest[dark[0]]} of 255"
        )
        fix = "Look at them: a model learns nothing from black. Brighten them, or leave them out."
        photo = str(images[dark[0]].path)
        yield Problem(where="photos", what=what, fix=fix, severity="warning", kind="dark photos", photo=photo)


def _too_large(
    images: Sequence[LabelledImage], looks: Sequence[Look | PhotoError], preset: Preset
) -> Iterator[Problem]:
    side = _ROOM * preset.image_size
    large = [n for n, image in enumerate(images) if max(image.width, image.height) > _LARGER * preset.image_size]
    if not large:
        return
    sizes = [look.bytes if isinstance(look, Look) else 0 for look in looks]
    before = sum(sizes[n] for n in large)
    after = sum(sizes[n] * (side / max(images[n].width, images[n].height)) ** 2 for n in large)
    largest = max((images[n] for n in large), key=lambda image: image.width * image.height)
    what = (
        f"{len(large)} of {len(images)} photos are far larger than the {preset.image_size} pixels that the model "
        f"sees, the largest {largest.width} x {largest.height}"
    )
    fix = (
        f"records.write(..., longest_side={side}) makes their {before / 1e6:.1f} MB about {after / 1e6:.1f} MB, "
        f"and training reads them faster."
    )
    yield Problem(
        where="photos", what=what, fix=fix, severity="note", kind="photos larger than needed", photo=str(largest.path)
    )


def _empty(images: Sequence[LabelledImage], reported: set[Path]) -> Iterator[Problem]:
    for image in images:
        if not len(image.labels) and image.scores is None and image.path not in reported:
            what, fix = "it has no objects", "It is kept as background; label it, if there is something in it."
            yield image_problem(image, _EMPTY, what, fix, "note")
