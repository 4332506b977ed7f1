"""Masks in COCO's compressed run-length encoding, read without pycocotools, which ends the process on bad ones.

A mask is run-length encoded down the columns: how many pixels are outside, then inside, then outside, ... Each
length, from the fourth on less the one two before, is written in groups of 5 bits, as ``rleToString`` of
pycocotools/common/maskApi.c does.
"""

from __future__ import annotations


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
