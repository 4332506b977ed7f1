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


def test_what_is_on_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drive and what leads there is far; the disk, and a disk that is mounted in it, is not."""
    small_colab.mounts_nothing(tmp_path, monkeypatch)
    (tmp_path / "my drive" / "disk").mkdir(parents=True)
    small_colab.mount(tmp_path, tmp_path / "my drive")
    with (tmp_path / "mounts").open("a") as file:
        file.write(f"/dev/sdb {tmp_path}/my\\040drive/disk ext4 rw 0 0\n/dev/sdc {tmp_path}/usb fuseblk rw 0 0\n")
    (tmp_path / "link").symlink_to(tmp_path / "my drive")
    assert drive.is_on_network(tmp_path / "my drive" / "a" / "b.jpg")
    assert drive.is_on_network(tmp_path / "link" / "b.jpg")
    assert not drive.is_on_network(tmp_path / "my drive" / "disk" / "b.jpg")
    assert not drive.is_on_network(tmp_path / "usb" / "b.jpg")
    assert not drive.is_on_network(tmp_path)
    monkeypatch.setattr(drive, "_MOUNTS", tmp_path / "none")  # as on a Mac
    assert not drive.is_on_network(tmp_path / "my drive")


@pytest.mark.parametrize(
    ("number", "writing", "told"),
    [
        (errno.ENOTCONN, False, r"does not answer any more.*drive\.mount\(\)"),
        (errno.EIO, False, r"did not give the file.*make a copy of the file in Drive"),
        (errno.ENOSPC, True, r"your Google Drive is full.*drive\.google\.com/drive/quota"),
        (errno.EDQUOT, True, r"your Google Drive is full"),
    ],
)
def test_what_drive_raises_is_told(number: int, writing: bool, told: str, tmp_path: Path) -> None:
    """The system's numbers become what happened and what to do, with the file that it happened to."""
    with pytest.raises(DriveError, match=told) as caught, drive.explained(tmp_path, writing=writing):
        raise OSError(number, "so it is", str(tmp_path / "a.jpg"))
    assert str(caught.value).startswith(f"{tmp_path / 'a.jpg'}: ")


def test_full_disk_of_this_machine_is_not_called_drive(tmp_path: Path) -> None:
    """While Drive is read, a full disk is this machine's."""
    with pytest.raises(OSError, match="no space") as caught, drive.explained(tmp_path):
        raise OSError(errno.ENOSPC, "no space")
    assert not isinstance(caught.value, DriveError)


def test_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what is there and alike, and on Drive speaks of shortcuts."""
    small_colab.mounts_nothing(tmp_path, monkeypatch)
    for name in ("Photos.zip", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError) as caught, drive.explained(tmp_path / "photo.zip"):
        (tmp_path / "photo.zip").stat()
    what = f"{tmp_path / 'photo.zip'}: it is not there. In {tmp_path} there is 'Photos.zip'."
    assert str(caught.value) == what
    deeper = drive.missing(tmp_path / "qqqqqq" / "a.zip")
    assert f"In {tmp_path} there is 'Photos.zip', " in str(deeper)
    assert ".hidden" not in str(deeper)
    small_colab.mount(tmp_path, tmp_path)
    assert str(drive.missing(tmp_path / "photo.zip")).startswith(
        f"{what} What somebody shared with you shows here only"
    )
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'} is empty." in str(drive.missing(tmp_path / "empty" / "a.zip"))
