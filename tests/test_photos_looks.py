"""looks: a photo is decoded once, whoever asks, in this process or another, until its file changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import checks, photos, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.photos import PhotoError, looks


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size in bytes of each JPEG that is decoded from now on, in this process."""
    sizes: list[int] = []
    decode = looks.simplejpeg.decode_jpeg

    def noted(data: bytes, *arguments: object, **options: object) -> np.ndarray:
        sizes.append(len(data))
        return decode(data, *arguments, **options)

    monkeypatch.setattr(looks.simplejpeg, "decode_jpeg", noted)
    return sizes


def draw(path: Path, seed: int, age: float = 10) -> Path:
    """A photo like no other, last changed so many seconds ago."""
    spots = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    Image.fromarray(spots).resize((96, 80), Image.Resampling.BICUBIC).save(path)
    changed = path.stat().st_mtime - age
    os.utime(path, (changed, changed))
    return path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Twelve photos."""
    return [draw(tmp_path / f"{number}.jpg", number) for number in range(12)]


def in_another_process() -> None:
    """Forget what this process has seen, but not what it has kept for others."""
    looks._seen.cache_clear()


def test_each_photo_is_decoded_once(paths: list[Path], tmp_path: Path, decoded: list[int]) -> None:
    """The checks, what they fix, a split, the records, their verification and a later process share one decoding."""
    images = tuple(LabelledImage(path, 96, 80, [[9, 9, 60, 60]], [1 + n % 2]) for n, path in enumerate(paths))
    dataset = Dataset(images, LabelMap(["cat", "dog"]))
    parts = checks.mend(dataset).dataset.split({"train": 0.5, "validation": 0.5})
    checks.check(parts)
    for name, part in parts.items():
        records.verify(records.write(part, tmp_path / "records" / name))
    in_another_process()
    checks.check(parts)
    assert len(decoded) == 12


@pytest.mark.parametrize("first", ["check", "write"])
def test_what_the_records_saw_the_checks_know(
    paths: list[Path], tmp_path: Path, decoded: list[int], first: str
) -> None:
    """Photos that were proven whole for their records need not be decoded for the checks, nor the other way round."""
    dataset = Dataset(tuple(LabelledImage(path, 96, 80, [[9, 9, 60, 60]], [1]) for path in paths), LabelMap(["cat"]))
    acts = {
        "check": lambda: checks.check(dataset),
        "write": lambda: records.write(dataset, tmp_path / "records" / "train", workers=1),
    }
    acts.pop(first)()
    assert len(decoded) == 12
    in_another_process()
    acts.popitem()[1]()
    assert len(decoded) == 12


def test_a_file_that_changed_is_looked_at_again(paths: list[Path], decoded: list[int]) -> None:
    """Another time of change or another size is another photo; a damaged one is found, and one that is gone."""
    before = photos.look_at(paths)
    draw(paths[3], seed=99, age=5)
    paths[4].write_bytes(paths[4].read_bytes()[:-300])
    paths[5].unlink()
    del decoded[:]
    after = photos.look_at(paths)
    assert len(decoded) == 2
    assert [number for number, look in enumerate(after) if getattr(look, "digest", b"") != before[number].digest] == [
        3,
        4,
        5,
    ]
    assert after[3].digest != before[3].digest
    assert isinstance(after[4], PhotoError)
    assert "cannot be opened (No such file or directory)" in str(after[5])


def test_bytes_count_and_not_the_stamp_alone_where_they_are_read(paths: list[Path], tmp_path: Path) -> None:
    """Of a photo that was replaced with its size and time kept, the records prove the new bytes."""
    photos.look_at(paths[:1])
    stat = paths[0].stat()
    data = bytearray(paths[0].read_bytes())
    data[len(data) // 2 : -40] = bytes(len(data) - 40 - len(data) // 2)
    paths[0].write_bytes(data)
    os.utime(paths[0], ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    dataset = Dataset((LabelledImage(paths[0], 96, 80, [[9, 9, 60, 60]], [1]),), LabelMap(["cat"]))
    with pytest.raises(ValueError, match=r"0\.jpg: damaged or cut off"):
        records.write(dataset, tmp_path / "train")


def test_a_file_that_changed_just_now_is_not_kept(tmp_path: Path, decoded: list[int]) -> None:
    """Within one tick of the disk's clock a file can change again, and would look the same."""
    path = draw(tmp_path / "a.jpg", 0, age=-3600)
    photos.look_at([path])
    photos.look_at([path])
    assert len(decoded) == 2


def test_what_is_kept_comes_back_as_it_was(paths: list[Path]) -> None:
    """A later process gets the same digest, picture, size and header; of a PNG that lies on its side too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = paths[0].with_suffix(".png")
    Image.open(paths[0]).save(turned, exif=exif)
    os.utime(turned, (1, 1))
    before = photos.look_at([*paths, turned])
    in_another_process()
    for look, again in zip(before, photos.look_at([*paths, turned]), strict=True):
        assert (look.digest, look.bytes, look.info) == (again.digest, again.bytes, again.info)
        np.testing.assert_array_equal(look.thumbnail, again.thumbnail)
    assert before[-1].info.orientation == 6


def test_a_damaged_file_of_looks_is_no_harm(paths: list[Path], decoded: list[int]) -> None:
    """What is kept for others is read whole or not at all, and is made anew."""
    photos.look_at(paths)
    for data in (b"", b"not an array", looks._file().read_bytes()[:-9]):
        looks._file().write_bytes(data)
        in_another_process()
        del decoded[:]
        assert all(isinstance(look, photos.Look) for look in photos.look_at(paths))
        assert len(decoded) == 12


def test_the_file_is_bounded(paths: list[Path], monkeypatch: pytest.MonkeyPatch, decoded: list[int]) -> None:
    """Of more photos than are kept the oldest are forgotten."""
    monkeypatch.setattr(looks, "_MOST", 5)
    photos.look_at(paths)
    in_another_process()
    del decoded[:]
    photos.look_at(paths)
    assert len(decoded) == 7


def test_several_processes_keep_what_they_see(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many write the file at once, it is whole, and holds at least what one of them saw."""
    code = "import sys, pathlib; from tfod_helpers import photos; photos.look_at(list(map(pathlib.Path, sys.argv[1:])))"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    commands = [[sys.executable, "-c", code, *map(str, paths[start:])] for start in range(4)]
    for process in [subprocess.Popen(command, env=environment) for command in commands]:
        assert process.wait() == 0
    kept = tmp_path / "cache" / "tfod_helpers" / "looks-2.npy"
    monkeypatch.setattr(looks, "_file", lambda: kept)
    assert 9 <= len(set(looks._kept()["key"].tolist())) <= 12
    assert [path.name for path in kept.parent.iterdir()] == ["looks-2.npy"]
