"""What ``data.yaml``, ``obj.data`` and ``classes.txt`` say of a YOLO data set.

Only what is written is taken: in YAML ``no`` and ``1.0`` are names like any other, no alias unfolds, and no tag makes
an object. What cannot be used is reported with its line.
"""

from __future__ import annotations

import dataclasses
import re
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
    """What one file says.

    Attributes:
        path: the file.
        names: the classes' names by their numbers; none where it has none, or they cannot be used.
        places: where the photos of each split are, by its name.
        base: what the places are relative to, as the file says it.
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
        found: list[tuple[Severity, tuple[str, str]]] = [(severity, fault) for fault in self.faults]
        found += [("warning", warning) for warning in self.warnings]
        for weight, (what, fix) in found:
            kind = "data.yaml unreadable" if weight == severity else "class name"
            yield Problem(where=self.path.name, what=what, fix=fix, severity=weight, kind=kind)


def decoded(data: bytes) -> tuple[str, str]:
    """Return a text, and the name of its encoding where it is a guess.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    encoding = parsing.encoding_of(data)
    return data.decode(encoding).removeprefix("\ufeff"), "Windows-1252" if encoding == parsing.OLD_WINDOWS else ""


def read_description(path: Path) -> Description | None:
    """Return what a file says, by its ending; None where it is about something else or cannot be opened."""
    parse = {".yaml": _of_yaml, ".yml": _of_yaml, ".data": _of_settings}.get(path.suffix.lower(), _of_lines)
    try:
        if not path.is_file():  # a device never ends
            return None
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        text, guess = decoded(data if len(data) <= _LARGEST else b"")
    except OSError:
        return None
    except UnicodeDecodeError as error:
        text, guess = "", error.reason
    found = parse(path, text)
    if not found and path.stem.lower() in PLAIN:
        reason = "it has no names, train or val" if text.strip() else "it is empty, too large, or no text"
        return Description(path, faults=[(reason, "Write names: [cat, dog], or delete it.")])
    odd = next((name for name in found.names.values() if not name.isascii()), "") if found and guess else ""
    if found and odd:
        warning = f"it is not UTF-8, and was read as {guess}: {odd!r}", "Save it as UTF-8."
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
            marked = isinstance(token, yaml.AnchorToken | yaml.AliasToken)
            if marked and not re.fullmatch(
                r"id\d+", getattr(token, "value", "")
            ):  # so PyYAML calls a list that is there twice
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
    keys = [str(key.value) for key, _ in pairs]
    nodes = dict(zip(keys, (value for _, value in pairs), strict=True))
    faults = [(f"{key!r} is there more than once", "Keep the right one.") for key in nodes if keys.count(key) > 1]
    names: dict[int, str] = {}
    keypoints, warnings, names_file = 0, [], ""
    if "names" in nodes and (texts := _texts(nodes["names"])) and texts[0].endswith((".txt", ".names")):
        names_file = texts[0]
        del nodes["names"]
    try:
        names = _names(nodes["names"]) if "names" in nodes else {}
        keypoints = _keypoints(nodes["kpt_shape"]) if "kpt_shape" in nodes else 0
    except ValueError as error:
        is_names = "kpt_shape" not in str(error)
        faults.append(
            (str(error), "Write names: [cat, dog], each a text." if is_names else "Write kpt_shape: [17, 3].")
        )
    nc = str(nodes["nc"].value) if "nc" in nodes else ""
    if nc.isdecimal() and names and int(nc) != len(names):
        warnings.append((f"nc is {nc}, and there are {len(names)} names", "The names were taken. Correct nc."))
    places = {
        key: texts for key, node in nodes.items() if key not in ("path", "names", "nc") and (texts := _texts(node))
    }
    base = next(iter(_texts(nodes["path"])), "") if "path" in nodes else ""
    return Description(
        path, {} if faults else names, places, base, keypoints, names_file, faults=faults, warnings=warnings
    )


def _texts(node: Any) -> list[str]:
    """Return the texts of a node, one or a list; none where it is something else, or empty."""
    nodes = node.value if node.id == "sequence" else [node]
    return [one.value for one in nodes if isinstance(one.value, str) and not one.tag.endswith(":null")]


def _names(node: Any) -> dict[int, str]:
    if node.id == "scalar":
        if node.value:
            raise ValueError(f"its names are the text {node.value[:40]!r}, not a list")
        return {}
    pairs = [(one, one) for one in node.value] if node.id == "sequence" else node.value
    names: dict[int, str] = {}
    for place, (key, value) in enumerate(pairs):
        line = f"line {value.start_mark.line + 1}"
        number = place if node.id == "sequence" else key.value
        if not re.fullmatch("[0-9]{1,6}", str(number)):
            raise ValueError(f"{line}: the class {str(number)[:40]!r} is no whole number from 0")
        if int(number) in names:
            raise ValueError(f"{line}: class {number} has two names")
        if value.id != "scalar" or not value.value.strip() or value.tag.startswith("!"):
            raise ValueError(f"{line}: class {number} has no name that is a text")
        names[int(number)] = value.value.strip()
    return names


def _keypoints(node: Any) -> int:
    shape = [one.value for one in node.value] if node.id == "sequence" else []
    if len(shape) != 2 or not re.fullmatch("[0-9]{1,4} [23]", " ".join(map(str, shape))):
        raise ValueError("kpt_shape is not the number of key points and 2 or 3")
    return int(shape[0]) * int(shape[1])


# --- other files ----------------------------------------------------------------------------------


def _of_settings(path: Path, text: str) -> Description:
    """Return what darknet's ``obj.data`` says."""
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
    if len(set(names)) == len(lines) and numbers in (
        list(range(len(lines))),
        [*range(1, len(lines) + 1)],
    ):  # 1 euro, 2 euro are names
        return Description(path, dict(zip(numbers, names, strict=True)))
    return Description(path, dict(enumerate(lines)))


def differing_names(one: Mapping[int, str], other: Mapping[int, str]) -> list[int]:
    """Return the numbers to which two lists give different names, capitals aside."""
    return sorted(id for id in one.keys() & other.keys() if one[id].casefold() != other[id].casefold())
