"""What a person hands over as a photo or as several -> what can be decoded, one by one; or why not, in words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from tfod_helpers.photos.photo import Source

_HOW = "a path, a Pillow image, an array, or the bytes of an image file"


def several(given: Any) -> Iterable[Any] | None:
    """Return photos that can be gone through once, or None where one photo was given.

    Several are a list, a generator, what ``Path.glob`` returns, a table's column of paths, or an array or a tensor of
    shape (n, h, w, 3).

    Raises:
        TypeError: it is neither; the message says what to give.
    """
    if isinstance(given, str | os.PathLike | bytes | bytearray | Image.Image) or hasattr(given, "read"):
        return None
    if isinstance(given, Mapping | set | frozenset):
        raise TypeError(f"A {type(given).__name__} of photos cannot be told which result is whose. Give a list.")
    if hasattr(given, "__array__"):
        array = _array(given)
        return array if array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OU") else None
    if isinstance(given, Iterable):
        return given
    raise TypeError(f"A photo is {_HOW}, and several are a list of them; got {_shown(given)}.")


def one(given: Any) -> Source | Image.Image | np.ndarray:
    """Return one photo as something that can be decoded: tensors become arrays, open files are read from their start.

    Raises:
        TypeError: it is none; the message says what to give.
    """
    if isinstance(given, str | os.PathLike | bytes | Image.Image | np.ndarray):
        return given
    if isinstance(given, bytearray):
        return bytes(given)
    if hasattr(given, "read"):
        with contextlib.suppress(AttributeError, OSError):  # one that comes from the net cannot go back
            given.seek(0)
        if isinstance(data := given.read(), bytes):
            return data
        raise TypeError("A photo's file must be opened for bytes: open(path, 'rb').")
    if hasattr(given, "__array__"):
        return _array(given)
    raise TypeError(f"A photo is {_HOW}; got {_shown(given)}.")


def _array(given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except Exception as error:  # each library has its own for a tensor without values or on another device
        first = str(error).partition("\n")[0]
        raise TypeError(
            f"{type(given).__name__} cannot be made an array ({first}). Give its values: a.numpy()."
        ) from error


def _shown(given: Any) -> str:
    missing = ", which is what cv2.imread gives for a file that it cannot read" if given is None else ""
    return f"{type(given).__name__}{missing}"
