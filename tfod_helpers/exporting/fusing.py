"""Convolutions with their scale, bias and activation -> one operation each, as TensorFlow.js has them.

TensorFlow's own optimizer fuses too, but by what the machine's processor has, and some of that no other program knows.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef

_FUSED = {"Conv2D": "_FusedConv2D", "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative"}
_SUMS, _ACTIVATIONS = ("Add", "AddV2", "BiasAdd"), ("Relu", "Relu6")


def fuse(graph: GraphDef) -> GraphDef:
    """Return a graph without variables, its convolutions fused.

    A constant that a convolution's outputs are multiplied with goes into its filter, where no other one uses it; then
    a constant that is added, and a ReLU, become part of it.
    """
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    nodes = {node.name: node for node in graph.node}
    for conv in list(graph.node):
        if conv.op in _FUSED:
            for gone in _fuse_one(conv, nodes, users):
                del nodes[gone.name]
    needed = {name for node in nodes.values() for name in node.input}
    kept = [node for node in nodes.values() if node.op != "Const" or node.name in needed]
    return GraphDef(node=kept, versions=graph.versions, library=graph.library)


def _fuse_one(conv: NodeDef, nodes: dict[str, NodeDef], users: dict[str, list[NodeDef]]) -> list[NodeDef]:
    """Let the last operation that becomes part of a convolution do all of it; return those that nothing uses then."""
    chain, inputs, fused = [conv], list(conv.input), []

    def follows(*ops: str) -> NodeDef | None:
        after = users[chain[-1].name]
        return after[0] if len(after) == 1 and after[0].op in ops else None

    kernel = nodes[inputs[1]]
    if (scaled := follows("Mul")) and len(users[kernel.name]) == 1:
        scale = _other(scaled, chain[-1], nodes)
        if scale is not None and kernel.op == "Const":
            _scale(kernel, scale, depthwise=conv.op != "Conv2D")
            chain.append(scaled)
    if (added := follows(*_SUMS)) and (bias := _other(added, chain[-1], nodes)) is not None and bias.ndim == 1:
        inputs.append(next(name for name in added.input if name != chain[-1].name))
        chain.append(added)
        fused.append(b"BiasAdd")
        if active := follows(*_ACTIVATIONS):
            chain.append(active)
            fused.append(active.op.encode())
    last = chain.pop()
    made = NodeDef(name=last.name, op=_FUSED[conv.op] if fused else conv.op, input=inputs, attr=conv.attr)
    if fused:
        made.attr["fused_ops"].list.s.extend(fused)
        made.attr["num_args"].i = 1
    last.CopyFrom(made)
    return chain


def _other(node: NodeDef, one: NodeDef, nodes: dict[str, NodeDef]) -> np.ndarray | None:
    """Return the constant that an operation combines another's output with, where it is one."""
    others = [nodes[name] for name in node.input if name != one.name]
    if len(others) != 1 or others[0].op != "Const":
        return None
    return tf.make_ndarray(others[0].attr["value"].tensor)


def _scale(kernel: NodeDef, scale: np.ndarray, *, depthwise: bool) -> None:
    """Multiply each output channel of a filter, (h, w, in, out), or of a depthwise one, (h, w, in, each)."""
    values = tf.make_ndarray(kernel.attr["value"].tensor)
    by_channel = np.broadcast_to(scale.reshape(-1) if scale.ndim else scale, np.prod(values.shape[3 - depthwise :]))
    scaled = values * by_channel.reshape(values.shape[3 - depthwise :])
    kernel.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(scaled.astype(values.dtype)))
