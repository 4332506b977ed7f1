"""Detections of frame after frame -> which of them are the same object.

The association is ByteTrack's (Zhang et al., ECCV 2022, arXiv:2110.06864): first the detections that are sure, then,
for the objects that none of these is, the unsure ones. Boxes are compared as in C-BIoU (Yang et al., WACV 2023,
arXiv:2211.14317): each made larger, so that a small object that moved by its own length still overlaps itself. Between
two detections an object is taken to move steadily. It is written here, since supervision has no tracker any more, and
its successor, the package trackers, replaces the OpenCV that the Model Garden brings by one that needs a screen's
libraries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import supervision as sv
from scipy.optimize import linear_sum_assignment

LEAST = 0.1  # confidence from which on a detection may continue a track
_GROWN = 0.3  # of its sides, that a box is made larger by at each of them
_SURE_IOU, _UNSURE_IOU = 0.2, 0.5  # of the larger boxes, from which on they are one object
_FOLLOWS = 0.5  # how much of the difference between where an object is and was expected goes into its velocity
_KEPT = 1.0  # seconds that an object may be out of sight


@dataclass(eq=False)
class Track:
    """One object, seen in several frames.

    Attributes:
        box_xyxy: where it was seen last, float64, in pixels.
        class_id: which class; a track never changes it.
        seen: when that was, in seconds.
        number: from 1, in the order in which objects were seen for the second time; None before that.
        velocity: of its centre, ``(x, y)``, pixels a second.
    """

    box_xyxy: np.ndarray
    class_id: int
    seen: float
    number: int | None = None
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def expected_xyxy(self, seconds: float) -> np.ndarray:
        """Return where it should be at a time."""
        return self.box_xyxy + np.tile(self.velocity * (seconds - self.seen), 2)

    def move(self, box_xyxy: np.ndarray, seconds: float) -> None:
        """Note where it was seen."""
        off = (box_xyxy - self.expected_xyxy(seconds)).reshape(2, 2).mean(axis=0)
        self.velocity = self.velocity + _FOLLOWS * off / max(seconds - self.seen, 1e-3)
        self.box_xyxy, self.seen = box_xyxy, seconds


class Tracker:
    """Gives the detections of frame after frame to tracks.

    Args:
        threshold: the confidence from which on a detection is sure, and may begin a track.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold, self._tracks = threshold, list[Track]()
        self._seconds, self._numbered = 0.0, 0

    def update(self, found: sv.Detections, seconds: float) -> tuple[sv.Detections, list[Track]]:
        """Say which object each detection of the next frame is.

        Args:
            found: the frame's detections, also the unsure ones from `LEAST` on.
            seconds: its time, not before that of the frame before.

        Returns:
            The detections without the unsure ones that continue no track, and the track of each. Some tracks have no
            number yet: they get one as soon as the object is seen for the second time.
        """
        assert found.confidence is not None
        sure = found.confidence >= self._threshold
        tracks: list[Track | None] = [None] * len(found)
        self._continue(found, np.flatnonzero(sure), self._tracks, _SURE_IOU, seconds, tracks)
        # Objects of which nothing was seen in the frame before are not looked for among the unsure detections.
        rest = [one for one in self._tracks if one.seen == self._seconds < seconds and one.number]
        self._continue(found, np.flatnonzero(~sure), rest, _UNSURE_IOU, seconds, tracks)
        for index in np.flatnonzero(sure):
            if tracks[index] is None:
                tracks[index] = Track(*self._of(found, index), seconds)
                self._tracks.append(tracks[index])
        self._forget(seconds)
        self._seconds = seconds
        kept = [index for index, track in enumerate(tracks) if track]
        chosen = found[kept]
        assert isinstance(chosen, sv.Detections)
        return chosen, [track for track in tracks if track]

    def _continue(
        self,
        found: sv.Detections,
        indexes: np.ndarray,
        tracks: list[Track],
        least: float,
        seconds: float,
        into: list[Track | None],
    ) -> None:
        """Give detections to the tracks that they overlap most, each to one; ``into`` holds the result."""
        if not len(indexes) or not tracks:
            return
        expected_xyxy = np.array([track.expected_xyxy(seconds) for track in tracks])
        overlap = sv.box_iou_batch(_grown(expected_xyxy), _grown(found.xyxy[indexes]))
        assert found.class_id is not None
        overlap[np.array([track.class_id for track in tracks])[:, None] != found.class_id[indexes]] = 0
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
            if overlap[row, column] >= least:
                track = tracks[row]
                track.move(self._of(found, indexes[column])[0], seconds)
                if track.number is None:
                    self._numbered += 1
                    track.number = self._numbered
                into[indexes[column]] = track

    def _of(self, found: sv.Detections, index: int) -> tuple[np.ndarray, int]:
        assert found.class_id is not None
        return found.xyxy[index].astype(float), int(found.class_id[index])

    def _forget(self, seconds: float) -> None:
        """Drop the tracks that were lost for too long, and those that were seen in one frame alone."""
        since = max(_KEPT, 2 * (seconds - self._seconds))  # where frames are seconds apart, one may be missed
        self._tracks = [
            one for one in self._tracks if one.seen == seconds or (one.number and seconds - one.seen <= since)
        ]


def _grown(boxes_xyxy: np.ndarray) -> np.ndarray:
    by = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * _GROWN
    return np.concatenate([boxes_xyxy[:, :2] - by, boxes_xyxy[:, 2:] + by], axis=1)
