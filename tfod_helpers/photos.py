"""An image file or its bytes -> RGB pixels the right way up, or a word about why not.

The bytes decide what a file is, never its ending. Nothing in this module needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

Source = str | os.PathLike[str] | bytes
MEAN_RGB = (124, 116, 104)  # the ImageNet mean, (0.485, 0.456, 0.406) * 255: zero once normalized
_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
_TURNED_ASIDE = range(5, 9)  # orientations that swap width and height
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
_LFS_START = b"version https://git-lfs"
_JPEG_FORMATS = ("JPEG", "MPO")  # MPO: a JPEG with more pictures behind it, as many phones write
_JPEG_START = b"\xff\xd8"
_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_SKIPPED_MARKERS = (0xC4, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE)  # tables, restarts, JFIF, Adobe, comment: not EXIF (E1)
_HEAD = 4096  # bytes: of a JPEG without EXIF, all that stands before its size
_COPY_AGAIN = "Copy it again or delete it."
# What Pillow's readers raise for damaged data, each format its own (AVIF: RuntimeError).
_DAMAGED = (OSError, SyntaxError, ValueError, RuntimeError, EOFError)


class PhotoError(ValueError):
    """An image that cannot be read.

    Attributes:
        what: what was found.
        fix: what to do.
    """

    def __init__(self, name: str, what: str, fix: str) -> None:
        super().__init__(name, what, fix)  # all three, so that the error can be pickled
        self.name, self.what, self.fix = name, what, fix

    def __str__(self) -> str:
        return f"{self.name}: {self.what}. {self.fix}"


@dataclass(frozen=True)
class PhotoInfo:
    """What an image's header says.

    Attributes:
        format: Pillow's name of it, such as ``JPEG`` or ``PNG``.
        mode: Pillow's name of the pixel layout, such as ``RGB`` or ``CMYK``.
        width: pixels as stored, before any EXIF rotation.
        height: pixels as stored, before any EXIF rotation.
        orientation: EXIF orientation, 1 (upright) to 8.
    """

    format: str
    mode: str
    width: int
    height: int
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """``(width, height)`` as a viewer shows the image."""
        aside = self.orientation in _TURNED_ASIDE
        return (self.height, self.width) if aside else (self.width, self.height)

    @property
    def plain_jpeg(self) -> bool:
        """Whether TensorFlow shows these bytes as a viewer does: an upright JPEG in RGB or grey.

        TensorFlow knows no EXIF rotation, and gives CMYK pixels other colours.
        """
        return self.format in _JPEG_FORMATS and self.orientation == 1 and self.mode in ("RGB", "L")


@dataclass(frozen=True, eq=False)
class Square:
    """A photo as a model sees it.

    Attributes:
        pixels: uint8, shape (side, side, 3), RGB.
        scale: ``(x, y)``; a point of the photo times it is the point in the square.
        width: of the photo, in pixels.
        height: of the photo, in pixels.
    """

    pixels: np.ndarray
    scale: tuple[float, float]
    width: int
    height: int


def read_info(source: Source) -> PhotoInfo:
    """Read an image's header.

    The pixels stay unread, but for a PNG, whose EXIF rotation may stand behind them.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image.
    """
    head = source if isinstance(source, bytes) else _first_bytes(source, _HEAD)
    if head and (info := _plain_jpeg_info(head)):
        return info
    with _open(source) as image:
        return _info(image)


def prove_whole(data: bytes) -> PhotoInfo:
    """Read an image to the end of its data, and raise where it is cut off or damaged.

    A JPEG is decoded at an eighth of its size, which still reads all its coded data and costs a
    tenth of a full decode; damage in the middle, which Pillow passes over, is found too.

    Raises:
        PhotoError: it is no image, or not a whole one.
    """
    if not data.startswith(_JPEG_START):
        with _open(data) as image:
            info = _info(image)
            _load(image)
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
    if not data.startswith(_JPEG_START):
        with _open(data) as image:
            info = _info(image)
            _load(image)
            grey, box = _rgb(image).convert("L"), None
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
            raise PhotoError("the image", f"damaged or cut off ({error})", _COPY_AGAIN) from error
    with _open(data) as image:
        _load(image)
    return simplejpeg.decode_jpeg(data, "GRAY", min_height=least, min_width=least, strict=False)[..., 0]


def to_rgb(source: Source | Image.Image | np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return an image's pixels, whatever its format and mode.

    Transparency is laid over white; 16-bit grey is scaled to 8 bits; of an animation the first
    frame is taken. A file's EXIF rotation is applied, as viewers do, unless ``size`` says otherwise;
    a Pillow image or an array is taken as its pixels lie, since whoever draws on it sees it so.

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
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        _load(source)
        return np.asarray(_rgb(source))
    with _open(source) as image:
        _load(image)
        return np.asarray(_rgb(_turned(image, size)))


def letterbox(source: Source | Image.Image | np.ndarray, side: int) -> Square:
    """Scale an image to fit a square from its top left corner; the rest gets the ImageNet mean colour.

    Args:
        source: as `to_rgb` takes it, and turned as there.
        side: of the square, in pixels.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or not a whole one.
        TypeError: an array of another type or shape.
    """
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        _load(source)
        return _fit(_rgb(source), source.size, side)
    with _open(source) as image:
        size = _info(image).upright_size
        # JPEG can be decoded at a half, a quarter or an eighth: of a phone's photo that is most of the time.
        image.draft("RGB", _fitting(image.size, side))
        _load(image)
        return _fit(_rgb(_turned(image, None)), size, side)


def to_jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """Encode uint8 RGB pixels of shape (h, w, 3) as a JPEG that TensorFlow reads."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _open(source: Source) -> Image.Image:
    name = "the image" if isinstance(source, bytes) else str(source)
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: there is no such file. Check the path.") from None
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise PhotoError(name, *_not_an_image(source, error)) from error


def _plain_jpeg_info(head: bytes) -> PhotoInfo | None:
    """Return what the beginning of a JPEG says, or None where Pillow has to look: EXIF, CMYK, no JPEG at all.

    The markers are those of Recommendation ITU-T T.81, table B.1.
    """
    at = len(_JPEG_START)
    if not head.startswith(_JPEG_START):
        return None
    while at + 10 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAME_MARKERS:
            precision, height, width, components = struct.unpack_from(">BHHB", head, at + 4)
            if precision == 8 and components in (1, 3) and 0 < width * height <= (Image.MAX_IMAGE_PIXELS or 0):
                return PhotoInfo("JPEG", "L" if components == 1 else "RGB", width, height, 1)
            return None
        if marker not in _SKIPPED_MARKERS:
            return None
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _not_an_image(source: Source, error: Exception) -> tuple[str, str]:
    """Return what was found, and what to do."""
    start = source[:64] if isinstance(source, bytes) else _first_bytes(source, 64)
    if start is None:
        return f"cannot be opened ({error})", "Check the file and its permissions."
    if not start:
        return "the file is empty", _COPY_AGAIN
    if start.startswith(_LFS_START):
        return "a Git LFS pointer, not the image itself", "Run 'git lfs pull'."
    if start.lstrip()[:1] == b"<":
        return "a web page, not an image", "Download the image again."
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels to open safely ({error})", "Scale it down first."
    return f"not an image that can be read, its first bytes are {start[:8]!r}", "Convert it to JPEG or PNG."


def _first_bytes(path: str | os.PathLike[str], count: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None


def _info(image: Image.Image) -> PhotoInfo:
    with _damage_reported(image):
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    # Pillow turns a TIFF itself, and gives its upright size from the start.
    orientation = orientation if orientation in range(1, 9) and image.format != "TIFF" else 1
    return PhotoInfo(image.format or "", image.mode, image.width, image.height, orientation)


def _load(image: Image.Image) -> None:
    with _damage_reported(image):
        image.load()


@contextlib.contextmanager
def _damage_reported(image: Image.Image) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        name = getattr(image, "filename", "") or "the image"
        raise PhotoError(name, f"damaged or cut off ({error})", _COPY_AGAIN) from error


def _turned(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """Turn an image upright, but for one whose stored frame alone has the size."""
    info = _info(image)
    if size is None or info.upright_size == tuple(size) or (image.width, image.height) != tuple(size):
        return ImageOps.exif_transpose(image)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, np.float32)
        deep = image.mode.startswith("I;16") or grey.max() > 255  # 16-bit, in modes that could hold more
        image = Image.fromarray(np.clip(grey / 256 if deep else grey, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


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


def _fit(image: Image.Image, size: tuple[int, int], side: int) -> Square:
    """Put an RGB image of a photo of this size, which may be scaled down already, into a square."""
    fit = _fitting(size, side)
    if image.size != fit:
        # Pillow's bilinear filter widens when shrinking, so no pixel is skipped; reducing_gap lets it
        # shrink by a whole factor first where the image is many times too large.
        image = image.resize(fit, Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = MEAN_RGB
    square[: fit[1], : fit[0]] = image
    return Square(square, (fit[0] / size[0], fit[1] / size[1]), *size)
