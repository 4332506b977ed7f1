"""Label maps, labelled images, datasets, and the problems found in them.

A box here is ``boxes_xyxy``: ``[xmin, ymin, xmax, ymax]`` in pixels of the image, float32, 0-based,
as the annotation file says it. Nothing in this module needs TensorFlow.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tfod_helpers import photos, workspace

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["error", "warning", "note"]
OnProblem = Literal["raise", "skip"]
_SHOWN = 50  # problems that an error message lists before it counts the rest


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file, told so that a person can act on it.

    Attributes:
        where: the file (or folder) it is in.
        object: which object of the file, such as ``object 2 ('cat')``; empty for the whole file.
        what: what is wrong.
        got: what was found, where ``what`` does not already say it.
        fix: what to do.
        severity: ``error`` (cannot be used), ``warning`` (probably wrong), ``note`` (a fact).
    """

    where: str
    object: str
    what: str
    got: str
    fix: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.where}, {self.object}" if self.object else self.where
        got = f", got {self.got}" if self.got else ""
        return f"{place}: {self.what}{got}. {self.fix}"


class DatasetError(ValueError):
    """Everything wrong with a folder or a set of files, in one report.

    Attributes:
        problems: every `Problem` found, the errors and the rest.
    """

    def __init__(self, problems: Sequence[Problem], where: str = "dataset") -> None:
        self.problems = tuple(problems)
        self.where = where
        errors = [problem for problem in self.problems if problem.severity == "error"]
        lines = [f"{where}: {len(errors)} problem{'s' * (len(errors) != 1)}:"]
        lines += [f"  {problem}" for problem in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            lines.append(f"  ... and {len(errors) - _SHOWN} more, all in this error's .problems")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[DatasetError], tuple[tuple[Problem, ...], str]]:
        return DatasetError, (self.problems, self.where)  # so that it can come back from another process


def settle_problems(problems: Sequence[Problem], on_problem: OnProblem, where: str) -> tuple[Problem, ...]:
    """Raise every error at once, or hand the problems back to be kept.

    Args:
        problems: what was found.
        on_problem: ``raise`` or ``skip``.
        where: what was read, for the first line of the report.

    Raises:
        DatasetError: ``on_problem`` is ``raise`` and at least one problem is an error.
        ValueError: ``on_problem`` is neither.
    """
    if on_problem not in ("raise", "skip"):
        raise ValueError(f"on_problem must be 'raise' or 'skip', got {on_problem!r}.")
    if on_problem == "raise" and any(problem.severity == "error" for problem in problems):
        raise DatasetError(problems, where)
    return tuple(problems)


class LabelMap:
    """The classes of a dataset, in the order that the model knows them.

    Ids are 1..n in the order given; 0 is the background and never has a name.

    Args:
        names: the class names, distinct and not empty.

    Raises:
        ValueError: no names, a repeated one, or one that `name_fault` refuses.
    """

    def __init__(self, names: Iterable[str]) -> None:
        if isinstance(names, str):
            raise ValueError(f"LabelMap takes a list of names, got the single text {names!r}. Write [{names!r}].")
        self.names: tuple[str, ...] = tuple(names)
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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelMap) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"LabelMap([{', '.join(map(repr, self.names))}])"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> LabelMap:
        """Read a ``.pbtxt`` label map, or a ``.txt`` file with one name a line.

        Args:
            path: the file. ``.pbtxt`` may hold the items in any order and style that protocol
                buffer text format allows; ids must be 1..n without gaps.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file does not hold a usable label map; the message says where and why.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no label map here. Check the path.")
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason}). Save the file as UTF-8.") from error
        try:
            if path.suffix.lower() == ".txt":
                return cls(line.strip() for line in text.splitlines() if line.strip())
            return cls(_names_in_order(_read_items(text)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write a ``.pbtxt`` label map, or one name a line where ``path`` ends in ``.txt``."""
        path = Path(path)
        if path.suffix.lower() == ".txt":
            text = "".join(f"{name}\n" for name in self.names)
        else:
            items = zip(self.ids, self.names, strict=True)
            text = "".join(f"item {{\n  id: {id}\n  name: '{_escape(name)}'\n}}\n" for id, name in items)
        with workspace.whole_file(path) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
        return path


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image and its boxes.

    Attributes:
        path: the image file; for an image read from records, the name it had.
        width: pixels, in the frame that the boxes are in.
        height: pixels, in the frame that the boxes are in.
        boxes_xyxy: float32, shape (n, 4), ``[xmin, ymin, xmax, ymax]`` in pixels, inside the image.
        labels: int32, shape (n,), class ids from 1.
        encoded: the bytes of the image file where there is no file (read from records).

    Raises:
        ValueError: a shape, a value or a box does not fit the above.
    """

    path: Path
    width: int
    height: int
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    encoded: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        boxes_xyxy = np.array(self.boxes_xyxy, np.float32)
        if boxes_xyxy.size and boxes_xyxy.shape[1:] != (4,):
            raise ValueError(f"{self.path}: boxes must have shape (n, 4), got {boxes_xyxy.shape}.")
        boxes_xyxy = boxes_xyxy.reshape(-1, 4)
        labels = np.array(self.labels, np.int32).reshape(-1)
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "boxes_xyxy", boxes_xyxy)
        object.__setattr__(self, "labels", labels)
        if self.width < 1 or self.height < 1:
            raise ValueError(f"{self.path}: an image needs a width and height, got {self.width} x {self.height}.")
        if len(boxes_xyxy) != len(labels):
            raise ValueError(f"{self.path}: {len(boxes_xyxy)} boxes and {len(labels)} labels. Give one label a box.")
        if (labels < 1).any():
            raise ValueError(f"{self.path}: class ids start at 1 (0 is the background), got {labels.min()}.")
        for number, box_xyxy in enumerate(boxes_xyxy.tolist(), start=1):
            fault = box_fault(box_xyxy, self.width, self.height)
            if fault:
                raise ValueError(f"{self.path}, object {number}: {fault[0]}. {fault[1]}")
        boxes_xyxy.flags.writeable = labels.flags.writeable = False

    def pixels(self) -> np.ndarray:
        """Decode the image in the frame that the boxes are in: uint8, shape (height, width, 3), RGB.

        Raises:
            FileNotFoundError: the file is gone.
            photos.PhotoError: it is no image, or not a whole one.
        """
        return photos.to_rgb(self.path if self.encoded is None else self.encoded, (self.width, self.height))


def box_fault(box_xyxy: Sequence[float], width: int, height: int) -> tuple[str, str] | None:
    """Say what is wrong with one box, and the fix, or None where it is a box inside the image.

    Args:
        box_xyxy: ``[xmin, ymin, xmax, ymax]`` in pixels.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """
    xmin, ymin, xmax, ymax = box_xyxy
    if 0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height and (xmax > 1 or ymax > 1 or min(width, height) <= 2):
        return None
    fix = "Fix the box or delete the object."
    shown = f"[{', '.join(map(coordinate_text, box_xyxy))}]"
    if not all(map(math.isfinite, box_xyxy)):
        return f"the box {shown} has a coordinate that is not a finite number", fix
    for low, high, axis, side in ((xmin, xmax, "x", "right of"), (ymin, ymax, "y", "below")):
        if high <= low:
            return f"{axis}max {coordinate_text(high)} is not {side} {axis}min {coordinate_text(low)}", fix
    if xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
        return f"the box {shown} lies outside the {width} x {height} image", fix
    if xmin < 0 or ymin < 0 or xmax > width or ymax > height:
        return f"the box {shown} reaches over the edge of the {width} x {height} image", "Clip the box to the image."
    return (
        f"the box {shown} is in fractions of the image, not in pixels",
        "Multiply x by the width and y by the height.",
    )


def name_fault(name: object) -> tuple[str, str] | None:
    """Say why something cannot be the name of a class, and the fix, or None where it can."""
    if not isinstance(name, str) or not name.strip():
        return f"a class name must be a text that is not empty, got {name!r}", "Name the class."
    if name.strip().casefold() == "background":
        return f"a class may not be called {name!r}, id 0 is the background already", "Rename or remove it."
    if name != name.strip():
        return f"the class name {name!r} starts or ends with a space", f"Write {name.strip()!r}."
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        # XML cannot hold them, and a label map in plain text has one line a name.
        return f"the class name {name!r} has a line break or another control character", "Remove it."
    return None


def coordinate_text(value: float) -> str:
    """Return a coordinate as the shortest text that gives the same float32 back: ``52``, ``52.3``."""
    return np.format_float_positional(np.float32(value), trim="-")


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[LabelledImage]):
    """Labelled images that share a label map.

    Attributes:
        images: the images.
        label_map: the classes that ``labels`` point into.
        problems: what was found while reading and is not in ``images``.
    """

    images: tuple[LabelledImage, ...]
    label_map: LabelMap
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "problems", tuple(self.problems))
        top = max((int(image.labels.max()) for image in self.images if len(image.labels)), default=0)
        if top > len(self.label_map):
            raise ValueError(
                f"A label has class id {top}, and the label map has {len(self.label_map)} classes "
                f"({self.label_map.describe()}). Give the label map that the labels were made with."
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # Sequence's own overloads
        return self.images[index]

    def __repr__(self) -> str:
        boxes = sum(len(image.labels) for image in self.images)
        counts = ", ".join(f"{name} {n}" for name, n in self.counts().items())
        found = f", {len(self.problems)} problems listed in .problems" if self.problems else ""
        return f"Dataset({len(self)} images, {boxes} boxes: {counts}{found})"

    def counts(self) -> dict[str, int]:
        """Return the number of boxes of each class, in the label map's order."""
        ids = np.concatenate([image.labels for image in self.images] or [np.zeros(0, np.int32)])
        return {name: int((ids == id).sum()) for id, name in zip(self.label_map.ids, self.label_map, strict=True)}

    def split(self, fractions: Mapping[str, float], seed: int = 0) -> dict[str, Dataset]:
        """Share the images out at random, always the same way for the same seed and file names.

        Args:
            fractions: the share of each part, such as ``{"train": 0.8, "validation": 0.2}``.
            seed: another number gives another split.

        Raises:
            ValueError: the shares do not add up to 1, or a part would stay empty.
        """
        if abs(sum(fractions.values()) - 1) > 1e-6 or min(fractions.values()) <= 0:
            raise ValueError(f"Shares must be above 0 and add up to 1, got {dict(fractions)}.")
        ordered = sorted(
            self.images, key=lambda image: hashlib.sha256(f"{seed}/{image.path.name}".encode()).digest()
        )
        ends = np.round(np.cumsum(list(fractions.values())) * len(ordered)).astype(int)
        starts = [0, *ends[:-1]]
        parts = {}
        for name, start, end in zip(fractions, starts, ends, strict=True):
            if start == end:
                raise ValueError(f"{len(self)} images leave none for {name!r}. Give it a larger share.")
            parts[name] = Dataset(tuple(ordered[start:end]), self.label_map)
        return parts

    def to_frame(self) -> pd.DataFrame:
        """Return one row a box: filename, width, height, class, xmin, ymin, xmax, ymax."""
        import pandas as pd

        rows = [
            (image.path.name, image.width, image.height, self.label_map.name(int(label)), *map(float, box_xyxy))
            for image in self.images
            for box_xyxy, label in zip(image.boxes_xyxy, image.labels, strict=True)
        ]
        return pd.DataFrame(rows, columns=["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``. Did you mean 'x'?`` for the nearest of the known names, or nothing."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f". Did you mean {folded[near[0]]!r}?" if near else ""


# --- label map text: the part of protocol buffer text format that label maps use ---------------

_TOKEN = re.compile(
    r"""(?P<space>[\s,;]+|\#[^\n]*)      # separators and comments
      | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<open>:?\s*[{<]) | (?P<close>[}>]) | (?P<colon>:)
      | (?P<word>[^\s,;:{}<>"'\#]+)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_PLAIN_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position = 0
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        match = _TOKEN.match(text, position)
        if not match:
            raise ValueError(f"line {line}: cannot read {text[position : position + 20]!r}. Check the quotes there.")
        if match.lastgroup != "space":
            yield match.lastgroup or "", match.group(), line
        position = match.end()


def _read_items(text: str) -> list[dict[str, str]]:
    """Return the fields of every ``item { ... }``; fields of nested messages (keypoints) are left out."""
    items: list[dict[str, str]] = []
    depth, key, last = 0, "", ""
    for kind, token, line in _tokens(text):
        if kind == "open":
            if depth == 0 and key != "item":
                raise ValueError(f"line {line}: expected 'item {{', got {key or token!r}.")
            if depth == 0:
                items.append({})
            depth, key, last = depth + 1, "", ""
        elif kind == "close":
            depth, key, last = depth - 1, "", ""
            if depth < 0:
                raise ValueError(f"line {line}: a closing brace too many. Remove it.")
        elif kind == "colon":
            last = ""
        elif kind == "text" and depth and (key or last):
            value = _unquote(token)
            if key:  # the first text after "name:"; further ones directly after it join it
                last, key = key, ""
                if depth == 1:
                    items[-1][last] = value
            elif depth == 1:
                items[-1][last] += value
        elif kind == "word" and key and depth:
            if depth == 1:
                items[-1][key] = token
            key, last = "", ""
        elif kind == "word":
            key, last = token, ""
        else:
            raise ValueError(f"line {line}: did not expect {token!r} here.")
    if depth:
        raise ValueError("an item is not closed. Add the missing closing brace.")
    if not items:
        raise ValueError("there is no 'item { id: 1 name: '...' }' in it. Add one item a class.")
    return items


def _names_in_order(items: list[dict[str, str]]) -> list[str]:
    names: dict[int, str] = {}
    for number, item in enumerate(items, start=1):
        name = item.get("name") or item.get("display_name")
        if not name:
            raise ValueError(f"item {number} has no name. Add name: '...' to it.")
        if "id" not in item:
            raise ValueError(f"item {number} ({name!r}) has no id. Add id: {number} to it.")
        try:
            id = int(item["id"], 0)
        except ValueError:
            raise ValueError(
                f"item {number} ({name!r}): id must be a whole number, got {item['id']!r}."
            ) from None
        if id in names:
            raise ValueError(f"id {id} is given to both {names[id]!r} and {name!r}. Number the items 1, 2, 3, ...")
        names[id] = name
    if sorted(names) != list(range(1, len(names) + 1)):
        why = " (0 is the background)" if 0 in names else ""
        raise ValueError(
            f"ids must be 1 to {len(names)} without gaps{why}, got {', '.join(map(str, sorted(names)))}. "
            f"Number the items 1, 2, 3, ..."
        )
    return [names[id] for id in sorted(names)]


def _unquote(token: str) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        if code[:1] == b"x" and len(code) > 1:
            return bytes([int(code[1:], 16)])
        if code[:1].isdigit() and code[:1] < b"8":
            return bytes([int(code, 8) & 0xFF])
        return _PLAIN_ESCAPES.get(code, code)

    # Escapes are bytes of UTF-8, as in 'c\303\243o', so they are resolved before decoding.
    try:
        return _ESCAPE.sub(plain, token[1:-1].encode()).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{token} holds escapes that are not UTF-8.") from None


def _escape(name: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        name = name.replace(plain, escaped)
    return name
