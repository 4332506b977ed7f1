"""Masks in COCO's compressed run-length encoding, checked here, as pycocotools ends the process on bad ones.

A mask is run-length encoded down the columns: how many pixels are outside, then inside, then outside, ... Each
length, from the fourth on less the one two before, is written in groups of 5 bits, as ``rleToString`` of
pycocotools/common/maskApi.c does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

RLE = "rle"  # of a detection's data: its mask, encoded as in `LabelledImage`
_MOST_BYTES = 20_000  # of encodings that are decoded at a time: what a processor's cache holds
_MOST_GROUPS = 7  # of 5 bits, in a length; more would be a photo of terapixels


def run_lengths(counts: bytes) -> list[int]:
    """Return the lengths of the runs.

    Raises:
        ValueError: it is no such encoding.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in counts:
        bits = letter - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{chr(letter)!r} is no part of a run-length encoding")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:  # the sign
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("it is cut off")
    return lengths


def decode(counts: bytes, width: int, height: int) -> np.ndarray:
    """Return a mask's pixels: uint8, shape (height, width), zeros and ones.

    Raises:
        ValueError: it is not a mask of the size.
    """
    runs = run_lengths(counts)
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"a mask has {sum(runs)} pixels in its runs, and the image {width * height}")
    ones = np.arange(len(runs)) % 2  # runs of zeros and of ones take turns, down the columns
    return np.ascontiguousarray(np.repeat(ones.astype(np.uint8), runs).reshape(width, height).T)


def encode(pixels: np.ndarray) -> bytes:
    """Return a mask's encoding.

    Args:
        pixels: of any type, shape (height, width); what is not 0 is inside.
    """
    from pycocotools import mask

    counts: bytes = mask.encode(np.asfortranarray(pixels != 0).view(np.uint8))["counts"]
    return counts


def runs(pixels: np.ndarray) -> np.ndarray:
    """Return the lengths of a mask's runs, not compressed: int64, that of what is outside first.

    Args:
        pixels: bool, shape (height, width).
    """
    column = pixels.ravel(order="F")
    changes = np.flatnonzero(column[1:] != column[:-1]) + 1
    return np.diff(np.concatenate([[0] * (1 + int(column[0])), changes, [len(column)]]))


def areas(counts: Sequence[bytes], pixels: np.ndarray) -> np.ndarray:
    """Return how many pixels are inside of each of many masks.

    Args:
        counts: the encodings, n.
        pixels: int, shape (n,): how many pixels the whole of each has, inside and outside.

    Returns:
        int64, shape (n,); -1 where it is no encoding, or one of another number of pixels.
    """
    parts = [_areas(counts[start:end], pixels[start:end]) for start, end in _parts(counts)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _parts(counts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield where parts of `_MOST_BYTES`, of one mask at least, begin and end."""
    ends = np.cumsum([len(one) for one in counts])
    cuts = np.flatnonzero(np.diff(ends // _MOST_BYTES)) + 1
    yield from itertools.pairwise(sorted({0, *cuts.tolist(), len(counts)}))


def _areas(counts: Sequence[bytes], pixels: np.ndarray) -> np.ndarray:
    bits = np.frombuffer(b"".join(counts), np.uint8) - np.uint8(48)
    lengths = np.array([len(one) for one in counts])
    bad, final = lengths == 0, np.cumsum(lengths) - 1
    ends = np.flatnonzero((bits & 0x20) == 0)  # of the groups of a number
    groups = np.diff(ends, prepend=-1)
    bad[~bad] = (bits[final[~bad]] & 0x20) != 0  # cut off
    for wrong in (np.flatnonzero(bits > 63), ends[groups > _MOST_GROUPS]):
        bad[np.searchsorted(final, wrong)] = True
    if bad.any():  # what a bad one holds would run over into the next
        found = np.full(len(counts), -1, np.int64)
        good = np.flatnonzero(~bad)
        if len(good):
            found[good] = _areas([counts[number] for number in good], pixels[good])
        return found
    numbers = np.zeros(len(ends), np.int64)
    starts, some = ends - groups + 1, np.arange(len(ends))
    for place in range(int(groups.max())):
        some = some[groups[some] > place]
        numbers[some] |= (bits[starts[some] + place] & 0x1F).astype(np.int64) << (5 * place)
    numbers -= np.where(bits[ends] & 0x10, np.int64(1) << (5 * groups), 0)  # the sign
    return _inside(numbers, np.diff(np.searchsorted(ends, final), prepend=-1), pixels)


def _inside(numbers: np.ndarray, counts: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the areas from all numbers of all masks, and how many each mask has."""
    first = np.cumsum(counts) - counts
    place = np.arange(len(numbers)) - np.repeat(first, counts)  # in its mask
    odd = (place & 1).astype(bool)
    inside, negative = _summed(numbers[odd], counts // 2)
    outside, below = _summed(numbers[~odd & (place > 0)], (counts - 1) // 2)
    outside += numbers[first]  # which stands alone; the others are differences to the one two before
    wrong = negative | below | (numbers[first] < 0) | (inside + outside != pixels)
    return np.where(wrong, -1, inside)


def _summed(steps: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of each mask's runs, from the differences between them, and whether one of them is below 0."""
    ends = np.cumsum(counts)
    starts = ends - counts
    run = np.concatenate([[0], np.cumsum(steps)])
    runs = run[1:] - np.repeat(run[starts], counts)
    total = np.concatenate([[0], np.cumsum(runs)])
    below = np.concatenate([[0], np.cumsum(runs < 0)])
    return total[ends] - total[starts], below[ends] > below[starts]
