"""Small videos for tests, written with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE, RATE = (160, 96), 10
GROUND = (20, 190, 40)


def place(number: int) -> list[int]:
    """Where the white rectangle is in a frame, ``[xmin, ymin, xmax, ymax]``."""
    return [10 + 4 * number, 20, 40 + 4 * number, 45]


def frame_of(*boxes_xyxy: list[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """A dark green frame with white rectangles."""
    rgb = np.full((size[1], size[0], 3), GROUND, np.uint8)
    for xmin, ymin, xmax, ymax in boxes_xyxy:
        rgb[ymin:ymax, xmin:xmax] = 255
    return rgb


def write(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    seconds: Sequence[float] | None = None,
    turned: int = 0,
    codec: str = "libx264",
    **options: str,
) -> Path:
    """Write a video with PyAV.

    Args:
        path: its ending says the format.
        frames: uint8 RGB, all of one size.
        seconds: of each frame; left out, `RATE` a second.
        turned: degrees, counter-clockwise, by which a player is to turn it.
        codec: FFmpeg's name of it.
        **options: of the format.
    """
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=RATE, options={"g": "5"} if codec == "libx264" else {})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_rotation(turned)
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = round(1000 * (seconds[number] if seconds else number / RATE))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path) -> tuple[list[np.ndarray], list[float], av.VideoStream]:
    """The frames of a video, their times, and its stream."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return (
            [frame.to_ndarray(format="rgb24") for frame in frames],
            [frame.time for frame in frames],
            (container.streams.video[0]),
        )
