"""What is in boxes, and what their outlines say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.classifier import looked_at, outlines


@pytest.fixture
def photo(tmp_path: Path) -> LabelledImage:
    """A grey photo with a red and a blue square, each in a box; a third box is the whole photo."""
    pixels = np.full((80, 120, 3), 128, np.uint8)
    pixels[20:40, 20:40], pixels[40:80, 80:120] = (250, 0, 0), (0, 0, 250)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    boxes_xyxy = [[20, 20, 40, 40], [80, 40, 120, 80], [0, 0, 120, 80]]
    return LabelledImage(tmp_path / "a.png", 120, 80, boxes_xyxy, [1, 2, 1])


def test_crops_show_the_box_and_a_tenth_around_it(photo: LabelledImage) -> None:
    """Each square has its own box in it; at the photo's edge nothing is made up."""
    red, blue, whole = looked_at.squares(photo, 24)
    assert red[12, 12].tolist() == [250, 0, 0]
    assert red[0, 0].tolist() == [128, 128, 128], "a tenth of the box on each side is 2 of 24 pixels"
    assert red[2:-2, 2:-2].reshape(-1, 3).mean(axis=0) == pytest.approx([250, 0, 0], abs=12)
    assert blue[-1, -1].tolist() == [0, 0, 250], "below and right of it the photo ends"
    assert blue[0, 0].tolist() == [128, 128, 128]
    expected = np.asarray(Image.open(photo.path).resize((24, 24), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(whole.astype(int), expected, atol=6)


def test_only_wanted_boxes_are_cut_out(photo: LabelledImage) -> None:
    """Of the boxes that are asked for there is one square each; of none, none, and no photo is read."""
    (blue,) = looked_at.squares(photo, 8, np.array([False, True, False]))
    assert blue[-1, -1].tolist() == [0, 0, 250]
    photo.path.unlink()
    assert looked_at.squares(photo, 8, np.zeros(3, bool)).shape == (0, 8, 8, 3)
    with pytest.raises(FileNotFoundError):
        looked_at.squares(photo, 8)


def test_outlines_tell_the_direction_and_the_place_of_edges() -> None:
    """An edge counts in its cell, for its orientation or the two beside it, dark to bright as bright to dark."""
    side = outlines.SIDE
    pictures = np.zeros((4, side, side, 3), np.uint8)
    pictures[0, :, side // 2 + 6 :] = 200
    pictures[1] = 200 - pictures[0]
    pictures[2] = pictures[0].transpose(1, 0, 2)
    upright, inverse, lying, plain = outlines.describe(pictures).reshape(4, 8, 8, 8)
    np.testing.assert_allclose((upright**2).sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(upright, inverse)
    assert (upright[:, 4, 0] > 0.3).all(), "orientation 0 is a gradient along x"
    assert upright.sum() == pytest.approx(upright[:, 4, 0].sum())
    np.testing.assert_allclose(lying[4, :, 4], upright[:, 4, 0], rtol=1e-5)
    assert not plain.any()
