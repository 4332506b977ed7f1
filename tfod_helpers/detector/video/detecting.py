"""A detector on a video, batch by batch -> a table, and the annotated video."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import supervision as sv
from tqdm import tqdm

from tfod_helpers.detector.detections import each
from tfod_helpers.detector.video import writing
from tfod_helpers.detector.video.drawing import draw
from tfod_helpers.detector.video.tracking import LEAST, Track, Tracker
from tfod_helpers.files import storage
from tfod_helpers.photos.video import Frame, Source, Video, opened

if TYPE_CHECKING:
    import pandas as pd

Detect = Callable[..., list[sv.Detections]]
_COLUMNS = ("frame", "seconds", "class", "confidence", "xmin", "ymin", "xmax", "ymax")
_ROOM = 200e6  # bytes of a batch; there are two of them, one of which is decoded while the other is looked at


def detect_video(
    detect: Detect,
    source: Source,
    *,
    names: Sequence[str],
    threshold: float,
    to: str | os.PathLike[str] | None,
    every: int,
    seconds: float | None,
    track: bool,
    batch_size: int,
) -> pd.DataFrame:
    """Find objects in a video; `Detector.detect_video` says how.

    Args:
        detect: returns the detections of frames, uint8 RGB of shape (h, w, 3); `Detector.detect` or one like it.
        source: a file or a camera.
        names: of all classes.
        threshold: the least confidence of what is found.
        to: where the annotated video goes.
        every: look at every n-th frame.
        seconds: stop after so many.
        track: whether to say which detections are the same object.
        batch_size: frames that are handed over at a time.
    """
    _check(source, to, every, seconds, batch_size)
    tracker = Tracker(threshold) if track else None
    rows: list[tuple[Any, ...]] = []
    looked_at = 0
    with contextlib.ExitStack() as stack:
        video = stack.enter_context(opened(source))
        file = stack.enter_context(writing.written(to, video.rate / every)) if to is not None else None
        bar = stack.enter_context(_progress(video, seconds))
        # Closed before the video is, which its thread reads.
        batches = stack.enter_context(contextlib.closing(_ahead(video.frames(every, seconds), batch_size)))
        if video.is_camera:  # somebody stops it, and wants what was found until then
            stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        for batch in batches:
            least = min(threshold, LEAST) if track else threshold
            found = detect([frame.rgb for frame in batch], threshold=least, batch_size=batch_size)
            tracks: list[list[Track]] = [[] for _ in batch]
            if tracker:
                for number, frame in enumerate(batch):
                    found[number], tracks[number] = tracker.update(found[number], frame.seconds)
            for frame, one, of in zip(batch, found, tracks, strict=True):
                rows += _rows(frame, one, of or [None] * len(one))
                if file:
                    file.write(draw(frame.rgb, one, of, names), frame.seconds)
            looked_at += len(batch)
            bar.update(batch[-1].number + 1 - bar.n)
    return _table(rows, track, video, looked_at)


def _check(
    source: Source, to: str | os.PathLike[str] | None, every: int, seconds: float | None, batch_size: int
) -> None:
    for name, value in (("every", every), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be more than 0, got {seconds}.")
    if to is None:
        return
    writing.check_target(to)
    if (
        isinstance(source, str | os.PathLike)
        and storage.local_place(source).resolve() == storage.local_place(to).resolve()
    ):
        raise ValueError(f"{storage.address(to)}: this is the video itself. Give another path for the annotated one.")


def _progress(video: Video, seconds: float | None) -> tqdm:
    counts = [one for one in (video.count, round(seconds * video.rate) if seconds else None) if one]
    return tqdm(total=min(counts, default=None), unit="frame", desc="detecting")


def _ahead(frames: Iterator[Frame], batch_size: int) -> Generator[list[Frame]]:
    """Yield frames in batches, each decoded in a thread while the one before is looked at."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_batch, frames, batch_size)
        while batch := coming.result():
            coming = pool.submit(_batch, frames, batch_size)
            yield batch


def _batch(frames: Iterator[Frame], batch_size: int) -> list[Frame]:
    if (first := next(frames, None)) is None:
        return []
    size = max(1, min(batch_size, int(_ROOM // first.rgb.nbytes)))
    return [first, *itertools.islice(frames, size - 1)]


def _rows(frame: Frame, found: sv.Detections, tracks: Sequence[Track | None]) -> Iterator[tuple[Any, ...]]:
    for (box_xyxy, sure, label), track in zip(each(found), tracks, strict=True):
        yield frame.number, frame.seconds, label, sure, *box_xyxy.tolist(), track


def _table(rows: list[tuple[Any, ...]], track: bool, video: Video, looked_at: int) -> pd.DataFrame:
    import pandas as pd

    if video.problems:
        print(f"{video.name}:", *video.problems, sep="\n  ")
    table = pd.DataFrame([row[:-1] for row in rows], columns=list(_COLUMNS))
    if track:  # known for an object's first frame too, now that it was seen again
        numbers = [row[-1].number if row[-1] else None for row in rows]
        table["track"] = pd.array(numbers, dtype="Int64")
    table.attrs |= {"frames": looked_at, "decoded": video.decoded, "problems": list(video.problems)}
    return table
