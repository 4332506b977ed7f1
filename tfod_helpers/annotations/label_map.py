"""The classes of a dataset: names, ids, and the file that keeps them."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers.annotations.label_map_text import name_fault, read_ids
from tfod_helpers.files import storage
from tfod_helpers.problems import did_you_mean


class RenumberedWarning(UserWarning):
    """A label map's ids had gaps or a 0, and were numbered anew."""


@dataclass(init=False, unsafe_hash=True)
class LabelMap:
    """The classes of a dataset, in the order that the model knows them.

    Ids are 1..n in the order given; 0 is the background and never has a name.

    Args:
        names: the class names, distinct and not empty.

    Raises:
        ValueError: no names, a repeated one, or one that `name_fault` refuses.
    """

    names: tuple[str, ...]

    def __init__(self, names: Iterable[str]) -> None:
        if isinstance(names, str):
            raise ValueError(f"LabelMap takes a list of names, got the single text {names!r}. Write [{names!r}].")
        self.names = tuple(names)
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

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, renumber: bool = True) -> LabelMap:
        """Read a ``.pbtxt`` label map, a list with one name a line, names in JSON, or those of a YOLO ``data.yaml``.

        Args:
            path: the file. ``.pbtxt`` may hold the items in any order and style that protocol buffer text format
                allows; a list may have each name's number before or behind it, and ``???`` where there is no class.
            renumber: renumber the classes 1..n in the order of their ids, where these have gaps or a 0, and warn;
                False raises instead, as is right for a model that was trained with these ids.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file does not hold a usable label map; the message says where and why.
        """
        label_map, word = read_numbered(path)
        if word and not renumber:
            raise ValueError(
                f"{path}: {word[0].replace('were', 'would have to be', 1)}, and a trained model knows the old ids."
            )
        if word:
            warnings.warn(f"{path}: {' '.join(word)}", RenumberedWarning, stacklevel=2)
        return label_map

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write a ``.pbtxt`` label map, or one name a line where ``path`` ends in ``.txt``.

        Raises:
            ValueError: the names would be read as something else from a ``.txt``, such as ``0 cat``, ``1 dog``.
        """
        if Path(path).suffix.lower() == ".txt":
            text = "".join(f"{name}\n" for name in self.names)
            again: dict[int, str] = {}
            with contextlib.suppress(ValueError):
                again = read_ids(text, ".txt")
            if tuple(again.values()) != self.names:
                raise ValueError(f"{path}: one a line, these names would be read as something else. Write a .pbtxt.")
        else:  # a class name has no control characters
            names = (name.replace("\\", "\\\\").replace("'", "\\'") for name in self.names)
            text = "".join(f"item {{\n  id: {id}\n  name: '{name}'\n}}\n" for id, name in enumerate(names, start=1))
        with storage.whole_file(path) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
        return Path(path)


def read_numbered(path: str | os.PathLike[str]) -> tuple[LabelMap, tuple[str, str] | None]:
    """Read a label map as `LabelMap.read` does; return it, and what to warn of its ids: ``(what, fix)`` or None.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not hold a usable label map; the message says where and why.
    """
    names = read_file_ids(path)
    label_map = LabelMap(names[id] for id in sorted(names))
    if sorted(names) == list(label_map.ids):
        return label_map, None
    first = next((old, new) for new, old in enumerate(sorted(names), start=1) if old != new)
    why = "0 is the background" if 0 in names else "ids go from 1 without gaps"
    what = f"the ids were numbered anew, {first[0]} became {first[1]} ({label_map.name(first[1])!r}): {why}"
    return label_map, (f"{what}.", "A model that was trained with the old ids does not fit these.")


def read_file_ids(path: str | os.PathLike[str]) -> dict[int, str]:
    """Return the names in a label map file by the ids that it gives them, gaps and all; raises as `read_numbered`."""
    where = storage.address(path)
    try:
        data = storage.read_bytes(path)
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"{where}: there is no label map here. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 text ({error.reason}). Save the file as UTF-8.") from error
    try:
        return read_ids(text, Path(path).suffix.lower())
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
