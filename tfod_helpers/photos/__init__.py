"""An image file or its bytes -> RGB pixels the right way up, or a word about why not.

The bytes decide what a file is, never its ending. Nothing in this room needs TensorFlow.
"""

from tfod_helpers.photos.photo import PhotoError, PhotoInfo, Source, read_info
from tfod_helpers.photos.pixels import MEAN_RGB, Square, letterbox, to_jpeg, to_rgb
from tfod_helpers.photos.whole import grey_square, prove_whole

__all__ = [
    "MEAN_RGB",
    "PhotoError",
    "PhotoInfo",
    "Source",
    "Square",
    "grey_square",
    "letterbox",
    "prove_whole",
    "read_info",
    "to_jpeg",
    "to_rgb",
]
