"""The ids that TFRecords know their classes by -> the names: the records' own texts, and the label map beside them."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfod_helpers.annotations import LabelMap
from tfod_helpers.annotations.label_map import read_file_ids
from tfod_helpers.formats import folders
from tfod_helpers.formats.labelled_images import known_classes
from tfod_helpers.formats.tfrecord.sets import RecordSet
from tfod_helpers.problems import Problem

_THEIR_MAP = "the label map that the records were written with"
WRITE_AGAIN = "Write the records again, or leave this one out with on_problem='skip'."


@dataclass(frozen=True)
class Ids:
    """A label map: the names by the ids that it gives them, and what to call it."""

    names: dict[int, str]
    shown: str = "the label map"


class Names:
    """The names of a set's classes by the ids that its records know them by."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._found: dict[int, set[str]] = defaultdict(set)
        self._differs: Counter[tuple[int, str]] = Counter()
        self._unnamed: list[tuple[str, int]] = []
        self._without_id = False

    def of(self, place: str, text: Any, label: Any) -> tuple[str, tuple[str, str] | None]:
        """Return the class of an object by what its record says, and what is wrong with it."""
        name = text.decode("utf-8", "replace").strip() if isinstance(text, bytes) else ""
        if "\ufffd" in name:
            return name, (f"its class is {text!r}, which is not written in UTF-8", WRITE_AGAIN)
        number = number_of(label)
        id = int(number) if number is not None and number.is_integer() else None
        if id is None:
            self._without_id = True
            return name, None
        known = self._ids.names.get(id, "")
        if name and (known or name in self._ids.names.values()) and not self._is_called(name, known):
            self._differs[id, name] += 1
        elif not name and not known:
            self._unnamed.append((place, id))
            return "", (f"its class is {id}, and no name is known for it", self._give())
        self._found[id].add(known or name)
        return known or name, None

    def _give(self) -> str:
        return "Correct the label map." if self._ids.names else f"Give {_THEIR_MAP}: label_map='label_map.pbtxt'."

    def _is_called(self, name: str, known: str) -> bool:
        return name.casefold() == known.casefold() or name.startswith("/m/")  # whose display_name is in the label map

    def problems(self, where: str) -> Iterator[Problem]:
        """Yield where the records contradict the label map, and where no class at all has a name."""
        if self._unnamed and not self._found and not self._without_id:
            (place, id), more = self._unnamed[0], len(self._unnamed) - 1
            what = f"its class is {id}, and no name is known for it" + f", nor for {more:,} other objects" * bool(more)
            yield Problem(where=where, object=place, what=what, fix=self._give(), kind="classes without names")
        if self._differs:
            (id, name), count = self._differs.most_common(1)[0]
            told = f"its records call class {id} {name!r} ({count:,} objects)"
            what = f"{told}, and {self._ids.shown} {self._ids.names.get(id, 'another class')!r}"
            fix = f"Give {_THEIR_MAP}, or remove the one that is not theirs."
            yield Problem(where=where, what=what, fix=fix, kind="label map differs")

    def declared(self) -> dict[int, str] | None:
        """Return the classes by their ids; None where records have no ids, or one of several names."""
        if self._without_id or any(len(names) > 1 for names in self._found.values()):
            return None
        return {id: next(iter(names)) for id, names in self._found.items()} | self._ids.names


def joined(declared: Sequence[dict[int, str] | None], where: str, problems: list[Problem]) -> list[str]:
    """Return the classes of all sets in the order of their ids; where these differ, nothing says an order but names."""
    known = [one for one in declared if one is not None]
    pairs = sorted({pair for one in known for pair in one.items()})
    if len(known) < len(declared):
        return []
    names = [name for _, name in pairs]
    if len(dict(pairs)) == len(set(names)) == len(pairs):
        return names
    what = "its sets of records number their classes differently"
    fix = "The classes were joined by their names, in alphabetical order."
    problems.append(Problem(where=where, what=what, fix=fix, severity="note", kind="classes joined"))
    return sorted(set(names))


def given_ids(label_map: LabelMap | str | os.PathLike[str]) -> Ids:
    """Return the label map that a caller gave; DatasetError where its file cannot be used."""
    if isinstance(label_map, LabelMap):
        return Ids(dict(enumerate(label_map, start=1)))
    known_classes(label_map, [])  # refuses one that cannot be used
    return Ids(read_file_ids(label_map))


def ids_beside(one: RecordSet, root: Path, problems: list[Problem]) -> Ids:
    """Return the label map beside a set, or above it: that of its name, or else the only one."""
    for folder in dict.fromkeys((one.folder, root)):
        found: dict[str, dict[int, str]] = {}
        for name in folders.names_in(folder, (".pbtxt",)):
            if re.search("label", name, re.IGNORECASE):
                try:
                    found[name] = read_file_ids(folder / name)
                except ValueError as error:
                    what, fix = f"this label map cannot be used ({error})", "Correct it, or remove it."
                    kind = "label map unreadable"
                    problems.append(Problem(where=name, what=what, fix=fix, severity="warning", kind=kind))
        own = {name: ids for name, ids in found.items() if one.name.lower().startswith(_owner(name) or "?")}
        several = list((own or found).items())
        if several and all(ids == several[0][1] for _, ids in several):
            return Ids(several[0][1], several[0][0])
    return Ids({})


def _owner(label_map: str) -> str:
    """Return whose a label map is by its file name: ``pets`` of ``Pets_label_map.pbtxt``; empty where it is of any."""
    return re.sub(r"[-_ ]*label[-_ ]*map[^.]*$", "", os.path.splitext(label_map.lower())[0])


def number_of(value: Any) -> float | None:
    """Return a feature's value as a number; None where it is none."""
    return float(value) if isinstance(value, int | float | np.integer | np.floating) else None
