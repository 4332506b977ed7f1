"""Detections -> boxes and labels in the pixels of a frame, in the colours of this package's pictures."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import supervision as sv

from tfod_helpers.annotations.appearance import PALETTE, font_for, ink_on, readable
from tfod_helpers.detector.video.tracking import Track

# supervision counts classes from 0, and draws on BGR: with red and blue exchanged here, frames can stay as they are.
_HEX = (PALETTE[-1], *PALETTE[:-1])
_COLOURS = sv.ColorPalette([sv.Color(*sv.Color.from_hex(one).as_bgr()) for one in _HEX])
_INKS = sv.ColorPalette([sv.Color.BLACK if ink_on(one) == "black" else sv.Color.WHITE for one in _HEX])
_LONGEST_NAME = 32  # letters
_TEXT, _LEAST_TEXT = 0.024, 12  # height of labels: a share of the frame's shorter side, and pixels


def draw(rgb: np.ndarray, found: sv.Detections, tracks: Sequence[Track], names: Sequence[str]) -> np.ndarray:
    """Return a frame with boxes, masks where there are some, and labels such as ``#3 dog 0.87``.

    Args:
        rgb: uint8, shape (h, w, 3).
        found: as a `Detector` returns it, the most confident first.
        tracks: of each detection, where objects are tracked; else empty.
        names: of all classes, so that all have the same font.

    Returns:
        uint8, shape (h, w, 3), RGB.
    """
    scene = rgb.copy()
    if not len(found):
        return scene
    assert found.confidence is not None
    texts = [
        f"{readable(name, _LONGEST_NAME)} {sure:.2f}"
        for name, sure in zip(found.data["class_name"], found.confidence, strict=True)
    ]
    if tracks:
        texts = [f"#{one.number} {text}" if one.number else text for one, text in zip(tracks, texts, strict=True)]
    upwards = found[::-1]  # so that the most confident lie on top
    assert isinstance(upwards, sv.Detections)
    masks, boxes, labels = _annotators((rgb.shape[1], rgb.shape[0]), tuple(names))
    if found.mask is not None:
        scene = masks.annotate(scene, upwards)
    scene = boxes.annotate(scene, upwards)
    return np.asarray(labels.annotate(scene, upwards, texts[::-1]))


@functools.lru_cache(maxsize=4)
def _annotators(
    size: tuple[int, int], names: tuple[str, ...]
) -> tuple[sv.MaskAnnotator, sv.BoxAnnotator, sv.RichLabelAnnotator]:
    text = max(_LEAST_TEXT, round(_TEXT * min(size)))
    labels = sv.RichLabelAnnotator(
        color=_COLOURS,
        text_color=_INKS,
        font_path=font_for("".join(names)),
        font_size=text,
        text_padding=text // 4,
        smart_position=True,
    )
    return sv.MaskAnnotator(_COLOURS), sv.BoxAnnotator(_COLOURS, sv.calculate_optimal_line_thickness(size)), labels
