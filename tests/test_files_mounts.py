"""Folders that are mounted here: known as such, and what the system says of them is told in words that help."""

from __future__ import annotations

import errno
from pathlib import Path

import colab as small_colab
import pytest

from tfod_helpers.files import mounts
from tfod_helpers.files.mounts import DriveError


def test_what_is_on_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drive and what leads there is far; the disk, and a disk that is mounted in it, is not."""
    small_colab.mounts_nothing(tmp_path, monkeypatch)
    (tmp_path / "my drive" / "disk").mkdir(parents=True)
    small_colab.mount(tmp_path, tmp_path / "my drive")
    with (tmp_path / "mounts").open("a") as file:
        file.write(f"/dev/sdb {tmp_path}/my\\040drive/disk ext4 rw 0 0\n/dev/sdc {tmp_path}/usb fuseblk rw 0 0\n")
    (tmp_path / "link").symlink_to(tmp_path / "my drive")
    assert mounts.is_on_network(tmp_path / "my drive" / "a" / "b.jpg")
    assert mounts.is_on_network(tmp_path / "link" / "b.jpg")
    assert not mounts.is_on_network(tmp_path / "my drive" / "disk" / "b.jpg")
    assert not mounts.is_on_network(tmp_path / "usb" / "b.jpg")
    assert not mounts.is_on_network(tmp_path)
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "none")  # as on a Mac
    assert not mounts.is_on_network(tmp_path / "my drive")


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
    with pytest.raises(DriveError, match=told) as caught, mounts.explained(tmp_path, writing=writing):
        raise OSError(number, "so it is", str(tmp_path / "a.jpg"))
    assert str(caught.value).startswith(f"{tmp_path / 'a.jpg'}: ")


def test_full_disk_of_this_machine_is_not_called_drive(tmp_path: Path) -> None:
    """While Drive is read, a full disk is this machine's."""
    with pytest.raises(OSError, match="no space") as caught, mounts.explained(tmp_path):
        raise OSError(errno.ENOSPC, "no space")
    assert not isinstance(caught.value, DriveError)


def test_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what is there and alike, and on Drive speaks of shortcuts."""
    small_colab.mounts_nothing(tmp_path, monkeypatch)
    for name in ("Photos.zip", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError) as caught, mounts.explained(tmp_path / "photo.zip"):
        (tmp_path / "photo.zip").stat()
    what = f"{tmp_path / 'photo.zip'}: it is not there. In {tmp_path} there is 'Photos.zip'."
    assert str(caught.value) == what
    deeper = mounts.missing(tmp_path / "qqqqqq" / "a.zip")
    assert f"In {tmp_path} there is 'Photos.zip', " in str(deeper)
    assert ".hidden" not in str(deeper)
    small_colab.mount(tmp_path, tmp_path)
    assert str(mounts.missing(tmp_path / "photo.zip")).startswith(
        f"{what} What somebody shared with you shows here only"
    )
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'} is empty." in str(mounts.missing(tmp_path / "empty" / "a.zip"))
