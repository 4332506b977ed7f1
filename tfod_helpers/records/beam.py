r"""A dataset -> the same records as `records.write` makes, on many machines at once, by Apache Beam.

Each machine makes whole shards and reads the photos itself, so the photos and the records are in a
bucket where it is more than one machine. On Google's Dataflow, with this package's wheel
(``python -m build --wheel``) for the machines to install::

    from dataclasses import replace
    from pathlib import Path
    from tfod_helpers.records import beam

    there = [replace(image, path=Path("gs://bucket/photos", image.path.name)) for image in dataset]
    options = [
        "--runner=DataflowRunner", "--project=PROJECT", "--region=europe-west4",
        "--temp_location=gs://bucket/temp", "--extra_package=dist/tfod_helpers-1.0.0-py3-none-any.whl",
        "--max_num_workers=20",
    ]
    beam.write(replace(dataset, images=there), "gs://bucket/records/train", shards=500, options=options)

The same options do on the command line of a script that ends so, ``options=sys.argv[1:]``::

    python write_records.py --runner=DataflowRunner --project=PROJECT --region=europe-west4 \
        --temp_location=gs://bucket/temp --extra_package=dist/tfod_helpers-1.0.0-py3-none-any.whl

It needs the extra ``beam``: ``pip install 'tfod_helpers[beam]'``.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.annotations import Dataset, LabelledImage
from tfod_helpers.files import storage
from tfod_helpers.problems import OnProblem, Problem, settle_problems
from tfod_helpers.records import encoding, writing
from tfod_helpers.records.index import Index
from tfod_helpers.records.manifest import Records
from tfod_helpers.records.place import Place
from tfod_helpers.records.shards import bounds, join, write_batch


def write(
    dataset: Dataset,
    prefix: str | os.PathLike[str],
    *,
    shards: int | None = None,
    options: Sequence[str] | None = None,
    longest_side: int | None = None,
    on_problem: OnProblem = "raise",
) -> Records:
    """Write a dataset as TFRecord shards with Apache Beam, whole or not at all; older ones are replaced.

    The files are those of `records.write`, byte for byte, but no unchanged record is reused.

    Args:
        dataset: what to write; a photo's path is local, or ``gs://`` where other machines read it.
        prefix: a folder and the start of the names, local or ``gs://bucket/records/train``.
        shards: the number of files; None makes one for each 100 MB, where a photo in a bucket counts 100 kB.
            Each is one machine's work, so give a few for each machine.
        options: Beam's, such as ``["--runner=DirectRunner"]``; None runs on this machine.
        longest_side: pixels; a photo with a longer one is scaled down to it.
        on_problem: ``raise`` reports every bad image at once and publishes nothing; ``skip`` leaves them out.

    Raises:
        DatasetError: an image is missing, damaged, or of another size than its annotation says; or images hold a
            detector's suggestions that nobody has confirmed.
        ModuleNotFoundError: Apache Beam is not installed.
        ValueError: an argument does not fit.
        OSError: the folder or bucket cannot be written to.
    """
    settle_problems((), on_problem, "")
    place = writing.claimed(prefix)
    dataset.refuse_unconfirmed(f"records {place.path(place.name)}", "trained on")
    options = list(options or ["--runner=DirectRunner"])
    _refuse_unreachable(dataset, place, options)
    settings = encoding.Settings.of(dataset.label_map, longest_side)
    parts = bounds(dataset, shards)
    ids = encoding.source_ids(dataset)
    with place.staging() as staging:
        for number, images in enumerate(parts):
            part = [(asdict(dataset[image]), ids[image]) for image in images]
            staging.put_bytes(json.dumps(part, default=_plain).encode(), _task_name(number))
        _run(functools.partial(write_shard, staging, settings), range(len(parts)), options)
        return writing.publish(place, *_gather(staging, len(parts)), dataset.label_map, on_problem)


def write_shard(staging: Place, settings: encoding.Settings, number: int) -> None:
    """Make one shard, on whichever machine; done twice it leaves the same files.

    Args:
        staging: the folder where its images are listed, and where it goes.
        settings: what records depend on besides their images.
        number: of the shard.
    """
    listed = json.loads(storage.read_bytes(staging.path(_task_name(number))))
    images, ids = [_to_image(entry) for entry, _ in listed], [id for _, id in listed]
    with tempfile.TemporaryDirectory(dir=None if staging.remote else staging.folder) as folder:
        batch = write_batch(images, ids, settings, Path(folder), range(len(images)))
        join(Path(folder) / "shard", [batch])
        staging.put(Path(folder) / "shard", f"{number:05d}")
    staging.put_bytes(Index.joined([batch.index], number).to_bytes(), f"{number:05d}.npy")
    staging.put_bytes(json.dumps([asdict(problem) for problem in batch.problems]).encode(), f"{number:05d}.json")


def _run(task: functools.partial[None], numbers: range, options: list[str]) -> None:
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        how = "Install it: pip install 'tfod_helpers[beam]'"
        raise ModuleNotFoundError(f"Apache Beam is not installed. {how}.") from None
    with beam.Pipeline(options=PipelineOptions(options)) as root:
        # Reshuffle: without it one machine could be given all the numbers.
        _ = root | beam.Create(list(numbers)) | beam.Reshuffle() | beam.Map(task)


def _gather(staging: Place, count: int) -> tuple[list[str], Index, list[Problem]]:
    parts, problems = [], []
    for number in range(count):
        parts.append(Index.from_bytes(storage.read_bytes(staging.path(f"{number:05d}.npy"))))
        found = json.loads(storage.read_bytes(staging.path(f"{number:05d}.json")))
        problems += [Problem(**problem) for problem in found]
    return [staging.path(f"{number:05d}") for number in range(count)], Index.joined(parts), problems


def _refuse_unreachable(dataset: Dataset, place: Place, options: list[str]) -> None:
    if not any("dataflow" in option.lower() for option in options):
        return
    here = [image.path for image in dataset if image.encoded is None and not storage.is_remote(image.path)]
    if not place.remote:
        here.append(Path(place.folder))
    if here:
        raise ValueError(
            f"{here[0]}: Dataflow's machines see no files of this one. Copy the photos into a bucket "
            f"(gcloud storage cp), give their gs:// paths, and a gs:// prefix."
        )


# --- an image as JSON: Dataflow takes only a few MB at the start, so machines read their images from files -----


def _task_name(number: int) -> str:
    return f"{number:05d}.images.json"


def _plain(value: Any) -> Any:
    """Return what JSON can hold for an array, bytes, or a path."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else storage.address(value)


def _to_image(entry: dict[str, Any]) -> LabelledImage:
    masks = None if entry["masks"] is None else tuple(map(base64.b64decode, entry["masks"]))
    encoded = None if entry["encoded"] is None else base64.b64decode(entry["encoded"])
    return LabelledImage(**entry | {"masks": masks, "encoded": encoded})
