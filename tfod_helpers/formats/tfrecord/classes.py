"""The ids that TFRecords know their classes by -> the names: the records' own texts, and the label map beside them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import LabelMap
from tfod_helpers.annotations.label_map import read_file_ids
from tfod_helpers.formats.folders import stem
from tfod_helpers.formats.labelled_images import known_classes
from tfod_helpers.formats.raw import Reading
from tfod_helpers.formats.tfrecord.sets import RecordSet
from tfod_helpers.photos.folder import files_with_ending
from tfod_helpers.problems import Problem

_THEIR_MAP = "the label map that the records were written with"
WRITE_AGAIN = "Write the records again, or leave this one out with on_problem='skip'."


class Names:
    """The names of a set's classes by the ids that its records know them by.

    Args:
        ids: the names by the ids of a label map; none where there is no label map.
        shown: what messages call the label map.
    """

    def __init__(self, ids: dict[int, str], shown: str = "the label map") -> None:
        self._ids, self._shown = ids, shown
        self._found: dict[int, set[str]] = defaultdict(set)
        self._differs: Counter[tuple[int, str]] = Counter()
        self._unnamed: list[tuple[str, int]] = []
        self._without_id = False

    def of(self, place: str, text: Any, label: Any) -> tuple[str, tuple[str, str] | None]:
        """Return the class of an object by the text and the id in its record, and what is wrong with it."""
        name = text.decode("utf-8", "replace").strip() if isinstance(text, bytes) else ""
        if "\ufffd" in name:
            return name, (f"its class is {text!r}, which is not written in UTF-8", WRITE_AGAIN)
        number = number_of(label)
        if number is None or not number.is_integer():
            self._without_id = True
            return name, None
        id = int(number)
        known = self._ids.get(id, "")
        if not name and not known:
            self._unnamed.append((place, id))
            return "", (f"its class is {id}, and no name is known for it", self._fix())
        in_label_map = known or name in self._ids.values()
        # A name such as /m/01yrx is a machine's, whose display_name is in the label map.
        if name and in_label_map and name.casefold() != known.casefold() and not name.startswith("/m/"):
            self._differs[id, name] += 1
        self._found[id].add(known or name)
        return known or name, None

    def _fix(self) -> str:
        return "Correct the label map." if self._ids else f"Give {_THEIR_MAP}: label_map='label_map.pbtxt'."

    def problems(self, where: str) -> Iterator[Problem]:
        """Yield where the records contradict the label map, and where no class at all has a name."""
        if self._unnamed and not self._found and not self._without_id:
            (place, id), more = self._unnamed[0], len(self._unnamed) - 1
            what = f"its class is {id}, and no name is known for it" + f", nor for {more:,} other objects" * bool(more)
            yield Problem(where=where, object=place, what=what, fix=self._fix(), kind="classes without names")
        for (id, name), count in self._differs.most_common(1):
            other = f"{self._shown} {self._ids.get(id, 'another class')!r}"
            what = f"its records call class {id} {name!r} ({count:,} objects), and {other}"
            fix = f"Give {_THEIR_MAP}, or remove the one that is not theirs."
            yield Problem(where=where, what=what, fix=fix, kind="label map differs")

    def declared(self) -> dict[int, str] | None:
        """Return the classes by their ids; None where records have no ids, or one of several names."""
        if self._without_id or any(len(names) > 1 for names in self._found.values()):
            return None
        return {id: name for id, names in self._found.items() for name in names} | self._ids


def joined(declared: Sequence[dict[int, str] | None], where: str, problems: list[Problem]) -> list[str]:
    """Return the classes of all sets in the order of their ids; where these differ, in that of their names."""
    pairs = sorted({pair for one in declared if one for pair in one.items()})
    names = [name for _, name in pairs]
    if None in declared:
        return []
    if len(dict(pairs)) == len(set(names)) == len(pairs):
        return names
    what = "its sets of records number their classes differently"
    fix = "The classes were joined by their names, in alphabetical order."
    problems.append(Problem(where=where, what=what, fix=fix, severity="note", kind="classes joined"))
    return sorted(set(names))


def given_ids(reading: Reading) -> dict[int, str] | None:
    """Return the names by ids of the label map that a caller gave, and make ``reading`` have it read; None without one.

    Raises:
        DatasetError: its file cannot be used.
    """
    given = reading.label_map
    reading.label_map = known_classes(given, [])
    if isinstance(given, LabelMap):
        return dict(enumerate(given, start=1))
    return None if given is None else read_file_ids(given)


def names_beside(one: RecordSet, root: Path, problems: list[Problem]) -> Names:
    """Return the names in the label map beside a set, or above it: in that of its name, or else in the only one."""
    for folder in dict.fromkeys((one.folder, root)):
        found: dict[str, dict[int, str]] = {}
        for file in files_with_ending(folder, (".pbtxt",)):
            if "label" in file.lower():
                try:
                    found[file] = read_file_ids(folder / file)
                except ValueError as error:
                    what, fix = f"this label map cannot be used ({error})", "Correct it, or remove it."
                    kind = "label map unreadable"
                    problems.append(Problem(where=file, what=what, fix=fix, severity="warning", kind=kind))
        own = {file: ids for file, ids in found.items() if one.name.lower().startswith(_owner(file) or "?")}
        several = list((own or found).items())
        if several and all(ids == several[0][1] for _, ids in several):
            return Names(several[0][1], several[0][0])
    return Names({})


def _owner(file: str) -> str:
    """Return the set that a label map belongs to: ``pets`` of ``Pets_label_map.pbtxt``; empty where it is of any."""
    return re.sub(r"[-_ ]*label[-_ ]*map[^.]*$", "", stem(file.lower()))


def number_of(value: Any) -> float | None:
    """Return a feature's value as a number; None where it is none."""
    return float(value) if isinstance(value, int | float) else None
