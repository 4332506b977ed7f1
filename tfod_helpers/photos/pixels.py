"""An image -> upright RGB pixels, and the letterboxed input of a model."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from tfod_helpers.photos.photo import Source, info_of, load, opened

MEAN_RGB = (124, 116, 104)  # the ImageNet mean, (0.485, 0.456, 0.406) * 255: zero once normalized


@dataclass(frozen=True, eq=False)
class Letterboxed:
    """A photo as the letterboxed input of a model.

    Attributes:
        pixels: uint8, shape (side, side, 3), RGB.
        scale: ``(x, y)``; a point of the photo times it is the point in the input.
        width: of the photo, in pixels.
        height: of the photo, in pixels.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    width: int
    height: int


def to_rgb(source: Source | Image.Image | np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return an image's pixels, whatever its format and mode.

    Transparency is laid over white; 16-bit grey is scaled to 8 bits; of an animation the first
    frame is taken. A file's EXIF rotation is applied, as viewers do, unless ``size`` says otherwise;
    a Pillow image or an array is taken as its pixels are stored.

    Args:
        source: a path, the bytes of an image file, a Pillow image, or an array: uint8, shape
            (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA.
        size: ``(width, height)`` of the frame wanted. Where the stored pixels have it and the
            upright ones do not, the stored frame is returned.

    Returns:
        uint8, shape (h, w, 3), RGB.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
        TypeError: an array of another type or shape.
    """
    if isinstance(source, Image.Image | np.ndarray):
        return np.asarray(_rgb_in_memory(source))
    with opened(source) as image:
        load(image)
        return np.asarray(as_rgb(_turned(image, size)))


def letterbox(source: Source | Image.Image | np.ndarray, side: int) -> Letterboxed:
    """Scale an image to fit a square from its top left corner; the rest gets the ImageNet mean colour.

    Args:
        source: as `to_rgb` takes it, and turned as there.
        side: of the square, in pixels.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
        TypeError: an array of another type or shape.
    """
    if isinstance(source, Image.Image | np.ndarray):
        rgb = _rgb_in_memory(source)
        return _fit(rgb, rgb.size, side)
    with opened(source) as image:
        size = info_of(image).upright_size
        # JPEG can be decoded at a half, a quarter or an eighth: of a phone's photo that is most of the time.
        image.draft("RGB", _fitting(image.size, side))
        load(image)
        return _fit(as_rgb(_turned(image, None)), size, side)


def to_jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """Encode uint8 RGB pixels of shape (h, w, 3) as a JPEG that TensorFlow reads."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _turned(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """Turn an image upright, but for one whose stored frame alone has the size."""
    info = info_of(image)
    if size is None or info.upright_size == tuple(size) or (image.width, image.height) != tuple(size):
        return ImageOps.exif_transpose(image)
    return image


def as_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image in RGB: transparency over white, 16-bit grey scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, np.float32)
        deep = image.mode.startswith("I;16") or grey.max() > 255  # 16-bit, in modes that could hold more
        image = Image.fromarray(np.clip(grey / 256 if deep else grey, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _rgb_in_memory(source: Image.Image | np.ndarray) -> Image.Image:
    image = _from_array(source) if isinstance(source, np.ndarray) else source
    load(image)
    return as_rgb(image)


def _from_array(array: np.ndarray) -> Image.Image:
    shape = array.shape[:2] if array.ndim == 3 and array.shape[2] == 1 else array.shape
    if array.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))) or 0 in shape:
        raise TypeError(
            f"An image array must be uint8 of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), "
            f"got {array.dtype} of shape {array.shape}. Scale to 0..255 and convert with .astype('uint8')."
        )
    return Image.fromarray(array.reshape(shape))


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the largest ``(width, height)`` of the same shape that a square holds."""
    longest = max(size)
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def _fit(image: Image.Image, size: tuple[int, int], side: int) -> Letterboxed:
    """Put an RGB image of a photo of this size, which may be scaled down already, into a square."""
    fit = _fitting(size, side)
    if image.size != fit:
        # Pillow's bilinear filter widens when shrinking, so no pixel is skipped; reducing_gap lets it
        # shrink by a whole factor first where the image is many times too large.
        image = image.resize(fit, Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = MEAN_RGB
    square[: fit[1], : fit[0]] = np.asarray(image)
    return Letterboxed(square, (fit[0] / size[0], fit[1] / size[1]), *size)
