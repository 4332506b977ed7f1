"""frame_names: a photo's name says which video it is a frame of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfod_helpers.photos.frame_names import frame_name, video_of


def test_names_sort_as_frames_follow() -> None:
    """As texts they are in the order of the frames, up to two days of them, and each says its video."""
    names = [frame_name("my clip.v2", number) for number in (0, 9, 10, 99_999, 9_999_999)]
    assert names == sorted(names)
    assert {video_of(name) for name in names} == {"my clip.v2"}


@pytest.mark.parametrize(
    ("photo", "video"),
    [
        (str(Path("data", "a", "street_frame_0000120.png")), "street"),
        ("a_frame_0000001_frame_0000120.jpg", "a_frame_0000001"),
        ("frame_0000120.jpg", None),
        ("_frame_0000120.jpg", None),
        ("street_frame_120.jpg", None),
        ("street_frame_0000120_2.jpg", None),
        ("IMG_0000120.jpg", None),
    ],
)
def test_other_photos_are_of_no_video(photo: str, video: str | None) -> None:
    """Any ending and any folder will do; a name of another form is of none."""
    assert video_of(photo) == video
