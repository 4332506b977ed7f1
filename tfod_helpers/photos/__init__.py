"""An image file or its bytes -> upright RGB pixels, or why it cannot be read; a video, frame by frame, in `video`.

The bytes decide what a file is, never its ending. Nothing in this room needs TensorFlow.
"""

from tfod_helpers.photos.given import several
from tfod_helpers.photos.looks import Look, Stamp, look, look_at, prove, read, remember
from tfod_helpers.photos.photo import JPEG_START, PhotoError, PhotoInfo, Source, read_info
from tfod_helpers.photos.pixels import MEAN_RGB, UPRIGHT, Letterboxed, letterbox, scaled, to_jpeg, to_rgb

__all__ = [
    "JPEG_START",
    "MEAN_RGB",
    "UPRIGHT",
    "Letterboxed",
    "Look",
    "PhotoError",
    "PhotoInfo",
    "Source",
    "Stamp",
    "letterbox",
    "look",
    "look_at",
    "prove",
    "read",
    "read_info",
    "remember",
    "scaled",
    "several",
    "to_jpeg",
    "to_rgb",
]
