"""How photos become the square input: the factors of each axis, and names that are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from tfod_helpers import photos
from tfod_helpers.presets import resizing


@pytest.mark.parametrize("resize", resizing.RESIZES)
def test_factors_are_those_that_photos_are_scaled_by(resize: str) -> None:
    """They are what `photos.letterbox` does, to half a pixel of the square."""
    sizes = np.array([[200, 120], [120, 200], [64, 64], [30, 7], [1000, 10]])
    for size, factor in zip(sizes, resizing.factors(sizes, 64, resize), strict=True):
        seen = photos.letterbox(np.zeros((size[1], size[0], 3), np.uint8), 64, resize=resize)
        assert np.abs((np.array(seen.scale) - factor) * size).max() <= 0.5
    assert resizing.factors(np.zeros((0, 2)), 64, resize).shape == (0, 2)


@pytest.mark.parametrize("name", ["Stretch", "crop", "", None, True])
def test_another_name_is_refused_with_what_is_allowed(name: object) -> None:
    """The message says what there is and what was given; of a near miss, what was meant."""
    with pytest.raises(
        ValueError, match=r"resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got "
    ) as caught:
        resizing.check(name)  # type: ignore[arg-type]
    assert repr(name) in str(caught.value)
    assert ("Did you mean 'stretch'?" in str(caught.value)) == (name == "Stretch")
