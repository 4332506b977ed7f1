"""An image -> upright RGB pixels, and the square input of a model."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from tfod_helpers.photos import given
from tfod_helpers.photos.photo import PhotoInfo, Source, info_of, load, opened
from tfod_helpers.presets import resizing

MEAN_RGB = (124, 116, 104)  # the ImageNet mean, (0.485, 0.456, 0.406) * 255: zero once normalized
UPRIGHT = {  # how stored pixels become upright, by their EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras use, whatever the file could hold
_NARROW = 8  # times less than these bits could hold: then the darkest and the brightest value are taken instead
_UPPER = 64  # of an upper byte: below, a photo in 16-bit colour uses 14 bits or fewer


@dataclass(frozen=True, eq=False)
class Letterboxed:
    """A photo as the square input of a model, letterboxed or stretched.

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

    Transparency is laid over white; of an animation the first frame is taken. Values of more than 8 bits, and
    fractions, are scaled by what of their range the photo uses: by the 10, 12, 14 or 16 bits that hold the brightest,
    or, where that leaves little contrast, from the darkest to the brightest. EXIF rotation is applied, as viewers do,
    unless ``size`` says otherwise: of a file, and of a Pillow image that was opened from one and not turned since.

    Args:
        source: a path, the bytes of an image file or a file open for reading them, a Pillow image, or an array or
            tensor: uint8, shape (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA.
        size: ``(width, height)`` of the frame wanted. Where a file's stored pixels have it and the
            upright ones do not, the stored frame is returned.

    Returns:
        uint8, shape (h, w, 3), RGB.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
        TypeError: an array of another type or shape, or no photo at all.
    """
    source = given.one(source)
    if isinstance(source, Image.Image | np.ndarray):
        return np.asarray(_rgb_in_memory(source))
    info, rgb = decoded(source)
    return np.asarray(_framed(rgb, info, size))


def scaled(source: Source, side: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an image file as `to_rgb` does, scaled down to fit a square: uint8, shape (h, w, 3), RGB.

    Args:
        source: a path, or the bytes of an image file.
        side: of the square, in pixels; a smaller image keeps its size.
        size: as for `to_rgb`.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
    """
    info, rgb = decoded(source, side)
    framed = _framed(rgb, info, size)
    framed.thumbnail((side, side), Image.Resampling.BILINEAR)
    return np.asarray(framed)


def _framed(rgb: Image.Image, info: PhotoInfo, size: tuple[int, int] | None) -> Image.Image:
    """Return stored pixels in the frame of this size, as `to_rgb` says."""
    stored = (info.width, info.height)
    kept = size is not None and stored == tuple(size) != info.upright_size
    return rgb if kept else turned(rgb, info)


def letterbox(source: Source | Image.Image | np.ndarray, side: int, *, resize: str = resizing.LETTERBOX) -> Letterboxed:
    """Scale an image to fit a square from its top left corner; the rest gets the ImageNet mean colour.

    Args:
        source: as `to_rgb` takes it, and turned as there.
        side: of the square, in pixels.
        resize: ``letterbox``, or ``stretch`` to scale it to the whole square, each axis by its own factor; or
            ``stretch_bilinear`` to do that as the Object Detection API did, without averaging over what is skipped.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
        TypeError: as `to_rgb` raises.
        ValueError: there is no such way to resize.
    """
    source, resize = given.one(source), resizing.check(resize)
    if isinstance(source, Image.Image | np.ndarray):
        rgb = _rgb_in_memory(source)
        return _fit(rgb, rgb.size, side, resize)
    info, rgb = decoded(source, side, resize)
    return _fit(turned(rgb, info), info.upright_size, side, resize)


def to_jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """Encode uint8 RGB pixels of shape (h, w, 3) as a JPEG that TensorFlow reads."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decoded(source: Source, side: int | None = None, resize: str = resizing.LETTERBOX) -> tuple[PhotoInfo, Image.Image]:
    """Decode an image file: what its header says, and its pixels as they are stored, in RGB.

    Args:
        source: a path, or the bytes of an image file.
        side: of the square that the image has to fit into, in pixels; a JPEG is then decoded no larger than needed.
        resize: how it has to fit, as for `letterbox`.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
    """
    with opened(source) as image:
        raw = _raw_mode(image)
        info = info_of(image)
        if side is not None and resize != resizing.STRETCH_BILINEAR:
            # JPEG can be decoded at a half, a quarter or an eighth: of a phone's photo that is most of the time. It
            # comes no smaller than asked in either axis.
            image.draft("RGB", _fitting(image.size, side, resize))
        load(image)
        if raw == "I;32N":  # Pillow has no unsigned numbers of 32 bits
            grey = np.asarray(image).view(np.uint32)
            return info, Image.fromarray(_to_8_bits(grey)).convert("RGB")
        deep = raw.endswith((";16L", ";16B", ";16N")) and image.mode in ("RGB", "RGBA") and _uses_little(image)
        return info, as_rgb(_with_lower_bytes(image, source, raw) if deep else image)


def turned(image: Image.Image, info: PhotoInfo) -> Image.Image:
    """Return stored pixels upright."""
    return image.transpose(UPRIGHT[info.orientation]) if info.orientation in UPRIGHT else image


def as_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image in RGB: transparency over white, values of more than 8 bits scaled to 8."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale numbers of any kind to uint8, as `to_rgb` says."""
    fractions = values.dtype.kind == "f"
    if fractions:
        values = np.where(np.isfinite(values), values, np.min(values, where=np.isfinite(values), initial=np.inf))
        values = np.nan_to_num(values, posinf=0.0)  # where nothing was a number
    low, high = float(values.min()), float(values.max())
    tops = [1.0] * fractions + [2.0**bits - 1 for bits in _DEPTHS]
    top = next((top for top in tops if high <= top), high)
    if low < 0 or 0 < high - low < top / _NARROW:
        start, levels = low, high - low
    else:
        start, levels = 0.0, top + (not fractions)  # so that whole numbers keep their upper 8 bits
    return ((values.astype(np.float32) - start) * (256 / (levels or 1))).clip(0, 255).astype(np.uint8)


# --- 16 bits a colour, of which Pillow takes the upper eight --------------------------------------


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name for how the pixels of an image that is not loaded yet lie in the file."""
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _uses_little(image: Image.Image) -> bool:
    lows, highs = np.array(image.getextrema()[:3]).T  # of the upper bytes of each colour
    return bool(highs.max() < _UPPER or highs.max() - lows.min() < 256 / _NARROW)


def _with_lower_bytes(image: Image.Image, source: Source, raw: str) -> Image.Image:
    """Return an image of 16 bits a colour that uses few of them, scaled by all of its bits."""
    other, lower = "RGBA", slice(1, 2)  # grey with alpha, byte by byte
    if raw != "LA;16B":
        swapped = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
        other, lower = raw[:-1] + swapped[raw[-1]], slice(3)  # in the other order, the lower bytes come out
    with opened(source) as again:
        again.tile = [
            tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
            for tile in again.tile
        ]
        load(again)
        upper = np.asarray(image)
        values = upper[..., :3].astype(np.uint16) << 8 | np.asarray(again)[..., lower]
    return Image.fromarray(np.dstack([_to_8_bits(values), upper[..., 3:]]))


def _rgb_in_memory(source: Image.Image | np.ndarray) -> Image.Image:
    if isinstance(source, np.ndarray):
        return as_rgb(_from_array(source))
    load(source)
    return turned(as_rgb(source), info_of(source))


def _from_array(array: np.ndarray) -> Image.Image:
    shape = array.shape[:2] if array.ndim == 3 and array.shape[2] == 1 else array.shape
    if array.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))) or 0 in shape:
        raise TypeError(
            f"An image array must be uint8 of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), "
            f"got {array.dtype} of shape {array.shape}. {_array_fix(array)}"
        )
    return Image.fromarray(array.reshape(shape))


def _array_fix(array: np.ndarray) -> str:
    if not array.size or array.dtype.kind not in "biuf":
        return "There are no pixels in it."
    if array.dtype != np.uint8:
        most = f": its largest value is {array.max():g}" if array.dtype.kind != "b" else ""
        return f"Scale to 0..255 and convert with .astype('uint8'){most}."
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return "Move the channels to the end: .transpose(1, 2, 0)."
    return "Give one photo, or a list of them."


def _fitting(size: tuple[int, int], side: int, resize: str) -> tuple[int, int]:
    """Return the ``(width, height)`` that an image gets in a square: the largest of its shape, or all of it."""
    if resize != resizing.LETTERBOX:
        return side, side
    longest = max(size)
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def _fit(image: Image.Image, size: tuple[int, int], side: int, resize: str) -> Letterboxed:
    """Put an RGB image of a photo of this size, which may be scaled down already, into a square."""
    fit = _fitting(size, side, resize)
    if resize == resizing.STRETCH_BILINEAR:
        return Letterboxed(_sampled(np.asarray(image), side), (side / size[0], side / size[1]), *size)
    if image.size != fit:
        # Pillow's bilinear filter widens when shrinking, so no pixel is skipped; reducing_gap lets it
        # shrink by a whole factor first where the image is many times too large.
        image = image.resize(fit, Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = MEAN_RGB
    square[: fit[1], : fit[0]] = np.asarray(image)
    return Letterboxed(square, (fit[0] / size[0], fit[1] / size[1]), *size)


def _sampled(rgb: np.ndarray, side: int) -> np.ndarray:
    """Return a square of pixels, each interpolated between four: tf.compat.v1.image.resize_bilinear, rounded."""

    def places(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = np.arange(side, dtype=np.float32) * np.float32(length / side)
        low = at.astype(int)
        return low, np.minimum(low + 1, length - 1), at - low

    (top, bottom, down), (left, right, across) = places(rgb.shape[0]), places(rgb.shape[1])
    rows = rgb[np.r_[top, bottom]].astype(np.float32)
    columns = rows[:, left] + (rows[:, right] - rows[:, left]) * across[:, None]
    upper, lower = columns[:side], columns[side:]
    return (upper + (lower - upper) * down[:, None, None] + 0.5).astype(np.uint8)
