"""Images -> random splits, stratified by class, with near-duplicates and the frames of one video in the same one.

A photo's part follows from a hash of its name (weighted rendezvous hashing), so that it stays there when other photos
come or go, on every machine. Near-duplicates go together, by the one with the shortest name: copies and later frames
have longer ones. A group so large that the parts could not have their shares is of one scene, and is taken apart; equal
files never are. Frames of one video go together too, by their names; of a video that is too long its halves do, or
theirs, so that frames taken in a row are in two parts only where these meet. What chance leaves uneven is balanced by
Lagrange multipliers, here called prices: where a part holds too much of a class, its price rises there, until photos
that another part nearly got go to that one.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfod_helpers import photos
from tfod_helpers.photos import near_duplicates
from tfod_helpers.photos.frame_names import video_of

if TYPE_CHECKING:
    from tfod_helpers.annotations.labelled_image import LabelledImage

_UNEVEN, _FEW = 0.2, 1.5  # of a part's images, and images: groups that make it more uneven are taken apart
_NEAR = 0.03  # of a class's boxes in a part: so many more or fewer are even enough
_STEPS, _RATE, _SLOWER = 300, 0.5, 30  # of the prices: how many, the first one, after how many it is halved
_ROUNDS = 3  # over all images, for what the prices leave
_ROUNDING = 1e-9  # machines add up in another order, which must not decide

Scene = list[list[int]]  # groups of near-duplicates: of a video as its frames follow, else a single one


def share_out(
    images: Sequence[LabelledImage], fractions: Mapping[str, float], seed: int
) -> dict[str, list[LabelledImage]]:
    """Return the images of each part, shuffled.

    Args:
        images: the images; one that cannot be decoded is like no other.
        fractions: the share of each part.
        seed: another number gives another split.

    Raises:
        ValueError: the shares do not add up to 1, or a part would stay empty.
    """
    shares = list(fractions.values())
    if not shares or abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
        raise ValueError(f"Shares must be above 0 and add up to 1, got {dict(fractions)}.")
    ends = np.round(np.cumsum(shares) * len(images))
    for name, count in zip(fractions, np.diff(ends, prepend=0), strict=True):
        if count == 0:
            raise ValueError(f"{len(images)} images leave none for {name!r}. Give it a larger share.")
    names = _telling_names([image.path for image in images])
    groups, files = _same_pictures(images, names)
    if len(files) < len(shares):
        raise ValueError(
            f"{len(images)} images are {len(files)} different files, which is too few for {len(shares)} parts "
            f"without the same file in two of them. Add other photos."
        )
    part_of = _shared_out(images, names, groups, files, shares, seed)
    shuffled = sorted(part_of, key=lambda number: _digest(seed, names[number]))
    return {
        name: [images[number] for number in shuffled if part_of[number] == part] for part, name in enumerate(fractions)
    }


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogatepass")).digest()


def _draws(seed: int, name: str, shares: Sequence[float]) -> list[float]:
    """Return the random cost of a photo in each part; each part's is the lowest in its share of the photos.

    These are exponential variables with the shares as their rates. Where a share changes, only as many photos change
    their part as have to.
    """
    draws = (int.from_bytes(_digest(seed, f"{part}/{name}")[:8], "big") for part in range(len(shares)))
    return [-math.log((draw + 1) / 2**64) / share for draw, share in zip(draws, shares, strict=True)]


def _telling_names(paths: Sequence[Path]) -> list[str]:
    """Return each file's name; where several have the same, with as many folders before it as tell them apart."""
    every = dict.fromkeys(paths)  # a photo with several crops is one file
    names = {path: path.name for path in every}
    for depth in range(2, max((len(path.parts) for path in every), default=0) + 1):
        counts = Counter(names.values())
        if len(counts) == len(names):
            break
        names = {path: "/".join(path.parts[-depth:]) if counts[name] > 1 else name for path, name in names.items()}
    return [names[path] for path in paths]


def _same_pictures(images: Sequence[LabelledImage], names: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the numbers of the images that belong together, the shortest name first: near-duplicates; equal files."""
    order = sorted(range(len(images)), key=lambda number: (len(names[number]), names[number]))
    looks = photos.look_at([images[number].source for number in order], title="Comparing photos")
    found = []
    for groups in (near_duplicates.groups(looks), near_duplicates.equal_files(looks)):
        some = [[order[place] for place in group] for group in groups]
        together = {number for group in some for number in group}
        found.append([*some, *([number] for number in order if number not in together)])
    return found[0], found[1]


def _shared_out(
    images: Sequence[LabelledImage],
    names: Sequence[str],
    groups: list[list[int]],
    files: Sequence[list[int]],
    shares: Sequence[float],
    seed: int,
) -> dict[int, int]:
    """Return the part of each image, by its number; the largest groups are taken apart until the parts are even."""
    wanted = np.array(shares) * len(images)
    slack = np.maximum(_UNEVEN * wanted, _FEW)
    file_of = {number: place for place, file in enumerate(files) for number in file}
    scenes = _scenes(groups, names)
    taken_apart, videos = 0, set[str]()
    while True:
        part_of = _part_of(images, names, [_flat(scene) for scene in scenes], shares, seed)
        sizes = np.bincount(list(part_of.values()), minlength=len(shares))
        several = [scene for scene in scenes if len({file_of[number] for number in _flat(scene)}) > 1]
        scene = max(several, key=_size, default=[])
        uneven = (np.abs(sizes - wanted) > slack).any() and _size(scene) > slack.min()
        if not scene or not (uneven or sizes.min() == 0):
            break
        scenes = [one for one in scenes if one is not scene]
        pieces = [files[place] for place in sorted({file_of[number] for number in scene[0]})]
        if of_scene := _videos(scene, names):
            scenes += _halves(scene, pieces, names)
            videos |= of_scene
        else:
            scenes += [[piece] for piece in pieces]
            taken_apart += _size(scene)
    _tell(taken_apart, videos)
    return part_of


def _flat(groups: Sequence[list[int]]) -> list[int]:
    return [number for group in groups for number in group]


def _size(scene: Scene) -> int:
    return sum(map(len, scene))


def _videos(scene: Scene, names: Sequence[str]) -> set[str]:
    return {video for number in _flat(scene) if (video := video_of(names[number]))}


def _scenes(groups: Sequence[list[int]], names: Sequence[str]) -> list[Scene]:
    """Return the groups of each scene: those that hold frames of one video are of one."""
    of_video: dict[str, Scene] = {}
    others: list[Scene] = []
    for group in groups:
        scene = [group]
        for other in {id(of_video[one]): of_video[one] for one in _videos(scene, names) if one in of_video}.values():
            scene = other + scene
        if not (videos := _videos(scene, names)):
            others.append(scene)
        of_video |= dict.fromkeys(videos, scene)
    joined = {id(scene): sorted(scene, key=lambda group: names[group[0]]) for scene in of_video.values()}
    return [*others, *joined.values()]


def _halves(scene: Scene, files: Sequence[list[int]], names: Sequence[str]) -> list[Scene]:
    """Return the two halves of a video in time; where all of it is one group, those of the group's files."""
    if len(scene) > 1:
        return [scene[: len(scene) // 2], scene[len(scene) // 2 :]]
    inside = sorted(files, key=lambda file: names[file[0]])
    return [[_flat(inside[: len(inside) // 2])], [_flat(inside[len(inside) // 2 :])]]


def _tell(taken_apart: int, videos: set[str]) -> None:
    if taken_apart:
        print(
            f"{taken_apart} photos look so much alike, as of one scene, that no part could have its share with them "
            f"together. They are shared out one by one; where some were taken in a row, the parts resemble each other."
        )
    if videos:
        shown = ", ".join(repr(one) for one in sorted(videos)[:3]) + ", ..." * (len(videos) > 3)
        print(
            f"No part could have its share with all frames of a video together ({shown}). Stretches of it are shared "
            f"out; where two of them meet, the parts resemble each other. Photos of other videos would judge better."
        )


def _part_of(
    images: Sequence[LabelledImage],
    names: Sequence[str],
    groups: Sequence[list[int]],
    shares: Sequence[float],
    seed: int,
) -> dict[int, int]:
    """Return the part of each image, by its number; images of one group are in one part."""
    groups = sorted(groups, key=lambda group: names[group[0]])
    if len(groups) < len(shares):
        return dict.fromkeys(range(len(images)), 0)
    draws = [_draws(seed, names[group[0]], shares) for group in groups]
    parts = _parts(np.array(draws), _contents(images, groups), np.array(shares))
    return {number: part for group, part in zip(groups, parts, strict=True) for number in group}


def _contents(images: Sequence[LabelledImage], groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return what each group holds: its images, and its boxes of each class that there is; float64, shape (n, m).

    Each column is in its mean over the groups that hold any, so that 1 is what one group brings along.
    """
    contents = np.zeros((len(groups), 1 + max((int(image.labels.max(initial=0)) for image in images), default=0)))
    for content, group in zip(contents, groups, strict=True):
        content[0] = len(group)
        np.add.at(content, np.concatenate([images[number].labels for number in group]), 1)
    contents = contents[:, contents.any(axis=0)]
    return contents * (np.count_nonzero(contents, axis=0) / contents.sum(axis=0))


def _parts(draws: np.ndarray, contents: np.ndarray, shares: np.ndarray) -> list[int]:
    """Return the part of each group: where its random cost plus the prices of what it holds is lowest.

    Args:
        draws: shape (n, parts).
        contents: as `_contents` returns it.
        shares: shape (parts,).
    """
    wanted = shares[:, None] * contents.sum(axis=0)
    slack = np.maximum(_NEAR * wanted, 0.5)  # whole groups come no nearer than half of one
    slack[:, 0] = 0.5
    prices = np.zeros_like(wanted)
    for step in range(_STEPS):
        cost = draws + contents @ prices.T
        chosen = np.eye(len(shares))[cost.argmin(axis=1)]
        over = chosen.T @ contents - wanted
        over = np.sign(over) * (np.abs(over) - slack - _ROUNDING).clip(0)
        if not over.any():
            break
        prices += _RATE / (1 + step / _SLOWER) * over / wanted
    parts = cost.argmin(axis=1).tolist()
    behind = cost - cost.min(axis=1, keepdims=True)
    moves = [divmod(move, len(shares)) for move in np.argsort(behind, axis=None, kind="stable").tolist()]
    if over.any():
        _even_out(parts, contents, wanted, slack, moves)
    for empty in sorted(set(range(len(shares))) - set(parts)):
        counts = Counter(parts)
        parts[next(group for group, part in moves if part == empty and counts[parts[group]] > 1)] = empty
    return parts


def _even_out(
    parts: list[int], contents: np.ndarray, wanted: np.ndarray, slack: np.ndarray, moves: Sequence[tuple[int, int]]
) -> None:
    """Change ``parts`` greedily: make each move that brings them nearer to what is wanted, until none does."""
    holds = [np.flatnonzero(content) for content in contents]
    over = np.eye(len(wanted))[parts].T @ contents - wanted
    total = wanted.sum(axis=0)

    def uneven(part: int, kinds: np.ndarray, change: np.ndarray | float) -> float:
        beyond = np.abs(over[part, kinds] + change) - slack[part, kinds] - _ROUNDING
        return float((beyond.clip(0) / total[kinds]).sum())  # a rare class counts as much as a frequent one

    for _ in range(_ROUNDS):
        before = list(parts)
        for group, to in moves:
            source, kinds = parts[group], holds[group]
            if source == to:
                continue
            change = contents[group, kinds]
            now = uneven(source, kinds, 0) + uneven(to, kinds, 0)
            if now > 0 and uneven(source, kinds, -change) + uneven(to, kinds, change) < now - _ROUNDING:
                parts[group] = to
                over[source, kinds] -= change
                over[to, kinds] += change
        if parts == before:
            break
