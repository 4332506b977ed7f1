"""Storage: a bucket's files are read, written, listed, copied and deleted; what goes wrong is told."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import Faults, be_patient, faults  # noqa: F401 - a fixture

from tfod_helpers.files import storage
from tfod_helpers.files.storage import client, files, refusals


@pytest.fixture
def filled(bucket: str) -> str:
    """The bucket with three files."""
    for name in ("set/train-1.bin", "set/train-2.bin", "set/deeper/train-3.bin"):
        storage.write_bytes(f"{bucket}/{name}", name.encode() * 1000)
    return bucket


@pytest.mark.parametrize(
    ("path", "address", "folder", "name"),
    [
        ("gs://bucket/a/b", "gs://bucket/a/b", "gs://bucket/a", "b"),
        (Path("gs://bucket/a/b"), "gs://bucket/a/b", "gs://bucket/a", "b"),
        ("gs://bucket/b", "gs://bucket/b", "gs://bucket", "b"),
    ],
)
def test_an_address_in_a_bucket(path: str | Path, address: str, folder: str, name: str) -> None:
    """A gs:// address is known as one, as text and as a Path, which loses a slash; its parts join again."""
    assert storage.is_remote(path)
    assert storage.address(path) == address
    assert storage.split(path) == (folder, name)
    assert storage.join(folder, name) == address


def test_a_local_path_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of this machine is none of a bucket; ~ is the home folder, and a bare name is in this folder."""
    monkeypatch.setenv("HOME", "/home/somebody")
    assert not storage.is_remote("gs")
    assert storage.address("~/a/b") == "/home/somebody/a/b"
    assert storage.split("a/b") == ("a", "b")
    assert storage.split("b") == (".", "b")


def test_what_is_written_is_read(filled: str, tmp_path: Path) -> None:
    """Bytes written, uploaded and copied in the bucket come back, in memory, as a file and as a temporary copy."""
    (tmp_path / "here").write_bytes(b"uploaded")
    storage.upload(tmp_path / "here", f"{filled}/there")
    storage.copy(f"{filled}/there", f"{filled}/set/copied")
    assert storage.read_bytes(Path(f"{filled}/set/copied")) == b"uploaded"
    storage.download(f"{filled}/set/copied", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"uploaded"
    with storage.local_copy(f"{filled}/set/train-1.bin") as local:
        assert local.read_bytes() == b"set/train-1.bin" * 1000
    assert not local.exists()
    with storage.local_copy(tmp_path / "back") as local:
        assert local == tmp_path / "back"
    assert local.exists()


def test_a_folder_is_listed(filled: str) -> None:
    """The files of a folder are listed with their sizes, those deeper only when asked for; a deleted one is gone."""
    assert storage.sizes(f"{filled}/set") == {"train-1.bin": 15000, "train-2.bin": 15000}
    assert storage.sizes(f"{filled}/set", "train-2") == {"train-2.bin": 15000}
    assert storage.sizes(f"{filled}/set/", nested=True).keys() == {"train-1.bin", "train-2.bin", "deeper/train-3.bin"}
    assert storage.sizes(filled) == {}
    storage.delete(f"{filled}/set/train-2.bin")
    storage.delete(f"{filled}/set/train-2.bin")
    assert storage.sizes(f"{filled}/set") == {"train-1.bin": 15000}


def test_a_stamp_changes_with_the_file(filled: str, tmp_path: Path) -> None:
    """The stamp of a file stays until the file is written again, here and in a bucket, whatever its size."""
    local = tmp_path / "file"
    for path, write in ((local, lambda path, data: Path(path).write_bytes(data)), (f"{filled}/x", storage.write_bytes)):
        write(path, b"one")
        before = storage.stamp(path)
        assert before == storage.stamp(path)
        assert before[0] == 3
        write(path, b"two")
        if path == local:
            os.utime(local, ns=(1, 1))  # two writes can be within one tick of the clock
        assert storage.stamp(path) != before


@pytest.mark.parametrize("act", [storage.read_bytes, storage.stamp, lambda path: storage.copy(path, path + "2")])
def test_a_missing_file_is_told(bucket: str, act: Callable[..., object]) -> None:
    """A file that is not in the bucket is a FileNotFoundError that names it and says what to do."""
    with pytest.raises(FileNotFoundError, match=rf"{bucket}/none: not there .*Check the bucket and the name"):
        act(f"{bucket}/none")


def test_a_missing_bucket_is_told(bucket: str) -> None:
    """Listing or writing in a bucket that does not exist names it."""
    with pytest.raises(FileNotFoundError, match="gs://no-such-bucket/a"):
        storage.sizes("gs://no-such-bucket/a")
    with pytest.raises(OSError, match="gs://no-such-bucket/a"):
        storage.write_bytes("gs://no-such-bucket/a", b"")
    with pytest.raises(ValueError, match="gs://bucket/name"):
        storage.read_bytes("gs://only-a-bucket")


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("401", PermissionError, "nobody is signed in .*authenticate_user.*gcloud auth .*run it again"),
        ("403", PermissionError, "me@example.com may not .*--member=user:me@example.com --role=roles/storage.object"),
        ("404", FileNotFoundError, r"there is no such bucket .*make it: bucket.ensure\('photos-and-records'\)"),
        ("billing", PermissionError, "the project has no billing account.*gcloud billing projects link"),
        ("503", OSError, "Cloud Storage did not do it .*Backend error.*try again"),
    ],
)
@pytest.mark.parametrize("act", [storage.read_bytes, storage.sizes, lambda path: storage.write_bytes(path, b"1")])
def test_what_the_server_refuses_is_told(
    faults: Faults,  # noqa: F811
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[str], object],
    fault: str,
    error: type[Exception],
    told: str,
) -> None:
    """An error of the server names the address, what the server said, and the line that mends it."""
    be_patient(monkeypatch, 0.2)
    faults.always = {"": fault}
    with pytest.raises(error, match=rf"{bucket}/a: {told}"):
        act(f"{bucket}/a")


def test_credentials_that_expire_are_told_and_forgotten(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a sign-in cannot be refreshed any more, the error says how to sign in, and the next call asks anew."""
    from google.auth import credentials, exceptions

    class Expired(credentials.AnonymousCredentials):
        def before_request(self, *_: object) -> None:
            raise exceptions.RefreshError("Reauthentication is needed.")

    with monkeypatch.context() as patch:
        patch.setattr(credentials, "AnonymousCredentials", Expired)
        with pytest.raises(PermissionError, match=rf"{bucket}/a: the sign-in .*Reauthentication is needed.*again"):
            storage.write_bytes(f"{bucket}/a", b"1")
    storage.write_bytes(f"{bucket}/a", b"1")
    assert storage.read_bytes(f"{bucket}/a") == b"1"


def test_a_service_account_is_named_as_one() -> None:
    """The line that gives a right names a service account as Google wants it."""
    from google.api_core import exceptions

    error = exceptions.Forbidden("robot@p.iam.gserviceaccount.com does not have storage.objects.get access")
    with pytest.raises(PermissionError, match=r"--member=serviceAccount:robot@p.iam.gserviceaccount.com --role"):
        raise_told(error)
    with pytest.raises(PermissionError, match=r"this account may not .* --member=user:ACCOUNT --role"):
        raise_told(exceptions.Forbidden("no"))


def raise_told(error: Exception) -> None:
    """Raise what becomes of an error of Google's client."""
    with refusals.explained("gs://bucket/a"):
        raise error


def test_what_is_stored_packed_is_read_unpacked(bucket: str, tmp_path: Path) -> None:
    """A file that was stored with gzip (gcloud storage cp -Z) is read as it was before."""
    data = b'{"images": []}' * 100
    blob = client.blob(f"{bucket}/set/a.json")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(data), content_type="application/json")
    assert storage.read_bytes(f"{bucket}/set/a.json") == data
    storage.download_folder(f"{bucket}/set", tmp_path)
    assert (tmp_path / "a.json").read_bytes() == data


def test_no_credentials_are_told(tmp_path: Path) -> None:
    """On a machine where nobody signed in to Google, the error says how to."""
    code = "from tfod_helpers.files import storage; storage.read_bytes('gs://bucket/a')"
    environment = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true", "PATH": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert "PermissionError: gs://bucket/a: nobody is signed in to Google Cloud" in done.stderr
    assert "authenticate_user" in done.stderr


def test_google_is_not_needed_for_local_files(tmp_path: Path) -> None:
    """Reading and looking at local files loads nothing of Google's client."""
    (tmp_path / "a").write_bytes(b"1")
    code = "import sys; from tfod_helpers.files import storage\n"
    code += "storage.read_bytes(sys.argv[1]), storage.stamp(sys.argv[1])\n"
    code += "print([name for name in sys.modules if name.startswith('google')])"
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_file_that_is_replaced_while_it_is_fetched_comes_in_its_newer_version(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a look at a file and its bytes, another version may come, or it may go: it is read, or not there."""
    path, fetch = f"{filled}/set/train-1.bin", files.fetch
    versions: list[bytes | None] = []  # what comes before the next bytes are asked for; None deletes, b"" does nothing

    def late(address: str, stored: files.Stored, file: Any) -> None:
        match versions.pop(0) if versions else b"":
            case None:
                storage.delete(path)
            case bytes(data) if data:
                storage.write_bytes(path, data)
        fetch(address, stored, file)

    monkeypatch.setattr(files, "fetch", late)
    seen = storage.versions(f"{filled}/set")["train-1.bin"]
    versions[:] = [b"second", b"the third one"]
    storage.refresh(path, tmp_path / "file", seen)
    assert (tmp_path / "file").read_bytes() == b"the third one"
    versions[:] = [b"fourth"]
    assert storage.read_bytes(path) == b"fourth"
    storage.refresh(path, tmp_path / "file", seen)
    assert (tmp_path / "file").read_bytes() == b"fourth"
    versions[:] = [b"fifth", None]
    with pytest.raises(FileNotFoundError, match=r"train-1\.bin: not there"):
        storage.download(path, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"fourth"
