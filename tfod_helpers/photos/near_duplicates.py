"""Photos -> duplicates and near-duplicates: the same file twice, or one edited, scaled or saved again.

Two thumbnails of 16 x 16 grey pixels pass two tests. First a perceptual hash: their low frequencies (a discrete cosine
transform up to 8 half waves a side), each weighted with its frequency to the power 0.75, which undoes that all photos
have the same large shapes: sky above, ground below. These have to correlate by 0.86, which is the likeness that is
told. But photos of one scene, or of things that lie on white, correlate so well without being the same, so then one
thumbnail is made brighter or darker, moved and scaled by little, as a crop does it, until it fits the other one best:
nowhere within their borders may they still differ by more than 30 grey levels.

Measured: how many pairs of different photos are called nearly the same, and by the first test alone.

* of 494,515 of cats and dogs none (none);
* of 43,660 of cats and dogs cut out and put on white none (28);
* of 28,680 flat drawings of fruits on white, which are hard to tell apart, 1.2 % (11 %);
* of 19,900 of a chess board with other pieces 0.05 % (64 %);
* of 19,900 of one scene with a few small things elsewhere 3 % (93 %): those in which these are hardly seen.

What is too small for 16 x 16 pixels, such as a scratch on a circuit board, makes no difference at all. Copies are found
that were saved again, scaled to a quarter, made grey, brighter or darker by a fifth, all; less a border of 2 %, 98 of
100; less one of 3 %, 84. Mirrored copies, and larger crops, are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfod_helpers.photos.looks import SIDE, Look
from tfod_helpers.photos.photo import PhotoError

_HIGHEST = 8  # half waves a side
_POWER = 0.75
_ALIKE = 0.86
_DIFFERENT = 30.0  # grey levels, somewhere in the picture
_WHITE = 245.0  # where a photo that was made brighter has lost what was there
_MOVED = 1.0  # pixels of a thumbnail, at its edge: a crop moves it no further
_GAIN = (0.5, 2.0)
_PLAIN = 2.0  # grey levels: with less contrast, what is left to compare is noise
_TILE = 512  # photos compared with so many others at once: small enough for the processor's cache
_MOST = 8  # earlier photos that one is compared with by the second test, the most alike: of a film all would be


class Alike(NamedTuple):
    """A photo that is nearly the same as an earlier one.

    Attributes:
        photo: its number.
        other: the earlier one's.
        likeness: 0.86 to 1.
    """

    photo: int
    other: int
    likeness: float


def pairs(looks: Sequence[Look | PhotoError]) -> list[Alike]:
    """Return each photo's near-duplicates among those before it, the most alike first; of equal files only the first.

    Args:
        looks: of each photo, as `photos.look_at` returns it; one that cannot be read is in no pair.
    """
    first = [members[0] for members in equal_files(looks)]
    thumbnails = _thumbnails(looks, first)
    with_contrast = np.flatnonzero(thumbnails.std(axis=(1, 2)) > _PLAIN)
    thumbnails, numbers = thumbnails[with_contrast], np.array(first, int)[with_contrast]
    found: list[tuple[int, int, float]] = []
    for rows, columns, likeness in _candidates(frequencies(thumbnails)):
        same = np.flatnonzero(_difference(thumbnails[rows], thumbnails[columns]) <= _DIFFERENT)
        found += zip(
            numbers[rows[same]].tolist(), numbers[columns[same]].tolist(), likeness[same].tolist(), strict=True
        )
    return [Alike(*one) for one in found]


class Different:
    """Photos of which no two are near-duplicates, gathered one after the other, as from a film."""

    def __init__(self) -> None:
        self._digests = set[bytes]()
        self._count, self._thumbnails = 0, np.zeros((_TILE, SIDE, SIDE), np.uint8)
        self._frequencies = frequencies(self._thumbnails)

    def add(self, look: Look) -> bool:
        """Take a photo in unless it is a near-duplicate of one that was; return whether it was taken in."""
        own = frequencies(look.thumbnail[None])[0]
        likeness = self._frequencies[: self._count] @ own
        near = np.argsort(-likeness, kind="stable")[:_MOST]
        if look.digest in self._digests or same(self._thumbnails[near], look.thumbnail, likeness[near]).any():
            return False
        if self._count == len(self._thumbnails):
            self._thumbnails = np.concatenate([self._thumbnails, np.zeros_like(self._thumbnails)])
            self._frequencies = np.concatenate([self._frequencies, np.zeros_like(self._frequencies)])
        self._thumbnails[self._count], self._frequencies[self._count] = look.thumbnail, own
        self._digests.add(look.digest)
        self._count += 1
        return True


def groups(looks: Sequence[Look | PhotoError]) -> list[list[int]]:
    """Return duplicates and near-duplicates in disjoint groups: their numbers, two or more, in order.

    All members of a group are near-duplicates of its first one: where a second is like the first and a third only like
    the second, the third is in no group, or in one of its own.

    Args:
        looks: as for `pairs`.
    """
    leader: dict[int, int] = {}
    for photo, other, _ in pairs(looks):
        chosen = leader.get(other, other)
        if photo not in leader and (chosen == other or _same(looks, photo, chosen)):
            leader[photo] = chosen
    together: dict[int, list[int]] = defaultdict(list)
    for members in equal_files(looks):
        together[leader.get(members[0], members[0])] += members
    return [sorted(members) for members in together.values() if len(members) > 1]


def equal_files(looks: Sequence[Look | PhotoError]) -> list[list[int]]:
    """Return the numbers of the photos in disjoint groups, each of one file's bytes; most have one member."""
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for number, look in enumerate(looks):
        if isinstance(look, Look):
            by_digest[look.digest].append(number)
    return list(by_digest.values())


def _thumbnails(looks: Sequence[Look | PhotoError], numbers: Sequence[int]) -> np.ndarray:
    some = [look.thumbnail for number in numbers if isinstance(look := looks[number], Look)]
    return np.stack(some) if some else np.zeros((0, SIDE, SIDE), np.uint8)


def same(thumbnails: np.ndarray, other: np.ndarray, likeness: np.ndarray) -> np.ndarray:
    """Return which photos are nearly the same as another one: bool, shape (n,); a plain one is like none.

    Args:
        thumbnails: uint8, shape (n, 16, 16).
        other: that of the other one, uint8, shape (16, 16).
        likeness: float32, shape (n,): the products of their `frequencies`.
    """
    found = (likeness >= _ALIKE) & (other.std() > _PLAIN)
    which = np.flatnonzero(found)
    found[which] = thumbnails[which].std(axis=(1, 2)) > _PLAIN
    which = np.flatnonzero(found)
    found[which] = _difference(thumbnails[which], np.broadcast_to(other, (len(which), SIDE, SIDE))) <= _DIFFERENT
    return found


def _same(looks: Sequence[Look | PhotoError], one: int, other: int) -> bool:
    both = _thumbnails(looks, [one, other])
    first, second = frequencies(both)
    return bool(same(both[:1], both[1], np.array([first @ second]))[0])


def _candidates(vectors: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield photos, the earlier ones that each is most like, in that order, and their likeness, some at a time."""
    for start in range(0, len(vectors), _TILE):
        some: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for other in range(0, start + 1, _TILE):  # each pair once: a photo is compared with those before it
            near = vectors[start : start + _TILE] @ vectors[other : other + _TILE].T
            if start == other:
                near[np.triu_indices(len(near))] = 0
            alike = np.flatnonzero(near.max(axis=1) >= _ALIKE)
            if not len(alike):
                continue
            near = near[alike]
            best = np.argpartition(near, -min(_MOST, near.shape[1]), axis=1)[:, -_MOST:]
            rows, places = np.nonzero(np.take_along_axis(near, best, axis=1) >= _ALIKE)
            columns = best[rows, places]
            some.append((start + alike[rows], other + columns, near[rows, columns]))
        if some:
            rows, columns, likeness = (np.concatenate(arrays) for arrays in zip(*some, strict=True))
            order = np.lexsort((columns, -likeness, rows))
            rows, columns, likeness = rows[order], columns[order], likeness[order]
            kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < _MOST
            yield rows[kept], columns[kept], likeness[kept]


def frequencies(thumbnails: np.ndarray) -> np.ndarray:
    """Return what of thumbnails, shape (n, 16, 16), is compared: float32, shape (n, m), each of length 1.

    The product of two says how alike the photos are: 1 for the same one, about 0 for any two.
    """
    waves, places = np.mgrid[:SIDE, :SIDE]
    cosines = np.cos(np.pi * (places + 0.5) * waves / SIDE)
    cosines[0] /= np.sqrt(2)  # DCT-II, orthogonal but for one factor, which the length of 1 takes out
    frequency = np.hypot(waves, waves.T)
    chosen = (frequency > 0) & (frequency <= _HIGHEST)
    spectra = cosines @ thumbnails.astype(np.float64) @ cosines.T
    vectors = spectra[:, chosen] * frequency[chosen] ** _POWER
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)).astype(np.float32)


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return by how many grey levels pairs of thumbnails, shape (n, 16, 16), differ where they differ most.

    The darker one is fitted to the brighter one by linear least squares: gain, offset, and for small movements its
    slopes (Lucas and Kanade). Infinity where it has to be changed more than a copy is.
    """
    one, other = one.astype(np.float32), other.astype(np.float32)
    swapped = (one.mean(axis=(1, 2)) > other.mean(axis=(1, 2)))[:, None, None]
    dark, bright = np.where(swapped, other, one), np.where(swapped, one, other)
    down, right = np.gradient(dark, axis=(1, 2))
    y, x = (np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2) / (SIDE / 2)
    terms = np.stack([dark, np.ones_like(dark), right, down, x * right, y * down], axis=-1).reshape(
        len(dark), SIDE * SIDE, 6
    )
    wanted = bright.reshape(len(bright), SIDE * SIDE, 1)
    counts = ((terms[..., :1] < _WHITE) & (wanted < _WHITE)).astype(np.float32)
    counts[counts.mean(axis=(1, 2)) < 1 / 8] = 1
    weighted = (terms * counts).transpose(0, 2, 1)
    solved = np.linalg.solve(weighted @ terms + np.eye(6, dtype=np.float32), weighted @ wanted)
    left = np.abs((terms @ solved).clip(0, 255) - wanted).reshape(dark.shape)[:, 1:-1, 1:-1].max(axis=(1, 2))
    gain, (_, _, across, along, wider, higher) = solved[:, 0, 0], np.abs(solved[..., 0]).T
    moved = np.maximum(across + wider, along + higher)
    far = (gain < _GAIN[0]) | (gain > _GAIN[1]) | (moved > _MOVED * np.abs(gain))
    return np.where(far, np.inf, left)
