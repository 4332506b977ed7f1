"""A table in CSV, as programs and spreadsheets write it -> its rows.

Commas, semicolons, tabs or ``|`` divide it, or what its first line names as in ``sep=;``. It is in UTF-8 or UTF-16, or
else, with a warning, in Windows-1252.
"""

from __future__ import annotations

import csv
import functools
import io
import re
import reprlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfod_helpers.formats.parsing import BEGINNING, OLD_WINDOWS, UnusableError, encoding_of, load
from tfod_helpers.problems import Problem

_SIGNS = ",;\t|"
_NAMED_SIGN = re.compile(r'"?sep=(.)"?\s*[\r\n]+')  # Excel's own first line, which it does not count
_GROUPED = re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+\s*")


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        number: as a spreadsheet counts: the header is row 1.
        texts: the row's text in each column.
        fault: ``(what, fix)`` where it has more or fewer fields than the header.
    """

    number: int
    texts: dict[str, str]
    fault: tuple[str, str] | None


def read(path: Path, columns: Sequence[str], problems: list[Problem], *, numbers: Collection[str] = ()) -> list[Row]:
    """Return the rows of a table that are not blank, read as `parsing.load` does.

    Args:
        path: the file.
        columns: those that it must have, in any capitals.
        problems: gets a warning where the encoding is a guess.
        numbers: the columns of numbers. Where no comma divides the table, one within a number is a decimal comma.
    """
    sign, header, rows = load(path, ".csv", functools.partial(_parsed, path.name, columns, problems))
    found = []
    for number, cells in rows:
        what = f"the row has {len(cells)} fields, and the first row {len(header)}"
        fault = what, "Put a text that holds a comma between double quotes."
        texts = dict.fromkeys(columns, "") | dict(zip(header, cells, strict=False))
        found.append(Row(number, texts, None if len(cells) == len(header) else fault))
    if sign != ",":
        _take_decimal_commas(found, numbers, certain=sign == ";")
    return found


def header(path: Path, columns: Collection[str] = ()) -> list[str]:
    """Return the columns that the first row of a table names; none where it cannot be opened."""
    try:
        with path.open("rb") as file:
            data = file.read(BEGINNING)
        encoding = encoding_of(data, cut=len(data) == BEGINNING)
        sign, text = _divided(data.decode(encoding, "replace").lstrip("\ufeff"), columns)
        return _names(text, sign, columns)
    except (OSError, csv.Error):
        return []


def _parsed(
    where: str, columns: Collection[str], problems: list[Problem], data: bytes
) -> tuple[str, list[str], list[tuple[int, list[str]]]]:
    """Return the sign that divides a table, the columns' names, and the rows below with their numbers."""
    encoding = encoding_of(data)
    try:
        text = data.decode(encoding).lstrip("\ufeff")
        sign, table = _divided(text, columns)
        rows = list(_rows(table, sign, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableError(f"it cannot be read ({error})", "Save the table as CSV, in UTF-8.") from error
    names = _names(table, sign, columns)
    fix = f"The first row must name {', '.join(columns)}, with commas between them."
    if missing := [column for column in columns if column not in names]:
        raise UnusableError(f"columns are missing: {', '.join(missing)}; the first row is {reprlib.repr(names)}", fix)
    if double := [column for column in columns if names.count(column) > 1]:
        raise UnusableError(f"columns are there twice: {', '.join(double)}", "Keep one of each.")
    if encoding == OLD_WINDOWS:
        word = re.findall(r"[^\s,;|\"]*[^\0-\x7f][^\s,;|\"]*", text)[0]  # a no-break space is one too
        what = f"it is not in UTF-8, and is read as Windows-1252, with words such as {reprlib.repr(word)}"
        fix, kind = "If that is not how it is written, save it as UTF-8.", "encoding unclear"
        problems.append(Problem(where=where, what=what, fix=fix, severity="warning", kind=kind))
    return sign, names, rows[1:]


def _divided(text: str, columns: Collection[str]) -> tuple[str, str]:
    """Return the sign that divides a table, and the table from its header on."""
    if named := _NAMED_SIGN.match(text):
        return named[1], text[named.end() :]

    def fitting(sign: str) -> tuple[int, int]:
        names = _names(text, sign, columns)
        return len({*columns} & {*names}), len(names)

    return max(_SIGNS, key=fitting), text


def _rows(text: str, sign: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their numbers."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=strict, skipinitialspace=True)
    yield from ((number, cells) for number, cells in enumerate(rows, start=1) if any(map(str.strip, cells)))


def _names(text: str, sign: str, columns: Collection[str]) -> list[str]:
    """Return the names of the columns in a table's first row, those that are looked for as they are called."""
    _, cells = next(_rows(text, sign), (1, []))
    known = {column.casefold(): column for column in columns}
    names = [cell.strip().lstrip("#") for cell in cells]
    return [known.get(name.casefold(), name) for name in names]


def _take_decimal_commas(rows: Sequence[Row], numbers: Collection[str], *, certain: bool) -> None:
    """Write decimal points; where all commas may as well group the digits of thousands, only if it is ``certain``."""
    places = [(row.texts, name) for row in rows for name in numbers if "," in row.texts[name]]
    if certain or not all(_GROUPED.fullmatch(texts[name]) for texts, name in places):
        for texts, name in places:
            texts[name] = texts[name].replace(",", ".")
