"""What the tests of the pictures share: photos, detections and results to draw, and a look at what was drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import supervision as sv
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from PIL import Image

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap

CAT_DOG = LabelMap(["cat", "dog"])
ODD_NAMES = ("cão", "🐱 猫", "$pot_$ _x_", "_hidden", "a class name so long that no photo could ever show all of it")


def photo(
    folder: Path,
    name: str,
    size: tuple[int, int] = (320, 240),
    boxes_xyxy: ArrayLike = (),
    labels: ArrayLike = (),
    colour: tuple[int, int, int] = (90, 90, 90),
) -> LabelledImage:
    """A plain photo on disk, with boxes."""
    Image.new("RGB", size, colour).save(folder / name)
    return LabelledImage(folder / name, *size, np.array(boxes_xyxy, float).reshape(-1, 4), labels)


def detections(*found: tuple[list[float], float, int], names: LabelMap = CAT_DOG) -> sv.Detections:
    """Detections as `Detector.detect` gives them: (box, confidence, class id) each."""
    ids = np.array([id for _, _, id in found], int)
    return sv.Detections(
        xyxy=np.array([box_xyxy for box_xyxy, _, _ in found], np.float32).reshape(-1, 4),
        confidence=np.array([confidence for _, confidence, _ in found], np.float32),
        class_id=ids,
        data={"class_name": np.array([names.name(id) for id in ids.tolist()], dtype=object)},
    )


def all_found(image: LabelledImage, names: LabelMap = CAT_DOG) -> sv.Detections:
    """The detections of a perfect detector."""
    pairs = zip(image.boxes_xyxy.tolist(), image.labels.tolist(), strict=True)
    return detections(*((box_xyxy, 0.9, label) for box_xyxy, label in pairs), names=names)


def drawn(axes: Axes, gid: str) -> list:
    """The rectangles of an axes that are boxes, or the grounds of names."""
    return [patch for patch in axes.patches if patch.get_gid() == gid]


def words(artist: Artist) -> list[str]:
    """Every text that a picture or an axes holds."""
    return [text.get_text() for text in artist.findobj(matplotlib.text.Text) if text.get_text()]


def few_photos(folder: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    cat, dog = [20, 30, 120, 200], [150, 60, 300, 220]
    return Dataset(
        tuple(
            photo(
                folder,
                f"{n:02}.png",
                boxes_xyxy=[cat] if n % 3 else [cat, dog],
                labels=[1] if n % 3 else [1, 2],
                colour=(90, 90, 90 + n),  # no two are the same file, which a split would keep together
            )
            for n in range(12)
        ),
        CAT_DOG,
    )


def odd_photos(folder: Path) -> Dataset:
    """Tiny, very wide, very high, crowded and empty photos, with names that are hard to draw."""
    corners_xy = np.random.default_rng(0).uniform(0, 700, (30, 2))
    crowd_xyxy = np.hstack([corners_xy, corners_xy + 60])
    return Dataset(
        (
            photo(folder, "tiny.png", (32, 24), [[2, 2, 20, 20]], [1]),
            photo(folder, "long " * 20 + ".png", (1500, 90), [[5, 5, 900, 80], [1480, 9, 1495, 80]], [2, 5]),
            photo(folder, "high.png", (60, 900), [[3, 40, 58, 300], [0, 700, 60, 900]], [3, 4]),
            photo(folder, "crowd.png", (800, 800), crowd_xyxy, np.arange(30) % 5 + 1),
            photo(folder, "$nothing$.png"),
        ),
        LabelMap(ODD_NAMES),
    )


def history() -> pd.DataFrame:
    """Forty rows of a training that was evaluated four times, best at step 300."""
    steps = np.arange(10, 410, 10)
    frame = pd.DataFrame({"step": steps, "loss": 3 * np.exp(-steps / 80), "learning_rate": 1e-3})
    frame["steps_per_second"] = 5.0
    for column, values in {"ap": [0.2, 0.4, 0.61, 0.6], "ap50": [0.5, 0.7, 0.88, 0.9]}.items():
        frame[column] = frame["step"].map(dict(zip((100, 200, 300, 400), values, strict=True)))
    return frame


def many_classes(count: int) -> SimpleNamespace:
    """An evaluation of many classes, the first the best; the last has nothing to find."""
    names = [f"class {n:02}" for n in range(count)]
    ap = np.append(np.linspace(0.9, 0.1, count - 1), np.nan)
    recall = np.linspace(0, 1, 101)
    confusion = np.random.default_rng(0).poisson(0.1, (count + 1, count + 1))
    confusion[-1, -1] = 0
    return SimpleNamespace(
        ap=0.5, ap50=0.5, ap75=float("nan"), threshold=0.4,
        per_class=pd.DataFrame({"ap": ap, "ap50": ap, "boxes": [*range(count, 1, -1), 0]}, index=names),
        pr_curves={name: (recall, 1 - recall) for name in names},
        confusion=pd.DataFrame(confusion, [*names, "(background)"], [*names, "(missed)"]),
    )  # fmt: skip
