"""A valid annotation file with one part of its structure changed, and never into something that could be meant.

A part is dropped, doubled, renamed to what nobody writes, moved past its neighbour, emptied, put within another, or
given a value of another type or a word of thousands of letters. So what is read of the changed file is what was meant,
or less, and never something else.
"""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

import numpy as np
import yaml
from lxml import etree

from tfod_helpers.records.tfrecord import examples, frames

REMOVING = ("drop", "empty")
PHOTOS = (".jpg", ".png")
Part = tuple[str, str, bytes]  # what was done, where, and the file's bytes
LONG = ("x" * 3000, "long, " * 500)


class Change(NamedTuple):
    """What was done.

    Attributes:
        kind: such as ``drop``.
        where: the place in a file, such as ``/images/0/file_name``, or ``file``.
        files: the files that are other now, by their paths; None where one is gone.
    """

    kind: str
    where: str
    files: Mapping[str, str | bytes | None]


def change(files: Mapping[str, str | bytes], random: Random) -> Change:
    """Return what is other after one random change of a data set's files: of a part of one, or of a whole one."""
    name = random.choice(sorted(name for name in files if not name.endswith(PHOTOS)))
    if random.random() < 0.1:
        return _whole_file(files, random.choice(sorted(files)), random)
    content = files[name]
    ending, data = name.rpartition(".")[2], content.encode() if isinstance(content, str) else content
    kind, where, changed = _BY_ENDING.get(ending, _lines)(data, random)
    return Change(kind, where, {name: changed})


def _whole_file(files: Mapping[str, str | bytes], name: str, random: Random) -> Change:
    kind = random.choice(("drop", "double", "rename", "empty"))
    folder, slash, last = name.rpartition("/")
    start, dot, ending = last.partition(".")
    other = folder + slash + random.choice((f"{start} (1){dot}{ending}", f"x{last}", f"{last}.bak"))
    changed: dict[str, str | bytes | None] = {"double": {}, "empty": {name: b""}}.get(kind, {name: None})
    return Change(kind, "file", changed | ({other: files[name]} if kind in ("double", "rename") else {}))


# --- JSON, YAML and records: lists and dicts within each other ---------------------------------------------------


def _json(content: bytes, random: Random) -> Part:
    return _tree(json.loads(content), lambda data: json.dumps(data).encode(), random)


def _yaml(content: bytes, random: Random) -> Part:
    return _tree(yaml.safe_load(content), lambda data: yaml.safe_dump(data, sort_keys=False).encode(), random)


def _tree(data: Any, dump: Callable[[Any], bytes], random: Random) -> Part:
    data = copy.deepcopy(data)
    holder, key, path = random.choice([*_places(data)])
    kind = random.choice(("drop", "double", "rename", "move", "empty", "nest", "retype", "retype", "long"))
    value, items = holder[key], list(holder.items()) if isinstance(holder, dict) else []
    if kind == "drop":
        del holder[key]
    elif kind == "empty":
        holder[key] = type(value)() if isinstance(value, list | dict | str) else None
    elif kind == "nest":
        holder[key] = random.choice(([value], {"x": value}, [[value]]))
    elif kind == "retype":
        holder[key] = _other_type(value, random)
    elif kind == "long":
        holder[key] = random.choice(LONG)
    elif isinstance(holder, list):
        copied = copy.deepcopy(value)
        del holder[key]
        holder[key:key] = [copied, copy.deepcopy(value)] if kind == "double" else []
        if kind != "double" and not isinstance(
            value, list | dict
        ):  # of numbers in another order other things are meant
            kind = "drop"
        elif kind != "double":  # a list has no names
            kind = "move"
            holder.insert(random.randrange(len(holder) + 1), copied)
    elif kind == "double":
        holder[f"{key}2"] = copy.deepcopy(value)
    else:
        if kind == "move":
            items.append(items.pop(random.randrange(len(items))))
        else:
            items = [(f"x{one}" if one == key else one, inside) for one, inside in items]
        holder.clear()
        holder.update(items)
    return kind, path, dump(data)


def _places(data: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield data, key, f"{path}/{key}"
        yield from _places(value, f"{path}/{key}")


def _other_type(value: Any, random: Random) -> Any:
    options: list[Any] = [None, True, "", [], {}, 1.5, [None], {"": None}]
    if isinstance(value, int | float):
        options = [None, True, "", [], {}, "x", str(value), 10**400, float("nan"), float("inf")]
    elif isinstance(value, list):
        options = [None, True, "", 7, "x", dict(enumerate(value)), {str(i): one for i, one in enumerate(value)}]
    elif isinstance(value, dict):
        options = [None, True, "", 7, [], "x", list(value), list(value.values())]
    return copy.deepcopy(random.choice(options))


def _records(content: bytes, random: Random) -> Part:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder, "x.record")).write_bytes(content)
        records = [dict(values) for values in examples.read_examples(path)]
    kind = random.choice(("drop", "double", "rename", "move", "empty", "retype", "long"))
    number = random.randrange(len(records))
    values = records[number]
    key = random.choice([*values, "", ""])
    if not key:
        one = records.pop(number)
        if kind == "move":
            records.insert(0, one)
        elif kind != "drop":
            kind = "double"
            records += [one, one]
        return kind, f"/{number}", _dumped(records)
    value = values[key]
    if kind == "drop":
        del values[key]
    elif kind == "long":
        values[key] = [random.choice(LONG).encode()]
    elif kind == "rename":
        values[f"{key}x"] = values.pop(key)
    elif kind == "empty":
        values[key] = value[:0]
    elif kind in ("double", "move"):
        kind = "double"
        values[key] = value * 2 if isinstance(value, list) else np.concatenate([value, value])
    elif isinstance(value, list):
        values[key] = random.choice(([b"\xff\xfe"], np.array([7], np.int64), np.array([np.nan], np.float32)))
    else:
        others = [np.array([], value.dtype), [str(value[0]).encode()], np.full(len(value), np.nan, np.float32)]
        values[key] = random.choice([*others, np.full(len(value), 2**62, np.int64)])
    return kind, f"/{number}/{key}", _dumped(records)


def _dumped(records: list[dict[str, Any]]) -> bytes:
    return b"".join(frames.frame(examples.serialize(values)) for values in records)


# --- XML -----------------------------------------------------------------------------------------------------------


def _xml(content: bytes, random: Random) -> Part:
    root = etree.fromstring(content)
    element = random.choice([*root.iterdescendants()])
    path = root.getroottree().getpath(element)
    parent: Any = element.getparent()
    if element.attrib and random.random() < 0.5:
        return _attribute(root, element, path, random)
    kind = random.choice(("drop", "double", "rename", "move", "empty", "nest", "retype", "namespace", "long"))
    place = parent.index(element)
    if kind == "drop":
        parent.remove(element)
    elif kind == "double":
        parent.insert(place, copy.deepcopy(element))
    elif kind == "rename":
        element.tag = f"x{element.tag}"
    elif kind == "long":
        element.text = random.choice(LONG)
    elif kind == "namespace":
        element.tag = f"{{http://x}}{element.tag}"
    elif kind == "move":
        parent.insert(random.randrange(len(parent)), element)
    elif kind == "nest":
        parent.replace(element, around := etree.Element(random.choice(("x", str(element.tag)))))
        around.append(element)
    elif kind == "retype":
        element.text = random.choice(("", "\n ", *(("x", "nan", "1e999", "1_0") if _is_number(element.text) else ())))
    else:
        for child in list(element):
            element.remove(child)
        element.text = None
    return kind, path, etree.tostring(root)


def _attribute(root: etree._Element, element: etree._Element, path: str, random: Random) -> Part:
    key = random.choice([str(one) for one in element.attrib])
    value, kind = element.attrib[key], random.choice(("drop", "rename", "empty", "retype", "nest", "long"))
    if kind == "long":
        element.set(key, random.choice(LONG))
    elif kind in ("empty", "retype"):
        odd = ("x", "nan", "1e999", "1_0", f" {value} ") if _is_number(value) else (f" {value}\n",)
        element.set(key, "" if kind == "empty" else random.choice(odd))
    else:
        del element.attrib[key]
        if kind == "rename":
            element.set(f"x{key}", value)
        elif kind == "nest":
            etree.SubElement(element, key).text = value
    return kind, f"{path}/@{key}", etree.tostring(root)


def _is_number(text: str | bytes | None) -> bool:
    try:
        return bool(text) and float(text or "") == float(text or "")
    except ValueError:
        return False


# --- tables and lines --------------------------------------------------------------------------------------------


def _csv(content: bytes, random: Random) -> Part:
    rows = list(csv.reader(io.StringIO(content.decode())))
    kind = random.choice(("drop", "double", "rename", "move", "empty", "retype", "long"))
    at, column = random.randrange(len(rows)), random.randrange(len(rows[0]))
    what = random.choice(("row", "cell", "column"))
    if what == "row":
        row = rows.pop(at)
        if kind != "drop":
            kind = "double" if kind == "double" else "move"
            rows[min(at, 1) :] = [row, *rows[min(at, 1) :], *[row] * (kind == "double")]
    for number, row in enumerate(rows if what != "row" else ()):
        if what == "cell" and number != at:
            continue
        cell = row.pop(column)
        if kind in ("double", "move"):
            row[:0] = [cell]
            if kind == "double" or what == "cell":  # one cell that moves is another value
                row[column + 1 : column + 1] = [cell]
        elif kind != "drop":
            odd = random.choice(("", " ", f" {cell} ", *(("x", "nan", "1_0", "1e999") if _is_number(cell) else ())))
            renamed = f"x{cell}" if number == 0 else cell
            row.insert(
                column, {"rename": renamed, "empty": "", "long": LONG[0]}.get(kind, odd if number else f"x{cell}")
            )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return kind, f"{what} {at} {column}", text.getvalue().encode()


def _lines(content: bytes, random: Random) -> Part:
    lines = content.decode().splitlines()
    if not lines:
        return "double", "", content
    at = random.randrange(len(lines))
    kind = random.choice(("drop", "double", "move", "empty", "retype", "nest", "long"))
    words = lines[at].split()
    line = lines.pop(at)
    if kind == "double":
        lines += [line, line]
    elif kind == "move":
        lines.append(line)
    elif kind == "empty":
        lines[at:at] = ["", "  ", line, ""]
    elif (words and kind != "drop") or (len(words) > 1 and random.random() < 0.5):
        place = random.randrange(len(words))
        word = words.pop(place)
        if kind != "drop":
            numeric = ("x", "nan", "1e999", "1_0")
            odd = numeric if _is_number(word) else (f"{word}\0",)
            words.insert(place, {"nest": f"[{word}]", "long": LONG[0]}.get(kind) or random.choice(odd))
        lines.insert(at, "\t".join(words))
    return kind, f"line {at}", "".join(f"{one}\n" for one in lines).encode()


_BY_ENDING: dict[str, Callable[[bytes, Random], Part]] = {
    "json": _json,
    "yaml": _yaml,
    "xml": _xml,
    "csv": _csv,
    "record": _records,
}
