"""TensorFlow Datasets by name: ``voc``, ``coco``, ``oxford_iiit_pet``, or any other that has boxes or classes.

The photos are taken out once, as they are stored, into a folder, so that they need not be kept in memory. Groups of
Open Images (``is_group_of``) are crowds, and difficult objects of Pascal VOC stay difficult.
https://www.tensorflow.org/datasets/catalog/overview lists the data sets.
"""

from __future__ import annotations

import importlib.resources.abc
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.files import storage
from tfod_helpers.formats.format import photos_taken_out
from tfod_helpers.formats.labelled_images import make_dataset
from tfod_helpers.formats.raw import RawImage, RawObject, Reading, Source, marked
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.problems import OnProblem, Problem, did_you_mean, refused, settle_problems


class Features(NamedTuple):
    """Where the examples of a data set keep what is needed.

    Attributes:
        image: the feature with the photo.
        objects: the feature that lists the objects; None where an example has one box of its own.
        box_key: the box of an object, or of the example; None where the class is that of the whole photo.
        label: the class beside it; None where there is none.
        names: the classes.
    """

    image: str
    objects: str | None
    box_key: str | None
    label: str | None
    names: tuple[str, ...]


def read(
    name: str,
    *,
    folder: str | os.PathLike[str],
    split: str | None = None,
    label: str | None = None,
    whole: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    label_map: LabelMap | str | os.PathLike[str] | None = None,
    on_problem: OnProblem = "raise",
) -> Dataset:
    """Read a data set by its name, downloading it where it is not there yet. Loads TensorFlow.

    Args:
        name: of the data set, such as ``voc/2007`` or ``oxford_iiit_pet``.
        folder: where the photos are put, a folder for each split; a split that is there already is replaced.
        split: one split, or a part of one such as ``train[:200]``; None takes all that have labels.
        label: which feature is the class, where there are several; None takes the first.
        whole: take the class of the photo, with a box around all of it, and no boxes: what a classifier learns from.
        data_dir: where the data set is kept, or downloaded to; None takes the library's own place.
        label_map: the classes in another order, or a label map file.
        on_problem: ``raise`` reports all errors at once; ``skip`` leaves out only what is bad.

    Returns:
        All splits together, each image with the name of its own in ``split``.

    Raises:
        ValueError: there is no such data set or split, or it has no boxes (with ``whole``, no classes); the message
            says what it has, or which data set has a similar name.
        ConnectionError: it could not be downloaded.
        DatasetError: ``raise`` and something is wrong.
    """
    settle_problems((), on_problem, "")
    import tensorflow_datasets as tfds

    builder = _builder(tfds, name, data_dir)
    features = find_features(builder.info.features, name, label, whole)
    try:
        _check_reachable(builder)
        builder.download_and_prepare()
    except Exception as error:  # of a dozen libraries that download and unpack
        what = f"{name}: it could not be downloaded and prepared ({type(error).__name__}: {error})"
        raise ConnectionError(f"{what}. Check the connection, or give the data_dir of one that is there.") from error
    chosen = [split] if split else list(builder.info.splits)
    sources, reading = [], Reading(name, label_map, classes=[*features.names])
    for one in chosen:
        target = storage.join(folder, _folder_name(one))
        raws = _take_out(tfds, builder, one, features, target, reading.problems)
        if any(raw.objects for raw in raws):  # a test split whose labels are kept secret has none
            sources.append(Source(PhotoFolder(storage.local_place(target)), raws, split=one))
    if not sources:
        where = f"{name}: no object in {', '.join(chosen)}"
        raise refused(name, "there is nothing to learn", "Choose another split.", where=where)
    return make_dataset(sources, reading, on_problem)


def description(name: str, data_dir: str | os.PathLike[str] | None = None) -> str:
    """Return what a data set's authors say of it; raises as `read` does where there is none of this name."""
    import tensorflow_datasets as tfds

    return str(_builder(tfds, name, data_dir).info.description)


def find_features(
    features: Mapping[str, Any], name: str = "the data set", label: str | None = None, whole: bool = False
) -> Features:
    """Return where boxes, classes and photos are, by the types of a data set's features.

    Raises:
        ValueError: there are no boxes (with ``whole``, no classes) or no photos; the message says what there is.
    """
    from tensorflow_datasets import features as kinds

    def first(some: Mapping[str, Any], kind: type) -> str | None:
        return next((key for key, one in some.items() if isinstance(one, kind)), None)

    inner = {key: one.feature for key, one in features.items() if isinstance(one, kinds.Sequence)}
    lists = {key: one for key, one in inner.items() if isinstance(one, kinds.FeaturesDict)}
    objects = next((key for key, one in lists.items() if first(one, kinds.BBoxFeature)), None)
    inside = features if objects is None else lists[objects]
    image, box_key = first(features, kinds.Image), first(inside, kinds.BBoxFeature)
    has = ", ".join(f"{key} ({type(one).__name__})" for key, one in features.items())
    if whole:
        if image is None or first(features, kinds.ClassLabel) is None:
            raise ValueError(f"{name}: it has no photos with a class, but {has}. Choose one for image classification.")
        return Features(image, None, None, *_label(features, kinds, label))
    if image is None or box_key is None:
        raise ValueError(f"{name}: it has no photos with boxes, but {has}. Choose a data set for object detection.")
    chosen, names = _label(inside, kinds, label)
    return Features(image, objects, box_key, chosen, names)


def _label(features: Mapping[str, Any], kinds: Any, wanted: str | None) -> tuple[str | None, tuple[str, ...]]:
    labels = {key: tuple(one.names) for key, one in features.items() if isinstance(one, kinds.ClassLabel)}
    if wanted is not None and wanted not in labels:
        raise ValueError(f"There is no class feature {wanted!r}, only {', '.join(labels) or 'none at all'}.")
    chosen = wanted or next(iter(labels), None)
    return (chosen, labels[chosen]) if chosen else (None, ("object",))


def _builder(tfds: Any, name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    # It asks this package for a class that Python has had itself since 3.11, and does not bring it along.
    sys.modules.setdefault("importlib_resources", importlib.resources)
    known = tfds.list_builders(with_community_datasets=False)
    try:
        return tfds.builder(name, data_dir=None if data_dir is None else os.fspath(data_dir))
    except Exception as error:  # unknown names raise a class of the library's own, wrong configs a ValueError
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        near = did_you_mean(name.partition("/")[0], known) or ". Check the name."
        raise ValueError(f"{name!r} is not a data set of TensorFlow Datasets ({first.rstrip('.')}){near}") from error


def _check_reachable(builder: Any) -> None:
    """Raise an OSError where a data set has to be downloaded and there is no network: it would try for minutes."""
    if not builder.info.splits:
        for host in {urlsplit(url).hostname for url in builder.url_infos}:
            socket.getaddrinfo(host, None)


def _folder_name(split: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in split).strip("_")


def _take_out(
    tfds: Any, builder: Any, split: str, features: Features, target: storage.AnyPath, problems: list[Problem]
) -> list[RawImage]:
    """Write the photos of a split to a folder; return the annotations of each."""
    try:
        examples = builder.as_dataset(split=split, decoders={features.image: tfds.decode.SkipDecoding()})
    except ValueError as error:
        what = f"{builder.name}: there is no split {split!r}, only {', '.join(builder.info.splits)}"
        raise ValueError(f"{what}. Choose one of them.") from error
    raws = []
    with photos_taken_out(target, problems) as save:
        bar = tqdm(tfds.as_numpy(examples), f"Reading {builder.name}, {split}", len(examples), unit="image", delay=1)
        for number, example in enumerate(bar):
            place, stem = f"example {number + 1}", f"{builder.name}_{_folder_name(split)}_{number:06d}"
            if name := save(split, place, stem, bytes(example[features.image])):
                raws.append(RawImage(builder.name, place, name, objects=_objects(example, features), has_size=False))
    return raws


def _objects(example: Mapping[str, Any], features: Features) -> list[RawObject]:
    inside = example if features.objects is None else example[features.objects]
    boxes_yxyx = (0, 0, 1, 1) if features.box_key is None else inside[features.box_key]
    boxes_xyxy = np.reshape(boxes_yxyx, (-1, 4))[:, [1, 0, 3, 2]].astype(float).tolist()
    count = len(boxes_xyxy)
    labels = [0] * count if features.label is None else np.ravel(inside[features.label]).tolist()
    marks = marked(inside, ("is_crowd", "is_group_of"), count), marked(inside, ("is_difficult",), count)
    objects = []
    for number, (box, label, crowd, difficult) in enumerate(zip(boxes_xyxy, labels, *marks, strict=True), start=1):
        name = features.names[label] if 0 <= label < len(features.names) else ""
        objects.append(RawObject(f"object {number}", name, box, None, True, crowd, difficult=difficult))
    return objects
