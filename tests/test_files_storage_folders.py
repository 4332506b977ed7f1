"""Storage: folders go into buckets and back, whole, in spite of what networks and servers do on the way."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import LASTING, MESSAGES, PASSING, Faults, be_patient, faults  # noqa: F401 - a fixture

from tfod_helpers.files import storage, workspace
from tfod_helpers.files.storage import files, folders

ROOT = Path(__file__).parents[1]


def fill(folder: Path, count: int, size: int = 2000, seed: int = 0) -> dict[str, bytes]:
    """Write files of random bytes into a folder and folders in it; return them by name."""
    draw = random.Random(seed)
    made = {f"{'deep/er/' * (number % 3 == 0)}photo {number}.jpg": draw.randbytes(size) for number in range(count)}
    for name, data in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return made


def held(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kept(address: str) -> dict[str, bytes]:
    """What a folder of a bucket holds, by name."""
    return {name: storage.read_bytes(f"{address}/{name}") for name in storage.sizes(address, nested=True)}


def test_a_folder_goes_up_and_comes_back(faults: Faults, bucket: str, tmp_path: Path) -> None:  # noqa: F811
    """All files of a folder arrive; of a second copy only what changed is sent, and other files stay at both ends."""
    made = fill(tmp_path / "here", 30) | {"empty": b""}
    (tmp_path / "here" / "empty").touch()
    (tmp_path / "here" / ".photo 1.jpg.x1y2z3w4.part").write_bytes(b"half of it")
    (tmp_path / "here" / ".set.x1y2z3w4.part").mkdir()
    (tmp_path / "here" / ".set.x1y2z3w4.part" / "photo 1.jpg").write_bytes(b"one of many")
    storage.write_bytes(f"{bucket}/set/other", b"another")
    storage.write_bytes(f"{bucket}/set/", b"")  # as the web page of a bucket makes an empty folder
    done = storage.upload_folder(tmp_path / "here", f"{bucket}/set")
    assert (done.copied, done.bytes, done.present) == (31, 30 * 2000, 0)
    assert kept(f"{bucket}/set") == made | {"other": b"another"}

    (tmp_path / "here" / "photo 1.jpg").write_bytes(b"x" * 2000)
    faults.requests.clear()
    done = storage.upload_folder(str(tmp_path / "here"), Path(f"{bucket}/set/"))
    assert (done.copied, done.bytes, done.present) == (1, 2000, 30)
    assert [method for method, _ in faults.requests] == ["GET", "POST"]  # what is there, and the one

    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "mine").write_bytes(b"mine")
    done = storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert (done.copied, done.present) == (32, 0)
    assert held(tmp_path / "back") == made | {"photo 1.jpg": b"x" * 2000, "other": b"another", "mine": b"mine"}
    (tmp_path / "back" / "photo 2.jpg").write_bytes(b"y" * 2000)
    (tmp_path / "back" / "photo 4.jpg").write_bytes(b"y")
    done = storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert (done.copied, done.present) == (2, 30)
    assert str(done) == "2 files copied (0.0 MB), 30 were there already"
    assert held(tmp_path / "back")["photo 2.jpg"] == made["photo 2.jpg"]


def test_links_are_followed_and_do_not_go_round(bucket: str, tmp_path: Path) -> None:
    """Linked files and folders go along, each under its name; a link that leads back up is passed over."""
    fill(tmp_path / "photos", 2)
    here = tmp_path / "here"
    here.mkdir()
    for name, target in (("train", tmp_path / "photos"), ("val", tmp_path / "photos"), ("round", here)):
        (here / name).symlink_to(target)
    (tmp_path / "linked").symlink_to(here)
    storage.upload_folder(tmp_path / "linked", f"{bucket}/set")
    names = {"deep/er/photo 0.jpg", "photo 1.jpg"}
    assert set(kept(f"{bucket}/set")) == {f"{split}/{name}" for split in ("train", "val") for name in names}
    (here / "gone.jpg").symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"here/gone.jpg: this is no file, or a link to nothing"):
        storage.upload_folder(here, f"{bucket}/set")


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_corrupt_on_a_bad_network(
    faults: Faults,  # noqa: F811
    bucket: str,
    tmp_path: Path,
    seed: int,
) -> None:
    """100 files go up and 100 come back through a third of failing requests of every passing kind, all whole."""
    made = fill(tmp_path / "here", 100, seed=seed)
    faults.seed, faults.rates = seed, dict.fromkeys(PASSING, 0.04)
    assert storage.upload_folder(tmp_path / "here", f"{bucket}/set").copied == 100
    assert storage.download_folder(f"{bucket}/set", tmp_path / "back").copied == 100
    assert set(faults.happened) == set(PASSING)
    faults.rates = {}
    assert held(tmp_path / "back") == kept(f"{bucket}/set") == made


def test_what_cannot_be_mended_names_the_file_and_the_fix(
    faults: Faults,  # noqa: F811
    bucket: str,
    tmp_path: Path,
) -> None:
    """Where some requests are refused for good, each file is told with its fix, and a second copy sends the rest."""
    made = fill(tmp_path / "here", 100)
    fixes = {
        "401": "authenticate_user",
        "403": "gcloud storage buckets add-iam-policy-binding",
        "404": "bucket.ensure",
    }
    faults.rates, faults.seed = dict.fromkeys(LASTING, 0.015) | dict.fromkeys(PASSING, 0.02), 10
    met = set()
    for act, target in (
        (lambda: storage.upload_folder(tmp_path / "here", f"{bucket}/set"), lambda: kept(f"{bucket}/set")),
        (lambda: storage.download_folder(f"{bucket}/set", tmp_path / "back"), lambda: held(tmp_path / "back")),
    ):
        with pytest.raises(storage.TransferError) as caught:
            act()
        rates, faults.rates = faults.rates, {}
        there = target()
        failed = {address.removeprefix(f"{bucket}/set/"): str(why) for address, why in caught.value.failures.items()}
        assert there == {name: data for name, data in made.items() if name not in failed}
        assert (caught.value.present, caught.value.total) == (len(there), 100)
        assert f"{len(there)} of 100 files are there; run it again and only the rest is copied" in str(caught.value)
        for name, why in failed.items():
            (code,) = [code for code in LASTING if MESSAGES[code][:-1] in why or (code == "401" and "signed in" in why)]
            assert why.startswith(f"{bucket}/set/{name}: ")
            assert fixes[code] in why
            met.add(code)
        assert act().copied == len(failed)
        assert target() == made
        faults.rates = rates
    assert met == set(LASTING)


def test_a_reason_that_all_files_share_stops_the_copy(faults: Faults, bucket: str, tmp_path: Path) -> None:  # noqa: F811
    """Where every file is refused, a few are tried, and the error shows five and counts the others."""
    fill(tmp_path / "here", 100)
    faults.always = {"photo": "403"}
    with pytest.raises(storage.TransferError) as caught:
        storage.upload_folder(tmp_path / "here", f"{bucket}/set")
    assert 10 <= len(caught.value.failures) < 40
    assert caught.value.present == 0
    text = str(caught.value)
    assert text.count("roles/storage.objectUser") == 5
    assert f"... and {len(caught.value.failures) - 5} more" in text
    assert f"add-iam-policy-binding {bucket} --member=user:me@example.com --role=roles/storage.objectUser" in text


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("wrong", r"its bytes arrive with a wrong checksum, each of 3 times \(.*another network"),
        ("429", r"too many requests .*exceeds the quota.*Wait some minutes and run it again"),
        ("503", r"Cloud Storage did not do it .*Backend error.*try again"),
        ("cut", r"Google could not be reached .*Check the network"),
        ("slow", r"Google could not be reached .*timed out.*Check the network"),
        ("billing", r"the project has no billing account.*gcloud billing projects link"),
    ],
)
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_a_fault_that_stays_is_told(
    faults: Faults,  # noqa: F811
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    told: str,
    up: bool,
) -> None:
    """A fault that each try meets ends with the object, what the server said and what to do; the others are there."""
    be_patient(monkeypatch, 0.5)
    made = fill(tmp_path / "here", 6)
    if not up:
        storage.upload_folder(tmp_path / "here", f"{bucket}/set")
    faults.always = {"photo 4": fault}
    copy = storage.upload_folder if up else storage.download_folder
    sides = (tmp_path / "here", f"{bucket}/set") if up else (f"{bucket}/set", tmp_path / "back")
    with pytest.raises(storage.TransferError, match=rf"{bucket}/set/photo 4.jpg: .*{told}"):
        copy(*sides)
    faults.always = {}
    there = kept(f"{bucket}/set") if up else held(tmp_path / "back")
    if fault == "slow" and up:  # the server may have done it, and said so too late
        there.pop("photo 4.jpg", None)
    assert there == {name: data for name, data in made.items() if name != "photo 4.jpg"}


def test_one_file_comes_whole_over_a_broken_connection(faults: Faults, bucket: str) -> None:  # noqa: F811
    """Bytes that came before and after a break are proved together, as Google's client alone does not."""
    storage.write_bytes(f"{bucket}/a", b"abcdefgh" * 1000)
    faults.rates = {"cut body": 0.5, "wrong": 0.08}
    for _ in range(20):
        assert storage.read_bytes(f"{bucket}/a") == b"abcdefgh" * 1000
    assert faults.happened["cut body"] > 5
    assert faults.happened["wrong"]


def test_a_large_file_goes_on_where_it_was_cut_off(
    faults: Faults,  # noqa: F811
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a large file that could not be fetched, the next call fetches the rest; of another version, all of it."""
    monkeypatch.setattr(folders, "_LARGE", 100_000)
    data = random.Random(0).randbytes(1 << 20)
    storage.write_bytes(f"{bucket}/set/large", data)
    came: list[int] = []
    fetch = files.fetch

    def watched(path: str, stored: files.Stored, file: object) -> None:
        came.append(file.seek(0, os.SEEK_END))  # type: ignore[attr-defined]
        fetch(path, stored, file)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "fetch", watched)
    faults.always = {"large": "cut body"}
    be_patient(monkeypatch, 0.3, pause=0.4)  # so that there is one try
    with pytest.raises(storage.TransferError, match="0 of 1 files are there; run it again and only the rest"):
        storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert not (tmp_path / "back" / "large").exists()
    faults.always = {}
    storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert came[0] == 0
    assert came[1] >= len(data) // 2
    assert held(tmp_path / "back") == {"large": data}

    (tmp_path / "back" / ".large.123.part").write_bytes(b"of a version that is gone")
    storage.write_bytes(f"{bucket}/set/large", data[::-1])
    storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert came[2] == 0
    assert held(tmp_path / "back") == {"large": data[::-1]}


def test_a_large_file_goes_up_in_pieces(
    faults: Faults,  # noqa: F811
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of more than one piece arrives whole in spite of faults; a broken connection costs a piece."""
    monkeypatch.setattr(files, "_UPLOAD_PIECE", 1 << 20)
    data = random.Random(0).randbytes(9 << 20)
    (tmp_path / "large").write_bytes(data)
    faults.rates = {"503": 0.2, "cut": 0.2}
    storage.upload(tmp_path / "large", f"{bucket}/large")
    assert sum(faults.happened.values()) > 2
    assert storage.read_bytes(f"{bucket}/large") == data


def test_killed_half_way_the_rest_is_sent_by_the_next(faults: Faults, bucket: str, tmp_path: Path) -> None:  # noqa: F811
    """After a SIGKILL in the middle of an upload and of a download, the same call copies only what is missing."""
    made = fill(tmp_path / "here", 60)
    up = "storage.upload_folder(sys.argv[1] + '/here', sys.argv[2], threads=2)"
    down = "storage.download_folder(sys.argv[2], sys.argv[1] + '/back', threads=2)"
    for act, present in ((up, lambda: storage.sizes(f"{bucket}/set", nested=True)), (down, lambda: whole_files())):

        def whole_files() -> list[Path]:  # not read: those that are not whole come and go
            return [path for path in (tmp_path / "back").rglob("*.*") if path.suffix != ".part" and path.is_file()]

        faults.latency = 0.05
        command = [sys.executable, "-c", f"import sys; from tfod_helpers.files import storage; {act}"]
        process = subprocess.Popen([*command, str(tmp_path), f"{bucket}/set"], cwd=ROOT, stderr=subprocess.DEVNULL)
        while len(present()) < 5:
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.2)  # what the server got before it is dealt with
        faults.latency, before = 0.0, len(present())
        assert 5 <= before < 60
        if act == up:
            done = storage.upload_folder(tmp_path / "here", f"{bucket}/set")
        else:
            done = storage.download_folder(f"{bucket}/set", tmp_path / "back")
        assert (done.copied, done.present) == (60 - before, before)
    assert kept(f"{bucket}/set") == made
    assert {name: data for name, data in held(tmp_path / "back").items() if not name.endswith(".part")} == made


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "a//b", "C:/out", "a\\..\\out", "./a"])
def test_no_file_leaves_the_folder(bucket: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads out of the local folder is refused before anything is written."""
    stored = files.Stored(1, "", 1, False)
    monkeypatch.setattr(files, "listed", lambda _: {"good": stored, name: stored})
    with pytest.raises(ValueError, match=r"would be written outside .*gcloud storage mv"):
        storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_copied_is_told_before(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong sides, a missing or empty folder, a missing bucket, names and disks that do not fit are told at once."""
    (tmp_path / "here").mkdir()
    with pytest.raises(ValueError, match="One folder is on this machine and the other in a bucket"):
        storage.upload_folder(f"{bucket}/set", tmp_path)
    with pytest.raises(ValueError, match="One folder is on this machine"):
        storage.download_folder(tmp_path, tmp_path)
    with pytest.raises(ValueError, match="here: there are no files in this folder"):
        storage.upload_folder(tmp_path / "here", f"{bucket}/set")
    with pytest.raises(FileNotFoundError, match="none: there is no such folder"):
        storage.upload_folder(tmp_path / "none", f"{bucket}/set")
    with pytest.raises(FileNotFoundError, match=rf"there are no files .*gcloud storage ls {bucket}/none"):
        storage.download_folder(f"{bucket}/none", tmp_path / "back")
    (tmp_path / "here" / "a").write_bytes(b"1")
    with pytest.raises(FileNotFoundError, match="gs://no-such-bucket: not there"):
        storage.upload_folder(tmp_path / "here", "gs://no-such-bucket")
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        storage.upload_folder(tmp_path / "here", f"{bucket}/set", threads=0)
    (tmp_path / "here" / "a\nb").write_bytes(b"1")
    with pytest.raises(ValueError, match=r"a\\nb.*: a bucket can have no file of this name"):
        storage.upload_folder(tmp_path / "here", f"{bucket}/set")
    for name in ("set/a", "set/a/b"):
        storage.write_bytes(f"{bucket}/{name}", b"1")
    with pytest.raises(ValueError, match="'a' in it is a file and a folder"):
        storage.download_folder(f"{bucket}/set", tmp_path / "back")
    storage.delete(f"{bucket}/set/a")
    usage = os.statvfs_result
    assert usage
    monkeypatch.setattr(workspace.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
    with pytest.raises(OSError, match=r"gs://.*/set: the disk is full: 0.0 MB are to come.*Free some space") as caught:
        storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_fills_up_is_told(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk fills up in the middle, the file is named, the others are whole and no half of it is left."""
    fill(tmp_path / "here", 5)
    storage.upload_folder(tmp_path / "here", f"{bucket}/set")
    fetch = files.fetch

    def full(path: str, stored: files.Stored, file: object) -> None:
        if "photo 2" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        fetch(path, stored, file)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "fetch", full)
    with pytest.raises(storage.TransferError, match=r"set/photo 2.jpg: the disk is full: .*Free some space"):
        storage.download_folder(f"{bucket}/set", tmp_path / "back")
    assert sorted(path.name for path in (tmp_path / "back").rglob("*") if path.is_file()) == [
        *("photo 0.jpg", "photo 1.jpg", "photo 3.jpg", "photo 4.jpg")
    ]


def test_one_bar_counts_the_bytes(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One progress bar runs over the bytes of all files, to its end."""
    with pytest.MonkeyPatch.context() as patch:
        bars: list[object] = []
        shown = folders.tqdm

        def bar(*args: object, **kwargs: object) -> object:
            bars.append(shown(*args, **kwargs | {"delay": 0}))
            return bars[-1]

        patch.setattr(folders, "tqdm", bar)
        fill(tmp_path / "here", 5)
        storage.upload_folder(tmp_path / "here", f"{bucket}/set")
        storage.download_folder(f"{bucket}/set", tmp_path / "back")
        storage.upload_folder(tmp_path / "here", f"{bucket}/set")  # all of it is there already
    assert [(one.n, one.total) for one in bars] == [(10_000, 10_000)] * 3  # type: ignore[attr-defined]
    assert f"Downloading {bucket}/set: 100%" in capsys.readouterr().err
