"""Which photos the ``data.yaml`` files and lists of a YOLO data set put into which split."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    description: Description | None = None


class _Membership(NamedTuple):
    """Where a photo belongs: the keys, whether a list has it, and the split that this makes; none if not clear."""

    keys: frozenset[str]
    is_listed: bool
    split: str


_Members = dict[_Membership, list[str]]  # the names of a folder's photos


@dataclass(eq=False)
class _Targets:
    """What the paths in one file lead to.

    Attributes:
        description: what the file says.
        folders: the keys, such as ``train``, of each folder.
        photos: the keys of each listed photo, by its folder and name.
        covered: all folders with photos that the paths lead to.
        missing: what is not there.
    """

    description: Description
    folders: dict[Path, list[str]] = field(default_factory=lambda: defaultdict(list))
    photos: dict[Path, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    covered: set[Path] = field(default_factory=set)
    missing: list[Problem] = field(default_factory=list)

    @property
    def may_be_template(self) -> bool:
        return self.description.path.stem.lower() not in PLAIN


def divide(
    tree: Tree, descriptions: Sequence[Description], problems: list[Problem]
) -> tuple[dict[Path, list[Share]], dict[Path, list[str]]]:
    """Return the folders of photos that the files lead to, divided as they say, and photos there that are in no list.

    Args:
        tree: the data set's folders.
        descriptions: what the files say.
        problems: gets what is not there, what is there twice, and files that contradict each other.
    """
    targets = [_follow(tree, one) for one in descriptions]
    targets = _without_templates([one for one in targets if one.covered], problems)
    if not targets and (lists := _lists(tree)):
        targets = [one for one in [_follow(tree, lists)] if one.covered]
    problems += [problem for one in targets for problem in one.missing]
    covered = sorted({images for one in targets for images in one.covered})
    members = {images: _members(tree, images, targets) for images in covered}
    unclear = _report_doubles(members, problems)
    divided = {images: _shares(images, members[images], unclear, targets) for images in covered}
    unlisted = {images: names for images in covered for one, names in members[images].items() if not one.keys}
    return divided, unlisted


def _follow(tree: Tree, description: Description) -> _Targets:
    bases = tuple(tree.up(description.path.parent))
    if description.names_file and (path := tree.resolve(bases, description.names_file)):
        named = read_description(path)
        description = dataclasses.replace(description, names=named.names if named else {})
    targets = _Targets(description)
    inside = tree.root in (description.path.parent, *description.path.parents)
    for key, text in ((key, text) for key, texts in description.places.items() for text in texts):
        is_split = bool(split_role(key))  # others, such as CVAT's subsets, are splits where they lead to photos
        path = tree.resolve(bases, f"{description.base}/{text}" if is_split else text, exact=not is_split)
        lost: list[str] = []
        if path and path.is_dir():
            tree.add(path)
            found = tree.within(path)
            if found:
                targets.folders[path].append(key)
                targets.covered.update(found)
        elif path:
            listed, lost = tree.listed(path, bases)
            found = list(listed)
            targets.covered.update(listed)
            for images, names in listed.items():
                for name in names:
                    targets.photos[images][name].append(key)
        what = f"{text!r} is not there, or has no photos" if not path or not found else ""
        if lost and found:
            what = f"{text!r} lists what is not there, or is there twice: {counted(lost, 'photo')}"
        if what and is_split and inside:
            fix = "Correct the path, or put the photos there. They are left out."
            problem = Problem(
                where=description.path.name, object=key, what=what, fix=fix, severity="warning", kind="split missing"
            )
            targets.missing.append(problem)
    return targets


def _without_templates(targets: Sequence[_Targets], problems: list[Problem]) -> list[_Targets]:
    """Return those that describe this data set; a template that leads to the same photos is left out."""
    accepted: list[_Targets] = []
    for one in sorted(targets, key=lambda one: one.may_be_template):
        names = one.description.names
        others = [other for other in accepted if one.covered & other.covered]
        other = next((other for other in others if differing_names(names, other.description.names)), None)
        if other is None:
            accepted.append(one)
            continue
        both = f"{one.description.path.name} gives the classes of the same photos other names than"
        what, fix = f"{both} {other.description.path.name}, which was taken", "Delete it if it is a template."
        severity: Severity = "warning"
        if one.may_be_template == other.may_be_template:
            what, fix, severity = f"{both} {other.description.path.name}", "Delete the wrong one.", "error"
        where = one.description.path.name
        problems.append(Problem(where=where, what=what, fix=fix, severity=severity, kind="class name"))
    return accepted


def _lists(tree: Tree) -> Description | None:
    """Return the lists of photos in the root that are called as splits, where no file names them."""
    names = set(tree.texts(tree.root)) - set(tree.matching(tree.root, tree.root))
    places = {folders.stem(name): [name] for name in sorted(names) if split_role(folders.stem(name))}
    return Description(tree.root / next(iter(places.values()))[0], places=places) if places else None


def _members(tree: Tree, images: Path, targets: Iterable[_Targets]) -> _Members:
    """Return a folder's photos by where each belongs: by a list, else of the nearest folder."""
    listed: dict[str, set[str]] = defaultdict(set)
    around: dict[Path, set[str]] = defaultdict(set)
    for one in targets:
        for name, keys in one.photos.get(images, {}).items():
            listed[name].update(keys)
        for folder, keys in one.folders.items():
            if folder in (images, *images.parents):
                around[folder].update(keys)
    nearest = frozenset(around[max(around, key=lambda folder: len(folder.parts))] if around else ())
    own = images.name if images.name in nearest else folders.split_of(tree.home, images)
    of_folder = _Membership(nearest, False, own or _only_split(nearest))
    members: _Members = defaultdict(list)
    for name in tree.photos(images):
        if name in listed:
            some = frozenset(listed[name])
            members[_Membership(some, True, _only_split(some))].append(name)
        else:
            members[of_folder].append(name)
    return members


def _only_split(keys: frozenset[str]) -> str:
    return min(keys) if len(_roles(keys)) == 1 else ""


def _report_doubles(members: Mapping[Path, _Members], problems: list[Problem]) -> set[_Membership]:
    """Report photos in two splits; return where those belong that cannot be in both, as others are in one."""
    unclear = set()
    every = dict.fromkeys(one for of_folder in members.values() for one in of_folder)
    for one in every:
        keys, is_listed, split = one
        if len(_roles(keys)) < 2 or "" in keys or (split in keys and not split_role(split)):  # so `write` names them
            continue
        places = [(images, name) for images, of_folder in members.items() for name in of_folder.get(one, ())]
        both, photos = " and ".join(sorted(keys)), counted((name for _, name in places), "photo")
        what, fix = f"{both} are the same: {photos}", "They are one set; evaluate on photos that were not trained on."
        severity: Severity = "warning" if is_listed else "note"
        if any(other.keys != keys and other.keys & keys for other in every):
            what, fix = f"both in {both}: {photos}", f"Taken as {split}." if split else "Take each out of one of them."
            severity = "warning" if split else "error"
            unclear |= set() if split else {one}
        where = str(places[0][0])
        problems.append(Problem(where=where, what=what, fix=fix, severity=severity, kind="photo in two splits"))
    return unclear


def _shares(images: Path, members: _Members, unclear: set[_Membership], targets: Iterable[_Targets]) -> list[Share]:
    description = max((one.description for one in targets if images in one.covered), key=lambda one: len(one.names))
    splits: dict[str, list[str]] = defaultdict(list)
    for one, names in members.items():
        if one.keys and one not in unclear:
            splits[one.split] += names
    count = sum(map(len, members.values()))
    shares = [
        Share(split, None if len(names) == count else frozenset(names), description) for split, names in splits.items()
    ]
    return shares or [Share("", frozenset(), description)]


def _roles(keys: Iterable[str]) -> set[str]:
    """Return what the splits are for; one that is for nothing known is itself."""
    return {split_role(key) or key for key in keys}
