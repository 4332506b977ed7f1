"""JPEGs as cameras and phones write them, which Pillow and TensorFlow read and a stricter decoder refuses."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

_SOS, _SOF = 0xDA, 0xC0
_DC, _EOB = {0: "00", 5: "100101", -5: "100010"}, "1010"  # Huffman codes of JPEG's table K.3, and of K.5


def plain(width: int = 160, height: int = 120) -> bytes:
    """A smooth picture in colour."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x * 3 + y) % 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG")
    return buffer.getvalue()


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each part up to the coded data."""
    marker, at = 0, 2
    while marker != _SOS:
        marker, end = data[at + 1], at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield marker, at, end
        at = end


def with_bytes_before(part: int) -> bytes:
    """A picture with some bytes before one of its parts; the last one is the end of the file."""
    data = plain()
    starts = [start for _, start, _ in _segments(data)] + [len(data) - 2]
    return data[: starts[part]] + b"\x00\x12\x34\x56" + data[starts[part] :]


def with_scan_parameters(*numbers: int) -> bytes:
    """A picture whose scan says what only a progressive one may: "Invalid SOS parameters for sequential JPEG"."""
    data = plain()
    end = next(end for marker, _, end in _segments(data) if marker == _SOS)
    return data[: end - 3] + bytes(numbers) + data[end:]


def sampled(across: int, down: int, blocks: int = 5) -> bytes:
    """A grey picture of so many luma blocks for each chroma block across and down."""
    data = plain(8 * across * blocks, 8 * down * blocks)
    *parts, (_, _, end) = _segments(data)
    head = bytearray(data[:end])
    head[next(start for marker, start, _ in parts if marker == _SOF) + 11] = across << 4 | down
    draws, level, bits = random.Random(0), 0, ""
    for _ in range(blocks * blocks):
        for _ in range(across * down):
            step = draws.choice([step for step in _DC if abs(level + step) <= 40])
            level += step
            bits += _DC[step] + _EOB
        bits += "0000" * 2  # chroma: no colour
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return bytes(head) + coded + b"\xff\xd9"


GOOD = {
    **{f"bytes before part {part}": with_bytes_before(part) for part in range(1, 9)},
    "bytes before the end": with_bytes_before(-1),
    "scan of no coefficients": with_scan_parameters(0, 0, 0),
    "scan of some coefficients": with_scan_parameters(0, 62, 0),
    "scan of later bits": with_scan_parameters(0, 63, 1),
    **{f"{across}x{down} samples": sampled(across, down) for across, down in ((4, 2), (2, 4), (3, 1), (1, 3), (3, 2))},
}
