"""A video, wherever it is -> a folder of the local disk with frames of it, as photos to label."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from tqdm import tqdm

from tfod_helpers.files import mounts, storage, workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.photos import look, to_jpeg
from tfod_helpers.photos.frame_names import frame_name
from tfod_helpers.photos.near_duplicates import Different
from tfod_helpers.photos.video import opened
from tfod_helpers.sources import bringing, door, links, places
from tfod_helpers.sources.bringing import SourceError

_SPACING = 1.0  # seconds, where nothing else is asked for
_QUALITY = 95  # of the JPEGs, of 100: it loses less than the video's own codec did
_ENDING = re.compile(r"\.(?=\w*[a-z])\w{2,4}", re.IGNORECASE)


def frames(
    video: str | os.PathLike[str],
    folder: str | os.PathLike[str] = "data",
    *,
    spacing: float | None = None,
    every: int | None = None,
    alike: bool = False,
) -> Path:
    """Return a folder on the local disk with frames of a video, as photos to label.

    ``sources.frames("street.mp4")`` takes one frame a second, and of those the ones that differ: a frame that is a
    near-duplicate of one before it, anywhere in the video, is left out, as it would teach a detector little. A line
    says how many frames were read, looked at, kept and left out. Under a camera that does not move, what is small
    makes no difference: of 30 frames that a thing of 4 % of their width moved through 2 were kept, of 8 % 18, of 12 %
    26. Give ``alike=True`` there.

    Frames are upright, as players show them, in all of their pixels, and JPEG of quality 95. Their names sort in time
    and say which frame it is, from 0, as `Detector.detect_video` counts them: ``street_frame_0000120.jpg``. Keep these
    names: by them `Dataset.split` knows the frames of one video, and keeps them out of each other's validation.

    What is damaged in a video is passed over, and a line says so: all that can be decoded before and behind it counts.
    Look for traces of the damage in the frames that follow. Colours of more than 8 bits (HDR) look pale.

    The folder appears whole or not at all. It is kept as it is where the video and the choices are the same, and made
    anew where one of them changed, unless somebody added or changed a file there.

    Args:
        video: a video file: its path on this machine or on Drive, which is mounted where needed; an address
            (``https://...``), or a link to a file that somebody shared on Google Drive, Dropbox, GitHub or Hugging
            Face; or ``gs://bucket/street.mp4``. One that is not on this machine is brought here first, resuming where
            that was stopped, and deleted afterwards.
        folder: where the new folder is made, on the local disk. It is called as the video is.
        spacing: take one frame in so many seconds; 1 where ``every`` is not given either.
        every: take every n-th frame, the first one first, instead.
        alike: keep near-duplicates too.

    Returns:
        The folder.

    Raises:
        ValueError: a number is out of range, both of them were given, nothing was given for a video, or ``folder`` is
            not on a disk of this machine.
        TypeError: the video is no path or address; a camera is none.
        SourceError: the video cannot be had, is none, or no frame of it can be decoded.
        drive.DriveError: it is on Drive, which cannot be mounted or does not answer.
        FileNotFoundError: there is no such file; the message says what is there.
        FileExistsError: there are other files where the folder would be made, or files there were changed.
        PermissionError: it is in a bucket that this account may not read.
        OSError: the disk is too small.
    """
    choices = _Choices(*_checked(spacing, every), bool(alike))
    if not isinstance(video, str | os.PathLike):
        fix = "Record what a camera sees, and give that file"
        raise TypeError(f"A video is a path or an address; got {type(video).__name__}. {fix}.")
    text = storage.address(video).strip()
    if not text:
        raise ValueError(f"where the video is: got {video!r}. Give a path or a URL.")
    folder = door.near(folder)
    return bringing.bring(_Frames(_file(text), choices), folder, vars(choices))


@dataclass(frozen=True)
class _Choices:
    """Which frames are taken.

    Attributes:
        spacing: the least seconds between them, or 0.
        every: every n-th one is looked at.
        alike: whether near-duplicates are.
    """

    spacing: float
    every: int
    alike: bool

    def __str__(self) -> str:
        if self.spacing:
            return f"one in {self.spacing:g} s"
        return f"one in {self.every:,}" if self.every > 1 else "all of them"


def _checked(spacing: float | None, every: int | None) -> tuple[float, int]:
    if spacing is not None and every is not None:
        raise ValueError(f"spacing is {spacing} and every is {every}: give one of them, seconds or frames.")
    if every is not None:
        if isinstance(every, bool) or every != int(every) or every < 1:
            raise ValueError(f"every must be a whole number from 1 on, got {every}. Give seconds as spacing.")
        return 0.0, int(every)
    if spacing is None:
        return _SPACING, 1
    if not 0 < spacing < math.inf:
        raise ValueError(f"spacing must be more than 0 seconds, got {spacing}. All frames are every=1.")
    return float(spacing), 1


def _file(text: str) -> bringing.Archive:
    """Return how a video is brought here."""
    if re.match("https?://", text, re.IGNORECASE):
        link = links.direct(text)
        if not isinstance(link, str):
            return places.WebArchive(link)
        text = link
    if storage.is_remote(text):
        return places.BucketArchive(text)
    door.refuse_unknown(text)
    path = Path(text)
    door.mount_for(path)
    with mounts.explained(path):
        os.stat(path)
    if not path.is_file():  # a folder; reading a named pipe or a camera would wait for ever
        what = "this is a folder" if path.is_dir() else "this is no file"
        raise SourceError(text, what, "Give one video.")
    return places.FarArchive(path) if mounts.is_on_network(path) else places.LocalArchive(path)


class _Frames:
    """The frames of a video, as a place that a folder comes from."""

    def __init__(self, file: bringing.Archive, choices: _Choices) -> None:
        self._file, self._choices = file, choices
        self.key, self.shown, name = file.key, file.shown, PurePath(file.name)
        self.name = name.stem if _ENDING.fullmatch(name.suffix) else name.name

    def version(self) -> Any:
        """Return what changes when the video does."""
        return self._file.version()

    def make(self, target: Path, origin: dict[str, Any]) -> None:
        """Bring the video here and take its frames."""
        self._file.make(target, origin, self._write)

    def _write(self, video: Path, target: Path, origin: dict[str, Any]) -> None:
        different, looked_at, kept = Different(), 0, 0
        with workspace.whole_folder(target) as part:
            with workspace.room_for(self.shown, part), opened(video) as clip:
                bar = tqdm(total=clip.count, desc=f"Reading {self.name}", unit="frame", delay=1)
                for frame in clip.frames(self._choices.every, spacing=self._choices.spacing):
                    bar.update(frame.number + 1 - bar.n)
                    looked_at += 1
                    data = to_jpeg(frame.rgb, _QUALITY)
                    if self._choices.alike or different.add(look(data)):
                        (part / frame_name(target.name, frame.number)).write_bytes(data)
                        kept += 1
                bar.update(clip.decoded - bar.n)
                bar.close()
            marks.write(part, origin)
        if clip.problems:
            print(f"{self.shown}:", *clip.problems, sep="\n  ")
        alike = (
            f", and {looked_at - kept:,} left out that look like one before them (alike=True keeps them)"
            if looked_at > kept
            else ""
        )
        print(
            f"{self.shown}: {clip.decoded:,} frames read. Of the {looked_at:,} that were looked at ({self._choices}) "
            f"{kept:,} are kept{alike}."
        )
