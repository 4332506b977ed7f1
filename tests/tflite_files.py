"""Small .tflite files, put together operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers


class TfliteFile:
    """A model under construction: add tensors, then operators, then write it."""

    def __init__(self) -> None:
        """Begin with an empty model."""
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []

    def tensor(
        self,
        shape: Sequence[int],
        kind: str = "INT8",
        values: np.ndarray | None = None,
        signature: Sequence[int] | None = None,
        name: str = "",
    ) -> int:
        """Add a tensor, a constant where values are given, and return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.shapeSignature = name or f"t{len(self.graph.tensors)}", list(shape), signature
        tensor.type = getattr(schema.TensorType, kind)
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        *outputs: int,
        version: int = 1,
        custom: str = "",
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Add an operator; a custom one's settings, or options such as ``Conv2DOptions={"dilationWFactor": 2}``."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        code.customCode = custom or None
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if settings:
            operator.customOptions = np.frombuffer(flexbuffers.Dumps(settings), np.uint8)
        for kind, values in options.items():
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for key, value in values.items():
                assert hasattr(operator.builtinOptions, key)
                setattr(operator.builtinOptions, key, value)
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)

    def content(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file's bytes."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder()
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def write(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        """Write the file."""
        path.write_bytes(self.content(inputs, outputs))
        return path
