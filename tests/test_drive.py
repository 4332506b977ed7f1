"""Drive: mounted once, without a second question; every way in which it fails is told with what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import colab as small_colab
import pytest
from colab import Colab

from tfod_helpers import drive
from tfod_helpers.drive import DriveError


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Colab:
    """This machine as Colab, with nothing mounted."""
    return small_colab.install(tmp_path, monkeypatch)


def test_drive_is_mounted_and_asks_once(colab: Colab) -> None:
    """The folder My Drive comes back; the second call, as of a cell that runs again, asks nothing."""
    for _ in range(2):
        assert drive.mount(colab.folder) == colab.folder / "MyDrive"
    assert colab.drive.questions == 1
    assert drive.is_mounted(colab.folder)
    assert drive.in_colab()


def test_elsewhere_than_in_colab(tmp_path: Path) -> None:
    """On another machine the error says what to give instead."""
    with pytest.raises(
        DriveError,
        match=r"this is not Colab, and only Colab can mount Google Drive\. Give a folder or an archive of this",
    ):
        drive.mount(tmp_path / "drive")
    assert not drive.in_colab()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Error: credential propagation was unsuccessful", r"the permission was not given.*third-party cookies"),
        ("mount failed", r"Drive's own program stopped.*Disconnect and delete runtime"),
        ("mount failed: timeout during initial read of root folder; for more info: https://x", "move files from the"),
        ("The domain policy has disabled Drive File Stream: https://x", "school or company.*ask its administrator"),
        ("'TBE_CREDS_ADDR'", r"not one of Google's own machines.*sources\.local\('upload'\)"),
        ("google.colab.drive is unsupported in this environment.", r"has no Drive.*sources\.local\('gs://"),
        ("something new", r"could not be mounted \(ValueError: something new\)\. Run the cell again"),
    ],
)
def test_failure_is_told(said: str, told: str, colab: Colab) -> None:
    """What Colab's module says is told in words that help, and kept in the message."""
    kind = colab.message_error if "propagation" in said else KeyError if "TBE" in said else ValueError
    colab.drive.fails = kind(said.strip("'"))
    with pytest.raises(DriveError, match=f"(?s){told}") as caught:
        drive.mount(colab.folder)
    assert said.rstrip(".") in str(caught.value)
    assert ".." not in str(caught.value)


def test_files_in_the_place_of_drive(colab: Colab) -> None:
    """What a program wrote there while Drive was not mounted is named, with the line that moves it away."""
    (colab.folder / "MyDrive").mkdir(parents=True)
    with pytest.raises(
        FileExistsError, match=r"'MyDrive' first\. Move them away.*shutil\.move\('.*', '.*_not_on_drive'"
    ):
        drive.mount(colab.folder)
    assert colab.drive.questions == 0
    (colab.folder / "MyDrive").rmdir()
    assert drive.mount(colab.folder) == colab.folder / "MyDrive"


def test_mount_that_died_is_made_anew(colab: Colab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder is there and answers nothing any more, Drive is mounted again by force."""
    drive.mount(colab.folder)
    listed = os.listdir

    def listdir(path: object = ".") -> list[str]:
        if os.fspath(path) == str(colab.folder) and not colab.drive.remounts:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected", os.fspath(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert not drive.is_mounted(colab.folder)
    assert drive.mount(colab.folder) == colab.folder / "MyDrive"
    assert colab.drive.remounts == 1
    assert drive.is_mounted(colab.folder)
