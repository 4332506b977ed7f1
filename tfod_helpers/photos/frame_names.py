"""The name of a photo that was a frame of a video: which video, and where in it.

Who divides photos tells by it which ones were taken in one go, however different they look.
"""

from __future__ import annotations

import re
from pathlib import PurePath

_FRAME = re.compile(r"(?P<video>.+)_frame_\d{7}")  # at 60 frames a second, two days


def frame_name(video: str, number: int) -> str:
    """Return the name of a frame's file, such as ``street_frame_0000120.jpg``; names sort as frames follow.

    Args:
        video: what the video is called.
        number: of the frame, from 0, counting all of them.
    """
    return f"{video}_frame_{number:07}.jpg"


def video_of(photo: str) -> str | None:
    """Return what the video is called that a photo is a frame of, by its name; None where it is of none.

    Args:
        photo: the name of its file, with any ending and any folders before it.
    """
    found = _FRAME.fullmatch(PurePath(photo).stem)
    return found["video"] if found else None
