"""What a certificate was made with: the photos, this machine, the versions; and how large an export is."""

from __future__ import annotations

import datetime
import hashlib
import platform
import sys
from typing import Any

from tfod_helpers import __version__
from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.detector import FACTS, ExportFacts
from tfod_helpers.exporting.certificate.judging import WARM_UP
from tfod_helpers.exporting.certificate.result import FILES
from tfod_helpers.files import storage, workers

_RUNTIMES = ("tensorflow", "ai_edge_litert", "onnxruntime", "selenium")  # modules
_TIMING = (
    "One photo at a time: the model and the decoding of its outputs, from the scaled square to boxes in the photo's "
    "pixels; the median over the photos, after {} that warm up; as many threads as the runtime takes by itself. "
    "What runs in a browser is timed with the way of the photo there, and a page also scales it."
)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return the date, the photos and this machine, as `Certificate.facts` has them.

    Args:
        dataset: the photos.

    Raises:
        FileNotFoundError: a photo is gone.
    """
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "photos": len(dataset),
        "objects": int(sum(image.counted.sum() for image in dataset)),
        "dataset": fingerprint(dataset),
        "machine": f"{platform.system()} {platform.machine()}, {workers.count(None)} cores",
        "timing": _TIMING.format(WARM_UP),
    }


def fingerprint(dataset: Dataset) -> str:
    """Return 32 hex digits that stand for the photos and their labels, whatever their names, folder and order.

    Raises:
        FileNotFoundError: a photo is gone.
    """
    marks = sorted(_mark(image, dataset) for image in dataset)
    return hashlib.blake2b(b"".join(marks), digest_size=16).hexdigest()


def _mark(image: LabelledImage, dataset: Dataset) -> bytes:
    data = storage.read_bytes(image.path) if image.encoded is None else image.encoded
    rows = zip(image.boxes_xyxy.tolist(), image.labels.tolist(), image.counted.tolist(), strict=True)
    labels = sorted((*box_xyxy, dataset.label_map.name(label), counted) for box_xyxy, label, counted in rows)
    digest = hashlib.blake2b(data, digest_size=16)
    digest.update(repr(labels).encode())
    return digest.digest()


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package, and of the runtimes that are loaded."""
    # A module knows its version whatever it was installed as, such as onnxruntime-gpu.
    loaded = {name: str(sys.modules[name].__version__) for name in _RUNTIMES if sys.modules.get(name)}
    return {"python": platform.python_version(), "tfod_helpers": __version__, **loaded}


def size(export: str, facts: ExportFacts) -> int:
    """Return the bytes of the files that an export's model consists of.

    Args:
        export: its folder, local or ``gs://``.
        facts: what it says about itself; where it does not name its files, all in the folder count but ``export.json``
            and a certificate.
    """
    folder = storage.mirror(export)
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = facts.files or {path.relative_to(folder).as_posix() for path in files} - {FACTS, *FILES}
    return sum((folder / name).stat().st_size for name in names)
