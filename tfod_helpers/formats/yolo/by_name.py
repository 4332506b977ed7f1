"""Photos by the names that label files and lists have for them."""

from __future__ import annotations

import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from tfod_helpers.formats.folders import stem
from tfod_helpers.photos.folder import folded

Place = TypeVar("Place")
_TASK = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before a photo's name
_SPELLINGS: tuple[Callable[[str], str], ...] = (str, folded)


class PhotosByName(Generic[Place]):
    """Photos, each with its place and its name."""

    def __init__(self, photos: Iterable[tuple[Place, str]]) -> None:
        self._photos = list(photos)
        self._index = functools.cache(self._indexed)  # most label files are spelled as their photos, and need one

    def _indexed(self, spelling: Callable[[str], str], with_ending: bool) -> dict[str, list[tuple[Place, str]]]:
        found = defaultdict(list)
        for photo in self._photos:
            found[spelling(photo[1] if with_ending else stem(photo[1]))].append(photo)
        return found

    def of_label(self, file: str) -> list[tuple[Place, str]]:
        """Return the photos that a label file may belong to: ``a.txt`` to ``a.jpg``, or ``a.jpg.txt``.

        Spelled alike comes first; then capitals and the two ways to spell an accent are no difference.
        """
        for name, spelling, with_ending in itertools.product(stems(file), _SPELLINGS, (False, True)):
            if found := self._index(spelling, with_ending).get(spelling(name)):
                return found
        return []

    def of_line(self, name: str) -> list[tuple[Place, str]]:
        """Return the photos that a list may have by a name: with this ending, with another one, or without any."""
        names, bare = self._index(folded, True), self._index(folded, False)
        return names.get(folded(name)) or bare.get(folded(stem(name))) or bare.get(folded(name), [])


def stems(name: str) -> list[str]:
    """Return the names without ending of the photo that a label file may belong to."""
    own = stem(name)
    return [own, bare] if (bare := _TASK.sub("", own, count=1)) != own else [own]
