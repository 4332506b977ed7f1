"""Images -> parts that hold every class in the shares asked for, with no photo in two of them.

A photo's place between 0 and 1 comes from its name alone, and the shares cut that line into parts. So a
photo stays in its part when others come or go, and is there on every machine. Photos that are the same
picture, exactly or nearly, go together, by the one with the shortest name: copies and later frames get
longer ones. What chance leaves uneven is then evened out by moving those that lie nearest to a cut.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from tfod_helpers import likeness, photos, workers

if TYPE_CHECKING:
    from tfod_helpers.annotations.dataset import LabelledImage

_IMAGES = 0  # what is counted: all images, the images with each class, the boxes of each class
_NEAR = 0.02  # of what a part should hold: so much more or less is even enough
_ROUNDS = 10  # over all images, at most; the first two nearly always do


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
    groups = sorted(_same_pictures(images, names), key=lambda group: _place(seed, names[group[0]]))
    if len(groups) < len(shares):
        raise ValueError(
            f"{len(images)} images are {len(groups)} different pictures, which is too few for {len(shares)} parts "
            f"without the same picture in two of them. Add other photos."
        )
    contents = [_content(images[number] for number in group) for group in groups]
    parts = _parts(np.array([_place(seed, names[group[0]]) for group in groups]), contents, shares)
    shared: dict[str, list[LabelledImage]] = {name: [] for name in fractions}
    part_of = {number: part for group, part in zip(groups, parts, strict=True) for number in group}
    for number in sorted(part_of, key=lambda number: _place(seed, names[number])):
        shared[list(fractions)[part_of[number]]].append(images[number])
    return shared


def _place(seed: int, name: str) -> float:
    """Return a number from 0 to 1 that a name has with this seed."""
    digest = hashlib.sha256(f"{seed}/{name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _telling_names(paths: Sequence[Path]) -> list[str]:
    """Return each file's name; where several have the same, with as many folders before it as tell them apart."""
    names = [path.name for path in paths]
    for depth in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        counts = Counter(names)
        if len(counts) == len(names):
            break
        names = [
            "/".join(path.parts[-depth:]) if counts[name] > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    return names


def _same_pictures(images: Sequence[LabelledImage], names: Sequence[str]) -> list[list[int]]:
    """Return the numbers of the images that belong together; of each group the one with the shortest name first."""
    looks = workers.in_order(_look, images)
    looked = list(tqdm(looks, "Comparing photos", len(images), unit="photo", delay=1))
    alike = [sorted(group.members, key=lambda n: (len(names[n]), names[n])) for group in likeness.groups(looked)]
    together = {number for group in alike for number in group}
    return [*alike, *([number] for number in range(len(images)) if number not in together)]


def _look(image: LabelledImage) -> likeness.Look | None:
    try:
        data = image.path.read_bytes() if image.encoded is None else image.encoded
        return likeness.look(data)[1]
    except (OSError, photos.PhotoError):  # the checks tell of it
        return None


def _content(group: Iterable[LabelledImage]) -> Counter[int]:
    """Return how much of all that is counted a group holds."""
    content: Counter[int] = Counter()
    for image in group:
        content[_IMAGES] += 1
        for label, boxes in Counter(image.labels.tolist()).items():
            content[2 * label - 1] += 1
            content[2 * label] += boxes
    return content


def _parts(places: np.ndarray, contents: Sequence[Counter[int]], shares: Sequence[float]) -> list[int]:
    """Return the part of each group: the one its place is in, or where that is uneven, another that is near."""
    cuts = np.concatenate([[0], np.cumsum(shares)[:-1], [1]])
    away = np.maximum(np.maximum(cuts[:-1] - places[:, None], places[:, None] - cuts[1:]), 0)
    parts = away.argmin(axis=1).tolist()
    nearest_first = np.argsort(away, axis=None, kind="stable").tolist()
    moves = [divmod(move, len(shares)) for move in nearest_first]
    _even_out(parts, contents, shares, moves)
    for empty in sorted(set(range(len(shares))) - set(parts)):
        counts = Counter(parts)
        group = next(group for group, part in moves if part == empty and counts[parts[group]] > 1)
        parts[group] = empty
    return parts


def _even_out(
    parts: list[int], contents: Sequence[Counter[int]], shares: Sequence[float], moves: Sequence[tuple[int, int]]
) -> None:
    """Change ``parts``: make each move that brings the parts nearer to their shares, until none does."""
    holders = Counter(kind for content in contents for kind in content)
    total: Counter[int] = Counter()
    held: list[Counter[int]] = [Counter() for _ in shares]
    for part, content in zip(parts, contents, strict=True):
        total.update(content)
        held[part].update(content)
    # Half of what one group brings along is as near as whole groups come.
    slack = [{kind: max(_NEAR * share * n, n / holders[kind] / 2) for kind, n in total.items()} for share in shares]

    def uneven(part: int, kind: int, change: int) -> float:
        beyond = abs(held[part][kind] + change - shares[part] * total[kind]) - slack[part][kind]
        return max(beyond, 0.0) / total[kind]  # so that a rare class counts as much as a frequent one

    for _ in range(_ROUNDS):
        before = list(parts)
        for group, to in moves:
            source = parts[group]
            if source == to:
                continue
            gain = sum(
                uneven(source, kind, 0) - uneven(source, kind, -n) + uneven(to, kind, 0) - uneven(to, kind, n)
                for kind, n in contents[group].items()
            )
            if gain > 1e-9:
                parts[group] = to
                held[source].subtract(contents[group])
                held[to].update(contents[group])
        if parts == before:
            break
