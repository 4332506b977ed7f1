"""The files of a folder -> the sets of TFRecord shards in it, and what is missing of them, doubled or mixed up.

Shards that a program wrote in one go have one name, a number and their count: ``train-00001-of-00003.tfrecord``,
``train.record-00001-of-00003``. A set is used whole: a shard that was not copied takes its photos with it, and shards
of another count come from another writing.
"""

from __future__ import annotations

import filecmp
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tfod_helpers.annotations import split_word
from tfod_helpers.photos.folder import files_with_ending
from tfod_helpers.problems import Problem
from tfod_helpers.records import tfrecord

_ENDING = r"\.(?:tfrecords?|records?|tfrec)"
_COPY = r"(?: ?\(\d+\)| copy| - copy)?"  # what browsers and file managers add to the second of one name
_NUMBER = r"-(?P<number>\d{1,6})-of-(?P<count>\d{1,6})"
_SHARD = re.compile(
    rf"(?P<set>.+?)(?P<first>{_ENDING})?{_NUMBER}{_COPY}(?P<last>{_ENDING})?(?:\.gz)?{_COPY}", re.IGNORECASE
)
_ALONE = re.compile(rf"(?P<set>.+?){_ENDING}(?:\.gz)?", re.IGNORECASE)
_SHOWN = 5  # shards that a message names


@dataclass(frozen=True)
class RecordSet:
    """The shards that belong together.

    Attributes:
        folder: where they are.
        name: what their names have in common.
        count: how many there were when they were written; 0 for a file that is no shard.
        numbers: its files in the order of their numbers, each with its number; 0 for a file that is no shard.
    """

    folder: Path
    name: str
    count: int
    numbers: dict[str, int]

    @property
    def first(self) -> Path:
        """The path of the first of its files."""
        return self.folder / next(iter(self.numbers))

    @property
    def shown(self) -> str:
        """Its first file as messages call it, with the folder where that is a split's."""
        return f"{self.folder.name}/{self.first.name}" if split_word(self.folder.name) else self.first.name


def sets_in(folder: Path, names: Iterable[str]) -> list[RecordSet]:
    """Return the sets in a folder with these files."""
    found: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for name in names:
        if match := _SHARD.fullmatch(name):
            if match["first"] or match["last"] or tfrecord.is_records(folder / name):
                found[match["set"], int(match["count"])][name] = int(match["number"])
        elif match := _ALONE.fullmatch(name):
            found[match["set"], 0][name] = 0
    return [
        RecordSet(folder, name, count, dict(sorted(numbers.items(), key=lambda file: (file[1], file[0]))))
        for (name, count), numbers in found.items()
    ]


def sets_of(paths: Sequence[Path]) -> list[RecordSet]:
    """Return the set that each file belongs to; a file of any other name is one of its own."""
    own = {path: RecordSet(path.parent, path.name, 0, {path.name: 0}) for path in paths}
    for folder in {path.parent for path in paths}:
        for one in sets_in(folder, files_with_ending(folder)):
            own |= {folder / name: one for name in one.numbers if folder / name in own}
    return [own[path] for path in paths]


def checked(sets: Sequence[RecordSet], problems: list[Problem]) -> list[RecordSet | None]:
    """Return what can be read of each set, None where nothing can; add what is wrong."""
    writings: dict[Path, list[str]] = defaultdict(list)
    for one in sets:
        writings[_written_as(one)].append(one.first.name)
    for path, several in writings.items():
        if len(several) > 1:
            what = f"records of this name were written more than once: {' and '.join(several)}"
            fix = "Give the path of one file of the set that is meant, or move the others away."
            problems.append(Problem(where=str(path), what=what, fix=fix, kind="records mixed"))
    seen: dict[int, list[Path]] = defaultdict(list)
    return [None if len(writings[_written_as(one)]) > 1 else _checked(one, seen, problems) for one in sets]


def _written_as(one: RecordSet) -> Path:
    """Return the name that a set was written as; `records.write` adds a mark to it."""
    name = re.sub("-[0-9a-f]{8}$", "", one.name)
    return one.folder / (name if (one.folder / f"{name}.json").is_file() else one.name)


def _checked(one: RecordSet, seen: dict[int, list[Path]], problems: list[Problem]) -> RecordSet | None:
    kept = {name: number for name, number in one.numbers.items() if not _is_copy(one.folder / name, seen, problems)}
    doubled = [number for number, times in Counter(kept.values()).items() if times > 1]
    for number in doubled:
        files = ", ".join(name for name, own in kept.items() if own == number)
        what = f"{f'shard {number}' if one.count else 'it'} is there more than once, with other contents: {files}"
        problems.append(Problem(where=one.shown, what=what, fix="Keep the right one.", kind="shard doubled"))
    numbers = {*one.numbers.values()}
    start = 1 if one.count in numbers else 0  # some programs count from 1
    if missing := sorted({*range(start, one.count + start)} - numbers):
        shown = ", ".join(f"{number:05d}-of-{one.count:05d}" for number in missing[:_SHOWN])
        what = f"{len(missing)} of its {one.count} shards are missing: {shown}{', ...' * (len(missing) > _SHOWN)}"
        fix = "Copy them here, or write the records again; on_problem='skip' reads those that are there."
        problems.append(Problem(where=one.shown, what=what, fix=fix, kind="shard missing"))
    kept = {name: number for name, number in kept.items() if number not in doubled}
    return replace(one, numbers=kept) if kept else None


def _is_copy(path: Path, seen: dict[int, list[Path]], problems: list[Problem]) -> bool:
    """Whether a file has the bytes of another one, which is then a problem; ``seen`` holds files by their sizes."""
    size = path.stat().st_size
    other = next((other for other in seen[size] if size and filecmp.cmp(other, path, shallow=False)), None)
    seen[size].append(path)
    if other:
        shown = other.name if other.parent == path.parent else str(other)
        what, fix = f"it is the same, byte for byte, as {shown}", "It was left out; delete one of the two."
        problems.append(Problem(where=path.name, what=what, fix=fix, severity="warning", kind="shard doubled"))
    return other is not None
