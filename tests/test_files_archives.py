"""archives: what is packed well comes out as it was, and nothing leaves the folder or fills the disk."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfod_helpers.files import archives, workspace
from tfod_helpers.files.archives import entries, unpacking

FILES = {"photos/a.jpg": b"\xff\xd8 a", "photos/ação cão (1).jpg": os.urandom(3000), "labels/猫.xml": b"<a/>" * 50}
NO_TRUST, AGAIN = "Do not use this archive.", "Copy or download it again."


def zipped(path: Path, files: dict[str, bytes] = FILES, **options: object) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in options.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return path


def tarred(path: Path, files: dict[str, bytes] = FILES, how: str = "w", **options: object) -> Path:
    """Write a tar."""
    with tarfile.open(path, how) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in options.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, without the mark that says what it was made from."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / ".unpacked.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(path: Path) -> str:
    """Why an archive is refused, and that nothing was written for it."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(archives.ArchiveError) as caught:
        archives.unpack(path)
    assert sorted(path.parent.rglob("*")) == before
    assert str(caught.value) == f"{path}: {caught.value.what}. {caught.value.fix}"
    return f"{caught.value.what}. {caught.value.fix}"


PACKED: dict[str, Callable[[Path], Path]] = {
    "p.zip": zipped,
    "p.tar": tarred,
    "p.tar.gz": lambda path: tarred(path, how="w:gz"),
    "p.TGZ": lambda path: tarred(path, how="w:gz"),
    "p.tar.bz2": lambda path: tarred(path, how="w:bz2"),
    "p.tar.xz": lambda path: tarred(path, how="w:xz"),
}


@pytest.mark.parametrize("name", PACKED)
def test_every_sort_of_archive(name: str, tmp_path: Path) -> None:
    """Each file comes out byte for byte, in a folder of the archive's name."""
    folder = archives.unpack(PACKED[name](tmp_path / name))
    assert folder == tmp_path / "p"
    assert contents(folder) == FILES
    assert archives.is_archive(tmp_path / name)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_of_every_age(format: int, tmp_path: Path) -> None:
    """The three ways in which tars keep long names are read."""
    long = f"{'folder' * 20}/{'photo' * 15}.jpg"
    with tarfile.open(tmp_path / "p.tar", "w", format=format) as archive:
        info = tarfile.TarInfo(long)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"jpg"))
    assert contents(archives.unpack(tmp_path / "p.tar")) == {long: b"jpg"}


def test_bytes_decide_what_an_archive_is(tmp_path: Path) -> None:
    """A tar.gz that is called zip, as some servers do, is unpacked too."""
    tarred(tmp_path / "p.tar.gz", how="w:gz").rename(tmp_path / "p.zip")
    assert contents(archives.unpack(tmp_path / "p.zip")) == FILES


def test_into_a_folder_of_choice(tmp_path: Path) -> None:
    """The folder may be named, and be made with those above it, or be there and empty."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new/photos", tmp_path / "empty"):
        assert archives.unpack(zipped(tmp_path / "p.zip"), folder) == folder
        assert contents(folder) == FILES


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "\\evil", "..\\evil", "a\\..\\..\\evil", "C:evil", "c:\\evil", "//evil", ".."],
)
def test_path_out_of_the_folder(name: str, pack: Callable[..., Path], tmp_path: Path) -> None:
    """A name that leads out of the folder, on any system, is refused, and what came before it is not there."""
    (tmp_path / "in").mkdir()
    path = pack(tmp_path / "in/p.zip", FILES | {name: b"evil"})
    assert f"{name!r} would be written outside of the folder. {NO_TRUST}" == refused(path)
    assert [child.name for child in tmp_path.iterdir()] == ["in"]


def test_backslashes_are_folders(tmp_path: Path) -> None:
    """Old Windows programs wrote backslashes; they divide folders on every system."""
    assert contents(archives.unpack(zipped(tmp_path / "p.zip", {"photos\\a.jpg": b"1"}))) == {"photos/a.jpg": b"1"}


def test_dots_in_paths_are_nothing(tmp_path: Path) -> None:
    """A tar made of "." has ./ before each name."""
    assert contents(archives.unpack(tarred(tmp_path / "p.tar", {"./a.jpg": b"1", "./b/./c.jpg": b"2"}))) == {
        "a.jpg": b"1",
        "b/c.jpg": b"2",
    }


def raw_named_zip(path: Path, name: bytes, flags: int) -> Path:
    """A zip whose one name is these bytes, which Python's own writer would not write."""
    zipped(path, {"N" * len(name): b"jpg"})
    data = path.read_bytes().replace(b"N" * len(name), name)
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(magic) + place
        data = data[:start] + struct.pack("<H", flags) + data[start + 2 :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("ação.jpg".encode(), 0x800, "ação.jpg"),
        ("ação.jpg".encode(), 0, "ação.jpg"),  # macOS: UTF-8, and does not say so
        ("猫.jpg".encode(), 0, "猫.jpg"),
        ("ação.jpg".encode("cp437", "replace"), 0, "aç?o.jpg"),
        ("Größe.jpg".encode("cp437"), 0, "Größe.jpg"),  # the zip format's own
    ],
)
def test_names_in_zips(name: bytes, flags: int, expected: str, tmp_path: Path) -> None:
    """Names are read as what they are, UTF-8 or the old DOS letters."""
    assert contents(archives.unpack(raw_named_zip(tmp_path / "p.zip", name, flags))) == {expected: b"jpg"}


def old_zip(path: Path, letters: str, text: str, names: list[str]) -> Path:
    """A zip as old programs wrote them: names in their own letters, and no word about which these are."""
    raw = [name.encode(letters) for name in names]
    assert all(len(name) < 100 for name in raw)
    stand_ins = [f"{number:02}".encode() * 60 for number in range(len(raw))]
    data = zipped(
        path,
        {one[: len(name)].decode(): name for one, name in zip(stand_ins, raw, strict=True)}
        | {"all.xml": text.encode()},
    )
    whole = data.read_bytes()
    for one, name in zip(stand_ins, raw, strict=True):
        whole = whole.replace(one[: len(name)], name)
    path.write_bytes(whole)
    return path


PEOPLE = {
    "cp866": ["Кошка 1.jpg", "Фото/Собака.jpg"],
    "cp1251": ["Кошка 1.jpg", "Фото/Собака.jpg"],
    "cp932": ["ネコ表.jpg", "写真/イヌ.jpg"],
    "gb18030": ["小猫.jpg", "照片/大狗.jpg"],
    "cp949": ["고양이.jpg", "사진/강아지.jpg"],
    "cp850": ["ação.jpg", "Fotos/cão ãõ.jpg"],
    "cp437": ["Größe.jpg", "Fotos/ñandú.jpg"],
}


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("letters", PEOPLE)
def test_names_in_old_letters(letters: str, escaped: bool, tmp_path: Path) -> None:
    """Old zips do not say in which letters their names are; those in which the annotations name them are right."""
    names = PEOPLE[letters]
    text = json.dumps(names) if escaped else "".join(f"<filename>{name}</filename>" for name in names)
    found = contents(archives.unpack(old_zip(tmp_path / "p.zip", letters, text, names)))
    assert found.keys() == {*names, "all.xml"}
    assert all(found[name] == name.encode(letters) for name in names)


def test_names_in_old_letters_that_nothing_proves(tmp_path: Path) -> None:
    """Where no annotation names the photos, their names are read as the zip format says, and no letter is guessed."""
    names = ["Кошка.jpg"]
    found = contents(archives.unpack(old_zip(tmp_path / "p.zip", "cp866", "<a/>", names)))
    assert found.keys() == {"Кошка.jpg".encode("cp866").decode("cp437"), "all.xml"}


@pytest.mark.parametrize("sum_is_right", [True, False])
def test_name_in_utf_8_beside_the_old_one(sum_is_right: bool, tmp_path: Path) -> None:
    """A zip may have the name in UTF-8 in a field of its own, which counts where it belongs to the old name."""
    raw = "Кошка.jpg".encode("cp866")
    field = struct.pack("<BL", 1, zlib.crc32(raw) + (not sum_is_right)) + "Кошка.jpg".encode()
    path = tmp_path / "p.zip"
    zipped(path, {"N" * len(raw): b"jpg"}, extra=struct.pack("<HH", 0x7075, len(field)) + field)
    path.write_bytes(path.read_bytes().replace(b"N" * len(raw), raw))
    expected = "Кошка.jpg" if sum_is_right else raw.decode("cp437")
    assert contents(archives.unpack(path)) == {expected: b"jpg"}


def test_names_in_tars(tmp_path: Path) -> None:
    """A name that is no UTF-8 comes out as text that can be printed and written into a file."""
    with tarfile.open(tmp_path / "p.tar", "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("ação.jpg")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"jpg"))
    assert contents(archives.unpack(tmp_path / "p.tar")) == {"ação.jpg": b"jpg"}


def test_files_of_the_system_are_left_out(tmp_path: Path) -> None:
    """What macOS and Windows put into archives is no part of the data."""
    extra = dict.fromkeys(["__MACOSX/photos/._a.jpg", "photos/._a.jpg", ".DS_Store", "Thumbs.db", "x/Icon\r"], b"x")
    assert contents(archives.unpack(zipped(tmp_path / "p.zip", extra | FILES))) == FILES


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([("a.jpg", b"1"), ("a.jpg", b"2")], "it holds 'a.jpg' twice. Pack it again."),
        ([("a.jpg", b"1"), ("./a.jpg", b"2")], "it holds 'a.jpg' twice. Pack it again."),
        ([("a", b"1"), ("a/b", b"2")], "'a' in it is a file and a folder. Pack it again."),
        ([("a/b/c", b"1"), ("a/b", b"2")], "'a/b' in it is a file and a folder. Pack it again."),
        ([("n" * 300, b"1")], f"it holds a name of 300 characters, '{'n' * 40}'.... Pack it with shorter names."),
        (
            [("n/" * 900 + "a", b"1")],
            f"it holds a name of 1801 characters, '{'n/' * 20}'.... Pack it with shorter names.",
        ),
        ([("猫" * 100, b"1")], f"it holds a name of 100 characters, '{'猫' * 40}'.... Pack it with shorter names."),
        ([], "there are no files in it. Pack the folder of your photos and annotations."),
        ([("._a.jpg", b"1")], "there are no files in it. Pack the folder of your photos and annotations."),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_no_folder_can_have(files: list[tuple[str, bytes]], told: str, tmp_path: Path) -> None:
    """Names that cannot be side by side, or on a disk at all, are refused before anything is written."""
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    assert refused(tmp_path / "p.zip") == told


# --- links, devices, bombs ----------------------------------------------------------------------


@pytest.mark.parametrize("type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars(type: bytes, tmp_path: Path) -> None:
    """A link, hard or soft, and a device are refused, wherever they lead."""
    path = tarred(tmp_path / "p.tar", {"link": b""}, type=type, linkname="/etc/passwd")
    assert refused(path) == f"'link' is a link or a device, not a file. {NO_TRUST}"


def test_links_in_zips(tmp_path: Path) -> None:
    """A zip keeps links as files with a mark, and they are refused."""
    path = zipped(tmp_path / "p.zip", {"link": b"/etc/passwd"}, create_system=3, external_attr=0o120777 << 16)
    assert refused(path) == f"'link' is a link or a device, not a file. {NO_TRUST}"


def test_modes_are_not_kept(tmp_path: Path) -> None:
    """A file that is packed as one that runs, as its owner, comes out as a plain file."""
    path = tarred(tmp_path / "p.tar", {"run.sh": b"#!/bin/sh"}, "w", mode=0o6777)
    assert (archives.unpack(path) / "run.sh").stat().st_mode & 0o7111 == 0


ZEROS = bytes(1 << 20)


@pytest.mark.parametrize("pack", ["zip", "gz", "bz2", "xz"])
def test_bomb(pack: str, tmp_path: Path) -> None:
    """A few bytes that would unfold to hundreds of megabytes are refused before they do."""
    path = tmp_path / "p.zip"
    if pack == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
            for _ in range(110):
                file.write(ZEROS)
    else:
        head = tarfile.TarInfo("zeros")
        head.size = 110 << 20
        opener = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[pack]
        with opener(path, "wb") as file:
            file.write(head.tobuf())
            for _ in range(3):  # it says 110, which is enough to be refused
                file.write(ZEROS)
    assert "MB would unfold to 115 MB or more, as no set of photos does. " + NO_TRUST in refused(path)


def test_many_small_bombs_with_the_same_bytes(tmp_path: Path) -> None:
    """Entries that share their bytes, which make a zip bomb of any size, are counted one by one."""
    whole = zipped(tmp_path / "p.zip", {"0000": bytes(1 << 20)}).read_bytes()
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    entry = whole[start:end]
    many = b"".join(entry.replace(b"0000", b"%04d" % number) for number in range(200))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 200, 200, len(many), start, 0)
    (tmp_path / "p.zip").write_bytes(whole[:start] + many + tail)
    assert "MB would unfold to 101 MB or more" in refused(tmp_path / "p.zip")


def test_headers_that_take_memory(tmp_path: Path) -> None:
    """A tar may keep a name of gigabytes in a header, and reading it would take as much memory."""
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, 3 << 30
    with gzip.open(tmp_path / "p.tar.gz", "wb") as file:
        file.write(head.tobuf())
        file.write(ZEROS)
    told = "its headers would unfold to more than those of photos do. " + NO_TRUST
    assert refused(tmp_path / "p.tar.gz") == told
    head.size = 15 << 20  # each is small enough, and there are many
    with gzip.open(tmp_path / "p.tar.gz", "wb", compresslevel=1) as file:
        for _ in range(12):
            file.write(head.tobuf())
            file.write(b"20 comment=" + b"x" * 8 + b"\n" + bytes(head.size - 20))
    assert told in refused(tmp_path / "p.tar.gz")


def test_zip_that_lies_about_sizes(tmp_path: Path) -> None:
    """A file that is larger or smaller than its entry says is refused, and nothing of the archive stays."""
    data = zipped(tmp_path / "p.zip", {"a.jpg": b"x" * 1000}).read_bytes()
    for size in (10, 2000):
        (tmp_path / "p.zip").write_bytes(data.replace(struct.pack("<L", 1000), struct.pack("<L", size)))
        assert refused(tmp_path / "p.zip").endswith(AGAIN)


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of empty files would use up the disk's directory, and are refused by their number."""
    monkeypatch.setattr(entries, "_MOST_ENTRIES", 20)
    path = zipped(tmp_path / "p.zip", {f"{number}.txt": b"" for number in range(21)})
    assert refused(path) == f"it holds more than 20 files, as no set of photos does. {NO_TRUST}"


def test_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit is refused with both numbers, before anything is written."""
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(workspace.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        OSError,
        match=r"p\.zip: the disk is full: 0.0 MB are to come, and .* has 0.0 MB free",
    ):
        archives.unpack(zipped(tmp_path / "p.zip"))
    assert [path.name for path in tmp_path.iterdir()] == ["p.zip"]


# --- archives in archives -----------------------------------------------------------------------


def inside(tmp_path: Path, pack: Callable[..., Path] = zipped, **files: object) -> bytes:
    """The bytes of an archive, to be packed into another."""
    path = pack(tmp_path / "inner", **files)
    data = path.read_bytes()
    path.unlink()
    return data


def test_archives_in_an_archive(tmp_path: Path) -> None:
    """Where an archive holds no photo but archives, these are unpacked in their places, and are gone."""
    packed = {"set/train.zip": inside(tmp_path), "set/test.tar": inside(tmp_path, tarred), "set/README.md": b"read"}
    expected = {f"set/{part}/{name}": data for part in ("train", "test") for name, data in FILES.items()}
    for _ in range(2):
        assert contents(archives.unpack(zipped(tmp_path / "p.zip", packed))) == expected | {"set/README.md": b"read"}


def test_archive_beside_photos_stays_one(tmp_path: Path) -> None:
    """Beside photos an archive is somebody's own matter, such as an older copy of the annotations."""
    packed = FILES | {"old.zip": inside(tmp_path)}
    assert contents(archives.unpack(zipped(tmp_path / "p.zip", packed))) == packed


def test_archive_in_an_archive_that_is_refused(tmp_path: Path) -> None:
    """What is wrong with the inner archive is told of the outer one, and nothing is unpacked."""
    evil = inside(tmp_path, files={"../evil": b"evil"})
    told = f"'a/b.zip' in it is an archive too: '../evil' would be written outside of the folder. {NO_TRUST}"
    assert refused(zipped(tmp_path / "p.zip", {"a/b.zip": evil})) == told
    twice = {"a/b.zip": inside(tmp_path), "a/b.tar": inside(tmp_path, tarred)}
    told = "'a/b.tar' in it is an archive too: beside it is 'b' already. Pack it again."
    assert refused(zipped(tmp_path / "p.zip", twice)) == told


def test_bomb_in_an_archive(tmp_path: Path) -> None:
    """All inner archives together may unfold to no more than the outer one may."""
    inner = inside(tmp_path, files={"zeros": bytes(40 << 20)})
    assert len(inner) < 100_000
    path = zipped(tmp_path / "p.zip", {f"{number}.zip": inner for number in range(3)})
    assert "'2.zip' in it is an archive too: its 0.0 MB would unfold to 42 MB or more" in refused(path)


def test_archive_in_an_archive_in_an_archive(tmp_path: Path) -> None:
    """What is packed three times stays packed."""
    inner = inside(tmp_path, files={"c.zip": inside(tmp_path)})
    assert contents(archives.unpack(zipped(tmp_path / "p.zip", {"b.zip": inner}))).keys() == {"b/c.zip"}


def test_disk_that_becomes_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others fill the disk meanwhile, the error says so, and nothing stays."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(unpacking, "_write", full)
    with pytest.raises(OSError, match=r"p\.zip: the disk is full: .* MB free\. Free some space"):
        archives.unpack(zipped(tmp_path / "p.zip"))
    assert [path.name for path in tmp_path.iterdir()] == ["p.zip"]


def test_folder_made_from_a_copy(tmp_path: Path) -> None:
    """The caller may say what a folder is made from; as long as it says the same, it is kept."""
    path = zipped(tmp_path / "p.zip")
    folder = archives.unpack(path, origin={"from": "https://somewhere", "version": [1, "a"]})
    (folder / "mine.txt").touch()
    zipped(path, {"other.jpg": b"1"})
    archives.unpack(path, origin={"from": "https://somewhere", "version": [1, "a"]})
    assert (folder / "mine.txt").exists()
    with pytest.raises(FileExistsError, match="its files were changed"):
        archives.unpack(path, origin={"from": "https://somewhere", "version": [2, "a"]})


# --- archives that cannot be read ---------------------------------------------------------------


def test_password(tmp_path: Path) -> None:
    """A zip with a password says so."""
    data = bytearray(zipped(tmp_path / "p.zip", {"a.jpg": b"1"}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "p.zip").write_bytes(data)
    assert refused(tmp_path / "p.zip") == "it has a password. Unpack it yourself, and give the folder."


def test_compression_that_python_does_not_know(tmp_path: Path) -> None:
    """Windows packs what is above 2 GB with Deflate64."""
    data = bytearray(zipped(tmp_path / "p.zip", {"a.jpg": b"1"}).read_bytes())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 9
    (tmp_path / "p.zip").write_bytes(data)
    assert "it is packed in a way that cannot be unpacked here (" in refused(tmp_path / "p.zip")
    assert "Unpack it yourself, and give the folder." in refused(tmp_path / "p.zip")


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("p.zip", b"", f"the file is empty. {AGAIN}"),
        ("p.zip", b"<!DOCTYPE html><p>404", "this is a web page, not an archive. Download it again, from the file's"),
        (
            "p.zip",
            b"version https://git-lfs.github",
            "this is no zip or tar file, it starts with b'version https://'",
        ),
        (
            "p.rar",
            b"Rar!\x1a\x07\x01",
            "this is a RAR file. Unpack it yourself and give the folder, or pack it as",
        ),
        ("p.7z", b"7z\xbc\xaf\x27\x1c", "this is a 7z file. Unpack it yourself and give the folder, or pack it as"),
        ("p.tar.zst", b"\x28\xb5\x2f\xfd", "this is a Zstandard file. Unpack it yourself and give the folder"),
        *(
            (
                name,
                b"PK\x03\x04" + bytes(50),
                "this is a volume of an archive that was split into several files. Put all",
            )
            for name in ("p.zip.001", "p.z01", "p.part1.rar", "p.7z.002", "p.tar.gz.aa", "p.r00", "p.zip.part-ab")
        ),
        ("p.zip", b"PK\x05\x06\x01\x00" + bytes(16), "this is a volume of an archive that was split into several"),
        ("p.zip.crdownload", b"PK\x03\x04", "this is a download that was not finished. Wait for its end"),
        ("p.tar.gz", b"\x1f\x8b" + bytes(50), "it is damaged or cut short ("),
        (
            "p.tar.gz",
            gzip.compress(b"a text " * 200, mtime=0),
            "it is damaged or cut short (invalid header). Copy or download",
        ),
        ("p.zip", b"PK\x03\x04" + bytes(50), "it is damaged or cut short (File is not a zip file). Copy or download"),
        (
            "p.zip",
            b"PK\x05\x06" + bytes(18),
            "there are no files in it. Pack the folder of your photos and annotations",
        ),
    ],
)
def test_no_archive(name: str, data: bytes, told: str, tmp_path: Path) -> None:
    """What is no archive is called by its name."""
    (tmp_path / name).write_bytes(data)
    assert archives.is_archive(name)
    assert refused(tmp_path / name).startswith(told)


@pytest.mark.parametrize("name", PACKED)
def test_cut_short(name: str, tmp_path: Path) -> None:
    """An archive that is cut anywhere is refused, and nothing of it stays."""
    whole = PACKED[name](tmp_path / name).read_bytes()
    if name == "p.tar":
        whole = whole.rstrip(b"\0")  # the zeros at its end are more than it needs
    places = {1, 5, 100, 512, 1024, 1536, len(whole) // 2, len(whole) - 1} & set(range(len(whole)))
    for place in sorted(places):
        (tmp_path / name).write_bytes(whole[:place])
        assert refused(tmp_path / name), place


def test_header_that_is_damaged_is_not_taken_for_the_end(tmp_path: Path) -> None:
    """A tar whose second header is damaged is refused, although the first file in it is whole."""
    data = bytearray(tarred(tmp_path / "p.tar", {"a.jpg": b"1", "b.jpg": b"2"}).read_bytes())
    data[1024 + 3] ^= 0xFF
    (tmp_path / "p.tar").write_bytes(data)
    assert refused(tmp_path / "p.tar") == f"it is cut short or damaged, its end is missing. {AGAIN}"


FUZZ = settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tar.gz"])
@FUZZ
@given(changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_anywhere(name: str, changes: list[tuple[float, int]], tmp_path: Path) -> None:
    """Whatever bytes are changed, it is unpacked or refused by name, and stays in its folder."""
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    data = bytearray(PACKED[name](folder / name).read_bytes())
    for place, value in changes:
        data[int(place * len(data))] = value
    (folder / name).write_bytes(data)
    try:
        unpacked = archives.unpack(folder / name)
        assert all(unpacked in path.parents for path in unpacked.rglob("*"))
        for path in sorted(unpacked.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        unpacked.rmdir()
        told = f"{folder / name}: "
    except archives.ArchiveError as error:
        told = str(error)
    assert told.startswith(f"{folder / name}: ")
    assert [path.name for path in folder.iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# --- a folder that is there already -------------------------------------------------------------


def test_unchanged_archive_is_not_unpacked_again(tmp_path: Path) -> None:
    """The second call leaves the folder as it is, corrections of its labels included."""
    folder = archives.unpack(zipped(tmp_path / "p.zip"))
    (folder / "labels/猫.xml").write_bytes(b"corrected")
    (folder / "photos/a.jpg").unlink()
    assert archives.unpack(tmp_path / "p.zip") == folder
    assert contents(folder).keys() == FILES.keys() - {"photos/a.jpg"}
    assert contents(folder)["labels/猫.xml"] == b"corrected"


def test_new_archive_replaces_what_nobody_touched(tmp_path: Path) -> None:
    """A folder that is as it was unpacked is made anew from a new archive, and nothing of the old one stays."""
    archives.unpack(zipped(tmp_path / "p.zip"))
    folder = archives.unpack(zipped(tmp_path / "p.zip", {"new.jpg": b"1"}))
    assert contents(folder) == {"new.jpg": b"1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "p.zip"]


@pytest.mark.parametrize("change", ["add", "delete", "edit"])
def test_work_in_the_folder_is_never_lost(change: str, tmp_path: Path) -> None:
    """Where the folder was changed and the archive too, both stay, and the person decides."""
    folder = archives.unpack(zipped(tmp_path / "p.zip"))
    if change == "add":
        (folder / "my.xml").write_bytes(b"1")
    elif change == "delete":
        (folder / "photos/a.jpg").unlink()
    else:
        (folder / "photos/a.jpg").write_bytes(b"\xff\xd8 b")
        os.utime(folder / "photos/a.jpg", ns=(0, 0))
    before = contents(folder)
    zipped(tmp_path / "p.zip", {"new.jpg": b"1"})
    with pytest.raises(FileExistsError, match=r"files were changed since .*, and it would be made anew from p\.zip"):
        archives.unpack(tmp_path / "p.zip")
    assert contents(folder) == before


def test_folder_of_somebody_else_stays(tmp_path: Path) -> None:
    """A folder or file that did not come from an archive is never replaced."""
    zipped(tmp_path / "p.zip")
    (tmp_path / "p").write_bytes(b"a file")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        archives.unpack(tmp_path / "p.zip")
    (tmp_path / "p").unlink()
    (tmp_path / "p").mkdir()
    (tmp_path / "p/mine.jpg").write_bytes(b"1")
    with pytest.raises(FileExistsError, match=r"there are files here already\. Choose another folder for p\.zip"):
        archives.unpack(tmp_path / "p.zip")
    assert contents(tmp_path / "p") == {"mine.jpg": b"1"}


def test_archive_cannot_bring_its_own_mark(tmp_path: Path) -> None:
    """A file in the archive that looks as the mark of an unpacked folder is left out."""
    folder = archives.unpack(zipped(tmp_path / "p.zip", {".unpacked.json": b"{}", "a.jpg": b"1"}))
    assert contents(folder) == {"a.jpg": b"1"}
    assert archives.unpack(tmp_path / "p.zip") == folder


def test_archive_that_is_not_there(tmp_path: Path) -> None:
    """A missing path says so."""
    with pytest.raises(FileNotFoundError, match=r"p\.zip: there is no such archive. Check the path."):
        archives.unpack(tmp_path / "p.zip")
    assert not archives.is_archive("photos.record.gz")
    assert not archives.is_archive("labels.json")


# --- downloads in parts ---------------------------------------------------------------------------

STAMPS = ("photos-20261129T101010Z-{:03d}.zip", "photos-20261129T101010Z-3-{:03d}.zip", "photos-{:03d}.zip")


@pytest.mark.parametrize("name", STAMPS)
def test_parts_of_a_download_are_one(name: str, tmp_path: Path) -> None:
    """Whichever part is given, all are unpacked into one folder; the same file in two of them is there once."""
    zipped(tmp_path / name.format(1), {"p/a.jpg": b"a", "p/list.txt": b"both"})
    zipped(tmp_path / name.format(2), {"p/b.jpg": b"b", "p/list.txt": b"both"})
    zipped(tmp_path / name.format(2).replace(".zip", " (1).zip"), {"p/b.jpg": b"b"})
    for number in (1, 2):
        folder = archives.unpack(tmp_path / name.format(number))
        assert folder == tmp_path / name.partition("-{")[0]
        assert contents(folder) == {"p/a.jpg": b"a", "p/b.jpg": b"b", "p/list.txt": b"both"}
        assert archives.download_in(tmp_path) == tmp_path / name.format(1)
    (tmp_path / "other.jpg").touch()
    assert archives.download_in(tmp_path) is None


@pytest.mark.parametrize("name", STAMPS)
def test_a_part_that_is_missing(name: str, tmp_path: Path) -> None:
    """A number that is not there is named, and nothing is unpacked."""
    for number in (1, 4):
        zipped(tmp_path / name.format(number))
    told = f"others are missing: {name.format(2)}, {name.format(3)}. Download them again, into the same folder."
    with pytest.raises(archives.ArchiveError, match=re.escape(told)):
        archives.unpack(tmp_path / name.format(4))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("other", ["p/a.jpg", "p", "p/a.jpg/b"])
def test_parts_that_contradict_each_other(other: str, tmp_path: Path) -> None:
    """Two parts that hold another file under one name, or a file and a folder, are an error."""
    zipped(tmp_path / STAMPS[0].format(1), {"p/a.jpg": b"a"})
    zipped(tmp_path / STAMPS[0].format(2), {other: b"b"})
    with pytest.raises(archives.ArchiveError, match=f"'{other}' in it is another one than in the part before"):
        archives.unpack(tmp_path / STAMPS[0].format(1))
    assert len(list(tmp_path.iterdir())) == 2


def test_parts_in_an_archive(tmp_path: Path) -> None:
    """Somebody who packs a download's parts once more gets one folder too."""
    for number, name in enumerate(("a.jpg", "b.jpg"), start=1):
        zipped(tmp_path / STAMPS[0].format(number), {name: b"x"})
    parts = {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    folder = archives.unpack(zipped(tmp_path / "all.zip", parts))
    assert contents(folder) == {f"photos-20261129T101010Z/{name}": b"x" for name in ("a.jpg", "b.jpg")}


def test_numbers_that_are_no_parts(tmp_path: Path) -> None:
    """A single part is an archive like any other, and so are archives that do not count from 1."""
    for name in ("one-20261129T101010Z-001.zip", "IMG-101.zip", "IMG-102.zip"):
        assert archives.unpack(zipped(tmp_path / name)).name == name.removesuffix(".zip")


def test_the_last_volume_is_known_by_the_first(tmp_path: Path) -> None:
    """photos.zip beside photos.z01 is no damaged zip, but a volume."""
    zipped(tmp_path / "p.zip")
    (tmp_path / "p.z01").write_bytes(b"PK\x07\x08")
    assert refused(tmp_path / "p.zip").startswith("this is a volume of an archive")
