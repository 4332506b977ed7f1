"""Keras Applications' ImageNet weights of MobileNetV2: from Keras' cache, or downloaded into it, proven whole.

The file is read tensor by tensor; no Keras model is built, and nothing here needs TensorFlow.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfod_helpers import workspace

# keras/src/applications/mobilenet_v2.py: the address, and the widths that have weights.
ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
PUBLISHED_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# Only these are known; every file is also checked tensor by tensor against the backbone it is for.
_SHA256 = {0.35: "3843eff250b023fe4fe4dcd7b0c43146335374da75e17c3b4b3c4344ede214f1"}
_ATTEMPTS = 3
_WAIT_SECONDS = 1.0  # before the second attempt; twice that before the third
_TIMEOUT_SECONDS = 10.0

Tensors = list[tuple[str, np.ndarray]]


def cache_path(width: float) -> Path:
    """Return where Keras keeps the ImageNet weights of a MobileNetV2 without top, whether they are there or not.

    The folder is ``models`` in ``$KERAS_HOME``, else in ``~/.keras``, as in ``keras.config``.
    """
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path(tempfile.gettempdir())
    keras_home = Path(os.environ.get("KERAS_HOME") or home / ".keras").expanduser()
    return keras_home / "models" / f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width)}_224_no_top.h5"


def fetch(width: float, check: Callable[[Tensors, str], None]) -> Tensors:
    """Read Keras' cached file, or download it into the cache.

    Args:
        width: the width multiplier, one of `PUBLISHED_WIDTHS`.
        check: takes the tensors and what to call the file, and raises ValueError where they do not
            fit the model; such a file is not kept.

    Raises:
        OSError: the file could not be had; the message says why.
    """
    path = cache_path(width)
    if path.is_file():
        try:
            return _checked(path, str(path), check)
        except ValueError as error:
            print(f"{error} Downloading it anew.")
    address = ADDRESS + path.name
    for attempt in range(_ATTEMPTS):
        time.sleep(_WAIT_SECONDS * attempt)
        try:
            with workspace.whole_file(path) as part:
                _download(address, part)
                tensors = _checked(part, "the file that came", check)
                _check_hash(part, width)
            return tensors
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error)
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                break  # the server would say the same again
    raise ConnectionError(reason)


def read(path: Path, origin: str) -> Tensors:
    """Return every tensor of a Keras ``.h5`` weights file in layer order, with its name.

    Raises:
        ValueError: it is no such file, or not a whole one; the message calls it ``origin``.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            layers = [file[_text(name)] for name in file.attrs["layer_names"]]
            return [(_text(name), layer[name][()]) for layer in layers for name in layer.attrs["weight_names"]]
    except FileNotFoundError:
        raise FileNotFoundError(f"{origin}: there is no weights file here. Check the path.") from None
    except (OSError, KeyError, TypeError) as error:
        with path.open("rb") as file:
            page = file.read(64).lstrip()[:1] == b"<"
        what = "a web page" if page else f"damaged, cut off or of another kind ({error})"
        raise ValueError(f"{origin}: not a Keras weights file (HDF5) but {what}. Fetch it again.") from error


def _checked(path: Path, origin: str, check: Callable[[Tensors, str], None]) -> Tensors:
    tensors = read(path, origin)
    check(tensors, origin)
    return tensors


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _download(address: str, part: Path) -> None:
    from tqdm import tqdm

    # A connection that breaks off ends the reading quietly; HDF5 notices, because it knows its file's length.
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer, part.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0) or None
        with tqdm(total=size, unit="B", unit_scale=True, desc="ImageNet weights") as progress:
            while block := answer.read(1 << 16):
                progress.update(file.write(block))


def _check_hash(part: Path, width: float) -> None:
    with part.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != _SHA256.get(width, sha256):
        raise ValueError(f"the file that came is not the published one: its SHA-256 is {sha256}")
