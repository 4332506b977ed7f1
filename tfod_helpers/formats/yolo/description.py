"""What ``data.yaml``, ``obj.data`` and ``classes.txt`` describe: a YOLO data set's splits and classes.

Only what is written is taken: in YAML ``no`` and ``1.0`` are names like any other, no alias unfolds, and no tag makes
an object. What cannot be used is reported with its line.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_helpers.formats import parsing
from tfod_helpers.problems import Problem, Severity

LIST_NAMES = re.compile(
    r"(_?class(es)?(_?names?)?|obj|names?|labels?|label_?names?|predefined_classes)\.txt|.+\.names|_darknet\.labels",
    re.IGNORECASE,
)
PLAIN = ("data", "dataset")  # what the YAML file of a data set is called, and no template
_LARGEST = 1_000_000  # bytes
_OURS = re.compile(r"^[\"']?(names|train|val|nc|kpt_shape)[\"']?\s*:", re.MULTILINE)
_QUOTES = "Put names that begin with & * ! % @ or ` between quotes."
_NUMBERED = re.compile(r"(\d+)\s*[:,;.)=\t ]\s*(\S.*)")


@dataclass(frozen=True, eq=False)
class Description:
    """What one file describes.

    Attributes:
        path: the file.
        names: the classes' names by their numbers; none where it has none, or they cannot be used.
        places: where the photos of each split are, by its name.
        base: what the places are relative to, as written there.
        keypoints: numbers that each row has behind the box.
        names_file: the file that has the names instead.
        faults: ``(what, fix)`` for each thing in it that cannot be used.
        warnings: the same for what can be used, and is worth a warning.
    """

    path: Path
    names: Mapping[int, str] = field(default_factory=dict)
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    base: str = ""
    keypoints: int = 0
    names_file: str = ""
    faults: Sequence[tuple[str, str]] = ()
    warnings: Sequence[tuple[str, str]] = ()

    def problems(self, severity: Severity) -> Iterator[Problem]:
        """Yield what is wrong with the file, its faults with this severity."""
        where = self.path.name
        for what, fix in self.faults:
            yield Problem(where=where, what=what, fix=fix, severity=severity, kind="data.yaml unreadable")
        for what, fix in self.warnings:
            yield Problem(where=where, what=what, fix=fix, severity="warning", kind="class name")


NOTHING = Description(Path())


def beginning(path: Path, most: int = -1) -> bytes:
    """Return so many bytes of a file, or all of them; none where it cannot be read."""
    try:
        if path.is_file():  # a device never ends
            with path.open("rb") as file:
                return file.read(most)
    except OSError:
        pass
    return b""


def decoded(data: bytes) -> tuple[str, bool]:
    """Return a text, and whether its encoding is a guess; nothing where there is none that fits."""
    encoding = parsing.encoding_of(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff"), encoding == parsing.OLD_WINDOWS
    except UnicodeDecodeError:
        return "", True


def read_description(path: Path) -> Description | None:
    """Return what a file describes, by its ending; None where that is something else."""
    parse = {".yaml": _of_yaml, ".yml": _of_yaml, ".data": _of_settings}.get(path.suffix.lower(), _of_lines)
    data = beginning(path, _LARGEST + 1)
    text, is_guess = decoded(data if len(data) <= _LARGEST else b"")
    found = parse(path, text)
    if not found and path.stem.lower() in PLAIN:
        reason = (
            "it has no names, train or val" if text.strip() else "it is empty, too large, or no text that can be read"
        )
        return Description(path, faults=[(reason, "Write names: [cat, dog], or delete it.")])
    if found and is_guess and (odd := next((name for name in found.names.values() if not name.isascii()), "")):
        warning = f"it is not UTF-8, and was read as Windows-1252: {odd!r}", "Save it as UTF-8."
        return dataclasses.replace(found, warnings=[*found.warnings, warning])
    return found


# --- YAML -----------------------------------------------------------------------------------------


def _of_yaml(path: Path, text: str) -> Description | None:
    import yaml

    if not _OURS.search(text):
        return None
    if not re.search(r"^\t* ", text, re.MULTILINE):  # YAML takes no tabs; they are clear where nothing else indents
        text = text.expandtabs()
    text = re.sub(r"(?<=\S)\t+", " ", text)
    try:
        for token in yaml.scan(text) if re.search(r"[&*]", text) else ():
            # PyYAML calls a list that is there twice id001.
            if isinstance(token, yaml.AnchorToken | yaml.AliasToken) and not re.fullmatch(r"id\d+", token.value):
                what = f"line {token.start_mark.line + 1} has a value that begins with & or *, which is no text in YAML"
                return Description(path, faults=[(what, _QUOTES)])
        top = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or "nested too deeply"
        fix = "Indent with spaces, no tabs." if "\\t" in str(reason) else f"Correct it. {_QUOTES}"
        return Description(path, faults=[(f"it cannot be read as YAML ({line}{reason})", fix)])
    return _of_mapping(path, top.value) if isinstance(top, yaml.MappingNode) else None


def _of_mapping(path: Path, pairs: Sequence[tuple[Any, Any]]) -> Description:
    counts = Counter(str(key.value) for key, _ in pairs)
    faults = [(f"{key!r} is there more than once", "Keep the right one.") for key, count in counts.items() if count > 1]
    nodes = {str(key.value): value for key, value in pairs}
    texts = {key: found for key, node in nodes.items() if (found := _texts(node))}
    first = defaultdict(str, {key: found[0] for key, found in texts.items()})
    names_file = first["names"] if first["names"].endswith((".txt", ".names")) else ""
    names: dict[int, str] = {}
    keypoints, warnings = 0, []
    try:
        names = _names(nodes["names"]) if "names" in nodes and not names_file else {}
        keypoints = _keypoints(nodes["kpt_shape"]) if "kpt_shape" in nodes else 0
    except parsing.UnusableError as error:
        faults.append(error.args)
    nc = first["nc"]
    if nc.isdecimal() and names and int(nc) != len(names):
        warnings.append((f"nc is {nc}, and there are {len(names)} names", "The names were taken. Correct nc."))
    places = {key: found for key, found in texts.items() if key not in ("path", "names", "nc")}
    names = {} if faults else names
    return Description(path, names, places, first["path"], keypoints, names_file, faults, warnings)


def _texts(node: Any) -> list[str]:
    """Return the texts of a node, one or a list; none where it is something else, or empty."""
    nodes = node.value if node.id == "sequence" else [node]
    return [one.value for one in nodes if isinstance(one.value, str) and not one.tag.endswith(":null")]


def _names(node: Any) -> dict[int, str]:
    fix = "Write names: [cat, dog], each a text."
    if node.id == "scalar":
        if node.value:
            raise parsing.UnusableError(f"its names are the text {node.value[:40]!r}, not a list", fix)
        return {}
    is_list = node.id == "sequence"
    pairs = enumerate(node.value) if is_list else ((key.value, value) for key, value in node.value)
    names: dict[int, str] = {}
    for key, value in pairs:
        line, number = f"line {value.start_mark.line + 1}", str(key)
        if not re.fullmatch("[0-9]{1,6}", number):
            raise parsing.UnusableError(f"{line}: the class {number[:40]!r} is no whole number from 0", fix)
        if int(number) in names:
            raise parsing.UnusableError(f"{line}: class {number} has two names", fix)
        if value.id != "scalar" or not value.value.strip() or value.tag.startswith("!"):
            raise parsing.UnusableError(f"{line}: class {number} has no name that is a text", fix)
        names[int(number)] = value.value.strip()
    return names


def _keypoints(node: Any) -> int:
    shape = [one.value for one in node.value] if node.id == "sequence" else []
    if len(shape) != 2 or not re.fullmatch("[0-9]{1,4} [23]", " ".join(map(str, shape))):
        what = "kpt_shape is not the number of key points and 2 or 3"
        raise parsing.UnusableError(what, "Write kpt_shape: [17, 3].")
    return int(shape[0]) * int(shape[1])


# --- other files ----------------------------------------------------------------------------------


def _of_settings(path: Path, text: str) -> Description:
    """Return what darknet's ``obj.data`` describes."""
    pairs = (line.split("=", 1) for line in text.splitlines() if line.count("=") == 1)
    settings = {key.strip(): value.strip() for key, value in pairs}
    names_file = settings.pop("names", "")
    places = {key: [settings[key]] for key in ("train", "valid", "test") if settings.get(key)}
    return Description(path, places=places, names_file=names_file)


def _of_lines(path: Path, text: str) -> Description:
    """Return the names of a list with one a line; ``0 cat`` in each line gives the number too."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [match for match in map(_NUMBERED.fullmatch, lines) if match]
    numbers, names = [int(match[1]) for match in found], [match[2] for match in found]
    counted = numbers == list(range(len(lines))) or numbers == list(range(1, len(lines) + 1))
    if counted and len(set(names)) == len(lines):  # 1 euro, 2 euro are names
        return Description(path, dict(zip(numbers, names, strict=True)))
    return Description(path, dict(enumerate(lines)))


def differing_names(one: Mapping[int, str], other: Mapping[int, str]) -> list[int]:
    """Return the numbers to which two lists give different names, capitals aside."""
    return sorted(id for id in one.keys() & other.keys() if one[id].casefold() != other[id].casefold())
