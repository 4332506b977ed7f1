"""Convolutions with their batch norm, bias and activation -> one operation each, as TensorFlow.js has them.

TensorFlow's own optimizer fuses too, but by what this machine's processor has, and some of that no other program knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef

_FUSED = {"Conv2D": "_FusedConv2D", "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative"}
_SUMS, _ACTIVATIONS = ("Add", "AddV2", "BiasAdd"), ("Relu", "Relu6")
_Affine = tuple[np.ndarray, np.ndarray]  # what each channel is multiplied with, and what is added then


def fuse(graph: GraphDef) -> GraphDef:
    """Return a graph without variables, its convolutions fused.

    What multiplies and shifts each channel behind a convolution becomes part of its filter and of a bias; where
    another convolution uses the same filter, only what shifts. A ReLU behind it becomes part of it too.
    """
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    nodes = {node.name: node for node in graph.node}
    made: dict[str, NodeDef] = {}
    for conv in graph.node:
        if conv.op in _FUSED and nodes[conv.input[1]].op == "Const":
            made |= {one.name: one for one in _fuse_one(conv, nodes, users)}
    nodes |= made
    needed = [node.name for node in graph.node if not users[node.name]]  # the outputs, and what they need
    for name in needed:
        needed += [one for key in nodes[name].input if (one := key.partition(":")[0]) not in needed]
    kept = [node for name, node in nodes.items() if name in set(needed)]
    return GraphDef(node=kept, versions=graph.versions, library=graph.library)


def _fuse_one(conv: NodeDef, nodes: dict[str, NodeDef], users: dict[str, list[NodeDef]]) -> Iterator[NodeDef]:
    """Yield what takes the place of a convolution's last follower that becomes part of it, and its bias and filter."""
    kernel = nodes[conv.input[1]]
    values = tf.make_ndarray(kernel.attr["value"].tensor)
    shape = values.shape[3:] if conv.op == "Conv2D" else values.shape[2:]  # of the output channels
    scale, bias, last, fused = np.ones(np.prod(shape)), np.zeros(np.prod(shape)), conv, [b"BiasAdd"]
    while (after := _follower(last, users)) is not None:
        affine = _affine(after, last, nodes, len(scale))
        if affine is None or (len(users[kernel.name]) > 1 and not np.all(affine[0] == 1)):
            break
        scale, bias, last = scale * affine[0], bias * affine[0] + affine[1], after
    if last is conv:
        return
    if after is not None and after.op in _ACTIVATIONS:
        last = after
        fused.append(after.op.encode())
    one = NodeDef(name=last.name, op=_FUSED[conv.op], input=[conv.input[0], kernel.name, f"{last.name}/bias"])
    for key, value in conv.attr.items():
        one.attr[key].CopyFrom(value)
    one.attr["fused_ops"].list.s.extend(fused)
    one.attr["num_args"].i = 1
    yield one
    yield _constant(f"{last.name}/bias", bias)
    yield _constant(kernel.name, values * scale.reshape(shape))


def _follower(node: NodeDef, users: dict[str, list[NodeDef]]) -> NodeDef | None:
    """Return the one operation that uses another's output, where no second one does."""
    after = users[node.name]
    return after[0] if len(after) == 1 else None


def _affine(node: NodeDef, before: NodeDef, nodes: dict[str, NodeDef], channels: int) -> _Affine | None:
    """Return what an operation multiplies each channel of another's output with, and adds; None if it does more."""
    others = [nodes.get(name) for name in node.input if name != before.name]
    constants = [tf.make_ndarray(one.attr["value"].tensor) for one in others if one is not None and one.op == "Const"]
    if len(constants) != len(others) or any(values.dtype != np.float32 for values in constants):
        return None
    try:  # of what differs by place, not only by channel, nothing can be fused
        vectors = [np.broadcast_to(values, (1, 1, 1, channels)).reshape(-1).astype(float) for values in constants]
    except ValueError:
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op == "FusedBatchNormV3" and len(vectors) == 4 and not node.attr["is_training"].b:
        gamma, beta, mean, variance = vectors
        factor = gamma / np.sqrt(variance + node.attr["epsilon"].f)
        return factor, beta - mean * factor
    if node.op == "Mul" and len(vectors) == 1:
        return vectors[0], zero
    return (one, vectors[0]) if node.op in _SUMS and len(vectors) == 1 else None


def _constant(name: str, values: np.ndarray) -> NodeDef:
    made = NodeDef(name=name, op="Const")
    made.attr["dtype"].type = tf.float32.as_datatype_enum
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values.astype(np.float32)))
    return made
