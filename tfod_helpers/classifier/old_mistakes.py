"""What happens without normalization, shown on your own photos: the mistake that costs beginners days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers import evaluation
from tfod_helpers.annotations import Dataset
from tfod_helpers.classifier.looked_at import all_squares

if TYPE_CHECKING:
    import pandas as pd

_CHANNELS, _RATE = (16, 32, 64), 0.02
NORMALIZED, NOT = "pixels from -1 to 1", "pixels from 0 to 255"


def without_normalization(
    train: Dataset, validation: Dataset, *, side: int = 48, epochs: int = 10, seed: int = 0
) -> dict[str, pd.DataFrame]:
    """Train a beginner's network twice, with the pixels normalized and as they are, alike in all else.

    Three convolutions and stochastic gradient descent, as tutorials have it, and no batch norm, which hides the
    mistake. Nothing of it is kept.

    Args:
        train: photos, one box each.
        validation: others.
        side: of the squares, in pixels.
        epochs: of each.
        seed: of the random numbers.

    Returns:
        The history of each by its name, as `pictures.plot_epochs` takes them.
    """
    seen, others = ((all_squares(part, side), evaluation.labels(part)) for part in (train, validation))
    scales = {NORMALIZED: (1 / 127.5, -1.0), NOT: (1.0, 0.0)}
    return {name: _trained(seen, others, *scale, len(train.label_map), epochs, seed) for name, scale in scales.items()}


def _trained(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    scale: float,
    offset: float,
    classes: int,
    epochs: int,
    seed: int,
) -> pd.DataFrame:
    import keras
    import pandas as pd

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    net = keras.Sequential([keras.Input(train[0].shape[1:]), layers.Rescaling(scale, offset)])
    for channels in _CHANNELS:
        net.add(layers.Conv2D(channels, 3, activation="relu"))
        net.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(classes, activation="softmax")):
        net.add(layer)
    net.compile(keras.optimizers.SGD(_RATE, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    logs = net.fit(*train, batch_size=32, epochs=epochs, verbose=0, validation_data=validation).history
    columns = {"epoch": range(1, epochs + 1), "validation_loss": logs["val_loss"]}
    return pd.DataFrame(columns | {"validation_accuracy": logs["val_accuracy"]})
