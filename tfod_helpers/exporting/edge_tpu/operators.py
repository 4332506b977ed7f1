"""A .tflite file -> its operators, in the order in which they run, with types, shapes and the work that they are."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfod_helpers.detector import tflite_file

_DAMAGED = (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError, MemoryError, OverflowError)


@dataclass(frozen=True, eq=False)
class Tensor:
    """What goes into an operator, or comes out of it.

    Attributes:
        name: in the file.
        shape: -1 where a size is not fixed.
        dtype: such as ``INT8``.
        constant: whether its values are in the file.
        values: those of a constant of int32, such as axes.
        size: bytes of the file that it takes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool
    values: np.ndarray | None
    size: int

    def __str__(self) -> str:
        return f"{self.dtype.lower()} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, eq=False)
class Operator:
    """One step of a model.

    Attributes:
        number: its place in the file, from 1.
        name: such as ``CONV_2D``; of a custom operator the name that it was given.
        version: of the operator.
        inputs: what it takes, without what is left out.
        outputs: what it gives.
        sources: the numbers of the operators that it takes something from.
        options: the schema's object of options, or None.
    """

    number: int
    name: str
    version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    sources: tuple[int, ...]
    options: Any

    @property
    def macs(self) -> int:
        """Multiplications with additions: those of convolutions and of fully connected layers."""
        if len(self.inputs) < 2 or not self.outputs:
            return 0
        weights, made = self.inputs[1].shape, math.prod(self.outputs[0].shape)
        if self.name in ("CONV_2D", "FULLY_CONNECTED"):  # weights are (out, height, width, in) and (out, in)
            return made * math.prod(weights[1:])
        if self.name == "DEPTHWISE_CONV_2D":  # (1, height, width, out)
            return made * math.prod(weights[1:3])
        if self.name == "TRANSPOSE_CONV" and len(self.inputs) > 2:  # (out, height, width, in), then the input
            return math.prod(self.inputs[2].shape) * math.prod(weights[:3])
        return 0


@dataclass(frozen=True, eq=False)
class Model:
    """A .tflite file.

    Attributes:
        operators: of its main graph, in the order in which they run.
        inputs: what the model takes.
        outputs: what it gives.
        size: bytes of the file.
    """

    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    size: int

    @property
    def parameters(self) -> int:
        """Bytes of weights and other constants."""
        sizes = {id(tensor): tensor.size for operator in self.operators for tensor in operator.inputs}
        return sum(sizes.values())


def read(path: str | os.PathLike[str]) -> Model:
    """Read a .tflite file; no TensorFlow is needed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no .tflite file, or a damaged one.
    """
    where, data = tflite_file.content(path)
    try:
        return parse(data)
    except _DAMAGED as error:
        raise tflite_file.damaged(where, error) from error


def parse(content: bytes) -> Model:
    """Return what the content of a .tflite file holds."""
    schema = tflite_file.schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    types = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    tensors = [_tensor(tensor, model.buffers[tensor.buffer].data, types) for tensor in graph.tensors]
    made_by: dict[int, int] = {}
    operators = []
    for number, one in enumerate(graph.operators, 1):
        code = model.operatorCodes[one.opcodeIndex]
        inputs = [index for index in one.inputs if index >= 0]
        sources = sorted({made_by[index] for index in inputs if index in made_by})
        made_by |= dict.fromkeys(one.outputs, number)
        name = code.customCode.decode() if code.customCode else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        taken, given = (tuple(tensors[index] for index in indexes) for indexes in (inputs, one.outputs))
        operators.append(Operator(number, name, code.version, taken, given, tuple(sources), one.builtinOptions))
    taken, given = (tuple(tensors[index] for index in indexes) for indexes in (graph.inputs, graph.outputs))
    return Model(tuple(operators), taken, given, len(content))


def _tensor(tensor: Any, data: Any, types: dict[int, str]) -> Tensor:
    shape = [] if tensor.shape is None else tensor.shape
    signature = tensor.shapeSignature if tensor.shapeSignature is not None else shape
    content = b"" if data is None else bytes(data)
    kind = types[tensor.type]
    values = np.frombuffer(content, np.int32) if content and kind == "INT32" else None
    fixed = tuple(-1 if size < 0 else int(length) for size, length in zip(signature, shape, strict=True))
    return Tensor((tensor.name or b"").decode(), fixed, kind, bool(content), values, len(content))
