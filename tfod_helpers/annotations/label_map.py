"""The classes of a dataset: names, ids, and the file that keeps them."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfod_helpers import workspace
from tfod_helpers.annotations import label_map_text

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: control, half a character, line, paragraph


class LabelMap:
    """The classes of a dataset, in the order that the model knows them.

    Ids are 1..n in the order given; 0 is the background and never has a name.

    Args:
        names: the class names, distinct and not empty.

    Raises:
        ValueError: no names, a repeated one, or one that `name_fault` refuses.
    """

    def __init__(self, names: Iterable[str]) -> None:
        if isinstance(names, str):
            raise ValueError(f"LabelMap takes a list of names, got the single text {names!r}. Write [{names!r}].")
        self.names: tuple[str, ...] = tuple(names)
        if not self.names:
            raise ValueError("A label map needs at least one class, got none.")
        for name in self.names:
            if fault := name_fault(name):
                raise ValueError(f"{fault[0]}. {fault[1]}")
        repeated = sorted(name for name, n in Counter(self.names).items() if n > 1)
        if repeated:
            raise ValueError(f"Class names must be distinct, got {', '.join(map(repr, repeated))} more than once.")
        self._ids = {name: number for number, name in enumerate(self.names, start=1)}

    @property
    def ids(self) -> range:
        """The ids of the classes, 1..n."""
        return range(1, len(self.names) + 1)

    def id(self, name: str) -> int:
        """Return the id of a class.

        Raises:
            KeyError: there is no such class; the message names the nearest.
        """
        if name in self._ids:
            return self._ids[name]
        raise KeyError(f"class {name!r} is not in the label map ({self.describe()}){did_you_mean(name, self.names)}")

    def name(self, id: int) -> str:
        """Return the name of a class id.

        Raises:
            KeyError: the id is not in 1..n.
        """
        if id not in self.ids:
            raise KeyError(f"class id {id} is not in the label map: ids go from 1 to {len(self)}")
        return self.names[id - 1]

    def describe(self) -> str:
        """Return the names on one line, shortened where there are many."""
        shown = ", ".join(self.names[:10])
        return shown if len(self) <= 10 else f"{shown}, ... {len(self)} in all"

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelMap) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"LabelMap([{', '.join(map(repr, self.names))}])"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> LabelMap:
        """Read a ``.pbtxt`` label map, or a ``.txt`` file with one name a line.

        Args:
            path: the file. ``.pbtxt`` may hold the items in any order and style that protocol
                buffer text format allows; ids must be 1..n without gaps.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file does not hold a usable label map; the message says where and why.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no label map here. Check the path.")
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason}). Save the file as UTF-8.") from error
        try:
            if path.suffix.lower() == ".txt":
                return cls(line.strip() for line in text.splitlines() if line.strip())
            return cls(label_map_text.read_names(text))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write a ``.pbtxt`` label map, or one name a line where ``path`` ends in ``.txt``."""
        path = Path(path)
        if path.suffix.lower() == ".txt":
            text = "".join(f"{name}\n" for name in self.names)
        else:
            text = label_map_text.to_text(self.names)
        with workspace.whole_file(path) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
        return path


def name_fault(name: object) -> tuple[str, str] | None:
    """Say why something cannot be the name of a class, and the fix, or None where it can."""
    if not isinstance(name, str) or not name.strip():
        return f"a class name must be a text that is not empty, got {name!r}", "Name the class."
    if name.strip().casefold() == "background":
        return f"a class may not be called {name!r}, id 0 is the background already", "Rename or remove it."
    if name != name.strip():
        return f"the class name {name!r} starts or ends with a space", f"Write {name.strip()!r}."
    if any(unicodedata.category(letter) in _UNWRITABLE for letter in name):
        # XML cannot hold them, and a label map in plain text has one line a name.
        return f"the class name {name!r} has a line break or another control character", "Remove it."
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``. Did you mean 'x'?`` for the nearest of the known names, or nothing."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f". Did you mean {folded[near[0]]!r}?" if near else ""
