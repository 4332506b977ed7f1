"""Where a YOLO data set keeps its photos, its labels and the names of its classes.

A part is one folder of photos; those within it are parts of their own. Each has the names and key points of the
file that leads to it, or of the nearest.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_helpers.annotations import split_role
from tfod_helpers.files import storage
from tfod_helpers.formats import folders
from tfod_helpers.formats.raw import Part
from tfod_helpers.formats.yolo.description import LIST_NAMES, NOTHING, Description, differing_names, read_description
from tfod_helpers.formats.yolo.rows import is_row
from tfod_helpers.formats.yolo.splits import Share, divide
from tfod_helpers.formats.yolo.tree import ABOVE, IN_TREE, Tree, counted, is_label
from tfod_helpers.photos.folder import existing_folder, folded
from tfod_helpers.problems import Problem

_DESCRIBING = (".yaml", ".yml", ".data")
_MOST = 200  # of these files
_FEW = 5  # text files of a folder that are opened to see whether they are labels


@dataclass(frozen=True)
class YoloPart(Part):
    """A folder of photos and the folder with their labels; ``only`` has names with their endings.

    Attributes:
        description: the file with the names of the classes and the number of key points.
        inside: the folder's place in the data set, for messages.
        elsewhere: text files in folders that are no photos' labels, by their names without ending, folded.
        problems: what is wrong with the layout of all parts.
    """

    description: Description = NOTHING
    inside: str = ""
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files any of which may be given for it: ``data.yaml`` or the list of names."""
        return (self.description.path,)


def find(listing: folders.Listing) -> list[Part]:
    """Return the parts of a YOLO data set: by its ``data.yaml`` or ``obj.data``, else by its folders."""
    return list(_Layout(Tree(listing)).parts())


def beside(images: Path) -> list[Part]:
    """Return the parts of a folder that is read as YOLO; where nothing is recognised, all its folders of photos are."""
    layout = _Layout(Tree(folders.Listing(existing_folder(images))))
    return list(layout.parts() or layout.finished(layout.all_parts(), {}))


def given(part: Part) -> list[YoloPart]:
    """Return the parts of a folder of photos and one of labels that somebody named."""
    around = [part.images, *part.images.parents[:ABOVE]]
    home = next((one for one in around if one in (part.annotations, *part.annotations.parents)), None)
    layout = _Layout(Tree(folders.Listing(existing_folder(part.images)), home))
    return layout.all_parts(part.annotations, part.split)


def mirrored(path: storage.AnyPath) -> Path:
    """Return where a folder of photos or labels is on this machine; one of a bucket comes with what it needs.

    That are the labels, in the folder above ``images``, and the nearest file that names the classes.
    """
    if not storage.is_remote(path):
        return Path(path)
    above = [storage.address(path).rstrip("/")]
    while len(above) <= ABOVE and above[-1].count("/") > 2:  # gs://bucket has two
        above.append(storage.split(above[-1])[0])
    names = [place for place, folder in enumerate(above) if any(map(_may_name, storage.sizes(folder)))]
    tree = [place for place, folder in enumerate(above[:-1], start=1) if storage.split(folder)[1].lower() in IN_TREE]
    root = above[max([*names[:1], *tree], default=0)]
    return storage.mirror(root) / above[0].removeprefix(root).lstrip("/")


def _may_name(name: str) -> bool:
    return bool(LIST_NAMES.fullmatch(name)) or name.lower().endswith(_DESCRIBING)


class _Layout:
    """A data set's folders, and the files in them that describe it."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.problems: list[Problem] = []
        places = [*tree.folders, *tree.above]
        paths = [one / name for one in places for name in tree.files(one) if name.lower().endswith(_DESCRIBING)]
        self.descriptions = [found for found in map(read_description, paths[:_MOST]) if found]
        self.divided, self.unlisted = divide(tree, self.descriptions, self.problems)
        self.used = {share.description.path for some in self.divided.values() for share in some}
        self._with_names = functools.cache(lambda one, other: dataclasses.replace(one, names=other.names))
        self._lists_in = functools.cache(self._read_lists)

    def parts(self) -> list[YoloPart]:
        """Return the parts that are recognised; none where it is no YOLO data set."""
        labels, every = self._labels(), self.tree.within(self.tree.root)
        if not labels and not any(map(self.tree.texts, self.tree.folders)):
            return []  # a data.yaml beside annotations of another format
        shares = [(images, share) for images in every for share in self.divided.get(images, ())]
        free = [one for one in every if one in labels and one not in self.divided]
        rows = {one: known for one in free if (known := self.tree.has_rows(one, labels[one])) is not False}
        roots = {path.parent for path in self.used}
        alone = [one for one in rows if not any(root in (one, *one.parents) for root in roots)]
        taken = alone if any(rows[one] for one in alone) else []
        shares += [(one, Share(folders.split_of(self.tree.root, one))) for one in taken]
        found = [part for images, share in shares for part in self._parts(images, labels.get(images, []), share)]
        used = {place for places in labels.values() for place in places} | {part.annotations for part in found}
        if found:
            self._report_left_out([one for one in rows if one not in taken], used)
        return self.finished(found, self.tree.texts_elsewhere(used))

    def _parts(self, images: Path, places: Sequence[Path], share: Share) -> Iterator[YoloPart]:
        """Yield the part of a share, or one for each of several folders of labels, which is for a split then."""
        if len(places) < 2:
            yield self.part(images, places[0] if places else None, share)
            return
        rest = frozenset(self.tree.photos(images)) if share.only is None else share.only
        for place in places:
            own = rest & self.tree.labelled(images, place)
            rest -= own
            split = share.split or folders.split_of(self.tree.home, place)
            yield self.part(images, place, Share(split, own, share.description))
        if rest and share.only is None:
            self.unlisted[images] = sorted(rest)

    def all_parts(self, annotations: Path | None = None, split: str = "") -> list[YoloPart]:
        """Return a part for each folder of photos, with labels from a folder that is given, or the likeliest."""
        found, root = [], self.tree.root
        for images in self.tree.within(root) or [root]:
            labels = annotations and annotations / images.relative_to(root)
            found.append(self.part(images, labels if labels and labels.is_dir() else annotations, Share(split)))
        return found

    def finished(self, parts: Sequence[YoloPart], elsewhere: Mapping[str, Path]) -> list[YoloPart]:
        """Return the parts, each with all that is wrong with the layout."""
        problems = tuple(dict.fromkeys(self._problems(parts)))
        return [dataclasses.replace(part, problems=problems, elsewhere=elsewhere) for part in parts]

    def part(self, images: Path, labels: Path | None, share: Share) -> YoloPart:
        """Return one part; labels that are not given are the likeliest."""
        labels = labels or self.tree.labels_of(images)[0]
        parts = labels.relative_to(self.tree.root).parts if self.tree.root in (labels, *labels.parents) else ()
        inside = "".join(f"{part}/" for part in parts if part.lower() not in IN_TREE and part != share.split)
        description = self._names(images, labels, share.description)
        return YoloPart(images, labels, share.split, share.only, description=description, inside=inside)

    # --- labels ---------------------------------------------------------------------------------

    def _labels(self) -> dict[Path, list[Path]]:
        """Return the folder with the labels of each folder of photos that has some, or several for parts of it."""
        every = self.tree.within(self.tree.root)
        found: dict[Path, list[Path]] = {}
        for images in every:
            places = self.tree.labels_of(images)
            if labels := next((one for one in places if any(self.tree.matching(images, one))), None):
                found[images] = [labels]
        taken = {place for places in found.values() for place in places}
        rest = [one for one in self.tree.folders if self.tree.texts(one) and one not in taken]
        for images in [one for one in every if one not in found]:
            near = self._nearest(images, [one for one in rest if any(self.tree.matching(images, one))])
            own = [self.tree.labelled(images, one) for one in near]
            if near and sum(map(len, own)) == len(frozenset().union(*own)):
                found[images] = near
            elif near:
                what = f"the labels of its photos may be in {' or '.join(str(one) for one in near[:3])}"
                fix = "Name the folders alike, as images/train and labels/train."
                self.problems.append(Problem(where=str(images), what=what, fix=fix, kind="photo unclear"))
        return found

    def _nearest(self, images: Path, places: Sequence[Path]) -> list[Path]:
        """Return the nearest of the folders, or those of the same split or name; none of another split."""
        roles = {one: split_role(folders.split_of(self.tree.home, one)) for one in (images, *places)}
        role = roles[images]
        shared = {one: len(os.path.commonpath((one, images))) for one in places if not role or roles[one] in ("", role)}
        near = [one for one, count in shared.items() if count == max(shared.values())]
        same = [one for one in near if role and roles[one] == role]
        return same or [one for one in near if folded(one.name) == folded(images.name)] or near

    # --- names ----------------------------------------------------------------------------------

    def _names(self, images: Path, labels: Path, leading: Description) -> Description:
        """Return the description of a part: the file that leads to it, with the names of the nearest if it has none."""
        if leading.names:
            for place in dict.fromkeys((labels, images, leading.path.parent)):
                self._agreed([leading, *self._lists(place, images)])
            return leading
        for place in dict.fromkeys((*self.tree.up(labels), *self.tree.up(images))):
            here = [one for one in self.descriptions if one.path.parent == place and one.names]
            sure = [one for one in here if one.path in self.used or not one.places]
            if found := self._agreed(sure + self._lists(place, images)) or self._agreed(here):
                return found if leading is NOTHING else self._with_names(leading, found)
        return leading

    def _agreed(self, found: Sequence[Description]) -> Description | None:
        """Return the longest of lists; that some do not agree is a problem."""
        best = max(found, key=lambda one: len(one.names), default=None)
        for one in found:
            if best and (differing := differing_names(best.names, one.names)):
                number = differing[0]
                what = f"class {number} is {one.names[number]!r} here, and {best.names[number]!r} in {best.path.name}"
                fix = "It is not clear which of them the labels were made with. Delete the other one."
                self.problems.append(Problem(where=str(one.path), what=what, fix=fix, kind="class name"))
        return best

    def _lists(self, place: Path, images: Path) -> list[Description]:
        """Return the lists of names in a folder, none of which is the label file of a photo."""
        photos = self.tree.by_name(images)
        found = [one for one in self._lists_in(place) if not photos.of_label(one.path.name)]
        others = [one for one in found if not one.path.name.startswith("predefined")]  # labelImg's template
        return others or found

    def _read_lists(self, place: Path) -> list[Description]:
        read = [read_description(place / name) for name in self.tree.files(place) if LIST_NAMES.fullmatch(name)]
        found = [one for one in read if one and (one.faults or one.names)]
        return [one for one in found if not any(map(is_row, one.names.values()))]

    # --- problems ---------------------------------------------------------------------------------

    def _problems(self, parts: Sequence[YoloPart]) -> Iterator[Problem]:
        yield from self.problems
        used = {part.description.path for part in parts if part.description.names}
        reported = {*used, *self.used}
        for one in self.descriptions:
            if one.path in reported or one.faults or not used:
                yield from one.problems("error" if one.path in self.used or not used else "warning")
            if one.path in used and one.places and one.path not in self.used:
                what, fix = "none of the folders that it names is there", "Its names were taken. Correct its paths."
                yield Problem(where=one.path.name, what=what, fix=fix, severity="warning", kind="split missing")
        for listed in {part.description for part in parts} - {*self.descriptions}:
            yield from listed.problems("error")

    def _report_left_out(self, labelled: Sequence[Path], used: set[Path]) -> None:
        """Report photos that are in no part, and label files in folders where no photo has its own."""
        left = {images: self.tree.photos(images) for images in labelled} | self.unlisted
        self._report(left, "photo", "no split has them")
        rest = {place: self.tree.without_photo(place) for place in self.tree.folders if place not in used}
        lost = {place: names for place, names in rest.items() if any(is_label(place / name) for name in names[:_FEW])}
        self._report(lost, "label file", "no photo is called so")

    def _report(self, left: Mapping[Path, Sequence[str]], kind: str, why: str) -> None:
        if left:
            where = ", ".join(sorted({path.name for path in self.used})) or str(self.tree.root)
            some = counted((name for names in left.values() for name in names), kind)
            places = [place.relative_to(self.tree.home).as_posix() for place in list(left)[:3]]
            what = f"{some}, in {', '.join(places)}{', ...' * (len(left) > 3)}, left out: {why}"
            fix = "Name the folder, or list the photos, if they belong to the data set."
            self.problems += [Problem(where=where, what=what, fix=fix, severity="warning", kind="photo left out")]
