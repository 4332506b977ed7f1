"""What a detector suggests for photos, and what a person says to that."""

from __future__ import annotations

from dataclasses import replace

from tfod_helpers.annotations import Dataset


def confirm(dataset: Dataset) -> Dataset:
    """Return the same labels as a person's own: somebody has looked at every photo, and put right what was wrong.

    A tool that shows suggestions does not tell which photos somebody has looked at and left as they were, so say it
    here, and only once it is so: from then on they are trained on and counted as true.

    Args:
        dataset: photos that may hold suggestions; the others stay as they are.
    """
    return replace(dataset, images=tuple(replace(image, scores=None) for image in dataset))
