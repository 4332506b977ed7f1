"""A checkpoint of the Object Detection API becomes a run that detects the same, or an error says why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import originals
import pytest

from tfod_helpers import pipeline_config
from tfod_helpers.files.run_folder import Run

pytestmark = pytest.mark.tensorflow
CLASSES = ["one", "two", "three"]


def raw_outputs(model: Any, config: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's class logits with the background, and its decoded boxes_yxyx in pixels, all per anchor."""
    import tensorflow as tf

    from tfod_helpers.network import inputs, normalization

    found = model(normalization.of(config.task).apply(tf.cast(images, tf.float32)), training=False)
    logits, codes = (
        np.concatenate([found[name][level].numpy().reshape(len(images), -1, size) for level in sorted(found[name])], 1)
        for name, size in (("cls_outputs", len(CLASSES) + 1), ("box_outputs", 4))
    )
    anchors = np.concatenate(
        [boxes.numpy().reshape(-1, 4) for _, boxes in sorted(inputs.anchor_boxes(config.task).items())]
    )
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + codes[..., :2] * size
    half = np.exp(codes[..., 2:]) * size / 2
    return logits, np.concatenate([centre - half, centre + half], axis=-1)


def carried(fixture: dict[str, Any], folder: Path) -> Run:
    """Carry a fixture over."""
    (folder / "pipeline.config").write_text(fixture["config"])
    prefix = originals.write_checkpoint(fixture, folder / "ckpt-3")
    return pipeline_config.read(folder / "pipeline.config").carry(prefix, folder / "run", label_map=CLASSES)


@pytest.mark.parametrize("name", ["fpnlite_320", "fpnlite_75", "v1_fpn_75", "r50_fpn", "r101_fpn"])
def test_the_same_network_and_the_same_detections(name: str, tmp_path: Path) -> None:
    """Logits and decoded boxes to 0.001 of each family, widths and depths; the same hundred detections."""
    from tfod_helpers import training
    from tfod_helpers.training import detecting

    fixture = originals.load(name)
    run, side = carried(fixture, tmp_path), fixture["size"]
    images = np.stack([originals.image(one["seed"], side) for one in fixture["images"]])
    model, config = training.load_model(run)
    logits, boxes_yxyx = raw_outputs(model, config, images)
    assert logits.shape[1] == fixture["anchors"]
    detections = detecting.of_model(model, config).detect(list(images), threshold=0.0)
    for number, (one, found) in enumerate(zip(fixture["images"], detections, strict=True)):
        np.testing.assert_allclose(logits[number, one["pick"]], one["logits"], atol=1e-3)
        np.testing.assert_allclose(boxes_yxyx[number, one["pick"]] / side, one["boxes_yxyx"], atol=1e-3)
        # The original leaves boxes beyond the image out before it counts to a hundred, a detector after it.
        assert len(found) > 90
        assert not originals.unmatched(one["detections"][: len(found)], found, side)
