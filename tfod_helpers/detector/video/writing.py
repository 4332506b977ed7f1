"""Frames -> a video file, whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from tfod_helpers.files import storage
from tfod_helpers.photos.video import VideoError

if TYPE_CHECKING:
    from av.container import OutputContainer

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}  # an ending, and FFmpeg's name for it
# Browsers and players show H.264; OpenH264 is in builds without x264. MPEG-4 is in all of them.
_CODECS = {"libx264": {"crf": "20", "preset": "veryfast"}, "libopenh264": {"b": "8000000"}, "mpeg4": {"qmax": "4"}}
# Seconds; frames keep their times, whatever the rate. Usual rates divide it, and MPEG-4 counts no finer than 1/65535.
_CLOCK = Fraction(1, 60_000)
_INDEX_FIRST = {"movflags": "+faststart"}  # so that a browser shows it while it loads


def check_target(to: str | os.PathLike[str]) -> None:
    """Refuse a path whose ending is none of `FORMATS`.

    Raises:
        ValueError: as above.
    """
    if Path(to).suffix.lower() not in FORMATS:
        *first, last = FORMATS
        where = storage.address(to)
        raise ValueError(f"{where}: a video cannot be saved as {Path(to).suffix!r}. Use {', '.join(first)} or {last}.")


@contextlib.contextmanager
def written(to: str | os.PathLike[str], rate: Fraction) -> Iterator[VideoFile]:
    """Give a video to write frames to, which is at ``to`` when the block ends well.

    Args:
        to: a path here or in a bucket, with an ending of `FORMATS`.
        rate: frames a second, on average.

    Raises:
        VideoError: nothing here can encode it.
        OSError: it cannot be written there.
    """
    kind = FORMATS[Path(to).suffix.lower()]
    with storage.whole_file(to) as part, av.open(str(part), "w", format=kind, options=_INDEX_FIRST) as container:
        video = VideoFile(storage.address(to), container, rate)
        yield video
        video.finish()


class VideoFile:
    """A video that is being written.

    Args:
        name: what to call it in a message.
        container: an empty file, opened by PyAV.
        rate: frames a second, on average.
    """

    def __init__(self, name: str, container: OutputContainer, rate: Fraction) -> None:
        self._name, self._container, self._rate = name, container, rate
        self._stream: VideoStream | None = None
        self._last = -1

    def write(self, rgb: np.ndarray, seconds: float) -> None:
        """Write the next frame.

        Args:
            rgb: uint8, shape (h, w, 3); one of another size than the first is scaled to that.
            seconds: its time, from 0.

        Raises:
            VideoError: nothing here can encode it.
        """
        if self._stream is None:
            self._stream = self._add_stream(*(side + side % 2 for side in rgb.shape[1::-1]))  # H.264: even sides only
        stream = self._stream
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            stream.width, stream.height, "yuv420p", dst_colorspace=Colorspace.ITU709
        )
        self._last = max(self._last + 1, round(seconds / _CLOCK))  # two frames of a damaged file may have one time
        frame.pts, frame.time_base = self._last, _CLOCK
        self._container.mux(stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds.

        Raises:
            VideoError: there is not one frame.
        """
        if self._stream is None:
            raise VideoError(self._name, "there was no frame to write", "Let the camera run for longer.")
        self._container.mux(self._stream.encode())

    def _add_stream(self, width: int, height: int) -> VideoStream:
        codec = next(filter(_encodes, _CODECS), None)
        if codec is None:
            what = f"the PyAV that is installed encodes none of {', '.join(_CODECS)}"
            raise VideoError(self._name, what, "Install its wheel: pip install --only-binary av av")
        if codec == "mpeg4":
            print(f"{self._name}: no encoder of H.264 is here, so it is MPEG-4, which browsers do not show.")
        stream = self._container.add_stream(codec, rate=self._rate, options=dict(_CODECS[codec]))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _CLOCK
        stream.codec_context.colorspace = Colorspace.ITU709
        return stream


def _encodes(codec: str) -> bool:
    try:
        return av.Codec(codec, "w").is_encoder
    except av.codec.codec.UnknownCodecError:
        return False
