"""Places: one call makes a folder of this machine, of Drive or of a bucket ready to keep results in."""

from __future__ import annotations

from pathlib import Path

import colab as parts
import pytest
from bucket_server import BucketServer

from tfod_helpers import places


def test_place_of_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A local folder is taken as it is, and an empty form field for the folder of the notebook; a line says so."""
    assert places.prepare(f"{tmp_path}/kept/") == f"{tmp_path}/kept"
    assert places.prepare("") == "."
    assert capsys.readouterr().out == f"Results are kept in {tmp_path}/kept.\nResults are kept in this folder.\n"


def test_place_on_drive_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drive is mounted where the place is on it, and nowhere else."""
    colab = parts.install(tmp_path, monkeypatch)
    places.prepare(tmp_path / "drive_of_another_name")
    assert not colab.drive.questions
    assert places.prepare(colab.folder / "MyDrive" / "detector") == f"{colab.folder}/MyDrive/detector"
    assert (colab.folder / "MyDrive").is_dir()
    assert colab.drive.questions == 1


def test_bucket_is_made_and_audited_when_found(cloud: BucketServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A new bucket is made closed, in the project; one that was there is audited, and what is open is told."""
    assert places.prepare("gs://new-bucket/detector/", project="my-photos-481516") == "gs://new-bucket/detector"
    assert cloud.buckets["new-bucket"].settings["publicAccessPrevention"] == "enforced"
    assert "gs://new-bucket: made" in capsys.readouterr().out
    held = cloud.add("tutorial")
    held.bindings.append({"role": "roles/storage.admin", "members": ["allAuthenticatedUsers"]})
    assert places.prepare("gs://tutorial", project="") == "gs://tutorial"
    said = capsys.readouterr().out
    assert "gs://tutorial: found" in said
    assert "gs://tutorial: OPEN TO THE WORLD" in said


@pytest.mark.parametrize(
    "hidden", [{"storage.buckets.get", "storage.buckets.getIamPolicy"}, {"storage.buckets.getIamPolicy"}]
)
def test_bucket_whose_settings_are_hidden(
    hidden: set[str], cloud: BucketServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account that may use the files alone keeps its results there; an audit it may not see does not stop it."""
    cloud.add("lent")
    cloud.denied = hidden
    assert places.prepare("gs://lent/detector") == "gs://lent/detector"
    assert "Who gets in could not be looked at. gs://lent: tester@example.com may not" in capsys.readouterr().out
