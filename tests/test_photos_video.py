"""video: frames at a spacing in seconds; what else is read of a video is tested where a detector looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from videos import frame_of, place, write

from tfod_helpers.photos import video

EVEN = [number / 30 for number in range(61)]
VARYING = [0.0, 0.1, 0.9, 1.4, 1.5, 3.2, 3.3, 4.0]


@pytest.mark.parametrize(
    ("seconds", "spacing", "expected"),
    [
        (EVEN, 1.0, [0, 30, 60]),
        (EVEN, 0.22, [0, 7, 13, 20, 26, 33, 40, 46, 53, 59]),
        (EVEN, 0.01, list(range(61))),
        (EVEN, 99.0, [0]),
        (VARYING, 1.0, [0, 2, 5, 7]),
    ],
)
def test_frames_are_so_far_apart(seconds: Sequence[float], spacing: float, expected: list[int], tmp_path: Path) -> None:
    """Of an even rate the frame nearest to each multiple comes; of a varying one no two are of one multiple."""
    path = write(tmp_path / "a.mp4", [frame_of(place(0))] * len(seconds), seconds=seconds)
    with video.opened(path) as opened:
        assert [frame.number for frame in opened.frames(spacing=spacing)] == expected
        assert opened.decoded == len(seconds)


def test_a_photo_with_a_number_is_no_video(shared: Path) -> None:
    """FFmpeg takes a photo whose name ends in a number for a sequence of photos."""
    with pytest.raises(video.VideoError, match=r"cat\.0\.jpg: a photo, not a video\. Take it"):
        video.opened(shared / "data" / "asirra" / "train" / "cat.0.jpg").__enter__()
