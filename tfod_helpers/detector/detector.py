"""Photos of any size -> the model's input, and its boxes -> detections in the photos' pixels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import supervision as sv
from tqdm import tqdm

from tfod_helpers import photos
from tfod_helpers.annotations import LabelledImage, LabelMap
from tfod_helpers.detector import video
from tfod_helpers.detector.decoding import Outputs
from tfod_helpers.detector.detections import Photo, batches, each, in_photo
from tfod_helpers.detector.facts import LABEL_MAP, ExportFacts, UnfitExportWarning
from tfod_helpers.detector.loading import RESIZING, load_model
from tfod_helpers.detector.tiles import TiledDetector
from tfod_helpers.files import storage
from tfod_helpers.photos import Letterboxed
from tfod_helpers.photos.folder import PhotoFolder
from tfod_helpers.presets import resizing
from tfod_helpers.problems import DatasetError, Problem

if TYPE_CHECKING:
    import pandas as pd


class Detector:
    """A trained model, ready to look at photos.

    Attributes:
        label_map: the classes it tells apart.
        image_size: side of its square input, in pixels.
        threshold: the confidence below which detections are left out unless `detect` is told
            otherwise; the export's own is the one that gave the best F1 on the validation photos.
        resize: how a photo becomes that square: ``letterbox`` or ``stretch``, as `photos.letterbox` takes it; None
            where the model does that itself.
    """

    def __init__(
        self,
        run: Callable[[Any], Outputs],
        label_map: LabelMap,
        image_size: int,
        threshold: float,
        *,
        resize: str | None = resizing.LETTERBOX,
    ) -> None:
        """Make a detector from a function; `load` does this for an export folder.

        Args:
            run: takes uint8 photos, shape (n, image_size, image_size, 3), as `photos.letterbox`
                makes them, and returns ``boxes_xyxy`` (n, m, 4) in their pixels, ``scores`` (n, m),
                ``classes`` (n, m) and ``count`` (n,).
            label_map: the classes.
            image_size: in pixels.
            threshold: between 0 and 1.
            resize: ``letterbox`` or ``stretch``: as the photos were resized that it was trained on. None: ``run`` takes
                a list of whole photos, uint8, (h, w, 3), and its boxes are in their pixels.

        Raises:
            ValueError: there is no such way to resize.
        """
        self.resize = resize and resizing.check(resize)
        self._run, self.label_map, self.image_size, self.threshold = run, label_map, image_size, threshold
        self._names = np.array(label_map.names)

    def __repr__(self) -> str:
        return f"Detector({self.label_map.describe()}; {self.image_size} px; confidence from {self.threshold:.2f})"

    @classmethod
    def load(cls, export: str | os.PathLike[str]) -> Detector:
        """Load an export folder; nothing outside it is needed.

        Of one that `exporting.certify` found unfit, an `UnfitExportWarning` says so.

        Raises:
            FileNotFoundError: the folder or a file of it is missing.
            ValueError: a file of it cannot be used.
        """
        facts = ExportFacts.read(export)
        folder = storage.mirror(export)
        facts.check_files(folder, export)
        path = storage.join(export, LABEL_MAP)
        try:
            label_map = LabelMap.read(path, renumber=False)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{storage.address(export)}: the export has no {LABEL_MAP}, so its classes have no names. Copy the "
                f"whole export folder, or export the run again."
            ) from error
        if len(label_map) != facts.classes:
            raise ValueError(
                f"{path}: {len(label_map)} classes, but the model was exported with {facts.classes}. "
                f"Copy the label map that belongs to it, or export the run again."
            )
        if facts.unfit:
            what = f"{storage.address(export)}: this export detects worse than what it was made from ({facts.unfit})"
            fix = "Ship another one, or export the run again in another way, and certify that"
            warnings.warn(f"{what}. {fix}: exporting.certify.", UnfitExportWarning, stacklevel=2)
        resize = None if facts.format in RESIZING else facts.resize
        return cls(load_model(folder, facts), label_map, facts.image_size, facts.threshold, resize=resize)

    @overload  # a str is a sequence of str, and taken as a path
    def detect(  # type: ignore[overload-overlap]
        self, images: Photo, *, threshold: float | None = None, batch_size: int = 16
    ) -> sv.Detections: ...

    @overload
    def detect(
        self, images: Iterable[Photo], *, threshold: float | None = None, batch_size: int = 16
    ) -> list[sv.Detections]: ...

    def detect(
        self, images: Photo | Iterable[Photo], *, threshold: float | None = None, batch_size: int = 16
    ) -> sv.Detections | list[sv.Detections]:
        """Find objects in one photo or in several.

        Args:
            images: a photo of any size: a path, a Pillow image, an array or tensor (uint8, shape (h, w), (h, w, 3) RGB
                or (h, w, 4) RGBA), the bytes of an image file, or a labelled image. Or several, in a list, a generator,
                what ``Path.glob`` returns, a dataset, or an array of shape (n, h, w, 3). EXIF rotation is applied, as
                viewers do, also to a Pillow image (``PIL.ImageOps.exif_transpose`` turns it for drawing). Whether an
                array is BGR cannot be seen: turn round what OpenCV reads, ``array[..., ::-1]``.
            threshold: the least confidence, 0 to 1; left out, the detector's own.
            batch_size: photos a call of the model.

        Returns:
            For one photo one `supervision.Detections`, for several a list of them in their order: ``xyxy`` in
            the pixels of the photo given, upright, ``confidence``, ``class_id`` (label map ids, from 1) and
            ``data["class_name"]``, the most confident first; of a Mask R-CNN also ``mask``, a
            `supervision.CompactMask`: ``mask[0]`` is bool, (h, w), and ``np.asarray`` gives bool, (n, h, w).

        Raises:
            FileNotFoundError: there is no such file.
            photos.PhotoError: a file is no image, or not a whole one.
            TypeError: an array that is no image, or what is no photo at all.
            ValueError: the threshold is not between 0 and 1, or the batch size is below 1.
        """
        several = None if isinstance(images, LabelledImage) else photos.several(images)
        if several is None:
            photo = self.letterbox(images)  # type: ignore[arg-type]  # photos.several has said that it is one
            return self.detect_letterboxed([photo], threshold=threshold)[0]
        found: list[sv.Detections] = []
        with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
            for batch in batches(several, batch_size):
                letterboxed: list[Letterboxed] = []
                try:
                    letterboxed.extend(pool.map(self.letterbox, batch))
                except TypeError as error:
                    raise TypeError(f"photo {len(found) + len(letterboxed) + 1}: {error}") from error
                found += self.detect_letterboxed(letterboxed, threshold=threshold, batch_size=batch_size)
        return found

    def letterbox(self, photo: Photo) -> Letterboxed:
        """Scale a photo to what the model sees, as `resize` says; for photos that are looked at more than once."""
        if isinstance(photo, str | os.PathLike) and os.path.isdir(photo):
            what, fix = "this is a folder, not a photo", "Give it to detect_folder, or give the photos in it."
            raise photos.PhotoError(os.fspath(photo), what, fix)
        photo = photo.pixels() if isinstance(photo, LabelledImage) else photo
        if self.resize:
            return photos.letterbox(photo, self.image_size, resize=self.resize)
        rgb = photos.to_rgb(photo)
        return Letterboxed(rgb, (1.0, 1.0), rgb.shape[1], rgb.shape[0])

    def detect_letterboxed(
        self, letterboxed: Sequence[Letterboxed], *, threshold: float | None = None, batch_size: int = 16
    ) -> list[sv.Detections]:
        """Find objects in photos that `letterbox` scaled; as `detect` otherwise.

        Args:
            letterboxed: the photos.
            threshold: as for `detect`.
            batch_size: as for `detect`.
        """
        threshold = self._checked(threshold)
        found = []
        for batch in batches(letterboxed, batch_size):
            pixels = [photo.pixels for photo in batch]
            outputs = self._run(np.stack(pixels) if self.resize else pixels)
            found += [in_photo(outputs, number, photo, threshold, self._names) for number, photo in enumerate(batch)]
        return found

    def _checked(self, threshold: float | None) -> float:
        """Return the threshold that holds: the detector's own, unless another is given."""
        threshold = self.threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be between 0 and 1, got {threshold}.")
        return threshold

    def detect_folder(
        self, folder: str | os.PathLike[str], *, threshold: float | None = None, batch_size: int = 16
    ) -> pd.DataFrame:
        """Find objects in every photo of a folder, with a progress bar.

        A photo that cannot be read is left out and reported at the end.

        Args:
            folder: where the photos are; those in its subfolders are found too, and named by their paths in it.
            threshold: as for `detect`.
            batch_size: as for `detect`.

        Returns:
            One row a detection: filename, class, confidence, xmin, ymin, xmax, ymax (pixels). Photos
            without a detection have no row; ``.attrs["photos"]`` lists every photo that was looked at,
            ``.attrs["problems"]`` what was wrong with those that could not be.

        Raises:
            FileNotFoundError: there is no such folder.
            NotADirectoryError: it is a file.
            TypeError: it is no path.
            DatasetError: there is no photo in it, or none that can be read.
        """
        import pandas as pd

        if not isinstance(folder, str | os.PathLike):
            raise TypeError(
                f"detect_folder takes the path of a folder, got {type(folder).__name__}; detect takes photos."
            )
        source = PhotoFolder(storage.mirror(folder), deep=True)
        rows: list[tuple[str, str, float, float, float, float, float]] = []
        looked_at: list[str] = []
        problems: list[Problem] = []
        with tqdm(total=len(source.names), unit="photo", desc="detecting") as bar, ThreadPoolExecutor() as pool:
            for names in batches(source.names, batch_size):
                tried = list(zip(names, pool.map(self._try_letterbox, [source.folder / n for n in names]), strict=True))
                problems += [result for _, result in tried if isinstance(result, Problem)]
                good = {name: result for name, result in tried if isinstance(result, Letterboxed)}
                looked_at += good
                found = self.detect_letterboxed(list(good.values()), threshold=threshold, batch_size=batch_size)
                for name, in_photo in zip(good, found, strict=True):
                    rows += [(name, label, sure, *box_xyxy.tolist()) for box_xyxy, sure, label in each(in_photo)]
                bar.update(len(names))
        if not looked_at:
            raise DatasetError(problems, f"{source.folder}: no photo can be read")
        if problems:
            print(f"{len(problems)} of {len(source.names)} photos are left out:", *problems, sep="\n  ")
        table = pd.DataFrame(rows, columns=["filename", "class", "confidence", "xmin", "ymin", "xmax", "ymax"])
        table.attrs |= {"photos": looked_at, "problems": list(map(str, problems))}
        return table

    def detect_video(
        self,
        source: video.Source,
        *,
        to: str | os.PathLike[str] | None = None,
        threshold: float | None = None,
        every: int = 1,
        seconds: float | None = None,
        track: bool = False,
        batch_size: int = 16,
    ) -> pd.DataFrame:
        """Find objects in a video or in what a camera sees, with a progress bar.

        ``detector.detect_video("street.mp4", to="found.mp4", track=True)``

        A video is turned upright, as players do. Frames are decoded in a thread and go through the model batch by
        batch, so that a video of any length takes the memory of two batches. What of it is damaged is passed over and
        reported at the end. Colours of more than 8 bits (HDR) are taken as they are, which looks pale.

        Args:
            source: a video file, here or in a bucket; or a camera of this machine: its number, from 0, or
                ``/dev/video0``. A camera goes on until ``seconds`` are over or it is interrupted (Ctrl-C, or a
                notebook's stop button); what was found until then is returned.
            to: where a video with boxes and labels goes, whole or not at all: .mp4, .mov or .mkv, in H.264 where this
                machine has an encoder for it. It has the frames that were looked at, at their times, and no sound.
            threshold: as for `detect`.
            every: look at every n-th frame.
            seconds: stop after so many seconds of the video.
            track: say which detections are the same object (ByteTrack, class by class; an object that is out of sight
                for a second gets a new number). What is less sure than the threshold is kept too, from a confidence of
                0.1 on, where it continues an object that was seen in the frame before. Objects that move by more than
                their size from one frame to the next are lost, so choose ``every`` with care.
            batch_size: frames a call of the model; fewer where frames are large.

        Returns:
            One row a detection: frame (from 0, of all frames), seconds (since the first frame), class, confidence,
            xmin, ymin, xmax, ymax (pixels of the upright frame), and with ``track`` also track: the object's number,
            from 1, missing for what was seen in one frame alone. Frames without a detection have no row;
            ``.attrs["frames"]`` says how many were looked at, ``.attrs["decoded"]`` how many there were, and
            ``.attrs["problems"]`` what was wrong with the video.

        Raises:
            FileNotFoundError: there is no such file or camera.
            VideoError: it is no video, no frame of it can be decoded, or nothing here knows its codec.
            TypeError: ``source`` is neither a path nor a number.
            ValueError: a number is out of range, or ``to`` has another ending or is the video itself.
        """
        return video.detect_video(
            self.detect,
            source,
            names=self.label_map.names,
            threshold=self._checked(threshold),
            to=to,
            every=every,
            seconds=seconds,
            track=track,
            batch_size=batch_size,
        )

    def tiled(self, *, tile: int | None = None, overlap: float = 0.25) -> TiledDetector:
        """Return a detector that looks at large photos in tiles, and at the whole photo: small objects are found too.

        ``detector.tiled(tile=640).detect("field.jpg")``

        Choose tiles in which your objects are about as large as in the photos that the model was trained on.
        ``evaluation.evaluate(detector.tiled(tile=640), dataset)`` says whether that pays. A photo no larger than a tile
        is looked at as `detect` does. The time grows with the number of tiles.

        Args:
            tile: side of a tile, in pixels of the photo; left out, the model's own input size.
            overlap: of two tiles beside each other, as a share of their side. An object that is larger than the
                overlap may be cut by both; its parts are then joined.

        Raises:
            ValueError: there is no such tile.
        """
        return TiledDetector(self, self.image_size if tile is None else tile, overlap)

    def _try_letterbox(self, path: Path) -> Letterboxed | Problem:
        try:
            return self.letterbox(path)
        except photos.PhotoError as error:
            return Problem(where=str(path), what=error.what, fix=error.fix)
