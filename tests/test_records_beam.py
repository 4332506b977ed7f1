"""Beam records: on one machine or many, the files are those that records.write makes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.files import storage
from tfod_helpers.problems import DatasetError
from tfod_helpers.records import beam

LABELS = LabelMap(["cat", "maçã"])
ONE_MACHINE = ["--runner=DirectRunner"]


@pytest.fixture
def photographed(tmp_path: Path) -> Dataset:
    """Thirty photos in two formats, with none to two boxes; some flags and masks, and one that came from records."""
    from pycocotools import mask

    folder = tmp_path / "photos"
    folder.mkdir()
    images = []
    for number in range(30):
        path = folder / f"{number:02d}.{'png' if number % 3 == 0 else 'jpg'}"
        Image.new("RGB", (40 + number, 30), (number, 90, 255 - number)).save(path)
        boxes_xyxy = [(1.1 * k, 1, 11.7 + k, 29.5) for k in range(number % 3)]
        counts = mask.encode(np.ones((30, 40 + number, number % 3), np.uint8, "F"))
        facts = {"crowd": [number == 8] * (number % 3), "difficult": [number == 7] * (number % 3)}
        facts["masks"] = tuple(rle["counts"] for rle in counts)
        labels = [1 + k for k in range(number % 3)]
        images.append(LabelledImage(path, 40 + number, 30, np.array(boxes_xyxy), labels, **facts))
    images[4] = replace(images[4], encoded=images[4].path.read_bytes(), path=Path("from records/ação.jpg"), masks=None)
    return Dataset(tuple(images), LABELS)


def files_in(folder: str | Path) -> dict[str, bytes]:
    """The files of a folder, here or in a bucket, hidden ones and those of hidden folders too."""
    if storage.is_remote(folder):
        names = storage.sizes(folder, nested=True)
        return {name: storage.read_bytes(storage.join(folder, name)) for name in names}
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("options", [None, ONE_MACHINE, [*ONE_MACHINE, "--direct_num_workers=2"]])
def test_the_files_are_those_of_one_machine(photographed: Dataset, tmp_path: Path, options: list[str] | None) -> None:
    """Shards, index and manifest are the same, byte for byte, and nothing else is left in the folder."""
    alone = records.write(photographed, tmp_path / "alone" / "train", shards=4, longest_side=60)
    made = beam.write(photographed, tmp_path / "beam" / "train", shards=4, longest_side=60, options=options)
    assert files_in(tmp_path / "beam") == files_in(tmp_path / "alone")
    assert len(files_in(tmp_path / "beam")) == 6
    assert replace(made, pattern=alone.pattern) == alone
    assert records.verify(made) == made


def test_in_a_bucket_with_the_photos_there(photographed: Dataset, tmp_path: Path, bucket: str) -> None:
    """With photos and records in a bucket the shards are the same too; older records and leftovers go."""
    there = []
    for image in photographed:
        if image.encoded is None:
            storage.upload(image.path, f"{bucket}/photos/{image.path.name}")
            image = replace(image, path=Path(f"{bucket}/photos", image.path.name))
        there.append(image)
    storage.write_bytes(f"{bucket}/records/.train.0123abcd.part/00000", b"left by another")
    records.write(Dataset(photographed[:3], LABELS), f"{bucket}/records/train")
    made = beam.write(Dataset(there, LABELS), f"{bucket}/records/train", shards=3, options=ONE_MACHINE)
    records.write(photographed, tmp_path / "alone" / "train", shards=3)
    found, alone = files_in(f"{bucket}/records"), files_in(tmp_path / "alone")
    assert {name for name in found if name.endswith(".tfrecord")} == {path.split("/")[-1] for path in made.files}
    assert {name: found[name] for name in alone if name.endswith(".tfrecord")}.items() <= alone.items()
    assert len(found) == 5
    assert records.verify(made) == made


def test_problems_are_told_and_nothing_is_published(photographed: Dataset, tmp_path: Path) -> None:
    """Bad images are listed as records.write lists them; under raise the older records stay, under skip they go."""
    before = beam.write(photographed, tmp_path / "beam" / "train", shards=2, options=ONE_MACHINE)
    at_rest = files_in(tmp_path / "beam")
    photographed[1].path.write_bytes(b"<html>")
    photographed[20].path.unlink()
    with pytest.raises(DatasetError) as alone:
        records.write(photographed, tmp_path / "alone" / "train", shards=2)
    with pytest.raises(DatasetError) as caught:
        beam.write(photographed, tmp_path / "beam" / "train", shards=2, options=ONE_MACHINE)
    assert caught.value.problems == alone.value.problems
    assert len(caught.value.problems) == 2
    assert files_in(tmp_path / "beam") == at_rest
    assert records.open(tmp_path / "beam" / "train") == before
    prefix = tmp_path / "beam" / "train"
    made = beam.write(photographed, prefix, shards=2, options=ONE_MACHINE, on_problem="skip")
    assert (made.count, made.problems) == (28, alone.value.problems)
    assert records.verify(made) == made
    assert len(files_in(tmp_path / "beam")) == 4


def test_local_photos_are_refused_for_dataflow(photographed: Dataset, tmp_path: Path) -> None:
    """Where other machines would do the work, photos and records of this one are refused, before anything is made."""
    options = ["--runner=DataflowRunner", "--project=nobody"]
    with pytest.raises(ValueError, match=r"00\.png: Dataflow's machines see no files of this one. Copy the photos"):
        beam.write(photographed, tmp_path / "records" / "train", options=options)
    with pytest.raises(ValueError, match="must be 'raise' or 'skip'"):
        beam.write(photographed, tmp_path / "records" / "train", on_problem="ignore")
    assert not (tmp_path / "records").exists()


def test_beam_is_loaded_only_when_it_is_used() -> None:
    """Importing the room loads neither Beam nor TensorFlow."""
    code = "import sys, tfod_helpers.records.beam; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "tfod_helpers" in loaded
    assert not {"apache_beam", "tensorflow", "google"} & set(loaded)
