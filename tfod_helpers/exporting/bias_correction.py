"""A network's box biases, moved by what int8 would move its boxes.

Rounding weights and values shifts the mean of what comes out. A size that is a hundredth too large in every box costs
AP where COCO asks for an IoU of .9, and the bias of the last layer can take it back: Nagel et al., Data-Free
Quantization Through Weight Equalization and Bias Correction, ICCV 2019, section 4.2; here from calibration photos.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfod_helpers.detector import tflite_file
from tfod_helpers.exporting.network import BOXES, LOGITS, ExportNetwork

_SURE = -3.0  # logit, a score of 0.05: boxes of what is surely background are never seen, so their shift is no matter
_ENOUGH = 100  # boxes, for a mean to mean something


@contextlib.contextmanager
def corrected(made: ExportNetwork, int8: bytes, photos: np.ndarray) -> Iterator[None]:
    """Let a network's boxes lie where int8 will put them right; afterwards it is as before.

    Args:
        made: the network; the bias of its last box layer is changed within the block.
        int8: the network as a LiteRT file with int8 inside, floats in and out, and its outputs encoded.
        photos: uint8, (n, side, side, 3), to compare the two on.
    """
    shift = _shift(made, int8, photos)
    last = made.model.head._box_regressor  # one for all levels, or one for each
    before = [(layer.bias, layer.bias.numpy()) for layer in (last if isinstance(last, list) else [last])]
    for bias, values in before:
        bias.assign(values - np.tile(shift, len(values) // len(shift)))
    try:
        yield
    finally:
        for bias, values in before:
            bias.assign(values)


def _shift(made: ExportNetwork, int8: bytes, photos: np.ndarray) -> np.ndarray:
    """Return by how much int8 moves the encoded boxes of likely objects in the mean: ``[dy, dx, dh, dw]``."""
    frozen = made.frozen()
    runner = tflite_file.runner(model_content=int8)
    moved = []
    for photo in photos[:, None].astype(np.float32):
        exact = {name: value.numpy() for name, value in frozen(tf.constant(photo)).items()}
        moved.append((runner(images=photo)[BOXES] - exact[BOXES])[exact[LOGITS].max(axis=2) > _SURE])
    together = np.concatenate(moved)
    return together.mean(axis=0) if len(together) >= _ENOUGH else np.zeros(4, np.float32)
