"""What an export folder says about itself: ``export.json``."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tfod_helpers.files import storage
from tfod_helpers.presets import resizing

LABEL_MAP, FACTS, ANCHORS = "label_map.pbtxt", "export.json", "anchors.npy"
VERSION = 2  # 1 had no version, and no more than the fields without a default


class UnfitExportWarning(UserWarning):
    """An export is loaded that detects worse than the run it was made from."""


@dataclass(frozen=True)
class Nms:
    """How detections that overlap are suppressed, class by class.

    Attributes:
        iou: a box that overlaps a kept one of its class by more is suppressed.
        least_score: what is below is no detection.
        detections: the most that a photo has.
    """

    iou: float = 0.5
    least_score: float = 0.01
    detections: int = 100


@dataclass(frozen=True)
class ExportFacts:
    """What ``export.json`` says about an exported model.

    Attributes:
        format: which program runs it, such as ``saved_model``.
        image_size: side of the model's square input, in pixels.
        classes: how many classes it tells apart; the label map beside must have as many.
        threshold: the confidence that gave the best F1 on the validation images.
        preset: what it was made from.
        step: how many steps it was trained for.
        ap: COCO AP on the validation images, before the export; NaN, in the file null, where it was never measured.
        ap50: AP50 likewise.
        precision: of the weights, and of int8 ones also of what is computed, such as ``float32``.
        decoded: whether the model's outputs are detections; otherwise they are encoded boxes and logits, and
            ``anchors.npy`` beside it is needed, float32, (anchors, 4), ``[ycenter, xcenter, height, width]`` in pixels.
        nms: the settings of non-maximum suppression.
        resize: how a photo becomes the square input: ``letterbox`` or ``stretch``, as `photos.letterbox` takes it.
        files: the files that the model consists of, and their SHA-256.
        certificate: what `exporting.certify` found; empty before.
        version: of this file's form.
    """

    format: str
    image_size: int
    classes: int
    threshold: float
    preset: str
    step: int
    ap: float
    ap50: float
    precision: str = "float32"
    decoded: bool = True
    nms: Nms = Nms()
    resize: str = resizing.LETTERBOX
    files: dict[str, str] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuse what no reader of the file could follow."""
        resizing.check(self.resize)
        if not isinstance(self.certificate, dict):
            raise TypeError(f"the certificate is no object, but {self.certificate!r}")

    @property
    def unfit(self) -> str:
        """The verdict of `exporting.certify` where it is that this export is not to be shipped; else empty."""
        return str(self.certificate.get("verdict", "")) if self.certificate.get("fit") is False else ""

    def write(self, folder: storage.AnyPath) -> None:
        """Write ``export.json`` into a folder, here or in a bucket, whole or not at all."""
        with storage.whole_file(storage.join(folder, FACTS)) as part:
            facts = asdict(self) | {name: None for name in ("ap", "ap50") if math.isnan(getattr(self, name))}
            part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def check_files(self, folder: Path, where: storage.AnyPath) -> None:
        """Compare an export's files with what they were when it was written.

        Args:
            folder: the export folder, on this machine.
            where: the folder as it was given, for messages.

        Raises:
            FileNotFoundError: one is missing.
            ValueError: one is another, or not whole.
        """
        for name, digest in self.files.items():
            try:
                found = sha256(folder / name)
            except FileNotFoundError as error:
                what = f"the export has no {name}"
                raise FileNotFoundError(
                    f"{storage.address(where)}: {what}. Copy the whole export folder, or export the run again."
                ) from error
            if found != digest:
                what = f"its SHA-256 begins with {found[:8]}, and in {FACTS} with {digest[:8]}"
                raise ValueError(
                    f"{storage.join(where, name)}: not the file that was exported: {what}. It was changed, or copied "
                    f"in part. Copy the export folder again, or export the run again."
                )

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> ExportFacts:
        """Read a folder's ``export.json``.

        Raises:
            FileNotFoundError: the folder is no export.
            ValueError: the file is damaged, or a newer version of this package wrote it.
        """
        path = storage.join(folder, FACTS)
        try:
            values = json.loads(storage.read_bytes(path))
            version = int(values.setdefault("version", 1))
            if version <= VERSION:
                unknown = {name: math.nan for name in ("ap", "ap50") if name in values and values[name] is None}
                return cls(**values | unknown | {"nms": Nms(**values.get("nms", {}))})
        except (FileNotFoundError, NotADirectoryError) as error:
            where = storage.address(folder)
            there = storage.is_remote(folder) or os.path.isdir(where)
            what = "this folder holds no export" if there else "there is no such folder"
            raise FileNotFoundError(
                f"{where}: {what} ({FACTS} is missing). Give the folder that an export wrote."
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: damaged ({error}). Copy it again, or export the run again.") from error
        raise ValueError(
            f"{path}: version {version} of an export, and this tfod_helpers reads up to {VERSION}. Install a newer "
            f"tfod_helpers, or export the run again with this one."
        )


def sha256(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
