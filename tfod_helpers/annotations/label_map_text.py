"""The text of a label map or class list, in any of the ways that tools write them -> the names by their ids.

* ``item { id: 1 name: 'cat' }``, of the Object Detection API;
* one name a line, counted from 1; TensorFlow Lite counts from 0 and writes ``???`` where there is no class;
* ``0 cat``, ``1,cat`` or ``cat,1`` in each line;
* JSON, ``{"cat": 1}``, ``{"1": "cat"}``, ``["cat"]`` or COCO's categories, and the ``names`` of a ``data.yaml``.

Where a text may mean two things it is refused with the line, since a class more or fewer moves all that follow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tfod_helpers.files.protobuf_text import Setting, read_settings

_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: control, half a character, line, paragraph
_NO_CLASS = ("???", "background", "__background__", "_background_", "__ignore__")  # of TensorFlow Lite and labelme
_ITEMS = re.compile(r"(?:\s|#[^\n]*\n)*item\s*:?\s*[{<]")
_MESSAGES = ("keypoints",)  # what an item may hold besides values
_NUMBER_FIRST = re.compile(r"(?P<id>\d+)(?P<mark>\s*[,;:=\t|]\s*|\s*[.)]\s+|\s+)(?P<name>.*\S)")
_NUMBER_LAST = re.compile(r"(?P<name>.*[^\s,;:=|])(?P<mark>\s*[,;:=\t|]\s*|\s+)(?P<id>\d+)")
_HEADERS = re.compile(r"[\"']?(class|label|category|name|id|index)(_?(id|name|index|label))?[\"']?", re.IGNORECASE)
_LONGEST = 500  # characters of a line
_TABLE_MARKS = (",", ";", "\t")
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
        if other := by_id.get(id):
            both = f"id {id} is given to both {other.name!r} and {name!r}"
            raise ValueError(f"{both}. Number the items 1, 2, 3, ... They are in lines {other.line} and {line}.")
        if other := by_name.get(name):
            told = f"They are in lines {other.line} and {line}."
            raise ValueError(f"Class names must be distinct, got {name!r} more than once. {told}")
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
    items: dict[str, dict[str, Setting]] = {}
    for setting in read_settings(text):
        item, _, field = setting.name.partition(".")
        if item.partition("[")[0] != "item":
            raise ValueError(f"{setting.where}: expected 'item {{', got {item!r}.")
        items.setdefault(item, {})[field] = setting
    if not items:
        raise ValueError("there is no 'item { id: 1 name: '...' }' in it. Add one item a class.")
    for number, fields in enumerate(items.values(), start=1):
        yield _of_item(number, fields)


def _of_item(number: int, fields: dict[str, Setting]) -> _Entry:
    line = min(setting.line for setting in fields.values())
    for field, setting in fields.items():
        inner = re.split(r"[.\[]", field)[0]
        if ("." in field or setting.value == "{}") and field and inner not in _MESSAGES:
            raise ValueError(
                f"line {setting.line}: {inner!r} is opened within item {number}. Close the item before it."
            )
        if field in ("name", "id", "display_name") and isinstance(setting.value, tuple):
            shown = ", ".join(map(repr, setting.value))
            told = f"line {setting.line}: item {number} has more than one {field} ({shown})"
            raise ValueError(f"{told}. Write an item of its own for each class.")
    values = {field: setting.value for field, setting in fields.items()}
    name = values.get("name") or values.get("display_name")
    if not isinstance(name, str):
        raise ValueError(f"item {number} has no name. Add name: '...' to it, in line {line}.")
    if name.startswith("/m/"):
        name = str(values.get("display_name") or name)
    id = values.get("id", "none")
    if isinstance(id, str) and re.fullmatch("[0-9]{1,9}", id):
        id = int(id)
    if not isinstance(id, int) or isinstance(id, bool) or id < 0:
        told = f"item {number} ({name!r}) needs a whole number from 1 as id, got {id}"
        raise ValueError(f"{told}. Write id: {number}. It is in line {line}.")
    return _Entry(id, name, line)


# --- a line for each class ------------------------------------------------------------------------


def _of_lines(text: str, ending: str) -> Iterator[_Entry]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if all(line.endswith((",", ";")) for _, line in lines[:-1]) and len(lines) > 1:
        lines = [(number, line.rstrip(",; ")) for number, line in lines]
    table = ending in (".csv", ".tsv") or all(any(mark in line for mark in _TABLE_MARKS) for _, line in lines)
    if table and lines and all(_HEADERS.fullmatch(cell.strip()) for cell in re.split(r"[,;\t]", lines[0][1])):
        del lines[0]
    if all(re.fullmatch(r"(['\"]).+\1", line) for _, line in lines):
        lines = [(number, line[1:-1]) for number, line in lines]
    for number, line in lines:
        if line.startswith(("<", "# ", "//")) or len(line) > _LONGEST:
            raise ValueError(
                f"line {number} is {line[:40]!r}, which is no class. Keep one name a line, and no comments."
            )
    if numbered := _numbered(lines, _NUMBER_FIRST) or _numbered(lines, _NUMBER_LAST):
        return (entry for entry in numbered if entry.name != _NO_CLASS[0])
    if lines and all(any(mark in line for mark in _TABLE_MARKS) for _, line in lines):
        number, line = lines[0]
        told = f"line {number} ({line[:40]!r}) has more than a name in it"
        raise ValueError(f"{told}. Write one name a line, or 'id,name' with whole numbers as ids.")
    start = {"__ignore__": -1}.get(lines[0][1], 0 if lines[0][1].casefold() in _NO_CLASS else 1) if lines else 1
    entries = (_Entry(id, line, number) for id, (number, line) in enumerate(lines, start=start))
    return (entry for entry in entries if entry.name != _NO_CLASS[0])


def _numbered(lines: Sequence[tuple[int, str]], form: re.Pattern[str]) -> list[_Entry]:
    """Return the classes of lines that give a number beside each name; none where the numbers are parts of names.

    Class names have numbers too: of ``1 euro``, ``2 euro`` nothing is left that tells them apart, so they are names.
    """
    found = [(number, form.fullmatch(line)) for number, line in lines]
    entries = [_Entry(int(match["id"]), match["name"].strip("\"'"), number) for number, match in found if match]
    ids, names = [entry.id for entry in entries], {entry.name for entry in entries}
    counted = ids in (list(range(len(ids))), list(range(1, len(ids) + 1)))
    if len(entries) < len(lines):
        first = next(number for number, match in found if not match)
        if len(entries) > 1 and counted and len(names) == len(ids):
            raise ValueError(f"line {first} has no number, and the others have one. Give each class a number, or none.")
        return []
    marks = {match["mark"].strip(" ") for _, match in found if match}
    if marks <= {*_TABLE_MARKS} or (counted and len(names) == len(ids)):
        return entries
    if len(names) == len(set(ids)) == len(ids):
        number, line = lines[0]
        told = f"line {number} ({line!r}) may be a name, or an id with a name"
        raise ValueError(f"{told}. Write one name a line, or 'id,name' with a comma.")
    return []


# --- JSON and YAML --------------------------------------------------------------------------------


def _of_yaml(text: str, must_be_named: bool) -> list[_Entry]:
    """Return the classes in JSON, which is YAML too, with what each says as it is written: ``no`` is no False."""
    import yaml

    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text.expandtabs())):
            raise ValueError("it has aliases (*...), which are not read here. Write the names out.")
        top: Any = yaml.compose(text.expandtabs(), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it cannot be read as JSON or YAML ({' '.join(str(error).split())}).") from None
    if isinstance(top, yaml.MappingNode):
        keys = {str(key.value): node for key, node in top.value if isinstance(node, yaml.CollectionNode)}
        named = next((keys[key] for key in _LISTS if key in keys), None if must_be_named else top)
    else:
        named = None if must_be_named else top
    if not isinstance(named, yaml.CollectionNode):
        raise ValueError("it has no list of names. Write names: [cat, dog].")
    if isinstance(named, yaml.MappingNode):
        return _of_mapping(named.value, from_0=must_be_named)
    return [_of_element(number, node) for number, node in enumerate(named.value, start=1)]


def _of_mapping(pairs: Sequence[tuple[Any, Any]], *, from_0: bool) -> list[_Entry]:
    """Return the classes of ``{1: cat}`` or ``{cat: 1}``; those of a ``data.yaml`` count from 0 without gaps."""
    for node in (node for pair in pairs for node in pair):
        if not isinstance(node.value, str):
            raise ValueError(f"line {node.start_mark.line + 1}: expected a name or a number. Write names: [cat, dog].")
    numbers_last = all(value.style is None and value.value.isdecimal() for _, value in pairs)
    if numbers_last and not all(key.style is None and key.value.isdecimal() for key, _ in pairs):
        pairs = [(value, key) for key, value in pairs]
    entries = []
    for key, value in pairs:
        line = key.start_mark.line + 1
        if not re.fullmatch("[0-9]{1,9}", key.value):
            raise ValueError(f"line {line}: {key.value!r} is no whole number from 0, as a class's id is. Correct it.")
        entries.append(_Entry(int(key.value), _text(value), line))
    ids = sorted(entry.id for entry in entries)
    if from_0 and ids[:1] == [0]:
        entries = [entry._replace(id=entry.id + 1) for entry in entries]
    if from_0 and ids != list(range(ids[0], ids[0] + len(ids))):
        raise ValueError(f"its names are numbered {', '.join(map(str, ids[:10]))}. Number them 0, 1, 2, ...")
    return entries


def _of_element(number: int, node: Any) -> _Entry:
    """Return the class of an element of a list, a name or ``{id: 1, name: cat}``."""
    line = node.start_mark.line + 1
    if isinstance(node.value, str):
        return _Entry(number, _text(node), line)
    fields = {str(key.value): value for key, value in node.value} if node.id == "mapping" else {}
    if not {"id", "name"} <= fields.keys() or not re.fullmatch("[0-9]{1,9}", str(fields["id"].value)):
        raise ValueError(f'line {line}: expected a name, or an id and a name. Write ["cat", "dog"].')
    return _Entry(int(fields["id"].value), _text(fields["name"]), line)


def _text(node: Any) -> str:
    """Return a name; JSON writes some letters as two halves."""
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


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
