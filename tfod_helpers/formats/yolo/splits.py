"""Which photos the ``data.yaml`` files and lists of a YOLO data set put into which split."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tfod_helpers.annotations import split_role
from tfod_helpers.formats import folders
from tfod_helpers.formats.yolo.description import NOTHING, PLAIN, Description, differing_names, read_description
from tfod_helpers.formats.yolo.tree import Tree, counted
from tfod_helpers.problems import Problem, Severity


class Share(NamedTuple):
    """Photos of one folder that belong to one split; ``only`` has their names, None means all."""

    split: str
    only: frozenset[str] | None = None
    description: Description = NOTHING


class _Claim(NamedTuple):
    """Photos of one folder that a file counts to a split.

    Attributes:
        description: the file.
        images: the folder.
        key: the split's name in the file, such as ``train``.
        names: the photos that a list has; None where a folder is named, and all in it are meant.
        depth: of the folder that is named: of several, the innermost decides.
    """

    description: Description
    images: Path
    key: str
    names: Sequence[str] | None = None
    depth: int = 0


class _Followed(NamedTuple):
    """What the paths in one file lead to; ``missing`` has what is not there."""

    description: Description
    claims: list[_Claim]
    missing: list[Problem]

    @property
    def may_be_template(self) -> bool:
        return self.description.path.stem.lower() not in PLAIN

    @property
    def folders(self) -> set[Path]:
        return {claim.images for claim in self.claims}


@dataclass(frozen=True, eq=False)
class _Group:
    """Photos of one folder that belong together.

    Attributes:
        images: the folder.
        names: the photos.
        keys: the splits' names in the files; none where no list has them.
        is_listed: a list has them, and not only their folder is named.
        split: the split that this makes; empty where it is not clear.
    """

    images: Path
    names: Sequence[str]
    keys: frozenset[str]
    is_listed: bool
    split: str


def divide(
    tree: Tree, descriptions: Sequence[Description], problems: list[Problem]
) -> tuple[dict[Path, list[Share]], dict[Path, Sequence[str]]]:
    """Return the folders of photos that the files lead to, divided as they do it, and photos there that are in no list.

    Args:
        tree: the data set's folders.
        descriptions: the files.
        problems: gets what is not there, what is there twice, and files that contradict each other.
    """
    followed = _without_templates(_follow_all(tree, descriptions), problems) or _follow_all(tree, _lists(tree))
    problems += [problem for one in followed for problem in one.missing]
    claims: dict[Path, list[_Claim]] = defaultdict(list)
    for claim in (claim for one in followed for claim in one.claims):
        claims[claim.images].append(claim)
    groups = {images: _groups(tree, images, claims[images]) for images in sorted(claims)}
    unclear = _report_doubles([group for of_folder in groups.values() for group in of_folder], problems)
    divided = {}
    for images, of_folder in groups.items():
        clear = [group for group in of_folder if group.keys and group not in unclear]
        description = max((claim.description for claim in claims[images]), key=lambda one: len(one.names))
        divided[images] = _shares(clear, len(tree.photos(images)), description)
    return divided, {group.images: group.names for some in groups.values() for group in some if not group.keys}


def _follow_all(tree: Tree, descriptions: Iterable[Description]) -> list[_Followed]:
    """Return what the files lead to, of those that lead to photos."""
    return [one for one in (_follow(tree, description) for description in descriptions) if one.claims]


def _follow(tree: Tree, description: Description) -> _Followed:
    bases = tuple(tree.up(description.path.parent))
    if description.names_file and (path := tree.resolve(bases, description.names_file)):
        named = read_description(path) or NOTHING
        description = dataclasses.replace(description, names=named.names)
    found = _Followed(description, [], [])
    inside = tree.root in (description.path.parent, *description.path.parents)
    for key, text in ((key, text) for key, texts in description.places.items() for text in texts):
        is_split = bool(split_role(key))  # others, such as CVAT's subsets, are splits where they lead to photos
        path = tree.resolve(bases, f"{description.base}/{text}" if is_split else text, exact=not is_split)
        claims: list[_Claim] = []
        lost: list[str] = []
        if path and path.is_dir():
            tree.add(path)
            claims = [_Claim(description, images, key, depth=len(path.parts)) for images in tree.within(path)]
        elif path:
            listed, lost = tree.listed(path, bases)
            claims = [_Claim(description, images, key, names) for images, names in listed.items()]
        found.claims.extend(claims)
        if is_split and inside and (lost or not claims):
            what = f"{text!r} is not there, or has no photos"
            if claims:
                what = f"{text!r} lists what is not there, or is there twice: {counted(lost, 'photo')}"
            fix, where = "Correct the path, or put the photos there. They are left out.", description.path.name
            kind = "split missing"
            found.missing.append(Problem(where=where, object=key, what=what, fix=fix, severity="warning", kind=kind))
    return found


def _without_templates(followed: Sequence[_Followed], problems: list[Problem]) -> list[_Followed]:
    """Return those that describe this data set; a template that leads to the same photos is left out."""
    accepted: list[_Followed] = []
    for one in sorted(followed, key=lambda one: one.may_be_template):
        names = one.description.names
        others = [other for other in accepted if one.folders & other.folders]
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


def _lists(tree: Tree) -> list[Description]:
    """Return the lists of photos in the root that are called as splits, where no file names them."""
    names = set(tree.texts(tree.root)) - tree.pairs(tree.root, tree.root).keys()
    places = {folders.stem(name): [name] for name in sorted(names) if split_role(folders.stem(name))}
    return [Description(tree.root / next(iter(places.values()))[0], places=places)] if places else []


def _groups(tree: Tree, images: Path, claims: Sequence[_Claim]) -> list[_Group]:
    """Return a folder's photos by where each belongs: by a list, else of the nearest folder."""
    listed: dict[str, set[str]] = defaultdict(set)
    for claim in claims:
        for name in claim.names or ():
            listed[name].add(claim.key)
    depth = max(claim.depth for claim in claims)
    nearest = frozenset(claim.key for claim in claims if claim.depth == depth and claim.names is None)
    own = images.name if images.name in nearest else folders.split_of(tree.home, images)
    by_keys: dict[frozenset[str], list[str]] = defaultdict(list)
    for name in tree.photos(images):
        by_keys[frozenset(listed.get(name, ()))].append(name)
    rest = by_keys.pop(frozenset(), [])
    groups = [_Group(images, names, keys, True, _only_split(keys)) for keys, names in by_keys.items()]
    return [*groups, _Group(images, rest, nearest, False, own or _only_split(nearest))] if rest else groups


def _only_split(keys: frozenset[str]) -> str:
    return min(keys) if len(_roles(keys)) == 1 else ""


def _report_doubles(groups: Sequence[_Group], problems: list[Problem]) -> set[_Group]:
    """Report photos in two splits; return those that cannot be in both, as others are in one."""
    alike: dict[tuple[frozenset[str], bool, str], list[_Group]] = defaultdict(list)
    for group in groups:
        alike[group.keys, group.is_listed, group.split].append(group)
    unclear = set[_Group]()
    for (keys, is_listed, split), some in alike.items():
        if len(_roles(keys)) < 2 or "" in keys or (split in keys and not split_role(split)):  # so `write` names them
            continue
        both, photos = " and ".join(sorted(keys)), counted((name for one in some for name in one.names), "photo")
        what, fix = f"{both} are the same: {photos}", "They are one set; evaluate on photos that were not trained on."
        severity: Severity = "warning" if is_listed else "note"
        if any(other.keys != keys and other.keys & keys for other in groups):
            what, fix = f"both in {both}: {photos}", f"Taken as {split}." if split else "Take each out of one of them."
            severity = "warning" if split else "error"
            unclear.update(() if split else some)
        where = str(some[0].images)
        problems.append(Problem(where=where, what=what, fix=fix, severity=severity, kind="photo in two splits"))
    return unclear


def _shares(groups: Sequence[_Group], count: int, description: Description) -> list[Share]:
    """Return one share for each split of a folder with so many photos, which may be empty."""
    splits: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        splits[group.split] += group.names
    only = {split: None if len(names) == count else frozenset(names) for split, names in splits.items()}
    return [Share(split, names, description) for split, names in (only or {"": frozenset()}).items()]


def _roles(keys: Iterable[str]) -> set[str]:
    """Return what the splits are for; one that is for nothing known is itself."""
    return {split_role(key) or key for key in keys}
