"""Photos, decoded once: proven whole, with the header's facts and a thumbnail that finds near-duplicates.

What was seen of a photo is cached by its path, size and modification time, in this process and in a file of the cache
folder for later ones. A photo whose file has changed is decoded again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image
from tqdm import tqdm

from tfod_helpers.files import storage, workspace
from tfod_helpers.files.workers import in_order
from tfod_helpers.photos.photo import COPY_AGAIN, JPEG_START, PhotoError, PhotoInfo, load, opened, read_info
from tfod_helpers.photos.pixels import decoded, turned

SIDE = 16  # pixels of a thumbnail
Stamp = tuple[int, int]  # of a file: bytes, and its modification time in nanoseconds

# What libjpeg says where coded data are wrong, at which Pillow and TensorFlow show a half grey picture.
_DAMAGE = ("remature end of", "bad Huffman code", "bad arithmetic code", "instead of RST")
_SETTLED = 100_000_000  # nanoseconds; a file that is younger may change again within one tick of the disk's clock
_MOST = 200_000  # photos in the cache file, about 70 MB
_KEPT = np.dtype(
    [
        ("key", "V16"),
        ("digest", "V32"),
        ("thumbnail", "u1", (SIDE, SIDE)),
        ("bytes", "<u8"),
        ("format", "S8"),
        ("mode", "S8"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("orientation", "u1"),
    ]
)


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of a whole photo.

    Attributes:
        digest: bytes that stand for the file's contents.
        thumbnail: uint8, shape (16, 16), the upright photo in grey.
        bytes: of the file.
        info: of its header.
    """

    digest: bytes
    thumbnail: np.ndarray
    bytes: int
    info: PhotoInfo


def look(data: bytes) -> Look:
    """Read an image to the end of its data, and raise where it is cut off or damaged.

    A JPEG is decoded at an eighth of its size, which still reads all its coded data and costs a
    tenth of a full decode; damage in the middle, which Pillow passes over, is found too.

    Raises:
        PhotoError: it is no image, or not a whole one.
    """
    if not data.startswith(JPEG_START):
        info, rgb = decoded(data)
        grey, box = rgb.convert("L"), None
    else:
        info = read_info(data)
        pixels = _small_grey(data, 2 * SIDE)
        grey = Image.fromarray(pixels)
        # At n eighths of the size the last row and column are only partly inside of the photo.
        high, wide = pixels.shape
        eighths = next((n for n in range(1, 9) if -(-max(info.width, info.height) * n // 8) == max(wide, high)), 8)
        box = (0, 0, min(info.width * eighths / 8, wide), min(info.height * eighths / 8, high))
    thumbnail = grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    return Look(hashlib.sha256(data).digest(), np.asarray(turned(thumbnail, info)), len(data), info)


def _small_grey(data: bytes, least: int) -> np.ndarray:
    """Decode a JPEG at the smallest scale that leaves so many pixels a side: uint8, shape (h, w), grey."""
    try:
        return simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, min_height=least, min_width=least)[..., 0]
    except ValueError as error:
        if any(sign in str(error) for sign in _DAMAGE):
            raise PhotoError("the image", f"damaged or cut off ({error})", COPY_AGAIN) from error
    # It knows only the common chroma samplings, and stops at what other decoders pass over, TensorFlow's too: bytes
    # between the parts of a file, as some cameras leave them, or a phone's odd scan parameters. Pillow decides.
    with opened(data) as image:
        image.draft("L", (least, least))
        load(image)
        return np.asarray(image.convert("L"))


def look_at(
    sources: Sequence[Path | bytes], *, workers: int | None = None, title: str = "Looking at photos"
) -> list[Look | PhotoError]:
    """Return what is seen of each photo, or why it cannot be read; those that have not changed are not read again.

    Args:
        sources: paths, or the bytes of image files, which are looked at each time.
        workers: how many photos are read at once; None takes one a core.
        title: of the progress bar.
    """
    found: list[Any] = [_remembered(source) for source in sources]
    unknown = [number for number, seen in enumerate(found) if seen is None]
    results = in_order(_look_at, [sources[number] for number in unknown], workers=workers)
    new = []
    for number, (seen, row) in zip(unknown, tqdm(results, title, len(unknown), unit="photo", delay=1), strict=True):
        found[number] = seen
        new.append(row)
    remember(b"".join(new))
    return found


def _look_at(source: Path | bytes) -> tuple[Look | PhotoError, bytes]:
    """Return what is seen of a photo, and what is to be remembered of that."""
    try:
        return (look(source), b"") if isinstance(source, bytes) else prove(source, *read(source))
    except PhotoError as error:
        return error, b""
    except OSError as error:
        what = f"it cannot be opened ({error.strerror})"
        return PhotoError(str(source), what, "Put the photo back, or read the dataset again."), b""


def read(path: Path) -> tuple[bytes, Stamp]:
    """Return the bytes of a photo, and the stamp of the file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        PhotoError: it changed while it was read.
    """
    found = storage.read_stamped(path)
    if found is None:
        raise PhotoError(str(path), "it changed while it was read", "Wait until it is complete, and try again.")
    return found


def prove(path: Path, data: bytes, stamp: Stamp) -> tuple[Look, bytes]:
    """Prove a photo whole whose bytes have been read; what these very bytes looked like is not looked at again.

    Returns:
        What is seen of it, and what is new of that, for `remember`: nothing of a file that changed just now.

    Raises:
        PhotoError: it is no image, or not a whole one.
    """
    key = _key(path, stamp)
    known = _find(key)
    if known and known.digest == hashlib.sha256(data).digest():
        return known, b""
    seen = look(data)
    if time.time_ns() - stamp[1] < _SETTLED or storage.is_remote(path):
        return seen, b""
    info = seen.info
    facts = info.format.encode(), info.mode.encode(), info.width, info.height, info.orientation
    return seen, np.array([(key, seen.digest, seen.thumbnail, seen.bytes, *facts)], _KEPT).tobytes()


# --- what was seen --------------------------------------------------------------------------------


def _key(path: Path, stamp: Stamp) -> bytes:
    text = f"{stamp[0]} {stamp[1]} {path.absolute()}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _remembered(source: Path | bytes) -> Look | None:
    """Return what was seen of a file as it is now."""
    if isinstance(source, bytes) or storage.is_remote(source):  # asking for the stamp takes as long as reading it
        return None
    with contextlib.suppress(OSError, ValueError):
        return _find(_key(source, storage.stamp(source)))
    return None


def _find(key: bytes) -> Look | None:
    if key not in _seen():
        return None
    _, digest, thumbnail, size, format, mode, *numbers = _seen()[key].item()
    return Look(digest, thumbnail, size, PhotoInfo(format.decode(), mode.decode(), *numbers))


@functools.cache
def _seen() -> dict[bytes, Any]:
    """Return what this process and earlier ones saw, each a row of `_KEPT`."""
    kept = _kept()
    return dict(zip(kept["key"].tolist(), kept, strict=True))


def _file() -> Path:
    return workspace.cache_folder() / "looks-2.npy"  # 2: photos of more than 8 bits are scaled by what they use


def _kept() -> np.ndarray:
    """Return what is in the file, the oldest first; nothing where there is none that is whole."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        kept = np.load(_file(), allow_pickle=False)
        if kept.dtype == _KEPT and kept.ndim == 1:
            return kept
    return np.zeros(0, _KEPT)


def remember(new: bytes) -> None:
    """Keep what `prove` saw of photos, for this process and for later ones.

    Several processes may do so at once: the file is always whole, and what one of them loses is looked at again.
    """
    if not new:
        return
    rows = np.frombuffer(new, _KEPT)
    _seen().update(zip(rows["key"].tolist(), rows, strict=True))
    # A cache folder that cannot be written to does no harm.
    with contextlib.suppress(OSError), workspace.whole_file(_file()) as part, part.open("wb") as file:
        np.save(file, np.concatenate([_kept(), rows])[-_MOST:], allow_pickle=False)
