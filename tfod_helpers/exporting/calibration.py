"""Training photos -> the inputs that show quantization which values occur in the network."""

from __future__ import annotations

import itertools

import numpy as np

from tfod_helpers import photos as images
from tfod_helpers import records
from tfod_helpers.annotations import Dataset
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.records import Records
from tfod_helpers.training.claiming import find_records

# Ranges reach from the least to the largest value seen, so more photos can only make the steps between coarser: on 330
# photos of cats and dogs int8 lost .008 AP after 32 and .012 after 100.
COUNT = 32


def photos(config: ExperimentConfig, given: Records | Dataset | None) -> np.ndarray:
    """Return photos as the model sees them, without augmentation: uint8, (n, side, side, 3).

    Args:
        config: the run's settings.
        given: where they are from; left out, the run's training records.

    Raises:
        FileNotFoundError: the training records are not there any more.
        ValueError: there is no photo.
    """
    if given is None:
        try:
            given = find_records(config, "train")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"int8 has to see training photos, to learn which values occur, and the run's are not here any more. "
                f"Give some, as a dataset or as records: calibrate=dataset. ({error})"
            ) from error
    source = given if isinstance(given, Dataset) else records.read(given)
    count = len(given) if isinstance(given, Dataset) else given.count
    if not count:
        raise ValueError("There is no photo to calibrate int8 with. Give the training photos: calibrate=dataset.")
    side, resize = config.task.model.input_size[0], config.task.resize
    chosen = itertools.islice(source, 0, None, max(1, count // COUNT))
    squares = (images.letterbox(image.pixels(), side, resize=resize) for image in itertools.islice(chosen, COUNT))
    return np.stack([square.pixels for square in squares])
