"""Oxford-IIIT Pets: both archives come whole and proven, from a server or by hand, and become one folder."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import colab as small_colab
import pytest
from served import Server

from tfod_helpers import formats, sources
from tfod_helpers.files import downloads
from tfod_helpers.files.downloads import fetching
from tfod_helpers.sources import SourceError, oxford_pets

NAMES = ("annotations.tar.gz", "images.tar.gz")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Both archives, of drawn pets: one packed and one plain under the same ending, with what macOS puts into them."""
    folder = sources.local("drawn_pets", tmp_path_factory.mktemp("drawn"))
    made = {}
    for name in NAMES:
        file, inside = io.BytesIO(), name.partition(".")[0]
        with tarfile.open(fileobj=file, mode="w:gz" if inside == "annotations" else "w") as archive:
            archive.add(folder / inside, inside)
            odd = tarfile.TarInfo(f"{inside}/._Bombay_1.png")
            odd.size = 4
            archive.addfile(odd, io.BytesIO(b"\0\5\x16\7"))
        made[name] = file.getvalue()
    return made


@pytest.fixture
def server(packed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The authors' server, on this machine: the first of its addresses leads nowhere any more."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv(downloads.SECOND_PLACE, raising=False)
    monkeypatch.setattr(fetching, "_WAIT_SECONDS", 0.0)
    server = Server(files={f"/pets/{name}": data for name, data in packed.items()})
    monkeypatch.setattr(oxford_pets, "_SERVERS", (f"{server.address}/old", f"{server.address}/pets"))
    monkeypatch.setattr(oxford_pets, "_SHA256", {name: hashlib.sha256(packed[name]).hexdigest() for name in NAMES})
    yield server
    server.stop()


def by_hand(folder: Path, packed: dict[str, bytes]) -> Path:
    """A folder that somebody put both archives into."""
    folder.mkdir(parents=True)
    for name, data in packed.items():
        (folder / name).write_bytes(data)
    return folder


def test_both_archives_become_one_folder(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is read as the data set, its terms are said, nothing else is left, and it comes once."""
    folder = sources.local("oxford_pets", tmp_path)
    assert folder == tmp_path / "oxford_pets"
    assert "Attribution-ShareAlike 4.0" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["annotations", "images"]
    assert os.listdir(tmp_path) == ["oxford_pets"]
    assert not list(folder.rglob("._*"))
    assert len(formats.read(folder, around="body", classes="species")) == 60
    asked = [one.path for one in server.gets()]
    assert asked == [f"/{place}/{name}" for name in NAMES for place in ("old", "pets")]
    assert sources.local("oxford_pets", tmp_path) == folder
    assert len(server.gets()) == len(asked)


def test_what_broke_off_is_gone_on_with(server: Server, packed: dict[str, bytes], tmp_path: Path) -> None:
    """A server that goes away in the middle costs no byte twice: the next call asks for the rest."""
    server.cut = [len(packed["annotations.tar.gz"]), *[1000] * 4]
    with pytest.raises(SourceError, match=r"images\.tar\.gz cannot be had .*: the connection broke off"):
        sources.local("oxford_pets", tmp_path)
    assert not (tmp_path / "oxford_pets").exists()
    server.asked.clear()
    sources.local("oxford_pets", tmp_path)
    ranges = [one.headers.get("Range") for one in server.gets() if one.path == "/pets/images.tar.gz"]
    assert ranges == ["bytes=4000-"]
    assert not [one for one in server.gets() if one.path == "/pets/annotations.tar.gz"]


def test_offline_and_other_files(server: Server, tmp_path: Path) -> None:
    """Without the server, or where it gives another file, the error says which archives to put where by hand."""
    server.files["/pets/images.tar.gz"] = b"another file"
    with pytest.raises(SourceError, match=r"not the published file: its sha256 is .*"):
        sources.local("oxford_pets", tmp_path)
    server.stop()
    with pytest.raises(SourceError) as caught:
        sources.local("oxford_pets", tmp_path / "new")
    assert str(caught.value).startswith(f"oxford_pets: annotations.tar.gz cannot be had from {server.address}/pets/")
    assert "Fetch annotations.tar.gz and images.tar.gz by hand from https://www.robots" in caught.value.fix
    assert "sources.local('path/to/folder')" in caught.value.fix


def test_second_place_has_them(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was downloaded once is taken from the folder on Drive that is named, by the next machine."""
    monkeypatch.setenv(downloads.SECOND_PLACE, str(tmp_path / "drive"))
    sources.local("oxford_pets", tmp_path / "one")
    server.stop()
    assert (sources.local("oxford_pets", tmp_path / "another") / "images").is_dir()


@pytest.mark.parametrize("far", [False, True])
def test_archives_fetched_by_hand(
    far: bool, server: Server, packed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with both archives, here or on Drive, is the data set, without a network; the archives stay."""
    server.stop()
    small_colab.mounts_nothing(tmp_path, monkeypatch)
    if far:
        small_colab.mount(tmp_path, tmp_path / "drive")
    given = by_hand(tmp_path / "drive" / "downloads", packed)
    folder = sources.local(given, tmp_path / "data")
    assert folder == tmp_path / "data" / "oxford_pets" == sources.local("oxford_pets", tmp_path / "data")
    assert len(formats.read(folder)) == 43
    assert sorted(os.listdir(given)) == sorted(NAMES)
    assert os.listdir(tmp_path / "data") == ["oxford_pets"]


def test_other_archives_of_these_names(server: Server, packed: dict[str, bytes], tmp_path: Path) -> None:
    """Archives that are not the published ones are refused, stay where they are, and leave nothing half made."""
    given = by_hand(tmp_path / "downloads", packed | {"images.tar.gz": packed["images.tar.gz"][:-100]})
    with pytest.raises(SourceError, match=r"images\.tar\.gz: this is not Oxford-IIIT Pets': its sha256 is"):
        sources.local(given, tmp_path / "data")
    assert sorted(os.listdir(given)) == sorted(NAMES)
    assert not (tmp_path / "data" / "oxford_pets").exists()
    for name in NAMES:
        (given / name.partition(".")[0]).mkdir()
    assert sources.local(given, tmp_path / "data") == given, "what was unpacked beside them is taken as it is"


def test_published_facts_are_hashes() -> None:
    """The hashes are those of TensorFlow Datasets' own list."""
    found = importlib.util.find_spec("tensorflow_datasets")
    if found is None or found.origin is None:
        pytest.skip("needs TensorFlow Datasets")
    rows = (Path(found.origin).parent / "datasets/oxford_iiit_pet/checksums.tsv").read_text(encoding="utf-8").split()
    assert {name: rows[rows.index(name) - 1] for name in NAMES} == oxford_pets._SHA256
