"""Which photos the ``data.yaml`` files and lists of a YOLO data set put into which split."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tfod_helpers.annotations import split_role
from tfod_helpers.formats import folders
from tfod_helpers.formats.yolo.description import NOTHING, PLAIN, Description, differing_names, read_description
from tfod_helpers.formats.yolo.tree import Tree, counted
from tfod_helpers.problems import Problem, Severity


@dataclass(frozen=True, eq=False)
class Share:
    """Photos of one folder that belong together.

    Attributes:
        split: their split; empty where there is none, or it is not clear.
        only: their names; None means all.
        description: the file that leads to the folder.
        keys: the splits' names in the files; none where no list has the photos.
        is_listed: a list has them, and not only their folder is named.
    """

    split: str
    only: frozenset[str] | None = None
    description: Description = NOTHING
    keys: frozenset[str] = frozenset()
    is_listed: bool = False


class _Claim(NamedTuple):
    """Photos of one folder that a file counts to a split.

    Attributes:
        description: the file.
        key: the split's name in the file, such as ``train``.
        depth: of the path in the file: of several folders around a photo, the innermost decides.
        names: the photos that a list has; None where a folder is named, and all in it are meant.
    """

    description: Description
    key: str
    depth: int
    names: Sequence[str] | None


class _Followed(NamedTuple):
    """What the paths in one file lead to, by the folders of photos; ``missing`` has what is not there."""

    description: Description
    claims: dict[Path, list[_Claim]]
    missing: list[Problem]

    @property
    def may_be_template(self) -> bool:
        return self.description.path.stem.lower() not in PLAIN


def divide(
    tree: Tree, descriptions: Sequence[Description], problems: list[Problem]
) -> tuple[dict[Path, list[Share]], dict[Path, list[str]]]:
    """Return the folders of photos that the files lead to, divided as they do it, and photos there that are in no list.

    Args:
        tree: the data set's folders.
        descriptions: the files.
        problems: gets what is not there, what is there twice, and files that contradict each other.
    """
    followed = _without_templates(_follow_all(tree, descriptions), problems) or _follow_all(tree, _lists(tree))
    problems += [problem for one in followed for problem in one.missing]
    claims: dict[Path, list[_Claim]] = defaultdict(list)
    for images, of_file in (item for one in followed for item in one.claims.items()):
        claims[images] += of_file
    shares = {images: _shares(tree, images, claims[images]) for images in sorted(claims)}
    unclear = _report_doubles(tree, shares, problems)
    divided = {}
    for images, some in shares.items():
        clear = [share for share in some if share.keys and share not in unclear]
        divided[images] = clear or [Share("", frozenset(), some[0].description)]
    return divided, {images: sorted(one.only or ()) for images, some in shares.items() for one in some if not one.keys}


def _follow_all(tree: Tree, descriptions: Iterable[Description]) -> list[_Followed]:
    """Return what the files lead to, of those that lead to photos."""
    return [one for one in (_follow(tree, description) for description in descriptions) if one.claims]


def _follow(tree: Tree, description: Description) -> _Followed:
    """Return what the paths in a file lead to; a list of names that it names instead of having some is read too."""
    bases = tuple(tree.up(description.path.parent))
    if description.names_file and (path := tree.resolve(bases, description.names_file)):
        named = read_description(path) or NOTHING
        description = dataclasses.replace(description, names=named.names)
    found = _Followed(description, defaultdict(list), [])
    inside = tree.root in (description.path.parent, *description.path.parents)
    for key, text in ((key, text) for key, texts in description.places.items() for text in texts):
        is_split = bool(split_role(key))  # others, such as CVAT's subsets, are splits where they lead to photos
        path = tree.resolve(bases, f"{description.base}/{text}" if is_split else text, exact=not is_split)
        photos: Mapping[Path, Sequence[str] | None] = {}
        lost: list[str] = []
        if path and path.is_dir():
            tree.add(path)
            photos = dict.fromkeys(tree.within(path))
        elif path:
            photos, lost = tree.listed(path, bases)
        for images, names in photos.items():
            found.claims[images].append(_Claim(description, key, len(path.parts) if path else 0, names))
        if is_split and inside and (lost or not photos):
            what = f"{text!r} is not there, or has no photos"
            if photos:
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
        others = [other for other in accepted if one.claims.keys() & other.claims.keys()]
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
    """Return the lists of photos in the root that have a split's name, as one description, where no file names them."""
    photos = tree.by_name(tree.root)
    names = [name for name in tree.texts(tree.root) if not photos.of_label(name)]
    places = {folders.stem(name): [name] for name in names if split_role(folders.stem(name))}
    return [Description(tree.root / next(iter(places.values()))[0], places=places)] if places else []


def _shares(tree: Tree, images: Path, claims: Sequence[_Claim]) -> list[Share]:
    """Return a folder's photos by where each belongs: by a list, else of the nearest folder."""
    listed: dict[str, set[str]] = defaultdict(set)
    for claim in claims:
        for name in claim.names or ():
            listed[name].add(claim.key)
    around = [claim for claim in claims if claim.names is None]
    nearest = frozenset(claim.key for claim in around if claim.depth == max(one.depth for one in around))
    own = images.name if images.name in nearest else folders.split_of(tree.home, images)
    description = max((claim.description for claim in claims), key=lambda one: len(one.names))
    by_keys: dict[frozenset[str], list[str]] = defaultdict(list)
    for name in tree.photos(images):
        by_keys[frozenset(listed.get(name, ()))].append(name)
    shares = []
    for keys, names in by_keys.items():
        split = _only_split(keys) if keys else own or _only_split(nearest)
        only = frozenset(names) if len(by_keys) > 1 else None
        shares.append(Share(split, only, description, keys or nearest, bool(keys)))
    return shares


def _only_split(keys: frozenset[str]) -> str:
    return min(keys) if len(_roles(keys)) == 1 else ""


def _report_doubles(tree: Tree, shares: Mapping[Path, Sequence[Share]], problems: list[Problem]) -> set[Share]:
    """Report photos in two splits; return those that cannot be in both, as others are in one."""
    alike: dict[tuple[frozenset[str], bool, str], list[tuple[Path, Share]]] = defaultdict(list)
    for images, some in shares.items():
        for share in some:
            alike[share.keys, share.is_listed, share.split].append((images, share))
    unclear = set[Share]()
    for (keys, is_listed, split), same in alike.items():
        if len(_roles(keys)) < 2 or "" in keys or (split in keys and not split_role(split)):  # so `write` names them
            continue
        names = (name for images, share in same for name in sorted(share.only or tree.photos(images)))
        both, photos = " and ".join(sorted(keys)), counted(names, "photo")
        what, fix = f"{both} are the same: {photos}", "They are one set; evaluate on photos that were not trained on."
        severity: Severity = "warning" if is_listed else "note"
        if any(other != keys and other & keys for other, _, _ in alike):
            what, fix = f"both in {both}: {photos}", f"Taken as {split}." if split else "Take each out of one of them."
            severity = "warning" if split else "error"
            unclear.update(share for _, share in same if not split)
        where = str(same[0][0])
        problems.append(Problem(where=where, what=what, fix=fix, severity=severity, kind="photo in two splits"))
    return unclear


def _roles(keys: Iterable[str]) -> set[str]:
    """Return what the splits are for; one that is for nothing known is itself."""
    return {split_role(key) or key for key in keys}
