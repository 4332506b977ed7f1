"""The weights that others publish: which file is for which network, where it comes from, and where it is kept.

Keras' files are kept where Keras keeps them, the others in ``~/.cache/tfod_helpers``. A second place that outlives
this machine, a Drive folder or a ``gs://`` folder, can be named in ``$TFOD_HELPERS_CACHE``: it is looked into before
anything is downloaded, and gets a copy of what was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_helpers.files import downloads, storage, workspace
from tfod_helpers.files.downloads.fetching import Check

GOOGLE = "https://storage.googleapis.com"
_KERAS = "tensorflow/keras-applications"
_GARDEN = "tf_model_garden/vision"
SECOND_PLACE = "TFOD_HELPERS_CACHE"


@dataclass(frozen=True)
class Published:
    """A file on the web.

    Attributes:
        where: its place behind `GOOGLE`, or a whole address.
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
    def address(self) -> str:
        """The address."""
        return self.where if ":/" in self.where else f"{GOOGLE}/{self.where}"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.where.rsplit("/", 1)[-1]

    @property
    def path(self) -> Path:
        """Where it is kept, whether it is there or not."""
        return (keras_folder() if self.keras else workspace.cache_folder()) / self.folder / self.name

    def fetch(self, check: Check | None = None) -> Path:
        """Return the path of the file, from the cache or downloaded into it.

        Args:
            check: takes the file, and raises ValueError where it is the wrong one; such a file is not kept.

        Raises:
            OSError: it could not be had; the message says why.
        """
        place = os.environ.get(SECOND_PLACE)
        second = place and storage.join(storage.join(place, self.folder) if self.folder else place, self.name)
        if second and not self.path.exists():
            _take(second, self.path)
        before = _stamp(self.path)
        downloads.fetch(self.address, self.path, sha256=self.sha256, md5=self.md5, check=check)
        if second and _stamp(self.path) != before:
            _give(self.path, second)
        return self.path


def keras_folder() -> Path:
    """Return the folder in which Keras keeps weights: ``models`` in ``$KERAS_HOME``, else in ``~/.keras``."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path(tempfile.gettempdir())
    return Path(os.environ.get("KERAS_HOME") or home / ".keras").expanduser() / "models"


def _take(source: str, path: Path) -> None:
    try:
        with workspace.whole_file(path) as part:
            storage.download(source, part) if storage.is_remote(source) else shutil.copyfile(source, part)
    except FileNotFoundError:
        pass  # not there yet
    except OSError as error:
        print(f"The second cache was no help ({error}). Looking on the web.")


def _give(path: Path, target: str) -> None:
    try:
        if storage.is_remote(target):
            storage.upload(path, target)
        else:
            with workspace.whole_file(target) as part:
                shutil.copyfile(path, part)
    except OSError as error:
        print(f"The second cache got no copy ({error}). Training goes on without.")


def _stamp(path: Path) -> tuple[int, int] | None:
    return storage.stamp(path) if path.exists() else None


# --- Keras Applications ---------------------------------------------------------------------------

# Names, addresses and MD5s: keras/src/applications/{mobilenet,mobilenet_v2,mobilenet_v3,efficientnet,resnet}.py.
_V1 = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_V2 = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_V2_SHA256 = {0.35: "3843eff250b023fe4fe4dcd7b0c43146335374da75e17c3b4b3c4344ede214f1"}
_V3_MD5 = {
    ("Small", 0.75): "ebdb5cc8e0b497cd13a7c275d475c819",
    ("Small", 1.0): "d3e8ec802a04aa4fc771ee12a9a9b836",
    ("Large", 0.75): "40af19a13ebea4e2ee0c676887f69a2e",
    ("Large", 1.0): "07fb09a5933dd0c8eaafa16978110389",
}
_EFFICIENTNET_MD5 = {
    "b0": "50bc09e76180e00e4465e1a485ddc09d",
    "b1": "74c4e6b3e1f6a1eea24c589628592432",
    "b2": "111f8e2ac8aa800a7a99e3239f7bfb39",
    "b3": "af6d107764bb5b1abb91932881670226",
    "b4": "ebc24e6d6c33eaebbd558eafbeedf1ba",
    "b5": "38879255a25d3c92d5e44e04ae6cec6f",
    "b6": "9ecce42647a20130c1f39a5d4cb75743",
    "b7": "cbcfe4450ddf6f3ad90b1b398090fe4a",
}
_RESNET_MD5 = {
    50: "4d473c1dd8becc155b73f8504c6f6626",
    101: "88cf7a10940856eca736dc7b7e228a21",
    152: "ee4c566cf9a93f14d82f913c2dc6dd0c",
}


def keras_files(kind: str) -> dict[Any, Published]:
    """Return Keras Applications' ImageNet weights without top of one kind of network, by their sizes.

    Args:
        kind: ``MobileNetV1``, ``MobileNetV2``, ``MobileNetV3Small``, ``MobileNetV3Large`` (sizes are widths),
            ``EfficientNet`` (``b0`` to ``b7``) or ``ResNet`` (its depth).
    """
    if kind == "MobileNetV1":
        return {w: _keras(f"{_KERAS}/mobilenet/mobilenet_{text}_224_tf_no_top.h5") for w, text in _V1.items()}
    if kind == "MobileNetV2":
        start = f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"
        return {w: _keras(f"{start}{w}_224_no_top.h5", sha256=_V2_SHA256.get(w)) for w in _V2}
    if kind in ("MobileNetV3Small", "MobileNetV3Large"):
        size, start = kind.removeprefix("MobileNetV3"), f"{_KERAS}/mobilenet_v3/weights_mobilenet_v3_"
        ours = {width: md5 for (other, width), md5 in _V3_MD5.items() if other == size}
        return {w: _keras(f"{start}{size.lower()}_224_{w}_float_no_top_v2.h5", md5=md5) for w, md5 in ours.items()}
    if kind == "EfficientNet":
        return {
            letter: _keras(f"keras-applications/efficientnet{letter}_notop.h5", md5=md5)
            for letter, md5 in _EFFICIENTNET_MD5.items()
        }
    start, end = f"{_KERAS}/resnet/resnet", "_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return {depth: _keras(f"{start}{depth}{end}", md5=md5) for depth, md5 in _RESNET_MD5.items()}


def keras_file(kind: str, size: Any) -> Published:
    """Return the ImageNet weights without top of one network.

    Args:
        kind: as in `keras_files`.
        size: its width, letter or depth.

    Raises:
        ValueError: Keras Applications has none of this size; the message says which it has.
    """
    files = keras_files(kind)
    if size not in files:
        raise ValueError(f"Keras Applications has no weights for a {kind} of {size}, only {', '.join(map(str, files))}")
    return files[size]


def _keras(where: str, sha256: str | None = None, md5: str | None = None) -> Published:
    return Published(where, keras=True, sha256=sha256, md5=md5)


# --- the Model Garden -----------------------------------------------------------------------------


@dataclass(frozen=True)
class CocoCheckpoint:
    """A detector that the Model Garden trained on COCO.

    Attributes:
        words: what it is.
        file: the packed checkpoint; none has a published hash.
        backbone: the class of its backbone.
        settings: the settings of that backbone which tell it from others.
        levels: lowest and highest pyramid level.
        ap: its published COCO AP (val2017); None where none is published.
    """

    words: str
    file: Published
    backbone: str
    settings: dict[str, Any]
    levels: tuple[int, int]
    ap: float | None


_QAT = f"{_GARDEN}/qat/mobilenetv2_ssd_coco"
_V2_SETTINGS = {"model_id": "MobileNetV2", "filter_size_scale": 1.0}
_RESNET_SETTINGS = {
    "model_id": 50,
    "stem_type": "v0",
    "depth_multiplier": 1.0,
    "resnetd_shortcut": False,
    "replace_stem_max_pool": False,
}
_AVG_SETTINGS = {"model_id": "MobileNetMultiAVG", "filter_size_scale": 1.0}

# Addresses and AP: official/vision/MODEL_GARDEN.md, official/projects/qat/vision/README.md and MediaPipe Model Maker's
# object_detector/model_spec.py. That one feeds the mobile ones x / 127.5 - 1; they were trained by the Model Garden's
# own trainer, and are taken here to expect its normalization. Training adapts them where that is wrong.
COCO = (
    CocoCheckpoint(
        "RetinaNet MobileNetV2 256",
        Published(f"{_QAT}/mobilenetv2_ssd_i256_ckpt.tar.gz"),
        "MobileNet",
        _V2_SETTINGS,
        (3, 7),
        23.3,
    ),
    CocoCheckpoint(
        "RetinaNet MobileNetV2 320",
        Published(f"{_QAT}/mobilenetv2_ssd_i320_ckpt.tar.gz"),
        "MobileNet",
        _V2_SETTINGS,
        (3, 6),
        None,
    ),
    CocoCheckpoint(
        "RetinaNet MobileNetMultiAVG 256",
        Published(f"{_GARDEN}/qat/mobilenetv3.5_ssd_coco/mobilenetv3.5_ssd_i256_ckpt.tar.gz"),
        "MobileNet",
        _AVG_SETTINGS,
        (3, 7),
        24.9,
    ),
    CocoCheckpoint(
        "RetinaNet ResNet-50 640",
        Published(f"{_GARDEN}/retinanet/retinanet-resnet50fpn.tar.gz"),
        "ResNet",
        _RESNET_SETTINGS,
        (3, 7),
        36.8,
    ),
    CocoCheckpoint(
        "RetinaNet Mobile SpineNet-49 384",
        Published(f"{_GARDEN}/retinanet/spinenet49mobile.tar.gz"),
        "SpineNetMobile",
        {"endpoints_num_filters": 48, "filter_size_scale": 1.0},
        (3, 7),
        28.1,
    ),
)

# The checkpoint that the Model Garden's own RetinaNet and Mask R-CNN start from (official/vision/configs).
_RESNET_50 = "cloud-tpu-checkpoints/vision-2.0/resnet50_imagenet/ckpt-28080"
RESNET_50_IMAGENET = tuple(
    Published(f"{_RESNET_50}.{ending}", folder="resnet50_imagenet") for ending in ("index", "data-00000-of-00001")
)


def is_plain_resnet_50(backbone: Any) -> bool:
    """Return whether a backbone is the ResNet-50 that `RESNET_50_IMAGENET` is for."""
    return type(backbone).__name__ == "ResNet" and _RESNET_SETTINGS.items() <= backbone.get_config().items()


def coco_checkpoint(model: Any) -> CocoCheckpoint:
    """Return the published COCO checkpoint of a detector's network.

    Raises:
        ValueError: none is published for it; the message says for which there are some.
    """
    settings = model.backbone.get_config()
    kind, described = type(model.backbone).__name__, model.get_config()
    levels = (described.get("min_level"), described.get("max_level"))
    for one in COCO:
        same = kind == one.backbone and all(settings.get(name) == value for name, value in one.settings.items())
        if same and levels == one.levels and type(model).__name__.startswith("RetinaNet"):
            return one
    raise ValueError(
        f"no COCO checkpoint is published for this network, only for {', '.join(one.words for one in COCO)}"
    )
