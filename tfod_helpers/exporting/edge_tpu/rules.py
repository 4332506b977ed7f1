"""One operator -> why the Edge TPU does not compute it, as far as a file tells and Coral documents it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any

import yaml

from tfod_helpers.exporting.edge_tpu.operators import Operator, Tensor

IN_FLOAT = "it computes in float32, not in int8"
_QUANTIZED = ("INT8", "UINT8")
_INNERMOST = 3  # dimensions that may have more than one element
_MOST_CLASSES = 16_000  # of a softmax
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@functools.cache
def table() -> dict[str, Any]:
    """Return operators.yaml."""
    text = (resources.files(__package__) / "operators.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def problem(operator: Operator) -> str:
    """Return why an operator is not computed by the Edge TPU, or nothing."""
    known = table()["operators"].get(operator.name)
    if known is None:
        return "it is not in the table of operators"
    newest, reported = known.get("newest", (operator.version, ""))
    if operator.version > newest:
        return f"its version is {operator.version}, and the compiler is reported to take {newest} at most ({reported})"
    try:
        return _tensors(operator) or _LIMITS.get(operator.name, _none)(operator)
    except IndexError:
        return "it lacks an input"


def undecided(operator: Operator) -> str:
    """Return the documented limit of an operator of which only the compiler knows whether it is kept, or nothing."""
    known = table()["operators"].get(operator.name, {})
    return str(known["limit"]) if known.get("decides") else ""


def instead(name: str) -> str:
    """Return what to do about an operator that the Edge TPU does not compute, or nothing."""
    return str(table()["instead"].get(name, ""))


def converts_input(operator: Operator) -> bool:
    """Return whether an operator turns a model's float input into int8: the CPU does, and the Edge TPU goes on."""
    return operator.name == "QUANTIZE" and not operator.sources and operator.inputs[0].dtype == "FLOAT32"


def _tensors(operator: Operator) -> str:
    """Return what is wrong with the types and shapes of an operator, or nothing."""
    if operator.name in _WEIGHTED and not operator.inputs[1].constant:
        return "its weights are not constant"
    flowing = [tensor for tensor in (*operator.inputs, *operator.outputs) if not tensor.constant]
    for tensor in flowing:
        if tensor.dtype not in _QUANTIZED:
            return IN_FLOAT if tensor.dtype == "FLOAT32" else f"it computes in {tensor.dtype.lower()}, not in int8"
        if -1 in tensor.shape:
            return f"its shape is not constant: {tensor}"
        if any(size > 1 for size in tensor.shape[:-_INNERMOST]):
            return f"{tensor} has more than {_INNERMOST} dimensions above 1"
    return ""


def _none(_: Operator) -> str:
    return ""


def _fused(operator: Operator) -> str:
    fused = getattr(operator.options, "fusedActivationFunction", 0)
    return "it has a fused activation function" if fused else ""


def _joined(operator: Operator) -> str:
    constants = sum(tensor.constant for tensor in operator.inputs)
    return _fused(operator) or ("it joins a constant" if constants and len(operator.inputs) > 2 else "")


def _dilated(operator: Operator) -> str:
    width, height = (getattr(operator.options, f"dilation{side}Factor", 1) for side in "WH")
    return f"its dilation is {width} in x and {height} in y" if width != height else ""


def _fully_connected(operator: Operator) -> str:
    if getattr(operator.options, "weightsFormat", 0):
        return "its weights are not in the default format"
    return _flat(operator.outputs[0], "gives")


def _flat(tensor: Tensor, verb: str) -> str:
    return f"it {verb} {tensor}, more than one dimension" if any(size > 1 for size in tensor.shape[:-1]) else ""


def _prelu(operator: Operator) -> str:
    return _flat(operator.inputs[1], "has an alpha of")


def _along_batch(operator: Operator) -> str:
    return "it works along the batch" if getattr(operator.options, "axis", None) == 0 else ""


def _split(operator: Operator) -> str:
    return "it works along the batch" if 0 in _axes(operator.inputs[0], operator.inputs[-1]) else ""


def _reduced(operator: Operator) -> str:
    axes = _axes(operator.inputs[1], operator.inputs[0])
    if 0 in axes:
        return "it works along the batch"
    last = len(operator.inputs[0].shape) - 1
    channels = operator.inputs[0].shape[-1]
    return (
        f"it takes the mean of {channels} channels" if operator.name == "MEAN" and last in axes and channels % 4 else ""
    )


def _axes(of: Tensor, tensor: Tensor) -> list[int]:
    rank = len(tensor.shape)
    return [] if of.values is None else [int(axis) % rank for axis in of.values]


def _padded(operator: Operator) -> str:
    pads = operator.inputs[1].values
    return "it pads the batch" if pads is not None and pads[:2].any() else ""


def _strided(operator: Operator) -> str:
    strides = operator.inputs[3].values if len(operator.inputs) > 3 else None
    masks = any(getattr(operator.options, f"{mask}Mask", 0) for mask in ("ellipsis", "newAxis"))
    return "it has strides or an axis of its own" if masks or (strides is not None and (strides != 1).any()) else ""


def _softmax(operator: Operator) -> str:
    taken = operator.inputs[0]
    return _flat(taken, "takes") or (f"it takes {taken}" if taken.shape[-1] > _MOST_CLASSES else "")


_LIMITS: dict[str, Callable[[Operator], str]] = {
    "AVERAGE_POOL_2D": _fused,
    "MAX_POOL_2D": _fused,
    "CONCATENATION": _joined,
    "CONV_2D": _dilated,
    "DEPTHWISE_CONV_2D": _dilated,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _reduced,
    "SUM": _reduced,
    "REDUCE_MAX": _reduced,
    "REDUCE_MIN": _reduced,
    "PACK": _along_batch,
    "SPLIT": _split,
    "PAD": _padded,
    "PRELU": _prelu,
    "STRIDED_SLICE": _strided,
    "SOFTMAX": _softmax,
}
