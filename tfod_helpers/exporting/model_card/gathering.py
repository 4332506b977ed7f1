"""A run's files -> the origin of one of its models, for its card."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np

from tfod_helpers import records
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.exporting.model_card.origin import Origin, Photos
from tfod_helpers.files.run_folder import CARRIED, Checkpoint, Run
from tfod_helpers.presets import resizing
from tfod_helpers.presets.models import SSD_MAPS
from tfod_helpers.training.claiming import find_records

_COMMON = (5, 95)  # percentiles: nine of ten objects lie between them


def of_run(run: Run, config: ExperimentConfig, checkpoint: Checkpoint) -> Origin:
    """Gather what a run knows of one of its models."""
    manifest, task = run.read_manifest(), config.task
    step = run.find_model(checkpoint)["step"]
    weights, started = _weights(manifest)
    terms = manifest.get("weights_terms") or {}
    return Origin(
        network=_network(task.model, is_rcnn=task.is_rcnn),
        parts={which: _photos(manifest, config, which) for which in ("train", "validation")},
        batch_size=task.train_data.global_batch_size,
        intervals=_intervals(run, manifest, step),
        weights=weights,
        started=started,
        licence=terms.get("licence", ""),
        citation=terms.get("citation", ""),
        made_with=manifest.get("versions", {}),
    )


def _intervals(run: Run, manifest: dict[str, Any], step: int) -> dict[str, tuple[float, float]]:
    """Return the intervals of a model's scores, of the training, or of an evaluator on the same photos."""
    found: dict[str, Any] = {}
    if (manifest.get("best") or {}).get("step") == step:
        found = manifest.get("best_intervals") or {}
    elif judged := run.read_evaluations().get(step):
        same = manifest.get("data", {}).get("validation", {}).get("fingerprint")
        found = judged["intervals"] if judged["photos"]["fingerprint"] == same else {}
    known = {name: ends for name, ends in found.items() if None not in ends and all(map(math.isfinite, ends))}
    return {name: (low, high) for name, (low, high) in known.items() if name in ("ap", "ap50")}


def _photos(manifest: dict[str, Any], config: ExperimentConfig, which: str) -> Photos:
    known = manifest.get("data", {}).get(which, {})
    images, boxes = known.get("images", getattr(config.task, f"{which}_images")), known.get("boxes")
    try:
        found = find_records(config, which)
        if found.fingerprint != known.get("fingerprint"):  # written anew since
            return Photos(images, boxes)
        return _counted(config, list(records.read_labels(found)))
    except (OSError, ValueError):  # not here any more: an export needs them no longer
        return Photos(images, boxes)


def _counted(config: ExperimentConfig, images: list[Any]) -> Photos:
    task = config.task
    sizes = np.array([[image.width, image.height] for image in images])
    factors = resizing.factors(sizes, task.model.input_size[0], task.resize)
    sides = [
        np.sqrt(np.prod((image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]) * factor, axis=1))
        for image, factor in zip(images, factors, strict=True)
    ]
    every = np.concatenate(sides) if sides else np.zeros(0)
    counts = Counter(label for image in images for label in image.labels.tolist())
    low, high = np.percentile(every, _COMMON) if len(every) else (0.0, 0.0)
    objects = {name: counts[number] for number, name in enumerate(task.class_names, start=1)}
    return Photos(len(images), len(every), objects, (float(low), float(high)) if len(every) else None)


def _network(model: Any, *, is_rcnn: bool) -> str:
    """Return the network in words, such as "RetinaNet with MobileNetV2 (width 0.35) and a feature pyramid"."""
    has_maps = model.decoder.type == SSD_MAPS
    family = "SSD" if has_maps else "RetinaNet"
    if is_rcnn:
        family = "Mask R-CNN" if model.include_mask else "Faster R-CNN"
    kind = model.backbone.type
    backbone = model.backbone.get()
    name = str(getattr(backbone, "model_id", ""))
    name = name if name.lower().startswith(kind[:4]) else f"{kind} {name}".strip()
    if kind == "resnet":
        name = f"ResNet-{backbone.model_id}"
    width = getattr(backbone, "filter_size_scale", 1.0)
    width_words = f" (width {width:g})" if width != 1 else ""
    what = "feature maps" if has_maps else "a feature pyramid"
    pyramid = f" and {what} of levels {model.min_level} to {model.max_level}" * bool(model.decoder.type)
    return f"{family} with {name}{width_words}{pyramid}"


def _weights(manifest: dict[str, Any]) -> tuple[str, str]:
    """Return what kind of weights a run started from, and that in words.

    No path is told: a card is for strangers, and a path may name a person.
    """
    sentence = str(manifest.get("weights", ""))
    if sentence.startswith("Everything starts from random values"):
        return "scratch", "Everything started from random values."
    source = manifest.get("weights_source", "")
    if source == CARRIED:
        return CARRIED, ""
    if source in ("coco", "imagenet"):
        what, rest, _ = sentence.partition(";")
        what = re.sub(r" starts? from ", " started from ", what.removesuffix("."))
        return source, f"{what}{'; the rest from random values' * bool(rest)}."
    return ("other", "It started from the weights of another checkpoint.") if source else ("", "")
