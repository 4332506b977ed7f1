"""A video or a camera -> a table of what was found in its frames, and an annotated video.

* `tracking` tells which detections of different frames are the same object.
* `writing` draws the detections and encodes the frames.
* `detecting` does all of it, batch by batch, with the memory of two batches.

`photos.video` opens and decodes.
"""

from tfod_helpers.detector.video.detecting import detect_video
from tfod_helpers.photos.video import Source, VideoError

__all__ = ["Source", "VideoError", "detect_video"]
