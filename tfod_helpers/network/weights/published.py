"""The weights that others publish: which file is for which network, where it comes from, and where it is kept.

Keras' files are kept where Keras keeps them, the others in ``~/.cache/tfod_helpers``; `downloads.fetch_kept` says which
second place there may be.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tfod_helpers.files import downloads, workspace
from tfod_helpers.files.downloads.fetching import Check

GOOGLE = "https://storage.googleapis.com"
_GARDEN = "tf_model_garden/vision"


class Terms(NamedTuple):
    """What is known of the terms of weights.

    Attributes:
        licence: a sentence.
        citation: whom to cite.
    """

    licence: str
    citation: str


@dataclass(frozen=True)
class Published:
    """A file on the web.

    Attributes:
        where: its place behind `GOOGLE`.
        keras: whether it lies where Keras keeps its files.
        folder: a folder of the cache of its own, where its name alone could be taken for another's.
        sha256: its hash, where it is known.
        md5: its hash of another kind, where it is known.
    """

    where: str
    keras: bool = False
    folder: str = ""
    sha256: str | None = None
    md5: str | None = None

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        return f"{GOOGLE}/{self.where}"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.where.rsplit("/", 1)[-1]

    @property
    def path(self) -> Path:
        """Where it is kept, whether it is there or not."""
        return (keras_folder() if self.keras else workspace.cache_folder()) / self.folder / self.name

    @property
    def headers(self) -> dict[str, str]:
        """What is said to its server besides, such as a key."""
        return {}

    def fetch(self, check: Check | None = None) -> Path:
        """Return the path of the file, from the cache or downloaded into it.

        Args:
            check: takes the file, and raises ValueError where it is the wrong one; such a file is not kept.

        Raises:
            OSError: it could not be had; the message says why.
        """
        kept = f"{self.folder}/{self.name}" if self.folder else self.name
        return downloads.fetch_kept(
            self.url, self.path, kept=kept, sha256=self.sha256, md5=self.md5, check=check, headers=self.headers
        )


def keras_folder() -> Path:
    """Return the folder in which Keras keeps weights: ``models`` in ``$KERAS_HOME``, else in ``~/.keras``."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path(tempfile.gettempdir())
    return Path(os.environ.get("KERAS_HOME") or home / ".keras").expanduser() / "models"


GARDEN_TERMS = Terms(
    "The files name no licence; the repository that publishes them, tensorflow/models, is under the Apache License "
    "2.0.",
    "Yu et al. 2020, TensorFlow Model Garden",
)

# --- the Model Garden -----------------------------------------------------------------------------


@dataclass(frozen=True)
class CocoCheckpoint:
    """A detector that the Model Garden trained on COCO.

    Attributes:
        words: what it is, with its published COCO AP (val2017).
        file: the packed checkpoint; none has a published hash.
        backbone: the backbone's class, and the settings in which it differs from others.
        levels: lowest and highest pyramid level.
    """

    words: str
    file: Published
    backbone: dict[str, Any]
    levels: tuple[int, int]


_V2 = {"class": "MobileNet", "model_id": "MobileNetV2", "filter_size_scale": 1.0}
_MULTI_AVG = {"class": "MobileNet", "model_id": "MobileNetMultiAVG", "filter_size_scale": 1.0}
_SPINENET = {"class": "SpineNetMobile", "endpoints_num_filters": 48, "filter_size_scale": 1.0}
PLAIN_RESNET = {
    "class": "ResNet",
    "stem_type": "v0",
    "depth_multiplier": 1.0,
    "resnetd_shortcut": False,
    "replace_stem_max_pool": False,
}

# URLs and AP: official/vision/MODEL_GARDEN.md, official/projects/qat/vision/README.md and MediaPipe Model Maker's
# object_detector/model_spec.py. That one feeds the mobile ones x / 127.5 - 1; they were trained by the Model Garden's
# own trainer, and are taken here to expect its normalization. Training adapts them where that is wrong.
COCO = (
    CocoCheckpoint(
        "RetinaNet MobileNetV2 256 (AP 23.3)",
        Published(f"{_GARDEN}/qat/mobilenetv2_ssd_coco/mobilenetv2_ssd_i256_ckpt.tar.gz"),
        _V2,
        (3, 7),
    ),
    CocoCheckpoint(
        "RetinaNet MobileNetV2 320",
        Published(f"{_GARDEN}/qat/mobilenetv2_ssd_coco/mobilenetv2_ssd_i320_ckpt.tar.gz"),
        _V2,
        (3, 6),
    ),
    CocoCheckpoint(
        "RetinaNet MobileNetMultiAVG 256 (AP 24.9)",
        Published(f"{_GARDEN}/qat/mobilenetv3.5_ssd_coco/mobilenetv3.5_ssd_i256_ckpt.tar.gz"),
        _MULTI_AVG,
        (3, 7),
    ),
    CocoCheckpoint(
        "RetinaNet ResNet-50 640 (AP 36.8)",
        Published(f"{_GARDEN}/retinanet/retinanet-resnet50fpn.tar.gz"),
        {**PLAIN_RESNET, "model_id": 50},
        (3, 7),
    ),
    CocoCheckpoint(
        "RetinaNet Mobile SpineNet-49 384 (AP 28.1)",
        Published(f"{_GARDEN}/retinanet/spinenet49mobile.tar.gz"),
        _SPINENET,
        (3, 7),
    ),
)

# The checkpoint that the Model Garden's own RetinaNet and Mask R-CNN start from (official/vision/configs).
_RESNET_50 = "cloud-tpu-checkpoints/vision-2.0/resnet50_imagenet/ckpt-28080"
RESNET_50_IMAGENET = tuple(
    Published(f"{_RESNET_50}.{ending}", folder="resnet50_imagenet") for ending in ("index", "data-00000-of-00001")
)


def describe(backbone: Any) -> dict[str, Any]:
    """Return a backbone's class and settings."""
    return {"class": type(backbone).__name__, **backbone.get_config()}


def is_plain_resnet_50(backbone: Any) -> bool:
    """Return whether a backbone is the ResNet-50 that `RESNET_50_IMAGENET` is for."""
    return {**PLAIN_RESNET, "model_id": 50}.items() <= describe(backbone).items()


def coco_checkpoint(model: Any) -> CocoCheckpoint | None:
    """Return the Model Garden's COCO checkpoint of a detector's network; None where there is none."""
    backbone, settings = describe(model.backbone), model.get_config()
    levels = (settings.get("min_level"), settings.get("max_level"))
    for one in COCO:
        same = all(backbone.get(name) == value for name, value in one.backbone.items())
        if same and levels == one.levels and type(model).__name__.startswith("RetinaNet"):
            return one
    return None
