"""An export -> a Detector: photos in, `supervision.Detections` out.

Every export folder, whatever its format, holds ``export.json`` (`ExportFacts`) and
``label_map.pbtxt`` beside the model's own files. Nothing here needs TensorFlow but loading a
SavedModel.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
import supervision as sv
from PIL import Image
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.annotations import LabelMap

if TYPE_CHECKING:
    import pandas as pd

Photo = str | os.PathLike[str] | Image.Image | np.ndarray
Outputs = Mapping[str, np.ndarray]
LABEL_MAP, FACTS = "label_map.pbtxt", "export.json"
_PHOTO_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True)
class ExportFacts:
    """What ``export.json`` says about an exported model.

    Attributes:
        format: which program runs it, such as ``saved_model``.
        image_size: side of the square that the model sees, in pixels.
        classes: how many classes it tells apart; the label map beside must have as many.
        threshold: the confidence that gave the best F1 on the validation images.
        preset: what it was made from.
        step: how many steps it was trained for.
        ap: COCO AP on the validation images, before the export.
        ap50: AP50 on the validation images, before the export.
    """

    format: str
    image_size: int
    classes: int
    threshold: float
    preset: str
    step: int
    ap: float
    ap50: float

    def write(self, folder: Path) -> None:
        """Write ``export.json`` into a folder."""
        (folder / FACTS).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> ExportFacts:
        """Read a folder's ``export.json``.

        Raises:
            FileNotFoundError: the folder is no export.
            ValueError: the file is damaged.
        """
        folder = Path(folder)
        path = folder / FACTS
        if not path.is_file():
            what = "this folder holds no export" if folder.is_dir() else "there is no such folder"
            raise FileNotFoundError(f"{folder}: {what} ({FACTS} is missing). Give the folder that an export wrote.")
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error}). Copy it again, or export the run again.") from error


@dataclass(frozen=True, eq=False)
class Square:
    """A photo as the model sees it.

    Attributes:
        pixels: uint8, shape (side, side, 3).
        scale: ``(x, y)``; a point of the photo times it is the point in the square.
        width: of the photo, in pixels.
        height: of the photo, in pixels.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    width: int
    height: int


class Detector:
    """A trained model, ready to look at photos.

    Attributes:
        label_map: the classes it tells apart.
        image_size: side of the square that it sees, in pixels.
        threshold: the confidence below which detections are left out unless `detect` is told
            otherwise; the export's own is the one that gave the best F1 on the validation photos.
    """

    def __init__(
        self, run: Callable[[np.ndarray], Outputs], label_map: LabelMap, image_size: int, threshold: float
    ) -> None:
        """Make a detector from a function; `load` does this for an export folder.

        Args:
            run: takes uint8 squares, shape (n, image_size, image_size, 3), as `photos.letterbox` makes
                them, and returns ``boxes_xyxy`` (n, m, 4) in their pixels, ``scores`` (n, m),
                ``classes`` (n, m) and ``count`` (n,).
            label_map: the classes.
            image_size: in pixels.
            threshold: between 0 and 1.
        """
        self._run, self.label_map, self.image_size, self.threshold = run, label_map, image_size, threshold
        self._names = np.array(label_map.names)

    def __repr__(self) -> str:
        return f"Detector({self.label_map.describe()}; {self.image_size} px; confidence from {self.threshold:.2f})"

    @classmethod
    def load(cls, export: str | os.PathLike[str]) -> Detector:
        """Load an export folder; nothing outside it is needed.

        Raises:
            FileNotFoundError: the folder or a file of it is missing.
            ValueError: a file of it cannot be used.
        """
        folder = Path(export)
        facts = ExportFacts.read(folder)
        if not (folder / LABEL_MAP).is_file():
            raise FileNotFoundError(
                f"{folder}: the export has no {LABEL_MAP}, so its classes have no names. Copy the whole export folder, "
                f"or export the run again."
            )
        label_map = LabelMap.read(folder / LABEL_MAP)
        if len(label_map) != facts.classes:
            raise ValueError(
                f"{folder / LABEL_MAP}: {len(label_map)} classes, but the model was exported with {facts.classes}. "
                f"Copy the label map that belongs to it, or export the run again."
            )
        return cls(_load_saved_model(folder), label_map, facts.image_size, facts.threshold)

    @overload
    def detect(self, images: Photo, *, threshold: float | None = None, batch_size: int = 16) -> sv.Detections: ...

    @overload
    def detect(
        self, images: Sequence[Photo], *, threshold: float | None = None, batch_size: int = 16
    ) -> list[sv.Detections]: ...

    def detect(
        self, images: Photo | Sequence[Photo], *, threshold: float | None = None, batch_size: int = 16
    ) -> sv.Detections | list[sv.Detections]:
        """Find objects in one photo or in several.

        Args:
            images: a path, a Pillow image or an array (uint8, shape (h, w), (h, w, 3) RGB or (h, w, 4)
                RGBA), of any size; or a list of them. A file's EXIF rotation is applied, as viewers do;
                a Pillow image or an array is taken as its pixels lie.
            threshold: the least confidence, 0 to 1; left out, the detector's own.
            batch_size: photos a call of the model.

        Returns:
            For one photo one `supervision.Detections`, for a list a list of them: ``xyxy`` in the
            pixels of the photo given, ``confidence``, ``class_id`` (label map ids, from 1) and
            ``data["class_name"]``, the most confident first.

        Raises:
            FileNotFoundError: there is no such file.
            photos.PhotoError: a file is no image, or not a whole one.
            TypeError: an array that is no image.
            ValueError: the threshold is not between 0 and 1.
        """
        if isinstance(images, (str, os.PathLike, Image.Image, np.ndarray)):
            return self.detect_squares([self.square(images)], threshold=threshold)[0]
        found: list[sv.Detections] = []
        with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
            for start in range(0, len(images), batch_size):
                squares = list(pool.map(self.square, images[start : start + batch_size]))
                found += self.detect_squares(squares, threshold=threshold, batch_size=batch_size)
        return found

    def square(self, photo: Photo) -> Square:
        """Scale a photo to what the model sees; for photos that are looked at more than once."""
        rgb = photos.to_rgb(photo)
        return Square(*photos.letterbox(rgb, self.image_size), width=rgb.shape[1], height=rgb.shape[0])

    def detect_squares(
        self, squares: Sequence[Square], *, threshold: float | None = None, batch_size: int = 16
    ) -> list[sv.Detections]:
        """Find objects in photos that `square` scaled; as `detect` otherwise."""
        threshold = self.threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be between 0 and 1, got {threshold}.")
        found = []
        for start in range(0, len(squares), batch_size):
            batch = squares[start : start + batch_size]
            outputs = self._run(np.stack([square.pixels for square in batch]))
            found += [self._detections(outputs, number, square, threshold) for number, square in enumerate(batch)]
        return found

    def _detections(self, outputs: Outputs, number: int, square: Square, threshold: float) -> sv.Detections:
        """Take one photo's detections out of a batch, back into the photo's pixels."""
        scores = outputs["scores"][number, : outputs["count"][number]]
        keep = np.flatnonzero(scores >= threshold)
        boxes_xyxy = outputs["boxes_xyxy"][number, keep] / np.tile(square.scale, 2)
        ids = outputs["classes"][number, keep].astype(int)
        return sv.Detections(
            xyxy=np.clip(boxes_xyxy, 0, [square.width, square.height] * 2).astype(np.float32),
            confidence=scores[keep],
            class_id=ids,
            data={"class_name": self._names[ids - 1]},
        )

    def detect_folder(
        self, folder: str | os.PathLike[str], *, threshold: float | None = None, batch_size: int = 16
    ) -> pd.DataFrame:
        """Find objects in every photo of a folder, with a progress bar.

        Returns:
            One row a detection: filename, class, confidence, xmin, ymin, xmax, ymax (pixels). Photos
            without a detection have no row; ``.attrs["photos"]`` lists every photo that was looked at.

        Raises:
            FileNotFoundError: there is no such folder, or no photo in it.
        """
        import pandas as pd

        paths = _photo_paths(Path(folder))
        rows = []
        for start in tqdm(range(0, len(paths), batch_size), unit="batch", desc="detecting"):
            batch = paths[start : start + batch_size]
            for path, found in zip(batch, self.detect(batch, threshold=threshold, batch_size=batch_size), strict=True):
                for box_xyxy, confidence, name in zip(found.xyxy, found.confidence, found["class_name"], strict=True):
                    rows.append((path.name, str(name), float(confidence), *map(float, box_xyxy)))
        table = pd.DataFrame(rows, columns=["filename", "class", "confidence", "xmin", "ymin", "xmax", "ymax"])
        table.attrs["photos"] = [path.name for path in paths]
        return table


def _load_saved_model(folder: Path) -> Callable[[np.ndarray], Outputs]:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
        call = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise ValueError(f"{folder}: the SavedModel in it cannot be loaded ({error}). Export the run again.") from error

    def run(squares: np.ndarray) -> Outputs:
        return {name: value.numpy() for name, value in call(images=tf.constant(squares)).items()}

    run.owner = loaded  # the function holds its variables weakly; without this they would be collected
    return run


def _photo_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder. Check the path.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PHOTO_ENDINGS)
    if not paths:
        raise FileNotFoundError(
            f"{folder}: no photo in this folder, only files that end otherwise than in "
            f"{', '.join(sorted(_PHOTO_ENDINGS))}. Check the path."
        )
    return paths
