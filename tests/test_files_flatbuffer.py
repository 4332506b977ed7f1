"""Flatbuffers by a schema: what was packed is read again, by Google's code too, and damage is reported."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as generated
from hypothesis import given
from hypothesis import strategies as st

from tfod_helpers.files.flatbuffer import Schema

# The beginning of TensorFlow Lite's own schema, and a table of a file that its code never saw.
LITE = Schema(
    tables={
        "Model": "version:uint operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string buffers:[Buffer]",
        "OperatorCode": "deprecated_builtin_code:byte custom_code:string version:int builtin_code:int",
        "SubGraph": "tensors:[Tensor] inputs:[int] outputs:[int]",
        "Tensor": "shape:[int] type:byte buffer:uint name:string quantization:Quantization is_variable:bool",
        "Quantization": "min:[float] max:[float]",
        "Buffer": "data:[ubyte]",
        "Choice": "names:[string] held:Any weight:float",
    },
    unions={"Any": "Buffer Tensor"},
)
MODEL = {
    "version": 3,
    "description": "größer",
    "operator_codes": [{"deprecated_builtin_code": -4, "custom_code": "Mine", "builtin_code": 32}],
    "subgraphs": [
        {
            "tensors": [
                {"shape": [1, 2], "name": "a", "buffer": 1, "is_variable": True},
                {"name": "b", "quantization": {"min": [-0.5], "max": [0.5, 1.5]}},
            ],
            "inputs": [],
            "outputs": [1, 0],
        }
    ],
    "buffers": [{}, {"data": b"12345"}],
}


def plain(value: object) -> object:
    """The same with lists for arrays."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else getattr(value, "tolist", lambda: value)()


def test_googles_code_reads_what_was_packed() -> None:
    """Scalars, texts, tables and vectors of them are where the compiled schema of TensorFlow Lite looks for them."""
    data = LITE.pack("Model", MODEL, b"TFL3")
    assert generated.Model.ModelBufferHasIdentifier(data, 0)
    model = generated.Model.GetRootAs(data)
    code, graph = model.OperatorCodes(0), model.Subgraphs(0)
    assert (model.Version(), model.Description().decode()) == (3, "größer")
    assert (code.DeprecatedBuiltinCode(), code.CustomCode(), code.BuiltinCode()) == (-4, b"Mine", 32)
    assert (graph.InputsLength(), graph.OutputsAsNumpy().tolist()) == (0, [1, 0])
    first, second = graph.Tensors(0), graph.Tensors(1)
    assert (first.ShapeAsNumpy().tolist(), first.Name(), first.Buffer(), first.IsVariable()) == ([1, 2], b"a", 1, True)
    assert second.Quantization().MaxAsNumpy().tolist() == [0.5, 1.5]
    assert second.Quantization().MinAsNumpy().tolist() == [-0.5]
    assert model.Buffers(0).DataIsNone()
    assert model.Buffers(1).DataAsNumpy().tobytes() == b"12345"


def test_what_googles_code_packed_is_read() -> None:
    """A file of the compiled schema, whose tables have more fields than the text says, gives the known ones."""
    import flatbuffers

    builder = flatbuffers.Builder(0)
    model = generated.ModelT.InitFromPackedBuf(LITE.pack("Model", MODEL, b"TFL3"))
    model.metadata, model.subgraphs[0].name = [generated.MetadataT("more", 1)], "main"
    builder.Finish(model.Pack(builder), b"TFL3")
    read = LITE.unpack("Model", bytes(builder.Output()))
    assert plain(read) == plain(MODEL | {"buffers": [{}, {"data": np.frombuffer(b"12345", np.uint8)}]})


def test_unions_and_texts_are_read_as_packed() -> None:
    """A union says which of its tables it holds; one that the schema does not know is left out."""
    values = {"names": ["cat", ""], "held": {"Tensor": {"name": "a"}}, "weight": 0.5}
    data = LITE.pack("Choice", values, b"ABCD")
    assert data[4:8] == b"ABCD"
    assert plain(LITE.unpack("Choice", data)) == values
    older = Schema(tables=LITE.tables, unions={"Any": "Buffer"})
    assert older.unpack("Choice", data) == {"names": ["cat", ""], "weight": 0.5}


def test_bytes_lie_at_multiples_of_sixteen() -> None:
    """Vectors of bytes are aligned as TensorFlow Lite's schema asks, whatever lies before them."""
    for length in range(1, 20):
        data = LITE.pack("Model", {"description": "x" * length, "buffers": [{"data": bytes(length)}] * 3}, b"TFL3")
        buffers = generated.Model.GetRootAs(data).Buffers
        assert [buffers(n)._tab.Vector(buffers(n)._tab.Offset(4)) % 16 for n in range(3)] == [0, 0, 0]


def test_a_wrong_name_is_refused() -> None:
    """A field that the table lacks is named, with those that it has, rather than left out."""
    with pytest.raises(ValueError, match=r"table Buffer has no dat; it has data:\[ubyte\]"):
        LITE.pack("Model", {"buffers": [{"dat": b""}]}, b"TFL3")


@given(st.data())
def test_damage_never_shows_as_another_error(data: st.DataObject) -> None:
    """Whatever bytes are changed or cut off, reading gives values or a ValueError that names the table."""
    packed = bytearray(LITE.pack("Model", MODEL, b"TFL3"))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    try:
        read = LITE.unpack("Model", bytes(packed))
    except ValueError as error:
        read = {"error": str(error)}
    assert set(read) <= set(MODEL) or "no flatbuffer of the table Model" in read["error"]
