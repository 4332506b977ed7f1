"""The doctor's look at the data: whole records, the right classes, boxes that the model's anchors can learn."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfod_helpers import checks, experiment, presets, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.doctor.diagnosis import Case, FoundFault
from tfod_helpers.experiment import ExperimentConfig, fitting
from tfod_helpers.presets import Preset, anchors, keys
from tfod_helpers.problems import DatasetError
from tfod_helpers.records import Records

_ALL_BYTES = 2e9  # records up to this size are read whole; more would take longer than there is time
_LEAST = 0.5  # share of the boxes that some anchor must overlap by half
_SAME = 1e-3  # of the image's side: the same box
_LARGEST = 4  # times the image size: what is tried to fit the boxes
_WRITE_AGAIN = "Write the records again with records.write, and make the config again with experiment.make."


def look_at_records(case: Case) -> str:
    """Read all records, and compare them with the config and with the dataset that they were made of."""
    wanted = experiment.label_map(case.config)
    parts = {"train": case.config.task.train_data, "validation": case.config.task.validation_data}
    case.records = {part: records.of_pattern(data.input_path) for part, data in parts.items()}
    for part, found in case.records.items():
        if found.label_map != wanted:
            raise FoundFault(
                f"The {part} records have the classes {found.label_map.describe()}, the config {wanted.describe()}.",
                "Make the config again with experiment.make, from these records.",
            )
    proved = all([_prove_whole(found) for found in case.records.values()])
    boxes = {part: fitting.read_boxes(found) for part, found in case.records.items()}
    case.objects = boxes["train"]
    for part, of in boxes.items():
        if missing := [name for name, count in of.counts.items() if not count]:
            raise FoundFault(
                f"There is no example of {', '.join(map(repr, missing[:10]))} in the {part} records.",
                "Split again with Dataset.split, which shares out every class; or label some, or leave the class out.",
            )
    if shared := records.in_both(case.records["train"], case.records["validation"]):
        raise FoundFault(
            f"{len(shared)} of the validation photos are training photos too, such as {shared[0]!r}: their score says "
            f"nothing about others.",
            "Divide the photos with train_and_validation() of their dataset, and write both records again.",
        )
    compared = _look_at_dataset(case)
    rarest = min((count, name) for name, count in case.objects.counts.items())
    state = "proved whole" if proved else "opened, too large to read all of them here (records.verify does)"
    counts = " and ".join(f"{found.count} {part} photos" for part, found in case.records.items())
    return (
        f"{counts} {state}; {len(wanted)} classes, the rarest {rarest[1]!r} with {rarest[0]} training boxes{compared}."
    )


def _prove_whole(found: Records) -> bool:
    if found.stored_bytes > _ALL_BYTES:
        return False
    try:
        records.verify(found)
    except DatasetError as error:
        more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        one = error.problems[0]
        raise FoundFault(f"{one.where}{', ' * bool(one.object)}{one.object}: {one.what}{more}.", one.fix) from error
    return True


def _look_at_dataset(case: Case) -> str:
    if not case.datasets:
        return ""
    report = checks.check(case.datasets, preset=case.config.task.preset, resize=case.config.task.resize)
    for problem in report.problems:
        if problem.severity == "error":
            raise FoundFault(f"The dataset: {problem}", "checks.check lists all of it, checks.mend does what is safe.")
    same = 0
    for part, found in case.records.items():
        if dataset := case.datasets.get(part) or case.datasets.get(""):  # "" where it was not given by split
            same += _compare(part, found, dataset)
    warned = sum(problem.severity == "warning" for problem in report.problems)
    return f"; {same} photos compared with the dataset, {warned} warning{'s' * (warned != 1)} of checks.check"


def _compare(part: str, found: Records, dataset: Dataset) -> int:
    """Compare the objects of each photo in records and dataset, and return how many photos are in both."""
    known: dict[str, LabelledImage | None] = {}
    for image in dataset:  # two photos of one name cannot be told apart
        known[image.path.name] = None if image.path.name in known else image
    same = 0
    for image in records.read_labels(found):
        wanted = known.get(image.path.name)
        if wanted is None:
            continue
        if not _alike(image, found.label_map, wanted, dataset.label_map):
            raise FoundFault(
                f"{image.path.name}: the {part} records say {_shown(image, found.label_map)}, the dataset says "
                f"{_shown(wanted, dataset.label_map)}.",
                _WRITE_AGAIN,
            )
        same += 1
    return same


def _alike(one: LabelledImage, names: LabelMap, other: LabelledImage, other_names: LabelMap) -> bool:
    """Whether two images have the same objects; records may hold an image that is smaller."""
    called, others_called = _names(one, names), _names(other, other_names)
    fractions = [image.boxes_xyxy / np.tile([image.width, image.height], 2) for image in (one, other)]
    return called == others_called and bool(np.allclose(fractions[0], fractions[1], atol=_SAME))


def _names(image: LabelledImage, label_map: LabelMap) -> list[str]:
    return [label_map.names[label - 1] for label in image.labels.tolist()]


def _shown(image: LabelledImage, label_map: LabelMap) -> str:
    names = _names(image, label_map)
    boxes = [", ".join(f"{side:.0f}" for side in box) for box in image.boxes_xyxy.tolist()]
    return "; ".join(f"{name!r} at [{box}]" for name, box in zip(names[:3], boxes[:3], strict=True)) or "none"


# --- anchors --------------------------------------------------------------------------------------


def look_at_anchors(case: Case) -> str:
    """See how many of the training boxes some anchor overlaps by half."""
    model, of = as_preset(case.config), case.objects
    share = anchors.share_matched(of.boxes_xyxy, of.sizes, model)
    found = f"At {model.image_size} pixels {share:.0%} of the training boxes have an anchor that overlaps them by half"
    if share >= anchors.GOOD_SHARE:
        return f"{found}."
    fix = "Cut the photos into pieces."
    for setting, value, change in anchors.finer(model, _LARGEST):
        better = anchors.share_matched(of.boxes_xyxy, of.sizes, dataclasses.replace(model, **change))
        if better >= anchors.GOOD_SHARE:
            line = f"config = experiment.change(config, {{{setting!r}: {value}}})"
            if setting == keys.IMAGE_SIZE:
                line = f"Use image_size={value[0]} in experiment.make"
            fix = f"{line}: then {better:.0%} have one."
            break
    if share < _LEAST:
        raise FoundFault(f"{found}; a box without one is rarely found.", fix)
    return f"{found}; more would with this: {fix}"


def as_preset(config: ExperimentConfig) -> Preset:
    """Return the config's model as a preset, which may differ from the one that it was made from."""
    model = config.task.model
    return dataclasses.replace(
        presets.find(config.task.preset),
        image_size=model.input_size[0],
        resize=config.task.resize,
        levels=(model.min_level, model.max_level),
        anchor_size=model.anchor.anchor_size,
        largest_anchor=getattr(model.anchor, "largest_anchor", 0.0),  # an R-CNN has none
        anchor_scales=model.anchor.num_scales,
        aspect_ratios=tuple(model.anchor.aspect_ratios),
    )
