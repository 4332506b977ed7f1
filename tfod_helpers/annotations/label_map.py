"""The classes of a dataset: names, ids, and the file that keeps them."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers.files import storage
from tfod_helpers.files.protobuf_text import Value, read_settings
from tfod_helpers.problems import did_you_mean

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: control, half a character, line, paragraph


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
        """Read a ``.pbtxt`` label map, a ``.txt`` file with one name a line, or the names in a YOLO ``data.yaml``.

        Args:
            path: the file. ``.pbtxt`` may hold the items in any order and style that protocol
                buffer text format allows.
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
        """Write a ``.pbtxt`` label map, or one name a line where ``path`` ends in ``.txt``."""
        if Path(path).suffix.lower() == ".txt":
            text = "".join(f"{name}\n" for name in self.names)
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
    where, ending = storage.address(path), Path(path).suffix.lower()
    try:
        data = storage.read_bytes(path)
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"{where}: there is no label map here. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 text ({error.reason}). Save the file as UTF-8.") from error
    try:
        if ending == ".txt":
            return LabelMap(line.strip() for line in text.splitlines() if line.strip()), None
        if ending in (".yaml", ".yml"):
            return LabelMap(_yaml_names(text)), None
        names = read_ids(text)
        if names.get(0, "").casefold() == "background":  # some files spell it out
            del names[0]
        label_map = LabelMap(names[id] for id in sorted(names))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if sorted(names) == list(label_map.ids):
        return label_map, None
    first = next((old, new) for new, old in enumerate(sorted(names), start=1) if old != new)
    why = "0 is the background" if 0 in names else "ids go from 1 without gaps"
    what = f"the ids were numbered anew, {first[0]} became {first[1]} ({label_map.name(first[1])!r}): {why}"
    return label_map, (f"{what}.", "A model that was trained with the old ids does not fit these.")


def read_ids(text: str) -> dict[int, str]:
    """Return the class names of ``item { id: 1 name: 'cat' }`` items by their ids, as the text gives them.

    Where the name is a machine's, such as ``/m/01yrx``, and a ``display_name`` is there, that is taken.

    Raises:
        ValueError: the text cannot be read, an item lacks its name or id, or an id is given twice or negative;
            the message says where.
    """
    names: dict[int, str] = {}
    for number, item in enumerate(_read_items(text), start=1):
        name = item.get("name") or item.get("display_name")
        if not isinstance(name, str):
            raise ValueError(f"item {number} has no name. Add name: '...' to it.")
        if name.startswith("/m/"):
            name = str(item.get("display_name") or name)
        id = item.get("id", "none")
        if not isinstance(id, int) or isinstance(id, bool) or id < 0:
            raise ValueError(
                f"item {number} ({name!r}) needs a whole number from 1 as id, got {id}. Write id: {number}."
            )
        if id in names:
            raise ValueError(f"id {id} is given to both {names[id]!r} and {name!r}. Number the items 1, 2, 3, ...")
        names[id] = name
    return names


def _read_items(text: str) -> Iterable[dict[str, Value]]:
    """Return the fields of every ``item { ... }``; those of nested messages (keypoints) go by longer names."""
    items: dict[str, dict[str, Value]] = {}
    for setting in read_settings(text):
        item, _, field = setting.name.partition(".")
        if item.partition("[")[0] != "item":
            raise ValueError(f"{setting.where}: expected 'item {{', got {item!r}.")
        items.setdefault(item, {})[field] = setting.value
    if not items:
        raise ValueError("there is no 'item { id: 1 name: '...' }' in it. Add one item a class.")
    return items.values()


def _yaml_names(text: str) -> list[str]:
    import yaml

    try:
        data = yaml.safe_load(text) if not ("&" in text and "*" in text) else None  # aliases can unfold without end
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it cannot be read as YAML ({' '.join(str(error).split())}).") from None
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[id] for id in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise ValueError("it has no list of names. Write names: [cat, dog].")
    return [str(name).strip() for name in names]


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
