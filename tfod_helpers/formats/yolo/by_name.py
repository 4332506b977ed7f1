"""Photos by the names that label files and lists have for them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

from tfod_helpers.formats.folders import stem
from tfod_helpers.photos.folder import folded

Place = TypeVar("Place")
_TASK = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before a photo's name


class PhotosByName(Generic[Place]):
    """Photos, each with its place and its name; capitals and the two ways to spell an accent are no difference."""

    def __init__(self, photos: Iterable[tuple[Place, str]]) -> None:
        self._names: dict[str, list[tuple[Place, str]]] = defaultdict(list)
        self._stems: dict[str, list[tuple[Place, str]]] = defaultdict(list)
        for photo in photos:
            self._names[folded(photo[1])].append(photo)
            self._stems[folded(stem(photo[1]))].append(photo)

    def of_label(self, file: str) -> list[tuple[Place, str]]:
        """Return the photos that a label file may belong to: ``a.txt`` to ``a.jpg``, or ``a.jpg.txt``.

        Those that are spelled alike come before others.
        """
        for name in stems(file):
            bare, whole = self._stems.get(folded(name), []), self._names.get(folded(name), [])
            alike = [photo for photo in bare if stem(photo[1]) == name] or [
                photo for photo in whole if photo[1] == name
            ]
            if found := alike or bare or whole:
                return found
        return []

    def of_line(self, name: str) -> list[tuple[Place, str]]:
        """Return the photos that a list may have by a name: with this ending, with another one, or without any."""
        found = self._names.get(folded(name)) or self._stems.get(folded(stem(name)))
        return found or self._stems.get(folded(name), [])


def stems(name: str) -> list[str]:
    """Return the names without ending of the photo that a label file may belong to."""
    own = stem(name)
    return [own, bare] if (bare := _TASK.sub("", own, count=1)) != own else [own]
