"""The detectors of the TF2 Detection Zoo that presets can be filled with.

Names, addresses and AP: tensorflow/models, research/object_detection/g3doc/tf2_detection_zoo.md.
"""

from __future__ import annotations

import hashlib
import math
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tfod_helpers.network.weights.published import Published, Terms, describe

TERMS = Terms(
    "The archives name no licence; the repository that publishes them, tensorflow/models, is under the Apache License "
    "2.0. COCO's annotations are under CC BY 4.0.",
    "Huang et al. 2017, Speed/accuracy trade-offs for modern convolutional object detectors; Lin et al. 2014, "
    "Microsoft COCO: Common Objects in Context",
)
_ADDRESS = "download.tensorflow.org/models/object_detection/tf2/20200711"


@dataclass(frozen=True)
class Detector:
    """One of the zoo.

    Attributes:
        name: of its archive, without ``.tar.gz``.
        title: what it is.
        side: of its input, in pixels.
        ap: its published AP on COCO val2017, in percent.
        backbone: settings of the Model Garden's backbone by which its network is known.
        filters: channels of its pyramid, or of its first map after the backbone.
        blobs: the SHA-1 that git gives a file of the archive, where public repositories hold it, by its name.
        decoder: the class that builds its pyramid or its maps.
    """

    name: str
    title: str
    side: int
    ap: float
    backbone: Mapping[str, Any]
    filters: int
    blobs: Mapping[str, str] = field(default_factory=dict)
    decoder: str = "SsdFpn"

    @property
    def words(self) -> str:
        """What it is, with its published AP."""
        return f"TF2 Detection Zoo's {self.title} {self.side} (AP {self.ap})"

    @property
    def file(self) -> Published:
        """Its archive; none has a published hash."""
        return Published(f"{_ADDRESS}/{self.name}.tar.gz")

    def check(self, path: Path) -> None:
        """Raise ValueError where an archive holds other files than those that public repositories hold of it.

        A damaged archive is left to whoever unpacks it.
        """
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    wanted = self.blobs.get(PurePosixPath(member.name).name)
                    file = archive.extractfile(member) if wanted else None
                    if file and _git_blob(file.read()) != wanted:
                        raise ValueError(
                            f"{self.file.name}: its {member.name} is not the file that public copies of it hold"
                        )
        except (tarfile.TarError, OSError, EOFError):
            return


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


_V2 = {"class": "MobileNet", "model_id": "MobileNetV2", "filter_size_scale": 1.0}
_V1 = {"class": "MobileNet", "model_id": "MobileNetV1", "filter_size_scale": 1.0}


def _resnet(depth: int, side: int, ap: float, **blobs: str) -> Detector:
    name = f"ssd_resnet{depth}_v1_fpn_{side}x{side}_coco17_tpu-8"
    backbone = {"class": "ResNet", "model_id": depth, "activation": "relu6"}
    return Detector(name, f"SSD ResNet{depth} V1 FPN", side, ap, backbone, 256, blobs)


_DATA, _INDEX = "ckpt-0.data-00000-of-00001", "ckpt-0.index"
DETECTORS = (
    Detector(
        "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8",
        "SSD MobileNetV2 FPNLite",
        320,
        22.2,
        _V2,
        128,
        {_DATA: "6f76d65ba3854323048c358b7fb639eaf14960d3", _INDEX: "1af01e213bbdabfd15bd015fc3300a446f8282d4"},
    ),
    Detector(
        "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8",
        "SSD MobileNetV2 FPNLite",
        640,
        28.2,
        _V2,
        128,
        {_DATA: "d840f3e144bfaae5f57de38016deba2bff78ce2f", _INDEX: "060ece50638ecf40e19154876514d3ce1a913243"},
    ),
    Detector(
        "ssd_mobilenet_v2_320x320_coco17_tpu-8",
        "SSD MobileNetV2",
        300,
        20.2,
        _V2,
        512,
        {_DATA: "0b751fc7b8d276541a48b6e6522a85ec1481cf28", _INDEX: "da1878d6eb8c5337773a9c73ec927c1c163f2890"},
        "SsdMaps",
    ),
    Detector("ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8", "SSD MobileNetV1 FPN", 640, 29.1, _V1, 256),
    _resnet(50, 640, 34.3, **{_INDEX: "c25eb55846bef839fe7d8fe35a7d89d47795b00f"}),
    _resnet(50, 1024, 38.3),
    _resnet(101, 640, 35.6),
    _resnet(101, 1024, 39.5),
    _resnet(152, 640, 35.4),
    _resnet(152, 1024, 39.6),
)


def find(model: Any) -> Detector | None:
    """Return the detector whose network a model has, of several the nearest in size; None where there is none."""
    decoder = model.decoder
    backbone, side = describe(model.backbone), model.backbone.input_shape[1]
    fitting = [
        one
        for one in DETECTORS
        if type(decoder).__name__ == one.decoder
        and decoder.num_filters == one.filters
        and all(backbone.get(name) == value for name, value in one.backbone.items())
    ]
    return min(fitting, key=lambda one: abs(math.log(one.side / side)), default=None)
