"""Label Studio's brush strokes -> the box around them.

They are stored as run-length encoding by @thi.ng/rle-pack: bits, first how many values (32 bits), how many bits a
value has less one (5), and four sizes of counts less one (4 each). Then runs: a bit whether one value repeats, which
of the four sizes its count has (2), the count less one, and the value, or that many values. The values are the red,
green, blue and alpha of each pixel, row by row, and a pixel is painted where its alpha is not 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfod_helpers.formats import shapes

_ALPHA, _CHANNELS = 3, 4


def bounds(rle: Any, size: tuple[float | None, float | None]) -> shapes.Bounds:
    """Return the box around the painted pixels, without unpacking them.

    Args:
        rle: the encoding, a list of whole numbers from 0 to 255.
        size: width and height of the image in pixels.

    Raises:
        ValueError: it cannot be read, or nothing is painted; the message says why.
    """
    width, height = (int(side) if side and side >= 1 else 0 for side in size)
    if not isinstance(rle, list) or any(type(one) is not int or not 0 <= one <= 255 for one in rle):
        raise ValueError("its rle is no list of bytes")
    if not width or not height:
        raise ValueError("the brush stroke comes without original_width and original_height")
    found: list[shapes.Bounds] = []
    for start, end in _painted(_Bits(bytes(rle)), width * height):
        top, bottom = start // width, end // width
        # A run that goes on in the next row touches both sides.
        left, right = (start % width, end % width) if top == bottom else (0, width - 1)
        found.append((left, top, right + 1, bottom + 1))
    if not found:
        raise ValueError("nothing of the brush stroke is left")
    return shapes.around([corner for xmin, ymin, xmax, ymax in found for corner in ((xmin, ymin), (xmax, ymax))])


class _Bits:
    """The bits of some bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{one:08b}" for one in data)
        self._at = 0

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        start, self._at = self._at, self._at + count
        if self._at > len(self._bits):
            raise ValueError("the brush stroke is cut off")
        return int(self._bits[start : self._at], 2)


def _painted(bits: _Bits, pixels: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last pixel of each run that has alpha."""
    values = bits.read(32)
    if values != pixels * _CHANNELS:
        raise ValueError(f"the brush stroke has {values // _CHANNELS} pixels, and the image {pixels}")
    width = bits.read(5) + 1
    counts = [bits.read(4) + 1 for _ in range(4)]
    at = 0
    while at < values:
        repeats, end = bits.read(1), at + 1
        end += bits.read(counts[bits.read(2)])
        if end > values:
            raise ValueError("the brush stroke is longer than the image")
        if repeats:
            first = (at - _ALPHA + _CHANNELS - 1) // _CHANNELS  # the first pixel whose alpha is in the run
            last = (end - 1 - _ALPHA) // _CHANNELS
            if bits.read(width) and first <= last:
                yield first, last
        else:
            for place in range(at, end):
                if bits.read(width) and place % _CHANNELS == _ALPHA:
                    yield place // _CHANNELS, place // _CHANNELS
        at = end
