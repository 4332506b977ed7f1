"""frames: a video, wherever it is, becomes a folder of photos that differ, whole or not at all, once."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import colab as small_colab
import numpy as np
import pytest
from PIL import Image
from served import Server
from videos import RATE, frame_of, place, write

from tfod_helpers import formats, photos, sources
from tfod_helpers.files import storage
from tfod_helpers.photos import near_duplicates
from tfod_helpers.sources import SourceError, videos

SECONDS = 3  # in front of each photo
SIDES = (200, 160)


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A video by a camera that passes over photo after photo, then stays on the last one: four times three seconds."""
    frames = []
    for path in sorted((shared / "data" / "asirra" / "test").glob("*.jpg"))[:3]:
        rgb = photos.to_rgb(Image.open(path).resize((300, 240)))
        frames += [rgb[n : n + SIDES[1], 3 * n : 3 * n + SIDES[0]] for n in range(SECONDS * RATE)]
    frames += [frames[-1]] * (SECONDS * RATE)
    return write(tmp_path_factory.mktemp("walk") / "my walk.mp4", list(map(np.ascontiguousarray, frames)))


def numbers(folder: Path) -> list[int]:
    """The numbers of the frames in a folder, in the order of the names."""
    return [int(path.stem[-7:]) for path in sorted(folder.glob("*.jpg"))]


def looks(folder: Path) -> list[Any]:
    """The looks of a folder's photos."""
    return photos.look_at(sorted(folder.glob("*.jpg")))


# --- which frames ---------------------------------------------------------------------------------


def test_one_frame_a_second_of_those_that_differ(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names carry the video's name and the frame's number; no two are near-duplicates; a line says what is left out."""
    folder = sources.frames(walk, tmp_path / "data")
    assert folder == tmp_path / "data" / "my_walk"
    found = numbers(folder)
    assert [*found, *range(100, 120, 10)] == list(range(0, 120, 10))
    assert (folder / "my_walk_frame_0000010.jpg").is_file()
    assert near_duplicates.pairs(looks(folder)) == []
    said = "120 frames read. Of the 12 that were looked at (one in 1 s) 10 are kept, and 2 left out that look like one"
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"{walk}: {said} before them (alike=True keeps them)."
    assert last == f"{folder}: 10 files from {walk}."
    assert os.listdir(tmp_path / "data") == ["my_walk"]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"every": 25, "alike": True}, [0, 25, 50, 75, 100]),
        ({"spacing": 3.1, "alike": True}, [0, 31, 62, 93]),
        ({"spacing": 99}, [0]),
    ],
)
def test_the_spacing_can_be_chosen(choices: dict[str, Any], expected: list[int], walk: Path, tmp_path: Path) -> None:
    """Every n-th frame, or one in so many seconds; with near-duplicates where they are wanted."""
    assert numbers(sources.frames(walk, tmp_path, **choices)) == expected


def test_pixels_are_those_of_the_video(walk: Path, tmp_path: Path) -> None:
    """A photo has the frame's size and colours; of a phone's video it is upright."""
    folder = sources.frames(walk, tmp_path, every=120)
    assert photos.to_rgb(folder / "my_walk_frame_0000000.jpg").shape == (160, 200, 3)
    turned = write(tmp_path / "turned.mp4", [frame_of(place(0))], turned=-90)
    rgb = photos.to_rgb(sources.frames(turned, tmp_path) / "turned_frame_0000000.jpg")
    expected = np.rot90(frame_of(place(0)), -1)
    assert rgb.shape == expected.shape
    assert np.abs(rgb.astype(int) - expected).mean() < 4


# --- again ----------------------------------------------------------------------------------------


def test_the_same_again_is_kept(walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same video and choices leave the folder as it is, with the labels that were put there, and a line says so."""
    folder = sources.frames(walk, tmp_path)
    (folder / "my_walk_frame_0000000.xml").write_text("labels")
    capsys.readouterr()
    assert sources.frames(walk, tmp_path, spacing=1) == folder
    assert capsys.readouterr().out == f"{folder}: there already, from {walk}, which did not change.\n"
    assert (folder / "my_walk_frame_0000000.xml").exists()


def test_other_choices_make_it_anew(walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames alone are replaced, and a line says so; a folder with labels is refused, and another one proposed."""
    folder = sources.frames(walk, tmp_path / "data", every=60)
    sources.frames(walk, tmp_path / "data", every=40)
    assert numbers(folder) == [0, 40, 80]
    assert f"{folder}: it was made with other choices, so it is made anew." in capsys.readouterr().out
    (folder / "my_walk_frame_0000000.xml").write_text("labels")
    with pytest.raises(FileExistsError, match=r"files were changed since .* another folder, .* folder='.*data_2'"):
        sources.frames(walk, tmp_path / "data", every=60)
    assert (folder / "my_walk_frame_0000000.xml").read_text() == "labels"


def test_two_videos_of_one_name(walk: Path, tmp_path: Path) -> None:
    """A video that changed is read again; another one of its name is refused."""
    path = tmp_path / "clip.mp4"
    shutil.copy(walk, path)
    folder = sources.frames(path, tmp_path / "data")
    write(path, [frame_of(place(0))])
    sources.frames(path, tmp_path / "data")
    assert numbers(folder) == [0]
    other = write(tmp_path / "clip.mkv", [frame_of(place(0))])
    with pytest.raises(FileExistsError, match=r"this was made from .*clip\.mp4, and .*clip\.mkv has the same name"):
        sources.frames(other, tmp_path / "data")


def test_it_appears_whole_or_not_at_all(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is said in words, and like an interruption it leaves the old folder as it was, and nothing else."""
    folder = sources.frames(walk, tmp_path / "data", every=60)
    encode = videos.to_jpeg

    def failing(error: BaseException) -> Callable[..., bytes]:
        left = iter([encode] * 2)

        def fails(*args: Any) -> bytes:
            for one in left:
                return one(*args)
            raise error

        return fails

    monkeypatch.setattr(videos, "to_jpeg", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match=r"my walk\.mp4: the disk is full: .* has .* MB free\. Free some space"):
        sources.frames(walk, tmp_path / "data")
    monkeypatch.setattr(videos, "to_jpeg", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        sources.frames(walk, tmp_path / "data")
    assert numbers(folder) == [0, 60]
    assert os.listdir(tmp_path / "data") == ["my_walk"]


# --- wherever it is -------------------------------------------------------------------------------


def test_a_video_behind_an_address(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is downloaded once, and not kept; where the server is gone, its frames stay, and other choices are refused."""
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        server.files["/media/walk.mp4"] = walk.read_bytes()
        address = f"{server.address}/media/walk.mp4?key=secret"
        folder = sources.frames(address, tmp_path / "data", every=60)
        assert folder.name == "walk"
        assert numbers(folder) == [0, 60]
        sources.frames(address, tmp_path / "data", every=60)
        assert len(server.gets()) == 1
        assert os.listdir(tmp_path / "data") == ["walk"]
        server.files.clear()
        sources.frames(address, tmp_path / "data", every=60)
        with pytest.raises(SourceError, match=r"walk\.mp4: .*404") as told:
            sources.frames(address, tmp_path / "data", every=30)
        assert "secret" not in str(told.value)
        assert numbers(folder) == [0, 60]
        server.files["/page"] = b"<html>" * 99
        with pytest.raises(SourceError, match=rf"{server.address}/page: .*web page"):
            sources.frames(f"{server.address}/page", tmp_path / "data")


def test_a_video_in_a_bucket(walk: Path, bucket: str, tmp_path: Path) -> None:
    """It is fetched for as long as it is read; one that is not there is named."""
    storage.upload(walk, f"{bucket}/clips/walk.mp4")
    folder = sources.frames(f"{bucket}/clips/walk.mp4", tmp_path / "data", every=60)
    assert numbers(folder) == [0, 60]
    assert os.listdir(tmp_path / "data") == ["walk"]
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        sources.frames(f"{bucket}/clips/none.mp4", tmp_path / "data")


def test_a_video_on_drive(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drive is mounted; the video is copied in one go, as each jump in it would be a question to Google."""
    colab = small_colab.install(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError, match=r"walk\.mp4: it is not there"):
        sources.frames(colab.folder / "MyDrive" / "walk.mp4", tmp_path / "data")
    shutil.copy(walk, colab.folder / "MyDrive" / "walk.mp4")
    read: list[Path] = []
    opened = videos.opened
    monkeypatch.setattr(videos, "opened", lambda path: opened(read.append(path) or path))
    assert numbers(sources.frames(colab.folder / "MyDrive" / "walk.mp4", tmp_path / "data", every=60)) == [0, 60]
    assert read[0].is_relative_to(tmp_path / "data")
    assert not read[0].exists()
    with pytest.raises(ValueError, match=r"this folder is on Drive, .*folder='/content/data'"):
        sources.frames(colab.folder / "MyDrive" / "walk.mp4", colab.folder / "MyDrive" / "data")


# --- what cannot be read --------------------------------------------------------------------------


def test_numbers_out_of_range_are_refused(walk: Path, tmp_path: Path) -> None:
    """Before anything is read, the message says which number, what it was and what it may be."""
    for choices, message in (
        ({"every": 0}, "every must be a whole number from 1 on, got 0"),
        ({"every": 0.5}, r"every must be .*, got 0\.5\. Give seconds as spacing"),
        ({"every": True}, "every must be .*, got True"),
        ({"spacing": 0}, "spacing must be more than 0 seconds, got 0"),
        ({"spacing": float("nan")}, "spacing must be more than 0 seconds, got nan"),
        ({"spacing": 1, "every": 2}, "spacing is 1 and every is 2: give one of them"),
    ):
        with pytest.raises(ValueError, match=message):
            sources.frames(walk, tmp_path / "data", **choices)
    assert not (tmp_path / "data").exists()


def test_what_is_no_video_is_named(walk: Path, tmp_path: Path) -> None:
    """The error says what it is, and no folder appears; a camera is none, as nobody says when it ends."""
    (tmp_path / "cut.mp4").write_bytes(walk.read_bytes()[:3000])
    (tmp_path / "notes.mp4").write_text("words\n" * 99)
    for where, message in (
        ("cut.mp4", r"cut off or damaged: its index"),
        ("notes.mp4", r"not a video that can be read"),
        (".", r"this is a folder\. Give one video"),
        ("/dev/null", r"this is no file\. Give one video"),
        ("rtsp://me:secret@camera/live", r"this kind of address is not known here"),
    ):
        with pytest.raises(SourceError, match=message) as told:
            sources.frames(where if "/" in where else tmp_path / where, tmp_path / "data")
        assert "secret" not in str(told.value)
    with pytest.raises(TypeError, match=r"a path or an address; got int\. Record what a camera sees"):
        sources.frames(0, tmp_path / "data")
    with pytest.raises(ValueError, match=r"where the video is: got ''"):
        sources.frames("", tmp_path / "data")
    assert not (tmp_path / "data").exists() or not os.listdir(tmp_path / "data")


def test_of_a_video_that_was_cut_off_the_rest_counts(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be decoded is kept, and what is missing is said."""
    whole = [frame_of(place(number % 20)) for number in range(60)]
    noise = np.random.default_rng(0).integers(0, 60, (60, *whole[0].shape), np.uint8)
    path = write(tmp_path / "a.mp4", list(np.maximum(whole, noise)), movflags="+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    folder = sources.frames(path, tmp_path / "data", every=10, alike=True)
    assert 2 <= len(numbers(folder)) < 6
    told = capsys.readouterr().out
    assert told.startswith(f"{path}:\n")
    assert "its header says 6.0 s: it was probably cut off" in told


def test_a_video_is_no_data_set(walk: Path, tmp_path: Path) -> None:
    """`local` says how photos are made of it, of an address before anything is downloaded."""
    for where in (str(walk), "https://127.0.0.1:9/walk.mp4", "gs://nobodys/walk.mov"):
        with pytest.raises(SourceError, match=r"this is a video, and no data set\. .*: sources\.frames\('") as told:
            sources.local(where, tmp_path)
        assert where in str(told.value)


def test_a_folder_of_frames_has_photos_to_label(walk: Path, tmp_path: Path) -> None:
    """Labels beside the frames are read as of any photos."""
    folder = sources.frames(walk, tmp_path, every=60)
    (folder / "labels.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\nmy_walk_frame_0000060.jpg,200,160,cat,10,10,50,50\n"
    )
    dataset = formats.read(folder, on_problem="skip")
    assert "my_walk_frame_0000060.jpg" in {image.path.name for image in dataset.images}
