"""What other programs made of values that a rule gives: fixtures in ``tests/originals``, and the values again.

`tools/originals` makes the fixtures: it fills a network of the original program with the rule's values and writes down
its keys and shapes, and what it says of three images. So a test needs neither that program nor weights.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).with_name("originals")
CELL = 16  # pixels of a square of one colour


def load(name: str) -> dict[str, Any]:
    """Return a fixture by its name."""
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def value(key: str, shape: list[int]) -> np.ndarray:
    """Return the tensor that the rule gives a key."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    match key.rsplit("/", 1)[-1]:
        case "moving_variance":
            made = random.uniform(0.5, 2.0, shape)
        case "moving_mean" | "beta":
            made = random.randn(*shape) * 0.3
        case "gamma":
            made = random.uniform(0.6, 1.4, shape)
        case "bias":
            made = random.randn(*shape) * 0.1
        case "depthwise_kernel":
            made = random.randn(*shape) * 1.4 / np.sqrt(np.prod(shape[:2]))
        case _:
            made = random.randn(*shape) * 1.4 / np.sqrt(np.prod(shape[:3]))
    return made.astype(np.float32)


def image(seed: int, side: int) -> np.ndarray:
    """Return the image of a seed: uint8, (side, side, 3)."""
    colours = np.random.RandomState(seed).randint(0, 256, (-(-side // CELL), -(-side // CELL), 3))
    return colours.repeat(CELL, 0).repeat(CELL, 1)[:side, :side].astype(np.uint8)


def write_checkpoint(fixture: dict[str, Any], prefix: Path, **others: np.ndarray) -> Path:
    """Write the checkpoint of a fixture of the Object Detection API, under the keys that it had there.

    Args:
        fixture: from `load`.
        prefix: of the checkpoint.
        others: tensors in place of the rule's, by their keys; None leaves one out.
    """
    import tensorflow as tf

    tensors = {key: value(key, shape) for key, shape in fixture["names"]} | others
    kept = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    names = [f"model/{key}/.ATTRIBUTES/VARIABLE_VALUE" for key in kept]
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=list(kept.values())
    )
    return prefix


def unmatched(expected: list[dict[str, Any]], found: Any, side: int) -> list[dict[str, Any]]:
    """Return the detections that have no counterpart: of the same class, half a pixel and 0.001 in score away.

    Args:
        expected: the original's, ``box_yxyx`` in fractions of the image, ``score`` and ``label`` from 1.
        found: `supervision.Detections` in pixels.
        side: of the image, in pixels.
    """
    left, missing = set(range(len(found))), []
    for one in expected:
        ymin, xmin, ymax, xmax = np.array(one["box_yxyx"]) * side
        near = [
            number
            for number in left
            if found.class_id[number] == one["label"]
            and abs(found.confidence[number] - one["score"]) <= 1e-3
            and np.abs(found.xyxy[number] - [xmin, ymin, xmax, ymax]).max() <= 0.5
        ]
        if near:
            left.discard(near[0])
        else:
            missing.append(one)
    return missing
