"""A video or a camera goes in, a table and an annotated video come out; what cannot be read is said in words."""

from __future__ import annotations

import itertools
import sys
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import supervision as sv
from PIL import Image
from test_detector import LABEL_MAP, SIDE, bright_spot
from videos import GROUND, RATE, SIZE, frame_of, place, read, write

from tfod_helpers.annotations.appearance import colour_of
from tfod_helpers.detector import Detector, VideoError
from tfod_helpers.detector.video import drawing, tracking, writing
from tfod_helpers.detector.video.tracking import Tracker
from tfod_helpers.photos import video


@pytest.fixture
def detector() -> Detector:
    """A detector of bright spots."""
    return Detector(bright_spot, LABEL_MAP, SIDE, 0.5)


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """A video of 20 frames in which a white rectangle moves to the right."""
    return write(tmp_path / "moving.mp4", [frame_of(place(number)) for number in range(20)])


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.webm", "libvpx-vp9")])
def test_each_detection_is_a_row(
    name: str, codec: str, detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row says the frame, its time, the class and where it is; a bar shows progress up to all frames."""
    path = write(tmp_path / name, [frame_of(place(number)) for number in range(20)], codec=codec)
    table = detector.detect_video(path, batch_size=7)
    assert table.columns.tolist() == ["frame", "seconds", "class", "confidence", "xmin", "ymin", "xmax", "ymax"]
    assert table["frame"].tolist() == list(range(20))
    np.testing.assert_allclose(table["seconds"], np.arange(20) / RATE, atol=1e-3)
    assert set(table["class"]) == {"dog"}
    np.testing.assert_allclose(table.iloc[:, 4:], [place(number) for number in range(20)], atol=2.6)
    assert table.attrs == {"frames": 20, "decoded": 20, "problems": []}
    told = capsys.readouterr()
    assert "20/20" in told.err
    assert told.out == ""


def test_every_nth_frame_and_the_first_seconds(detector: Detector, moving: Path) -> None:
    """Frames keep their numbers and times where only some are looked at; a frame without a detection has no row."""
    table = detector.detect_video(moving, every=4, seconds=1.3)
    assert table["frame"].tolist() == [0, 4, 8, 12]
    assert table["seconds"].tolist() == pytest.approx([0, 0.4, 0.8, 1.2])
    assert table.attrs["frames"] == 4
    nothing = detector.detect_video(moving, threshold=0.95)
    assert nothing.empty
    assert nothing.columns.tolist() == table.columns.tolist()
    assert nothing.attrs["frames"] == 20


def test_times_are_those_of_the_frames(detector: Detector, tmp_path: Path) -> None:
    """Phones record at a rate that varies: seconds come from the frames, in the table and in the annotated video."""
    seconds = [0.5, 0.6, 0.7, 1.5, 1.55, 3.0]
    path = write(tmp_path / "a.mp4", [frame_of(place(number)) for number in range(6)], seconds=seconds)
    table = detector.detect_video(path, to=tmp_path / "b.mp4")
    expected = pytest.approx([0, 0.1, 0.2, 1.0, 1.05, 2.5], abs=1e-3)
    assert table["seconds"].tolist() == expected
    assert read(tmp_path / "b.mp4")[1] == expected


@pytest.mark.parametrize(
    ("turned", "expected"), [(-90, [51, 10, 76, 40]), (90, [20, 120, 45, 150]), (180, [120, 51, 150, 76])]
)
def test_a_phones_video_is_turned_upright(turned: int, expected: list[int], detector: Detector, tmp_path: Path) -> None:
    """Boxes are in the frame that players show, and the annotated video is that frame."""
    path = write(tmp_path / "a.mp4", [frame_of(place(0))] * 3, turned=turned)
    table = detector.detect_video(path, to=tmp_path / "b.mp4")
    np.testing.assert_allclose(table.iloc[0, 4:].astype(float), expected, atol=2.6)
    size = SIZE if turned == 180 else SIZE[::-1]
    assert read(tmp_path / "b.mp4")[0][0].shape == (size[1], size[0], 3)


def test_frames_are_never_all_in_memory(detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches become smaller where frames are large, and a longer video takes no more memory."""
    monkeypatch.setattr("tfod_helpers.detector.video.detecting._ROOM", 4 * 480 * 320 * 3)
    seen: list[int] = []
    most = []

    def looked_at(squares: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(len(squares))
        return bright_spot(squares)

    for count in (15, 60):
        path = write(tmp_path / f"{count}.mp4", [frame_of(place(0), size=(480, 320))] * count)
        tracemalloc.start()
        Detector(looked_at, LABEL_MAP, SIDE, 0.5).detect_video(path)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(seen) == 4
    assert sum(seen) == 75
    assert most[1] < most[0] + 4 * 480 * 320 * 3


def test_frames_are_decoded_in_another_thread(
    detector: Detector, moving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the model looks at a batch, the next one is decoded; the thread ends with the video, also by an error."""
    threads = set()
    upright = video._upright

    def noted(frame: av.VideoFrame) -> np.ndarray:
        threads.add(threading.current_thread())
        return upright(frame)

    monkeypatch.setattr(video, "_upright", noted)
    detector.detect_video(moving)

    def broken(squares: np.ndarray) -> dict[str, np.ndarray]:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        Detector(broken, LABEL_MAP, SIDE, 0.5).detect_video(moving, batch_size=2)
    assert threading.main_thread() not in threads
    assert len(threads) == 2
    assert not any(thread.is_alive() for thread in threads)


# --- the annotated video --------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_the_annotated_video_has_the_frames_with_boxes(
    ending: str, detector: Detector, moving: Path, tmp_path: Path
) -> None:
    """It is H.264, has each frame that was looked at, at its time, with the class's colour around the object."""
    target = tmp_path / "new" / f"found{ending}"
    table = detector.detect_video(moving, to=target, every=2)
    frames, seconds, stream = read(target)
    assert stream.codec_context.name == "h264"
    assert seconds == pytest.approx(table["seconds"].tolist(), abs=2e-3)
    xmin, ymin, xmax, ymax = table.iloc[3, 4:].astype(int)
    blue = sv.Color.from_hex(colour_of(2)).as_rgb()
    edges = [frames[3][(ymin + ymax) // 2, xmin], frames[3][ymax, (xmin + xmax) // 2]]
    for edge in edges:
        assert np.abs(edge.astype(int) - blue).max() < 60
    assert np.abs(frames[3][90, 150].astype(int) - GROUND).max() < 8  # elsewhere it is as it was


def test_frames_of_odd_sides_are_written(detector: Detector, tmp_path: Path) -> None:
    """H.264 takes even sides only: a pixel more is written, and boxes stay in the pixels of the frame."""
    path = write(tmp_path / "a.mkv", [frame_of(place(0), size=(161, 97))] * 3, codec="ffv1")
    table = detector.detect_video(path, to=tmp_path / "b.mp4")
    assert read(tmp_path / "b.mp4")[0][0].shape == (98, 162, 3)
    np.testing.assert_allclose(table.iloc[0, 4:].astype(float), place(0), atol=2.6)


def test_a_video_appears_whole_or_not_at_all(moving: Path, tmp_path: Path) -> None:
    """Where the model fails in the middle, the old file stays and nothing lies beside it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "found.mp4").write_bytes(b"old")
    calls = itertools.count()

    def failing(squares: np.ndarray) -> dict[str, np.ndarray]:
        if next(calls) == 2:
            raise RuntimeError("no memory")
        return bright_spot(squares)

    with pytest.raises(RuntimeError, match="no memory"):
        Detector(failing, LABEL_MAP, SIDE, 0.5).detect_video(moving, to=tmp_path / "out" / "found.mp4", batch_size=4)
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"old"]


def test_without_an_encoder_of_h264_it_is_mpeg4(
    detector: Detector,
    moving: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where x264 is missing, another encoder is taken, and said; where all are, so is that."""
    monkeypatch.setattr(writing, "_CODECS", {"none_of_these": {}, "mpeg4": {}})
    detector.detect_video(moving, to=tmp_path / "b.mp4", seconds=0.5)
    assert read(tmp_path / "b.mp4")[2].codec_context.name == "mpeg4"
    assert "no encoder of H.264 is here, so it is MPEG-4" in capsys.readouterr().out
    monkeypatch.setattr(writing, "_CODECS", {"none_of_these": {}})
    with pytest.raises(VideoError, match=r"c\.mp4: the PyAV that is installed encodes none of none_of_these\. Install"):
        detector.detect_video(moving, to=tmp_path / "c.mp4")
    assert not (tmp_path / "c.mp4").exists()


def found_at(*boxes_xyxy: list[float], confidence: float = 0.9, names: Sequence[str] = ("dog",)) -> sv.Detections:
    """Detections of one confidence; classes by name, ``cat`` or ``dog`` in turn."""
    chosen = [names[number % len(names)] for number in range(len(boxes_xyxy))]
    return sv.Detections(
        np.array(boxes_xyxy, np.float32).reshape(-1, 4),
        confidence=np.full(len(boxes_xyxy), confidence, np.float32),
        class_id=np.array([["cat", "dog"].index(name) + 1 if name in ("cat", "dog") else 1 for name in chosen], int),
        data={"class_name": np.array(chosen)},
    )


def test_labels_are_read_and_do_not_cover_each_other() -> None:
    """Labels of objects at one place lie beside each other, inside the frame, in black or white on their colour."""
    frame = np.full((480, 640, 3), 128, np.uint8)
    boxes = [[0.0, 0.0, 100.0, 90.0], [4.0, 2.0, 110.0, 95.0], [560.0, 300.0, 640.0, 470.0]]
    drawn = drawing.draw(frame, found_at(*boxes, names=("dog", "cat")), (), ["cat", "dog"])
    for class_id, least in ((1, 1000), (2, 2000)):  # pixels of one and of two labels with their boxes' lines
        colour = np.array(sv.Color.from_hex(colour_of(class_id)).as_rgb())
        assert (np.abs(drawn.astype(int) - colour).max(axis=-1) < 3).sum() > least
    assert (drawn > 220).all(axis=-1).sum() > 30  # white on blue
    assert (drawn < 30).all(axis=-1).sum() > 30  # black on orange


def test_labels_show_names_of_any_script_and_the_number_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label says the object's number, its class in letters that the font has, and the confidence."""
    said: list[list[str]] = []
    monkeypatch.setattr(
        sv.RichLabelAnnotator, "annotate", lambda self, scene, found, labels: said.append(labels) or scene
    )
    frame = np.zeros((480, 640, 3), np.uint8)
    found = found_at([10, 10, 90, 90], [200, 10, 290, 90], names=("Füchsin", "x" * 60))
    tracks = [tracking.Track(found.xyxy[0], 1, 0.0, number=3), tracking.Track(found.xyxy[1], 1, 0.0)]
    drawing.draw(frame, found, tracks, ["Füchsin", "x" * 60])
    long = "x" * 16 + "…" + "x" * 15
    assert said == [[f"{long} 0.90", "#3 Füchsin 0.90"]]


@pytest.mark.parametrize("compact", [False, True])
def test_masks_are_drawn(compact: bool) -> None:
    """What a Mask R-CNN found is tinted in the class's colour, as pixels or in short."""
    found = found_at([100, 100, 200, 200])
    found.mask = np.zeros((1, 480, 640), bool)
    found.mask[0, 120:180, 120:180] = True
    if compact:
        found.mask = sv.CompactMask.from_dense(found.mask, found.xyxy, (480, 640))
    drawn = drawing.draw(np.zeros((480, 640, 3), np.uint8), found, (), ["cat", "dog"])
    assert drawn[150, 150, 2] > 60  # blue
    assert not drawn[110, 110].any()


# --- objects over time ----------------------------------------------------------------------------


def followed(*frames: sv.Detections, threshold: float = 0.5, rate: float = 10) -> list[list[int | None]]:
    """The numbers of the detections of each frame, as they are known in the end."""
    tracker = Tracker(threshold)
    given = [tracker.update(found, number / rate)[1] for number, found in enumerate(frames)]
    return [[track.number for track in tracks] for tracks in given]


def test_an_object_keeps_its_number(detector: Detector, moving: Path, tmp_path: Path) -> None:
    """The table says it from the object's first frame on, and the annotated video is written too."""
    table = detector.detect_video(moving, track=True, to=tmp_path / "b.mp4", batch_size=3)
    assert table.columns.tolist()[-1] == "track"
    assert table["track"].tolist() == [1] * 20
    assert (tmp_path / "b.mp4").stat().st_size > 1000


def test_objects_that_pass_each_other_keep_their_numbers() -> None:
    """Two that meet and go on are told apart by their motion, also where one of them hides the other for a while."""
    frames = []
    for number in range(30):
        left, right = 25.0 * number, 725 - 25.0 * number
        left, right = [left, 50, left + 60, 110], [right, 60, right + 60, 120]
        frames.append(found_at(left) if 12 <= number < 17 else found_at(left, right))
    numbers = followed(*frames)
    assert numbers[0] == numbers[-1] == [1, 2]
    assert {one for frame in numbers for one in frame} == {1, 2}


def test_a_small_object_that_moves_by_its_length_is_followed() -> None:
    """Boxes of two frames need not overlap, where the object moved no further than it is long."""
    assert followed(*(found_at([20.0 * number, 10, 20 * number + 20, 30]) for number in range(6))) == [[1]] * 6


def test_a_flicker_is_no_object() -> None:
    """What is seen in one frame alone has no number, and takes none from the others."""
    steady = [100.0, 100.0, 150.0, 150.0]
    numbers = followed(found_at(steady), found_at(steady, [10, 10, 30, 30]), found_at(steady), found_at(steady))
    assert numbers == [[1], [1, None], [1], [1]]


def test_unsure_detections_continue_objects_and_begin_none() -> None:
    """What is below the threshold is kept where an object is that was seen before, and left out elsewhere."""
    box, other = [100.0, 100.0, 150.0, 150.0], [300.0, 100.0, 350.0, 150.0]
    assert followed(
        found_at(box),
        found_at(box),
        found_at(box, other, confidence=0.2),
        found_at(box),
        found_at(other, confidence=0.2),
    ) == [[1], [1], [1], [1], []]


def test_objects_are_forgotten_after_a_second() -> None:
    """One that comes back soon has its number, one that comes back later a new one; so have other classes."""
    box = [100.0, 100.0, 150.0, 150.0]
    nothing = found_at()
    assert followed(*[found_at(box)] * 2, *[nothing] * 8, *[found_at(box)] * 2)[-1] == [1]
    assert followed(*[found_at(box)] * 2, *[nothing] * 12, *[found_at(box)] * 2)[-1] == [2]
    assert followed(*[found_at(box)] * 2, *[found_at(box, names=("cat",))] * 2)[-1] == [2]
    # Of frames that are seconds apart one may be missed.
    assert followed(*[found_at(box)] * 2, nothing, found_at(box), rate=0.5)[-1] == [1]


def test_the_table_keeps_what_continues_an_object(tmp_path: Path) -> None:
    """With track, a weak detection of an object has a row; without, the threshold holds for all."""

    def weak_at_times(squares: np.ndarray) -> dict[str, np.ndarray]:
        found = bright_spot(squares)
        dim = squares.reshape(len(squares), -1).max(axis=1) < 240
        found["scores"][dim, 0] = 0.3
        return found

    frames = [np.minimum(frame_of(place(number)), 225 if number in (5, 6) else 255) for number in range(10)]
    path = write(tmp_path / "a.mp4", frames)
    weak = Detector(weak_at_times, LABEL_MAP, SIDE, 0.5)
    assert weak.detect_video(path)["frame"].tolist() == [0, 1, 2, 3, 4, 7, 8, 9]
    tracked = weak.detect_video(path, track=True)
    assert tracked["frame"].tolist() == list(range(10))
    assert tracked["track"].tolist() == [1] * 10
    assert tracked["confidence"].round(1).tolist() == [0.9] * 5 + [0.3] * 2 + [0.9] * 3


# --- what cannot be read --------------------------------------------------------------------------


def cut(path: Path) -> None:
    """An MP4 without its end, where its index is."""
    whole = write(path, [frame_of(place(0))] * 9).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def of_unknown_codec(path: Path) -> None:
    """An MP4 whose codec has a name that nobody knows."""
    path.write_bytes(write(path, [frame_of(place(0))] * 3).read_bytes().replace(b"avc1", b"zzzz"))


def sound(path: Path) -> None:
    """Sound alone, with a picture for its cover."""
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=44100)
        for number in range(5):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
            frame.rate, frame.pts = 44100, 1152 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


NO_VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.mp4": (lambda path: path.write_bytes(b""), r"the file is empty\. Copy it again"),
    "page.mp4": (lambda path: path.write_text("<html>" * 99), r"a web page, not a video\. Download"),
    "noise.mp4": (
        lambda path: path.write_bytes(b"nonsense" * 99),
        r"not a video that can be read .*b'nonsense'\. Conv",
    ),
    "lfs.mp4": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"),
    "cut.mp4": (cut, r"cut off or damaged: its index, .*, is missing\. Copy it again"),
    "codec.mp4": (of_unknown_codec, r"the codec .* is not known here\. Convert it: ffmpeg -i codec\.mp4"),
    "photo.jpg": (lambda path: Image.new("RGB", (40, 30)).save(path), r"a photo, not a video\. Take it as the photo"),
    "notes.txt": (lambda path: path.write_text("words\n" * 99), r"no video, but Tele-typewriter\. Give the video"),
    "song.mp3": (sound, r"there are no moving pictures in it, only sound"),
    "folder": (Path.mkdir, r"this is no file\. Give one video"),
}


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_what_is_no_video_is_named(name: str, detector: Detector, tmp_path: Path) -> None:
    """The error says what the file is and what to do, and no annotated video appears."""
    make, message = NO_VIDEOS[name]
    make(tmp_path / name)
    with pytest.raises(VideoError, match=rf"{name}: {message}"):
        detector.detect_video(tmp_path / name, to=tmp_path / "out" / "b.mp4")
    assert not (tmp_path / "out").exists()


def test_a_playlist_leads_nowhere(detector: Detector, moving: Path) -> None:
    """A file that names other files, here or in the network, is not followed."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:9", "#EXTINF:9,", "{}", "#EXT-X-ENDLIST"]
    for number, target in enumerate((moving.name, "http://127.0.0.1:9/a.ts")):
        path = moving.with_name(f"{number}.m3u8")
        path.write_text("\n".join(lines).format(target))
        with pytest.raises(VideoError, match=r"no video, but Apple HTTP Live|not a video that can be read"):
            detector.detect_video(path)


def test_where_it_is_not_is_said(detector: Detector, tmp_path: Path) -> None:
    """A missing file, an address of the web without its password, and what is neither a path nor a number."""
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4: there is no such file\. .*a camera is given as a number"):
        detector.detect_video(tmp_path / "gone.mp4")
    with pytest.raises(VideoError, match=r"^rtsp://\.\.\.: videos are read from this machine or a bucket") as told:
        detector.detect_video("rtsp://me:secret@camera/live")
    assert "secret" not in str(told.value)
    for wrong in (None, True, 1.5):
        with pytest.raises(TypeError, match=r"the path of a file, or the number of a camera; got"):
            detector.detect_video(wrong)


def test_numbers_out_of_range_are_refused(detector: Detector, moving: Path, tmp_path: Path) -> None:
    """Before anything is decoded, the message says which number, and which endings a video can have."""
    for name, value in (("every", 0), ("batch_size", 0), ("seconds", 0), ("threshold", 2)):
        with pytest.raises(ValueError, match=rf"{name} must be .*got {value}"):
            detector.detect_video(moving, **{name: value})
    with pytest.raises(ValueError, match=r"a\.avi: a video cannot be saved as '\.avi'\. Use \.mp4, \.mov or \.mkv\."):
        detector.detect_video(moving, to=tmp_path / "a.avi")
    whole = moving.read_bytes()
    with pytest.raises(ValueError, match=r"moving\.mp4: this is the video itself\. Give another path"):
        detector.detect_video(moving, to=tmp_path / "new" / ".." / moving.name)
    assert moving.read_bytes() == whole


def test_of_a_video_that_was_cut_off_the_rest_counts(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be decoded is in the table and in the annotated video, and what is missing is said."""
    rng = np.random.default_rng(0)
    noise = [np.maximum(frame_of(place(0)), rng.integers(0, 60, (96, 160, 3), np.uint8)) for _ in range(60)]
    path = write(tmp_path / "a.mp4", noise, movflags="+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    table = detector.detect_video(path, to=tmp_path / "b.mp4")
    assert 20 < table.attrs["decoded"] < 45
    assert len(read(tmp_path / "b.mp4")[0]) == table.attrs["frames"] == table.attrs["decoded"]
    told = capsys.readouterr().out
    assert told.startswith(f"{path}:\n")
    assert "its header says 6.0 s: it was probably cut off" in told
    assert table.attrs["problems"][-1] in told


def test_what_is_damaged_is_passed_over(detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames before and after a damaged place are looked at; a video of which nothing is left is an error."""
    path = write(tmp_path / "a.mkv", [frame_of(place(number % 20)) for number in range(30)], codec="mjpeg")
    with av.open(str(path)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    data[starts[10] + 20 : starts[12]] = bytes(starts[12] - starts[10] - 20)
    path.write_bytes(data)
    table = detector.detect_video(path)
    assert {0, 9} <= set(table["frame"])
    assert 20 <= table.attrs["decoded"] < 30
    assert table.attrs["problems"]
    assert table.attrs["problems"][0] in capsys.readouterr().out
    data[starts[0] :] = bytes(len(data) - starts[0])
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"a\.mkv: no frame of it can be decoded"):
        detector.detect_video(path)


# --- cameras --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="cameras of Linux")
def test_a_camera_that_is_not_there_is_named(detector: Detector) -> None:
    """Its number and its device, and why a notebook in the cloud has none; a device that is no camera too."""
    with pytest.raises(FileNotFoundError, match=r"camera 97: there is no /dev/video97 on this machine\. .*cloud"):
        detector.detect_video(97)
    with pytest.raises(FileNotFoundError, match=r"^/dev/video97: there is no"):
        detector.detect_video("/dev/video97")
    with pytest.raises(VideoError, match=r"^/dev/null: /dev/null is no camera, or another program has it"):
        detector.detect_video("/dev/null")


def test_cameras_are_known_of_two_systems(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere it is said that a file can be given; one that may not be used says how to allow it."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(VideoError, match=r"camera 0: cameras cannot be read on win32\. Record a video"):
        detector.detect_video(0)
    monkeypatch.setattr(sys, "platform", "linux")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(av, "open", refused)
    with pytest.raises(VideoError, match=r"camera 0: this account may not use /dev/video0\. Allow it: sudo usermod"):
        detector.detect_video(0)


def test_a_camera_goes_on_until_it_is_interrupted(
    detector: Detector, moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found until then is returned, and its video is whole; a file that is interrupted leaves nothing."""
    calls = itertools.count()

    def stopped(squares: np.ndarray) -> dict[str, np.ndarray]:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return bright_spot(squares)

    opened = av.open
    monkeypatch.setattr(video, "_camera", lambda *_: opened(str(moving)))
    table = Detector(stopped, LABEL_MAP, SIDE, 0.5).detect_video(0, to=tmp_path / "b.mp4", batch_size=4)
    assert table["frame"].tolist() == list(range(12))
    assert len(read(tmp_path / "b.mp4")[0]) == 12
    calls = itertools.count()
    with pytest.raises(KeyboardInterrupt):
        Detector(stopped, LABEL_MAP, SIDE, 0.5).detect_video(moving, to=tmp_path / "c.mp4", batch_size=4)
    assert not (tmp_path / "c.mp4").exists()
