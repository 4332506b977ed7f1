"""An image file or its bytes -> RGB pixels the right way up, or a word about why not.

The bytes decide what a file is, never its ending. Nothing in this module needs TensorFlow.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Source = str | os.PathLike[str] | bytes
_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
_TURNED_ASIDE = range(5, 9)  # orientations that swap width and height
_LFS_START = b"version https://git-lfs"


class PhotoError(ValueError):
    """An image that cannot be read: what was found, and what to do."""


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


def read_info(source: Source) -> PhotoInfo:
    """Read an image's header; the pixels stay unread.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image.
    """
    with _open(source) as image:
        return _info(image)


def prove_whole(data: bytes) -> PhotoInfo:
    """Read an image to the end of its data, and raise where it is cut off or damaged.

    A JPEG is decoded at an eighth of its size, which still reads all its coded data and costs a
    tenth of a full decode.

    Raises:
        PhotoError: it is no image, or not a whole one.
    """
    with _open(data) as image:
        info = _info(image)
        if image.format == "JPEG":
            image.draft(image.mode, (image.width // 8, image.height // 8))
        _load(image)
        return info


def to_rgb(source: Source | Image.Image | np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return an image's pixels, whatever its format and mode.

    Transparency is laid over white; 16-bit grey is scaled to 8 bits; of an animation the first
    frame is taken. An EXIF rotation is applied, as viewers do, unless ``size`` says otherwise.

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
        return _pixels(source, size)
    with _open(source) as image:
        return _pixels(image, size)


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
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise PhotoError(_not_an_image(source, name, error)) from error


def _not_an_image(source: Source, name: str, error: Exception) -> str:
    start = source[:64] if isinstance(source, bytes) else _first_bytes(source)
    if start is None:
        return f"{name}: cannot be opened ({error}). Check the file and its permissions."
    if not start:
        return f"{name}: the file is empty. Copy it again or delete it."
    if start.startswith(_LFS_START):
        return f"{name}: a Git LFS pointer, not the image itself. Run 'git lfs pull'."
    if start.lstrip()[:1] == b"<":
        return f"{name}: a web page, not an image. Download the image again."
    if isinstance(error, Image.DecompressionBombError):
        return f"{name}: too many pixels to open safely ({error}). Scale it down first."
    return f"{name}: not an image that can be read, its first bytes are {start[:8]!r}. Convert it to JPEG or PNG."


def _first_bytes(path: str | os.PathLike[str]) -> bytes | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(64)
    except OSError:
        return None


def _info(image: Image.Image) -> PhotoInfo:
    orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    return PhotoInfo(image.format or "", image.mode, image.width, image.height, orientation)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        name = getattr(image, "filename", "") or "the image"
        raise PhotoError(f"{name}: damaged or cut off ({error}). Copy it again or delete it.") from error


def _pixels(image: Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    _load(image)
    info = _info(image)
    if size is None or info.upright_size == tuple(size) or (image.width, image.height) != tuple(size):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, np.float32)
        image = Image.fromarray(np.clip(grey / 256 if grey.max() > 255 else grey, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _from_array(array: np.ndarray) -> Image.Image:
    shape = array.shape[:2] if array.ndim == 3 and array.shape[2] == 1 else array.shape
    if array.dtype != np.uint8 or not (len(shape) == 2 or len(shape) == 3 and shape[2] in (3, 4)) or 0 in shape:
        raise TypeError(
            f"An image array must be uint8 of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), "
            f"got {array.dtype} of shape {array.shape}. Scale to 0..255 and convert with .astype('uint8')."
        )
    return Image.fromarray(array.reshape(shape))
