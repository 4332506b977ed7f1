"""An image file, opened: what its header says, and why it cannot be read."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import simplejpeg
from PIL import Image, ImageFile

from tfod_helpers.files import storage
from tfod_helpers.problems import FixableError

Source = str | os.PathLike[str] | bytes
JPEG_START = b"\xff\xd8"
JPEG_FORMATS = ("JPEG", "MPO")  # MPO: a JPEG with more pictures behind it, as many phones write
COPY_AGAIN = "Copy it again or delete it."
_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
_TURNED_ASIDE = range(5, 9)  # orientations that swap width and height
_URL = re.compile("https?:/", re.IGNORECASE)
_LFS_START = b"version https://git-lfs"
# ISO/IEC 23008-12: a phone's photo begins with its length, "ftyp" and one of these.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MODES = {"Gray": "L", "RGB": "RGB", "YCbCr": "RGB"}  # Pillow's names of the colours in a JPEG
_HEAD = 4096  # bytes: of a JPEG without EXIF, all that stands before its size


class PhotoError(FixableError, ValueError):
    """An image that cannot be read."""


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
        return self.format in JPEG_FORMATS and self.orientation == 1 and self.mode in ("RGB", "L")


def read_info(source: Source) -> PhotoInfo:
    """Read an image's header.

    The pixels stay unread, but for a PNG, whose EXIF rotation may stand behind them.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image.
    """
    head = source if isinstance(source, bytes) else None if storage.is_remote(source) else _first_bytes(source, _HEAD)
    if head and (info := _plain_jpeg_info(head)):
        return info
    with opened(source) as image:
        return info_of(image)


def opened(source: Source) -> ImageFile.ImageFile:
    """Open an image with Pillow, its pixels still unread.

    Raises:
        FileNotFoundError: there is no such file.
        PhotoError: it is no image, or one too large to open safely.
    """
    name = "the image" if isinstance(source, bytes) else os.fsdecode(source)
    if not isinstance(source, bytes) and storage.is_remote(source):
        name, source = storage.address(source), storage.read_bytes(source)
    try:
        return _with_pillow(source)
    except FileNotFoundError:
        fix = "Give what glob.glob makes of it" if "*" in name else "Check the path"
        fix = "Download it first" if _URL.match(name) else fix
        raise FileNotFoundError(f"{name}: there is no such file. {fix}.") from None
    except Exception as error:  # each of Pillow's readers raises its own for damaged data
        start = (source[:64] if isinstance(source, bytes) else _first_bytes(source, 64)) or b""
        if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS and _learn_heif():
            with contextlib.suppress(Exception):
                return _with_pillow(source)
        raise PhotoError(name, *_not_an_image(source, error)) from error


def _with_pillow(source: Source) -> ImageFile.ImageFile:
    if not isinstance(source, bytes) and os.path.exists(source) and not os.path.isfile(source):
        raise OSError("it is no file")  # reading a named pipe would wait for ever
    with warnings.catch_warnings():
        # Between its limit and twice that Pillow only warns; here there is one limit.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


@functools.cache
def _learn_heif() -> bool:
    """Teach Pillow to open HEIC, where the plug-in is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _plain_jpeg_info(head: bytes) -> PhotoInfo | None:
    """Return what a JPEG's header says, or None where Pillow has to read it: EXIF, CMYK, no JPEG at all."""
    if not head.startswith(JPEG_START) or b"Exif\0" in head or b"MPF\0" in head:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(head)
    except ValueError:
        return None
    if colours not in _MODES or width * height > (Image.MAX_IMAGE_PIXELS or 0):
        return None
    return PhotoInfo("JPEG", _MODES[colours], width, height, 1)


def _not_an_image(source: Source, error: Exception) -> tuple[str, str]:
    """Return what was found, and what to do."""
    start = source[:64] if isinstance(source, bytes) else _first_bytes(source, 64)
    if not isinstance(source, bytes) and os.path.isdir(source):
        return "this is a folder, not a photo", "Give the photos in it."
    if start is None:
        return f"cannot be opened ({error})", "Check the file and its permissions."
    if not start:
        return "the file is empty", COPY_AGAIN
    if start.startswith(_LFS_START):
        return "a Git LFS pointer, not the image itself", "Run 'git lfs pull'."
    if start.lstrip()[:1] == b"<":
        return "a web page, not an image", "Download the image again."
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS and not _learn_heif():
        return "a HEIC photo, as phones write", "Install the plug-in (pip install pillow-heif), or convert it to JPEG."
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too many pixels to open safely ({error})", "Scale it down first."
    if start.startswith(JPEG_START):
        what = "damaged or cut off (its header cannot be read), or of a rare kind such as 12 bits"
        return what, "Copy it again, or save it as an ordinary JPEG."
    return f"not an image that can be read, its first bytes are {start[:8]!r}", "Convert it to JPEG or PNG."


def _first_bytes(path: str | os.PathLike[str], count: int) -> bytes | None:
    with contextlib.suppress(OSError, ValueError):  # ValueError: a null character in the name
        if os.path.isfile(path):  # reading a named pipe would wait for ever
            with open(path, "rb", buffering=0) as file:
                return file.read(count)
    return None


def info_of(image: Image.Image) -> PhotoInfo:
    """Return what the header of an open image says.

    Raises:
        PhotoError: its EXIF block is damaged.
    """
    with _damage_reported(image):
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    # Pillow turns a TIFF itself, and gives its upright size from the start.
    orientation = orientation if orientation in range(1, 9) and image.format != "TIFF" else 1
    return PhotoInfo(image.format or "", image.mode, image.width, image.height, orientation)


def load(image: Image.Image) -> None:
    """Read the pixels of an open image.

    Raises:
        PhotoError: it is damaged or cut off.
    """
    with _damage_reported(image):
        image.load()


@contextlib.contextmanager
def _damage_reported(image: Image.Image) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        name = getattr(image, "filename", "") or "the image"
        raise PhotoError(name, f"damaged or cut off ({error})", COPY_AGAIN) from error
