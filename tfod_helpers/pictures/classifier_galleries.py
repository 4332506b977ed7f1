"""Photos by what a classifier says of them: its mistakes, and where it looked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from PIL import Image

from tfod_helpers.annotations import LabelledImage
from tfod_helpers.annotations.appearance import BLUE, VERMILLION
from tfod_helpers.pictures.gallery import draw_gallery, in_rows, spread
from tfod_helpers.pictures.panels import Panel
from tfod_helpers.pictures.picture import Picture, counted

if TYPE_CHECKING:
    from tfod_helpers.evaluation import Classification

_COLUMNS, _ASPECT = 4, 4 / 3
_TINT = 0.5  # how much of the colour of heat covers a photo


def show_classified(
    evaluation: Classification, count: int = 8, *, wrong: bool = True, heat: np.ndarray | None = None
) -> Picture:
    """Show photos with what a classifier said of them: the mistakes, the most confident first, or photos of all kinds.

    Args:
        evaluation: as `classifier.evaluate` returns it.
        count: photos to show at most.
        wrong: the mistakes alone; False shows photos evenly spaced over the dataset.
        heat: where it looked, of each photo of the dataset, shape (n, h, w), as `classifier.heat` returns it.

    Raises:
        ValueError: ``count`` is below 1, or ``heat`` is of other photos.
    """
    if heat is not None and len(heat) != evaluation.images:
        raise ValueError(f"heat is of {len(heat)} photos, and the evaluation of {evaluation.images}: give that of all.")
    mistakes = evaluation.mistakes()["image"].tolist()
    if count < 1:
        raise ValueError(f"count must be 1 or more, got {count}.")
    chosen = mistakes[:count] if wrong else spread(range(evaluation.images), count)
    headline = f"{counted(len(mistakes), 'mistake')} on {counted(evaluation.images, 'photo')}"
    headline += f", {len(chosen)} shown" if wrong and len(chosen) < len(mistakes) else ""
    headline += "; light: what spoke for the answer" if heat is not None and chosen else ""
    panels = [[_panel(evaluation, at, None if heat is None else heat[at])] for at in chosen]
    return draw_gallery(in_rows(panels, _COLUMNS), headline, lines=1) if panels else draw_gallery([], headline)


def _panel(evaluation: Classification, at: int, heat: np.ndarray | None) -> Panel:
    image, probabilities = evaluation.dataset[at], evaluation.probabilities[at]
    names = list(evaluation.dataset.label_map)
    label, said = names[image.labels[0] - 1], names[int(probabilities.argmax())]
    right = label == said
    caption = f"{said} {probabilities.max():.2f}" + ("" if right else f", labelled {label}")
    read: Callable[[], np.ndarray] = partial(_pixels, image, heat)
    xmin, ymin, xmax, ymax = image.boxes_xyxy[0].tolist()
    size = (max(1, round(xmax - xmin)), max(1, round(ymax - ymin)))
    tag = ("right", BLUE) if right else ("wrong", VERMILLION)
    return Panel(read, size, title=image.path.name, tag=tag, caption=caption, aspect=_ASPECT)


def _pixels(image: LabelledImage, heat: np.ndarray | None) -> np.ndarray:
    """Return what is looked at of a photo, and in colours where that spoke for the answer: uint8, shape (h, w, 3)."""
    xmin, ymin, xmax, ymax = np.round(image.boxes_xyxy[0]).astype(int).tolist()
    pixels = image.pixels()[ymin : max(ymax, ymin + 1), xmin : max(xmax, xmin + 1)]
    if heat is None:
        return pixels
    size: Sequence[int] = (pixels.shape[1], pixels.shape[0])
    wide = Image.fromarray((heat * 255).astype(np.uint8)).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    colours = matplotlib.colormaps["inferno"](np.asarray(wide))[..., :3] * 255
    return (pixels * (1 - _TINT) + colours * _TINT).astype(np.uint8)
