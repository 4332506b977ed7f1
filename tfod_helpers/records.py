"""A dataset -> TFRecord shards that training reads, and back, with no need of TensorFlow.

``write(dataset, "runs/records/train")`` makes::

    runs/records/train.json                                  the manifest: counts, classes, shards and their sizes
    runs/records/train-1f6c02aa-00000-of-00002.tfrecord      the shards, in the dataset's order
    runs/records/train-1f6c02aa-00001-of-00002.tfrecord

The tag in the middle (``1f6c02aa``) is made from the contents: the same dataset gives the same
names, other contents give other names, so two sets of shards never share a name or a pattern. The
shards are written in a hidden folder beside, and named when the last is complete; then the manifest
is renamed over the old one, which is the moment the new set takes over; only then do the old shards
go. Whoever is stopped in between leaves the old set or the new one, never a mixture, and what is
left lying about is removed by the next ``write``.

Each record is a ``tf.train.Example`` with the fields that Model Garden's ``TfExampleDecoder`` reads.
TensorFlow ignores EXIF rotation and gives CMYK other colours, so an upright JPEG in RGB or grey goes
in byte for byte, and every other image is turned upright and encoded as JPEG of quality 95.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfod_helpers import tfrecord, workspace
from tfod_helpers.annotations import Dataset, DatasetError, LabelledImage, LabelMap, OnProblem, Problem, settle_problems

# TensorFlow's TFRecord tutorial advises 100 MB or more a shard: https://www.tensorflow.org/tutorials/load_data/tfrecord
_SHARD_BYTES = 100_000_000
_KIND = "tfod_helpers records"  # marks our manifests, so that no other .json is ever overwritten
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Records:
    """TFRecord shards on disk that belong together.

    Attributes:
        pattern: matches the shards and nothing else; what ``tf.data`` takes.
        count: images.
        label_map: the classes.
        boxes: boxes in all images together.
        max_boxes: boxes of the image that has the most.
        problems: what was left out while writing.
    """

    pattern: str
    count: int
    label_map: LabelMap
    boxes: int
    max_boxes: int
    problems: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The shards, in order."""
        return tuple(Path(name) for name in sorted(glob.glob(self.pattern)))

    def __str__(self) -> str:
        left_out = f"; {len(self.problems)} problems in .problems" if self.problems else ""
        shards = f"{len(self.files)} shard{'s' * (len(self.files) != 1)}"
        return f"{self.count} images with {self.boxes} boxes in {shards}: {self.pattern}{left_out}"


def write(
    dataset: Dataset,
    prefix: str | os.PathLike[str],
    *,
    shards: int | None = None,
    workers: int | None = None,
    on_problem: OnProblem = "raise",
) -> Records:
    """Write a dataset as TFRecord shards, whole or not at all; older ones of the same prefix are replaced.

    Every image is decoded to prove it whole.

    Args:
        dataset: what to write; its order is kept.
        prefix: a folder and the start of the names, such as ``runs/records/train``.
        shards: the number of files; None makes one for each 100 MB.
        workers: how many photos are read at once; None takes one a core.
        on_problem: ``raise`` tells of every bad image at once and writes nothing; ``skip`` leaves
            bad images out and lists them in ``Records.problems``.

    Raises:
        DatasetError: an image is missing, damaged, or of another size than its annotation says;
            or no image is left to write.
        ValueError: an argument does not fit.
        OSError: the disk is full or cannot be written to.
    """
    settle_problems((), on_problem, "")  # a wrong on_problem is told before the work, not after
    prefix = _checked_prefix(prefix)
    shards = _shard_count(dataset, shards)
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}.")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(prefix)
    part = Path(tempfile.mkdtemp(dir=prefix.parent, prefix=f".{prefix.name}.", suffix=".part"))
    try:
        box_counts, problems, tag = tfrecord.write(dataset, part, shards, workers or os.cpu_count() or 1)
        problems = settle_problems(problems, on_problem, f"records {prefix}")
        if not box_counts:
            raise DatasetError(problems, f"records {prefix}: there is no image to write")
        _publish(part, prefix, tag, _facts(dataset.label_map, box_counts, problems))
    except OSError as error:
        if error.errno in _NO_ROOM:
            told = f"{prefix}: no room left while writing records ({os.strerror(error.errno)}). Free some space or "
            raise OSError(error.errno, told + "choose another folder; older records are as they were") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return open(prefix)


def open(prefix: str | os.PathLike[str]) -> Records:
    """Find the records that `write` made.

    Args:
        prefix: what was given to `write`.

    Raises:
        FileNotFoundError: there are none, or a shard is missing.
        ValueError: the manifest is not one of ours, or a shard has another size than it says.
    """
    prefix = Path(prefix).expanduser()
    manifest = _read_manifest(prefix)
    if manifest is None:
        raise FileNotFoundError(f"{_manifest_path(prefix)}: there are no records here. Make them with records.write.")
    for name, size in manifest["shards"].items():
        _check_shard(prefix.parent / name, size)
    first, of = next(iter(manifest["shards"])).rsplit("-00000-of-", 1)
    return Records(
        pattern=f"{glob.escape((prefix.parent / first).as_posix())}-*-of-{of}",
        count=manifest["count"],
        label_map=LabelMap(manifest["classes"]),
        boxes=manifest["boxes"],
        max_boxes=manifest["max_boxes"],
        problems=tuple(Problem(**problem) for problem in manifest["problems"]),
    )


def read(records: Records) -> Iterator[LabelledImage]:
    """Read every image back, in the order written, its bytes in ``encoded``.

    Records hold boxes as fractions of the image, so a coordinate can come back changed in its last
    float32 digit.

    Raises:
        ValueError: a record is damaged (the message says which), or images are missing.
    """
    found = 0
    for path in records.files:
        for image in tfrecord.read(path):
            found += 1
            yield image
    if found != records.count:
        raise ValueError(f"{records.pattern}: {found} images, and {records.count} were written. Write them again.")


# --- files -----------------------------------------------------------------------------------


def _checked_prefix(prefix: str | os.PathLike[str]) -> Path:
    if "://" in str(prefix):
        raise ValueError(f"{prefix}: records are written to a local folder. Write them there, then copy the files.")
    if "," in str(prefix):
        raise ValueError(f"{prefix}: Model Garden takes a comma for the end of a path. Choose a path without one.")
    prefix = Path(prefix).expanduser()
    if not prefix.name:
        raise ValueError(f"{prefix}: records need a name, such as {prefix / 'train'}.")
    _read_manifest(prefix)  # raises where the manifest would overwrite a file that is not ours
    return prefix


def _shard_count(dataset: Dataset, shards: int | None) -> int:
    if shards is None:
        return -(-sum(map(_stored_bytes, dataset)) // _SHARD_BYTES) or 1
    if not 1 <= shards <= max(len(dataset), 1):
        raise ValueError(f"shards must be from 1 to the number of images, {len(dataset)}; got {shards}.")
    return shards


def _stored_bytes(image: LabelledImage) -> int:
    if image.encoded is not None:
        return len(image.encoded)
    try:
        return image.path.stat().st_size
    except OSError:  # reported when it is read
        return 0


def _manifest_path(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.json")


def _read_manifest(prefix: Path) -> dict[str, Any] | None:
    path = _manifest_path(prefix)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != _KIND:
        raise ValueError(f"{path}: this is not a manifest of records. Choose another prefix, or move the file away.")
    return manifest


def _check_shard(path: Path, size: int) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this shard is missing. Copy it here, or write the records again.")
    if path.stat().st_size != size:
        got = path.stat().st_size
        raise ValueError(f"{path}: {got} bytes, and {size} were written. Copy the shard or write the records again.")


def _publish(part: Path, prefix: Path, tag: str, facts: dict[str, Any]) -> None:
    written = sorted(part.iterdir())
    sizes = {}
    for number, path in enumerate(written):
        name = f"{prefix.name}-{tag}-{number:05d}-of-{len(written):05d}.tfrecord"
        sizes[name] = path.stat().st_size
        path.replace(prefix.parent / name)
    with workspace.whole_file(_manifest_path(prefix)) as file:
        file.write_text(json.dumps(facts | {"shards": sizes}, indent=2) + "\n", encoding="utf-8")
    _remove_leftovers(prefix)


def _remove_leftovers(prefix: Path) -> None:
    """Remove what the manifest does not name: older shards, and what an interrupted `write` left."""
    name = re.escape(prefix.name)
    shard = re.compile(rf"{name}-[0-9a-f]{{8}}-\d{{5}}-of-\d{{5}}\.tfrecord")
    hidden = re.compile(rf"\.{name}(\.json)?\.[a-z0-9_]{{8}}\.part")
    named = (_read_manifest(prefix) or {"shards": {}})["shards"]
    for path in prefix.parent.iterdir():
        if shard.fullmatch(path.name) and path.name not in named:
            with contextlib.suppress(OSError):  # Windows keeps a file that another program has open
                path.unlink()
        elif hidden.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _facts(label_map: LabelMap, box_counts: list[int], problems: Iterable[Problem]) -> dict[str, Any]:
    return {
        "kind": _KIND,
        "count": len(box_counts),
        "boxes": sum(box_counts),
        "max_boxes": max(box_counts),
        "classes": list(label_map),
        "problems": [asdict(problem) for problem in problems],
    }
