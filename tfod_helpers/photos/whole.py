"""An image, read to its end: proven whole, and with that its small grey picture."""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image

from tfod_helpers.photos.photo import COPY_AGAIN, JPEG_START, PhotoError, PhotoInfo, info_of, load, opened, read_info
from tfod_helpers.photos.pixels import as_rgb

_UPRIGHT = dict(  # what turns a stored picture upright, by its EXIF orientation
    zip(
        range(2, 9),
        (
            Image.Transpose.FLIP_LEFT_RIGHT,
            Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_270,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90,
        ),
        strict=True,
    )
)


def prove_whole(data: bytes) -> PhotoInfo:
    """Read an image to the end of its data, and raise where it is cut off or damaged.

    A JPEG is decoded at an eighth of its size, which still reads all its coded data and costs a
    tenth of a full decode; damage in the middle, which Pillow passes over, is found too.

    Raises:
        PhotoError: it is no image, or not a whole one.
    """
    if not data.startswith(JPEG_START):
        with opened(data) as image:
            info = info_of(image)
            load(image)
            return info
    info = read_info(data)
    _small_grey(data, 1)
    return info


def grey_square(data: bytes, side: int) -> tuple[PhotoInfo, np.ndarray]:
    """Prove an image whole, and return it upright, squeezed into a small square: uint8, shape (side, side), grey.

    It is decoded as `prove_whole` does, so that both cost little more than one.

    Raises:
        PhotoError: it is no image, or not a whole one.
    """
    if not data.startswith(JPEG_START):
        with opened(data) as image:
            info = info_of(image)
            load(image)
            grey, box = as_rgb(image).convert("L"), None
    else:
        info = read_info(data)
        pixels = _small_grey(data, 2 * side)
        grey = Image.fromarray(pixels)
        # At n eighths of the size the last row and column are only partly inside of the photo.
        high, wide = pixels.shape
        eighths = next(
            (n for n in range(1, 9) if (-(-info.width * n // 8), -(-info.height * n // 8)) == (wide, high)), 8
        )
        box = (0, 0, min(info.width * eighths / 8, wide), min(info.height * eighths / 8, high))
    square = grey.resize((side, side), Image.Resampling.BILINEAR, box=box)
    if info.orientation in _UPRIGHT:
        square = square.transpose(_UPRIGHT[info.orientation])
    return info, np.asarray(square)


def _small_grey(data: bytes, least: int) -> np.ndarray:
    """Decode a JPEG at the smallest scale that leaves so many pixels a side: uint8, shape (h, w), grey."""
    try:
        return simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, min_height=least, min_width=least)[..., 0]
    except ValueError as error:
        # Some cameras leave bytes between the parts of a file, where every decoder skips them.
        if "extraneous bytes" not in str(error):
            raise PhotoError("the image", f"damaged or cut off ({error})", COPY_AGAIN) from error
    with opened(data) as image:
        load(image)
    return simplejpeg.decode_jpeg(data, "GRAY", min_height=least, min_width=least, strict=False)[..., 0]
