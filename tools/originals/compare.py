"""Carry trainings of the original programs over, and compare what this package makes of them with what those made.

Usage: ``python tools/originals/compare.py FOLDER...``; each folder is one that ``object_detection_api.py trained`` or
``keras_hub_retinanet.py trained`` wrote. Each is carried over in a process of its own: ``seconds`` is the whole way,
from the import of TensorFlow to the detections of the first photo. The other columns: the largest difference of the
class logits, the largest difference of a side of a decoded box, in pixels and as a fraction of the input, and how many
of the original's detections have a counterpart, of the same class, each side within half a pixel, the score within
0.001.

It ends with an error where a figure misses its limit. Photos that are no square as large as the input are told apart:
the two programs resize them by different filters.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST = 1e-3  # of the differences of logits, of boxes as fractions of the input, and of scores
NEAR = 0.5  # pixels of the photo, between the sides of the same detection
LEAST = 0.9  # of the original's detections; those outside of the photo take no places in its hundred
SECONDS = 60.0
ROW = "{:<28}{:>9}{:>10}{:>10}{:>12}{:>12}{:>9}"


@dataclass
class Compared:
    """What a carried model and the original say of the same photos.

    Attributes:
        logits: the largest difference.
        boxes: the largest difference of a decoded box, in fractions of the input.
        side: of the input, in pixels.
        same: how many of the original's detections have a counterpart.
        different: how many detections of either have none, as far as both go.
        detections: how many the original has.
        seconds: from the start to the first detections.
        notes: what is not compared by these figures.
    """

    logits: float
    boxes: float
    side: int
    same: int
    different: int
    detections: int
    seconds: float
    notes: list[str]

    @property
    def passes(self) -> bool:
        """Whether it is the same model."""
        near = self.logits <= MOST and self.boxes <= MOST  # a NaN is not
        return near and not self.different and self.same >= LEAST * self.detections and self.seconds <= SECONDS

    def row(self, name: str) -> str:
        """Return its line of the table."""
        same = f"{self.same} of {self.detections}"
        boxes = f"{self.boxes * self.side:.5f}", f"{self.boxes:.1e}"
        return ROW.format(name, f"{self.logits:.1e}", *boxes, same, self.different, f"{self.seconds:.1f}")


def object_detection_api(folder: Path) -> Compared:
    """Carry a training of the TensorFlow Object Detection API over, and compare."""
    started = time.monotonic()
    from PIL import Image

    from tfod_helpers import pipeline_config, training

    expected = dict(np.load(folder / "expected.npz"))
    photos = [folder / name for name in expected["photos"]]
    with tempfile.TemporaryDirectory() as temporary:
        run = pipeline_config.read(folder / "pipeline.config").carry(folder, Path(temporary, "run"))
        detector = training.detector(run)
        detector.detect(photos[0])
        seconds = time.monotonic() - started
        found = detector.detect(photos, threshold=0.0)
        pixels = np.stack([np.asarray(detector.letterbox(photo).pixels) for photo in photos])
        logits, boxes_yxyx = raw_outputs(*training.load_model(run), pixels)
    side = detector.image_size
    sizes = [Image.open(photo).size for photo in photos]
    exact = [number for number, size in enumerate(sizes) if size == (side, side)]
    counts = []
    for number, (width, height) in enumerate(sizes):
        yxyx = expected["detection_boxes_yxyx"][number] * [height, width, height, width]
        ours = found[number].xyxy[:, [1, 0, 3, 2]], found[number].confidence, found[number].class_id
        theirs = yxyx, expected["detection_scores"][number], expected["detection_labels"][number]
        counts.append(matches(theirs, ours))
    logit_changes = np.abs(logits - expected["logits"]).max(axis=(1, 2))
    notes = [
        f"{photos[number].name}, {sizes[number][0]}x{sizes[number][1]}, is resized by another filter: logits differ by"
        f" up to {logit_changes[number]:.2g}, and {counts[number][0]} detections are the same."
        for number in range(len(photos))
        if number not in exact
    ]
    return Compared(
        logits=float(logit_changes[exact].max()),
        boxes=float(np.abs(boxes_yxyx / side - expected["boxes_yxyx"])[exact].max()),
        side=side,
        same=sum(counts[number][0] for number in exact),
        different=sum(counts[number][1] for number in exact),
        detections=len(exact) * expected["detection_scores"].shape[1],
        seconds=seconds,
        notes=notes,
    )


def keras_hub_retinanet(folder: Path) -> Compared:
    """Fill the preset's network from a preset of KerasHub's, and compare."""
    started = time.monotonic()
    import tensorflow as tf

    from tfod_helpers.experiment.config import from_preset
    from tfod_helpers.network.model import build_model, detect_function
    from tfod_helpers.network.weights import keras_hub, keras_hub_preset

    expected = dict(np.load(folder / "expected.npz"))
    pixels, side = expected["pixels"], expected["pixels"].shape[1]
    names = [str(number) for number in range(1, expected["logits"].shape[2])]
    config = from_preset("retinanet_resnet50_640")
    config.task.model.input_size, config.task.model.num_classes = [side, side, 3], 1 + len(names)
    # KerasHub compares near boxes of all classes with each other, each with its best class.
    settings = config.task.model.detection_generator
    settings.nms_version, settings.use_class_agnostic_nms = "v2", True
    model = build_model(config)
    for variable, value in keras_hub.read(model, keras_hub_preset.find(folder), names=names, theirs=names):
        variable.assign(value)
    detect = tf.function(detect_function(model, config))
    detect(pixels[:1])
    seconds = time.monotonic() - started
    found = {name: value.numpy() for name, value in detect(pixels).items()}
    logits, boxes_yxyx = raw_outputs(model, config, pixels)
    counts = []
    for number, count in enumerate(found["count"]):
        ours = (found[name][number, :count] for name in ("boxes_xyxy", "scores", "classes"))
        theirs = [expected[f"found_{name}"][number] for name in ("boxes_yxyx", "scores", "classes")]
        clipped_xyxy = np.clip(theirs[0][:, [1, 0, 3, 2]], 0, side)
        counts.append(matches((clipped_xyxy, *theirs[1:]), tuple(ours)))
    return Compared(
        logits=float(np.abs(logits - expected["logits"]).max()),
        boxes=float(np.abs(boxes_yxyx - expected["boxes_yxyx"]).max()) / side,
        side=side,
        same=sum(same for same, _ in counts),
        different=sum(different for _, different in counts),
        detections=expected["found_scores"].size,
        seconds=seconds,
        notes=[],
    )


def raw_outputs(model: Any, config: Any, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return class logits with the background, (n, anchors, 1 + classes), and decoded boxes in pixels, not clipped.

    Args:
        model: a run's network.
        config: its settings.
        pixels: uint8, (n, side, side, 3).
    """
    import tensorflow as tf

    from tfod_helpers.network import inputs, normalization

    features = model.backbone(normalization.of(config.task).apply(tf.cast(pixels, tf.float32)), training=False)
    found = dict(zip(("cls_outputs", "box_outputs"), model.head(model.decoder(features, training=False)), strict=False))
    anchors_yxyx = inputs.anchor_boxes(config.task)
    levels = sorted(anchors_yxyx, key=int)
    logits, codes = (
        np.concatenate([found[name][level].numpy().reshape(len(pixels), -1, values) for level in levels], axis=1)
        for name, values in (("cls_outputs", config.task.model.num_classes), ("box_outputs", 4))
    )
    anchors = np.concatenate([anchors_yxyx[level].numpy().reshape(-1, 4) for level in levels])
    size = anchors[:, 2:] - anchors[:, :2]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2 + codes[..., :2] * size
    half = np.exp(codes[..., 2:]) * size / 2
    return logits, np.concatenate([centres - half, centres + half], axis=-1)


def matches(theirs: tuple[np.ndarray, ...], ours: tuple[np.ndarray, ...]) -> tuple[int, int]:
    """Return how many detections two programs share, and how many of either the other lacks.

    Args:
        theirs: the original's boxes_yxyx in pixels of the photo, scores, falling, and labels.
        ours: the same of this package's detector. It may have fewer: the original leaves boxes outside of the photo
            out before it counts to its hundred, a detector does it after that. What goes beyond is not held against it.
    """
    left, same = list(range(len(ours[0]))), 0
    lacking = 0
    for number in range(len(theirs[0])):
        box, score, label = (values[number] for values in theirs)
        near = [
            one
            for one in left
            if ours[2][one] == label and abs(ours[1][one] - score) <= MOST and np.abs(ours[0][one] - box).max() <= NEAR
        ]
        if near:
            left.remove(min(near, key=lambda one: float(np.abs(ours[0][one] - box).max())))
            same += 1
        elif number < len(ours[0]):
            lacking += 1
    return same, lacking + len(left)


# What tells whose a folder is -> the program it is from. One more is one line, and its function above.
PROGRAMS: dict[str, Callable[[Path], Compared]] = {
    "pipeline.config": object_detection_api,
    "task.weights.h5": keras_hub_retinanet,
}


def main(folders: list[Path]) -> None:
    """Print the table."""
    print(ROW.format("training", "logits", "boxes, px", "of side", "same", "different", "seconds"))
    missed = []
    for folder in folders:
        program = next((of for file, of in PROGRAMS.items() if (folder / file).is_file()), None)
        if program is None:
            sys.exit(f"{folder}: has no {' and no '.join(PROGRAMS)}. Make it first: make originals.")
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as alone:
            compared = alone.submit(program, folder).result()
        print(compared.row(folder.name), *(f"  {note}" for note in compared.notes), sep="\n", flush=True)
        missed += [] if compared.passes else [folder.name]
    if missed:
        limits = f"{MOST} in logits and boxes, {LEAST:.0%} the same, none different, {SECONDS:.0f} s"
        sys.exit(f"{', '.join(missed)}: not the same model, or too slow. The limits are {limits}.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main([Path(folder) for folder in sys.argv[1:]])
