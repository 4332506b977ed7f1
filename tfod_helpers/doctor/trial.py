"""The doctor's trial of the training itself: its memory, whether it overfits a few photos, and what it exports."""

from __future__ import annotations

import itertools

import numpy as np
import supervision as sv
import tensorflow as tf

from tfod_helpers import experiment, records, training
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.detector import Detector, each
from tfod_helpers.doctor.data import as_preset
from tfod_helpers.doctor.diagnosis import Case, FoundFault
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.experiment.config import flatten
from tfod_helpers.exporting import saved_model
from tfod_helpers.presets import anchors, keys
from tfod_helpers.training import search
from tfod_helpers.training.steps import smaller_batch

_TIMED = 3  # steps that are timed at the config's batch size
_PHOTOS = 8  # that are overfitted
_LOOKED_AT = 500  # photos among which they are chosen
_STEPS = 150  # in which they are overfitted
_FASTEST = 3e-3  # the learning rate that this takes, where the config's own is lower
_ENOUGH = 0.8  # AP50 that it must reach
_SURE = 0.3  # confidence from which on run and export must agree
_PIXELS, _CONFIDENCE = 1.0, 0.02  # by how much they may differ

# No augmentation.
_PLAIN = {
    keys.FLIP: False,
    keys.SCALE_MIN: 1.0,
    keys.SCALE_MAX: 1.0,
    keys.ASPECT: 1.0,
    keys.COLOR: 0.0,
    keys.MOSAIC: 0.0,
}


# --- memory ---------------------------------------------------------------------------------------


def look_at_memory(case: Case) -> str:
    """Make real train steps at the config's batch size."""
    task = case.config.task
    batch, size = task.train_data.global_batch_size, task.model.input_size[0]
    case.rate, problem = _time_steps(case)
    if problem:
        raise FoundFault(
            f"A batch of {batch} images of {size} pixels does not fit into memory ({problem}).",
            smaller_batch(case.config),
        )
    steps = _minutes(flatten(case.config)[keys.STEPS] * batch / case.rate)
    planned = f"{case.config.trainer.minutes:g} minutes" if case.config.trainer.minutes else steps
    return f"{batch} images of {size} pixels fit, {case.rate:.0f} images a second: the steps take {planned}."


def _minutes(seconds: float) -> str:
    return "less than a minute" if seconds < 60 else f"about {seconds / 60:.0f} minutes"


def _time_steps(case: Case) -> tuple[float, str]:
    """Return images a second, and why none were trained, if so."""
    config, strategy = case.config, case.connection.strategy
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if case.connection.kind != "TPU" and not several:
        ((_, rate, problem),) = search.try_sizes(config, [config.task.train_data.global_batch_size], _TIMED)
        return rate, problem
    try:  # only this process can use a TPU, or machines that are joined
        return search.images_per_second(config, strategy, _TIMED), ""
    except tf.errors.ResourceExhaustedError as error:
        return 0.0, str(error).splitlines()[0][:200]


# --- overfitting ----------------------------------------------------------------------------------


def look_at_overfitting(case: Case) -> str:
    """Overfit a few of the training photos: a model that cannot do even that learns nothing from thousands."""
    case.photos = _choose(case)
    few = records.write(case.photos, case.folder / "photos")
    batch = min(few.count, case.config.task.train_data.global_batch_size)
    config = experiment.change(case.config, {keys.BATCH_SIZE: batch})
    config = _overfitting(experiment.with_records(config, train=few, validation=None))
    rate = flatten(config)[keys.LEARNING_RATE]
    case.say(_minutes(_STEPS * batch / case.rate))
    try:
        history = training.train(config, case.run, strategy=case.connection.strategy)
    except FloatingPointError as error:
        raise FoundFault(
            f"With a learning rate of {rate:g} the loss explodes on {few.count} photos: {str(error).split(',')[0]}.",
            "Use a lower learning_rate in experiment.make; training.find_learning_rate(config) finds one.",
        ) from error
    reached = history.best["ap50"]
    if reached < _ENOUGH:
        raise FoundFault(
            f"After {_STEPS} steps on {few.count} of the training photos it finds what is in these very photos with "
            f"AP50 {reached:.2f}, and should with {_ENOUGH:g} or more.",
            "Look at what it trains on, pictures.show_images(training.examples(config)): each box must be around its "
            f"object and have its name. If all of them are right, the learning rate ({rate:g} here) does not suit: "
            "let training.find_learning_rate(config) find one.",
        )
    return f"{few.count} training photos are overfitted in {_STEPS} steps: AP50 {reached:.2f}."


def _choose(case: Case) -> Dataset:
    """Choose photos whose objects the anchors fit, so that as many classes as there is room for are among them."""
    found, count = case.records["train"], max(_PHOTOS, case.connection.devices)
    first = [image for image in itertools.islice(records.read(found), _LOOKED_AT) if len(image.labels)]
    first.sort(key=lambda image: not _all_fit(image, case.config))  # stable: those that fit come first
    chosen: list[LabelledImage] = []
    seen: set[int] = set()
    for image in first:
        if new := set(image.labels.tolist()) - seen:
            chosen.append(image)
            seen |= new
    rest = [image for image in first if not any(image is one for one in chosen)]
    return Dataset((*chosen, *rest)[:count], found.label_map)


def _all_fit(image: LabelledImage, config: ExperimentConfig) -> bool:
    sizes = np.tile([image.width, image.height], (len(image.labels), 1))
    return bool(anchors.matched(image.boxes_xyxy, sizes, as_preset(config)).all())


def _overfitting(config: ExperimentConfig) -> ExperimentConfig:
    """Return a copy of a config that overfits its few photos, surely and quickly.

    The learning rate is the config's own where that is a high one, so that one that is far too high shows.
    """
    settings = _PLAIN | {keys.STEPS: _STEPS, keys.MINUTES: 0.0, keys.PATIENCE: 0}
    settings |= {keys.VALIDATION_INTERVAL: _STEPS, keys.CHECKPOINT_INTERVAL: _STEPS}
    settings[keys.LEARNING_RATE] = max(flatten(config)[keys.LEARNING_RATE], _FASTEST)
    return experiment.change(config, settings)


# --- the export -----------------------------------------------------------------------------------


def look_at_export(case: Case) -> str:
    """Export the overfitted model, load it, and compare what both find."""
    photos = [image.pixels() for image in case.photos]
    folder = saved_model.export(case.run, case.folder / "export")
    found = Detector.load(folder).detect(photos, threshold=_SURE)
    wanted = training.detector(case.run).detect(photos, threshold=_SURE)
    for image, one, other in zip(case.photos, found, wanted, strict=True):
        if not _agree(one, other):
            raise FoundFault(
                f"{image.path.name}: the export finds {_describe(one)}, the run itself {_describe(other)}.",
                "TensorFlow and the Model Garden do not fit each other: install the versions that the first line asks "
                "for, then restart.",
            )
    return f"Exported, loaded, and {sum(map(len, found))} detections are the same as the run's own."


def _agree(one: sv.Detections, other: sv.Detections) -> bool:
    """Whether both find the same; a detection at the edge of the threshold may be on one side alone."""
    for some, others in ((one, other), (other, one)):
        for box_xyxy, confidence, name in each(some):
            same = (
                name == other_name
                and np.abs(other_xyxy - box_xyxy).max() <= _PIXELS
                and abs(other_confidence - confidence) <= _CONFIDENCE
                for other_xyxy, other_confidence, other_name in each(others)
            )
            if confidence > _SURE + _CONFIDENCE and not any(same):
                return False
    return True


def _describe(found: sv.Detections) -> str:
    names = [f"{name} {confidence:.2f}" for _, confidence, name in each(found)]
    return ", ".join(names[:5]) or "nothing"
