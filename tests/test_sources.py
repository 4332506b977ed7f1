"""Sources: wherever a data set is, it comes to the local disk whole, once, and again where it changed."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
import types
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import colab as small_colab
import pytest
from colab import Colab
from served import Server

from tfod_helpers import drive, formats, sources
from tfod_helpers.files import mounts, storage, workspace
from tfod_helpers.files.downloads import fetching
from tfod_helpers.sources import SourceError, bringing, copying, kaggle, links, places

NOISE = bytes(range(256)) * 40
FILES = {"train/a.jpg": b"\xff\xd8 a" + NOISE, "train/a.xml": b"<annotation/>", "test/b.jpg": b"\xff\xd8 b"}
KEY = "0123456789abcdef-key"


def zipped(files: dict[str, bytes] = FILES) -> bytes:
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder that are not hidden."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def left(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(os.listdir(folder))


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """The folder on the local disk."""
    return tmp_path / "data"


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this machine believes to be Drive."""
    small_colab.mounts_nothing(tmp_path, monkeypatch)
    small_colab.mount(tmp_path, tmp_path / "drive")
    (tmp_path / "drive" / "MyDrive").mkdir(parents=True)
    return tmp_path / "drive" / "MyDrive"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine; no time is spent waiting between attempts."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "_WAIT_SECONDS", 0.0)
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Server:
    """Kaggle, on this machine, which knows nobody yet."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "kaggle"))
    monkeypatch.setattr(kaggle, "_KAGGLE", server.address)
    server.answers["/api/v1/datasets/view/me/pets"] = (200, {}, b'{"currentVersionNumber": 3}')
    server.files["/api/v1/datasets/download/me/pets"] = zipped()
    return server


def refused(where: str | Path, near: Path) -> SourceError:
    """Why a source is refused, and that nothing of it is left."""
    with pytest.raises(SourceError) as caught:
        sources.local(where, near)
    assert not near.exists() or not left(near)
    assert str(caught.value) == f"{caught.value.where}: {caught.value.what}. {caught.value.fix.rstrip('.')}."
    return caught.value


# --- this machine ---------------------------------------------------------------------------------


def test_folder_of_this_machine_is_taken_as_it_is(near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A local folder comes back, and a line says so; nothing is copied."""
    near.mkdir()
    (near / "a.jpg").touch()
    assert sources.local(near, near / "other") == near
    assert capsys.readouterr().out == f"{near}: on the local disk already.\n"
    assert left(near) == ["a.jpg"]


@pytest.mark.parametrize("nothing", ["", " ", None])
def test_nothing_is_no_source(nothing: str, near: Path) -> None:
    """An empty form field is refused, and not taken for the folder that the notebook is in."""
    with pytest.raises(ValueError, match=r"where the data are: got .*\. Give a path or a URL, or 'sample'"):
        sources.local(nothing, near)


def test_archive_comes_once(tmp_path: Path, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A zip becomes a folder of its name; again, it is kept with what was changed in it, and one line says so."""
    (tmp_path / "photos.zip").write_bytes(zipped())
    folder = sources.local(tmp_path / "photos.zip", near)
    assert folder == near / "photos"
    assert contents(folder) == FILES
    assert left(near) == ["photos"]
    assert capsys.readouterr().out == f"{folder}: 3 files from {tmp_path / 'photos.zip'}.\n"
    (folder / "notes.txt").write_text("mine")
    assert sources.local(tmp_path / "photos.zip", near) == folder
    assert (folder / "notes.txt").exists()
    out = capsys.readouterr().out
    assert out == f"{folder}: there already, from {tmp_path / 'photos.zip'}, which did not change.\n"


def test_archive_that_changed_comes_again(tmp_path: Path, near: Path) -> None:
    """A zip that was packed anew replaces the folder, unless somebody worked in it."""
    path = tmp_path / "photos.zip"
    path.write_bytes(zipped())
    sources.local(path, near)
    path.write_bytes(zipped(FILES | {"c.jpg": b"new"}))
    assert (sources.local(path, near) / "c.jpg").read_bytes() == b"new"
    (near / "photos" / "c.jpg").write_bytes(b"mended")
    path.write_bytes(zipped())
    with pytest.raises(FileExistsError, match=r"its files were changed since.*folder='.*data_2'"):
        sources.local(path, near)
    assert (near / "photos" / "c.jpg").read_bytes() == b"mended"


def test_two_archives_of_one_name(tmp_path: Path, near: Path) -> None:
    """A second source with the same name does not take the first one's place."""
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "photos.zip").write_bytes(zipped())
    folder = sources.local(tmp_path / "one" / "photos.zip", near)
    with pytest.raises(
        FileExistsError, match=r"was made from .*one/photos\.zip, and .*two/photos\.zip has the same name"
    ):
        sources.local(tmp_path / "two" / "photos.zip", near)
    assert contents(folder) == FILES


def test_files_of_others_are_left_alone(tmp_path: Path, near: Path) -> None:
    """A folder with files that were not put there by this package is refused, and told which to choose instead."""
    (near / "photos").mkdir(parents=True)
    (near / "photos" / "mine.jpg").touch()
    (tmp_path / "photos.zip").write_bytes(zipped())
    with pytest.raises(FileExistsError, match=r"there are files here already.*folder='"):
        sources.local(tmp_path / "photos.zip", near)
    assert left(near / "photos") == ["mine.jpg"]


def test_leftovers_of_killed_processes_are_deleted(tmp_path: Path, near: Path) -> None:
    """What a process that was killed while it unpacked left is no data, and does not stay; what others made does."""
    kept = [".photos.v2.abcd1234.part", ".other.abcd1234.part", "photos.abcd1234.part"]
    for name in (".photos.abcd1234.part", ".photos.0a1b.fetched", ".photos.abcd1234.old", *kept):
        (near / name).mkdir(parents=True)
        (near / name / "half.jpg").touch()
    (tmp_path / "photos.zip").write_bytes(zipped())
    sources.local(tmp_path / "photos.zip", near)
    assert left(near) == sorted([*kept, "photos"])


SLOWLY = """
import sys, time
from tfod_helpers import sources
from tfod_helpers.files.archives import unpacking
write = unpacking._write
unpacking._write = lambda *what: (time.sleep(0.02), write(*what))
sources.local(*sys.argv[1:])
"""


def test_process_that_is_killed(tmp_path: Path, near: Path) -> None:
    """A process that is killed while it unpacks leaves nothing that could be taken for whole; the next clears up."""
    files = {f"{number}.jpg": NOISE for number in range(300)}
    (tmp_path / "photos.zip").write_bytes(zipped(files))
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, str(tmp_path / "photos.zip"), str(near)])
    end = time.monotonic() + 60
    while len(list(near.glob(".photos.*.part/*"))) < 10:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (near / "photos").exists()
    assert left(near)
    assert contents(sources.local(tmp_path / "photos.zip", near)) == files
    assert left(near) == ["photos"]


def test_what_is_packed_is_read(shared: Path, tmp_path: Path, near: Path) -> None:
    """A folder in a zip that holds all others is looked into by the formats, and so are TFRecords."""
    photos = sorted((shared / "data" / "asirra" / "test").glob("*.xml"))[:4]
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in photos:
            archive.write(path, f"my photos/pets/{path.name}")
            archive.write(path.with_suffix(".jpg"), f"my photos/pets/{path.stem}.jpg")
    dataset = formats.read(sources.local(tmp_path / "pets.zip", near))
    assert len(dataset) == 4
    from tfod_helpers import records

    made = records.write(dataset, tmp_path / "set" / "train")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(tmp_path / "set", "set")
    folder = sources.local(tmp_path / "set.tar", near)
    assert records.open(folder / "set" / "train").count == made.count
    assert len(formats.read(folder)) == 4


@pytest.mark.parametrize(
    ("name", "data", "what", "fix"),
    [
        ("cut.zip", zipped()[:-40], "it is damaged or cut short", "Copy or download it again"),
        ("page.zip", b"<!doctype html>", "this is a web page, not an archive", "Download it again, from the file's"),
        ("empty.zip", zipped({}), "there are no files in it", "Pack the folder of your photos"),
        ("photos.rar", b"Rar!\x1a\x07", "this is a RAR file", "Unpack it yourself"),
        (
            "a.jpg",
            b"\xff\xd8",
            "this is a single file, and no archive",
            "Give the folder that it is in: sources.local(",
        ),
    ],
)
def test_bad_archive_is_told(name: str, data: bytes, what: str, fix: str, tmp_path: Path, near: Path) -> None:
    """What cannot be unpacked says what it is and what mends it, and leaves nothing behind."""
    (tmp_path / name).write_bytes(data)
    error = refused(tmp_path / name, near)
    assert what in error.what
    assert error.fix.startswith(fix)
    assert error.where == str(tmp_path / name)


def test_folder_with_nothing_but_an_archive(tmp_path: Path, near: Path) -> None:
    """Where the folder of an archive is given, the error has the line with the archive; an empty one says so."""
    folder = tmp_path / "course"
    folder.mkdir()
    assert refused(folder, near).what == "there are no files in this folder"
    (folder / "photos.zip").write_bytes(zipped())
    (folder / "README.md").touch()
    error = refused(folder, near)
    assert error.what == "there are no photos in this folder, but 1 archive"
    assert error.fix == f"Give the archive: sources.local({str(folder / 'photos.zip')!r})"


@pytest.mark.parametrize("where", ["s3://bucket/a.zip", "ftp://host/a.zip?key=secret"])
def test_unknown_address(where: str, near: Path) -> None:
    """An address of a kind that is not known says which are."""
    error = refused(where, near)
    assert "https://, gs:// or kaggle:" in error.fix
    assert "secret" not in str(error)


# --- Drive ----------------------------------------------------------------------------------------


def test_archive_on_drive_is_copied_first(far: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once, from its first byte to its last, unpacked from the copy, and the copy is deleted."""
    (far / "photos.zip").write_bytes(zipped())
    unpacked: list[Path] = []
    unpack = bringing.archives.unpack
    monkeypatch.setattr(
        bringing.archives, "unpack", lambda path, *a, **k: [unpacked.append(path), unpack(path, *a, **k)]
    )
    folder = sources.local(far / "photos.zip", near)
    assert contents(folder) == FILES
    assert not mounts.is_on_network(unpacked[0])
    assert left(near) == ["photos"]
    assert sources.local(far / "photos.zip", near) == folder
    assert len(unpacked) == 1


class Broken(io.FileIO):
    """A file on Drive that answers a few times, and then no more."""

    answers = 0

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes, or Drive's error."""
        if Broken.answers == 0:
            raise OSError(5, "Input/output error")
        Broken.answers -= 1
        return super().read(size)


def test_copy_from_drive_is_gone_on_with(far: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Drive stops to answer, the error says so, and the next call copies only the rest."""
    (far / "photos.zip").write_bytes(zipped())
    monkeypatch.setattr(places, "_PIECE", 1000)
    opened, seeks = Path.open, []

    def open_far(path: Path, mode: str = "r", **options: object) -> object:
        if path == far / "photos.zip" and options.get("buffering") == 0:
            file = Broken(path)
            seeks.append(file)
            return file
        return opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_far)
    Broken.answers = 4
    with pytest.raises(drive.DriveError, match="Drive did not give the file"):
        sources.local(far / "photos.zip", near)
    assert not (near / "photos").exists()
    needed = -(-(len(zipped()) - 4000) // 1000) + 1  # the rest, and the empty reading at the end
    Broken.answers = needed
    assert contents(sources.local(far / "photos.zip", near)) == FILES
    assert Broken.answers == 0
    assert left(near) == ["photos"]


def test_archive_that_is_still_uploaded(far: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is copied is not taken for whole."""
    (far / "photos.zip").write_bytes(zipped())
    stamps = iter([(1, 1), (len(zipped()), 1), (len(zipped()) + 5, 2)])
    monkeypatch.setattr(places.storage, "stamp", lambda _: next(stamps))
    with pytest.raises(SourceError, match=r"it changed while it was copied\. Wait until Drive shows"):
        sources.local(far / "photos.zip", near)
    assert not (near / "photos").exists()


def test_folder_on_drive_is_copied(far: Path, near: Path, tmp_path: Path) -> None:
    """All files come, shortcuts are followed and do not lead in circles, Google's documents are left out."""
    fill(far / "pets", FILES)
    fill(far / "shared", {"c.jpg": b"c"})
    (far / "pets" / "labels.gsheet").write_text("{}")
    (far / "pets" / ".DS_Store").touch()
    (far / "pets" / "theirs").symlink_to(far / "shared")
    (far / "shared" / "back").symlink_to(far / "shared")
    (far / "pets" / "gone").symlink_to(far / "nothing")
    folder = sources.local(far / "pets", near)
    assert contents(folder) == FILES | {"theirs/c.jpg": b"c"}
    assert left(near) == ["pets"]


def fill(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, far: Path) -> list[str]:
    """The names of the files that are copied from Drive."""
    names: list[str] = []
    copyfile = shutil.copyfile

    def counted(source: Path, target: Path, **options: object) -> object:
        if far in Path(source).parents:
            names.append(Path(source).name)
        return copyfile(source, target, **options)

    monkeypatch.setattr(copying.shutil, "copyfile", counted)
    return names


def test_folder_on_drive_that_changed(far: Path, near: Path, copied: list[str]) -> None:
    """Unchanged, nothing is copied; changed, only what did, and what was deleted goes."""
    fill(far / "pets", FILES)
    folder = sources.local(far / "pets", near)
    assert sorted(copied) == ["a.jpg", "a.xml", "b.jpg"]
    assert sources.local(far / "pets", near) == folder
    assert len(copied) == 3
    (far / "pets/test/b.jpg").unlink()
    fill(far / "pets", {"train/a.xml": b"<annotation>new</annotation>", "new/c.jpg": b"c"})
    sources.local(far / "pets", near)
    assert sorted(copied[3:]) == ["a.xml", "c.jpg"]
    assert contents(folder) == contents(far / "pets")
    (folder / "train/a.xml").write_text("mended")
    fill(far / "pets", {"d.jpg": b"d"})
    with pytest.raises(FileExistsError, match="its files were changed"):
        sources.local(far / "pets", near)
    assert (folder / "train/a.xml").read_text() == "mended"


def test_folder_copy_that_was_killed(far: Path, near: Path, copied: list[str]) -> None:
    """What is whole is kept, a half file comes again, and until all are there the folder has no name."""
    fill(far / "pets", FILES)
    staging = near / ".pets.copying"
    fill(staging, {"train/a.jpg": FILES["train/a.jpg"], "train/a.xml": b"<ann", "test/old.jpg": b"old"})
    stat = (far / "pets/train/a.jpg").stat()
    os.utime(staging / "train/a.jpg", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    folder = sources.local(far / "pets", near)
    assert sorted(copied) == ["a.xml", "b.jpg"]
    assert contents(folder) == FILES
    assert left(near) == ["pets"]


def test_error_while_a_folder_is_copied(far: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that Drive does not give is named, and no folder appears."""
    fill(far / "pets", FILES)

    def fails(source: Path, target: Path) -> None:
        raise OSError(107, "Transport endpoint is not connected", str(source))

    monkeypatch.setattr(copying.shutil, "copyfile", fails)
    with pytest.raises(drive.DriveError, match=r"\.(jpg|xml): Drive was mounted and does not answer.*drive\.mount\(\)"):
        sources.local(far / "pets", near)
    assert left(near) == [".pets.copying"]


@pytest.mark.parametrize("name", ["photos.zip", "pets"])
def test_local_disk_that_is_too_small(name: str, far: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The free space is looked at first, and the full disk is not called Drive's."""
    (far / "photos.zip").write_bytes(zipped())
    fill(far / "pets", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100))
    with pytest.raises(OSError, match=r"the disk is full: 0.0 MB are to come, and .* has 0.0 MB free") as caught:
        sources.local(far / name, near)
    assert not isinstance(caught.value, drive.DriveError)


def test_drive_is_mounted_where_a_path_needs_it(tmp_path: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path on Drive mounts it; what is not there is told with what is; the local folder may not lie there."""
    colab = small_colab.install(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError, match=r"MyDrive is empty\. What somebody shared.*shortcut"):
        sources.local(colab.folder / "MyDrive/photos.zip", near)
    assert colab.drive.questions == 1
    (colab.folder / "MyDrive/photos.zip").write_bytes(zipped())
    assert contents(sources.local(colab.folder / "MyDrive/photos.zip", near)) == FILES
    assert colab.drive.questions == 1
    with pytest.raises(ValueError, match=r"on Drive, where training would read.*: folder='/content/data'"):
        sources.local(colab.folder / "MyDrive/photos.zip", colab.folder / "MyDrive/data")


# --- addresses ------------------------------------------------------------------------------------


def test_address_comes_once(server: Server, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An archive behind an address is fetched once; a changed one again; the same one costs a question."""
    server.files["/data/photos.zip"] = zipped()
    folder = sources.local(f"{server.address}/data/photos.zip", near)
    assert folder == near / "photos"
    assert contents(folder) == FILES
    assert left(near) == ["photos"]
    assert sources.local(f"{server.address}/data/photos.zip", near) == folder
    assert len(server.gets()) == 1
    assert "which did not change" in capsys.readouterr().out
    server.files["/data/photos.zip"] = zipped(FILES | {"new.jpg": b"new"})
    assert (sources.local(f"{server.address}/data/photos.zip", near) / "new.jpg").exists()
    assert len(server.gets()) == 2


@pytest.mark.parametrize("why", ["no tag", "offline"])
def test_address_whose_version_is_not_known(
    why: str, server: Server, near: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the server says nothing of versions, or is not there, what came before is kept, and a line says so."""
    server.tags = why != "no tag"
    server.files["/photos.zip"] = zipped()
    address = f"{server.address}/photos.zip"
    folder = sources.local(address, near)
    if why == "offline":
        server.files.clear()
    assert sources.local(address, near) == folder
    assert "it cannot be known whether that changed" in capsys.readouterr().out
    assert len(server.gets()) == 1


def test_download_is_gone_on_with(server: Server, near: Path) -> None:
    """A download that broke off for good is gone on with by the next call, and no half of it is unpacked."""
    data = zipped()
    server.files["/photos.zip"] = data
    server.cut = [3000, 0, 0, 0, 0, 0]
    with pytest.raises(SourceError, match="broke off after"):
        sources.local(f"{server.address}/photos.zip", near)
    assert not (near / "photos").exists()
    server.cut = []
    assert contents(sources.local(f"{server.address}/photos.zip", near)) == FILES
    assert server.gets()[-1].headers["Range"] == "bytes=3000-"
    assert left(near) == ["photos"]


def test_keys_in_addresses_stay_secret(server: Server, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What follows the question mark may be a key, and is in no message and in no file."""
    address = f"{server.address}/ds/export?key={KEY}"
    with pytest.raises(SourceError) as caught:
        sources.local(address, near)
    assert "answers 404" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    server.files["/ds/export"] = zipped()
    folder = sources.local(address, near)
    assert KEY not in str(caught.value) + capsys.readouterr().out + (folder / ".unpacked.json").read_text()
    assert server.gets()[-1].path == f"/ds/export?key={KEY}"


def test_damaged_download_is_fetched_anew(server: Server, near: Path) -> None:
    """An archive that cannot be unpacked is told by its address, and is not gone on with."""
    server.files["/photos.zip"] = zipped()[:-40]
    with pytest.raises(SourceError, match=r"/photos\.zip: it is damaged or cut short"):
        sources.local(f"{server.address}/photos.zip", near)
    assert not left(near)
    server.tags = False  # so that only the name could tell the two apart
    with pytest.raises(SourceError):
        sources.local(f"{server.address}/photos.zip", near)
    server.files["/photos.zip"] = zipped()
    assert contents(sources.local(f"{server.address}/photos.zip", near)) == FILES


DRIVE = "https://drive.usercontent.google.com/download"


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("https://drive.google.com/file/d/1aB_c-9/view?usp=sharing", f"{DRIVE}?id=1aB_c-9&export=download&confirm=t"),
        ("https://drive.google.com/open?id=1aB_c-9", f"{DRIVE}?id=1aB_c-9&export=download&confirm=t"),
        ("https://drive.google.com/uc?export=download&id=1aB", f"{DRIVE}?id=1aB&export=download&confirm=t"),
        (
            "https://drive.google.com/file/d/0B1/view?resourcekey=0-xY",
            f"{DRIVE}?id=0B1&export=download&confirm=t&resourcekey=0-xY",
        ),
        (
            "https://www.dropbox.com/scl/fi/abc/photos.zip?rlkey=k&dl=0",
            "https://www.dropbox.com/scl/fi/abc/photos.zip?rlkey=k&dl=1",
        ),
        ("https://www.dropbox.com/s/abc/photos.zip?raw=1", "https://www.dropbox.com/s/abc/photos.zip?dl=1"),
        ("https://github.com/me/pets/blob/main/photos.zip", "https://github.com/me/pets/raw/main/photos.zip"),
        ("https://github.com/me/pets", "https://github.com/me/pets/archive/HEAD.zip"),
        ("https://github.com/me/pets.git", "https://github.com/me/pets/archive/HEAD.zip"),
        (
            "https://huggingface.co/datasets/me/pets/blob/main/photos.zip",
            "https://huggingface.co/datasets/me/pets/resolve/main/photos.zip",
        ),
        ("https://example.org/photos.zip?a=b%20c", "https://example.org/photos.zip?a=b%20c"),
    ],
)
def test_links_that_people_share(link: str, address: str) -> None:
    """A link to a page becomes the address of the file; any other stays as it is, to the letter."""
    found = links.direct(link)
    assert isinstance(found, links.Link)
    assert found.address == address


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("https://drive.google.com/drive/folders/1aB?usp=sharing", r"a link to a folder on Drive.*drive\.mount\(\) / "),
        ("https://drive.google.com/drive/u/0/folders/1aB", r"a link to a folder on Drive"),
        ("https://docs.google.com/spreadsheets/d/1aB/edit", r"names no archive.*Copy link"),
        ("https://1drv.ms/u/s!abc", r"OneDrive gives its files to browsers only"),
        (
            "https://console.cloud.google.com/storage/browser/_details/pets/photos.zip;tab=live?project=p",
            r"a page of the Cloud console.*sources\.local\('gs://pets/photos\.zip'\)",
        ),
    ],
)
def test_links_that_lead_to_no_file(link: str, told: str, near: Path) -> None:
    """Where it is known that no file can be had, the error says what to do, before anything is asked."""
    with pytest.raises(SourceError, match=told):
        sources.local(link, near)


def test_bucket_in_a_browser() -> None:
    """The address that a browser shows for an object is the object's own."""
    assert links.direct("https://storage.cloud.google.com/pets/my%20photos.zip") == "gs://pets/my photos.zip"


def test_shared_on_google_drive(server: Server, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared file comes without the question about viruses; one that is not shared says how to share it."""
    monkeypatch.setattr(links, "_DRIVE_ADDRESS", f"{server.address}/download")
    server.files["/download"] = zipped()
    folder = sources.local("https://drive.google.com/file/d/1aB_c-9xyz/view", near)
    assert folder.name == "drive-1aB_c-9x"
    assert contents(folder) == FILES
    assert server.gets()[0].path == "/download?id=1aB_c-9xyz&export=download&confirm=t"
    server.answers["/download"] = (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html>Quota exceeded")
    with pytest.raises(SourceError, match=r"sent a web page.*Share, General access, Anyone with the link") as caught:
        sources.local("https://drive.google.com/file/d/other/view", near)
    assert caught.value.where == "https://drive.google.com/file/d/other"


# --- buckets --------------------------------------------------------------------------------------


def test_archive_in_a_bucket(bucket: str, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An archive in a bucket comes once, and again where the object was written anew."""
    storage.write_bytes(f"{bucket}/sets/photos.zip", zipped())
    folder = sources.local(f"{bucket}/sets/photos.zip", near)
    assert folder == near / "photos"
    assert contents(folder) == FILES
    assert sources.local(f"{bucket}/sets/photos.zip", near) == folder
    assert "which did not change" in capsys.readouterr().out
    storage.write_bytes(f"{bucket}/sets/photos.zip", zipped({"c.jpg": b"c" * 5}))
    assert contents(sources.local(f"{bucket}/sets/photos.zip", near)) == {"c.jpg": b"c" * 5}
    with pytest.raises(FileNotFoundError, match="not there"):
        sources.local(f"{bucket}/sets/none.zip", near)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for gs://bucket: a local folder, whose files are copied where their bytes differ."""

    def download_folder(address: str, local: Path) -> None:
        source = tmp_path / address.removeprefix("gs://")
        for name in storage.stamps(address):
            here = local / name
            if not here.exists() or here.read_bytes() != (source / name).read_bytes():
                here.parent.mkdir(parents=True, exist_ok=True)
                with workspace.whole_file(here) as part:
                    part.write_bytes((source / name).read_bytes())

    def stamps(address: str) -> dict[str, tuple[int, int]]:
        found = contents(tmp_path / address.removeprefix("gs://"))
        if not found:
            raise OSError(f"{address}: Cloud Storage did not do it")
        return {name: (len(data), zlib.crc32(data)) for name, data in found.items()}

    monkeypatch.setattr(storage, "download_folder", download_folder, raising=False)
    monkeypatch.setattr(storage, "stamps", stamps)
    fill(tmp_path / "bucket" / "sets" / "pets", FILES)
    return tmp_path / "bucket"


def test_folder_in_a_bucket(there: Path, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of a bucket comes once; where it changed, what did is replaced and what is gone goes."""
    folder = sources.local("gs://bucket/sets/pets/", near)
    assert folder == near / "pets"
    assert contents(folder) == FILES
    kept = (folder / "train/a.jpg").stat().st_ino
    assert sources.local("gs://bucket/sets/pets", near) == folder
    assert "which did not change" in capsys.readouterr().out
    (there / "sets/pets/test/b.jpg").unlink()
    fill(there / "sets/pets", {"train/a.xml": b"<annotatioN/>", "c.jpg": b"c"})  # as long as before
    sources.local("gs://bucket/sets/pets", near)
    assert contents(folder) == contents(there / "sets/pets")
    assert (folder / "train/a.jpg").stat().st_ino == kept
    assert left(near) == ["pets"]
    assert sources.local("gs://bucket", near) == near / "bucket"


def test_folder_of_a_bucket_that_was_worked_in(there: Path, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was fixed here is not overwritten, and another folder of the same name does not take its place."""
    folder = sources.local("gs://bucket/sets/pets", near)
    (folder / "train/a.xml").write_text("fixed")
    assert sources.local("gs://bucket/sets/pets", near) == folder
    assert "there already, from gs://bucket/sets/pets, which did not change" in capsys.readouterr().out
    fill(there / "sets/pets", {"c.jpg": b"c"})
    with pytest.raises(FileExistsError, match=r"its files were changed since .* Choose another folder, or delete"):
        sources.local("gs://bucket/sets/pets", near)
    assert (folder / "train/a.xml").read_text() == "fixed"
    fill(there / "other" / "pets", FILES)
    with pytest.raises(
        FileExistsError, match=r"made from gs://bucket/sets/pets, and gs://bucket/other/pets has the same"
    ):
        sources.local("gs://bucket/other/pets", near)


def test_folder_of_a_bucket_that_does_not_answer(
    there: Path, near: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a network, what is there is kept, and half of a folder is none."""
    download = storage.download_folder

    def breaks_off(address: str, local: Path) -> None:
        fill(local, {"train/a.xml": FILES["train/a.xml"]})
        raise OSError("the network is gone")

    monkeypatch.setattr(storage, "download_folder", breaks_off)
    with pytest.raises(OSError, match="the network is gone"):
        sources.local("gs://bucket/sets/pets", near)
    assert left(near) == [".pets.copying"]
    monkeypatch.setattr(storage, "download_folder", download)
    folder = sources.local("gs://bucket/sets/pets", near)
    monkeypatch.setattr(storage, "stamps", lambda _: breaks_off("", near / "none"))
    assert sources.local("gs://bucket/sets/pets", near) == folder
    assert "it cannot be known whether that changed" in capsys.readouterr().out
    assert contents(folder) == FILES


# --- Kaggle ---------------------------------------------------------------------------------------


def test_public_data_set_needs_no_key(nobody: Server, near: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A data set comes in its newest version, once, and again where there is a newer one."""
    folder = sources.local("kaggle:me/pets", near)
    assert folder == near / "pets"
    assert contents(folder) == FILES
    assert nobody.gets()[-1].path == "/api/v1/datasets/download/me/pets?datasetVersionNumber=3"
    assert not [one for one in nobody.asked if "Authorization" in one.headers]
    assert sources.local("https://www.kaggle.com/datasets/me/pets/data?select=a.jpg", near) == folder
    assert "which did not change" in capsys.readouterr().out
    nobody.answers["/api/v1/datasets/view/me/pets"] = (200, {}, b'{"currentVersionNumber": 4}')
    sources.local("kaggle:me/pets", near)
    assert nobody.gets()[-1].path.endswith("?datasetVersionNumber=4")
    sources.local("kaggle:me/pets/versions/2", near)
    assert nobody.gets()[-1].path.endswith("?datasetVersionNumber=2")
    nobody.answers["/api/v1/datasets/view/me/pets"] = (500, {}, b"")
    assert sources.local("kaggle:me/pets", near) == folder
    assert "it cannot be known whether that changed" in capsys.readouterr().out


BASIC = "Basic " + base64.b64encode(f"me:{KEY}".encode()).decode()


def as_token(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The token in the environment."""
    patch.setenv("KAGGLE_API_TOKEN", f" {KEY}\n")


def as_named_file(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The environment names a file with the token."""
    fill(folder, {"mine": KEY.encode()})
    patch.setenv("KAGGLE_API_TOKEN", str(folder / "mine"))


def as_token_file(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The file that Kaggle's own programs read."""
    fill(folder, {"access_token": f"{KEY}\n".encode()})


def as_pair(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Name and key in the environment."""
    patch.setenv("KAGGLE_USERNAME", "me")
    patch.setenv("KAGGLE_KEY", KEY)


def as_json(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The file kaggle.json."""
    fill(folder, {"kaggle.json": f'{{"username": "me", "key": "{KEY}"}}'.encode()})


@pytest.mark.parametrize(
    ("give", "header"),
    [
        (as_token, f"Bearer {KEY}"),
        (as_named_file, f"Bearer {KEY}"),
        (as_token_file, f"Bearer {KEY}"),
        (as_pair, BASIC),
        (as_json, BASIC),
    ],
)
def test_key_goes_to_kaggle_alone(
    give: Callable[[Path, pytest.MonkeyPatch], None],
    header: str,
    nobody: Server,
    near: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The key is found where people keep it, said to Kaggle, and not to the server that keeps Kaggle's files."""
    give(tmp_path / "kaggle", monkeypatch)
    files = Server(files={"/bucket/archive.zip": zipped()})
    del nobody.files["/api/v1/datasets/download/me/pets"]
    moved = (302, {"Location": f"{files.address}/bucket/archive.zip?signed=yes"}, b"")
    nobody.answers["/api/v1/datasets/download/me/pets"] = moved
    files.cut = [2000]  # so that there is a second attempt, which must be as careful
    assert contents(sources.local("kaggle:me/pets", near)) == FILES
    files.stop()
    assert [one.headers.get("Authorization") for one in nobody.asked] == [header] * 3
    assert [one.headers.get("Range") for one in files.asked] == [None, "bytes=2000-"]
    assert not [one for one in files.asked if "Authorization" in one.headers]
    assert KEY not in capsys.readouterr().out


def test_key_among_the_secrets_of_colab(
    nobody: Server, near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In Colab the secrets are asked; one that the notebook may not read is told."""
    colab = small_colab.install(tmp_path, monkeypatch)
    colab.userdata.closed = {"KAGGLE_API_TOKEN"}
    sources.local("kaggle:me/pets", near)
    assert "Switch on 'Notebook access'" in capsys.readouterr().out
    assert "Authorization" not in nobody.asked[-1].headers
    colab.userdata.closed, colab.userdata.secrets = set(), {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": f"{KEY}\n"}
    sources.local("kaggle:me/pets", near)
    assert nobody.asked[-1].headers["Authorization"] == BASIC
    colab.userdata.secrets["KAGGLE_API_TOKEN"] = KEY
    sources.local("kaggle:me/pets", near)
    assert nobody.asked[-1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("status", "signed", "told"),
    [
        (401, False, r"to those only who are signed in\. Make a token at .*/settings/api.*KAGGLE_API_TOKEN"),
        (403, False, r"to those only who are signed in"),
        (401, True, r"does not know the key that it was given\. Make a token"),
        (403, True, r"whose terms you did not accept\. Open .*/datasets/me/pets, press Download once"),
        (404, True, r"there is no such data set on Kaggle\. Compare the name"),
    ],
)
@pytest.mark.parametrize("place", ["view", "download"])
def test_what_kaggle_refuses_is_told(
    place: str, status: int, signed: bool, told: str, nobody: Server, near: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each refusal says what to do, with the page to open, and never with the key."""
    if signed:
        monkeypatch.setenv("KAGGLE_API_TOKEN", KEY)
    nobody.answers[f"/api/v1/datasets/{place}/me/pets"] = (status, {}, b"")
    with pytest.raises(SourceError, match=told) as caught:
        sources.local("kaggle:me/pets", near)
    assert caught.value.where == "kaggle:me/pets"
    assert KEY not in str(caught.value)
    assert not (near / "pets").exists()


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("kaggle:pets", r"no name of a data set.*sources\.local\('kaggle:owner/name'\)"),
        ("kaggle:me/../pets", "no name of a data set"),
        ("https://www.kaggle.com/competitions/dogs-vs-cats", "competitions are not brought"),
    ],
)
def test_what_is_no_data_set_on_kaggle(where: str, told: str, near: Path) -> None:
    """A name that cannot be one is told before anything is asked."""
    with pytest.raises(SourceError, match=told):
        sources.local(where, near)


def test_file_of_kaggle_that_is_damaged(nobody: Server, near: Path, tmp_path: Path) -> None:
    """A kaggle.json that is none is named, and what is in it is not."""
    fill(tmp_path / "kaggle", {"kaggle.json": f'{{"key": "{KEY}"'.encode()})
    with pytest.raises(SourceError, match=r"kaggle\.json: this is not the file that Kaggle makes") as caught:
        sources.local("kaggle:me/pets", near)
    assert KEY not in str(caught.value)
    assert caught.value.__suppress_context__


# --- the browser ----------------------------------------------------------------------------------


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Colab:
    """This machine as Colab."""
    monkeypatch.chdir(tmp_path)
    return small_colab.install(tmp_path, monkeypatch)


IN_PARTS = {f"p-20261129T101010Z-00{n}.zip": zipped({name: data}) for n, (name, data) in enumerate(FILES.items(), 1)}


@pytest.mark.parametrize("given", [*IN_PARTS, ""])
@pytest.mark.parametrize("place", ["here", "drive", "bucket"])
def test_download_in_parts(given: str, place: str, tmp_path: Path, near: Path, request: pytest.FixtureRequest) -> None:
    """Given one of Drive's parts or the folder that they are in, all are taken together, wherever they are."""
    if place == "bucket":
        address = f"{request.getfixturevalue('bucket')}/sets"
        for name, data in IN_PARTS.items():
            storage.write_bytes(f"{address}/{name}", data)
        where: str | Path = f"{address}/{given or next(iter(IN_PARTS))}"
    else:
        folder = request.getfixturevalue("far") if place == "drive" else tmp_path / "down"
        fill(folder, IN_PARTS)
        where = folder / given
    for _ in range(2):
        found = sources.local(where, near)
        assert found == near / "p-20261129T101010Z"
        assert contents(found) == FILES
    assert left(near) == ["p-20261129T101010Z"]
    if place != "bucket":
        (folder / next(iter(IN_PARTS))).unlink()
        with pytest.raises(SourceError, match=r"others are missing: p-20261129T101010Z-001\.zip"):
            sources.local(folder / list(IN_PARTS)[1], near)


@pytest.mark.parametrize(
    "chosen",
    [{"my photos (1).zip": zipped()}, {"a.jpg": b"a", "a.xml": b"<a/>"}, IN_PARTS],
    ids=["zip", "files", "parts"],
)
def test_upload(chosen: dict[str, bytes], colab: Colab, near: Path, tmp_path: Path) -> None:
    """One archive is unpacked, other files are taken as they are; a second run of the cell does not ask again."""
    colab.files.chosen = chosen
    before = left(tmp_path)
    for _ in range(2):
        folder = sources.local("upload", near)
        assert folder == near / "upload"
        assert contents(folder) == (chosen if "a.jpg" in chosen else FILES)
    assert colab.files.asked == 1
    assert left(near) == ["upload"]
    assert left(tmp_path) == sorted([*before, "data"])


def test_upload_that_fails(colab: Colab, near: Path) -> None:
    """Nothing chosen, a mixture, a closed tab and a file that is damaged are told, and nothing is left."""
    assert refused("upload", near).what == "no file was chosen"
    colab.files.chosen = {"a.zip": zipped(), "b.jpg": b"b"}
    assert refused("upload", near).what == "it was uploaded together with other files"
    colab.files.chosen = {"a.zip": b"PK\x03\x04"}
    assert "damaged or cut short" in refused("upload", near).what
    colab.files.fails = colab.message_error("the tab is closed")
    assert "the browser did not send the files (MessageError: the tab is closed)" in refused("upload", near).what


def test_upload_elsewhere(near: Path) -> None:
    """Only Colab can ask for files; elsewhere a path is asked for."""
    assert refused("upload", near).fix.startswith("Give the path of the archive or folder: sources.local(")
