"""KerasHub's RetinaNet that was trained on COCO -> its files: from Kaggle, or what somebody brings.

They are fetched as any others (`published`); what Kaggle's own client, kagglehub, keeps on this machine is taken first.
"""

from __future__ import annotations

import os
import urllib.error
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers.files import archives, downloads, storage
from tfod_helpers.files.downloads.fetching import Check
from tfod_helpers.network.weights import checkpoints
from tfod_helpers.network.weights.keras_hub import BACKBONE, HEADS
from tfod_helpers.network.weights.published import Published, Terms
from tfod_helpers.sources import kaggle

WORDS = "KerasHub's RetinaNet ResNet50 FPN (AP 36.4, at 800 pixels), torchvision's, trained on COCO"
TERMS = Terms(
    "KerasHub is under the Apache License 2.0, torchvision, which trained these weights, under the BSD 3-Clause "
    "License; the terms of Kaggle's copy stand on its page. COCO's annotations are under CC BY 4.0.",
    "Lin et al. 2017, Focal Loss for Dense Object Detection; Lin et al. 2014, Microsoft COCO: Common Objects in "
    "Context",
)
# keras_hub/src/models/retinanet/retinanet_presets.py
_NAME = "retinanet_resnet50_fpn_coco"
_HANDLE = f"keras/retinanet/keras/{_NAME}/4"
_ENDING = ".weights.h5"


@dataclass(frozen=True)
class _OnKaggle(Published):
    """A file of the preset; ``where`` is its name there."""

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        return kaggle.url_of(f"api/v1/models/{_HANDLE}/download/{self.where}")

    @property
    def headers(self) -> dict[str, str]:
        """Who we are, where this machine knows it; public models need no account."""
        return kaggle.signed()

    def fetch(self, check: Check | None = None) -> Path:
        """Return the path of the file; see `Published.fetch`."""
        kept = _kagglehub_folder() / self.where
        if check and kept.is_file():
            try:
                check(kept)
                return kept
            except ValueError as error:
                print(f"{kept}: {error}. Fetching it anew.")
        try:
            return super().fetch(check)
        except downloads.DownloadError as error:
            cause = error.__cause__
            code = cause.code if isinstance(cause, urllib.error.HTTPError) else 0
            page = kaggle.url_of(f"models/{_HANDLE}")
            raise kaggle.refusal(code, error.where, page, "model") or error from None


FILES = tuple(_OnKaggle(name, folder=_NAME) for name in (BACKBONE, HEADS))


def _kagglehub_folder() -> Path:
    """Return where kagglehub keeps the preset (kagglehub/config.py, kagglehub/cache.py)."""
    cache = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    return Path(cache, "models", _HANDLE)


def find(weights: str | os.PathLike[str]) -> tuple[Path, ...] | None:
    """Return the files of KerasHub's weights that a path means; None where it means others.

    Args:
        weights: a preset's folder, one of its files, an archive of it, or a file that ``save_weights`` wrote.

    Raises:
        FileNotFoundError: the other file of a preset is missing.
        ValueError: the archive cannot be unpacked.
    """
    if storage.is_remote(weights):
        return None
    path = Path(weights).expanduser()
    if path.is_file() and archives.is_archive(path):
        path = checkpoints.unpacked(path)
    if path.is_file() and path.name.endswith(_ENDING):
        if path.name not in (BACKBONE, HEADS):
            return (path,)
        path = path.parent
    found = [file for name in (BACKBONE, HEADS) for start in ("", "*/") for file in path.glob(f"{start}{name}")]
    if not found:
        return None
    files = tuple(found[0].with_name(name) for name in (BACKBONE, HEADS))
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"{file}: this half of KerasHub's weights is missing; {BACKBONE} has the backbone and the pyramid, "
                f"{HEADS} the heads. Give a folder that has both."
            )
    return files
