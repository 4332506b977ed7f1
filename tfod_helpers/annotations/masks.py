"""Masks in COCO's compressed run-length encoding, checked here, as pycocotools ends the process on bad ones.

A mask is run-length encoded down the columns: how many pixels are outside, then inside, then outside, ... Each
length, from the fourth on less the one two before, is written in groups of 5 bits, as ``rleToString`` of
pycocotools/common/maskApi.c does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

_MOST_BYTES = 4_000_000  # of encodings that are decoded at a time
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
    """Yield where parts of some MB begin and end."""
    ends = np.cumsum([len(one) for one in counts])
    cuts = np.flatnonzero(np.diff(ends // _MOST_BYTES)) + 1
    yield from itertools.pairwise(sorted({0, *cuts.tolist(), len(counts)}))


def _areas(counts: Sequence[bytes], pixels: np.ndarray) -> np.ndarray:
    lengths = np.array([len(one) for one in counts])
    bits = np.frombuffer(b"".join(counts), np.uint8).astype(np.int64) - 48
    mask = np.repeat(np.arange(len(counts)), lengths)  # that each byte is of
    last = (bits & 0x20) == 0  # of the groups of a number
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    bad = np.zeros(len(counts), bool)
    bad[mask[(bits < 0) | (bits > 63)]] = True
    bad[lengths == 0] = True
    final = np.cumsum(lengths)[lengths > 0] - 1
    bad[mask[final[~last[final]]]] = True  # cut off
    bad[mask[ends[ends - starts >= _MOST_GROUPS]]] = True
    if bad.any():  # what a bad one holds would run over into the next
        found = np.full(len(counts), -1, np.int64)
        good = np.flatnonzero(~bad)
        if len(good):
            found[good] = _areas([counts[number] for number in good], pixels[good])
        return found
    shift = 5 * (np.arange(len(bits)) - np.repeat(starts, ends - starts + 1))
    numbers = np.add.reduceat((bits & 0x1F) << shift, starts) if len(starts) else np.zeros(0, np.int64)
    numbers -= np.where(bits[ends] & 0x10, 1 << (5 * (ends - starts + 1)), 0)
    return _inside(numbers, mask[ends], pixels)


def _inside(numbers: np.ndarray, mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the areas from all numbers of all masks, and the mask that each number is of."""
    first = np.searchsorted(mask, np.arange(len(pixels)))
    place = np.arange(len(numbers)) - first[mask]  # in its mask
    kind = np.where(place == 0, 0, 2 - place % 2)  # the first stands alone; the others are differences to two before
    order = np.lexsort((place, kind, mask))
    runs, summed = np.empty_like(numbers), np.cumsum(numbers[order])
    group = (mask * 3 + kind)[order]
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    before = np.repeat((summed - numbers[order])[begins], np.diff(begins, append=len(group)))
    runs[order] = summed - before
    total = np.bincount(mask, runs, len(pixels))
    inside = np.bincount(mask, runs * (place % 2), len(pixels)).astype(np.int64)
    negative = np.bincount(mask, runs < 0, len(pixels)) > 0
    return np.where(negative | (total != pixels), -1, inside)
