"""Nested dicts <-> flatbuffers, by a schema that is a text: the metadata of TensorFlow Lite models is written so.

Google's compiler makes some hundred lines of code of each table; the form itself takes fewer:
https://flatbuffers.dev/internals. Structs and defaults other than zero are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import encode, number_types, packer
from flatbuffers.table import Table

_SCALARS = {
    "bool": number_types.BoolFlags,
    "byte": number_types.Int8Flags,
    "ubyte": number_types.Uint8Flags,
    "int": number_types.Int32Flags,
    "uint": number_types.Uint32Flags,
    "float": number_types.Float32Flags,
}


class Builder(flatbuffers.Builder):
    """Aligns vectors of bytes to 16, as TensorFlow Lite's schema asks (``force_align``) and Python's code forgets."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802  # the library's name
        """Begin a vector."""
        return super().StartVector(size, count, 16 if size == 1 else alignment)


@dataclass(frozen=True)
class Schema:
    """What tables there are.

    Attributes:
        tables: the fields of each table, in the order of the schema file, as ``"name:string index:[uint]"``. A field's
            type is a scalar, ``string``, a table, a union, or, in brackets, a vector of scalars, texts or tables.
        unions: the tables that each union may hold, in the order of the schema file, as ``"ImageSize Text"``.
    """

    tables: Mapping[str, str]
    unions: Mapping[str, str]

    @cached_property
    def _fields(self) -> dict[str, list[tuple[int, str, str]]]:
        """The fields of each table: slot, name, type. A union takes two slots: which table it holds, and the table."""
        fields: dict[str, list[tuple[int, str, str]]] = {}
        for table, text in self.tables.items():
            slot, fields[table] = 0, []
            for name, _, kind in (field.partition(":") for field in text.split()):
                fields[table].append((slot, name, kind))
                slot += 2 if kind in self.unions else 1
        return fields

    def pack(self, table: str, values: Mapping[str, Any], identifier: bytes) -> bytes:
        """Return a flatbuffer.

        Args:
            table: its root.
            values: the fields by name; what is left out, or None, is not written. A table is a dict, and a union a dict
                with one entry, of the table that it holds.
            identifier: the schema's four bytes.

        Raises:
            ValueError: the table has no field of a name.
        """
        builder = Builder(1024)
        builder.Finish(self._pack(builder, table, values), identifier)
        return bytes(builder.Output())

    def _pack(self, builder: Builder, table: str, values: Mapping[str, Any]) -> int:
        if unknown := values.keys() - {name for _, name, _ in self._fields[table]}:
            raise ValueError(f"The table {table} has no {', '.join(sorted(unknown))}; it has {self.tables[table]}.")
        parts = []  # slot, type or None for an offset, value; what is referred to is written before the table
        for slot, name, kind in self._fields[table]:
            if (value := values.get(name)) is None:
                continue
            if kind in self.unions:
                [(held, content)] = value.items()
                parts.append((slot, number_types.Uint8Flags, self.unions[kind].split().index(held) + 1))
                parts.append((slot + 1, None, self._pack(builder, held, content)))
            elif kind in _SCALARS:
                parts.append((slot, _SCALARS[kind], value))
            else:
                parts.append((slot, None, self._pack_reference(builder, kind, value)))
        builder.StartObject(max((slot for slot, _, _ in parts), default=-1) + 1)
        for slot, flags, value in parts:
            if flags:
                builder.PrependSlot(flags, slot, value, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(builder.EndObject())

    def _pack_reference(self, builder: Builder, kind: str, value: Any) -> int:
        of = kind.strip("[]")
        if kind == "string":
            return int(builder.CreateString(value))
        if kind == of:
            return self._pack(builder, kind, value)
        if of in _SCALARS:
            array = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value)
            return int(builder.CreateNumpyVector(array.astype(number_types.to_numpy_type(_SCALARS[of]))))
        offsets = [self._pack_reference(builder, of, one) for one in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    def unpack(self, table: str, data: bytes) -> dict[str, Any]:
        """Return what a flatbuffer holds, as `pack` takes it; vectors of scalars are arrays, zeros are left out.

        Fields and tables that the schema does not know are left out.

        Raises:
            ValueError: it is damaged.
        """
        try:
            return self._unpack(table, Table(data, encode.Get(packer.uoffset, data, 0)))
        except (struct.error, ValueError, IndexError, TypeError) as error:
            raise ValueError(f"no flatbuffer of the table {table}, or a damaged one ({error})") from error

    def _unpack(self, table: str, at: Table) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for slot, name, kind in self._fields[table]:
            if not (where := _find(at, slot)):
                continue
            if kind in self.unions:
                number, tables = at.Get(number_types.Uint8Flags, where), self.unions[kind].split()
                if number <= len(tables) and (content := _find(at, slot + 1)):
                    values[name] = {tables[number - 1]: self._unpack_reference(at, tables[number - 1], content)}
            elif kind in _SCALARS:
                values[name] = at.Get(_SCALARS[kind], where)
            else:
                values[name] = self._unpack_reference(at, kind, where)
        return values

    def _unpack_reference(self, at: Table, kind: str, where: int) -> Any:
        of = kind.strip("[]")
        if kind == "string":
            return at.String(where).decode("utf-8")
        if kind == of:
            return self._unpack(kind, Table(at.Bytes, at.Indirect(where)))
        start, count = at.Vector(where - at.Pos), at.VectorLen(where - at.Pos)
        if of in _SCALARS:
            return np.frombuffer(at.Bytes, number_types.to_numpy_type(_SCALARS[of]), count, start)
        return [self._unpack_reference(at, of, start + 4 * number) for number in range(count)]


def _find(at: Table, slot: int) -> int:
    """Return where the value of a table's field is in the flatbuffer, or 0."""
    offset = at.Offset(4 + 2 * slot)
    return int(offset + at.Pos) if offset else 0
