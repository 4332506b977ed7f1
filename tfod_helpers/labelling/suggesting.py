"""What a detector suggests for photos, and what a person says to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from tqdm import tqdm

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap, box_fault
from tfod_helpers.detector import Detector, TiledDetector
from tfod_helpers.detector.detections import batches
from tfod_helpers.evaluation import Evaluation
from tfod_helpers.labelling import effort
from tfod_helpers.labelling.given import AnyPhotos, photo_paths
from tfod_helpers.photos import PhotoError, read_info
from tfod_helpers.problems import DatasetError, Problem, did_you_mean

_DIGITS = 1  # of a suggested coordinate, after the point: detectors are no more exact, and files stay readable
_SHOWN = 3  # photos that are left out


def suggest(
    detector: Detector | TiledDetector,
    photos: AnyPhotos | Dataset,
    *,
    labelled: Dataset | LabelMap | None = None,
    evaluation: Evaluation | None = None,
    threshold: float | None = None,
    batch_size: int = 16,
) -> Dataset:
    """Suggest boxes for photos, for a person to correct: in `labelling.editor`, or as files that any tool opens.

    ``formats.write(labelling.suggest(detector, "photos"), "to_correct", "label_studio")``

    Which boxes are shown follows from what they cost a person, as `effort` says with its sources: a box that is missed
    has to be drawn (7.0 s), one too many is only looked at and deleted (3.2 s). With ``evaluation`` the threshold is
    the one that would have cost the least time on those photos. Without, the confidences are taken for probabilities,
    and a box is shown where it is more likely than not to save time, from 0.37 on; a detector's confidences are often
    too high or too low for that. Of boxes that overlap by IoU 0.70 or more, of whatever class, the most confident is
    suggested. Boxes only: masks are left out.

    Args:
        detector: what suggests; ``detector.tiled(...)`` too.
        photos: a folder, with its subfolders; or the photos' paths; or a dataset, whose labels are ignored.
        labelled: the set that the photos are to join, or its classes; the result has its label map. None takes the
            detector's classes.
        evaluation: of this detector, on photos that it was not trained on.
        threshold: the least confidence, in the place of what is said above.
        batch_size: photos a call of the model.

    Returns:
        Each photo with its suggestions and their confidence (``scores``), boxes in pixels of the upright photo, the
        most confident first; also the photos in which nothing was found. Photos that cannot be read are left out; a
        line says so, and ``.problems`` lists them.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: there is no photo, or none that can be read.
        ValueError: the detector has classes that the labelled set lacks, or the threshold is not between 0 and 1.
    """
    label_map = _joined(detector.label_map, labelled)
    threshold = _threshold(evaluation) if threshold is None else threshold
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be between 0 and 1, got {threshold}.")
    given: Sequence[Path | LabelledImage] = photos.images if isinstance(photos, Dataset) else photo_paths(photos)
    images: list[LabelledImage] = []
    problems: list[Problem] = []
    with tqdm(total=len(given), unit="photo", desc="suggesting") as bar:
        for batch in batches(given, batch_size):
            for photo, found in zip(batch, _detected(detector, batch, threshold), strict=True):
                made = found if isinstance(found, Problem) else _suggested(photo, found, detector.label_map, label_map)
                if isinstance(made, Problem):
                    problems.append(made)
                else:
                    images.append(made)
            bar.update(len(batch))
    if not images:
        raise DatasetError(problems, "photos to suggest boxes for: there is none that can be read")
    dataset = Dataset(tuple(images), label_map, tuple(problems))
    print(_summary(dataset, threshold))
    return dataset


def confirm(dataset: Dataset) -> Dataset:
    """Return the same labels as a person's own: somebody has looked at every photo, and put right what was wrong.

    A tool that shows suggestions does not tell which photos somebody has looked at and left as they were, so say it
    here, and only once it is so: from then on they are trained on and counted as true.

    Args:
        dataset: photos that may hold suggestions; the others stay as they are.
    """
    return replace(dataset, images=tuple(replace(image, scores=None) for image in dataset))


# --- what is asked for ------------------------------------------------------------------------------


def _joined(known: LabelMap, labelled: Dataset | LabelMap | None) -> LabelMap:
    """Return the classes of the result; ValueError where the detector has others than the labelled set."""
    if labelled is None:
        return known
    label_map = labelled.label_map if isinstance(labelled, Dataset) else labelled
    if strange := [name for name in known if name not in label_map]:
        raise ValueError(
            f"The detector suggests {', '.join(map(repr, strange))}, and the labelled set has no such class: it has "
            f"{label_map.describe()}{did_you_mean(strange[0], label_map)}. Take a detector that was trained on that "
            f"set; or, where the class is new, give a label map with it: labelled=LabelMap([...])."
        )
    if unknown := [name for name in label_map if name not in known]:
        print(
            f"The detector does not know {', '.join(unknown)}: nothing is suggested for it. Draw these boxes yourself; "
            f"a detector that is trained with them suggests them too."
        )
    return label_map


def _threshold(evaluation: Evaluation | None) -> float:
    if evaluation is None:
        return effort.WORTH_SHOWING
    threshold = effort.least_work(evaluation.dataset, list(evaluation.detections))
    if threshold == 1:
        print(
            "On the photos of the evaluation suggestions would have cost more time than they saved, so hardly any are "
            "made. Label more photos and train again; or give a threshold."
        )
    return threshold


# --- photo by photo ---------------------------------------------------------------------------------


def _detected(
    detector: Detector | TiledDetector, photos: Sequence[Path | LabelledImage], threshold: float
) -> list[sv.Detections | Problem]:
    """Return what is found in each photo, or why it cannot be read."""
    try:
        return [*detector.detect(list(photos), threshold=threshold, batch_size=len(photos))]
    except (PhotoError, OSError) as error:
        if len(photos) == 1:
            return [_unreadable(photos[0], error)]
    return [one for photo in photos for one in _detected(detector, [photo], threshold)]


def _unreadable(photo: Path | LabelledImage, error: PhotoError | OSError) -> Problem:
    path = str(photo.path if isinstance(photo, LabelledImage) else photo)
    what, fix = f"cannot be read ({error})", "Check the file and its permissions."
    if isinstance(error, PhotoError):
        what, fix = error.what, error.fix
    elif isinstance(error, FileNotFoundError):
        what, fix = "there is no such file", "Check the path."
    return Problem(where=path, what=what, fix=fix, kind="photo unreadable", photo=path)


def _suggested(
    photo: Path | LabelledImage, found: sv.Detections, known: LabelMap, label_map: LabelMap
) -> LabelledImage | Problem:
    """Return a photo with what was found in it as suggestions, the classes of the one map as those of the other."""
    try:
        width, height = _size(photo)
    except (PhotoError, OSError) as error:  # it was there a moment ago
        return _unreadable(photo, error)
    kept = effort.distinct(found)
    assert kept.class_id is not None
    assert kept.confidence is not None
    boxes_xyxy = kept.xyxy.round(_DIGITS)
    which = [not box_fault(box_xyxy, width, height) for box_xyxy in boxes_xyxy.tolist()]
    ids = np.array([0, *(label_map.id(name) for name in known)])
    given: dict[str, Any] = {"encoded": photo.encoded, "split": photo.split} if isinstance(photo, LabelledImage) else {}
    return LabelledImage(
        photo.path if isinstance(photo, LabelledImage) else photo,
        width,
        height,
        boxes_xyxy[which],
        ids[kept.class_id[which]],
        scores=np.clip(kept.confidence[which], 0, 1),
        **given,
    )


def _size(photo: Path | LabelledImage) -> tuple[int, int]:
    """Return width and height of a photo in the frame that its boxes are in."""
    return (photo.width, photo.height) if isinstance(photo, LabelledImage) else read_info(photo).upright_size


def _summary(dataset: Dataset, threshold: float) -> str:
    """Say what was suggested, and what was left out."""
    boxes, bare = sum(dataset.counts().values()), sum(not len(image.labels) for image in dataset)
    photos = f"{len(dataset):,} photo{'s' * (len(dataset) != 1)}"
    without = f" ({bare:,} without any)" if bare else ""
    lines = [f"Suggested {boxes:,} box{'es' * (boxes != 1)} in {photos}{without}, from confidence {threshold:.2f} on."]
    if left := dataset.problems:
        lines.append(f"{len(left)} photo{'s' * (len(left) != 1)} left out, all in .problems, such as")
        lines += [f"  {problem}" for problem in left[:_SHOWN]]
    return "\n".join(lines)
