"""Images of more than 8 bits a pixel, in the ways that cameras and scientific programs write them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits: shape (h, w), or (h, w, 2) with alpha, (h, w, 3), (h, w, 4)."""
    height, width, bands = (*pixels.shape, 1)[:3]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(pixels: np.ndarray, order: str = "<", compressed: bool = False) -> bytes:
    """A TIFF of one strip, of the array's own numbers: shape (h, w), (h, w, 3) or (h, w, 4) with alpha."""
    height, width, bands = (*pixels.shape, 1)[:3]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if compressed else data
    kind, bits = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind], pixels.dtype.itemsize * 8
    tags = {256: [width], 257: [height], 258: [bits] * bands, 259: [8 if compressed else 1]}
    tags |= {262: [2 if bands > 2 else 1], 273: [0], 277: [bands], 278: [height], 279: [len(data)]}
    tags |= ({338: [2]} if bands == 4 else {}) | {339: [kind] * bands}
    start = 8 + 2 + 12 * len(tags) + 4
    beyond = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [start + beyond]
    entries, behind = b"", b""
    for tag, values in tags.items():
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, behind = struct.pack(f"{order}I", start + len(behind)), behind + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + behind + data


# How each is written, the numbers that it can hold, and how many a pixel.
WRITERS: dict[str, tuple[Callable[[np.ndarray], bytes], tuple[str, ...], int]] = {
    "PNG": (png, ("u2",), 1),
    "PNG with alpha": (png, ("u2",), 2),
    "PNG in colour": (png, ("u2",), 3),
    "PNG in colour with alpha": (png, ("u2",), 4),
    "TIFF": (tiff, ("u2", "i2", "i4", "u4", "f4"), 1),
    "TIFF of a Mac": (partial(tiff, order=">"), ("u2", "i2", "i4", "f4"), 1),
    "TIFF, compressed": (partial(tiff, compressed=True), ("u2", "i2", "i4", "u4", "f4"), 1),
    "TIFF in colour": (tiff, ("u2",), 3),
    "TIFF in colour of a Mac": (partial(tiff, order=">"), ("u2",), 3),
    "TIFF in colour, compressed": (partial(tiff, compressed=True), ("u2",), 3),
    "TIFF in colour with alpha": (tiff, ("u2",), 4),
}
