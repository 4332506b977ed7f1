"""A video file or a camera, opened: its frames one after the other, and why it cannot be read.

FFmpeg decodes, through PyAV. It opens much more than videos, also playlists that lead to other files and to the
network; here it may read the one file that it is given.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.stream import Disposition

from tfod_helpers.files import storage
from tfod_helpers.problems import FixableError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Source = int | str | os.PathLike[str]
_AGAIN = "Copy it again, or record it again."
_CONVERT = "Convert it: ffmpeg -i {} -c:v libx264 converted.mp4"
# FFmpeg's name of a system's cameras, and of one of them by its number.
_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none")}
_LISTS = ("concat", "dash", "hls", "tty")  # formats that name other files, or draw a text
_URL = re.compile(r"(?!gs:/)([a-z][a-z0-9+.-]+):/", re.IGNORECASE)  # two letters or more: C:/ is a disk
_LATE = 1.0  # seconds that a video may end before its header says so


class VideoError(FixableError, ValueError):
    """A video or a camera that cannot be read."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        number: from 0, counting all frames of the video.
        seconds: since its first frame.
        rgb: uint8, shape (h, w, 3), upright.
    """

    number: int
    seconds: float
    rgb: np.ndarray


@dataclass(eq=False)
class Video:
    """An open video.

    Attributes:
        name: what to call it in a message.
        is_camera: whether it goes on until somebody stops it.
        container: what FFmpeg opened.
        stream: the first one with moving pictures.
        decoded: how many frames were decoded.
        problems: what was wrong with it, in sentences.
    """

    name: str
    is_camera: bool
    container: InputContainer
    stream: VideoStream
    decoded: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average; 30 where the file does not say."""
        return self.stream.average_rate or self.stream.guessed_rate or Fraction(30)

    @property
    def seconds(self) -> float | None:
        """How long it is by its header, where that says so."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self.container.duration / av.time_base if self.container.duration and not self.is_camera else None

    @property
    def count(self) -> int | None:
        """How many frames it has, where the header says so or how long it is."""
        return self.stream.frames or (round(self.seconds * self.rate) if self.seconds else None)

    def frames(self, every: int = 1, seconds: float | None = None, *, spacing: float = 0.0) -> Iterator[Frame]:
        """Decode frame by frame; what is damaged is passed over and told of in `problems`.

        Args:
            every: yield every n-th frame, the first one first.
            seconds: stop after so many.
            spacing: yield of these no more than one in so many seconds, the one nearest to each multiple of them.

        Raises:
            VideoError: no frame can be decoded.
        """
        first, now, due = None, 0.0, 0.0
        half = float(1 / self.rate) / 2
        for frame in self._decode():
            at = frame.time if frame.time is not None else float(self.decoded / self.rate)
            first = at if first is None else first
            now = max(now, at - first)  # the clock of a damaged file may jump back
            if seconds is not None and now >= seconds:
                return
            self.decoded += 1
            if (self.decoded - 1) % every == 0 and now >= due:
                if spacing:
                    due = ((now + half) // spacing + 1) * spacing - half
                yield Frame(self.decoded - 1, now, _upright(frame))
        if not self.decoded:
            what = "; ".join(self.problems) or "there is none in it"
            raise VideoError(self.name, f"no frame of it can be decoded ({what})", _AGAIN)
        if self.seconds and self.seconds - now - 1 / self.rate > _LATE:
            cut = f"it ends after {now:.1f} s, and its header says {self.seconds:.1f} s: it was probably cut off"
            self.problems.append(cut)

    def _decode(self) -> Iterator[VideoFrame]:
        damaged = 0
        try:
            for packet in self.container.demux(self.stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    damaged += 1
        except av.error.DecoderNotFoundError as error:
            raise _no_decoder(self.name) from error
        except (av.FFmpegError, OSError) as error:  # the disk fails, or the camera is pulled out
            self.problems.append(f"reading stopped after frame {self.decoded} ({error.strerror})")
        if damaged:
            self.problems.append(f"{damaged} of its packets are damaged, and were passed over")


@contextlib.contextmanager
def opened(source: Source) -> Iterator[Video]:
    """Open a video file, here or in a bucket, or a camera of this machine, by number or as ``/dev/video0``.

    Raises:
        FileNotFoundError: there is no such file or camera.
        VideoError: it is no video, it is damaged or cut off, or nothing here decodes it.
        TypeError: neither a path nor a number.
    """
    if isinstance(source, bool) or not isinstance(source, int | str | os.PathLike):
        raise TypeError(f"A video is the path of a file, or the number of a camera; got {type(source).__name__}.")
    name = f"camera {source}" if isinstance(source, int) else storage.address(source)
    is_camera = isinstance(source, int) or _is_device(name)
    with _camera(source, name) if is_camera else _file(source, name) as container:
        moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
        if not moving:
            raise VideoError(name, "there are no moving pictures in it, only sound", "Give a video.")
        stream = moving[0]
        if stream.codec_context is None:
            raise _no_decoder(name)
        stream.thread_type = "AUTO"
        yield Video(name, is_camera, container, stream)


def _is_device(name: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISCHR(os.stat(name).st_mode)
    return bool(re.fullmatch(r"/dev/video\d+", name))


def _camera(source: Source, name: str) -> InputContainer:
    if sys.platform not in _CAMERAS:
        raise VideoError(name, f"cameras cannot be read on {sys.platform}", "Record a video, and give its file.")
    driver, device = _CAMERAS[sys.platform]
    device = device.format(source) if isinstance(source, int) else name
    options = {"framerate": "30"} if driver == "avfoundation" else {}  # its own choice is one that it then refuses
    try:
        return av.open(device, format=driver, options=options)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{name}: there is no {device} on this machine. Is the camera plugged in, and lent to the container or the "
            f"virtual machine? A notebook in the cloud sees no camera of yours: record a video, and give its file."
        ) from error
    except PermissionError as error:
        fix = "Allow it: sudo usermod -aG video $USER, then log in again." if driver == "v4l2" else "Allow it."
        raise VideoError(name, f"this account may not use {device}", fix) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        what = f"{device} is no camera, or another program has it ({getattr(error, 'strerror', error)})"
        raise VideoError(name, what, "Close that program, or give another number.") from error


def _file(source: Source, name: str) -> InputContainer:
    assert not isinstance(source, int)
    if url := _URL.match(name):
        # No more of it is shown: there may be a password in it.
        raise VideoError(f"{url[1]}://...", "videos are read from this machine or a bucket", "Download it first.")
    path = storage.mirror(source)
    if not path.exists():
        raise FileNotFoundError(f"{name}: there is no such file. Check the path; a camera is given as a number, 0.")
    if not path.is_file():  # reading a named pipe would wait for ever
        raise VideoError(name, "this is no file", "Give one video.")
    try:
        # With 'file:' a colon in the name means nothing.
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError) as error:
        raise VideoError(name, *_not_a_video(path, error)) from error
    kind = container.format.name
    is_photo = kind.endswith("_pipe") or kind == "image2"
    if is_photo or kind in _LISTS:
        container.close()
        what = "a photo, not a video" if is_photo else f"no video, but {container.format.long_name}"
        raise VideoError(name, what, "Take it as the photo that it is." if is_photo else "Give the video file itself.")
    return container


def _not_a_video(path: Path, error: Exception) -> tuple[str, str]:
    """Return what was found in a file that FFmpeg does not open, and what to do."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as failed:
        return f"it cannot be opened ({failed.strerror})", "Check the file and its permissions."
    if not start:
        return "the file is empty", _AGAIN
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the video itself", "Run 'git lfs pull'."
    if start.lstrip()[:1] == b"<":
        return "a web page, not a video", "Download the video again."
    if start[4:8] == b"ftyp":
        what = "cut off or damaged: its index, which an MP4 has at its end, is missing"
        return what, f"{_AGAIN} A recording that was broken off can often be repaired by the camera that made it."
    what = f"not a video that can be read ({getattr(error, 'strerror', error)}); its first bytes are {start[:8]!r}"
    return what, _CONVERT.format(path.name)


def _no_decoder(name: str) -> VideoError:
    return VideoError(name, "the codec that it is encoded with is not known here", _CONVERT.format(Path(name).name))


def _upright(frame: VideoFrame) -> np.ndarray:
    """Return a frame's pixels as a player shows them: phones turn no pixels, they note how they were held."""
    rgb = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
