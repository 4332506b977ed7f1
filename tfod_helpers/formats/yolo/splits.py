"""Which photos the ``data.yaml`` files and lists of a YOLO data set put into which split."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tfod_helpers.annotations import split_role
from tfod_helpers.formats import folders
from tfod_helpers.formats.yolo.description import PLAIN, Description, differing_names, read_description
from tfod_helpers.formats.yolo.tree import Tree, counted
from tfod_helpers.problems import Problem, Severity


class Share(NamedTuple):
    """Photos of one folder that belong to one split; ``only`` has their names, None means all."""

    split: str
    only: frozenset[str] | None = None
    described: Description | None = None


class _Keys(NamedTuple):
    """What is said of a photo: the keys, whether a list has it, and the split that this makes; none if not clear."""

    some: frozenset[str]
    is_listed: bool
    split: str


@dataclass(eq=False)
class _Led:
    """Where one file leads: folders and photos with the keys that it has for them, all folders, and what is missing."""

    described: Description
    folders: dict[Path, list[str]] = field(default_factory=lambda: defaultdict(list))
    photos: dict[Path, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    covered: set[Path] = field(default_factory=set)
    missing: list[Problem] = field(default_factory=list)

    @property
    def rank(self) -> bool:
        return self.described.path.stem.lower() not in PLAIN


def divide(
    tree: Tree, described: Sequence[Description], problems: list[Problem]
) -> tuple[dict[Path, list[Share]], dict[Path, list[str]]]:
    """Return the folders of photos that the files lead to, divided as they say, and photos there that are in no list.

    Args:
        tree: the data set's folders.
        described: what the files say.
        problems: gets what is not there, what is there twice, and files that contradict each other.
    """
    led = [_follow(tree, one) for one in described]
    led = _accepted(tree, [one for one in led if one.covered], problems)
    if not led and (lists := _lists(tree)):
        led = [one for one in [_follow(tree, lists)] if one.covered]
    for one in led:
        problems += one.missing
    keys: dict[_Keys, list[Path]] = defaultdict(list)
    shared = {images: _keys_in(tree, images, led) for images in sorted({path for one in led for path in one.covered})}
    for images, by_name in shared.items():
        for name, known in by_name.items():
            keys[known].append(images / name)
    torn = _tell_doubles(keys, problems)
    divided = {images: _shares(images, by_name, torn, led) for images, by_name in shared.items()}
    unlisted = {images: [name for name in by_name if not by_name[name].some] for images, by_name in shared.items()}
    return divided, {images: names for images, names in unlisted.items() if names}


def _follow(tree: Tree, described: Description) -> _Led:
    bases = tuple(tree.up(described.path.parent))
    if described.names_file and (path := tree.resolve(bases, described.names_file)):
        named = read_description(path)
        described = dataclasses.replace(described, names=named.names if named else {})
    led = _Led(described)
    inside = tree.root in (described.path.parent, *described.path.parents)
    for key, text in ((key, text) for key, texts in described.places.items() for text in texts):
        is_split = bool(split_role(key))  # others, such as CVAT's subsets, are splits where they lead to photos
        path = tree.resolve(bases, f"{described.base}/{text}" if is_split else text, exact=not is_split)
        lost: list[str] = []
        if path and path.is_dir():
            tree.add(path)
            found = tree.within(path)
            if found:
                led.folders[path].append(key)
                led.covered.update(found)
        elif path:
            listed, lost = tree.listed(path, bases)
            found = list(listed)
            led.covered.update(listed)
            for images, names in listed.items():
                for name in names:
                    led.photos[images][name].append(key)
        what = f"{text!r} is not there, or has no photos" if not path or not found else ""
        if lost and found:
            what = f"{text!r} lists what is not there, or is there twice: {counted(lost, 'photo')}"
        if what and is_split and inside:
            fix = "Correct the path, or put the photos there. They are left out."
            problem = Problem(
                where=described.path.name, object=key, what=what, fix=fix, severity="warning", kind="split missing"
            )
            led.missing.append(problem)
    return led


def _accepted(tree: Tree, led: Sequence[_Led], problems: list[Problem]) -> list[_Led]:
    """Return those that describe this data set; a template that leads to the same photos is left out."""
    accepted: list[_Led] = []
    for one in sorted(led, key=lambda one: one.rank):
        names = one.described.names
        others = [other for other in accepted if one.covered & other.covered]
        other = next((other for other in others if differing_names(names, other.described.names)), None)
        if other is None:
            accepted.append(one)
            continue
        both = f"{one.described.path.name} gives the classes of the same photos other names than"
        what, fix = f"{both} {other.described.path.name}, which was taken", "Delete it if it is a template."
        severity: Severity = "warning"
        if one.rank == other.rank:
            what, fix, severity = f"{both} {other.described.path.name}", "Delete the wrong one.", "error"
        where = one.described.path.name
        problems.append(Problem(where=where, what=what, fix=fix, severity=severity, kind="class name"))
    return accepted


def _lists(tree: Tree) -> Description | None:
    """Return the lists of photos in the root that are called as splits, where no file names them."""
    names = set(tree.texts(tree.root)) - set(tree.matching(tree.root, tree.root))
    places = {folders.stem(name): [name] for name in sorted(names) if split_role(folders.stem(name))}
    return Description(tree.root / next(iter(places.values()))[0], places=places) if places else None


def _keys_in(tree: Tree, images: Path, led: Iterable[_Led]) -> dict[str, _Keys]:
    """Return what is said of each of a folder's photos: by a list, else of the nearest folder."""
    listed: dict[str, set[str]] = defaultdict(set)
    around: dict[Path, set[str]] = defaultdict(set)
    for one in led:
        for name, keys in one.photos.get(images, {}).items():
            listed[name].update(keys)
        for folder, keys in one.folders.items():
            if folder in (images, *images.parents):
                around[folder].update(keys)
    nearest = frozenset(around[max(around, key=lambda folder: len(folder.parts))] if around else ())
    own = images.name if images.name in nearest else folders.split_of(tree.home, images)
    return {
        name: _keys(frozenset(listed[name]), True, "") if name in listed else _keys(nearest, False, own)
        for name in tree.photos(images)
    }


def _keys(some: frozenset[str], is_listed: bool, own: str) -> _Keys:
    return _Keys(some, is_listed, own or (min(some) if len(_roles(some)) == 1 else ""))


def _tell_doubles(keys: dict[_Keys, list[Path]], problems: list[Problem]) -> set[_Keys]:
    """Tell of photos in two splits; return the keys of those that cannot be in both, as others are in one."""
    torn = set()
    for known, paths in keys.items():
        some, is_listed, split = known
        if len(_roles(some)) < 2 or "" in some or (split in some and not split_role(split)):  # so `write` names them
            continue
        both, photos = " and ".join(sorted(some)), counted((path.name for path in paths), "photo")
        what, fix = f"{both} are the same: {photos}", "They are one set; other photos have to judge what was trained."
        severity: Severity = "warning" if is_listed else "note"
        if any(other.some != some and other.some & some for other in keys):
            what, fix = f"both in {both}: {photos}", f"Taken as {split}." if split else "Take each out of one of them."
            severity = "warning" if split else "error"
            torn |= set() if split else {known}
        where = str(paths[0].parent)
        problems.append(Problem(where=where, what=what, fix=fix, severity=severity, kind="photo in two splits"))
    return torn


def _shares(images: Path, by_name: dict[str, _Keys], torn: set[_Keys], led: Iterable[_Led]) -> list[Share]:
    leading = [one.described for one in led if images in one.covered]
    described = max(leading, key=lambda one: len(one.names))
    splits: dict[str, set[str]] = defaultdict(set)
    for name, known in by_name.items():
        if known.some and known not in torn:
            splits[known.split].add(name)
    whole = len(splits) == 1 and sum(map(len, splits.values())) == len(by_name)
    shares = [Share(split, None if whole else frozenset(names), described) for split, names in splits.items()]
    return shares or [Share("", frozenset(), described)]


def _roles(keys: Iterable[str]) -> set[str]:
    """Return what the splits are for; one that is for nothing known is itself."""
    return {split_role(key) or key for key in keys}
