"""The text of a label map or class list, in any of the ways that tools write them -> the names by their ids.

* ``item { id: 1 name: 'cat' }``, of the Object Detection API;
* one name a line, counted from 1; TensorFlow Lite counts from 0 and writes ``???`` where there is no class;
* ``0 cat``, ``1,cat`` or ``cat,1`` in each line;
* JSON, ``{"cat": 1}``, ``{"1": "cat"}``, ``["cat"]`` or COCO's categories, and the ``names`` of a ``data.yaml``.

An ambiguous text is refused with the line, since a class more or fewer moves all that follow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tfod_helpers.files.protobuf_text import Field, read_fields

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: control, half a character, line, paragraph
_NO_CLASS = ("???", "background", "__background__", "_background_", "__ignore__")  # of TensorFlow Lite and labelme
_ITEMS = re.compile(r"(?:\s|#[^\n]*\n)*item\s*:?\s*[{<]")
_NUMBER_FIRST = re.compile(r"(?P<id>\d+)(?P<mark>\s*[,;:=\t|]\s*|\s*[.)]\s+|\s+)(?P<name>.*\S)")
_NUMBER_LAST = re.compile(r"(?P<name>.*[^\s,;:=|])(?P<mark>\s*[,;:=\t|]\s*|\s+)(?P<id>\d+)")
_HEADERS = re.compile(r"[\"']?(class|label|category|name|id|index)(_?(id|name|index|label))?[\"']?", re.IGNORECASE)
_LONGEST = 500  # characters of a line
_MARK = "[,;\t]"  # what divides a table
_ID = re.compile("[0-9]{1,10}")
_LISTS = ("names", "categories", "id2label", "label2id", "classes", "class_names", "labels", "items")  # keys in JSON


class _Entry(NamedTuple):
    id: int
    name: str
    line: int


def read_ids(text: str, ending: str = ".pbtxt") -> dict[int, str]:
    """Return the class names in a text by their ids, as the text gives them.

    Of an item whose name is a machine's, such as ``/m/01yrx``, the ``display_name`` is taken where one is there.

    Args:
        text: the text.
        ending: the file's, in lower case: a text that is neither items nor JSON is read as a list with one name a
            line, but for ``.pbtxt`` and ``.yaml``.

    Raises:
        ValueError: the text cannot be read, a class lacks its name or id, has two, or has those of another one; the
            message says in which line.
    """
    if _ITEMS.match(text) or ending == ".pbtxt":
        return _by_id(_of_items(text))
    is_data_yaml = ending in (".yaml", ".yml") or re.search(r"^names\s*:", text, re.MULTILINE) is not None
    if is_data_yaml or text.lstrip()[:1] in ("[", "{"):
        return _by_id(_of_yaml(text, is_data_yaml))
    return _by_id(_of_lines(text, ending))


def _by_id(entries: Iterable[_Entry]) -> dict[int, str]:
    """Return names by ids, none of which is there twice; what stands for no class is left out."""
    by_id: dict[int, _Entry] = {}
    by_name: dict[str, _Entry] = {}
    for entry in entries:
        id, name, line = entry
        if other := by_id.get(id) or by_name.get(name):
            what = f"Class names must be distinct, got {name!r} more than once."
            if other.id == id:
                what = f"id {id} is given to both {other.name!r} and {name!r}. Number the items 1, 2, 3, ..."
            raise ValueError(f"{what} They are in lines {other.line} and {line}.")
        if id <= 0 and name.casefold() in _NO_CLASS:
            continue
        if fault := name_fault(name):
            raise ValueError(f"line {line}: {fault[0]}. {fault[1]}")
        by_id[id] = by_name[name] = entry
    if not by_id:
        raise ValueError("A label map needs at least one class, got none.")
    return {id: entry.name for id, entry in by_id.items()}


# --- item { id: 1 name: 'cat' } -------------------------------------------------------------------


def _of_items(text: str) -> Iterator[_Entry]:
    items = read_fields(text)
    if not items:
        raise ValueError("there is no 'item { id: 1 name: '...' }' in it. Add one item a class.")
    for number, item in enumerate(items, start=1):
        if item.name != "item" or not isinstance(item.value, list):
            raise ValueError(f"{item.where}: expected 'item {{', got {item.name!r}.")
        yield _of_item(number, item.line, item.value)


def _of_item(number: int, line: int, fields: Sequence[Field]) -> _Entry:
    found: dict[str, Field] = {}
    for field in fields:
        if isinstance(field.value, list) and field.name != "keypoints":
            raise ValueError(f"line {field.line}: {field.name!r} is opened within item {number}. Close that one first.")
        other = found.setdefault(field.name, field)
        if other is not field and field.name in ("name", "id", "display_name"):
            what = f"item {number} has more than one {field.name} ({other.value!r}, {field.value!r})"
            raise ValueError(f"line {other.line}: {what}. Write an item of its own for each class.")
    values = {field.name: field.value for field in found.values()}
    name = values.get("name") or values.get("display_name")
    if not isinstance(name, str):
        raise ValueError(f"item {number} has no name. Add name: '...' to it, in line {line}.")
    if name.startswith("/m/"):
        name = str(values.get("display_name") or name)
    id = str(values.get("id", "none"))
    if not _ID.fullmatch(id):
        what = f"item {number} ({name!r}) needs a whole number from 1 as id, got {id}"
        raise ValueError(f"{what}. Write id: {number}. It is in line {line}.")
    return _Entry(int(id), name, line)


# --- a line for each class ------------------------------------------------------------------------


def _of_lines(text: str, ending: str) -> Iterator[_Entry]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) > 1 and all(line.endswith((",", ";")) for _, line in lines[:-1]):
        lines = [(number, line.rstrip(",; ")) for number, line in lines]
    table = ending in (".csv", ".tsv") or all(re.search(_MARK, line) for _, line in lines)
    if table and lines and all(_HEADERS.fullmatch(cell.strip()) for cell in re.split(_MARK, lines[0][1])):
        del lines[0]
    if all(re.fullmatch(r"(['\"]).+\1", line) for _, line in lines):
        lines = [(number, line[1:-1]) for number, line in lines]
    for number, line in lines:
        if line.startswith(("<", "# ", "//")) or len(line) > _LONGEST:
            raise ValueError(f"line {number} is {line[:40]!r}, which is no class. Keep one name a line, no comments.")
    entries = _numbered(lines, _NUMBER_FIRST) or _numbered(lines, _NUMBER_LAST)
    if lines and not entries:
        first, line = lines[0]
        if all(re.search(_MARK, line) for _, line in lines):
            raise ValueError(f"line {first} ({line[:40]!r}) has more than a name in it. Write 'name' or 'id,name'.")
        start = -1 if line == "__ignore__" else 0 if line.casefold() in _NO_CLASS else 1
        entries = [_Entry(id, line, number) for id, (number, line) in enumerate(lines, start=start)]
    return (entry for entry in entries if entry.name != _NO_CLASS[0])


def _numbered(lines: Sequence[tuple[int, str]], form: re.Pattern[str]) -> list[_Entry]:
    """Return the classes of lines that give a number beside each name; none where the numbers are parts of names.

    Class names have numbers too: of ``1 euro``, ``2 euro`` nothing is left that distinguishes them, so they are names.
    """
    found = [(number, form.fullmatch(line)) for number, line in lines]
    entries = [_Entry(int(match["id"]), match["name"].strip("\"'"), number) for number, match in found if match]
    ids, names = [entry.id for entry in entries], {entry.name for entry in entries}
    distinct = len(names) == len(set(ids)) == len(ids)
    counted = distinct and ids in (list(range(len(ids))), list(range(1, len(ids) + 1)))
    if len(entries) < len(lines):
        first = next(number for number, match in found if not match)
        if len(entries) > 1 and counted:
            raise ValueError(f"line {first} has no number, and the others have one. Give each class a number, or none.")
        return []
    if counted or all(re.fullmatch(rf" *{_MARK} *", match["mark"]) for _, match in found if match):
        return entries
    if distinct:
        number, line = lines[0]
        raise ValueError(f"line {number} ({line!r}) may be a name, or an id with a name. Write a comma after an id.")
    return []


# --- JSON and YAML --------------------------------------------------------------------------------


def _of_yaml(text: str, is_data_yaml: bool) -> list[_Entry]:
    """Return the classes in JSON, which is YAML too, each as it is written: ``no`` is no False."""
    import yaml

    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text.expandtabs())):
            raise ValueError("it has aliases (*...), which are not read here. Write the names out.")
        top: Any = yaml.compose(text.expandtabs(), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it cannot be read as JSON or YAML ({' '.join(str(error).split())}).") from None
    pairs = top.value if isinstance(top, yaml.MappingNode) else []
    lists = {str(key.value): node for key, node in pairs if isinstance(node, yaml.CollectionNode)}
    named = next((lists[key] for key in _LISTS if key in lists), None if is_data_yaml else top)
    if not isinstance(named, yaml.CollectionNode):
        raise ValueError("it has no list of names. Write names: [cat, dog].")
    entries = []
    for id, node in _numbered_nodes(named):
        # JSON writes some letters as two halves.
        name = _scalar(node).encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
        line = node.start_mark.line + 1
        if not _ID.fullmatch(id):
            raise ValueError(f"line {line}: {id!r} is no whole number from 0, as a class's id is. Correct it.")
        entries.append(_Entry(int(id), name, line))
    return _from_1(entries) if is_data_yaml and isinstance(named, yaml.MappingNode) else entries


def _numbered_nodes(named: Any) -> Iterator[tuple[str, Any]]:
    """Yield ids and names: of ``[cat]``, counted from 1, of ``[{id: 1, name: cat}]``, ``{1: cat}`` or ``{cat: 1}``."""
    if named.id == "mapping":
        numbers_last = all(_is_number(value) for _, value in named.value)
        numbers_last = numbers_last and not all(_is_number(key) for key, _ in named.value)
        for key, value in named.value:
            yield (_scalar(value), key) if numbers_last else (_scalar(key), value)
        return
    for number, node in enumerate(named.value, start=1):
        fields = {str(key.value): value for key, value in node.value} if node.id == "mapping" else {}
        yield (_scalar(fields["id"]), fields["name"]) if {"id", "name"} <= fields.keys() else (str(number), node)


def _is_number(node: Any) -> bool:
    return node.id == "scalar" and node.style is None and node.value.isdecimal()


def _scalar(node: Any) -> str:
    if node.id != "scalar":
        raise ValueError(f"line {node.start_mark.line + 1}: expected a name or a number. Write names: [cat, dog].")
    return str(node.value)


def _from_1(entries: Sequence[_Entry]) -> list[_Entry]:
    """Return the classes of a ``data.yaml``, which counts from 0 or 1 without gaps, by ids that go from 1."""
    ids = sorted(entry.id for entry in entries)
    first = min(ids, default=0)
    if ids != list(range(first, first + len(ids))):
        raise ValueError(f"its names are numbered {', '.join(map(str, ids[:10]))}. Number them 0, 1, 2, ...")
    return [entry._replace(id=entry.id + (first == 0)) for entry in entries]


def name_fault(name: object) -> tuple[str, str] | None:
    """Say why something cannot be the name of a class, and the fix, or None where it can."""
    if not isinstance(name, str) or not name.strip():
        return f"a class name must be a text that is not empty, got {name!r}", "Name the class."
    if name.strip().casefold() == "background":
        return f"a class may not be called {name!r}, id 0 is the background already", "Rename or remove it."
    if name != name.strip():
        return f"the class name {name!r} starts or ends with a space", f"Write {name.strip()!r}."
    if any(unicodedata.category(letter) in _UNWRITABLE for letter in name):
        # XML cannot hold them, and a label map in plain text has one line a name.
        return f"the class name {name!r} has a line break or another control character", "Remove it."
    return None
